// SPDX-License-Identifier: Apache-2.0
// Which files the kubelet really reads: its own command line says so. While it is down, what it
// said last counts, which the journal keeps.
#include "node_internal.h"

#include <string.h>
#include <sys/stat.h>

const char *node_host_path(const struct node *node, const char *path)
{
    const char *root = node->spec.paths.host_root;
    return root && str_starts(path, root) && path[strlen(root)] == '/' ? path + strlen(root) : path;
}

// As we see it: what the chart mounts is at its own place, all else below the host's root.
static char *seen_path(const struct node *node, const char *path)
{
    const struct node_paths *paths = &node->spec.paths;
    if (!path[0])
        return NULL;
    return str_eq(path, paths->kubelet_config) || !paths->host_root
               ? str_dup(path)
               : str_format("%s%s", paths->host_root, path);
}

static const char *absolute(const json_t *argv, const char *flag)
{
    const char *value = node_argv_flag(argv, flag);
    return value && value[0] == '/' ? value : "";
}

// Remembers what the running kubelet says. The next save of the journal takes it along.
static void learn(struct node *node, const json_t *argv)
{
    json_t *now = json_pack("{s:o, s:o}", "config", doc_string(absolute(argv, "config")),
                            "configDir", doc_string(absolute(argv, "config-dir")));
    json_t *was = json_object_get(node->journal, "kubelet");
    if (!doc_equal(was, now) &&
        (was || !str_eq(absolute(argv, "config"), node->spec.paths.kubelet_config) ||
         absolute(argv, "config-dir")[0]))
        json_object_set(node->journal, "kubelet", now);
    json_decref(now);
}

bool node_kubelet_find(struct node *node, json_t **ret_argv)
{
    const char *fallback = node->spec.paths.kubelet_config;
    AUTO_JSON json_t *argv =
        fallback && node->spec.paths.find_kubelet ? node_proc_kubelet().argv : NULL;
    if (argv)
        learn(node, argv);
    const json_t *said =
        node->spec.paths.find_kubelet ? json_object_get(node->journal, "kubelet") : NULL;
    const char *config = doc_str(said, "config", NULL);
    AUTO_MEM char *file = fallback ? seen_path(node, config[0] ? config : fallback) : NULL;
    AUTO_MEM char *dir = fallback ? seen_path(node, doc_str(said, "configDir", NULL)) : NULL;
    bool news = !str_eq(file, node->kubelet_config) || !str_eq(dir, node->drop_in_dir);
    if (news) {
        mem_free(node->kubelet_config);
        mem_free(node->drop_in_dir);
        node->kubelet_config = TAKE(file);
        node->drop_in_dir = TAKE(dir);
    }
    *ret_argv = TAKE(argv);
    return news;
}

// --- drop-ins ------------------------------------------------------------------------------------

void node_drop_ins_fini(struct node_drop_ins *drop_ins)
{
    json_decref(drop_ins->before);
    json_decref(drop_ins->after);
    json_decref(drop_ins->files);
    json_decref(drop_ins->places);
    json_decref(drop_ins->server);
    *drop_ins = (struct node_drop_ins){0};
}

#define DROP_IN_DEPTH_MAX 8

static void locate(const struct node_file *file, const char *path, const json_t *gates,
                   json_t *places)
{
    struct site_place place = {&site_kubelet_configuration, COMPONENT_KUBELET, path, .at = NULL};
    const char *gate;
    json_t *value;
    json_object_foreach(node_iterable(gates), gate, value) {
        AUTO_MEM char *text = node_place_text(path, site_line(&place, node_file_slice(file), gate));
        json_object_set_new(places, gate, doc_string(text));
    }
}

static struct error *read_one(const char *path, bool after, struct node_drop_ins *drop_ins)
{
    AUTO_JSON json_t *gates = NULL;
    struct node_file file = {0};
    struct error *err = node_file_read_linked(path, &file); // others may use links
    if (!err)
        err = node_kubelet_config_read(node_file_slice(&file), path, &gates, drop_ins->server);
    if (!err)
        locate(&file, path, gates, drop_ins->places);
    node_file_fini(&file);
    if (err)
        return err;
    json_object_update(after ? drop_ins->after : drop_ins->before, gates);
    AUTO_MEM char *plain = node_plain(slice_of(path));
    const char *gate;
    json_t *value;
    json_object_foreach(gates, gate, value)
        json_object_set_new(drop_ins->files, gate, doc_string(plain));
    return NULL;
}

static bool is_dir(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

// As filepath.WalkDir goes: in the order of the names, into directories, not through links to them.
static struct error *read_dir(const char *dir, unsigned depth, bool after,
                              struct node_drop_ins *drop_ins)
{
    AUTO_STRLIST struct strlist names = {0};
    struct error *err = depth > DROP_IN_DEPTH_MAX
                            ? error_new(ERROR_LIMIT, "%s is too deep for drop-ins", dir)
                            : node_dir_list(dir, true, &names);
    if (depth == 0 && err && error_kind(err) == ERROR_NOT_FOUND) {
        error_ignore(err, "the kubelet ignores a directory that is not there");
        return NULL;
    }
    for (size_t i = 0; i < names.len && !err; i++) {
        const char *name = names.items[i];
        AUTO_MEM char *path = str_format("%s/%s", dir, name);
        bool later = depth == 0 ? strcmp(name, NODE_DROP_IN) > 0 : after;
        if (is_dir(path))
            err = read_dir(path, depth + 1, later, drop_ins);
        else if (str_ends(name, ".conf") && !(depth == 0 && str_eq(name, NODE_DROP_IN)))
            err = read_one(path, later, drop_ins);
    }
    return err;
}

// The kubelet takes files that end in .conf; of featureGates one entry after the other.
struct error *node_drop_ins_read(const char *dir, struct node_drop_ins *ret_drop_ins)
{
    *ret_drop_ins = (struct node_drop_ins){json_object(), json_object(), json_object(),
                                           json_object(), json_object()};
    return dir ? read_dir(dir, 0, false, ret_drop_ins) : NULL;
}
