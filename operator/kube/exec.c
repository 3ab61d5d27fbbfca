// SPDX-License-Identifier: Apache-2.0
// What a kubeconfig says of a credential plugin: checked, and made ready for whoever runs it. The
// rules are those of client-go 0.37: tools/clientcmd/{loader,validation,client_config}.go and
// plugin/pkg/client/auth/exec/exec.go.
#include "kube_internal.h"

#define EXEC_GROUP "client.authentication.k8s.io/"
#define EXEC_EXTENSION "client.authentication.k8s.io/exec"
#define EXEC_WORDS_MAX 1000 // arguments, and variables of the environment

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (str_eq(text, *list))
            return true;
    return false;
}

static struct error *check_words(const json_t *exec)
{
    const json_t *args = json_object_get(exec, "args"), *env = json_object_get(exec, "env");

    if (json_array_size(args) > EXEC_WORDS_MAX || json_array_size(env) > EXEC_WORDS_MAX)
        return error_new(ERROR_LIMIT, "exec: more than %d args or env", EXEC_WORDS_MAX);
    for (size_t i = 0; i < json_array_size(args); i++)
        if (!json_is_string(json_array_get(args, i)))
            return error_new(ERROR_INVALID, "exec: args[%zu] is no text", i);
    for (size_t i = 0; i < json_array_size(env); i++)
        if (!*doc_str(json_array_get(env, i), "name", NULL))
            return error_new(ERROR_INVALID, "exec: env[%zu] has no name", i);
    return NULL;
}

static struct error *check(const json_t *exec)
{
    static const char *const versions[] = {EXEC_GROUP "v1", EXEC_GROUP "v1beta1", NULL};
    static const char *const modes[] = {"Never", "IfAvailable", "Always", NULL};
    const char *version = doc_str(exec, "apiVersion", NULL);
    const char *mode = doc_str(exec, "interactiveMode", NULL);

    if (!*doc_str(exec, "command", NULL))
        return error_new(ERROR_INVALID, "exec: command is missing");
    if (!is_one_of(version, versions))
        return error_new(ERROR_INVALID, "exec: apiVersion \"%s\" is neither %s nor %s", version,
                         versions[0], versions[1]);
    if (!*mode && str_eq(version, versions[0]))
        return error_new(ERROR_INVALID, "exec: interactiveMode is missing, which %s requires",
                         version);
    if (*mode && !is_one_of(mode, modes))
        return error_new(ERROR_INVALID,
                         "exec: interactiveMode \"%s\" is not one of: Never IfAvailable Always",
                         mode);
    return check_words(exec);
}

// The configuration of the plugin that stands beside the cluster; NULL: none.
static const json_t *find_extension(const json_t *cluster)
{
    const json_t *extensions = json_object_get(cluster, "extensions");

    for (size_t i = 0; i < json_array_size(extensions); i++)
        if (str_eq(doc_str(json_array_get(extensions, i), "name", NULL), EXEC_EXTENSION))
            return json_object_get(json_array_get(extensions, i), "extension");
    return NULL;
}

// spec.cluster of an ExecCredential.
static struct error *describe_cluster(const json_t *cluster, const struct kube_config *config,
                                      json_t **ret_info)
{
    AUTO_JSON json_t *info = json_object();
    const json_t *extension = find_extension(cluster);
    AUTO_MEM char *read = NULL;
    struct error *err =
        config->ca_file ? kube_file_read(config->ca_file, KUBE_FILE_BYTES_MAX, &read) : NULL;
    const char *ca = read ? read : config->ca_pem;

    if (err)
        return error_wrap(err, "certificate-authority");
    doc_set(info, doc_string(doc_str(cluster, "server", NULL)), "server", NULL);
    if (config->server_name)
        doc_set(info, doc_string(config->server_name), "tls-server-name", NULL);
    if (config->insecure)
        doc_set(info, json_true(), "insecure-skip-tls-verify", NULL);
    if (ca) {
        AUTO_MEM char *encoded = kube_base64_encode(slice_of(ca));
        doc_set(info, doc_string(encoded), "certificate-authority-data", NULL);
    }
    if (config->proxy)
        doc_set(info, doc_string(config->proxy), "proxy-url", NULL);
    if (doc_bool(cluster, false, "disable-compression", NULL))
        doc_set(info, json_true(), "disable-compression", NULL);
    doc_set(info, extension ? doc_copy(extension) : json_null(), "config", NULL);
    *ret_info = TAKE(info);
    return NULL;
}

struct error *kube_exec_take(const json_t *user, const json_t *cluster, struct kube_config *config)
{
    const json_t *exec = json_object_get(user, "exec");
    AUTO_JSON json_t *taken = NULL;
    json_t *info = NULL;
    struct error *err;

    if (!exec || json_is_null(exec))
        return NULL;
    err = check(exec);
    if (err)
        return err;
    // As in client-go: what is given outright is not asked for.
    if (config->token || config->token_file || config->cert_pem || config->cert_file)
        return NULL;
    taken = doc_copy(exec);
    if (!*doc_str(exec, "interactiveMode", NULL))
        doc_set(taken, json_string("IfAvailable"), "interactiveMode", NULL);
    json_object_del(taken, "cluster");
    if (doc_bool(exec, false, "provideClusterInfo", NULL)) {
        err = describe_cluster(cluster, config, &info);
        if (err)
            return err;
        doc_set(taken, info, "cluster", NULL);
    }
    config->exec = TAKE(taken);
    return NULL;
}

const json_t *kube_config_exec(const struct kube_config *config)
{
    return config->exec;
}

unsigned kube_unauthorized(const struct kube *kube)
{
    return kube->unauthorized;
}

void kube_set_credentials(struct kube *kube, const char *token, const char *cert_pem,
                          const char *key_pem)
{
    bool same = str_eq(kube->cert.text, cert_pem) && str_eq(kube->key.text, key_pem);

    mem_free(kube->token);
    mem_free(kube->cert.text);
    mem_free(kube->key.text);
    kube->token = str_dup(token);
    kube->cert = (struct kube_pem){.text = str_dup(cert_pem)};
    kube->key = (struct kube_pem){.text = str_dup(key_pem)};
    if (!same)
        http_forget_connections(kube->http);
}
