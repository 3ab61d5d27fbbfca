// SPDX-License-Identifier: Apache-2.0
// The values of a release and the digest of everything that it is made from.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "driver_internal.h"

#define DECODED_MAX DRIVER_VALUES_BYTES_MAX

static int sextet(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

// base64 as a Secret's data has it; false when it is none.
static bool decode(const char *text, struct buf *out)
{
    unsigned bits = 0, held = 0;

    for (const char *c = text; *c && *c != '='; c++) {
        int value = sextet(*c);
        char byte;

        if (value < 0)
            return false;
        held = (held << 6 | (unsigned)value) & 0xFFFFFF;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        byte = (char)(held >> bits & 0xFF);
        buf_add(out, &byte, 1);
    }
    return true;
}

static struct error *read_source(const json_t *source, const json_t *object, json_t **ret_values)
{
    bool secret = str_eq(doc_str(source, "kind", NULL), "Secret");
    const char *key = *doc_str(source, "key", NULL) ? doc_str(source, "key", NULL) : "values.yaml";
    const json_t *held = doc_get(object, "data", key, NULL);
    AUTO_MEM char *name = str_format("%s %s, key %s", doc_str(source, "kind", NULL),
                                     doc_str(source, "name", NULL), key);
    AUTO_BUF struct buf decoded = buf_make(DECODED_MAX);
    struct slice text = slice_of(json_string_value(held));
    struct error *err;

    *ret_values = NULL;
    if (!json_is_string(held)) {
        if (doc_bool(source, false, "optional", NULL))
            return NULL;
        return error_because(ERROR_INVALID, "ValuesNotFound",
                             "spec.driver.valuesFrom: %s is not there", name);
    }
    if (secret) {
        if (!decode(json_string_value(held), &decoded))
            return error_because(ERROR_INVALID, "ValuesInvalid",
                                 "spec.driver.valuesFrom: %s is no base64", name);
        text = buf_slice(&decoded);
    }
    if (decoded.overflow || text.len > DRIVER_VALUES_BYTES_MAX)
        return error_because(ERROR_INVALID, "ValuesInvalid",
                             "spec.driver.valuesFrom: %s is larger than %zu bytes", name,
                             DRIVER_VALUES_BYTES_MAX);
    err = doc_parse_yaml(text, name, ret_values);
    if (err) {
        err = error_wrap(err, "spec.driver.valuesFrom");
        error_set_reason(err, "ValuesInvalid");
        return err;
    }
    if (*ret_values && !json_is_object(*ret_values) && !json_is_null(*ret_values)) {
        json_decref(TAKE(*ret_values));
        return error_because(ERROR_INVALID, "ValuesInvalid", "spec.driver.valuesFrom: %s is no map",
                             name);
    }
    return NULL;
}

// Maps are merged, everything else is replaced. A null stays: it is for helm, which takes the
// chart's default out.
void driver_values_merge(json_t *into, const json_t *over)
{
    json_t *walked = (json_t *)(uintptr_t)over; // jansson iterates without const
    const char *key;
    json_t *value;

    json_object_foreach(walked, key, value) {
        json_t *was = json_object_get(into, key);

        if (json_is_object(was) && json_is_object(value))
            driver_values_merge(was, value);
        else
            json_object_set_new(into, key, doc_copy(value));
    }
}

// What an archive holds is part of the digest: another file under the same name is another chart.
struct error *driver_file_digest(const char *path, char *ret_digest)
{
    AUTO_BUF struct buf bytes = buf_make(DRIVER_CHART_BYTES_MAX);
    FILE *file = fopen(path, "re");
    char block[16384];
    size_t len;

    if (!file)
        return error_because(ERROR_INVALID, "ChartUnavailable", "%s: %s", path, strerror(errno));
    while ((len = fread(block, 1, sizeof(block), file)) > 0 && !bytes.overflow)
        buf_add(&bytes, block, len);
    (void)fclose(file); // it was only read
    if (bytes.overflow)
        return error_because(ERROR_INVALID, "ChartUnavailable", "%s is larger than %zu bytes", path,
                             DRIVER_CHART_BYTES_MAX);
    doc_digest(buf_slice(&bytes), ret_digest);
    return NULL;
}

static void put(json_t *tree, const char *key, const char *value)
{
    if (value)
        json_object_set_new(tree, key, doc_string(value));
}

static struct error *make_digest(const char *api_version, struct want *want)
{
    AUTO_JSON json_t *all = json_object();
    char archive[DOC_DIGEST_BYTES];
    struct error *err;

    put(all, "ref", want->ref);
    put(all, "path", want->path);
    put(all, "repo", want->repo);
    put(all, "name", want->name);
    put(all, "version", want->version);
    put(all, "digest", want->digest);
    put(all, "api", api_version);
    if (want->path && str_ends(want->path, ".tgz")) {
        err = driver_file_digest(want->path, archive);
        if (err)
            return err;
        if (want->digest && !str_eq(want->digest + strlen("sha256:"), archive))
            return error_because(ERROR_INVALID, "ChartDigestMismatch",
                                 "%s has the digest sha256:%s and not %s", want->path, archive,
                                 want->digest);
        put(all, "archive", archive);
    }
    json_object_set(all, "values", want->values);
    doc_digest_tree(all, want->digest_text);
    want->digest_text[16] = '\0'; // as much as a label needs
    return NULL;
}

// The release itself knows whose names it has, also when the status is lost.
static void find_names(const json_t *facts, struct want *want)
{
    const char *old = doc_str(want->preset, "renamedFrom", NULL);
    struct release release;

    driver_release_read(driver_items(facts, "secrets"), &release);
    if (*old && str_eq(release.owner, want->owner_label) &&
        (str_eq(release.names, old) || str_eq(release.chart, old)))
        want->renamed = true;
}

// What the chart would find out from helm's idea of the cluster, we know: the version that is
// served.
static void put_api_version(struct want *want, const char *api_version)
{
    const char *key = doc_str(want->preset, "apiValue", NULL);

    AUTO_MEM char *version = str_format("resource.k8s.io/%s", api_version ? api_version : "");

    if (*key && api_version && !*doc_str(want->values, key, NULL))
        put(want->values, key, version);
}

struct error *driver_values_make(const json_t *object, const json_t *facts, const char *api_version,
                                 struct want *want)
{
    const json_t *driver = doc_get(object, "spec", "driver", NULL);
    const json_t *sources = json_object_get(driver, "valuesFrom");
    const json_t *preset_values = json_object_get(want->preset, "values");

    find_names(facts, want);
    want->values = json_is_object(preset_values) ? doc_copy(preset_values) : json_object();
    if (api_version && !str_eq(api_version, "v1"))
        driver_values_merge(want->values, json_object_get(want->preset, "valuesBeforeV1"));
    for (size_t i = 0; i < json_array_size(sources); i++) {
        AUTO_MEM char *key = str_format("valuesFrom%zu", i);
        AUTO_JSON json_t *values = NULL;
        const char *denied = doc_str(facts, "denied", key, NULL);
        struct error *err;

        if (*denied)
            return error_because(ERROR_INVALID, "DriverForbidden", "spec.driver.valuesFrom: %s",
                                 denied);
        err = read_source(json_array_get(sources, i), json_object_get(facts, key), &values);
        if (err)
            return err;
        driver_values_merge(want->values, values);
    }
    driver_values_merge(want->values, json_object_get(driver, "values"));
    put_api_version(want, api_version);
    if (want->renamed)
        put(want->values, "nameOverride", doc_str(want->preset, "renamedFrom", NULL));
    return make_digest(api_version, want);
}
