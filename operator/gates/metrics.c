// SPDX-License-Identifier: Apache-2.0
// What a running component says of itself on /metrics: its gates, its version, when it started.
// Three names of a page that may have a hundred thousand lines, so each line is looked at by its
// first letters alone.
#include "gates_internal.h"

#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES_MAX 64
#define METRIC_GATES_MAX ((size_t)10000)

// The value of a label in the text between the braces; escapes (\\, \", \n) are left as they are:
// no name or version has one.
static bool find_label(struct slice labels, const char *name, struct slice *ret_value)
{
    size_t name_len = strlen(name);
    for (size_t at = 0; at < labels.len;) {
        size_t equals = at;
        while (equals < labels.len && labels.ptr[equals] != '=')
            equals++;
        size_t start = equals + 2, end = start;
        if (start > labels.len || labels.ptr[equals + 1] != '"')
            return false;
        while (end < labels.len && labels.ptr[end] != '"')
            end += labels.ptr[end] == '\\' ? 2 : 1;
        if (end >= labels.len)
            return false;
        if (equals - at == name_len && memcmp(labels.ptr + at, name, name_len) == 0) {
            *ret_value = slice_sub(labels, start, end);
            return true;
        }
        at = end + 1;
        while (at < labels.len && (labels.ptr[at] == ',' || labels.ptr[at] == ' '))
            at++;
    }
    return false;
}

// Splits 'name{labels} value [timestamp]' behind the name. False when it is written in no such way.
static bool split_sample(struct slice rest, struct slice *ret_labels, struct slice *ret_value)
{
    *ret_labels = (struct slice){0};
    if (rest.len > 0 && rest.ptr[0] == '{') {
        size_t at = 1;
        for (bool quoted = false; at < rest.len && (quoted || rest.ptr[at] != '}'); at++) {
            if (quoted && rest.ptr[at] == '\\')
                at++;
            else if (rest.ptr[at] == '"')
                quoted = !quoted;
        }
        if (at >= rest.len)
            return false;
        *ret_labels = slice_sub(rest, 1, at);
        rest = slice_sub(rest, at + 1, rest.len);
    }
    rest = slice_trim(rest);
    slice_cut(&rest, ' ', ret_value);
    return ret_value->len > 0;
}

static bool parse_number(struct slice text, double *ret_number)
{
    char copy[NUMBER_BYTES_MAX], *end;
    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *ret_number = strtod(copy, &end);
    return *end == '\0';
}

static void read_gate_sample(struct slice labels, struct slice value, json_t *gates)
{
    struct slice name;
    double number;
    if (!find_label(labels, "name", &name) || !parse_number(value, &number) ||
        json_object_size(gates) >= METRIC_GATES_MAX)
        return;
    AUTO_MEM char *key = slice_dup(name);
    json_object_set_new(gates, key, json_boolean(number > 0.5));
}

enum family { FAMILY_OTHER, FAMILY_FEATURE, FAMILY_BUILD, FAMILY_START };

// Of a sample's line; the name of the family goes into *ret_name.
static enum family family_of(struct slice line, struct slice *ret_name)
{
    size_t name_len = 0;
    if (line.len == 0 || (line.ptr[0] != 'k' && line.ptr[0] != 'p'))
        return FAMILY_OTHER;
    while (name_len < line.len && line.ptr[name_len] != '{' && line.ptr[name_len] != ' ')
        name_len++;
    *ret_name = slice_sub(line, 0, name_len);
    return slice_eq(*ret_name, "kubernetes_feature_enabled")   ? FAMILY_FEATURE
           : slice_eq(*ret_name, "kubernetes_build_info")      ? FAMILY_BUILD
           : slice_eq(*ret_name, "process_start_time_seconds") ? FAMILY_START
                                                               : FAMILY_OTHER;
}

bool gates_metrics_wants(struct slice line)
{
    struct slice name;
    return family_of(line, &name) != FAMILY_OTHER;
}

static void read_line(struct slice line, json_t *gates, struct version *version, int64_t *start_ms)
{
    struct slice labels, value, label, name;
    double number;
    enum family family = family_of(line, &name);
    if (family == FAMILY_OTHER ||
        !split_sample(slice_sub(line, name.len, line.len), &labels, &value))
        return;
    if (family == FAMILY_FEATURE)
        read_gate_sample(labels, value, gates);
    if (family == FAMILY_BUILD && find_label(labels, "git_version", &label)) {
        AUTO_MEM char *text = slice_dup(label);
        version_parse(text, version);
    }
    // Beyond this no clock goes, and the cast would not be defined.
    if (family == FAMILY_START && parse_number(value, &number) && number > 0 && number < 1e12)
        *start_ms = (int64_t)(number * 1000);
}

struct error *gates_metrics_read(struct slice page, json_t **ret_gates, struct version *ret_version,
                                 int64_t *ret_start_ms)
{
    AUTO_JSON json_t *gates = json_object();
    struct version version = {0};
    int64_t start_ms = 0;
    struct slice line;
    while (slice_cut(&page, '\n', &line))
        read_line(line, gates, &version, &start_ms);
    if (json_object_size(gates) == 0)
        return error_new(ERROR_INVALID, "the metrics page has no kubernetes_feature_enabled");
    *ret_gates = TAKE(gates);
    *ret_version = version;
    *ret_start_ms = start_ms;
    return NULL;
}
