// SPDX-License-Identifier: Apache-2.0
// A Cluster whose ClusterClass makes flags of its variables: spec.topology.variables is written, as
// one object for all of them, and the topology controller carries it on.
#include <string.h>

#include "capi_internal.h"

#define WORDS_BYTES_MAX 400

static const struct {
    const char *slot;
    enum component component;
} places[CAPI_PLACES] = {
    {"kube-apiserver", COMPONENT_APISERVER},
    {"kube-controller-manager", COMPONENT_CONTROLLER_MANAGER},
    {"kube-scheduler", COMPONENT_SCHEDULER},
    {"kubelet", COMPONENT_KUBELET},
    {CAPI_SLOT_WORKERS, COMPONENT_KUBELET},
};

static enum capi_place place_of(const struct platform_part *part)
{
    size_t i = 0;

    while (!str_eq(places[i].slot, part->slot))
        i++;
    return (enum capi_place)i;
}

static const char *value_of(const json_t *cluster, const char *name)
{
    return doc_str(capi_variable(cluster, name), "value", NULL);
}

// --- which are used ------------------------------------------------------------------------------

// A record tells what was written for it, whatever the ClusterClass says by now.
static void keep_recorded(struct platform_capi *capi, size_t place)
{
    AUTO_JSON json_t *record = capi_record(capi->cluster, places[place].slot);
    const json_t *names = json_object_get(record, "variables");

    for (size_t i = 0; i < SITE_KINDS; i++) {
        const char *name = doc_str(names, site_kinds[i], NULL);

        if (!*name)
            continue;
        mem_free(capi->carried[place].variables[i]);
        capi->carried[place].variables[i] = str_dup(name);
    }
}

static bool has_record(const json_t *object, size_t place)
{
    AUTO_JSON json_t *record = capi_record(object, places[place].slot);

    return json_object_size(record) > 0;
}

// What the objects that a place is about have of a flag: that of the first one that has another
// value than this. NULL: all have this.
static const char *find_other(const struct platform_capi *capi, size_t place, size_t flag,
                              const char *value)
{
    for (size_t i = 0; i < capi->len; i++) {
        const struct capi_owner *owner = &capi->owners[i];
        bool workers = place == CAPI_PLACE_WORKERS;
        const json_t *base;
        const char *const *path = capi_ways[workers ? CAPI_WAY_KUBELET : place].path;
        const char *there;

        if (workers ? owner->kind != KIND_MACHINE_DEPLOYMENT || !owner->template ||
                          !capi_class_covers(capi, owner->object)
                    : owner->kind != KIND_KUBEADM_CONTROL_PLANE)
            continue;
        base = capi_base(owner, workers ? owner->template : owner->object);
        there = capi_arg(doc_get(base, path[0], path[1], path[2], NULL), capi_flags[flag]);
        if (!str_eq(there ? there : "", value))
            return there ? there : "";
    }
    return NULL;
}

// Something else than the variable sets the flag. While an edit of ours is on its way they differ.
static bool is_set_elsewhere(const struct platform_capi *capi, size_t place)
{
    for (size_t i = 0; i < SITE_KINDS; i++) {
        const char *name = capi->carried[place].variables[i];

        if (name && find_other(capi, place, i, value_of(capi->cluster, name)))
            return true;
    }
    return false;
}

// An API server before 1.34 has to be told to serve what is wanted, which is a flag of its own.
static bool needs_more(const struct platform_capi *capi, size_t place)
{
    static const struct version alone = {1, 34, 0};
    struct version version = {0};

    if (place != CAPI_PLACE_API_SERVER || capi->carried[place].variables[1] || capi->len == 0)
        return false;
    return version_parse(doc_str(capi->owners[0].object, "spec", "version", NULL), &version) &&
           version_compare_minor(version, alone) < 0;
}

static void say_unused(struct platform_capi *capi, size_t place, const char *why)
{
    AUTO_MEM char *note =
        str_format("variable %s of Cluster %s/%s is not used for %s: %s",
                   capi->carried[place].variables[0], capi->namespace, capi->name,
                   place == CAPI_PLACE_WORKERS ? "kubelets of workers"
                                               : component_name(places[place].component),
                   why);

    capi_add_note(capi, note);
    capi_carried_fini(&capi->carried[place]);
}

void capi_variables_choose(struct platform_capi *capi)
{
    AUTO_MEM char *where = str_format("Cluster %s/%s", capi->namespace, capi->name);
    struct error *theirs = capi_check_owner(capi->cluster, where);
    bool any = false;

    for (size_t i = 0; i < CAPI_PLACES; i++) {
        bool kept = has_record(capi->cluster, i);

        if (kept)
            keep_recorded(capi, i);
        if (!capi->carried[i].variables[0])
            continue;
        // What is ours in the control plane itself stays there until it is taken out.
        if (!kept && theirs)
            say_unused(capi, i, error_text(theirs));
        else if (!kept && needs_more(capi, i))
            say_unused(capi, i, "there is none for --runtime-config, which is needed before 1.34");
        else if (!kept && i != CAPI_PLACE_WORKERS && capi->len > 0 &&
                 has_record(capi->owners[0].object, i))
            say_unused(capi, i, "what was written stands in the KubeadmControlPlane");
        else if (!kept && is_set_elsewhere(capi, i))
            say_unused(capi, i, "something else sets that flag");
        any = any || capi->carried[i].variables[0];
    }
    error_free(theirs);
    if (any)
        capi_add_owner(capi, KIND_CLUSTER, json_incref(capi->cluster));
}

bool capi_is_carried(const struct platform_capi *capi, size_t way)
{
    size_t place = way >= CAPI_WAY_KUBELET ? CAPI_PLACE_KUBELETS : way;

    return capi->carried[place].variables[0] != NULL;
}

bool capi_is_cluster_waited_for(const json_t *cluster)
{
    for (size_t i = 0; i < CAPI_PLACES; i++) {
        AUTO_JSON json_t *record = capi_record(cluster, places[i].slot);

        if (platform_is_rolling(cluster, places[i].slot) || json_object_get(record, "failed"))
            return true;
    }
    return false;
}

// --- parts ---------------------------------------------------------------------------------------

// {"variables": {kind: name}, "extraArgs": {flag: value}, "parents": which of them are there}
static json_t *tree_of(const struct platform_capi *capi, size_t place)
{
    json_t *tree = json_object();
    json_int_t there = 0;

    for (size_t i = 0; i < SITE_KINDS; i++) {
        const char *name = capi->carried[place].variables[i];
        const json_t *variable = name ? capi_variable(capi->cluster, name) : NULL;

        if (name)
            doc_set(tree, doc_string(name), "variables", site_kinds[i], NULL);
        if (variable)
            there |= (json_int_t)1 << i;
        if (*doc_str(variable, "value", NULL))
            doc_set(tree, doc_string(doc_str(variable, "value", NULL)), "extraArgs", capi_flags[i],
                    NULL);
    }
    json_object_set_new(tree, PLATFORM_PARENTS, json_integer(there));
    return tree;
}

static bool is_tree(const json_t *tree)
{
    json_t *args = json_object_get(tree, "extraArgs"), *value;
    const char *name;

    json_object_foreach(args, name, value) {
        if (!json_is_string(value))
            return false;
    }
    return json_is_object(tree) && (!args || json_is_object(args)) &&
           json_is_object(json_object_get(tree, "variables"));
}

static bool is_covered(const struct platform_capi *capi, const struct capi_owner *owner, bool cp)
{
    return cp ? owner->kind == KIND_KUBEADM_CONTROL_PLANE
              : owner->kind == KIND_MACHINE_DEPLOYMENT && capi_class_covers(capi, owner->object);
}

// Why the topology controller does not carry it on; NULL: it says nothing. Owned.
static char *topology_words(const struct platform_capi *capi)
{
    const json_t *conditions = capi_conditions(capi->cluster);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        AUTO_JSON json_t *cut = NULL;

        if (!str_eq(doc_str(condition, "type", NULL), "TopologyReconciled") ||
            !str_eq(doc_str(condition, "status", NULL), "False"))
            continue;
        cut = doc_string_of(slice_of(doc_str(condition, "message", NULL)), WORDS_BYTES_MAX);
        return str_format("TopologyReconciled: %s", json_string_value(cut));
    }
    return NULL;
}

// Nothing of ours is in a variable of which the ClusterClass makes nothing any more: what the
// objects say is not for it to change.
static bool is_let_go(const struct platform_capi *capi, const struct platform_part *part)
{
    enum capi_place place = place_of(part);

    return capi->class &&
           !str_eq(capi->known[place].variables[0], capi->carried[place].variables[0]) &&
           json_object_size(json_object_get(part->owned, site_kinds[0])) == 0 &&
           json_object_size(json_object_get(part->owned, site_kinds[1])) == 0;
}

// That of all objects that the place is about, once they have what the variables say.
static void note_rollout(const struct platform_capi *capi, struct platform_part *part)
{
    enum capi_place place = place_of(part);
    struct rollout *r = &part->rollout;

    *r = (struct rollout){.seen = !is_set_elsewhere(capi, place) || is_let_go(capi, part),
                          .complete = true};
    for (size_t i = 0; i < capi->len; i++) {
        const struct capi_owner *owner = &capi->owners[i];
        struct rollout one;

        if (!is_covered(capi, owner, place != CAPI_PLACE_WORKERS))
            continue;
        one = capi_rollout_of(owner, capi->sets_listed);
        r->seen = r->seen && one.seen;
        r->complete = r->complete && one.complete;
        r->desired += one.desired;
        r->updated += one.updated;
        r->available += one.available;
        if (owner->machines.newest_ms > part->progress_ms)
            part->progress_ms = owner->machines.newest_ms;
        if (owner->machines.words && !part->words)
            part->words = str_dup(owner->machines.words);
    }
    r->complete = r->complete && r->seen;
    if (!r->seen && !part->words)
        part->words = topology_words(capi);
}

// One variable is for all of them, also for those that an upgrade has not reached.
static void note_lowest_version(const struct platform_capi *capi, struct platform_part *part)
{
    for (size_t i = 0; place_of(part) == CAPI_PLACE_WORKERS && i < capi->len; i++) {
        const struct capi_owner *owner = &capi->owners[i];

        if (is_covered(capi, owner, false) && owner->version.major > 0 &&
            (part->version.major == 0 || version_compare_minor(owner->version, part->version) < 0))
            part->version = owner->version;
    }
}

unsigned capi_variables_nodes(const struct platform_capi *capi, const struct platform_part *part)
{
    unsigned nodes = 0;

    if (part->component != COMPONENT_KUBELET)
        return 0;
    for (size_t i = 0; i < capi->len; i++) {
        if (is_covered(capi, &capi->owners[i], place_of(part) != CAPI_PLACE_WORKERS))
            nodes += capi_nodes_of(&capi->owners[i]);
    }
    return nodes;
}

struct error *capi_variables_read(struct capi_owner *owner, const struct platform_capi *capi)
{
    struct error *err = capi_check_owner(owner->object, owner->where);

    if (capi->len > 0)
        (void)version_parse(doc_str(capi->owners[0].object, "spec", "version", NULL),
                            &owner->version);
    for (size_t i = 0; !err && i < CAPI_PLACES; i++) {
        struct platform_part *part = &owner->parts[owner->len];

        if (!capi->carried[i].variables[0])
            continue;
        owner->len++;
        *part = (struct platform_part){.component = places[i].component,
                                       .kind = KIND_CLUSTER,
                                       .slot = places[i].slot,
                                       .object = json_incref(owner->object),
                                       .where = str_dup(owner->where),
                                       .is_tree = is_tree,
                                       .version = owner->version};
        part->tree = tree_of(capi, i);
        part->place =
            (struct site_place){&site_extra_args, part->component, part->where, "/extraArgs", true};
        note_lowest_version(capi, part);
        err = platform_part_read(part);
        if (!err)
            note_rollout(capi, part);
    }
    return err;
}

// --- edits ---------------------------------------------------------------------------------------

static void put_variable(json_t *variables, const char *name, const char *value, bool keep)
{
    for (size_t i = 0; i < json_array_size(variables); i++) {
        json_t *variable = json_array_get(variables, i);

        if (!str_eq(doc_str(variable, "name", NULL), name))
            continue;
        if (*value || keep)
            json_object_set_new(variable, "value", doc_string(value));
        else
            json_array_remove(variables, i);
        return;
    }
    if (*value)
        json_array_append_new(variables, json_pack("{s:o, s:o}", "name", doc_string(name), "value",
                                                   doc_string(value)));
}

void capi_variables_put(json_t *cluster, const json_t *tree)
{
    const json_t *there = doc_get(cluster, "spec", "topology", "variables", NULL);
    json_t *variables = json_is_array(there) ? doc_copy(there) : json_array();
    int64_t keep = doc_int(tree, 0, PLATFORM_PARENTS, NULL);

    for (size_t i = 0; i < SITE_KINDS; i++) {
        const char *name = doc_str(tree, "variables", site_kinds[i], NULL);

        if (*name)
            put_variable(variables, name, doc_str(tree, "extraArgs", capi_flags[i], NULL),
                         keep >> i & 1);
    }
    if (json_array_size(variables) > 0) {
        doc_set(cluster, variables, "spec", "topology", "variables", NULL);
        return;
    }
    json_decref(variables);
    json_object_del((json_t *)(uintptr_t)doc_get(cluster, "spec", "topology", NULL), "variables");
}
