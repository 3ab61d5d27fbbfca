// SPDX-License-Identifier: Apache-2.0
// From spec.driver and its preset to what shall be installed, where, and as whom.
#include <string.h>

#include "driver_internal.h"

static struct error *refuse(const char *reason, char *take_message)
{
    AUTO_MEM char *message = take_message;
    struct error *err = error_new(ERROR_INVALID, "%s", message);

    error_set_reason(err, reason);
    return err;
}

// A string of spec.driver, NULL where it is not set.
static const char *text_of(const json_t *tree, const char *key)
{
    const char *text = json_string_value(json_object_get(tree, key));

    return text && *text ? text : NULL;
}

static struct error *read_engine(const json_t *driver, enum engine *ret_engine)
{
    static const char *const names[] = {
        [ENGINE_HELM] = "Helm",
        [ENGINE_HELM_RELEASE] = "HelmRelease",
        [ENGINE_HELM_CHART] = "HelmChart",
        [ENGINE_EXTERNAL] = "External",
    };
    const char *name = text_of(driver, "engine");

    for (size_t i = 0; i < COUNT(names); i++) {
        if (!str_eq(name ? name : "Helm", names[i]))
            continue;
        *ret_engine = (enum engine)i;
        return NULL;
    }
    return refuse("NotSupported",
                  str_format("spec.driver.engine: %s is not supported by this version; use Helm, "
                             "HelmRelease or HelmChart, or "
                             "External and let your own controller install the chart",
                             name));
}

// The chart of the spec replaces the preset's; one that gives a version or digest alone goes with
// the preset's place.
static struct error *read_chart(const json_t *driver, struct want *want)
{
    const json_t *own = json_object_get(driver, "chart");
    const json_t *preset = json_object_get(want->preset, "chart");
    bool place = text_of(own, "ref") || text_of(own, "path") || text_of(own, "repo");
    const json_t *from = place ? own : preset;

    want->ref = text_of(from, "ref");
    want->path = text_of(from, "path");
    want->repo = text_of(from, "repo");
    want->name = text_of(from, "name");
    want->version = text_of(own, "version");
    if (!want->version && !place)
        want->version = text_of(preset, "version");
    want->digest = text_of(own, "digest");
    if (want->engine == ENGINE_EXTERNAL)
        return NULL;
    if (!want->ref && !want->path && !want->repo)
        return refuse(
            "InvalidConfiguration",
            str_dup("spec.driver.chart: say where the chart is: ref, path, or repo with name"));
    if (want->engine != ENGINE_HELM && want->path)
        return refuse(
            "NotSupported",
            str_dup("spec.driver.chart.path: is a file of Drawbridge's own; this engine needs "
                    "ref, or repo with name"));
    if (want->digest &&
        (want->engine == ENGINE_HELM_CHART || (want->engine == ENGINE_HELM_RELEASE && want->repo)))
        return refuse(
            "NotSupported",
            str_dup("spec.driver.chart.digest: this engine cannot pin the digest of such a chart"));
    if (want->path && want->path[0] != '/')
        return refuse("InvalidConfiguration", str_dup("spec.driver.chart.path: must begin with /"));
    if (want->path && want->digest && !str_ends(want->path, ".tgz"))
        return refuse(
            "InvalidConfiguration",
            str_dup("spec.driver.chart.digest: a directory has none; pack the chart as .tgz"));
    return NULL;
}

// Words that become arguments of helm, headers and paths: letters, digits and these others, the
// first one a letter or digit. The schema says so too, but it may be older than this program.
static struct error *check_word(const char *field, const char *word, const char *others)
{
    bool ok = true;

    for (const char *c = word; c && *c && ok; c++) {
        bool plain =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        ok = plain || (c > word && strchr(others, *c));
    }
    if (ok)
        return NULL;
    return refuse("InvalidConfiguration",
                  str_format("spec.driver.%s: has a character that is not allowed there", field));
}

static struct error *check_words(const struct want *want)
{
    const struct {
        const char *field, *word, *others;
    } rows[] = {
        {"release", want->release, "-"},
        {"namespace", want->namespace, "-"},
        {"serviceAccountName", want->account, "-."},
        {"chart.name", want->name, "-._/"},
        {"chart.version", want->version, "-._+~^*"},
        {"chart.ref", want->ref, ":/-._"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error *err = check_word(rows[i].field, rows[i].word, rows[i].others);
        if (err)
            return err;
    }
    return NULL;
}

static const char *chart_name(const struct want *want)
{
    const char *place = want->name ? want->name : want->ref ? want->ref : want->path;
    const char *slash = place ? strrchr(place, '/') : NULL;

    return slash ? slash + 1 : place;
}

struct error *driver_want_make(const json_t *object, struct want *ret_want)
{
    const json_t *driver = doc_get(object, "spec", "driver", NULL);
    const char *preset = text_of(driver, "preset");
    const char *config_namespace = doc_str(object, "metadata", "namespace", NULL);
    const char *config_name = doc_str(object, "metadata", "name", NULL);
    AUTO_MEM char *owner = str_format("%s.%s", config_namespace, config_name);
    struct want want = {.preset = driver_preset(preset), .config_namespace = config_namespace};
    char digest[DOC_DIGEST_BYTES];
    struct error *err = read_engine(driver, &want.engine);

    if (!err && preset && !want.preset) {
        AUTO_MEM char *names = driver_preset_names();
        err = refuse("PresetUnknown",
                     str_format("spec.driver.preset: there is no %s; there are %s", preset, names));
    }
    if (!err)
        err = read_chart(driver, &want);
    if (err)
        return err;
    want.release = text_of(driver, "release");
    if (!want.release)
        want.release = text_of(want.preset, "release");
    if (!want.release && want.engine != ENGINE_EXTERNAL)
        want.release = config_name;
    want.namespace = text_of(driver, "namespace");
    if (!want.namespace)
        want.namespace = text_of(want.preset, "namespace");
    if (!want.namespace)
        want.namespace = config_namespace;
    want.account = text_of(driver, "serviceAccountName");
    err = check_words(&want);
    if (err)
        return err;
    if (want.account)
        want.user = str_format("system:serviceaccount:%s:%s", config_namespace, want.account);
    want.chart = chart_name(&want);
    doc_digest(slice_of(owner), digest);
    memcpy(want.owner_label, strlen(owner) <= 63 ? owner : digest,
           strlen(owner) <= 63 ? strlen(owner) + 1 : 33);
    want.owner_label[63] = '\0';
    // A release of the chart's old name keeps the names that its objects have.
    want.renamed = *doc_str(want.preset, "renamedFrom", NULL) &&
                   (str_eq(doc_str(object, "status", "driver", "chart", NULL),
                           doc_str(want.preset, "renamedFrom", NULL)) ||
                    str_eq(doc_str(object, "status", "driver", "nameOverride", NULL),
                           doc_str(want.preset, "renamedFrom", NULL))) &&
                   str_eq(doc_str(object, "status", "driver", "release", NULL), want.release) &&
                   str_eq(doc_str(object, "status", "driver", "namespace", NULL), want.namespace);
    *ret_want = want;
    return NULL;
}

void driver_want_fini(struct want *want)
{
    mem_free(want->user);
    json_decref(want->values);
    *want = (struct want){0};
}
