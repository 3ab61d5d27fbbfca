// SPDX-License-Identifier: Apache-2.0
// Whether the driver does its work: its classes are there, its pods run on every node they shall,
// and each of those nodes publishes devices. A ready DaemonSet proves nothing, and slices outlive
// their driver by half a minute: both are looked at.
#include <string.h>

#include "driver_internal.h"

#define STUCK_AFTER_MS 60000

static void say(struct driver_verdict *verdict, enum driver_state state, const char *reason,
                char *take_message)
{
    mem_free(verdict->message);
    *verdict = (struct driver_verdict){state, reason, take_message};
}

static bool is_in(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (str_eq(json_string_value(json_array_get(list, i)), name))
            return true;
    return false;
}

// --- the DaemonSets and their pods

static bool is_plugin(const json_t *set)
{
    return doc_bool(set, false, "plugin", NULL);
}

static int64_t count(const json_t *set, const char *what)
{
    return doc_int(set, 0, "status", what, NULL);
}

static const json_t *find_event(const json_t *facts, const char *object)
{
    const json_t *events = driver_items(facts, "events");

    for (size_t i = json_array_size(events); i > 0; i--)
        if (str_eq(doc_str(json_array_get(events, i - 1), "object", NULL), object))
            return json_array_get(events, i - 1);
    return NULL;
}

static const json_t *find_pod(const json_t *facts, const json_t *set,
                              bool (*wanted)(const json_t *pod))
{
    const json_t *pods = driver_items(facts, "pods");

    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        if (str_eq(doc_str(pod, "owner", NULL), doc_str(set, "uid", NULL)) && wanted(pod))
            return pod;
    }
    return NULL;
}

static bool is_stuck(const json_t *pod)
{
    int64_t created_ms;

    return !doc_bool(pod, true, "initialized", NULL) && *doc_str(pod, "node", NULL) &&
           clock_parse(doc_str(pod, "created", NULL), &created_ms) &&
           clock_wall_ms() - created_ms > STUCK_AFTER_MS;
}

static bool is_not_ready(const json_t *pod)
{
    return !doc_bool(pod, false, "ready", NULL);
}

// True when this set is as it should be.
static bool judge_set(const struct want *want, const json_t *facts, const json_t *set,
                      struct driver_verdict *verdict)
{
    const char *name = doc_str(set, "name", NULL);
    int64_t desired = count(set, "desiredNumberScheduled"),
            current = count(set, "currentNumberScheduled");
    int64_t updated = count(set, "updatedNumberScheduled"),
            available = count(set, "numberAvailable");
    const json_t *event = find_event(facts, name), *pod = find_pod(facts, set, is_stuck);
    const char *hint = doc_str(want->preset, "hint", NULL);

    if (count(set, "observedGeneration") < doc_int(set, 0, "generation", NULL)) {
        say(verdict, DRIVER_FALSE, "DriverNotReady",
            str_format("DaemonSet %s has not been seen to yet", name));
    } else if (current < desired && event) {
        say(verdict, DRIVER_FALSE, "PodsNotCreated",
            str_format("DaemonSet %s: %lld of %lld pods could not be made: %.*s", name,
                       (long long)(desired - current), (long long)desired,
                       TEXT_CUT(500, doc_str(event, "message", NULL))));
    } else if (pod) {
        say(verdict, DRIVER_FALSE, "DriverPodsStuck",
            str_format("Pod %s on %s does not get past its init containers%s%s; see its logs",
                       doc_str(pod, "name", NULL), doc_str(pod, "node", NULL), *hint ? ": " : "",
                       hint));
    } else if (updated < desired || available < desired) {
        pod = find_pod(facts, set, is_not_ready);
        say(verdict, DRIVER_FALSE, "DriverNotReady",
            str_format("DaemonSet %s: %lld of %lld pods are updated and available%s%s%s%s", name,
                       (long long)(updated < available ? updated : available), (long long)desired,
                       pod ? "; " : "", pod ? doc_str(pod, "name", NULL) : "",
                       pod && *doc_str(pod, "waiting", NULL) ? ": " : "",
                       pod ? doc_str(pod, "waiting", NULL) : ""));
    } else {
        return true;
    }
    return false;
}

static char *label_words(const json_t *preset)
{
    const json_t *labels = json_object_get(preset, "nodeLabels");
    AUTO_STRLIST struct strlist words = {0};

    for (size_t i = 0; i < json_array_size(labels); i++)
        strlist_add(&words, json_string_value(json_array_get(labels, i)));
    return strlist_join(&words, ", ");
}

// What may not be looked at is not known to be right.
static bool is_hidden(const struct want *want, const json_t *facts, struct driver_verdict *verdict)
{
    const char *denied = doc_str(facts, "denied", "daemonSets", NULL);

    if (!*denied)
        denied = doc_str(facts, "denied", "pods", NULL);
    if (*denied)
        say(verdict, DRIVER_FALSE, "DriverForbidden",
            str_format("Whether the driver runs in namespace %s cannot be seen%s%s: %s",
                       want->namespace, want->user ? " as " : "", want->user ? want->user : "",
                       denied));
    return *denied;
}

// Sets of the release that are not the plugin, a labeller or a monitor, and lack pods. Owned.
static char *others_text(const json_t *facts)
{
    const json_t *sets = driver_items(facts, "daemonSets");
    AUTO_BUF struct buf text = buf_make(300);

    for (size_t i = 0; i < json_array_size(sets); i++) {
        const json_t *set = json_array_get(sets, i);
        int64_t desired = count(set, "desiredNumberScheduled"),
                available = count(set, "numberAvailable");

        if (!is_plugin(set) && available < desired)
            buf_printf(&text, "; beside it %lld of %lld pods of DaemonSet %s are available",
                       (long long)available, (long long)desired, doc_str(set, "name", NULL));
    }
    return buf_take(&text);
}

static void judge_sets(const struct want *want, const json_t *facts, struct driver_verdict *verdict)
{
    const json_t *sets = driver_items(facts, "daemonSets");
    AUTO_MEM char *others = NULL;
    int64_t desired = 0;
    size_t plugins = 0;

    if (is_hidden(want, facts, verdict))
        return;
    for (size_t i = 0; i < json_array_size(sets); i++) {
        const json_t *set = json_array_get(sets, i);

        if (!is_plugin(set))
            continue;
        if (!judge_set(want, facts, set, verdict))
            return;
        desired += count(set, "desiredNumberScheduled");
        plugins++;
    }
    if (plugins == 0 && want->engine == ENGINE_EXTERNAL) {
        say(verdict, DRIVER_TRUE, "AsExpected",
            str_dup("Somebody else installs the driver; what it publishes is counted"));
        return;
    }
    if (plugins == 0) {
        say(verdict, DRIVER_FALSE, "NoDaemonSet",
            str_format("Release %s in namespace %s has no DaemonSet of a driver, and so nothing "
                       "publishes devices: set the value of the chart that turns its driver on in "
                       "spec.driver.values",
                       want->release, want->namespace));
        return;
    }
    if (desired == 0) {
        AUTO_MEM char *labels = label_words(want->preset);
        const char *nodes = doc_str(want->preset, "nodes", NULL);

        say(verdict, DRIVER_FALSE, "NoMatchingNodes",
            str_format("No node is one that the driver's DaemonSet wants%s%s; label the nodes that "
                       "have devices, or set the chart's node selector",
                       *nodes    ? ": one where "
                       : *labels ? ": it looks for one of the labels "
                                 : "",
                       *nodes ? nodes : labels));
        return;
    }
    others = others_text(facts);
    say(verdict, DRIVER_TRUE, "AsExpected",
        str_format("%lld of %lld pods of the driver are available%s", (long long)desired,
                   (long long)desired, others));
}

// Values that leave nothing of the driver: the chart is installed and publishes nothing. True when
// it is so.
static bool judge_values(const struct want *want, struct driver_verdict *verdict)
{
    AUTO_JSON json_t *drivers = driver_preset_list(want->preset, "drivers", want->values);
    const json_t *first = json_array_get(json_object_get(want->preset, "drivers"), 0);
    const char *value = doc_str(first, "value", NULL);
    AUTO_MEM char *fix = driver_preset_fix(want->preset, value);
    AUTO_MEM char *words = driver_value_name(value);

    if (!first || json_array_size(drivers) > 0)
        return false;
    say(verdict, DRIVER_FALSE, "DriverTurnedOff",
        str_format("The value %s is false, and so the chart publishes no devices of %s; %s", words,
                   doc_str(first, "name", NULL), fix));
    return true;
}

static bool judge_classes(const struct want *want, const json_t *facts,
                          struct driver_verdict *verdict)
{
    AUTO_JSON json_t *wanted = driver_preset_list(want->preset, "classes", want->values);
    const json_t *classes = driver_items(facts, "classes");

    for (size_t i = 0; i < json_array_size(wanted); i++) {
        const char *name = json_string_value(json_array_get(wanted, i));
        bool found = false;

        for (size_t k = 0; k < json_array_size(classes); k++)
            found = found || str_eq(doc_str(json_array_get(classes, k), "name", NULL), name);
        if (found)
            continue;
        say(verdict, DRIVER_FALSE, "DeviceClassMissing",
            str_format("DeviceClass %s is not there, and the chart should have made it", name));
        return false;
    }
    return true;
}

// --- the slices

static const json_t *find_set(const json_t *facts, const char *uid)
{
    const json_t *sets = driver_items(facts, "daemonSets");

    for (size_t i = 0; i < json_array_size(sets); i++) {
        const json_t *set = json_array_get(sets, i);
        if (is_plugin(set) && str_eq(doc_str(set, "uid", NULL), uid))
            return set;
    }
    return NULL;
}

// Nodes where a pod of the driver is, each with whether it was picked for the driver: where the
// chart picks none, nodes without a device have the plugin too. NULL: nobody knows where it runs.
static json_t *plugin_nodes(const struct want *want, const json_t *facts, bool ready)
{
    const json_t *sets = driver_items(facts, "daemonSets"), *pods = driver_items(facts, "pods");
    bool every = doc_bool(want->preset, false, "everyNode", NULL), any = false;
    json_t *nodes;

    for (size_t i = 0; i < json_array_size(sets); i++)
        any = any || is_plugin(json_array_get(sets, i));
    if (!any)
        return NULL;
    nodes = json_object();
    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        const json_t *set = find_set(facts, doc_str(pod, "owner", NULL));
        bool counts =
            ready ? doc_bool(pod, false, "ready", NULL) : !doc_bool(pod, false, "leaving", NULL);
        const char *node = doc_str(pod, "node", NULL);

        if (!counts || !*node || !set)
            continue;
        json_object_set_new(nodes, node,
                            json_boolean(every || doc_bool(set, false, "picksNodes", NULL) ||
                                         json_is_true(json_object_get(nodes, node))));
    }
    return nodes;
}

// name → whether it is Ready. Looked up for each slice of a large cluster, so a map.
static json_t *node_map(const json_t *facts)
{
    const json_t *nodes = driver_items(facts, "nodes");
    json_t *map = json_object();

    for (size_t i = 0; i < json_array_size(nodes); i++)
        json_object_set_new(map, doc_str(json_array_get(nodes, i), "name", NULL),
                            json_boolean(doc_bool(json_array_get(nodes, i), false, "ready", NULL)));
    return map;
}

// The newest generation of each pool: older ones are what a driver has not cleared away yet.
static json_t *newest_generations(const json_t *slices)
{
    json_t *newest = json_object();

    for (size_t i = 0; i < json_array_size(slices); i++) {
        const json_t *slice = json_array_get(slices, i);
        AUTO_MEM char *pool =
            str_format("%s/%s", doc_str(slice, "driver", NULL), doc_str(slice, "pool", NULL));
        int64_t generation = doc_int(slice, 0, "generation", NULL);

        if (generation >= doc_int(newest, 0, pool, NULL))
            json_object_set_new(newest, pool, json_integer((json_int_t)generation));
    }
    return newest;
}

struct tally {
    json_t *by_driver; // name → devices
    json_t *has;       // "driver node" → true
    json_t *known;     // the same of all slices, also of those that do not count
    json_t *nodes;     // name → true
    int64_t slices, devices, ignored;
};

static bool counts(const json_t *slice, const json_t *plugins, const json_t *ready,
                   const json_t *newest)
{
    const char *driver = doc_str(slice, "driver", NULL), *node = doc_str(slice, "node", NULL);
    AUTO_MEM char *pool = str_format("%s/%s", driver, doc_str(slice, "pool", NULL));

    if (doc_int(slice, 0, "generation", NULL) < doc_int(newest, 0, pool, NULL))
        return false;
    if (!*node)
        return true; // of no node alone: network-attached
    return json_is_true(json_object_get(ready, node)) &&
           (!plugins || json_object_get(plugins, node));
}

static void tally_slices(const json_t *facts, const json_t *wanted, const json_t *plugins,
                         struct tally *ret_tally)
{
    const json_t *slices = driver_items(facts, "slices");
    AUTO_JSON json_t *ready = node_map(facts);
    AUTO_JSON json_t *newest = newest_generations(slices);
    struct tally tally = {.by_driver = json_object(),
                          .has = json_object(),
                          .known = json_object(),
                          .nodes = json_object()};

    for (size_t i = 0; i < json_array_size(slices); i++) {
        const json_t *slice = json_array_get(slices, i);
        const char *driver = doc_str(slice, "driver", NULL), *node = doc_str(slice, "node", NULL);
        AUTO_MEM char *both = str_format("%s %s", driver, node);
        int64_t devices = doc_int(slice, 0, "devices", NULL);

        if (json_array_size(wanted) > 0 && !is_in(wanted, driver))
            continue;
        json_object_set_new(tally.known, both, json_true());
        if (!counts(slice, plugins, ready, newest)) {
            tally.ignored++;
            continue;
        }
        tally.slices++;
        tally.devices += devices;
        json_object_set_new(
            tally.by_driver, driver,
            json_integer((json_int_t)(doc_int(tally.by_driver, 0, driver, NULL) + devices)));
        json_object_set_new(tally.has, both, json_true());
        if (*node)
            json_object_set_new(tally.nodes, node, json_true());
    }
    *ret_tally = tally;
}

static void tally_fini(struct tally *tally)
{
    json_decref(tally->by_driver);
    json_decref(tally->has);
    json_decref(tally->known);
    json_decref(tally->nodes);
}

// The driver that publishes nothing that counts on a node; NULL: all do. expected false: only one
// that has published there is missed.
static const char *silent_on(const struct tally *tally, const json_t *wanted, const char *node,
                             bool expected)
{
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        const char *driver = json_string_value(json_array_get(wanted, i));
        AUTO_MEM char *both = str_format("%s %s", driver, node);

        if (!json_object_get(tally->has, both) && (expected || json_object_get(tally->known, both)))
            return driver;
    }
    return json_array_size(wanted) == 0 && expected && !json_object_get(tally->nodes, node) ? ""
                                                                                            : NULL;
}

// Nodes that the driver is for and that publish nothing that counts, also those that are away or
// whose driver is not ready: "node-1 (gpu.example.com), ...". ret_idle: nodes that nobody picked
// and that have nothing.
static size_t find_silent(const struct tally *tally, const json_t *wanted, json_t *plugins,
                          struct buf *text, size_t *ret_idle)
{
    const char *node;
    json_t *picked;
    size_t len = 0;

    *ret_idle = 0;
    json_object_foreach(plugins, node, picked) {
        const char *silent = silent_on(tally, wanted, node, json_is_true(picked));

        if (!silent && !json_object_get(tally->nodes, node))
            ++*ret_idle;
        if (silent && len++ < 3)
            buf_printf(text, *silent ? "%s%s (%s)" : "%s%s", text->len ? ", " : "", node, silent);
    }
    return len;
}

static char *tally_text(const struct tally *tally)
{
    AUTO_BUF struct buf text = buf_make(700);
    const char *driver;
    json_t *devices;

    buf_printf(
        &text, "%lld device%s in %lld ResourceSlice%s on %zu node%s:", (long long)tally->devices,
        tally->devices == 1 ? "" : "s", (long long)tally->slices, tally->slices == 1 ? "" : "s",
        json_object_size(tally->nodes), json_object_size(tally->nodes) == 1 ? "" : "s");
    json_object_foreach(tally->by_driver, driver, devices) {
        buf_printf(&text, " %s %lld", driver, (long long)json_integer_value(devices));
    }
    if (tally->ignored)
        buf_printf(&text,
                   "; not counted: %lld slices of drivers or nodes that are gone or not ready",
                   (long long)tally->ignored);
    return buf_take(&text);
}

// Why there is no device at all. Owned.
static char *nothing_text(const struct want *want, const struct tally *tally,
                          const json_t *all_plugins, size_t silent_len, const struct buf *silent)
{
    const char *hint = doc_str(want->preset, "devicesHint", NULL);
    const char *more = "";

    if (tally->ignored)
        more = "; slices of drivers or nodes that are gone or not ready are not counted";
    else if (json_object_size(all_plugins) > 0)
        more = "; see the logs of the driver's pods";
    else if (want->engine != ENGINE_EXTERNAL)
        more = ": no pod of the driver is there, see DriverReady";
    return str_format("No device is published%s%.*s%s%s%s", silent_len ? " by " : "",
                      TEXT_CUT(300, silent_len ? silent->ptr : ""), more, *hint ? "; " : "", hint);
}

static void judge_devices(const struct want *want, const json_t *facts, struct readiness *readiness)
{
    AUTO_JSON json_t *wanted = driver_preset_list(want->preset, "drivers", want->values);
    AUTO_JSON json_t *plugins = plugin_nodes(want, facts, true);
    AUTO_JSON json_t *all_plugins = plugin_nodes(want, facts, false);
    AUTO_JSON json_t *drivers = json_array();
    AUTO_BUF struct buf silent = buf_make(300);
    struct tally tally;
    AUTO_MEM char *all = NULL;
    const char *driver;
    json_t *devices;
    size_t len, idle;

    tally_slices(facts, wanted, plugins, &tally);
    len = find_silent(&tally, wanted, all_plugins, &silent, &idle);
    all = tally_text(&tally);
    if (tally.devices == 0)
        say(&readiness->devices, DRIVER_FALSE, "NoResourceSlices",
            nothing_text(want, &tally, all_plugins, len, &silent));
    else if (len > 0)
        say(&readiness->devices, DRIVER_FALSE, "DevicesIncomplete",
            str_format("%zu nodes with the driver publish nothing: %.*s; %s", len,
                       TEXT_CUT(300, silent.ptr), all));
    else if (idle > 0)
        say(&readiness->devices, DRIVER_TRUE, "AsExpected",
            str_format("%s; the chart picks no nodes, and %zu more run the driver and publish "
                       "nothing: set its node selector if they should",
                       all, idle));
    else
        say(&readiness->devices, DRIVER_TRUE, "AsExpected", str_dup(all));
    json_object_foreach(tally.by_driver, driver, devices) {
        json_array_append_new(drivers, doc_string(driver));
    }
    readiness->status_devices = json_pack(
        "{s:O, s:I, s:I, s:I}", "drivers", drivers, "resourceSlices", (json_int_t)tally.slices,
        "devices", (json_int_t)tally.devices, "nodes", (json_int_t)json_object_size(tally.nodes));
    tally_fini(&tally);
}

// Nothing of the driver is turned on: what others publish is not its.
static void judge_none(struct readiness *readiness)
{
    say(&readiness->devices, DRIVER_FALSE, "NoResourceSlices",
        str_dup("The values turn off all that the driver publishes; see DriverReady"));
    readiness->status_devices = json_pack("{s:[], s:i, s:i, s:i}", "drivers", "resourceSlices", 0,
                                          "devices", 0, "nodes", 0);
}

// What we may not look at ourselves: in another cluster that is its administrator's to say.
static bool is_hidden_from_us(const json_t *facts, struct readiness *readiness)
{
    static const char *const keys[] = {"classes", "slices", "nodes"};

    for (size_t i = 0; i < COUNT(keys); i++) {
        const char *denied = doc_str(facts, "denied", keys[i], NULL);

        if (!*denied)
            continue;
        say(&readiness->ready, DRIVER_FALSE, "DriverForbidden",
            str_format("Whether the driver publishes devices cannot be seen: %s", denied));
        say(&readiness->devices, DRIVER_FALSE, "Forbidden",
            str_format("Devices cannot be seen: %s", denied));
        return true;
    }
    return false;
}

void driver_ready_judge(const struct want *want, const json_t *facts,
                        struct readiness *ret_readiness)
{
    struct readiness readiness = {0};

    if (judge_values(want, &readiness.ready)) {
        judge_none(&readiness);
    } else if (!is_hidden_from_us(facts, &readiness)) {
        if (judge_classes(want, facts, &readiness.ready))
            judge_sets(want, facts, &readiness.ready);
        judge_devices(want, facts, &readiness);
    }
    readiness.look_soon =
        readiness.ready.state != DRIVER_TRUE || readiness.devices.state != DRIVER_TRUE;
    *ret_readiness = readiness;
}

// --- claims

char *driver_claims_text(const json_t *facts, const json_t *drivers, size_t *ret_len)
{
    const json_t *claims = driver_items(facts, "claims");
    AUTO_BUF struct buf text = buf_make(600);
    size_t len = 0;

    for (size_t i = 0; i < json_array_size(claims); i++) {
        const json_t *claim = json_array_get(claims, i), *used = json_object_get(claim, "drivers");
        bool ours = !drivers;

        for (size_t k = 0; k < json_array_size(used); k++)
            ours = ours || is_in(drivers, json_string_value(json_array_get(used, k)));
        if (!ours || !doc_bool(claim, false, "allocated", NULL) || json_object_get(claim, "smoke"))
            continue;
        if (len++ < 8)
            buf_printf(&text, "%s%s/%s", text.len ? ", " : "", doc_str(claim, "namespace", NULL),
                       doc_str(claim, "name", NULL));
    }
    if (len > 8)
        buf_printf(&text, " and %zu more", len - 8);
    *ret_len = len;
    return buf_take(&text);
}
