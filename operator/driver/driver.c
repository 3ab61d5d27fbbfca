// SPDX-License-Identifier: Apache-2.0
// One pass over the driver: ask, judge, begin one thing at most, say what is true. What was begun
// goes on beside it (job.c) and calls for another pass.
#include <string.h>

#include "driver_internal.h"

struct work {
    struct op op; // must be first
    struct driver *driver;
    struct driver_work in;
    json_t *object; // of in; for a driver that goes one made from the status
    json_t *real;   // the DRAConfiguration itself
    struct want want;
    bool wanted;    // want is made
    bool replacing; // an earlier release goes first
    struct kube *account_kube;
    json_t *facts;
    struct driver_result *result;
    struct smoke_action smoke;
    json_t *writes; // objects of another engine that are to be written, or to be removed
    bool removes;
    size_t next_write;
    struct op *pending;
    driver_done_fn *done;
    void *owner;
};

void driver_result_free(struct driver_result *result)
{
    if (!result)
        return;
    mem_free(result->ready.message);
    mem_free(result->devices.message);
    mem_free(result->smoke.message);
    mem_free(result->event);
    json_decref(result->status_driver);
    json_decref(result->status_devices);
    json_decref(result->status_smoke);
    mem_free(result);
}

static void work_free(struct work *w)
{
    op_drop(w->pending);
    kube_free(w->account_kube);
    driver_want_fini(&w->want);
    json_decref(w->facts);
    json_decref(w->object);
    json_decref(w->real);
    json_decref(w->smoke.create);
    json_decref(w->writes);
    driver_result_free(w->result);
    mem_free(w);
}

static void work_drop(struct op *op)
{
    work_free((struct work *)op);
}

static void finish(struct work *w, struct error *take_err)
{
    driver_done_fn *done = w->done;
    void *owner = w->owner;
    struct driver_result *result = take_err ? NULL : TAKE(w->result);

    work_free(w);
    done(owner, take_err, result);
}

static void say(struct work *w, enum driver_state state, const char *reason, char *take_message)
{
    mem_free(w->result->ready.message);
    w->result->ready = (struct driver_verdict){state, reason, take_message};
}

static void look_again(struct work *w, uint64_t after_ms)
{
    if (w->result->after_ms == 0 || after_ms < w->result->after_ms)
        w->result->after_ms = after_ms;
}

// --- status.driver

static void put(json_t *tree, const char *key, const char *value)
{
    if (value && *value)
        json_object_set_new(tree, key, json_string(value));
}

static const char *engine_name(enum engine engine)
{
    static const char *const names[] = {[ENGINE_HELM] = "Helm",
                                        [ENGINE_HELM_RELEASE] = "HelmRelease",
                                        [ENGINE_HELM_CHART] = "HelmChart",
                                        [ENGINE_EXTERNAL] = "External"};

    return names[engine];
}

static json_t *make_status(const struct work *w, const char *applied_digest)
{
    const struct want *want = &w->want;
    const struct note *note = job_note(w->driver, want->namespace, want->release);
    const json_t *was = doc_get(w->real, "status", "driver", NULL);
    bool fresh = note && note->chart && !*note->reason && str_eq(note->digest, applied_digest);
    bool same = str_eq(doc_str(was, "appliedDigest", NULL), applied_digest);
    json_t *status = json_object();

    put(status, "release", want->release);
    put(status, "namespace", want->namespace);
    put(status, "preset", doc_str(want->preset, "name", NULL));
    put(status, "serviceAccountName", want->account);
    put(status, "engine", engine_name(want->engine));
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
static void keep_status(struct work *w)
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
    const struct note *note = job_note(w->driver, w->want.namespace, w->want.release);
    uint64_t left;

    if (!note || !*note->reason || note->uninstall != uninstall ||
        !str_eq(note->digest, w->want.digest_text))
        return false;
    say(w, DRIVER_FALSE, note->reason, str_dup(note->message));
    left = retry_after_ms(note);
    if (str_eq(note->reason, "HelmInterrupted") && note->failures < 3)
        left = 0;
    if (left == 0)
        return false;
    look_again(w, left);
    return true;
}

// A lock of a release whose helm cannot be running any more. False: it may, and so we wait.
static bool may_unlock(struct work *w, const struct release *release, bool uninstall,
                       const char **ret_secret)
{
    const struct driver_spec *spec = &w->driver->spec;
    int64_t age_s = clock_wall_ms() / 1000 - release->since_s;
    int64_t limit_s = (int64_t)(spec->helm_timeout_ms + 2 * driver_helm_grace_ms) / 1000;

    const struct note *note = job_note(w->driver, w->want.namespace, w->want.release);

    *ret_secret = NULL;
    // One that is half uninstalled is no lock for another uninstall.
    if (release->state != RELEASE_PENDING && (release->state != RELEASE_UNINSTALLING || uninstall))
        return true;
    if ((note && str_eq(note->reason, "HelmInterrupted")) || age_s > limit_s || age_s < -60) {
        *ret_secret = release->state == RELEASE_PENDING ? release->secret : NULL;
        return true;
    }
    say(w, DRIVER_FALSE, "ReleaseLocked",
        str_format(
            "Release %s is %s since %lld s; if nobody holds its lock after %lld s it is taken away",
            w->want.release, release->word, (long long)age_s, (long long)limit_s));
    look_again(w, (uint64_t)(limit_s - age_s + 1) * 1000);
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

    if (!may_unlock(w, release, uninstall, &order.drop_secret))
        return;
    if (w->driver->halted || !w->driver->spec.may_write(w->driver->spec.owner)) {
        say(w, DRIVER_UNKNOWN, "Progressing", str_dup("Another controller leads"));
        return;
    }
    w->result->event =
        str_format("helm %s %s in namespace %s", uninstall ? "uninstall" : "upgrade --install",
                   w->want.release, w->want.namespace);
    if (!*w->result->ready.reason)
        say(w, DRIVER_FALSE, uninstall ? "Uninstalling" : "Installing",
            str_format("helm is at work on release %s in namespace %s", w->want.release,
                       w->want.namespace));
    job_start(w->driver, w->in.key, w->object, &w->want, &order);
}

// --- the driver shall be there

static bool prepare(struct work *w)
{
    struct error *err =
        driver_values_make(w->object, w->facts, driver_api_version(w->in.served), &w->want);

    if (!err)
        return true;
    say(w, DRIVER_FALSE, error_reason(err), str_dup(error_text(err)));
    error_free(err);
    look_again(w, DRIVER_LOOK_LATER_MS);
    return false;
}

static void install_if_needed(struct work *w, const struct release *release)
{
    char *message = NULL;
    const char *reason;

    if (job_runs(w->driver, w->want.namespace, w->want.release)) {
        say(w, DRIVER_FALSE, "Installing",
            str_format("helm is at work on release %s in namespace %s", w->want.release,
                       w->want.namespace));
        return; // its end calls for a pass
    }
    if (w->in.waiting) {
        say(w, DRIVER_FALSE, w->in.waiting_for,
            str_dup("The driver is installed when the cluster is ready for it"));
        return;
    }
    reason = driver_preflight(&w->in, &w->want, w->facts, release, &message);
    if (*reason) {
        say(w, DRIVER_FALSE, reason, message);
        look_again(w, DRIVER_LOOK_LATER_MS);
        return;
    }
    if (w->in.suspend) {
        say(w, DRIVER_FALSE, "Suspended",
            str_dup("The driver is to be installed and spec.suspend is true"));
        return;
    }
    if (!waits_for_retry(w, false))
        begin_job(w, release, false);
}

static bool is_installed(const struct work *w, const struct release *release)
{
    return release->state == RELEASE_DEPLOYED && str_eq(release->owner, w->want.owner_label) &&
           str_eq(release->digest, w->want.digest_text);
}

static void take_readiness(struct work *w, bool installed)
{
    struct readiness readiness;

    driver_ready_judge(&w->want, w->facts, &readiness);
    w->result->devices = readiness.devices;
    w->result->status_devices = readiness.status_devices;
    if (installed) {
        AUTO_MEM char *notes = driver_preflight_notes(&w->want, w->facts);
        mem_free(w->result->ready.message);
        w->result->ready = readiness.ready;
        if (*notes) {
            AUTO_MEM char *before = w->result->ready.message;
            w->result->ready.message = str_format("%s%s", before, notes);
        }
    } else {
        mem_free(readiness.ready.message);
    }
    look_again(w, readiness.look_soon ? DRIVER_LOOK_SOON_MS : DRIVER_LOOK_LATER_MS);
}

static void take_smoke(struct work *w)
{
    bool ready = w->result->devices.state == DRIVER_TRUE && !w->in.waiting &&
                 (!w->result->ready.reason || w->result->ready.state == DRIVER_TRUE);

    driver_smoke_judge(&w->driver->spec, &w->in, &w->want, w->facts, ready, &w->result->smoke,
                       &w->result->status_smoke, &w->smoke);
    if (w->result->smoke.state == DRIVER_UNKNOWN && *w->result->smoke.reason)
        look_again(w, 1000);
}

static void write_delegate(struct work *w, const struct release *none)
{
    char *message = NULL;
    const char *reason;

    if (w->in.waiting) {
        say(w, DRIVER_FALSE, w->in.waiting_for,
            str_dup("The driver is installed when the cluster is ready for it"));
        return;
    }
    reason = driver_preflight(&w->in, &w->want, w->facts, none, &message);
    if (*reason) {
        say(w, DRIVER_FALSE, reason, message);
        look_again(w, DRIVER_LOOK_LATER_MS);
    } else if (w->in.suspend) {
        say(w, DRIVER_FALSE, "Suspended",
            str_dup("The driver is to be installed and spec.suspend is true"));
    } else {
        w->writes = driver_delegate_objects(&w->want);
        w->result->event = str_format("%s %s in namespace %s", engine_name(w->want.engine),
                                      w->want.release, w->want.config_namespace);
        say(w, DRIVER_FALSE, "Installing",
            str_format("%s %s is written", engine_name(w->want.engine), w->want.release));
        look_again(w, DRIVER_LOOK_SOON_MS);
    }
}

static void judge_delegate(struct work *w)
{
    struct release none = {.state = RELEASE_ABSENT, .owner = ""};
    bool values = prepare(w);
    AUTO_MEM char *message = NULL;
    const char *denied = doc_str(w->facts, "denied", "delegate", NULL);
    enum delegate_state state =
        driver_delegate_judge(&w->want, json_object_get(w->facts, "delegate"), &message);

    take_readiness(w, values && state == DELEGATE_DONE);
    take_smoke(w);
    if (state != DELEGATE_FOREIGN)
        w->result->status_driver = make_status(
            w, doc_str(w->facts, "delegate", "metadata", "annotations", DRIVER_LABEL_DIGEST, NULL));
    if (!values)
        return;
    if (*denied)
        say(w, DRIVER_FALSE, "DriverForbidden", str_dup(denied));
    else if (state == DELEGATE_FOREIGN)
        say(w, DRIVER_FALSE, "DriverOwnedElsewhere", TAKE(message));
    else if (state == DELEGATE_RUNNING || state == DELEGATE_FAILED)
        say(w, DRIVER_FALSE, state == DELEGATE_FAILED ? "DelegateFailed" : "Installing",
            TAKE(message));
    else if (state != DELEGATE_DONE)
        write_delegate(w, &none);
}

static void judge_present(struct work *w)
{
    struct release release;
    bool installed = true;

    if (w->want.engine == ENGINE_HELM) {
        driver_release_read(driver_items(w->facts, "secrets"), &release);
        installed = prepare(w) && is_installed(w, &release);
        // What is there is judged before a job takes the want with it.
        take_readiness(w, installed);
        take_smoke(w);
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
    take_readiness(w, true);
    take_smoke(w);
}

// --- the driver shall go

static void note_gone(struct work *w)
{
    forget_status(w);
    w->result->gone = !w->replacing;
    if (!w->replacing)
        return;
    say(w, DRIVER_FALSE, "Installing",
        str_format("Release %s is gone, the new one comes", w->want.release));
    look_again(w, 1);
}

static void retire_delegate(struct work *w)
{
    AUTO_MEM char *message = NULL;
    enum delegate_state state =
        driver_delegate_judge(&w->want, json_object_get(w->facts, "delegate"), &message);

    if (*doc_str(w->facts, "denied", "delegate", NULL)) {
        say(w, DRIVER_FALSE, "DriverForbidden",
            str_dup(doc_str(w->facts, "denied", "delegate", NULL)));
        look_again(w, DRIVER_LOOK_LATER_MS);
    } else if (state == DELEGATE_ABSENT || state == DELEGATE_FOREIGN) {
        note_gone(w);
    } else {
        say(w, DRIVER_FALSE, "Uninstalling",
            str_format("%s %s is being removed by its controller", engine_name(w->want.engine),
                       w->want.release));
        look_again(w, DRIVER_LOOK_SOON_MS);
        w->removes = !w->in.suspend;
        w->writes = w->removes ? driver_delegate_all(&w->want) : NULL;
    }
}

static void judge_gone(struct work *w)
{
    AUTO_JSON json_t *drivers =
        w->wanted ? driver_preset_list(w->want.preset, "drivers", NULL) : NULL;
    AUTO_MEM char *claims = NULL;
    struct release release;
    size_t len;

    keep_status(w);
    if (w->wanted && json_array_size(drivers) == 0) {
        json_decref(drivers);
        drivers = doc_copy(doc_get(w->real, "status", "devices", "drivers", NULL));
    }
    claims = driver_claims_text(w->facts, w->in.all_claims ? NULL : drivers, &len);
    if (*doc_str(w->facts, "denied", "claims", NULL)) {
        say(w, DRIVER_FALSE, "DriverForbidden",
            str_dup(doc_str(w->facts, "denied", "claims", NULL)));
        look_again(w, DRIVER_LOOK_LATER_MS);
        return;
    }
    if (len > 0) {
        say(w, DRIVER_FALSE, "ClaimsInUse",
            str_format(
                "%zu claims still have devices and are waited for: %s; end the pods that use them",
                len, claims));
        look_again(w, DRIVER_LOOK_SOON_MS);
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
        say(w, DRIVER_FALSE, "DriverForbidden",
            str_dup(doc_str(w->facts, "denied", "secrets", NULL)));
        look_again(w, DRIVER_LOOK_LATER_MS);
    } else if (job_runs(w->driver, w->want.namespace, w->want.release)) {
        say(w, DRIVER_FALSE, "Uninstalling",
            str_format("helm is at work on release %s", w->want.release));
    } else if (release.state == RELEASE_ABSENT || !str_eq(release.owner, w->want.owner_label)) {
        note_gone(w);
    } else if (w->in.suspend) {
        say(w, DRIVER_FALSE, "Suspended", str_dup("The driver is to go and spec.suspend is true"));
    } else if (!waits_for_retry(w, true)) {
        begin_job(w, &release, true);
    }
}

// --- one action for the smoke test

static void on_acted(void *owner, struct error *take_err, json_t *take_body)
{
    struct work *w = owner;

    w->pending = NULL;
    json_decref(take_body);
    if (take_err &&
        (error_kind(take_err) == ERROR_NOT_FOUND || error_kind(take_err) == ERROR_CONFLICT)) {
        error_free(take_err);
        take_err = NULL;
    }
    if (take_err && error_kind(take_err) == ERROR_DENIED) {
        mem_free(w->result->smoke.message);
        w->result->smoke =
            (struct driver_verdict){DRIVER_FALSE, "Forbidden", str_dup(error_text(take_err))};
        error_free(take_err);
        take_err = NULL;
        look_again(w, DRIVER_LOOK_LATER_MS);
    }
    finish(w, error_wrap(take_err, "smoke test"));
}

static struct kube_ref smoke_ref(const struct work *w, bool claim, const char *name)
{
    struct kube_ref ref = {.group = "", .version = "v1", .resource = "pods"};

    if (claim) {
        ref.group = "resource.k8s.io";
        ref.version = driver_api_version(w->in.served);
        ref.resource = "resourceclaims";
    }
    ref.namespace = w->driver->spec.namespace;
    ref.name = name;
    return ref;
}

static void on_pod_removed(void *owner, struct error *take_err, json_t *take_body)
{
    struct work *w = owner;
    AUTO_MEM char *name = driver_smoke_name(w->real);
    struct kube_ref ref = smoke_ref(w, true, name);

    w->pending = NULL;
    if (take_err && error_kind(take_err) != ERROR_NOT_FOUND) {
        on_acted(w, take_err, take_body);
        return;
    }
    error_free(take_err);
    json_decref(take_body);
    w->pending = kube_delete(w->driver->spec.kube, &ref, NULL, NULL, on_acted, w);
}

static void on_defer(void *owner)
{
    struct work *w = owner;

    w->pending = NULL;
    finish(w, NULL);
}

static void act_and_finish(struct work *w);

static void on_delegate_written(void *owner, struct error *take_err, json_t *take_body)
{
    struct work *w = owner;
    AUTO(error) struct error *err = take_err;

    w->pending = NULL;
    json_decref(take_body);
    w->next_write++;
    if (err && !(w->removes && error_kind(err) == ERROR_NOT_FOUND)) {
        const char *reason = error_kind(err) == ERROR_NOT_FOUND ? "DelegateNotServed"
                             : error_kind(err) == ERROR_DENIED  ? "DriverForbidden"
                                                                : "InstallFailed";
        say(w, DRIVER_FALSE, reason,
            str_format("%s: %s", engine_name(w->want.engine), error_text(err)));
        look_again(w, DRIVER_LOOK_LATER_MS);
        json_decref(TAKE(w->writes));
    }
    act_and_finish(w);
}

static void write_next(struct work *w)
{
    const json_t *object = json_array_get(w->writes, w->next_write);
    struct kube_ref ref = driver_delegate_ref(object);
    struct kube_patch patch = {.type = KUBE_PATCH_APPLY,
                               .body = object,
                               .field_manager = DRIVER_FIELD_MANAGER,
                               .force = true};

    w->pending = w->removes ? kube_delete(w->account_kube, &ref, NULL, NULL, on_delegate_written, w)
                            : kube_patch(w->account_kube, &ref, &patch, on_delegate_written, w);
}

static void act_and_finish(struct work *w)
{
    struct driver *driver = w->driver;
    AUTO_MEM char *name = driver_smoke_name(w->real);
    bool claim = str_eq(doc_str(w->smoke.create, "kind", NULL), "ResourceClaim");
    struct kube_ref ref = smoke_ref(w, w->smoke.create && claim, name);

    if (driver->spec.may_write(driver->spec.owner) && w->next_write < json_array_size(w->writes))
        write_next(w);
    else if (driver->spec.may_write(driver->spec.owner) && w->smoke.remove)
        w->pending = kube_delete(driver->spec.kube, &ref, NULL, NULL, on_pod_removed, w);
    else if (driver->spec.may_write(driver->spec.owner) && w->smoke.create)
        w->pending = kube_create(driver->spec.kube, &ref, w->smoke.create, on_acted, w);
    else
        w->pending = loop_defer(driver->loop, on_defer, w);
}

// --- the op

static void on_facts(void *owner, struct error *take_err, json_t *take_facts)
{
    struct work *w = owner;

    w->pending = NULL;
    w->facts = take_facts;
    if (take_err) {
        finish(w, take_err);
        return;
    }
    if (w->in.gone || w->replacing) {
        judge_gone(w);
        if (w->in.gone)
            take_smoke(w); // what is left of a test goes too
    } else {
        judge_present(w);
    }
    act_and_finish(w);
}

// What was installed, as a spec would have asked for it: the spec itself may be gone or another by
// now.
static json_t *object_of_status(const json_t *object)
{
    const json_t *status = doc_get(object, "status", "driver", NULL);
    static const char *const kept[] = {"release", "namespace", "serviceAccountName", "preset",
                                       "engine"};
    json_t *made = json_object();

    doc_set(made, doc_copy(json_object_get(object, "metadata")), "metadata", NULL);
    doc_set(made, doc_copy(json_object_get(object, "status")), "status", NULL);
    doc_set(made, json_string("oci://none"), "spec", "driver", "chart", "ref",
            NULL); // not read when it goes
    for (size_t i = 0; i < COUNT(kept); i++)
        if (json_object_get(status, kept[i]))
            doc_set(made, json_string(doc_str(status, kept[i], NULL)), "spec", "driver", kept[i],
                    NULL);
    return made;
}

static bool is_replaced(const struct work *w)
{
    const json_t *was = doc_get(w->real, "status", "driver", NULL);

    const char *engine = *doc_str(was, "engine", NULL) ? doc_str(was, "engine", NULL) : "Helm";

    // With External our release is handed over, not taken away.
    return *doc_str(was, "release", NULL) && w->want.engine != ENGINE_EXTERNAL &&
           (!str_eq(doc_str(was, "release", NULL), w->want.release) ||
            !str_eq(doc_str(was, "namespace", NULL), w->want.namespace) ||
            !str_eq(engine, engine_name(w->want.engine)));
}

static json_t *external_object(const json_t *object)
{
    json_t *made = doc_copy(object);

    doc_set(made, json_string("External"), "spec", "driver", "engine", NULL);
    return made;
}

static struct error *choose_want(struct work *w)
{
    bool installed = *doc_str(w->real, "status", "driver", "release", NULL);
    struct error *err;

    if (w->in.gone) {
        if (!installed)
            return NULL;
        w->object = object_of_status(w->real);
    } else if (!doc_get(w->real, "spec", "driver", NULL)) {
        w->object = external_object(w->real);
    } else {
        w->object = json_incref(w->real);
    }
    err = driver_want_make(w->object, &w->want);
    w->wanted = !err;
    if (err || w->in.gone || !is_replaced(w))
        return err;
    w->replacing = true;
    driver_want_fini(&w->want);
    json_decref(w->object);
    w->object = object_of_status(w->real);
    return driver_want_make(w->object, &w->want);
}

struct op *driver_pass(struct driver *driver, const struct driver_work *work, driver_done_fn *done,
                       void *owner)
{
    struct work *w = NEW(struct work);
    struct error *err;

    w->op.drop = work_drop;
    w->driver = driver;
    w->in = *work;
    w->real = json_incref((json_t *)(uintptr_t)work->object);
    w->done = done;
    w->owner = owner;
    w->result = NEW(struct driver_result);
    w->result->ready.reason = w->result->devices.reason = w->result->smoke.reason = "";
    err = choose_want(w);
    if (err) {
        say(w, DRIVER_FALSE, *error_reason(err) ? error_reason(err) : "InvalidConfiguration",
            str_dup(error_text(err)));
        error_free(err);
        keep_status(w);
        w->pending = loop_defer(driver->loop, on_defer, w);
        return &w->op;
    }
    if (w->replacing)
        w->in.gone = true; // the same questions are asked
    w->account_kube = kube_new_as(driver->spec.kube, w->want.user);
    w->pending =
        gather_start(driver->loop,
                     driver_facts_ask(&w->in, w->wanted ? &w->want : NULL, driver->spec.kube,
                                      w->account_kube, driver->spec.namespace),
                     on_facts, w);
    w->in.gone = work->gone;
    return &w->op;
}
