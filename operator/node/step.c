// SPDX-License-Identifier: Apache-2.0
// One step: the edit of one component's file and its way back. The journal speaks first: whatever
// moment we die in, it holds the bytes from before and says what was about to happen.
#include "node_internal.h"

#include <string.h>

static void step_free(struct node_step *step)
{
    step->timer = op_drop(step->timer);
    step->probe = op_drop(step->probe);
    step->child = op_drop(step->child);
    step->log = op_drop(step->log);
    node_edit_fini(&step->edit);
    json_decref(step->expect);
    json_decref(step->marks);
    json_decref(step->edit_was);
    mem_free(step->revision);
    mem_free(step->path);
    mem_free(step->last);
    mem_free(step->message);
    mem_free(step);
}

void node_step_drop(struct node *node)
{
    if (node->step)
        step_free(TAKE(node->step));
    node->kwok.kept = 0;
}

void node_step_phase(struct node_step *step, enum node_phase phase)
{
    if (step->phase == phase && step->since_wall_ms != 0)
        return;
    step->phase = phase;
    step->since_wall_ms = clock_wall_ms();
    node_publish(step->unit->node);
}

const char *node_step_not_ready(const struct node_step *step)
{
    return step->unit->component == COMPONENT_KUBELET ? "KubeletNotReady" : "ComponentNotReady";
}

void node_step_tell(const struct node_step *step, enum log_level level, const char *what,
                    const char *why)
{
    const char *name = step->unit->node->spec.node_name;
    log_line(level, "node",
             "%s%s%s node=%s component=%s object=NodeDRAConfiguration/%s file=%s revision=%s", what,
             why && why[0] ? ": " : "", why ? why : "", name ? name : "",
             component_name(step->unit->component), name ? name : "", step->path, step->revision);
}

static struct node_step *step_new(struct node_unit *unit, enum node_step_kind kind,
                                  const char *revision, const json_t *expect)
{
    ASSERT(!unit->node->step);
    struct node_step *step = NEW(struct node_step);
    step->unit = unit;
    step->kind = kind;
    step->revision = str_dup(revision);
    step->expect = expect ? doc_copy(expect) : json_object();
    step->path = str_dup("");
    step->start_was_ms = unit->start_ms;
    unit->node->step = step;
    unit->probe = op_drop(unit->probe); // the step asks from now on
    unit->retry = op_drop(unit->retry);
    unit->retry_ms = 0;
    unit->follow_until_ms = 0;
    node_unit_set(unit, NODE_UPDATING, NULL, NULL);
    return step;
}

// The step is over. The unit is asked once more where the last answer was not a full one.
static void end_step(struct node_step *step)
{
    struct node_unit *unit = step->unit;
    struct node *node = unit->node;
    node_step_drop(node);
    if (!unit->healthy || !unit->metrics_read)
        node_unit_probe(unit);
    node_wake(node); // the next turn judges, and tells
}

// --- the journal's side --------------------------------------------------------------------------

void node_step_set_failed(struct node_unit *unit, const char *revision, const char *reason,
                          const char *message)
{
    AUTO_MEM char *plain = node_plain(slice_of(message));
    json_t *record = node_record(unit->node, unit->component);
    json_object_set_new(record, "failed",
                        json_pack("{s:o, s:o, s:o, s:I}", "revision", doc_string(revision),
                                  "reason", doc_string(reason), "message", doc_string(plain), "at",
                                  (json_int_t)clock_wall_ms()));
    if (str_eq(doc_str(record, "done", "revision", NULL), revision))
        json_object_del(record, "done"); // and what is done is done anew
    struct error *err = node_journal_save(unit->node);
    if (err)
        error_ignore(err, "a failure that is forgotten is tried once more");
}

void node_step_commit(struct node_unit *unit, bool done)
{
    json_t *record = node_record(unit->node, unit->component);
    json_t *edit = json_incref(json_object_get(record, "edit"));
    json_object_del(record, "edit");
    if (!edit)
        return;
    bool empty = node_owned_empty(json_object_get(edit, "owned"));
    json_object_set(record, "owned", json_object_get(edit, "owned"));
    json_object_set_new(record, "path", doc_string(empty ? "" : doc_str(edit, "path", NULL)));
    json_object_set_new(record, "original",
                        doc_string(empty ? "" : doc_str(edit, "original", NULL)));
    json_object_set_new(record, "written", doc_string(empty ? "" : doc_str(edit, "after", NULL)));
    json_object_del(record, "failed");
    if (done) {
        char now[CLOCK_TEXT_BYTES];
        json_object_set_new(record, "updatedAt", doc_string(clock_format(clock_wall_ms(), now)));
        json_object_set_new(record, "done",
                            json_pack("{s:o, s:o}", "revision",
                                      doc_string(doc_str(edit, "revision", NULL)), "digest",
                                      doc_string(doc_str(edit, "after", NULL))));
    }
    json_decref(edit);
}

static const struct node_file *file_at(const struct node_unit *unit, const char *path)
{
    for (int i = 0; i < NODE_FILE_COUNT; i++) {
        if (str_eq(unit->files[i].path, path))
            return &unit->files[i];
    }
    return NULL;
}

static bool uses_nets(const struct node_step *step)
{
    return step->unit->component == COMPONENT_KUBELET && node_nets_wanted(step->unit->node);
}

// Writes down what is about to happen. An edit that follows on an unfinished one keeps that one's
// way back.
static struct error *journal_edit(struct node_step *step, const struct node_file *file)
{
    struct node *node = step->unit->node;
    json_t *record = node_record(node, step->unit->component);
    const char *before = doc_str(record, "edit", "before", NULL);
    step->edit_was = json_incref(json_object_get(record, "edit"));
    char after[DOC_DIGEST_BYTES];
    doc_digest(slice_of(step->edit.text), after);
    struct error *err = node_backup_store(node, node_file_slice(file), file->digest);
    guard_stage("backup stored");
    if (err)
        return err;
    json_object_set_new(
        record, "edit",
        json_pack("{s:o, s:o, s:O, s:o, s:o, s:o, s:O, s:I}", "path", doc_string(file->path),
                  "revision", doc_string(step->revision), "expect", step->expect, "before",
                  doc_string(before[0] ? before : file->digest), "after", doc_string(after),
                  "original", doc_string(step->edit.original), "owned", step->edit.owned,
                  "startedAt", (json_int_t)step->begun_wall_ms));
    if (uses_nets(step)) {
        AUTO_MEM char *id = node_nets_id();
        json_object_set_new(json_object_get(record, "edit"), "guard", doc_string(id));
    }
    return node_journal_save(node);
}

// The edit did not come to be: the file is as it was, and so is the journal.
static void retract_edit(struct node_step *step, struct error *take_err)
{
    struct node_unit *unit = step->unit;
    AUTO(error) struct error *err = take_err;
    node_step_tell(step, LOG_WARN, "the file was not edited", error_text(err));
    json_object_del(node_record(unit->node, unit->component), "edit");
    if (step->edit_was)
        json_object_set(node_record(unit->node, unit->component), "edit", step->edit_was);
    if (error_kind(err) != ERROR_CONFLICT && error_reason(err)[0]) {
        AUTO_MEM char *message = str_format("%s; the file is as it was", error_text(err));
        node_step_set_failed(unit, step->revision, error_reason(err), message);
    } else {
        if (error_kind(err) != ERROR_CONFLICT)
            node_unit_note_unwritable(unit, err);
        struct error *saved = node_journal_save(unit->node);
        if (saved)
            error_ignore(saved, "after a restart the file tells that the edit never was");
    }
    struct node *node = unit->node;
    if (unit->component == COMPONENT_KUBELET)
        node_nets_disarm(node);
    node_step_drop(node);
    node_observe_files(node);
    node_publish(node);
    node_wake(node);
}

// --- edit ----------------------------------------------------------------------------------------

// All that comes before the file is touched.
static struct error *prepare(struct node_step *step)
{
    const struct node_file *file = file_at(step->unit, step->path);
    if (!file || !file->text)
        return error_new(ERROR_CONFLICT, "%s is gone", step->path);
    memcpy(step->was, file->digest, DOC_DIGEST_BYTES);
    struct error *err = journal_edit(step, file);
    guard_stage("edit journalled");
    return !err && uses_nets(step) ? node_nets_record(step) : err;
}

static void carry_out(struct node_step *step, struct error *take_err)
{
    struct node_unit *unit = step->unit;
    struct error *err = take_err;
    step->begun_wall_ms = clock_wall_ms();
    step->begun_ms = clock_ms();
    step->marks = node_logs_mark(unit);
    if (unit->component == COMPONENT_KUBELET) {
        struct node_kubelet kubelet = node_proc_kubelet();
        json_decref(kubelet.argv);
        step->pid_was = kubelet.pid;
    }
    if (!err)
        err =
            node_site(unit->node)
                ->replace(step->path, unit->component, step->was, slice_of(step->edit.text), false);
    if (err) {
        retract_edit(step, err);
        return;
    }
    node_step_tell(step, LOG_INFO, "the file was edited", NULL);
    doc_digest(slice_of(step->edit.text), step->digest);
    node_edit_fini(&step->edit);
    node_observe_files(unit->node);
    node_step_restart(step);
    node_wait_begin(step);
}

static void on_armed(void *owner, struct error *take_err, const struct loop_child_result *result)
{
    struct node_step *step = owner;
    step->child = NULL;
    step->armed = true;
    carry_out(step, node_nets_armed(take_err, result));
}

static void on_edit(void *owner)
{
    struct node_step *step = owner;
    step->timer = NULL;
    step->begun_wall_ms = clock_wall_ms();
    step->begun_ms = clock_ms();
    struct error *err = prepare(step);
    if (err || !uses_nets(step))
        carry_out(step, err);
    else
        step->child = node_nets_arm(step, on_armed);
}

void node_step_edit(struct node_unit *unit, struct node_edit *take_edit, const json_t *want)
{
    struct node_step *step = step_new(unit, NODE_STEP_EDIT, doc_str(want, "revision", NULL),
                                      json_object_get(want, "expect"));
    step->edit = *take_edit;
    node_tell_forgotten(unit, step->edit.forgotten);
    *take_edit = (struct node_edit){0};
    mem_free(step->path);
    step->path = str_dup(unit->files[step->edit.file].path);
    node_step_phase(step, NODE_EDITING);
    step->timer = loop_defer(unit->node->loop, on_edit, step);
}

void node_step_verify(struct node_unit *unit, const json_t *want)
{
    struct node_step *step = step_new(unit, NODE_STEP_VERIFY, doc_str(want, "revision", NULL),
                                      json_object_get(want, "expect"));
    mem_free(step->path);
    step->path = str_dup(unit->files[NODE_FILE_MAIN].path);
    doc_digest(node_file_slice(&unit->files[NODE_FILE_MAIN]), step->digest);
    // Its file is right, but what we restart reads it only when it starts.
    if (node_unit_restarts(unit) && unit->healthy && unit->metrics_read &&
        (unit->component != COMPONENT_KUBELET || unit->node->spec.paths.restart_kubelet))
        node_step_restart(step);
    node_wait_begin(step);
}

// --- the way back --------------------------------------------------------------------------------

// What the file must say again. Where somebody else wrote it meanwhile, only our entries are taken
// out of it.
static struct error *text_from_before(struct node_step *step, const json_t *edit,
                                      const struct node_file *now, char **ret_text)
{
    struct node_unit *unit = step->unit;
    struct node_file before = {0};
    if (str_eq(now->digest, doc_str(edit, "before", NULL))) {
        *ret_text = slice_dup(node_file_slice(now));
        return NULL;
    }
    if (str_eq(now->digest, doc_str(edit, "after", NULL))) {
        struct error *err = node_backup_read(unit->node, doc_str(edit, "before", NULL), &before);
        if (!err)
            *ret_text = slice_dup(node_file_slice(&before));
        node_file_fini(&before);
        if (!err)
            return NULL;
        error_ignore(err, "without the backup our entries are taken out one by one");
    }
    const json_t *owned = doc_get(node_record_peek(unit->node, unit->component), "owned", NULL);
    AUTO_JSON json_t *was = node_owned_part(owned, "value");
    struct node_wish wish = {json_object_get(was, site_kinds[0]),
                             json_object_get(was, site_kinds[1]),
                             json_object_get(edit, "owned"),
                             now->path,
                             "",
                             ""};
    AUTO_EDIT struct node_edit undo = {0};
    struct error *err = node_plan(unit, &wish, &undo);
    if (!err)
        *ret_text = undo.text ? TAKE(undo.text) : slice_dup(node_file_slice(now));
    return err;
}

static bool is_as_before(const struct node_step *step)
{
    const struct node_unit *unit = step->unit;
    const json_t *edit = doc_get(node_record_peek(unit->node, unit->component), "edit", NULL);
    return str_eq(step->digest, doc_str(edit, "before", NULL));
}

static struct error *write_back(struct node_step *step)
{
    struct node_unit *unit = step->unit;
    const json_t *edit = doc_get(node_record_peek(unit->node, unit->component), "edit", NULL);
    const struct node_file *now = file_at(unit, doc_str(edit, "path", NULL));
    if (!now || !now->text)
        return error_new(ERROR_NOT_FOUND, "%s is gone", doc_str(edit, "path", NULL));
    AUTO_MEM char *text = NULL;
    struct error *err = text_from_before(step, edit, now, &text);
    if (!err && !slice_eq(node_file_slice(now), text))
        err = node_site(unit->node)
                  ->replace(now->path, unit->component, now->digest, slice_of(text), true);
    if (!err) {
        doc_digest(slice_of(text), step->digest);
        node_step_tell(
            step, LOG_INFO,
            is_as_before(step)
                ? "rolled back: the file is as it was before the edit"
                : "rolled back: the edit was taken out of the file, other changes to it stay",
            NULL);
    }
    return err;
}

static void on_roll_back(void *owner)
{
    struct node_step *step = owner;
    struct node *node = step->unit->node;
    step->timer = NULL;
    node_observe_files(node);
    struct error *err =
        step->unit->present ? write_back(step) : error_new(ERROR_NOT_FOUND, "the file is gone");
    // Another writer, or a full disk: again, until the time is over.
    if (err && error_kind(err) != ERROR_NOT_FOUND &&
        clock_ms() - step->begun_ms < node_component_timeout_ms(node)) {
        error_free(err);
        step->timer = loop_sleep(node->loop, node_timing.tick_ms, on_roll_back, step);
        return;
    }
    if (err) {
        node_wait_fail(step, step->reason,
                       str_format("%s; could not be put back: %s", step->message, error_text(err)),
                       false);
        error_free(err);
        return;
    }
    node_observe_files(node);
    node_step_restart(step);
    node_wait_begin(step);
}

static void roll_back(struct node_step *step)
{
    step->kind = NODE_STEP_ROLLBACK;
    step->timer = op_drop(step->timer);
    step->probe = op_drop(step->probe);
    step->child = op_drop(step->child);
    step->log = op_drop(step->log);
    step->begun_ms = clock_ms();
    step->begun_wall_ms = clock_wall_ms();
    step->start_was_ms = 0;
    step->runs = step->down_seen = step->restarted = step->child_done = false;
    step->healthy_from_ms = step->mismatch_from_ms = step->metrics_at_ms = 0;
    step->digest[0] = '\0';
    node_step_phase(step, NODE_ROLLING_BACK);
    node_step_tell(step, LOG_WARN, "rolling back", step->message);
    node_step_ask_log(step);
    step->timer = loop_defer(step->unit->node->loop, on_roll_back, step);
}

void node_step_resume(struct node_unit *unit)
{
    const json_t *edit = doc_get(node_record_peek(unit->node, unit->component), "edit", NULL);
    struct node_step *step = step_new(unit, NODE_STEP_EDIT, doc_str(edit, "revision", NULL),
                                      json_object_get(edit, "expect"));
    mem_free(step->path);
    step->path = str_dup(doc_str(edit, "path", NULL));
    step->begun_wall_ms = doc_int(edit, 0, "startedAt", NULL);
    step->begun_ms = clock_ms();
    step->start_was_ms = 0;
    const struct node_file *file = file_at(unit, step->path);
    memcpy(step->digest, file ? file->digest : "", file ? DOC_DIGEST_BYTES : 1);
    if (json_object_get(edit, "rollback")) {
        step->reason = str_eq(doc_str(edit, "rollback", "reason", NULL), "ComponentCrashed")
                           ? "ComponentCrashed"
                       : str_eq(doc_str(edit, "rollback", "reason", NULL), "ReadBackMismatch")
                           ? "ReadBackMismatch"
                       : str_eq(doc_str(edit, "rollback", "reason", NULL), "KubeletUnguarded")
                           ? "KubeletUnguarded"
                       : str_eq(doc_str(edit, "rollback", "reason", NULL), "FileConflict")
                           ? "FileConflict"
                           : node_step_not_ready(step);
        step->message = str_dup(doc_str(edit, "rollback", "message", NULL));
        roll_back(step);
        return;
    }
    step->resumed = true;
    node_step_tell(step, LOG_INFO, "an edit from before this agent's start is waited for", NULL);
    node_step_restart(step);
    node_wait_begin(step);
}

// --- ends ----------------------------------------------------------------------------------------

static void end_and_save(struct node_step *step)
{
    struct node *node = step->unit->node;
    if (node_site(node)->keep)
        node_site(node)->keep(step);
    guard_stage("before the last word");
    struct error *err = node_journal_save(node);
    bool saved = !err;
    if (err)
        error_ignore(err, "after a restart the step is verified once more");
    guard_stage("last word said");
    // What could not be put back stays armed.
    if (step->unit->component == COMPONENT_KUBELET &&
        (step->kind != NODE_STEP_ROLLBACK || step->digest[0]))
        node_nets_disarm(node);
    // On the disk the journal is the one from before, and may need them.
    if (saved)
        node_backup_sweep(node);
    end_step(step);
}

static void end_rollback(struct node_step *step, const char *how)
{
    struct node_unit *unit = step->unit;
    // What could not be put back is still ours.
    if (!step->digest[0])
        node_step_commit(unit, false);
    json_object_del(node_record(unit->node, unit->component), "edit");
    AUTO_MEM char *message = str_format("%s; %s", step->message ? step->message : "", how);
    node_step_set_failed(unit, step->revision, step->reason, message);
    end_and_save(step);
}

void node_wait_succeed(struct node_step *step)
{
    struct node_unit *unit = step->unit;
    node_step_tell(step, LOG_INFO,
                   step->kind == NODE_STEP_ROLLBACK ? "healthy again after the roll-back"
                                                    : "read back: it runs as requested",
                   NULL);
    if (step->kind == NODE_STEP_ROLLBACK) {
        end_rollback(step, is_as_before(step)
                               ? "the file from before is back and the component is healthy"
                               : "the edit was taken out of the file, other changes to it stay, "
                                 "and the component is healthy");
        return;
    }
    json_object_del(node_record(unit->node, unit->component), "failed");
    if (step->kind == NODE_STEP_EDIT)
        node_step_commit(unit, true);
    node_unit_set(unit, NODE_UP_TO_DATE, NULL, NULL);
    end_and_save(step);
}

void node_wait_fail(struct node_step *step, const char *reason, char *take_message, bool keep)
{
    struct node_unit *unit = step->unit;
    AUTO_MEM char *message = take_message;
    if (step->kind == NODE_STEP_ROLLBACK) {
        AUTO_MEM char *how = str_format("the component is not healthy again yet: %s",
                                        step->last ? step->last : message);
        node_step_tell(step, LOG_WARN, "after the roll-back", how);
        end_rollback(step, how);
        return;
    }
    if (keep || step->kind == NODE_STEP_VERIFY) {
        node_step_tell(step, LOG_WARN, reason, message);
        node_step_commit(unit, false);
        node_step_set_failed(unit, step->revision, reason, message);
        end_and_save(step);
        return;
    }
    // What happens to a file that somebody else has his hands on says nothing about the component.
    step->reason = unit->problem ? "FileConflict" : reason;
    AUTO_MEM char *said =
        unit->problem ? str_format("%s; meanwhile: %s", message, unit->problem) : str_dup(message);
    mem_free(step->message);
    step->message = node_plain(slice_of(said));
    json_t *edit = json_object_get(node_record(unit->node, unit->component), "edit");
    json_object_set_new(edit, "rollback",
                        json_pack("{s:o, s:o}", "reason", doc_string(step->reason), "message",
                                  doc_string(step->message)));
    struct error *err = node_journal_save(unit->node);
    if (err)
        error_ignore(err, "a restart would wait for the component once more, and then roll back");
    guard_stage("rollback journalled");
    roll_back(step);
}

void node_step_foreign(struct node_step *step)
{
    struct node *node = step->unit->node;
    struct node_unit *unit = step->unit;
    node_step_drop(node);
    node_observe_files(node);
    if (unit->present)
        node_unit_probe(unit);
    node_publish(node);
    node_wake(node); // resume_edit() finds bytes that are neither before nor after
}
