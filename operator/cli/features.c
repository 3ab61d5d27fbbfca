// SPDX-License-Identifier: Apache-2.0
// `drawbridge features`: what can be asked for in spec.features, and what it means for a version.
#include <stddef.h>

#include "cli_internal.h"
#include "drawbridge/gates.h"

struct settings {
    const char *kubernetes, *output;
};

static const struct cli_option options[] = {
    {.name = "kubernetes",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, kubernetes),
     .argument = "VERSION",
     .help = "a version such as 1.36; without it the newest of the table that is released"},
    {.name = "output",
     .letter = 'o',
     .type = CLI_CHOICE,
     .offset = offsetof(struct settings, output),
     .argument = "FORMAT",
     .values = "table wide json yaml",
     .fallback = "table",
     .help = "one of"},
    {.name = NULL},
};

static char *gates_text(const json_t *feature)
{
    const json_t *gates = json_object_get(feature, "gates");
    AUTO_STRLIST struct strlist names = {0};

    for (size_t i = 0; i < json_array_size(gates); i++)
        strlist_add(&names, doc_str(json_array_get(gates, i), "name", NULL));
    return strlist_join(&names, ",");
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

static void print_table(const json_t *list, bool wide)
{
    static const char *const headers[] = {"NAME",          "STATE", "SINCE",
                                          "DEFAULT SINCE", "GATES", "APIS"};
    AUTO_TABLE struct cli_table table = {.columns = wide ? COUNT(headers) : 4};

    for (size_t i = 0; i < table.columns; i++)
        cli_table_cell(&table, headers[i]);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *feature = json_array_get(list, i);
        AUTO_MEM char *gates = gates_text(feature);
        AUTO_MEM char *apis = cli_join(json_object_get(feature, "apis"));

        cli_table_cell(&table, doc_str(feature, "name", NULL));
        cli_table_cell(&table, doc_str(feature, "state", NULL));
        cli_table_cell(&table, or_dash(doc_str(feature, "since", NULL)));
        cli_table_cell(&table, or_dash(doc_str(feature, "defaultSince", NULL)));
        if (wide)
            cli_table_cell(&table, or_dash(gates));
        if (wide)
            cli_table_cell(&table, or_dash(apis));
    }
    cli_table_print(&table, stdout);
}

static void print_components(const json_t *gates)
{
    for (size_t i = 0; i < json_array_size(gates); i++) {
        const json_t *gate = json_array_get(gates, i);
        AUTO_MEM char *components = cli_join(json_object_get(gate, "components"));

        printf("  gate  %s (%s, %s by default): %s\n", doc_str(gate, "name", NULL),
               doc_str(gate, "stage", NULL), doc_bool(gate, false, "default", NULL) ? "on" : "off",
               components);
    }
}

// One feature in words: what it is good for, and what it takes.
static void explain(const json_t *feature, const char *minor)
{
    const char *state = doc_str(feature, "state", NULL), *since = doc_str(feature, "since", NULL);
    const json_t *apis = json_object_get(feature, "apis");

    printf("%s: %s\n", doc_str(feature, "name", NULL), doc_str(feature, "summary", NULL));
    if (str_eq(state, "Unavailable"))
        printf("  Kubernetes %s does not have it; the first that does is %s.\n", minor,
               or_dash(since));
    else if (str_eq(state, "Default"))
        printf("  Kubernetes %s has it on by default; nothing is written for it.\n", minor);
    else
        printf("  In Kubernetes %s it is asked for in spec.features%s.\n", minor,
               str_eq(state, "Alpha") ? " and, since it is alpha, with spec.allowAlpha" : "");
    print_components(json_object_get(feature, "gates"));
    for (size_t i = 0; i < json_array_size(apis); i++)
        printf("  API   %s\n", json_string_value(json_array_get(apis, i)));
}

static int print_named(const json_t *list, const char *name, const char *minor)
{
    const char *nearest = gates_feature_nearest(gates_table_builtin(), name);

    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!str_eq(doc_str(json_array_get(list, i), "name", NULL), name))
            continue;
        explain(json_array_get(list, i), minor);
        return cli_finish(CLI_OK);
    }
    return cli_usage_error(&cli_verb_features,
                           error_new(ERROR_INVALID, "there is no feature %.*s%s%s",
                                     TEXT_CUT(100, name), nearest ? "; did you mean " : "",
                                     nearest ? nearest : ""));
}

static void print_tree(const json_t *list, const char *format)
{
    AUTO_MEM char *text =
        str_eq(format, "json") ? doc_print_json_pretty(list) : doc_print_yaml(list);

    fputs(text, stdout);
    if (!str_ends(text, "\n"))
        putchar('\n');
}

static int show(const char *name, const char *format, struct version minor)
{
    AUTO_JSON json_t *list = gates_features_list(gates_table_builtin(), minor);
    AUTO_MEM char *text = version_format_minor(minor);
    bool wide = str_eq(format, "wide");

    if (!wide && !str_eq(format, "table"))
        print_tree(list, format);
    else if (name)
        return print_named(list, name, text);
    else
        print_table(list, wide);
    return cli_finish(CLI_OK);
}

static int run(int argc, char **argv)
{
    AUTO_STRLIST struct strlist names = {0};
    struct settings settings;
    struct version minor;
    struct error *err =
        cli_args_parse(&cli_verb_features, argc, argv, &settings, sizeof(settings), &names);

    if (!err && names.len > 1)
        err = error_new(ERROR_INVALID, "one feature is explained at a time");
    if (!err)
        err = cli_minor_parse(gates_table_builtin(), "kubernetes", settings.kubernetes, &minor);
    if (err)
        return cli_usage_error(&cli_verb_features, err);
    return show(names.len ? names.items[0] : NULL, settings.output, minor);
}

const struct cli_verb cli_verb_features = {
    .name = "features",
    .summary = "what can be asked for in spec.features, and what it takes in a Kubernetes version",
    .usage = "[NAME] [--kubernetes VERSION] [-o FORMAT]",
    .details = "Default is there by itself, Off has to be asked for, Alpha needs spec.allowAlpha "
               "besides, and Unavailable is not there\nyet or any more. With NAME the one feature "
               "is explained: what it is good for, its feature gates, who reads them, and\nthe API "
               "versions that it is used in.",
    .example = "  drawbridge features --kubernetes 1.36\n"
               "  drawbridge features DeviceTaintRules --kubernetes 1.36\n",
    .options = options,
    .run = run,
};
