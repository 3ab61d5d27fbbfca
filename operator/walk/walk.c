// SPDX-License-Identifier: Apache-2.0
// The motor of passes, of DRAConfigurations and of ConfigSources alike: a table of steps, gone
// through until one waits. Steps never choose their successor; walk_move() is the only writer of
// walk->step. A pass begins and ends with what the API server and the agents say, so a crash
// anywhere is resumed by comparing.
#include "drawbridge/walk.h"
#include "drawbridge/api.h"

static const char *name_of(const struct walk *walk)
{
    return walk->walks->kind->steps[walk->step].name;
}

static void walk_move(struct walk *walk, struct error *take_err)
{
    const struct walk_kind *kind = walk->walks->kind;
    const char *from = name_of(walk);
    bool failed = take_err != NULL;

    if (take_err) {
        log_line(LOG_DEBUG, "walk", "%s%s: %s: %s", kind->prefix, walk->key, from,
                 error_text(take_err));
        walk->failed = walk->failed || policy_of(take_err).retry;
        if (walk->err)
            error_free(take_err);
        else
            walk->err = take_err;
    }
    walk->step = kind->next(walk, failed);
    log_line(LOG_DEBUG, "walk", "%s%s: %s -> %s", kind->prefix, walk->key, from, name_of(walk));
}

static void walk_free(struct walk *walk)
{
    const struct walk_kind *kind = walk->walks->kind;
    struct walk **at = &walk->walks->first;

    while (*at != walk)
        at = &(*at)->next;
    *at = walk->next;
    op_drop(walk->pending);
    op_drop(walk->deadline);
    error_free(walk->err);
    mem_free(walk->key);
    kind->drop(walk);
}

static void count(const struct walk *walk, const char *result)
{
    const struct walks *walks = walk->walks;
    const char *controller = walks->kind->controller;

    if (!walks->total)
        return;
    metric_add(walks->total, 1, controller, result);
    metric_observe(walks->seconds, (double)(clock_ms() - walk->began_ms) / 1000.0, controller);
    if (walk->failed)
        metric_add(walks->errors, 1, controller);
    else if (walk->err)
        metric_add(walks->terminal, 1, controller);
}

void walks_count(struct walks *walks, struct metrics *metrics)
{
    static const char *const results[] = {"success", "error", "requeue_after"};
    const char *controller = walks->kind->controller;

    if (!metrics)
        return;
    walks->total = metrics_family(metrics, "controller_runtime_reconcile_total", METRIC_COUNTER,
                                  "controller,result", "Passes by result");
    walks->errors =
        metrics_family(metrics, "controller_runtime_reconcile_errors_total", METRIC_COUNTER,
                       "controller", "Passes that ended in an error and come again");
    walks->terminal = metrics_family(metrics, "controller_runtime_terminal_reconcile_errors_total",
                                     METRIC_COUNTER, "controller",
                                     "Passes that ended in an error and do not come again");
    walks->seconds = metrics_family(metrics, "controller_runtime_reconcile_time_seconds",
                                    METRIC_HISTOGRAM, "controller", "How long passes take");
    for (size_t i = 0; i < COUNT(results); i++)
        metric_add(walks->total, 0, controller, results[i]);
    metric_add(walks->errors, 0, controller);
    metric_add(walks->terminal, 0, controller);
}

static void walk_end(struct walk *walk)
{
    struct queue *queue = walk->walks->queue;
    AUTO_MEM char *key = str_dup(walk->key);
    bool failed = walk->failed;
    uint64_t after_ms = walk->walks->kind->end(walk);

    // A conflict or a server that restarts is everyday life; what stays is logged once a pass, with
    // the back-off of the queue.
    if (walk->err)
        log_line(failed                                    ? LOG_WARN
                 : error_kind(walk->err) == ERROR_CANCELED ? LOG_DEBUG
                                                           : LOG_ERROR,
                 "walk", "%s%s: %s", walk->walks->kind->prefix, key, error_text(walk->err));
    count(walk, failed ? "error" : after_ms ? "requeue_after" : "success");
    walk_free(walk);
    queue_done(queue, key, failed, after_ms);
}

static void on_deadline(void *owner)
{
    struct walk *walk = owner;

    walk->deadline = NULL;
    walk->pending = op_drop(walk->pending);
    walk_continue(walk, error_because(ERROR_TRANSIENT, "APIServerUnreachable",
                                      "%s was not over after %llu s", name_of(walk),
                                      (unsigned long long)walk->walks->kind->step_ms_max / 1000));
}

static void walk_run(struct walk *walk)
{
    const struct walk_step *steps = walk->walks->kind->steps;

    while (steps[walk->step].begin) {
        enum verdict verdict = VERDICT_NEXT;
        struct error *err = steps[walk->step].begin(walk, &verdict);

        if (!err && verdict == VERDICT_WAIT) {
            walk->deadline =
                loop_sleep(walk->walks->loop, walk->walks->kind->step_ms_max, on_deadline, walk);
            return;
        }
        walk_move(walk, err);
    }
    walk_end(walk);
}

void walk_continue(struct walk *walk, struct error *take_err)
{
    walk->pending = NULL;
    walk->deadline = op_drop(walk->deadline);
    walk_move(walk, take_err);
    walk_run(walk);
}

void walk_start(struct walk *walk, struct walks *walks, const char *key)
{
    walk->walks = walks;
    walk->key = str_dup(key);
    walk->began_ms = clock_ms();
    walk->next = walks->first;
    walks->first = walk;
    walk_run(walk);
}

static struct walk *find_first(const struct walks *walks, bool (*which)(const void *walk))
{
    struct walk *walk = walks->first;

    while (walk && which && !which(walk))
        walk = walk->next;
    return walk;
}

// queue_done() may begin others.
void walks_drop(struct walks *walks, bool (*which)(const void *walk))
{
    struct walk *walk;

    while ((walk = find_first(walks, which))) {
        AUTO_MEM char *key = str_dup(walk->key);

        walk_free(walk);
        queue_done(walks->queue, key, false, 0);
    }
}
