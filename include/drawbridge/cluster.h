// SPDX-License-Identifier: Apache-2.0
// cluster: one Kubernetes cluster as passes see it: a client, what is followed of it, and what its
// API server says of itself.
//
// Purpose   clients of other clusters by the kubeconfigs of Secrets; version, discovery and gates
//           of an API server, asked for or kept; what watches keep of Nodes and pods
// May use   watch kube gates http loop doc base
// Never     our own kinds; writes
// Limits    CLUSTERS_MAX others, CLUSTER_BYTES_MAX of memory for asking each
// Blocking  no
#pragma once

#include "drawbridge/gates.h"
#include "drawbridge/kube.h"
#include "drawbridge/watch.h"

// A cluster we act on: one client and its watches, shared by all passes. Today the one Drawbridge
// runs in.
struct cluster {
    struct kube *kube;
    struct watch *nodes; // Node, trimmed by cluster_trim_node()
    // static control-plane pods of kube-system, trimmed by cluster_trim_pod()
    struct watch *pods;
    struct watch *node_configs;  // NodeDRAConfiguration
    struct cluster_facts *facts; // NULL: none are kept
    struct clusters *others;     // those that spec.cluster names; NULL: none can be asked
};

// --- what an API server says of itself -----------------------------------------------------------

struct cluster_said {
    struct version server, emulated; // major 0: it names none
    json_t *served;                  // versions of resource.k8s.io in discovery; [] without it
    json_t *gates;                   // name → bool of its /metrics; NULL: not asked for, not read
    struct error *unread;            // why the gates were not read
    uint64_t edition;                // of cluster_facts; 0: facts of its own
};
void cluster_said_fini(struct cluster_said *said);
// take_err: version or discovery could not be had. Else take_said is yours (cluster_said_fini()).
typedef void cluster_said_fn(void *owner, struct error *take_err, struct cluster_said *take_said);

// Version and discovery, and gates where they are asked for. facts (may be NULL) of the cluster
// that the watch of this term follows: kept ones are given where they are fit to use, what is read
// is kept.
struct cluster_question {
    bool gates;
    struct cluster_facts *facts;
    uint64_t term; // watch_term() of a watch of that API server
};
MUST_USE struct op *cluster_ask(struct loop *loop, struct kube *kube,
                                const struct cluster_question *question, cluster_said_fn *done,
                                void *owner);
// The gates alone, into what was said; borrowed until done.
MUST_USE struct op *cluster_ask_gates(struct kube *kube, struct cluster_said *said, loop_fn *done,
                                      void *owner);

// Kept for passes that only look: they write nothing, so what is CLUSTER_FACTS_MS old will do,
// unless the watch of nodes broke off meanwhile. A process keeps its gates for life, and /metrics
// is large: while version and discovery say the same it is read again after CLUSTER_GATES_MS, for
// other servers behind the same address. Who writes asks anew each time.
#define CLUSTER_FACTS_MS 20000
#define CLUSTER_GATES_MS 600000
struct cluster_facts;
struct cluster_facts *cluster_facts_new(void);
void cluster_facts_free(struct cluster_facts *facts);

// --- other clusters ------------------------------------------------------------------------------

// One client with connections of its own for each, made anew when its kubeconfig changes. When
// there are CLUSTERS_MAX the least used of those that are not being asked goes.
#define CLUSTERS_MAX 64
// One that does not answer is asked again after CLUSTER_AGAIN_MS, and twice as late each time, up
// to CLUSTER_AGAIN_MS_MAX.
#define CLUSTER_AGAIN_MS 2000
#define CLUSTER_AGAIN_MS_MAX 60000
// All questions of a pass to another cluster together have this long.
#define CLUSTER_ASK_MS 15000
// What asking one of them may keep in memory, whatever its server answers: all of them may be asked
// at once. A Node may have CLUSTER_ITEM_BYTES_MAX; its annotations may have half of that.
#define CLUSTER_BYTES_MAX ((size_t)3 << 20)
#define CLUSTER_ITEM_BYTES_MAX ((size_t)512 << 10)
struct clusters;
struct clusters *clusters_new(struct loop *loop);
// all requests of its clients must be gone
void clusters_free(struct clusters *clusters);
// The client that spec.cluster.kubeconfigSecretRef (ref) of a DRAConfiguration in namespace leads
// to, from the Secret that it names. ret_kube is borrowed while a request of it is under way;
// without one until the next is asked for. ret_key is yours, for clusters_note(). The error says
// which Secret and key.
struct error *clusters_open(struct clusters *clusters, const char *namespace, const json_t *ref,
                            const json_t *secret, struct kube **ret_kube, char **ret_key);
// Whether the cluster of this key answered. Returns when to ask it again, if somebody still wants
// to know.
uint64_t clusters_note(struct clusters *clusters, const char *key, bool answered);

// --- what watches keep ---------------------------------------------------------------------------

#define CLUSTER_POD_SELECTOR "tier=control-plane"
// "ignored": why there is no kubelet to look after ("virtual kubelet", "Windows", ...), absent
// where there is one; kubeletVersion; notReadySince, absent where it is ready.
json_t *cluster_trim_node(const json_t *node);
json_t *cluster_trim_pod(const json_t *pod);
// For trims: from's value at a.b, where it has one.
void cluster_trim_keep(json_t *to, const json_t *from, const char *a, const char *b);
