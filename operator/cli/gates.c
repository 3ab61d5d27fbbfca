// SPDX-License-Identifier: Apache-2.0
// `drawbridge gates`: the table of feature gates, for people and for scripts.
#include <stddef.h>

#include "cli_internal.h"
#include "drawbridge/gates.h"

struct settings {
    const char *kubernetes, *output;
    bool all;
};

static const struct cli_option options[] = {
    {.name = "kubernetes",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, kubernetes),
     .argument = "VERSION",
     .help = "a version such as 1.33; without it the newest of the table that is released"},
    {.name = "all",
     .type = CLI_BOOL,
     .offset = offsetof(struct settings, all),
     .help = "every feature gate, not only those of Dynamic Resource Allocation"},
    {.name = "output",
     .letter = 'o',
     .type = CLI_CHOICE,
     .offset = offsetof(struct settings, output),
     .argument = "FORMAT",
     .values = "table json yaml",
     .fallback = "table",
     .help = "one of"},
    {.name = NULL},
};

static void print_table(const json_t *list)
{
    static const char *const headers[] = {"NAME",   "STAGE",      "DEFAULT",
                                          "LOCKED", "COMPONENTS", "DEPENDS ON"};
    AUTO_TABLE struct cli_table table = {.columns = COUNT(headers)};

    for (size_t i = 0; i < COUNT(headers); i++)
        cli_table_cell(&table, headers[i]);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *gate = json_array_get(list, i);
        AUTO_MEM char *components = cli_join(doc_get(gate, "components", NULL));
        AUTO_MEM char *depends = cli_join(doc_get(gate, "dependsOn", NULL));
        cli_table_cell(&table, doc_str(gate, "name", NULL));
        cli_table_cell(&table, doc_str(gate, "stage", NULL));
        cli_table_cell(&table, doc_bool(gate, false, "default", NULL) ? "true" : "false");
        cli_table_cell(&table, doc_bool(gate, false, "locked", NULL) ? "true" : "false");
        cli_table_cell(&table, components);
        cli_table_cell(&table, depends);
    }
    cli_table_print(&table, stdout);
}

static const char *or_none(const char *text)
{
    return *text ? text : "none";
}

static void print_api(const struct gates_table *table, struct version minor)
{
    const json_t *api = gates_api(table, "resource.k8s.io", minor);
    AUTO_MEM char *registered = cli_join(doc_get(api, "registered", NULL));
    AUTO_MEM char *served = cli_join(doc_get(api, "default", NULL));
    AUTO_MEM char *name = version_format_minor(minor);

    printf("\nresource.k8s.io in Kubernetes %s: registered %s; served by default %s; components "
           "ask for %s\n",
           name, or_none(registered), or_none(served), or_none(doc_str(api, "clients", NULL)));
}

static void print_preview(const struct gates_table *table, struct version minor)
{
    AUTO_MEM char *name = version_format_minor(minor);

    if (gates_table_is_preview(table, minor))
        printf("\nKubernetes %s is a preview here, as it is in %s: what is released may differ.\n",
               name, gates_table_release(table, minor));
}

static int run(int argc, char **argv)
{
    const struct gates_table *table = gates_table_builtin();
    AUTO_JSON json_t *list = NULL;
    struct settings settings;
    struct version minor;
    struct error *err =
        cli_args_parse(&cli_verb_gates, argc, argv, &settings, sizeof(settings), NULL);

    if (!err)
        err = cli_minor_parse(table, "kubernetes", settings.kubernetes, &minor);
    if (err)
        return cli_usage_error(&cli_verb_gates, err);
    list = gates_list(table, minor, settings.all);
    if (str_eq(settings.output, "table")) {
        print_table(list);
        print_api(table, minor);
        print_preview(table, minor);
    } else {
        AUTO_MEM char *text =
            str_eq(settings.output, "json") ? doc_print_json_pretty(list) : doc_print_yaml(list);
        fputs(text, stdout);
        if (!str_ends(text, "\n"))
            putchar('\n');
    }
    return cli_finish(CLI_OK);
}

const struct cli_verb cli_verb_gates = {
    .name = "gates",
    .summary = "which feature gates a Kubernetes version has, who reads them, and what they need",
    .usage = "[--kubernetes VERSION] [--all] [-o FORMAT]",
    .details = "LOCKED gates cannot be set to the other value. COMPONENTS is * where it is not "
               "known who reads a gate: "
               "it is then given\n"
               "to each component that knows it. The list is made from the registries of the real "
               "Kubernetes modules.",
    .example = "  drawbridge gates --kubernetes 1.33\n"
               "  drawbridge gates --kubernetes 1.36 --all -o json | jq -r '.[] | select(.locked) "
               "| .name'\n",
    .options = options,
    .run = run,
};
