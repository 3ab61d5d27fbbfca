// SPDX-License-Identifier: Apache-2.0
// A kwok.yaml with one component's flags changed, as its agent does it: part, edit, the rest as it
// was. For tests and fuzzers.
#pragma once

#include "drawbridge/site.h"

static inline struct error *edit_kwok(struct slice text, enum component component,
                                      const struct site_change *change, char **ret_text)
{
    struct site_place place = {&site_kwok, component, "kwok.yaml", .at = NULL};
    AUTO_MEM char *part = NULL;
    size_t from = 0, to = 0;
    struct error *err = site_kwok_part(text, place.name, component, &from, &to);

    if (!err)
        err = site_write_text(&place, slice_sub(text, from, to), change, &part);
    if (!err)
        *ret_text = str_format("%.*s%s%.*s", (int)from, text.ptr, part, (int)(text.len - to),
                               text.ptr + to);
    return err;
}
