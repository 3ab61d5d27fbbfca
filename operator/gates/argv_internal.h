// SPDX-License-Identifier: Apache-2.0
// A component's own argument vector, whether it stands in the open or as JSON inside a wrapper's
// argument.
#pragma once

#include "gates_internal.h"

struct argv_view {
    struct strlist args; // of the component: element `program` is its name, flags come after it
    size_t program;
    size_t end; // first argument that is no flag any more ("--"), or args.len
    bool wrapped;
    size_t element; // wrapped: the element of the outer argv that holds the JSON ...
    char *prefix;   // ... behind this ("-command=" or ""), ...
    char *json;     // ... and the JSON as it is now
};
void argv_view_fini(struct argv_view *view);
#define AUTO_VIEW CLEANUP(argv_view_fini)

// INVALID for what is no array of strings, or runs through a shell.
struct error *gates_argv_open(enum component component, const json_t *argv,
                              struct argv_view *ret_view);

// One occurrence of a flag.
struct flag_at {
    size_t index; // of the element with the flag's name
    bool two;     // the value is the next element
    struct slice value;
};
// The next occurrence of --name at or behind *at (which moves on); false: there is none.
// Underscores count as dashes, as for the components. missing: the last argument is the flag
// itself, without its value.
bool gates_flag_next(const struct argv_view *view, const char *name, size_t *at,
                     struct flag_at *ret_flag, bool *ret_missing);
// The value of --name as it counts in the end (the last one); ptr NULL: absent.
struct slice gates_flag_last(const struct argv_view *view, const char *name);

// The strings of the "args" array of a wrapper's JSON; each edit gives the new text, every other
// byte kept.
char *gates_wrapper_set(const char *json, size_t index, const char *value);
char *gates_wrapper_insert(const char *json, size_t index, const char *value);
char *gates_wrapper_remove(const char *json, size_t index);

// One name=value of a flag's value. text: the whole segment between two commas; name and value:
// trimmed, the name without its kube: prefix; value.ptr NULL: there is no "=".
struct entry {
    struct slice text, name, value;
    bool kube;
};
// The next segment of *rest; false at the end.
bool gates_entry_next(enum component component, struct slice *rest, struct entry *ret_entry);
// The value without a pair of quotes around it.
struct slice gates_unquote(struct slice value);
