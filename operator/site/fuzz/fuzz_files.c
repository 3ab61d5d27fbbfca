// SPDX-License-Identifier: Apache-2.0
// Any bytes as a manifest, as a kwok.yaml, as the documents of kubeadm and the kubelet and as the
// kubelet's flags: an edit is refused, or says what was wanted and is there to stay.
#include "fuzz.h"
#include "tests/edit.h"

typedef struct error *edit_fn(struct slice text, const struct change *change, char **ret_text);

static struct error *edit_manifest(struct slice text, const struct change *change, char **ret_text)
{
    struct site_place place = {&site_pod, COMPONENT_SCHEDULER, "f", .at = NULL};
    return edit_text(&place, text, change, ret_text);
}

static struct error *edit_config(struct slice text, const struct change *change, char **ret_text)
{
    struct site_place place = {&site_kubelet_configuration, COMPONENT_KUBELET, "f", .at = NULL};
    return edit_text(&place, text, change, ret_text);
}

static struct error *edit_env(struct slice text, const struct change *change, char **ret_text)
{
    struct site_place place = {&site_env_file, COMPONENT_KUBELET, "f", .at = NULL};
    return edit_text(&place, text, change, ret_text);
}

static struct error *edit_cluster(struct slice text, const struct change *change, char **ret_text)
{
    struct site_place place = {&site_cluster_configuration, COMPONENT_SCHEDULER, "f", .at = NULL};
    return edit_text(&place, text, change, ret_text);
}

static struct error *edit_part(struct slice text, const struct change *change, char **ret_text)
{
    return edit_kwok(text, COMPONENT_SCHEDULER, change, ret_text);
}

// As a text in an object.
static struct error *edit_inner(struct slice text, const struct change *change, char **ret_text)
{
    struct site_place place = {&site_kubelet_text, COMPONENT_KUBELET, "f", .at = "/content"};
    AUTO_JSON json_t *object = json_object();
    AUTO_JSON json_t *edited = NULL;
    struct error *err;

    json_object_set_new(object, "content", doc_string_of(text, DOC_BYTES_MAX));
    err = edit_tree(&place, object, change, &edited);
    if (!err)
        *ret_text = str_dup(doc_str(edited, "content", NULL));
    return err;
}

static void check(edit_fn *edit, struct slice text)
{
    AUTO_JSON json_t *set =
        json_pack("{s:b, s:b}", "DynamicResourceAllocation", 1, "NodeLogQuery", 0);
    struct change change = {.set_gates = set};
    AUTO_MEM char *once = NULL;
    AUTO_MEM char *twice = NULL;
    AUTO(error) struct error *err = edit(text, &change, &once);
    if (err)
        return;
    AUTO(error) struct error *again = edit(slice_of(once), &change, &twice);
    ASSERT(again == NULL);
    ASSERT(str_eq(once, twice));
}

// Entries that shall not stand are gone, stay gone, and come back as they were.
static void check_absent(const struct site_codec *codec, enum component component,
                         struct slice text)
{
    struct site_place place = {codec, component, "f", .at = NULL};
    AUTO_FLAGS struct gates_flags flags = {0}, less = {0}, back = {0};
    AUTO(error) struct error *err = site_read_text(&place, text, &flags);
    AUTO_JSON json_t *absent = json_object();
    AUTO_SITE_EDIT struct site_edit gone = {0};
    AUTO_SITE_EDIT struct site_edit given = {0};
    const char *name;
    json_t *value;
    if (err)
        return;
    // None (0) where an escape or a fold has the name in parts.
    json_object_foreach(flags.feature_gates, name, value) {
        unsigned line = site_line(&place, text, name), lines = 1;
        for (size_t i = 0; i < text.len; i++)
            lines += text.ptr[i] == '\n';
        ASSERT(line <= lines);
    }
    json_object_foreach(flags.feature_gates, name, value)
        json_object_set_new(absent, name, json_null());
    AUTO_JSON json_t *want = json_pack("{s:O}", site_kinds[0], absent);
    AUTO_SITE_PART struct site_part out = {.place = place, .want = want};
    struct site_document document = {.now.text = text};
    AUTO(error) struct error *refused = site_edit(&document, &out, 1, &gone);
    if (refused)
        return;
    AUTO(error) struct error *unread = site_read_text(&place, slice_of(gone.text), &less);
    ASSERT(unread == NULL);
    ASSERT(json_object_size(less.feature_gates) == 0);
    AUTO_SITE_PART struct site_part in = {
        .place = place, .owned = out.ret_owned, .replaced = out.ret_replaced};
    document = (struct site_document){.now.text = slice_of(gone.text)};
    AUTO(error) struct error *lost = site_edit(&document, &in, 1, &given);
    if (lost)
        return;
    AUTO(error) struct error *odd = site_read_text(&place, slice_of(given.text), &back);
    ASSERT(odd == NULL);
    ASSERT(doc_equal(back.feature_gates, flags.feature_gates));
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice text = {.ptr = (const char *)bytes, .len = len};
    AUTO_JSON json_t *argv = NULL;
    AUTO(error) struct error *err = site_env_argv(text, "f", &argv);
    check(edit_manifest, text);
    check(edit_config, text);
    check(edit_cluster, text);
    check(edit_part, text);
    check(edit_inner, text);
    check_absent(&site_pod, COMPONENT_SCHEDULER, text);
    check_absent(&site_kubelet_configuration, COMPONENT_KUBELET, text);
    check_absent(&site_cluster_configuration, COMPONENT_SCHEDULER, text);
    check_absent(&site_env_file, COMPONENT_KUBELET, text);
    // Without the variable there is no place for a flag, and nobody asks for one.
    if (!err && json_array_size(argv) > 1)
        check(edit_env, text);
}
