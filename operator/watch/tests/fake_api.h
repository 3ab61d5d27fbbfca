// SPDX-License-Identifier: Apache-2.0
// A collection as an API server shows it: lists with a resourceVersion, watches that replay from
// one, history that is compacted, and a fault at the request that a test names.
#pragma once

#include "drawbridge/watch.h"

#include "kube/tests/world.h"

enum fault {
    FAULT_NONE,
    FAULT_CUT,
    FAULT_500,
    FAULT_410,
    FAULT_429,
    FAULT_GARBAGE,
    FAULT_CUT_LATE,
    FAULT_TOO_LARGE,
    FAULT_403,
    FAULT_COUNT
};

#define FAKE_WATCHERS_MAX 8

struct fake {
    struct world *world;
    json_t *objects; // by name
    json_t *events;  // [version, line]
    int64_t version, compacted;
    struct server_conn *watchers[FAKE_WATCHERS_MAX];
    unsigned fault_at; // request number, from 0
    enum fault fault;
    bool fault_lasts, fault_of_watches; // each request, or each watch, from now on
    const char *raw;                    // one more item of each list, as it is
    unsigned lists, watches;
    char *last_list; // its target
    // what the reflector said
    struct buf log;
    unsigned changes;
    bool synced;
    struct watch *watch;
    bool free_in_change;
    uint64_t (*facet)(const json_t *object);
    bool (*same_facet)(const struct kube_glance *was, const struct kube_glance *now);
    size_t objects_max; // 0: as many as a store has by itself
    size_t bytes_max;   // 0: it keeps texts
    bool refusal_ends;
    const char *preferred; // the version that discovery names; NULL: the caller knows one
};

static inline void fake_send_event(struct fake *fake, const char *line)
{
    for (size_t i = 0; i < FAKE_WATCHERS_MAX; i++)
        if (fake->watchers[i])
            server_chunk(fake->watchers[i], slice_of(line));
}

static inline void fake_event(struct fake *fake, const char *type, const json_t *object)
{
    AUTO_MEM char *text = doc_print_json(object);
    AUTO_MEM char *line = str_format("{\"type\":\"%s\",\"object\":%s}\n", type, text);
    json_array_append_new(fake->events, json_pack("[I, s]", (json_int_t)fake->version, line));
    fake_send_event(fake, line);
}

// Makes or changes the object of that name.
static inline void fake_put(struct fake *fake, const char *name, int value)
{
    bool there = json_object_get(fake->objects, name) != NULL;
    AUTO_MEM char *version = str_format("%lld", (long long)++fake->version);
    json_t *object = json_pack("{s:s, s:s, s:{s:s, s:s, s:[{s:s}]}, s:i}", "apiVersion", "e/v1",
                               "kind", "Thing", "metadata", "name", name, "resourceVersion",
                               version, "managedFields", "manager", "somebody", "value", value);
    json_object_set_new(fake->objects, name, object);
    fake_event(fake, there ? "MODIFIED" : "ADDED", object);
}

static inline void fake_remove(struct fake *fake, const char *name)
{
    AUTO_JSON json_t *object = json_incref(json_object_get(fake->objects, name));
    json_object_del(fake->objects, name);
    AUTO_MEM char *version = str_format("%lld", (long long)++fake->version);
    doc_set(object, json_string(version), "metadata", "resourceVersion", NULL);
    fake_event(fake, "DELETED", object);
}

static inline void fake_bookmark(struct fake *fake)
{
    AUTO_MEM char *line = str_format("{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Thing\","
                                     "\"metadata\":{\"resourceVersion\":\"%lld\"}}}\n",
                                     (long long)fake->version);
    fake_send_event(fake, line);
}

// History up to now is forgotten.
static inline void fake_compact(struct fake *fake)
{
    fake->compacted = fake->version;
    json_array_clear(fake->events);
}

// Ends every watch: in order, or with a reset.
static inline void fake_end_watches(struct fake *fake, bool cut)
{
    for (size_t i = 0; i < FAKE_WATCHERS_MAX; i++) {
        struct server_conn *conn = TAKE(fake->watchers[i]);
        if (conn && cut)
            server_cut(conn);
        else if (conn)
            server_end(conn);
    }
}

static inline bool fake_fails(struct fake *fake, struct server_conn *conn, bool is_watch)
{
    bool due = fake->fault_lasts || (fake->fault_of_watches && is_watch);
    if (!due && fake->world->step != fake->fault_at)
        return false;
    switch (fake->fault) {
    case FAULT_NONE:
    case FAULT_COUNT:
        return false;
    case FAULT_CUT:
        server_cut(conn);
        return true;
    case FAULT_500:
        server_reply(conn, 500, "", "{\"kind\":\"Status\",\"message\":\"fault\"}");
        return true;
    case FAULT_410:
        server_reply(conn, 410, "",
                     "{\"kind\":\"Status\",\"message\":\"fault\",\"reason\":\"Expired\"}");
        return true;
    case FAULT_403:
        server_reply(conn, 403, "",
                     "{\"kind\":\"Status\",\"message\":\"fault\",\"reason\":\"Forbidden\"}");
        return true;
    case FAULT_429:
        server_reply(conn, 429, "", "{\"kind\":\"Status\",\"message\":\"fault\"}");
        return true;
    case FAULT_GARBAGE:
        server_begin(conn, 200, "");
        server_chunk(conn, slice_of("<html>\n{]\n"));
        server_end(conn);
        return true;
    case FAULT_CUT_LATE:
        server_begin(conn, 200, "");
        server_chunk(conn,
                     slice_of("{\"type\":\"ADDED\",\"items\":[{\"metadata\":{\"name\":\"half"));
        server_cut(conn);
        return true;
    case FAULT_TOO_LARGE:
        server_reply(conn, 504, "",
                     "{\"kind\":\"Status\",\"message\":\"fault\",\"reason\":\"Timeout\","
                     "\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}");
        return true;
    }
    return false;
}

static inline int64_t fake_asked_version(const char *target)
{
    const char *at = strstr(target, "resourceVersion=");
    uint64_t version = 0;
    if (at)
        (void)slice_to_u64((struct slice){at + 16, strcspn(at + 16, "&")}, &version);
    return (int64_t)version;
}

static inline void fake_list(struct fake *fake, struct server_conn *conn)
{
    AUTO_JSON json_t *list = json_pack("{s:s, s:s, s:[], s:{}}", "apiVersion", "e/v1", "kind",
                                       "ThingList", "items", "metadata");
    AUTO_MEM char *version = str_format("%lld", (long long)fake->version);
    doc_set(list, json_string(version), "metadata", "resourceVersion", NULL);
    const char *name;
    json_t *object;
    json_object_foreach(fake->objects, name, object) {
        json_array_append(json_object_get(list, "items"), object);
    }
    AUTO_MEM char *text = doc_print_json(list);
    const char *items = strstr(text, "\"items\":[") + 9;
    AUTO_MEM char *all =
        str_format("%.*s%s%s%s", (int)(items - text), text, fake->raw ? fake->raw : "",
                   fake->raw && *items != ']' ? "," : "", items);
    server_reply(conn, 200, "", all);
}

static inline void fake_watch(struct fake *fake, struct server_conn *conn, int64_t version)
{
    server_begin(conn, 200, "");
    if (version < fake->compacted) {
        server_chunk(conn, slice_of("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":"
                                    "410,\"message\":\"compacted\"}}\n"));
        server_end(conn);
        return;
    }
    size_t i;
    json_t *event;
    json_array_foreach(fake->events, i, event) {
        if (json_integer_value(json_array_get(event, 0)) > version)
            server_chunk(conn, slice_of(json_string_value(json_array_get(event, 1))));
    }
    for (i = 0; i < FAKE_WATCHERS_MAX; i++) {
        if (!fake->watchers[i]) {
            fake->watchers[i] = conn;
            return;
        }
    }
    test_fail(__FILE__, __LINE__, "more watches than expected");
}

static inline void fake_on_request(void *owner, struct server_conn *conn,
                                   const struct server_request *request)
{
    struct fake *fake = owner;
    bool is_watch = strstr(request->target, "watch=true") != NULL;

    if (str_eq(request->target, "/apis/e")) {
        AUTO_MEM char *group =
            str_format("{\"preferredVersion\": {\"version\": \"%s\"}}", fake->preferred);
        server_reply(conn, 200, "", group);
        return;
    }
    if (is_watch) {
        fake->watches++;
    } else {
        fake->lists++;
        mem_free(fake->last_list);
        fake->last_list = str_dup(request->target);
    }
    if (fake_fails(fake, conn, is_watch))
        return;
    if (is_watch)
        fake_watch(fake, conn, fake_asked_version(request->target));
    else
        fake_list(fake, conn);
}

static inline void fake_on_close(void *owner, struct server_conn *conn)
{
    const struct world *world = owner;
    struct fake *fake = world->script_owner;
    for (size_t i = 0; i < FAKE_WATCHERS_MAX; i++)
        if (fake->watchers[i] == conn)
            fake->watchers[i] = NULL;
}

static inline void fake_on_change(void *owner, const char *key, const json_t *was,
                                  const json_t *now)
{
    struct fake *fake = owner;
    fake->changes++;
    buf_printf(&fake->log, "%s:%lld>%lld ", key, (long long)doc_int(was, -1, "value", NULL),
               (long long)doc_int(now, -1, "value", NULL));
    if (fake->free_in_change) {
        watch_free(TAKE(fake->watch));
        fake->free_in_change = false;
    }
}

static inline void fake_on_unreadable(void *owner, const char *key, const char *version UNUSED,
                                      const struct error *why)
{
    struct fake *fake = owner;
    buf_printf(&fake->log, "(%s %s) ", key, error_kind_name(error_kind(why)));
}

static inline void fake_on_sync(void *owner)
{
    struct fake *fake = owner;
    CHECK(!fake->synced);
    fake->synced = true;
}

static inline struct fake *fake_new(void)
{
    struct fake *fake = NEW(struct fake);
    fake->world = world_new(fake_on_request);
    fake->world->script_owner = fake;
    server_on_close(fake->world->server, fake_on_close);
    fake->objects = json_object();
    fake->events = json_array();
    fake->version = 100;
    fake->fault_at = UINT32_MAX;
    fake->log = buf_make((size_t)1 << 20);
    return fake;
}

static inline void fake_follow(struct fake *fake)
{
    struct watch_spec spec = {
        .kube = fake->world->kube,
        .ref = {.group = "e", .version = fake->preferred ? "" : "v1", .resource = "things"},
        .facet = fake->facet,
        .same_facet = fake->same_facet,
        .objects_max = fake->objects_max,
        .trees = fake->bytes_max > 0,
        .bytes_max = fake->bytes_max,
        .refusal_ends = fake->refusal_ends,
        .on_change = fake_on_change,
        .on_sync = fake_on_sync,
        .on_unreadable = fake_on_unreadable,
        .owner = fake};
    fake->watch = watch_new(fake->world->loop, &spec);
}

static inline void fake_free(struct fake *fake)
{
    watch_free(fake->watch);
    world_free(fake->world);
    json_decref(fake->objects);
    json_decref(fake->events);
    mem_free(fake->last_list);
    buf_fini(&fake->log);
    mem_free(fake);
}

// The store holds what the server has.
static inline bool fake_agrees(const struct fake *fake)
{
    if (watch_count(fake->watch) != json_object_size(fake->objects))
        return false;
    const char *name;
    json_t *object;
    json_object_foreach(fake->objects, name, object) {
        const json_t *kept = watch_get(fake->watch, name);
        if (doc_int(kept, -1, "value", NULL) != doc_int(object, -2, "value", NULL))
            return false;
    }
    return true;
}

static inline bool fake_wait_agreed(struct fake *fake, uint64_t at_most_ms)
{
    uint64_t until_ms = clock_ms() + at_most_ms;
    while (clock_ms() < until_ms) {
        if (watch_synced(fake->watch) && fake_agrees(fake))
            return true;
        world_run_for(fake->world, 5);
    }
    return false;
}
