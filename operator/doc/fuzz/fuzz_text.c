// SPDX-License-Identifier: Apache-2.0
// Any YAML under every edit at every place: an edit is made as asked or refused as INVALID, never
// half. What is put in leaves every old byte, in order, and taking it out again gives the old text.

#include <string.h>

#include "drawbridge/doc.h"
#include "fuzz.h"

#define PLACES_MAX 60
#define STRIDE 4 // one place in so many, another set for each length: damaged copies reach them all
#define BYTES_MAX 3000

static struct doc_text *open_text(struct slice text)
{
    struct doc_text *doc = NULL;
    struct error *err = doc_text_new(text, "f", &doc);
    ASSERT(err == NULL);
    return doc;
}

// True: the edit was made.
static bool made(struct error *take_err)
{
    AUTO(error) struct error *err = take_err;
    if (err == NULL) {
        return true;
    }
    if (error_kind(err) == ERROR_INTERNAL) {
        log_line(LOG_ERROR, "fuzz", "%s", error_text(err));
    }
    // An empty document has no root to set.
    ASSERT(error_kind(err) == ERROR_INVALID || error_kind(err) == ERROR_CONFLICT ||
           error_kind(err) == ERROR_NOT_FOUND);
    return false;
}

static void check_kept(struct slice old, struct slice now)
{
    size_t head = 0, tail = 0;
    while (head < old.len && head < now.len && old.ptr[head] == now.ptr[head]) {
        head++;
    }
    while (tail < old.len && tail < now.len &&
           old.ptr[old.len - 1 - tail] == now.ptr[now.len - 1 - tail]) {
        tail++;
    }
    ASSERT(head + tail >= old.len);
}

static void check_undone(struct doc_text *doc, const char *pointer, struct slice old)
{
    check_kept(old, doc_text_bytes(doc));
    struct error *err = doc_text_remove(doc, pointer);
    if (!made(err)) {
        return;
    }
    struct slice now = doc_text_bytes(doc);
    ASSERT(now.len == old.len && memcmp(now.ptr, old.ptr, old.len) == 0);
}

static void try_insert(struct slice text, const char *pointer, size_t index, const json_t *value)
{
    AUTO(doc_text) struct doc_text *doc = open_text(text);
    if (made(doc_text_insert(doc, pointer, index, value))) {
        AUTO_MEM char *item = str_format("%s/%zu", pointer, index);
        check_undone(doc, item, text);
    }
}

static void try_add(struct slice text, const char *pointer, const json_t *value)
{
    AUTO(doc_text) struct doc_text *doc = open_text(text);
    if (made(doc_text_add_key(doc, pointer, "zz-new", value))) {
        AUTO_MEM char *item = str_format("%s/zz-new", pointer);
        check_undone(doc, item, text);
    }
}

static void try_set(struct slice text, const char *pointer)
{
    static const char *const texts[] = {"--a=b", "yes", "x: y", "l\nm\n", ""};
    AUTO(doc_text) struct doc_text *doc = open_text(text);
    for (size_t i = 0; i < COUNT(texts); i++) {
        AUTO_JSON json_t *value = json_string(texts[i]);
        made(doc_text_set_scalar(doc, pointer, value));
    }
    made(doc_text_set_scalar(doc, pointer, json_true()));
}

static void try_remove(struct slice text, const char *pointer)
{
    AUTO(doc_text) struct doc_text *doc = open_text(text);
    made(doc_text_remove(doc, pointer));
}

static void escape(struct buf *b, const char *key)
{
    for (; *key != '\0'; key++) {
        if (*key == '~' || *key == '/') {
            buf_add_str(b, *key == '~' ? "~0" : "~1");
        } else {
            buf_add(b, key, 1);
        }
    }
}

// Every edit that this place can take.
static void try_all(struct slice text, const json_t *tree, const char *pointer)
{
    if (pointer[0] != '\0') {
        try_remove(text, pointer);
    }
    AUTO_JSON json_t *flag = json_string("--feature-gates=A=true");
    AUTO_JSON json_t *nested = json_pack("{s:s, s:{s:[i,b]}}", "name", "x", "value", "l", 1, 1);
    if (json_is_array(tree)) {
        size_t len = json_array_size(tree);
        try_insert(text, pointer, 0, flag);
        try_insert(text, pointer, len, flag);
        try_insert(text, pointer, len / 2, nested);
    } else if (json_is_object(tree)) {
        try_add(text, pointer, json_true());
        try_add(text, pointer, flag);
        try_add(text, pointer, nested);
    } else {
        try_set(text, pointer);
    }
}

static void visit(struct slice text, const json_t *tree, const char *pointer, size_t *places)
{
    if (++*places > PLACES_MAX) {
        return;
    }
    if ((*places + text.len) % STRIDE == 0) {
        try_all(text, tree, pointer);
    }
    for (size_t i = 0; i < json_array_size(tree); i++) {
        AUTO_MEM char *item = str_format("%s/%zu", pointer, i);
        visit(text, json_array_get(tree, i), item, places);
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)tree, key, value) {
        AUTO_BUF struct buf b = buf_make(1 << 20);
        buf_printf(&b, "%s/", pointer);
        escape(&b, key);
        visit(text, value, b.ptr, places);
    }
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice text = {.ptr = (const char *)bytes, .len = len};
    AUTO(doc_text) struct doc_text *doc = NULL;
    if (len > BYTES_MAX) {
        return;
    }
    AUTO(error) struct error *err = doc_text_new(text, "f", &doc);
    if (err != NULL) {
        return;
    }
    size_t places = 0;
    visit(text, doc_text_tree(doc), "", &places);
}
