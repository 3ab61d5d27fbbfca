// SPDX-License-Identifier: Apache-2.0
// What one instance knows and says: whether its binary takes a gate, which value a gate has there
// with and without the intent, and whether everything that is on has what it depends on.
#include "resolve_internal.h"

#include <string.h>

size_t judge_want(const struct resolver *r, const char *name)
{
    size_t low = 0, high = r->wants_len;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(r->wants[mid].name, name);
        if (order == 0)
            return mid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return r->wants_len;
}

static bool array_has(const json_t *array, const char *name)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (str_eq(json_string_value(json_array_get(array, i)), name))
            return true;
    return false;
}

bool judge_gate(const struct class *c, const struct gate_row *row, struct gate *ret_gate)
{
    struct gate gate;
    enum component component = c->instance->component;
    // The binary must have it at all; what it is, the emulated version says.
    if (!gates_row_at(row, c->minor, &gate) || !gates_row_registered(row, c->minor, component) ||
        !gates_row_at(row, c->emulated, &gate))
        return false;
    gate.value = gate.value != gates_row_flipped(row, c->emulated, component);
    *ret_gate = gate;
    return true;
}

// Whether this component reads the gate in any minor: of DRA's gates only readers are told, of the
// others everybody.
static bool reads_ever(const struct gate_row *row, enum component component)
{
    if (!row->dra)
        return true;
    for (size_t i = 0; i < row->read_by_len; i++)
        if ((row->read_by[i].bits & (1u << component)) != 0)
            return true;
    return false;
}

// Why a gate that the table has in other minors is not there in this one.
static enum knowledge why_absent(const struct resolver *r, const struct class *c,
                                 const struct want *w)
{
    struct version first, last;
    // a binary beyond the table has listed its gates: what it did not list is not there
    bool told = c->instance->extra_gates != NULL;
    if (!gates_ever(r->table, w->name, &first, &last))
        return c->minor > r->table->newest && !told ? TABLE_ENDED : NEVER;
    if (str_eq(w->name, DRA_GATE) && c->minor < first.minor)
        return NO_DRA;
    if (last.minor < c->minor)
        return last.minor >= r->table->newest && !told ? TABLE_ENDED : REMOVED;
    if (first.minor > c->minor)
        return first.minor == r->table->oldest ? TABLE_BEGINS : NOT_YET;
    return REMOVED; // a gap: it was there, went, and came again
}

enum knowledge judge_knowledge(const struct resolver *r, const struct class *c,
                               const struct want *w)
{
    const struct gates_instance *i = c->instance;
    struct gate gate;
    bool in_table = w->row != NULL && gates_row_at(w->row, c->minor, &gate);
    // In other minors the feature takes other gates.
    if (w->feature != NULL && wants_feature(r, c, w->name) == NULL)
        return NOT_RELEVANT;
    // A binary beyond the table that does not list it: what it was for is built in by then.
    if (w->feature != NULL && c->minor > r->table->newest && i->extra_gates != NULL &&
        json_object_get(i->extra_gates, w->name) == NULL)
        return NOT_RELEVANT;
    if (w->row != NULL && !reads_ever(w->row, i->component))
        return NOT_RELEVANT;
    if (json_object_get(i->extra_gates, w->name) != NULL && !in_table)
        return KNOWN_TO_BINARY;
    if (!in_table)
        return why_absent(r, c, w);
    if (!gates_row_registered(w->row, c->minor, i->component))
        return NOT_RELEVANT;
    if (array_has(i->missing_gates, w->name))
        return NEVER;
    return judge_gate(c, w->row, &gate) ? KNOWN : NOT_EMULATED;
}

// -1: this map does not say.
static int said(const json_t *map, const char *name)
{
    const json_t *value = json_object_get(map, name);
    return json_is_true(value) ? 1 : json_is_false(value) ? 0 : -1;
}

static int wanted(const struct resolver *r, const struct class *c, const char *name)
{
    size_t w = judge_want(r, name);
    return w < r->wants_len && c->targeted[w] ? (r->wants[w].value ? 1 : 0) : -1;
}

// What neither an entry of its own in the intent nor a foreign one says: AllAlpha, AllBeta, the
// default.
static bool unsaid_value(const struct resolver *r, const struct class *c, const char *name,
                         const struct gate_row *row, bool with_intent)
{
    struct gate gate;
    if (row == NULL || !judge_gate(c, row, &gate))
        return said(c->instance->extra_gates, name) == 1;
    const char *all = gate.stage == STAGE_ALPHA  ? "AllAlpha"
                      : gate.stage == STAGE_BETA ? "AllBeta"
                                                 : NULL;
    if (all == NULL || str_eq(all, name) || gate.locked)
        return gate.value;
    int by_all = with_intent ? wanted(r, c, all) : -1;
    if (by_all < 0)
        by_all = said(c->instance->foreign_gates, all);
    return by_all < 0 ? gate.value : by_all == 1;
}

bool judge_value(const struct resolver *r, const struct class *c, const char *name,
                 const struct gate_row *row, bool with_intent)
{
    struct gate gate;
    if (row != NULL && judge_gate(c, row, &gate) && gate.locked)
        return gate.value;
    int value = with_intent ? wanted(r, c, name) : -1;
    if (value < 0)
        value = said(c->instance->foreign_gates, name);
    return value < 0 ? unsaid_value(r, c, name, row, with_intent) : value == 1;
}

bool judge_value_unasked(const struct resolver *r, const struct class *c, const struct want *w)
{
    int value = said(c->instance->foreign_gates, w->name);
    return value < 0 ? unsaid_value(r, c, w->name, w->row, true) : value == 1;
}

// The intent changes the value here, or asks for it.
static bool involved(const struct resolver *r, const struct class *c, const char *name,
                     const struct gate_row *row)
{
    return wanted(r, c, name) >= 0 ||
           judge_value(r, c, name, row, true) != judge_value(r, c, name, row, false);
}

// Before the registries did it, the API server alone checked a few that are not of DRA.
bool judge_enforces(const struct class *c, const struct gate_row *row)
{
    return c->minor >= DEPENDENCIES_ENFORCED_FROM ||
           (c->instance->component == COMPONENT_APISERVER && !row->dra);
}

static void check_dependency(struct resolver *r, struct class *c, const struct gate_row *row,
                             const char *dependency)
{
    const struct gate_row *dep = gates_row(r->table, dependency);
    if (judge_value(r, c, dependency, dep, true))
        return;
    bool asked = wanted(r, c, row->name) == 1;
    if (!judge_enforces(c, row)) {
        // The binary would start, but a gate of DRA would do nothing: that is never what was meant.
        if (asked && row->dra)
            refuse_dependency(r, c, row->name, dependency, true);
        return;
    }
    if (involved(r, c, row->name, row) || involved(r, c, dependency, dep))
        refuse_dependency(r, c, row->name, dependency, asked || wanted(r, c, dependency) < 0);
}

void judge_dependencies(struct resolver *r, struct class *c)
{
    for (size_t i = 0; i < r->table->gates_len; i++) {
        const struct gate_row *row = &r->table->gates[i];
        const char *const *dep = gates_row_depends_on(row, c->minor);
        struct gate gate;
        if (dep == NULL || !judge_gate(c, row, &gate) || !judge_value(r, c, row->name, row, true))
            continue;
        for (; *dep != NULL; dep++)
            check_dependency(r, c, row, *dep);
    }
}
