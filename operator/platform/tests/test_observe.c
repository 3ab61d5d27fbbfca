// SPDX-License-Identifier: Apache-2.0
// What an observation asks the API server, and what of its answers serves again.
#include <time.h>

#include "drawbridge/platform.h"

#include "kube/tests/world.h"

struct place {
    bool away; // lists and watches are refused
    struct world *world;
    struct cluster cluster;
    struct server_conn *watcher; // of nodes
    unsigned asked, config_maps; // requests of observations; those of them for ConfigMaps
    int metrics_status;          // 0: an answer
    bool off;                    // the gate is
    bool more_served;
    const char *version, *flags; // NULL: v1.33.13; it may not be read
    unsigned flagz;              // requests for it
    int flagz_status;            // of its answer; 0: as flags says
    struct platform_observed *observed;
    struct error *err;
    bool done;
};

static uint64_t later_ms;

static uint64_t monotonic_later(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + later_ms;
}

static void wait_until_old(uint64_t ms)
{
    later_ms += ms;
    clock_set_source(monotonic_later, NULL);
}

static void on_request(void *owner, struct server_conn *conn, const struct server_request *request)
{
    struct place *c = owner;

    if (c->away && (strstr(request->target, "watch=true") || strstr(request->target, "limit="))) {
        server_reply(conn, 503, "", "{\"kind\":\"Status\",\"message\":\"not yet\"}");
        return;
    }
    if (strstr(request->target, "watch=true")) {
        server_begin(conn, 200, "");
        if (str_starts(request->target, "/api/v1/nodes"))
            c->watcher = conn;
        return;
    }
    if (strstr(request->target, "limit=")) {
        server_reply(conn, 200, "", "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}");
        return;
    }
    c->asked++;
    if (str_eq(request->target, "/version")) {
        AUTO_MEM char *text =
            str_format("{\"gitVersion\":\"%s\"}", c->version ? c->version : "v1.33.13");
        server_reply(conn, 200, "", text);
    } else if (str_eq(request->target, "/flagz")) {
        c->flagz++;
        if (c->flagz_status)
            server_reply(conn, c->flagz_status, "", "{\"kind\":\"Status\",\"message\":\"no\"}");
        else if (c->flags)
            server_reply(conn, 200, "", c->flags);
        else
            server_reply(conn, 403, "", "{\"kind\":\"Status\",\"message\":\"no\"}");
    } else if (str_eq(request->target, "/metrics") && c->metrics_status) {
        server_reply(conn, c->metrics_status, "", "{\"kind\":\"Status\",\"message\":\"no\"}");
    } else if (str_eq(request->target, "/metrics")) {
        AUTO_MEM char *text = str_format(
            "kubernetes_feature_enabled{name=\"DynamicResourceAllocation\",stage=\"BETA\"} %d\n",
            !c->off);
        server_reply(conn, 200, "", text);
    } else if (str_eq(request->target, "/apis/resource.k8s.io")) {
        server_reply(conn, 200, "",
                     c->more_served
                         ? "{\"versions\":[{\"version\":\"v1beta1\"},{\"version\":\"v1alpha3\"}]}"
                         : "{\"versions\":[{\"version\":\"v1beta1\"}]}");
    } else {
        c->config_maps++;
        server_reply(conn, 404, "", "{\"kind\":\"Status\",\"message\":\"no\"}");
    }
}

static struct watch *follow(struct place *c, const char *resource)
{
    struct watch_spec spec = {.kube = c->world->kube,
                              .ref = {.group = "", .version = "v1", .resource = resource}};

    return watch_new(c->world->loop, &spec);
}

static struct place *place_new(void)
{
    struct place *c = NEW(struct place);

    c->world = world_new(on_request);
    c->world->script_owner = c;
    c->cluster.kube = c->world->kube;
    c->cluster.nodes = follow(c, "nodes");
    c->cluster.pods = follow(c, "pods");
    c->cluster.node_configs = follow(c, "nodedraconfigurations");
    c->cluster.facts = cluster_facts_new();
    while (!c->watcher)
        world_run_for(c->world, 5);
    return c;
}

static void place_free(struct place *c)
{
    watch_free(c->cluster.nodes);
    watch_free(c->cluster.pods);
    watch_free(c->cluster.node_configs);
    cluster_facts_free(c->cluster.facts);
    platform_observed_free(c->observed);
    world_free(c->world);
    mem_free(c);
}

static void on_observed(void *owner, struct error *take_err,
                        struct platform_observed *take_observed)
{
    struct place *c = owner;

    c->world->op = NULL;
    c->done = true;
    c->err = take_err;
    c->observed = take_observed;
    loop_stop(c->world->loop);
}

// How many requests it took.
static unsigned observe(struct place *c, enum platform_type wanted)
{
    struct platform_target target = {.type = wanted, .namespace = "default"};
    unsigned before = c->asked;

    platform_observed_free(TAKE(c->observed));
    c->done = false;
    c->world->op = platform_observe(c->world->loop, &c->cluster, &target, on_observed, c);
    CHECK(!c->done);
    while (!c->done)
        loop_run(c->world->loop);
    return c->asked - before;
}

static void check_facts(const struct place *c)
{
    CHECK(c->observed && !c->err);
    CHECK_INT(c->observed->type, PLATFORM_OBSERVE);
    CHECK_INT(c->observed->server.minor, 33);
    CHECK_STR(json_string_value(json_array_get(c->observed->served, 0)), "v1beta1");
    CHECK_INT(c->observed->instances[0].component, COMPONENT_APISERVER);
    CHECK(doc_bool(c->observed->instances[0].reported, false, "enabled",
                   "DynamicResourceAllocation", NULL));
}

TEST(who_only_looks_shares_what_the_server_said)
{
    struct place *c = place_new();

    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    check_facts(c);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 0);
    check_facts(c);
    CHECK_INT(c->config_maps, 0);
    place_free(c);
}

TEST(what_was_said_grows_old_the_gates_later)
{
    struct place *c = place_new();

    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    wait_until_old(CLUSTER_FACTS_MS);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 2);
    check_facts(c);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 0);
    wait_until_old(CLUSTER_GATES_MS);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    check_facts(c);
    place_free(c);
}

TEST(a_server_that_restarts_is_asked_again)
{
    struct place *c = place_new();

    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    c->away = true;
    server_cut(TAKE(c->watcher));
    while (watch_term(c->cluster.nodes) != 0) // another try counts until it is refused
        world_run_for(c->world, 2);
    // until it comes back nothing is kept
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    c->away = false;
    while (!c->watcher)
        world_run_for(c->world, 5);
    CHECK(watch_term(c->cluster.nodes) > 1);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 0);
    check_facts(c);
    place_free(c);
}

// Kubeadm's own observation, however it ends, looks itself.
TEST(who_writes_asks_each_time)
{
    struct place *c = place_new();

    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_INT(observe(c, PLATFORM_KUBEADM), 5);
        CHECK(c->err); // no static pods here
        error_free(TAKE(c->err));
    }
    CHECK_INT(observe(c, PLATFORM_AUTO), 6);
    check_facts(c);
    place_free(c);
}

TEST(what_failed_is_asked_again_what_is_forbidden_is_not)
{
    struct place *c = place_new();

    c->metrics_status = 404;
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    CHECK_INT(c->observed->edition, 0);
    c->metrics_status = 403;
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 0);
    CHECK(c->observed->instances[0].reported == NULL);
    CHECK_INT(c->observed->edition, 1);
    place_free(c);
}

TEST(an_edition_lasts_until_the_server_says_something_else)
{
    struct place *c = place_new();

    c->off = true;
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    CHECK_INT(c->observed->edition, 1);
    wait_until_old(CLUSTER_GATES_MS);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    CHECK_INT(c->observed->edition, 1);
    c->off = false;
    c->more_served = true; // another word is reason enough to read the gates again
    wait_until_old(CLUSTER_FACTS_MS);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    CHECK_INT(c->observed->edition, 2);
    check_facts(c);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 0);
    CHECK_INT(c->observed->edition, 2);
    place_free(c);
}

// What an API server was given is asked for where it is served, once in its life.
TEST(flags_as_they_were_given)
{
    struct place *c = place_new();
    const json_t *report;

    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    CHECK_INT(c->flagz, 0); // 1.33 has none
    cluster_facts_free(c->cluster.facts);
    c->cluster.facts = cluster_facts_new();
    c->version = "v1.37.2";
    c->flags =
        "{\"kind\":\"Flagz\",\"flags\":{\"feature-gates\":\":DynamicResourceAllocation=true\","
        "\"runtime-config\":\"resource.k8s.io/v1beta1=true\"}}";
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 4);
    report = c->observed->instances[0].reported;
    CHECK(doc_bool(report, false, "featureGates", "DynamicResourceAllocation", NULL));
    CHECK_STR(doc_str(report, "runtimeConfig", "resource.k8s.io/v1beta1", NULL), "true");
    CHECK(doc_bool(report, false, "enabled", "DynamicResourceAllocation", NULL));
    CHECK(!c->observed->instances[1].reported); // the others give theirs elsewhere
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 0);
    CHECK(doc_bool(c->observed->instances[0].reported, false, "featureGates",
                   "DynamicResourceAllocation", NULL));
    wait_until_old(CLUSTER_FACTS_MS);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 2);
    CHECK_INT(c->flagz, 1);
    // whoever may not read it does without
    c->flags = NULL;
    wait_until_old(CLUSTER_GATES_MS);
    CHECK_INT(observe(c, PLATFORM_OBSERVE), 4);
    report = c->observed->instances[0].reported;
    CHECK(report && !json_object_get(report, "featureGates"));
    place_free(c);
}

// What merely failed is asked for again with the next look at the server, not with the next reading
// of its gates.
TEST(flags_that_nobody_gave_are_asked_for_soon)
{
    static const int answers[] = {500, 429, 403, 404, 406};
    static const unsigned again[] = {1, 1, 0, 0, 0};

    for (size_t i = 0; i < COUNT(answers); i++) {
        struct place *c = place_new();
        unsigned before;

        c->version = "v1.37.2";
        c->flags = "{\"kind\":\"Flagz\",\"flags\":{\"feature-gates\":\"A=true\"}}";
        c->flagz_status = answers[i];
        observe(c, PLATFORM_OBSERVE);
        before = c->flagz;
        CHECK_INT(observe(c, PLATFORM_OBSERVE), 0); // not with every pass
        c->flagz_status = 0;
        wait_until_old(CLUSTER_FACTS_MS);
        observe(c, PLATFORM_OBSERVE);
        CHECK_INT(c->flagz - before, again[i]);
        CHECK_INT(json_object_get(c->observed->instances[0].reported, "featureGates") != NULL,
                  again[i]);
        place_free(c);
    }
}

TEST(dropped_at_once)
{
    static const enum platform_type types[] = {PLATFORM_OBSERVE, PLATFORM_KUBEADM,
                                               PLATFORM_HOSTED_CONTROL_PLANE};
    struct place *c = place_new();

    CHECK_INT(observe(c, PLATFORM_OBSERVE), 3);
    for (size_t i = 0; i < COUNT(types); i++) {
        struct platform_target target = {.type = types[i], .namespace = "default"};

        op_drop(platform_observe(c->world->loop, &c->cluster, &target, on_observed, c));
    }
    world_run_for(c->world, 20);
    place_free(c);
}

TEST_MAIN()
