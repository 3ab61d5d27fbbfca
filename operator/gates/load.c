// SPDX-License-Identifier: Apache-2.0
// Reads the table's YAML form (docs/gates-table.md): at build time for the built-in table, at start
// for a mounted one. Several documents add up; where two speak of the same minor the earlier one
// wins.
#include "gates_internal.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 5000
#define SPANS_MAX 100

// Every allocation of one table. Its pointers never move.
struct gates_arena {
    void **items;
    size_t len, room;
};

static void *arena_alloc(struct gates_arena *arena, size_t bytes)
{
    if (arena->len == arena->room) {
        arena->room = arena->room == 0 ? 64 : arena->room * 2;
        arena->items = mem_realloc(arena->items, arena->room * sizeof(*arena->items));
    }
    return arena->items[arena->len++] = mem_alloc(bytes);
}

static const char *arena_str(struct gates_arena *arena, const char *s)
{
    char *copy = arena_alloc(arena, strlen(s) + 1);
    memcpy(copy, s, strlen(s) + 1);
    return copy;
}

// What is being read: growing rows, in no order until finish().
struct builder {
    struct gates_arena *arena;
    struct gate_row *gates;
    struct api_row *apis;
    struct client_row *clients;
    struct feature_row *features;
    struct release_row *releases;
    size_t gates_len, apis_len, clients_len, features_len, releases_len;
    const char *name; // of the file, for messages
};

static struct error *bad(const struct builder *b, const char *where, const char *what)
{
    return error_new(ERROR_INVALID, "%s: %s: %s", b->name, where, what);
}

static struct error *read_minor(const struct builder *b, const char *where, const json_t *text,
                                uint8_t *ret_minor)
{
    struct version v;
    if (!json_is_string(text) || !version_parse(json_string_value(text), &v) || v.major != 1 ||
        v.minor > 200)
        return bad(b, where, "a minor is a string like \"1.33\"");
    *ret_minor = (uint8_t)v.minor;
    return NULL;
}

// The two ends of a row [from, to, value...].
static struct error *read_ends(const struct builder *b, const char *where, const json_t *row,
                               uint8_t *ret_from, uint8_t *ret_to)
{
    if (!json_is_array(row) || json_array_size(row) < 2)
        return bad(b, where, "a span is [from, to, value...]");
    struct error *err = read_minor(b, where, json_array_get(row, 0), ret_from);
    if (err == NULL)
        err = read_minor(b, where, json_array_get(row, 1), ret_to);
    if (err == NULL && *ret_from > *ret_to)
        err = bad(b, where, "a span ends before it begins");
    return err;
}

// Room for the spans of rows behind those that are there. old may be NULL.
static void *grow(struct builder *b, const void *old, uint8_t len, const json_t *rows,
                  size_t item_bytes)
{
    char *items = arena_alloc(b->arena, (len + json_array_size(rows)) * item_bytes);
    if (len > 0)
        memcpy(items, old, len * item_bytes);
    return items;
}

static struct error *check_rows(const struct builder *b, const char *where, const json_t *rows,
                                uint8_t len)
{
    if (!json_is_array(rows))
        return bad(b, where, "a list of spans is expected");
    if (len + json_array_size(rows) > SPANS_MAX)
        return error_new(ERROR_LIMIT, "%s: %s: more than %d spans", b->name, where, SPANS_MAX);
    return NULL;
}

static struct error *read_stage(const struct builder *b, const char *where, const json_t *text,
                                uint8_t *ret_stage)
{
    static const char *const names[] = {"alpha", "beta", "ga", "deprecated"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eq(json_string_value(text), names[i])) {
            *ret_stage = (uint8_t)i;
            return NULL;
        }
    return bad(b, where, "a stage is alpha, beta, ga or deprecated");
}

static struct error *add_gate_spans(struct builder *b, struct gate_row *row, const json_t *rows)
{
    struct error *err = check_rows(b, row->name, rows, row->spans_len);
    if (err != NULL)
        return err;
    struct gate_span *spans = grow(b, row->spans, row->spans_len, rows, sizeof(*spans));
    row->spans = spans;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        struct gate_span *span = &spans[row->spans_len];
        err = read_ends(b, row->name, r, &span->from, &span->to);
        if (err == NULL)
            err = read_stage(b, row->name, json_array_get(r, 2), &span->stage);
        if (err != NULL)
            return err;
        if (json_array_size(r) != 5 || !json_is_boolean(json_array_get(r, 3)) ||
            !json_is_boolean(json_array_get(r, 4)))
            return bad(b, row->name, "a gate's span is [from, to, stage, default, locked]");
        span->value = json_is_true(json_array_get(r, 3));
        span->locked = json_is_true(json_array_get(r, 4));
        row->spans_len++;
    }
    return NULL;
}

static struct error *add_names(struct builder *b, const char *where, const json_t *rows,
                               const struct names_span **spans_io, uint8_t *len_io)
{
    struct error *err = check_rows(b, where, rows, *len_io);
    if (err != NULL)
        return err;
    struct names_span *spans = grow(b, *spans_io, *len_io, rows, sizeof(*spans));
    *spans_io = spans;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        struct names_span *span = &spans[*len_io];
        err = read_ends(b, where, r, &span->from, &span->to);
        if (err != NULL)
            return err;
        const char **names = arena_alloc(b->arena, (json_array_size(r) - 1) * sizeof(*names));
        for (size_t n = 2; n < json_array_size(r); n++) {
            const char *text = json_string_value(json_array_get(r, n));
            if (text == NULL)
                return bad(b, where, "a name is a string");
            names[n - 2] = arena_str(b->arena, text);
        }
        span->names = (const char *const *)names;
        (*len_io)++;
    }
    return NULL;
}

static struct error *add_bits(struct builder *b, const char *where, const json_t *rows,
                              const struct bits_span **spans_io, uint8_t *len_io)
{
    struct error *err = check_rows(b, where, rows, *len_io);
    if (err != NULL)
        return err;
    struct bits_span *spans = grow(b, *spans_io, *len_io, rows, sizeof(*spans));
    *spans_io = spans;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        struct bits_span *span = &spans[*len_io];
        err = read_ends(b, where, r, &span->from, &span->to);
        if (err != NULL)
            return err;
        if (json_array_size(r) < 3)
            return bad(b, where, "a component is expected behind the two minors");
        for (size_t n = 2; n < json_array_size(r); n++) {
            enum component component;
            if (!component_parse(json_string_value(json_array_get(r, n)), &component))
                return bad(b, where, "not a component");
            span->bits |= (uint8_t)(1u << component);
        }
        (*len_io)++;
    }
    return NULL;
}

static struct error *add_texts(struct builder *b, const char *where, const json_t *rows,
                               const struct text_span **spans_io, uint8_t *len_io)
{
    struct error *err = check_rows(b, where, rows, *len_io);
    if (err != NULL)
        return err;
    struct text_span *spans = grow(b, *spans_io, *len_io, rows, sizeof(*spans));
    *spans_io = spans;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        struct text_span *span = &spans[*len_io];
        err = read_ends(b, where, r, &span->from, &span->to);
        if (err != NULL)
            return err;
        if (json_array_size(r) != 3 || !json_is_string(json_array_get(r, 2)))
            return bad(b, where, "one string is expected behind the two minors");
        span->text = arena_str(b->arena, json_string_value(json_array_get(r, 2)));
        (*len_io)++;
    }
    return NULL;
}

static struct error *add_flags(struct builder *b, const char *where, const json_t *rows,
                               struct api_row *row)
{
    struct error *err = check_rows(b, where, rows, row->spans_len);
    if (err != NULL)
        return err;
    struct flag_span *spans = grow(b, row->spans, row->spans_len, rows, sizeof(*spans));
    row->spans = spans;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        struct flag_span *span = &spans[row->spans_len];
        err = read_ends(b, where, r, &span->from, &span->to);
        if (err != NULL)
            return err;
        if (json_array_size(r) != 3 || !json_is_boolean(json_array_get(r, 2)))
            return bad(b, where, "an API version's span is [from, to, served by default]");
        span->on = json_is_true(json_array_get(r, 2));
        row->spans_len++;
    }
    return NULL;
}

static struct gate_row *gate_of(struct builder *b, const char *name)
{
    for (size_t i = 0; i < b->gates_len; i++)
        if (str_eq(b->gates[i].name, name))
            return &b->gates[i];
    ASSERT(b->gates_len < ROWS_MAX);
    b->gates[b->gates_len].name = arena_str(b->arena, name);
    return &b->gates[b->gates_len++];
}

static struct api_row *api_of(struct builder *b, const char *group, const char *version)
{
    for (size_t i = 0; i < b->apis_len; i++)
        if (str_eq(b->apis[i].group, group) && str_eq(b->apis[i].version, version))
            return &b->apis[i];
    ASSERT(b->apis_len < ROWS_MAX);
    b->apis[b->apis_len].group = arena_str(b->arena, group);
    b->apis[b->apis_len].version = arena_str(b->arena, version);
    return &b->apis[b->apis_len++];
}

static struct error *read_gate(struct builder *b, const char *name, const json_t *value)
{
    struct gate_row *row = gate_of(b, name);
    const char *key;
    json_t *rows;
    struct error *err = json_is_object(value) ? NULL : bad(b, name, "a mapping is expected");
    // jansson's macros want a tree that is not const and do not change it.
    json_object_foreach((json_t *)(uintptr_t)value, key, rows) {
        if (str_eq(key, "spans"))
            err = add_gate_spans(b, row, rows);
        else if (str_eq(key, "depends_on"))
            err = add_names(b, name, rows, &row->depends_on, &row->depends_on_len);
        else if (str_eq(key, "registered_by"))
            err = add_bits(b, name, rows, &row->registered_by, &row->registered_by_len);
        else if (str_eq(key, "flipped_by"))
            err = add_bits(b, name, rows, &row->flipped_by, &row->flipped_by_len);
        else if (str_eq(key, "requires_api"))
            err = add_texts(b, name, rows, &row->requires_api, &row->requires_api_len);
        else if (str_eq(key, "read_by")) {
            // Who reads a gate is only written down for those of DRA.
            row->dra = true;
            err = add_bits(b, name, rows, &row->read_by, &row->read_by_len);
        } else
            err = bad(b, name, "not a field of a gate");
        if (err != NULL)
            return err;
    }
    return err;
}

static struct error *read_api(struct builder *b, const char *name, const json_t *rows,
                              bool resources)
{
    struct slice rest = slice_of(name), group;
    if (!slice_cut(&rest, '/', &group) || rest.ptr == NULL || rest.len == 0)
        return bad(b, name, "group/version is expected");
    AUTO_MEM char *group_text = slice_dup(group);
    AUTO_MEM char *version = slice_dup(rest);
    struct api_row *row = api_of(b, group_text, version);
    return resources ? add_names(b, name, rows, &row->resources, &row->resources_len)
                     : add_flags(b, name, rows, row);
}

static struct error *read_client(struct builder *b, const char *group, const json_t *rows)
{
    ASSERT(b->clients_len < ROWS_MAX);
    struct client_row *row = &b->clients[b->clients_len++];
    row->group = arena_str(b->arena, group);
    return add_texts(b, group, rows, &row->spans, &row->spans_len);
}

static struct feature_row *feature_of(struct builder *b, const char *name)
{
    for (size_t i = 0; i < b->features_len; i++)
        if (str_eq(b->features[i].name, name))
            return &b->features[i];
    ASSERT(b->features_len < ROWS_MAX);
    b->features[b->features_len] =
        (struct feature_row){.name = arena_str(b->arena, name), .summary = ""};
    return &b->features[b->features_len++];
}

static struct error *read_feature(struct builder *b, const char *name, const json_t *value)
{
    struct feature_row *row = feature_of(b, name);
    const char *key;
    json_t *rows;
    struct error *err = json_is_object(value) ? NULL : bad(b, name, "a mapping is expected");
    if (err == NULL && !gates_name_valid(name))
        err = bad(b, name, "a feature is called like a feature gate");
    json_object_foreach((json_t *)(uintptr_t)value, key, rows) {
        if (err != NULL)
            return err;
        if (str_eq(key, "gates"))
            err = add_names(b, name, rows, &row->gates, &row->gates_len);
        else if (str_eq(key, "apis"))
            err = add_names(b, name, rows, &row->apis, &row->apis_len);
        else if (!str_eq(key, "summary") || !json_is_string(rows))
            err = bad(b, name, "a feature has a summary, gates and apis");
        else
            row->summary = arena_str(b->arena, json_string_value(rows));
    }
    return err;
}

static struct error *read_entry(struct builder *b, const char *section, const char *key,
                                const json_t *value)
{
    if (str_eq(section, "features"))
        return read_feature(b, key, value);
    if (str_eq(section, "gates"))
        return read_gate(b, key, value);
    if (str_eq(section, "apis"))
        return read_api(b, key, value, false);
    if (str_eq(section, "resources"))
        return read_api(b, key, value, true);
    return read_client(b, key, value);
}

static size_t entries_of(const json_t *docs, const char *section)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(docs); i++)
        n += json_object_size(json_object_get(json_array_get(docs, i), section));
    return n;
}

static struct error *read_section(struct builder *b, const json_t *doc, const char *section)
{
    json_t *entries = json_object_get(doc, section), *value;
    const char *key;
    if (entries != NULL && !json_is_object(entries))
        return bad(b, section, "a mapping is expected");
    json_object_foreach(entries, key, value) {
        struct error *err = read_entry(b, section, key, value);
        if (err != NULL)
            return err;
    }
    return NULL;
}

// kubernetes: {"1.33": "1.33.13"}: the minors that cover every gate, without a gap. One of a
// release that is not out ("1.38.0-beta.0") is a preview.
static struct error *read_coverage(struct builder *b, const json_t *docs, struct gates_table *table)
{
    unsigned count = 0;
    table->oldest = UINT8_MAX;
    for (size_t i = 0; i < json_array_size(docs); i++) {
        const char *key;
        json_t *value;
        json_object_foreach(json_object_get(json_array_get(docs, i), "kubernetes"), key, value) {
            AUTO_JSON json_t *text = doc_string(key);
            uint8_t minor = 0;
            struct error *err = read_minor(b, "kubernetes", text, &minor);
            if (err == NULL && !json_is_string(value))
                err = bad(b, "kubernetes", "a release is a string like \"1.33.13\"");
            if (err != NULL)
                return err;
            b->releases[b->releases_len++] =
                (struct release_row){minor, arena_str(b->arena, json_string_value(value))};
            table->oldest = minor < table->oldest ? minor : table->oldest;
            table->newest = minor > table->newest ? minor : table->newest;
            count++;
        }
    }
    if (count == 0 || count != (unsigned)(table->newest - table->oldest) + 1)
        return bad(b, "kubernetes", "the minors that cover every gate are expected, without a gap");
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct gate_row *)a)->name, ((const struct gate_row *)b)->name);
}

static int by_feature(const void *a, const void *b)
{
    return strcmp(((const struct feature_row *)a)->name, ((const struct feature_row *)b)->name);
}

static int by_group(const void *a, const void *b)
{
    const struct api_row *x = a, *y = b;
    int order = strcmp(x->group, y->group);
    return order != 0 ? order : strcmp(x->version, y->version);
}

static struct error *read_docs(struct builder *b, const json_t *docs)
{
    static const char *const sections[] = {"gates", "apis", "resources", "clients", "features"};
    for (size_t i = 0; i < json_array_size(docs); i++) {
        const json_t *doc = json_array_get(docs, i);
        if (doc_int(doc, 0, "schema", NULL) != 1)
            return bad(b, "schema", "must be 1");
        for (size_t s = 0; s < COUNT(sections); s++) {
            struct error *err = read_section(b, doc, sections[s]);
            if (err != NULL)
                return err;
        }
    }
    return NULL;
}

struct error *gates_table_load(struct slice yaml, const char *name, struct gates_table **ret_table)
{
    AUTO_JSON json_t *docs = NULL;
    struct error *err = doc_parse_yaml_all(yaml, name, &docs);
    if (err != NULL)
        return err;
    size_t gates_max = entries_of(docs, "gates");
    size_t apis_max = entries_of(docs, "apis") + entries_of(docs, "resources"),
           clients_max = entries_of(docs, "clients"), features_max = entries_of(docs, "features"),
           releases_max = entries_of(docs, "kubernetes");
    if (gates_max > ROWS_MAX || apis_max > ROWS_MAX || clients_max > ROWS_MAX ||
        features_max > ROWS_MAX || releases_max > ROWS_MAX)
        return error_new(ERROR_LIMIT, "%s: more than %d entries", name, ROWS_MAX);
    AUTO(gates_table) struct gates_table *table = NEW(struct gates_table);
    table->arena = NEW(struct gates_arena);
    struct builder b = {.arena = table->arena, .name = name};
    table->api_cache = arena_alloc(b.arena, sizeof(json_t *));
    b.gates = arena_alloc(b.arena, gates_max * sizeof(*b.gates));
    b.apis = arena_alloc(b.arena, apis_max * sizeof(*b.apis));
    b.clients = arena_alloc(b.arena, clients_max * sizeof(*b.clients));
    b.features = arena_alloc(b.arena, features_max * sizeof(*b.features));
    b.releases = arena_alloc(b.arena, releases_max * sizeof(*b.releases));
    err = read_docs(&b, docs);
    if (err == NULL)
        err = read_coverage(&b, docs, table);
    if (err != NULL)
        return err;
    if (b.gates_len > 0)
        qsort(b.gates, b.gates_len, sizeof(*b.gates), by_name);
    if (b.apis_len > 0)
        qsort(b.apis, b.apis_len, sizeof(*b.apis), by_group);
    if (b.features_len > 0)
        qsort(b.features, b.features_len, sizeof(*b.features), by_feature);
    table->gates = b.gates;
    table->apis = b.apis;
    table->clients = b.clients;
    table->gates_len = b.gates_len;
    table->apis_len = b.apis_len;
    table->clients_len = b.clients_len;
    table->features = b.features;
    table->features_len = b.features_len;
    table->releases = b.releases;
    table->releases_len = b.releases_len;
    *ret_table = TAKE(table);
    return NULL;
}

void gates_table_free(struct gates_table *table)
{
    if (table == NULL)
        return;
    if (table->api_cache != NULL)
        json_decref(*table->api_cache);
    for (size_t i = 0; i < table->arena->len; i++)
        mem_free(table->arena->items[i]);
    mem_free(table->arena->items);
    mem_free(table->arena);
    mem_free(table);
}
