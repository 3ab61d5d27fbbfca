// SPDX-License-Identifier: Apache-2.0
// Nodes that are kept for a vendor's devices by a taint, and the vendor's driver, which does not
// run there without a toleration: nobody says so, as a DaemonSet wants no pod on such a node.
#include <string.h>

#include "doctor_internal.h"

// "nvidia" of "nvidia.com/gpu". Owned; NULL: the key names no vendor.
static char *vendor_of(const char *key)
{
    struct slice rest = slice_of(key), domain, name;

    slice_cut(&rest, '/', &domain);
    if (rest.len == 0 || strstr(key, "kubernetes.io/"))
        return NULL;
    slice_cut(&domain, '.', &name);
    return domain.len > 0 && name.len > 0 ? slice_dup(name) : NULL;
}

static bool is_of(const json_t *set, const char *vendor)
{
    const json_t *containers = doc_get(set, "spec", "template", "spec", "containers", NULL);
    bool found = strstr(doc_str(set, "metadata", "name", NULL), vendor) != NULL;

    for (size_t i = 0; i < json_array_size(containers); i++)
        found = found || strstr(doc_str(json_array_get(containers, i), "image", NULL), vendor);
    return found;
}

// Kubernetes 1.36, component-helpers/scheduling/corev1, ToleratesTaint.
static bool is_tolerated(const json_t *tolerations, const json_t *taint)
{
    const char *key = doc_str(taint, "key", NULL);

    for (size_t i = 0; i < json_array_size(tolerations); i++) {
        const json_t *one = json_array_get(tolerations, i);
        const char *of = doc_str(one, "key", NULL), *effect = doc_str(one, "effect", NULL);
        bool exists = str_eq(doc_str(one, "operator", NULL), "Exists");

        if ((*effect && !str_eq(effect, doc_str(taint, "effect", NULL))) ||
            (*of ? !str_eq(of, key) : !exists))
            continue;
        if (exists || str_eq(doc_str(one, "value", NULL), doc_str(taint, "value", NULL)))
            return true;
    }
    return false;
}

static bool is_wanted(const json_t *set, const json_t *node)
{
    json_t *selector =
        (json_t *)(uintptr_t)doc_get(set, "spec", "template", "spec", "nodeSelector", NULL);
    const char *key;
    json_t *value;
    bool wanted = true;

    json_object_foreach(selector, key, value)
        wanted = wanted &&
                 str_eq(doc_str(node, "metadata", "labels", key, NULL), json_string_value(value));
    return wanted;
}

// The pool that the node is of, as who made it says; "": nobody does.
static const char *pool_of(const json_t *node)
{
    static const char *const labels[] = {
        "giantswarm.io/machine-pool", "giantswarm.io/machine-deployment",
        "cloud.google.com/gke-nodepool", "eks.amazonaws.com/nodegroup",
        "kubernetes.azure.com/agentpool"};
    const char *pool = "";

    for (size_t i = 0; !*pool && i < COUNT(labels); i++)
        pool = doc_str(node, "metadata", "labels", labels[i], NULL);
    return pool;
}

struct kept {
    size_t nodes;
    const json_t *node, *taint; // the first
};

static bool is_kept_away(const json_t *set, const json_t *node, const json_t **ret_taint)
{
    const json_t *taints = doc_get(node, "spec", "taints", NULL),
                 *tolerations = doc_get(set, "spec", "template", "spec", "tolerations", NULL);

    for (size_t i = 0; i < json_array_size(taints); i++) {
        const json_t *taint = json_array_get(taints, i);
        AUTO_MEM char *vendor = vendor_of(doc_str(taint, "key", NULL));

        *ret_taint = taint;
        if (vendor && is_of(set, vendor) && is_wanted(set, node) &&
            !str_eq(doc_str(taint, "effect", NULL), "PreferNoSchedule") &&
            !is_tolerated(tolerations, taint))
            return true;
    }
    return false;
}

static void tell(struct examination *e, const json_t *set, const struct kept *kept)
{
    const char *namespace = doc_str(set, "metadata", "namespace", NULL),
               *name = doc_str(set, "metadata", "name", NULL), *pool = pool_of(kept->node),
               *key = doc_str(kept->taint, "key", NULL),
               *value = doc_str(kept->taint, "value", NULL),
               *effect = doc_str(kept->taint, "effect", NULL);
    AUTO_MEM char *check = str_format("driver %s/%s", namespace, name);
    AUTO_MEM char *more = kept->nodes > 1 ? str_format(" and %zu more", kept->nodes - 1) : NULL;
    AUTO_MEM char *fix =
        str_format("add to the driver's values, where the chart has its tolerations: "
                   "kubeletPlugin.tolerations: [{key: %s, operator: Exists, effect: %s}]",
                   key, effect);

    doctor_find(e, check, DOCTOR_WARN, fix,
                "it does not run on node %s%s%s%s%s, which has the taint %s%s%s:%s: no device of "
                "it is published",
                doc_str(kept->node, "metadata", "name", NULL), more ? more : "",
                *pool ? " (pool " : "", pool, *pool ? ")" : "", key, *value ? "=" : "", value,
                effect);
}

void doctor_check_taints(struct examination *e)
{
    const json_t *sets = doctor_list(e, "daemonsets"), *nodes = doctor_list(e, "nodes");

    for (size_t i = 0; i < json_array_size(sets); i++) {
        const json_t *set = json_array_get(sets, i), *taint;
        struct kept kept = {0};

        if (doctor_role(set) != DOCTOR_PLUGIN)
            continue;
        for (size_t k = 0; k < json_array_size(nodes); k++) {
            const json_t *node = json_array_get(nodes, k);

            if (!is_kept_away(set, node, &taint))
                continue;
            if (kept.nodes++ == 0)
                kept = (struct kept){1, node, taint};
        }
        if (kept.nodes > 0)
            tell(e, set, &kept);
    }
}
