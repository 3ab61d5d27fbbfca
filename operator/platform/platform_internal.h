// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drawbridge/platform.h"
#include "drawbridge/site.h"

struct writing;

// An object that tells which platform made a cluster. The strings are its owner's.
#define PLATFORM_SIGNS_MAX 2
struct platform_sign {
    const char *group, *resource; // static
    char *namespace, *name;
};
void platform_sign_fini(struct platform_sign *sign);

// One kind of cluster. Each function but collect may be NULL.
struct platform {
    enum platform_type type;
    struct platform_traits traits;
    struct error *(*check)(const struct api_config *config);
    // Whether something of this DRAConfiguration's stands there, and of nobody else. NULL: it
    // cannot be told.
    bool (*wrote)(const struct cluster *cluster, const struct api_config *config);
    // See platform_targets_named(), platform_reaches(), platform_follows(). NULL: the cluster that
    // Drawbridge runs in, and nothing beside what everybody follows.
    void (*name_targets)(const json_t *config, struct strlist *names);
    const char *(*reaches)(const json_t *config);
    size_t (*follows)(const json_t *config, struct platform_follow follows[PLATFORM_FOLLOWS_MAX]);
    // platform_way() where spec.cluster is not set. NULL: there is none.
    void (*way)(const json_t *config, struct cluster_way *ret_way);
    // Of a DRAConfiguration whose spec.cluster names a kubeconfig: the objects beside it, any of
    // which tells that this platform made that cluster. NULL: Auto does not find it so. is_sign:
    // whether one that is there does (NULL: it does).
    size_t (*signs)(const json_t *config, struct platform_sign signs[PLATFORM_SIGNS_MAX]);
    bool (*is_sign)(const json_t *object);
    // Its own observation, where the common one (this cluster's API server, kubeadm's ConfigMaps)
    // does not fit; NULL: the common one, then collect().
    struct op *(*observe)(struct loop *loop, const struct cluster *cluster,
                          const struct platform_target *target, platform_observed_fn *done,
                          void *owner);
    // Pure: turns what the watches and the requests gave into instances.
    struct error *(*collect)(const struct cluster *cluster, struct platform_observed *observed);
    // Pure: makes up the writes of a pass with platform_add_write(). NULL: nothing is ever written.
    struct error *(*make_writes)(struct writing *w, const struct cluster *cluster,
                                 const struct platform_change *change);
    // Pure: the writes of the end, see platform_release(). observed may be NULL.
    void (*make_release)(struct writing *w, const struct cluster *cluster,
                         const struct platform_observed *observed, const json_t *keep, bool forget);
    struct error *(*preview)(const struct platform_observed *observed, const struct plan *plan,
                             json_t **ret_before, json_t **ret_after);
};
const struct platform *platform_kubeadm(void);
const struct platform *platform_observe_only(void);
const struct platform *platform_hosted(void);
const struct platform *platform_kwok(void);
const struct platform *platform_capi(void);
const struct platform *platform_giantswarm(void);
// NULL: this build has none for that type; AUTO is none.
const struct platform *platform_find(enum platform_type type);

// The name of the cluster that a DRAConfiguration is about, where Cluster API's kubeconfig Secrets
// are called CLUSTER-kubeconfig: given (may be ""), that of the Secret that cluster (spec.cluster;
// may be NULL) names, or own. Yours.
char *platform_name_of(const char *given, const json_t *cluster, const char *own);
// The first part of such a Secret's name, NULL: it is called otherwise. Yours.
char *platform_name_of_secret(const json_t *cluster);

// --- what is written

enum platform_kind {
    KIND_NODE_CONFIG,
    KIND_CONFIG_MAP,
    KIND_DEPLOYMENT,
    KIND_STATEFUL_SET,
    KIND_TENANT_CONTROL_PLANE,
    KIND_CLUSTER,
    KIND_KUBEADM_CONTROL_PLANE,
    KIND_MACHINE_DEPLOYMENT,
    KIND_KUBEADM_CONFIG_TEMPLATE,
    KIND_MACHINE_POOL,
    KIND_KUBEADM_CONFIG,
    KIND_APP,
    KIND_HELM_RELEASE,
    KIND_VALUES, // a ConfigMap of ours
    KIND_COUNT
};
struct platform_kind_info {
    const char *kind, *group, *version, *resource;
};
const struct platform_kind_info *platform_kind(enum platform_kind kind);

enum write_kind { WRITE_CREATE, WRITE_PATCH, WRITE_JSON_PATCH, WRITE_DELETE };
struct write {
    enum write_kind how;
    enum platform_kind kind;
    char *namespace, *name; // namespace NULL: cluster-scoped
    char *version;          // of the API; NULL: that of the kind
    char *uid;              // of what is deleted
    json_t *body;
    char *what;        // for the event
    bool quiet;        // no event
    bool without_node; // only while there is no Node of this name
    bool same_is_fine; // its name says all of it: one that is there already is what was to be made
};
// Valid until the next one is added.
struct write *platform_add_write(struct writing *w, enum write_kind how, enum platform_kind kind,
                                 const char *namespace, const char *name);
// The same with a body to fill in, held to the version of now; now NULL: the object is created.
struct write *platform_add_object(struct writing *w, enum platform_kind kind, const char *namespace,
                                  const char *name, const json_t *now);
struct write *platform_add_delete(struct writing *w, enum platform_kind kind, const char *namespace,
                                  const char *name, const json_t *now);

// --- what hosted/, capi/ and giantswarm/ keep in what was observed

void platform_hosted_free(struct platform_hosted *hosted);
void platform_capi_free(struct platform_capi *capi);
void platform_giantswarm_free(struct platform_giantswarm *gs);

// Adds an instance; node or object and the trees are borrowed from observed or the watches' copies
// in observed->reports.
struct plan_instance *platform_add_instance(struct platform_observed *observed,
                                            enum component component, const char *node,
                                            const char *object);
// Of an image's tag ("registry:5000/kube-apiserver:v1.33.13@sha256:..."); false: none that is a
// version.
bool platform_image_version(const char *image, struct version *ret_version);
// What the API server said of itself goes into observed. The gates stay where they are.
void platform_take_said(struct platform_observed *observed, struct cluster_said *said);
struct platform_observed *platform_observed_new(void);
// A borrowed copy that lives as long as observed.
const json_t *platform_keep(struct platform_observed *observed, const json_t *tree);
// Counts Nodes: managed ones are given to each(), the others are named in observed->ignored.
typedef void platform_node_fn(void *owner, const json_t *node, struct version version);
void platform_each_managed_node(const struct cluster *cluster, struct platform_observed *observed,
                                platform_node_fn *each, void *owner);
// Since when this Node is not ready (wall clock, or PLAN_UNKNOWN_MS); 0: it is, or there is none.
int64_t platform_not_ready_ms(const struct cluster *cluster, const char *name);
// The name as a string that lives as long as observed; from now on there is a NodeDRAConfiguration
// for that node.
const char *platform_add_node(struct platform_observed *observed, const char *name);
// Whether this node has an instance of the component already; it has from now on.
bool platform_note_instance(struct platform_observed *observed, const char *node,
                            enum component component);

// --- reports.c: platforms whose nodes have agents. site: what the NodeDRAConfigurations are of, ""
// for nodes; API_LABEL_SITE says it.

const json_t *platform_find_component(const json_t *list, enum component component);
// What the agent of instance->node says of it, where there is one.
void platform_fill_from_agent(const struct cluster *cluster, struct platform_observed *observed,
                              struct plan_instance *instance);
// Whether this DRAConfiguration asked something there, and nobody else.
bool platform_wrote_nodes(const struct cluster *cluster, const struct api_config *config,
                          const char *site);
// What the plan asks now of observed->nodes.
void platform_write_nodes(struct writing *w, const struct platform_change *change,
                          const char *site);
// Those that are not in keep (NULL: none are). gone_alone: where there is no such Node either.
void platform_delete_nodes(struct writing *w, const struct cluster *cluster, const char *site,
                           const json_t *keep, bool gone_alone);

#define PLATFORM_NAMESPACE "kube-system"
#define KUBEADM_CONFIG "kubeadm-config"
#define KUBEADM_KUBELET_CONFIG "kubelet-config"
#define KUBEADM_UNDO_CONFIGMAP "drawbridge-undo" // what the two said before us
