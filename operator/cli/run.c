// SPDX-License-Identifier: Apache-2.0
// `drawbridge run`: the controller.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "drawbridge/lead.h"
#include "drawbridge/controller.h"
#include "process.h"

struct settings {
    struct process_settings process; // must be first
    bool leader_elect;
    const char *lease_namespace;
    unsigned shards;
    struct strlist governing_namespaces, reach, look;
    const char *gates_table;
    const char *helm, *helm_dir, *helm_account, *chart_root, *smoke_test_image;
    const char *smoke_test_namespace;
    uint64_t helm_timeout_ms, smoke_test_timeout_ms;
    const char *git_file_root;
    unsigned git_pack_max_mib;
};

static const struct cli_option options[] = {
    PROCESS_OPTIONS,
    {.name = "leader-elect",
     .type = CLI_BOOL,
     .offset = offsetof(struct settings, leader_elect),
     .fallback = "true",
     .help = "false: this is the only one"},
    {.name = "lease-namespace",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, lease_namespace),
     .argument = "NAMESPACE",
     .env = "POD_NAMESPACE",
     .help = "of the Lease; default: the namespace of the kubeconfig or the pod"},
    {.name = "shards",
     .type = CLI_UINT,
     .offset = offsetof(struct settings, shards),
     .argument = "N",
     .fallback = "0",
     .help = "spread other clusters over all controllers, in so many shards (64 at most); 0: the "
             "one that leads has them"},
    {.name = "governing-namespace",
     .type = CLI_LIST,
     .offset = offsetof(struct settings, governing_namespaces),
     .argument = "NAMESPACE",
     .help = "whose DRAConfigurations may configure this cluster, beside the Lease's; may be "
             "repeated"},
    {.name = "reach",
     .type = CLI_LIST,
     .offset = offsetof(struct settings, reach),
     .argument = "FROM=TO",
     .help = "DRAConfigurations of namespace FROM may configure hosted control planes and "
             "Clusters in namespace TO; may be repeated"},
    {.name = "look",
     .type = CLI_LIST,
     .offset = offsetof(struct settings, look),
     .argument = "FROM=TO",
     .help = "DRAConfigurations of namespace FROM may have a driver in namespace TO looked at; may "
             "be repeated"},
    {.name = "gates-table",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, gates_table),
     .argument = "FILE",
     .help = "a table of gates in place of the built-in one"},
    {.name = "helm",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, helm),
     .argument = "PROGRAM",
     .fallback = "helm",
     .help = "helm 4, for spec.driver"},
    {.name = "helm-dir",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, helm_dir),
     .argument = "DIR",
     .fallback = "/tmp/drawbridge-helm",
     .help = "for helm's caches and for charts that it fetches"},
    {.name = "helm-service-account",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, helm_account),
     .argument = "NAMESPACE/NAME",
     .help = "whom helm is to the API server; default: who the controller is"},
    {.name = "chart-root",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, chart_root),
     .argument = "DIR",
     .help = "charts of spec.driver.chart.path are below it; default: none"},
    {.name = "helm-timeout",
     .type = CLI_DURATION,
     .offset = offsetof(struct settings, helm_timeout_ms),
     .argument = "DURATION",
     .fallback = "2m",
     .help = "for one run of helm"},
    {.name = "smoke-test-image",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, smoke_test_image),
     .argument = "IMAGE",
     .help = "of the smoke test's pod, which must stay up; default: pause"},
    {.name = "smoke-test-namespace",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, smoke_test_namespace),
     .argument = "NAMESPACE",
     .fallback = "drawbridge-smoke-test",
     .help =
         "where the smoke test's claim and pod are made; it must exist, and should have nothing "
         "else in it"},
    {.name = "smoke-test-timeout",
     .type = CLI_DURATION,
     .offset = offsetof(struct settings, smoke_test_timeout_ms),
     .argument = "DURATION",
     .fallback = "2m",
     .help = "until the smoke test's pod must run, its image pulled"},
    {.name = "git-file-root",
     .type = CLI_TEXT,
     .offset = offsetof(struct settings, git_file_root),
     .argument = "DIR",
     .help = "ConfigSources with file:// may read repositories below it; default: none"},
    {.name = "git-pack-max-mib",
     .type = CLI_UINT,
     .offset = offsetof(struct settings, git_pack_max_mib),
     .argument = "MIB",
     .fallback = "128",
     .help = "what a fetch of a ConfigSource may transfer at most"},
    {.name = NULL},
};

struct run {
    struct process process;
    struct controller *controller;
    struct op *stopping;
    struct gates_table *table;
};

static void on_stopped(void *owner)
{
    struct run *run = owner;

    run->stopping = NULL;
    loop_stop(run->process.loop);
}

static void on_stop(void *owner)
{
    struct run *run = owner;

    run->stopping = controller_stop(run->controller, on_stopped, run);
}

static bool on_ready(void *owner, struct buf *why)
{
    const struct run *run = owner;

    return controller_ready(run->controller, why);
}

struct error *cli_load_table(const char *path, struct gates_table **ret_table)
{
    *ret_table = NULL;
    if (!path)
        return NULL;

    AUTO_MEM char *text = NULL;
    struct error *err = cli_read_file(path, &text);

    return err ? err : gates_table_load(slice_of(text), path, ret_table);
}

// What helm is told, whose HOME is another: the file that kube_config_load() takes; NULL in a pod.
static char *find_kubeconfig(const char *given)
{
    const char *home = getenv("HOME");

    if (given)
        return str_dup(given);
    if (getenv("KUBECONFIG"))
        return str_dup(getenv("KUBECONFIG"));
    if (getenv("KUBERNETES_SERVICE_HOST"))
        return NULL;
    return str_format("%s/.kube/config", home ? home : "");
}

// A namespace's name: a label of DNS, as Kubernetes has it.
static bool is_namespace(struct slice name)
{
    bool ok = name.len > 0 && name.len <= 63;

    for (size_t i = 0; ok && i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        ok = letter || (c == '-' && i > 0 && i + 1 < name.len);
    }
    return ok;
}

static struct error *check_pairs(const char *flag, const struct strlist *pairs)
{
    for (size_t i = 0; i < pairs->len; i++) {
        struct slice to = slice_of(pairs->items[i]), from;

        if (!slice_cut(&to, '=', &from) || !is_namespace(from) || !is_namespace(to))
            return error_new(ERROR_INVALID,
                             "%s: write FROM=TO, two names of namespaces, not \"%.*s\"", flag,
                             TEXT_CUT(100, pairs->items[i]));
    }
    return NULL;
}

// A typing error in a list would take somebody's right away without a word.
static struct error *check_settings(const struct settings *settings)
{
    struct error *err;

    if (settings->shards > LEAD_SHARDS_MAX || (settings->shards > 0 && !settings->leader_elect))
        return error_new(ERROR_INVALID,
                         "--shards: there may be %d at most, and none with --leader-elect=false",
                         LEAD_SHARDS_MAX);
    for (size_t i = 0; i < settings->governing_namespaces.len; i++) {
        const char *name = settings->governing_namespaces.items[i];

        if (!is_namespace(slice_of(name)))
            return error_new(ERROR_INVALID,
                             "--governing-namespace: \"%.*s\" is no name of a namespace",
                             TEXT_CUT(100, name));
    }
    err = check_pairs("--reach", &settings->reach);
    return err ? err : check_pairs("--look", &settings->look);
}

static struct error *serve_until_stopped(struct run *run, const struct settings *settings)
{
    AUTO_MEM char *identity = process_identity();
    AUTO_MEM char *kubeconfig = NULL;
    struct controller_spec spec = {.identity = identity, .leader_elect = settings->leader_elect};
    struct error *err = cli_load_table(settings->gates_table, &run->table);

    if (!err)
        err = process_start(&run->process, &settings->process);
    if (err)
        return err;
    spec.kube = run->process.kube;
    spec.table = run->table ? run->table : gates_table_builtin();
    spec.metrics = run->process.metrics;
    spec.lease_namespace =
        settings->lease_namespace ? settings->lease_namespace : run->process.namespace;
    spec.shards = settings->shards;
    spec.governing_namespaces = &settings->governing_namespaces;
    spec.reach = &settings->reach;
    spec.look = &settings->look;
    spec.helm = settings->helm;
    spec.helm_dir = settings->helm_dir;
    spec.helm_account = settings->helm_account;
    spec.chart_root = settings->chart_root;
    spec.helm_timeout_ms = settings->helm_timeout_ms;
    spec.smoke_test_image = settings->smoke_test_image;
    spec.smoke_test_namespace = settings->smoke_test_namespace;
    spec.smoke_test_timeout_ms = settings->smoke_test_timeout_ms;
    kubeconfig = find_kubeconfig(settings->process.kubeconfig);
    spec.helm_kubeconfig = kubeconfig;
    spec.helm_context = settings->process.context;
    spec.git_file_root = settings->git_file_root;
    spec.git_pack_bytes_max = (size_t)settings->git_pack_max_mib << 20;
    run->controller = controller_new(run->process.loop, &spec);
    err = process_run(&run->process, &settings->process, on_ready, on_stop, run);
    op_drop(run->stopping);
    controller_free(run->controller);
    return err;
}

static void settings_fini(struct settings *settings)
{
    strlist_fini(&settings->governing_namespaces);
    strlist_fini(&settings->reach);
    strlist_fini(&settings->look);
}

static struct error *check_account(const char *account)
{
    const char *slash = account ? strchr(account, '/') : NULL;

    if (!account || (slash && slash > account && slash[1] && !strchr(slash + 1, '/')))
        return NULL;
    return error_new(ERROR_INVALID, "--helm-service-account: write NAMESPACE/NAME, not \"%s\"",
                     account);
}

static int run_controller(int argc, char **argv)
{
    struct settings settings;
    struct run run = {0};
    struct error *err =
        cli_args_parse(&cli_verb_run, argc, argv, &settings, sizeof(settings), NULL);

    if (!err)
        err = check_settings(&settings);
    if (!err)
        err = check_account(settings.helm_account);
    if (err) {
        settings_fini(&settings);
        return cli_usage_error(&cli_verb_run, err);
    }
    err = serve_until_stopped(&run, &settings);
    settings_fini(&settings);
    if (run.process.loop)
        process_fini(&run.process);
    gates_table_free(run.table);
    return err ? cli_error(err) : CLI_OK;
}

const struct cli_verb cli_verb_run = {
    .name = "run",
    .summary = "the controller: watches DRAConfigurations and carries them out",
    .usage = "[OPTION]...",
    .details = "Runs until SIGTERM. Of several, the one that holds the Lease \"drawbridge\" works.",
    .example = "  drawbridge run --kubeconfig admin.conf --lease-namespace kube-system\n",
    .options = options,
    .run = run_controller,
};
