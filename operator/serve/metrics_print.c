// SPDX-License-Identifier: Apache-2.0
// Prometheus' text format, 0.0.4.
#include "serve_internal.h"

#include <math.h>
#include <stdio.h>

#define PRINT_BYTES_MAX ((size_t)64 << 20)

static void add_escaped(struct buf *b, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\\')
            buf_add_str(b, "\\\\");
        else if (*text == '\n')
            buf_add_str(b, "\\n");
        else if (*text == '"' && quotes)
            buf_add_str(b, "\\\"");
        else
            buf_add(b, text, 1);
    }
}

// The shortest of the notations that read back as the same number.
static void add_number(struct buf *b, double value)
{
    if (isnan(value)) {
        buf_add_str(b, "NaN");
    } else if (isinf(value)) {
        buf_add_str(b, value > 0 ? "+Inf" : "-Inf");
    } else {
        char text[40];
        double back = 0;
        snprintf(text, sizeof(text), "%.15g", value);
        if (sscanf(text, "%lf", &back) != 1 || back != value)
            snprintf(text, sizeof(text), "%.17g", value);
        buf_add_str(b, text);
    }
}

// name{label="value",le="1"}: suffix after the name, le NULL where there is none.
static void add_name(struct buf *b, const struct metric *metric, const struct series *series,
                     const char *suffix, const char *le)
{
    buf_printf(b, "%s%s", metric->name, suffix);
    const char *sep = "{";
    for (size_t i = 0; i < metric->label_count; i++, sep = ",") {
        buf_printf(b, "%s%s=\"", sep, metric->labels[i]);
        add_escaped(b, series->values[i], true);
        buf_add_str(b, "\"");
    }
    if (le) {
        buf_printf(b, "%sle=\"%s\"", sep, le);
        sep = ",";
    }
    buf_add_str(b, *sep == ',' ? "} " : " ");
}

static void add_histogram(struct buf *b, const struct metric *metric, const struct series *series)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < metric_bucket_count; i++) {
        char le[40];
        snprintf(le, sizeof(le), "%g", metric_buckets[i]);
        sum += series->buckets[i];
        add_name(b, metric, series, "_bucket", le);
        buf_printf(b, "%llu\n", (unsigned long long)sum);
    }
    add_name(b, metric, series, "_bucket", "+Inf");
    buf_printf(b, "%llu\n", (unsigned long long)series->count);
    add_name(b, metric, series, "_sum", NULL);
    add_number(b, series->value);
    buf_add_str(b, "\n");
    add_name(b, metric, series, "_count", NULL);
    buf_printf(b, "%llu\n", (unsigned long long)series->count);
}

static void add_family(struct buf *b, const struct metric *metric)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    if (metric->series_count == 0)
        return;
    buf_printf(b, "# HELP %s ", metric->name);
    add_escaped(b, metric->help, false);
    buf_printf(b, "\n# TYPE %s %s\n", metric->name, types[metric->type]);
    for (size_t i = 0; i < metric->series_count; i++) {
        const struct series *series = metric->series[i];
        if (metric->type == METRIC_HISTOGRAM) {
            add_histogram(b, metric, series);
            continue;
        }
        add_name(b, metric, series, "", NULL);
        add_number(b, series->value);
        buf_add_str(b, "\n");
    }
}

char *metrics_print(struct metrics *metrics)
{
    for (size_t i = 0; i < metrics->hook_count; i++)
        metrics->hooks[i].fn(metrics->hooks[i].owner);
    struct buf b = buf_make(PRINT_BYTES_MAX);
    for (const struct metric *metric = metrics->first; metric; metric = metric->next)
        add_family(&b, metric);
    return buf_take(&b);
}
