// SPDX-License-Identifier: Apache-2.0
// What the files of gates share: the table's form in memory, and small questions about names and
// versions.
#pragma once

#include "drawbridge/gates.h"

// Every major is 1; a minor is its number. A span holds from..to, both in.
struct gate_span {
    uint8_t from, to;
    uint8_t stage;
    bool value, locked;
};

struct names_span {
    uint8_t from, to;
    const char *const *names; // NULL-terminated
};

struct bits_span {
    uint8_t from, to;
    uint8_t bits; // 1 << enum component
};

struct text_span {
    uint8_t from, to;
    const char *text;
};

struct flag_span {
    uint8_t from, to;
    bool on;
};

struct gate_row {
    const char *name;
    const struct gate_span *spans;
    const struct names_span *depends_on;
    const struct bits_span *read_by;       // absent: not known
    const struct bits_span *registered_by; // absent: all four
    const struct bits_span *flipped_by;    // components whose own default is the opposite
    const struct text_span *requires_api;
    uint8_t spans_len, depends_on_len, read_by_len, registered_by_len, flipped_by_len,
        requires_api_len;
    bool dra;
};

struct api_row {
    const char *group, *version;
    const struct flag_span *spans; // registered; on: served by default
    const struct names_span *resources;
    uint8_t spans_len, resources_len;
};

struct client_row {
    const char *group;
    const struct text_span *spans;
    uint8_t spans_len;
};

struct feature_row {
    const char *name, *summary;
    const struct names_span *gates; // of a minor without a span the feature is not there
    const struct names_span *apis;  // absent: no version of its own
    uint8_t gates_len, apis_len;
};

struct release_row {
    uint8_t minor;
    const char *text; // "1.33.13"
};

struct gates_table {
    const struct gate_row *gates; // sorted by name
    const struct api_row *apis;   // sorted by group, then version
    const struct client_row *clients;
    const struct feature_row *features; // sorted by name
    const struct release_row *releases; // what the minors that cover every gate were read from
    size_t gates_len, apis_len, clients_len, features_len, releases_len;
    uint8_t oldest, newest;    // the minors that cover every gate
    json_t **api_cache;        // what gates_api() gave out: "group minor" → answer
    struct gates_arena *arena; // owns all of the above in a loaded table, NULL in the built-in one
};

// The built-in table, made from data/*.yaml at build time.
extern const struct gates_table gates_table_compiled;

const struct gate_row *gates_row(const struct gates_table *table, const char *name);
bool gates_row_at(const struct gate_row *row, int minor, struct gate *ret_gate);
// Whether that component's binary registers the gate (which it knows in that minor).
bool gates_row_registered(const struct gate_row *row, int minor, enum component component);
// Whether that component's default is the opposite of what the table says of the others.
bool gates_row_flipped(const struct gate_row *row, int minor, enum component component);
const char *const *gates_row_depends_on(const struct gate_row *row, int minor); // or NULL

const struct api_row *gates_api_row(const struct gates_table *table, const char *group,
                                    const char *version);
// -1 not registered, 0 registered, 1 served by default
int gates_api_at(const struct api_row *row, int minor);
const char *const *gates_api_resources(const struct api_row *row, int minor); // or NULL: not known
bool gates_group_known(const struct gates_table *table, const char *group, int minor);
// Whether the table holds every API group of that minor.
bool gates_covers(const struct gates_table *table, int minor);
// or NULL
const char *gates_client_version(const struct gates_table *table, const char *group, int minor);

enum api_level { API_GA, API_BETA, API_ALPHA };
enum api_level gates_api_level(const char *version); // of "v1beta1"
// <0: a comes before b in Kubernetes' priority order (GA before beta before alpha, then the newer
// one).
int gates_api_compare(const char *a, const char *b);

// NULL: not of the table.
const struct feature_row *gates_feature_row(const struct gates_table *table, const char *name);
// The minor that the table has and that says what this one needs: beyond its end, the last.
int gates_feature_minor(const struct gates_table *table, int minor);
// NULL-terminated; NULL: the feature is not there.
const char *const *gates_feature_gates(const struct feature_row *row, int minor);
const char *const *gates_feature_apis(const struct feature_row *row, int minor); // never NULL
// The gates of the feature and all that they depend on in that minor, each once: an array.
json_t *gates_feature_closure(const struct gates_table *table, const struct feature_row *row,
                              int minor);

// Go's strconv.ParseBool.
bool gates_bool_parse(struct slice text, bool *ret_value);
// ["kube-apiserver", ...]; ["*"] for no bit.
json_t *gates_components_json(unsigned bits);
bool gates_names_have(const char *const *names, const char *name);

// --- runtime.c: what --runtime-config makes of the API versions ----------------------------------

bool gates_runtime_is_wildcard(const char *key); // api/all, api/ga, api/beta, api/alpha
// a wildcard, group/version, or group/version/resource in lower case
bool gates_runtime_key_valid(const char *key);
// Splits "group/version" or "group/version/resource"; *ret_resource is NULL for the former. False
// for wildcards and malformed keys.
bool gates_runtime_split(const char *key, char **ret_group, char **ret_version,
                         char **ret_resource);
// Whether the map (key → "true"/"false") serves all of a version that is there in that minor, its
// wildcards, versions and resources counted as the API server counts them. resources: of that
// version, or NULL where not known.
bool gates_runtime_serves(const json_t *runtime, const char *group, const char *version,
                          bool served_by_default, const char *const *resources);
