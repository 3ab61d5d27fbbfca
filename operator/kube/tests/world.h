// SPDX-License-Identifier: Apache-2.0
// For tests of rooms that talk to an API server: loop, client and a scripted server in one, and
// what the last answer was.
#pragma once

#include "drawbridge/kube.h"

#include "testkit/server.h"
#include "testkit/test.h"

#include <string.h>

struct world {
    struct loop *loop;
    struct http *http;
    struct server *server;
    struct kube *kube;
    struct op *op, *timer;
    struct error *err;
    json_t *body;
    unsigned done;
    struct server_conn *conn;            // the last one that asked, NULL when gone
    char *target, *method, *head, *sent; // of the last request
    server_fn *script;
    void *script_owner;
    unsigned step; // of the script: requests before this one
};

static inline void world_on_request(void *owner, struct server_conn *conn,
                                    const struct server_request *request)
{
    struct world *world = owner;
    mem_free(world->target);
    mem_free(world->method);
    mem_free(world->head);
    mem_free(world->sent);
    world->target = str_dup(request->target);
    world->method = str_dup(request->method);
    world->head = str_dup(request->head);
    world->sent = slice_dup(request->body);
    world->conn = conn;
    world->step = server_requests(world->server) - 1;
    world->script(world->script_owner ? world->script_owner : world, conn, request);
}

static inline void world_on_close(void *owner, struct server_conn *conn)
{
    struct world *world = owner;
    if (world->conn == conn)
        world->conn = NULL;
}

static inline struct kube *world_kube(struct world *world, const char *user)
{
    AUTO_MEM char *path = test_path("kubeconfig");
    AUTO_MEM char *text =
        str_format("clusters: [{name: c, cluster: {server: \"%s\", proxy-url: \"\"}}]\n"
                   "users: [{name: u, user: %s}]\n"
                   "contexts: [{name: x, context: {cluster: c, user: u, namespace: here}}]\n"
                   "current-context: x\n",
                   server_url(world->server), user);
    test_write(path, text);
    struct kube_config *config = NULL;
    CHECK_OK(kube_config_load(path, NULL, &config));
    return kube_new(world->loop, world->http, config);
}

static inline struct world *world_new(server_fn *script)
{
    struct world *world = NEW(struct world);
    world->loop = loop_new();
    world->http = http_new(world->loop, "drawbridge-test");
    world->server = server_new(world->loop, world_on_request, world);
    server_on_close(world->server, world_on_close);
    world->script = script;
    world->kube = world_kube(world, "{token: sesame}");
    return world;
}

static inline void world_free(struct world *world)
{
    world->op = op_drop(world->op);
    world->timer = op_drop(world->timer);
    kube_free(world->kube);
    CHECK_INT(http_in_flight(world->http), 0);
    http_free(world->http);
    server_free(world->server);
    loop_free(world->loop);
    error_free(world->err);
    json_decref(world->body);
    mem_free(world->target);
    mem_free(world->method);
    mem_free(world->head);
    mem_free(world->sent);
    mem_free(world);
}

static inline void world_on_done(void *owner, struct error *take_err, json_t *take_body)
{
    struct world *world = owner;
    world->op = NULL;
    world->done++;
    error_free(world->err);
    json_decref(world->body);
    world->err = take_err;
    world->body = take_body;
    loop_stop(world->loop);
}

static inline void world_on_stop(void *owner)
{
    struct world *world = owner;
    world->timer = NULL;
    loop_stop(world->loop);
}

static inline void world_run_for(struct world *world, uint64_t ms)
{
    world->timer = loop_sleep(world->loop, ms, world_on_stop, world);
    loop_run(world->loop);
    world->timer = op_drop(world->timer);
}

// The op that is out: runs until it is done.
static inline void world_wait(struct world *world, struct op *op)
{
    world->op = op;
    while (world->op)
        loop_run(world->loop);
}
