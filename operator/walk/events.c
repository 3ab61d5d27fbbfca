// SPDX-License-Identifier: Apache-2.0
// Events on our objects. They are a courtesy: never waited for, never retried, and few: passes emit
// on changes alone, and of a series (the same object, type and reason again and again, as in a
// roll-out of a thousand nodes) the first ones are written, then one for all of a minute, of two,
// of four and so on, as client-go's correlator combines them.
#include "drawbridge/walk.h"

#define EVENTS_MAX 128         // waiting to be sent
#define MESSAGE_BYTES_MAX 1024 // the API server's limit for an event's message

#define SERIES_MAX 64 // followed at once: the one that was silent longest is forgotten
#define SERIES_ALONE 25
#define SERIES_OVER_MS 600000 // silent for so long: the next one begins another series
#define COMBINE_MS_MAX 3600000

uint64_t events_combine_ms = 60000;

struct series {
    char *key;
    uint64_t last_ms, combine_ms;
    unsigned alone; // written by themselves
    unsigned held;
    json_t *latest; // of those that are held
    uint64_t due_ms;
};

struct events {
    struct loop *loop;
    struct kube *kube;
    const char *component, *host;
    struct op *pending;
    json_t *waiting; // array
    struct series series[SERIES_MAX];
    size_t len;
    struct op *timer; // while something is held
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
    op_drop(events->timer);
    for (size_t i = 0; i < events->len; i++) {
        mem_free(events->series[i].key);
        json_decref(events->series[i].latest);
    }
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

static void queue(struct events *events, json_t *take_event)
{
    if (json_array_size(events->waiting) == EVENTS_MAX)
        json_array_remove(events->waiting, 0);
    json_array_append_new(events->waiting, take_event);
    send_next(events);
}

// --- series --------------------------------------------------------------------------------------

static void arm(struct events *events);

// What was held goes out as one event, with the words of the latest.
static void combine(struct events *events, struct series *series)
{
    json_t *event = TAKE(series->latest);
    AUTO_MEM char *message = str_format("(combined from %u similar events) %s", series->held,
                                        doc_str(event, "message", NULL));

    json_object_set_new(event, "message", doc_string_of(slice_of(message), MESSAGE_BYTES_MAX));
    json_object_set_new(event, "count", json_integer(series->held));
    series->held = 0;
    series->combine_ms =
        2 * series->combine_ms < COMBINE_MS_MAX ? 2 * series->combine_ms : COMBINE_MS_MAX;
    queue(events, event);
}

static void on_timer(void *owner)
{
    struct events *events = owner;
    uint64_t now_ms = clock_ms();

    events->timer = NULL;
    for (size_t i = 0; i < events->len; i++) {
        if (events->series[i].held > 0 && events->series[i].due_ms <= now_ms)
            combine(events, &events->series[i]);
    }
    arm(events);
}

static void arm(struct events *events)
{
    uint64_t due_ms = UINT64_MAX, now_ms = clock_ms();

    for (size_t i = 0; i < events->len; i++) {
        if (events->series[i].held > 0 && events->series[i].due_ms < due_ms)
            due_ms = events->series[i].due_ms;
    }
    events->timer = op_drop(events->timer);
    if (due_ms != UINT64_MAX)
        events->timer =
            loop_sleep(events->loop, due_ms > now_ms ? due_ms - now_ms : 0, on_timer, events);
}

static void begin_series(struct series *series, char *take_key)
{
    mem_free(series->key);
    json_decref(series->latest);
    *series = (struct series){.key = take_key, .combine_ms = events_combine_ms};
}

static struct series *series_of(struct events *events, const json_t *event)
{
    char *key = str_format("%s %s %s %s", doc_str(event, "metadata", "generateName", NULL),
                           doc_str(event, "involvedObject", "uid", NULL),
                           doc_str(event, "type", NULL), doc_str(event, "reason", NULL));
    struct series *oldest = &events->series[0];

    for (size_t i = 0; i < events->len; i++) {
        struct series *series = &events->series[i];

        if (str_eq(series->key, key)) {
            mem_free(key);
            return series;
        }
        if (series->last_ms < oldest->last_ms)
            oldest = series;
    }
    if (events->len < SERIES_MAX)
        oldest = &events->series[events->len++];
    else if (oldest->held > 0)
        combine(events, oldest);
    begin_series(oldest, key);
    return oldest;
}

static void offer(struct events *events, json_t *take_event)
{
    struct series *series = series_of(events, take_event);
    uint64_t now_ms = clock_ms();

    if (series->held == 0 && series->last_ms > 0 && now_ms - series->last_ms > SERIES_OVER_MS)
        begin_series(series, TAKE(series->key));
    series->last_ms = now_ms;
    if (series->alone < SERIES_ALONE) {
        series->alone++;
        queue(events, take_event);
        return;
    }
    json_decref(series->latest);
    series->latest = take_event;
    if (series->held++ == 0) {
        series->due_ms = now_ms + series->combine_ms;
        arm(events);
    }
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
    offer(events, event);
}
