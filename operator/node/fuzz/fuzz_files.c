// SPDX-License-Identifier: Apache-2.0
// Any bytes as a manifest, as a kwok.yaml, as the kubelet's config and as its flags: an edit is
// refused, or says what was wanted and is there to stay.
#include "fuzz.h"
#include "node_internal.h"

typedef struct error *edit_fn(struct slice text, const json_t *set, char **ret_text);

static struct error *edit_manifest(struct slice text, const json_t *set, char **ret_text)
{
    return node_edit_manifest(text, "f", COMPONENT_SCHEDULER, set, NULL, NULL, NULL, ret_text);
}

static struct error *edit_config(struct slice text, const json_t *set, char **ret_text)
{
    return node_edit_kubelet_config(text, "f", set, NULL, ret_text);
}

static struct error *edit_env(struct slice text, const json_t *set, char **ret_text)
{
    return node_kubelet_env_edit(text, "f", set, NULL, ret_text);
}

static struct error *edit_kwok(struct slice text, const json_t *set, char **ret_text)
{
    struct gates_flags_change change = {.set_gates = set};
    return node_kwok_edit(text, "f", COMPONENT_SCHEDULER, &change, ret_text);
}

static void check(edit_fn *edit, struct slice text)
{
    AUTO_JSON json_t *set =
        json_pack("{s:b, s:b}", "DynamicResourceAllocation", 1, "NodeLogQuery", 0);
    AUTO_MEM char *once = NULL;
    AUTO_MEM char *twice = NULL;
    AUTO(error) struct error *err = edit(text, set, &once);
    if (err)
        return;
    AUTO(error) struct error *again = edit(slice_of(once), set, &twice);
    ASSERT(again == NULL);
    ASSERT(str_eq(once, twice));
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice text = {.ptr = (const char *)bytes, .len = len};
    AUTO_JSON json_t *argv = NULL;
    AUTO(error) struct error *err = node_kubelet_env_argv(text, "f", &argv);
    check(edit_manifest, text);
    check(edit_config, text);
    check(edit_kwok, text);
    // Without the variable there is no place for a flag, and nobody asks for one.
    if (!err && json_array_size(argv) > 1)
        check(edit_env, text);
}
