// SPDX-License-Identifier: Apache-2.0
// The work queue: client-go's dirty and processing sets, with jitter in the back-off (client-go has
// none), and one timer for all delayed keys, so that an idle queue wakes nobody.
#include "queue_internal.h"

#include <string.h>

static void arm_timer(struct queue *queue);

static struct queue_item *item_of(struct queue *queue, const char *key)
{
    struct queue_item *item = queue_map_find(&queue->map, key);
    return item ? item : queue_map_add(&queue->map, key, sizeof(*item));
}

// A key that nothing is known of any more costs nothing.
static void forget_idle(struct queue *queue, struct queue_item *item)
{
    if (!item->queued && !item->working && !item->dirty && item->heap_at == 0 &&
        item->failures == 0)
        queue_map_remove(&queue->map, &item->node);
}

static void on_dispatch(void *owner);

static void want_dispatch(struct queue *queue)
{
    if (!queue->dispatch && queue->lanes.first && queue->stats.working < queue->spec.workers)
        queue->dispatch = loop_defer(queue->loop, on_dispatch, queue);
}

static char *lane_of(const struct queue *queue, const struct queue_item *item)
{
    const struct queue_spec *spec = &queue->spec;
    return spec->lane ? spec->lane(spec->owner, item->node.key) : str_dup(item->node.key);
}

static void wait_in_lane(struct queue *queue, struct queue_item *item)
{
    AUTO_MEM char *name = lane_of(queue, item);
    queue_lanes_add(&queue->lanes, name, item);
}

static void enqueue(struct queue *queue, struct queue_item *item)
{
    queue_heap_remove(&queue->heap, item); // now is earlier than later
    if (item->queued || item->dirty)
        return;
    queue->stats.adds_total++;
    item->added_ms = clock_ms();
    if (item->working) {
        item->dirty = true;
        return;
    }
    item->queued = true;
    queue->stats.depth++;
    wait_in_lane(queue, item);
    want_dispatch(queue);
}

// The next key that may be worked on. NULL: its lane is another one by now, and it waits there.
static struct queue_item *dequeue(struct queue *queue)
{
    struct queue_item *item = queue_lanes_take(&queue->lanes);
    AUTO_MEM char *name = lane_of(queue, item);
    if (!str_eq(name, item->lane->node.key)) {
        queue_lanes_end(&queue->lanes, item);
        queue_lanes_add(&queue->lanes, name, item);
        return NULL;
    }
    item->queued = false;
    queue->stats.depth--;
    return item;
}

static void on_dispatch(void *owner)
{
    struct queue *queue = owner;
    queue->dispatch = NULL;
    bool freed = false;
    queue->freed = &freed;
    for (unsigned i = 0;
         i < QUEUE_BATCH_MAX && queue->lanes.first && queue->stats.working < queue->spec.workers;
         i++) {
        struct queue_item *item = dequeue(queue);
        if (!item)
            continue;
        item->working = true;
        item->began_ms = clock_ms();
        queue->stats.working++;
        queue->stats.queue_seconds_sum += (double)(item->began_ms - item->added_ms) / 1000;
        queue->stats.queue_seconds_count++;
        AUTO_MEM char *key = str_dup(item->node.key); // the item may be gone when work returns
        queue->spec.work(queue->spec.owner, key);
        if (freed)
            return;
    }
    queue->freed = NULL;
    want_dispatch(queue);
}

static void on_timer(void *owner)
{
    struct queue *queue = owner;
    queue->timer = NULL;
    uint64_t now_ms = clock_ms();
    while (queue->heap.len > 0 && queue->heap.items[0]->due_ms <= now_ms)
        enqueue(queue, queue->heap.items[0]);
    arm_timer(queue);
}

static void arm_timer(struct queue *queue)
{
    if (queue->heap.len == 0)
        return;
    uint64_t due_ms = queue->heap.items[0]->due_ms, now_ms = clock_ms();
    if (queue->timer && queue->timer_due_ms <= due_ms)
        return;
    op_drop(queue->timer);
    queue->timer_due_ms = due_ms;
    queue->timer = loop_sleep(queue->loop, due_ms > now_ms ? due_ms - now_ms : 0, on_timer, queue);
}

static void delay(struct queue *queue, struct queue_item *item, uint64_t delay_ms)
{
    uint64_t due_ms = clock_ms() + delay_ms;
    if (item->queued || item->dirty || (item->heap_at > 0 && item->due_ms <= due_ms))
        return;
    queue_heap_remove(&queue->heap, item);
    item->due_ms = due_ms;
    queue_heap_add(&queue->heap, item);
    arm_timer(queue);
}

void queue_add(struct queue *queue, const char *key)
{
    enqueue(queue, item_of(queue, key));
}

void queue_add_after(struct queue *queue, const char *key, uint64_t delay_ms)
{
    if (delay_ms == 0)
        queue_add(queue, key);
    else
        delay(queue, item_of(queue, key), delay_ms);
}

static uint64_t backoff(const struct queue *queue, unsigned failures)
{
    uint64_t most_ms = queue->spec.backoff_ms;
    for (unsigned i = 1; i < failures && most_ms < queue->spec.backoff_ms_max; i++)
        most_ms *= 2;
    most_ms = most_ms < queue->spec.backoff_ms_max ? most_ms : queue->spec.backoff_ms_max;
    return rand_below(most_ms + 1);
}

void queue_done(struct queue *queue, const char *key, bool failed, uint64_t after_ms)
{
    struct queue_item *item = queue_map_find(&queue->map, key);
    ASSERT(item && item->working);
    if (item->waiting)
        queue->stats.waiting--;
    else
        queue->stats.working--;
    item->working = item->waiting = false;
    queue_lanes_end(&queue->lanes, item);
    queue->stats.work_seconds_sum += (double)(clock_ms() - item->began_ms) / 1000;
    queue->stats.work_seconds_count++;
    item->failures = failed ? item->failures + 1 : 0;
    if (item->dirty) {
        uint64_t added_ms = item->added_ms;
        item->dirty = false;
        queue->stats.adds_total--; // counted when it was added
        enqueue(queue, item);
        item->added_ms = added_ms;
    }
    if (failed) {
        queue->stats.retries_total++;
        uint64_t wait_ms = backoff(queue, item->failures);
        delay(queue, item, wait_ms > after_ms ? wait_ms : after_ms);
    } else if (after_ms > 0) {
        delay(queue, item, after_ms);
    }
    forget_idle(queue, item);
    want_dispatch(queue);
}

void queue_let_others(struct queue *queue, const char *key)
{
    struct queue_item *item = queue_map_find(&queue->map, key);
    ASSERT(item && item->working);
    if (item->waiting)
        return;
    item->waiting = true;
    queue->stats.working--;
    queue->stats.waiting++;
    want_dispatch(queue);
}

void queue_forget(struct queue *queue, const char *key)
{
    struct queue_item *item = queue_map_find(&queue->map, key);
    if (!item)
        return;
    item->failures = 0;
    forget_idle(queue, item);
}

struct queue_stats queue_stats(const struct queue *queue)
{
    struct queue_stats stats = queue->stats;
    stats.delayed = queue->heap.len;
    return stats;
}

struct queue *queue_new(struct loop *loop, const struct queue_spec *spec)
{
    ASSERT(spec->workers > 0 && spec->work);
    ASSERT(spec->backoff_ms > 0 && spec->backoff_ms_max >= spec->backoff_ms);
    struct queue *queue = NEW(struct queue);
    queue->loop = loop;
    queue->spec = *spec;
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    if (queue->freed)
        *queue->freed = true;
    queue->dispatch = op_drop(queue->dispatch);
    queue->timer = op_drop(queue->timer);
    queue_map_fini(&queue->map);
    queue_map_fini(&queue->lanes.map);
    mem_free(queue->heap.items);
    mem_free(queue);
}
