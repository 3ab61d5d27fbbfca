// SPDX-License-Identifier: Apache-2.0
// A controller before the fake API server, and what happens to it at one of its requests: that one
// fails, or the controller is killed. Many of them run at once on one loop, as most of their time
// is waiting.
#pragma once

#include "drawbridge/controller.h"

#include "testkit/fake_api.h"
#include "controller_internal.h"

#define NEVER UINT32_MAX

struct batch {
    struct loop *loop;
    unsigned running;
};

struct scene {
    struct batch *batch;
    unsigned at; // the request at which it happens; none: NEVER
    enum fault fault;
    bool kill;
    bool fence; // the lease is lost there, and nobody tells the pass
    uint64_t backoff_ms_max;
    struct loop *loop;
    struct http *http;
    struct kube *kube;
    struct fake_api *api; // its owner is the story
    struct controller *controller;
    struct op *tick, *dying;
    struct strlist governing, reach, look; // what the administrator lists
    const char *helm, *helm_dir, *helm_account;
    struct metrics *metrics; // borrowed; NULL: nobody counts
};

// See story.h.
struct story;
typedef bool story_fn(const struct story *s);
struct story_wait {
    story_fn *until;
    const char *what;
    unsigned ticks;
};

FAKE json_t *scene_on_page(void *owner, const char *path)
{
    (void)owner;
    return str_eq(path, "/version") ? json_pack("{s:s}", "gitVersion", "v1.33.13") : NULL;
}

// scene: what happens, and when. The rest of the API server's hooks are the caller's to set.
FAKE void scene_open(struct scene *scene, struct batch *batch, void *story)
{
    scene->batch = batch;
    scene->loop = batch->loop;
    scene->http = http_new(scene->loop, "test");
    scene->api = fake_api_new(scene->loop, story);
    scene->api->on_page = scene_on_page;
    scene->kube = fake_kube(scene->loop, scene->http, scene->api);
    batch->running++;
}

FAKE void scene_start_controller(struct scene *scene)
{
    struct controller_spec spec = {
        .kube = scene->kube,
        .table = gates_table_builtin(),
        .lease_namespace = "drawbridge-system",
        .governing_namespaces = &scene->governing,
        .reach = &scene->reach,
        .look = &scene->look,
        .identity = "story",
        .backoff_ms_max = scene->backoff_ms_max,
        .helm = scene->helm,
        .helm_dir = scene->helm_dir,
        .helm_account = scene->helm_account,
        .helm_timeout_ms = 20000,
        .chart_root = "/charts",
        .smoke_test_namespace = "smoke",
        .smoke_test_timeout_ms = 20000,
        .metrics = scene->metrics,
    };

    scene->controller = controller_new(scene->loop, &spec);
}

FAKE void scene_on_dying(void *owner)
{
    struct scene *scene = owner;

    scene->dying = NULL;
    controller_free(TAKE(scene->controller));
    scene_start_controller(scene);
}

// This request is the one.
FAKE enum fault scene_strike(struct scene *scene)
{
    if (scene->fence) {
        scene->controller->stop = true; // controller_may_write() says no
        fake_fence(scene->api, http_in_flight(scene->http));
        return FAULT_NONE;
    }
    if (scene->kill && !scene->dying)
        scene->dying = loop_defer(scene->loop, scene_on_dying, scene);
    return scene->fault;
}

// Nothing was asked for a while after the lease was lost.
FAKE bool scene_is_fenced(const struct scene *scene)
{
    return scene->api->fenced && clock_ms() - scene->api->asked_ms >= 400;
}

// The story is over; the last one ends the batch.
FAKE void scene_close(struct scene *scene)
{
    scene->tick = op_drop(scene->tick);
    if (--scene->batch->running == 0)
        loop_stop(scene->loop);
}

FAKE void scene_fini(struct scene *scene)
{
    op_drop(scene->tick);
    op_drop(scene->dying);
    controller_free(scene->controller);
    kube_free(scene->kube);
    fake_api_free(scene->api);
    http_free(scene->http);
    strlist_fini(&scene->governing);
    strlist_fini(&scene->reach);
    strlist_fini(&scene->look);
}
