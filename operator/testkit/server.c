// SPDX-License-Identifier: Apache-2.0
// The scripted server. Plain sockets and polls: loop's own listener closes after each reply, and
// what is to be tested here is everything that servers do besides.
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX ((size_t)64 << 20)

struct server_conn {
    struct server *server;
    struct server_conn *next;
    int fd;
    struct loop_poll *poll;
    struct buf in, out;
};

struct server {
    struct loop *loop;
    int fd;
    struct loop_poll *poll;
    char *url;
    struct server_conn *conns;
    unsigned requests, accepted, open;
    server_fn *fn;
    server_close_fn *on_close;
    void *owner;
    bool *freed; // of the turn that runs fn
};

static void conn_close(struct server_conn *conn)
{
    struct server *server = conn->server;
    struct server_conn **at = &server->conns;
    while (*at != conn)
        at = &(*at)->next;
    *at = conn->next;
    server->open--;
    if (server->on_close)
        server->on_close(server->owner, conn);
    loop_poll_free(conn->poll);
    close(conn->fd);
    buf_fini(&conn->in);
    buf_fini(&conn->out);
    mem_free(conn);
}

static bool conn_is_open(const struct server *server, const struct server_conn *conn)
{
    const struct server_conn *at = server->conns;
    while (at && at != conn)
        at = at->next;
    return at != NULL;
}

static void conn_flush(struct server_conn *conn)
{
    while (conn->out.len > 0) {
        ssize_t sent = send(conn->fd, conn->out.ptr, conn->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            buf_reset(&conn->out); // the peer is gone; reading tells
        if (sent < 0)
            break;
        buf_drop_front(&conn->out, (size_t)sent);
    }
    loop_poll_set(conn->poll, conn->out.len > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

void server_raw(struct server_conn *conn, struct slice bytes)
{
    buf_add_slice(&conn->out, bytes);
    ASSERT(!conn->out.overflow);
    conn_flush(conn);
}

static void add_head(struct buf *out, int status, const char *headers)
{
    buf_printf(out, "HTTP/1.1 %d Scripted\r\n%s", status, headers);
    if (!strcasestr(headers, "content-type:"))
        buf_add_str(out, "Content-Type: application/json\r\n");
}

void server_reply(struct server_conn *conn, int status, const char *headers, const char *body)
{
    AUTO_BUF struct buf out = buf_make(REQUEST_BYTES_MAX);
    add_head(&out, status, headers);
    buf_printf(&out, "Content-Length: %zu\r\n\r\n", strlen(body));
    buf_add_str(&out, body);
    server_raw(conn, buf_slice(&out));
}

void server_begin(struct server_conn *conn, int status, const char *headers)
{
    AUTO_BUF struct buf out = buf_make(REQUEST_BYTES_MAX);
    add_head(&out, status, headers);
    buf_add_str(&out, "Transfer-Encoding: chunked\r\n\r\n");
    server_raw(conn, buf_slice(&out));
}

void server_chunk(struct server_conn *conn, struct slice bytes)
{
    if (bytes.len == 0)
        return;
    AUTO_BUF struct buf out = buf_make(REQUEST_BYTES_MAX);
    buf_printf(&out, "%zx\r\n", bytes.len);
    buf_add_slice(&out, bytes);
    buf_add_str(&out, "\r\n");
    server_raw(conn, buf_slice(&out));
}

void server_end(struct server_conn *conn)
{
    server_raw(conn, slice_of("0\r\n\r\n"));
}

void server_cut(struct server_conn *conn)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    conn_close(conn);
}

static const char *find_header(const char *head, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = head; line && *line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncasecmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 1;
    return NULL;
}

char *server_header(const struct server_request *request, const char *name)
{
    const char *value = find_header(request->head, name);
    if (!value)
        return str_dup("");
    struct slice line = {value, strcspn(value, "\r\n")};
    return slice_dup(slice_trim(line));
}

// One request, when there is a whole one: false when not, or when the connection or server is gone
// afterwards.
static bool take_request(struct server_conn *conn)
{
    struct server *server = conn->server;
    const char *end = conn->in.len ? strstr(conn->in.ptr, "\r\n\r\n") : NULL;
    if (!end)
        return false;
    size_t head_len = (size_t)(end - conn->in.ptr) + 4;
    AUTO_MEM char *head = str_ndup(conn->in.ptr, head_len);
    const char *length = find_header(head, "Content-Length");
    uint64_t body_len = 0;
    if (length)
        (void)slice_to_u64(slice_trim((struct slice){length, strcspn(length, "\r\n")}), &body_len);
    if (conn->in.len < head_len + body_len)
        return false;
    AUTO_MEM char *body = str_ndup(conn->in.ptr + head_len, body_len);
    buf_drop_front(&conn->in, head_len + body_len);
    struct slice rest = slice_of(head), method, target;
    if (!slice_cut(&rest, ' ', &method) || !slice_cut(&rest, ' ', &target))
        abort();
    AUTO_MEM char *method_text = slice_dup(method);
    AUTO_MEM char *target_text = slice_dup(target);
    struct server_request request = {method_text, target_text, head, {body, body_len}};
    server->requests++;
    bool freed = false;
    server->freed = &freed;
    server->fn(server->owner, conn, &request);
    if (freed)
        return false;
    server->freed = NULL;
    return conn_is_open(server, conn);
}

static void on_conn(void *owner, int fd, int events)
{
    struct server_conn *conn = owner;
    if (events & LOOP_WRITE)
        conn_flush(conn);
    char chunk[65536];
    ssize_t got = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        conn_close(conn);
        return;
    }
    buf_add(&conn->in, chunk, (size_t)got);
    while (take_request(conn))
        continue;
}

static void on_accept(void *owner, int fd, int events UNUSED)
{
    struct server *server = owner;
    int conn_fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (conn_fd < 0)
        return;
    struct server_conn *conn = NEW(struct server_conn);
    conn->server = server;
    conn->fd = conn_fd;
    conn->in = buf_make(REQUEST_BYTES_MAX);
    conn->out = buf_make(REQUEST_BYTES_MAX);
    conn->next = server->conns;
    server->conns = conn;
    server->accepted++;
    server->open++;
    conn->poll = loop_poll_new(server->loop, conn_fd, on_conn, conn);
    loop_poll_set(conn->poll, LOOP_READ);
}

struct server *server_new(struct loop *loop, server_fn *fn, void *owner)
{
    struct server *server = NEW(struct server);
    server->loop = loop;
    server->fn = fn;
    server->owner = owner;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    ASSERT(server->fd >= 0);
    ASSERT(bind(server->fd, (struct sockaddr *)&address, len) == 0);
    ASSERT(listen(server->fd, 128) == 0);
    ASSERT(getsockname(server->fd, (struct sockaddr *)&address, &len) == 0);
    server->url = str_format("http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    server->poll = loop_poll_new(loop, server->fd, on_accept, server);
    loop_poll_set(server->poll, LOOP_READ);
    return server;
}

bool server_stop_accepting(struct server *server)
{
    if (server->fd < 0)
        return false;
    loop_poll_free(server->poll);
    close(server->fd);
    server->fd = -1;
    return true;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    if (server->freed)
        *server->freed = true;
    server->on_close = NULL;
    while (server->conns)
        conn_close(server->conns);
    (void)server_stop_accepting(server);
    mem_free(server->url);
    mem_free(server);
}

void server_on_close(struct server *server, server_close_fn *fn)
{
    server->on_close = fn;
}

const char *server_url(const struct server *server)
{
    return server->url;
}

unsigned server_requests(const struct server *server)
{
    return server->requests;
}

unsigned server_accepted(const struct server *server)
{
    return server->accepted;
}

unsigned server_open(const struct server *server)
{
    return server->open;
}
