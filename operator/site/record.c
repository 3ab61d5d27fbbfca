// SPDX-License-Identifier: Apache-2.0
// What is ours of what stands, and the edit that keeps it so: made anew on what was there before us
// where nobody wrote since, and entry by entry where somebody did. Whose entry it is, and what it
// stands in for, is told by values alone, whatever the codec.
#include "site_internal.h"

const char *const site_kinds[SITE_KINDS] = {"featureGates", "runtimeConfig"};

static json_t *iterable(const json_t *tree)
{
    return (json_t *)(uintptr_t)tree;
}

static const json_t *of_kind(const struct gates_flags *flags, int kind)
{
    return kind == 0 ? flags->feature_gates : flags->runtime_config;
}

static json_t *new_kinds(void)
{
    return json_pack("{s:{}, s:{}}", site_kinds[0], site_kinds[1]);
}

// A null of ours is an entry that shall not stand.
static bool stands_so(const json_t *stands, const char *name, const json_t *value)
{
    const json_t *now = json_object_get(stands, name);

    return json_is_null(value) ? !now : doc_equal(now, value);
}

json_t *site_ours(const json_t *owned, const struct gates_flags *flags)
{
    json_t *ours = new_kinds();

    for (int k = 0; k < SITE_KINDS; k++) {
        const json_t *stands = of_kind(flags, k);
        const char *name;
        json_t *value;

        json_object_foreach(iterable(json_object_get(owned, site_kinds[k])), name, value) {
            if (stands_so(stands, name, value))
                json_object_set(json_object_get(ours, site_kinds[k]), name, value);
        }
    }
    return ours;
}

static const char *const without_keys[SITE_KINDS] = {"withoutFeatureGates", "withoutRuntimeConfig"};

// The names as entries that shall not stand, where nothing else is said of them.
static void add_absent(json_t *entries, const char *kind, const json_t *names)
{
    json_t *map = json_object_get(entries, kind), *name;
    size_t i;

    if (json_array_size(names) > 0 && !map) {
        map = json_object();
        json_object_set_new(entries, kind, map);
    }
    json_array_foreach(iterable(names), i, name) {
        const char *text = json_string_value(name);

        if (text && !json_object_get(map, text))
            json_object_set_new(map, text, json_null());
    }
}

static json_t *entries_of(const json_t *maps, const json_t *names, const char *const *keys)
{
    json_t *entries = json_object();

    for (int k = 0; k < SITE_KINDS; k++) {
        const json_t *map = json_object_get(maps, site_kinds[k]);

        if (map)
            json_object_set_new(entries, site_kinds[k], json_copy(iterable(map)));
        add_absent(entries, site_kinds[k], json_object_get(names, keys[k]));
    }
    return entries;
}

json_t *site_wanted(const json_t *want)
{
    return entries_of(want, want, without_keys);
}

json_t *site_owned_of(const json_t *report)
{
    return entries_of(json_object_get(report, "owned"), json_object_get(report, "removed"),
                      site_kinds);
}

json_t *site_take_removed(json_t *owned)
{
    json_t *removed = NULL;

    for (int k = 0; k < SITE_KINDS; k++) {
        json_t *entries = json_object_get(owned, site_kinds[k]);
        AUTO_STRLIST struct strlist names = {0};
        const char *name;
        json_t *value;

        json_object_foreach(entries, name, value) {
            if (json_is_null(value))
                strlist_add(&names, name);
        }
        strlist_sort(&names);
        for (size_t i = 0; i < names.len; i++) {
            json_t *list;

            removed = removed ? removed : json_pack("{s:[], s:[]}", site_kinds[0], site_kinds[1]);
            list = json_object_get(removed, site_kinds[k]);
            json_array_append_new(list, doc_string(names.items[i]));
            json_object_del(entries, names.items[i]);
        }
    }
    return removed;
}

void site_part_fini(struct site_part *part)
{
    json_decref(part->ret_owned);
    json_decref(part->ret_replaced);
    part->ret_owned = part->ret_replaced = NULL;
}

void site_edit_fini(struct site_edit *edit)
{
    mem_free(edit->text);
    json_decref(edit->tree);
    *edit = (struct site_edit){0};
}

// --- entries -------------------------------------------------------------------------------------

// One kind of entry of one part.
struct entries {
    const json_t *stands, *ours, *replaced, *want, *elsewhere;
    json_t *set, *unset, *owned, *now_replaced; // to be filled
};

// What nobody else had said is no absence of ours.
static void want_absent(struct entries *e, const char *name, bool now, json_t *before)
{
    if (now)
        json_object_set_new(e->unset, name, json_true());
    if (!before)
        return;
    json_object_set_new(e->owned, name, json_null());
    json_object_set(e->now_replaced, name, before);
}

static void want_entry(struct entries *e, const char *name, json_t *value)
{
    json_t *now = json_object_get(e->stands, name);
    json_t *before = json_object_get(e->ours, name) ? json_object_get(e->replaced, name) : now;

    if (json_is_null(value)) {
        want_absent(e, name, now != NULL, before);
        return;
    }
    if (!now && doc_equal(json_object_get(e->elsewhere, name), value))
        return; // somebody else says it already
    if (!doc_equal(now, value))
        json_object_set(e->set, name, value);
    json_object_set(e->owned, name, value);
    if (before)
        json_object_set(e->now_replaced, name, before);
}

static void give_up_entry(struct entries *e, const char *name)
{
    json_t *before = json_object_get(e->replaced, name);

    if (before)
        json_object_set(e->set, name, before);
    else
        json_object_set_new(e->unset, name, json_true());
}

static void edit_entries(struct entries *e)
{
    const char *name;
    json_t *value;

    json_object_foreach(iterable(e->want), name, value)
        want_entry(e, name, value);
    json_object_foreach(iterable(e->ours), name, value) {
        if (!json_object_get(e->want, name))
            give_up_entry(e, name);
    }
}

// After the edit it must say what was wanted, as the component will read it.
static struct error *check_part(const struct site_part *part, const struct site_doc *doc)
{
    AUTO_FLAGS struct gates_flags flags = {0};
    struct error *err = part->place.codec->read(&part->place, doc, &flags);

    if (err)
        return err;
    for (int k = 0; k < SITE_KINDS; k++) {
        const char *name;
        json_t *value;

        json_object_foreach(json_object_get(part->ret_owned, site_kinds[k]), name, value) {
            if (!stands_so(of_kind(&flags, k), name, value))
                return error_new(ERROR_INTERNAL, "%s: %s would not be %s", part->place.name, name,
                                 site_kinds[k]);
        }
    }
    return NULL;
}

// anew: on what was there before us, where nothing is ours. *ours becomes true where something is.
static struct error *edit_part(struct site_part *part, struct site_doc *doc, bool anew, bool *ours)
{
    AUTO_JSON json_t *set = new_kinds();
    AUTO_JSON json_t *unset = new_kinds();
    AUTO_JSON json_t *standing = NULL;
    AUTO_FLAGS struct gates_flags flags = {0};
    struct error *err = part->place.codec->read(&part->place, doc, &flags);

    if (err)
        return err;
    standing = site_ours(anew ? NULL : part->owned, &flags);
    part->ret_owned = new_kinds();
    part->ret_replaced = new_kinds();
    for (int k = 0; k < SITE_KINDS; k++) {
        const char *kind = site_kinds[k];
        struct entries e = {
            .stands = of_kind(&flags, k),
            .ours = json_object_get(standing, kind),
            .replaced = json_object_get(part->replaced, kind),
            .want = json_object_get(part->want, kind),
            .elsewhere = json_object_get(part->elsewhere, kind),
            .set = json_object_get(set, kind),
            .unset = json_object_get(unset, kind),
            .owned = json_object_get(part->ret_owned, kind),
            .now_replaced = json_object_get(part->ret_replaced, kind),
        };

        edit_entries(&e);
        *ours = *ours || json_object_size(e.ours) > 0;
    }
    struct site_change change = {
        json_object_get(set, site_kinds[0]), json_object_get(unset, site_kinds[0]),
        json_object_get(set, site_kinds[1]), json_object_get(unset, site_kinds[1])};
    err = part->place.codec->write(&part->place, doc, &change);
    return err ? err : check_part(part, doc);
}

// --- the edit ------------------------------------------------------------------------------------

static bool is_there(const struct site_content *content)
{
    return content->text.ptr || content->tree;
}

struct error *site_edit(const struct site_document *document, struct site_part *parts, size_t len,
                        struct site_edit *ret_edit)
{
    bool anew = document->untouched && is_there(&document->before), ours = false;
    const struct site_content *base = anew ? &document->before : &document->now;
    AUTO_SITE_DOC struct site_doc doc = {0};
    struct error *err = site_doc_open(&doc, &parts[0].place, base);

    for (size_t i = 0; !err && i < len; i++)
        err = edit_part(&parts[i], &doc, anew, &ours);
    if (err)
        return err;
    *ret_edit = (struct site_edit){.before = anew   ? SITE_BEFORE_KEPT
                                             : ours ? SITE_BEFORE_NONE
                                                    : SITE_BEFORE_NOW};
    site_doc_close(&doc, &ret_edit->text, &ret_edit->tree);
    return NULL;
}
