// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "doctor.h"

struct examination {
    const json_t *facts;
    json_t *findings;
};

// One more finding. fix: what to do, as a command where there is one; "" when nothing is.
void doctor_find(struct examination *e, const char *check, enum verdict_kind kind, const char *fix,
                 const char *fmt, ...) PRINTF(5, 6);
// The facts of this key; NULL: none were read.
const json_t *doctor_list(const struct examination *e, const char *key);
// False, and a finding that it is not known: the facts of key may not be read.
bool doctor_may_read(struct examination *e, const char *check, const char *key);

struct gates_instance;
// doctor_upgrade.c: entries of it (its foreign ones: all of them) that the next minor refuses.
void doctor_check_next(struct examination *e, const struct gates_instance *instance);

// doctor_control.c: the control plane, Drawbridge's controller and agents, its objects. True: the
// API is served.
bool doctor_check_control(struct examination *e);
