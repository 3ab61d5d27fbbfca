// SPDX-License-Identifier: Apache-2.0
// extraArgs of kubeadm: a map of flag to value (kubeadm.k8s.io/v1beta3, Cluster API v1beta1), or a
// list of name and value (v1beta4, v1beta2). Flags are edited by the room gates, on an argv.
#include <string.h>

#include "site_internal.h"

static char *scalar_text(const json_t *value)
{
    return json_is_string(value) ? str_dup(json_string_value(value)) : doc_print_json(value);
}

static void add_flag(json_t *argv, const char *name, const json_t *value)
{
    AUTO_MEM char *text = scalar_text(value);
    AUTO_MEM char *flag = str_format("--%s=%s", name, text ? text : "");

    json_array_append_new(argv, doc_string(flag));
}

// ["kube-apiserver", "--name=value", ...]
static struct error *make_argv(const struct site_place *place, const json_t *tree,
                               json_t **ret_argv)
{
    json_t *args = (json_t *)(uintptr_t)doc_pointer(tree, place->at), *value;
    AUTO_MEM char *what = site_dotted(place->at);
    const char *name;
    size_t i;

    if (args && !json_is_array(args) && !json_is_object(args) && !json_is_null(args))
        return error_new(ERROR_INVALID, "%s: %s is neither a list nor a map", place->name, what);
    *ret_argv = json_array();
    json_array_append_new(*ret_argv, doc_string(component_name(place->component)));
    json_array_foreach(args, i, value)
        add_flag(*ret_argv, doc_str(value, "name", NULL), json_object_get(value, "value"));
    json_object_foreach(args, name, value)
        add_flag(*ret_argv, name, value);
    return NULL;
}

static struct error *args_read(const struct site_place *place, const struct site_doc *doc,
                               struct gates_flags *ret_flags)
{
    AUTO_JSON json_t *argv = NULL;
    AUTO_MEM char *what = site_dotted(place->at);
    struct error *err = make_argv(place, doc->tree, &argv);

    return err ? err
               : error_wrap(gates_flags_read(place->component, argv, ret_flags), "%s: %s",
                            place->name, what);
}

// "--name=value" in two parts.
static struct error *split_flag(const char *flag, char **ret_name, json_t **ret_value)
{
    struct slice rest = slice_of(flag), name;

    if (!slice_starts(rest, "--") || !memchr(flag, '=', rest.len))
        return error_new(ERROR_INVALID, "cannot write %s into extraArgs", flag);
    slice_cut(&rest, '=', &name);
    *ret_name = slice_dup(slice_sub(name, 2, name.len));
    *ret_value = doc_string_of(rest, DOC_BYTES_MAX);
    return NULL;
}

static struct error *apply_to_list(const char *list, struct site_doc *doc,
                                   const struct gates_edit *edit)
{
    AUTO_MEM char *item = str_format("%s/%zu", list, edit->index - 1);
    AUTO_MEM char *value_at = str_format("%s/value", item);
    AUTO_MEM char *name = NULL;
    AUTO_JSON json_t *value = NULL;
    AUTO_JSON json_t *entry = NULL;
    struct error *err;

    if (edit->what == EDIT_REMOVE)
        return site_doc_remove(doc, item);
    err = split_flag(edit->value, &name, &value);
    if (err)
        return err;
    if (edit->what == EDIT_SET)
        return site_doc_set(doc, value_at, value);
    entry = json_object();
    json_object_set_new(entry, "name", doc_string(name));
    json_object_set(entry, "value", value);
    return site_doc_insert(doc, list, edit->index - 1, entry);
}

static struct error *apply_to_map(const char *map, struct site_doc *doc, const json_t *argv,
                                  const struct gates_edit *edit)
{
    AUTO_MEM char *name = NULL;
    AUTO_JSON json_t *value = NULL;
    AUTO_MEM char *at = NULL;
    const char *flag =
        edit->value ? edit->value : json_string_value(json_array_get(argv, edit->index));
    struct error *err = split_flag(flag, &name, &value);

    if (err)
        return err;
    at = str_format("%s/%s", map, name);
    if (edit->what == EDIT_REMOVE)
        return site_doc_remove(doc, at);
    if (edit->what == EDIT_SET)
        return site_doc_set(doc, at, value);
    return site_doc_add(doc, map, name, value);
}

// What we emptied goes as a whole: kubeadm itself writes none that is empty.
static struct error *drop_empty(const char *at, struct site_doc *doc)
{
    const json_t *args = doc_pointer(doc->tree, at);

    if (args && json_array_size(args) == 0 && json_object_size(args) == 0)
        return site_doc_remove(doc, at);
    return NULL;
}

static struct error *args_write(const struct site_place *place, struct site_doc *doc,
                                const struct site_change *change)
{
    const json_t *args = doc_pointer(doc->tree, place->at);
    bool map = args && !json_is_null(args) ? json_is_object(args) : place->map;
    AUTO_MEM char *what = site_dotted(place->at);
    AUTO_JSON json_t *argv = NULL;
    AUTO_EDITS struct gates_edits edits = {0};
    struct error *err = make_argv(place, doc->tree, &argv);

    if (err)
        return err;
    err = site_argv_edits(place, argv, change, &edits);
    for (size_t i = 0; !err && i < edits.len; i++) {
        err = map ? apply_to_map(place->at, doc, argv, &edits.items[i])
                  : apply_to_list(place->at, doc, &edits.items[i]);
        json_decref(argv);
        argv = NULL;
        if (!err)
            err = make_argv(place, doc->tree, &argv);
    }
    if (!err && edits.len > 0)
        err = drop_empty(place->at, doc);
    return error_wrap(err, "%s: %s", place->name, what);
}

// --- ClusterConfiguration ------------------------------------------------------------------------

static struct error *kubeadm_place(const struct site_place *place, const json_t *tree,
                                   struct site_place *ret_place)
{
    static const char *const sections[] = {"/apiServer/extraArgs", "/controllerManager/extraArgs",
                                           "/scheduler/extraArgs"};

    ASSERT(place->component < COUNT(sections));
    *ret_place = *place;
    ret_place->at = sections[place->component];
    ret_place->map = str_eq(doc_str(tree, "apiVersion", NULL), "kubeadm.k8s.io/v1beta3");
    if (!str_eq(doc_str(tree, "kind", NULL), "ClusterConfiguration"))
        return error_new(ERROR_INVALID, "%s: the key ClusterConfiguration holds a %s", place->name,
                         doc_str(tree, "kind", NULL));
    return NULL;
}

static struct error *kubeadm_read(const struct site_place *place, const struct site_doc *doc,
                                  struct gates_flags *ret_flags)
{
    struct site_place args;
    struct error *err = kubeadm_place(place, doc->tree, &args);

    return err ? err : args_read(&args, doc, ret_flags);
}

static struct error *kubeadm_write(const struct site_place *place, struct site_doc *doc,
                                   const struct site_change *change)
{
    struct site_place args;
    struct error *err = kubeadm_place(place, doc->tree, &args);

    return err ? err : args_write(&args, doc, change);
}

const struct site_codec site_extra_args = {.read = args_read, .write = args_write};
const struct site_codec site_cluster_configuration = {.read = kubeadm_read, .write = kubeadm_write};
