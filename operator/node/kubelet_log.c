// SPDX-License-Identifier: Apache-2.0
// Why a kubelet does not come back, in its own words. It has no pod whose log lies in a directory:
// the host's journal is asked. Its last line says nothing (a kubelet that panics ends with a
// stack): the refusal is searched for.
#include "node_internal.h"

#include <string.h>

#define OUTPUT_BYTES_MAX ((size_t)256 << 10)

static void on_log(void *owner, struct error *take_err, const struct loop_child_result *result)
{
    struct node_step *step = owner;
    AUTO(error) struct error *err = take_err;
    step->log = NULL;
    AUTO_MEM char *line =
        err ? NULL : node_logs_search(result->output, step->log_since_ms, step->pid_was);
    if (!line)
        return;
    if (step->kind == NODE_STEP_ROLLBACK) {
        if (step->message && strstr(step->message, line))
            return;
        char *message = str_format("%s; its log: %s", step->message ? step->message : "", line);
        mem_free(step->message);
        step->message = message;
        return;
    }
    node_wait_fail(step, "ComponentCrashed",
                   str_format("kubelet refuses its configuration: %s", line), false);
}

void node_step_ask_log(struct node_step *step)
{
    struct node *node = step->unit->node;
    const char *const *command = node->spec.paths.kubelet_log;
    bool just_asked = step->log_at_ms != 0 && clock_ms() - step->log_at_ms < node_timing.retry_ms;
    if (!command || step->unit->component != COMPONENT_KUBELET || step->kind == NODE_STEP_VERIFY ||
        step->log || just_asked)
        return;
    const json_t *edit = doc_get(node_record_peek(node, COMPONENT_KUBELET), "edit", NULL);
    int64_t since_ms = step->kind == NODE_STEP_ROLLBACK ? doc_int(edit, 0, "startedAt", NULL)
                                                        : step->begun_wall_ms;
    AUTO_STRLIST struct strlist words = {0};
    for (; *command; command++)
        strlist_add(&words, *command);
    step->log_since_ms = since_ms;
    strlist_take(&words, str_format("--since=@%lld", (long long)(since_ms / 1000)));
    step->log_at_ms = clock_ms();
    step->log = node_host_run(node->loop, &node->spec.paths, (const char *const *)words.items,
                              OUTPUT_BYTES_MAX, on_log, step);
}
