// SPDX-License-Identifier: Apache-2.0
// A target cluster of one node, with an agent that does what it is asked. Included behind struct
// story, which has far, agents and epoch (what the agent says to have seen).
#pragma once

#include "far.h"

#define KUBEADM "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
#define NODE_CONFIGS "/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/"
#define LONG_AGO "2001-01-01T00:00:00Z"

FAKE const json_t *asked(const struct fake_api *api, const char *component)
{
    const json_t *entries = doc_get(fake_get(api, NODE_CONFIGS "cp-1"), "spec", "components", NULL);

    for (size_t i = 0; i < json_array_size(entries); i++) {
        if (str_eq(doc_str(json_array_get(entries, i), "name", NULL), component))
            return json_array_get(entries, i);
    }
    return NULL;
}

FAKE json_t *report(const struct story *s, const char *component)
{
    const json_t *entry = asked(s->far, component);
    json_t *gates = doc_copy(json_object_get(entry, "featureGates"));
    json_t *runtime = doc_copy(json_object_get(entry, "runtimeConfig"));

    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:o, s:o, s:{s:o*, s:o*}, s:{s:b}}", "name",
                     component, "state", entry ? "UpToDate" : "Observed", "revision",
                     doc_str(entry, "revision", NULL), "version", "v1.33.13", "healthy", 1,
                     "updatedAt", LONG_AGO, "featureGates",
                     gates ? json_deep_copy(gates) : json_object(), "runtimeConfig",
                     runtime ? json_deep_copy(runtime) : json_object(), "owned", "featureGates",
                     gates, "runtimeConfig", runtime, "enabled", "DynamicResourceAllocation",
                     json_object_size(gates) > 0);
}

FAKE void on_agents(void *owner)
{
    static const char *const all[] = {"kube-apiserver", "kube-controller-manager", "kube-scheduler",
                                      "kubelet"};
    struct story *s = owner;
    json_t *reports = json_array();

    s->agents = NULL;
    for (size_t i = 0; i < COUNT(all); i++)
        json_array_append_new(reports, report(s, all[i]));
    if (fake_get(s->far, NODE_CONFIGS "cp-1"))
        fake_edit(s->far, NODE_CONFIGS "cp-1",
                  json_pack("{s:{s:i, s:I, s:o}}", "status", "observedGeneration", 1, "epoch",
                            (json_int_t)s->epoch, "components", reports));
    else
        json_decref(reports);
}

FAKE void add_pod(struct story *s, const char *component)
{
    AUTO_MEM char *path = str_format("/api/v1/namespaces/kube-system/pods/%s-cp-1", component);
    AUTO_MEM char *image = str_format("images.example/%s:v1.33.13", component);

    fake_seed(s->far, path,
              json_pack("{s:{s:{s:s, s:s}, s:{s:s}}, s:{s:s, s:[{s:s, s:s, s:[s]}]}}", "metadata",
                        "labels", "component", component, "tier", "control-plane", "annotations",
                        "kubernetes.io/config.mirror", "0123", "spec", "nodeName", "cp-1",
                        "containers", "name", component, "image", image, "command", component));
}

FAKE void target_fill(struct story *s)
{
    fake_seed(s->far, "/api/v1/nodes/cp-1",
              json_pack("{s:{s:{s:s}}, s:{s:{s:s, s:s}, s:[{s:s, s:s, s:s}]}}", "metadata",
                        "labels", "node-role.kubernetes.io/control-plane", "", "status", "nodeInfo",
                        "kubeletVersion", "v1.33.13", "operatingSystem", "linux", "conditions",
                        "type", "Ready", "status", "True", "lastTransitionTime", LONG_AGO));
    add_pod(s, "kube-apiserver");
    add_pod(s, "kube-controller-manager");
    add_pod(s, "kube-scheduler");
    fake_seed(s->far, KUBEADM,
              json_pack("{s:{}, s:{s:s}}", "metadata", "data", "ClusterConfiguration",
                        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
                        "kubernetesVersion: v1.33.13\n"));
}
