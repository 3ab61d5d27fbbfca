// SPDX-License-Identifier: Apache-2.0
// walk: what passes of all kinds share: the way from step to step, and events.
//
// Purpose   goes through a kind's table of steps, counts its passes; writes Events on our objects
// May use   watch kube api serve loop doc base
// Never     knows what a pass carries, or which step comes after which
// Limits    a step has its kind's step_ms_max; 128 events wait, 64 series are followed
// Blocking  no
#pragma once

#include "drawbridge/kube.h"
#include "drawbridge/serve.h"
#include "drawbridge/watch.h"

// --- walk: how passes go from step to step -------------------------------------------------------

enum verdict { VERDICT_NEXT, VERDICT_WAIT }; // WAIT: an op calls walk_continue()

struct walk_step {
    const char *name;
    struct error *(*begin)(void *walk, enum verdict *ret_verdict); // NULL: the end
};

// What tells passes of DRAConfigurations from those of ConfigSources.
struct walk_kind {
    const char *controller, *prefix; // in metrics, and before the key in the log
    const struct walk_step *steps;   // begun at the first
    uint64_t step_ms_max; // a step that waits longer is given up, and the pass comes again
    // What comes after walk->step, which failed or did not.
    unsigned (*next)(const void *walk, bool failed);
    // at the last step; when to look again, 0: only when something changes
    uint64_t (*end)(void *walk);
    void (*drop)(void *walk); // what it has beside its struct walk, and itself
};

struct walks { // of one queue
    const struct walk_kind *kind;
    struct loop *loop;
    struct queue *queue;
    struct walk *first;
    struct metric *total, *seconds, *errors, *terminal; // NULL: not counted
};
// From now on passes are counted, in families that both kinds share; metrics NULL: they are not.
void walks_count(struct walks *walks, struct metrics *metrics);

struct walk {
    struct walks *walks;
    struct walk *next;
    char *key;
    uint64_t began_ms;
    unsigned step;
    struct op *pending, *deadline;
    struct error *err; // the first one; REPORT tells it
    bool failed;       // come again with back-off
};
void walk_start(struct walk *walk, struct walks *walks, const char *key); // ends with queue_done()
// For callbacks of a step's op: the step is over, with or without an error.
void walk_continue(struct walk *walk, struct error *take_err);
// Where they are: all that which says so of, NULL: all.
void walks_drop(struct walks *walks, bool (*which)(const void *walk));

// --- events: written in the background, one at a time, the oldest dropped when there are too many;
// those of a series are combined

extern uint64_t events_combine_ms; // the first wait before a series is combined; tests change it
struct events;
struct events *events_new(struct loop *loop, struct kube *kube, const char *component,
                          const char *host);
void events_free(struct events *events);
// object: whose event it is. warning: type Warning, else Normal.
void events_emit(struct events *events, const json_t *object, bool warning, const char *reason,
                 const char *fmt, ...) PRINTF(5, 6);
