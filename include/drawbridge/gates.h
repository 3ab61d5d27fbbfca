// SPDX-License-Identifier: Apache-2.0
// gates: which feature gates and API versions which Kubernetes version has, what must be said to
// whom, and what must not.
//
// Purpose   the version table; reading and merging of flags; resolution for each instance by its
//           own version; refusals; Upgradeable
// In → Out  table + intent + instances → for each instance the entries to write, or refusals
// May use   doc base
// Never     I/O, clock
// Limits    GATES_ENTRIES_MAX entries a map, GATES_INSTANCES_MAX instances
// Blocking  no
#pragma once

#include "drawbridge/doc.h"

#define GATES_ENTRIES_MAX 1000
#define GATES_INSTANCES_MAX 20000

enum component {
    COMPONENT_APISERVER,
    COMPONENT_CONTROLLER_MANAGER,
    COMPONENT_SCHEDULER,
    COMPONENT_KUBELET,
    COMPONENT_COUNT,
};
const char *component_name(enum component component); // "kube-apiserver", ...
bool component_parse(const char *name, enum component *ret_component);

// What a feature gate can be called, and what a key of --runtime-config ("resource.k8s.io/v1beta1",
// "api/beta", "apps/v1/deployments"). Nothing else goes into a flag, a file or a table: in what
// splits words a name could end one flag and begin another. crds/ say the same.
bool gates_name_valid(const char *name);
bool gates_api_name_valid(const char *name);
#define GATES_NAME_BYTES_MAX 63
#define GATES_API_NAME_BYTES_MAX 253

struct version {
    int major, minor, patch; // major 0: none
};
// "v1.33.13", "1.33", "v1.33.4-gke.1036000", "v1.33.13+k3s1". Anything else ("fake", "kwok-v0.8.0",
// "") is false.
bool version_parse(const char *text, struct version *ret_version);
int version_compare_minor(struct version a, struct version b); // <0, 0, >0
char *version_format(struct version v);                        // "v1.33.13"
char *version_format_minor(struct version v);                  // "1.33"

// --- the table -----------------------------------------------------------------------------------

enum stage { STAGE_ALPHA, STAGE_BETA, STAGE_GA, STAGE_DEPRECATED };
const char *stage_name(enum stage stage); // "ALPHA", "BETA", "GA", "DEPRECATED"

struct gates_table; // frozen
const struct gates_table *gates_table_builtin(void);
// A file of the same form (docs/gates-table.md), to replace the built-in one.
struct error *gates_table_load(struct slice yaml, const char *name, struct gates_table **ret_table);
void gates_table_free(struct gates_table *table);
AUTO_DECLARE(gates_table, struct gates_table)
struct version gates_table_oldest(const struct gates_table *table);
// of the minors that cover every gate; a preview counts
struct version gates_table_newest(const struct gates_table *table);
// The newest that is no preview; the newest where all are.
struct version gates_table_newest_release(const struct gates_table *table);
// "1.38.0-beta.0", what that minor was read from; NULL: not of those that cover every gate.
const char *gates_table_release(const struct gates_table *table, struct version minor);
// Read from something that is not released yet ("1.38.0-beta.0"): it may still change.
bool gates_table_is_preview(const struct gates_table *table, struct version minor);

struct gate {
    enum stage stage;
    bool value, locked;            // the default
    const char *const *depends_on; // NULL-terminated
    // bit 1 << enum component of those who read it; 0: not known, all that register it
    unsigned components;
    // "resource.k8s.io/v1alpha3" or NULL: must be served when the gate is on
    const char *requires_api;
};
// The gate in that minor; false: the binary of that minor does not know it.
bool gates_find(const struct gates_table *table, const char *name, struct version minor,
                struct gate *ret_gate);
// one of those that dra-gates.yaml lists
bool gates_is_dra(const struct gates_table *table, const char *name);
// Whether any minor knows it; *ret_first, *ret_last: from when to when (last: the newest of the
// table if still there).
bool gates_ever(const struct gates_table *table, const char *name, struct version *ret_first,
                struct version *ret_last);
// KKP's own flags (kubermatic pkg/features/features.go), left to KKP
bool gates_is_kkp_flag(const char *name);
// "did you mean", or NULL
const char *gates_nearest(const struct gates_table *table, const char *name, struct version minor);
// The table as JSON for `gates`: [{name, stage, default, locked, components, dependsOn}], sorted;
// components ["*"] where not known. all: every gate, else those of DRA.
json_t *gates_list(const struct gates_table *table, struct version minor, bool all);
// Versions of a group in that minor: {"registered": [..], "default": [..], "clients": "v1beta1"};
// NULL: unknown group or minor. Borrowed.
const json_t *gates_api(const struct gates_table *table, const char *group, struct version minor);

// --- features: what people want of DRA, in the field's words -------------------------------------

// A feature is a set of gates and API versions, another one in each minor.
struct feature {
    const char *name, *summary; // a sentence
    // NULL-terminated: those of that minor, without what they depend on
    const char *const *gates;
    const char *const *apis; // "group/version" in which it is used, NULL-terminated
};
// The feature in that minor (beyond the table's end: in its last). False: there is none of that
// name, or that minor does not have it.
bool gates_feature_find(const struct gates_table *table, const char *name, struct version minor,
                        struct feature *ret_feature);
// The first minor that has it; false: no feature has that name.
bool gates_feature_since(const struct gates_table *table, const char *name,
                         struct version *ret_first);
// From which minor on it is there without anything being said; false: in none.
bool gates_feature_default_since(const struct gates_table *table, const char *name,
                                 struct version *ret_minor);
// The names of its gates in that minor and of all that they depend on, each once; empty where it is
// not there.
json_t *gates_feature_needs(const struct gates_table *table, const char *name,
                            struct version minor);
// "did you mean", or NULL
const char *gates_feature_nearest(const struct gates_table *table, const char *name);
// For `features`: [{name, summary, state, since, defaultSince, gates: [{name, stage, default,
// components}], apis}], sorted. state: Default, Off (to be asked for), Alpha (and allowed besides)
// or Unavailable. since and defaultSince are absent where no minor is.
json_t *gates_features_list(const struct gates_table *table, struct version minor);

// --- flags: what a command line says -------------------------------------------------------------

// What argv says of gates: {"DynamicResourceAllocation": true, ...} without prefix, the last one
// wins; all notations: --f=x, --f x, repeats, the kube: prefix, quotes, JSON argv behind a wrapper
// (KKP's http-prober). INVALID for what the component itself would refuse to parse.
struct gates_flags {
    json_t *feature_gates; // name → bool
    // "group/version", "api/all", ... → "true"/"false"; the API server alone, else {}
    json_t *runtime_config;
    struct version emulated; // --emulated-version; major 0: absent
    bool kube_prefix;        // gates are written with kube:
};
struct error *gates_flags_read(enum component component, const json_t *argv,
                               struct gates_flags *ret_flags);
void gates_flags_fini(struct gates_flags *flags);
#define AUTO_FLAGS CLEANUP(gates_flags_fini)

// What an API server's /flagz says (Kubernetes 1.36, component-base/zpages/flagz, Flagz of
// config.k8s.io/v1beta1; asked for as GATES_FLAGZ_ACCEPT): its flags as they were given, repeats
// joined, an entry without a prefix written ":Name=true". INVALID for another document.
#define GATES_FLAGZ_ACCEPT "application/json;v=v1beta1;g=config.k8s.io;as=Flagz"
#define GATES_FLAGZ_FROM 36 // the minor from which it is served by default
struct error *gates_flagz_read(const json_t *body, struct gates_flags *ret_flags);

// A change of one element of an argv array, to be carried out on whatever holds it, in order.
struct gates_edit {
    enum { EDIT_SET, EDIT_INSERT, EDIT_REMOVE } what;
    size_t index; // in the array as it is after the edits before this one
    char *value;  // SET, INSERT: the new element
};
struct gates_edits {
    struct gates_edit *items;
    size_t len;
};
// What makes argv say what is wanted. set_* (name → value) are written: merged into the flag that
// is there (its notation, prefix, order and other entries kept; an entry of the same name gets the
// new value where it stands last), or into a new --flag=..., sorted, placed after the last flag of
// the array that sorts before it, or at the end where flags are not sorted. unset_* (names) are
// taken out, the flag with them when nothing is left. argv: array of strings, element 0 the
// program. The same call on the result gives no edits. A flag inside a JSON argv is edited inside
// its element.
struct error *gates_flags_edit(enum component component, const json_t *argv,
                               const json_t *set_gates, const json_t *unset_gates,
                               const json_t *set_runtime, const json_t *unset_runtime,
                               struct gates_edits *ret_edits);
void gates_edits_fini(struct gates_edits *edits);
#define AUTO_EDITS CLEANUP(gates_edits_fini)

// --- refusals ------------------------------------------------------------------------------------

enum refusal {
    // UnknownFeatureGate: no minor of the table and not the binary knows it
    REFUSAL_UNKNOWN_GATE,
    REFUSAL_GATE_LOCKED,  // FeatureGateLocked: to the other value
    REFUSAL_GATE_REMOVED, // FeatureGateRemoved: earlier minors knew it
    // FeatureGateTooNew: later minors know it, or it is newer than the emulated version
    REFUSAL_GATE_TOO_NEW,
    REFUSAL_GATE_DEPENDENCY,    // FeatureGateDependency: on, but what it depends on is off
    REFUSAL_ALPHA,              // AlphaNotAllowed: alpha gate on, or alpha API, without allowAlpha
    REFUSAL_API_NOT_REGISTERED, // APIVersionNotRegistered
    REFUSAL_API_INVALID,        // InvalidRuntimeConfig: malformed key or value, unknown group
    REFUSAL_TOO_OLD,            // KubernetesTooOld: that version has no DRA
    // KubernetesTooNew: the table ends before it and the running binary did not tell
    REFUSAL_TOO_NEW,
    // VersionSkewUnsupported: no API version serves both (dra-gates.md 4.3, "impossible")
    REFUSAL_SKEW,
    // APIVersionNeeded: runtimeConfig turns off what a gate that is on needs
    REFUSAL_API_NEEDED,
    REFUSAL_FEATURE_UNKNOWN,     // UnknownFeature: the table has none of that name
    REFUSAL_FEATURE_UNAVAILABLE, // FeatureUnavailable: that minor does not have it
    REFUSAL_FEATURE_CONFLICT,    // FeatureConflict: featureGates turns off what it needs
    REFUSAL_COUNT,
};
const char *refusal_reason(enum refusal refusal); // the CamelCase reason

struct gates_refusal {
    enum refusal kind;
    char *subject; // the gate, the feature, or group/version
    enum component component;
    struct version version;
    char *instance; // the first instance that would refuse it
    char *message;  // one sentence: what, who, which version, what to do
};

// --- resolution ----------------------------------------------------------------------------------

struct gates_intent {
    const json_t *feature_gates;  // name → bool; NULL: none
    const json_t *runtime_config; // key → "true"/"false"; NULL: none
    bool allow_alpha;
    const json_t *features; // array of names; NULL: none
    // Entries of others that a minor up to this one refuses, and that have no effect today, go.
    struct version prepare_for; // major 0: none
    bool remove_foreign;        // false: they stay, and are only told of
};

struct gates_instance {
    const char *id; // "kube-scheduler on node-1": for messages
    enum component component;
    struct version version;
    struct version emulated; // major 0: as version
    // what its flags say beside what we wrote: name → bool; NULL: none
    const json_t *foreign_gates;
    const json_t *foreign_runtime; // key → "true"/"false"
    // what others had said beside that and we took out: the same maps
    const json_t *removed_gates, *removed_runtime;
    // name → bool: listed by the running binary, not by the table for its minor; NULL: none or not
    // read
    const json_t *extra_gates;
    // array of names: in the table, but the running binary does not list them; NULL: none or not
    // read
    const json_t *missing_gates;
    // gate or key → where it stands, for people; NULL: not known
    const json_t *places;
};

struct gates_desired {
    json_t *feature_gates;  // name → bool: just what must be written by us into this instance
    json_t *runtime_config; // key → "true"/"false": the same, {} for all but the API server
    // name → bool: of the intent's gates and DynamicResourceAllocation, what the running component
    // must report
    json_t *effective;
    // Arrays of names, sorted: entries of others that shall not stand (gates_intent.prepare_for).
    // What is written by us is in none of them.
    json_t *without_gates, *without_runtime;
};

struct gates_resolution {
    // one for each instance, same order; alike instances share their trees: not to be changed
    struct gates_desired *desired;
    size_t desired_len;
    // none: nothing is touched while there is one. First by instance, then by subject
    struct gates_refusal *refusals;
    size_t refusals_len;
    // ["v1beta1", ..]: versions of resource.k8s.io that live clients need, sorted by Kubernetes'
    // version priority
    json_t *needed;
    json_t *ignored; // names that are KKP's own flags
    bool dra;        // the intent wants Dynamic Resource Allocation on
};
// Pure. The rules are product.md's: each instance by its own (emulated) version; a gate of DRA goes
// to the components that read it, any other to every component whose binary registers it; nothing
// that is default (unless a foreign flag says otherwise) and nothing that would be refused; for DRA
// the union of the API versions that live API servers register and live clients ask for. An API
// server gets what any client needs. A gate that only some instances' versions know (a roll between
// minors) goes to those that know it, when their minor is the newest or the oldest that is there; a
// gate that none of them knows is refused. A feature is, for each instance, the gates that it takes
// in its minor and what they depend on; the minors of the API servers decide whether it is there.
struct error *gates_resolve(const struct gates_table *table, const struct gates_intent *intent,
                            const struct gates_instance *instances, size_t instances_len,
                            struct gates_resolution *ret_resolution);
void gates_resolution_fini(struct gates_resolution *resolution);
#define AUTO_RESOLUTION CLEANUP(gates_resolution_fini)

// --- the way to a later minor --------------------------------------------------------------------

enum gates_finding_kind {
    FINDING_REMOVED,      // no component of that minor knows the gate
    FINDING_LOCKED,       // the gate has the other value for good
    FINDING_UNREGISTERED, // the API server of that minor does not have the API version
};
// An entry of an instance with which a component of a later minor would not start.
struct gates_finding {
    enum gates_finding_kind kind;
    int minor;    // the first that refuses it
    char *entry;  // the gate, or the key of --runtime-config
    bool value;   // what the entry says
    bool matters; // something is different today for it: it does not say what is so anyway
};
struct gates_findings {
    struct gates_finding *items; // at most GATES_ENTRIES_MAX
    size_t len;
    bool unknown; // of some entry the table does not tell
};
// All entries of the instance (its foreign ones: whoever wrote them) on the way to target, each
// minor in between counted: an upgrade goes through them.
void gates_prepare(const struct gates_table *table, const struct gates_instance *instance,
                   struct version target, struct gates_findings *ret_findings);
// Whether the instance would not start with the entry, as far as the table tells. runtime: it is a
// key of --runtime-config.
bool gates_refused(const struct gates_table *table, const struct gates_instance *instance,
                   const char *entry, const json_t *value, bool runtime);
void gates_findings_fini(struct gates_findings *findings);
#define AUTO_FINDINGS CLEANUP(gates_findings_fini)
// "removed in 1.38", "locked to true in 1.38", "not registered in 1.37"
char *gates_finding_text(const struct gates_finding *finding);

enum upgradeable { UPGRADEABLE_TRUE, UPGRADEABLE_FALSE, UPGRADEABLE_UNKNOWN };
// Whether the next minor, and all up to target (major 0: the next alone), take what the instances
// say now (foreign entries and desired ones): False names each gate or API version that would be
// removed, locked to the other value or unregistered, where it stands, and what changes with it;
// Unknown where the table ends. *ret_message is one sentence.
enum upgradeable gates_upgradeable(const struct gates_table *table,
                                   const struct gates_instance *instances, size_t instances_len,
                                   const struct gates_desired *desired, struct version target,
                                   char **ret_message);
// What people ask for in spec.featureGates, written somewhere or not: whether a minor after now, up
// to target, refuses it. *ret_what, when it does: "X (removed in 1.38), Y (...)".
bool gates_wish_refused(const struct gates_table *table, const json_t *feature_gates,
                        struct version now, struct version target, char **ret_what);

// --- what a running component says ---------------------------------------------------------------

// kubernetes_feature_enabled{name,stage} of a /metrics page: name → bool of every gate this binary
// knows; *ret_version from kubernetes_build_info's git_version (major 0 when absent), *ret_start_ms
// from process_start_time_seconds (0 when absent).
struct error *gates_metrics_read(struct slice page, json_t **ret_gates, struct version *ret_version,
                                 int64_t *ret_start_ms);
// Whether that reads this line: a page of a hundred thousand lines has some hundred such, and who
// keeps those alone needs GATES_METRICS_BYTES_MAX.
#define GATES_METRICS_BYTES_MAX ((size_t)256 << 10)
bool gates_metrics_wants(struct slice line);
