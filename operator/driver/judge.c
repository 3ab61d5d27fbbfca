// SPDX-License-Identifier: Apache-2.0
// What is true of a driver, by the facts, and the one thing that is to be done about it: a helm is
// begun, objects of another engine or of the smoke test are named for driver.c to write.
#include "work_internal.h"

void work_say(struct work *w, enum driver_state state, const char *reason, char *take_message)
{
    mem_free(w->result->ready.message);
    w->result->ready = (struct driver_verdict){state, reason, take_message};
}

void work_look_again(struct work *w, uint64_t after_ms)
{
    if (w->result->after_ms == 0 || after_ms < w->result->after_ms)
        w->result->after_ms = after_ms;
}

const char *driver_engine_name(enum engine engine)
{
    static const char *const names[] = {[ENGINE_HELM] = "Helm",
                                        [ENGINE_HELM_RELEASE] = "HelmRelease",
                                        [ENGINE_HELM_CHART] = "HelmChart",
                                        [ENGINE_EXTERNAL] = "External"};

    return names[engine];
}

// --- status.driver

static void put(json_t *tree, const char *key, const char *value)
{
    if (value && *value)
        json_object_set_new(tree, key, doc_string(value));
}

static json_t *make_status(const struct work *w, const char *applied_digest)
{
    const struct want *want = &w->want;
    const struct note *note = job_note(w->driver, w->in.cluster, want->namespace, want->release);
    const json_t *was = doc_get(w->real, "status", "driver", NULL);
    bool fresh = note && note->chart && !*note->reason && str_eq(note->digest, applied_digest);
    bool same = str_eq(doc_str(was, "appliedDigest", NULL), applied_digest);
    json_t *status = json_object();

    put(status, "release", want->release);
    put(status, "namespace", want->namespace);
    put(status, "preset", doc_str(want->preset, "name", NULL));
    put(status, "serviceAccountName", want->account);
    put(status, "engine", driver_engine_name(want->engine));
    put(status, "chart", fresh ? note->chart : same ? doc_str(was, "chart", NULL) : want->chart);
    put(status, "version",
        fresh  ? note->version
        : same ? doc_str(was, "version", NULL)
               : want->version);
    put(status, "appliedDigest", applied_digest);
    if (want->renamed)
        put(status, "nameOverride", doc_str(want->preset, "renamedFrom", NULL));
    return status;
}

// What was known stays known until it is seen to be gone.
void work_keep_status(struct work *w)
{
    w->result->status_driver = doc_copy(doc_get(w->real, "status", "driver", NULL));
    w->result->status_devices = doc_copy(doc_get(w->real, "status", "devices", NULL));
}

static void forget_status(struct work *w)
{
    json_decref(TAKE(w->result->status_driver));
    json_decref(TAKE(w->result->status_devices));
}

// --- failures, and when to try again

static uint64_t retry_after_ms(const struct note *note)
{
    uint64_t wait = DRIVER_RETRY_MS, gone = clock_ms() - note->at_ms;

    for (unsigned i = 1; i < note->failures && wait < DRIVER_RETRY_MS_MAX; i++)
        wait *= 2;
    if (wait > DRIVER_RETRY_MS_MAX)
        wait = DRIVER_RETRY_MS_MAX;
    return gone < wait ? wait - gone : 0;
}

// Whether a failure for the very same thing still stands; what was ended from outside is tried at
// once.
static bool waits_for_retry(struct work *w, bool uninstall)
{
    const struct note *note =
        job_note(w->driver, w->in.cluster, w->want.namespace, w->want.release);
    uint64_t left;

    if (!note || !*note->reason || note->uninstall != uninstall ||
        !str_eq(note->digest, w->want.digest_text))
        return false;
    work_say(w, DRIVER_FALSE, note->reason, str_dup(note->message));
    left = retry_after_ms(note);
    if (str_eq(note->reason, "HelmInterrupted") && note->failures < 3)
        left = 0;
    if (left == 0)
        return false;
    work_look_again(w, left);
    return true;
}

// A lock of a release whose helm cannot be running any more. False: it may, and so we wait.
static bool may_unlock(struct work *w, const struct release *release, bool uninstall,
                       struct job_order *order)
{
    const struct driver_spec *spec = &w->driver->spec;
    int64_t age_s = clock_wall_ms() / 1000 - release->since_s;
    int64_t limit_s = (int64_t)(spec->helm_timeout_ms + 2 * driver_helm_grace_ms) / 1000;

    const struct note *note =
        job_note(w->driver, w->in.cluster, w->want.namespace, w->want.release);

    // One that is half uninstalled is no lock for another uninstall.
    if (release->state != RELEASE_PENDING && (release->state != RELEASE_UNINSTALLING || uninstall))
        return true;
    if ((note && str_eq(note->reason, "HelmInterrupted")) || age_s > limit_s || age_s < -60) {
        order->drop_secret = release->state == RELEASE_PENDING ? release->secret : NULL;
        order->drop_version = release->secret_version;
        return true;
    }
    work_say(
        w, DRIVER_FALSE, "ReleaseLocked",
        str_format(
            "Release %s is %s since %lld s; if nobody holds its lock after %lld s it is taken away",
            w->want.release, release->word, (long long)age_s, (long long)limit_s));
    work_look_again(w, (uint64_t)(limit_s - age_s + 1) * 1000);
    return false;
}

static void begin_job(struct work *w, const struct release *release, bool uninstall)
{
    struct job_order order = {
        .uninstall = uninstall,
        .make_namespace = !uninstall && !json_object_get(w->facts, "namespace") &&
                          !*doc_str(w->facts, "denied", "namespace", NULL),
        .forget = !uninstall && release->state == RELEASE_UNINSTALLING,
    };

    if (!may_unlock(w, release, uninstall, &order))
        return;
    if (!driver_may_write(w->driver, w->in.cluster)) {
        work_say(w, DRIVER_UNKNOWN, "Progressing", str_dup("Another controller leads"));
        return;
    }
    w->result->event =
        str_format("helm %s %s in namespace %s", uninstall ? "uninstall" : "upgrade --install",
                   w->want.release, w->want.namespace);
    if (!*w->result->ready.reason)
        work_say(w, DRIVER_FALSE, uninstall ? "Uninstalling" : "Installing",
                 str_format("helm is at work on release %s in namespace %s", w->want.release,
                            w->want.namespace));
    job_start(w->driver, w->in.cluster, w->in.key, w->object, &w->want, &order);
}

// --- the driver shall be there

static bool prepare(struct work *w)
{
    struct error *err = w->want.path ? helm_check_path(&w->driver->spec, w->want.path) : NULL;

    if (!err)
        err = driver_values_make(w->object, w->facts, driver_api_version(w->in.served), &w->want);

    if (!err)
        return true;
    work_say(w, DRIVER_FALSE, error_reason(err), str_dup(error_text(err)));
    error_free(err);
    work_look_again(w, DRIVER_LOOK_LATER_MS);
    return false;
}

// Whether what is not installed may be; if not, it is said why.
static bool may_install(struct work *w, const struct release *release)
{
    char *message = NULL;
    const char *reason;

    if (w->in.waiting) {
        work_say(w, DRIVER_FALSE, w->in.waiting_for,
                 str_dup("The driver is installed when the cluster is ready for it"));
        return false;
    }
    reason = driver_preflight(&w->in, &w->want, w->facts, release, &message);
    if (*reason) {
        work_say(w, DRIVER_FALSE, reason, message);
        work_look_again(w, DRIVER_LOOK_LATER_MS);
        return false;
    }
    if (w->in.suspend)
        work_say(w, DRIVER_FALSE, "Suspended",
                 str_dup("The driver is to be installed and spec.suspend is true"));
    return !w->in.suspend;
}

static void install_if_needed(struct work *w, const struct release *release)
{
    // The end of a helm calls for a pass.
    if (job_waits(w->driver, w->in.cluster, &w->want))
        work_say(w, DRIVER_FALSE, "Installing",
                 str_dup("Waiting until helm is done with another release: one runs at a time"));
    else if (job_runs(w->driver, w->in.cluster, &w->want))
        work_say(w, DRIVER_FALSE, "Installing",
                 str_format("helm is at work on release %s in namespace %s", w->want.release,
                            w->want.namespace));
    else if (may_install(w, release) && !waits_for_retry(w, false))
        begin_job(w, release, false);
}

static bool is_installed(const struct work *w, const struct release *release)
{
    return release->state == RELEASE_DEPLOYED && str_eq(release->owner, w->want.owner_label) &&
           str_eq(release->digest, w->want.digest_text);
}

// A change of what is followed calls for a pass; this is for the rest.
static uint64_t idle_look_ms(const struct work *w)
{
    bool others = w->want.engine == ENGINE_HELM_RELEASE || w->want.engine == ENGINE_HELM_CHART ||
                  json_array_size(doc_get(w->object, "spec", "driver", "valuesFrom", NULL)) > 0 ||
                  doc_bool(w->facts, false, "polled", NULL);

    return others ? DRIVER_LOOK_AT_VALUES_MS : DRIVER_LOOK_AT_RELEASE_MS;
}

static void take_readiness(struct work *w, bool installed)
{
    struct readiness readiness;

    driver_ready_judge(&w->want, w->facts, &readiness);
    w->result->devices = readiness.devices;
    w->result->status_devices = readiness.status_devices;
    if (installed) {
        AUTO_MEM char *notes = driver_preflight_notes(&w->in, &w->want, w->facts);
        mem_free(w->result->ready.message);
        w->result->ready = readiness.ready;
        if (*notes) {
            AUTO_MEM char *before = w->result->ready.message;
            w->result->ready.message = str_format("%s%s", before, notes);
        }
    } else {
        mem_free(readiness.ready.message);
    }
    work_look_again(w, readiness.look_soon ? DRIVER_LOOK_LATER_MS : idle_look_ms(w));
}

void work_take_smoke(struct work *w)
{
    bool ready = w->result->devices.state == DRIVER_TRUE && !w->in.waiting &&
                 (!w->result->ready.reason || w->result->ready.state == DRIVER_TRUE);

    driver_smoke_judge(&w->driver->spec, &w->in, &w->want, w->facts, ready, &w->result->smoke,
                       &w->result->status_smoke, &w->smoke);
    if (w->result->smoke.state == DRIVER_UNKNOWN && *w->result->smoke.reason)
        work_look_again(w, 1000);
}

static void write_delegate(struct work *w)
{
    struct release none = {.state = RELEASE_ABSENT, .owner = ""};

    if (!may_install(w, &none))
        return;
    w->writes = driver_delegate_objects(&w->want);
    w->result->event = str_format("%s %s in namespace %s", driver_engine_name(w->want.engine),
                                  w->want.release, w->want.config_namespace);
    work_say(w, DRIVER_FALSE, "Installing",
             str_format("%s %s is written", driver_engine_name(w->want.engine), w->want.release));
    work_look_again(w, DRIVER_LOOK_SOON_MS);
}

static void judge_delegate(struct work *w)
{
    bool values = prepare(w);
    AUTO_MEM char *message = NULL;
    const char *denied = doc_str(w->facts, "denied", "delegate", NULL);
    enum delegate_state state =
        driver_delegate_judge(&w->want, json_object_get(w->facts, "delegate"), &message);

    take_readiness(w, values && state == DELEGATE_DONE);
    work_take_smoke(w);
    if (state != DELEGATE_FOREIGN)
        w->result->status_driver = make_status(
            w, doc_str(w->facts, "delegate", "metadata", "annotations", DRIVER_LABEL_DIGEST, NULL));
    if (!values)
        return;
    if (state != DELEGATE_DONE)
        work_look_again(w, DRIVER_LOOK_SOON_MS); // its controller's word is asked for
    if (*denied)
        work_say(w, DRIVER_FALSE, "DriverForbidden", str_dup(denied));
    else if (state == DELEGATE_FOREIGN)
        work_say(w, DRIVER_FALSE, "DriverOwnedElsewhere", TAKE(message));
    else if (state == DELEGATE_RUNNING || state == DELEGATE_FAILED)
        work_say(w, DRIVER_FALSE, state == DELEGATE_FAILED ? "DelegateFailed" : "Installing",
                 TAKE(message));
    else if (state != DELEGATE_DONE)
        write_delegate(w);
}

void work_judge_present(struct work *w)
{
    struct release release;
    bool installed = true;

    if (w->want.engine == ENGINE_HELM) {
        driver_release_read(driver_items(w->facts, "secrets"), &release);
        installed = prepare(w) && is_installed(w, &release);
        // What is there is judged before a job takes the want with it.
        take_readiness(w, installed);
        work_take_smoke(w);
        // A release of somebody else is none of ours to remember.
        if (release.state == RELEASE_ABSENT || str_eq(release.owner, w->want.owner_label))
            w->result->status_driver =
                make_status(w, release.state == RELEASE_DEPLOYED ? release.digest : "");
        if (!installed && !*w->result->ready.reason)
            install_if_needed(w, &release);
        return;
    }
    if (w->want.engine != ENGINE_EXTERNAL) {
        judge_delegate(w);
        return;
    }
    take_readiness(w, prepare(w));
    work_take_smoke(w);
}

// --- the driver shall go

static void note_gone(struct work *w)
{
    forget_status(w);
    job_forget_note(w->driver, w->in.cluster, &w->want);
    w->result->gone = !w->replacing;
    if (!w->replacing)
        return;
    work_say(w, DRIVER_FALSE, "Installing",
             str_format("Release %s is gone, the new one comes", w->want.release));
    work_look_again(w, 1);
}

static void retire_delegate(struct work *w)
{
    AUTO_MEM char *message = NULL;
    enum delegate_state state =
        driver_delegate_judge(&w->want, json_object_get(w->facts, "delegate"), &message);

    if (*doc_str(w->facts, "denied", "delegate", NULL)) {
        work_say(w, DRIVER_FALSE, "DriverForbidden",
                 str_dup(doc_str(w->facts, "denied", "delegate", NULL)));
        work_look_again(w, DRIVER_LOOK_LATER_MS);
    } else if (state == DELEGATE_ABSENT || state == DELEGATE_FOREIGN) {
        note_gone(w);
    } else {
        work_say(w, DRIVER_FALSE, "Uninstalling",
                 str_format("%s %s is being removed by its controller",
                            driver_engine_name(w->want.engine), w->want.release));
        work_look_again(w, DRIVER_LOOK_SOON_MS);
        w->removes = !w->in.suspend;
        w->writes = w->removes ? driver_delegate_all(&w->want) : NULL;
    }
}

void work_judge_gone(struct work *w)
{
    AUTO_JSON json_t *drivers =
        w->wanted ? driver_preset_list(w->want.preset, "drivers", NULL) : NULL;
    AUTO_MEM char *claims = NULL;
    struct release release;
    size_t len;

    work_keep_status(w);
    if (w->wanted && json_array_size(drivers) == 0) {
        json_decref(drivers);
        drivers = doc_copy(doc_get(w->real, "status", "devices", "drivers", NULL));
    }
    claims = driver_claims_text(w->facts, w->in.all_claims ? NULL : drivers, &len);
    // A target's account need not have that right where no driver of ours is: then nobody's claims
    // are waited for.
    if (*doc_str(w->facts, "denied", "claims", NULL) && (w->wanted || !w->in.cluster->by)) {
        work_say(w, DRIVER_FALSE, "DriverForbidden",
                 str_dup(doc_str(w->facts, "denied", "claims", NULL)));
        work_look_again(w, DRIVER_LOOK_LATER_MS);
        return;
    }
    if (len > 0) {
        work_say(
            w, DRIVER_FALSE, "ClaimsInUse",
            str_format(
                "%zu claims still have devices and are waited for: %s; end the pods that use them",
                len, claims));
        work_look_again(w, DRIVER_LOOK_SOON_MS);
        return;
    }
    if (w->wanted &&
        (w->want.engine == ENGINE_HELM_RELEASE || w->want.engine == ENGINE_HELM_CHART)) {
        retire_delegate(w);
        return;
    }
    if (!w->wanted || w->want.engine != ENGINE_HELM || !w->want.release) {
        forget_status(w);
        w->result->gone = true;
        return;
    }
    driver_release_read(driver_items(w->facts, "secrets"), &release);
    if (*doc_str(w->facts, "denied", "secrets", NULL)) {
        work_say(w, DRIVER_FALSE, "DriverForbidden",
                 str_dup(doc_str(w->facts, "denied", "secrets", NULL)));
        work_look_again(w, DRIVER_LOOK_LATER_MS);
    } else if (job_waits(w->driver, w->in.cluster, &w->want)) {
        work_say(w, DRIVER_FALSE, "Uninstalling",
                 str_dup("Waiting until helm is done with another release: one runs at a time"));
    } else if (job_runs(w->driver, w->in.cluster, &w->want)) {
        work_say(w, DRIVER_FALSE, "Uninstalling",
                 str_format("helm is at work on release %s", w->want.release));
    } else if (release.state == RELEASE_ABSENT || !str_eq(release.owner, w->want.owner_label)) {
        note_gone(w);
    } else if (w->in.suspend) {
        work_say(w, DRIVER_FALSE, "Suspended",
                 str_dup("The driver is to go and spec.suspend is true"));
    } else if (!waits_for_retry(w, true)) {
        begin_job(w, &release, true);
    }
}
