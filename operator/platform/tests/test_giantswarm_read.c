// SPDX-License-Identifier: Apache-2.0
// Clusters of Giant Swarm as pure functions: what became of our values in the objects that come
// out, and what is to be done about it.
#include <string.h>

#include "giantswarm/giantswarm_internal.h"
#include "test.h"

#define NOW_MS 1764000000000
#define APP "{metadata: {name: berlin, namespace: org-a, resourceVersion: '7'}, spec: {name: c}}"
#define WANT                                                                                       \
    "{revision: r1, expect: {DynamicResourceAllocation: true},"                                    \
    " featureGates: {DynamicResourceAllocation: true}}"
#define WANT_NOTHING "{revision: r2, expect: {}, featureGates: {}}"

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

// --- a cluster, and what its chart made of it ----------------------------------------------------

// A flag of three components and the gate of kubelets in their file, where the text is not "".
struct out {
    const char *apiserver, *manager, *scheduler, *kubelet, *worker;
};

static char *args_of(const char *gates, const char *more)
{
    return *gates ? str_format("extraArgs: [{name: feature-gates, value: '%s'}%s]", gates, more)
                  : str_format("extraArgs: [{name: v, value: '2'}%s]", more);
}

#define FILES                                                                                      \
    "files: [{path: /etc/kubernetes/patches/kubeletconfiguration.yaml, content: \"%s\"}],"         \
    " joinConfiguration: {patches: {directory: /etc/kubernetes/patches}}"

static char *file_of(const char *gates)
{
    return *gates ? str_format("maxPods: 9\\nfeatureGates: {%s}\\n", gates)
                  : str_dup("maxPods: 9\\n");
}

static json_t *make_kcp(const struct out *out)
{
    AUTO_MEM char *api = args_of(out->apiserver, ", {name: runtime-config, value: api/all=true}");
    AUTO_MEM char *manager = args_of(out->manager, "");
    AUTO_MEM char *scheduler = args_of(out->scheduler, "");
    AUTO_MEM char *file = file_of(out->kubelet);
    AUTO_MEM char *text = str_format(
        "{metadata: {name: berlin, namespace: org-a, generation: 2,"
        " labels: {helm.sh/chart: cluster-4.4.0}}, spec: {replicas: 1, version: v1.33.6,"
        " kubeadmConfigSpec: {clusterConfiguration: {apiServer: {%s}, controllerManager: {%s},"
        " scheduler: {%s}}, " FILES "}}, status: {observedGeneration: 2, replicas: 1,"
        " upToDateReplicas: 1, readyReplicas: 1, availableReplicas: 1}}",
        api, manager, scheduler, file);

    return parse(text);
}

static struct platform_capi *make_capi(const struct out *out)
{
    struct platform_capi *capi = NEW(struct platform_capi);
    AUTO_MEM char *file = file_of(out->worker);
    AUTO_MEM char *template = str_format(
        "{metadata: {name: workers, namespace: org-a}, spec: {template: {spec: {" FILES "}}}}",
        file);

    capi->namespace = str_dup("org-a");
    capi->name = str_dup("berlin");
    capi->core = str_dup("v1beta2");
    capi->control_plane = str_dup("v1beta2");
    capi->bootstrap = str_dup("v1beta2");
    capi->above = true;
    capi->ours = json_array();
    capi->in_use = json_object();
    capi->len = 2;
    capi->owners = mem_alloc(2 * sizeof(*capi->owners));
    capi->owners[0] =
        (struct capi_owner){.kind = KIND_KUBEADM_CONTROL_PLANE, .object = make_kcp(out)};
    capi->owners[1] = (struct capi_owner){
        .kind = KIND_MACHINE_DEPLOYMENT,
        .object = parse("{metadata: {name: pool, namespace: org-a, generation: 1}, spec:"
                        " {replicas: 2, template: {spec: {version: v1.33.6, bootstrap: {configRef:"
                        " {kind: KubeadmConfigTemplate, name: workers}}}}}, status:"
                        " {observedGeneration: 1, replicas: 2, upToDateReplicas: 2,"
                        " readyReplicas: 2, availableReplicas: 2}}"),
        .template = parse(template)};
    for (size_t i = 0; i < capi->len; i++)
        CHECK_OK(capi_owner_read(&capi->owners[i], capi));
    return capi;
}

static struct platform_observed *see(const char *object, const json_t *map, const struct out *out)
{
    struct platform_observed *observed = platform_observed_new();
    struct platform_giantswarm *gs = NEW(struct platform_giantswarm);

    gs->namespace = str_dup("org-a");
    gs->name = str_dup("berlin");
    gs->where = str_dup("App org-a/berlin");
    gs->release = str_dup("");
    gs->kind = KIND_APP;
    gs->object = parse(object);
    gs->ours = json_array();
    if (map) {
        json_array_append_new(gs->ours, doc_copy(map));
        CHECK_OK(giantswarm_read_map(map, "ours", GIANTSWARM_KEY, &gs->values));
    }
    CHECK_OK(giantswarm_find_layers(gs));
    observed->type = PLATFORM_GIANT_SWARM;
    observed->giantswarm = gs;
    observed->capi = make_capi(out);
    CHECK_OK(giantswarm_read(gs, observed->capi));
    return observed;
}

static const struct platform_part *part_of(const struct platform_observed *observed,
                                           const char *slot)
{
    for (size_t i = 0; i < observed->giantswarm->len; i++) {
        if (str_eq(observed->giantswarm->parts[i].slot, slot))
            return &observed->giantswarm->parts[i];
    }
    return NULL;
}

// The object and the ConfigMap once every component is asked for that; NULL: is put back.
static char *ask(const struct platform_observed *observed, const char *want, json_t **ret_map)
{
    const struct platform_giantswarm *gs = observed->giantswarm;
    AUTO_JSON json_t *wanted = want ? parse(want) : NULL;
    AUTO_JSON json_t *gates = json_object();
    AUTO_JSON json_t *values = NULL;
    AUTO_JSON json_t *object = NULL;
    json_t *records[GIANTSWARM_PLACES];
    bool keep = true;

    for (size_t i = 0; i < gs->len; i++) {
        AUTO_JSON json_t *tree = NULL;

        if (want)
            CHECK_OK(platform_record_edit(&gs->parts[i], wanted, NOW_MS, &tree, &records[i]));
        else
            CHECK_OK(platform_record_put_back(&gs->parts[i], NOW_MS, &tree, &records[i]));
        keep = keep && doc_int(tree, 1, PLATFORM_PARENTS, NULL) > 0;
        if (json_object_get(tree, "featureGates"))
            json_object_set(gates, gs->parts[i].slot, json_object_get(tree, "featureGates"));
    }
    CHECK_OK(giantswarm_make_values(gs, gates, &values));
    *ret_map = values ? giantswarm_make_map(gs, values) : NULL;
    object = giantswarm_name_map(gs, *ret_map ? doc_str(*ret_map, "metadata", "name", NULL) : NULL,
                                 keep);
    for (size_t i = 0; i < gs->len; i++) {
        platform_record_put(object, &gs->parts[i], records[i]);
        json_decref(records[i]);
    }
    return doc_print_json(object);
}

#define DRA "DynamicResourceAllocation"
static const struct out before = {.apiserver = "A=true",
                                  .manager = "",
                                  .scheduler = "",
                                  .kubelet = "A: true",
                                  .worker = "A: true"};
static const struct out after = {.apiserver = "A=true," DRA "=true",
                                 .manager = DRA "=true",
                                 .scheduler = DRA "=true",
                                 .kubelet = "A: true, " DRA ": true",
                                 .worker = "A: true, " DRA ": true"};

// --- what stands ---------------------------------------------------------------------------------

TEST(what_came_out_tells_what_others_say)
{
    struct platform_observed *observed = see(APP, NULL, &before);
    const struct platform_part *api = part_of(observed, "kube-apiserver"),
                               *kubelet = part_of(observed, "kubelet");

    CHECK_INT(observed->giantswarm->len, 4);
    CHECK(doc_bool(api->flags.feature_gates, false, "A", NULL));
    CHECK_STR(doc_str(api->flags.runtime_config, "api/all", NULL), "true");
    CHECK(doc_bool(kubelet->flags.feature_gates, false, "A", NULL));
    CHECK_INT(json_object_size(part_of(observed, "kube-scheduler")->flags.feature_gates), 0);
    CHECK_INT(json_object_size(json_object_get(api->owned, "featureGates")), 0);
    CHECK(kubelet->rollout.complete);
    CHECK_INT(kubelet->rollout.desired, 3); // with those of the pool
    CHECK_INT(api->rollout.desired, 1);
    platform_observed_free(observed);
}

static struct platform_observed *see_on(const struct out *out)
{
    struct platform_observed *first = see(APP, NULL, &before), *observed;
    AUTO_JSON json_t *map = NULL;
    AUTO_MEM char *object = ask(first, WANT, &map);

    observed = see(object, map, out);
    platform_observed_free(first);
    return observed;
}

TEST(values_that_did_not_come_out_yet_are_waited_for)
{
    struct platform_observed *observed = see_on(&before);

    for (size_t i = 0; i < observed->giantswarm->len; i++) {
        const struct platform_part *part = &observed->giantswarm->parts[i];

        CHECK(part->stands);
        CHECK(doc_bool(part->owned, false, "featureGates", DRA, NULL));
        CHECK(!part->rollout.seen && !part->rollout.complete);
        CHECK_HAS(part->words, "App org-a/berlin has not brought its values");
    }
    platform_observed_free(observed);
}

TEST(values_that_came_out_are_over_with_the_machines)
{
    struct platform_observed *observed = see_on(&after);

    for (size_t i = 0; i < observed->giantswarm->len; i++)
        CHECK(observed->giantswarm->parts[i].rollout.complete);
    platform_observed_free(observed);
}

TEST(kubelets_wait_for_the_template_of_every_pool)
{
    struct out half = after;
    struct platform_observed *observed;

    half.worker = "A: true";
    observed = see_on(&half);
    CHECK(part_of(observed, "kube-scheduler")->rollout.complete);
    CHECK(!part_of(observed, "kubelet")->rollout.complete);
    platform_observed_free(observed);
}

TEST(everything_goes_without_a_trace)
{
    struct platform_observed *observed = see_on(&after);
    AUTO_JSON json_t *map = NULL;
    AUTO_MEM char *object = ask(observed, WANT_NOTHING, &map);
    AUTO_JSON json_t *off = parse(object);
    AUTO_JSON json_t *was = parse(APP);

    CHECK(!map);
    CHECK(doc_equal(json_object_get(off, "spec"), json_object_get(was, "spec")));
    platform_observed_free(observed);
    // It is over when what was ours came out no more.
    observed = see(object, NULL, &after);
    CHECK(!part_of(observed, "kube-scheduler")->rollout.complete);
    CHECK_INT(json_object_size(part_of(observed, "kube-scheduler")->flags.feature_gates), 0);
    platform_observed_free(observed);
    observed = see(object, NULL, &before);
    CHECK(part_of(observed, "kube-scheduler")->rollout.complete);
    platform_observed_free(observed);
}

TEST(what_is_put_back_is_over_when_it_came_out_no_more)
{
    struct platform_observed *observed = see_on(&after);
    AUTO_JSON json_t *map = NULL;
    AUTO_MEM char *object = NULL;

    for (size_t i = 0; i < observed->giantswarm->len; i++) {
        observed->giantswarm->parts[i].reason = "ComponentNotReady";
        observed->giantswarm->parts[i].message = str_dup("so");
    }
    object = ask(observed, NULL, &map);
    CHECK(!map);
    platform_observed_free(observed);
    observed = see(object, NULL, &after);
    CHECK(!part_of(observed, "kubelet")->rollout.complete);
    CHECK_INT(json_object_size(part_of(observed, "kube-scheduler")->flags.feature_gates), 0);
    platform_observed_free(observed);
    observed = see(object, NULL, &before);
    CHECK(part_of(observed, "kubelet")->rollout.complete);
    platform_observed_free(observed);
}

// --- a chart that takes values and does nothing with them ----------------------------------------

static void check_needs(const struct out *out, enum platform_need need, const char *message)
{
    struct platform_observed *observed = see_on(out);
    const struct platform_target target = {.component_timeout_ms = 600000};
    const struct platform_look look = {.target = &target, .now_wall_ms = NOW_MS + 1000};
    const struct platform_said said = {0};

    giantswarm_collect(observed, &look, &said);
    CHECK_INT(observed->len, 4);
    for (size_t i = 0; i < observed->giantswarm->len; i++) {
        const struct platform_part *part = &observed->giantswarm->parts[i];

        CHECK_INT(part->need, need);
        CHECK_STR(observed->instances[i].unit, "App org-a/berlin");
        if (message)
            CHECK_HAS(part->message, message);
    }
    CHECK_INT(observed->instances[3].nodes, 3);
    platform_observed_free(observed);
}

TEST(what_a_chart_ignores_is_taken_back_as_a_whole)
{
    struct out ignored = after;

    check_needs(&before, NEED_NOTHING, NULL); // nothing came out yet
    check_needs(&after, NEED_SETTLE, NULL);
    ignored.scheduler = "";
    ignored.kubelet = ignored.worker = "A: true";
    check_needs(&ignored, NEED_PUT_BACK,
                "takes gates of kube-scheduler and does nothing with them");
}

TEST_MAIN()
