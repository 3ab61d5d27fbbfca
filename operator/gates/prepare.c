// SPDX-License-Identifier: Apache-2.0
// Which of the entries that an instance has now a later minor would refuse: gone, locked to the
// other value, not registered; and whether taking it out changes anything today.
#include "resolve_internal.h"

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
