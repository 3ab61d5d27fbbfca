// SPDX-License-Identifier: Apache-2.0
// A cluster for tests, as a server gives it out: what a platform takes it for.
#pragma once

#include "drawbridge/platform.h"

#include "kube/tests/world.h"

struct place {
    struct world *world;
    struct cluster cluster;
    json_t *nodes, *pods, *configs, *maps; // arrays; maps: name → object
    unsigned watchers;
    struct platform_observed *observed;
    struct error *err;
    bool done;
};

UNUSED static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

UNUSED static void reply_list(struct server_conn *conn, json_t *items)
{
    AUTO_JSON json_t *list =
        json_pack("{s:{s:s}, s:O}", "metadata", "resourceVersion", "7", "items", items);
    AUTO_MEM char *text = doc_print_json(list);

    server_reply(conn, 200, "", text);
}

UNUSED static void on_request(void *owner, struct server_conn *conn,
                              const struct server_request *request)
{
    struct place *c = owner;
    const char *map = strrchr(request->target, '/') + 1;

    if (strstr(request->target, "watch=true")) {
        server_begin(conn, 200, "");
        c->watchers++;
    } else if (strstr(request->target, "limit=")) {
        reply_list(conn, strstr(request->target, "/nodes?")  ? c->nodes
                         : strstr(request->target, "/pods?") ? c->pods
                                                             : c->configs);
    } else if (str_eq(request->target, "/version")) {
        server_reply(conn, 200, "", "{\"gitVersion\":\"v1.33.13\"}");
    } else if (json_object_get(c->maps, map)) {
        AUTO_MEM char *text = doc_print_json(json_object_get(c->maps, map));

        server_reply(conn, 200, "", text);
    } else {
        server_reply(conn, 404, "", "{\"kind\":\"Status\",\"message\":\"no\"}");
    }
}

UNUSED static struct place *place_new(void)
{
    struct place *c = NEW(struct place);

    c->world = world_new(on_request);
    c->world->script_owner = c;
    c->cluster.kube = c->world->kube;
    c->nodes = json_array();
    c->pods = json_array();
    c->configs = json_array();
    c->maps = json_object();
    return c;
}

UNUSED static struct watch *follow(struct place *c, const char *resource,
                                   json_t *(*trim)(const json_t *))
{
    struct watch_spec spec = {.kube = c->world->kube,
                              .ref = {.group = "", .version = "v1", .resource = resource},
                              .trim = trim};

    return watch_new(c->world->loop, &spec);
}

UNUSED static void cluster_open(struct place *c)
{
    c->cluster.nodes = follow(c, "nodes", cluster_trim_node);
    c->cluster.pods = follow(c, "pods", cluster_trim_pod);
    c->cluster.node_configs = follow(c, "nodedraconfigurations", NULL);
    while (c->watchers < 3)
        world_run_for(c->world, 5);
}

UNUSED static void place_free(struct place *c)
{
    watch_free(c->cluster.nodes);
    watch_free(c->cluster.pods);
    watch_free(c->cluster.node_configs);
    platform_observed_free(c->observed);
    error_free(c->err);
    world_free(c->world);
    json_decref(c->nodes);
    json_decref(c->pods);
    json_decref(c->configs);
    json_decref(c->maps);
    mem_free(c);
}

UNUSED static void on_observed(void *owner, struct error *take_err,
                               struct platform_observed *take_observed)
{
    struct place *c = owner;

    c->world->op = NULL;
    c->done = true;
    c->err = take_err;
    c->observed = take_observed;
    loop_stop(c->world->loop);
}

UNUSED static void observe(struct place *c, enum platform_type wanted)
{
    struct platform_target target = {.type = wanted, .namespace = "default"};

    c->world->op = platform_observe(c->world->loop, &c->cluster, &target, on_observed, c);
    while (!c->done)
        loop_run(c->world->loop);
}

UNUSED static const struct plan_instance *find(const struct place *c, const char *id)
{
    for (size_t i = 0; i < c->observed->len; i++) {
        if (str_eq(c->observed->instances[i].id, id))
            return &c->observed->instances[i];
    }
    return NULL;
}
