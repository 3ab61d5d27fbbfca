// SPDX-License-Identifier: Apache-2.0
// Entries of others that shall not stand: as the wish has them, which of them come back once nobody
// wants that any more, and which stay where we do not write.
#include "node_internal.h"

#define LEFT_MAX 8 // more are counted, not named

static const char *const without_keys[SITE_KINDS] = {"withoutFeatureGates", "withoutRuntimeConfig"};

struct error *node_check_without(const json_t *want, const char *component)
{
    for (int k = 0; k < SITE_KINDS; k++) {
        const json_t *names = json_object_get(want, without_keys[k]);
        size_t i;
        json_t *name;
        if (names && !json_is_array(names))
            return error_new(ERROR_INVALID, "%s: %s is not a list", component, without_keys[k]);
        if (json_array_size(names) > GATES_ENTRIES_MAX)
            return error_new(ERROR_LIMIT, "%s: %s has more than %d entries", component,
                             without_keys[k], GATES_ENTRIES_MAX);
        json_array_foreach(node_iterable(names), i, name) {
            const char *text = json_string_value(name);
            if (text && (k == 0 ? gates_name_valid(text) : gates_api_name_valid(text)))
                continue;
            AUTO_MEM char *plain = node_plain(slice_sub(slice_of(text), 0, 100));
            return error_new(ERROR_INVALID, "%s: %s: \"%s\" is no name of %s", component,
                             without_keys[k], plain, k == 0 ? "a feature gate" : "an API version");
        }
    }
    return NULL;
}

// --- the way back --------------------------------------------------------------------------------

// Of what starts next: a manifest may name another image than the one that runs. Major 0: nobody
// knows.
static struct version version_to_start(const struct node_unit *unit)
{
    struct version version = {0};
    return node_image_version(unit->image, &version) ? version : unit->version;
}

json_t *node_forgotten(const struct node_unit *unit, const struct node_wish *wish)
{
    const struct gates_instance start = {.component = unit->component,
                                         .version = version_to_start(unit),
                                         .emulated = unit->emulated};
    const json_t *const wants[SITE_KINDS] = {wish->gates, wish->runtime};
    AUTO_JSON json_t *was = node_owned_part(wish->owned, "value");
    AUTO_JSON json_t *before = node_owned_part(wish->owned, "before");
    json_t *forgotten = json_object();
    for (int k = 0; k < SITE_KINDS; k++) {
        json_t *names = json_object();
        const char *name;
        json_t *value;
        json_object_set_new(forgotten, site_kinds[k], names);
        json_object_foreach(json_object_get(was, site_kinds[k]), name, value) {
            const json_t *stood = doc_get(before, site_kinds[k], name, NULL);
            if (json_is_null(value) && !json_object_get(wants[k], name) &&
                gates_refused(unit->node->spec.table, &start, name, stood, k == 1))
                json_object_set_new(names, name, json_null());
        }
    }
    return forgotten;
}

void node_tell_forgotten(const struct node_unit *unit, const json_t *forgotten)
{
    struct version version = version_to_start(unit);
    AUTO_MEM char *minor = version_format_minor(version);
    const char *kind, *name;
    json_t *names, *value;
    json_object_foreach(node_iterable(forgotten), kind, names) {
        json_object_foreach(names, name, value)
            log_line(LOG_INFO, "node",
                     "%s: %s was taken out before an upgrade and does not come back: %s refuses it",
                     component_name(unit->component), name, minor);
    }
}

// --- what stays ----------------------------------------------------------------------------------

char *node_unit_left(const struct node_unit *unit, const json_t *want)
{
    const json_t *const stand[SITE_KINDS] = {unit->gates, unit->runtime};
    AUTO_BUF struct buf text = buf_make(NODE_MESSAGE_BYTES_MAX * 2);
    size_t left = 0;
    for (int k = 0; k < SITE_KINDS; k++) {
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(want, without_keys[k]), i, item) {
            const char *name = json_string_value(item);
            if (!name || !json_object_get(stand[k], name) || left++ >= LEFT_MAX)
                continue;
            const char *place = doc_str(unit->places, name, NULL);
            buf_printf(&text, "%s%s%s%s%s", left > 1 ? ", " : "", name, *place ? " (" : "", place,
                       *place ? ")" : "");
        }
    }
    if (left == 0)
        return NULL;
    if (left > LEFT_MAX)
        buf_printf(&text, " and %zu more", left - LEFT_MAX);
    AUTO_MEM char *names = buf_take(&text);
    return str_format("to be taken out by hand before the upgrade, since Drawbridge edits one file "
                      "of a component: %s",
                      names);
}
