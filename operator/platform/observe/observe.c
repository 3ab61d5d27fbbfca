// SPDX-License-Identifier: Apache-2.0
// Observe: somebody else owns the flags. One instance stands for each control-plane component, and
// one for each kubelet version.
#include "platform_internal.h"

static void on_managed_node(void *owner, const json_t *node, struct version version)
{
    struct platform_observed *observed = owner;
    struct plan_instance *instance;

    (void)node;
    for (size_t i = 0; i < observed->len; i++) {
        if (observed->instances[i].component == COMPONENT_KUBELET &&
            version_compare_minor(observed->instances[i].version, version) == 0)
            return;
    }
    instance = platform_add_instance(observed, COMPONENT_KUBELET, NULL, NULL);
    instance->version = version;
}

static struct error *collect(const struct cluster *cluster, struct platform_observed *observed)
{
    if (observed->server.major == 0)
        return error_new(ERROR_INVALID, "/version of the API server names no Kubernetes version");
    for (int component = 0; component < COMPONENT_KUBELET; component++) {
        struct plan_instance *instance =
            platform_add_instance(observed, (enum component)component, NULL, NULL);

        instance->control_plane = true;
        instance->version = observed->server;
        instance->emulated = observed->server_emulated;
    }
    platform_each_managed_node(cluster, observed, on_managed_node, observed);
    return NULL;
}

const struct platform *platform_observe_only(void)
{
    static const struct platform platform = {.type = PLATFORM_OBSERVE, .collect = collect};

    return &platform;
}
