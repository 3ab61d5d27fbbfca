// SPDX-License-Identifier: Apache-2.0
// The watch verb against a scripted server: events in portions, every way to end, dropping inside
// an event.
#include "world.h"

static const struct kube_ref NODES = {.group = "", .version = "v1", .resource = "nodes"};

struct log {
    struct world *world;
    struct buf text;
    bool drop;
};

static void on_event(void *owner, enum kube_event event, const json_t *object,
                     struct slice text UNUSED)
{
    struct log *log = owner;
    static const char *const names[] = {"A", "M", "D", "B"};
    buf_printf(&log->text, "%s:%s ", names[event], doc_str(object, "metadata", "name", NULL));
    if (log->drop) {
        log->world->op = op_drop(log->world->op);
        loop_stop(log->world->loop);
    }
}

static void on_end(void *owner, struct error *take_err, json_t *take_body)
{
    struct log *log = owner;
    CHECK(take_body == NULL);
    world_on_done(log->world, take_err, NULL);
}

static struct op *begin(struct log *log)
{
    return kube_watch(log->world->kube, &NODES, "l=1", NULL, "42", on_event, on_end, log);
}

#define EVENT(type, name)                                                                          \
    "{\"type\":\"" type "\",\"object\":{\"kind\":\"Node\",\"metadata\":{\"name\":\"" name "\"}}}"  \
    "\n"

static void send_bytewise(void *owner UNUSED, struct server_conn *conn,
                          const struct server_request *request UNUSED)
{
    static const char text[] =
        EVENT("ADDED", "a") EVENT("MODIFIED", "b") EVENT("DELETED", "c") EVENT("BOOKMARK", "");
    server_begin(conn, 200, "");
    for (size_t i = 0; i + 1 < sizeof(text); i++)
        server_chunk(conn, (struct slice){text + i, 1});
    server_end(conn);
}

TEST(events_until_the_server_ends_it)
{
    struct world *world = world_new(send_bytewise);
    struct log log = {.world = world, .text = buf_make(1000)};
    world_wait(world, begin(&log));
    CHECK_OK(TAKE(world->err));
    CHECK_STR(log.text.ptr, "A:a M:b D:c B: ");
    CHECK_HAS(world->target, "/api/v1/nodes?watch=true&allowWatchBookmarks=true&timeoutSeconds=");
    CHECK_HAS(world->target, "&resourceVersion=42&labelSelector=l%3D1");
    buf_fini(&log.text);
    world_free(world);
}

static const char *script_text;

static void send_script(void *owner UNUSED, struct server_conn *conn,
                        const struct server_request *request UNUSED)
{
    server_begin(conn, 200, "");
    server_chunk(conn, slice_of(script_text));
    server_end(conn);
}

TEST(ways_to_end)
{
    static const struct {
        const char *text;
        enum error_kind kind;
        const char *part;
    } rows[] = {
        {EVENT("ADDED", "a") "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,"
                             "\"message\":\"too old\"}}\n",
         ERROR_GONE, "too old"},
        {EVENT("ADDED", "a") "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":500,"
                             "\"message\":\"etcd\"}}\n",
         ERROR_TRANSIENT, "etcd"},
        {EVENT("ADDED", "a") "{\"type\":\"ADDED\"", ERROR_TRANSIENT, "middle of an event"},
        {EVENT("ADDED", "a") "nonsense\n", ERROR_TRANSIENT, "not JSON"},
        {EVENT("ADDED", "a") "{\"type\":\"SURPRISE\",\"object\":{}}\n", ERROR_TRANSIENT,
         "SURPRISE"},
        {EVENT("ADDED", "a") "{\"type\":\"ADDED\",\"object\":null}\n", ERROR_TRANSIENT, "ADDED"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct world *world = world_new(send_script);
        struct log log = {.world = world, .text = buf_make(1000)};
        script_text = rows[i].text;
        world_wait(world, begin(&log));
        CHECK_ERR_HAS(TAKE(world->err), rows[i].kind, rows[i].part);
        CHECK_STR(log.text.ptr, "A:a ");
        world_run_for(world, 10);
        CHECK_INT(world->done, 1);
        buf_fini(&log.text);
        world_free(world);
    }
}

static void on_skip(void *owner, const char *key, const char *version UNUSED,
                    const struct error *why)
{
    struct log *log = owner;
    buf_printf(&log->text, "(%s: %s) ", key, error_kind_name(error_kind(why)));
    if (log->drop) {
        log->world->op = op_drop(log->world->op);
        loop_stop(log->world->loop);
    }
}

#define TWICE(type, name)                                                                          \
    "{\"type\":\"" type "\",\"object\":{\"metadata\":{\"name\":\"" name                            \
    "\",\"resourceVersion\":\"7\"},\"x\":1,\"x\":2}}\n"

// Of a deletion its name is enough; of the others the version says how far the watch is.
TEST(an_event_whose_object_cannot_be_read_is_left_out_and_named_and_the_watch_goes_on)
{
    struct world *world = world_new(send_script);
    struct log log = {.world = world, .text = buf_make(1000)};
    AUTO_BUF struct buf text = buf_make((size_t)8 << 20);
    buf_add_str(&text,
                EVENT("ADDED", "a") TWICE("MODIFIED", "b")
                    TWICE("DELETED", "c") "{\"type\":\"ADDED\","
                                          "\"object\":{\"metadata\":{\"name\":\"large\"},\"x\":\"");
    for (size_t i = 0; i < KUBE_LINE_BYTES_MAX / 8; i++)
        buf_add_str(&text, "xxxxxxxx");
    buf_add_str(&text, "\"}}\n" EVENT("ADDED", "d"));
    script_text = text.ptr;
    struct op *op = begin(&log);
    kube_watch_on_skip(op, on_skip);
    world_wait(world, op);
    CHECK_OK(TAKE(world->err));
    CHECK_STR(log.text.ptr, "A:a (b: Invalid) B:b D:c (large: Limit) A:d ");
    buf_fini(&log.text);
    world_free(world);
}

TEST(an_event_has_the_limit_of_its_client)
{
    struct world *world = world_new(send_script);
    struct log log = {.world = world, .text = buf_make(1000)};
    AUTO_BUF struct buf text = buf_make((size_t)1 << 20);
    buf_add_str(&text,
                "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"large\"},\"x\":\"");
    for (size_t i = 0; i < ((size_t)64 << 10) / 8; i++)
        buf_add_str(&text, "xxxxxxxx");
    buf_add_str(&text, "\"}}\n" EVENT("ADDED", "d"));
    script_text = text.ptr;
    kube_limit_objects(world->kube, (size_t)64 << 10);
    struct op *op = begin(&log);
    kube_watch_on_skip(op, on_skip);
    world_wait(world, op);
    CHECK_OK(TAKE(world->err));
    CHECK_STR(log.text.ptr, "(large: Limit) A:d ");
    buf_fini(&log.text);
    world_free(world);
}

TEST(dropped_inside_a_skip)
{
    struct world *world = world_new(send_script);
    struct log log = {.world = world, .text = buf_make(1000), .drop = true};
    script_text = TWICE("MODIFIED", "b") EVENT("ADDED", "a");
    struct op *op = begin(&log);
    kube_watch_on_skip(op, on_skip);
    world_wait(world, op);
    world_run_for(world, 20);
    CHECK_INT(world->done, 0);
    CHECK_STR(log.text.ptr, "(b: Invalid) ");
    buf_fini(&log.text);
    world_free(world);
}

static void send_huge_line(void *owner UNUSED, struct server_conn *conn,
                           const struct server_request *request UNUSED)
{
    AUTO_BUF struct buf text = buf_make((size_t)8 << 20);
    for (size_t i = 0; i < KUBE_LINE_BYTES_MAX + 100; i++)
        buf_add(&text, "x", 1);
    server_begin(conn, 200, "");
    server_chunk(conn, buf_slice(&text));
}

static void refuse(void *owner UNUSED, struct server_conn *conn,
                   const struct server_request *request UNUSED)
{
    server_reply(conn, 410, "", "{\"kind\":\"Status\",\"message\":\"gone\"}");
}

static void send_and_cut(void *owner UNUSED, struct server_conn *conn,
                         const struct server_request *request UNUSED)
{
    server_begin(conn, 200, "");
    server_chunk(conn, slice_of(EVENT("ADDED", "a")));
    server_cut(conn);
}

TEST(ends_of_other_layers)
{
    static const struct {
        server_fn *script;
        enum error_kind kind;
    } rows[] = {
        {send_huge_line, ERROR_LIMIT}, {refuse, ERROR_GONE}, {send_and_cut, ERROR_TRANSIENT}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct world *world = world_new(rows[i].script);
        struct log log = {.world = world, .text = buf_make(1000)};
        world_wait(world, begin(&log));
        CHECK_ERR(TAKE(world->err), rows[i].kind);
        buf_fini(&log.text);
        world_free(world);
    }
}

TEST(dropped_inside_an_event)
{
    struct world *world = world_new(send_bytewise);
    struct log log = {.world = world, .text = buf_make(1000), .drop = true};
    world_wait(world, begin(&log));
    world_run_for(world, 20);
    CHECK_INT(world->done, 0);
    CHECK_STR(log.text.ptr, "A:a ");
    buf_fini(&log.text);
    world_free(world);
}

TEST_MAIN()
