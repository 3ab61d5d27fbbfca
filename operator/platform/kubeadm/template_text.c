// SPDX-License-Identifier: Apache-2.0
// Edits of the documents that kubeadm keeps in ConfigMaps: extraArgs of a ClusterConfiguration
// (kubeadm.k8s.io/v1beta3: a map, v1beta4: a list of name and value) and featureGates of a
// KubeletConfiguration. Flags are edited by the gates room, on an argv.
#include <string.h>

#include "platform_internal.h"

static const char *section_of(enum component component)
{
    static const char *const sections[] = {"apiServer", "controllerManager", "scheduler"};

    ASSERT(component < COUNT(sections));
    return sections[component];
}

static bool is_list(const json_t *tree, const json_t *args)
{
    if (args)
        return json_is_array(args);
    return !str_eq(doc_str(tree, "apiVersion", NULL), "kubeadm.k8s.io/v1beta3");
}

static char *scalar_text(const json_t *value)
{
    return json_is_string(value) ? str_dup(json_string_value(value)) : doc_print_json(value);
}

// ["kube-apiserver", "--name=value", ...]
static json_t *make_argv(enum component component, const json_t *args)
{
    json_t *argv = json_array();

    json_array_append_new(argv, doc_string(component_name(component)));
    if (json_is_array(args)) {
        for (size_t i = 0; i < json_array_size(args); i++) {
            const json_t *item = json_array_get(args, i);
            AUTO_MEM char *value = scalar_text(json_object_get(item, "value"));
            AUTO_MEM char *flag =
                str_format("--%s=%s", doc_str(item, "name", NULL), value ? value : "");

            json_array_append_new(argv, doc_string(flag));
        }
    } else if (args) {
        for (void *at = json_object_iter((json_t *)(uintptr_t)args); at;
             at = json_object_iter_next((json_t *)(uintptr_t)args, at)) {
            AUTO_MEM char *value = scalar_text(json_object_iter_value(at));
            AUTO_MEM char *flag =
                str_format("--%s=%s", json_object_iter_key(at), value ? value : "");

            json_array_append_new(argv, doc_string(flag));
        }
    }
    return argv;
}

static struct error *read_arguments(const json_t *tree, enum component component,
                                    const json_t **ret_args)
{
    const char *section = section_of(component);
    const json_t *args = doc_get(tree, section, "extraArgs", NULL);

    if (!str_eq(doc_str(tree, "kind", NULL), "ClusterConfiguration"))
        return error_new(ERROR_INVALID, "kubeadm-config: the key ClusterConfiguration holds a %s",
                         doc_str(tree, "kind", NULL));
    if (args && !json_is_array(args) && !json_is_object(args) && !json_is_null(args))
        return error_new(ERROR_INVALID, "kubeadm-config: %s.extraArgs is neither a list nor a map",
                         section);
    *ret_args = json_is_null(args) ? NULL : args;
    return NULL;
}

struct error *platform_read_cluster_configuration(struct slice text, enum component component,
                                                  struct gates_flags *ret_flags)
{
    AUTO_JSON json_t *tree = NULL;
    AUTO_JSON json_t *argv = NULL;
    const json_t *args = NULL;
    struct error *err = doc_parse_yaml(text, "kubeadm-config", &tree);

    if (!err)
        err = read_arguments(tree, component, &args);
    if (err)
        return err;
    argv = make_argv(component, args);
    return error_wrap(gates_flags_read(component, argv, ret_flags), "kubeadm-config: %s.extraArgs",
                      section_of(component));
}

// "--name=value" in two parts.
static struct error *split_flag(const char *flag, char **ret_name, json_t **ret_value)
{
    struct slice rest = slice_of(flag), name;

    if (!slice_starts(rest, "--") || !memchr(flag, '=', rest.len))
        return error_new(ERROR_INVALID, "kubeadm-config: cannot write %s into extraArgs", flag);
    slice_cut(&rest, '=', &name);
    *ret_name = slice_dup(slice_sub(name, 2, name.len));
    *ret_value = doc_string_of(rest, DOC_BYTES_MAX);
    return NULL;
}

static struct error *apply_to_list(struct doc_text *doc, const char *section,
                                   const struct gates_edit *edit)
{
    AUTO_MEM char *list = str_format("/%s/extraArgs", section);
    AUTO_MEM char *item = str_format("%s/%zu", list, edit->index - 1);
    AUTO_MEM char *value_at = str_format("%s/value", item);
    AUTO_MEM char *name = NULL;
    AUTO_JSON json_t *value = NULL;
    AUTO_JSON json_t *entry = NULL;
    struct error *err;

    if (edit->what == EDIT_REMOVE)
        return doc_text_remove(doc, item);
    err = split_flag(edit->value, &name, &value);
    if (err)
        return err;
    if (edit->what == EDIT_SET)
        return doc_text_set_scalar(doc, value_at, value);
    entry = json_object();
    json_object_set_new(entry, "name", doc_string(name));
    json_object_set(entry, "value", value);
    return doc_text_insert(doc, list, edit->index - 1, entry);
}

static struct error *apply_to_map(struct doc_text *doc, const char *section, const json_t *argv,
                                  const struct gates_edit *edit)
{
    AUTO_MEM char *map = str_format("/%s/extraArgs", section);
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
        return doc_text_remove(doc, at);
    if (edit->what == EDIT_SET)
        return doc_text_set_scalar(doc, at, value);
    return doc_text_add_key(doc, map, name, value);
}

static struct error *copy_out(const struct doc_text *doc, char **ret_text)
{
    *ret_text = slice_dup(doc_text_bytes(doc));
    return NULL;
}

// A section that we emptied goes as a whole: kubeadm itself writes none that is empty.
static struct error *drop_empty(struct doc_text *doc, const char *section)
{
    AUTO_MEM char *args_at = str_format("/%s/extraArgs", section);
    const json_t *args = doc_pointer(doc_text_tree(doc), args_at);

    if (args && json_array_size(args) == 0 && json_object_size(args) == 0)
        return doc_text_remove(doc, args_at);
    return NULL;
}

struct error *platform_edit_cluster_configuration(struct slice text, enum component component,
                                                  const json_t *set_gates,
                                                  const json_t *unset_gates,
                                                  const json_t *set_runtime,
                                                  const json_t *unset_runtime, char **ret_text)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    AUTO_JSON json_t *argv = NULL;
    AUTO_EDITS struct gates_edits edits = {0};
    const json_t *args = NULL;
    bool list;
    struct error *err = doc_text_new(text, "kubeadm-config", &doc);

    if (!err)
        err = read_arguments(doc_text_tree(doc), component, &args);
    if (err)
        return err;
    list = is_list(doc_text_tree(doc), args);
    argv = make_argv(component, args);
    err = gates_flags_edit(component, argv, set_gates, unset_gates, set_runtime, unset_runtime,
                           &edits);
    for (size_t i = 0; !err && i < edits.len; i++) {
        err = list ? apply_to_list(doc, section_of(component), &edits.items[i])
                   : apply_to_map(doc, section_of(component), argv, &edits.items[i]);
        if (err)
            break;
        json_decref(argv);
        argv = make_argv(component,
                         doc_get(doc_text_tree(doc), section_of(component), "extraArgs", NULL));
    }
    if (!err && edits.len > 0)
        err = drop_empty(doc, section_of(component));
    return err ? error_wrap(err, "kubeadm-config: %s", section_of(component))
               : copy_out(doc, ret_text);
}

struct error *platform_edit_kubelet_configuration(struct slice text, const json_t *set_gates,
                                                  const json_t *unset_gates, char **ret_text)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    struct error *err = doc_text_new(text, "kubelet-config", &doc);
    json_t *set = doc_copy(set_gates), *unset = doc_copy(unset_gates);
    const char *name;
    json_t *value;

    if (!err && !str_eq(doc_str(doc_text_tree(doc), "kind", NULL), "KubeletConfiguration"))
        err = error_new(ERROR_INVALID,
                        "kubelet-config: the key kubelet holds no KubeletConfiguration");
    json_object_foreach(set, name, value) {
        const json_t *now = err ? NULL : doc_get(doc_text_tree(doc), "featureGates", name, NULL);
        AUTO_MEM char *at = str_format("/featureGates/%s", name);

        if (err || doc_equal(now, value))
            continue;
        err = now ? doc_text_set_scalar(doc, at, value)
                  : doc_text_add_key(doc, "/featureGates", name, value);
    }
    json_object_foreach(unset, name, value) {
        AUTO_MEM char *at = str_format("/featureGates/%s", name);

        if (!err && doc_get(doc_text_tree(doc), "featureGates", name, NULL))
            err = doc_text_remove(doc, at);
    }
    if (!err && json_object_size(unset) > 0 &&
        json_object_size(doc_get(doc_text_tree(doc), "featureGates", NULL)) == 0 &&
        doc_get(doc_text_tree(doc), "featureGates", NULL))
        err = doc_text_remove(doc, "/featureGates");
    json_decref(set);
    json_decref(unset);
    return err ? error_wrap(err, "kubelet-config") : copy_out(doc, ret_text);
}
