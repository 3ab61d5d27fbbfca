// SPDX-License-Identifier: Apache-2.0
// Child processes: each leads a process group of its own, says at most so much, runs at most so
// long, and is reaped also when nobody is interested any more.
#include "loop_internal.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// How long somebody may hold the pipes after the child itself has ended (a daemon it left behind).
enum { DRAIN_MS = 250 };

struct child {
    struct op op;
    struct loop *loop;
    uv_process_t process;
    uv_pipe_t input, output, errors;
    uv_write_t write;
    bool spawned, exited; // running: spawned and not exited
    bool dropped;         // nobody listens
    bool foreground;      // in our own process group
    unsigned handles;     // open or closing; the memory goes with the last
    unsigned reading;     // pipes that have not ended
    char *input_bytes;
    struct buf output_buf, errors_buf;
    uint64_t grace_ms;
    struct op *timer; // time-out, then grace, then drain; or the deferred bad news
    struct error *start_error;
    struct loop_child_result result;
    loop_child_fn *fn;
    void *owner;
};

static void on_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    if (--child->handles > 0)
        return;
    buf_fini(&child->output_buf);
    buf_fini(&child->errors_buf);
    mem_free(child->input_bytes);
    error_free(child->start_error);
    mem_free(child);
}

static void close_once(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void close_pipes(struct child *child)
{
    close_once(&child->input);
    close_once(&child->output);
    close_once(&child->errors);
}

static void let_go(struct child *child)
{
    child->timer = op_drop(child->timer);
    child->loop->live--;
    close_pipes(child);
}

static void kill_group(const struct child *child, int signum)
{
    if (child->spawned && !child->exited)
        kill(child->foreground ? child->process.pid : -child->process.pid, signum);
}

static void on_drop(struct op *op)
{
    struct child *child = (struct child *)op;
    kill_group(child, SIGKILL);
    child->dropped = true;
    let_go(child);
    if (!child->spawned || child->exited)
        close_once(&child->process);
}

static void finish(struct child *child)
{
    child->dropped = true;
    let_go(child);
    close_once(&child->process);
    child->result.output = buf_slice(&child->output_buf);
    child->result.errors = buf_slice(&child->errors_buf);
    // the close callbacks come later: the bytes are still there
    child->fn(child->owner, NULL, &child->result);
}

static void finish_if_over(struct child *child)
{
    if (!child->dropped && child->exited && child->reading == 0)
        finish(child);
}

static void on_drained(void *owner)
{
    struct child *child = owner;
    child->timer = NULL;
    finish(child);
}

// What children used of the processors that were waited for since the last look: of one alone, as
// each that ends is looked at.
static uint64_t processor_ms(struct loop *loop)
{
    struct rusage used;
    uint64_t before = loop->processor_ms;

    if (getrusage(RUSAGE_CHILDREN, &used) != 0)
        return 0;
    loop->processor_ms = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                         (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
    return loop->processor_ms - before;
}

// The kernel counts whole ticks of its clock for the limit, and exactly for what it says
// afterwards: a tenth less, on a busy machine. A shell around a program tells the program's signal
// as 128 and more.
bool loop_child_is_over(const struct loop_child_result *result, uint64_t processor_s_max)
{
    bool killed = result->signum == SIGKILL || result->exit_code == 128 + SIGKILL;

    return killed && !result->timed_out && processor_s_max > 0 &&
           result->processor_ms >= processor_s_max * 500;
}

static void on_exit_of(uv_process_t *process, int64_t status, int signum)
{
    struct child *child = process->data;
    child->result.processor_ms = processor_ms(child->loop);
    child->exited = true;
    if (child->dropped) {
        close_once(process);
        return;
    }
    child->result.exit_code = signum ? -1 : (int)status;
    child->result.signum = signum;
    op_drop(child->timer);
    child->timer = loop_sleep(child->loop, DRAIN_MS, on_drained, child);
    finish_if_over(child);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
    struct child *child = stream->data;
    struct buf *b = loop_handle(stream) == loop_handle(&child->output) ? &child->output_buf
                                                                       : &child->errors_buf;
    if (count > 0) {
        size_t left = b->max - b->len, len = (size_t)count;
        buf_add(b, bytes->base, len < left ? len : left);
    } else if (count < 0) {
        uv_read_stop(stream);
        child->reading--;
        finish_if_over(child);
    }
}

static void on_written(uv_write_t *write, int status)
{
    (void)status; // a child that does not read its input says so by how it ends
    struct child *child = write->data;
    close_once(&child->input);
}

static void on_killed(void *owner)
{
    struct child *child = owner;
    child->timer = NULL;
    kill_group(child, SIGKILL);
}

static void on_timeout(void *owner)
{
    struct child *child = owner;
    child->result.timed_out = true;
    kill_group(child, SIGTERM);
    child->timer = loop_sleep(child->loop, child->grace_ms, on_killed, child);
}

void loop_child_end(struct op *op)
{
    struct child *child = (struct child *)op;

    ASSERT(op->drop == on_drop);
    if (!child->spawned || child->exited)
        return; // how it ended is on its way
    kill_group(child, SIGTERM);
    op_drop(child->timer);
    child->timer = loop_sleep(child->loop, child->grace_ms, on_killed, child);
}

static void on_not_started(void *owner)
{
    struct child *child = owner;
    child->timer = NULL;
    child->dropped = true;
    struct error *err = TAKE(child->start_error);
    loop_child_fn *fn = child->fn;
    void *told = child->owner;
    let_go(child);
    close_once(&child->process);
    fn(told, err, NULL);
}

static void init_pipe(struct child *child, uv_pipe_t *pipe)
{
    uv_pipe_init(&child->loop->uv, pipe, 0);
    pipe->data = child;
    child->handles++;
}

static struct child *make(struct loop *loop, const struct loop_child_spec *spec, loop_child_fn *fn,
                          void *owner)
{
    struct child *child = NEW(struct child);
    child->op.drop = on_drop;
    child->loop = loop;
    child->fn = fn;
    child->owner = owner;
    child->grace_ms = spec->grace_ms;
    child->foreground = spec->foreground;
    child->output_buf = buf_make(spec->output_bytes_max);
    child->errors_buf = buf_make(spec->output_bytes_max);
    init_pipe(child, &child->input);
    init_pipe(child, &child->output);
    init_pipe(child, &child->errors);
    child->handles++; // the process, which uv_spawn() initialises also when it fails
    child->loop->live++;
    return child;
}

char *loop_program(const char *name, const char *variable)
{
    const char *given = getenv(variable);
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (given && *given)
        return str_dup(given);
    if (len < 0)
        return str_dup(name);
    self[len] = '\0';
    slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    return str_format("%s/%s", self, name);
}

static void add_limit(struct strlist *words, const char *name, uint64_t value)
{
    if (value)
        strlist_take(words, str_format("%s=%llu", name, (unsigned long long)value));
}

static void add_paths(struct strlist *words, const char *name, const char *const *paths)
{
    for (; paths && *paths; paths++)
        strlist_take(words, str_format("%s=%s", name, *paths));
}

static void confine(const struct loop_child_spec *spec, struct strlist *words)
{
    const struct loop_confine *confine = spec->confine;

    strlist_take(words, loop_program("drawbridge-confine", "DRAWBRIDGE_CONFINE"));
    add_limit(words, "data", confine->data_bytes_max);
    add_limit(words, "file", confine->file_bytes_max);
    add_limit(words, "cpu", confine->processor_s_max);
    add_limit(words, "processes", confine->processes_max);
    add_paths(words, "read", confine->readable);
    add_paths(words, "write", confine->writable);
    strlist_add(words, "--");
    for (const char *const *word = spec->argv; *word; word++)
        strlist_add(words, *word);
}

static struct error *spawn(struct child *child, const struct loop_child_spec *spec)
{
    AUTO_STRLIST struct strlist confined = {0};
    union { // libuv only reads them
        const char *const *given;
        char **wanted;
    } argv = {.given = spec->argv}, env = {.given = spec->env};
    uv_stdio_container_t stdio[3] = {
        {.flags = spec->input.len ? UV_CREATE_PIPE | UV_READABLE_PIPE : UV_IGNORE,
         .data.stream = (uv_stream_t *)&child->input},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&child->output},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&child->errors},
    };
    if (spec->reads_terminal)
        stdio[0] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = STDIN_FILENO};
    if (spec->foreground)
        stdio[2] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO};
    if (spec->confine) {
        confine(spec, &confined);
        argv.given = (const char *const *)confined.items;
    }
    uv_process_options_t options = {
        .exit_cb = on_exit_of,
        .file = argv.given[0],
        .args = argv.wanted,
        .env = env.wanted,
        // a session, and so a process group, of its own
        .flags = spec->foreground ? 0 : UV_PROCESS_DETACHED,
        .stdio_count = 3,
        .stdio = stdio,
    };
    int status = uv_spawn(&child->loop->uv, &child->process, &options);
    child->process.data = child;
    return status < 0 ? error_errno(-status, "start %s", options.file) : NULL;
}

static void start_pipes(struct child *child, struct slice input)
{
    child->reading = child->foreground ? 1 : 2;
    ASSERT(uv_read_start((uv_stream_t *)&child->output, loop_on_alloc, on_read) == 0);
    if (child->foreground)
        close_once(&child->errors);
    else
        ASSERT(uv_read_start((uv_stream_t *)&child->errors, loop_on_alloc, on_read) == 0);
    if (input.len == 0) {
        close_once(&child->input);
        return;
    }
    child->input_bytes = slice_dup(input);
    child->write.data = child;
    uv_buf_t bytes = uv_buf_init(child->input_bytes, (unsigned)input.len);
    if (uv_write(&child->write, (uv_stream_t *)&child->input, &bytes, 1, on_written) < 0)
        close_once(&child->input);
}

struct op *loop_child_run(struct loop *loop, const struct loop_child_spec *spec, loop_child_fn *fn,
                          void *owner)
{
    ASSERT(!spec->reads_terminal || (spec->foreground && spec->input.len == 0));
    ASSERT(spec->timeout_ms > 0 && spec->argv && spec->argv[0] && spec->input.len < UINT32_MAX);
    struct child *child = make(loop, spec, fn, owner);
    (void)processor_ms(loop); // not what others waited for
    child->start_error = spawn(child, spec);
    if (child->start_error) {
        child->timer = loop_defer(loop, on_not_started, child);
        return &child->op;
    }
    child->spawned = true;
    start_pipes(child, spec->input);
    child->timer = loop_sleep(loop, spec->timeout_ms, on_timeout, child);
    return &child->op;
}
