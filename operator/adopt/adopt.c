// SPDX-License-Identifier: Apache-2.0
// Adoption: each KubermaticConfiguration gets a DRAConfiguration of its name, and its conditions
// back where the CRD is ours. The kind may come and go while we run, so its CRD is watched, not
// asked for.
#include "drawbridge/adopt.h"
#include "drawbridge/api.h"

#define CRD_NAME "kubermaticconfigurations.kubermatic.k8c.io"

struct adopter {
    struct loop *loop;
    struct adopter_spec spec;
    struct watch *definition;  // the CRD
    struct watch *kubermatics; // NULL while the kind is not served
    struct queue *queue;
    bool ours; // the CRD is the small one of this project: conditions are mirrored
    struct op *pending;
    struct op *retire; // the watch is freed outside its own callback
    char *key;         // in work
};

static void end_work(struct adopter *a, struct error *take_err)
{
    AUTO_MEM char *key = TAKE(a->key);
    bool failed = take_err && policy_of(take_err).retry;

    if (take_err)
        log_line(failed ? LOG_WARN : LOG_ERROR, "adopt", "KubermaticConfiguration %s: %s", key,
                 error_text(take_err));
    error_free(take_err);
    queue_done(a->queue, key, failed, 0);
}

// --- conditions back -----------------------------------------------------------------------------

static void on_mirrored(void *owner, struct error *take_err, json_t *take_body)
{
    struct adopter *a = owner;

    a->pending = NULL;
    if (!take_err && a->kubermatics)
        watch_note_write(a->kubermatics, take_body);
    json_decref(take_body);
    end_work(a, error_wrap(take_err, "mirror the conditions"));
}

// The conditions speak of the DRAConfiguration's generation; on the mirror they must speak of the
// mirror's, and only once they are about it.
static json_t *make_mirror(const json_t *kubermatic, const json_t *config)
{
    json_t *status = json_object();
    json_t *conditions = doc_copy(doc_get(config, "status", "conditions", NULL));
    int64_t generation = doc_int(kubermatic, 0, "metadata", "generation", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++)
        json_object_set_new(json_array_get(conditions, i), "observedGeneration",
                            json_integer((json_int_t)generation));
    json_object_set_new(status, "conditions", conditions ? conditions : json_array());
    json_object_set_new(status, "observedGeneration", json_integer((json_int_t)generation));
    return status;
}

static bool is_reported(const json_t *config)
{
    return doc_int(config, -1, "status", "observedGeneration", NULL) ==
           doc_int(config, 0, "metadata", "generation", NULL);
}

static void mirror(struct adopter *a, const json_t *kubermatic, const json_t *config)
{
    AUTO_JSON json_t *status = NULL;
    AUTO_JSON json_t *body = json_object();
    AUTO_JSON json_t *difference = NULL;
    struct kube_ref ref = {.group = "kubermatic.k8c.io",
                           .version = "v1",
                           .resource = "kubermaticconfigurations",
                           .namespace = doc_str(kubermatic, "metadata", "namespace", NULL),
                           .name = doc_str(kubermatic, "metadata", "name", NULL),
                           .subresource = "status"};
    struct kube_patch patch = {
        .type = KUBE_PATCH_MERGE, .body = body, .field_manager = API_FIELD_MANAGER_STATUS};

    if (!a->ours || !config || !is_reported(config)) {
        end_work(a, NULL);
        return;
    }
    status = make_mirror(kubermatic, config);
    difference = doc_make_merge_patch(json_object_get(kubermatic, "status"), status);
    if (!difference) {
        end_work(a, NULL);
        return;
    }
    doc_set(body, doc_string(doc_str(kubermatic, "metadata", "resourceVersion", NULL)), "metadata",
            "resourceVersion", NULL);
    json_object_set(body, "status", difference);
    a->pending = kube_patch(a->spec.kube, &ref, &patch, on_mirrored, a);
}

// --- adoption ------------------------------------------------------------------------------------

static void on_adopted(void *owner, struct error *take_err, json_t *take_body)
{
    struct adopter *a = owner;
    AUTO_JSON json_t *body = take_body;
    const json_t *kubermatic = a->kubermatics ? watch_get(a->kubermatics, a->key) : NULL;

    a->pending = NULL;
    if (take_err || !kubermatic) {
        end_work(a, error_wrap(take_err, "make the DRAConfiguration"));
        return;
    }
    watch_note_write(a->spec.configs, body);
    mirror(a, kubermatic, body);
}

static bool is_adopted(const json_t *config, const json_t *wanted)
{
    const json_t *owners = doc_get(config, "metadata", "ownerReferences", NULL);
    const char *uid = doc_str(
        json_array_get(doc_get(wanted, "metadata", "ownerReferences", NULL), 0), "uid", NULL);

    for (size_t i = 0; i < json_array_size(owners); i++) {
        if (str_eq(doc_str(json_array_get(owners, i), "uid", NULL), uid))
            return doc_equal(doc_get(config, "spec", "featureGates", NULL),
                             doc_get(wanted, "spec", "featureGates", NULL));
    }
    return false;
}

static struct error *adopt(struct adopter *a, const json_t *kubermatic)
{
    AUTO_JSON json_t *wanted = NULL;
    const json_t *config = watch_get(a->spec.configs, a->key);
    struct kube_ref ref = {
        .group = API_GROUP, .version = API_VERSION, .resource = "draconfigurations"};
    struct kube_patch patch = {
        .type = KUBE_PATCH_APPLY, .field_manager = API_FIELD_MANAGER_KUBERMATIC, .force = true};
    struct error *err = api_adopt_kubermatic(kubermatic, &wanted);

    if (err)
        return err;
    if (config && is_adopted(config, wanted)) {
        mirror(a, kubermatic, config);
        return NULL;
    }
    ref.namespace = doc_str(wanted, "metadata", "namespace", NULL);
    ref.name = doc_str(wanted, "metadata", "name", NULL);
    patch.body = wanted;
    patch.creates = !config;
    if (config)
        doc_set(wanted, doc_string(doc_str(config, "metadata", "resourceVersion", NULL)),
                "metadata", "resourceVersion", NULL);
    a->pending = kube_patch(a->spec.kube, &ref, &patch, on_adopted, a);
    return NULL;
}

static void on_work(void *owner, const char *key)
{
    struct adopter *a = owner;
    const json_t *kubermatic = a->kubermatics ? watch_get(a->kubermatics, key) : NULL;
    struct error *err;

    if (!kubermatic || *doc_str(kubermatic, "metadata", "deletionTimestamp", NULL) ||
        !a->spec.may_write(a->spec.owner) || !watch_synced(a->spec.configs)) {
        queue_done(a->queue, key, false, 0);
        return;
    }
    a->key = str_dup(key);
    err = adopt(a, kubermatic);
    if (err)
        end_work(a, err);
}

// --- watches -------------------------------------------------------------------------------------

static void on_kubermatic(void *owner, const char *key, const json_t *was, const json_t *now)
{
    struct adopter *a = owner;

    (void)was;
    if (now)
        queue_add(a->queue, key);
}

static bool is_established(const json_t *definition)
{
    const json_t *conditions = doc_get(definition, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        if (str_eq(doc_str(condition, "type", NULL), "Established"))
            return str_eq(doc_str(condition, "status", NULL), "True");
    }
    return false;
}

static void on_retire(void *owner)
{
    struct adopter *a = owner;

    a->retire = NULL;
    watch_free(TAKE(a->kubermatics));
}

static void on_definition(void *owner, const char *key, const json_t *was, const json_t *now)
{
    struct adopter *a = owner;
    struct watch_spec spec = {
        .kube = a->spec.kube,
        .ref = {.group = "kubermatic.k8c.io",
                .version = "v1",
                .resource = "kubermaticconfigurations"},
        .on_change = on_kubermatic,
        .owner = a,
    };

    (void)key;
    (void)was;
    a->ours =
        str_eq(doc_str(now, "metadata", "labels", "app.kubernetes.io/name", NULL), "drawbridge");
    if (is_established(now) && !a->kubermatics)
        a->kubermatics = watch_new(a->loop, &spec);
    else if (!now && a->kubermatics && !a->retire)
        a->retire = loop_defer(a->loop, on_retire, a);
}

// A CRD is large; of its schema nothing is needed.
static json_t *trim_definition(const json_t *definition)
{
    json_t *kept = json_object();

    doc_set(kept, json_string(CRD_NAME), "metadata", "name", NULL);
    doc_set(kept, doc_string(doc_str(definition, "metadata", "resourceVersion", NULL)), "metadata",
            "resourceVersion", NULL);
    if (doc_get(definition, "metadata", "labels", NULL))
        doc_set(kept, doc_copy(doc_get(definition, "metadata", "labels", NULL)), "metadata",
                "labels", NULL);
    if (doc_get(definition, "status", "conditions", NULL))
        doc_set(kept, doc_copy(doc_get(definition, "status", "conditions", NULL)), "status",
                "conditions", NULL);
    return kept;
}

static void wake_one(void *owner, const char *key, const json_t *object)
{
    struct adopter *a = owner;

    (void)object;
    queue_add(a->queue, key);
}

void adopter_wake(struct adopter *a)
{
    if (a->kubermatics)
        watch_each(a->kubermatics, wake_one, a);
}

void adopter_note_config(struct adopter *a, const char *key)
{
    if (a->kubermatics && watch_get(a->kubermatics, key))
        queue_add(a->queue, key);
}

struct adopter *adopter_new(struct loop *loop, const struct adopter_spec *spec)
{
    struct adopter *a = NEW(struct adopter);
    struct queue_spec queue = {.name = "kubermaticconfiguration",
                               .workers = 1,
                               .backoff_ms = 500,
                               .backoff_ms_max = 30000,
                               .work = on_work,
                               .owner = a};
    struct watch_spec definition = {
        .kube = spec->kube,
        .ref = {.group = "apiextensions.k8s.io",
                .version = "v1",
                .resource = "customresourcedefinitions"},
        .field_selector = "metadata.name=" CRD_NAME,
        .trim = trim_definition,
        .on_change = on_definition,
        .owner = a,
    };

    a->loop = loop;
    a->spec = *spec;
    a->queue = queue_new(loop, &queue);
    a->definition = watch_new(loop, &definition);
    return a;
}

void adopter_free(struct adopter *a)
{
    if (!a)
        return;
    op_drop(a->pending);
    op_drop(a->retire);
    watch_free(a->kubermatics);
    watch_free(a->definition);
    queue_free(a->queue);
    mem_free(a->key);
    mem_free(a);
}
