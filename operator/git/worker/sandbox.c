// SPDX-License-Identifier: Apache-2.0
// What a worker that went wrong can do at most. The list of system calls is one of those that are
// denied: libgit2, libssh2 and what verifies signatures are not ours to enumerate, but none of them
// needs these.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker.h"

#define FILES_OPEN_MAX 128
// The kernel counts all processes and threads of a user on the node, whatever container they are
// in, and 65532 is a user whom many images have: this ends a flood, and is nothing that others
// could use up.
#define PROCESSES_MAX 4096
#define PROCESSOR_SECONDS_MORE 5

static struct error *limit(__rlimit_resource_t what, rlim_t value, const char *name)
{
    struct rlimit both = {value, value};

    if (setrlimit(what, &both) == 0)
        return NULL;
    return error_errno(errno, "limit of %s", name);
}

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef OUR_ARCH
#define ANSWER(why) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (why))
#define DENY(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), ANSWER(EPERM)
#define LOAD_CALL BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define X32_CALLS 0x40000000 // the same calls under other numbers
#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |     \
     CLONE_NEWCGROUP)

// The low half of an argument; both architectures have it first.
#define LOAD_ARGUMENT(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define IOCTL_OWNER 0x8901 // FIOSETOWN, and SIOCSPGRP beside it

static struct error *install(const struct sock_filter *filter, size_t len)
{
    union { // the kernel only reads it
        const struct sock_filter *given;
        struct sock_filter *wanted;
    } only_read = {.given = filter};
    struct sock_fprog program = {.len = (unsigned short)len, .filter = only_read.wanted};

    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0 && errno != EINVAL)
        return error_errno(errno, "seccomp");
    return NULL; // EINVAL: a kernel without seccomp
}

// Signals to itself alone, which abort() is, and no other way to send one.
static struct error *filter_signals(void)
{
    const __u32 own = (__u32)getpid();
    const struct sock_filter filter[] = {
        LOAD_CALL,
        IS(SYS_kill, 1, 0),
        IS(SYS_tgkill, 0, 4),
        LOAD_ARGUMENT(0),
        IS(own, 1, 0),
        ANSWER(EPERM),
        LOAD_CALL,
        // A limit of processor time is a signal too.
        IS(SYS_prlimit64, 0, 5),
        LOAD_ARGUMENT(0),
        IS(0, 2, 0),
        IS(own, 1, 0),
        ANSWER(EPERM),
        LOAD_CALL,
        // And so is the owner of a descriptor.
        IS(SYS_fcntl, 0, 6),
        LOAD_ARGUMENT(1),
        IS(F_SETOWN, 2, 0),
        IS(F_SETOWN_EX, 1, 0),
        IS(F_SETSIG, 0, 1),
        ANSWER(EPERM),
        LOAD_CALL,
        IS(SYS_ioctl, 0, 5),
        LOAD_ARGUMENT(1),
        IS(IOCTL_OWNER, 1, 0),
        IS(IOCTL_OWNER + 1, 0, 1),
        ANSWER(EPERM),
        LOAD_CALL,
        DENY(tkill),
        DENY(rt_sigqueueinfo),
        DENY(rt_tgsigqueueinfo),
        DENY(pidfd_open),
        DENY(pidfd_send_signal),
        DENY(process_madvise),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    return install(filter, COUNT(filter));
}

// No program is started, and no process. Threads make the pack of a file:// repository, and the
// leak checker of a sanitizer is a process that nobody traces.
#define THREADS (CLONE_THREAD | (WORKER_SANITIZED ? CLONE_UNTRACED : 0))
static struct error *filter_starts(void)
{
    static const struct sock_filter filter[] = {
        LOAD_CALL,
        IS(SYS_clone, 0, 4),
        LOAD_ARGUMENT(0),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, THREADS, 1, 0),
        ANSWER(EPERM),
        LOAD_CALL,
#ifdef SYS_fork
        DENY(fork),
        DENY(vfork),
#endif
        DENY(execve),
        DENY(execveat),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    return install(filter, COUNT(filter));
}

static struct error *filter_calls(void)
{
    static const struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        LOAD_CALL,
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1),
        ANSWER(EPERM),
        // A process is started with clone(), without namespaces of its own; where clone3() is not
        // there, that is what the C library takes. Flags are its first argument's low half.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        ANSWER(ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1),
        ANSWER(EPERM),
        LOAD_CALL,
#if !WORKER_SANITIZED // its leak checker traces its own process
        DENY(ptrace),
#endif
        DENY(process_vm_readv),
        DENY(process_vm_writev),
        DENY(pidfd_getfd),
        DENY(mount),
        DENY(umount2),
        DENY(open_tree),
        DENY(move_mount),
        DENY(fsopen),
        DENY(fsconfig),
        DENY(fsmount),
        DENY(fspick),
        DENY(mount_setattr),
        DENY(pivot_root),
        DENY(chroot),
        DENY(setns),
        DENY(unshare),
        DENY(bpf),
        DENY(perf_event_open),
        DENY(keyctl),
        DENY(add_key),
        DENY(request_key),
        DENY(kexec_load),
        DENY(kexec_file_load),
        DENY(init_module),
        DENY(finit_module),
        DENY(delete_module),
        DENY(open_by_handle_at),
        DENY(userfaultfd),
        DENY(io_uring_setup),
        DENY(listen),
        DENY(reboot),
        DENY(swapon),
        DENY(swapoff),
        DENY(acct),
        DENY(settimeofday),
        DENY(clock_settime),
        DENY(sethostname),
        DENY(setdomainname),
        DENY(quotactl),
        DENY(personality),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    return install(filter, COUNT(filter));
}
#else
static struct error *filter_calls(void)
{
    return NULL;
}
static struct error *filter_signals(void)
{
    return NULL;
}
static struct error *filter_starts(void)
{
    return NULL;
}
#endif

#if WORKER_SANITIZED
// What libgit2 and its libraries forget goes with the process; the names are the sanitizer's.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libgit2\nleak:libpcre2\nleak:libssh2";
}
const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
#endif

struct error *sandbox_enter(const struct worker *worker)
{
    rlim_t seconds = (rlim_t)doc_int(worker->request, 60, "seconds", NULL);
    rlim_t memory =
        (rlim_t)doc_int(worker->request, FETCH_MEMORY_BYTES_MAX, "memoryBytesMax", NULL);
    struct error *err = NULL;

    // A sanitizer reserves terabytes of addresses, and dumps are how it reports leaks.
    if (!WORKER_SANITIZED) {
        err = limit(RLIMIT_AS, memory, "memory");
        prctl(PR_SET_DUMPABLE, 0);
    }
    if (!err)
        err = limit(RLIMIT_CORE, 0, "core dumps");
    if (!err)
        err = limit(RLIMIT_NOFILE, FILES_OPEN_MAX, "open files");
    if (!err)
        err = limit(RLIMIT_NPROC, PROCESSES_MAX, "processes");
    if (!err)
        err = limit(RLIMIT_CPU, seconds + PROCESSOR_SECONDS_MORE, "processor time");
    // The index of a pack is smaller than the pack, or than this.
    if (!err)
        err = limit(RLIMIT_FSIZE, worker->pack_bytes_max + (rlim_t)FETCH_INDEX_BYTES_MAX,
                    "file sizes");
    if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        err = error_errno(errno, "no_new_privs");
    if (!err)
        err = paths_confine(worker);
    if (!err)
        err = filter_calls();
    if (!err)
        err = filter_signals();
    if (!err && !doc_bool(worker->request, true, "verify", NULL))
        err = filter_starts();
    return err;
}
