// SPDX-License-Identifier: Apache-2.0
// A kwok cluster: one NodeDRAConfiguration that is no node's, three components, and fake nodes.
#include "scene.h"

#define CONFIG "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/dra"
#define NODE_CONFIG "/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/kwok"

struct story {
    struct scene scene;
    struct batch batch;
    struct op *agent;
    struct story_wait wait;
};

#include "story.h"

static const json_t *asked(const struct story *s, const char *component)
{
    const json_t *entries =
        doc_get(fake_get(s->scene.api, NODE_CONFIG), "spec", "components", NULL);

    for (size_t i = 0; i < json_array_size(entries); i++) {
        if (str_eq(doc_str(json_array_get(entries, i), "name", NULL), component))
            return json_array_get(entries, i);
    }
    return NULL;
}

static json_t *report(const struct story *s, const char *component)
{
    const json_t *entry = asked(s, component);
    AUTO_JSON json_t *none = json_object();
    json_t *gates = doc_copy(entry ? json_object_get(entry, "featureGates") : none);
    json_t *runtime = doc_copy(
        json_object_get(entry, "runtimeConfig") ? json_object_get(entry, "runtimeConfig") : none);

    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:O, s:O, s:{s:o, s:o}, s:{s:b}}", "name",
                     component, "state", entry ? "UpToDate" : "Observed", "revision",
                     doc_str(entry, "revision", NULL), "version", "v1.33.13", "healthy", 1,
                     "featureGates", gates, "runtimeConfig", runtime, "owned", "featureGates",
                     gates, "runtimeConfig", runtime, "enabled", "DynamicResourceAllocation",
                     json_object_size(gates) > 0);
}

static void on_agent(void *owner)
{
    struct story *s = owner;
    const json_t *object = fake_get(s->scene.api, NODE_CONFIG);

    s->agent = NULL;
    if (!object)
        return;
    fake_edit(s->scene.api, NODE_CONFIG,
              json_pack("{s:{s:i, s:I, s:[o, o, o]}}", "status", "observedGeneration", 1, "epoch",
                        (json_int_t)doc_int(object, 0, "spec", "epoch", NULL), "components",
                        report(s, "kube-apiserver"), report(s, "kube-controller-manager"),
                        report(s, "kube-scheduler")));
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
    const json_t *runtime = json_object_get(asked(s, "kube-apiserver"), "runtimeConfig");

    if (str_starts(path, "/apis/resource.k8s.io/v1beta1/resourceclaims?"))
        return json_pack("{s:{}, s:[]}", "metadata", "items");
    if (str_eq(path, "/apis/resource.k8s.io") && json_object_size(runtime) > 0)
        return json_pack("{s:[{s:s}]}", "versions", "version", "v1beta1");
    return scene_on_page(NULL, path);
}

static struct story *story_new(void)
{
    struct story *s = NEW(struct story);

    s->batch.loop = loop_new();
    scene_open(&s->scene, &s->batch, s);
    s->scene.at = NEVER;
    s->scene.backoff_ms_max = 1000;
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
    scene_fini(&s->scene);
    loop_free(s->batch.loop);
    mem_free(s);
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
    CHECK(doc_get(asked(s, "kube-scheduler"), "featureGates", "DynamicResourceAllocation", NULL));
    CHECK_STR(doc_str(fake_get(s->scene.api, CONFIG), "status", "platform", NULL), "Kwok");
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(!fake_get(s->scene.api, NODE_CONFIG)); // which stays until all is taken out
    CHECK(strstr(s->scene.api->log.ptr, "DELETE " NODE_CONFIG));
    story_free(s);
}

TEST_MAIN()
