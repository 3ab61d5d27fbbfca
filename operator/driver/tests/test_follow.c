// SPDX-License-Identifier: Apache-2.0
// What a pass over a driver that is well costs the API server, and what calls for the next pass.
#include <string.h>

#include "driver_internal.h"
#include "test.h"
#include "testkit/server.h"

#define SET                                                                                        \
    "{\"metadata\": {\"name\": \"plugin\", \"namespace\": \"other\", \"uid\": \"u\", "             \
    "\"resourceVersion\": \"3\", \"annotations\": {\"meta.helm.sh/release-name\": \"r\", "         \
    "\"meta.helm.sh/release-namespace\": \"gpu\"}}, \"spec\": {\"selector\": {\"matchLabels\": "   \
    "{\"app\": \"plugin\"}}, \"template\": {\"spec\": {\"nodeSelector\": {\"gpu\": \"true\"}}}}, " \
    "\"status\": {\"desiredNumberScheduled\": 1, \"currentNumberScheduled\": 1, "                  \
    "\"updatedNumberScheduled\": 1, \"numberAvailable\": 1}}"
#define POD                                                                                        \
    "{\"metadata\": {\"name\": \"p\", \"namespace\": \"other\", \"resourceVersion\": \"4\", "      \
    "\"ownerReferences\": [{\"uid\": \"u\"}]}, \"spec\": {\"nodeName\": \"a\"}, \"status\": "      \
    "{\"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]}}"
#define SLICE_OF(version, devices)                                                                 \
    "{\"metadata\": {\"name\": \"s\", \"resourceVersion\": \"" version "\"}, \"spec\": "           \
    "{\"driver\": \"d\", \"nodeName\": \"a\", \"pool\": {\"name\": \"a\"}, \"devices\": "          \
    "[" devices "]}}"
#define NODE                                                                                       \
    "{\"metadata\": {\"name\": \"a\", \"resourceVersion\": \"2\"}, \"status\": {\"conditions\": "  \
    "[{\"type\": \"Ready\", \"status\": \"True\"}]}}"

static const struct {
    const char *path, *items;
} collections[] = {
    {"/apis/apps/v1/daemonsets?", SET},
    {"/api/v1/namespaces/other/pods?", POD},
    {"/apis/resource.k8s.io/v1/resourceslices?", SLICE_OF("5", "{}")},
    {"/apis/resource.k8s.io/v1/deviceclasses?", ""},
    {"/api/v1/nodes?", NODE},
    {"/apis/apps/v1/namespaces/gpu/daemonsets?", SET},
};
#define USUAL 5 // of them; the last one is looked at where all namespaces may not be

struct place { // a cluster
    struct rig *rig;
    struct server *server;
    struct cluster cluster;
    struct server_conn *slices; // its watch
    unsigned lists[COUNT(collections)];
    unsigned asked;
};

struct rig {
    struct loop *loop;
    struct http *http;
    struct place home, far;
    struct driver *driver;
    struct op *pass;
    unsigned refused;
    bool narrow;   // the account may look into the namespace of the driver alone
    bool selected; // pods were asked for by the selector of their set
    bool called;   // for a pass
    bool crowded;  // there are very many pods in kube-system
    struct driver_result *result;
};

// More than a target may have, the least that one can be.
static void reply_crowd(struct server_conn *conn)
{
    AUTO_BUF struct buf list = buf_make((size_t)4 << 20);

    buf_add_str(&list, "{\"metadata\": {}, \"items\": [{\"metadata\": {\"name\": \"x\"}}");
    for (unsigned i = 0; i < 50000; i++)
        buf_add_str(&list, ",{\"metadata\": {\"name\": \"x\"}}");
    buf_add_str(&list, "]}");
    server_reply(conn, 200, "", list.ptr);
}

static void on_request(void *owner, struct server_conn *conn, const struct server_request *request)
{
    struct place *place = owner;
    struct rig *rig = place->rig;

    place->asked++;
    if (rig->crowded && str_starts(request->target, "/api/v1/namespaces/kube-system/pods?")) {
        reply_crowd(conn);
        return;
    }
    for (size_t i = 0; i < COUNT(collections); i++) {
        AUTO_MEM char *body = NULL;

        if (!str_starts(request->target, collections[i].path))
            continue;
        if (i == 0 && rig->narrow) {
            rig->refused++;
            server_reply(conn, 403, "", "{\"message\": \"not in all namespaces\"}");
            return;
        }
        if (strstr(request->target, "watch=")) {
            server_begin(conn, 200, "");
            if (strstr(request->target, "/resourceslices"))
                place->slices = conn;
            return;
        }
        place->lists[i]++;
        rig->selected = rig->selected || strstr(request->target, "labelSelector=app%3Dplugin");
        body = str_format("{\"metadata\": {\"resourceVersion\": \"9\"}, \"items\": [%s]}",
                          collections[i].items);
        server_reply(conn, 200, "", body);
        return;
    }
    server_reply(conn, 200, "", "{\"kind\": \"Status\", \"status\": \"Success\", \"items\": []}");
}

static void on_change(void *owner, const char *key)
{
    struct rig *rig = owner;

    CHECK_STR(key, "team/dra");
    rig->called = true;
    loop_stop(rig->loop);
}

static bool may_write(void *owner, const struct cluster *cluster)
{
    (void)owner, (void)cluster;
    return true;
}

// by: NULL, the one that Drawbridge runs in.
static void open_place(struct rig *rig, struct place *place, const char *by)
{
    AUTO_MEM char *path = test_path("kubeconfig");
    AUTO_MEM char *cluster = NULL;
    struct kube_config *config = NULL;

    place->rig = rig;
    place->server = server_new(rig->loop, on_request, place);
    cluster = str_format("apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: x, "
                         "cluster: {server: '%s'}}]\nusers: [{name: x, user: {}}]\ncontexts: "
                         "[{name: x, context: {cluster: x, user: x}}]\n",
                         server_url(place->server));
    test_write(path, cluster);
    CHECK_OK(kube_config_load(path, NULL, &config));
    place->cluster.kube = kube_new(rig->loop, rig->http, config);
    place->cluster.by = by;
}

static void rig_init(struct rig *rig)
{
    *rig = (struct rig){0};
    rig->loop = loop_new();
    rig->http = http_new(rig->loop, NULL);
    open_place(rig, &rig->home, NULL);
    open_place(rig, &rig->far, "Secret team/far, key value");
    struct driver_spec spec = {.helm = "/bin/false",
                               .dir = "/nowhere",
                               .namespace = "system",
                               .on_change = on_change,
                               .may_write = may_write,
                               .owner = rig};
    rig->driver = driver_new(rig->loop, &spec);
}

static void rig_fini(struct rig *rig)
{
    op_drop(rig->pass);
    driver_result_free(rig->result);
    driver_free(rig->driver);
    kube_free(rig->home.cluster.kube);
    kube_free(rig->far.cluster.kube);
    http_free(rig->http);
    server_free(rig->home.server);
    server_free(rig->far.server);
    loop_free(rig->loop);
}
#define AUTO_RIG CLEANUP(rig_fini)

static void on_passed(void *owner, struct error *take_err, struct driver_result *take_result)
{
    struct rig *rig = owner;

    if (rig->crowded)
        CHECK_ERR_HAS(take_err, ERROR_LIMIT, "read controllers: there are more than 50000");
    else
        CHECK_OK(take_err);
    rig->pass = NULL;
    driver_result_free(rig->result);
    rig->result = take_result;
    loop_stop(rig->loop);
}

static void pass_at(struct rig *rig, struct cluster *cluster, const char *driver)
{
    AUTO_MEM char *text =
        str_format("{metadata: {namespace: team, name: dra}, spec: {driver: %s}}", driver);
    AUTO_JSON json_t *object = NULL;
    AUTO_JSON json_t *served = json_pack("[s]", "v1");
    struct driver_work work = {.key = "team/dra", .cluster = cluster, .served = served};

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &object));
    work.object = object;
    rig->pass = driver_pass(rig->driver, &work, on_passed, rig);
    loop_run(rig->loop);
}

static void pass_of(struct rig *rig, const char *driver)
{
    pass_at(rig, &rig->home.cluster, driver);
}

#define FOLLOWED "{engine: External, release: r, namespace: gpu, serviceAccountName: installer}"

static void pass(struct rig *rig)
{
    pass_of(rig, FOLLOWED);
}

// Nodes, slices, DaemonSets and pods are listed once, not for each pass of each configuration.
TEST(a_driver_that_is_well_is_followed_and_not_listed_again_and_again)
{
    AUTO_RIG struct rig rig;

    rig_init(&rig);
    for (int i = 0; i < 3; i++)
        pass(&rig);
    for (size_t i = 0; i < USUAL; i++)
        CHECK_INT(rig.home.lists[i], 1);
    CHECK(rig.selected);
    CHECK_INT(rig.result->ready.state, DRIVER_TRUE);
    CHECK_HAS(rig.result->ready.message, "1 of 1 pods");
    CHECK_HAS(rig.result->devices.message, "1 device in 1 ResourceSlice on 1 node:");
    CHECK(rig.result->after_ms >= 60000);
}

static void send_slice(struct rig *rig, const char *object)
{
    AUTO_MEM char *line = str_format("{\"type\": \"MODIFIED\", \"object\": %s}\n", object);

    server_chunk(rig->home.slices, slice_of(line));
}

static void on_stop(void *owner)
{
    loop_stop(owner);
}

static void on_late(void *owner)
{
    struct rig *rig = owner;

    rig->pass = NULL;
    send_slice(rig, SLICE_OF("12", "{}, {}"));
}

TEST(a_change_of_what_is_followed_calls_for_a_pass)
{
    AUTO_RIG struct rig rig;

    rig_init(&rig);
    pass(&rig);
    while (!rig.home.slices) { // its watch begins after its list was taken
        rig.pass = loop_defer(rig.loop, on_stop, rig.loop);
        loop_run(rig.loop);
        rig.pass = NULL;
    }
    send_slice(&rig, SLICE_OF("11", "{}")); // nothing that is looked at
    rig.pass = loop_defer(rig.loop, on_late, &rig);
    loop_run(rig.loop);
    CHECK(rig.called);
    pass(&rig);
    CHECK_HAS(rig.result->devices.message, "2 devices");
}

TEST(what_nobody_looks_at_is_followed_no_more)
{
    AUTO_RIG struct rig rig;

    rig_init(&rig);
    pass(&rig);
    CHECK(rig.driver->followed != NULL);
    driver_forget(rig.driver, "team/other");
    CHECK(rig.driver->followed != NULL);
    driver_forget(rig.driver, "team/dra");
    CHECK(rig.driver->followed == NULL);
    pass(&rig);
    for (size_t i = 0; i < USUAL; i++)
        CHECK_INT(rig.home.lists[i], 2);
}

// The account may have rights in the driver's namespace alone. It is not asked for in vain again.
TEST(an_account_of_one_namespace_looks_there)
{
    AUTO_RIG struct rig rig;

    rig_init(&rig);
    rig.narrow = true;
    for (int i = 0; i < 3; i++)
        pass(&rig);
    CHECK_INT(rig.refused, 1);
    CHECK_INT(rig.home.lists[USUAL], 1);
    CHECK_HAS(rig.result->ready.message, "1 of 1 pods");
}

// Who installs it says with values what is turned off there.
TEST(values_of_a_driver_that_somebody_else_installs_turn_it_off_too)
{
    AUTO_RIG struct rig rig;

    rig_init(&rig);
    pass_of(&rig, "{preset: NVIDIALegacy, engine: External, serviceAccountName: installer, values: "
                  "{resources: {gpus: {enabled: false}}}}");
    CHECK_STR(rig.result->ready.reason, "DriverTurnedOff");
    CHECK_HAS(rig.result->ready.message, "set resources.gpus.enabled");
}

// --- other clusters

// What has the same name in two clusters is two things.
TEST(what_two_clusters_have_is_followed_in_each)
{
    AUTO_RIG struct rig rig;

    rig_init(&rig);
    for (int i = 0; i < 2; i++) {
        pass_at(&rig, &rig.home.cluster, FOLLOWED);
        CHECK_HAS(rig.result->ready.message, "1 of 1 pods");
        pass_at(&rig, &rig.far.cluster, FOLLOWED);
        CHECK_HAS(rig.result->ready.message, "1 of 1 pods");
    }
    // Of one configuration one cluster is followed: the other one is let go of.
    for (size_t i = 0; i < USUAL; i++) {
        CHECK_INT(rig.home.lists[i], 2);
        CHECK_INT(rig.far.lists[i], 2);
    }
}

TEST(a_pass_of_another_cluster_asks_that_one_alone)
{
    AUTO_RIG struct rig rig;

    rig_init(&rig);
    pass_at(&rig, &rig.far.cluster, FOLLOWED);
    pass_at(&rig, &rig.far.cluster, FOLLOWED);
    CHECK(rig.far.asked > 0);
    for (size_t i = 0; i < USUAL; i++)
        CHECK_INT(rig.far.lists[i], 1);
    CHECK_INT(rig.home.asked, 0);
}

// With another kubeconfig it is another client, and the old one is to go.
TEST(a_cluster_that_was_made_anew_is_followed_anew_and_nothing_holds_the_old_one)
{
    AUTO_RIG struct rig rig;
    struct cluster *old = NEW(struct cluster);

    rig_init(&rig);
    *old =
        (struct cluster){.kube = kube_new_as(rig.far.cluster.kube, NULL), .by = rig.far.cluster.by};
    pass_at(&rig, old, FOLLOWED);
    pass_at(&rig, &rig.far.cluster, FOLLOWED);
    CHECK_INT(rig.far.lists[0], 2);
    kube_free(old->kube); // no request of it is left
    mem_free(old);
    pass_at(&rig, &rig.far.cluster, FOLLOWED);
    CHECK_INT(rig.far.lists[0], 2);
}

// It is somebody else's server.
TEST(a_cluster_that_has_more_of_something_than_there_can_be_is_an_error)
{
    AUTO_RIG struct rig rig;

    rig_init(&rig);
    rig.crowded = true;
    pass_at(&rig, &rig.far.cluster, FOLLOWED);
    CHECK(rig.result == NULL);
}

TEST_MAIN()
