// SPDX-License-Identifier: Apache-2.0
// What the golden cases do not show: messages, limits, bad input, and that a thousand nodes cost no
// more than they should.
#include "gates_internal.h"
#include "test.h"

#include <string.h>

static json_t *one_gate(const char *name, bool value)
{
    return json_pack("{s:b}", name, (int)value);
}

static struct gates_instance instance(enum component component, int minor)
{
    return (struct gates_instance){
        .id = component_name(component), .component = component, .version = {1, minor, 3}};
}

static char *first_message(const char *gate, bool value, bool allow_alpha, struct gates_instance i)
{
    AUTO_JSON json_t *gates = one_gate(gate, value);
    struct gates_intent intent = {.feature_gates = gates, .allow_alpha = allow_alpha};
    AUTO_RESOLUTION struct gates_resolution r = {0};
    CHECK_OK(gates_resolve(gates_table_builtin(), &intent, &i, 1, &r));
    CHECK(r.refusals_len > 0);
    CHECK_INT(r.refusals[0].component, i.component);
    CHECK_INT(r.refusals[0].version.minor, i.version.minor);
    return str_dup(r.refusals[0].message);
}

TEST(messages_say_what_to_do)
{
    CHECK_STR_TAKE(
        first_message("DynamicResourceAlocation", true, false, instance(COMPONENT_SCHEDULER, 33)),
        "feature gate DynamicResourceAlocation is not known to kube-scheduler (v1.33.3); did you "
        "mean "
        "DynamicResourceAllocation?");
    CHECK_STR_TAKE(
        first_message("DynamicResourceAllocation", false, false, instance(COMPONENT_KUBELET, 35)),
        "feature gate DynamicResourceAllocation is locked to true on kubelet (v1.35.3) and cannot "
        "be turned off any more; "
        "take it out");
    CHECK_STR_TAKE(
        first_message("DynamicResourceAllocation", true, false, instance(COMPONENT_KUBELET, 31)),
        "feature gate DynamicResourceAllocation is alpha on kubelet (v1.31.3); set spec.allowAlpha "
        "to true or take it out");
    CHECK_STR_TAKE(
        first_message("DRAControlPlaneController", true, true, instance(COMPONENT_APISERVER, 33)),
        "feature gate DRAControlPlaneController was last known in Kubernetes 1.31 and "
        "kube-apiserver (v1.33.3) would not "
        "start with it; take it out");
    CHECK_STR_TAKE(
        first_message("DRAConsumableCapacity", true, true, instance(COMPONENT_APISERVER, 33)),
        "feature gate DRAConsumableCapacity exists from Kubernetes 1.34 on and kube-apiserver "
        "(v1.33.3) would not start "
        "with it; upgrade first or take it out");
    CHECK_STR_TAKE(
        first_message("DRAPrioritizedList", true, true, instance(COMPONENT_SCHEDULER, 33)),
        "feature gate DRAPrioritizedList needs DynamicResourceAllocation, which is off on "
        "kube-scheduler (v1.33.3); turn "
        "DynamicResourceAllocation on too or take DRAPrioritizedList out");
}

// Whoever has asked for it since 1.33 is told before a component ends with it.
TEST(the_gate_of_dra_is_refused_from_1_38_on)
{
    for (int c = 0; c < COMPONENT_COUNT; c++) {
        enum component component = (enum component)c;
        AUTO_MEM char *wanted =
            str_format("feature gate DynamicResourceAllocation was last known in Kubernetes 1.37 "
                       "and %s (v1.38.3) would not start with it; take it out",
                       component_name(component));
        CHECK_STR_TAKE(
            first_message("DynamicResourceAllocation", true, false, instance(component, 38)),
            wanted);
    }
}

TEST(every_refusal_has_a_reason)
{
    for (int i = 0; i < REFUSAL_COUNT; i++)
        CHECK(refusal_reason((enum refusal)i) != NULL &&
              strlen(refusal_reason((enum refusal)i)) > 5);
    CHECK_STR(refusal_reason(REFUSAL_GATE_TOO_NEW), "FeatureGateTooNew");
}

TEST(bad_input_is_an_error)
{
    struct gates_resolution r;
    AUTO_JSON json_t *text = json_pack("{s:s}", "A", "true");
    struct gates_intent intent = {.feature_gates = text};
    struct gates_instance i = instance(COMPONENT_SCHEDULER, 33);
    CHECK_ERR_HAS(gates_resolve(gates_table_builtin(), &intent, &i, 1, &r), ERROR_INVALID,
                  "must be true or false");
    intent.feature_gates = NULL;
    i.version.major = 0;
    CHECK_ERR_HAS(gates_resolve(gates_table_builtin(), &intent, &i, 1, &r), ERROR_INVALID,
                  "version is not known");
    AUTO_JSON json_t *many = json_object();
    for (int n = 0; n <= GATES_ENTRIES_MAX; n++) {
        AUTO_MEM char *name = str_format("Gate%d", n);
        json_object_set_new(many, name, json_true());
    }
    intent.feature_gates = many;
    i.version.major = 1;
    CHECK_ERR(gates_resolve(gates_table_builtin(), &intent, &i, 1, &r), ERROR_LIMIT);
    CHECK_ERR(gates_resolve(gates_table_builtin(), &intent, &i, GATES_INSTANCES_MAX + 1, &r),
              ERROR_LIMIT);
    intent.feature_gates = NULL;
    CHECK_OK(gates_resolve(gates_table_builtin(), &intent, NULL, 0, &r));
    CHECK_INT(r.desired_len + r.refusals_len, 0);
    gates_resolution_fini(&r);
}

static struct gates_instance *many_kubelets(size_t len)
{
    struct gates_instance *all = mem_alloc(len * sizeof(*all));
    all[0] = instance(COMPONENT_APISERVER, 33);
    for (size_t i = 1; i < len; i++)
        all[i] = instance(COMPONENT_KUBELET, 33);
    return all;
}

TEST(all_the_kubelets_there_may_be)
{
    AUTO_MEM struct gates_instance *all = many_kubelets(GATES_INSTANCES_MAX);
    AUTO_JSON json_t *gates = one_gate("DynamicResourceAllocation", true);
    AUTO_JSON json_t *foreign = one_gate("DynamicResourceAllocation", true);
    all[7].foreign_gates = foreign;
    struct gates_intent intent = {.feature_gates = gates};
    AUTO_RESOLUTION struct gates_resolution r = {0};
    CHECK_OK(gates_resolve(gates_table_builtin(), &intent, all, GATES_INSTANCES_MAX, &r));
    CHECK_INT(r.refusals_len, 0);
    CHECK_INT(json_object_size(r.desired[6].feature_gates), 1);
    CHECK_INT(json_object_size(r.desired[7].feature_gates), 0);
    CHECK_INT(json_object_size(r.desired[GATES_INSTANCES_MAX - 1].feature_gates), 1);
}

// Nodes that all differ: each a class of its own.
TEST(all_kubelets_different)
{
    enum { LEN = 4000 };
    AUTO_MEM struct gates_instance *all = many_kubelets(LEN);
    AUTO_JSON json_t *keep = json_array();
    for (size_t i = 1; i < LEN; i++) {
        AUTO_MEM char *name = str_format("Vendor%zu", i);
        json_array_append_new(keep, one_gate(name, true));
        all[i].foreign_gates = json_array_get(keep, i - 1);
    }
    AUTO_JSON json_t *gates = one_gate("DynamicResourceAllocation", true);
    struct gates_intent intent = {.feature_gates = gates};
    AUTO_RESOLUTION struct gates_resolution r = {0};
    uint64_t start = clock_ms();
    CHECK_OK(gates_resolve(gates_table_builtin(), &intent, all, LEN, &r));
    CHECK_INT(r.refusals_len, 0);
    CHECK(clock_ms() - start < 10000);
}

TEST(a_refusal_is_said_once_for_each_component)
{
    AUTO_MEM struct gates_instance *all = many_kubelets(50);
    AUTO_JSON json_t *foreign = one_gate("ContainerCheckpoint", true);
    all[9].foreign_gates = foreign;
    AUTO_JSON json_t *gates = one_gate("NoSuchThing", true);
    struct gates_intent intent = {.feature_gates = gates};
    AUTO_RESOLUTION struct gates_resolution r = {0};
    CHECK_OK(gates_resolve(gates_table_builtin(), &intent, all, 50, &r));
    CHECK_INT(r.refusals_len, 2);
    CHECK_INT(r.refusals[0].component, COMPONENT_APISERVER);
    CHECK_INT(r.refusals[1].component, COMPONENT_KUBELET);
}

TEST(effective_says_what_must_be_reported)
{
    AUTO_JSON json_t *gates =
        json_pack("{s:b,s:b}", "DynamicResourceAllocation", 1, "DRAPrioritizedList", 1);
    struct gates_instance all[] = {instance(COMPONENT_KUBELET, 34),
                                   instance(COMPONENT_SCHEDULER, 34)};
    struct gates_intent intent = {.feature_gates = gates};
    AUTO_RESOLUTION struct gates_resolution r = {0};
    CHECK_OK(gates_resolve(gates_table_builtin(), &intent, all, 2, &r));
    CHECK_STR_TAKE(doc_print_json_sorted(r.desired[0].effective),
                   "{\"DynamicResourceAllocation\":true}");
    CHECK_STR_TAKE(doc_print_json_sorted(r.desired[1].effective),
                   "{\"DRAPrioritizedList\":true,\"DynamicResourceAllocation\":true}");
}

TEST_MAIN()
