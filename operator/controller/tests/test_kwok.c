// SPDX-License-Identifier: Apache-2.0
// A kwok cluster: one NodeDRAConfiguration that is no node's, three components, and fake nodes.
#include "fleet.h"
#include "scene.h"

#define CONFIG "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/dra"
#define NODE_CONFIG NODE_CONFIGS "kwok"

struct story {
    struct scene scene;
    struct batch batch;
    struct op *agent;
    struct story_wait wait;
};

#include "story.h"

static void on_agent(void *owner)
{
    struct story *s = owner;
    struct fake_api *api = s->scene.api;

    s->agent = NULL;
    if (fake_get(api, NODE_CONFIG))
        fleet_say(api, "kwok", doc_int(fake_get(api, NODE_CONFIG), 0, "spec", "epoch", NULL),
                  json_pack("[o, o, o]", fleet_report(api, "kwok", "kube-apiserver"),
                            fleet_report(api, "kwok", "kube-controller-manager"),
                            fleet_report(api, "kwok", "kube-scheduler")));
}

static void on_write(void *owner, const struct fake_path *path, const json_t *was UNUSED,
                     const json_t *now UNUSED)
{
    struct story *s = owner;

    if (str_eq(path->object, NODE_CONFIG) && !s->agent)
        s->agent = loop_sleep(s->scene.loop, 2, on_agent, s);
}

static json_t *on_page(void *owner, const char *path)
{
    const struct story *s = owner;
    const json_t *runtime =
        json_object_get(fleet_asked(s->scene.api, "kwok", "kube-apiserver"), "runtimeConfig");

    if (str_starts(path, "/apis/resource.k8s.io/v1beta1/resourceclaims?"))
        return json_pack("{s:{}, s:[]}", "metadata", "items");
    if (str_eq(path, "/apis/resource.k8s.io") && json_object_size(runtime) > 0)
        return json_pack("{s:[{s:s}]}", "versions", "version", "v1beta1");
    return scene_on_page(NULL, path);
}

static struct story *story_new(void)
{
    struct story *s = story_open();

    strlist_add(&s->scene.governing, "default");
    s->scene.api->on_write = on_write;
    s->scene.api->on_page = on_page;
    fake_seed(s->scene.api, "/api/v1/nodes/node-0",
              json_pack("{s:{s:{s:s}}, s:{s:{s:s}}}", "metadata", "annotations",
                        "kwok.x-k8s.io/node", "fake", "status", "nodeInfo", "kubeletVersion",
                        "v1.33.13"));
    fake_seed(s->scene.api, CONFIG,
              json_pack("{s:s, s:s, s:{}, s:{s:{s:b}, s:s, s:{s:s}, s:{s:s}}}", "apiVersion",
                        API_GROUP_VERSION, "kind", "DRAConfiguration", "metadata", "spec",
                        "featureGates", "DynamicResourceAllocation", 1, "deletionPolicy", "Revert",
                        "platform", "type", "Kwok", "rollout", "minReady", "0s"));
    return s;
}

static void story_free(struct story *s)
{
    op_drop(s->agent);
    story_close(s);
}

static char *story_tell(const struct story *s)
{
    (void)s;
    return str_dup("");
}

TEST(on_and_reverted)
{
    struct story *s = story_new();

    WAIT_FOR(s, is_ready);
    CHECK_STR(doc_str(condition(s, "NodesUpdated"), "reason", NULL), "NoManagedNodes");
    CHECK(strstr(doc_str(condition(s, "NodesUpdated"), "message", NULL), "1 (node-0: fake)"));
    CHECK_STR(
        doc_str(fake_get(s->scene.api, NODE_CONFIG), "metadata", "labels", API_LABEL_SITE, NULL),
        "kwok");
    CHECK(doc_get(fleet_asked(s->scene.api, "kwok", "kube-scheduler"), "featureGates",
                  "DynamicResourceAllocation", NULL));
    CHECK_STR(doc_str(fake_get(s->scene.api, CONFIG), "status", "platform", NULL), "Kwok");
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(!fake_get(s->scene.api, NODE_CONFIG)); // which stays until all is taken out
    CHECK(strstr(s->scene.api->log.ptr, "DELETE " NODE_CONFIG));
    story_free(s);
}

TEST_MAIN()
