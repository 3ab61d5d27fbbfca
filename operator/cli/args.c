// SPDX-License-Identifier: Apache-2.0
// Arguments by table: the help and what is accepted cannot differ.
#include <stdlib.h>
#include <string.h>

#include "cli_internal.h"
#include "drawbridge/gates.h"
#include "drawbridge/api.h"

struct walk {
    const struct cli_verb *verb;
    int argc, at;
    char **argv;
    char *settings;
};

static bool word_in(const char *words, const char *word)
{
    struct slice rest = slice_of(words), part;

    while (slice_cut(&rest, ' ', &part))
        if (slice_eq(part, word))
            return true;
    return false;
}

static struct error *put_bool(bool *to, const struct cli_option *option, const char *text)
{
    if (!str_eq(text, "true") && !str_eq(text, "false"))
        return error_new(ERROR_INVALID, "--%s: write true or false, not \"%.*s\"", option->name,
                         TEXT_CUT(100, text));
    *to = str_eq(text, "true");
    return NULL;
}

static struct error *put_uint(unsigned *to, const struct cli_option *option, const char *text)
{
    uint64_t number;

    if (!slice_to_u64(slice_of(text), &number) || number > INT32_MAX)
        return error_new(ERROR_INVALID, "--%s: \"%.*s\" is no number", option->name,
                         TEXT_CUT(100, text));
    *to = (unsigned)number;
    return NULL;
}

static struct error *put(char *settings, const struct cli_option *option, const char *text)
{
    void *to = settings + option->offset;

    switch (option->type) {
    case CLI_BOOL:
        return put_bool(to, option, text);
    case CLI_UINT:
        return put_uint(to, option, text);
    case CLI_DURATION:
        return error_wrap(api_duration_parse(text, to), "--%s", option->name);
    case CLI_CHOICE:
        if (!word_in(option->values, text))
            return error_new(ERROR_INVALID, "--%s: \"%.*s\" is not one of: %s", option->name,
                             TEXT_CUT(100, text), option->values);
        *(const char **)to = text;
        return NULL;
    case CLI_TEXT:
        *(const char **)to = text;
        return NULL;
    case CLI_LIST:
        strlist_add(to, text);
        return NULL;
    }
    ASSERT(false); // foreign: the types of the tables are all above
    return NULL;
}

static const struct cli_option *find_long(const struct cli_verb *verb, struct slice name)
{
    for (const struct cli_option *option = verb->options; option && option->name; option++)
        if (slice_eq(name, option->name))
            return option;
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_verb *verb, char letter)
{
    for (const struct cli_option *option = verb->options; option && option->name; option++)
        if (option->letter == letter)
            return option;
    return NULL;
}

const struct cli_option *cli_option_find(const struct cli_verb *verb, const char *text)
{
    const char *equals = strchr(text, '=');

    if (!str_starts(text, "--"))
        return text[0] == '-' ? find_letter(verb, text[1]) : NULL;
    text += 2;
    return find_long(verb, equals ? (struct slice){text, (size_t)(equals - text)} : slice_of(text));
}

bool cli_option_has_value(const char *text)
{
    return str_starts(text, "--") ? strchr(text, '=') != NULL : (text[1] && text[2]);
}

static struct error *unknown(const struct cli_verb *verb, struct slice name)
{
    AUTO_MEM char *text = slice_dup(name);
    const char *nearest = NULL;
    unsigned best = 4;

    for (const struct cli_option *option = verb->options; option && option->name; option++) {
        unsigned distance = str_distance(text, option->name, best);
        if (distance >= best)
            continue;
        best = distance;
        nearest = option->name;
    }
    if (nearest)
        return error_new(ERROR_INVALID, "there is no option --%.*s; did you mean --%s?",
                         TEXT_CUT(100, text), nearest);
    return error_new(ERROR_INVALID, "there is no option --%.*s", TEXT_CUT(100, text));
}

// The value that follows as an argument of its own.
static struct error *take_next(struct walk *walk, const struct cli_option *option)
{
    if (option->type == CLI_BOOL)
        return put(walk->settings, option, "true");
    if (walk->at >= walk->argc)
        return error_new(ERROR_INVALID, "--%s needs a value: %s", option->name, option->argument);
    return put(walk->settings, option, walk->argv[walk->at++]);
}

static struct error *take_long(struct walk *walk, const char *text)
{
    const char *equals = strchr(text, '=');
    struct slice name = equals ? (struct slice){text, (size_t)(equals - text)} : slice_of(text);
    const struct cli_option *option = find_long(walk->verb, name);

    if (!option)
        return unknown(walk->verb, name);
    return equals ? put(walk->settings, option, equals + 1) : take_next(walk, option);
}

// "-o json", "-ojson" and "-o=json"; "-Aw": letters that need no value may stand together.
static struct error *take_letter(struct walk *walk, const char *text)
{
    const struct cli_option *option = find_letter(walk->verb, text[0]);

    for (; option && option->type == CLI_BOOL && text[1] && text[1] != '=';
         option = find_letter(walk->verb, *++text)) {
        struct error *err = put(walk->settings, option, "true");
        if (err)
            return err;
    }
    if (!option)
        return error_new(ERROR_INVALID, "there is no option -%c", text[0]);
    if (!text[1])
        return take_next(walk, option);
    return put(walk->settings, option, text + (text[1] == '=' ? 2 : 1));
}

static struct error *put_defaults(struct walk *walk)
{
    for (const struct cli_option *option = walk->verb->options; option && option->name; option++) {
        const char *text = option->env ? getenv(option->env) : NULL;
        struct error *err = NULL;
        if (text && *text)
            err = error_wrap(put(walk->settings, option, text), "environment variable %s",
                             option->env);
        else if (option->fallback)
            err = put(walk->settings, option, option->fallback);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *take_rest(struct strlist *rest, const char *text)
{
    if (!rest)
        return error_new(ERROR_INVALID, "\"%.*s\" is not expected here", TEXT_CUT(100, text));
    strlist_add(rest, text);
    return NULL;
}

struct error *cli_args_parse(const struct cli_verb *verb, int argc, char **argv, void *settings,
                             size_t settings_bytes, struct strlist *rest)
{
    struct walk walk = {.verb = verb, .argc = argc, .at = 1, .argv = argv, .settings = settings};
    bool options = true;
    struct error *err;

    memset(settings, 0, settings_bytes);
    err = put_defaults(&walk);
    while (!err && walk.at < argc) {
        const char *text = argv[walk.at++];
        if (options && str_eq(text, "--"))
            options = false;
        else if (options && str_starts(text, "--"))
            err = take_long(&walk, text + 2);
        else if (options && text[0] == '-' && text[1])
            err = take_letter(&walk, text + 1);
        else
            err = take_rest(rest, text);
    }
    return err;
}

struct error *cli_minor_parse(const struct gates_table *table, const char *option, const char *text,
                              struct version *ret_minor)
{
    struct version oldest = gates_table_oldest(table), newest = gates_table_newest(table);
    AUTO_MEM char *first = version_format_minor(oldest);
    AUTO_MEM char *last = version_format_minor(newest);
    struct version minor = gates_table_newest_release(table);

    if (text && !version_parse(text, &minor))
        return error_new(ERROR_INVALID, "--%s: \"%.*s\" is no version; write for example %s",
                         option, TEXT_CUT(100, text), last);
    if (version_compare_minor(minor, oldest) < 0 || version_compare_minor(minor, newest) > 0)
        return error_new(ERROR_INVALID, "--%s: the table knows %s to %s", option, first, last);
    *ret_minor = minor;
    return NULL;
}
