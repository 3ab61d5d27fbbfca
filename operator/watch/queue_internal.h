// SPDX-License-Identifier: Apache-2.0
// The queue's own containers: keys and lanes by hash, delayed keys by time, lanes in turn.
#pragma once

#include "drawbridge/watch.h"

#define QUEUE_BATCH_MAX 64 // keys begun in one turn of the loop

struct queue_node { // in a map
    struct queue_node *chain;
    char *key;
};

struct queue_item {
    struct queue_node node;  // must be first
    struct queue_lane *lane; // where it is queued or worked on, else NULL
    struct queue_item *next; // of its lane
    bool queued, working;
    bool waiting;      // worked on without a worker
    bool dirty;        // added while it was worked on: once more after
    unsigned failures; // in a row
    size_t heap_at;    // its place in the heap, from 1; 0: not delayed
    uint64_t due_ms, added_ms, began_ms;
};

struct queue_map {
    struct queue_node **slots; // a power of two of them
    size_t room, len;
};
void *queue_map_find(const struct queue_map *map, const char *key);
void *queue_map_add(struct queue_map *map, const char *key, size_t bytes); // with a node first
void queue_map_remove(struct queue_map *map, struct queue_node *node);     // frees it
void queue_map_fini(struct queue_map *map);

struct queue_lane {
    struct queue_node node;          // must be first
    struct queue_lane *next;         // of those that are ready
    struct queue_item *first, *last; // that wait for their turn in it
    bool ready, busy;
};

struct queue_lanes {
    struct queue_map map;
    struct queue_lane *first, *last; // ready: some wait, and none is worked on
};
// The item waits at the end of the lane of this name.
void queue_lanes_add(struct queue_lanes *lanes, const char *name, struct queue_item *item);
// The next item of the next lane, to be worked on; a lane must be ready.
struct queue_item *queue_lanes_take(struct queue_lanes *lanes);
// The work on the item is over, or is not to begin.
void queue_lanes_end(struct queue_lanes *lanes, struct queue_item *item);

struct queue_heap {
    struct queue_item **items; // items[0] is due first
    size_t len, room;
};
void queue_heap_add(struct queue_heap *heap, struct queue_item *item);
// nothing when it is not in it
void queue_heap_remove(struct queue_heap *heap, struct queue_item *item);

struct queue {
    struct loop *loop;
    struct queue_spec spec;
    struct queue_map map;
    struct queue_lanes lanes;
    struct queue_heap heap;
    struct op *dispatch, *timer;
    uint64_t timer_due_ms;
    struct queue_stats stats;
    bool *freed; // of the turn that calls work
};
