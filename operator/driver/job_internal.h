// SPDX-License-Identifier: Apache-2.0
// What the files of a job share: job.c goes from step to step and keeps what became of it,
// job_helm.c has the steps that helm does, job_api.c those that are requests to the API server.
#pragma once

#include "driver_internal.h"

enum job_step {
    JOB_UNLOCK, // a lock whose holder is gone
    JOB_FETCH,  // the chart, where it is not a file already
    JOB_SHOW,   // its name and version
    JOB_RENDER, // its objects, for
    JOB_TRY,    // a dry run: what cannot be is known before anything is made
    JOB_NAMESPACE,
    JOB_CRDS,  // helm writes them at the first install alone
    JOB_APPLY, // one after the other
    JOB_UPGRADE,
    JOB_FORGET, // the record of a release that names an API version that is gone
    JOB_UNINSTALL,
    JOB_LOOK_UP, // what such a release is made of, for
    JOB_ADOPT,   // a namespace of ours that the chart makes too
    JOB_REMOVE,  // its objects, which helm cannot do then
    JOB_END,
};

struct job {
    struct job *next;
    struct driver *driver;
    char *key, *drop_secret, *drop_version;
    json_t *object;
    struct want want;
    bool uninstall, make_namespace;
    bool forced;     // the record is gone, or will be: its objects are taken over, or removed by us
    bool crds_first; // the chart's objects are of kinds that it brings itself
    enum job_step step;
    struct cluster *cluster; // kept
    struct kube *kube;       // as the account
    char *token;             // of helm's own account there; NULL: none yet
    uint64_t token_until_ms;
    struct op *pending;
    bool child;     // pending is a helm
    bool waits;     // for its turn; pending is NULL then
    uint64_t place; // in the line
    char *dir;      // for all that helm writes
    char *file;     // of the chart
    char *chart, *version;
    char *adopt;               // the namespace; NULL: none was in the way
    enum job_step after_adopt; // where it was in the way
    json_t *crds, *secrets, *objects;
    size_t next_item;
    const char *reason; // why it failed; "" as long as it did not
    char *message;
};

// The step that a callback was waited for is over, and has chosen the next.
void job_run(struct job *job);
void job_fail(struct job *job, const char *reason, char *take_message);
// fallback: the reason where the error has none of its own.
void job_fail_with(struct job *job, const char *fallback, struct error *take_err);

// turn.c: one helm at a time. False: it waits in line, and is run again when its turn has come.
bool job_take_turn(struct job *job);
void job_leave_turn(struct job *job);

const struct job *job_find(const struct driver *driver, const struct cluster *cluster,
                           const struct want *want);

// job_token.c: helm's own account. A token goes with its job: it is for that cluster alone.
bool job_needs_token(const struct job *job);
void job_ask_token(struct job *job);
void job_forget_token(struct job *job);
struct error *job_write_config(const struct job *job);

// Steps: each begins something (job->pending), or goes on (job->step).
void job_fetch(struct job *job);
void job_show(struct job *job);
void job_release(struct job *job); // RENDER, UPGRADE, UNINSTALL
void job_look_up(struct job *job);
void job_unlock(struct job *job);
void job_try(struct job *job);
void job_namespace(struct job *job);
void job_apply(struct job *job);
void job_adopt(struct job *job);
void job_remove(struct job *job);
void job_forget(struct job *job);
