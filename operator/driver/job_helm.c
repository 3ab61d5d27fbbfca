// SPDX-License-Identifier: Apache-2.0
// The steps of a job that helm does: what it is called for, and what its answer, or its failure,
// leads to.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "job_internal.h"

#define NAMESPACE_BYTES_MAX 63

// A registry that does not answer holds everybody's turn; a chart of 16 MiB needs 5 Mbit/s
// for this.
uint64_t driver_fetch_ms_max = 30000;
uint64_t driver_helm_grace_ms = 8000;
uint64_t driver_helm_processor_s;

typedef void after_fn(struct job *job, const struct loop_child_result *result);

static void after_fetch(struct job *job, const struct loop_child_result *result)
{
    AUTO_MEM char *dir = str_format("%s/chart", job->dir);
    struct error *err = helm_chart_file(dir, &job->file);
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
        job_fail_with(job, "ChartUnavailable", err);
    else
        job->step = JOB_SHOW;
}

static void after_show(struct job *job, const struct loop_child_result *result)
{
    AUTO_JSON json_t *chart = NULL;
    AUTO_MEM char *older = NULL;
    struct error *err = doc_parse_yaml(result->output, "Chart.yaml", &chart);

    if (err) {
        job_fail_with(job, "ChartRejected", err);
        return;
    }
    job->chart = str_dup(doc_str(chart, "name", NULL));
    job->version = str_dup(doc_str(chart, "version", NULL));
    job->step = JOB_RENDER;
    older = driver_downgrade(job->want.preset, doc_get(job->object, "status", "driver", NULL),
                             job->chart, job->version);
    if (older)
        job_fail(job, "DowngradeRefused", TAKE(older));
    else if (job->want.digest && job->want.ref && job->want.version &&
             !str_eq(job->want.version, job->version))
        job_fail(job, "ChartDigestMismatch",
                 str_format("%s@%s is version %s and not %s", job->want.ref, job->want.digest,
                            job->version, job->want.version));
}

static void after_look_up(struct job *job, const struct loop_child_result *result)
{
    struct error *err = doc_parse_yaml_rendered(result->output, "manifest", &job->objects);

    job->step = JOB_REMOVE;
    if (err)
        job_fail_with(job, "ReleaseAPIRemoved", err);
}

static void after_render(struct job *job, const struct loop_child_result *result)
{
    AUTO_JSON json_t *answer = NULL;
    struct error *err = doc_parse_json(result->output, "helm", &answer);

    json_decref(TAKE(job->objects));
    if (!err)
        err = doc_parse_yaml_rendered(slice_of(doc_str(answer, "manifest", NULL)), "manifest",
                                      &job->objects);
    job->step = JOB_TRY;
    if (err)
        job_fail_with(job, "ChartRejected", err);
}

static void after_crds(struct job *job, const struct loop_child_result *result)
{
    struct error *err = doc_parse_yaml_rendered(result->output, "crds", &job->crds);

    job->step = JOB_APPLY;
    job->next_item = 0;
    if (err)
        job_fail_with(job, "ChartRejected", err);
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

// The namespace that is there already and that the chart makes too, as helm names it; NULL: it is
// something else that is there. Owned.
static char *namespace_in_the_way(struct slice errors)
{
    static const char begins[] = "Namespace \"", ends[] = "\" in namespace \"\" exists";
    const char *at = memmem(errors.ptr, errors.len, begins, strlen(begins));
    struct slice rest, name;

    if (!at || !said(errors, ends))
        return NULL;
    at += strlen(begins);
    rest = (struct slice){at, errors.len - (size_t)(at - errors.ptr)};
    return slice_cut(&rest, '"', &name) && name.len > 0 && name.len <= NAMESPACE_BYTES_MAX
               ? slice_dup(name)
               : NULL;
}

// An earlier try made it, for the release or as the release's own namespace.
static bool adopts(struct job *job, struct slice errors)
{
    AUTO_MEM char *name = namespace_in_the_way(errors);

    if (!name || str_eq(name, job->adopt))
        return false;
    mem_free(job->adopt);
    job->adopt = TAKE(name);
    job->after_adopt = job->step;
    job->step = JOB_ADOPT;
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
    if (str_eq(reason, "DriverOwnedElsewhere") && adopts(job, errors))
        return true;
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

// What was to become helm says so, and ends as a shell would.
static bool was_no_helm(const struct loop_child_result *result)
{
    return (result->exit_code == 126 || result->exit_code == 127) &&
           slice_starts(result->errors, "drawbridge-confine: ");
}

static uint64_t processor_s_max(const struct driver *driver)
{
    return driver_helm_processor_s
               ? driver_helm_processor_s
               : (driver->spec.helm_timeout_ms + driver_helm_grace_ms) / 1000 + 1;
}

static uint64_t timeout_ms(const struct job *job)
{
    uint64_t most = job->driver->spec.helm_timeout_ms;

    return job->step == JOB_FETCH && most > driver_fetch_ms_max ? driver_fetch_ms_max : most;
}

static void take_failure(struct job *job, const struct loop_child_result *result)
{
    AUTO_MEM char *message = NULL;
    const char *reason = driver_read_errors(result->errors, &message);
    bool fetching = job->step == JOB_FETCH || job->step == JOB_SHOW;

    if (was_no_helm(result)) {
        job_fail(job, "HelmNotFound", TAKE(message));
        return;
    }
    if (result->errors.len && recovers(job, reason, result->errors))
        return;
    if (result->timed_out)
        job_fail(job, fetching ? "ChartUnavailable" : "HelmInterrupted",
                 str_format("helm did not end within %llu s and was stopped",
                            (unsigned long long)(timeout_ms(job) / 1000)));
    else if (loop_child_is_over(result, processor_s_max(job->driver)))
        job_fail(job, "LimitReached",
                 str_format("helm used more than %llu s of processor time for this chart",
                            (unsigned long long)processor_s_max(job->driver)));
    else if (result->signum || result->exit_code > 128) // a shell around helm tells its signal so
        job_fail(job, "HelmInterrupted",
                 str_format("helm was ended by signal %d",
                            result->signum ? result->signum : result->exit_code - 128));
    else if (fetching && job->want.digest && pins_another(message))
        job_fail(job, "ChartDigestMismatch", TAKE(message));
    else
        job_fail(job, fetching && !str_eq(reason, "LimitReached") ? "ChartUnavailable" : reason,
                 TAKE(message));
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
    struct driver *driver = job->driver;

    job->pending = NULL;
    job->child = false;
    job_leave_turn(job);
    if (take_err)
        job_fail(job, "HelmNotFound", str_dup(error_text(take_err)));
    else if (result->exit_code == 0 && is_cut(job, result))
        job_fail(job, "ChartRejected",
                 str_format("helm said more than %zu bytes", DRIVER_OUTPUT_BYTES_MAX));
    else if (result->exit_code == 0)
        after[job->step](job, result);
    else
        take_failure(job, result);
    error_free(take_err);
    job_run(job);
    driver_next_turn(driver);
}

static void run_helm(struct job *job, const struct helm_call *call, struct slice input)
{
    const struct driver_spec *spec = &job->driver->spec;
    AUTO_MEM char *config = str_format("%s/config", spec->dir);
    // Its program may be anywhere, and charts are where the administrator has them.
    const char *const places[] = {spec->helm,
                                  config,
                                  spec->chart_root,
                                  getenv("SSL_CERT_FILE"),
                                  getenv("SSL_CERT_DIR"),
                                  getenv("HELM_REGISTRY_CONFIG")};
    const char *readable[COUNT(places) + 1] = {NULL};
    size_t len = 0;
    const char *const writable[] = {job->dir, NULL};
    struct loop_confine confine = {
        .data_bytes_max = DRIVER_MEMORY_BYTES_MAX,
        .file_bytes_max = DRIVER_FILE_BYTES_MAX,
        .processor_s_max = processor_s_max(job->driver),
        .processes_max = DRIVER_PROCESSES_MAX,
        .readable = spec->helm_account ? readable : NULL,
        .writable = spec->helm_account ? writable : NULL,
    };
    struct loop_child_spec child = {
        .argv = (const char *const *)call->argv.items,
        .env = (const char *const *)call->env.items,
        .input = input,
        .output_bytes_max = DRIVER_OUTPUT_BYTES_MAX,
        // helm has its own, which does not bound everything; a fetch has none, and no lock to give
        // back
        .timeout_ms = timeout_ms(job) + (job->step == JOB_FETCH ? 0 : driver_helm_grace_ms),
        .grace_ms = driver_helm_grace_ms,
        .confine = &confine,
    };

    for (size_t i = 0; i < COUNT(places); i++)
        if (places[i] && *places[i])
            readable[len++] = places[i];
    job->child = true;
    job->pending = loop_child_run(job->driver->loop, &child, on_helm, job);
}

// --- steps

// False: the job has failed.
static bool prepare(struct job *job, bool connects, struct helm_call *ret_call)
{
    const struct driver_spec *spec = &job->driver->spec;
    AUTO(error) struct error *err = job->dir ? NULL : helm_make_dir(spec, &job->dir);

    ASSERT(!job->cluster->by || spec->helm_account); // our credentials are no target's
    if (!err && connects && spec->helm_account)
        err = job_write_config(job);
    else if (!err && connects && !spec->kubeconfig)
        err = helm_write_pod_config(job->dir);
    if (err) {
        job_fail(job, connects ? "InstallFailed" : "ChartUnavailable", str_dup(error_text(err)));
        return false;
    }
    helm_call_make(spec, job->dir, ret_call);
    if (connects)
        helm_call_connect(ret_call, spec, job->dir, job->want.user);
    return true;
}

void job_fetch(struct job *job)
{
    AUTO_CALL struct helm_call call = {0};
    AUTO_MEM char *dir = NULL;
    struct error *err;

    if (job->want.path) {
        job->file = str_dup(job->want.path);
        job->step = JOB_SHOW;
        err = helm_check_size(job->file);
        if (err)
            job_fail_with(job, "ChartUnavailable", err);
        return;
    }
    if (!prepare(job, false, &call))
        return;
    dir = str_format("%s/chart", job->dir);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        job_fail_with(job, "ChartUnavailable", error_errno(errno, "%s", dir));
        return;
    }
    helm_call_pull(&call, &job->want, dir);
    run_helm(job, &call, (struct slice){0});
}

void job_show(struct job *job)
{
    AUTO_CALL struct helm_call call = {0};

    if (!prepare(job, false, &call))
        return;
    strlist_add(&call.argv, "show");
    strlist_add(&call.argv, job->step == JOB_SHOW ? "chart" : "crds");
    strlist_add(&call.argv, job->file);
    run_helm(job, &call, (struct slice){0});
}

void job_look_up(struct job *job)
{
    AUTO_CALL struct helm_call call = {0};

    if (!prepare(job, true, &call))
        return;
    strlist_add(&call.argv, "get");
    strlist_add(&call.argv, "manifest");
    strlist_add(&call.argv, job->want.release);
    strlist_take(&call.argv, str_format("--namespace=%s", job->want.namespace));
    run_helm(job, &call, (struct slice){0});
}

void job_release(struct job *job)
{
    AUTO_CALL struct helm_call call = {0};
    // JSON is YAML
    AUTO_MEM char *values = job->uninstall ? NULL : doc_print_json(job->want.values);

    if (!prepare(job, true, &call))
        return;
    if (!job->uninstall)
        helm_call_upgrade(&call, &job->driver->spec, &job->want, job->file, job->chart, job->forced,
                          job->step == JOB_RENDER);
    else
        helm_call_uninstall(&call, &job->driver->spec, &job->want);
    run_helm(job, &call, slice_of(values));
}
