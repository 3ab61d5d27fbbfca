// SPDX-License-Identifier: Apache-2.0
// What platforms ask of a cluster whose flags are in objects of another one.
#pragma once

#include "part.h"

#define PLATFORM_KUBELETS_MAX 16 // minors

struct platform_said {
    bool asked;     // a kubeconfig was given, and could be read
    json_t *gates;  // name → bool of its /metrics; NULL: not read
    char *unread;   // why not
    bool denied;    // it answers, and does not let us read them: there is nothing to wait for
    unsigned nodes; // with a kubelet that somebody could configure
    // of those, one of each minor: what they ask the API server for counts
    struct version kubelets[PLATFORM_KUBELETS_MAX];
    size_t kubelets_len;
};
void platform_said_fini(struct platform_said *said);
// A Node of that cluster: its kubelet counts where there is one to look after.
void platform_note_node(struct platform_said *said, const json_t *node);
void platform_forget_nodes(struct platform_said *said); // the list is not whole

// What it means that target->workload cannot be had: the error, owned, where spec.cluster names it
// and flags are to be written; else it is said with what was read back.
struct error *platform_check_reached(const struct platform_target *target,
                                     struct platform_said *said);
// What counts of the gates that it reads back for an edit. The end waits for none: a driver may
// have had it asked.
struct platform_look platform_look_at(const struct platform_target *target,
                                      const struct platform_said *said);
// An API server that does not answer is no error: it may be rolling out just now.
typedef void platform_said_fn(void *owner);
// Asks target->workload. Fills said, and version and served API of observed; both borrowed until
// done or the drop. NULL: nobody is asked, and done is not called.
struct op *platform_ask(struct loop *loop, const struct platform_target *target,
                        struct platform_observed *observed, struct platform_said *said,
                        platform_said_fn *done, void *owner);
// Instances of its kubelets that somebody else configures, one for each minor; name: "a kubelet of
// the hosted cluster".
void platform_add_kubelets(struct platform_observed *observed, const struct platform_said *said,
                           const char *name);
