// SPDX-License-Identifier: Apache-2.0
// Events of a roll-out: the first ones alone, then combined.
#include "drawbridge/walk.h"
#include "testkit/fake_api.h"

#include <string.h>

#define NODES 1000

struct bench {
    struct loop *loop;
    struct server *server;
    struct http *http;
    struct kube *kube;
    struct events *events;
    unsigned alone, combined, count; // count: of the similar events that were combined
    struct buf messages;
};

static void on_request(void *owner, struct server_conn *conn, const struct server_request *request)
{
    struct bench *bench = owner;
    AUTO_JSON json_t *event = NULL;
    const char *message;

    CHECK_OK(doc_parse_json(request->body, "event", &event));
    message = doc_str(event, "message", NULL);
    buf_printf(&bench->messages, "%s\n", message);
    if (str_starts(message, "(combined from")) {
        bench->combined++;
        bench->count += (unsigned)doc_int(event, 0, "count", NULL);
    } else {
        bench->alone++;
    }
    server_reply(conn, 201, "", "{}");
    if (bench->alone + bench->count >= NODES)
        loop_stop(bench->loop);
}

static struct bench *bench_new(void)
{
    struct bench *bench = NEW(struct bench);
    struct kube_config *config = NULL;
    AUTO_MEM char *path = test_path("kubeconfig");
    AUTO_MEM char *text = NULL;

    bench->loop = loop_new();
    bench->messages = buf_make((size_t)1 << 20);
    bench->server = server_new(bench->loop, on_request, bench);
    text = str_format("clusters: [{name: c, cluster: {server: \"%s\"}}]\nusers: []\n"
                      "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n",
                      server_url(bench->server));
    test_write(path, text);
    CHECK_OK(kube_config_load(path, NULL, &config));
    bench->http = http_new(bench->loop, "test");
    bench->kube = kube_new(bench->loop, bench->http, config);
    bench->events = events_new(bench->loop, bench->kube, "test", "host");
    return bench;
}

static void bench_free(struct bench *bench)
{
    events_free(bench->events);
    kube_free(bench->kube);
    http_free(bench->http);
    server_free(bench->server);
    buf_fini(&bench->messages);
    loop_free(bench->loop);
    mem_free(bench);
}

TEST(a_roll_out_of_a_thousand_nodes_makes_tens_of_events)
{
    struct bench *bench = bench_new();
    AUTO_JSON json_t *object =
        json_pack("{s:{s:s, s:s, s:s}}", "metadata", "namespace", "n", "name", "dra", "uid", "u");

    events_combine_ms = 20;
    for (unsigned i = 0; i < NODES; i++)
        events_emit(bench->events, object, false, "Updated", "node-%u", i);
    loop_run(bench->loop);
    CHECK_INT(bench->alone, 25);
    CHECK_INT(bench->combined, 1);
    CHECK_INT(bench->count, NODES - 25); // none is lost from the count
    CHECK_HAS(bench->messages.ptr, "node-24\n");
    CHECK_HAS(bench->messages.ptr, "(combined from 975 similar events) node-999");
    bench_free(bench);
}

TEST(another_reason_or_object_is_another_series)
{
    struct bench *bench = bench_new();
    AUTO_JSON json_t *object =
        json_pack("{s:{s:s, s:s, s:s}}", "metadata", "namespace", "n", "name", "dra", "uid", "u");

    events_combine_ms = 20;
    for (unsigned i = 0; i < NODES - 1; i++)
        events_emit(bench->events, object, false, "Updated", "node-%u", i);
    events_emit(bench->events, object, true, "RolledBack", "it did not come up");
    loop_run(bench->loop);
    CHECK_INT(bench->alone, 26);
    CHECK_HAS(bench->messages.ptr, "it did not come up\n");
    bench_free(bench);
}

TEST_MAIN()
