// SPDX-License-Identifier: Apache-2.0
// From a commit's tree to documents. Blobs are read from the object store, never from a file
// system: a path cannot lead anywhere else, and what would (links, submodules) is refused.
#include <string.h>

#include "worker.h"

#define TREE_DEPTH_MAX 32
#define NAME_BYTES_MAX 1024

struct walk {
    struct worker *worker;
    git_odb *odb;
    size_t files, bytes;
};

static bool is_yaml(const char *name)
{
    return str_ends(name, ".yaml") || str_ends(name, ".yml") || str_ends(name, ".json");
}

static struct error *limit_error(const char *file, const char *what)
{
    return error_because(ERROR_INVALID, "LimitReached", "%s: %s", file, what);
}

static struct error *add_documents(struct walk *walk, const char *file, const json_t *all)
{
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *object = json_array_get(all, i);
        json_t *entry;

        if (!json_is_object(object))
            return error_because(ERROR_INVALID, "InvalidDocument",
                                 "%s: document %zu is no object of Kubernetes", file, i + 1);
        if (json_array_size(walk->worker->documents) == FETCH_DOCUMENTS_MAX)
            return limit_error(file, "there are more than 200 documents");
        entry = json_object();
        json_object_set_new(entry, "file", doc_string(file));
        json_object_set_new(entry, "index", json_integer((json_int_t)i));
        json_object_set_new(entry, "object", doc_copy(object));
        json_array_append_new(walk->worker->documents, entry);
    }
    return NULL;
}

static struct error *parse_file(struct walk *walk, const char *file, struct slice text)
{
    AUTO_JSON json_t *all = NULL;
    struct error *err = doc_parse_yaml_all(text, file, &all);

    if (!err)
        return add_documents(walk, file, all);
    error_set_reason(err, "InvalidDocument");
    return err;
}

static struct error *read_blob(struct walk *walk, const char *file, const git_oid *id)
{
    git_blob *blob = NULL;
    git_object_t type;
    struct error *err;
    size_t size;

    // Its size first: what a few bytes of a pack expand to is not known before.
    if (git_odb_read_header(&size, &type, walk->odb, id) != 0)
        return worker_git_error(walk->worker, "GitUnreachable", "%s", file);
    walk->files++;
    walk->bytes += size;
    if (size > FETCH_FILE_BYTES_MAX)
        return limit_error(file, "the file is larger than 1 MiB");
    if (walk->files > FETCH_FILES_MAX)
        return limit_error(file, "there are more than 1000 files");
    if (walk->bytes > FETCH_FILES_BYTES_MAX)
        return limit_error(file, "the files are more than 4 MiB together");
    if (git_blob_lookup(&blob, walk->worker->repository, id) != 0)
        return worker_git_error(walk->worker, "GitUnreachable", "%s", file);
    err = parse_file(walk, file,
                     (struct slice){git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob)});
    git_blob_free(blob);
    return err;
}

static struct error *read_tree(struct walk *walk, const char *path, const git_oid *id,
                               unsigned depth);

static struct error *read_entry(struct walk *walk, const char *path, const git_tree_entry *entry,
                                unsigned depth)
{
    switch (git_tree_entry_filemode(entry)) {
    case GIT_FILEMODE_LINK:
        return error_because(ERROR_INVALID, "InvalidDocument",
                             "%s is a symbolic link; links are not followed", path);
    case GIT_FILEMODE_COMMIT:
        return error_because(ERROR_INVALID, "InvalidDocument",
                             "%s is a submodule; submodules are not fetched", path);
    case GIT_FILEMODE_TREE:
        return read_tree(walk, path, git_tree_entry_id(entry), depth + 1);
    case GIT_FILEMODE_BLOB:
    case GIT_FILEMODE_BLOB_EXECUTABLE:
        return is_yaml(path) ? read_blob(walk, path, git_tree_entry_id(entry)) : NULL;
    case GIT_FILEMODE_UNREADABLE:
        break;
    }
    return error_because(ERROR_INVALID, "InvalidDocument", "%s is no file", path);
}

static struct error *read_tree(struct walk *walk, const char *path, const git_oid *id,
                               unsigned depth)
{
    git_tree *tree = NULL;
    struct error *err = NULL;

    if (depth > TREE_DEPTH_MAX || strlen(path) > NAME_BYTES_MAX)
        return limit_error(path, "the directories are too deep");
    if (git_tree_lookup(&tree, walk->worker->repository, id) != 0)
        return worker_git_error(walk->worker, "GitUnreachable", "%s", path);
    for (size_t i = 0; !err && i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        AUTO_MEM char *child =
            str_format("%s%s%s", path, *path ? "/" : "", git_tree_entry_name(entry));

        err = read_entry(walk, child, entry, depth);
    }
    git_tree_free(tree);
    return err;
}

// "./a/b/" is a/b; "..", absolute paths and empty segments are refused.
static struct error *clean_path(const char *given, char **ret_path)
{
    AUTO_STRLIST struct strlist parts = {0};
    struct slice rest = slice_of(given), part;

    if (*given == '/')
        return error_because(ERROR_INVALID, "InvalidConfiguration",
                             "spec.path must be relative to the repository");
    while (slice_cut(&rest, '/', &part)) {
        if (part.len == 0 || slice_eq(part, "."))
            continue;
        if (slice_eq(part, ".."))
            return error_because(ERROR_INVALID, "InvalidConfiguration",
                                 "spec.path must not lead out of the repository");
        strlist_take(&parts, slice_dup(part));
    }
    *ret_path = strlist_join(&parts, "/");
    return NULL;
}

// Each directory on the way is an entry of a tree: a link there is no directory, and is refused as
// such.
static struct error *read_path(struct walk *walk, const git_tree *root, const char *path)
{
    git_tree_entry *entry = NULL;
    struct error *err;

    if (!*path)
        return read_tree(walk, "", git_tree_id(root), 0);
    if (git_tree_entry_bypath(&entry, root, path) != 0)
        return error_because(ERROR_INVALID, "PathNotFound", "the commit has no %s", path);
    err = read_entry(walk, path, entry, 0);
    git_tree_entry_free(entry);
    return err;
}

struct error *files_read(struct worker *worker)
{
    struct walk walk = {.worker = worker};
    AUTO_MEM char *path = NULL;
    git_commit *commit = NULL;
    git_tree *root = NULL;
    struct error *err = clean_path(worker_text(worker, "path"), &path);

    worker->documents = json_array();
    if (err)
        return err;
    if (git_commit_lookup(&commit, worker->repository, &worker->commit) != 0 ||
        git_commit_tree(&root, commit) != 0 ||
        git_repository_odb(&walk.odb, worker->repository) != 0)
        err = worker_git_error(worker, "GitUnreachable", "the commit's tree");
    ASSERT(path); // clean_path() made it
    if (!err)
        err = read_path(&walk, root, path);
    git_odb_free(walk.odb);
    git_tree_free(root);
    git_commit_free(commit);
    return err;
}
