// SPDX-License-Identifier: Apache-2.0
// Clusters of Giant Swarm as pure functions: where values come from, what ours say beside them, and
// the way back.
#include <string.h>

#include "giantswarm/giantswarm_internal.h"
#include "test.h"

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

static void check_yaml(const json_t *got, const char *want)
{
    AUTO_JSON json_t *wanted = parse(want);
    AUTO_MEM char *text = got ? doc_print_json_sorted(got) : str_dup("nothing");
    AUTO_MEM char *want_text = doc_print_json_sorted(wanted);

    CHECK_STR(text, want_text);
}

// --- a cluster -----------------------------------------------------------------------------------

#define APP(spec)                                                                                  \
    "{metadata: {name: berlin, namespace: org-a, resourceVersion: '7'}, spec: {" spec "}}"
#define RELEASE(spec) APP(spec)
#define USER "userConfig: {configMap: {name: berlin-userconfig, namespace: org-a}}"
#define GATES                                                                                      \
    "{kube-apiserver: {DynamicResourceAllocation: true},"                                          \
    " kube-controller-manager: {DynamicResourceAllocation: true},"                                 \
    " kube-scheduler: {DynamicResourceAllocation: true},"                                          \
    " kubelet: {DynamicResourceAllocation: true}}"

static struct platform_giantswarm *cluster_new(enum platform_kind kind, const char *object)
{
    struct platform_giantswarm *gs = NEW(struct platform_giantswarm);

    gs->namespace = str_dup("org-a");
    gs->name = str_dup("berlin");
    gs->where = str_dup("App org-a/berlin");
    gs->release = str_dup("");
    gs->kind = kind;
    gs->object = parse(object);
    gs->ours = json_array();
    CHECK_OK(giantswarm_find_layers(gs));
    return gs;
}

static void say(struct platform_giantswarm *gs, const char *name, const char *values)
{
    for (size_t i = 0; i < gs->layers_len; i++) {
        if (str_eq(gs->layers[i].name, name))
            gs->layers[i].values = parse(values);
    }
}

static void set_chart(struct platform_giantswarm *gs, const char *chart, const char *release)
{
    AUTO_MEM char *text = str_format("{metadata: {labels: {helm.sh/chart: cluster-%s,"
                                     " release.giantswarm.io/version: '%s'}}}",
                                     chart, release);
    AUTO_JSON json_t *kcp = parse(text);

    giantswarm_read_chart(gs, kcp);
}

static struct error *make(const struct platform_giantswarm *gs, const char *gates, json_t **ret)
{
    AUTO_JSON json_t *wanted = parse(gates);

    return giantswarm_make_values(gs, wanted, ret);
}

static void check_values(const struct platform_giantswarm *gs, const char *gates, const char *want)
{
    AUTO_JSON json_t *values = NULL;

    CHECK_OK(make(gs, gates, &values));
    check_yaml(values, want);
}

// --- layers --------------------------------------------------------------------------------------

static void check_layers(const struct platform_giantswarm *gs, const char *want)
{
    AUTO_STRLIST struct strlist names = {0};
    AUTO_MEM char *text = NULL;

    for (size_t i = 0; i < gs->layers_len; i++)
        strlist_take(&names, str_format("%s%s", gs->layers[i].name ? gs->layers[i].name : "inline",
                                        gs->layers[i].after ? " (after)" : ""));
    text = strlist_join(&names, ", ");
    CHECK_STR(text, want);
}

TEST(values_of_an_app_are_merged_by_priority)
{
    struct platform_giantswarm *gs = cluster_new(
        KIND_APP,
        APP("config: {configMap: {name: own, namespace: org-a}}, " USER ", extraConfigs: ["
            "{kind: configMap, name: late, namespace: org-a, priority: 150},"
            "{kind: configMap, name: middle, namespace: org-a, priority: 51},"
            "{kind: configMap, name: default, namespace: org-a},"
            "{kind: configMap, name: same, namespace: org-a, priority: 125},"
            "{kind: configMap, name: past, namespace: org-a, priority: 101},"
            "{kind: configMap, name: edge, namespace: org-a, priority: 50},"
            "{kind: configMap, name: elsewhere, namespace: org-b, priority: 60},"
            "{kind: secret, name: hidden, namespace: org-a, priority: 60}]"));

    check_layers(gs, "default, edge, own, middle, berlin-userconfig, past, same, late (after)");
    CHECK_INT(gs->unread, 2);
    platform_giantswarm_free(gs);
}

TEST(an_equal_priority_after_ours_counts_more)
{
    struct platform_giantswarm *gs = cluster_new(
        KIND_APP,
        APP("extraConfigs: [{kind: configMap, name: one, namespace: org-a, priority: 125},"
            "{kind: configMap, name: berlin-drawbridge-0123abcd, namespace: org-a, priority: 125},"
            "{kind: configMap, name: two, namespace: org-a, priority: 125}]"));

    check_layers(gs, "one, two (after)");
    CHECK_STR(giantswarm_named(gs), "berlin-drawbridge-0123abcd");
    platform_giantswarm_free(gs);
}

TEST(values_in_a_helm_release_itself_come_last)
{
    struct platform_giantswarm *gs = cluster_new(
        KIND_HELM_RELEASE,
        RELEASE("valuesFrom: [{kind: ConfigMap, name: one}, {kind: Secret, name: hidden},"
                " {kind: ConfigMap, name: two, valuesKey: values}], values: {a: 1}"));

    check_layers(gs, "one, two, inline (after)");
    CHECK_STR(gs->layers[0].key, "values.yaml");
    CHECK_STR(gs->layers[1].key, "values");
    CHECK_INT(gs->unread, 1);
    platform_giantswarm_free(gs);
}

// --- the table of releases -----------------------------------------------------------------------

#define CLUSTER_CONFIGURATION(item)                                                                \
    "clusterConfiguration: {apiServer: {featureGates: [" item                                      \
    "]}, controllerManager: {featureGates: [" item "]}, scheduler: {featureGates: [" item "]}}"
#define ALL_FOUR(item, more)                                                                       \
    "{cluster: {providerIntegration: {kubeadmConfig: {featureGates: [" item                        \
    "]}, controlPlane: {kubeadmConfig: {" CLUSTER_CONFIGURATION(item) "}}}}" more "}"
#define PLAIN "{name: DynamicResourceAllocation, enabled: true}"
#define WITH_MAX "{name: DynamicResourceAllocation, enabled: true, maxKubernetesVersion: 1.38.0}"
#define CDI_ON ", global: {components: {containerd: {cdi: {enabled: true}}}}"

// Giant Swarm's releases for AWS: which chart "cluster" each has, and what that takes.
TEST(each_release_gets_what_its_chart_takes)
{
    static const struct {
        const char *release, *chart, *want; // NULL: it does nothing with it
    } rows[] = {
        {"32.3.0", "3.0.1", NULL},
        {"32.4.0", "3.0.1", NULL},
        {"33.1.1", "4.4.0", ALL_FOUR(PLAIN, CDI_ON)},
        {"33.4.0", "4.4.2", ALL_FOUR(PLAIN, CDI_ON)},
        {"34.5.0", "5.3.2", ALL_FOUR(PLAIN, CDI_ON)},
        {"", "6.8.0", ALL_FOUR(WITH_MAX, CDI_ON)},
        // the edges: the first with all components, with CDI, with maxKubernetesVersion
        {"", "4.0.3", NULL},
        {"", "4.1.0", ALL_FOUR(PLAIN, "")},
        {"", "4.2.0", ALL_FOUR(PLAIN, CDI_ON)},
        {"", "6.5.0", ALL_FOUR(PLAIN, CDI_ON)},
        {"", "6.6.0", ALL_FOUR(WITH_MAX, CDI_ON)},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct platform_giantswarm *gs = cluster_new(KIND_APP, APP(USER));

        set_chart(gs, rows[i].chart, rows[i].release);
        if (rows[i].want) {
            CHECK_OK(giantswarm_check_chart(gs));
            check_values(gs, GATES, rows[i].want);
        } else {
            struct error *err = giantswarm_check_chart(gs);

            CHECK_STR(err ? error_reason(err) : "accepted", "NotManaged");
            CHECK_ERR_HAS(err, ERROR_INVALID, "releases from 33 on (chart cluster 4.1.0)");
        }
        platform_giantswarm_free(gs);
    }
}

TEST(a_chart_that_nobody_names_gets_no_more_than_every_one_takes)
{
    struct platform_giantswarm *gs = cluster_new(KIND_APP, APP(USER));

    CHECK_OK(giantswarm_check_chart(gs));
    check_values(gs, GATES, ALL_FOUR(PLAIN, ""));
    platform_giantswarm_free(gs);
}

TEST(a_chart_that_is_too_old_is_named_with_its_release)
{
    struct platform_giantswarm *gs = cluster_new(KIND_APP, APP(USER));

    set_chart(gs, "3.0.1", "32.3.0");
    CHECK_ERR_HAS(giantswarm_check_chart(gs), ERROR_INVALID,
                  "App org-a/berlin: chart cluster 3.0.1 of release 32.3.0 takes");
    platform_giantswarm_free(gs);
}

// --- the user's values ---------------------------------------------------------------------------

#define OF_SCHEDULER(items)                                                                        \
    "{cluster: {providerIntegration: {controlPlane: {kubeadmConfig: {clusterConfiguration:"        \
    " {scheduler: {featureGates: [" items "]}}}}}}}"
#define INTERNAL_SCHEDULER(items)                                                                  \
    "{cluster: {internal: {advancedConfiguration: {controlPlane: {scheduler: {featureGates: "      \
    "[" items "]}}}}}}"
#define WANT_SCHEDULER "{kube-scheduler: {DynamicResourceAllocation: true}}"

TEST(what_the_user_has_in_a_list_stays_in_ours)
{
    struct platform_giantswarm *gs = cluster_new(KIND_APP, APP(USER));

    say(gs, "berlin-userconfig",
        OF_SCHEDULER("{name: B, enabled: false, minKubernetesVersion: 1.33.0},"
                     " {name: DynamicResourceAllocation, enabled: false}"));
    check_values(gs, WANT_SCHEDULER,
                 OF_SCHEDULER("{name: B, enabled: false, minKubernetesVersion: 1.33.0}, " PLAIN));
    platform_giantswarm_free(gs);
}

TEST(the_users_own_list_is_left_alone)
{
    struct platform_giantswarm *gs = cluster_new(KIND_APP, APP(USER));

    say(gs, "berlin-userconfig", INTERNAL_SCHEDULER("{name: B, enabled: true}"));
    check_values(gs, WANT_SCHEDULER, OF_SCHEDULER(PLAIN));
    platform_giantswarm_free(gs);
}

TEST(a_gate_that_the_users_list_has_otherwise_is_told_and_not_written)
{
    struct platform_giantswarm *gs = cluster_new(KIND_APP, APP(USER));
    AUTO_JSON json_t *values = NULL;
    struct error *err;

    say(gs, "berlin-userconfig",
        INTERNAL_SCHEDULER("{name: DynamicResourceAllocation, enabled: false}"));
    err = make(gs, WANT_SCHEDULER, &values);
    CHECK_STR(err ? error_reason(err) : "accepted", "NotManaged");
    CHECK_ERR_HAS(err, ERROR_INVALID,
                  "cluster.internal.advancedConfiguration.controlPlane.scheduler.featureGates in "
                  "ConfigMap org-a/berlin-userconfig");
    platform_giantswarm_free(gs);
}

TEST(a_list_that_comes_after_ours_is_told)
{
    struct platform_giantswarm *gs = cluster_new(
        KIND_APP,
        APP("extraConfigs: [{kind: configMap, name: late, namespace: org-a, priority: 150}]"));
    AUTO_JSON json_t *values = NULL;
    struct error *err;

    say(gs, "late", OF_SCHEDULER("{name: B, enabled: true}"));
    err = make(gs, WANT_SCHEDULER, &values);
    CHECK_STR(err ? error_reason(err) : "accepted", "NotManaged");
    CHECK_ERR_HAS(err, ERROR_INVALID, "ConfigMap org-a/late");
    gs->layers[0].values = (json_decref(gs->layers[0].values), parse(OF_SCHEDULER(PLAIN)));
    check_values(gs, WANT_SCHEDULER, OF_SCHEDULER(PLAIN)); // it says the same
    platform_giantswarm_free(gs);
}

TEST(what_the_user_says_of_cdi_is_left_alone)
{
    struct platform_giantswarm *gs = cluster_new(KIND_APP, APP(USER));

    set_chart(gs, "4.4.0", "33.1.1");
    say(gs, "berlin-userconfig", "{global: {components: {containerd: {cdi: {enabled: false}}}}}");
    check_values(gs, WANT_SCHEDULER, OF_SCHEDULER(PLAIN));
    platform_giantswarm_free(gs);
}

TEST(nothing_wanted_is_no_config_map)
{
    struct platform_giantswarm *gs = cluster_new(KIND_APP, APP(USER));
    AUTO_JSON json_t *values = NULL;

    set_chart(gs, "4.4.0", "33.1.1");
    CHECK_OK(make(gs, "{kubelet: {}}", &values));
    CHECK(!values);
    platform_giantswarm_free(gs);
}

// --- the entry -----------------------------------------------------------------------------------

static json_t *named(struct platform_giantswarm *gs, const char *map, bool keep)
{
    json_t *object = giantswarm_name_map(gs, map, keep);

    json_decref(gs->object);
    gs->object = json_incref(object);
    return object;
}

static void check_both_ways(enum platform_kind kind, const char *before, const char *on)
{
    struct platform_giantswarm *gs = cluster_new(kind, before);
    AUTO_JSON json_t *was = doc_copy(gs->object);
    bool keep = doc_get(was, "spec", giantswarm_list(kind), NULL) != NULL;
    AUTO_JSON json_t *first = named(gs, "berlin-drawbridge-00000001", keep);
    AUTO_JSON json_t *again = named(gs, "berlin-drawbridge-0123abcd", keep);

    check_yaml(again, on);
    AUTO_JSON json_t *off = named(gs, NULL, keep);
    CHECK(doc_equal(off, was));
    platform_giantswarm_free(gs);
}

#define OURS_OF_APP                                                                                \
    "{kind: configMap, name: berlin-drawbridge-0123abcd, namespace: org-a, priority: 125}"
#define OURS_OF_RELEASE "{kind: ConfigMap, name: berlin-drawbridge-0123abcd, valuesKey: values}"

TEST(the_entry_is_one_and_goes_without_a_trace)
{
    check_both_ways(KIND_APP, APP(USER), APP(USER ", extraConfigs: [" OURS_OF_APP "]"));
    check_both_ways(KIND_APP, APP("extraConfigs: []"), APP("extraConfigs: [" OURS_OF_APP "]"));
    check_both_ways(
        KIND_APP, APP("extraConfigs: [{kind: secret, name: s, namespace: org-a}]"),
        APP("extraConfigs: [{kind: secret, name: s, namespace: org-a}, " OURS_OF_APP "]"));
    check_both_ways(KIND_HELM_RELEASE, RELEASE("valuesFrom: [{kind: ConfigMap, name: one}]"),
                    RELEASE("valuesFrom: [{kind: ConfigMap, name: one}, " OURS_OF_RELEASE "]"));
}

TEST(a_config_map_is_named_by_what_it_says)
{
    struct platform_giantswarm *gs = cluster_new(KIND_APP, APP(USER));
    AUTO_JSON json_t *one = parse("{a: 1}");
    AUTO_JSON json_t *other = parse("{a: 2}");
    AUTO_JSON json_t *map = giantswarm_make_map(gs, one);
    AUTO_JSON json_t *same = giantswarm_make_map(gs, one);
    AUTO_JSON json_t *differs = giantswarm_make_map(gs, other);
    const char *name = doc_str(map, "metadata", "name", NULL);

    CHECK(str_starts(name, "berlin-drawbridge-"));
    CHECK_INT(strlen(name), strlen("berlin-drawbridge-") + 8);
    CHECK(doc_equal(map, same));
    CHECK(!str_eq(doc_str(differs, "metadata", "name", NULL), name));
    CHECK_STR(doc_str(map, "data", "values", NULL), "a: 1\n");
    CHECK_INT(json_object_size(json_object_get(map, "data")), 1); // App takes no second key
    CHECK(doc_bool(map, false, "immutable", NULL));
    platform_giantswarm_free(gs);
}

TEST_MAIN()
