// SPDX-License-Identifier: Apache-2.0
// The story of a ConfigSource: a first commit, a second one that changes, adds and takes away, and
// looks that find nothing; and a commit whose roll-out was put back; with a request that fails, or
// the controller killed, at each in turn. A script stands in for the worker.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"
#include "source_worker.h"

#define NAMESPACE "/apis/drawbridge.dev/v1alpha1/namespaces/ns/"
#define SOURCE NAMESPACE "configsources/src"
#define CONFIGS NAMESPACE "draconfigurations/"
#define TICK_MS 10
#define STUCK_TICKS 12000 // looks in a row without a request: on a busy machine seconds say little

enum phase { PHASE_FIRST, PHASE_SECOND, PHASE_QUIET, PHASE_HELD, PHASE_ON, PHASE_OVER };

struct story {
    struct scene scene;
    unsigned number;           // in the URL: the worker's script tells stories apart by it
    bool hold;                 // the second commit's roll-out is put back; it happens from there on
    const char *refused;       // this object is refused whenever it is really applied; NULL: none
    enum fault denial;         // what is said of the first deletion, which is refused
    unsigned idle, idle_asked; // looks since the last request; how many there were by then
    unsigned seen;             // requests about sources and configurations
    struct buf kinds;          // of each of these: w changes something, r does not
    unsigned written;          // configurations
    enum phase phase;
    unsigned quiet_from; // written, when the last look that finds nothing was asked for
};

_Noreturn static void story_fail(const struct story *s, const char *what)
{
    AUTO_MEM char *source = doc_print_json(s->scene.api->objects);

    test_fail(__FILE__, __LINE__, "%s\n%s\nphase %d, at %u, fault %d, kill %d: %s",
              s->scene.api->log.ptr, source, (int)s->phase, s->scene.at, (int)s->scene.fault,
              s->scene.kill, what);
}

// The commit of "main@sha1:0123".
static const char *commit_of(const char *revision)
{
    const char *at = strstr(revision, "sha1:");

    return at ? at + strlen("sha1:") : "";
}

// --- the repository ------------------------------------------------------------------------------

static void set_head(const struct story *s, const char *head)
{
    AUTO_MEM char *name = str_format("head.%u", s->number);
    AUTO_MEM char *line = str_format("%s\n", head);

    write_in_dir(name, line);
}

static void ask_for_look(const struct story *s, const char *value)
{
    fake_edit(
        s->scene.api, SOURCE,
        json_pack("{s:{s:{s:s}}}", "metadata", "annotations", API_ANNOTATION_RECONCILE, value));
}

// --- faults --------------------------------------------------------------------------------------

static bool is_apply(const struct server_request *request, const char *name)
{
    AUTO_MEM char *path = str_format(CONFIGS "%s?", name);

    return str_starts(request->target, path) && strstr(request->target, "force=true") &&
           !strstr(request->target, "dryRun=All");
}

// Somebody writes to the object between the look at it and its deletion.
static enum fault deny(struct story *s, const struct server_request *request)
{
    enum fault denial = s->denial;
    struct fake_path path;

    s->denial = FAULT_NONE;
    fake_path_parse(request->target, &path);
    fake_edit(s->scene.api, path.object, json_pack("{s:{s:i}}", "status", "touched", 1));
    fake_path_fini(&path);
    return denial;
}

static enum fault choose(void *owner, unsigned index, const struct server_request *request)
{
    struct story *s = owner;

    (void)index;
    if (s->denial && str_eq(request->method, "DELETE"))
        return deny(s, request);
    if (s->refused && is_apply(request, s->refused))
        return FAULT_409;
    if (s->hold && s->phase < PHASE_HELD)
        return FAULT_NONE;
    if (!strstr(request->target, "/configsources") &&
        !strstr(request->target, "/draconfigurations"))
        return FAULT_NONE;
    buf_add_str(&s->kinds, str_eq(request->method, "GET") || strstr(request->target, "dryRun=All")
                               ? "r"
                               : "w");
    if (s->seen++ != s->scene.at)
        return FAULT_NONE;
    return scene_strike(&s->scene);
}

// What came of its roll-out, whatever the controller would say: B is what fails.
static void say(json_t *config_object)
{
    bool fails = doc_get(config_object, "spec", "featureGates", "B", NULL) != NULL;
    json_t *status = json_object();
    struct api_config config;
    struct intent intent;

    CHECK_OK(api_config_parse(config_object, &config));
    intent_make(&config, &intent);
    json_object_set_new(status, "lastAttemptedRevision", json_string(intent.asked_revision));
    if (fails)
        json_object_set_new(status, "failedRevision", json_string(intent.asked_revision));
    json_object_set_new(status, "conditions",
                        json_pack("[{s:s, s:s, s:s, s:s, s:I}]", "type", "Ready", "status",
                                  fails ? "False" : "True", "reason",
                                  fails ? "RolledBack" : "AsExpected", "message", "",
                                  "observedGeneration", (json_int_t)config.generation));
    intent_fini(&intent);
    json_object_set_new(config_object, "status", status);
}

static void on_write(void *owner, const struct fake_path *path, const json_t *was,
                     const json_t *now)
{
    struct story *s = owner;

    if (!str_starts(path->object, CONFIGS))
        return;
    if (path->subresource && s->hold)
        say((json_t *)(uintptr_t)now); // what is on its way into the store
    if (path->subresource)
        return;
    s->written++;
    if (str_eq(path->name, "hosted"))
        fake_cut_watches(s->scene.api); // the answer comes before the event
    if (s->phase == PHASE_HELD && doc_get(now, "spec", "featureGates", "B", NULL) &&
        !doc_get(was, "spec", "featureGates", "B", NULL))
        story_fail(s, "the commit that had to be put back is applied once more");
    if (str_eq(path->name, "theirs"))
        story_fail(s, "an object of somebody else was written");
    if (s->phase == PHASE_FIRST && now && strstr(path->name, "three"))
        story_fail(s, "that is of the second commit");
}

// --- what must hold ------------------------------------------------------------------------------

static bool has_gates(const struct story *s, const char *name, const char *gates)
{
    AUTO_MEM char *path = str_format(CONFIGS "%s", name);
    const json_t *found = doc_get(fake_get(s->scene.api, path), "spec", "featureGates", NULL);
    AUTO_MEM char *text = found ? doc_print_json_sorted(found) : str_dup("");

    return str_eq(text, gates);
}

static const char *condition(const struct story *s, const char *type, const char *field)
{
    return doc_str(fake_condition(s->scene.api, SOURCE, type), field, NULL);
}

static bool is_in_force(const struct story *s, const char *commit)
{
    const char *applied =
        doc_str(fake_get(s->scene.api, SOURCE), "status", "lastAppliedRevision", NULL);

    return str_eq(commit_of(applied), commit) && str_eq(condition(s, "Ready", "status"), "True");
}

static bool was_handled(const struct story *s, const char *value)
{
    return str_eq(doc_str(fake_get(s->scene.api, SOURCE), "status", "lastHandledReconcileAt", NULL),
                  value);
}

static char *inventory(const struct story *s)
{
    const json_t *all = doc_get(fake_get(s->scene.api, SOURCE), "status", "inventory", NULL);
    AUTO_BUF struct buf text = buf_make(4096);

    for (size_t i = 0; i < json_array_size(all); i++)
        buf_printf(&text, "%s ", doc_str(json_array_get(all, i), "name", NULL));
    return text.ptr ? buf_take(&text) : str_dup("");
}

static void check_first(const struct story *s)
{
    if (!has_gates(s, "one", "{\"A\":true}") || !has_gates(s, "two", "{\"A\":true}"))
        story_fail(s, "the first commit is in force, and its objects are not there");
    CHECK_STR_TAKE(inventory(s), "one two ");
}

static void check_second(const struct story *s)
{
    if (!has_gates(s, "one", "{\"B\":true}") || !has_gates(s, "three", "{\"A\":true}"))
        story_fail(s, "the second commit is in force, and its objects are not as it says");
    if (fake_get(s->scene.api, CONFIGS "two"))
        story_fail(s, "what the second commit does not have is still there");
    CHECK_STR_TAKE(inventory(s), "one three ");
}

static bool is_good(const struct story *s, const char *commit)
{
    return str_eq(
        commit_of(doc_str(fake_get(s->scene.api, SOURCE), "status", "lastKnownGoodRevision", NULL)),
        commit);
}

static bool is_held(const struct story *s, const char *commit)
{
    return str_eq(
        commit_of(doc_str(fake_get(s->scene.api, SOURCE), "status", "heldRevision", NULL)), commit);
}

static void advance_held(struct story *s)
{
    const char *applied =
        doc_str(fake_get(s->scene.api, SOURCE), "status", "lastAppliedRevision", NULL);

    if (s->phase == PHASE_SECOND && (is_held(s, SECOND) || str_eq(commit_of(applied), SECOND)))
        s->phase = PHASE_HELD;
    if (s->phase == PHASE_HELD && is_held(s, SECOND) && str_eq(commit_of(applied), FIRST) &&
        str_eq(condition(s, "Ready", "reason"), "Held")) {
        check_first(s);
        if (fake_get(s->scene.api, CONFIGS "three"))
            story_fail(s, "what the held commit added is still there");
        s->phase = PHASE_ON;
        set_head(s, THIRD);
        ask_for_look(s, "third");
    } else if (s->phase == PHASE_ON && is_in_force(s, THIRD) && was_handled(s, "third")) {
        if (is_held(s, SECOND) || !has_gates(s, "one", "{\"C\":true}"))
            story_fail(s, "it does not go on");
        s->phase = PHASE_OVER;
    }
}

static void advance(struct story *s)
{
    if (s->hold)
        advance_held(s);
    if (s->phase == PHASE_FIRST && is_in_force(s, FIRST) && (!s->hold || is_good(s, FIRST))) {
        check_first(s);
        s->phase = PHASE_SECOND;
        set_head(s, SECOND);
        ask_for_look(s, "second");
    } else if (s->phase == PHASE_SECOND && !s->hold && is_in_force(s, SECOND) &&
               was_handled(s, "second")) {
        check_second(s);
        s->phase = PHASE_QUIET;
        s->quiet_from = s->written;
        ask_for_look(s, "quiet");
    } else if (s->phase == PHASE_QUIET && was_handled(s, "quiet")) {
        if (s->written != s->quiet_from)
            story_fail(s, "nothing is new, and objects were written");
        s->phase = PHASE_OVER;
    }
}

static void check_progress(struct story *s)
{
    s->idle = s->scene.api->asked == s->idle_asked ? s->idle + 1 : 0;
    s->idle_asked = s->scene.api->asked;
    if (s->idle > STUCK_TICKS)
        story_fail(s, "it does not come to its end");
}

static void on_tick(void *owner)
{
    struct story *s = owner;

    s->scene.tick = loop_sleep(s->scene.loop, TICK_MS, on_tick, s);
    check_progress(s);
    advance(s);
    if (s->phase != PHASE_OVER && !scene_is_fenced(&s->scene))
        return;
    scene_close(&s->scene);
}

// --- stories -------------------------------------------------------------------------------------

static void seed(struct story *s)
{
    AUTO_MEM char *url = str_format("https://h/%u", s->number);

    fake_seed(s->scene.api, CONFIGS "theirs",
              json_pack("{s:s, s:s, s:{s:b}}", "apiVersion", API_GROUP_VERSION, "kind",
                        "DRAConfiguration", "spec", "suspend", 1));
    fake_seed(s->scene.api, SOURCE,
              json_pack("{s:s, s:s, s:{s:s, s:s, s:b}}", "apiVersion", API_GROUP_VERSION, "kind",
                        "ConfigSource", "spec", "url", url, "interval", "1h", "prune", 1));
}

static bool fence; // instead of a fault

static struct story *story_start(struct batch *batch, unsigned at, enum fault fault, bool kill,
                                 bool hold)
{
    static unsigned count;
    struct story *s = NEW(struct story);

    *s = (struct story){
        .scene = {.at = at, .fault = fault, .kill = kill, .fence = fence, .backoff_ms_max = 1000},
        .number = ++count,
        .hold = hold};
    s->kinds = buf_make(100000);
    set_head(s, FIRST);
    scene_open(&s->scene, batch, s);
    strlist_add(&s->scene.governing, "ns");
    s->scene.api->choose = choose;
    s->scene.api->on_write = on_write;
    seed(s);
    scene_start_controller(&s->scene);
    return s;
}

static void story_free(struct story *s)
{
    scene_fini(&s->scene);
    buf_fini(&s->kinds);
    mem_free(s);
}

// The kinds of the requests that an undisturbed one takes; yours.
static char *run_alone(bool hold)
{
    struct batch batch = {.loop = loop_new()};
    struct story *s = story_start(&batch, NEVER, FAULT_NONE, false, hold);
    char *kinds;

    on_tick(s);
    loop_run(batch.loop);
    kinds = buf_take(&s->kinds);
    story_free(s);
    loop_free(batch.loop);
    return kinds;
}

#define BATCH 16
#define READS 7 // one of so many requests that change nothing

static bool is_chosen(char kind, unsigned at)
{
    return kind != 'r' || at % READS == 0 || getenv("DRAWBRIDGE_TORTURE_ALL");
}

// At every other one the controller is killed, unless answers are to be lies.
static void run_each(bool hold, bool lie)
{
    static const enum fault faults[] = {FAULT_409, FAULT_500, FAULT_CUT_AFTER};
    AUTO_MEM char *kinds = run_alone(hold);
    unsigned at = 0;

    log_set_level(LOG_ERROR);
    while (kinds[at]) {
        struct batch batch = {.loop = loop_new()};
        struct story *stories[BATCH];
        size_t len = 0;

        for (; kinds[at] && len < BATCH; at++) {
            bool kill = !lie && at % 2 == (hold ? 0 : 1);
            enum fault fault = kill ? FAULT_CUT_AFTER : faults[at % COUNT(faults)];

            if (!is_chosen(kinds[at], at))
                continue;
            stories[len] = story_start(&batch, at, lie ? fake_lie_of(at) : fault, kill, hold);
            on_tick(stories[len++]);
        }
        if (batch.running > 0)
            loop_run(batch.loop);
        for (size_t i = 0; i < len; i++)
            story_free(stories[i]);
        loop_free(batch.loop);
    }
}

TEST(two_commits_and_nothing_new)
{
    make_worker();
    mem_free(run_alone(false));
}

TEST(a_request_fails_or_the_controller_is_killed)
{
    make_worker();
    run_each(false, false);
}

TEST(a_request_is_answered_with_a_lie)
{
    make_worker();
    run_each(false, true);
}

// It stays in the inventory, and goes with the next try.
TEST(a_deletion_is_refused_and_the_answer_is_a_lie)
{
    struct batch batch = {.loop = loop_new()};
    struct story *stories[FAULT_COUNT];
    size_t len = 0;

    make_worker();
    for (int lie = FAULT_LIE_CUT; lie < FAULT_COUNT; lie++) {
        struct story *s = story_start(&batch, NEVER, FAULT_NONE, false, false);

        s->denial = (enum fault)lie;
        on_tick(s);
        stories[len++] = s;
    }
    loop_run(batch.loop);
    for (size_t i = 0; i < len; i++) {
        CHECK_INT(stories[i]->denial, FAULT_NONE); // it was told
        story_free(stories[i]);
    }
    loop_free(batch.loop);
}

TEST(a_commit_that_is_held)
{
    make_worker();
    mem_free(run_alone(true));
}

TEST(held_and_a_request_fails_or_the_controller_is_killed)
{
    make_worker();
    run_each(true, false);
}

TEST(with_the_lease_lost_at_each_request_no_write_leaves)
{
    make_worker();
    fence = true;
    run_each(false, false);
}

TEST(held_and_with_the_lease_lost_at_each_request_no_write_leaves)
{
    make_worker();
    fence = true;
    run_each(true, false);
}

// --- single ones ---------------------------------------------------------------------------------

struct wait {
    struct story *s;
    bool (*holds)(const struct story *s);
    struct op *tick;
};

static void on_wait(void *owner)
{
    struct wait *wait = owner;

    wait->tick = NULL;
    check_progress(wait->s);
    if (wait->holds(wait->s))
        loop_stop(wait->s->scene.loop);
    else
        wait->tick = loop_sleep(wait->s->scene.loop, TICK_MS, on_wait, wait);
}

static void until(struct story *s, bool (*holds)(const struct story *s))
{
    struct wait wait = {.s = s, .holds = holds};

    on_wait(&wait);
    loop_run(s->scene.loop);
}

static bool first_is_in_force(const struct story *s)
{
    return is_in_force(s, FIRST);
}

static bool second_is_in_force(const struct story *s)
{
    return is_in_force(s, SECOND);
}

static bool is_away(const struct story *s)
{
    return str_eq(condition(s, "Fetched", "reason"), "GitUnreachable");
}

static bool one_is_as_it_was(const struct story *s)
{
    return has_gates(s, "one", "{\"A\":true}") && s->written > s->quiet_from;
}

static void on_passed(void *owner)
{
    struct story *s = owner;

    s->scene.tick = NULL;
    loop_stop(s->scene.loop);
}

static void let_pass(struct story *s, uint64_t ms)
{
    s->scene.tick = loop_sleep(s->scene.loop, ms, on_passed, s);
    loop_run(s->scene.loop);
}

TEST(away_and_an_object_is_put_back)
{
    struct batch batch = {.loop = loop_new()};
    struct story *s;

    make_worker();
    s = story_start(&batch, NEVER, FAULT_NONE, false, false);
    until(s, first_is_in_force);
    set_head(s, "away");
    ask_for_look(s, "away");
    until(s, is_away);
    CHECK_HAS(condition(s, "Ready", "message"),
              "no route; in force: main@sha1:" FIRST "; last success: 20");
    CHECK_STR(condition(s, "Ready", "status"), "False");
    // what came from it is kept in place, and that is no look
    s->quiet_from = s->written;
    fake_edit(s->scene.api, CONFIGS "one",
              json_pack("{s:{s:{s:b}}}", "spec", "featureGates", "C", 1));
    until(s, one_is_as_it_was);
    let_pass(s, 300);
    CHECK(is_away(s));
    CHECK_STR(condition(s, "Ready", "status"), "False");
    s->phase = PHASE_SECOND;
    set_head(s, SECOND);
    ask_for_look(s, "back");
    until(s, second_is_in_force);
    story_free(s);
    loop_free(batch.loop);
}

static bool three_is_refused(const struct story *s)
{
    return str_eq(condition(s, "Applied", "reason"), "Conflict");
}

TEST(a_commit_that_is_applied_in_part)
{
    struct batch batch = {.loop = loop_new()};
    struct story *s;

    make_worker();
    write_in_dir("answer.3", "{\"ref\":\"main\",\"head\":\"3\",\"commit\":\"3\",\"fetched\":true,"
                             "\"documents\":[" CONFIG_OF("four", "A") "," CONFIG_OF(
                                 "one", "A") "," CONFIG_OF("three", "A") "]}");
    s = story_start(&batch, NEVER, FAULT_NONE, false, false);
    s->refused = "three";
    s->phase = PHASE_SECOND;
    until(s, first_is_in_force);
    set_head(s, "3");
    ask_for_look(s, "in part");
    until(s, three_is_refused);
    CHECK(has_gates(s, "four", "{\"A\":true}") && !fake_get(s->scene.api, CONFIGS "three"));
    CHECK_STR_TAKE(inventory(s), "one two four ");
    CHECK_STR(doc_str(fake_get(s->scene.api, SOURCE), "status", "lastAppliedRevision", NULL),
              "main@sha1:" FIRST);
    s->refused = NULL;
    set_head(s, SECOND);
    ask_for_look(s, "second");
    until(s, second_is_in_force);
    check_second(s);
    CHECK(!fake_get(s->scene.api, CONFIGS "four"));
    story_free(s);
    loop_free(batch.loop);
}

static bool is_refused(const struct story *s)
{
    return str_eq(condition(s, "Applied", "reason"), "InvalidDocument");
}

TEST(a_newer_version_that_is_refused)
{
    struct batch batch = {.loop = loop_new()};
    struct story *s;

    make_worker();
    write_in_dir("answer.4", "{\"ref\":\"v1.2.0\",\"head\":\"4\",\"commit\":\"4\",\"fetched\":true,"
                             "\"documents\":[{\"file\":\"f.yaml\",\"index\":0,\"object\":{}}]}");
    s = story_start(&batch, NEVER, FAULT_NONE, false, false);
    until(s, first_is_in_force);
    set_head(s, "4");
    ask_for_look(s, "refused");
    until(s, is_refused);
    // each revision with the reference that it was of
    CHECK_STR(doc_str(fake_get(s->scene.api, SOURCE), "status", "lastAppliedRevision", NULL),
              "main@sha1:" FIRST);
    CHECK_STR(doc_str(fake_get(s->scene.api, SOURCE), "status", "lastAttemptedRevision", NULL),
              "v1.2.0@sha1:4");
    check_first(s);
    story_free(s);
    loop_free(batch.loop);
}

static bool look_again_is_handled(const struct story *s)
{
    return was_handled(s, "again");
}

// What was signed and is in force stays good when its key expires, also for a process that has not
// seen it before: the worker is told which commit that is.
TEST(the_worker_is_told_which_commit_was_found_to_be_signed_before)
{
    struct batch batch = {.loop = loop_new()};
    AUTO_MEM char *name = NULL;
    AUTO_MEM char *path = NULL;
    AUTO_MEM char *first = NULL;
    AUTO_MEM char *again = NULL;
    struct story *s;

    make_worker();
    s = story_start(&batch, NEVER, FAULT_NONE, false, false);
    name = str_format("request.%u", s->number);
    path = test_path(name);
    until(s, first_is_in_force);
    first = test_read(path);
    CHECK(!strstr(first, "\"verified\":"));
    fake_edit(s->scene.api, SOURCE, json_pack("{s:{s:s}}", "status", "signer", "ops@example.org"));
    ask_for_look(s, "again");
    until(s, look_again_is_handled);
    again = test_read(path);
    CHECK_HAS(again, "\"verified\":\"" FIRST "\"");
    story_free(s);
    loop_free(batch.loop);
}

static bool all_stall(const struct story *s)
{
    unsigned count = 0;

    (void)s;
    for (unsigned i = 1; i <= 4; i++) {
        AUTO_MEM char *name = str_format("stall.%u", i);
        AUTO_MEM char *path = test_path(name);

        count += access(path, F_OK) == 0;
    }
    return count >= 2; // so many of one namespace run at once
}

#define STALLED "/apis/drawbridge.dev/v1alpha1/namespaces/slow/configsources/stall-"

static bool one_waits(const struct story *s)
{
    for (unsigned i = 1; i <= 4; i++) {
        AUTO_MEM char *path = str_format(STALLED "%u", i);
        const json_t *conditions =
            doc_get(fake_get(s->scene.api, path), "status", "conditions", NULL);

        for (size_t k = 0; k < json_array_size(conditions); k++)
            if (strstr(doc_str(json_array_get(conditions, k), "message", NULL),
                       "Waiting for its turn"))
                return true;
    }
    return false;
}

// What an earlier process said of generation 1.
static json_t *said_before(void)
{
    static const struct {
        const char *type, *status, *reason, *message;
    } rows[] = {
        {"Ready", "True", "AsExpected", "Applied revision main@sha1:" FIRST},
        {"Fetched", "True", "AsExpected", "main@sha1:" FIRST},
        {"SourceVerified", "False", "VerificationNotRequested",
         "spec.verify is not set: whoever may push to the repository may configure"},
        {"Applied", "True", "AsExpected", "Applied revision main@sha1:" FIRST},
    };
    json_t *conditions = json_array();

    for (size_t i = 0; i < COUNT(rows); i++)
        json_array_append_new(conditions,
                              json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "type", rows[i].type,
                                        "status", rows[i].status, "observedGeneration", 1,
                                        "lastTransitionTime", "2026-01-01T00:00:00Z", "reason",
                                        rows[i].reason, "message", rows[i].message));
    return json_pack("{s:i, s:s, s:s, s:s, s:o}", "observedGeneration", 1, "lastAttemptedRevision",
                     "main@sha1:" FIRST, "lastAppliedRevision", "main@sha1:" FIRST,
                     "lastKnownGoodRevision", "main@sha1:" FIRST, "conditions", conditions);
}

TEST(four_slow_repositories_hold_nobody_elses_and_who_waits_stays_what_was_said)
{
    struct batch batch = {.loop = loop_new()};
    AUTO_JSON json_t *before = said_before();
    AUTO_MEM char *want = doc_print_json(before);
    struct story *s;

    make_worker();
    s = story_start(&batch, NEVER, FAULT_NONE, false, false);
    // The last one's spec is another one than was spoken of.
    for (unsigned i = 1; i <= 4; i++) {
        AUTO_MEM char *path = str_format(STALLED "%u", i);
        AUTO_MEM char *url = str_format("https://h/stall.%u", i);

        fake_seed(s->scene.api, path,
                  json_pack("{s:s, s:s, s:{s:s, s:s}, s:o}", "apiVersion", API_GROUP_VERSION,
                            "kind", "ConfigSource", "spec", "url", url, "interval", "1h", "status",
                            doc_copy(before)));
    }
    fake_edit(s->scene.api, STALLED "4", json_pack("{s:{s:s}}", "spec", "interval", "2h"));
    fake_edit(s->scene.api, SOURCE, json_pack("{s:{s:b}}", "spec", "suspend", 1));
    until(s, all_stall);
    until(s, one_waits);
    fake_edit(s->scene.api, SOURCE, json_pack("{s:{s:b}}", "spec", "suspend", 0));
    until(s, first_is_in_force);
    for (unsigned i = 1; i <= 3; i++) {
        AUTO_MEM char *path = str_format(STALLED "%u", i);

        CHECK_STR_TAKE(doc_print_json(json_object_get(fake_get(s->scene.api, path), "status")),
                       want);
    }
    story_free(s);
    loop_free(batch.loop);
}

static bool deployments_are_followed(const struct story *s)
{
    const char *log = s->scene.api->log.ptr;

    return log && strstr(log, "GET /apis/apps/v1/namespaces/ns/deployments?watch=true");
}

// What a ConfigSource applies is our own write, and is noticed like anybody's.
TEST(a_hosted_control_plane_from_a_source_is_followed)
{
    struct batch batch = {.loop = loop_new()};
    struct story *s;

    make_worker();
    write_in_dir("answer.5",
                 "{\"ref\":\"main\",\"head\":\"5\",\"commit\":\"5\",\"fetched\":true,"
                 "\"documents\":[{\"file\":\"f.yaml\",\"index\":0,\"object\":{\"apiVersion\":"
                 "\"" API_GROUP_VERSION "\",\"kind\":\"DRAConfiguration\",\"metadata\":{\"name\":"
                 "\"hosted\"},\"spec\":{\"platform\":{\"type\":\"HostedControlPlane\"}}}}]}");
    s = story_start(&batch, NEVER, FAULT_NONE, false, false);
    s->phase = PHASE_SECOND;
    set_head(s, "5");
    until(s, deployments_are_followed);
    story_free(s);
    loop_free(batch.loop);
}

static bool is_suspended(const struct story *s)
{
    return str_eq(condition(s, "Ready", "reason"), "Suspended");
}

TEST(suspended)
{
    struct batch batch = {.loop = loop_new()};
    struct story *s;

    make_worker();
    s = story_start(&batch, NEVER, FAULT_NONE, false, false);
    until(s, first_is_in_force);
    fake_edit(s->scene.api, SOURCE, json_pack("{s:{s:b}}", "spec", "suspend", 1));
    until(s, is_suspended);
    set_head(s, SECOND);
    ask_for_look(s, "suspended");
    fake_edit(s->scene.api, CONFIGS "one",
              json_pack("{s:{s:{s:b}}}", "spec", "featureGates", "C", 1));
    s->quiet_from = s->written;
    let_pass(s, 500);
    CHECK_INT(s->written, s->quiet_from);
    CHECK(is_suspended(s) && !was_handled(s, "suspended"));
    s->phase = PHASE_SECOND;
    fake_edit(s->scene.api, SOURCE, json_pack("{s:{s:b}}", "spec", "suspend", 0));
    until(s, second_is_in_force);
    check_second(s);
    story_free(s);
    loop_free(batch.loop);
}

TEST_MAIN()
