// SPDX-License-Identifier: Apache-2.0
// A pod's containers: which of them is the component, and its argv as command and args share it.
#include <string.h>

#include "gates_internal.h"

static const json_t *list_or_null(const json_t *tree)
{
    return json_is_array(tree) && json_array_size(tree) > 0 ? tree : NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

// The program a container names itself; "" when that is left to the image.
static const char *program_of(const json_t *container)
{
    const json_t *command = list_or_null(json_object_get(container, "command"));
    const char *first;

    if (command)
        return doc_str(command, "0", NULL);
    first = doc_str(container, "args", "0", NULL);
    return first[0] == '-' ? "" : first;
}

unsigned gates_container_score(const json_t *container, enum component component)
{
    const char *name = component_name(component);

    return (str_eq(base_name(program_of(container)), name) ? 2u : 0u) +
           (str_eq(doc_str(container, "name", NULL), name) ? 1u : 0u);
}

static struct error *check_strings(const json_t *list, const char *where, const char *what)
{
    size_t i;
    json_t *word;

    if (list && !json_is_array(list) && !json_is_null(list))
        return error_new(ERROR_INVALID, "%s: %s is not a list", where, what);
    json_array_foreach(list, i, word) {
        if (!json_is_string(word))
            return error_new(ERROR_INVALID, "%s: %s[%zu] is not a string", where, what, i);
    }
    return NULL;
}

// A shell's script is text that only the shell can read: a flag put behind it would go to the
// shell.
static bool is_shell(const char *program)
{
    static const char *const shells[] = {"sh", "bash", "dash", "ash", "busybox", "env"};

    for (size_t i = 0; i < COUNT(shells); i++) {
        if (str_eq(base_name(program), shells[i]))
            return true;
    }
    return false;
}

static struct error *check_container(const json_t *container, const char *where,
                                     enum component component)
{
    const char *name = component_name(component);
    struct error *err = check_strings(json_object_get(container, "command"), where, "command");

    if (!err)
        err = check_strings(json_object_get(container, "args"), where, "args");
    if (err)
        return err;
    if (!list_or_null(json_object_get(container, "command")) &&
        !list_or_null(json_object_get(container, "args")))
        return error_new(ERROR_INVALID, "%s: the container of %s has neither command nor args",
                         where, name);
    if (is_shell(program_of(container)))
        return error_new(ERROR_INVALID, "%s: %s is started by %s: its flags cannot be edited",
                         where, name, program_of(container));
    return NULL;
}

struct error *gates_container_find(const json_t *containers, const char *where,
                                   enum component component, struct gates_container *ret_container)
{
    const char *name = component_name(component);
    unsigned best = 0, same = 0;
    size_t i, found = 0;
    json_t *container;
    struct error *err;

    if (!json_is_array(containers))
        return error_new(ERROR_INVALID, "%s: spec.containers is not a list", where);
    json_array_foreach(containers, i, container) {
        unsigned score = gates_container_score(container, component);

        if (score > best)
            found = i;
        same = score > best ? 1 : score == best ? same + 1 : same;
        best = score > best ? score : best;
    }
    if (best == 0)
        return error_new(ERROR_INVALID, "%s: no container is %s", where, name);
    if (same > 1)
        return error_new(ERROR_INVALID, "%s: more than one container is %s", where, name);
    container = json_array_get(containers, found);
    err = check_container(container, where, component);
    if (err)
        return err;
    *ret_container = gates_container_of(json_object_get(container, "command"),
                                        json_object_get(container, "args"));
    ret_container->index = found;
    ret_container->spec = container;
    return NULL;
}

struct gates_container gates_container_of(const json_t *command, const json_t *args)
{
    const json_t *words = list_or_null(command);
    const char *first = words ? "program" : doc_str(args, "0", NULL);

    return (struct gates_container){
        .command = words,
        .args = list_or_null(args),
        .no_program = *first == '\0' || *first == '-',
    };
}

json_t *gates_container_argv(const struct gates_container *container, enum component component)
{
    json_t *argv = json_array();
    size_t i;
    json_t *word;

    if (container->no_program)
        json_array_append_new(argv, doc_string(component_name(component)));
    json_array_foreach(container->command, i, word)
        json_array_append(argv, word);
    json_array_foreach(container->args, i, word)
        json_array_append(argv, word);
    return argv;
}

struct error *gates_container_place(const struct gates_container *container, size_t command_len,
                                    size_t args_len, const struct gates_edit *edit,
                                    bool *ret_in_args, size_t *ret_at)
{
    size_t program = container->no_program ? 1 : 0, at;
    bool in_args;

    if (edit->index < program)
        return error_new(ERROR_INTERNAL, "the program itself would be edited");
    at = edit->index - program;
    in_args = at >= command_len;
    // Between the two lists: with the flags. A command that is the bare program leaves them to
    // args.
    if (edit->what == EDIT_INSERT && at == command_len)
        in_args = command_len == 0 || (args_len > 0 && command_len == 1);
    *ret_in_args = in_args;
    *ret_at = in_args ? at - command_len : at;
    return NULL;
}

struct error *gates_container_edit(const struct gates_container *container,
                                   enum component component,
                                   const struct gates_flags_change *change, json_t **ret_command,
                                   json_t **ret_args)
{
    AUTO_JSON json_t *argv = gates_container_argv(container, component);
    AUTO_JSON json_t *command = container->command ? doc_copy(container->command) : json_array();
    AUTO_JSON json_t *args = container->args ? doc_copy(container->args) : json_array();
    AUTO_EDITS struct gates_edits edits = {0};
    struct error *err = gates_flags_edit(component, argv, change->set_gates, change->unset_gates,
                                         change->set_runtime, change->unset_runtime, &edits);

    for (size_t i = 0; !err && i < edits.len; i++) {
        const struct gates_edit *edit = &edits.items[i];
        bool in_args;
        size_t at;
        json_t *list;

        err = gates_container_place(container, json_array_size(command), json_array_size(args),
                                    edit, &in_args, &at);
        if (err)
            break;
        list = in_args ? args : command;
        if (edit->what == EDIT_REMOVE)
            json_array_remove(list, at);
        else if (edit->what == EDIT_SET)
            json_array_set_new(list, at, doc_string(edit->value));
        else
            json_array_insert_new(list, at, doc_string(edit->value));
    }
    if (err)
        return err;
    *ret_command = TAKE(command);
    *ret_args = TAKE(args);
    return NULL;
}
