// SPDX-License-Identifier: Apache-2.0
// Walking and changing trees: the reading half never fails, so that a caller asks for what may not
// be there in one line.

#include <string.h>

#include "doc_internal.h"

#define INDEX_DIGITS_MAX 10

// An index of an array as RFC 6901 writes it: digits, no leading zero.
bool doc_step_index(const char *step, size_t *ret_index)
{
    uint64_t n = 0;
    size_t len = strlen(step);
    if (len == 0 || len > INDEX_DIGITS_MAX || (step[0] == '0' && len > 1)) {
        return false;
    }
    if (!slice_to_u64(slice_of(step), &n)) {
        return false;
    }
    *ret_index = (size_t)n;
    return true;
}

static json_t *step_into(const json_t *tree, const char *step)
{
    if (json_is_object(tree)) {
        return json_object_get(tree, step);
    }
    size_t index = 0;
    if (json_is_array(tree) && doc_step_index(step, &index)) {
        return json_array_get(tree, index);
    }
    return NULL;
}

static const json_t *walk(const json_t *tree, va_list steps)
{
    const char *step;
    while (tree != NULL && (step = va_arg(steps, const char *)) != NULL) {
        tree = step_into(tree, step);
    }
    return tree;
}

const json_t *doc_get(const json_t *tree, ...)
{
    va_list steps;
    va_start(steps, tree);
    const json_t *found = walk(tree, steps);
    va_end(steps);
    return found;
}

// ~1 is / and ~0 is ~; false: a ~ of another kind.
static bool unescape(char *step)
{
    char *to = step;
    for (const char *from = step; *from != '\0'; from++) {
        if (*from != '~') {
            *to++ = *from;
            continue;
        }
        from++;
        if (*from != '0' && *from != '1') {
            return false;
        }
        *to++ = *from == '0' ? '~' : '/';
    }
    *to = '\0';
    return true;
}

bool doc_pointer_split(const char *pointer, struct strlist *steps)
{
    if (pointer[0] == '\0') {
        return true;
    }
    if (pointer[0] != '/') {
        return false;
    }
    struct slice rest = slice_of(pointer + 1), part;
    while (slice_cut(&rest, '/', &part)) {
        char *step = slice_dup(part);
        strlist_take(steps, step);
        if (!unescape(step)) {
            return false;
        }
    }
    return true;
}

const json_t *doc_pointer(const json_t *tree, const char *pointer)
{
    AUTO_STRLIST struct strlist steps = {0};
    if (!doc_pointer_split(pointer, &steps)) {
        return NULL;
    }
    for (size_t i = 0; i < steps.len && tree != NULL; i++) {
        tree = step_into(tree, steps.items[i]);
    }
    return tree;
}

const char *doc_str(const json_t *tree, ...)
{
    va_list steps;
    va_start(steps, tree);
    const char *text = json_string_value(walk(tree, steps));
    va_end(steps);
    return text != NULL ? text : "";
}

int64_t doc_int(const json_t *tree, int64_t absent, ...)
{
    va_list steps;
    va_start(steps, absent);
    const json_t *found = walk(tree, steps);
    va_end(steps);
    if (json_is_integer(found)) {
        return json_integer_value(found);
    }
    double real = json_real_value(found);
    // 1.0 is 1; 2^63 itself does not fit.
    if (json_is_real(found) && real >= -0x1p63 && real < 0x1p63 && real == (double)(int64_t)real) {
        return (int64_t)real;
    }
    return absent;
}

bool doc_bool(const json_t *tree, int absent, ...)
{
    va_list steps;
    va_start(steps, absent);
    const json_t *found = walk(tree, steps);
    va_end(steps);
    return json_is_boolean(found) ? json_is_true(found) : absent != 0;
}

static bool equal_objects(const json_t *a, const json_t *b)
{
    if (json_object_size(a) != json_object_size(b)) {
        return false;
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, key, value) {
        const json_t *other = json_object_get(b, key);
        if (other == NULL || !doc_equal(value, other)) {
            return false;
        }
    }
    return true;
}

static bool equal_arrays(const json_t *a, const json_t *b)
{
    if (json_array_size(a) != json_array_size(b)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!doc_equal(json_array_get(a, i), json_array_get(b, i))) {
            return false;
        }
    }
    return true;
}

bool doc_equal(const json_t *a, const json_t *b)
{
    if (a == b || a == NULL || b == NULL) {
        return a == b;
    }
    if (json_is_object(a) && json_is_object(b)) {
        return equal_objects(a, b);
    }
    if (json_is_array(a) && json_is_array(b)) {
        return equal_arrays(a, b);
    }
    if (json_is_number(a) && json_is_number(b) && json_typeof(a) != json_typeof(b)) {
        return json_number_value(a) == json_number_value(b);
    }
    return json_equal(a, b) != 0;
}

static bool takes_step(const json_t *tree, const char *step)
{
    size_t index = 0;
    return json_is_object(tree) ||
           (json_is_array(tree) && doc_step_index(step, &index) && index < json_array_size(tree));
}

static void set_step(json_t *tree, const char *step, json_t *take_value)
{
    size_t index = 0;
    int failed = json_is_array(tree) && doc_step_index(step, &index)
                     ? json_array_set_new(tree, index, take_value)
                     : json_object_set_new(tree, step, take_value);
    ASSERT(failed == 0);
}

void doc_set(json_t *tree, json_t *take_value, ...)
{
    ASSERT(take_value != NULL); // foreign: doc_string() is never NULL
    va_list steps;
    va_start(steps, take_value);
    const char *step = va_arg(steps, const char *), *next;
    ASSERT(step != NULL && takes_step(tree, step)); // foreign: callers make the tree they change
    while ((next = va_arg(steps, const char *)) != NULL) {
        json_t *child = step_into(tree, step);
        // What somebody else put on the way, and leads nowhere, gives way to an object.
        if (!takes_step(child, next)) {
            child = json_object();
            set_step(tree, step, child);
        }
        tree = child;
        step = next;
    }
    va_end(steps);
    set_step(tree, step, take_value);
}

json_t *doc_copy(const json_t *tree)
{
    return json_deep_copy(tree);
}
