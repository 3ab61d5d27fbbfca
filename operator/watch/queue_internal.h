// SPDX-License-Identifier: Apache-2.0
// The queue's own containers: keys by hash, delayed keys by time.
#pragma once

#include "drawbridge/watch.h"

#define QUEUE_BATCH_MAX 64 // keys begun in one turn of the loop

struct queue_item {
    struct queue_item *chain; // in the map
    struct queue_item *next;  // in the line of those that wait for a worker
    bool queued, working;
    bool waiting;      // worked on without a worker
    bool dirty;        // added while it was worked on: once more after
    unsigned failures; // in a row
    size_t heap_at;    // its place in the heap, from 1; 0: not delayed
    uint64_t due_ms, added_ms, began_ms;
    char key[];
};

struct queue_map {
    struct queue_item **slots; // a power of two of them
    size_t room, len;
};
struct queue_item *queue_map_find(const struct queue_map *map, const char *key);
struct queue_item *queue_map_add(struct queue_map *map, const char *key);
void queue_map_remove(struct queue_map *map, struct queue_item *item); // frees it
void queue_map_fini(struct queue_map *map);

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
    struct queue_item *first, *last;
    struct queue_heap heap;
    struct op *dispatch, *timer;
    uint64_t timer_due_ms;
    struct queue_stats stats;
    bool *freed; // of the turn that calls work
};
