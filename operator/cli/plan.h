// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "client.h"
#include "drawbridge/platform.h"

// What `drawbridge plan` worked out.
struct plan_view {
    struct platform_observed *observed;
    const struct gates_desired *desired;
    struct plan plan;
    const char *manifests_dir; // NULL: the files of this node are not read, the flags of the mirror
                               // pods are shown
    const char *kubelet_config; // NULL: the same
    const char *node;           // whose files those are; NULL: any
    const struct cluster *cluster;
};
// The diff of everything that would change, in the order in which it would; "" when nothing does.
struct error *plan_view_diff(const struct plan_view *view, char **ret_text);
// What of all that is set keeps a component of a later minor from starting.
struct plan_prepare {
    const struct gates_table *table;
    const struct platform_observed *observed;
    struct version target;
    const struct strlist *unseen; // what could not be looked at, a sentence each
    const char *manifests_dir, *kubelet_config, *node; // as in plan_view
};
// For people. True: something does, or not everything could be looked at.
bool plan_prepare_print(const struct plan_prepare *prepare, FILE *out);
// Command and args of the component's container in its mirror pod; NULL: none. Owned.
json_t *plan_pod_argv(const struct cluster *cluster, const struct plan_instance *instance);
