// SPDX-License-Identifier: Apache-2.0
// A job: what is done to one release, step by step, beside the passes. Passes only look at what
// came of it, so that a registry that does not answer keeps nobody waiting. Every step begins with
// the question whether we may still write.
#include <string.h>

#include "driver_internal.h"

uint64_t driver_helm_grace_ms = 8000;

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
    JOB_REMOVE,  // its objects, which helm cannot do then
    JOB_END,
};

struct job {
    struct job *next;
    struct driver *driver;
    char *key, *drop_secret;
    json_t *object;
    struct want want;
    bool uninstall, make_namespace;
    bool forced;     // the record is gone, or will be: its objects are taken over, or removed by us
    bool crds_first; // the chart's objects are of kinds that it brings itself
    enum job_step step;
    struct kube *kube; // as the account
    struct op *pending;
    bool child;       // pending is a helm
    char *dir, *file; // of the chart
    char *chart, *version;
    json_t *crds, *secrets, *objects;
    size_t next_item;
    const char *reason; // why it failed; "" as long as it did not
    char *message;
};

static void job_run(struct job *job);

// --- what became of it

bool job_runs(const struct driver *driver, const char *namespace, const char *release)
{
    for (const struct job *job = driver->jobs; job; job = job->next)
        if (str_eq(job->want.namespace, namespace) && str_eq(job->want.release, release))
            return true;
    return false;
}

const struct note *job_note(const struct driver *driver, const char *namespace, const char *release)
{
    AUTO_MEM char *name = str_format("%s/%s", namespace, release);

    for (const struct note *note = driver->notes; note; note = note->next)
        if (str_eq(note->name, name))
            return note;
    return NULL;
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
        note_of(job->driver, str_format("%s/%s", job->want.namespace, job->want.release));
    bool same = str_eq(note->digest, job->want.digest_text) && note->uninstall == job->uninstall;

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
    kube_free(job->kube);
    driver_want_fini(&job->want);
    json_decref(job->object);
    json_decref(job->crds);
    json_decref(job->secrets);
    json_decref(job->objects);
    char *owned[] = {job->key,   job->drop_secret, job->dir,    job->file,
                     job->chart, job->version,     job->message};
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
    if (!driver->halted)
        note_result(job);
    job_free(job);
    driver_note_idle(driver);
    driver->spec.on_change(driver->spec.owner, key);
}

static void fail(struct job *job, const char *reason, char *take_message)
{
    mem_free(job->message);
    job->reason = reason;
    job->message = take_message;
    job->step = JOB_END;
}

static void fail_with(struct job *job, const char *fallback, struct error *take_err)
{
    AUTO(error) struct error *err = take_err;
    const char *reason = error_kind(err) == ERROR_DENIED      ? "DriverForbidden"
                         : error_kind(err) == ERROR_TRANSIENT ? "APIServerUnreachable"
                                                              : fallback;

    fail(job,
         *error_reason(err) && !str_eq(error_reason(err), "AlreadyExists") ? error_reason(err)
                                                                           : reason,
         str_dup(error_text(err)));
}

// --- helm

typedef void after_fn(struct job *job, const struct loop_child_result *result);

static void after_fetch(struct job *job, const struct loop_child_result *result)
{
    struct error *err = helm_chart_file(job->dir, &job->file);
    char digest[DOC_DIGEST_BYTES];

    (void)result;
    if (!err && job->want.repo && job->want.digest) {
        err = driver_file_digest(job->file, digest);
        if (!err && !str_eq(job->want.digest + strlen("sha256:"), digest)) {
            err = error_new(ERROR_INVALID, "%s of %s has the digest sha256:%s and not %s",
                            job->want.name, job->want.repo, digest, job->want.digest);
            error_set_reason(err, "ChartDigestMismatch");
        }
    }
    if (err)
        fail_with(job, "ChartUnavailable", err);
    else
        job->step = JOB_SHOW;
}

static void after_show(struct job *job, const struct loop_child_result *result)
{
    AUTO_JSON json_t *chart = NULL;
    AUTO_MEM char *older = NULL;
    struct error *err = doc_parse_yaml(result->output, "Chart.yaml", &chart);

    if (err) {
        fail_with(job, "ChartRejected", err);
        return;
    }
    job->chart = str_dup(doc_str(chart, "name", NULL));
    job->version = str_dup(doc_str(chart, "version", NULL));
    job->step = JOB_RENDER;
    older = driver_downgrade(job->want.preset, doc_get(job->object, "status", "driver", NULL),
                             job->chart, job->version);
    if (older)
        fail(job, "DowngradeRefused", TAKE(older));
    else if (job->want.digest && job->want.ref && job->want.version &&
             !str_eq(job->want.version, job->version))
        fail(job, "ChartDigestMismatch",
             str_format("%s@%s is version %s and not %s", job->want.ref, job->want.digest,
                        job->version, job->want.version));
}

static void after_look_up(struct job *job, const struct loop_child_result *result)
{
    struct error *err = doc_parse_yaml_all(result->output, "manifest", &job->objects);

    job->step = JOB_REMOVE;
    if (err)
        fail_with(job, "ReleaseAPIRemoved", err);
}

static void after_render(struct job *job, const struct loop_child_result *result)
{
    AUTO_JSON json_t *answer = NULL;
    struct error *err = doc_parse_json(result->output, "helm", &answer);

    json_decref(TAKE(job->objects));
    if (!err)
        err = doc_parse_yaml_all(slice_of(doc_str(answer, "manifest", NULL)), "manifest",
                                 &job->objects);
    job->step = JOB_TRY;
    if (err)
        fail_with(job, "ChartRejected", err);
}

static void after_crds(struct job *job, const struct loop_child_result *result)
{
    struct error *err = doc_parse_yaml_all(result->output, "crds", &job->crds);

    job->step = JOB_APPLY;
    job->next_item = 0;
    if (err)
        fail_with(job, "ChartRejected", err);
}

static void after_upgrade(struct job *job, const struct loop_child_result *result)
{
    (void)result;
    job->step = JOB_END;
}

static after_fn *const after[] = {
    [JOB_FETCH] = after_fetch,     [JOB_SHOW] = after_show,       [JOB_RENDER] = after_render,
    [JOB_CRDS] = after_crds,       [JOB_UPGRADE] = after_upgrade, [JOB_UNINSTALL] = after_upgrade,
    [JOB_LOOK_UP] = after_look_up,
};

static bool said(struct slice errors, const char *words)
{
    return memmem(errors.ptr, errors.len, words, strlen(words)) != NULL;
}

// "failed to delete release" is all that helm says when it cannot read what a release is made of
// any more; what is really in the way is found out by removing its objects ourselves.
static bool uninstall_recovers(struct job *job, struct slice errors)
{
    bool gone = said(errors, "release: not found");

    if (!gone && (job->forced || !said(errors, "failed to delete release")))
        return false;
    job->forced = true;
    job->step = gone ? JOB_END : JOB_LOOK_UP;
    return true;
}

// True when the failure is dealt with.
static bool recovers(struct job *job, const char *reason, struct slice errors)
{
    if (job->step == JOB_UNINSTALL)
        return uninstall_recovers(job, errors);
    if (job->step != JOB_UPGRADE && job->step != JOB_RENDER)
        return false;
    if (str_eq(reason, "ReleaseAPIRemoved") && !job->forced) {
        job->forced = true;
        job->step = JOB_FORGET;
        return true;
    }
    // The chart has objects of a kind that its own CustomResourceDefinitions bring.
    if (!said(errors, "no matches for kind") || job->crds_first)
        return false;
    job->crds_first = true;
    job->step = JOB_CRDS;
    return true;
}

// A registry that has no manifest of that digest, or one that gives another.
static bool pins_another(const char *message)
{
    return strstr(message, "digest") ||
           (strstr(message, "@sha256:") && strstr(message, "not found"));
}

static void take_failure(struct job *job, const struct loop_child_result *result)
{
    AUTO_MEM char *message = NULL;
    const char *reason = driver_read_errors(result->errors, &message);
    bool fetching = job->step == JOB_FETCH || job->step == JOB_SHOW;

    if (result->errors.len && recovers(job, reason, result->errors))
        return;
    if (result->timed_out)
        fail(job, fetching ? "ChartUnavailable" : "HelmInterrupted",
             str_format("helm did not end within %llu s and was stopped",
                        (unsigned long long)(job->driver->spec.helm_timeout_ms / 1000)));
    else if (result->signum || result->exit_code > 128) // a shell around helm tells its signal so
        fail(job, "HelmInterrupted",
             str_format("helm was ended by signal %d",
                        result->signum ? result->signum : result->exit_code - 128));
    else if (fetching && job->want.digest && pins_another(message))
        fail(job, "ChartDigestMismatch", TAKE(message));
    else
        fail(job, fetching ? "ChartUnavailable" : reason, TAKE(message));
}

// What is read as a document must be all there.
static bool is_cut(const struct job *job, const struct loop_child_result *result)
{
    return job->step != JOB_UPGRADE && job->step != JOB_UNINSTALL &&
           result->output.len >= DRIVER_OUTPUT_BYTES_MAX;
}

static void on_helm(void *owner, struct error *take_err, const struct loop_child_result *result)
{
    struct job *job = owner;

    job->pending = NULL;
    job->child = false;
    if (take_err)
        fail_with(job, "HelmNotFound", take_err);
    else if (result->exit_code == 0 && is_cut(job, result))
        fail(job, "ChartRejected",
             str_format("helm said more than %zu bytes", DRIVER_OUTPUT_BYTES_MAX));
    else if (result->exit_code == 0)
        after[job->step](job, result);
    else
        take_failure(job, result);
    job_run(job);
}

static void run_helm(struct job *job, const struct helm_call *call, struct slice input)
{
    const struct driver_spec *spec = &job->driver->spec;
    struct loop_child_spec child = {
        .argv = (const char *const *)call->argv.items,
        .env = (const char *const *)call->env.items,
        .input = input,
        .output_bytes_max = DRIVER_OUTPUT_BYTES_MAX,
        .timeout_ms = spec->helm_timeout_ms +
                      driver_helm_grace_ms, // helm has its own, which does not bound everything
        .grace_ms = driver_helm_grace_ms,
    };

    job->child = true;
    job->pending = loop_child_run(job->driver->loop, &child, on_helm, job);
}

// --- the API server

static void on_unlocked(void *owner, struct error *take_err, json_t *take_body)
{
    struct job *job = owner;

    job->pending = NULL;
    json_decref(take_body);
    if (take_err && error_kind(take_err) != ERROR_NOT_FOUND) {
        fail_with(job, "ReleaseLocked", take_err);
    } else {
        error_free(take_err);
        if (job->step == JOB_UNLOCK)
            job->step = job->uninstall ? JOB_UNINSTALL : JOB_FETCH;
    }
    job_run(job);
}

static struct op *delete_secret(struct job *job, const char *name)
{
    struct kube_ref ref = {.group = "",
                           .version = "v1",
                           .resource = "secrets",
                           .namespace = job->want.namespace,
                           .name = name};

    return kube_delete(job->kube, &ref, NULL, NULL, on_unlocked, job);
}

static void on_namespace(void *owner, struct error *take_err, json_t *take_body)
{
    struct job *job = owner;

    job->pending = NULL;
    json_decref(take_body);
    // As long as its namespace was not there the server looked at the rights alone.
    job->make_namespace = false;
    job->step = JOB_TRY;
    if (take_err && error_kind(take_err) != ERROR_CONFLICT)
        fail_with(job, "InstallFailed",
                  error_wrap(take_err, "make the namespace %s", job->want.namespace));
    else
        error_free(take_err);
    job_run(job);
}

static void on_removed(void *owner, struct error *take_err)
{
    struct job *job = owner;

    job->pending = NULL;
    job->step = JOB_FORGET;
    if (take_err)
        fail_with(job, "ReleaseAPIRemoved", take_err);
    job_run(job);
}

static void on_tried(void *owner, struct error *take_err)
{
    struct job *job = owner;
    AUTO(error) struct error *err = take_err;

    job->pending = NULL;
    job->step = JOB_NAMESPACE;
    if (err && (error_kind(err) == ERROR_DENIED || error_kind(err) == ERROR_INVALID)) {
        AUTO_MEM char *message = NULL;
        fail(job, driver_read_errors(slice_of(error_text(err)), &message),
             str_dup(error_text(err)));
    } else if (err) {
        fail_with(job, "InstallFailed", TAKE(err));
    }
    job_run(job);
}

static struct op *make_namespace(struct job *job)
{
    AUTO_JSON json_t *body = json_object();
    struct kube_ref ref = {.group = "", .version = "v1", .resource = "namespaces"};

    doc_set(body, json_string("v1"), "apiVersion", NULL);
    doc_set(body, json_string("Namespace"), "kind", NULL);
    doc_set(body, json_string(job->want.namespace), "metadata", "name", NULL);
    doc_set(body, json_string("privileged"), "metadata", "labels",
            "pod-security.kubernetes.io/enforce", NULL);
    return kube_create(job->kube, &ref, body, on_namespace, job);
}

static void on_applied(void *owner, struct error *take_err, json_t *take_body)
{
    struct job *job = owner;

    job->pending = NULL;
    json_decref(take_body);
    job->next_item++;
    if (take_err)
        fail_with(job, "InstallFailed",
                  error_wrap(take_err, "apply the chart's CustomResourceDefinition"));
    job_run(job);
}

static struct op *apply_crd(struct job *job, const json_t *crd)
{
    struct kube_ref ref = {.group = "apiextensions.k8s.io",
                           .version = "v1",
                           .resource = "customresourcedefinitions",
                           .name = doc_str(crd, "metadata", "name", NULL)};
    struct kube_patch patch = {.type = KUBE_PATCH_APPLY,
                               .body = crd,
                               .field_manager = DRIVER_FIELD_MANAGER,
                               .force = true};

    return kube_patch(job->kube, &ref, &patch, on_applied, job);
}

static void on_secrets(void *owner, struct error *take_err, json_t *take_body)
{
    struct job *job = owner;

    job->pending = NULL;
    job->next_item = 0;
    job->secrets = doc_copy(json_object_get(take_body, "items"));
    json_decref(take_body);
    if (take_err)
        fail_with(job, "ReleaseAPIRemoved", take_err);
    job_run(job);
}

// --- steps: each begins something, or goes on

static void begin_forget(struct job *job)
{
    AUTO_MEM char *labels = str_format("owner=helm,name=%s", job->want.release);
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "secrets", .namespace = job->want.namespace};

    if (!job->secrets) {
        job->pending = kube_list_metadata(job->kube, &ref, labels, on_secrets, job);
    } else if (job->next_item < json_array_size(job->secrets)) {
        const json_t *secret = json_array_get(job->secrets, job->next_item++);
        job->pending = delete_secret(job, doc_str(secret, "metadata", "name", NULL));
    } else {
        job->step = job->uninstall ? JOB_END : job->file ? JOB_RENDER : JOB_FETCH;
    }
}

static void begin_fetch(struct job *job)
{
    AUTO_CALL struct helm_call call = {0};
    struct error *err;

    if (job->want.path) {
        job->file = str_dup(job->want.path);
        job->step = JOB_SHOW;
        return;
    }
    err = helm_chart_dir(&job->driver->spec, job->want.digest_text, &job->dir);
    if (err) {
        fail_with(job, "ChartUnavailable", err);
        return;
    }
    helm_call_make(&job->driver->spec, NULL, &call);
    helm_call_pull(&call, &job->want, job->dir);
    run_helm(job, &call, (struct slice){0});
}

static void begin_show(struct job *job)
{
    AUTO_CALL struct helm_call call = {0};

    helm_call_make(&job->driver->spec, NULL, &call);
    strlist_add(&call.argv, "show");
    strlist_add(&call.argv, job->step == JOB_SHOW ? "chart" : "crds");
    strlist_add(&call.argv, job->file);
    run_helm(job, &call, (struct slice){0});
}

static void begin_look_up(struct job *job)
{
    AUTO_CALL struct helm_call call = {0};

    helm_call_make(&job->driver->spec, job->want.user, &call);
    strlist_add(&call.argv, "get");
    strlist_add(&call.argv, "manifest");
    strlist_add(&call.argv, job->want.release);
    strlist_take(&call.argv, str_format("--namespace=%s", job->want.namespace));
    run_helm(job, &call, (struct slice){0});
}

static void begin_helm(struct job *job)
{
    AUTO_CALL struct helm_call call = {0};
    AUTO_MEM char *values =
        job->uninstall ? NULL : doc_print_json(job->want.values); // JSON is YAML
    AUTO(error) struct error *err = helm_prepare_dir(&job->driver->spec);

    if (err) {
        fail(job, "InstallFailed", str_dup(error_text(err)));
        return;
    }
    helm_call_make(&job->driver->spec, job->want.user, &call);
    if (!job->uninstall)
        helm_call_upgrade(&call, &job->driver->spec, &job->want, job->file, job->chart, job->forced,
                          job->step == JOB_RENDER);
    else
        helm_call_uninstall(&call, &job->driver->spec, &job->want);
    run_helm(job, &call, slice_of(values));
}

static void begin(struct job *job)
{
    switch (job->step) {
    case JOB_UNLOCK:
        if (job->drop_secret)
            job->pending = delete_secret(job, job->drop_secret);
        else
            job->step = job->uninstall ? JOB_UNINSTALL : JOB_FETCH;
        return;
    case JOB_NAMESPACE:
        if (job->make_namespace)
            job->pending = make_namespace(job);
        else
            job->step = job->crds ? JOB_UPGRADE : JOB_CRDS; // they may be there by now
        return;
    case JOB_TRY:
        job->pending = driver_try(job->driver->loop, job->kube, job->objects, job->want.namespace,
                                  on_tried, job);
        return;
    case JOB_FETCH:
        begin_fetch(job);
        return;
    case JOB_SHOW:
    case JOB_CRDS:
        begin_show(job);
        return;
    case JOB_APPLY:
        if (job->next_item < json_array_size(job->crds))
            job->pending = apply_crd(job, json_array_get(job->crds, job->next_item));
        else
            job->step = job->objects ? JOB_UPGRADE : JOB_RENDER;
        return;
    case JOB_LOOK_UP:
        begin_look_up(job);
        return;
    case JOB_REMOVE:
        job->pending = driver_remove(job->driver->loop, job->kube, job->objects,
                                     job->want.namespace, on_removed, job);
        return;
    case JOB_FORGET:
        begin_forget(job);
        return;
    case JOB_RENDER:
    case JOB_UPGRADE:
    case JOB_UNINSTALL:
        begin_helm(job);
        return;
    case JOB_END:
        return;
    }
}

static void job_run(struct job *job)
{
    const struct driver_spec *spec = &job->driver->spec;

    while (!job->pending && job->step != JOB_END) {
        if (job->driver->halted || !spec->may_write(spec->owner))
            fail(job, "HelmInterrupted", str_dup("Drawbridge does not lead any more"));
        else
            begin(job);
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

void job_start(struct driver *driver, const char *key, const json_t *object, struct want *take_want,
               const struct job_order *order)
{
    struct job *job = NEW(struct job);

    job->driver = driver;
    job->key = str_dup(key);
    job->object = json_incref((json_t *)(uintptr_t)object);
    job->want = *take_want;
    *take_want = (struct want){0};
    job->uninstall = order->uninstall;
    job->make_namespace = order->make_namespace;
    job->drop_secret = str_dup(order->drop_secret);
    job->forced = order->forget;
    job->step = order->forget ? JOB_FORGET : JOB_UNLOCK;
    job->reason = "";
    job->kube = kube_new_as(driver->spec.kube, job->want.user);
    job->next = driver->jobs;
    driver->jobs = job;
    job->pending = loop_defer(driver->loop, on_begin, job);
}

void job_end_all(struct driver *driver)
{
    for (struct job *job = driver->jobs, *next; job; job = next) {
        next = job->next;
        if (job->child)
            loop_child_end(job->pending); // it goes on in on_helm()
        else
            job_free(job);
    }
}

void job_kill_all(struct driver *driver)
{
    while (driver->jobs)
        job_free(driver->jobs);
}
