// SPDX-License-Identifier: Apache-2.0
// Controllers that share target clusters: whoever has a cluster's shard writes it, and nobody else.
#include "scene.h"

#define AT "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/"
#define CONFIG AT "dra"
#define SECRET "/api/v1/namespaces/default/secrets/prod"
#define LEASES "/apis/coordination.k8s.io/v1/namespaces/drawbridge-system/leases/"
#define LEASE LEASES "drawbridge"
#define SHARDS 2
#define REPLICAS 3

struct replica {
    const char *identity;
    struct http *http;
    struct kube *kube;
    struct controller *controller; // NULL: it does not run
};

struct story {
    struct scene scene; // of the one that Drawbridge runs in; its controller is one of the replicas
    struct batch batch;
    struct fake_api *far;
    struct op *agents;
    int64_t epoch; // what agents there say to have seen
    char *shard;   // path of the Lease of the cluster's shard
    unsigned shards;
    bool refuse; // the Lease of its shard
    struct metrics *metrics;
    struct replica replicas[REPLICAS];
    const char *writer; // who had the shard when the target was last written
    struct story_wait wait;
};

#include "story.h"
#include "target.h"

static char *story_tell(const struct story *s)
{
    AUTO_MEM char *lease = doc_print_json_pretty(fake_get(s->scene.api, LEASE));

    return str_format("%s\n%s", lease, s->far->log.ptr);
}

static const char *holder(const struct story *s)
{
    return doc_str(fake_get(s->scene.api, s->shard ? s->shard : LEASE), "spec", "holderIdentity",
                   NULL);
}

static int64_t epoch_of_holder(const struct story *s)
{
    return doc_int(fake_get(s->scene.api, s->shard ? s->shard : LEASE), 0, "spec",
                   "leaseTransitions", NULL);
}

// What is written is the holder's, by its fencing token.
static void on_write(void *owner, const struct fake_path *path, const json_t *was UNUSED,
                     const json_t *now)
{
    struct story *s = owner;

    if (!str_starts(path->object, NODE_CONFIGS))
        return;
    if (now)
        CHECK_INT(doc_int(now, 0, "spec", "epoch", NULL), epoch_of_holder(s));
    s->writer = NULL;
    for (unsigned i = 0; i < REPLICAS; i++) {
        if (s->replicas[i].controller && str_eq(s->replicas[i].identity, holder(s)))
            s->writer = s->replicas[i].identity;
    }
    CHECK(s->writer != NULL);
    if (!s->agents)
        s->agents = loop_sleep(s->scene.loop, 2, on_agents, s);
}

static json_t *on_page(void *owner, const char *path)
{
    const struct story *s = owner;
    bool on = json_object_size(json_object_get(fleet_asked(s->far, "cp-1", "kube-apiserver"),
                                               "runtimeConfig")) > 0;

    if (str_eq(path, "/apis/resource.k8s.io") && on)
        return json_pack("{s:[{s:s}]}", "versions", "version", "v1beta1");
    return scene_on_page(NULL, path);
}

static void start(struct story *s, unsigned i, const char *identity)
{
    struct replica *replica = &s->replicas[i];
    struct controller_spec spec = {.table = gates_table_builtin(),
                                   .lease_namespace = "drawbridge-system",
                                   .governing_namespaces = &s->scene.governing,
                                   .reach = &s->scene.reach,
                                   .look = &s->scene.look,
                                   .identity = identity,
                                   .leader_elect = true,
                                   .metrics = s->metrics,
                                   .shards = s->shards,
                                   .backoff_ms_max = 500};

    replica->identity = identity;
    replica->http = http_new(s->scene.loop, identity);
    replica->kube = spec.kube = fake_kube(s->scene.loop, replica->http, s->scene.api);
    replica->controller = s->scene.controller = controller_new(s->scene.loop, &spec);
}

// It is gone at once, and its Leases run out.
static void kill_replica(struct story *s, unsigned i)
{
    struct replica *replica = &s->replicas[i];

    controller_free(TAKE(replica->controller));
    kube_free(TAKE(replica->kube));
    http_free(TAKE(replica->http));
    s->scene.controller = NULL;
    for (unsigned k = 0; k < REPLICAS; k++) {
        if (s->replicas[k].controller)
            s->scene.controller = s->replicas[k].controller;
    }
}

static struct story *story_new(unsigned shards)
{
    struct story *s = story_open();

    shards_timing = (struct shards_timing){10000, 3000, 50, 3000, 30000};
    cluster_parse_kubeconfig = far_parse;
    s->shards = shards;
    if (shards > 0)
        s->shard =
            str_format(LEASES "drawbridge-shard-%u-of-%u", lead_shard_of("far", shards), shards);
    s->far = fake_api_new(s->scene.loop, s);
    far_identity(s->far, "far");
    far_identity(s->scene.api, "home");
    s->far->on_write = on_write;
    s->far->on_page = on_page;
    fleet_add_cluster(s->far);
    fake_seed(s->scene.api, SECRET, far_secret(s->far, "one"));
    fake_seed(s->scene.api, CONFIG,
              json_pack("{s:s, s:s, s:{}, s:{s:{s:b}, s:s, s:{s:s}, s:{s:{s:s}}}}", "apiVersion",
                        API_GROUP_VERSION, "kind", "DRAConfiguration", "metadata", "spec",
                        "featureGates", "DynamicResourceAllocation", 1, "deletionPolicy", "Revert",
                        "rollout", "minReady", "0s", "cluster", "kubeconfigSecretRef", "name",
                        "prod"));
    return s;
}

static void story_free(struct story *s)
{
    op_drop(s->agents);
    for (unsigned i = 0; i < REPLICAS; i++) {
        if (s->replicas[i].controller)
            kill_replica(s, i);
    }
    fake_api_free(s->far);
    metrics_free(s->metrics);
    mem_free(s->shard);
    story_close(s);
}

// --- the stories ---------------------------------------------------------------------------------

static bool is_the_first_ones(const struct story *s)
{
    return str_eq(holder(s), "one");
}

static bool is_the_second_ones(const struct story *s)
{
    return str_eq(holder(s), "two");
}

static bool is_written_by_one(const struct story *s)
{
    return is_ready(s) && str_eq(s->writer, "one");
}

static bool is_written_by_two(const struct story *s)
{
    return is_ready(s) && str_eq(s->writer, "two");
}

static bool is_written_by_three(const struct story *s)
{
    return is_ready(s) && str_eq(s->writer, "three");
}

// Whoever has it makes it again.
static void lose_node_config(struct story *s)
{
    s->writer = NULL;
    fake_delete(s->far, NODE_CONFIGS "cp-1");
}

TEST(a_cluster_goes_where_its_shard_goes)
{
    struct story *s = story_new(SHARDS);

    start(s, 0, "one");
    WAIT_FOR(s, is_written_by_one);
    CHECK_STR(doc_str(fake_get(s->scene.api, LEASE), "metadata", "annotations",
                      "drawbridge.dev/shards", NULL),
              "2");
    CHECK_STR(doc_str(fake_get(s->scene.api, CONFIG), "status", "observedClusterUID", NULL), "far");
    start(s, 1, "two");
    WAIT_FOR(s, is_the_second_ones);
    lose_node_config(s);
    WAIT_FOR(s, is_written_by_two);
    kill_replica(s, 1);
    WAIT_FOR(s, is_the_first_ones);
    lose_node_config(s);
    WAIT_FOR(s, is_written_by_one);
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(!fake_get(s->far, NODE_CONFIGS "cp-1"));
    story_free(s);
}

// With the first one goes the leader too; whoever has the shard does not need one.
TEST(who_has_a_shard_goes_on_without_a_leader)
{
    struct story *s = story_new(SHARDS);

    start(s, 0, "one");
    WAIT_FOR(s, is_written_by_one);
    start(s, 1, "two");
    WAIT_FOR(s, is_the_second_ones);
    kill_replica(s, 0);
    lose_node_config(s);
    WAIT_FOR(s, is_written_by_two);
    CHECK_STR(doc_str(fake_get(s->scene.api, LEASE), "spec", "holderIdentity", NULL), "one");
    story_free(s);
}

static const char *noted(const struct story *s)
{
    return doc_str(fake_get(s->scene.api, CONFIG), "status", "observedClusterUID", NULL);
}

// The same Secret leads to a server that says to be another cluster.
static void move_target(struct story *s, const char *uid)
{
    fake_edit(s->far, SYSTEM, json_pack("{s:{s:s}}", "metadata", "uid", uid));
    fake_edit(s->scene.api, SECRET, far_secret(s->far, uid));
}

static bool is_noted_as_second(const struct story *s)
{
    return str_eq(noted(s), "second");
}

static bool is_told_restless(const struct story *s)
{
    return is(s, "ConfigValid", "Unknown", "Progressing") &&
           strstr(message(s, "ConfigValid"), "names another UID");
}

// Each name is a write, and may be another controller's.
TEST(a_target_that_names_another_uid_each_time_moves_at_a_pace)
{
    struct story *s = story_new(SHARDS);

    start(s, 0, "one");
    WAIT_FOR(s, is_written_by_one);
    move_target(s, "second");
    WAIT_FOR(s, is_noted_as_second);
    move_target(s, "third");
    WAIT_FOR(s, is_told_restless);
    CHECK_STR(noted(s), "second");
    story_free(s);
}

// A Lease that its holder never lets go.
static void give_shard_to(const struct story *s, unsigned shard, const char *identity)
{
    AUTO_MEM char *path = str_format(LEASES "drawbridge-shard-%u-of-%u", shard, s->shards);

    fake_seed(s->scene.api, path,
              json_pack("{s:{}, s:{s:s, s:i, s:i}}", "metadata", "spec", "holderIdentity", identity,
                        "leaseDurationSeconds", 3600, "leaseTransitions", 1));
}

static bool has_a_condition(const struct story *s)
{
    return condition(s, "ConfigValid") != NULL;
}

// Who has the shard of its UID leaves it to the leader, which follows no target that could tell.
TEST(a_kubeconfig_that_leads_home_is_the_leaders_also_where_it_has_no_target)
{
    struct story *s = story_new(SHARDS);

    give_shard_to(s, lead_shard_of("home", SHARDS), "two");
    fake_delete(s->scene.api, SECRET);
    fake_seed(s->scene.api, SECRET, far_secret(s->scene.api, "one"));
    fake_edit(s->scene.api, CONFIG, json_pack("{s:{s:s}}", "status", "observedClusterUID", "home"));
    start(s, 0, "one");
    WAIT_FOR(s, has_a_condition);
    CHECK_INT(s->far->asked, 0);
    story_free(s);
}

static enum fault on_choose(void *owner, unsigned index UNUSED,
                            const struct server_request *request)
{
    const struct story *s = owner;

    return s->refuse && str_eq(request->target, s->shard) ? FAULT_403 : FAULT_NONE;
}

static bool is_told_unheld(const struct story *s)
{
    return is(s, "ControlPlaneUpdated", "Unknown", "ShardNotHeld") &&
           is(s, "Ready", "Unknown", "ShardNotHeld");
}

static void check_master(const struct story *s, const char *lease, int want)
{
    AUTO_MEM char *line =
        str_format("leader_election_master_status{name=\"%s\"} %d\n", lease, want);
    AUTO_MEM char *page = metrics_print(s->metrics);

    CHECK_HAS(page, line);
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, part)); at++)
        count++;
    return count;
}

// The controller's account may do nothing with its Lease.
TEST(a_shard_that_nobody_can_have_is_told)
{
    struct story *s = story_new(SHARDS);
    const char *lease = s->shard + strlen(LEASES);
    AUTO_BUF struct buf why = buf_make(4096);
    AUTO_MEM char *log = NULL;

    give_shard_to(s, 1 - lead_shard_of("far", SHARDS), "two");
    fake_edit(s->scene.api, CONFIG, json_pack("{s:{s:s}}", "status", "observedClusterUID", "far"));
    shards_timing.unheld_ms = 300;
    s->metrics = metrics_new();
    s->refuse = true;
    s->scene.api->choose = on_choose;
    test_capture();
    start(s, 0, "one");
    WAIT_FOR(s, is_told_unheld);
    CHECK(!controller_ready(s->replicas[0].controller, &why));
    CHECK_HAS(why.ptr, lease);
    CHECK_HAS(message(s, "Ready"), lease);
    check_master(s, CONTROLLER_LEASE_NAME, 1);
    check_master(s, lease, 0);
    s->refuse = false;
    WAIT_FOR(s, is_written_by_one);
    log = test_captured();
    CHECK_INT(count_of(log, "no controller has shard"), 1);
    CHECK(controller_ready(s->replicas[0].controller, &why));
    check_master(s, lease, 1);
    story_free(s);
}

static unsigned count_warnings(void)
{
    AUTO_MEM char *path = test_path("stderr");
    AUTO_MEM char *log = test_read(path);

    return count_of(log, "the controller that leads was started with --shards=2");
}

static bool has_warned(const struct story *s UNUSED)
{
    return count_warnings() > 0;
}

static bool some_looks_are_over(const struct story *s)
{
    return s->wait.ticks > 30;
}

TEST(who_was_started_with_another_number_of_shards_says_so_once)
{
    struct story *s = story_new(SHARDS);

    shards_timing.unheld_ms = 300;
    start(s, 0, "one");
    WAIT_FOR(s, is_written_by_one);
    s->shards = SHARDS + 1;
    test_capture();
    start(s, 1, "two");
    WAIT_FOR(s, has_warned);
    WAIT_FOR(s, some_looks_are_over);
    CHECK_INT(count_warnings(), 1);
    mem_free(test_captured());
    story_free(s);
}

static bool target_is_followed(const struct story *s)
{
    return s->far->asked > 0;
}

static const char *word(const struct story *s)
{
    return doc_str(fake_get(s->scene.api, LEASE), "metadata", "annotations",
                   "drawbridge.dev/shards", NULL);
}

static bool number_is_unsaid(const struct story *s)
{
    return !str_eq(word(s), "8");
}

// There were 8 shards, and are none any more.
static struct story *story_of_change(void)
{
    struct story *s = story_new(0);

    fake_edit(s->scene.api, CONFIG, json_pack("{s:{s:s}}", "status", "observedClusterUID", "far"));
    fake_seed(s->scene.api, LEASE,
              json_pack("{s:{s:{s:s}}, s:{s:s, s:i, s:i}}", "metadata", "annotations",
                        "drawbridge.dev/shards", "8", "spec", "holderIdentity", "",
                        "leaseDurationSeconds", 1, "leaseTransitions", 7));
    return s;
}

// Who leads makes it again, and has not waited any longer for that.
TEST(a_lease_that_is_deleted_ends_no_change_of_the_number_of_shards)
{
    struct story *s = story_of_change();
    uint64_t began_ms = clock_ms();

    shards_timing.unsaid_ms = 8000; // longer than until it sees
    start(s, 2, "three");
    WAIT_FOR(s, number_is_unsaid);
    fake_delete(s->scene.api, LEASE);
    WAIT_FOR(s, target_is_followed);
    WAIT_FOR(s, is_written_by_three);
    CHECK(clock_ms() - began_ms >= shards_timing.unsaid_ms);
    story_free(s);
}

TEST(who_leads_next_waits_for_all_of_a_change_of_the_number_of_shards)
{
    struct story *s = story_of_change();

    start(s, 0, "one");
    WAIT_FOR(s, number_is_unsaid);
    kill_replica(s, 0);
    fake_edit(s->scene.api, LEASE, json_pack("{s:{s:s}}", "spec", "holderIdentity", ""));
    uint64_t began_ms = clock_ms();
    start(s, 2, "three");
    WAIT_FOR(s, is_written_by_three);
    CHECK(clock_ms() - began_ms >= shards_timing.unsaid_ms);
    story_free(s);
}

TEST(where_nobody_knows_the_number_of_shards_it_is_waited_for_too)
{
    struct story *s = story_of_change();

    fake_delete(s->scene.api, LEASE);
    uint64_t began_ms = clock_ms();
    start(s, 2, "three");
    WAIT_FOR(s, is_written_by_three);
    CHECK(clock_ms() - began_ms >= shards_timing.unsaid_ms);
    story_free(s);
}

// Those who work by the number before may not know yet that it is another.
TEST(another_number_of_shards_begins_when_nobody_works_by_the_one_before)
{
    struct story *s = story_of_change();
    uint64_t began_ms = clock_ms();

    start(s, 2, "three");
    WAIT_FOR(s, target_is_followed);
    WAIT_FOR(s, is_written_by_three);
    CHECK(clock_ms() - began_ms >= shards_timing.unsaid_ms);
    CHECK_STR(word(s), "");
    story_free(s);
}

TEST_MAIN()
