// SPDX-License-Identifier: Apache-2.0
// What the server's refusals mean to us: the HTTP code gives the kind, the Status object the text
// and when to come again.
#include "kube_internal.h"

#include <string.h>

#define SNIPPET_BYTES_MAX 400
#define STATUS_NODES_MAX 10000

static enum error_kind kind_of(long code)
{
    switch (code) {
    case 401:
    case 403:
        return ERROR_DENIED;
    case 404:
        return ERROR_NOT_FOUND;
    case 408:
        return ERROR_TRANSIENT;
    case 409:
        return ERROR_CONFLICT;
    case 410:
        return ERROR_GONE;
    case 413:
        return ERROR_LIMIT;
    case 429:
        return ERROR_THROTTLED;
    default:
        return code >= 500 ? ERROR_TRANSIENT : ERROR_REJECTED;
    }
}

static bool has_cause(const json_t *status, const char *reason)
{
    const json_t *causes = doc_get(status, "details", "causes", NULL);
    for (size_t i = 0; i < json_array_size(causes); i++)
        if (str_eq(doc_str(json_array_get(causes, i), "reason", NULL), reason))
            return true;
    return false;
}

struct error *kube_status_error_of(long code, const json_t *status)
{
    const char *message = doc_str(status, "message", NULL),
               *reason = doc_str(status, "reason", NULL);
    struct error *err = error_new(kind_of(code), "%s",
                                  message[0]  ? message
                                  : reason[0] ? reason
                                              : "the server refused");
    if (str_eq(reason, "AlreadyExists"))
        error_set_reason(err, "AlreadyExists");
    if (has_cause(status, "ResourceVersionTooLarge"))
        error_set_reason(err, "ResourceVersionTooLarge");
    int64_t seconds = doc_int(status, 0, "details", "retryAfterSeconds", NULL);
    if (seconds > 0 && seconds < 86400)
        error_set_retry_after(err, (uint64_t)seconds * 1000);
    return err;
}

// Of a text like that of /readyz the failed checks, of any other its first line.
static void add_snippet(struct buf *out, struct slice body)
{
    struct slice rest = body, line, first = {0};
    bool failed = false;
    while (slice_cut(&rest, '\n', &line)) {
        line = slice_trim(line);
        if (first.len == 0)
            first = line;
        if (slice_starts(line, "[-]")) {
            buf_add_str(out, failed ? ", " : ": ");
            buf_add_slice(out, slice_sub(line, 3, line.len));
            failed = true;
        }
    }
    if (failed || first.len == 0)
        return;
    buf_add_str(out, ": ");
    buf_add_slice(out, slice_sub(first, 0, text_fit(first, 200)));
}

static struct error *plain_error(const struct http_response *response)
{
    AUTO_BUF struct buf text = buf_make(SNIPPET_BYTES_MAX);
    buf_printf(&text, "the server answered %ld", response->status);
    add_snippet(&text, response->body);
    return error_new(kind_of(response->status), "%s", text.ptr);
}

struct error *kube_status_error(const struct http_response *response)
{
    AUTO_JSON json_t *status = NULL;
    AUTO(error) struct error *no_json = NULL;
    if (response->body.len > 0 && response->body.ptr[0] == '{')
        no_json = doc_parse_json_max(response->body, "answer", STATUS_NODES_MAX, &status);
    struct error *err = str_eq(doc_str(status, "kind", NULL), "Status")
                            ? kube_status_error_of(response->status, status)
                            : plain_error(response);
    uint64_t seconds = 0;
    if (slice_to_u64(slice_of(response->retry_after), &seconds) && seconds < 86400)
        error_set_retry_after(err, seconds * 1000);
    return err;
}

// Where in the text is nothing to whom it is told: the place changes with our own writes.
static struct error *without_place(struct error *take_err)
{
    AUTO(error) struct error *err = take_err;
    const char *what = strstr(error_text(err), ": ");
    return error_new(error_kind(err), "%s", what ? what + 2 : error_text(err));
}

struct error *kube_parse_object(struct slice text, size_t nodes_max, json_t **ret_tree,
                                bool *ret_exact)
{
    struct error *err = doc_parse_json_max(text, "JSON", nodes_max, ret_tree);
    *ret_exact = !err;
    if (!err)
        return NULL;
    err = without_place(err);
    if (error_kind(err) == ERROR_LIMIT)
        return err;
    AUTO_MEM char *softened = kube_soften(text);
    AUTO(error) struct error *still =
        doc_parse_json_max(slice_of(softened), "JSON", nodes_max, ret_tree);
    if (still)
        return err;
    error_free(err);
    return NULL;
}

struct error *kube_parse_answer(struct slice body, size_t nodes_max, json_t **ret_tree)
{
    bool exact;
    if (slice_trim(body).len == 0) {
        *ret_tree = json_null();
        return NULL;
    }
    AUTO(error) struct error *err = kube_parse_object(body, nodes_max, ret_tree, &exact);
    if (!err || error_kind(err) == ERROR_LIMIT)
        return TAKE(err);
    // The request was right; something between us and the server answered, or cut the answer short.
    return error_new(ERROR_TRANSIENT, "not JSON: %s", error_text(err));
}
