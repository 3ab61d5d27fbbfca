// SPDX-License-Identifier: Apache-2.0
// The drivers that are known by name: data/presets.yaml, compiled in.
#include "driver_internal.h"

static const json_t *table(void)
{
    static json_t *tree; // for the life of the process

    if (!tree) {
        struct error *err = doc_parse_yaml(slice_of(driver_presets_yaml), "presets", &tree);
        ASSERT(err == NULL); // foreign: the text is ours, and a test reads it
    }
    return tree;
}

const char *driver_smoke_image(void)
{
    return doc_str(table(), "smokeTestImage", NULL);
}

const json_t *driver_preset(const char *name)
{
    const json_t *presets = json_object_get(table(), "presets");

    for (size_t i = 0; i < json_array_size(presets); i++) {
        const json_t *preset = json_array_get(presets, i);
        if (str_eq(doc_str(preset, "name", NULL), name))
            return preset;
    }
    return NULL;
}

char *driver_preset_names(void)
{
    const json_t *presets = json_object_get(table(), "presets");
    AUTO_STRLIST struct strlist names = {0};

    for (size_t i = 0; i < json_array_size(presets); i++)
        strlist_add(&names, doc_str(json_array_get(presets, i), "name", NULL));
    return strlist_join(&names, ", ");
}

const char *driver_resource(const char *driver)
{
    const json_t *presets = json_object_get(table(), "presets");

    for (size_t i = 0; i < json_array_size(presets); i++) {
        const json_t *preset = json_array_get(presets, i);

        if (str_eq(doc_str(preset, "drivers", "0", "name", NULL), driver))
            return doc_str(preset, "resource", NULL);
    }
    return "";
}

// Whether the value that decides about an entry leaves it on.
static bool is_on(const json_t *entry, const json_t *values)
{
    const char *pointer = doc_str(entry, "value", NULL);
    const json_t *value = *pointer ? doc_pointer(values, pointer) : NULL;

    if (!*pointer)
        return true;
    return value ? json_is_true(value) : doc_bool(entry, false, "default", NULL);
}

json_t *driver_preset_list(const json_t *preset, const char *list, const json_t *values)
{
    const json_t *entries = json_object_get(preset, list);
    json_t *names = json_array();

    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        if (is_on(entry, values))
            json_array_append_new(names, doc_string(doc_str(entry, "name", NULL)));
    }
    return names;
}

char *driver_value_name(const char *pointer)
{
    char *name = str_dup(*pointer ? pointer + 1 : "");

    for (char *c = name; *c; c++)
        if (*c == '/')
            *c = '.';
    return name;
}

char *driver_preset_fix(const json_t *preset, const char *pointer)
{
    const char *fix = doc_str(preset, "fix", pointer, NULL);

    return *fix ? str_dup(fix) : str_dup("set it to true in spec.driver.values");
}

char *driver_class_advice(const json_t *spec_driver, const char *class_name)
{
    const json_t *preset = driver_preset(doc_str(spec_driver, "preset", NULL));
    const json_t *classes = json_object_get(preset, "classes");
    AUTO_JSON json_t *values = json_object();

    driver_values_merge(values, json_object_get(preset, "values"));
    driver_values_merge(values, json_object_get(spec_driver, "values"));
    for (size_t i = 0; i < json_array_size(classes); i++) {
        const json_t *entry = json_array_get(classes, i);
        const char *pointer = doc_str(entry, "value", NULL);

        if (!str_eq(doc_str(entry, "name", NULL), class_name) || is_on(entry, values))
            continue;
        AUTO_MEM char *fix = driver_preset_fix(preset, pointer);
        AUTO_MEM char *value = driver_value_name(pointer);
        return str_format("the value %s is false, and so the chart makes no DeviceClass %s; %s",
                          value, class_name, fix);
    }
    return str_dup("");
}

const char *driver_api_version(const json_t *served)
{
    static const char *const known[] = {"v1", "v1beta2", "v1beta1"};

    for (size_t i = 0; i < COUNT(known); i++) {
        for (size_t k = 0; k < json_array_size(served); k++)
            if (str_eq(json_string_value(json_array_get(served, k)), known[i]))
                return known[i];
    }
    return NULL;
}
