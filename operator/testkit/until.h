// SPDX-License-Identifier: Apache-2.0
// Runs the loop of a test until what it waits for is so; how long that may take is the limit of the
// test itself. Included behind the struct that UNTIL_OF names, struct story by default, which has
// the loop.
#pragma once

#include "testkit/server.h"

#ifndef UNTIL_OF
#define UNTIL_OF struct story
#endif
#define UNTIL_LOOK_MS 5

typedef bool until_fn(const UNTIL_OF *what);
struct until_state {
    until_fn *holds;
    const UNTIL_OF *what;
    struct op *look;
};

static void until_look(void *owner)
{
    struct until_state *state = owner;

    state->look = NULL;
    if (state->holds(state->what))
        loop_stop(state->what->loop);
    else
        state->look = loop_sleep(state->what->loop, UNTIL_LOOK_MS, until_look, state);
}

static void until(const UNTIL_OF *what, until_fn *holds)
{
    struct until_state state = {holds, what, NULL};

    state.look = loop_defer(what->loop, until_look, &state);
    loop_run(what->loop);
}
