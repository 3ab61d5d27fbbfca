// SPDX-License-Identifier: Apache-2.0
// A kubeadm cluster that the kubeconfig of a Secret leads to: two API servers, one that has the
// DRAConfiguration, and one that has nodes, pods and what agents say. What the second one does
// costs its own DRAConfiguration alone.
#include "scene.h"

#define CONFIG "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/dra"
#define SECRET "/api/v1/namespaces/default/secrets/prod"
#define OTHER "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/other"
#define OTHERS "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/other-"
#define OTHER_SECRET "/api/v1/namespaces/default/secrets/other"

struct story {
    struct scene scene; // of the one that Drawbridge runs in
    struct batch batch;
    struct fake_api *far;
    struct op *agents, *kubelet;
    char *helm;
    unsigned installs; // and upgrades, by helm
    unsigned anew;     // watches with the third kubeconfig
    unsigned followed; // watches in all, when all was well
    bool mute;         // the target does not answer
    bool serves;       // it has DRA on, whatever is asked for
    bool hides;        // claims may not be looked at
    int64_t epoch;     // what agents there say to have seen
    struct story_wait wait;
};

#include "story.h"
#include "target.h"
#include "far_driver.h"

// --- the target ----------------------------------------------------------------------------------

static void on_write(void *owner, const struct fake_path *path, const json_t *was UNUSED,
                     const json_t *now)
{
    struct story *s = owner;

    if (str_starts(path->object, NODE_CONFIGS) && !s->agents)
        s->agents = loop_sleep(s->scene.loop, 2, on_agents, s);
    if (str_starts(path->object, RELEASE))
        s->installs += now != NULL;
    if (str_eq(path->namespace, "smoke") && !s->kubelet)
        s->kubelet = loop_sleep(s->scene.loop, 2, on_kubelet, s);
}

static enum fault on_choose(void *owner, unsigned index UNUSED,
                            const struct server_request *request)
{
    struct story *s = owner;
    AUTO_MEM char *who = server_header(request, "Authorization");

    if (str_eq(who, "Bearer revoked") || (s->hides && strstr(request->target, "/resourceclaims?")))
        return FAULT_403;
    if (str_eq(who, "Bearer three"))
        s->anew += strstr(request->target, "watch=true") != NULL;
    return s->mute ? FAULT_MUTE : FAULT_NONE;
}

static json_t *on_page(void *owner, const char *path)
{
    const struct story *s = owner;

    bool on = s->serves || json_object_size(json_object_get(
                               fleet_asked(s->far, "cp-1", "kube-apiserver"), "runtimeConfig")) > 0;

    if (str_eq(path, "/apis/resource.k8s.io") && on)
        return json_pack("{s:[{s:s}]}", "versions", "version", "v1beta1");
    return scene_on_page(NULL, path);
}

static void fill_target(struct story *s)
{
    far_identity(s->far, "far");
    s->far->on_write = on_write;
    s->far->on_page = on_page;
    s->far->choose = on_choose;
    fleet_add_cluster(s->far);
}

// --- the Secret ----------------------------------------------------------------------------------

static json_t *make_secret(const struct story *s, const char *token)
{
    return far_secret(s->far, token);
}

static void seed_config(struct story *s, const char *path, const char *secret)
{
    json_t *config =
        json_pack("{s:s, s:s, s:{}, s:{s:{s:b}, s:s, s:{s:s}, s:{s:{s:s}}}}", "apiVersion",
                  API_GROUP_VERSION, "kind", "DRAConfiguration", "metadata", "spec", "featureGates",
                  "DynamicResourceAllocation", 1, "deletionPolicy", "Revert", "rollout", "minReady",
                  "0s", "cluster", "kubeconfigSecretRef", "name", secret);

    fake_seed(s->scene.api, path, config);
}

// One that looks at the cluster that Drawbridge runs in.
static void seed_home(struct story *s, const char *path)
{
    seed_config(s, path, "");
    fake_edit(s->scene.api, path,
              json_pack("{s:{s:n, s:{s:s}}}", "spec", "cluster", "platform", "type", "Observe"));
}

static struct story *story_new(void)
{
    struct story *s = story_open();

    cluster_parse_kubeconfig = far_parse;
    s->far = fake_api_new(s->scene.loop, s);
    fill_target(s);
    far_identity(s->scene.api, "home");
    seed_config(s, CONFIG, "prod");
    return s;
}

static void story_free(struct story *s)
{
    op_drop(s->agents);
    op_drop(s->kubelet);
    controller_free(TAKE(s->scene.controller));
    fake_api_free(s->far);
    mem_free(s->helm);
    story_close(s);
}

static char *story_tell(const struct story *s)
{
    return str_dup(s->far->log.ptr);
}

// --- the stories ---------------------------------------------------------------------------------

static bool lacks_its_secret(const struct story *s)
{
    return is(s, "ConfigValid", "Unknown", "NotFound");
}

TEST(a_cluster_behind_a_kubeconfig_is_configured_and_given_back)
{
    struct story *s = story_new();

    fake_seed(s->scene.api, SECRET, make_secret(s, "one"));
    WAIT_FOR(s, is_ready);
    CHECK(fleet_asked(s->far, "cp-1", "kube-apiserver") && fleet_asked(s->far, "cp-1", "kubelet"));
    CHECK(!fake_get(s->scene.api, NODE_CONFIGS "cp-1")); // not in the one that Drawbridge runs in
    CHECK(strstr(doc_str(fake_get(s->far, KUBEADM), "data", "ClusterConfiguration", NULL),
                 "DynamicResourceAllocation"));
    CHECK_STR(doc_str(fake_get(s->scene.api, CONFIG), "status", "platform", NULL), "Kubeadm");
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(!fake_get(s->far, NODE_CONFIGS "cp-1"));
    CHECK(!strstr(doc_str(fake_get(s->far, KUBEADM), "data", "ClusterConfiguration", NULL),
                  "DynamicResourceAllocation"));
    story_free(s);
}

// The chart without accounts for drivers gives no right to it.
TEST(claims_that_may_not_be_looked_at_do_not_keep_the_flags_where_no_driver_is_ours)
{
    struct story *s = story_new();

    s->hides = true;
    fake_seed(s->scene.api, SECRET, make_secret(s, "one"));
    WAIT_FOR(s, is_ready);
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(!fake_get(s->far, NODE_CONFIGS "cp-1"));
    story_free(s);
}

TEST(without_the_secret_it_waits_and_says_for_what_and_the_last_good_state_is_kept)
{
    struct story *s = story_new();

    WAIT_FOR(s, lacks_its_secret);
    CHECK_HAS(message(s, "ConfigValid"), "Secret default/prod, key value");
    fake_seed(s->scene.api, SECRET, make_secret(s, "one"));
    WAIT_FOR(s, is_ready);
    fake_delete(s->scene.api, SECRET);
    WAIT_FOR(s, lacks_its_secret);
    CHECK_STR(doc_str(fake_get(s->scene.api, CONFIG), "status", "componentSummary", NULL), "4/4");
    fake_seed(s->scene.api, SECRET, make_secret(s, "two"));
    WAIT_FOR(s, is_ready);
    story_free(s);
}

static bool is_refused_elsewhere(const struct story *s)
{
    return is(s, "ConfigValid", "False", "InvalidConfiguration");
}

static bool other_was_seen(const struct story *s)
{
    const json_t *other = fake_get(s->scene.api, OTHER);

    return doc_int(other, 0, "status", "observedGeneration", NULL) ==
           doc_int(other, 0, "metadata", "generation", NULL);
}

static bool other_is_in_conflict(const struct story *s)
{
    const json_t *ready = fake_condition(s->scene.api, OTHER, "Ready");

    return str_eq(doc_str(ready, "reason", NULL), "TargetConflict") &&
           strstr(doc_str(ready, "message", NULL), "default/dra");
}

// Two kubeconfigs may lead to one cluster; only its own word says so.
TEST(one_cluster_has_one_writer_by_whatever_secret_it_is_reached)
{
    struct story *s = story_new();

    fake_seed(s->scene.api, SECRET, make_secret(s, "one"));
    WAIT_FOR(s, is_ready);
    fake_seed(s->scene.api, OTHER_SECRET, make_secret(s, "two"));
    seed_config(s, OTHER, "other");
    fake_edit(s->scene.api, OTHER,
              json_pack("{s:{s:s}}", "metadata", "creationTimestamp", "2090-01-01T00:00:00Z"));
    WAIT_FOR(s, other_is_in_conflict);
    // It stays so when the first is led elsewhere, or its way is lost.
    fake_edit(s->scene.api, SECRET, far_secret(s->scene.api, "home"));
    WAIT_FOR(s, is_refused_elsewhere);
    fake_edit(s->scene.api, OTHER, json_pack("{s:{s:s}}", "spec", "deletionPolicy", "Revert"));
    WAIT_FOR(s, other_was_seen);
    CHECK(other_is_in_conflict(s));
    fake_delete(s->scene.api, SECRET);
    WAIT_FOR(s, lacks_its_secret);
    fake_edit(s->scene.api, OTHER, json_pack("{s:{s:s}}", "spec", "deletionPolicy", "Retain"));
    WAIT_FOR(s, other_was_seen);
    CHECK(other_is_in_conflict(s));
    story_free(s);
}

static bool is_in_conflict_with_home(const struct story *s)
{
    return is(s, "Ready", "False", "TargetConflict");
}

TEST(a_kubeconfig_that_leads_home_is_in_conflict_with_who_writes_there)
{
    struct story *s = story_new();

    strlist_add(&s->scene.governing, "default");
    seed_config(s, OTHER, "other");
    fake_edit(s->scene.api, OTHER,
              json_pack("{s:{s:s}, s:{s:n}}", "metadata", "creationTimestamp", LONG_AGO, "spec",
                        "cluster"));
    fake_seed(s->scene.api, SECRET, far_secret(s->scene.api, "one"));
    WAIT_FOR(s, is_in_conflict_with_home);
    CHECK(!fleet_asked(s->scene.api, "cp-1", "kube-apiserver"));
    story_free(s);
}

// It is older, and its server says to be the cluster that Drawbridge runs in: nobody loses by that.
TEST(a_server_that_claims_to_be_another_cluster_takes_nothing_from_it)
{
    struct story *s = story_new();

    strlist_add(&s->scene.governing, "default");
    fake_edit(s->scene.api, CONFIG,
              json_pack("{s:{s:s}}", "metadata", "creationTimestamp", LONG_AGO));
    fake_edit(s->far, SYSTEM, json_pack("{s:{s:s}}", "metadata", "uid", "home"));
    fake_seed(s->scene.api, SECRET, make_secret(s, "one"));
    WAIT_FOR(s, is_ready);
    CHECK_STR(doc_str(fake_get(s->scene.api, CONFIG), "status", "clusterUID", NULL), "home");
    seed_config(s, OTHER, "other");
    fake_edit(s->scene.api, OTHER, json_pack("{s:{s:n}}", "spec", "cluster"));
    WAIT_FOR(s, other_was_seen);
    CHECK(!other_is_in_conflict(s));
    story_free(s);
}

TEST(what_was_written_in_one_cluster_is_not_left_for_another)
{
    struct story *s = story_new();

    fake_seed(s->scene.api, SECRET, make_secret(s, "one"));
    WAIT_FOR(s, is_ready);
    CHECK_STR(doc_str(fake_get(s->scene.api, CONFIG), "status", "clusterUID", NULL), "far");
    // The same Secret leads to another cluster now.
    fake_edit(s->far, SYSTEM, json_pack("{s:{s:s}}", "metadata", "uid", "further"));
    fake_edit(s->scene.api, SECRET, make_secret(s, "two"));
    WAIT_FOR(s, is_refused_elsewhere);
    CHECK_HAS(message(s, "ConfigValid"), "UID far");
    fake_edit(s->far, SYSTEM, json_pack("{s:{s:s}}", "metadata", "uid", "far"));
    fake_edit(s->scene.api, SECRET, make_secret(s, "three"));
    WAIT_FOR(s, is_ready);
    // None is named any more.
    fake_edit(s->scene.api, CONFIG, json_pack("{s:{s:n}}", "spec", "cluster"));
    WAIT_FOR(s, is_refused_elsewhere);
    fake_edit(s->scene.api, CONFIG, json_pack("{s:{s:s}}", "spec", "deletionPolicy", "Retain"));
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(fleet_asked(s->far, "cp-1", "kube-apiserver"));
    story_free(s);
}

TEST(an_end_that_takes_nothing_back_needs_no_cluster)
{
    struct story *s = story_new();

    fake_seed(s->scene.api, SECRET, make_secret(s, "one"));
    WAIT_FOR(s, is_ready);
    fake_delete(s->scene.api, SECRET);
    WAIT_FOR(s, lacks_its_secret);
    fake_edit(s->scene.api, CONFIG, json_pack("{s:{s:s}}", "spec", "deletionPolicy", "Retain"));
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(fleet_asked(s->far, "cp-1", "kube-apiserver"));
    story_free(s);
}

static bool others_were_seen(const struct story *s)
{
    const char *const others[] = {OTHERS "1", OTHERS "2", OTHERS "3"};
    size_t seen = 0;

    for (size_t i = 0; i < COUNT(others); i++)
        seen += fake_condition(s->scene.api, others[i], "Ready") != NULL;
    return s->mute && seen == COUNT(others);
}

// What is left there is somebody else's server's to let go of.
TEST(a_target_that_is_silent_when_it_is_left_holds_up_nobody)
{
    struct story *s = story_new();

    fake_seed(s->scene.api, SECRET, make_secret(s, "one"));
    WAIT_FOR(s, is_ready);
    fake_edit(s->scene.api, CONFIG, json_pack("{s:{s:s}}", "spec", "deletionPolicy", "Retain"));
    s->mute = true;
    fake_delete(s->scene.api, CONFIG);
    seed_home(s, OTHERS "1");
    seed_home(s, OTHERS "2");
    seed_home(s, OTHERS "3");
    WAIT_FOR(s, others_were_seen);
    CHECK(!is_gone(s));
    CHECK(s->scene.controller->passes.first);
    story_free(s);
}

TEST(what_agents_of_a_target_have_seen_raises_the_epoch_there_alone)
{
    struct story *s = story_new();

    s->epoch = 7;
    fake_seed(s->scene.api, SECRET, make_secret(s, "one"));
    WAIT_FOR(s, is_ready);
    CHECK_INT(controller_epoch(s->scene.controller), 0);
    CHECK_INT(doc_int(fake_get(s->far, NODE_CONFIGS "cp-1"), 0, "spec", "epoch", NULL), 7);
    story_free(s);
}

// --- a driver there ------------------------------------------------------------------------------

// dry_run: how long it takes, in seconds.
static struct story *driver_story(const char *dry_run)
{
    struct story *s = story_new();

    open_helm(s, dry_run);
    fake_seed(s->scene.api, SECRET, make_secret(s, "one"));
    fake_edit(s->scene.api, CONFIG, driver_spec());
    return s;
}

static bool lost_its_driver_from_sight(const struct story *s)
{
    return lacks_its_secret(s) && is(s, "DriverReady", "Unknown", "NotFound");
}
static const json_t *status(const struct story *s)
{
    return json_object_get(fake_get(s->scene.api, CONFIG), "status");
}

TEST(a_driver_comes_into_the_cluster_behind_the_kubeconfig_and_goes_again)
{
    struct story *s = driver_story("0");

    WAIT_FOR(s, is_installed);
    fill_devices(s);
    WAIT_FOR(s, is_ready);
    CHECK_STR(doc_str(status(s), "driver", "release", NULL), "gpu");
    CHECK_INT(doc_int(status(s), 0, "devices", "devices", NULL), 1);
    CHECK_HAS(message(s, "SmokeTestPassed"), "of gpu.example.com got gpu-0 of pool cp-1");
    CHECK_INT(s->installs, 1);
    CHECK_STR(doc_str(status(s), "clusterUID", NULL), "far");
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(!is_installed(s));
    CHECK(!fake_get(s->far, NODE_CONFIGS "cp-1"));
    story_free(s);
}

static bool may_not_look_at_claims(const struct story *s)
{
    return is(s, "DriverReady", "False", "DriverForbidden");
}

TEST(claims_that_may_not_be_looked_at_keep_the_driver)
{
    struct story *s = driver_story("0");

    WAIT_FOR(s, is_installed);
    fill_devices(s);
    WAIT_FOR(s, is_ready);
    s->hides = true;
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, may_not_look_at_claims);
    CHECK(is_installed(s));
    story_free(s);
}

static unsigned watches(const struct story *s)
{
    unsigned count = 0;

    for (size_t i = 0; i < FAKE_WATCHERS_MAX; i++)
        count += s->far->watchers[i].conn != NULL;
    return count;
}
static bool is_let_go_of(const struct story *s)
{
    return watches(s) == 0;
}

static bool is_refused_there(const struct story *s)
{
    return is(s, "DriverReady", "Unknown", "APIServerUnreachable") &&
           strstr(message(s, "DriverReady"), "Forbidden");
}
// And by the new client alone.
static bool is_followed_as_before(const struct story *s)
{
    return watches(s) == s->followed && s->anew == s->followed;
}

TEST(a_kubeconfig_that_is_gone_or_another_one_leaves_the_driver_as_it_was_and_is_said)
{
    struct story *s = driver_story("0");

    WAIT_FOR(s, is_installed);
    fill_devices(s);
    WAIT_FOR(s, is_ready);
    s->followed = watches(s);
    fake_delete(s->scene.api, SECRET);
    WAIT_FOR(s, lost_its_driver_from_sight);
    CHECK_STR(doc_str(status(s), "driver", "release", NULL), "gpu");
    CHECK_INT(doc_int(status(s), 0, "devices", "devices", NULL), 1);
    CHECK(is(s, "SmokeTestPassed", "True", "AsExpected"));
    CHECK(is(s, "DevicesPublished", "True", "AsExpected"));
    WAIT_FOR(s, is_let_go_of);
    fake_seed(s->scene.api, SECRET, make_secret(s, "two"));
    WAIT_FOR(s, is_ready);
    fake_edit(s->scene.api, SECRET, make_secret(s, "revoked"));
    WAIT_FOR(s, is_refused_there);
    CHECK_STR(doc_str(status(s), "driver", "release", NULL), "gpu");
    CHECK(is(s, "SmokeTestPassed", "True", "AsExpected"));
    WAIT_FOR(s, is_let_go_of);
    fake_edit(s->scene.api, SECRET, make_secret(s, "three"));
    WAIT_FOR(s, is_ready);
    WAIT_FOR(s, is_followed_as_before);
    CHECK_INT(s->installs, 1);
    story_free(s);
}

static bool has_a_token(const struct story *s)
{
    return s->far->tokens > 0;
}

TEST(a_helm_whose_kubeconfig_was_replaced_is_run_again_with_the_new_one)
{
    struct story *s = driver_story("1");

    WAIT_FOR(s, has_a_token);
    fake_edit(s->scene.api, SECRET, make_secret(s, "two"));
    WAIT_FOR(s, is_installed);
    CHECK_INT(s->far->tokens, 2);
    fill_devices(s);
    WAIT_FOR(s, is_ready);
    CHECK_INT(s->installs, 1);
    story_free(s);
}

// Also where nothing else is written.
TEST(a_driver_of_one_cluster_is_not_left_for_another)
{
    struct story *s = driver_story("0");

    s->serves = true;
    fake_edit(s->scene.api, CONFIG,
              json_pack("{s:{s:{s:s}}}", "spec", "platform", "type", "Observe"));
    WAIT_FOR(s, is_installed);
    fill_devices(s);
    WAIT_FOR(s, is_ready);
    CHECK_STR(doc_str(status(s), "clusterUID", NULL), "far");
    fake_edit(s->scene.api, CONFIG, json_pack("{s:{s:n}}", "spec", "cluster"));
    WAIT_FOR(s, is_refused_elsewhere);
    CHECK(is_installed(s));
    story_free(s);
}

TEST(a_driver_of_the_home_cluster_is_not_left_for_another)
{
    struct story *s = driver_story("0");

    s->serves = true;
    fake_edit(s->scene.api, CONFIG,
              json_pack("{s:{s:{s:s}}, s:{s:{s:s, s:s, s:s, s:s}}}", "spec", "platform", "type",
                        "Observe", "status", "driver", "release", "gpu", "namespace", "gpu",
                        "engine", "Helm", "serviceAccountName", "installer"));
    WAIT_FOR(s, is_refused_elsewhere);
    CHECK_HAS(message(s, "ConfigValid"), "in the cluster that Drawbridge runs in");
    CHECK_INT(s->installs, 0);
    story_free(s);
}

TEST_MAIN()
