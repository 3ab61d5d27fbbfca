// SPDX-License-Identifier: Apache-2.0
// The preflight for the next minor, and what it says.
#include "gates_internal.h"
#include "test.h"

static enum upgradeable ask(enum component component, int minor, const char *gates,
                            const char *runtime, char **ret_message)
{
    AUTO_JSON json_t *g = NULL;
    AUTO_JSON json_t *r = NULL;
    CHECK_OK(doc_parse_json(slice_of(gates), "gates", &g));
    CHECK_OK(doc_parse_json(slice_of(runtime), "runtime", &r));
    struct gates_instance i = {.id = "one",
                               .component = component,
                               .version = {1, minor, 1},
                               .foreign_gates = g,
                               .foreign_runtime = r};
    return gates_upgradeable(gates_table_builtin(), &i, 1, NULL, (struct version){0}, ret_message);
}

static void check(enum component component, int minor, const char *gates, const char *runtime,
                  enum upgradeable want, const char *part)
{
    AUTO_MEM char *message = NULL;
    CHECK_INT(ask(component, minor, gates, runtime, &message), want);
    CHECK_HAS(message, part);
}

TEST(names_what_the_next_minor_refuses)
{
    check(COMPONENT_APISERVER, 33, "{}", "{}", UPGRADEABLE_TRUE, "takes every");
    check(COMPONENT_APISERVER, 33, "{\"DynamicResourceAllocation\":true}",
          "{\"resource.k8s.io/v1beta1\":\"true\"}", UPGRADEABLE_TRUE, "takes every");
    check(COMPONENT_KUBELET, 33, "{\"DevicePluginCDIDevices\":true}", "{}", UPGRADEABLE_FALSE,
          "kubelet 1.34: feature gate DevicePluginCDIDevices is removed");
    check(COMPONENT_SCHEDULER, 34, "{\"DynamicResourceAllocation\":false}", "{}", UPGRADEABLE_FALSE,
          "kube-scheduler 1.35: feature gate DynamicResourceAllocation is locked to true");
    check(COMPONENT_APISERVER, 30, "{}", "{\"resource.k8s.io/v1alpha2\":\"true\"}",
          UPGRADEABLE_FALSE, "API version resource.k8s.io/v1alpha2 does not exist");
    // From 1.35 on the binaries check dependencies; 1.34 took this.
    check(COMPONENT_SCHEDULER, 34,
          "{\"DRAResourceClaimDeviceStatus\":false,\"DRADeviceBindingConditions\":true}", "{}",
          UPGRADEABLE_FALSE, "DRADeviceBindingConditions needs DRAResourceClaimDeviceStatus");
    check(COMPONENT_APISERVER, 36, "{}", "{\"scheduling.k8s.io/v1alpha2\":\"true\"}",
          UPGRADEABLE_FALSE, "API version scheduling.k8s.io/v1alpha2 does not exist");
    check(COMPONENT_KUBELET, 37, "{\"DynamicResourceAllocation\":true}", "{}", UPGRADEABLE_FALSE,
          "kubelet 1.38: feature gate DynamicResourceAllocation is removed");
    check(COMPONENT_SCHEDULER, 38, "{}", "{}", UPGRADEABLE_UNKNOWN, "ends with Kubernetes 1.38");
    check(COMPONENT_SCHEDULER, 38, "{\"ContainerCheckpoint\":true}", "{}", UPGRADEABLE_UNKNOWN,
          "ends with");
    check(COMPONENT_SCHEDULER, 36, "{\"DRAResourceClaimDeviceStatus\":false}", "{}",
          UPGRADEABLE_FALSE, "locked to true");
}

TEST(ours_count_as_well_as_foreign_ones)
{
    AUTO_JSON json_t *ours = json_pack("{s:b}", "DynamicResourceAllocation", 0);
    struct gates_desired desired = {.feature_gates = ours};
    struct gates_instance i = {.id = "one", .component = COMPONENT_KUBELET, .version = {1, 34, 1}};
    AUTO_MEM char *message = NULL;
    CHECK_INT(
        gates_upgradeable(gates_table_builtin(), &i, 1, &desired, (struct version){0}, &message),
        UPGRADEABLE_FALSE);
    CHECK_HAS(message, "DynamicResourceAllocation");
}

TEST(many_findings_are_counted)
{
    AUTO_JSON json_t *gates = json_object();
    for (int n = 0; n < 20; n++) {
        AUTO_MEM char *name = str_format("Nothing%d", n);
        json_object_set_new(gates, name, json_true());
    }
    struct gates_instance i = {
        .id = "one", .component = COMPONENT_KUBELET, .version = {1, 33, 1}, .foreign_gates = gates};
    AUTO_MEM char *message = NULL;
    CHECK_INT(gates_upgradeable(gates_table_builtin(), &i, 1, NULL, (struct version){0}, &message),
              UPGRADEABLE_FALSE);
    CHECK_HAS(message, "and 12 more");
}

TEST(where_an_entry_stands_is_said_with_its_line)
{
    AUTO_JSON json_t *gates = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    AUTO_JSON json_t *places = json_pack("{s:s}", "DynamicResourceAllocation", "/m/s.yaml, line 7");
    struct gates_instance two[] = {{.id = "kube-scheduler on a",
                                    .component = COMPONENT_SCHEDULER,
                                    .version = {1, 37, 1},
                                    .foreign_gates = gates,
                                    .places = places},
                                   {.id = "kube-scheduler on b",
                                    .component = COMPONENT_SCHEDULER,
                                    .version = {1, 37, 1},
                                    .foreign_gates = gates}};
    AUTO_MEM char *message = NULL;
    CHECK_INT(gates_upgradeable(gates_table_builtin(), two, 2, NULL, (struct version){0}, &message),
              UPGRADEABLE_FALSE);
    CHECK_HAS(message, "(kube-scheduler on a, /m/s.yaml, line 7 and 1 more; without effect today)");
}

// --- the way to a minor that is named ------------------------------------------------------------

static char *prepared(enum component component, int minor, int target, const char *gates,
                      const char *runtime)
{
    AUTO_JSON json_t *g = NULL;
    AUTO_JSON json_t *r = NULL;
    AUTO_FINDINGS struct gates_findings findings = {0};
    AUTO_BUF struct buf text = buf_make(4096);
    CHECK_OK(doc_parse_json(slice_of(gates), "gates", &g));
    CHECK_OK(doc_parse_json(slice_of(runtime), "runtime", &r));
    struct gates_instance i = {.id = "one",
                               .component = component,
                               .version = {1, minor, 1},
                               .foreign_gates = g,
                               .foreign_runtime = r};
    gates_prepare(gates_table_builtin(), &i, (struct version){1, target, 0}, &findings);
    for (size_t n = 0; n < findings.len; n++) {
        AUTO_MEM char *what = gates_finding_text(&findings.items[n]);
        buf_printf(&text, "%s%s=%d %s%s", n ? "; " : "", findings.items[n].entry,
                   findings.items[n].value, what, findings.items[n].matters ? ", matters" : "");
    }
    if (findings.unknown)
        buf_add_str(&text, "?");
    return buf_take(&text);
}

TEST(what_a_minor_refuses_and_whether_it_matters_today)
{
    // What the gate says is so anyway.
    CHECK_STR_TAKE(
        prepared(COMPONENT_KUBELET, 37, 38, "{\"DynamicResourceAllocation\":true}", "{}"),
        "DynamicResourceAllocation=1 removed in 1.38");
    // On the way to 1.38 there is 1.37.
    CHECK_STR_TAKE(prepared(COMPONENT_APISERVER, 36, 38,
                            "{\"DynamicResourceAllocation\":true,\"SidecarContainers\":true}",
                            "{}"),
                   "DynamicResourceAllocation=1 removed in 1.38; SidecarContainers=1 removed in "
                   "1.37");
    CHECK_STR_TAKE(
        prepared(COMPONENT_SCHEDULER, 36, 37, "{\"DynamicResourceAllocation\":true}", "{}"), "");
    // What is off today and will be on for good.
    CHECK_STR_TAKE(
        prepared(COMPONENT_APISERVER, 37, 38, "{\"DRAPartitionableDevices\":false}", "{}"),
        "DRAPartitionableDevices=0 locked to true in 1.38, matters");
    // A group of gates says what an entry need not say, or says the opposite.
    CHECK_STR_TAKE(prepared(COMPONENT_APISERVER, 37, 38,
                            "{\"AllBeta\":false,\"DRAPartitionableDevices\":false}", "{}"),
                   "DRAPartitionableDevices=0 locked to true in 1.38");
    CHECK_STR_TAKE(prepared(COMPONENT_APISERVER, 36, 37, "{}",
                            "{\"scheduling.k8s.io/v1alpha2\":\"true\",\"apps/v1\":\"true\"}"),
                   "scheduling.k8s.io/v1alpha2=1 not registered in 1.37, matters");
    CHECK_STR_TAKE(
        prepared(COMPONENT_APISERVER, 36, 37, "{}", "{\"scheduling.k8s.io/v1alpha2\":\"false\"}"),
        "scheduling.k8s.io/v1alpha2=0 not registered in 1.37");
    // 1.38 takes it, and serves nothing for it.
    CHECK_STR_TAKE(
        prepared(COMPONENT_APISERVER, 37, 38, "{}", "{\"resource.k8s.io/v1beta1\":\"true\"}"), "");
    CHECK_STR_TAKE(prepared(COMPONENT_KUBELET, 38, 39, "{\"GenericWorkload\":true}", "{}"), "?");
    CHECK_STR_TAKE(prepared(COMPONENT_KUBELET, 37, 37, "{\"Nothing\":true}", "{}"), "");
}

TEST(as_far_as_the_minor_that_is_prepared_for)
{
    AUTO_JSON json_t *gates = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    AUTO_JSON json_t *off = json_pack("{s:b}", "DRAPartitionableDevices", 0);
    struct gates_instance i[] = {{.id = "kubelet on a",
                                  .component = COMPONENT_KUBELET,
                                  .version = {1, 36, 3},
                                  .foreign_gates = gates},
                                 {.id = "kubelet on b",
                                  .component = COMPONENT_KUBELET,
                                  .version = {1, 36, 3},
                                  .foreign_gates = gates},
                                 {.id = "kube-apiserver on c",
                                  .component = COMPONENT_APISERVER,
                                  .version = {1, 36, 3},
                                  .foreign_gates = off}};
    AUTO_MEM char *next = NULL;
    AUTO_MEM char *named = NULL;
    AUTO_MEM char *beyond = NULL;
    CHECK_INT(gates_upgradeable(gates_table_builtin(), i, 2, NULL, (struct version){0}, &next),
              UPGRADEABLE_TRUE);
    CHECK_INT(
        gates_upgradeable(gates_table_builtin(), i, 3, NULL, (struct version){1, 38, 0}, &named),
        UPGRADEABLE_FALSE);
    CHECK_HAS(named, "Kubernetes 1.38 would not start with what is set now: kubelet 1.38: feature "
                     "gate DynamicResourceAllocation is removed (kubelet on a and 1 more; without "
                     "effect today); kube-apiserver 1.38: feature gate DRAPartitionableDevices is "
                     "locked to true (kube-apiserver on c; off today, on from then on)");
    CHECK_HAS(named, "1.38 is a preview, as in 1.38.0-beta.0");
    CHECK_INT(
        gates_upgradeable(gates_table_builtin(), i, 1, NULL, (struct version){1, 40, 0}, &beyond),
        UPGRADEABLE_FALSE);
    i[0].foreign_gates = NULL;
    mem_free(TAKE(beyond));
    CHECK_INT(
        gates_upgradeable(gates_table_builtin(), i, 1, NULL, (struct version){1, 40, 0}, &beyond),
        UPGRADEABLE_UNKNOWN);
    CHECK_HAS(beyond, "ends with Kubernetes 1.38, so what Kubernetes 1.40 refuses is not known");
}

TEST(what_the_spec_asks_for_and_a_later_minor_refuses)
{
    AUTO_JSON json_t *wish = json_pack("{s:b, s:b, s:b}", "DynamicResourceAllocation", 1,
                                       "DRADeviceTaints", 0, "NobodyKnowsIt", 1);
    AUTO_MEM char *what = NULL;
    CHECK(!gates_wish_refused(gates_table_builtin(), wish, (struct version){1, 36, 0},
                              (struct version){1, 37, 0}, &what));
    CHECK(gates_wish_refused(gates_table_builtin(), wish, (struct version){1, 36, 0},
                             (struct version){1, 38, 0}, &what));
    CHECK_STR(what, "DynamicResourceAllocation (removed in 1.38), DRADeviceTaints (locked to the "
                    "other value in 1.38)");
}

TEST_MAIN()
