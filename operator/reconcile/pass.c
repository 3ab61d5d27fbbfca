// SPDX-License-Identifier: Apache-2.0
// The motor: one pass of one DRAConfiguration as a table of steps. Steps never choose their
// successor; pass_move() is the only writer of pass->step. A pass begins and ends with what the API
// server and the agents say, so a crash anywhere is resumed by comparing.
#include "reconcile_internal.h"

typedef struct error *step_fn(struct pass *pass, enum verdict *ret_verdict);

static const struct row {
    const char *name;
    step_fn *begin;
} rows[STEP_COUNT] = {
    [STEP_LOAD] = {"LOAD", step_load},
    [STEP_CLAIM] = {"CLAIM", step_claim},
    [STEP_OBSERVE] = {"OBSERVE", step_observe},
    [STEP_RESOLVE] = {"RESOLVE", step_resolve},
    [STEP_PLAN] = {"PLAN", step_plan},
    [STEP_RETIRE] = {"RETIRE", step_retire},
    [STEP_APPLY] = {"APPLY", step_apply},
    [STEP_DRIVER] = {"DRIVER", step_driver},
    [STEP_RELEASE] = {"RELEASE", step_release},
    [STEP_REPORT] = {"REPORT", step_report},
    [STEP_END] = {"END", NULL},
};

static bool has_released_all(const struct pass *pass)
{
    return pass->config.deleting &&
           ((pass->planned && pass->plan.done && !pass->observed->unsettled) ||
            pass->observed->type == PLATFORM_OBSERVE);
}

// Deletion that has nothing to take back: not asked for, not ours, or nothing was written.
static bool releases_at_once(const struct pass *pass)
{
    return !pass->config.revert || pass->conflict ||
           (pass->config.platform == PLATFORM_OBSERVE &&
            !*doc_str(pass->config.status, "driver", "release", NULL));
}

// What comes after a step that went well.
static enum step step_after(const struct pass *pass)
{
    switch (pass->step) {
    case STEP_LOAD:
        if (!pass->object)
            return STEP_END;
        if (pass->config.deleting && !pass->config.has_finalizer)
            return STEP_END;
        if (pass->config.deleting && releases_at_once(pass))
            return STEP_RELEASE;
        return pass->conflict ? STEP_REPORT : STEP_CLAIM;
    case STEP_CLAIM:
        if (pass->over || (pass->config.deleting && !pass->config.has_finalizer))
            return STEP_END;
        return STEP_OBSERVE;
    case STEP_OBSERVE:
        return STEP_RESOLVE;
    case STEP_RESOLVE:
        return STEP_PLAN;
    case STEP_PLAN:
        return pass_retires(pass) ? STEP_RETIRE : STEP_APPLY;
    case STEP_RETIRE:
        return pass->driver && !pass->driver->gone ? STEP_REPORT : STEP_APPLY;
    case STEP_APPLY:
        if (has_released_all(pass))
            return STEP_RELEASE;
        return pass_drives(pass) ? STEP_DRIVER : STEP_REPORT;
    case STEP_DRIVER:
        return STEP_REPORT;
    case STEP_RELEASE:
    case STEP_REPORT:
    case STEP_END:
    case STEP_COUNT:
        break;
    }
    return STEP_END;
}

// An error is reported, whatever step it came from; one in the report itself ends the pass.
static void pass_move(struct pass *pass, struct error *take_err)
{
    enum step from = pass->step;

    if (take_err) {
        log_line(LOG_DEBUG, "reconcile", "%s: %s: %s", pass->key, rows[from].name,
                 error_text(take_err));
        pass->failed = pass->failed || policy_of(take_err).retry;
        if (pass->err)
            error_free(take_err);
        else
            pass->err = take_err;
        pass->step =
            from == STEP_REPORT || from == STEP_RELEASE || !pass->object ? STEP_END : STEP_REPORT;
    } else {
        pass->step = step_after(pass);
    }
    log_line(LOG_DEBUG, "reconcile", "%s: %s -> %s", pass->key, rows[from].name,
             rows[pass->step].name);
}

static void pass_free(struct pass *pass)
{
    struct pass **at = &pass->controller->passes;

    while (*at != pass)
        at = &(*at)->next;
    *at = pass->next;
    op_drop(pass->pending);
    error_free(pass->err);
    intent_fini(&pass->intent);
    plan_fini(&pass->plan);
    gates_resolution_fini(&pass->resolution);
    reconcile_inputs_fini(&pass->inputs);
    platform_observed_free(pass->observed);
    api_conditions_free(pass->conditions);
    driver_result_free(pass->driver);
    json_decref(pass->status);
    json_decref(pass->object);
    mem_free(pass->conflict);
    mem_free(pass->key);
    mem_free(pass);
}

static void count_pass(struct pass *pass, const char *result)
{
    struct controller *c = pass->controller;

    if (!c->reconcile_total)
        return;
    metric_add(c->reconcile_total, 1, "draconfiguration", result);
    metric_observe(c->reconcile_seconds, (double)(clock_ms() - pass->began_ms) / 1000.0,
                   "draconfiguration");
    if (pass->failed)
        metric_add(c->reconcile_errors, 1, "draconfiguration");
    else if (pass->err)
        metric_add(c->reconcile_terminal, 1, "draconfiguration");
}

static void pass_end(struct pass *pass)
{
    struct queue *queue = pass->controller->queue;
    AUTO_MEM char *key = str_dup(pass->key);
    bool failed = pass->failed;
    uint64_t after_ms = pass->after_ms;

    // A conflict or a server that restarts is everyday life; what stays is logged once a pass, with
    // the back-off of the queue.
    if (pass->err)
        log_line(failed ? LOG_WARN : LOG_ERROR, "reconcile", "%s: %s", key, error_text(pass->err));
    count_pass(pass, failed ? "error" : after_ms ? "requeue_after" : "success");
    controller_note_end(pass->controller, key, failed || after_ms > 0);
    pass_free(pass);
    queue_done(queue, key, failed, after_ms);
}

static void pass_run(struct pass *pass)
{
    while (pass->step != STEP_END) {
        enum verdict verdict = VERDICT_NEXT;
        struct error *err = rows[pass->step].begin(pass, &verdict);

        if (!err && verdict == VERDICT_WAIT)
            return;
        pass_move(pass, err);
    }
    pass_end(pass);
}

void pass_continue(struct pass *pass, struct error *take_err)
{
    pass->pending = NULL;
    pass_move(pass, take_err);
    pass_run(pass);
}

void pass_start(struct controller *controller, const char *key)
{
    struct pass *pass = NEW(struct pass);

    pass->controller = controller;
    pass->key = str_dup(key);
    pass->began_ms = clock_ms();
    pass->next = controller->passes;
    controller->passes = pass;
    pass_run(pass);
}

void pass_drop(struct pass *pass)
{
    struct queue *queue = pass->controller->queue;
    AUTO_MEM char *key = str_dup(pass->key);

    pass_free(pass);
    queue_done(queue, key, false, 0);
}
