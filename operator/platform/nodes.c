// SPDX-License-Identifier: Apache-2.0
// Nodes: those that have a kubelet to look after, and those that have instances.
#include "platform_internal.h"

// --- counting them -------------------------------------------------------------------------------

struct managed_context {
    struct platform_observed *observed;
    platform_node_fn *each;
    void *owner;
};

static void on_node(void *owner, const char *key, const json_t *node)
{
    struct managed_context *context = owner;
    const char *ignored = doc_str(node, "ignored", NULL);
    struct version version;

    if (*ignored || !version_parse(doc_str(node, "kubeletVersion", NULL), &version)) {
        context->observed->unmanaged_nodes++;
        json_object_set_new(context->observed->ignored, key, doc_string(ignored));
        return;
    }
    context->observed->managed_nodes++;
    context->each(context->owner, node, version);
}

void platform_each_managed_node(const struct cluster *cluster, struct platform_observed *observed,
                                platform_node_fn *each, void *owner)
{
    struct managed_context context = {observed, each, owner};

    watch_each(cluster->nodes, on_node, &context);
}

int64_t platform_not_ready_ms(const struct cluster *cluster, const char *name)
{
    const json_t *since = doc_get(watch_get(cluster->nodes, name), "notReadySince", NULL);
    int64_t at_ms;

    if (!since)
        return 0;
    // A time that is none, or far in the future, must not make anybody wait; a clock that is a
    // little ahead means now.
    if (!clock_parse(json_string_value(since), &at_ms) || at_ms <= 0 ||
        at_ms > clock_wall_ms() + PLAN_MARGIN_MS)
        return PLAN_UNKNOWN_MS;
    return at_ms < clock_wall_ms() ? at_ms : clock_wall_ms();
}

// --- those that have instances -------------------------------------------------------------------

// The number of a node is the set of its components, a bit each: whether there is an instance
// already is one look, however many nodes there are.
const char *platform_add_node(struct platform_observed *observed, const char *name)
{
    if (!json_object_get(observed->nodes, name))
        json_object_set_new(observed->nodes, name, json_integer(0));
    return json_object_iter_key(json_object_iter_at(observed->nodes, name));
}

bool platform_note_instance(struct platform_observed *observed, const char *node,
                            enum component component)
{
    json_t *number = json_object_get(observed->nodes, node);
    json_int_t known = json_integer_value(number), bit = (json_int_t)1 << component;

    json_integer_set(number, known | bit);
    return known & bit;
}
