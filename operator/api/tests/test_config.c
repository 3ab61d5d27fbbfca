// SPDX-License-Identifier: Apache-2.0
// Defaults, values and refusals of a DRAConfiguration.
#include "drawbridge/api.h"
#include "test.h"

static json_t *object_with(const char *spec)
{
    AUTO_MEM char *text = str_format("apiVersion: drawbridge.dev/v1alpha1\n"
                                     "kind: DRAConfiguration\n"
                                     "metadata: {name: a, namespace: b}\n"
                                     "spec: %s\n",
                                     spec);
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

static void check_refused(const char *spec, const char *part)
{
    AUTO_JSON json_t *object = object_with(spec);
    struct api_config config = {.name = "untouched"};
    AUTO(error) struct error *err = api_config_parse(object, &config);

    CHECK(err != NULL);
    CHECK_INT(error_kind(err), ERROR_INVALID);
    CHECK_HAS(error_text(err), part);
    CHECK_STR(error_reason(err), "InvalidConfiguration");
    CHECK_STR(config.name, "untouched");
}

TEST(defaults)
{
    AUTO_JSON json_t *object = object_with("{}");
    struct api_config config;

    CHECK_OK(api_config_parse(object, &config));
    CHECK_STR(config.namespace, "b");
    CHECK_STR(config.name, "a");
    CHECK_STR(config.uid, "");
    CHECK_INT(config.generation, 0);
    CHECK(!config.deleting && !config.has_finalizer);
    CHECK_INT(json_object_size(config.feature_gates), 0);
    CHECK_INT(json_object_size(config.runtime_config), 0);
    CHECK(!config.allow_alpha && !config.suspend && !config.revert);
    CHECK_INT(config.platform, PLATFORM_AUTO);
    CHECK_INT(config.max_unavailable, 1);
    CHECK_INT(config.component_timeout_ms, 300000);
    CHECK_INT(config.min_ready_ms, 30000);
    CHECK(config.rollback);
    CHECK(!config.driver && !config.status && !config.reconcile_requested_at);
}

TEST(values)
{
    AUTO_JSON json_t *object = object_with(
        "{featureGates: {A: true, B: false}, runtimeConfig: {a/v1: 'true'}, allowAlpha: true,"
        " platform: {type: Observe}, driver: {preset: NVIDIA}, deletionPolicy: Revert, suspend: "
        "true,"
        " rollout: {maxUnavailable: 5, componentTimeout: 1m30s, minReady: 0s, onFailure: Pause}}");
    struct api_config config;

    doc_set(object, json_integer(4), "metadata", "generation", NULL);
    doc_set(object, json_string("u"), "metadata", "uid", NULL);
    doc_set(object, json_string("9"), "metadata", "resourceVersion", NULL);
    doc_set(object, json_string("2026-01-01T00:00:00Z"), "metadata", "deletionTimestamp", NULL);
    doc_set(object, json_pack("[s, s]", "other.dev/x", API_FINALIZER), "metadata", "finalizers",
            NULL);
    doc_set(object, json_string("now"), "metadata", "annotations", API_ANNOTATION_RECONCILE, NULL);
    doc_set(object, json_integer(3), "status", "observedGeneration", NULL);
    CHECK_OK(api_config_parse(object, &config));
    CHECK_STR(config.uid, "u");
    CHECK_STR(config.resource_version, "9");
    CHECK_STR(config.reconcile_requested_at, "now");
    CHECK_INT(config.generation, 4);
    CHECK(config.deleting && config.has_finalizer);
    CHECK(doc_bool(config.feature_gates, false, "A", NULL));
    CHECK(!doc_bool(config.feature_gates, true, "B", NULL));
    CHECK_STR(doc_str(config.runtime_config, "a/v1", NULL), "true");
    CHECK(config.allow_alpha && config.suspend && config.revert && !config.rollback);
    CHECK_INT(config.platform, PLATFORM_OBSERVE);
    CHECK_INT(config.max_unavailable, 5);
    CHECK_INT(config.component_timeout_ms, 90000);
    CHECK_INT(config.min_ready_ms, 0);
    CHECK_STR(doc_str(config.driver, "preset", NULL), "NVIDIA");
    CHECK_INT(doc_int(config.status, 0, "observedGeneration", NULL), 3);
}

TEST(null_is_absent)
{
    AUTO_JSON json_t *object = object_with(
        "{featureGates: null, rollout: {componentTimeout: null}, driver: null, platform: null}");
    struct api_config config;

    CHECK_OK(api_config_parse(object, &config));
    CHECK_INT(json_object_size(config.feature_gates), 0);
    CHECK_INT(config.component_timeout_ms, 300000);
    CHECK(!config.driver);
}

TEST(values_of_a_driver_have_a_limit)
{
    static const char limit[] =
        "spec.driver.values: must have at most 262144 bytes as JSON, and 10000 values";
    AUTO_BUF struct buf spec = buf_make((size_t)1 << 20);

    buf_add_str(&spec, "{driver: {preset: Example, values: {x: [0");
    for (size_t i = 0; i < 10000; i++)
        buf_add_str(&spec, ",0");
    buf_add_str(&spec, "]}}}");
    check_refused(spec.ptr, limit);
    buf_reset(&spec);
    buf_add_str(&spec, "{driver: {preset: Example, values: {x: ");
    for (size_t i = 0; i < 262144; i++)
        buf_add_str(&spec, "y");
    buf_add_str(&spec, "}}}");
    check_refused(spec.ptr, limit);
}

TEST(refused_with_the_path)
{
    check_refused("[]", "spec: must be a map");
    check_refused("{featureGates: [A]}", "spec.featureGates: must be a map");
    check_refused("{featureGates: {A: 'true'}}", "spec.featureGates: A must be true or false");
    check_refused("{featureGates: {'': true}}",
                  "is no name of a feature gate: it has 1 to 63 letters and digits");
    check_refused("{featureGates: {'A=true --x': true}}",
                  "\"A=true --x\" is no name of a feature gate");
    check_refused("{runtimeConfig: {'a/v1,api/all': 'true'}}",
                  "spec.runtimeConfig: \"a/v1,api/all\" is no API version");
    check_refused("{runtimeConfig: {a/v1: true}}", "spec.runtimeConfig: a/v1 must be the string");
    check_refused("{runtimeConfig: {a/v1: 'on'}}", "spec.runtimeConfig: a/v1 must be the string");
    check_refused("{allowAlpha: 1}", "spec.allowAlpha: must be true or false");
    check_refused("{platform: {type: kubeadm}}",
                  "spec.platform.type: kubeadm is not one of: Auto Kubeadm");
    check_refused("{platform: Kubeadm}", "spec.platform: must be a map");
    check_refused("{rollout: {maxUnavailable: 0}}",
                  "spec.rollout.maxUnavailable: must be between 1 and 1000");
    check_refused("{rollout: {maxUnavailable: 101%}}",
                  "spec.rollout.maxUnavailable: must be a whole number, or a text of 1% to 100%");
    check_refused("{rollout: {maxUnavailable: 0%}}", "or a text of 1% to 100%");
    check_refused("{rollout: {maxUnavailable: 05%}}", "or a text of 1% to 100%");
    check_refused("{rollout: {maxUnavailable: '%'}}", "or a text of 1% to 100%");
    check_refused("{rollout: {maxUnavailable: '5'}}", "or a text of 1% to 100%");
    check_refused("{rollout: {maxUnavailable: 1.5}}", "or a text of 1% to 100%");
    check_refused("{rollout: {componentTimeout: 9s}}",
                  "spec.rollout.componentTimeout: must be between 10s and 1h");
    check_refused("{rollout: {componentTimeout: 61m}}",
                  "spec.rollout.componentTimeout: must be between 10s and 1h");
    check_refused("{rollout: {componentTimeout: 5 minutes}}",
                  "spec.rollout.componentTimeout: \"5 minutes\" is no duration");
    check_refused("{rollout: {componentTimeout: 300}}",
                  "spec.rollout.componentTimeout: must be a string");
    check_refused("{rollout: {minReady: 2h}}", "spec.rollout.minReady: must be between 0s and 1h");
    check_refused("{cluster: {}}", "spec.cluster: kubeconfigSecretRef is required");
    check_refused("{cluster: {kubeconfigSecretRef: {name: ''}}}",
                  "spec.cluster.kubeconfigSecretRef.name: must have 1 to 253");
    check_refused("{driver: {valuesFrom: [{kind: ConfigMap, name: a}, {kind: Pod, name: b}]}}",
                  "spec.driver.valuesFrom[1].kind: Pod is not one of: ConfigMap Secret");
    check_refused("{driver: {valuesFrom: {}}}", "spec.driver.valuesFrom: must be a list");
    check_refused("{driver: {values: 5}}", "spec.driver.values: must be a map");
}

TEST(unknown_fields_and_their_neighbours)
{
    check_refused("{allowAlhpa: true}",
                  "spec.allowAlhpa: there is no such field; did you mean allowAlpha?");
    check_refused(
        "{rollout: {maxunavailable: 1}}",
        "spec.rollout.maxunavailable: there is no such field; did you mean maxUnavailable?");
    check_refused("{somethingElse: 1}", "spec.somethingElse: there is no such field");
    check_refused("{'rollout.minReady': 1s}", "spec.rollout.minReady: there is no such field");
    check_refused("{'driver.valuesFrom[].kind': Secret}", "there is no such field");
}

TEST(kind_and_name)
{
    AUTO_JSON json_t *object = object_with("{}");
    struct api_config config;

    doc_set(object, json_string("Deployment"), "kind", NULL);
    CHECK_ERR_HAS(api_config_parse(object, &config), ERROR_INVALID,
                  "kind: must be DRAConfiguration");
    doc_set(object, json_string("DRAConfiguration"), "kind", NULL);
    doc_set(object, json_string("drawbridge.dev/v2"), "apiVersion", NULL);
    CHECK_ERR_HAS(api_config_parse(object, &config), ERROR_INVALID,
                  "apiVersion: must be drawbridge.dev/v1alpha1");
    json_object_del(object, "apiVersion");
    json_object_del(object, "kind");
    CHECK_OK(api_config_parse(object, &config)); // an item of a list
    json_object_del(json_object_get(object, "metadata"), "name");
    CHECK_ERR_HAS(api_config_parse(object, &config), ERROR_INVALID, "metadata.name");
}

TEST(too_many_gates)
{
    AUTO_JSON json_t *object = object_with("{}");
    struct api_config config;

    for (int i = 0; i < 257; i++) {
        AUTO_MEM char *name = str_format("Gate%d", i);
        doc_set(object, json_true(), "spec", "featureGates", name, NULL);
        if (i == 255)
            CHECK_OK(api_config_parse(object, &config));
    }
    CHECK_ERR_HAS(api_config_parse(object, &config), ERROR_INVALID,
                  "spec.featureGates: must have at most 256 entries");
}

TEST(platform_names)
{
    CHECK_STR(platform_type_name(PLATFORM_AUTO), "Auto");
    CHECK_STR(platform_type_name(PLATFORM_CLUSTER_API), "ClusterAPI");
    CHECK_STR(platform_type_name(PLATFORM_OBSERVE), "Observe");
}

TEST_MAIN()
