// SPDX-License-Identifier: Apache-2.0
// REPORT of a source's pass: its status, written only when it differs, its conditions, events and
// metrics.
#include "source_internal.h"

static void put(json_t *object, const char *key, const char *value)
{
    if (value && *value)
        json_object_set_new(object, key, doc_string(value));
    else
        json_object_del(object, key);
}

static const json_t *find_condition(const json_t *status, const char *type)
{
    const json_t *conditions = json_object_get(status, "conditions");

    for (size_t i = 0; i < json_array_size(conditions); i++)
        if (str_eq(doc_str(json_array_get(conditions, i), "type", NULL), type))
            return json_array_get(conditions, i);
    return NULL;
}

// --- conditions ----------------------------------------------------------------------------------

// Which condition a problem of the repository shows in.
static enum condition place_of(const struct error *problem)
{
    static const struct {
        const char *reason;
        enum condition condition;
    } places[] = {
        {"SignatureMissing", CONDITION_SOURCE_VERIFIED},
        {"SignatureInvalid", CONDITION_SOURCE_VERIFIED},
        {"SignerUnknown", CONDITION_SOURCE_VERIFIED},
        {"InvalidDocument", CONDITION_APPLIED},
        {"SourceConflict", CONDITION_APPLIED},
    };

    for (size_t i = 0; i < COUNT(places); i++)
        if (str_eq(places[i].reason, error_reason(problem)))
            return places[i].condition;
    return CONDITION_FETCHED;
}

static const char *applied_of(const struct source_pass *pass)
{
    const char *applied = doc_str(pass->status, "lastAppliedRevision", NULL);

    return *applied ? applied : "nothing";
}

// Since when the repository is away; in memory, and after a start in the status that was kept.
static const char *last_answer(const struct source_pass *pass, char text[CLOCK_TEXT_BYTES])
{
    const char *kept = doc_str(pass->status, "lastFetchedAt", NULL);

    if (pass->source && pass->source->answered_ms)
        return clock_format(pass->source->answered_ms, text);
    return *kept ? kept : "never";
}

static void say_problem(struct source_pass *pass)
{
    enum condition where = place_of(pass->problem);
    bool away = pass->source && pass->source->away_error;
    char text[CLOCK_TEXT_BYTES];

    // A kind that the table of reasons has no word of the repository's for is the worker's own
    // failure.
    api_conditions_set(pass->conditions, where, STATE_FALSE,
                       *error_reason(pass->problem) ? policy_reason(pass->problem)
                                                    : "InternalError",
                       "%s; in force: %s%s%s", error_text(pass->problem), applied_of(pass),
                       away ? "; last success: " : "", away ? last_answer(pass, text) : "");
}

static void say_fetched(struct source_pass *pass)
{
    AUTO_MEM char *head =
        pass->head && *pass->head ? fetch_revision(pass->ref ? pass->ref : "", pass->head) : NULL;

    if (head)
        api_conditions_set(pass->conditions, CONDITION_FETCHED, STATE_TRUE, "AsExpected", "%s",
                           head);
    else if (pass->queued)
        api_conditions_set(pass->conditions, CONDITION_FETCHED, STATE_UNKNOWN, "Progressing",
                           "Waiting for its turn: other repositories are being looked at");
    else
        api_conditions_set(pass->conditions, CONDITION_FETCHED, STATE_UNKNOWN, "Progressing",
                           "The repository was not looked at yet");
}

// What is not known this time stays as it was said.
static bool was_said(const struct source_pass *pass, enum condition condition)
{
    return find_condition(json_object_get(pass->object, "status"), condition_name(condition)) !=
           NULL;
}

static void say_verified(struct source_pass *pass)
{
    if (!pass->spec.verify)
        api_conditions_set(
            pass->conditions, CONDITION_SOURCE_VERIFIED, STATE_FALSE, "VerificationNotRequested",
            "spec.verify is not set: whoever may push to the repository may configure");
    else if (pass->signer && *pass->signer)
        api_conditions_set(pass->conditions, CONDITION_SOURCE_VERIFIED, STATE_TRUE, "AsExpected",
                           "Signed by %s", pass->signer);
    else if (!was_said(pass, CONDITION_SOURCE_VERIFIED))
        api_conditions_set(pass->conditions, CONDITION_SOURCE_VERIFIED, STATE_UNKNOWN,
                           "Progressing", "No commit was verified yet");
}

static void say_held(struct source_pass *pass, enum condition condition)
{
    bool has_good = pass->good && *pass->good;

    api_conditions_set(pass->conditions, condition, STATE_FALSE, "Held",
                       "%s had to be put back (%s); %s%s", pass->held, pass->held_reason,
                       has_good ? "in force until the repository moves on: "
                                : "there is no earlier commit that was good",
                       has_good ? pass->good : "");
}

static void say_applied(struct source_pass *pass)
{
    if (*doc_str(pass->status, "heldRevision", NULL))
        say_held(pass, CONDITION_APPLIED);
    else if (pass->in_force)
        api_conditions_set(pass->conditions, CONDITION_APPLIED, STATE_TRUE, "AsExpected",
                           "Applied revision %s", applied_of(pass));
    else if (!was_said(pass, CONDITION_APPLIED))
        api_conditions_set(pass->conditions, CONDITION_APPLIED, STATE_UNKNOWN, "Progressing",
                           "Nothing was applied yet");
}

static void say_error(struct source_pass *pass)
{
    enum error_kind kind = error_kind(pass->walk.err);
    bool forbidden = kind == ERROR_DENIED || kind == ERROR_NOT_FOUND || kind == ERROR_REJECTED;
    // Without the Secrets nobody can look; later errors are the apply's.
    enum condition where = pass->fingerprint ? CONDITION_APPLIED : CONDITION_FETCHED;

    api_conditions_set(pass->conditions, where,
                       forbidden || !policy_of(pass->walk.err).retry ? STATE_FALSE : STATE_UNKNOWN,
                       policy_reason(pass->walk.err), "%s; in force: %s",
                       error_text(pass->walk.err), applied_of(pass));
}

static void say_again(struct source_pass *pass, enum condition condition)
{
    const json_t *was =
        find_condition(json_object_get(pass->object, "status"), condition_name(condition));
    const char *state = doc_str(was, "status", NULL);

    if (was)
        api_conditions_set(pass->conditions, condition,
                           str_eq(state, "True")    ? STATE_TRUE
                           : str_eq(state, "False") ? STATE_FALSE
                                                    : STATE_UNKNOWN,
                           doc_str(was, "reason", NULL), "%s", doc_str(was, "message", NULL));
}

// Who waits for its turn has found out nothing: what the last look at this spec found stays said,
// also when it was another process that looked. False: there was none.
static bool say_all_again(struct source_pass *pass)
{
    const json_t *was = find_condition(json_object_get(pass->object, "status"), "Fetched");

    if (!pass->queued || (pass->head && *pass->head) ||
        !api_reason_find(doc_str(was, "reason", NULL)) ||
        str_eq(doc_str(was, "status", NULL), "Unknown") ||
        doc_int(was, 0, "observedGeneration", NULL) !=
            doc_int(pass->object, 0, "metadata", "generation", NULL))
        return false;
    say_again(pass, CONDITION_FETCHED);
    say_again(pass, CONDITION_SOURCE_VERIFIED);
    say_again(pass, CONDITION_APPLIED);
    return true;
}

static void make_conditions(struct source_pass *pass)
{
    pass->conditions = api_conditions_new();
    if (pass->announce)
        say_held(pass, CONDITION_READY);
    if (pass->spec.suspend)
        api_conditions_set(pass->conditions, CONDITION_READY, STATE_FALSE, "Suspended",
                           "spec.suspend is true: the repository is not looked at; in force: %s",
                           applied_of(pass));
    if (pass->announce || pass->spec.suspend) {
        api_conditions_summarize(pass->conditions);
        return;
    }
    if (!say_all_again(pass)) {
        say_fetched(pass);
        say_verified(pass);
        say_applied(pass);
    }
    if (pass->problem)
        say_problem(pass);
    if (pass->walk.err)
        say_error(pass);
    api_conditions_summarize(pass->conditions);
}

// --- status --------------------------------------------------------------------------------------

static json_t *entry_of(const struct source_item *item)
{
    return json_pack("{s:o, s:o}", "kind", doc_string(item->kind->kind), "name",
                     doc_string(doc_str(item->body, "metadata", "name", NULL)));
}

static void put_inventory(struct source_pass *pass)
{
    json_t *inventory = json_array();

    for (size_t i = 0; i < pass->len; i++)
        json_array_append_new(inventory, entry_of(&pass->items[i]));
    for (size_t i = 0; i < json_array_size(pass->left); i++)
        json_array_append_new(inventory, doc_copy(json_array_get(pass->left, i)));
    json_object_set_new(pass->status, "inventory", inventory);
}

// Of a commit that was applied in part only: what came of it is remembered with what was there, so
// that a later commit without it prunes it.
static void put_partial_inventory(struct source_pass *pass)
{
    AUTO_JSON json_t *inventory = doc_copy(json_object_get(pass->status, "inventory"));

    if (!json_is_array(inventory)) {
        json_decref(TAKE(inventory));
        inventory = json_array();
    }
    for (size_t i = 0; i < pass->at && i < pass->len; i++) {
        AUTO_JSON json_t *entry = entry_of(&pass->items[i]);
        bool found = false;

        for (size_t k = 0; !found && k < json_array_size(inventory); k++)
            found = doc_equal(json_array_get(inventory, k), entry);
        if (!found)
            json_array_append(inventory, entry);
    }
    json_object_set(pass->status, "inventory", inventory);
}

static bool is_still_held(const struct source_pass *pass)
{
    return pass->held && *pass->held &&
           (!pass->head || !*pass->head || str_eq(source_commit_of(pass->held), pass->head));
}

static void put_revisions(struct source_pass *pass)
{
    json_t *status = pass->status;

    if (pass->head && *pass->head) {
        AUTO_MEM char *head = fetch_revision(pass->ref ? pass->ref : "", pass->head);
        put(status, "lastAttemptedRevision", head);
    }
    put(status, "lastKnownGoodRevision", pass->good);
    put(status, "heldRevision", is_still_held(pass) ? pass->held : "");
    put(status, "heldReason", is_still_held(pass) ? pass->held_reason : "");
    if (pass->in_force) {
        AUTO_MEM char *revision =
            fetch_revision(pass->commit_ref ? pass->commit_ref : "", pass->commit);
        put(status, "lastAppliedRevision", revision);
        put(status, "signer", pass->signer);
        put_inventory(pass);
    } else if (pass->changed) {
        put_partial_inventory(pass);
    }
    // A commit with which nothing is rolled out is good as soon as it is in force: the next pass
    // says so.
}

// Written along with something else alone: a look that finds nothing new writes nothing.
static void put_time(struct source_pass *pass)
{
    char text[CLOCK_TEXT_BYTES];

    if (pass->source && pass->source->answered_ms)
        put(pass->status, "lastFetchedAt", clock_format(pass->source->answered_ms, text));
}

static void make_status(struct source_pass *pass)
{
    const json_t *was =
        pass->spec.status ? pass->spec.status : json_object_get(pass->object, "status");

    pass->status = json_is_object(was) ? doc_copy(was) : json_object();
    json_object_set_new(
        pass->status, "observedGeneration",
        json_integer((json_int_t)doc_int(pass->object, 0, "metadata", "generation", NULL)));
    if (pass->fingerprint) {
        put_revisions(pass);
    } else if (pass->announce) {
        put(pass->status, "heldRevision", pass->held);
        put(pass->status, "heldReason", pass->held_reason);
    }
    if (pass->fingerprint && !pass->queued && pass->spec.reconcile_requested_at)
        put(pass->status, "lastHandledReconcileAt", pass->spec.reconcile_requested_at);
    make_conditions(pass);
    json_object_set_new(
        pass->status, "conditions",
        api_conditions_merge(pass->conditions, json_object_get(was, "conditions"),
                             doc_int(pass->object, 0, "metadata", "generation", NULL),
                             clock_wall_ms()));
}

// --- metrics and events --------------------------------------------------------------------------

static void show(struct source_pass *pass)
{
    const struct sources *sources = pass->sources;
    const char *applied = doc_str(pass->status, "lastAppliedRevision", NULL);

    if (!sources->ready || !pass->source || !pass->spec.name)
        return;
    metric_set(sources->ready,
               api_conditions_state(pass->conditions, CONDITION_READY) == STATE_TRUE,
               pass->spec.namespace, pass->spec.name);
    if (!*applied || str_eq(applied, pass->source->shown))
        return;
    if (pass->source->shown)
        metric_remove(sources->info, pass->spec.namespace, pass->spec.name, pass->source->shown);
    metric_set(sources->info, 1, pass->spec.namespace, pass->spec.name, applied);
    mem_free(pass->source->shown);
    pass->source->shown = str_dup(applied);
}

static void emit_events(struct source_pass *pass)
{
    const json_t *was = find_condition(json_object_get(pass->object, "status"), "Ready");
    const json_t *now = find_condition(pass->status, "Ready");
    bool ready = str_eq(doc_str(now, "status", NULL), "True");

    if (str_eq(doc_str(was, "status", NULL), doc_str(now, "status", NULL)) &&
        str_eq(doc_str(was, "reason", NULL), doc_str(now, "reason", NULL)) &&
        str_eq(doc_str(was, "message", NULL), doc_str(now, "message", NULL)))
        return;
    events_emit(pass->sources->spec.events, pass->object, !ready,
                ready ? "Ready" : doc_str(now, "reason", NULL), "%s",
                doc_str(now, "message", NULL));
}

// What came from it shows its Ready as SourceReady.
static void wake_configs(struct source_pass *pass)
{
    const json_t *inventory = json_object_get(pass->status, "inventory");

    for (size_t i = 0; i < json_array_size(inventory); i++) {
        AUTO_MEM char *key =
            str_format("%s/%s", doc_str(pass->object, "metadata", "namespace", NULL),
                       doc_str(json_array_get(inventory, i), "name", NULL));

        if (watch_get(pass->sources->spec.configs, key))
            pass->sources->spec.on_change(pass->sources->spec.owner, key);
    }
}

static void on_reported(void *owner, struct error *take_err, json_t *take_body)
{
    struct source_pass *pass = owner;
    const json_t *was = json_object_get(pass->object, "status");

    if (!take_err) {
        watch_note_write(pass->sources->watch, take_body);
        emit_events(pass);
        wake_configs(pass);
        // The roll-out of what is newly in force is judged with the status that says so, and what
        // is held now goes back.
        if (pass->announce || !doc_equal(json_object_get(was, "lastAppliedRevision"),
                                         json_object_get(pass->status, "lastAppliedRevision")))
            queue_add(pass->sources->queue, pass->walk.key);
    }
    json_decref(take_body);
    walk_continue(&pass->walk, error_wrap(take_err, "report the status"));
}

struct error *source_report(void *walk, enum verdict *ret_verdict)
{
    struct source_pass *pass = walk;
    AUTO_JSON json_t *difference = NULL;
    AUTO_JSON json_t *body = json_object();
    struct kube_ref ref;
    struct kube_patch patch = {
        .type = KUBE_PATCH_MERGE, .body = body, .field_manager = API_FIELD_MANAGER_STATUS};
    const json_t *was = json_object_get(pass->object, "status");

    *ret_verdict = VERDICT_NEXT;
    // A spec that cannot be read has no name in the view.
    pass->spec.namespace = doc_str(pass->object, "metadata", "namespace", NULL);
    pass->spec.name = doc_str(pass->object, "metadata", "name", NULL);
    ref = source_ref(pass, "status");
    make_status(pass);
    show(pass);
    difference = doc_make_merge_patch(was, pass->status);
    if (!difference)
        return NULL;
    put_time(pass);
    json_decref(TAKE(difference));
    difference = doc_make_merge_patch(was, pass->status);
    doc_set(body, doc_string(doc_str(pass->object, "metadata", "resourceVersion", NULL)),
            "metadata", "resourceVersion", NULL);
    json_object_set(body, "status", difference);
    pass->walk.pending = kube_patch(pass->sources->spec.kube, &ref, &patch, on_reported, pass);
    *ret_verdict = VERDICT_WAIT;
    return NULL;
}
