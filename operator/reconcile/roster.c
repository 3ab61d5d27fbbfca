// SPDX-License-Identifier: Apache-2.0
// The roster: every DRAConfiguration's key, and of each object what decides who writes a cluster.
// The watch keeps objects as texts; a pass that had to parse all of them to find its writer would
// cost as much as all of them are large.
#include <string.h>

#include "reconcile_internal.h"

struct roster {
    json_t *entries; // key → {metadata: {namespace, creationTimestamp}, spec: {platform}}
};

struct roster *roster_new(void)
{
    struct roster *roster = NEW(struct roster);

    roster->entries = json_object();
    return roster;
}

void roster_free(struct roster *roster)
{
    if (!roster)
        return;
    json_decref(roster->entries);
    mem_free(roster);
}

void roster_note(struct roster *roster, const char *key, const json_t *config)
{
    json_t *entry;

    if (!config) {
        json_object_del(roster->entries, key);
        return;
    }
    entry = json_object();
    doc_set(entry, doc_string(doc_str(config, "metadata", "namespace", NULL)), "metadata",
            "namespace", NULL);
    doc_set(entry, doc_string(doc_str(config, "metadata", "creationTimestamp", NULL)), "metadata",
            "creationTimestamp", NULL);
    if (doc_get(config, "spec", "platform", NULL))
        doc_set(entry, doc_copy(doc_get(config, "spec", "platform", NULL)), "spec", "platform",
                NULL);
    json_object_set_new(roster->entries, key, entry);
}

void roster_each(const struct roster *roster, bool writers, roster_fn *fn, void *owner)
{
    const char *key;
    json_t *entry;

    json_object_foreach(roster->entries, key, entry) {
        if (!writers || config_writes(entry))
            fn(owner, key);
    }
}

// RFC 3339 in UTC sorts as text; of two of the same second the first name wins.
static bool is_before(const char *key, const json_t *entry, const char *other_key,
                      const json_t *other)
{
    int order = strcmp(doc_str(entry, "metadata", "creationTimestamp", NULL),
                       doc_str(other, "metadata", "creationTimestamp", NULL));

    return order < 0 || (order == 0 && strcmp(key, other_key) < 0);
}

char *roster_writer(const struct roster *roster, const struct controller_spec *spec,
                    const json_t *config)
{
    const char *key, *found = NULL;
    const json_t *writer = NULL;
    json_t *entry;

    json_object_foreach(roster->entries, key, entry) {
        if (!config_writes(entry) || hosted_is(entry) != hosted_is(config) ||
            (hosted_is(entry) && !hosted_same(entry, config)) || !tenancy_allows(spec, entry))
            continue;
        if (found && !is_before(key, entry, found, writer))
            continue;
        found = key;
        writer = entry;
    }
    return found ? str_dup(found) : NULL;
}
