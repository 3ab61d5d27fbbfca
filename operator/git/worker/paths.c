// SPDX-License-Identifier: Apache-2.0
// Which files a worker that went wrong can reach: its own directory, the programs and libraries of
// the system, and what names and certificates are looked up in. Not the controller's token, and
// nothing of its process: Landlock keeps ptrace and /proc/PID/mem of others away too. A kernel
// without Landlock has the other limits alone.
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker.h"

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

static struct error *allow_all(int rules, const struct worker *worker)
{
    static const char *const readable[] = {
        "/usr",           "/bin",          "/lib",           "/lib64",      "/etc/ld.so.cache",
        "/etc/ssl",       "/etc/pki",      "/etc/hosts",     "/etc/group",  "/etc/resolv.conf",
        "/etc/host.conf", "/etc/gai.conf", "/etc/services",  "/etc/passwd", "/etc/nsswitch.conf",
        "/etc/localtime", "/dev/urandom",  "/etc/protocols", "/proc/self",
    };
    struct error *err = allow(rules, worker->dir, ALL);

    if (!err)
        err = allow(rules, "/dev/null", ALL);
    if (!err && *worker_text(worker, "fileRoot"))
        err = allow(rules, worker_text(worker, "fileRoot"), READ);
    for (size_t i = 0; !err && i < COUNT(readable); i++)
        err = allow(rules, readable[i], READ);
    return err;
}

struct error *paths_confine(const struct worker *worker)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = ALL};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    struct error *err;

    // Not built in, off, or denied by a container's own filter of calls.
    if (rules < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM))
        return NULL;
    if (rules < 0)
        return error_errno(errno, "landlock");
    err = allow_all(rules, worker);
    if (!err && syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        err = error_errno(errno, "landlock");
    close(rules);
    return err;
}
