// SPDX-License-Identifier: Apache-2.0
// Which API versions the live API servers must serve: what each live client of DRA asks for by its
// own minor, what gates that are turned on need, and what the intent itself asks for; and which of
// that has to be written.
#include "resolve_internal.h"

// One version that one class of clients asks for.
struct need {
    char *group, *version, *group_version;
    const char *gate; // what makes it needed: a gate, or a feature
    bool feature;
    const struct class *client;
};

struct needs {
    struct need *items;
    size_t len;
};

static void needs_fini(struct needs *n)
{
    for (size_t i = 0; i < n->len; i++) {
        mem_free(n->items[i].group);
        mem_free(n->items[i].version);
        mem_free(n->items[i].group_version);
    }
    mem_free(n->items);
}

static const char *kind_of(const struct need *n)
{
    return n->feature ? "feature" : "feature gate";
}

static struct need *add_need(struct needs *n, const struct class *client, const char *gate,
                             const char *group, const char *version)
{
    n->items = mem_realloc(n->items, (n->len + 1) * sizeof(*n->items));
    n->items[n->len++] = (struct need){
        .group = str_dup(group),
        .version = str_dup(version),
        .group_version = str_format("%s/%s", group, version),
        .gate = gate,
        .client = client,
    };
    return &n->items[n->len - 1];
}

// On, and on because of the intent: what others turned on without us is theirs to serve.
static bool turned_on(const struct resolver *r, const struct class *c, const char *name,
                      const struct gate_row *row)
{
    size_t w = judge_want(r, name);
    bool asked = w < r->wants_len && c->targeted[w] && r->wants[w].value;
    return judge_value(r, c, name, row, true) && (asked || !judge_value(r, c, name, row, false));
}

static void collect_required(const struct resolver *r, const struct class *c, struct needs *needs)
{
    for (size_t i = 0; i < r->table->gates_len; i++) {
        const struct gate_row *row = &r->table->gates[i];
        struct gate gate;
        if (row->requires_api_len == 0 || !gates_row_at(row, c->minor, &gate) ||
            gate.requires_api == NULL)
            continue;
        if ((gate.components & (1u << c->instance->component)) == 0 ||
            !turned_on(r, c, row->name, row))
            continue;
        AUTO_MEM char *group = NULL;
        AUTO_MEM char *version = NULL;
        AUTO_MEM char *resource = NULL;
        if (gates_runtime_split(gate.requires_api, &group, &version, &resource))
            add_need(needs, c, row->name, group, version);
    }
}

// The versions in which the features are used, on the API servers that have them.
static void collect_features(const struct resolver *r, const struct class *server,
                             struct needs *needs)
{
    int minor = gates_feature_minor(r->table, server->emulated);
    for (size_t f = 0; f < r->features_len; f++) {
        const char *const *api = gates_feature_apis(r->features[f], minor);
        for (; *api != NULL; api++) {
            AUTO_MEM char *group = NULL;
            AUTO_MEM char *version = NULL;
            AUTO_MEM char *resource = NULL;
            if (gates_runtime_split(*api, &group, &version, &resource))
                add_need(needs, server, r->features[f]->name, group, version)->feature = true;
        }
    }
}

static void collect(struct resolver *r, struct needs *needs)
{
    const struct gate_row *dra = gates_row(r->table, DRA_GATE);
    for (size_t i = 0; i < r->classes_len; i++) {
        const struct class *c = &r->classes[i];
        const char *version = gates_client_version(r->table, DRA_GROUP, c->minor);
        if (turned_on(r, c, DRA_GATE, dra)) {
            r->dra = true;
            if (version != NULL)
                add_need(needs, c, DRA_GATE, DRA_GROUP, version);
        }
        collect_required(r, c, needs);
        if (c->instance->component == COMPONENT_APISERVER)
            collect_features(r, c, needs);
    }
    for (size_t i = 0; i < needs->len; i++) {
        const struct need *n = &needs->items[i];
        size_t at = 0;
        if (!str_eq(n->group, DRA_GROUP))
            continue;
        while (at < json_array_size(r->needed) &&
               gates_api_compare(json_string_value(json_array_get(r->needed, at)), n->version) < 0)
            at++;
        if (!str_eq(json_string_value(json_array_get(r->needed, at)), n->version))
            json_array_insert_new(r->needed, at, doc_string(n->version));
    }
}

// Whether this API server can serve it: registered by the binary, not newer than what it emulates,
// and, for a client of DRA, with the claims in it (from 1.34 on v1alpha3 has only device taint
// rules).
static bool can_serve(const struct resolver *r, const struct class *server, const struct need *n)
{
    const struct api_row *row = gates_api_row(r->table, n->group, n->version);
    if (gates_api_at(row, server->minor) < 0 || gates_api_at(row, server->emulated) < 0)
        return false;
    const char *const *resources = gates_api_resources(row, server->minor);
    return !str_eq(n->gate, DRA_GATE) || resources == NULL ||
           gates_names_have(resources, "resourceclaims");
}

// During a roll a newer client may be there before the last old API server is gone, and talks to
// one that is new already.
static bool newer_server_serves(const struct resolver *r, const struct need *n)
{
    for (size_t i = 0; i < r->classes_len; i++) {
        const struct class *c = &r->classes[i];
        if (c->instance->component == COMPONENT_APISERVER && c->minor >= n->client->minor &&
            can_serve(r, c, n))
            return true;
    }
    return false;
}

// What the intent's own runtimeConfig says about the version or one of its resources: true when it
// turns some of it off.
static bool intent_turns_off(const struct resolver *r, const struct need *n,
                             const char *const *resources)
{
    const json_t *own = r->intent->runtime_config;
    if (str_eq(json_string_value(json_object_get(own, n->group_version)), "false"))
        return true;
    for (; resources != NULL && *resources != NULL; resources++) {
        AUTO_MEM char *key = str_format("%s/%s", n->group_version, *resources);
        if (str_eq(json_string_value(json_object_get(own, key)), "false"))
            return true;
    }
    return false;
}

// Foreign entries with the intent's and ours over them.
static json_t *merged_runtime(const struct resolver *r, const struct class *server)
{
    json_t *merged = json_object();
    json_object_update(merged, (json_t *)(uintptr_t)server->instance->foreign_runtime);
    json_object_update(merged, (json_t *)(uintptr_t)r->intent->runtime_config);
    json_object_update(merged, server->desired.runtime_config);
    return merged;
}

static void serve(struct resolver *r, struct class *server, const struct need *n)
{
    const struct api_row *row = gates_api_row(r->table, n->group, n->version);
    const char *const *resources = gates_api_resources(row, server->minor);
    bool by_default = gates_api_at(row, server->emulated) == 1;
    AUTO_JSON json_t *merged = merged_runtime(r, server);
    if (intent_turns_off(r, n, resources)) {
        refuse_with(
            r, server, REFUSAL_API_NEEDED, n->group_version,
            "spec.runtimeConfig turns off %s, which %s needs for %s %s; take that entry out",
            n->group_version, n->client->instance->id, kind_of(n), n->gate);
        return;
    }
    if (gates_runtime_serves(merged, n->group, n->version, by_default, resources))
        return;
    if (gates_api_level(n->version) == API_ALPHA && !r->intent->allow_alpha) {
        refuse_with(
            r, server, REFUSAL_ALPHA, n->group_version,
            "%s is an alpha API that %s needs for %s %s; set spec.allowAlpha to true or take "
            "the %s out",
            n->group_version, n->client->instance->id, kind_of(n), n->gate, kind_of(n));
        return;
    }
    json_object_set_new(server->desired.runtime_config, n->group_version, json_string("true"));
    json_object_set_new(merged, n->group_version, json_string("true"));
    if (gates_runtime_serves(merged, n->group, n->version, by_default, resources))
        return;
    // A foreign entry for a single resource outranks the version.
    for (; resources != NULL && *resources != NULL; resources++) {
        AUTO_MEM char *key = str_format("%s/%s", n->group_version, *resources);
        if (str_eq(json_string_value(json_object_get(merged, key)), "false"))
            json_object_set_new(server->desired.runtime_config, key, json_string("true"));
    }
}

static void refuse_skew(struct resolver *r, const struct class *server, const struct need *n)
{
    AUTO_MEM char *version = version_format(server->instance->version);
    if (str_eq(n->gate, DRA_GATE))
        refuse_with(r, n->client, REFUSAL_SKEW, n->group_version,
                    "asks for %s, which %s (%s) cannot serve%s; bring them to versions that share "
                    "one, or turn %s off",
                    n->group_version, server->instance->id, version,
                    server->emulated != server->minor ? " at the version it emulates" : "",
                    DRA_GATE);
    else
        refuse_with(r, n->client, REFUSAL_API_NOT_REGISTERED, n->group_version,
                    "needs %s for %s %s, which %s (%s) does not have; take the %s out",
                    n->group_version, kind_of(n), n->gate, server->instance->id, version,
                    kind_of(n));
}

static void satisfy(struct resolver *r, struct class *server, const struct need *n)
{
    // An API server is its own client (node authorizer) and never another one's.
    if (n->client->instance->component == COMPONENT_APISERVER && n->client != server)
        return;
    if (can_serve(r, server, n))
        serve(r, server, n);
    else if (n->client->minor <= server->minor || !newer_server_serves(r, n))
        refuse_skew(r, server, n);
}

// --- the intent's own entries --------------------------------------------------------------------

enum entry_state {
    ENTRY_OK,
    ENTRY_UNKNOWN_GROUP,
    ENTRY_UNREGISTERED,
    ENTRY_NOT_EMULATED,
    ENTRY_TABLE_ENDED,
    ENTRY_TABLE_BEGINS
};

static enum entry_state entry_state(const struct resolver *r, const struct class *server,
                                    const char *group, const char *version)
{
    const struct api_row *row = gates_api_row(r->table, group, version);
    if (gates_api_at(row, server->minor) >= 0)
        return gates_api_at(row, server->emulated) >= 0 ? ENTRY_OK : ENTRY_NOT_EMULATED;
    bool group_known = gates_group_known(r->table, group, server->minor);
    if (gates_covers(r->table, server->minor))
        return group_known ? ENTRY_UNREGISTERED : ENTRY_UNKNOWN_GROUP;
    if (group_known && str_eq(group, DRA_GROUP))
        return ENTRY_UNREGISTERED; // of this group the table knows more minors than of the others
    return server->minor > r->table->newest ? ENTRY_TABLE_ENDED : ENTRY_TABLE_BEGINS;
}

static void refuse_entry(struct resolver *r, const struct class *server, const char *key,
                         enum entry_state state)
{
    switch (state) {
    case ENTRY_UNKNOWN_GROUP:
        refuse_with(r, server, REFUSAL_API_INVALID, key,
                    "there is no API group of spec.runtimeConfig entry %s; correct it", key);
        return;
    case ENTRY_UNREGISTERED:
        refuse_with(r, server, REFUSAL_API_NOT_REGISTERED, key,
                    "the API version of spec.runtimeConfig entry %s does not exist there and the "
                    "API server would not start; take it out",
                    key);
        return;
    case ENTRY_NOT_EMULATED:
        refuse_with(r, server, REFUSAL_API_NOT_REGISTERED, key,
                    "spec.runtimeConfig entry %s is newer than the emulated version; raise "
                    "--emulated-version or take it out",
                    key);
        return;
    case ENTRY_TABLE_ENDED:
        refuse_with(r, server, REFUSAL_TOO_NEW, key,
                    "whether spec.runtimeConfig entry %s exists there is not known, the table ends "
                    "with Kubernetes 1.%d; take it out",
                    key, r->table->newest);
        return;
    case ENTRY_TABLE_BEGINS:
        refuse_with(r, server, REFUSAL_TOO_OLD, key,
                    "whether spec.runtimeConfig entry %s exists there is not known, the table "
                    "begins with Kubernetes 1.%d; upgrade first",
                    key, r->table->oldest);
        return;
    case ENTRY_OK:
        return;
    }
}

// The state of an entry on every API server: good where all have it, or (in a roll between minors)
// the newest or oldest do.
static void ask_entry(struct resolver *r, struct class *server, const char *key, const char *value,
                      const char *group, const char *version, const char *resource)
{
    const struct api_row *row = gates_api_row(r->table, group, version);
    bool on = str_eq(value, "true");
    if (on && gates_api_level(version) == API_ALPHA && !r->intent->allow_alpha) {
        refuse_with(r, server, REFUSAL_ALPHA, key,
                    "spec.runtimeConfig entry %s is an alpha API; set spec.allowAlpha to true or "
                    "take it out",
                    key);
        return;
    }
    // What is there without this entry: foreign ones and the intent's wildcards.
    AUTO_JSON json_t *without = merged_runtime(r, server);
    const json_t *foreign = json_object_get(server->instance->foreign_runtime, key);
    json_object_del(without, key);
    if (foreign != NULL)
        json_object_set(without, key, (json_t *)(uintptr_t)foreign);
    const char *const one[] = {resource, NULL};
    bool have =
        gates_runtime_serves(without, group, version, gates_api_at(row, server->emulated) == 1,
                             resource == NULL ? NULL : one);
    if (have != on)
        json_object_set_new(server->desired.runtime_config, key, doc_string(value));
}

static void ask_wildcard(struct resolver *r, struct class *server, const char *key,
                         const char *value)
{
    bool on = str_eq(value, "true");
    if (on && (str_eq(key, "api/all") || str_eq(key, "api/alpha")) && !r->intent->allow_alpha) {
        refuse_with(r, server, REFUSAL_ALPHA, key,
                    "spec.runtimeConfig entry %s turns on alpha APIs; set spec.allowAlpha to true "
                    "or name the versions one by one",
                    key);
        return;
    }
    const char *foreign =
        json_string_value(json_object_get(server->instance->foreign_runtime, key));
    if (!str_eq(foreign, value))
        json_object_set_new(server->desired.runtime_config, key, doc_string(value));
}

// Which minors of API servers take the entry, for the roll between minors.
struct takers {
    int oldest, newest; // of all API servers
    bool oldest_takes, newest_takes;
};

static struct takers takers_of(const struct resolver *r, const char *group, const char *version)
{
    struct takers t = {0};
    for (size_t i = 0; i < r->classes_len; i++) {
        const struct class *c = &r->classes[i];
        if (c->instance->component != COMPONENT_APISERVER)
            continue;
        bool takes = entry_state(r, c, group, version) == ENTRY_OK;
        if (t.newest == 0 || c->minor > t.newest) {
            t.newest = c->minor;
            t.newest_takes = takes;
        }
        if (t.oldest == 0 || c->minor < t.oldest) {
            t.oldest = c->minor;
            t.oldest_takes = takes;
        }
    }
    return t;
}

static void ask(struct resolver *r, struct class *server, const char *key, const char *value)
{
    AUTO_MEM char *group = NULL;
    AUTO_MEM char *version = NULL;
    AUTO_MEM char *resource = NULL;
    if (!str_eq(value, "true") && !str_eq(value, "false")) {
        refuse_with(r, server, REFUSAL_API_INVALID, key,
                    "spec.runtimeConfig entry %s must be \"true\" or \"false\"", key);
    } else if (gates_runtime_is_wildcard(key)) {
        ask_wildcard(r, server, key, value);
    } else if (!gates_runtime_split(key, &group, &version, &resource)) {
        refuse_with(r, server, REFUSAL_API_INVALID, key,
                    "spec.runtimeConfig entry %s is neither group/version nor "
                    "group/version/resource nor api/all, ga, beta or alpha",
                    key);
    } else {
        enum entry_state state = entry_state(r, server, group, version);
        struct takers t = takers_of(r, group, version);
        if (state == ENTRY_OK)
            ask_entry(r, server, key, value, group, version, resource);
        else if (state != ENTRY_UNREGISTERED || (!t.oldest_takes && !t.newest_takes))
            refuse_entry(r, server, key, state);
    }
}

// What the API server's own validation says of the entries together: nothing but api/all=false
// leaves no API at all, and API priority and fairness, on unless a flag says otherwise, needs
// flowcontrol's v1. Where a foreign entry turned that off already, the server runs without it.
static void check_together(struct resolver *r, const struct class *server)
{
    static const char *const flow_control[] = {"flowcontrol.apiserver.k8s.io/v1", "api/ga",
                                               "api/all"};
    const json_t *foreign = server->instance->foreign_runtime,
                 *ours = server->desired.runtime_config;
    AUTO_JSON json_t *written = json_object();
    json_object_update(written, (json_t *)(uintptr_t)foreign);
    json_object_update(written, (json_t *)(uintptr_t)ours);
    for (size_t i = 0; i < COUNT(flow_control); i++) {
        const char *value = json_string_value(json_object_get(written, flow_control[i]));
        if (str_eq(json_string_value(json_object_get(foreign, flow_control[i])), "false") ||
            str_eq(value, "true"))
            return;
        if (!str_eq(value, "false"))
            continue;
        refuse_with(r, server, REFUSAL_API_INVALID, flow_control[i],
                    "spec.runtimeConfig entry %s=false turns off what API priority and fairness "
                    "needs and the API server would not "
                    "start; take it out",
                    flow_control[i]);
        return;
    }
}

void needs_resolve(struct resolver *r)
{
    struct needs needs = {0};
    collect(r, &needs);
    for (size_t i = 0; i < r->classes_len; i++) {
        struct class *server = &r->classes[i];
        if (server->instance->component != COMPONENT_APISERVER)
            continue;
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)r->intent->runtime_config, key, value)
            ask(r, server, key, json_string_value(value));
        for (size_t n = 0; n < needs.len; n++)
            satisfy(r, server, &needs.items[n]);
        check_together(r, server);
    }
    needs_fini(&needs);
}
