// SPDX-License-Identifier: Apache-2.0
// Several target clusters in one controller: what one of them says, or does not say, is nothing to
// the others.
#include "far.h"

#define AT "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/"
#define CONFIG AT "dra"
#define OTHER AT "other"
#define SECRET "/api/v1/namespaces/default/secrets/one"
#define OTHER_SECRET "/api/v1/namespaces/default/secrets/two"
#define FARS 2

#include "scene.h"

struct story {
    struct scene scene;
    struct batch batch;
    struct far {
        struct fake_api *api;
        const struct story *story;
        const char *version;
        bool mute;
    } far[FARS];
    struct story_wait wait;
};

#include "story.h"

static char *story_tell(const struct story *s)
{
    return str_format("%s\n%s", s->far[0].api->log.ptr, s->far[1].api->log.ptr);
}

static json_t *on_page(void *owner, const char *path)
{
    const struct far *far = owner;

    return str_eq(path, "/version") ? json_pack("{s:s}", "gitVersion", far->version) : NULL;
}

// Whatever is asked of it is asked by one pass at a time.
static void check_alone(const struct far *far)
{
    const struct controller *c = far->story->scene.controller;
    unsigned passes = 0;

    for (const struct walk *walk = c->passes.first; walk; walk = walk->next) {
        const struct pass *pass = (const struct pass *)walk;

        passes +=
            pass->cluster && str_eq(kube_server(pass->cluster->kube), server_url(far->api->server));
    }
    CHECK(passes <= 1);
}

static enum fault on_choose(void *owner, unsigned index UNUSED,
                            const struct server_request *request)
{
    const struct far *far = owner;

    check_alone(far);
    if (far->mute)
        return FAULT_MUTE;
    return str_eq(request->target, "/metrics") ? FAULT_403 : FAULT_NONE;
}

// One that only looks: it waits for somebody to turn DRA on.
static void seed_config(struct story *s, const char *path, const char *secret)
{
    fake_seed(s->scene.api, path,
              json_pack("{s:s, s:s, s:{}, s:{s:{s:b}, s:{s:s}, s:{s:{s:s}}}}", "apiVersion",
                        API_GROUP_VERSION, "kind", "DRAConfiguration", "metadata", "spec",
                        "featureGates", "DynamicResourceAllocation", 1, "platform", "type",
                        "Observe", "cluster", "kubeconfigSecretRef", "name", secret));
}

static struct story *story_new(void)
{
    static const char *const uids[] = {"far", "further"};
    struct story *s = story_open();

    cluster_parse_kubeconfig = far_parse;
    far_identity(s->scene.api, "home");
    for (size_t i = 0; i < FARS; i++) {
        struct far *far = &s->far[i];

        *far = (struct far){fake_api_new(s->scene.loop, far), s, "v1.33.13", false};
        far->api->on_page = on_page;
        far->api->choose = on_choose;
        far_identity(far->api, uids[i]);
    }
    fake_seed(s->scene.api, SECRET, far_secret(s->far[0].api, "one"));
    fake_seed(s->scene.api, OTHER_SECRET, far_secret(s->far[1].api, "one"));
    seed_config(s, CONFIG, "one");
    seed_config(s, OTHER, "two");
    return s;
}

static void story_free(struct story *s)
{
    controller_free(TAKE(s->scene.controller));
    for (size_t i = 0; i < FARS; i++)
        fake_api_free(s->far[i].api);
    story_close(s);
}

static struct queue_stats stats(const struct story *s)
{
    return queue_stats(s->scene.controller->queue);
}

static const char *version_of(const struct story *s, const char *path)
{
    return doc_str(fake_get(s->scene.api, path), "status", "kubernetesVersion", NULL);
}

// All was looked at, and nothing is under way.
static bool is_quiet(const struct story *s)
{
    return *version_of(s, CONFIG) && *version_of(s, OTHER) && stats(s).depth == 0 &&
           !s->scene.controller->passes.first;
}

static const char *const writers[] = {CONFIG, OTHER, AT "third"};

static bool all_were_reported(const struct story *s)
{
    bool all = true;

    for (size_t i = 0; i < COUNT(writers); i++)
        all = all && fake_condition(s->scene.api, writers[i], "Ready");
    return all;
}

TEST(each_cluster_has_somebody_who_looks_whether_dra_is_on_by_now)
{
    struct story *s = story_new();

    WAIT_FOR(s, is_quiet);
    CHECK_INT(stats(s).delayed, 2);
    story_free(s);
}

static bool some_time_is_over(const struct story *s)
{
    return s->wait.ticks >= 40;
}

static bool is_quiet_without_it(const struct story *s)
{
    return !fake_get(s->scene.api, CONFIG) && stats(s).depth == 0 &&
           !s->scene.controller->passes.first;
}

TEST(who_looked_for_all_of_a_cluster_is_replaced_when_it_goes)
{
    struct story *s = story_new();

    WAIT_FOR(s, is_quiet);
    fake_edit(
        s->scene.api, OTHER,
        json_pack("{s:{s:{s:{s:s}}}}", "spec", "cluster", "kubeconfigSecretRef", "name", "one"));
    WAIT_FOR(s, some_time_is_over);
    WAIT_FOR(s, is_quiet);
    CHECK_INT(stats(s).delayed, 1);
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_quiet_without_it);
    CHECK_INT(stats(s).delayed, 1);
    story_free(s);
}

// The home cluster is a lane too.
static enum fault on_home(void *owner UNUSED, unsigned index UNUSED,
                          const struct server_request *request)
{
    return str_eq(request->target, "/version") ? FAULT_MUTE : FAULT_NONE;
}

static bool has_a_pass(const struct story *s, const char *key)
{
    const struct walk *walk = s->scene.controller->passes.first;

    while (walk && !str_eq(walk->key, key))
        walk = walk->next;
    return walk != NULL;
}

static bool both_are_seen_and_home_is_not(const struct story *s)
{
    return *version_of(s, CONFIG) && *version_of(s, OTHER) && has_a_pass(s, "default/a");
}

TEST(a_pass_that_waits_for_its_cluster_holds_up_no_other_cluster)
{
    struct story *s = story_new();

    s->scene.api->choose = on_home;
    seed_config(s, AT "a", "none");
    fake_edit(s->scene.api, AT "a", json_pack("{s:{s:n}}", "spec", "cluster"));
    WAIT_FOR(s, both_are_seen_and_home_is_not);
    story_free(s);
}

// By whatever Secret it is reached.
TEST(two_of_one_cluster_have_a_pass_one_after_the_other)
{
    struct story *s = story_new();

    fake_edit(s->scene.api, OTHER_SECRET, far_secret(s->far[0].api, "two"));
    seed_config(s, AT "third", "one");
    for (size_t i = 0; i < COUNT(writers); i++)
        fake_edit(s->scene.api, writers[i],
                  json_pack("{s:{s:{s:s}}}", "spec", "platform", "type", "Kubeadm"));
    WAIT_FOR(s, all_were_reported);
    WAIT_FOR(s, some_time_is_over);
    story_free(s);
}

#define NODE "/api/v1/nodes/n"

static bool much_has_happened(const struct story *s)
{
    for (unsigned i = 0; i < 2; i++) {
        AUTO_MEM char *version = str_format("v1.33.%u", s->wait.ticks % 7 + i);

        fake_edit(s->far[0].api, NODE,
                  json_pack("{s:{s:{s:s}}}", "status", "nodeInfo", "kubeletVersion", version));
    }
    return s->wait.ticks >= 100;
}

TEST(however_much_happens_in_a_cluster_calls_for_a_pass_now_and_then)
{
    struct story *s = story_new();
    uint64_t adds, began_ms;

    fake_seed(s->far[0].api, NODE,
              json_pack("{s:{}, s:{s:{s:s, s:s}}}", "metadata", "status", "nodeInfo",
                        "kubeletVersion", "v1.33.1", "operatingSystem", "linux"));
    WAIT_FOR(s, is_quiet);
    adds = stats(s).adds_total;
    began_ms = clock_ms();
    WAIT_FOR(s, much_has_happened);
    CHECK(stats(s).adds_total > adds);
    CHECK(stats(s).adds_total - adds <= (clock_ms() - began_ms) / CLUSTER_WAKE_MS + 2);
    WAIT_FOR(s, is_quiet);
    story_free(s);
}

static bool has_another_version(const struct story *s)
{
    AUTO_MEM char *now = str_format("%llu", (unsigned long long)clock_ms());

    fake_edit(s->scene.api, CONFIG,
              json_pack("{s:{s:{s:s}}}", "metadata", "annotations", API_ANNOTATION_RECONCILE, now));
    return str_eq(version_of(s, CONFIG), "v1.33.14");
}

TEST(what_one_cluster_says_now_calls_for_no_pass_about_another)
{
    struct story *s = story_new();
    uint64_t adds;

    WAIT_FOR(s, is_quiet);
    s->far[0].version = "v1.33.14";
    fake_cut_watches(s->far[0].api);
    WAIT_FOR(s, has_another_version);
    WAIT_FOR(s, is_quiet);
    adds = stats(s).adds_total;
    WAIT_FOR(s, some_time_is_over);
    CHECK(stats(s).adds_total - adds <= 4);
    story_free(s);
}

static bool other_is_too_many(const struct story *s)
{
    const json_t *valid = fake_condition(s->scene.api, OTHER, "ConfigValid");

    return *version_of(s, CONFIG) && str_eq(doc_str(valid, "reason", NULL), "LimitReached");
}

static bool other_is_seen(const struct story *s)
{
    return *version_of(s, OTHER) != '\0';
}

TEST(one_of_too_many_targets_is_followed_when_another_is_named_no_more)
{
    struct story *s = story_new();

    cluster_targets_max = 1;
    WAIT_FOR(s, other_is_too_many);
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, other_is_seen);
    story_free(s);
}

TEST_MAIN()
