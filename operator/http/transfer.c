// SPDX-License-Identifier: Apache-2.0
// One request: from the caller's wishes to curl's options, its body as it arrives, and telling the
// owner.
#include "http_internal.h"

#include <string.h>

#define HTTP_CONNECT_TIMEOUT_MS 10000
#define HTTP_KEEPALIVE_IDLE_S 30L // as client-go's HTTP/2 ping: 30 s idle, 15 s between probes
#define HTTP_KEEPALIVE_INTERVAL_S 15L
#define HTTP_STREAM_REUSE_S 2L // enough for the watch that follows a list

// Fails only for want of memory or for an option this curl was built without: neither is the
// caller's.
#define SET(easy, option, value) ASSERT(curl_easy_setopt(easy, option, value) == CURLE_OK)

static bool streams_now(const struct http_transfer *transfer)
{
    return transfer->stream && transfer->status >= 200 && transfer->status < 300;
}

static size_t on_curl_body(char *bytes, size_t size, size_t count, void *userdata)
{
    struct http_transfer *transfer = userdata;
    size_t len = size * count;
    if (transfer->status == 0)
        (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->status);
    struct buf *data = &transfer->data;
    if (len > data->max - data->len || transfer->held) {
        if (streams_now(transfer) && data->len > 0) {
            transfer->paused = true;
            return CURL_WRITEFUNC_PAUSE;
        }
        transfer->over_limit = true;
        return 0;
    }
    buf_add(data, bytes, len);
    transfer->last_byte_ms = clock_ms();
    if (streams_now(transfer))
        http_mark_ready(transfer);
    return len;
}

static void end_early(struct http_transfer *transfer)
{
    http_pool_remove(transfer);
    transfer->finished = true;
    http_mark_ready(transfer);
}

// A stream that says nothing for too long is taken for dead. One sleep at a time, so an idle stream
// costs one wake-up.
static void on_watchdog(void *owner)
{
    struct http_transfer *transfer = owner;
    transfer->watchdog = NULL;
    if (transfer->finished)
        return;
    uint64_t silent_ms = clock_ms() - transfer->last_byte_ms;
    if (silent_ms < transfer->idle_ms) {
        transfer->watchdog =
            loop_sleep(transfer->http->loop, transfer->idle_ms - silent_ms, on_watchdog, transfer);
        return;
    }
    transfer->idle_ended = true;
    end_early(transfer);
}

static bool has_control(const char *s)
{
    for (; s && *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

// What would let a header or URL that came from outside write other headers is refused before curl
// sees it.
static char *refusal(const struct http_request *request)
{
    if (has_control(request->url) || has_control(request->method))
        return str_dup("the URL or method holds a control character");
    if (!str_starts(request->url, "https://") && !str_starts(request->url, "http://"))
        return str_dup("the URL is neither http:// nor https://");
    for (const char *const *at = request->headers; at && *at; at++)
        if (has_control(*at))
            return str_dup("a header holds a control character");
    return NULL;
}

static void set_blob(CURL *easy, CURLoption option, struct slice pem)
{
    struct curl_blob blob = {.len = pem.len, .flags = CURL_BLOB_COPY};
    memcpy(&blob.data, &pem.ptr, sizeof(blob.data)); // curl only reads it; the field is not const
    SET(easy, option, &blob);
}

static void set_tls(CURL *easy, const struct http_tls *tls)
{
    if (tls->insecure) {
        SET(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        SET(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (tls->ca_pem.len > 0 || tls->ca_file) {
        // Otherwise the system's directory of CAs would be trusted beside the one that was named.
        SET(easy, CURLOPT_CAPATH, (char *)NULL);
        // curl would go on trusting the file's old content for a day.
        SET(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    }
    if (tls->ca_pem.len > 0)
        set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca_pem);
    else if (tls->ca_file)
        SET(easy, CURLOPT_CAINFO, tls->ca_file);
    if (tls->cert_pem.len > 0) {
        set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert_pem);
        set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key_pem);
    } else if (tls->cert_file) {
        SET(easy, CURLOPT_SSLCERT, tls->cert_file);
        SET(easy, CURLOPT_SSLKEY, tls->key_file ? tls->key_file : tls->cert_file);
    }
}

// tls.server_name: the name is asked of and checked against the certificate, the address stays the
// URL's. curl takes the name from the URL, so the URL gets the name and a connect-to entry leads
// back to the address.
static void set_server_name(struct http_transfer *transfer, const char *server_name)
{
    CURLU *url = curl_url();
    ASSERT(url != NULL);
    char *host = NULL, *renamed = NULL;
    if (curl_url_set(url, CURLUPART_URL, transfer->url, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_HOST, server_name, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &renamed, 0) == CURLUE_OK) {
        char *entry = str_format("::%s:", host);
        transfer->connect_to = curl_slist_append(NULL, entry);
        mem_free(entry);
        SET(transfer->easy, CURLOPT_URL, renamed);
        SET(transfer->easy, CURLOPT_CONNECT_TO, transfer->connect_to);
    }
    curl_free(host);
    curl_free(renamed);
    curl_url_cleanup(url);
}

static void set_method(struct http_transfer *transfer, const struct http_request *request)
{
    CURL *easy = transfer->easy;
    if (str_eq(request->method, "HEAD")) {
        SET(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    bool sends =
        request->body.len > 0 || str_eq(request->method, "POST") || str_eq(request->method, "PUT");
    if (sends) {
        transfer->body = slice_dup(request->body);
        SET(easy, CURLOPT_POSTFIELDS, transfer->body);
        SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    }
    SET(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_headers(struct http_transfer *transfer, const struct http_request *request)
{
    bool typed = false;
    for (const char *const *at = request->headers; at && *at; at++) {
        typed = typed || strncasecmp(*at, "content-type:", 13) == 0;
        transfer->headers = curl_slist_append(transfer->headers, *at);
    }
    // no extra round trip for large bodies
    transfer->headers = curl_slist_append(transfer->headers, "Expect:");
    if (!typed)
        transfer->headers = curl_slist_append(transfer->headers, "Content-Type:");
    SET(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
}

static void set_options(struct http_transfer *transfer, const struct http_request *request)
{
    CURL *easy = transfer->easy;
    SET(easy, CURLOPT_PRIVATE, transfer);
    SET(easy, CURLOPT_ERRORBUFFER, transfer->curl_error);
    SET(easy, CURLOPT_WRITEFUNCTION, on_curl_body);
    SET(easy, CURLOPT_WRITEDATA, transfer);
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    // Decision 12: with one exchange at a time on a connection HTTP/2 gives nothing, and curl 7.88
    // takes the RST_STREAM with which a server refuses the rest of a request's body for a cut
    // answer.
    SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    // A connection that was idle for longer may have died without a word; a request would time out,
    // but a stream is expected to be silent.
    if (transfer->stream)
        SET(easy, CURLOPT_MAXAGE_CONN, HTTP_STREAM_REUSE_S);
    SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(easy, CURLOPT_TCP_KEEPIDLE, HTTP_KEEPALIVE_IDLE_S);
    SET(easy, CURLOPT_TCP_KEEPINTVL, HTTP_KEEPALIVE_INTERVAL_S);
    SET(easy, CURLOPT_USERAGENT, transfer->http->user_agent);
    uint64_t connect_ms =
        request->connect_timeout_ms ? request->connect_timeout_ms : HTTP_CONNECT_TIMEOUT_MS;
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    SET(easy, CURLOPT_URL, request->url);
    if (request->unix_socket)
        SET(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
    if (request->proxy) { // NO_PROXY goes with the environment's proxies alone
        SET(easy, CURLOPT_PROXY, request->proxy);
        SET(easy, CURLOPT_NOPROXY, "");
    }
    if (request->tls)
        set_tls(easy, request->tls);
    if (request->tls && request->tls->server_name)
        set_server_name(transfer, request->tls->server_name);
    set_method(transfer, request);
    set_headers(transfer, request);
}

static char *host_of(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return str_ndup(host, strcspn(host, "/?#"));
}

static void on_drop(struct op *op)
{
    struct http_transfer *transfer = (struct http_transfer *)(void *)op;
    if (transfer->http->told == transfer)
        transfer->http->told = NULL;
    http_transfer_free(transfer);
}

struct http_transfer *http_transfer_new(struct http *http, const struct http_request *request,
                                        http_done_fn *done, void *owner)
{
    ASSERT(done != NULL);
    ASSERT(request->body_bytes_max > 0);
    ASSERT(request->idle_ms > 0 ? request->on_data != NULL : request->timeout_ms > 0);
    struct http_transfer *transfer = NEW(struct http_transfer);
    transfer->op.drop = on_drop;
    http_list_init(&transfer->link);
    transfer->http = http;
    transfer->method = str_dup(request->method);
    transfer->url = str_ndup(request->url, strcspn(request->url, "?#"));
    transfer->host = host_of(request->url);
    transfer->data = buf_make(request->body_bytes_max);
    transfer->stream = request->idle_ms > 0;
    transfer->on_data = request->on_data;
    transfer->done = done;
    transfer->owner = owner;
    transfer->started_ms = clock_ms();
    transfer->timeout_ms = request->timeout_ms;
    transfer->idle_ms = request->idle_ms;
    http->transfers++;
    transfer->refused = refusal(request);
    if (transfer->refused) {
        transfer->finished = true;
        return transfer;
    }
    transfer->easy = curl_easy_init();
    ASSERT(transfer->easy != NULL);
    set_options(transfer, request);
    return transfer;
}

void http_transfer_begin(struct http_transfer *transfer)
{
    struct http *http = transfer->http;
    transfer->begun = true;
    if (transfer->timeout_ms > 0) {
        // The caller's time runs from the send on, also while the request waited for its turn.
        uint64_t waited_ms = clock_ms() - transfer->started_ms;
        uint64_t left_ms = waited_ms < transfer->timeout_ms ? transfer->timeout_ms - waited_ms : 1;
        SET(transfer->easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    }
    if (transfer->stream) {
        transfer->last_byte_ms = clock_ms();
        transfer->watchdog = loop_sleep(http->loop, transfer->idle_ms, on_watchdog, transfer);
    } else {
        http->running++;
    }
    http_pool_add(http->pool, transfer);
}

// Out of curl and of every list; the easy handle still knows what the answer was.
static void detach(struct http_transfer *transfer)
{
    struct http *http = transfer->http;
    http_list_remove(&transfer->link);
    transfer->watchdog = op_drop(transfer->watchdog);
    bool ran = transfer->begun && !transfer->stream;
    http_pool_remove(transfer);
    if (ran)
        http->running--;
    http->transfers--;
    http_start_waiting(http);
}

static void release(struct http_transfer *transfer)
{
    if (transfer->easy)
        curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    curl_slist_free_all(transfer->connect_to);
    buf_fini(&transfer->data);
    mem_free(transfer->method);
    mem_free(transfer->url);
    mem_free(transfer->host);
    mem_free(transfer->body);
    mem_free(transfer->refused);
    mem_free(transfer);
}

void http_transfer_free(struct http_transfer *transfer)
{
    detach(transfer);
    release(transfer);
}

static void tell_end(struct http_transfer *transfer)
{
    struct http *http = transfer->http;
    detach(transfer);
    struct error *err = http_transfer_error(transfer);
    struct http_response response = {0};
    http_transfer_response(transfer, &response);
    bool followed = transfer->timeout_ms == 0 && response.status >= 200 && response.status < 300;
    if (http->observe)
        http->observe(http->observe_owner, transfer->method, transfer->host,
                      err ? 0 : response.status,
                      followed ? HTTP_FOLLOWED : clock_ms() - transfer->started_ms);
    transfer->done(transfer->owner, err, err ? NULL : &response);
    release(transfer);
}

void http_transfer_tell(struct http_transfer *transfer)
{
    struct http *http = transfer->http;
    if (streams_now(transfer) && transfer->data.len > 0) {
        if (!http_may_tell(transfer))
            return;
        struct buf data = transfer->data;
        transfer->data = buf_make(data.max);
        uint64_t began_ns = http_now_ns(http);
        http->told = transfer;
        transfer->on_data(transfer->owner, buf_slice(&data));
        http_note_work(http, began_ns);
        bool dropped = http->told != transfer;
        http->told = NULL;
        if (dropped) {
            buf_fini(&data);
            return;
        }
        // The memory serves again.
        buf_reset(&data);
        transfer->data = data;
    }
    if (transfer->finished) {
        tell_end(transfer);
        return;
    }
    if (transfer->paused) {
        struct http_pool *pool = transfer->pool;
        transfer->paused = false;
        (void)curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
        http_pool_collect(pool);
    }
}
