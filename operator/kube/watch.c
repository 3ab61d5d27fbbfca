// SPDX-License-Identifier: Apache-2.0
// The watch verb: a stream of events until the server ends it. Whether and from where to go on is
// the reflector's to decide.
#include "kube_internal.h"

// client-go asks for 5 to 10 minutes, at random, so that watches do not end together. Silence for
// longer than that means that the server never ended it.
#define WATCH_SECONDS_MIN 300
#define WATCH_SECONDS_SPREAD 300
#define WATCH_SILENCE_SECONDS 30 // on top

struct stream {
    struct op op; // first
    struct op *pending;
    struct kube_lines lines;
    struct buf scratch; // an event without what nobody reads
    size_t bytes_max;   // of an event
    bool *dropped;      // of the turn that is handing out events
    struct kube *kube;
    char *resource;
    kube_event_fn *on_event;
    kube_skip_fn *on_skip;     // NULL: nobody asks
    kube_glance_fn *on_glance; // likewise
    kube_done_fn *done;
    void *owner;
};

static void stream_free(struct stream *stream)
{
    if (stream->dropped)
        *stream->dropped = true;
    stream->pending = op_drop(stream->pending);
    kube_lines_fini(&stream->lines);
    buf_fini(&stream->scratch);
    mem_free(stream->resource);
    mem_free(stream);
}

static void stream_finish(struct stream *stream, struct error *take_err)
{
    kube_done_fn *done = stream->done;
    void *owner = stream->owner;
    stream_free(stream);
    done(owner, take_err, NULL);
}

static const struct {
    const char *type;
    enum kube_event event;
} EVENTS[] = {
    [KUBE_ADDED] = {"ADDED", KUBE_ADDED},
    [KUBE_MODIFIED] = {"MODIFIED", KUBE_MODIFIED},
    [KUBE_DELETED] = {"DELETED", KUBE_DELETED},
    [KUBE_BOOKMARK] = {"BOOKMARK", KUBE_BOOKMARK},
};

// What stands where an event as API servers write it has its object; empty where it is written
// otherwise.
static struct slice object_text(struct slice line, const char *type)
{
    char head[64];
    int len = snprintf(head, sizeof(head), "{\"type\":\"%s\",\"object\":", type);
    bool known =
        len < (int)sizeof(head) && slice_starts(line, head) && line.ptr[line.len - 1] == '}';
    return known ? slice_sub(line, (size_t)len, line.len - 1) : slice_of("");
}

// Whether a look at the text was enough. It has to be one object and nothing else, so that the line
// is what it looks like.
static bool glance_at(struct stream *stream, struct slice line)
{
    static const enum kube_event of_objects[] = {KUBE_MODIFIED, KUBE_ADDED};
    struct kube_glance glance;
    for (size_t i = 0; stream->on_glance && i < COUNT(of_objects); i++) {
        struct slice text = object_text(line, EVENTS[of_objects[i]].type);
        if (text.len > 0)
            return kube_glance(text, &glance) && stream->on_glance(stream->owner, &glance);
    }
    return false;
}

// Whether the line begins as an event of an object does, and which one.
static bool is_event(const struct stream *stream, struct slice line, enum kube_event *ret_event)
{
    for (size_t i = 0; i < COUNT(EVENTS); i++) {
        AUTO_MEM char *head = str_format("{\"type\":\"%s\",\"object\":{", EVENTS[i].type);
        *ret_event = EVENTS[i].event;
        if (slice_starts(line, head))
            return line.len == stream->bytes_max || line.ptr[line.len - 1] == '}';
    }
    return false;
}

// An event whose object cannot be read. That it is gone, and how far the watch is, is in its text
// all the same.
static void skip_event(struct stream *stream, enum kube_event event, struct slice line,
                       const struct error *why)
{
    bool dropped = false, *outer = stream->dropped;
    AUTO_MEM char *namespace = kube_metadata_text(line, KUBE_DEPTH_EVENT, "namespace");
    AUTO_MEM char *name = kube_metadata_text(line, KUBE_DEPTH_EVENT, "name");
    AUTO_MEM char *version = kube_metadata_text(line, KUBE_DEPTH_EVENT, "resourceVersion");
    AUTO_MEM char *key = kube_text_key(line, KUBE_DEPTH_EVENT);
    AUTO_JSON json_t *object =
        json_pack("{s:{s:o, s:o, s:o}}", "metadata", "namespace", doc_string(namespace), "name",
                  doc_string(name), "resourceVersion", doc_string(version));
    kube_note_skipped(stream->kube, stream->resource, key, why);
    stream->dropped = &dropped;
    if (stream->on_skip && event != KUBE_DELETED)
        stream->on_skip(stream->owner, key, version, why);
    if (dropped) {
        *outer = true;
        return;
    }
    stream->dropped = outer;
    if (event == KUBE_DELETED && key[0])
        stream->on_event(stream->owner, event, object, slice_of(""));
    else if (version[0])
        stream->on_event(stream->owner, KUBE_BOOKMARK, object, slice_of(""));
}

static struct error *parse_event(struct stream *stream, struct slice line, json_t **ret_tree,
                                 bool *ret_exact)
{
    if (stream->lines.too_long)
        return error_new(ERROR_LIMIT, "larger than %zu bytes", stream->bytes_max);
    return kube_parse_object(line, KUBE_NODES_MAX, ret_tree, ret_exact);
}

// One line. An error ends the stream: an ERROR event says what it means, and what is no event
// leaves a gap that only a new list can fill.
static struct error *take_line(struct stream *stream, struct slice line)
{
    AUTO_JSON json_t *tree = NULL;
    bool exact = false;
    enum kube_event unread;
    line = kube_cut_managed_fields(line, KUBE_DEPTH_EVENT, &stream->scratch);
    if (!stream->lines.too_long && glance_at(stream, line))
        return NULL;
    struct error *err = parse_event(stream, line, &tree, &exact);
    if (err && is_event(stream, line, &unread)) {
        skip_event(stream, unread, line, err);
        error_free(err);
        return NULL;
    }
    if (err && error_kind(err) == ERROR_LIMIT)
        return error_wrap(err, "watch event");
    if (err) { // something between us and the server
        struct error *mild =
            error_new(ERROR_TRANSIENT, "watch event: not JSON: %s", error_text(err));
        error_free(err);
        return mild;
    }
    const json_t *object = doc_get(tree, "object", NULL);
    const char *type = doc_str(tree, "type", NULL);
    for (size_t i = 0; i < COUNT(EVENTS); i++) {
        if (str_eq(type, EVENTS[i].type) && json_is_object(object)) {
            stream->on_event(stream->owner, EVENTS[i].event, object,
                             exact && json_object_size(tree) == 2 ? object_text(line, type)
                                                                  : slice_of(""));
            return NULL;
        }
    }
    if (str_eq(type, "ERROR"))
        return kube_status_error_of((long)doc_int(object, 500, "code", NULL), object);
    return error_new(ERROR_TRANSIENT, "watch event of unknown type \"%s\"", type);
}

static void on_data(void *owner, struct slice bytes)
{
    struct stream *stream = owner;
    bool dropped = false;
    stream->dropped = &dropped;
    struct slice rest = bytes, line;
    struct error *err = NULL;
    while (!err && kube_lines_next(&stream->lines, &rest, &line)) {
        err = take_line(stream, line);
        if (dropped) {
            error_free(err);
            return;
        }
    }
    stream->dropped = NULL;
    enum kube_event unread;
    if (!err && stream->lines.too_long &&
        !is_event(stream, buf_slice(&stream->lines.held), &unread))
        err = error_new(ERROR_LIMIT, "watch event: larger than %zu bytes", stream->bytes_max);
    if (err)
        stream_finish(stream, err);
}

static void on_end(void *owner, struct error *take_err, const struct http_response *response UNUSED)
{
    struct stream *stream = owner;
    stream->pending = NULL;
    if (!take_err && stream->lines.held.len > 0 && !stream->lines.complete)
        take_err = error_new(ERROR_TRANSIENT, "the watch ended in the middle of an event");
    stream_finish(stream, take_err);
}

static void on_drop(struct op *op)
{
    stream_free((struct stream *)(void *)op);
}

struct op *kube_watch(struct kube *kube, const struct kube_ref *ref, const char *label_selector,
                      const char *field_selector, const char *resource_version,
                      kube_event_fn *on_event, kube_done_fn *done, void *owner)
{
    uint64_t seconds = WATCH_SECONDS_MIN + rand_below(WATCH_SECONDS_SPREAD + 1);
    AUTO_MEM char *timeout = str_format("%llu", (unsigned long long)seconds);
    struct kube_query query = kube_query_of(ref);
    kube_query_add(&query, "watch", "true");
    kube_query_add(&query, "allowWatchBookmarks", "true");
    kube_query_add(&query, "timeoutSeconds", timeout);
    kube_query_add(&query, "resourceVersion", resource_version);
    kube_query_add(&query, "labelSelector", label_selector);
    kube_query_add(&query, "fieldSelector", field_selector);
    struct kube_request request = {
        .method = "GET",
        .take_path = buf_take(&query.url),
        .accept = "application/json",
        .body_bytes_max = kube->object_bytes_max,
        .idle_ms = (seconds + WATCH_SILENCE_SECONDS) * 1000,
        .on_data = on_data,
    };
    struct stream *stream = NEW(struct stream);
    stream->op.drop = on_drop;
    stream->kube = kube;
    stream->bytes_max = kube->object_bytes_max;
    stream->resource = str_dup(ref->resource);
    stream->lines = kube_lines_make(kube->object_bytes_max);
    stream->scratch = buf_make(kube->object_bytes_max);
    stream->on_event = on_event;
    stream->done = done;
    stream->owner = owner;
    stream->pending = kube_request_send(kube, &request, on_end, stream);
    return &stream->op;
}

void kube_watch_on_skip(struct op *op, kube_skip_fn *fn)
{
    struct stream *stream = (struct stream *)(void *)op;
    stream->on_skip = fn;
}

void kube_watch_on_glance(struct op *op, kube_glance_fn *fn)
{
    struct stream *stream = (struct stream *)(void *)op;
    stream->on_glance = fn;
}
