// SPDX-License-Identifier: Apache-2.0
// Features: what people want of DRA, in the field's words, and which gates and API versions make it
// work in which minor.
#include "gates_internal.h"

#include <string.h>

const struct feature_row *gates_feature_row(const struct gates_table *table, const char *name)
{
    for (size_t i = 0; i < table->features_len; i++)
        if (str_eq(table->features[i].name, name))
            return &table->features[i];
    return NULL;
}

int gates_feature_minor(const struct gates_table *table, int minor)
{
    return minor > table->newest ? table->newest : minor;
}

static const char *const *names_at(const struct names_span *spans, size_t len, int minor)
{
    for (size_t i = 0; i < len; i++)
        if (spans[i].from <= minor && minor <= spans[i].to)
            return spans[i].names;
    return NULL;
}

const char *const *gates_feature_gates(const struct feature_row *row, int minor)
{
    return names_at(row->gates, row->gates_len, minor);
}

const char *const *gates_feature_apis(const struct feature_row *row, int minor)
{
    static const char *const none[] = {NULL};
    const char *const *apis = names_at(row->apis, row->apis_len, minor);
    return apis == NULL ? none : apis;
}

static void add_closure(const struct gates_table *table, const char *name, int minor,
                        json_t *closure)
{
    for (size_t i = 0; i < json_array_size(closure); i++)
        if (str_eq(json_string_value(json_array_get(closure, i)), name))
            return;
    json_array_append_new(closure, doc_string(name));
    const struct gate_row *row = gates_row(table, name);
    const char *const *dep = row == NULL ? NULL : gates_row_depends_on(row, minor);
    for (; dep != NULL && *dep != NULL; dep++)
        add_closure(table, *dep, minor, closure);
}

json_t *gates_feature_closure(const struct gates_table *table, const struct feature_row *row,
                              int minor)
{
    json_t *closure = json_array();
    const char *const *name = gates_feature_gates(row, minor);
    for (; name != NULL && *name != NULL; name++)
        add_closure(table, *name, minor, closure);
    return closure;
}

bool gates_feature_find(const struct gates_table *table, const char *name, struct version minor,
                        struct feature *ret_feature)
{
    const struct feature_row *row = gates_feature_row(table, name);
    if (row == NULL || minor.major != 1)
        return false;
    int at = gates_feature_minor(table, minor.minor);
    *ret_feature = (struct feature){
        .name = row->name,
        .summary = row->summary,
        .gates = gates_feature_gates(row, at),
        .apis = gates_feature_apis(row, at),
    };
    return ret_feature->gates != NULL;
}

bool gates_feature_since(const struct gates_table *table, const char *name,
                         struct version *ret_first)
{
    const struct feature_row *row = gates_feature_row(table, name);
    if (row == NULL || row->gates_len == 0)
        return false;
    int first = row->gates[0].from;
    for (size_t i = 1; i < row->gates_len; i++)
        first = row->gates[i].from < first ? row->gates[i].from : first;
    *ret_first = (struct version){1, first, 0};
    return true;
}

// What a feature is in a minor when nobody says anything.
struct nature {
    bool there, on, alpha;
};

static bool served_by_default(const struct gates_table *table, const char *group_version, int minor)
{
    AUTO_MEM char *group = NULL;
    AUTO_MEM char *version = NULL;
    AUTO_MEM char *resource = NULL;
    return gates_runtime_split(group_version, &group, &version, &resource) &&
           gates_api_at(gates_api_row(table, group, version), minor) == 1;
}

static struct nature nature_of(const struct gates_table *table, const struct feature_row *row,
                               int minor)
{
    struct nature nature = {.there = gates_feature_gates(row, minor) != NULL, .on = true};
    AUTO_JSON json_t *closure = gates_feature_closure(table, row, minor);
    for (size_t i = 0; i < json_array_size(closure); i++) {
        const struct gate_row *gate_row =
            gates_row(table, json_string_value(json_array_get(closure, i)));
        struct gate gate;
        if (gate_row == NULL || !gates_row_at(gate_row, minor, &gate))
            continue;
        nature.on = nature.on && gate.value;
        nature.alpha = nature.alpha || (gate.stage == STAGE_ALPHA && !gate.value);
    }
    for (const char *const *api = gates_feature_apis(row, minor); *api != NULL; api++) {
        nature.on = nature.on && served_by_default(table, *api, minor);
        nature.alpha = nature.alpha || gates_api_level(strchr(*api, '/') + 1) == API_ALPHA;
    }
    nature.on = nature.on && nature.there;
    return nature;
}

bool gates_feature_default_since(const struct gates_table *table, const char *name,
                                 struct version *ret_minor)
{
    const struct feature_row *row = gates_feature_row(table, name);
    int since = 0;
    for (int minor = table->newest; row != NULL && minor >= table->oldest; minor--) {
        if (!nature_of(table, row, minor).on)
            break;
        since = minor;
    }
    *ret_minor = (struct version){1, since, 0};
    return since > 0;
}

static json_t *gates_json(const struct gates_table *table, const struct feature_row *row, int minor)
{
    json_t *list = json_array();
    AUTO_JSON json_t *closure = gates_feature_closure(table, row, minor);
    for (size_t i = 0; i < json_array_size(closure); i++) {
        const char *name = json_string_value(json_array_get(closure, i));
        const struct gate_row *gate_row = gates_row(table, name);
        struct gate gate;
        if (gate_row == NULL || !gates_row_at(gate_row, minor, &gate))
            continue;
        json_t *entry = json_object();
        json_object_set_new(entry, "name", doc_string(name));
        json_object_set_new(entry, "stage", doc_string(stage_name(gate.stage)));
        json_object_set_new(entry, "default", json_boolean(gate.value));
        json_object_set_new(entry, "components", gates_components_json(gate.components));
        json_array_append_new(list, entry);
    }
    return list;
}

static void put_minor(json_t *entry, const char *key, bool known, struct version minor)
{
    AUTO_MEM char *text = version_format_minor(minor);
    if (known)
        json_object_set_new(entry, key, doc_string(text));
}

json_t *gates_features_list(const struct gates_table *table, struct version minor)
{
    json_t *list = json_array();
    for (size_t i = 0; i < table->features_len; i++) {
        const struct feature_row *row = &table->features[i];
        struct nature nature = nature_of(table, row, minor.minor);
        json_t *apis = json_array(), *entry = json_object();
        struct version first, since;
        json_object_set_new(entry, "name", doc_string(row->name));
        json_object_set_new(entry, "summary", doc_string(row->summary));
        json_object_set_new(entry, "state",
                            doc_string(!nature.there  ? "Unavailable"
                                       : nature.on    ? "Default"
                                       : nature.alpha ? "Alpha"
                                                      : "Off"));
        put_minor(entry, "since", gates_feature_since(table, row->name, &first), first);
        put_minor(entry, "defaultSince", gates_feature_default_since(table, row->name, &since),
                  since);
        json_object_set_new(entry, "gates", gates_json(table, row, minor.minor));
        for (const char *const *api = gates_feature_apis(row, minor.minor); *api != NULL; api++)
            json_array_append_new(apis, doc_string(*api));
        json_object_set_new(entry, "apis", apis);
        json_array_append_new(list, entry);
    }
    return list;
}

json_t *gates_feature_needs(const struct gates_table *table, const char *name, struct version minor)
{
    const struct feature_row *row = gates_feature_row(table, name);
    return row == NULL || minor.major != 1
               ? json_array()
               : gates_feature_closure(table, row, gates_feature_minor(table, minor.minor));
}

const char *gates_feature_nearest(const struct gates_table *table, const char *name)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 1;
    for (size_t i = 0; i < table->features_len; i++) {
        size_t distance = str_distance(name, table->features[i].name, (unsigned)best_distance);
        if (distance < best_distance) {
            best = table->features[i].name;
            best_distance = distance;
        }
    }
    return best;
}
