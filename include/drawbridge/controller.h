// SPDX-License-Identifier: Apache-2.0
// controller: the only room that knows the whole story.
//
// Purpose   passes of DRAConfigurations: plan → writes → conditions; whose they are; tells adopt
//           and source what its watch says
// May use   all rooms below but node and agent
// Never     decides flags (gates), order (plan) or how to write (platform)
// Limits    one pass a DRAConfiguration at a time
// Blocking  no
#pragma once

#include "drawbridge/kube.h"
#include "drawbridge/gates.h"
#include "drawbridge/serve.h"

struct controller;
// What the process itself is given beside its children: the chart's pod has room for all of them.
#define CONTROLLER_MEMORY_BYTES ((size_t)256 << 20)

struct controller_spec {
    struct kube *kube; // the cluster that Drawbridge runs in
    const struct gates_table *table;
    struct metrics *metrics;     // NULL: none
    const char *lease_namespace; // of the Lease "drawbridge"
    // What the administrator lists; NULL: nothing. Namespaces whose DRAConfigurations may configure
    // the cluster that Drawbridge runs in, beside lease_namespace, whose always may; and
    // "FROM=TO": DRAConfigurations of namespace FROM may configure hosted control planes (reach),
    // or have a driver looked at (look), in namespace TO, beside their own.
    const struct strlist *governing_namespaces, *reach, *look;
    const char *identity;    // of this process
    bool leader_elect;       // false: always leads, with epoch 0
    unsigned shards;         // over which target clusters are spread; 0: the leader has all
    uint64_t backoff_ms_max; // between passes that fail in a row; 0: 30 s
    // For spec.driver: the program helm, a directory for it, the kubeconfig and context that it
    // gets (NULL: the pod's account), how long one run may take, and the image of the smoke test's
    // pod (NULL: the built-in one) and the namespace that it runs in.
    const char *helm, *helm_dir, *helm_kubeconfig, *helm_context;
    const char *helm_account, *chart_root; // driver_spec's
    uint64_t helm_timeout_ms;
    const char *smoke_test_image, *smoke_test_namespace;
    uint64_t smoke_test_timeout_ms;
    const char *git_file_root; // file:// repositories only below it; NULL: none
    size_t git_pack_bytes_max; // 0: the room git's
    // the lease is lost: passes were dropped, it stands for election again; may be NULL
    void (*on_lost)(void *owner);
    void *owner;
};
// Strings are borrowed for the life of the controller. Watches begin at once, work begins when it
// leads and they are in.
struct controller *controller_new(struct loop *loop, const struct controller_spec *spec);
// Whether the caches are synced (a serve_check_fn).
bool controller_ready(void *controller, struct buf *why);
// Ends passes and watches, gives the lease back, then done. controller_free() afterwards.
MUST_USE struct op *controller_stop(struct controller *controller, loop_fn *done, void *owner);
void controller_free(struct controller *controller);
AUTO_DECLARE(controller, struct controller)
