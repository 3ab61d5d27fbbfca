// SPDX-License-Identifier: Apache-2.0
// Compares what is desired with what is there, unit by unit in the order of the direction, and
// starts the one step that is next.
#include "node_internal.h"

enum todo { TODO_NOTHING, TODO_EDIT, TODO_VERIFY, TODO_WAIT };

void node_unit_set(struct node_unit *unit, enum node_state state, const char *reason,
                   const char *fmt, ...)
{
    mem_free(unit->message);
    unit->message = NULL;
    if (fmt) {
        va_list args;
        va_start(args, fmt);
        AUTO_MEM char *text = str_vformat(fmt, args);
        va_end(args);
        unit->message = node_plain(slice_of(text));
    }
    mem_free(unit->revision);
    unit->revision =
        str_dup(doc_str(node_desired_component(unit->node, unit->component), "revision", NULL));
    unit->state = state;
    unit->reason = reason;
}

// The closed list of reasons, so that what the journal says becomes one of them.
static const char *known_reason(const char *name)
{
    static const char *const reasons[] = {
        "ComponentNotReady", "ComponentCrashed", "ReadBackMismatch", "ManifestInvalid",
        "FileConflict",      "KubeletNotReady",  "KubeletUnguarded", "MetricsUnavailable"};
    for (size_t i = 0; i < COUNT(reasons); i++) {
        if (str_eq(reasons[i], name))
            return reasons[i];
    }
    return "ComponentNotReady";
}

struct node_wish node_wish_of(const struct node *node, enum component component)
{
    const json_t *record = node_record_peek(node, component);
    const json_t *edit = doc_get(record, "edit", NULL);
    const json_t *from = edit ? edit : record;
    return (struct node_wish){
        .owned = doc_get(from, "owned", NULL),
        .path = doc_str(from, "path", NULL),
        .original = doc_str(from, "original", NULL),
        .written = edit ? doc_str(edit, "after", NULL) : doc_str(record, "written", NULL),
    };
}

static int verify_gates(const struct node_unit *unit, const json_t *expect, char **ret_what)
{
    const char *name;
    json_t *wanted;
    json_object_foreach(node_iterable(expect), name, wanted) {
        const json_t *is = json_object_get(unit->running, name);
        // A gate that the binary does not list is off.
        if (is ? doc_equal(is, wanted) : !json_is_true(wanted))
            continue;
        if (ret_what)
            *ret_what = str_format("%s is %s, not %s", name,
                                   !is                ? "not known to it"
                                   : json_is_true(is) ? "true"
                                                      : "false",
                                   json_is_true(wanted) ? "true" : "false");
        return -1;
    }
    return 1;
}

int node_unit_verify(const struct node_unit *unit, const json_t *expect, char **ret_what)
{
    if (!unit->probed || unit->outdated || !unit->healthy)
        return 0;
    if (unit->metrics_read)
        return verify_gates(unit, expect, ret_what);
    if (json_object_size(expect) == 0)
        return 1;
    // Who may not read /metrics can still see what was started.
    return unit->metrics_denied && unit->component != COMPONENT_KUBELET &&
                   node_site(unit->node)->runs(unit)
               ? 1
               : 0;
}

static void save_quietly(struct node *node)
{
    struct error *err = node_journal_save(node);
    if (err)
        log_line(LOG_DEBUG, "node", "%s", error_text(err));
    error_free(err);
}

// The file needs nothing. What we own may be less than we thought: somebody else changed it.
static void settle_ownership(struct node_unit *unit, const struct node_wish *wish,
                             const struct node_edit *plan)
{
    json_t *record = node_record(unit->node, unit->component);
    if (json_object_get(record, "edit") || doc_equal(wish->owned, plan->owned) ||
        (!wish->owned && node_owned_empty(plan->owned)))
        return;
    bool empty = node_owned_empty(plan->owned);
    node_tell_forgotten(unit, plan->forgotten);
    json_object_set(record, "owned", plan->owned);
    json_object_set_new(record, "path", doc_string(empty ? "" : unit->files[plan->file].path));
    json_object_set_new(record, "original", doc_string(plan->original));
    json_object_set_new(record, "written", doc_string(empty ? "" : unit->files[plan->file].digest));
    save_quietly(unit->node);
}

static void settle_done(struct node_unit *unit, const char *revision, const struct node_edit *plan,
                        const char *message)
{
    json_t *record = node_record(unit->node, unit->component);
    AUTO_JSON json_t *done = json_pack("{s:o, s:o}", "revision", doc_string(revision), "digest",
                                       doc_string(unit->files[plan->file].digest));
    bool news =
        !doc_equal(json_object_get(record, "done"), done) || json_object_get(record, "failed");
    node_unit_set(unit, NODE_UP_TO_DATE, NULL, message ? "%s" : NULL, message);
    if (!news)
        return;
    json_object_set(record, "done", done);
    json_object_del(record, "failed");
    save_quietly(unit->node);
}

static bool was_done(const struct node_unit *unit, const char *revision,
                     const struct node_edit *plan)
{
    const json_t *done = doc_get(node_record_peek(unit->node, unit->component), "done", NULL);
    return str_eq(doc_str(done, "revision", NULL), revision) &&
           str_eq(doc_str(done, "digest", NULL), unit->files[plan->file].digest);
}

static void on_again(void *owner)
{
    struct node *node = owner;
    node->again = NULL;
    node_wake(node);
}

// What was not this component's fault is tried again after a while: whoever wrote the file, or the
// disk that was full, may be gone by then.
static bool is_over(struct node *node, const json_t *failed)
{
    int64_t window_ms = (int64_t)node_timing.edits_window_ms;
    int64_t passed = clock_wall_ms() - doc_int(failed, 0, "at", NULL);
    if (!str_eq(doc_str(failed, "reason", NULL), "FileConflict"))
        return false;
    if (passed < 0 || passed >= window_ms)
        return true;
    if (!node->again)
        node->again = loop_sleep(node->loop, (uint64_t)(window_ms - passed), on_again, node);
    return false;
}

static bool set_if_failed(struct node_unit *unit, const char *revision)
{
    const json_t *failed = doc_get(node_record_peek(unit->node, unit->component), "failed", NULL);
    if (!failed || !str_eq(doc_str(failed, "revision", NULL), revision) ||
        is_over(unit->node, failed))
        return false;
    node_unit_set(unit, NODE_FAILED, known_reason(doc_str(failed, "reason", NULL)), "%s",
                  doc_str(failed, "message", NULL));
    return true;
}

static void on_write_retry(void *owner)
{
    struct node_unit *unit = owner;
    unit->write_retry = NULL;
    mem_free(TAKE(unit->unwritable));
    node_wake(unit->node);
}

// A full disk, a read-only file system, a disk that fails: this node's trouble. Nothing was
// changed, nothing is to be put back anywhere, and when the disk is well again it goes on.
void node_unit_note_unwritable(struct node_unit *unit, const struct error *err)
{
    AUTO_MEM char *text =
        str_format("%s; the file is as it was, and it is tried again", error_text(err));
    mem_free(unit->unwritable);
    unit->unwritable = node_plain(slice_of(text));
    unit->write_retry = op_drop(unit->write_retry);
    unit->write_retry =
        loop_sleep(unit->node->loop, node_timing.write_retry_ms, on_write_retry, unit);
    unit->edits -= unit->edits > 0; // nobody changed it back
}

// Whether the edit takes out what we wrote, and writes nothing new.
static bool only_takes_out(const struct node_wish *wish, const struct node_edit *plan)
{
    const char *kind, *name;
    json_t *entries, *entry;
    json_object_foreach(plan->owned, kind, entries) {
        json_object_foreach(entries, name, entry) {
            if (!doc_equal(doc_get(wish->owned, kind, name, "value", NULL),
                           json_object_get(entry, "value")))
                return false;
        }
    }
    return true;
}

// What it said last may be from before it was stopped; and what nobody can tell to run or not is
// not ended, nor started.
static bool set_if_not_up(struct node_unit *unit)
{
    const struct node_site *site = node_site(unit->node);
    bool up = true;
    if (!site->look || !unit->probed)
        return false;
    AUTO(error) struct error *err = site->look(unit, &up);
    if (!err && (up || !unit->healthy))
        return false;
    AUTO_MEM char *why =
        err ? str_format("%s; what nobody can tell to run", error_text(err))
            : str_format("no process is the %s that its pid file names; what does not run",
                         component_name(unit->component));
    node_unit_set(unit, NODE_UNREADABLE, "ComponentNotReady", "%s is not changed", why);
    node_unit_probe_later(unit);
    return true;
}

// What we restart and does not answer now would not answer after an edit either, and nobody could
// tell why: it is left alone. What we wrote ourselves may be the cause, and may always be taken
// out.
static bool set_if_silent(struct node_unit *unit, const struct node_wish *wish,
                          const struct node_edit *plan, enum todo *ret_todo)
{
    const char *name = component_name(unit->component);
    bool kubelet = unit->component == COMPONENT_KUBELET;
    if (!node_unit_restarts(unit) || !unit->probed || unit->healthy || only_takes_out(wish, plan))
        return false;
    // It may just be starting.
    bool early = unit->retry_ms < 4 * node_timing.retry_ms;
    *ret_todo = early ? TODO_WAIT : TODO_NOTHING;
    if (early)
        node_unit_set(unit, NODE_PENDING, NULL, "waits until the %s answers: %s", name,
                      unit->answer);
    else
        node_unit_set(unit, NODE_UNREADABLE, kubelet ? "KubeletNotAnswering" : "ComponentNotReady",
                      "%s; a %s that does not answer is not changed", unit->answer, name);
    return true;
}

static bool set_if_unwritable(struct node_unit *unit)
{
    if (!unit->unwritable)
        return false;
    node_unit_set(unit, NODE_UNREADABLE, "NodeFilesNotWritable", "%s", unit->unwritable);
    return true;
}

static bool fails_by_conflict(const struct node_unit *unit, const char *revision)
{
    const json_t *failed = doc_get(node_record_peek(unit->node, unit->component), "failed", NULL);
    return str_eq(doc_str(failed, "revision", NULL), revision) &&
           str_eq(doc_str(failed, "reason", NULL), "FileConflict");
}

// Somebody else and we write the same file in turn: one of the two must stop, and we can. Five
// edits tell that it is no chance; after that one is enough to see whether it goes on.
static bool edits_too_often(struct node_unit *unit, const char *revision)
{
    bool over = clock_ms() - unit->edited_ms >= node_timing.edits_window_ms;
    if (over || unit->edits == 0) // none: an agent that has just started knows it from its journal
        unit->edits = fails_by_conflict(unit, revision) ? NODE_EDITS_MAX - 1 : 0;
    if (unit->edits < NODE_EDITS_MAX)
        return false;
    AUTO_MEM char *message =
        str_format("each time that %s is written somebody else changes it back; it is tried once "
                   "more in ten minutes",
                   unit->files[NODE_FILE_MAIN].path);
    node_step_set_failed(unit, revision, "FileConflict", message);
    return set_if_failed(unit, revision);
}

static enum todo judge_written(struct node_unit *unit, const json_t *want,
                               const struct node_wish *wish, const struct node_edit *plan)
{
    const char *revision = doc_str(want, "revision", NULL);
    AUTO_MEM char *what = NULL;
    int verdict = node_unit_verify(unit, json_object_get(want, "expect"), &what);
    json_t *edit = json_object_get(node_record(unit->node, unit->component), "edit");
    if (edit) {
        // The edit under way is what is wanted now too: it goes on under the new name.
        json_object_set_new(edit, "revision", doc_string(revision));
        json_object_set_new(edit, "expect", doc_copy(json_object_get(want, "expect")));
        node_unit_set(unit, NODE_PENDING, NULL, NULL);
        node_wake(unit->node);
        return TODO_WAIT;
    }
    settle_ownership(unit, wish, plan);
    if (unit->outdated && unit->state == NODE_UP_TO_DATE && str_eq(unit->revision, revision))
        return TODO_WAIT; // the answer is on its way
    if (verdict > 0 || (verdict == 0 && was_done(unit, revision, plan))) {
        AUTO_MEM char *left = node_unit_left(unit, want);
        settle_done(unit, revision, plan, left);
        return TODO_NOTHING;
    }
    if (set_if_failed(unit, revision) || set_if_not_up(unit))
        return TODO_NOTHING;
    node_unit_set(unit, NODE_PENDING, NULL, "%s",
                  what           ? what
                  : unit->answer ? unit->answer
                                 : "not asked yet");
    return unit->probed ? TODO_VERIFY : TODO_WAIT;
}

static enum todo judge(struct node_unit *unit, const json_t *want, struct node_edit *ret_plan)
{
    if (!want) {
        node_unit_set(unit, unit->problem ? NODE_UNREADABLE : NODE_OBSERVED,
                      unit->problem ? "ManifestInvalid" : NULL, unit->problem ? "%s" : NULL,
                      unit->problem);
        return TODO_NOTHING;
    }
    struct node_wish wish = node_wish_of(unit->node, unit->component);
    AUTO_JSON json_t *entries = site_wanted(want);
    wish.gates = json_object_get(entries, site_kinds[0]);
    wish.runtime = json_object_get(entries, site_kinds[1]);
    AUTO(error) struct error *err = unit->problem ? NULL : node_plan(unit, &wish, ret_plan);
    if (unit->problem || err) {
        const char *reason =
            err && error_kind(err) == ERROR_CONFLICT ? "FileConflict" : "ManifestInvalid";
        node_unit_set(unit, NODE_UNREADABLE, reason, "%s", err ? error_text(err) : unit->problem);
        return TODO_NOTHING;
    }
    if (!ret_plan->text)
        return judge_written(unit, want, &wish, ret_plan);
    const char *revision = doc_str(want, "revision", NULL);
    if (set_if_failed(unit, revision) || set_if_unwritable(unit) ||
        edits_too_often(unit, revision) || set_if_not_up(unit))
        return TODO_NOTHING;
    if (unit->component == COMPONENT_KUBELET && !unit->node->spec.paths.restart_kubelet) {
        node_unit_set(unit, NODE_FAILED, "KubeletNotReady",
                      "no command to restart the kubelet is configured (--restart-kubelet)");
        return TODO_NOTHING;
    }
    enum todo todo = TODO_EDIT;
    if (!set_if_silent(unit, &wish, ret_plan, &todo))
        node_unit_set(unit, NODE_PENDING, NULL, NULL);
    return todo;
}

// --- what is next --------------------------------------------------------------------------------

static bool all_probed(const struct node *node)
{
    for (size_t c = 0; c < COMPONENT_COUNT; c++) {
        const struct node_unit *unit = &node->units[c];
        if (unit->present && !unit->problem && !unit->probed)
            return false;
    }
    return true;
}

static void on_hold_over(void *owner)
{
    struct node *node = owner;
    node->hold = NULL;
    node_wake(node);
}

// A fresh kubelet does not hold a new static pod back for the old one: both would run at once.
static bool kubelet_is_fresh(struct node_unit *unit)
{
    struct node *node = unit->node;
    if (unit->component == COMPONENT_KUBELET || !node_site(node)->kubelet)
        return false;
    int64_t passed = clock_wall_ms() - doc_int(node->journal, 0, "kubeletRestartedAt", NULL);
    struct node_kubelet kubelet = node_proc_kubelet(); // somebody else's restart counts: an upgrade
    json_decref(kubelet.argv);
    if (kubelet.age_ms >= 0 && (passed < 0 || kubelet.age_ms < passed))
        passed = kubelet.age_ms;
    if (passed < 0 || passed >= (int64_t)node_timing.kubelet_hold_ms)
        return false;
    if (!node->hold)
        node->hold = loop_sleep(node->loop, node_timing.kubelet_hold_ms - (uint64_t)passed,
                                on_hold_over, node);
    node_unit_set(unit, NODE_PENDING, NULL, "waits until the restarted kubelet has settled");
    return true;
}

// The others cannot start without an API server: they would fail for its fault. Its own back-off
// wakes us.
static bool waits_for_api(struct node_unit *unit)
{
    const struct node_unit *api = &unit->node->units[COMPONENT_APISERVER];
    bool enable = !str_eq(doc_str(node_desired(unit->node), "direction", NULL), "Disable");
    if (!enable || unit == api || !api->present || api->healthy || api->problem)
        return false;
    node_unit_set(unit, NODE_PENDING, NULL, "waits for kube-apiserver: %s",
                  api->answer ? api->answer : "not asked yet");
    return true;
}

static void start(struct node_unit *unit, enum todo todo, const json_t *want,
                  struct node_edit *plan)
{
    if (todo == TODO_WAIT || waits_for_api(unit) || (todo == TODO_EDIT && kubelet_is_fresh(unit)))
        return;
    if (todo == TODO_VERIFY) {
        node_step_verify(unit, want);
        return;
    }
    unit->edits++;
    unit->edited_ms = clock_ms();
    node_step_edit(unit, plan, want);
}

// The nets under the kubelet may have taken the edit back while we were away, or slow. That is a
// failure like one that we saw ourselves.
static void take_verdict(struct node_unit *unit, json_t *edit)
{
    AUTO_MEM char *verdict = node_nets_verdict(unit->node, edit);
    if (!verdict || json_object_get(edit, "rollback"))
        return;
    json_object_set_new(
        edit, "rollback",
        json_pack("{s:s, s:o}", "reason", "KubeletNotReady", "message", doc_string(verdict)));
    save_quietly(unit->node);
}

// An edit that the journal knows goes on before anything else is begun. True: a step runs.
static bool resume_edit(struct node_unit *unit)
{
    json_t *record = node_record(unit->node, unit->component);
    json_t *edit = json_object_get(record, "edit");
    if (!edit || !unit->present)
        return false;
    if (unit->component == COMPONENT_KUBELET)
        take_verdict(unit, edit);
    const char *path = doc_str(edit, "path", NULL), *is = "";
    for (int i = 0; i < NODE_FILE_COUNT; i++)
        is = str_eq(unit->files[i].path, path) ? unit->files[i].digest : is;
    const json_t *want = node_desired_component(unit->node, unit->component);
    bool superseded =
        want && !str_eq(doc_str(want, "revision", NULL), doc_str(edit, "revision", NULL));
    bool rollback = json_object_get(edit, "rollback") != NULL;
    if (rollback || (str_eq(is, doc_str(edit, "after", NULL)) && !superseded)) {
        node_step_resume(unit);
        return true;
    }
    if (str_eq(is, doc_str(edit, "after", NULL)))
        return false; // the plan starts from what this edit wrote, and keeps its way back
    if (str_eq(is, doc_str(edit, "before", NULL)))
        json_object_del(record, "edit"); // it never came to that
    else
        // somebody else went on from there: entry by entry from now on
        node_step_commit(unit, false);
    save_quietly(unit->node);
    if (unit->component == COMPONENT_KUBELET)
        node_nets_disarm(unit->node);
    return false;
}

static void judge_in_order(struct node *node)
{
    bool disable = str_eq(doc_str(node_desired(node), "direction", NULL), "Disable");
    bool open = !node->step && all_probed(node);
    for (unsigned i = 0; i < COMPONENT_COUNT; i++) {
        struct node_unit *unit = &node->units[disable ? COMPONENT_COUNT - 1 - i : i];
        if (!unit->present)
            continue;
        if (node->step && node->step->unit == unit) {
            open = false;
            continue;
        }
        AUTO_EDIT struct node_edit plan = {0};
        const json_t *want = node_desired_component(node, unit->component);
        enum todo todo = judge(unit, want, &plan);
        if (open && todo != TODO_NOTHING)
            start(unit, todo, want, &plan);
        if (todo != TODO_NOTHING || (want && unit->state != NODE_UP_TO_DATE))
            open = false;
    }
}

void node_advance(struct node *node)
{
    for (unsigned i = 0; i < COMPONENT_COUNT && !node->step; i++)
        resume_edit(&node->units[i]);
    judge_in_order(node);
    node_publish(node);
}
