// SPDX-License-Identifier: Apache-2.0
// Every gate of the data, in every minor (so also just before, at and after each edge of its life),
// wanted on and wanted off: what comes out of the resolution is compared with what follows from the
// rows of data/gates.yaml by a few plain rules.
#include "gates_internal.h"
#include "test.h"

#include <string.h>

#define FIRST 30
#define LAST 38

struct fact {
    bool known, value, locked, alpha;
};

static json_t *data_gates(void)
{
    AUTO_MEM char *text = test_read(TEST_SOURCE_ROOT "/operator/gates/data/gates.yaml");
    AUTO_JSON json_t *tree = NULL;
    CHECK_OK(doc_parse_yaml(slice_of(text), "gates.yaml", &tree));
    return json_incref(json_object_get(tree, "gates"));
}

static int minor_of(const json_t *text)
{
    struct version v;
    CHECK(version_parse(json_string_value(text), &v));
    return v.minor;
}

// The row of a gate's field at a minor, or NULL.
static const json_t *row_at(const json_t *gates, const char *name, const char *field, int minor)
{
    const json_t *rows = doc_get(gates, name, field, NULL);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (minor_of(json_array_get(row, 0)) <= minor && minor <= minor_of(json_array_get(row, 1)))
            return row;
    }
    return NULL;
}

static struct fact fact_of(const json_t *gates, const char *name, int minor)
{
    const json_t *row = row_at(gates, name, "spans", minor);
    struct fact f = {.known = row != NULL};
    if (row != NULL) {
        f.alpha = str_eq(json_string_value(json_array_get(row, 2)), "alpha");
        f.value = json_is_true(json_array_get(row, 3));
        f.locked = json_is_true(json_array_get(row, 4));
    }
    return f;
}

static bool needs(const json_t *gates, const char *name, const char *dependency, int minor)
{
    const json_t *row = row_at(gates, name, "depends_on", minor);
    for (size_t i = 2; i < json_array_size(row); i++)
        if (str_eq(json_string_value(json_array_get(row, i)), dependency))
            return true;
    return false;
}

// The pairs that API servers before 1.35 check by hand (their options' validation).
static bool checked_by_hand(const char *name, bool value, int minor)
{
    static const struct {
        const char *gate, *needs;
        int from, to;
    } pairs[] = {
        {"UnknownVersionInteroperabilityProxy", "StorageVersionAPI", 30, 32},
        {"ServiceAccountTokenNodeBinding", "ServiceAccountTokenNodeBindingValidation", 30, 34},
        {"AuthorizeNodeWithSelectors", "AuthorizeWithSelectors", 31, 34},
        {"PodCertificateRequest", "AuthorizeNodeWithSelectors", 34, 34},
    };
    for (size_t i = 0; i < COUNT(pairs); i++)
        if (minor >= pairs[i].from && minor <= pairs[i].to &&
            str_eq(name, value ? pairs[i].gate : pairs[i].needs))
            return true;
    return false;
}

// From 1.35 on: whether setting this one gate alone leaves something on whose dependency is off.
static bool breaks_dependency(const json_t *gates, const char *name, bool value, int minor)
{
    const char *other;
    json_t *unused;
    json_object_foreach((json_t *)(uintptr_t)gates, other, unused) {
        struct fact f = fact_of(gates, other, minor);
        if (!f.known)
            continue;
        if (value && !f.value && needs(gates, name, other, minor))
            return true;
        if (!value && f.value && needs(gates, other, name, minor))
            return true;
    }
    return false;
}

static struct gates_resolution resolve_one(const char *name, bool value, bool allow_alpha,
                                           int minor)
{
    AUTO_JSON json_t *want = json_pack("{s:b}", name, (int)value);
    struct gates_instance instances[COMPONENT_COUNT];
    for (size_t c = 0; c < COMPONENT_COUNT; c++)
        instances[c] = (struct gates_instance){.id = component_name((enum component)c),
                                               .component = (enum component)c,
                                               .version = {1, minor, 1}};
    struct gates_intent intent = {.feature_gates = want, .allow_alpha = allow_alpha};
    struct gates_resolution got = {0};
    CHECK_OK(gates_resolve(gates_table_builtin(), &intent, instances, COUNT(instances), &got));
    return got;
}

static bool refused(const struct gates_resolution *r, enum refusal kind, const char *subject)
{
    for (size_t i = 0; i < r->refusals_len; i++)
        if (r->refusals[i].kind == kind && str_eq(r->refusals[i].subject, subject))
            return true;
    return false;
}

static enum refusal absent_kind(const json_t *gates, const char *name, int minor)
{
    for (int later = minor + 1; later <= LAST; later++)
        if (fact_of(gates, name, later).known) {
            for (int earlier = FIRST; earlier < minor; earlier++)
                if (fact_of(gates, name, earlier).known)
                    return REFUSAL_GATE_REMOVED; // a gap
            return REFUSAL_GATE_TOO_NEW;
        }
    return REFUSAL_GATE_REMOVED;
}

static bool written_somewhere(const struct gates_resolution *r, const char *name, bool value)
{
    bool any = false;
    for (size_t i = 0; i < r->desired_len; i++) {
        const json_t *entry = json_object_get(r->desired[i].feature_gates, name);
        any = any || (entry != NULL && json_is_true(entry) == value);
        CHECK(entry == NULL || json_is_true(entry) == value);
    }
    return any;
}

static void check_one(const json_t *gates, const char *name, int minor, bool value)
{
    struct fact f = fact_of(gates, name, minor);
    AUTO_RESOLUTION struct gates_resolution r = resolve_one(name, value, true, minor);
    if (!f.known) {
        enum refusal kind = absent_kind(gates, name, minor);
        // Gates that dra.yaml knows from before 1.30 on are the only ones with a longer life than
        // this file tells.
        if (!refused(&r, kind, name))
            test_fail(__FILE__, __LINE__, "%s=%d at 1.%d: want %s", name, value, minor,
                      refusal_reason(kind));
        return;
    }
    if (f.locked && f.value != value) {
        CHECK(refused(&r, REFUSAL_GATE_LOCKED, name));
        return;
    }
    bool dra = gates_is_dra(gates_table_builtin(), name);
    bool broken = minor >= 35 && breaks_dependency(gates, name, value, minor);
    bool idle = minor < 35 && ((dra && value) || checked_by_hand(name, value, minor)) &&
                refused(&r, REFUSAL_GATE_DEPENDENCY, name);
    if (broken != refused(&r, REFUSAL_GATE_DEPENDENCY, name) && !idle && !str_starts(name, "All"))
        test_fail(__FILE__, __LINE__, "%s=%d at 1.%d: dependency refusal %d, want %d", name, value,
                  minor, !broken, broken);
    // A component whose own default is the opposite has the opposite written too.
    bool to_write = f.value != value || row_at(gates, name, "flipped_by", minor) != NULL;
    if (r.refusals_len == 0 && written_somewhere(&r, name, value) != to_write)
        test_fail(__FILE__, __LINE__, "%s=%d at 1.%d is %swritten", name, value, minor,
                  to_write ? "not " : "");
    AUTO_RESOLUTION struct gates_resolution careful = resolve_one(name, value, false, minor);
    if (refused(&careful, REFUSAL_ALPHA, name) != (f.alpha && value && !f.value))
        test_fail(__FILE__, __LINE__, "%s=%d at 1.%d: alpha without allowAlpha", name, value,
                  minor);
}

TEST(every_gate_in_every_minor)
{
    AUTO_JSON json_t *gates = data_gates();
    CHECK(json_object_size(gates) > 300);
    const char *name;
    json_t *unused;
    int checked = 0;
    json_object_foreach(gates, name, unused)
        for (int minor = FIRST; minor <= LAST; minor++)
            for (int value = 0; value <= 1; value++) {
                check_one(gates, name, minor, value == 1);
                checked++;
            }
    CHECK(checked > 4000);
}

TEST_MAIN()
