// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drawbridge/plan.h"

// What an instance must be asked for: the entry of spec.components. Owned by the caller.
json_t *plan_want(const struct plan_instance *instance, const struct gates_desired *desired);
// Whether two maps of entries say the same; none is an empty one.
bool plan_same_map(const json_t *a, const json_t *b);
bool plan_same_names(const json_t *a, const json_t *b); // likewise of sorted names
// Whether want differs from the entries that were written there.
bool plan_want_changes(const json_t *want, const struct plan_instance *instance);
// Whether want takes out alone what has no effect any more: the component runs with what is
// expected already.
bool plan_want_is_cleanup(const json_t *want, const struct plan_instance *instance);
// Whether every expectation of want is what the component reported.
bool plan_want_is_met(const json_t *want, const struct plan_instance *instance);

// --- deadlines (deadline.c)

// What an agent may take for one phase of a step.
int64_t plan_allowance(const struct plan_policy *policy);
// Until when a node that is not ready counts as one that comes back; 0: it is ready.
int64_t plan_back_until(const struct plan_policy *policy, const struct plan_instance *instance);
// Until when its node, which stopped being ready after it was asked for this, may be so for that.
// 0: it is ready, or is not for another reason.
int64_t plan_hold_until(const struct plan_policy *policy, const struct plan_step *step,
                        const struct plan_instance *instance, int64_t now_wall_ms);
// When the instance was asked for what it is asked for now.
int64_t plan_asked_at(const struct plan_instance *instance, int64_t now_wall_ms);
// Sets until_ms and left, and makes a state of time that is over.
void plan_judge_time(const struct plan_policy *policy, struct plan_step *step,
                     const struct plan_instance *instance, int64_t now_wall_ms);
