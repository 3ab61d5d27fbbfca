// SPDX-License-Identifier: Apache-2.0
// What a process takes from itself, and from all that it starts, before it touches what strangers
// sent. The list of system calls is one of those that are denied: libraries and programs of others
// are not ours to enumerate, but none of them needs these.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drawbridge/loop.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define OPEN_FILES_MAX ((rlim_t)65536)

// --- limits --------------------------------------------------------------------------------------

struct error *loop_confine_limit(int what, uint64_t value, const char *name)
{
    struct rlimit both = {value, value};

    if (setrlimit((__rlimit_resource_t)what, &both) == 0)
        return NULL;
    return error_errno(errno, "limit of %s", name);
}

uint64_t loop_raise_open_files(void)
{
    struct rlimit files = {0};

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return 0;
    if (files.rlim_cur < files.rlim_max && files.rlim_cur < OPEN_FILES_MAX) {
        struct rlimit more = files;

        more.rlim_cur = files.rlim_max < OPEN_FILES_MAX ? files.rlim_max : OPEN_FILES_MAX;
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            files = more;
    }
    return files.rlim_cur;
}

// --- system calls --------------------------------------------------------------------------------

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

    // EINVAL is a kernel without it too. Whoever can run containers has one with it.
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0
               ? NULL
               : error_errno(errno, "seccomp");
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
#define THREADS (CLONE_THREAD | (SANITIZED ? CLONE_UNTRACED : 0))
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
#if !SANITIZED // its leak checker traces its own process
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

struct error *loop_confine_calls(bool starts)
{
    struct error *err = NULL;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        err = error_errno(errno, "no_new_privs");
    if (!err)
        err = filter_calls();
    if (!err)
        err = filter_signals();
    return err || starts ? err : filter_starts();
}
#else
struct error *loop_confine_calls(bool starts)
{
    (void)starts;
    return error_new(ERROR_INVALID, "no filter of system calls is known for this processor");
}
#endif

// --- files ---------------------------------------------------------------------------------------

// Rights that may be given for a file; all others are of directories.
#define OF_FILES                                                                                   \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define READ ((OF_FILES & ~LANDLOCK_ACCESS_FS_WRITE_FILE) | LANDLOCK_ACCESS_FS_READ_DIR)
#define ALL ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) // of the first version

static struct error *allow(int rules, const char *path, __u64 access)
{
    struct landlock_path_beneath_attr beneath = {.allowed_access = access};
    struct stat about;
    struct error *err = NULL;

    beneath.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (beneath.parent_fd < 0)
        return NULL; // what is not there cannot be reached either
    if (fstat(beneath.parent_fd, &about) == 0 && !S_ISDIR(about.st_mode))
        beneath.allowed_access &= OF_FILES;
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0)
        err = error_errno(errno, "landlock: %s", path);
    close(beneath.parent_fd);
    return err;
}

static struct error *allow_each(int rules, const char *const *paths, __u64 access)
{
    struct error *err = NULL;

    for (size_t i = 0; !err && paths && paths[i]; i++)
        err = allow(rules, paths[i], access);
    return err;
}

// Programs and libraries of the system, and what names and certificates are looked up in.
static struct error *allow_all(int rules, const char *const *readable, const char *const *writable)
{
    static const char *const of_the_system[] = {
        "/usr",           "/bin",          "/lib",           "/lib64",      "/etc/ld.so.cache",
        "/etc/ssl",       "/etc/pki",      "/etc/hosts",     "/etc/group",  "/etc/resolv.conf",
        "/etc/host.conf", "/etc/gai.conf", "/etc/services",  "/etc/passwd", "/etc/nsswitch.conf",
        "/etc/localtime", "/dev/urandom",  "/etc/protocols", "/proc/self",  NULL};
    static const char *const of_nobody[] = {"/dev/null", NULL};
    struct error *err = allow_each(rules, of_the_system, READ);

    if (!err)
        err = allow_each(rules, of_nobody, ALL);
    if (!err)
        err = allow_each(rules, readable, READ);
    return err ? err : allow_each(rules, writable, ALL);
}

struct error *loop_confine_paths(const char *const *readable, const char *const *writable)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = ALL};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    struct error *err;

    // Not built in, off, or denied by a container's own filter of calls.
    if (rules < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM))
        return NULL;
    if (rules < 0)
        return error_errno(errno, "landlock");
    err = allow_all(rules, readable, writable);
    if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        err = error_errno(errno, "no_new_privs");
    if (!err && syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        err = error_errno(errno, "landlock");
    close(rules);
    return err;
}

bool loop_confine_has_paths(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}
