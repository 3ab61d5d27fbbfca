// SPDX-License-Identifier: Apache-2.0
// The agent before the fake API server: a spec that its node cannot take is told in the status, and
// tried again.
#include <sys/stat.h>

#include "drawbridge/agent.h"
#include "drawbridge/node.h"

#include "testkit/fake_api.h"

#define NODE_OBJECT "/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/n-1"

struct story {
    struct loop *loop;
    struct http *http;
    struct fake_api *api;
    struct kube *kube;
    struct node *node;
    struct agent *agent;
};

#include "testkit/until.h"

static const json_t *status_of(const struct story *s)
{
    return json_object_get(fake_get(s->api, NODE_OBJECT), "status");
}

static json_t *spec_of(int epoch)
{
    return json_pack("{s:{s:i, s:[]}}", "spec", "epoch", epoch, "components");
}

static void on_change(void *owner)
{
    struct story *s = owner;

    if (s->agent)
        agent_note_change(s->agent);
}

static struct story *story_new(int epoch)
{
    struct story *s = NEW(struct story);
    AUTO_MEM char *manifests = test_path("manifests");
    AUTO_MEM char *config = test_path("config.yaml");
    AUTO_MEM char *state = test_path("state");
    struct node_spec node = {
        .paths = {.manifests_dir = manifests, .kubelet_config = config, .state_dir = state},
        .node_name = "n-1",
        .table = gates_table_builtin(),
        .on_change = on_change,
        .owner = s,
    };
    struct agent_spec agent = {.node_name = "n-1"};

    CHECK(mkdir(manifests, 0755) == 0);
    s->loop = loop_new();
    s->http = http_new(s->loop, "test");
    s->api = fake_api_new(s->loop, s);
    s->kube = fake_kube(s->loop, s->http, s->api);
    fake_seed(s->api, NODE_OBJECT, spec_of(epoch));
    node.http = s->http;
    CHECK_OK(node_new(s->loop, &node, &s->node));
    agent.kube = s->kube;
    agent.node = s->node;
    s->agent = agent_new(s->loop, &agent);
    return s;
}

static void story_free(struct story *s)
{
    agent_free(s->agent);
    node_free(s->node);
    kube_free(s->kube);
    fake_api_free(s->api);
    http_free(s->http);
    loop_free(s->loop);
    mem_free(s);
}

static bool took_5(const struct story *s)
{
    return doc_int(status_of(s), 0, "epoch", NULL) == 5 &&
           !json_object_get(status_of(s), "refused");
}

static bool took_6(const struct story *s)
{
    return doc_int(status_of(s), 0, "epoch", NULL) == 6 &&
           !json_object_get(status_of(s), "refused");
}

static bool is_refused(const struct story *s)
{
    return json_object_get(status_of(s), "refused") != NULL;
}

TEST(a_spec_of_an_older_epoch_is_refused_with_a_word_and_a_newer_one_taken)
{
    struct story *s = story_new(5);

    until(s, took_5);
    fake_edit(s->api, NODE_OBJECT, spec_of(3));
    until(s, is_refused);
    CHECK_STR(doc_str(status_of(s), "refused", "reason", NULL), "StaleEpoch");
    CHECK_STR(doc_str(status_of(s), "refused", "message", NULL),
              "epoch 3 is older than 5, which was seen here");
    CHECK_INT(doc_int(status_of(s), 0, "epoch", NULL), 5);
    fake_edit(s->api, NODE_OBJECT, spec_of(6));
    until(s, took_6);
    story_free(s);
}

// One of a newer controller, say.
TEST(a_spec_that_the_agent_cannot_read_is_told_and_the_next_one_taken)
{
    struct story *s = story_new(5);

    until(s, took_5);
    fake_edit(s->api, NODE_OBJECT,
              json_pack("{s:{s:i, s:[{s:s}]}}", "spec", "epoch", 6, "components", "name", "etcd"));
    until(s, is_refused);
    CHECK_STR(doc_str(status_of(s), "refused", "reason", NULL), "InvalidConfiguration");
    CHECK_HAS(doc_str(status_of(s), "refused", "message", NULL), "unknown or repeated name");
    fake_edit(s->api, NODE_OBJECT, spec_of(6));
    until(s, took_6);
    story_free(s);
}

TEST(a_spec_that_was_refused_is_no_reason_to_refuse_the_one_before)
{
    struct story *s = story_new(5);

    until(s, took_5);
    fake_edit(s->api, NODE_OBJECT, spec_of(3));
    until(s, is_refused);
    fake_edit(s->api, NODE_OBJECT, spec_of(5));
    until(s, took_5);
    story_free(s);
}

TEST_MAIN()
