// SPDX-License-Identifier: Apache-2.0
// The list of reasons: well-formed, complete for what other rooms name, and the same as
// docs/conditions.md shows. DRAWBRIDGE_UPDATE_DOCS=1 writes the table into the page.
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"
#include "test.h"

#define BEGIN "<!-- reasons: made from operator/api/reasons.c, see test_api_reasons -->\n"
#define END "<!-- end of reasons -->\n"

static bool is_camel_case(const char *name)
{
    return *name >= 'A' && *name <= 'Z' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
               strlen(name);
}

TEST(well_formed)
{
    size_t len;
    const struct api_reason *reasons = api_reasons(&len);

    for (size_t i = 0; i < len; i++) {
        struct slice rest = slice_of(reasons[i].conditions), part;
        CHECK(is_camel_case(reasons[i].name));
        CHECK(str_ends(reasons[i].meaning, "."));
        CHECK(str_ends(reasons[i].action, "."));
        CHECK(api_reason_find(reasons[i].name) == &reasons[i]); // no name twice
        while (slice_cut(&rest, ' ', &part)) {
            AUTO_MEM char *name = slice_dup(part);
            enum condition condition;
            CHECK(api_condition_parse(name, &condition));
        }
    }
    CHECK(!api_reason_find("Whatever"));
    CHECK(!api_reason_find(""));
}

TEST(names_that_others_give)
{
    // Refusals of gates, states of a node, kinds of error: their rooms spell these.
    static const char *const names[] = {
        "UnknownFeatureGate",
        "FeatureGateLocked",
        "FeatureGateRemoved",
        "FeatureGateTooNew",
        "FeatureGateDependency",
        "AlphaNotAllowed",
        "APIVersionNotRegistered",
        "InvalidRuntimeConfig",
        "KubernetesTooOld",
        "KubernetesTooNew",
        "VersionSkewUnsupported",
        "APIVersionNeeded",
        "ComponentNotReady",
        "ComponentCrashed",
        "ReadBackMismatch",
        "ManifestInvalid",
        "FileConflict",
        "KubeletNotReady",
        "MetricsUnavailable",
        "StaleEpoch",
        "TargetConflict",
        "AgentMissing",
        "NoManagedNodes",
        "InvalidConfiguration",
    };

    for (size_t i = 0; i < COUNT(names); i++)
        CHECK(api_reason_find(names[i]) != NULL);
}

// --- who gives them ------------------------------------------------------------------------------

// Every line of the program but the list itself.
static void read_sources(const char *dir, struct buf *text)
{
    DIR *stream = opendir(dir);
    const struct dirent *entry;

    CHECK(stream != NULL);
    while ((entry = readdir(stream))) {
        AUTO_MEM char *path = str_format("%s/%s", dir, entry->d_name);

        if (entry->d_type == DT_DIR && *entry->d_name != '.' && !str_eq(entry->d_name, "tests"))
            read_sources(path, text);
        if (str_ends(path, ".c") && !str_ends(path, "/api/reasons.c")) {
            AUTO_MEM char *source = test_read(path);

            buf_add_str(text, source);
        }
    }
    closedir(stream);
}

static char *program(void)
{
    AUTO_BUF struct buf text = buf_make((size_t)16 << 20);
    AUTO_MEM char *dir = str_format("%s/operator", TEST_SOURCE_ROOT);

    read_sources(dir, &text);
    return buf_take(&text);
}

// Lists in which words of others are looked up give nothing. What is numbered is no such list.
static void blank_lists(char *text)
{
    static const char begin[] = "static const char *const ";

    for (char *at = strstr(text, begin); at; at = strstr(at + 1, begin)) {
        char *open = at + strcspn(at, "{;"), *first = open + strspn(open, "{ \n");
        size_t len = strcspn(open, ";");

        if (*open == '{' && *first == '"')
            memset(open, ' ', len);
    }
}

TEST(every_reason_of_the_list_is_given_somewhere)
{
    AUTO_MEM char *text = program();
    AUTO_BUF struct buf missing = buf_make(4096);
    size_t len;
    const struct api_reason *reasons = api_reasons(&len);

    blank_lists(text);
    for (size_t i = 0; i < len; i++) {
        AUTO_MEM char *quoted = str_format("\"%s\"", reasons[i].name);

        if (!strstr(text, quoted))
            buf_printf(&missing, "%s ", reasons[i].name);
    }
    CHECK_STR(missing.len ? missing.ptr : "", "");
}

// Names of gates and the API server's own reasons stand in such statements too: a reason of ours
// has two capitals at least and is none of them.
static bool may_be_reason(const char *word)
{
    static const char *const others[] = {"DynamicResourceAllocation", "AlreadyExists",
                                         "ResourceVersionTooLarge"};
    unsigned capitals = 0;

    for (const char *at = word; *at; at++)
        capitals += *at >= 'A' && *at <= 'Z';
    for (size_t i = 0; i < COUNT(others); i++)
        if (str_eq(word, others[i]))
            return false;
    return is_camel_case(word) && capitals > 1;
}

// The words in quotes of the statement at this place.
static void check_statement(const char *at, struct buf *unknown)
{
    size_t len = strcspn(at, ";");
    struct slice rest = {at, len}, part;

    while (slice_cut(&rest, '"', &part)) {
        AUTO_MEM char *word = slice_dup(part);

        if (may_be_reason(word) && !api_reason_find(word))
            buf_printf(unknown, "%s ", word);
    }
}

TEST(every_reason_that_is_given_is_in_the_list)
{
    static const char *const marks[] = {
        "STATE_TRUE,",     "STATE_FALSE,", "STATE_UNKNOWN,",    "DRIVER_TRUE,",  "DRIVER_FALSE,",
        "DRIVER_UNKNOWN,", " reason = \"", "error_set_reason(", "] = {true, \"", "job_fail("};
    AUTO_MEM char *text = program();
    AUTO_BUF struct buf unknown = buf_make(4096);

    for (size_t i = 0; i < COUNT(marks); i++) {
        unsigned seen = 0;

        for (const char *at = strstr(text, marks[i]); at; at = strstr(at + 1, marks[i])) {
            check_statement(at, &unknown);
            seen++;
        }
        CHECK(seen > 0);
    }
    CHECK_STR(unknown.len ? unknown.ptr : "", "");
}

TEST(what_is_missing_is_worth_a_warning)
{
    CHECK(api_reason_warns(api_reason_find("AgentMissing")));
    CHECK(api_reason_warns(api_reason_find("ClaimsInUse")));
    CHECK(api_reason_warns(api_reason_find("ComponentCrashed")));
    CHECK(!api_reason_warns(api_reason_find("Progressing")));
    CHECK(!api_reason_warns(api_reason_find("RollingOut")));
}

TEST(fits)
{
    const struct api_reason *reason = api_reason_find("NoManagedNodes");

    CHECK(api_reason_fits(reason, CONDITION_NODES_UPDATED));
    CHECK(api_reason_fits(reason, CONDITION_READY));
    CHECK(!api_reason_fits(reason, CONDITION_CONFIG_VALID));
}

TEST(a_fine_reason_is_not_terminal)
{
    size_t len;
    const struct api_reason *reasons = api_reasons(&len);

    for (size_t i = 0; i < len; i++)
        CHECK(!api_reason_is_fine(reasons[i].name) || !reasons[i].terminal);
}

static char *make_table(void)
{
    AUTO_BUF struct buf text = buf_make(1 << 20);
    size_t len;
    const struct api_reason *reasons = api_reasons(&len);

    buf_add_str(
        &text, BEGIN
        "| reason | used with | waits for | what it means | what to do |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < len; i++) {
        bool any = str_starts(reasons[i].conditions, "ConfigValid") &&
                   str_ends(reasons[i].conditions, "Applied Upgradeable Degraded");
        AUTO_BUF struct buf where = buf_make(4096);
        struct slice rest = slice_of(reasons[i].conditions), part;
        while (slice_cut(&rest, ' ', &part)) {
            buf_add_str(&where, where.len ? ", " : "");
            buf_add_slice(&where, part);
        }
        buf_printf(&text, "| `%s` | %s | %s | %s | %s |\n", reasons[i].name,
                   any ? "any" : where.ptr, reasons[i].terminal ? "you (Stalled)" : "",
                   reasons[i].meaning, reasons[i].action);
    }
    buf_add_str(&text, END);
    return buf_take(&text);
}

TEST(the_page_shows_the_list)
{
    AUTO_MEM char *path = str_format("%s/docs/conditions.md", TEST_SOURCE_ROOT);
    AUTO_MEM char *page = test_read(path);
    AUTO_MEM char *table = make_table();
    char *begin = strstr(page, BEGIN), *end = strstr(page, END);

    CHECK(begin && end);
    if (getenv("DRAWBRIDGE_UPDATE_DOCS")) {
        AUTO_MEM char *made =
            str_format("%.*s%s%s", (int)(begin - page), page, table, end + strlen(END));
        test_write(path, made);
        return;
    }
    end[strlen(END)] = '\0';
    CHECK_STR(begin, table);
}

TEST(the_page_names_each_condition)
{
    AUTO_MEM char *path = str_format("%s/docs/conditions.md", TEST_SOURCE_ROOT);
    AUTO_MEM char *page = test_read(path);

    for (size_t i = 0; i < CONDITION_COUNT; i++) {
        AUTO_MEM char *cell = str_format("| `%s` |", condition_name((enum condition)i));
        CHECK_HAS(page, cell);
    }
}

TEST_MAIN()
