// SPDX-License-Identifier: Apache-2.0
// Of many things that went wrong one is told in its own words; which the others are, for people.
#include "plan_internal.h"

#define OTHERS_NAMED 3 // more are counted, not named

static bool is_another(const struct plan_instance *a, const struct plan_instance *b)
{
    return !b->beside && !(a->unit && str_eq(a->unit, b->unit));
}

char *plan_others_text(const struct plan *plan, const struct plan_instance *instances, size_t step)
{
    const struct plan_step *told = &plan->steps[step];
    AUTO_STRLIST struct strlist names = {0};
    AUTO_MEM char *list = NULL;
    size_t more = 0;

    for (size_t i = 0; i < plan->len; i++) {
        const struct plan_instance *instance = &instances[plan->steps[i].instance];

        if (i == step || plan->steps[i].state != told->state ||
            !is_another(&instances[told->instance], instance))
            continue;
        if (names.len < OTHERS_NAMED)
            strlist_add(&names, instance->id);
        else
            more++;
    }
    if (names.len == 0)
        return str_dup("");
    list = strlist_join(&names, ", ");
    if (more == 0)
        return str_format("; %s too: %s", told->state == PLAN_BLOCKED ? "blocked" : "failed", list);
    return str_format("; %s too: %s and %zu more",
                      told->state == PLAN_BLOCKED ? "blocked" : "failed", list, more);
}
