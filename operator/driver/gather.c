// SPDX-License-Identifier: Apache-2.0
// What a pass asks the API server: a list of requests, one after the other, into one tree of facts.
// What is followed by a watch is taken from it as soon as it is there.
#include "driver_internal.h"

#define SYNC_LOOK_MS 50
#define SYNC_TIMEOUT_MS 30000
#define ITEMS_MAX 50000 // of a list of a target: it is somebody else's server

struct request {
    char *key;
    struct kube *kube;
    char *path; // a GET; NULL: a list
    char *group, *version, *resource, *namespace, *labels, *fields;
    bool metadata;
    bool followed, account; // by a watch, as the account
    char *or_namespace;     // where that is refused
    bool newest;            // a list that the server does not answer from its cache
    json_t *(*trim)(const json_t *);
};

struct gather {
    struct op op; // must be first
    struct loop *loop;
    struct driver *driver;
    struct cluster *cluster;
    char *who;  // the configuration
    char *user; // the account, NULL: us
    uint64_t pass;
    struct kube *account_kube;
    struct request *requests;
    size_t len, next;
    json_t *facts;
    bool too_many;     // of what is listed
    uint64_t since_ms; // that the first list of a watch is waited for; 0: it is not
    gather_more_fn *more;
    const void *more_owner;
    struct op *pending;
    gather_done_fn *done;
    void *owner;
};

struct gather *gather_new(struct driver *driver, struct cluster *cluster, const char *who,
                          struct kube *account_kube, const char *user)
{
    struct gather *g = NEW(struct gather);

    g->driver = driver;
    g->cluster = cluster;
    g->who = str_dup(who);
    g->user = str_dup(user);
    g->pass = ++driver->passes;
    g->account_kube = account_kube;
    g->facts = json_object();
    json_object_set_new(g->facts, "denied", json_object());
    return g;
}

static void request_fini(struct request *request)
{
    char *owned[] = {request->key,     request->path,     request->group,
                     request->version, request->resource, request->namespace,
                     request->labels,  request->fields,   request->or_namespace};

    for (size_t i = 0; i < COUNT(owned); i++)
        mem_free(owned[i]);
}

void gather_free(struct gather *g)
{
    if (!g)
        return;
    op_drop(g->pending);
    for (size_t i = 0; i < g->len; i++)
        request_fini(&g->requests[i]);
    mem_free(g->requests);
    json_decref(g->facts);
    mem_free(g->who);
    mem_free(g->user);
    mem_free(g);
}

static void gather_drop(struct op *op)
{
    gather_free((struct gather *)op);
}

static struct request *add(struct gather *g, const char *key, bool account)
{
    struct request *request;

    g->requests = mem_realloc(g->requests, (g->len + 1) * sizeof(*g->requests));
    request = &g->requests[g->len++];
    *request =
        (struct request){.key = str_dup(key), .kube = account ? g->account_kube : g->cluster->kube};
    return request;
}

void gather_get(struct gather *g, const char *key, bool account, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(g, key, account)->path = str_vformat(fmt, args);
    va_end(args);
}

void gather_list(struct gather *g, const char *key, bool account, const struct kube_ref *ref,
                 const char *labels, const char *fields, json_t *(*trim)(const json_t *))
{
    struct request *request = add(g, key, account);

    request->group = str_dup(ref->group);
    request->version = str_dup(ref->version);
    request->resource = str_dup(ref->resource);
    request->namespace = str_dup(ref->namespace);
    request->labels = str_dup(labels);
    request->fields = str_dup(fields);
    request->trim = trim;
    if (!json_object_get(g->facts, key))
        json_object_set_new(g->facts, key, json_array());
}

void gather_follow(struct gather *g, const char *key, bool account, const struct kube_ref *ref,
                   const char *or_namespace, const char *labels, json_t *(*trim)(const json_t *))
{
    gather_list(g, key, account, ref, labels, NULL, trim);
    g->requests[g->len - 1].followed = true;
    g->requests[g->len - 1].account = account;
    g->requests[g->len - 1].or_namespace = str_dup(or_namespace);
}

void gather_list_newest(struct gather *g, const char *key, const struct kube_ref *ref,
                        json_t *(*trim)(const json_t *))
{
    gather_list(g, key, false, ref, NULL, NULL, trim);
    g->requests[g->len - 1].newest = true;
}

void gather_release(struct gather *g, const char *namespace, const char *release)
{
    struct request *request = add(g, "secrets", true);

    request->group = str_dup("");
    request->version = str_dup("v1");
    request->resource = str_dup("secrets");
    request->namespace = str_dup(namespace);
    request->labels = str_format("owner=helm,name=%s", release);
    request->metadata = true;
}

void gather_then(struct gather *g, gather_more_fn *more, const void *owner)
{
    g->more = more;
    g->more_owner = owner;
}

json_t *gather_facts(struct gather *g)
{
    return g->facts;
}

static void advance(struct gather *g);

static void finish(struct gather *g, struct error *take_err)
{
    gather_done_fn *done = g->done;
    void *owner = g->owner;
    json_t *facts = take_err ? NULL : TAKE(g->facts);

    if (!take_err)
        follow_settle(g->driver, g->who, g->pass);
    gather_free(g);
    done(owner, take_err, facts);
}

static void on_item(void *owner, json_t *item)
{
    struct gather *g = owner;
    const struct request *request = &g->requests[g->next];
    json_t *items = json_object_get(g->facts, request->key);

    g->too_many = g->cluster->by && json_array_size(items) == ITEMS_MAX;
    if (!g->too_many)
        json_array_append_new(items, request->trim(item));
}

static void note_denied(struct gather *g, const char *key, const struct error *err)
{
    json_object_set_new(json_object_get(g->facts, "denied"), key, doc_string(error_text(err)));
}

static void on_answer(void *owner, struct error *take_err, json_t *take_body)
{
    struct gather *g = owner;
    const struct request *request = &g->requests[g->next];
    AUTO_JSON json_t *body = take_body;

    g->pending = NULL;
    if (g->too_many) {
        error_free(take_err);
        finish(g,
               error_new(ERROR_LIMIT, "read %s: there are more than %d", request->key, ITEMS_MAX));
        return;
    }
    if (take_err && error_kind(take_err) == ERROR_DENIED) {
        note_denied(g, request->key, take_err);
        error_free(take_err);
    } else if (take_err && error_kind(take_err) != ERROR_NOT_FOUND) {
        finish(g, error_wrap(take_err, "read %s", request->key));
        return;
    } else {
        error_free(take_err);
        if (!request->trim && body)
            json_object_set(g->facts, request->key,
                            request->metadata ? json_object_get(body, "items") : body);
    }
    g->next++;
    advance(g);
}

static void on_done(void *owner)
{
    struct gather *g = owner;

    g->pending = NULL;
    finish(g, NULL);
}

static void on_waited(void *owner)
{
    struct gather *g = owner;

    g->pending = NULL;
    advance(g);
}

static void take_object(void *owner, const char *key, const json_t *object)
{
    (void)key;
    json_array_append(owner, (json_t *)(uintptr_t)object); // jansson counts without const
}

// Not everybody may watch: in one namespace perhaps, or list at least.
static void look_closer(struct gather *g, struct request *request)
{
    if (request->or_namespace) {
        mem_free(request->namespace);
        request->namespace = TAKE(request->or_namespace);
        return;
    }
    request->followed = false;
    json_object_set_new(g->facts, "polled", json_true());
}

// Takes what the watch has. False: it is waited for, or the pass has ended.
static bool take_followed(struct gather *g, struct request *request)
{
    struct kube_ref ref = {.group = request->group,
                           .version = request->version,
                           .resource = request->resource,
                           .namespace = request->namespace};
    struct followed *followed =
        follow(g->driver, g->cluster, g->who, g->pass, request->account ? g->user : NULL, &ref,
               request->labels, request->trim);
    const struct error *err = follow_error(followed);

    if (err && error_kind(err) == ERROR_DENIED) {
        look_closer(g, request);
        return true;
    }
    if (!follow_is_synced(followed)) {
        if (!g->since_ms)
            g->since_ms = clock_ms();
        if (err && error_kind(err) == ERROR_NOT_FOUND) {
            g->since_ms = 0;
            g->next++; // there is nothing of the kind
            return true;
        }
        if (err)
            finish(g, error_new(error_kind(err), "read %s: %s", request->key, error_text(err)));
        else if (clock_ms() - g->since_ms > SYNC_TIMEOUT_MS)
            finish(g, error_new(ERROR_TRANSIENT, "read %s: no answer", request->key));
        else
            g->pending = loop_sleep(g->loop, SYNC_LOOK_MS, on_waited, g);
        return false;
    }
    g->since_ms = 0;
    follow_each(followed, take_object, json_object_get(g->facts, request->key));
    g->next++;
    return true;
}

static void ask_next(struct gather *g);

static void advance(struct gather *g)
{
    while (g->next < g->len && g->requests[g->next].followed)
        if (!take_followed(g, &g->requests[g->next]))
            return;
    if (g->next < g->len) {
        ask_next(g);
    } else if (g->more) {
        gather_more_fn *more = g->more;
        g->more = NULL;
        more(g, g->more_owner);
        advance(g);
    } else {
        g->pending = loop_defer(g->loop, on_done, g);
    }
}

static void ask_next(struct gather *g)
{
    const struct request *request = &g->requests[g->next];
    struct kube_ref ref;

    ref = (struct kube_ref){.group = request->group,
                            .version = request->version,
                            .resource = request->resource,
                            .namespace = request->namespace};
    if (request->path)
        g->pending = kube_get_path(request->kube, request->path, KUBE_LINE_BYTES_MAX, on_answer, g);
    else if (request->metadata)
        g->pending = kube_list_metadata(request->kube, &ref, request->labels, on_answer, g);
    else
        g->pending = kube_list_each(request->kube, &ref, request->labels, request->fields,
                                    request->newest ? "" : "0", on_item, on_answer, g);
}

struct op *gather_start(struct loop *loop, struct gather *take_gather, gather_done_fn *done,
                        void *owner)
{
    take_gather->op.drop = gather_drop;
    take_gather->loop = loop;
    take_gather->done = done;
    take_gather->owner = owner;
    take_gather->pending = loop_defer(loop, on_waited, take_gather);
    return &take_gather->op;
}
