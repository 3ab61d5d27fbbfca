// SPDX-License-Identifier: Apache-2.0
// What a pass found, in conditions: one sentence each that says what is true and what to do next.
#include "controller_internal.h"

#define OTHERS_NAMED 4 // manifests, in one message

// --- ConfigValid ---------------------------------------------------------------------------------

static char *join_names(const json_t *names)
{
    AUTO_STRLIST struct strlist list = {0};

    for (size_t i = 0; i < json_array_size(names); i++)
        strlist_add(&list, json_string_value(json_array_get(names, i)));
    return strlist_join(&list, ", ");
}

static void say_refusals(struct pass *pass)
{
    const struct gates_refusal *first = &pass->resolution.refusals[0];
    size_t more = pass->resolution.refusals_len - 1;
    AUTO_MEM char *rest = more ? str_format(" (and %zu more)", more) : str_dup("");

    api_conditions_set(pass->conditions, CONDITION_CONFIG_VALID, STATE_FALSE,
                       refusal_reason(first->kind), "%s%s", first->message, rest);
}

static void say_config(struct pass *pass)
{
    AUTO_MEM char *ignored = join_names(pass->resolution.ignored);

    if (pass->conflict) {
        api_conditions_set(
            pass->conditions, CONDITION_CONFIG_VALID, STATE_FALSE, "TargetConflict",
            "DRAConfiguration %s is older and writes this cluster; delete one of the two, or set "
            "spec.platform.type of this one to Observe",
            pass->conflict);
        return;
    }
    if (pass->resolved && pass->resolution.refusals_len > 0) {
        say_refusals(pass);
    } else if (pass->resolved && *ignored) {
        api_conditions_set(
            pass->conditions, CONDITION_CONFIG_VALID, STATE_TRUE, "AsExpected",
            "Every component takes what is wanted; left to KKP, whose flags they are: %s", ignored);
    } else if (pass->resolved) {
        api_conditions_set(pass->conditions, CONDITION_CONFIG_VALID, STATE_TRUE, "AsExpected",
                           "Every component takes what is wanted");
    }
}

// --- ControlPlaneUpdated and NodesUpdated --------------------------------------------------------

static unsigned count_deferred(const struct pass *pass)
{
    unsigned deferred = 0;

    for (size_t i = 0; i < pass->plan.len; i++)
        deferred += pass->plan.steps[i].deferred;
    return deferred;
}

static bool writes_anything(const struct pass *pass)
{
    for (size_t i = 0; i < pass->resolution.desired_len; i++) {
        if (json_object_size(pass->resolution.desired[i].feature_gates) > 0 ||
            json_object_size(pass->resolution.desired[i].runtime_config) > 0)
            return true;
    }
    return false;
}

static const char *wanted_nothing(const struct pass *pass)
{
    if (json_object_size(pass->intent.feature_gates) == 0 &&
        json_object_size(pass->intent.runtime_config) == 0 &&
        json_array_size(pass->intent.features) == 0)
        return "NotRequested";
    return NULL;
}

// From 1.38 on there is none, and who asks for it is refused.
static bool has_gate(const struct pass *pass)
{
    struct gate gate;

    return gates_find(pass->controller->spec.table, "DynamicResourceAllocation",
                      pass->observed->server, &gate);
}

static void say_rolled_back(struct pass *pass)
{
    const json_t *last = json_array_get(json_object_get(pass->config.status, "history"), 0);

    api_conditions_set(pass->conditions, CONDITION_CONTROL_PLANE_UPDATED, STATE_FALSE, "RolledBack",
                       "Revision %s was put back (%s); correct the spec, it is not tried again",
                       pass->intent.asked_revision, doc_str(last, "message", NULL));
}

static void say_control_plane(struct pass *pass)
{
    struct api_conditions *c = pass->conditions;
    AUTO_MEM char *version = version_format(pass->observed->server);
    unsigned deferred = count_deferred(pass);

    if (progress_say(pass, CONDITION_CONTROL_PLANE_UPDATED, false)) {
        if (pass->plan.undo < pass->plan.len && !pass->config.rollback)
            api_conditions_set(
                c, CONDITION_CONTROL_PLANE_UPDATED, STATE_FALSE, "RolloutPaused",
                "%s failed, and rollout.onFailure is Pause: %s",
                pass_instance(pass, &pass->plan.steps[pass->plan.undo])->id,
                doc_str(pass_instance(pass, &pass->plan.steps[pass->plan.undo])->reported,
                        "message", NULL));
        return;
    }
    if (pass->intent.rolled_back)
        say_rolled_back(pass);
    else if (pass->config.deleting)
        api_conditions_set(c, CONDITION_CONTROL_PLANE_UPDATED, STATE_TRUE, "Reverted",
                           "What was written is out again");
    else if (wanted_nothing(pass))
        api_conditions_set(c, CONDITION_CONTROL_PLANE_UPDATED, STATE_TRUE, "NotRequested",
                           "Nothing is asked for; name what is wanted in spec.features%s",
                           has_gate(pass) ? ", or set "
                                            "spec.featureGates.DynamicResourceAllocation to true"
                                          : "");
    else if (pass->observed->read_back)
        api_conditions_set(c, CONDITION_CONTROL_PLANE_UPDATED, STATE_TRUE, "AsExpected",
                           "Every control plane component has the flags that are wanted; verified: "
                           "%s",
                           pass->observed->read_back);
    else if (deferred > 0)
        api_conditions_set(c, CONDITION_CONTROL_PLANE_UPDATED, STATE_TRUE, "AsExpected",
                           "Every component is as wanted; flags that are not needed any more go "
                           "when the upgrade of the "
                           "control plane is over (%u)",
                           deferred);
    else if (!writes_anything(pass))
        api_conditions_set(
            c, CONDITION_CONTROL_PLANE_UPDATED, STATE_TRUE, "DefaultOn",
            "Kubernetes %s has what is wanted by default: nothing had to be rewritten", version);
    else
        api_conditions_set(
            c, CONDITION_CONTROL_PLANE_UPDATED, STATE_TRUE, "AsExpected",
            "Every control plane component runs with what is wanted, read back from it");
}

static void append(struct pass *pass, enum condition condition, const char *more)
{
    AUTO_MEM char *said = str_dup(api_conditions_message(pass->conditions, condition));

    api_conditions_set(pass->conditions, condition,
                       api_conditions_state(pass->conditions, condition),
                       api_conditions_reason(pass->conditions, condition), "%s; %s", said, more);
}

// What looks like a control plane where none is. It counts for nothing, and whoever put it there
// should know.
static void name_strangers(struct pass *pass)
{
    AUTO_MEM char *names = join_names(pass->observed->strangers);
    AUTO_MEM char *more = str_format(
        "not counted, since these nodes do not have the label " KUBE_CONTROL_PLANE_LABEL ": %s",
        names);

    if (*names)
        append(pass, CONDITION_CONTROL_PLANE_UPDATED, more);
}

// Manifests that look like a component and are something else: which one is taken for the real one
// is to be seen.
static void name_other_manifests(struct pass *pass)
{
    AUTO_STRLIST struct strlist names = {0};

    for (size_t i = 0; i < pass->observed->len && names.len < OTHERS_NAMED; i++) {
        const struct plan_instance *instance = &pass->observed->instances[i];
        const json_t *others = json_object_get(instance->reported, "otherManifests");

        if (instance->control_plane && json_array_size(others) > 0)
            strlist_take(&names,
                         str_format("%s beside %s", json_string_value(json_array_get(others, 0)),
                                    instance->id));
    }
    if (names.len > 0) {
        AUTO_MEM char *list = strlist_join(&names, ", ");
        AUTO_MEM char *more = str_format("manifests of somebody else's, left alone: %s", list);

        append(pass, CONDITION_CONTROL_PLANE_UPDATED, more);
    }
}

static char *flags_text(const struct pass *pass, size_t index)
{
    const struct gates_desired *desired = &pass->resolution.desired[index];
    AUTO_BUF struct buf text = buf_make(4096);
    const char *name;
    json_t *value;

    json_object_foreach(desired->feature_gates, name, value) {
        buf_printf(&text, "%s%s=%s", text.len ? "," : "--feature-gates=", name,
                   json_is_true(value) ? "true" : "false");
    }
    json_object_foreach(desired->runtime_config, name, value) {
        buf_printf(&text, "%s%s=%s",
                   value == json_object_iter_value(json_object_iter(desired->runtime_config))
                       ? (text.len ? " --runtime-config=" : "--runtime-config=")
                       : ",",
                   name, json_string_value(value));
    }
    return buf_take(&text);
}

// What kubelets need that are somebody else's to configure. Owned; "": nothing, or there are none.
static char *needed_elsewhere(const struct pass *pass)
{
    for (size_t i = 0; i < pass->observed->len; i++) {
        if (pass->observed->instances[i].elsewhere)
            return flags_text(pass, i);
    }
    return str_dup("");
}

// A cluster elsewhere: of its kubelets those that nobody here writes, and those that objects are
// written for.
static void say_nodes_elsewhere(struct pass *pass, const struct plan_count *places)
{
    unsigned kubelets = pass->observed->kubelets_elsewhere;
    AUTO_MEM char *flags = needed_elsewhere(pass);
    const char *need = *flags ? "; they need " : "";

    if (places->instances > 0)
        api_conditions_set(pass->conditions, CONDITION_NODES_UPDATED, STATE_TRUE, "AsExpected",
                           "%u of %u objects that nodes are made from have what is wanted, and are "
                           "rolled out; %u kubelets are configured elsewhere%s%s",
                           places->updated, places->instances, kubelets, kubelets ? need : "",
                           kubelets ? flags : "");
    else if (kubelets == 0)
        api_conditions_set(pass->conditions, CONDITION_NODES_UPDATED, STATE_TRUE, "NoManagedNodes",
                           "The kubelets of a hosted cluster are configured where its nodes come "
                           "from, not by this platform");
    else
        api_conditions_set(pass->conditions, CONDITION_NODES_UPDATED, STATE_TRUE, "NoManagedNodes",
                           "%u kubelets of the hosted cluster are configured where its nodes come "
                           "from, not by this platform%s%s",
                           kubelets, need, flags);
}

// The nodes without a kubelet to look after, the first of them by name and with the reason.
static char *ignored_text(const struct pass *pass)
{
    const json_t *ignored = pass->observed->ignored;
    AUTO_BUF struct buf text = buf_make(8192);
    size_t named = 0, len = json_object_size(ignored);
    const char *name;
    json_t *why;

    buf_printf(&text, "; not counted: %zu", len);
    json_object_foreach((json_t *)(uintptr_t)ignored, name, why) {
        if (named == NODES_NAMED)
            break;
        buf_printf(&text, "%s%s: %s", named++ ? ", " : " (", name, json_string_value(why));
    }
    if (named)
        buf_add_str(&text, named < len ? ", ...)" : ")");
    return buf_take(&text);
}

static void say_nodes(struct pass *pass)
{
    struct api_conditions *c = pass->conditions;
    unsigned managed = pass->observed->managed_nodes;
    AUTO_MEM char *ignored = ignored_text(pass);

    if (progress_say(pass, CONDITION_NODES_UPDATED, true)) {
        return;
    }
    if (platform_traits(pass->observed->type)->nodes_elsewhere) {
        say_nodes_elsewhere(pass, &pass->plan.counts[COMPONENT_KUBELET]);
    } else if (managed == 0) {
        api_conditions_set(c, CONDITION_NODES_UPDATED, STATE_TRUE, "NoManagedNodes",
                           "There is no node with a kubelet to configure%s", ignored);
    } else {
        api_conditions_set(c, CONDITION_NODES_UPDATED, STATE_TRUE, "AsExpected",
                           "%u of %u kubelets run with what is wanted%s", managed, managed,
                           ignored);
    }
}

// --- Observe, and what else is configured by others ----------------------------------------------

// What somebody else has to set, as nobody here writes: "kube-apiserver: --feature-gates=...; ..."
static char *advice(const struct pass *pass)
{
    AUTO_BUF struct buf text = buf_make(2048);

    for (size_t i = 0; i < pass->resolution.desired_len; i++) {
        AUTO_MEM char *flags = flags_text(pass, i);

        if (*flags)
            buf_printf(&text, "%s%s: %s", text.len ? "; " : "", pass->observed->instances[i].id,
                       flags);
    }
    return buf_take(&text);
}

// A gate that is wanted on and that an API server itself says to be off. NULL: none.
static const char *reported_off(const struct pass *pass)
{
    for (size_t i = 0; i < pass->observed->len; i++) {
        const struct plan_instance *instance = &pass->observed->instances[i];
        const json_t *enabled = json_object_get(instance->reported, "enabled");
        const char *name;
        json_t *value;

        if (instance->component != COMPONENT_APISERVER || !enabled)
            continue;
        json_object_foreach(pass->resolution.desired[i].effective, name, value) {
            if (json_is_true(value) && json_is_false(json_object_get(enabled, name)))
                return name;
        }
    }
    return NULL;
}

static void say_observed(struct pass *pass)
{
    struct api_conditions *c = pass->conditions;
    AUTO_MEM char *todo = advice(pass);
    AUTO_MEM char *ignored = ignored_text(pass);
    const char *off = pass->resolution.dra ? reported_off(pass) : NULL;

    if (off)
        api_conditions_set(c, CONDITION_CONTROL_PLANE_UPDATED, STATE_FALSE, "EnableElsewhere",
                           "kube-apiserver reports %s off; whoever owns its flags must set %s", off,
                           todo);
    else
        api_conditions_set(c, CONDITION_CONTROL_PLANE_UPDATED, STATE_TRUE, "Observing",
                           "Somebody else owns the flags; nothing is written");
    api_conditions_set(c, CONDITION_NODES_UPDATED, STATE_TRUE,
                       pass->observed->managed_nodes ? "Observing" : "NoManagedNodes",
                       "%u kubelets are somebody else's to configure%s",
                       pass->observed->managed_nodes, ignored);
}

// --- ResourceAPIServed ---------------------------------------------------------------------------

static bool serves(const struct pass *pass, const char *version)
{
    for (size_t i = 0; i < json_array_size(pass->observed->served); i++) {
        if (str_eq(json_string_value(json_array_get(pass->observed->served, i)), version))
            return true;
    }
    return false;
}

static void say_api(struct pass *pass)
{
    struct api_conditions *c = pass->conditions;
    AUTO_MEM char *served = join_names(pass->observed->served);
    AUTO_MEM char *needed = join_names(pass->resolution.needed);
    AUTO_MEM char *todo = advice(pass);

    if (!pass->resolution.dra) {
        api_conditions_set(
            c, CONDITION_RESOURCE_API_SERVED, *served ? STATE_TRUE : STATE_FALSE,
            doc_get(pass->intent.feature_gates, "DynamicResourceAllocation", NULL) ? "DRADisabled"
                                                                                   : "NotRequested",
            "Dynamic Resource Allocation is not asked for; served of resource.k8s.io: %s",
            *served ? served : "nothing");
        return;
    }
    if (pass->observed->api_unread) {
        api_conditions_set(c, CONDITION_RESOURCE_API_SERVED, STATE_UNKNOWN, "NotReadBack",
                           "Whether resource.k8s.io is served is not known; verified: %s",
                           pass->observed->read_back);
        return;
    }
    for (size_t i = 0; i < json_array_size(pass->resolution.needed); i++) {
        const char *version = json_string_value(json_array_get(pass->resolution.needed, i));

        if (serves(pass, version))
            continue;
        if (!platform_traits(pass->observed->type)->writes)
            api_conditions_set(
                c, CONDITION_RESOURCE_API_SERVED, STATE_FALSE, "EnableElsewhere",
                "resource.k8s.io/%s is not served; whoever owns the flags must set %s", version,
                todo);
        else
            api_conditions_set(c, CONDITION_RESOURCE_API_SERVED, STATE_FALSE, "APINotServed",
                               "resource.k8s.io/%s is not served (served: %s)", version,
                               *served ? served : "nothing");
        return;
    }
    api_conditions_set(c, CONDITION_RESOURCE_API_SERVED, STATE_TRUE, "AsExpected",
                       "resource.k8s.io is served as %s; components ask for %s", served, needed);
}

// --- the rest ------------------------------------------------------------------------------------

static void say_unknown(struct pass *pass, const char *reason, const char *why)
{
    static const enum condition told[] = {CONDITION_CONFIG_VALID, CONDITION_CONTROL_PLANE_UPDATED,
                                          CONDITION_NODES_UPDATED, CONDITION_RESOURCE_API_SERVED};

    for (size_t i = 0; i < COUNT(told); i++) {
        if (!*api_conditions_reason(pass->conditions, told[i]))
            api_conditions_set(pass->conditions, told[i], STATE_UNKNOWN, reason, "%s", why);
    }
}

static void say_error(struct pass *pass)
{
    const char *reason = policy_reason(pass->walk.err);

    // The components are as they are, whatever becomes of the ConfigMaps.
    if (str_eq(reason, "ClusterConfigNotUpdated")) {
        api_conditions_set(
            pass->conditions, CONDITION_CONTROL_PLANE_UPDATED, STATE_FALSE, reason,
            "%s; new nodes and the next kubeadm upgrade would come without the flags",
            error_text(pass->walk.err));
        return;
    }
    if (!policy_of(pass->walk.err).retry) {
        api_conditions_set(pass->conditions, CONDITION_CONFIG_VALID, STATE_FALSE,
                           str_eq(reason, "Progressing") ? "InvalidConfiguration" : reason, "%s",
                           error_text(pass->walk.err));
        return;
    }
    say_unknown(pass, reason, error_text(pass->walk.err));
}

static void say_held(struct pass *pass, const char *reason, const char *message)
{
    if (!pass->plan.done)
        api_conditions_set(pass->conditions, CONDITION_CONTROL_PLANE_UPDATED, STATE_FALSE,
                           str_eq(reason, "ClaimsInUse") ? reason : progress_reason(pass),
                           "No flag is taken out before the driver and its claims are gone: %s",
                           message);
    api_conditions_set(pass->conditions, CONDITION_READY, STATE_FALSE, reason, "%s", message);
}

// The driver and the claims go first: until then nothing else is begun, and its own condition says
// what it waits for.
static void say_retiring(struct pass *pass)
{
    const struct driver_verdict *driver = pass->driver ? &pass->driver->ready : NULL;

    if (pass->retired && pass->undriven)
        say_held(pass, policy_reason(pass->undriven), error_text(pass->undriven));
    if (!pass->retired || !driver || pass->driver->gone || !*driver->reason || pass->walk.err)
        return;
    say_held(pass, driver->reason, driver->message);
}

void conditions_make(struct pass *pass)
{
    pass->conditions = api_conditions_new();
    say_config(pass);
    if (pass->resolved) {
        conditions_say_upgradeable(pass);
        say_api(pass);
        conditions_say_degraded(pass);
    }
    if (pass->planned) {
        say_control_plane(pass);
        name_strangers(pass);
        name_other_manifests(pass);
        say_nodes(pass);
    } else if (pass->resolved && !platform_traits(pass->observed->type)->writes) {
        say_observed(pass);
    }
    conditions_say_driver(pass);
    say_retiring(pass);
    sources_say(pass->controller->sources, pass->object, pass->conditions);
    if (pass->walk.err)
        say_error(pass);
    else if (pass->unheld)
        say_unknown(pass, "ShardNotHeld", pass->unheld);
    // Suspended and as wanted is Ready all the same: nothing is waiting to be done.
    if (pass->config.suspend && pass->planned && !pass->plan.done)
        api_conditions_set(
            pass->conditions, CONDITION_READY, STATE_FALSE, "Suspended",
            "Something has to be changed and spec.suspend is true; set it to false to go on");
    api_conditions_summarize(pass->conditions);
}
