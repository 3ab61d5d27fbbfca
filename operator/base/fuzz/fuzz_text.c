// SPDX-License-Identifier: Apache-2.0
// What base does with texts of others: times, numbers, distances, errors.
#include "drawbridge/base.h"
#include "fuzz.h"

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice all = {(const char *)bytes, len}, rest = all, first = {NULL, 0};
    (void)slice_cut(&rest, '\n', &first);
    AUTO_MEM char *a = slice_dup(first), *b = slice_dup(rest);
    int64_t ms;
    if (clock_parse(a,
                    &ms)) { // what is a time is written as one, and reads back as the same second
        char text[CLOCK_TEXT_BYTES];
        int64_t again = 0;
        ASSERT(clock_parse(clock_format(ms, text), &again));
        ASSERT(again <= ms || ms < 0);
    }
    uint64_t n;
    if (slice_to_u64(slice_trim(first), &n))
        ASSERT(first.len > 0);
    if (len < 2000) {
        unsigned there = str_distance(a, b, 5), back = str_distance(b, a, 5);
        ASSERT(there == back && there <= 6);
        ASSERT(!str_eq(a, b) || there == 0);
    }
    AUTO(error) struct error *err = error_wrap(error_new(ERROR_INVALID, "%s", a), "%s", b);
    for (const char *p = error_text(err); *p; p++)
        ASSERT(*p != '\n' && *p != '\r');
}
