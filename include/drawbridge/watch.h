// SPDX-License-Identifier: Apache-2.0
// watch: a local copy of a collection that follows the server, and a queue of keys to work on.
//
// Purpose   reflector (list, watch, bookmarks, 410, back-off), store, work queue
// May use   kube loop doc base
// Never     writes to the server
// Limits    WATCH_OBJECTS_MAX objects a store, or fewer; above it does not follow, and says so
// Blocking  no
#pragma once

#include "drawbridge/kube.h"

#define WATCH_OBJECTS_MAX 200000
#define WATCH_FAILED_MS 60000

// "namespace/name", or "name" for cluster-scoped objects.
char *watch_key(const json_t *object);

struct watch;
struct watch_spec {
    struct kube *kube;
    // A collection; strings borrowed for the life of the watch. version "": the one that the API
    // server prefers for the group by then, asked anew before each list.
    struct kube_ref ref;
    const char *label_selector, *field_selector; // NULL: none
    size_t objects_max;                          // 0: WATCH_OBJECTS_MAX
    // Makes of an object what is kept (a new reference); NULL keeps all of it but
    // metadata.managedFields.
    json_t *(*trim)(const json_t *object);
    // What is kept is small, and looked at by every pass: it is kept as trees, and equal elements
    // of lists once. Otherwise as texts, which cost a tenth, and a parse for each look.
    bool trees;
    // About what all trees may take; beyond it the watch does not follow, and says so. 0: no limit.
    size_t bytes_max;
    // A digest of what on_change wants to hear of; NULL: of every change. A change that leaves it
    // the same is kept and not told, at the price of one parse.
    uint64_t (*facet)(const json_t *object);
    // Tells from the texts alone that facet gives the same for both. False: a tree decides. For who
    // has a facet and keeps whole texts; NULL: always a tree.
    bool (*same_facet)(const struct kube_glance *was, const struct kube_glance *now);
    // An object is new or changed (was: what was kept before, NULL when new) or gone (now NULL). A
    // watch that starts over reports differences only. An object whose resourceVersion did not
    // change is not reported.
    void (*on_change)(void *owner, const char *key, const json_t *was, const json_t *now);
    void (*on_sync)(void *owner); // once: the first list is in; may be NULL
    // The server has this object and it cannot be read (kube_skip_fn): what was kept of it before
    // stays, the others go on. May be NULL.
    kube_skip_fn *on_unreadable;
    // A refusal (403) is the last word: nothing is asked again, watch_error() stays, and the owner,
    // who has another way to look, frees the watch.
    bool refusal_ends;
    void *owner;
};
// Begins at once. First list with resourceVersion=0. After failures: 0.8 s doubling to 30 s with
// full jitter, reset after 2 min of success (the constants of client-go tools/cache/reflector.go).
struct watch *watch_new(struct loop *loop, const struct watch_spec *spec);
void watch_free(struct watch *watch);
AUTO_DECLARE(watch, struct watch)
bool watch_synced(const struct watch *watch);
// Which connection it follows on, from 1; 0 while it follows on none. What was learned from the
// server beside it may be kept while this stays the same: a server that restarts ends it.
uint64_t watch_term(const struct watch *watch);
// why it does not follow just now; NULL when it does
const struct error *watch_error(const struct watch *watch);
// The last failure of one that has not followed for WATCH_FAILED_MS, also when a list worked in
// between; NULL otherwise. Failures are logged at warn, each cause once until it follows again.
const char *watch_failed(const struct watch *watch);
// borrowed until the next turn; NULL when absent
const json_t *watch_get(const struct watch *watch, const char *key);
size_t watch_count(const struct watch *watch);
typedef void watch_each_fn(void *owner, const char *key, const json_t *object);
// in order of key; object borrowed for the call
void watch_each(const struct watch *watch, watch_each_fn *fn, void *owner);
// Puts the answer of our own write (of an object that the selectors match) into the store when it
// is newer, so that the next pass does not decide on older state. It is reported like anybody's
// change, before this returns; its echo from the server, which changes nothing, is not. What was
// put there survives a list only if its resourceVersion is greater than the list's. An answer whose
// version cannot be compared with what is there is left to the server to tell.
void watch_note_write(struct watch *watch, const json_t *object);

// The same from the text of the answer alone. False: nothing was done, and it takes the tree.
bool watch_note_glance(struct watch *watch, const struct kube_glance *glance);

// --- queue: each key at most once, one worker a key, and one a lane of keys; what is added while
// it is worked on runs once more after ---

struct queue;
typedef void queue_work_fn(void *owner, const char *key); // ends with queue_done(), now or later
struct queue_spec {
    const char *name;                    // for metrics
    unsigned workers;                    // keys in work at once
    uint64_t backoff_ms, backoff_ms_max; // doubling for each failure in a row, full jitter
    // Keys of one lane are worked on one after the other, whatever each of them waits for; lanes in
    // which some wait take turns. The answer becomes the queue's. Asked when a key is added, and
    // again when its work is about to begin: that one counts, until queue_done(). NULL: one for
    // each key.
    char *(*lane)(void *owner, const char *key);
    queue_work_fn *work;
    void *owner;
};
struct queue *queue_new(struct loop *loop, const struct queue_spec *spec);
void queue_free(struct queue *queue);
AUTO_DECLARE(queue, struct queue)
void queue_add(struct queue *queue, const char *key);
// the earliest wish wins
void queue_add_after(struct queue *queue, const char *key, uint64_t delay_ms);
// What failed of this key in a row is forgotten: its next back-off is the first one again.
void queue_forget(struct queue *queue, const char *key);
// The work on key is over: failed makes it come again after its back-off; after_ms > 0: again after
// so long, failures forgotten.
void queue_done(struct queue *queue, const char *key, bool failed, uint64_t after_ms);
// The work on key waits for somebody who may never answer (another cluster's API server): it goes
// on without a worker, and others are begun. Once for each work; nothing the second time. The key
// is in work until queue_done() all the same, and so is its lane.
void queue_let_others(struct queue *queue, const char *key);
struct queue_stats {
    // working: with a worker; waiting: without (queue_let_others())
    size_t depth, working, waiting, delayed;
    uint64_t adds_total, retries_total;
    double queue_seconds_sum, work_seconds_sum; // time waited, time worked
    uint64_t queue_seconds_count, work_seconds_count;
};
struct queue_stats queue_stats(const struct queue *queue);
