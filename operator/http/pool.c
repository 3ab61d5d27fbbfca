// SPDX-License-Identifier: Apache-2.0
// One curl multi handle on the loop: its sockets become polls, its time-outs one timer. No owner is
// called from here; what finished waits among the ready transfers for the next turn.
#include "http_internal.h"

// Connections kept open for reuse; further idle ones are closed, the oldest first.
#define HTTP_CONNECTIONS_KEPT_MAX ((long)HTTP_REQUESTS_MAX)

static void pool_drive(struct http_pool *pool, curl_socket_t fd, int events)
{
    int running = 0;
    CURLMcode code = curl_multi_socket_action(pool->multi, fd, events, &running);
    ASSERT(code == CURLM_OK);
    http_pool_collect(pool);
}

static void on_timer(void *owner)
{
    struct http_pool *pool = owner;
    long left_ms = -1;
    pool->timer = NULL;
    pool_drive(pool, CURL_SOCKET_TIMEOUT, 0);
    // curl asks for each moment once: where our clock was ahead of its own, nothing was due yet and
    // it would not ask again.
    if (!pool->timer && curl_multi_timeout(pool->multi, &left_ms) == CURLM_OK && left_ms >= 0)
        pool->timer =
            loop_sleep(pool->http->loop, left_ms > 0 ? (uint64_t)left_ms : 1, on_timer, pool);
}

static void on_socket_event(void *owner, int fd, int events)
{
    int set = 0;
    if (events & LOOP_READ)
        set |= CURL_CSELECT_IN;
    if (events & LOOP_WRITE)
        set |= CURL_CSELECT_OUT;
    pool_drive(owner, fd, set);
}

// curl: wake me after so long; -1: no more.
static int on_curl_timer(CURLM *multi UNUSED, long timeout_ms, void *userdata)
{
    struct http_pool *pool = userdata;
    pool->timer = op_drop(pool->timer);
    if (timeout_ms >= 0)
        pool->timer = loop_sleep(pool->http->loop, (uint64_t)timeout_ms, on_timer, pool);
    return 0;
}

// curl: tell me when this socket can be read or written.
static int on_curl_socket(CURL *easy UNUSED, curl_socket_t fd, int what, void *userdata,
                          void *socket_data)
{
    struct http_pool *pool = userdata;
    struct loop_poll *poll = socket_data;
    if (what == CURL_POLL_REMOVE) {
        if (poll)
            loop_poll_free(poll);
        (void)curl_multi_assign(pool->multi, fd, NULL);
        return 0;
    }
    if (!poll) {
        poll = loop_poll_new(pool->http->loop, fd, on_socket_event, pool);
        ASSERT(curl_multi_assign(pool->multi, fd, poll) == CURLM_OK);
    }
    int events = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= LOOP_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= LOOP_WRITE;
    loop_poll_set(poll, events);
    return 0;
}

struct http_pool *http_pool_new(struct http *http)
{
    struct http_pool *pool = NEW(struct http_pool);
    pool->http = http;
    pool->multi = curl_multi_init();
    ASSERT(pool->multi != NULL);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    // One exchange at a time on a connection: curl 7.88, which Debian 12 has, loses wake-ups of
    // streams that share one.
    (void)curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, HTTP_CONNECTIONS_KEPT_MAX);
    return pool;
}

void http_pool_add(struct http_pool *pool, struct http_transfer *transfer)
{
    ASSERT(!transfer->pool);
    transfer->pool = pool;
    pool->transfers++;
    ASSERT(curl_multi_add_handle(pool->multi, transfer->easy) == CURLM_OK);
}

static void unlink_old(struct http_pool *pool)
{
    struct http_pool **at = &pool->http->old;
    while (*at && *at != pool)
        at = &(*at)->next_old;
    ASSERT(*at == pool);
    *at = pool->next_old;
}

void http_pool_remove(struct http_transfer *transfer)
{
    struct http_pool *pool = TAKE(transfer->pool);
    if (!pool)
        return;
    (void)curl_multi_remove_handle(pool->multi, transfer->easy);
    pool->transfers--;
    if (pool->transfers == 0 && pool != pool->http->pool) {
        unlink_old(pool);
        http_pool_free(pool);
    }
}

void http_pool_collect(struct http_pool *pool)
{
    int left = 0;
    for (;;) {
        CURLMsg *message = curl_multi_info_read(pool->multi, &left);
        if (!message)
            return;
        if (message->msg != CURLMSG_DONE)
            continue;
        struct http_transfer *transfer = NULL;
        CURLcode code = message->data.result;
        ASSERT(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) == CURLE_OK);
        transfer->finished = true;
        transfer->code = code;
        http_mark_ready(transfer);
    }
}

void http_pool_free(struct http_pool *pool)
{
    ASSERT(pool->transfers == 0);
    (void)curl_multi_cleanup(pool->multi);
    pool->timer = op_drop(pool->timer);
    mem_free(pool);
}
