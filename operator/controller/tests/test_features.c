// SPDX-License-Identifier: Apache-2.0
// What status.features says of a feature on its way, and what proves it.
#include <unistd.h>

#include "sim.h"

struct wait {
    struct loop *loop;
    struct sim *sim;
    const char *wanted; // "DeviceTaints On: words", or how it begins; "" none is told of
    size_t index;
};

#define UNTIL_OF struct wait
#include "testkit/until.h"

static struct sim *start(void)
{
    struct sim_plan plan = {.name = "features", .at = UINT32_MAX};
    struct sim *sim;

    alarm(120);
    log_set_level(LOG_ERROR);
    sim = sim_new(loop_new(), &plan);
    sim_start_controller(sim);
    return sim;
}

static void stop(struct sim *sim)
{
    struct loop *loop = sim->loop;

    sim_free(sim);
    loop_free(loop);
}

static bool is_said(const struct wait *wait)
{
    const json_t *config = fake_get(wait->sim->api, SIM_CONFIG);
    const json_t *list = doc_get(config, "status", "features", NULL);
    const json_t *feature = json_array_get(list, wait->index);
    AUTO_MEM char *said =
        str_format("%s %s: %s", doc_str(feature, "name", NULL), doc_str(feature, "state", NULL),
                   doc_str(feature, "message", NULL));

    return doc_int(config, -1, "status", "observedGeneration", NULL) ==
               doc_int(config, 0, "metadata", "generation", NULL) &&
           (*wait->wanted ? str_starts(said, wait->wanted) : !list);
}

static void wait_until(struct sim *sim, size_t index, const char *wanted)
{
    struct wait wait = {sim->loop, sim, wanted, index};

    until(&wait, is_said);
}

static void ask_for(struct sim *sim, json_t *take_features)
{
    fake_edit(sim->api, SIM_CONFIG,
              json_pack("{s:{s:o, s:b}}", "spec", "features", take_features, "allowAlpha", 1));
}

static void claim(struct sim *sim, const char *state)
{
    sim->parts[COMPONENT_SCHEDULER].claim = state;
    sim->parts[COMPONENT_SCHEDULER].reason = "ManifestInvalid";
    sim_wake_agent(sim);
}

TEST(a_feature_is_told_from_the_first_wish_to_the_last)
{
    struct sim *sim = start();

    claim(sim, "Unreadable");
    ask_for(sim, json_pack("[s]", "DeviceTaints"));
    wait_until(sim, 0,
               "DeviceTaints RollingOut: kube-apiserver on cp-1 reports DRADeviceTaints off");
    claim(sim, NULL);
    wait_until(sim, 0,
               "DeviceTaints On: DRADeviceTaints, DynamicResourceAllocation on, as kube-apiserver, "
               "kube-controller-manager, kube-scheduler, kubelet report; resource.k8s.io/v1beta1 "
               "served");
    CHECK(json_is_true(json_object_get(sim->parts[COMPONENT_SCHEDULER].gates, "DRADeviceTaints")));
    // One that 1.33 does not have is refused, and the other one still told of.
    ask_for(sim, json_pack("[s,s]", "DeviceTaints", "ConsumableCapacity"));
    wait_until(sim, 1, "ConsumableCapacity Unavailable: ");
    wait_until(sim, 0, "DeviceTaints On: ");
    ask_for(sim, json_null());
    wait_until(sim, 0, "");
    stop(sim);
}

TEST_MAIN()
