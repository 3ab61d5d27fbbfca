// SPDX-License-Identifier: Apache-2.0
// How long a step is waited for, and what becomes of one whose time is over. There is no state but
// objects: the times are those that stand in them.
#include "plan_internal.h"

int64_t plan_allowance(const struct plan_policy *policy)
{
    return (int64_t)policy->component_timeout_ms + PLAN_MARGIN_MS;
}

// Until when a node that is not ready counts as one that comes back; 0: it is ready.
int64_t plan_back_until(const struct plan_policy *policy, const struct plan_instance *instance)
{
    return instance->not_ready_ms ? instance->not_ready_ms + plan_allowance(policy) : 0;
}

// Its node has not been ready for so long that it is not expected back.
static bool is_given_up(const struct plan_policy *policy, const struct plan_instance *instance,
                        int64_t now_wall_ms)
{
    return instance->not_ready_ms && plan_back_until(policy, instance) <= now_wall_ms;
}

// A time in the future is nobody's: a clock that went back must not hold us for ever.
int64_t plan_asked_at(const struct plan_instance *instance, int64_t now_wall_ms)
{
    int64_t at_ms;

    return clock_parse(doc_str(instance->asked, "askedAt", NULL), &at_ms) && at_ms <= now_wall_ms
               ? at_ms
               : now_wall_ms;
}

// A node is not asked while it is not ready. When it is not afterwards, the change may be why, as
// long as that takes; what happens to it later has other causes.
int64_t plan_hold_until(const struct plan_policy *policy, const struct plan_step *step,
                        const struct plan_instance *instance, int64_t now_wall_ms)
{
    int64_t asked_ms, since_ms = instance->not_ready_ms;

    if (since_ms == 0 || !clock_parse(doc_str(instance->asked, "askedAt", NULL), &asked_ms) ||
        asked_ms > now_wall_ms ||
        !str_eq(doc_str(instance->asked, "revision", NULL), step->revision))
        return 0;
    if (since_ms < asked_ms) // nobody knows, or by another clock
        since_ms = asked_ms;
    if (step->state != PLAN_RUNNING && since_ms > asked_ms + plan_allowance(policy))
        return 0;
    return since_ms + plan_allowance(policy);
}

static int64_t wait_until(const struct plan_policy *policy, const struct plan_step *step,
                          const struct plan_instance *instance, int64_t now_wall_ms)
{
    int64_t from_ms;

    switch (step->state) {
    case PLAN_MISSING:
        from_ms = instance->known_ms && instance->known_ms <= now_wall_ms ? instance->known_ms
                                                                          : now_wall_ms;
        return from_ms + PLAN_MARGIN_MS;
    case PLAN_RUNNING:
        if (policy->leaving && is_given_up(policy, instance, now_wall_ms))
            return now_wall_ms;
        from_ms = plan_asked_at(instance, now_wall_ms);
        if (instance->worked_ms > from_ms && instance->worked_ms <= now_wall_ms)
            from_ms = instance->worked_ms;
        return from_ms + plan_allowance(policy);
    case PLAN_AWAY:
        return plan_back_until(policy, instance);
    case PLAN_DONE:
    case PLAN_WAITING:
    case PLAN_NOW:
    case PLAN_FAILED:
    case PLAN_BLOCKED:
    case PLAN_OVERDUE:
        break;
    }
    return 0;
}

static bool is_left(const struct plan_policy *policy, const struct plan_step *step,
                    const struct plan_instance *instance, bool over, int64_t now_wall_ms)
{
    bool failed = step->state == PLAN_FAILED || step->state == PLAN_BLOCKED;

    if (policy->leaving)
        return instance->not_ready_ms &&
               (over || (failed && is_given_up(policy, instance, now_wall_ms)));
    if (instance->component != COMPONENT_KUBELET || instance->object)
        return false;
    // What is said of its file says nothing of the others.
    return over || step->state == PLAN_BLOCKED;
}

void plan_judge_time(const struct plan_policy *policy, struct plan_step *step,
                     const struct plan_instance *instance, int64_t now_wall_ms)
{
    bool over;

    if (step->state == PLAN_WAITING && instance->component == COMPONENT_KUBELET &&
        !instance->object && instance->not_ready_ms && !policy->leaving)
        step->state = PLAN_AWAY;
    step->until_ms = wait_until(policy, step, instance, now_wall_ms);
    over = step->until_ms && step->until_ms <= now_wall_ms;
    if (over)
        step->until_ms = 0;
    if (over && step->state == PLAN_RUNNING)
        step->state = PLAN_OVERDUE;
    step->left = is_left(policy, step, instance, over, now_wall_ms);
}
