// SPDX-License-Identifier: Apache-2.0
// In which line of a text an entry stands, for people who are to look at it.
#include "site_internal.h"

#include <string.h>

// Of names of gates and of keys of --runtime-config.
static bool is_in_names(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '.' || c == '-' || c == '_';
}

static bool is_comment(struct slice line)
{
    size_t i = 0;

    while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t'))
        i++;
    return i < line.len && line.ptr[i] == '#';
}

// As a whole: what another name begins or ends with is not it.
static bool has_name(struct slice line, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; len > 0 && i + len <= line.len; i++) {
        if (memcmp(line.ptr + i, name, len) == 0 && (i == 0 || !is_in_names(line.ptr[i - 1])) &&
            (i + len == line.len || !is_in_names(line.ptr[i + len])))
            return true;
    }
    return false;
}

// A ClusterConfiguration has several components: the lines of this one.
static struct error *find_section(const struct site_place *place, struct slice text,
                                  size_t *ret_from, size_t *ret_to)
{
    static const char *const sections[] = {"/apiServer", "/controllerManager", "/scheduler"};
    AUTO(doc_text) struct doc_text *doc = NULL;
    struct error *err = doc_text_new(text, place->name, &doc);

    ASSERT(place->component < COUNT(sections));
    return err ? err : doc_text_lines(doc, sections[place->component], ret_from, ret_to);
}

unsigned site_line(const struct site_place *place, struct slice text, const char *entry)
{
    size_t from = 0, to = text.len;
    struct slice rest, line;
    unsigned number = 1;

    if (place->codec == &site_cluster_configuration)
        error_ignore(find_section(place, text, &from, &to), "all of the text is searched");
    for (size_t i = 0; i < from; i++)
        number += text.ptr[i] == '\n';
    rest = slice_sub(text, from, to);
    for (; slice_cut(&rest, '\n', &line); number++) {
        if (!is_comment(line) && has_name(line, entry))
            return number;
    }
    return 0;
}
