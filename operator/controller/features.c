// SPDX-License-Identifier: Apache-2.0
// status.features: what has become of each feature that the spec names, and what proves it.
#include <string.h>

#include "controller_internal.h"

#define NAMED_MAX 4 // components in one message; of more there are three dots

// One feature on what was observed.
struct look {
    const struct pass *pass;
    const struct gates_table *table;
    const char *name;
    json_t *needs; // of the minor that was looked at last: thousands of instances have the same
    int needs_minor;
    unsigned on, off, unknown; // gates of the feature on components that read them
    bool by_default;           // all of these are on by themselves
    bool there;                // some API server's version has it
    struct strlist says;       // components that say that they have it
    struct strlist gates;      // which gates they say to be on
    struct strlist apis;       // served versions that it is used in
    char *missing;             // the first thing that is not as it should be
};

static void look_fini(struct look *look)
{
    json_decref(look->needs);
    strlist_fini(&look->says);
    strlist_fini(&look->gates);
    strlist_fini(&look->apis);
    mem_free(look->missing);
}
#define AUTO_LOOK CLEANUP(look_fini)

static struct version acts_as(const struct plan_instance *instance)
{
    bool emulates = instance->emulated.major &&
                    version_compare_minor(instance->emulated, instance->version) < 0;

    return emulates ? instance->emulated : instance->version;
}

static void add_once(struct strlist *list, const char *text)
{
    if (!strlist_has(list, text))
        strlist_add(list, text);
}

static void miss(struct look *look, char *take_text)
{
    if (look->missing)
        mem_free(take_text);
    else
        look->missing = take_text;
}

static void look_at_gate(struct look *look, const struct plan_instance *instance, const char *name,
                         const struct gate *gate)
{
    const json_t *enabled = json_object_get(instance->reported, "enabled");
    const json_t *now = json_object_get(enabled, name);

    look->by_default = look->by_default && gate->value;
    if (!enabled) {
        look->unknown++;
        miss(look, str_format("%s does not say", instance->id));
    } else if (json_is_true(now)) {
        look->on++;
        add_once(&look->says, component_name(instance->component));
        add_once(&look->gates, name);
    } else {
        look->off++;
        miss(look, str_format("%s reports %s off", instance->id, name));
    }
}

static const json_t *needs_of(struct look *look, struct version version)
{
    if (!look->needs || look->needs_minor != version.minor) {
        json_decref(look->needs);
        look->needs = gates_feature_needs(look->table, look->name, version);
        look->needs_minor = version.minor;
    }
    return look->needs;
}

static void look_at_instance(struct look *look, const struct plan_instance *instance)
{
    struct version version = acts_as(instance);
    const json_t *names = needs_of(look, version);

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        struct gate gate;

        if (gates_find(look->table, name, version, &gate) &&
            (gate.components == 0 || (gate.components & (1u << instance->component)) != 0))
            look_at_gate(look, instance, name, &gate);
    }
}

// Discovery tells of resource.k8s.io alone.
static void look_at_apis(struct look *look, struct version server)
{
    static const char group[] = "resource.k8s.io/";
    const struct platform_observed *observed = look->pass->observed;
    struct feature feature;

    if (!gates_feature_find(look->table, look->name, server, &feature))
        return;
    look->there = true;
    for (size_t i = 0; feature.apis[i] && !observed->api_unread; i++) {
        const char *version = feature.apis[i] + strlen(group);
        bool served = false;

        if (!str_starts(feature.apis[i], group))
            continue;
        for (size_t s = 0; s < json_array_size(observed->served); s++)
            served =
                served || str_eq(json_string_value(json_array_get(observed->served, s)), version);
        if (served)
            add_once(&look->apis, feature.apis[i]);
        else
            look->off++;
        if (!served)
            miss(look, str_format("%s is not served", feature.apis[i]));
    }
}

static void look_around(struct look *look)
{
    const struct platform_observed *observed = look->pass->observed;

    for (size_t i = 0; i < observed->len; i++) {
        const struct plan_instance *instance = &observed->instances[i];

        if (!instance->object && instance->version.major)
            look_at_instance(look, instance);
    }
    look_at_apis(look,
                 observed->server_emulated.major ? observed->server_emulated : observed->server);
}

static char *some_of(struct strlist *list)
{
    AUTO_BUF struct buf text = buf_make(1024);

    strlist_sort(list);
    for (size_t i = 0; i < list->len && i < NAMED_MAX; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", list->items[i]);
    if (list->len > NAMED_MAX)
        buf_add_str(&text, ", ...");
    return buf_take(&text);
}

static char *proof(struct look *look)
{
    AUTO_MEM char *says = some_of(&look->says);
    AUTO_MEM char *gates = some_of(&look->gates);
    AUTO_MEM char *apis = some_of(&look->apis);
    AUTO_BUF struct buf text = buf_make(4096);

    if (*says)
        buf_printf(&text, "%s on, as %s report%s", gates, says, look->says.len == 1 ? "s" : "");
    if (*apis)
        buf_printf(&text, "%s%s served", text.len ? "; " : "", apis);
    if (look->unknown)
        buf_printf(&text, "%s%s", text.len ? "; " : "", look->missing);
    if (!text.len)
        buf_add_str(&text, "No component that reads its feature gates is there to be asked");
    return buf_take(&text);
}

static const struct gates_refusal *refusal_of(const struct pass *pass, const char *name)
{
    for (size_t i = 0; pass->resolved && i < pass->resolution.refusals_len; i++) {
        const struct gates_refusal *refusal = &pass->resolution.refusals[i];

        if ((refusal->kind == REFUSAL_FEATURE_UNKNOWN ||
             refusal->kind == REFUSAL_FEATURE_UNAVAILABLE) &&
            str_eq(refusal->subject, name))
            return refusal;
    }
    return NULL;
}

static bool is_under_way(const struct pass *pass)
{
    return pass_writes(pass) && pass->planned && !pass->plan.complete && !pass->intent.rolled_back;
}

static const char *state_of(const struct look *look)
{
    if (look->off)
        return is_under_way(look->pass) ? "RollingOut" : "Off";
    if (!look->on && (look->unknown || !look->apis.len))
        return "Unknown";
    if (look->unknown && is_under_way(look->pass))
        return "RollingOut";
    return look->by_default ? "Default" : "On";
}

static json_t *make_feature(const struct pass *pass, const char *name)
{
    const struct gates_table *table = pass->controller->spec.table;
    const struct gates_refusal *refusal = refusal_of(pass, name);
    AUTO_LOOK struct look look = {.pass = pass, .table = table, .name = name, .by_default = true};
    AUTO_MEM char *message = NULL;
    json_t *made = json_object();
    struct version since;

    json_object_set_new(made, "name", doc_string(name));
    if (gates_feature_default_since(table, name, &since)) {
        AUTO_MEM char *minor = version_format_minor(since);
        json_object_set_new(made, "defaultSince", doc_string(minor));
    }
    if (!refusal)
        look_around(&look);
    if (refusal)
        message = str_dup(refusal->message);
    else if (look.off)
        message = TAKE(look.missing);
    else
        message = proof(&look);
    json_object_set_new(made, "state",
                        doc_string(refusal || !look.there ? "Unavailable" : state_of(&look)));
    if (*message)
        json_object_set_new(made, "message", doc_string_of(slice_of(message), 1024));
    return made;
}

void report_put_features(const struct pass *pass, json_t *status)
{
    json_t *list;

    if (!json_array_size(pass->config.features))
        return;
    list = json_array();
    for (size_t i = 0; i < json_array_size(pass->config.features); i++) {
        const char *name = json_string_value(json_array_get(pass->config.features, i));
        json_array_append_new(list, make_feature(pass, name));
    }
    json_object_set_new(status, "features", list);
}
