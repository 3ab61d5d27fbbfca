// SPDX-License-Identifier: Apache-2.0
// Two texts of a DRAConfiguration, a line each: where a look at them says that nothing changed, the
// trees say so too.
#include "controller_internal.h"

#include "fuzz.h"

#include <string.h>

static uint64_t facet_of_text(struct slice text)
{
    AUTO_JSON json_t *tree = NULL;
    AUTO(error) struct error *err = doc_parse_json(text, "f", &tree);

    ASSERT(!err);
    return facet_of_config(tree);
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice rest = {(const char *)bytes, len < 65536 ? len : 65536}, first;
    struct kube_glance was, now;

    if (!slice_cut(&rest, '\n', &first) || !rest.ptr)
        return;
    if (kube_glance(first, &was) && kube_glance(rest, &now) && facet_is_same(&was, &now))
        ASSERT(facet_of_text(first) == facet_of_text(rest));
}
