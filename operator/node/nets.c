// SPDX-License-Identifier: Apache-2.0
// The nets under an edit of the kubelet's file, for when we are not there to take it back: the
// guard's record and its drop-in, which count failed starts on the node itself, and a timer of the
// service manager. Both are armed before the file is touched, and disarmed when the journal has the
// last word about the edit.
#include "node_internal.h"

#include <string.h>
#include <unistd.h>

#define STARTS_MAX 3
#define TIMER_MARGIN_S 30 // the agent's own way back comes first
#define CHILD_MS 60000
#define GRACE_MS 5000

static char *guard_dir(const struct node *node)
{
    return str_format("%s/guard", node->spec.paths.state_dir);
}

const char *node_kubelet_unit(const struct node_paths *paths)
{
    return paths->kubelet_unit ? paths->kubelet_unit : "kubelet";
}

static char *unit_dir_of(const struct node_paths *paths)
{
    return paths->kubelet_unit_dir
               ? str_dup(paths->kubelet_unit_dir)
               : str_format("/etc/systemd/system/%s.service.d", node_kubelet_unit(paths));
}

bool node_nets_wanted(const struct node *node)
{
    return node->spec.paths.guard_program != NULL;
}

struct op *node_host_run(struct loop *loop, const struct node_paths *paths,
                         const char *const *words, size_t output_bytes_max, loop_child_fn *fn,
                         void *owner)
{
    AUTO_STRLIST struct strlist argv = {0};
    for (const char *const *word = paths->enter_host; word && *word; word++)
        strlist_add(&argv, *word);
    for (; *words; words++)
        strlist_add(&argv, *words);
    struct loop_child_spec spec = {
        .argv = (const char *const *)argv.items,
        .output_bytes_max = output_bytes_max,
        .timeout_ms = CHILD_MS,
        .grace_ms = GRACE_MS,
    };
    return loop_child_run(loop, &spec, fn, owner);
}

// --- arming --------------------------------------------------------------------------------------

char *node_nets_id(void)
{
    return str_format("%016llx", (unsigned long long)rand_u64());
}

static struct error *unguarded(struct error *take_err)
{
    if (!take_err)
        return NULL;
    struct error *err = error_wrap(take_err, "the kubelet's way back could not be prepared");
    error_set_reason(err, "KubeletUnguarded");
    return err;
}

static struct error *write_record(struct node_step *step, const char *id, const char *path,
                                  struct slice before)
{
    struct node *node = step->unit->node;
    AUTO_MEM char *dir = guard_dir(node);
    AUTO_MEM char *record_path = str_dup(path);
    struct guard_record record = {
        .path = record_path,
        .starts_max = STARTS_MAX,
        .mode = 0644,
        .before_there = before.len > 0,
        .after_there = step->edit.text[0] != '\0',
        .before = before,
        .after = slice_of(step->edit.text),
    };
    if (strlen(id) + 1 != GUARD_ID_BYTES)
        return error_new(ERROR_INTERNAL, "\"%s\" is no name of an edit", id);
    memcpy(record.id, id, GUARD_ID_BYTES);
    struct error *err = guard_install(dir, node->spec.paths.guard_program);
    return err ? err : guard_arm(dir, &record);
}

struct error *node_nets_record(struct node_step *step)
{
    struct node *node = step->unit->node;
    const json_t *edit = doc_get(node_record_peek(node, step->unit->component), "edit", NULL);
    struct node_file before = {0};
    struct error *err = node_backup_read(node, doc_str(edit, "before", NULL), &before);
    if (!err)
        err = write_record(step, doc_str(edit, "guard", NULL),
                           node_host_path(node, doc_str(edit, "path", NULL)),
                           node_file_slice(&before));
    node_file_fini(&before);
    guard_stage("nets recorded");
    return unguarded(err);
}

struct op *node_nets_arm(struct node_step *step, loop_child_fn *fn)
{
    struct node *node = step->unit->node;
    const json_t *edit = doc_get(node_record_peek(node, step->unit->component), "edit", NULL);
    AUTO_MEM char *dir = guard_dir(node);
    AUTO_MEM char *program = str_format("%s/" GUARD_PROGRAM, dir);
    AUTO_MEM char *seconds = str_format(
        "%llu", (unsigned long long)(node_component_timeout_ms(node) / 1000 + TIMER_MARGIN_S));
    AUTO_MEM char *unit_dir = unit_dir_of(&node->spec.paths);
    const char *const words[] = {program,  "arm",
                                 dir,      doc_str(edit, "guard", NULL),
                                 seconds,  node_kubelet_unit(&node->spec.paths),
                                 unit_dir, NULL};
    return node_host_run(node->loop, &node->spec.paths, words, 4096, fn, step);
}

struct error *node_nets_armed(struct error *take_err, const struct loop_child_result *result)
{
    if (take_err)
        return unguarded(take_err);
    if (result->exit_code == 0)
        return NULL;
    AUTO_MEM char *said = node_plain(slice_trim(result->errors));
    return unguarded(result->timed_out ? error_new(ERROR_TRANSIENT, "the guard did not end in time")
                                       : error_new(ERROR_TRANSIENT, "the guard exited with %d: %s",
                                                   result->exit_code, said));
}

bool node_nets_started(const struct node *node, const json_t *edit)
{
    AUTO_MEM char *dir = guard_dir(node);
    struct guard_state state;
    struct error *err = guard_look(dir, &state);
    if (err)
        error_ignore(err, "a kubelet of which nothing is known is restarted");
    return !err && state.counted && state.starts.starts > 0 &&
           str_eq(state.starts.id, doc_str(edit, "guard", NULL));
}

// --- disarming -----------------------------------------------------------------------------------

static void on_disarmed(void *owner, struct error *take_err, const struct loop_child_result *result)
{
    struct node *node = owner;
    node->disarm = NULL;
    if (take_err)
        error_ignore(take_err, "a timer whose edit is no longer armed does nothing");
    else if (result->exit_code != 0)
        log_line(LOG_DEBUG, "node", "the timer was not there any more");
}

void node_nets_disarm(struct node *node)
{
    AUTO_MEM char *dir = guard_dir(node);
    struct guard_state state;
    struct error *err = guard_look(dir, &state);
    if (err)
        error_ignore(err, "what is damaged is disarmed too");
    else if (!state.armed && !state.judged)
        return;
    if ((err = guard_disarm(dir))) {
        log_line(LOG_WARN, "node", "the guard of the kubelet is still armed: %s", error_text(err));
        error_free(err);
        return;
    }
    guard_stage("disarmed");
    // the guard lays the record down itself
    const char *id = state.armed ? state.id : state.verdict.id;
    if ((!state.armed && !state.judged) || !node_nets_wanted(node))
        return;
    AUTO_MEM char *timer = str_format("%s-%s.timer", GUARD_PROGRAM, id);
    const char *const words[] = {"systemctl", "stop", timer, NULL};
    node->disarm = op_drop(node->disarm);
    node->disarm = node_host_run(node->loop, &node->spec.paths, words, 1024, on_disarmed, node);
}

struct op *node_remove_guard(struct loop *loop, const struct node_paths *paths, loop_child_fn *fn,
                             void *owner)
{
    AUTO_MEM char *dir = str_format("%s/guard", paths->state_dir);
    AUTO_MEM char *program = str_format("%s/" GUARD_PROGRAM, dir);
    AUTO_MEM char *unit_dir = unit_dir_of(paths);
    const char *const words[] = {program, "remove", dir, unit_dir, NULL};
    if (access(program, F_OK) < 0)
        return NULL;
    return node_host_run(loop, paths, words, 4096, fn, owner);
}

// The directories that the guard writes in too, while it does not.
static void sweep_dirs(const struct node *node, const char *dir)
{
    AUTO_GUARD_LOCK int lock = -1;
    struct error *err = access(dir, F_OK) < 0 ? NULL : guard_lock(dir, &lock);
    if (err) {
        error_ignore(err, "what is left behind is swept by the next agent");
        return;
    }
    if (lock >= 0)
        node_dir_sweep(dir);
    if (node->kubelet_config) {
        AUTO_MEM char *beside = guard_dir_of(node->kubelet_config);
        node_dir_sweep(beside);
    }
    if (node->drop_in_dir)
        node_dir_sweep(node->drop_in_dir);
}

void node_nets_sweep(struct node *node)
{
    AUTO_MEM char *dir = guard_dir(node);
    const json_t *record = node_record_peek(node, COMPONENT_KUBELET);
    struct guard_state state;
    sweep_dirs(node, dir);
    struct error *err = guard_look(dir, &state);
    if (err)
        error_ignore(err, "the next edit writes a new record");
    const char *ours = doc_str(record, "edit", "guard", NULL);
    bool known = ours[0] && (!state.armed || str_eq(state.id, ours)) &&
                 (!state.judged || str_eq(state.verdict.id, ours));
    // What could not be put back stays armed: the guard may be luckier.
    if (!known && !doc_get(record, "failed", NULL))
        node_nets_disarm(node);
}

// --- the verdict ---------------------------------------------------------------------------------

char *node_nets_verdict(const struct node *node, const json_t *edit)
{
    AUTO_MEM char *dir = guard_dir(node);
    struct guard_state state;
    struct error *err = guard_look(dir, &state);
    if (err)
        error_ignore(err, "a damaged record puts nothing back");
    if (!state.judged || !str_eq(state.verdict.id, doc_str(edit, "guard", NULL)))
        return NULL;
    return state.verdict.by == GUARD_BY_TIMER
               ? str_dup(
                     "nobody on the node vouched for the kubelet in time, and the timer put its "
                     "file back")
               : str_format(
                     "the kubelet was started %u times with the edited file and did not last, "
                     "and the guard on the node put it back",
                     state.verdict.starts);
}
