// SPDX-License-Identifier: Apache-2.0
// The processes of a kwok cluster, as kwokctl starts them: pids/NAME.pid, logs/NAME.log, a session
// of their own. Nobody looks after them, so that while a step waits we do: kube-controller-manager
// and kube-scheduler end by themselves when the API server is away for longer than their leases.
#include "node_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define PID_FILE_MODE 0640 // as kwokctl's
#define LOOK_MS 50
#define AGAIN_MS 2000 // between two starts of what does not stay

struct restart {
    struct op op; // must be first
    struct node_unit *unit;
    struct op *timer;
    int process; // a pidfd, -1: it is gone
    uint64_t asked_ms;
    bool killed;
};

static struct error *read_pid(const char *path, uint64_t *ret_pid)
{
    struct node_file file = {0};
    struct error *err = node_file_read(path, &file);
    *ret_pid = 0;
    if (err && error_kind(err) == ERROR_NOT_FOUND) {
        error_ignore(err, "a component without a pid file does not run");
        return NULL;
    }
    if (!err && (!slice_to_u64(slice_trim(node_file_slice(&file)), ret_pid) || *ret_pid == 0 ||
                 *ret_pid > INT32_MAX))
        err = error_new(ERROR_INVALID, "%s names no process", path);
    node_file_fini(&file);
    return err;
}

// The process of the component, as a pidfd that no later process of that number can be; -1: none.
// What the pid file names may long be somebody else. An error: nobody can tell.
static struct error *open_process(const struct node_unit *unit, int *ret_process, int64_t *ret_pid)
{
    const json_t *item = json_array_get(unit->tree, 0);
    AUTO_MEM char *path = node_kwok_path(unit, "pids", ".pid");
    uint64_t pid;
    struct error *err = read_pid(path, &pid);
    *ret_process = -1;
    *ret_pid = (int64_t)pid;
    if (err || pid == 0)
        return err;
    int fd = pidfd_open((pid_t)pid, 0);
    if (fd < 0)
        return errno == ESRCH || errno == EINVAL || errno == ENOENT // the last two: a thread
                   ? NULL
                   : error_errno(errno, "look at the process that %s names", path);
    if (node_proc_is(*ret_pid, doc_str(item, "binary", NULL), doc_str(item, "workDir", NULL)))
        *ret_process = fd;
    else
        close(fd);
    return NULL;
}

// argv NULL: whatever its flags.
static struct error *look(const struct node_unit *unit, const json_t *argv, bool *ret_up)
{
    int64_t pid = 0;
    int fd = -1;
    struct error *err = unit->present && !unit->problem ? open_process(unit, &fd, &pid) : NULL;
    if (fd >= 0)
        close(fd);
    *ret_up = fd >= 0 && (!argv || node_proc_has(pid, argv));
    return err;
}

struct error *node_kwok_look(const struct node_unit *unit, bool *ret_up)
{
    return look(unit, NULL, ret_up);
}

static bool is_up(const struct node_unit *unit, const json_t *argv)
{
    bool up;
    struct error *err = look(unit, argv, &up);
    if (err)
        error_ignore(err, "what nobody can tell to run is not counted on");
    return up;
}

bool node_kwok_runs(const struct node_unit *unit)
{
    return is_up(unit, unit->argv);
}

// --- starting ------------------------------------------------------------------------------------

static void add_words(const json_t *list, struct strlist *words)
{
    size_t i;
    json_t *word;
    json_array_foreach(list, i, word)
        strlist_add(words, json_string_value(word));
}

static void add_env(const json_t *list, struct strlist *env)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
        strlist_take(
            env, str_format("%s=%s", doc_str(entry, "name", NULL), doc_str(entry, "value", NULL)));
}

// A process that no pid file names would be in the way of the next one, and nobody's to end.
static struct error *note(const char *path, int64_t pid)
{
    int fd = pidfd_open((pid_t)pid, 0);
    bool gone = fd < 0 && errno == ESRCH;
    AUTO_MEM char *text = str_format("%lld", (long long)pid);
    struct error *err = guard_file_store(path, slice_of(text), PID_FILE_MODE);
    if (err && fd >= 0)
        (void)pidfd_send_signal(fd, SIGKILL, NULL, 0); // it may have ended by itself
    else if (err && !gone)
        (void)kill((pid_t)pid, SIGKILL);
    if (fd >= 0)
        close(fd);
    return error_wrap(err, "it was ended again, for its process cannot be noted in %s", path);
}

static struct error *start(const struct node_unit *unit)
{
    const json_t *item = json_array_get(unit->tree, 0);
    AUTO_STRLIST struct strlist words = {0};
    AUTO_STRLIST struct strlist env = {0};
    AUTO_MEM char *log = node_kwok_path(unit, "logs", ".log");
    AUTO_MEM char *path = node_kwok_path(unit, "pids", ".pid");
    const char *program = doc_str(item, "binary", NULL);
    int64_t pid;
    strlist_add(&words, program);
    add_words(json_object_get(item, "args"), &words);
    add_env(json_object_get(item, "envs"), &env);
    struct loop_detached_spec spec = {
        .program = program,
        .argv = (const char *const *)words.items,
        .env = env.len > 0 ? (const char *const *)env.items : NULL,
        .dir = doc_str(item, "workDir", NULL),
        .output = log,
    };
    struct error *err = loop_detach(&spec, &pid);
    return err ? err : note(path, pid);
}

static void note_start(struct node_unit *unit, struct error *take_err)
{
    struct node_kwok *kwok = &unit->node->kwok;
    log_line(take_err ? LOG_WARN : LOG_INFO, "node", "%s was %sstarted%s%s",
             component_name(unit->component), take_err ? "not " : "", take_err ? ": " : "",
             take_err ? error_text(take_err) : "");
    mem_free(TAKE(kwok->failures[unit->component]));
    kwok->started_ms[unit->component] = clock_ms();
    if (take_err)
        kwok->failures[unit->component] = node_take_text(take_err);
}

static void start_unit(struct node_unit *unit)
{
    bool up = false;
    struct error *err =
        unit->problem ? error_new(ERROR_INVALID, "%s", unit->problem) : node_kwok_look(unit, &up);
    if (!up) // else kwokctl was quicker
        note_start(unit, err ? err : start(unit));
}

// --- ending --------------------------------------------------------------------------------------

static void on_drop(struct op *op)
{
    struct restart *restart = (struct restart *)op;
    restart->timer = op_drop(restart->timer);
    if (restart->process >= 0)
        close(restart->process);
    mem_free(restart);
}

static bool has_ended(const struct restart *restart)
{
    struct pollfd look = {.fd = restart->process, .events = POLLIN};
    return restart->process < 0 || (poll(&look, 1, 0) == 1 && look.revents & POLLIN);
}

static void on_look(void *owner)
{
    struct restart *restart = owner;
    struct node_unit *unit = restart->unit;
    restart->timer = NULL;
    if (has_ended(restart)) {
        unit->node->kwok.restarts[unit->component] = NULL;
        on_drop(&restart->op);
        if (unit->present)
            start_unit(unit);
        return;
    }
    if (!restart->killed && clock_ms() - restart->asked_ms >= node_timing.grace_ms) {
        restart->killed = true;
        (void)pidfd_send_signal(restart->process, SIGKILL, NULL, 0); // it may just have ended
    }
    restart->timer = loop_sleep(unit->node->loop, LOOK_MS, on_look, restart);
}

// On the way back what ran when the edit began may have ended meanwhile.
static void note_kept(const struct node_step *step)
{
    struct node *node = step->unit->node;
    unsigned before = step->kind == NODE_STEP_ROLLBACK ? node->kwok.kept : 0;
    node->kwok.kept = before | 1U << step->unit->component;
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++)
        node->kwok.kept |= is_up(&node->units[c], NULL) ? 1U << c : 0;
}

static void begin(struct node_unit *unit)
{
    int64_t pid;
    int process;
    struct error *err = open_process(unit, &process, &pid);
    if (err) {
        note_start(unit, err);
        return;
    }
    struct restart *restart = NEW(struct restart);
    restart->op.drop = on_drop;
    restart->unit = unit;
    restart->process = process;
    restart->asked_ms = clock_ms();
    if (restart->process >= 0)
        (void)pidfd_send_signal(restart->process, SIGTERM, NULL, 0); // likewise
    restart->timer = loop_defer(unit->node->loop, on_look, restart);
    unit->node->kwok.restarts[unit->component] = &restart->op;
}

// --- for a step ----------------------------------------------------------------------------------

static void on_waited(void *owner)
{
    struct node_step *step = owner;
    struct node *node = step->unit->node;
    enum component component = step->unit->component;
    step->child = NULL;
    if (node->kwok.restarts[component]) {
        step->child = loop_sleep(node->loop, LOOK_MS, on_waited, step);
        return;
    }
    step->child_done = true;
    if (node->kwok.failures[component] && step->kind != NODE_STEP_ROLLBACK)
        node_wait_fail(step, "ComponentNotReady",
                       str_format("%s could not be started: %s", component_name(component),
                                  node->kwok.failures[component]),
                       false);
}

void node_kwok_restart(struct node_step *step)
{
    struct node_unit *unit = step->unit;
    struct node *node = unit->node;
    step->child = op_drop(step->child);
    step->child_done = false;
    note_kept(step);
    mem_free(TAKE(node->kwok.failures[unit->component]));
    // An earlier life of ours may have started it already.
    if (!node->kwok.restarts[unit->component] && unit->present && !unit->problem &&
        !node_kwok_runs(unit))
        begin(unit);
    step->child = loop_defer(node->loop, on_waited, step);
}

// Without an API server the others end again.
static bool may_start(const struct node_step *step, const struct node_unit *unit)
{
    const struct node *node = unit->node;
    enum component component = unit->component;
    bool soon = clock_ms() - node->kwok.started_ms[component] < AGAIN_MS;
    return node->kwok.kept & 1U << component && !node->kwok.restarts[component] && !soon &&
           (step->unit == unit || node->units[COMPONENT_APISERVER].healthy);
}

void node_kwok_keep(const struct node_step *step)
{
    struct node *node = step->unit->node;
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++) {
        struct node_unit *unit = &node->units[c];
        if (may_start(step, unit) && unit->present && !unit->problem && !is_up(unit, NULL))
            start_unit(unit);
    }
}

void node_kwok_fini(struct node *node)
{
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++) {
        node->kwok.restarts[c] = op_drop(node->kwok.restarts[c]);
        mem_free(TAKE(node->kwok.failures[c]));
    }
}
