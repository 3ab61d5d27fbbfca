// SPDX-License-Identifier: Apache-2.0
// Whatever comes over a connection, in whatever portions: an answer of HTTP or none, and the
// connection ends. Portions end at the byte 0x01, which no request has.
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drawbridge/serve.h"
#include "fuzz.h"

struct bench {
    struct loop *loop;
    struct metrics *metrics;
    struct serve *serve;
    struct op *turn;
};

static bool is_ready(void *owner, struct buf *why)
{
    (void)owner;
    buf_add_str(why, "not yet\n");
    return false;
}

static struct bench *open_bench(void)
{
    static struct bench *bench;
    struct serve_spec spec = {.host = "127.0.0.1", .ready = is_ready};
    if (bench)
        return bench;
    bench = NEW(struct bench);
    bench->loop = loop_new();
    bench->metrics = metrics_new();
    metric_set(metrics_family(bench->metrics, "x_total", METRIC_COUNTER, "name", "Things"), 1,
               "\"\n");
    spec.metrics = bench->metrics;
    struct error *err = serve_new(bench->loop, &spec, &bench->serve);
    ASSERT(!err);
    return bench;
}

static void on_turn(void *owner)
{
    struct bench *bench = owner;
    bench->turn = NULL;
    loop_stop(bench->loop);
}

static void turn(struct bench *bench)
{
    bench->turn = loop_sleep(bench->loop, 0, on_turn, bench);
    loop_run(bench->loop);
}

static int connect_to(const struct bench *bench)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(serve_port(bench->serve)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

// What the server says until it ends the connection.
static void read_answer(struct bench *bench, int fd, struct buf *answer)
{
    for (;;) {
        char bytes[4096];
        ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return;
        if (got > 0)
            buf_add(answer, bytes, (size_t)got);
        else
            turn(bench);
    }
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct bench *bench = open_bench();
    AUTO_BUF struct buf answer = buf_make((size_t)1 << 20);
    struct slice rest = {(const char *)bytes, len < 16384 ? len : 16384}, part;
    int fd = connect_to(bench);
    while (slice_cut(&rest, 1, &part)) {
        // A server that has answered may have closed already.
        if (part.len > 0 && send(fd, part.ptr, part.len, MSG_NOSIGNAL) < 0)
            break;
        turn(bench);
    }
    shutdown(fd, SHUT_WR);
    read_answer(bench, fd, &answer);
    close(fd);
    turn(bench);
    if (answer.len > 0) {
        ASSERT(slice_starts(buf_slice(&answer), "HTTP/1.1 "));
        ASSERT(memmem(answer.ptr, answer.len, "\r\n\r\n", 4));
    }
}
