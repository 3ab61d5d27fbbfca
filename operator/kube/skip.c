// SPDX-License-Identifier: Apache-2.0
// An object of a list or a watch that cannot be read hides none of the others: it is left out, and
// named here. Its name is cut out of its text, since there is no tree of it.
#include "kube_internal.h"

#include <string.h>

#define NAME_BYTES_MAX 253
#define NAMED_MAX 1000 // of one kind; further ones are counted alone

char *kube_metadata_text(struct slice text, size_t depth, const char *name)
{
    AUTO_MEM char *field = str_format("\"%s\":", name);
    size_t at = kube_metadata_field(text, depth, field) + strlen(field);
    struct slice rest = slice_sub(text, at, text.len), value = {NULL, 0};
    if (!slice_starts(rest, "\""))
        return str_dup("");
    rest = slice_sub(rest, 1, rest.len);
    slice_cut(&rest, '"', &value);
    return text_make(value, NAME_BYTES_MAX);
}

char *kube_text_key(struct slice text, size_t depth)
{
    AUTO_MEM char *namespace = kube_metadata_text(text, depth, "namespace");
    AUTO_MEM char *name = kube_metadata_text(text, depth, "name");
    return namespace[0] && name[0] ? str_format("%s/%s", namespace, name) : str_dup(name);
}

// The entry of that name, made where it is not there.
static json_t *entry_of(json_t *map, const char *name)
{
    AUTO_JSON json_t *valid = doc_string(name);
    const char *key = json_string_value(valid);
    if (!json_object_get(map, key))
        json_object_set_new(map, key, json_object());
    return json_object_get(map, key);
}

void kube_note_skipped(struct kube *kube, const char *resource, const char *key,
                       const struct error *why)
{
    if (!kube->skipped)
        kube->skipped = json_object();
    json_t *kind = entry_of(kube->skipped, resource), *named = entry_of(kind, "named");
    json_int_t total = (json_int_t)doc_int(kind, 0, "total", NULL) + 1;
    json_object_set_new(kind, "total", json_integer(total));
    bool known = str_eq(doc_str(named, key, NULL), error_text(why));
    bool full = !json_object_get(named, key) && json_object_size(named) >= NAMED_MAX;
    if (known || full)
        return;
    doc_set(named, doc_string(error_text(why)), key, NULL);
    log_line(LOG_WARN, "kube", "%s %s of %s cannot be read and is left out: %s", resource,
             key[0] ? key : "(its text does not tell its name)", kube->config->server,
             error_text(why));
}

void kube_each_skipped(const struct kube *kube, kube_skipped_fn *fn, void *owner)
{
    const char *resource;
    json_t *kind;
    json_object_foreach(kube->skipped, resource, kind) {
        fn(owner, resource, (uint64_t)doc_int(kind, 0, "total", NULL));
    }
}
