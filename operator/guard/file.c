// SPDX-License-Identifier: Apache-2.0
// Files that are there whole or not at all: a temporary file beside, on the disk, then one rename.
// Whatever moment we die in, the name leads to the old bytes or to the new ones.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "guard_internal.h"

void (*guard_test_hook)(const char *stage);
int (*guard_fsync)(int fd) = fsync;
ssize_t (*guard_llistxattr)(const char *path, char *list, size_t size) = llistxattr;

void guard_stage(const char *stage)
{
    if (guard_test_hook)
        guard_test_hook(stage);
}

static void fd_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define AUTO_FD CLEANUP(fd_close)

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

char *guard_dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return str_dup(".");
    return slash == path ? str_dup("/") : str_ndup(path, (size_t)(slash - path));
}

char *guard_temp_name(const char *path)
{
    AUTO_MEM char *dir = guard_dir_of(path);

    return str_format("%s/.drawbridge-%s.%016llx.tmp", dir, base_name(path),
                      (unsigned long long)rand_u64());
}

void guard_file_fini(struct guard_file *file)
{
    mem_free(file->text);
    *file = (struct guard_file){0};
}

static struct error *read_whole(int fd, const char *path, struct buf *text)
{
    char chunk[16384];

    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(errno, "read %s", path);
        if (got == 0)
            return NULL;
        buf_add(text, chunk, (size_t)got);
        if (text->overflow)
            return error_new(ERROR_LIMIT, "%s is larger than %zu bytes", path, text->max);
    }
}

// A pipe in its place must not block us, a link must not lead us elsewhere.
struct error *guard_file_read(const char *path, bool follow_links, size_t bytes_max,
                              struct guard_file *ret_file)
{
    AUTO_FD int fd =
        open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (follow_links ? 0 : O_NOFOLLOW));
    struct stat st;

    if (fd < 0 && errno == ELOOP)
        return error_new(ERROR_INVALID, "%s is a symbolic link", path);
    if (fd < 0 && errno == ENOENT) {
        *ret_file = (struct guard_file){.text = str_dup("")};
        return NULL;
    }
    if (fd < 0)
        return error_errno(errno, "open %s", path);
    if (fstat(fd, &st) < 0)
        return error_errno(errno, "stat %s", path);
    if (!S_ISREG(st.st_mode))
        return error_new(ERROR_INVALID, "%s is not a regular file", path);
    AUTO_BUF struct buf text = buf_make(bytes_max);
    struct error *err = read_whole(fd, path, &text);
    if (err)
        return err;
    *ret_file = (struct guard_file){.there = true,
                                    .len = text.len,
                                    .mode = st.st_mode & 07777,
                                    .uid = st.st_uid,
                                    .gid = st.st_gid};
    ret_file->text = buf_take(&text);
    return NULL;
}

static struct error *write_whole(int fd, const char *path, struct slice text)
{
    size_t done = 0;

    while (done < text.len) {
        ssize_t put = write(fd, text.ptr + done, text.len - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_errno(errno, "write %s", path);
        done += (size_t)put;
    }
    return NULL;
}

struct error *guard_dir_sync(const char *dir)
{
    AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(errno, "open %s", dir);
    if (guard_fsync(fd) < 0 && errno != EINVAL)
        return error_errno(errno, "fsync %s", dir);
    return NULL;
}

#define XATTR_LIST_BYTES_MAX 65536
#define XATTR_BYTES_MAX 65536

// What people and security modules say of a file. Not what the kernel keeps for itself: digests of
// its bytes (security.ima), overlay's marks (trusted.*).
static bool is_copied(const char *name)
{
    return str_starts(name, "user.") || str_eq(name, "system.posix_acl_access") ||
           str_eq(name, "security.selinux") || str_starts(name, "security.SMACK64");
}

static struct error *copy_xattr(const char *like, const char *temp, int fd, const char *name)
{
    AUTO_MEM char *value = mem_alloc(XATTR_BYTES_MAX);
    ssize_t len = lgetxattr(like, name, value, XATTR_BYTES_MAX);

    if (len < 0) // gone meanwhile, or another file: whoever looks again sees that
        return errno == ENODATA || errno == ENOENT
                   ? NULL
                   : error_errno(errno, "read %s of %s", name, like);
    if (fsetxattr(fd, name, value, (size_t)len, 0) == 0)
        return NULL;
    // a label that this file system gives by itself, with a mount option
    return errno == ENOTSUP ? NULL : error_errno(errno, "set %s of %s", name, temp);
}

static struct error *copy_xattrs(const char *like, const char *temp, int fd)
{
    AUTO_MEM char *names = mem_alloc(XATTR_LIST_BYTES_MAX);
    ssize_t len = guard_llistxattr(like, names, XATTR_LIST_BYTES_MAX);

    if (len < 0)
        return errno == ENOTSUP || errno == ENOENT
                   ? NULL
                   : error_errno(errno, "list the extended attributes of %s", like);
    struct error *first = NULL;
    for (const char *name = names; name < names + len; name += strlen(name) + 1) {
        struct error *err = is_copied(name) ? copy_xattr(like, temp, fd, name) : NULL;
        if (err && first)
            error_ignore(err, "the first says enough; the other attributes are copied");
        else if (err)
            first = err;
    }
    return first;
}

struct error *guard_temp_write(const char *temp, struct slice text, mode_t mode, uid_t uid,
                               gid_t gid, const char *like, char **ret_lost)
{
    AUTO_FD int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(errno, "create %s", temp);
    guard_stage("temp created");
    struct error *err = write_whole(fd, temp, text);
    if (err)
        return err;
    guard_stage("temp written");
    // The owner first: a change of owner may clear bits of the mode. Only root may give a file
    // away, and only root has to.
    if ((uid != geteuid() || gid != getegid()) && fchown(fd, uid, gid) < 0 && errno != EPERM)
        return error_errno(errno, "change owner of %s", temp);
    err = like ? copy_xattrs(like, temp, fd) : NULL;
    if (err && !ret_lost)
        return err;
    if (err) {
        *ret_lost = str_dup(error_text(err));
        error_ignore(err, "the caller wants the bytes all the same");
    }
    if (fchmod(fd, mode) < 0)
        return error_errno(errno, "change mode of %s", temp);
    if (guard_fsync(fd) < 0)
        return error_errno(errno, "fsync %s", temp);
    guard_stage("temp synced");
    return NULL;
}

struct error *guard_temp_move(const char *temp, const char *path, bool *ret_moved)
{
    *ret_moved = false;
    if (rename(temp, path) < 0)
        return error_errno(errno, "rename %s to %s", temp, path);
    *ret_moved = true;
    guard_stage("renamed");
    AUTO_MEM char *dir = guard_dir_of(path);
    struct error *err = guard_dir_sync(dir);
    guard_stage("directory synced");
    return err;
}

struct error *guard_file_store(const char *path, struct slice text, mode_t mode)
{
    AUTO_MEM char *temp = guard_temp_name(path);
    bool moved = false;
    struct error *err = guard_temp_write(temp, text, mode, geteuid(), getegid(), NULL, NULL);

    if (!err)
        err = guard_temp_move(temp, path, &moved);
    if (err && !moved)
        unlink(temp);
    return err;
}

struct error *guard_file_take_away(const char *path, bool *ret_gone)
{
    AUTO_MEM char *dir = guard_dir_of(path);

    *ret_gone = unlink(path) == 0 || errno == ENOENT;
    if (!*ret_gone)
        return error_errno(errno, "remove %s", path);
    guard_stage("removed");
    struct error *err = guard_dir_sync(dir);
    guard_stage("removal synced");
    return err;
}

struct error *guard_file_remove(const char *path)
{
    bool gone;

    return access(path, F_OK) < 0 && errno == ENOENT ? NULL : guard_file_take_away(path, &gone);
}
