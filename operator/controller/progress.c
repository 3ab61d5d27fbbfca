// SPDX-License-Identifier: Apache-2.0
// How far a part of the roll-out is (the control plane, the nodes), in a condition: what the step
// that matters most is at, what it waits for, and what came of it.
#include "controller_internal.h"

const struct plan_instance *pass_instance(const struct pass *pass, const struct plan_step *step)
{
    return &pass->observed->instances[step->instance];
}

static bool is_kubelet(const struct pass *pass, const struct plan_step *step)
{
    return pass_instance(pass, step)->component == COMPONENT_KUBELET;
}

static bool is_part_done(const struct pass *pass, bool kubelets)
{
    for (size_t i = 0; i < pass->plan.len; i++) {
        const struct plan_step *step = &pass->plan.steps[i];

        if (is_kubelet(pass, step) == kubelets && step->state != PLAN_DONE && !step->left)
            return false;
    }
    return true;
}

// Why nothing comes of what was asked.
static const char *reason_overdue(const struct plan_instance *instance)
{
    if (instance->not_ready_ms)
        return "NodeNotReady";
    if (instance->stale)
        return "StaleEpoch";
    return str_eq(doc_str(instance->reported, "revision", NULL),
                  doc_str(instance->asked, "revision", NULL))
               ? "ProgressDeadlineExceeded"
               : "AgentNotReporting";
}

// The others that nobody waits for: "; the same goes for b, c, ...".
static void add_left(const struct pass *pass, const struct plan_step *first, struct buf *text)
{
    unsigned named = 0;

    for (size_t i = 0; i < pass->plan.len && first->left; i++) {
        const struct plan_step *step = &pass->plan.steps[i];

        if (step == first || !step->left || is_kubelet(pass, step) != is_kubelet(pass, first))
            continue;
        if (named == NODES_NAMED) {
            buf_add_str(text, ", ...");
            return;
        }
        buf_printf(text, "%s%s",
                   named++ ? ", " : "; not waited for either: ", pass_instance(pass, step)->node);
    }
}

static void say_overdue(struct pass *pass, enum condition condition, const struct plan_step *step)
{
    const struct plan_instance *instance = pass_instance(pass, step);
    const char *reason = reason_overdue(instance),
               *asked = doc_str(instance->asked, "askedAt", NULL);
    AUTO_BUF struct buf text = buf_make(8192);
    char since[CLOCK_TEXT_BYTES], until[CLOCK_TEXT_BYTES];

    if (instance->not_ready_ms) {
        buf_printf(&text, "%s: the node is not ready", instance->id);
        if (instance->not_ready_ms != PLAN_UNKNOWN_MS)
            buf_printf(&text, " since %s", clock_format(instance->not_ready_ms, since));
        buf_add_str(&text, "; it is changed when the node is back");
        if (step->until_ms)
            buf_printf(&text, " and counts as unavailable until %s",
                       clock_format(step->until_ms, until));
        else if (step->left)
            buf_add_str(&text, ", and the others do not wait for it");
    } else if (instance->stale) {
        buf_printf(&text,
                   "%s: its agent has seen a newer leader than the one that wrote its "
                   "NodeDRAConfiguration; see whether two installations write this cluster",
                   instance->id);
    } else if (str_eq(reason, "AgentNotReporting")) {
        buf_printf(&text, "%s was asked at %s, and its agent has not answered; see the agent's log",
                   instance->id, asked);
    } else {
        buf_printf(&text,
                   "%s was asked at %s and is not done, longer than "
                   "spec.rollout.componentTimeout; see the agent's log",
                   instance->id, asked);
    }
    add_left(pass, step, &text);
    api_conditions_set(pass->conditions, condition, STATE_FALSE, reason, "%s", text.ptr);
}

const char *progress_reason(const struct pass *pass)
{
    return pass->config.deleting      ? "Reverting"
           : pass->intent.rolled_back ? "RollingBack"
                                      : "RollingOut";
}

// The agent has the spec and does not take it.
static void say_refused(struct pass *pass, enum condition condition,
                        const struct plan_instance *instance, const json_t *refused)
{
    api_conditions_set(pass->conditions, condition, STATE_FALSE, "AgentNotReporting",
                       "%s: the agent does not take what is asked of it, and tries again: %s",
                       instance->id, doc_str(refused, "message", NULL));
}

static void say_step(struct pass *pass, enum condition condition, const struct plan_step *step)
{
    const struct plan_instance *instance = pass_instance(pass, step);
    AUTO_MEM char *summary = plan_step_summary(step, instance);
    const json_t *config =
        watch_get(pass->cluster->node_configs, instance->node ? instance->node : "");
    const json_t *config_status = json_object_get(config, "status");
    const char *phase = "";

    if (str_eq(doc_str(config, "status", "step", "component", NULL),
               component_name(instance->component)))
        phase = doc_str(config, "status", "step", "phase", NULL);
    if (instance->stale && step->state == PLAN_RUNNING)
        say_overdue(pass, condition, step);
    else if (*phase)
        api_conditions_set(pass->conditions, condition, STATE_FALSE, progress_reason(pass),
                           "%s: %s since %s", instance->id, phase,
                           doc_str(config, "status", "step", "since", NULL));
    else if (step->state == PLAN_RUNNING && json_object_get(config_status, "refused"))
        say_refused(pass, condition, instance, json_object_get(config_status, "refused"));
    else if (*doc_str(instance->reported, "message", NULL) && !instance->node)
        api_conditions_set(pass->conditions, condition, STATE_FALSE, progress_reason(pass),
                           "%s: %s", instance->id, doc_str(instance->reported, "message", NULL));
    else
        api_conditions_set(pass->conditions, condition, STATE_FALSE, progress_reason(pass),
                           "%s: %s", instance->id, *summary ? summary : "being verified");
}

// A step that failed or is blocked: what its agent, or the platform, says of it.
static void say_trouble(struct pass *pass, enum condition condition, const struct plan_step *step)
{
    const struct plan_instance *instance = pass_instance(pass, step);
    const char *reason = doc_str(instance->reported, "reason", NULL);
    const char *message = doc_str(instance->reported, "message", NULL);
    bool kubelet = instance->component == COMPONENT_KUBELET && !instance->object;
    bool alone = step->state == PLAN_FAILED && pass->intent.known_good && !kubelet;
    AUTO_MEM char *others =
        plan_others_text(&pass->plan, pass->observed->instances, (size_t)(step - pass->plan.steps));

    // Whether the node put anything back, its own words tell.
    if (kubelet && step->state == PLAN_FAILED)
        api_conditions_set(pass->conditions, condition, STATE_FALSE, "NodeFailed",
                           "%s failed and the roll-out is paused: %s%s", instance->id, message,
                           others);
    else
        api_conditions_set(pass->conditions, condition, STATE_FALSE,
                           api_reason_find(reason) ? reason : "ComponentNotReady", "%s: %s%s",
                           instance->id, message,
                           alone        ? "; everything else stays as it is: this revision was "
                                          "applied and good before"
                           : step->left ? "; it is not touched, and nobody waits for it"
                                        : "");
}

// Its turn has not come: what comes before it.
static void say_waiting(struct pass *pass, enum condition condition, const struct plan_step *step)
{
    struct gates_intent intent = intent_gates(&pass->intent);
    bool kubelets = condition == CONDITION_NODES_UPDATED;
    const char *reason = progress_reason(pass);

    if (pass_instance(pass, step)->busy && !pass->config.suspend) {
        api_conditions_set(pass->conditions, condition, STATE_FALSE, "WaitingForComponent",
                           "%s is not rolled out and available; it is not changed before it is",
                           pass_instance(pass, step)->id);
        return;
    }
    if (step->waits_for) {
        api_conditions_set(pass->conditions, condition, STATE_FALSE, "NodeNotReady",
                           "%s has to be changed and waits for control-plane node %s, which is not "
                           "ready; bring that back, or remove it from the cluster",
                           pass_instance(pass, step)->id, step->waits_for);
        return;
    }
    // The control plane comes first when something is turned on, the nodes when it is turned off.
    if (pass->config.suspend)
        reason = "Suspended";
    else if (kubelets == plan_enables(&intent) && !is_part_done(pass, !kubelets))
        reason = kubelets ? "WaitingForControlPlane" : "WaitingForNodes";
    api_conditions_set(pass->conditions, condition, STATE_FALSE, reason,
                       "%s has to be changed and waits its turn", pass_instance(pass, step)->id);
}

static void say_missing(struct pass *pass, enum condition condition, const struct plan_step *step)
{
    if (step->until_ms)
        api_conditions_set(pass->conditions, condition, STATE_FALSE, "Progressing",
                           "Waiting for the agent to report on %s", pass_instance(pass, step)->id);
    else
        api_conditions_set(
            pass->conditions, condition, STATE_FALSE, "AgentMissing",
            "No agent reports for %s; see whether drawbridge agent runs there, as a pod of its "
            "DaemonSet or by itself%s",
            pass_instance(pass, step)->id,
            pass->cluster->held ? ", and whether the chart is installed in that cluster "
                                  "(controller.enabled=false)"
                                : "");
}

// What became of a node after it was asked, and what that means for the others. While its agent is
// at it, that is told first.
static void say_holding(struct pass *pass, enum condition condition, const struct plan_step *step)
{
    const struct plan_instance *instance = pass_instance(pass, step);
    AUTO_BUF struct buf text = buf_make(8192);
    const char *reason = "NodeNotReady";
    char at[CLOCK_TEXT_BYTES];

    if (step->state == PLAN_RUNNING) {
        say_step(pass, condition, step);
        reason = api_conditions_reason(pass->conditions, condition);
        buf_printf(&text, "%s; the node", api_conditions_message(pass->conditions, condition));
    } else {
        buf_printf(&text, "%s: the node", instance->id);
    }
    buf_add_str(&text, " is not ready");
    if (instance->not_ready_ms != PLAN_UNKNOWN_MS)
        buf_printf(&text, " since %s", clock_format(instance->not_ready_ms, at));
    buf_printf(&text,
               ", after it was asked at %s: no other kubelet is begun before it is back, or %s",
               doc_str(instance->asked, "askedAt", NULL), clock_format(step->until_ms, at));
    api_conditions_set(pass->conditions, condition, STATE_FALSE, reason, "%s", text.ptr);
}

// What a step tells of its part: the greatest first, what nobody waits for last.
static unsigned weight_of(const struct plan_step *step)
{
    static const unsigned weights[] = {
        [PLAN_DONE] = 0,    [PLAN_WAITING] = 2, [PLAN_AWAY] = 3,
        [PLAN_MISSING] = 4, [PLAN_RUNNING] = 5, [PLAN_NOW] = 5,
        [PLAN_OVERDUE] = 6, [PLAN_BLOCKED] = 7, [PLAN_FAILED] = 8,
    };

    if (step->holds && step->state != PLAN_BLOCKED && step->state != PLAN_FAILED)
        return 6;
    return step->left ? 1 : weights[step->state];
}

bool progress_say(struct pass *pass, enum condition condition, bool kubelets)
{
    const struct plan_step *pick = NULL;

    for (size_t i = 0; i < pass->plan.len; i++) {
        const struct plan_step *step = &pass->plan.steps[i];

        if (is_kubelet(pass, step) == kubelets && weight_of(step) > (pick ? weight_of(pick) : 0))
            pick = step;
    }
    if (!pick)
        return false;
    if (pick->holds && pick->state != PLAN_BLOCKED && pick->state != PLAN_FAILED) {
        say_holding(pass, condition, pick);
        return true;
    }
    switch (pick->state) {
    case PLAN_FAILED:
    case PLAN_BLOCKED:
        say_trouble(pass, condition, pick);
        break;
    case PLAN_MISSING:
        say_missing(pass, condition, pick);
        break;
    case PLAN_WAITING:
        say_waiting(pass, condition, pick);
        break;
    case PLAN_AWAY:
    case PLAN_OVERDUE:
        say_overdue(pass, condition, pick);
        break;
    case PLAN_NOW:
    case PLAN_RUNNING:
    case PLAN_DONE:
        say_step(pass, condition, pick);
        break;
    }
    return true;
}
