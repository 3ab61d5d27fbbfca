// SPDX-License-Identifier: Apache-2.0
// The smoke test: a claim and a pod from templates/, in the version that is served. Its state is in
// those two objects; each pass looks at them and does the next thing. What was made is removed
// again, however it ends.
#include <string.h>

#include "driver_internal.h"

static void say(struct driver_verdict *verdict, enum driver_state state, const char *reason,
                char *take_message)
{
    mem_free(verdict->message);
    *verdict = (struct driver_verdict){state, reason, take_message};
}

static const char *class_of(const struct driver_work *work, const struct want *want)
{
    const char *class = doc_str(work->object, "spec", "smokeTest", "deviceClassName", NULL);
    const json_t *classes = json_object_get(want->preset, "classes");

    return *class ? class : doc_str(json_array_get(classes, 0), "name", NULL);
}

static bool is_there(const json_t *facts, const char *class)
{
    const json_t *classes = driver_items(facts, "classes");

    for (size_t i = 0; i < json_array_size(classes); i++)
        if (str_eq(doc_str(json_array_get(classes, i), "name", NULL), class))
            return true;
    return false;
}

// --- the objects

// In the parsed tree, each string that is a word in ${}: whatever the word stands for, it stays one
// string.
static void fill(json_t *tree, const char *const words[][2], size_t len)
{
    const char *key;
    json_t *value;
    size_t i;

    json_array_foreach(tree, i, value) {
        fill(value, words, len);
    }
    json_object_foreach(tree, key, value) {
        fill(value, words, len);
    }
    for (i = 0; i < len; i++) {
        if (json_is_string(tree) && str_eq(json_string_value(tree), words[i][0])) {
            json_string_set(tree, words[i][1]);
            return;
        }
    }
}

// The claim and the pod, owned.
static json_t *make_objects(const char *api, const char *name, const char *namespace,
                            const char *class, const char *image)
{
    const char *const words[][2] = {{"${name}", name},
                                    {"${namespace}", namespace},
                                    {"${deviceClassName}", class},
                                    {"${image}", image}};
    const char *template = str_eq(api, "v1")        ? driver_smoke_v1_yaml
                           : str_eq(api, "v1beta2") ? driver_smoke_v1beta2_yaml
                                                    : driver_smoke_v1beta1_yaml;
    json_t *objects = NULL;
    AUTO(error) struct error *err = doc_parse_yaml_all(slice_of(template), "smoke test", &objects);

    ASSERT(err == NULL); // foreign: the template is ours
    fill(objects, words, COUNT(words));
    return objects;
}

// --- the judgement

static char *key_of(const struct driver_work *work, const struct want *want, const char *class)
{
    AUTO_MEM char *all =
        str_format("%s %s %s %s", class, driver_api_version(work->served), want->digest_text,
                   doc_str(work->object, "metadata", "annotations",
                           "drawbridge.dev/reconcile-requested-at", NULL));
    char digest[DOC_DIGEST_BYTES];

    doc_digest(slice_of(all), digest);
    digest[16] = '\0';
    return str_dup(digest);
}

static const char *scheduling_message(const json_t *pod)
{
    const json_t *conditions = doc_get(pod, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++)
        if (str_eq(doc_str(json_array_get(conditions, i), "type", NULL), "PodScheduled"))
            return doc_str(json_array_get(conditions, i), "message", NULL);
    return "";
}

static bool is_over_time(const json_t *pod, uint64_t timeout_ms)
{
    int64_t created_ms;

    return clock_parse(doc_str(pod, "metadata", "creationTimestamp", NULL), &created_ms) &&
           clock_wall_ms() - created_ms > (int64_t)timeout_ms;
}

static void say_failed(const char *name, const json_t *claim, const json_t *pod,
                       struct driver_verdict *verdict)
{
    const json_t *container = json_array_get(doc_get(pod, "status", "containerStatuses", NULL), 0);
    const char *why = doc_str(container, "state", "waiting", "message", NULL);

    if (!*why)
        why = doc_str(container, "state", "waiting", "reason", NULL);
    if (!*why)
        why = doc_str(pod, "status", "message", NULL);
    if (!doc_get(claim, "status", "allocation", NULL))
        say(verdict, DRIVER_FALSE, "ClaimNotAllocated",
            str_format("The claim %s got no device: %.*s", name,
                       TEXT_CUT(600, *scheduling_message(pod)
                                         ? scheduling_message(pod)
                                         : "the scheduler says nothing; does it run, and "
                                           "are its profiles without DynamicResources?")));
    else
        say(verdict, DRIVER_FALSE, "PodNotRunning",
            str_format(
                "The claim %s got a device and its pod does not run on %s: %.*s", name,
                doc_str(pod, "spec", "nodeName", NULL),
                TEXT_CUT(600, *why ? why : "see the events of the pod and the kubelet's log")));
}

// The two are there: has it come to an end?
static bool judge_run(const char *name, uint64_t timeout_ms, const json_t *claim, const json_t *pod,
                      struct driver_verdict *verdict)
{
    const char *phase = doc_str(pod, "status", "phase", NULL);
    bool allocated = doc_get(claim, "status", "allocation", NULL) != NULL;
    bool reserved = json_array_size(doc_get(claim, "status", "reservedFor", NULL)) > 0;

    if (allocated && reserved && (str_eq(phase, "Running") || str_eq(phase, "Succeeded"))) {
        const json_t *result =
            json_array_get(doc_get(claim, "status", "allocation", "devices", "results", NULL), 0);
        say(verdict, DRIVER_TRUE, "AsExpected",
            str_format("A claim (%s) of %s got %s of pool %s, and its pod ran on %s; both are "
                       "removed again",
                       doc_str(claim, "apiVersion", NULL), doc_str(result, "driver", NULL),
                       doc_str(result, "device", NULL), doc_str(result, "pool", NULL),
                       doc_str(pod, "spec", "nodeName", NULL)));
        return true;
    }
    if (str_eq(phase, "Failed") || is_over_time(pod, timeout_ms)) {
        say_failed(name, claim, pod, verdict);
        return true;
    }
    say(verdict, DRIVER_UNKNOWN, "SmokeTestRunning",
        str_format("%s: the claim is %s, the pod is %s%s%.*s", name,
                   allocated ? "allocated" : "not allocated yet", *phase ? phase : "new",
                   *scheduling_message(pod) ? ": " : "", TEXT_CUT(300, scheduling_message(pod))));
    return false;
}

// What an earlier pass found for the same key stands, a failure for some minutes only.
static bool stands(const struct driver_work *work, const char *key, struct driver_verdict *verdict)
{
    const json_t *was = doc_get(work->object, "status", "smokeTest", NULL);
    const json_t *conditions = doc_get(work->object, "status", "conditions", NULL);
    int64_t at_ms = 0;

    if (!str_eq(doc_str(was, "key", NULL), key))
        return false;
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        bool passed = str_eq(doc_str(condition, "status", NULL), "True");

        if (!str_eq(doc_str(condition, "type", NULL), "SmokeTestPassed"))
            continue;
        if (!passed && (!str_eq(doc_str(condition, "reason", NULL), doc_str(was, "reason", NULL)) ||
                        !clock_parse(doc_str(was, "finishedAt", NULL), &at_ms) ||
                        clock_wall_ms() - at_ms > DRIVER_RETRY_MS_MAX))
            return false;
        say(verdict, passed ? DRIVER_TRUE : DRIVER_FALSE,
            passed                                                  ? "AsExpected"
            : str_eq(doc_str(was, "reason", NULL), "PodNotRunning") ? "PodNotRunning"
                                                                    : "ClaimNotAllocated",
            str_dup(doc_str(condition, "message", NULL)));
        return true;
    }
    return false;
}

static json_t *make_status(const char *key, const struct driver_verdict *verdict)
{
    char now[CLOCK_TEXT_BYTES];

    return json_pack("{s:o, s:o, s:o}", "key", doc_string(key), "reason",
                     doc_string(verdict->reason), "finishedAt",
                     doc_string(clock_format(clock_wall_ms(), now)));
}

static bool must_wait(const struct driver_work *work, const struct want *want, const json_t *facts,
                      const char *class, bool devices_ready, struct driver_verdict *verdict)
{
    AUTO_MEM char *advice = NULL;

    if (!driver_api_version(work->served)) {
        say(verdict, DRIVER_FALSE, "APINotServed",
            str_dup("The API server serves no version of resource.k8s.io"));
        return true;
    }
    if (!*class) {
        say(verdict, DRIVER_FALSE, "InvalidConfiguration",
            str_dup("spec.smokeTest.deviceClassName: which DeviceClass? The driver is not a preset "
                    "that brings one"));
        return true;
    }
    advice = driver_class_advice(doc_get(work->object, "spec", "driver", NULL), class);
    if (!is_there(facts, class) && (*advice || devices_ready)) {
        say(verdict, DRIVER_FALSE, "DeviceClassMissing",
            str_format("There is no DeviceClass %s%s%s", class,
                       *advice ? ": " : "; install a driver that brings it", advice));
        return true;
    }
    if (!devices_ready) {
        say(verdict, DRIVER_FALSE, "WaitingForDevices",
            str_dup("It begins when devices are published"));
        return true;
    }
    (void)want;
    return false;
}

void driver_smoke_judge(const struct driver_spec *spec, const struct driver_work *work,
                        const struct want *want, const json_t *facts, bool devices_ready,
                        struct driver_verdict *ret_verdict, json_t **ret_status,
                        struct smoke_action *ret_action)
{
    const char *image = spec->smoke_test_image ? spec->smoke_test_image : driver_smoke_image();
    const json_t *claim = json_object_get(facts, "smokeClaim"),
                 *pod = json_object_get(facts, "smokePod");
    bool asked = doc_bool(work->object, false, "spec", "smokeTest", "enabled", NULL) && !work->gone;
    const char *class = class_of(work, want);
    AUTO_MEM char *name = driver_smoke_name(work->object);
    AUTO_MEM char *key = key_of(work, want, class);
    const json_t *was = doc_get(work->object, "status", "smokeTest", NULL);

    *ret_action = (struct smoke_action){0};
    ret_action->remove = claim || pod;
    if (!asked)
        return;
    if (stands(work, key, ret_verdict)) {
        *ret_status = doc_copy(was);
        return;
    }
    if (must_wait(work, want, facts, class, devices_ready, ret_verdict) || work->suspend)
        return;
    ret_action->remove = false;
    if (*doc_str(pod, "metadata", "deletionTimestamp", NULL) ||
        *doc_str(claim, "metadata", "deletionTimestamp", NULL)) {
        say(ret_verdict, DRIVER_UNKNOWN, "SmokeTestRunning",
            str_dup("The objects of the last test are on their way out"));
        return;
    }
    if (claim && pod) {
        ret_action->remove = judge_run(name, spec->smoke_test_timeout_ms, claim, pod, ret_verdict);
        if (ret_action->remove)
            *ret_status = make_status(key, ret_verdict);
        return;
    }
    AUTO_JSON json_t *objects =
        make_objects(driver_api_version(work->served), name, spec->namespace, class, image);
    ret_action->create = doc_copy(json_array_get(objects, claim ? 1 : 0));
    say(ret_verdict, DRIVER_UNKNOWN, "SmokeTestRunning",
        str_format("A claim of %s is made and a pod that uses it", class));
}
