// SPDX-License-Identifier: Apache-2.0
// What the parser takes anyway means the same afterwards; nothing makes the softening stumble.
#include "kube_internal.h"

#include "fuzz.h"

#include <string.h>

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice text = {(const char *)bytes, len};
    AUTO_MEM char *softened = kube_soften(text);
    AUTO_JSON json_t *was = NULL, *now = NULL;
    AUTO(error) struct error *refused = doc_parse_json(text, "text", &was);
    AUTO(error) struct error *still = doc_parse_json(slice_of(softened), "softened", &now);
    if (refused || memchr(text.ptr, 0, text.len)) // a raw NUL ends the softened text
        return;
    // Two things that the parser takes are changed all the same: the four deepest levels it allows,
    // and numbers of nineteen digits.
    ASSERT(!still);
    AUTO_MEM char *again = kube_soften(slice_of(softened));
    ASSERT(str_eq(again, softened));
}
