// SPDX-License-Identifier: Apache-2.0
// RETIRE and DRIVER: the driver's place in a pass. It goes before what it needs is turned off, and
// comes after everything else is right.
#include "controller_internal.h"

static bool is_installed(const struct pass *pass)
{
    return *doc_str(pass->config.status, "driver", "release", NULL) != '\0';
}

static bool is_testing(const struct pass *pass)
{
    const json_t *list = json_object_get(pass->config.status, "conditions");
    bool runs = false;

    for (size_t i = 0; i < json_array_size(list); i++)
        runs = runs || str_eq(doc_str(json_array_get(list, i), "reason", NULL), "SmokeTestRunning");
    return runs;
}

// A test that runs is also seen to its end when the spec asks for none any more.
static bool tests(const struct pass *pass)
{
    return is_testing(pass) || doc_bool(pass->object, false, "spec", "smokeTest", "enabled", NULL);
}

bool pass_leaves_driver(const struct pass *pass)
{
    return is_installed(pass) || is_testing(pass);
}

// The spec says in so many words that DRA shall be off, or takes everything back.
static bool turns_off(const struct pass *pass)
{
    const json_t *gate = json_object_get(pass->config.feature_gates, "DynamicResourceAllocation");

    return pass->config.deleting || (gate && !json_is_true(gate));
}

bool pass_drives_elsewhere(const struct pass *pass)
{
    return platform_traits(pass->config.platform)->nodes_elsewhere;
}

struct cluster *pass_driver_cluster(const struct pass *pass)
{
    return pass_drives_elsewhere(pass) ? pass->workload : pass->cluster;
}

// Its driver goes first, and cannot be seen. One whose cluster is no more is gone with it.
static bool hides_its_driver(const struct pass *pass)
{
    return pass->undriven && is_installed(pass) && !pass->observed->gone;
}

// Flags of DRA are about to be taken out while its API is served. What a failed roll-out leaves is
// put back without asking.
static bool takes_flags_out(const struct pass *pass)
{
    struct gates_intent intent = intent_gates(&pass->intent);

    return pass_writes(pass) && !pass->plan.done && !plan_enables(&intent) &&
           !pass->intent.rolled_back &&
           (json_array_size(pass->observed->served) > 0 || hides_its_driver(pass)) &&
           json_object_size(pass->config.status) > 0 &&
           *doc_str(pass->config.status, "lastAppliedRevision", NULL);
}

static struct error *copy_error(const struct error *err)
{
    return error_because(error_kind(err), error_reason(err), "%s", error_text(err));
}

static struct error *check_elsewhere(const struct pass *pass)
{
    const struct error *unread = pass->observed->unread;
    struct error *err;

    if (pass->unreached)
        return copy_error(pass->unreached);
    if (!pass->workload)
        return error_new(ERROR_NOT_FOUND, "no kubeconfig leads to the cluster of its nodes");
    if (unread)
        return copy_error(unread);
    err = cluster_check_known(pass->workload);
    return err ? err : pass_check_cluster(pass, pass->workload);
}

void pass_look_elsewhere(struct pass *pass)
{
    bool looks = pass->config.deleting ? pass_leaves_driver(pass) : pass_has_driver(pass);

    if (pass_drives_elsewhere(pass) && looks)
        pass->undriven = check_elsewhere(pass);
}

bool pass_retires(const struct pass *pass)
{
    if (pass->conflict)
        return false;
    // Where nothing of ours is flags go, whoever may not be asked for claims.
    if (pass_drives_elsewhere(pass) && !pass_leaves_driver(pass))
        return false;
    if (pass->undriven && !hides_its_driver(pass))
        return false;
    return takes_flags_out(pass) ||
           (is_installed(pass) && (!pass->config.driver || turns_off(pass)));
}

bool pass_drives(const struct pass *pass)
{
    return !pass->conflict && !pass->undriven && !pass->driver && !turns_off(pass) &&
           (pass->config.driver || tests(pass));
}

bool pass_has_driver(const struct pass *pass)
{
    return pass->object &&
           (pass->driver || pass->config.driver || is_installed(pass) || tests(pass));
}

static void on_driver(void *owner, struct error *take_err, struct driver_result *take_result)
{
    struct pass *pass = owner;

    pass->driver = take_result;
    if (take_result && take_result->event)
        events_emit(pass->controller->events, pass->object, false, "Driver", "%s",
                    take_result->event);
    if (take_result && take_result->after_ms > 0 &&
        (pass->after_ms == 0 || take_result->after_ms < pass->after_ms))
        pass->after_ms = take_result->after_ms;
    walk_continue(&pass->walk, error_wrap(take_err, "driver"));
}

static const char *waiting_for(const struct pass *pass)
{
    if (!platform_traits(pass->observed->type)->writes)
        return NULL;
    if (!pass->planned)
        return "WaitingForControlPlane";
    return pass->plan.complete ? NULL : "WaitingForNodes";
}

static struct op *begin(struct pass *pass, bool gone)
{
    struct controller *c = pass->controller;
    struct driver_work work = {
        .key = pass->walk.key,
        .cluster = pass_driver_cluster(pass),
        .object = pass->object,
        .served = pass->observed->served,
        .minor = (unsigned)pass->observed->server.minor,
        .gone = gone,
        .all_claims = gone && takes_flags_out(pass),
        .waiting = waiting_for(pass) != NULL,
        .waiting_for = waiting_for(pass),
        .suspend = pass->config.suspend,
    };

    return driver_pass(c->driver, &work, on_driver, pass);
}

struct error *step_retire(void *walk, enum verdict *ret_verdict)
{
    struct pass *pass = walk;

    pass->retired = true;
    if (pass->undriven)
        return copy_error(pass->undriven);
    pass->walk.pending = begin(pass, true);
    *ret_verdict = VERDICT_WAIT;
    return NULL;
}

struct error *step_driver(void *walk, enum verdict *ret_verdict)
{
    struct pass *pass = walk;
    pass->walk.pending = begin(pass, false);
    *ret_verdict = VERDICT_WAIT;
    return NULL;
}

// --- what came of it

static bool had_condition(const struct pass *pass, enum condition condition)
{
    const json_t *list = json_object_get(pass->config.status, "conditions");

    for (size_t i = 0; i < json_array_size(list); i++) {
        if (str_eq(doc_str(json_array_get(list, i), "type", NULL), condition_name(condition)))
            return true;
    }
    return false;
}

static void say(struct pass *pass, enum condition condition, const struct driver_verdict *verdict)
{
    static const enum tristate states[] = {
        [DRIVER_FALSE] = STATE_FALSE, [DRIVER_TRUE] = STATE_TRUE, [DRIVER_UNKNOWN] = STATE_UNKNOWN};

    if (*verdict->reason)
        api_conditions_set(pass->conditions, condition, states[verdict->state], verdict->reason,
                           "%s", verdict->message);
}

// Nothing was asked for: what an earlier spec left must not go on saying what is not true.
static void say_not_requested(struct pass *pass)
{
    bool off = pass->config.driver && turns_off(pass);

    if (off || had_condition(pass, CONDITION_DRIVER_READY))
        api_conditions_set(
            pass->conditions, CONDITION_DRIVER_READY, STATE_FALSE,
            off ? "DRADisabled" : "DriverNotRequested",
            off ? "The spec turns DynamicResourceAllocation off, and so there is no driver"
                : "The spec has no driver");
    if (had_condition(pass, CONDITION_DEVICES_PUBLISHED))
        api_conditions_set(pass->conditions, CONDITION_DEVICES_PUBLISHED, STATE_FALSE,
                           off ? "DRADisabled" : "DriverNotRequested",
                           "The spec asks for no devices");
}

// The pass ended before it got there.
static void say_not_reached(struct pass *pass)
{
    const struct error *err = pass->undriven ? pass->undriven : pass->walk.err;
    const char *reason = err ? policy_reason(err) : "WaitingForControlPlane";
    const struct api_reason *known = api_reason_find(reason);
    bool ends = known && known->terminal;

    if (!known || (ends && !pass->undriven)) // ConfigValid tells it
        reason = "WaitingForControlPlane";
    api_conditions_set(pass->conditions, CONDITION_DRIVER_READY,
                       ends && pass->undriven ? STATE_FALSE : STATE_UNKNOWN, reason,
                       err ? "The driver was not looked at: %s"
                           : "The driver comes when the cluster is right%s",
                       err ? error_text(err) : "");
}

void conditions_say_driver(struct pass *pass)
{
    const struct driver_result *result = pass->driver;
    bool test = doc_bool(pass->object, false, "spec", "smokeTest", "enabled", NULL);

    if (pass->retired && pass->undriven) // it is asked for no more, and still there
        say_not_reached(pass);
    else if (!pass->config.driver || turns_off(pass))
        say_not_requested(pass); // and what follows says more
    else if (!result)
        say_not_reached(pass);
    if (result) {
        // With a smoke test alone nobody asked whether a driver is ready: the devices speak.
        if (pass->config.driver || pass->retired)
            say(pass, CONDITION_DRIVER_READY, &result->ready);
        say(pass, CONDITION_DEVICES_PUBLISHED, &result->devices);
        say(pass, CONDITION_SMOKE_TEST_PASSED, &result->smoke);
    }
    if (!test && had_condition(pass, CONDITION_SMOKE_TEST_PASSED))
        api_conditions_set(pass->conditions, CONDITION_SMOKE_TEST_PASSED, STATE_FALSE,
                           "NotRequested", "The spec asks for no smoke test");
    else if (test && !*api_conditions_reason(pass->conditions, CONDITION_SMOKE_TEST_PASSED) &&
             !((pass->walk.err || pass->undriven) &&
               had_condition(pass, CONDITION_SMOKE_TEST_PASSED)))
        api_conditions_set(pass->conditions, CONDITION_SMOKE_TEST_PASSED, STATE_FALSE,
                           "WaitingForDevices", "It begins when devices are published");
}

void report_put_driver(const struct pass *pass, json_t *status)
{
    static const char *const kept[] = {"driver", "devices", "smokeTest"};
    const struct driver_result *result = pass->driver;

    if (!result) {
        // Not looked at this time: the last known state stays.
        for (size_t i = 0; i < COUNT(kept) && (pass->config.driver || is_installed(pass)); i++)
            if (json_object_get(pass->config.status, kept[i]))
                json_object_set_new(status, kept[i],
                                    doc_copy(json_object_get(pass->config.status, kept[i])));
        return;
    }
    if (result->status_driver)
        json_object_set(status, "driver", result->status_driver);
    if (result->status_devices)
        json_object_set(status, "devices", result->status_devices);
    if (result->status_smoke)
        json_object_set(status, "smokeTest", result->status_smoke);
}
