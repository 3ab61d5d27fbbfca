// SPDX-License-Identifier: Apache-2.0
// Where a node's components have their flags. What all sites have in common is here, and the site
// of static pods: a manifest for each component, which the kubelet starts anew when it changes.
#include "node_internal.h"

#include <string.h>

#define LOG_FILES_MAX 64

const struct node_site *node_site(const struct node *node)
{
    return node->spec.paths.kwok_dir ? &node_site_kwok : &node_site_pods;
}

struct site_place node_place(const struct node_unit *unit, int file)
{
    const struct site_codec *codec = unit->component != COMPONENT_KUBELET
                                         ? node_site(unit->node)->codec
                                     : file == NODE_FILE_ENV ? &site_env_file
                                                             : &site_kubelet_configuration;
    return (struct site_place){codec, unit->component, unit->files[file].path, .at = NULL};
}

bool node_unit_restarts(const struct node_unit *unit)
{
    return unit->component == COMPONENT_KUBELET || node_site(unit->node)->restart;
}

void node_step_restart(struct node_step *step)
{
    const struct node_site *site = node_site(step->unit->node);
    if (step->unit->component == COMPONENT_KUBELET)
        node_step_restart_kubelet(step);
    else if (site->restart)
        site->restart(step);
}

// --- static pods ---------------------------------------------------------------------------------

static const char *pods_dir(const struct node_paths *paths)
{
    return paths->manifests_dir;
}

static struct error *pods_read(const char *path, enum component component,
                               struct node_file *ret_file)
{
    (void)component;
    return node_file_read_or_empty(path, ret_file);
}

static struct error *pods_replace(const char *path, enum component component,
                                  const char *digest_was, struct slice text, bool back)
{
    (void)component;
    return back ? node_file_put_back(path, digest_was, text)
                : node_file_replace(path, digest_was, text);
}

static const json_t *own_container(const struct node_unit *unit)
{
    return json_array_get(doc_get(unit->tree, "spec", "containers", NULL), unit->container_index);
}

static bool pods_runs(const struct node_unit *unit)
{
    return node_proc_runs(unit->argv, node_unit_uid(unit));
}

static char *pods_base(const struct node_unit *unit)
{
    return node_probe_base(own_container(unit), unit->argv, unit->component);
}

static void each_log_in(const char *dir, node_log_fn *fn, void *owner)
{
    AUTO_STRLIST struct strlist names = {0};
    struct error *err = node_dir_list(dir, false, &names);
    if (err) {
        error_ignore(err, "the container has no logs yet");
        return;
    }
    for (size_t i = 0; i < names.len && i < LOG_FILES_MAX; i++) {
        AUTO_MEM char *path = str_format("%s/%s", dir, names.items[i]);
        if (str_ends(names.items[i], ".log"))
            fn(owner, path);
    }
}

// Every log of the component's container: <ns>_<pod>[-<node>]_<uid>/<container>/<n>.log.
static void pods_each_log(const struct node_unit *unit, node_log_fn *fn, void *owner)
{
    const char *root = unit->node->spec.paths.pod_logs_dir;
    const char *pod = doc_str(unit->tree, "metadata", "name", NULL);
    if (!root || !pod[0] || !unit->container)
        return;
    const char *namespace = doc_str(unit->tree, "metadata", "namespace", NULL);
    AUTO_MEM char *prefix = str_format("%s_%s", namespace[0] ? namespace : "default", pod);
    AUTO_STRLIST struct strlist pods = {0};
    struct error *err = node_dir_list(root, false, &pods);
    if (err)
        error_ignore(err, "no pod logs, no reasons from them");
    for (size_t i = 0; i < pods.len; i++) {
        char after = str_starts(pods.items[i], prefix) ? pods.items[i][strlen(prefix)] : '\0';
        if (after != '-' && after != '_')
            continue;
        AUTO_MEM char *dir = str_format("%s/%s/%s", root, pods.items[i], unit->container);
        each_log_in(dir, fn, owner);
    }
}

// The file of the container's path on the host, by its longest mount; NULL: it is on no host path.
static char *pods_host_file(const struct node_unit *unit, const char *path)
{
    const json_t *container = own_container(unit);
    const json_t *best = NULL;
    size_t i, k, len = 0;
    json_t *mount, *volume;
    json_array_foreach(json_object_get(container, "volumeMounts"), i, mount) {
        const char *at = doc_str(mount, "mountPath", NULL);
        size_t n = strlen(at);
        if (n > len && str_starts(path, at) && (path[n] == '/' || path[n] == '\0') &&
            !json_object_get(mount, "subPath") && !json_object_get(mount, "subPathExpr")) {
            best = mount;
            len = n;
        }
    }
    json_array_foreach(doc_get(unit->tree, "spec", "volumes", NULL), k, volume) {
        const char *host = doc_str(volume, "hostPath", "path", NULL);
        if (best && host[0] == '/' &&
            str_eq(doc_str(volume, "name", NULL), doc_str(best, "name", NULL)))
            return str_format("%s%s", host, path + len);
    }
    return NULL;
}

const struct node_site node_site_pods = {
    .kubelet = true,
    .codec = &site_pod,
    .dir = pods_dir,
    .observe = node_observe_pods,
    .read = pods_read,
    .replace = pods_replace,
    .runs = pods_runs,
    .base = pods_base,
    .each_log = pods_each_log,
    .host_file = pods_host_file,
};
