// SPDX-License-Identifier: Apache-2.0
// Leader election against a scripted Lease.
#include "drawbridge/lead.h"

#include "kube/tests/world.h"

#include <time.h>

static uint64_t skew_ms;
static uint64_t skewed_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + skew_ms;
}

struct lease {
    struct world *world;
    json_t *object; // NULL: there is none
    int64_t version;
    bool silent; // answers nothing
    bool refuse_writes;
    uint64_t write_takes_ms; // on the skewed clock
    unsigned writes;
};

static void store(struct lease *lease, json_t *take_object)
{
    AUTO_MEM char *version = str_format("%lld", (long long)++lease->version);
    doc_set(take_object, json_string(version), "metadata", "resourceVersion", NULL);
    json_decref(lease->object);
    lease->object = take_object;
}

static void reply_object(struct lease *lease, struct server_conn *conn)
{
    AUTO_MEM char *text = doc_print_json(lease->object);
    server_reply(conn, 200, "", text);
}

static void reply_status(struct server_conn *conn, int code, const char *reason)
{
    AUTO_MEM char *text =
        str_format("{\"kind\":\"Status\",\"code\":%d,\"message\":\"%s\",\"reason\":\"%s\"}", code,
                   reason, reason);
    server_reply(conn, code, "", text);
}

static void on_lease_request(void *owner, struct server_conn *conn,
                             const struct server_request *request)
{
    struct lease *lease = owner;
    if (lease->silent)
        return;
    if (str_eq(request->method, "GET")) {
        if (lease->object)
            reply_object(lease, conn);
        else
            reply_status(conn, 404, "NotFound");
        return;
    }
    if (lease->refuse_writes) {
        reply_status(conn, 500, "InternalError");
        return;
    }
    AUTO_JSON json_t *body = NULL;
    CHECK_OK(doc_parse_json(request->body, "body", &body));
    bool create = str_eq(request->method, "POST");
    const char *based_on = doc_str(body, "metadata", "resourceVersion", NULL);
    if (create && lease->object) {
        reply_status(conn, 409, "AlreadyExists");
    } else if (!create && !lease->object) {
        reply_status(conn, 404, "NotFound");
    } else if (!create &&
               !str_eq(based_on, doc_str(lease->object, "metadata", "resourceVersion", NULL))) {
        reply_status(conn, 409, "Conflict");
    } else {
        lease->writes++;
        skew_ms += lease->write_takes_ms;
        store(lease, TAKE(body));
        reply_object(lease, conn);
    }
}

struct candidate {
    struct lead *lead;
    unsigned gained, lost;
    bool free_when_lost;
    const char *says_first;
};

static void on_gained(void *owner)
{
    struct candidate *candidate = owner;
    candidate->gained++;
}

static void on_lost(void *owner)
{
    struct candidate *candidate = owner;
    candidate->lost++;
    if (candidate->free_when_lost)
        lead_free(TAKE(candidate->lead));
}

static struct lease *lease_new(void)
{
    struct lease *lease = NEW(struct lease);
    lease->world = world_new(on_lease_request);
    lease->world->script_owner = lease;
    return lease;
}

static void lease_free(struct lease *lease)
{
    world_free(lease->world);
    json_decref(lease->object);
    mem_free(lease);
}

static void join(struct lease *lease, struct candidate *candidate, const char *identity)
{
    struct lead_spec spec = {.kube = lease->world->kube,
                             .namespace = "ns",
                             .name = "drawbridge",
                             .identity = identity,
                             .says_first = candidate->says_first,
                             .on_gained = on_gained,
                             .on_lost = on_lost,
                             .owner = candidate};
    candidate->lead = lead_new(lease->world->loop, &spec);
}

static bool wait_for(struct lease *lease, const unsigned *count, unsigned want, uint64_t at_most_ms)
{
    uint64_t ran_ms = 0;
    if (at_most_ms >= 2000)
        at_most_ms *= 3; // a busy machine: what must happen may take its time
    for (; *count < want && ran_ms < at_most_ms; ran_ms += 10)
        world_run_for(lease->world, 10);
    return *count >= want;
}

static const char *holder(const struct lease *lease)
{
    return doc_str(lease->object, "spec", "holderIdentity", NULL);
}

static json_t *lease_of(const char *identity, int seconds, int transitions)
{
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:{s:s, s:i, s:i, s:s}}", "apiVersion",
                     "coordination.k8s.io/v1", "kind", "Lease", "metadata", "namespace", "ns",
                     "name", "drawbridge", "labels", "kept", "yes", "spec", "holderIdentity",
                     identity, "leaseDurationSeconds", seconds, "leaseTransitions", transitions,
                     "renewTime", "2026-01-01T00:00:00.000000Z");
}

TEST(creates_the_lease_and_leads)
{
    struct lease *lease = lease_new();
    struct candidate one = {0};
    join(lease, &one, "one");
    CHECK(!lead_may_write(one.lead));
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    CHECK(lead_may_write(one.lead));
    CHECK_STR(holder(lease), "one");
    CHECK_INT(doc_int(lease->object, 0, "spec", "leaseDurationSeconds", NULL), 15);
    CHECK_INT(doc_int(lease->object, 0, "spec", "leaseTransitions", NULL), lead_epoch(one.lead));
    CHECK(lead_epoch(one.lead) > 0);
    int64_t at_ms;
    CHECK(clock_parse(doc_str(lease->object, "spec", "acquireTime", NULL), &at_ms));
    CHECK(clock_parse(doc_str(lease->object, "spec", "renewTime", NULL), &at_ms));
    CHECK(clock_wall_ms() - at_ms < 5000);
    lead_free(one.lead);
    lease_free(lease);
}

TEST(renews_and_keeps_what_others_wrote)
{
    struct lease *lease = lease_new();
    store(lease, lease_of("", 1, 41));
    struct candidate one = {0};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    CHECK_INT(lead_epoch(one.lead), 42);
    CHECK(wait_for(lease, &lease->writes, 2, 8000));
    CHECK_INT(lead_epoch(one.lead), 42);
    CHECK_STR(doc_str(lease->object, "metadata", "labels", "kept", NULL), "yes");
    // Somebody else touches the Lease: a conflict, then on from there.
    store(lease, doc_copy(lease->object));
    CHECK(wait_for(lease, &lease->writes, 3, 8000));
    CHECK_INT(one.lost, 0);
    CHECK_INT(lead_epoch(one.lead), 42);
    lead_free(one.lead);
    lease_free(lease);
}

TEST(waits_until_a_dead_leader_has_run_out)
{
    struct lease *lease = lease_new();
    clock_set_source(skewed_clock, NULL);
    store(lease, lease_of("dead", 15, 6));
    struct candidate one = {0};
    join(lease, &one, "one");
    // its renewTime is long past, but that was another clock
    CHECK(!wait_for(lease, &one.gained, 1, 500));
    skew_ms += 14000;
    CHECK(!wait_for(lease, &one.gained, 1, 100));
    store(lease, lease_of("dead", 15, 6)); // it lives after all
    CHECK(wait_for(lease, &lease->world->step, 1, 5000));
    world_run_for(lease->world, 50);
    CHECK_INT(one.gained, 0);
    skew_ms += 15000;
    CHECK(wait_for(lease, &one.gained, 1, 6000));
    CHECK_INT(lead_epoch(one.lead), 7);
    CHECK_STR(holder(lease), "one");
    lead_free(one.lead);
    lease_free(lease);
}

TEST(stops_writing_before_others_may_take_over)
{
    struct lease *lease = lease_new();
    clock_set_source(skewed_clock, NULL);
    struct candidate one = {0};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    uint64_t epoch = lead_epoch(one.lead);
    lease->silent = true;
    skew_ms += 10000; // as after a process that was stopped: the clock is asked, not a timer
    CHECK(!lead_may_write(one.lead));
    CHECK_INT(one.lost, 0);
    CHECK(wait_for(lease, &one.lost, 1, 6000));
    lease->silent = false;
    CHECK(wait_for(lease, &one.gained, 2, 12000));
    // a term of its own, though nobody else led meanwhile
    CHECK_INT(lead_epoch(one.lead), epoch + 1);
    lead_free(one.lead);
    lease_free(lease);
}

// The process stood still while a renewal was under way: its answer is seen before the timer that
// would have ended the term. Whoever asked meanwhile was told no, and must hear that it is yes
// again.
TEST(tells_when_a_late_renewal_brings_the_right_to_write_back)
{
    struct lease *lease = lease_new();
    clock_set_source(skewed_clock, NULL);
    struct candidate one = {0};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    uint64_t epoch = lead_epoch(one.lead);
    skew_ms += 3000;
    lease->write_takes_ms = 4000; // the renewal is sent 8 s after the last one, and takes 4
    CHECK(wait_for(lease, &lease->writes, 2, 8000));
    lease->write_takes_ms = 0;
    CHECK(wait_for(lease, &one.gained, 2, 2000));
    CHECK(lead_may_write(one.lead));
    CHECK_INT(one.lost, 0);
    CHECK_INT(lead_epoch(one.lead), epoch); // nobody else had it
    lead_free(one.lead);
    lease_free(lease);
}

TEST(another_holder_ends_the_term_at_once)
{
    struct lease *lease = lease_new();
    struct candidate one = {.free_when_lost = true};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    store(lease, lease_of("other", 15, 99));
    CHECK(wait_for(lease, &one.lost, 1, 6000));
    CHECK_STR(holder(lease), "other");
    CHECK(one.lead == NULL);
    lease_free(lease);
}

TEST(failing_writes_end_the_term_in_time)
{
    struct lease *lease = lease_new();
    struct candidate one = {0};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    uint64_t began_ms = clock_ms();
    lease->refuse_writes = true;
    CHECK(wait_for(lease, &one.lost, 1, 12000));
    CHECK(clock_ms() - began_ms < 15000); // before others may take over
    CHECK(clock_ms() - began_ms >= 9000);
    CHECK(!lead_may_write(one.lead));
    lead_free(one.lead);
    lease_free(lease);
}

TEST(a_deleted_lease_does_not_turn_the_epoch_back)
{
    struct lease *lease = lease_new();
    store(lease, lease_of("", 1, 41));
    struct candidate one = {0};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    json_decref(TAKE(lease->object));
    CHECK(wait_for(lease, &lease->writes, 2, 8000));
    CHECK_STR(holder(lease), "one");
    // the server has written it; its answer is on the way
    for (int i = 0; i < 500 && lead_epoch(one.lead) == 42; i++)
        world_run_for(lease->world, 10);
    CHECK(lead_epoch(one.lead) > 42);
    CHECK_INT(one.lost, 0);
    lead_free(one.lead);
    lease_free(lease);
}

// The epoch cannot go backwards, whoever edits the Lease or restores an older one.
TEST(an_edited_lease_does_not_turn_the_epoch_back)
{
    static const int edits[] = {3, 0, -7};
    struct lease *lease = lease_new();
    store(lease, lease_of("", 1, 41));
    struct candidate one = {0};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    for (size_t i = 0; i < COUNT(edits); i++) {
        json_t *edited = doc_copy(lease->object);
        doc_set(edited, json_integer(edits[i]), "spec", "leaseTransitions", NULL);
        store(lease, edited);
        CHECK(wait_for(lease, &lease->writes, (unsigned)i + 2, 8000));
        CHECK_INT(doc_int(lease->object, 0, "spec", "leaseTransitions", NULL), 42);
        CHECK_INT(lead_epoch(one.lead), 42);
    }
    CHECK_INT(one.lost, 0);
    // Another one had it, and then the Lease of before came back from a backup.
    store(lease, lease_of("other", 1, 43));
    CHECK(wait_for(lease, &one.lost, 1, 8000));
    store(lease, lease_of("", 1, 7));
    CHECK(wait_for(lease, &one.gained, 2, 8000));
    CHECK_INT(lead_epoch(one.lead), 44); // 43 is that one's
    lead_free(one.lead);
    lease_free(lease);
}

TEST(what_agents_have_seen_is_the_floor_of_a_term_that_begins)
{
    struct lease *lease = lease_new();
    store(lease, lease_of("", 1, 41));
    struct candidate one = {0};
    join(lease, &one, "one");
    lead_note_epoch(one.lead, 100);
    lead_note_epoch(one.lead, 99);
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    CHECK_INT(lead_epoch(one.lead), 101);
    lead_free(one.lead);
    lease_free(lease);
}

TEST(a_term_whose_epoch_an_agent_is_ahead_of_gets_a_greater_one)
{
    struct lease *lease = lease_new();
    store(lease, lease_of("", 1, 41));
    struct candidate one = {0};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    lead_note_epoch(one.lead, 500);
    CHECK(lead_may_write(one.lead)); // nobody else is held up by it
    CHECK(wait_for(lease, &one.gained, 2, 4000));
    CHECK_INT(lead_epoch(one.lead), 501);
    CHECK_INT(doc_int(lease->object, 0, "spec", "leaseTransitions", NULL), 501);
    CHECK_INT(one.lost, 0);
    lead_note_epoch(one.lead, 501); // our own
    CHECK(!wait_for(lease, &one.gained, 3, 1500));
    lead_free(one.lead);
    lease_free(lease);
}

TEST(a_lie_about_the_epoch_leaves_room_for_terms)
{
    struct lease *lease = lease_new();
    store(lease, lease_of("", 1, 41));
    struct candidate one = {0};
    join(lease, &one, "one");
    lead_note_epoch(one.lead, UINT64_MAX);
    lead_note_epoch(one.lead, (uint64_t)INT32_MAX);
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    CHECK_INT(lead_epoch(one.lead), 42);
    lead_free(one.lead);
    // The Lease itself is at its end: terms go on with the last number.
    one = (struct candidate){0};
    store(lease, lease_of("", 1, INT32_MAX));
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    CHECK_INT(lead_epoch(one.lead), INT32_MAX);
    lead_free(one.lead);
    lease_free(lease);
}

static void on_released(void *owner)
{
    struct world *world = owner;
    world->op = NULL;
    world->done++;
    loop_stop(world->loop);
}

static json_t *lease_saying(const char *identity, int seconds, const char *word)
{
    json_t *lease = lease_of(identity, seconds, 99);
    doc_set(lease, json_string(word), "metadata", "annotations", "drawbridge.dev/shards", NULL);
    return lease;
}

static void check_said(const struct lease *lease, const struct candidate *one, const char *want)
{
    uint64_t age_ms;
    CHECK_STR(lead_said(one->lead, &age_ms), want);
    CHECK_STR(doc_str(lease->object, "metadata", "annotations", "drawbridge.dev/shards", NULL),
              want);
}

TEST(who_leads_again_does_not_say_what_it_said_before)
{
    struct lease *lease = lease_new();
    struct candidate one = {0};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    lead_say(one.lead, "8");
    CHECK(wait_for(lease, &lease->writes, 2, 2000));
    store(lease, lease_saying("other", 15, "4"));
    CHECK(wait_for(lease, &one.lost, 1, 6000));
    store(lease, lease_saying("", 1, "4"));
    CHECK(wait_for(lease, &one.gained, 2, 12000));
    check_said(lease, &one, "4");
    lead_free(one.lead);
    lease_free(lease);
}

TEST(a_lease_that_is_made_says_what_nobody_said)
{
    struct lease *lease = lease_new();
    struct candidate one = {.says_first = "unknown"};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    check_said(lease, &one, "unknown");
    lead_say(one.lead, "8");
    CHECK(wait_for(lease, &lease->writes, 2, 2000));
    json_decref(TAKE(lease->object)); // who leads knows what it says
    CHECK(wait_for(lease, &one.gained, 2, 8000));
    check_said(lease, &one, "8");
    lead_free(one.lead);
    lease_free(lease);
}

TEST(releasing_lets_the_next_one_in)
{
    struct lease *lease = lease_new();
    struct candidate one = {0}, two = {0};
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    join(lease, &two, "two");
    world_run_for(lease->world, 100);
    CHECK_INT(two.gained, 0);
    uint64_t epoch = lead_epoch(one.lead);
    world_wait(lease->world, lead_release(one.lead, on_released, lease->world));
    CHECK(!lead_may_write(one.lead));
    CHECK_STR(holder(lease), "");
    lead_free(one.lead);
    CHECK_INT(one.lost, 0);
    CHECK(wait_for(lease, &two.gained, 1, 6000));
    CHECK_INT(lead_epoch(two.lead), epoch + 1);
    lead_free(two.lead);
    lease_free(lease);
}

TEST(releasing_does_not_wait_for_a_silent_server)
{
    struct lease *lease = lease_new();
    struct candidate one = {0};
    join(lease, &one, "one");
    struct op *op = lead_release(one.lead, on_released, lease->world); // before it led
    CHECK_INT(lease->world->done, 0);
    world_wait(lease->world, op);
    lead_free(one.lead);
    join(lease, &one, "one");
    CHECK(wait_for(lease, &one.gained, 1, 2000));
    lease->silent = true;
    uint64_t began_ms = clock_ms();
    world_wait(lease->world, lead_release(one.lead, on_released, lease->world));
    CHECK(clock_ms() - began_ms < 10000); // and not the 30 s of a request
    lead_free(one.lead);
    lease_free(lease);
}

TEST_MAIN()
