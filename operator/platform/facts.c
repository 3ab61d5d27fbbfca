// SPDX-License-Identifier: Apache-2.0
// What the API server said of itself, kept for passes that only look. A server that restarts ends
// the watch of nodes, and with that what it said.
#include "platform_internal.h"

struct platform_facts {
    struct version server, server_emulated;
    json_t *served; // NULL: nothing is kept
    json_t *gates;  // NULL: we may not read them
    uint64_t term, at_ms, gates_at_ms;
    uint64_t edition; // of what is said, from 1
};

struct platform_facts *platform_facts_new(void)
{
    return NEW(struct platform_facts);
}

void platform_facts_free(struct platform_facts *facts)
{
    if (!facts)
        return;
    json_decref(facts->served);
    json_decref(facts->gates);
    mem_free(facts);
}

bool platform_facts_get(struct platform_facts *facts, uint64_t term,
                        struct platform_observed *observed, json_t **ret_gates)
{
    if (!facts || !facts->served || term == 0 || term != facts->term ||
        clock_ms() - facts->at_ms >= PLATFORM_FACTS_MS)
        return false;
    observed->edition = facts->edition;
    observed->server = facts->server;
    observed->server_emulated = facts->server_emulated;
    json_decref(observed->served);
    observed->served = json_incref(facts->served);
    *ret_gates = json_incref(facts->gates);
    return true;
}

static bool says_the_same(const struct platform_facts *facts,
                          const struct platform_observed *observed, const json_t *gates)
{
    const struct version *was = &facts->server, *now = &observed->server;
    const struct version *was_emulated = &facts->server_emulated;

    return was->major == now->major && was->minor == now->minor && was->patch == now->patch &&
           version_compare_minor(*was_emulated, observed->server_emulated) == 0 &&
           doc_equal(facts->served, observed->served) && doc_equal(facts->gates, gates);
}

bool platform_facts_still(struct platform_facts *facts, uint64_t term, uint64_t at_ms,
                          struct platform_observed *observed, json_t **ret_gates)
{
    if (!facts || !facts->gates || term == 0 || term != facts->term ||
        clock_ms() - facts->gates_at_ms >= PLATFORM_GATES_MS ||
        !says_the_same(facts, observed, facts->gates))
        return false;
    facts->at_ms = at_ms;
    observed->edition = facts->edition;
    *ret_gates = json_incref(facts->gates);
    return true;
}

void platform_facts_keep(struct platform_facts *facts, uint64_t term, uint64_t at_ms,
                         struct platform_observed *observed, json_t *gates)
{
    if (!facts)
        return;
    if (!says_the_same(facts, observed, gates))
        facts->edition++;
    observed->edition = facts->edition;
    json_decref(facts->served);
    json_decref(facts->gates);
    facts->server = observed->server;
    facts->server_emulated = observed->server_emulated;
    facts->served = json_incref(observed->served);
    facts->gates = json_incref(gates);
    facts->term = term;
    facts->at_ms = at_ms;
    facts->gates_at_ms = at_ms;
}
