// SPDX-License-Identifier: Apache-2.0
// What the files of this room share, and what its tests compare with crds/.
#pragma once

#include "drawbridge/api.h"
#include "drawbridge/gates.h"

enum api_field_type {
    FIELD_OBJECT,
    FIELD_BOOL,
    FIELD_TEXT,
    FIELD_INTEGER,
    FIELD_INTEGER_OR_PERCENT, // "1%" to "100%" as text
    FIELD_DURATION,           // text in the schema
    FIELD_MAP_BOOL,
    FIELD_MAP_TEXT,
    FIELD_LIST,  // of objects
    FIELD_NAMES, // a list of names like those of feature gates, each once
    FIELD_ANY,   // an object that is not looked into
};

#define API_ANY_BYTES_MAX 262144 // of a FIELD_ANY, as JSON
#define API_ANY_NODES_MAX 10000  // as doc_json_nodes() counts

// A property of a DRAConfiguration or (source.*) of a ConfigSource's spec, as the schemas in crds/
// have it.
struct api_field {
    const char *path; // "spec.driver.valuesFrom[].kind"
    enum api_field_type type;
    // both INTEGER: the value; TEXT and DURATION: bytes; maps and LIST: entries
    int64_t min, max;
    // those that are allowed, separated by spaces; of a MAP_TEXT: of its values
    const char *values;
    const char *fallback; // the default as JSON text
    bool required;
    bool read; // shows in struct api_config; else only its form is checked here
};
const struct api_field *api_fields(size_t *ret_len);
const struct api_field *api_field_find(const char *path);

// INVALID with the path when spec (or something in it) is not what the table says. NULL and null
// are a missing value.
struct error *api_fields_check(const json_t *spec);
struct error *api_source_fields_check(const json_t *spec);
MUST_USE struct error *api_invalid(const char *path, const char *fmt, ...) PRINTF(2, 3);
// INVALID unless it can be the name of a feature gate.
MUST_USE struct error *api_check_gate_name(const char *path, const char *name);
bool api_word_in(const char *words, const char *word); // words: separated by spaces

// "25%" → 25; 0: it is no text of 1% to 100%.
unsigned api_percent(const json_t *value);

#define DURATION_MIN_MS 10000
#define DURATION_MAX_MS 3600000

// Conditions with one of these reasons do not keep Ready from being True, whatever their status: it
// is what was asked for.
bool api_reason_is_fine(const char *name);
// Whether the closed list has this reason for that condition; the summary conditions repeat the
// others' reasons.
bool api_reason_fits(const struct api_reason *reason, enum condition condition);
bool api_condition_parse(const char *name, enum condition *ret_condition);

// Those that Ready sums up, in the order in which it names them; the first of them must be known.
struct api_summary {
    enum condition of[8];
    size_t len, required;
};
// of_source: a ConfigSource's.
const struct api_summary *api_summary(bool of_source);
#define API_MESSAGE_BYTES_MAX 1024
