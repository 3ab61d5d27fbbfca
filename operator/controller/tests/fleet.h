// SPDX-License-Identifier: Apache-2.0
// What the tests of one cluster's nodes share: nodes and pods as a kubeadm cluster has them, and
// agents that do what they are asked.
#pragma once

#include "testkit/fake_api.h"

#define NODE_CONFIGS "/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/"
#define KUBEADM "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
#define LONG_AGO "2001-01-01T00:00:00Z"

FAKE const json_t *fleet_object(const struct fake_api *api, const char *node)
{
    AUTO_MEM char *path = str_format(NODE_CONFIGS "%s", node);

    return fake_get(api, path);
}

// What the node is asked for of this component; NULL: nothing.
FAKE const json_t *fleet_asked(const struct fake_api *api, const char *node, const char *component)
{
    const json_t *entries = doc_get(fleet_object(api, node), "spec", "components", NULL);

    for (size_t i = 0; i < json_array_size(entries); i++) {
        if (str_eq(doc_str(json_array_get(entries, i), "name", NULL), component))
            return json_array_get(entries, i);
    }
    return NULL;
}

FAKE json_t *fleet_report(const struct fake_api *api, const char *node, const char *component)
{
    const json_t *entry = fleet_asked(api, node, component);
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

// reports: of its components, as a list.
FAKE void fleet_say(struct fake_api *api, const char *node, int64_t epoch, json_t *take_reports)
{
    AUTO_MEM char *path = str_format(NODE_CONFIGS "%s", node);

    fake_edit(api, path,
              json_pack("{s:{s:i, s:I, s:o}}", "status", "observedGeneration", 1, "epoch",
                        (json_int_t)epoch, "components", take_reports));
}

// not_ready_since NULL: it is ready.
FAKE void fleet_add_node(struct fake_api *api, const char *name, const char *not_ready_since)
{
    AUTO_MEM char *path = str_format("/api/v1/nodes/%s", name);

    fake_seed(
        api, path,
        json_pack("{s:{s:{s:s}}, s:{s:{s:s, s:s}, s:[{s:s, s:s, s:s}]}}", "metadata", "labels",
                  str_starts(name, "cp-") ? "node-role.kubernetes.io/control-plane" : "any", "",
                  "status", "nodeInfo", "kubeletVersion", "v1.33.13", "operatingSystem", "linux",
                  "conditions", "type", "Ready", "status", not_ready_since ? "Unknown" : "True",
                  "lastTransitionTime", not_ready_since ? not_ready_since : LONG_AGO));
}

// Node cp-1 with its control plane, and the ConfigMap that kubeadm writes.
FAKE void fleet_add_cluster(struct fake_api *api)
{
    static const char *const pods[] = {"kube-apiserver", "kube-controller-manager",
                                       "kube-scheduler"};

    fleet_add_node(api, "cp-1", NULL);
    for (size_t i = 0; i < COUNT(pods); i++) {
        AUTO_MEM char *path = str_format("/api/v1/namespaces/kube-system/pods/%s-cp-1", pods[i]);
        AUTO_MEM char *image = str_format("images.example/%s:v1.33.13", pods[i]);

        fake_seed(api, path,
                  json_pack("{s:{s:{s:s, s:s}, s:{s:s}}, s:{s:s, s:[{s:s, s:s, s:[s]}]}}",
                            "metadata", "labels", "component", pods[i], "tier", "control-plane",
                            "annotations", "kubernetes.io/config.mirror", "0123", "spec",
                            "nodeName", "cp-1", "containers", "name", pods[i], "image", image,
                            "command", pods[i]));
    }
    fake_seed(api, KUBEADM,
              json_pack("{s:{}, s:{s:s}}", "metadata", "data", "ClusterConfiguration",
                        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
                        "kubernetesVersion: v1.33.13\n"));
}
