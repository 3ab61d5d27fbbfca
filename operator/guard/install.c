// SPDX-License-Identifier: Apache-2.0
// How the program and the kubelet's drop-in come to be on the node, and how they go.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard_internal.h"

#define DROP_IN_FIRST                                                                              \
    "# Drawbridge's guard of the kubelet's configuration; goes when Drawbridge is uninstalled.\n"

static bool is(const struct guard_file *file, struct slice bytes)
{
    return file->there && file->len == bytes.len && memcmp(file->text, bytes.ptr, bytes.len) == 0;
}

struct error *guard_install(const char *dir, const char *program)
{
    AUTO_GUARD_LOCK int lock = -1;
    AUTO_GUARD_FILE struct guard_file ours = {0};
    AUTO_GUARD_FILE struct guard_file there = {0};
    AUTO_MEM char *path = guard_path(dir, GUARD_PROGRAM);
    struct error *err = guard_file_read(program, true, GUARD_PROGRAM_BYTES_MAX, &ours);

    if (!err && !ours.there)
        err = error_new(ERROR_NOT_FOUND, "%s is not there", program);
    if (!err)
        err = guard_dir_make(dir);
    if (!err)
        err = guard_lock(dir, &lock);
    if (!err)
        err = guard_file_read(path, false, GUARD_PROGRAM_BYTES_MAX, &there);
    if (err)
        return err;
    struct slice bytes = {ours.text, ours.len};
    return is(&there, bytes) && there.mode == 0755 ? NULL : guard_file_store(path, bytes, 0755);
}

// A word of a unit file: nothing in it that a service manager would read as more than a letter.
static bool is_plain(const char *path)
{
    return path[0] == '/' &&
           path[strspn(path,
                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:")] ==
               '\0';
}

struct error *guard_drop_in_write(const char *unit_dir, const char *dir, bool *ret_changed)
{
    AUTO_GUARD_FILE struct guard_file there = {0};
    AUTO_MEM char *path = guard_path(unit_dir, GUARD_DROP_IN);

    *ret_changed = false;
    if (!is_plain(dir))
        return error_new(ERROR_INVALID, "%s cannot stand in a unit file", dir);
    AUTO_MEM char *text = str_format(
        DROP_IN_FIRST "[Service]\nExecStartPre=-%s/" GUARD_PROGRAM " start %s\n", dir, dir);
    if (mkdir(unit_dir, 0755) < 0 && errno != EEXIST)
        return error_errno(errno, "make %s", unit_dir);
    struct error *err = guard_file_read(path, false, GUARD_FILE_BYTES_MAX, &there);
    if (err || is(&there, slice_of(text)))
        return err;
    err = guard_file_store(path, slice_of(text), 0644);
    *ret_changed = !err;
    return err;
}

static struct error *drop_in_remove(const char *unit_dir, bool *ret_changed)
{
    AUTO_GUARD_FILE struct guard_file there = {0};
    AUTO_MEM char *path = guard_path(unit_dir, GUARD_DROP_IN);
    struct error *err = guard_file_read(path, false, GUARD_FILE_BYTES_MAX, &there);

    if (err || !there.there)
        return err;
    if (!slice_starts((struct slice){there.text, there.len}, DROP_IN_FIRST))
        return error_new(ERROR_CONFLICT, "%s is not ours: left as it is", path);
    err = guard_file_remove(path);
    *ret_changed = !err;
    if (!err)
        rmdir(unit_dir); // unless somebody else has something in it
    return err;
}

struct error *guard_remove(const char *dir, const char *unit_dir, bool *ret_changed)
{
    static const char *const names[] = {"starts", "verdict", GUARD_PROGRAM, "lock"};
    AUTO_GUARD_LOCK int lock = -1;
    struct guard_state state = {0};
    struct stat st;

    *ret_changed = false;
    if (stat(dir, &st) < 0 && errno == ENOENT)
        return drop_in_remove(unit_dir, ret_changed);
    struct error *err = guard_lock(dir, &lock);
    if (!err)
        err = guard_look(dir, &state);
    if (!err && state.armed)
        err = error_new(ERROR_CONFLICT,
                        "an edit of the kubelet's configuration is under way: the guard stays");
    if (!err)
        err = drop_in_remove(unit_dir, ret_changed);
    for (size_t i = 0; i < COUNT(names) && !err; i++) {
        AUTO_MEM char *path = guard_path(dir, names[i]);
        err = guard_file_remove(path);
    }
    if (!err && rmdir(dir) < 0 && errno != ENOENT && errno != ENOTEMPTY)
        err = error_errno(errno, "remove %s", dir);
    return err;
}
