// SPDX-License-Identifier: Apache-2.0
// The i-th request fails, for all i and in every way, while the collection changes: the store must
// end up like the server, and no change may be told twice.
#include "fake_api.h"

#define REQUESTS 6

static void change_something(struct fake *fake, int round)
{
    AUTO_MEM char *name = str_format("n%d", round % 3);
    if (round % 4 == 3 && json_object_get(fake->objects, name))
        fake_remove(fake, name);
    else
        fake_put(fake, name, round);
}

static struct fake *begin(enum fault fault, unsigned at)
{
    struct fake *fake = fake_new();
    fake->fault = fault;
    fake->fault_at = at;
    change_something(fake, 0);
    change_something(fake, 1);
    fake_follow(fake);
    return fake;
}

// All of them side by side: most of the time is back-off.
static void torture(enum fault fault)
{
    struct fake *fakes[REQUESTS];
    for (unsigned at = 0; at < REQUESTS; at++)
        fakes[at] = begin(fault, at);
    // Watches are ended again and again, so that there are as many requests as are to fail.
    for (int round = 2; round < 10; round++) {
        for (unsigned at = 0; at < REQUESTS; at++) {
            world_run_for(fakes[at]->world, 15);
            fake_end_watches(fakes[at], round == 5); // once with a reset
            change_something(fakes[at], round);
            if (round == 6)
                fake_compact(fakes[at]);
        }
    }
    bool agreed[REQUESTS] = {false};
    for (unsigned left = REQUESTS, rounds = 0; left > 0 && rounds < 2000; rounds++) {
        for (unsigned at = 0; at < REQUESTS; at++) {
            if (agreed[at] || !fake_wait_agreed(fakes[at], 1))
                continue;
            agreed[at] = true;
            left--;
        }
    }
    for (unsigned at = 0; at < REQUESTS; at++) {
        CHECK(agreed[at]);
        CHECK(fakes[at]->changes <= 10);
        CHECK(server_requests(fakes[at]->world->server) < 40);
        fake_free(fakes[at]);
    }
}

TEST(cut)
{
    torture(FAULT_CUT);
}

TEST(internal_error)
{
    torture(FAULT_500);
}

TEST(gone)
{
    torture(FAULT_410);
}

TEST(throttled)
{
    torture(FAULT_429);
}

TEST(garbage)
{
    torture(FAULT_GARBAGE);
}

TEST(cut_in_the_middle)
{
    torture(FAULT_CUT_LATE);
}

TEST(version_too_large)
{
    torture(FAULT_TOO_LARGE);
}

TEST_MAIN()
