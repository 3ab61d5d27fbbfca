// SPDX-License-Identifier: Apache-2.0
// The kubelet's two sources: config.yaml (featureGates) and kubeadm-flags.env, whose flags outrank
// the file gate by gate.
#include "node_internal.h"

#include <string.h>

#define WORDS_MAX 512
#define VARIABLE "KUBELET_KUBEADM_ARGS="

static struct error *check_config(const json_t *tree, const char *file_name)
{
    if (!str_eq(doc_str(tree, "kind", NULL), "KubeletConfiguration"))
        return error_new(ERROR_INVALID, "%s: not a KubeletConfiguration", file_name);
    const json_t *gates = json_object_get(tree, "featureGates");
    if (gates && !json_is_null(gates) && !json_is_object(gates))
        return error_new(ERROR_INVALID, "%s: featureGates is not a map", file_name);
    const char *name;
    json_t *value;
    json_object_foreach(node_iterable(gates), name, value) {
        if (!json_is_boolean(value))
            return error_new(ERROR_INVALID, "%s: featureGates.%s is neither true nor false",
                             file_name, name);
    }
    return NULL;
}

struct error *node_kubelet_config_read(struct slice text, const char *file_name, json_t **ret_gates,
                                       json_t *server)
{
    AUTO_JSON json_t *tree = NULL;
    struct error *err = doc_parse_yaml(text, file_name, &tree);
    if (!err)
        err = check_config(tree, file_name);
    if (err)
        return err;
    const json_t *gates = json_object_get(tree, "featureGates");
    *ret_gates = json_is_object(gates) ? doc_copy(gates) : json_object();
    if (server)
        node_kubelet_server_update(server, tree);
    return NULL;
}

struct error *node_kubelet_config_gates(struct slice text, const char *file_name,
                                        json_t **ret_gates)
{
    return node_kubelet_config_read(text, file_name, ret_gates, NULL);
}

// --- where it answers ----------------------------------------------------------------------------

// Fields of KubeletConfiguration, and the flags that outrank them.
static const struct {
    const char *field, *flag;
} server_fields[] = {{"healthzBindAddress", "healthz-bind-address"},
                     {"healthzPort", "healthz-port"},
                     {"address", "address"},
                     {"port", "port"}};

void node_kubelet_server_update(json_t *server, const json_t *config)
{
    for (size_t i = 0; i < COUNT(server_fields); i++) {
        json_t *value = json_object_get(config, server_fields[i].field);
        if (json_is_null(value)) // in a drop-in: the default again
            json_object_del(server, server_fields[i].field);
        else if (value)
            json_object_set(server, server_fields[i].field, value);
    }
}

json_t *node_kubelet_server_flags(const json_t *argv)
{
    json_t *server = json_object();
    for (size_t i = 0; i < COUNT(server_fields); i++) {
        const char *text = node_argv_flag(argv, server_fields[i].flag);
        uint64_t number;
        if (text && slice_to_u64(slice_of(text), &number) && number <= UINT16_MAX)
            json_object_set_new(server, server_fields[i].field, json_integer((json_int_t)number));
        else if (text) {
            AUTO_MEM char *plain = node_plain(slice_of(text));
            json_object_set_new(server, server_fields[i].field, doc_string(plain));
        }
    }
    return server;
}

// Bound to all addresses it answers on loopback, too.
static char *server_host(const json_t *server, const char *field)
{
    const char *host = doc_str(server, field, NULL);
    if (!host[0] || str_eq(host, "0.0.0.0") || str_eq(host, "::"))
        return str_dup("127.0.0.1");
    return strchr(host, ':') ? str_format("[%s]", host) : str_dup(host);
}

char *node_kubelet_healthz_url(const json_t *server)
{
    int64_t port = doc_int(server, 10248, "healthzPort", NULL);
    if (port == 0)
        return NULL;
    AUTO_MEM char *host = server_host(server, "healthzBindAddress");
    return str_format("http://%s:%lld/healthz", host, (long long)port);
}

char *node_kubelet_metrics_url(const json_t *server)
{
    int64_t port = doc_int(server, 0, "port", NULL); // 0 is the default, too
    AUTO_MEM char *host = server_host(server, "address");
    return str_format("https://%s:%lld/metrics", host, (long long)(port ? port : 10250));
}

// --- config.yaml ---------------------------------------------------------------------------------

static struct error *set_gate(struct doc_text *doc, const char *name, const json_t *value)
{
    const json_t *gates = json_object_get(doc_text_tree(doc), "featureGates");
    // "featureGates:" with nothing behind it has no place for an entry.
    if (gates && !json_is_object(gates)) {
        struct error *err = doc_text_remove(doc, "/featureGates");
        if (err)
            return err;
        gates = NULL;
    }
    const json_t *was = json_object_get(gates, name);
    if (!was)
        return doc_text_add_key(doc, "/featureGates", name, value);
    if (doc_equal(was, value))
        return NULL;
    AUTO_MEM char *pointer = str_format("/featureGates/%s", name);
    return doc_text_set_scalar(doc, pointer, value);
}

static struct error *unset_gate(struct doc_text *doc, const char *name)
{
    const json_t *gates = json_object_get(doc_text_tree(doc), "featureGates");
    if (!json_object_get(gates, name))
        return NULL;
    if (json_object_size(gates) == 1)
        return doc_text_remove(doc, "/featureGates");
    AUTO_MEM char *pointer = str_format("/featureGates/%s", name);
    return doc_text_remove(doc, pointer);
}

struct error *node_edit_kubelet_config(struct slice text, const char *file_name,
                                       const json_t *set_gates, const json_t *unset_gates,
                                       char **ret_text)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    struct error *err = doc_text_new(text, file_name, &doc);
    if (!err)
        err = check_config(doc_text_tree(doc), file_name);
    if (err)
        return err;
    // First what is added: a map that only we fill does not vanish and come back in another place.
    AUTO_STRLIST struct strlist names = {0};
    const char *name;
    json_t *value;
    json_object_foreach(node_iterable(set_gates), name, value)
        strlist_add(&names, name);
    strlist_sort(&names);
    for (size_t i = 0; i < names.len; i++) {
        if ((err = set_gate(doc, names.items[i], json_object_get(set_gates, names.items[i]))))
            return err;
    }
    size_t i;
    json_array_foreach(unset_gates, i, value) {
        if (!json_object_get(set_gates, json_string_value(value)) &&
            (err = unset_gate(doc, json_string_value(value))))
            return err;
    }
    *ret_text = slice_dup(doc_text_bytes(doc));
    return NULL;
}

// --- kubeadm-flags.env ---------------------------------------------------------------------------

struct word {
    size_t from, to;
};
struct words {
    size_t from, to; // of the value, without its quotes; both 0: the variable is not there
    size_t len;
    struct word items[WORDS_MAX];
};

// The value of the last assignment, as systemd reads an EnvironmentFile: the last one counts.
static void find_value(struct slice text, struct words *words)
{
    struct slice rest = text, line;
    while (slice_cut(&rest, '\n', &line)) {
        struct slice bare = slice_trim(line);
        if (!slice_starts(bare, VARIABLE))
            continue;
        struct slice value = slice_sub(bare, strlen(VARIABLE), bare.len);
        char quote = value.len >= 2 ? value.ptr[0] : '\0';
        if ((quote == '"' || quote == '\'') && value.ptr[value.len - 1] == quote)
            value = slice_sub(value, 1, value.len - 1);
        words->from = (size_t)(value.ptr - text.ptr);
        words->to = words->from + value.len;
    }
}

// The service manager ends a line at CR too, and goes on with the next one after a backslash or
// inside quotes: such a value is not what it looks like.
static struct error *check_value(struct slice value, const char *file_name)
{
    bool odd =
        value.len > 0 && (memchr(value.ptr, '\r', value.len) || value.ptr[value.len - 1] == '\\' ||
                          value.ptr[0] == '"' || value.ptr[0] == '\''); // not closed in this line

    return odd ? error_new(ERROR_INVALID,
                           "%s: " VARIABLE
                           " has a carriage return in it or goes on in the next line",
                           file_name)
               : NULL;
}

static struct error *split(struct slice text, const char *file_name, struct words *words)
{
    *words = (struct words){0};
    if (text.len > 0 && memchr(text.ptr, '\0', text.len))
        return error_new(ERROR_INVALID, "%s: not a text file", file_name);
    find_value(text, words);
    struct error *err = check_value(slice_sub(text, words->from, words->to), file_name);
    if (err)
        return err;
    for (size_t at = words->from; at < words->to;) {
        if (text.ptr[at] == ' ' || text.ptr[at] == '\t') {
            at++;
            continue;
        }
        size_t from = at;
        while (at < words->to && text.ptr[at] != ' ' && text.ptr[at] != '\t')
            at++;
        if (words->len == WORDS_MAX)
            return error_new(ERROR_LIMIT, "%s: more than %d flags", file_name, WORDS_MAX);
        words->items[words->len++] = (struct word){from, at};
    }
    return NULL;
}

struct error *node_kubelet_env_argv(struct slice text, const char *file_name, json_t **ret_argv)
{
    struct words words;
    struct error *err = split(text, file_name, &words);
    if (err)
        return err;
    AUTO_JSON json_t *argv = json_array();
    json_array_append_new(argv, doc_string(component_name(COMPONENT_KUBELET)));
    for (size_t i = 0; i < words.len; i++) {
        json_t *word =
            // foreign: a flag that is no UTF-8 is refused, not changed
            json_stringn(text.ptr + words.items[i].from, words.items[i].to - words.items[i].from);
        if (!word)
            return error_new(ERROR_INVALID, "%s: not UTF-8", file_name);
        json_array_append_new(argv, word);
    }
    *ret_argv = TAKE(argv);
    return NULL;
}

static bool has_quotes(struct slice text)
{
    return memchr(text.ptr, '"', text.len) || memchr(text.ptr, '\'', text.len) ||
           memchr(text.ptr, '\\', text.len);
}

// text with the bytes from..to replaced.
static char *splice(struct slice text, size_t from, size_t to, const char *with)
{
    return str_format("%.*s%s%.*s", (int)from, text.ptr, with, (int)(text.len - to), text.ptr + to);
}

// One word for the service manager, and for the kubelet's flags: it must not end where we did not
// end it.
static struct error *check_word(const char *word, const char *file_name)
{
    for (const char *at = word; at && *at; at++) {
        if (*at <= ' ' || *at >= 0x7f || strchr("\"'\\`$", *at))
            return error_new(ERROR_INVALID,
                             "%s: --feature-gates has a character that cannot stand there",
                             file_name);
    }
    return NULL;
}

static struct error *apply_env_edit(char **text, const char *file_name,
                                    const struct gates_edit *edit)
{
    struct slice was = slice_of(*text);
    struct words words;
    struct error *err = check_word(edit->value, file_name);
    if (!err)
        err = split(was, file_name, &words);
    if (err)
        return err;
    size_t at = edit->index - 1;
    if (edit->index == 0 || at > words.len || (at == words.len && edit->what != EDIT_INSERT) ||
        words.to == 0)
        return error_new(ERROR_INTERNAL, "%s: an edit beside the flags", file_name);
    struct word end = {words.to, words.to};
    struct word word = at < words.len ? words.items[at] : end;
    char *now;
    if (edit->what == EDIT_INSERT) {
        AUTO_MEM char *with = at < words.len
                                  ? str_format("%s ", edit->value)
                                  : str_format("%s%s", words.len > 0 ? " " : "", edit->value);
        now = splice(was, word.from, word.from, with);
    } else {
        if (has_quotes(slice_sub(was, word.from, word.to)))
            return error_new(ERROR_INVALID, "%s: quotes inside --feature-gates cannot be edited",
                             file_name);
        bool last = at + 1 == words.len;
        size_t from =
            edit->what == EDIT_REMOVE && last && at > 0 ? words.items[at - 1].to : word.from;
        size_t to = edit->what == EDIT_REMOVE && !last ? words.items[at + 1].from : word.to;
        now = splice(was, from, to, edit->what == EDIT_REMOVE ? "" : edit->value);
    }
    mem_free(*text);
    *text = now;
    return NULL;
}

struct error *node_kubelet_env_edit(struct slice text, const char *file_name,
                                    const json_t *set_gates, const json_t *unset_gates,
                                    char **ret_text)
{
    AUTO_JSON json_t *argv = NULL;
    AUTO_JSON json_t *nothing = json_object();
    AUTO_JSON json_t *none = json_array();
    struct error *err = node_kubelet_env_argv(text, file_name, &argv);
    if (err)
        return err;
    AUTO_EDITS struct gates_edits edits = {0};
    err = gates_flags_edit(COMPONENT_KUBELET, argv, set_gates ? set_gates : nothing,
                           unset_gates ? unset_gates : none, nothing, none, &edits);
    if (err)
        return error_wrap(err, "%s", file_name);
    AUTO_MEM char *now = slice_dup(text);
    for (size_t i = 0; i < edits.len; i++) {
        if ((err = apply_env_edit(&now, file_name, &edits.items[i])))
            return err;
    }
    *ret_text = TAKE(now);
    return NULL;
}
