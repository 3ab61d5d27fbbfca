// SPDX-License-Identifier: Apache-2.0
// A DRAConfiguration that cannot be read hides no other one, and its status says so; and what is
// not followed any more makes the process not ready.
#include <string.h>
#include <unistd.h>

#include "scene.h"

#define BAD "/apis/drawbridge.dev/v1alpha1/namespaces/a/draconfigurations/bad"
#define FIRST "/apis/drawbridge.dev/v1alpha1/namespaces/a/draconfigurations/a-first"
#define GOOD "/apis/drawbridge.dev/v1alpha1/namespaces/a/draconfigurations/good"
#define TOLD "Drawbridge cannot read this object: "
#define LIMIT_MS 20000

struct tale {
    struct scene scene;
    bool (*over)(struct tale *tale);
    uint64_t began_ms;
    bool failing;
    enum fault first; // of the writes to FIRST
    // Noted while BAD is being written for the first time; "": the same again; NULL: nothing.
    const char *words;
    unsigned writes; // to BAD
    bool other;      // these words were among them
};

static const char *condition(const struct tale *tale, const char *path, const char *type,
                             const char *field)
{
    return doc_str(fake_condition(tale->scene.api, path, type), field, NULL);
}

static void on_tick(void *owner)
{
    struct tale *tale = owner;

    tale->scene.tick = loop_sleep(tale->scene.loop, 10, on_tick, tale);
    if (tale->over(tale))
        scene_close(&tale->scene);
    else if (clock_ms() - tale->began_ms > LIMIT_MS)
        test_fail(__FILE__, __LINE__, "%s", tale->scene.api->log.ptr);
}

static void seed(struct tale *tale, const char *path, const char *more)
{
    AUTO_JSON json_t *parsed = NULL;
    AUTO_MEM char *text =
        str_format("{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, spec: {"
                   "featureGates: {DynamicResourceAllocation: true}, platform: {type: Observe}%s}}",
                   more);

    CHECK_OK(doc_parse_yaml(slice_of(text), "config", &parsed));
    fake_seed(tale->scene.api, path, TAKE(parsed));
}

static enum fault choose(void *owner, unsigned index, const struct server_request *request)
{
    const struct tale *tale = owner;

    (void)index;
    if (str_eq(request->method, "PATCH") && str_starts(request->target, FIRST "/status"))
        return tale->first;
    return tale->failing && strstr(request->target, "/draconfigurations") ? FAULT_500 : FAULT_NONE;
}

// The watch has more to say of it before the answer to the write is there.
static void on_write(void *owner, const struct fake_path *path, const json_t *was UNUSED,
                     const json_t *now UNUSED)
{
    struct tale *tale = owner;
    AUTO_MEM char *version = NULL;
    AUTO(error) struct error *why = NULL;
    const char *said = doc_str(now, "status", "conditions", "0", "message", NULL);

    if (!str_eq(path->object, BAD))
        return;
    tale->writes++;
    CHECK_HAS(said, TOLD);
    tale->other = tale->other || strstr(said, "other words");
    if (!tale->words || tale->writes > 1)
        return;
    version = str_format("%lld", (long long)tale->scene.api->version + 1);
    why = error_new(ERROR_INVALID, "%s", *tale->words ? tale->words : said + strlen(TOLD));
    unreadable_note(tale->scene.controller->unreadable, "a/bad", version, why);
}

static struct tale *tale_begin(struct batch *batch, bool (*over)(struct tale *))
{
    struct tale *tale = NEW(struct tale);

    alarm(60);
    *tale = (struct tale){
        .scene = {.at = NEVER, .backoff_ms_max = 500}, .began_ms = clock_ms(), .over = over};
    scene_open(&tale->scene, batch, tale);
    tale->scene.api->choose = choose;
    tale->scene.api->on_write = on_write;
    seed(tale, GOOD, "");
    return tale;
}

static void tale_run(struct tale *tale, struct batch *batch)
{
    tale->scene.tick = loop_sleep(tale->scene.loop, 10, on_tick, tale);
    scene_start_controller(&tale->scene);
    loop_run(batch->loop);
    scene_fini(&tale->scene);
    mem_free(tale);
    loop_free(batch->loop);
}

static bool bad_is_told_and_good_is_looked_at(struct tale *tale)
{
    return *condition(tale, BAD, "ConfigValid", "reason") &&
           *condition(tale, GOOD, "Ready", "reason");
}

TEST(a_configuration_with_keys_that_are_there_twice_is_told_and_does_not_stop_the_others)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, bad_is_told_and_good_is_looked_at);

    seed(tale, BAD, ", driver: {values: {" FAKE_TWICE ": true}}");
    tale->scene.tick = loop_sleep(tale->scene.loop, 10, on_tick, tale);
    scene_start_controller(&tale->scene);
    loop_run(batch.loop);
    CHECK_STR(condition(tale, BAD, "ConfigValid", "status"), "False");
    CHECK_STR(condition(tale, BAD, "ConfigValid", "reason"), "InvalidConfiguration");
    CHECK_HAS(condition(tale, BAD, "ConfigValid", "message"), "duplicate object key");
    CHECK_STR(condition(tale, BAD, "Ready", "status"), "False");
    CHECK_STR(condition(tale, BAD, "Stalled", "status"), "True");
    scene_fini(&tale->scene);
    mem_free(tale);
    loop_free(batch.loop);
}

TEST(one_whose_status_is_refused_does_not_keep_the_others_from_theirs)
{
    static const enum fault faults[] = {FAULT_422, FAULT_403, FAULT_500};

    for (size_t i = 0; i < COUNT(faults); i++) {
        struct batch batch = {.loop = loop_new()};
        struct tale *tale = tale_begin(&batch, bad_is_told_and_good_is_looked_at);

        tale->first = faults[i];
        seed(tale, FIRST, ", driver: {values: {" FAKE_TWICE ": true}}");
        seed(tale, BAD, ", driver: {values: {" FAKE_TWICE ": true}}");
        tale_run(tale, &batch);
    }
}

static bool other_words_are_told(struct tale *tale)
{
    return tale->other;
}

TEST(what_is_noted_while_another_text_is_written_is_written_too)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, other_words_are_told);

    tale->words = "other words";
    seed(tale, BAD, ", driver: {values: {" FAKE_TWICE ": true}}");
    tale_run(tale, &batch);
}

static bool all_is_quiet(struct tale *tale)
{
    return bad_is_told_and_good_is_looked_at(tale) && clock_ms() - tale->scene.api->asked_ms > 300;
}

// Each write is an event, which may be here before the answer.
TEST(the_event_of_the_write_itself_is_no_reason_for_another)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, all_is_quiet);

    seed(tale, BAD, ", driver: {values: {" FAKE_TWICE ": true}}");
    tale->words = "";
    tale->scene.tick = loop_sleep(tale->scene.loop, 10, on_tick, tale);
    scene_start_controller(&tale->scene);
    loop_run(batch.loop);
    CHECK_INT(tale->writes, 1);
    scene_fini(&tale->scene);
    mem_free(tale);
    loop_free(batch.loop);
}

static bool large_is_told(struct tale *tale)
{
    return str_eq(condition(tale, BAD, "ConfigValid", "reason"), "LimitReached") &&
           *condition(tale, GOOD, "Ready", "reason");
}

TEST(a_configuration_of_too_many_values_is_told_and_not_parsed)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, large_is_told);
    AUTO_BUF struct buf driver = buf_make((size_t)4 << 20);

    buf_add_str(&driver, ", driver: {values: {x: [0");
    for (size_t i = 0; i < KUBE_NODES_MAX; i++)
        buf_add_str(&driver, ",0");
    buf_add_str(&driver, "]}}");
    seed(tale, BAD, driver.ptr);
    tale_run(tale, &batch);
}

static uint64_t later_ms;

static uint64_t later_clock(void)
{
    clock_set_source(NULL, NULL);
    uint64_t now_ms = clock_ms() + later_ms;
    clock_set_source(later_clock, NULL);
    return now_ms;
}

static bool is_ready(const struct tale *tale, const char *words)
{
    AUTO_BUF struct buf why = buf_make(1000);
    bool ready = controller_ready(tale->scene.controller, &why);

    if (!ready)
        CHECK_HAS(why.ptr, words);
    return ready;
}

static bool not_ready_after_a_minute(struct tale *tale)
{
    const struct watch *configs = tale->scene.controller->configs;

    if (!*condition(tale, GOOD, "Ready", "reason"))
        return false;
    if (!tale->failing) {
        CHECK(is_ready(tale, ""));
        tale->failing = true;
        fake_cut_watches(tale->scene.api);
        return false;
    }
    if (!watch_error(configs) || watch_term(configs))
        return false;
    CHECK(is_ready(tale, ""));
    later_ms = WATCH_FAILED_MS;
    CHECK(!is_ready(tale, "draconfigurations: not followed for a minute: "));
    later_ms = 0;
    return true;
}

TEST(a_watch_that_has_failed_for_a_minute_makes_the_controller_not_ready)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, not_ready_after_a_minute);

    clock_set_source(later_clock, NULL);
    tale_run(tale, &batch);
}

TEST_MAIN()
