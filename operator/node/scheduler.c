// SPDX-License-Identifier: Apache-2.0
// What the scheduler's own configuration (--config) leaves out. Without its plugin a scheduler with
// the gate on binds pods and gives them no devices, with green health checks; the file is on the
// node, and nobody else can see it.
#include "node_internal.h"

#include <string.h>

#define PLUGIN "DynamicResources"

// Where the plugin does its work; what it has besides is comfort.
static const char *const points[] = {"preFilter", "filter", "reserve", "preBind"};

static bool lists(const json_t *set, const char *list, bool all)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(set, list), i, entry) {
        const char *name = doc_str(entry, "name", NULL);
        if (str_eq(name, PLUGIN) || (all && str_eq(name, "*")))
            return true;
    }
    return false;
}

static bool runs_at(const json_t *plugins, const char *point)
{
    const json_t *own = json_object_get(plugins, point);
    const json_t *multi = json_object_get(plugins, "multiPoint");
    if (lists(own, "enabled", false))
        return true;
    return !lists(own, "disabled", true) &&
           (lists(multi, "enabled", false) || !lists(multi, "disabled", true));
}

static const char *missing_at(const json_t *profile)
{
    const json_t *plugins = json_object_get(profile, "plugins");
    for (size_t i = 0; i < COUNT(points); i++) {
        if (!runs_at(plugins, points[i]))
            return points[i];
    }
    return NULL;
}

// A further profile without it may be meant so; the standard one is what pods get that ask for
// none.
char *node_scheduler_excludes(const json_t *config)
{
    const json_t *profiles = json_object_get(config, "profiles");
    AUTO_BUF struct buf text = buf_make(NODE_MESSAGE_BYTES_MAX);
    bool standard = false;
    size_t missing = 0, i;
    json_t *profile;
    json_array_foreach(profiles, i, profile) {
        const char *name = doc_str(profile, "schedulerName", NULL), *point = missing_at(profile);
        name = name[0] ? name : "default-scheduler";
        if (!point)
            continue;
        standard = standard || str_eq(name, "default-scheduler");
        buf_printf(&text, "%sthe profile %s is without " PLUGIN " at %s", missing++ ? ", " : "",
                   name, point);
    }
    return standard || (missing && missing == json_array_size(profiles)) ? buf_take(&text) : NULL;
}

static struct error *read_config(const char *path, json_t **ret_config)
{
    struct node_file file = {0};
    struct error *err = node_file_read_linked(path, &file);
    if (!err)
        err = doc_parse_yaml(node_file_slice(&file), path, ret_config);
    node_file_fini(&file);
    return err;
}

char *node_unit_excludes(const struct node_unit *unit)
{
    const char *flag = unit->component == COMPONENT_SCHEDULER && !unit->problem
                           ? node_argv_flag(unit->argv, "config")
                           : NULL;
    AUTO_MEM char *host =
        flag && flag[0] == '/' ? node_site(unit->node)->host_file(unit, flag) : NULL;
    AUTO_JSON json_t *config = NULL;
    if (!host)
        return NULL;
    const char *root = unit->node->spec.paths.host_root;
    AUTO_MEM char *seen = str_format("%s%s", root ? root : "", host);
    struct error *err = read_config(seen, &config);
    if (err) {
        error_ignore(err, "what the scheduler reads is then not known, and its pods tell");
        return NULL;
    }
    AUTO_MEM char *what = node_scheduler_excludes(config);
    AUTO_MEM char *text = what ? str_format("%s: %s", host, what) : NULL;
    return text ? node_plain(slice_of(text)) : NULL;
}
