// SPDX-License-Identifier: Apache-2.0
// Whether the next minor of each instance, or the one that is prepared for, would start with the
// flags that it has now, whoever wrote them.
#include "resolve_internal.h"

#define LINES_MAX 8 // more are counted, not named

// One cause, at one component, wherever it stands.
struct cause {
    char *text;        // "kube-scheduler 1.38: feature gate X is removed"
    const char *where; // the first instance
    const char *place; // of the entry in it, ""
    size_t more;       // others
    const char *effect;
};

struct report {
    struct cause *causes;
    size_t len;
    bool table_ended;
    int preview; // the newest minor that counted and is a preview; 0: none
};

static void add_cause(struct report *r, const struct gates_instance *i, int minor,
                      const char *entry, const char *effect, char *take_what)
{
    AUTO_MEM char *what = take_what;
    AUTO_MEM char *text = str_format("%s 1.%d: %s", component_name(i->component), minor, what);
    for (size_t n = 0; n < r->len; n++)
        if (str_eq(r->causes[n].text, text)) {
            r->causes[n].more++;
            return;
        }
    if (r->len == GATES_ENTRIES_MAX)
        return;
    r->causes = mem_realloc(r->causes, (r->len + 1) * sizeof(*r->causes));
    r->causes[r->len++] = (struct cause){.text = TAKE(text),
                                         .where = i->id,
                                         .place = doc_str(i->places, entry, NULL),
                                         .effect = effect};
}

// Foreign entries with ours over them.
static json_t *merge(const json_t *foreign, const json_t *ours)
{
    json_t *merged = json_object();
    json_object_update(merged, (json_t *)(uintptr_t)foreign);
    json_object_update(merged, (json_t *)(uintptr_t)ours);
    return merged;
}

static char *finding_words(const struct gates_finding *f)
{
    switch (f->kind) {
    case FINDING_LOCKED:
        return str_format("feature gate %s is locked to %s", f->entry, f->value ? "false" : "true");
    case FINDING_UNREGISTERED:
        return str_format("API version %s does not exist", f->entry);
    case FINDING_REMOVED:
        break;
    }
    return str_format("feature gate %s is removed", f->entry);
}

static const char *effect_words(const struct gates_finding *f)
{
    if (!f->matters)
        return "without effect today";
    if (f->kind == FINDING_LOCKED)
        return f->value ? "on today, off from then on" : "off today, on from then on";
    return f->kind == FINDING_REMOVED ? "it differs from the default today"
                                      : "it is served for this today";
}

// The first minor on the way that refuses to start because of what a gate depends on.
static void check_dependencies(const struct gates_table *table, const struct gates_instance *later,
                               int goal, struct report *r)
{
    const struct resolver nothing_wanted = {.table = table};
    size_t before = r->len;
    if (json_object_size(later->foreign_gates) == 0)
        return;
    for (int minor = later->version.minor + 1; minor <= goal && r->len == before; minor++) {
        struct class c = prepare_class(later, minor);
        for (size_t i = 0; i < table->gates_len; i++) {
            const struct gate_row *row = &table->gates[i];
            const char *const *dep = gates_row_depends_on(row, minor);
            struct gate gate;
            if (dep == NULL || !judge_enforces(&c, row) || !judge_gate(&c, row, &gate) ||
                !judge_value(&nothing_wanted, &c, row->name, row, false))
                continue;
            for (; *dep != NULL; dep++)
                if (!judge_value(&nothing_wanted, &c, *dep, gates_row(table, *dep), false))
                    add_cause(
                        r, later, minor, row->name, "checked from then on",
                        str_format("feature gate %s needs %s, which is off", row->name, *dep));
        }
    }
}

static void check_instance(const struct gates_table *table, const struct gates_instance *i,
                           const struct gates_desired *desired, struct version target,
                           struct report *r)
{
    AUTO_JSON json_t *gates =
        merge(i->foreign_gates, desired == NULL ? NULL : desired->feature_gates);
    AUTO_JSON json_t *runtime =
        merge(i->foreign_runtime, desired == NULL ? NULL : desired->runtime_config);
    AUTO_FINDINGS struct gates_findings findings = {0};
    struct gates_instance later = *i;
    int next = i->version.minor + 1, goal = target.minor > next ? target.minor : next;
    later.foreign_gates = gates;
    later.foreign_runtime = runtime;
    if (i->version.major != 1 || goal > table->newest)
        r->table_ended = true;
    if (i->version.major != 1)
        return;
    if (gates_table_is_preview(table, (struct version){1, goal, 0}))
        r->preview = goal;
    gates_prepare(table, &later, (struct version){1, goal, 0}, &findings);
    r->table_ended = r->table_ended || findings.unknown;
    for (size_t n = 0; n < findings.len; n++)
        add_cause(r, i, findings.items[n].minor, findings.items[n].entry,
                  effect_words(&findings.items[n]), finding_words(&findings.items[n]));
    check_dependencies(table, &later, goal, r);
}

static char *causes_text(const struct report *r)
{
    AUTO_BUF struct buf text = buf_make(16384);
    for (size_t i = 0; i < r->len && i < LINES_MAX; i++) {
        const struct cause *c = &r->causes[i];
        buf_printf(&text, "%s%s (%s%s%.*s", i > 0 ? "; " : "", c->text, c->where,
                   c->place[0] ? ", " : "", TEXT_CUT(200, c->place));
        if (c->more > 0)
            buf_printf(&text, " and %zu more", c->more);
        buf_printf(&text, "; %s)", c->effect);
    }
    if (r->len > LINES_MAX)
        buf_printf(&text, "; and %zu more", r->len - LINES_MAX);
    return buf_take(&text);
}

static char *message_of(const struct gates_table *table, const struct report *r,
                        struct version target, enum upgradeable answer)
{
    AUTO_MEM char *minor = target.major != 0 ? version_format_minor(target) : NULL;
    AUTO_MEM char *who =
        minor != NULL ? str_format("Kubernetes %s", minor) : str_dup("the next minor");
    AUTO_MEM char *preview =
        r->preview > 0 ? str_format(" (1.%d is a preview, as in %s)", r->preview,
                                    gates_table_release(table, (struct version){1, r->preview, 0}))
                       : str_dup("");
    AUTO_MEM char *causes = causes_text(r);
    if (answer == UPGRADEABLE_FALSE)
        return str_format(
            "%s would not start with what is set now: %s; take it out before the upgrade%s", who,
            causes, preview);
    if (answer == UPGRADEABLE_UNKNOWN)
        return str_format("the gate table ends with Kubernetes 1.%d, so what %s refuses is not "
                          "known",
                          table->newest, who);
    return str_format("%s takes every feature gate and API version that is set now%s", who,
                      preview);
}

enum upgradeable gates_upgradeable(const struct gates_table *table,
                                   const struct gates_instance *instances, size_t instances_len,
                                   const struct gates_desired *desired, struct version target,
                                   char **ret_message)
{
    struct report r = {0};
    for (size_t i = 0; i < instances_len; i++)
        check_instance(table, &instances[i], desired == NULL ? NULL : &desired[i], target, &r);
    enum upgradeable answer = r.len > 0       ? UPGRADEABLE_FALSE
                              : r.table_ended ? UPGRADEABLE_UNKNOWN
                                              : UPGRADEABLE_TRUE;
    *ret_message = message_of(table, &r, target, answer);
    for (size_t i = 0; i < r.len; i++)
        mem_free(r.causes[i].text);
    mem_free(r.causes);
    return answer;
}

bool gates_wish_refused(const struct gates_table *table, const json_t *feature_gates,
                        struct version now, struct version target, char **ret_what)
{
    AUTO_BUF struct buf text = buf_make(4096);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)feature_gates, name, value) {
        struct gate gate;
        bool known = gates_find(table, name, now, &gate);
        for (int minor = now.minor + 1; known && minor <= target.minor; minor++) {
            struct version at = {1, minor, 0};
            const char *becomes = NULL;
            if (!gates_covers(table, minor))
                break;
            if (!gates_find(table, name, at, &gate))
                becomes = "removed";
            else if (gate.locked && gate.value != json_is_true(value))
                becomes = "locked to the other value";
            if (becomes == NULL)
                continue;
            buf_printf(&text, "%s%s (%s in 1.%d)", text.len > 0 ? ", " : "", name, becomes, minor);
            break;
        }
    }
    if (text.len == 0)
        return false;
    *ret_what = buf_take(&text);
    return true;
}
