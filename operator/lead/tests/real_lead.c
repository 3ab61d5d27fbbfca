// SPDX-License-Identifier: Apache-2.0
// Leader election against a real API server: KUBECONFIG=... test_lead_real [words].
#include "drawbridge/lead.h"

#include "kube/tests/real.h"

static void on_gained(void *owner)
{
    unsigned *gained = owner;
    *gained += 1;
}

static void on_released(void *owner)
{
    struct real *real = owner;
    real->op = NULL;
    loop_stop(real->loop);
}

TEST(leads_and_hands_over)
{
    struct real *real = real_new();
    unsigned first = 0, second = 0;
    struct lead_spec spec = {.kube = real->kube,
                             .namespace = real->namespace,
                             .name = "drawbridge",
                             .identity = "one",
                             .on_gained = on_gained,
                             .owner = &first};
    struct lead *one = lead_new(real->loop, &spec);
    CHECK(real_wait_for(real, &first, 1, 3000));
    spec.identity = "two";
    spec.owner = &second;
    struct lead *two = lead_new(real->loop, &spec);
    real_run_for(real, 6000); // a renewal lies in between
    CHECK(lead_may_write(one));
    CHECK_INT(second, 0);
    uint64_t epoch = lead_epoch(one);
    real_wait_op(real, lead_release(one, on_released, real));
    lead_free(one);
    CHECK(real_wait_for(real, &second, 1, 6000));
    CHECK_INT(lead_epoch(two), epoch + 1);
    lead_free(two);
    real_free(real);
}

int main(int argc, char **argv)
{
    return real_main(argc, argv);
}
