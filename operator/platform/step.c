// SPDX-License-Identifier: Apache-2.0
// What becomes of one component in an object: by the plan's step, or by what its last edit needs.
#include "part.h"

const struct plan_step *platform_find_step(const struct plan *plan, size_t instance)
{
    for (size_t i = 0; i < plan->len; i++) {
        if (plan->steps[i].instance == instance)
            return &plan->steps[i];
    }
    return NULL;
}

static bool is_taken(const struct platform_work *work, const struct plan_step *step)
{
    return step && (step->state == PLAN_NOW || (work->all && step->changes && !step->deferred));
}

void platform_next_fini(struct platform_next *next)
{
    json_decref(next->tree);
    json_decref(next->record);
    mem_free(next->what);
    *next = (struct platform_next){0};
}

struct error *platform_part_next(const struct platform_work *work, const struct platform_part *part,
                                 size_t instance, struct platform_next *ret_next)
{
    const struct plan_step *step = platform_find_step(work->plan, instance);
    struct error *err = NULL;

    *ret_next = (struct platform_next){.changes = true};
    if (part->need == NEED_PUT_BACK) {
        err = platform_record_put_back(part, clock_wall_ms(), &ret_next->tree, &ret_next->record);
        ret_next->what =
            str_format("%s: put back, %s", component_name(part->component), part->message);
    } else if (is_taken(work, step)) {
        AUTO_MEM char *summary = plan_step_summary(step, &work->observed->instances[instance]);

        err = platform_record_edit(part, step->want, clock_wall_ms(), &ret_next->tree,
                                   &ret_next->record);
        ret_next->what =
            str_format("%s: %s", component_name(part->component), *summary ? summary : "verify");
    } else if (part->need == NEED_SETTLE) {
        ret_next->record = platform_record_settle(part, clock_wall_ms());
    } else if (part->need == NEED_FORGET) {
        ret_next->record = platform_record_forget(part);
    } else {
        ret_next->changes = false;
    }
    return err;
}

void platform_record_put(json_t *object, const struct platform_part *part, const json_t *record)
{
    AUTO_MEM char *key = platform_annotation(part->slot);
    AUTO_MEM char *text = record ? doc_print_json(record) : NULL;
    json_t *metadata = json_object_get(object, "metadata");
    json_t *annotations = json_object_get(metadata, "annotations");

    if (text)
        doc_set(object, doc_string(text), "metadata", "annotations", key, NULL);
    else if (annotations && json_object_del(annotations, key) == 0 &&
             json_object_size(annotations) == 0)
        json_object_del(metadata, "annotations");
}

json_t *platform_make_patch(const json_t *now, const json_t *then)
{
    json_t *patch = doc_make_merge_patch(now, then);

    if (patch)
        doc_set(patch, doc_string(doc_str(now, "metadata", "resourceVersion", NULL)), "metadata",
                "resourceVersion", NULL);
    return patch;
}
