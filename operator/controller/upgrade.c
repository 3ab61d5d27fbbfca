// SPDX-License-Identifier: Apache-2.0
// Upgradeable: whether the next minor, and the one that spec.upgrade.prepareFor names, would start
// with what is set now, and take what the spec asks for.
#include "controller_internal.h"

// The minor to look at: the one that is prepared for while it is still to come.
static struct version target_of(const struct pass *pass)
{
    struct version target = {0};

    if (!version_parse(pass->config.prepare_for, &target) ||
        version_compare_minor(target, pass->observed->server) <= 0)
        return (struct version){0};
    return target;
}

// What the spec names is refused there, also where nothing had to be written for it.
static bool refuses_spec(const struct pass *pass, struct version target, char **ret_text)
{
    struct version server = pass->observed->server;
    struct version next = {1, server.minor + 1, 0};
    AUTO_MEM char *what = NULL;

    if (server.major != 1 ||
        !gates_wish_refused(pass->controller->spec.table, pass->config.feature_gates, server,
                            target.major ? target : next, &what))
        return false;
    *ret_text =
        str_format("spec.featureGates asks for what is refused then: %s; take it out", what);
    return true;
}

static const char *behind(const struct pass *pass, struct version target)
{
    return *pass->config.prepare_for && !target.major
               ? "; spec.upgrade.prepareFor is no later minor than the one that runs"
               : "";
}

void conditions_say_upgradeable(struct pass *pass)
{
    static const struct {
        enum tristate state;
        const char *reason;
    } rows[] = {
        [UPGRADEABLE_TRUE] = {STATE_TRUE, "AsExpected"},
        [UPGRADEABLE_FALSE] = {STATE_FALSE, "GatesIncompatible"},
        [UPGRADEABLE_UNKNOWN] = {STATE_UNKNOWN, "NextMinorUnknown"},
    };
    struct version target = target_of(pass);
    AUTO_MEM char *message = NULL;
    AUTO_MEM char *spec = NULL;
    enum upgradeable answer = gates_upgradeable(
        pass->controller->spec.table, pass->inputs.instances, pass->inputs.len,
        pass->resolution.refusals_len ? NULL : pass->resolution.desired, target, &message);

    if (!refuses_spec(pass, target, &spec))
        api_conditions_set(pass->conditions, CONDITION_UPGRADEABLE, rows[answer].state,
                           rows[answer].reason, "%s%s", message, behind(pass, target));
    else if (answer == UPGRADEABLE_FALSE)
        api_conditions_set(pass->conditions, CONDITION_UPGRADEABLE, STATE_FALSE,
                           "GatesIncompatible", "%s; %s", message, spec);
    else
        api_conditions_set(pass->conditions, CONDITION_UPGRADEABLE, STATE_FALSE,
                           "GatesIncompatible", "%s", spec);
}
