// SPDX-License-Identifier: Apache-2.0
// A DRAConfiguration that cannot be read hides no other one, and its status says so; and what is
// not followed any more makes the process not ready.
#include <string.h>

#include "scene.h"

#define BAD "/apis/drawbridge.dev/v1alpha1/namespaces/a/draconfigurations/bad"
#define FIRST "/apis/drawbridge.dev/v1alpha1/namespaces/a/draconfigurations/a-first"
#define GOOD "/apis/drawbridge.dev/v1alpha1/namespaces/a/draconfigurations/good"
#define CONFIG BAD
#define TWICE ", driver: {values: {" FAKE_TWICE ": true}}"
#define TOLD "Drawbridge cannot read this object: "

struct story {
    struct scene scene;
    struct batch batch;
    const char *failing; // requests with this in their target
    size_t watch;        // that is
    enum fault first;    // of the writes to FIRST
    // Noted while BAD is being written for the first time; "": the same again; NULL: nothing.
    const char *words;
    unsigned writes; // to BAD
    bool other;      // these words were among them
    struct story_wait wait;
};

#include "story.h"

static char *story_tell(const struct story *s)
{
    (void)s;
    return str_dup("");
}

static void seed(struct story *s, const char *path, const char *more)
{
    AUTO_JSON json_t *parsed = NULL;
    AUTO_MEM char *text =
        str_format("{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, spec: {"
                   "featureGates: {DynamicResourceAllocation: true}, platform: {type: Observe}%s}}",
                   more);

    CHECK_OK(doc_parse_yaml(slice_of(text), "config", &parsed));
    fake_seed(s->scene.api, path, TAKE(parsed));
}

static enum fault choose(void *owner, unsigned index, const struct server_request *request)
{
    const struct story *s = owner;

    (void)index;
    if (str_eq(request->method, "PATCH") && str_starts(request->target, FIRST "/status"))
        return s->first;
    return s->failing && strstr(request->target, s->failing) ? FAULT_500 : FAULT_NONE;
}

// The watch has more to say of it before the answer to the write is there.
static void on_write(void *owner, const struct fake_path *path, const json_t *was UNUSED,
                     const json_t *now UNUSED)
{
    struct story *s = owner;
    AUTO_MEM char *version = NULL;
    AUTO(error) struct error *why = NULL;
    const char *said = doc_str(now, "status", "conditions", "0", "message", NULL);

    if (!str_eq(path->object, BAD))
        return;
    s->writes++;
    CHECK_HAS(said, TOLD);
    s->other = s->other || strstr(said, "other words");
    if (!s->words || s->writes > 1)
        return;
    version = str_format("%lld", (long long)s->scene.api->version + 1);
    why = error_new(ERROR_INVALID, "%s", *s->words ? s->words : said + strlen(TOLD));
    unreadable_note(s->scene.controller->unreadable, "a/bad", version, why);
}

static struct story *begin(void)
{
    struct story *s = story_open();

    s->scene.api->choose = choose;
    s->scene.api->on_write = on_write;
    seed(s, GOOD, "");
    return s;
}

static bool good_is_looked_at(const struct story *s)
{
    return fake_condition(s->scene.api, GOOD, "Ready") != NULL;
}

static bool bad_is_told_and_good_is_looked_at(const struct story *s)
{
    return condition(s, "ConfigValid") && good_is_looked_at(s);
}

TEST(a_configuration_with_keys_that_are_there_twice_is_told_and_does_not_stop_the_others)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct story *s = begin();
    AUTO_MEM char *page = NULL;

    s->scene.metrics = metrics;
    seed(s, BAD, TWICE);
    WAIT_FOR(s, bad_is_told_and_good_is_looked_at);
    CHECK(is(s, "ConfigValid", "False", "InvalidConfiguration"));
    CHECK_HAS(message(s, "ConfigValid"), "duplicate object key");
    CHECK(is(s, "Ready", "False", "InvalidConfiguration"));
    CHECK(is(s, "Stalled", "True", "InvalidConfiguration"));
    page = metrics_print(metrics);
    CHECK_HAS(page, "drawbridge_unreadable_objects_total{resource=\"draconfigurations\"}");
    story_close(s);
}

TEST(one_whose_status_is_refused_does_not_keep_the_others_from_theirs)
{
    static const enum fault faults[] = {FAULT_422, FAULT_403, FAULT_500};

    for (size_t i = 0; i < COUNT(faults); i++) {
        struct story *s = begin();

        s->first = faults[i];
        seed(s, FIRST, TWICE);
        seed(s, BAD, TWICE);
        WAIT_FOR(s, bad_is_told_and_good_is_looked_at);
        story_close(s);
    }
}

static bool other_words_are_told(const struct story *s)
{
    return s->other;
}

TEST(what_is_noted_while_another_text_is_written_is_written_too)
{
    struct story *s = begin();

    s->words = "other words";
    seed(s, BAD, TWICE);
    WAIT_FOR(s, other_words_are_told);
    story_close(s);
}

static bool all_is_quiet(const struct story *s)
{
    return bad_is_told_and_good_is_looked_at(s) && clock_ms() - s->scene.api->asked_ms > 300;
}

// Each write is an event, which may be here before the answer.
TEST(the_event_of_the_write_itself_is_no_reason_for_another)
{
    struct story *s = begin();

    seed(s, BAD, TWICE);
    s->words = "";
    WAIT_FOR(s, all_is_quiet);
    CHECK_INT(s->writes, 1);
    story_close(s);
}

static bool large_is_told(const struct story *s)
{
    return is(s, "ConfigValid", "False", "LimitReached") && good_is_looked_at(s);
}

TEST(a_configuration_of_too_many_values_is_told_and_not_parsed)
{
    struct story *s = begin();
    AUTO_BUF struct buf driver = buf_make((size_t)4 << 20);

    buf_add_str(&driver, ", driver: {values: {x: [0");
    for (size_t i = 0; i < KUBE_NODES_MAX; i++)
        buf_add_str(&driver, ",0");
    buf_add_str(&driver, "]}}");
    seed(s, BAD, driver.ptr);
    WAIT_FOR(s, large_is_told);
    story_close(s);
}

static uint64_t later_ms;

static uint64_t later_clock(void)
{
    clock_set_source(NULL, NULL);
    uint64_t now_ms = clock_ms() + later_ms;
    clock_set_source(later_clock, NULL);
    return now_ms;
}

enum { WATCHES = 4 };

static const struct watch *watch_of(const struct story *s, size_t number)
{
    const struct controller *c = s->scene.controller;
    const struct watch *const all[WATCHES] = {c->configs, c->cluster.nodes, c->cluster.pods,
                                              c->cluster.node_configs};

    return all[number];
}

static bool one_watch_has_failed_and_the_others_are_back(const struct story *s)
{
    for (size_t i = 0; i < WATCHES; i++) {
        bool follows = watch_term(watch_of(s, i)) != 0;

        if (i == s->watch ? follows || !watch_error(watch_of(s, i)) : !follows)
            return false;
    }
    return true;
}

// Each by itself, whatever the others do.
TEST(a_watch_that_has_failed_for_a_minute_makes_the_controller_not_ready)
{
    static const char *const targets[WATCHES] = {"/draconfigurations", "/v1/nodes", "/pods",
                                                 "/nodedraconfigurations"};
    static const char *const names[WATCHES] = {"draconfigurations", "nodes", "pods",
                                               "nodedraconfigurations"};

    clock_set_source(later_clock, NULL);
    for (size_t i = 0; i < WATCHES; i++) {
        AUTO_MEM char *words = str_format("%s: not followed for a minute: ", names[i]);
        AUTO_BUF struct buf why = buf_make(1000);
        struct story *s = begin();

        s->watch = i;
        WAIT_FOR(s, good_is_looked_at);
        CHECK(controller_ready(s->scene.controller, &why));
        s->failing = targets[i];
        fake_cut_watches(s->scene.api);
        WAIT_FOR(s, one_watch_has_failed_and_the_others_are_back);
        CHECK(controller_ready(s->scene.controller, &why));
        later_ms = WATCH_FAILED_MS;
        CHECK(!controller_ready(s->scene.controller, &why));
        later_ms = 0;
        CHECK(str_starts(why.ptr, words) && strchr(why.ptr, '\n') == why.ptr + why.len - 1);
        story_close(s);
    }
}

TEST_MAIN()
