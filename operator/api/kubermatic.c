// SPDX-License-Identifier: Apache-2.0
// Adoption: people who run the Kubermatic Kubernetes Platform already have a resource that says
// what we need to know.
#include <string.h>

#include "api_internal.h"

#define GATES_MAX 256 // of the schema in crds/

static struct error *check_gates(const json_t *gates)
{
    json_t *walked = (json_t *)(uintptr_t)gates; // jansson iterates without const

    if (!json_is_object(gates))
        return api_invalid("spec.featureGates", "must be a map");
    if (json_object_size(gates) > GATES_MAX)
        return api_invalid("spec.featureGates", "must have at most %d entries", GATES_MAX);
    for (void *iter = json_object_iter(walked); iter; iter = json_object_iter_next(walked, iter)) {
        const char *name = json_object_iter_key(iter);
        struct error *err = api_check_gate_name("spec.featureGates", name);
        if (err)
            return err;
        if (!json_is_boolean(json_object_iter_value(iter)))
            return api_invalid("spec.featureGates", "%s must be true or false", name);
    }
    return NULL;
}

static struct error *check_kind(const json_t *object)
{
    if (!json_is_object(object))
        return api_invalid("object", "must be a map");
    if (!str_eq(doc_str(object, "apiVersion", NULL), "kubermatic.k8c.io/v1"))
        return api_invalid("apiVersion", "must be kubermatic.k8c.io/v1");
    if (!str_eq(doc_str(object, "kind", NULL), "KubermaticConfiguration"))
        return api_invalid("kind", "must be KubermaticConfiguration");
    if (!*doc_str(object, "metadata", "name", NULL))
        return api_invalid("metadata.name", "is required");
    return NULL;
}

// Without blockOwnerDeletion: that would need the right to change the owner's finalizers.
static json_t *owner_of(const json_t *kubermatic)
{
    json_t *owner = json_object();

    json_object_set_new(owner, "apiVersion", json_string("kubermatic.k8c.io/v1"));
    json_object_set_new(owner, "kind", json_string("KubermaticConfiguration"));
    json_object_set_new(owner, "name", doc_string(doc_str(kubermatic, "metadata", "name", NULL)));
    json_object_set_new(owner, "uid", doc_string(doc_str(kubermatic, "metadata", "uid", NULL)));
    json_object_set_new(owner, "controller", json_true());
    return owner;
}

struct error *api_adopt_kubermatic(const json_t *kubermatic, json_t **ret_config)
{
    AUTO_JSON json_t *config = NULL;
    const json_t *gates = doc_get(kubermatic, "spec", "featureGates", NULL);
    const char *namespace = doc_str(kubermatic, "metadata", "namespace", NULL);
    struct error *err = check_kind(kubermatic);
    bool has_gates = gates && !json_is_null(gates);

    if (!err && has_gates)
        err = check_gates(gates);
    if (err)
        return err;
    config = json_object();
    doc_set(config, json_string(API_GROUP_VERSION), "apiVersion", NULL);
    doc_set(config, json_string("DRAConfiguration"), "kind", NULL);
    doc_set(config, doc_string(doc_str(kubermatic, "metadata", "name", NULL)), "metadata", "name",
            NULL);
    if (*namespace)
        doc_set(config, doc_string(namespace), "metadata", "namespace", NULL);
    if (*doc_str(kubermatic, "metadata", "uid", NULL)) { // a file has none yet
        json_t *owners = json_array();
        json_array_append_new(owners, owner_of(kubermatic));
        doc_set(config, owners, "metadata", "ownerReferences", NULL);
    }
    doc_set(config, has_gates ? doc_copy(gates) : json_object(), "spec", "featureGates", NULL);
    *ret_config = TAKE(config);
    return NULL;
}
