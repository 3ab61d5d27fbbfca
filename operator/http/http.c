// SPDX-License-Identifier: Apache-2.0
// The client: takes requests in, lets HTTP_REQUESTS_MAX of them run, and tells owners from a
// deferred call of its own, so that whatever an owner does (drop this request or another, send new
// ones) happens outside curl's stack.
#include "http_internal.h"

#include <string.h>

static unsigned clients; // curl's global state lives as long as one of them

// Not zeroed: curl asks for some large buffers of which it fills little.
static void *on_malloc(size_t bytes)
{
    return mem_realloc(NULL, bytes);
}

static void *on_calloc(size_t count, size_t bytes)
{
    size_t all = 0;
    ASSERT(!__builtin_mul_overflow(count, bytes, &all));
    return mem_alloc(all);
}

struct http *http_new(struct loop *loop, const char *user_agent)
{
    if (clients++ == 0)
        ASSERT(curl_global_init_mem(CURL_GLOBAL_DEFAULT, on_malloc, mem_free, mem_realloc, str_dup,
                                    on_calloc) == CURLE_OK);
    struct http *http = NEW(struct http);
    http->loop = loop;
    http->user_agent = str_dup(user_agent);
    http_list_init(&http->waiting);
    http_list_init(&http->ready);
    http_list_init(&http->held);
    http->pool = http_pool_new(http);
    return http;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    ASSERT(http->transfers == 0);
    ASSERT(!http->dispatching);
    ASSERT(!http->old);
    http->dispatch = op_drop(http->dispatch);
    http->resume = op_drop(http->resume);
    http_pool_free(TAKE(http->pool));
    mem_free(http->user_agent);
    mem_free(http);
    if (--clients == 0)
        curl_global_cleanup();
}

unsigned http_in_flight(const struct http *http)
{
    return http->transfers;
}

void http_set_observer(struct http *http, http_observe_fn *fn, void *owner)
{
    http->observe = fn;
    http->observe_owner = owner;
}

// curl has no call that closes idle connections; a fresh multi handle knows none, and the old one
// goes with its last transfer.
void http_forget_connections(struct http *http)
{
    struct http_pool *old = http->pool;
    http->pool = http_pool_new(http);
    if (old->transfers == 0) {
        http_pool_free(old);
        return;
    }
    old->next_old = http->old;
    http->old = old;
}

static struct http_transfer *transfer_of(struct http_link *link)
{
    return (struct http_transfer *)(void *)((char *)link - offsetof(struct http_transfer, link));
}

static void on_dispatch(void *owner)
{
    struct http *http = owner;
    http->dispatch = NULL;
    http->dispatching = true;
    // What becomes ready through this waits for the next turn: the loop gets a chance between.
    struct http_link batch;
    http_list_init(&batch);
    while (!http_list_empty(&http->ready)) {
        struct http_link *link = http->ready.next;
        http_list_remove(link);
        http_list_append(&batch, link);
    }
    while (!http_list_empty(&batch)) {
        struct http_link *link = batch.next;
        http_list_remove(link);
        http_transfer_tell(transfer_of(link));
    }
    http->dispatching = false;
}

void http_mark_ready(struct http_transfer *transfer)
{
    struct http *http = transfer->http;
    if (http_list_empty(&transfer->link))
        http_list_append(&http->ready, &transfer->link);
    if (!http->dispatch)
        http->dispatch = loop_defer(http->loop, on_dispatch, http);
}

// --- pace ----------------------------------------------------------------------------------------

void http_pace(struct http *http, uint64_t burst_ms, unsigned percent)
{
    ASSERT(burst_ms > 0 && burst_ms <= 3600000 && percent > 0 && percent <= 100);
    http->burst_us = http->left_us = (int64_t)burst_ms * 1000;
    http->percent = percent;
    http->left_at_ms = clock_ms();
}

static void refill(struct http *http)
{
    uint64_t now_ms = clock_ms(), passed_ms = now_ms - http->left_at_ms;
    http->left_at_ms = now_ms;
    // so long that it is full in any case must not overflow
    http->left_us += (int64_t)(passed_ms < 86400000 ? passed_ms : 86400000) * 10 * http->percent;
    if (http->left_us > http->burst_us)
        http->left_us = http->burst_us;
}

static void on_resume(void *owner)
{
    struct http *http = owner;
    http->resume = NULL;
    while (!http_list_empty(&http->held)) {
        struct http_transfer *transfer = transfer_of(http->held.next);
        http_list_remove(&transfer->link);
        transfer->held = false;
        http_mark_ready(transfer);
    }
}

bool http_may_tell(struct http_transfer *transfer)
{
    struct http *http = transfer->http;
    if (http->percent == 0)
        return true;
    refill(http);
    if (http->left_us > 0)
        return true;
    transfer->held = true;
    http_list_append(&http->held, &transfer->link);
    if (!http->resume)
        http->resume = loop_sleep(http->loop, (uint64_t)(-http->left_us / 10 / http->percent) + 1,
                                  on_resume, http);
    return false;
}

uint64_t http_now_ns(const struct http *http)
{
    return http->percent > 0 ? clock_ns() : 0;
}

void http_note_work(struct http *http, uint64_t began_ns)
{
    if (http->percent > 0)
        http->left_us -= (int64_t)((clock_ns() - began_ns) / 1000);
}

struct op *http_send(struct http *http, const struct http_request *request, http_done_fn *done,
                     void *owner)
{
    struct http_transfer *transfer = http_transfer_new(http, request, done, owner);
    if (transfer->refused)
        http_mark_ready(transfer);
    else if (transfer->stream || http->running < HTTP_REQUESTS_MAX)
        http_transfer_begin(transfer);
    else
        http_list_append(&http->waiting, &transfer->link);
    return &transfer->op;
}

void http_start_waiting(struct http *http)
{
    while (http->running < HTTP_REQUESTS_MAX && !http_list_empty(&http->waiting)) {
        struct http_link *link = http->waiting.next;
        http_list_remove(link);
        http_transfer_begin(transfer_of(link));
    }
}
