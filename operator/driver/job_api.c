// SPDX-License-Identifier: Apache-2.0
// The steps of a job that are requests to the API server: what helm does not do, does too late, or
// cannot do any more.
#include "job_internal.h"

static void on_unlocked(void *owner, struct error *take_err, json_t *take_body)
{
    struct job *job = owner;

    job->pending = NULL;
    json_decref(take_body);
    if (take_err && error_kind(take_err) != ERROR_NOT_FOUND) {
        job_fail_with(job, "ReleaseLocked", take_err);
    } else {
        error_free(take_err);
        if (job->step == JOB_UNLOCK)
            job->step = job->uninstall ? JOB_UNINSTALL : JOB_FETCH;
    }
    job_run(job);
}

static struct op *delete_secret(struct job *job, const char *name, const char *version)
{
    struct kube_ref ref = {.group = "",
                           .version = "v1",
                           .resource = "secrets",
                           .namespace = job->want.namespace,
                           .name = name};

    return kube_delete(job->kube, &ref, NULL, version, on_unlocked, job);
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
        job_fail_with(job, "InstallFailed",
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
        job_fail_with(job, "ReleaseAPIRemoved", take_err);
    job_run(job);
}

// The server was reached and does not take the object. That a field is not in the schema of its
// version is told with status 500 (server-side apply), as if the server were at fault.
static bool is_of_the_chart(const struct error *err)
{
    AUTO_MEM char *message = NULL;

    return error_kind(err) == ERROR_DENIED || error_kind(err) == ERROR_REJECTED ||
           str_eq(driver_read_errors(slice_of(error_text(err)), &message), "ChartRejected");
}

static void on_tried(void *owner, struct error *take_err)
{
    struct job *job = owner;
    AUTO(error) struct error *err = take_err;

    job->pending = NULL;
    job->step = JOB_NAMESPACE;
    if (err && is_of_the_chart(err)) {
        AUTO_MEM char *message = NULL;
        job_fail(job, driver_read_errors(slice_of(error_text(err)), &message),
                 str_dup(error_text(err)));
    } else if (err) {
        job_fail_with(job, "InstallFailed", TAKE(err));
    }
    job_run(job);
}

static struct op *make_namespace(struct job *job)
{
    AUTO_JSON json_t *body = json_object();
    struct kube_ref ref = {.group = "", .version = "v1", .resource = "namespaces"};

    doc_set(body, json_string("v1"), "apiVersion", NULL);
    doc_set(body, json_string("Namespace"), "kind", NULL);
    doc_set(body, doc_string(job->want.namespace), "metadata", "name", NULL);
    doc_set(body, json_string("privileged"), "metadata", "labels",
            "pod-security.kubernetes.io/enforce", NULL);
    doc_set(body, doc_string(job->want.owner_label), "metadata", "labels", DRIVER_LABEL_OWNER,
            NULL);
    return kube_create(job->kube, &ref, body, on_namespace, job);
}

static void on_adopted(void *owner, struct error *take_err, json_t *take_body)
{
    struct job *job = owner;

    job->pending = NULL;
    json_decref(take_body);
    job->step = job->after_adopt;
    if (take_err)
        job_fail_with(job, "DriverOwnedElsewhere",
                      error_wrap(take_err, "make the namespace %s the release's", job->adopt));
    job_run(job);
}

// What Helm wants to read on an object before it takes it into a release.
static struct op *adopt_namespace(struct job *job, const json_t *namespace)
{
    AUTO_JSON json_t *body = json_object();
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "namespaces", .name = job->adopt};
    struct kube_patch patch = {.type = KUBE_PATCH_MERGE, .body = body};

    // as it was when it was looked at
    doc_set(body, doc_copy(doc_get(namespace, "metadata", "resourceVersion", NULL)), "metadata",
            "resourceVersion", NULL);
    doc_set(body, json_string("Helm"), "metadata", "labels", "app.kubernetes.io/managed-by", NULL);
    doc_set(body, doc_string(job->want.release), "metadata", "annotations",
            "meta.helm.sh/release-name", NULL);
    doc_set(body, doc_string(job->want.namespace), "metadata", "annotations",
            "meta.helm.sh/release-namespace", NULL);
    return kube_patch(job->kube, &ref, &patch, on_adopted, job);
}

static void on_in_the_way(void *owner, struct error *take_err, json_t *take_body)
{
    struct job *job = owner;
    AUTO_JSON json_t *namespace = take_body;

    job->pending = NULL;
    if (take_err)
        job_fail_with(job, "DriverOwnedElsewhere",
                      error_wrap(take_err, "namespace %s", job->adopt));
    else if (str_eq(doc_str(namespace, "metadata", "labels", DRIVER_LABEL_OWNER, NULL),
                    job->want.owner_label) &&
             doc_get(namespace, "metadata", "resourceVersion", NULL))
        job->pending = adopt_namespace(job, namespace);
    else
        job_fail(job, "DriverOwnedElsewhere",
                 str_format("The chart makes the namespace %s, which is there already and not of "
                            "this DRAConfiguration; delete it if nobody needs it",
                            job->adopt));
    job_run(job);
}

static void on_applied(void *owner, struct error *take_err, json_t *take_body)
{
    struct job *job = owner;

    job->pending = NULL;
    json_decref(take_body);
    job->next_item++;
    if (take_err)
        job_fail_with(job, "InstallFailed",
                      error_wrap(take_err, "apply the chart's CustomResourceDefinition"));
    job_run(job);
}

static struct op *apply_crd(struct job *job, const json_t *crd)
{
    struct kube_ref ref = {.group = "apiextensions.k8s.io",
                           .version = "v1",
                           .resource = "customresourcedefinitions",
                           .name = doc_str(crd, "metadata", "name", NULL)};

    return kube_apply_now(job->kube, &ref, crd, DRIVER_FIELD_MANAGER, on_applied, job);
}

static void on_secrets(void *owner, struct error *take_err, json_t *take_body)
{
    struct job *job = owner;

    job->pending = NULL;
    job->next_item = 0;
    job->secrets = doc_copy(json_object_get(take_body, "items"));
    json_decref(take_body);
    if (take_err)
        job_fail_with(job, "ReleaseAPIRemoved", take_err);
    job_run(job);
}

// --- steps

void job_unlock(struct job *job)
{
    if (job->drop_secret)
        job->pending = delete_secret(job, job->drop_secret, job->drop_version);
    else
        job->step = job->uninstall ? JOB_UNINSTALL : JOB_FETCH;
}

void job_try(struct job *job)
{
    job->pending =
        driver_try(job->driver->loop, job->kube, job->objects, job->want.namespace, on_tried, job);
}

void job_namespace(struct job *job)
{
    if (job->make_namespace)
        job->pending = make_namespace(job);
    else
        job->step = job->crds ? JOB_UPGRADE : JOB_CRDS; // they may be there by now
}

void job_apply(struct job *job)
{
    if (job->next_item < json_array_size(job->crds))
        job->pending = apply_crd(job, json_array_get(job->crds, job->next_item));
    else
        job->step = job->objects ? JOB_UPGRADE : JOB_RENDER;
}

void job_adopt(struct job *job)
{
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "namespaces", .name = job->adopt};

    job->pending = kube_get(job->kube, &ref, on_in_the_way, job);
}

void job_remove(struct job *job)
{
    job->pending = driver_remove(job->driver->loop, job->kube, job->objects, job->want.namespace,
                                 on_removed, job);
}

void job_forget(struct job *job)
{
    AUTO_MEM char *labels = str_format("owner=helm,name=%s", job->want.release);
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "secrets", .namespace = job->want.namespace};

    if (!job->secrets) {
        job->pending = kube_list_metadata(job->kube, &ref, labels, on_secrets, job);
    } else if (job->next_item < json_array_size(job->secrets)) {
        const json_t *secret = json_array_get(job->secrets, job->next_item++);
        job->pending = delete_secret(job, doc_str(secret, "metadata", "name", NULL),
                                     doc_str(secret, "metadata", "resourceVersion", NULL));
    } else {
        job->step = job->uninstall ? JOB_END : job->file ? JOB_RENDER : JOB_FETCH;
    }
}
