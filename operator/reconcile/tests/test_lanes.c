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

static enum fault on_choose(void *owner, unsigned index UNUSED,
                            const struct server_request *request)
{
    const struct far *far = owner;

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
    struct story *s = NEW(struct story);

    cluster_parse_kubeconfig = far_parse;
    s->batch.loop = loop_new();
    scene_open(&s->scene, &s->batch, s);
    s->scene.at = NEVER;
    s->scene.backoff_ms_max = 500;
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
    scene_fini(&s->scene);
    loop_free(s->batch.loop);
    mem_free(s);
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

TEST_MAIN()
