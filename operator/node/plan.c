// SPDX-License-Identifier: Apache-2.0
// From what is wanted, what the file says and what we wrote earlier to the new text: in which of
// the files, whether it would count there, and what the journal is to remember.
#include "node_internal.h"

void node_edit_fini(struct node_edit *edit)
{
    mem_free(edit->text);
    json_decref(edit->owned);
    mem_free(edit->original);
    json_decref(edit->forgotten);
    *edit = (struct node_edit){0};
}

json_t *node_owned_part(const json_t *owned, const char *what)
{
    json_t *part = json_object();
    for (int k = 0; k < SITE_KINDS; k++) {
        json_t *values = json_object();
        const char *name;
        json_t *entry;
        json_object_set_new(part, site_kinds[k], values);
        json_object_foreach(node_iterable(json_object_get(owned, site_kinds[k])), name, entry) {
            json_t *value = json_object_get(entry, what);
            // Of what was taken out the value is null; a before that is null never was.
            if (value && (!json_is_null(value) || str_eq(what, "value")))
                json_object_set(values, name, value);
        }
    }
    return part;
}

bool node_owned_empty(const json_t *owned)
{
    return json_object_size(json_object_get(owned, site_kinds[0])) == 0 &&
           json_object_size(json_object_get(owned, site_kinds[1])) == 0;
}

// What the journal keeps of a part. An agent comes later than the look that its wish was made from:
// an entry that said the same without us is somebody else's.
static json_t *make_owned(const struct site_part *part, const json_t *forgotten)
{
    json_t *owned = json_object();
    for (int k = 0; k < SITE_KINDS; k++) {
        const json_t *replaced = json_object_get(part->ret_replaced, site_kinds[k]);
        json_t *entries = json_object();
        const char *name;
        json_t *value;
        json_object_set_new(owned, site_kinds[k], entries);
        json_object_foreach(json_object_get(part->ret_owned, site_kinds[k]), name, value) {
            json_t *before = json_object_get(replaced, name);
            if (!doc_equal(before, value) && !doc_get(forgotten, site_kinds[k], name, NULL))
                json_object_set_new(entries, name,
                                    json_pack("{s:O, s:O?}", "value", value, "before", before));
        }
    }
    return owned;
}

static bool has_entry(const json_t *entries, bool null)
{
    const char *name;
    json_t *value;
    json_object_foreach(node_iterable(entries), name, value) {
        if (json_is_null(value) == null)
            return true;
    }
    return false;
}

static bool has_any_of(const json_t *said, const json_t *wanted)
{
    const char *name;
    json_t *value;
    json_object_foreach(node_iterable(wanted), name, value) {
        if (json_is_null(value) && json_object_get(said, name))
            return true;
    }
    return false;
}

// Where what is to go stands, when nothing is to be written.
static struct error *file_to_rid(const struct node_unit *unit, const struct node_wish *wish,
                                 int *ret_file)
{
    const struct node_file *config = &unit->files[NODE_FILE_MAIN];
    AUTO_FLAGS struct gates_flags said = {0};
    AUTO_JSON json_t *gates = NULL;
    struct error *err = gates_flags_read(unit->component, unit->argv, &said);
    if (!err)
        err = node_kubelet_config_read(node_file_slice(config), config->path, &gates, NULL);
    if (!err && has_any_of(said.feature_gates, wish->gates))
        *ret_file = NODE_FILE_ENV;
    else if (!err && has_any_of(gates, wish->gates))
        *ret_file = NODE_FILE_MAIN;
    return err;
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
        if (json_is_null(value))
            continue;
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
    if (!has_entry(wish->gates, false) && has_entry(wish->gates, true)) {
        struct error *err = file_to_rid(unit, wish, &file);
        if (err)
            return err;
    }
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

// The bytes as the codec takes them: a drop-in that is not there yet is one without a gate.
static struct slice content_of(int file, const struct node_file *bytes)
{
    bool none = file == NODE_FILE_DROP_IN && bytes->len == 0;
    return none ? slice_of(NODE_DROP_IN_EMPTY) : node_file_slice(bytes);
}

static struct error *edit_file(const struct node_unit *unit, const struct node_wish *wish,
                               const struct node_file *original, struct node_edit *edit)
{
    const struct node_file *now = &unit->files[edit->file];
    bool known = str_eq(wish->path, now->path);
    AUTO_JSON json_t *owned = node_owned_part(known ? wish->owned : NULL, "value");
    AUTO_JSON json_t *replaced = node_owned_part(wish->owned, "before");
    AUTO_JSON json_t *forgotten = node_forgotten(unit, wish);
    AUTO_JSON json_t *want = doc_copy(forgotten); // it is not to stand, and not ours any more
    AUTO_JSON json_t *gates = NULL;
    AUTO_JSON json_t *elsewhere = NULL;
    AUTO_SITE_EDIT struct site_edit made = {0};
    AUTO_SITE_PART struct site_part part = {
        .place = node_place(unit, edit->file), .owned = owned, .replaced = replaced, .want = want};
    struct site_document document = {.now.text = content_of(edit->file, now),
                                     .untouched = original != NULL};
    struct error *err = read_elsewhere(unit, edit->file, &gates);
    if (err)
        return err;
    json_object_update(json_object_get(want, site_kinds[0]), node_iterable(wish->gates));
    json_object_update(json_object_get(want, site_kinds[1]), node_iterable(wish->runtime));
    part.elsewhere = elsewhere = json_pack("{s:O?}", site_kinds[0], gates);
    if (original)
        document.before.text = content_of(edit->file, original);
    if ((err = site_edit(&document, &part, 1, &made)))
        return err;
    bool none = (original ? original : now)->len == 0 && str_eq(made.text, NODE_DROP_IN_EMPTY);
    const char *text = none ? "" : made.text;
    edit->text = slice_eq(node_file_slice(now), text) ? NULL : str_dup(text);
    edit->owned = make_owned(&part, forgotten);
    // The bytes from before have in them what does not come back.
    edit->original = str_dup(node_owned_empty(edit->owned) || !node_owned_empty(forgotten) ? ""
                             : made.before == SITE_BEFORE_KEPT ? wish->original
                             : made.before == SITE_BEFORE_NONE ? ""
                                                               : now->digest);
    if (!node_owned_empty(forgotten))
        edit->forgotten = TAKE(forgotten);
    return NULL;
}

struct error *node_plan(struct node_unit *unit, const struct node_wish *wish,
                        struct node_edit *ret_edit)
{
    AUTO_EDIT struct node_edit edit = {0};
    struct node_file original = {0};
    struct error *err = choose_file(unit, wish, &edit.file);
    if (err)
        return err;
    bool untouched = find_original(unit, wish, edit.file, &original);
    err = edit_file(unit, wish, untouched ? &original : NULL, &edit);
    node_file_fini(&original);
    if (err)
        return err;
    *ret_edit = edit;
    edit = (struct node_edit){0};
    return NULL;
}
