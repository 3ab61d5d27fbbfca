// SPDX-License-Identifier: Apache-2.0
// Durations as Go writes them: they stand in our objects and in Kubernetes' own.
#include <string.h>

#include "api_internal.h"

#define NS_PER_S 1000000000ULL

static const struct unit {
    const char *name;
    uint64_t ns;
} units[] = {
    {"ns", 1},       {"us", 1000},         {"\xc2\xb5s", 1000},   {"\xce\xbcs", 1000},
    {"ms", 1000000}, {"s", 1000000000ULL}, {"m", 60000000000ULL}, {"h", 3600000000000ULL},
};

static const struct unit *read_unit(const char **text)
{
    const struct unit *found = NULL;

    for (size_t i = 0; i < COUNT(units); i++)
        if (str_starts(*text, units[i].name) &&
            (!found || strlen(units[i].name) > strlen(found->name)))
            found = &units[i];
    if (found)
        *text += strlen(found->name);
    return found;
}

// The part before the unit: digits, a dot, digits. fraction is in 10^-9, what is finer is dropped.
static bool read_number(const char **text, uint64_t *ret_whole, uint64_t *ret_fraction)
{
    const char *at = *text;
    uint64_t whole = 0, fraction = 0, place = 100000000;
    bool any = false;

    for (; *at >= '0' && *at <= '9'; at++, any = true)
        if (__builtin_mul_overflow(whole, (uint64_t)10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*at - '0'), &whole))
            return false;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++, place /= 10, any = true)
            fraction += (uint64_t)(*at - '0') * place;
    *text = at;
    *ret_whole = whole;
    *ret_fraction = fraction;
    return any;
}

static bool read_part(const char **text, uint64_t *total_ns)
{
    uint64_t whole, fraction, ns;
    const struct unit *unit;

    if (!read_number(text, &whole, &fraction))
        return false;
    unit = read_unit(text);
    if (!unit || __builtin_mul_overflow(whole, unit->ns, &ns))
        return false;
    // Units from a second on are whole multiples of 10^9: neither product overflows.
    fraction =
        unit->ns >= NS_PER_S ? fraction * (unit->ns / NS_PER_S) : fraction * unit->ns / NS_PER_S;
    return !__builtin_add_overflow(ns, fraction, &ns) &&
           !__builtin_add_overflow(*total_ns, ns, total_ns) && *total_ns <= INT64_MAX;
}

struct error *api_duration_parse(const char *text, uint64_t *ret_ms)
{
    const char *at = text ? text : "";
    uint64_t total_ns = 0;

    if (str_eq(at, "0")) {
        *ret_ms = 0;
        return NULL;
    }
    if (!*at)
        return error_new(ERROR_INVALID,
                         "an empty text is no duration: write for example 30s or 5m");
    while (*at)
        if (!read_part(&at, &total_ns))
            return error_new(ERROR_INVALID,
                             "\"%.*s\" is no duration: write for example 30s or 1h30m",
                             TEXT_CUT(40, text));
    *ret_ms = total_ns / 1000000;
    return NULL;
}
