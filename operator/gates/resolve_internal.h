// SPDX-License-Identifier: Apache-2.0
// The resolution in parts: judge.c says what an instance knows and which value a gate has there,
// needs.c what must be served, wants.c what the intent asks for, prepare.c what a later minor
// refuses, refuse.c words the refusals, resolve.c leads.
#pragma once

#include "gates_internal.h"

#define DRA_GATE "DynamicResourceAllocation"
#define DRA_GROUP "resource.k8s.io"
// From this minor on the binaries themselves refuse a gate whose dependency is off.
#define DEPENDENCIES_ENFORCED_FROM 35

// Whether an instance's binary takes the gate, and if not, why. In the order of how sure we are.
enum knowledge {
    KNOWN,           // in the table for its minor
    KNOWN_TO_BINARY, // not in the table, but the running binary lists it
    // this component never reads it, or its binary does not register it: left out silently
    NOT_RELEVANT,
    NEVER, // nobody knows it
    REMOVED,
    NOT_YET,
    NOT_EMULATED, // the binary has it, but the version it emulates has not
    TABLE_ENDED,  // too new to say
    TABLE_BEGINS, // too old to say
    NO_DRA,       // DynamicResourceAllocation itself, on a version that has none
};

struct want {
    const char *name;
    bool value;
    const struct gate_row *row; // NULL: in no minor of the table
    // which feature asks for it, in the minors in which it takes it; NULL: the intent by itself
    const char *feature;
};

// Instances that are judged alike.
struct class
{
    const struct gates_instance *instance; // the first of them
    size_t index;                          // its place
    int minor, emulated;                   // equal unless --emulated-version says otherwise
    uint64_t hash;
    uint8_t *know;  // enum knowledge of each want
    bool *targeted; // whether the want goes to it
    struct gates_desired desired;
};

struct found_refusal {
    struct gates_refusal refusal;
    size_t index; // of the instance
};

struct resolver {
    const struct gates_table *table;
    const struct gates_intent *intent;
    struct want *wants; // sorted by name
    struct class *classes;
    struct found_refusal *refusals;
    json_t *needed, *ignored;
    const struct feature_row **features; // those of the intent that there are
    json_t *given;                       // minor → {gate: feature}
    size_t wants_len, classes_len, refusals_len, features_len;
    bool dra;
};

// --- judge.c
// Whether this binary itself does not start when that gate is on and what it depends on is off.
bool judge_enforces(const struct class *c, const struct gate_row *row);
enum knowledge judge_knowledge(const struct resolver *r, const struct class *c,
                               const struct want *w);
// The want's place in wants, or wants_len.
size_t judge_want(const struct resolver *r, const char *name);
// What the gate is on this instance: its spec at the emulated version. False: not in the table
// there.
bool judge_gate(const struct class *c, const struct gate_row *row, struct gate *ret_gate);
// The value the gate has, or will have (with_intent), on this instance. row may be NULL; a gate not
// known there is off.
bool judge_value(const struct resolver *r, const struct class *c, const char *name,
                 const struct gate_row *row, bool with_intent);
// The value without the want itself: what its entry must differ from to be worth writing.
bool judge_value_unasked(const struct resolver *r, const struct class *c, const struct want *w);
// Checks that everything which is on has what it depends on, as far as the intent has to do with
// it.
void judge_dependencies(struct resolver *r, struct class *c);

// --- wants.c
// Before the classes are made.
struct error *wants_read(struct resolver *r, const struct gates_instance *instances, size_t len);
// Which feature takes the gate in that minor; NULL: none.
const char *wants_feature(const struct resolver *r, const struct class *c, const char *gate);
// Refuses those that are not there, and those whose gates the intent turns off.
void wants_judge_features(struct resolver *r);

// --- prepare.c
// As that minor would judge it, with the instance's other flags as they are.
struct class prepare_class(const struct gates_instance *instance, int minor);
// Whether later refuses the entry; *ret_unknown becomes true where the table does not tell.
bool prepare_gate(const struct gates_table *table, const struct class *later, const char *name,
                  bool value, enum gates_finding_kind *ret_kind, bool *ret_unknown);
bool prepare_api(const struct gates_table *table, const struct class *later, const char *key,
                 bool *ret_unknown);
// What of others is to go from the instance, as names into two arrays: what a minor up to target
// refuses (major 0: nothing more goes), that has no effect today with the others gone, and that
// desired does not write. Of a gate that goes desired says what it is to be as before. What is out
// already and would be refused now stays out.
void prepare_without(const struct gates_table *table, const struct gates_instance *instance,
                     struct version target, const struct gates_desired *desired);

// --- needs.c
void needs_resolve(struct resolver *r);

// --- refuse.c: add one refusal, unless the same subject was refused to the same component for the
// same reason.
void refuse_gate(struct resolver *r, const struct class *c, const struct want *w,
                 enum knowledge why);
void refuse_locked(struct resolver *r, const struct class *c, const struct want *w, bool locked_to);
void refuse_alpha_gate(struct resolver *r, const struct class *c, const struct want *w);
void refuse_dependency(struct resolver *r, const struct class *c, const char *gate,
                       const char *dependency, bool asked_gate);
void refuse_with(struct resolver *r, const struct class *c, enum refusal kind, const char *subject,
                 const char *fmt, ...) PRINTF(5, 6);
