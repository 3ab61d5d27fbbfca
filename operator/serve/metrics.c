// SPDX-License-Identifier: Apache-2.0
// The registry: families of series, found by their label values.
#include "serve_internal.h"

#include <string.h>

// As sigs.k8s.io/controller-runtime buckets its reconcile times, so that dashboards made for it
// fit.
const double metric_buckets[] = {
    0.005, 0.01, 0.025, 0.05, 0.1,  0.15, 0.2,  0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6,
    0.7,   0.8,  0.9,   1,    1.25, 1.5,  1.75, 2,    2.5, 3,    3.5, 4,    4.5, 5,
    6,     7,    8,     9,    10,   15,   20,   25,   30,  40,   50,  60,
};
const size_t metric_bucket_count = COUNT(metric_buckets);

struct metrics *metrics_new(void)
{
    return NEW(struct metrics);
}

static void free_series(struct series *series, size_t label_count)
{
    for (size_t i = 0; i < label_count; i++)
        mem_free(series->values[i]);
    mem_free(series->key);
    mem_free(series->buckets);
    mem_free(series);
}

static void free_family(struct metric *metric)
{
    for (size_t i = 0; i < metric->series_count; i++)
        free_series(metric->series[i], metric->label_count);
    for (size_t i = 0; i < metric->label_count; i++)
        mem_free(metric->labels[i]);
    mem_free(metric->series);
    mem_free(metric->name);
    mem_free(metric->help);
    mem_free(metric->label_list);
    mem_free(metric);
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    while (metrics->first) {
        struct metric *metric = metrics->first;
        metrics->first = metric->next;
        free_family(metric);
    }
    mem_free(metrics);
}

void metrics_on_print(struct metrics *metrics, loop_fn *fn, void *owner)
{
    ASSERT(metrics->hook_count < HOOKS_MAX);
    metrics->hooks[metrics->hook_count++] = (struct metrics_hook){fn, owner};
}

static struct series *add_series(struct metric *metric, size_t at, const char *key,
                                 const char *const *values)
{
    if (metric->series_count == metric->series_room) {
        metric->series_room = metric->series_room ? metric->series_room * 2 : 4;
        metric->series = mem_realloc(metric->series, metric->series_room * sizeof(*metric->series));
    }
    memmove(metric->series + at + 1, metric->series + at,
            (metric->series_count - at) * sizeof(*metric->series));
    struct series *series = NEW(struct series);
    series->key = str_dup(key);
    for (size_t i = 0; i < metric->label_count; i++)
        series->values[i] = str_dup(values[i]);
    if (metric->type == METRIC_HISTOGRAM)
        series->buckets = mem_alloc(metric_bucket_count * sizeof(uint64_t));
    metric->series[at] = series;
    metric->series_count++;
    return series;
}

static char *make_key(size_t count, const char *const *values)
{
    struct buf key = buf_make(1 << 16);
    for (size_t i = 0; i < count; i++) {
        buf_add_str(&key, values[i]);
        buf_add_str(&key, "\x1f");
    }
    return buf_take(&key);
}

// Where key is, or belongs.
static bool find_key(const struct metric *metric, const char *key, size_t *ret_at)
{
    size_t low = 0, high = metric->series_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(metric->series[middle]->key, key);
        if (order == 0) {
            *ret_at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_at = low;
    return false;
}

static struct series *find_series(struct metric *metric, va_list args, bool make)
{
    const char *values[LABELS_MAX];
    for (size_t i = 0; i < metric->label_count; i++) {
        values[i] = va_arg(args, const char *);
        ASSERT(values[i]);
    }
    AUTO_MEM char *key = make_key(metric->label_count, values);
    size_t at;
    if (find_key(metric, key, &at))
        return metric->series[at];
    if (!make)
        return NULL;
    if (metric->series_count < SERIES_MAX)
        return add_series(metric, at, key, values);
    values[metric->label_count - 1] = "other"; // without labels there is one series: never here
    AUTO_MEM char *other = make_key(metric->label_count, values);
    if (find_key(metric, other, &at))
        return metric->series[at];
    if (metric->series_count < 2 * (size_t)SERIES_MAX)
        return add_series(metric, at, other, values);
    for (size_t i = 0; i < metric->label_count; i++)
        values[i] = "other";
    AUTO_MEM char *rest = make_key(metric->label_count, values);
    return find_key(metric, rest, &at) ? metric->series[at] : add_series(metric, at, rest, values);
}

static void split_labels(struct metric *metric, const char *labels)
{
    struct slice rest = slice_of(labels), part;
    while (rest.len && slice_cut(&rest, ',', &part)) {
        ASSERT(metric->label_count < LABELS_MAX);
        metric->labels[metric->label_count++] = slice_dup(slice_trim(part));
    }
}

struct metric *metrics_family(struct metrics *metrics, const char *name, enum metric_type type,
                              const char *labels, const char *help)
{
    struct metric **at = &metrics->first;
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    if (*at && str_eq((*at)->name, name)) {
        ASSERT((*at)->type == type && str_eq((*at)->label_list, labels));
        return *at;
    }
    struct metric *metric = NEW(struct metric);
    metric->name = str_dup(name);
    metric->help = str_dup(help);
    metric->label_list = str_dup(labels);
    metric->type = type;
    split_labels(metric, labels);
    metric->next = *at;
    *at = metric;
    if (metric->label_count == 0)
        add_series(metric, 0, "", NULL); // there from the start, with 0
    return metric;
}

void metric_add(struct metric *metric, double by, ...)
{
    ASSERT(metric->type != METRIC_HISTOGRAM && (metric->type == METRIC_GAUGE || by >= 0));
    va_list args;
    va_start(args, by);
    find_series(metric, args, true)->value += by;
    va_end(args);
}

// A counter may be set too: some are kept elsewhere and copied before each print.
void metric_set(struct metric *metric, double value, ...)
{
    ASSERT(metric->type != METRIC_HISTOGRAM);
    va_list args;
    va_start(args, value);
    find_series(metric, args, true)->value = value;
    va_end(args);
}

static void remove_at(struct metric *metric, size_t at)
{
    free_series(metric->series[at], metric->label_count);
    metric->series_count--;
    memmove(metric->series + at, metric->series + at + 1,
            (metric->series_count - at) * sizeof(*metric->series));
}

void metric_remove_all(struct metric *metric, size_t count, ...)
{
    const char *values[LABELS_MAX];
    AUTO_MEM char *key = NULL;
    size_t at;
    va_list args;

    ASSERT(count > 0 && count < metric->label_count);
    va_start(args, count);
    for (size_t i = 0; i < count; i++)
        values[i] = va_arg(args, const char *);
    va_end(args);
    key = make_key(count, values);
    (void)find_key(metric, key, &at); // of the first that begins so, if any
    while (at < metric->series_count && str_starts(metric->series[at]->key, key))
        remove_at(metric, at);
}

void metric_remove(struct metric *metric, ...)
{
    const char *values[LABELS_MAX];
    AUTO_MEM char *key = NULL;
    size_t at;
    va_list args;

    ASSERT(metric->label_count > 0);
    va_start(args, metric);
    for (size_t i = 0; i < metric->label_count; i++)
        values[i] = va_arg(args, const char *);
    va_end(args);
    key = make_key(metric->label_count, values);
    if (find_key(metric, key, &at))
        remove_at(metric, at);
}

void metric_observe(struct metric *metric, double seconds, ...)
{
    ASSERT(metric->type == METRIC_HISTOGRAM);
    va_list args;
    va_start(args, seconds);
    struct series *series = find_series(metric, args, true);
    va_end(args);
    series->value += seconds;
    series->count++;
    for (size_t i = 0; i < metric_bucket_count; i++) {
        if (seconds <= metric_buckets[i]) {
            series->buckets[i]++;
            break;
        }
    }
}

double metric_get(struct metric *metric, ...)
{
    va_list args;
    va_start(args, metric);
    const struct series *series = find_series(metric, args, false);
    va_end(args);
    if (!series)
        return 0;
    return metric->type == METRIC_HISTOGRAM ? (double)series->count : series->value;
}
