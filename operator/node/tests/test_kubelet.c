// SPDX-License-Identifier: Apache-2.0
// Where the kubelet's gates are written: where the running kubelet reads them, and where nothing
// outranks them.
#include "world.h"

#include <stdlib.h>
#include <sys/stat.h>

#define KUBELET COMPONENT_KUBELET
#define WANT "DynamicResourceAllocation"

static const char *reason_of(const struct world *world)
{
    return doc_str(world_component(world, "kubelet"), "reason", NULL);
}

static const char *message_of(const struct world *world)
{
    return doc_str(world_component(world, "kubelet"), "message", NULL);
}

static bool kubelet_failed_and_idle(struct world *world)
{
    return str_eq(world_state(world, "kubelet"), "Failed") && node_is_idle(world->node);
}

static bool kubelet_unreadable(struct world *world)
{
    return str_eq(world_state(world, "kubelet"), "Unreadable") && node_is_idle(world->node);
}

static void begin(struct world *world)
{
    world_init(world);
    world_add(world, KUBELET, "");
    world_kubelet_runs(world, "1", "/sbin/init|", "mnt:[1]");
    world->spec.paths.find_kubelet = true;
}

static void kubelet_reads(struct world *world, char *take_path)
{
    mem_free(world->fakes[KUBELET].path);
    world->fakes[KUBELET].path = take_path;
}

struct drop_in {
    char *dir, *ours;
};

static struct drop_in with_drop_ins(struct world *world)
{
    struct drop_in drop_in = {.dir = test_path("kubelet.conf.d")};
    drop_in.ours = str_format("%s/99-drawbridge.conf", drop_in.dir);
    CHECK_OK(node_dir_make(drop_in.dir));
    AUTO_MEM char *words =
        str_format("/usr/bin/kubelet|--config=%s|--config-dir=%s|", world->config, drop_in.dir);
    world_kubelet_runs(world, "77", words, "mnt:[1]");
    kubelet_reads(world, str_dup(drop_in.ours));
    return drop_in;
}

static void drop_in_fini(struct drop_in *drop_in)
{
    mem_free(drop_in->dir);
    mem_free(drop_in->ours);
}

TEST(its_own_config_and_not_the_default)
{
    struct world world;
    begin(&world);
    AUTO_MEM char *other = test_path("other/kubelet.yaml");
    AUTO_MEM char *dir = test_path("other");
    CHECK_OK(node_dir_make(dir));
    test_write(other, "kind: KubeletConfiguration\n");
    AUTO_MEM char *untouched = test_read(world.config);
    AUTO_MEM char *words = str_format("kubelet|--config|%s|", other);
    world_kubelet_runs(&world, "77", words, "mnt:[1]");
    // One in a container reads something else.
    world_kubelet_runs(&world, "78", "kubelet|--config=/nowhere|", "mnt:[2]");
    kubelet_reads(&world, str_dup(other));
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_STR_TAKE(
        test_read(other),
        "kind: KubeletConfiguration\nfeatureGates:\n  DynamicResourceAllocation: true\n");
    CHECK_STR_TAKE(test_read(world.config), untouched);
    // While it is down the journal knows.
    world_stop_agent(&world);
    AUTO_MEM char *cmdline = str_format("%s/77/cmdline", world.proc);
    CHECK(unlink(cmdline) == 0);
    world_start_agent(&world);
    world_desire(&world, "r2", "", "Disable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_STR_TAKE(test_read(other), "kind: KubeletConfiguration\n");
    world_fini(&world);
}

TEST(below_the_hosts_root_where_it_is_not_mounted)
{
    struct world world;
    begin(&world);
    AUTO_MEM char *root = test_path("host");
    AUTO_MEM char *dir = test_path("host/etc/kubelet");
    AUTO_MEM char *seen = test_path("host/etc/kubelet/kubelet.yaml");
    CHECK_OK(node_dir_make(dir));
    test_write(seen, "kind: KubeletConfiguration\n");
    world.spec.paths.host_root = root;
    world_add_nets(&world);
    world_kubelet_runs(&world, "77", "kubelet|--config=/etc/kubelet/kubelet.yaml|", "mnt:[1]");
    kubelet_reads(&world, str_dup(seen));
    AUTO_MEM char *script = test_read(world.host);
    AUTO_MEM char *more =
        str_format("%s[ \"$2\" != arm ] || sed -n 's/^path //p' '%s/armed' >>'%s'\n", script,
                   world.guard, world.host_log);
    test_write(world.host, more);
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    AUTO_MEM char *text = test_read(seen);
    CHECK_HAS(text, "DynamicResourceAllocation: true");
    AUTO_MEM char *said = test_read(world.host_log);
    CHECK_HAS(said, "\n/etc/kubelet/kubelet.yaml\n"); // the guard sees the host as it is
    world_fini(&world);
}

TEST(several_kubelets_tell_nothing)
{
    struct world world;
    begin(&world);
    world_kubelet_runs(&world, "77", "kubelet|--config=/nowhere|", "mnt:[1]");
    world_kubelet_runs(&world, "78", "kubelet|--config=/elsewhere|", "mnt:[1]");
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    AUTO_MEM char *text = test_read(world.config);
    CHECK_HAS(text, WANT);
    world_fini(&world);
}

TEST(a_file_of_our_own_in_the_drop_in_directory)
{
    struct world world;
    begin(&world);
    struct drop_in drop_in = with_drop_ins(&world);
    AUTO_MEM char *untouched = test_read(world.config);
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_STR_TAKE(test_read(drop_in.ours),
                   "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
                   "featureGates:\n  DynamicResourceAllocation: true\n");
    struct stat st;
    CHECK(stat(drop_in.ours, &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0644);
    world_desire(&world, "r2", "", "Disable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK(!test_exists(drop_in.ours));
    CHECK_STR_TAKE(test_read(world.config), untouched);
    drop_in_fini(&drop_in);
    world_fini(&world);
}

TEST(which_goes_when_the_kubelet_refuses_it)
{
    for (int nets = 0; nets < 2; nets++) {
        struct world world;
        begin(&world);
        struct drop_in drop_in = with_drop_ins(&world);
        if (nets)
            world_add_nets(&world);
        world_start_agent(&world);
        world.timeout_s = OVER_S;
        world_desire(&world, "r1", "Bogus", "Enable");
        CHECK(world_wait(&world, kubelet_failed_and_idle, 8000));
        CHECK(!test_exists(drop_in.ours));
        if (nets)
            CHECK_HAS(message_of(&world), "the guard on the node put it back");
        drop_in_fini(&drop_in);
        world_fini(&world);
        AUTO_MEM char *command = str_format("rm -rf '%s'/*", test_dir());
        CHECK(system(command) == 0);
    }
}

TEST(drop_ins_speak_in_the_order_of_their_names)
{
    struct world world;
    begin(&world);
    struct drop_in drop_in = with_drop_ins(&world);
    AUTO_MEM char *early = str_format("%s/10-site.conf", drop_in.dir);
    AUTO_MEM char *late = str_format("%s/zz-site.conf", drop_in.dir);
    AUTO_MEM char *ignored = str_format("%s/zz-site.yaml", drop_in.dir);
    test_write(early, "kind: KubeletConfiguration\nfeatureGates:\n  DynamicResourceAllocation: "
                      "false\n  NodeLogQuery: true\n");
    test_write(ignored, "no such thing");
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000)); // ours comes later
    AUTO_MEM char *text = test_read(drop_in.ours);
    CHECK_HAS(text, "DynamicResourceAllocation: true");
    CHECK_STR_TAKE(
        doc_print_json_sorted(json_object_get(world_component(&world, "kubelet"), "featureGates")),
        "{\"DynamicResourceAllocation\":true,\"NodeLogQuery\":true}");
    test_write(late,
               "kind: KubeletConfiguration\nfeatureGates: {DynamicResourceAllocation: false}\n");
    CHECK(world_wait(&world, kubelet_unreadable, 5000));
    CHECK_STR(reason_of(&world), "FileConflict");
    CHECK_HAS(message_of(&world),
              "zz-site.conf says DynamicResourceAllocation=false, which outranks");
    drop_in_fini(&drop_in);
    world_fini(&world);
}

static bool stands_in_line_4(struct world *world)
{
    return str_ends(doc_str(world_component(world, "kubelet"), "places", "NodeLogQuery", NULL),
                    "10-site.conf, line 4");
}

TEST(each_entry_is_reported_with_its_file_and_line)
{
    struct world world;
    begin(&world);
    struct drop_in drop_in = with_drop_ins(&world);
    AUTO_MEM char *early = str_format("%s/10-site.conf", drop_in.dir);
    AUTO_MEM char *want = str_format("%s, line 3", early);
    test_write(early, "kind: KubeletConfiguration\nfeatureGates:\n  NodeLogQuery: true\n");
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_STR(doc_str(world_component(&world, "kubelet"), "places", "NodeLogQuery", NULL), want);
    CHECK_HAS(
        doc_str(world_component(&world, "kubelet"), "places", "DynamicResourceAllocation", NULL),
        drop_in.ours);
    // the same in another line
    test_write(early, "kind: KubeletConfiguration\n\nfeatureGates:\n  NodeLogQuery: true\n");
    CHECK(world_wait(&world, stands_in_line_4, 5000));
    drop_in_fini(&drop_in);
    world_fini(&world);
}

// What it says nobody knows, and it may outrank ours: the kubelet would not even start with it.
TEST(a_drop_in_that_is_a_link_to_nowhere_leaves_the_kubelet_untouched)
{
    struct world world;
    begin(&world);
    struct drop_in drop_in = with_drop_ins(&world);
    AUTO_MEM char *before = test_read(world.config);
    AUTO_MEM char *link = str_format("%s/zz-site.conf", drop_in.dir);
    world_link("/nowhere/site.conf", link);
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, kubelet_unreadable, 5000));
    CHECK_HAS(message_of(&world), "zz-site.conf");
    CHECK(!test_exists(drop_in.ours));
    CHECK_STR_TAKE(test_read(world.config), before);
    CHECK_INT(world.fakes[KUBELET].starts, 1);
    CHECK(unlink(link) == 0);
    CHECK(world_wait(&world, all_up_to_date, 5000));
    drop_in_fini(&drop_in);
    world_fini(&world);
}

TEST(a_flag_from_elsewhere_outranks_every_file)
{
    struct world world;
    begin(&world);
    AUTO_MEM char *before = test_read(world.config);
    AUTO_MEM char *words = str_format(
        "kubelet|--config=%s|--feature-gates=DynamicResourceAllocation=false|", world.config);
    world_kubelet_runs(&world, "77", words, "mnt:[1]");
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, kubelet_unreadable, 5000));
    CHECK_STR(reason_of(&world), "FileConflict");
    CHECK_HAS(message_of(&world),
              "the kubelet's command line says --feature-gates=DynamicResourceAllocation=false");
    CHECK_STR_TAKE(test_read(world.config), before);
    world_fini(&world);
}

// --- where it is asked ---------------------------------------------------------------------------

static void check_urls(const char *server, const char *health, const char *metrics)
{
    AUTO_JSON json_t *tree = NULL;
    CHECK_OK(doc_parse_json(slice_of(server), "server", &tree));
    CHECK_STR_TAKE(node_kubelet_healthz_url(tree), health);
    CHECK_STR_TAKE(node_kubelet_metrics_url(tree), metrics);
}

TEST(it_is_asked_where_its_configuration_says)
{
    check_urls("{}", "http://127.0.0.1:10248/healthz", "https://127.0.0.1:10250/metrics");
    check_urls("{\"healthzBindAddress\": \"10.0.0.1\", \"healthzPort\": 20006, \"address\": "
               "\"fd00::1\", \"port\": 20007}",
               "http://10.0.0.1:20006/healthz", "https://[fd00::1]:20007/metrics");
    check_urls("{\"healthzBindAddress\": \"0.0.0.0\", \"address\": \"::\", \"port\": 0}",
               "http://127.0.0.1:10248/healthz", "https://127.0.0.1:10250/metrics");
    check_urls("{\"healthzPort\": 0}", NULL, "https://127.0.0.1:10250/metrics");
}

static char *asked_at(struct world *world)
{
    node_refresh(world->node);
    return node_kubelet_healthz_url(world->node->units[KUBELET].server);
}

// From the weakest voice to the strongest: file, drop-ins in the order of their paths, flags.
TEST(by_the_order_in_which_the_kubelet_reads)
{
    struct world world;
    begin(&world);
    struct drop_in drop_in = with_drop_ins(&world);
    test_write(world.config, "kind: KubeletConfiguration\nhealthzPort: 1001\n");
    world_start_agent(&world);
    CHECK_STR_TAKE(asked_at(&world), "http://127.0.0.1:1001/healthz");
    AUTO_MEM char *late = str_format("%s/50-site.conf", drop_in.dir);
    test_write(late, "kind: KubeletConfiguration\nhealthzPort: 1002\n");
    CHECK_STR_TAKE(asked_at(&world), "http://127.0.0.1:1002/healthz");
    AUTO_MEM char *dir = str_format("%s/60-more", drop_in.dir);
    AUTO_MEM char *deep = str_format("%s/00.conf", dir);
    CHECK_OK(node_dir_make(dir));
    test_write(deep,
               "kind: KubeletConfiguration\nhealthzPort: 1003\nhealthzBindAddress: 10.0.0.9\n");
    CHECK_STR_TAKE(asked_at(&world), "http://10.0.0.9:1003/healthz");
    AUTO_MEM char *last = str_format("%s/70.conf", drop_in.dir);
    test_write(last, "kind: KubeletConfiguration\nhealthzBindAddress: null\n");
    CHECK_STR_TAKE(asked_at(&world), "http://127.0.0.1:1003/healthz");
    test_write(world.env, "KUBELET_KUBEADM_ARGS=\"--healthz-port=1004\"\n");
    CHECK_STR_TAKE(asked_at(&world), "http://127.0.0.1:1004/healthz");
    AUTO_MEM char *words = str_format("kubelet|--config=%s|--config-dir=%s|--healthz-port|1005|",
                                      world.config, drop_in.dir);
    world_kubelet_runs(&world, "77", words, "mnt:[1]");
    CHECK_STR_TAKE(asked_at(&world), "http://127.0.0.1:1005/healthz");
    drop_in_fini(&drop_in);
    world_fini(&world);
}

TEST(without_a_health_endpoint_its_metrics_tell_that_it_is_well)
{
    struct world world;
    begin(&world);
    test_write(world.config, "kind: KubeletConfiguration\nhealthzPort: 0\n");
    world.spec.paths.kubelet_healthz_url = NULL;
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    world_fini(&world);
}

static bool not_answering(struct world *world)
{
    return str_eq(reason_of(world), "KubeletNotAnswering");
}

TEST(without_either_it_is_not_changed)
{
    struct world world;
    begin(&world);
    test_write(world.config, "kind: KubeletConfiguration\nhealthzPort: 0\n");
    world.spec.paths.kubelet_healthz_url = NULL;
    world.fakes[KUBELET].denies_metrics = true;
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, not_answering, 5000));
    CHECK_HAS(message_of(&world), "health endpoint is off (healthzPort: 0), and http://");
    CHECK_HAS(message_of(&world), "answers 403; a kubelet that does not answer is not changed");
    world_fini(&world);
}

static bool restarted_once_more(struct world *world)
{
    return world->fakes[KUBELET].starts == 3;
}

TEST(one_that_does_not_answer_is_not_changed_until_it_does)
{
    struct world world;
    begin(&world);
    world.fakes[KUBELET].never_ready = true;
    test_write(world.config, "kind: KubeletConfiguration\nfeatureGates: {Broken: true}\n");
    AUTO_MEM char *before = test_read(world.config);
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, not_answering, 5000));
    CHECK_STR(world_state(&world, "kubelet"), "Unreadable");
    CHECK_HAS(message_of(&world), "a kubelet that does not answer is not changed");
    CHECK_STR_TAKE(test_read(world.config), before);
    CHECK_INT(world.fakes[KUBELET].starts, 1);
    world.fakes[KUBELET].never_ready = false;
    CHECK(world_wait(&world, all_up_to_date, 8000));
    CHECK_INT(world.fakes[KUBELET].starts, 2);
    // What we wrote ourselves may be why it does not answer: that is always taken out.
    world.fakes[KUBELET].never_ready = true;
    node_refresh(world.node);
    world_desire(&world, "r2", "", "Disable");
    CHECK(world_wait(&world, restarted_once_more, 8000));
    CHECK_STR_TAKE(test_read(world.config), before);
    world_fini(&world);
}

TEST_MAIN()
