// SPDX-License-Identifier: Apache-2.0
// The HTTP/1.1 server for probes and scrapes: one request a connection, GET and HEAD alone. That it
// answers is the heartbeat.
#include "serve_internal.h"

#include <string.h>

// More connections than the backlog of the listener: of a burst none is pushed out before it was
// heard. A page of metrics may be long, and whoever does not read keeps it: so many at once.
enum {
    REQUEST_BYTES_MAX = 4096,
    CONNS_MAX = 128,
    CONN_TIMEOUT_MS = 10000,
    WHY_BYTES_MAX = 2048,
    PAGES_MAX = 2,
};
#define RESPONSE_BYTES_MAX ((size_t)65 << 20)

struct serve {
    struct loop_listener *listener;
    struct serve_spec spec;
    unsigned pages; // of metrics, on their way
};

struct answer {
    int status;
    const char *reason, *type;
    char *body; // owned
    bool page;  // of metrics
};

// What belongs to a connection.
struct request {
    struct buf head;
    bool page;
};

static const char text_type[] = "text/plain; charset=utf-8";

static struct answer make_answer(int status, const char *reason, const char *body)
{
    return (struct answer){status, reason, text_type, str_format("%s\n", body), false};
}

static struct answer answer_ready(const struct serve *serve)
{
    AUTO_BUF struct buf why = buf_make(WHY_BYTES_MAX);
    if (!serve->spec.ready || serve->spec.ready(serve->spec.owner, &why))
        return make_answer(200, "OK", "ok");
    return make_answer(503, "Service Unavailable", why.len ? why.ptr : "not ready");
}

static struct answer answer_path(const struct serve *serve, struct slice path)
{
    if (slice_eq(path, "/livez") || slice_eq(path, "/healthz"))
        return make_answer(200, "OK", "ok");
    if (slice_eq(path, "/readyz"))
        return answer_ready(serve);
    if (slice_eq(path, "/version"))
        return (struct answer){200, "OK", "application/json",
                               str_format("{\"version\":\"v%s\"}\n", DRAWBRIDGE_VERSION), false};
    if (slice_eq(path, "/metrics") && serve->spec.metrics && serve->pages >= PAGES_MAX)
        return make_answer(503, "Service Unavailable", "too many scrapes at once; try again");
    if (slice_eq(path, "/metrics") && serve->spec.metrics)
        return (struct answer){200, "OK", "text/plain; version=0.0.4; charset=utf-8",
                               metrics_print(serve->spec.metrics), true};
    return make_answer(404, "Not Found",
                       "not found; there are /livez, /readyz, /metrics and /version");
}

// "GET /livez?verbose HTTP/1.1" and the like.
static struct answer answer_line(const struct serve *serve, struct slice line, bool *ret_head)
{
    struct slice method, target, path, rest = line;
    *ret_head = false;
    if (!slice_cut(&rest, ' ', &method) || !slice_cut(&rest, ' ', &target) || !rest.ptr ||
        !slice_starts(rest, "HTTP/"))
        return make_answer(400, "Bad Request", "this is no HTTP request");
    if (!slice_starts(rest, "HTTP/1."))
        return make_answer(505, "HTTP Version Not Supported", "HTTP/1.0 and HTTP/1.1 alone");
    *ret_head = slice_eq(method, "HEAD");
    if (!*ret_head && !slice_eq(method, "GET"))
        return make_answer(405, "Method Not Allowed", "GET and HEAD alone");
    if (!slice_cut(&target, '?', &path) || !slice_starts(path, "/"))
        return make_answer(400, "Bad Request", "the path does not begin with /");
    return answer_path(serve, path);
}

static void send_answer(struct loop_conn *conn, struct answer answer, bool head)
{
    AUTO_MEM char *body = answer.body;
    AUTO_BUF struct buf out = buf_make(RESPONSE_BYTES_MAX);
    buf_printf(&out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", answer.status,
               answer.reason, answer.type, strlen(body));
    buf_add_str(&out, answer.status == 405 ? "Allow: GET, HEAD\r\n" : "");
    buf_add_str(
        &out,
        "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
    if (!head)
        buf_add_str(&out, body);
    size_t len = out.len;
    loop_conn_reply_take(conn, buf_take(&out), len);
}

static bool has_end_of_head(struct slice s)
{
    return memmem(s.ptr, s.len, "\r\n\r\n", 4) || memmem(s.ptr, s.len, "\n\n", 2);
}

static void on_data(void *owner, struct loop_conn *conn, struct slice bytes)
{
    struct serve *serve = owner;
    struct request *request = loop_conn_data(conn);
    if (!request) {
        request = NEW(struct request);
        request->head = buf_make(REQUEST_BYTES_MAX);
        loop_conn_set_data(conn, request);
    }
    buf_add_slice(&request->head, bytes);
    if (request->head.overflow) {
        send_answer(conn, make_answer(431, "Request Header Fields Too Large", "4 KiB at most"),
                    false);
        return;
    }
    if (!has_end_of_head(buf_slice(&request->head)))
        return;
    struct slice rest = buf_slice(&request->head), line;
    bool head = false;
    struct answer answer = slice_cut(&rest, '\n', &line)
                               ? answer_line(serve, slice_trim(line), &head)
                               : make_answer(400, "Bad Request", "empty");
    request->page = answer.page && !head;
    serve->pages += request->page;
    send_answer(conn, answer, head);
}

static void on_close(void *owner, struct loop_conn *conn)
{
    struct serve *serve = owner;
    struct request *request = loop_conn_data(conn);
    if (!request)
        return;
    serve->pages -= request->page;
    buf_fini(&request->head);
    mem_free(request);
}

struct error *serve_new(struct loop *loop, const struct serve_spec *spec, struct serve **ret_serve)
{
    struct serve *serve = NEW(struct serve);
    serve->spec = *spec;
    serve->spec.host = NULL; // borrowed for the call
    struct loop_listen_spec listen = {
        .host = spec->host ? spec->host : "0.0.0.0",
        .port = spec->port,
        .conns_max = CONNS_MAX,
        .conn_timeout_ms = CONN_TIMEOUT_MS,
        .on_data = on_data,
        .on_close = on_close,
        .owner = serve,
    };
    struct error *err = loop_listen(loop, &listen, &serve->listener);
    if (err) {
        mem_free(serve);
        return error_wrap(err, "serve health and metrics");
    }
    *ret_serve = serve;
    return NULL;
}

uint16_t serve_port(const struct serve *serve)
{
    return loop_listener_port(serve->listener);
}

void serve_free(struct serve *serve)
{
    if (!serve)
        return;
    loop_listener_free(serve->listener);
    mem_free(serve);
}
