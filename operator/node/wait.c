// SPDX-License-Identifier: Apache-2.0
// What a step does while it waits: a look every tick, at the process list, the logs, the health
// endpoint and /metrics, each where it tells the truth first; and the judgement when enough was
// seen, or nothing came in time.
#include "node_internal.h"

static void on_tick(void *owner);

static void tick_later(struct node_step *step)
{
    step->timer = op_drop(step->timer);
    step->timer = loop_sleep(step->unit->node->loop, node_timing.tick_ms, on_tick, step);
}

static void remember(struct node_step *step, const char *what)
{
    mem_free(step->last);
    step->last = str_dup(what);
}

// True once this lasts for as long as patience goes. *from_ms remembers since when.
static bool lasts(uint64_t *from_ms, bool now)
{
    if (!now)
        *from_ms = 0;
    else if (*from_ms == 0)
        *from_ms = clock_ms();
    return now && clock_ms() - *from_ms >= node_timing.patience_ms;
}

// --- the kubelet's restart -----------------------------------------------------------------------

static void note_restart(struct node *node)
{
    json_object_set_new(node->journal, "kubeletRestartedAt",
                        json_integer((json_int_t)clock_wall_ms()));
}

static void on_restarted(void *owner, struct error *take_err,
                         const struct loop_child_result *result)
{
    struct node_step *step = owner;
    AUTO(error) struct error *err = take_err;
    step->child = NULL;
    note_restart(step->unit->node);
    if (!err && result->exit_code == 0) {
        step->child_done = true;
        return;
    }
    AUTO_MEM char *said =
        err ? node_plain(slice_of(error_text(err))) : node_plain(slice_trim(result->errors));
    AUTO_MEM char *how = err                 ? str_dup("could not be run")
                         : result->timed_out ? str_dup("did not end in time")
                                             : str_format("exited with %d", result->exit_code);
    char *message = str_format("the command that restarts the kubelet %s: %s", how, said);
    remember(step, message);
    if (step->kind == NODE_STEP_ROLLBACK)
        mem_free(message);
    else
        node_wait_fail(step, "KubeletNotReady", message, false);
}

// After a restart of ours nobody knows what became of the timer.
static void on_armed_again(void *owner, struct error *take_err,
                           const struct loop_child_result *result)
{
    struct node_step *step = owner;
    AUTO(error) struct error *err = node_nets_armed(take_err, result);
    step->child = NULL;
    step->armed = true;
    if (err)
        node_wait_fail(step, "KubeletUnguarded", str_dup(error_text(err)), false);
    else
        node_step_restart_kubelet(step);
}

static bool is_to_be_armed(const struct node_step *step)
{
    const json_t *edit =
        doc_get(node_record_peek(step->unit->node, COMPONENT_KUBELET), "edit", NULL);
    return step->kind == NODE_STEP_EDIT && !step->armed && node_nets_wanted(step->unit->node) &&
           doc_str(edit, "guard", NULL)[0];
}

// An earlier life of ours did it. Once more would count as one more start that did not last, and
// the guard would take our own deaths for the kubelet's.
static bool was_restarted(const struct node_step *step)
{
    const json_t *edit =
        doc_get(node_record_peek(step->unit->node, COMPONENT_KUBELET), "edit", NULL);
    return step->kind == NODE_STEP_EDIT && step->resumed && node_nets_wanted(step->unit->node) &&
           node_nets_started(step->unit->node, edit);
}

void node_step_restart_kubelet(struct node_step *step)
{
    struct node *node = step->unit->node;
    if (!node->spec.paths.restart_kubelet) {
        step->child_done = true;
        return;
    }
    if (is_to_be_armed(step)) {
        step->child = op_drop(step->child);
        step->child = node_nets_arm(step, on_armed_again);
        return;
    }
    if (was_restarted(step)) {
        step->child_done = true;
        return;
    }
    struct loop_child_spec spec = {
        .argv = node->spec.paths.restart_kubelet,
        .output_bytes_max = 4096,
        .timeout_ms = 60000,
        .grace_ms = 5000,
    };
    note_restart(node);
    struct error *err = node_journal_save(node);
    if (err)
        error_ignore(err, "only a crash within the next seconds would forget this restart");
    node_step_tell(step, LOG_INFO, "the kubelet is restarted", NULL);
    step->child_done = false;
    step->child = op_drop(step->child);
    step->child = loop_child_run(node->loop, &spec, on_restarted, step);
}

// --- judgement -----------------------------------------------------------------------------------

// Whether what answers is the process that was started after the edit.
static bool is_restarted(struct node_step *step, const struct node_answer *answer)
{
    if (step->kind == NODE_STEP_VERIFY && !node_unit_restarts(step->unit))
        return true;
    if (node_unit_restarts(step->unit) && step->child)
        return false;
    // process_start_time_seconds is computed from the boot time, which has whole seconds only.
    if (answer->metrics_read && answer->start_ms > 0 && step->kind == NODE_STEP_EDIT)
        return answer->start_ms + 1500 >= step->begun_wall_ms &&
               answer->start_ms > step->start_was_ms;
    return step->runs || step->child_done || step->down_seen || step->kind == NODE_STEP_VERIFY;
}

static void judge_rollback(struct node_step *step)
{
    bool healthy = step->unit->healthy && !step->child;
    bool long_healthy = lasts(&step->healthy_from_ms, healthy);
    // The old process may never have been stopped: then only time can tell that it stays.
    if (healthy && (step->restarted || long_healthy))
        node_wait_succeed(step);
    else
        tick_later(step);
}

static bool file_is_ours(const struct node_step *step)
{
    if (!step->path[0] || !step->digest[0])
        return true;
    struct node_file now = {0};
    const struct node_unit *unit = step->unit;
    struct error *err = node_site(unit->node)->read(step->path, unit->component, &now);
    bool same = !err && str_eq(now.digest, step->digest);
    if (err)
        error_ignore(err, "a file that cannot be read is no longer ours");
    node_file_fini(&now);
    return same;
}

static void judge_read_back(struct node_step *step)
{
    struct node_unit *unit = step->unit;
    AUTO_MEM char *what = NULL;
    int verdict = node_unit_verify(unit, step->expect, &what);
    bool unread = lasts(&step->healthy_from_ms, !unit->metrics_read);
    bool wrong = lasts(&step->mismatch_from_ms, verdict < 0);
    remember(step, what ? what : unit->answer ? unit->answer : "");
    // A kubelet reads its file when it starts; that it did is all there is to see without /metrics.
    bool kubelet_did =
        unit->component == COMPONENT_KUBELET && step->child_done && unit->metrics_denied && unread;
    // What answers well may already be the file from before: the nets, or somebody else, were
    // quicker.
    if (!file_is_ours(step))
        node_step_foreign(step);
    else if ((verdict > 0 && (unit->metrics_read || unread)) || kubelet_did)
        node_wait_succeed(step);
    else if (wrong && step->kind == NODE_STEP_EDIT)
        node_wait_fail(step, "ReadBackMismatch",
                       str_format("%s runs with other feature gates than its flags say: %s",
                                  component_name(unit->component), what),
                       false);
    else
        tick_later(step);
}

static void on_answer(void *owner, const struct node_answer *answer)
{
    struct node_step *step = owner;
    struct node_unit *unit = step->unit;
    step->probe = NULL;
    node_unit_take_answer(unit, answer);
    step->down_seen = step->down_seen || !answer->healthy;
    step->restarted = is_restarted(step, answer);
    if (answer->metrics_read)
        step->metrics_at_ms = clock_ms();
    node_publish(unit->node);
    if (step->kind == NODE_STEP_ROLLBACK) {
        remember(step, answer->message);
        judge_rollback(step);
        return;
    }
    if (!answer->healthy || !step->restarted) {
        bool runs = step->runs || step->child_done || (answer->healthy && step->restarted);
        node_step_phase(step, runs ? NODE_WAITING_FOR_READY : NODE_WAITING_FOR_RESTART);
        remember(step, answer->healthy ? "the process from before still answers" : answer->message);
        if (!answer->healthy && !step->child)
            node_step_ask_log(step);
        tick_later(step);
        return;
    }
    node_step_phase(step, NODE_READING_BACK);
    if (!step->asked_metrics)
        tick_later(step);
    else
        judge_read_back(step);
}

// --- looks ---------------------------------------------------------------------------------------

static void out_of_time(struct node_step *step)
{
    const struct node_unit *unit = step->unit;
    unsigned seconds = (unsigned)(node_component_timeout_ms(unit->node) / 1000);
    const char *name = component_name(unit->component), *last = step->last ? step->last : "";
    if (!unit->healthy)
        node_wait_fail(step, node_step_not_ready(step),
                       str_format("%s did not become ready within %u s: %s", name, seconds, last),
                       false);
    else if (!step->restarted)
        node_wait_fail(step, node_step_not_ready(step),
                       str_format("%s did not restart within %u s: %s", name, seconds, last),
                       false);
    else if (unit->metrics_read)
        node_wait_fail(step, "ReadBackMismatch",
                       str_format("%s runs with other feature gates than wanted: %s", name, last),
                       false);
    else
        node_wait_fail(
            step, "MetricsUnavailable",
            str_format("%s is healthy, but what it runs with could not be read within %u s: %s",
                       name, seconds, last),
            true);
}

// True: the step came to an end, or to its way back.
static bool look_around(struct node_step *step)
{
    struct node_unit *unit = step->unit;
    if (!file_is_ours(step)) {
        node_step_foreign(step);
        return true;
    }
    const struct node_site *site = node_site(unit->node);
    step->runs = unit->component != COMPONENT_KUBELET && site->runs(unit);
    if (step->kind == NODE_STEP_EDIT && !step->runs && !unit->healthy && !step->child) {
        AUTO_MEM char *line = node_logs_refusal(unit, step->marks, step->begun_wall_ms);
        if (line) {
            node_wait_fail(
                step, "ComponentCrashed",
                str_format("%s refuses its flags: %s", component_name(unit->component), line),
                false);
            return true;
        }
    }
    if (site->keep)
        site->keep(step);
    if (clock_ms() - step->begun_ms < node_component_timeout_ms(unit->node))
        return false;
    out_of_time(step);
    return true;
}

static void on_tick(void *owner)
{
    struct node_step *step = owner;
    step->timer = NULL;
    if (look_around(step))
        return;
    // /metrics is long: only when there is something to read back, or now and then.
    bool due = clock_ms() - step->metrics_at_ms >= node_timing.metrics_ms;
    step->asked_metrics = due || step->runs || step->down_seen || step->child_done ||
                          step->phase == NODE_READING_BACK;
    step->probe = op_drop(step->probe);
    step->probe = node_probe(step->unit, step->asked_metrics, on_answer, step);
}

void node_wait_begin(struct node_step *step)
{
    if (step->begun_ms == 0) {
        step->begun_ms = clock_ms();
        step->begun_wall_ms = clock_wall_ms();
    }
    if (!step->marks)
        step->marks = json_object();
    step->metrics_at_ms = clock_ms();
    if (step->kind == NODE_STEP_EDIT)
        node_step_phase(step, NODE_WAITING_FOR_RESTART);
    else if (step->kind == NODE_STEP_VERIFY)
        node_step_phase(step, NODE_READING_BACK);
    tick_later(step);
}
