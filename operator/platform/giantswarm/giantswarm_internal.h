// SPDX-License-Identifier: Apache-2.0
// What the files of the platform GiantSwarm share.
#pragma once

#include "capi/capi_internal.h"

// Of the App that is a cluster: ours comes after the user's values, which have 100, and leaves room
// for what is to come after it (giantswarm/apiextensions-application, api/v1alpha1/app_types.go).
#define GIANTSWARM_PRIORITY 125
#define GIANTSWARM_PRIORITY_DEFAULT 25
#define GIANTSWARM_LAYERS_MAX 64
#define GIANTSWARM_NAME_BYTES_MAX 63
// The one key of a ConfigMap with values (giantswarm/app, pkg/values): App takes no second one.
#define GIANTSWARM_KEY "values"

// Where the chart has the gates of a component: JSON pointers into its values. Both lists are
// joined, and where a name is in both, that of internal counts.
struct giantswarm_place {
    enum component component;
    const char *slot;
    const char *provider; // nothing of the chart's own defaults is there
    const char *internal; // the user's; giving one replaces the defaults
};
#define GIANTSWARM_PLACES 4
extern const struct giantswarm_place giantswarm_places[GIANTSWARM_PLACES];

// Values that are merged before ours or after them.
struct giantswarm_layer {
    char *where;   // "ConfigMap org-a/berlin-userconfig"
    char *name;    // of a ConfigMap in the object's namespace; NULL: values are there already
    char *key;     // of its data; NULL: the only one
    unsigned rank; // merged in this order
    bool after;    // after ours
    json_t *values;
};

// The App or the HelmRelease that a cluster is made from. Trees are owned.
struct platform_giantswarm {
    char *namespace, *name;
    enum platform_kind kind;
    json_t *object; // NULL: it is gone
    char *where;    // "App org-a/berlin"
    struct giantswarm_layer *layers;
    size_t layers_len;
    unsigned unread; // Secrets and ConfigMaps elsewhere: what they say is not known
    json_t *ours;    // our ConfigMaps, named by the object or not
    json_t *values;  // of ours that it names; NULL: it names none that is there
    struct version chart;
    char *release; // of Giant Swarm's; "": nobody says
    struct platform_part parts[GIANTSWARM_PLACES];
    bool brought[GIANTSWARM_PLACES]; // the control plane that comes out says what the record wants
    size_t len;
};

// --- spec.c: what a DRAConfiguration names, see struct platform

const char *giantswarm_reaches(const json_t *config);
void giantswarm_name_targets(const json_t *config, struct strlist *names);
size_t giantswarm_signs(const json_t *config, struct platform_sign signs[PLATFORM_SIGNS_MAX]);
bool giantswarm_is_sign(const json_t *object);
size_t giantswarm_follows(const json_t *config,
                          struct platform_follow follows[PLATFORM_FOLLOWS_MAX]);
void giantswarm_kubeconfig(const json_t *config, struct cluster_way *ret_way);

// --- values.c: where values come from and what they say, pure

// The list in the object that names where its values come from.
const char *giantswarm_list(enum platform_kind kind);
// The index there of the entry that is ours; -1: there is none.
int giantswarm_entry(const struct platform_giantswarm *gs);
// The name in it, borrowed; NULL: there is none.
const char *giantswarm_named(const struct platform_giantswarm *gs);
// Fills the layers from the object; those of ConfigMaps have no values yet. LIMIT: too many.
struct error *giantswarm_find_layers(struct platform_giantswarm *gs);
// The values in a ConfigMap. INVALID: they are no YAML, or a key is not there.
struct error *giantswarm_read_map(const json_t *map, const char *where, const char *key,
                                  json_t **ret_values);
// What the last layer that has it says of a list, of those after ours or of those before;
// *ret_layer: which. Borrowed; NULL: none has it.
const json_t *giantswarm_said(const struct platform_giantswarm *gs, const char *at, bool after,
                              const struct giantswarm_layer **ret_layer);
// Of a list of gates; NULL: it does not name it.
const json_t *giantswarm_item(const json_t *list, const char *gate);
// What the object's values are to be with these gates, {slot: {gate: bool}}, beside those of the
// user. Owned; NULL: nothing is wanted of them. INVALID, reason NotManaged: the user's values say
// otherwise and would win.
struct error *giantswarm_make_values(const struct platform_giantswarm *gs, const json_t *gates,
                                     json_t **ret_values);
// The ConfigMap with them, and its name, which tells what they are. Owned.
json_t *giantswarm_make_map(const struct platform_giantswarm *gs, const json_t *values);
// The object that names this ConfigMap; NULL: none of ours. keep: an empty list stays. Owned.
json_t *giantswarm_name_map(const struct platform_giantswarm *gs, const char *map, bool keep);
void giantswarm_layer_fini(struct giantswarm_layer *layer);

// --- chart.c: which version of the chart does what, pure

enum giantswarm_feature {
    GIANTSWARM_ALL_COMPONENTS, // gates of kube-scheduler and kubelets
    GIANTSWARM_CDI,            // of containerd
    GIANTSWARM_MAX_VERSION,    // of a gate
    GIANTSWARM_FEATURES
};
bool giantswarm_has(const struct platform_giantswarm *gs, enum giantswarm_feature feature);
// Version and release, of the labels that the chart gives to all it makes.
void giantswarm_read_chart(struct platform_giantswarm *gs, const json_t *control_plane);
// INVALID, reason NotManaged: it takes gates of some components and does nothing with them.
struct error *giantswarm_check_chart(const struct platform_giantswarm *gs);

// --- read.c: what stands, pure

// Fills the parts: what of our values is theirs, what the objects that come out say, and how far
// those are.
struct error *giantswarm_read(struct platform_giantswarm *gs, const struct platform_capi *capi);
// Whether an edit, or its way back, waits for its roll-out.
bool giantswarm_is_waited_for(const struct platform_giantswarm *gs);

// --- giantswarm.c

// Turns the parts into instances.
void giantswarm_collect(struct platform_observed *observed, const struct platform_look *look,
                        const struct platform_said *said);

// --- observe.c

struct op *giantswarm_observe(struct loop *loop, const struct cluster *cluster,
                              const struct platform_target *target, platform_observed_fn *done,
                              void *owner);
