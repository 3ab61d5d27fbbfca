// SPDX-License-Identifier: Apache-2.0
// Semantic versions (semver.org 2.0.0) and ranges of them.
#include <ctype.h>
#include <string.h>

#include "git_internal.h"

#define TEXT_MAX 256

struct number {
    uint64_t parts[3];
    unsigned len;     // how many of them are written: "1.2" has 2
    struct slice pre; // after "-", without build metadata
};

static bool is_identifiers(struct slice text)
{
    struct slice part;

    while (slice_cut(&text, '.', &part)) {
        if (part.len == 0)
            return false;
        for (size_t i = 0; i < part.len; i++)
            if (!isalnum((unsigned char)part.ptr[i]) && part.ptr[i] != '-')
                return false;
    }
    return true;
}

static size_t find(struct slice text, char sought)
{
    const char *at = text.len ? memchr(text.ptr, sought, text.len) : NULL;

    return at ? (size_t)(at - text.ptr) : text.len;
}

static bool is_any(struct slice part)
{
    return part.len == 1 && strchr("xX*", part.ptr[0]);
}

// "1.2.3-rc.1+build"; partial: "1", "1.2", "1.2.x", "*" too.
static bool parse_number(struct slice text, bool partial, struct number *ret_number)
{
    struct number number = {.pre = {"", 0}};
    size_t build, pre;
    struct slice core, part;

    if (text.len > 0 && text.ptr[0] == 'v')
        text = slice_sub(text, 1, text.len);
    build = find(text, '+');
    if (build < text.len && !is_identifiers(slice_sub(text, build + 1, text.len)))
        return false;
    text = slice_sub(text, 0, build);
    pre = find(text, '-');
    if (pre < text.len) {
        number.pre = slice_sub(text, pre + 1, text.len);
        if (!is_identifiers(number.pre))
            return false;
    }
    core = slice_sub(text, 0, pre);
    for (unsigned i = 0; slice_cut(&core, '.', &part); i++) {
        if (i == 3)
            return false;
        if (partial && is_any(part))
            continue; // what follows must be x as well
        if (number.len != i || part.len > 12 || !slice_to_u64(part, &number.parts[i]))
            return false;
        number.len = i + 1;
    }
    if (number.pre.len > 0 && number.len < 3)
        return false;
    *ret_number = number;
    return partial || number.len == 3;
}

static int compare_identifier(struct slice a, struct slice b)
{
    uint64_t x, y;
    bool a_is_number = slice_to_u64(a, &x), b_is_number = slice_to_u64(b, &y);
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order;

    if (a_is_number && b_is_number)
        return (x > y) - (x < y);
    if (a_is_number != b_is_number)
        return a_is_number ? -1 : 1;
    order = memcmp(a.ptr, b.ptr, shorter);
    return order ? (order > 0) - (order < 0) : (a.len > b.len) - (a.len < b.len);
}

static int compare_pre(struct slice a, struct slice b)
{
    struct slice x, y;

    if (a.len == 0 || b.len == 0)
        return (a.len == 0) - (b.len == 0); // a release comes after its pre-releases
    for (;;) {
        bool has_a = slice_cut(&a, '.', &x), has_b = slice_cut(&b, '.', &y);
        int order;

        if (!has_a || !has_b)
            return has_a - has_b;
        order = compare_identifier(x, y);
        if (order)
            return order;
    }
}

static bool same_core(const struct number *a, const struct number *b)
{
    return memcmp(a->parts, b->parts, sizeof(a->parts)) == 0;
}

static int compare(const struct number *a, const struct number *b)
{
    for (size_t i = 0; i < 3; i++)
        if (a->parts[i] != b->parts[i])
            return a->parts[i] > b->parts[i] ? 1 : -1;
    return compare_pre(a->pre, b->pre);
}

// The first number that "1.2" (at part 1) or "1.2.3" (at part 2) does not stand for any more.
static struct number next_after(const struct number *number, unsigned part)
{
    struct number next = *number;

    next.pre = (struct slice){"", 0};
    next.parts[part]++;
    for (unsigned i = part + 1; i < 3; i++)
        next.parts[i] = 0;
    return next;
}

static bool below(const struct number *version, const struct number *limit)
{
    return compare(version, limit) < 0 && !(version->pre.len && same_core(version, limit));
}

static bool in_part(const struct number *version, const struct number *from, unsigned part)
{
    struct number next = next_after(from, part);

    return compare(version, from) >= 0 && below(version, &next);
}

static unsigned caret_part(const struct number *from)
{
    unsigned part = 0;

    while (part + 1 < from->len && from->parts[part] == 0)
        part++;
    return part;
}

static bool satisfies(const struct number *version, const char *op, const struct number *with)
{
    struct number next;

    if (with->len == 0)
        return str_eq(op, "=") || str_ends(op, "=") || *op == '^' ||
               *op == '~'; // "*" is everything
    if (op[0] == '^')
        return in_part(version, with, caret_part(with));
    if (op[0] == '~')
        return in_part(version, with, with->len > 1 ? 1 : 0);
    next = next_after(with, with->len - 1);
    if (op[0] == '>' && op[1] == '=')
        return compare(version, with) >= 0;
    if (op[0] == '>')
        return with->len < 3 ? compare(version, &next) >= 0 : compare(version, with) > 0;
    if (op[0] == '<' && op[1] == '=')
        return with->len < 3 ? below(version, &next) : compare(version, with) <= 0;
    if (op[0] == '<')
        return below(version, with) || (with->pre.len && compare(version, with) < 0);
    if (op[0] == '!')
        return with->len < 3 ? !in_part(version, with, with->len - 1) : compare(version, with) != 0;
    return with->len < 3 ? in_part(version, with, with->len - 1) : compare(version, with) == 0;
}

static const char *read_op(struct slice *word)
{
    static const char *const ops[] = {">=", "<=", "!=", ">", "<", "=", "^", "~"};

    for (size_t i = 0; i < COUNT(ops); i++) {
        if (!slice_starts(*word, ops[i]))
            continue;
        *word = slice_sub(*word, strlen(ops[i]), word->len);
        return ops[i];
    }
    return "=";
}

// All comparators of one alternative; an operator may stand apart from its number (">= 1.2").
static bool each_of(struct slice alternative, const struct number *version, bool *ret_matches)
{
    struct slice word;
    const char *op = NULL;
    bool allows_pre = !version || version->pre.len == 0, any = false;

    *ret_matches = true;
    while (slice_cut(&alternative, ' ', &word)) {
        struct number with;

        if (word.len == 0)
            continue;
        if (!op)
            op = read_op(&word);
        if (word.len == 0)
            continue;
        if (!parse_number(word, true, &with))
            return false;
        any = true;
        if (version && !satisfies(version, op, &with))
            *ret_matches = false;
        allows_pre = allows_pre || (with.pre.len > 0 && same_core(&with, version));
        op = NULL;
    }
    *ret_matches = *ret_matches && allows_pre;
    return any && !op;
}

static bool matches(const char *range, const struct number *version, bool *ret_valid)
{
    AUTO_MEM char *text = str_dup(range);
    struct slice rest, part;
    bool found = false;

    *ret_valid = strlen(range) <= TEXT_MAX;
    for (char *at = text; *at; at++)
        if (*at == ',' || *at == '\t')
            *at = ' ';
    for (char *at = strstr(text, "||"); at; at = strstr(at, "||")) {
        at[0] = '\n';
        at[1] = ' ';
    }
    rest = slice_of(text);
    while (*ret_valid && slice_cut(&rest, '\n', &part)) {
        bool one = false;

        *ret_valid = each_of(part, version, &one);
        found = found || one;
    }
    return found && *ret_valid;
}

bool semver_valid(const char *tag)
{
    struct number number;

    return strlen(tag) <= TEXT_MAX && parse_number(slice_of(tag), false, &number);
}

bool semver_valid_range(const char *range)
{
    bool valid;

    (void)matches(range, NULL, &valid);
    return valid;
}

bool semver_matches(const char *tag, const char *range)
{
    struct number number;
    bool valid;

    return semver_valid(tag) && parse_number(slice_of(tag), false, &number) &&
           matches(range, &number, &valid);
}

int semver_compare(const char *a, const char *b)
{
    struct number x, y;

    // foreign: who calls has seen semver_valid() of both
    ASSERT(parse_number(slice_of(a), false, &x) && parse_number(slice_of(b), false, &y));
    return compare(&x, &y);
}
