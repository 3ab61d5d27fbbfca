// SPDX-License-Identifier: Apache-2.0
// The steps of a source's pass up to its documents: LOAD, SECRETS, FETCH, CHECK.
#include <string.h>

#include "source_internal.h"

// while the repository cannot be reached, doubling up to the interval
#define FETCH_BACKOFF_MS 10000
#define DOCUMENTS_BYTES_MAX ((size_t)32 << 20) // remembered, of all repositories together

static void replace(char **at, char *take_text)
{
    mem_free(*at);
    *at = take_text;
}

const char *source_commit_of(const char *revision)
{
    const char *at = strstr(revision, "sha1:");

    return at ? at + strlen("sha1:") : "";
}

char *source_ref_of(const char *revision)
{
    const char *at = strstr(revision, "@sha1:");

    return slice_dup((struct slice){revision, at ? (size_t)(at - revision) : 0});
}

static bool same_ref(const char *a, const char *b)
{
    const char *end_a = strstr(a, "sha1:"), *end_b = strstr(b, "sha1:");

    return end_a && end_b && end_a - a == end_b - b && strncmp(a, b, (size_t)(end_a - a)) == 0;
}

// --- LOAD ----------------------------------------------------------------------------------------

// The DRAConfiguration that an entry of the inventory stands for; a KubermaticConfiguration has one
// of its name.
static const json_t *config_of(const struct source_pass *pass, const json_t *entry)
{
    AUTO_MEM char *key = NULL;

    if (!str_eq(doc_str(entry, "kind", NULL), "DRAConfiguration") &&
        !str_eq(doc_str(entry, "kind", NULL), "KubermaticConfiguration"))
        return NULL;
    key = str_format("%s/%s", pass->spec.namespace, doc_str(entry, "name", NULL));
    return watch_get(pass->sources->spec.configs, key);
}

static bool is_ready(const struct api_config *config)
{
    const json_t *conditions = json_object_get(config->status, "conditions");
    const json_t *ready = json_array_get(conditions, 0); // it comes first

    return str_eq(doc_str(ready, "type", NULL), "Ready") &&
           str_eq(doc_str(ready, "status", NULL), "True") &&
           doc_int(ready, -1, "observedGeneration", NULL) == config->generation;
}

static void hold(struct source_pass *pass, const char *applied, const struct api_config *config)
{
    const json_t *last = json_array_get(json_object_get(config->status, "history"), 0);
    const char *why = doc_str(last, "message", NULL);

    replace(&pass->held, str_dup(applied));
    replace(&pass->held_reason,
            str_format("DRAConfiguration %s was put back: %.*s", config->name,
                       TEXT_CUT(700, *why ? why : doc_str(last, "reason", NULL))));
    if (!str_eq(doc_str(pass->spec.status, "heldRevision", NULL), applied))
        events_emit(pass->sources->spec.events, pass->object, true, "Held", "%s: %s", applied,
                    pass->held_reason);
}

void source_judge(struct source_pass *pass)
{
    const json_t *inventory = doc_get(pass->spec.status, "inventory", NULL);
    const char *applied = doc_str(pass->spec.status, "lastAppliedRevision", NULL);
    bool all_ready = *applied != '\0';

    pass->good = str_dup(doc_str(pass->spec.status, "lastKnownGoodRevision", NULL));
    pass->held = str_dup(doc_str(pass->spec.status, "heldRevision", NULL));
    pass->held_reason = str_dup(doc_str(pass->spec.status, "heldReason", NULL));
    for (size_t i = 0; i < json_array_size(inventory); i++) {
        const json_t *object = config_of(pass, json_array_get(inventory, i));
        struct api_config config;
        struct intent intent;
        struct error *err = object ? api_config_parse(object, &config) : NULL;

        if (err || !object) {
            all_ready =
                all_ready && !err &&
                source_kind_find(doc_str(json_array_get(inventory, i), "kind", NULL)) &&
                source_kind_find(doc_str(json_array_get(inventory, i), "kind", NULL))->named_alone;
            error_free(err);
            continue;
        }
        intent_make(&config, &intent);
        all_ready = all_ready && is_ready(&config);
        if (intent.rolled_back && !str_eq(applied, pass->good))
            hold(pass, applied, &config);
        intent_fini(&intent);
    }
    if (all_ready)
        replace(&pass->good, str_dup(applied));
}

struct error *source_load(void *walk, enum verdict *ret_verdict)
{
    struct source_pass *pass = walk;
    const json_t *object = watch_get(pass->sources->watch, pass->walk.key);
    struct error *err;

    *ret_verdict = VERDICT_NEXT;
    if (!object)
        return NULL;
    pass->object = json_incref((json_t *)(uintptr_t)object); // replaced in the store, never changed
    err = api_source_parse(pass->object, &pass->spec);
    if (!err)
        source_judge(pass);
    // Who goes back and is ended before the status says why would take the commit up again.
    pass->announce = !err && *pass->held &&
                     !str_eq(doc_str(pass->spec.status, "heldRevision", NULL), pass->held);
    return err;
}

// --- SECRETS -------------------------------------------------------------------------------------

static bool wants_look(const struct source_pass *pass)
{
    const char *requested = pass->spec.reconcile_requested_at;

    if (requested && !str_eq(requested, doc_str(pass->spec.status, "lastHandledReconcileAt", NULL)))
        return true;
    return clock_ms() >= pass->source->look_ms;
}

static struct kube_ref secret_ref(const struct source_pass *pass, const char *name)
{
    return (struct kube_ref){.group = "",
                             .version = "v1",
                             .resource = "secrets",
                             .namespace = pass->spec.namespace,
                             .name = name};
}

static void on_signers(void *owner, struct error *take_err, json_t *take_body)
{
    struct source_pass *pass = owner;

    pass->signers = take_body;
    walk_continue(&pass->walk,
                  error_wrap(take_err, "Secret %s of spec.verify", pass->spec.verify_secret));
}

static bool ask_signers(struct source_pass *pass)
{
    struct kube_ref ref = secret_ref(pass, pass->spec.verify_secret);

    if (!pass->spec.verify)
        return false;
    pass->walk.pending = kube_get(pass->sources->spec.kube, &ref, on_signers, pass);
    return true;
}

static void on_secret(void *owner, struct error *take_err, json_t *take_body)
{
    struct source_pass *pass = owner;

    pass->walk.pending = NULL;
    pass->secret = take_body;
    if (take_err || !ask_signers(pass))
        walk_continue(&pass->walk,
                      error_wrap(take_err, "Secret %s of spec.secretRef", pass->spec.secret));
}

// Read for each look, one by one and by name: nothing of a Secret is kept, and no right to list
// them is needed.
struct error *source_secrets(void *walk, enum verdict *ret_verdict)
{
    struct source_pass *pass = walk;
    struct kube_ref ref = secret_ref(pass, pass->spec.secret);

    *ret_verdict = VERDICT_WAIT;
    if (*pass->spec.secret)
        pass->walk.pending = kube_get(pass->sources->spec.kube, &ref, on_secret, pass);
    else if (!ask_signers(pass))
        *ret_verdict = VERDICT_NEXT;
    return NULL;
}

// --- FETCH ---------------------------------------------------------------------------------------

// What was read holds for one spec, one set of signers and one acknowledgement.
static char *make_fingerprint(const struct source_pass *pass)
{
    return str_format("%lld %s %s", (long long)pass->spec.generation,
                      doc_str(pass->signers, "metadata", "resourceVersion", NULL),
                      pass->spec.accept ? pass->spec.accept : "");
}

static char *join_keyring(const json_t *signers)
{
    const json_t *data = json_object_get(signers, "data");
    AUTO_BUF struct buf keyring = buf_make(FETCH_FILE_BYTES_MAX);
    json_t *walked = (json_t *)(uintptr_t)data; // jansson iterates without const

    for (void *iter = json_object_iter(walked); iter; iter = json_object_iter_next(walked, iter)) {
        AUTO_MEM char *text = NULL;

        if (!str_ends(json_object_iter_key(iter), ".asc"))
            continue;
        text = kube_secret_text(signers, json_object_iter_key(iter));
        buf_printf(&keyring, "%s\n", text ? text : "");
    }
    return buf_take(&keyring);
}

static void count_fetch(const struct source_pass *pass, const char *result)
{
    const struct sources *sources = pass->sources;

    if (!sources->fetch_total)
        return;
    metric_add(sources->fetch_total, 1, pass->spec.namespace, pass->spec.name, result);
    metric_observe(sources->fetch_seconds, (double)(clock_ms() - pass->fetch_began_ms) / 1000.0,
                   pass->spec.namespace, pass->spec.name);
    if (pass->source->answered_ms)
        metric_set(sources->answered, (double)pass->source->answered_ms / 1000.0,
                   pass->spec.namespace, pass->spec.name);
}

uint64_t source_wait_ms(uint64_t interval_ms, unsigned failures)
{
    uint64_t wait = FETCH_BACKOFF_MS;

    for (unsigned i = 1; i < failures && wait < interval_ms; i++)
        wait *= 2;
    if (failures == 0 || wait > interval_ms)
        wait = interval_ms;
    return wait - wait / 20 + rand_below(wait / 10 + 1);
}

static void plan_next_look(struct source_pass *pass, bool reached)
{
    pass->source->failures = reached ? 0 : pass->source->failures + 1;
    pass->source->look_ms =
        clock_ms() + source_wait_ms(pass->spec.interval_ms, pass->source->failures);
}

void source_remember_problem(struct source_pass *pass, const struct error *err)
{
    struct source *source = pass->source;

    replace(&source->head, str_dup(pass->head));
    replace(&source->ref, str_dup(pass->ref));
    replace(&source->head_error, str_dup(error_text(err)));
    replace(&source->head_reason, str_dup(error_reason(err)));
}

void source_remember(struct source_pass *pass)
{
    struct source *source = pass->source;

    replace(&source->head, str_dup(pass->head));
    replace(&source->ref, str_dup(pass->ref));
    replace(&source->head_error, NULL);
    replace(&source->head_reason, NULL);
    replace(&source->commit_ref, str_dup(pass->commit_ref));
    replace(&source->commit, str_dup(pass->commit));
    replace(&source->signer, str_dup(pass->signer));
    replace(&source->documents, doc_print_json(pass->documents));
    source->documents_len = source->documents ? strlen(source->documents) : 0;
    sources_limit_memory(pass->sources, DOCUMENTS_BYTES_MAX);
}

// A pass that does not look (somebody changed an object) knows nothing newer.
static void recall_problem(struct source_pass *pass)
{
    const struct source *source = pass->source;
    const char *text = source->away_error ? source->away_error : source->head_error;
    const char *name = source->away_error ? source->away_reason : source->head_reason;
    const struct api_reason *reason = api_reason_find(name ? name : "");

    if (!text || pass->problem)
        return;
    pass->problem = error_new(ERROR_INVALID, "%s", text);
    if (reason)
        error_set_reason(pass->problem, reason->name);
}

static void remember_away(struct source *source, const struct error *err)
{
    replace(&source->away_error, err ? str_dup(error_text(err)) : NULL);
    replace(&source->away_reason, err ? str_dup(error_reason(err)) : NULL);
}

static void run_fetch(struct source_pass *pass, const char *known, const char *base,
                      const char *at);

static bool is_held(const struct source_pass *pass)
{
    return *pass->held && *pass->good && str_eq(source_commit_of(pass->held), pass->head);
}

static void keep_result(struct source_pass *pass, struct fetch_result *result)
{
    if (!*result->head)
        return; // it was not found: what it was stays
    replace(&pass->ref, TAKE(result->ref));
    replace(&pass->head, TAKE(result->head));
    if (!result->fetched)
        return;
    replace(&pass->commit_ref, pass->back ? source_ref_of(pass->good) : str_dup(pass->ref));
    replace(&pass->commit, TAKE(result->commit));
    replace(&pass->signer, TAKE(result->signer));
    json_decref(pass->documents);
    pass->documents = TAKE(result->documents);
    pass->fetched = true;
}

// The branch is still at the commit that was put back: its documents are not what shall be in
// force.
static bool go_back(struct source_pass *pass)
{
    const char *good = source_commit_of(pass->good);

    if (pass->back || !is_held(pass))
        return false;
    json_decref(pass->documents);
    pass->documents = NULL;
    pass->fetched = false;
    if (pass->source->documents && str_eq(pass->source->commit, good))
        return false;
    pass->back = true;
    run_fetch(pass, NULL, "", good);
    return true;
}

static void on_fetched(void *owner, struct error *take_err, struct fetch_result *result)
{
    struct source_pass *pass = owner;
    // Else the credentials, the server or the way there: all of that may be mended at any time.
    bool reached =
        !take_err || (error_kind(take_err) != ERROR_TRANSIENT && result && *result->head);

    pass->walk.pending = NULL;
    if (result)
        keep_result(pass, result);
    if (reached)
        pass->source->answered_ms = clock_wall_ms();
    remember_away(pass->source, reached ? NULL : take_err);
    plan_next_look(pass, reached);
    count_fetch(pass, take_err
                          ? (*error_reason(take_err) ? error_reason(take_err) : "InternalError")
                      : pass->fetched ? "fetched"
                                      : "unchanged");
    if (take_err) {
        // A verdict on this commit holds until the branch moves; a server that is away does not
        // change what is known.
        if (reached && !pass->back)
            source_remember_problem(pass, take_err);
        pass->problem = take_err;
    }
    if (!take_err && go_back(pass))
        return;
    source_turn_leave(pass->sources, pass->walk.key);
    walk_continue(&pass->walk, NULL);
}

// The commit that was in force and signed before: that its key has expired since does not change
// that. What a source goes back to was in force too.
static const char *verified_commit(const struct source_pass *pass)
{
    return *doc_str(pass->spec.status, "signer", NULL)
               ? source_commit_of(doc_str(pass->spec.status, "lastAppliedRevision", NULL))
               : "";
}

// base: a revision, "" for none.
static void run_fetch(struct source_pass *pass, const char *known, const char *base, const char *at)
{
    static const char *const keys[] = {"username",   "password",    "bearerToken", "identity",
                                       "passphrase", "known_hosts", "ca.crt",      "proxy"};
    char *values[COUNT(keys)];
    AUTO_MEM char *signers = kube_secret_text(pass->signers, "allowed_signers");
    AUTO_MEM char *keyring = join_keyring(pass->signers);
    AUTO_MEM char *base_ref = source_ref_of(base);

    for (size_t i = 0; i < COUNT(keys); i++)
        values[i] = kube_secret_text(pass->secret, keys[i]);
    struct fetch_spec spec = {
        .url = pass->spec.url,
        .branch = pass->spec.branch,
        .tag = pass->spec.tag,
        .semver = pass->spec.semver,
        .commit = pass->spec.commit,
        .path = pass->spec.path,
        .known = known,
        .base = source_commit_of(base),
        .base_ref = base_ref,
        .accept = pass->spec.accept,
        .at = at,
        .verified = at ? at : verified_commit(pass),
        .username = values[0],
        .password = values[1],
        .bearer_token = values[2],
        .identity = values[3],
        .passphrase = values[4],
        .known_hosts = values[5],
        .ca = values[6],
        .proxy = values[7],
        .verify = pass->spec.verify,
        .allowed_signers = signers,
        .keyring = keyring,
        .file_root = pass->sources->spec.git_file_root,
        .pack_bytes_max = pass->sources->spec.git_pack_bytes_max,
        .timeout_ms = pass->spec.timeout_ms,
    };
    pass->fetch_began_ms = clock_ms();
    pass->walk.pending = fetch_run(pass->sources->loop, &spec, on_fetched, pass);
    for (size_t i = 0; i < COUNT(keys); i++) {
        if (values[i])
            explicit_bzero(values[i], strlen(values[i]));
        mem_free(values[i]);
    }
}

// Which revision the next one must descend from: what is in force, where it comes from the same
// branch or tag, or from a range of versions.
static const char *find_base(const struct source_pass *pass)
{
    const char *applied = doc_str(pass->spec.status, "lastAppliedRevision", NULL);
    const char *from = *pass->held && *pass->good ? pass->good : applied;
    AUTO_MEM char *wanted = NULL;

    if (*pass->spec.commit)
        return "";
    wanted = fetch_revision(*pass->spec.tag ? pass->spec.tag : pass->spec.branch, "");
    if ((*pass->spec.tag || *pass->spec.branch) && !same_ref(wanted, from))
        return "";
    return from;
}

struct error *source_fetch(void *walk, enum verdict *ret_verdict)
{
    struct source_pass *pass = walk;
    const char *known = NULL;

    pass->fingerprint = make_fingerprint(pass);
    if (str_eq(pass->source->fingerprint, pass->fingerprint)) {
        known = pass->source->head;
        replace(&pass->head, str_dup(pass->source->head));
        replace(&pass->ref, str_dup(pass->source->ref));
    } else {
        replace(&pass->source->head, NULL);
        replace(&pass->source->head_error, NULL);
        replace(&pass->source->documents, NULL);
        replace(&pass->source->fingerprint, str_dup(pass->fingerprint));
        pass->source->look_ms = 0;
    }
    if (!known && *pass->held && *pass->good)
        known = source_commit_of(pass->held);
    *ret_verdict = VERDICT_NEXT;
    if (!wants_look(pass) && pass->head &&
        (!is_held(pass) || str_eq(pass->source->commit, source_commit_of(pass->good))))
        return NULL;
    pass->problem = source_secret_check(pass->secret, pass->spec.url);
    if (pass->problem) {
        remember_away(pass->source, pass->problem);
        plan_next_look(pass, false);
        return NULL;
    }
    pass->queued = !source_turn_take(pass->sources, pass->walk.key);
    if (pass->queued)
        return NULL;
    *ret_verdict = VERDICT_WAIT;
    run_fetch(pass, known, find_base(pass), NULL);
    return NULL;
}

// --- CHECK ---------------------------------------------------------------------------------------

static struct error *use_memory(struct source_pass *pass)
{
    struct error *err;

    pass->fetched = false;
    json_decref(pass->documents);
    pass->documents = NULL;
    if (!pass->source->documents)
        return NULL;
    replace(&pass->commit_ref, str_dup(pass->source->commit_ref));
    replace(&pass->commit, str_dup(pass->source->commit));
    replace(&pass->signer, str_dup(pass->source->signer));
    err = doc_parse_json(slice_of(pass->source->documents), "memory", &pass->documents);
    return err ? err : source_items_make(pass->documents, &pass->spec, &pass->items, &pass->len);
}

struct error *source_check(void *walk, enum verdict *ret_verdict)
{
    struct source_pass *pass = walk;
    struct error *err;

    *ret_verdict = VERDICT_NEXT;
    if (!pass->fetched) {
        recall_problem(pass);
        return use_memory(pass);
    }
    err = source_items_make(pass->documents, &pass->spec, &pass->items, &pass->len);
    if (!err)
        return NULL;
    source_remember_problem(pass, err);
    pass->problem = err;
    return use_memory(pass);
}
