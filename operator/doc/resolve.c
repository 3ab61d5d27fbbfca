// SPDX-License-Identifier: Apache-2.0
// What a plain scalar means. Kubernetes' reader follows YAML 1.1 with Go's integers (0x, 0o, 0b, a
// leading 0 is octal, _ between digits), reads yes/no/on/off as booleans, and leaves dates and base
// 60 alone; a manifest means here what it means there.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "doc_internal.h"

#define NUMBER_BYTES 512 // a longer one is a text

static const char *const trues[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                    "True", "TRUE", "on",  "On",  "ON"};
static const char *const falses[] = {"n",     "N",     "no",  "No",  "NO", "false",
                                     "False", "FALSE", "off", "Off", "OFF"};
static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
static const char *const not_json[] = {".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",  ".INF",
                                       "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"};

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : UINT32_MAX;
}

// The base that a prefix names; *digits moves behind it. A lone 0 is decimal.
static unsigned base_of(const char **digits)
{
    const char *d = *digits;
    if (d[0] != '0' || d[1] == '\0') {
        return 10;
    }
    char mark = (char)(d[1] | 0x20);
    *digits = mark == 'x' || mark == 'o' || mark == 'b' ? d + 2 : d + 1;
    return mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
}

// An integer, or a number that is too large for one; NULL: neither.
static json_t *resolve_int(const char *text)
{
    bool negative = text[0] == '-';
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    unsigned base = base_of(&digits);
    if (digits[0] == '\0') {
        return NULL;
    }
    uint64_t n = 0;
    for (; *digits != '\0'; digits++) {
        unsigned digit = digit_of(*digits);
        if (digit >= base || __builtin_mul_overflow(n, base, &n) ||
            __builtin_add_overflow(n, digit, &n)) {
            return NULL;
        }
    }
    if (n <= (uint64_t)INT64_MAX) {
        return json_integer(negative ? -(int64_t)n : (int64_t)n);
    }
    if (negative) {
        return n == (uint64_t)INT64_MAX + 1 ? json_integer(INT64_MIN) : NULL;
    }
    return text[0] == '+' ? NULL : json_real((double)n);
}

static const char *skip_digits(const char *s)
{
    while (*s >= '0' && *s <= '9') {
        s++;
    }
    return s;
}

// [-+]? ( .digits | digits [. digits?] ) [ e [-+]? digits ]
static bool looks_like_float(const char *s)
{
    s += *s == '-' || *s == '+';
    const char *end = skip_digits(s);
    if (end == s) {
        if (*s != '.' || skip_digits(s + 1) == s + 1) {
            return false;
        }
        end = skip_digits(s + 1);
    } else if (*end == '.') {
        end = skip_digits(end + 1);
    }
    if (*end == 'e' || *end == 'E') {
        const char *exponent = end + 1;
        exponent += *exponent == '-' || *exponent == '+';
        end = skip_digits(exponent);
        if (end == exponent) {
            return false;
        }
    }
    return *end == '\0';
}

static json_t *resolve_number(const char *text, size_t len)
{
    char digits[NUMBER_BYTES];
    if (len >= sizeof(digits) || memchr("+-.0123456789", text[0], 13) == NULL) {
        return NULL;
    }
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '_') {
            digits[kept++] = text[i];
        }
    }
    digits[kept] = '\0';
    json_t *integer = resolve_int(digits);
    if (integer != NULL || !looks_like_float(digits)) {
        return integer;
    }
    double real = strtod(digits, NULL);
    return isfinite(real) ? json_real(real) : NULL;
}

json_t *doc_resolve(const char *text, size_t len)
{
    if (is_one_of(text, trues, COUNT(trues))) {
        return json_true();
    }
    if (is_one_of(text, falses, COUNT(falses))) {
        return json_false();
    }
    if (is_one_of(text, nulls, COUNT(nulls))) {
        return json_null();
    }
    if (is_one_of(text, not_json, COUNT(not_json))) {
        return NULL;
    }
    json_t *number = resolve_number(text, len);
    // foreign: NULL, for what is no UTF-8, is an error of who asked
    return number != NULL ? number : json_stringn(text, len);
}
