// SPDX-License-Identifier: Apache-2.0
#include "drawbridge/loop.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct host {
    struct loop *loop;
    struct loop_listener *listener;
    struct op *timer;
    unsigned opened, closed, data_calls;
    bool silent; // never reply
    size_t reply_bytes;
};

static void on_data(void *owner, struct loop_conn *conn, struct slice bytes)
{
    struct host *h = owner;
    h->data_calls++;
    if (!loop_conn_data(conn)) {
        h->opened++;
        loop_conn_set_data(conn, h);
    }
    if (h->silent || !memchr(bytes.ptr, '\n', bytes.len))
        return;
    AUTO_BUF struct buf b = buf_make(1 << 24);
    buf_add_str(&b, "got ");
    buf_add_slice(&b, bytes);
    while (b.len < h->reply_bytes)
        buf_add_str(&b, "0123456789abcdef");
    loop_conn_reply(conn, buf_slice(&b));
}

static void on_close(void *owner, struct loop_conn *conn)
{
    struct host *h = owner;
    if (loop_conn_data(conn))
        h->closed++;
}

static void begin(struct host *h, unsigned conns_max, uint64_t timeout_ms)
{
    h->loop = loop_new();
    struct loop_listen_spec spec = {.host = "127.0.0.1",
                                    .conns_max = conns_max,
                                    .conn_timeout_ms = timeout_ms,
                                    .on_data = on_data,
                                    .on_close = on_close,
                                    .owner = h};
    CHECK_OK(loop_listen(h->loop, &spec, &h->listener));
    CHECK(loop_listener_port(h->listener) != 0);
}

static void end(struct host *h)
{
    loop_listener_free(h->listener);
    loop_free(h->loop);
}

static int dial(const struct host *h)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(loop_listener_port(h->listener)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

static void on_stop(void *owner)
{
    struct host *h = owner;
    h->timer = NULL;
    loop_stop(h->loop);
}

static void run_for(struct host *h, uint64_t ms)
{
    h->timer = loop_sleep(h->loop, ms, on_stop, h);
    loop_run(h->loop);
    h->timer = op_drop(h->timer);
}

// Everything the other side sends until it closes, without waiting longer than what is there
// already.
static char *drain(struct host *h, int fd, bool *ret_closed)
{
    AUTO_BUF struct buf b = buf_make(1 << 24);
    static char chunk[65536];
    *ret_closed = false;
    for (int quiet = 0; quiet < 3;) {
        ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n > 0) {
            buf_add(&b, chunk, (size_t)n);
            quiet = 0;
        } else if (n == 0) {
            *ret_closed = true;
            break;
        } else {
            CHECK(errno == EAGAIN);
            run_for(h, 20);
            quiet++;
        }
    }
    return buf_take(&b);
}

TEST(a_reply_and_good_bye)
{
    struct host h = {0};
    begin(&h, 4, 5000);
    int fd = dial(&h);
    CHECK_INT(write(fd, "hel", 3), 3);
    run_for(&h, 20);
    CHECK_INT(h.data_calls, 1);
    CHECK_INT(write(fd, "lo\n", 3), 3);
    bool closed;
    CHECK_STR_TAKE(drain(&h, fd, &closed), "got lo\n");
    CHECK(closed);
    close(fd);
    run_for(&h, 20);
    CHECK_INT(h.closed, 1);
    end(&h);
}

TEST(a_peer_that_ended_its_half_gets_a_large_reply)
{
    struct host h = {.reply_bytes = 4 << 20};
    begin(&h, 4, 5000);
    int fd = dial(&h);
    CHECK_INT(write(fd, "x\n", 2), 2);
    shutdown(fd, SHUT_WR);
    bool closed;
    AUTO_MEM char *text = drain(&h, fd, &closed);
    CHECK_INT(strlen(text), (4 << 20) + 6);
    CHECK(closed);
    close(fd);
    end(&h);
}

TEST(a_connection_ends_after_its_time)
{
    struct host h = {.silent = true};
    begin(&h, 4, 500);
    uint64_t began_ms = clock_ms();
    int fd = dial(&h);
    CHECK_INT(write(fd, "x\n", 2), 2);
    run_for(&h, 20);
    CHECK_INT(h.closed, 0);
    for (int i = 0; i < 500 && h.closed == 0; i++)
        run_for(&h, 20);
    CHECK_INT(h.closed, 1);
    CHECK(clock_ms() - began_ms >= 500);
    close(fd);
    end(&h);
}

TEST(one_too_many_takes_the_place_of_the_longest_idle)
{
    struct host h = {.silent = true};
    begin(&h, 2, 5000);
    int fds[4];
    bool closed;
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = dial(&h);
        CHECK_INT(write(fds[i], "x\n", 2), 2);
        run_for(&h, 50);
    }
    CHECK_INT(h.opened, 4);
    CHECK_INT(h.closed, 2);
    for (size_t i = 0; i < COUNT(fds); i++) {
        CHECK_STR_TAKE(drain(&h, fds[i], &closed), "");
        CHECK(closed == (i < 2));
        close(fds[i]);
    }
    end(&h);
    CHECK_INT(h.closed, 4);
}

TEST(one_too_many_waits_where_all_are_being_answered)
{
    struct host h = {.reply_bytes = 8 << 20}; // more than the kernel takes at once
    begin(&h, 2, 5000);
    int fds[3];
    bool closed;
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = dial(&h);
        CHECK_INT(write(fds[i], "x\n", 2), 2);
        run_for(&h, 50);
    }
    CHECK_INT(h.opened, 2);
    CHECK_INT(h.closed, 0);
    mem_free(drain(&h, fds[0], &closed));
    CHECK(closed);
    close(fds[0]);
    run_for(&h, 50);
    CHECK_INT(h.opened, 3);
    close(fds[1]);
    close(fds[2]);
    end(&h);
}

TEST(addresses_that_do_not_work)
{
    struct host h = {0};
    begin(&h, 1, 1000);
    struct loop_listener *second = NULL;
    struct loop_listen_spec spec = {
        .host = "localhost", .conns_max = 1, .conn_timeout_ms = 1, .on_data = on_data};
    CHECK_ERR_HAS(loop_listen(h.loop, &spec, &second), ERROR_INVALID, "localhost");
    spec.host = "127.0.0.1";
    spec.port = loop_listener_port(h.listener);
    CHECK_ERR_HAS(loop_listen(h.loop, &spec, &second), ERROR_TRANSIENT, "in use");
    CHECK(second == NULL);
    end(&h);
}

TEST_MAIN()
