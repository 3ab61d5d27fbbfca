// SPDX-License-Identifier: Apache-2.0
// How counters are kept, for the file that changes them and the file that prints them.
#pragma once

#include "drawbridge/serve.h"

enum { LABELS_MAX = 8, SERIES_MAX = 1000, HOOKS_MAX = 16 };

extern const double metric_buckets[];
extern const size_t metric_bucket_count;

struct series {
    char *key; // the label values, each followed by a unit separator
    char *values[LABELS_MAX];
    double value;             // of a histogram: the sum
    uint64_t count, *buckets; // of a histogram alone; buckets are not cumulated here
};

struct metric {
    char *name, *help, *label_list;
    char *labels[LABELS_MAX];
    size_t label_count;
    enum metric_type type;
    struct series **series; // sorted by key
    size_t series_count, series_room;
    struct metric *next; // sorted by name
};

struct metrics_hook {
    loop_fn *fn;
    void *owner;
};

struct metrics {
    struct metric *first;
    struct metrics_hook hooks[HOOKS_MAX];
    size_t hook_count;
};
