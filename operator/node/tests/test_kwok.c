// SPDX-License-Identifier: Apache-2.0
// A kwok cluster whose components are real processes, started and ended as kwokctl's, that only
// wait; what they would answer comes from us, by what their command lines say.
#include "world.h"

#include <signal.h>
#include <stdlib.h>

// For two minutes. A gate named Bogus is refused; with one named Mute it ends without a word; one
// named Slow is deaf to SIGTERM.
#define SCRIPT                                                                                     \
    "case \"$*\" in *Bogus*) echo 'Error: unrecognized feature gate: Bogus' >&2; exit 1;; "        \
    "*Mute*) exit 1;; *Slow*) trap '' TERM;; esac; i=0; "                                          \
    "while [ $i -lt 2400 ]; do i=$((i+1)); sleep 0.05; done"

struct kwok {
    struct world world;
    char *dir, *file, *before;
    int64_t pids[COMPONENT_KUBELET];
};
static struct kwok kwok;

static char *pid_path(unsigned c)
{
    return str_format("%s/pids/%s.pid", kwok.dir, component_name((enum component)c));
}

static int64_t read_pid(unsigned c)
{
    AUTO_MEM char *path = pid_path(c);
    AUTO_MEM char *text = test_exists(path) ? test_read(path) : str_dup("0");
    return atoll(text);
}

static json_t *argv_of(int64_t pid)
{
    char bytes[8192];
    AUTO_MEM char *path = str_format("/proc/%lld/cmdline", (long long)pid);
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(bytes, 1, sizeof(bytes) - 1, file) : 0;
    json_t *argv = json_array();
    if (file)
        CHECK_INT(fclose(file), 0);
    bytes[len] = '\0';
    for (size_t at = 0; at < len; at += strlen(bytes + at) + 1)
        json_array_append_new(argv, doc_string(bytes + at));
    return argv;
}

// One that nobody has waited for yet is none.
static bool lives(int64_t pid)
{
    AUTO_JSON json_t *argv = pid > 0 ? argv_of(pid) : NULL;
    return json_array_size(argv) > 0;
}

// What a component answers follows from the process that its pid file names.
static void look_at_process(struct fake *fake)
{
    int64_t pid = read_pid(fake->component);
    if (!lives(pid)) {
        fake->up = false;
        kwok.pids[fake->component] = 0;
        return;
    }
    if (pid == kwok.pids[fake->component])
        return;
    AUTO_JSON json_t *argv = argv_of(pid);
    AUTO_FLAGS struct gates_flags flags = {0};
    if (!str_ends(doc_str(argv, "0", NULL), component_name(fake->component)))
        return; // it is somebody else, or not yet what it will be
    CHECK_OK(gates_flags_read(fake->component, argv, &flags));
    kwok.pids[fake->component] = pid;
    if (!json_object_get(flags.feature_gates, "Bogus") &&
        !json_object_get(flags.feature_gates, "Mute"))
        fake_run(fake, flags.feature_gates);
}

static void on_kwok_tick(void *owner)
{
    struct world *world = owner;
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++) {
        if (world->fakes[c].listener)
            look_at_process(&world->fakes[c]);
    }
    world->tick = loop_sleep(world->loop, 5, on_kwok_tick, world);
}

static void start_as_kwokctl(unsigned c)
{
    const char *name = component_name((enum component)c);
    AUTO_MEM char *program = str_format("%s/bin/%s", kwok.dir, name);
    AUTO_MEM char *log = str_format("%s/logs/%s.log", kwok.dir, name);
    AUTO_MEM char *path = pid_path(c);
    const char *const argv[] = {program, "-c", SCRIPT, name, "--v=2", NULL};
    struct loop_detached_spec spec = {
        .program = program, .argv = argv, .dir = kwok.dir, .output = log};
    int64_t pid;
    CHECK_OK(loop_detach(&spec, &pid));
    AUTO_MEM char *text = str_format("%lld", (long long)pid);
    test_write(path, text);
}

static void kwok_init(void)
{
    struct buf text = buf_make(65536);
    world_init(&kwok.world);
    node_timing.grace_ms = 300;
    node_proc_dir = "/proc";
    kwok.dir = test_path("cluster");
    kwok.file = str_format("%s/kwok.yaml", kwok.dir);
    kwok.world.spec.paths.kwok_dir = kwok.dir;
    kwok.world.spec.node_name = "kwok";
    static const char *const dirs[] = {"bin", "pids", "logs"};
    for (size_t i = 0; i < COUNT(dirs); i++) {
        AUTO_MEM char *dir = str_format("%s/%s", kwok.dir, dirs[i]);
        CHECK_OK(node_dir_make(dir));
    }
    buf_add_str(&text, "apiVersion: config.kwok.x-k8s.io/v1alpha1\ncomponents:\n");
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++) {
        const char *name = component_name((enum component)c);
        AUTO_MEM char *program = str_format("%s/bin/%s", kwok.dir, name);
        CHECK(symlink("/bin/sh", program) == 0);
        buf_printf(&text,
                   "- args:\n  - -c\n  - |-\n    %s\n  - %s\n  - --v=2 # %s\n  binary: %s\n"
                   "  command:\n  - %s\n  metric: {host: '127.0.0.1:%u', scheme: http}\n"
                   "  name: %s\n  workDir: %s\n",
                   SCRIPT, name, name, program, name, fake_listen(&kwok.world, (enum component)c),
                   name, kwok.dir);
        start_as_kwokctl(c);
    }
    buf_add_str(&text,
                "kind: KwokctlConfiguration\noptions:\n  runtime: binary\n---\nkind: Stage\n");
    kwok.before = buf_take(&text);
    test_write(kwok.file, kwok.before);
    kwok.world.tick = loop_defer(kwok.world.loop, on_kwok_tick, &kwok.world);
    world_start_agent(&kwok.world);
}

static void kwok_fini(void)
{
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++) {
        if (lives(read_pid(c)))
            kill((pid_t)read_pid(c), SIGKILL);
    }
    world_fini(&kwok.world);
    mem_free(kwok.dir);
    mem_free(kwok.file);
    mem_free(kwok.before);
}

static void check_file_is_as_before(void)
{
    AUTO_MEM char *now = test_read(kwok.file);
    CHECK_STR(now, kwok.before);
}

static bool settled(struct world *world)
{
    return node_is_idle(world->node) && (str_eq(world_state(world, "kube-apiserver"), "UpToDate") ||
                                         str_eq(world_state(world, "kube-apiserver"), "Failed"));
}

static bool has_gate(unsigned c)
{
    return json_is_true(json_object_get(kwok.world.fakes[c].gates, "DynamicResourceAllocation"));
}

TEST(all_three_are_changed_and_put_back_to_the_byte)
{
    int64_t was[COMPONENT_KUBELET];
    kwok_init();
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++)
        was[c] = read_pid(c);
    world_desire(&kwok.world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&kwok.world, all_up_to_date, 60000));
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++) {
        CHECK(has_gate(c));
        CHECK(!lives(was[c]));
        CHECK(lives(read_pid(c)));
    }
    AUTO_MEM char *now = test_read(kwok.file);
    CHECK(strstr(now, "  - kube-apiserver\n  - --feature-gates=DynamicResourceAllocation=true\n"
                      "  - --runtime-config=resource.k8s.io/v1beta1=true\n  - --v=2 # "
                      "kube-apiserver\n"));
    world_desire(&kwok.world, "r2", "", "Disable");
    CHECK(world_wait(&kwok.world, all_up_to_date, 60000));
    check_file_is_as_before();
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++)
        CHECK(!has_gate(c));
    kwok_fini();
}

TEST(what_somebody_else_writes_meanwhile_stays)
{
    kwok_init();
    world_desire(&kwok.world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&kwok.world, all_up_to_date, 60000));
    AUTO_MEM char *now = test_read(kwok.file);
    const char *at = strstr(now, "  - --v=2 # kube-scheduler\n");
    CHECK(at != NULL);
    AUTO_MEM char *theirs =
        str_format("%.*s  - --their=1\n%s# at the end\n", (int)(at - now), now, at);
    test_write(kwok.file, theirs);
    world_run(&kwok.world, 100);
    world_desire(&kwok.world, "r2", "", "Disable");
    CHECK(world_wait(&kwok.world, all_up_to_date, 60000));
    const char *place = strstr(kwok.before, "  - --v=2 # kube-scheduler\n");
    AUTO_MEM char *want = str_format("%.*s  - --their=1\n%s# at the end\n",
                                     (int)(place - kwok.before), kwok.before, place);
    AUTO_MEM char *is = test_read(kwok.file);
    CHECK_STR(is, want);
    kwok_fini();
}

TEST(what_it_refuses_is_taken_back_with_its_words)
{
    kwok_init();
    world_desire(&kwok.world, "r1", "Bogus", "Enable");
    CHECK(world_wait(&kwok.world, settled, 60000));
    CHECK_STR(world_state(&kwok.world, "kube-apiserver"), "Failed");
    const json_t *api = world_component(&kwok.world, "kube-apiserver");
    CHECK_STR(doc_str(api, "reason", NULL), "ComponentCrashed");
    CHECK(strstr(doc_str(api, "message", NULL), "unrecognized feature gate: Bogus"));
    check_file_is_as_before();
    CHECK(lives(read_pid(COMPONENT_APISERVER)));
    kwok_fini();
}

static bool is_let_be(struct world *world)
{
    return str_eq(world_state(world, "kube-apiserver"), "Unreadable");
}

// A pid file may be from before a restart of the machine, and its number somebody else's.
TEST(nobody_elses_process_is_ended)
{
    kwok_init();
    int64_t own = read_pid(COMPONENT_APISERVER), other = 0;
    const char *const argv[] = {"/bin/sh", "-c", "sleep 60 & wait", NULL};
    AUTO_MEM char *log = test_path("other.log");
    struct loop_detached_spec spec = {
        .program = "/bin/sh", .argv = argv, .dir = kwok.dir, .output = log};
    CHECK_OK(loop_detach(&spec, &other));
    CHECK(!node_proc_is(other, "/bin/false", kwok.dir));
    CHECK(node_proc_is(other, "/bin/sh", kwok.dir));
    CHECK(!node_proc_is(other, "/bin/sh", "/"));
    AUTO_MEM char *path = pid_path(COMPONENT_APISERVER);
    AUTO_MEM char *text = str_format("%lld", (long long)other);
    CHECK(world_wait(&kwok.world, idle, 60000));
    test_write(path, text);
    world_desire(&kwok.world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&kwok.world, is_let_be, 60000));
    CHECK(strstr(doc_str(world_component(&kwok.world, "kube-apiserver"), "message", NULL),
                 "no process is the kube-apiserver that its pid file names"));
    check_file_is_as_before();
    CHECK(lives(other));
    CHECK(lives(own));
    kill((pid_t)own, SIGKILL);
    kill((pid_t)-other, SIGKILL);
    kwok_fini();
}

TEST(what_is_deaf_is_killed_after_its_grace)
{
    kwok_init();
    world_desire(&kwok.world, "r1", "Slow", "Enable");
    CHECK(world_wait(&kwok.world, settled, 60000)); // nobody knows the gate: read back fails
    check_file_is_as_before();
    CHECK(lives(read_pid(COMPONENT_APISERVER)));
    kwok_fini();
}

static bool scheduler_is_edited(struct world *world)
{
    (void)world;
    AUTO_MEM char *now = test_read(kwok.file);
    return strstr(now, "--feature-gates=DynamicResourceAllocation=true") != NULL;
}

// Killed at the worst moment: the component is ended and not started yet.
TEST(another_agent_goes_on_where_one_was_killed)
{
    kwok_init();
    CHECK(world_wait(&kwok.world, idle, 60000));
    world_desire(&kwok.world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&kwok.world, scheduler_is_edited, 60000));
    world_stop_agent(&kwok.world);
    int64_t pid = read_pid(COMPONENT_APISERVER);
    if (lives(pid))
        kill((pid_t)pid, SIGKILL);
    world_start_agent(&kwok.world);
    CHECK(world_wait(&kwok.world, all_up_to_date, 60000));
    CHECK(has_gate(COMPONENT_APISERVER));
    kwok_fini();
}

static void desire_api(const char *revision, unsigned timeout_s, const char *gate)
{
    AUTO_MEM char *gates = gate[0] ? str_format("\"%s\": true", gate) : str_dup("");
    AUTO_MEM char *text =
        str_format("{\"epoch\": 1, \"componentTimeoutSeconds\": %u, \"components\": [{\"name\": "
                   "\"kube-apiserver\", \"revision\": \"%s\", \"featureGates\": {%s}, "
                   "\"expect\": {\"DynamicResourceAllocation\": false}}]}",
                   timeout_s, revision, gates);
    world_desire_json(&kwok.world, text);
}

// The scheduler ends by itself while the API server is away.
TEST(what_ends_while_a_step_waits_is_started_again)
{
    kwok_init();
    CHECK(world_wait(&kwok.world, idle, 60000));
    desire_api("r1", 60, "Slow");
    CHECK(world_wait(&kwok.world, settled, 60000));
    desire_api("r2", 60, "");
    world_run(&kwok.world, 100); // the API server is deaf for its grace
    int64_t pid = read_pid(COMPONENT_SCHEDULER);
    kill((pid_t)pid, SIGKILL);
    CHECK(world_wait(&kwok.world, settled, 60000));
    check_file_is_as_before();
    CHECK(read_pid(COMPONENT_SCHEDULER) != pid);
    CHECK(lives(read_pid(COMPONENT_SCHEDULER)));
    kwok_fini();
}

static void kill_and_wait(unsigned c)
{
    int64_t pid = read_pid(c);
    kill((pid_t)pid, SIGKILL);
    while (lives(pid))
        usleep(1000);
}

static bool api_ended_mute(struct world *world)
{
    AUTO_MEM char *now = test_read(kwok.file);
    return strstr(now, "Mute=true") && !lives(read_pid(COMPONENT_APISERVER)) &&
           !world->node->units[COMPONENT_APISERVER].healthy;
}

static bool scheduler_lives(struct world *world)
{
    (void)world;
    return lives(read_pid(COMPONENT_SCHEDULER));
}

// The way back restarts once more; what ran when the edit began is still not there then.
TEST(what_ended_before_the_way_back_is_started_again)
{
    kwok_init();
    CHECK(world_wait(&kwok.world, idle, 60000));
    desire_api("r1", 1, "Mute");
    CHECK(world_wait(&kwok.world, api_ended_mute, 60000));
    kill_and_wait(COMPONENT_SCHEDULER);
    CHECK(world_wait(&kwok.world, settled, 60000));
    CHECK_STR(world_state(&kwok.world, "kube-apiserver"), "Failed");
    check_file_is_as_before();
    CHECK(lives(read_pid(COMPONENT_APISERVER)));
    CHECK(scheduler_lives(&kwok.world));
    kwok_fini();
}

// What ran in one step is not what the next one, which restarts nothing, is to start.
TEST(a_cluster_that_was_stopped_is_not_started_by_a_look)
{
    kwok_init();
    world_desire(&kwok.world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&kwok.world, all_up_to_date, 60000));
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++)
        kill_and_wait(c);
    AUTO_MEM char *now = test_read(kwok.file);
    for (char *at = now; (at = strstr(at, "--v=2"));)
        memcpy(at, "--v=3", 5); // so that it is asked again
    test_write(kwok.file, now);
    world_run(&kwok.world, 500);
    world_desire(&kwok.world, "r2", "DynamicResourceAllocation", "Enable");
    world_run(&kwok.world, 3000);
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++)
        CHECK(!lives(read_pid(c)));
    kwok_fini();
}

static unsigned count_processes(unsigned c)
{
    const char *name = component_name((enum component)c);
    AUTO_MEM char *program = str_format("%s/bin/%s", kwok.dir, name);
    AUTO_STRLIST struct strlist pids = {0};
    unsigned count = 0;
    CHECK_OK(node_dir_list("/proc", false, &pids));
    for (size_t i = 0; i < pids.len; i++) {
        AUTO_JSON json_t *argv = atoll(pids.items[i]) > 0 ? argv_of(atoll(pids.items[i])) : NULL;
        count += str_eq(doc_str(argv, "0", NULL), program);
    }
    return count;
}

static bool api_restarts(struct world *world)
{
    return world->node->kwok.restarts[COMPONENT_APISERVER] != NULL;
}

// A restart that waits for a process that is deaf, for as long as it lives.
static void begin_long_restart(void)
{
    CHECK(world_wait(&kwok.world, idle, 60000));
    desire_api("r1", 60, "Slow");
    CHECK(world_wait(&kwok.world, settled, 60000));
    node_timing.grace_ms = 60000;
    desire_api("r2", 1, "");
    CHECK(world_wait(&kwok.world, api_restarts, 60000));
}

static bool api_failed(struct world *world)
{
    return str_eq(world_state(world, "kube-apiserver"), "Failed");
}

static const char *api_message(void)
{
    return doc_str(world_component(&kwok.world, "kube-apiserver"), "message", NULL);
}

static bool api_restarts_no_more(struct world *world)
{
    return !api_restarts(world);
}

TEST(what_kwokctl_started_meanwhile_is_not_started_twice)
{
    kwok_init();
    begin_long_restart();
    kill_and_wait(COMPONENT_APISERVER);
    start_as_kwokctl(COMPONENT_APISERVER);
    CHECK(world_wait(&kwok.world, api_restarts_no_more, 60000));
    CHECK_INT(count_processes(COMPONENT_APISERVER), 1);
    CHECK(world_wait(&kwok.world, settled, 60000));
    CHECK_STR(world_state(&kwok.world, "kube-apiserver"), "UpToDate");
    CHECK_INT(count_processes(COMPONENT_APISERVER), 1);
    kwok_fini();
}

// Nobody would find it again.
TEST(what_cannot_be_noted_does_not_stay)
{
    kwok_init();
    AUTO_MEM char *pids = str_format("%s/pids", kwok.dir), *away = str_format("%s/away", kwok.dir);
    begin_long_restart();
    int64_t pid = read_pid(COMPONENT_APISERVER);
    CHECK(rename(pids, away) == 0);
    kill((pid_t)pid, SIGKILL);
    CHECK(world_wait(&kwok.world, api_failed, 60000));
    CHECK(strstr(api_message(), "kube-apiserver could not be started: it was ended again, for its "
                                "process cannot be noted in "));
    CHECK_INT(count_processes(COMPONENT_APISERVER), 0);
    CHECK_INT(count_processes(COMPONENT_SCHEDULER), 1);
    CHECK(rename(away, pids) == 0);
    kwok_fini();
}

static bool scheduler_is_let_be(struct world *world)
{
    return str_eq(world_state(world, "kube-scheduler"), "Unreadable");
}

static bool scheduler_is_up_to_date(struct world *world)
{
    return str_eq(world_state(world, "kube-scheduler"), "UpToDate");
}

static const char *words;
static bool words_are_told(struct world *world)
{
    AUTO_MEM char *path = pid_path(COMPONENT_APISERVER);
    return is_let_be(world) && strstr(api_message(), path) && strstr(api_message(), words);
}

// Nobody can tell then whether it runs.
TEST(a_pid_file_that_cannot_be_read_is_told_and_nothing_is_started)
{
    kwok_init();
    AUTO_MEM char *path = pid_path(COMPONENT_APISERVER);
    AUTO_MEM char *real = str_format("%s.real", path);
    CHECK(world_wait(&kwok.world, idle, 60000));
    CHECK(rename(path, real) == 0 && symlink(real, path) == 0);
    world_desire(&kwok.world, "r1", "DynamicResourceAllocation", "Enable");
    words = "is a symbolic link";
    CHECK(world_wait(&kwok.world, words_are_told, 60000));
    static const char *const texts[] = {"soon\n", "4294967296", "0", ""};
    words = "names no process";
    CHECK(unlink(path) == 0);
    for (size_t i = 0; i < COUNT(texts); i++) {
        test_write(path, texts[i]);
        world_run(&kwok.world, 500);
        CHECK(words_are_told(&kwok.world));
    }
    check_file_is_as_before();
    CHECK_INT(count_processes(COMPONENT_APISERVER), 1);
    CHECK(rename(real, path) == 0);
    CHECK(world_wait(&kwok.world, all_up_to_date, 60000));
    kwok_fini();
}

// The file says what is wanted, the process does not run with it.
TEST(beside_a_pid_file_that_cannot_be_read_nothing_is_restarted)
{
    kwok_init();
    AUTO_MEM char *path = pid_path(COMPONENT_SCHEDULER);
    AUTO_MEM char *real = str_format("%s.real", path);
    const char *at = strstr(kwok.before, "  - --v=2 # kube-scheduler\n");
    AUTO_MEM char *theirs = str_format("%.*s  - --feature-gates=DynamicResourceAllocation=true\n%s",
                                       (int)(at - kwok.before), kwok.before, at);
    test_write(kwok.file, theirs);
    world_run(&kwok.world, 300);
    CHECK(rename(path, real) == 0 && symlink(real, path) == 0);
    world_desire_json(&kwok.world,
                      "{\"epoch\": 1, \"componentTimeoutSeconds\": 60, \"components\": [{\"name\": "
                      "\"kube-scheduler\", \"revision\": \"r1\", \"featureGates\": "
                      "{\"DynamicResourceAllocation\": true}, \"expect\": "
                      "{\"DynamicResourceAllocation\": true}}]}");
    CHECK(world_wait(&kwok.world, scheduler_is_let_be, 60000));
    CHECK_INT(count_processes(COMPONENT_SCHEDULER), 1);
    CHECK(rename(real, path) == 0);
    CHECK(world_wait(&kwok.world, scheduler_is_up_to_date, 60000));
    CHECK(has_gate(COMPONENT_SCHEDULER));
    kwok_fini();
}

// It came to that while a step was under way.
TEST(beside_a_pid_file_that_cannot_be_read_nothing_is_started)
{
    kwok_init();
    AUTO_MEM char *path = pid_path(COMPONENT_APISERVER);
    AUTO_MEM char *real = str_format("%s.real", path);
    begin_long_restart();
    int64_t pid = read_pid(COMPONENT_APISERVER);
    CHECK(rename(path, real) == 0 && symlink(real, path) == 0);
    kill((pid_t)pid, SIGKILL);
    CHECK(world_wait(&kwok.world, api_failed, 60000));
    CHECK(str_starts(api_message(), "kube-apiserver could not be started: "));
    CHECK(strstr(api_message(), "is a symbolic link"));
    CHECK_INT(count_processes(COMPONENT_APISERVER), 0);
    kwok_fini();
}

// A cluster that was stopped is not started by an edit.
TEST(what_does_not_run_is_let_be)
{
    kwok_init();
    CHECK(world_wait(&kwok.world, idle, 60000)); // it was well when it was asked last
    kill_and_wait(COMPONENT_APISERVER);
    world_desire(&kwok.world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&kwok.world, is_let_be, 60000));
    check_file_is_as_before();
    CHECK(!lives(read_pid(COMPONENT_APISERVER)));
    start_as_kwokctl(COMPONENT_APISERVER);
    CHECK(world_wait(&kwok.world, all_up_to_date, 60000));
    CHECK(has_gate(COMPONENT_APISERVER));
    kwok_fini();
}

// What was written may be why it does not run.
TEST(what_does_not_run_is_still_put_back)
{
    kwok_init();
    world_desire(&kwok.world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&kwok.world, all_up_to_date, 60000));
    kill_and_wait(COMPONENT_SCHEDULER);
    world_desire(&kwok.world, "r2", "", "Disable");
    CHECK(world_wait(&kwok.world, all_up_to_date, 60000));
    check_file_is_as_before();
    kwok_fini();
}

// Root is not to start what somebody else may write.
TEST(a_cluster_of_another_user_is_let_be)
{
    kwok_init();
    CHECK(world_wait(&kwok.world, idle, 60000));
    const char *path = geteuid() == 0 ? kwok.file : "/etc/kwok.yaml";
    if (geteuid() == 0)
        CHECK(chown(kwok.file, 4711, (gid_t)-1) == 0);
    struct node_file file = {0};
    CHECK_ERR_HAS(node_site_kwok.read(path, COMPONENT_SCHEDULER, &file), ERROR_INVALID,
                  "has to run as that user");
    node_file_fini(&file);
    kwok_fini();
}

TEST(a_cluster_that_others_may_write_is_let_be)
{
    kwok_init();
    CHECK(world_wait(&kwok.world, idle, 60000));
    AUTO_MEM char *pids = str_format("%s/pids", kwok.dir);
    AUTO_MEM char *logs = str_format("%s/logs", kwok.dir);
    const char *const paths[] = {kwok.file, kwok.dir, pids, logs};
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct stat st;
        struct node_file file = {0};
        CHECK(stat(paths[i], &st) == 0 && chmod(paths[i], st.st_mode | S_IWGRP) == 0);
        AUTO_MEM char *said = str_format("may write %s, and", paths[i]);
        CHECK_ERR_HAS(node_site_kwok.read(kwok.file, COMPONENT_SCHEDULER, &file), ERROR_INVALID,
                      said);
        node_file_fini(&file);
        CHECK(chmod(paths[i], st.st_mode) == 0);
    }
    kwok_fini();
}

TEST(a_file_that_is_half_written_is_told)
{
    kwok_init();
    CHECK(world_wait(&kwok.world, idle, 60000));
    test_write(kwok.file, "kind: KwokctlConfiguration\ncomponents: [\n");
    world_run(&kwok.world, 200);
    CHECK_STR(world_state(&kwok.world, "kube-scheduler"), "Unreadable");
    CHECK(strstr(doc_str(world_component(&kwok.world, "kube-scheduler"), "message", NULL),
                 "kwok.yaml:"));
    kwok_fini();
}

TEST_MAIN()
