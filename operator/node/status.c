// SPDX-License-Identifier: Apache-2.0
// The status of the NodeDRAConfiguration, from what is known now.
#include "node_internal.h"

static const char *const state_names[] = {"Observed", "UpToDate", "Pending",
                                          "Updating", "Failed",   "Unreadable"};
static const char *const phase_names[] = {"Editing", "WaitingForRestart", "WaitingForReady",
                                          "ReadingBack", "RollingBack"};

static void set_string(json_t *tree, const char *key, const char *value)
{
    if (value && value[0])
        json_object_set_new(tree, key, doc_string(value));
}

bool node_image_version(const char *image, struct version *ret_version)
{
    struct slice rest = slice_of(image), name, tag = {0}, part;
    if (!image || !slice_cut(&rest, '@', &name))
        return false;
    while (slice_cut(&name, '/', &part))
        tag = part;
    struct slice colon = tag;
    if (!slice_cut(&colon, ':', &part) || !colon.ptr)
        return false;
    AUTO_MEM char *text = slice_dup(colon);
    return version_parse(text, ret_version);
}

static bool version_of(const struct node_unit *unit, struct version *ret_version)
{
    *ret_version = unit->version;
    return unit->version.major > 0 || node_image_version(unit->image, ret_version);
}

static void add_known(json_t *enabled, const json_t *running, const json_t *names)
{
    const char *name;
    json_t *value;
    json_object_foreach(node_iterable(names), name, value) {
        if (json_object_get(running, name))
            json_object_set(enabled, name, json_object_get(running, name));
    }
}

static bool is_group(const char *name)
{
    return str_eq(name, "AllAlpha") || str_eq(name, "AllBeta"); // settings for many, no gates
}

// What the running binary knows and the table does not, and the other way round.
static void compare_with_table(const struct node_unit *unit, struct version minor,
                               json_t *ret_extra, json_t *ret_missing)
{
    const struct gates_table *table = unit->node->spec.table;
    const char *name;
    json_t *value;
    struct gate gate;
    json_object_foreach(node_iterable(unit->running), name, value) {
        if (!is_group(name) && !gates_find(table, name, minor, &gate))
            json_object_set(ret_extra, name, value);
    }
    AUTO_JSON json_t *all = gates_list(table, minor, true);
    size_t i;
    json_array_foreach(all, i, value) {
        name = doc_str(value, "name", NULL);
        if (!is_group(name) && !json_object_get(unit->running, name))
            json_array_append_new(ret_missing, doc_string(name));
    }
}

static void add_running(const struct node_unit *unit, json_t *component)
{
    struct version version;
    json_t *enabled = json_object(), *extra = json_object(), *missing = json_array();
    const char *name;
    json_t *value;
    add_known(enabled, unit->running, unit->gates);
    add_known(enabled, unit->running,
              doc_get(node_desired_component(unit->node, unit->component), "expect", NULL));
    json_object_foreach(unit->running, name, value) {
        if (gates_is_dra(unit->node->spec.table, name))
            json_object_set(enabled, name, value);
    }
    if (version_of(unit, &version))
        compare_with_table(unit, unit->emulated.major ? unit->emulated : version, extra, missing);
    json_object_set_new(component, "enabled", enabled);
    json_object_set_new(component, "extraGates", extra);
    json_object_set_new(component, "missingGates", missing);
}

static void add_owned(const struct node_unit *unit, json_t *component)
{
    struct node_wish wish = node_wish_of(unit->node, unit->component);
    if (node_owned_empty(wish.owned))
        return;
    AUTO_JSON json_t *owned = node_owned_part(wish.owned, "value");
    AUTO_JSON json_t *removed = site_take_removed(owned);
    json_object_set(component, "owned", owned);
    if (removed)
        json_object_set(component, "removed", removed);
    // the values of others that our entries stand in for
    AUTO_JSON json_t *replaced = node_owned_part(wish.owned, "before");
    if (!node_owned_empty(replaced))
        json_object_set(component, "replaced", replaced);
}

static json_t *build_component(const struct node_unit *unit)
{
    json_t *component = json_pack("{s:o, s:o}", "name", doc_string(component_name(unit->component)),
                                  "state", doc_string(state_names[unit->state]));
    struct version version;
    // A newer wish has come already and was not looked at: the state does not speak of it.
    if (unit->state != NODE_OBSERVED)
        set_string(component, "revision", unit->revision);
    if (version_of(unit, &version)) {
        AUTO_MEM char *text = version_format(version);
        set_string(component, "version", text);
    }
    if (unit->emulated.major) {
        AUTO_MEM char *text = version_format_minor(unit->emulated);
        set_string(component, "emulatedVersion", text);
    }
    if (unit->gates)
        json_object_set(component, "featureGates", unit->gates);
    if (unit->runtime && unit->component == COMPONENT_APISERVER)
        json_object_set(component, "runtimeConfig", unit->runtime);
    if (json_object_size(unit->places) > 0)
        json_object_set(component, "places", unit->places);
    add_owned(unit, component);
    if (unit->running)
        add_running(unit, component);
    AUTO_MEM char *excludes = node_unit_excludes(unit);
    set_string(component, "excludesDRA", excludes);
    json_object_set_new(component, "healthy", json_boolean(unit->probed && unit->healthy));
    set_string(component, "updatedAt",
               doc_str(node_record_peek(unit->node, unit->component), "updatedAt", NULL));
    if (unit->state == NODE_FAILED || unit->state == NODE_UNREADABLE)
        set_string(component, "reason", unit->reason);
    set_string(component, "message", unit->message);
    if (json_array_size(unit->others) > 0)
        json_object_set(component, "otherManifests", unit->others);
    return component;
}

static json_t *build_step(const struct node_step *step)
{
    char since[CLOCK_TEXT_BYTES];
    return json_pack("{s:o, s:o, s:o}", "component",
                     doc_string(component_name(step->unit->component)), "phase",
                     doc_string(phase_names[step->phase]), "since",
                     doc_string(clock_format(step->since_wall_ms, since)));
}

json_t *node_status_build(struct node *node)
{
    json_t *status = json_object(), *components = json_array();
    if (json_object_get(node->journal, "epoch"))
        json_object_set(status, "epoch", json_object_get(node->journal, "epoch"));
    json_object_set_new(status, "agentVersion", json_string("v" DRAWBRIDGE_VERSION));
    if (node->step)
        json_object_set_new(status, "step", build_step(node->step));
    for (size_t c = 0; c < COMPONENT_COUNT; c++) {
        if (node->units[c].present)
            json_array_append_new(components, build_component(&node->units[c]));
    }
    json_object_set_new(status, "components", components);
    return status;
}
