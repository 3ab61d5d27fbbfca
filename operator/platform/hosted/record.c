// SPDX-License-Identifier: Apache-2.0
// The record of what is ours in an object is an annotation of that object, written with the flags
// in one patch: a controller that dies at any moment leaves both or neither.
//
//   revision, expect      of what was asked for
//   owned, replaced       our entries, and the values of others that they stand in for
//   before, after         the lists as they were before us, and the digest of those that we wrote:
//                         while they stand, every edit starts from before, and the last one gives
//                         it back
//   since, settled        when it was written, when its roll-out was complete
//   previous              {lists, revision, owned, replaced, before, after} of before this edit,
//                         until it is settled: the way back
//   failed                {reason, message}: it did not come up and was put back
#include <string.h>

#include "hosted_internal.h"

static const char *const maps[] = {"featureGates", "runtimeConfig"};

char *hosted_annotation(enum component component)
{
    return str_format("drawbridge.dev/%s", component_name(component));
}

static const json_t *flags_of(const struct hosted_part *part, const char *map)
{
    return str_eq(map, maps[0]) ? part->flags.feature_gates : part->flags.runtime_config;
}

static bool is_strings(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!json_is_string(json_array_get(list, i)))
            return false;
    }
    return !list || json_is_array(list);
}

static bool is_lists(const json_t *lists)
{
    return json_is_object(lists) && is_strings(json_object_get(lists, "command")) &&
           is_strings(json_object_get(lists, "args"));
}

static void drop_unless(json_t *record, const char *key, bool good)
{
    if (!good)
        json_object_del(record, key);
}

static bool is_entry(const char *map, const json_t *value)
{
    const char *text = json_string_value(value);

    return str_eq(map, maps[0]) ? json_is_boolean(value)
                                : str_eq(text, "true") || str_eq(text, "false");
}

// {"featureGates": {name: bool}, "runtimeConfig": {name: "true" or "false"}}, the latter of the API
// server alone.
static bool is_entries(enum component component, const json_t *entries)
{
    for (size_t i = 0; i < COUNT(maps); i++) {
        json_t *map = json_object_get(entries, maps[i]);
        const char *name;
        json_t *value;

        if (map && (!json_is_object(map) ||
                    (i == 1 && component != COMPONENT_APISERVER && json_object_size(map) > 0)))
            return false;
        json_object_foreach(map, name, value) {
            if (!*name || !is_entry(maps[i], value))
                return false;
        }
    }
    return !entries || json_is_object(entries);
}

// Whoever may edit the object may edit the annotation: what is not as we write it is left out.
static void sanitize_level(enum component component, json_t *record)
{
    static const char *const entries[] = {"owned", "replaced"};
    static const char *const lists[] = {"before", "lists"};

    for (size_t i = 0; i < COUNT(entries); i++)
        drop_unless(record, entries[i], is_entries(component, json_object_get(record, entries[i])));
    for (size_t i = 0; i < COUNT(lists); i++)
        drop_unless(record, lists[i], is_lists(json_object_get(record, lists[i])));
}

static void sanitize(enum component component, json_t *record)
{
    json_t *previous = json_object_get(record, "previous");

    sanitize_level(component, record);
    if (json_is_object(previous))
        sanitize_level(component, previous);
    else
        json_object_del(record, "previous");
}

void hosted_record_read(struct hosted_part *part)
{
    AUTO_MEM char *key = hosted_annotation(part->component);
    const char *text = doc_str(part->object, "metadata", "annotations", key, NULL);
    json_t *record = NULL;

    if (*text && strlen(text) <= HOSTED_RECORD_BYTES_MAX)
        error_ignore(doc_parse_json(slice_of(text), key, &record),
                     "a record that cannot be read is none: what stands is the user's");
    if (record && !json_is_object(record)) {
        json_decref(record);
        record = NULL;
    }
    if (record)
        sanitize(part->component, record);
    part->record = record;
    part->owned = json_object();
    part->stands = true;
    for (size_t i = 0; i < COUNT(maps); i++) {
        const json_t *recorded = doc_get(record, "owned", maps[i], NULL);
        json_t *ours = json_is_object(recorded)
                           ? platform_entries_ours(recorded, flags_of(part, maps[i]))
                           : json_object();

        part->stands = part->stands && json_object_size(ours) == json_object_size(recorded);
        json_object_set_new(part->owned, maps[i], ours);
    }
}

// --- edits ---------------------------------------------------------------------------------------

// Of the lists alone: whether extraArgs was there before them tells who made it, not what it says.
static const char *digest_lists(const json_t *lists, char *ret)
{
    AUTO_JSON json_t *copy = doc_copy(lists);

    json_object_del(copy, "extraArgs");
    return doc_digest_tree(copy, ret);
}

static bool is_after(const json_t *record, const json_t *lists)
{
    char digest[DOC_DIGEST_BYTES];

    return str_eq(doc_str(record, "after", NULL), digest_lists(lists, digest));
}

// The lists of base with the entries of want instead of those of owned.
static struct error *edit_lists(const struct hosted_part *part, const json_t *base,
                                const json_t *owned, const json_t *want, json_t **ret_lists)
{
    json_t *set[COUNT(maps)], *unset[COUNT(maps)];
    struct site_place place = {&site_lists, part->component, part->where, .at = NULL};
    struct site_change change;
    struct error *err;

    for (size_t i = 0; i < COUNT(maps); i++) {
        AUTO_JSON json_t *given_up = platform_entries_without(json_object_get(owned, maps[i]),
                                                              json_object_get(want, maps[i]));

        set[i] = platform_entries_with_replaced(json_object_get(want, maps[i]), given_up,
                                                doc_get(part->record, "replaced", maps[i], NULL));
        unset[i] = platform_entries_without(given_up, set[i]);
        if (!unset[i])
            unset[i] = json_object();
    }
    change = (struct site_change){set[0], unset[0], set[1], unset[1]};
    err = site_write_tree(&place, base, &change, ret_lists);
    for (size_t i = 0; i < COUNT(maps); i++) {
        json_decref(set[i]);
        json_decref(unset[i]);
    }
    return err;
}

static bool has_entries(const json_t *owned)
{
    return json_object_size(json_object_get(owned, maps[0])) > 0 ||
           json_object_size(json_object_get(owned, maps[1])) > 0;
}

static void put_copy(json_t *to, const char *key, const json_t *value)
{
    if (value)
        json_object_set_new(to, key, doc_copy(value));
}

static void put_entries(const struct hosted_part *part, const json_t *want, json_t *record)
{
    for (size_t i = 0; i < COUNT(maps); i++) {
        const json_t *entries = json_object_get(want, maps[i]);

        if (json_object_size(entries) == 0)
            continue;
        doc_set(record, doc_copy(entries), "owned", maps[i], NULL);
        doc_set(record,
                platform_entries_replaced(entries, flags_of(part, maps[i]),
                                          json_object_get(part->owned, maps[i]),
                                          doc_get(part->record, "replaced", maps[i], NULL)),
                "replaced", maps[i], NULL);
    }
}

static void put_marks(json_t *record, const json_t *lists, int64_t now_wall_ms)
{
    char digest[DOC_DIGEST_BYTES], now[CLOCK_TEXT_BYTES];

    json_object_set_new(record, "after", doc_string(digest_lists(lists, digest)));
    json_object_set_new(record, "since", doc_string(clock_format(now_wall_ms, now)));
}

// What leads back to the lists as they stand now.
static json_t *make_previous(const struct hosted_part *part)
{
    static const char *const kept[] = {"revision", "replaced", "before", "after"};
    json_t *previous = json_object();

    put_copy(previous, "lists", part->lists);
    if (has_entries(part->owned))
        put_copy(previous, "owned", part->owned);
    for (size_t i = 0; i < COUNT(kept); i++)
        put_copy(previous, kept[i], json_object_get(part->record, kept[i]));
    return previous;
}

struct error *hosted_record_edit(const struct hosted_part *part, const json_t *want,
                                 int64_t now_wall_ms, json_t **ret_lists, json_t **ret_record)
{
    const json_t *before = json_object_get(part->record, "before");
    // Nobody touched the lists since: the edit is made anew on what was there before us.
    bool original = before && is_after(part->record, part->lists);
    AUTO_JSON json_t *lists = NULL;
    AUTO_JSON json_t *record = json_object();
    AUTO_MEM char *text = NULL;
    struct error *err = edit_lists(part, original ? before : part->lists,
                                   original ? NULL : part->owned, want, &lists);

    if (err)
        return err;
    put_copy(record, "revision", json_object_get(want, "revision"));
    put_copy(record, "expect", json_object_get(want, "expect"));
    put_entries(part, want, record);
    if (original)
        put_copy(record, "before", before);
    else if (!has_entries(part->owned))
        put_copy(record, "before", part->lists);
    put_marks(record, lists, now_wall_ms);
    json_object_set_new(record, "previous", make_previous(part));
    text = doc_print_json(record);
    if (strlen(text) > HOSTED_RECORD_BYTES_MAX)
        return error_new(ERROR_LIMIT,
                         "%s: what must be kept of its flags to put them back has more than %zu "
                         "bytes",
                         part->where, HOSTED_RECORD_BYTES_MAX);
    *ret_lists = TAKE(lists);
    *ret_record = TAKE(record);
    return NULL;
}

struct error *hosted_record_put_back(const struct hosted_part *part, int64_t now_wall_ms,
                                     json_t **ret_lists, json_t **ret_record)
{
    static const char *const kept[] = {"owned", "replaced", "before"};
    const json_t *previous = json_object_get(part->record, "previous");
    json_t *lists = NULL;
    json_t *record = json_object();
    struct error *err = NULL;

    if (is_after(part->record, part->lists) && json_object_get(previous, "lists"))
        lists = doc_copy(json_object_get(previous, "lists"));
    else
        err =
            edit_lists(part, part->lists, part->owned, json_object_get(previous, "owned"), &lists);
    if (err) {
        json_decref(record);
        return err;
    }
    put_copy(record, "revision", json_object_get(part->record, "revision"));
    for (size_t i = 0; i < COUNT(kept); i++)
        put_copy(record, kept[i], json_object_get(previous, kept[i]));
    put_marks(record, lists, now_wall_ms);
    doc_set(record, doc_string(part->reason), "failed", "reason", NULL);
    doc_set(record, doc_string(part->message), "failed", "message", NULL);
    *ret_lists = lists;
    *ret_record = record;
    return NULL;
}

json_t *hosted_record_settle(const struct hosted_part *part, int64_t now_wall_ms)
{
    json_t *record = doc_copy(part->record);
    char now[CLOCK_TEXT_BYTES];

    json_object_del(record, "previous");
    json_object_set_new(record, "settled", doc_string(clock_format(now_wall_ms, now)));
    return record;
}

json_t *hosted_record_forget(const struct hosted_part *part)
{
    json_t *record = doc_copy(part->record);

    if (!has_entries(json_object_get(record, "owned"))) {
        json_decref(record);
        return NULL;
    }
    json_object_del(record, "failed");
    json_object_del(record, "revision");
    return record;
}

// --- the patch -----------------------------------------------------------------------------------

static void add_op(json_t *patch, const char *op, const char *path, json_t *take_value)
{
    json_t *step = json_object();

    json_object_set_new(step, "op", doc_string(op));
    json_object_set_new(step, "path", doc_string(path));
    if (take_value)
        json_object_set_new(step, "value", take_value);
    json_array_append_new(patch, step);
}

static void patch_list(json_t *patch, const char *path, const json_t *was, const json_t *now)
{
    if (doc_equal(was, now))
        return;
    add_op(patch, !now ? "remove" : was ? "replace" : "add", path, now ? doc_copy(now) : NULL);
}

// Makes what is above the list, and takes away again what was made.
static void patch_extra_args(const struct hosted_part *part, const json_t *lists, json_t *patch)
{
    const char *field = hosted_field(part->component);
    const json_t *deployment = doc_get(part->object, "spec", "controlPlane", "deployment", NULL);
    const json_t *extra = json_object_get(deployment, "extraArgs");
    const json_t *was = json_object_get(part->lists, "args"), *now = json_object_get(lists, "args");
    AUTO_MEM char *path = str_format("/spec/controlPlane/deployment/extraArgs/%s", field);

    if (doc_equal(was, now))
        return;
    if (!deployment)
        add_op(patch, "add", "/spec/controlPlane/deployment", json_object());
    if (!extra)
        add_op(patch, "add", "/spec/controlPlane/deployment/extraArgs", json_object());
    if (!now && json_object_size(extra) == 1 && !doc_bool(lists, true, "extraArgs", NULL))
        add_op(patch, "remove", "/spec/controlPlane/deployment/extraArgs", NULL);
    else
        patch_list(patch, path, was, now);
}

static void patch_containers(const struct hosted_part *part, const json_t *lists, json_t *patch)
{
    static const char *const names[] = {"command", "args"};

    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO_MEM char *path =
            str_format("/spec/template/spec/containers/%zu/%s", part->container.index, names[i]);

        patch_list(patch, path, json_object_get(part->lists, names[i]),
                   json_object_get(lists, names[i]));
    }
}

static void patch_record(const struct hosted_part *part, const json_t *record, json_t *patch)
{
    const json_t *annotations = doc_get(part->object, "metadata", "annotations", NULL);
    AUTO_MEM char *key = hosted_annotation(part->component);
    AUTO_MEM char *path =
        str_format("/metadata/annotations/drawbridge.dev~1%s", component_name(part->component));

    if (!record) {
        if (json_object_get(annotations, key))
            add_op(patch, "remove", path, NULL);
        return;
    }
    if (!annotations)
        add_op(patch, "add", "/metadata/annotations", json_object());
    AUTO_MEM char *text = doc_print_json(record);
    add_op(patch, "add", path, doc_string(text));
}

json_t *hosted_patch(const struct hosted_part *part, const json_t *lists, const json_t *record)
{
    json_t *patch = json_array();

    // A precondition as a replacement: the API server answers a stale one with 409, a failed "test"
    // with 422 as if the patch were wrong.
    add_op(patch, "replace", "/metadata/resourceVersion",
           doc_string(doc_str(part->object, "metadata", "resourceVersion", NULL)));
    if (lists && part->kind == KIND_TENANT_CONTROL_PLANE)
        patch_extra_args(part, lists, patch);
    else if (lists)
        patch_containers(part, lists, patch);
    patch_record(part, record, patch);
    return patch;
}
