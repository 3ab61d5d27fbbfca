// SPDX-License-Identifier: Apache-2.0
// What platforms share that write objects which somebody's controllers roll out: one component in
// an object, the record of what is ours there, and what its roll-out says of our edit.
#pragma once

#include "drawbridge/rollout.h"
#include "platform_internal.h"

#define PLATFORM_RECORD_BYTES_MAX ((size_t)65536) // all annotations of an object have 256 KiB
#define PLATFORM_REVERTS_MAX 2                    // undone so often, it is reported and not fought
#define PLATFORM_READ_AGAIN_MS 2000               // nobody tells when an API server answers
// Of a part's tree: how much of what is above its flags was there before them. It is no flag, and
// does not count when trees are compared.
#define PLATFORM_PARENTS "parents"

// What the object needs beside the plan's step.
// SETTLE: note that the roll-out is complete; FORGET: that an edit failed, since it is to be tried
// again.
enum platform_need { NEED_NOTHING, NEED_SETTLE, NEED_PUT_BACK, NEED_FORGET };

// One component and the object that holds its flags. Trees are owned.
struct platform_part {
    enum component component;
    enum platform_kind kind;
    const char *slot; // which of the object's records is its, see platform_annotation()
    json_t *object;   // that has the record
    json_t *workload; // of HostedControlPlane: whose roll-out counts; NULL: not there
    char *where;      // "Deployment tenant/kube-apiserver"
    size_t container; // of HostedControlPlane: its index
    json_t *tree;     // the part of the object that may be edited, see place
    // Whether a tree of a record may be one of ours. Borrowed; NULL: any may.
    bool (*is_tree)(const json_t *tree);
    struct site_place place; // of the flags in the tree
    struct gates_flags flags;
    json_t *record; // NULL: none that can be read
    // {"featureGates": {..}, "runtimeConfig": {..}}: of the record, what still stands
    json_t *owned;
    bool stands; // all of it does
    struct version version;
    struct rollout rollout;
    // Wall clock: when its roll-out last got on, as far as the object's parts tell. 0: nobody says
    int64_t progress_ms;
    int64_t reverts; // how often somebody undid what we wrote, as platform_part_report() found
    enum platform_need need;
    const char *reason; // with NEED_PUT_BACK
    char *message;
    char *words; // why the roll-out does not get on; NULL: nobody says
};
// Fills flags, record and what follows from it; the place, the tree and the object are there.
struct error *platform_part_read(struct platform_part *part);
void platform_part_fini(struct platform_part *part);

// --- record.c: the annotation that says what is ours, and the edits that it makes possible

char *platform_annotation(const char *slot); // "drawbridge.dev/SLOT"
void platform_record_read(struct platform_part *part);
// Whether an edit in this slot waits for its roll-out.
bool platform_is_rolling(const json_t *object, const char *slot);
// The tree with what is wanted, and the record that goes with it. LIMIT: the record is too large.
struct error *platform_record_edit(const struct platform_part *part, const json_t *want,
                                   int64_t now_wall_ms, json_t **ret_tree, json_t **ret_record);
// The tree as it was before the last edit, or where somebody else changed it since, without that
// edit's entries.
struct error *platform_record_put_back(const struct platform_part *part, int64_t now_wall_ms,
                                       json_t **ret_tree, json_t **ret_record);
// The record of an edit whose tree was changed further before it is written.
void platform_record_retarget(json_t *record, const json_t *tree);
json_t *platform_record_settle(const struct platform_part *part, int64_t now_wall_ms);
// The record without the failure; NULL: nothing is left in it.
json_t *platform_record_forget(const struct platform_part *part);

// --- judge.c: what the roll-out says of the edit that caused it

// INVALID, reason NotManaged: something else owns the object, and would undo a change. Owners whose
// apiVersion begins with but (NULL: none) do not.
struct error *platform_check_owner(const json_t *object, const char *where, const char *but);

struct platform_look {
    const struct platform_target *target;
    int64_t now_wall_ms;
    const json_t *enabled; // gates of the API server; NULL: not read
    bool asked;            // it was tried
};
// The report of a part, as an agent would give it, and what the part needs. *again_ms becomes
// smaller when it must be looked at earlier.
json_t *platform_part_report(struct platform_part *part, const struct platform_look *look,
                             uint64_t *again_ms);
// Adds an instance of it, with that report.
struct plan_instance *platform_add_part(struct platform_observed *observed,
                                        struct platform_part *part,
                                        const struct platform_look *look);
// Whether the status says that something was written to an object of one of these kinds.
bool platform_wrote_objects(const struct api_config *config, const enum platform_kind *kinds,
                            size_t len);

// --- step.c: what becomes of a part

const struct plan_step *platform_find_step(const struct plan *plan, size_t instance);

struct platform_work {
    const struct platform_observed *observed;
    const struct plan *plan;
    bool all; // for a preview: every step that changes something
};
// Owned. tree NULL: it stays; record NULL: there is none from then on. what: for the event; NULL:
// nothing worth one.
struct platform_next {
    bool changes; // false: nothing becomes of it
    json_t *tree, *record;
    char *what;
};
void platform_next_fini(struct platform_next *next);
#define AUTO_PLATFORM_NEXT CLEANUP(platform_next_fini)
// instance: of the part, in observed. An error may leave something in *ret_next.
struct error *platform_part_next(const struct platform_work *work, const struct platform_part *part,
                                 size_t instance, struct platform_next *ret_next);
// Into the object's annotations, or out of them.
void platform_record_put(json_t *object, const struct platform_part *part, const json_t *record);
// The merge patch from one to the other, held to the resourceVersion of now; NULL: nothing changes.
json_t *platform_make_patch(const json_t *now, const json_t *then);
