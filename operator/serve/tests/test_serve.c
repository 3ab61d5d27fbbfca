// SPDX-License-Identifier: Apache-2.0
#include "drawbridge/serve.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct site {
    struct loop *loop;
    struct serve *serve;
    struct metrics *metrics;
    struct op *timer;
    bool ready;
};

static bool is_ready(void *owner, struct buf *why)
{
    const struct site *site = owner;
    if (!site->ready)
        buf_add_str(why, "caches are not synced: nodes");
    return site->ready;
}

static void begin(struct site *site)
{
    site->loop = loop_new();
    site->metrics = metrics_new();
    metric_add(metrics_family(site->metrics, "up_total", METRIC_COUNTER, "", "Up."), 1);
    struct serve_spec spec = {
        .host = "127.0.0.1", .metrics = site->metrics, .ready = is_ready, .owner = site};
    CHECK_OK(serve_new(site->loop, &spec, &site->serve));
}

static void end(struct site *site)
{
    serve_free(site->serve);
    metrics_free(site->metrics);
    loop_free(site->loop);
}

static void on_stop(void *owner)
{
    struct site *site = owner;
    site->timer = NULL;
    loop_stop(site->loop);
}

static void run_for(struct site *site, uint64_t ms)
{
    site->timer = loop_sleep(site->loop, ms, on_stop, site);
    loop_run(site->loop);
}

static int dial(const struct site *site)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(serve_port(site->serve)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

// What the server says to request, sent in pieces of step bytes.
static char *ask_in_steps(struct site *site, const char *request, size_t step)
{
    int fd = dial(site);
    size_t len = strlen(request);
    for (size_t at = 0; at < len; at += step) {
        size_t part = len - at < step ? len - at : step;
        CHECK_INT(send(fd, request + at, part, MSG_NOSIGNAL), part);
        if (at + step < len)
            run_for(site, 2);
    }
    AUTO_BUF struct buf b = buf_make(1 << 20);
    char chunk[4096];
    for (int tries = 0; tries < 200; tries++) {
        run_for(site, 5);
        ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n == 0)
            break;
        if (n > 0)
            buf_add(&b, chunk, (size_t)n);
        else
            CHECK(errno == EAGAIN);
    }
    close(fd);
    return buf_take(&b);
}

static char *ask(struct site *site, const char *request)
{
    return ask_in_steps(site, request, 100000);
}

TEST(alive_and_ready)
{
    struct site site = {0};
    begin(&site);
    AUTO_MEM char *live = ask(&site, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(str_starts(live, "HTTP/1.1 200 OK\r\n"));
    CHECK(str_ends(live, "\r\n\r\nok\n"));
    CHECK_HAS(live, "\r\nContent-Length: 3\r\n");
    AUTO_MEM char *waiting = ask(&site, "GET /readyz?verbose HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(str_starts(waiting, "HTTP/1.1 503 "));
    CHECK_HAS(waiting, "caches are not synced: nodes");
    site.ready = true;
    AUTO_MEM char *ready = ask(&site, "GET /readyz HTTP/1.0\r\n\r\n");
    CHECK(str_starts(ready, "HTTP/1.1 200 OK\r\n"));
    AUTO_MEM char *health = ask(&site, "GET /healthz HTTP/1.1\nHost: x\n\n");
    CHECK(str_starts(health, "HTTP/1.1 200 OK\r\n"));
    end(&site);
}

TEST(metrics_and_version)
{
    struct site site = {0};
    begin(&site);
    AUTO_MEM char *metrics = ask(&site, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_HAS(metrics, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    CHECK(str_ends(metrics, "\r\n\r\n# HELP up_total Up.\n# TYPE up_total counter\nup_total 1\n"));
    AUTO_MEM char *version = ask(&site, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_HAS(version, "{\"version\":\"v");
    end(&site);
}

TEST(head_has_no_body)
{
    struct site site = {0};
    begin(&site);
    AUTO_MEM char *text = ask(&site, "HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_HAS(text, "Content-Length: 3\r\n");
    CHECK(str_ends(text, "\r\n\r\n"));
    end(&site);
}

TEST(what_is_not_served)
{
    static const struct {
        const char *request, *status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "},
        {"GET /livezz HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "},
        {"POST /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 405 "},
        {"get /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 405 "},
        {"GET /livez HTTP/2.0\r\n\r\n", "HTTP/1.1 505 "},
        {"GET livez HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET  HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /livez\r\n\r\n", "HTTP/1.1 400 "},
        {"\r\n\r\n", "HTTP/1.1 400 "},
        {"\x16\x03\x01\n\n", "HTTP/1.1 400 "},
    };
    struct site site = {0};
    begin(&site);
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO_MEM char *text = ask(&site, cases[i].request);
        CHECK(str_starts(text, cases[i].status));
    }
    end(&site);
}

TEST(a_slow_request_is_read_to_its_end)
{
    struct site site = {0};
    begin(&site);
    AUTO_MEM char *text = ask_in_steps(&site, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 3);
    CHECK(str_starts(text, "HTTP/1.1 200 OK\r\n"));
    end(&site);
}

TEST(a_long_request_is_refused)
{
    struct site site = {0};
    begin(&site);
    AUTO_BUF struct buf b = buf_make(10000);
    buf_add_str(&b, "GET /livez HTTP/1.1\r\nX: ");
    for (int i = 0; i < 5000; i++)
        buf_add_str(&b, "x");
    AUTO_MEM char *text = ask(&site, b.ptr);
    CHECK(str_starts(text, "HTTP/1.1 431 "));
    end(&site);
}

TEST(without_metrics_or_check)
{
    struct site site = {.loop = loop_new()};
    struct serve_spec spec = {.host = "127.0.0.1"};
    CHECK_OK(serve_new(site.loop, &spec, &site.serve));
    AUTO_MEM char *metrics = ask(&site, "GET /metrics HTTP/1.1\r\n\r\n");
    CHECK(str_starts(metrics, "HTTP/1.1 404 "));
    AUTO_MEM char *ready = ask(&site, "GET /readyz HTTP/1.1\r\n\r\n");
    CHECK(str_starts(ready, "HTTP/1.1 200 "));
    struct serve_spec taken = {.host = "127.0.0.1", .port = serve_port(site.serve)};
    struct serve *second = NULL;
    CHECK_ERR_HAS(serve_new(site.loop, &taken, &second), ERROR_TRANSIENT,
                  "serve health and metrics: listen on 127.0.0.1 port");
    serve_free(site.serve);
    loop_free(site.loop);
}

TEST(idle_connections_do_not_wake)
{
    struct site site = {0};
    begin(&site);
    int fd = dial(&site);
    run_for(&site, 20);
    uint64_t before = loop_turns(site.loop);
    run_for(&site, 300);
    CHECK(loop_turns(site.loop) - before <= 3);
    close(fd);
    end(&site);
}

TEST(a_hundred_idle_clients_do_not_keep_a_probe_away)
{
    struct site site = {0};
    begin(&site);
    int idle[200];
    for (size_t i = 0; i < COUNT(idle); i++) {
        idle[i] = dial(&site);
        if (i % 50 == 0)
            run_for(&site, 5); // the kernel's backlog is short
    }
    AUTO_MEM char *live = ask(&site, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(str_starts(live, "HTTP/1.1 200 OK\r\n"));
    for (size_t i = 0; i < COUNT(idle); i++)
        close(idle[i]);
    end(&site);
}

// Each of them keeps a page in memory until its time is over.
TEST(scrapes_that_nobody_reads_are_few)
{
    struct site site = {0};
    begin(&site);
    struct metric *metric = metrics_family(site.metrics, "seconds", METRIC_HISTOGRAM, "name", "x");
    AUTO_MEM char *filler = mem_alloc(4001);
    memset(filler, 'x', 4000);
    for (unsigned i = 0; i < 64; i++) {
        AUTO_MEM char *name = str_format("%u%s", i, filler);
        metric_observe(metric, 1, name); // about 10 MiB in all
    }
    int deaf[16];
    for (size_t i = 0; i < COUNT(deaf); i++) {
        deaf[i] = dial(&site);
        CHECK_INT(send(deaf[i], "GET /metrics HTTP/1.1\r\n\r\n", 25, MSG_NOSIGNAL), 25);
        run_for(&site, 5);
    }
    unsigned refused = 0;
    for (size_t i = 0; i < COUNT(deaf); i++) {
        char head[32] = {0};
        for (int tries = 0; tries < 200 && recv(deaf[i], head, 12, MSG_DONTWAIT | MSG_PEEK) < 12;
             tries++)
            run_for(&site, 5);
        refused += str_eq(head, "HTTP/1.1 503");
    }
    CHECK_INT(refused, 14);
    AUTO_MEM char *live = ask(&site, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(str_starts(live, "HTTP/1.1 200 OK\r\n"));
    for (size_t i = 0; i < COUNT(deaf); i++)
        close(deaf[i]);
    run_for(&site, 50);
    AUTO_MEM char *again = ask(&site, "HEAD /metrics HTTP/1.1\r\n\r\n");
    CHECK(str_starts(again, "HTTP/1.1 200 OK\r\n"));
    end(&site);
}

TEST_MAIN()
