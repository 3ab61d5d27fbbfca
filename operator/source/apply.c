// SPDX-License-Identifier: Apache-2.0
// PREVIEW, APPLY, PRUNE: every document is tried as a dry run before the first is applied; what
// would change nothing is not sent; what a commit no longer has goes last.
#include "source_internal.h"

static struct kube_ref item_ref(const struct source_pass *pass, const struct source_kind *kind,
                                const char *name)
{
    struct kube_ref ref = kind->ref;

    ref.namespace = pass->spec.namespace;
    ref.name = name;
    return ref;
}

static const char *name_of(const struct source_item *item)
{
    return doc_str(item->body, "metadata", "name", NULL);
}

static bool leave_alone(const json_t *object)
{
    return str_eq(doc_str(object, "metadata", "annotations", API_ANNOTATION_SYNC, NULL),
                  "disabled");
}

static bool is_ours(const struct source_pass *pass, const json_t *object)
{
    return str_eq(doc_str(object, "metadata", "annotations", API_ANNOTATION_SOURCE, NULL),
                  pass->walk.key);
}

static struct op *send(struct source_pass *pass, const struct source_item *item, const json_t *body,
                       bool dry_run, kube_done_fn *done)
{
    struct kube_ref ref = item_ref(pass, item->kind, doc_str(body, "metadata", "name", NULL));
    AUTO_JSON json_t *held = doc_copy(body);
    struct kube_patch patch = {.type = KUBE_PATCH_APPLY,
                               .body = held,
                               .field_manager = API_FIELD_MANAGER_SOURCE,
                               .force = true,
                               .creates = !item->version,
                               .dry_run = dry_run};

    if (item->version && !dry_run)
        doc_set(held, doc_string(item->version), "metadata", "resourceVersion", NULL);
    return kube_patch(pass->sources->spec.kube, &ref, &patch, done, pass);
}

// --- PREVIEW -------------------------------------------------------------------------------------

static void preview_next(struct source_pass *pass);

// It was fetched and is not known yet: the next pass has to fetch it again, however soon it comes.
static void fetch_again(struct source_pass *pass)
{
    if (!pass->fetched || pass->back)
        return; // what a held source goes back to is fetched for as long as it is not known
    mem_free(pass->source->head);
    pass->source->head = NULL;
}

// What the API server refuses of a new commit is that commit's fault, and holds until the branch
// moves.
static void refuse(struct source_pass *pass, struct error *take_err)
{
    struct error *err = error_wrap(take_err, "%s", pass->items[pass->at].where);

    if (pass->fetched && error_kind(err) == ERROR_REJECTED) {
        take_err = error_because(ERROR_INVALID, "InvalidDocument", "%s", error_text(err));
        error_free(err);
        err = take_err;
    }
    if (pass->fetched && error_kind(err) == ERROR_INVALID) {
        if (!*error_reason(err))
            error_set_reason(err, "InvalidDocument");
        if (!pass->back)
            source_remember_problem(pass, err);
    } else {
        fetch_again(pass);
    }
    walk_continue(&pass->walk, err);
}

static void end_preview(struct source_pass *pass)
{
    pass->at++;
    preview_next(pass);
}

// What spec would be if nobody but the commit had a say in it, defaults included.
static void on_alone(void *owner, struct error *take_err, json_t *take_body)
{
    struct source_pass *pass = owner;
    struct source_item *item = &pass->items[pass->at];
    AUTO_JSON json_t *alone = take_body;

    pass->walk.pending = NULL;
    if (take_err) {
        refuse(pass, take_err);
        return;
    }
    item->extra = source_extra(pass->live, json_object_get(alone, "spec"), item->body);
    item->differs = item->differs || item->extra;
    end_preview(pass);
}

// An apply leaves alone what others own. Of a DRAConfiguration nothing but what the commit says
// shall be in force: what that is is asked with a name that nobody has.
static void compare_with_alone(struct source_pass *pass)
{
    struct source_item *item = &pass->items[pass->at];
    AUTO_JSON json_t *body = doc_copy(item->body);
    AUTO_MEM char *name = str_format("drawbridge-preview-%016llx", (unsigned long long)rand_u64());

    doc_set(body, doc_string(name), "metadata", "name", NULL);
    pass->walk.pending = send(pass, item, body, true, on_alone);
}

static void on_previewed(void *owner, struct error *take_err, json_t *take_body)
{
    struct source_pass *pass = owner;
    struct source_item *item = &pass->items[pass->at];
    AUTO_JSON json_t *body = take_body;
    bool is_new = !pass->live;

    pass->walk.pending = NULL;
    if (take_err) {
        refuse(pass, take_err);
        return;
    }
    item->differs = is_new || source_differs(pass->live, body);
    json_decref(pass->live);
    pass->live = TAKE(body);
    if (is_new || !str_eq(item->kind->kind, "DRAConfiguration"))
        end_preview(pass);
    else
        compare_with_alone(pass);
}

static void on_live(void *owner, struct error *take_err, json_t *take_body)
{
    struct source_pass *pass = owner;
    struct source_item *item = &pass->items[pass->at];
    const char *other;

    pass->walk.pending = NULL;
    json_decref(pass->live);
    pass->live = take_body;
    if (take_err && error_kind(take_err) != ERROR_NOT_FOUND) {
        refuse(pass, take_err);
        return;
    }
    error_free(take_err);
    mem_free(item->version);
    item->version =
        pass->live ? str_dup(doc_str(pass->live, "metadata", "resourceVersion", NULL)) : NULL;
    other = doc_str(pass->live, "metadata", "annotations", API_ANNOTATION_SOURCE, NULL);
    if (*other && !is_ours(pass, pass->live) && watch_get(pass->sources->watch, other)) {
        struct error *err =
            error_new(ERROR_INVALID, "it comes from the ConfigSource %s already", other);
        error_set_reason(err, "SourceConflict");
        fetch_again(pass);
        walk_continue(&pass->walk, error_wrap(err, "%s", item->where));
        return;
    }
    item->skip = leave_alone(pass->live);
    if (!item->skip) {
        pass->walk.pending = send(pass, item, item->body, true, on_previewed);
        return;
    }
    end_preview(pass);
}

static void preview_next(struct source_pass *pass)
{
    if (pass->at < pass->len) {
        struct kube_ref ref =
            item_ref(pass, pass->items[pass->at].kind, name_of(&pass->items[pass->at]));
        pass->walk.pending = kube_get(pass->sources->spec.kube, &ref, on_live, pass);
        return;
    }
    if (pass->fetched)
        source_remember(pass);
    walk_continue(&pass->walk, NULL);
}

struct error *source_preview(void *walk, enum verdict *ret_verdict)
{
    struct source_pass *pass = walk;
    *ret_verdict = pass->len ? VERDICT_WAIT : VERDICT_NEXT;
    pass->at = 0;
    if (pass->len)
        preview_next(pass);
    else if (pass->fetched)
        source_remember(pass);
    return NULL;
}

// --- APPLY ---------------------------------------------------------------------------------------

static bool apply_next(struct source_pass *pass);

static bool trim(struct source_pass *pass, const json_t *applied);

static void on_applied(void *owner, struct error *take_err, json_t *take_body)
{
    struct source_pass *pass = owner;
    struct source_item *item = &pass->items[pass->at];
    AUTO_JSON json_t *body = take_body;

    pass->walk.pending = NULL;
    if (take_err) {
        walk_continue(&pass->walk, error_wrap(take_err, "%s", item->where));
        return;
    }
    if (trim(pass, body))
        return;
    if (str_eq(item->kind->kind, "DRAConfiguration"))
        watch_note_write(pass->sources->spec.configs, body);
    events_emit(pass->sources->spec.events, pass->object, false, "Applied", "%s, of %s",
                item->where, pass->commit);
    pass->changed++;
    pass->at++;
    if (!apply_next(pass))
        walk_continue(&pass->walk, NULL);
}

// Takes out what the commit does not say; once.
static bool trim(struct source_pass *pass, const json_t *applied)
{
    struct source_item *item = &pass->items[pass->at];
    AUTO_JSON json_t *extra = TAKE(item->extra);
    AUTO_JSON json_t *body = json_object();
    struct kube_ref ref = item_ref(pass, item->kind, name_of(item));
    struct kube_patch patch = {
        .type = KUBE_PATCH_MERGE, .body = body, .field_manager = API_FIELD_MANAGER_SOURCE};

    if (!extra)
        return false;
    doc_set(body, doc_string(doc_str(applied, "metadata", "resourceVersion", NULL)), "metadata",
            "resourceVersion", NULL);
    json_object_set(body, "spec", extra);
    pass->walk.pending = kube_patch(pass->sources->spec.kube, &ref, &patch, on_applied, pass);
    return true;
}

// False: nothing is left.
static bool apply_next(struct source_pass *pass)
{
    if (source_is_over(pass))
        return false;
    while (pass->at < pass->len && (pass->items[pass->at].skip || !pass->items[pass->at].differs))
        pass->at++;
    if (pass->at == pass->len)
        return false;
    pass->walk.pending =
        send(pass, &pass->items[pass->at], pass->items[pass->at].body, false, on_applied);
    return true;
}

struct error *source_apply(void *walk, enum verdict *ret_verdict)
{
    struct source_pass *pass = walk;
    pass->at = 0;
    *ret_verdict = apply_next(pass) ? VERDICT_WAIT : VERDICT_NEXT;
    return NULL;
}

// --- PRUNE ---------------------------------------------------------------------------------------

static bool prune_next(struct source_pass *pass);

static const json_t *entry_at(const struct source_pass *pass)
{
    return json_array_get(doc_get(pass->spec.status, "inventory", NULL), pass->at);
}

static void end_entry(struct source_pass *pass)
{
    pass->walk.pending = NULL;
    pass->at++;
    if (!prune_next(pass))
        walk_continue(&pass->walk, NULL);
}

// What could not be deleted stays in the inventory, and is tried again.
static void keep_entry(struct source_pass *pass, struct error *take_err)
{
    json_array_append_new(pass->left, doc_copy(entry_at(pass)));
    pass->walk.failed = true;
    if (pass->walk.err)
        error_free(take_err);
    else
        pass->walk.err = error_wrap(take_err, "prune %s %s", doc_str(entry_at(pass), "kind", NULL),
                                    doc_str(entry_at(pass), "name", NULL));
    end_entry(pass);
}

static void on_pruned(void *owner, struct error *take_err, json_t *take_body)
{
    struct source_pass *pass = owner;

    json_decref(take_body);
    if (take_err && error_kind(take_err) != ERROR_NOT_FOUND) {
        keep_entry(pass, take_err);
        return;
    }
    error_free(take_err);
    pass->changed++;
    events_emit(pass->sources->spec.events, pass->object, false, "Pruned",
                "%s %s, which %s does not have", doc_str(entry_at(pass), "kind", NULL),
                doc_str(entry_at(pass), "name", NULL), pass->commit);
    end_entry(pass);
}

static void on_doomed(void *owner, struct error *take_err, json_t *take_body)
{
    struct source_pass *pass = owner;
    AUTO_JSON json_t *object = take_body;
    const json_t *entry = entry_at(pass);
    const struct source_kind *kind = source_kind_find(doc_str(entry, "kind", NULL));
    struct kube_ref ref = item_ref(pass, kind, doc_str(entry, "name", NULL));

    if (take_err && error_kind(take_err) != ERROR_NOT_FOUND) {
        keep_entry(pass, take_err);
        return;
    }
    // Gone, somebody else's by now, or to be left alone.
    if (take_err || !is_ours(pass, object) || leave_alone(object)) {
        error_free(take_err);
        end_entry(pass);
        return;
    }
    pass->walk.pending =
        kube_delete(pass->sources->spec.kube, &ref, doc_str(object, "metadata", "uid", NULL),
                    doc_str(object, "metadata", "resourceVersion", NULL), on_pruned, pass);
}

static bool is_in_commit(const struct source_pass *pass, const json_t *entry)
{
    for (size_t i = 0; i < pass->len; i++)
        if (str_eq(pass->items[i].kind->kind, doc_str(entry, "kind", NULL)) &&
            str_eq(name_of(&pass->items[i]), doc_str(entry, "name", NULL)))
            return true;
    return false;
}

static bool prune_next(struct source_pass *pass)
{
    const json_t *entry;

    while ((entry = entry_at(pass))) {
        const struct source_kind *kind = source_kind_find(doc_str(entry, "kind", NULL));

        if (kind && !is_in_commit(pass, entry)) {
            struct kube_ref ref = item_ref(pass, kind, doc_str(entry, "name", NULL));
            pass->walk.pending = kube_get(pass->sources->spec.kube, &ref, on_doomed, pass);
            return true;
        }
        pass->at++;
    }
    return false;
}

struct error *source_prune(void *walk, enum verdict *ret_verdict)
{
    struct source_pass *pass = walk;
    pass->at = 0;
    pass->left = json_array();
    pass->in_force = true;
    *ret_verdict = pass->spec.prune && prune_next(pass) ? VERDICT_WAIT : VERDICT_NEXT;
    return NULL;
}
