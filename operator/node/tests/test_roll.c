// SPDX-License-Identifier: Apache-2.0
// Whole rolls on a small node: the order, the read-back, the way back, and everything that somebody
// else may do meanwhile.
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define API COMPONENT_APISERVER
#define KCM COMPONENT_CONTROLLER_MANAGER
#define SCHED COMPONENT_SCHEDULER
#define KUBELET COMPONENT_KUBELET

static const char *reason_of(const struct world *world, const char *name)
{
    return doc_str(world_component(world, name), "reason", NULL);
}

static const char *message_of(const struct world *world, const char *name)
{
    return doc_str(world_component(world, name), "message", NULL);
}

static bool scheduler_failed(struct world *world)
{
    return str_eq(world_state(world, "kube-scheduler"), "Failed") &&
           !json_object_get(node_status(world->node), "step");
}

static bool kubelet_failed(struct world *world)
{
    return str_eq(world_state(world, "kubelet"), "Failed");
}

// A world with one scheduler that has been observed.
static void one_scheduler(struct world *world, const char *flags)
{
    world_init(world);
    world_add(world, SCHED, flags);
    world_start_agent(world);
    CHECK(world_wait(world, idle, 5000));
}

static char *scheduler_text(const struct world *world)
{
    return test_read(world->fakes[SCHED].path);
}

TEST(enables_all_four_in_order_and_disables_them_in_reverse)
{
    struct world world;
    world_init(&world);
    char *before[COMPONENT_COUNT];
    for (unsigned c = 0; c < COMPONENT_COUNT; c++) {
        world_add(&world, (enum component)c, "");
        before[c] = test_read(world.fakes[c].path);
    }
    world_start_agent(&world);
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 10000));
    for (unsigned c = 0; c + 1 < COMPONENT_COUNT; c++)
        CHECK(world.fakes[c].start_ms < world.fakes[c + 1].start_ms);
    const json_t *api = world_component(&world, "kube-apiserver");
    CHECK_STR(doc_str(api, "revision", NULL), "r1");
    CHECK(doc_str(api, "updatedAt", NULL)[0]);
    CHECK_STR_TAKE(doc_print_json_sorted(json_object_get(api, "owned")),
                   "{\"featureGates\":{\"DynamicResourceAllocation\":true},\"runtimeConfig\":{"
                   "\"resource.k8s.io/v1beta1\":\"true\"}}");
    CHECK_STR_TAKE(
        doc_print_json_sorted(json_object_get(world_component(&world, "kubelet"), "enabled")),
        "{\"DynamicResourceAllocation\":true}");
    AUTO_MEM char *place = str_format("%s, line ", world.fakes[API].path);
    CHECK_HAS(doc_str(api, "places", "DynamicResourceAllocation", NULL), place);
    CHECK_HAS(doc_str(api, "places", "resource.k8s.io/v1beta1", NULL), place);
    CHECK_INT(world.fakes[API].starts, 2);
    world_desire(&world, "r2", "", "Disable");
    CHECK(world_wait(&world, all_up_to_date, 10000));
    for (unsigned c = 0; c < COMPONENT_COUNT; c++) {
        CHECK_STR_TAKE(test_read(world.fakes[c].path), before[c]);
        mem_free(before[c]);
        CHECK(
            !json_object_get(world_component(&world, component_name((enum component)c)), "owned"));
    }
    for (unsigned c = 0; c + 1 < COMPONENT_COUNT; c++)
        CHECK(world.fakes[c].start_ms > world.fakes[c + 1].start_ms);
    // Not so soon after the kubelet.
    CHECK(world.fakes[SCHED].start_ms - world.fakes[KUBELET].start_ms >=
          (int64_t)node_timing.kubelet_hold_ms);
    // What nobody needs any more is gone.
    AUTO_MEM char *backups = str_format("%s/backups", world.state);
    AUTO_STRLIST struct strlist names = {0};
    CHECK_OK(node_dir_list(backups, true, &names));
    CHECK_INT(names.len, 0);
    world_fini(&world);
}

TEST(a_second_pass_writes_nothing)
{
    struct world world;
    one_scheduler(&world, "");
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    AUTO_MEM char *journal = str_format("%s/journal.json", world.state);
    struct stat pod, again, said, said_again;
    CHECK(stat(world.fakes[SCHED].path, &pod) == 0 && stat(journal, &said) == 0);
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    node_refresh(world.node);
    CHECK(world_wait(&world, all_up_to_date, 5000));
    world_stop_agent(&world);
    world_start_agent(&world);
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK(stat(world.fakes[SCHED].path, &again) == 0 && stat(journal, &said_again) == 0);
    CHECK_INT(again.st_ino, pod.st_ino);
    CHECK_INT(said_again.st_ino, said.st_ino);
    CHECK_INT(world.fakes[SCHED].starts, 2);
    world_fini(&world);
}

// A controller takes "UpToDate" of a revision for the end of its roll-out, and "Failed" for its.
TEST(a_state_never_speaks_of_a_wish_that_is_newer)
{
    struct world world;
    one_scheduler(&world, "");
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    world_desire(&world, "r2", "NodeLogQuery", "Enable");
    CHECK_STR(world_state(&world, "kube-scheduler"), "UpToDate");
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "revision", NULL), "r1");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "revision", NULL), "r2");
    world_desire(&world, "r3", "Bogus", "Enable");
    CHECK(world_wait(&world, scheduler_failed, 8000));
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "revision", NULL), "r3");
    world_desire(&world, "r4", "", "Enable");
    CHECK(!str_eq(doc_str(world_component(&world, "kube-scheduler"), "revision", NULL), "r4"));
    CHECK(world_wait(&world, all_up_to_date, 5000));
    world_fini(&world);
}

TEST(a_refused_flag_is_put_back_at_once)
{
    struct world world;
    one_scheduler(&world, "    - --feature-gates=NodeLogQuery=true\n");
    AUTO_MEM char *before = scheduler_text(&world);
    world_desire_json(&world, "{\"epoch\": 1, \"componentTimeoutSeconds\": 30, \"components\": "
                              "[{\"name\": \"kube-scheduler\", "
                              "\"revision\": \"r1\", \"featureGates\": {\"Bogus\": true}}]}");
    CHECK(world_wait(&world, scheduler_failed, 5000));
    CHECK_STR(reason_of(&world, "kube-scheduler"), "ComponentCrashed");
    CHECK_HAS(message_of(&world, "kube-scheduler"),
              "refuses its flags: \"command failed\" err=\"failed to set feature gates: "
              "unrecognized feature gate: Bogus\"");
    CHECK_HAS(message_of(&world, "kube-scheduler"), "healthy");
    CHECK_STR_TAKE(scheduler_text(&world), before);
    CHECK(!json_object_get(world_component(&world, "kube-scheduler"), "owned"));
    // No second try: not by looking again, not by a restart of the agent.
    unsigned starts = world.fakes[SCHED].starts;
    node_refresh(world.node);
    CHECK(world_wait(&world, idle, 5000));
    world_stop_agent(&world);
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    CHECK(scheduler_failed(&world));
    CHECK_INT(world.fakes[SCHED].starts, starts);
    // Another wish is tried.
    world_desire(&world, "r2", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK(!json_object_get(world_component(&world, "kube-scheduler"), "reason"));
    world_fini(&world);
}

static int saved_stderr;

static void log_to(const char *path)
{
    saved_stderr = dup(STDERR_FILENO);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
}

static void has_line(const char *log, const char *what, const char *component, const char *revision)
{
    AUTO_MEM char *names =
        str_format("node=cp-1 component=%s object=NodeDRAConfiguration/cp-1 file=", component);
    AUTO_MEM char *end = str_format(" revision=%s", revision);
    struct slice rest = slice_of(log), line;
    bool found = false;
    while (slice_cut(&rest, '\n', &line)) {
        AUTO_MEM char *text = slice_dup(line);
        found = found || (strstr(text, what) && strstr(text, names) && str_ends(text, end));
    }
    if (!found)
        fprintf(stderr, "%s\nno line with \"%s\"\n", log, what);
    CHECK(found);
}

TEST(the_log_has_each_edit_restart_read_back_and_roll_back)
{
    struct world world;
    world_init(&world);
    world_add(&world, SCHED, "");
    world_add(&world, KUBELET, "");
    AUTO_MEM char *path = test_path("agent.log");
    log_to(path);
    world_start_agent(&world);
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    bool well = world_wait(&world, all_up_to_date, 8000);
    world_desire(&world, "r2", "Bogus", "Enable");
    bool failed = world_wait(&world, scheduler_failed, 8000);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    CHECK(well && failed);
    AUTO_MEM char *log = test_read(path);
    has_line(log, "info  node: the file was edited", "kube-scheduler", "r1");
    has_line(log, "info  node: read back: it runs as requested", "kube-scheduler", "r1");
    has_line(log, "info  node: the file was edited", "kubelet", "r1");
    has_line(log, "info  node: the kubelet is restarted", "kubelet", "r1");
    has_line(log, "info  node: read back: it runs as requested", "kubelet", "r1");
    has_line(log, "warn  node: rolling back: kube-scheduler refuses its flags", "kube-scheduler",
             "r2");
    has_line(log, "info  node: rolled back: the file is as it was before the edit",
             "kube-scheduler", "r2");
    has_line(log, "info  node: healthy again after the roll-back", "kube-scheduler", "r2");
    world_fini(&world);
}

static const char *their_file;

// Somebody else writes the file after the agent decided to put it back.
static void write_theirs(const char *stage)
{
    if (!str_eq(stage, "rollback journalled"))
        return;
    AUTO_MEM char *text = test_read(their_file);
    AUTO_MEM char *theirs = str_format("%s# a word of theirs\n", text);
    test_write(their_file, theirs);
}

TEST(what_is_said_of_a_roll_back_is_what_was_done)
{
    struct world world;
    one_scheduler(&world, "");
    world.fakes[SCHED].lies = true;
    AUTO_MEM char *before = scheduler_text(&world), *path = test_path("agent.log");
    AUTO_MEM char *wanted = str_format("%s# a word of theirs\n", before);
    their_file = world.fakes[SCHED].path;
    guard_test_hook = write_theirs;
    world.timeout_s = OVER_S;
    log_to(path);
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    bool failed = world_wait(&world, scheduler_failed, 10000);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    CHECK(failed);
    CHECK_STR_TAKE(scheduler_text(&world), wanted);
    AUTO_MEM char *log = test_read(path);
    has_line(
        log,
        "info  node: rolled back: the edit was taken out of the file, other changes to it stay",
        "kube-scheduler", "r1");
    CHECK(!strstr(log, "as it was before"));
    CHECK_HAS(message_of(&world, "kube-scheduler"),
              "the edit was taken out of the file, other changes to it stay, and the component is "
              "healthy");
    world_fini(&world);
}

TEST(one_that_does_not_become_ready_is_put_back)
{
    struct world world;
    one_scheduler(&world, "");
    world.fakes[SCHED].never_ready = true;
    AUTO_MEM char *before = scheduler_text(&world);
    world.timeout_s = OVER_S;
    world_desire(&world, "r1", "Broken", "Enable");
    CHECK(world_wait(&world, scheduler_failed, 8000));
    CHECK_STR(reason_of(&world, "kube-scheduler"), "ComponentNotReady");
    CHECK_HAS(message_of(&world, "kube-scheduler"), "informer-sync failed");
    CHECK_STR_TAKE(scheduler_text(&world), before);
    CHECK(world_wait(&world, idle, 5000));
    CHECK(json_is_true(json_object_get(world_component(&world, "kube-scheduler"), "healthy")));
    world_fini(&world);
}

TEST(a_gate_that_does_not_take_is_put_back)
{
    struct world world;
    one_scheduler(&world, "");
    world.fakes[SCHED].lies = true;
    AUTO_MEM char *before = scheduler_text(&world);
    world.timeout_s = OVER_S;
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, scheduler_failed, 8000));
    CHECK_STR(reason_of(&world, "kube-scheduler"), "ReadBackMismatch");
    CHECK_HAS(message_of(&world, "kube-scheduler"), "DynamicResourceAllocation is false, not true");
    CHECK_STR_TAKE(scheduler_text(&world), before);
    world_fini(&world);
}

TEST(without_metrics_a_healthy_component_is_left_alone)
{
    struct world world;
    world_init(&world);
    world_add(&world, SCHED, "");
    world.fakes[SCHED].denies_metrics = true;
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    world.timeout_s = OVER_S;
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, scheduler_failed, 8000));
    CHECK_STR(reason_of(&world, "kube-scheduler"), "MetricsUnavailable");
    AUTO_MEM char *text = scheduler_text(&world);
    CHECK_HAS(text, "--feature-gates=DynamicResourceAllocation=true");
    // Allowed to read them later: all is well, without another restart.
    world.fakes[SCHED].denies_metrics = false;
    node_refresh(world.node);
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_INT(world.fakes[SCHED].starts, 2);
    world_fini(&world);
}

TEST(without_metrics_the_process_list_tells)
{
    struct world world;
    world_init(&world);
    world_add(&world, SCHED, "");
    world.fakes[SCHED].denies_metrics = true;
    world_start_agent(&world);
    world_process("77",
                  "/bin/kube-scheduler|--feature-gates=DynamicResourceAllocation=true|"
                  "--leader-elect=true|",
                  "/bin/kube-scheduler", "mnt:[2]");
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    world_fini(&world);
}

TEST(without_start_time_going_away_and_coming_back_tells)
{
    struct world world;
    world_init(&world);
    world_add(&world, SCHED, "");
    world.fakes[SCHED].no_start_time = true;
    world.restart_ms = 500; // a busy machine must see that it is away
    world_start_agent(&world);
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_INT(world.fakes[SCHED].starts, 2);
    world_fini(&world);
}

TEST(an_older_epoch_is_refused)
{
    struct world world;
    one_scheduler(&world, "");
    world_desire_json(&world, "{\"epoch\": 7, \"components\": []}");
    AUTO_JSON json_t *older = json_pack("{s:i, s:[]}", "epoch", 6, "components");
    AUTO(error) struct error *err = node_set_desired(world.node, older);
    CHECK(err && error_kind(err) == ERROR_CONFLICT);
    CHECK_STR(error_reason(err), "StaleEpoch");
    world_stop_agent(&world);
    world_start_agent(&world);
    CHECK_ERR(node_set_desired(world.node, older), ERROR_CONFLICT);
    CHECK_INT(doc_int(node_status(world.node), 0, "epoch", NULL), 7);
    AUTO_JSON json_t *wrong = json_pack("{s:i, s:[{s:s, s:s}]}", "epoch", 8, "components", "name",
                                        "etcd", "revision", "r");
    CHECK_ERR(node_set_desired(world.node, wrong), ERROR_INVALID);
    world_fini(&world);
}

TEST(a_failure_stops_the_order)
{
    struct world world;
    world_init(&world);
    world_add(&world, API, "");
    world_add(&world, SCHED, "");
    AUTO_MEM char *before = scheduler_text(&world);
    world_start_agent(&world);
    world_desire_json(
        &world,
        "{\"epoch\": 1, \"direction\": \"Enable\", \"components\": ["
        "{\"name\": \"kube-apiserver\", \"revision\": \"a\", \"featureGates\": {\"Bogus\": true}},"
        "{\"name\": \"kube-scheduler\", \"revision\": \"s\", \"featureGates\": "
        "{\"DynamicResourceAllocation\": true}}]}");
    world_wait(&world, idle, 5000);
    CHECK_STR(world_state(&world, "kube-apiserver"), "Failed");
    CHECK_STR(world_state(&world, "kube-scheduler"), "Pending");
    CHECK_STR_TAKE(scheduler_text(&world), before);
    CHECK_INT(world.fakes[SCHED].starts, 1);
    world_fini(&world);
}

static bool scheduler_waits(struct world *world)
{
    return str_eq(doc_str(node_status(world->node), "step", "phase", NULL), "WaitingForRestart");
}

TEST(a_foreign_edit_meanwhile_survives)
{
    struct world world;
    one_scheduler(&world, "");
    world.restart_ms = 200;
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, scheduler_waits, 5000));
    AUTO_MEM char *ours = scheduler_text(&world);
    AUTO_MEM char *theirs = str_format("%s# a word of theirs\n", ours);
    test_write(world.fakes[SCHED].path, theirs);
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_STR_TAKE(scheduler_text(&world), theirs);
    // And it survives that ours is taken out again.
    world_desire(&world, "r2", "", "Disable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    AUTO_MEM char *after = scheduler_text(&world);
    CHECK_HAS(after, "# a word of theirs\n");
    CHECK(!strstr(after, "feature-gates"));
    world_fini(&world);
}

TEST(a_regenerated_manifest_is_edited_again)
{
    struct world world;
    one_scheduler(&world, "");
    AUTO_MEM char *before = scheduler_text(&world);
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    AUTO_MEM char *regenerated = str_format("%s# kubeadm\n", before);
    test_write(world.fakes[SCHED].path, regenerated);
    world_run(&world, 150);
    CHECK(world_wait(&world, all_up_to_date, 5000));
    AUTO_MEM char *text = scheduler_text(&world);
    CHECK_HAS(text, "--feature-gates=DynamicResourceAllocation=true");
    CHECK_HAS(text, "# kubeadm\n");
    world_desire(&world, "r2", "", "Disable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_STR_TAKE(scheduler_text(&world), regenerated);
    world_fini(&world);
}

TEST(a_new_wish_replaces_one_that_hangs)
{
    struct world world;
    one_scheduler(&world, "");
    AUTO_MEM char *before = scheduler_text(&world);
    world.fakes[SCHED].never_ready = true;
    world_desire_json(&world, "{\"epoch\": 1, \"componentTimeoutSeconds\": 60, \"components\": "
                              "[{\"name\": \"kube-scheduler\", "
                              "\"revision\": \"r1\", \"featureGates\": {\"Broken\": true}}]}");
    CHECK(world_wait(&world, scheduler_waits, 5000));
    world_run(&world, 150);
    world_desire(&world, "r2", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    AUTO_MEM char *text = scheduler_text(&world);
    CHECK_HAS(text, "--feature-gates=DynamicResourceAllocation=true");
    CHECK(!strstr(text, "Broken"));
    world_desire(&world, "r3", "", "Disable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_STR_TAKE(scheduler_text(&world), before);
    world_fini(&world);
}

TEST(the_same_content_under_a_new_revision_does_not_restart)
{
    struct world world;
    one_scheduler(&world, "");
    world.restart_ms = 150;
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, scheduler_waits, 5000));
    world_desire(&world, "r2", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_INT(world.fakes[SCHED].starts, 2);
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "revision", NULL), "r2");
    CHECK(doc_str(world_component(&world, "kube-scheduler"), "updatedAt", NULL)[0]);
    world_desire(&world, "r3", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_INT(world.fakes[SCHED].starts, 2);
    world_fini(&world);
}

TEST(a_kubelet_that_cannot_be_restarted_is_put_back)
{
    struct world world;
    world_init(&world);
    world_add(&world, KUBELET, "");
    AUTO_MEM char *before = test_read(world.config);
    world.restart[2] = "echo no such unit >&2; exit 5";
    world_start_agent(&world);
    world.timeout_s = OVER_S;
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, kubelet_failed, 8000));
    CHECK_STR(reason_of(&world, "kubelet"), "KubeletNotReady");
    CHECK_HAS(message_of(&world, "kubelet"), "exited with 5: no such unit");
    CHECK_STR_TAKE(test_read(world.config), before);
    world_fini(&world);
}

TEST(a_kubelet_that_does_not_come_back_is_put_back)
{
    struct world world;
    world_init(&world);
    world_add(&world, KUBELET, "");
    AUTO_MEM char *before = test_read(world.config);
    world_start_agent(&world);
    world.timeout_s = OVER_S;
    world_desire(&world, "r1", "Bogus", "Enable");
    CHECK(world_wait(&world, kubelet_failed, 8000));
    CHECK_STR(reason_of(&world, "kubelet"), "KubeletNotReady");
    CHECK_STR_TAKE(test_read(world.config), before);
    CHECK(world_wait(&world, idle, 5000));
    CHECK(json_is_true(json_object_get(world_component(&world, "kubelet"), "healthy")));
    world_fini(&world);
}

TEST(a_kubelet_whose_file_is_right_is_restarted)
{
    struct world world;
    world_init(&world);
    world_add(&world, KUBELET, "");
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    // As kubeadm upgrade does: the file is new, the kubelet old.
    test_write(world.config,
               "kind: KubeletConfiguration\nfeatureGates:\n  DynamicResourceAllocation: true\n");
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_INT(world.fakes[KUBELET].starts, 2);
    CHECK(!json_object_get(world_component(&world, "kubelet"), "owned"));
    world_fini(&world);
}

static bool kubelet_has_it_on(struct world *world)
{
    return json_is_true(
        doc_get(world_component(world, "kubelet"), "enabled", "DynamicResourceAllocation", NULL));
}

// Its program was replaced: no file tells, but the Node's version does, and the caller refreshes.
TEST(a_kubelet_that_somebody_else_restarted_is_noticed_on_refresh)
{
    struct world world;
    world_init(&world);
    world_add(&world, KUBELET, "");
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    fake_run(&world.fakes[KUBELET], NULL);
    json_object_set_new(world.fakes[KUBELET].gates, "DynamicResourceAllocation", json_true());
    node_refresh(world.node);
    CHECK(world_wait(&world, kubelet_has_it_on, 5000));
    world_fini(&world);
}

TEST(a_component_that_nobody_lists_is_left_alone)
{
    struct world world;
    one_scheduler(&world, "");
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    AUTO_MEM char *text = scheduler_text(&world);
    world_desire_json(&world, "{\"epoch\": 2, \"components\": []}");
    CHECK(world_wait(&world, idle, 5000));
    CHECK_STR(world_state(&world, "kube-scheduler"), "Observed");
    CHECK(json_object_get(world_component(&world, "kube-scheduler"), "owned"));
    CHECK_STR_TAKE(scheduler_text(&world), text);
    world_fini(&world);
}

static unsigned wars; // how often an edit of ours was changed back

static void on_war(void *owner)
{
    struct world *world = owner;
    AUTO_MEM char *text = scheduler_text(world);
    char *flag = strstr(text, "    - --feature-gates=DynamicResourceAllocation=true\n");
    if (flag) {
        const char *rest = strchr(flag, '\n') + 1;
        AUTO_MEM char *without = str_format("%.*s%s", (int)(flag - text), text, rest);
        test_write(world->fakes[SCHED].path, without);
        wars++;
    }
    world->other = loop_sleep(world->loop, 50, on_war, world);
}

TEST(no_endless_war_over_a_file)
{
    struct world world;
    one_scheduler(&world, "");
    world.other = loop_sleep(world.loop, 50, on_war, &world);
    world.timeout_s = OVER_S;
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, scheduler_failed, 10000));
    CHECK_STR(reason_of(&world, "kube-scheduler"), "FileConflict");
    world.other = op_drop(world.other);
    world_fini(&world);
}

// The kubelet has not come to it yet: nobody has seen the component run with that file.
TEST(what_ran_before_a_file_changed_does_not_speak_of_it)
{
    struct world world;
    one_scheduler(&world, "");
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 10000));
    AUTO_MEM char *wanted = scheduler_text(&world);
    world.other = loop_sleep(world.loop, 50, on_war, &world);
    CHECK(world_wait(&world, scheduler_failed, 10000));
    world.other = op_drop(world.other);
    world.restart_ms = 600000;
    test_write(world.fakes[SCHED].path, wanted);
    for (unsigned i = 0; i < 20; i++) {
        world_run(&world, 20);
        CHECK_STR(world_state(&world, "kube-scheduler"), "Failed");
    }
    world.fakes[SCHED].start_at_ms = clock_ms();
    CHECK(world_wait(&world, all_up_to_date, 10000));
    world_fini(&world);
}

// Ten minutes after the last failure: its time is moved, in the journal too.
static void ten_minutes_pass(struct world *world)
{
    int64_t window_ms = (int64_t)node_timing.edits_window_ms;
    json_t *failed = json_object_get(node_record(world->node, SCHED), "failed");
    json_object_set_new(failed, "at", json_integer(doc_int(failed, 0, "at", NULL) - window_ms));
    CHECK_OK(node_journal_save(world->node));
    world->node->units[SCHED].edited_ms -= (uint64_t)window_ms;
}

static bool scheduler_failed_now(struct world *world)
{
    const json_t *record = node_record_peek(world->node, SCHED);
    int64_t window_ms = (int64_t)node_timing.edits_window_ms;
    return doc_int(record, 0, "failed", "at", NULL) > clock_wall_ms() - window_ms &&
           scheduler_failed(world);
}

static bool second_spec_failed(struct world *world)
{
    return scheduler_failed(world) &&
           str_eq(doc_str(world_component(world, "kube-scheduler"), "revision", NULL), "r2");
}

TEST(a_fight_over_a_file_that_goes_on_is_tried_once_each_time)
{
    struct world world;
    one_scheduler(&world, "");
    world.other = loop_sleep(world.loop, 50, on_war, &world);
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, scheduler_failed_now, 10000));
    CHECK_INT(wars, 5);
    for (unsigned i = 1; i <= 3; i++) {
        ten_minutes_pass(&world);
        if (i == 2) { // what is in the journal outlives the agent
            world_stop_agent(&world);
            world_start_agent(&world);
        }
        node_refresh(world.node);
        CHECK(world_wait(&world, scheduler_failed_now, 10000));
        CHECK_STR(reason_of(&world, "kube-scheduler"), "FileConflict");
        CHECK_INT(wars, 5 + i);
    }
    // Another spec may be what the other side was waiting for.
    world_desire(&world, "r2", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, second_spec_failed, 10000));
    CHECK_INT(wars, 13);
    world.other = op_drop(world.other);
    world_fini(&world);
}

// Who wrote it is gone: nobody has to ask for it.
static bool flag_is_written(struct world *world)
{
    AUTO_MEM char *text = scheduler_text(world);
    return strstr(text, "--feature-gates=") != NULL;
}

static bool scheduler_unreadable(struct world *world)
{
    return str_eq(world_state(world, "kube-scheduler"), "Unreadable");
}

// The kubelet may run the copy then, so that it does not come up says nothing about the gates.
TEST(a_copy_that_appears_while_it_is_waited_for_is_no_failure_of_the_component)
{
    struct world world;
    one_scheduler(&world, "");
    world.fakes[SCHED].lies = true;
    AUTO_MEM char *copy = str_format("%s/kube-scheduler.yaml.bak", world.manifests);
    AUTO_MEM char *text = scheduler_text(&world);
    world.timeout_s = OVER_S;
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, flag_is_written, 10000));
    test_write(copy, text);
    CHECK(world_wait(&world, scheduler_unreadable, 10000));
    unlink(copy);
    CHECK(world_wait(&world, scheduler_failed, 10000));
    CHECK_STR(reason_of(&world, "kube-scheduler"), "FileConflict");
    CHECK_STR_TAKE(scheduler_text(&world), text);
    world_fini(&world);
}

static ssize_t attributes_fail(const char *path, char *list, size_t size)
{
    (void)path, (void)list, (void)size;
    errno = EIO;
    return -1;
}

TEST(attributes_that_cannot_be_copied_stop_an_edit_and_no_way_back)
{
    struct world world;
    one_scheduler(&world, "");
    world.fakes[SCHED].lies = true;
    AUTO_MEM char *before = scheduler_text(&world), *path = test_path("agent.log");
    world.timeout_s = OVER_S;
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, flag_is_written, 10000));
    guard_llistxattr = attributes_fail;
    log_to(path);
    bool failed = world_wait(&world, scheduler_failed, 10000);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    CHECK(failed);
    CHECK_STR_TAKE(scheduler_text(&world), before);
    AUTO_MEM char *log = test_read(path);
    CHECK_HAS(log, "put back without its extended attributes: list the extended attributes of");
    node_timing.write_retry_ms = 600000; // between two tries it is pending
    world_desire(&world, "r2", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, scheduler_unreadable, 10000));
    CHECK_STR(reason_of(&world, "kube-scheduler"), "NodeFilesNotWritable");
    CHECK_STR_TAKE(scheduler_text(&world), before);
    world_fini(&world);
}

TEST(a_file_that_somebody_else_wrote_is_tried_again_by_itself)
{
    struct world world;
    one_scheduler(&world, "");
    node_timing.edits_window_ms = 1000;
    world.other = loop_sleep(world.loop, 50, on_war, &world);
    world.timeout_s = OVER_S;
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, scheduler_failed, 10000));
    CHECK_STR(reason_of(&world, "kube-scheduler"), "FileConflict");
    world.other = op_drop(world.other);
    CHECK(world_wait(&world, all_up_to_date, 10000));
    world_fini(&world);
}

TEST_MAIN()
