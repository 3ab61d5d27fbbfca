// SPDX-License-Identifier: Apache-2.0
// A ConfigSource that is deleted, also while its commit is fetched.
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"
#include "source_worker.h"

#define NAMESPACE "/apis/drawbridge.dev/v1alpha1/namespaces/ns/"
#define SOURCE NAMESPACE "configsources/src"
#define CONFIG NAMESPACE "draconfigurations/one"

struct story {
    struct scene scene;
    struct batch batch;
    struct story_wait wait;
};

#include "story.h"

static char *story_tell(const struct story *s)
{
    (void)s;
    return str_dup("");
}

static bool asks(const struct story *s)
{
    AUTO_MEM char *path = test_path("request.1");

    (void)s;
    return access(path, F_OK) == 0;
}

static uint64_t until_ms;

static bool time_is_over(const struct story *s)
{
    (void)s;
    return clock_ms() >= until_ms;
}

static void let_pass(struct story *s, uint64_t ms)
{
    until_ms = clock_ms() + ms;
    WAIT_FOR(s, time_is_over);
}

TEST(one_that_is_deleted_meanwhile_applies_nothing)
{
    struct story *s = story_open();
    AUTO_MEM char *head = test_path("head.1");
    int fd;

    make_worker();
    CHECK(mkfifo(head, 0600) == 0); // the worker waits for it
    strlist_add(&s->scene.governing, "ns");
    fake_seed(s->scene.api, SOURCE,
              json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion", API_GROUP_VERSION, "kind",
                        "ConfigSource", "spec", "url", "https://h/1", "interval", "1h"));
    WAIT_FOR(s, asks);
    fake_delete(s->scene.api, SOURCE);
    let_pass(s, 200);
    fd = open(head, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, FIRST "\n", strlen(FIRST "\n")) > 0);
    close(fd);
    let_pass(s, 700);
    CHECK(!fake_get(s->scene.api, CONFIG));
    story_close(s);
}

static bool is_shown(const struct story *s)
{
    AUTO_MEM char *page = metrics_print(s->scene.metrics);

    return strstr(page, "configsource_ready{namespace=\"ns\",name=\"src\"} 1") &&
           strstr(page, "fetches_total{namespace=\"ns\",name=\"src\",result=\"fetched\"}");
}

static bool is_not_shown(const struct story *s)
{
    AUTO_MEM char *page = metrics_print(s->scene.metrics);

    return !strstr(page, "name=\"src\"");
}

TEST(one_that_is_deleted_is_in_no_metric_any_more)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct story *s = story_open();

    make_worker();
    write_in_dir("head.1", FIRST "\n");
    s->scene.metrics = metrics;
    strlist_add(&s->scene.governing, "ns");
    fake_seed(s->scene.api, SOURCE,
              json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion", API_GROUP_VERSION, "kind",
                        "ConfigSource", "spec", "url", "https://h/1", "interval", "1h"));
    WAIT_FOR(s, is_shown);
    fake_delete(s->scene.api, SOURCE);
    WAIT_FOR(s, is_not_shown);
    story_close(s);
}

TEST_MAIN()
