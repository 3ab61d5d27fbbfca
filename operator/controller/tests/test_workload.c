// SPDX-License-Identifier: Apache-2.0
// A hosted control plane with a driver: its flags are in Deployments of the cluster that Drawbridge
// runs in, and the driver, its devices and the smoke test are in the one that a kubeconfig leads
// to. What is wrong with the way there, or said at its end, costs the driver's conditions alone.
#include "scene.h"

#define CONFIG "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/dra"
#define OTHER "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/other"
#define SECRET "/api/v1/namespaces/default/secrets/hosted"
#define DEPLOYMENTS "/apis/apps/v1/namespaces/default/deployments/"
#define GATE "DynamicResourceAllocation=true"

struct story {
    struct scene scene; // of the one that Drawbridge runs in
    struct batch batch;
    struct fake_api *far;
    struct op *roll, *kubelet;
    char *helm;
    unsigned installs;            // and upgrades, by helm
    bool refuses;                 // whoever comes with the kubeconfig
    bool nameless;                // it does not say which cluster it is
    unsigned names_asked, passes; // of which cluster it is, and by passes
    bool targeted;                // by another DRAConfiguration too
    bool refused;                 // a write of ours, before it was sent
    struct story_wait wait;
};

#include "story.h"
#include "far_driver.h"

static const char *const deployments[] = {DEPLOYMENTS "kube-apiserver",
                                          DEPLOYMENTS "kube-controller-manager",
                                          DEPLOYMENTS "kube-scheduler"};

static bool is_on(const json_t *deployment)
{
    AUTO_MEM char *text = doc_print_json(json_object_get(deployment, "spec"));

    return text && strstr(text, GATE) != NULL;
}

static bool has_gate(const struct story *s, size_t i)
{
    return is_on(fake_get(s->scene.api, deployments[i]));
}

// --- the two clusters ----------------------------------------------------------------------------

static void on_roll(void *owner)
{
    struct story *s = owner;

    s->roll = NULL;
    for (size_t i = 0; i < COUNT(deployments); i++) {
        json_int_t generation = (json_int_t)doc_int(fake_get(s->scene.api, deployments[i]), 0,
                                                    "metadata", "generation", NULL);

        fake_edit(s->scene.api, deployments[i],
                  json_pack("{s:{s:I}}", "status", "observedGeneration", generation));
    }
}

static void on_home_write(void *owner, const struct fake_path *path, const json_t *was,
                          const json_t *now)
{
    struct story *s = owner;

    if (path->subresource && str_eq(path->object, CONFIG)) {
        AUTO_MEM char *broken = api_conditions_check(now);

        CHECK_STR(broken, "");
    }
    // No flag is taken out before the driver is away.
    if (now && was && str_starts(path->object, DEPLOYMENTS) && is_installed(s))
        CHECK(is_on(now) || !is_on(was));
    if (str_starts(path->object, DEPLOYMENTS) && !s->roll)
        s->roll = loop_sleep(s->scene.loop, 2, on_roll, s);
}

static void on_far_write(void *owner, const struct fake_path *path, const json_t *was UNUSED,
                         const json_t *now)
{
    struct story *s = owner;

    if (str_starts(path->object, RELEASE))
        s->installs += now != NULL;
    if (str_eq(path->namespace, "smoke") && !s->kubelet)
        s->kubelet = loop_sleep(s->scene.loop, 2, on_kubelet, s);
}

static enum fault on_far(void *owner, unsigned index UNUSED, const struct server_request *request)
{
    struct story *s = owner;
    bool asks_name = strstr(request->target, SYSTEM) != NULL;

    s->names_asked += str_eq(request->target, SYSTEM);
    s->passes += str_eq(request->target, "/version");

    // Our kind is not there, and agents are not either.
    if (!s->targeted && strstr(request->target, "nodedraconfigurations"))
        test_fail(__FILE__, __LINE__, "the hosted cluster was asked: %s %s", request->method,
                  request->target);
    // Its /metrics are nobody's but its administrator's: a roll-out counts.
    return s->refuses || (s->nameless && asks_name) || str_eq(request->target, "/metrics")
               ? FAULT_403
               : FAULT_NONE;
}

static json_t *on_far_page(void *owner, const char *path)
{
    const struct story *s = owner;

    if (str_eq(path, "/apis/resource.k8s.io") && has_gate(s, 0))
        return json_pack("{s:[{s:s}]}", "versions", "version", "v1beta1");
    return scene_on_page(NULL, path);
}

static void seed_deployments(struct story *s)
{
    for (size_t i = 0; i < COUNT(deployments); i++) {
        const char *name = component_name((enum component)i);
        AUTO_MEM char *image = str_format("x/%s:v1.33.13", name);

        fake_seed(s->scene.api, deployments[i],
                  json_pack("{s:{}, s:{s:i, s:{s:{s:[{s:s, s:s, s:[s], s:[s]}]}}},"
                            " s:{s:i, s:i, s:i, s:i}}",
                            "metadata", "spec", "replicas", 1, "template", "spec", "containers",
                            "name", name, "image", image, "command", name, "args", "--v=2",
                            "status", "observedGeneration", 1, "replicas", 1, "updatedReplicas", 1,
                            "availableReplicas", 1));
    }
}

static void seed_config(struct story *s, const char *path)
{
    fake_seed(s->scene.api, path,
              json_pack("{s:s, s:s, s:{}, s:{s:{s:b}, s:{s:s}, s:s, s:{s:s}, s:{s:{s:s}}}}",
                        "apiVersion", API_GROUP_VERSION, "kind", "DRAConfiguration", "metadata",
                        "spec", "featureGates", "DynamicResourceAllocation", 1, "platform", "type",
                        "HostedControlPlane", "deletionPolicy", "Revert", "rollout", "minReady",
                        "0s", "cluster", "kubeconfigSecretRef", "name", "hosted"));
}

static struct story *story_new(void)
{
    struct story *s = story_open();

    cluster_parse_kubeconfig = far_parse;
    s->far = fake_api_new(s->scene.loop, s);
    far_identity(s->far, "far");
    s->far->on_write = on_far_write;
    s->far->on_page = on_far_page;
    s->far->choose = on_far;
    far_identity(s->scene.api, "home");
    s->scene.api->on_write = on_home_write;
    seed_deployments(s);
    seed_config(s, CONFIG);
    open_helm(s, "0");
    fake_seed(s->far, "/api/v1/nodes/cp-1",
              json_pack("{s:{}, s:{s:{s:s}, s:[{s:s, s:s}]}}", "metadata", "status", "nodeInfo",
                        "kubeletVersion", "v1.33.13", "conditions", "type", "Ready", "status",
                        "True"));
    fake_edit(s->scene.api, CONFIG, driver_spec());
    fake_seed(s->scene.api, SECRET, far_secret(s->far, "one"));
    return s;
}

static void story_free(struct story *s)
{
    op_drop(s->roll);
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

static const json_t *status(const struct story *s)
{
    return json_object_get(fake_get(s->scene.api, CONFIG), "status");
}

static void drive(struct story *s)
{
    WAIT_FOR(s, is_installed);
    fill_devices(s);
    WAIT_FOR(s, is_ready);
}

// --- the stories ---------------------------------------------------------------------------------

TEST(a_driver_comes_into_the_hosted_cluster_and_goes_before_the_flags)
{
    struct story *s = story_new();

    drive(s);
    CHECK_STR(doc_str(status(s), "driver", "release", NULL), "gpu");
    CHECK_INT(doc_int(status(s), 0, "devices", "devices", NULL), 1);
    CHECK_HAS(message(s, "SmokeTestPassed"), "of gpu.example.com got gpu-0 of pool cp-1");
    CHECK_STR(doc_str(status(s), "clusterUID", NULL), "far");
    CHECK_INT(s->installs, 1);
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(!is_installed(s));
    for (size_t i = 0; i < COUNT(deployments); i++)
        CHECK(!has_gate(s, i));
    story_free(s);
}

static bool lost_its_secret(const struct story *s)
{
    return is(s, "ConfigValid", "Unknown", "NotFound") &&
           is(s, "DriverReady", "Unknown", "NotFound");
}
static bool is_refused(const struct story *s)
{
    return is(s, "DriverReady", "Unknown", "Forbidden");
}

static void check_kept(const struct story *s)
{
    CHECK_STR(doc_str(status(s), "driver", "release", NULL), "gpu");
    CHECK_INT(doc_int(status(s), 0, "devices", "devices", NULL), 1);
    CHECK_STR(doc_str(status(s), "clusterUID", NULL), "far");
    CHECK(is(s, "SmokeTestPassed", "True", "AsExpected"));
    CHECK(is(s, "DevicesPublished", "True", "AsExpected"));
}

TEST(a_kubeconfig_that_is_gone_or_refused_leaves_the_driver_as_it_was_and_is_said)
{
    struct story *s = story_new();

    drive(s);
    fake_delete(s->scene.api, SECRET);
    WAIT_FOR(s, lost_its_secret);
    check_kept(s);
    fake_seed(s->scene.api, SECRET, far_secret(s->far, "two"));
    WAIT_FOR(s, is_ready);
    s->refuses = true;
    fake_edit(s->scene.api, SECRET, far_secret(s->far, "three"));
    WAIT_FOR(s, is_refused);
    check_kept(s);
    CHECK(is(s, "ConfigValid", "True", "AsExpected"));
    s->refuses = false;
    fake_edit(s->scene.api, SECRET, far_secret(s->far, "four"));
    WAIT_FOR(s, is_ready);
    CHECK_INT(s->installs, 1);
    story_free(s);
}

static bool waits_for_the_driver(const struct story *s)
{
    return is(s, "DriverReady", "Unknown", "NotFound") && is(s, "Ready", "False", "NotFound") &&
           is(s, "ControlPlaneUpdated", "False", "Reverting");
}

TEST(flags_stay_while_the_driver_cannot_be_removed)
{
    struct story *s = story_new();

    drive(s);
    fake_delete(s->scene.api, SECRET);
    WAIT_FOR(s, lost_its_secret);
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, waits_for_the_driver);
    CHECK_HAS(message(s, "ControlPlaneUpdated"), "No flag is taken out before the driver");
    CHECK(has_gate(s, 0) && has_gate(s, 2));
    fake_seed(s->scene.api, SECRET, far_secret(s->far, "two"));
    WAIT_FOR(s, is_gone);
    CHECK(!is_installed(s));
    CHECK(!has_gate(s, 0));
    story_free(s);
}

TEST(a_control_plane_that_is_no_more_has_no_driver_to_be_removed)
{
    struct story *s = story_new();

    drive(s);
    fake_delete(s->scene.api, SECRET);
    WAIT_FOR(s, lost_its_secret);
    for (size_t i = 0; i < COUNT(deployments); i++)
        fake_delete(s->scene.api, deployments[i]);
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    story_free(s);
}

static bool waits_for_a_name(const struct story *s)
{
    return is(s, "ControlPlaneUpdated", "True", "AsExpected") &&
           is(s, "DriverReady", "Unknown", "Forbidden");
}

// Flags need not wait for what only a driver needs.
TEST(nothing_is_installed_into_a_cluster_that_does_not_say_which_it_is)
{
    struct story *s = story_new();

    s->nameless = true;
    WAIT_FOR(s, waits_for_a_name);
    CHECK_HAS(message(s, "DriverReady"), "the cluster of Secret default/hosted, key value");
    CHECK_INT(s->installs, 0);
    s->nameless = false;
    fake_edit(s->scene.api, SECRET, far_secret(s->far, "two"));
    drive(s);
    story_free(s);
}

// --- whose writes leave --------------------------------------------------------------------------

static void on_written(void *owner, struct error *take_err, json_t *take_body)
{
    struct story *s = owner;

    s->refused = take_err != NULL;
    error_free(take_err);
    json_decref(take_body);
    loop_stop(s->scene.loop);
}

// Whether something may be written there now; by the client that a pass has.
static bool may_write(struct story *s, const char *name)
{
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "configmaps", .namespace = "smoke", .name = name};
    AUTO_MEM char *path = str_format("/api/v1/namespaces/smoke/configmaps/%s", name);
    AUTO_JSON json_t *object = json_pack("{s:{s:s}}", "metadata", "name", name);
    struct cluster *cluster = NULL;
    struct op *op;

    CHECK_OK(cluster_targets_open(s->scene.controller->targets, "default/dra", &cluster));
    op = kube_create(cluster->kube, &ref, object, on_written, s);
    (void)op; // gone when the loop stops
    loop_run(s->scene.loop);
    cluster_unref(cluster);
    CHECK((fake_get(s->far, path) != NULL) == !s->refused);
    return !s->refused;
}

TEST(nothing_is_written_there_by_who_leads_no_more_or_before_it_is_known)
{
    struct story *s = story_new();

    s->nameless = true;
    WAIT_FOR(s, waits_for_a_name);
    CHECK(!may_write(s, "early"));
    s->nameless = false;
    fake_edit(s->scene.api, SECRET, far_secret(s->far, "two"));
    drive(s);
    CHECK(may_write(s, "good"));
    s->scene.controller->stop = true; // controller_may_write() says no
    CHECK(!may_write(s, "late"));
    s->scene.controller->stop = false;
    story_free(s);
}

static bool is_anothers(const struct story *s)
{
    return is(s, "DriverReady", "False", "InvalidConfiguration");
}

TEST(a_driver_of_one_cluster_is_not_left_for_another)
{
    struct story *s = story_new();

    drive(s);
    fake_edit(s->far, SYSTEM, json_pack("{s:{s:s}}", "metadata", "uid", "further"));
    fake_edit(s->scene.api, SECRET, far_secret(s->far, "two"));
    WAIT_FOR(s, is_anothers);
    CHECK_HAS(message(s, "DriverReady"), "UID far");
    check_kept(s);
    fake_edit(s->far, SYSTEM, json_pack("{s:{s:s}}", "metadata", "uid", "far"));
    fake_edit(s->scene.api, SECRET, far_secret(s->far, "three"));
    WAIT_FOR(s, is_ready);
    CHECK_INT(s->installs, 1);
    story_free(s);
}

static bool other_is_in_conflict(const struct story *s)
{
    const json_t *ready = fake_condition(s->scene.api, OTHER, "Ready");

    return str_eq(doc_str(ready, "reason", NULL), "TargetConflict") &&
           strstr(doc_str(ready, "message", NULL), "default/dra");
}

// One names the objects of the control plane, the other one the cluster itself.
TEST(the_hosted_cluster_has_one_writer)
{
    struct story *s = story_new();

    drive(s);
    s->targeted = true;
    seed_config(s, OTHER);
    fake_edit(s->scene.api, OTHER,
              json_pack("{s:{s:s}}", "metadata", "creationTimestamp", "2090-01-01T00:00:00Z"));
    fake_edit(s->scene.api, OTHER, json_pack("{s:{s:n}}", "spec", "platform"));
    WAIT_FOR(s, other_is_in_conflict);
    story_free(s);
}

static bool is_refused_without_a_way(const struct story *s)
{
    return is(s, "ConfigValid", "False", "InvalidConfiguration") &&
           strstr(message(s, "ConfigValid"), "set spec.cluster.kubeconfigSecretRef");
}

TEST(without_a_way_there_a_driver_is_refused)
{
    struct story *s = story_new();

    fake_edit(s->scene.api, CONFIG, json_pack("{s:{s:n}}", "spec", "cluster"));
    WAIT_FOR(s, is_refused_without_a_way);
    CHECK(!has_gate(s, 0));
    story_free(s);
}

static bool is_not_let_go(const struct story *s)
{
    return is(s, "ConfigValid", "False", "InvalidConfiguration") &&
           strstr(message(s, "ConfigValid"), "the cluster that Drawbridge runs in");
}

// The kubeconfig leads to where the driver is, and the flags are where Drawbridge runs.
TEST(flags_of_a_control_plane_are_not_left_when_its_driver_is_where_a_target_is)
{
    struct story *s = story_new();

    drive(s);
    s->targeted = true;
    fake_edit(s->scene.api, CONFIG,
              json_pack("{s:{s:{s:s}}}", "spec", "platform", "type", "Observe"));
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_not_let_go);
    CHECK(has_gate(s, 0) && is_installed(s));
    fake_edit(s->scene.api, CONFIG,
              json_pack("{s:{s:{s:s}}}", "spec", "platform", "type", "HostedControlPlane"));
    WAIT_FOR(s, is_gone);
    CHECK(!has_gate(s, 0) && !is_installed(s));
    story_free(s);
}

static bool is_asked_often(const struct story *s)
{
    return s->names_asked >= 20;
}

// Who has no driver there needs no right to know which cluster it is.
TEST(a_cluster_that_does_not_say_which_it_is_calls_for_no_passes)
{
    struct story *s = story_new();
    unsigned passes;

    cluster_identity_again_ms = 50;
    s->nameless = true;
    fake_edit(s->scene.api, CONFIG, json_pack("{s:{s:n, s:n}}", "spec", "driver", "smokeTest"));
    WAIT_FOR(s, is_ready);
    s->names_asked = 0;
    passes = s->passes;
    WAIT_FOR(s, is_asked_often);
    CHECK(s->passes <= passes + 2);
    cluster_identity_again_ms = 10000;
    story_free(s);
}

static bool is_in_conflict(const struct story *s)
{
    return is(s, "Ready", "False", "TargetConflict");
}

// Its flags are in objects that the other one does not write.
TEST(what_is_in_conflict_for_its_driver_takes_its_flags_back_at_its_end)
{
    struct story *s = story_new();

    drive(s);
    s->targeted = true;
    seed_config(s, OTHER);
    fake_edit(s->scene.api, OTHER,
              json_pack("{s:{s:s}}", "metadata", "creationTimestamp", "1990-01-01T00:00:00Z"));
    fake_edit(s->scene.api, OTHER, json_pack("{s:{s:n}}", "spec", "platform"));
    WAIT_FOR(s, is_in_conflict);
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(!is_installed(s));
    CHECK(!has_gate(s, 0));
    story_free(s);
}

TEST_MAIN()
