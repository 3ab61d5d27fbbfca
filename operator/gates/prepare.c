// SPDX-License-Identifier: Apache-2.0
// Which of the entries that an instance has now a later minor would refuse: gone, locked to the
// other value, not registered; and whether taking it out changes anything today.
#include "resolve_internal.h"

// Of a component of a NodeDRAConfiguration.
#define WITHOUT_GATES_MAX 256
#define WITHOUT_RUNTIME_MAX 128

bool prepare_gate(const struct gates_table *table, const struct class *later, const char *name,
                  bool value, enum gates_finding_kind *ret_kind, bool *ret_unknown)
{
    const struct gate_row *row = gates_row(table, name);
    struct gate gate;
    if (row != NULL && judge_gate(later, row, &gate)) {
        *ret_kind = FINDING_LOCKED;
        return gate.locked && gate.value != value;
    }
    bool now_only_binary = json_object_get(later->instance->extra_gates, name) != NULL;
    if (now_only_binary || !gates_covers(table, later->minor)) {
        // A gate that left before the table's end does not come back.
        struct version first, last;
        if (now_only_binary || !gates_ever(table, name, &first, &last) ||
            last.minor >= table->newest) {
            *ret_unknown = true;
            return false;
        }
    }
    *ret_kind = FINDING_REMOVED;
    return true;
}

bool prepare_api(const struct gates_table *table, const struct class *later, const char *key,
                 bool *ret_unknown)
{
    AUTO_MEM char *group = NULL;
    AUTO_MEM char *version = NULL;
    AUTO_MEM char *resource = NULL;
    if (!gates_runtime_split(key, &group, &version, &resource) ||
        gates_api_at(gates_api_row(table, group, version), later->minor) >= 0)
        return false;
    *ret_unknown = *ret_unknown || !gates_covers(table, later->minor);
    return gates_covers(table, later->minor);
}

struct class prepare_class(const struct gates_instance *instance, int minor)
{
    bool emulates =
        instance->emulated.major == 1 && instance->emulated.minor < instance->version.minor;
    return (struct class){.instance = instance,
                          .minor = minor,
                          .emulated = emulates ? instance->emulated.minor : minor};
}

// The value the gate would have today without its entry.
static bool
gate_matters(const struct gates_table *table, const struct gates_instance *instance,
             const char *name, bool value)
{
    const struct resolver nothing_wanted = {.table = table};
    AUTO_JSON json_t *without = doc_copy(instance->foreign_gates);
    struct gates_instance bare = *instance;
    struct class now;
    json_object_del(without, name);
    bare.foreign_gates = without;
    now = prepare_class(&bare, instance->version.minor);
    return judge_value(&nothing_wanted, &now, name, gates_row(table, name), false) != value;
}

static bool api_matters(const struct gates_table *table, const struct gates_instance *instance,
                        const char *key)
{
    AUTO_MEM char *group = NULL;
    AUTO_MEM char *version = NULL;
    AUTO_MEM char *resource = NULL;
    AUTO_JSON json_t *without = doc_copy(instance->foreign_runtime);
    if (!gates_runtime_split(key, &group, &version, &resource))
        return true;
    const struct api_row *row = gates_api_row(table, group, version);
    int minor = prepare_class(instance, instance->version.minor).emulated;
    const char *const one[] = {resource, NULL};
    const char *const *resources = resource == NULL ? NULL : one;
    bool by_default = gates_api_at(row, minor) == 1;
    json_object_del(without, key);
    return gates_runtime_serves(instance->foreign_runtime, group, version, by_default, resources) !=
           gates_runtime_serves(without, group, version, by_default, resources);
}

static void find(struct gates_findings *findings, struct gates_finding finding)
{
    if (findings->len == GATES_ENTRIES_MAX) {
        mem_free(finding.entry);
        return;
    }
    findings->items = mem_realloc(findings->items, (findings->len + 1) * sizeof(*findings->items));
    findings->items[findings->len++] = finding;
}

static void prepare_gates(const struct gates_table *table, const struct gates_instance *instance,
                          int target, struct gates_findings *findings)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)instance->foreign_gates, name, value) {
        for (int minor = instance->version.minor + 1; minor <= target; minor++) {
            struct class later = prepare_class(instance, minor);
            struct gates_finding finding = {.minor = minor, .value = json_is_true(value)};
            if (!prepare_gate(table, &later, name, finding.value, &finding.kind,
                              &findings->unknown))
                continue;
            finding.entry = str_dup(name);
            finding.matters = gate_matters(table, instance, name, finding.value);
            find(findings, finding);
            break;
        }
    }
}

static void prepare_apis(const struct gates_table *table, const struct gates_instance *instance,
                         int target, struct gates_findings *findings)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)instance->foreign_runtime, key, value) {
        for (int minor = instance->version.minor + 1; minor <= target; minor++) {
            struct class later = prepare_class(instance, minor);
            if (!prepare_api(table, &later, key, &findings->unknown))
                continue;
            find(findings, (struct gates_finding){.kind = FINDING_UNREGISTERED,
                                                  .minor = minor,
                                                  .entry = str_dup(key),
                                                  .value = str_eq(json_string_value(value), "true"),
                                                  .matters = api_matters(table, instance, key)});
            break;
        }
    }
}

void gates_prepare(const struct gates_table *table, const struct gates_instance *instance,
                   struct version target, struct gates_findings *ret_findings)
{
    *ret_findings = (struct gates_findings){0};
    if (instance->version.major != 1 || target.major != 1) {
        ret_findings->unknown = true;
        return;
    }
    prepare_gates(table, instance, target.minor, ret_findings);
    if (instance->component == COMPONENT_APISERVER)
        prepare_apis(table, instance, target.minor, ret_findings);
}

bool gates_refused(const struct gates_table *table, const struct gates_instance *instance,
                   const char *entry, const json_t *value, bool runtime)
{
    struct class now = prepare_class(instance, instance->version.minor);
    enum gates_finding_kind kind;
    bool unknown = false;
    if (instance->version.major != 1)
        return false;
    return runtime ? prepare_api(table, &now, entry, &unknown)
                   : prepare_gate(table, &now, entry, json_is_true(value), &kind, &unknown);
}

// --- what goes -----------------------------------------------------------------------------------

// Of what the table does not have in this minor nobody can say what it is without its entry.
static bool is_told(const struct gates_table *table, const struct gates_instance *instance,
                    const struct gates_finding *finding)
{
    struct class now = prepare_class(instance, instance->version.minor);
    AUTO_MEM char *group = NULL;
    AUTO_MEM char *version = NULL;
    AUTO_MEM char *resource = NULL;
    struct gate gate;
    if (finding->kind == FINDING_UNREGISTERED)
        return gates_runtime_split(finding->entry, &group, &version, &resource) &&
               gates_api_at(gates_api_row(table, group, version), now.emulated) >= 0;
    const struct gate_row *row = gates_row(table, finding->entry);
    return row != NULL && judge_gate(&now, row, &gate);
}

// One after the other: of two entries that say the same the second has an effect once the first is
// gone.
static void choose(const struct gates_table *table, const struct gates_finding *finding,
                   const struct gates_instance *rest, const struct gates_desired *desired,
                   struct strlist *gates, struct strlist *runtime)
{
    bool api = finding->kind == FINDING_UNREGISTERED;
    const json_t *ours = api ? desired->runtime_config : desired->feature_gates;
    const json_t *left = api ? rest->foreign_runtime : rest->foreign_gates;
    if (finding->matters || !is_told(table, rest, finding) ||
        json_object_get(ours, finding->entry) != NULL ||
        (api ? api_matters(table, rest, finding->entry)
             : gate_matters(table, rest, finding->entry, finding->value)))
        return;
    json_object_del((json_t *)(uintptr_t)left, finding->entry);
    // That nothing changes with it is seen when the component is read back.
    if (!api && json_object_get(desired->effective, finding->entry) == NULL)
        json_object_set_new(desired->effective, finding->entry, json_boolean(finding->value));
    strlist_add(api ? runtime : gates, finding->entry);
}

// What was taken out on the way to this minor, and is refused by it now, does not come back.
static void keep_out(const struct gates_table *table, const struct gates_instance *instance,
                     struct strlist *gates, struct strlist *runtime)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)instance->removed_gates, name, value) {
        if (gates_refused(table, instance, name, value, false))
            strlist_add(gates, name);
    }
    json_object_foreach((json_t *)(uintptr_t)instance->removed_runtime, name, value) {
        if (gates_refused(table, instance, name, value, true))
            strlist_add(runtime, name);
    }
}

// Each once, as a NodeDRAConfiguration takes them: a report can say anything.
static void put_sorted(struct strlist *names, bool (*valid)(const char *), size_t max,
                       json_t *array)
{
    strlist_sort(names);
    for (size_t i = 0; i < names->len && json_array_size(array) < max; i++) {
        if (valid(names->items[i]) && (i == 0 || !str_eq(names->items[i], names->items[i - 1])))
            json_array_append_new(array, doc_string(names->items[i]));
    }
}

static json_t *with_removed(const json_t *foreign, const json_t *removed)
{
    json_t *all = foreign != NULL ? doc_copy(foreign) : json_object();
    json_object_update_missing(all, (json_t *)(uintptr_t)removed);
    return all;
}

void prepare_without(const struct gates_table *table, const struct gates_instance *instance,
                     struct version target, const struct gates_desired *desired)
{
    AUTO_FINDINGS struct gates_findings findings = {0};
    AUTO_STRLIST struct strlist gates = {0};
    AUTO_STRLIST struct strlist runtime = {0};
    AUTO_JSON json_t *all_gates = with_removed(instance->foreign_gates, instance->removed_gates);
    AUTO_JSON json_t *all_runtime =
        with_removed(instance->foreign_runtime, instance->removed_runtime);
    AUTO_JSON json_t *rest_gates = doc_copy(all_gates);
    AUTO_JSON json_t *rest_runtime = doc_copy(all_runtime);
    struct gates_instance all = *instance, rest = *instance;
    all.foreign_gates = all_gates;
    all.foreign_runtime = all_runtime;
    rest.foreign_gates = rest_gates;
    rest.foreign_runtime = rest_runtime;
    if (target.major != 0)
        gates_prepare(table, &all, target, &findings);
    for (size_t i = 0; i < findings.len; i++)
        choose(table, &findings.items[i], &rest, desired, &gates, &runtime);
    keep_out(table, instance, &gates, &runtime);
    put_sorted(&gates, gates_name_valid, WITHOUT_GATES_MAX, desired->without_gates);
    put_sorted(&runtime, gates_api_name_valid, WITHOUT_RUNTIME_MAX, desired->without_runtime);
}

void gates_findings_fini(struct gates_findings *findings)
{
    for (size_t i = 0; i < findings->len; i++)
        mem_free(findings->items[i].entry);
    mem_free(findings->items);
    *findings = (struct gates_findings){0};
}

char *gates_finding_text(const struct gates_finding *finding)
{
    if (finding->kind == FINDING_LOCKED)
        return str_format("locked to %s in 1.%d", finding->value ? "false" : "true",
                          finding->minor);
    return str_format("%s in 1.%d", finding->kind == FINDING_REMOVED ? "removed" : "not registered",
                      finding->minor);
}
