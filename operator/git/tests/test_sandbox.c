// SPDX-License-Identifier: Apache-2.0
// The worker's sandbox from inside: this very process enters it.
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"
#include "worker/worker.h"

const char *worker_text(const struct worker *worker, const char *key)
{
    return doc_str(worker->request, key, NULL);
}

static void enter(json_t *request)
{
    AUTO_MEM char *dir = test_path("scratch");
    struct worker worker = {.request = request, .dir = dir, .pack_bytes_max = 1 << 20};

    CHECK(mkdir(dir, 0700) == 0);
    CHECK_OK(sandbox_enter(&worker));
}

static void expect_errno(long result, int wanted, const char *what)
{
    if (result != -1)
        test_fail(__FILE__, __LINE__, "%s is allowed", what);
    if (errno != wanted)
        test_fail(__FILE__, __LINE__, "%s: %s", what, strerror(errno));
}

TEST(calls_that_are_denied)
{
    AUTO_JSON json_t *request = json_object();
    struct iovec there = {&request, sizeof(request)};

    enter(request);
    expect_errno(unshare(CLONE_NEWUSER), EPERM, "unshare");
    expect_errno(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM,
                 "clone with a namespace");
    expect_errno(syscall(SYS_clone3, NULL, 0), ENOSYS, "clone3");
    expect_errno(syscall(SYS_bpf, 0, NULL, 0), EPERM, "bpf");
    expect_errno(syscall(SYS_fsopen, "tmpfs", 0), EPERM, "fsopen");
    expect_errno(syscall(SYS_pidfd_getfd, -1, 0, 0), EPERM, "pidfd_getfd");
    expect_errno(syscall(SYS_io_uring_setup, 1, NULL), EPERM, "io_uring_setup");
    expect_errno(mount("none", "/", NULL, MS_REMOUNT, NULL), EPERM, "mount");
    expect_errno(process_vm_readv(getppid(), &there, 1, &there, 1, 0), EPERM, "process_vm_readv");
    expect_errno(listen(socket(AF_INET, SOCK_STREAM, 0), 1), EPERM, "listen");
#ifdef __x86_64__
    // mount() once more, by its number of x32
    expect_errno(syscall(0x40000000 + SYS_mount, "none", "/", NULL, MS_REMOUNT, NULL), EPERM,
                 "mount of x32");
#endif
}

TEST(programs_can_be_started)
{
    AUTO_JSON json_t *request = json_object();
    int status;

    enter(request);
    status = system("ssh-keygen -? >/dev/null 2>&1; gpgv --version >/dev/null");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(others_cannot_be_signalled)
{
    AUTO_JSON json_t *request = json_object();
    struct rlimit none = {0, 0};
    int pipes[2];

    CHECK(pipe(pipes) == 0);
    enter(request);
    expect_errno(kill(getppid(), 0), EPERM, "kill");
    expect_errno(kill(-1, 0), EPERM, "kill of everybody");
    expect_errno(kill(0, 0), EPERM, "kill of the group");
    expect_errno(syscall(SYS_tkill, getppid(), 0), EPERM, "tkill");
    expect_errno(syscall(SYS_tgkill, getppid(), getppid(), 0), EPERM, "tgkill");
    expect_errno(syscall(SYS_rt_sigqueueinfo, getppid(), 0, NULL), EPERM, "rt_sigqueueinfo");
    expect_errno(syscall(SYS_pidfd_open, getppid(), 0), EPERM, "pidfd_open");
    expect_errno(syscall(SYS_pidfd_send_signal, -1, 0, NULL, 0), EPERM, "pidfd_send_signal");
    // Signals by other ways: a limit of processor time, and the owner of a descriptor.
    expect_errno(prlimit(getppid(), RLIMIT_CPU, &none, NULL), EPERM, "prlimit of another");
    expect_errno(fcntl(pipes[0], F_SETOWN, getppid()), EPERM, "F_SETOWN");
    CHECK_INT(kill(getpid(), 0), 0);
    CHECK_INT(syscall(SYS_tgkill, getpid(), getpid(), 0), 0); // abort() is that
    CHECK_INT(prlimit(getpid(), RLIMIT_CORE, NULL, &none), 0);
}

TEST(processes_are_limited)
{
    AUTO_JSON json_t *request = json_pack("{s:b}", "verify", false);
    struct rlimit limit;

    enter(request);
    CHECK_INT(getrlimit(RLIMIT_NPROC, &limit), 0);
    CHECK_INT(limit.rlim_cur, 4096);
    CHECK_INT(limit.rlim_max, 4096);
    // Programs are started to verify signatures alone.
    expect_errno(fork(), EPERM, "fork without spec.verify");
}

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

static void expect_open(const char *path, int flags, int wanted)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (wanted)
        expect_errno(fd, wanted, path);
    else if (fd < 0)
        test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    else
        close(fd);
}

TEST(files_that_can_be_reached)
{
    AUTO_MEM char *outside = test_path("token");
    AUTO_MEM char *inside = test_path("scratch/file");
    AUTO_MEM char *root = test_path("repositories");
    AUTO_MEM char *repository = test_path("repositories/config");
    AUTO_MEM char *memory = str_format("/proc/%d/mem", (int)getppid());
    AUTO_MEM char *environment = str_format("/proc/%d/environ", (int)getppid());
    AUTO_JSON json_t *request = json_pack("{s:s}", "fileRoot", root);

    if (!has_landlock()) {
        fprintf(stderr, "not tried: this kernel has no Landlock\n");
        return;
    }
    test_write(outside, "word");
    CHECK(mkdir(root, 0700) == 0);
    test_write(repository, "x");
    enter(request);
    expect_open(inside, O_RDWR | O_CREAT, 0);
    expect_open("/etc/hosts", O_RDONLY, 0);
    expect_open("/usr/bin/env", O_RDONLY, 0);
    expect_open("/dev/null", O_RDWR, 0);
    expect_open(repository, O_RDONLY, 0);
    expect_open(repository, O_RDWR, EACCES);
    expect_open(outside, O_RDONLY, EACCES);
    expect_open(outside, O_WRONLY, EACCES);
    expect_open(test_dir(), O_RDONLY | O_DIRECTORY, EACCES);
    expect_open("/usr/bin/env", O_WRONLY, EACCES);
    expect_open(memory, O_RDWR, EACCES);
    expect_open(environment, O_RDONLY, EACCES);
}

TEST_MAIN()
