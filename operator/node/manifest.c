// SPDX-License-Identifier: Apache-2.0
// Static pod manifests: which of them is the component, and what its argv says.
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
        unsigned score = site_container_score(container, component);
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
