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

// What holds the entry at pointer, and the entry's key. Maps that are not there are made.
static json_t *holder_of(json_t *tree, const char *pointer, const char **ret_key)
{
    const char *slash = strrchr(pointer, '/'), *key;
    AUTO_MEM char *above = str_ndup(pointer, (size_t)(slash - pointer));
    json_t *holder = (json_t *)(uintptr_t)doc_pointer(tree, above), *upper;

    *ret_key = slash + 1;
    if ((holder && !json_is_null(holder)) || !*above)
        return holder;
    holder = json_object();
    upper = holder_of(tree, above, &key);
    return json_object_set_new(upper, key, holder) == 0 ? holder : NULL;
}

// value NULL: the entry goes.
static struct error *put(struct site_doc *doc, const char *pointer, const json_t *value)
{
    const char *key;
    json_t *holder = holder_of(doc->edited, pointer, &key);
    AUTO_JSON json_t *copy = value ? doc_copy(value) : NULL;
    uint64_t index;
    int failed = -1;

    if (json_is_object(holder))
        failed = value ? json_object_set(holder, key, copy) : json_object_del(holder, key);
    else if (slice_to_u64(slice_of(key), &index))
        failed = value ? json_array_set(holder, index, copy) : json_array_remove(holder, index);
    return failed ? lead_nowhere(pointer) : NULL;
}

// --- edits ---------------------------------------------------------------------------------------

static struct error *follow(struct site_doc *doc, struct error *err)
{
    doc->tree = doc->text ? doc_text_tree(doc->text) : doc->edited;
    return err;
}

struct error *site_doc_set(struct site_doc *doc, const char *pointer, const json_t *value)
{
    if (doc->text)
        return follow(doc, doc_text_set_scalar(doc->text, pointer, value));
    return put(doc, pointer, value);
}

struct error *site_doc_add(struct site_doc *doc, const char *pointer, const char *key,
                           const json_t *value)
{
    AUTO_MEM char *at = str_format("%s/%s", pointer, key);

    if (doc->text)
        return follow(doc, doc_text_add_key(doc->text, pointer, key, value));
    return put(doc, at, value);
}

struct error *site_doc_insert(struct site_doc *doc, const char *pointer, size_t index,
                              const json_t *value)
{
    AUTO_JSON json_t *made = json_array();
    const json_t *there = doc_pointer(doc->tree, pointer);
    json_t *list;
    struct error *err = NULL;

    if (doc->text)
        return follow(doc, doc_text_insert(doc->text, pointer, index, value));
    if (!there || json_is_null(there))
        err = put(doc, pointer, made);
    list = (json_t *)(uintptr_t)doc_pointer(doc->edited, pointer);
    if (!err && json_array_insert_new(list, index, doc_copy(value)) != 0)
        err = lead_nowhere(pointer);
    return err;
}

struct error *site_doc_remove(struct site_doc *doc, const char *pointer)
{
    if (doc->text)
        return follow(doc, doc_text_remove(doc->text, pointer));
    return put(doc, pointer, NULL);
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

struct error *site_find(const struct site_place *place, const json_t *tree,
                        struct site_container *ret_container)
{
    return place->codec->find(place, tree, ret_container);
}
