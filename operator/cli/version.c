// SPDX-License-Identifier: Apache-2.0
// `drawbridge version`.
#include <stddef.h>

#include "cli_internal.h"
#include "drawbridge/gates.h"

struct settings {
    const char *output;
};

static const struct cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .type = CLI_CHOICE,
     .offset = offsetof(struct settings, output),
     .argument = "FORMAT",
     .values = "text json yaml",
     .fallback = "text",
     .help = "one of"},
    {.name = NULL},
};

static json_t *describe(void)
{
    AUTO_MEM char *oldest = version_format_minor(gates_table_oldest(gates_table_builtin()));
    struct version newest_minor = gates_table_newest_release(gates_table_builtin());
    struct version last = gates_table_newest(gates_table_builtin());
    AUTO_MEM char *newest = version_format_minor(newest_minor);
    AUTO_MEM char *preview = version_format_minor(last);
    json_t *about = json_object();

    doc_set(about, json_string("v" DRAWBRIDGE_VERSION), "version", NULL);
    doc_set(about, doc_string(oldest), "kubernetes", "oldest", NULL);
    doc_set(about, doc_string(newest), "kubernetes", "newest", NULL);
    if (gates_table_is_preview(gates_table_builtin(), last))
        doc_set(about, doc_string(preview), "kubernetes", "preview", NULL);
    return about;
}

static void print_text(const json_t *about)
{
    struct version last = gates_table_newest(gates_table_builtin());

    printf("drawbridge %s, knows Kubernetes %s to %s", doc_str(about, "version", NULL),
           doc_str(about, "kubernetes", "oldest", NULL),
           doc_str(about, "kubernetes", "newest", NULL));
    if (gates_table_is_preview(gates_table_builtin(), last))
        printf(", and %s as a preview (%s)", doc_str(about, "kubernetes", "preview", NULL),
               gates_table_release(gates_table_builtin(), last));
    putchar('\n');
}

static int run(int argc, char **argv)
{
    AUTO_JSON json_t *about = describe();
    struct settings settings;
    struct error *err =
        cli_args_parse(&cli_verb_version, argc, argv, &settings, sizeof(settings), NULL);

    if (err)
        return cli_usage_error(&cli_verb_version, err);
    if (str_eq(settings.output, "text")) {
        print_text(about);
    } else {
        AUTO_MEM char *text =
            str_eq(settings.output, "json") ? doc_print_json_pretty(about) : doc_print_yaml(about);
        fputs(text, stdout);
        if (!str_ends(text, "\n"))
            putchar('\n');
    }
    return cli_finish(CLI_OK);
}

const struct cli_verb cli_verb_version = {
    .name = "version",
    .summary = "the version of this program and the versions of Kubernetes that it knows",
    .usage = "[-o FORMAT]",
    .example = "  drawbridge version -o json\n",
    .options = options,
    .run = run,
};
