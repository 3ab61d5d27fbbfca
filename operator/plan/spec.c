// SPDX-License-Identifier: Apache-2.0
// What a node is asked for: the spec of its NodeDRAConfiguration.
#include <string.h>

#include "plan_internal.h"

static bool takes_want(const struct plan_step *step, const struct plan_instance *instance)
{
    if (step->deferred)
        return false;
    switch (step->state) {
    case PLAN_NOW:
    case PLAN_RUNNING:
    case PLAN_OVERDUE:
        return true;
    case PLAN_DONE:
        return instance->asked != NULL || step->changes;
    case PLAN_WAITING:
    case PLAN_FAILED:
    case PLAN_BLOCKED:
    case PLAN_MISSING:
    case PLAN_AWAY:
        break;
    }
    return false;
}

const size_t *plan_steps_of(const struct plan *plan, const struct plan_instance *instances,
                            const char *node, size_t *ret_len)
{
    size_t from = 0, to = plan->by_node_len;

    while (from < to) { // the first that is not before node
        size_t middle = from + (to - from) / 2;

        if (strcmp(instances[plan->steps[plan->by_node[middle]].instance].node, node) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    while (to < plan->by_node_len &&
           str_eq(instances[plan->steps[plan->by_node[to]].instance].node, node))
        to++;
    *ret_len = to - from;
    return plan->by_node + from;
}

// The entry of spec.components, with the time at which it was first asked for: there is nothing but
// this object to remember it.
static json_t *make_entry(const struct plan_step *step, const struct plan_instance *instance,
                          int64_t now_wall_ms)
{
    bool again = str_eq(doc_str(instance->asked, "revision", NULL), step->revision);
    const char *was = again ? doc_str(instance->asked, "askedAt", NULL) : "";
    json_t *entry = doc_copy(step->want);
    char at[CLOCK_TEXT_BYTES];

    if (!again || step->state == PLAN_RUNNING || step->state == PLAN_OVERDUE)
        was = clock_format(again && *was ? plan_asked_at(instance, now_wall_ms) : now_wall_ms, at);
    if (*was)
        json_object_set_new(entry, "askedAt", doc_string(was));
    return entry;
}

// Whether make_entry() would make what is asked for already.
static bool is_entry(const struct plan_step *step, const struct plan_instance *instance,
                     int64_t now_wall_ms)
{
    const json_t *at = json_object_get(instance->asked, "askedAt");
    const char *key;
    json_t *value;
    int64_t at_ms;

    if (step->state == PLAN_NOW ||
        !str_eq(doc_str(instance->asked, "revision", NULL), step->revision) ||
        json_object_size(instance->asked) != json_object_size(step->want) + (at != NULL))
        return false;
    if (at ? !clock_parse(json_string_value(at), &at_ms) || at_ms > now_wall_ms
           : step->state != PLAN_DONE)
        return false;
    json_object_foreach(step->want, key, value) {
        if (!doc_equal(json_object_get(instance->asked, key), value))
            return false;
    }
    return true;
}

bool plan_node_spec_stands(const struct plan *plan, const struct plan_instance *instances,
                           const char *node, const struct plan_header *header, bool enable,
                           const json_t *was)
{
    size_t len;
    const size_t *steps = plan_steps_of(plan, instances, node, &len);

    if (!str_eq(doc_str(was, "configuration", NULL), header->configuration) ||
        !str_eq(doc_str(was, "revision", NULL), header->revision) ||
        !str_eq(doc_str(was, "direction", NULL), enable ? "Enable" : "Disable") ||
        doc_int(was, -1, "componentTimeoutSeconds", NULL) !=
            (int64_t)(header->component_timeout_ms / 1000))
        return false;
    for (size_t i = 0; i < len; i++) {
        const struct plan_step *step = &plan->steps[steps[i]];
        const struct plan_instance *instance = &instances[step->instance];

        if (instance->component == COMPONENT_KUBELET) {
            AUTO_MEM char *version = version_format(instance->version);

            if (!str_eq(doc_str(was, "kubeletVersion", NULL), version))
                return false;
        }
        if (takes_want(step, instance) && !is_entry(step, instance, plan->now_wall_ms))
            return false;
    }
    return true;
}

static bool has_entry(const json_t *components, const char *name)
{
    for (size_t i = 0; i < json_array_size(components); i++) {
        if (str_eq(doc_str(json_array_get(components, i), "name", NULL), name))
            return true;
    }
    return false;
}

json_t *plan_node_spec(const struct plan *plan, const struct plan_instance *instances,
                       const char *node, const struct plan_header *header, bool enable,
                       const json_t *was)
{
    json_t *components = json_array();
    json_t *spec = json_object();
    const size_t *steps;
    size_t len;

    json_object_set_new(spec, "epoch", json_integer((json_int_t)header->epoch));
    json_object_set_new(spec, "configuration", doc_string(header->configuration));
    json_object_set_new(spec, "revision", doc_string(header->revision));
    json_object_set_new(spec, "direction", doc_string(enable ? "Enable" : "Disable"));
    json_object_set_new(spec, "componentTimeoutSeconds",
                        json_integer((json_int_t)(header->component_timeout_ms / 1000)));
    steps = plan_steps_of(plan, instances, node, &len);
    for (size_t i = 0; i < len; i++) {
        const struct plan_step *step = &plan->steps[steps[i]];
        const struct plan_instance *instance = &instances[step->instance];

        if (instance->component == COMPONENT_KUBELET) {
            AUTO_MEM char *version = version_format(instance->version);

            json_object_set_new(spec, "kubeletVersion", doc_string(version));
        }
        if (takes_want(step, instance))
            json_array_append_new(components, make_entry(step, instance, plan->now_wall_ms));
        else if (instance->asked)
            json_array_append_new(components, doc_copy(instance->asked));
    }
    // An entry for a component that is not seen just now stays: the agent would otherwise forget
    // what it was asked for.
    for (size_t i = 0; i < json_array_size(json_object_get(was, "components")); i++) {
        const json_t *old = json_array_get(json_object_get(was, "components"), i);

        if (!has_entry(components, doc_str(old, "name", NULL)))
            json_array_append_new(components, doc_copy(old));
    }
    json_object_set_new(spec, "components", components);
    return spec;
}
