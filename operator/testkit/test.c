// SPDX-License-Identifier: Apache-2.0
// Runs each registered test in a forked process of its own group, with a time-out, and cleans up
// behind it.
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test_case *first;
static struct test_case **last = &first;
static char dir[256];

void test_register(struct test_case *test)
{
    *last = test;
    last = &test->next;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    fflush(NULL);
    _exit(1); // no leak report on top of the failure
}

void test_check_str(const char *file, int line, const char *what, const char *got, const char *want)
{
    if (!str_eq(got, want))
        test_fail(file, line, "%s\n  got  %s%s%s\n  want %s%s%s", what, got ? "\"" : "",
                  got ? got : "NULL", got ? "\"" : "", want ? "\"" : "", want ? want : "NULL",
                  want ? "\"" : "");
}

void test_check_str_take(const char *file, int line, const char *what, char *take_got,
                         const char *want)
{
    test_check_str(file, line, what, take_got, want);
    mem_free(take_got);
}

void test_check_slice(const char *file, int line, const char *what, struct slice got,
                      const char *want)
{
    test_check_str_take(file, line, what, slice_dup(got), want);
}

void test_check_has(const char *file, int line, const char *what, const char *text,
                    const char *part)
{
    if (!text || !strstr(text, part))
        test_fail(file, line, "%s\n  got  \"%s\"\n  want something with \"%s\"", what,
                  text ? text : "NULL", part);
}

void test_check_int(const char *file, int line, const char *what, long long got, long long want)
{
    if (got != want)
        test_fail(file, line, "%s\n  got  %lld\n  want %lld", what, got, want);
}

void test_check_ok(const char *file, int line, const char *what, struct error *take_err)
{
    if (take_err)
        test_fail(file, line, "%s\n  got  error %s: %s", what,
                  error_kind_name(error_kind(take_err)), error_text(take_err));
}

void test_check_err(const char *file, int line, const char *what, struct error *take_err,
                    enum error_kind want, const char *part)
{
    AUTO(error) struct error *err = take_err;
    if (!err)
        test_fail(file, line, "%s\n  got  success\n  want error %s", what, error_kind_name(want));
    if (error_kind(err) != want)
        test_fail(file, line, "%s\n  got  error %s: %s\n  want error %s", what,
                  error_kind_name(error_kind(err)), error_text(err), error_kind_name(want));
    if (part)
        test_check_has(file, line, what, error_text(err), part);
}

const char *test_dir(void)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        test_fail(__FILE__, __LINE__, "mkdir %s: %s", dir, strerror(errno));
    return dir;
}

char *test_path(const char *name)
{
    return str_format("%s/%s", test_dir(), name);
}

void test_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t len = strlen(text);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        test_fail(__FILE__, __LINE__, "write %s: %s", path, strerror(errno));
    close(fd);
}

char *test_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        test_fail(__FILE__, __LINE__, "open %s: %s", path, strerror(errno));
    AUTO_BUF struct buf b = buf_make((size_t)64 << 20);
    char chunk[8192];
    for (ssize_t n; (n = read(fd, chunk, sizeof(chunk))) > 0;)
        buf_add(&b, chunk, (size_t)n);
    close(fd);
    return buf_take(&b);
}

static int saved_stderr;

void test_capture(void)
{
    AUTO_MEM char *path = test_path("stderr");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || saved_stderr < 0 || dup2(fd, STDERR_FILENO) < 0)
        test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    close(fd);
}

char *test_captured(void)
{
    AUTO_MEM char *path = test_path("stderr");
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    return test_read(path);
}

bool test_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    (void)remove(path);
    return 0;
}

static bool is_wanted(const struct test_case *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(test->name, argv[i]))
            return true;
    return argc < 2;
}

static unsigned timeout_seconds(void)
{
    const char *text = getenv("DRAWBRIDGE_TEST_TIMEOUT");
    uint64_t seconds;
    return text && slice_to_u64(slice_of(text), &seconds) && seconds < 100000 ? (unsigned)seconds
                                                                              : 20;
}

static _Noreturn void run_child(const struct test_case *test)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(timeout_seconds());
    test->fn();
    fflush(NULL);
    exit(0); // with the leak report of the sanitizer
}

static bool run_forked(const struct test_case *test)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_child(test);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    kill(-pid, SIGKILL); // what the test left behind
    if (WIFSIGNALED(status))
        printf("  %s\n", WTERMSIG(status) == SIGALRM ? "time-out" : strsignal(WTERMSIG(status)));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_one(const struct test_case *test, unsigned number)
{
    const char *parent = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/drawbridge-test-%d-%u", parent ? parent : "/tmp", (int)getpid(),
             number);
    bool ok = true;
    if (getenv("DRAWBRIDGE_TEST_NOFORK"))
        test->fn();
    else
        ok = run_forked(test);
    if (test_exists(dir))
        nftw(dir, on_entry, 16, FTW_DEPTH | FTW_PHYS);
    printf("%s %s\n", ok ? "ok    " : "FAILED", test->name);
    if (!ok)
        printf("  at %s:%d\n", test->file, test->line);
    return ok;
}

int test_main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    if (argc == 2 && str_eq(argv[1], "-l")) {
        for (const struct test_case *test = first; test; test = test->next)
            puts(test->name);
        return 0;
    }
    for (const struct test_case *test = first; test; test = test->next) {
        if (!is_wanted(test, argc, argv))
            continue;
        if (run_one(test, passed + failed))
            passed++;
        else
            failed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed || !passed ? 1 : 0;
}
