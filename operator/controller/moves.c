// SPDX-License-Identifier: Apache-2.0
// Target clusters that name another UID than before. Each time is a write, and may be a move to
// another controller, which begins anew; a server that does so on purpose is taken at its word ever
// later. Each controller counts what it wrote itself: all that such a server is moved between do.
#include "controller_internal.h"

#define MOVES_MS 5000 // until the second one, and twice as long each time, up to
#define MOVES_MS_MAX 300000

struct moves {
    json_t *last; // key → [monotonic ms of the last move, ms until the next]
};

struct moves *moves_new(void)
{
    struct moves *moves = NEW(struct moves);

    moves->last = json_object();
    return moves;
}

void moves_free(struct moves *moves)
{
    if (!moves)
        return;
    json_decref(moves->last);
    mem_free(moves);
}

static uint64_t number(const struct moves *moves, const char *key, size_t at)
{
    return (uint64_t)json_integer_value(json_array_get(json_object_get(moves->last, key), at));
}

uint64_t moves_left_ms(const struct moves *moves, const char *key)
{
    uint64_t past_ms = clock_ms() - number(moves, key, 0), wait_ms = number(moves, key, 1);

    return past_ms < wait_ms ? wait_ms - past_ms : 0;
}

void moves_note(struct moves *moves, const char *key)
{
    uint64_t wait_ms = number(moves, key, 1) * 2;

    if (clock_ms() - number(moves, key, 0) >= (uint64_t)2 * MOVES_MS_MAX)
        wait_ms = 0; // it has kept to one name for long
    wait_ms = wait_ms < MOVES_MS ? MOVES_MS : wait_ms < MOVES_MS_MAX ? wait_ms : MOVES_MS_MAX;
    json_object_set_new(moves->last, key,
                        json_pack("[I, I]", (json_int_t)clock_ms(), (json_int_t)wait_ms));
}

void moves_forget(struct moves *moves, const char *key)
{
    json_object_del(moves->last, key);
}
