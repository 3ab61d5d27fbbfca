// SPDX-License-Identifier: Apache-2.0
// A TCP listener for short exchanges: so many connections, each for so long, one reply and
// good-bye.
#include "loop_internal.h"

#include <string.h>

enum { BACKLOG = 64, LINGER_MS = 1000 };

struct loop_listener {
    uv_tcp_t uv;
    struct loop *loop;
    struct loop_listen_spec spec;
    uint16_t port;
    struct loop_conn *conns; // a list
    unsigned conn_count;
    bool waiting; // libuv holds an accepted connection that was one too many
    bool closing;
};

struct loop_conn {
    uv_tcp_t uv;
    struct loop_listener *listener; // NULL when the connection is closing
    struct loop *loop;
    struct loop_conn *prev, *next;
    struct op *timer;
    void *data;
    uv_write_t write;
    uv_shutdown_t shutdown;
    char *reply;
    bool written;   // the reply is on its way and our half is ended
    bool peer_done; // the peer ended its half while the reply was not written yet
};

static void accept_one(struct loop_listener *listener);

static void on_conn_closed(uv_handle_t *handle)
{
    struct loop_conn *conn = handle->data;
    mem_free(conn->reply);
    mem_free(conn);
}

static void close_conn(struct loop_conn *conn)
{
    struct loop_listener *listener = conn->listener;
    if (!listener)
        return;
    conn->timer = op_drop(conn->timer);
    *(conn->prev ? &conn->prev->next : &listener->conns) = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    listener->conn_count--;
    if (listener->spec.on_close)
        listener->spec.on_close(listener->spec.owner, conn);
    conn->listener = NULL;
    uv_close(loop_handle(&conn->uv), on_conn_closed);
    if (listener->waiting && !listener->closing)
        accept_one(listener);
}

static void on_conn_timeout(void *owner)
{
    struct loop_conn *conn = owner;
    conn->timer = NULL;
    close_conn(conn);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
    struct loop_conn *conn = stream->data;
    if (count < 0) {
        uv_read_stop(stream);
        conn->peer_done = true;
        if (!conn->reply || conn->written ||
            count != UV_EOF) // a peer that only ended its half still gets the reply
            close_conn(conn);
        return;
    }
    if (count > 0 && !conn->reply) {
        const struct loop_listen_spec *spec = &conn->listener->spec;
        spec->on_data(spec->owner, conn, (struct slice){bytes->base, (size_t)count});
    }
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    struct loop_conn *conn = shutdown->handle->data;
    if (!conn->listener)
        return;
    if (status < 0) {
        close_conn(conn);
        return;
    }
    // Closing at once with unread bytes would reset the connection and lose the reply: the peer
    // gets a moment to close first.
    op_drop(conn->timer);
    conn->timer = loop_sleep(conn->loop, LINGER_MS, on_conn_timeout, conn);
}

static void on_written(uv_write_t *write, int status)
{
    struct loop_conn *conn = write->handle->data;
    if (!conn->listener)
        return;
    conn->written = true;
    if (status < 0 || conn->peer_done ||
        uv_shutdown(&conn->shutdown, write->handle, on_shutdown) < 0)
        close_conn(conn);
}

void loop_conn_reply(struct loop_conn *conn, struct slice bytes)
{
    loop_conn_reply_take(conn, slice_dup(bytes), bytes.len);
}

void loop_conn_reply_take(struct loop_conn *conn, char *take_bytes, size_t len)
{
    ASSERT(!conn->reply && conn->listener && len < UINT32_MAX);
    conn->reply = take_bytes;
    uv_buf_t out = uv_buf_init(conn->reply, (unsigned)len);
    if (uv_write(&conn->write, (uv_stream_t *)&conn->uv, &out, 1, on_written) < 0)
        close_conn(conn);
}

static void accept_one(struct loop_listener *listener)
{
    listener->waiting = false;
    struct loop_conn *conn = NEW(struct loop_conn);
    conn->loop = listener->loop;
    conn->listener = listener;
    uv_tcp_init(&listener->loop->uv, &conn->uv);
    conn->uv.data = conn;
    conn->next = listener->conns;
    if (conn->next)
        conn->next->prev = conn;
    listener->conns = conn;
    listener->conn_count++;
    conn->timer = loop_sleep(listener->loop, listener->spec.conn_timeout_ms, on_conn_timeout, conn);
    if (uv_accept((uv_stream_t *)&listener->uv, (uv_stream_t *)&conn->uv) < 0 ||
        uv_read_start((uv_stream_t *)&conn->uv, loop_on_alloc, on_read) < 0)
        close_conn(conn);
}

// The list has the newest first. One that is being answered ends soon by itself, or by its time.
static struct loop_conn *longest_idle(const struct loop_listener *listener)
{
    struct loop_conn *found = NULL;
    for (struct loop_conn *conn = listener->conns; conn; conn = conn->next)
        found = conn->reply ? found : conn;
    return found;
}

// Whoever connects and says nothing must not keep those away who have something to ask.
static void on_connection(uv_stream_t *server, int status)
{
    struct loop_listener *listener = server->data;
    if (status < 0)
        return;
    struct loop_conn *idle =
        listener->conn_count >= listener->spec.conns_max ? longest_idle(listener) : NULL;
    if (idle)
        close_conn(idle);
    if (listener->conn_count >= listener->spec.conns_max)
        listener->waiting = true; // libuv stops to listen until it is taken
    else
        accept_one(listener);
}

static void on_listener_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static struct error *bind_and_listen(struct loop_listener *listener, const char *host,
                                     uint16_t port)
{
    struct sockaddr_storage address = {0};
    bool is_v6 = strchr(host, ':') != NULL;
    int status = is_v6 ? uv_ip6_addr(host, port, (struct sockaddr_in6 *)&address)
                       : uv_ip4_addr(host, port, (struct sockaddr_in *)&address);
    if (status < 0)
        return error_new(ERROR_INVALID, "listen on %s: it is not an IP address", host);
    status = uv_tcp_bind(&listener->uv, (struct sockaddr *)&address, 0);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&listener->uv, BACKLOG, on_connection);
    if (status < 0)
        return error_errno(-status, "listen on %s port %u", host, port);
    int len = sizeof(address);
    ASSERT(uv_tcp_getsockname(&listener->uv, (struct sockaddr *)&address, &len) == 0);
    const uint16_t bound = is_v6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                 : ((struct sockaddr_in *)&address)->sin_port;
    listener->port = ntohs(bound);
    return NULL;
}

struct error *loop_listen(struct loop *loop, const struct loop_listen_spec *spec,
                          struct loop_listener **ret_listener)
{
    ASSERT(spec->on_data && spec->conns_max > 0 && spec->conn_timeout_ms > 0);
    struct loop_listener *listener = NEW(struct loop_listener);
    *listener = (struct loop_listener){.loop = loop, .spec = *spec};
    uv_tcp_init(&loop->uv, &listener->uv);
    listener->uv.data = listener;
    loop->live++;
    struct error *err = bind_and_listen(listener, spec->host, spec->port);
    listener->spec.host = NULL; // borrowed for the call
    if (err) {
        loop_listener_free(listener);
        return err;
    }
    *ret_listener = listener;
    return NULL;
}

uint16_t loop_listener_port(const struct loop_listener *listener)
{
    return listener->port;
}

void loop_listener_free(struct loop_listener *listener)
{
    if (!listener)
        return;
    listener->closing = true;
    while (listener->conns)
        close_conn(listener->conns);
    listener->loop->live--;
    uv_close(loop_handle(&listener->uv), on_listener_closed);
}

void *loop_conn_data(const struct loop_conn *conn)
{
    return conn->data;
}

void loop_conn_set_data(struct loop_conn *conn, void *data)
{
    conn->data = data;
}
