// SPDX-License-Identifier: Apache-2.0
// `drawbridge agent`: the hands on one node.
#include <stddef.h>
#include <unistd.h>

#include "drawbridge/agent.h"
#include "drawbridge/api.h"
#include "drawbridge/node.h"
#include "process.h"

struct settings {
    struct process_settings process; // must be first
    const char *node_name;
    const char *manifests_dir, *kubelet_config, *kubelet_flags, *state_dir, *pod_logs_dir;
    const char *restart_kubelet, *kubelet_healthz_url, *kubelet_metrics_url;
    const char *kwok_dir;
    const char *enter_host, *guard, *kubelet_unit, *kubelet_log, *host_root;
    bool remove_guard;
    const char *token_file, *client_cert, *client_key;
    const char *gates_table;
};

#define KUBELET_CONFIG "/var/lib/kubelet/config.yaml"
#define STATE_DIR "/var/lib/drawbridge"
#define TEXT(flag, member, arg, def, text)                                                         \
    {.name = flag,                                                                                 \
     .type = CLI_TEXT,                                                                             \
     .offset = offsetof(struct settings, member),                                                  \
     .argument = arg,                                                                              \
     .fallback = def,                                                                              \
     .help = text}

static const struct cli_option options[] = {
    PROCESS_OPTIONS,
    {.name = "node-name",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, node_name),
     .argument = "NAME",
     .env = "NODE_NAME",
     .help = "of this node; required, but with --kwok-dir"},
    TEXT(
        "kwok-dir", kwok_dir, "DIR", NULL,
        "of a cluster by kwokctl with the runtime binary (~/.kwok/clusters/NAME): its kwok.yaml is "
        "edited and its components are restarted, and no option about manifests or the kubelet "
        "counts"),
    TEXT("manifests-dir", manifests_dir, "DIR", "/etc/kubernetes/manifests", "static pods"),
    TEXT("kubelet-config", kubelet_config, "FILE", NULL,
         "the kubelet's configuration; default: what the running kubelet's command line says "
         "(--config, --config-dir), else " KUBELET_CONFIG),
    TEXT(
        "host-root", host_root, "DIR", NULL,
        "before such a path of the kubelet's, unless it is the default one: /proc/1/root in a pod"),
    TEXT("kubelet-flags", kubelet_flags, "FILE", "/var/lib/kubelet/kubeadm-flags.env",
         "the kubelet's flags, as kubeadm writes them"),
    TEXT("state-dir", state_dir, "DIR", NULL,
         "journal and backups; default: " STATE_DIR ", or drawbridge in --kwok-dir"),
    TEXT("pod-logs-dir", pod_logs_dir, "DIR", "/var/log/pods",
         "searched for why a component does not start"),
    TEXT("restart-kubelet", restart_kubelet, "COMMAND", "systemctl restart kubelet",
         "words separated by spaces, no shell"),
    TEXT("enter-host", enter_host, "COMMAND", NULL,
         "words before a program of the host's: nsenter and its flags; default: this is the host"),
    TEXT(
        "guard", guard, "FILE", NULL,
        "drawbridge-guard, to be copied into the state directory, which must have the same path on "
        "the host; default: no nets but the agent itself under an edit of the kubelet's file"),
    TEXT("kubelet-unit", kubelet_unit, "NAME", "kubelet", "of the host's service manager"),
    TEXT(
        "kubelet-log", kubelet_log, "COMMAND", NULL,
        "run on the host with --since=@SECONDS added, and searched for why a kubelet does not come "
        "back; default: not searched"),
    {.name = "remove-guard",
     .type = CLI_BOOL,
     .offset = offsetof(struct settings, remove_guard),
     .help = "take the guard off the host, and end"},
    TEXT("kubelet-healthz-url", kubelet_healthz_url, "URL", NULL,
         "default: where the kubelet's own configuration says (healthzBindAddress, healthzPort)"),
    TEXT("kubelet-metrics-url", kubelet_metrics_url, "URL", NULL,
         "default: where the kubelet's own configuration says (address, port)"),
    TEXT("token-file", token_file, "FILE", NULL,
         "for /metrics of the components; default: the pod's service account"),
    TEXT("client-certificate", client_cert, "FILE", NULL, "for /metrics of the components"),
    TEXT("client-key", client_key, "FILE", NULL, "goes with it"),
    TEXT("gates-table", gates_table, "FILE", NULL, "a table of gates in place of the built-in one"),
    {.name = NULL},
};

struct run {
    struct process process;
    struct http *probes;
    struct node *node;
    struct agent *agent;
    struct gates_table *table;
    struct strlist restart, enter, log, defaults;
    struct op *removal;
    struct error *said; // of the removal
};

static void on_stop(void *owner)
{
    struct run *run = owner;

    loop_stop(run->process.loop); // the journal says where we were
}

static bool on_ready(void *owner, struct buf *why)
{
    const struct run *run = owner;

    return agent_ready(run->agent, why);
}

static void on_node_change(void *owner)
{
    struct run *run = owner;

    if (run->agent)
        agent_note_change(run->agent);
}

static void split_words(const char *text, struct strlist *words)
{
    struct slice rest = slice_of(text), part;

    while (rest.ptr) {
        (void)slice_cut(&rest, ' ', &part);
        if (part.len > 0)
            strlist_take(words, slice_dup(part));
    }
}

static const char *keep_text(struct run *run, char *take_text)
{
    strlist_take(&run->defaults, take_text);
    return take_text;
}

// All that a kwok cluster has is in its directory, and it belongs to no node.
static struct error *find_defaults(struct run *run, struct settings *settings)
{
    const char *dir = settings->kwok_dir;

    if (!dir) {
        settings->state_dir = settings->state_dir ? settings->state_dir : STATE_DIR;
        return settings->node_name || settings->remove_guard
                   ? NULL
                   : error_new(ERROR_INVALID, "--node-name is required (or the environment "
                                              "variable NODE_NAME)");
    }
    if (dir[0] != '/')
        return error_new(ERROR_INVALID, "--kwok-dir: %s is not an absolute path", dir);
    settings->node_name = API_NODE_KWOK;
    if (!settings->state_dir)
        settings->state_dir = keep_text(run, str_format("%s/drawbridge", dir));
    if (!settings->process.kubeconfig)
        settings->process.kubeconfig = keep_text(run, str_format("%s/kubeconfig.yaml", dir));
    if (!settings->client_cert && !settings->token_file) {
        settings->client_cert = keep_text(run, str_format("%s/pki/admin.crt", dir));
        settings->client_key = keep_text(run, str_format("%s/pki/admin.key", dir));
    }
    return NULL;
}

#define POD_TOKEN "/var/run/secrets/kubernetes.io/serviceaccount/token"

// Who we are to the components of this node: what is named, or else the pod.
static const char *token_file(const struct settings *settings)
{
    if (settings->token_file || settings->client_cert)
        return settings->token_file;
    return access(POD_TOKEN, R_OK) == 0 ? POD_TOKEN : NULL;
}

static void read_words(struct run *run, const struct settings *settings, struct node_paths *paths)
{
    split_words(settings->restart_kubelet, &run->restart);
    if (run->restart.len > 0)
        paths->restart_kubelet = (const char *const *)run->restart.items;
    split_words(settings->enter_host, &run->enter);
    if (run->enter.len > 0)
        paths->enter_host = (const char *const *)run->enter.items;
    split_words(settings->kubelet_log, &run->log);
    if (run->log.len > 0)
        paths->kubelet_log = (const char *const *)run->log.items;
    paths->kubelet_unit = settings->kubelet_unit;
    paths->guard_program = settings->guard;
}

static struct error *make_node(struct run *run, const struct settings *settings)
{
    struct node_spec spec = {
        .paths = {.manifests_dir = settings->manifests_dir,
                  .kubelet_config =
                      settings->kubelet_config ? settings->kubelet_config : KUBELET_CONFIG,
                  .find_kubelet = !settings->kubelet_config,
                  .host_root = settings->host_root,
                  .kwok_dir = settings->kwok_dir,
                  .kubelet_flags = settings->kubelet_flags,
                  .state_dir = settings->state_dir,
                  .pod_logs_dir = settings->pod_logs_dir,
                  .kubelet_healthz_url = settings->kubelet_healthz_url,
                  .kubelet_metrics_url = settings->kubelet_metrics_url,
                  .bearer_token_file = token_file(settings),
                  .client_cert_file = settings->client_cert,
                  .client_key_file = settings->client_key},
        .node_name = settings->node_name,
        .table = run->table ? run->table : gates_table_builtin(),
        .on_change = on_node_change,
        .owner = run,
    };

    read_words(run, settings, &spec.paths);
    run->probes = http_new(run->process.loop, "drawbridge/" DRAWBRIDGE_VERSION);
    spec.http = run->probes;
    return node_new(run->process.loop, &spec, &run->node);
}

static struct error *serve_until_stopped(struct run *run, const struct settings *settings)
{
    struct agent_spec spec = {.node_name = settings->node_name};
    struct error *err = cli_load_table(settings->gates_table, &run->table);

    if (!err)
        err = process_start(&run->process, &settings->process);
    if (!err)
        err = make_node(run, settings);
    if (err)
        return err;
    spec.kube = run->process.kube;
    spec.node = run->node;
    run->agent = agent_new(run->process.loop, &spec);
    return process_run(&run->process, &settings->process, on_ready, on_stop, run);
}

static void on_removed(void *owner, struct error *take_err, const struct loop_child_result *result)
{
    struct run *run = owner;

    run->removal = NULL;
    run->said = take_err;
    if (!take_err && result->exit_code != 0) {
        AUTO_MEM char *text = slice_dup(slice_trim(result->errors));
        run->said = error_new(ERROR_CONFLICT, "%s", text);
    }
    loop_stop(run->process.loop);
}

static struct error *remove_guard(struct run *run, const struct settings *settings)
{
    struct node_paths paths = {.state_dir = settings->state_dir};

    read_words(run, settings, &paths);
    run->process.loop = loop_new();
    run->removal = node_remove_guard(run->process.loop, &paths, on_removed, run);
    if (run->removal)
        loop_run(run->process.loop);
    loop_free(TAKE(run->process.loop));
    return TAKE(run->said);
}

static int run_agent(int argc, char **argv)
{
    struct settings settings;
    struct run run = {0};
    struct error *err =
        cli_args_parse(&cli_verb_agent, argc, argv, &settings, sizeof(settings), NULL);

    if (!err)
        err = find_defaults(&run, &settings);
    if (err) {
        strlist_fini(&run.defaults);
        return cli_usage_error(&cli_verb_agent, err);
    }
    err = settings.remove_guard ? remove_guard(&run, &settings)
                                : serve_until_stopped(&run, &settings);
    agent_free(TAKE(run.agent));
    node_free(run.node);
    http_free(run.probes);
    if (run.process.loop)
        process_fini(&run.process);
    strlist_fini(&run.restart);
    strlist_fini(&run.enter);
    strlist_fini(&run.log);
    strlist_fini(&run.defaults);
    gates_table_free(run.table);
    return err ? cli_error(err) : CLI_OK;
}

const struct cli_verb cli_verb_agent = {
    .name = "agent",
    .summary = "on a node: edits its manifests and its kubelet's configuration, and puts them back "
               "when it must",
    .usage = "(--node-name NAME | --kwok-dir DIR) [OPTION]...",
    .details = "Needs to be root on the node, and with --kwok-dir the user whose cluster it is. "
               "Does what the NodeDRAConfiguration of that name (" API_NODE_KWOK
               " with --kwok-dir) says, also while the API server is away.",
    .example = "  drawbridge agent --node-name cp-1 --kubeconfig /etc/kubernetes/admin.conf\n"
               "  drawbridge agent --kwok-dir ~/.kwok/clusters/kwok\n",
    .options = options,
    .run = run_agent,
};
