// SPDX-License-Identifier: Apache-2.0
// The kubeconfig file: several are merged as client-go does (the first that names a cluster, user
// or context wins, whole), then a context picks a cluster and a user. What we do not do is refused
// by name, never overlooked: acting as somebody else than the file says would be worse than not
// acting.
#include "kube_internal.h"

#include <string.h>

static const struct section {
    const char *list, *entry;
    const char *files[4]; // fields that name files
} SECTIONS[] = {
    {"clusters", "cluster", {"certificate-authority"}},
    {"users", "user", {"tokenFile", "client-certificate", "client-key"}},
    {"contexts", "context", {NULL}},
};

// Fields of a user that we refuse, with what to do.
static const struct {
    const char *field, *advice;
} REFUSED[] = {
    {"exec", "exec plugins are not run; give a token, a tokenFile or a client certificate"},
    {"auth-provider",
     "auth providers are not supported; give a token, a tokenFile or a client certificate"},
    {"username",
     "username and password are not supported; give a token, a tokenFile or a client certificate"},
    {"password",
     "username and password are not supported; give a token, a tokenFile or a client certificate"},
    {"as", "impersonation is not supported; give the credentials of the account itself"},
    {"as-uid", "impersonation is not supported; give the credentials of the account itself"},
    {"as-groups", "impersonation is not supported; give the credentials of the account itself"},
    {"as-user-extra", "impersonation is not supported; give the credentials of the account itself"},
};

static void resolve_file(json_t *body, const char *field, const char *dir)
{
    const char *path = doc_str(body, field, NULL);

    if (path[0] == '\0' || path[0] == '/')
        return;
    AUTO_MEM char *whole = str_format("%s/%s", dir, path);
    doc_set(body, doc_string(whole), field, NULL);
}

// A plugin without a slash is looked up in PATH.
static void resolve_files(json_t *body, const struct section *section, const char *dir)
{
    if (!dir)
        return;
    for (size_t i = 0; i < COUNT(section->files) && section->files[i]; i++)
        resolve_file(body, section->files[i], dir);
    if (strchr(doc_str(body, "exec", "command", NULL), '/'))
        resolve_file(json_object_get(body, "exec"), "command", dir);
}

static struct error *merge_section(json_t *merged, const json_t *tree,
                                   const struct section *section, const char *name, const char *dir)
{
    const json_t *list = doc_get(tree, section->list, NULL);
    if (!list || json_is_null(list))
        return NULL;
    if (!json_is_array(list))
        return error_new(ERROR_INVALID, "%s: %s is not a list", name, section->list);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *key = doc_str(item, "name", NULL);
        const json_t *body = doc_get(item, section->entry, NULL);
        if (doc_get(merged, section->list, key, NULL))
            continue;
        json_t *copy = json_is_object(body) ? doc_copy(body) : json_object();
        resolve_files(copy, section, dir);
        doc_set(merged, copy, section->list, key, NULL);
    }
    return NULL;
}

struct error *kube_kubeconfig_merge(json_t *merged, struct slice yaml, const char *name,
                                    const char *dir)
{
    AUTO_JSON json_t *tree = NULL;
    struct error *err = doc_parse_yaml(yaml, name, &tree);
    if (err)
        return err;
    if (json_is_null(tree))
        return NULL;
    if (!json_is_object(tree))
        return error_new(ERROR_INVALID, "%s is not a kubeconfig: it is no mapping", name);
    for (size_t i = 0; i < COUNT(SECTIONS); i++) {
        err = merge_section(merged, tree, &SECTIONS[i], name, dir);
        if (err)
            return err;
    }
    const char *current = doc_str(tree, "current-context", NULL);
    if (current[0] && !doc_get(merged, "current-context", NULL))
        doc_set(merged, doc_string(current), "current-context", NULL);
    return NULL;
}

static char *text_or_null(const json_t *body, const char *field)
{
    const char *text = doc_str(body, field, NULL);
    return text[0] ? str_dup(text) : NULL;
}

// field-data in base64 wins over the file that field names.
static struct error *take_pem(const json_t *body, const char *field, char **ret_pem,
                              char **ret_file)
{
    AUTO_MEM char *data_field = str_format("%s-data", field);
    const char *data = doc_str(body, data_field, NULL);
    if (!data[0]) {
        *ret_file = text_or_null(body, field);
        return NULL;
    }
    size_t len = 0;
    if (!kube_base64_decode(slice_of(data), ret_pem, &len) || strlen(*ret_pem) != len)
        return error_new(ERROR_INVALID, "%s is not base64 of a PEM text", data_field);
    return NULL;
}

static struct error *take_cluster(const json_t *cluster, struct kube_config *config)
{
    struct slice server = slice_of(doc_str(cluster, "server", NULL));
    while (server.len > 0 && server.ptr[server.len - 1] == '/')
        server.len--;
    config->server = slice_dup(server);
    if (!str_starts(config->server, "https://") && !str_starts(config->server, "http://"))
        return error_new(ERROR_INVALID, "server \"%s\" is neither https:// nor http://",
                         config->server);
    config->server_name = text_or_null(cluster, "tls-server-name");
    config->insecure = doc_bool(cluster, false, "insecure-skip-tls-verify", NULL);
    config->proxy = text_or_null(cluster, "proxy-url");
    struct error *err =
        take_pem(cluster, "certificate-authority", &config->ca_pem, &config->ca_file);
    if (err)
        return err;
    if (config->insecure && (config->ca_pem || config->ca_file))
        return error_new(ERROR_INVALID,
                         "certificate-authority and insecure-skip-tls-verify exclude each other");
    return NULL;
}

static struct error *take_user(const json_t *user, enum kube_kubeconfig_owner owner,
                               struct kube_config *config)
{
    for (size_t i = 0; i < COUNT(REFUSED); i++)
        if (doc_get(user, REFUSED[i].field, NULL) &&
            !json_is_null(doc_get(user, REFUSED[i].field, NULL)) &&
            !(owner == KUBE_OWNER_PERSON && str_eq(REFUSED[i].field, "exec")))
            return error_new(ERROR_INVALID, "%s: %s", REFUSED[i].field, REFUSED[i].advice);
    config->token = text_or_null(user, "token");
    config->token_file = text_or_null(user, "tokenFile");
    struct error *err = take_pem(user, "client-certificate", &config->cert_pem, &config->cert_file);
    if (!err)
        err = take_pem(user, "client-key", &config->key_pem, &config->key_file);
    if (err)
        return err;
    bool cert = config->cert_pem || config->cert_file, key = config->key_pem || config->key_file;
    if (cert != key)
        return error_new(ERROR_INVALID,
                         "client-certificate and client-key go together, one is missing");
    return NULL;
}

// What a kubeconfig that somebody else wrote must not make this process do.
static struct error *check_untrusted(const struct kube_config *config)
{
    const struct {
        const char *field, *value;
    } foreign[] = {
        {"tokenFile", config->token_file}, {"client-certificate", config->cert_file},
        {"client-key", config->key_file},  {"certificate-authority", config->ca_file},
        {"proxy-url", config->proxy},
    };
    for (size_t i = 0; i < COUNT(foreign); i++)
        if (foreign[i].value)
            return error_new(ERROR_INVALID,
                             "%s is not allowed in a kubeconfig from a Secret: it would act in the "
                             "controller; %s",
                             foreign[i].field,
                             str_eq(foreign[i].field, "proxy-url") ? "leave it out"
                                                                   : "embed the content instead");
    if (!str_starts(config->server, "https://"))
        return error_new(ERROR_INVALID, "server %s must be https:// in a kubeconfig from a Secret",
                         config->server);
    return NULL;
}

static struct error *find(const json_t *merged, const char *list, const char *name,
                          const char *asker, const json_t **ret_body)
{
    const json_t *body = doc_get(merged, list, name, NULL);
    if (!body)
        return error_new(ERROR_INVALID, "%s names \"%s\", which is not among the %s", asker, name,
                         list);
    *ret_body = body;
    return NULL;
}

struct error *kube_kubeconfig_pick(const json_t *merged, const char *context,
                                   enum kube_kubeconfig_owner owner,
                                   struct kube_config **ret_config)
{
    const char *asker = context ? "--context" : "current-context";
    context = context ? context : doc_str(merged, "current-context", NULL);
    if (!context[0])
        return error_new(ERROR_INVALID, "no current-context is set");
    const json_t *picked = NULL, *cluster = NULL, *user = NULL;
    struct error *err = find(merged, "contexts", context, asker, &picked);
    if (!err)
        err = find(merged, "clusters", doc_str(picked, "cluster", NULL), "the context's cluster",
                   &cluster);
    const char *user_name = doc_str(picked, "user", NULL);
    if (!err && user_name[0])
        err = find(merged, "users", user_name, "the context's user", &user);
    AUTO(kube_config) struct kube_config *config = NEW(struct kube_config);
    config->namespace = text_or_null(picked, "namespace");
    if (!err)
        err = error_wrap(take_cluster(cluster, config), "cluster %s",
                         doc_str(picked, "cluster", NULL));
    if (!err)
        err = error_wrap(take_user(user, owner, config), "user %s", user_name);
    if (!err && owner == KUBE_OWNER_PERSON)
        err = error_wrap(kube_exec_take(user, cluster, config), "user %s", user_name);
    if (!err && owner == KUBE_OWNER_SECRET)
        err = check_untrusted(config);
    if (err)
        return err;
    *ret_config = TAKE(config);
    return NULL;
}
