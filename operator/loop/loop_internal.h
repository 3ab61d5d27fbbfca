// SPDX-License-Identifier: Apache-2.0
// What the files of this room share: the loop itself, and how a libuv handle goes away.
#pragma once

#include <uv.h>

#include "drawbridge/loop.h"

enum { SCRATCH_BYTES = 64 * 1024 };

struct wait;
struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare; // counts the turns
    uv_timer_t timer;     // set to the earliest sleep
    uv_idle_t idle;       // runs while something is deferred
    uint64_t turns;
    unsigned live;         // ops, polls and listeners that somebody holds
    uint64_t processor_ms; // of all children that were waited for, by the last look
    uint64_t seq_next;
    struct wait **sleeps; // a heap, earliest first
    size_t sleep_count, sleep_room;
    struct wait *deferred_first, *deferred_last;
    char scratch[SCRATCH_BYTES]; // reads land here and are used up before the next one
};

void loop_on_timer(uv_timer_t *timer);
void loop_on_idle(uv_idle_t *idle);
// For uv_read_start().
void loop_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf);

// libuv takes char * for what it only reads.
static inline char *loop_unconst(const char *s)
{
    return (char *)(uintptr_t)s; // NOLINT(performance-no-int-to-ptr)
}
static inline uv_handle_t *loop_handle(void *handle)
{
    return handle; // every libuv handle begins like this one
}
