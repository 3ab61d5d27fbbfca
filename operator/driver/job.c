// SPDX-License-Identifier: Apache-2.0
// A job: what is done to one release, step by step, beside the passes. Passes only look at what
// came of it, so that a registry that does not answer keeps nobody waiting. Every step begins with
// the question whether we may still write.
#include "job_internal.h"

// --- what became of it

const struct job *job_find(const struct driver *driver, const struct cluster *cluster,
                           const struct want *want)
{
    const struct job *job = driver->jobs;

    while (job && !(str_eq(job->cluster->by, cluster->by) &&
                    str_eq(job->want.namespace, want->namespace) &&
                    str_eq(job->want.release, want->release)))
        job = job->next;
    return job;
}

bool job_runs(const struct driver *driver, const struct cluster *cluster, const struct want *want)
{
    return job_find(driver, cluster, want) != NULL;
}

static char *name_release(const struct cluster *cluster, const char *namespace, const char *release)
{
    return cluster->by ? str_format("%s/%s %s", namespace, release, cluster->by)
                       : str_format("%s/%s", namespace, release);
}

const struct note *job_note(const struct driver *driver, const struct cluster *cluster,
                            const char *namespace, const char *release)
{
    AUTO_MEM char *name = name_release(cluster, namespace, release);

    for (const struct note *note = driver->notes; note; note = note->next)
        if (str_eq(note->name, name))
            return note;
    return NULL;
}

void note_free(struct note *note)
{
    char *owned[] = {note->name,    note->key,   note->digest,
                     note->message, note->chart, note->version};

    for (size_t i = 0; i < COUNT(owned); i++)
        mem_free(owned[i]);
    mem_free(note);
}

// name or key NULL: any.
static void forget_notes(struct driver *driver, const char *name, const char *key)
{
    struct note **at = &driver->notes;

    while (*at) {
        struct note *note = *at;

        if ((name && !str_eq(note->name, name)) || (key && !str_eq(note->key, key))) {
            at = &note->next;
            continue;
        }
        *at = note->next;
        note_free(note);
    }
}

void job_forget_note(struct driver *driver, const struct cluster *cluster, const struct want *want)
{
    AUTO_MEM char *name = name_release(cluster, want->namespace, want->release);

    forget_notes(driver, name, NULL);
}

void driver_forget_notes(struct driver *driver, const char *key)
{
    forget_notes(driver, NULL, key);
}

static struct note *note_of(struct driver *driver, char *take_name)
{
    struct note *note;

    for (note = driver->notes; note; note = note->next) {
        if (!str_eq(note->name, take_name))
            continue;
        mem_free(take_name);
        return note;
    }
    note = NEW(struct note);
    note->name = take_name;
    note->next = driver->notes;
    driver->notes = note;
    return note;
}

static void note_result(struct job *job)
{
    struct note *note =
        note_of(job->driver, name_release(job->cluster, job->want.namespace, job->want.release));
    bool same = str_eq(note->digest, job->want.digest_text) && note->uninstall == job->uninstall;

    mem_free(note->key);
    note->key = str_dup(job->key);
    note->failures = !*job->reason ? 0 : same ? note->failures + 1 : 1;
    mem_free(note->digest);
    mem_free(note->message);
    note->digest = str_dup(job->want.digest_text);
    note->message = TAKE(job->message);
    note->reason = job->reason;
    note->uninstall = job->uninstall;
    note->at_ms = clock_ms();
    if (job->chart) {
        mem_free(note->chart);
        mem_free(note->version);
        note->chart = TAKE(job->chart);
        note->version = TAKE(job->version);
    }
}

static void job_free(struct job *job)
{
    struct job **at = &job->driver->jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    op_drop(job->pending);
    job_leave_turn(job);
    if (job->dir)
        loop_scratch_remove(job->dir);
    kube_free(job->kube);
    cluster_unref(job->cluster);
    job_forget_token(job);
    driver_want_fini(&job->want);
    json_decref(job->object);
    json_decref(job->crds);
    json_decref(job->secrets);
    json_decref(job->objects);
    char *owned[] = {job->key,   job->drop_secret, job->drop_version, job->dir,  job->file,
                     job->chart, job->version,     job->message,      job->adopt};
    for (size_t i = 0; i < COUNT(owned); i++)
        mem_free(owned[i]);
    mem_free(job);
}

static void job_end(struct job *job)
{
    struct driver *driver = job->driver;
    AUTO_MEM char *key = str_dup(job->key);

    if (*job->reason)
        log_line(LOG_DEBUG, "driver", "%s: %s: %s", key, job->reason, job->message);
    if (driver_may_write(driver, job->cluster))
        note_result(job);
    job_free(job);
    driver_next_turn(driver);
    driver_note_idle(driver);
    driver->spec.on_change(driver->spec.owner, key);
}

void job_fail(struct job *job, const char *reason, char *take_message)
{
    mem_free(job->message);
    job->reason = reason;
    job->message = take_message;
    job->step = JOB_END;
}

// The API server's own words for why are none for a condition.
static bool is_ours(const char *reason)
{
    return *reason && !str_eq(reason, "AlreadyExists") &&
           !str_eq(reason, "ResourceVersionTooLarge");
}

void job_fail_with(struct job *job, const char *fallback, struct error *take_err)
{
    AUTO(error) struct error *err = take_err;
    const char *reason = error_kind(err) == ERROR_DENIED      ? "DriverForbidden"
                         : error_kind(err) == ERROR_TRANSIENT ? "APIServerUnreachable"
                                                              : fallback;

    job_fail(job, is_ours(error_reason(err)) ? error_reason(err) : reason,
             str_dup(error_text(err)));
}

// --- from step to step

static void (*const begin[JOB_END])(struct job *job) = {
    [JOB_UNLOCK] = job_unlock,  [JOB_FETCH] = job_fetch,       [JOB_SHOW] = job_show,
    [JOB_RENDER] = job_release, [JOB_TRY] = job_try,           [JOB_NAMESPACE] = job_namespace,
    [JOB_CRDS] = job_show,      [JOB_APPLY] = job_apply,       [JOB_UPGRADE] = job_release,
    [JOB_FORGET] = job_forget,  [JOB_UNINSTALL] = job_release, [JOB_LOOK_UP] = job_look_up,
    [JOB_REMOVE] = job_remove,  [JOB_ADOPT] = job_adopt,
};

static bool is_helms(enum job_step step)
{
    return step == JOB_FETCH || step == JOB_SHOW || step == JOB_RENDER || step == JOB_CRDS ||
           step == JOB_UPGRADE || step == JOB_UNINSTALL || step == JOB_LOOK_UP;
}

void job_run(struct job *job)
{
    while (!job->pending && job->step != JOB_END) {
        if (!driver_may_write(job->driver, job->cluster))
            job_fail(job, "HelmInterrupted", str_dup("Drawbridge does not lead any more"));
        else if (!cluster_is_current(job->cluster))
            job_fail(job, "HelmInterrupted",
                     str_format("%s leads to the cluster no more, or with another kubeconfig",
                                job->cluster->by));
        else if (job_needs_token(job)) // before its turn: the server may never answer
            job_ask_token(job);
        else if (is_helms(job->step) && !job_take_turn(job))
            return;
        else
            begin[job->step](job);
    }
    if (!job->pending)
        job_end(job);
}

static void on_begin(void *owner)
{
    struct job *job = owner;

    job->pending = NULL;
    job_run(job);
}

void job_start(struct driver *driver, struct cluster *cluster, const char *key,
               const json_t *object, struct want *take_want, const struct job_order *order)
{
    struct job *job = NEW(struct job);

    job->driver = driver;
    job->cluster = cluster_ref(cluster);
    job->key = str_dup(key);
    job->object = json_incref((json_t *)(uintptr_t)object);
    job->want = *take_want;
    *take_want = (struct want){0};
    job->uninstall = order->uninstall;
    job->make_namespace = order->make_namespace;
    job->drop_secret = str_dup(order->drop_secret);
    job->drop_version = str_dup(order->drop_version);
    job->forced = order->forget;
    job->step = order->forget ? JOB_FORGET : JOB_UNLOCK;
    job->reason = "";
    job->kube = kube_new_as(cluster->kube, job->want.user);
    job->next = driver->jobs;
    driver->jobs = job;
    job->pending = loop_defer(driver->loop, on_begin, job);
}

void job_end_lost(struct driver *driver)
{
    for (struct job *job = driver->jobs, *next; job; job = next) {
        next = job->next;
        if (driver_may_write(driver, job->cluster))
            continue;
        if (job->child)
            loop_child_end(job->pending); // it goes on in on_helm()
        else
            job_free(job);
    }
    driver_next_turn(driver);
}

void job_kill_all(struct driver *driver)
{
    while (driver->jobs)
        job_free(driver->jobs);
}
