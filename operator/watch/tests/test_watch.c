// SPDX-License-Identifier: Apache-2.0
// The reflector against a scripted collection.
#include "fake_api.h"

TEST(follows_a_collection)
{
    struct fake *fake = fake_new();
    fake_put(fake, "a", 1);
    fake_put(fake, "b", 1);
    fake_follow(fake);
    CHECK(!watch_synced(fake->watch));
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK(fake->synced);
    CHECK_STR(fake->log.ptr, "a:-1>1 b:-1>1 ");
    CHECK_HAS(fake->last_list, "resourceVersion=0");
    world_run_for(fake->world, 30);
    CHECK_HAS(fake->world->target, "watch=true");
    CHECK_HAS(fake->world->target, "resourceVersion=102");
    buf_reset(&fake->log);
    fake_put(fake, "a", 2);
    fake_put(fake, "c", 1);
    fake_remove(fake, "b");
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_STR(fake->log.ptr, "a:1>2 c:-1>1 b:1>-1 ");
    CHECK(watch_error(fake->watch) == NULL);
    const json_t *a = watch_get(fake->watch, "a");
    CHECK(doc_get(a, "metadata", "managedFields", NULL) == NULL);
    CHECK(watch_get(fake->watch, "a") == a); // one tree a turn
    CHECK(watch_get(fake->watch, "b") == NULL);
    fake_free(fake);
}

static uint64_t tens(const json_t *object)
{
    return 1 + (uint64_t)doc_int(object, 0, "value", NULL) / 10;
}

TEST(the_version_that_the_api_server_prefers_is_asked_for_before_each_list)
{
    struct fake *fake = fake_new();
    fake->preferred = "v1beta2";
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_HAS(fake->last_list, "/apis/e/v1beta2/things");
    world_run_for(fake->world, 30);
    CHECK_HAS(fake->world->target, "/apis/e/v1beta2/things");
    fake->preferred = "v1";
    fake_compact(fake);
    fake_put(fake, "b", 1);
    fake_compact(fake);
    fake_end_watches(fake, true);
    CHECK(fake_wait_agreed(fake, 5000));
    CHECK_HAS(fake->last_list, "/apis/e/v1/things");
    fake_free(fake);
}
TEST(discovery_that_names_no_version_is_a_failure_with_a_word)
{
    struct fake *fake = fake_new();
    fake->preferred = "";
    fake_follow(fake);
    world_run_for(fake->world, 50);
    CHECK_INT(fake->lists, 0);
    CHECK_HAS(error_text(watch_error(fake->watch)), "names no version");
    fake_free(fake);
}
TEST(a_change_of_another_facet_is_kept_and_not_told)
{
    struct fake *fake = fake_new();
    fake->facet = tens;
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_STR(fake->log.ptr, "a:-1>1 ");
    world_run_for(fake->world, 30);
    fake_put(fake, "a", 2);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 2);
    CHECK_INT(fake->changes, 1);
    fake_put(fake, "a", 12);
    fake_put(fake, "b", 3);
    fake_remove(fake, "a");
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_STR(fake->log.ptr, "a:-1>1 a:2>12 b:-1>3 a:12>-1 ");
    fake_free(fake);
}

static unsigned trees; // that a facet was made of

static uint64_t tag(const json_t *object)
{
    trees++;
    return slice_hash(slice_of(doc_str(object, "metadata", "tag", NULL)), 0) | 1;
}

static bool same_tag(const struct kube_glance *was, const struct kube_glance *now)
{
    struct slice a = kube_field_text(&was->metadata, "tag"),
                 b = kube_field_text(&now->metadata, "tag");
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

// line: of MODIFIED, with %s where the next version belongs. What was told of it since.
static const char *send_text(struct fake *fake, const char *line)
{
    AUTO_MEM char *version = str_format("%lld", (long long)++fake->version);
    const char *at = strstr(line, "%s");
    AUTO_MEM char *sent = str_format("{\"type\":\"MODIFIED\",\"object\":%.*s%s%s}\n",
                                     (int)(at - line), line, version, at + 2);
    buf_reset(&fake->log);
    trees = 0;
    fake_send_event(fake, sent);
    world_run_for(fake->world, 30);
    return fake->log.len ? fake->log.ptr : "";
}

static struct fake *follow_tags(void)
{
    struct fake *fake = fake_new();
    fake->facet = tag;
    fake->same_facet = same_tag;
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    CHECK_STR(send_text(fake, "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\","
                              "\"tag\":\"x\"},\"value\":1}"),
              "a:-1>1 ");
    CHECK_INT(trees, 1);
    return fake;
}

// Kept, with its version, and no tree is made to find that out.
TEST(a_change_whose_text_says_that_it_is_no_news_costs_no_tree)
{
    static const char *const rows[] = {
        "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"x\",\"labels\":{\"l\":"
        "\"1\"}},\"value\":2}",
        "{\"value\":3,\"metadata\":{\"tag\":\"x\",\"resourceVersion\":\"%s\",\"name\":\"a\"}}",
        "{ \"value\" : 4 , \"metadata\" :{\"tag\":\"x\" ,\"name\": \"a\",\"resourceVersion\" : "
        "\"%s\"} }",
        "{\"metadata\":{\"tag\":\"x\",\"name\":\"a\",\"resourceVersion\":\"%s\",\"managedFields\":["
        "{"
        "\"f:tag\":{\"k:{\\\"tag\\\"}\":1}}]},\"value\":5}",
    };
    struct fake *fake = follow_tags();
    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_STR(send_text(fake, rows[i]), "");
        CHECK_INT(trees, 0);
        const json_t *a = watch_get(fake->watch, "a");
        AUTO_MEM char *version = str_format("%lld", (long long)fake->version);
        CHECK_INT(doc_int(a, 0, "value", NULL), (int64_t)i + 2);
        CHECK_STR(doc_str(a, "metadata", "resourceVersion", NULL), version);
        CHECK(!doc_get(a, "metadata", "managedFields", NULL));
        CHECK(kube_is_newer(version, "101"));
    }
    // The watch goes on from the last of them.
    fake_end_watches(fake, false);
    world_run_for(fake->world, 30);
    CHECK_HAS(fake->world->target, "resourceVersion=105");
    fake_free(fake);
}

// However it is written: it is told, or named as one that cannot be read.
TEST(a_change_that_means_something_is_never_taken_for_none)
{
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"y\"},\"value\":2}",
         "a:1>2 "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\"},\"value\":2}", "a:1>2 "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"t\\u0061g\":\"y\"},\"value\":"
         "2}",
         "a:1>2 "},
        {"{\"metadata\":{\"name\":\"\\u0061\",\"resourceVersion\":\"%s\",\"tag\":\"y\"},\"value\":"
         "2}",
         "a:1>2 "},
        {"{\"met\\u0061data\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"y\"},\"value\":"
         "2}",
         "a:1>2 "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":[\"x\"]},\"value\":2}",
         "a:1>2 "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"x\":{\"tag\":\"x\"}},"
         "\"value\":2}",
         "a:1>2 "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\"},\"tag\":\"x\",\"value\":2}",
         "a:1>2 "},
        {"{\"spec\":{\"metadata\":{\"tag\":\"x\"}},\"metadata\":{\"name\":\"a\","
         "\"resourceVersion\":\"%s\","
         "\"tag\":\"y\"},\"value\":2}",
         "a:1>2 "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"x\",\"tag\":\"y\"},"
         "\"value\":2}",
         "(a Invalid) "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"x\",\"t\\u0061g\":"
         "\"y\"},"
         "\"value\":2}",
         "(a Invalid) "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"x\"},\"value\":2,"
         "\"metadata\":{"
         "\"tag\":\"y\"}}",
         "(a Invalid) "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"x\"},\"value\":2},"
         "\"object\":{"
         "\"metadata\":{\"tag\":\"y\"}}",
         "(a Invalid) "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"x\"},\"value\":2,"
         "\"l\":{\"b\":1,"
         "\"b\":2}}",
         "(a Invalid) "},
        {"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"x\"},\"value\":2,"
         "\"l\":tru}",
         "(a Invalid) "},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fake *fake = follow_tags();
        CHECK_STR(send_text(fake, rows[i].text), rows[i].told);
        fake_free(fake);
    }
}

// What a look at the text leaves in doubt, the tree decides.
TEST(a_change_that_is_in_doubt_costs_a_tree_and_is_no_news_all_the_same)
{
    static const char *const rows[] = {
        "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"\\u0078\"},\"value\":"
        "2}",
        "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"t\\u0061g\":\"x\"},\"value\":"
        "2}",
        "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"x\"},\"value\":2,\"l\":"
        "123456789012345678901234567890}",
        "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\",\"tag\":\"x\"},\"value\":2,\"l\":"
        "\"\\u0000\"}",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fake *fake = follow_tags();
        CHECK_STR(send_text(fake, rows[i]), "");
        CHECK_INT(trees, 1);
        CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 2);
        fake_free(fake);
    }
}

// The answer to our own write, then its echo.
TEST(an_answer_and_its_echo_cost_no_tree)
{
    static const char text[] = "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\","
                               "\"tag\":\"x\"},\"value\":2}",
                      older[] = "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"102\","
                                "\"tag\":\"y\"},\"value\":9,\"l\":\"%s\"}";
    struct fake *fake = follow_tags();
    struct kube_glance glance;
    AUTO_MEM char *other = str_dup("{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"103\","
                                   "\"tag\":\"y\"},\"value\":2}"),
                  *answer = str_dup("{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"103\","
                                    "\"tag\":\"x\"},\"value\":2}");
    trees = 0;
    buf_reset(&fake->log);
    CHECK(kube_glance(slice_of(other), &glance));
    CHECK(!watch_note_glance(fake->watch, &glance)); // news: somebody has to look at it
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 1);
    CHECK(kube_glance(slice_of(answer), &glance));
    CHECK(watch_note_glance(fake->watch, &glance));
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 2);
    // An event from before our write comes late: what we know is newer.
    CHECK_STR(send_text(fake, older), "");
    CHECK_INT(trees, 0);
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 2);
    CHECK_STR(send_text(fake, text), ""); // 103
    CHECK_INT(trees, 0);
    AUTO_MEM char *unknown = str_dup("{\"metadata\":{\"name\":\"b\",\"resourceVersion\":\"104\"}}");
    CHECK(kube_glance(slice_of(unknown), &glance));
    CHECK(!watch_note_glance(fake->watch, &glance));
    fake_free(fake);
}

TEST(a_watch_that_ends_goes_on_from_its_version)
{
    struct fake *fake = fake_new();
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    fake->version += 50; // of other collections
    fake_bookmark(fake);
    world_run_for(fake->world, 30);
    fake_end_watches(fake, false);
    world_run_for(fake->world, 30);
    CHECK_HAS(fake->world->target, "resourceVersion=151");
    CHECK_INT(fake->lists, 1);
    fake_put(fake, "a", 2);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_INT(fake->changes, 2);
    fake_free(fake);
}

TEST(after_410_it_lists_again_and_reports_differences_only)
{
    struct fake *fake = fake_new();
    fake_put(fake, "same", 1);
    fake_put(fake, "changes", 1);
    fake_put(fake, "goes", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    fake_bookmark(fake);
    world_run_for(fake->world, 30);
    buf_reset(&fake->log);
    fake_end_watches(fake, true);
    fake_put(fake, "changes", 2);
    fake_remove(fake, "goes");
    fake_put(fake, "new", 1);
    fake_compact(fake);
    CHECK(fake_wait_agreed(fake, 5000));
    world_run_for(fake->world, 20);
    CHECK_STR(fake->log.ptr, "changes:1>2 new:-1>1 goes:1>-1 ");
    CHECK_INT(fake->lists, 2);
    CHECK(strstr(fake->last_list, "resourceVersion=") == NULL); // the newest there is
    fake_free(fake);
}

TEST(a_failing_server_is_named_and_comes_back)
{
    struct fake *fake = fake_new();
    fake->fault = FAULT_500;
    fake->fault_at = 0;
    fake_put(fake, "a", 1);
    fake_follow(fake);
    while (!watch_error(fake->watch))
        world_run_for(fake->world, 5);
    CHECK_STR(error_text(watch_error(fake->watch)), "fault");
    CHECK(!watch_synced(fake->watch));
    CHECK(fake_wait_agreed(fake, 3000));
    CHECK(watch_error(fake->watch) == NULL);
    fake_free(fake);
}

static uint64_t skew_ms;

static uint64_t skewed_clock(void)
{
    clock_set_source(NULL, NULL);
    uint64_t now_ms = clock_ms() + skew_ms;
    clock_set_source(skewed_clock, NULL);
    return now_ms;
}

// Until it waits before another try.
static void wait_for_pause(struct fake *fake)
{
    while (!watch_error(fake->watch) || watch_term(fake->watch))
        world_run_for(fake->world, 5);
}

static void wait_for_another_try(struct fake *fake)
{
    unsigned asked = fake->world->step;
    while (fake->world->step == asked)
        world_run_for(fake->world, 5);
    wait_for_pause(fake);
}

// Lines of a log with both of these.
static unsigned count_lines(const char *log, const char *level, const char *words)
{
    struct slice rest = slice_of(log), line;
    unsigned count = 0;
    while (slice_cut(&rest, '\n', &line)) {
        AUTO_MEM char *text = slice_dup(line);
        count += strstr(text, level) && strstr(text, words);
    }
    return count;
}

TEST(what_is_not_followed_for_a_minute_has_failed)
{
    struct fake *fake = fake_new();
    AUTO_MEM char *log = NULL;
    test_capture();
    clock_set_source(skewed_clock, NULL);
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    fake->fault = FAULT_500;
    fake->fault_lasts = true;
    fake_end_watches(fake, true);
    wait_for_pause(fake);
    skew_ms += WATCH_FAILED_MS / 2;
    CHECK(watch_failed(fake->watch) == NULL);
    skew_ms += WATCH_FAILED_MS / 2;
    CHECK(watch_failed(fake->watch) != NULL);
    for (int i = 0; i < 2; i++)
        wait_for_another_try(fake);
    fake->fault_lasts = false;
    fake_put(fake, "a", 2);
    CHECK(fake_wait_agreed(fake, 10000));
    CHECK(watch_failed(fake->watch) == NULL);
    fake_free(fake);
    log = test_captured();
    CHECK_INT(count_lines(log, " warn ", "things cannot be followed, trying again: fault"), 1);
    CHECK_INT(count_lines(log, " warn ", "things have not been followed for a minute: fault"), 1);
    CHECK_INT(count_lines(log, " info ", "things are followed again"), 1);
}

TEST(a_list_that_works_does_not_hide_a_watch_that_fails)
{
    struct fake *fake = fake_new();
    clock_set_source(skewed_clock, NULL);
    fake->fault = FAULT_GARBAGE;
    fake->fault_of_watches = true;
    fake_put(fake, "a", 1);
    fake_follow(fake);
    wait_for_pause(fake);
    skew_ms += WATCH_FAILED_MS;
    CHECK(watch_synced(fake->watch));
    CHECK_HAS(watch_failed(fake->watch), "not JSON");
    fake_free(fake);
}

// Each refusal is followed by a list, and that works.
TEST(lists_that_work_do_not_hide_that_watching_is_refused)
{
    struct fake *fake = fake_new();
    clock_set_source(skewed_clock, NULL);
    fake->fault = FAULT_403;
    fake->fault_of_watches = true;
    fake_put(fake, "a", 1);
    fake_follow(fake);
    wait_for_pause(fake);
    skew_ms += WATCH_FAILED_MS;
    for (unsigned lists = fake->lists; fake->lists < lists + 2;)
        wait_for_another_try(fake);
    CHECK(watch_synced(fake->watch));
    CHECK_HAS(watch_failed(fake->watch), "fault");
    fake_free(fake);
}

// Of the last try in a log: "things: again in N ms: ...".
static uint64_t last_pause_ms(const char *log)
{
    static const char words[] = "things: again in ";
    const char *found = NULL;
    uint64_t ms = 0;
    for (const char *at = strstr(log, words); at; at = strstr(at + 1, words))
        found = at + strlen(words);
    CHECK(found && slice_to_u64((struct slice){found, strcspn(found, " ")}, &ms));
    return ms;
}

TEST(a_server_that_refuses_after_it_was_away_is_asked_again_soon)
{
    struct fake *fake = fake_new();
    AUTO_MEM char *path = test_path("stderr");
    AUTO_MEM char *log = NULL;
    unsigned pauses = 0;
    log_set_level(LOG_DEBUG);
    rand_seed(7); // with which the fourth pause of an outage is long
    fake->fault = FAULT_500;
    fake->fault_lasts = true;
    fake_put(fake, "a", 1);
    test_capture();
    fake_follow(fake);
    while (pauses < 3) {
        world_run_for(fake->world, 5);
        AUTO_MEM char *so_far = test_read(path);
        pauses = count_lines(so_far, "debug", "things: again in ");
    }
    // It is back, and has not read its roles yet.
    fake->fault = FAULT_403;
    while (error_kind(watch_error(fake->watch)) != ERROR_DENIED)
        world_run_for(fake->world, 5);
    log = test_captured();
    CHECK(last_pause_ms(log) <= 800);
    fake_free(fake);
}

#define TWICE(name, version)                                                                       \
    "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"},\"x\":1,\"x\":2}"

TEST(an_object_that_cannot_be_read_does_not_stop_the_others)
{
    struct fake *fake = fake_new();
    fake_put(fake, "a", 1);
    fake->raw = TWICE("bad", "99");
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_STR(fake->log.ptr, "(bad Invalid) a:-1>1 ");
    world_run_for(fake->world, 30);
    buf_reset(&fake->log);
    fake_send_event(fake, "{\"type\":\"MODIFIED\",\"object\":" TWICE("worse", "102") "}\n");
    fake->version = 102;
    fake_put(fake, "b", 1);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_STR(fake->log.ptr, "(worse Invalid) b:-1>1 ");
    CHECK(watch_error(fake->watch) == NULL);
    fake_free(fake);
}

TEST(what_was_read_before_stays_while_it_cannot_be_read)
{
    struct fake *fake = fake_new();
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    buf_reset(&fake->log);
    fake_send_event(fake, "{\"type\":\"MODIFIED\",\"object\":" TWICE("a", "102") "}\n");
    // The next list has it in this form, too.
    json_object_clear(fake->objects);
    fake->raw = TWICE("a", "102");
    fake->version = 103; // beyond what the watch has seen
    fake_compact(fake);
    fake_end_watches(fake, false);
    while (fake->lists < 2)
        world_run_for(fake->world, 5);
    world_run_for(fake->world, 30);
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 1);
    // When it is gone, it is gone.
    fake_send_event(fake, "{\"type\":\"DELETED\",\"object\":" TWICE("a", "104") "}\n");
    world_run_for(fake->world, 30);
    CHECK_STR(fake->log.ptr, "(a Invalid) (a Invalid) a:1>-1 ");
    fake_free(fake);
}

TEST(freed_inside_a_change)
{
    for (int by_event = 0; by_event < 2; by_event++) {
        struct fake *fake = fake_new();
        if (by_event) {
            fake_follow(fake);
            CHECK(fake_wait_agreed(fake, 2000));
            world_run_for(fake->world, 30);
        }
        fake_put(fake, "a", 1);
        fake_put(fake, "b", 1);
        fake->free_in_change = true;
        if (!by_event)
            fake_follow(fake);
        world_run_for(fake->world, 50);
        CHECK_INT(fake->changes, 1);
        CHECK(fake->watch == NULL);
        fake_free(fake);
    }
}

TEST(freed_at_every_turn)
{
    for (uint64_t turns = 0; turns < 20; turns++) {
        struct fake *fake = fake_new();
        fake_put(fake, "a", 1);
        fake_follow(fake);
        uint64_t until = loop_turns(fake->world->loop) + turns;
        while (loop_turns(fake->world->loop) < until)
            world_run_for(fake->world, 0);
        watch_free(TAKE(fake->watch));
        unsigned changes = fake->changes;
        world_run_for(fake->world, 5);
        CHECK_INT(fake->changes, changes);
        fake_free(fake);
    }
}

// What the API server answered to a write of ours that made this version.
static json_t *answer(const char *name, const char *version, int value)
{
    return json_pack("{s:{s:s, s:s}, s:i}", "metadata", "name", name, "resourceVersion", version,
                     "value", value);
}

static void note(struct fake *fake, const char *name, const char *version, int value)
{
    AUTO_JSON json_t *ours = answer(name, version, value);
    watch_note_write(fake->watch, ours);
}

// One that has the first list and follows.
static struct fake *fake_that_follows(const char *name, int value)
{
    struct fake *fake = fake_new();
    if (name)
        fake_put(fake, name, value);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    buf_reset(&fake->log);
    return fake;
}

TEST(our_own_writes_are_seen_at_once_and_reported_like_others)
{
    struct fake *fake = fake_that_follows("a", 1);
    // Somebody else writes 102, we write 103; our answer is there before the events.
    note(fake, "a", "103", 3);
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 3);
    CHECK_STR(fake->log.ptr, "a:1>3 ");
    fake_put(fake, "a", 2);
    world_run_for(fake->world, 30);
    // the older event did not undo it
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 3);
    fake_put(fake, "a", 3);
    world_run_for(fake->world, 30);
    CHECK_STR(fake->log.ptr, "a:1>3 "); // its echo says nothing new
    fake_put(fake, "a", 4);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_STR(fake->log.ptr, "a:1>3 a:3>4 ");
    // The answer to a write that a deletion has overtaken does not bring the object back.
    fake_remove(fake, "a");
    CHECK(fake_wait_agreed(fake, 2000));
    note(fake, "a", "103", 3);
    CHECK_INT(watch_count(fake->watch), 0);
    CHECK_STR(fake->log.ptr, "a:1>3 a:3>4 a:4>-1 ");
    fake_free(fake);
}

TEST(an_object_that_we_make_is_reported_and_its_echo_is_not)
{
    struct fake *fake = fake_that_follows(NULL, 0);
    note(fake, "b", "101", 1);
    CHECK_STR(fake->log.ptr, "b:-1>1 ");
    fake_put(fake, "b", 1);
    world_run_for(fake->world, 30);
    CHECK_STR(fake->log.ptr, "b:-1>1 ");
    fake_free(fake);
}

TEST(freed_in_the_report_of_our_own_write)
{
    struct fake *fake = fake_that_follows("a", 1);
    fake->free_in_change = true;
    note(fake, "a", "102", 2);
    CHECK(fake->watch == NULL);
    fake_free(fake);
}

// The ghost after a Revert: our last write takes the finalizer off, the object goes, the history is
// compacted while the API server is away, and so nothing but a new list can tell.
TEST(no_ghost_after_our_write_the_removal_a_compacted_history_and_a_new_list)
{
    for (int made_by_us = 0; made_by_us < 2; made_by_us++) {
        struct fake *fake = fake_that_follows(made_by_us ? NULL : "a", 1);
        fake_end_watches(fake, true);
        note(fake, "a", "102", 2); // answered before anything else is seen
        CHECK_INT(watch_count(fake->watch), 1);
        fake_put(fake, "a", 1); // 101 or 102: ours
        fake_put(fake, "a", 2);
        fake_remove(fake, "a");
        fake_put(fake, "other", 7);
        fake_compact(fake);
        CHECK(fake_wait_agreed(fake, 5000));
        CHECK_HAS(fake->log.ptr, "a:2>-1 ");
        fake_free(fake);
    }
}

// A server behind a load balancer may list what is older than our write was answered with.
TEST(what_we_wrote_survives_a_list_that_is_older)
{
    struct fake *fake = fake_that_follows("a", 1);
    note(fake, "b", "102", 5);
    buf_reset(&fake->log);
    fake->fault = FAULT_403; // a watch that is refused is followed by a list
    fake->fault_at = fake->world->step + 1;
    fake_end_watches(fake, false);
    while (fake->lists < 2)
        world_run_for(fake->world, 5);
    CHECK_HAS(fake->last_list, "resourceVersion=101");
    world_run_for(fake->world, 60);
    CHECK_INT(watch_count(fake->watch), 2);
    fake_put(fake, "b", 5);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_INT(fake->log.len, 0);
    fake_free(fake);
}

// etcd was restored from a backup: versions begin again below what we wrote.
TEST(a_list_of_the_newest_that_begins_after_our_write_has_the_last_word)
{
    struct fake *fake = fake_that_follows("a", 1);
    note(fake, "a", "500", 8);
    note(fake, "b", "501", 9);
    buf_reset(&fake->log);
    fake_compact(fake);
    fake->compacted++; // the watch is refused: a list of the newest comes
    fake_end_watches(fake, true);
    while (fake->lists < 2)
        world_run_for(fake->world, 5);
    fake->compacted--;
    CHECK(fake_wait_agreed(fake, 5000));
    CHECK_STR(fake->log.ptr, "a:8>1 b:9>-1 ");
    fake_free(fake);
}

// Versions that are no numbers cannot be compared: the server's own list and events count alone.
TEST(an_answer_whose_version_cannot_be_compared_waits_for_the_server)
{
    struct fake *fake = fake_that_follows("a", 1);
    static const char *const versions[] = {"", "0", "0103", "10e", "-103", "x103"};
    for (size_t i = 0; i < COUNT(versions); i++)
        note(fake, "a", versions[i], 9);
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 1);
    CHECK_INT(fake->log.len, 0);
    // longer than any integer of this machine
    note(fake, "a", "100000000000000000000000000000000", 2);
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 2);
    fake_free(fake);
}

TEST(more_objects_than_the_store_may_have_end_the_watch_with_a_word)
{
    struct fake *fake = fake_new();
    fake->objects_max = 2;
    fake_put(fake, "a", 1);
    fake_put(fake, "b", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    fake_put(fake, "c", 1); // by an event
    while (!watch_error(fake->watch))
        world_run_for(fake->world, 5);
    CHECK_STR(error_text(watch_error(fake->watch)), "there are more than 2 things");
    CHECK_INT(error_kind(watch_error(fake->watch)), ERROR_LIMIT);
    unsigned lists = fake->lists;
    while (fake->lists < lists + 2) // and a list is no better
        world_run_for(fake->world, 5);
    CHECK(watch_error(fake->watch) != NULL);
    fake_remove(fake, "a");
    CHECK(fake_wait_agreed(fake, 10000));
    CHECK(watch_error(fake->watch) == NULL);
    fake_free(fake);
}

TEST(trees_of_more_bytes_than_a_watch_may_keep_end_it_with_a_word)
{
    struct fake *fake = fake_new();
    fake->bytes_max = 2500;
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    for (char name[] = "b"; name[0] <= 'f'; name[0]++)
        fake_put(fake, name, 1);
    while (!watch_error(fake->watch))
        world_run_for(fake->world, 5);
    CHECK_STR(error_text(watch_error(fake->watch)),
              "what is kept of all things has more than 2500 bytes");
    for (char name[] = "b"; name[0] <= 'f'; name[0]++)
        fake_remove(fake, name);
    CHECK(fake_wait_agreed(fake, 10000));
    CHECK(watch_error(fake->watch) == NULL);
    fake_free(fake);
}

// Who has another way to look does not ask in vain again, however late it looks what came of it.
TEST(a_refusal_can_be_the_last_word)
{
    struct fake *fake = fake_new();
    fake->refusal_ends = true;
    fake->fault = FAULT_403;
    fake->fault_lasts = true;
    fake_follow(fake);
    world_run_for(fake->world, 2000);
    CHECK_INT(server_requests(fake->world->server), 1);
    CHECK_INT(error_kind(watch_error(fake->watch)), ERROR_DENIED);
    fake_free(fake);
}

TEST(an_idle_watch_does_not_turn_the_loop)
{
    struct fake *fake = fake_new();
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 300);
    uint64_t before = loop_turns(fake->world->loop);
    world_run_for(fake->world, 500);
    CHECK(loop_turns(fake->world->loop) - before <= 4);
    fake_free(fake);
}

TEST_MAIN()
