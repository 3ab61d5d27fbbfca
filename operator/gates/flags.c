// SPDX-License-Identifier: Apache-2.0
// What an argument vector says of feature gates and API versions, as the component itself would
// read it.
#include "argv_internal.h"

#include <string.h>

void gates_flags_fini(struct gates_flags *flags)
{
    json_decref(flags->feature_gates);
    json_decref(flags->runtime_config);
    *flags = (struct gates_flags){0};
}

static struct error *bad_entry(const char *flag, struct slice text, const char *what)
{
    return error_new(ERROR_INVALID, "--%s: \"%.*s\" %s", flag, (int)text.len, text.ptr, what);
}

static struct error *missing_value(const char *flag)
{
    return error_new(ERROR_INVALID, "--%s has no value", flag);
}

static struct error *put(json_t *map, const char *flag, struct slice name, json_t *take_value)
{
    if (json_object_size(map) >= GATES_ENTRIES_MAX) {
        json_decref(take_value);
        return error_new(ERROR_LIMIT, "--%s has more than %d entries", flag, GATES_ENTRIES_MAX);
    }
    AUTO_MEM char *key = slice_dup(name);
    if (json_object_set_new(map, key, take_value) != 0)
        return bad_entry(flag, name, "is not UTF-8");
    return NULL;
}

// prefixed, bare: whether such an entry was seen; the control-plane components refuse a mix.
static struct error *read_gate_entry(enum component component, const struct entry *e, json_t *gates,
                                     bool *prefixed, bool *bare)
{
    bool value;
    const char *flag = "feature-gates";
    bool blank = slice_trim(e->text).len == 0;
    if (e->text.len == 0 || (blank && component != COMPONENT_KUBELET))
        return NULL;
    if (e->value.ptr == NULL)
        return bad_entry(flag, e->text, "has no value: true or false is expected");
    if (e->name.len == 0)
        return bad_entry(flag, e->text, "names no feature gate");
    if (memchr(e->name.ptr, ':', e->name.len) != NULL)
        return bad_entry(flag, e->text,
                         component == COMPONENT_KUBELET
                             ? "has a prefix, which the kubelet does not take"
                             : "has a prefix other than kube:");
    if (!gates_bool_parse(e->value, &value))
        return bad_entry(flag, e->text, "is neither true nor false");
    *(e->kube ? prefixed : bare) = true;
    if (*prefixed && *bare)
        return bad_entry(flag, e->text, "mixes names with and without the prefix kube:");
    return put(gates, flag, e->name, json_boolean(value));
}

static struct error *read_gates(enum component component, const struct argv_view *view,
                                struct gates_flags *flags)
{
    struct flag_at flag;
    bool missing = false, prefixed = false, bare = false;
    for (size_t at = 0; gates_flag_next(view, "feature-gates", &at, &flag, &missing);) {
        struct slice rest = gates_unquote(flag.value);
        for (struct entry e; gates_entry_next(component, &rest, &e);) {
            struct error *err =
                read_gate_entry(component, &e, flags->feature_gates, &prefixed, &bare);
            if (err != NULL)
                return err;
        }
    }
    flags->kube_prefix = prefixed;
    return missing ? missing_value("feature-gates") : NULL;
}

static struct error *read_runtime_entry(const struct entry *e, json_t *runtime)
{
    const char *flag = "runtime-config";
    if (e->text.len == 0)
        return NULL;
    AUTO_MEM char *key = slice_dup(e->name);
    if (!gates_runtime_key_valid(key))
        return bad_entry(
            flag, e->text,
            "is neither group/version nor group/version/resource nor api/all, ga, beta or alpha");
    bool on = true;
    if (e->value.len > 0 && !gates_bool_parse(e->value, &on))
        return bad_entry(flag, e->text, "is neither true nor false");
    // The wildcards are compared as text.
    if (gates_runtime_is_wildcard(key) && !slice_eq(e->value, "true") &&
        !slice_eq(e->value, "false"))
        return bad_entry(flag, e->text, "must be exactly true or false");
    return put(runtime, flag, e->name, doc_string(on ? "true" : "false"));
}

static struct error *read_runtime(const struct argv_view *view, json_t *runtime)
{
    struct flag_at flag;
    bool missing = false;
    for (size_t at = 0; gates_flag_next(view, "runtime-config", &at, &flag, &missing);) {
        struct slice rest = gates_unquote(flag.value);
        for (struct entry e; gates_entry_next(COMPONENT_KUBELET, &rest, &e);) {
            struct error *err = read_runtime_entry(&e, runtime);
            if (err != NULL)
                return err;
        }
    }
    return missing ? missing_value("runtime-config") : NULL;
}

// "1.33", "kube=1.33", several with commas: the one without a component, or kube's.
static struct error *read_emulated(const struct argv_view *view, struct version *ret_version)
{
    struct slice value = gates_flag_last(view, "emulated-version"), rest = gates_unquote(value);
    for (struct entry e; rest.ptr != NULL && gates_entry_next(COMPONENT_KUBELET, &rest, &e);) {
        if (e.text.len == 0 || (e.value.ptr != NULL && !slice_eq(e.name, "kube")))
            continue;
        AUTO_MEM char *text = slice_dup(e.value.ptr != NULL ? e.value : e.name);
        if (!version_parse(text, ret_version))
            return bad_entry("emulated-version", value, "is not a version");
    }
    return NULL;
}

struct error *gates_flags_read(enum component component, const json_t *argv,
                               struct gates_flags *ret_flags)
{
    AUTO_VIEW struct argv_view view = {0};
    struct error *err = gates_argv_open(component, argv, &view);
    if (err != NULL)
        return err;
    AUTO_FLAGS struct gates_flags flags = {.feature_gates = json_object(),
                                           .runtime_config = json_object()};
    err = read_gates(component, &view, &flags);
    if (err == NULL && component == COMPONENT_APISERVER)
        err = read_runtime(&view, flags.runtime_config);
    if (err == NULL && component != COMPONENT_KUBELET)
        err = read_emulated(&view, &flags.emulated);
    if (err != NULL)
        return error_wrap(err, "%s", component_name(component));
    *ret_flags = flags;
    flags = (struct gates_flags){0};
    return NULL;
}

// --- /flagz --------------------------------------------------------------------------------------

// "--feature-gates=A=true,kube:B=true" from ":A=true,kube:B=true".
static json_t *flagz_gates(const char *text)
{
    AUTO_BUF struct buf flag = buf_make(GATES_METRICS_BYTES_MAX);
    struct slice rest = slice_of(text), entry;
    buf_add_str(&flag, "--feature-gates=");
    for (bool first = true; slice_cut(&rest, ',', &entry); first = false) {
        if (entry.len > 0 && entry.ptr[0] == ':')
            entry = slice_sub(entry, 1, entry.len);
        buf_printf(&flag, "%s%.*s", first ? "" : ",", (int)entry.len, entry.ptr);
    }
    return doc_string_of(buf_slice(&flag), GATES_METRICS_BYTES_MAX);
}

static void add_flag(json_t *argv, const char *flag, const char *value)
{
    AUTO_MEM char *text = str_format("--%s=%s", flag, value);
    // A list that is empty is printed so.
    if (*value != '\0' && !str_eq(value, "[]"))
        json_array_append_new(argv, doc_string(text));
}

struct error *gates_flagz_read(const json_t *body, struct gates_flags *ret_flags)
{
    const json_t *flags = json_object_get(body, "flags");
    if (!str_eq(doc_str(body, "kind", NULL), "Flagz") || !json_is_object(flags))
        return error_new(ERROR_INVALID, "/flagz: the answer is no Flagz");
    AUTO_JSON json_t *argv = json_array();
    json_array_append_new(argv, json_string("kube-apiserver"));
    json_array_append_new(argv, flagz_gates(doc_str(flags, "feature-gates", NULL)));
    add_flag(argv, "runtime-config", doc_str(flags, "runtime-config", NULL));
    return error_wrap(gates_flags_read(COMPONENT_APISERVER, argv, ret_flags), "/flagz");
}
