// SPDX-License-Identifier: Apache-2.0
// A kubeadm cluster that the kubeconfig of a Secret leads to: two API servers, one that has the
// DRAConfiguration, and one that has nodes, pods and what agents say. What the second one does
// costs its own DRAConfiguration alone.
#include "scene.h"

#define CONFIG "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/dra"
#define SECRET "/api/v1/namespaces/default/secrets/prod"
#define NODE_CONFIGS "/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/"
#define KUBEADM "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
#define SYSTEM "/api/v1/namespaces/kube-system"
#define OTHER "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/other"
#define OTHER_SECRET "/api/v1/namespaces/default/secrets/other"
#define LONG_AGO "2001-01-01T00:00:00Z"

struct story {
    struct scene scene; // of the one that Drawbridge runs in
    struct batch batch;
    struct fake_api *far;
    struct op *agents;
    bool mute;     // the target does not answer
    int64_t epoch; // what agents there say to have seen
    struct story_wait wait;
};

#include "story.h"

static const json_t *asked(const struct fake_api *api, const char *component)
{
    const json_t *entries = doc_get(fake_get(api, NODE_CONFIGS "cp-1"), "spec", "components", NULL);

    for (size_t i = 0; i < json_array_size(entries); i++) {
        if (str_eq(doc_str(json_array_get(entries, i), "name", NULL), component))
            return json_array_get(entries, i);
    }
    return NULL;
}

// --- the target ----------------------------------------------------------------------------------

static json_t *report(const struct story *s, const char *component)
{
    const json_t *entry = asked(s->far, component);
    json_t *gates = doc_copy(json_object_get(entry, "featureGates"));
    json_t *runtime = doc_copy(json_object_get(entry, "runtimeConfig"));

    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:o, s:o, s:{s:o*, s:o*}, s:{s:b}}", "name",
                     component, "state", entry ? "UpToDate" : "Observed", "revision",
                     doc_str(entry, "revision", NULL), "version", "v1.33.13", "healthy", 1,
                     "updatedAt", LONG_AGO, "featureGates",
                     gates ? json_deep_copy(gates) : json_object(), "runtimeConfig",
                     runtime ? json_deep_copy(runtime) : json_object(), "owned", "featureGates",
                     gates, "runtimeConfig", runtime, "enabled", "DynamicResourceAllocation",
                     json_object_size(gates) > 0);
}

static void on_agents(void *owner)
{
    static const char *const all[] = {"kube-apiserver", "kube-controller-manager", "kube-scheduler",
                                      "kubelet"};
    struct story *s = owner;
    json_t *reports = json_array();

    s->agents = NULL;
    for (size_t i = 0; i < COUNT(all); i++)
        json_array_append_new(reports, report(s, all[i]));
    if (fake_get(s->far, NODE_CONFIGS "cp-1"))
        fake_edit(s->far, NODE_CONFIGS "cp-1",
                  json_pack("{s:{s:i, s:I, s:o}}", "status", "observedGeneration", 1, "epoch",
                            (json_int_t)s->epoch, "components", reports));
    else
        json_decref(reports);
}

static void on_write(void *owner, const struct fake_path *path, const json_t *was UNUSED,
                     const json_t *now UNUSED)
{
    struct story *s = owner;

    if (str_starts(path->object, NODE_CONFIGS) && !s->agents)
        s->agents = loop_sleep(s->scene.loop, 2, on_agents, s);
}

static enum fault on_choose(void *owner, unsigned index UNUSED,
                            const struct server_request *request UNUSED)
{
    const struct story *s = owner;

    return s->mute ? FAULT_MUTE : FAULT_NONE;
}

static json_t *on_page(void *owner, const char *path)
{
    const struct story *s = owner;

    if (str_eq(path, "/apis/resource.k8s.io") && asked(s->far, "kube-apiserver") &&
        json_object_size(json_object_get(asked(s->far, "kube-apiserver"), "runtimeConfig")) > 0)
        return json_pack("{s:[{s:s}]}", "versions", "version", "v1beta1");
    return scene_on_page(NULL, path);
}

static void add_pod(struct story *s, const char *component)
{
    AUTO_MEM char *path = str_format("/api/v1/namespaces/kube-system/pods/%s-cp-1", component);
    AUTO_MEM char *image = str_format("images.example/%s:v1.33.13", component);

    fake_seed(s->far, path,
              json_pack("{s:{s:{s:s, s:s}, s:{s:s}}, s:{s:s, s:[{s:s, s:s, s:[s]}]}}", "metadata",
                        "labels", "component", component, "tier", "control-plane", "annotations",
                        "kubernetes.io/config.mirror", "0123", "spec", "nodeName", "cp-1",
                        "containers", "name", component, "image", image, "command", component));
}

static void say_identity(struct fake_api *api, const char *uid)
{
    fake_seed(api, SYSTEM, json_pack("{s:{}}", "metadata"));
    fake_edit(api, SYSTEM, json_pack("{s:{s:s}}", "metadata", "uid", uid));
}

static void fill_target(struct story *s)
{
    say_identity(s->far, "far");
    s->far->on_write = on_write;
    s->far->on_page = on_page;
    s->far->choose = on_choose;
    fake_seed(s->far, "/api/v1/nodes/cp-1",
              json_pack("{s:{s:{s:s}}, s:{s:{s:s, s:s}, s:[{s:s, s:s, s:s}]}}", "metadata",
                        "labels", "node-role.kubernetes.io/control-plane", "", "status", "nodeInfo",
                        "kubeletVersion", "v1.33.13", "operatingSystem", "linux", "conditions",
                        "type", "Ready", "status", "True", "lastTransitionTime", LONG_AGO));
    add_pod(s, "kube-apiserver");
    add_pod(s, "kube-controller-manager");
    add_pod(s, "kube-scheduler");
    fake_seed(s->far, KUBEADM,
              json_pack("{s:{}, s:{s:s}}", "metadata", "data", "ClusterConfiguration",
                        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
                        "kubernetesVersion: v1.33.13\n"));
}

// --- the Secret ----------------------------------------------------------------------------------

static char *encode(const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    AUTO_BUF struct buf out = buf_make(1 << 16);
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i += 3) {
        unsigned n = (unsigned)(unsigned char)text[i] << 16;

        n |= i + 1 < len ? (unsigned)(unsigned char)text[i + 1] << 8 : 0;
        n |= i + 2 < len ? (unsigned)(unsigned char)text[i + 2] : 0;
        buf_printf(&out, "%c%c%c%c", letters[n >> 18], letters[n >> 12 & 63],
                   i + 1 < len ? letters[n >> 6 & 63] : '=', i + 2 < len ? letters[n & 63] : '=');
    }
    return buf_take(&out);
}

static json_t *make_secret_of(const struct fake_api *api, const char *token)
{
    AUTO_MEM char *text = str_format(
        "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"%s\"}}]\n"
        "users: [{name: u, user: {token: %s}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
        server_url(api->server), token);
    AUTO_MEM char *data = encode(text);

    return json_pack("{s:{}, s:{s:s}}", "metadata", "data", "value", data);
}

static json_t *make_secret(const struct story *s, const char *token)
{
    return make_secret_of(s->far, token);
}

static struct error *parse_plain(struct slice text, struct kube_config **ret_config)
{
    AUTO_MEM char *path = test_path("kubeconfig");
    AUTO_MEM char *copy = slice_dup(text);

    test_write(path, copy);
    return kube_config_load(path, NULL, ret_config);
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

static struct story *story_new(void)
{
    struct story *s = NEW(struct story);

    cluster_parse_kubeconfig = parse_plain;
    s->batch.loop = loop_new();
    scene_open(&s->scene, &s->batch, s);
    s->scene.at = NEVER;
    s->scene.backoff_ms_max = 500;
    s->far = fake_api_new(s->scene.loop, s);
    fill_target(s);
    say_identity(s->scene.api, "home");
    seed_config(s, CONFIG, "prod");
    return s;
}

static void story_free(struct story *s)
{
    op_drop(s->agents);
    controller_free(TAKE(s->scene.controller));
    fake_api_free(s->far);
    scene_fini(&s->scene);
    loop_free(s->batch.loop);
    mem_free(s);
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
    CHECK(asked(s->far, "kube-apiserver") && asked(s->far, "kubelet"));
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
    fake_edit(s->scene.api, SECRET, make_secret_of(s->scene.api, "home"));
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
    fake_seed(s->scene.api, SECRET, make_secret_of(s->scene.api, "one"));
    WAIT_FOR(s, is_in_conflict_with_home);
    CHECK(!asked(s->scene.api, "kube-apiserver"));
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
    CHECK(asked(s->far, "kube-apiserver"));
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
    CHECK(asked(s->far, "kube-apiserver"));
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

TEST_MAIN()
