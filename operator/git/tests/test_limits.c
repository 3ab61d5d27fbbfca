// SPDX-License-Identifier: Apache-2.0
// What a worker may use, and how the room stands one that went wrong.
#include <stdio.h>
#include <unistd.h>

#include "repository.h"

// The worker without sanitizers, which would not get along with a limit of memory.
#ifndef PLAIN_WORKER
#define PLAIN_WORKER TEST_BINARY_ROOT "/drawbridge-git"
#endif

TEST(a_large_pack)
{
    struct fetch_spec spec = plain();

    make_repository();
    run("cd repo; head -c 3000000 /dev/urandom >large; git add large; git commit -q -m large");
    spec.pack_bytes_max = 1 << 20;
    expect_reason(&spec, "LimitReached", "larger than is allowed");
    spec.pack_bytes_max = 8 << 20;
    expect_commit(&spec, "main", "git -C repo rev-parse HEAD");
}

TEST(a_server_that_stalls)
{
    struct fetch_spec spec = plain();
    int fd;
    AUTO_MEM char *url = str_format("git://127.0.0.1:%d/repo", silent_port(&fd));
    struct got got = {0};
    AUTO(loop) struct loop *loop = loop_new();

    spec.url = url;
    spec.verify = true;
    spec.timeout_ms = 300;
    expect_reason(&spec, "FetchTimedOut", "timeout");
    CHECK_INT(scratch_left(), 0);
    // dropped half way: nothing is left either
    op_drop(fetch_run(loop, &spec, on_fetch, &got));
    loop_run(loop);
    CHECK_INT(got.calls, 0);
    CHECK_INT(scratch_left(), 0);
    close(fd);
    spec.timeout_ms = 60000;
    expect_reason(&spec, "GitUnreachable", url);
}

// --- the limits that a worker has while it works -------------------------------------------------

struct watched {
    struct loop *loop;
    struct op *fetch, *timer;
    char *limits, *status;
};

static char *read_proc(const char *pid, const char *name)
{
    AUTO_MEM char *path = str_format("/proc/%s/%s", pid, name);
    AUTO_BUF struct buf text = buf_make(65536);
    FILE *file = fopen(path, "r");
    char block[4096];
    size_t len;

    while (file && (len = fread(block, 1, sizeof(block), file)) > 0)
        buf_add(&text, block, len);
    if (file)
        fclose(file);
    return buf_take(&text);
}

// Our child, when it has confined itself.
static bool look_at(struct watched *watched, const char *pid)
{
    AUTO_MEM char *parent = str_format("\nPPid:\t%d\n", (int)getpid());
    AUTO_MEM char *status = read_proc(pid, "status");

    if (!status || !strstr(status, parent) || !strstr(status, "\nSeccomp:\t2\n"))
        return false;
    watched->limits = read_proc(pid, "limits");
    watched->status = TAKE(status);
    return true;
}

static void on_look(void *owner)
{
    struct watched *watched = owner;
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    bool seen = false;

    watched->timer = NULL;
    while (!seen && (entry = readdir(dir)))
        seen =
            entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && look_at(watched, entry->d_name);
    closedir(dir);
    if (seen)
        watched->fetch = op_drop(watched->fetch);
    else
        watched->timer = loop_sleep(watched->loop, 20, on_look, watched);
}

static void expect_limit(const struct watched *watched, const char *name, const char *value)
{
    const char *line = strstr(watched->limits, name);
    AUTO_MEM char *soft_and_hard = NULL;
    struct slice rest, word;

    CHECK(line != NULL);
    rest = (struct slice){line + strlen(name), strcspn(line + strlen(name), "\n")};
    soft_and_hard = str_dup("");
    for (unsigned found = 0; found < 2 && slice_cut(&rest, ' ', &word);) {
        char *longer;

        if (word.len == 0)
            continue;
        longer = str_format("%s%.*s ", soft_and_hard, (int)word.len, word.ptr);
        mem_free(soft_and_hard);
        soft_and_hard = longer;
        found++;
    }
    CHECK_STR(soft_and_hard, value);
}

TEST(limits_are_in_force)
{
    struct fetch_spec spec = plain();
    int fd;
    AUTO_MEM char *url = str_format("git://127.0.0.1:%d/repo", silent_port(&fd));
    AUTO(loop) struct loop *loop = loop_new();
    struct watched watched = {.loop = loop};
    struct got got = {0};

    setenv("DRAWBRIDGE_GIT_WORKER", PLAIN_WORKER, 1);
    spec.url = url;
    spec.verify = true;
    watched.fetch = fetch_run(loop, &spec, on_fetch, &got);
    watched.timer = loop_sleep(loop, 20, on_look, &watched);
    loop_run(loop);
    CHECK_INT(got.calls, 0);
    expect_limit(&watched, "Max address space", "268435456 268435456 ");
    expect_limit(&watched, "Max file size", "201326592 201326592 "); // 128 MiB and 64
    expect_limit(&watched, "Max core file size", "0 0 ");
    expect_limit(&watched, "Max open files", "128 128 ");
    expect_limit(&watched, "Max processes", "4096 4096 ");
    expect_limit(&watched, "Max cpu time", "66 66 "); // spec.timeout and a little
    CHECK_HAS(watched.status, "\nNoNewPrivs:\t1\n");
    mem_free(watched.limits);
    mem_free(watched.status);
    close(fd);
}

TEST(more_memory_than_allowed)
{
    struct fetch_spec spec = plain();
    struct got got;

    setenv("DRAWBRIDGE_GIT_WORKER", PLAIN_WORKER, 1);
    make_repository();
    spec.memory_bytes_max = (size_t)160 << 20;
    got = fetch(&spec);
    CHECK_OK(got.err);
    fetch_result_fini(&got.result);
    // 200 MiB that are a few hundred KiB as a pack
    run("cd repo; head -c 209715200 /dev/zero >bomb; git -c core.compression=1 add bomb; "
        "git commit -q -m bomb");
    expect_reason(&spec, "LimitReached", "memory");
}

// --- workers that are none -----------------------------------------------------------------------

// script: of the shell, run in the test's directory in the worker's place.
static void stand_in(const char *script)
{
    AUTO_MEM char *path = test_path("worker");
    AUTO_MEM char *text = str_format("#!/bin/sh\ncd %s\n%s\n", test_dir(), script);

    test_write(path, text);
    run("chmod 755 worker");
    setenv("DRAWBRIDGE_GIT_WORKER", path, 1);
}

TEST(a_worker_that_is_not_there)
{
    struct fetch_spec spec = plain();
    struct got got;

    setenv("DRAWBRIDGE_GIT_WORKER", "/nonexistent/drawbridge-git", 1);
    got = fetch(&spec);
    CHECK_ERR_HAS(got.err, ERROR_NOT_FOUND, "drawbridge-git");
    setenv("DRAWBRIDGE_GIT_WORKER", "/bin/false", 1);
    got = fetch(&spec);
    CHECK_ERR_HAS(got.err, ERROR_INTERNAL, "ended with 1");
    CHECK(!got.result.head);
    CHECK_INT(scratch_left(), 0);
}

TEST(credentials_go_through_stdin_alone)
{
    static const char *const words_of_secrets[] = {"PASSWORD", "TOKEN", "IDENTITY", "PASSPHRASE",
                                                   "PROXY"};
    struct fetch_spec spec = plain();
    AUTO_MEM char *input_path = test_path("input");
    AUTO_MEM char *seen_path = test_path("seen");
    AUTO_MEM char *input = NULL;
    AUTO_MEM char *seen = NULL;
    struct got got;

    stand_in("cat >input\n"
             "cat /proc/$$/cmdline /proc/$$/environ | tr '\\0' '\\n' >seen\n"
             "find drawbridge-git-* -type f -exec cat {} + >>seen\n"
             "echo '{\"ref\": \"r\", \"head\": \"0123\", \"commit\": \"0123\"}'");
    setenv("OF_THE_CONTROLLER", "TOKEN", 1);
    spec.password = "PASSWORD";
    spec.bearer_token = "TOKEN";
    spec.identity = "IDENTITY";
    spec.passphrase = "PASSPHRASE";
    spec.proxy = "http://u:PROXY@h:1";
    got = fetch(&spec);
    CHECK_OK(got.err);
    fetch_result_fini(&got.result);
    input = test_read(input_path);
    seen = test_read(seen_path);
    CHECK_HAS(seen, "PATH=");
    for (size_t i = 0; i < COUNT(words_of_secrets); i++) {
        CHECK_HAS(input, words_of_secrets[i]);
        if (strstr(seen, words_of_secrets[i]))
            test_fail(__FILE__, __LINE__, "%s is in an argument, the environment or a file",
                      words_of_secrets[i]);
    }
}

// Whether the process whose number is in this file has ended.
static bool is_gone(const char *name)
{
    AUTO_MEM char *path = test_path(name);
    AUTO_MEM char *text = test_read(path);
    AUTO_MEM char *status = NULL;

    text[strcspn(text, "\n")] = '\0';
    status = read_proc(text, "status");
    return !status || !*status || strstr(status, "State:\tZ");
}

TEST(a_worker_that_does_not_want_to_end)
{
    struct fetch_spec spec = plain();

    stand_in("trap '' TERM\necho $$ >pid.new\nsleep 600 &\necho $! >child\nmv pid.new pid\n"
             "while :; do sleep 600; done");
    spec.timeout_ms = 2000;
    expect_reason(&spec, "FetchTimedOut", "the worker was ended");
    CHECK(is_gone("pid"));
    for (unsigned i = 0; i < 500 && !is_gone("child"); i++)
        usleep(10000); // it is not ours to wait for
    CHECK(is_gone("child"));
    CHECK_INT(scratch_left(), 0);
}

TEST(a_worker_that_was_killed)
{
    struct fetch_spec spec = plain();

    stand_in("kill -KILL $$");
    expect_reason(&spec, "LimitReached", "signal 9");
    CHECK_INT(scratch_left(), 0);
}

TEST(a_worker_that_talks_too_much)
{
    struct fetch_spec spec = plain();

    stand_in("yes | head -c 9000000");
    expect_reason(&spec, "LimitReached", "as JSON");
    stand_in("echo nonsense");
    struct got got = fetch(&spec);
    CHECK_ERR_HAS(got.err, ERROR_INVALID, "answer of the git worker");
    CHECK_INT(scratch_left(), 0);
}

TEST_MAIN()
