// SPDX-License-Identifier: Apache-2.0
// Starts the worker, gives it the request on stdin, and reads its one JSON object.
#include <string.h>

#include "git_internal.h"

#define GRACE_MS 500 // the worker has nothing to put in order

struct fetch {
    struct op op;
    struct loop *loop;
    struct op *child; // or the deferred bad news
    struct error *err;
    char *dir;
    fetch_fn *fn;
    void *owner;
};

char *fetch_revision(const char *ref, const char *commit)
{
    return str_format("%s%ssha1:%s", ref, *ref ? "@" : "", commit);
}

void fetch_result_fini(struct fetch_result *result)
{
    mem_free(result->ref);
    mem_free(result->head);
    mem_free(result->commit);
    mem_free(result->signer);
    json_decref(result->documents);
    *result = (struct fetch_result){0};
}

// --- the request ---------------------------------------------------------------------------------

static void put(json_t *request, const char *key, const char *value)
{
    if (value && *value)
        json_object_set_new(request, key, doc_string(value));
}

static json_t *make_request(const struct fetch_spec *spec, const char *dir)
{
    const struct {
        const char *key, *value;
    } texts[] = {
        {"url", spec->url},
        {"branch", spec->branch},
        {"tag", spec->tag},
        {"semver", spec->semver},
        {"commit", spec->commit},
        {"path", spec->path},
        {"known", spec->known},
        {"base", spec->base},
        {"baseRef", spec->base_ref},
        {"accept", spec->accept},
        {"at", spec->at},
        {"verified", spec->verified},
        {"username", spec->username},
        {"password", spec->password},
        {"bearerToken", spec->bearer_token},
        {"identity", spec->identity},
        {"passphrase", spec->passphrase},
        {"knownHosts", spec->known_hosts},
        {"ca", spec->ca},
        {"proxy", spec->proxy},
        {"allowedSigners", spec->allowed_signers},
        {"keyring", spec->keyring},
        {"fileRoot", spec->file_root},
        {"dir", dir},
    };
    size_t pack_max = spec->pack_bytes_max ? spec->pack_bytes_max : FETCH_PACK_BYTES_MAX;
    size_t memory_max = spec->memory_bytes_max ? spec->memory_bytes_max : FETCH_MEMORY_BYTES_MAX;
    json_t *request = json_object();

    for (size_t i = 0; i < COUNT(texts); i++)
        put(request, texts[i].key, texts[i].value);
    json_object_set_new(request, "verify", json_boolean(spec->verify));
    json_object_set_new(request, "packBytesMax", json_integer((json_int_t)pack_max));
    json_object_set_new(request, "memoryBytesMax", json_integer((json_int_t)memory_max));
    json_object_set_new(request, "seconds",
                        json_integer((json_int_t)(spec->timeout_ms / 1000 + 1)));
    return request;
}

// --- the answer ----------------------------------------------------------------------------------

// Reasons of errors are static; the worker's is looked up among ours.
static const char *known_reason(const char *name)
{
    static const char *const names[] = {
        "GitUnreachable",     "FetchTimedOut",        "AuthenticationFailed", "HostKeyRefused",
        "CertificateRefused", "RefNotFound",          "PathNotFound",         "LimitReached",
        "InvalidDocument",    "InvalidConfiguration", "SignatureMissing",     "SignatureInvalid",
        "SignerUnknown",      "NonFastForward",       "CommitNotFound",       "InsecureTransport",
    };

    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eq(names[i], name))
            return names[i];
    return NULL;
}

static struct error *with_reason(struct error *take_err, const char *reason)
{
    error_set_reason(take_err, reason);
    return take_err;
}

static struct error *read_error(const json_t *told)
{
    const char *reason = known_reason(doc_str(told, "reason", NULL));
    const char *message = doc_str(told, "message", NULL);
    enum error_kind kind =
        doc_bool(told, false, "transient", NULL) ? ERROR_TRANSIENT : ERROR_INVALID;

    if (!reason)
        return error_new(ERROR_INTERNAL, "the git worker gave no reason: %.*s",
                         TEXT_CUT(500, message));
    return with_reason(error_new(kind, "%.*s", TEXT_CUT(900, message)), reason);
}

static struct error *read_ending(const struct loop_child_result *ended)
{
    AUTO_MEM char *words = text_make(slice_trim(ended->errors), 300);

    if (ended->timed_out)
        return with_reason(
            error_new(ERROR_TRANSIENT,
                      "it was not done within spec.timeout, and the worker was ended"),
            "FetchTimedOut");
    if (ended->signum)
        return with_reason(error_new(ERROR_INVALID,
                                     "the git worker was ended by signal %d%s%s: it may have "
                                     "reached its limit of memory or time",
                                     ended->signum, *words ? ": " : "", words),
                           "LimitReached");
    return error_new(ERROR_INTERNAL, "the git worker ended with %d%s%s", ended->exit_code,
                     *words ? ": " : "", words);
}

static struct error *read_answer(const struct loop_child_result *ended,
                                 struct fetch_result *ret_result)
{
    AUTO_JSON json_t *answer = NULL;

    if (ended->timed_out || ended->signum || ended->exit_code != 0)
        return read_ending(ended);
    if (ended->output.len >= FETCH_RESULT_BYTES_MAX)
        return with_reason(error_new(ERROR_INVALID, "the documents are more than %zu bytes as JSON",
                                     FETCH_RESULT_BYTES_MAX),
                           "LimitReached");
    struct error *err = doc_parse_json(ended->output, "answer of the git worker", &answer);
    if (err)
        return err;
    ret_result->ref = str_dup(doc_str(answer, "ref", NULL));
    ret_result->head = str_dup(doc_str(answer, "head", NULL));
    if (json_object_get(answer, "error"))
        return read_error(json_object_get(answer, "error"));
    *ret_result = (struct fetch_result){
        .ref = ret_result->ref,
        .head = ret_result->head,
        .commit = str_dup(doc_str(answer, "commit", NULL)),
        .signer = str_dup(doc_str(answer, "signer", NULL)),
        .fetched = doc_bool(answer, false, "fetched", NULL),
        .documents = json_incref(json_object_get(answer, "documents")),
    };
    return NULL;
}

// --- the op --------------------------------------------------------------------------------------

static void fetch_free(struct fetch *fetch)
{
    if (fetch->dir)
        loop_scratch_remove(fetch->dir);
    error_free(fetch->err);
    mem_free(fetch->dir);
    mem_free(fetch);
}

static void on_drop(struct op *op)
{
    struct fetch *fetch = (struct fetch *)op;

    op_drop(fetch->child);
    fetch_free(fetch);
}

static void finish(struct fetch *fetch, struct error *take_err, struct fetch_result *result)
{
    fetch_fn *fn = fetch->fn;
    void *owner = fetch->owner;

    fetch_free(fetch);
    fn(owner, take_err, result);
}

static void on_failed(void *owner)
{
    struct fetch *fetch = owner;

    finish(fetch, TAKE(fetch->err), NULL);
}

static void on_child(void *owner, struct error *take_err, const struct loop_child_result *ended)
{
    struct fetch *fetch = owner;
    struct fetch_result result = {0};
    struct error *err = take_err ? error_wrap(take_err, "git worker") : read_answer(ended, &result);

    fetch->child = NULL;
    finish(fetch, err, result.head ? &result : NULL);
    fetch_result_fini(&result);
}

// The worker gets an environment of its own: nothing of the controller's, and no credential.
static struct op *start(struct fetch *fetch, const struct fetch_spec *spec)
{
    AUTO_JSON json_t *request = make_request(spec, fetch->dir);
    AUTO_MEM char *text = doc_print_json(request);
    AUTO_MEM char *path = loop_program(WORKER_NAME, "DRAWBRIDGE_GIT_WORKER");
    AUTO_MEM char *home = str_format("HOME=%s", fetch->dir);
    const char *const argv[] = {path, NULL};
    const char *const env[] = {home, "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", NULL};
    struct loop_child_spec child = {
        .argv = argv,
        .env = env,
        .input = slice_of(text),
        .output_bytes_max = FETCH_RESULT_BYTES_MAX,
        .timeout_ms = spec->timeout_ms,
        .grace_ms = GRACE_MS,
    };
    struct op *op = loop_child_run(fetch->loop, &child, on_child, fetch);

    explicit_bzero(text, strlen(text));
    return op;
}

struct op *fetch_run(struct loop *loop, const struct fetch_spec *spec, fetch_fn *fn, void *owner)
{
    static bool swept; // what dead processes left
    struct fetch *fetch = NEW(struct fetch);

    ASSERT(spec->timeout_ms > 0 && spec->url);
    fetch->op.drop = on_drop;
    fetch->loop = loop;
    fetch->fn = fn;
    fetch->owner = owner;
    if (!swept)
        loop_scratch_sweep(NULL, WORKER_NAME);
    swept = true;
    fetch->err = loop_scratch_make(NULL, WORKER_NAME, &fetch->dir);
    fetch->child = fetch->err ? loop_defer(loop, on_failed, fetch) : start(fetch, spec);
    return &fetch->op;
}
