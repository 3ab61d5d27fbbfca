// SPDX-License-Identifier: Apache-2.0
// What watches keep of Nodes and pods.
#include <string.h>
#include <strings.h>

#include "drawbridge/api.h"

#include "cluster_internal.h"

// A pass takes some 20 microseconds of each (docs/performance.md): it is at work for a quarter of
// the time then.
#define NODES_A_MS 16

void cluster_trim_keep(json_t *to, const json_t *from, const char *a, const char *b)
{
    const json_t *value = doc_get(from, a, b, NULL);

    if (value)
        doc_set(to, doc_copy(value), a, b, NULL);
}

// --- nodes, and which of them have no kubelet to look after --------------------------------------

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

// Why there is no kubelet to look after; NULL: there is one. The version is the node's own word:
// one that no Kubernetes has is nothing to decide by, and must not hold the other nodes.
static const char *why_ignored(const json_t *node)
{
    struct version version;

    if (doc_get(node, "metadata", "annotations", "kwok.x-k8s.io/node", NULL))
        return "fake";
    if (is_virtual(node))
        return "virtual kubelet";
    if (!version_parse(doc_str(node, "status", "nodeInfo", "kubeletVersion", NULL), &version) ||
        version.major != 1)
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

json_t *cluster_trim_node(const json_t *node)
{
    static const char *const label = KUBE_CONTROL_PLANE_LABEL;
    const json_t *role = doc_get(node, "metadata", "labels", label, NULL);
    const char *ignored = why_ignored(node);
    json_t *kept = json_object();

    cluster_trim_keep(kept, node, "metadata", "name");
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

// --- static pods of a control plane --------------------------------------------------------------

json_t *cluster_trim_pod(const json_t *pod)
{
    json_t *kept = json_object();
    const json_t *containers = doc_get(pod, "spec", "containers", NULL);
    json_t *list = json_array();

    cluster_trim_keep(kept, pod, "metadata", "name");
    cluster_trim_keep(kept, pod, "metadata", "namespace");
    cluster_trim_keep(kept, pod, "spec", "nodeName");
    doc_set(kept, doc_string(doc_str(pod, "metadata", "labels", "component", NULL)), "component",
            NULL);
    if (doc_get(pod, "metadata", "annotations", "kubernetes.io/config.mirror", NULL))
        doc_set(kept, json_true(), "mirror", NULL);
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *container = json_array_get(containers, i);
        json_t *small = json_object();
        static const char *const fields[] = {"name", "image", "command", "args"};

        for (size_t k = 0; k < COUNT(fields); k++) {
            if (json_object_get(container, fields[k]))
                json_object_set_new(small, fields[k],
                                    doc_copy(json_object_get(container, fields[k])));
        }
        json_array_append_new(list, small);
    }
    json_object_set_new(kept, "containers", list);
    return kept;
}

// --- what agents are asked for and say -----------------------------------------------------------

json_t *cluster_trim_node_config(const json_t *config)
{
    static const char *const fields[] = {"metadata", "spec", "status"};
    json_t *kept = json_object();

    for (size_t i = 0; i < COUNT(fields); i++) {
        const json_t *value = json_object_get(config, fields[i]);

        if (value)
            json_object_set_new(kept, fields[i], doc_copy(value));
    }
    json_object_del(json_object_get(kept, "metadata"), "managedFields");
    return kept;
}

// --- following them ------------------------------------------------------------------------------

struct watch_spec cluster_watch_spec(enum cluster_kind kind)
{
    static const struct watch_spec specs[] = {
        [CLUSTER_NODES] = {.ref = {.group = "", .version = "v1", .resource = "nodes"},
                           .trim = cluster_trim_node,
                           .trees = true},
        [CLUSTER_PODS] =
            {.ref = {.group = "", .version = "v1", .resource = "pods", .namespace = "kube-system"},
             .label_selector = "tier=control-plane",
             .trim = cluster_trim_pod,
             .trees = true},
        [CLUSTER_NODE_CONFIGS] = {.ref = {.group = API_GROUP,
                                          .version = API_VERSION,
                                          .resource = "nodedraconfigurations"},
                                  .trim = cluster_trim_node_config,
                                  .trees = true},
    };

    return specs[kind];
}

// --- looking at them -----------------------------------------------------------------------------

uint64_t cluster_hold_ms(const struct cluster *cluster)
{
    return watch_count(cluster->nodes) / NODES_A_MS;
}

bool cluster_synced(const struct cluster *cluster, struct buf *why)
{
    const struct {
        const char *name;
        const struct watch *watch;
    } all[] = {{"nodes", cluster->nodes},
               {"pods", cluster->pods},
               {"nodedraconfigurations", cluster->node_configs}};
    bool synced = true;

    for (size_t i = 0; !cluster->bare && i < COUNT(all); i++) {
        const struct error *err = watch_error(all[i].watch);
        const char *failed = watch_failed(all[i].watch);

        if (watch_synced(all[i].watch) && !failed)
            continue;
        synced = false;
        if (why && watch_synced(all[i].watch))
            buf_printf(why, "%s: not followed for a minute: %s\n", all[i].name, failed);
        else if (why)
            buf_printf(why, "%s: %s\n", all[i].name, err ? error_text(err) : "not synced yet");
    }
    return synced;
}
