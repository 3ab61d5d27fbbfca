// SPDX-License-Identifier: Apache-2.0
// cluster: one Kubernetes cluster as passes see it: a client, what is followed of it, and what its
// API server says of itself.
//
// Purpose   clients of other clusters by the kubeconfigs of Secrets; version, discovery and gates
//           of an API server, asked for or kept; what watches keep of Nodes and pods
// May use   watch kube gates http loop doc base
// Never     our own kinds; writes
// Limits    CLUSTER_TARGETS_MAX others, CLUSTER_BYTES_MAX of memory for asking each
// Blocking  no
#pragma once

#include "drawbridge/gates.h"
#include "drawbridge/kube.h"
#include "drawbridge/watch.h"

// A cluster we act on: one client and its watches, shared by all passes.
struct cluster {
    struct kube *kube;
    struct watch *nodes; // Node, trimmed by cluster_trim_node()
    // static control-plane pods of kube-system, trimmed by cluster_trim_pod()
    struct watch *pods;
    struct watch *node_configs;  // NodeDRAConfiguration, trimmed by cluster_trim_node_config()
    struct cluster_facts *facts; // NULL: none are kept
    // Of a target cluster what it is reached by, whatever it says of itself: "Secret
    // NAMESPACE/NAME, key KEY". It stays when the kubeconfig changes. NULL: the one that Drawbridge
    // runs in.
    const char *by;
    uint64_t edition_seen; // of its facts, by passes
    unsigned failures;     // in a row, see cluster_again_ms()
    bool held;             // one of cluster_targets, else whoever made it frees what is in it
    // Its flags are in objects of another cluster, and nothing of it is followed: passes ask it.
    bool bare;
};
// Whether what is followed of it is all there, and goes on being followed; why (may be NULL) gets a
// line for each that is not.
bool cluster_synced(const struct cluster *cluster, struct buf *why);
// A pass looks at all nodes. Where they are thousands, what is heard of one waits for so long, and
// the pass is about what was heard of all: it takes a part of the time, however many speak.
uint64_t cluster_hold_ms(const struct cluster *cluster);
// For who keeps a target cluster over more than one turn: it stays as it is, also when its
// kubeconfig changes, until it is given back. Others are let be.
struct cluster *cluster_ref(struct cluster *cluster);
void cluster_unref(struct cluster *cluster);
// Whether it is still what its kubeconfig leads to. A target whose Secret has another one now, or
// is gone, is there for those who keep it alone.
bool cluster_is_current(const struct cluster *cluster);
// Whether it is known which cluster it is, and which one Drawbridge runs in. Nothing is done to one
// before: the error says who has not told it.
struct error *cluster_check_known(const struct cluster *cluster);
// The UID of a target cluster's namespace kube-system, which stands for it; "" of the others.
const char *cluster_uid(const struct cluster *cluster);
// The greatest epoch that an agent of a target cluster has told of; 0 of the others.
uint64_t cluster_epoch(const struct cluster *cluster);

// --- what an API server says of itself -----------------------------------------------------------

struct cluster_said {
    struct version server, emulated; // major 0: it names none
    json_t *served;                  // versions of resource.k8s.io in discovery; [] without it
    json_t *gates;                   // name → bool of its /metrics; NULL: not asked for, not read
    // {"featureGates": .., "runtimeConfig": ..} of its /flagz: what it was given. NULL: not asked
    // for, not served, not ours to read
    json_t *flags;
    bool flags_failed;    // they were asked for, and next time may do better
    struct error *unread; // why the gates were not read
    uint64_t edition;     // of cluster_facts; 0: facts of its own
};
void cluster_said_fini(struct cluster_said *said);
// take_err: version or discovery could not be had. Else take_said is yours (cluster_said_fini()).
typedef void cluster_said_fn(void *owner, struct error *take_err, struct cluster_said *take_said);

// Version and discovery, and gates where they are asked for. facts (may be NULL) of the cluster
// that the watch of this term follows: kept ones are given where they are fit to use, what is read
// is kept.
struct cluster_question {
    bool gates;
    bool flags; // beside the gates
    struct cluster_facts *facts;
    uint64_t term; // watch_term() of a watch of that API server
};
MUST_USE struct op *cluster_ask(struct loop *loop, struct kube *kube,
                                const struct cluster_question *question, cluster_said_fn *done,
                                void *owner);
// Gates and flags alone, into what was said; borrowed until done.
MUST_USE struct op *cluster_ask_gates(struct kube *kube, struct cluster_said *said, loop_fn *done,
                                      void *owner);

// Kept for passes that only look: they write nothing, so what is CLUSTER_FACTS_MS old will do,
// unless the watch of nodes broke off meanwhile. A process keeps its gates for life, and /metrics
// is large: while version and discovery say the same it is read again after CLUSTER_GATES_MS, for
// other servers behind the same address. Flags that merely failed are asked for with the rest. Who
// writes asks anew each time.
#define CLUSTER_FACTS_MS 20000
#define CLUSTER_GATES_MS 600000
struct cluster_facts;
struct cluster_facts *cluster_facts_new(void);
void cluster_facts_free(struct cluster_facts *facts);

// --- other clusters ------------------------------------------------------------------------------

// One that does not answer is asked again after CLUSTER_AGAIN_MS, and twice as late each time, up
// to CLUSTER_AGAIN_MS_MAX.
#define CLUSTER_AGAIN_MS 2000
#define CLUSTER_AGAIN_MS_MAX 60000
// All questions of a pass to another cluster together have this long.
#define CLUSTER_ASK_MS 15000
// What asking one of those that are bare may keep in memory, whatever its server answers, and how
// many may be asked at once. A Node may have CLUSTER_ITEM_BYTES_MAX; its annotations may have half
// of that.
#define CLUSTER_BYTES_MAX ((size_t)3 << 20)
#define CLUSTER_ASKED_MAX 64
#define CLUSTER_ITEM_BYTES_MAX ((size_t)512 << 10)
// What reading its lists and events may take of our one thread, however much it sends: the list of
// some thousands of nodes at once, and so many percent of the time that follows.
#define CLUSTER_BURST_MS 5000
#define CLUSTER_PERCENT 10
// Whether one more may be asked; then cluster_end_asking() when that is over. Whoever made a
// cluster himself may ask it.
bool cluster_begin_asking(struct cluster *cluster);
void cluster_end_asking(struct cluster *cluster);
// Whether it answered. Returns when to ask it again, if somebody still wants to know.
uint64_t cluster_again_ms(struct cluster *cluster, bool answered);

// --- target clusters, with all that is followed of them ------------------------------------------

// Further ones are not followed, and said to be too many, until one is named no more. Each takes
// some five connections.
#define CLUSTER_TARGETS_MAX 500
extern unsigned cluster_targets_max; // the same; tests change it
// What happens there calls for a pass, and for another one so much later.
#define CLUSTER_WAKE_MS 200

struct cluster_targets;
struct cluster_targets_spec {
    struct loop *loop;
    struct kube *home; // reads the Secrets
    // something changed that passes of this key look at; the next one may wait for hold_ms
    void (*on_change)(void *owner, const char *key, uint64_t hold_ms);
    // cluster_targets_names() of this key has another answer than before
    void (*on_name)(void *owner, const char *key);
    // Which cluster Drawbridge runs in is asked from the start, and known from now on; NULL: it is
    // asked when there is a target.
    void (*on_home)(void *owner);
    // Guards the clients; NULL: nothing does. cluster_uid() may not be known yet.
    bool (*may_write)(void *owner, const struct cluster *cluster);
    void *owner;
};
struct cluster_targets *cluster_targets_new(const struct cluster_targets_spec *spec);
// all references must have been given back, and all requests be gone
void cluster_targets_free(struct cluster_targets *targets);
// Between two questions which cluster it is, of one that has not said; tests change it.
extern uint64_t cluster_identity_again_ms;
// How a Secret's text is read: kube_config_parse_untrusted(); tests, whose servers speak no TLS,
// change it.
extern struct error *(*cluster_parse_kubeconfig)(struct slice text,
                                                 struct kube_config **ret_config);
// The Secret with a kubeconfig that leads to a cluster. The strings are its owner's.
struct cluster_way {
    char *namespace, *name, *key;
    const char *field; // static: where it comes from, for errors
    bool bare;         // see struct cluster
};
void cluster_way_fini(struct cluster_way *way);
#define AUTO_CLUSTER_WAY CLEANUP(cluster_way_fini)
// The DRAConfiguration of this key is about the cluster at the end of this way (NULL: about none
// any more), which is copied. It is followed from now on.
void cluster_targets_note(struct cluster_targets *targets, const char *key,
                          const struct cluster_way *way);
// Adds to names those of the cluster that this key's kubeconfig leads to, the same for each
// kubeconfig that leads there, and of the one of this UID (what was written; "": nothing) that its
// Secret was seen to lead to. A server that claims a UID that is another's has a name of its own.
// The one that Drawbridge runs in is CLUSTER_HOME.
#define CLUSTER_HOME "cluster"
void cluster_targets_names(const struct cluster_targets *targets, const char *key, const char *uid,
                           struct strlist *names);
// on_change of each key whose cluster is reached by this (struct cluster's by).
void cluster_targets_wake(struct cluster_targets *targets, const char *by);
// Whether its cluster is only just being read, and nothing has failed yet: on_change comes, or this
// ends within CLUSTER_ASK_MS. Of one that is bare its Secret alone.
bool cluster_targets_begin(const struct cluster_targets *targets, const char *key);
// The UID of the cluster that Drawbridge runs in; "": not known yet, or nobody needed it.
const char *cluster_targets_home(const struct cluster_targets *targets);
// The cluster that it names, yours to give back. The error says what is missing: the Secret, a
// kubeconfig, an API server that answers and says who it is.
struct error *cluster_targets_get(struct cluster_targets *targets, const char *key,
                                  struct cluster **ret_cluster);
// The same of one that is only to be asked: it may not be known (cluster_check_known()) or answer.
struct error *cluster_targets_open(struct cluster_targets *targets, const char *key,
                                   struct cluster **ret_cluster);

// --- what watches keep ---------------------------------------------------------------------------

// How a pass follows what it looks at. kube, on_change, on_sync and owner are the caller's to set.
enum cluster_kind { CLUSTER_NODES, CLUSTER_PODS, CLUSTER_NODE_CONFIGS };
struct watch_spec cluster_watch_spec(enum cluster_kind kind);
// "ignored": why there is no kubelet to look after ("virtual kubelet", "Windows", ...), absent
// where there is one; kubeletVersion; notReadySince, absent where it is ready. The same at each
// heartbeat, as no version is kept.
json_t *cluster_trim_node(const json_t *node);
json_t *cluster_trim_pod(const json_t *pod);
json_t *cluster_trim_node_config(const json_t *config);
// For trims: from's value at a.b, where it has one.
void cluster_trim_keep(json_t *to, const json_t *from, const char *a, const char *b);
