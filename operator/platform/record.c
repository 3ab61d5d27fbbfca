// SPDX-License-Identifier: Apache-2.0
// The record of what is ours in an object is an annotation of that object, written with the flags
// in one patch: a controller that dies at any moment leaves both or neither.
//
//   revision, expect      of what was asked for
//   owned, replaced       our entries, and the values of others that they stand in for
//   before, after         the flags as they were before us (platform_part.tree), and the digest of
//                         what we wrote: while that stands, every edit starts from before, and the
//                         last one gives it back
//   reverted              how often somebody had undone it by then, where that is not 0
//   since, settled        when it was written, when its roll-out was complete
//   previous              {lists, revision, owned, replaced, before, after} of before this edit,
//                         until it is settled: the way back
//   variables             of a Cluster: where it was written, {"featureGates", "runtimeConfig"}
//   failed                {reason, message}: it did not come up and was put back
//   tried                 with failed: our entries of that edit, which are to be gone
#include <string.h>

#include "part.h"

char *platform_annotation(const char *slot)
{
    return str_format("drawbridge.dev/%s", slot);
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
static void sanitize_level(const struct platform_part *part, json_t *record)
{
    static const char *const entries[] = {"owned", "replaced", "tried"};
    static const char *const trees[] = {"before", "lists"};

    for (size_t i = 0; i < COUNT(entries); i++)
        drop_unless(record, entries[i],
                    is_entries(part->component, json_object_get(record, entries[i]),
                               !str_eq(entries[i], "replaced")));
    for (size_t i = 0; i < COUNT(trees); i++)
        drop_unless(record, trees[i],
                    !part->is_tree || part->is_tree(json_object_get(record, trees[i])));
}

static void sanitize(const struct platform_part *part, json_t *record)
{
    json_t *previous = json_object_get(record, "previous");

    sanitize_level(part, record);
    if (json_is_object(previous))
        sanitize_level(part, previous);
    else
        json_object_del(record, "previous");
}

void platform_record_read(struct platform_part *part)
{
    AUTO_MEM char *key = platform_annotation(part->slot);
    const char *text = doc_str(part->object, "metadata", "annotations", key, NULL);
    json_t *record = NULL;

    if (*text && strlen(text) <= PLATFORM_RECORD_BYTES_MAX)
        error_ignore(doc_parse_json(slice_of(text), key, &record),
                     "a record that cannot be read is none: what stands is the user's");
    if (record && !json_is_object(record)) {
        json_decref(record);
        record = NULL;
    }
    if (record)
        sanitize(part, record);
    part->record = record;
    part->owned = site_ours(json_object_get(record, "owned"), &part->flags);
    part->stands = true;
    for (int i = 0; i < SITE_KINDS; i++)
        part->stands =
            part->stands && json_object_size(json_object_get(part->owned, site_kinds[i])) ==
                                json_object_size(doc_get(record, "owned", site_kinds[i], NULL));
}

bool platform_is_rolling(const json_t *object, const char *slot)
{
    AUTO_MEM char *key = platform_annotation(slot);
    const char *text = doc_str(object, "metadata", "annotations", key, NULL);
    AUTO_JSON json_t *record = NULL;

    if (!*text)
        return false;
    error_ignore(doc_parse_json(slice_of(text), key, &record), "it is none, as it is elsewhere");
    return record && !json_object_get(record, "settled") && !json_object_get(record, "failed");
}

// --- edits ---------------------------------------------------------------------------------------

// What was there above the flags tells who made it, not what they say.
static const char *digest_of(const json_t *tree, char *ret)
{
    AUTO_JSON json_t *copy = doc_copy(tree);

    json_object_del(copy, PLATFORM_PARENTS);
    return doc_digest_tree(copy, ret);
}

static bool is_after(const json_t *record, const json_t *tree)
{
    char digest[DOC_DIGEST_BYTES];

    return str_eq(doc_str(record, "after", NULL), digest_of(tree, digest));
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

static struct site_part make_part(const struct platform_part *part, const json_t *want)
{
    return (struct site_part){
        .place = part->place,
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

static void put_marks(json_t *record, const json_t *tree, int64_t now_wall_ms)
{
    char digest[DOC_DIGEST_BYTES], now[CLOCK_TEXT_BYTES];

    json_object_set_new(record, "after", doc_string(digest_of(tree, digest)));
    json_object_set_new(record, "since", doc_string(clock_format(now_wall_ms, now)));
}

// What leads back to the flags as they stand now.
static json_t *make_previous(const struct platform_part *part)
{
    static const char *const kept[] = {"revision", "replaced", "before", "after"};
    json_t *previous = json_object();

    put_copy(previous, "lists", part->tree);
    if (has_entries(part->owned))
        put_copy(previous, "owned", part->owned);
    for (size_t i = 0; i < COUNT(kept); i++)
        put_copy(previous, kept[i], json_object_get(part->record, kept[i]));
    return previous;
}

struct error *platform_record_edit(const struct platform_part *part, const json_t *want,
                                   int64_t now_wall_ms, json_t **ret_tree, json_t **ret_record)
{
    const json_t *before = json_object_get(part->record, "before");
    struct site_document document = {.now.tree = part->tree,
                                     .before.tree = before,
                                     .untouched = is_after(part->record, part->tree)};
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
    if (part->reverts > 0)
        json_object_set_new(record, "reverted", json_integer((json_int_t)part->reverts));
    if (edit.before != SITE_BEFORE_NONE)
        put_copy(record, "before", edit.before == SITE_BEFORE_KEPT ? before : part->tree);
    put_marks(record, edit.tree, now_wall_ms);
    json_object_set_new(record, "previous", make_previous(part));
    text = doc_print_json(record);
    if (strlen(text) > PLATFORM_RECORD_BYTES_MAX)
        return error_new(ERROR_LIMIT,
                         "%s: what must be kept of its flags to put them back has more than %zu "
                         "bytes",
                         part->where, PLATFORM_RECORD_BYTES_MAX);
    *ret_tree = TAKE(edit.tree);
    *ret_record = TAKE(record);
    return NULL;
}

struct error *platform_record_put_back(const struct platform_part *part, int64_t now_wall_ms,
                                       json_t **ret_tree, json_t **ret_record)
{
    static const char *const kept[] = {"owned", "replaced"};
    const json_t *previous = json_object_get(part->record, "previous");
    const json_t *lists = json_object_get(previous, "lists");
    AUTO_SITE_PART struct site_part edited = make_part(part, json_object_get(previous, "owned"));
    AUTO_SITE_EDIT struct site_edit edit = {0};
    bool exact = is_after(part->record, part->tree) && lists;
    json_t *record;

    if (exact) {
        edit.tree = doc_copy(lists);
    } else {
        struct site_document document = {.now.tree = part->tree};
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
    if (has_entries(part->owned))
        put_copy(record, "tried", part->owned);
    doc_set(record, doc_string(part->reason), "failed", "reason", NULL);
    doc_set(record, doc_string(part->message), "failed", "message", NULL);
    *ret_tree = TAKE(edit.tree);
    *ret_record = record;
    return NULL;
}

void platform_record_retarget(json_t *record, const json_t *tree)
{
    char digest[DOC_DIGEST_BYTES];

    json_object_set_new(record, "after", doc_string(digest_of(tree, digest)));
}

json_t *platform_record_settle(const struct platform_part *part, int64_t now_wall_ms)
{
    json_t *record = doc_copy(part->record);
    char now[CLOCK_TEXT_BYTES];

    json_object_del(record, "previous");
    json_object_set_new(record, "settled", doc_string(clock_format(now_wall_ms, now)));
    return record;
}

json_t *platform_record_forget(const struct platform_part *part)
{
    json_t *record = doc_copy(part->record);

    if (!has_entries(json_object_get(record, "owned"))) {
        json_decref(record);
        return NULL;
    }
    json_object_del(record, "failed");
    json_object_del(record, "tried");
    json_object_del(record, "revision");
    return record;
}

// --- a part --------------------------------------------------------------------------------------

struct error *platform_part_read(struct platform_part *part)
{
    struct error *err = site_read_tree(&part->place, part->tree, &part->flags);

    if (err) {
        error_set_reason(err, "ManifestInvalid");
        return err;
    }
    platform_record_read(part);
    return NULL;
}

void platform_part_fini(struct platform_part *part)
{
    json_decref(part->object);
    json_decref(part->workload);
    json_decref(part->tree);
    json_decref(part->record);
    json_decref(part->owned);
    gates_flags_fini(&part->flags);
    mem_free(part->where);
    mem_free(part->message);
    mem_free(part->words);
    *part = (struct platform_part){0};
}
