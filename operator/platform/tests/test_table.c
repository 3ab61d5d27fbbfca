// SPDX-License-Identifier: Apache-2.0
// What everybody else asks of the table of platforms.
#include "platform_internal.h"
#include "testkit/test.h"

static json_t *config_of(const char *spec)
{
    AUTO_MEM char *text = str_format("{metadata: {namespace: t, name: dra}, spec: %s}", spec);
    json_t *config = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "config", &config));
    return config;
}

static void check_refused(const char *spec, const char *reason, const char *words)
{
    AUTO_JSON json_t *object = config_of(spec);
    struct api_config config;
    struct error *err;

    CHECK_OK(api_config_parse(object, &config));
    err = platform_check(&config);
    CHECK_STR(err ? error_reason(err) : "accepted", reason);
    CHECK_ERR_HAS(err, ERROR_INVALID, words);
}

static void check_accepted(const char *spec)
{
    AUTO_JSON json_t *object = config_of(spec);
    struct api_config config;

    CHECK_OK(api_config_parse(object, &config));
    CHECK_OK(platform_check(&config));
}

TEST(what_a_platform_cannot_do_is_refused_with_what_can)
{
    check_refused("{platform: {type: Kubermatic}}", "NotSupported",
                  "Kubermatic is not supported by this version; use Kubeadm, HostedControlPlane, "
                  "ClusterAPI, GiantSwarm, Kwok or Observe");
    check_accepted(
        "{platform: {type: GiantSwarm, giantSwarm: {name: a}}, driver: {preset: NVIDIA}}");
    check_accepted("{platform: {type: Kwok}}");
    check_accepted("{platform: {type: ClusterAPI, clusterAPI: {name: a}}}");
    check_accepted("{platform: {type: ClusterAPI}, driver: {preset: NVIDIA}}");
    check_accepted("{cluster: {kubeconfigSecretRef: {name: a}}, driver: {preset: NVIDIA}, "
                   "smokeTest: {enabled: true}}");
    check_refused("{platform: {type: HostedControlPlane}, driver: {preset: NVIDIA}}",
                  "InvalidConfiguration", "spec.driver with platform.type HostedControlPlane");
    check_refused("{platform: {type: HostedControlPlane}, smokeTest: {enabled: true}}",
                  "InvalidConfiguration", "set spec.cluster.kubeconfigSecretRef");
    check_accepted("{platform: {type: HostedControlPlane}, driver: {preset: NVIDIA}, cluster: "
                   "{kubeconfigSecretRef: {name: a}}}");
    check_accepted("{driver: {preset: NVIDIA}, smokeTest: {enabled: true}}");
    check_accepted("{platform: {type: HostedControlPlane}, smokeTest: {enabled: false}, cluster: "
                   "{kubeconfigSecretRef: {name: a}}}");
}

static const char *decided(const char *type, const char *was)
{
    AUTO_MEM char *spec = str_format("{platform: {type: %s}}", type);
    AUTO_JSON json_t *object = config_of(spec);
    struct api_config config;

    doc_set(object, doc_string(was), "status", "platform", NULL);
    CHECK_OK(api_config_parse(object, &config));
    return platform_type_name(platform_decide(&config));
}

TEST(auto_stays_what_it_was_found_to_be_and_a_type_is_what_it_says)
{
    CHECK_STR(decided("Auto", "Kubeadm"), "Kubeadm");
    CHECK_STR(decided("Auto", "Observe"), "Observe");
    CHECK_STR(decided("Auto", "HostedControlPlane"), "Auto"); // nothing finds that
    CHECK_STR(decided("Auto", ""), "Auto");
    CHECK_STR(decided("Kubeadm", "Observe"), "Kubeadm");
}

TEST(what_a_platform_is)
{
    AUTO_JSON json_t *none = config_of("{}");
    AUTO_JSON json_t *observe = config_of("{platform: {type: Observe}}");
    AUTO_JSON json_t *unknown = config_of("{platform: {type: [3]}}");

    CHECK(platform_traits_of(none)->writes);
    CHECK(!platform_traits_of(observe)->writes);
    CHECK(platform_traits_of(unknown)->writes);
    for (int i = 0; i < PLATFORM_TYPE_COUNT; i++) {
        const struct platform *platform = platform_find((enum platform_type)i);

        if (!platform)
            continue;
        CHECK_INT(platform->type, i);
        CHECK(!platform->make_writes == !platform->traits.writes);
        CHECK(!platform->preview == !platform->traits.writes);
        CHECK(platform->observe || platform->collect);
    }
}

// What a pass would see change is told, and a heartbeat is not.
static void check_told(const char *one, const char *other, bool want)
{
    AUTO_JSON json_t *a = NULL;
    AUTO_JSON json_t *b = NULL;
    AUTO_JSON json_t *kept_a = NULL;
    AUTO_JSON json_t *kept_b = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(one), "a", &a));
    CHECK_OK(doc_parse_yaml(slice_of(other), "b", &b));
    kept_a = platform_trim_followed(a);
    kept_b = platform_trim_followed(b);
    CHECK_INT(!doc_equal(kept_a, kept_b), want);
}

TEST(what_is_told_of_an_object_that_is_followed)
{
    static const char plain[] = "{metadata: {name: a, generation: 1}, status: {replicas: 1}}";

    check_told(plain, "{metadata: {name: a, generation: 1}, status: {replicas: 1, seen: 7}}",
               false);
    check_told(plain, "{metadata: {name: a, generation: 2}, status: {replicas: 1}}", true);
    check_told(plain,
               "{metadata: {name: a, generation: 1}, status: {replicas: 1, upToDateReplicas: 1}}",
               true);
    check_told(plain,
               "{metadata: {name: a, generation: 1, annotations: {x: y}}, status:"
               " {replicas: 1}}",
               true);
    check_told("{metadata: {name: a}, status: {conditions: [{type: TopologyReconciled, status:"
               " 'True', message: a}]}}",
               "{metadata: {name: a}, status: {conditions: [{type: TopologyReconciled, status:"
               " 'False', message: a}]}}",
               true);
    check_told("{metadata: {name: a}, status: {conditions: [{type: Available, status: 'True'}]}}",
               "{metadata: {name: a}, status: {conditions: [{type: Available, status: 'False'}]}}",
               false);
}

static bool conflict(const char *one, const char *other)
{
    AUTO_JSON json_t *a = NULL;
    AUTO_JSON json_t *b = NULL;
    AUTO_MEM char *text_a = str_format("{metadata: {namespace: t}, spec: {platform: "
                                       "{type: HostedControlPlane, hostedControlPlane: %s}}}",
                                       one);
    AUTO_MEM char *text_b = str_format("{metadata: {namespace: u}, spec: {platform: "
                                       "{type: HostedControlPlane, hostedControlPlane: %s}}}",
                                       other);
    AUTO_STRLIST struct strlist names = {0};
    AUTO_STRLIST struct strlist others = {0};
    bool shared = false;

    CHECK_OK(doc_parse_yaml(slice_of(text_a), "a", &a));
    CHECK_OK(doc_parse_yaml(slice_of(text_b), "b", &b));
    platform_targets_named(a, &names);
    platform_targets_named(b, &others);
    CHECK(names.len > 0 && others.len > 0);
    for (size_t i = 0; i < names.len; i++)
        shared = shared || strlist_has(&others, names.items[i]);
    return shared;
}

TEST(which_two_name_the_same_control_plane)
{
    CHECK(!conflict("{}", "{}")); // each its own namespace
    CHECK(conflict("{}", "{namespace: t}"));
    CHECK(conflict("{apiServer: {name: a}}", "{namespace: t}")); // the scheduler is one
    CHECK(!conflict("{apiServer: {name: a}, controllerManager: {name: a}, scheduler: {name: a}}",
                    "{namespace: t}"));
    CHECK(conflict("{tenantControlPlane: a}", "{namespace: t, tenantControlPlane: a}"));
    CHECK(!conflict("{tenantControlPlane: a}", "{namespace: t, tenantControlPlane: b}"));
    CHECK(!conflict("{tenantControlPlane: a}", "{namespace: t}"));
    CHECK(!conflict("{namespace: u}", "{namespace: t}"));
}

static void check_way(const char *spec, const char *way)
{
    AUTO_JSON json_t *object = config_of(spec);
    AUTO_CLUSTER_WAY struct cluster_way found = {0};
    AUTO_MEM char *text = NULL;

    if (platform_way(object, &found))
        text = str_format("%s/%s %s%s", found.namespace, found.name, found.key,
                          found.bare ? ", bare" : "");
    CHECK_STR(text ? text : "none", way);
}

TEST(the_way_to_another_cluster_is_the_specs_or_the_one_that_cluster_api_keeps)
{
    check_way("{}", "none");
    check_way("{platform: {type: HostedControlPlane}}", "none");
    check_way("{cluster: {kubeconfigSecretRef: {name: a}}}", "t/a value");
    check_way("{platform: {type: HostedControlPlane}, cluster: {kubeconfigSecretRef: {name: a, "
              "key: k}}}",
              "t/a k, bare");
    check_way("{platform: {type: ClusterAPI}}", "t/dra-kubeconfig value, bare");
    check_way("{platform: {type: ClusterAPI, clusterAPI: {name: b, namespace: o}}}",
              "o/b-kubeconfig value, bare");
    check_way("{platform: {type: ClusterAPI, clusterAPI: {name: b, namespace: o}}, cluster: "
              "{kubeconfigSecretRef: {name: a}}}",
              "t/a value, bare");
}

TEST_MAIN()
