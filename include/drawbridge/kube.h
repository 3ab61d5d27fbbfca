// SPDX-License-Identifier: Apache-2.0
// kube: a client of one Kubernetes API server.
//
// Purpose   kubeconfig and in-cluster credentials with rotation; get, list, create, patch, delete,
//           watch; status codes to error kinds
// In → Out  struct kube_ref + json_t → json_t or struct error
// May use   http loop doc base
// Never     our own kinds: it moves documents; retries other than 429/5xx with Retry-After (10 at
//           most) and one 401 after re-reading the token
// Limits    KUBE_BODY_BYTES_MAX an answer, KUBE_LINE_BYTES_MAX and KUBE_NODES_MAX an object of a
//           list or an event of a watch
// Blocking  reads small credential files (at most once a minute)
#pragma once

#include "drawbridge/doc.h"
#include "drawbridge/http.h"

// Kubeadm gives it to control-plane nodes; no kubelet may give it to its own (admission plugin
// NodeRestriction), so it tells whose words about a control plane count.
#define KUBE_CONTROL_PLANE_LABEL "node-role.kubernetes.io/control-plane"
// Whether a Node with these labels is one of the control plane. A kubelet may make any mirror pod
// and its agent may report anything: what they say of the control plane counts only then.
static inline bool kube_is_control_plane(const json_t *labels)
{
    return json_object_get(labels, KUBE_CONTROL_PLANE_LABEL) != NULL;
}

#define KUBE_BODY_BYTES_MAX ((size_t)64 << 20)
#define KUBE_LINE_BYTES_MAX ((size_t)4 << 20)
#define KUBE_ENVELOPE_BYTES_MAX ((size_t)1 << 20) // of a list without its items
#define KUBE_TEXT_LINE_BYTES_MAX ((size_t)16 << 10)
#define KUBE_NODES_MAX 200000                     // as doc_json_nodes() counts
#define KUBE_VERSION_BYTES_MAX ((size_t)64 << 10) // of /version
#define KUBE_GROUP_BYTES_MAX ((size_t)1 << 20)    // of one group's discovery
#define KUBE_TIMEOUT_MS 30000
#define KUBE_PAGE_ITEMS 500

// --- who and where -------------------------------------------------------------------------------

struct kube_config; // a server and our credentials for it
// path NULL: $KUBECONFIG (its list of files is merged as client-go does, the first that names a
// thing wins), then in-cluster, then ~/.kube/config. context NULL: current-context. Reads token,
// tokenFile, client-certificate(-data), client-key(-data), certificate-authority(-data),
// insecure-skip-tls-verify, tls-server-name, proxy-url. exec, auth-provider, username are INVALID,
// with what to use instead.
struct error *kube_config_load(const char *path, const char *context,
                               struct kube_config **ret_config);
// The same for whoever types a command, as kubectl reads it: ~/.kube/config comes before the pod,
// and the user may have a credential plugin, unless token or certificate are given as well.
struct error *kube_config_load_person(const char *path, const char *context,
                                      struct kube_config **ret_config);
// Borrowed: apiVersion, command (a path, or to be looked up in PATH), args, env, installHint,
// interactiveMode, and cluster (spec.cluster of an ExecCredential) with provideClusterInfo;
// checked. NULL: no plugin, and always NULL but from kube_config_load_person(). Nothing here runs
// it.
const json_t *kube_config_exec(const struct kube_config *config);
// A kubeconfig that came from a Secret: names of files, exec plugins and proxies would act in this
// process and are INVALID.
struct error *kube_config_parse_untrusted(struct slice yaml, struct kube_config **ret_config);
// Of the pod: KUBERNETES_SERVICE_HOST/PORT and dir (NULL:
// /var/run/secrets/kubernetes.io/serviceaccount), token re-read each minute.
struct error *kube_config_in_cluster(const char *dir, struct kube_config **ret_config);
const char *kube_config_server(const struct kube_config *config);
const char *kube_config_namespace(const struct kube_config *config); // "default" when none is named
void kube_config_free(struct kube_config *config);
// Data of a Secret: the standard alphabet, white space is skipped; false: it is not base64.
// ret_bytes is NUL-terminated.
bool kube_base64_decode(struct slice text, char **ret_bytes, size_t *ret_len);
char *kube_base64_encode(struct slice bytes); // in one line; owned
AUTO_DECLARE(kube_config, struct kube_config)

struct kube;
struct kube *kube_new(struct loop *loop, struct http *http, struct kube_config *take_config);
// The same server with the same credentials and guard, but in the name of user
// ("system:serviceaccount:NAMESPACE:NAME"; NULL: our own): who we are needs the right to
// impersonate it, and what it may not do is not done.
struct kube *kube_new_as(const struct kube *like, const char *user);
// From now on may_write() is asked before each request that is not a GET, also before it is tried
// again. Without leave nothing is sent and the answer is CANCELED. What would change or delete an
// object without a precondition is INTERNAL and not sent either. For who writes only while it
// holds a lease; clients made like this one have the same guard.
typedef bool kube_may_write_fn(void *owner);
void kube_guard(struct kube *kube, kube_may_write_fn *may_write, void *owner);
// From now on an object (of a list, of an event, or asked for by its name) may have so many bytes,
// instead of KUBE_LINE_BYTES_MAX, and an answer in the same proportion less than
// KUBE_BODY_BYTES_MAX: a client of somebody else's server, of which there are many at once. 64 KiB
// at least. For lists and watches that begin later.
void kube_limit_objects(struct kube *kube, size_t bytes_max);
// From the next request on: what a credential plugin answered; each may be NULL.
void kube_set_credentials(struct kube *kube, const char *token, const char *cert_pem,
                          const char *key_pem);
unsigned kube_unauthorized(const struct kube *kube); // answers 401 so far
void kube_free(struct kube *kube);                   // all its ops must be gone
bool kube_busy(const struct kube *kube);             // it has ops
AUTO_DECLARE(kube, struct kube)
const char *kube_server(const struct kube *kube);
// For a kubeconfig that somebody else shall use: the server as its "cluster", yours, with ca_file
// as the authority's file where there is one; and that authority as PEM (NULL: the system's),
// borrowed until the next request, and known after the first one.
json_t *kube_cluster(const struct kube *kube, const char *ca_file);
const char *kube_ca(const struct kube *kube);
// Who vouches that the server is who it says, after the first request: two clients have the same
// only when the server of one would be taken by the other for its own. Owned.
char *kube_authority(const struct kube *kube);

// --- what ----------------------------------------------------------------------------------------

// A collection or object. Strings are borrowed for the call. group "" is the core group. namespace
// NULL: all, or cluster-scoped.
struct kube_ref {
    const char *group, *version, *resource; // "apps", "v1", "deployments"
    const char *namespace, *name;
    const char *subresource; // NULL, "status", ...
};
// "/apis/apps/v1/namespaces/x/deployments/y/status", segments percent-encoded
char *kube_path(const struct kube_ref *ref);
// Whether one metadata.resourceVersion is newer than another of the same resource. False also where
// they cannot be compared: comparable are decimal numbers that begin with 1 to 9, of any length
// (Kubernetes 1.35, API concepts, resource versions). May be NULL.
bool kube_is_newer(const char *version, const char *than);

// What the text of an object tells without a tree of it. All are parts of the text; strings are
// without their quotes and have no escapes in them.
#define KUBE_FIELDS_MAX 32
struct kube_field {
    struct slice key, value; // value: the JSON text of it
};
struct kube_fields {
    struct kube_field items[KUBE_FIELDS_MAX];
    size_t len;
};
struct kube_glance {
    struct slice text;
    struct slice namespace, name, version; // of its metadata; namespace: may be empty
    struct kube_fields metadata, status;   // empty where they are not there, or no objects
    struct slice status_text;              // the JSON text of it; empty: none
};
// False: in doubt, or no object with a name and a resourceVersion. True: the parser takes this text
// and reads the same in it.
bool kube_glance(struct slice text, struct kube_glance *ret_glance);
// The JSON text of a field; empty: it is not there.
struct slice kube_field_text(const struct kube_fields *fields, const char *key);
// Borrowed for the call. False: a tree is wanted.
typedef bool kube_glance_fn(void *owner, const struct kube_glance *glance);

// take_err: kind by HTTP status and Status.reason (404 NOT_FOUND, 409 CONFLICT, 410 GONE, 401/403
// DENIED, 422/400/415 REJECTED, 413 LIMIT, 429 THROTTLED, 5xx TRANSIENT), text: the server's
// message; error_reason() is "AlreadyExists" or "ResourceVersionTooLarge" where it was that, else
// "". Else take_body is the answer. To a question it is a JSON object, of a list with items, and of
// a get, create, replace, patch or delete of an object it has that name, or of a delete it is a
// Status of success: anything else is an error TRANSIENT.
typedef void kube_done_fn(void *owner, struct error *take_err, json_t *take_body);
// One error or one text; for /readyz, /metrics.
typedef void kube_text_fn(void *owner, struct error *take_err, struct slice text);

MUST_USE struct op *kube_get(struct kube *kube, const struct kube_ref *ref, kube_done_fn *done,
                             void *owner);
// Lists and watches leave metadata.managedFields out: it is large and nobody here reads it.
// A list ends after 5 minutes, or 4000 pages, whatever the server does.
// The whole list, page by page, as {"metadata": {"resourceVersion": ..}, "items": [..]}. Selectors
// may be NULL.
MUST_USE struct op *kube_list(struct kube *kube, const struct kube_ref *ref,
                              const char *label_selector, const char *field_selector,
                              kube_done_fn *done, void *owner);
// In one request, with the metadata of each item alone: for Secrets, whose contents are none of our
// business.
MUST_USE struct op *kube_list_metadata(struct kube *kube, const struct kube_ref *ref,
                                       const char *label_selector, kube_done_fn *done, void *owner);
// The whole list as kube_list(), but item by item as the bytes arrive, with the memory of one:
// on_item borrows each (apiVersion and kind are filled in), done gets
// {"metadata": {..}}. resource_version: "" the newest, "0" what the server has at hand, else not
// older than that one. After an error some items were given out already, and are to be dropped;
// GONE: its pages expired in the middle, and the caller begins again.
// The body has "skipped": how many items could not be read, where there were any. Who takes what is
// not in a list for gone has to look at it.
typedef void kube_item_fn(void *owner, json_t *item);
MUST_USE struct op *kube_list_each(struct kube *kube, const struct kube_ref *ref,
                                   const char *label_selector, const char *field_selector,
                                   const char *resource_version, kube_item_fn *on_item,
                                   kube_done_fn *done, void *owner);
// What a create, replace or patch hands over is the object without its managedFields.
MUST_USE struct op *kube_create(struct kube *kube, const struct kube_ref *ref, const json_t *body,
                                kube_done_fn *done, void *owner);
// The same for a caller who has no use for the answer as a tree: nothing is parsed.
MUST_USE struct op *kube_create_text(struct kube *kube, const struct kube_ref *ref,
                                     const json_t *body, kube_text_fn *done, void *owner);
// PUT: metadata.resourceVersion in body makes it conditional.
MUST_USE struct op *kube_replace(struct kube *kube, const struct kube_ref *ref, const json_t *body,
                                 kube_done_fn *done, void *owner);
// APPLY: server-side apply
enum kube_patch_type { KUBE_PATCH_MERGE, KUBE_PATCH_JSON, KUBE_PATCH_APPLY };
struct kube_patch {
    enum kube_patch_type type;
    // Its metadata.resourceVersion makes it conditional; of a JSON patch, one that is set or
    // tested, or a test of metadata.uid.
    const json_t *body;
    const char *field_manager; // required for APPLY
    bool force;                // APPLY: take over fields of other managers
    bool creates;              // APPLY: it was not there, so that there is nothing to hold it to
    bool dry_run;
};
MUST_USE struct op *kube_patch(struct kube *kube, const struct kube_ref *ref,
                               const struct kube_patch *patch, kube_done_fn *done, void *owner);
// The same for who can often do without a tree: glance sees the answer first, where the text is
// plain enough and of the object that was asked for. True: that was all, and done gets JSON null.
MUST_USE struct op *kube_patch_glance(struct kube *kube, const struct kube_ref *ref,
                                      const struct kube_patch *patch, kube_glance_fn *glance,
                                      kube_done_fn *done, void *owner);
// As kube_create_text(): the answer may be an object that cannot be read.
MUST_USE struct op *kube_patch_text(struct kube *kube, const struct kube_ref *ref,
                                    const struct kube_patch *patch, kube_text_fn *done,
                                    void *owner);
// uid and resource_version (NULL or "": any) are preconditions. Propagation is Background.
MUST_USE struct op *kube_delete(struct kube *kube, const struct kube_ref *ref, const char *uid,
                                const char *resource_version, kube_done_fn *done, void *owner);
// For who decides on a name alone: the object is read anew, by no cache, and what is written is
// held to the version that was read. Apply (with force): creates it where it is not there. Delete:
// NOT_FOUND where it is not there.
MUST_USE struct op *kube_apply_now(struct kube *kube, const struct kube_ref *ref,
                                   const json_t *body, const char *field_manager,
                                   kube_done_fn *done, void *owner);
MUST_USE struct op *kube_delete_now(struct kube *kube, const struct kube_ref *ref,
                                    kube_done_fn *done, void *owner);
// GET of any path ("/version", "/apis/resource.k8s.io") as JSON, or as text. JSON may have a value
// for each 16 bytes of bytes_max.
MUST_USE struct op *kube_get_path(struct kube *kube, const char *path, size_t bytes_max,
                                  kube_done_fn *done, void *owner);
// The same in another type than application/json, accept as in RFC 9110.
MUST_USE struct op *kube_get_path_as(struct kube *kube, const char *path, const char *accept,
                                     size_t bytes_max, kube_done_fn *done, void *owner);
MUST_USE struct op *kube_get_text(struct kube *kube, const char *path, size_t bytes_max,
                                  kube_text_fn *done, void *owner);
// Of a text of which little is wanted, such as /metrics: each line is shown to keep(), without its
// end, and done gets those that it wants. It costs what is kept, however large the page is. LIMIT:
// more than kept_bytes_max is wanted, or the page is larger than page_bytes_max. What a line has
// beyond KUBE_TEXT_LINE_BYTES_MAX makes it unreadable, and it is left out.
typedef bool kube_keep_fn(struct slice line);
MUST_USE struct op *kube_get_lines(struct kube *kube, const char *path, size_t page_bytes_max,
                                   size_t kept_bytes_max, kube_keep_fn *keep, kube_text_fn *done,
                                   void *owner);

// A value of a Secret's data as text, yours; NULL when it is not there, no base64, or holds a zero
// byte.
char *kube_secret_text(const json_t *secret, const char *key);

// An object of a list or a watch that cannot be read (keys that are there twice, more than
// KUBE_NODES_MAX values, larger than KUBE_LINE_BYTES_MAX) is left out and the others go on. The
// client says so at warn, once for each object and cause. To hear of it too, call one of these with
// the op at once after it was made; key as of watch_key() and version its resourceVersion, "" where
// the text does not tell them; all are borrowed, owner is the op's.
typedef void kube_skip_fn(void *owner, const char *key, const char *version,
                          const struct error *why);
void kube_list_on_skip(struct op *op, kube_skip_fn *fn);  // kube_list(), kube_list_each()
void kube_watch_on_skip(struct op *op, kube_skip_fn *fn); // kube_watch()
// How often that happened since the client was made, for each resource where it did.
typedef void kube_skipped_fn(void *owner, const char *resource, uint64_t total);
void kube_each_skipped(const struct kube *kube, kube_skipped_fn *fn, void *owner);

// --- watch ---------------------------------------------------------------------------------------

enum kube_event { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED, KUBE_BOOKMARK };
// text: the object as it came, without managedFields; empty where it had to be changed for the
// parser. Both are borrowed for the call.
typedef void kube_event_fn(void *owner, enum kube_event event, const json_t *object,
                           struct slice text);
// Streams events from resource_version on, with bookmarks, until the server ends it (done with NULL
// errors: the normal end after its timeout), the connection breaks (TRANSIENT), the version is too
// old (GONE) or it is dropped. take_body is always NULL.
MUST_USE struct op *kube_watch(struct kube *kube, const struct kube_ref *ref,
                               const char *label_selector, const char *field_selector,
                               const char *resource_version, kube_event_fn *on_event,
                               kube_done_fn *done, void *owner);
// To see what is ADDED or MODIFIED before there is a tree of it (without managedFields): call this
// with the op at once after it was made. True: that event is over; fn must not drop the op.
void kube_watch_on_glance(struct op *op, kube_glance_fn *fn);
