// SPDX-License-Identifier: Apache-2.0
// When a pass is repeated that nobody wakes.
#include "controller_internal.h"
#include "test.h"

// When a pass looks again that could not ask the API server of its hosted cluster. again_ms: what
// the platform waits for; planned_ms: what the plan chose.
static uint64_t next_look(uint64_t again_ms, uint64_t planned_ms)
{
    AUTO(api_conditions) struct api_conditions *conditions = api_conditions_new();
    struct platform_observed observed = {
        .type = PLATFORM_HOSTED_CONTROL_PLANE, .api_unread = true, .again_ms = again_ms};
    struct pass pass = {
        .observed = &observed, .conditions = conditions, .resolved = true, .after_ms = planned_ms};

    report_choose_next_look(&pass);
    return pass.after_ms;
}

TEST(a_hosted_cluster_that_does_not_answer_is_asked_again_as_late_as_its_failures_say)
{
    CHECK_INT(next_look(2000, 2000), 2000);
    CHECK_INT(next_look(CLUSTER_AGAIN_MS_MAX, CLUSTER_AGAIN_MS_MAX), CLUSTER_AGAIN_MS_MAX);
    CHECK_INT(next_look(CLUSTER_AGAIN_MS_MAX, 5000), 5000); // a deadline comes before
    // a refusal: there is no plan, and the server is asked again all the same
    CHECK_INT(next_look(CLUSTER_AGAIN_MS_MAX, 0), CLUSTER_AGAIN_MS_MAX);
}

TEST(where_nothing_can_be_asked_somebody_else_may_turn_the_api_on)
{
    CHECK_INT(next_look(0, 0), 30000);
    CHECK_INT(next_look(0, 45000), 30000);
    CHECK_INT(next_look(0, 1000), 1000);
}

TEST_MAIN()
