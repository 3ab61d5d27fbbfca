// SPDX-License-Identifier: Apache-2.0
// Containers of the queue: a chained hash map and a binary heap that knows where each item stands.
#include "queue_internal.h"

#include <string.h>

static size_t slot_of(const struct queue_map *map, const char *key)
{
    uint64_t hash = 14695981039346656037U; // FNV-1a
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211U;
    return (size_t)(hash ^ hash >> 32) & (map->room - 1);
}

void *queue_map_find(const struct queue_map *map, const char *key)
{
    if (map->room == 0)
        return NULL;
    struct queue_node *node = map->slots[slot_of(map, key)];
    while (node && strcmp(node->key, key) != 0)
        node = node->chain;
    return node;
}

static void resize(struct queue_map *map, size_t room)
{
    struct queue_map wider = {
        .slots = mem_alloc(room * sizeof(struct queue_node *)), .room = room, .len = map->len};
    for (size_t i = 0; i < map->room; i++) {
        for (struct queue_node *node = map->slots[i], *after; node; node = after) {
            after = node->chain;
            size_t slot = slot_of(&wider, node->key);
            node->chain = wider.slots[slot];
            wider.slots[slot] = node;
        }
    }
    mem_free(map->slots);
    *map = wider;
}

void *queue_map_add(struct queue_map *map, const char *key, size_t bytes)
{
    if (map->len >= map->room)
        resize(map, map->room ? map->room * 2 : 16);
    struct queue_node *node = mem_alloc(bytes);
    node->key = str_dup(key);
    size_t slot = slot_of(map, key);
    node->chain = map->slots[slot];
    map->slots[slot] = node;
    map->len++;
    return node;
}

static void node_free(struct queue_node *node)
{
    mem_free(node->key);
    mem_free(node);
}

void queue_map_remove(struct queue_map *map, struct queue_node *node)
{
    struct queue_node **at = &map->slots[slot_of(map, node->key)];
    while (*at != node)
        at = &(*at)->chain;
    *at = node->chain;
    node_free(node);
    map->len--;
    // Shrinks a quarter-full map by half, so that a burst does not cost memory for ever.
    if (map->room > 64 && map->len < map->room / 4)
        resize(map, map->room / 2);
}

void queue_map_fini(struct queue_map *map)
{
    for (size_t i = 0; i < map->room; i++) {
        for (struct queue_node *node = map->slots[i], *after; node; node = after) {
            after = node->chain;
            node_free(node);
        }
    }
    mem_free(map->slots);
}

static void put_at(struct queue_heap *heap, size_t index, struct queue_item *item)
{
    heap->items[index] = item;
    item->heap_at = index + 1;
}

static void sift_up(struct queue_heap *heap, size_t index)
{
    struct queue_item *item = heap->items[index];
    while (index > 0 && heap->items[(index - 1) / 2]->due_ms > item->due_ms) {
        put_at(heap, index, heap->items[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put_at(heap, index, item);
}

static void sift_down(struct queue_heap *heap, size_t index)
{
    struct queue_item *item = heap->items[index];
    for (;;) {
        size_t child = index * 2 + 1;
        if (child + 1 < heap->len && heap->items[child + 1]->due_ms < heap->items[child]->due_ms)
            child++;
        if (child >= heap->len || heap->items[child]->due_ms >= item->due_ms)
            break;
        put_at(heap, index, heap->items[child]);
        index = child;
    }
    put_at(heap, index, item);
}

void queue_heap_add(struct queue_heap *heap, struct queue_item *item)
{
    ASSERT(item->heap_at == 0);
    if (heap->len == heap->room) {
        heap->room = heap->room ? heap->room * 2 : 16;
        heap->items = mem_realloc(heap->items, heap->room * sizeof(struct queue_item *));
    }
    put_at(heap, heap->len++, item);
    sift_up(heap, item->heap_at - 1);
}

void queue_heap_remove(struct queue_heap *heap, struct queue_item *item)
{
    if (item->heap_at == 0)
        return;
    size_t index = item->heap_at - 1;
    item->heap_at = 0;
    struct queue_item *last = heap->items[--heap->len];
    if (last == item)
        return;
    put_at(heap, index, last);
    sift_up(heap, index);
    sift_down(heap, last->heap_at - 1);
}
