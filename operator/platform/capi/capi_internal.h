// SPDX-License-Identifier: Apache-2.0
// What the files of the platform ClusterAPI share.
#pragma once

#include "ask.h"
#include "part.h"

#define CAPI_CORE_GROUP "cluster.x-k8s.io"
#define CAPI_CONTROL_PLANE_GROUP "controlplane.cluster.x-k8s.io"
#define CAPI_BOOTSTRAP_GROUP "bootstrap.cluster.x-k8s.io"
#define CAPI_CLUSTER_LABEL "cluster.x-k8s.io/cluster-name"
#define CAPI_DEPLOYMENT_LABEL "cluster.x-k8s.io/deployment-name"
#define CAPI_CONTROL_PLANE_LABEL "cluster.x-k8s.io/control-plane"
#define CAPI_TOPOLOGY_DEPLOYMENT "topology.cluster.x-k8s.io/deployment-name"
#define CAPI_NAMES_SAID_MAX 8
#define CAPI_TOPOLOGY_LABEL "topology.cluster.x-k8s.io/owned"
// Of the KubeadmConfigTemplates that we made: the Cluster's name.
#define CAPI_OURS_LABEL "drawbridge.dev/cluster"
// Cluster API 1.14, api/bootstrap/kubeadm/v1beta2/kubeadm_types.go: maxLength of Arg.value.
#define CAPI_VALUE_BYTES_MAX 1024
#define CAPI_DEPLOYMENTS_MAX 500
#define CAPI_PARTS_MAX 5        // three components, and the kubelet in one file or two places
#define CAPI_NAME_BYTES_MAX 240 // of a template that ours is named after
// A template of ours that is removed: nobody tells when it is gone.
#define CAPI_AGAIN_MS 5000

// What is known of the Machines of one owner, while something is waited for.
struct capi_machines {
    int64_t newest_ms; // when the last one was made, or asked to go; 0: nobody knows
    unsigned deleting;
    char *words; // of the first that does not get ready; NULL: none says anything
    // Of a MachineDeployment: how many its MachineSets have that are made of the template that it
    // names, and of another one.
    int64_t made, others;
};

// What Machines are made from: the KubeadmControlPlane, or a MachineDeployment and the
// KubeadmConfigTemplate that it names, or a MachinePool and its KubeadmConfig. Trees are owned.
struct capi_owner {
    enum platform_kind kind;
    json_t *object;
    char *where;      // "MachineDeployment default/workers"
    json_t *template; // that it names now; NULL: it names none that we know of
    json_t *original; // that stood there before ours; NULL: ours does not stand, or it is gone
    bool lost;        // it names ours, which somebody deleted: template is as the original
    char *foreign;    // why its kubelets are somebody else's to configure; NULL: they are not
    struct platform_part parts[CAPI_PARTS_MAX];
    size_t len;
    struct version version;
    struct capi_machines machines;
};

// What the variables of a ClusterClass may carry the flags of.
enum capi_place {
    CAPI_PLACE_API_SERVER,
    CAPI_PLACE_CONTROLLER_MANAGER,
    CAPI_PLACE_SCHEDULER,
    CAPI_PLACE_KUBELETS, // of the control plane
    CAPI_PLACE_WORKERS,
    CAPI_PLACES
};
struct capi_carried {
    char *variables[SITE_KINDS]; // whose whole value is that flag; NULL: none
    bool init, join;             // of the kubelets: for which Machines
    bool unclear;                // there is one, but it is not to be written
};
#define CAPI_SLOT_WORKERS "kubelet-workers"

struct platform_capi {
    char *namespace, *name;                 // of the Cluster
    char *core, *control_plane, *bootstrap; // the versions of the three groups
    json_t *cluster;
    struct capi_owner *owners; // the first is the control plane
    size_t len;
    json_t *ours;     // the templates that we made
    bool sets_listed; // the MachineSets were: which template each is made of
    json_t *in_use;   // {template: true}
    json_t *class;    // NULL: there is none, or it cannot be read
    struct capi_carried carried[CAPI_PLACES];
    struct capi_carried known[CAPI_PLACES]; // the same, also those that are not written
    json_t *worker_classes;                 // whose kubelets' gates are a variable's
    char *notes;                            // what is not done, and why; NULL: nothing
    bool above; // something above writes its objects: they are only read
};

// Where a component's flags are, below kubeadmConfigSpec or the spec of a template's template.
struct capi_way {
    const char *slot;
    enum component component;
    const char *path[3];
};
#define CAPI_WAYS 5
#define CAPI_WAY_KUBELET 3
#define CAPI_WAY_KUBELET_INIT 4
extern const struct capi_way capi_ways[CAPI_WAYS];

// --- spec.c: what a DRAConfiguration names, see struct platform

const char *capi_reaches(const json_t *config);
void capi_name_targets(const json_t *config, struct strlist *names);
size_t capi_signs(const json_t *config, struct platform_sign signs[PLATFORM_SIGNS_MAX]);
size_t capi_follows(const json_t *config, struct platform_follow follows[PLATFORM_FOLLOWS_MAX]);
void capi_kubeconfig(const json_t *config, struct cluster_way *ret_way);
// The kubeconfig of the Cluster of that name. The way is yours.
void capi_kubeconfig_of(const char *namespace, const char *name, struct cluster_way *ret_way);

// --- read.c: what stands in an object, pure

// INVALID, reason NotManaged: something else writes the object, which would undo a change.
struct error *capi_check_owner(const json_t *object, const char *where);
// NOT_FOUND or INVALID, reason NotSupported: the control plane is none of kubeadm's.
struct error *capi_control_plane_name(const json_t *cluster, const char **ret_name);
// The name of the KubeadmConfigTemplate that a MachineDeployment names, or of a MachinePool's
// KubeadmConfig. Borrowed; NULL: it is made of something else.
const char *capi_template_name(const json_t *deployment);
// Whether it makes workers, and the kind of what it names.
bool capi_makes_workers(const struct capi_owner *owner);
enum platform_kind capi_template_kind(const struct capi_owner *owner);
// The spec of a KubeadmConfig that is in use, without the token that its controller puts there and
// renews (Cluster API 1.14.2): in a copy it would be one that has expired. Owned.
json_t *capi_config_spec(const json_t *spec);
// That of the template before ours, as the record says. Owned; NULL: it has none of ours.
char *capi_original_name(const json_t *deployment);
bool capi_is_topology(const json_t *object); // the topology controller writes it
bool capi_is_made_by_topology(const struct platform_part *part);
// Whether an edit there, or its way back, waits for its roll-out.
bool capi_is_waited_for(const struct capi_owner *owner);
// Its Machines are replaced when somebody deletes them, and not by its controller.
bool capi_is_on_delete(const json_t *deployment);
// Below which the flags are, in the object of a control plane or in a template.
const json_t *capi_base(const struct capi_owner *owner, const json_t *object);
const char *const *capi_path(const char *slot); // from there to the extraArgs of a slot: three
// The value of a flag in extraArgs; NULL: it is not there.
const char *capi_arg(const json_t *args, const char *name);
// {"extraArgs" or "kubeletExtraArgs", "parents"}: the part of base that a way leads to.
json_t *capi_args_tree(const json_t *base, const struct capi_way *way);
// The record that an object has for a slot, as it stands there; NULL: none that can be read. Owned.
json_t *capi_record(const json_t *object, const char *slot);
struct platform_part *capi_add_part(struct capi_owner *owner, const struct capi_way *way);
struct error *capi_add_args(struct capi_owner *owner, const struct platform_capi *capi,
                            const json_t *base, const struct capi_way *way);
// A template is part of what stands: the same flags in another one are somebody else's.
void capi_note_template(const json_t *template, json_t *tree);
const json_t *capi_conditions(const json_t *object);
// Fills the parts of an owner whose object and templates are there. v1beta1: extraArgs that are not
// there become maps.
struct error *capi_owner_read(struct capi_owner *owner, const struct platform_capi *capi);
void capi_owner_fini(struct capi_owner *owner);
// What a Machine tells of its roll-out.
void capi_note_machine(struct capi_owner *owner, const json_t *machine);
void capi_note_set(struct capi_owner *owner, const json_t *machine_set);
// How far it is: by generation and all counts, and no Machine on its way out, never by a condition,
// which is what it will be before it begins and before it is over. sets: what its MachineSets have
// is known, and counts too: a MachineDeployment says for a moment that it has seen the generation,
// and still counts as before (Cluster API 1.14.2).
struct rollout capi_rollout_of(const struct capi_owner *owner, bool sets);

// --- kubelets.c: where kubelets get their gates, pure

// The index of the file with gates of kubelets that can be read, plain or in base64; -1.
int capi_kubelet_file(const json_t *base);
// {"path", "content": its text}
json_t *capi_file_tree(const json_t *file);
void capi_file_put(json_t *file, const char *text); // in its encoding
// Where the object has gates of kubelets already, or a file for them, else the command line.
struct error *capi_add_kubelets(struct capi_owner *owner, const struct platform_capi *capi,
                                const json_t *base);
// What is to be known of where they are; NULL: nothing. Owned.
char *capi_kubelets_note(const struct capi_owner *owner);

// --- class.c: what a ClusterClass makes of variables, pure

extern const char *const capi_flags[SITE_KINDS]; // "feature-gates", "runtime-config"
// Fills capi->carried and worker_classes, and notes what is not understood: a variable is used
// where one patch makes just its value one of these flags whenever it says something (in Cluster
// API 1.14's forms valueFrom.variable and valueFrom.template), if it is a string, of one place, not
// overridden for a part of the topology, and nothing else in the class's patches says it.
void capi_class_read(struct platform_capi *capi, const json_t *class);
void capi_carried_fini(struct capi_carried *carried);
// Whether the kubelets of this MachineDeployment get their gates by a variable.
bool capi_class_covers(const struct platform_capi *capi, const json_t *deployment);
// {"name", "value"} of spec.topology.variables; NULL: it is not there.
const json_t *capi_variable(const json_t *cluster, const char *name);

// --- advice.c, pure

// What is to be done that the API server, or another component of a control plane, gets a flag with
// this value; args: its arguments then. Owned.
char *capi_advice(const struct platform_capi *capi, const struct platform_part *part, size_t flag,
                  const char *value, const json_t *args);

// --- variables.c: a Cluster that has them, pure

// Leaves out those that are not to be written, and adds the Cluster as an owner where some are. The
// other owners and their templates are there.
void capi_variables_choose(struct platform_capi *capi);
bool capi_is_carried(const struct platform_capi *capi, size_t way); // of the control plane
// Whether an edit there, or its way back, waits for its roll-out.
bool capi_is_cluster_waited_for(const json_t *cluster);
struct error *capi_variables_read(struct capi_owner *owner, const struct platform_capi *capi);
unsigned capi_variables_nodes(const struct platform_capi *capi, const struct platform_part *part);
void capi_variables_put(json_t *cluster, const json_t *tree);

// --- edit.c: what becomes of an object, pure

// One owner under edit.
struct capi_edit {
    json_t *object;   // with everything that was put so far
    json_t *template; // likewise; NULL: no template is made
    bool creates;     // it is to be made
};
void capi_edit_fini(struct capi_edit *edit);
#define AUTO_CAPI_EDIT CLEANUP(capi_edit_fini)
void capi_edit_begin(struct capi_edit *edit, const struct capi_owner *owner);
// Puts a part's new tree (NULL: as it is) and record (NULL: none). The record is changed where a
// new template is to be named. INVALID: a value would be too long, or the topology controller's.
struct error *capi_edit_put(struct capi_edit *edit, const struct platform_capi *capi,
                            const struct capi_owner *owner, const struct platform_part *part,
                            const json_t *tree, json_t *record);
// The merge patch to it, on the resourceVersion of the object; NULL: nothing changes.
json_t *capi_edit_patch(const struct capi_edit *edit, const struct capi_owner *owner);

// --- capi.c

struct capi_owner *capi_add_owner(struct platform_capi *capi, enum platform_kind kind,
                                  json_t *take_object);
void capi_add_note(struct platform_capi *capi, const char *note);
unsigned capi_nodes_of(const struct capi_owner *owner);
// Turns the owners into instances.
void capi_collect(struct platform_observed *observed, const struct platform_look *look,
                  const struct platform_said *said);
// Whether a template of ours is named by nothing, as far as is known.
bool capi_is_left(const struct platform_capi *capi, const json_t *template);

// --- observe.c

// What is asked about a Cluster, and what becomes of the answer.
struct capi_question {
    enum platform_type type; // of what is observed
    const char *namespace, *name;
    bool above; // see struct platform_capi
    bool waits; // with above: its roll-out is waited for
    // Pure: turns the owners, whose parts say what stands, into instances. An error is the
    // observation's.
    struct error *(*collect)(void *owner, struct platform_observed *observed,
                             const struct platform_look *look, const struct platform_said *said);
    void *owner; // of collect
};
// Looks at the Cluster's objects and asks its API server. What the question points to is copied,
// but for its owner, which is borrowed until done or the drop.
struct op *capi_see(struct loop *loop, const struct cluster *cluster,
                    const struct platform_target *target, const struct capi_question *question,
                    platform_observed_fn *done, void *owner);
struct op *capi_observe(struct loop *loop, const struct cluster *cluster,
                        const struct platform_target *target, platform_observed_fn *done,
                        void *owner);
