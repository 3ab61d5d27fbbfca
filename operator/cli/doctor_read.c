// SPDX-License-Identifier: Apache-2.0
// Reads what doctor is told of autoscalers, schedulers, drivers and operators. What cannot be read
// is told of by its check, and costs no other.
#include "client.h"
#include "doctor_internal.h"

#define KEPT_MAX 200
#define QUESTIONS_MAX 400

static void take_error(json_t *facts, const char *key, struct error *take_err)
{
    if (take_err && error_kind(take_err) != ERROR_NOT_FOUND)
        doc_set(facts, doc_string(error_text(take_err)), "denied", key, NULL);
    error_free(take_err);
}

static json_t *keep_name(const json_t *item)
{
    json_t *kept = json_object();

    doc_set(kept, doc_string(doc_str(item, "metadata", "name", NULL)), "metadata", "name", NULL);
    return kept;
}

static json_t *keep_map(const json_t *item)
{
    json_t *kept = keep_name(item);

    doc_set(kept, doc_string(doc_str(item, "metadata", "namespace", NULL)), "metadata", "namespace",
            NULL);
    doc_set(kept, doc_copy(json_object_get(item, "data")), "data", NULL);
    return kept;
}

static void read_kept(struct client *client, json_t *facts, const char *key,
                      const struct kube_ref *ref, const char *selector, client_keep_fn *keep)
{
    json_t *items = NULL;
    bool more = false;
    struct error *err = client_list_kept(client, ref, selector, keep, KEPT_MAX, &items, &more);

    if (!err)
        json_object_set_new(facts, key, items);
    take_error(facts, key, err);
    if (more)
        doc_set(facts, json_integer(KEPT_MAX), "capped", key, NULL);
}

static struct error *ask(struct client *client, json_t *facts, const json_t *question)
{
    static const struct kube_ref ref = {
        .group = "authorization.k8s.io", .version = "v1", .resource = "subjectaccessreviews"};
    AUTO_JSON json_t *answer = NULL;
    AUTO_JSON json_t *review = json_pack(
        "{s:s, s:s, s:{s:o, s:O, s:{s:s, s:s, s:o, s:o, s:o}}}", "apiVersion",
        "authorization.k8s.io/v1", "kind", "SubjectAccessReview", "spec", "user",
        doc_string(doc_str(question, "user", NULL)), "groups", json_object_get(question, "groups"),
        "resourceAttributes", "group", "resource.k8s.io", "resource", "resourceclaims",
        "subresource", doc_string(doc_str(question, "subresource", NULL)), "verb",
        doc_string(doc_str(question, "verb", NULL)), "name",
        doc_string(doc_str(question, "name", NULL)));
    struct error *err = client_create(client, &ref, review, &answer);

    if (!err)
        doc_set(facts, json_boolean(doc_bool(answer, false, "status", "allowed", NULL)), "access",
                doc_str(question, "user", NULL), doc_str(question, "key", NULL), NULL);
    return err;
}

// One answer leads to the next question.
static void read_access(struct client *client, json_t *facts)
{
    size_t asked = 0;

    for (;;) {
        AUTO_JSON json_t *questions = doctor_questions(facts);

        if (json_array_size(questions) == 0)
            return;
        for (size_t i = 0; i < json_array_size(questions); i++) {
            struct error *err = asked++ < QUESTIONS_MAX
                                    ? ask(client, facts, json_array_get(questions, i))
                                    : error_new(ERROR_LIMIT,
                                                "more than %d questions would have to "
                                                "be asked",
                                                QUESTIONS_MAX);

            if (err) {
                take_error(facts, "access", err);
                return;
            }
        }
    }
}

void doctor_read_others(struct client *client, json_t *facts)
{
    static const struct kube_ref deployments = {
        .group = "apps", .version = "v1", .resource = "deployments"};
    static const struct kube_ref daemonsets = {
        .group = "apps", .version = "v1", .resource = "daemonsets"};
    static const struct kube_ref maps = {.group = "", .version = "v1", .resource = "configmaps"};
    static const struct kube_ref policies = {
        .group = "nvidia.com", .version = "v1", .resource = "clusterpolicies"};
    static const struct kube_ref clusters = {
        .group = "nvidia.com", .version = "v1alpha1", .resource = "gpuclusters"};
    AUTO_JSON json_t *version = NULL;

    take_error(facts, "server", client_get_path(client, "/version", &version));
    json_object_set_new(facts, "server", doc_string(doc_str(version, "gitVersion", NULL)));
    read_kept(client, facts, "deployments", &deployments, NULL, doctor_keep_workload);
    read_kept(client, facts, "daemonsets", &daemonsets, NULL, doctor_keep_workload);
    read_kept(client, facts, "volcano", &maps, "metadata.name=volcano-scheduler-configmap",
              keep_map);
    read_kept(client, facts, "clusterpolicies", &policies, NULL, keep_name);
    read_kept(client, facts, "gpuclusters", &clusters, NULL, keep_name);
    read_access(client, facts);
}
