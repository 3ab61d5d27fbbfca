// SPDX-License-Identifier: Apache-2.0
// Whether the next minor of each instance would start with the flags that it has now, whoever wrote
// them.
#include "resolve_internal.h"

#define FINDINGS_MAX 8 // more are counted, not named

struct findings {
    struct strlist lines;
    size_t total;
    bool table_ended;
};

static void find(struct findings *f, const struct gates_instance *i, int next, char *take_what)
{
    AUTO_MEM char *what = take_what;
    AUTO_MEM char *line = str_format("%s 1.%d: %s", component_name(i->component), next, what);
    if (strlist_has(&f->lines, line))
        return;
    f->total++;
    if (f->total <= FINDINGS_MAX)
        strlist_add(&f->lines, line);
}

// Foreign entries with ours over them.
static json_t *merge(const json_t *foreign, const json_t *ours)
{
    json_t *merged = json_object();
    json_object_update(merged, (json_t *)(uintptr_t)foreign);
    json_object_update(merged, (json_t *)(uintptr_t)ours);
    return merged;
}

static void check_gate(const struct gates_table *table, const struct class *c, const char *name,
                       bool value, struct findings *f)
{
    enum gates_finding_kind kind;
    if (!prepare_gate(table, c, name, value, &kind, &f->table_ended))
        return;
    find(f, c->instance, c->minor,
         kind == FINDING_LOCKED
             ? str_format("feature gate %s is locked to %s", name, value ? "false" : "true")
             : str_format("feature gate %s is removed", name));
}

static void check_dependencies(const struct resolver *r, const struct class *c, const json_t *gates,
                               struct findings *f)
{
    if (json_object_size(gates) == 0)
        return;
    for (size_t i = 0; i < r->table->gates_len; i++) {
        const struct gate_row *row = &r->table->gates[i];
        const char *const *dep = gates_row_depends_on(row, c->minor);
        struct gate gate;
        if (dep == NULL || !judge_enforces(c, row) || !judge_gate(c, row, &gate) ||
            !judge_value(r, c, row->name, row, false))
            continue;
        for (; *dep != NULL; dep++)
            if (!judge_value(r, c, *dep, gates_row(r->table, *dep), false))
                find(f, c->instance, c->minor,
                     str_format("feature gate %s needs %s, which is off", row->name, *dep));
    }
}

static void check_runtime(const struct gates_table *table, const struct class *c,
                          const json_t *runtime, struct findings *f)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)runtime, key, value) {
        if (prepare_api(table, c, key, &f->table_ended))
            find(f, c->instance, c->minor, str_format("API version %s does not exist", key));
    }
}

// The instance as it would be one minor later, with the same flags.
static void check_instance(const struct gates_table *table, const struct gates_instance *i,
                           const struct gates_desired *desired, struct findings *f)
{
    AUTO_JSON json_t *gates =
        merge(i->foreign_gates, desired == NULL ? NULL : desired->feature_gates);
    AUTO_JSON json_t *runtime =
        merge(i->foreign_runtime, desired == NULL ? NULL : desired->runtime_config);
    struct gates_instance later = *i;
    later.foreign_gates = gates;
    later.foreign_runtime = runtime;
    int next = i->version.minor + 1;
    struct class c = prepare_class(&later, next);
    const struct resolver nothing_wanted = {.table = table};
    if (i->version.major != 1 || next > table->newest)
        f->table_ended = true;
    if (i->version.major != 1)
        return;
    const char *name;
    json_t *value;
    json_object_foreach(gates, name, value)
        check_gate(table, &c, name, json_is_true(value), f);
    check_dependencies(&nothing_wanted, &c, gates, f);
    check_runtime(table, &c, runtime, f);
}

enum upgradeable gates_upgradeable(const struct gates_table *table,
                                   const struct gates_instance *instances, size_t instances_len,
                                   const struct gates_desired *desired, char **ret_message)
{
    struct findings f = {0};
    for (size_t i = 0; i < instances_len; i++)
        check_instance(table, &instances[i], desired == NULL ? NULL : &desired[i], &f);
    enum upgradeable answer = f.total > 0     ? UPGRADEABLE_FALSE
                              : f.table_ended ? UPGRADEABLE_UNKNOWN
                                              : UPGRADEABLE_TRUE;
    if (answer == UPGRADEABLE_FALSE) {
        AUTO_MEM char *lines = strlist_join(&f.lines, "; ");
        AUTO_MEM char *more = f.total > f.lines.len
                                  ? str_format("; and %zu more", f.total - f.lines.len)
                                  : str_dup("");
        *ret_message = str_format("the next minor would not start with what is set now: %s%s; take "
                                  "it out before the upgrade",
                                  lines, more);
    } else if (answer == UPGRADEABLE_UNKNOWN) {
        *ret_message = str_format(
            "the gate table ends with Kubernetes 1.%d, so what the next minor refuses is not known",
            table->newest);
    } else {
        *ret_message =
            str_dup("the next minor takes every feature gate and API version that is set now");
    }
    strlist_fini(&f.lines);
    return answer;
}
