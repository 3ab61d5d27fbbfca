// SPDX-License-Identifier: Apache-2.0
// What the files of a pass over the driver share: driver.c asks and writes, judge.c decides.
#pragma once

#include "driver_internal.h"

struct work {
    struct op op; // must be first
    struct driver *driver;
    struct driver_work in;
    json_t *object; // of in; for a driver that goes one made from the status
    json_t *real;   // the DRAConfiguration itself
    struct want want;
    bool wanted;    // want is made
    bool replacing; // an earlier release goes first
    struct kube *account_kube;
    uint64_t asked_ms; // facts are of then, or later
    json_t *facts;
    struct driver_result *result;
    struct smoke_action smoke;
    json_t *writes; // objects of another engine that are to be written, or to be removed
    bool removes;
    size_t next_write;
    struct op *pending;
    driver_done_fn *done;
    void *owner;
};

void work_say(struct work *w, enum driver_state state, const char *reason, char *take_message);
void work_look_again(struct work *w, uint64_t after_ms);
void work_keep_status(struct work *w);
const char *driver_engine_name(enum engine engine);
void work_judge_present(struct work *w); // it shall be there
void work_judge_gone(struct work *w);    // it, or the release that another one replaces, shall go
void work_take_smoke(struct work *w);
