// SPDX-License-Identifier: Apache-2.0
// Flags as the words of an argv in two lists, command and args: of a pod's container, of lists that
// stand alone, of a component in a kwok.yaml.
#include <string.h>

#include "site_internal.h"

// --- which lists ---------------------------------------------------------------------------------

static struct error *find_in_pod(const struct site_place *place, const json_t *tree,
                                 struct site_container *ret_container)
{
    if (!str_eq(doc_str(tree, "kind", NULL), "Pod"))
        return error_new(ERROR_INVALID, "%s: not a Pod", place->name);
    return site_container_find(doc_get(tree, "spec", "containers", NULL), place->name,
                               place->component, ret_container);
}

static struct error *find_lists(const struct site_place *place, const json_t *tree,
                                struct site_container *ret_container)
{
    const json_t *holder = doc_pointer(tree, place->at ? place->at : "");

    *ret_container =
        site_container_of(json_object_get(holder, "command"), json_object_get(holder, "args"));
    ret_container->spec = holder;
    return NULL;
}

// --- reading and writing -------------------------------------------------------------------------

struct error *site_argv_edits(const struct site_place *place, const json_t *argv,
                              const struct site_change *change, struct gates_edits *ret_edits)
{
    return gates_flags_edit(place->component, argv, change->set_gates, change->unset_gates,
                            change->set_runtime, change->unset_runtime, ret_edits);
}

struct error *site_argv_read(const struct site_place *place, const struct site_doc *doc,
                             struct gates_flags *ret_flags)
{
    struct site_container container;
    struct error *err = site_find(place, doc->tree, &container);
    AUTO_JSON json_t *argv = err ? NULL : site_container_argv(&container, place->component);

    if (err)
        return err;
    return error_wrap(gates_flags_read(place->component, argv, ret_flags), "%s", place->name);
}

// Where an edit of the argv goes, and how long the two lists are by now.
struct lists {
    char *at;        // JSON pointer to what they are in
    bool no_program; // the argv's first word is in neither
    size_t command, args;
};

static struct error *place_edit(const struct lists *lists, const struct gates_edit *edit,
                                bool *ret_in_args, size_t *ret_at)
{
    size_t program = lists->no_program ? 1 : 0, at;
    bool in_args;

    if (edit->index < program)
        return error_new(ERROR_INTERNAL, "the program itself would be edited");
    at = edit->index - program;
    in_args = at >= lists->command;
    // Between the two lists: with the flags. A command that is the bare program leaves them to
    // args.
    if (edit->what == EDIT_INSERT && at == lists->command)
        in_args = lists->command == 0 || (lists->args > 0 && lists->command == 1);
    *ret_in_args = in_args;
    *ret_at = in_args ? at - lists->command : at;
    return NULL;
}

static struct error *apply_edit(const struct site_place *place, struct site_doc *doc,
                                struct lists *lists, const struct gates_edit *edit)
{
    bool in_args = false;
    size_t at = 0;
    struct error *err = place_edit(lists, edit, &in_args, &at);
    AUTO_MEM char *list = str_format("%s/%s", lists->at, in_args ? "args" : "command");
    AUTO_MEM char *pointer = str_format("%s/%zu", list, at);
    AUTO_JSON json_t *value = NULL;
    size_t *len = in_args ? &lists->args : &lists->command;

    if (err)
        return error_wrap(err, "%s", place->name);
    if (edit->what == EDIT_REMOVE) {
        (*len)--;
        return site_doc_remove(doc, pointer);
    }
    // foreign: a flag that is no UTF-8 is refused, not changed
    value = json_string(edit->value);
    if (!value)
        return error_new(ERROR_INVALID, "%s: a flag is not UTF-8", place->name);
    if (edit->what == EDIT_SET)
        return site_doc_set(doc, pointer, value);
    (*len)++;
    return site_doc_insert(doc, list, at, value);
}

struct error *site_argv_write(const struct site_place *place, struct site_doc *doc,
                              const struct site_change *change)
{
    struct site_container found;
    struct error *err = site_find(place, doc->tree, &found);
    const char *list = place->codec->list;
    AUTO_JSON json_t *argv = NULL;
    AUTO_EDITS struct gates_edits edits = {0};
    AUTO_MEM char *at = NULL;
    struct lists lists;

    if (err)
        return err;
    at = list ? str_format("%s/%zu", list, found.index) : str_dup(place->at ? place->at : "");
    lists = (struct lists){at, found.no_program, json_array_size(found.command),
                           json_array_size(found.args)};
    argv = site_container_argv(&found, place->component);
    err = error_wrap(site_argv_edits(place, argv, change, &edits), "%s", place->name);
    for (size_t i = 0; !err && i < edits.len; i++)
        err = apply_edit(place, doc, &lists, &edits.items[i]);
    return err;
}

const struct site_codec site_pod = {
    .read = site_argv_read,
    .write = site_argv_write,
    .find = find_in_pod,
    .list = "/spec/containers",
};

const struct site_codec site_lists = {
    .read = site_argv_read,
    .write = site_argv_write,
    .find = find_lists,
};
