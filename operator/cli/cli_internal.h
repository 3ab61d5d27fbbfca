// SPDX-License-Identifier: Apache-2.0
// What the verbs share. A new verb is a file with a struct cli_verb, a line at the end of this
// header, and one in verbs.c.
#pragma once

#include <stdio.h>

#include "drawbridge/cli.h"
#include "drawbridge/doc.h"

#define CLI_FILE_BYTES_MAX ((size_t)16 << 20)

enum cli_type {
    CLI_BOOL,     // bool: --x, --x=true, --x=false
    CLI_TEXT,     // const char *, borrowed from argv; NULL when there is no fallback
    CLI_CHOICE,   // const char *: one of values
    CLI_UINT,     // unsigned
    CLI_DURATION, // uint64_t, milliseconds
    CLI_LIST,     // struct strlist: may be repeated; the verb finishes it
};

struct cli_option {
    const char *name; // NULL ends the list
    char letter;      // 0: none
    enum cli_type type;
    size_t offset;        // offsetof() in the verb's settings
    const char *argument; // its name in the help: "FILE"; NULL: it needs none (CLI_BOOL)
    const char *values;   // CLI_CHOICE: separated by spaces
    const char *env;      // an environment variable that stands for it, or NULL
    const char *fallback; // as it would be typed, or NULL
    const char *help;
};

struct cli_verb {
    const char *name, *summary;
    const char *usage;   // what follows "drawbridge NAME": "[OPTION]..."
    const char *details; // a paragraph for the help, or NULL
    const char *example; // whole lines
    const struct cli_option *options;
    int (*run)(int argc, char **argv); // argv[0] is the verb's name; --help is dealt with before
};

extern const struct cli_verb *const cli_verbs[]; // NULL at the end; the order of the help

// Fills settings (zeroed first) from fallbacks, environment and argv. rest gets what is no option;
// NULL: there may be none.
struct error *cli_args_parse(const struct cli_verb *verb, int argc, char **argv, void *settings,
                             size_t settings_bytes, struct strlist *rest);
// The option of this verb that an argument ("--name", "--name=x", "-n", "-nx") begins with; NULL:
// none.
const struct cli_option *cli_option_find(const struct cli_verb *verb, const char *text);
bool cli_option_has_value(const char *text); // in the same argument
// Says what is wrong and where the help is; returns CLI_USAGE.
int cli_usage_error(const struct cli_verb *verb, struct error *take_err);
// "drawbridge: text" on stderr; returns CLI_REFUSED where to try again gives the same answer
// (INVALID, REJECTED, DENIED, CONFLICT), else CLI_ERROR.
int cli_error(struct error *take_err);
void cli_help(const struct cli_verb *verb, FILE *out);
void cli_help_all(FILE *out);
// Prints a text that may hold what others wrote (messages, names, logs): control characters but
// newline and tab, which a terminal would obey, come out as "?".
void cli_put(const char *text, FILE *out);
// Flushes stdout: CLI_ERROR when what was printed did not get out, else code.
int cli_finish(int code);
// A whole file; "-" is stdin.
struct error *cli_read_file(const char *path, char **ret_text);

// An aligned table as kubectl prints it: cells are added row by row, the headers first.
struct cli_table {
    size_t columns;
    struct strlist cells;
};
void cli_table_cell(struct cli_table *table, const char *text); // "" is shown as "-"
void cli_table_print(const struct cli_table *table, FILE *out);
void cli_table_fini(struct cli_table *table);
#define AUTO_TABLE CLEANUP(cli_table_fini)

// The texts of a list with commas between them.
char *cli_join(const json_t *list);

struct gates_table;
struct version;
// What that option says, within the table; text NULL: its newest minor that is released.
struct error *cli_minor_parse(const struct gates_table *table, const char *option, const char *text,
                              struct version *ret_minor);
// The table in a file (--gates-table); NULL path: *ret_table NULL, the built-in one is meant.
struct error *cli_load_table(const char *path, struct gates_table **ret_table);

extern const struct cli_verb cli_verb_run;
extern const struct cli_verb cli_verb_agent;
extern const struct cli_verb cli_verb_plan;
extern const struct cli_verb cli_verb_status;
extern const struct cli_verb cli_verb_doctor;
extern const struct cli_verb cli_verb_gates;
extern const struct cli_verb cli_verb_features;
extern const struct cli_verb cli_verb_version;
