// SPDX-License-Identifier: Apache-2.0
// site: where the flags of a component are written down, and edits of them that can be undone.
//
// Purpose   one codec for each way that flags are written: what they say, and the same document
//           saying something else
// In → Out  a text or a tree and what is wanted → the new one
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
// kubeadm-flags.env: the words of KUBELET_KUBEADM_ARGS. No YAML.
extern const struct site_codec site_env_file;

// What is to be written: as for gates_flags_edit(), each may be NULL.
struct site_change {
    const json_t *set_gates, *unset_gates, *set_runtime, *unset_runtime;
};
// What is written there.
struct error *site_read_text(const struct site_place *place, struct slice text,
                             struct gates_flags *ret_flags);
struct error *site_read_tree(const struct site_place *place, const json_t *tree,
                             struct gates_flags *ret_flags);
// The same with the change in it, and every other byte as it was. What cannot be read is not
// edited. The same call on the result changes nothing.
struct error *site_write_text(const struct site_place *place, struct slice text,
                              const struct site_change *change, char **ret_text);
struct error *site_write_tree(const struct site_place *place, const json_t *tree,
                              const struct site_change *change, json_t **ret_tree);

// The container in what site_pod, site_lists or site_kwok reads. Borrows from tree.
struct error *site_find(const struct site_place *place, const json_t *tree,
                        struct site_container *ret_container);
// The words of kubeadm-flags.env after "kubelet".
struct error *site_env_argv(struct slice text, const char *name, json_t **ret_argv);
// The lines of a kwok.yaml that are the component's. NOT_FOUND: it is not there.
struct error *site_kwok_part(struct slice text, const char *name, enum component component,
                             size_t *ret_from, size_t *ret_to);
