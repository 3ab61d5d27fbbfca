// SPDX-License-Identifier: Apache-2.0
// Credential plugins of a kubeconfig (client.authentication.k8s.io/v1 and v1beta1): the protocol of
// client-go 0.37, plugin/pkg/client/auth/exec/exec.go. Nothing but a verb's client runs one.
#pragma once

#include "cli_internal.h"
#include "drawbridge/loop.h"

#define PLUGIN_ANSWER_BYTES_MAX ((size_t)1 << 20)
#define PLUGIN_MS 900000 // a person may have to log in meanwhile

struct plugin_credential {
    char *token, *cert_pem, *key_pem; // each may be NULL, not all of them
    int64_t expires_ms;               // Unix time; 0: it does not say
};
void plugin_credential_fini(struct plugin_credential *credential);

// What a plugin printed. exec: as of kube_config_exec().
struct error *plugin_parse(const json_t *exec, struct slice output,
                           struct plugin_credential *ret_credential);
// Runs it and waits. stdin_taken: standard input is read for something else. Its stderr is ours.
// NOT_FOUND: it is not installed; the text then has the kubeconfig's installHint.
struct error *plugin_run(struct loop *loop, const json_t *exec, bool stdin_taken,
                         struct plugin_credential *ret_credential);
