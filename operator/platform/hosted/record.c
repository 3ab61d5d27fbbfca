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

char *hosted_annotation(enum component component)
{
    return str_format("drawbridge.dev/%s", component_name(component));
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

    return str_eq(map, site_kinds[0]) ? json_is_boolean(value)
                                      : str_eq(text, "true") || str_eq(text, "false");
}

// {"featureGates": {name: bool}, "runtimeConfig": {name: "true" or "false"}}, the latter of the API
// server alone. What is owned may be null.
static bool is_entries(enum component component, const json_t *entries, bool owned)
{
    for (int i = 0; i < SITE_KINDS; i++) {
        json_t *map = json_object_get(entries, site_kinds[i]);
        const char *name;
        json_t *value;

        if (map && (!json_is_object(map) ||
                    (i == 1 && component != COMPONENT_APISERVER && json_object_size(map) > 0)))
            return false;
        json_object_foreach(map, name, value) {
            if (!*name || !(is_entry(site_kinds[i], value) || (owned && json_is_null(value))))
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
        drop_unless(record, entries[i],
                    is_entries(component, json_object_get(record, entries[i]), i == 0));
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
    part->owned = site_ours(json_object_get(record, "owned"), &part->flags);
    part->stands = true;
    for (int i = 0; i < SITE_KINDS; i++)
        part->stands =
            part->stands && json_object_size(json_object_get(part->owned, site_kinds[i])) ==
                                json_object_size(doc_get(record, "owned", site_kinds[i], NULL));
}

bool hosted_is_rolling(const json_t *object, enum component component)
{
    AUTO_MEM char *key = hosted_annotation(component);
    const char *text = doc_str(object, "metadata", "annotations", key, NULL);
    AUTO_JSON json_t *record = NULL;

    if (!*text)
        return false;
    error_ignore(doc_parse_json(slice_of(text), key, &record), "it is none, as it is elsewhere");
    return record && !json_object_get(record, "settled") && !json_object_get(record, "failed");
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

static bool has_entries(const json_t *owned)
{
    return json_object_size(json_object_get(owned, site_kinds[0])) > 0 ||
           json_object_size(json_object_get(owned, site_kinds[1])) > 0;
}

static void put_copy(json_t *to, const char *key, const json_t *value)
{
    if (value)
        json_object_set_new(to, key, doc_copy(value));
}

struct site_place hosted_place(const struct hosted_part *part)
{
    return (struct site_place){&site_lists, part->component, part->where, .at = NULL};
}

static struct site_part make_part(const struct hosted_part *part, const json_t *want)
{
    return (struct site_part){
        .place = hosted_place(part),
        .owned = part->owned,
        .replaced = json_object_get(part->record, "replaced"),
        .want = want,
    };
}

static void put_entries(const struct site_part *edited, json_t *record)
{
    for (int i = 0; i < SITE_KINDS; i++) {
        const char *kind = site_kinds[i];

        if (json_object_size(json_object_get(edited->ret_owned, kind)) == 0)
            continue;
        doc_set(record, doc_copy(json_object_get(edited->ret_owned, kind)), "owned", kind, NULL);
        doc_set(record, doc_copy(json_object_get(edited->ret_replaced, kind)), "replaced", kind,
                NULL);
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
    struct site_document document = {.now.tree = part->lists,
                                     .before.tree = before,
                                     .untouched = is_after(part->record, part->lists)};
    AUTO_JSON json_t *entries = site_wanted(want);
    AUTO_SITE_PART struct site_part edited = make_part(part, entries);
    AUTO_SITE_EDIT struct site_edit edit = {0};
    AUTO_JSON json_t *record = json_object();
    AUTO_MEM char *text = NULL;
    struct error *err = site_edit(&document, &edited, 1, &edit);

    if (err)
        return err;
    put_copy(record, "revision", json_object_get(want, "revision"));
    put_copy(record, "expect", json_object_get(want, "expect"));
    put_entries(&edited, record);
    if (edit.before != SITE_BEFORE_NONE)
        put_copy(record, "before", edit.before == SITE_BEFORE_KEPT ? before : part->lists);
    put_marks(record, edit.tree, now_wall_ms);
    json_object_set_new(record, "previous", make_previous(part));
    text = doc_print_json(record);
    if (strlen(text) > HOSTED_RECORD_BYTES_MAX)
        return error_new(ERROR_LIMIT,
                         "%s: what must be kept of its flags to put them back has more than %zu "
                         "bytes",
                         part->where, HOSTED_RECORD_BYTES_MAX);
    *ret_lists = TAKE(edit.tree);
    *ret_record = TAKE(record);
    return NULL;
}

struct error *hosted_record_put_back(const struct hosted_part *part, int64_t now_wall_ms,
                                     json_t **ret_lists, json_t **ret_record)
{
    static const char *const kept[] = {"owned", "replaced"};
    const json_t *previous = json_object_get(part->record, "previous");
    const json_t *lists = json_object_get(previous, "lists");
    AUTO_SITE_PART struct site_part edited = make_part(part, json_object_get(previous, "owned"));
    AUTO_SITE_EDIT struct site_edit edit = {0};
    bool exact = is_after(part->record, part->lists) && lists;
    json_t *record;

    if (exact) {
        edit.tree = doc_copy(lists);
    } else {
        struct site_document document = {.now.tree = part->lists};
        struct error *err = site_edit(&document, &edited, 1, &edit);

        if (err)
            return err;
    }
    record = json_object();
    put_copy(record, "revision", json_object_get(part->record, "revision"));
    for (size_t i = 0; i < COUNT(kept); i++)
        put_copy(record, kept[i], json_object_get(previous, kept[i]));
    if (exact) // else somebody wrote what was not there before us
        put_copy(record, "before", json_object_get(previous, "before"));
    put_marks(record, edit.tree, now_wall_ms);
    doc_set(record, doc_string(part->reason), "failed", "reason", NULL);
    doc_set(record, doc_string(part->message), "failed", "message", NULL);
    *ret_lists = TAKE(edit.tree);
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
