// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "objects.h"

// --- presets and what is wanted

// As their sources have them: the end of the chart's place, and the class to test with.
static const struct {
    const char *name, *chart, *version, *namespace, *drivers, *class;
} known_presets[] = {
    {"NVIDIA", "dra-driver-nvidia-gpu", "0.4.1", "dra-driver-nvidia-gpu", "[\"gpu.nvidia.com\"]",
     "gpu.nvidia.com"},
    {"NVIDIALegacy", "nvidia-dra-driver-gpu", "25.3.2", "nvidia-dra-driver-gpu",
     "[\"gpu.nvidia.com\"]", "gpu.nvidia.com"},
    {"Example", "dra-example-driver", "0.4.0", "dra-example-driver", "[\"gpu.example.com\"]",
     "gpu.example.com"},
    {"IntelGPU", "intel-gpu-resource-driver-chart", "0.11.1", "intel-gpu-resource-driver",
     "[\"gpu.intel.com\"]", "gpu.intel.com"},
    {"IntelGaudi", "intel-gaudi-resource-driver-chart", "0.7.3", "intel-gaudi-resource-driver",
     "[\"gaudi.intel.com\"]", "gaudi.intel.com"},
    {"IntelQAT", "intel-qat-resource-driver-chart", "0.4.4", "intel-qat-resource-driver",
     "[\"qat.intel.com\"]", "qat.intel.com"},
    {"AMD", "k8s-gpu-dra-driver", "v1.0.0", "kube-amd-gpu", "[\"gpu.amd.com\"]", "gpu.amd.com"},
    {"AWSNeuron", "neuron-helm-chart", "1.10.0", "neuron-system", "[\"neuron.aws.com\"]",
     "neuron.aws.com"},
    {"GoogleTPU", "dra-driver-google-tpu", "0.2.0", "dra-driver-google-tpu", "[\"tpu.google.com\"]",
     "tpu.google.com"},
    {"Rebellions", "k8s-dra-driver-npu", "", "k8s-dra-driver-npu", "[\"npu.rebellions.ai\"]",
     "npu.rebellions.ai"},
    {"Furiosa", "furiosa-dra-driver", "2026.1.1", "furiosa-system", "[\"npu.furiosa.ai\"]",
     "npu.furiosa.ai"},
    {"HAMi", "hami-dra", "0.2.3", "hami-system", "[\"hami-core-gpu.project-hami.io\"]",
     "hami-core-gpu.project-hami.io"},
    {"Tenstorrent", "tt-operator", "0.2.0", "tt-operator-system", "[\"tenstorrent.com\"]",
     "tenstorrent.com"},
    {"DRANET", "dranet", "v1.4.0", "kube-system", "[\"dra.net\"]", ""},
    {"SRIOV", "dra-driver-sriov-chart", "1.0.0", "dra-driver-sriov",
     "[\"sriovnetwork.k8snetworkplumbingwg.io\"]", "sriovnetwork.k8snetworkplumbingwg.io"},
    {"CPU", "dra-driver-cpu", "0.2.0", "kube-system", "[\"dra.cpu\"]", "dra.cpu"},
};

TEST(each_preset_is_as_its_source_says)
{
    AUTO_MEM char *names = driver_preset_names();
    AUTO_STRLIST struct strlist wanted = {0};

    for (size_t i = 0; i < COUNT(known_presets); i++) {
        AUTO_MEM char *driver = str_format("{preset: %s}", known_presets[i].name);
        AUTO_JSON json_t *object = configuration(driver, "{}");
        AUTO_JSON json_t *facts = json_object();
        AUTO_JSON json_t *drivers = NULL;
        AUTO_WANT struct want want = {0};

        CHECK_OK(driver_want_make(object, &want));
        CHECK_OK(driver_values_make(object, facts, "v1", &want));
        CHECK(want.ref ? str_starts(want.ref, "oci://") : str_starts(want.repo, "https://"));
        CHECK_STR(want.chart, known_presets[i].chart);
        CHECK_STR(want.version ? want.version : "", known_presets[i].version);
        CHECK_STR(want.namespace, known_presets[i].namespace);
        drivers = driver_preset_list(want.preset, "drivers", want.values);
        CHECK_STR_TAKE(doc_print_json(drivers), known_presets[i].drivers);
        CHECK_STR(doc_str(json_array_get(json_object_get(want.preset, "classes"), 0), "name", NULL),
                  known_presets[i].class);
        CHECK(json_array_size(json_object_get(want.preset, "chartNames")) > 0 && want.release);
        strlist_add(&wanted, known_presets[i].name);
    }
    struct slice rest = slice_of(names), part;
    while (slice_cut(&rest, ',', &part)) {
        AUTO_MEM char *name = slice_dup(slice_trim(part));
        CHECK(strlist_has(&wanted, name));
    }
}

// What NVIDIA's chart makes with the values that the preset gives, and with compute domains.
TEST(values_decide_about_classes)
{
    AUTO_JSON json_t *plain = configuration("{preset: NVIDIA}", "{}");
    AUTO_JSON json_t *more = configuration(
        "{preset: NVIDIA, values: {resources: {computeDomains: {enabled: true}}}}", "{}");
    AUTO_JSON json_t *facts = json_object();
    AUTO_JSON json_t *some = NULL;
    AUTO_JSON json_t *all = NULL;
    AUTO_WANT struct want one = {0};
    AUTO_WANT struct want two = {0};

    CHECK_OK(driver_want_make(plain, &one));
    CHECK_OK(driver_values_make(plain, facts, "v1beta1", &one));
    some = driver_preset_list(one.preset, "classes", one.values);
    CHECK_STR_TAKE(doc_print_json(some),
                   "[\"gpu.nvidia.com\",\"mig.nvidia.com\",\"vfio.gpu.nvidia.com\"]");
    CHECK_STR(doc_str(one.values, "resourceApiVersion", NULL), "resource.k8s.io/v1beta1");
    CHECK_OK(driver_want_make(more, &two));
    CHECK_OK(driver_values_make(more, facts, "v1", &two));
    all = driver_preset_list(two.preset, "classes", two.values);
    CHECK_INT(json_array_size(all), 5);
}

// --- which chart is older

TEST(versions_have_an_order)
{
    static const char *const sorted[] = {"0.4.0-rc.2", "0.4.0-rc.10", "0.4.0",
                                         "v0.4.1",     "0.10.0",      "1.0",
                                         "1.0.0",      "25.3.2",      "25.12.0+build7"};

    for (size_t i = 0; i + 1 < COUNT(sorted); i++) {
        CHECK_INT(driver_compare_versions(sorted[i], sorted[i + 1]), -1);
        CHECK_INT(driver_compare_versions(sorted[i + 1], sorted[i]), 1);
        CHECK_INT(driver_compare_versions(sorted[i], sorted[i]), 0);
    }
    CHECK_INT(driver_compare_versions("1.0.0+a", "1.0.0+b"), 0);
}

static void check_downgrade(const char *preset, const char *installed, const char *name,
                            const char *version, const char *part)
{
    AUTO_JSON json_t *status = yaml(installed);
    AUTO_MEM char *why = driver_downgrade(driver_preset(preset), status, name, version);

    if (*part)
        CHECK_HAS(why, part);
    else
        CHECK(why == NULL);
}

#define IS(chart, version) "{appliedDigest: x, chart: " chart ", version: " version "}"

TEST(no_way_back)
{
    // the new name's 0.4.1 is newer than the old name's 25.12.0
    check_downgrade("NVIDIA", IS("nvidia-dra-driver-gpu", "25.12.0"), "dra-driver-nvidia-gpu",
                    "0.4.1", "");
    check_downgrade("NVIDIALegacy", IS("dra-driver-nvidia-gpu", "0.4.1"), "nvidia-dra-driver-gpu",
                    "25.12.0",
                    "nvidia-dra-driver-gpu 25.12.0 is older than dra-driver-nvidia-gpu 0.4.1");
    check_downgrade("NVIDIA", IS("dra-driver-nvidia-gpu", "0.4.1"), "dra-driver-nvidia-gpu",
                    "0.4.0", "0.4.0 is older");
    check_downgrade("NVIDIA", IS("dra-driver-nvidia-gpu", "0.4.1"), "dra-driver-nvidia-gpu",
                    "0.4.1", "");
    check_downgrade("Example", IS("test-driver", "0.2.0"), "test-driver", "0.1.0",
                    "take the driver out of the spec first");
    check_downgrade("Example", IS("test-driver", "0.2.0"), "dra-example-driver", "0.1.0", "");
    check_downgrade("Example", "{chart: test-driver, version: 0.2.0}", "test-driver", "0.1.0", "");
    check_downgrade("AMD", IS("k8s-gpu-dra-driver", "1.0.0"), "k8s-gpu-dra-driver", "0.9.0", "");
}

static void check_refused(const char *driver, const char *reason, const char *part)
{
    AUTO_JSON json_t *object = configuration(driver, "{}");
    AUTO_WANT struct want want = {0};
    struct error *err = driver_want_make(object, &want);

    CHECK(err != NULL);
    CHECK_STR(error_reason(err), reason);
    CHECK_ERR_HAS(err, ERROR_INVALID, part);
}

TEST(what_is_not_supported_is_refused)
{
    check_refused("{preset: Nvidia}", "PresetUnknown", "there are NVIDIA, NVIDIALegacy, Example");
    check_refused("{preset: Example, engine: ApplicationInstallation}", "NotSupported",
                  "ApplicationInstallation is not supported");
    check_refused("{chart: {path: /charts/x}, engine: HelmRelease}", "NotSupported", "chart.path");
    check_refused("{chart: {ref: 'oci://r/x', digest: 'sha256:00'}, engine: HelmChart}",
                  "NotSupported", "chart.digest");
    check_refused("{chart: {version: 1.0.0}}", "InvalidConfiguration", "ref, path, or repo");
    check_refused("{chart: {path: charts/x.tgz}}", "InvalidConfiguration", "must begin with /");
    check_refused("{chart: {path: /charts/x, digest: 'sha256:00'}}", "InvalidConfiguration",
                  "a directory has none");
}

// They become arguments, headers and paths.
TEST(no_word_smuggles_another)
{
    check_refused(
        "{preset: Example, serviceAccountName: \"a\\r\\nImpersonate-Group: system:masters\"}",
        "InvalidConfiguration", "spec.driver.serviceAccountName");
    check_refused("{chart: {repo: 'https://example.com', name: '--post-renderer=x'}}",
                  "InvalidConfiguration", "spec.driver.chart.name");
    check_refused("{preset: Example, release: '-x'}", "InvalidConfiguration",
                  "spec.driver.release");
    check_refused("{preset: Example, namespace: a/b}", "InvalidConfiguration",
                  "spec.driver.namespace");
    check_refused("{chart: {ref: 'oci://r/x y'}}", "InvalidConfiguration", "spec.driver.chart.ref");
}

TEST(a_chart_of_the_spec_wins)
{
    AUTO_JSON json_t *version = configuration("{preset: Example, chart: {version: 9.9.9}}", "{}");
    AUTO_JSON json_t *place =
        configuration("{preset: Example, chart: {repo: 'https://example.com', name: x}}", "{}");
    AUTO_WANT struct want one = {0};
    AUTO_WANT struct want two = {0};

    CHECK_OK(driver_want_make(version, &one));
    CHECK_STR(one.version, "9.9.9");
    CHECK(one.ref && str_ends(one.ref, "/dra-example-driver"));
    CHECK_OK(driver_want_make(place, &two));
    CHECK(!two.version && !two.ref);
    CHECK_STR(two.name, "x");
    CHECK_STR(two.release, "dra-example-driver");
}

TEST(an_account_is_of_the_configurations_namespace)
{
    AUTO_JSON json_t *object =
        configuration("{preset: Example, namespace: gpu, serviceAccountName: installer}", "{}");
    AUTO_WANT struct want want = {0};

    CHECK_OK(driver_want_make(object, &want));
    CHECK_STR(want.user, "system:serviceaccount:team:installer");
    CHECK_STR(want.namespace, "gpu");
    CHECK_STR(want.owner_label, "team.dra");
}

// NVIDIA's chart got another name; what was installed under the old one keeps its names for ever.
TEST(a_renamed_chart_keeps_the_names)
{
    static const char *const statuses[] = {
        "{driver: {release: r, namespace: ns, chart: nvidia-dra-driver-gpu}}",
        ("{driver: {release: r, namespace: ns, chart: dra-driver-nvidia-gpu, nameOverride: "
         "nvidia-dra-driver-gpu}}"), // one text: clang asks
        "{driver: {release: r, namespace: ns, chart: dra-driver-nvidia-gpu}}",
        "{driver: {release: other, namespace: ns, chart: nvidia-dra-driver-gpu}}",
    };

    for (size_t i = 0; i < COUNT(statuses); i++) {
        AUTO_JSON json_t *object =
            configuration("{preset: NVIDIA, release: r, namespace: ns}", statuses[i]);
        AUTO_JSON json_t *facts = json_object();
        AUTO_WANT struct want want = {0};

        CHECK_OK(driver_want_make(object, &want));
        CHECK_OK(driver_values_make(object, facts, "v1", &want));
        CHECK_STR(doc_str(want.values, "nameOverride", NULL), i < 2 ? "nvidia-dra-driver-gpu" : "");
    }
}

TEST(the_release_itself_remembers_the_names)
{
    static const char *const labels[] = {
        "drawbridge.dev/chart: nvidia-dra-driver-gpu, drawbridge.dev/configuration: team.dra",
        "drawbridge.dev/chart: dra-driver-nvidia-gpu, drawbridge.dev/name-override: "
        "nvidia-dra-driver-gpu, "
        "drawbridge.dev/configuration: team.dra",
        "drawbridge.dev/chart: dra-driver-nvidia-gpu, drawbridge.dev/configuration: team.dra",
        "drawbridge.dev/chart: nvidia-dra-driver-gpu, drawbridge.dev/configuration: other",
    };

    for (size_t i = 0; i < COUNT(labels); i++) {
        AUTO_JSON json_t *object =
            configuration("{preset: NVIDIA, release: r, namespace: ns}", "{}");
        AUTO_MEM char *text = str_format(
            "{secrets: [{metadata: {name: s, labels: {version: '3', status: deployed, %s}}}]}",
            labels[i]);
        AUTO_JSON json_t *facts = yaml(text);
        AUTO_WANT struct want want = {0};

        CHECK_OK(driver_want_make(object, &want));
        CHECK_OK(driver_values_make(object, facts, "v1", &want));
        CHECK_STR(doc_str(want.values, "nameOverride", NULL), i < 2 ? "nvidia-dra-driver-gpu" : "");
    }
}

// --- values

TEST(values_are_merged_and_nulls_stay)
{
    AUTO_JSON json_t *object =
        configuration("{chart: {ref: 'oci://r/x'}, values: {a: {b: 3, gone: null}}, valuesFrom: "
                      "[{kind: ConfigMap, name: one}, {kind: Secret, name: two, key: v}, "
                      "{kind: Secret, name: three, optional: true}]}",
                      "{}");
    AUTO_JSON json_t *facts =
        yaml("{valuesFrom0: {data: {values.yaml: 'a: {b: 1, c: 1, gone: 1}'}}, "
             "valuesFrom1: {data: {v: YToge2I6IDIsIGM6IDJ9Cg==}}}");
    AUTO_WANT struct want want = {0};

    CHECK_OK(driver_want_make(object, &want));
    CHECK_OK(driver_values_make(object, facts, "v1", &want));
    CHECK_STR_TAKE(doc_print_json_sorted(want.values), "{\"a\":{\"b\":3,\"c\":2,\"gone\":null}}");
}

static void check_values(const char *facts_text, const char *reason, const char *part)
{
    AUTO_JSON json_t *object = configuration(
        "{chart: {ref: 'oci://r/x'}, valuesFrom: [{kind: ConfigMap, name: one}]}", "{}");
    AUTO_JSON json_t *facts = yaml(facts_text);
    AUTO_WANT struct want want = {0};
    struct error *err;

    CHECK_OK(driver_want_make(object, &want));
    err = driver_values_make(object, facts, "v1", &want);
    CHECK(err != NULL);
    CHECK_STR(error_reason(err), reason);
    CHECK_ERR_HAS(err, ERROR_INVALID, part);
}

TEST(bad_values_say_where)
{
    check_values("{}", "ValuesNotFound", "ConfigMap one, key values.yaml is not there");
    check_values("{valuesFrom0: {data: {values.yaml: \"a: 1\\nb: [\"}}}", "ValuesInvalid",
                 "ConfigMap one, key values.yaml:");
    check_values("{valuesFrom0: {data: {values.yaml: '- a'}}}", "ValuesInvalid", "is no map");
    check_values("{denied: {valuesFrom0: 'configmaps \"one\" is forbidden'}}", "DriverForbidden",
                 "is forbidden");
}

TEST(the_digest_follows_what_the_release_is_made_from)
{
    static const char *const drivers[] = {
        "{chart: {ref: 'oci://r/x'}}", "{chart: {ref: 'oci://r/y'}}",
        "{chart: {ref: 'oci://r/x'}, values: {a: 1}}", "{chart: {ref: 'oci://r/x', version: '1'}}"};
    AUTO_JSON json_t *facts = json_object();
    AUTO_STRLIST struct strlist seen = {0};

    for (size_t i = 0; i < COUNT(drivers) + 2; i++) {
        AUTO_JSON json_t *object = configuration(drivers[i % COUNT(drivers)], "{}");
        AUTO_WANT struct want want = {0};

        CHECK_OK(driver_want_make(object, &want));
        CHECK_OK(driver_values_make(object, facts, i == COUNT(drivers) ? "v1beta1" : "v1", &want));
        CHECK_INT(strlen(want.digest_text), 16);
        CHECK(strlist_has(&seen, want.digest_text) == (i > COUNT(drivers)));
        strlist_add(&seen, want.digest_text);
    }
}

// --- releases

TEST(the_newest_revision_counts)
{
    AUTO_JSON json_t *secrets =
        yaml("[{metadata: {name: v9, labels: {status: superseded, version: '9', "
             "drawbridge.dev/digest: old}}}, "
             "{metadata: {name: v10, labels: {status: pending-upgrade, version: '10', modifiedAt: "
             "'1700000000', "
             "drawbridge.dev/digest: new, drawbridge.dev/configuration: team.dra}}}]");
    struct release release;

    driver_release_read(secrets, &release);
    CHECK_INT(release.state, RELEASE_PENDING);
    CHECK_STR(release.secret, "v10");
    CHECK_STR(release.digest, "new");
    CHECK_STR(release.owner, "team.dra");
    CHECK_INT(release.since_s, 1700000000);
    doc_set(json_array_get(secrets, 1), json_string("2023-11-15T22:13:20Z"), "metadata",
            "creationTimestamp", NULL);
    driver_release_read(secrets, &release);
    CHECK_INT(release.since_s, 1700086400); // a day later: the label came along from an older one
    driver_release_read(NULL, &release);
    CHECK_INT(release.state, RELEASE_ABSENT);
}

// --- preflight

static void check_preflight_served(const char *driver, const char *versions, unsigned minor,
                                   const char *facts_text, const char *reason, const char *part)
{
    AUTO_JSON json_t *object = configuration(driver, "{}");
    AUTO_JSON json_t *facts = yaml(facts_text);
    AUTO_JSON json_t *served = yaml(versions);
    AUTO_MEM char *message = NULL;
    struct driver_work work = {
        .key = "team/dra", .object = object, .served = served, .minor = minor};
    AUTO_WANT struct want want = {0};
    struct release release;

    CHECK_OK(driver_want_make(object, &want));
    CHECK_OK(driver_values_make(object, facts, "v1", &want));
    driver_release_read(driver_items(facts, "secrets"), &release);
    CHECK_STR(driver_preflight(&work, &want, facts, &release, &message), reason);
    if (*part)
        CHECK_HAS(message, part);
}

static void check_preflight(const char *driver, unsigned minor, const char *facts_text,
                            const char *reason, const char *part)
{
    check_preflight_served(driver, "[v1]", minor, facts_text, reason, part);
}

#define EXAMPLE "{preset: Example}"

TEST(preflight)
{
    check_preflight(EXAMPLE, 36, "{}", "", "");
    check_preflight(EXAMPLE, 32, "{}", "KubernetesTooOldForDriver", "needs Kubernetes 1.33");
    check_preflight(
        EXAMPLE, 36,
        "{namespace: {metadata: {labels: {pod-security.kubernetes.io/enforce: baseline}}}}",
        "NamespaceNotPrivileged", "enforces pod security baseline");
    check_preflight("{preset: IntelGPU}", 36, "{}", "", "");
    check_preflight_served("{preset: IntelGPU}", "[v1beta1]", 36, "{}", "APINotServed",
                           "in resource.k8s.io/v1, which is not served");
    check_preflight_served(EXAMPLE, "[]", 36, "{}", "APINotServed", "see ResourceAPIServed");
    check_preflight_served(EXAMPLE, "[v1beta1]", 36, "{}", "", "");
    check_preflight(EXAMPLE, 36, "{denied: {secrets: 'secrets is forbidden'}}", "DriverForbidden",
                    "set spec.driver.serviceAccountName");
    check_preflight(EXAMPLE, 36,
                    "{secrets: [{metadata: {name: s, labels: {status: deployed, version: '1'}}}]}",
                    "DriverOwnedElsewhere", "somebody else installed");
    check_preflight(EXAMPLE, 36,
                    "{secrets: [{metadata: {name: s, labels: {status: deployed, version: '1', "
                    "drawbridge.dev/configuration: team.dra}}}]}",
                    "", "");
    check_preflight(EXAMPLE, 36, "{classes: [{name: gpu.example.com}]}", "DriverOwnedElsewhere",
                    "somebody who does not use Helm");
    check_preflight(EXAMPLE, 36,
                    "{classes: [{name: gpu.example.com, labels: {helm.toolkit.fluxcd.io/name: x, "
                    "helm.toolkit.fluxcd.io/namespace: flux}}]}",
                    "DriverOwnedElsewhere", "Flux's HelmRelease flux/x");
    check_preflight(EXAMPLE, 36,
                    "{classes: [{name: gpu.example.com, annotations: {meta.helm.sh/release-name: "
                    "dra-example-driver, "
                    "meta.helm.sh/release-namespace: dra-example-driver}}, {name: other}]}",
                    "", "");
}

#define CP "nodes: [{name: cp, labels: {node-role.kubernetes.io/control-plane: ''}}, {name: w}]"

TEST(preflight_of_the_control_plane)
{
    static const struct {
        const char *words, *list; // list NULL: nothing is wrong
    } rows[] = {
        {"kube-controller-manager, '--controllers=*,bootstrapsigner'", NULL},
        {"x, '--controllers=*,-resourceclaim-controller'",
         "--controllers=*,-resourceclaim-controller"},
        {"x, '--controllers=deployment'", "--controllers=deployment"},
        {"x, --controllers, 'deployment,ttl'", "deployment,ttl"},
        {"x, '--controllers=*', '--controllers=-resourceclaim-controller'",
         "*,-resourceclaim-controller"},
        {"x, '--controllers=ttl', '--controllers=resourceclaim-controller'", NULL},
        {"x, --controllers-other=x", NULL},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_MEM char *facts =
            str_format("{controllers: [{node: cp, words: [%s]}], " CP "}", rows[i].words);

        check_preflight(EXAMPLE, 36, facts, rows[i].list ? "ClaimControllerOff" : "",
                        rows[i].list ? rows[i].list : "");
    }
    check_preflight(EXAMPLE, 36,
                    "{agents: [{name: w}, {name: cp, excludesDRA: 'x: filter'}], " CP "}",
                    "SchedulerPluginOff", "kube-scheduler on cp would bind pods");
}

TEST(what_a_worker_says_of_the_control_plane_holds_no_driver)
{
    check_preflight(EXAMPLE, 36,
                    "{controllers: [{node: w, words: [x, '--controllers=ttl']}], " CP "}", "", "");
    check_preflight(EXAMPLE, 36, "{controllers: [{words: [x, '--controllers=ttl']}], " CP "}", "",
                    "");
    check_preflight(EXAMPLE, 36, "{agents: [{name: w, excludesDRA: 'x: filter'}], " CP "}", "", "");
}

TEST(preflight_of_the_nodes)
{
    check_preflight(EXAMPLE, 36, "{nodes: [{name: a, runtime: 'containerd://1.6.2'}]}",
                    "CDINotSupported", "a runs containerd://1.6.2");
    check_preflight(EXAMPLE, 36,
                    "{nodes: [{name: a, runtime: 'containerd://1.6.2'}, {name: b, runtime: "
                    "'containerd://2.1.0'}]}",
                    "", "");
    check_preflight(
        EXAMPLE, 36,
        "{nodes: [{name: a, runtime: 'containerd://1.7.2'}, {name: b, runtime: 'cri-o://1.30.1'}]}",
        "", "");
    check_preflight("{preset: NVIDIA}", 36,
                    "{nodes: [{name: a, runtime: 'containerd://1.6.2'}, {name: b, labels: "
                    "{nvidia.com/gpu.present: 'true'}, "
                    "runtime: 'containerd://2.0.0'}]}",
                    "", "");
    check_preflight("{preset: NVIDIA}", 36,
                    "{operator0: {items: [{kind: GPUCluster, metadata: {name: gpus}}]}}",
                    "DriverOwnedElsewhere", "GPUCluster gpus");
    check_preflight("{preset: NVIDIA}", 36,
                    "{operator1: {items: [{kind: ClusterPolicy, metadata: {name: p}, spec: "
                    "{devicePlugin: {enabled: false}}}]}}",
                    "", "");
}

TEST(a_resource_of_a_vendor_owns_the_devices_as_its_fields_say)
{
#define DEVICE_CONFIG(spec)                                                                        \
    "{operator0: {kind: DeviceConfigList, items: [{metadata: {name: d}, spec: " spec "}]}}"
    check_preflight("{preset: AMD}", 36, DEVICE_CONFIG("{}"), "DriverOwnedElsewhere",
                    "its DeviceConfig d says");
    check_preflight("{preset: AMD}", 36,
                    DEVICE_CONFIG("{devicePlugin: {enableDevicePlugin: false}}"), "", "");
    check_preflight("{preset: AMD}", 36,
                    DEVICE_CONFIG("{devicePlugin: {enableDevicePlugin: false}, draDriver: {enable: "
                                  "true}}"),
                    "DriverOwnedElsewhere", "d says");
    check_preflight("{preset: Rebellions}", 36,
                    "{operator0: {kind: RBLNClusterPolicyList, items: [{metadata: {name: p}}]}}",
                    "", "");
}

TEST(what_may_be_wrong_is_noted)
{
    AUTO_JSON json_t *object = configuration(EXAMPLE, "{}");
    AUTO_JSON json_t *facts = yaml("{nodes: [{name: a, runtime: 'containerd://1.7.2'}, {name: b, "
                                   "runtime: 'containerd://2.0.0'}]}");
    struct driver_work work = {.object = object, .minor = 36};
    AUTO_WANT struct want want = {0};
    AUTO_MEM char *notes = NULL;

    CHECK_OK(driver_want_make(object, &want));
    notes = driver_preflight_notes(&work, &want, facts);
    CHECK_HAS(notes, "1 of 2 nodes");
    CHECK_HAS(notes, "a: containerd://1.7.2");
}

TEST(a_device_plugin_beside_it_is_noted)
{
    AUTO_JSON json_t *object = configuration("{preset: NVIDIA}", "{}");
    AUTO_JSON json_t *facts =
        yaml("{nodes: [{name: a, allocatable: {nvidia.com/gpu: '0'}}, {name: b, allocatable: "
             "{nvidia.com/gpu: '4'}}]}");
    struct driver_work work = {.object = object, .minor = 36};
    AUTO_WANT struct want want = {0};
    AUTO_MEM char *notes = NULL;

    CHECK_OK(driver_want_make(object, &want));
    notes = driver_preflight_notes(&work, &want, facts);
    CHECK_HAS(notes, "gives nvidia.com/gpu away on 1 nodes too (b)");
}

// A feature that is off by default, for devices that are given several times.
TEST(a_feature_that_the_driver_needs_is_named)
{
    AUTO_JSON json_t *object = configuration("{preset: CPU}", "{}");
    AUTO_JSON json_t *facts = json_object();
    struct driver_work work = {.object = object, .minor = 35};
    AUTO_WANT struct want want = {0};
    AUTO_MEM char *notes = NULL;

    CHECK_OK(driver_want_make(object, &want));
    notes = driver_preflight_notes(&work, &want, facts);
    CHECK_HAS(notes, "needs the feature ConsumableCapacity, which is off by default in Kubernetes "
                     "1.35: add it to the spec, \"features: [ConsumableCapacity]\" with "
                     "\"allowAlpha: true\"");
    work.minor = 36;
    CHECK_STR_TAKE(driver_preflight_notes(&work, &want, facts), "");
    work.minor = 35;
    doc_set(object, json_true(), "spec", "featureGates", "DRAConsumableCapacity", NULL);
    CHECK_STR_TAKE(driver_preflight_notes(&work, &want, facts), "");
    doc_set(object, json_object(), "spec", "featureGates", NULL);
    doc_set(object, json_pack("[s, s]", "AdminAccess", "ConsumableCapacity"), "spec", "features",
            NULL);
    CHECK_STR_TAKE(driver_preflight_notes(&work, &want, facts), "");
    work.minor = 33;
    mem_free(TAKE(notes));
    notes = driver_preflight_notes(&work, &want, facts);
    CHECK_HAS(notes, "needs the feature ConsumableCapacity, which Kubernetes has from 1.34 on");
}

// The chart writes a field that DeviceClasses have since v1.
TEST(values_for_servers_without_v1)
{
    AUTO_JSON json_t *object = configuration("{preset: AMD}", "{}");
    AUTO_JSON json_t *facts = json_object();
    AUTO_WANT struct want old = {0};
    AUTO_WANT struct want new = {0};

    CHECK_OK(driver_want_make(object, &old));
    CHECK_OK(driver_values_make(object, facts, "v1beta1", &old));
    CHECK(doc_get(old.values, "deviceClass", "extendedResourceName", NULL) != NULL);
    CHECK_OK(driver_want_make(object, &new));
    CHECK_OK(driver_values_make(object, facts, "v1", &new));
    CHECK(doc_get(new.values, "deviceClass", NULL) == NULL);
}

// The seed installs with resources.gpus.enabled=false and then claims gpu.nvidia.com.
TEST(the_contradiction_of_the_seed)
{
    AUTO_JSON json_t *seed =
        yaml("{preset: NVIDIALegacy, values: {resources: {gpus: {enabled: false}}}}");
    AUTO_JSON json_t *good =
        yaml("{preset: NVIDIALegacy, values: {resources: {gpus: {enabled: true}}}}");
    AUTO_MEM char *advice = driver_class_advice(seed, "gpu.nvidia.com");

    CHECK_HAS(advice, "the value resources.gpus.enabled is false");
    CHECK_HAS(advice, "set resources.gpus.enabled and gpuResourcesEnabledOverride to true");
    CHECK_STR_TAKE(driver_class_advice(good, "gpu.nvidia.com"), "");
    CHECK_STR_TAKE(driver_class_advice(seed, "other"), "");
    CHECK_STR_TAKE(driver_class_advice(NULL, "gpu.nvidia.com"), "");
}

// --- engines of others

static void check_delegate(const char *driver, const char *object_text, enum delegate_state state,
                           const char *part)
{
    AUTO_JSON json_t *config = configuration(driver, "{}");
    AUTO_JSON json_t *facts = json_object();
    AUTO_JSON json_t *object = *object_text ? yaml(object_text) : NULL;
    AUTO_WANT struct want want = {0};
    AUTO_MEM char *message = NULL;

    CHECK_OK(driver_want_make(config, &want));
    CHECK_OK(driver_values_make(config, facts, "v1", &want));
    if (object)
        doc_set(object, json_string(want.digest_text), "metadata", "annotations",
                DRIVER_LABEL_DIGEST, NULL);
    CHECK_INT(driver_delegate_judge(&want, object, &message), state);
    if (*part)
        CHECK_HAS(message, part);
}

#define FLUX "{preset: Example, engine: HelmRelease}"
#define K3S "{preset: Example, engine: HelmChart}"
#define OURS                                                                                       \
    "{metadata: {generation: 2, labels: {drawbridge.dev/configuration: team.dra}}, status: "       \
    "{observedGeneration: 2, "

TEST(what_other_engines_say)
{
    check_delegate(FLUX, "", DELEGATE_ABSENT, "");
    check_delegate(FLUX, "{metadata: {labels: {}}}", DELEGATE_FOREIGN, "somebody else made");
    check_delegate(FLUX, OURS "}}", DELEGATE_RUNNING, "has not looked at it yet");
    check_delegate(FLUX,
                   OURS "conditions: [{type: Ready, status: 'True', reason: InstallSucceeded}]}}",
                   DELEGATE_DONE, "");
    check_delegate(
        FLUX,
        "{metadata: {generation: 3, labels: {drawbridge.dev/configuration: team.dra}}, status: "
        "{observedGeneration: 2, conditions: [{type: Ready, status: 'True', reason: "
        "InstallSucceeded}]}}",
        DELEGATE_RUNNING, "InstallSucceeded");
    check_delegate(FLUX,
                   OURS "conditions: [{type: Ready, status: 'False', reason: InstallFailed, "
                        "message: no such chart}]}}",
                   DELEGATE_FAILED, "InstallFailed: no such chart");
    check_delegate(K3S, OURS "jobName: helm-install-x}}", DELEGATE_DONE, "");
    check_delegate(K3S,
                   OURS "jobName: helm-install-x, conditions: [{type: Failed, status: 'True', "
                        "message: bad values}]}}",
                   DELEGATE_FAILED, "bad values");
}

TEST(what_other_engines_get)
{
    AUTO_JSON json_t *config = configuration(
        "{chart: {repo: 'https://example.com', name: x, version: '1.2'}, release: r, "
        "namespace: gpu, serviceAccountName: installer, engine: HelmRelease, values: {a: 1}}",
        "{}");
    AUTO_JSON json_t *facts = json_object();
    AUTO_JSON json_t *objects = NULL;
    AUTO_WANT struct want want = {0};
    const json_t *release;

    CHECK_OK(driver_want_make(config, &want));
    CHECK_OK(driver_values_make(config, facts, "v1", &want));
    objects = driver_delegate_objects(&want);
    CHECK_INT(json_array_size(objects), 2);
    CHECK_STR(doc_str(json_array_get(objects, 0), "kind", NULL), "HelmRepository");
    CHECK_STR(doc_str(json_array_get(objects, 0), "spec", "url", NULL), "https://example.com");
    release = json_array_get(objects, 1);
    CHECK_STR(driver_delegate_ref(release).resource, "helmreleases");
    CHECK_STR(doc_str(release, "metadata", "namespace", NULL), "team");
    CHECK_STR(doc_str(release, "spec", "targetNamespace", NULL), "gpu");
    CHECK_STR(doc_str(release, "spec", "serviceAccountName", NULL), "installer");
    CHECK_STR(doc_str(release, "spec", "chart", "spec", "version", NULL), "1.2");
    CHECK_INT(doc_int(release, 0, "spec", "values", "a", NULL), 1);
}

// --- helm's words

static void check_errors(const char *errors, const char *reason, const char *message)
{
    AUTO_MEM char *text = NULL;

    CHECK_STR(driver_read_errors(slice_of(errors), &text), reason);
    CHECK_STR(text, message);
}

TEST(what_helm_says)
{
    check_errors("", "InstallFailed", "helm said nothing");
    check_errors("level=WARN msg=x\nError: release: already exists\n", "ReleaseLocked",
                 "release: already exists");
    check_errors(
        "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress\n",
        "ReleaseLocked",
        "UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress");
    check_errors("Error: execution error at (x/templates/validation.yaml:3:4): no\n",
                 "ChartRejected", "execution error at (x/templates/validation.yaml:3:4): no");
    check_errors(
        "Error: values don't meet the specifications of the schema(s) in the following "
        "chart(s):\nx:\n- a\n",
        "ValuesInvalid",
        "values don't meet the specifications of the schema(s) in the following chart(s): x: - a");
    // helm 4.2's own words
    static const char *const rows[][2] = {
        {"UPGRADE FAILED: unable to build kubernetes objects from current release manifest: "
         "resource mapping "
         "not found for name: \"x\" namespace: \"\" from \"\": no matches for kind \"DeviceClass\" "
         "in version "
         "\"resource.k8s.io/v1beta1\"",
         "ReleaseAPIRemoved"},
        {"unable to build kubernetes objects from release manifest: resource mapping not found for "
         "name: \"x\": "
         "no matches for kind \"Certificate\" in version \"cert-manager.io/v1\"",
         "ChartRejected"},
        {"chart requires kubeVersion: >=1.32.0-0 which is incompatible with Kubernetes v1.31.0",
         "KubernetesTooOldForDriver"},
        {"execution error at (x/templates/validation.yaml:1:4): No supported resource.k8s.io API "
         "version found in "
         "the cluster",
         "APINotServed"},
        {"Unable to continue with install: DeviceClass \"x\" in namespace \"\" exists and cannot "
         "be imported into "
         "the current release: invalid ownership metadata",
         "DriverOwnedElsewhere"},
        {"UPGRADE FAILED: conflict occurred while applying object ns/x apps/v1, Kind=DaemonSet: "
         "Apply failed with 1 "
         "conflict",
         "FieldConflict"},
        {"DaemonSet.apps \"x\" is invalid: "
         "spec.template.spec.containers[0].securityContext.privileged: Forbidden: "
         "disallowed by cluster policy",
         "PrivilegedNotAllowed"},
        {"clusterroles.rbac.authorization.k8s.io \"x\" is forbidden: user \"u\" is attempting to "
         "grant RBAC "
         "permissions not currently held",
         "DriverForbidden"},
        {"daemonsets.apps is forbidden: User \"u\" cannot create resource \"daemonsets\"",
         "DriverForbidden"},
        {"query: failed to query with labels: secrets is forbidden: User \"u\" cannot impersonate "
         "resource",
         "DriverForbidden"},
        {"kubernetes cluster unreachable: Get \"https://x/version\": dial tcp: connect: connection "
         "refused",
         "APIServerUnreachable"},
        {"release r failed, and has been uninstalled due to: context canceled", "HelmInterrupted"},
        {"error converting YAML to JSON: yaml: line 2", "ValuesInvalid"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_MEM char *errors = str_format("level=WARN msg=\"x\"\nError: %s\n", rows[i][0]);
        check_errors(errors, rows[i][1], rows[i][0]);
    }
    check_errors("Error: something new\n", "InstallFailed", "something new");
    check_errors("no prefix\n", "InstallFailed", "no prefix");
}

TEST_MAIN()
