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
    driver_ready_judge(&want, facts, &readiness);
    CHECK_STR(readiness.ready.reason, ready);
    CHECK_STR(readiness.devices.reason, devices);
    text = str_format("%lld %lld %lld",
                      (long long)doc_int(readiness.status_devices, -1, "resourceSlices", NULL),
                      (long long)doc_int(readiness.status_devices, -1, "devices", NULL),
                      (long long)doc_int(readiness.status_devices, -1, "nodes", NULL));
    CHECK_STR(text, counts);
    mem_free(readiness.ready.message);
    mem_free(readiness.devices.message);
    json_decref(readiness.status_devices);
}

#define CLASS "classes: [{name: gpu.example.com}], "
#define NODES "nodes: [{name: a, ready: true}, {name: b, ready: true}, {name: c, ready: false}], "
#define SET(desired, current, available)                                                           \
    "daemonSets: [{name: p, uid: u, generation: 1, status: {observedGeneration: 1, "               \
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
