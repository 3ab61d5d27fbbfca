// SPDX-License-Identifier: Apache-2.0
#include "drawbridge/loop.h"
#include "test.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/resource.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct run {
    struct loop *loop;
    struct op *op;
    unsigned calls;
    struct loop_child_result result;
    char output[4096], errors[4096];
    struct error *err;
    const char *file; // whose being there on_look() waits for
    struct op *look;
};

static void keep(char *ret, struct slice s)
{
    size_t len = s.len < 4095 ? s.len : 4095;
    memcpy(ret, s.ptr, len);
    ret[len] = '\0';
}

static void on_child(void *owner, struct error *take_err, const struct loop_child_result *result)
{
    struct run *r = owner;
    r->op = NULL;
    r->calls++;
    r->err = take_err;
    if (!result)
        return;
    r->result = *result;
    keep(r->output, result->output);
    keep(r->errors, result->errors);
}

// sh -c script, with everything else as given.
static void run_sh(struct run *r, const char *script, struct loop_child_spec spec)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    AUTO(loop) struct loop *loop = loop_new();
    r->loop = loop;
    spec.argv = argv;
    spec.timeout_ms = spec.timeout_ms ? spec.timeout_ms : 10000;
    spec.output_bytes_max = spec.output_bytes_max ? spec.output_bytes_max : 4096;
    r->op = loop_child_run(loop, &spec, on_child, r);
    loop_run(loop);
    CHECK_INT(r->calls, 1);
    CHECK(r->op == NULL);
}

#define CONFINE TEST_BINARY_ROOT "/drawbridge-confine"

static void run_confined(struct run *r, const char *script, const struct loop_confine *confine)
{
    setenv("DRAWBRIDGE_CONFINE", CONFINE, 1);
    run_sh(r, script, (struct loop_child_spec){.confine = confine, .timeout_ms = 60000});
    CHECK_OK(r->err);
}

TEST(a_process_may_open_as_many_files_as_its_limit_can_be_raised_to)
{
    struct rlimit few = {.rlim_cur = 64, .rlim_max = 300}, now = {0};

    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    CHECK_INT(loop_raise_open_files(), 300);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &now), 0);
    CHECK_INT(now.rlim_cur, 300);
    CHECK_INT(loop_raise_open_files(), 300);
}

TEST(a_confined_child_has_limits)
{
    struct loop_confine limits = {.data_bytes_max = (size_t)64 << 20,
                                  .file_bytes_max = 1 << 20,
                                  .processor_s_max = 7,
                                  .processes_max = 4000};
    struct run r = {0};

    run_confined(&r,
                 "grep -E 'data size|file size|cpu time|processes|core' /proc/self/limits | tr -s "
                 "' '; exit 3",
                 &limits);
    CHECK_INT(r.result.exit_code, 3);
    CHECK_HAS(r.output, "Max cpu time 7 7 seconds");
    CHECK_HAS(r.output, "Max file size 1048576 1048576 bytes");
    CHECK_HAS(r.output, "Max data size 67108864 67108864 bytes");
    CHECK_HAS(r.output, "Max core file size 0 0 bytes");
    CHECK_HAS(r.output, "Max processes 4000 4000 processes");
}

TEST(a_confined_child_reaches_its_own_files_alone_and_signals_nobody)
{
    AUTO_MEM char *dir = test_path("own");
    AUTO_MEM char *token = test_path("token");
    AUTO_MEM char *file = test_path("own/file");
    AUTO_MEM char *script =
        str_format("cat %s; echo x >%s && cat %s; kill -0 $PPID; cat /proc/$PPID/environ; true",
                   token, file, file);
    const char *const writable[] = {dir, NULL};
    struct loop_confine files = {.writable = writable};
    struct run free_one = {0};
    struct run r = {0};

    CHECK_INT(mkdir(dir, 0700), 0);
    test_write(token, "secret-word");
    run_sh(&free_one, script, (struct loop_child_spec){0});
    CHECK_HAS(free_one.output, "secret-word");
    run_confined(&r, script, &files);
    CHECK_HAS(r.output, "x");
    CHECK_HAS(r.errors, "kill: ");
    if (!loop_confine_has_paths())
        return; // this kernel has no Landlock
    CHECK_STR(r.output, "x\n");
    CHECK_HAS(r.errors, "token: Permission denied");
    CHECK_HAS(r.errors, "environ: Permission denied");
}

TEST(a_child_that_used_up_its_processor_time_is_told_from_one_that_somebody_killed)
{
    struct loop_confine limit = {.processor_s_max = 1};
    struct run r = {0}, shell = {0}, killed = {0};

    run_confined(&r, "while :; do :; done", &limit);
    CHECK_INT(r.result.signum, SIGKILL);
    CHECK(loop_child_is_over(&r.result, 1) && !loop_child_is_over(&r.result, 10));
    run_confined(&shell, "sh -c 'while :; do :; done'; exit $?", &limit);
    CHECK_INT(shell.result.exit_code, 128 + SIGKILL);
    CHECK(loop_child_is_over(&shell.result, 1));
    // what others used before is not its own
    run_confined(&killed, "kill -KILL $$", &limit);
    CHECK_INT(killed.result.signum, SIGKILL);
    CHECK(!loop_child_is_over(&killed.result, 1));
}

// As on a kernel without filters of system calls.
static void take_filters_away(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT(filter), .filter = filter};

    CHECK_INT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_INT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

TEST(a_kernel_without_filters_of_calls_is_an_error_and_no_confinement)
{
    take_filters_away();
    CHECK_ERR_HAS(loop_confine_calls(true), ERROR_TRANSIENT, "seccomp: ");
}

TEST(a_confined_program_that_is_not_there)
{
    const char *const argv[] = {"/nonexistent/program", NULL};
    struct loop_confine none = {.processor_s_max = 7};
    AUTO(loop) struct loop *loop = loop_new();
    struct run r = {.loop = loop};
    struct loop_child_spec spec = {
        .argv = argv, .timeout_ms = 10000, .output_bytes_max = 4096, .confine = &none};

    setenv("DRAWBRIDGE_CONFINE", CONFINE, 1);
    r.op = loop_child_run(loop, &spec, on_child, &r);
    loop_run(loop);
    CHECK_OK(r.err);
    CHECK_INT(r.result.exit_code, 127);
    CHECK_HAS(r.errors, "/nonexistent/program: No such file");
}

TEST(what_confines_is_named_where_it_is_not_there)
{
    const char *const argv[] = {"sh", "-c", "true", NULL};
    struct loop_confine none = {.processor_s_max = 7};
    AUTO(loop) struct loop *loop = loop_new();
    struct run r = {.loop = loop};
    struct loop_child_spec spec = {.argv = argv, .timeout_ms = 10000, .confine = &none};

    setenv("DRAWBRIDGE_CONFINE", "/nonexistent/drawbridge-confine", 1);
    r.op = loop_child_run(loop, &spec, on_child, &r);
    loop_run(loop);
    CHECK_ERR_HAS(r.err, ERROR_NOT_FOUND, "start /nonexistent/drawbridge-confine: ");
}

TEST(output_errors_and_exit_code)
{
    struct run r = {0};
    run_sh(&r, "echo out; echo err >&2; exit 3", (struct loop_child_spec){0});
    CHECK_STR(r.output, "out\n");
    CHECK_STR(r.errors, "err\n");
    CHECK_INT(r.result.exit_code, 3);
    CHECK_INT(r.result.signum, 0);
    CHECK(!r.result.timed_out);
}

TEST(input_is_written_and_closed)
{
    struct run r = {0};
    run_sh(&r, "cat", (struct loop_child_spec){.input = slice_of("hello\n")});
    CHECK_STR(r.output, "hello\n");
    struct run none = {0};
    run_sh(&none, "cat; echo end", (struct loop_child_spec){0});
    CHECK_STR(none.output, "end\n");
}

TEST(a_child_need_not_read_its_input)
{
    AUTO_BUF struct buf big = buf_make(1 << 20);
    while (big.len < (1 << 20))
        buf_add(&big, "0123456789abcdef", 16);
    struct run r = {0};
    run_sh(&r, "exit 0", (struct loop_child_spec){.input = buf_slice(&big)});
    CHECK_INT(r.result.exit_code, 0);
    struct run all = {0};
    run_sh(&all, "wc -c | tr -d ' '", (struct loop_child_spec){.input = buf_slice(&big)});
    CHECK_STR(all.output, "1048576\n");
}

TEST(the_environment_is_what_was_given)
{
    const char *const env[] = {"PATH=/usr/bin:/bin", "WORD=given", NULL};
    setenv("WORD", "inherited", 1);
    struct run r = {0};
    run_sh(&r, "echo $WORD", (struct loop_child_spec){.env = env});
    CHECK_STR(r.output, "given\n");
    struct run own = {0};
    run_sh(&own, "echo $WORD", (struct loop_child_spec){0});
    CHECK_STR(own.output, "inherited\n");
}

TEST(too_much_output_is_cut)
{
    struct run r = {0};
    run_sh(&r, "i=0; while [ $i -lt 2000 ]; do echo 0123456789; i=$((i+1)); done; exit 4",
           (struct loop_child_spec){.output_bytes_max = 15});
    CHECK_STR(r.output, "0123456789\n0123");
    CHECK_INT(r.result.exit_code, 4);
}

TEST(what_cannot_be_started)
{
    const char *const argv[] = {"drawbridge-no-such-program", NULL};
    struct loop_child_spec spec = {.argv = argv, .timeout_ms = 1000};
    AUTO(loop) struct loop *loop = loop_new();
    struct run r = {.loop = loop};
    r.op = loop_child_run(loop, &spec, on_child, &r);
    CHECK_INT(r.calls, 0);
    loop_run(loop);
    CHECK_INT(r.calls, 1);
    CHECK_ERR_HAS(r.err, ERROR_NOT_FOUND, "drawbridge-no-such-program");
    r.op = loop_child_run(loop, &spec, on_child, &r);
    r.op = op_drop(r.op);
    loop_run(loop);
    CHECK_INT(r.calls, 1);
}

TEST(timeout_asks_first)
{
    struct run r = {0};
    uint64_t began = clock_ms();
    run_sh(&r, "trap 'echo bye; exit 7' TERM; echo hi; while :; do sleep 0.05; done",
           (struct loop_child_spec){.timeout_ms = 600, .grace_ms = 5000});
    CHECK(r.result.timed_out);
    CHECK_STR(r.output, "hi\nbye\n");
    CHECK_INT(r.result.exit_code, 7);
    CHECK(clock_ms() - began < 5600);
}

TEST(grace_ends_by_force)
{
    struct run r = {0};
    run_sh(&r, "trap '' TERM; while :; do sleep 0.05; done",
           (struct loop_child_spec){.timeout_ms = 600, .grace_ms = 100});
    CHECK(r.result.timed_out);
    CHECK_INT(r.result.exit_code, -1);
    CHECK_INT(r.result.signum, SIGKILL);
}

TEST(a_daemon_left_behind_is_not_waited_for)
{
    struct run r = {0};
    uint64_t began = clock_ms();
    run_sh(&r, "sleep 5 & echo started $!", (struct loop_child_spec){0});
    CHECK(clock_ms() - began < 4900);
    CHECK(str_starts(r.output, "started "));
    uint64_t pid = 0;
    CHECK(slice_to_u64(slice_trim(slice_of(r.output + 8)), &pid));
    CHECK(kill((pid_t)pid, 0) == 0); // and it still runs
    kill((pid_t)pid, SIGKILL);
}

// Drops the run as soon as the child has written who it is.
static void on_look(void *owner)
{
    struct run *r = owner;
    if (test_exists(r->file))
        r->op = op_drop(r->op);
    else
        r->look = loop_sleep(r->loop, 10, on_look, r);
}

static pid_t read_pid(const char *path)
{
    AUTO_MEM char *text = test_read(path);
    uint64_t pid = 0;
    CHECK(slice_to_u64(slice_trim(slice_of(text)), &pid));
    return (pid_t)pid;
}

// Processes that are killed but whose new parent did not reap them yet still answer to kill(pid,
// 0).
static bool is_running(pid_t pid)
{
    AUTO_MEM char *path = str_format("/proc/%d/stat", (int)pid);
    if (!test_exists(path))
        return false;
    AUTO_MEM char *stat = test_read(path);
    const char *state = strrchr(stat, ')');
    return state && state[2] != 'Z' && state[2] != 'X';
}

TEST(one_in_the_foreground_is_a_part_of_us)
{
    AUTO_MEM char *mine = str_format("%d %d", getpgrp(), getsid(0));
    AUTO_MEM char *errors = test_path("errors"), *input = test_path("input");
    AUTO_MEM char *heard = NULL;
    struct run r = {0}, deaf = {0}, slow = {0};

    test_write(input, "typed\n");
    CHECK(freopen(input, "r", stdin) && freopen(errors, "w", stderr));
    run_sh(&r, "read -r line; echo \"asks $line\" >&2; cut -d' ' -f5,6 /proc/$$/stat",
           (struct loop_child_spec){.foreground = true, .reads_terminal = true});
    CHECK_INT(r.result.exit_code, 0);
    CHECK(str_starts(r.output, mine));
    CHECK_STR(r.errors, "");
    heard = test_read(errors);
    CHECK_STR(heard, "asks typed\n");
    run_sh(&deaf, "read -r line || echo nothing", (struct loop_child_spec){.foreground = true});
    CHECK_STR(deaf.output, "nothing\n");
    run_sh(&slow, "exec sleep 60", (struct loop_child_spec){.foreground = true, .timeout_ms = 100});
    CHECK(slow.result.timed_out);
    CHECK_INT(slow.result.signum, SIGTERM);
}

TEST(drop_kills_the_whole_group_and_reaps)
{
    AUTO_MEM char *child_file = test_path("child"), *grandchild_file = test_path("grandchild");
    AUTO_MEM char *script =
        str_format("trap '' TERM; sleep 100 & echo $! > %s; echo $$ > %s.new; mv %s.new %s; wait",
                   grandchild_file, child_file, child_file, child_file);
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct loop_child_spec spec = {.argv = argv, .timeout_ms = 100000, .output_bytes_max = 10};
    struct loop *loop = loop_new();
    struct run r = {.loop = loop, .file = child_file};
    r.op = loop_child_run(loop, &spec, on_child, &r);
    r.look = loop_sleep(loop, 10, on_look, &r);
    loop_run(loop); // ends: nothing but the reaping is left
    CHECK_INT(r.calls, 0);
    pid_t child = read_pid(child_file), grandchild = read_pid(grandchild_file);
    loop_free(loop);
    CHECK(kill(child, 0) != 0 && errno == ESRCH); // reaped
    for (int i = 0; i < 100 && is_running(grandchild); i++)
        usleep(10000);
    CHECK(!is_running(grandchild));
}

static void on_child_runs_next(void *owner, struct error *take_err,
                               const struct loop_child_result *result)
{
    struct run *r = owner;
    on_child(owner, take_err, result);
    const char *const argv[] = {"echo", "second", NULL};
    struct loop_child_spec spec = {.argv = argv, .timeout_ms = 10000, .output_bytes_max = 100};
    r->op = loop_child_run(r->loop, &spec, on_child, r);
}

TEST(a_callback_can_run_the_next)
{
    const char *const argv[] = {"echo", "first", NULL};
    struct loop_child_spec spec = {.argv = argv, .timeout_ms = 10000, .output_bytes_max = 100};
    AUTO(loop) struct loop *loop = loop_new();
    struct run r = {.loop = loop};
    r.op = loop_child_run(loop, &spec, on_child_runs_next, &r);
    loop_run(loop);
    CHECK_INT(r.calls, 2);
    CHECK_STR(r.output, "second\n");
}

TEST_MAIN()
