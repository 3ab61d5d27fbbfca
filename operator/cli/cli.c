// SPDX-License-Identifier: Apache-2.0
// Finds the verb, and says how things are used.
#include <errno.h>
#include <string.h>

#include "cli_internal.h"

static const struct cli_verb *find_verb(const char *name)
{
    for (size_t i = 0; cli_verbs[i]; i++)
        if (str_eq(cli_verbs[i]->name, name))
            return cli_verbs[i];
    return NULL;
}

void cli_help_all(FILE *out)
{
    fputs("drawbridge turns Kubernetes Dynamic Resource Allocation on, completely and safely, from "
          "one resource.\n"
          "\n"
          "usage: drawbridge VERB [OPTION]...\n"
          "\n",
          out);
    for (size_t i = 0; cli_verbs[i]; i++)
        fprintf(out, "  %-10s %s\n", cli_verbs[i]->name, cli_verbs[i]->summary);
    fputs("  help       explain a verb\n"
          "\n"
          "`drawbridge VERB --help` explains the verb, with an example.\n"
          "Options may stand before or after the verb, as with kubectl.\n"
          "Exit codes: 0 success, 1 differences or not ready, 2 usage error, 3 refused, "
          "4 an error.\n",
          out);
}

#define HELP_COLUMN 32

static void help_option(const struct cli_option *option, FILE *out)
{
    AUTO_BUF struct buf left = buf_make(256);

    if (option->letter)
        buf_printf(&left, "-%c, --%s", option->letter, option->name);
    else
        buf_printf(&left, "    --%s", option->name);
    if (option->argument)
        buf_printf(&left, " %s", option->argument);
    fprintf(out, "  %-*s", HELP_COLUMN, left.ptr);
    if (left.len > HELP_COLUMN)
        fprintf(out, "\n  %*s", HELP_COLUMN, "");
    fprintf(out, " %s", option->help);
    if (option->values)
        fprintf(out, ": %s", option->values);
    if (option->env)
        fprintf(out, "; environment: %s", option->env);
    if (option->fallback && option->type != CLI_BOOL)
        fprintf(out, " (%s)", option->fallback);
    fputc('\n', out);
}

void cli_help(const struct cli_verb *verb, FILE *out)
{
    fprintf(out, "drawbridge %s: %s\n\nusage: drawbridge %s%s%s\n", verb->name, verb->summary,
            verb->name, *verb->usage ? " " : "", verb->usage);
    if (verb->details)
        fprintf(out, "\n%s\n", verb->details);
    if (verb->options) {
        fputs("\noptions:\n", out);
        for (const struct cli_option *option = verb->options; option->name; option++)
            help_option(option, out);
    }
    fprintf(out, "\nexample:\n%s", verb->example);
}

void cli_put(const char *text, FILE *out)
{
    for (const char *at = text; *at; at++) {
        unsigned char byte = (unsigned char)*at;

        // C1 controls (U+0080 to U+009F) are two bytes of UTF-8, the first of which is 0xc2.
        if (byte == 0xc2 && (unsigned char)at[1] >= 0x80 && (unsigned char)at[1] < 0xa0) {
            fputc('?', out);
            at++;
        } else {
            fputc((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f ? '?' : byte, out);
        }
    }
}

// Refused: to try again gives the same answer.
static int code_of(const struct error *err)
{
    switch (error_kind(err)) {
    case ERROR_INVALID:
    case ERROR_REJECTED:
    case ERROR_DENIED:
    case ERROR_CONFLICT:
        return CLI_REFUSED;
    default:
        return CLI_ERROR;
    }
}

int cli_error(struct error *take_err)
{
    AUTO(error) struct error *err = take_err;
    int code = code_of(err);

    if (log_is_json()) { // whoever collects the log gets this line too
        log_line(LOG_ERROR, "cli", "%s", error_text(err));
        return code;
    }
    cli_put("drawbridge: ", stderr);
    cli_put(error_text(err), stderr);
    cli_put("\n", stderr);
    return code;
}

int cli_usage_error(const struct cli_verb *verb, struct error *take_err)
{
    AUTO(error) struct error *err = take_err;

    fprintf(stderr, "drawbridge %s: %s\nSee `drawbridge %s --help`.\n", verb->name, error_text(err),
            verb->name);
    return CLI_USAGE;
}

int cli_finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    return cli_error(error_new(ERROR_TRANSIENT, "the output could not be written"));
}

struct error *cli_read_file(const char *path, char **ret_text)
{
    AUTO_BUF struct buf text = buf_make(CLI_FILE_BYTES_MAX);
    bool is_stdin = str_eq(path, "-");
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    char block[4096];
    size_t len;
    bool bad;

    if (!file)
        return error_errno(errno, "%s", path);
    while ((len = fread(block, 1, sizeof(block), file)) > 0 && !text.overflow)
        buf_add(&text, block, len);
    bad = ferror(file);
    if (!is_stdin)
        (void)fclose(file); // it was only read
    if (bad)
        return error_new(ERROR_TRANSIENT, "%s: cannot be read", path);
    if (text.overflow)
        return error_new(ERROR_LIMIT, "%s: larger than %zu bytes", path, CLI_FILE_BYTES_MAX);
    *ret_text = buf_take(&text);
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *nearest = NULL;
    unsigned best = 3;

    for (size_t i = 0; cli_verbs[i]; i++) {
        unsigned distance = str_distance(name, cli_verbs[i]->name, best);
        if (distance >= best)
            continue;
        best = distance;
        nearest = cli_verbs[i]->name;
    }
    fprintf(stderr, "drawbridge: unknown command \"%.*s\"", TEXT_CUT(100, name));
    if (nearest)
        fprintf(stderr, "; did you mean %s?", nearest);
    fputs("\nSee `drawbridge --help`.\n", stderr);
    return CLI_USAGE;
}

static int help_verb(const char *name)
{
    const struct cli_verb *verb = name ? find_verb(name) : NULL;

    if (name && !verb)
        return unknown_verb(name);
    if (verb)
        cli_help(verb, stdout);
    else
        cli_help_all(stdout);
    return cli_finish(CLI_OK);
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && !str_eq(argv[i], "--"); i++)
        if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h"))
            return true;
    return false;
}

// Whether the next argument is this option's value. Options of one name or letter are alike in all
// verbs, so it does not matter which verb it will be.
static bool takes_next(const char *text)
{
    for (size_t i = 0; cli_verbs[i]; i++) {
        const struct cli_option *option = cli_option_find(cli_verbs[i], text);

        if (option)
            return option->type != CLI_BOOL && !cli_option_has_value(text);
    }
    return false;
}

// Where the verb stands: the first argument that is neither an option nor its value; argc: nowhere.
static int verb_at(int argc, char **argv)
{
    int at = 1;

    while (at < argc && argv[at][0] == '-' && argv[at][1] && !str_eq(argv[at], "--"))
        at += takes_next(argv[at]) ? 2 : 1;
    return at < argc ? at : argc;
}

int cli_main(int argc, char **argv)
{
    int at = verb_at(argc, argv);
    const char *name = at < argc ? argv[at] : argc > 1 ? argv[1] : NULL;
    const struct cli_verb *verb;

    if (!name) {
        cli_help_all(stderr);
        return CLI_USAGE;
    }
    // The verb comes first from here on, and the options that stood before it follow.
    if (at < argc) {
        memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof(*argv));
        argv[1] = (char *)(uintptr_t)name;
    }
    if (str_eq(name, "help"))
        return help_verb(argc > 2 ? argv[2] : NULL);
    if (str_eq(name, "--help") || str_eq(name, "-h"))
        return help_verb(NULL);
    if (str_eq(name, "--version"))
        name = "version";
    if (name[0] == '-') {
        fputs("drawbridge: a verb is missing\nSee `drawbridge --help`.\n", stderr);
        return CLI_USAGE;
    }
    verb = find_verb(name);
    if (!verb)
        return unknown_verb(name);
    if (asks_for_help(argc - 1, argv + 1))
        return help_verb(verb->name);
    return verb->run(argc - 1, argv + 1);
}
