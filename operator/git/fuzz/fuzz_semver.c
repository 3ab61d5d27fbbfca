// SPDX-License-Identifier: Apache-2.0
// Tags and ranges come from outside: the first line is a tag, the rest a range.
#include "drawbridge/git.h"
#include "fuzz.h"

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice rest = {(const char *)bytes, len}, tag_bytes;
    AUTO_MEM char *tag = slice_cut(&rest, '\n', &tag_bytes) ? slice_dup(tag_bytes) : str_dup("");
    AUTO_MEM char *range = slice_dup(rest);

    if (semver_matches(tag, range))
        ASSERT(semver_valid(tag) && semver_valid_range(range));
    if (semver_valid(tag))
        ASSERT(semver_compare(tag, tag) == 0);
}
