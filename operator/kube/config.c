// SPDX-License-Identifier: Apache-2.0
// Where a server and our credentials for it come from: a named kubeconfig, $KUBECONFIG, the pod,
// ~/.kube/config, in this order.
#include "kube_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

// An empty name, as with a missing section, must not crash whoever looks for it.
static json_t *merged_new(void)
{
    return json_pack("{s:{}, s:{}, s:{}}", "clusters", "users", "contexts");
}

static struct error *merge_file(json_t *merged, const char *path)
{
    AUTO_MEM char *text = NULL;
    struct error *err = kube_file_read(path, KUBE_FILE_BYTES_MAX, &text);
    if (err)
        return err;
    const char *slash = strrchr(path, '/');
    AUTO_MEM char *dir = slash ? str_ndup(path, (size_t)(slash - path)) : str_dup(".");
    return kube_kubeconfig_merge(merged, slice_of(text), path, dir);
}

// Files of the list that do not exist are passed over, as client-go does; one at least must be
// there.
static struct error *load_list(const char *list, const char *context,
                               enum kube_kubeconfig_owner owner, struct kube_config **ret_config)
{
    AUTO_JSON json_t *merged = merged_new();
    struct slice rest = slice_of(list), part;
    unsigned found = 0;
    while (slice_cut(&rest, ':', &part)) {
        if (part.len == 0)
            continue;
        AUTO_MEM char *path = slice_dup(part);
        AUTO(error) struct error *err = merge_file(merged, path);
        if (!err)
            found++;
        else if (error_kind(err) != ERROR_NOT_FOUND)
            return TAKE(err);
    }
    if (found == 0)
        return error_new(ERROR_NOT_FOUND, "KUBECONFIG=%s: no such file", list);
    return error_wrap(kube_kubeconfig_pick(merged, context, owner, ret_config), "%s", list);
}

static struct error *load_file(const char *path, const char *context,
                               enum kube_kubeconfig_owner owner, struct kube_config **ret_config)
{
    AUTO_JSON json_t *merged = merged_new();
    struct error *err = merge_file(merged, path);
    if (err)
        return error_wrap(err, "kubeconfig");
    return error_wrap(kube_kubeconfig_pick(merged, context, owner, ret_config), "kubeconfig %s",
                      path);
}

static struct error *load_home(const char *context, enum kube_kubeconfig_owner owner,
                               struct kube_config **ret_config)
{
    const char *home = getenv("HOME");
    AUTO_MEM char *path = str_format("%s/.kube/config", home ? home : "");
    struct error *err = load_file(path, context, owner, ret_config);
    if (err && error_kind(err) == ERROR_NOT_FOUND)
        return error_wrap(
            err, "no cluster: neither --kubeconfig nor KUBECONFIG is given and this is no pod");
    return err;
}

// A process in a pod is its service account's, whatever home it has; a person who types in a pod
// has a home first, as with kubectl.
static struct error *load(const char *path, const char *context, enum kube_kubeconfig_owner owner,
                          struct kube_config **ret_config)
{
    const char *list = getenv("KUBECONFIG"), *pod = getenv("KUBERNETES_SERVICE_HOST");
    bool in_pod = !context && pod && pod[0];
    struct error *err;

    if (path)
        return load_file(path, context, owner, ret_config);
    if (list && list[0])
        return load_list(list, context, owner, ret_config);
    if (in_pod && owner == KUBE_OWNER_SERVICE)
        return kube_config_in_cluster(NULL, ret_config);
    err = load_home(context, owner, ret_config);
    if (!err || !in_pod || error_kind(err) != ERROR_NOT_FOUND)
        return err;
    error_ignore(err, "there is the pod's service account");
    return kube_config_in_cluster(NULL, ret_config);
}

struct error *kube_config_load(const char *path, const char *context,
                               struct kube_config **ret_config)
{
    return load(path, context, KUBE_OWNER_SERVICE, ret_config);
}

struct error *kube_config_load_person(const char *path, const char *context,
                                      struct kube_config **ret_config)
{
    return load(path, context, KUBE_OWNER_PERSON, ret_config);
}

struct error *kube_config_parse_untrusted(struct slice yaml, struct kube_config **ret_config)
{
    if (yaml.len > KUBE_FILE_BYTES_MAX)
        return error_new(ERROR_LIMIT, "the kubeconfig is larger than %zu bytes",
                         KUBE_FILE_BYTES_MAX);
    AUTO_JSON json_t *merged = merged_new();
    struct error *err = kube_kubeconfig_merge(merged, yaml, "kubeconfig", NULL);
    return err ? err : kube_kubeconfig_pick(merged, NULL, KUBE_OWNER_SECRET, ret_config);
}

struct error *kube_config_in_cluster(const char *dir, struct kube_config **ret_config)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    if (!host || !host[0] || !port || !port[0])
        return error_new(
            ERROR_NOT_FOUND,
            "this is no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    dir = dir ? dir : SERVICE_ACCOUNT_DIR;
    AUTO(kube_config) struct kube_config *config = NEW(struct kube_config);
    config->server =
        str_format(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
    config->proxy = str_dup(""); // the service network is never behind the proxy of the environment
    config->token_file = str_format("%s/token", dir);
    config->ca_file = str_format("%s/ca.crt", dir);
    if (access(config->token_file, R_OK) != 0)
        return error_new(ERROR_NOT_FOUND,
                         "%s cannot be read: does the pod mount its service account token?",
                         config->token_file);
    AUTO_MEM char *namespace_file = str_format("%s/namespace", dir);
    AUTO_MEM char *text = NULL;
    AUTO(error) struct error *err = kube_file_read(namespace_file, 4096, &text);
    if (!err)
        config->namespace = slice_dup(slice_trim(slice_of(text)));
    *ret_config = TAKE(config);
    return NULL;
}

const char *kube_config_server(const struct kube_config *config)
{
    return config->server;
}

const char *kube_config_namespace(const struct kube_config *config)
{
    return config->namespace && config->namespace[0] ? config->namespace : "default";
}

void kube_config_free(struct kube_config *config)
{
    if (!config)
        return;
    char *owned[] = {config->server,   config->namespace,  config->proxy,   config->server_name,
                     config->token,    config->token_file, config->ca_pem,  config->ca_file,
                     config->cert_pem, config->cert_file,  config->key_pem, config->key_file};
    for (size_t i = 0; i < COUNT(owned); i++)
        mem_free(owned[i]);
    json_decref(config->exec);
    mem_free(config);
}
