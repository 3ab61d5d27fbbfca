// SPDX-License-Identifier: Apache-2.0
// `drawbridge plan`: what would change, without the controller and, if need be, without agents:
// flags are then read from mirror pods.
#include "plan.h"

#include <stddef.h>

#include "drawbridge/api.h"

struct settings {
    struct client_settings client; // must be first
    const char *file, *manifests_dir, *kubelet_config, *node, *gates_table, *prepare_for;
    bool live;
};

#define TEXT(flag, abbreviation, member, arg, text)                                                \
    {.name = flag,                                                                                 \
     .letter = abbreviation,                                                                       \
     .type = CLI_TEXT,                                                                             \
     .offset = offsetof(struct settings, member),                                                  \
     .argument = arg,                                                                              \
     .help = text}

static const struct cli_option options[] = {
    TEXT("filename", 'f', file, "FILE",
         "a DRAConfiguration or KubermaticConfiguration; - is stdin"),
    {.name = "live",
     .type = CLI_BOOL,
     .offset = offsetof(struct settings, live),
     .fallback = "false",
     .help = "the one in the cluster (give its name when there are several)"},
    CLIENT_OPTIONS,
    CLIENT_NAMESPACE_OPTIONS,
    TEXT("manifests-dir", 0, manifests_dir, "DIR",
         "this node's manifests: the diff then shows the files themselves"),
    TEXT("kubelet-config", 0, kubelet_config, "FILE",
         "this node's kubelet configuration, likewise"),
    TEXT("node-name", 0, node, "NAME", "whose files those are"),
    TEXT("prepare-for", 0, prepare_for, "MINOR",
         "what keeps that minor of Kubernetes from starting, such as 1.38: needs neither -f nor "
         "--live"),
    TEXT("gates-table", 0, gates_table, "FILE", "a table of gates in place of the built-in one"),
    {.name = NULL},
};

struct planning {
    struct client client;
    struct cluster cluster;
    struct cluster workload; // kube NULL: there is none
    struct error *unreached; // why not
    const struct gates_table *table;
    struct op *timeout;
    struct error *err;
    struct platform_observed *observed;
    const char *field_manager; // who applies the file
    char *refusals;            // a line each; NULL: none
    bool prepares;             // nothing is planned: what is there is looked at
    struct version target;
    struct strlist unseen; // what could not be looked at
    const char *detected;  // by Auto
    bool breaks;           // the upgrade would, or nobody can say
};

// --- the object ----------------------------------------------------------------------------------

static bool is_ours(const json_t *object)
{
    return str_eq(doc_str(object, "kind", NULL), "DRAConfiguration") ||
           str_eq(doc_str(object, "kind", NULL), "KubermaticConfiguration");
}

static struct error *to_config(const json_t *object, json_t **ret_config)
{
    if (str_eq(doc_str(object, "kind", NULL), "KubermaticConfiguration"))
        return api_adopt_kubermatic(object, ret_config);
    *ret_config = doc_copy(object);
    return NULL;
}

static struct error *read_config(struct planning *p, const char *path, json_t **ret_config)
{
    AUTO_MEM char *text = NULL;
    AUTO_JSON json_t *all = NULL;
    struct error *err = cli_read_file(path, &text);

    if (!err)
        err = doc_parse_yaml_all(slice_of(text), path, &all);
    if (err)
        return err;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *object = json_array_get(all, i);

        if (!is_ours(object))
            continue;
        p->field_manager = str_eq(doc_str(object, "kind", NULL), "DRAConfiguration")
                               ? "kubectl"
                               : API_FIELD_MANAGER_KUBERMATIC;
        return error_wrap(to_config(object, ret_config), "%s", path);
    }
    return error_new(ERROR_INVALID, "%s: no DRAConfiguration and no KubermaticConfiguration in it",
                     path);
}

static struct error *fetch_config(struct planning *p, const char *name, json_t **ret_config)
{
    struct kube_ref ref = {.group = API_GROUP,
                           .version = API_VERSION,
                           .resource = "draconfigurations",
                           .namespace = client_scope(&p->client)};
    AUTO_JSON json_t *list = NULL;
    const json_t *found = NULL;
    struct error *err = client_list(&p->client, &ref, &list);
    const json_t *items = json_object_get(list, "items");

    if (err)
        return err;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);

        if (name && !str_eq(doc_str(item, "metadata", "name", NULL), name))
            continue;
        if (found)
            return error_new(
                ERROR_INVALID,
                "there are several DRAConfigurations: give the name of one, and --namespace");
        found = item;
    }
    if (!found) {
        AUTO_MEM char *where = client_scope_text(&p->client);

        return error_new(ERROR_NOT_FOUND, "there is no DRAConfiguration%s%s %s", name ? " " : "",
                         name ? name : "", where);
    }
    *ret_config = doc_copy(found);
    return NULL;
}

// What the file leaves out stays as it is in the cluster. Where our CRDs are not installed, or it
// may not be asked, the file is all there is.
static struct error *merge_live(struct planning *p, json_t **object)
{
    const char *namespace = doc_str(*object, "metadata", "namespace", NULL);
    struct kube_ref ref = {.group = API_GROUP,
                           .version = API_VERSION,
                           .resource = "draconfigurations",
                           .namespace = *namespace ? namespace : p->client.namespace,
                           .name = doc_str(*object, "metadata", "name", NULL)};
    json_t *merged = NULL;
    struct error *err;

    if (!*ref.name)
        return NULL;
    err = client_apply_dry_run(&p->client, &ref, p->field_manager, *object, &merged);
    if (err && (error_kind(err) == ERROR_NOT_FOUND || error_kind(err) == ERROR_DENIED)) {
        error_ignore(err, "the file stands for itself");
        return NULL;
    }
    if (err)
        return error_wrap(err, "%s %s", doc_str(*object, "kind", NULL), ref.name);
    json_decref(*object);
    *object = merged;
    return NULL;
}

// Another one writes the cluster, or the spec is not valid: as the controller has said.
static struct error *check_live(const json_t *object)
{
    const json_t *conditions = doc_get(object, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        if (str_eq(doc_str(condition, "type", NULL), "ConfigValid") &&
            str_eq(doc_str(condition, "reason", NULL), "TargetConflict"))
            return error_new(ERROR_INVALID, "refused, nothing would change: TargetConflict: %s",
                             doc_str(condition, "message", NULL));
    }
    return NULL;
}

// --- the cluster ---------------------------------------------------------------------------------

static bool settled(const struct watch *watch)
{
    return watch_synced(watch) || watch_error(watch);
}

static void check_sync(struct planning *p)
{
    if (settled(p->cluster.nodes) && settled(p->cluster.pods) && settled(p->cluster.node_configs))
        loop_stop(p->client.loop);
}

static void on_poll(void *owner)
{
    struct planning *p = owner;

    p->timeout = loop_sleep(p->client.loop, 20, on_poll, p);
    check_sync(p);
}

static struct watch *follow_kind(struct planning *p, enum cluster_kind kind)
{
    struct watch_spec spec = cluster_watch_spec(kind);

    spec.kube = p->client.kube;
    return watch_new(p->client.loop, &spec);
}

static struct error *follow(struct planning *p)
{
    p->cluster.kube = p->client.kube;
    p->cluster.nodes = follow_kind(p, CLUSTER_NODES);
    p->cluster.pods = follow_kind(p, CLUSTER_PODS);
    p->cluster.node_configs = follow_kind(p, CLUSTER_NODE_CONFIGS);
    p->timeout = loop_sleep(p->client.loop, 20, on_poll, p);
    loop_run(p->client.loop);
    p->timeout = op_drop(p->timeout);
    // Without our CRDs there are no agents: mirror pods tell instead.
    if (!watch_synced(p->cluster.nodes))
        return error_new(error_kind(watch_error(p->cluster.nodes)), "list nodes: %s",
                         error_text(watch_error(p->cluster.nodes)));
    if (!watch_synced(p->cluster.pods))
        return error_new(error_kind(watch_error(p->cluster.pods)), "list pods: %s",
                         error_text(watch_error(p->cluster.pods)));
    return NULL;
}

static void on_observed(void *owner, struct error *take_err,
                        struct platform_observed *take_observed)
{
    struct planning *p = owner;

    p->err = take_err;
    p->observed = take_observed;
    loop_stop(p->client.loop);
}

static void on_detected(void *owner, struct error *take_err, const char *name)
{
    struct planning *p = owner;

    p->err = take_err;
    p->detected = name;
    loop_stop(p->client.loop);
}

// As the controller will, which then says so in the status.
static struct error *detect(struct planning *p, json_t *object, struct api_config *config)
{
    struct op *op = platform_detect(p->client.loop, p->client.kube, object, on_detected, p);

    (void)op;
    loop_run(p->client.loop);
    if (p->err || !p->detected)
        return TAKE(p->err);
    doc_set(object, doc_string(p->detected), "status", "platform", NULL);
    return platform_parse(object, config);
}

static struct error *observe(struct planning *p, const struct api_config *config)
{
    struct platform_target target = {
        .type = platform_decide(config),
        .namespace = config->namespace,
        .name = config->name,
        .cluster = config->cluster,
        .workload = p->workload.kube ? &p->workload : NULL,
        .unreached = p->unreached,
        .hosted = config->hosted,
        .capi = config->capi,
        .giantswarm = config->giantswarm,
        .components = json_object_get(config->status, "components"),
        .component_timeout_ms = config->component_timeout_ms,
    };
    struct op *op;

    op = platform_observe(p->client.loop, &p->cluster, &target, on_observed, p);

    (void)op;
    loop_run(p->client.loop);
    return TAKE(p->err);
}

// --- what no agent reports -----------------------------------------------------------------------

static struct error *report_from_pod(struct planning *p, struct plan_instance *instance,
                                     json_t *report)
{
    AUTO_JSON json_t *argv = plan_pod_argv(&p->cluster, instance);
    AUTO_FLAGS struct gates_flags flags = {0};
    struct error *err;

    if (!argv)
        return error_new(ERROR_NOT_FOUND, "neither an agent nor a mirror pod tells of %s",
                         instance->id);
    err = gates_flags_read(instance->component, argv, &flags);
    if (err)
        return error_wrap(err, "%s", instance->id);
    json_object_set(report, "featureGates", flags.feature_gates);
    json_object_set(report, "runtimeConfig", flags.runtime_config);
    instance->emulated = flags.emulated;
    return NULL;
}

// It was not seen: an error, unless what can be seen is all that is asked for.
static struct error *miss(struct planning *p, struct error *take_err)
{
    if (!p->prepares || !take_err)
        return take_err;
    strlist_add(&p->unseen, error_text(take_err));
    error_ignore(take_err, "said with what was seen");
    return NULL;
}

// The kubelets that are asked, by the order of paths.
struct kubelets {
    struct planning *p;
    struct strlist paths;
    size_t *instances; // indexes
};

static void on_kubelet(void *owner, size_t index, struct error *take_err, json_t *take_body)
{
    const struct kubelets *kubelets = owner;
    struct planning *p = kubelets->p;
    const struct plan_instance *instance = &p->observed->instances[kubelets->instances[index]];
    AUTO_JSON json_t *body = take_body;
    const json_t *gates = doc_get(body, "kubeletconfig", "featureGates", NULL);

    if (take_err && p->prepares)
        take_err = miss(p, error_wrap(take_err, "%s", instance->id));
    error_ignore(take_err, "a kubelet that does not tell is taken to have no gates set");
    if (gates)
        json_object_set_new((json_t *)(uintptr_t)instance->reported, "featureGates",
                            doc_copy(gates));
}

static void ask_kubelets(struct planning *p, struct kubelets *kubelets)
{
    client_get_each(&p->client, &kubelets->paths, on_kubelet, kubelets);
    strlist_sort(&p->unseen); // answers come as they come
    strlist_fini(&kubelets->paths);
    mem_free(kubelets->instances);
}

static struct error *fill_reports(struct planning *p)
{
    struct kubelets kubelets = {.p = p};
    struct error *err = NULL;

    kubelets.instances = mem_alloc(p->observed->len * sizeof(*kubelets.instances));
    for (size_t i = 0; !err && i < p->observed->len; i++) {
        struct plan_instance *instance = &p->observed->instances[i];
        json_t *report;

        if (instance->reported || !instance->node)
            continue;
        report = json_object();
        json_array_append_new(p->observed->reports, report);
        json_object_set_new(report, "state", json_string("Observed"));
        instance->reported = report;
        instance->agent = true;
        if (instance->component == COMPONENT_KUBELET) {
            kubelets.instances[kubelets.paths.len] = i;
            strlist_take(&kubelets.paths,
                         str_format("/api/v1/nodes/%s/proxy/configz", instance->node));
        } else {
            err = miss(p, report_from_pod(p, instance, report));
        }
    }
    ask_kubelets(p, &kubelets);
    return err;
}

// Of an instance without a node somebody else tells, or nobody.
static void note_unseen(struct planning *p)
{
    for (size_t i = 0; i < p->observed->len; i++) {
        const struct plan_instance *instance = &p->observed->instances[i];

        if (instance->node || instance->object ||
            json_object_get(instance->reported, "featureGates"))
            continue;
        strlist_take(&p->unseen, str_format("%s: nobody here tells its flags; ask whoever runs it",
                                            instance->id));
    }
}

static struct error *prepare(struct planning *p, const struct settings *settings)
{
    AUTO_MEM char *server = version_format(p->observed->server);
    struct plan_prepare look = {.table = p->table,
                                .observed = p->observed,
                                .target = p->target,
                                .unseen = &p->unseen,
                                .manifests_dir = settings->manifests_dir,
                                .kubelet_config = settings->kubelet_config,
                                .node = settings->node};
    struct error *err;

    if (version_compare_minor(p->target, p->observed->server) <= 0)
        return error_new(ERROR_INVALID, "--prepare-for %s: the API server is %s already",
                         settings->prepare_for, server);
    err = fill_reports(p);
    if (err)
        return err;
    note_unseen(p);
    p->breaks = plan_prepare_print(&look, stdout);
    return NULL;
}

// --- the answer ----------------------------------------------------------------------------------

static struct error *say_refusals(struct planning *p, const struct gates_resolution *resolution)
{
    AUTO_BUF struct buf text = buf_make(65536);

    for (size_t i = 0; i < resolution->refusals_len; i++)
        buf_printf(&text, "  %s: %s\n", refusal_reason(resolution->refusals[i].kind),
                   resolution->refusals[i].message);
    p->refusals = buf_take(&text); // an error is one line
    return error_new(ERROR_INVALID, "refused, nothing would change:");
}

// What is being deleted wants nothing any more.
static struct gates_intent intent_of(const struct api_config *config)
{
    struct version prepare_for = {0};

    if (config->deleting ||
        (*config->prepare_for && !version_parse(config->prepare_for, &prepare_for)))
        return (struct gates_intent){0};
    return (struct gates_intent){
        .feature_gates = config->feature_gates,
        .runtime_config = config->runtime_config,
        .allow_alpha = config->allow_alpha,
        .features = config->features,
        .prepare_for = prepare_for,
        .remove_foreign = config->remove_foreign && prepare_for.major != 0,
    };
}

// The diff says what is to be changed; what holds it up stands in the object. On stderr, so that
// the diff stays one. What refuses the spec ends the verb, and needs no second word.
static void say_what_holds(const struct api_config *config)
{
    const json_t *list = json_object_get(config->status, "conditions");
    AUTO_MEM char *text = NULL;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *condition = json_array_get(list, i);
        const char *type = doc_str(condition, "type", NULL);

        if (!str_eq(doc_str(condition, "status", NULL), "False"))
            continue;
        if (str_eq(type, "ConfigValid"))
            return;
        if (str_eq(type, "Ready")) {
            mem_free(text);
            text =
                str_format("%s/%s is not ready: %s: %s\n", config->namespace, config->name,
                           doc_str(condition, "reason", NULL), doc_str(condition, "message", NULL));
        }
    }
    if (text)
        cli_put(text, stderr);
}

static struct error *work_out(struct planning *p, const struct settings *settings,
                              const struct api_config *config, char **ret_text)
{
    struct gates_intent intent = intent_of(config);
    struct plan_policy policy = {.enable = plan_enables(&intent),
                                 .max_unavailable = config->max_unavailable,
                                 .max_unavailable_percent = config->max_unavailable_percent,
                                 .leaving = config->deleting,
                                 .component_timeout_ms = config->component_timeout_ms};
    struct plan_view view = {.observed = p->observed,
                             .manifests_dir = settings->manifests_dir,
                             .kubelet_config = settings->kubelet_config,
                             .node = settings->node,
                             .cluster = &p->cluster};
    AUTO_INPUTS struct plan_inputs inputs = {0};
    AUTO_RESOLUTION struct gates_resolution resolution = {0};
    struct error *err;

    if (!platform_traits(p->observed->type)->writes || (config->deleting && !config->revert)) {
        *ret_text = str_dup("");
        return NULL;
    }
    err = fill_reports(p);
    if (err)
        return err;
    plan_inputs_make(p->observed->instances, p->observed->len, &inputs);
    err = plan_resolve(p->table, &intent, p->observed->instances, &inputs, &resolution);
    if (!err && resolution.refusals_len > 0)
        err = say_refusals(p, &resolution);
    if (err)
        return err;
    view.desired = resolution.desired;
    plan_make(&policy, p->observed->instances, resolution.desired, p->observed->len,
              clock_wall_ms(), &view.plan);
    err = plan_view_diff(&view, ret_text);
    plan_fini(&view.plan);
    return err;
}

static struct error *read_kubeconfig(struct planning *p, const struct cluster_way *way,
                                     char **ret_text)
{
    const char *namespace = *way->namespace ? way->namespace : p->client.namespace;
    struct kube_ref ref = {.group = "",
                           .version = "v1",
                           .resource = "secrets",
                           .namespace = namespace,
                           .name = way->name};
    AUTO_MEM char *path = kube_path(&ref);
    AUTO_JSON json_t *secret = NULL;
    struct error *err = client_get_path(&p->client, path, &secret);

    if (!err)
        *ret_text = kube_secret_text(secret, way->key);
    if (!err && !*ret_text)
        err = error_new(ERROR_NOT_FOUND, "there is no key %s with a text", way->key);
    return error_wrap(err, "%s: Secret %s/%s", way->field, namespace, way->name);
}

static struct error *open_workload(struct planning *p, struct slice kubeconfig)
{
    struct kube_config *config = NULL;
    struct error *err = kube_config_parse_untrusted(kubeconfig, &config);

    if (!err)
        p->workload.kube = kube_new(p->client.loop, p->client.http, config);
    return err;
}

// What is looked at in the cluster that a Secret leads to: all of it, and from here on that is the
// client, or what its nodes ask for.
static struct error *find_way(struct planning *p, const json_t *object)
{
    AUTO_CLUSTER_WAY struct cluster_way way = {0};
    AUTO_MEM char *text = NULL;
    struct error *err;

    if (!platform_way(object, &way))
        return NULL;
    err = read_kubeconfig(p, &way, &text);
    if (way.bare) { // a platform may do without
        p->unreached = err ? err : open_workload(p, slice_of(text));
        return NULL;
    }
    return err ? err : error_wrap(client_switch(&p->client, slice_of(text)), "%s", way.field);
}

// Where no DRAConfiguration is named: whatever this cluster is.
static json_t *any_config(void)
{
    return json_pack("{s: {s: s}, s: {}}", "metadata", "name", "any", "spec");
}

static struct error *find_config(struct planning *p, const struct settings *settings,
                                 const char *name, json_t **object)
{
    struct error *err;

    if (settings->file)
        return merge_live(p, object);
    if (!settings->live) {
        *object = any_config();
        return NULL;
    }
    err = fetch_config(p, name, object);
    return err || p->prepares ? err : check_live(*object);
}

static struct error *make_plan(struct planning *p, const struct settings *settings,
                               const char *name, char **ret_text)
{
    AUTO_JSON json_t *object = NULL;
    AUTO(gates_table) struct gates_table *table = NULL;
    struct api_config config;
    struct error *err = cli_load_table(settings->gates_table, &table);

    if (!err && settings->file)
        err = read_config(p, settings->file, &object);
    if (!err)
        err = client_open(&p->client, &settings->client);
    if (!err)
        err = find_config(p, settings, name, &object);
    if (!err)
        err = platform_parse(object, &config);
    if (!err)
        err = platform_check(&config);
    if (!err && platform_is_undecided(&config))
        err = detect(p, object, &config);
    if (!err && settings->live && !p->prepares)
        say_what_holds(&config);
    if (!err)
        err = find_way(p, object);
    if (!err)
        err = follow(p);
    p->table = table ? table : gates_table_builtin();
    if (!err)
        err = observe(p, &config);
    if (err)
        return err;
    return p->prepares ? prepare(p, settings) : work_out(p, settings, &config, ret_text);
}

static void planning_fini(struct planning *p)
{
    op_drop(p->timeout);
    platform_observed_free(p->observed);
    watch_free(p->cluster.nodes);
    watch_free(p->cluster.pods);
    watch_free(p->cluster.node_configs);
    kube_free(p->workload.kube);
    error_free(p->unreached);
    client_fini(&p->client);
    strlist_fini(&p->unseen);
}

static int run(int argc, char **argv)
{
    struct settings settings;
    struct planning planning = {0};
    AUTO_STRLIST struct strlist names = {0};
    AUTO_MEM char *text = NULL;
    struct error *err =
        cli_args_parse(&cli_verb_plan, argc, argv, &settings, sizeof(settings), &names);

    planning.prepares = !err && settings.prepare_for;
    if (planning.prepares)
        err = cli_minor_parse(gates_table_builtin(), "prepare-for", settings.prepare_for,
                              &planning.target);
    if (!err && (planning.prepares ? settings.file && settings.live
                                   : (settings.file != NULL) == settings.live))
        err = error_new(ERROR_INVALID, "give either -f FILE or --live");
    if (!err && (names.len > 1 || (names.len == 1 && !settings.live)))
        err = error_new(ERROR_INVALID, "a name goes with --live, and there is one at most");
    if (err)
        return cli_usage_error(&cli_verb_plan, err);
    settings.client.stdin_taken = str_eq(settings.file, "-");
    err = make_plan(&planning, &settings, names.len ? names.items[0] : NULL, &text);
    planning_fini(&planning);
    if (err) {
        AUTO_MEM char *refusals = planning.refusals;
        int code = cli_error(err);

        cli_put(refusals ? refusals : "", stderr);
        return code;
    }
    cli_put(text ? text : "", stdout);
    return cli_finish(planning.prepares ? (planning.breaks ? CLI_DIFFERS : CLI_OK)
                      : *text           ? CLI_DIFFERS
                                        : CLI_OK);
}

const struct cli_verb cli_verb_plan = {
    .name = "plan",
    .summary = "what would change, as a diff; nothing is written",
    .usage = "-f FILE | --live [NAME] | --prepare-for MINOR [OPTION]...",
    .details = "Exit codes as kubectl diff: 0 nothing would change, 1 something would, above 1 an "
               "error (3: the configuration would be refused).\nWith --prepare-for: 1 when the "
               "upgrade would break or not "
               "everything could be seen. It looks at any cluster of kubeadm, also without\n"
               "Drawbridge: at mirror pods, kubeadm's ConfigMaps and the kubelets' configz, as far "
               "as your rights allow, and says what it could not see.",
    .example = "  drawbridge plan -f kubermaticconfiguration.yaml\n"
               "  drawbridge plan --prepare-for 1.38\n",
    .options = options,
    .run = run,
};
