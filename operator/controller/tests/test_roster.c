// SPDX-License-Identifier: Apache-2.0
// Who writes a cluster, of all DRAConfigurations that there are.
#include "controller_internal.h"
#include "testkit/test.h"

#define HOSTED(namespace)                                                                          \
    "{type: HostedControlPlane, hostedControlPlane: {namespace: " namespace "}}"

static struct roster *roster;
static char *keys;

static json_t *config_of(const char *namespace, const char *created, const char *platform)
{
    json_t *config = NULL;
    AUTO_MEM char *text =
        str_format("{metadata: {namespace: %s, name: dra, creationTimestamp: '%s'}, spec: "
                   "{featureGates: {A: true}, platform: %s}, status: {conditions: [{}, {}]}}",
                   namespace, created, platform);

    CHECK_OK(doc_parse_yaml(slice_of(text), "config", &config));
    return config;
}

static struct controller_spec spec = {.lease_namespace = "home"};

static bool note(const char *key, const char *namespace, const char *created, const char *platform)
{
    AUTO_JSON json_t *config = config_of(namespace, created, platform);
    struct strlist governing = {0};
    bool moved;

    strlist_add(&governing, "b");
    spec.governing_namespaces = &governing;
    moved = roster_note(roster, &spec, key, config, NULL);
    strlist_fini(&governing);
    return moved;
}

// Who writes what a new one of that namespace and platform would name.
static void check_writer(const char *namespace, const char *platform, const char *want)
{
    AUTO_MEM char *writer = NULL;

    note("new", namespace, "2026-01-01T00:00:09Z", platform);
    writer = roster_writer(roster, "new");
    roster_note(roster, &spec, "new", NULL, NULL);
    CHECK_STR(writer ? writer : "nobody", want);
}

static void add_key(void *owner UNUSED, const char *key)
{
    char *longer = str_format("%s %s", keys ? keys : "", key);

    mem_free(keys);
    keys = longer;
}

TEST(the_oldest_that_may_writes_and_of_two_the_first_by_name)
{
    roster = roster_new();
    check_writer("home", "{type: Kubeadm}", "new");
    check_writer("home", "{type: Observe}", "nobody");
    check_writer("stranger", "{type: Kubeadm}", "nobody"); // not listed
    note("home/z", "home", "2026-01-01T00:00:02Z", "{type: Kubeadm}");
    note("home/a", "home", "2026-01-01T00:00:02Z", "{type: Auto}");
    note("stranger/old", "stranger", "2026-01-01T00:00:00Z", "{type: Kubeadm}"); // not listed
    note("home/looks", "home", "2026-01-01T00:00:00Z", "{type: Observe}");
    check_writer("home", "{type: Kubeadm}", "home/a");
    note("b/older", "b", "2026-01-01T00:00:01Z", "{type: Kubeadm}");
    check_writer("home", "{type: Kubeadm}", "b/older");
    roster_note(roster, &spec, "b/older", NULL, NULL);
    check_writer("home", "{type: Kubeadm}", "home/a");
    note("home/a", "home", "2026-01-01T00:00:02Z", "{type: Observe}"); // it changed
    check_writer("home", "{type: Kubeadm}", "home/z");
    roster_free(roster);
}

TEST(each_hosted_control_plane_has_a_writer_of_its_own)
{
    roster = roster_new();
    note("home/a", "home", "2026-01-01T00:00:01Z", "{type: Kubeadm}");
    note("t/a", "t", "2026-01-01T00:00:02Z", HOSTED("t"));
    note("u/a", "u", "2026-01-01T00:00:03Z", HOSTED("u"));
    check_writer("u", HOSTED("u"), "u/a");
    check_writer("t", HOSTED("t"), "t/a");
    check_writer("home", "{type: Kubeadm}", "home/a");
    note("u/b", "u", "2026-01-01T00:00:01Z", HOSTED("t")); // another namespace, which is not listed
    check_writer("t", HOSTED("t"), "t/a");
    roster_free(roster);
}

TEST(those_that_only_look_are_left_out_where_writers_are_meant)
{
    roster = roster_new();
    note("home/a", "home", "2026-01-01T00:00:01Z", "{type: Kubeadm}");
    note("home/b", "home", "2026-01-01T00:00:01Z", "{type: Observe}");
    roster_each(roster, ROSTER_WRITERS, add_key, NULL);
    CHECK_STR(keys, " home/a");
    mem_free(TAKE(keys));
    roster_each(roster, ROSTER_ALL, add_key, NULL);
    CHECK_STR(keys, " home/a home/b");
    mem_free(TAKE(keys));
    roster_free(roster);
}

// What happens in the cluster that we run in concerns nobody who names another one.
TEST(who_names_another_cluster_is_left_out_where_the_own_one_is_meant)
{
    AUTO_JSON json_t *config = config_of("home", "2026-01-01T00:00:01Z", "{type: Kubeadm}");

    roster = roster_new();
    note("home/a", "home", "2026-01-01T00:00:01Z", "{type: Kubeadm}");
    note("home/b", "home", "2026-01-01T00:00:01Z", "{type: Observe}");
    doc_set(config, json_string("s"), "spec", "cluster", "kubeconfigSecretRef", "name", NULL);
    roster_note(roster, &spec, "home/c", config, NULL);
    roster_each(roster, ROSTER_HOME_WRITERS, add_key, NULL);
    CHECK_STR(keys, " home/a");
    mem_free(TAKE(keys));
    roster_each(roster, ROSTER_HOME, add_key, NULL);
    CHECK_STR(keys, " home/a home/b");
    mem_free(TAKE(keys));
    roster_each(roster, ROSTER_WRITERS, add_key, NULL);
    CHECK_STR(keys, " home/a home/c");
    mem_free(TAKE(keys));
    roster_free(roster);
}

static const char *lane_of(const json_t *config, const char *cluster)
{
    AUTO_STRLIST struct strlist clusters = {0};

    if (cluster)
        strlist_add(&clusters, cluster);
    roster_note(roster, &spec, "t/x", config, &clusters);
    return roster_lane(roster, "t/x");
}

TEST(a_lane_is_the_cluster_that_is_written_and_else_how_it_is_reached)
{
    AUTO_JSON json_t *writes = config_of("t", "2026-01-01T00:00:01Z", "{type: Kubeadm}");
    AUTO_JSON json_t *looks = config_of("t", "2026-01-01T00:00:01Z", "{type: Observe}");

    roster = roster_new();
    note("home/a", "home", "2026-01-01T00:00:01Z", "{type: Kubeadm}");
    note("home/b", "home", "2026-01-01T00:00:01Z", "{type: Observe}");
    CHECK_STR(roster_lane(roster, "home/a"), CLUSTER_HOME);
    CHECK_STR(roster_lane(roster, "home/b"), CLUSTER_HOME);
    doc_set(writes, json_string("s"), "spec", "cluster", "kubeconfigSecretRef", "name", NULL);
    doc_set(looks, json_string("s"), "spec", "cluster", "kubeconfigSecretRef", "name", NULL);
    CHECK_STR(lane_of(writes, NULL), "cluster of Secret t/s "); // it did not say yet who it is
    CHECK_STR(lane_of(writes, "cluster far"), "cluster far");
    CHECK_STR(lane_of(looks, "cluster far"), "cluster of Secret t/s ");
    doc_set(looks, json_string("2026-01-01T00:00:02Z"), "metadata", "deletionTimestamp", NULL);
    CHECK_STR(lane_of(looks, "cluster far"), "cluster far");
    roster_free(roster);
}

TEST(what_is_hosted_is_a_lane_of_its_own_until_it_ends)
{
    AUTO_JSON json_t *hosted = config_of("t", "2026-01-01T00:00:01Z", HOSTED("t"));
    AUTO_JSON json_t *other = config_of("u", "2026-01-01T00:00:01Z", HOSTED("u"));
    AUTO_JSON json_t *strange = config_of("u", "2026-01-01T00:00:01Z", HOSTED("t"));
    AUTO_MEM char *lane = NULL;

    roster = roster_new();
    lane = str_dup(lane_of(hosted, NULL));
    CHECK(!str_eq(lane, CLUSTER_HOME));
    CHECK(!str_eq(lane, lane_of(other, NULL)));
    CHECK_STR(lane_of(strange, NULL), CLUSTER_HOME); // it may not write there: nothing is asked
    doc_set(hosted, json_string("2026-01-01T00:00:02Z"), "metadata", "deletionTimestamp", NULL);
    CHECK_STR(lane_of(hosted, NULL), CLUSTER_HOME);
    CHECK_STR(roster_lane(roster, "t/gone"), "t/gone");
    roster_free(roster);
}

TEST(a_change_that_moves_no_writer_is_none)
{
    roster = roster_new();
    CHECK(!note("home/a", "home", "2026-01-01T00:00:01Z", "{type: Observe}"));
    CHECK(note("home/a", "home", "2026-01-01T00:00:01Z", "{type: Kubeadm}"));
    CHECK(!note("home/a", "home", "2026-01-01T00:00:01Z", "{type: Auto}"));
    CHECK(note("home/a", "home", "2026-01-01T00:00:01Z", HOSTED("home")));
    CHECK(!note("home/a", "home", "2026-01-01T00:00:01Z", HOSTED("home")));
    CHECK(roster_note(roster, &spec, "home/a", NULL, NULL));
    CHECK(!roster_note(roster, &spec, "home/a", NULL, NULL));
    roster_free(roster);
}

TEST_MAIN()
