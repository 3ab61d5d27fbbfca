// SPDX-License-Identifier: Apache-2.0
// One pass over the driver: ask, judge (judge.c), write what came of that, say what is true. What
// was begun goes on beside it (job.c) and calls for another pass.
#include "work_internal.h"

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

// --- one action for the smoke test

static void say_smoke(struct work *w, const char *reason, char *take_message)
{
    mem_free(w->result->smoke.message);
    w->result->smoke = (struct driver_verdict){DRIVER_FALSE, reason, take_message};
    work_look_again(w, DRIVER_LOOK_LATER_MS);
}

static void on_acted(void *owner, struct error *take_err, json_t *take_body)
{
    struct work *w = owner;

    w->pending = NULL;
    json_decref(take_body);
    if (take_err && error_kind(take_err) == ERROR_NOT_FOUND && w->smoke.create && !w->smoke.remove)
        say_smoke(
            w, "NotFound",
            str_format("There is no namespace %s for the smoke test; create it with the label "
                       "pod-security.kubernetes.io/enforce=restricted, or name another one "
                       "(the chart's value smokeTest.namespace, drawbridge run "
                       "--smoke-test-namespace)",
                       w->driver->spec.namespace));
    if (take_err &&
        (error_kind(take_err) == ERROR_NOT_FOUND || error_kind(take_err) == ERROR_CONFLICT)) {
        error_free(take_err);
        take_err = NULL;
    }
    if (take_err && error_kind(take_err) == ERROR_DENIED) {
        say_smoke(w, "Forbidden", str_dup(error_text(take_err)));
        error_free(take_err);
        take_err = NULL;
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

// Deletes the claim or the pod of the test that was looked at, and no other one of its name.
static struct op *remove_seen(struct work *w, bool claim, kube_done_fn *done)
{
    AUTO_MEM char *name = driver_smoke_name(w->real);
    struct kube_ref ref = smoke_ref(w, claim, name);

    return kube_delete(
        w->in.cluster->kube, &ref,
        doc_str(w->facts, claim ? "smokeClaim" : "smokePod", "metadata", "uid", NULL), NULL, done,
        w);
}

static void on_pod_removed(void *owner, struct error *take_err, json_t *take_body)
{
    struct work *w = owner;

    w->pending = NULL;
    if ((take_err && error_kind(take_err) != ERROR_NOT_FOUND) ||
        !json_object_get(w->facts, "smokeClaim")) {
        on_acted(w, take_err, take_body);
        return;
    }
    error_free(take_err);
    json_decref(take_body);
    w->pending = remove_seen(w, true, on_acted);
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
        work_say(w, DRIVER_FALSE, reason,
                 str_format("%s: %s", driver_engine_name(w->want.engine), error_text(err)));
        work_look_again(w, DRIVER_LOOK_LATER_MS);
        json_decref(TAKE(w->writes));
    }
    act_and_finish(w);
}

static void write_next(struct work *w)
{
    const json_t *object = json_array_get(w->writes, w->next_write);
    struct kube_ref ref = driver_delegate_ref(object);

    w->pending = w->removes ? kube_delete_now(w->account_kube, &ref, on_delegate_written, w)
                            : kube_apply_now(w->account_kube, &ref, object, DRIVER_FIELD_MANAGER,
                                             on_delegate_written, w);
}

static void act_and_finish(struct work *w)
{
    struct driver *driver = w->driver;
    AUTO_MEM char *name = driver_smoke_name(w->real);
    bool claim = str_eq(doc_str(w->smoke.create, "kind", NULL), "ResourceClaim");
    struct kube_ref ref = smoke_ref(w, w->smoke.create && claim, name);

    if (w->next_write < json_array_size(w->writes))
        write_next(w);
    else if (w->smoke.remove && json_object_get(w->facts, "smokePod"))
        w->pending = remove_seen(w, false, on_pod_removed);
    else if (w->smoke.remove)
        w->pending = remove_seen(w, true, on_acted);
    else if (w->smoke.create)
        w->pending = kube_create(w->in.cluster->kube, &ref, w->smoke.create, on_acted, w);
    else
        w->pending = loop_defer(driver->loop, on_defer, w);
}

// --- the op

static void ask(struct work *w);

// Helm ended while the release was asked for: the answer may be from before, and would be taken for
// what helm left.
static bool is_outdated(const struct work *w)
{
    const struct note *note =
        w->wanted ? job_note(w->driver, w->in.cluster, w->want.namespace, w->want.release) : NULL;

    return note && note->at_ms >= w->asked_ms;
}

static void on_facts(void *owner, struct error *take_err, json_t *take_facts)
{
    struct work *w = owner;

    w->pending = NULL;
    w->facts = take_facts;
    if (take_err) {
        finish(w, take_err);
        return;
    }
    if (is_outdated(w)) {
        json_decref(TAKE(w->facts));
        ask(w);
        return;
    }
    if (w->in.gone || w->replacing) {
        work_judge_gone(w);
        if (w->in.gone)
            work_take_smoke(w); // what is left of a test goes too
    } else {
        work_judge_present(w);
    }
    act_and_finish(w);
}

static void ask(struct work *w)
{
    struct driver *driver = w->driver;
    struct driver_work in = w->in;

    in.gone = in.gone || w->replacing; // the same questions are asked
    w->asked_ms = clock_ms();
    w->pending = gather_start(
        driver->loop, driver_facts_ask(driver, &in, w->wanted ? &w->want : NULL, w->account_kube),
        on_facts, w);
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
            doc_set(made, doc_string(doc_str(status, kept[i], NULL)), "spec", "driver", kept[i],
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
            !str_eq(engine, driver_engine_name(w->want.engine)));
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

// Another cluster gets helm's own token there, or no helm; and what is written there is written as
// an account of it, whatever the kubeconfig's user may do: who may name the Secret that leads there
// is not to install with its rights. Where the administrator of this cluster lets anybody look says
// nothing about that one: there its own answer to the kubeconfig's user counts.
static struct error *check_target(const struct work *w)
{
    if (!w->wanted || !w->in.cluster->by)
        return NULL;
    if (w->want.engine == ENGINE_HELM && !w->driver->spec.helm_account)
        return error_because(
            ERROR_INVALID, "NotSupported",
            "spec.driver is not supported in another cluster by this controller: helm has "
            "no account of its own, and would need the controller's credentials; start it with "
            "--helm-service-account=NAMESPACE/NAME, as the chart does");
    if (w->want.engine != ENGINE_EXTERNAL && !w->want.user)
        return error_because(
            ERROR_INVALID, "InvalidConfiguration",
            "spec.driver.serviceAccountName: in another cluster it is needed: name an "
            "account in namespace %s of that cluster that may install there, and that the chart "
            "there lists in controller.driverAccounts",
            w->want.config_namespace);
    return NULL;
}

// What is asked as an account is what that account may see. As ourselves we look where the
// administrator said.
static struct error *check_look(const struct work *w)
{
    const struct driver_spec *spec = &w->driver->spec;
    const struct want *want = &w->want;

    if (!w->wanted || w->in.cluster->by || w->in.gone || w->replacing || want->user ||
        !want->release || str_eq(want->namespace, want->config_namespace) ||
        (spec->may_look && spec->may_look(spec->owner, want->config_namespace, want->namespace)))
        return NULL;
    // A right to look is no help to who wants to install.
    if (want->engine != ENGINE_EXTERNAL)
        return error_because(
            ERROR_INVALID, "NamespaceNotAllowed",
            "spec.driver.namespace: DRAConfigurations of namespace %s may not install into "
            "namespace %s with Drawbridge's own rights; set spec.driver.serviceAccountName to an "
            "account of namespace %s that may install there, and that the administrator lists in "
            "the chart's value controller.driverAccounts",
            want->config_namespace, want->namespace, want->config_namespace);
    return error_because(
        ERROR_INVALID, "NamespaceNotAllowed",
        "spec.driver.namespace: DRAConfigurations of namespace %s may not look into namespace %s; "
        "set spec.driver.serviceAccountName, or the administrator can list %s in the chart's value "
        "driverNamespaces[].from of namespace %s (drawbridge run --look %s=%s)",
        want->config_namespace, want->namespace, want->config_namespace, want->namespace,
        want->config_namespace, want->namespace);
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
    if (!err)
        err = check_target(w);
    if (!err)
        err = check_look(w);
    if (err) {
        work_say(w, DRIVER_FALSE, *error_reason(err) ? error_reason(err) : "InvalidConfiguration",
                 str_dup(error_text(err)));
        error_free(err);
        work_keep_status(w);
        w->pending = loop_defer(driver->loop, on_defer, w);
        return &w->op;
    }
    w->account_kube = kube_new_as(w->in.cluster->kube, w->want.user);
    ask(w);
    return &w->op;
}
