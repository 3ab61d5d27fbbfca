// SPDX-License-Identifier: Apache-2.0
// The schema in crds/ and what this room reads must be the same thing, both ways: each property is
// in our table with the same type, limits, allowed values and default; each entry of the table is
// in the schema; and each one that is marked as read shows in the view.
#include <string.h>

#include "api_internal.h"
#include "test.h"

static json_t *load_crd(const char *file)
{
    AUTO_MEM char *path = str_format("%s/crds/%s", TEST_SOURCE_ROOT, file);
    AUTO_MEM char *text = test_read(path);
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), path, &tree));
    return tree;
}

static const json_t *schema_of(const json_t *crd)
{
    return doc_get(crd, "spec", "versions", "0", "schema", "openAPIV3Schema", NULL);
}

// --- the table against the schema ----------------------------------------------------------------

static const char *type_in_schema(const struct api_field *field)
{
    switch (field->type) {
    case FIELD_BOOL:
        return "boolean";
    case FIELD_TEXT:
    case FIELD_DURATION:
        return "string";
    case FIELD_INTEGER:
        return "integer";
    case FIELD_INTEGER_OR_PERCENT:
        return ""; // x-kubernetes-int-or-string stands in for it
    case FIELD_NAMES:
    case FIELD_LIST:
        return "array";
    case FIELD_OBJECT:
    case FIELD_MAP_BOOL:
    case FIELD_MAP_TEXT:
    case FIELD_ANY:
        return "object";
    }
    return "";
}

static char *words_of(const json_t *list)
{
    AUTO_STRLIST struct strlist words = {0};

    for (size_t i = 0; i < json_array_size(list); i++)
        strlist_add(&words, json_string_value(json_array_get(list, i)));
    return strlist_join(&words, " ");
}

static void check_default(const struct api_field *field, const json_t *schema)
{
    const json_t *given = doc_get(schema, "default", NULL);
    AUTO_MEM char *text = given ? doc_print_json(given) : NULL;

    if (!str_eq(text, field->fallback))
        test_fail(__FILE__, __LINE__, "%s: default %s in the schema, %s in the table", field->path,
                  text ? text : "none", field->fallback ? field->fallback : "none");
}

static void check_limits(const struct api_field *field, const json_t *schema)
{
    static const struct {
        enum api_field_type type;
        const char *min, *max;
    } names[] = {
        {FIELD_INTEGER, "minimum", "maximum"},
        {FIELD_INTEGER_OR_PERCENT, "minimum", "maximum"},
        {FIELD_TEXT, "minLength", "maxLength"},
        {FIELD_DURATION, "minLength", "maxLength"},
        {FIELD_LIST, "minItems", "maxItems"},
        {FIELD_NAMES, "minItems", "maxItems"},
        {FIELD_MAP_BOOL, "minProperties", "maxProperties"},
        {FIELD_MAP_TEXT, "minProperties", "maxProperties"},
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        if (names[i].type != field->type)
            continue;
        CHECK_INT(doc_int(schema, 0, names[i].min, NULL), field->min);
        CHECK_INT(doc_int(schema, 0, names[i].max, NULL), field->max);
        // Without a cap in the schema a rule's cost cannot be bounded.
        CHECK(field->max > 0 || field->values);
    }
}

static void check_field(const struct api_field *field, const json_t *schema)
{
    const json_t *values =
        doc_get(schema, field->type == FIELD_MAP_TEXT ? "additionalProperties" : "enum", NULL);
    AUTO_MEM char *words =
        words_of(field->type == FIELD_MAP_TEXT ? doc_get(values, "enum", NULL) : values);

    CHECK_STR(doc_str(schema, "type", NULL), type_in_schema(field));
    CHECK_STR(words, field->values ? field->values : "");
    CHECK(*doc_str(schema, "description", NULL));
    check_default(field, schema);
    check_limits(field, schema);
    if (field->type == FIELD_MAP_BOOL)
        CHECK_STR(doc_str(schema, "additionalProperties", "type", NULL), "boolean");
    CHECK_INT(field->type == FIELD_INTEGER_OR_PERCENT,
              doc_bool(schema, false, "x-kubernetes-int-or-string", NULL));
    CHECK_INT(field->type == FIELD_ANY,
              doc_bool(schema, false, "x-kubernetes-preserve-unknown-fields", NULL));
}

static bool is_required(const json_t *parent, const char *name)
{
    const json_t *required = doc_get(parent, "required", NULL);

    for (size_t i = 0; i < json_array_size(required); i++)
        if (str_eq(json_string_value(json_array_get(required, i)), name))
            return true;
    return false;
}

static size_t walk(const json_t *schema, const char *path)
{
    json_t *properties = (json_t *)(uintptr_t)doc_get(schema, "properties", NULL);
    size_t seen = 0;

    for (void *iter = json_object_iter(properties); iter;
         iter = json_object_iter_next(properties, iter)) {
        const char *name = json_object_iter_key(iter);
        const json_t *child = json_object_iter_value(iter);
        AUTO_MEM char *full = str_format("%s.%s", path, name);
        AUTO_MEM char *items = str_format("%s[]", full);
        const struct api_field *field = api_field_find(full);
        if (!field)
            test_fail(__FILE__, __LINE__, "%s is in the schema and not in the table", full);
        check_field(field, child);
        CHECK_INT(is_required(schema, name), field->required);
        seen += 1 + walk(child, full) + walk(doc_get(child, "items", NULL), items);
    }
    return seen;
}

TEST(table_and_schema_are_the_same)
{
    AUTO_JSON json_t *crd = load_crd("draconfigurations.yaml");
    AUTO_JSON json_t *source = load_crd("configsources.yaml");
    size_t len, seen;

    (void)api_fields(&len);
    seen = walk(doc_get(schema_of(crd), "properties", "spec", NULL), "spec") +
           walk(doc_get(schema_of(source), "properties", "spec", NULL), "source");
    CHECK_INT(seen, len); // each path once, so none of the table is left over
}

TEST(the_page_names_each_field)
{
    AUTO_MEM char *path = str_format("%s/docs/resources.md", TEST_SOURCE_ROOT);
    AUTO_MEM char *page = test_read(path);
    size_t len;
    const struct api_field *fields = api_fields(&len);

    for (size_t i = 0; i < len; i++)
        CHECK_HAS(page, strrchr(fields[i].path, '.') + 1);
}

// --- what is read shows in the view --------------------------------------------------------------

static char *describe(const struct api_config *config)
{
    AUTO_MEM char *gates = doc_print_json_sorted(config->feature_gates);
    AUTO_MEM char *runtime = doc_print_json_sorted(config->runtime_config);

    AUTO_MEM char *features = config->features ? doc_print_json(config->features) : str_dup("");

    return str_format("%s %s %s %d %d %d %d %s %u %llu %llu %d %d", gates, runtime, features,
                      config->remove_foreign, config->allow_alpha, config->suspend, config->revert,
                      platform_type_name(config->platform), config->max_unavailable,
                      (unsigned long long)config->component_timeout_ms,
                      (unsigned long long)config->min_ready_ms, config->rollback,
                      config->driver != NULL);
}

// A value that is allowed and is not the default.
static json_t *other_value(const struct api_field *field)
{
    switch (field->type) {
    case FIELD_BOOL:
        return json_true();
    case FIELD_INTEGER:
    case FIELD_INTEGER_OR_PERCENT:
        return json_integer(field->max);
    case FIELD_DURATION:
        return json_string("11s");
    case FIELD_MAP_BOOL:
        return json_pack("{s: b}", "Gate", 1);
    case FIELD_MAP_TEXT:
        return json_pack("{s: s}", "group/v1", "true");
    case FIELD_NAMES:
        return json_pack("[s]", "Name");
    case FIELD_TEXT:
        // the last one allowed; the defaults stand first
        return json_string(strrchr(field->values, ' ') + 1);
    case FIELD_OBJECT:
    case FIELD_LIST:
    case FIELD_ANY:
        return json_object();
    }
    return NULL;
}

static json_t *smallest(void)
{
    return json_pack("{s: s, s: s, s: {s: s}, s: {}}", "apiVersion", API_GROUP_VERSION, "kind",
                     "DRAConfiguration", "metadata", "name", "a", "spec");
}

// Puts value at a dotted path below the object.
static void set_at(json_t *object, const char *path, json_t *take_value)
{
    struct slice rest = slice_of(path), part;
    json_t *at = object;

    while (slice_cut(&rest, '.', &part)) {
        AUTO_MEM char *key = slice_dup(part);
        if (!rest.ptr) {
            json_object_set_new(at, key, take_value);
            return;
        }
        if (!json_object_get(at, key))
            json_object_set_new(at, key, json_object());
        at = json_object_get(at, key);
    }
}

static bool has_children(const struct api_field *field)
{
    return field->type == FIELD_OBJECT && !str_eq(field->path, "spec.driver");
}

TEST(each_field_that_is_read_shows)
{
    size_t len;
    const struct api_field *fields = api_fields(&len);
    AUTO_JSON json_t *plain = smallest();
    AUTO_MEM char *before = NULL;
    struct api_config config;

    CHECK_OK(api_config_parse(plain, &config));
    before = describe(&config);
    for (size_t i = 0; i < len; i++) {
        AUTO_JSON json_t *object = smallest();
        AUTO_MEM char *after = NULL;
        if (!fields[i].read || has_children(&fields[i]))
            continue;
        set_at(object, fields[i].path, other_value(&fields[i]));
        CHECK_OK(api_config_parse(object, &config));
        after = describe(&config);
        if (str_eq(before, after))
            test_fail(__FILE__, __LINE__, "%s is said to be read and changes nothing",
                      fields[i].path);
    }
}

TEST(each_field_refuses_another_type)
{
    size_t len;
    const struct api_field *fields = api_fields(&len);

    for (size_t i = 0; i < len; i++) {
        AUTO_JSON json_t *object = smallest();
        struct api_config config;
        if (strchr(fields[i].path, '[') || str_starts(fields[i].path, "source."))
            continue; // see test_config, test_source
        set_at(object, fields[i].path, json_real(1.5));
        CHECK_ERR_HAS(api_config_parse(object, &config), ERROR_INVALID, fields[i].path);
    }
}

// --- rules for all three -------------------------------------------------------------------------

static void check_capped(const json_t *schema, const char *path)
{
    json_t *properties = (json_t *)(uintptr_t)doc_get(schema, "properties", NULL);
    const char *type = doc_str(schema, "type", NULL);
    bool capped = true;

    if (str_eq(type, "array"))
        capped = doc_get(schema, "maxItems", NULL) != NULL;
    else if (doc_get(schema, "additionalProperties", NULL))
        capped = doc_get(schema, "maxProperties", NULL) != NULL;
    else if (str_eq(type, "string"))
        capped = doc_get(schema, "maxLength", NULL) || doc_get(schema, "enum", NULL) ||
                 doc_get(schema, "format", NULL);
    if (!capped)
        test_fail(__FILE__, __LINE__, "%s has no greatest size", path);
    for (void *iter = json_object_iter(properties); iter;
         iter = json_object_iter_next(properties, iter)) {
        AUTO_MEM char *full = str_format("%s.%s", path, json_object_iter_key(iter));
        check_capped(json_object_iter_value(iter), full);
    }
    if (doc_get(schema, "items", NULL)) {
        AUTO_MEM char *full = str_format("%s[]", path);
        check_capped(doc_get(schema, "items", NULL), full);
    }
}

TEST(everything_has_a_greatest_size)
{
    static const char *const files[] = {"draconfigurations.yaml", "nodedraconfigurations.yaml",
                                        "kubermaticconfigurations.yaml", "configsources.yaml"};

    for (size_t i = 0; i < COUNT(files); i++) {
        AUTO_JSON json_t *crd = load_crd(files[i]);
        check_capped(doc_get(schema_of(crd), "properties", "spec", NULL), "spec");
        check_capped(doc_get(schema_of(crd), "properties", "status", NULL), "status");
    }
}

TEST(conditions_are_the_same_in_both)
{
    AUTO_JSON json_t *ours = load_crd("draconfigurations.yaml");
    AUTO_JSON json_t *adopted = load_crd("kubermaticconfigurations.yaml");
    AUTO_JSON json_t *source = load_crd("configsources.yaml");
    const json_t *a =
        doc_get(schema_of(ours), "properties", "status", "properties", "conditions", NULL);
    const json_t *b =
        doc_get(schema_of(adopted), "properties", "status", "properties", "conditions", NULL);

    CHECK(a != NULL);
    CHECK(doc_equal(a, b));
    CHECK(doc_equal(
        a, doc_get(schema_of(source), "properties", "status", "properties", "conditions", NULL)));
    CHECK_STR(doc_str(a, "x-kubernetes-list-type", NULL), "map");
    CHECK_STR(doc_str(a, "x-kubernetes-list-map-keys", "0", NULL), "type");
    CHECK_STR(doc_str(adopted, "metadata", "annotations", "helm.sh/resource-policy", NULL), "keep");
}

TEST_MAIN()
