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

// Marks whom free workers are for.
static void choose(const struct sources *sources, bool with_others)
{
    for (struct source_turn *turn = sources->turns; turn; turn = turn->next) {
        unsigned all = 0, own = 0;

        for (const struct source_turn *other = sources->turns; other; other = other->next) {
            bool counts = other->runs || other->next_up;

            all += counts;
            own += counts && same_namespace(other->key, turn->key);
        }
        if (turn->runs || turn->next_up)
            continue;
        turn->next_up =
            own == 0 ? all < FETCH_WORKERS_MAX : with_others && all + 1 < FETCH_WORKERS_MAX;
    }
}

static void choose_all(const struct sources *sources)
{
    for (struct source_turn *turn = sources->turns; turn; turn = turn->next)
        turn->next_up = false;
    choose(sources, false);
    choose(sources, true);
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
    choose_all(sources);
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
    choose_all(sources);
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

        bytes -= kept_of(source);
        mem_free(TAKE(source->documents));
        mem_free(TAKE(source->head)); // so that the next pass fetches it again
    }
}
