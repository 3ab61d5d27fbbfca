// SPDX-License-Identifier: Apache-2.0
// What a ClusterClass makes of variables: which of them is the whole value of a flag. Its patches
// have templates of any form, of which a few are understood; of the others it is told that they
// are there, and nothing is written that leads there.
#include <string.h>

#include "capi_internal.h"

// Stands in for a variable's value, with all that a value can have.
#define STAND_IN "StandIn=true,StandInToo=false"
#define PATCHES_MAX 1000 // Cluster API 1.14, ClusterClassSpec.patches
#define SEGMENTS_MAX 16
#define WORKER_CLASSES_MAX 10000 // of all patches; those beyond are not its variable's

const char *const capi_flags[SITE_KINDS] = {"feature-gates", "runtime-config"};

// --- templates -----------------------------------------------------------------------------------

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static char *without_spaces(struct slice text)
{
    AUTO_MEM char *all = slice_dup(text);
    size_t len = 0;

    for (const char *at = all; *at; at++) {
        if (*at != ' ' && *at != '\n' && *at != '\t' && *at != '\r')
            all[len++] = *at;
    }
    all[len] = '\0';
    return TAKE(all);
}

// The name of ".NAME" or ".NAME|quote", which is all that an action may be. Owned; NULL: it is
// something else.
static char *name_of_action(struct slice action, bool *ret_quoted)
{
    AUTO_MEM char *text = without_spaces(action);
    size_t len = 1;

    while (*text == '.' && is_word(text[len]))
        len++;
    *ret_quoted = str_eq(text + (*text ? len : 0), "|quote");
    if (len == 1 || (text[len] && !*ret_quoted))
        return NULL;
    return slice_dup(slice_sub(slice_of(text), 1, len));
}

// The YAML that the template is with the stand-in for its one variable. NULL: it is no such
// template.
static json_t *render(const char *template, char **ret_name)
{
    const char *from = strstr(template, "{{"), *to = from ? strstr(from, "}}") : NULL;
    AUTO_MEM char *name = NULL;
    AUTO_MEM char *text = NULL;
    json_t *value = NULL;
    bool quoted;

    if (!to || strstr(to, "{{"))
        return NULL;
    name = name_of_action(slice_sub(slice_of(from), 2, (size_t)(to - from)), &quoted);
    if (!name || str_eq(name, "builtin"))
        return NULL;
    text = str_format("%.*s%s%s%s%s", (int)(from - template), template, quoted ? "\"" : "",
                      STAND_IN, quoted ? "\"" : "", to + 2);
    error_ignore(doc_parse_yaml(slice_of(text), "template", &value), "it is none that is known");
    if (value)
        *ret_name = TAKE(name);
    return value;
}

// Whether the patch is there whenever the variable says something.
static bool is_enabled_by(const char *template, const char *name)
{
    static const char *const forms[] = {"{{if.%s}}true{{end}}", "{{ifne.%s\"\"}}true{{end}}",
                                        "{{ne.%s\"\"}}"};
    AUTO_MEM char *text = without_spaces(slice_of(template));
    bool found = !*text;

    for (size_t i = 0; !found && i < COUNT(forms); i++) {
        const char *mark = strstr(forms[i], "%s");
        AUTO_MEM char *form =
            str_format("%.*s%s%s", (int)(mark - forms[i]), forms[i], name, mark + 2);

        found = str_eq(text, form);
    }
    return found;
}

// --- patches -------------------------------------------------------------------------------------

// The value where a JSON pointer puts it. NULL: a form that is not known.
static json_t *put_at(const char *path, json_t *take_value)
{
    struct slice segments[SEGMENTS_MAX], rest = slice_of(path), segment;
    AUTO_JSON json_t *value = take_value;
    size_t len = 0;

    if (*path == '/')
        rest = slice_sub(rest, 1, rest.len);
    while (rest.len > 0 && len < SEGMENTS_MAX) {
        slice_cut(&rest, '/', &segment);
        segments[len++] = segment;
    }
    if (rest.len > 0 || strchr(path, '~'))
        return NULL;
    while (len > 0) {
        AUTO_MEM char *name = slice_dup(segments[--len]);
        bool item = str_eq(name, "-") || strspn(name, "0123456789") == strlen(name);
        json_t *above = item ? json_array() : json_object();

        if (item)
            json_array_append(above, value);
        else
            json_object_set(above, name, value);
        json_decref(value);
        value = above;
    }
    return TAKE(value);
}

struct scan {
    struct platform_capi *capi;
    const json_t *class;
    const json_t *patch, *definition;
    json_t *unclear; // {patch name: true}: it says something of a flag that is not understood
    json_t *uses;    // [text]: what may lead a variable elsewhere than to a flag's whole value
    bool carried;    // the JSON patch that is looked at does just that
};

static void note_unclear(struct scan *s)
{
    json_object_set_new(s->unclear, doc_str(s->patch, "name", NULL), json_true());
}

static void add_worker_classes(const struct scan *s)
{
    const json_t *names = doc_get(s->definition, "selector", "matchResources",
                                  "machineDeploymentClass", "names", NULL);

    for (size_t i = 0; i < json_array_size(names) &&
                       json_array_size(s->capi->worker_classes) < WORKER_CLASSES_MAX;
         i++)
        json_array_append(s->capi->worker_classes, json_array_get(names, i));
}

// One more place that the variable is the value of.
static void note_carried(struct scan *s, enum capi_place place, size_t way, size_t flag,
                         const char *name)
{
    struct capi_carried *carried = &s->capi->carried[place];

    if (!is_enabled_by(doc_str(s->patch, "enabledIf", NULL), name) ||
        (carried->variables[flag] && !str_eq(carried->variables[flag], name))) {
        note_unclear(s);
        carried->unclear = true;
        return;
    }
    if (!carried->variables[flag])
        carried->variables[flag] = str_dup(name);
    s->carried = true;
    carried->init = carried->init || way == CAPI_WAY_KUBELET_INIT;
    carried->join = carried->join || way == CAPI_WAY_KUBELET;
    if (place == CAPI_PLACE_WORKERS)
        add_worker_classes(s);
}

// The value of a patch, as it stands in an object.
static void look_at(struct scan *s, bool workers, const json_t *base, const char *name)
{
    for (size_t way = workers ? CAPI_WAY_KUBELET : 0;
         way < (workers ? CAPI_WAY_KUBELET + 1 : CAPI_WAYS); way++) {
        const char *const *path = capi_ways[way].path;
        const json_t *args = doc_get(base, path[0], path[1], path[2], NULL);

        for (size_t flag = 0; flag < SITE_KINDS; flag++) {
            const char *value = capi_arg(args, capi_flags[flag]);

            if (!value)
                continue;
            if (name && str_eq(value, STAND_IN))
                note_carried(s,
                             workers                   ? CAPI_PLACE_WORKERS
                             : way >= CAPI_WAY_KUBELET ? CAPI_PLACE_KUBELETS
                                                       : (enum capi_place)way,
                             way, flag, name);
            else
                note_unclear(s);
        }
    }
}

// Whether a template that is not understood says something of a flag.
static void look_for_words(struct scan *s, const json_t *json_patch)
{
    AUTO_MEM char *text = doc_print_json(json_patch);

    for (size_t i = 0; i < COUNT(capi_flags); i++) {
        if (strstr(text, capi_flags[i]))
            note_unclear(s);
    }
}

static void scan_json_patch(struct scan *s, bool workers, const json_t *json_patch)
{
    const char *prefix = workers ? "/spec/template/spec" : "/spec/template/spec/kubeadmConfigSpec";
    const char *path = doc_str(json_patch, "path", NULL),
               *variable = doc_str(json_patch, "valueFrom", "variable", NULL),
               *template = doc_str(json_patch, "valueFrom", "template", NULL);
    AUTO_MEM char *name = NULL;
    AUTO_JSON json_t *value = NULL;
    AUTO_JSON json_t *base = NULL;

    if (!str_starts(path, prefix))
        return;
    if (json_object_get(json_patch, "value")) {
        value = doc_copy(json_object_get(json_patch, "value"));
    } else if (*template) {
        value = render(template, &name);
    } else if (*variable && strspn(variable, "_0123456789abcdefghijklmnopqrstuvwxyz"
                                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(variable)) {
        value = doc_string(STAND_IN);
        name = str_dup(variable);
    }
    base = value ? put_at(path + strlen(prefix), json_incref(value)) : NULL;
    if (base)
        look_at(s, workers, base, name);
    else
        look_for_words(s, json_patch);
}

// A patch that a variable turns on, or that has it as a value.
static void note_uses(const struct scan *s, const json_t *json_patch)
{
    const char *variable = doc_str(json_patch, "valueFrom", "variable", NULL);
    AUTO_MEM char *text = str_format(".%s", variable);

    json_array_append_new(s->uses, doc_string(text));
    json_array_append_new(s->uses, doc_string(doc_str(json_patch, "valueFrom", "template", NULL)));
    json_array_append_new(s->uses, doc_string(doc_str(s->patch, "enabledIf", NULL)));
}

// MachinePools that are not there get nothing.
static bool reaches_pools(const struct scan *s)
{
    const json_t *pools =
        doc_get(s->capi->cluster, "spec", "topology", "workers", "machinePools", NULL);

    return json_array_size(pools) > 0 &&
           doc_get(s->definition, "selector", "matchResources", "machinePoolClass", "names", NULL);
}

static bool is_of_pools_alone(const json_t *selector)
{
    const json_t *resources = json_object_get(selector, "matchResources");

    return json_object_get(resources, "machinePoolClass") &&
           !json_object_get(resources, "machineDeploymentClass") &&
           !doc_bool(resources, false, "controlPlane", NULL) &&
           !doc_bool(resources, false, "infrastructureCluster", NULL);
}

static void scan_definition(struct scan *s)
{
    const json_t *selector = json_object_get(s->definition, "selector"),
                 *patches = json_object_get(s->definition, "jsonPatches");
    const char *kind = doc_str(selector, "kind", NULL);
    bool control_plane = str_eq(kind, "KubeadmControlPlaneTemplate") &&
                         doc_bool(selector, false, "matchResources", "controlPlane", NULL);
    bool workers = str_eq(kind, "KubeadmConfigTemplate") &&
                   doc_get(selector, "matchResources", "machineDeploymentClass", "names", NULL);

    for (size_t i = 0; i < json_array_size(patches); i++) {
        s->carried = false;
        if (control_plane || workers)
            scan_json_patch(s, workers, json_array_get(patches, i));
        if (reaches_pools(s) || (!s->carried && !is_of_pools_alone(selector)))
            note_uses(s, json_array_get(patches, i));
    }
}

// --- variables -----------------------------------------------------------------------------------

const json_t *capi_variable(const json_t *cluster, const char *name)
{
    const json_t *variables = doc_get(cluster, "spec", "topology", "variables", NULL);

    for (size_t i = 0; i < json_array_size(variables); i++) {
        const json_t *variable = json_array_get(variables, i);

        if (str_eq(doc_str(variable, "name", NULL), name))
            return variable;
    }
    return NULL;
}

static bool is_string_variable(const json_t *class, const char *name)
{
    const json_t *variables = doc_get(class, "spec", "variables", NULL);

    for (size_t i = 0; i < json_array_size(variables); i++) {
        const json_t *variable = json_array_get(variables, i);

        if (str_eq(doc_str(variable, "name", NULL), name))
            return str_eq(doc_str(variable, "schema", "openAPIV3Schema", "type", NULL), "string");
    }
    return false;
}

// A part of the topology has a value of its own.
static bool is_overridden(const json_t *cluster, const char *name)
{
    const json_t *topology = doc_get(cluster, "spec", "topology", NULL);
    AUTO_MEM char *control_plane = NULL;
    AUTO_MEM char *workers = NULL;
    AUTO_MEM char *word = str_format("\"%s\"", name);
    const json_t *overrides[] = {doc_get(topology, "controlPlane", "variables", NULL),
                                 doc_get(topology, "workers", NULL)};

    for (size_t i = 0; i < COUNT(overrides); i++) {
        AUTO_MEM char *text = overrides[i] ? doc_print_json(overrides[i]) : NULL;

        if (text && strstr(text, word))
            return true;
    }
    return false;
}

static bool is_shared(const struct platform_capi *capi, size_t place, const char *name)
{
    for (size_t i = 0; i < CAPI_PLACES; i++) {
        for (size_t k = 0; i != place && k < SITE_KINDS; k++) {
            if (str_eq(capi->carried[i].variables[k], name))
                return true;
        }
    }
    return capi->carried[place].variables[0] && capi->carried[place].variables[1] &&
           str_eq(capi->carried[place].variables[0], capi->carried[place].variables[1]);
}

// Whether a template says ".NAME", "$.NAME" or "index . \"NAME\"" somewhere.
static bool says_variable(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
        bool field = at > text && at[-1] == '.' && (at - text < 2 || !is_word(at[-2]));
        bool quoted = at > text && (at[-1] == '"' || at[-1] == '`');

        if ((field || quoted) && !is_word(at[len]))
            return true;
    }
    return false;
}

static bool is_used_elsewhere(const struct scan *s, const char *name)
{
    for (size_t i = 0; i < json_array_size(s->uses); i++) {
        if (says_variable(json_string_value(json_array_get(s->uses, i)), name))
            return true;
    }
    return false;
}

// Why the variables of a place are not written; NULL: they are. Owned.
static char *check_place(const struct scan *s, size_t place)
{
    const struct platform_capi *capi = s->capi;
    const json_t *class = s->class;
    const struct capi_carried *carried = &capi->carried[place];

    if (carried->unclear)
        return str_dup("more than one of them, or on conditions that are not understood");
    if (place == CAPI_PLACE_KUBELETS && !(carried->init && carried->join))
        return str_dup("not the same for the first control plane Machine and for the others");
    for (size_t i = 0; i < SITE_KINDS; i++) {
        const char *name = carried->variables[i];
        const json_t *variable = name ? capi_variable(capi->cluster, name) : NULL;

        if (name && (!is_string_variable(class, name) ||
                     (variable && !json_is_string(json_object_get(variable, "value")))))
            return str_format("%s is no string", name);
        if (name && is_shared(capi, place, name))
            return str_format("%s is the value of another flag too", name);
        if (name && is_overridden(capi->cluster, name))
            return str_format("%s is overridden for a part of the topology", name);
        if (name && is_used_elsewhere(s, name))
            return str_format("%s is for something else too", name);
    }
    return NULL;
}

void capi_carried_fini(struct capi_carried *carried)
{
    for (size_t i = 0; i < SITE_KINDS; i++)
        mem_free(carried->variables[i]);
    *carried = (struct capi_carried){0};
}

static void check_places(const struct scan *s)
{
    struct platform_capi *capi = s->capi;

    for (size_t i = 0; i < CAPI_PLACES; i++) {
        struct capi_carried *carried = &capi->carried[i];
        AUTO_MEM char *why = check_place(s, i);
        bool any = carried->variables[0] || carried->variables[1];

        if (any && why) {
            AUTO_MEM char *note = str_format(
                "variables of ClusterClass %s for %s are not used (%s)",
                doc_str(s->class, "metadata", "name", NULL),
                i < CAPI_PLACE_KUBELETS ? component_name(capi_ways[i].component) : "kubelets", why);

            capi_add_note(capi, note);
        }
        // Without the feature gates a variable is of no use here.
        if (why || !carried->variables[0])
            carried->unclear = true;
    }
    for (size_t i = 0; i < CAPI_PLACES; i++) {
        if (capi->carried[i].unclear)
            capi_carried_fini(&capi->carried[i]);
        for (size_t k = 0; k < SITE_KINDS; k++)
            capi->known[i].variables[k] =
                capi->carried[i].variables[k] ? str_dup(capi->carried[i].variables[k]) : NULL;
    }
}

static void say_unclear(const struct scan *s)
{
    AUTO_STRLIST struct strlist names = {0};
    AUTO_MEM char *list = NULL;
    AUTO_MEM char *note = NULL;
    const char *name;
    json_t *value;

    json_object_foreach(s->unclear, name, value) {
        if (names.len < CAPI_NAMES_SAID_MAX)
            strlist_add(&names, name);
    }
    if (names.len == 0)
        return;
    list = strlist_join(&names, ", ");
    note = str_format("ClusterClass %s sets flags by patches that are not a variable's whole value "
                      "(%s); nothing is written there",
                      doc_str(s->class, "metadata", "name", NULL), list);
    capi_add_note(s->capi, note);
}

void capi_class_read(struct platform_capi *capi, const json_t *class)
{
    AUTO_JSON json_t *unclear = json_object();
    AUTO_JSON json_t *uses = json_array();
    struct scan s = {.capi = capi, .class = class, .unclear = unclear, .uses = uses};
    const json_t *patches = doc_get(class, "spec", "patches", NULL);

    for (size_t i = 0; i < json_array_size(patches) && i < PATCHES_MAX; i++) {
        const json_t *definitions;

        s.patch = json_array_get(patches, i);
        definitions = json_object_get(s.patch, "definitions");
        for (size_t k = 0; k < json_array_size(definitions); k++) {
            s.definition = json_array_get(definitions, k);
            scan_definition(&s);
        }
    }
    capi->class = json_incref((json_t *)(uintptr_t)class);
    check_places(&s);
    say_unclear(&s);
}

// Cluster API 1.14.2, core/reconcilers/topology/cluster/patches/inline: "*", "*END" and "BEGIN*".
static bool is_class(const char *known, const char *class)
{
    size_t len = strlen(known), all = strlen(class);

    if (str_eq(known, class))
        return true;
    if (len == 0 || all < len - 1)
        return false;
    return (known[0] == '*' && str_eq(class + all - (len - 1), known + 1)) ||
           (known[len - 1] == '*' && strncmp(class, known, len - 1) == 0);
}

bool capi_class_covers(const struct platform_capi *capi, const json_t *deployment)
{
    const json_t *all =
        doc_get(capi->cluster, "spec", "topology", "workers", "machineDeployments", NULL);
    const char *name = doc_str(deployment, "metadata", "labels", CAPI_TOPOLOGY_DEPLOYMENT, NULL);
    const char *class = "";

    for (size_t i = 0; i < json_array_size(all); i++) {
        if (str_eq(doc_str(json_array_get(all, i), "name", NULL), name))
            class = doc_str(json_array_get(all, i), "class", NULL);
    }
    for (size_t i = 0; *class && i < json_array_size(capi->worker_classes); i++) {
        const char *known = json_string_value(json_array_get(capi->worker_classes, i));

        if (known && is_class(known, class))
            return capi->carried[CAPI_PLACE_WORKERS].variables[0] != NULL;
    }
    return false;
}
