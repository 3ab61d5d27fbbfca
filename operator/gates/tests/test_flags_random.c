// SPDX-License-Identifier: Apache-2.0
// Properties of flag edits over thousands of random argument vectors: what is read afterwards is
// what was wanted, a second edit does nothing, and everything that is not ours stays, in its order.
#include "gates_internal.h"
#include "test.h"

#include <string.h>

#define ROUNDS 4000

static const char *const names[] = {"Alpha", "Beta", "Gamma", "Delta", "DynamicResourceAllocation"};
static const char *const keys[] = {"apps/v1", "resource.k8s.io/v1beta1",
                                   "resource.k8s.io/v1alpha3/devicetaintrules", "api/beta", "/v1"};
static const char *const others[] = {"--v=2",      "--bind-address=127.0.0.1", "--x",
                                     "positional", "--feature-gates-off",      "--zz=A=true"};

static bool chance(unsigned one_in)
{
    return rand_below(one_in) == 0;
}

static char *random_value(bool gates, const char *prefix)
{
    static const char *const yes_no[] = {"true", "false", "True", "0"};
    AUTO_BUF struct buf b = buf_make(4096);
    size_t n = rand_below(4);
    for (size_t i = 0; i < n; i++) {
        const char *key = gates ? names[rand_below(COUNT(names))] : keys[rand_below(COUNT(keys))];
        bool wildcard = gates_runtime_is_wildcard(key);
        buf_printf(&b, "%s%s%s%s=%s", i > 0 ? "," : "", chance(5) ? " " : "", prefix, key,
                   yes_no[rand_below(wildcard ? 2 : 4)]);
    }
    if (chance(8))
        buf_add_str(&b, ",");
    return buf_take(&b);
}

static void add_flag(json_t *argv, bool gates, const char *prefix)
{
    AUTO_MEM char *value = random_value(gates, prefix);
    const char *flag = gates ? "--feature-gates" : "--runtime-config";
    if (chance(3)) {
        json_array_append_new(argv, json_string(flag));
        json_array_append_new(argv, json_string(value));
    } else {
        AUTO_MEM char *text = str_format("%s=%s", flag, value);
        json_array_append_new(argv, json_string(text));
    }
}

static json_t *random_argv(void)
{
    json_t *argv = json_array();
    const char *prefix = chance(4) ? "kube:" : "";
    json_array_append_new(argv, json_string("kube-apiserver"));
    for (size_t n = rand_below(8); n > 0; n--) {
        uint64_t kind = rand_below(4);
        if (kind == 0)
            add_flag(argv, true, prefix);
        else if (kind == 1)
            add_flag(argv, false, "");
        else
            json_array_append_new(argv, json_string(others[rand_below(COUNT(others))]));
    }
    return argv;
}

static json_t *wrapped(json_t *take_argv)
{
    json_array_remove(take_argv, 0);
    json_t *object = json_pack("{s:s, s:o}", "command", "/bin/kube-apiserver", "args", take_argv);
    AUTO_MEM char *text = doc_print_json(object);
    json_decref(object);
    return json_pack("[s, s, s]", "/prober", "-command", text);
}

static json_t *random_set(bool gates)
{
    json_t *set = json_object();
    for (size_t n = rand_below(4); n > 0; n--) {
        if (gates)
            json_object_set_new(set, names[rand_below(COUNT(names))], json_boolean(chance(2)));
        else
            json_object_set_new(set, keys[rand_below(COUNT(keys))],
                                json_string(chance(2) ? "true" : "false"));
    }
    return set;
}

static json_t *random_unset(bool gates, const json_t *set)
{
    json_t *unset = json_array();
    for (size_t n = rand_below(3); n > 0; n--) {
        const char *name = gates ? names[rand_below(COUNT(names))] : keys[rand_below(COUNT(keys))];
        if (json_object_get(set, name) == NULL)
            json_array_append_new(unset, json_string(name));
    }
    return unset;
}

static void apply(json_t *argv, const struct gates_edits *edits)
{
    for (size_t i = 0; i < edits->len; i++) {
        const struct gates_edit *e = &edits->items[i];
        int failed = e->what == EDIT_SET ? json_array_set_new(argv, e->index, json_string(e->value))
                     : e->what == EDIT_INSERT
                         ? json_array_insert_new(argv, e->index, json_string(e->value))
                         : json_array_remove(argv, e->index);
        CHECK_INT(failed, 0);
    }
}

// The arguments that are neither flag of ours nor its value, in order.
static char *foreign_of(const json_t *argv)
{
    AUTO_BUF struct buf b = buf_make(1 << 16);
    for (size_t i = 0; i < json_array_size(argv); i++) {
        const char *arg = json_string_value(json_array_get(argv, i));
        if (str_eq(arg, "--feature-gates") || str_eq(arg, "--runtime-config"))
            i++;
        else if (!str_starts(arg, "--feature-gates=") && !str_starts(arg, "--runtime-config="))
            buf_printf(&b, "%s\n", arg);
    }
    return buf_take(&b);
}

static json_t *expected(const json_t *before, const json_t *set, const json_t *unset)
{
    json_t *want = json_deep_copy(before);
    for (size_t i = 0; i < json_array_size(unset); i++)
        json_object_del(want, json_string_value(json_array_get(unset, i)));
    json_object_update(want, (json_t *)(uintptr_t)set);
    return want;
}

static void one_round(bool wrap)
{
    AUTO_JSON json_t *argv = random_argv();
    if (wrap)
        argv = wrapped(argv);
    AUTO_JSON json_t *set_gates = random_set(true);
    AUTO_JSON json_t *set_runtime = random_set(false);
    AUTO_JSON json_t *unset_gates = random_unset(true, set_gates);
    AUTO_JSON json_t *unset_runtime = random_unset(false, set_runtime);
    AUTO_FLAGS struct gates_flags before = {0};
    CHECK_OK(gates_flags_read(COMPONENT_APISERVER, argv, &before));
    AUTO_JSON json_t *want_gates = expected(before.feature_gates, set_gates, unset_gates);
    AUTO_JSON json_t *want_runtime = expected(before.runtime_config, set_runtime, unset_runtime);
    AUTO_MEM char *foreign = foreign_of(argv);

    AUTO_EDITS struct gates_edits edits = {0};
    CHECK_OK(gates_flags_edit(COMPONENT_APISERVER, argv, set_gates, unset_gates, set_runtime,
                              unset_runtime, &edits));
    apply(argv, &edits);
    AUTO_FLAGS struct gates_flags after = {0};
    CHECK_OK(gates_flags_read(COMPONENT_APISERVER, argv, &after));
    CHECK(doc_equal(after.feature_gates, want_gates));
    CHECK(doc_equal(after.runtime_config, want_runtime));
    if (!wrap) {
        AUTO_MEM char *still = foreign_of(argv);
        CHECK_STR(still, foreign);
    }
    AUTO_EDITS struct gates_edits again = {0};
    CHECK_OK(gates_flags_edit(COMPONENT_APISERVER, argv, set_gates, unset_gates, set_runtime,
                              unset_runtime, &again));
    CHECK_INT(again.len, 0);
}

TEST(random_edits_in_the_open)
{
    rand_seed(20261121);
    for (int i = 0; i < ROUNDS; i++)
        one_round(false);
}

TEST(random_edits_behind_a_wrapper)
{
    rand_seed(1136);
    for (int i = 0; i < ROUNDS; i++)
        one_round(true);
}

// What was put in and is taken out again leaves the bytes that were there.
TEST(undo_gives_back_the_bytes)
{
    rand_seed(7);
    for (int i = 0; i < ROUNDS; i++) {
        AUTO_JSON json_t *argv = random_argv();
        if (chance(2))
            argv = wrapped(argv);
        AUTO_MEM char *before = doc_print_json(argv);
        AUTO_JSON json_t *set = json_pack("{s:b, s:b}", "NewOne", 1, "AnotherNew", 0);
        AUTO_JSON json_t *unset = json_pack("[s, s]", "AnotherNew", "NewOne");
        AUTO_FLAGS struct gates_flags flags = {0};
        CHECK_OK(gates_flags_read(COMPONENT_APISERVER, argv, &flags));
        if (strstr(before, "--feature-gates=\"") != NULL ||
            json_object_size(flags.feature_gates) == 0)
            continue; // an empty flag goes with its last entry
        AUTO_EDITS struct gates_edits there = {0}, back = {0};
        CHECK_OK(gates_flags_edit(COMPONENT_APISERVER, argv, set, NULL, NULL, NULL, &there));
        apply(argv, &there);
        CHECK_OK(gates_flags_edit(COMPONENT_APISERVER, argv, NULL, unset, NULL, NULL, &back));
        apply(argv, &back);
        AUTO_MEM char *after = doc_print_json(argv);
        CHECK_STR(after, before);
    }
}

TEST_MAIN()
