// SPDX-License-Identifier: Apache-2.0
// Where the kubelets of an object get their gates: a file that the object writes on its Machines,
// or the command line. A kubelet takes its command line over its file, gate by gate.
#include <string.h>

#include "capi_internal.h"

// Whether kubeadm takes this file for a patch of the kubelet's configuration (Kubernetes 1.37,
// cmd/kubeadm/app/util/patches/patches.go) in a form that has a map of gates.
static bool is_kubelet_patch(const char *path, const char *directory)
{
    static const char target[] = "/kubeletconfiguration";
    size_t len = strlen(directory);

    while (len > 0 && directory[len - 1] == '/')
        len--;
    return len > 0 && strncmp(path, directory, len) == 0 &&
           strncmp(path + len, target, sizeof(target) - 1) == 0 && !strchr(path + len + 1, '/') &&
           !strstr(path + len, "+json");
}

static const json_t *args_of(const json_t *base, size_t way)
{
    const char *const *path = capi_ways[way].path;

    return doc_get(base, path[0], path[1], path[2], NULL);
}

static bool is_kubelet_file(const json_t *base, const char *path)
{
    for (size_t i = CAPI_WAY_KUBELET; i <= CAPI_WAY_KUBELET_INIT; i++) {
        const json_t *configuration = json_object_get(base, capi_ways[i].path[0]);

        if (str_eq(capi_arg(args_of(base, i), "config"), path) ||
            is_kubelet_patch(path, doc_str(configuration, "patches", "directory", NULL)))
            return true;
    }
    return false;
}

// --- files ---------------------------------------------------------------------------------------

// What it says; NULL: a Secret holds it, or it is in a form that cannot be given back as it was.
static char *text_of(const json_t *file)
{
    const char *content = json_string_value(json_object_get(file, "content")),
               *encoding = doc_str(file, "encoding", NULL);
    AUTO_MEM char *text = NULL;
    AUTO_MEM char *again = NULL;
    AUTO_JSON json_t *kept = NULL;
    size_t len;

    if (!content)
        return NULL;
    if (!*encoding)
        return str_dup(content);
    if (!str_eq(encoding, "base64") || !kube_base64_decode(slice_of(content), &text, &len) ||
        strlen(text) != len)
        return NULL;
    kept = doc_string(text);
    again = kube_base64_encode(slice_of(json_string_value(kept)));
    return str_eq(again, content) ? TAKE(text) : NULL; // no short lines, and nothing but UTF-8
}

void capi_file_put(json_t *file, const char *text)
{
    bool encoded = *doc_str(file, "encoding", NULL) != '\0';
    AUTO_MEM char *content = encoded ? kube_base64_encode(slice_of(text)) : str_dup(text);

    json_object_set_new(file, "content", doc_string(content));
}

int capi_kubelet_file(const json_t *base)
{
    const json_t *files = json_object_get(base, "files");

    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *path = doc_str(file, "path", NULL);
        AUTO_MEM char *text = *path && is_kubelet_file(base, path) ? text_of(file) : NULL;

        if (text)
            return (int)i;
    }
    return -1;
}

static const json_t *kubelet_file(const json_t *base)
{
    int index = capi_kubelet_file(base);

    return index < 0 ? NULL : json_array_get(json_object_get(base, "files"), (size_t)index);
}

json_t *capi_file_tree(const json_t *file)
{
    AUTO_MEM char *text = text_of(file);
    json_t *tree = json_object();

    json_object_set_new(tree, "path", doc_string(doc_str(file, "path", NULL)));
    json_object_set_new(tree, "content", doc_string(text ? text : ""));
    return tree;
}

static struct error *read_file(const json_t *file, const char *where, struct gates_flags *ret_flags)
{
    static const struct site_place place = {&site_kubelet_text, COMPONENT_KUBELET, "a file",
                                            "/content", false};
    AUTO_JSON json_t *tree = capi_file_tree(file);
    struct error *err = site_read_tree(&place, tree, ret_flags);

    return err ? error_wrap(err, "%s: files: %s", where, doc_str(file, "path", NULL)) : NULL;
}

static struct error *read_args(const json_t *args, const char *where, struct gates_flags *ret_flags)
{
    static const struct site_place place = {&site_extra_args, COMPONENT_KUBELET, "kubeletExtraArgs",
                                            "/kubeletExtraArgs", false};
    AUTO_JSON json_t *tree = json_object();
    struct error *err;

    if (args)
        json_object_set_new(tree, "kubeletExtraArgs", doc_copy(args));
    err = site_read_tree(&place, tree, ret_flags);
    return err ? error_wrap(err, "%s", where) : NULL;
}

// --- which of both -------------------------------------------------------------------------------

// Whether something of ours stands in this map.
static bool has_ours(const json_t *record, const json_t *gates)
{
    json_t *owned = doc_copy(doc_get(record, "owned", "featureGates", NULL)), *value;
    const char *name;
    bool has = false;

    json_object_foreach(owned, name, value)
        has = has || (json_is_boolean(value) && doc_equal(value, json_object_get(gates, name)));
    json_decref(owned);
    return has;
}

// What is ours in a file stays there when the command line comes to name gates: else it would be
// left behind.
static bool is_ours_in_file(const struct capi_owner *owner, const json_t *file, const json_t *args)
{
    AUTO_JSON json_t *record = capi_record(owner->object, capi_ways[CAPI_WAY_KUBELET].slot);
    AUTO_FLAGS struct gates_flags in_file = {0};
    AUTO_FLAGS struct gates_flags in_args = {0};
    struct error *err = read_file(file, owner->where, &in_file);

    if (!err)
        err = read_args(args, owner->where, &in_args);
    if (err) {
        error_ignore(err, "it is told when it is read for its part");
        return false;
    }
    return has_ours(record, in_file.feature_gates) && !has_ours(record, in_args.feature_gates);
}

// Those of the command line count, but where ours is in the file: it stays ours to take out.
static struct error *add_gates_of_args(struct platform_part *part, const json_t *args)
{
    AUTO_FLAGS struct gates_flags flags = {0};
    struct error *err = read_args(args, part->where, &flags);
    const char *name;
    json_t *value;

    json_object_foreach(flags.feature_gates, name, value) {
        if (!doc_get(part->owned, "featureGates", name, NULL))
            json_object_set(part->flags.feature_gates, name, value);
    }
    return err;
}

static struct error *add_file(struct capi_owner *owner, const json_t *file, const json_t *args)
{
    struct platform_part *part = capi_add_part(owner, &capi_ways[CAPI_WAY_KUBELET]);
    struct error *err;

    part->tree = capi_file_tree(file);
    capi_note_template(owner->template, part->tree);
    part->place =
        (struct site_place){&site_kubelet_text, COMPONENT_KUBELET, part->where, "/content", false};
    err = platform_part_read(part);
    return err ? err : add_gates_of_args(part, args);
}

// What stands in the file counts where the flag says nothing.
static struct error *add_gates_of_file(struct platform_part *part, const json_t *file)
{
    AUTO_FLAGS struct gates_flags flags = {0};
    struct error *err = read_file(file, part->where, &flags);
    const char *name;
    json_t *value;

    json_object_foreach(flags.feature_gates, name, value) {
        if (!json_object_get(part->flags.feature_gates, name))
            json_object_set(part->flags.feature_gates, name, value);
    }
    return err;
}

struct error *capi_add_kubelets(struct capi_owner *owner, const struct platform_capi *capi,
                                const json_t *base)
{
    const json_t *args = args_of(base, CAPI_WAY_KUBELET), *file = kubelet_file(base);
    size_t last =
        owner->kind == KIND_KUBEADM_CONTROL_PLANE ? CAPI_WAY_KUBELET_INIT : CAPI_WAY_KUBELET;
    struct error *err = NULL;

    // The topology controller puts the whole of files[] back, and leaves an argument alone that it
    // does not set (Cluster API 1.14.2).
    if (file && ((!capi_arg(args, "feature-gates") && !capi_is_topology(owner->object)) ||
                 is_ours_in_file(owner, file, args)))
        return add_file(owner, file, args);
    for (size_t i = CAPI_WAY_KUBELET; !err && i <= last; i++) {
        err = capi_add_args(owner, capi, base, &capi_ways[i]);
        if (!err && file)
            err = add_gates_of_file(&owner->parts[owner->len - 1], file);
    }
    return err;
}

// --- what is told of it --------------------------------------------------------------------------

// What of the command line stands in the way of what is ours in the file.
static char *say_against(const struct platform_part *part, const json_t *args)
{
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO_STRLIST struct strlist names = {0};
    const char *name;
    json_t *value;

    error_ignore(read_args(args, part->where, &flags), "it was read");
    json_object_foreach(flags.feature_gates, name, value) {
        const json_t *ours = doc_get(part->owned, "featureGates", name, NULL);

        if (ours && !doc_equal(ours, value))
            strlist_take(&names, str_format("%s=%s", name, json_is_true(value) ? "true" : "false"));
    }
    return strlist_join(&names, ",");
}

// A file that cannot be read may say something of gates: the command line counts.
static char *say_unread(const struct capi_owner *owner, const json_t *base)
{
    const json_t *files = json_object_get(base, "files");

    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *path = doc_str(file, "path", NULL), *encoding = doc_str(file, "encoding", NULL);
        AUTO_MEM char *text = text_of(file);

        if (text || !*path || !is_kubelet_file(base, path))
            continue;
        if (!json_object_get(file, "content"))
            return str_format("%s of %s is in a Secret, which is not read: the kubelets' gates are "
                              "written on their command line, which counts over it",
                              path, owner->where);
        return str_format("%s of %s is %s that is not read here: the kubelets' gates are written "
                          "on their command line, which counts over it",
                          path, owner->where, *encoding ? encoding : "content");
    }
    return NULL;
}

char *capi_kubelets_note(const struct capi_owner *owner)
{
    const json_t *base =
                     capi_base(owner, owner->kind == KIND_KUBEADM_CONTROL_PLANE ? owner->object
                                                                                : owner->template),
                 *args = args_of(base, CAPI_WAY_KUBELET), *file = kubelet_file(base);
    const struct platform_part *part = NULL;
    AUTO_MEM char *against = NULL;

    for (size_t i = 0; i < owner->len && !part; i++)
        part = owner->parts[i].component == COMPONENT_KUBELET ? &owner->parts[i] : NULL;
    if (!part)
        return NULL;
    if (!file)
        return say_unread(owner, base);
    if (!json_object_get(part->tree, "content"))
        return str_format("kubelets of %s take --feature-gates in kubeletExtraArgs over what is in "
                          "%s: their gates are written there",
                          owner->where, doc_str(file, "path", NULL));
    against = say_against(part, args);
    if (!*against)
        return NULL;
    return str_format("kubelets of %s take %s of --feature-gates in kubeletExtraArgs over what is "
                      "in %s",
                      owner->where, against, doc_str(file, "path", NULL));
}
