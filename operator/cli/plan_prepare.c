// SPDX-License-Identifier: Apache-2.0
// `drawbridge plan --prepare-for`: which of the entries that are set now would keep a component of
// a later minor from starting, where they stand, and whether they mean anything today.
#include "drawbridge/site.h"
#include "plan.h"

#define UNSEEN_MAX 8
#define ROWS_MAX 1000 // of thousands of objects that say the same

struct report {
    const struct plan_prepare *prepare;
    struct cli_table table;
    size_t found, mattering;
    bool unknown;
};

static char *line_of_file(const struct site_place *where, const char *entry)
{
    AUTO_MEM char *text = NULL;
    unsigned line;

    error_ignore(cli_read_file(where->name, &text), "the file is not here");
    line = text ? site_line(where, slice_of(text), entry) : 0;
    return line > 0 ? str_format("%s, line %u", where->name, line) : NULL;
}

static char *place_of(const struct plan_prepare *prepare, const struct plan_instance *instance,
                      const char *entry)
{
    const char *component = component_name(instance->component);
    bool here = !instance->object && (!prepare->node || str_eq(prepare->node, instance->node));
    char *place = NULL;

    if (instance->component == COMPONENT_KUBELET && here && prepare->kubelet_config) {
        struct site_place where = {&site_kubelet_configuration, COMPONENT_KUBELET,
                                   prepare->kubelet_config, .at = NULL};
        place = line_of_file(&where, entry);
    }
    if (instance->component != COMPONENT_KUBELET && here && prepare->manifests_dir) {
        AUTO_MEM char *path = str_format("%s/%s.yaml", prepare->manifests_dir, component);
        struct site_place where = {&site_pod, instance->component, path, .at = NULL};
        place = line_of_file(&where, entry);
    }
    if (place)
        return place;
    if (*doc_str(instance->reported, "places", entry, NULL))
        return str_dup(doc_str(instance->reported, "places", entry, NULL));
    if (instance->object)
        return str_format("ConfigMap kube-system/%s", instance->object);
    if (!instance->node)
        return str_dup("its flags");
    return instance->component == COMPONENT_KUBELET
               ? str_dup("configuration or flags of the kubelet")
               : str_format("static pod %s-%s", component, instance->node);
}

static bool is_ours(const struct plan_instance *instance, const struct gates_finding *finding)
{
    const char *kind = finding->kind == FINDING_UNREGISTERED ? "runtimeConfig" : "featureGates";

    return doc_get(instance->reported, "owned", kind, finding->entry, NULL) != NULL;
}

static void add_row(struct report *r, const struct plan_instance *instance,
                    const struct gates_finding *finding)
{
    AUTO_MEM char *entry = NULL;
    AUTO_MEM char *place = NULL;
    AUTO_MEM char *what = NULL;

    r->mattering += finding->matters;
    if (r->found++ >= ROWS_MAX)
        return;
    entry = str_format("%s=%s", finding->entry, finding->value ? "true" : "false");
    place = place_of(r->prepare, instance, finding->entry);
    what = gates_finding_text(finding);
    cli_table_cell(&r->table, instance->id);
    cli_table_cell(&r->table, entry);
    cli_table_cell(&r->table, what);
    cli_table_cell(&r->table, finding->matters ? "yes" : "none");
    cli_table_cell(&r->table, is_ours(instance, finding) ? "Drawbridge" : "you");
    cli_table_cell(&r->table, place);
}

static void look_at(struct report *r, const struct plan_instance *instance)
{
    AUTO_FINDINGS struct gates_findings findings = {0};
    struct gates_instance whole = {
        .id = instance->id,
        .component = instance->component,
        .version = instance->version.major ? instance->version : r->prepare->observed->server,
        .emulated = instance->emulated,
        .foreign_gates = json_object_get(instance->reported, "featureGates"),
        .foreign_runtime = json_object_get(instance->reported, "runtimeConfig"),
        .extra_gates = json_object_get(instance->reported, "extraGates"),
    };

    gates_prepare(r->prepare->table, &whole, r->prepare->target, &findings);
    for (size_t i = 0; i < findings.len; i++)
        add_row(r, instance, &findings.items[i]);
    r->unknown = r->unknown || findings.unknown;
}

static void add_summary(const struct report *r, struct buf *text)
{
    AUTO_MEM char *minor = version_format_minor(r->prepare->target);
    bool preview = gates_table_is_preview(r->prepare->table, r->prepare->target);

    if (!r->found)
        buf_printf(text, "Nothing that was seen keeps Kubernetes %s from starting.", minor);
    else if (!r->mattering)
        buf_printf(text,
                   "A component of Kubernetes %s that still gets one of these does not start. "
                   "None of them means anything today: take them out before the upgrade.",
                   minor);
    else
        buf_printf(text,
                   "A component of Kubernetes %s that still gets one of these does not start. %zu "
                   "of %zu mean something today, and what they ask for is not to be had there: "
                   "decide before the upgrade.",
                   minor, r->mattering, r->found);
    if (preview)
        buf_printf(text, " (%s is a preview here, as in %s.)", minor,
                   gates_table_release(r->prepare->table, r->prepare->target));
    buf_add_str(text, "\n");
    if (r->unknown)
        buf_add_str(text, "Of some entries the table does not tell what becomes of them.\n");
}

// Of a large cluster whose kubelets may not be asked: the first, and how many more there are.
static void add_unseen(const struct strlist *unseen, struct buf *text)
{
    for (size_t i = 0; i < unseen->len && i < UNSEEN_MAX; i++)
        buf_printf(text, "not seen: %s\n", unseen->items[i]);
    if (unseen->len > UNSEEN_MAX)
        buf_printf(text, "not seen: %zu more\n", unseen->len - UNSEEN_MAX);
}

bool plan_prepare_print(const struct plan_prepare *prepare, FILE *out)
{
    static const char *const headers[] = {"COMPONENT",    "ENTRY",      "BECOMES",
                                          "EFFECT TODAY", "WRITTEN BY", "WHERE"};
    AUTO_BUF struct buf text = buf_make((size_t)8 << 20);
    struct report r = {.prepare = prepare, .table = {.columns = COUNT(headers)}};
    AUTO_MEM char *said = NULL;

    for (size_t i = 0; i < COUNT(headers); i++)
        cli_table_cell(&r.table, headers[i]);
    for (size_t i = 0; i < prepare->observed->len; i++) {
        if (prepare->observed->instances[i].reported)
            look_at(&r, &prepare->observed->instances[i]);
    }
    if (r.found) {
        cli_table_print(&r.table, out);
        if (r.found > ROWS_MAX)
            fprintf(out, "%zu more are not shown.\n", r.found - ROWS_MAX);
        fputc('\n', out);
    }
    add_summary(&r, &text);
    add_unseen(prepare->unseen, &text);
    said = buf_take(&text);
    cli_put(said, out);
    cli_table_fini(&r.table);
    return r.found > 0 || prepare->unseen->len > 0;
}
