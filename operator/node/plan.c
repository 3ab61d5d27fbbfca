// SPDX-License-Identifier: Apache-2.0
// From what is wanted, what the file says and what we wrote earlier to the new text. Where the file
// is just what we wrote last, the new text is made from the bytes before our first edit: then
// nothing of ours can stay behind, and wanting nothing gives those bytes back. Elsewhere only our
// own entries are taken out or changed, and only where they still are as we wrote them.
#include "node_internal.h"

static const char *const kinds[] = {"featureGates", "runtimeConfig"};

void node_edit_fini(struct node_edit *edit)
{
    mem_free(edit->text);
    json_decref(edit->owned);
    mem_free(edit->original);
    *edit = (struct node_edit){0};
}

json_t *node_owned_values(const json_t *owned, const char *kind)
{
    json_t *values = json_object();
    const char *name;
    json_t *entry;
    json_object_foreach(node_iterable(json_object_get(owned, kind)), name, entry) {
        json_object_set(values, name, json_object_get(entry, "value"));
    }
    return values;
}

bool node_owned_empty(const json_t *owned)
{
    return json_object_size(json_object_get(owned, kinds[0])) == 0 &&
           json_object_size(json_object_get(owned, kinds[1])) == 0;
}

// What this one text says: {"featureGates": {...}, "runtimeConfig": {...}}.
static struct error *read_entries(const struct node_unit *unit, int file, struct slice text,
                                  json_t **ret_entries)
{
    struct site_place place = node_place(unit, file);
    AUTO_FLAGS struct gates_flags flags = {0};
    struct error *err;
    if (file == NODE_FILE_DROP_IN && text.len == 0) { // not made yet
        *ret_entries = json_pack("{s:{}, s:{}}", kinds[0], kinds[1]);
        return NULL;
    }
    if ((err = site_read_text(&place, text, &flags)))
        return err;
    *ret_entries =
        json_pack("{s:O, s:O}", kinds[0], flags.feature_gates, kinds[1], flags.runtime_config);
    return NULL;
}

static struct error *write_entries(const struct node_unit *unit, int file, struct slice text,
                                   const json_t *set, const json_t *unset, char **ret_text)
{
    struct site_place place = node_place(unit, file);
    struct site_change change = {json_object_get(set, kinds[0]), json_object_get(unset, kinds[0]),
                                 json_object_get(set, kinds[1]), json_object_get(unset, kinds[1])};
    if (file == NODE_FILE_DROP_IN && text.len == 0) {
        if (json_object_size(change.set_gates) > 0)
            return site_write_text(&place, slice_of(NODE_DROP_IN_EMPTY), &change, ret_text);
        *ret_text = str_dup("");
        return NULL;
    }
    return site_write_text(&place, text, &change, ret_text);
}

// What one kind of entry needs. All trees but owned_was and entries are filled.
struct change {
    const json_t *entries, *owned_was,
        *elsewhere; // elsewhere: what counts without this file (the kubelet's other source)
    json_t *set, *unset, *owned;
};

static void want_entry(struct change *change, const char *name, json_t *value)
{
    json_t *now = json_object_get(change->entries, name);
    const json_t *was = json_object_get(change->owned_was, name);
    bool ours = was && now && doc_equal(now, json_object_get(was, "value"));
    if (!ours && doc_equal(now ? now : json_object_get(change->elsewhere, name), value))
        return; // somebody else says the same already: theirs
    json_t *before = ours ? json_object_get(was, "before") : now;
    if (!doc_equal(now, value))
        json_object_set(change->set, name, value);
    if (!doc_equal(before, value))
        json_object_set_new(change->owned, name,
                            json_pack("{s:O, s:O?}", "value", value, "before", before));
}

static void give_up_entry(struct change *change, const char *name, const json_t *was)
{
    const json_t *now = json_object_get(change->entries, name);
    json_t *before = json_object_get(was, "before");
    if (!now || !doc_equal(now, json_object_get(was, "value")))
        return; // changed by somebody else since: no longer ours
    if (before && !json_is_null(before))
        json_object_set(change->set, name, before);
    else
        json_array_append_new(change->unset, doc_string(name));
}

static void plan_kind(struct change *change, const json_t *want)
{
    const char *name;
    json_t *value;
    json_object_foreach(node_iterable(want), name, value)
        want_entry(change, name, value);
    json_object_foreach(node_iterable(change->owned_was), name, value) {
        if (!json_object_get(want, name))
            give_up_entry(change, name, value);
    }
}

// The kubelet's gates go where its gates are: on the command line if it has --feature-gates there,
// else into the drop-in directory if it has one, else into the file.
static int kubelet_file(const struct node_unit *unit)
{
    if (unit->files[NODE_FILE_ENV].text && node_argv_flag(unit->argv, "feature-gates"))
        return NODE_FILE_ENV;
    return unit->files[NODE_FILE_DROP_IN].path ? NODE_FILE_DROP_IN : NODE_FILE_MAIN;
}

static struct error *outranked(const char *by, const char *flag, const char *name,
                               const json_t *value, const char *path)
{
    return error_new(ERROR_CONFLICT,
                     "%s says %s%s=%s, which outranks what Drawbridge would write into %s", by,
                     flag, name, json_is_true(value) ? "true" : "false", path);
}

static bool differs(const json_t *said, const char *name, const json_t *value)
{
    const json_t *is = json_object_get(said, name);
    return is && !doc_equal(is, value);
}

// What is written must count: a voice that outranks the file must not say otherwise.
static struct error *check_rank(const struct node_unit *unit, const struct node_wish *wish,
                                int file)
{
    static const char flag[] = "--feature-gates=";
    const struct node_drop_ins *drop_ins = &unit->drop_ins;
    AUTO_FLAGS struct gates_flags said = {0};
    struct error *err = gates_flags_read(unit->component, unit->argv, &said);
    const char *name, *path = unit->files[file].path;
    json_t *value;
    if (err)
        return err;
    json_object_foreach(node_iterable(wish->gates), name, value) {
        if (differs(unit->live, name, value))
            return outranked("the kubelet's command line", flag, name,
                             json_object_get(unit->live, name), path);
        if (file == NODE_FILE_ENV)
            continue;
        if (differs(said.feature_gates, name, value))
            return outranked(unit->files[NODE_FILE_ENV].path, flag, name,
                             json_object_get(said.feature_gates, name), path);
        bool later = json_object_get(drop_ins->after, name) || file == NODE_FILE_DROP_IN;
        const json_t *voice = later ? drop_ins->after : drop_ins->before;
        if (!json_object_get(said.feature_gates, name) && differs(voice, name, value))
            return outranked(doc_str(drop_ins->files, name, NULL), "", name,
                             json_object_get(voice, name), path);
    }
    return NULL;
}

static struct error *choose_file(const struct node_unit *unit, const struct node_wish *wish,
                                 int *ret_file)
{
    *ret_file = NODE_FILE_MAIN;
    if (unit->component != COMPONENT_KUBELET)
        return NULL;
    int file = kubelet_file(unit);
    // What we own may lie in another one, and stays there.
    for (int i = 0; i < NODE_FILE_COUNT && !node_owned_empty(wish->owned); i++) {
        if (unit->files[i].text && str_eq(wish->path, unit->files[i].path))
            file = i;
    }
    *ret_file = file;
    return check_rank(unit, wish, file);
}

// What counts for the kubelet where this file says nothing.
static struct error *read_elsewhere(const struct node_unit *unit, int file, json_t **ret_gates)
{
    const struct node_file *config = &unit->files[NODE_FILE_MAIN],
                           *ours = &unit->files[NODE_FILE_DROP_IN];
    AUTO_JSON json_t *gates = NULL;
    AUTO_JSON json_t *dropped = NULL;
    if (unit->component != COMPONENT_KUBELET || file == NODE_FILE_MAIN)
        return NULL;
    struct error *err =
        node_kubelet_config_read(node_file_slice(config), config->path, &gates, NULL);
    if (!err && file == NODE_FILE_ENV && ours->len > 0)
        err = node_kubelet_config_read(node_file_slice(ours), ours->path, &dropped, NULL);
    if (err)
        return err;
    const json_t *const voices[] = {unit->drop_ins.before, dropped, unit->drop_ins.after};
    for (size_t i = 0; i < COUNT(voices); i++) {
        if (voices[i])
            json_object_update(gates, node_iterable(voices[i]));
    }
    *ret_gates = TAKE(gates);
    return NULL;
}

// The bytes from before our first edit, where the file is still as we left it.
static bool find_original(const struct node_unit *unit, const struct node_wish *wish, int file,
                          struct node_file *ret_original)
{
    if (node_owned_empty(wish->owned) || !wish->original[0] ||
        !str_eq(wish->written, unit->files[file].digest) ||
        !str_eq(wish->path, unit->files[file].path))
        return false;
    struct error *err = node_backup_read(unit->node, wish->original, ret_original);
    if (!err)
        return true;
    error_ignore(err, "without the backup the edit is undone entry by entry");
    return false;
}

static bool owns_any(const json_t *owned, const json_t *entries)
{
    for (size_t k = 0; k < COUNT(kinds); k++) {
        const char *name;
        json_t *entry;
        json_object_foreach(node_iterable(json_object_get(owned, kinds[k])), name, entry) {
            if (doc_equal(json_object_get(doc_get(entries, kinds[k], NULL), name),
                          json_object_get(entry, "value")))
                return true;
        }
    }
    return false;
}

// After the edit the text must say what was wanted, as the component will read it.
static struct error *check_result(const struct node_unit *unit, const struct node_edit *edit)
{
    AUTO_JSON json_t *entries = NULL;
    struct error *err = read_entries(unit, edit->file, slice_of(edit->text), &entries);
    if (err)
        return err;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        AUTO_JSON json_t *values = node_owned_values(edit->owned, kinds[k]);
        const char *name;
        json_t *value;
        json_object_foreach(values, name, value) {
            if (!doc_equal(json_object_get(json_object_get(entries, kinds[k]), name), value))
                return error_new(ERROR_INTERNAL, "%s: %s would not be %s",
                                 unit->files[edit->file].path, name, kinds[k]);
        }
    }
    return NULL;
}

struct error *node_plan(struct node_unit *unit, const struct node_wish *wish,
                        struct node_edit *ret_edit)
{
    AUTO_EDIT struct node_edit edit = {0};
    AUTO_JSON json_t *entries = NULL;
    struct error *err = choose_file(unit, wish, &edit.file);
    if (err)
        return err;
    const struct node_file *now = &unit->files[edit.file];
    struct node_file original = {0};
    bool from_original = find_original(unit, wish, edit.file, &original);
    AUTO_MEM char *original_text = original.text;
    mem_free(original.path);
    struct slice base = from_original ? node_file_slice(&original) : node_file_slice(now);
    if ((err = read_entries(unit, edit.file, base, &entries)))
        return err;
    const json_t *owned_was = from_original || !str_eq(wish->path, now->path) ? NULL : wish->owned;
    AUTO_JSON json_t *set = json_pack("{s:{}, s:{}}", kinds[0], kinds[1]);
    AUTO_JSON json_t *unset = json_pack("{s:[], s:[]}", kinds[0], kinds[1]);
    edit.owned = json_pack("{s:{}, s:{}}", kinds[0], kinds[1]);
    AUTO_JSON json_t *elsewhere = NULL;
    if ((err = read_elsewhere(unit, edit.file, &elsewhere)))
        return err;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct change change = {
            json_object_get(entries, kinds[k]), json_object_get(owned_was, kinds[k]),
            k == 0 ? elsewhere : NULL,          json_object_get(set, kinds[k]),
            json_object_get(unset, kinds[k]),   json_object_get(edit.owned, kinds[k])};
        plan_kind(&change, k == 0 ? wish->gates : wish->runtime);
    }
    AUTO_MEM char *text = NULL;
    if ((err = write_entries(unit, edit.file, base, set, unset, &text)))
        return err;
    bool changes = !slice_eq(node_file_slice(now), text);
    edit.text = changes ? TAKE(text) : NULL;
    if (edit.text && (err = check_result(unit, &edit)))
        return err;
    edit.original = str_dup(node_owned_empty(edit.owned)   ? ""
                            : from_original                ? wish->original
                            : owns_any(owned_was, entries) ? ""
                                                           : now->digest);
    *ret_edit = edit;
    edit = (struct node_edit){0};
    return NULL;
}
