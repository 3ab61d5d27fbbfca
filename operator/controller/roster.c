// SPDX-License-Identifier: Apache-2.0
// The roster: every DRAConfiguration's key, and of each what decides who writes a cluster. The
// watch keeps objects as texts; a pass that had to parse all of them to find its writer would cost
// as much as all of them are large.
#include <string.h>

#include "controller_internal.h"

struct roster {
    // key → {writes, home, targets: [names of what it writes and may write], rivals: how many of
    // those somebody else may have in its place, lane, created}
    json_t *entries;
    json_t *targets; // name → {key: created} of those that write it
};

struct roster *roster_new(void)
{
    struct roster *roster = NEW(struct roster);

    roster->entries = json_object();
    roster->targets = json_object();
    return roster;
}

void roster_free(struct roster *roster)
{
    if (!roster)
        return;
    json_decref(roster->entries);
    json_decref(roster->targets);
    mem_free(roster);
}

// Whose pass may not be under way together with its own. Those that write one cluster share a lane,
// by whatever Secret they reach it. Who only looks there does not hold up who writes: it has that
// of its Secret. What is hosted here is a lane of its own, as its API server may never answer; not
// so its end, which asks nobody.
static char *make_lane(const json_t *config, bool writes, const struct strlist *names,
                       const struct strlist *clusters)
{
    bool ends = doc_get(config, "metadata", "deletionTimestamp", NULL) != NULL &&
                !*doc_str(config, "status", "driver", "release", NULL);

    if (platform_names_target(config))
        return writes && clusters && clusters->len > 0 ? str_dup(clusters->items[0])
                                                       : platform_cluster_named(config);
    return str_dup(ends || names->len == 0 ? CLUSTER_HOME : names->items[0]);
}

// Whether it writes the cluster that its kubeconfig leads to: where its flags are in objects of
// this one, for a driver or a test alone.
static bool writes_there(const json_t *config)
{
    return platform_names_target(config) || doc_get(config, "spec", "driver", NULL) ||
           doc_bool(config, false, "spec", "smokeTest", "enabled", NULL) ||
           *doc_str(config, "status", "driver", "release", NULL);
}

// Who may not write what it names takes nothing away from anybody.
static json_t *make_entry(const struct controller_spec *spec, const json_t *config,
                          const struct strlist *clusters)
{
    json_t *entry = json_object();
    json_t *targets = json_array();
    AUTO_STRLIST struct strlist names = {0};
    AUTO_MEM char *lane = NULL;
    // One that is being deleted may have to take back what it wrote as another platform.
    bool writes = platform_traits_of(config)->writes ||
                  doc_get(config, "metadata", "deletionTimestamp", NULL);
    size_t rivals;

    if (tenancy_allows(spec, config))
        platform_targets_named(config, &names);
    lane = make_lane(config, writes, &names, clusters);
    rivals = names.len;
    for (size_t i = 0; clusters && names.len > 0 && writes_there(config) && i < clusters->len; i++)
        strlist_add(&names, clusters->items[i]);
    // Its end takes back flags in objects that are its own, and its own release, whoever has the
    // cluster with the driver.
    if (!platform_traits_of(config)->nodes_elsewhere ||
        !doc_get(config, "metadata", "deletionTimestamp", NULL))
        rivals = names.len;
    for (size_t i = 0; i < names.len; i++)
        json_array_append_new(targets, doc_string(names.items[i]));
    json_object_set_new(entry, "writes", json_boolean(writes));
    json_object_set_new(entry, "home", json_boolean(!platform_names_target(config)));
    json_object_set_new(entry, "targets", targets);
    json_object_set_new(entry, "rivals", json_integer((json_int_t)rivals));
    json_object_set_new(entry, "lane", doc_string(lane));
    json_object_set_new(entry, "created",
                        doc_string(doc_str(config, "metadata", "creationTimestamp", NULL)));
    return entry;
}

static void index_targets(struct roster *roster, const char *key, const json_t *entry, bool there)
{
    const json_t *targets = json_object_get(entry, "targets");

    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *name = json_string_value(json_array_get(targets, i));
        json_t *writers = json_object_get(roster->targets, name);

        if (there && !writers) {
            writers = json_object();
            json_object_set_new(roster->targets, name, writers);
        }
        if (there)
            json_object_set(writers, key, json_object_get(entry, "created"));
        else
            json_object_del(writers, key);
        if (json_object_size(writers) == 0)
            json_object_del(roster->targets, name);
    }
}

bool roster_note(struct roster *roster, const struct controller_spec *spec, const char *key,
                 const json_t *config, const struct strlist *clusters)
{
    json_t *entry = config ? make_entry(spec, config, clusters) : NULL;
    AUTO_JSON json_t *was = json_incref(json_object_get(roster->entries, key));

    if (doc_equal(was, entry)) {
        json_decref(entry);
        return false;
    }
    index_targets(roster, key, was, false);
    index_targets(roster, key, entry, true);
    if (entry)
        json_object_set_new(roster->entries, key, entry);
    else
        json_object_del(roster->entries, key);
    return json_array_size(json_object_get(was, "targets")) +
               json_array_size(json_object_get(entry, "targets")) >
           0;
}

void roster_each(const struct roster *roster, enum roster_scope scope, roster_fn *fn, void *owner)
{
    bool writers = scope == ROSTER_WRITERS || scope == ROSTER_HOME_WRITERS;
    bool home = scope == ROSTER_HOME || scope == ROSTER_HOME_WRITERS;
    const char *key;
    json_t *entry;

    json_object_foreach(roster->entries, key, entry) {
        if ((!writers || doc_bool(entry, false, "writes", NULL)) &&
            (!home || doc_bool(entry, true, "home", NULL)))
            fn(owner, key);
    }
}

const char *roster_lane(const struct roster *roster, const char *key)
{
    const char *lane = doc_str(roster->entries, key, "lane", NULL);

    return *lane ? lane : key;
}

// RFC 3339 in UTC sorts as text; of two of the same second the first name wins.
static bool is_before(const char *key, const char *created, const char *other_key,
                      const char *other_created)
{
    int order = strcmp(created, other_created);

    return order < 0 || (order == 0 && strcmp(key, other_key) < 0);
}

char *roster_writer(const struct roster *roster, const char *key)
{
    const json_t *targets = doc_get(roster->entries, key, "targets", NULL);
    size_t rivals = (size_t)doc_int(roster->entries, 0, key, "rivals", NULL);
    const char *found = NULL, *found_created = NULL;

    for (size_t i = 0; i < rivals; i++) {
        json_t *writers =
            json_object_get(roster->targets, json_string_value(json_array_get(targets, i)));
        const char *other;
        json_t *created;

        json_object_foreach(writers, other, created) {
            if (found && !is_before(other, json_string_value(created), found, found_created))
                continue;
            found = other;
            found_created = json_string_value(created);
        }
    }
    return found ? str_dup(found) : NULL;
}
