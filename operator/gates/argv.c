// SPDX-License-Identifier: Apache-2.0
// Finds a component's flags in an argument vector: in the open, behind another program, or as JSON
// in a wrapper's argument.
#include "argv_internal.h"

#include <string.h>

void argv_view_fini(struct argv_view *view)
{
    strlist_fini(&view->args);
    mem_free(view->prefix);
    mem_free(view->json);
    *view = (struct argv_view){0};
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static bool is_shell(const char *path)
{
    static const char *const shells[] = {"sh", "bash", "ash", "dash", "zsh", "busybox", NULL};
    return gates_names_have(shells, base_name(path));
}

static struct error *copy_strings(const json_t *array, struct strlist *list)
{
    if (!json_is_array(array))
        return error_new(ERROR_INVALID, "the arguments are not a list");
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *text = json_string_value(json_array_get(array, i));
        if (text == NULL)
            return error_new(ERROR_INVALID, "argument %zu is not a string", i);
        strlist_add(list, text);
    }
    return NULL;
}

// The JSON object of a wrapper (KKP's http-prober: -command '{"command": .., "args": [..]}') in
// this argument, or NULL.
static json_t *wrapper_of(const char *arg, size_t *ret_offset)
{
    const char *brace = strchr(arg, '{');
    if (brace == NULL || (brace != arg && (*arg != '-' || brace[-1] != '=')))
        return NULL;
    AUTO_JSON json_t *tree = NULL;
    AUTO(error) struct error *err = doc_parse_json(slice_of(brace), "argument", &tree);
    if (err != NULL || !json_is_string(json_object_get(tree, "command")) ||
        !json_is_array(json_object_get(tree, "args")))
        return NULL;
    *ret_offset = (size_t)(brace - arg);
    return TAKE(tree);
}

// Where the component's own name stands; 0 when it goes by another.
static size_t find_program(enum component component, const struct strlist *args, bool *ret_found)
{
    *ret_found = true;
    for (size_t i = 0; i < args->len; i++)
        if (str_eq(base_name(args->items[i]), component_name(component)))
            return i;
    *ret_found = false;
    return 0;
}

static struct error *refuse_shell(const struct strlist *args, bool program_found)
{
    if (args->len == 0 || !is_shell(args->items[0]))
        return NULL;
    bool command_text = false;
    for (size_t i = 1; i < args->len && !command_text; i++)
        command_text = args->items[i][0] == '-' && args->items[i][1] != '-' &&
                       strchr(args->items[i], 'c') != NULL;
    if (!command_text && program_found)
        return NULL;
    return error_new(ERROR_INVALID,
                     "the component is started by a shell (%s): its flags are inside a script and "
                     "cannot be edited safely",
                     args->items[0]);
}

static struct error *open_wrapper(const json_t *argv, struct argv_view *view)
{
    for (size_t i = 1; i < json_array_size(argv); i++) {
        const char *arg = json_string_value(json_array_get(argv, i));
        size_t offset;
        AUTO_JSON json_t *tree = arg == NULL ? NULL : wrapper_of(arg, &offset);
        if (tree == NULL)
            continue;
        view->wrapped = true;
        view->element = i;
        view->prefix = str_ndup(arg, offset);
        view->json = str_dup(arg + offset);
        strlist_add(&view->args, json_string_value(json_object_get(tree, "command")));
        return copy_strings(json_object_get(tree, "args"), &view->args);
    }
    return copy_strings(argv, &view->args);
}

struct error *gates_argv_open(enum component component, const json_t *argv,
                              struct argv_view *ret_view)
{
    AUTO_VIEW struct argv_view view = {0};
    bool found = false;
    struct error *err = open_wrapper(argv, &view);
    if (err == NULL && view.args.len == 0)
        err = error_new(ERROR_INVALID, "there are no arguments");
    if (err == NULL) {
        view.program = find_program(component, &view.args, &found);
        err = refuse_shell(&view.args, found);
    }
    if (err != NULL)
        return error_wrap(err, "%s", component_name(component));
    view.end = view.args.len;
    for (size_t i = view.args.len; i-- > view.program + 1;)
        if (str_eq(view.args.items[i], "--"))
            view.end = i;
    *ret_view = view;
    view = (struct argv_view){0};
    return NULL;
}

// "--feature_gates=x" is "--feature-gates=x" to the components. The rest behind the name, or NULL.
static const char *behind_name(const char *arg, const char *name)
{
    if (!str_starts(arg, "--"))
        return NULL;
    arg += 2;
    for (; *name != '\0'; arg++, name++)
        if (*arg != *name && !(*arg == '_' && *name == '-'))
            return NULL;
    return *arg == '\0' || *arg == '=' ? arg : NULL;
}

bool gates_flag_next(const struct argv_view *view, const char *name, size_t *at,
                     struct flag_at *ret_flag, bool *ret_missing)
{
    *ret_missing = false;
    for (size_t i = *at > view->program ? *at : view->program + 1; i < view->end; i++) {
        const char *rest = behind_name(view->args.items[i], name);
        if (rest == NULL)
            continue;
        *ret_flag = (struct flag_at){.index = i, .two = *rest == '\0'};
        if (!ret_flag->two) {
            ret_flag->value = slice_of(rest + 1);
        } else if (i + 1 < view->args.len) {
            ret_flag->value = slice_of(view->args.items[i + 1]);
        } else {
            *ret_missing = true;
            return false;
        }
        *at = ret_flag->two ? i + 2 : i + 1;
        return true;
    }
    return false;
}

struct slice gates_flag_last(const struct argv_view *view, const char *name)
{
    struct flag_at flag;
    struct slice last = {0};
    bool missing;
    for (size_t at = 0; gates_flag_next(view, name, &at, &flag, &missing);)
        last = flag.value;
    return last;
}

struct slice gates_unquote(struct slice value)
{
    if (value.len >= 2 && (value.ptr[0] == '"' || value.ptr[0] == '\'') &&
        value.ptr[value.len - 1] == value.ptr[0])
        return slice_sub(value, 1, value.len - 1);
    return value;
}

bool gates_entry_next(enum component component, struct slice *rest, struct entry *ret_entry)
{
    struct slice text;
    if (!slice_cut(rest, ',', &text))
        return false;
    *ret_entry = (struct entry){.text = text};
    struct slice pair = text, name;
    slice_cut(&pair, '=', &name);
    ret_entry->name = slice_trim(name);
    if (pair.ptr != NULL)
        ret_entry->value = slice_trim(pair);
    if (component != COMPONENT_KUBELET && slice_starts(ret_entry->name, "kube:")) {
        ret_entry->kube = true;
        ret_entry->name =
            slice_trim(slice_sub(ret_entry->name, strlen("kube:"), ret_entry->name.len));
    }
    return true;
}
