// SPDX-License-Identifier: Apache-2.0
// ClusterAPI: the components run on Machines that Cluster API's controllers make and replace; their
// flags are edited in the KubeadmControlPlane and in the templates of MachineDeployments, in the
// management cluster.
#include <string.h>

#include "capi_internal.h"

void platform_capi_free(struct platform_capi *capi)
{
    if (!capi)
        return;
    for (size_t i = 0; i < capi->len; i++)
        capi_owner_fini(&capi->owners[i]);
    mem_free(capi->owners);
    json_decref(capi->cluster);
    json_decref(capi->ours);
    json_decref(capi->in_use);
    json_decref(capi->worker_classes);
    json_decref(capi->class);
    for (size_t i = 0; i < CAPI_PLACES; i++) {
        capi_carried_fini(&capi->carried[i]);
        capi_carried_fini(&capi->known[i]);
    }
    mem_free(capi->namespace);
    mem_free(capi->name);
    mem_free(capi->core);
    mem_free(capi->control_plane);
    mem_free(capi->bootstrap);
    mem_free(capi->notes);
    mem_free(capi);
}

struct capi_owner *capi_add_owner(struct platform_capi *capi, enum platform_kind kind,
                                  json_t *take_object)
{
    capi->owners = mem_realloc(capi->owners, (capi->len + 1) * sizeof(*capi->owners));
    capi->owners[capi->len] = (struct capi_owner){.kind = kind, .object = take_object};
    return &capi->owners[capi->len++];
}

void capi_add_note(struct platform_capi *capi, const char *note)
{
    char *was = capi->notes;

    capi->notes = was ? str_format("%s; %s", was, note) : str_dup(note);
    mem_free(was);
}

// --- instances -----------------------------------------------------------------------------------

// A later template, or a variable that was given, may set what we set: then nothing of the Cluster
// is carried out until ours is gone. The API server names the object and the list (Cluster API
// 1.14.2): the same words are said of what others did elsewhere.
static bool names_list(const char *message, const struct platform_part *part)
{
    static const char words[] = "must be unique";
    const char *const *path = capi_path(part->slot);
    AUTO_MEM char *object = str_format("\"%s\"", doc_str(part->object, "metadata", "name", NULL));
    AUTO_MEM char *list =
        str_format("spec.kubeadmConfigSpec.%s.%s.%s: ", path[0], path[1], path[2]);
    const char *at = strstr(message, "KubeadmControlPlane"), *said, *next;

    at = at ? strstr(at, object) : NULL;
    at = at ? strstr(at, list) : NULL;
    if (!at)
        return false;
    said = strstr(at, words);
    next = strstr(at + strlen(list), "spec.");
    return said && (!next || said < next);
}

static bool is_wedged(const struct platform_capi *capi, const struct platform_part *part)
{
    const json_t *conditions = capi_conditions(capi->cluster);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        if (str_eq(doc_str(condition, "type", NULL), "TopologyReconciled") &&
            str_eq(doc_str(condition, "status", NULL), "False") &&
            names_list(doc_str(condition, "message", NULL), part))
            return true;
    }
    return false;
}

static bool owns_anything(const struct platform_part *part)
{
    return json_object_size(json_object_get(part->owned, site_kinds[0])) > 0 ||
           json_object_size(json_object_get(part->owned, site_kinds[1])) > 0;
}

// What the flag would have to be: what the Cluster's variable says, where there is one, and ours.
static char *wanted_value(const struct platform_capi *capi, const struct platform_part *part)
{
    const char *ours = capi_arg(json_object_get(part->tree, part->place.at + 1), capi_flags[0]);
    const char *name =
        part->component == COMPONENT_KUBELET ? NULL : capi->known[part->component].variables[0];
    const char *theirs = name ? doc_str(capi_variable(capi->cluster, name), "value", NULL) : "";
    bool there = ours && strstr(theirs, ours);

    return str_format("%s%s%s", theirs, *theirs && ours && !there ? "," : "",
                      ours && !there ? ours : "");
}

static void take_out_of_topology(const struct platform_capi *capi, struct platform_part *part)
{
    AUTO_MEM char *value = NULL;
    AUTO_MEM char *advice = NULL;

    if (!capi_is_made_by_topology(part) || !owns_anything(part) || !is_wedged(capi, part))
        return;
    value = wanted_value(capi, part);
    advice = capi_advice(capi, part, 0, value, json_object_get(part->tree, part->place.at + 1));
    mem_free(part->message);
    part->need = NEED_PUT_BACK;
    part->reason = "NotManaged";
    part->message =
        str_format("the ClusterClass of Cluster %s/%s sets a flag that is set here too, and its "
                   "topology controller stopped (\"must be unique\"): ours was taken out; %s, "
                   "beside what else it is to be",
                   capi->namespace, capi->name, advice);
}

#define NODES_MAX 1000000 // whatever somebody writes there

unsigned capi_nodes_of(const struct capi_owner *owner)
{
    int64_t replicas = doc_int(owner->object, 0, "status", "replicas", NULL);

    return replicas < 0 ? 0 : replicas > NODES_MAX ? NODES_MAX : (unsigned)replicas;
}

static void collect_foreign(struct platform_observed *observed, const struct capi_owner *owner)
{
    struct plan_instance *instance = platform_add_instance(observed, COMPONENT_KUBELET, NULL, NULL);

    mem_free(instance->id);
    instance->id = str_format("kubelet in %s", owner->where);
    instance->version = owner->version;
    instance->elsewhere = true;
    observed->kubelets_elsewhere += capi_nodes_of(owner);
}

// Workers come after the control plane, also where both are written in one object.
static const char *unit_of(struct platform_observed *observed, const struct capi_owner *owner,
                           const struct platform_part *part)
{
    AUTO_MEM char *text = str_format("%s, workers", owner->where);
    AUTO_JSON json_t *unit = doc_string(text);

    if (!str_eq(part->slot, CAPI_SLOT_WORKERS))
        return owner->where;
    return json_string_value(platform_keep(observed, unit));
}

static void collect_owner(struct platform_observed *observed, struct capi_owner *owner,
                          const struct platform_look *look)
{
    bool workers = capi_makes_workers(owner), cluster = owner->kind == KIND_CLUSTER,
         kubelet = false;

    if (!cluster && !owner->foreign)
        observed->managed_nodes += capi_nodes_of(owner);
    for (size_t i = 0; i < owner->len; i++) {
        struct platform_part *part = &owner->parts[i];
        struct plan_instance *instance = platform_add_part(observed, part, look);
        bool of_kubelets = part->component == COMPONENT_KUBELET;

        take_out_of_topology(observed->capi, part);
        instance->unit = unit_of(observed, owner, part);
        instance->control_plane = !workers && !str_eq(part->slot, CAPI_SLOT_WORKERS);
        instance->nodes = !of_kubelets ? 0
                          : cluster    ? capi_variables_nodes(observed->capi, part)
                                       : capi_nodes_of(owner);
        instance->beside = kubelet && of_kubelets && !cluster;
        kubelet = kubelet || of_kubelets;
        observed->unsettled = observed->unsettled || part->need != NEED_NOTHING;
    }
    if (owner->foreign)
        collect_foreign(observed, owner);
}

bool capi_is_left(const struct platform_capi *capi, const json_t *template)
{
    const char *name = doc_str(template, "metadata", "name", NULL);

    for (size_t i = 0; i < capi->len; i++) {
        const struct capi_owner *owner = &capi->owners[i];
        AUTO_MEM char *original = NULL;

        if (!capi_makes_workers(owner))
            continue;
        original = capi_original_name(owner->object);
        if (str_eq(capi_template_name(owner->object), name) || str_eq(original, name) ||
            (owner->len > 0 &&
             str_eq(doc_str(owner->parts[0].record, "previous", "lists", "template", NULL), name)))
            return false;
    }
    return true;
}

static void note_left(struct platform_observed *observed, const struct platform_target *target)
{
    const struct platform_capi *capi = observed->capi;

    for (size_t i = 0; i < json_array_size(capi->ours); i++) {
        const json_t *template = json_array_get(capi->ours, i);

        // What Machines are made of when every roll-out is over stays: nobody rolls those out.
        if (!capi_is_left(capi, template) ||
            json_object_get(capi->in_use, doc_str(template, "metadata", "name", NULL)))
            continue;
        observed->unsettled = true;
        // Nobody tells that it is gone.
        if (target->deleting && (observed->again_ms == 0 || observed->again_ms > CAPI_AGAIN_MS))
            observed->again_ms = CAPI_AGAIN_MS;
    }
}

// MachinePools are not watched: not every cluster has them.
static void look_again(struct platform_observed *observed, const struct capi_owner *owner)
{
    if (owner->kind == KIND_MACHINE_POOL && capi_is_waited_for(owner) &&
        (observed->again_ms == 0 || observed->again_ms > CAPI_AGAIN_MS))
        observed->again_ms = CAPI_AGAIN_MS;
}

void capi_collect(struct platform_observed *observed, const struct platform_look *look,
                  const struct platform_said *said)
{
    struct platform_capi *capi = observed->capi;

    for (size_t i = 0; i < capi->len; i++)
        collect_owner(observed, &capi->owners[i], look);
    for (size_t i = 0; i < capi->len; i++)
        look_again(observed, &capi->owners[i]);
    if (observed->server.major == 0 && capi->len > 0)
        observed->server = capi->owners[0].version;
    note_left(observed, look->target);
    platform_add_kubelets(observed, said, "a kubelet of the workload cluster");
}

// --- writes --------------------------------------------------------------------------------------

// The parts are the first instances, in the same order, and an owner that is left to others is one.
static size_t instances_of(const struct capi_owner *owner)
{
    return owner->len + (owner->foreign ? 1 : 0);
}

static struct error *edit_owner(const struct platform_work *work, const struct capi_owner *owner,
                                size_t first, struct capi_edit *edit, struct strlist *what)
{
    struct error *err = NULL;

    capi_edit_begin(edit, owner);
    for (size_t i = 0; !err && i < owner->len; i++) {
        const struct platform_part *part = &owner->parts[i];
        AUTO_PLATFORM_NEXT struct platform_next next = {0};

        err = platform_part_next(work, part, first + i, &next);
        if (!err && next.changes)
            err = capi_edit_put(edit, work->observed->capi, owner, part, next.tree, next.record);
        if (!err && next.what)
            strlist_add(what, next.what);
    }
    return err;
}

static void add_patch(struct writing *w, const struct platform_capi *capi,
                      const struct capi_owner *owner, json_t *take_patch, char *take_what)
{
    bool control_plane = owner->kind == KIND_KUBEADM_CONTROL_PLANE;
    struct write *write = platform_add_write(w, WRITE_PATCH, owner->kind, capi->namespace,
                                             doc_str(owner->object, "metadata", "name", NULL));

    write->version = str_dup(control_plane ? capi->control_plane : capi->core);
    write->body = take_patch;
    write->quiet = !*take_what;
    write->what = take_what;
}

// A copy is there before anybody names it.
static void add_template(struct writing *w, const struct platform_capi *capi,
                         const struct capi_owner *owner, const struct capi_edit *edit)
{
    struct write *write;

    if (!edit->creates)
        return;
    write = platform_add_write(w, WRITE_CREATE, capi_template_kind(owner), capi->namespace,
                               doc_str(edit->template, "metadata", "name", NULL));
    write->version = str_dup(capi->bootstrap);
    write->body = doc_copy(edit->template);
    write->what = str_dup("");
    write->quiet = write->same_is_fine = true;
}

// Lists leave out of what kind their items are: configurations of MachinePools are marked.
static enum platform_kind kind_of_ours(const json_t *template)
{
    return str_eq(doc_str(template, "kind", NULL), "KubeadmConfig") ? KIND_KUBEADM_CONFIG
                                                                    : KIND_KUBEADM_CONFIG_TEMPLATE;
}

// named: by what this pass writes, {template: true}.
static void remove_templates(struct writing *w, const struct platform_capi *capi,
                             const json_t *named)
{
    for (size_t i = 0; capi->sets_listed && i < json_array_size(capi->ours); i++) {
        const json_t *template = json_array_get(capi->ours, i);
        const char *name = doc_str(template, "metadata", "name", NULL);
        struct write *write;

        if (!capi_is_left(capi, template) || json_object_get(capi->in_use, name) ||
            json_object_get(named, name))
            continue;
        write = platform_add_delete(w, kind_of_ours(template), capi->namespace, name, template);
        write->version = str_dup(capi->bootstrap);
        write->what = str_dup("");
        write->quiet = true;
    }
}

static struct error *make_writes(struct writing *w, const struct cluster *cluster UNUSED,
                                 const struct platform_change *change)
{
    const struct platform_capi *capi = change->observed->capi;
    const struct platform_work work = {.observed = change->observed, .plan = change->plan};
    AUTO_JSON json_t *named = json_object();
    size_t instance = 0;

    for (size_t i = 0; i < capi->len; i++) {
        const struct capi_owner *owner = &capi->owners[i];
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        AUTO_STRLIST struct strlist what = {0};
        struct error *err = edit_owner(&work, owner, instance, &edit, &what);
        const char *name;
        json_t *patch;

        if (err)
            return err;
        patch = capi_edit_patch(&edit, owner);
        if (patch) {
            add_template(w, capi, owner, &edit);
            add_patch(w, capi, owner, patch, strlist_join(&what, "; "));
        }
        name = capi_template_name(edit.object);
        if (name)
            json_object_set_new(named, name, json_true());
        instance += instances_of(owner);
    }
    remove_templates(w, capi, named);
    return NULL;
}

// Takes the records out of the objects once everything was reverted. Else they stay: a later
// DRAConfiguration is to know what was ours.
static void make_release(struct writing *w, const struct cluster *cluster UNUSED,
                         const struct platform_observed *observed, const json_t *keep UNUSED,
                         bool forget)
{
    const struct platform_capi *capi = observed ? observed->capi : NULL;

    for (size_t i = 0; forget && capi && i < capi->len; i++) {
        const struct capi_owner *owner = &capi->owners[i];
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        json_t *patch;

        capi_edit_begin(&edit, owner);
        for (size_t k = 0; k < owner->len; k++)
            error_ignore(capi_edit_put(&edit, capi, owner, &owner->parts[k], NULL, NULL),
                         "without a tree nothing is refused");
        patch = capi_edit_patch(&edit, owner);
        if (patch)
            add_patch(w, capi, owner, patch, str_dup(""));
    }
}

// --- for `drawbridge plan` -----------------------------------------------------------------------

static void show(json_t *to, const struct capi_owner *owner, enum platform_kind kind,
                 const char *name, const json_t *spec)
{
    AUTO_MEM char *key = str_format("%s/%s/%s", platform_kind(kind)->resource,
                                    doc_str(owner->object, "metadata", "namespace", NULL), name);
    AUTO_MEM char *text = spec ? doc_print_yaml(spec) : str_dup("");

    json_object_set_new(to, key, doc_string(text));
}

static void preview_owner(const struct capi_owner *owner, const struct capi_edit *edit,
                          json_t *before, json_t *after)
{
    const json_t *was = json_object_get(owner->object, "spec"),
                 *now = json_object_get(edit->object, "spec");
    const char *name = doc_str(owner->object, "metadata", "name", NULL);
    const char *of = doc_str(owner->template, "metadata", "name", NULL);

    if (doc_equal(was, now))
        return;
    show(before, owner, owner->kind, name, was);
    show(after, owner, owner->kind, name, now);
    if (!edit->template)
        return;
    // A copy: what is new in it is shown beside what it was made of.
    AUTO_MEM char *copy =
        str_format("%s (a copy of %s)", doc_str(edit->template, "metadata", "name", NULL), of);
    show(before, owner, capi_template_kind(owner), copy, json_object_get(owner->template, "spec"));
    show(after, owner, capi_template_kind(owner), copy, json_object_get(edit->template, "spec"));
}

static struct error *preview(const struct platform_observed *observed, const struct plan *plan,
                             json_t **ret_before, json_t **ret_after)
{
    const struct platform_capi *capi = observed->capi;
    const struct platform_work work = {.observed = observed, .plan = plan, .all = true};
    AUTO_JSON json_t *before = json_object();
    AUTO_JSON json_t *after = json_object();
    size_t instance = 0;

    for (size_t i = 0; capi && i < capi->len; i++) {
        const struct capi_owner *owner = &capi->owners[i];
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        AUTO_STRLIST struct strlist what = {0};
        struct error *err = edit_owner(&work, owner, instance, &edit, &what);

        if (err)
            return err;
        preview_owner(owner, &edit, before, after);
        instance += instances_of(owner);
    }
    *ret_before = TAKE(before);
    *ret_after = TAKE(after);
    return NULL;
}

static bool wrote(const struct cluster *cluster UNUSED, const struct api_config *config)
{
    static const enum platform_kind kinds[] = {KIND_CLUSTER, KIND_KUBEADM_CONTROL_PLANE,
                                               KIND_MACHINE_DEPLOYMENT, KIND_MACHINE_POOL};

    return platform_wrote_objects(config, kinds, COUNT(kinds));
}

const struct platform *platform_capi(void)
{
    static const struct platform platform = {
        .type = PLATFORM_CLUSTER_API,
        .traits = {.writes = true,
                   .objects = true,
                   .nodes_elsewhere = true,
                   .field = "clusterAPI",
                   .chart_value = "clusterAPI"},
        .name_targets = capi_name_targets,
        .reaches = capi_reaches,
        .follows = capi_follows,
        .signs = capi_signs,
        .way = capi_kubeconfig,
        .wrote = wrote,
        .observe = capi_observe,
        .make_writes = make_writes,
        .make_release = make_release,
        .preview = preview,
    };

    return &platform;
}
