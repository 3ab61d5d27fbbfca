// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drawbridge/plan.h"

// What an instance must be asked for: the entry of spec.components. Owned by the caller.
json_t *plan_want(const struct plan_instance *instance, const struct gates_desired *desired);
// Whether two maps of entries say the same; none is an empty one.
bool plan_same_map(const json_t *a, const json_t *b);
// Whether want differs from the entries that were written there.
bool plan_want_changes(const json_t *want, const struct plan_instance *instance);
// Whether want takes out alone what has no effect any more: the component runs with what is
// expected already.
bool plan_want_is_cleanup(const json_t *want, const struct plan_instance *instance);
// Whether every expectation of want is what the component reported.
bool plan_want_is_met(const json_t *want, const struct plan_instance *instance);
