// SPDX-License-Identifier: Apache-2.0
// Where a component is asked, which process counts as it, and which of its words count as a
// refusal.
#include <time.h>
#include <unistd.h>

#include "world.h"

static void check_base(const char *container_json, const char *argv_json, enum component component,
                       const char *want)
{
    AUTO_JSON json_t *container = NULL;
    AUTO_JSON json_t *argv = NULL;
    CHECK_OK(doc_parse_json(slice_of(container_json), "container", &container));
    CHECK_OK(doc_parse_json(slice_of(argv_json), "argv", &argv));
    CHECK_STR_TAKE(node_probe_base(container, argv, component), want);
}

TEST(where_to_ask)
{
    const char *https = "{\"livenessProbe\": {\"httpGet\": {\"host\": \"10.0.0.1\", \"port\": "
                        "6443, \"scheme\": \"HTTPS\"}}}";
    check_base(https, "[\"kube-apiserver\", \"--secure-port=7443\"]", COMPONENT_APISERVER,
               "https://127.0.0.1:7443");
    check_base(https,
               "[\"kube-apiserver\", \"--secure-port\", \"7443\", \"--bind-address=10.0.0.9\"]",
               COMPONENT_APISERVER, "https://10.0.0.9:7443");
    check_base(https, "[\"kube-apiserver\"]", COMPONENT_APISERVER, "https://10.0.0.1:6443");
    check_base("{}", "[\"kube-scheduler\"]", COMPONENT_SCHEDULER, "https://127.0.0.1:10259");
    check_base("{}", "[\"x\", \"--bind-address=::1\"]", COMPONENT_CONTROLLER_MANAGER,
               "https://[::1]:10257");
    check_base("{}", "[\"x\", \"--bind-address=0.0.0.0\"]", COMPONENT_CONTROLLER_MANAGER,
               "https://127.0.0.1:10257");
    check_base("{\"ports\": [{\"name\": \"p\", \"containerPort\": 99}], \"readinessProbe\": "
               "{\"httpGet\": {\"port\": \"p\"}}}",
               "[\"x\"]", COMPONENT_SCHEDULER, "http://127.0.0.1:99");
}

TEST(which_process)
{
    AUTO_MEM char *proc = test_path("proc");
    node_proc_dir = proc;
    AUTO_JSON json_t *argv = json_pack("[s, s, s]", "kube-scheduler", "--a=1", "");
    CHECK(!node_proc_runs(argv, geteuid()));
    world_process("self", "kube-scheduler|--a=1||", "/bin/x", "mnt:[2]");
    world_process("1", "", "/bin/x", "mnt:[2]");
    world_process("2", "kube-scheduler|--a=1|", "/bin/x", "mnt:[2]");
    world_process("3", "kube-scheduler|--a=1||x|", "/bin/x", "mnt:[2]");
    world_process("4", "kube-scheduler|--a=2||", "/bin/x", "mnt:[2]");
    CHECK(!node_proc_runs(argv, geteuid()));
    world_process("5", "/usr/bin/kube-scheduler|--a=1||", "/bin/x", "mnt:[2]");
    CHECK(node_proc_runs(argv, geteuid()));
    // A tenant's, with the same words.
    world_process_uid("5", geteuid() + 1000);
    CHECK(!node_proc_runs(argv, geteuid()));
    CHECK(node_proc_runs(argv, geteuid() + 1000)); // a manifest with runAsUser
}

TEST(whose_process_a_static_pod_is)
{
    struct node_unit unit = {.container_index = 1};
    unit.tree = json_pack("{s:{s:[{}, {}]}}", "spec", "containers");
    CHECK_INT(node_unit_uid(&unit), geteuid());
    json_t *spec = json_object_get(unit.tree, "spec");
    json_object_set_new(spec, "securityContext", json_pack("{s:i}", "runAsUser", 501));
    CHECK_INT(node_unit_uid(&unit), 501);
    json_object_set_new(json_array_get(json_object_get(spec, "containers"), 1), "securityContext",
                        json_pack("{s:i}", "runAsUser", 502));
    CHECK_INT(node_unit_uid(&unit), 502);
    json_decref(unit.tree);
}

static void write_stat(const char *pid, const char *name, int64_t age_ms)
{
    AUTO_MEM char *file = str_format("%s/%s/stat", node_proc_dir, pid);
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    long long ticks = ((long long)now.tv_sec * 1000 - age_ms) * sysconf(_SC_CLK_TCK) / 1000;
    AUTO_MEM char *text = str_format(
        "%s (%s) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 14 0 %lld 1 2\n", pid, name, ticks);
    test_write(file, text);
}

static void check_kubelet(int64_t pid, int64_t age_min_ms)
{
    struct node_kubelet kubelet = node_proc_kubelet();
    CHECK_INT(kubelet.pid, pid);
    CHECK(!kubelet.argv == (pid == 0));
    CHECK(kubelet.age_ms >= age_min_ms && kubelet.age_ms < age_min_ms + 60000);
    json_decref(kubelet.argv);
}

static void no_kubelet(void)
{
    struct node_kubelet kubelet = node_proc_kubelet();
    CHECK(!kubelet.argv && kubelet.pid == 0 && kubelet.age_ms == -1);
}

TEST(what_merely_calls_itself_kubelet_is_none)
{
    AUTO_MEM char *proc = test_path("proc");
    node_proc_dir = proc;
    no_kubelet();
    world_process("1", "/sbin/init|", "/usr/lib/systemd/systemd", "mnt:[1]");
    world_process("10", "kubelet|--config=/x|", "/usr/bin/kubelet", "mnt:[1]");
    write_stat("10", "kubelet) (x", 600000);
    check_kubelet(10, 599000);
    AUTO_MEM char *exe = str_format("%s/10/exe", proc);
    world_link("/usr/bin/kubelet (deleted)", exe); // an upgrade under way
    check_kubelet(10, 599000);
    world_link("/var/tenant/not-kubelet", exe);
    no_kubelet();
    world_link("/usr/bin/kubelet", exe);
    AUTO_MEM char *pids = str_format("%s/10/ns/pid", proc), *mnt = str_format("%s/10/ns/mnt", proc);
    world_link("pid:[2]", pids);
    no_kubelet();
    CHECK(unlink(pids) == 0); // who may not look believes nothing
    no_kubelet();
    world_link("pid:[1]", pids);
    world_link("mnt:[2]", mnt);
    no_kubelet();
    world_link("mnt:[1]", mnt);
    world_process_uid("10", geteuid() + 1000);
    no_kubelet();
    world_process_uid("10", geteuid());
    check_kubelet(10, 599000);
    CHECK(node_proc_is_kubelet(10) && !node_proc_is_kubelet(1) && !node_proc_is_kubelet(11));
    // Of two nobody knows which is meant; the youngest was started last.
    world_process("11", "kubelet|--config=/y|", "/usr/bin/kubelet", "mnt:[1]");
    write_stat("11", "kubelet", 60000);
    check_kubelet(0, 59000);
}

TEST(processes_are_found_behind_ten_thousand_others)
{
    AUTO_MEM char *proc = test_path("proc");
    AUTO_JSON json_t *argv = json_pack("[s, s]", "kube-scheduler", "--a=1");
    node_proc_dir = proc;
    CHECK_OK(node_dir_make(proc));
    for (unsigned i = 100; i < 10200; i++) {
        AUTO_MEM char *path = str_format("%s/%u", proc, i);
        CHECK(mkdir(path, 0700) == 0);
    }
    world_process("1", "/sbin/init|", "/usr/lib/systemd/systemd", "mnt:[1]");
    world_process("20001", "kubelet|--config=/x|", "/usr/bin/kubelet", "mnt:[1]");
    world_process("20002", "kube-scheduler|--a=1|", "/bin/kube-scheduler", "mnt:[2]");
    CHECK(node_proc_runs(argv, geteuid()));
    struct node_kubelet kubelet = node_proc_kubelet();
    CHECK_INT(kubelet.pid, 20001);
    json_decref(kubelet.argv);
}

static char *refusal_in(struct node_unit *unit, const json_t *marks, int64_t since_ms,
                        const char *pod, const char *text)
{
    AUTO_MEM char *dir =
        str_format("%s/%s/kube-scheduler", unit->node->spec.paths.pod_logs_dir, pod);
    CHECK_OK(node_dir_make(dir));
    AUTO_MEM char *log = str_format("%s/0.log", dir);
    test_write(log, text);
    return node_logs_refusal(unit, marks, since_ms);
}

TEST(what_the_logs_say)
{
    struct node node = {.spec.paths.pod_logs_dir = test_dir()};
    struct node_unit unit = {
        .node = &node, .component = COMPONENT_SCHEDULER, .container = str_dup("kube-scheduler")};
    unit.tree = json_pack("{s:{s:s, s:s}}", "metadata", "name", "kube-scheduler", "namespace",
                          "kube-system");
    AUTO_JSON json_t *none = json_object();
    int64_t now;
    CHECK(clock_parse("2026-11-21T10:00:00Z", &now));
    CHECK_STR_TAKE(
        refusal_in(&unit, none, now, "kube-system_kube-scheduler-x-cp_u", "plain words\n"), NULL);
    CHECK_STR_TAKE(refusal_in(&unit, none, now, "kube-system_kube-schedulers_u",
                              "Error: unrecognized feature gate: X\n"),
                   NULL);
    // Before the edit: not about it.
    CHECK_STR_TAKE(
        refusal_in(&unit, none, now, "kube-system_kube-scheduler-cp-1_u1",
                   "2026-11-21T09:59:59.9Z stderr F Error: unrecognized feature gate: X\n"),
        NULL);
    CHECK_STR_TAKE(refusal_in(&unit, none, now, "kube-system_kube-scheduler-cp-1_u1",
                              "2026-11-21T10:00:01.9Z stderr F panic: unrecognized feature gate: "
                              "X\n2026-11-21T10:00:01.9Z stderr F goroutine 1\n"),
                   "panic: unrecognized feature gate: X");
    // What was there at the time of the edit is left out.
    AUTO_JSON json_t *marks = node_logs_mark(&unit);
    CHECK_INT(json_object_size(marks), 2);
    CHECK_STR_TAKE(node_logs_refusal(&unit, marks, now), NULL);
    CHECK_STR_TAKE(refusal_in(&unit, marks, now, "kube-system_kube-scheduler-cp-1_u2",
                              "Error: unknown command \"x\"\n"),
                   "Error: unknown command \"x\"");
    node_unit_fini(&unit);
}

static void said(const char *text, const char *want)
{
    CHECK_STR_TAKE(node_logs_search(slice_of(text), 0, 0), want);
}

// As kubelet and kube-scheduler 1.33.13 print them.
TEST(how_components_refuse_a_flag)
{
    said("Usage:\n  kube-scheduler [flags]\n\nError: unknown flag: --feature-gate\n",
         "Error: unknown flag: --feature-gate");
    said("Error: invalid argument \"Bogus=maybe\" for \"--feature-gates\" flag: invalid value of "
         "Bogus=maybe, err: strconv.ParseBool: parsing \"maybe\": invalid syntax\r\n",
         "Error: invalid argument \"Bogus=maybe\" for \"--feature-gates\" flag: invalid value of "
         "Bogus=maybe, err: strconv.ParseBool: parsing \"maybe\": invalid syntax");
    said("E1121 10:00:00.000001       1 run.go:72] \"command failed\" err=\"failed to set feature "
         "gates from initial flags-based config: unrecognized feature gate: Bogus\"\n",
         "\"command failed\" err=\"failed to set feature gates from initial flags-based config: "
         "unrecognized feature gate: Bogus\"");
    said("{\"ts\":1763719200000.1,\"caller\":\"cli/run.go:72\",\"msg\":\"command failed\","
         "\"err\":\"unknown api groups foo\"}\n",
         "unknown api groups foo");
    said("E1121 10:00:00.000001       1 run.go:72] \"command failed\" err=\"context deadline "
         "exceeded\"\n",
         NULL); // may do better next time
}

// Whoever can make a component log a text of theirs must not be able to veto an edit.
TEST(words_of_others_in_a_components_log_are_no_refusal)
{
    said("E1121 10:00:00.000001       1 pod_workers.go:1301] \"Error syncing pod\" err=\"unknown "
         "flag: --x\" pod=\"tenant/p\"\n",
         NULL);
    said("W1121 10:00:00.000001       1 x.go:1] invalid argument of a tenant\n", NULL);
    said("E1121 10:00:00.000001       1 x.go:1] \"x ] run.go:72] \"command failed\" err=\"unknown "
         "flag: --x\"\n",
         NULL);
    said("E1121 10:00:00.000001       1 x.go:1] \"x\" err=<\n\tError: unknown flag: --x\n >\n",
         NULL);
    said("  Error: unknown flag: --x\n", NULL);
    said("{\"ts\":1.1,\"caller\":\"x.go:1\",\"msg\":\"command failed\",\"err\":\"unknown flag: "
         "--x\"}\n",
         NULL);
    // The rest of a line that was too long for one.
    said("2026-11-21T10:00:00.1Z stderr P I1121 x.go:1] xxx\n"
         "2026-11-21T10:00:00.1Z stderr F Error: unknown flag: --x\n"
         "2026-11-21T10:00:00.1Z stderr F plain\n",
         NULL);
}

TEST(only_the_new_process_of_the_kubelet_counts)
{
    AUTO_MEM char *proc = test_path("proc");
    const char *line = "1763719200.250000 cp-1 kubelet[70]: Error: unknown flag: --x\n";
    node_proc_dir = proc;
    CHECK_STR_TAKE(node_logs_search(slice_of(line), 1763719200250, 69), "Error: unknown flag: --x");
    CHECK_STR_TAKE(node_logs_search(slice_of(line), 1763719200251, 69), NULL); // said before
    CHECK_STR_TAKE(node_logs_search(slice_of(line), 1763719200250, 70), NULL); // by the old one
    // By one that runs on: then it is no refusal.
    world_process("1", "/sbin/init|", "/usr/lib/systemd/systemd", "mnt:[1]");
    world_process("70", "kubelet|", "/usr/bin/kubelet", "mnt:[1]");
    CHECK_STR_TAKE(node_logs_search(slice_of(line), 0, 0), NULL);
}

TEST(observes_without_a_wish)
{
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_APISERVER,
              "    - --feature-gates=NodeLogQuery=true\n    - --runtime-config=api/beta=true\n");
    world_add(&world, COMPONENT_KUBELET, "");
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    const json_t *api = world_component(&world, "kube-apiserver");
    CHECK_STR(doc_str(api, "state", NULL), "Observed");
    CHECK_STR(doc_str(api, "version", NULL), "v1.33.13");
    CHECK(json_is_true(json_object_get(api, "healthy")));
    CHECK_STR_TAKE(doc_print_json_sorted(json_object_get(api, "featureGates")),
                   "{\"NodeLogQuery\":true}");
    CHECK_STR_TAKE(doc_print_json_sorted(json_object_get(api, "runtimeConfig")),
                   "{\"api/beta\":\"true\"}");
    CHECK_STR_TAKE(doc_print_json_sorted(json_object_get(api, "enabled")),
                   "{\"DynamicResourceAllocation\":false,\"NodeLogQuery\":true}");
    CHECK_STR_TAKE(doc_print_json_sorted(json_object_get(api, "extraGates")), "{\"Broken\":false}");
    CHECK(json_array_size(json_object_get(api, "missingGates")) > 50);
    CHECK(!json_object_get(api, "revision") && !json_object_get(api, "owned"));
    CHECK_STR(world_state(&world, "kubelet"), "Observed");
    CHECK(!json_object_get(node_status(world.node), "step"));
    CHECK(world.changes > 0);
    world_fini(&world);
}

TEST(settled_is_silent)
{
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_SCHEDULER, "");
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    unsigned changes = world.changes;
    world.tick = op_drop(world.tick);
    uint64_t turns = loop_turns(world.loop);
    world_run(&world, 300);
    CHECK(loop_turns(world.loop) - turns <= 3);
    CHECK_INT(world.changes, changes);
    CHECK(idle(&world));
    world_fini(&world);
}

static bool scheduler_unreadable(struct world *world)
{
    return str_eq(world_state(world, "kube-scheduler"), "Unreadable");
}

static bool scheduler_observed(struct world *world)
{
    return str_eq(world_state(world, "kube-scheduler"), "Observed") && idle(world);
}

static bool scheduler_up_to_date(struct world *world)
{
    return str_eq(world_state(world, "kube-scheduler"), "UpToDate") && idle(world);
}

TEST(two_files_for_one_component)
{
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_SCHEDULER, "");
    AUTO_MEM char *copy = str_format("%s/copy.yaml.bak", world.manifests);
    AUTO_MEM char *hidden = str_format("%s/.copy.yaml", world.manifests);
    AUTO_MEM char *text = test_read(world.fakes[COMPONENT_SCHEDULER].path);
    test_write(hidden, text);
    world_start_agent(&world);
    CHECK(world_wait(&world, scheduler_observed, 5000));
    test_write(copy, text);
    CHECK(world_wait(&world, scheduler_unreadable, 5000));
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "reason", NULL),
              "ManifestInvalid");
    CHECK_HAS(doc_str(world_component(&world, "kube-scheduler"), "message", NULL), "copy.yaml.bak");
    unlink(copy);
    CHECK(world_wait(&world, scheduler_observed, 5000));
    world_fini(&world);
}

// A second scheduler runs the standard program under names of its own.
static void write_second_scheduler(const char *path, const char *label)
{
    AUTO_MEM char *labels = *label ? str_format("  labels: {component: %s}\n", label) : str_dup("");
    AUTO_MEM char *text = str_format(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: batch-scheduler\n  namespace: "
        "kube-system\n%sspec:\n  containers:\n  - command: [kube-scheduler, "
        "--config=/etc/batch.yaml]\n    image: registry/kube-scheduler:v1.33.4\n    name: "
        "batch-scheduler\n",
        labels);
    test_write(path, text);
}

// It is before the real one in the order of names, so that being first is not what counts.
static void check_second_scheduler(const char *label)
{
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_SCHEDULER, "");
    AUTO_MEM char *second = str_format("%s/batch-scheduler.yaml", world.manifests);
    write_second_scheduler(second, label);
    AUTO_MEM char *before = test_read(second);
    world_start_agent(&world);
    world_desire_json(&world, "{\"epoch\": 1, \"components\": [{\"name\": \"kube-scheduler\", "
                              "\"revision\": \"r1\", \"featureGates\": "
                              "{\"DynamicResourceAllocation\": true}}]}");
    CHECK(world_wait(&world, scheduler_up_to_date, 10000));
    CHECK_STR_TAKE(test_read(second), before);
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "otherManifests", "0", NULL),
              second);
    world_fini(&world);
}

TEST(a_second_scheduler_with_a_label_of_its_own_is_named_and_holds_nothing)
{
    check_second_scheduler("batch-scheduler");
}

TEST(a_second_scheduler_without_a_label_is_named_and_holds_nothing)
{
    check_second_scheduler("");
}

TEST(a_second_scheduler_with_the_label_of_the_real_one_is_named_and_holds_nothing)
{
    check_second_scheduler("kube-scheduler");
}

// Right after an edit the real one does not run with its new words yet, and the other one does with
// its own: that must not make the other one's file the one to go on with.
static void check_running_second_scheduler(const char *name)
{
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_SCHEDULER, "");
    struct fake *fake = &world.fakes[COMPONENT_SCHEDULER];
    AUTO_MEM char *first = fake->path;
    fake->path = str_format("%s/%s", world.manifests, name);
    CHECK(rename(first, fake->path) == 0);
    AUTO_MEM char *second = str_format("%s/batch-scheduler.yaml", world.manifests);
    write_second_scheduler(second, "kube-scheduler");
    AUTO_MEM char *before = test_read(second);
    world_process("77", "kube-scheduler|--leader-elect=true|", "/bin/kube-scheduler", "mnt:[2]");
    world_process("78", "kube-scheduler|--config=/etc/batch.yaml|", "/bin/kube-scheduler",
                  "mnt:[3]");
    world_start_agent(&world);
    world_desire_json(&world, "{\"epoch\": 1, \"components\": [{\"name\": \"kube-scheduler\", "
                              "\"revision\": \"r1\", \"featureGates\": "
                              "{\"DynamicResourceAllocation\": true}}]}");
    CHECK(world_wait(&world, scheduler_up_to_date, 10000));
    CHECK_STR_TAKE(test_read(second), before);
    AUTO_MEM char *text = test_read(fake->path);
    CHECK_HAS(text, "--feature-gates=DynamicResourceAllocation=true");
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "otherManifests", "0", NULL),
              second);
    CHECK_INT(fake->starts, 2);
    world_fini(&world);
}

TEST(a_second_scheduler_with_that_label_that_runs_is_not_gone_on_with_after_an_edit)
{
    check_running_second_scheduler("kube-scheduler.yaml");
}

TEST(nor_where_the_real_ones_file_has_another_name)
{
    check_running_second_scheduler("scheduler.yaml");
}

// Neither the file's name, nor the label, nor the container's name says which it is.
TEST(of_two_files_that_nothing_else_tells_apart_the_one_that_runs_counts)
{
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_SCHEDULER, "");
    struct fake *fake = &world.fakes[COMPONENT_SCHEDULER];
    AUTO_MEM char *first = fake->path;
    fake->path = str_format("%s/scheduler.yaml", world.manifests);
    CHECK(rename(first, fake->path) == 0);
    AUTO_MEM char *second = str_format("%s/batch-scheduler.yaml", world.manifests);
    test_write(second, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: batch\n  namespace: "
                       "kube-system\n  labels: {component: kube-scheduler}\nspec:\n  containers:\n"
                       "  - command: [kube-scheduler, --config=/etc/batch.yaml]\n"
                       "    image: registry/kube-scheduler:v1.33.4\n    name: kube-scheduler\n");
    world_process("77", "kube-scheduler|--leader-elect=true|", "/bin/kube-scheduler", "mnt:[2]");
    world_start_agent(&world);
    CHECK(world_wait(&world, scheduler_observed, 5000));
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "otherManifests", "0", NULL),
              second);
    world_fini(&world);
}

TEST(a_second_scheduler_alone_is_not_taken_for_the_real_one)
{
    struct world world;
    world_init(&world);
    AUTO_MEM char *second = str_format("%s/batch-scheduler.yaml", world.manifests);
    write_second_scheduler(second, "batch-scheduler");
    world_start_agent(&world);
    world_run(&world, 100);
    CHECK(world_component(&world, "kube-scheduler") == NULL);
    world_fini(&world);
}

TEST(a_copy_of_the_pod_is_reported_with_both_names_and_nothing_is_written)
{
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_SCHEDULER, "");
    AUTO_MEM char *copy = str_format("%s/kube-scheduler.yaml.before-change", world.manifests);
    AUTO_MEM char *text = test_read(world.fakes[COMPONENT_SCHEDULER].path);
    AUTO_MEM char *other = str_format("%s# changed since\n", text);
    test_write(copy, other);
    world_start_agent(&world);
    world_desire_json(&world, "{\"epoch\": 1, \"components\": [{\"name\": \"kube-scheduler\", "
                              "\"revision\": \"r1\", \"featureGates\": "
                              "{\"DynamicResourceAllocation\": true}}]}");
    CHECK(world_wait(&world, scheduler_unreadable, 5000));
    CHECK_HAS(doc_str(world_component(&world, "kube-scheduler"), "message", NULL),
              "kube-scheduler.yaml.before-change both are the pod kube-scheduler");
    CHECK_STR_TAKE(test_read(world.fakes[COMPONENT_SCHEDULER].path), text);
    unlink(copy);
    CHECK(world_wait(&world, scheduler_up_to_date, 10000));
    world_fini(&world);
}

TEST(a_broken_file_is_reported_and_untouched)
{
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_SCHEDULER, "");
    const char *broken = "kind: Pod\nspec: {containers: [\n";
    test_write(world.fakes[COMPONENT_SCHEDULER].path, broken);
    loop_listener_free(TAKE(world.fakes[COMPONENT_SCHEDULER].listener));
    world_start_agent(&world);
    world_desire_json(&world, "{\"epoch\": 1, \"components\": [{\"name\": \"kube-scheduler\", "
                              "\"revision\": \"r1\", \"featureGates\": {\"A\": true}}]}");
    CHECK(world_wait(&world, scheduler_unreadable, 5000));
    world_run(&world, 100);
    CHECK_STR_TAKE(test_read(world.fakes[COMPONENT_SCHEDULER].path), broken);
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "reason", NULL),
              "ManifestInvalid");
    world_fini(&world);
}

TEST(reads_flags_in_both_notations)
{
    AUTO_JSON json_t *argv = json_pack("[s, s, s, s, s]", "kube-apiserver", "--secure-port", "6443",
                                       "--secure-port-x=1", "--bind-address=::");
    CHECK_STR(node_argv_flag(argv, "secure-port"), "6443");
    CHECK_STR(node_argv_flag(argv, "bind-address"), "::");
    CHECK(node_argv_flag(argv, "port") == NULL);
}

TEST_MAIN()
