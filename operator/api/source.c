// SPDX-License-Identifier: Apache-2.0
// A ConfigSource as the passes want it.
#include <string.h>

#include "api_internal.h"

#define INTERVAL_MIN_MS 10000
#define INTERVAL_MAX_MS 86400000
#define TIMEOUT_MIN_MS 1000
#define TIMEOUT_MAX_MS 600000

static struct error *read_duration(const json_t *spec, const char *name, const char *fallback,
                                   uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ms)
{
    const char *text = doc_str(spec, name, NULL);
    AUTO_MEM char *path = str_format("spec.%s", name);
    struct error *err = api_duration_parse(*text ? text : fallback, ret_ms);

    if (err) {
        err = error_wrap(err, "%s", path);
        error_set_reason(err, "InvalidConfiguration");
        return err;
    }
    if (*ret_ms < min_ms || *ret_ms > max_ms)
        return api_invalid(path, "must be between %us and %us", (unsigned)(min_ms / 1000),
                           (unsigned)(max_ms / 1000));
    return NULL;
}

// The schema says it too; an older one may not.
static struct error *check_ref(const struct api_source *source)
{
    int kinds = (*source->tag != '\0') + (*source->semver != '\0') + (*source->commit != '\0');

    if (kinds > 1 || (*source->branch && (*source->tag || *source->semver)))
        return api_invalid("spec.ref",
                           "one of branch, tag, semver and commit; branch may stand beside commit");
    return NULL;
}

static struct error *read_spec(const json_t *spec, struct api_source *source)
{
    struct error *err = api_source_fields_check(spec);

    if (err)
        return err;
    source->url = doc_str(spec, "url", NULL);
    source->branch = doc_str(spec, "ref", "branch", NULL);
    source->tag = doc_str(spec, "ref", "tag", NULL);
    source->semver = doc_str(spec, "ref", "semver", NULL);
    source->commit = doc_str(spec, "ref", "commit", NULL);
    source->path = doc_str(spec, "path", NULL);
    source->secret = doc_str(spec, "secretRef", "name", NULL);
    source->verify_secret = doc_str(spec, "verify", "secretRef", "name", NULL);
    source->verify = json_is_object(doc_get(spec, "verify", NULL));
    source->prune = doc_bool(spec, false, "prune", NULL);
    source->suspend = doc_bool(spec, false, "suspend", NULL);
    err = check_ref(source);
    if (!err)
        err = read_duration(spec, "interval", "5m", INTERVAL_MIN_MS, INTERVAL_MAX_MS,
                            &source->interval_ms);
    return err ? err
               : read_duration(spec, "timeout", "1m", TIMEOUT_MIN_MS, TIMEOUT_MAX_MS,
                               &source->timeout_ms);
}

struct error *api_source_parse(const json_t *object, struct api_source *ret_source)
{
    const json_t *annotations = doc_get(object, "metadata", "annotations", NULL);
    struct api_source source = {
        .namespace = doc_str(object, "metadata", "namespace", NULL),
        .name = doc_str(object, "metadata", "name", NULL),
        .uid = doc_str(object, "metadata", "uid", NULL),
        .reconcile_requested_at =
            json_string_value(json_object_get(annotations, API_ANNOTATION_RECONCILE)),
        .accept = json_string_value(json_object_get(annotations, API_ANNOTATION_ACCEPT)),
        .generation = doc_int(object, 0, "metadata", "generation", NULL),
        .deleting = *doc_str(object, "metadata", "deletionTimestamp", NULL) != '\0',
        .status = doc_get(object, "status", NULL),
    };
    struct error *err;

    if (!*source.name)
        return api_invalid("metadata.name", "is required");
    err = read_spec(doc_get(object, "spec", NULL), &source);
    if (!err)
        *ret_source = source;
    return err;
}
