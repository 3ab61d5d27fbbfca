// SPDX-License-Identifier: Apache-2.0
// The kubelet's configuration: its gates, and where it says that it answers.
#include "node_internal.h"

#include <string.h>

struct error *node_kubelet_config_read(struct slice text, const char *file_name, json_t **ret_gates,
                                       json_t *server)
{
    struct site_place place = {
        .codec = &site_kubelet_configuration, .component = COMPONENT_KUBELET, .name = file_name};
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO_JSON json_t *tree = NULL;
    struct error *err = doc_parse_yaml(text, file_name, &tree);
    if (!err)
        err = site_read_tree(&place, tree, &flags);
    if (err)
        return err;
    *ret_gates = TAKE(flags.feature_gates);
    if (server)
        node_kubelet_server_update(server, tree);
    return NULL;
}

// --- where it answers ----------------------------------------------------------------------------

// Fields of KubeletConfiguration, and the flags that outrank them.
static const struct {
    const char *field, *flag;
} server_fields[] = {{"healthzBindAddress", "healthz-bind-address"},
                     {"healthzPort", "healthz-port"},
                     {"address", "address"},
                     {"port", "port"}};

void node_kubelet_server_update(json_t *server, const json_t *config)
{
    for (size_t i = 0; i < COUNT(server_fields); i++) {
        json_t *value = json_object_get(config, server_fields[i].field);
        if (json_is_null(value)) // in a drop-in: the default again
            json_object_del(server, server_fields[i].field);
        else if (value)
            json_object_set(server, server_fields[i].field, value);
    }
}

json_t *node_kubelet_server_flags(const json_t *argv)
{
    json_t *server = json_object();
    for (size_t i = 0; i < COUNT(server_fields); i++) {
        const char *text = node_argv_flag(argv, server_fields[i].flag);
        uint64_t number;
        if (text && slice_to_u64(slice_of(text), &number) && number <= UINT16_MAX)
            json_object_set_new(server, server_fields[i].field, json_integer((json_int_t)number));
        else if (text) {
            AUTO_MEM char *plain = node_plain(slice_of(text));
            json_object_set_new(server, server_fields[i].field, doc_string(plain));
        }
    }
    return server;
}

// Bound to all addresses it answers on loopback, too.
static char *server_host(const json_t *server, const char *field)
{
    const char *host = doc_str(server, field, NULL);
    if (!host[0] || str_eq(host, "0.0.0.0") || str_eq(host, "::"))
        return str_dup("127.0.0.1");
    return strchr(host, ':') ? str_format("[%s]", host) : str_dup(host);
}

char *node_kubelet_healthz_url(const json_t *server)
{
    int64_t port = doc_int(server, 10248, "healthzPort", NULL);
    if (port == 0)
        return NULL;
    AUTO_MEM char *host = server_host(server, "healthzBindAddress");
    return str_format("http://%s:%lld/healthz", host, (long long)port);
}

char *node_kubelet_metrics_url(const json_t *server)
{
    int64_t port = doc_int(server, 0, "port", NULL); // 0 is the default, too
    AUTO_MEM char *host = server_host(server, "address");
    return str_format("https://%s:%lld/metrics", host, (long long)(port ? port : 10250));
}
