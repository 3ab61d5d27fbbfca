// SPDX-License-Identifier: Apache-2.0
// What Auto finds beside the kubeconfig that spec.cluster names.
#include "place.h"
#include "platform_internal.h"

struct detecting {
    struct world *world;
    const char *groups, *cluster; // the answers; NULL: 404
    const char *above;            // a HelmRelease; NULL: Flux is not there
    int status;                   // of the second; 0: 200
    struct strlist asked;
    const char *type;
    struct error *err;
    bool done;
};

static void on_question(void *owner, struct server_conn *conn, const struct server_request *request)
{
    struct detecting *d = owner;
    bool of_object = strstr(request->target, "/namespaces/") != NULL;
    const char *answer = of_object ? d->cluster : d->groups;

    strlist_add(&d->asked, request->target);
    if (of_object && d->status)
        server_reply(conn, d->status, "", "{\"kind\":\"Status\",\"message\":\"no\"}");
    else if (of_object && d->above && strstr(request->target, "helmreleases"))
        server_reply(conn, 200, "", d->above);
    else if (answer && (strstr(request->target, "cluster.x-k8s.io") || (d->above && !of_object)))
        server_reply(conn, 200, "", answer);
    else
        server_reply(conn, 404, "", "{\"kind\":\"Status\",\"message\":\"no\"}");
}

static void on_detected(void *owner, struct error *take_err, const char *name)
{
    struct detecting *d = owner;

    d->err = take_err;
    d->type = name;
    d->done = true;
}

#define GROUP "{\"preferredVersion\":{\"version\":\"v1beta2\"}}"
#define CLUSTER "{\"metadata\":{\"name\":\"berlin\",\"namespace\":\"clusters\"}}"

static void detect(struct detecting *d, const char *secret)
{
    AUTO_JSON json_t *config =
        json_pack("{s:{s:s, s:s}, s:{s:{s:{s:s}}}}", "metadata", "namespace", "clusters", "name",
                  "dra", "spec", "cluster", "kubeconfigSecretRef", "name", secret);

    d->world = world_new(on_question);
    d->world->script_owner = d;
    CHECK(platform_detect(d->world->loop, d->world->kube, config, on_detected, d) != NULL);
    while (!d->done)
        world_run_for(d->world, 5);
}

static void detecting_fini(struct detecting *d)
{
    error_free(d->err);
    strlist_fini(&d->asked);
    world_free(d->world);
}

TEST(a_cluster_beside_its_kubeconfig_is_cluster_apis)
{
    struct detecting d = {.groups = GROUP, .cluster = CLUSTER};

    detect(&d, "berlin-kubeconfig");
    CHECK_OK(TAKE(d.err));
    CHECK_STR(d.type, "ClusterAPI");
    CHECK_STR(d.asked.items[d.asked.len - 1],
              "/apis/cluster.x-k8s.io/v1beta2/namespaces/clusters/clusters/berlin");
    detecting_fini(&d);
}

#define RELEASE(chart)                                                                             \
    "{\"metadata\":{\"name\":\"berlin\",\"namespace\":\"clusters\"},\"spec\":{\"chart\":{"         \
    "\"spec\":"                                                                                    \
    "{\"chart\":\"" chart "\"}}}}"

TEST(what_makes_the_cluster_comes_before_it)
{
    struct detecting d = {.groups = GROUP, .cluster = CLUSTER, .above = RELEASE("cluster-aws")};

    detect(&d, "berlin-kubeconfig");
    CHECK_OK(TAKE(d.err));
    CHECK_STR(d.type, "GiantSwarm");
    detecting_fini(&d);

    d = (struct detecting){.groups = GROUP, .cluster = CLUSTER, .above = RELEASE("nginx")};
    detect(&d, "berlin-kubeconfig");
    CHECK_OK(TAKE(d.err));
    CHECK_STR(d.type, "ClusterAPI");
    detecting_fini(&d);
}

TEST(what_is_not_there_or_not_for_us_to_see_is_no_sign)
{
    static const struct detecting rows[] = {
        {.groups = NULL, .cluster = CLUSTER},
        {.groups = GROUP, .cluster = NULL},
        {.groups = GROUP, .cluster = CLUSTER, .status = 403},
        {.groups = "{\"preferredVersion\":{\"version\":\"../v1\"}}", .cluster = CLUSTER},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct detecting d = rows[i];

        detect(&d, "berlin-kubeconfig");
        CHECK_OK(TAKE(d.err));
        CHECK(d.type == NULL);
        detecting_fini(&d);
    }
}

TEST(a_secret_that_is_called_otherwise_is_nobodys_sign)
{
    struct detecting d = {.groups = GROUP, .cluster = CLUSTER};

    detect(&d, "berlin");
    CHECK_OK(TAKE(d.err));
    CHECK(d.type == NULL);
    CHECK_INT(d.asked.len, 0);
    detecting_fini(&d);
}

TEST(a_failure_decides_nothing)
{
    struct detecting d = {.groups = GROUP, .cluster = CLUSTER, .status = 500};

    detect(&d, "berlin-kubeconfig");
    CHECK(d.err && error_kind(d.err) == ERROR_TRANSIENT);
    detecting_fini(&d);
}

TEST(what_was_found_is_what_auto_is)
{
    AUTO_JSON json_t *config = parse(
        "{metadata: {namespace: clusters, name: dra}, spec: {platform: {type: Auto}, cluster:"
        " {kubeconfigSecretRef: {name: berlin-kubeconfig}}}, status: {platform: ClusterAPI}}");
    AUTO_STRLIST struct strlist names = {0};

    CHECK(platform_type_of(config) == PLATFORM_CLUSTER_API);
    platform_targets_named(config, &names);
    CHECK_INT(names.len, 1);
    CHECK_STR(names.items[0], "Cluster clusters/berlin");
    // what is found in the cluster itself does not change whose it is
    doc_set(config, json_string("Kubeadm"), "status", "platform", NULL);
    CHECK(platform_type_of(config) == PLATFORM_AUTO);
    // nor does it make another type of one that is named
    doc_set(config, json_string("ClusterAPI"), "status", "platform", NULL);
    doc_set(config, json_string("Observe"), "spec", "platform", "type", NULL);
    CHECK(platform_type_of(config) == PLATFORM_OBSERVE);
}

TEST_MAIN()
