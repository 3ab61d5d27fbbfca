// SPDX-License-Identifier: Apache-2.0
// `drawbridge status`: a DRAConfiguration as a tree, down to the step each node is in.
#include <stddef.h>
#include <string.h>

#include "client.h"
#include "drawbridge/api.h"
#include "drawbridge/gates.h"

struct settings {
    const char *kubeconfig, *context, *namespace, *output;
    bool watch;
};

static const struct cli_option options[] = {
    {.name = "kubeconfig",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, kubeconfig),
     .argument = "FILE",
     .help = "default: KUBECONFIG, ~/.kube/config"},
    {.name = "context",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, context),
     .argument = "NAME",
     .help = "context of the kubeconfig"},
    {.name = "namespace",
     .letter = 'n',
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, namespace),
     .argument = "NAMESPACE",
     .help = "default: all"},
    {.name = "watch",
     .letter = 'w',
     .type = CLI_BOOL,
     .offset = offsetof(struct settings, watch),
     .argument = "BOOL",
     .fallback = "false",
     .help = "print again on each change, until it is Ready or Stalled"},
    {.name = "output",
     .letter = 'o',
     .type = CLI_CHOICE,
     .offset = offsetof(struct settings, output),
     .argument = "FORMAT",
     .values = "tree json yaml",
     .fallback = "tree",
     .help = "one of"},
    {.name = NULL},
};

static const json_t *find(const json_t *list, const char *key, const char *value)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (str_eq(doc_str(json_array_get(list, i), key, NULL), value))
            return json_array_get(list, i);
    }
    return NULL;
}

static const json_t *condition_of(const json_t *config, const char *type)
{
    return find(doc_get(config, "status", "conditions", NULL), "type", type);
}

static void add_node_line(struct buf *text, const json_t *node, const char *component)
{
    const json_t *entry = find(doc_get(node, "status", "components", NULL), "name", component);
    const char *message = doc_str(entry, "message", NULL);

    if (!entry)
        return;
    buf_printf(text, "|   |- %s: %s %s", doc_str(node, "metadata", "name", NULL),
               doc_str(entry, "state", NULL), doc_str(entry, "version", NULL));
    if (str_eq(doc_str(node, "status", "step", "component", NULL), component))
        buf_printf(text, ", %s since %s", doc_str(node, "status", "step", "phase", NULL),
                   doc_str(node, "status", "step", "since", NULL));
    if (*message)
        buf_printf(text, " (%s: %s)", doc_str(entry, "reason", NULL), message);
    buf_add_str(text, "\n");
}

static void add_components(struct buf *text, const json_t *config, const json_t *nodes)
{
    const json_t *components = doc_get(config, "status", "components", NULL);
    AUTO_MEM char *key = str_format("%s/%s", doc_str(config, "metadata", "namespace", NULL),
                                    doc_str(config, "metadata", "name", NULL));

    for (size_t i = 0; i < json_array_size(components); i++) {
        const json_t *component = json_array_get(components, i);
        const char *name = doc_str(component, "name", NULL);
        const char *desired = doc_str(component, "desired", NULL);

        buf_printf(text, "|- %s %lld/%lld  %s\n", name,
                   (long long)doc_int(component, 0, "updated", NULL),
                   (long long)doc_int(component, 0, "instances", NULL),
                   *desired ? desired : "nothing to write");
        for (size_t k = 0; k < json_array_size(nodes); k++) {
            if (str_eq(doc_str(json_array_get(nodes, k), "spec", "configuration", NULL), key))
                add_node_line(text, json_array_get(nodes, k), name);
        }
    }
}

static void add_tree(struct buf *text, const json_t *config, const json_t *nodes)
{
    const json_t *ready = condition_of(config, "Ready");
    const json_t *conditions = doc_get(config, "status", "conditions", NULL);

    buf_printf(text, "%s/%s  %s  Kubernetes %s  Ready=%s\n",
               doc_str(config, "metadata", "namespace", NULL),
               doc_str(config, "metadata", "name", NULL),
               doc_str(config, "status", "platform", NULL),
               doc_str(config, "status", "kubernetesVersion", NULL),
               ready ? doc_str(ready, "status", NULL) : "Unknown");
    add_components(text, config, nodes);
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        buf_printf(text, "%s %s=%s %s: %s\n", i + 1 < json_array_size(conditions) ? "|-" : "`-",
                   doc_str(condition, "type", NULL), doc_str(condition, "status", NULL),
                   doc_str(condition, "reason", NULL), doc_str(condition, "message", NULL));
    }
}

static struct error *fetch(struct client *client, const struct settings *settings,
                           json_t **ret_configs, json_t **ret_nodes)
{
    struct kube_ref configs = {.group = API_GROUP,
                               .version = API_VERSION,
                               .resource = "draconfigurations",
                               .namespace = settings->namespace};
    struct kube_ref nodes = {
        .group = API_GROUP, .version = API_VERSION, .resource = "nodedraconfigurations"};
    AUTO_JSON json_t *config_list = NULL;
    AUTO_JSON json_t *node_list = NULL;
    struct error *err = client_list(client, &configs, &config_list);

    if (!err)
        err = client_list(client, &nodes, &node_list);
    if (err)
        return err;
    *ret_configs = doc_copy(json_object_get(config_list, "items"));
    *ret_nodes = doc_copy(json_object_get(node_list, "items"));
    return NULL;
}

static char *render(const struct settings *settings, const json_t *configs, const json_t *nodes,
                    const char *name, bool *ret_settled, size_t *ret_count)
{
    AUTO_BUF struct buf text = buf_make((size_t)4 << 20);
    AUTO_JSON json_t *picked = json_array();

    *ret_settled = true;
    for (size_t i = 0; i < json_array_size(configs); i++) {
        json_t *config = json_array_get(configs, i);

        if (name && !str_eq(doc_str(config, "metadata", "name", NULL), name))
            continue;
        json_array_append(picked, config);
        add_tree(&text, config, nodes);
        if (!str_eq(doc_str(condition_of(config, "Ready"), "status", NULL), "True") &&
            !condition_of(config, "Stalled"))
            *ret_settled = false;
        if (doc_int(config, -1, "status", "observedGeneration", NULL) !=
            doc_int(config, 0, "metadata", "generation", NULL))
            *ret_settled = false;
    }
    *ret_count = json_array_size(picked);
    if (str_eq(settings->output, "json"))
        return doc_print_json_pretty(picked);
    return str_eq(settings->output, "yaml") ? doc_print_yaml(picked) : buf_take(&text);
}

static struct error *show(struct client *client, const struct settings *settings, const char *name,
                          size_t *ret_count)
{
    AUTO_MEM char *last = NULL;

    for (;;) {
        AUTO_JSON json_t *configs = NULL;
        AUTO_JSON json_t *nodes = NULL;
        AUTO_MEM char *text = NULL;
        bool settled = false;
        struct error *err = fetch(client, settings, &configs, &nodes);

        // While the API server of a one-node control plane restarts, watching goes on.
        if (err && !(settings->watch && error_kind(err) == ERROR_TRANSIENT))
            return err;
        if (!err)
            text = render(settings, configs, nodes, name, &settled, ret_count);
        error_free(err);
        if (text && !str_eq(text, last)) {
            printf("%s%s", text, str_ends(text, "\n") ? "" : "\n");
            fflush(stdout);
            mem_free(last);
            last = TAKE(text);
        }
        if (!settings->watch || settled)
            return NULL;
        client_sleep(client, 500);
    }
}

static int run(int argc, char **argv)
{
    struct settings settings;
    AUTO_CLIENT struct client client = {0};
    AUTO_STRLIST struct strlist names = {0};
    size_t count = 0;
    struct error *err =
        cli_args_parse(&cli_verb_status, argc, argv, &settings, sizeof(settings), &names);

    if (!err && names.len > 1)
        err = error_new(ERROR_INVALID, "one name at most");
    if (err)
        return cli_usage_error(&cli_verb_status, err);
    err = client_open(&client, settings.kubeconfig, settings.context);
    if (!err)
        err = show(&client, &settings, names.len ? names.items[0] : NULL, &count);
    if (!err && count == 0)
        err = names.len
                  ? error_new(ERROR_NOT_FOUND, "there is no DRAConfiguration %s", names.items[0])
                  : error_new(ERROR_NOT_FOUND, "there is no DRAConfiguration");
    return err ? cli_error(err) : cli_finish(CLI_OK);
}

const struct cli_verb cli_verb_status = {
    .name = "status",
    .summary = "a DRAConfiguration as a tree: components, nodes, conditions",
    .usage = "[NAME] [OPTION]...",
    .example = "  drawbridge status kubermatic -n kubermatic --watch\n",
    .options = options,
    .run = run,
};
