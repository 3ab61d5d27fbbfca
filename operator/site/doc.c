// SPDX-License-Identifier: Apache-2.0
// A document that a codec works on, whichever of the three it is.
#include <string.h>

#include "site_internal.h"

void site_doc_fini(struct site_doc *doc)
{
    json_decref(doc->edited);
    doc_text_free(doc->text);
    mem_free(doc->bytes);
    *doc = (struct site_doc){0};
}

char *site_dotted(const char *pointer)
{
    char *text = str_dup(*pointer == '/' ? pointer + 1 : pointer);

    for (char *at = text; *at; at++)
        *at = *at == '/' ? '.' : *at;
    return text;
}

// --- trees ---------------------------------------------------------------------------------------

static struct error *lead_nowhere(const char *pointer)
{
    return error_new(ERROR_INVALID, "%s leads nowhere", pointer);
}

static json_t *of_ours(struct site_doc *doc, const char *pointer)
{
    return (json_t *)(uintptr_t)doc_pointer(doc->edited, pointer);
}

// What holds the entry at pointer, and the entry's key.
static json_t *holder_of(struct site_doc *doc, const char *pointer, char **ret_key)
{
    const char *slash = strrchr(pointer, '/');
    AUTO_MEM char *above = slash ? str_ndup(pointer, (size_t)(slash - pointer)) : str_dup("");

    *ret_key = str_dup(slash ? slash + 1 : "");
    return of_ours(doc, above);
}

// The node at pointer; made, as take_leaf with the maps above it, where it is not there.
static json_t *make_node(struct site_doc *doc, const char *pointer, json_t *take_leaf)
{
    AUTO_JSON json_t *leaf = take_leaf;
    AUTO_MEM char *key = NULL;
    json_t *there = of_ours(doc, pointer), *holder;

    if (there && !json_is_null(there))
        return there;
    if (!*pointer)
        return NULL;
    holder = holder_of(doc, pointer, &key);
    if (!holder || json_is_null(holder)) {
        AUTO_MEM char *above = str_ndup(pointer, (size_t)(strrchr(pointer, '/') - pointer));

        holder = make_node(doc, above, json_object());
    }
    return json_object_set(holder, key, leaf) == 0 ? leaf : NULL;
}

static bool is_index(const char *key, size_t len, size_t *ret_index)
{
    uint64_t index;

    if (!slice_to_u64(slice_of(key), &index) || index >= len)
        return false;
    *ret_index = (size_t)index;
    return true;
}

// --- edits ---------------------------------------------------------------------------------------

static struct error *follow(struct site_doc *doc, struct error *err)
{
    doc->tree = doc->text ? doc_text_tree(doc->text) : doc->edited;
    return err;
}

struct error *site_doc_set(struct site_doc *doc, const char *pointer, const json_t *value)
{
    AUTO_MEM char *key = NULL;
    AUTO_JSON json_t *copy = NULL;
    json_t *holder;
    size_t index;

    if (doc->text)
        return follow(doc, doc_text_set_scalar(doc->text, pointer, value));
    holder = holder_of(doc, pointer, &key);
    copy = doc_copy(value);
    if (is_index(key, json_array_size(holder), &index))
        return json_array_set(holder, index, copy) == 0 ? NULL : lead_nowhere(pointer);
    return json_object_set(holder, key, copy) == 0 ? NULL : lead_nowhere(pointer);
}

struct error *site_doc_add(struct site_doc *doc, const char *pointer, const char *key,
                           const json_t *value)
{
    json_t *map;

    if (doc->text)
        return follow(doc, doc_text_add_key(doc->text, pointer, key, value));
    map = make_node(doc, pointer, json_object());
    return json_object_set_new(map, key, doc_copy(value)) == 0 ? NULL : lead_nowhere(pointer);
}

struct error *site_doc_insert(struct site_doc *doc, const char *pointer, size_t index,
                              const json_t *value)
{
    json_t *list;

    if (doc->text)
        return follow(doc, doc_text_insert(doc->text, pointer, index, value));
    list = make_node(doc, pointer, json_array());
    return json_array_insert_new(list, index, doc_copy(value)) == 0 ? NULL : lead_nowhere(pointer);
}

struct error *site_doc_remove(struct site_doc *doc, const char *pointer)
{
    AUTO_MEM char *key = NULL;
    json_t *holder;
    size_t index;

    if (doc->text)
        return follow(doc, doc_text_remove(doc->text, pointer));
    holder = holder_of(doc, pointer, &key);
    if (is_index(key, json_array_size(holder), &index))
        return json_array_remove(holder, index) == 0 ? NULL : lead_nowhere(pointer);
    return json_object_del(holder, key) == 0 ? NULL : lead_nowhere(pointer);
}

// --- the door ------------------------------------------------------------------------------------

struct error *site_read_tree(const struct site_place *place, const json_t *tree,
                             struct gates_flags *ret_flags)
{
    struct site_doc doc = {.tree = tree};

    return place->codec->read(place, &doc, ret_flags);
}

struct error *site_read_text(const struct site_place *place, struct slice text,
                             struct gates_flags *ret_flags)
{
    AUTO_JSON json_t *tree = NULL;
    struct error *err;

    if (place->codec->plain) {
        AUTO_SITE_DOC struct site_doc doc = {.bytes = slice_dup(text), .len = text.len};

        return place->codec->read(place, &doc, ret_flags);
    }
    err = doc_parse_yaml(text, place->name, &tree);
    return err ? err : site_read_tree(place, tree, ret_flags);
}

struct error *site_doc_open(struct site_doc *doc, const struct site_place *place,
                            const struct site_content *content)
{
    struct slice text = content->text;

    if (content->tree)
        doc->edited = doc_copy(content->tree);
    else if (place->codec->plain)
        *doc = (struct site_doc){.bytes = slice_dup(text), .len = text.len};
    else
        return follow(doc, doc_text_new(text, place->name, &doc->text));
    return follow(doc, NULL);
}

void site_doc_close(struct site_doc *doc, char **ret_text, json_t **ret_tree)
{
    *ret_tree = TAKE(doc->edited);
    *ret_text = doc->text ? slice_dup(doc_text_bytes(doc->text)) : TAKE(doc->bytes);
}

static struct error *write_content(const struct site_place *place,
                                   const struct site_content *content,
                                   const struct site_change *change, char **ret_text,
                                   json_t **ret_tree)
{
    AUTO_SITE_DOC struct site_doc doc = {0};
    struct error *err = site_doc_open(&doc, place, content);

    if (!err)
        err = place->codec->write(place, &doc, change);
    if (!err)
        site_doc_close(&doc, ret_text, ret_tree);
    return err;
}

struct error *site_write_tree(const struct site_place *place, const json_t *tree,
                              const struct site_change *change, json_t **ret_tree)
{
    struct site_content content = {.tree = tree};
    char *none;

    return write_content(place, &content, change, &none, ret_tree);
}

struct error *site_write_text(const struct site_place *place, struct slice text,
                              const struct site_change *change, char **ret_text)
{
    struct site_content content = {.text = text};
    json_t *none;

    return write_content(place, &content, change, ret_text, &none);
}

struct error *site_find(const struct site_place *place, const json_t *tree,
                        struct site_container *ret_container)
{
    return place->codec->find(place, tree, ret_container);
}
