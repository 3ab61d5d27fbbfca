// SPDX-License-Identifier: Apache-2.0
// Events on our objects. They are a courtesy: never waited for, never retried, and few, as passes
// emit on changes alone.
#include "reconcile_internal.h"

#define EVENTS_MAX 128         // waiting to be sent
#define MESSAGE_BYTES_MAX 1024 // the API server's limit for an event's message

struct events {
    struct loop *loop;
    struct kube *kube;
    const char *component, *host;
    struct op *pending;
    json_t *waiting; // array
};

struct events *events_new(struct loop *loop, struct kube *kube, const char *component,
                          const char *host)
{
    struct events *events = NEW(struct events);

    events->loop = loop;
    events->kube = kube;
    events->component = component;
    events->host = host;
    events->waiting = json_array();
    return events;
}

void events_free(struct events *events)
{
    if (!events)
        return;
    op_drop(events->pending);
    json_decref(events->waiting);
    mem_free(events);
}

static void send_next(struct events *events);

static void on_sent(void *owner, struct error *take_err, struct slice text UNUSED)
{
    struct events *events = owner;

    events->pending = NULL;
    if (take_err)
        error_ignore(take_err, "an event is a courtesy");
    send_next(events);
}

static void send_next(struct events *events)
{
    AUTO_JSON json_t *event = NULL;
    struct kube_ref ref = {.group = "", .version = "v1", .resource = "events"};

    if (events->pending || json_array_size(events->waiting) == 0)
        return;
    event = json_incref(json_array_get(events->waiting, 0));
    json_array_remove(events->waiting, 0);
    ref.namespace = doc_str(event, "metadata", "namespace", NULL);
    events->pending = kube_create_text(events->kube, &ref, event, on_sent, events);
}

static json_t *make_reference(const json_t *object)
{
    json_t *reference = json_object();

    json_object_set_new(reference, "apiVersion", doc_string(doc_str(object, "apiVersion", NULL)));
    json_object_set_new(reference, "kind", doc_string(doc_str(object, "kind", NULL)));
    json_object_set_new(reference, "namespace",
                        doc_string(doc_str(object, "metadata", "namespace", NULL)));
    json_object_set_new(reference, "name", doc_string(doc_str(object, "metadata", "name", NULL)));
    json_object_set_new(reference, "uid", doc_string(doc_str(object, "metadata", "uid", NULL)));
    return reference;
}

void events_emit(struct events *events, const json_t *object, bool warning, const char *reason,
                 const char *fmt, ...)
{
    json_t *event = json_object();
    char now[CLOCK_TEXT_BYTES];
    const char *namespace = doc_str(object, "metadata", "namespace", NULL);
    AUTO_MEM char *prefix = str_format("%s.", doc_str(object, "metadata", "name", NULL));
    AUTO_MEM char *message = NULL;
    va_list args;

    va_start(args, fmt);
    message = str_vformat(fmt, args);
    va_end(args);
    clock_format(clock_wall_ms(), now);
    doc_set(event, doc_string(prefix), "metadata", "generateName", NULL);
    doc_set(event, doc_string(*namespace ? namespace : "default"), "metadata", "namespace", NULL);
    json_object_set_new(event, "involvedObject", make_reference(object));
    json_object_set_new(event, "type", doc_string(warning ? "Warning" : "Normal"));
    json_object_set_new(event, "reason", doc_string(reason));
    json_object_set_new(event, "message", doc_string_of(slice_of(message), MESSAGE_BYTES_MAX));
    json_object_set_new(event, "firstTimestamp", doc_string(now));
    json_object_set_new(event, "lastTimestamp", doc_string(now));
    json_object_set_new(event, "count", json_integer(1));
    doc_set(event, doc_string(events->component), "source", "component", NULL);
    json_object_set_new(event, "reportingComponent", doc_string(events->component));
    json_object_set_new(event, "reportingInstance", doc_string(events->host));
    if (json_array_size(events->waiting) == EVENTS_MAX)
        json_array_remove(events->waiting, 0);
    json_array_append_new(events->waiting, event);
    send_next(events);
}
