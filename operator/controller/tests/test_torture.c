// SPDX-License-Identifier: Apache-2.0
// The whole story of a DRAConfiguration, from apply to deletion, with something going wrong at each
// of its requests in turn: it must end the same, touch nothing of others, keep the order, and be
// quiet afterwards.
#include <stdlib.h>
#include <unistd.h>

#include "drawbridge/site.h"
#include "sim.h"

#define QUIET_MS 1000       // without a request but watches and the Lease
#define QUIET_LONG_MS 6500  // longer than any poll of a controller that has nothing to do
#define QUIET_FENCED_MS 400 // what a pass has left to ask comes at once
#define TICK_MS 50
#define STUCK_TICKS 700 // looks in a row without a request: on a busy machine seconds say little
#define MOST_REQUESTS_MORE 400
#define BATCH 80 // stories at once
#define READS 18 // one of so many requests that change nothing, unless all are wanted

#define EDITED_NAME "mine # and a comment"

// --- faults --------------------------------------------------------------------------------------

static void on_restart(void *owner)
{
    struct sim *sim = owner;

    sim->restart = NULL;
    sim_start_controller(sim);
}

// As a SIGKILL: nothing is said to anybody, and what is on its way is lost.
static void on_kill(void *owner)
{
    struct sim *sim = owner;

    sim->kill = NULL;
    controller_free(TAKE(sim->controller));
    sim->restart = loop_sleep(sim->loop, 1, on_restart, sim);
}

static uint64_t next_random(struct sim *sim)
{
    sim->random = sim->random * 6364136223846793005U + 1442695040888963407U;
    return sim->random >> 33;
}

static void edit_as_somebody(struct sim *sim)
{
    if (sim->edited)
        return;
    sim->edited = true;
    sim_edit_maps(sim, "kubernetes\n", "cluster.local", EDITED_NAME "\n");
}

// A bad day: any request may fail in any way, the controller may die, somebody edits. Watches pause
// longer each time, so they are spared after a few.
static enum fault choose_at_random(struct sim *sim, const struct server_request *request)
{
    bool collection = strstr(request->target, "resourceVersion=") != NULL;
    uint64_t dice = next_random(sim) % 100;

    if (sim->faults >= 40 || dice >= 20)
        return FAULT_NONE;
    if (collection && sim->collection_faults++ > 6)
        return FAULT_NONE;
    sim->faults++;
    if (dice == 0 && !sim->kill && !sim->restart && sim->kills++ < 5) {
        sim->kill = loop_defer(sim->loop, on_kill, sim);
        return next_random(sim) % 2 ? FAULT_MUTE : FAULT_MUTE_AFTER;
    }
    if (dice == 1)
        edit_as_somebody(sim);
    return (enum fault)(FAULT_500 + next_random(sim) % (FAULT_MUTE - FAULT_500));
}

static enum fault choose(void *owner, unsigned index, const struct server_request *request)
{
    struct sim *sim = owner;

    sim->most_in_flight = http_in_flight(sim->http) > sim->most_in_flight
                              ? http_in_flight(sim->http)
                              : sim->most_in_flight;
    if (sim->plan.seed)
        return choose_at_random(sim, request);
    if (index != sim->plan.at)
        return FAULT_NONE;
    if (sim->plan.edit)
        edit_as_somebody(sim);
    if (sim->plan.fence) {
        sim->controller->stop = true; // controller_may_write() says no
        fake_fence(sim->api, http_in_flight(sim->http));
    }
    if (sim->plan.kill)
        sim->kill = loop_defer(sim->loop, on_kill, sim);
    return sim->plan.fault;
}

// --- what must hold in the end -------------------------------------------------------------------

static const json_t *condition_of(const struct sim *sim, const char *type)
{
    return fake_condition(sim->api, SIM_CONFIG, type);
}

static bool is_ready(const struct sim *sim)
{
    const json_t *config = fake_get(sim->api, SIM_CONFIG);
    const json_t *ready = condition_of(sim, "Ready");

    return str_eq(doc_str(ready, "status", NULL), "True") &&
           doc_int(ready, -1, "observedGeneration", NULL) ==
               doc_int(config, 0, "metadata", "generation", NULL);
}

static void read_map(const char *text, enum component component, struct gates_flags *ret_flags)
{
    struct site_place place = {&site_cluster_configuration, component, "kubeadm-config",
                               .at = NULL};

    CHECK_OK(site_read_text(&place, slice_of(text), ret_flags));
}

static void check_applied(struct sim *sim)
{
    const json_t *config = fake_get(sim->api, SIM_CONFIG);
    const char *text = sim_text(sim, SIM_KUBEADM, "ClusterConfiguration");
    AUTO_FLAGS struct gates_flags first = {0};

    for (int component = 0; component < COMPONENT_COUNT; component++) {
        if (!sim_owns(sim, (enum component)component))
            sim_fail(sim, "Ready, and a component does not have the gate");
        if (component < COMPONENT_KUBELET) {
            AUTO_FLAGS struct gates_flags flags = {0};

            read_map(text, (enum component)component, &flags);
            if (!json_is_true(json_object_get(flags.feature_gates, SIM_GATE)))
                sim_fail(sim, "Ready, and kubeadm-config does not have the gate");
        }
    }
    read_map(text, COMPONENT_APISERVER, &first);
    if (!doc_equal(first.runtime_config, sim->parts[COMPONENT_APISERVER].runtime))
        sim_fail(sim, "kubeadm-config has another runtimeConfig than the API server");
    if (!strstr(sim_text(sim, SIM_KUBELET, "kubelet"), SIM_GATE ": true\n"))
        sim_fail(sim, "Ready, and kubelet-config does not have the gate");
    if (!str_eq(doc_str(condition_of(sim, "ResourceAPIServed"), "status", NULL), "True"))
        sim_fail(sim, "Ready, and the API is not served");
    if (json_array_size(doc_get(config, "status", "history", NULL)) != 1 ||
        !str_eq(
            doc_str(json_array_get(doc_get(config, "status", "history", NULL), 0), "result", NULL),
            "Applied"))
        sim_fail(sim, "the history is not one revision that was applied");
}

static bool is_gone(const struct sim *sim)
{
    return !fake_get(sim->api, SIM_CONFIG);
}

static void check_reverted(struct sim *sim)
{
    const char *kubeadm =
        sim->edited ? SIM_KUBEADM_TEXT(EDITED_NAME) : SIM_KUBEADM_TEXT("kubernetes");
    const char *kubelet =
        sim->edited ? SIM_KUBELET_TEXT(EDITED_NAME "\n") : SIM_KUBELET_TEXT("cluster.local");

    if (fake_get(sim->api, SIM_NODE) || fake_get(sim->api, SIM_UNDO))
        sim_fail(sim, "objects of ours stayed");
    if (!str_eq(sim_text(sim, SIM_KUBEADM, "ClusterConfiguration"), kubeadm))
        sim_fail(sim, sim_text(sim, SIM_KUBEADM, "ClusterConfiguration"));
    if (!str_eq(sim_text(sim, SIM_KUBELET, "kubelet"), kubelet))
        sim_fail(sim, sim_text(sim, SIM_KUBELET, "kubelet"));
    for (int component = 0; component < COMPONENT_COUNT; component++) {
        if (sim_owns(sim, (enum component)component))
            sim_fail(sim, "gone, and a component still has the gate");
    }
}

// After the failure: everything as before, and nothing more is tried.
static bool is_put_back(const struct sim *sim)
{
    const json_t *entries = doc_get(fake_get(sim->api, SIM_NODE), "spec", "components", NULL);

    return str_eq(doc_str(condition_of(sim, "Degraded"), "status", NULL), "True") &&
           str_eq(doc_str(condition_of(sim, "ControlPlaneUpdated"), "reason", NULL),
                  "RolledBack") &&
           json_array_size(entries) > 0 && !sim_owns(sim, COMPONENT_APISERVER);
}

static void check_put_back(struct sim *sim)
{
    const json_t *config = fake_get(sim->api, SIM_CONFIG);
    const json_t *entries = doc_get(fake_get(sim->api, SIM_NODE), "spec", "components", NULL);
    const json_t *history = doc_get(config, "status", "history", NULL);

    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);

        if (json_object_size(json_object_get(entry, "featureGates")) > 0 ||
            json_object_size(json_object_get(entry, "runtimeConfig")) > 0)
            sim_fail(sim, "a component is still asked for something after the failure");
    }
    if (!*doc_str(config, "status", "failedRevision", NULL))
        sim_fail(sim, "there is no failedRevision");
    if (json_array_size(history) != 1 ||
        !str_eq(doc_str(json_array_get(history, 0), "result", NULL), "RolledBack") ||
        !str_eq(doc_str(json_array_get(history, 0), "reason", NULL), "ComponentCrashed"))
        sim_fail(sim, "the history does not tell the failure");
    if (!str_eq(doc_str(condition_of(sim, "Ready"), "status", NULL), "False") ||
        !condition_of(sim, "Stalled"))
        sim_fail(sim, "put back, and not Stalled");
    if (sim_maps_have(sim) || fake_get(sim->api, SIM_UNDO))
        sim_fail(sim, "put back, and a ConfigMap was written");
}

// --- the story -----------------------------------------------------------------------------------

static bool has_reached(const struct sim *sim)
{
    if (sim->phase == SIM_REVERT)
        return is_gone(sim);
    return sim->plan.crash && !sim->healed ? is_put_back(sim) : is_ready(sim);
}

static void end(struct sim *sim)
{
    struct sim_batch *batch = sim->batch;

    if (sim->most_in_flight > 9)
        sim_fail(sim, "more requests at once than the parts of a controller can have");
    batch->most_requests =
        sim->api->requests > batch->most_requests ? sim->api->requests : batch->most_requests;
    batch->most_writes = sim->writes > batch->most_writes ? sim->writes : batch->most_writes;
    mem_free(batch->kinds);
    batch->kinds = buf_take(&sim->api->kinds);
    sim_free(sim);
    if (--batch->running == 0)
        loop_stop(batch->loop);
}

// The phase is over: what it must have led to, then the next.
static void next_phase(struct sim *sim)
{
    sim->reached_ms = 0;
    if (sim->phase == SIM_REVERT) {
        check_reverted(sim);
        sim->phase = SIM_DONE;
    } else if (sim->plan.crash && !sim->healed) {
        check_put_back(sim);
        sim->healed = true;
        fake_edit(sim->api, SIM_CONFIG,
                  json_pack("{s:{s:{s:b}}}", "spec", "featureGates", "DRAPartitionableDevices", 0));
    } else {
        if (!sim->plan.crash)
            check_applied(sim);
        sim->phase = SIM_REVERT;
        fake_delete(sim->api, SIM_CONFIG);
    }
}

static void on_tick(void *owner)
{
    struct sim *sim = owner;
    uint64_t now_ms = clock_ms();

    sim->tick = NULL;
    if (sim->api->fenced && now_ms - sim->api->asked_ms >= QUIET_FENCED_MS) {
        end(sim);
        return;
    }
    if (!has_reached(sim))
        sim->reached_ms = 0;
    else if (!sim->reached_ms)
        sim->reached_ms = now_ms;
    if (sim->reached_ms && now_ms - sim->reached_ms >= sim->quiet_ms &&
        now_ms - sim->api->asked_ms >= sim->quiet_ms && !sim->kill && !sim->restart)
        next_phase(sim);
    if (sim->phase == SIM_DONE) {
        end(sim);
        return;
    }
    sim->looks = sim->looked_at == sim->api->asked ? sim->looks + 1 : 0;
    sim->looked_at = sim->api->asked;
    if (sim->looks > STUCK_TICKS)
        sim_fail(sim, "does not converge");
    if (sim->baseline && sim->api->requests > sim->baseline + MOST_REQUESTS_MORE)
        sim_fail(sim, "too many requests");
    sim->tick = loop_sleep(sim->loop, TICK_MS, on_tick, sim);
}

static void sim_start(struct sim_batch *batch, const struct sim_plan *plan, unsigned baseline,
                      uint64_t quiet_ms)
{
    struct sim *sim = sim_new(batch->loop, plan);

    sim->batch = batch;
    sim->baseline = baseline;
    sim->quiet_ms = quiet_ms;
    sim->api->choose = choose;
    sim_start_controller(sim);
    sim->tick = loop_sleep(batch->loop, TICK_MS, on_tick, sim);
    batch->running++;
}

static struct sim_batch run(const struct sim_plan *plans, size_t len, unsigned baseline,
                            uint64_t quiet_ms)
{
    struct sim_batch batch = {.loop = loop_new()};

    log_set_level(LOG_ERROR);
    for (size_t i = 0; i < len; i++)
        sim_start(&batch, &plans[i], baseline, quiet_ms);
    loop_run(batch.loop);
    CHECK_INT(batch.running, 0);
    loop_free(batch.loop);
    return batch;
}

// All kinds of faults at all requests, instead of a choice that is done within a minute.
static bool wants_all(void)
{
    return getenv("DRAWBRIDGE_TORTURE_ALL") != NULL;
}

// One story for each request of the undisturbed one, with the kinds of like[] in turn: for each
// that changes something, and a few of the others.
static void torture(const struct sim_plan *like, size_t like_len)
{
    struct sim_plan calm = {.name = "calm", .at = UINT32_MAX, .crash = like->crash};
    struct sim_batch batch;
    struct sim_plan *plans;
    size_t len = 0;
    unsigned baseline;

    alarm(wants_all() ? 3600 : 290);
    batch = run(&calm, 1, 0, QUIET_MS);
    baseline = batch.most_requests;
    CHECK(baseline > 40);
    plans = mem_alloc(baseline * like_len * sizeof(*plans));
    for (unsigned i = 0; i < baseline; i++) {
        for (size_t k = 0; k < like_len; k++) {
            if (!wants_all() && ((batch.kinds[i] == 'r' && i % READS != 0) || len % like_len != k))
                continue;
            plans[len] = like[k];
            plans[len++].at = i;
            if (!wants_all())
                break;
        }
    }
    mem_free(batch.kinds);
    for (size_t from = 0; from < len; from += BATCH) {
        batch = run(plans + from, len - from < BATCH ? len - from : BATCH, baseline, QUIET_MS);
        mem_free(batch.kinds);
    }
    mem_free(plans);
}

TEST(without_faults_it_comes_and_goes_and_is_quiet)
{
    struct sim_plan calm = {.name = "calm", .at = UINT32_MAX};
    struct sim_batch batch;

    alarm(120);
    batch = run(&calm, 1, 0, QUIET_LONG_MS);
    // 180 where the machine has time; each look at what is not done yet is some more, a storm
    // thousands
    CHECK(batch.most_requests < 400);
    CHECK(batch.most_writes < 50);
    mem_free(batch.kinds);
}

TEST(each_request_fails_without_effect)
{
    static const struct sim_plan kinds[] = {{.name = "500", .fault = FAULT_500},
                                            {.name = "409", .fault = FAULT_409},
                                            {.name = "429", .fault = FAULT_429},
                                            {.name = "cut before", .fault = FAULT_CUT_BEFORE}};

    torture(kinds, COUNT(kinds));
}

TEST(each_request_fails_after_it_took_effect)
{
    static const struct sim_plan kind = {.name = "cut after", .fault = FAULT_CUT_AFTER};

    torture(&kind, 1);
}

TEST(each_request_is_answered_with_a_lie)
{
    static const struct sim_plan kinds[] = {
        {.name = "cut JSON", .fault = FAULT_LIE_CUT}, {.name = "empty", .fault = FAULT_LIE_EMPTY},
        {.name = "keys", .fault = FAULT_LIE_KEYS},    {.name = "bytes", .fault = FAULT_LIE_BYTES},
        {.name = "nodes", .fault = FAULT_LIE_NODES},  {.name = "deep", .fault = FAULT_LIE_DEEP},
        {.name = "types", .fault = FAULT_LIE_TYPES},  {.name = "page", .fault = FAULT_LIE_PAGE}};

    torture(kinds, COUNT(kinds));
}

TEST(killed_at_each_request)
{
    static const struct sim_plan kinds[] = {
        {.name = "kill after", .fault = FAULT_MUTE_AFTER, .kill = true},
        {.name = "kill before", .fault = FAULT_MUTE, .kill = true}};

    torture(kinds, COUNT(kinds));
}

TEST(with_the_lease_lost_at_each_request_no_write_leaves)
{
    static const struct sim_plan kinds[] = {
        {.name = "fence", .fence = true},
        {.name = "fence, 429", .fence = true, .fault = FAULT_429},
        {.name = "fence, crash", .fence = true, .crash = true}};

    torture(kinds, COUNT(kinds));
}

TEST(somebody_edits_at_each_request)
{
    static const struct sim_plan kind = {.name = "edit", .edit = true};

    torture(&kind, 1);
}

TEST(a_component_that_crashes_is_put_back_whatever_happens)
{
    static const struct sim_plan kinds[] = {
        {.name = "crash, cut after", .fault = FAULT_CUT_AFTER, .crash = true},
        {.name = "crash, kill after", .fault = FAULT_MUTE_AFTER, .kill = true, .crash = true},
        {.name = "crash, 409", .fault = FAULT_409, .crash = true}};

    torture(kinds, COUNT(kinds));
}

TEST(bad_days)
{
    struct sim_plan plans[8];
    struct sim_batch batch;

    alarm(290);
    for (size_t i = 0; i < COUNT(plans); i++)
        plans[i] = (struct sim_plan){
            .name = "bad day", .at = UINT32_MAX, .seed = 1000 + i, .crash = i % 4 == 3};
    batch = run(plans, COUNT(plans), 400, QUIET_MS);
    mem_free(batch.kinds);
}

TEST_MAIN()
