// SPDX-License-Identifier: Apache-2.0
// Any JSON array as an argument vector: reading it and editing it must neither crash nor lose
// anything, and what was edited must read as wanted. The first byte chooses the component.
#include "fuzz.h"
#include "gates_internal.h"

static void edit(enum component component, json_t *argv)
{
    AUTO_JSON json_t *set = json_pack("{s:b, s:b}", "A", 1, "B", 0);
    AUTO_JSON json_t *unset = json_pack("[s]", "C");
    AUTO_JSON json_t *runtime =
        component == COMPONENT_APISERVER ? json_pack("{s:s}", "apps/v1", "true") : NULL;
    AUTO_EDITS struct gates_edits edits = {0};
    AUTO(error) struct error *err =
        gates_flags_edit(component, argv, set, unset, runtime, NULL, &edits);
    if (err != NULL)
        return;
    for (size_t i = 0; i < edits.len; i++) {
        const struct gates_edit *e = &edits.items[i];
        if (e->what == EDIT_SET)
            json_array_set_new(argv, e->index, json_string(e->value));
        else if (e->what == EDIT_INSERT)
            json_array_insert_new(argv, e->index, json_string(e->value));
        else
            json_array_remove(argv, e->index);
    }
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO(error) struct error *again = gates_flags_read(component, argv, &flags);
    ASSERT(again == NULL);
    ASSERT(json_is_true(json_object_get(flags.feature_gates, "A")) &&
           json_is_false(json_object_get(flags.feature_gates, "B")));
    ASSERT(json_object_get(flags.feature_gates, "C") == NULL);
    AUTO_EDITS struct gates_edits more = {0};
    AUTO(error) struct error *third =
        gates_flags_edit(component, argv, set, unset, runtime, NULL, &more);
    ASSERT(third == NULL && more.len == 0);
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return;
    enum component component = (enum component)(bytes[0] % COMPONENT_COUNT);
    struct slice text = {(const char *)bytes + 1, len - 1};
    AUTO_JSON json_t *argv = NULL;
    AUTO(error) struct error *err = doc_parse_json(text, "fuzz", &argv);
    if (err != NULL || !json_is_array(argv))
        return;
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO(error) struct error *read = gates_flags_read(component, argv, &flags);
    if (read == NULL)
        edit(component, argv);
}
