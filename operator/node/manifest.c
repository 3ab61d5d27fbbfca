// SPDX-License-Identifier: Apache-2.0
// Static pod manifests: which container is the component, what its argv says, and the edit that
// changes nothing else.
#include "node_internal.h"

#include <string.h>
#include <unistd.h>

static const json_t *containers_of(const json_t *tree)
{
    return doc_get(tree, "spec", "containers", NULL);
}

static unsigned best_score(const json_t *tree, enum component component)
{
    unsigned best = 0;
    size_t i;
    json_t *container;
    json_array_foreach(containers_of(tree), i, container) {
        unsigned score = gates_container_score(container, component);
        best = score > best ? score : best;
    }
    return best;
}

static bool is_pod(const json_t *tree)
{
    return str_eq(doc_str(tree, "kind", NULL), "Pod");
}

// Kubeadm's own tools know its pods by the label alone, so one with another name in it is somebody
// else's: a second scheduler runs the same program.
unsigned node_manifest_weight(const json_t *tree, enum component component, bool named)
{
    const char *label = doc_str(tree, "metadata", "labels", "component", NULL);
    bool labelled = str_eq(label, component_name(component));
    if (!is_pod(tree) || (*label && !labelled && !named))
        return 0;
    return best_score(tree, component) + (labelled ? NODE_MANIFEST_LABELLED : 0);
}

bool node_manifest_runs(const json_t *tree, enum component component)
{
    return is_pod(tree) && best_score(tree, component) > 0;
}

struct error *node_manifest_find(const json_t *tree, const char *file_name,
                                 enum component component, struct gates_container *ret_container)
{
    if (!is_pod(tree))
        return error_new(ERROR_INVALID, "%s: not a Pod", file_name);
    return gates_container_find(containers_of(tree), file_name, component, ret_container);
}

const char *node_argv_flag(const json_t *argv, const char *name)
{
    const char *found = NULL;
    size_t len = strlen(name), i;
    json_t *word;
    json_array_foreach(argv, i, word) {
        const char *text = json_string_value(word);
        if (!text || !str_starts(text, "--") || strncmp(text + 2, name, len) != 0)
            continue;
        if (text[2 + len] == '=')
            found = text + 2 + len + 1;
        else if (text[2 + len] == '\0' && json_is_string(json_array_get(argv, i + 1)))
            found = json_string_value(json_array_get(argv, i + 1));
    }
    return found;
}

uint64_t node_manifest_uid(const json_t *tree, size_t container_index)
{
    const json_t *container = json_array_get(containers_of(tree), container_index);
    int64_t uid = doc_int(container, -1, "securityContext", "runAsUser", NULL);
    if (uid < 0)
        uid = doc_int(tree, -1, "spec", "securityContext", "runAsUser", NULL);
    return uid < 0 ? geteuid() : (uint64_t)uid;
}

uint64_t node_unit_uid(const struct node_unit *unit)
{
    return node_manifest_uid(unit->tree, unit->container_index);
}

struct error *node_flags_read(const struct node_site *site, struct slice text,
                              const char *file_name, enum component component, json_t **ret_argv,
                              char **ret_image)
{
    AUTO_JSON json_t *tree = NULL;
    struct error *err = doc_parse_yaml(text, file_name, &tree);
    if (err)
        return err;
    struct gates_container container;
    if ((err = site->find(tree, file_name, component, &container)))
        return err;
    *ret_argv = gates_container_argv(&container, component);
    *ret_image = str_dup(doc_str(container.spec, "image", NULL));
    return NULL;
}

struct error *node_read_manifest(struct slice text, const char *file_name, enum component component,
                                 json_t **ret_argv, char **ret_image)
{
    return node_flags_read(&node_site_pods, text, file_name, component, ret_argv, ret_image);
}

// How long the two lists are by now.
struct argv_map {
    const struct node_site *site;
    const struct gates_container *container;
    size_t command, args;
};

static struct error *apply_edit(struct doc_text *doc, struct argv_map *map,
                                const struct gates_edit *edit, const char *file_name)
{
    bool insert = edit->what == EDIT_INSERT, in_args = false;
    size_t at = 0;
    struct error *err =
        gates_container_place(map->container, map->command, map->args, edit, &in_args, &at);
    if (err)
        return error_wrap(err, "%s", file_name);
    AUTO_MEM char *list = str_format("%s/%zu/%s", map->site->list, map->container->index,
                                     in_args ? "args" : "command");
    AUTO_MEM char *pointer = str_format("%s/%zu", list, at);
    size_t *len = in_args ? &map->args : &map->command;
    if (edit->what == EDIT_REMOVE) {
        (*len)--;
        return doc_text_remove(doc, pointer);
    }
    // foreign: a flag that is no UTF-8 is refused, not changed
    AUTO_JSON json_t *value = json_string(edit->value);
    if (!value)
        return error_new(ERROR_INVALID, "%s: a flag is not UTF-8", file_name);
    if (!insert)
        return doc_text_set_scalar(doc, pointer, value);
    (*len)++;
    return doc_text_insert(doc, list, at, value);
}

struct error *node_flags_edit(const struct node_site *site, struct slice text,
                              const char *file_name, enum component component,
                              const struct gates_flags_change *change, char **ret_text)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    struct error *err = doc_text_new(text, file_name, &doc);
    if (err)
        return err;
    struct gates_container at;
    if ((err = site->find(doc_text_tree(doc), file_name, component, &at)))
        return err;
    struct argv_map map = {site, &at, json_array_size(at.command), json_array_size(at.args)};
    AUTO_JSON json_t *argv = gates_container_argv(&at, component);
    AUTO_JSON json_t *nothing = json_object();
    AUTO_JSON json_t *none = json_array();
    AUTO_EDITS struct gates_edits edits = {0};
    err = gates_flags_edit(component, argv, change->set_gates ? change->set_gates : nothing,
                           change->unset_gates ? change->unset_gates : none,
                           change->set_runtime ? change->set_runtime : nothing,
                           change->unset_runtime ? change->unset_runtime : none, &edits);
    if (err)
        return error_wrap(err, "%s", file_name);
    for (size_t i = 0; i < edits.len; i++) {
        if ((err = apply_edit(doc, &map, &edits.items[i], file_name)))
            return err;
    }
    *ret_text = slice_dup(doc_text_bytes(doc));
    return NULL;
}

struct error *node_edit_manifest(struct slice text, const char *file_name, enum component component,
                                 const json_t *set_gates, const json_t *unset_gates,
                                 const json_t *set_runtime, const json_t *unset_runtime,
                                 char **ret_text)
{
    struct gates_flags_change change = {set_gates, unset_gates, set_runtime, unset_runtime};
    return node_flags_edit(&node_site_pods, text, file_name, component, &change, ret_text);
}
