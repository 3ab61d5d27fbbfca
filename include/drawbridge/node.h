// SPDX-License-Identifier: Apache-2.0
// node: the agent's hands on one node: it makes the files say what is desired, and puts them back
// when a component does not come back.
//
// Purpose   edits of static pod manifests, of the kubelet's config.yaml and of a kwok cluster's
//           kwok.yaml, a journal, local probes, rollback without an API
// In → Out  spec of a NodeDRAConfiguration → files; files and components → its status
// May use   guard site gates doc loop http base
// Never     talks to the API server as a client of it (only to its health and metrics on this
//           node); decides what is desired
// Limits    manifests of 1 MiB; componentTimeout from the spec, 10 s to 1 h
// Blocking  reads and writes small local files, fsync included
// Wakes     when a watched file changes; while a step runs or a component does not answer; for a
//           settled kubelet every 30 s
//
// Crash-safe: before a file is touched the journal (state_dir/journal.json, written atomically)
// says what is about to happen and holds the bytes from before; after a restart node_new() reads it
// and goes on: either the edit is verified or it is taken back.
#pragma once

#include "drawbridge/gates.h"
#include "drawbridge/http.h"

struct node_paths {
    const char *manifests_dir; // /etc/kubernetes/manifests
    // /var/lib/kubelet/config.yaml; may be absent on disk: then this node has no kubelet to
    // configure
    const char *kubelet_config;
    // the running kubelet's own --config and --config-dir go before kubelet_config
    bool find_kubelet;
    // before a path that the kubelet names and that is not kubelet_config: /proc/1/root in a pod;
    // NULL: none
    const char *host_root;
    // of a cluster that kwokctl made with the binary runtime, ~/.kwok/clusters/NAME: its kwok.yaml
    // is edited and its components are restarted, and none of what is about manifests and the
    // kubelet counts; NULL: none
    const char *kwok_dir;
    const char *kubelet_flags; // /var/lib/kubelet/kubeadm-flags.env; may be absent
    const char *state_dir;     // /var/lib/drawbridge: journal and backups; made with mode 0700
    // /var/log/pods: searched for why a component does not start; NULL: not searched
    const char *pod_logs_dir;
    // argv that restarts the kubelet; NULL: the kubelet is not managed
    const char *const *restart_kubelet;
    // words before a program of the host's: nsenter and its flags; NULL: we are there
    const char *const *enter_host;
    // drawbridge-guard, for the node; NULL: no nets but ourselves under an edit of the kubelet's
    // file
    const char *guard_program;
    const char *kubelet_unit; // NULL: kubelet
    // argv, run on the host, to which --since=@SECONDS is added: what the kubelet said; NULL: not
    // searched
    const char *const *kubelet_log;
    // of its drop-ins, on the host; NULL: /etc/systemd/system/UNIT.service.d
    const char *kubelet_unit_dir;
    const char *kubelet_healthz_url; // NULL: where the kubelet's configuration and flags say
    const char *kubelet_metrics_url; // NULL: likewise
    const char *bearer_token_file;   // for /metrics; re-read each time; NULL: bearer_token
    const char *bearer_token;        // NULL: none
    const char *client_cert_file, *client_key_file; // for /metrics; NULL: none
};

struct node;
struct node_spec {
    struct node_paths paths;
    const char *node_name;
    const struct gates_table *table;
    struct http *http;
    // node_status() differs from before; never inside a call of ours into node
    void (*on_change)(void *owner);
    void *owner;
};
// Strings of spec are borrowed for the life of the node.
struct error *node_new(struct loop *loop, const struct node_spec *spec, struct node **ret_node);
void node_free(struct node *node);
AUTO_DECLARE(node, struct node)

// What is desired now: the spec of a NodeDRAConfiguration (crds/). Journalled, then worked on: one
// component at a time, in the order kube-apiserver, kube-controller-manager, kube-scheduler,
// kubelet when spec.direction is Enable, the reverse when Disable. An epoch older than the
// journal's is refused (CONFLICT, reason StaleEpoch). The same spec again changes nothing. A
// component whose desired revision failed here is not tried again until that revision changes.
// Names of gates and API versions that gates.h does not allow are INVALID. A journal that cannot be
// written is no error: no file is touched before it can, and the status says why.
struct error *node_set_desired(struct node *node, const json_t *spec);
// The status of the NodeDRAConfiguration, as crds/ describes it (without observedGeneration, which
// the caller adds). Borrowed until the next turn.
const json_t *node_status(const struct node *node);
bool node_is_idle(const struct node *node); // nothing in progress and nothing to do
// Whether every component that is there has told all it was asked, or has failed to three times:
// before that the status says less than is known.
bool node_has_looked(const struct node *node);
// Looks at files and components again (they are also looked at when a file changes).
void node_refresh(struct node *node);

// Takes the guard and its drop-in off the host, unless an edit is under way (the child says so).
// NULL: it is not there.
MUST_USE struct op *node_remove_guard(struct loop *loop, const struct node_paths *paths,
                                      loop_child_fn *fn, void *owner);
