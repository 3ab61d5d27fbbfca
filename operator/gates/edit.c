// SPDX-License-Identifier: Apache-2.0
// Makes an argument vector say what is wanted with the fewest edits: entries are changed where they
// stand, new ones join the flag that is there, and only when there is none a new flag is put in.
#include "argv_internal.h"

#include <string.h>

struct editor {
    enum component component;
    struct argv_view view;
    // of the outer argv; of a wrapped one only the last SET is made, at the end
    struct gates_edits edits;
    bool json_changed;
};

void gates_edits_fini(struct gates_edits *edits)
{
    for (size_t i = 0; i < edits->len; i++)
        mem_free(edits->items[i].value);
    mem_free(edits->items);
    *edits = (struct gates_edits){0};
}

static void push(struct gates_edits *edits, struct gates_edit edit)
{
    struct gates_edit *last = edits->len > 0 ? &edits->items[edits->len - 1] : NULL;
    // Setting what was just set or put in is one edit.
    if (edit.what == EDIT_SET && last != NULL && last->index == edit.index &&
        last->what != EDIT_REMOVE) {
        mem_free(last->value);
        last->value = edit.value;
        return;
    }
    edits->items = mem_realloc(edits->items, (edits->len + 1) * sizeof(*edits->items));
    edits->items[edits->len++] = edit;
}

static void replace_json(struct editor *ed, char *take_json)
{
    mem_free(ed->view.json);
    ed->view.json = take_json;
    ed->json_changed = true;
}

// The three things that happen to an argument, in the view and in what holds it.
static void set_arg(struct editor *ed, size_t index, char *take_value)
{
    struct strlist *args = &ed->view.args;
    mem_free(args->items[index]);
    args->items[index] = take_value;
    if (ed->view.wrapped)
        replace_json(ed, gates_wrapper_set(ed->view.json, index - 1, take_value));
    else
        push(&ed->edits, (struct gates_edit){EDIT_SET, index, str_dup(take_value)});
}

static void insert_arg(struct editor *ed, size_t index, char *take_value)
{
    struct strlist *args = &ed->view.args;
    strlist_add(args, "");
    mem_free(args->items[args->len - 1]);
    memmove(&args->items[index + 1], &args->items[index],
            (args->len - 1 - index) * sizeof(*args->items));
    args->items[index] = take_value;
    ed->view.end++;
    if (ed->view.wrapped)
        replace_json(ed, gates_wrapper_insert(ed->view.json, index - 1, take_value));
    else
        push(&ed->edits, (struct gates_edit){EDIT_INSERT, index, str_dup(take_value)});
}

static void remove_arg(struct editor *ed, size_t index)
{
    struct strlist *args = &ed->view.args;
    mem_free(args->items[index]);
    args->len--;
    memmove(&args->items[index], &args->items[index + 1],
            (args->len - index) * sizeof(*args->items));
    args->items[args->len] = NULL;
    ed->view.end--;
    if (ed->view.wrapped)
        replace_json(ed, gates_wrapper_remove(ed->view.json, index - 1));
    else
        push(&ed->edits, (struct gates_edit){EDIT_REMOVE, index, NULL});
}

// Replaces the bytes from..to (which lie in the flag's value) by text.
static void splice_value(struct editor *ed, const struct flag_at *flag, const char *from,
                         const char *to, const char *text)
{
    size_t index = flag->two ? flag->index + 1 : flag->index;
    const char *arg = ed->view.args.items[index];
    set_arg(ed, index, str_format("%.*s%s%s", (int)(from - arg), arg, text, to));
}

// The last entry of that name in any occurrence of the flag.
static bool find_entry(const struct editor *ed, const char *name_of_flag, const char *name,
                       struct flag_at *ret_flag, struct entry *ret_entry)
{
    struct flag_at flag;
    bool missing, found = false;
    for (size_t at = 0; gates_flag_next(&ed->view, name_of_flag, &at, &flag, &missing);) {
        struct slice rest = gates_unquote(flag.value);
        for (struct entry e; gates_entry_next(ed->component, &rest, &e);) {
            if (!slice_eq(e.name, name))
                continue;
            *ret_flag = flag;
            *ret_entry = e;
            found = true;
        }
    }
    return found;
}

// The text that a wanted value is written as: gates hold booleans, runtime-config strings.
static const char *value_text(const json_t *value)
{
    return json_is_string(value) ? json_string_value(value)
           : json_is_true(value) ? "true"
                                 : "false";
}

// "t" and "True" are true as well, and "group/version" without a value is too: nothing to change
// then.
static bool same_value(struct slice have, const char *want)
{
    bool a = true, b;
    if (have.len > 0 && !gates_bool_parse(have, &a))
        return false;
    return gates_bool_parse(slice_of(want), &b) && a == b;
}

static void change_entry(struct editor *ed, const struct flag_at *flag, const struct entry *e,
                         const char *want)
{
    if (same_value(e->value, want))
        return;
    if (e->value.len > 0) {
        splice_value(ed, flag, e->value.ptr, e->value.ptr + e->value.len, want);
        return;
    }
    const char *behind = e->name.ptr + e->name.len;
    AUTO_MEM char *text = str_format("=%s", want);
    splice_value(ed, flag, behind, e->text.ptr + e->text.len, text);
}

// Whether the entries that are there carry kube:, which new ones must then carry too.
static bool uses_prefix(const struct editor *ed, const char *name_of_flag)
{
    struct flag_at flag;
    bool missing;
    for (size_t at = 0; gates_flag_next(&ed->view, name_of_flag, &at, &flag, &missing);) {
        struct slice rest = gates_unquote(flag.value);
        for (struct entry e; gates_entry_next(ed->component, &rest, &e);)
            if (e.kube)
                return true;
    }
    return false;
}

static bool is_blank(struct slice value)
{
    value = gates_unquote(value);
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] != ',' && value.ptr[i] != ' ')
            return false;
    return true;
}

// Joins text to the last occurrence of the flag that says something, in front of a comma at its
// end, or else to the last one; false when there is none.
static bool append_entry(struct editor *ed, const char *name_of_flag, const char *text)
{
    struct flag_at flag = {0}, next;
    bool missing, found = false;
    for (size_t at = 0; gates_flag_next(&ed->view, name_of_flag, &at, &next, &missing);
         found = true)
        if (!found || is_blank(flag.value) || !is_blank(next.value))
            flag = next;
    if (!found)
        return false;
    struct slice value = gates_unquote(flag.value);
    size_t len = value.len;
    while (len > 0 && (value.ptr[len - 1] == ',' || value.ptr[len - 1] == ' '))
        len--;
    AUTO_MEM char *joined = str_format("%s%s", len > 0 ? "," : "", text);
    splice_value(ed, &flag, value.ptr + len, value.ptr + len, joined);
    return true;
}

// A negative number is some flag's value.
static bool is_flag(const char *arg)
{
    return arg[0] == '-' && arg[1] != '\0' && !(arg[1] >= '0' && arg[1] <= '9');
}

// One of our two flags without its value, which is the next argument whatever it looks like.
static bool takes_next(const char *arg)
{
    return str_eq(arg, "--feature-gates") || str_eq(arg, "--feature_gates") ||
           str_eq(arg, "--runtime-config") || str_eq(arg, "--runtime_config");
}

static int compare_flags(const char *a, const char *b)
{
    struct slice a_rest = slice_of(a + strspn(a, "-")), b_rest = slice_of(b + strspn(b, "-")),
                 a_name, b_name;
    slice_cut(&a_rest, '=', &a_name);
    slice_cut(&b_rest, '=', &b_name);
    size_t len = a_name.len < b_name.len ? a_name.len : b_name.len;
    int order = len == 0 ? 0 : memcmp(a_name.ptr, b_name.ptr, len);
    return order != 0 ? order : a_name.len == b_name.len ? 0 : a_name.len < b_name.len ? -1 : 1;
}

// In front of the first flag that sorts behind it; at the end where flags are not sorted.
static size_t place_for(const struct argv_view *view, const char *new_flag)
{
    const char *before = NULL;
    size_t place = view->end;
    for (size_t i = view->program + 1; i < view->end; i++) {
        const char *arg = view->args.items[i];
        if (!is_flag(arg))
            continue;
        if (before != NULL && compare_flags(before, arg) > 0)
            return view->end;
        if (place == view->end && compare_flags(arg, new_flag) > 0)
            place = i;
        before = arg;
        i += takes_next(arg) ? 1 : 0;
    }
    return place;
}

static void insert_flag(struct editor *ed, const char *name_of_flag, const char *text)
{
    char *flag = str_format("--%s=%s", name_of_flag, text);
    insert_arg(ed, place_for(&ed->view, flag), flag);
}

static void set_all(struct editor *ed, const char *name_of_flag, const json_t *set)
{
    AUTO_STRLIST struct strlist names = {0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)set, key, value)
        strlist_add(&names, key);
    strlist_sort(&names);
    bool prefix = uses_prefix(ed, name_of_flag);
    for (size_t i = 0; i < names.len; i++) {
        const char *want = value_text(json_object_get(set, names.items[i]));
        struct flag_at flag;
        struct entry e;
        if (find_entry(ed, name_of_flag, names.items[i], &flag, &e)) {
            change_entry(ed, &flag, &e, want);
            continue;
        }
        AUTO_MEM char *text = str_format("%s%s=%s", prefix ? "kube:" : "", names.items[i], want);
        if (!append_entry(ed, name_of_flag, text))
            insert_flag(ed, name_of_flag, text);
    }
}

// Takes one entry out, with the comma that parts it from a neighbour.
static void remove_entry(struct editor *ed, const struct flag_at *flag, const struct entry *e)
{
    struct slice value = gates_unquote(flag->value);
    const char *from = e->text.ptr, *to = from + e->text.len;
    if (from > value.ptr)
        from--;
    else if (to < value.ptr + value.len)
        to++;
    bool left = false;
    for (const char *c = value.ptr; c < value.ptr + value.len; c++)
        left = left || ((c < from || c >= to) && *c != ',' && *c != ' ');
    if (left) {
        splice_value(ed, flag, from, to, "");
        return;
    }
    if (flag->two)
        remove_arg(ed, flag->index + 1);
    remove_arg(ed, flag->index);
}

// unset: an array of names, or a map whose keys count.
static void unset_all(struct editor *ed, const char *name_of_flag, const json_t *unset,
                      const json_t *set)
{
    AUTO_STRLIST struct strlist names = {0};
    const char *key;
    json_t *value;
    for (size_t i = 0; i < json_array_size(unset); i++)
        if (json_is_string(json_array_get(unset, i)))
            strlist_add(&names, json_string_value(json_array_get(unset, i)));
    json_object_foreach((json_t *)(uintptr_t)unset, key, value)
        strlist_add(&names, key);
    for (size_t i = 0; i < names.len; i++) {
        struct flag_at flag;
        struct entry e;
        while (json_object_get(set, names.items[i]) == NULL &&
               find_entry(ed, name_of_flag, names.items[i], &flag, &e))
            remove_entry(ed, &flag, &e);
    }
}

static struct error *check_entries(const json_t *set, const json_t *unset)
{
    if (json_object_size(set) > GATES_ENTRIES_MAX ||
        json_object_size(unset) + json_array_size(unset) > GATES_ENTRIES_MAX)
        return error_new(ERROR_LIMIT, "more than %d entries to write", GATES_ENTRIES_MAX);
    return NULL;
}

struct error *gates_flags_edit(enum component component, const json_t *argv,
                               const json_t *set_gates, const json_t *unset_gates,
                               const json_t *set_runtime, const json_t *unset_runtime,
                               struct gates_edits *ret_edits)
{
    struct gates_flags flags;
    // What cannot be read must not be edited.
    struct error *err = gates_flags_read(component, argv, &flags);
    if (err != NULL)
        return err;
    gates_flags_fini(&flags);
    err = check_entries(set_gates, unset_gates);
    if (err == NULL && component != COMPONENT_APISERVER && json_object_size(set_runtime) > 0)
        err = error_new(ERROR_INVALID, "%s has no --runtime-config", component_name(component));
    if (err == NULL)
        err = check_entries(set_runtime, unset_runtime);
    struct editor ed = {.component = component};
    if (err == NULL)
        err = gates_argv_open(component, argv, &ed.view);
    if (err != NULL)
        return err;
    set_all(&ed, "feature-gates", set_gates);
    unset_all(&ed, "feature-gates", unset_gates, set_gates);
    // Only the API server has --runtime-config.
    ed.component = COMPONENT_KUBELET; // no prefixes in runtime-config
    set_all(&ed, "runtime-config", set_runtime);
    if (component == COMPONENT_APISERVER)
        unset_all(&ed, "runtime-config", unset_runtime, set_runtime);
    if (ed.json_changed)
        push(&ed.edits, (struct gates_edit){EDIT_SET, ed.view.element,
                                            str_format("%s%s", ed.view.prefix, ed.view.json)});
    argv_view_fini(&ed.view);
    *ret_edits = ed.edits;
    return NULL;
}
