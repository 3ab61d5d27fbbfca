// SPDX-License-Identifier: Apache-2.0
// One helm at a time: what it may take of memory fits into the pod once. Jobs wait in line, and one
// of another namespace than the last goes first, so that nobody's many charts hold up the others.
#include "job_internal.h"

static bool is_of_last(const struct job *job)
{
    return str_eq(job->want.config_namespace, job->driver->last_turn);
}

static struct job *find_next(const struct driver *driver)
{
    struct job *next = NULL;

    for (struct job *job = driver->jobs; job; job = job->next)
        if (job->waits && (!next || is_of_last(job) < is_of_last(next) ||
                           (is_of_last(job) == is_of_last(next) && job->place < next->place)))
            next = job;
    return next;
}

static void give(struct driver *driver, struct job *job)
{
    driver->turn = job;
    job->waits = false;
    mem_free(driver->last_turn);
    driver->last_turn = str_dup(job->want.config_namespace);
}

bool job_take_turn(struct job *job)
{
    struct driver *driver = job->driver;

    if (driver->turn == job)
        return true;
    if (!job->waits) {
        job->waits = true;
        job->place = ++driver->places;
    }
    if (!driver->turn && find_next(driver) == job) {
        give(driver, job);
        return true;
    }
    driver->spec.on_change(driver->spec.owner, job->key); // that it waits is told
    return false;
}

static void on_turn(void *owner)
{
    struct job *job = owner;

    job->pending = NULL;
    job->driver->spec.on_change(job->driver->spec.owner, job->key);
    job_run(job);
}

void job_leave_turn(struct job *job)
{
    if (job->driver->turn == job)
        job->driver->turn = NULL;
}

void driver_next_turn(struct driver *driver)
{
    struct job *next = driver->turn || driver->halted ? NULL : find_next(driver);

    if (!next)
        return;
    give(driver, next);
    next->pending = loop_defer(driver->loop, on_turn, next);
}

bool job_waits(const struct driver *driver, const struct cluster *cluster, const struct want *want)
{
    const struct job *job = job_find(driver, cluster, want);

    return job && job->waits;
}
