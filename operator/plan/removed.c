// SPDX-License-Identifier: Apache-2.0
// What of others was taken out, for people: which entries, and where.
#include "plan_internal.h"

#define ENTRIES_MAX 8 // more are counted, not named
#define PLACES_MAX 3

static const char *place_of(const struct plan_instance *instance)
{
    return instance->node ? instance->node : instance->object ? instance->object : instance->id;
}

// Into entries: "A=true" → places.
static void note(json_t *entries, const struct plan_instance *instance, const char *kind)
{
    const json_t *names = doc_get(instance->reported, "removed", kind, NULL);

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const json_t *stood =
            name ? doc_get(instance->reported, "replaced", kind, name, NULL) : NULL;
        AUTO_MEM char *entry = NULL;
        json_t *places;

        if (!json_is_boolean(stood) && !json_is_string(stood))
            continue;
        entry = str_format("%s=%s", name,
                           json_is_string(stood) ? json_string_value(stood)
                           : json_is_true(stood) ? "true"
                                                 : "false");
        places = json_object_get(entries, entry);
        if (!places) {
            places = json_array();
            json_object_set_new(entries, entry, places);
        }
        json_array_append_new(places, doc_string(place_of(instance)));
    }
}

static void add_entry(struct buf *text, const char *entry, const json_t *places)
{
    size_t len = json_array_size(places);

    buf_printf(text, "%s%s (", text->len ? ", " : "", entry);
    for (size_t i = 0; i < len && i < PLACES_MAX; i++)
        buf_printf(text, "%s%s", i ? ", " : "", json_string_value(json_array_get(places, i)));
    if (len > PLACES_MAX)
        buf_printf(text, " and %zu more", len - PLACES_MAX);
    buf_add_str(text, ")");
}

char *plan_removed_text(const struct plan_instance *instances, size_t len, enum component component)
{
    AUTO_BUF struct buf text = buf_make(PLAN_REMOVED_BYTES_MAX);
    AUTO_STRLIST struct strlist names = {0};
    AUTO_JSON json_t *entries = json_object();
    const char *entry;
    json_t *places;

    for (size_t i = 0; i < len; i++) {
        if (instances[i].component != component)
            continue;
        note(entries, &instances[i], "featureGates");
        note(entries, &instances[i], "runtimeConfig");
    }
    json_object_foreach(entries, entry, places)
        strlist_add(&names, entry);
    strlist_sort(&names);
    for (size_t i = 0; i < names.len && i < ENTRIES_MAX; i++)
        add_entry(&text, names.items[i], json_object_get(entries, names.items[i]));
    if (names.len > ENTRIES_MAX)
        buf_printf(&text, " and %zu more", names.len - ENTRIES_MAX);
    return buf_take(&text);
}
