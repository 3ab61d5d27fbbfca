// SPDX-License-Identifier: Apache-2.0
// The worker's beginning and end.
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "worker.h"

#define REQUEST_BYTES_MAX ((size_t)4 << 20)

const char *worker_text(const struct worker *worker, const char *key)
{
    return doc_str(worker->request, key, NULL);
}

struct error *worker_git_error(const struct worker *worker, const char *reason, const char *fmt,
                               ...)
{
    const git_error *last = git_error_last();
    const char *why = worker->refused ? worker->refused : reason;
    bool no_memory = last && last->klass == GIT_ERROR_NOMEMORY;
    AUTO_MEM char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = str_vformat(fmt, args);
    va_end(args);
    if (no_memory)
        return error_because(ERROR_INVALID, "LimitReached",
                             "%s: more memory is needed than is allowed", text);
    return error_because(str_eq(why, "GitUnreachable") ? ERROR_TRANSIENT : ERROR_INVALID, why,
                         "%s: %s", text,
                         last && last->message ? last->message : "libgit2 gave no reason");
}

static struct error *read_request(json_t **ret_request)
{
    AUTO_BUF struct buf text = buf_make(REQUEST_BYTES_MAX);
    char block[16384];
    ssize_t len;
    struct error *err;

    while ((len = read(STDIN_FILENO, block, sizeof(block))) != 0) {
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return error_errno(errno, "stdin");
        buf_add(&text, block, (size_t)len);
    }
    if (text.overflow)
        return error_new(ERROR_LIMIT, "the request is too large");
    err = doc_parse_json(buf_slice(&text), "request", ret_request);
    explicit_bzero(block, sizeof(block));
    if (text.ptr)
        explicit_bzero(text.ptr, text.len);
    return err;
}

static void write_all(const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t len = write(STDOUT_FILENO, text, left);

        if (len < 0 && errno != EINTR)
            return; // nobody listens any more
        if (len > 0) {
            text += len;
            left -= (size_t)len;
        }
    }
}

static struct error *work(struct worker *worker, bool *ret_fetched)
{
    struct error *err;

    worker->dir = worker_text(worker, "dir");
    worker->pack_bytes_max = (size_t)doc_int(worker->request, 0, "packBytesMax", NULL);
    err = sandbox_enter(worker);
    if (!err)
        err = remote_fetch(worker, ret_fetched);
    if (err || !*ret_fetched)
        return err;
    err = remote_check_descent(worker);
    if (!err && doc_bool(worker->request, true, "verify", NULL))
        err = verify_commit(worker);
    return err ? err : files_read(worker);
}

static json_t *make_answer(const struct worker *worker, bool fetched)
{
    json_t *answer = json_object();
    char hex[GIT_OID_HEXSZ + 1];

    json_object_set_new(answer, "ref", doc_string(worker->ref ? worker->ref : ""));
    json_object_set_new(answer, "head", doc_string(git_oid_tostr(hex, sizeof(hex), &worker->head)));
    json_object_set_new(answer, "commit",
                        doc_string(git_oid_tostr(hex, sizeof(hex), &worker->commit)));
    json_object_set_new(answer, "signer", doc_string(worker->signer ? worker->signer : ""));
    json_object_set_new(answer, "fetched", json_boolean(fetched));
    if (worker->documents)
        json_object_set(answer, "documents", worker->documents);
    return answer;
}

static struct error *check_size(const char *text)
{
    if (strlen(text) < FETCH_RESULT_BYTES_MAX)
        return NULL;
    return error_because(ERROR_INVALID, "LimitReached",
                         "the documents are more than %zu bytes as JSON", FETCH_RESULT_BYTES_MAX);
}

// One line of printable text: a server's words get in here.
static char *tidy(const char *text)
{
    char *copy = str_dup(text);

    for (char *at = copy; *at; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7F)
            *at = ' ';
    return copy;
}

static json_t *make_refusal(const struct worker *worker, const struct error *err)
{
    json_t *refusal = json_object();
    AUTO_MEM char *message = tidy(error_text(err));
    char hex[GIT_OID_HEXSZ + 1];

    if (!git_oid_is_zero(&worker->head)) {
        json_object_set_new(refusal, "ref", doc_string(worker->ref ? worker->ref : ""));
        json_object_set_new(refusal, "head",
                            doc_string(git_oid_tostr(hex, sizeof(hex), &worker->head)));
    }

    doc_set(refusal, doc_string(error_reason(err)), "error", "reason", NULL);
    doc_set(refusal, doc_string(message), "error", "message", NULL);
    doc_set(refusal, json_boolean(error_kind(err) == ERROR_TRANSIENT), "error", "transient", NULL);
    return refusal;
}

static void worker_fini(struct worker *worker)
{
    git_remote_free(worker->remote);
    git_repository_free(worker->repository);
    git_libgit2_shutdown();
    mem_free(worker->ref);
    mem_free(worker->remote_ref);
    mem_free(worker->signer);
    json_decref(worker->documents);
}

// ca.crt is in the place of the system's authorities: a libgit2 with OpenSSL would add it to them.
static void trust_nobody_else(const struct worker *worker)
{
    if (!worker->request || !*worker_text(worker, "ca"))
        return;
    setenv("SSL_CERT_FILE", "/nonexistent", 1);
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
}

int main(void)
{
    struct worker worker = {0};
    AUTO_JSON json_t *request = NULL;
    AUTO_JSON json_t *answer = NULL;
    AUTO_MEM char *text = NULL;
    bool fetched = false;
    AUTO(error) struct error *err = NULL;

    // The controller is gone: nobody waits for us.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    err = read_request(&request);
    worker.request = request;
    trust_nobody_else(&worker);
    git_libgit2_init();
    if (!err)
        err = work(&worker, &fetched);
    if (!err) {
        answer = make_answer(&worker, fetched);
        text = doc_print_json(answer);
        err = check_size(text);
    }
    if (err) {
        json_decref(answer);
        mem_free(text);
        answer = make_refusal(&worker, err);
        text = doc_print_json(answer);
    }
    worker_fini(&worker);
    write_all(text);
    return 0;
}
