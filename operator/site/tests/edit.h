// SPDX-License-Identifier: Apache-2.0
// One document edited without a record: some entries set, others taken out whoever's they are. For
// tests and fuzzers.
#pragma once

#include "drawbridge/site.h"

struct change {
    const json_t *set_gates, *unset_gates, *set_runtime, *unset_runtime; // unset: names, or a map
};

static inline json_t *edit_named(const json_t *names, const json_t *stands)
{
    json_t *named = json_object(), *value;
    const char *name;
    size_t i;

    json_object_foreach((json_t *)(uintptr_t)names, name, value)
        json_object_set(named, name, json_object_get(stands, name));
    json_array_foreach(names, i, value)
        json_object_set(named, json_string_value(value),
                        json_object_get(stands, json_string_value(value)));
    return named;
}

static inline struct error *edit_content(const struct site_place *place, struct site_content now,
                                         const struct change *change, struct site_edit *ret_edit)
{
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO_JSON json_t *owned = NULL;
    AUTO_JSON json_t *want = json_pack("{s:O?, s:O?}", site_kinds[0], change->set_gates,
                                       site_kinds[1], change->set_runtime);
    AUTO_SITE_PART struct site_part part = {.place = *place, .want = want};
    struct site_document document = {.now = now};
    struct error *err = now.tree ? site_read_tree(place, now.tree, &flags)
                                 : site_read_text(place, now.text, &flags);

    if (err)
        return err;
    part.owned = owned =
        json_pack("{s:o, s:o}", site_kinds[0], edit_named(change->unset_gates, flags.feature_gates),
                  site_kinds[1], edit_named(change->unset_runtime, flags.runtime_config));
    return site_edit(&document, &part, 1, ret_edit);
}

static inline struct error *edit_text(const struct site_place *place, struct slice text,
                                      const struct change *change, char **ret_text)
{
    AUTO_SITE_EDIT struct site_edit edit = {0};
    struct error *err = edit_content(place, (struct site_content){.text = text}, change, &edit);

    if (!err)
        *ret_text = TAKE(edit.text);
    return err;
}

static inline struct error *edit_tree(const struct site_place *place, const json_t *tree,
                                      const struct change *change, json_t **ret_tree)
{
    AUTO_SITE_EDIT struct site_edit edit = {0};
    struct error *err = edit_content(place, (struct site_content){.tree = tree}, change, &edit);

    if (!err)
        *ret_tree = TAKE(edit.tree);
    return err;
}

// A kwok.yaml as its agent does it: the component's part, the rest as it was.
static inline struct error *edit_kwok(struct slice text, enum component component,
                                      const struct change *change, char **ret_text)
{
    struct site_place place = {&site_kwok, component, "kwok.yaml", .at = NULL};
    AUTO_MEM char *part = NULL;
    size_t from = 0, to = 0;
    struct error *err = site_kwok_part(text, place.name, component, &from, &to);

    if (!err)
        err = edit_text(&place, slice_sub(text, from, to), change, &part);
    if (!err)
        *ret_text = str_format("%.*s%s%.*s", (int)from, text.ptr, part, (int)(text.len - to),
                               text.ptr + to);
    return err;
}
