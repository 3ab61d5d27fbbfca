// SPDX-License-Identifier: Apache-2.0
// Whom helm is to the API server: an account of its own, which may act as the listed ones and do
// nothing else. It gets a short-lived token of that account in its scratch directory, and cannot
// read ours.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "job_internal.h"

#define TOKEN_SECONDS_MIN 600 // what the API server gives at least

static bool talks(enum job_step step)
{
    return step == JOB_RENDER || step == JOB_UPGRADE || step == JOB_UNINSTALL ||
           step == JOB_LOOK_UP;
}

static uint64_t needed_ms(const struct driver *driver)
{
    return driver->spec.helm_timeout_ms + 2 * driver_helm_grace_ms;
}

bool job_needs_token(const struct job *job)
{
    const struct driver *driver = job->driver;

    return driver->spec.helm_account && talks(job->step) &&
           (!job->token || clock_ms() + needed_ms(driver) > job->token_until_ms);
}

void job_forget_token(struct job *job)
{
    if (job->token)
        explicit_bzero(job->token, strlen(job->token));
    mem_free(TAKE(job->token));
}

static void on_token(void *owner, struct error *take_err, json_t *take_body)
{
    struct job *job = owner;
    struct driver *driver = job->driver;
    AUTO_JSON json_t *body = take_body;
    const char *token = doc_str(body, "status", "token", NULL);
    int64_t until_ms;

    job->pending = NULL;
    job_forget_token(job);
    if (take_err) {
        job_fail_with(
            job,
            error_kind(take_err) == ERROR_NOT_FOUND ? "DriverForbidden" : "APIServerUnreachable",
            error_wrap(take_err, "a token for helm's account %s", driver->spec.helm_account));
    } else if (!*token ||
               !clock_parse(doc_str(body, "status", "expirationTimestamp", NULL), &until_ms)) {
        job_fail(job, "RequestFailed",
                 str_format("the API server gave no token for helm's account %s",
                            driver->spec.helm_account));
    } else {
        int64_t left_ms = until_ms - clock_wall_ms();

        // A clock that is behind the server's would ask for ever.
        job->token = str_dup(token);
        job->token_until_ms = clock_ms() + (uint64_t)(left_ms > 0 ? left_ms : 0);
        if (job->token_until_ms < clock_ms() + needed_ms(driver) + 1)
            job->token_until_ms = clock_ms() + needed_ms(driver) + 1;
    }
    job_run(job);
}

void job_ask_token(struct job *job)
{
    const struct driver_spec *spec = &job->driver->spec;
    struct slice rest = slice_of(spec->helm_account), part = {0};
    AUTO_MEM char *namespace = slice_cut(&rest, '/', &part) ? slice_dup(part) : str_dup("");
    AUTO_MEM char *name = slice_dup(rest);
    AUTO_JSON json_t *body = json_object();
    uint64_t seconds = needed_ms(job->driver) / 1000 + 120;
    struct kube_ref ref = {.group = "",
                           .version = "v1",
                           .resource = "serviceaccounts",
                           .namespace = namespace,
                           .name = name,
                           .subresource = "token"};

    doc_set(body, json_string("authentication.k8s.io/v1"), "apiVersion", NULL);
    doc_set(body, json_string("TokenRequest"), "kind", NULL);
    doc_set(body,
            json_integer((json_int_t)(seconds > TOKEN_SECONDS_MIN ? seconds : TOKEN_SECONDS_MIN)),
            "spec", "expirationSeconds", NULL);
    job->pending = kube_create(job->cluster->kube, &ref, body, on_token, job);
}

// --- the kubeconfig that helm gets

static struct error *write_file(const char *path, const char *text)
{
    size_t len = strlen(text);
    ssize_t written;
    int fd, why = 0;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(errno, "%s", path);
    written = write(fd, text, len);
    if (written != (ssize_t)len)
        why = written < 0 ? errno : ENOSPC; // a short write sets no errno
    close(fd);
    return why ? error_errno(why, "%s", path) : NULL;
}

struct error *job_write_config(const struct job *job)
{
    AUTO_MEM char *path = str_format("%s/kube.conf", job->dir);
    AUTO_MEM char *ca_file = str_format("%s/ca.crt", job->dir);
    const char *ca = kube_ca(job->cluster->kube);
    AUTO_JSON json_t *config =
        json_pack("{s:s, s:s, s:s, s:[{s:s, s:o}], s:[{s:s, s:{s:o}}], s:[{s:s, s:{s:s, s:s}}]}",
                  "apiVersion", "v1", "kind", "Config", "current-context", "helm", "clusters",
                  "name", "helm", "cluster", kube_cluster(job->cluster->kube, ca_file), "users",
                  "name", "helm", "user", "token", doc_string(job->token), "contexts", "name",
                  "helm", "context", "cluster", "helm", "user", "helm");
    AUTO_MEM char *text = doc_print_json(config); // JSON is YAML
    struct error *err = ca ? write_file(ca_file, ca) : NULL;

    if (!err)
        err = write_file(path, text);
    explicit_bzero(text, strlen(text));
    return err;
}
