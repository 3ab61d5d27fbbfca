// SPDX-License-Identifier: Apache-2.0
// loop: the event loop, and the only way to wait: an op.
//
// Purpose   timers, file descriptors, child processes, signals, directory watches, TCP listeners,
//           deferred calls
// Owns      libuv
// May use   base
// Never     threads that share memory; user code inside a libuv callback's stack that could free
//           its handle
// Blocking  no
//
// The contract of every op, in every room: a send returns one; done runs once, never before the
// send returns and never after a drop; when done runs the op is gone already and the owner forgets
// the pointer first thing; op_drop() cancels, takes NULL, gives NULL. An owner drops its ops before
// it goes away, so nothing needs a reference count.
#pragma once

#include "drawbridge/base.h"

struct loop;
struct loop *loop_new(void);
void loop_run(struct loop *loop);  // until loop_stop(), or until nothing is left to wait for
void loop_stop(struct loop *loop); // may be called from any callback
void loop_free(struct loop *loop); // all handles must be gone: asserted
AUTO_DECLARE(loop, struct loop)
uint64_t loop_turns(const struct loop *loop); // iterations so far: an idle loop does not turn

// The head of every pending thing. Rooms that make ops embed it first.
struct op {
    void (*drop)(struct op *op); // cancels and frees; done does not run
};
static inline struct op *op_drop(struct op *op)
{
    if (op)
        op->drop(op);
    return NULL;
}

typedef void loop_fn(void *owner);

// Runs fn in the next turn.
MUST_USE struct op *loop_defer(struct loop *loop, loop_fn *fn, void *owner);
// Runs fn once after delay_ms.
MUST_USE struct op *loop_sleep(struct loop *loop, uint64_t delay_ms, loop_fn *fn, void *owner);

// File descriptors of others (curl's sockets): fn runs with a set of LOOP_READ, LOOP_WRITE until
// freed.
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_poll;
typedef void loop_poll_fn(void *owner, int fd, int events);
struct loop_poll *loop_poll_new(struct loop *loop, int fd, loop_poll_fn *fn, void *owner);
void loop_poll_set(struct loop_poll *poll, int events); // 0 pauses
// legal inside fn; the descriptor stays open
void loop_poll_free(struct loop_poll *poll);

// A signal calls fn each time, until dropped.
MUST_USE struct op *loop_on_signal(struct loop *loop, int signum, loop_fn *fn, void *owner);

// Anything created, renamed, written or removed in dir calls fn (coalesced to one call a turn),
// until dropped. A directory that does not exist is an error NOT_FOUND.
struct error *loop_watch_dir(struct loop *loop, const char *dir, loop_fn *fn, void *owner,
                             struct op **ret_op);

// --- child processes -----------------------------------------------------------------------------

// What a child gets at most, and whatever it starts. It cannot lift that again. 0: no such limit.
struct loop_confine {
    size_t data_bytes_max; // of memory that it writes to
    size_t file_bytes_max; // of each file
    uint64_t processor_s_max;
    unsigned processes_max; // of its user on this machine: the kernel counts no finer
    // NULL-terminated, and not NULL: of the file system it has these, the system's programs and
    // libraries, and nothing else, where the kernel has Landlock; and it signals nobody.
    const char *const *readable, *const *writable;
};

struct loop_child_spec {
    const char *const *argv; // NULL-terminated; argv[0] is looked up in PATH
    const char *const *env;  // NULL-terminated NAME=VALUE; NULL: this process' own
    struct slice input;      // copied, written to stdin, then closed; empty: /dev/null
    size_t output_bytes_max; // for stdout and stderr each; what exceeds it is cut, not fatal
    uint64_t timeout_ms;     // then SIGTERM; 0 is not allowed
    uint64_t grace_ms;       // from SIGTERM to SIGKILL
    // NULL: none. Set, the child is started by the program drawbridge-confine, which stands beside
    // this one (or is $DRAWBRIDGE_CONFINE) and becomes it.
    const struct loop_confine *confine;
    // A part of what a person does at a terminal: it stays in our session and process group, as the
    // terminal's signals and its reading want it, and what it says to stderr goes to ours; errors
    // of the result are empty. What it starts itself is not ended with it.
    bool foreground;
    bool reads_terminal; // with foreground: our stdin is its; input must be empty
};
struct loop_child_result {
    int exit_code; // -1 when a signal ended it
    int signum;    // 0 when it exited
    bool timed_out;
    uint64_t processor_ms;       // used by it and by those that it waited for
    struct slice output, errors; // borrowed for the callback
};
// Whether what ended it is its limit of processor time: the kernel sends SIGKILL, as others do.
bool loop_child_is_over(const struct loop_child_result *result, uint64_t processor_s_max);
// take_err is set (and result NULL) only when the child could not be started.
typedef void loop_child_fn(void *owner, struct error *take_err,
                           const struct loop_child_result *result);
// Dropping the op sends SIGKILL to the child's process group and reaps it in the background.
MUST_USE struct op *loop_child_run(struct loop *loop, const struct loop_child_spec *spec,
                                   loop_child_fn *fn, void *owner);

// Asks the child to end: SIGTERM now, SIGKILL after its grace_ms. done runs as ever, with what the
// child said.
void loop_child_end(struct op *op);

// A program that is to outlive us: in a session of its own, nobody's child of ours, with no file of
// ours open.
struct loop_detached_spec {
    const char *program;     // a path
    const char *const *argv; // NULL-terminated
    const char *const *env;  // NULL-terminated NAME=VALUE, before what this process has
    const char *dir;         // it runs in
    const char *output;      // a file and no link, emptied first, for what it says; mode 0640
};
// Blocks until it runs, or could not be started.
struct error *loop_detach(const struct loop_detached_spec *spec, int64_t *ret_pid);

// A directory of its own for a child, "PARENT/PREFIX-PID-XXXXXX", mode 0700; parent NULL: $TMPDIR
// or /tmp. It and all in it go with remove; sweep removes those of processes that are gone, and of
// this one: call it once, before the first.
struct error *loop_scratch_make(const char *parent, const char *prefix, char **ret_dir);
void loop_scratch_remove(const char *dir);
void loop_scratch_sweep(const char *parent, const char *prefix);

// As many open files as this process may have, 64 Ki at most: the limit that it begins with is that
// of old programs which use select(2), and one connection beyond it would be the end of all.
// Returns how many.
uint64_t loop_raise_open_files(void);

// For a program that confines itself. what: of setrlimit(2). starts: it
// may start other programs.
struct error *loop_confine_limit(int what, uint64_t value, const char *name);
struct error *loop_confine_paths(const char *const *readable, const char *const *writable);
// An error where the kernel filters no system calls: what is not confined is not run.
struct error *loop_confine_calls(bool starts);
bool loop_confine_has_paths(void); // whether this kernel has Landlock
// The program of that name beside this one, or what the variable of the environment says; yours.
char *loop_program(const char *name, const char *variable);

// --- a TCP listener, for serve -------------------------------------------------------------------

struct loop_conn;
struct loop_listener;
struct loop_listen_spec {
    const char *host; // an IP address
    uint16_t port;    // 0: any free one
    // One more takes the place of the one that has waited longest without a reply under way; where
    // all have one it waits in the backlog.
    unsigned conns_max;
    uint64_t conn_timeout_ms; // a connection ends after this, whatever it does
    // Bytes arrived. Answer with loop_conn_reply(), or return and wait for more.
    void (*on_data)(void *owner, struct loop_conn *conn, struct slice bytes);
    void (*on_close)(void *owner, struct loop_conn *conn); // the connection is gone; may be NULL
    void *owner;
};
struct error *loop_listen(struct loop *loop, const struct loop_listen_spec *spec,
                          struct loop_listener **ret_listener);
uint16_t loop_listener_port(const struct loop_listener *listener);
void loop_listener_free(struct loop_listener *listener); // closes its connections too
void *loop_conn_data(const struct loop_conn *conn);      // a pointer of the owner's, NULL at first
void loop_conn_set_data(struct loop_conn *conn, void *data);
void loop_conn_reply(struct loop_conn *conn, struct slice bytes); // copied and written, then closed
void loop_conn_reply_take(struct loop_conn *conn, char *take_bytes, size_t len); // without a copy
