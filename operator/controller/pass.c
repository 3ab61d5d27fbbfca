// SPDX-License-Identifier: Apache-2.0
// One pass of one DRAConfiguration: its steps, and what comes after each.
#include "controller_internal.h"

// Of some requests one after the other, each of which has KUBE_TIMEOUT_MS. What takes longer (a
// roll-out, helm, pods) no step waits for.
#define STEP_MS_MAX 120000

static const struct walk_step steps[STEP_COUNT] = {
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
           ((pass->planned && pass->plan.complete && !pass->observed->unsettled) ||
            !platform_traits(pass->observed->type)->writes);
}

// Deletion that has nothing to take back: not asked for, not ours, or nothing was written.
static bool releases_at_once(const struct pass *pass)
{
    return !pass->config.revert || pass->conflict || pass->forbidden ||
           (!platform_traits(pass->config.platform)->writes &&
            !*doc_str(pass->config.status, "driver", "release", NULL));
}

// What RELEASE has removed already is not made again, when it did not come to its end.
static unsigned step_writing(const struct pass *pass)
{
    return has_released_all(pass) ? STEP_RELEASE : STEP_APPLY;
}

// An error is reported, whatever step it came from; one in the report itself ends the pass.
static unsigned step_after(const void *walk, bool failed)
{
    const struct pass *pass = walk;
    enum step step = (enum step)pass->walk.step;

    if (failed)
        return step == STEP_REPORT || step == STEP_RELEASE || !pass->object ? STEP_END
                                                                            : STEP_REPORT;
    switch (step) {
    case STEP_LOAD:
        if (!pass->object || pass->over)
            return STEP_END;
        if (pass->config.deleting && !pass->config.has_finalizer)
            return STEP_END;
        if (pass->unheld)
            return STEP_REPORT;
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
        return pass_retires(pass) ? STEP_RETIRE : step_writing(pass);
    case STEP_RETIRE:
        return pass->driver && !pass->driver->gone ? STEP_REPORT : step_writing(pass);
    case STEP_APPLY:
        if (pass->more)
            return STEP_REPORT;
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

static void pass_free(void *walk)
{
    struct pass *pass = walk;

    intent_fini(&pass->intent);
    plan_fini(&pass->plan);
    gates_resolution_fini(&pass->resolution);
    plan_inputs_fini(&pass->inputs);
    platform_observed_free(pass->observed);
    api_conditions_free(pass->conditions);
    driver_result_free(pass->driver);
    json_decref(pass->status);
    json_decref(pass->object);
    cluster_unref(pass->cluster);
    cluster_unref(pass->workload);
    error_free(pass->unreached);
    error_free(pass->undriven);
    mem_free(pass->conflict);
    mem_free(pass->unheld);
    mem_free(pass);
}

static uint64_t pass_end(void *walk)
{
    struct pass *pass = walk;

    // Also where the cluster is out of reach: the client that followed there is no more.
    if (!pass_driver_cluster(pass) || !pass_has_driver(pass))
        driver_forget(pass->controller->driver, pass->walk.key);
    scouts_note_end(pass->controller->scouts, pass->cluster, pass->walk.key,
                    pass->walk.failed || pass->after_ms > 0);
    return pass->walk.failed ? 0 : pass->after_ms; // what failed comes again after its back-off
}

const struct walk_kind pass_kind = {.controller = "draconfiguration",
                                    .prefix = "",
                                    .steps = steps,
                                    .step_ms_max = STEP_MS_MAX,
                                    .next = step_after,
                                    .end = pass_end,
                                    .drop = pass_free};

void pass_start(struct controller *controller, const char *key)
{
    struct pass *pass = NEW(struct pass);

    pass->controller = controller;
    pass->home = shards_kube(controller->shards, watch_get(controller->configs, key));
    pass->unheld = shards_why_unheld(controller->shards, watch_get(controller->configs, key));
    walk_start(&pass->walk, &controller->passes, key);
}
