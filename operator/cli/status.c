// SPDX-License-Identifier: Apache-2.0
// `drawbridge status`: a DRAConfiguration as a tree, down to the step each node is in.
#include <stddef.h>

#include "client.h"
#include "drawbridge/api.h"
#include "status.h"

struct settings {
    struct client_settings client; // must be first
    const char *output;
    bool watch;
};

static const struct cli_option options[] = {
    CLIENT_OPTIONS,
    CLIENT_NAMESPACE_OPTIONS,
    {.name = "watch",
     .letter = 'w',
     .type = CLI_BOOL,
     .offset = offsetof(struct settings, watch),
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

static struct error *fetch(struct client *client, json_t **ret_configs, json_t **ret_nodes)
{
    struct kube_ref configs = {.group = API_GROUP,
                               .version = API_VERSION,
                               .resource = "draconfigurations",
                               .namespace = client_scope(client)};
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

// The view as it is printed. Owned; NULL: there is nothing to show.
static char *render(const struct settings *settings, const struct status_view *view)
{
    if (str_eq(settings->output, "json"))
        return doc_print_json_pretty(view->picked);
    if (str_eq(settings->output, "yaml"))
        return doc_print_yaml(view->picked);
    return *view->text ? str_dup(view->text) : NULL;
}

static void print_change(const char *text, char **last)
{
    if (!text || str_eq(text, *last))
        return;
    cli_put(text, stdout);
    if (!str_ends(text, "\n"))
        cli_put("\n", stdout);
    fflush(stdout);
    mem_free(*last);
    *last = str_dup(text);
}

// *ret_ready: of what was shown last; *ret_count: how many DRAConfigurations that were.
static struct error *show(struct client *client, const struct settings *settings, const char *name,
                          bool *ret_ready, size_t *ret_count)
{
    AUTO_MEM char *last = NULL;

    for (;;) {
        AUTO_JSON json_t *configs = NULL;
        AUTO_JSON json_t *nodes = NULL;
        AUTO_MEM char *text = NULL;
        AUTO_VIEW struct status_view view = {0};
        struct error *err = fetch(client, &configs, &nodes);

        // While the API server of a one-node control plane restarts, watching goes on.
        if (err && !(settings->watch && error_kind(err) == ERROR_TRANSIENT))
            return err;
        if (!err) {
            status_view_make(configs, nodes, name, &view);
            *ret_ready = view.ready;
            *ret_count = json_array_size(view.picked);
            if (*ret_count > 0 || !name)
                text = render(settings, &view);
            print_change(text, &last);
        }
        error_free(err);
        if (!settings->watch || (view.picked && view.settled))
            return NULL;
        client_sleep(client, 500);
    }
}

static struct error *none_found(const struct client *client, const char *name)
{
    AUTO_MEM char *where = client_scope_text(client);

    return error_new(ERROR_NOT_FOUND, "there is no DRAConfiguration%s%s %s", name ? " " : "",
                     name ? name : "", where);
}

static int run(int argc, char **argv)
{
    struct settings settings;
    AUTO_CLIENT struct client client = {0};
    AUTO_STRLIST struct strlist names = {0};
    size_t count = 0;
    bool ready = false;
    struct error *err =
        cli_args_parse(&cli_verb_status, argc, argv, &settings, sizeof(settings), &names);

    if (!err && names.len > 1)
        err = error_new(ERROR_INVALID, "one name at most");
    if (!err && names.len == 1 && settings.client.all_namespaces)
        err = error_new(ERROR_INVALID, "a name goes with one namespace, not with --all-namespaces");
    if (err)
        return cli_usage_error(&cli_verb_status, err);
    err = client_open(&client, &settings.client);
    if (!err)
        err = show(&client, &settings, names.len ? names.items[0] : NULL, &ready, &count);
    if (!err && count == 0)
        err = none_found(&client, names.len ? names.items[0] : NULL);
    return err ? cli_error(err) : cli_finish(ready ? CLI_OK : CLI_DIFFERS);
}

const struct cli_verb cli_verb_status = {
    .name = "status",
    .summary = "a DRAConfiguration as a tree: components, nodes, conditions",
    .usage = "[NAME] [OPTION]...",
    .details = "Exit code 0: all that were shown are Ready, 1: one is not, above 1: an error. With "
               "--watch it ends when each is Ready or Stalled.",
    .example = "  drawbridge status kubermatic -n kubermatic --watch\n",
    .options = options,
    .run = run,
};
