// SPDX-License-Identifier: Apache-2.0
// Runs at build time: turns data/*.yaml into a C file with the same table as constants, so that
// nothing is parsed at start.
//     gates_compile OUT.c IN.yaml...
#include "gates_internal.h"

#include <stdio.h>

#define BYTES_MAX ((size_t)8 << 20)

static struct error *read_file(const char *path, struct buf *buf)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return error_new(ERROR_NOT_FOUND, "%s cannot be read", path);
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_add(buf, piece, n);
    fclose(f);
    buf_add_str(buf, "\n---\n");
    return buf->overflow ? error_new(ERROR_LIMIT, "%s is too large", path) : NULL;
}

static void print_names(FILE *out, const struct names_span *spans, size_t len, const char *prefix,
                        size_t id)
{
    for (size_t i = 0; i < len; i++) {
        fprintf(out, "static const char *const %s_names_%zu_%zu[] = {", prefix, id, i);
        for (const char *const *name = spans[i].names; *name != NULL; name++)
            fprintf(out, "\"%s\", ", *name);
        fprintf(out, "NULL};\n");
    }
    if (len == 0)
        return;
    fprintf(out, "static const struct names_span %s_%zu[] = {", prefix, id);
    for (size_t i = 0; i < len; i++)
        fprintf(out, "{%d, %d, %s_names_%zu_%zu}, ", spans[i].from, spans[i].to, prefix, id, i);
    fprintf(out, "};\n");
}

static void print_bits(FILE *out, const struct bits_span *spans, size_t len, const char *prefix,
                       size_t id)
{
    if (len == 0)
        return;
    fprintf(out, "static const struct bits_span %s_%zu[] = {", prefix, id);
    for (size_t i = 0; i < len; i++)
        fprintf(out, "{%d, %d, %d}, ", spans[i].from, spans[i].to, spans[i].bits);
    fprintf(out, "};\n");
}

static void print_texts(FILE *out, const struct text_span *spans, size_t len, const char *prefix,
                        size_t id)
{
    if (len == 0)
        return;
    fprintf(out, "static const struct text_span %s_%zu[] = {", prefix, id);
    for (size_t i = 0; i < len; i++)
        fprintf(out, "{%d, %d, \"%s\"}, ", spans[i].from, spans[i].to, spans[i].text);
    fprintf(out, "};\n");
}

static void print_gate_parts(FILE *out, const struct gate_row *row, size_t id)
{
    if (row->spans_len > 0) {
        fprintf(out, "static const struct gate_span span_%zu[] = {", id);
        for (size_t i = 0; i < row->spans_len; i++)
            fprintf(out, "{%d, %d, %d, %s, %s}, ", row->spans[i].from, row->spans[i].to,
                    row->spans[i].stage, row->spans[i].value ? "true" : "false",
                    row->spans[i].locked ? "true" : "false");
        fprintf(out, "};\n");
    }
    print_names(out, row->depends_on, row->depends_on_len, "depends", id);
    print_bits(out, row->read_by, row->read_by_len, "read", id);
    print_bits(out, row->registered_by, row->registered_by_len, "registered", id);
    print_bits(out, row->flipped_by, row->flipped_by_len, "flipped", id);
    print_texts(out, row->requires_api, row->requires_api_len, "requires", id);
}

// ".field = prefix_id, .field_len = n, " or nothing.
static void print_ref(FILE *out, const char *field, size_t len, const char *prefix, size_t id)
{
    if (len > 0)
        fprintf(out, ".%s = %s_%zu, .%s_len = %zu, ", field, prefix, id, field, len);
}

static void print_gates(FILE *out, const struct gates_table *table)
{
    for (size_t i = 0; i < table->gates_len; i++)
        print_gate_parts(out, &table->gates[i], i);
    fprintf(out, "static const struct gate_row gates[] = {\n");
    for (size_t i = 0; i < table->gates_len; i++) {
        const struct gate_row *row = &table->gates[i];
        fprintf(out, "    {.name = \"%s\", ", row->name);
        print_ref(out, "spans", row->spans_len, "span", i);
        print_ref(out, "depends_on", row->depends_on_len, "depends", i);
        print_ref(out, "read_by", row->read_by_len, "read", i);
        print_ref(out, "registered_by", row->registered_by_len, "registered", i);
        print_ref(out, "flipped_by", row->flipped_by_len, "flipped", i);
        print_ref(out, "requires_api", row->requires_api_len, "requires", i);
        fprintf(out, ".dra = %s},\n", row->dra ? "true" : "false");
    }
    fprintf(out, "};\n");
}

static void print_apis(FILE *out, const struct gates_table *table)
{
    for (size_t i = 0; i < table->apis_len; i++) {
        const struct api_row *row = &table->apis[i];
        if (row->spans_len > 0) {
            fprintf(out, "static const struct flag_span api_span_%zu[] = {", i);
            for (size_t s = 0; s < row->spans_len; s++)
                fprintf(out, "{%d, %d, %s}, ", row->spans[s].from, row->spans[s].to,
                        row->spans[s].on ? "true" : "false");
            fprintf(out, "};\n");
        }
        print_names(out, row->resources, row->resources_len, "resources", i);
    }
    fprintf(out, "static const struct api_row apis[] = {\n");
    for (size_t i = 0; i < table->apis_len; i++) {
        const struct api_row *row = &table->apis[i];
        fprintf(out, "    {.group = \"%s\", .version = \"%s\", ", row->group, row->version);
        print_ref(out, "spans", row->spans_len, "api_span", i);
        print_ref(out, "resources", row->resources_len, "resources", i);
        fprintf(out, "},\n");
    }
    fprintf(out, "};\n");
}

// A text of data as a C string. What data says is one line of plain words.
static void print_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void print_features(FILE *out, const struct gates_table *table)
{
    for (size_t i = 0; i < table->features_len; i++) {
        print_names(out, table->features[i].gates, table->features[i].gates_len, "feature_gates",
                    i);
        print_names(out, table->features[i].apis, table->features[i].apis_len, "feature_apis", i);
    }
    fprintf(out, "static const struct feature_row features[] = {\n");
    for (size_t i = 0; i < table->features_len; i++) {
        const struct feature_row *row = &table->features[i];
        fprintf(out, "    {.name = \"%s\", .summary = ", row->name);
        print_string(out, row->summary);
        fprintf(out, ", ");
        print_ref(out, "gates", row->gates_len, "feature_gates", i);
        print_ref(out, "apis", row->apis_len, "feature_apis", i);
        fprintf(out, "},\n");
    }
    fprintf(out, "};\nstatic const struct release_row releases[] = {\n");
    for (size_t i = 0; i < table->releases_len; i++) {
        fprintf(out, "    {%d, ", table->releases[i].minor);
        print_string(out, table->releases[i].text);
        fprintf(out, "},\n");
    }
    fprintf(out, "};\n");
}

static void print_table(FILE *out, const struct gates_table *table)
{
    fprintf(out, "// Made by gates_compile from operator/gates/data; not to be edited.\n#include "
                 "\"gates_internal.h\"\n\n");
    print_gates(out, table);
    print_apis(out, table);
    print_features(out, table);
    for (size_t i = 0; i < table->clients_len; i++)
        print_texts(out, table->clients[i].spans, table->clients[i].spans_len, "client", i);
    fprintf(out, "static const struct client_row clients[] = {\n");
    for (size_t i = 0; i < table->clients_len; i++) {
        fprintf(out, "    {.group = \"%s\", ", table->clients[i].group);
        print_ref(out, "spans", table->clients[i].spans_len, "client", i);
        fprintf(out, "},\n");
    }
    fprintf(
        out,
        "};\nstatic json_t *api_cache;\nconst struct gates_table gates_table_compiled = {\n"
        "    .gates = gates, .gates_len = COUNT(gates), .apis = apis, .apis_len = COUNT(apis),\n"
        "    .clients = clients, .clients_len = COUNT(clients), .features = features,\n"
        "    .features_len = COUNT(features), .releases = releases, .releases_len = "
        "COUNT(releases),\n"
        "    .oldest = %d, .newest = %d, "
        ".api_cache = &api_cache,\n};\n"
        "\nconst struct gates_table *gates_table_builtin(void)\n{\n    return "
        "&gates_table_compiled;\n}\n",
        table->oldest, table->newest);
}

static struct error *compile(const char *out_path, char *const *in_paths)
{
    AUTO_BUF struct buf yaml = buf_make(BYTES_MAX);
    for (; *in_paths != NULL; in_paths++) {
        struct error *err = read_file(*in_paths, &yaml);
        if (err != NULL)
            return err;
    }
    AUTO(gates_table) struct gates_table *table = NULL;
    struct error *err = gates_table_load(buf_slice(&yaml), "operator/gates/data", &table);
    if (err != NULL)
        return err;
    FILE *out = fopen(out_path, "we");
    if (out == NULL)
        return error_new(ERROR_DENIED, "%s cannot be written", out_path);
    print_table(out, table);
    if (fclose(out) != 0)
        return error_new(ERROR_TRANSIENT, "%s cannot be written", out_path);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: gates_compile OUT.c IN.yaml...\n");
        return 2;
    }
    AUTO(error) struct error *err = compile(argv[1], argv + 2);
    if (err == NULL)
        return 0;
    fprintf(stderr, "gates_compile: %s\n", error_text(err));
    return 1;
}
