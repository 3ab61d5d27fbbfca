// SPDX-License-Identifier: Apache-2.0
// What becomes of the objects of a Cluster. A control plane is changed in place. A template is not:
// Machines that are there would stay as they are and new ones differ from them, so that a changed
// copy of it gets a name of its own, which its MachineDeployment names from then on.
#include <string.h>

#include "capi_internal.h"

void capi_edit_fini(struct capi_edit *edit)
{
    json_decref(edit->object);
    json_decref(edit->template);
    *edit = (struct capi_edit){0};
}

void capi_edit_begin(struct capi_edit *edit, const struct capi_owner *owner)
{
    *edit = (struct capi_edit){.object = doc_copy(owner->object)};
}

// --- trees ---------------------------------------------------------------------------------------

// Made where it is not there.
static json_t *made(json_t *tree, const char *a, const char *b)
{
    if (!json_is_object(doc_get(tree, a, b, NULL)))
        doc_set(tree, json_object(), a, b, NULL);
    return (json_t *)(uintptr_t)doc_get(tree, a, b, NULL);
}

static void drop_empty(json_t *tree, const char *a, const char *b)
{
    const json_t *value = doc_get(tree, a, b, NULL);

    if (value && json_object_size(value) == 0)
        json_object_del(json_object_get(tree, a), b);
}

// What becomes empty goes: v1beta2 takes no empty sections. v1beta1 does, and those that were there
// before stay.
static void put_args(json_t *base, const struct platform_part *part, const json_t *tree)
{
    const char *const *path = capi_path(part->slot);
    const json_t *args = json_object_get(tree, path[2]);
    int64_t keep = part->place.map ? doc_int(tree, 2, PLATFORM_PARENTS, NULL) : 0;
    json_t *section = json_object_get(base, path[0]), *parent = json_object_get(section, path[1]);

    if (args) {
        doc_set(base, doc_copy(args), path[0], path[1], path[2], NULL);
        return;
    }
    json_object_del(parent, path[2]);
    if (keep < 2 && parent && json_object_size(parent) == 0)
        json_object_del(section, path[1]);
    if (keep < 1 && section && json_object_size(section) == 0)
        json_object_del(base, path[0]);
}

// Of several with its path the one that was read: others may be what a Secret holds.
static void put_file(json_t *base, const json_t *tree)
{
    int index = capi_kubelet_file(base);
    json_t *file = index < 0 ? NULL : json_array_get(json_object_get(base, "files"), (size_t)index);

    if (str_eq(doc_str(file, "path", NULL), doc_str(tree, "path", NULL)))
        capi_file_put(file, doc_str(tree, "content", NULL));
}

static void put_tree(json_t *base, const struct platform_part *part, const json_t *tree)
{
    if (json_object_get(tree, "content"))
        put_file(base, tree);
    else
        put_args(base, part, tree);
}

// --- what may be written -------------------------------------------------------------------------

// Whether all that a flag says is what we added: then nobody else set it.
static bool is_all_ours(const struct platform_part *part, size_t kind)
{
    const json_t *owned = json_object_get(part->owned, site_kinds[kind]),
                 *replaced = doc_get(part->record, "replaced", site_kinds[kind], NULL);
    AUTO_FLAGS struct gates_flags flags = {0}; // part->flags has those of a kubelet's file too
    struct error *err = site_read_tree(&part->place, part->tree, &flags);
    json_t *said = kind == 0 ? flags.feature_gates : flags.runtime_config, *value;
    const char *name;
    bool all = !err && json_object_size(owned) > 0;

    error_ignore(err, "it is not all ours then");

    json_object_foreach(said, name, value)
        all = all && json_object_get(owned, name) && !json_object_get(replaced, name);
    return all;
}

// The topology controller goes on setting the flags that its templates have: one with another value
// is a second one to the schema, and then nothing of that Cluster is carried out any more.
static struct error *check_topology(const struct platform_capi *capi,
                                    const struct platform_part *part, size_t kind, const char *was,
                                    const json_t *args)
{
    const json_t *before = doc_get(part->record, "before", "extraArgs", NULL);
    const char *flag = capi_flags[kind], *now = capi_arg(args, flag);
    AUTO_MEM char *advice = NULL;

    if (!before)
        before = doc_get(part->record, "before", "kubeletExtraArgs", NULL);
    if (!capi_is_made_by_topology(part) || !was || str_eq(was, now) ||
        (json_object_get(part->record, "before") ? !capi_arg(before, flag)
                                                 : is_all_ours(part, kind)))
        return NULL;
    advice = capi_advice(capi, part, kind, now ? now : "", args);
    return error_because(
        ERROR_INVALID, "NotManaged",
        "%s: --%s of %s is set by the ClusterClass of Cluster %s/%s, whose topology controller "
        "stops when somebody else changes it; %s",
        part->where, flag, component_name(part->component), capi->namespace, capi->name, advice);
}

// A flag that the ClusterClass has no variable for cannot go where the others go.
static struct error *check_variables(const struct platform_part *part, const json_t *tree)
{
    for (size_t i = 0; i < SITE_KINDS; i++) {
        const char *value = doc_str(tree, "extraArgs", capi_flags[i], NULL);

        if (*value && !*doc_str(tree, "variables", site_kinds[i], NULL))
            return error_because(
                ERROR_INVALID, "NotManaged",
                "%s: the flags of %s are set by variables of its ClusterClass, and there is none "
                "for --%s=%s; have the ClusterClass make a variable of it, or set it itself",
                part->where, component_name(part->component), capi_flags[i], value);
    }
    return NULL;
}

static struct error *check_args(const struct platform_capi *capi, const struct platform_part *part,
                                const json_t *tree)
{
    const char *leaf = part->place.at + 1;
    const json_t *was = json_object_get(part->tree, leaf), *args = json_object_get(tree, leaf);
    struct error *err = NULL;

    for (size_t i = 0; !err && i < COUNT(capi_flags); i++) {
        const char *now = capi_arg(args, capi_flags[i]);

        err = check_topology(capi, part, i, capi_arg(was, capi_flags[i]), args);
        if (!err && now && (json_is_array(args) || part->kind == KIND_CLUSTER) &&
            strlen(now) > CAPI_VALUE_BYTES_MAX)
            err = error_because(ERROR_INVALID, "InvalidConfiguration",
                                "%s: --%s of %s would have %zu bytes, and Cluster API takes %d",
                                part->where, capi_flags[i], component_name(part->component),
                                strlen(now), CAPI_VALUE_BYTES_MAX);
    }
    return err;
}

// --- templates -----------------------------------------------------------------------------------

static const char *name_of(const json_t *object)
{
    return doc_str(object, "metadata", "name", NULL);
}

static bool is_known(const struct platform_capi *capi, const struct capi_owner *owner,
                     const char *name)
{
    bool known = str_eq(name_of(owner->original), name) || str_eq(name_of(owner->template), name);

    for (size_t i = 0; !known && i < json_array_size(capi->ours); i++)
        known = str_eq(name_of(json_array_get(capi->ours, i)), name);
    return known;
}

static json_t *make_template(const struct platform_capi *capi, enum platform_kind kind,
                             const char *name, json_t *take_spec)
{
    AUTO_MEM char *version = str_format("%s/%s", CAPI_BOOTSTRAP_GROUP, capi->bootstrap);
    json_t *made = json_object();

    json_object_set_new(made, "apiVersion", doc_string(version));
    json_object_set_new(made, "kind", doc_string(platform_kind(kind)->kind));
    doc_set(made, doc_string(name), "metadata", "name", NULL);
    doc_set(made, doc_string(capi->namespace), "metadata", "namespace", NULL);
    doc_set(made, doc_string(capi->name), "metadata", "labels", CAPI_CLUSTER_LABEL, NULL);
    doc_set(made, doc_string(capi->name), "metadata", "labels", CAPI_OURS_LABEL, NULL);
    json_object_set_new(made, "spec", take_spec);
    return made;
}

// Ours is named after the one that it was made of, and by what it says for which Cluster: another
// one may be made from the same template.
static char *name_template(const struct platform_capi *capi, const struct capi_owner *owner,
                           const json_t *of, const json_t *spec)
{
    const json_t *root = owner->original ? owner->original : of;
    const char *base = name_of(root);
    AUTO_JSON json_t *all = json_object();
    char digest[DOC_DIGEST_BYTES];

    json_object_set_new(all, "cluster", doc_string(capi->name));
    json_object_set_new(all, "spec", doc_copy(spec));
    doc_digest_tree(all, digest);
    digest[8] = '\0';
    return str_format("%.*s-%s", TEXT_CUT(CAPI_NAME_BYTES_MAX, base), digest);
}

// Without what says nothing, which is there or not as others like.
static json_t *without_empty(const json_t *spec)
{
    json_t *copy = json_is_object(spec) ? doc_copy(spec) : json_object();

    drop_empty(copy, "template", "spec");
    if (json_object_size(json_object_get(copy, "template")) == 0)
        json_object_del(copy, "template");
    return copy;
}

static bool says_same(const json_t *a, const json_t *b)
{
    AUTO_JSON json_t *one = without_empty(a);
    AUTO_JSON json_t *other = without_empty(b);

    return doc_equal(one, other);
}

// The template with this tree: one that is there, or a new one. Owned.
static char *put_template(struct capi_edit *edit, const struct platform_capi *capi,
                          const struct capi_owner *owner, const struct platform_part *part,
                          const json_t *tree)
{
    const char *named = doc_str(tree, "template", NULL);
    const json_t *of = str_eq(name_of(owner->original), named) ? owner->original : owner->template;
    bool pool = owner->kind == KIND_MACHINE_POOL;
    AUTO_JSON json_t *there = pool ? capi_config_spec(json_object_get(of, "spec"))
                                   : json_incref(json_object_get(of, "spec"));
    AUTO_JSON json_t *spec = NULL;
    AUTO_MEM char *name = NULL;

    // The way back leads to what was there, whatever it says by now.
    if (part->need == NEED_PUT_BACK && is_known(capi, owner, named) &&
        !str_eq(named, name_of(owner->template)))
        return str_dup(named);
    spec = json_is_object(there) ? doc_copy(there) : json_object();
    put_tree(pool ? spec : made(spec, "template", "spec"), part, tree);
    if (!pool)
        drop_empty(spec, "template", "spec");
    if (says_same(spec, there))
        return str_dup(name_of(of));
    name = name_template(capi, owner, of, spec);
    edit->creates =
        !is_known(capi, owner, name) || (owner->lost && str_eq(name, name_of(owner->template)));
    edit->template = make_template(capi, capi_template_kind(owner), name, TAKE(spec));
    return TAKE(name);
}

// --- an edit -------------------------------------------------------------------------------------

// Of a MachinePool: while it names bootstrap data, another KubeadmConfig takes that for its own and
// makes none (Cluster API 1.14.2, bootstrap/kubeadm/reconcilers/kubeadmconfig).
static void name_template_of(json_t *object, const char *name)
{
    json_t *bootstrap =
        (json_t *)(uintptr_t)doc_get(object, "spec", "template", "spec", "bootstrap", NULL);

    if (!str_eq(capi_template_name(object), name))
        json_object_del(bootstrap, "dataSecretName");
    doc_set(bootstrap, doc_string(name), "configRef", "name", NULL);
}

struct error *capi_edit_put(struct capi_edit *edit, const struct platform_capi *capi,
                            const struct capi_owner *owner, const struct platform_part *part,
                            const json_t *tree, json_t *record)
{
    AUTO_JSON json_t *to = tree ? doc_copy(tree) : NULL;
    AUTO_MEM char *name = NULL;
    struct error *err = NULL;

    if (tree && !json_object_get(tree, "content"))
        err = check_args(capi, part, tree);
    if (!err && tree && part->kind == KIND_CLUSTER)
        err = check_variables(part, tree);
    if (err)
        return err;
    if (tree && owner->kind == KIND_CLUSTER) {
        capi_variables_put(edit->object, tree);
        // Also where nothing of before is kept, and whatever the ClusterClass offers later.
        json_object_set(record, "variables", json_object_get(tree, "variables"));
    } else if (tree && owner->kind == KIND_KUBEADM_CONTROL_PLANE) {
        put_tree(made(edit->object, "spec", "kubeadmConfigSpec"), part, tree);
        if (!part->place.map) // v1beta1 does not do without
            drop_empty(edit->object, "spec", "kubeadmConfigSpec");
    } else if (tree) {
        name = put_template(edit, capi, owner, part, tree);
        name_template_of(edit->object, name);
        json_object_set_new(to, "template", doc_string(name));
        platform_record_retarget(record, to);
    } else if (owner->lost && !record) { // the end
        name_template_of(edit->object, name_of(owner->original));
    }
    platform_record_put(edit->object, part, record);
    return NULL;
}

json_t *capi_edit_patch(const struct capi_edit *edit, const struct capi_owner *owner)
{
    return platform_make_patch(owner->object, edit->object);
}
