// SPDX-License-Identifier: Apache-2.0
// Small clusters for tests of the plan.
#pragma once

#include <string.h>

#include "drawbridge/plan.h"
#include "test.h"

#define NOW_MS 1000000000000

// A cluster under construction: instances with their reports, and what each is to be.
struct world {
    struct plan_instance instances[32];
    struct gates_desired desired[32];
    json_t *trees[64];
    size_t len, trees_len;
};

UNUSED static json_t *own(struct world *w, json_t *tree)
{
    w->trees[w->trees_len++] = tree;
    return tree;
}

UNUSED static struct plan_instance *add(struct world *w, const char *node, enum component component,
                                        bool control_plane)
{
    struct plan_instance *instance = &w->instances[w->len];
    struct gates_desired *desired = &w->desired[w->len++];

    *instance = (struct plan_instance){
        .node = node, .component = component, .control_plane = control_plane, .agent = true};
    instance->id = str_format("%s on %s", component_name(component), node ? node : "an object");
    instance->version = (struct version){1, 33, 13};
    instance->reported =
        own(w, json_pack("{s:s,s:b,s:{},s:{s:{},s:{}},s:{s:b}}", "state", "Observed", "healthy", 1,
                         "featureGates", "owned", "featureGates", "runtimeConfig", "enabled",
                         "DynamicResourceAllocation", 0));
    desired->feature_gates = own(w, json_pack("{s:b}", "DynamicResourceAllocation", 1));
    desired->runtime_config = own(w, component == COMPONENT_APISERVER
                                         ? json_pack("{s:s}", "resource.k8s.io/v1beta1", "true")
                                         : json_object());
    desired->effective = own(w, json_pack("{s:b}", "DynamicResourceAllocation", 1));
    return instance;
}

// The object of the node before this plan, as far as its instances tell.
UNUSED static json_t *spec_before(const struct world *w, const struct plan *plan,
                                  const struct plan_header *header, const char *node)
{
    size_t len;
    const size_t *steps = plan_steps_of(plan, w->instances, node, &len);
    json_t *spec = json_pack("{s:i, s:s, s:s, s:s, s:I, s:[]}", "epoch", 1, "configuration",
                             header->configuration, "revision", header->revision, "direction",
                             "Enable", "componentTimeoutSeconds",
                             (json_int_t)(header->component_timeout_ms / 1000), "components");

    for (size_t i = 0; i < len; i++) {
        const struct plan_instance *instance = &w->instances[plan->steps[steps[i]].instance];

        if (instance->component == COMPONENT_KUBELET)
            json_object_set_new(spec, "kubeletVersion", json_string("v1.33.13"));
        if (instance->asked)
            json_array_append_new(json_object_get(spec, "components"), doc_copy(instance->asked));
    }
    return spec;
}

// Whether a node's object is to be written is the same, with and without making it.
UNUSED static void check_specs(const struct world *w, const struct plan *plan)
{
    const struct plan_header header = {
        .epoch = 1, .configuration = "n/c", .revision = "r", .component_timeout_ms = 300000};

    for (size_t i = 0; i < w->len; i++) {
        const char *node = w->instances[i].node;
        AUTO_JSON json_t *was = NULL;
        AUTO_JSON json_t *now = NULL;

        if (w->instances[i].object || !node)
            continue;
        was = spec_before(w, plan, &header, node);
        now = plan_node_spec(plan, w->instances, node, &header, true, was);
        CHECK_INT(plan_node_spec_stands(plan, w->instances, node, &header, true, was),
                  doc_equal(now, was));
    }
}

UNUSED static void make(struct world *w, struct plan_policy policy, struct plan *ret_plan)
{
    if (policy.max_unavailable == 0)
        policy.max_unavailable = 1;
    plan_make(&policy, w->instances, w->desired, w->len, NOW_MS, ret_plan);
    check_specs(w, ret_plan);
}

UNUSED static const struct plan_step *step_of(const struct world *w, const struct plan *plan,
                                              const char *id)
{
    for (size_t i = 0; i < plan->len; i++) {
        if (str_eq(w->instances[plan->steps[i].instance].id, id))
            return &plan->steps[i];
    }
    return NULL;
}

UNUSED static const char *state_of(const struct world *w, const struct plan *plan, const char *id)
{
    return plan_state_name(step_of(w, plan, id)->state);
}

// The agent of the instance has done what the plan wants of it.
UNUSED static void finish(struct world *w, size_t index, const char *state, const char *updated_at)
{
    const struct plan_policy policy = {.enable = true, .max_unavailable = 1};
    struct plan plan;

    make(w, policy, &plan);
    for (size_t i = 0; i < plan.len; i++) {
        struct plan_instance *instance = &w->instances[index];

        if (plan.steps[i].instance != index)
            continue;
        instance->asked = own(w, doc_copy(plan.steps[i].want));
        instance->reported =
            own(w, json_pack("{s:s,s:s,s:b,s:s,s:s,s:s}", "state", state, "revision",
                             plan.steps[i].revision, "healthy", 1, "updatedAt", updated_at,
                             "reason", "ComponentNotReady", "message", "m"));
        json_t *report = w->trees[w->trees_len - 1];
        json_t *owned = json_object();
        json_object_set_new(owned, "featureGates",
                            doc_copy(json_object_get(plan.steps[i].want, "featureGates")));
        json_object_set_new(owned, "runtimeConfig",
                            instance->component == COMPONENT_APISERVER
                                ? doc_copy(json_object_get(plan.steps[i].want, "runtimeConfig"))
                                : json_object());
        json_object_set_new(report, "owned", owned);
        json_object_set_new(report, "enabled",
                            doc_copy(json_object_get(plan.steps[i].want, "expect")));
    }
    plan_fini(&plan);
}

UNUSED static void say(struct world *w, size_t index, const char *key, const char *text)
{
    doc_set((json_t *)(uintptr_t)w->instances[index].reported, json_string(text), key, NULL);
}

UNUSED static void world_fini(struct world *w)
{
    for (size_t i = 0; i < w->len; i++)
        mem_free(w->instances[i].id);
    for (size_t i = 0; i < w->trees_len; i++)
        json_decref(w->trees[i]);
}

UNUSED static void add_control_plane(struct world *w, const char *node)
{
    add(w, node, COMPONENT_APISERVER, true);
    add(w, node, COMPONENT_CONTROLLER_MANAGER, true);
    add(w, node, COMPONENT_SCHEDULER, true);
}

#define LONG_AGO "2001-01-01T00:00:00Z"
UNUSED static const struct plan_policy enable = {
    .enable = true, .max_unavailable = 1, .min_ready_ms = 30000};
