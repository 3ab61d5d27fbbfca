// SPDX-License-Identifier: Apache-2.0
// Shards spread over controllers, against scripted Leases. Each look makes sure that none has two
// writers.
#include "drawbridge/lead.h"

#include "kube/tests/world.h"

#define COUNT_OF 6
#define LIMIT_MS 90000 // what must happen may take its time on a busy machine

struct replica {
    struct town *town;
    const char *identity;
    struct http *http;
    struct kube *kube;
    struct lead_shards *shards;
    bool makes, full, mute; // mute: its requests are not answered
    bool has[COUNT_OF];
    unsigned gained, lost;
    uint64_t epochs[COUNT_OF];
};

struct town {
    struct world *world;
    json_t *leases; // by name
    int64_t version;
    struct replica replicas[3];
    uint64_t epochs[COUNT_OF]; // the greatest that anybody had
    unsigned deleted;
};

static struct replica *replica_of(struct town *town, const struct server_request *request)
{
    for (size_t i = 0; i < COUNT(town->replicas); i++) {
        if (town->replicas[i].identity && strstr(request->head, town->replicas[i].identity))
            return &town->replicas[i];
    }
    test_fail(__FILE__, __LINE__, "whose request is it? %s", request->head);
}

static void reply_status(struct server_conn *conn, int code, const char *reason)
{
    AUTO_MEM char *text =
        str_format("{\"kind\":\"Status\",\"code\":%d,\"message\":\"%s\",\"reason\":\"%s\"}", code,
                   reason, reason);
    server_reply(conn, code, "", text);
}

static void write_lease(struct town *town, struct server_conn *conn, const char *name,
                        const struct server_request *request)
{
    AUTO_JSON json_t *body = NULL;
    bool create = str_eq(request->method, "POST");
    CHECK_OK(doc_parse_json(request->body, "body", &body));
    AUTO_MEM char *key = str_dup(create ? doc_str(body, "metadata", "name", NULL) : name);
    const json_t *is = json_object_get(town->leases, key);
    const char *based_on = doc_str(body, "metadata", "resourceVersion", NULL);
    if (create && is) {
        reply_status(conn, 409, "AlreadyExists");
    } else if (!create && !is) {
        reply_status(conn, 404, "NotFound");
    } else if (!create && !str_eq(based_on, doc_str(is, "metadata", "resourceVersion", NULL))) {
        reply_status(conn, 409, "Conflict");
    } else {
        AUTO_MEM char *version = str_format("%lld", (long long)++town->version);
        doc_set(body, json_string(version), "metadata", "resourceVersion", NULL);
        json_object_set(town->leases, key, body);
        AUTO_MEM char *text = doc_print_json(body);
        server_reply(conn, 200, "", text);
    }
}

static void on_lease_request(void *owner, struct server_conn *conn,
                             const struct server_request *request)
{
    struct town *town = owner;
    const char *slash = strrchr(request->target, '/');
    AUTO_MEM char *name = str_ndup(slash + 1, strcspn(slash + 1, "?"));
    if (replica_of(town, request)->mute)
        return;
    if (!str_eq(request->method, "GET")) {
        write_lease(town, conn, name, request);
        return;
    }
    const json_t *lease = json_object_get(town->leases, name);
    AUTO_MEM char *text = lease ? doc_print_json(lease) : NULL;
    if (text)
        server_reply(conn, 200, "", text);
    else
        reply_status(conn, 404, "NotFound");
}

// --- replicas ------------------------------------------------------------------------------------

static bool makes(void *owner)
{
    const struct replica *replica = owner;
    return replica->makes;
}

static bool wants(void *owner)
{
    const struct replica *replica = owner;
    return !replica->full;
}

static void check_one_writer(const struct town *town, unsigned shard)
{
    unsigned writers = 0;
    for (size_t i = 0; i < COUNT(town->replicas); i++)
        writers +=
            town->replicas[i].shards && lead_shards_may_write(town->replicas[i].shards, shard);
    CHECK(writers <= 1);
}

static void on_gained(void *owner, unsigned shard)
{
    struct replica *replica = owner;
    struct town *town = replica->town;
    uint64_t epoch = lead_shards_epoch(replica->shards, shard);
    check_one_writer(town, shard);
    // An epoch is one holder's: what one without it sends is older.
    CHECK(epoch > town->epochs[shard] ||
          (epoch == town->epochs[shard] && epoch == replica->epochs[shard]));
    town->epochs[shard] = replica->epochs[shard] = epoch;
    replica->has[shard] = true;
    replica->gained++;
}

static void on_lost(void *owner, unsigned shard)
{
    struct replica *replica = owner;
    replica->has[shard] = false;
    replica->lost++;
}

static struct replica *join(struct town *town, unsigned i, const char *identity)
{
    struct replica *replica = &town->replicas[i];
    replica->town = town;
    replica->identity = identity;
    replica->http = http_new(town->world->loop, identity); // its User-Agent tells it
    AUTO_MEM char *path = test_path("kubeconfig");
    struct kube_config *config = NULL;
    CHECK_OK(kube_config_load(path, NULL, &config));
    replica->kube = kube_new(town->world->loop, replica->http, config);
    struct lead_shards_spec spec = {.kube = replica->kube,
                                    .namespace = "ns",
                                    .name = "drawbridge",
                                    .identity = identity,
                                    .count = COUNT_OF,
                                    .lease_ms = 3000,
                                    .makes = makes,
                                    .wants = wants,
                                    .on_gained = on_gained,
                                    .on_lost = on_lost,
                                    .owner = replica};
    replica->shards = lead_shards_new(town->world->loop, &spec);
    return replica;
}

static void leave(struct replica *replica)
{
    lead_shards_free(TAKE(replica->shards));
    kube_free(TAKE(replica->kube));
    http_free(TAKE(replica->http));
}

static struct town *town_new(void)
{
    struct town *town = NEW(struct town);
    town->world = world_new(on_lease_request);
    town->world->script_owner = town;
    town->leases = json_object();
    return town;
}

static void town_free(struct town *town)
{
    for (size_t i = 0; i < COUNT(town->replicas); i++) {
        if (town->replicas[i].shards)
            leave(&town->replicas[i]);
    }
    world_free(town->world);
    json_decref(town->leases);
    mem_free(town);
}

static unsigned count(const struct town *town, unsigned i)
{
    unsigned has = 0;
    for (unsigned shard = 0; shard < COUNT_OF; shard++)
        has += town->replicas[i].has[shard];
    return has;
}

// Until the three have so many.
static bool wait_for(struct town *town, unsigned a, unsigned b, unsigned c)
{
    for (unsigned ran_ms = 0; ran_ms < LIMIT_MS; ran_ms += 10) {
        for (unsigned shard = 0; shard < COUNT_OF; shard++)
            check_one_writer(town, shard);
        if (count(town, 0) == a && count(town, 1) == b && count(town, 2) == c)
            return true;
        world_run_for(town->world, 10);
    }
    fprintf(stderr, "%u %u %u\n", count(town, 0), count(town, 1), count(town, 2));
    return false;
}

static void on_released(void *owner)
{
    struct world *world = owner;
    world->op = NULL;
    loop_stop(world->loop);
}

// --- tests ---------------------------------------------------------------------------------------

TEST(one_has_all_two_and_three_share_and_the_rest_take_what_one_leaves)
{
    struct town *town = town_new();
    struct replica *one = join(town, 0, "one");
    world_run_for(town->world, 300);
    CHECK_INT(json_object_size(town->leases), 0); // somebody who leads makes them
    one->makes = true;
    CHECK(wait_for(town, 6, 0, 0));
    join(town, 1, "two");
    CHECK(wait_for(town, 3, 3, 0));
    join(town, 2, "three");
    CHECK(wait_for(town, 2, 2, 2));
    world_wait(town->world, lead_shards_release(one->shards, on_released, town->world));
    leave(one);
    memset(one->has, 0, sizeof(one->has));
    CHECK(wait_for(town, 0, 3, 3));
    town_free(town);
}

// Its requests reach nobody, or it stands still: it stops by its own clock before others begin.
TEST(what_a_silent_one_has_is_taken_and_it_gets_some_back)
{
    struct town *town = town_new();
    struct replica *one = join(town, 0, "one");
    one->makes = true;
    CHECK(wait_for(town, 6, 0, 0));
    join(town, 1, "two");
    CHECK(wait_for(town, 3, 3, 0));
    one->mute = true;
    CHECK(wait_for(town, 0, 6, 0));
    one->mute = false;
    CHECK(wait_for(town, 3, 3, 0));
    town_free(town);
}

// Who had it may not know yet that it is gone: nobody has it meanwhile.
TEST(a_lease_that_somebody_deletes_is_nobodys_for_a_while)
{
    struct town *town = town_new();
    struct replica *one = join(town, 0, "one"), *two;
    one->makes = true;
    CHECK(wait_for(town, 6, 0, 0));
    two = join(town, 1, "two");
    CHECK(wait_for(town, 3, 3, 0));
    two->makes = true;
    one->mute = true;
    unsigned gained = two->gained;
    json_object_clear(town->leases);
    while (count(town, 1) > 0)
        world_run_for(town->world, 10);
    CHECK_INT(two->gained, gained);
    CHECK(wait_for(town, 0, 6, 0));
    town_free(town);
}

static const char *asked_by(const struct town *town, unsigned shard)
{
    AUTO_MEM char *name = str_format("drawbridge-shard-%u-of-%u", shard, COUNT_OF);
    return doc_str(json_object_get(town->leases, name), "metadata", "annotations",
                   "drawbridge.dev/asked-by", NULL);
}

// As it is seen when counts have changed since: the question is over, and may be asked anew.
TEST(who_asks_for_more_than_the_half_is_refused)
{
    struct town *town = town_new();
    struct replica *one = join(town, 0, "one");
    one->makes = true;
    CHECK(wait_for(town, 6, 0, 0));
    join(town, 1, "two");
    CHECK(wait_for(town, 3, 3, 0));
    unsigned shard = 0;
    while (!one->has[shard])
        shard++;
    AUTO_MEM char *name = str_format("drawbridge-shard-%u-of-%u", shard, COUNT_OF);
    AUTO_MEM char *version = str_format("%lld", (long long)++town->version);
    json_t *lease = json_object_get(town->leases, name);
    doc_set(lease, json_string("two"), "metadata", "annotations", "drawbridge.dev/asked-by", NULL);
    doc_set(lease, json_string(version), "metadata", "resourceVersion", NULL);
    for (unsigned ran_ms = 0; *asked_by(town, shard) && ran_ms < LIMIT_MS; ran_ms += 10)
        world_run_for(town->world, 10);
    CHECK_STR(asked_by(town, shard), "");
    CHECK(one->has[shard] && count(town, 0) == 3 && count(town, 1) == 3);
    town_free(town);
}

TEST(a_text_has_one_shard_and_texts_are_spread)
{
    unsigned seen[COUNT_OF] = {0};
    for (unsigned i = 0; i < 600; i++) {
        AUTO_MEM char *text = str_format("team-%u/kubeconfig", i);
        unsigned shard = lead_shard_of(text, COUNT_OF);
        CHECK(shard < COUNT_OF && shard == lead_shard_of(text, COUNT_OF));
        seen[shard]++;
    }
    for (unsigned i = 0; i < COUNT_OF; i++)
        CHECK(seen[i] > 50 && seen[i] < 150);
}

TEST_MAIN()
