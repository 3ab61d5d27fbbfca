// SPDX-License-Identifier: Apache-2.0
// site: where the flags of a component are written down, and edits of them that can be undone.
//
// Purpose   one codec for each way that flags are written: what they say, and the same document
//           saying something else; one engine for what is ours of it
// In → Out  a text or a tree, what is ours in it and what is wanted → the new one, and what is ours
//           then
// May use   gates doc base
// Never     I/O, clock; which platform it is
// Limits    those of doc and gates
// Blocking  no
#pragma once

#include "drawbridge/gates.h"

// --- containers: where in a pod an argv is -------------------------------------------------------

// The container that is a component, beside sidecars, and its argv: command, then args.
struct site_container {
    size_t index;                        // in the list
    const json_t *spec, *command, *args; // borrowed; command and args NULL: not there, or empty
    // the argv has no program of its own: the image's entry point is it
    bool no_program;
};
// How sure it is that this container is the component, 0: it is not. Its program says more than its
// name.
unsigned site_container_score(const json_t *container, enum component component);
// INVALID, beginning with where: none or several containers are it, it has neither command nor
// args, a shell starts it.
struct error *site_container_find(const json_t *containers, const char *where,
                                  enum component component, struct site_container *ret_container);
// of lists that stand elsewhere
struct site_container site_container_of(const json_t *command, const json_t *args);
// owned
json_t *site_container_argv(const struct site_container *container, enum component component);

// --- codecs: one for each way that flags are written ---------------------------------------------

struct site_codec;
// Where one component's flags are. Data: a platform that has them in other places has other places.
struct site_place {
    const struct site_codec *codec;
    enum component component;
    const char *name; // of the file or the object: errors begin with it
    const char *at;   // JSON pointer, for codecs that say so; NULL is the root
    bool map;         // of site_extra_args: where there are none, they become a map
};
// The manifest of a pod. A container's argv.
extern const struct site_codec site_pod;
// at: an object with the lists command and args.
extern const struct site_codec site_lists;
// The item of a component in a kwok.yaml, as a list of one (see site_kwok_part()).
extern const struct site_codec site_kwok;
// at: extraArgs, a map of flag to value, or a list of {name, value}.
extern const struct site_codec site_extra_args;
// kubeadm's ClusterConfiguration: extraArgs are a map in v1beta3, a list from v1beta4 on.
extern const struct site_codec site_cluster_configuration;
// at: a map of gate to bool.
extern const struct site_codec site_gate_map;
extern const struct site_codec site_kubelet_configuration;
// at: a text, the YAML of a KubeletConfiguration or of a patch of one, whose other bytes stay.
extern const struct site_codec site_kubelet_text;
// kubeadm-flags.env: the words of KUBELET_KUBEADM_ARGS. No YAML.
extern const struct site_codec site_env_file;

// What is written there.
struct error *site_read_text(const struct site_place *place, struct slice text,
                             struct gates_flags *ret_flags);
struct error *site_read_tree(const struct site_place *place, const json_t *tree,
                             struct gates_flags *ret_flags);
// The first line, from 1, that has a gate or a key of --runtime-config and is no comment; of a
// ClusterConfiguration: of that component. 0: none.
unsigned site_line(const struct site_place *place, struct slice text, const char *entry);
// The container in what site_pod, site_lists or site_kwok reads. Borrows from tree.
struct error *site_find(const struct site_place *place, const json_t *tree,
                        struct site_container *ret_container);
// The words of kubeadm-flags.env after "kubelet".
struct error *site_env_argv(struct slice text, const char *name, json_t **ret_argv);
// The lines of a kwok.yaml that are the component's. NOT_FOUND: it is not there.
struct error *site_kwok_part(struct slice text, const char *name, enum component component,
                             size_t *ret_from, size_t *ret_to);

// --- the record: what is ours of what stands -----------------------------------------------------

// Entries by kind: {"featureGates": {name: bool}, "runtimeConfig": {key: "true" or "false"}}. What
// is wanted or ours may be null: an entry of others that shall not stand.
#define SITE_KINDS 2
extern const char *const site_kinds[SITE_KINDS];
// Those of owned that stand with our value, or do not where that is null: somebody else's later
// change is theirs. Owned.
json_t *site_ours(const json_t *owned, const struct gates_flags *flags);

// The entries that one component is asked for, {"featureGates": .., "withoutFeatureGates": [names],
// ..}, by kinds. Owned.
json_t *site_wanted(const json_t *want);
// What a report says is ours, {"owned": by kinds, "removed": names by kinds}, as a record has it.
// Owned.
json_t *site_owned_of(const json_t *report);
// Takes what shall not stand out of owned: {"featureGates": [names], "runtimeConfig": [names]},
// owned; NULL: there is none. What it said is among the replaced.
json_t *site_take_removed(json_t *owned);

// A text, or a tree where that is not NULL.
struct site_content {
    struct slice text; // ptr NULL and no tree: there is none
    const json_t *tree;
};
struct site_document {
    struct site_content now;    // what stands
    struct site_content before; // what stood before our first edit, where that was kept
    bool untouched;             // what stands is just what our last edit made
};
// One component in the document, by kinds.
struct site_part {
    struct site_place place;
    // of the record: our entries, and the values of others that they stand in for
    const json_t *owned, *replaced;
    // All that is to be ours now. An entry that is null goes, whoever wrote it, and is given back
    // when it is not wanted so any more.
    const json_t *want;
    const json_t *elsewhere; // entries that count where the document says nothing; NULL: none do
    json_t *ret_owned, *ret_replaced; // of the record that goes with the edit
};
void site_part_fini(struct site_part *part);
#define AUTO_SITE_PART CLEANUP(site_part_fini)
// What to keep with that record as before: what was kept, what stands, or nothing (there is
// something of ours in it already, and nobody knows what was there without us).
enum site_before { SITE_BEFORE_NONE, SITE_BEFORE_KEPT, SITE_BEFORE_NOW };
struct site_edit {
    char *text;
    json_t *tree; // of the two, that which was given
    enum site_before before;
};
void site_edit_fini(struct site_edit *edit);
#define AUTO_SITE_EDIT CLEANUP(site_edit_fini)
// The document with what is wanted in each part. While it is as our last edit left it, the edit is
// made anew on what was there before the first: then nothing of ours can stay behind, and wanting
// nothing gives back just that. Once somebody else wrote, our own entries alone are changed, where
// they still are as we wrote them: what we give up becomes what it stood in for. Parts are of one
// document and do not overlap; what is in none stays, byte for byte. What cannot be read is not
// edited; INTERNAL: it would not say what was wanted. Asking for the same again changes nothing.
struct error *site_edit(const struct site_document *document, struct site_part *parts, size_t len,
                        struct site_edit *ret_edit);
