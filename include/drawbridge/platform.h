// SPDX-License-Identifier: Apache-2.0
// platform: where flags are written, one file a platform behind one table.
//
// Purpose   observe the instances of a cluster, ask for what a plan says now, give back what was
//           written
// May use   cluster plan watch kube site rollout gates api http loop doc base
// Never     decides what is desired
// Limits    GATES_INSTANCES_MAX instances
// Blocking  no
#pragma once

#include "drawbridge/cluster.h"
#include "drawbridge/kube.h"
#include "drawbridge/plan.h"
#include "drawbridge/watch.h"

#define PLATFORM_STRANGERS_MAX 8

// --- what a platform is --------------------------------------------------------------------------

// For those who act upon every platform: they ask what one is, never which (check-platforms).
struct platform_traits {
    bool writes; // false: somebody else owns the flags, and is told what to set
    // An agent on each node writes there: one that is away may be left behind, and does it later.
    bool agents;
    // The flags are in objects of this cluster: status.components says in which, what was written
    // there and how often it was undone.
    bool objects;
    // Nodes, devices and drivers are those of another cluster than this one: platform_way() leads
    // there.
    bool nodes_elsewhere;
    // Where platform_reaches() may be another namespace: the field of spec.platform that says so,
    // and the chart's value that allows it. NULL: there is none.
    const char *field, *chart_value;
};
// AUTO: of what it may become, that it writes.
const struct platform_traits *platform_traits(enum platform_type type);
// spec.platform.type of a DRAConfiguration that may be any JSON, and its traits. Of Auto what
// platform_detect() found, as the status says: whom it writes follows from it.
enum platform_type platform_type_of(const json_t *config);
const struct platform_traits *platform_traits_of(const json_t *config);
// The DRAConfiguration with that type, see api_config_parse().
struct error *platform_parse(const json_t *object, struct api_config *ret_config);
// Whether a value of status.platform is one that platform_detect() finds.
bool platform_is_detected(struct slice name);
// Auto with spec.cluster, and nothing has been found yet: ask platform_detect().
bool platform_is_undecided(const struct api_config *config);
// By the objects beside the kubeconfig that spec.cluster names: what made the cluster that it leads
// to, as status.platform has it; NULL: nothing of which we may see anything. kube: of the cluster
// that Drawbridge runs in. What may not be read is not there; any other failure is an error.
typedef void platform_detected_fn(void *owner, struct error *take_err, const char *name);
MUST_USE struct op *platform_detect(struct loop *loop, struct kube *kube, const json_t *config,
                                    platform_detected_fn *done, void *owner);
// The platform to act upon: the spec's. Where that is Auto, what was found first, as the status
// says, until the spec names another: what was written can only be taken back the way it was
// written, and nobody's flags are to be written because a cluster looks different one day.
enum platform_type platform_decide(const struct api_config *config);
// The same of one that is being deleted: what stands there of it says for which platform it was
// written, whatever the spec names by then.
enum platform_type platform_decide_end(const struct cluster *cluster,
                                       const struct api_config *config);
// INVALID: what was written as one platform would be left there, and another one written beside it.
struct error *platform_check_kept(const struct cluster *cluster, const struct api_config *config);
// Whether something of what it wrote as any platform is still in that cluster, as far as it can be
// told from there.
bool platform_wrote(const struct cluster *cluster, const struct api_config *config);
// Whether all that the platform looks at and writes is in the cluster that spec.cluster names.
bool platform_is_in_target(const struct api_config *config);
bool platform_names_target(const json_t *config); // the same, of an object that was not parsed
// Whether a driver that it asks for would be in the cluster that the object is in.
bool platform_drives_here(const json_t *config);
// The way to the other cluster that a DRAConfiguration is about, be it all of it or where its nodes
// are; yours. False: there is none, and ret_way is empty.
bool platform_way(const json_t *config, struct cluster_way *ret_way);
// INVALID, reason NotSupported: what the spec asks for is not to be had on its platform.
struct error *platform_check(const struct api_config *config);
// What this DRAConfiguration writes, by names that are equal where two write the same; sorted.
// Nothing where it writes nothing.
void platform_targets_named(const json_t *config, struct strlist *names);
// The cluster that it is about by how it is reached: the one that Drawbridge runs in
// (CLUSTER_HOME), or the one that a Secret leads to. Owned.
char *platform_cluster_named(const json_t *config);
// The namespace whose objects it writes as that platform, borrowed; NULL: the cluster itself.
const char *platform_reaches(enum platform_type type, const json_t *config);

// Objects whose changes are to wake its passes, which then look for themselves.
#define PLATFORM_FOLLOWS_MAX 4
struct platform_follow {
    struct kube_ref ref;
    char *namespace, *field_selector; // yours; ref borrows the namespace; selector NULL: none
};
size_t platform_follows(const json_t *config, struct platform_follow follows[PLATFORM_FOLLOWS_MAX]);
void platform_follow_fini(struct platform_follow *follow);
// What a pass would see change of such an object, without the heartbeats of a status.
json_t *platform_trim_followed(const json_t *object);

// --- observing -----------------------------------------------------------------------------------

// Whose flags a pass is about. Borrowed until the observation is over.
struct platform_target {
    enum platform_type type;
    bool decided;                 // by Auto, earlier: what it would be now is looked at too
    const char *namespace, *name; // of the DRAConfiguration
    const json_t *cluster;        // spec.cluster; NULL: none
    // Of a platform whose nodes are elsewhere: their cluster, which is asked; NULL: nobody is.
    struct cluster *workload;
    const struct error *unreached; // why it cannot be had; NULL: it can, or need not
    const json_t *hosted;          // spec.platform.hostedControlPlane; NULL: defaults
    const json_t *capi;            // spec.platform.clusterAPI; NULL: defaults
    const json_t *giantswarm;      // spec.platform.giantSwarm; NULL: defaults
    // status.components as last reported: what HostedControlPlane wrote, and how often it was
    // undone
    const json_t *components;
    // this revision was not attempted yet, or is to be tried again: what was counted and what
    // failed is forgotten
    bool fresh;
    bool deleting; // what is not there any more needs nothing
    uint64_t component_timeout_ms;
    // Called once before the first question to a server that is not this cluster's: it may never
    // answer, and nobody else is to wait for it. NULL: nobody does.
    void (*let_others)(void *owner);
    void *owner;
};

// What one pass saw. Frozen once the observation is over.
struct platform_observed {
    enum platform_type type;                // never AUTO
    enum platform_type looks_like;          // what Auto would find now; AUTO: nobody asked
    struct version server, server_emulated; // of the API server that answered
    // versions of resource.k8s.io in discovery, [] when the group is absent
    json_t *served;
    // the nodes that a NodeDRAConfiguration is for: name → a number that is the platform's own
    json_t *nodes;
    // the Nodes that have no kubelet to look after: name → why ("virtual kubelet", "Windows", ...)
    json_t *ignored;
    // Kubeadm: control-plane components that nodes without KUBE_CONTROL_PLANE_LABEL claim to
    // have, by a mirror pod or in an agent's report: "kube-apiserver on worker-1". They count for
    // nothing. At most PLATFORM_STRANGERS_MAX.
    json_t *strangers;
    // name → object, of those that exist: kubeadm-config, kubelet-config, drawbridge-undo
    json_t *config_maps;
    // name → NodeDRAConfiguration, of those that were there: what is written is held to it
    json_t *node_configs;
    json_t *reports; // owned trees that instances borrow from
    struct plan_instance *instances;
    size_t len;
    unsigned unmanaged_nodes; // those that are ignored
    unsigned managed_nodes;
    // of cluster_facts, another one when the server says something else; 0: facts of its own
    uint64_t edition;
    // of HostedControlPlane: objects and records that instances borrow from
    struct platform_hosted *hosted;
    struct platform_capi *capi;             // the same of ClusterAPI
    struct platform_giantswarm *giantswarm; // and of GiantSwarm, beside what comes out as capi
    // of a hosted cluster: they are configured where its nodes come from
    unsigned kubelets_elsewhere;
    // a note is to be written beside the plan's steps: the objects are not as they will stay
    bool unsettled;
    bool api_unread;      // discovery could not be asked: served says nothing
    struct error *unread; // why, where somebody was asked; NULL: nobody was, or it answered
    // Of one that is being deleted: no object is left that its cluster was made by, and so neither
    // is the cluster.
    bool gone;
    // HostedControlPlane, ClusterAPI: one sentence on what was read back from the components, and
    // what was not
    char *read_back;
    uint64_t again_ms; // > 0: look again then, nothing else may wake the pass
};
void platform_observed_fini(struct platform_observed *observed);

typedef void platform_observed_fn(void *owner, struct error *take_err,
                                  struct platform_observed *take_observed);
// type AUTO: Kubeadm where static API server pods and kubeadm-config are there, else Observe.
// Platforms that this build does not have: INVALID, reason NotSupported. take_observed is the
// callback's (platform_observed_free()).
MUST_USE struct op *platform_observe(struct loop *loop, const struct cluster *cluster,
                                     const struct platform_target *target,
                                     platform_observed_fn *done, void *owner);
void platform_observed_free(struct platform_observed *observed);
AUTO_DECLARE(platform_observed, struct platform_observed)

// A write that was made, for events; object and what are borrowed.
// object: "NodeDRAConfiguration cp-1", "ConfigMap kube-system/kubeadm-config", "Deployment
// tenant/kube-apiserver". what: plan_step_summary() of its steps.
typedef void platform_wrote_fn(void *owner, const char *object, const char *what);
// Many writes take their time: what is not sent after PLATFORM_WRITE_MS is left to another pass,
// which looks anew.
#define PLATFORM_WRITE_MS 60000
typedef void platform_applied_fn(void *owner, struct error *take_err, bool more);

struct platform_change {
    const struct platform_observed *observed;
    const struct plan *plan;
    struct plan_header header;
    bool enable;
    const char *owner_namespace, *owner_name;
    platform_wrote_fn *wrote; // at once, whatever becomes of the next; its owner is done's
};
// Writes what the plan says now. Kubeadm: makes the NodeDRAConfigurations that are missing, updates
// those that differ, removes those of nodes that are gone, edits the ConfigMaps.
// HostedControlPlane: edits the object of the step, puts back what did not come up, notes what did.
// Each write carries the resourceVersion it was decided on; whether it may leave is the guard's of
// the cluster's client to say. Nothing that is as wanted is written.
MUST_USE struct op *platform_apply(struct loop *loop, const struct cluster *cluster,
                                   const struct platform_change *change, platform_applied_fn *done,
                                   void *owner);
// The end of a DRAConfiguration. Kubeadm: removes every NodeDRAConfiguration but those of the nodes
// that are keys of keep (NULL: none), whose agents still have something to take out; files stay as
// they are. forget: what we keep about the edits goes too (everything was reverted): of
// HostedControlPlane the records in the objects that were observed. observed may be NULL else.
MUST_USE struct op *platform_release(struct loop *loop, const struct cluster *cluster,
                                     enum platform_type type,
                                     const struct platform_observed *observed, const json_t *keep,
                                     bool forget, platform_applied_fn *done, void *owner);

// --- pure parts, for `drawbridge plan` and tests -------------------------------------------------

// What is written beside nodes, now and as it will be when every step is taken, of what changes:
// {"configmap/kube-system/kubeadm-config": its document, ...}, and of a hosted control plane
// {"deployments/tenant/kube-apiserver/kube-apiserver": YAML of the container's command and args}.
struct error *platform_preview(const struct platform_observed *observed, const struct plan *plan,
                               json_t **ret_before, json_t **ret_after);
