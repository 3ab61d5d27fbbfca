// SPDX-License-Identifier: Apache-2.0
// docs/presets.md shows what data/presets.yaml holds. DRAWBRIDGE_UPDATE_DOCS=1 writes it into the
// page.
#include <stdlib.h>
#include <string.h>

#include "drawbridge/gates.h"
#include "objects.h"

#define BEGIN                                                                                      \
    "<!-- presets: made from operator/driver/data/presets.yaml, see test_driver_presets -->\n"
#define END "<!-- end of presets -->\n"

// Items of a list, or their names, each in code, "a, b".
static char *code(const json_t *list)
{
    AUTO_BUF struct buf text = buf_make(4096);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *name = json_is_string(item)           ? json_string_value(item)
                           : *doc_str(item, "name", NULL) ? doc_str(item, "name", NULL)
                                                          : doc_str(item, "path", NULL);
        buf_printf(&text, "%s`%s`", text.len ? ", " : "", name);
    }
    return buf_take(&text);
}

static void add_line(struct buf *text, const char *what, const char *words)
{
    if (*words)
        buf_printf(text, "- %s: %s\n", what, words);
}

// Its name: where it is pulled from stands in the data.
static char *chart_text(const json_t *preset)
{
    const json_t *chart = json_object_get(preset, "chart");
    const char *ref = doc_str(chart, "ref", NULL), *version = doc_str(chart, "version", NULL);

    return str_format("`%s` %s", *ref ? strrchr(ref, '/') + 1 : doc_str(chart, "name", NULL),
                      *version ? version : "(the newest)");
}

static char *kubernetes_text(const json_t *preset)
{
    const char *oldest = doc_str(preset, "kubernetes", NULL), *api = doc_str(preset, "api", NULL);

    return str_format("%s%s%s%s", *oldest ? oldest : "any with DRA", *oldest ? " or newer" : "",
                      *api ? ", with resource.k8s.io/" : "", api);
}

// Features with the minor from which nobody has to ask for them.
static char *features_text(const json_t *names)
{
    AUTO_BUF struct buf text = buf_make(1024);

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        struct version since;
        AUTO_MEM char *minor = NULL;

        CHECK(gates_feature_default_since(gates_table_builtin(), name, &since));
        minor = version_format_minor(since);
        buf_printf(&text, "%s`%s`, on by default since %s", text.len ? "; " : "", name, minor);
    }
    return buf_take(&text);
}

static char *nodes_text(const json_t *preset)
{
    const char *nodes = doc_str(preset, "nodes", NULL);
    AUTO_MEM char *labels = code(json_object_get(preset, "nodeLabels"));

    if (*nodes)
        return str_format("those where %s", nodes);
    if (*labels)
        return str_format("those with one of %s", labels);
    return str_dup(doc_bool(preset, false, "everyNode", NULL)
                       ? "all, and all have devices"
                       : "all: the chart picks none, and nodes without devices are not missed");
}

static void add_preset(struct buf *text, const json_t *preset)
{
    const json_t *needs = json_object_get(preset, "needs");
    AUTO_MEM char *chart = chart_text(preset);
    AUTO_MEM char *kubernetes = kubernetes_text(preset);
    AUTO_MEM char *drivers = code(json_object_get(preset, "drivers"));
    AUTO_MEM char *classes = code(json_object_get(preset, "classes"));
    AUTO_MEM char *nodes = nodes_text(preset);
    AUTO_MEM char *needed = features_text(doc_get(preset, "features", "needs", NULL));
    AUTO_MEM char *used = features_text(doc_get(preset, "features", "uses", NULL));
    AUTO_MEM char *owners = code(json_object_get(preset, "operators"));
    AUTO_MEM char *values = json_object_get(preset, "values")
                                ? doc_print_json(json_object_get(preset, "values"))
                                : str_dup("");
    AUTO_MEM char *values_code = *values ? str_format("`%s`", values) : str_dup("");

    buf_printf(text, "### %s\n\n", doc_str(preset, "name", NULL));
    add_line(text, "chart", chart);
    buf_printf(text, "- release: `%s` in namespace `%s`\n", doc_str(preset, "release", NULL),
               doc_str(preset, "namespace", NULL));
    add_line(text, "Kubernetes", kubernetes);
    add_line(text, "drivers", drivers);
    add_line(text, "DeviceClasses", *classes ? classes : "none: they are yours to make");
    add_line(text, "nodes that get the plugin", nodes);
    add_line(text, "values that Drawbridge sets", values_code);
    add_line(text, "features that it needs", needed);
    add_line(text, "features that it can use", used);
    add_line(text, "not beside", owners);
    buf_add_str(text, "- needs:\n");
    for (size_t i = 0; i < json_array_size(needs); i++)
        buf_printf(text, "  - %s\n", json_string_value(json_array_get(needs, i)));
    buf_printf(text, "- held against: %s of %s\n", doc_str(preset, "seen", NULL),
               doc_str(preset, "source", NULL));
    add_line(text, "rendered", doc_str(preset, "rendered", NULL));
    add_line(text, "installed", doc_str(preset, "installed", NULL));
    buf_add_str(text, "\n");
}

static char *make_text(void)
{
    AUTO_MEM char *names = driver_preset_names();
    AUTO_BUF struct buf text = buf_make(1 << 20);
    struct slice rest = slice_of(names), part;

    buf_add_str(&text, BEGIN "\n");
    while (slice_cut(&rest, ',', &part)) {
        AUTO_MEM char *name = slice_dup(slice_trim(part));
        add_preset(&text, driver_preset(name));
    }
    buf_add_str(&text, END);
    return buf_take(&text);
}

TEST(the_page_shows_what_the_presets_hold)
{
    AUTO_MEM char *path = str_format("%s/docs/presets.md", TEST_SOURCE_ROOT);
    AUTO_MEM char *page = test_read(path);
    AUTO_MEM char *made = make_text();
    char *begin = strstr(page, BEGIN), *end = strstr(page, END);

    CHECK(begin && end);
    if (getenv("DRAWBRIDGE_UPDATE_DOCS")) {
        AUTO_MEM char *whole =
            str_format("%.*s%s%s", (int)(begin - page), page, made, end + strlen(END));
        test_write(path, whole);
        return;
    }
    end[strlen(END)] = '\0';
    CHECK_STR(begin, made);
}

// Each is one that spec.features takes.
static void check_features(const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        struct version first;
        CHECK(gates_feature_since(gates_table_builtin(),
                                  json_string_value(json_array_get(names, i)), &first));
    }
}

// What people read about a preset, and where it comes from, is never left out.
TEST(each_preset_says_what_it_needs_and_what_it_was_held_against)
{
    AUTO_MEM char *names = driver_preset_names();
    struct slice rest = slice_of(names), part;

    while (slice_cut(&rest, ',', &part)) {
        AUTO_MEM char *name = slice_dup(slice_trim(part));
        const json_t *preset = driver_preset(name);

        check_features(doc_get(preset, "features", "needs", NULL));
        check_features(doc_get(preset, "features", "uses", NULL));
        CHECK(json_array_size(json_object_get(preset, "needs")) > 0);
        CHECK(str_starts(doc_str(preset, "source", NULL), "https://"));
        CHECK(*doc_str(preset, "seen", NULL) && *doc_str(preset, "rendered", NULL) &&
              *doc_str(preset, "installed", NULL));
    }
}

TEST_MAIN()
