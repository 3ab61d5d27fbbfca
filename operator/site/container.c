// SPDX-License-Identifier: Apache-2.0
// A pod's containers: which of them is the component, and its argv as command and args share it.
#include <string.h>

#include "site_internal.h"

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

unsigned site_container_score(const json_t *container, enum component component)
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

struct error *site_container_find(const json_t *containers, const char *where,
                                  enum component component, struct site_container *ret_container)
{
    const char *name = component_name(component);
    unsigned best = 0, same = 0;
    size_t i, found = 0;
    json_t *container;
    struct error *err;

    if (!json_is_array(containers))
        return error_new(ERROR_INVALID, "%s: spec.containers is not a list", where);
    json_array_foreach(containers, i, container) {
        unsigned score = site_container_score(container, component);

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
    *ret_container = site_container_of(json_object_get(container, "command"),
                                       json_object_get(container, "args"));
    ret_container->index = found;
    ret_container->spec = container;
    return NULL;
}

struct site_container site_container_of(const json_t *command, const json_t *args)
{
    const json_t *words = list_or_null(command);
    const char *first = words ? "program" : doc_str(args, "0", NULL);

    return (struct site_container){
        .command = words,
        .args = list_or_null(args),
        .no_program = *first == '\0' || *first == '-',
    };
}

json_t *site_container_argv(const struct site_container *container, enum component component)
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
