// SPDX-License-Identifier: Apache-2.0
// What the API server said of itself, kept for passes that only look. A server that restarts ends
// the watch of nodes, and with that what it said.
#include "cluster_internal.h"

struct cluster_facts {
    struct version server, emulated;
    json_t *served;    // NULL: nothing is kept
    json_t *gates;     // NULL: we may not read them
    json_t *flags;     // NULL: nobody says
    bool flags_failed; // gates and flags are read again with the rest
    uint64_t term, at_ms, gates_at_ms;
    uint64_t edition; // of what is said, from 1
};

struct cluster_facts *cluster_facts_new(void)
{
    return NEW(struct cluster_facts);
}

void cluster_facts_free(struct cluster_facts *facts)
{
    if (!facts)
        return;
    json_decref(facts->served);
    json_decref(facts->gates);
    json_decref(facts->flags);
    mem_free(facts);
}

bool cluster_facts_get(struct cluster_facts *facts, uint64_t term, struct cluster_said *said)
{
    if (!facts || !facts->served || term == 0 || term != facts->term ||
        clock_ms() - facts->at_ms >= CLUSTER_FACTS_MS)
        return false;
    said->edition = facts->edition;
    said->server = facts->server;
    said->emulated = facts->emulated;
    json_decref(said->served);
    said->served = json_incref(facts->served);
    said->gates = json_incref(facts->gates);
    said->flags = json_incref(facts->flags);
    return true;
}

static bool says_the_same(const struct cluster_facts *facts, const struct cluster_said *said,
                          const json_t *gates, const json_t *flags)
{
    const struct version *was = &facts->server, *now = &said->server;

    return was->major == now->major && was->minor == now->minor && was->patch == now->patch &&
           version_compare_minor(facts->emulated, said->emulated) == 0 &&
           doc_equal(facts->served, said->served) && doc_equal(facts->gates, gates) &&
           doc_equal(facts->flags, flags);
}

bool cluster_facts_still(struct cluster_facts *facts, uint64_t term, uint64_t at_ms,
                         struct cluster_said *said)
{
    if (!facts || !facts->gates || facts->flags_failed || term == 0 || term != facts->term ||
        clock_ms() - facts->gates_at_ms >= CLUSTER_GATES_MS ||
        !says_the_same(facts, said, facts->gates, facts->flags))
        return false;
    facts->at_ms = at_ms;
    said->edition = facts->edition;
    said->gates = json_incref(facts->gates);
    said->flags = json_incref(facts->flags);
    return true;
}

void cluster_facts_keep(struct cluster_facts *facts, uint64_t term, uint64_t at_ms,
                        struct cluster_said *said)
{
    if (!facts)
        return;
    if (!says_the_same(facts, said, said->gates, said->flags))
        facts->edition++;
    said->edition = facts->edition;
    json_decref(facts->served);
    json_decref(facts->gates);
    json_decref(facts->flags);
    facts->server = said->server;
    facts->emulated = said->emulated;
    facts->served = json_incref(said->served);
    facts->gates = json_incref(said->gates);
    facts->flags = json_incref(said->flags);
    facts->flags_failed = said->flags_failed;
    facts->term = term;
    facts->at_ms = at_ms;
    facts->gates_at_ms = at_ms;
}
