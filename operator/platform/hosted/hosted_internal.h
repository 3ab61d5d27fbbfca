// SPDX-License-Identifier: Apache-2.0
// What the files of the platform HostedControlPlane share.
#pragma once

#include "drawbridge/rollout.h"
#include "platform_internal.h"

#define HOSTED_COMPONENTS ((size_t)COMPONENT_KUBELET)
#define HOSTED_RECORD_BYTES_MAX ((size_t)65536) // all annotations of an object have 256 KiB
#define HOSTED_REVERTS_MAX 2                    // undone so often, it is reported and not fought
#define HOSTED_KUBELETS_MAX 16                  // minors
#define HOSTED_READ_AGAIN_MS 2000               // nobody tells when an API server answers

// What the object needs beside the plan's step.
// SETTLE: note that the roll-out is complete; FORGET: that an edit failed, since it is to be tried
// again.
enum hosted_need { HOSTED_NOTHING, HOSTED_SETTLE, HOSTED_PUT_BACK, HOSTED_FORGET };

// One component and the object that holds its flags. Trees are owned.
struct hosted_part {
    enum component component;
    enum platform_kind kind;
    json_t *object; // Deployment, StatefulSet or TenantControlPlane
    // whose roll-out counts: the object, or the Deployment of the TenantControlPlane; NULL: not
    // there
    json_t *workload;
    char *where;                     // "Deployment tenant/kube-apiserver"
    struct site_container container; // borrows from object
    json_t *lists;                   // {"command": [..], "args": [..]}: those that are there
    struct gates_flags flags;
    json_t *record; // NULL: none that can be read
    // {"featureGates": {..}, "runtimeConfig": {..}}: of the record, what still stands
    json_t *owned;
    bool stands; // all of it does
    struct version version;
    enum hosted_need need;
    const char *reason; // with HOSTED_PUT_BACK
    char *message;
    char *words; // of its pods: why the roll-out does not get on; NULL: they say nothing
};

struct platform_hosted {
    char *namespace;
    struct hosted_part parts[HOSTED_COMPONENTS];
    size_t len;
    // Of the hosted cluster, one of each minor: what they ask the API server for counts.
    struct version kubelets[HOSTED_KUBELETS_MAX];
    size_t kubelets_len;
};

// --- spec.c: what a DRAConfiguration names, see struct platform

const char *hosted_reaches(const json_t *config);
void hosted_name_targets(const json_t *config, struct strlist *names);
size_t hosted_follows(const json_t *config, struct platform_follow follows[PLATFORM_FOLLOWS_MAX]);
struct error *hosted_check(const struct api_config *config);

// --- find.c: which object is a component, and whether we may write it

// The field of spec.platform.hostedControlPlane, and of Kamaji's extraArgs: "apiServer", ...
const char *hosted_field(enum component component);
// The label selector of a component; NULL: none is given.
const char *hosted_selector(const json_t *spec, enum component component);
// Whether the object goes by the component's name: the one in the spec, or where there is none the
// component's own, as its name or as one of the usual labels.
bool hosted_matches(const json_t *spec, enum component component, const json_t *object);
// INVALID, reason NotManaged: something else owns the object, or it would never roll out.
struct error *hosted_check_owner(const json_t *object, const char *where);
struct error *hosted_check_strategy(enum platform_kind kind, const json_t *object,
                                    const char *where);
// Fills a part from its object and workload. take_object and take_workload are the part's also
// after an error.
struct error *hosted_part_make(enum component component, enum platform_kind kind,
                               json_t *take_object, json_t *take_workload,
                               struct hosted_part *ret_part);
void hosted_part_fini(struct hosted_part *part);

// --- record.c: the annotation that says what is ours, and the edits that it makes possible

// The annotation that holds a component's record.
char *hosted_annotation(enum component component);
void hosted_record_read(struct hosted_part *part);
struct site_place hosted_place(const struct hosted_part *part); // of its lists
// Whether an edit of this component waits for its roll-out.
bool hosted_is_rolling(const json_t *object, enum component component);
// The lists with what is wanted, and the record that goes with them. LIMIT: the record is too
// large.
struct error *hosted_record_edit(const struct hosted_part *part, const json_t *want,
                                 int64_t now_wall_ms, json_t **ret_lists, json_t **ret_record);
// The lists as they were before the last edit, or where somebody else changed them since, without
// that edit's entries.
struct error *hosted_record_put_back(const struct hosted_part *part, int64_t now_wall_ms,
                                     json_t **ret_lists, json_t **ret_record);
json_t *hosted_record_settle(const struct hosted_part *part, int64_t now_wall_ms);
// The record without the failure; NULL: nothing is left in it.
json_t *hosted_record_forget(const struct hosted_part *part);
// The JSON patch to these lists (NULL: as they are) and this record (NULL: none), on the
// resourceVersion of the object.
json_t *hosted_patch(const struct hosted_part *part, const json_t *lists, const json_t *record);

// --- rollout.c: how far it is, and what that says of the edit that caused it

struct rollout hosted_rollout_of(const struct hosted_part *part);

struct hosted_look {
    const struct platform_target *target;
    int64_t now_wall_ms;
    const json_t *enabled; // gates of the hosted API server; NULL: not read
    bool asked;            // it was tried
};
// The report of a part, as an agent would give it, and what the part needs. *again_ms becomes
// smaller when it must be looked at earlier.
json_t *hosted_report(struct hosted_part *part, const struct hosted_look *look, uint64_t *again_ms);

// --- hosted.c

// Turns the parts into instances; look: what the hosted API server said.
void hosted_collect(struct platform_observed *observed, const struct hosted_look *look);

// --- ask.c

struct hosted_said {
    bool asked;    // the spec has a kubeconfig, and it was read
    json_t *gates; // name → bool of its /metrics; NULL: not read
    char *unread;  // why not
    bool denied;   // it answers, and does not let us read them: there is nothing to wait for
};
void hosted_said_fini(struct hosted_said *said);
// The error, owned: the Secret or its kubeconfig cannot be read. An API server that does not answer
// is none: it may be rolling out just now.
typedef void hosted_said_fn(void *owner, struct error *take_err);
// Fills said, and version, served API and kubelets of observed; both borrowed until done or the
// drop. NULL: the spec has no kubeconfig, or all is to be undone, and done is not called.
struct op *hosted_ask(struct loop *loop, const struct cluster *cluster,
                      const struct platform_target *target, struct platform_observed *observed,
                      struct hosted_said *said, hosted_said_fn *done, void *owner);
// A Node of the hosted cluster: its kubelet counts where there is one to look after.
void hosted_note_node(struct platform_observed *observed, const json_t *node);
void hosted_forget_nodes(struct platform_observed *observed); // the list is not whole

// --- observe.c

struct op *hosted_observe(struct loop *loop, const struct cluster *cluster,
                          const struct platform_target *target, platform_observed_fn *done,
                          void *owner);
