// SPDX-License-Identifier: Apache-2.0
// Readiness: the driver's pods, its classes, the devices that count, and the claims that are waited
// for.
#include "objects.h"

#define EXAMPLE "{preset: Example}"

// --- readiness

static void check_ready(const char *driver, const char *facts_text, const char *ready,
                        const char *devices, const char *counts)
{
    AUTO_JSON json_t *object = configuration(driver, "{}");
    AUTO_JSON json_t *facts = yaml(facts_text);
    AUTO_WANT struct want want = {0};
    struct readiness readiness;
    AUTO_MEM char *text = NULL;

    CHECK_OK(driver_want_make(object, &want));
    CHECK_OK(driver_values_make(object, facts, "v1", &want));
    json_object_set_new(facts, "daemonSets",
                        driver_sets_of(&want, driver_items(facts, "daemonSets")));
    driver_ready_judge(&want, facts, &readiness);
    CHECK_STR(readiness.ready.reason, ready);
    CHECK_INT(readiness.ready.state, str_eq(ready, "AsExpected") ? DRIVER_TRUE : DRIVER_FALSE);
    CHECK_STR(readiness.devices.reason, devices);
    CHECK_INT(readiness.devices.state, str_eq(devices, "AsExpected") ? DRIVER_TRUE : DRIVER_FALSE);
    text = str_format("%lld %lld %lld",
                      (long long)doc_int(readiness.status_devices, -1, "resourceSlices", NULL),
                      (long long)doc_int(readiness.status_devices, -1, "devices", NULL),
                      (long long)doc_int(readiness.status_devices, -1, "nodes", NULL));
    CHECK_STR(text, counts);
    mem_free(readiness.ready.message);
    mem_free(readiness.devices.message);
    json_decref(readiness.status_devices);
}

// Nothing is said of what could not be seen.
TEST(devices_that_may_not_be_looked_at_are_told_as_that)
{
    check_ready(EXAMPLE, "{denied: {slices: 'no right to list resourceslices'}}", "DriverForbidden",
                "Forbidden", "-1 -1 -1");
}

// What it says in words.
static void check_words(const char *driver, const char *facts_text, const char *ready,
                        const char *devices)
{
    AUTO_JSON json_t *object = configuration(driver, "{}");
    AUTO_JSON json_t *facts = yaml(facts_text);
    AUTO_WANT struct want want = {0};
    struct readiness readiness;

    CHECK_OK(driver_want_make(object, &want));
    CHECK_OK(driver_values_make(object, facts, "v1", &want));
    json_object_set_new(facts, "daemonSets",
                        driver_sets_of(&want, driver_items(facts, "daemonSets")));
    driver_ready_judge(&want, facts, &readiness);
    CHECK_HAS(readiness.ready.message, ready);
    CHECK_HAS(readiness.devices.message, devices);
    mem_free(readiness.ready.message);
    mem_free(readiness.devices.message);
    json_decref(readiness.status_devices);
}

#define CLASS "classes: [{name: gpu.example.com}], "
#define NODES "nodes: [{name: a, ready: true}, {name: b, ready: true}, {name: c, ready: false}], "
#define SET(desired, current, available)                                                           \
    "daemonSets: [{name: p, namespace: n, uid: u, generation: 1, release: dra-example-driver, "    \
    "releaseNamespace: dra-example-driver, picksNodes: true, status: {observedGeneration: 1, "     \
    "desiredNumberScheduled: " desired ", currentNumberScheduled: " current                        \
    ", updatedNumberScheduled: " current ", numberAvailable: " available "}}], "
#define POD(node, ready)                                                                           \
    "{name: p-" node ", node: " node ", owner: u, ready: " ready ", initialized: true}, "
#define SLICE(node, generation, devices)                                                           \
    "{driver: gpu.example.com, node: " node ", pool: " node ", generation: " generation            \
    ", count: 1, devices: " devices "}, "

TEST(ready)
{
    check_ready(EXAMPLE,
                "{" CLASS NODES SET("2", "2", "2") "pods: [" POD("a", "true")
                    POD("b", "true") "], slices: [" SLICE("a", "1", "4") SLICE("b", "1", "4") "]}",
                "AsExpected", "AsExpected", "2 8 2");
    check_ready(EXAMPLE, "{" NODES SET("0", "0", "0") "}", "DeviceClassMissing", "NoResourceSlices",
                "0 0 0");
    check_ready(EXAMPLE, "{" CLASS NODES SET("0", "0", "0") "}", "NoMatchingNodes",
                "NoResourceSlices", "0 0 0");
    check_ready(EXAMPLE, "{" CLASS NODES "denied: {daemonSets: 'daemonsets.apps is forbidden'}}",
                "DriverForbidden", "NoResourceSlices", "0 0 0");
    check_ready(EXAMPLE, "{" CLASS NODES SET("0", "0", "0") "denied: {pods: 'pods is forbidden'}}",
                "DriverForbidden", "NoResourceSlices", "0 0 0");
    check_ready(EXAMPLE,
                "{" CLASS NODES SET("2", "2", "1") "pods: [" POD("a", "true")
                    POD("b", "false") "]}",
                "DriverNotReady", "NoResourceSlices", "0 0 0");
    check_ready(EXAMPLE,
                "{" CLASS NODES SET(
                    "1", "0", "0") "events: [{object: p, message: 'violates PodSecurity'}], x: 1}",
                "PodsNotCreated", "NoResourceSlices", "0 0 0");
    check_ready(EXAMPLE,
                "{" CLASS NODES SET(
                    "1", "1", "0") "pods: [{name: p, node: a, owner: u, ready: false, initialized: "
                                   "false, created: '2020-01-01T00:00:00Z'}]}",
                "DriverPodsStuck", "NoResourceSlices", "0 0 0");
}

TEST(slices_of_what_is_gone_are_not_counted)
{
    // no plugin pod on b, c is not Ready, an old generation, another driver
    check_ready(EXAMPLE,
                "{" CLASS NODES SET("1", "1", "1") "pods: [" POD("a", "true")
                    POD("c", "true") "], slices: [" SLICE("a", "1", "3") SLICE("a", "2", "4")
                        SLICE("b", "1", "4") SLICE("c", "1", "4") "{driver: other, "
                                                                  "node: a, pool: a, "
                                                                  "generation: 1, "
                                                                  "devices: 4}]}",
                "AsExpected", "DevicesIncomplete", "1 4 1");
    // the plugin's pod is there and not ready: what it published may be half a minute old
    check_ready(EXAMPLE,
                "{" CLASS NODES SET("1", "1", "0") "pods: [" POD("a", "false") "], slices: [" SLICE(
                    "a", "1", "4") "]}",
                "DriverNotReady", "NoResourceSlices", "0 0 0");
}

// A node that reboots is a node of the driver all the while.
TEST(a_node_that_is_away_is_missed)
{
    static const char *const states[] = {"ready: false, initialized: true",
                                         "ready: true, initialized: true"};

    for (size_t i = 0; i < COUNT(states); i++) {
        AUTO_MEM char *facts = str_format(
            "{" CLASS NODES SET("2", "2", "1") "pods: [" POD(
                "a", "true") "{name: p-x, node: %s, owner: u, %s}], slices: [" SLICE("a", "1", "4")
                SLICE("b", "1", "4") SLICE("c", "1", "4") "]}",
            i == 0 ? "b" : "c", states[i]); // its pod is not ready; the node itself is not
        check_ready(EXAMPLE, facts, "DriverNotReady", "DevicesIncomplete", "1 4 1");
    }
    // one that the DaemonSet does not want any more is not missed
    check_ready(EXAMPLE,
                "{" CLASS NODES SET("1", "1", "1") "pods: [" POD(
                    "a", "true") "{name: p-b, node: b, owner: u, ready: false, leaving: true}], "
                                 "slices: [" SLICE("a", "1", "4") "]}",
                "AsExpected", "AsExpected", "1 4 1");
}

// Pods as the API has them.
TEST(what_is_looked_at_of_a_pod)
{
    AUTO_JSON json_t *stuck =
        yaml("{metadata: {name: p, creationTimestamp: '2020-01-01T00:00:00Z', ownerReferences: "
             "[{uid: u}]}, spec: {nodeName: a}, "
             "status: {phase: Pending, conditions: [{type: Ready, status: 'False'}], "
             "initContainerStatuses: [{state: {terminated: "
             "{reason: Completed}}}, {started: false, state: {running: {}}}], containerStatuses: "
             "[{state: {waiting: {reason: "
             "PodInitializing}}}]}}");
    AUTO_JSON json_t *runs = yaml("{metadata: {name: p, deletionTimestamp: x}, spec: {nodeName: "
                                  "a}, status: {conditions: [{type: Ready, status: 'True'}], "
                                  "initContainerStatuses: [{state: {terminated: {reason: "
                                  "Completed}}}, {started: true, state: {running: {}}}]}}");
    AUTO_JSON json_t *one = driver_trim_pod(stuck);
    AUTO_JSON json_t *two = driver_trim_pod(runs);

    CHECK_STR_TAKE(doc_print_json_sorted(one),
                   "{\"created\":\"2020-01-01T00:00:00Z\",\"initialized\":false,\"leaving\":false,"
                   "\"name\":\"p\","
                   "\"node\":\"a\",\"owner\":\"u\",\"phase\":\"Pending\",\"ready\":false,"
                   "\"waiting\":\"PodInitializing\"}");
    CHECK_STR_TAKE(doc_print_json_sorted(two),
                   "{\"initialized\":true,\"leaving\":true,\"name\":\"p\",\"node\":\"a\","
                   "\"ready\":true,\"waiting\":\"\"}");
}

TEST(somebody_elses_driver_is_counted)
{
    check_ready("{engine: External}",
                "{" NODES "slices: [" SLICE("a", "1", "2") SLICE("c", "1", "2") "]}", "AsExpected",
                "AsExpected", "1 2 1");
    check_ready("{engine: External}", "{" NODES "}", "AsExpected", "NoResourceSlices", "0 0 0");
}

// --- which DaemonSets are the driver's

// As the API has them; their charts set no label of a release, and one goes to another namespace.
static const char *const intel_set =
    "{metadata: {name: intel-gpu-resource-driver-kubelet-plugin, namespace: elsewhere, uid: u, "
    "generation: 3, annotations: {meta.helm.sh/release-name: intel-gpu-resource-driver, "
    "meta.helm.sh/release-namespace: intel-gpu-resource-driver}}, spec: {selector: {matchLabels: "
    "{b: two, app: intel}}, template: {spec: {volumes: [{hostPath: {path: "
    "/var/lib/kubelet/plugins}}, {hostPath: {path: /data/kubelet/plugins_registry/}}]}}}, status: "
    "{desiredNumberScheduled: 3}}";

TEST(sets_are_found_by_what_helm_wrote_in_any_namespace)
{
    AUTO_JSON json_t *object = configuration("{preset: IntelGPU}", "{}");
    AUTO_JSON json_t *set = yaml(intel_set);
    AUTO_JSON json_t *kept = driver_trim_set(set);
    AUTO_JSON json_t *other = yaml("{name: x, namespace: intel-gpu-resource-driver, uid: v, "
                                   "instance: intel-gpu-resource-driver}");
    AUTO_JSON json_t *foreign = yaml("{name: y, release: intel-gpu-resource-driver, "
                                     "releaseNamespace: theirs, uid: w}");
    AUTO_JSON json_t *all = json_pack("[O, O, O]", kept, other, foreign);
    AUTO_JSON json_t *found = NULL;
    AUTO_WANT struct want want = {0};

    CHECK_OK(driver_want_make(object, &want));
    found = driver_sets_of(&want, all);
    CHECK_INT(json_array_size(found), 1);
    CHECK_STR(doc_str(json_array_get(found, 0), "namespace", NULL), "elsewhere");
    CHECK_STR(doc_str(json_array_get(found, 0), "selector", NULL), "app=intel,b=two");
    CHECK(doc_bool(json_array_get(found, 0), false, "plugin", NULL));
    CHECK(doc_bool(json_array_get(found, 0), false, "registers", NULL));
    CHECK(!doc_bool(json_array_get(found, 0), true, "picksNodes", NULL));
}

// Who installs without Helm is found by the label that charts set.
TEST(sets_of_somebody_else_are_found_by_their_label_too)
{
    AUTO_JSON json_t *object =
        configuration("{preset: IntelGPU, engine: External, namespace: gpu}", "{}");
    AUTO_JSON json_t *all =
        yaml("[{name: x, namespace: gpu, instance: intel-gpu-resource-driver}, "
             "{name: y, namespace: other, instance: intel-gpu-resource-driver}]");
    AUTO_JSON json_t *found = NULL;
    AUTO_WANT struct want want = {0};

    CHECK_OK(driver_want_make(object, &want));
    found = driver_sets_of(&want, all);
    CHECK_INT(json_array_size(found), 1);
    CHECK_STR(doc_str(json_array_get(found, 0), "name", NULL), "x");
}

static void check_plugins(const char *driver, const char *all_text, const char *plugins)
{
    AUTO_JSON json_t *object = configuration(driver, "{}");
    AUTO_JSON json_t *all = yaml(all_text);
    AUTO_JSON json_t *sets = NULL;
    AUTO_STRLIST struct strlist names = {0};
    AUTO_WANT struct want want = {0};

    CHECK_OK(driver_want_make(object, &want));
    sets = driver_sets_of(&want, all);
    for (size_t i = 0; i < json_array_size(sets); i++)
        if (doc_bool(json_array_get(sets, i), false, "plugin", NULL))
            strlist_add(&names, doc_str(json_array_get(sets, i), "name", NULL));
    CHECK_STR_TAKE(strlist_join(&names, " "), plugins);
}

#define OF(release, namespace, name, registers)                                                    \
    "{name: " name ", release: " release                                                           \
    ", releaseNamespace: " namespace ", registers: " registers "}, "

TEST(one_of_several_sets_is_the_plugin)
{
    // the preset knows its name
    check_plugins("{preset: Tenstorrent}",
                  "[" OF("tt-operator", "tt-operator-system", "nfd-worker",
                         "false") OF("tt-operator", "tt-operator-system", "csi", "true")
                      OF("tt-operator", "tt-operator-system", "x-tt-dra-driver-plugin", "true") "]",
                  "x-tt-dra-driver-plugin");
    // what talks to the kubelet
    check_plugins("{preset: Example}",
                  "[" OF("dra-example-driver", "dra-example-driver", "monitor", "false")
                      OF("dra-example-driver", "dra-example-driver", "plugin", "true") "]",
                  "plugin");
    // nobody knows
    check_plugins("{preset: Example}",
                  "[" OF("dra-example-driver", "dra-example-driver", "a", "false")
                      OF("dra-example-driver", "dra-example-driver", "b", "false") "]",
                  "a b");
    // the plugin of the preset is turned off, and the rest is none
    check_plugins("{preset: Tenstorrent}",
                  "[" OF("tt-operator", "tt-operator-system", "nfd-worker", "false") "]", "");
}

// A labeller on every node is no driver that publishes nothing.
TEST(nodes_with_another_set_of_the_release_are_not_missed)
{
    const char *facts =
        "{" CLASS NODES "daemonSets: [{name: plugin, uid: u, registers: true, picksNodes: true, "
        "release: dra-example-driver, releaseNamespace: dra-example-driver, status: "
        "{desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, "
        "numberAvailable: 1}}, {name: worker, uid: v, release: dra-example-driver, "
        "releaseNamespace: dra-example-driver, status: {desiredNumberScheduled: 2, "
        "numberAvailable: 1}}], pods: [" POD("a", "true") "{name: w, node: b, owner: v, ready: "
                                                          "true}], slices: [" SLICE("a", "1",
                                                                                    "4") "]}";

    check_ready(EXAMPLE, facts, "AsExpected", "AsExpected", "1 4 1");
    check_words(EXAMPLE, facts, "1 of 2 pods of DaemonSet worker", "4 devices");
}

// Seen with charts that have no label: 0 of 0 pods were available, and that was True.
TEST(a_release_without_a_daemon_set_is_not_ready)
{
    check_ready(EXAMPLE, "{" CLASS NODES "}", "NoDaemonSet", "NoResourceSlices", "0 0 0");
    check_words(EXAMPLE, "{" CLASS NODES "}", "has no DaemonSet of a driver",
                "no pod of the driver is there");
}

TEST(one_device_is_one_device)
{
    check_words(EXAMPLE,
                "{" CLASS NODES SET("1", "1", "1") "pods: [" POD("a", "true") "], slices: [" SLICE(
                    "a", "1", "1") "]}",
                "1 of 1 pods", "1 device in 1 ResourceSlice on 1 node: ");
}

TEST(logs_are_mentioned_where_there_are_pods)
{
    check_words(EXAMPLE, "{" CLASS NODES SET("1", "1", "1") "pods: [" POD("a", "true") "]}",
                "1 of 1 pods", "see the logs of the driver's pods");
    check_words(EXAMPLE, "{" CLASS NODES SET("0", "0", "0") "}", "No node is one",
                "no pod of the driver is there, see DriverReady");
    check_words("{preset: SRIOV}", "{classes: [{name: sriovnetwork.k8snetworkplumbingwg.io}]}",
                "no DaemonSet", "before a SriovResourcePolicy");
}

// The page that installs with resources.gpus.enabled=false and then claims gpu.nvidia.com.
TEST(a_driver_that_the_values_turn_off_is_not_ready_and_the_value_is_named)
{
    const char *driver = "{preset: NVIDIALegacy, values: {resources: {gpus: {enabled: false}}}}";
    const char *facts = "{" NODES "slices: [" SLICE("a", "1", "4") "]}";

    check_ready(driver, facts, "DriverTurnedOff", "NoResourceSlices", "0 0 0");
    check_words(driver, facts, "set resources.gpus.enabled and gpuResourcesEnabledOverride to true",
                "turn off all");
}

#define EVERYWHERE                                                                                 \
    "daemonSets: [{name: p, uid: u, release: gaudi, releaseNamespace: gpu, registers: true, "      \
    "status: {desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, "   \
    "numberAvailable: 2}}], pods: [" POD("a", "true") POD("b", "true") "], "
#define ANY "{chart: {ref: 'oci://r/gaudi'}, release: gaudi, namespace: gpu}"

TEST(nodes_without_devices_are_not_missed_where_the_chart_picks_none)
{
    check_ready(ANY, "{" NODES EVERYWHERE "slices: [" SLICE("a", "1", "4") "]}", "AsExpected",
                "AsExpected", "1 4 1");
    check_words(ANY, "{" NODES EVERYWHERE "slices: [" SLICE("a", "1", "4") "]}", "2 of 2",
                "the chart picks no nodes, and 1 more run the driver and publish nothing");
    check_ready(ANY, "{" NODES EVERYWHERE "slices: []}", "AsExpected", "NoResourceSlices", "0 0 0");
}

// CPUs are everywhere; and a node that had devices is missed in any case.
TEST(nodes_with_devices_are_missed_also_where_the_chart_picks_none)
{
    check_ready("{preset: CPU, release: gaudi, namespace: gpu}",
                "{classes: [{name: dra.cpu}], " NODES EVERYWHERE
                "slices: [{driver: dra.cpu, node: a, pool: a, devices: 2}]}",
                "AsExpected", "DevicesIncomplete", "1 2 1");
    check_ready("{preset: IntelGaudi, release: gaudi, namespace: gpu}",
                "{classes: [{name: gaudi.intel.com}], nodes: [{name: a, ready: true}, {name: b, "
                "ready: false}], " EVERYWHERE
                "slices: [{driver: gaudi.intel.com, node: a, pool: a, devices: 2}, {driver: "
                "gaudi.intel.com, node: b, pool: b, devices: 2}]}",
                "AsExpected", "DevicesIncomplete", "1 2 1");
}

TEST(claims_are_named)
{
    AUTO_JSON json_t *facts =
        yaml("{claims: [{namespace: a, name: one, allocated: true, drivers: [gpu.example.com]}, "
             "{namespace: a, name: two, allocated: false, drivers: []}, "
             "{namespace: b, name: three, allocated: true, drivers: [other]}, "
             "{namespace: d, name: test, allocated: true, drivers: [gpu.example.com], smoke: x}]}");
    AUTO_JSON json_t *drivers = yaml("[gpu.example.com]");
    size_t len;

    CHECK_STR_TAKE(driver_claims_text(facts, drivers, &len), "a/one");
    CHECK_INT(len, 1);
    CHECK_STR_TAKE(driver_claims_text(facts, NULL, &len), "a/one, b/three");
    CHECK_INT(len, 2);
}

TEST_MAIN()
