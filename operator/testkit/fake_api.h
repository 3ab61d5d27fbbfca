// SPDX-License-Identifier: Apache-2.0
// An API server for tests of rooms that stand on kube: objects by path, resourceVersions, watches,
// merge patches, status subresources, finalizers, and a fault at whichever request a test chooses.
#pragma once

#include "drawbridge/kube.h"

#include "testkit/fake_path.h"
#include "testkit/server.h"

#define FAKE_WATCHERS_MAX 24
#define FAKE_CREATED "2026-11-21T10:00:00Z"

enum fault {
    FAULT_NONE,
    FAULT_500,
    FAULT_409,
    FAULT_429,        // with Retry-After
    FAULT_CUT_BEFORE, // the connection closes and nothing was done
    FAULT_CUT_AFTER,  // it was done, and the connection closes before the answer
    FAULT_MUTE,       // nothing is done, and no answer comes
    FAULT_MUTE_AFTER, // it was done, and no answer comes
    // It was done, and the answer is not what it should be; of a watch, what comes after its
    // events.
    FAULT_LIE_CUT,   // JSON that ends in the middle
    FAULT_LIE_EMPTY, // nothing
    FAULT_LIE_KEYS,  // keys that are there twice, also once NUL became U+FFFD
    FAULT_LIE_BYTES, // a refusal with a long message that is not UTF-8
    FAULT_LIE_NODES, // a hundred thousand empty objects
    FAULT_LIE_DEEP,  // ten thousand levels
    FAULT_LIE_TYPES, // a list where a map belongs, a number where a text does
    FAULT_LIE_PAGE,  // a list with another page, and nothing in this one
    FAULT_COUNT,
    FAULT_403, // not one of those that pass by
    FAULT_422,
};

struct fake_watcher {
    struct server_conn *conn;
    struct fake_path path;
};

struct fake_api {
    struct server *server;
    json_t *objects; // path → object
    json_t *events;  // [version, path of the object, line]
    json_t *absent;  // path → whether the last that asked for it was told that it is not there
    int64_t version;
    struct fake_watcher watchers[FAKE_WATCHERS_MAX];
    unsigned requests;  // so far
    unsigned asked;     // those that are neither watches nor of the Lease
    uint64_t asked_ms;  // when the last of those came
    const char *hidden; // path of an object that lists do not have, as of an old cache; NULL: none
    bool fenced;        // the lease is lost: no write may arrive any more,
    unsigned underway;  // but those that had left by then
    struct buf log;
    struct buf kinds; // of each request: w changes something, r does not (events and the Lease
                      // count as such)
    void *owner;
    enum fault (*choose)(void *owner, unsigned index, const struct server_request *request);
    // The client changed an object (now NULL: it is gone), before anybody sees it.
    void (*on_write)(void *owner, const struct fake_path *path, const json_t *was,
                     const json_t *now);
    const char *token; // what TokenRequests get; NULL: nothing
    unsigned tokens;   // that were asked for
    // an answer to a GET that is no object; NULL: 404
    json_t *(*on_page)(void *owner, const char *path);
};

// --- objects -------------------------------------------------------------------------------------

FAKE const json_t *fake_get(const struct fake_api *api, const char *path)
{
    return json_object_get(api->objects, path);
}

// NULL: it is not there.
FAKE const json_t *fake_condition(const struct fake_api *api, const char *path, const char *type)
{
    const json_t *list = doc_get(fake_get(api, path), "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(list); i++) {
        if (str_eq(doc_str(json_array_get(list, i), "type", NULL), type))
            return json_array_get(list, i);
    }
    return NULL;
}

// An entry of this name is sent as two of one name.
#define FAKE_TWICE "this-is-sent-twice"

FAKE char *fake_print(const json_t *tree)
{
    char *text = doc_print_json(tree);
    char *at;

    while ((at = strstr(text, "\"" FAKE_TWICE "\":true")))
        memcpy(at, "\"same\":1,\"same\":100000000", strlen("\"" FAKE_TWICE "\":true"));
    return text;
}

FAKE void fake_tell(struct fake_api *api, const struct fake_path *path, const char *type,
                    const json_t *object)
{
    AUTO_MEM char *text = fake_print(object);
    AUTO_MEM char *line = str_format("{\"type\":\"%s\",\"object\":%s}\n", type, text);

    json_array_append_new(api->events,
                          json_pack("[I, s, s]", (json_int_t)api->version, path->object, line));
    for (size_t i = 0; i < FAKE_WATCHERS_MAX; i++) {
        const struct fake_watcher *watcher = &api->watchers[i];

        if (watcher->conn && fake_is_among(&watcher->path, path))
            server_chunk(watcher->conn, slice_of(line));
    }
}

// Stores what the object is now, with a new version unless it is as it was; NULL removes it.
FAKE void fake_commit(struct fake_api *api, const char *target, json_t *take_now)
{
    AUTO_JSON json_t *now = take_now;
    AUTO_JSON json_t *was = json_incref(json_object_get(api->objects, target));
    AUTO_MEM char *version = NULL;
    struct fake_path path;
    bool ends = !now || (doc_get(now, "metadata", "deletionTimestamp", NULL) &&
                         json_array_size(doc_get(now, "metadata", "finalizers", NULL)) == 0);

    if (now && was && doc_equal(now, was))
        return;
    fake_path_parse(target, &path);
    version = str_format("%lld", (long long)++api->version);
    if (now)
        doc_set(now, json_string(version), "metadata", "resourceVersion", NULL);
    if (ends && was) {
        AUTO_JSON json_t *last = doc_copy(was);

        doc_set(last, json_string(version), "metadata", "resourceVersion", NULL);
        json_object_del(api->objects, target);
        fake_tell(api, &path, "DELETED", last);
    } else if (!ends) {
        json_object_set(api->objects, target, now);
        fake_tell(api, &path, was ? "MODIFIED" : "ADDED", now);
    }
    fake_path_fini(&path);
}

// Puts an object there as if it always had been.
FAKE void fake_seed(struct fake_api *api, const char *target, json_t *take_object)
{
    AUTO_MEM char *uid = str_format("uid-%lld", (long long)api->version + 1);
    struct fake_path path;

    fake_path_parse(target, &path);
    doc_set(take_object, json_string(path.name), "metadata", "name", NULL);
    if (path.namespace)
        doc_set(take_object, json_string(path.namespace), "metadata", "namespace", NULL);
    doc_set(take_object, json_string(uid), "metadata", "uid", NULL);
    if (!doc_get(take_object, "metadata", "creationTimestamp", NULL))
        doc_set(take_object, json_string(FAKE_CREATED), "metadata", "creationTimestamp", NULL);
    doc_set(take_object, json_integer(1), "metadata", "generation", NULL);
    fake_path_fini(&path);
    fake_commit(api, target, take_object);
}

// What somebody else changes: a merge patch.
FAKE void fake_edit(struct fake_api *api, const char *target, json_t *take_patch)
{
    const json_t *was = fake_get(api, target);
    AUTO_JSON json_t *patch = take_patch;
    json_t *now;

    if (!was)
        return;
    now = doc_merge_patch(was, patch);
    if (!doc_equal(json_object_get(was, "spec"), json_object_get(now, "spec")))
        doc_set(now, json_integer((json_int_t)doc_int(was, 0, "metadata", "generation", NULL) + 1),
                "metadata", "generation", NULL);
    fake_commit(api, target, now);
}

FAKE void fake_delete(struct fake_api *api, const char *target)
{
    const json_t *was = fake_get(api, target);
    json_t *now;

    if (!was || doc_get(was, "metadata", "deletionTimestamp", NULL))
        return;
    now = doc_copy(was);
    doc_set(now, json_string(FAKE_CREATED), "metadata", "deletionTimestamp", NULL);
    doc_set(now, json_integer((json_int_t)doc_int(was, 0, "metadata", "generation", NULL) + 1),
            "metadata", "generation", NULL);
    fake_commit(api, target, now);
}

// --- answers -------------------------------------------------------------------------------------

// conn NULL: nobody is to hear it.
FAKE void fake_answer(struct server_conn *conn, int code, const json_t *body)
{
    AUTO_MEM char *text = fake_print(body);

    if (conn)
        server_reply(conn, code, "", text);
}

FAKE void fake_refuse(struct server_conn *conn, int code, const char *reason)
{
    AUTO_JSON json_t *status = json_pack("{s:s, s:s, s:s, s:s, s:i}", "kind", "Status", "status",
                                         code < 300 ? "Success" : "Failure", "message", reason,
                                         "reason", reason, "code", code);

    fake_answer(conn, code, status);
}

FAKE void fake_list(struct fake_api *api, struct server_conn *conn, const struct fake_path *path)
{
    AUTO_JSON json_t *list = json_pack("{s:s, s:s, s:[], s:{}}", "apiVersion", "v1", "kind", "List",
                                       "items", "metadata");
    AUTO_MEM char *version = str_format("%lld", (long long)api->version);
    const char *key;
    json_t *object;

    doc_set(list, json_string(version), "metadata", "resourceVersion", NULL);
    json_object_foreach(api->objects, key, object) {
        struct fake_path of;

        fake_path_parse(key, &of);
        if (fake_is_among(path, &of) && !str_eq(key, api->hidden))
            json_array_append(json_object_get(list, "items"), object);
        fake_path_fini(&of);
    }
    fake_answer(conn, 200, list);
}

FAKE void fake_watch(struct fake_api *api, struct server_conn *conn, const struct fake_path *path,
                     const char *target)
{
    const char *at = strstr(target, "resourceVersion=");
    uint64_t version = 0;
    size_t i;
    json_t *event;

    if (!conn)
        return;
    if (at)
        (void)slice_to_u64((struct slice){at + 16, strcspn(at + 16, "&")}, &version);
    server_begin(conn, 200, "");
    json_array_foreach(api->events, i, event) {
        AUTO_FAKE_PATH struct fake_path of;

        fake_path_parse(json_string_value(json_array_get(event, 1)), &of);
        if (json_integer_value(json_array_get(event, 0)) > (json_int_t)version &&
            fake_is_among(path, &of))
            server_chunk(conn, slice_of(json_string_value(json_array_get(event, 2))));
    }
    for (i = 0; i < FAKE_WATCHERS_MAX; i++) {
        if (api->watchers[i].conn)
            continue;
        api->watchers[i].conn = conn;
        fake_path_parse(target, &api->watchers[i].path);
        return;
    }
    test_fail(__FILE__, __LINE__, "more watches than expected");
}

// Every change of what is there says what it expects to find. An apply that makes an object cannot:
// it may be there by now, from a controller that was killed after it had sent the same.
FAKE void fake_check_condition(const struct server_request *request, const json_t *body, bool there,
                               bool told_absent)
{
    bool conditional = (told_absent && strstr(request->target, "force=true")) ||
                       *doc_str(body, "metadata", "resourceVersion", NULL) ||
                       json_object_size(json_object_get(body, "preconditions")) > 0;

    for (size_t i = 0; json_is_array(body) && i < json_array_size(body); i++)
        conditional =
            conditional || str_eq(doc_str(json_array_get(body, i), "op", NULL), "test") ||
            str_eq(doc_str(json_array_get(body, i), "path", NULL), "/metadata/resourceVersion");
    if (there && !conditional && !strstr(request->target, "dryRun=All"))
        test_fail(__FILE__, __LINE__, "a write without a precondition: %s %s", request->method,
                  request->target);
}

FAKE bool fake_is_write(const struct server_request *request)
{
    return !str_eq(request->method, "GET") && !strstr(request->target, "/leases");
}

// From now on the lease is lost. in_flight: requests of the client, this one among them.
FAKE void fake_fence(struct fake_api *api, unsigned in_flight)
{
    unsigned others = 1;

    for (size_t i = 0; i < FAKE_WATCHERS_MAX; i++)
        others += api->watchers[i].conn != NULL;
    api->fenced = true;
    api->underway = in_flight > others ? in_flight - others : 0;
}

FAKE void fake_check_fence(struct fake_api *api, const struct server_request *request)
{
    if (!api->fenced || !fake_is_write(request))
        return;
    if (api->underway == 0)
        test_fail(__FILE__, __LINE__, "%s\na write with the lease lost: %s %s", api->log.ptr,
                  request->method, request->target);
    api->underway--;
}

FAKE void fake_create(struct fake_api *api, struct server_conn *conn, const struct fake_path *path,
                      const json_t *body)
{
    const char *name = doc_str(body, "metadata", "name", NULL);
    AUTO_MEM char *target = str_format("%s/%s", path->object, name);
    struct fake_path made;
    char now[CLOCK_TEXT_BYTES];
    json_t *object;

    if (str_ends(path->collection, "/events")) {
        fake_answer(conn, 201, body);
        return;
    }
    if (str_eq(path->subresource, "token")) {
        AUTO_JSON json_t *answer = json_pack("{s:{s:s?, s:s}}", "status", "token", api->token,
                                             "expirationTimestamp", "2099-01-01T00:00:00Z");

        api->tokens++;
        fake_answer(conn, 201, answer);
        return;
    }
    if (fake_get(api, target)) {
        fake_refuse(conn, 409, "AlreadyExists");
        return;
    }
    object = doc_copy(body);
    json_object_del(object, "status");
    doc_set(object, json_string(clock_format(clock_wall_ms(), now)), "metadata",
            "creationTimestamp", NULL);
    fake_path_parse(target, &made);
    if (api->on_write)
        api->on_write(api->owner, &made, NULL, object);
    fake_path_fini(&made);
    fake_seed(api, target, object);
    fake_answer(conn, 201, fake_get(api, target));
}

// What the server alone decides stays as it is.
FAKE void fake_keep_system(json_t *now, const json_t *was)
{
    static const char *const kept[] = {"name",
                                       "namespace",
                                       "uid",
                                       "generation",
                                       "creationTimestamp",
                                       "resourceVersion",
                                       "deletionTimestamp"};

    for (size_t i = 0; i < COUNT(kept); i++) {
        const json_t *value = doc_get(was, "metadata", kept[i], NULL);

        if (value)
            doc_set(now, doc_copy(value), "metadata", kept[i], NULL);
        else
            json_object_del(json_object_get(now, "metadata"), kept[i]);
    }
}

// A JSON patch as a merged body: what it sets in objects, whole, and the resourceVersion it wants.
FAKE json_t *fake_apply_json_patch(const json_t *was, const json_t *patch)
{
    json_t *now = doc_copy(was);

    for (size_t i = 0; i < json_array_size(patch); i++) {
        const json_t *op = json_array_get(patch, i);
        AUTO_MEM char *path = str_dup(doc_str(op, "path", NULL));
        char *name = strrchr(path, '/'), *slash;
        json_t *parent;

        *name++ = '\0';
        slash = strstr(name, "~1");
        if (slash) {
            *slash = '/';
            memmove(slash + 1, slash + 2, strlen(slash + 2) + 1);
        }
        parent = (json_t *)(uintptr_t)doc_pointer(now, path);
        CHECK(json_is_object(parent));
        // Gone already when the answer of the same patch was lost: then its resourceVersion is an
        // old one, and that is what it is refused for.
        if (str_eq(doc_str(op, "op", NULL), "remove"))
            json_object_del(parent, name);
        else
            json_object_set_new(parent, name, doc_copy(json_object_get(op, "value")));
    }
    return now;
}

FAKE void fake_update(struct fake_api *api, struct server_conn *conn, const struct fake_path *path,
                      const json_t *body, bool whole)
{
    const json_t *was = fake_get(api, path->object);
    AUTO_JSON json_t *patched =
        was && json_is_array(body) ? fake_apply_json_patch(was, body) : NULL;
    const char *asked = doc_str(patched ? patched : body, "metadata", "resourceVersion", NULL);
    bool status = str_eq(path->subresource, "status");
    AUTO_JSON json_t *part = json_object();
    json_t *now;

    if (!was) {
        fake_refuse(conn, 404, "NotFound");
        return;
    }
    if (*asked && !str_eq(asked, doc_str(was, "metadata", "resourceVersion", NULL))) {
        fake_refuse(conn, 409, "Conflict");
        return;
    }
    if (status && json_object_get(body, "status")) {
        json_object_set_new(part, "status", doc_copy(json_object_get(body, "status")));
    } else if (!status && !patched) {
        json_object_update(part, (json_t *)(uintptr_t)body);
        if (!whole)
            json_object_del(part, "status");
    }
    now = patched            ? doc_copy(patched)
          : whole && !status ? doc_copy(part)
                             : doc_merge_patch(was, part);
    if (whole && json_object_get(was, "status"))
        json_object_set_new(now, "status", doc_copy(json_object_get(was, "status")));
    fake_keep_system(now, was);
    if (!doc_equal(json_object_get(was, "spec"), json_object_get(now, "spec")))
        doc_set(now, json_integer((json_int_t)doc_int(was, 0, "metadata", "generation", NULL) + 1),
                "metadata", "generation", NULL);
    if (api->on_write)
        api->on_write(api->owner, path, was, now);
    json_incref(now);
    fake_commit(api, path->object, now);
    fake_answer(conn, 200, now);
    json_decref(now);
}

// An apply of the one field manager that has the last word (force): what it does not name stays.
FAKE void fake_apply(struct fake_api *api, struct server_conn *conn, const struct fake_path *path,
                     const json_t *body, bool dry_run)
{
    const json_t *was = fake_get(api, path->object);
    json_t *now = was ? doc_merge_patch(was, body) : doc_copy(body);
    const char *asked = doc_str(body, "metadata", "resourceVersion", NULL);

    if (*asked && !str_eq(asked, doc_str(was, "metadata", "resourceVersion", NULL))) {
        json_decref(now);
        fake_refuse(conn, 409, "Conflict");
        return;
    }

    if (was)
        fake_keep_system(now, was);
    if (was && !doc_equal(json_object_get(was, "spec"), json_object_get(now, "spec")))
        doc_set(now, json_integer((json_int_t)doc_int(was, 0, "metadata", "generation", NULL) + 1),
                "metadata", "generation", NULL);
    if (dry_run) {
        fake_answer(conn, 200, now);
        json_decref(now);
        return;
    }
    if (api->on_write)
        api->on_write(api->owner, path, was, now);
    if (was)
        fake_commit(api, path->object, now);
    else
        fake_seed(api, path->object, now);
    fake_answer(conn, 200, fake_get(api, path->object));
}

FAKE void fake_remove(struct fake_api *api, struct server_conn *conn, const struct fake_path *path,
                      const json_t *options)
{
    const json_t *was = fake_get(api, path->object);
    const char *uid = doc_str(options, "preconditions", "uid", NULL);
    const char *version = doc_str(options, "preconditions", "resourceVersion", NULL);

    if (!was) {
        fake_refuse(conn, 404, "NotFound");
        return;
    }
    if ((*uid && !str_eq(uid, doc_str(was, "metadata", "uid", NULL))) ||
        (*version && !str_eq(version, doc_str(was, "metadata", "resourceVersion", NULL)))) {
        fake_refuse(conn, 409, "Conflict");
        return;
    }
    if (api->on_write)
        api->on_write(api->owner, path, was, NULL);
    fake_delete(api, path->object);
    fake_refuse(conn, 200, "Success");
}

FAKE void fake_read(struct fake_api *api, struct server_conn *conn, const struct fake_path *path,
                    const char *target)
{
    AUTO_JSON json_t *page = NULL;

    json_object_set_new(api->absent, path->object, json_boolean(!fake_get(api, path->object)));
    if (fake_get(api, path->object)) {
        fake_answer(conn, 200, fake_get(api, path->object));
        return;
    }
    page = api->on_page ? api->on_page(api->owner, target) : NULL;
    if (page)
        fake_answer(conn, 200, page);
    else if (strstr(target, "watch=true"))
        fake_watch(api, conn, path, target);
    else if (path->name || str_eq(path->object, "/apis/resource.k8s.io"))
        fake_refuse(conn, 404, "NotFound");
    else
        fake_list(api, conn, path);
}

FAKE void fake_serve(struct fake_api *api, struct server_conn *conn,
                     const struct server_request *request)
{
    AUTO_JSON json_t *body = NULL;
    struct fake_path path;

    fake_path_parse(request->target, &path);
    if (request->body.len > 0)
        CHECK_OK(doc_parse_json(request->body, "body", &body));
    if (fake_is_write(request) && !str_eq(request->method, "POST"))
        fake_check_condition(request, body, fake_get(api, path.object) != NULL,
                             json_is_true(json_object_get(api->absent, path.object)));
    if (str_eq(request->method, "GET"))
        fake_read(api, conn, &path, request->target);
    else if (str_eq(request->method, "POST"))
        fake_create(api, conn, &path, body);
    else if (str_eq(request->method, "DELETE"))
        fake_remove(api, conn, &path, body);
    else if (strstr(request->target, "force=true") && !path.subresource)
        fake_apply(api, conn, &path, body, strstr(request->target, "dryRun=All") != NULL);
    else
        fake_update(api, conn, &path, body, str_eq(request->method, "PUT"));
    fake_path_fini(&path);
}

// --- faults --------------------------------------------------------------------------------------

FAKE void fake_repeat(struct buf *out, const char *text, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        buf_add_str(out, text);
}

// The body of a lie, on one line.
FAKE void fake_lie(enum fault lie, struct buf *out)
{
    switch (lie) {
    case FAULT_LIE_CUT:
        buf_add_str(out, "{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"1");
        return;
    case FAULT_LIE_KEYS:
        buf_add_str(out,
                    "{\"type\":\"MODIFIED\",\"kind\":\"List\",\"metadata\":{\"name\":\"dra\","
                    "\"name\":\"b\",\"resourceVersion\":\"1\"},\"object\":{\"metadata\":{\"name\":"
                    "\"dra\",\"a\\u0000\":1,\"a\\ufffd\":2}},\"items\":[{\"metadata\":{\"name\":"
                    "\"dra\",\"a\\u0000\":1,\"a\\ufffd\":2}}]}");
        return;
    case FAULT_LIE_BYTES:
        buf_add_str(out, "{\"kind\":\"Status\",\"code\":400,\"type\":\"ERROR\",\"message\":\"");
        fake_repeat(out, "\xe2\x82\xac", 500);
        buf_add_str(out, "\xff\xc3(\xf0\x9f\"}");
        return;
    case FAULT_LIE_NODES:
        buf_add_str(out,
                    "{\"kind\":\"List\",\"metadata\":{},\"object\":{\"metadata\":{\"name\":\"x\"},"
                    "\"a\":[0");
        fake_repeat(out, ",{}", 50000);
        buf_add_str(out, "]},\"items\":[{}");
        fake_repeat(out, ",{}", 50000);
        buf_add_str(out, "]}");
        return;
    case FAULT_LIE_DEEP:
        fake_repeat(out, "[", 10000);
        fake_repeat(out, "]", 10000);
        return;
    case FAULT_LIE_TYPES:
        buf_add_str(out,
                    "{\"kind\":[],\"apiVersion\":1,\"metadata\":[\"name\"],\"spec\":\"x\","
                    "\"status\":7,\"data\":[1],\"items\":{\"a\":1},\"type\":{},\"object\":[[]]}");
        return;
    case FAULT_LIE_PAGE:
        buf_add_str(out, "{\"kind\":\"List\",\"metadata\":{\"continue\":\"more\",\"name\":\"x\"},"
                         "\"items\":[]}");
        return;
    default: // FAULT_LIE_EMPTY
        return;
    }
}

FAKE enum fault fake_lie_of(unsigned at)
{
    return (enum fault)(FAULT_LIE_CUT + at % (FAULT_COUNT - FAULT_LIE_CUT));
}

FAKE void fake_tell_lie(struct fake_api *api, struct server_conn *conn,
                        const struct server_request *request, enum fault lie)
{
    AUTO_BUF struct buf text = buf_make((size_t)1 << 20);

    fake_lie(lie, &text);
    if (!strstr(request->target, "watch=true")) {
        fake_serve(api, NULL, request);
        server_reply(conn, lie == FAULT_LIE_BYTES ? 400 : 200, "", text.ptr ? text.ptr : "");
        return;
    }
    fake_serve(api, conn, request);
    buf_add_str(&text, "\n");
    server_chunk(conn, buf_slice(&text));
}

FAKE void fake_on_request(void *owner, struct server_conn *conn,
                          const struct server_request *request)
{
    struct fake_api *api = owner;
    unsigned index = api->requests++;
    enum fault fault;

    if (!strstr(request->target, "watch=true") && !strstr(request->target, "/leases")) {
        api->asked++;
        api->asked_ms = clock_ms();
    }
    buf_add_str(&api->kinds, str_eq(request->method, "GET") || strstr(request->target, "/events") ||
                                     strstr(request->target, "/leases")
                                 ? "r"
                                 : "w");
    fake_check_fence(api, request);
    fault = api->choose ? api->choose(api->owner, index, request) : FAULT_NONE;
    buf_printf(&api->log, "%llu %u %s %s fault %d\n", (unsigned long long)clock_ms() % 1000000,
               index, request->method, request->target, (int)fault);
    switch (fault) {
    case FAULT_NONE:
        fake_serve(api, conn, request);
        return;
    case FAULT_403:
        fake_refuse(conn, 403, "Forbidden");
        return;
    case FAULT_422:
        fake_refuse(conn, 422, "Invalid");
        return;
    case FAULT_500:
        fake_refuse(conn, 500, "InternalError");
        return;
    case FAULT_409:
        fake_refuse(conn, 409, "Conflict");
        return;
    case FAULT_429:
        server_reply(conn, 429, "Retry-After: 1\r\n",
                     "{\"kind\":\"Status\",\"message\":\"slow down\"}");
        return;
    case FAULT_CUT_AFTER:
        fake_serve(api, NULL, request);
        server_cut(conn);
        return;
    case FAULT_CUT_BEFORE:
        server_cut(conn);
        return;
    case FAULT_MUTE_AFTER:
        fake_serve(api, NULL, request);
        return;
    case FAULT_MUTE:
    case FAULT_COUNT:
        return;
    default:
        fake_tell_lie(api, conn, request, fault);
    }
}

FAKE void fake_forget_watcher(struct fake_watcher *watcher)
{
    fake_path_fini(&watcher->path);
    *watcher = (struct fake_watcher){0};
}

FAKE void fake_on_close(void *owner, struct server_conn *conn)
{
    struct fake_api *api = owner;

    for (size_t i = 0; i < FAKE_WATCHERS_MAX; i++) {
        if (api->watchers[i].conn == conn)
            fake_forget_watcher(&api->watchers[i]);
    }
}

// All watches break, as when an API server restarts.
FAKE void fake_cut_watches(struct fake_api *api)
{
    for (size_t i = 0; i < FAKE_WATCHERS_MAX; i++) {
        if (api->watchers[i].conn)
            server_cut(api->watchers[i].conn);
    }
}

FAKE struct fake_api *fake_api_new(struct loop *loop, void *owner)
{
    struct fake_api *api = NEW(struct fake_api);

    api->owner = owner;
    api->objects = json_object();
    api->events = json_array();
    api->absent = json_object();
    api->version = 100;
    api->log = buf_make((size_t)1 << 20);
    api->kinds = buf_make(100000);
    api->server = server_new(loop, fake_on_request, api);
    server_on_close(api->server, fake_on_close);
    return api;
}

FAKE void fake_api_free(struct fake_api *api)
{
    server_free(api->server);
    for (size_t i = 0; i < FAKE_WATCHERS_MAX; i++)
        fake_forget_watcher(&api->watchers[i]);
    json_decref(api->objects);
    json_decref(api->events);
    json_decref(api->absent);
    buf_fini(&api->log);
    buf_fini(&api->kinds);
    mem_free(api);
}

// A client of it.
FAKE struct kube *fake_kube(struct loop *loop, struct http *http, const struct fake_api *api)
{
    AUTO_MEM char *path = test_path("kubeconfig");
    AUTO_MEM char *text =
        str_format("clusters: [{name: c, cluster: {server: \"%s\", proxy-url: \"\"}}]\n"
                   "users: [{name: u, user: {token: sesame}}]\n"
                   "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
                   "current-context: x\n",
                   server_url(api->server));
    struct kube_config *config = NULL;

    test_write(path, text);
    CHECK_OK(kube_config_load(path, NULL, &config));
    return kube_new(loop, http, config);
}
