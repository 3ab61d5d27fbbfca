// SPDX-License-Identifier: Apache-2.0
// Questions to the table: which gate and which API version there is in which minor. Lookups are
// binary searches over sorted rows.
#include "gates_internal.h"

#include <string.h>

#define NEAREST_MAX 4 // more edits than this is another word

const struct gate_row *gates_row(const struct gates_table *table, const char *name)
{
    size_t low = 0, high = table->gates_len;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(table->gates[mid].name, name);
        if (order == 0)
            return &table->gates[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

// The first of a list of spans that holds minor: of two documents the earlier one wins. All span
// types begin with from and to.
#define SPAN_AT(spans, len, minor, ret)                                                            \
    do {                                                                                           \
        (ret) = NULL;                                                                              \
        for (size_t span_i = 0; span_i < (len) && (ret) == NULL; span_i++)                         \
            if ((spans)[span_i].from <= (minor) && (minor) <= (spans)[span_i].to)                  \
                (ret) = &(spans)[span_i];                                                          \
    } while (0)

const char *const *gates_row_depends_on(const struct gate_row *row, int minor)
{
    const struct names_span *span;
    SPAN_AT(row->depends_on, row->depends_on_len, minor, span);
    return span == NULL ? NULL : span->names;
}

bool gates_row_registered(const struct gate_row *row, int minor, enum component component)
{
    const struct bits_span *span;
    SPAN_AT(row->registered_by, row->registered_by_len, minor, span);
    return span == NULL || (span->bits & (1u << component)) != 0;
}

bool gates_row_flipped(const struct gate_row *row, int minor, enum component component)
{
    const struct bits_span *span;
    SPAN_AT(row->flipped_by, row->flipped_by_len, minor, span);
    return span != NULL && (span->bits & (1u << component)) != 0;
}

bool gates_row_at(const struct gate_row *row, int minor, struct gate *ret_gate)
{
    static const char *const none[] = {NULL};
    const struct gate_span *span;
    SPAN_AT(row->spans, row->spans_len, minor, span);
    if (span == NULL)
        return false;
    const struct bits_span *readers, *registered;
    SPAN_AT(row->read_by, row->read_by_len, minor, readers);
    SPAN_AT(row->registered_by, row->registered_by_len, minor, registered);
    const struct text_span *api;
    SPAN_AT(row->requires_api, row->requires_api_len, minor, api);
    const char *const *depends_on = gates_row_depends_on(row, minor);
    *ret_gate = (struct gate){
        .stage = (enum stage)span->stage,
        .value = span->value,
        .locked = span->locked,
        .depends_on = depends_on == NULL ? none : depends_on,
        .components = readers != NULL      ? readers->bits
                      : registered != NULL ? registered->bits
                                           : 0,
        .requires_api = api == NULL ? NULL : api->text,
    };
    return true;
}

bool gates_find(const struct gates_table *table, const char *name, struct version minor,
                struct gate *ret_gate)
{
    const struct gate_row *row = minor.major == 1 ? gates_row(table, name) : NULL;
    return row != NULL && gates_row_at(row, minor.minor, ret_gate);
}

bool gates_is_dra(const struct gates_table *table, const char *name)
{
    const struct gate_row *row = gates_row(table, name);
    return row != NULL && row->dra;
}

bool gates_ever(const struct gates_table *table, const char *name, struct version *ret_first,
                struct version *ret_last)
{
    const struct gate_row *row = gates_row(table, name);
    if (row == NULL || row->spans_len == 0)
        return false;
    int first = row->spans[0].from, last = row->spans[0].to;
    for (size_t i = 1; i < row->spans_len; i++) {
        first = row->spans[i].from < first ? row->spans[i].from : first;
        last = row->spans[i].to > last ? row->spans[i].to : last;
    }
    *ret_first = (struct version){1, first, 0};
    *ret_last = (struct version){1, last, 0};
    return true;
}

const char *gates_nearest(const struct gates_table *table, const char *name, struct version minor)
{
    const char *best = NULL;
    unsigned best_distance = NEAREST_MAX + 1;
    for (size_t i = 0; i < table->gates_len; i++) {
        struct gate gate;
        if (!gates_row_at(&table->gates[i], minor.minor, &gate))
            continue;
        unsigned distance = str_distance(name, table->gates[i].name, NEAREST_MAX);
        if (distance < best_distance) {
            best = table->gates[i].name;
            best_distance = distance;
        }
    }
    // A short name must not be turned into a wholly different one.
    return best != NULL && best_distance <= strlen(name) / 3 ? best : NULL;
}

json_t *gates_components_json(unsigned bits)
{
    json_t *array = json_array();
    if (bits == 0)
        json_array_append_new(array, json_string("*"));
    for (size_t c = 0; c < COMPONENT_COUNT; c++)
        if ((bits & (1u << c)) != 0)
            json_array_append_new(array, doc_string(component_name((enum component)c)));
    return array;
}

json_t *gates_list(const struct gates_table *table, struct version minor, bool all)
{
    json_t *list = json_array();
    for (size_t i = 0; i < table->gates_len && minor.major == 1; i++) {
        const struct gate_row *row = &table->gates[i];
        struct gate gate;
        if ((!all && !row->dra) || !gates_row_at(row, minor.minor, &gate))
            continue;
        json_t *depends_on = json_array();
        for (const char *const *dep = gate.depends_on; *dep != NULL; dep++)
            json_array_append_new(depends_on, doc_string(*dep));
        json_t *entry = json_object();
        json_object_set_new(entry, "name", doc_string(row->name));
        json_object_set_new(entry, "stage", doc_string(stage_name(gate.stage)));
        json_object_set_new(entry, "default", json_boolean(gate.value));
        json_object_set_new(entry, "locked", json_boolean(gate.locked));
        json_object_set_new(entry, "components", gates_components_json(gate.components));
        json_object_set_new(entry, "dependsOn", depends_on);
        json_array_append_new(list, entry);
    }
    return list;
}

struct version gates_table_oldest(const struct gates_table *table)
{
    return (struct version){1, table->oldest, 0};
}

struct version gates_table_newest(const struct gates_table *table)
{
    return (struct version){1, table->newest, 0};
}

const char *gates_table_release(const struct gates_table *table, struct version minor)
{
    for (size_t i = 0; i < table->releases_len; i++)
        if (minor.major == 1 && table->releases[i].minor == minor.minor)
            return table->releases[i].text;
    return NULL;
}

bool gates_table_is_preview(const struct gates_table *table, struct version minor)
{
    const char *release = gates_table_release(table, minor);
    return release != NULL && strchr(release, '-') != NULL;
}

struct version gates_table_newest_release(const struct gates_table *table)
{
    for (int minor = table->newest; minor >= table->oldest; minor--)
        if (!gates_table_is_preview(table, (struct version){1, minor, 0}))
            return (struct version){1, minor, 0};
    return gates_table_newest(table);
}

bool gates_covers(const struct gates_table *table, int minor)
{
    return table->oldest <= minor && minor <= table->newest;
}

const struct api_row *gates_api_row(const struct gates_table *table, const char *group,
                                    const char *version)
{
    for (size_t i = 0; i < table->apis_len; i++)
        if (str_eq(table->apis[i].version, version) && str_eq(table->apis[i].group, group))
            return &table->apis[i];
    return NULL;
}

int gates_api_at(const struct api_row *row, int minor)
{
    const struct flag_span *span = NULL;
    if (row != NULL)
        SPAN_AT(row->spans, row->spans_len, minor, span);
    return span == NULL ? -1 : span->on ? 1 : 0;
}

const char *const *gates_api_resources(const struct api_row *row, int minor)
{
    const struct names_span *span;
    SPAN_AT(row->resources, row->resources_len, minor, span);
    return span == NULL ? NULL : span->names;
}

bool gates_group_known(const struct gates_table *table, const char *group, int minor)
{
    for (size_t i = 0; i < table->apis_len; i++)
        if (str_eq(table->apis[i].group, group) && gates_api_at(&table->apis[i], minor) >= 0)
            return true;
    return false;
}

const char *gates_client_version(const struct gates_table *table, const char *group, int minor)
{
    for (size_t i = 0; i < table->clients_len; i++) {
        const struct client_row *row = &table->clients[i];
        const struct text_span *span;
        SPAN_AT(row->spans, row->spans_len, minor, span);
        if (span != NULL && str_eq(row->group, group))
            return span->text;
    }
    return NULL;
}

// The versions in the API server's order of preference.
static void insert_by_priority(json_t *versions, const char *version)
{
    size_t at = 0;
    while (at < json_array_size(versions) &&
           gates_api_compare(json_string_value(json_array_get(versions, at)), version) < 0)
        at++;
    json_array_insert_new(versions, at, doc_string(version));
}

static json_t *make_api(const struct gates_table *table, const char *group, int minor)
{
    json_t *registered = json_array(), *served = json_array();
    for (size_t i = 0; i < table->apis_len; i++) {
        if (!str_eq(table->apis[i].group, group))
            continue;
        int state = gates_api_at(&table->apis[i], minor);
        if (state >= 0)
            insert_by_priority(registered, table->apis[i].version);
        if (state == 1)
            insert_by_priority(served, table->apis[i].version);
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "registered", registered);
    json_object_set_new(answer, "default", served);
    const char *clients = gates_client_version(table, group, minor);
    if (clients != NULL)
        json_object_set_new(answer, "clients", doc_string(clients));
    return answer;
}

const json_t *gates_api(const struct gates_table *table, const char *group, struct version minor)
{
    if (minor.major != 1 || !gates_group_known(table, group, minor.minor))
        return NULL;
    if (*table->api_cache == NULL)
        *table->api_cache = json_object();
    AUTO_MEM char *key = str_format("%s %d", group, minor.minor);
    if (json_object_get(*table->api_cache, key) == NULL)
        json_object_set_new(*table->api_cache, key, make_api(table, group, minor.minor));
    return json_object_get(*table->api_cache, key);
}
