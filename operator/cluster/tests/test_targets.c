// SPDX-License-Identifier: Apache-2.0
// Targets before a server that never answers: how they are begun.
#include "drawbridge/cluster.h"

#include "testkit/server.h"
#include "testkit/test.h"

#define TARGETS 12U

static struct op *tick;
static struct loop *loop;

static void on_request(void *owner UNUSED, struct server_conn *conn UNUSED,
                       const struct server_request *request UNUSED)
{
}

static void on_change(void *owner UNUSED, const char *key UNUSED, uint64_t hold_ms UNUSED)
{
}

static void on_name(void *owner UNUSED, const char *key UNUSED)
{
}

static void on_tick(void *owner UNUSED)
{
    tick = NULL;
    loop_stop(loop);
}

static struct kube *open_kube(struct http *http, const char *url)
{
    AUTO_MEM char *path = test_path("kubeconfig");
    AUTO_MEM char *text = str_format("clusters: [{name: c, cluster: {server: \"%s\", proxy-url: "
                                     "\"\"}}]\nusers: [{name: u, user: {token: sesame}}]\n"
                                     "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
                                     "current-context: x\n",
                                     url);
    struct kube_config *config = NULL;

    test_write(path, text);
    CHECK_OK(kube_config_load(path, NULL, &config));
    return kube_new(loop, http, config);
}

// Each begins with handshakes, which take the time of everything else.
TEST(of_many_targets_one_is_begun_after_the_other)
{
    struct server *server;
    struct http *http;
    struct kube *kube;
    struct cluster_targets *targets;
    struct cluster_targets_spec spec = {.on_change = on_change, .on_name = on_name};
    unsigned most = 0;

    loop = loop_new();
    server = server_new(loop, on_request, NULL);
    http = http_new(loop, "test");
    kube = open_kube(http, server_url(server));
    spec.loop = loop;
    spec.home = kube;
    targets = cluster_targets_new(&spec);
    for (unsigned i = 0; i < TARGETS; i++) {
        AUTO_MEM char *name = str_format("t%u", i);

        AUTO_CLUSTER_WAY struct cluster_way way = {.namespace = str_dup("default"),
                                                   .name = str_dup(name),
                                                   .key = str_dup("value"),
                                                   .field = "test"};

        cluster_targets_note(targets, name, &way);
        CHECK(cluster_targets_begin(targets, name));
    }
    CHECK_INT(http_in_flight(http), 1); // which cluster it is itself
    while (http_in_flight(http) < TARGETS + 1) {
        unsigned before = http_in_flight(http);
        uint64_t turns = loop_turns(loop);

        tick = loop_sleep(loop, 1, on_tick, NULL);
        loop_run(loop);
        if (loop_turns(loop) - turns <= 2 && http_in_flight(http) - before > most)
            most = http_in_flight(http) - before;
    }
    CHECK(most <= 1);
    for (unsigned i = 0; i < TARGETS; i++) {
        AUTO_MEM char *name = str_format("t%u", i);

        cluster_targets_note(targets, name, NULL);
    }
    CHECK_INT(http_in_flight(http), 1);
    cluster_targets_free(targets);
    kube_free(kube);
    http_free(http);
    server_free(server);
    loop_free(loop);
}

TEST_MAIN()
