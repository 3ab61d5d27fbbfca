// SPDX-License-Identifier: Apache-2.0
// HostedControlPlane: the components are Deployments or StatefulSets of this cluster, or one
// TenantControlPlane of Kamaji; their flags are edited there, and their controllers roll them out.
#include "hosted_internal.h"

void platform_hosted_free(struct platform_hosted *hosted)
{
    if (!hosted)
        return;
    for (size_t i = 0; i < hosted->len; i++)
        platform_part_fini(&hosted->parts[i]);
    mem_free(hosted->namespace);
    mem_free(hosted);
}

// --- instances -----------------------------------------------------------------------------------

void hosted_collect(struct platform_observed *observed, const struct platform_look *look,
                    const struct platform_said *said)
{
    struct platform_hosted *hosted = observed->hosted;

    for (size_t i = 0; i < hosted->len; i++) {
        (void)platform_add_part(observed, &hosted->parts[i], look);
        observed->unsettled = observed->unsettled || hosted->parts[i].need != NEED_NOTHING;
        if (hosted->parts[i].component == COMPONENT_APISERVER)
            observed->server = hosted->parts[i].version;
    }
    observed->kubelets_elsewhere = said->nodes;
    platform_add_kubelets(observed, said, "a kubelet of the hosted cluster");
}

// --- writes --------------------------------------------------------------------------------------

static struct write *add_patch(struct writing *w, const struct platform_part *part,
                               const json_t *lists, const json_t *record)
{
    const json_t *metadata = json_object_get(part->object, "metadata");
    struct write *write =
        platform_add_write(w, WRITE_JSON_PATCH, part->kind, doc_str(metadata, "namespace", NULL),
                           doc_str(metadata, "name", NULL));

    write->body = hosted_patch(part, lists, record);
    return write;
}

// An object of Kamaji holds three components: one write to it in a pass, the next has a newer
// resourceVersion.
static struct error *make_writes(struct writing *w, const struct cluster *cluster UNUSED,
                                 const struct platform_change *change)
{
    const struct platform_hosted *hosted = change->observed->hosted;
    const struct platform_work work = {.observed = change->observed, .plan = change->plan};

    for (size_t i = 0; i < hosted->len; i++) {
        const struct platform_part *part = &hosted->parts[i];
        AUTO_PLATFORM_NEXT struct platform_next next = {0};
        struct error *err = platform_part_next(&work, part, i, &next);
        struct write *write;

        if (err)
            return err;
        if (!next.changes)
            continue;
        write = add_patch(w, part, next.tree, next.record);
        write->quiet = !next.what;
        write->what = next.what ? TAKE(next.what) : str_dup("");
        if (part->kind == KIND_TENANT_CONTROL_PLANE)
            break;
    }
    return NULL;
}

// Takes the records out of the objects once everything was reverted. Else they stay: a later
// DRAConfiguration is to know what was ours.
static void make_release(struct writing *w, const struct cluster *cluster UNUSED,
                         const struct platform_observed *observed, const json_t *keep UNUSED,
                         bool forget)
{
    const struct platform_hosted *hosted = observed ? observed->hosted : NULL;
    json_t *patch = NULL;

    for (size_t i = 0; forget && hosted && i < hosted->len; i++) {
        const struct platform_part *part = &hosted->parts[i];

        if (!part->record)
            continue;
        if (patch && part->kind == KIND_TENANT_CONTROL_PLANE) { // the same object
            AUTO_JSON json_t *more = hosted_patch(part, NULL, NULL);

            json_array_remove(more, 0);
            json_array_extend(patch, more);
            continue;
        }
        struct write *write = add_patch(w, part, NULL, NULL);
        write->what = str_dup("");
        write->quiet = true;
        patch = write->body;
    }
}

// --- for `drawbridge plan` -----------------------------------------------------------------------

static char *lists_text(const json_t *lists)
{
    AUTO_JSON json_t *shown = doc_copy(lists);

    json_object_del(shown, PLATFORM_PARENTS);
    return json_object_size(shown) ? doc_print_yaml(shown) : str_dup("");
}

static struct error *preview(const struct platform_observed *observed, const struct plan *plan,
                             json_t **ret_before, json_t **ret_after)
{
    const struct platform_hosted *hosted = observed->hosted;
    AUTO_JSON json_t *before = json_object();
    AUTO_JSON json_t *after = json_object();

    for (size_t i = 0; hosted && i < hosted->len; i++) {
        const struct platform_part *part = &hosted->parts[i];
        const struct plan_step *step = platform_find_step(plan, i);
        AUTO_JSON json_t *lists = NULL;
        AUTO_JSON json_t *record = NULL;
        AUTO_MEM char *was = NULL;
        AUTO_MEM char *now = NULL;
        AUTO_MEM char *name = NULL;
        struct error *err;

        if (!step || !step->changes)
            continue;
        err = platform_record_edit(part, step->want, clock_wall_ms(), &lists, &record);
        if (err)
            return err;
        name = str_format("%s/%s/%s/%s", platform_kind(part->kind)->resource,
                          doc_str(part->object, "metadata", "namespace", NULL),
                          doc_str(part->object, "metadata", "name", NULL),
                          component_name(part->component));
        was = lists_text(part->tree);
        now = lists_text(lists);
        json_object_set_new(before, name, doc_string(was));
        json_object_set_new(after, name, doc_string(now));
    }
    *ret_before = TAKE(before);
    *ret_after = TAKE(after);
    return NULL;
}

static bool wrote(const struct cluster *cluster UNUSED, const struct api_config *config)
{
    static const enum platform_kind kinds[] = {KIND_DEPLOYMENT, KIND_STATEFUL_SET,
                                               KIND_TENANT_CONTROL_PLANE};

    return platform_wrote_objects(config, kinds, COUNT(kinds));
}

const struct platform *platform_hosted(void)
{
    static const struct platform platform = {
        .type = PLATFORM_HOSTED_CONTROL_PLANE,
        .traits = {.writes = true,
                   .objects = true,
                   .nodes_elsewhere = true,
                   .field = "hostedControlPlane",
                   .chart_value = "hostedControlPlanes"},
        .check = hosted_check,
        .name_targets = hosted_name_targets,
        .reaches = hosted_reaches,
        .follows = hosted_follows,
        .wrote = wrote,
        .observe = hosted_observe,
        .make_writes = make_writes,
        .make_release = make_release,
        .preview = preview,
    };

    return &platform;
}
