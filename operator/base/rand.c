// SPDX-License-Identifier: Apache-2.0
// Random numbers for jitter and names; a seed makes them repeatable for simulations.
#include "drawbridge/base.h"

#include <errno.h>
#include <sys/random.h>

static uint64_t seeded; // the state of the repeatable sequence; 0: the kernel's numbers

void rand_seed(uint64_t seed)
{
    seeded = seed;
}

// splitmix64: a counter, well stirred.
static uint64_t next_seeded(void)
{
    seeded += 0x9E3779B97F4A7C15u;
    if (seeded == 0)
        seeded = 1; // 0 would mean the kernel's
    uint64_t z = seeded;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t rand_u64(void)
{
    if (seeded)
        return next_seeded();
    uint64_t n = 0;
    ssize_t got;
    do
        got = getrandom(&n, sizeof(n), 0);
    while (got < 0 && errno == EINTR);
    ASSERT(got == (ssize_t)sizeof(n));
    return n;
}

uint64_t rand_below(uint64_t n)
{
    ASSERT(n > 0);
    // from here on the small values would come more often
    uint64_t beyond = UINT64_MAX - UINT64_MAX % n;
    uint64_t r;
    do
        r = rand_u64();
    while (r >= beyond);
    return r % n;
}
