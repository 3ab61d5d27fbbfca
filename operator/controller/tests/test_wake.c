// SPDX-License-Identifier: Apache-2.0
// A controller that comes back to work: it gained its lease, sees again what it follows, or tries
// again what was refused.
#include <string.h>

#include "scene.h"

#define CONFIG "/apis/drawbridge.dev/v1alpha1/namespaces/a/draconfigurations/dra"
#define FAILURES 14 // after so many the back-off is minutes

struct story {
    struct scene scene;
    struct batch batch;
    enum fault fault; // of writes of its status
    unsigned most;    // of those that are refused
    unsigned refused;
    struct story_wait wait;
};

#include "story.h"

static char *story_tell(const struct story *s)
{
    return str_format("refused %u", s->refused);
}

static enum fault choose(void *owner, unsigned index, const struct server_request *request)
{
    struct story *s = owner;

    (void)index;
    if (s->refused >= s->most || !str_eq(request->method, "PATCH") ||
        !str_starts(request->target, CONFIG "/status"))
        return FAULT_NONE;
    s->refused++;
    return s->fault;
}

static void seed(struct story *s)
{
    fake_seed(s->scene.api, CONFIG,
              json_pack("{s:s, s:s, s:{s:{s:b}, s:{s:s}}}", "apiVersion", API_GROUP_VERSION, "kind",
                        "DRAConfiguration", "spec", "featureGates", "DynamicResourceAllocation", 1,
                        "platform", "type", "Observe"));
}

static unsigned refused_before;

static bool is_refused_once_more(const struct story *s)
{
    return s->refused > refused_before;
}

static bool is_told(const struct story *s)
{
    return condition(s, "Ready") != NULL;
}

// A change calls for a pass at once, and so the failures come fast.
static void fail(struct story *s)
{
    for (unsigned i = 0; i < FAILURES; i++) {
        refused_before = s->refused;
        fake_edit(s->scene.api, CONFIG,
                  json_pack("{s:{s:{s:o}}}", "metadata", "annotations",
                            "drawbridge.dev/reconcile-requested-at", json_sprintf("%u", i)));
        WAIT_FOR(s, is_refused_once_more);
    }
}

TEST(what_failed_while_it_was_away_does_not_make_it_wait_when_it_is_back)
{
    struct story *s = story_open();

    s->scene.backoff_ms_max = 3600000;
    s->scene.api->choose = choose;
    s->fault = FAULT_500;
    s->most = UINT32_MAX;
    seed(s);
    WAIT_FOR(s, is_refused_once_more);
    fail(s);
    // Its first pass fails too: the next one comes as soon as after a first failure.
    refused_before = s->refused;
    controller_wake(s->scene.controller);
    WAIT_FOR(s, is_refused_once_more);
    s->most = 0;
    WAIT_FOR(s, is_told);
    story_close(s);
}

// It may be the server that is behind: its CustomResourceDefinitions are older than the controller.
TEST(what_the_api_server_rejects_is_tried_again)
{
    struct story *s = story_open();

    s->scene.api->choose = choose;
    s->fault = FAULT_422;
    s->most = 3;
    seed(s);
    WAIT_FOR(s, is_told);
    CHECK_INT(s->refused, 3);
    story_close(s);
}

TEST_MAIN()
