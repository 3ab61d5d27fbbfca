// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli_internal.h"
#include "drawbridge/kube.h"

// A client for verbs that ask and end: each call runs the loop until its answer is there. Where the
// kubeconfig has a credential plugin it is run at first, before a call when what it gave has
// expired, and once more when the server says that it is no good.
struct client {
    struct loop *loop;
    struct http *http;
    struct kube *kube;
    json_t *exec;       // the kubeconfig's credential plugin; NULL: none
    int64_t expires_ms; // what it gave; 0: it did not say
    bool stdin_taken;
    char *namespace; // that is meant: --namespace, or the context's
    bool all_namespaces;
};
// For lists: NULL is every namespace.
const char *client_scope(const struct client *client);
char *client_scope_text(const struct client *client); // "in namespace x"; owned

// Which cluster, as kubectl is told it. Settings of a verb begin with it, for CLIENT_OPTIONS.
struct client_settings {
    const char *kubeconfig, *context, *namespace;
    bool all_namespaces;
    bool stdin_taken; // no option: standard input is read for something else than a login
};
#define CLIENT_OPTIONS                                                                             \
    {.name = "kubeconfig",                                                                         \
     .type = CLI_TEXT,                                                                             \
     .offset = offsetof(struct client_settings, kubeconfig),                                       \
     .argument = "FILE",                                                                           \
     .help = "default: KUBECONFIG, ~/.kube/config"},                                               \
        {.name = "context",                                                                        \
         .type = CLI_TEXT,                                                                         \
         .offset = offsetof(struct client_settings, context),                                      \
         .argument = "NAME",                                                                       \
         .help = "context of the kubeconfig"}
// For verbs about objects in namespaces.
#define CLIENT_NAMESPACE_OPTIONS                                                                   \
    {.name = "namespace",                                                                          \
     .letter = 'n',                                                                                \
     .type = CLI_TEXT,                                                                             \
     .offset = offsetof(struct client_settings, namespace),                                        \
     .argument = "NAMESPACE",                                                                      \
     .help = "default: the namespace of the context"},                                             \
        {.name = "all-namespaces",                                                                 \
         .letter = 'A',                                                                            \
         .type = CLI_BOOL,                                                                         \
         .offset = offsetof(struct client_settings, all_namespaces),                               \
         .help = "in every namespace"}
struct error *client_open(struct client *client, const struct client_settings *settings);
// From here on the client is one of the cluster that this kubeconfig of a Secret leads to.
struct error *client_switch(struct client *client, struct slice kubeconfig);
void client_fini(struct client *client);
#define AUTO_CLIENT CLEANUP(client_fini)
struct error *client_get_path(struct client *client, const char *path, json_t **ret_body);
// Each of paths, CLIENT_AT_ONCE_MAX at a time. each() has the answers in the order in which they
// come.
#define CLIENT_AT_ONCE_MAX 16
typedef void client_each_fn(void *owner, size_t index, struct error *take_err, json_t *take_body);
void client_get_each(struct client *client, const struct strlist *paths, client_each_fn *each,
                     void *owner);
struct error *client_get_text(struct client *client, const char *path, char **ret_text);
struct error *client_list(struct client *client, const struct kube_ref *ref, json_t **ret_list);
// Of a list that may be long: what keep() makes of its items (owned; NULL: nothing), max at most.
// *ret_more: there were more.
typedef json_t *client_keep_fn(const json_t *item);
struct error *client_list_kept(struct client *client, const struct kube_ref *ref,
                               const char *field_selector, client_keep_fn *keep, size_t max,
                               json_t **ret_items, bool *ret_more);
struct error *client_create(struct client *client, const struct kube_ref *ref, const json_t *object,
                            json_t **ret_object);
struct error *client_patch(struct client *client, const struct kube_ref *ref,
                           const struct kube_patch *patch, json_t **ret_object);
// What a server-side apply of object by field_manager would make of what is there; nothing is
// written. object: with apiVersion, kind, namespace and name.
struct error *client_apply_dry_run(struct client *client, const struct kube_ref *ref,
                                   const char *field_manager, const json_t *object,
                                   json_t **ret_object);
void client_sleep(struct client *client, uint64_t ms);
