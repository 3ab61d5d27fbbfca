// SPDX-License-Identifier: Apache-2.0
// From Kubernetes 1.36 on, who writes the status of a ResourceClaim needs more than the right to
// update resourceclaims/status (gate DRAResourceClaimGranularStatusAuthorization). The API server
// asks its authorizer also for
//   status.allocation and reservedFor: VERB of resourceclaims/binding, in all namespaces;
//   status.devices of a driver: associated-node:VERB of resourceclaims/driver NAME where the
//   account's token is of the node that the claim has its devices on, or else arbitrary-node:VERB.
// VERB is that of the request: update, or patch. So is it asked here, by SubjectAccessReviews.
#include <string.h>

#include "doctor_internal.h"
#include "drawbridge/gates.h"

#define ACCOUNTS_MAX 32
#define DRIVERS_MAX 16

enum answer { NO, YES, OPEN };

struct account {
    const json_t *workload;
    const char *namespace, *name; // of the ServiceAccount
    char *user;
    json_t *drivers; // names that it publishes devices of
};

static void account_fini(struct account *account)
{
    mem_free(account->user);
    json_decref(account->drivers);
}

static const char *const verbs[] = {"update", "patch"};
// What an account may of the status of claims, and what it then lacks.
struct may {
    bool status[COUNT(verbs)], lacks[COUNT(verbs)];
    bool open; // not all is known yet
};

// What is known of this right; what is not is put among the questions (NULL: nobody asks).
static enum answer ask(const json_t *facts, json_t *questions, const struct account *account,
                       const char *verb, const char *subresource, const char *name)
{
    AUTO_MEM char *key = str_format("%s %s%s%s", verb, subresource, *name ? " " : "", name);
    const json_t *known = doc_get(facts, "access", account->user, key, NULL);
    AUTO_MEM char *group = NULL;

    if (json_is_boolean(known))
        return json_is_true(known) ? YES : NO;
    if (!questions)
        return OPEN;
    group = str_format("system:serviceaccounts:%s", account->namespace);
    json_array_append_new(questions,
                          json_pack("{s:o, s:[s, o, s], s:o, s:o, s:o, s:o}", "user",
                                    doc_string(account->user), "groups", "system:serviceaccounts",
                                    doc_string(group), "system:authenticated", "verb",
                                    doc_string(verb), "subresource", doc_string(subresource),
                                    "name", doc_string(name), "key", doc_string(key)));
    return OPEN;
}

static enum answer ask_driver(const json_t *facts, json_t *questions, const struct account *account,
                              const char *verb)
{
    static const char *const prefixes[] = {"associated-node:", "arbitrary-node:"};

    for (size_t i = 0; i < json_array_size(account->drivers); i++) {
        const char *driver = json_string_value(json_array_get(account->drivers, i));

        for (size_t k = 0; k < COUNT(prefixes); k++) {
            AUTO_MEM char *whole = str_format("%s%s", prefixes[k], verb);
            enum answer answer = ask(facts, questions, account, whole, "driver", driver);

            if (answer != NO)
                return answer;
        }
    }
    return NO;
}

static struct may look(const json_t *facts, json_t *questions, const struct account *account)
{
    bool driver = doctor_role(account->workload) == DOCTOR_PLUGIN;
    struct may may = {0};

    for (size_t i = 0; i < COUNT(verbs); i++) {
        enum answer status = ask(facts, questions, account, verbs[i], "status", ""), more = YES;

        if (status == YES)
            more = driver ? ask_driver(facts, questions, account, verbs[i])
                          : ask(facts, questions, account, verbs[i], "binding", "");
        may.open = may.open || status == OPEN || more == OPEN;
        may.status[i] = status == YES;
        may.lacks[i] = status == YES && more == NO;
    }
    return may;
}

// Drivers with devices: those that the workload names; none: any of them may be its.
static json_t *drivers_of(const json_t *facts, const json_t *workload)
{
    const json_t *slices = json_object_get(facts, "slices");
    AUTO_MEM char *text = doc_print_json(workload);
    json_t *named = json_array(), *all = json_array();
    AUTO_JSON json_t *seen = json_object();

    for (size_t i = 0; i < json_array_size(slices); i++) {
        const char *driver = doc_str(json_array_get(slices, i), "spec", "driver", NULL);

        if (!*driver || json_object_get(seen, driver) || json_array_size(all) >= DRIVERS_MAX)
            continue;
        doc_set(seen, json_true(), driver, NULL);
        json_array_append_new(all, doc_string(driver));
        if (strstr(text, driver))
            json_array_append_new(named, doc_string(driver));
    }
    if (json_array_size(named) == 0) {
        json_decref(named);
        return all;
    }
    json_decref(all);
    return named;
}

// Whether the API server asks so.
static bool applies(const json_t *facts)
{
    const json_t *gate = json_object_get(facts, "granular");
    struct version server = {0};

    if (json_is_boolean(gate))
        return json_is_true(gate);
    return version_parse(doc_str(facts, "server", NULL), &server) &&
           (server.major > 1 || server.minor >= 36);
}

typedef void account_fn(void *owner, const struct account *account);

// How many there are beyond those.
static size_t each_account(const json_t *facts, account_fn *fn, void *owner)
{
    static const char *const keys[] = {"deployments", "daemonsets"};
    AUTO_JSON json_t *seen = json_object();

    for (size_t i = 0; i < COUNT(keys) && applies(facts); i++) {
        const json_t *workloads = json_object_get(facts, keys[i]);

        for (size_t k = 0; k < json_array_size(workloads); k++) {
            const json_t *workload = json_array_get(workloads, k);
            const char *name =
                doc_str(workload, "spec", "template", "spec", "serviceAccountName", NULL);
            struct account account = {.workload = workload,
                                      .namespace = doc_str(workload, "metadata", "namespace", NULL),
                                      .name = *name ? name : "default"};
            enum doctor_role role = doctor_role(workload);

            if (role != DOCTOR_SCHEDULER && role != DOCTOR_PLUGIN)
                continue;
            account.user =
                str_format("system:serviceaccount:%s:%s", account.namespace, account.name);
            account.drivers = drivers_of(facts, workload);
            if (!json_object_get(seen, account.user) &&
                (role == DOCTOR_SCHEDULER || json_array_size(account.drivers) > 0)) {
                doc_set(seen, json_true(), account.user, NULL);
                if (json_object_size(seen) <= ACCOUNTS_MAX)
                    fn(owner, &account);
            }
            account_fini(&account);
        }
    }
    return json_object_size(seen) > ACCOUNTS_MAX ? json_object_size(seen) - ACCOUNTS_MAX : 0;
}

struct asking {
    const json_t *facts;
    json_t *questions;
};

static void ask_next(void *owner, const struct account *account)
{
    struct asking *asking = owner;

    (void)look(asking->facts, asking->questions, account);
}

json_t *doctor_questions(const json_t *facts)
{
    struct asking asking = {facts, json_array()};

    (void)each_account(facts, ask_next, &asking);
    return asking.questions;
}

// --- verdicts

// "update and patch", of those that are set.
static const char *name_verbs(const bool set[COUNT(verbs)])
{
    return set[0] && set[1] ? "update and patch" : set[0] ? verbs[0] : verbs[1];
}

static char *fix_for(const struct account *account, const bool lacks[COUNT(verbs)], bool driver)
{
    AUTO_BUF struct buf fix = buf_make(16384);
    const char *prefix = driver ? "associated-node:" : "", *what = driver ? "driver" : "binding";

    buf_printf(&fix, "kubectl create clusterrole %s-claim-%s --verb=", account->name, what);
    for (size_t i = 0, len = 0; i < COUNT(verbs); i++)
        if (lacks[i])
            buf_printf(&fix, "%s%s%s", len++ ? "," : "", prefix, verbs[i]);
    buf_printf(&fix, " --resource=resourceclaims.resource.k8s.io/%s", what);
    for (size_t i = 0; driver && i < json_array_size(account->drivers); i++)
        buf_printf(&fix, " --resource-name=%.*s",
                   TEXT_CUT(260, json_string_value(json_array_get(account->drivers, i))));
    buf_printf(&fix,
               " && kubectl create clusterrolebinding %s-claim-%s --clusterrole=%s-claim-%s "
               "--serviceaccount=%s:%s",
               account->name, what, account->name, what, account->namespace, account->name);
    return buf_take(&fix);
}

static void judge(void *owner, const struct account *account)
{
    struct examination *e = owner;
    struct may may = look(e->facts, NULL, account);
    bool driver = doctor_role(account->workload) == DOCTOR_PLUGIN;
    bool some = may.lacks[0] || may.lacks[1], way = false;
    AUTO_MEM char *check =
        str_format("rights of %s %s/%s", driver ? "driver" : "scheduler", account->namespace,
                   doc_str(account->workload, "metadata", "name", NULL));
    AUTO_MEM char *fix = some ? fix_for(account, may.lacks, driver) : NULL;
    const char *what = driver ? "resourceclaims/driver" : "resourceclaims/binding";

    for (size_t i = 0; i < COUNT(verbs); i++)
        way = way || (may.status[i] && !may.lacks[i]);
    if (may.open || (!may.status[0] && !may.status[1])) // it writes no status
        return;
    if (!some)
        doctor_find(e, check, DOCTOR_OK, "", "%s may %s resourceclaims/status and %s",
                    account->user, name_verbs(may.status), what);
    else
        doctor_find(e, check, way || driver ? DOCTOR_WARN : DOCTOR_FAIL, fix,
                    "%s may %s resourceclaims/status and not %s, and since 1.36 %s", account->user,
                    name_verbs(may.lacks), what,
                    driver ? "what it says of its devices there is refused"
                    : way  ? "what it allocates that way is refused"
                           : "what it allocates is refused");
}

// Pods wait for a scheduler that is no Deployment, but a static pod, or runs elsewhere.
static void tell_unknown(struct examination *e)
{
    const json_t *pods = doctor_list(e, "pods"), *workloads = doctor_list(e, "deployments");
    AUTO_JSON json_t *told = json_object();

    for (size_t i = 0; i < json_array_size(workloads); i++)
        if (doctor_role(json_array_get(workloads, i)) == DOCTOR_SCHEDULER)
            return; // which of them it is, its name does not say
    for (size_t i = 0; i < json_array_size(pods) && workloads; i++) {
        const char *name = doc_str(json_array_get(pods, i), "spec", "schedulerName", NULL);
        AUTO_MEM char *check = str_format("rights of scheduler %s", name);

        if (!*name || str_eq(name, "default-scheduler") || json_object_get(told, name))
            continue;
        doc_set(told, json_true(), name, NULL);
        doctor_find(e, check, DOCTOR_UNKNOWN,
                    "kubectl auth can-i update resourceclaims.resource.k8s.io "
                    "--subresource=binding -A --as=system:serviceaccount:NAMESPACE:NAME",
                    "no Deployment is a scheduler, so that its account is not known");
    }
}

void doctor_check_rights(struct examination *e)
{
    const char *check = "rights on resourceclaims/binding and resourceclaims/driver";
    AUTO_JSON json_t *open = NULL;
    size_t beyond;

    if (!applies(e->facts))
        return;
    (void)doctor_may_read(e, "rights of schedulers", "deployments");
    (void)doctor_may_read(e, "rights of drivers", "daemonsets");
    tell_unknown(e);
    beyond = each_account(e->facts, judge, e);
    if (beyond > 0)
        doctor_find(e, check, DOCTOR_UNKNOWN, "",
                    "%zu account%s beyond the %d that are asked about", beyond,
                    beyond == 1 ? " is" : "s are", ACCOUNTS_MAX);
    open = doctor_questions(e->facts);
    if (json_array_size(open) > 0 && doctor_may_read(e, check, "access"))
        doctor_find(e, check, DOCTOR_UNKNOWN, "", "%zu questions were not answered",
                    json_array_size(open));
}
