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
    return gates_upgradeable(gates_table_builtin(), &i, 1, NULL, ret_message);
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
    CHECK_INT(gates_upgradeable(gates_table_builtin(), &i, 1, &desired, &message),
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
    CHECK_INT(gates_upgradeable(gates_table_builtin(), &i, 1, NULL, &message), UPGRADEABLE_FALSE);
    CHECK_HAS(message, "and 12 more");
}

TEST_MAIN()
