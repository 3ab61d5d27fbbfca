// SPDX-License-Identifier: Apache-2.0
// The diffs of `drawbridge plan`: files of this node as they are, flags of mirror pods elsewhere,
// documents in ConfigMaps.
#include <dirent.h>
#include <string.h>

#include "drawbridge/site.h"
#include "plan.h"

// What the step would make of it, as who writes it will.
static struct error *edit(const struct plan_view *view, const struct plan_step *step,
                          const struct site_place *place, struct site_content now,
                          struct site_edit *ret_edit)
{
    const json_t *reported = view->observed->instances[step->instance].reported;
    struct site_document document = {.now = now};
    AUTO_JSON json_t *owned = site_owned_of(reported);
    AUTO_JSON json_t *want = site_wanted(step->want);
    AUTO_SITE_PART struct site_part part = {.place = *place,
                                            .owned = owned,
                                            .replaced = json_object_get(reported, "replaced"),
                                            .want = want};

    return site_edit(&document, &part, 1, ret_edit);
}

static void add_diff(struct buf *text, const char *before, const char *after, const char *name)
{
    AUTO_MEM char *a = str_format("a/%s", name);
    AUTO_MEM char *b = str_format("b/%s", name);
    AUTO_MEM char *diff = doc_diff(slice_of(before), slice_of(after), a, b);

    buf_add_str(text, diff);
}

// --- files of this node --------------------------------------------------------------------------

// The manifest that holds the component: the only file in the directory that can be edited for it.
static struct error *diff_manifest(const struct plan_view *view, enum component component,
                                   const struct plan_step *step, struct buf *text)
{
    DIR *dir = opendir(view->manifests_dir);
    const struct dirent *entry;
    bool found = false;
    struct error *err = NULL;

    if (!dir)
        return error_new(ERROR_NOT_FOUND, "cannot read %s", view->manifests_dir);
    while (!err && !found && (entry = readdir(dir))) {
        AUTO_MEM char *path = str_format("%s/%s", view->manifests_dir, entry->d_name);
        struct site_place place = {&site_pod, component, path, .at = NULL};
        struct site_container container;
        AUTO_MEM char *before = NULL;
        AUTO_SITE_EDIT struct site_edit after = {0};
        AUTO_JSON json_t *tree = NULL;

        if (entry->d_name[0] == '.')
            continue;
        err = cli_read_file(path, &before);
        if (err)
            break;
        err = doc_parse_yaml(slice_of(before), path, &tree);
        if (!err)
            err = site_find(&place, tree, &container);
        if (err) {
            error_free(err); // another component's
            err = NULL;
            continue;
        }
        found = true;
        err = edit(view, step, &place, (struct site_content){.text = slice_of(before)}, &after);
        if (!err)
            add_diff(text, before, after.text, *path == '/' ? path + 1 : path);
    }
    closedir(dir);
    if (!err && !found)
        return error_new(ERROR_NOT_FOUND, "no manifest in %s runs %s", view->manifests_dir,
                         component_name(component));
    return err;
}

static struct error *diff_kubelet_file(const struct plan_view *view, const struct plan_step *step,
                                       struct buf *text)
{
    const char *path = view->kubelet_config;
    struct site_place place = {&site_kubelet_configuration, COMPONENT_KUBELET, path, .at = NULL};
    AUTO_MEM char *before = NULL;
    AUTO_SITE_EDIT struct site_edit after = {0};
    struct error *err = cli_read_file(path, &before);

    if (!err)
        err = edit(view, step, &place, (struct site_content){.text = slice_of(before)}, &after);
    if (!err)
        add_diff(text, before, after.text, *path == '/' ? path + 1 : path);
    return err;
}

// --- elsewhere -----------------------------------------------------------------------------------

json_t *plan_pod_argv(const struct cluster *cluster, const struct plan_instance *instance)
{
    AUTO_MEM char *key =
        str_format("kube-system/%s-%s", component_name(instance->component), instance->node);
    const json_t *containers = json_object_get(watch_get(cluster->pods, key), "containers");

    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *container = json_array_get(containers, i);
        const json_t *command = json_object_get(container, "command");
        const json_t *args = json_object_get(container, "args");
        json_t *argv;

        if (!str_eq(doc_str(container, "name", NULL), component_name(instance->component)))
            continue;
        argv = command ? doc_copy(command) : json_array();
        if (args)
            json_array_extend(argv, (json_t *)(uintptr_t)args);
        return argv;
    }
    return NULL;
}

static char *argv_text(const json_t *argv)
{
    AUTO_BUF struct buf text = buf_make((size_t)1 << 20);

    for (size_t i = 0; i < json_array_size(argv); i++)
        buf_printf(&text, "- %s\n", json_string_value(json_array_get(argv, i)));
    return buf_take(&text);
}

static struct error *diff_pod(const struct plan_view *view, const struct plan_step *step,
                              struct buf *text)
{
    const struct plan_instance *instance = &view->observed->instances[step->instance];
    AUTO_JSON json_t *argv = plan_pod_argv(view->cluster, instance);
    AUTO_JSON json_t *lists = json_object();
    AUTO_SITE_EDIT struct site_edit edited = {0};
    AUTO_MEM char *before = NULL;
    AUTO_MEM char *after = NULL;
    AUTO_MEM char *name = str_format("%s/%s", instance->node, component_name(instance->component));
    struct site_place place = {&site_lists, instance->component, name, .at = NULL};
    struct error *err;

    if (!argv)
        return error_new(ERROR_NOT_FOUND, "the mirror pod of %s is not there", instance->id);
    before = argv_text(argv);
    json_object_set(lists, "args", argv);
    err = edit(view, step, &place, (struct site_content){.tree = lists}, &edited);
    if (err)
        return err;
    after = argv_text(json_object_get(edited.tree, "args"));
    add_diff(text, before, after, name);
    return NULL;
}

static struct error *diff_kubelet(const struct plan_view *view, const struct plan_step *step,
                                  struct buf *text)
{
    const struct plan_instance *instance = &view->observed->instances[step->instance];
    AUTO_JSON json_t *tree = json_object();
    AUTO_MEM char *before = NULL;
    AUTO_SITE_EDIT struct site_edit after = {0};
    AUTO_MEM char *name = str_format("%s/kubelet", instance->node);
    struct site_place place = {&site_kubelet_configuration, COMPONENT_KUBELET, name, .at = NULL};
    struct error *err;

    json_object_set_new(tree, "apiVersion", json_string("kubelet.config.k8s.io/v1beta1"));
    json_object_set_new(tree, "kind", json_string("KubeletConfiguration"));
    if (json_object_size(json_object_get(instance->reported, "featureGates")) > 0)
        json_object_set_new(tree, "featureGates",
                            doc_copy(json_object_get(instance->reported, "featureGates")));
    before = doc_print_yaml(tree);
    err = edit(view, step, &place, (struct site_content){.text = slice_of(before)}, &after);
    if (!err)
        add_diff(text, before, after.text, name);
    return err;
}

static struct error *diff_step(const struct plan_view *view, const struct plan_step *step,
                               struct buf *text)
{
    const struct plan_instance *instance = &view->observed->instances[step->instance];
    bool here = !view->node || str_eq(view->node, instance->node);
    struct error *err;

    if (instance->component == COMPONENT_KUBELET)
        err = view->kubelet_config && here ? diff_kubelet_file(view, step, text)
                                           : diff_kubelet(view, step, text);
    else if (view->manifests_dir && here)
        err = diff_manifest(view, instance->component, step, text);
    else
        err = diff_pod(view, step, text);
    return error_wrap(err, "%s", instance->id);
}

static struct error *diff_previews(const struct plan_view *view, struct buf *text)
{
    AUTO_JSON json_t *before = NULL;
    AUTO_JSON json_t *after = NULL;
    struct error *err = platform_preview(view->observed, &view->plan, &before, &after);
    const char *name;
    json_t *value;

    if (err)
        return err;
    json_object_foreach(after, name, value)
        add_diff(text, json_string_value(json_object_get(before, name)), json_string_value(value),
                 name);
    return NULL;
}

struct error *plan_view_diff(const struct plan_view *view, char **ret_text)
{
    AUTO_BUF struct buf text = buf_make((size_t)8 << 20);
    struct error *err = NULL;

    for (size_t i = 0; !err && i < view->plan.len; i++) {
        const struct plan_step *step = &view->plan.steps[i];

        if (step->changes && view->observed->instances[step->instance].node)
            err = diff_step(view, step, &text);
    }
    if (!err)
        err = diff_previews(view, &text);
    if (err)
        return err;
    *ret_text = buf_take(&text);
    return NULL;
}
