// SPDX-License-Identifier: Apache-2.0
// Degraded: what failed, in its own words, and which the others are.
#include "controller_internal.h"

void conditions_say_degraded(struct pass *pass)
{
    struct api_conditions *c = pass->conditions;
    const json_t *last = json_array_get(json_object_get(pass->config.status, "history"), 0);
    const struct plan *plan = &pass->plan;
    size_t worst = plan->failed < plan->len ? plan->failed : plan->blocked;

    if (pass->planned && worst < plan->len) {
        const struct plan_step *step = &plan->steps[worst];
        const struct plan_instance *instance = &pass->observed->instances[step->instance];
        const char *reason = doc_str(instance->reported, "reason", NULL);
        AUTO_MEM char *others = plan_others_text(plan, pass->observed->instances, worst);
        bool back = pass->intent.rolled_back && step->state == PLAN_FAILED;

        api_conditions_set(c, CONDITION_DEGRADED, STATE_TRUE,
                           back                      ? "RollbackFailed"
                           : api_reason_find(reason) ? reason
                                                     : "ComponentNotReady",
                           "%s: %s%s", instance->id, doc_str(instance->reported, "message", NULL),
                           others);
    } else if (pass->intent.rolled_back) {
        const char *reason = doc_str(last, "reason", NULL);

        api_conditions_set(c, CONDITION_DEGRADED, STATE_TRUE,
                           api_reason_find(reason) ? reason : "RolledBack", "%s",
                           doc_str(last, "message", NULL));
    } else if (pass->observed->looks_like != pass->observed->type && pass->target.decided) {
        const char *type = platform_type_name(pass->observed->type),
                   *like = platform_type_name(pass->observed->looks_like);

        api_conditions_set(
            c, CONDITION_DEGRADED, STATE_TRUE, "PlatformChanged",
            "spec.platform.type is Auto, and this cluster was found to be %s; now it "
            "looks like %s. It is treated as %s until spec.platform.type says %s",
            type, like, type, like);
    } else {
        api_conditions_set(c, CONDITION_DEGRADED, STATE_FALSE, "AsExpected", "No component failed");
    }
}
