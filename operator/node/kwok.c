// SPDX-License-Identifier: Apache-2.0
// The site of a cluster that kwokctl made with the binary runtime: one kwok.yaml, of which a
// component's text is a part (site_kwok_part()).
#include "node_internal.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// --- the file ------------------------------------------------------------------------------------

// What is in the file is started as us, and what a pid file names is ended as us: whoever may write
// there must be us.
static struct error *check_ours(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return NULL; // what is not there is somebody else's to say
    if (st.st_uid != geteuid())
        return error_new(ERROR_INVALID,
                         "%s belongs to the user %u: the agent has to run as that user", path,
                         (unsigned)st.st_uid);
    if (!S_ISLNK(st.st_mode) && st.st_mode & (S_IWGRP | S_IWOTH))
        return error_new(ERROR_INVALID,
                         "others than its owner may write %s, and so have anything started as the "
                         "agent's user: chmod go-w it",
                         path);
    return NULL;
}

static struct error *check_all_ours(const char *path)
{
    static const char *const below[] = {"pids", "logs"};
    AUTO_MEM char *dir = guard_dir_of(path);
    struct error *err = check_ours(dir);
    for (size_t i = 0; i < COUNT(below) && !err; i++) {
        AUTO_MEM char *sub = str_format("%s/%s", dir, below[i]);
        err = check_ours(sub);
    }
    return err ? err : check_ours(path);
}

static struct error *kwok_read(const char *path, enum component component,
                               struct node_file *ret_file)
{
    struct node_file file = {0};
    size_t from = 0, to = 0;
    struct error *err = check_all_ours(path);
    if (!err)
        err = node_file_read_or_empty(path, &file);
    if (!err && file.text)
        err = site_kwok_part(node_file_slice(&file), path, component, &from, &to);
    bool gone = err && error_kind(err) == ERROR_NOT_FOUND;
    if (!err || gone) {
        struct slice part = slice_sub(node_file_slice(&file), from, to);
        *ret_file = (struct node_file){.path = str_dup(path), .len = part.len};
        ret_file->text = file.text && !gone ? slice_dup(part) : NULL;
        doc_digest(part, ret_file->digest);
    }
    node_file_fini(&file);
    if (!gone)
        return err;
    error_free(err); // a cluster may be without it
    return NULL;
}

// The bytes with that text in the place of the part.
static struct error *compose(struct slice bytes, const char *file_name, size_t from, size_t to,
                             struct slice text, struct buf *all)
{
    *all = buf_make(NODE_FILE_BYTES_MAX);
    buf_add_slice(all, slice_sub(bytes, 0, from));
    buf_add_slice(all, text);
    buf_add_slice(all, slice_sub(bytes, to, bytes.len));
    return all->overflow ? error_new(ERROR_LIMIT, "%s would be too large", file_name) : NULL;
}

static struct error *replace_in(const struct node_file *file, enum component component,
                                const char *digest_was, struct slice text, struct buf *all)
{
    size_t from = 0, to = 0;
    char digest[DOC_DIGEST_BYTES];
    struct slice bytes = node_file_slice(file);
    struct error *err = site_kwok_part(bytes, file->path, component, &from, &to);
    if (err)
        return err;
    doc_digest(slice_sub(bytes, from, to), digest);
    if (!str_eq(digest, digest_was))
        return error_new(ERROR_CONFLICT, "%s in %s was changed by somebody else",
                         component_name(component), file->path);
    return compose(bytes, file->path, from, to, text, all);
}

static struct error *kwok_replace(const char *path, enum component component,
                                  const char *digest_was, struct slice text, bool back)
{
    struct node_file file = {0};
    AUTO_BUF struct buf all = {0};
    struct error *err = node_file_read(path, &file);
    if (!err)
        err = replace_in(&file, component, digest_was, text, &all);
    if (!err)
        err = back ? node_file_put_back(path, file.digest, buf_slice(&all))
                   : node_file_replace(path, file.digest, buf_slice(&all));
    node_file_fini(&file);
    return err;
}

// --- a component ---------------------------------------------------------------------------------

char *node_kwok_path(const struct node_unit *unit, const char *dir, const char *suffix)
{
    const json_t *item = json_array_get(unit->tree, 0);
    const char *program = node_base_name(doc_str(item, "binary", NULL));
    const char *dot = strrchr(program, '.');
    AUTO_MEM char *name = dot ? str_ndup(program, (size_t)(dot - program)) : str_dup(program);
    return str_format("%s/%s/%s%s", doc_str(item, "workDir", NULL), dir, name, suffix);
}

// Where kwokctl says that it is asked, else where its flags say.
static char *kwok_base(const struct node_unit *unit)
{
    const json_t *metric = doc_get(json_array_get(unit->tree, 0), "metric", NULL);
    const char *host = doc_str(metric, "host", NULL);
    bool plain = str_eq(doc_str(metric, "scheme", NULL), "http");
    return host[0] ? str_format("%s://%s", plain ? "http" : "https", host)
                   : node_probe_base(NULL, unit->argv, unit->component);
}

static void kwok_each_log(const struct node_unit *unit, node_log_fn *fn, void *owner)
{
    AUTO_MEM char *path = node_kwok_path(unit, "logs", ".log");
    fn(owner, path);
}

static char *kwok_host_file(const struct node_unit *unit, const char *path)
{
    (void)unit;
    return str_dup(path);
}

// --- looking -------------------------------------------------------------------------------------

static const char *kwok_dir(const struct node_paths *paths)
{
    return paths->kwok_dir;
}

static void observe(struct node_unit *unit, const char *path)
{
    AUTO_JSON json_t *tree = NULL;
    AUTO_MEM char *problem = NULL;
    struct node_found found = {0};
    struct node_file *file = &found.files[NODE_FILE_MAIN];
    struct error *err = kwok_read(path, unit->component, file);
    if (!err && !file->text) {
        node_file_fini(file);
        node_unit_vanish(unit);
        return;
    }
    if (!err)
        err = doc_parse_yaml(node_file_slice(file), path, &tree);
    if (!file->path)
        file->path = str_dup(path);
    problem = err ? node_take_text(err) : NULL;
    found.tree = tree;
    found.problem = problem;
    node_unit_adopt(unit, &found);
}

static void kwok_observe(struct node *node)
{
    AUTO_MEM char *path = str_format("%s/" NODE_KWOK_FILE, node->spec.paths.kwok_dir);
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++)
        observe(&node->units[c], path);
}

const struct node_site node_site_kwok = {
    .codec = &site_kwok,
    .dir = kwok_dir,
    .observe = kwok_observe,
    .read = kwok_read,
    .replace = kwok_replace,
    .runs = node_kwok_runs,
    .look = node_kwok_look,
    .base = kwok_base,
    .each_log = kwok_each_log,
    .host_file = kwok_host_file,
    .restart = node_kwok_restart,
    .keep = node_kwok_keep,
};
