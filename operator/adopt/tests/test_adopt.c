// SPDX-License-Identifier: Apache-2.0
// A KubermaticConfiguration before the fake API server: its DRAConfiguration, and its conditions.
#include "drawbridge/adopt.h"
#include "drawbridge/api.h"

#include "testkit/fake_api.h"

#define DEFINITION                                                                                 \
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"                                     \
    "kubermaticconfigurations.kubermatic.k8c.io"
#define KUBERMATIC "/apis/kubermatic.k8c.io/v1/namespaces/k/kubermaticconfigurations/one"
#define CONFIG "/apis/drawbridge.dev/v1alpha1/namespaces/k/draconfigurations/one"

struct story {
    struct loop *loop;
    struct http *http;
    struct fake_api *api;
    struct kube *kube;
    struct watch *configs;
    struct adopter *adopter;
    bool may_write;
    unsigned asked; // whether it may write
};

#include "testkit/until.h"

static bool may_write(void *owner)
{
    struct story *s = owner;

    s->asked++;
    return s->may_write;
}

static void on_config(void *owner, const char *key, const json_t *was UNUSED,
                      const json_t *now UNUSED)
{
    const struct story *s = owner;

    adopter_note_config(s->adopter, key);
}

static void on_synced(void *owner)
{
    const struct story *s = owner;

    adopter_wake(s->adopter);
}

static void seed(struct story *s)
{
    fake_seed(s->api, DEFINITION,
              json_pack("{s:{s:{s:s}}, s:{s:[{s:s, s:s}]}}", "metadata", "labels",
                        "app.kubernetes.io/name", "drawbridge", "status", "conditions", "type",
                        "Established", "status", "True"));
    fake_seed(s->api, KUBERMATIC,
              json_pack("{s:s, s:s, s:{s:{s:b}}}", "apiVersion", "kubermatic.k8c.io/v1", "kind",
                        "KubermaticConfiguration", "spec", "featureGates",
                        "DynamicResourceAllocation", 1));
}

static struct story *story_new(bool may)
{
    struct story *s = NEW(struct story);
    struct watch_spec configs = {
        .ref = {.group = API_GROUP, .version = API_VERSION, .resource = "draconfigurations"},
        .on_change = on_config,
        .on_sync = on_synced,
        .owner = s};
    struct adopter_spec adopter = {.may_write = may_write, .owner = s};

    s->may_write = may;
    s->loop = loop_new();
    s->http = http_new(s->loop, "test");
    s->api = fake_api_new(s->loop, s);
    s->kube = fake_kube(s->loop, s->http, s->api);
    seed(s);
    configs.kube = adopter.kube = s->kube;
    adopter.configs = s->configs = watch_new(s->loop, &configs);
    s->adopter = adopter_new(s->loop, &adopter);
    return s;
}

static void story_free(struct story *s)
{
    adopter_free(s->adopter);
    watch_free(s->configs);
    kube_free(s->kube);
    fake_api_free(s->api);
    http_free(s->http);
    loop_free(s->loop);
    mem_free(s);
}

static bool is_there(const struct story *s)
{
    return fake_get(s->api, CONFIG) != NULL;
}

static bool is_refused(const struct story *s)
{
    return s->asked > 0 && watch_synced(s->configs);
}

static bool is_mirrored(const struct story *s)
{
    return fake_condition(s->api, KUBERMATIC, "Ready") != NULL;
}

static bool is_on(const struct story *s)
{
    return doc_bool(fake_get(s->api, CONFIG), false, "spec", "featureGates", "ImageVolume", NULL);
}

static json_t *status_of(int generation)
{
    return json_pack("{s:{s:i, s:[{s:s, s:s, s:s, s:s, s:s, s:i}]}}", "status",
                     "observedGeneration", generation, "conditions", "type", "Ready", "status",
                     "True", "reason", "AsExpected", "message", "", "lastTransitionTime",
                     FAKE_CREATED, "observedGeneration", generation);
}

TEST(its_gates_become_those_of_a_configuration_whose_conditions_it_gets)
{
    struct story *s = story_new(true);
    const json_t *ready;

    until(s, is_there);
    CHECK(doc_bool(fake_get(s->api, CONFIG), false, "spec", "featureGates",
                   "DynamicResourceAllocation", NULL));
    CHECK(!is_mirrored(s));
    fake_edit(s->api, KUBERMATIC,
              json_pack("{s:{s:{s:b}}}", "spec", "featureGates", "ImageVolume", 1));
    until(s, is_on);
    fake_edit(s->api, CONFIG, status_of(2));
    until(s, is_mirrored);
    ready = fake_condition(s->api, KUBERMATIC, "Ready");
    CHECK_STR(doc_str(ready, "status", NULL), "True");
    CHECK_INT(doc_int(ready, 0, "observedGeneration", NULL), 2); // the mirror's own
    story_free(s);
}

TEST(nothing_is_written_before_it_may_be_and_then_it_is)
{
    struct story *s = story_new(false);

    until(s, is_refused);
    CHECK(!is_there(s));
    s->may_write = true;
    adopter_wake(s->adopter);
    until(s, is_there);
    story_free(s);
}

TEST_MAIN()
