// SPDX-License-Identifier: Apache-2.0
// Golden cases: cases/<name>/in.yaml is an intent and instances, want.yaml what must come out.
#include "gates_internal.h"
#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define INSTANCES_MAX 16

static json_t *load(const char *name, const char *file)
{
    AUTO_MEM char *path = str_format("%s/%s/%s", TEST_CASES_DIR, name, file);
    AUTO_MEM char *text = test_read(path);
    json_t *tree = NULL;
    CHECK_OK(doc_parse_yaml(slice_of(text), path, &tree));
    return tree;
}

static struct gates_instance read_instance(const json_t *in)
{
    struct gates_instance i = {
        .id = doc_str(in, "id", NULL),
        .foreign_gates = doc_get(in, "foreignGates", NULL),
        .foreign_runtime = doc_get(in, "foreignRuntime", NULL),
        .extra_gates = doc_get(in, "extraGates", NULL),
        .missing_gates = doc_get(in, "missingGates", NULL),
    };
    CHECK(component_parse(doc_str(in, "component", NULL), &i.component));
    CHECK(version_parse(doc_str(in, "version", NULL), &i.version));
    if (doc_get(in, "emulated", NULL) != NULL)
        CHECK(version_parse(doc_str(in, "emulated", NULL), &i.emulated));
    return i;
}

static json_t *refusals_json(const struct gates_resolution *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->refusals_len; i++) {
        const struct gates_refusal *x = &r->refusals[i];
        // A refusal names the gate or version, and who would refuse it.
        CHECK_HAS(x->message, x->subject);
        CHECK_HAS(x->message, x->instance);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "reason", refusal_reason(x->kind),
                                              "subject", x->subject, "instance", x->instance));
    }
    return list;
}

static json_t *desired_json(const struct gates_resolution *r,
                            const struct gates_instance *instances)
{
    json_t *map = json_object();
    for (size_t i = 0; i < r->desired_len; i++) {
        json_t *entry = json_object();
        if (json_object_size(r->desired[i].feature_gates) > 0)
            json_object_set(entry, "featureGates", r->desired[i].feature_gates);
        if (json_object_size(r->desired[i].runtime_config) > 0)
            json_object_set(entry, "runtimeConfig", r->desired[i].runtime_config);
        if (json_object_size(entry) > 0)
            json_object_set(map, instances[i].id, entry);
        json_decref(entry);
    }
    return map;
}

static void add_upgradeable(json_t *got, const struct gates_instance *instances, size_t len,
                            const struct gates_resolution *r)
{
    static const char *const names[] = {"True", "False", "Unknown"};
    AUTO_MEM char *message = NULL;
    enum upgradeable answer = gates_upgradeable(gates_table_builtin(), instances, len, r->desired,
                                                (struct version){0}, &message);
    CHECK(message != NULL && strchr(message, '\n') == NULL);
    json_object_set_new(got, "upgradeable", json_string(names[answer]));
}

static bool run_case(const char *name)
{
    AUTO_JSON json_t *in = load(name, "in.yaml");
    AUTO_JSON json_t *want = load(name, "want.yaml");
    struct gates_instance instances[INSTANCES_MAX];
    const json_t *list = doc_get(in, "instances", NULL);
    CHECK(json_array_size(list) <= INSTANCES_MAX);
    for (size_t i = 0; i < json_array_size(list); i++)
        instances[i] = read_instance(json_array_get(list, i));
    struct gates_intent intent = {.feature_gates = doc_get(in, "featureGates", NULL),
                                  .runtime_config = doc_get(in, "runtimeConfig", NULL),
                                  .allow_alpha = doc_bool(in, false, "allowAlpha", NULL),
                                  .features = doc_get(in, "features", NULL)};
    AUTO_RESOLUTION struct gates_resolution r = {0};
    CHECK_OK(gates_resolve(gates_table_builtin(), &intent, instances, json_array_size(list), &r));
    AUTO_JSON json_t *got = json_object();
    json_object_set_new(got, "dra", json_boolean(r.dra));
    json_object_set(got, "needed", r.needed);
    if (json_array_size(r.ignored) > 0)
        json_object_set(got, "ignored", r.ignored);
    if (r.refusals_len > 0)
        json_object_set_new(got, "refusals", refusals_json(&r));
    else
        json_object_set_new(got, "desired", desired_json(&r, instances));
    if (doc_get(want, "upgradeable", NULL) != NULL)
        add_upgradeable(got, instances, json_array_size(list), &r);
    if (doc_equal(got, want))
        return true;
    AUTO_MEM char *a = doc_print_yaml(want);
    AUTO_MEM char *b = doc_print_yaml(got);
    fprintf(stderr, "case %s\n--- want\n%s--- got\n%s", name, a, b);
    return false;
}

TEST(golden_cases)
{
    DIR *dir = opendir(TEST_CASES_DIR);
    CHECK(dir != NULL);
    int count = 0, failed = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        failed += run_case(e->d_name) ? 0 : 1;
        count++;
    }
    closedir(dir);
    CHECK_INT(failed, 0);
    CHECK(count >= 60);
}

TEST_MAIN()
