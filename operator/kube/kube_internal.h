// SPDX-License-Identifier: Apache-2.0
// What the files of kube share. From the wire up: lines and items cut streams, request.c does one
// exchange with credentials and retries, verbs.c, list.c and watch.c are what callers see.
#pragma once

#include <sys/stat.h>

#include "drawbridge/kube.h"

#define KUBE_FILE_BYTES_MAX ((size_t)1 << 20) // a kubeconfig, a token, a certificate
#define KUBE_CREDENTIALS_CHECK_MS 60000       // client-go reads a token file again after 60 s
#define KUBE_RETRIES_MAX 10                   // client-go's, and only with Retry-After
#define KUBE_RETRY_AFTER_MS_MAX 30000         // a longer wait is the caller's to plan
extern uint64_t kube_list_ms_max;             // for all pages together; tests have less time
#define KUBE_CONTINUE_BYTES_MAX 16384
#define KUBE_LIST_PAGES_MAX 4000 // of KUBE_PAGE_ITEMS each, or fewer: a server may give less

struct kube_config {
    char *server, *namespace, *proxy, *server_name;
    char *token, *token_file; // a file wins
    char *ca_pem, *ca_file, *cert_pem, *cert_file, *key_pem, *key_file;
    bool insecure;
    json_t *exec; // NULL: no credential plugin
};

// A PEM text and the file it comes from.
struct kube_pem {
    const char *file; // borrowed of the config; NULL: the text never changes
    char *text;       // NULL: none
    struct stat seen; // of the file when it was read
};

struct kube {
    struct loop *loop;
    struct http *http;
    struct kube_config *config;
    char *impersonate; // NULL: nobody
    char *token;
    uint64_t token_checked_ms, pems_checked_ms;
    bool token_checked, pems_checked;
    unsigned unauthorized; // answers 401
    struct kube_pem ca, cert, key;
    kube_may_write_fn *may_write; // NULL: always
    void *may_write_owner;
    unsigned ops;
    size_t object_bytes_max; // of lists
    json_t *skipped;         // {RESOURCE: {total: N, named: {KEY: why}}}; NULL: none
};

// file.c
struct error *kube_file_read(const char *path, size_t bytes_max, char **ret_text);

// kubeconfig.c
// Whose kubeconfig it is: what of it may act in this process.
enum kube_kubeconfig_owner {
    KUBE_OWNER_SECRET,  // somebody else's: no files, no proxies, no plugins
    KUBE_OWNER_SERVICE, // a process' own: no plugins
    KUBE_OWNER_PERSON,  // who types a command
};
struct error *kube_kubeconfig_merge(json_t *merged, struct slice yaml, const char *name,
                                    const char *dir);
struct error *kube_kubeconfig_pick(const json_t *merged, const char *context,
                                   enum kube_kubeconfig_owner owner,
                                   struct kube_config **ret_config);

// exec.c
// The user's credential plugin becomes config->exec. All else is in config already.
struct error *kube_exec_take(const json_t *user, const json_t *cluster, struct kube_config *config);

// creds.c
struct error *kube_creds_refresh(struct kube *kube); // before each request: reads again what is due
// after a 401: true when there is another one now
bool kube_creds_reload_token(struct kube *kube);
// after a TLS failure: true when something changed
bool kube_creds_reload_pems(struct kube *kube);
struct http_tls kube_creds_tls(const struct kube *kube);
void kube_creds_fini(struct kube *kube);

// path.c
// percent-encoding of all but unreserved characters
void kube_encode(struct buf *out, const char *text);
struct kube_query {
    struct buf url; // the path, then what was added
    bool any;
};
struct kube_query kube_query_of(const struct kube_ref *ref);
// value NULL or "": left out
void kube_query_add(struct kube_query *query, const char *name, const char *value);

// status.c
// What an answer that is not 2xx says.
struct error *kube_status_error(const struct http_response *response);
// The same for a Status object (an ERROR event of a watch).
struct error *kube_status_error_of(long code, const json_t *status);
// JSON null when empty; TRANSIENT when it is no JSON, LIMIT when it has more than nodes_max values.
struct error *kube_parse_answer(struct slice body, size_t nodes_max, json_t **ret_tree);
// Of an object that is there whole: INVALID or LIMIT. ret_exact: the tree is what the text says,
// nothing was softened.
struct error *kube_parse_object(struct slice text, size_t nodes_max, json_t **ret_tree,
                                bool *ret_exact);

// soften.c
// What stands in a JSON text that the parser would refuse, changed so that it does not. Keys that
// differ still differ afterwards.
char *kube_soften(struct slice text);

// cut.c
#define KUBE_DEPTH_ITEM 2  // of the braces of metadata in an object's text
#define KUBE_DEPTH_EVENT 3 // the same in a watch event's
// text without the managedFields of its metadata: text itself, or made in scratch, which must have
// room for all of it.
struct slice kube_cut_managed_fields(struct slice text, size_t depth, struct buf *scratch);
// Where the field ("\"name\":") begins in the metadata at this depth; text.len: not there.
size_t kube_metadata_field(struct slice text, size_t depth, const char *field);

// skip.c: of objects that cannot be parsed
// A string of the metadata, from the text alone; "" where it is not at hand. Yours.
char *kube_metadata_text(struct slice text, size_t depth, const char *name);
char *kube_text_key(struct slice text, size_t depth); // as watch_key()
// Counts it, and says at warn what was not said yet.
void kube_note_skipped(struct kube *kube, const char *resource, const char *key,
                       const struct error *why);

// request.c
struct kube_request {
    const char *method;       // static
    char *take_path;          // with its query
    const char *content_type; // static; NULL: no body
    const char *accept;       // static
    char *take_body;          // NULL: none
    bool unconditional;       // changes what is there, whatever it is by then
    size_t body_bytes_max;
    uint64_t timeout_ms, idle_ms; // as in http.h
    void (*on_data)(void *owner, struct slice bytes);
};
// take_err is also set for an answer that is not 2xx.
typedef void kube_answer_fn(void *owner, struct error *take_err,
                            const struct http_response *response);
struct op *kube_request_send(struct kube *kube, const struct kube_request *take_request,
                             kube_answer_fn *done, void *owner);

// lines.c: cuts a stream into lines. Pure.
struct kube_lines {
    struct buf held; // the beginning of a line whose end is still to come
    bool complete;   // a line was given out; held goes with the next call
    bool too_long;   // the line that was given out is the beginning of a longer one
};
struct kube_lines kube_lines_make(size_t line_bytes_max);
// Takes from *rest up to the end of a line: true and the line, without its end, borrowed until the
// next call and no longer than *rest's bytes live; false when *rest is used up. Empty lines are
// skipped. A line that is too long is given out up to its cap.
bool kube_lines_next(struct kube_lines *lines, struct slice *rest, struct slice *ret_line);
void kube_lines_fini(struct kube_lines *lines);

// items.c: cuts the items out of a list's JSON text as it arrives. Pure.
struct kube_items {
    struct buf envelope; // the list without its items
    struct buf item;     // the beginning of an item whose end is still to come
    unsigned depth;      // of braces and brackets
    bool in_string, escaped, in_items, in_item;
    bool too_large;     // the item that was given out is the beginning of a larger one
    const char *broken; // why it is no list; NULL
};
struct kube_items kube_items_make(size_t object_bytes_max);
// as kube_lines_next()
bool kube_items_next(struct kube_items *items, struct slice *rest, struct slice *ret_item);
// also in the middle of a list
struct error *kube_items_envelope(const struct kube_items *items, json_t **ret_tree);
void kube_items_reset(struct kube_items *items);
void kube_items_fini(struct kube_items *items);
