// SPDX-License-Identifier: Apache-2.0
// What is to be written into a ClusterClass, or set as a variable of its Cluster, where a flag is
// not ours to write.
#include <string.h>

#include "capi_internal.h"

static json_t *args_as(bool map, const json_t *args)
{
    json_t *made;

    if (!map || json_is_object(args))
        return doc_copy(args);
    made = json_object();
    for (size_t i = 0; i < json_array_size(args); i++) {
        const json_t *arg = json_array_get(args, i);

        json_object_set_new(made, doc_str(arg, "name", NULL),
                            doc_copy(json_object_get(arg, "value")));
    }
    return made;
}

// A patch for the end of spec.patches: it gives the whole list, whatever the template and the
// patches before it say of it. Cluster API takes a selector of just the apiVersion that the
// ClusterClass names its template with, and values of that version (1.14.2).
static char *make_patch(const struct platform_capi *capi, const struct platform_part *part,
                        const json_t *args)
{
    const char *const *path = capi_path(part->slot);
    const char *version =
        doc_str(capi->class, "spec", "controlPlane", "templateRef", "apiVersion", NULL);
    AUTO_MEM char *name = str_format("drawbridge-%s", part->slot);
    AUTO_MEM char *at =
        str_format("/spec/template/spec/kubeadmConfigSpec/%s/%s/%s", path[0], path[1], path[2]);
    AUTO_JSON json_t *patch = NULL;

    if (!*version)
        version = doc_str(capi->class, "spec", "controlPlane", "ref", "apiVersion", NULL);
    patch = json_pack("{s:o, s:[{s:{s:o, s:s, s:{s:b}}, s:[{s:s, s:o, s:o}]}]}", "name",
                      doc_string(name), "definitions", "selector", "apiVersion",
                      doc_string(version), "kind", "KubeadmControlPlaneTemplate", "matchResources",
                      "controlPlane", 1, "jsonPatches", "op", "add", "path", doc_string(at),
                      "value", args_as(strstr(version, "/v1beta1") != NULL, args));
    return doc_print_json(patch);
}

static size_t place_of(const struct platform_part *part)
{
    return part->component == COMPONENT_KUBELET ? (size_t)CAPI_PLACE_KUBELETS
                                                : (size_t)part->component;
}

char *capi_advice(const struct platform_capi *capi, const struct platform_part *part, size_t flag,
                  const char *value, const json_t *args)
{
    const char *variable = capi->known[place_of(part)].variables[flag];
    AUTO_MEM char *patch = NULL;

    if (variable)
        return str_format("set variable %s of Cluster %s/%s to \"%s\"", variable, capi->namespace,
                          capi->name, value);
    if (!capi->class)
        return str_format("have the ClusterClass set --%s=%s", capi_flags[flag], value);
    patch = make_patch(capi, part, args);
    return str_format("have ClusterClass %s/%s set --%s=%s, by its template or by this at the end "
                      "of its spec.patches: %s",
                      doc_str(capi->class, "metadata", "namespace", NULL),
                      doc_str(capi->class, "metadata", "name", NULL), capi_flags[flag], value,
                      patch);
}
