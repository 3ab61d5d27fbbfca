// SPDX-License-Identifier: Apache-2.0
// A kwok.yaml of kwokctl with the runtime binary: in its first document each component is an item
// of a list. A component's text is the lines of its item, so that an edit of one is none of the
// others', and of what else is in the file.
#include <string.h>

#include "site_internal.h"

#define RUNTIME_BYTES_MAX 900 // as shown

static bool is_marker(struct slice line, const char *marker)
{
    return slice_starts(line, marker) && (line.len == 3 || strchr(" \t\r", line.ptr[3]) != NULL);
}

// The first document of several.
static struct slice first_document(struct slice text)
{
    struct slice rest = text, line;
    bool begun = false;
    while (slice_cut(&rest, '\n', &line)) {
        bool end = is_marker(line, "---") || is_marker(line, "...");
        struct slice said = slice_trim(line);
        if (end && begun)
            return slice_sub(text, 0, (size_t)(line.ptr - text.ptr));
        begun = begun || (!end && said.len > 0 && said.ptr[0] != '#' && said.ptr[0] != '%');
    }
    return text;
}

static struct error *find_index(const json_t *tree, const char *name, enum component component,
                                size_t *ret_index)
{
    const char *wanted = component_name(component),
               *runtime = doc_str(tree, "options", "runtime", NULL);
    size_t i, found = 0;
    json_t *item;
    if (!str_eq(doc_str(tree, "kind", NULL), "KwokctlConfiguration"))
        return error_new(ERROR_INVALID, "%s: the first document is no KwokctlConfiguration", name);
    if (!str_eq(runtime, "binary"))
        return error_new(ERROR_INVALID,
                         "%s: options.runtime is \"%.*s\": components can be restarted with what "
                         "the file says in the runtime binary alone",
                         name, TEXT_CUT(RUNTIME_BYTES_MAX, runtime));
    json_array_foreach(json_object_get(tree, "components"), i, item) {
        if (!str_eq(doc_str(item, "name", NULL), wanted))
            continue;
        *ret_index = i;
        found++;
    }
    if (found > 1)
        return error_new(ERROR_INVALID, "%s: %s is there twice", name, wanted);
    return found == 1 ? NULL : error_new(ERROR_NOT_FOUND, "%s: there is no %s", name, wanted);
}

struct error *site_kwok_part(struct slice text, const char *name, enum component component,
                             size_t *ret_from, size_t *ret_to)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    size_t index = 0;
    struct error *err = doc_text_new(first_document(text), name, &doc);
    if (!err)
        err = find_index(doc_text_tree(doc), name, component, &index);
    if (err)
        return err;
    AUTO_MEM char *pointer = str_format("/components/%zu", index);
    return doc_text_lines(doc, pointer, ret_from, ret_to);
}

static struct error *check_args(const json_t *args, const char *where, const char *name)
{
    size_t i;
    json_t *word;
    if (!json_is_array(args) || json_array_size(args) == 0)
        return error_new(ERROR_INVALID, "%s: %s has no args", where, name);
    json_array_foreach(args, i, word) {
        if (!json_is_string(word))
            return error_new(ERROR_INVALID, "%s: args[%zu] of %s is not a string", where, i, name);
    }
    return NULL;
}

// The program and its args are what is started; command is for containers.
static struct error *find_item(const struct site_place *place, const json_t *tree,
                               struct site_container *ret_container)
{
    const char *where = place->name, *name = component_name(place->component);
    const json_t *item = json_array_get(tree, 0), *args = json_object_get(item, "args");
    if (json_array_size(tree) != 1 || !str_eq(doc_str(item, "name", NULL), name))
        return error_new(ERROR_INVALID, "%s: not the component %s", where, name);
    if (doc_str(item, "binary", NULL)[0] != '/' || doc_str(item, "workDir", NULL)[0] != '/')
        return error_new(ERROR_INVALID, "%s: binary and workDir of %s are not absolute paths",
                         where, name);
    if (doc_str(item, "user", NULL)[0])
        return error_new(ERROR_INVALID,
                         "%s: %s runs as a user of its own, which Drawbridge does not do", where,
                         name);
    struct error *err = check_args(args, where, name);
    if (err)
        return err;
    *ret_container = site_container_of(NULL, args);
    ret_container->spec = item;
    return ret_container->no_program
               ? NULL
               : error_new(ERROR_INVALID, "%s: args of %s begin with no flag", where, name);
}

const struct site_codec site_kwok = {
    .read = site_argv_read,
    .write = site_argv_write,
    .find = find_item,
    .list = "",
};
