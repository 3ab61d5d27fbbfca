// SPDX-License-Identifier: Apache-2.0
// Nodes: what the watch keeps of each, and which of them have a kubelet to look after.
#include <string.h>
#include <strings.h>

#include "platform_internal.h"

// --- which have none -----------------------------------------------------------------------------

// What virtual-kubelet puts on the nodes that it makes up (virtual-kubelet.io/docs: the label type,
// the taint of the provider), and into their version, which is the one of the library that it was
// built with ("v1.19.10-vk-azure-aci-1.4.8").
static bool is_virtual(const json_t *node)
{
    const json_t *taints = doc_get(node, "spec", "taints", NULL);

    if (str_eq(doc_str(node, "metadata", "labels", "type", NULL), "virtual-kubelet") ||
        strstr(doc_str(node, "status", "nodeInfo", "kubeletVersion", NULL), "-vk-"))
        return true;
    for (size_t i = 0; i < json_array_size(taints); i++) {
        if (str_eq(doc_str(json_array_get(taints, i), "key", NULL), "virtual-kubelet.io/provider"))
            return true;
    }
    return false;
}

// The agent runs on Linux, and so do DRA drivers. A node that does not say yet is taken for one.
static const char *other_system(const json_t *node)
{
    const char *label = doc_str(node, "metadata", "labels", "kubernetes.io/os", NULL);
    const char *system = doc_str(node, "status", "nodeInfo", "operatingSystem", NULL);

    if (!*system)
        system = label;
    if (!*system || strcasecmp(system, "linux") == 0)
        return NULL;
    return strcasecmp(system, "windows") == 0 ? "Windows" : "not Linux";
}

// Why there is no kubelet to look after; NULL: there is one.
static const char *why_ignored(const json_t *node)
{
    struct version version;

    if (doc_get(node, "metadata", "annotations", "kwok.x-k8s.io/node", NULL))
        return "fake";
    if (is_virtual(node))
        return "virtual kubelet";
    if (!version_parse(doc_str(node, "status", "nodeInfo", "kubeletVersion", NULL), &version))
        return "no kubelet version";
    return other_system(node);
}

// The kubelet's own word, or the controller manager's when the kubelet is silent (Unknown). Without
// the heartbeat, so that it changes when the state does.
static void keep_not_ready(json_t *kept, const json_t *node)
{
    const json_t *conditions = doc_get(node, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        if (str_eq(doc_str(condition, "type", NULL), "Ready") &&
            !str_eq(doc_str(condition, "status", NULL), "True"))
            doc_set(kept, doc_string(doc_str(condition, "lastTransitionTime", NULL)),
                    "notReadySince", NULL);
    }
}

json_t *platform_trim_node(const json_t *node)
{
    static const char *const label = KUBE_CONTROL_PLANE_LABEL;
    const json_t *role = doc_get(node, "metadata", "labels", label, NULL);
    const char *ignored = why_ignored(node);
    json_t *kept = json_object();

    platform_trim_keep(kept, node, "metadata", "name");
    platform_trim_keep(kept, node, "metadata", "resourceVersion");
    if (role)
        doc_set(kept, doc_copy(role), "metadata", "labels", label, NULL);
    if (ignored)
        doc_set(kept, doc_string(ignored), "ignored", NULL);
    doc_set(kept, doc_string(doc_str(node, "status", "nodeInfo", "kubeletVersion", NULL)),
            "kubeletVersion", NULL);
    if (!ignored)
        keep_not_ready(kept, node);
    return kept;
}

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

void platform_each_managed_node(const struct platform_cluster *cluster,
                                struct platform_observed *observed, platform_node_fn *each,
                                void *owner)
{
    struct managed_context context = {observed, each, owner};

    watch_each(cluster->nodes, on_node, &context);
}

int64_t platform_not_ready_ms(const struct platform_cluster *cluster, const char *name)
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
