// SPDX-License-Identifier: Apache-2.0
// A node for tests: a directory tree, a stand-in for the kubelet that starts components from their
// manifests, and the components, each a small HTTP server whose gates follow from its flags. Every
// function is used by some test program, none by all.
#pragma once

#include "node_internal.h"
#include "testkit/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// timeout_s of a world where it is to be over: what has to come before has time on a busy machine.
#define OVER_S 3

struct world;
struct fake {
    struct world *world;
    enum component component;
    struct loop_listener *listener;
    char *path, *digest; // of the file it was started from
    json_t *argv, *gates;
    bool up, started_once;
    uint16_t port; // 0: any
    int64_t start_ms;
    uint64_t start_at_ms; // 0: nothing is to be started
    unsigned starts;
    // how it misbehaves
    bool never_ready, lies, denies_metrics, no_start_time, slow_down;
    bool keeps_trying; // the kubelet: started again when it refused, as a service manager does
    uint64_t try_again_ms;
    size_t touched;
};

struct world {
    unsigned timeout_s; // of world_desire(); 0: long
    struct loop *loop;
    struct http *http;
    struct node *node;
    struct node_spec spec;
    struct fake fakes[COMPONENT_COUNT];
    char *manifests, *config, *env, *state, *logs, *proc, *touch, *restart_line;
    const char *restart[4];
    char *healthz, *metrics;
    char *host, *host_log, *guard_program, *guard; // the host's programs, in one script
    const char *enter[2];
    struct op *tick, *poll, *giving_up, *other;
    uint64_t restart_ms; // from the edit to the new process
    bool (*until)(struct world *world);
    bool timed_out;
    unsigned changes;
};

#define WORLD UNUSED static

WORLD const char *world_gates[] = {"DynamicResourceAllocation", "NodeLogQuery", "Broken", NULL};

WORLD void fake_run(struct fake *fake, const json_t *flags)
{
    json_decref(fake->gates);
    fake->gates = json_object();
    for (size_t i = 0; world_gates[i]; i++)
        json_object_set_new(fake->gates, world_gates[i], json_false());
    if (!fake->lies && flags)
        json_object_update_existing(fake->gates, node_iterable(flags));
    fake->up = true;
    fake->starts++;
    fake->start_ms = clock_wall_ms();
}

// A gate named Bogus is refused: a line in the log, and the process is gone.
WORLD void fake_crash(struct fake *fake)
{
    const char *name = component_name(fake->component);
    AUTO_MEM char *dir =
        str_format("%s/kube-system_%s-cp-1_uid%u/%s", fake->world->logs, name, fake->starts, name);
    CHECK_OK(node_dir_make(dir));
    AUTO_MEM char *log = str_format("%s/0.log", dir);
    char now[CLOCK_TEXT_BYTES];
    AUTO_MEM char *text =
        str_format("%s stderr F E1121 10:00:00.000001      1 run.go:72] \"command failed\" "
                   "err=\"failed to set feature gates: unrecognized feature gate: Bogus\"\n",
                   clock_format_micro(clock_wall_ms(), now));
    test_write(log, text);
    fake->starts++;
}

WORLD void fake_start(struct fake *fake)
{
    AUTO_MEM char *text = test_read(fake->path);
    json_decref(fake->argv);
    struct site_place place = {&site_pod, fake->component, fake->path, .at = NULL};
    struct site_container container;
    AUTO_JSON json_t *tree = NULL;
    CHECK_OK(doc_parse_yaml(slice_of(text), fake->path, &tree));
    CHECK_OK(site_find(&place, tree, &container));
    fake->argv = site_container_argv(&container, fake->component);
    AUTO_FLAGS struct gates_flags flags = {0};
    CHECK_OK(gates_flags_read(fake->component, fake->argv, &flags));
    if (json_object_get(flags.feature_gates, "Bogus"))
        fake_crash(fake);
    else
        fake_run(fake, flags.feature_gates);
}

WORLD void fake_look_at_manifest(struct fake *fake)
{
    struct node_file file = {0};
    struct error *err = node_file_read(fake->path, &file);
    if (err) {
        error_free(err);
        fake->up = false;
        return;
    }
    if (!str_eq(file.digest, fake->digest)) {
        mem_free(fake->digest);
        fake->digest = str_dup(file.digest);
        if (!fake->slow_down)
            fake->up = false;
        fake->start_at_ms = clock_ms() + (fake->started_once ? fake->world->restart_ms : 0);
        fake->started_once = true;
    }
    node_file_fini(&file);
    if (fake->start_at_ms && clock_ms() >= fake->start_at_ms) {
        fake->start_at_ms = 0;
        fake_start(fake);
    }
}

// The kubelet reads its file when it is started: when the restart command leaves a mark.
WORLD void fake_look_at_kubelet(struct fake *fake)
{
    struct node_file mark = {0};
    struct error *err = node_file_read(fake->world->touch, &mark);
    error_free(err);
    size_t touched = mark.len;
    node_file_fini(&mark);
    bool again = fake->keeps_trying && !fake->up && clock_ms() >= fake->try_again_ms;
    if (fake->started_once && touched == fake->touched && !again)
        return;
    fake->try_again_ms = clock_ms() + fake->world->restart_ms;
    if (test_exists(fake->world->guard)) { // its ExecStartPre=
        bool put_back;
        CHECK_OK(guard_on_start(fake->world->guard, &put_back));
    }
    fake->touched = touched;
    fake->started_once = true;
    fake->up = false;
    AUTO_MEM char *text =
        test_exists(fake->path) ? test_read(fake->path) : str_dup("kind: KubeletConfiguration\n");
    AUTO_JSON json_t *gates = NULL;
    CHECK_OK(node_kubelet_config_read(slice_of(text), fake->path, &gates, NULL));
    if (!json_object_get(gates, "Bogus"))
        fake_run(fake, gates);
}

WORLD void on_world_tick(void *owner)
{
    struct world *world = owner;
    for (unsigned c = 0; c < COMPONENT_COUNT; c++) {
        struct fake *fake = &world->fakes[c];
        if (fake->listener && c == COMPONENT_KUBELET)
            fake_look_at_kubelet(fake);
        else if (fake->listener)
            fake_look_at_manifest(fake);
    }
    world->tick = loop_sleep(world->loop, 5, on_world_tick, world);
}

WORLD char *fake_metrics(const struct fake *fake)
{
    struct buf page = buf_make(65536);
    const char *name;
    json_t *value;
    buf_add_str(&page, "kubernetes_build_info{git_version=\"v1.33.13\",major=\"1\"} 1\n");
    if (!fake->no_start_time)
        buf_printf(&page, "process_start_time_seconds %lld.%03lld\n",
                   (long long)(fake->start_ms / 1000), (long long)(fake->start_ms % 1000));
    json_object_foreach(fake->gates, name, value)
        buf_printf(&page, "kubernetes_feature_enabled{name=\"%s\",stage=\"BETA\"} %d\n", name,
                   json_is_true(value) ? 1 : 0);
    return buf_take(&page);
}

WORLD void on_request(void *owner, struct loop_conn *conn, struct slice bytes)
{
    struct fake *fake = owner;
    AUTO_MEM char *body = str_dup("ok");
    const char *status = "200 OK";
    if (!fake->up) {
        loop_conn_reply(conn, slice_of(NULL));
        return;
    }
    if (slice_starts(bytes, "GET /metrics")) {
        mem_free(body);
        body = fake_metrics(fake);
        if (fake->denies_metrics)
            status = "403 Forbidden";
    } else if (fake->never_ready && json_is_true(json_object_get(fake->gates, "Broken"))) {
        mem_free(body);
        body = str_dup("[+]ping ok\n[-]informer-sync failed: reason withheld\n");
        status = "500 Internal Server Error";
    }
    AUTO_MEM char *reply = str_format("HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: "
                                      "%zu\r\nConnection: close\r\n\r\n%s",
                                      status, strlen(body), body);
    loop_conn_reply(conn, slice_of(reply));
}

WORLD uint16_t fake_listen(struct world *world, enum component component)
{
    struct fake *fake = &world->fakes[component];
    fake->world = world;
    fake->component = component;
    struct loop_listen_spec spec = {.host = "127.0.0.1",
                                    .port = fake->port,
                                    .conns_max = 16,
                                    .conn_timeout_ms = 5000,
                                    .on_data = on_request,
                                    .owner = fake};
    CHECK_OK(loop_listen(world->loop, &spec, &fake->listener));
    fake->port = loop_listener_port(fake->listener);
    return loop_listener_port(fake->listener);
}

// A manifest as kubeadm writes it, but that its probe (and so the port) is plain HTTP.
WORLD char *world_manifest(const char *name, uint16_t port, const char *flags)
{
    return str_format("apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    component: %s # ü\n  "
                      "name: %s\n  namespace: kube-system\nspec:\n"
                      "  containers:\n  - command:\n    - %s\n%s    - --leader-elect=true\n    "
                      "image: registry/%s:v1.33.13\n"
                      "    livenessProbe:\n      httpGet:\n        host: 127.0.0.1\n        path: "
                      "/livez\n        port: %u\n    name: %s\nstatus: {}\n",
                      name, name, name, flags, name, port, name);
}

WORLD void world_add(struct world *world, enum component component, const char *flags)
{
    struct fake *fake = &world->fakes[component];
    uint16_t port = fake_listen(world, component);
    if (component == COMPONENT_KUBELET) {
        fake->path = str_dup(world->config);
        if (!test_exists(world->config))
            test_write(
                world->config,
                "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n# ende\n");
        world->healthz = str_format("http://127.0.0.1:%u/healthz", port);
        world->metrics = str_format("http://127.0.0.1:%u/metrics", port);
        world->spec.paths.kubelet_healthz_url = world->healthz;
        world->spec.paths.kubelet_metrics_url = world->metrics;
        return;
    }
    fake->path = str_format("%s/%s.yaml", world->manifests, component_name(component));
    AUTO_MEM char *text = world_manifest(component_name(component), port, flags);
    if (!test_exists(fake->path))
        test_write(fake->path, text);
}

WORLD void on_change(void *owner)
{
    struct world *world = owner;
    world->changes++;
}

WORLD void world_init(struct world *world)
{
    *world = (struct world){.restart_ms = 60};
    node_timing = (struct node_timing){.tick_ms = 15,
                                       .debounce_ms = 20,
                                       .metrics_ms = 60,
                                       .patience_ms = 200,
                                       .kubelet_hold_ms = 100,
                                       .follow_ms = 3000,
                                       .retry_ms = 30,
                                       .retry_ms_max = 300,
                                       .write_retry_ms = 200,
                                       .probe_ms = 2000,
                                       .metrics_probe_ms = 2000,
                                       .timeout_ms_min = 500,
                                       .edits_window_ms = 600000};
    world->loop = loop_new();
    world->http = http_new(world->loop, "test");
    world->manifests = test_path("manifests");
    world->state = test_path("state");
    world->logs = test_path("logs");
    world->proc = test_path("proc");
    world->touch = test_path("restarts");
    world->guard = str_format("%s/guard", world->state);
    AUTO_MEM char *kubelet = test_path("kubelet");
    world->config = str_format("%s/config.yaml", kubelet);
    world->env = str_format("%s/kubeadm-flags.env", kubelet);
    const char *const dirs[] = {world->manifests, world->logs, world->proc, kubelet};
    for (size_t i = 0; i < COUNT(dirs); i++)
        CHECK_OK(node_dir_make(dirs[i]));
    node_proc_dir = world->proc;
    world->restart_line = str_format("echo x >> %s", world->touch);
    world->restart[0] = "sh";
    world->restart[1] = "-c";
    world->restart[2] = world->restart_line;
    world->spec = (struct node_spec){.paths = {.manifests_dir = world->manifests,
                                               .kubelet_config = world->config,
                                               .kubelet_flags = world->env,
                                               .state_dir = world->state,
                                               .pod_logs_dir = world->logs,
                                               .restart_kubelet = world->restart},
                                     .node_name = "cp-1",
                                     .table = gates_table_builtin(),
                                     .http = world->http,
                                     .on_change = on_change,
                                     .owner = world};
}

// /proc/PID: words end with a bar. mnt: its namespace, as a link would name it. A process of
// root's (of ours, in tests) in the host's pid namespace that runs /usr/bin/kubelet; tests change
// one of these.
WORLD void world_link(const char *target, const char *path)
{
    unlink(path);
    CHECK(symlink(target, path) == 0);
}

WORLD void world_process_uid(const char *pid, unsigned uid)
{
    AUTO_MEM char *path = str_format("%s/%s/status", node_proc_dir, pid);
    AUTO_MEM char *text = str_format(
        "Name:\tx\nUmask:\t0022\nUid:\t%u\t%u\t%u\t%u\nGid:\t0\t0\t0\t0\n", uid, uid, uid, uid);
    test_write(path, text);
}

WORLD void world_process(const char *pid, const char *words, const char *exe, const char *mnt)
{
    AUTO_MEM char *ns = str_format("%s/%s/ns", node_proc_dir, pid);
    AUTO_MEM char *link = str_format("%s/mnt", ns);
    AUTO_MEM char *pids = str_format("%s/pid", ns);
    AUTO_MEM char *program = str_format("%s/%s/exe", node_proc_dir, pid);
    AUTO_MEM char *path = str_format("%s/%s/cmdline", node_proc_dir, pid);
    CHECK_OK(node_dir_make(ns));
    world_link(mnt, link);
    world_link("pid:[1]", pids);
    world_link(exe, program);
    world_process_uid(pid, geteuid());
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    for (; *words; words++)
        fputc(*words == '|' ? '\0' : *words, file);
    CHECK(fclose(file) == 0);
}

WORLD void world_kubelet_runs(const struct world *world, const char *pid, const char *words,
                              const char *mnt)
{
    CHECK_STR(node_proc_dir, world->proc);
    world_process(pid, words, "/usr/bin/kubelet", mnt);
}

// The nets under the kubelet: the host's programs are a script that writes down how it was called,
// and in what state things were then.
WORLD void world_add_nets(struct world *world)
{
    world->host_log = test_path("host.log");
    world->host = test_path("host.sh");
    world->guard_program = test_path("drawbridge-guard");
    AUTO_MEM char *script =
        str_format("#!/bin/sh\ngrep -q featureGates '%s' && state=new || state=old\n"
                   "[ ! -e '%s/armed' ] || state=$state,armed\necho \"$state $*\" >>'%s'\n"
                   "[ ! -e '%s/host-fails' ] || { echo no service manager here >&2; exit 1; }\n",
                   world->config, world->guard, world->host_log, test_dir());
    test_write(world->host, script);
    test_write(world->guard_program, "#!/bin/sh\n");
    CHECK(chmod(world->host, 0755) == 0);
    world->enter[0] = world->host;
    world->spec.paths.enter_host = world->enter;
    world->spec.paths.guard_program = world->guard_program;
    world->fakes[COMPONENT_KUBELET].keeps_trying = true;
}

WORLD void world_start_agent(struct world *world)
{
    if (!world->tick)
        world->tick = loop_defer(world->loop, on_world_tick, world);
    CHECK_OK(node_new(world->loop, &world->spec, &world->node));
}

WORLD void world_stop_agent(struct world *world)
{
    node_free(TAKE(world->node));
}

WORLD void world_fini(struct world *world)
{
    world_stop_agent(world);
    world->tick = op_drop(world->tick);
    for (size_t c = 0; c < COMPONENT_COUNT; c++) {
        struct fake *fake = &world->fakes[c];
        if (fake->listener)
            loop_listener_free(fake->listener);
        mem_free(fake->path);
        mem_free(fake->digest);
        json_decref(fake->argv);
        json_decref(fake->gates);
    }
    http_free(world->http);
    loop_free(world->loop);
    char *const texts[] = {world->manifests,     world->config,  world->env,   world->state,
                           world->logs,          world->proc,    world->touch, world->restart_line,
                           world->healthz,       world->metrics, world->host,  world->host_log,
                           world->guard_program, world->guard};
    for (size_t i = 0; i < COUNT(texts); i++)
        mem_free(texts[i]);
}

// --- waiting -------------------------------------------------------------------------------------

WORLD void on_world_poll(void *owner)
{
    struct world *world = owner;
    world->poll = NULL;
    if (world->until(world))
        loop_stop(world->loop);
    else
        world->poll = loop_sleep(world->loop, 5, on_world_poll, world);
}

WORLD void on_world_giving_up(void *owner)
{
    struct world *world = owner;
    world->giving_up = NULL;
    world->timed_out = true;
    loop_stop(world->loop);
}

#define HANGS_MS 60000 // on a machine that has other work too; what comes sooner is seen sooner

WORLD bool world_wait(struct world *world, bool (*until)(struct world *world), uint64_t ms)
{
    ms = ms > HANGS_MS ? ms : HANGS_MS;
    world->until = until;
    world->timed_out = false;
    world->poll = loop_sleep(world->loop, 1, on_world_poll, world);
    world->giving_up = loop_sleep(world->loop, ms, on_world_giving_up, world);
    loop_run(world->loop);
    world->poll = op_drop(world->poll);
    world->giving_up = op_drop(world->giving_up);
    if (world->timed_out && world->node) {
        AUTO_MEM char *status = doc_print_json_pretty(node_status(world->node));
        fprintf(stderr, "%s\n", status);
    }
    return !world->timed_out;
}

WORLD bool never(struct world *world)
{
    (void)world;
    return false;
}

// Lets ms pass.
WORLD void world_run(struct world *world, uint64_t ms)
{
    world->until = never;
    world->giving_up = loop_sleep(world->loop, ms, on_world_giving_up, world);
    loop_run(world->loop);
}

WORLD const json_t *world_component(const struct world *world, const char *name)
{
    size_t i;
    json_t *component;
    json_array_foreach(json_object_get(node_status(world->node), "components"), i, component) {
        if (str_eq(doc_str(component, "name", NULL), name))
            return component;
    }
    return NULL;
}

WORLD const char *world_state(const struct world *world, const char *name)
{
    return doc_str(world_component(world, name), "state", NULL);
}

WORLD bool idle(struct world *world)
{
    return node_is_idle(world->node);
}

WORLD bool all_up_to_date(struct world *world)
{
    const json_t *components = json_object_get(node_status(world->node), "components");
    size_t i;
    json_t *component;
    json_array_foreach(components, i, component) {
        if (!str_eq(doc_str(component, "state", NULL), "UpToDate"))
            return false;
    }
    return json_array_size(components) > 0 && node_is_idle(world->node);
}

WORLD void world_desire_json(struct world *world, const char *text)
{
    AUTO_JSON json_t *spec = NULL;
    CHECK_OK(doc_parse_json(slice_of(text), "spec", &spec));
    CHECK_OK(node_set_desired(world->node, spec));
}

// The whole node's wish: gate on everywhere ("" : own nothing). Each component has a minute, or
// world->timeout_s where it is to be over.
WORLD void world_desire(struct world *world, const char *revision, const char *gate,
                        const char *direction)
{
    AUTO_BUF struct buf text = buf_make(8192);
    AUTO_MEM char *gates = gate[0] ? str_format("{\"%s\": true}", gate) : str_dup("{}");
    buf_printf(&text,
               "{\"epoch\": 1, \"revision\": \"%s\", \"direction\": \"%s\", "
               "\"componentTimeoutSeconds\": %u, \"components\": [",
               revision, direction, world->timeout_s ? world->timeout_s : 60);
    bool first = true;
    for (unsigned c = 0; c < COMPONENT_COUNT; c++) {
        if (!world->fakes[c].listener)
            continue;
        const char *runtime =
            c == COMPONENT_APISERVER && gate[0] ? "{\"resource.k8s.io/v1beta1\": \"true\"}" : "{}";
        buf_printf(&text,
                   "%s{\"name\": \"%s\", \"revision\": \"%s\", \"featureGates\": %s, "
                   "\"runtimeConfig\": %s, \"expect\": %s}",
                   first ? "" : ", ", component_name((enum component)c), revision, gates, runtime,
                   gates);
        first = false;
    }
    buf_add_str(&text, "]}");
    world_desire_json(world, text.ptr);
}
