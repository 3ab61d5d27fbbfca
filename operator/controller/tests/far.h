// SPDX-License-Identifier: Apache-2.0
// A fake API server as a target cluster: the Secret that leads to it, and who it says to be.
#pragma once

#include "testkit/fake_api.h"

#define SYSTEM "/api/v1/namespaces/kube-system"

FAKE char *far_encode(const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    AUTO_BUF struct buf out = buf_make(1 << 16);
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i += 3) {
        unsigned n = (unsigned)(unsigned char)text[i] << 16;

        n |= i + 1 < len ? (unsigned)(unsigned char)text[i + 1] << 8 : 0;
        n |= i + 2 < len ? (unsigned)(unsigned char)text[i + 2] : 0;
        buf_printf(&out, "%c%c%c%c", letters[n >> 18], letters[n >> 12 & 63],
                   i + 1 < len ? letters[n >> 6 & 63] : '=', i + 2 < len ? letters[n & 63] : '=');
    }
    return buf_take(&out);
}

FAKE json_t *far_secret(const struct fake_api *api, const char *token)
{
    AUTO_MEM char *text = str_format(
        "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"%s\"}}]\n"
        "users: [{name: u, user: {token: %s}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
        server_url(api->server), token);
    AUTO_MEM char *data = far_encode(text);

    return json_pack("{s:{}, s:{s:s}}", "metadata", "data", "value", data);
}

FAKE struct error *far_parse(struct slice text, struct kube_config **ret_config)
{
    AUTO_MEM char *path = test_path("kubeconfig");
    AUTO_MEM char *copy = slice_dup(text);

    test_write(path, copy);
    return kube_config_load(path, NULL, ret_config);
}

FAKE void far_identity(struct fake_api *api, const char *uid)
{
    fake_seed(api, SYSTEM, json_pack("{s:{}}", "metadata"));
    fake_edit(api, SYSTEM, json_pack("{s:{s:s}}", "metadata", "uid", uid));
}
