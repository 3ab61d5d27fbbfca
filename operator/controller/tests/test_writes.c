// SPDX-License-Identifier: Apache-2.0
// On whose word something is deleted: that of the API server at the time, and not that of an old
// cache.
#include <unistd.h>

#include "sim.h"
#define UNTIL_OF struct sim
#include "testkit/until.h"

#define NODES "/api/v1/nodes/"
#define NODE_CONFIGS "/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/"

static unsigned deleted; // NodeDRAConfigurations of nodes that are gone

static void on_write(void *owner, const struct fake_path *path, const json_t *was,
                     const json_t *now)
{
    if (str_eq(path->object, NODE_CONFIGS "gone") && !now)
        deleted++;
    else
        sim_on_write(owner, path, was, now);
}

static json_t *node_config(void)
{
    return json_pack("{s:s, s:s, s:{s:i, s:[]}}", "apiVersion", API_GROUP_VERSION, "kind",
                     "NodeDRAConfiguration", "spec", "epoch", 1, "components");
}

static bool is_ready(const struct sim *sim)
{
    return str_eq(doc_str(fake_condition(sim->api, SIM_CONFIG, "Ready"), "status", NULL), "True");
}

static struct sim *start(void)
{
    struct sim_plan plan = {.name = "writes", .at = UINT32_MAX};
    struct sim *sim;

    alarm(120);
    log_set_level(LOG_ERROR);
    deleted = 0;
    sim = sim_new(loop_new(), &plan);
    sim->api->on_write = on_write;
    return sim;
}

static void stop(struct sim *sim)
{
    struct loop *loop = sim->loop;

    sim_free(sim);
    loop_free(loop);
}

TEST(the_configuration_of_a_node_that_the_list_lacks_stays_and_that_of_one_that_is_gone_goes)
{
    struct sim *sim = start();

    fake_seed(sim->api, NODES "cp-9", json_object());
    sim->api->hidden = NODES "cp-9";
    fake_seed(sim->api, NODE_CONFIGS "cp-9", node_config());
    fake_seed(sim->api, NODE_CONFIGS "gone", node_config());
    sim_start_controller(sim);
    until(sim, is_ready);
    CHECK(fake_get(sim->api, NODE_CONFIGS "cp-9"));
    CHECK(!fake_get(sim->api, NODE_CONFIGS "gone"));
    CHECK_INT(deleted, 1);
    stop(sim);
}

TEST_MAIN()
