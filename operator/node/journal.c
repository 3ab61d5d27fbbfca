// SPDX-License-Identifier: Apache-2.0
// What must outlive us: what is desired, what we wrote and what stood there before, and the edit
// that is under way. Bytes lie beside the journal as files named by their digest, so that the
// journal stays small and a half-written backup cannot be taken for a whole one.
#include "node_internal.h"

#include <unistd.h>

#define JOURNAL_VERSION 1

static struct error *read_journal(struct node *node, json_t **ret_tree)
{
    struct node_file file = {0};
    struct error *err = node_file_read(node->journal_path, &file);
    if (err && error_kind(err) == ERROR_NOT_FOUND) {
        error_free(err);
        *ret_tree = json_pack("{s:i, s:{}}", "version", JOURNAL_VERSION, "components");
        return NULL;
    }
    if (err)
        return err;
    err = doc_parse_json(node_file_slice(&file), node->journal_path, ret_tree);
    node_file_fini(&file);
    return err;
}

struct error *node_journal_load(struct node *node)
{
    AUTO_JSON json_t *tree = NULL;
    struct error *err = read_journal(node, &tree);
    if (err)
        return error_wrap(err, "the journal is damaged; it says what on this node is Drawbridge's: "
                               "restore it, or remove it to give that up");
    if (doc_int(tree, 0, "version", NULL) != JOURNAL_VERSION ||
        !json_is_object(json_object_get(tree, "components")))
        return error_new(ERROR_INVALID, "%s was written by another version of Drawbridge",
                         node->journal_path);
    node->journal = TAKE(tree);
    return NULL;
}

struct error *node_journal_save(struct node *node)
{
    AUTO_MEM char *text = doc_print_json_pretty(node->journal);
    struct error *err = node_file_store(node->journal_path, slice_of(text));
    return error_wrap(err, "save the journal");
}

json_t *node_record(struct node *node, enum component component)
{
    json_t *components = json_object_get(node->journal, "components");
    json_t *record = json_object_get(components, component_name(component));
    if (!record) {
        record = json_object();
        json_object_set_new(components, component_name(component), record);
    }
    return record;
}

const json_t *node_record_peek(const struct node *node, enum component component)
{
    return doc_get(node->journal, "components", component_name(component), NULL);
}

static char *backup_path(const struct node *node, const char *digest)
{
    return str_format("%s/%s", node->backups_dir, digest);
}

struct error *node_backup_read(const struct node *node, const char *digest,
                               struct node_file *ret_file)
{
    AUTO_MEM char *path = backup_path(node, digest);
    struct node_file file = {0};
    struct error *err = node_file_read(path, &file);
    if (err)
        return err;
    if (!str_eq(file.digest, digest)) {
        node_file_fini(&file);
        return error_new(ERROR_INVALID, "%s is damaged", path);
    }
    *ret_file = file;
    return NULL;
}

struct error *node_backup_store(struct node *node, struct slice text, const char *digest)
{
    AUTO_MEM char *path = backup_path(node, digest);
    struct node_file there = {0};
    struct error *err = node_backup_read(node, digest, &there);
    if (!err) {
        node_file_fini(&there);
        return NULL;
    }
    error_free(err);
    return error_wrap(node_file_store(path, text), "keep the bytes from before");
}

// Whether some record may still need the bytes with that digest.
static bool is_needed(const struct node *node, const char *digest)
{
    for (unsigned c = 0; c < COMPONENT_COUNT; c++) {
        const json_t *record = node_record_peek(node, (enum component)c);
        if (str_eq(doc_str(record, "original", NULL), digest) ||
            str_eq(doc_str(record, "edit", "before", NULL), digest) ||
            str_eq(doc_str(record, "edit", "original", NULL), digest))
            return true;
    }
    return false;
}

void node_backup_sweep(struct node *node)
{
    AUTO_STRLIST struct strlist names = {0};
    struct error *err = node_dir_list(node->backups_dir, false, &names);
    if (err) {
        error_ignore(err, "backups that nobody needs do no harm");
        return;
    }
    for (size_t i = 0; i < names.len; i++) {
        AUTO_MEM char *path = backup_path(node, names.items[i]);
        if (!is_needed(node, names.items[i]))
            unlink(path);
    }
}
