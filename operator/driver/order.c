// SPDX-License-Identifier: Apache-2.0
// Which of two charts of one driver is the older one. A renamed chart may count from nought again,
// and so the name is looked at before the version.
#include <string.h>

#include "driver_internal.h"

// The number at the beginning; what has none is text and greater, as in semantic versions.
static int compare_part(struct slice a, struct slice b)
{
    uint64_t x = 0, y = 0;
    bool number_a = slice_to_u64(a, &x), number_b = slice_to_u64(b, &y);
    size_t len = a.len < b.len ? a.len : b.len;
    int order;

    if (number_a && number_b)
        return x < y ? -1 : x > y;
    if (number_a != number_b)
        return number_a ? -1 : 1;
    order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int compare_parts(struct slice a, struct slice b)
{
    struct slice one, two;
    int order = 0;

    while (order == 0) {
        bool more_a = slice_cut(&a, '.', &one), more_b = slice_cut(&b, '.', &two);
        if (!more_a || !more_b)
            return more_b ? -1 : more_a;
        order = compare_part(one, two);
    }
    return order;
}

// v1.2.3-rc.1+build: what is before the release, and nothing of the build.
static void take_apart(const char *version, struct slice *ret_numbers, struct slice *ret_before)
{
    struct slice rest = slice_of(version), text = {0};

    *ret_numbers = *ret_before = (struct slice){0};
    if (!slice_cut(&rest, '+', &text))
        return;
    if (slice_starts(text, "v"))
        text = slice_sub(text, 1, text.len);
    if (slice_cut(&text, '-', ret_numbers))
        *ret_before = text;
}

int driver_compare_versions(const char *a, const char *b)
{
    struct slice numbers_a, numbers_b, before_a, before_b;
    int order;

    take_apart(a, &numbers_a, &before_a);
    take_apart(b, &numbers_b, &before_b);
    order = compare_parts(numbers_a, numbers_b);
    if (order || (before_a.len == 0 && before_b.len == 0))
        return order;
    if (before_a.len == 0 || before_b.len == 0)
        return before_a.len ? -1 : 1;
    return compare_parts(before_a, before_b);
}

// -1: no name of this driver's chart.
static int rank(const json_t *preset, const char *name)
{
    const json_t *names = json_object_get(preset, "chartNames");

    for (size_t i = 0; i < json_array_size(names); i++)
        if (str_eq(json_string_value(json_array_get(names, i)), name))
            return (int)i;
    return -1;
}

char *driver_downgrade(const json_t *preset, const json_t *installed, const char *name,
                       const char *version)
{
    const char *was_name = doc_str(installed, "chart", NULL),
               *was = doc_str(installed, "version", NULL);
    const char *lost = doc_str(preset, "noWayBack", NULL);
    int from = rank(preset, was_name), to = rank(preset, name);

    // Without a digest nothing is deployed: what failed may be left in any direction.
    if (!*lost || !*was || !*doc_str(installed, "appliedDigest", NULL))
        return NULL;
    if (!str_eq(was_name, name) && (from < 0 || to < 0))
        return NULL; // another chart: nobody knows
    if (from == to ? driver_compare_versions(version, was) >= 0 : to > from)
        return NULL;
    return str_format("%s %s is older than %s %s, which is installed, and cannot read %s; take the "
                      "driver out of the spec first, "
                      "or choose a version that is not older",
                      name, version, was_name, was, lost);
}
