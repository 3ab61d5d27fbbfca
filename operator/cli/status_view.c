// SPDX-License-Identifier: Apache-2.0
// A DRAConfiguration as a tree: its components with the nodes they are on, and its conditions.
#include "status.h"

#include "drawbridge/api.h"

#define TEXT_BYTES_MAX ((size_t)4 << 20)

static const json_t *find(const json_t *list, const char *key, const char *value)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (str_eq(doc_str(json_array_get(list, i), key, NULL), value))
            return json_array_get(list, i);
    }
    return NULL;
}

static const json_t *condition_of(const json_t *config, const char *type)
{
    return find(doc_get(config, "status", "conditions", NULL), "type", type);
}

// What the agent says is about the revision that it was asked for before this one.
static bool is_behind(const json_t *node, const char *component, const json_t *entry)
{
    const char *asked = doc_str(find(doc_get(node, "spec", "components", NULL), "name", component),
                                "revision", NULL);

    return *asked && !str_eq(asked, doc_str(entry, "revision", NULL));
}

static void add_node_line(struct buf *text, const json_t *node, const char *component)
{
    const json_t *entry = find(doc_get(node, "status", "components", NULL), "name", component);
    const char *message = doc_str(entry, "message", NULL);
    const char *reason = doc_str(entry, "reason", NULL);

    if (!entry)
        return;
    buf_printf(text, "|   |- %s: %s %s", doc_str(node, "metadata", "name", NULL),
               is_behind(node, component, entry) ? "Asked" : doc_str(entry, "state", NULL),
               doc_str(entry, "version", NULL));
    if (str_eq(doc_str(node, "status", "step", "component", NULL), component))
        buf_printf(text, ", %s since %s", doc_str(node, "status", "step", "phase", NULL),
                   doc_str(node, "status", "step", "since", NULL));
    if (*message)
        buf_printf(text, " (%s%s%s)", reason, *reason ? ": " : "", message);
    buf_add_str(text, "\n");
}

// A component without instances is not looked at: a refused spec, or flags that somebody else owns.
static void add_components(struct buf *text, const json_t *config, const json_t *nodes)
{
    const json_t *components = doc_get(config, "status", "components", NULL);
    AUTO_MEM char *key = str_format("%s/%s", doc_str(config, "metadata", "namespace", NULL),
                                    doc_str(config, "metadata", "name", NULL));

    for (size_t i = 0; i < json_array_size(components); i++) {
        const json_t *component = json_array_get(components, i);
        const char *name = doc_str(component, "name", NULL);
        const char *desired = doc_str(component, "desired", NULL);
        int64_t instances = doc_int(component, 0, "instances", NULL);

        if (instances == 0)
            continue;
        buf_printf(text, "|- %s %lld/%lld  %s\n", name,
                   (long long)doc_int(component, 0, "updated", NULL), (long long)instances,
                   *desired ? desired : "nothing to write");
        if (*doc_str(component, "removed", NULL))
            buf_printf(text, "|   taken out, of others: %s\n", doc_str(component, "removed", NULL));
        for (size_t k = 0; k < json_array_size(nodes); k++) {
            if (str_eq(doc_str(json_array_get(nodes, k), "spec", "configuration", NULL), key))
                add_node_line(text, json_array_get(nodes, k), name);
        }
    }
}

static void add_features(struct buf *text, const json_t *config)
{
    const json_t *features = doc_get(config, "status", "features", NULL);

    for (size_t i = 0; i < json_array_size(features); i++) {
        const json_t *feature = json_array_get(features, i);
        const char *message = doc_str(feature, "message", NULL);

        buf_printf(text, "|- feature %s %s%s%s\n", doc_str(feature, "name", NULL),
                   doc_str(feature, "state", NULL), *message ? ": " : "", message);
    }
}

// A text that the Ready condition has already is not said again.
static void add_conditions(struct buf *text, const json_t *config)
{
    const json_t *conditions = doc_get(config, "status", "conditions", NULL);
    const char *ready = doc_str(condition_of(config, "Ready"), "message", NULL);

    if (json_array_size(conditions) == 0)
        buf_add_str(text, "`- No controller has reported on it. See whether one runs and leads: "
                          "drawbridge doctor\n");
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        const char *message = doc_str(condition, "message", NULL);
        bool again = *ready && str_eq(message, ready) && condition != condition_of(config, "Ready");

        buf_printf(text, "%s %s=%s %s%s%s\n", i + 1 < json_array_size(conditions) ? "|-" : "`-",
                   doc_str(condition, "type", NULL), doc_str(condition, "status", NULL),
                   doc_str(condition, "reason", NULL), again ? " (see Ready)" : ": ",
                   again ? "" : message);
    }
}

static bool is_current(const json_t *config)
{
    return doc_int(config, -1, "status", "observedGeneration", NULL) ==
           doc_int(config, 0, "metadata", "generation", NULL);
}

static void add_tree(struct buf *text, const json_t *config, const json_t *nodes)
{
    const json_t *ready = condition_of(config, "Ready");
    const char *version = doc_str(config, "status", "kubernetesVersion", NULL);

    buf_printf(text, "%s/%s  %s  Kubernetes %s  Ready=%s%s\n",
               doc_str(config, "metadata", "namespace", NULL),
               doc_str(config, "metadata", "name", NULL),
               doc_str(config, "status", "platform", NULL), *version ? version : "?",
               ready ? doc_str(ready, "status", NULL) : "Unknown",
               !ready || is_current(config)
                   ? ""
                   : "  (of the spec before: the change has not been looked at yet)");
    add_components(text, config, nodes);
    add_features(text, config);
    add_conditions(text, config);
}

void status_view_make(const json_t *configs, const json_t *nodes, const char *name,
                      struct status_view *view)
{
    AUTO_BUF struct buf text = buf_make(TEXT_BYTES_MAX);

    *view = (struct status_view){.picked = json_array(), .ready = true, .settled = true};
    for (size_t i = 0; i < json_array_size(configs); i++) {
        json_t *config = json_array_get(configs, i);
        bool ready = is_current(config) &&
                     str_eq(doc_str(condition_of(config, "Ready"), "status", NULL), "True");

        if (name && !str_eq(doc_str(config, "metadata", "name", NULL), name))
            continue;
        json_array_append(view->picked, config);
        add_tree(&text, config, nodes);
        view->ready = view->ready && ready;
        view->settled =
            view->settled && (ready || (is_current(config) && condition_of(config, "Stalled")));
    }
    view->text = text.len ? buf_take(&text) : str_dup("");
}

void status_view_fini(struct status_view *view)
{
    json_decref(view->picked);
    mem_free(view->text);
    *view = (struct status_view){0};
}
