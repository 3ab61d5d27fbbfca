// SPDX-License-Identifier: Apache-2.0
// The loop's life: made, run, and gone only when nobody holds anything of it.
#include "loop_internal.h"

#include <signal.h>

// libuv aborts with us when there is no memory.
static void *on_malloc(size_t bytes)
{
    return mem_alloc(bytes);
}

static void *on_calloc(size_t count, size_t bytes)
{
    size_t all;
    ASSERT(!__builtin_mul_overflow(count, bytes, &all));
    return mem_alloc(all);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;
    loop->turns++;
}

void loop_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    (void)suggested;
    struct loop *loop = handle->loop->data;
    *ret_buf = uv_buf_init(loop->scratch, SCRATCH_BYTES);
}

struct loop *loop_new(void)
{
    static bool once;
    if (!once) {
        once = true;
        uv_replace_allocator(on_malloc, mem_realloc, on_calloc, mem_free);
        // a write to a child or peer that is gone is an error, not our end
        signal(SIGPIPE, SIG_IGN);
    }
    struct loop *loop = NEW(struct loop);
    ASSERT(uv_loop_init(&loop->uv) == 0);
    loop->uv.data = loop;
    uv_prepare_init(&loop->uv, &loop->prepare);
    loop->prepare.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_unref(loop_handle(&loop->prepare));
    uv_timer_init(&loop->uv, &loop->timer);
    loop->timer.data = loop;
    uv_idle_init(&loop->uv, &loop->idle);
    loop->idle.data = loop;
    return loop;
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    ASSERT(loop->live == 0);
    uv_close(loop_handle(&loop->prepare), NULL);
    uv_close(loop_handle(&loop->timer), NULL);
    uv_close(loop_handle(&loop->idle), NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT)) // children that were dropped are reaped here
        continue;
    ASSERT(uv_loop_close(&loop->uv) == 0);
    mem_free(loop->sleeps);
    mem_free(loop);
}

uint64_t loop_turns(const struct loop *loop)
{
    return loop->turns;
}
