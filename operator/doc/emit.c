// SPDX-License-Identifier: Apache-2.0
// A tree as YAML text. Our own rather than libyaml's emitter, because parts are written into files
// of somebody else's layout, and because a string must keep being a string for every reader, those
// of YAML 1.1 included.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "doc_internal.h"

#define PRINT_BYTES_MAX ((size_t)1 << 40) // no cap of its own: the tree had one
#define PLAIN_MAX 1000 // a longer key would need "? ", and a longer text reads no worse in quotes

void doc_emit_spaces(struct buf *b, size_t n)
{
    for (; n > 0; n--) {
        buf_add(b, " ", 1);
    }
}

// --- what a text may look like -------------------------------------------------------------------

static bool starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

// Bytes of the character at s that must be written as \u: control characters and what editors or
// readers take for a line break.
static size_t hidden_character(const char *s, unsigned *ret_code)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x20 || u[0] == 0x7F) {
        *ret_code = u[0];
        return 1;
    }
    if (u[0] == 0xC2 && u[1] >= 0x80 && u[1] <= 0x9F) {
        *ret_code = u[1];
        return 2;
    }
    bool separator = u[0] == 0xE2 && u[1] == 0x80 && (u[2] == 0xA8 || u[2] == 0xA9);
    bool mark = u[0] == 0xEF && ((u[1] == 0xBB && u[2] == 0xBF) || (u[1] == 0xBF && u[2] >= 0xBE));
    if (separator || mark) {
        *ret_code = ((u[0] & 0xFU) << 12) | ((u[1] & 0x3FU) << 6) | (u[2] & 0x3FU);
        return 3;
    }
    return 0;
}

static bool has_hidden(const char *s)
{
    unsigned code;
    for (; *s != '\0'; s++) {
        if (hidden_character(s, &code) > 0) {
            return true;
        }
    }
    return false;
}

// Base 60 numbers and dates: strings here, something else elsewhere.
static bool looks_typed_elsewhere(const char *s)
{
    const char *p = s + (*s == '-' || *s == '+');
    size_t digits = strspn(p, "0123456789_");
    if (digits == 0) {
        return false;
    }
    bool date = digits == 4 && p == s && p[4] == '-' && p[5] >= '0' && p[5] <= '9';
    bool base60 = p[digits] == ':' && strspn(p, "0123456789_:.") == strlen(p);
    return date || base60;
}

static bool reads_as_string(const char *s, size_t len)
{
    AUTO_JSON json_t *value = doc_resolve(s, len);
    return json_is_string(value);
}

static bool starts_plain(const char *s, bool flow)
{
    if (*s == '-') {
        return s[1] != '\0' && s[1] != ' ' && !(flow && strchr(",[]{}", s[1]) != NULL);
    }
    return strchr("?:,[]{}#&*!|>'\"%@`= ", *s) == NULL;
}

static bool can_be_plain(const char *s, size_t len, bool flow)
{
    if (len == 0 || len > PLAIN_MAX || !starts_plain(s, flow) || s[len - 1] == ' ' ||
        s[len - 1] == ':') {
        return false;
    }
    if (strstr(s, ": ") != NULL || strstr(s, " #") != NULL || has_hidden(s) ||
        (flow && strpbrk(s, ",?[]{}") != NULL)) {
        return false;
    }
    bool marker =
        strcmp(s, "---") == 0 || starts(s, "--- ") || strcmp(s, "...") == 0 || starts(s, "... ");
    return !marker && strcmp(s, "<<") != 0 && !looks_typed_elsewhere(s) && reads_as_string(s, len);
}

// --- scalars -------------------------------------------------------------------------------------

static void emit_single(struct buf *b, const char *s)
{
    buf_add_str(b, "'");
    for (; *s != '\0'; s++) {
        buf_add(b, s, 1);
        if (*s == '\'') {
            buf_add_str(b, "'");
        }
    }
    buf_add_str(b, "'");
}

// Escapes that JSON has too, so that a JSON file stays one.
static void emit_double(struct buf *b, const char *s)
{
    buf_add_str(b, "\"");
    while (*s != '\0') {
        unsigned code = 0;
        size_t len = hidden_character(s, &code);
        if (*s == '"' || *s == '\\') {
            buf_printf(b, "\\%c", *s);
        } else if (*s == '\n' || *s == '\t' || *s == '\r') {
            buf_printf(b, "\\%c", *s == '\n' ? 'n' : *s == '\t' ? 't' : 'r');
        } else if (len > 0) {
            buf_printf(b, "\\u%04x", code);
        } else {
            buf_add(b, s, 1);
        }
        s += len > 0 ? len : 1;
    }
    buf_add_str(b, "\"");
}

static void emit_string(struct buf *b, const char *s, size_t len, enum doc_style style, bool flow)
{
    if (style == DOC_SINGLE && !has_hidden(s)) {
        emit_single(b, s);
    } else if (style != DOC_DOUBLE && style != DOC_SINGLE && can_be_plain(s, len, flow)) {
        buf_add(b, s, len);
    } else {
        emit_double(b, s);
    }
}

// The shortest text that reads as the same number, and as a real one.
static void emit_real(struct buf *b, double real)
{
    AUTO_MEM char *text = NULL;
    for (int digits = 15; digits <= 17; digits++) {
        mem_free(text);
        text = str_format("%.*g", digits, real);
        if (strtod(text, NULL) == real) {
            break;
        }
    }
    buf_add_str(b, text);
    if (strpbrk(text, ".e") == NULL) {
        buf_add_str(b, ".0");
    }
}

void doc_emit_scalar(struct buf *b, const json_t *value, enum doc_style style, bool flow)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        emit_string(b, json_string_value(value), json_string_length(value), style, flow);
        break;
    case JSON_INTEGER:
        buf_printf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        emit_real(b, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        buf_add_str(b, json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        buf_add_str(b, "null");
        break;
    case JSON_OBJECT:
        buf_add_str(b, "{}");
        break;
    case JSON_ARRAY:
        buf_add_str(b, "[]");
        break;
    }
}

// --- flow style ----------------------------------------------------------------------------------

static bool is_empty(const json_t *value)
{
    return json_is_object(value)  ? json_object_size(value) == 0
           : json_is_array(value) ? json_array_size(value) == 0
                                  : true;
}

void doc_emit_flow(struct buf *b, const json_t *value, bool quote)
{
    enum doc_style style = quote ? DOC_DOUBLE : DOC_PLAIN;
    if (is_empty(value)) {
        doc_emit_scalar(b, value, style, true);
        return;
    }
    const char *sep = "";
    if (json_is_array(value)) {
        buf_add_str(b, "[");
        for (size_t i = 0; i < json_array_size(value); i++, sep = ", ") {
            buf_add_str(b, sep);
            doc_emit_flow(b, json_array_get(value, i), quote);
        }
        buf_add_str(b, "]");
        return;
    }
    buf_add_str(b, "{");
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)value, key, item) {
        buf_add_str(b, sep);
        emit_string(b, key, strlen(key), style, true);
        buf_add_str(b, ": ");
        doc_emit_flow(b, item, quote);
        sep = ", ";
    }
    buf_add_str(b, "}");
}

// --- block style ---------------------------------------------------------------------------------

// A literal block scalar gives back just its bytes when no line ends in blanks (an editor may cut
// them) and the first starts with none (they would count as indentation).
static bool can_be_literal(const char *s, size_t len)
{
    if (len < 2 || strchr(s, '\n') == NULL || *s == ' ' || *s == '\n' || *s == '\t') {
        return false;
    }
    unsigned code;
    for (const char *p = s; *p != '\0'; p++) {
        bool blank_line_end = (*p == ' ' || *p == '\t') && (p[1] == '\n' || p[1] == '\0');
        if (blank_line_end || (*p != '\n' && *p != '\t' && hidden_character(p, &code) > 0)) {
            return false;
        }
    }
    return true;
}

static void emit_literal(struct buf *b, const char *s, size_t len, size_t indent,
                         const char *newline)
{
    bool ends = s[len - 1] == '\n';
    bool more = ends && len > 1 && s[len - 2] == '\n';
    buf_add_str(b, more ? "|+" : ends ? "|" : "|-");
    buf_add_str(b, newline);
    struct slice rest = {.ptr = s, .len = ends ? len - 1 : len}, line;
    while (slice_cut(&rest, '\n', &line)) {
        if (line.len > 0) {
            doc_emit_spaces(b, indent);
        }
        buf_add_slice(b, line);
        buf_add_str(b, newline);
    }
}

static void emit_line(struct buf *b, const json_t *value, size_t indent,
                      const struct doc_layout *layout)
{
    const char *s = json_string_value(value);
    if (s != NULL && layout->literal && can_be_literal(s, json_string_length(value))) {
        emit_literal(b, s, json_string_length(value), indent + layout->step, layout->newline);
        return;
    }
    doc_emit_scalar(b, value, layout->quote ? DOC_DOUBLE : DOC_PLAIN, false);
    buf_add_str(b, layout->newline);
}

void doc_emit_value(struct buf *b, const json_t *value, size_t indent,
                    const struct doc_layout *layout)
{
    if (is_empty(value)) {
        buf_add_str(b, " ");
        emit_line(b, value, indent, layout);
        return;
    }
    buf_add_str(b, layout->newline);
    doc_emit_block(b, value, indent + (json_is_array(value) ? layout->seq_offset : layout->step),
                   false, layout);
}

static void emit_items(struct buf *b, const json_t *array, size_t indent, bool inline_first,
                       const struct doc_layout *layout)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        doc_emit_spaces(b, i > 0 || !inline_first ? indent : 0);
        const json_t *item = json_array_get(array, i);
        buf_add_str(b, "- ");
        if (is_empty(item)) {
            emit_line(b, item, indent, layout);
        } else {
            doc_emit_block(b, item, indent + 2, true, layout);
        }
    }
}

void doc_emit_block(struct buf *b, const json_t *value, size_t indent, bool inline_first,
                    const struct doc_layout *layout)
{
    if (is_empty(value)) {
        doc_emit_spaces(b, inline_first ? 0 : indent);
        emit_line(b, value, indent, layout);
        return;
    }
    if (json_is_array(value)) {
        emit_items(b, value, indent, inline_first, layout);
        return;
    }
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)value, key, item) {
        doc_emit_spaces(b, inline_first ? 0 : indent);
        inline_first = false;
        emit_string(b, key, strlen(key), layout->quote ? DOC_DOUBLE : DOC_PLAIN, false);
        buf_add_str(b, ":");
        doc_emit_value(b, item, indent, layout);
    }
}

char *doc_print_yaml(const json_t *tree)
{
    const struct doc_layout layout = {.newline = "\n", .step = 2, .literal = true};
    AUTO_BUF struct buf b = buf_make(PRINT_BYTES_MAX);
    doc_emit_block(&b, tree, 0, false, &layout);
    return buf_take(&b);
}
