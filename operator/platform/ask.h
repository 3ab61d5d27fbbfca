// SPDX-License-Identifier: Apache-2.0
// What platforms ask of a cluster whose flags are in objects of another one.
#pragma once

#include "platform_internal.h"

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

// The kubeconfig that leads there. Borrowed until done or the drop.
struct platform_way {
    const char *namespace;
    const json_t *ref; // {name, key} of a Secret; NULL: there is none
    const char *field; // where that comes from, for errors
};
// The error, owned: the Secret or its kubeconfig cannot be read. An API server that does not answer
// is none: it may be rolling out just now.
typedef void platform_said_fn(void *owner, struct error *take_err);
// Fills said, and version and served API of observed; both borrowed until done or the drop. NULL:
// there is no way, or all is to be undone, and done is not called.
struct op *platform_ask(struct loop *loop, const struct cluster *cluster,
                        const struct platform_target *target, const struct platform_way *way,
                        struct platform_observed *observed, struct platform_said *said,
                        platform_said_fn *done, void *owner);
// Instances of its kubelets that somebody else configures, one for each minor; name: "a kubelet of
// the hosted cluster".
void platform_add_kubelets(struct platform_observed *observed, const struct platform_said *said,
                           const char *name);
