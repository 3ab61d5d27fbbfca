// SPDX-License-Identifier: Apache-2.0
// http against a scripted server: whole answers, streams, what servers do wrong, and dropping at
// every moment.
#include "drawbridge/http.h"

#include "testkit/server.h"
#include "testkit/test.h"

#include <string.h>

struct world {
    struct loop *loop;
    struct http *http;
    struct server *server;
    struct op *op, *timer;
    // what was got
    struct error *err;
    long status;
    struct buf body, streamed;
    char *content_type, *retry_after;
    unsigned done, chunks;
    bool drop_in_data;
    uint64_t work_ms; // that each portion takes
    // what the server does
    server_fn *script;
    struct server_conn *conn;
    char *last_head, *last_method;
    unsigned answered, wanted;
};

static void on_request(void *owner, struct server_conn *conn, const struct server_request *request)
{
    struct world *world = owner;
    world->conn = conn;
    mem_free(world->last_head);
    mem_free(world->last_method);
    world->last_head = str_dup(request->head);
    world->last_method = str_dup(request->method);
    world->script(world, conn, request);
}

static void on_conn_closed(void *owner, struct server_conn *conn)
{
    struct world *world = owner;
    if (world->conn == conn)
        world->conn = NULL;
}

static struct world *world_new(server_fn *script)
{
    struct world *world = NEW(struct world);
    world->loop = loop_new();
    world->http = http_new(world->loop, "test/1");
    world->server = server_new(world->loop, on_request, world);
    server_on_close(world->server, on_conn_closed);
    world->script = script;
    world->body = world->streamed = buf_make((size_t)64 << 20);
    return world;
}

static void world_free(struct world *world)
{
    world->op = op_drop(world->op);
    world->timer = op_drop(world->timer);
    http_free(world->http);
    server_free(world->server);
    loop_free(world->loop);
    error_free(world->err);
    buf_fini(&world->body);
    buf_fini(&world->streamed);
    mem_free(world->content_type);
    mem_free(world->retry_after);
    mem_free(world->last_head);
    mem_free(world->last_method);
    mem_free(world);
}

static void on_done(void *owner, struct error *take_err, const struct http_response *response)
{
    struct world *world = owner;
    world->op = NULL;
    world->done++;
    error_free(world->err);
    world->err = take_err;
    CHECK((take_err == NULL) == (response != NULL));
    if (response) {
        world->status = response->status;
        buf_reset(&world->body);
        buf_add_slice(&world->body, response->body);
        mem_free(world->content_type);
        mem_free(world->retry_after);
        world->content_type = str_dup(response->content_type);
        world->retry_after = str_dup(response->retry_after);
    }
    loop_stop(world->loop);
}

static void on_data(void *owner, struct slice bytes)
{
    struct world *world = owner;
    world->chunks++;
    buf_add_slice(&world->streamed, bytes);
    for (uint64_t began_ms = clock_ms(); clock_ms() - began_ms < world->work_ms;)
        continue;
    if (world->drop_in_data) {
        world->op = op_drop(world->op);
        loop_stop(world->loop);
    }
}

static void on_stop(void *owner)
{
    struct world *world = owner;
    world->timer = NULL;
    loop_stop(world->loop);
}

static void run_for(struct world *world, uint64_t ms)
{
    world->timer = loop_sleep(world->loop, ms, on_stop, world);
    loop_run(world->loop);
    world->timer = op_drop(world->timer);
}

static struct http_request request_to(const char *method, const char *url)
{
    return (struct http_request){
        .method = method, .url = url, .body_bytes_max = 1 << 20, .timeout_ms = 5000, .proxy = ""};
}

static void get(struct world *world)
{
    struct http_request request = request_to("GET", server_url(world->server));
    world->op = http_send(world->http, &request, on_done, world);
    CHECK_INT(world->done, 0);
    loop_run(world->loop);
}

static void stream(struct world *world, size_t held_max, uint64_t idle_ms)
{
    struct http_request request = request_to("GET", server_url(world->server));
    request.timeout_ms = 0;
    request.idle_ms = idle_ms;
    request.on_data = on_data;
    request.body_bytes_max = held_max;
    world->op = http_send(world->http, &request, on_done, world);
}

static void say_hello(void *owner UNUSED, struct server_conn *conn,
                      const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "X-Any: 1\r\nRetry-After: 7\r\n", "{\"hello\": 1}");
}

TEST(gets_a_whole_answer)
{
    struct world *world = world_new(say_hello);
    get(world);
    CHECK_OK(TAKE(world->err));
    CHECK_INT(world->status, 200);
    CHECK_SLICE(buf_slice(&world->body), "{\"hello\": 1}");
    CHECK_STR(world->content_type, "application/json");
    CHECK_STR(world->retry_after, "7");
    CHECK_INT(http_in_flight(world->http), 0);
    world_free(world);
}

static void echo(void *owner UNUSED, struct server_conn *conn, const struct server_request *request)
{
    AUTO_MEM char *type = server_header(request, "Content-Type");
    AUTO_MEM char *expect = server_header(request, "Expect");
    AUTO_MEM char *text = str_format("%s %s [%s] [%s] %.*s", request->method, request->target, type,
                                     expect, (int)request->body.len, request->body.ptr);
    server_reply(conn, 200, "", text);
}

TEST(sends_method_headers_and_body)
{
    struct world *world = world_new(echo);
    AUTO_MEM char *url = str_format("%s/a/b?c=d", server_url(world->server));
    const char *headers[] = {"Content-Type: text/x", NULL};
    const char *methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < COUNT(methods); i++) {
        struct http_request request = request_to(methods[i], url);
        request.headers = headers;
        request.body = slice_of("the body");
        world->op = http_send(world->http, &request, on_done, world);
        loop_run(world->loop);
        AUTO_MEM char *want = str_format("%s /a/b?c=d [text/x] [] the body", methods[i]);
        CHECK_SLICE(buf_slice(&world->body), want);
    }
    struct http_request request = request_to("DELETE", url);
    world->op = http_send(world->http, &request, on_done, world);
    loop_run(world->loop);
    CHECK_SLICE(buf_slice(&world->body), "DELETE /a/b?c=d [] [] ");
    CHECK_INT(server_accepted(world->server), 1); // the connection was used again each time
    world_free(world);
}

TEST(forgets_connections)
{
    struct world *world = world_new(say_hello);
    get(world);
    world->done = 0;
    get(world);
    CHECK_INT(server_accepted(world->server), 1);
    http_forget_connections(world->http);
    while (server_open(world->server) > 0)
        run_for(world, 5);
    world->done = 0;
    get(world);
    CHECK_INT(server_accepted(world->server), 2);
    world_free(world);
}

static void begin_stream(void *owner UNUSED, struct server_conn *conn,
                         const struct server_request *request UNUSED)
{
    server_begin(conn, 200, "");
    server_chunk(conn, slice_of("one\n"));
}

// On a busy machine a delay is a least, never a most.
static void run_until(struct world *world, const unsigned *what, unsigned want)
{
    while (*what < want)
        run_for(world, 5);
    CHECK_INT(*what, want);
}

TEST(a_stream_takes_over_the_connection_of_the_one_before)
{
    struct world *world = world_new(begin_stream);
    for (unsigned i = 1; i <= 3; i++) {
        stream(world, 1 << 20, 5000);
        run_until(world, &world->chunks, i);
        server_end(world->conn);
        run_until(world, &world->done, i);
        CHECK_OK(TAKE(world->err));
    }
    CHECK_INT(server_accepted(world->server), 1);
    // and one that runs is not waited for
    stream(world, 1 << 20, 5000);
    run_until(world, &world->chunks, 4);
    struct op *first = TAKE(world->op);
    stream(world, 1 << 20, 5000);
    run_until(world, &world->chunks, 5);
    CHECK_INT(server_accepted(world->server), 2);
    op_drop(first);
    world_free(world);
}

TEST(a_stream_trusts_no_connection_that_was_idle)
{
    struct world *world = world_new(say_hello);
    get(world);
    run_for(world, 3200);
    world->script = begin_stream;
    stream(world, 1 << 20, 5000);
    run_until(world, &world->chunks, 1);
    CHECK_INT(server_accepted(world->server), 2);
    world_free(world);
}

TEST(forgetting_leaves_a_running_stream_alone)
{
    struct world *world = world_new(begin_stream);
    stream(world, 1 << 20, 5000);
    run_until(world, &world->chunks, 1);
    http_forget_connections(world->http);
    server_chunk(world->conn, slice_of("two\n"));
    run_until(world, &world->chunks, 2);
    CHECK_SLICE(buf_slice(&world->streamed), "one\ntwo\n");
    server_end(world->conn);
    run_until(world, &world->done, 1);
    CHECK_OK(TAKE(world->err));
    CHECK_INT(world->body.len, 0);
    world_free(world);
}

TEST(a_stream_may_be_dropped_inside_its_data)
{
    struct world *world = world_new(begin_stream);
    world->drop_in_data = true;
    stream(world, 1 << 20, 5000);
    loop_run(world->loop);
    while (server_open(world->server) > 0)
        run_for(world, 5);
    CHECK_INT(world->done, 0);
    CHECK_INT(world->chunks, 1);
    CHECK_INT(http_in_flight(world->http), 0);
    world_free(world);
}

TEST(a_silent_stream_ends)
{
    struct world *world = world_new(begin_stream);
    stream(world, 1 << 20, 100);
    loop_run(world->loop);
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "nothing came");
    CHECK_SLICE(buf_slice(&world->streamed), "one\n");
    world_free(world);
}

static void refuse_stream(void *owner UNUSED, struct server_conn *conn,
                          const struct server_request *request UNUSED)
{
    server_reply(conn, 410, "", "too old");
}

TEST(a_refused_stream_is_an_answer)
{
    struct world *world = world_new(refuse_stream);
    stream(world, 1 << 20, 5000);
    loop_run(world->loop);
    CHECK_OK(TAKE(world->err));
    CHECK_INT(world->status, 410);
    CHECK_INT(world->chunks, 0);
    CHECK_SLICE(buf_slice(&world->body), "too old");
    world_free(world);
}

static void send_much(void *owner UNUSED, struct server_conn *conn,
                      const struct server_request *request UNUSED)
{
    AUTO_BUF struct buf text = buf_make((size_t)8 << 20);
    for (int i = 0; i < 400000; i++)
        buf_printf(&text, "%08d\n", i);
    server_begin(conn, 200, "");
    server_chunk(conn, buf_slice(&text));
    server_end(conn);
}

TEST(a_fast_stream_is_held_back_and_nothing_is_lost)
{
    struct world *world = world_new(send_much);
    stream(world, 32768, 5000);
    loop_run(world->loop);
    CHECK_OK(TAKE(world->err));
    CHECK_INT(world->streamed.len, 3600000);
    for (size_t i = 0; i < 400000; i += 399) {
        AUTO_MEM char *want = str_format("%08zu\n", i);
        CHECK(memcmp(world->streamed.ptr + i * 9, want, 9) == 0);
    }
    world_free(world);
}

// A least: on a busy machine it takes longer.
TEST(what_a_client_is_sent_may_have_a_pace_and_nothing_is_lost)
{
    struct world *world = world_new(send_much);
    uint64_t began_ms = clock_ms();
    world->work_ms = 3;
    http_pace(world->http, 20, 50);
    stream(world, 32768, 5000);
    loop_run(world->loop);
    CHECK_OK(TAKE(world->err));
    CHECK_INT(world->streamed.len, 3600000);
    for (size_t i = 0; i < 400000; i += 399) {
        AUTO_MEM char *want = str_format("%08zu\n", i);
        CHECK(memcmp(world->streamed.ptr + i * 9, want, 9) == 0);
    }
    // Of each portion's work more than two milliseconds are seen.
    CHECK(clock_ms() - began_ms >= 2 * (2 * (uint64_t)world->chunks - 30));
    world_free(world);
}

TEST(a_stream_that_is_held_back_may_be_dropped)
{
    struct world *world = world_new(send_much);
    world->work_ms = 300;
    http_pace(world->http, 1, 1);
    stream(world, 32768, 5000);
    run_until(world, &world->chunks, 1);
    for (unsigned i = 0; i < 20; i++) // what came since is held
        run_for(world, 1);
    CHECK_INT(world->chunks, 1);
    CHECK(world->streamed.len <= 32768); // and what curl has takes no more room
    world->op = op_drop(world->op);
    CHECK_INT(http_in_flight(world->http), 0);
    run_for(world, 50);
    world_free(world);
}

TEST(a_large_answer_is_refused)
{
    struct world *world = world_new(send_much);
    get(world);
    CHECK_ERR_HAS(TAKE(world->err), ERROR_LIMIT, "larger than 1048576 bytes");
    world_free(world);
}

static void stall(void *owner UNUSED, struct server_conn *conn UNUSED,
                  const struct server_request *request UNUSED)
{
}

TEST(a_request_times_out)
{
    struct world *world = world_new(stall);
    struct http_request request = request_to("GET", server_url(world->server));
    request.timeout_ms = 100;
    world->op = http_send(world->http, &request, on_done, world);
    loop_run(world->loop);
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "timed out");
    world_free(world);
}

static void cut(void *owner UNUSED, struct server_conn *conn,
                const struct server_request *request UNUSED)
{
    server_raw(conn, slice_of("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"));
    server_cut(conn);
}

static void cut_chunked(void *owner UNUSED, struct server_conn *conn,
                        const struct server_request *request UNUSED)
{
    server_begin(conn, 200, "");
    server_chunk(conn, slice_of("half"));
    server_cut(conn);
}

static void cut_at_once(void *owner UNUSED, struct server_conn *conn,
                        const struct server_request *request UNUSED)
{
    server_cut(conn);
}

static void garbage(void *owner UNUSED, struct server_conn *conn,
                    const struct server_request *request UNUSED)
{
    server_raw(conn, slice_of("\x16\x03\x01 this is not HTTP\r\n\r\n"));
    server_cut(conn);
}

TEST(cut_and_broken_answers_are_transient)
{
    server_fn *scripts[] = {cut, cut_chunked, cut_at_once, garbage};
    for (size_t i = 0; i < COUNT(scripts); i++) {
        struct world *world = world_new(scripts[i]);
        get(world);
        CHECK_ERR(TAKE(world->err), ERROR_TRANSIENT);
        world_free(world);
    }
}

TEST(nobody_listening_is_transient)
{
    struct world *world = world_new(stall);
    server_stop_accepting(world->server);
    get(world);
    CHECK_ERR(TAKE(world->err), ERROR_TRANSIENT);
    world_free(world);
}

TEST(bad_requests_are_refused_and_not_before_send_returns)
{
    struct world *world = world_new(say_hello);
    const char *bad_header[] = {"Authorization: a\r\nX-Evil: 1", NULL};
    struct http_request requests[] = {
        request_to("GET", "file:///etc/passwd"),
        request_to("GET", "http://exa mple/"),
        request_to("GET", "http://127.0.0.1:1/\r\nX: y"),
        request_to("GET", server_url(world->server)),
    };
    requests[3].headers = bad_header;
    for (size_t i = 0; i < COUNT(requests); i++) {
        world->done = 0;
        world->op = http_send(world->http, &requests[i], on_done, world);
        CHECK_INT(world->done, 0);
        loop_run(world->loop);
        CHECK_ERR(TAKE(world->err), ERROR_INVALID);
    }
    CHECK_INT(server_requests(world->server), 0);
    world_free(world);
}

static void redirect(void *owner UNUSED, struct server_conn *conn,
                     const struct server_request *request UNUSED)
{
    server_reply(conn, 302, "Location: /elsewhere\r\n", "");
}

TEST(a_redirect_is_not_followed)
{
    struct world *world = world_new(redirect);
    get(world);
    CHECK_INT(world->status, 302);
    CHECK_INT(server_requests(world->server), 1);
    world_free(world);
}

static void on_one_of_many(void *owner, struct error *take_err,
                           const struct http_response *response)
{
    struct world *world = owner;
    CHECK_OK(take_err);
    CHECK_INT(response->status, 200);
    if (++world->answered == world->wanted)
        loop_stop(world->loop);
}

TEST(many_requests_wait_their_turn)
{
    struct world *world = world_new(say_hello);
    world->wanted = 300;
    for (unsigned i = 0; i < world->wanted; i++) {
        struct http_request request = request_to("GET", server_url(world->server));
        struct op *op = http_send(world->http, &request, on_one_of_many, world);
        CHECK(op != NULL); // each answers by itself
    }
    CHECK_INT(http_in_flight(world->http), 300);
    loop_run(world->loop);
    CHECK_INT(world->answered, 300);
    CHECK(server_accepted(world->server) <= HTTP_REQUESTS_MAX);
    CHECK_INT(http_in_flight(world->http), 0);
    world_free(world);
}

TEST(dropping_waiting_and_running_requests_leaves_nothing)
{
    struct world *world = world_new(stall);
    struct op *ops[200];
    for (size_t i = 0; i < COUNT(ops); i++) {
        struct http_request request = request_to("GET", server_url(world->server));
        ops[i] = http_send(world->http, &request, on_done, world);
    }
    run_for(world, 50);
    for (size_t i = 0; i < COUNT(ops); i += 2)
        ops[i] = op_drop(ops[i]);
    run_for(world, 20);
    for (size_t i = 1; i < COUNT(ops); i += 2)
        ops[i] = op_drop(ops[i]);
    CHECK_INT(world->done, 0);
    CHECK_INT(http_in_flight(world->http), 0);
    world_free(world);
}

// Turn by turn: wherever the exchange stands, dropping it leaves nothing behind and nothing is
// called any more.
TEST(dropped_at_every_turn)
{
    for (uint64_t turns = 0; turns < 12; turns++) {
        struct world *world = world_new(turns % 2 ? begin_stream : say_hello);
        stream(world, 1 << 20, 5000);
        uint64_t until = loop_turns(world->loop) + turns;
        while (loop_turns(world->loop) < until && world->op)
            run_for(world, 0);
        world->op = op_drop(world->op);
        unsigned done = world->done, chunks = world->chunks;
        run_for(world, 10);
        CHECK_INT(world->done, done);
        CHECK_INT(world->chunks, chunks);
        world_free(world);
    }
}

static void refuse(void *owner UNUSED, struct server_conn *conn,
                   const struct server_request *request UNUSED)
{
    server_reply(conn, 403, "", "no");
}

struct seen {
    char *line;
    bool followed;
};

static void on_observed(void *owner, const char *method, const char *host, long status,
                        uint64_t took_ms)
{
    struct seen *seen = owner;
    seen->followed = took_ms == HTTP_FOLLOWED;
    mem_free(seen->line);
    seen->line = str_format("%s %s %ld", method, host, status);
}

TEST(an_observer_sees_every_end)
{
    struct world *world = world_new(say_hello);
    struct seen seen = {0};
    http_set_observer(world->http, on_observed, &seen);
    get(world);
    AUTO_MEM char *want = str_format("GET %s 200", server_url(world->server) + strlen("http://"));
    CHECK_STR(seen.line, want);
    world->script = cut;
    world->done = 0;
    get(world);
    AUTO_MEM char *want_cut = str_format("GET %s 0", server_url(world->server) + strlen("http://"));
    CHECK_STR(seen.line, want_cut);
    CHECK(!seen.followed);
    mem_free(seen.line);
    world_free(world);
}

static void begin_and_end_stream(void *owner, struct server_conn *conn,
                                 const struct server_request *request)
{
    begin_stream(owner, conn, request);
    server_end(conn);
}

TEST(how_long_a_watch_lasted_is_no_latency)
{
    struct world *world = world_new(begin_and_end_stream);
    struct seen seen = {0};
    http_set_observer(world->http, on_observed, &seen);
    stream(world, 1 << 20, 60000);
    while (!seen.line)
        run_for(world, 5);
    CHECK(seen.followed);
    mem_free(TAKE(seen.line));
    // One that is refused is a request like any other.
    world->script = refuse;
    stream(world, 1 << 20, 60000);
    while (!seen.line)
        run_for(world, 5);
    CHECK(!seen.followed);
    mem_free(seen.line);
    world_free(world);
}

TEST(an_idle_client_does_not_turn_the_loop)
{
    struct world *world = world_new(begin_stream);
    stream(world, 1 << 20, 60000);
    run_for(world, 1000); // a busy machine takes its time to begin
    uint64_t before = loop_turns(world->loop);
    run_for(world, 700);
    CHECK(loop_turns(world->loop) - before <= 8); // a busy loop turns thousands of times
    world_free(world);
}

TEST_MAIN()
