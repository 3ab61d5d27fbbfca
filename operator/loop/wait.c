// SPDX-License-Identifier: Apache-2.0
// Sleeps and deferred calls. One libuv timer serves all sleeps (a heap of ours): a timer of its own
// for each would cost a turn of the loop to close. What a callback starts never runs in the same
// pass, so that nobody can keep the loop from its sockets.
#include "loop_internal.h"

struct wait {
    struct op op;
    struct loop *loop;
    loop_fn *fn;
    void *owner;
    uint64_t due_ms, seq;
    size_t index;             // in the heap
    struct wait *prev, *next; // in the list of deferred calls
};

#define DELAY_MS_MAX ((uint64_t)1 << 40) // thirty years: no overflow of a sum

static bool is_earlier(const struct wait *a, const struct wait *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

static void place(struct loop *loop, size_t index, struct wait *wait)
{
    loop->sleeps[index] = wait;
    wait->index = index;
}

static void sift_up(struct loop *loop, size_t index, struct wait *wait)
{
    for (; index > 0; index = (index - 1) / 2) {
        struct wait *parent = loop->sleeps[(index - 1) / 2];
        if (!is_earlier(wait, parent))
            break;
        place(loop, index, parent);
    }
    place(loop, index, wait);
}

static void sift_down(struct loop *loop, size_t index, struct wait *wait)
{
    for (size_t child; (child = 2 * index + 1) < loop->sleep_count; index = child) {
        if (child + 1 < loop->sleep_count &&
            is_earlier(loop->sleeps[child + 1], loop->sleeps[child]))
            child++;
        if (!is_earlier(loop->sleeps[child], wait))
            break;
        place(loop, index, loop->sleeps[child]);
    }
    place(loop, index, wait);
}

static void arm(struct loop *loop)
{
    if (loop->sleep_count == 0) {
        uv_timer_stop(&loop->timer);
        return;
    }
    uint64_t due = loop->sleeps[0]->due_ms, now = uv_now(&loop->uv);
    if (uv_is_active(loop_handle(&loop->timer)) && now + uv_timer_get_due_in(&loop->timer) == due)
        return;
    uv_timer_start(&loop->timer, loop_on_timer, due > now ? due - now : 0, 0);
}

static void take_sleep(struct wait *wait)
{
    struct loop *loop = wait->loop;
    struct wait *moved = loop->sleeps[--loop->sleep_count];
    size_t hole = wait->index;
    if (moved == wait)
        return;
    if (hole > 0 && is_earlier(moved, loop->sleeps[(hole - 1) / 2]))
        sift_up(loop, hole, moved);
    else
        sift_down(loop, hole, moved);
}

// The op is gone before its owner hears of it.
static void finish(struct wait *wait)
{
    loop_fn *fn = wait->fn;
    void *owner = wait->owner;
    wait->loop->live--;
    mem_free(wait);
    fn(owner);
}

void loop_on_timer(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    uint64_t now = uv_now(&loop->uv); // what starts meanwhile is due after it
    while (loop->sleep_count > 0 && loop->sleeps[0]->due_ms <= now) {
        struct wait *wait = loop->sleeps[0];
        take_sleep(wait);
        finish(wait);
    }
    arm(loop);
}

static void on_drop_sleep(struct op *op)
{
    struct wait *wait = (struct wait *)op;
    take_sleep(wait);
    arm(wait->loop);
    wait->loop->live--;
    mem_free(wait);
}

static struct wait *make(struct loop *loop, loop_fn *fn, void *owner, void (*drop)(struct op *op))
{
    struct wait *wait = NEW(struct wait);
    wait->op.drop = drop;
    wait->loop = loop;
    wait->fn = fn;
    wait->owner = owner;
    wait->seq = loop->seq_next++;
    loop->live++;
    return wait;
}

struct op *loop_sleep(struct loop *loop, uint64_t delay_ms, loop_fn *fn, void *owner)
{
    if (delay_ms == 0)
        return loop_defer(loop, fn, owner);
    struct wait *wait = make(loop, fn, owner, on_drop_sleep);
    uint64_t now = uv_hrtime() / 1000000; // the loop's own time is as old as this turn
    wait->due_ms = now + (delay_ms < DELAY_MS_MAX ? delay_ms : DELAY_MS_MAX);
    if (loop->sleep_count == loop->sleep_room) {
        loop->sleep_room = loop->sleep_room ? loop->sleep_room * 2 : 16;
        loop->sleeps = mem_realloc(loop->sleeps, loop->sleep_room * sizeof(*loop->sleeps));
    }
    sift_up(loop, loop->sleep_count++, wait);
    arm(loop);
    return &wait->op;
}

static void unlink_deferred(struct wait *wait)
{
    struct loop *loop = wait->loop;
    *(wait->prev ? &wait->prev->next : &loop->deferred_first) = wait->next;
    *(wait->next ? &wait->next->prev : &loop->deferred_last) = wait->prev;
}

static void rest_if_empty(struct loop *loop)
{
    if (!loop->deferred_first)
        uv_idle_stop(&loop->idle);
}

void loop_on_idle(uv_idle_t *idle)
{
    struct loop *loop = idle->data;
    uint64_t limit = loop->seq_next;
    while (loop->deferred_first && loop->deferred_first->seq < limit) {
        struct wait *wait = loop->deferred_first;
        unlink_deferred(wait);
        finish(wait);
    }
    rest_if_empty(loop);
}

static void on_drop_deferred(struct op *op)
{
    struct wait *wait = (struct wait *)op;
    unlink_deferred(wait);
    rest_if_empty(wait->loop);
    wait->loop->live--;
    mem_free(wait);
}

struct op *loop_defer(struct loop *loop, loop_fn *fn, void *owner)
{
    struct wait *wait = make(loop, fn, owner, on_drop_deferred);
    wait->prev = loop->deferred_last;
    *(wait->prev ? &wait->prev->next : &loop->deferred_first) = wait;
    loop->deferred_last = wait;
    uv_idle_start(&loop->idle, loop_on_idle);
    return &wait->op;
}
