// SPDX-License-Identifier: Apache-2.0
// Gates as a map of name to bool: of a KubeletConfiguration, of an object's spec.
#include "site_internal.h"

#define KUBELET_GATES "/featureGates"

static const char *at_of(const struct site_place *place)
{
    return place->at ? place->at : "";
}

static struct error *map_read(const struct site_place *place, const struct site_doc *doc,
                              struct gates_flags *ret_flags)
{
    json_t *gates = (json_t *)(uintptr_t)doc_pointer(doc->tree, at_of(place));
    AUTO_MEM char *what = site_dotted(at_of(place));
    const char *name;
    json_t *value;

    if (gates && !json_is_null(gates) && !json_is_object(gates))
        return error_new(ERROR_INVALID, "%s: %s is not a map", place->name, what);
    json_object_foreach(gates, name, value) {
        if (!json_is_boolean(value))
            return error_new(ERROR_INVALID, "%s: %s.%s is neither true nor false", place->name,
                             what, name);
    }
    *ret_flags = (struct gates_flags){
        .feature_gates = json_is_object(gates) ? doc_copy(gates) : json_object(),
        .runtime_config = json_object(),
    };
    return NULL;
}

static struct error *set_gate(const char *at, struct site_doc *doc, const char *name,
                              const json_t *value)
{
    const json_t *gates = doc_pointer(doc->tree, at), *was = json_object_get(gates, name);
    AUTO_MEM char *pointer = str_format("%s/%s", at, name);

    // "featureGates:" with nothing behind it has no place for an entry.
    if (json_is_null(gates) && *at) {
        struct error *err = site_doc_remove(doc, at);

        if (err)
            return err;
    }
    if (!was)
        return site_doc_add(doc, at, name, value);
    return doc_equal(was, value) ? NULL : site_doc_set(doc, pointer, value);
}

static struct error *unset_gate(const char *at, struct site_doc *doc, const char *name)
{
    const json_t *gates = doc_pointer(doc->tree, at);
    AUTO_MEM char *pointer = str_format("%s/%s", at, name);

    if (!json_object_get(gates, name))
        return NULL;
    return site_doc_remove(doc, json_object_size(gates) == 1 && *at ? at : pointer);
}

static void list_names(const json_t *map, struct strlist *names)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)map, name, value)
        strlist_add(names, name);
    strlist_sort(names);
}

static struct error *map_write(const struct site_place *place, struct site_doc *doc,
                               const struct site_change *change)
{
    AUTO_STRLIST struct strlist set = {0};
    AUTO_STRLIST struct strlist unset = {0};
    AUTO_FLAGS struct gates_flags flags = {0};
    struct error *err = map_read(place, doc, &flags);

    if (!err && json_object_size(change->set_runtime) > 0)
        err = error_new(ERROR_INVALID, "%s: no place for runtimeConfig", place->name);
    list_names(change->set_gates, &set);
    list_names(change->unset_gates, &unset);
    // First what is added: a map that only we fill does not vanish and come back in another place.
    for (size_t i = 0; !err && i < set.len; i++)
        err = set_gate(at_of(place), doc, set.items[i],
                       json_object_get(change->set_gates, set.items[i]));
    for (size_t i = 0; !err && i < unset.len; i++) {
        if (!json_object_get(change->set_gates, unset.items[i]))
            err = unset_gate(at_of(place), doc, unset.items[i]);
    }
    return err;
}

// --- KubeletConfiguration ------------------------------------------------------------------------

static struct error *kubelet_place(const struct site_place *place, const json_t *tree,
                                   struct site_place *ret_place)
{
    *ret_place = *place;
    ret_place->at = KUBELET_GATES;
    if (!str_eq(doc_str(tree, "kind", NULL), "KubeletConfiguration"))
        return error_new(ERROR_INVALID, "%s: not a KubeletConfiguration", place->name);
    return NULL;
}

static struct error *kubelet_read(const struct site_place *place, const struct site_doc *doc,
                                  struct gates_flags *ret_flags)
{
    struct site_place gates;
    struct error *err = kubelet_place(place, doc->tree, &gates);

    return err ? err : map_read(&gates, doc, ret_flags);
}

static struct error *kubelet_write(const struct site_place *place, struct site_doc *doc,
                                   const struct site_change *change)
{
    struct site_place gates;
    struct error *err = kubelet_place(place, doc->tree, &gates);

    return err ? err : map_write(&gates, doc, change);
}

// --- a KubeletConfiguration, or a patch of one, as a text in a tree ------------------------------

static struct error *text_place(const struct site_place *place, const json_t *tree,
                                struct site_place *ret_place, struct site_content *ret_content)
{
    const char *text = json_string_value(doc_pointer(tree, at_of(place)));
    AUTO_MEM char *what = site_dotted(at_of(place));

    if (!text)
        return error_new(ERROR_INVALID, "%s: %s is no text", place->name, what);
    *ret_place =
        (struct site_place){&site_gate_map, place->component, place->name, .at = KUBELET_GATES};
    *ret_content = (struct site_content){.text = slice_of(text)};
    return NULL;
}

static struct error *text_read(const struct site_place *place, const struct site_doc *doc,
                               struct gates_flags *ret_flags)
{
    struct site_place gates;
    struct site_content content;
    struct error *err = text_place(place, doc->tree, &gates, &content);

    return err ? err : site_read_text(&gates, content.text, ret_flags);
}

static struct error *text_write(const struct site_place *place, struct site_doc *doc,
                                const struct site_change *change)
{
    AUTO_SITE_DOC struct site_doc inner = {0};
    AUTO_JSON json_t *value = NULL;
    AUTO_MEM char *text = NULL;
    struct site_place gates;
    struct site_content content;
    json_t *tree = NULL;
    struct error *err = text_place(place, doc->tree, &gates, &content);

    if (!err)
        err = site_doc_open(&inner, &gates, &content);
    if (!err)
        err = map_write(&gates, &inner, change);
    if (err)
        return err;
    site_doc_close(&inner, &text, &tree);
    value = doc_string(text);
    return site_doc_set(doc, at_of(place), value);
}

const struct site_codec site_kubelet_text = {.read = text_read, .write = text_write};
const struct site_codec site_gate_map = {.read = map_read, .write = map_write};
const struct site_codec site_kubelet_configuration = {.read = kubelet_read, .write = kubelet_write};
