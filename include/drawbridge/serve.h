// SPDX-License-Identifier: Apache-2.0
// serve: /livez, /readyz, /metrics, /version for kubelets and Prometheus.
//
// Purpose   a small HTTP/1.1 server, GET and HEAD alone; and the metrics registry it prints
// May use   loop base
// Never     decides what is ready: asks those who registered a check
// Limits    requests of 4 KiB, 128 connections, 10 s each (of those that say nothing the oldest
//           goes first), 2 pages of metrics on their way
// Blocking  no
#pragma once

#include "drawbridge/loop.h"

// --- metrics, in Prometheus text format 0.0.4 ----------------------------------------------------

struct metrics;
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
AUTO_DECLARE(metrics, struct metrics)
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
struct metric;
// labels: names joined by commas, "" for none. One family a name: asked for again it is the same.
// Series a family: 1000 at most, then the last label values become "other". Borrowed from metrics.
struct metric *metrics_family(struct metrics *metrics, const char *name, enum metric_type type,
                              const char *labels, const char *help);
// values: as many strings as the family has labels.
void metric_add(struct metric *metric, double by, ...);
void metric_set(struct metric *metric, double value, ...);
// controller-runtime's buckets, 5 ms to 60 s
void metric_observe(struct metric *metric, double seconds, ...);
double metric_get(struct metric *metric, ...);
// The series is not printed any more: what it spoke of is gone. None there is fine.
void metric_remove(struct metric *metric, ...);
// The same for all series whose first labels have these values, count of them.
void metric_remove_all(struct metric *metric, size_t count, ...);
char *metrics_print(struct metrics *metrics);
// Called before each print, to set gauges that are read rather than counted.
void metrics_on_print(struct metrics *metrics, loop_fn *fn, void *owner);

// --- the server ----------------------------------------------------------------------------------

struct serve;
// Writes why it is not ready into *why and gives false, or true.
typedef bool serve_check_fn(void *owner, struct buf *why);
struct serve_spec {
    const char *host;        // NULL: 0.0.0.0
    uint16_t port;           // 0: any free one
    struct metrics *metrics; // NULL: /metrics is 404
    serve_check_fn *ready;   // NULL: always ready
    void *owner;
};
struct error *serve_new(struct loop *loop, const struct serve_spec *spec, struct serve **ret_serve);
uint16_t serve_port(const struct serve *serve);
void serve_free(struct serve *serve);
AUTO_DECLARE(serve, struct serve)
