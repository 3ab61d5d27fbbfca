// SPDX-License-Identifier: Apache-2.0
// kubeadm-flags.env: the kubelet's flags as the words of a variable, in a file that the service
// manager reads.
#include <string.h>

#include "site_internal.h"

#define WORDS_MAX 512
#define VARIABLE "KUBELET_KUBEADM_ARGS="

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
static struct error *check_value(struct slice value, const char *name)
{
    bool odd =
        value.len > 0 && (memchr(value.ptr, '\r', value.len) || value.ptr[value.len - 1] == '\\' ||
                          value.ptr[0] == '"' || value.ptr[0] == '\''); // not closed in this line

    return odd ? error_new(ERROR_INVALID,
                           "%s: " VARIABLE
                           " has a carriage return in it or goes on in the next line",
                           name)
               : NULL;
}

static struct error *split(struct slice text, const char *name, struct words *words)
{
    *words = (struct words){0};
    if (text.len > 0 && memchr(text.ptr, '\0', text.len))
        return error_new(ERROR_INVALID, "%s: not a text file", name);
    find_value(text, words);
    struct error *err = check_value(slice_sub(text, words->from, words->to), name);
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
            return error_new(ERROR_LIMIT, "%s: more than %d flags", name, WORDS_MAX);
        words->items[words->len++] = (struct word){from, at};
    }
    return NULL;
}

struct error *site_env_argv(struct slice text, const char *name, json_t **ret_argv)
{
    struct words words;
    struct error *err = split(text, name, &words);
    if (err)
        return err;
    AUTO_JSON json_t *argv = json_array();
    json_array_append_new(argv, doc_string(component_name(COMPONENT_KUBELET)));
    for (size_t i = 0; i < words.len; i++) {
        json_t *word =
            // foreign: a flag that is no UTF-8 is refused, not changed
            json_stringn(text.ptr + words.items[i].from, words.items[i].to - words.items[i].from);
        if (!word)
            return error_new(ERROR_INVALID, "%s: not UTF-8", name);
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
static struct error *check_word(const char *word, const char *name)
{
    for (const char *at = word; at && *at; at++) {
        if (*at <= ' ' || *at >= 0x7f || strchr("\"'\\`$", *at))
            return error_new(ERROR_INVALID,
                             "%s: --feature-gates has a character that cannot stand there", name);
    }
    return NULL;
}

static struct error *apply_edit(struct site_doc *doc, const char *name,
                                const struct gates_edit *edit)
{
    struct slice was = {doc->bytes, doc->len};
    struct words words;
    struct error *err = check_word(edit->value, name);
    if (!err)
        err = split(was, name, &words);
    if (err)
        return err;
    size_t at = edit->index - 1;
    if (edit->index == 0 || at > words.len || (at == words.len && edit->what != EDIT_INSERT) ||
        words.to == 0)
        return error_new(ERROR_INTERNAL, "%s: an edit beside the flags", name);
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
                             name);
        bool last = at + 1 == words.len;
        size_t from =
            edit->what == EDIT_REMOVE && last && at > 0 ? words.items[at - 1].to : word.from;
        size_t to = edit->what == EDIT_REMOVE && !last ? words.items[at + 1].from : word.to;
        now = splice(was, from, to, edit->what == EDIT_REMOVE ? "" : edit->value);
    }
    mem_free(doc->bytes);
    *doc = (struct site_doc){.bytes = now, .len = strlen(now)};
    return NULL;
}

static struct error *env_read(const struct site_place *place, const struct site_doc *doc,
                              struct gates_flags *ret_flags)
{
    AUTO_JSON json_t *argv = NULL;
    struct error *err = site_env_argv((struct slice){doc->bytes, doc->len}, place->name, &argv);

    if (err)
        return err;
    return error_wrap(gates_flags_read(place->component, argv, ret_flags), "%s", place->name);
}

static struct error *env_write(const struct site_place *place, struct site_doc *doc,
                               const struct site_change *change)
{
    AUTO_JSON json_t *argv = NULL;
    AUTO_EDITS struct gates_edits edits = {0};
    struct error *err = site_env_argv((struct slice){doc->bytes, doc->len}, place->name, &argv);

    if (!err)
        err = error_wrap(site_argv_edits(place, argv, change, &edits), "%s", place->name);
    for (size_t i = 0; !err && i < edits.len; i++)
        err = apply_edit(doc, place->name, &edits.items[i]);
    return err;
}

const struct site_codec site_env_file = {.plain = true, .read = env_read, .write = env_write};
