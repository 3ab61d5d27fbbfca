// SPDX-License-Identifier: Apache-2.0
// The only place of this room that touches files. A file is replaced whole (dot-temp, fsync,
// rename, fsync of the directory), so that the kubelet and a crash see the old bytes or the new
// ones and nothing between; the kubelet ignores names with a leading dot.
#include "node_internal.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_FILE_MODE 0644 // as kubeadm's

static void dir_close(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}
#define AUTO_DIR CLEANUP(dir_close)

const char *node_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *node_plain(struct slice text)
{
    char *plain = text_make(text, NODE_MESSAGE_BYTES_MAX);
    for (char *at = plain; *at; at++) {
        unsigned char c = (unsigned char)*at;
        *at = c == '\t' ? ' ' : c < 0x20 || c == 0x7f ? '?' : *at;
    }
    return plain;
}

void node_file_fini(struct node_file *file)
{
    mem_free(file->path);
    mem_free(file->text);
    *file = (struct node_file){0};
}

static void take_bytes(const char *path, struct guard_file *take_file, struct node_file *ret_file)
{
    *ret_file = (struct node_file){.path = str_dup(path), .len = take_file->len};
    ret_file->text = TAKE(take_file->text);
    doc_digest(node_file_slice(ret_file), ret_file->digest);
}

static struct error *read_file(const char *path, bool follow_links, struct node_file *ret_file)
{
    AUTO_GUARD_FILE struct guard_file file = {0};
    struct error *err = guard_file_read(path, follow_links, NODE_FILE_BYTES_MAX, &file);
    if (err)
        return err;
    if (!file.there)
        return error_errno(ENOENT, "open %s", path);
    take_bytes(path, &file, ret_file);
    return NULL;
}

struct error *node_file_read(const char *path, struct node_file *ret_file)
{
    return read_file(path, false, ret_file);
}

struct error *node_file_read_linked(const char *path, struct node_file *ret_file)
{
    return read_file(path, true, ret_file);
}

struct error *node_file_read_or_empty(const char *path, struct node_file *ret_file)
{
    AUTO_GUARD_FILE struct guard_file file = {0};
    struct error *err = guard_file_read(path, false, NODE_FILE_BYTES_MAX, &file);
    if (!err)
        take_bytes(path, &file, ret_file);
    return err;
}

struct error *node_file_store(const char *path, struct slice text)
{
    return guard_file_store(path, text, 0600);
}

static struct error *must_be(const char *path, const char *digest, struct guard_file *ret_file)
{
    struct error *err = guard_file_read(path, false, NODE_FILE_BYTES_MAX, ret_file);
    if (err)
        return err;
    char now[DOC_DIGEST_BYTES];
    doc_digest((struct slice){ret_file->text, ret_file->len}, now);
    if (str_eq(now, digest))
        return NULL;
    return error_new(ERROR_CONFLICT, "%s was %s", path,
                     ret_file->there ? "changed by somebody else" : "removed");
}

// The file has its new bytes, whatever the disk says afterwards: "as it was" would be a lie, and
// nobody would put it back. After a loss of power the old bytes may be there again, which the
// journal knows what to do with.
static struct error *done_but_for_the_disk(struct error *take_err)
{
    if (take_err)
        log_line(LOG_WARN, "node", "a file is replaced, but the disk may forget that: %s",
                 error_text(take_err));
    error_free(take_err);
    return NULL;
}

static struct error *replace(const char *path, const char *digest_was, struct slice text,
                             char **ret_lost)
{
    AUTO_GUARD_FILE struct guard_file was = {0};
    AUTO_GUARD_FILE struct guard_file again = {0};
    struct error *err = must_be(path, digest_was, &was);
    if (err)
        return err;
    bool done = false;
    if (text.len == 0) {
        err = guard_file_take_away(path, &done);
        return done ? done_but_for_the_disk(err) : err;
    }
    AUTO_MEM char *temp = guard_temp_name(path);
    err = guard_temp_write(temp, text, was.there ? was.mode : NEW_FILE_MODE,
                           was.there ? was.uid : geteuid(), was.there ? was.gid : getegid(), path,
                           ret_lost);
    // Writing took its time: look again as late as can be.
    if (!err)
        err = must_be(path, digest_was, &again);
    if (!err)
        err = guard_temp_move(temp, path, &done);
    if (done)
        return done_but_for_the_disk(err);
    if (err)
        unlink(temp);
    return err;
}

struct error *node_file_replace(const char *path, const char *digest_was, struct slice text)
{
    return replace(path, digest_was, text, NULL);
}

struct error *node_file_put_back(const char *path, const char *digest_was, struct slice text)
{
    AUTO_MEM char *lost = NULL;
    struct error *err = replace(path, digest_was, text, &lost);
    if (!err && lost)
        log_line(LOG_WARN, "node", "%s is put back without its extended attributes: %s", path,
                 lost);
    return err;
}

struct error *node_dir_make(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return NULL;
    if (errno != ENOENT)
        return error_errno(errno, "make directory %s", path);
    AUTO_MEM char *parent = guard_dir_of(path);
    struct error *err = str_eq(parent, path) ? error_errno(ENOENT, "make directory %s", path)
                                             : node_dir_make(parent);
    if (err)
        return err;
    return mkdir(path, 0700) == 0 || errno == EEXIST
               ? NULL
               : error_errno(errno, "make directory %s", path);
}

struct error *node_dir_list(const char *path, bool hidden, struct strlist *ret_names)
{
    AUTO_DIR DIR *dir = opendir(path);
    if (!dir)
        return error_errno(errno, "open %s", path);
    AUTO_STRLIST struct strlist names = {0};
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (str_eq(name, ".") || str_eq(name, "..") || (name[0] == '.' && !hidden))
            continue;
        strlist_add(&names, name);
        if (names.len > 10000)
            return error_new(ERROR_LIMIT, "%s has more than 10000 entries", path);
    }
    strlist_sort(&names);
    *ret_names = names;
    names = (struct strlist){0};
    return NULL;
}

void node_dir_sweep(const char *path)
{
    AUTO_STRLIST struct strlist names = {0};
    struct error *err = node_dir_list(path, true, &names);
    if (err) {
        error_ignore(err, "nothing to clean up where nothing can be listed");
        return;
    }
    for (size_t i = 0; i < names.len; i++) {
        if (!str_starts(names.items[i], ".drawbridge-") || !str_ends(names.items[i], ".tmp"))
            continue;
        AUTO_MEM char *temp = str_format("%s/%s", path, names.items[i]);
        unlink(temp);
    }
}
