// SPDX-License-Identifier: Apache-2.0
// plan: from what is desired and what is reported to an ordered list of steps, and which of them
// may be taken now: the pure middle of a pass and of `drawbridge plan`.
//
// Purpose   which intent is in force; order, barriers, pace, and when to stop
// In → Out  configuration → struct intent; instances + intent → desired entries;
//           instances + desired entries + policy + time → struct plan
// May use   gates api doc base
// Never     I/O, a clock of its own, memory of earlier passes: the same input gives the same plan
// Limits    GATES_INSTANCES_MAX instances
// Blocking  no
#pragma once

#include "drawbridge/api.h"
#include "drawbridge/gates.h"

// One component in one place. Strings and trees are borrowed from what was observed.
struct plan_instance {
    const char *node; // the node's name; NULL for a template
    // a template: the ConfigMap that new nodes and upgrades are made from ("kubeadm-config"); else
    // NULL
    const char *object;
    // "kube-scheduler on cp-1", "kube-scheduler in kubeadm-config": for messages; owned
    char *id;
    // What is written in one object is asked for at once, when the first of it may be: each edit of
    // it replaces machines. Borrowed; NULL: it is written alone.
    const char *unit;
    bool beside; // another instance of this component and unit is counted in its place
    // Of a kubelet without a node: how many nodes are made from it.
    unsigned nodes;
    enum component component;
    bool control_plane; // of the node
    bool agent;         // its node's agent has reported, or nobody's agent is needed
    // its gates cannot be read back: flags as wanted, and rolled out, are all there is to see
    bool blind;
    // somebody else configures it: what it needs counts, nothing is asked of it
    bool elsewhere;
    bool busy; // something else is at work there just now: nothing is begun
    // Wall clock, 0: never, or nobody says. Since when its node is not ready; when its agent could
    // first know of it; since when the agent says to be at work on it.
    int64_t not_ready_ms, known_ms, worked_ms;
    bool stale; // its agent has seen a newer epoch than the one of what it is asked for
    struct version version, emulated;
    const json_t *asked;    // its entry in spec.components of the NodeDRAConfiguration, NULL: none
    const json_t *reported; // its entry in status.components, NULL: none. Templates: {featureGates,
                            // runtimeConfig, owned} as read. HostedControlPlane: what an agent
                            // would say, made by the platform
};

// Since a time that nobody knows: so long ago that nobody waits for its end.
#define PLAN_UNKNOWN_MS 1

enum plan_state {
    PLAN_DONE,    // as desired and read back
    PLAN_WAITING, // its turn has not come, or a barrier holds it
    PLAN_NOW,     // to be asked for in this pass
    PLAN_RUNNING, // asked for, the agent is at it
    PLAN_FAILED,  // asked for, and it did not come up with it
    // a statement about its file, not about an attempt: nothing is tried there until the cause is
    // gone, and then it goes on by itself
    PLAN_BLOCKED,
    PLAN_MISSING, // no agent reports for it
    PLAN_AWAY,    // a kubelet to be changed whose node is not ready: it is not asked for anything
    PLAN_OVERDUE, // asked for, and nothing came of it in the time that it may take
};
const char *plan_state_name(enum plan_state state);

struct plan_step {
    size_t instance; // index into the instances
    enum plan_state state;
    // the entry for spec.components: name, revision, featureGates, runtimeConfig, expect, and where
    // there are some withoutFeatureGates and withoutRuntimeConfig
    json_t *want;
    const char *revision; // of want, borrowed from it
    bool changes;         // want differs from what is written there now (owned entries)
    // done, but what has no effect any more is still written: it goes when the upgrade of the
    // control plane is over
    bool deferred;
    bool again; // it failed and is to be tried once more, as policy.retry asks
    // Not done, and nobody waits for it any more: what comes after goes on without it.
    bool left;
    // A kubelet whose node stopped being ready after it was asked: perhaps for that. No other
    // kubelet is begun until it is ready, or until_ms.
    bool holds;
    // A control-plane node that is not ready: this is another's and is not begun before it is.
    // Borrowed; NULL: none.
    const char *waits_for;
    // Until then it is waited for (wall clock): for an answer, an agent, or a node. 0: for nothing
    int64_t until_ms;
};

// An agent has componentTimeout for a component that it restarts, and as much again for each phase
// that it reports (spec.components[].askedAt and status.step.since tell when they began). So much
// more may pass until its word is here. An agent that has never reported has this time alone.
#define PLAN_MARGIN_MS 60000

struct plan_policy {
    bool enable; // order: true kube-apiserver first, false kubelets first
    // worker kubelets at once; control-plane nodes always go one at a time
    unsigned max_unavailable;
    // > 0: in place of the number; of all nodes, or objects that nodes are made from, rounded up as
    // a DaemonSet's (Kubernetes 1.36, apps/v1, RollingUpdateDaemonSet), and API_UNAVAILABLE_MAX at
    // most
    unsigned max_unavailable_percent;
    uint64_t min_ready_ms; // between instances of one component on different nodes
    bool suspend;          // nothing becomes PLAN_NOW
    // a word of somebody who asks to try again what failed, other than the one before; NULL: nobody
    const char *retry;
    // what each instance is to have in the revision that would be gone back to; NULL: nothing of
    // ours. What is the same there is not changed by this revision, and is no reason to go back.
    const struct gates_desired *good;
    // Everything is taken back for good: nodes that are not ready are asked too, so that their
    // agents do it when they return, and left when they do not answer in time.
    bool leaving;
    uint64_t component_timeout_ms;
};

struct plan_count {
    unsigned instances, updated, ready;
};

struct plan {
    struct plan_step *steps; // in order of execution
    size_t len;
    size_t failed;  // index of the first failed step, len: none
    size_t blocked; // index of the first blocked step, len: none
    // index of the first failed step of a control-plane component that was asked to change, len:
    // none. Nothing else is reason to put a revision back: not a component that was looked at
    // alone, not what is said of a file, not a kubelet.
    size_t undo;
    size_t missing; // index of the first step without an agent, len: none
    // index of the first step that is running or to be asked for, len: none
    size_t current;
    bool done;     // every step is
    bool complete; // every step is done or left
    int64_t now_wall_ms;
    size_t *by_node; // indexes of the steps that are not templates', by node and component
    size_t by_node_len;
    bool nodes_failed; // the failed step is a kubelet's: nothing is put back elsewhere
    // a kubelet put itself back, or its node stopped being ready after it was asked: no other is
    // begun
    bool nodes_paused;
    bool again; // a step that is to be tried again still waits: retry is not done with
    // > 0: ask again then (minReady, a deadline), nothing else will wake the pass
    uint64_t wait_ms;
    struct plan_count counts[COMPONENT_COUNT]; // of live instances, templates left out
};

// desired: one for each instance, as gates_resolve() gave them. now_wall_ms: for minReady and
// deadlines.
// Rules: one component after the other, the next only when every instance of the one before is
// done (a barrier); control-plane nodes one at a time; worker kubelets max_unavailable at a time,
// the worst first; what is of one unit together with its first; templates last when enabling,
// first when disabling; a failed or blocked control plane instance stops everything that has not
// begun, a failed kubelet the other kubelets and what comes after. A node that is not ready counts
// as unavailable, and when it was asked before that no further kubelet is begun for as long.
// Nothing of a control-plane node is begun while another control-plane node is not ready. A kubelet
// without an agent, on a node that is not ready, that does not answer, or that is blocked holds
// nobody but itself once its time is over; a control plane instance does hold what comes after,
// unless everything is taken back and its node is not ready. An edit that takes out alone what is
// no longer needed waits until the control plane, the kubelets of its nodes and kubeadm-config are
// of one minor, so that an upgrade in progress is left in peace.
void plan_make(const struct plan_policy *policy, const struct plan_instance *instances,
               const struct gates_desired *desired, size_t len, int64_t now_wall_ms,
               struct plan *ret_plan);
void plan_fini(struct plan *plan);
#define AUTO_PLAN CLEANUP(plan_fini)

// The steps of a node, ordered by component: indexes into plan->steps.
const size_t *plan_steps_of(const struct plan *plan, const struct plan_instance *instances,
                            const char *node, size_t *ret_len);

// The spec of a node's NodeDRAConfiguration after this pass: for each of its steps that is done,
// running or to be asked for what it wants (if it was ever asked for or changes something), for the
// others what was asked before; askedAt says when that was. was: the spec as it is, NULL: none.
struct plan_header {
    uint64_t epoch;
    const char *configuration, *revision; // "namespace/name"; of the intent
    uint64_t component_timeout_ms;
};
json_t *plan_node_spec(const struct plan *plan, const struct plan_instance *instances,
                       const char *node, const struct plan_header *header, bool enable,
                       const json_t *was);
// Whether that is what stands there already, but for the epoch. It is found out without making it:
// of thousands of nodes a pass changes a few.
bool plan_node_spec_stands(const struct plan *plan, const struct plan_instance *instances,
                           const char *node, const struct plan_header *header, bool enable,
                           const json_t *was);

#define PLAN_REVISION_BYTES 13
// The revision of an intent: 12 hex digits of its digest; ret must hold PLAN_REVISION_BYTES.
const char *plan_revision(const struct gates_intent *intent, char *ret);
// "+DynamicResourceAllocation=true -AllBeta +resource.k8s.io/v1beta1=true": what a step changes
// beside what is written; "" when nothing.
// Entries of others that are out of the components of one kind, and where: "A=true (cp-1,
// kubeadm-config)"; "" when none is. Owned.
#define PLAN_REMOVED_BYTES_MAX 16384
char *plan_removed_text(const struct plan_instance *instances, size_t len,
                        enum component component);
// "; failed too: kubelet on b, kubelet on c and 4 more": the others in the state of a step that
// failed or is blocked, without what is of its unit; "" when there is none. Owned.
char *plan_others_text(const struct plan *plan, const struct plan_instance *instances, size_t step);
char *plan_step_summary(const struct plan_step *step, const struct plan_instance *instance);

// --- intent: what is in force, which after a failure is the last known good ----------------------

struct intent {
    json_t *feature_gates, *runtime_config; // owned references
    json_t *features;                       // array of names, sorted; NULL: none
    bool allow_alpha;
    struct version prepare_for;         // entries of others go for that minor; major 0: none do
    char revision[PLAN_REVISION_BYTES]; // of what is in force
    char asked_revision[PLAN_REVISION_BYTES]; // of the spec
    // when that was tried first, RFC 3339, borrowed from the status; NULL or "": it was not yet
    const char *started;
    bool rolled_back; // the spec's revision failed; in force is the last known good (or nothing)
    bool known_good;  // the spec's revision was applied and is the last known good one itself
    bool again;       // somebody asks to try again what failed
    bool fresh;       // the spec's revision was not attempted yet, or somebody asks to try again
};
void intent_make(const struct api_config *config, struct intent *ret_intent);
void intent_fini(struct intent *intent);
struct gates_intent intent_gates(const struct intent *intent);
// What would be gone back to, borrowed from the status; false: there is nothing.
bool intent_known_good(const struct api_config *config, struct gates_intent *ret_good);
// status.history with a new first entry, or the first one updated when it is of the same revision
// (but the entry of one that was applied stays when it fails later); at most 5, of which one is the
// last that was applied.
json_t *intent_history(const json_t *was, const struct intent *intent, const char *result,
                       const char *reason, const char *message, int64_t now_wall_ms);

// --- inputs: instances as the gates room takes them ----------------------------------------------

// Foreign entries are what the flags say without what we own, with what ours replaced.
struct plan_inputs {
    struct gates_instance *instances; // one for each, in the same order
    size_t len;
    json_t *trees; // owned trees that instances borrow from
};
void plan_inputs_make(const struct plan_instance *instances, size_t len,
                      struct plan_inputs *ret_inputs);
void plan_inputs_fini(struct plan_inputs *inputs);
#define AUTO_INPUTS CLEANUP(plan_inputs_fini)
// Resolution of what was observed; instances are those that the inputs were made of. Live
// components are judged among themselves: a template (kubeadm's ConfigMaps) asks no API server for
// anything, but is given what live and future clients need.
struct error *plan_resolve(const struct gates_table *table, const struct gates_intent *intent,
                           const struct plan_instance *instances, const struct plan_inputs *inputs,
                           struct gates_resolution *ret_resolution);
// The direction of a roll-out: Disable when nothing is wanted or DynamicResourceAllocation is
// wanted off.
bool plan_enables(const struct gates_intent *intent);
