// SPDX-License-Identifier: Apache-2.0
// Who may run a git worker. A look at a repository takes as long as its server likes, up to
// spec.timeout, so a few workers are shared by turns: first come, first served, but the last free
// one goes to a namespace that has none at work. And how much is remembered of all repositories
// together.
#include <string.h>

#include "source_internal.h"

struct source_turn {
    struct source_turn *next; // in the order in which they asked
    char *key;
    bool runs;
    bool next_up; // while it is found out who may go
};

static size_t namespace_len(const char *key)
{
    return strcspn(key, "/");
}

static bool same_namespace(const char *a, const char *b)
{
    return namespace_len(a) == namespace_len(b) && strncmp(a, b, namespace_len(a)) == 0;
}

// Who runs, or may: never more than there are workers, so that nobody is compared with all others.
struct at_work {
    struct source_turn *turns[FETCH_WORKERS_MAX];
    size_t len;
};

static void add(struct at_work *at_work, struct source_turn *turn)
{
    ASSERT(at_work->len < FETCH_WORKERS_MAX);
    at_work->turns[at_work->len++] = turn;
}

static bool has_namespace(const struct at_work *at_work, const char *key)
{
    for (size_t i = 0; i < at_work->len; i++)
        if (same_namespace(at_work->turns[i]->key, key))
            return true;
    return false;
}

// Marks whom free workers are for.
static void choose(const struct sources *sources)
{
    struct at_work at_work = {0};

    for (struct source_turn *turn = sources->turns; turn; turn = turn->next) {
        turn->next_up = false;
        if (turn->runs)
            add(&at_work, turn);
    }
    for (struct source_turn *turn = sources->turns; turn && at_work.len < FETCH_WORKERS_MAX;
         turn = turn->next) {
        turn->next_up = !turn->runs && !has_namespace(&at_work, turn->key);
        if (turn->next_up)
            add(&at_work, turn);
    }
    for (struct source_turn *turn = sources->turns; turn && at_work.len + 1 < FETCH_WORKERS_MAX;
         turn = turn->next) {
        if (turn->runs || turn->next_up)
            continue;
        turn->next_up = true;
        add(&at_work, turn);
    }
}

bool source_turn_take(struct sources *sources, const char *key)
{
    struct source_turn **at = &sources->turns;

    while (*at && !str_eq((*at)->key, key))
        at = &(*at)->next;
    if (!*at) {
        *at = NEW(struct source_turn);
        (*at)->key = str_dup(key);
    }
    choose(sources);
    (*at)->runs = (*at)->runs || (*at)->next_up;
    return (*at)->runs;
}

void source_turn_leave(struct sources *sources, const char *key)
{
    struct source_turn **at = &sources->turns, *gone;

    while (*at && !str_eq((*at)->key, key))
        at = &(*at)->next;
    gone = *at;
    if (!gone)
        return;
    *at = gone->next;
    mem_free(gone->key);
    mem_free(gone);
    choose(sources);
    for (struct source_turn *turn = sources->turns; turn; turn = turn->next)
        if (turn->next_up)
            queue_add(sources->queue, turn->key);
}

void source_turns_drop(struct sources *sources)
{
    while (sources->turns) {
        struct source_turn *gone = sources->turns;

        sources->turns = gone->next;
        mem_free(gone->key);
        mem_free(gone);
    }
}

// --- memory --------------------------------------------------------------------------------------

static size_t kept_of(const struct source *source)
{
    return source->documents ? source->documents_len : 0;
}

static size_t kept_of_namespace(const struct sources *sources, const char *key)
{
    size_t bytes = 0;

    for (const struct source *source = sources->known; source; source = source->next)
        if (same_namespace(source->key, key))
            bytes += kept_of(source);
    return bytes;
}

// The largest of the namespace that has most: what is much is the fault of nobody else.
static struct source *find_largest(const struct sources *sources)
{
    struct source *largest = NULL;
    size_t most = 0;

    for (struct source *source = sources->known; source; source = source->next) {
        size_t bytes = kept_of(source) ? kept_of_namespace(sources, source->key) : 0;

        if (bytes < most || bytes == 0 ||
            (bytes == most && largest && kept_of(source) <= kept_of(largest)))
            continue;
        most = bytes;
        largest = source;
    }
    return largest;
}

void sources_limit_memory(struct sources *sources, size_t bytes_max)
{
    size_t bytes = 0;

    for (const struct source *source = sources->known; source; source = source->next)
        bytes += kept_of(source);
    while (bytes > bytes_max) {
        struct source *source = find_largest(sources);

        ASSERT(source); // somebody has what is kept

        bytes -= kept_of(source);
        mem_free(TAKE(source->documents));
        mem_free(TAKE(source->head)); // so that the next pass fetches it again
    }
}
