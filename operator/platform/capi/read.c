// SPDX-License-Identifier: Apache-2.0
// What stands in the objects of a Cluster: whose they are, where their flags are written, and how
// far their Machines are.
#include <string.h>

#include "capi_internal.h"

const struct capi_way capi_ways[CAPI_WAYS] = {
    {"kube-apiserver", COMPONENT_APISERVER, {"clusterConfiguration", "apiServer", "extraArgs"}},
    {"kube-controller-manager",
     COMPONENT_CONTROLLER_MANAGER,
     {"clusterConfiguration", "controllerManager", "extraArgs"}},
    {"kube-scheduler", COMPONENT_SCHEDULER, {"clusterConfiguration", "scheduler", "extraArgs"}},
    {"kubelet", COMPONENT_KUBELET, {"joinConfiguration", "nodeRegistration", "kubeletExtraArgs"}},
    // Of the first node; kubeadm knows no other place, and a node that joins must be the same.
    {"kubelet-init",
     COMPONENT_KUBELET,
     {"initConfiguration", "nodeRegistration", "kubeletExtraArgs"}},
};

// --- whose ---------------------------------------------------------------------------------------

struct error *capi_check_owner(const json_t *object, const char *where)
{
    static const char helm[] = "meta.helm.sh/release-name";
    const char *release = doc_str(object, "metadata", "annotations", helm, NULL);

    if (*release)
        return error_because(
            ERROR_INVALID, "NotManaged",
            "%s is of the Helm release %s/%s, whose next upgrade would undo a "
            "change; set the flags in its values",
            where,
            doc_str(object, "metadata", "annotations", "meta.helm.sh/release-namespace", NULL),
            release);
    // The Cluster itself, of what its topology controller makes.
    return platform_check_owner(object, where, CAPI_CORE_GROUP "/");
}

struct error *capi_control_plane_name(const json_t *cluster, const char **ret_name)
{
    const json_t *ref = doc_get(cluster, "spec", "controlPlaneRef", NULL);
    const char *kind = doc_str(ref, "kind", NULL);

    *ret_name = doc_str(ref, "name", NULL);
    if (str_eq(kind, "KubeadmControlPlane"))
        return NULL;
    return error_because(ERROR_INVALID, "NotSupported",
                         "the control plane of Cluster %s/%s is %s%s, and no KubeadmControlPlane",
                         doc_str(cluster, "metadata", "namespace", NULL),
                         doc_str(cluster, "metadata", "name", NULL), *kind ? "a " : "not named",
                         kind);
}

const char *capi_template_name(const json_t *deployment)
{
    const json_t *ref =
        doc_get(deployment, "spec", "template", "spec", "bootstrap", "configRef", NULL);
    const char *name = doc_str(ref, "name", NULL);

    const char *kind = doc_str(ref, "kind", NULL);

    return (str_eq(kind, "KubeadmConfigTemplate") || str_eq(kind, "KubeadmConfig")) && *name ? name
                                                                                             : NULL;
}

bool capi_makes_workers(const struct capi_owner *owner)
{
    return owner->kind == KIND_MACHINE_DEPLOYMENT || owner->kind == KIND_MACHINE_POOL;
}

enum platform_kind capi_template_kind(const struct capi_owner *owner)
{
    return owner->kind == KIND_MACHINE_POOL ? KIND_KUBEADM_CONFIG : KIND_KUBEADM_CONFIG_TEMPLATE;
}

json_t *capi_config_spec(const json_t *spec)
{
    json_t *copy = json_is_object(spec) ? doc_copy(spec) : json_object();
    json_t *join = json_object_get(copy, "joinConfiguration"),
           *discovery = json_object_get(join, "discovery"),
           *token = json_object_get(discovery, "bootstrapToken");

    json_object_del(token, "token");
    if (token && json_object_size(token) == 0)
        json_object_del(discovery, "bootstrapToken");
    if (discovery && json_object_size(discovery) == 0)
        json_object_del(join, "discovery");
    return copy;
}

bool capi_is_topology(const json_t *object)
{
    return doc_get(object, "metadata", "labels", CAPI_TOPOLOGY_LABEL, NULL) != NULL;
}

// The Cluster itself has the label too, and is its user's.
bool capi_is_made_by_topology(const struct platform_part *part)
{
    return part->kind != KIND_CLUSTER && capi_is_topology(part->object);
}

json_t *capi_record(const json_t *object, const char *slot)
{
    AUTO_MEM char *key = platform_annotation(slot);
    const char *text = doc_str(object, "metadata", "annotations", key, NULL);
    json_t *record = NULL;

    if (*text && strlen(text) <= PLATFORM_RECORD_BYTES_MAX)
        error_ignore(doc_parse_json(slice_of(text), key, &record),
                     "a record that cannot be read is none");
    return record;
}

char *capi_original_name(const json_t *deployment)
{
    AUTO_JSON json_t *record = capi_record(deployment, capi_ways[CAPI_WAY_KUBELET].slot);
    const char *name = doc_str(record, "before", "template", NULL);

    return *name ? str_dup(name) : NULL;
}

bool capi_is_waited_for(const struct capi_owner *owner)
{
    for (size_t i = 0; i < CAPI_WAYS; i++) {
        AUTO_JSON json_t *record = NULL;

        if (platform_is_rolling(owner->object, capi_ways[i].slot))
            return true;
        record = capi_record(owner->object, capi_ways[i].slot);
        // What was put back rolls out too.
        if (json_object_get(record, "failed") && !capi_rollout_of(owner, false).complete)
            return true;
    }
    return false;
}

// --- where flags are written ---------------------------------------------------------------------

const json_t *capi_base(const struct capi_owner *owner, const json_t *object)
{
    if (owner->kind == KIND_MACHINE_POOL)
        return json_object_get(object, "spec");
    return owner->kind == KIND_KUBEADM_CONTROL_PLANE
               ? doc_get(object, "spec", "kubeadmConfigSpec", NULL)
               : doc_get(object, "spec", "template", "spec", NULL);
}

const char *const *capi_path(const char *slot)
{
    for (size_t i = 0; i < CAPI_WAYS; i++) {
        if (str_eq(capi_ways[i].slot, slot))
            return capi_ways[i].path;
    }
    return NULL;
}

// The value of a flag in a map or a list of extraArgs; NULL: it is not there.
const char *capi_arg(const json_t *args, const char *name)
{
    const json_t *value = json_object_get(args, name);

    for (size_t i = 0; !value && i < json_array_size(args); i++) {
        const json_t *arg = json_array_get(args, i);

        if (str_eq(doc_str(arg, "name", NULL), name))
            value = json_object_get(arg, "value");
    }
    return json_string_value(value);
}

json_t *capi_args_tree(const json_t *base, const struct capi_way *way)
{
    json_t *tree = json_object();
    const json_t *at = base, *args = NULL;
    int there = 0;

    for (; there < 2; there++) {
        const json_t *next = json_object_get(at, way->path[there]);

        if (!json_is_object(next))
            break;
        at = next;
    }
    args = there == 2 ? json_object_get(at, way->path[2]) : NULL;
    if (args)
        json_object_set_new(tree, way->path[2], doc_copy(args));
    json_object_set_new(tree, PLATFORM_PARENTS, json_integer(there));
    return tree;
}

static bool is_args(const json_t *args)
{
    const char *name;
    json_t *value;
    size_t i;

    if (args && !json_is_object(args) && !json_is_array(args))
        return false;
    json_object_foreach((json_t *)(uintptr_t)args, name, value) {
        if (!json_is_string(value))
            return false;
    }
    json_array_foreach((json_t *)(uintptr_t)args, i, value) {
        if (!*doc_str(value, "name", NULL) || !json_is_string(json_object_get(value, "value")))
            return false;
    }
    return true;
}

static bool is_tree(const json_t *tree)
{
    const json_t *content = json_object_get(tree, "content"),
                 *template = json_object_get(tree, "template");

    return json_is_object(tree) && is_args(json_object_get(tree, "extraArgs")) &&
           is_args(json_object_get(tree, "kubeletExtraArgs")) &&
           (!content || json_is_string(content)) && (!template || json_is_string(template));
}

// --- parts ---------------------------------------------------------------------------------------

struct platform_part *capi_add_part(struct capi_owner *owner, const struct capi_way *way)
{
    struct platform_part *part = &owner->parts[owner->len++];

    *part = (struct platform_part){
        .component = way->component,
        .kind = owner->kind,
        .slot = way->slot,
        .object = json_incref(owner->object),
        .where = str_dup(owner->where),
        .is_tree = is_tree,
        .version = owner->version,
    };
    return part;
}

// A template is part of what stands: the same flags in another one are somebody else's.
void capi_note_template(const json_t *template, json_t *tree)
{
    if (template)
        json_object_set_new(tree, "template",
                            doc_string(doc_str(template, "metadata", "name", NULL)));
}

struct error *capi_add_args(struct capi_owner *owner, const struct platform_capi *capi,
                            const json_t *base, const struct capi_way *way)
{
    struct platform_part *part = capi_add_part(owner, way);

    part->tree = capi_args_tree(base, way);
    capi_note_template(owner->template, part->tree);
    part->place = (struct site_place){&site_extra_args, way->component, part->where,
                                      way->component == COMPONENT_KUBELET ? "/kubeletExtraArgs"
                                                                          : "/extraArgs",
                                      str_eq(capi->control_plane, "v1beta1")};
    return platform_part_read(part);
}

// --- owners --------------------------------------------------------------------------------------

// Before is the template that stood there before ours, as it says now: somebody may have changed it
// since. NULL: flags are written in another way there.
static json_t *make_before(const struct capi_owner *owner)
{
    const json_t *base = capi_base(owner, owner->original);
    const json_t *files = json_object_get(base, "files");
    int index = capi_kubelet_file(base);
    bool file = json_object_get(owner->parts[0].tree, "content") != NULL;
    json_t *before;

    if (!owner->original || file != (index >= 0))
        return NULL;
    before = file ? capi_file_tree(json_array_get(files, (size_t)index))
                  : capi_args_tree(base, &capi_ways[CAPI_WAY_KUBELET]);
    capi_note_template(owner->original, before);
    return before;
}

static void refresh_before(struct capi_owner *owner)
{
    struct platform_part *part = &owner->parts[0];
    json_t *before = json_object_get(part->record, "before") ? make_before(owner) : NULL;

    if (before)
        json_object_set_new(part->record, "before", before);
    else
        json_object_del(part->record, "before");
}

// Ours can be made again of the one from before.
static void read_lost(struct capi_owner *owner)
{
    const char *named = capi_template_name(owner->object);

    if (owner->template || !named || !owner->original)
        return;
    owner->template = doc_copy(owner->original);
    doc_set(owner->template, doc_string(named), "metadata", "name", NULL);
    owner->lost = true;
}

static struct error *read_deployment(struct capi_owner *owner, const struct platform_capi *capi)
{
    const char *named = capi_template_name(owner->object),
               *kind = platform_kind(capi_template_kind(owner))->kind;
    struct error *err;

    (void)version_parse(doc_str(owner->object, "spec", "template", "spec", "version", NULL),
                        &owner->version);
    if (owner->version.major == 0 && capi->len > 0)
        owner->version = capi->owners[0].version;
    read_lost(owner);
    if (!owner->template) {
        owner->foreign = named ? str_format("%s %s/%s, which it names, is not there", kind,
                                            capi->namespace, named)
                               : str_format("its Machines are made of no %s", kind);
        return NULL;
    }
    if (!capi->above && owner->kind == KIND_MACHINE_DEPLOYMENT &&
        capi_class_covers(capi, owner->object))
        return NULL;
    if (capi_is_topology(owner->object) && !capi->above) {
        owner->foreign = str_format("its templates are made by the ClusterClass of Cluster %s/%s",
                                    capi->namespace, capi->name);
        return NULL;
    }
    err = capi->above ? NULL : capi_check_owner(owner->object, owner->where);
    if (err) {
        owner->foreign = str_dup(error_text(err));
        error_ignore(err, "it is told, and the others are configured");
        return NULL;
    }
    err = capi_add_kubelets(owner, capi, capi_base(owner, owner->template));
    if (!err)
        refresh_before(owner);
    return err;
}

static struct error *read_control_plane(struct capi_owner *owner, const struct platform_capi *capi)
{
    const json_t *base = capi_base(owner, owner->object);
    struct error *err = capi->above ? NULL : capi_check_owner(owner->object, owner->where);

    if (!err && !version_parse(doc_str(owner->object, "spec", "version", NULL), &owner->version))
        err = error_because(ERROR_INVALID, "VersionsUnknown",
                            "%s: spec.version is no version of Kubernetes", owner->where);
    for (size_t i = 0; !err && i < CAPI_WAY_KUBELET; i++)
        err = capi_is_carried(capi, i) ? NULL : capi_add_args(owner, capi, base, &capi_ways[i]);
    if (err || capi_is_carried(capi, CAPI_WAY_KUBELET))
        return err;
    return capi_add_kubelets(owner, capi, base);
}

struct error *capi_owner_read(struct capi_owner *owner, const struct platform_capi *capi)
{
    struct error *err;

    owner->where = str_format("%s %s/%s", platform_kind(owner->kind)->kind,
                              doc_str(owner->object, "metadata", "namespace", NULL),
                              doc_str(owner->object, "metadata", "name", NULL));
    if (owner->kind == KIND_CLUSTER)
        return capi_variables_read(owner, capi);
    err = owner->kind == KIND_KUBEADM_CONTROL_PLANE ? read_control_plane(owner, capi)
                                                    : read_deployment(owner, capi);
    for (size_t i = 0; i < owner->len; i++) {
        owner->parts[i].rollout = capi_rollout_of(owner, capi->sets_listed);
        owner->parts[i].progress_ms = owner->machines.newest_ms;
        if (owner->machines.words)
            owner->parts[i].words = str_dup(owner->machines.words);
    }
    return err;
}

void capi_owner_fini(struct capi_owner *owner)
{
    for (size_t i = 0; i < owner->len; i++)
        platform_part_fini(&owner->parts[i]);
    json_decref(owner->object);
    json_decref(owner->template);
    json_decref(owner->original);
    mem_free(owner->where);
    mem_free(owner->foreign);
    mem_free(owner->machines.words);
    *owner = (struct capi_owner){0};
}

// --- how far -------------------------------------------------------------------------------------

static const json_t *find_condition(const json_t *conditions, const char *type)
{
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        if (str_eq(doc_str(json_array_get(conditions, i), "type", NULL), type))
            return json_array_get(conditions, i);
    }
    return NULL;
}

// Those of v1beta2, which v1beta1 has beside its own.
const json_t *capi_conditions(const json_t *object)
{
    const json_t *beside = doc_get(object, "status", "v1beta2", "conditions", NULL);

    return beside ? beside : doc_get(object, "status", "conditions", NULL);
}

#define WORDS_BYTES_MAX 400

// What it is waited for, and not what is wrong with it.
static bool is_about_us(const char *type)
{
    static const char *const types[] = {"Ready", "Available", "UpToDate", "Updating", "Paused"};
    bool found = false;

    for (size_t i = 0; i < COUNT(types); i++)
        found = found || str_eq(types[i], type);
    return found;
}

static char *words_of(const json_t *machine)
{
    static const char *const states[] = {"False", "Unknown"};
    const json_t *conditions = capi_conditions(machine);
    const json_t *ready = find_condition(conditions, "Ready");

    if (str_eq(doc_str(ready, "status", NULL), "True"))
        return NULL;
    for (size_t k = 0; k < COUNT(states); k++) {
        for (size_t i = 0; i < json_array_size(conditions); i++) {
            const json_t *condition = json_array_get(conditions, i);
            const char *message = doc_str(condition, "message", NULL);
            AUTO_JSON json_t *cut = doc_string_of(slice_of(message), WORDS_BYTES_MAX);

            if (*message && str_eq(doc_str(condition, "status", NULL), states[k]) &&
                !is_about_us(doc_str(condition, "type", NULL)))
                return str_format("Machine %s: %s: %s", doc_str(machine, "metadata", "name", NULL),
                                  doc_str(condition, "type", NULL), json_string_value(cut));
        }
    }
    return NULL;
}

void capi_note_machine(struct capi_owner *owner, const json_t *machine)
{
    static const char *const times[] = {"creationTimestamp", "deletionTimestamp"};
    struct capi_machines *machines = &owner->machines;
    bool deleting = doc_get(machine, "metadata", "deletionTimestamp", NULL) != NULL;

    for (size_t i = 0; i < COUNT(times); i++) {
        int64_t at_ms;

        if (clock_parse(doc_str(machine, "metadata", times[i], NULL), &at_ms) &&
            at_ms > machines->newest_ms)
            machines->newest_ms = at_ms;
    }
    machines->deleting += deleting;
    if (!deleting && !machines->words)
        machines->words = words_of(machine);
}

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void capi_note_set(struct capi_owner *owner, const json_t *machine_set)
{
    int64_t has = greater(doc_int(machine_set, 0, "spec", "replicas", NULL),
                          doc_int(machine_set, 0, "status", "replicas", NULL));

    if (str_eq(capi_template_name(machine_set), capi_template_name(owner->object)))
        owner->machines.made += has;
    else
        owner->machines.others += has;
}

static bool has_old_machines(const struct capi_owner *owner, int64_t desired)
{
    return owner->kind == KIND_MACHINE_DEPLOYMENT &&
           (owner->machines.others > 0 || owner->machines.made != desired);
}

// The bootstrap data of its KubeadmConfig is what the MachinePool gives out. Its counts tell how
// many nodes there are, and not what they were made of: an infrastructure provider replaces them
// (Cluster API 1.14.2, core/reconcilers/machinepool).
static bool gives_out(const struct capi_owner *owner)
{
    const char *made = doc_str(owner->template, "status", "dataSecretName", NULL),
               *given = doc_str(owner->object, "spec", "template", "spec", "bootstrap",
                                "dataSecretName", NULL);

    return *made && str_eq(made, given);
}

static struct rollout pool_rollout_of(const struct capi_owner *owner)
{
    const json_t *status = json_object_get(owner->object, "status");
    bool given = gives_out(owner);
    struct rollout r = {
        .seen = doc_int(status, 0, "observedGeneration", NULL) >=
                    doc_int(owner->object, 0, "metadata", "generation", NULL) &&
                given,
        .desired = doc_int(owner->object, 1, "spec", "replicas", NULL),
        .updated = doc_int(status, 0, "replicas", NULL),
        .available = doc_int(status, 0, "readyReplicas", NULL),
    };

    r.complete = r.seen && r.updated == r.desired && r.available == r.desired;
    return r;
}

struct rollout capi_rollout_of(const struct capi_owner *owner, bool sets)
{
    const json_t *status = json_object_get(owner->object, "status");
    const char *updated =
        json_object_get(status, "upToDateReplicas") ? "upToDateReplicas" : "updatedReplicas";
    const char *ready =
        owner->kind == KIND_KUBEADM_CONTROL_PLANE ? "readyReplicas" : "availableReplicas";
    struct rollout r = {
        .seen = doc_int(status, 0, "observedGeneration", NULL) >=
                doc_int(owner->object, 0, "metadata", "generation", NULL),
        .desired = doc_int(owner->object, 1, "spec", "replicas", NULL),
        .updated = doc_int(status, 0, updated, NULL),
        .available = doc_int(status, 0, ready, NULL),
    };

    if (owner->kind == KIND_MACHINE_POOL)
        return pool_rollout_of(owner);
    r.complete = r.seen && owner->machines.deleting == 0 &&
                 doc_int(status, 0, "replicas", NULL) == r.desired && r.updated == r.desired &&
                 r.available == r.desired && !(sets && has_old_machines(owner, r.desired));
    if (capi_is_on_delete(owner->object)) // nobody rolls it out
        r.complete = r.seen;
    return r;
}

bool capi_is_on_delete(const json_t *deployment)
{
    return str_eq(doc_str(deployment, "spec", "rollout", "strategy", "type", NULL), "OnDelete") ||
           str_eq(doc_str(deployment, "spec", "strategy", "type", NULL), "OnDelete");
}
