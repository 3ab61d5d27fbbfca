// SPDX-License-Identifier: Apache-2.0
// Engines that others run: Flux's HelmRelease and k3s' HelmChart. We write their objects, in the
// namespace of the DRAConfiguration and in the name of the account, and read what they say. Whether
// the driver works is judged here as ever.
#include <string.h>

#include "driver_internal.h"

static json_t *make_object(const char *api, const char *kind, const struct want *want)
{
    json_t *object = json_object();

    doc_set(object, doc_string(api), "apiVersion", NULL);
    doc_set(object, doc_string(kind), "kind", NULL);
    doc_set(object, doc_string(want->release), "metadata", "name", NULL);
    doc_set(object, doc_string(want->config_namespace), "metadata", "namespace", NULL);
    doc_set(object, json_string("drawbridge"), "metadata", "labels", "app.kubernetes.io/managed-by",
            NULL);
    doc_set(object, doc_string(want->owner_label), "metadata", "labels", DRIVER_LABEL_OWNER, NULL);
    doc_set(object, doc_string(want->digest_text), "metadata", "annotations", DRIVER_LABEL_DIGEST,
            NULL);
    return object;
}

static json_t *make_source(const struct want *want)
{
    json_t *source = make_object("source.toolkit.fluxcd.io/v1",
                                 want->ref ? "OCIRepository" : "HelmRepository", want);

    doc_set(source, json_string("10m"), "spec", "interval", NULL);
    doc_set(source, doc_string(want->ref ? want->ref : want->repo), "spec", "url", NULL);
    if (want->ref && want->digest)
        doc_set(source, doc_string(want->digest), "spec", "ref", "digest", NULL);
    else if (want->ref && want->version)
        doc_set(source, doc_string(want->version), "spec", "ref", "tag", NULL);
    return source;
}

static json_t *make_helm_release(const struct want *want)
{
    json_t *release = make_object("helm.toolkit.fluxcd.io/v2", "HelmRelease", want);

    doc_set(release, json_string("10m"), "spec", "interval", NULL);
    doc_set(release, doc_string(want->release), "spec", "releaseName", NULL);
    doc_set(release, doc_string(want->namespace), "spec", "targetNamespace", NULL);
    doc_set(release, json_true(), "spec", "install", "createNamespace", NULL);
    doc_set(release, json_string("CreateReplace"), "spec", "install", "crds", NULL);
    doc_set(release, json_string("CreateReplace"), "spec", "upgrade", "crds", NULL);
    if (want->account)
        doc_set(release, doc_string(want->account), "spec", "serviceAccountName", NULL);
    doc_set(release, doc_copy(want->values), "spec", "values", NULL);
    if (want->ref) {
        doc_set(release, json_string("OCIRepository"), "spec", "chartRef", "kind", NULL);
        doc_set(release, doc_string(want->release), "spec", "chartRef", "name", NULL);
        return release;
    }
    doc_set(release, doc_string(want->name), "spec", "chart", "spec", "chart", NULL);
    if (want->version)
        doc_set(release, doc_string(want->version), "spec", "chart", "spec", "version", NULL);
    doc_set(release, json_string("HelmRepository"), "spec", "chart", "spec", "sourceRef", "kind",
            NULL);
    doc_set(release, doc_string(want->release), "spec", "chart", "spec", "sourceRef", "name", NULL);
    return release;
}

static json_t *make_helm_chart(const struct want *want)
{
    json_t *chart = make_object("helm.cattle.io/v1", "HelmChart", want);
    AUTO_MEM char *values = doc_print_yaml(want->values);

    doc_set(chart, doc_string(want->ref ? want->ref : want->name), "spec", "chart", NULL);
    if (want->repo)
        doc_set(chart, doc_string(want->repo), "spec", "repo", NULL);
    if (want->version)
        doc_set(chart, doc_string(want->version), "spec", "version", NULL);
    doc_set(chart, doc_string(want->namespace), "spec", "targetNamespace", NULL);
    doc_set(chart, json_true(), "spec", "createNamespace", NULL);
    doc_set(chart, doc_string(values), "spec", "valuesContent", NULL);
    return chart;
}

json_t *driver_delegate_objects(const struct want *want)
{
    json_t *objects = json_array();

    if (want->engine == ENGINE_HELM_RELEASE) {
        json_array_append_new(objects, make_source(want));
        json_array_append_new(objects, make_helm_release(want));
    } else {
        json_array_append_new(objects, make_helm_chart(want));
    }
    return objects;
}

json_t *driver_delegate_all(const struct want *want)
{
    json_t *objects = json_array();

    if (want->engine == ENGINE_HELM_CHART) {
        json_array_append_new(objects, make_object("helm.cattle.io/v1", "HelmChart", want));
        return objects;
    }
    json_array_append_new(objects, make_object("helm.toolkit.fluxcd.io/v2", "HelmRelease", want));
    json_array_append_new(objects,
                          make_object("source.toolkit.fluxcd.io/v1", "OCIRepository", want));
    json_array_append_new(objects,
                          make_object("source.toolkit.fluxcd.io/v1", "HelmRepository", want));
    return objects;
}

static const struct {
    const char *kind, *group, *version, *resource;
} kinds[] = {
    {"OCIRepository", "source.toolkit.fluxcd.io", "v1", "ocirepositories"},
    {"HelmRepository", "source.toolkit.fluxcd.io", "v1", "helmrepositories"},
    {"HelmRelease", "helm.toolkit.fluxcd.io", "v2", "helmreleases"},
    {"HelmChart", "helm.cattle.io", "v1", "helmcharts"},
};

struct kube_ref driver_delegate_ref(const json_t *object)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (str_eq(kinds[i].kind, doc_str(object, "kind", NULL)))
            return (struct kube_ref){.group = kinds[i].group,
                                     .version = kinds[i].version,
                                     .resource = kinds[i].resource,
                                     .namespace = doc_str(object, "metadata", "namespace", NULL),
                                     .name = doc_str(object, "metadata", "name", NULL)};
    ASSERT(false); // foreign: only objects that this file made get here
    return (struct kube_ref){0};
}

char *driver_delegate_path(const struct want *want)
{
    bool flux = want->engine == ENGINE_HELM_RELEASE;

    return str_format("/apis/%s/namespaces/%s/%s/%s",
                      flux ? "helm.toolkit.fluxcd.io/v2" : "helm.cattle.io/v1",
                      want->config_namespace, flux ? "helmreleases" : "helmcharts", want->release);
}

static const json_t *find_condition(const json_t *object, const char *type)
{
    const json_t *conditions = doc_get(object, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++)
        if (str_eq(doc_str(json_array_get(conditions, i), "type", NULL), type))
            return json_array_get(conditions, i);
    return NULL;
}

static bool is_true(const json_t *condition)
{
    return str_eq(doc_str(condition, "status", NULL), "True");
}

enum delegate_state driver_delegate_judge(const struct want *want, const json_t *object,
                                          char **ret_message)
{
    const json_t *ready = find_condition(object, "Ready"),
                 *failed = find_condition(object, "Failed");
    int64_t generation = doc_int(object, 0, "metadata", "generation", NULL);
    const char *kind = want->engine == ENGINE_HELM_RELEASE ? "HelmRelease" : "HelmChart";

    *ret_message = NULL;
    if (!object)
        return DELEGATE_ABSENT;
    if (!str_eq(doc_str(object, "metadata", "labels", DRIVER_LABEL_OWNER, NULL),
                want->owner_label)) {
        *ret_message =
            str_format("There is a %s %s in namespace %s already that somebody else made", kind,
                       want->release, want->config_namespace);
        return DELEGATE_FOREIGN;
    }
    if (!str_eq(doc_str(object, "metadata", "annotations", DRIVER_LABEL_DIGEST, NULL),
                want->digest_text))
        return DELEGATE_OUTDATED;
    if (want->engine == ENGINE_HELM_CHART && is_true(failed)) {
        *ret_message = str_format("HelmChart %s: %.*s", want->release,
                                  TEXT_CUT(600, doc_str(failed, "message", NULL)));
        return DELEGATE_FAILED;
    }
    if (want->engine == ENGINE_HELM_CHART && *doc_str(object, "status", "jobName", NULL))
        return DELEGATE_DONE; // what its Job did is seen in the driver itself
    if (is_true(ready) && doc_int(object, 0, "status", "observedGeneration", NULL) == generation)
        return DELEGATE_DONE;
    *ret_message =
        str_format("%s %s: %s%s%.*s", kind, want->release,
                   *doc_str(ready, "reason", NULL) ? doc_str(ready, "reason", NULL)
                                                   : "its controller has not looked at it yet",
                   *doc_str(ready, "message", NULL) ? ": " : "",
                   TEXT_CUT(600, doc_str(ready, "message", NULL)));
    return str_eq(doc_str(ready, "status", NULL), "False") ? DELEGATE_FAILED : DELEGATE_RUNNING;
}
