// SPDX-License-Identifier: Apache-2.0
// What the files of http share: a pool is one curl multi handle, a transfer is one request.
#pragma once

#include <curl/curl.h>

#include "drawbridge/http.h"

// A ring: a transfer is in one list at a time, and leaves it without knowing which.
struct http_link {
    struct http_link *prev, *next;
};

static inline void http_list_init(struct http_link *list)
{
    list->prev = list->next = list;
}
static inline bool http_list_empty(const struct http_link *list)
{
    return list->next == list;
}
static inline void http_list_remove(struct http_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    http_list_init(link);
}
static inline void http_list_append(struct http_link *list, struct http_link *link)
{
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

// One curl multi handle with its connections. Forgetting the connections makes a new pool the
// current one; an old pool goes when its last transfer ends.
struct http_pool {
    struct http *http;
    CURLM *multi;
    struct op *timer;   // what curl asked for
    unsigned transfers; // in the multi
    struct http_pool *next_old;
};

struct http {
    struct loop *loop;
    char *user_agent;
    struct http_pool *pool;   // for what starts from now on
    struct http_pool *old;    // still with transfers in them
    struct http_link waiting; // over HTTP_REQUESTS_MAX, in order
    struct http_link ready;   // with data or an end to tell the owner of
    struct op *dispatch;      // pending while ready has something
    struct http_link held;    // streams whose data waits until the client may take more
    struct op *resume;        // pending while held has something
    unsigned percent;         // of the time that streams may take; 0: no limit
    int64_t burst_us;         // as much as is ever left
    int64_t left_us;          // that they may take now; below 0 after much work
    uint64_t left_at_ms;
    // whose owner is being told something; cleared when it is dropped meanwhile
    struct http_transfer *told;
    unsigned running;   // whole answers in the multi handles
    unsigned transfers; // all there are
    bool dispatching;
    http_observe_fn *observe;
    void *observe_owner;
};

struct http_transfer {
    struct op op;          // first
    struct http_link link; // in http.waiting, http.ready or http.held; second
    struct http *http;
    struct http_pool *pool; // NULL: not in a multi handle
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    char *method, *url, *host, *body;
    char *refused; // why it was never tried; NULL
    struct buf data;
    long status;     // known once the first byte of the body is there
    bool begun;      // was in a multi handle
    bool stream;     // on_data gets 2xx bodies
    bool paused;     // the owner is behind: curl was told to wait
    bool held;       // in http.held
    bool over_limit; // the answer is larger than the request allows
    bool idle_ended; // the watchdog ended it
    bool finished;   // code says how
    CURLcode code;
    uint64_t started_ms, timeout_ms, idle_ms, last_byte_ms;
    struct op *watchdog; // of a stream
    void (*on_data)(void *owner, struct slice bytes);
    http_done_fn *done;
    void *owner;
    char curl_error[CURL_ERROR_SIZE];
};

// pool.c
struct http_pool *http_pool_new(struct http *http);
void http_pool_add(struct http_pool *pool, struct http_transfer *transfer);
void http_pool_remove(struct http_transfer *transfer); // frees an old pool that it leaves empty
void http_pool_collect(struct http_pool *pool);        // puts what finished among the ready ones
void http_pool_free(struct http_pool *pool);

// http.c
void http_mark_ready(struct http_transfer *transfer);
void http_start_waiting(struct http *http);
// Whether data may be told now. Else the transfer is ready again when it may be.
bool http_may_tell(struct http_transfer *transfer);
void http_note_work(struct http *http, uint64_t began_ns);
uint64_t http_now_ns(const struct http *http); // 0: nobody asks how long it takes

// transfer.c
struct http_transfer *http_transfer_new(struct http *http, const struct http_request *request,
                                        http_done_fn *done, void *owner);
void http_transfer_begin(struct http_transfer *transfer); // into the current pool
// its owner: data, then the end; frees it at the end
void http_transfer_tell(struct http_transfer *transfer);
void http_transfer_free(struct http_transfer *transfer);

// answer.c
// NULL: there was a whole answer
struct error *http_transfer_error(const struct http_transfer *transfer);
void http_transfer_response(const struct http_transfer *transfer,
                            struct http_response *ret_response);
