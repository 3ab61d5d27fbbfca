// SPDX-License-Identifier: Apache-2.0
// The beginning and the end of a driver: what runs is asked to end, and waited for where there is
// time.
#include "driver_internal.h"

struct driver_stop {
    struct op op; // must be first
    struct driver *driver;
    struct op *pending;
    loop_fn *done;
    void *owner;
};

static void stop_drop(struct op *op)
{
    struct driver_stop *stop = (struct driver_stop *)op;

    stop->driver->stop = NULL;
    op_drop(stop->pending);
    mem_free(stop);
}

static void on_idle(void *owner)
{
    struct driver_stop *stop = owner;
    loop_fn *done = stop->done;
    void *told = stop->owner;

    stop->pending = NULL;
    stop_drop(&stop->op);
    done(told);
}

void driver_note_idle(struct driver *driver)
{
    if (driver->stop && !driver->jobs && !driver->stop->pending)
        driver->stop->pending = loop_defer(driver->loop, on_idle, driver->stop);
}

struct driver *driver_new(struct loop *loop, const struct driver_spec *spec)
{
    struct driver *driver = NEW(struct driver);

    driver->loop = loop;
    driver->spec = *spec;
    loop_scratch_sweep(spec->dir, DRIVER_SCRATCH);
    return driver;
}

bool driver_may_write(const struct driver *driver, const struct cluster *cluster)
{
    return !driver->halted && driver->spec.may_write(driver->spec.owner, cluster);
}

void driver_interrupt(struct driver *driver)
{
    follow_end(driver);
    job_end_lost(driver);
}

struct op *driver_stop(struct driver *driver, loop_fn *done, void *owner)
{
    struct driver_stop *stop = NEW(struct driver_stop);

    ASSERT(!driver->stop);
    stop->op.drop = stop_drop;
    stop->driver = driver;
    stop->done = done;
    stop->owner = owner;
    driver->stop = stop;
    driver->halted = true;
    driver_interrupt(driver);
    driver_note_idle(driver);
    return &stop->op;
}

static void free_notes(struct driver *driver)
{
    while (driver->notes) {
        struct note *note = driver->notes;

        driver->notes = note->next;
        note_free(note);
    }
}

void driver_free(struct driver *driver)
{
    if (!driver)
        return;
    follow_end(driver);
    job_kill_all(driver);
    free_notes(driver);
    mem_free(driver->last_turn);
    mem_free(driver);
}
