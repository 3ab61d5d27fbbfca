// SPDX-License-Identifier: Apache-2.0
// Arguments: every notation, every type, every mistake.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_internal.h"
#include "test.h"

struct settings {
    bool all;
    const char *file, *output;
    unsigned port;
    uint64_t wait_ms;
    struct strlist set;
};

static const struct cli_option options[] = {
    {.name = "all",
     .letter = 'a',
     .type = CLI_BOOL,
     .offset = offsetof(struct settings, all),
     .help = "all"},
    {.name = "file",
     .letter = 'f',
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, file),
     .argument = "FILE",
     .env = "TEST_FILE",
     .help = "file"},
    {.name = "output",
     .letter = 'o',
     .type = CLI_CHOICE,
     .offset = offsetof(struct settings, output),
     .argument = "FORMAT",
     .values = "table json",
     .fallback = "table",
     .help = "format"},
    {.name = "port",
     .type = CLI_UINT,
     .offset = offsetof(struct settings, port),
     .argument = "PORT",
     .fallback = "8080",
     .help = "port"},
    {.name = "wait",
     .type = CLI_DURATION,
     .offset = offsetof(struct settings, wait_ms),
     .argument = "TIME",
     .fallback = "5s",
     .help = "time"},
    {.name = "set",
     .type = CLI_LIST,
     .offset = offsetof(struct settings, set),
     .argument = "KEY=VALUE",
     .help = "more"},
    {.name = NULL},
};
static const struct cli_verb verb = {
    .name = "try", .summary = "s", .usage = "", .example = "", .options = options};

// Splits at spaces: argv[0] is the first word.
static struct error *parse(const char *line, struct settings *settings, struct strlist *rest)
{
    static char copy[512];
    char *argv[32];
    int argc = 0;

    CHECK(strlen(line) < sizeof(copy));
    memcpy(copy, line, strlen(line) + 1);
    for (char *at = copy; at && argc < 31; argc++) {
        argv[argc] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = '\0';
    }
    argv[argc] = NULL;
    return cli_args_parse(&verb, argc, argv, settings, sizeof(*settings), rest);
}

TEST(fallbacks)
{
    struct settings settings;

    CHECK_OK(parse("try", &settings, NULL));
    CHECK(!settings.all && !settings.file);
    CHECK_STR(settings.output, "table");
    CHECK_INT(settings.port, 8080);
    CHECK_INT(settings.wait_ms, 5000);
    CHECK_INT(settings.set.len, 0);
}

TEST(notations)
{
    struct settings settings;
    AUTO_STRLIST struct strlist rest = {0};

    CHECK_OK(parse("try one --all --file=a=b --output json --port 9 --wait=1m30s --set x=1 two "
                   "--set=y=2 -- --three -f",
                   &settings, &rest));
    CHECK(settings.all);
    CHECK_STR(settings.file, "a=b");
    CHECK_STR(settings.output, "json");
    CHECK_INT(settings.port, 9);
    CHECK_INT(settings.wait_ms, 90000);
    CHECK_STR_TAKE(strlist_join(&settings.set, " "), "x=1 y=2");
    CHECK_STR_TAKE(strlist_join(&rest, " "), "one two --three -f");
    strlist_fini(&settings.set);
}

TEST(letters)
{
    struct settings settings;

    CHECK_OK(parse("try -a -f - -ojson", &settings, NULL));
    CHECK(settings.all);
    CHECK_STR(settings.file, "-");
    CHECK_STR(settings.output, "json");
    CHECK_OK(parse("try -afin", &settings, NULL)); // as pflag takes "-Af in"
    CHECK(settings.all);
    CHECK_STR(settings.file, "in");
    CHECK_OK(parse("try -a=false -f in", &settings, NULL));
    CHECK(!settings.all);
    CHECK_OK(parse("try -o=json --all=false", &settings, NULL));
    CHECK(!settings.all);
    CHECK_STR(settings.output, "json");
}

TEST(a_flag_outranks_the_environment)
{
    struct settings settings;

    setenv("TEST_FILE", "from-env", 1);
    CHECK_OK(parse("try", &settings, NULL));
    CHECK_STR(settings.file, "from-env");
    CHECK_OK(parse("try --file x", &settings, NULL));
    CHECK_STR(settings.file, "x");
    setenv("TEST_FILE", "", 1);
    CHECK_OK(parse("try", &settings, NULL));
    CHECK(!settings.file);
}

static void check_refused(const char *line, const char *part)
{
    struct settings settings;

    CHECK_ERR_HAS(parse(line, &settings, NULL), ERROR_INVALID, part);
}

TEST(mistakes)
{
    check_refused("try --fiel x", "there is no option --fiel; did you mean --file?");
    check_refused("try --somewhere-else", "there is no option --somewhere-else");
    check_refused("try -x", "there is no option -x");
    check_refused("try -ax", "there is no option -x");
    check_refused("try --file", "--file needs a value: FILE");
    check_refused("try -f", "--file needs a value: FILE");
    check_refused("try --output xml", "--output: \"xml\" is not one of: table json");
    check_refused("try --port -1", "--port: \"-1\" is no number");
    check_refused("try --port 99999999999", "is no number");
    check_refused("try --wait 5", "--wait: ");
    check_refused("try --all=yes", "--all: write true or false");
    check_refused("try word", "\"word\" is not expected here");
    // no abbreviations: they would break when options are added
    check_refused("try --al", "did you mean --all?");
}

TEST(table_is_aligned)
{
    AUTO_TABLE struct cli_table table = {.columns = 2};
    AUTO_MEM char *path = test_path("out");
    AUTO_MEM char *text = NULL;
    FILE *out = fopen(path, "we");

    cli_table_cell(&table, "NAME");
    cli_table_cell(&table, "WHAT");
    cli_table_cell(&table, "l\xc3\xa4nger");
    cli_table_cell(&table, "");
    cli_table_cell(&table, "x");
    cli_table_cell(&table, "y z");
    cli_table_print(&table, out);
    (void)fclose(out);
    text = test_read(path);
    CHECK_STR(text, "NAME     WHAT\n"
                    "l\xc3\xa4nger   -\n"
                    "x        y z\n");
}

TEST(files)
{
    AUTO_MEM char *path = test_path("in");
    AUTO_MEM char *text = NULL;

    test_write(path, "a: 1\n");
    CHECK_OK(cli_read_file(path, &text));
    CHECK_STR(text, "a: 1\n");
    CHECK_ERR(cli_read_file("/nowhere/at/all", &text), ERROR_NOT_FOUND);
}

// What others wrote, on somebody's terminal.
TEST(words_of_others_do_not_control_a_terminal)
{
    AUTO_MEM char *path = test_path("terminal");
    FILE *file = fopen(path, "w");

    CHECK(file != NULL);
    cli_put("a\x1b[2Jb\rc\x7f\bd\xc2\x9b"
            "31m \xc3\xa4\t\xc2\xa0\n",
            file);
    CHECK(fclose(file) == 0);
    CHECK_STR_TAKE(test_read(path), "a?[2Jb?c??d?31m \xc3\xa4\t\xc2\xa0\n");
}

TEST_MAIN()
