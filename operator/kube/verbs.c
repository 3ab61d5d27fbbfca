// SPDX-License-Identifier: Apache-2.0
// The client and its simple verbs: one request, one answer.
#include "kube_internal.h"

#include <string.h>

#define JSON_TYPE "application/json"

struct kube *kube_new(struct loop *loop, struct http *http, struct kube_config *take_config)
{
    struct kube *kube = NEW(struct kube);
    kube->loop = loop;
    kube->http = http;
    kube->config = take_config;
    kube->object_bytes_max = KUBE_LINE_BYTES_MAX;
    kube->ca =
        (struct kube_pem){.file = take_config->ca_file, .text = str_dup(take_config->ca_pem)};
    kube->cert =
        (struct kube_pem){.file = take_config->cert_file, .text = str_dup(take_config->cert_pem)};
    kube->key =
        (struct kube_pem){.file = take_config->key_file, .text = str_dup(take_config->key_pem)};
    return kube;
}

struct kube *kube_new_as(const struct kube *like, const char *user)
{
    const struct kube_config *from = like->config;
    struct kube_config *config = NEW(struct kube_config);
    struct kube *kube;

    *config = (struct kube_config){
        .server = str_dup(from->server),
        .namespace = str_dup(from->namespace),
        .proxy = str_dup(from->proxy),
        .server_name = str_dup(from->server_name),
        .token = str_dup(from->token),
        .token_file = str_dup(from->token_file),
        .ca_pem = str_dup(from->ca_pem),
        .ca_file = str_dup(from->ca_file),
        .cert_pem = str_dup(from->cert_pem),
        .cert_file = str_dup(from->cert_file),
        .key_pem = str_dup(from->key_pem),
        .key_file = str_dup(from->key_file),
        .insecure = from->insecure,
    };
    kube = kube_new(like->loop, like->http, config);
    kube->impersonate = str_dup(user ? user : like->impersonate);
    kube->object_bytes_max = like->object_bytes_max;
    kube_guard(kube, like->may_write, like->may_write_owner);
    return kube;
}

void kube_guard(struct kube *kube, kube_may_write_fn *may_write, void *owner)
{
    kube->may_write = may_write;
    kube->may_write_owner = owner;
}

void kube_limit_objects(struct kube *kube, size_t bytes_max)
{
    ASSERT(bytes_max >= (size_t)64 << 10); // what arrives at once has to fit
    kube->object_bytes_max = bytes_max;
}

void kube_free(struct kube *kube)
{
    if (!kube)
        return;
    ASSERT(kube->ops == 0);
    kube_creds_fini(kube);
    kube_config_free(kube->config);
    json_decref(kube->skipped);
    mem_free(kube->impersonate);
    mem_free(kube);
}

bool kube_busy(const struct kube *kube)
{
    return kube->ops > 0;
}

const char *kube_server(const struct kube *kube)
{
    return kube->config->server;
}

const char *kube_ca(const struct kube *kube)
{
    return kube->ca.text;
}

// A cluster's own authority signs for that cluster, whatever its addresses. Where the system's
// authorities count, or none does, the address stands for itself.
char *kube_authority(const struct kube *kube)
{
    AUTO_BUF struct buf text = buf_make(KUBE_FILE_BYTES_MAX);
    char digest[DOC_DIGEST_BYTES];
    for (const char *p = kube_ca(kube); p && *p; p++)
        if (!strchr(" \t\r\n", *p))
            buf_add(&text, p, 1);
    if (text.len == 0)
        return str_format("%s%s", kube->config->insecure ? "unverified " : "", kube_server(kube));
    doc_digest(buf_slice(&text), digest);
    return str_dup(digest);
}

json_t *kube_cluster(const struct kube *kube, const char *ca_file)
{
    const struct kube_config *config = kube->config;
    json_t *cluster = json_object();

    doc_set(cluster, doc_string(config->server), "server", NULL);
    if (kube_ca(kube))
        doc_set(cluster, doc_string(ca_file), "certificate-authority", NULL);
    if (config->insecure)
        doc_set(cluster, json_true(), "insecure-skip-tls-verify", NULL);
    if (config->server_name)
        doc_set(cluster, doc_string(config->server_name), "tls-server-name", NULL);
    if (config->proxy)
        doc_set(cluster, doc_string(config->proxy), "proxy-url", NULL);
    return cluster;
}

// A request whose answer goes to done as JSON, or to text_done as it is.
struct call {
    struct op op; // first
    struct op *pending;
    kube_done_fn *done;
    kube_text_fn *text_done;
    kube_glance_fn *glance; // NULL: a tree is wanted
    bool wrote;             // the answer is what became of the object
    bool reads;             // the answer is a JSON object: nothing is no answer to a question
    bool lists;             // and has items
    bool deletes;           // the answer may be a Status of success too
    char *name;             // the answer is the object of this name; NULL: it may be anything
    size_t nodes_max;       // of the answer; 0: KUBE_NODES_MAX
    void *owner;
};

static void on_drop(struct op *op)
{
    struct call *call = (struct call *)(void *)op;
    call->pending = op_drop(call->pending);
    mem_free(call->name);
    mem_free(call);
}

// Who takes an answer for the object that was asked for reads its fields, keeps it, and decides on
// its version. A proxy, or a server that is not one of Kubernetes, answers 200 with anything.
static struct error *check_answer(const struct call *call, json_t **body)
{
    const char *is = doc_str(*body, "metadata", "name", NULL), *wrong = NULL;
    const json_t *items = json_object_get(*body, "items");
    bool success = call->deletes && str_eq(doc_str(*body, "kind", NULL), "Status") &&
                   str_eq(doc_str(*body, "status", NULL), "Success");
    if (call->name && !str_eq(call->name, is) && !success)
        wrong = call->deletes ? "the answer does not say that it was deleted"
                              : "the answer is not the object that was asked for";
    else if (call->reads && !json_is_object(*body))
        wrong = "the answer is empty, or no object";
    else if (call->lists && !json_is_array(items) && !json_is_null(items))
        wrong = "not a list: the answer has no items";
    if (!wrong)
        return NULL;
    json_decref(TAKE(*body));
    return error_new(ERROR_TRANSIENT, "%s", wrong);
}

// Whether a look at the text was enough.
static bool glance_at(const struct call *call, struct slice text)
{
    struct kube_glance glance;
    return call->glance && kube_glance(slice_trim(text), &glance) && call->name &&
           slice_eq(glance.name, call->name) && call->glance(call->owner, &glance);
}

static void on_answer(void *owner, struct error *take_err, const struct http_response *response)
{
    struct call call = *(struct call *)owner;
    AUTO_MEM char *name = call.name;
    mem_free(owner);
    if (call.text_done) {
        call.text_done(call.owner, take_err, take_err ? (struct slice){0} : response->body);
        return;
    }
    json_t *body = NULL;
    AUTO_BUF struct buf scratch = buf_make(KUBE_BODY_BYTES_MAX);
    if (!take_err) {
        struct slice text = call.wrote
                                ? kube_cut_managed_fields(response->body, KUBE_DEPTH_ITEM, &scratch)
                                : response->body;
        if (glance_at(&call, text)) {
            call.done(call.owner, NULL, json_null());
            return;
        }
        take_err = kube_parse_answer(text, call.nodes_max ? call.nodes_max : KUBE_NODES_MAX, &body);
        if (!take_err)
            take_err = check_answer(&call, &body);
    }
    call.done(call.owner, take_err, body);
}

static struct op *send_call(struct kube *kube, const struct kube_request *take_request,
                            const struct call *like)
{
    struct call *call = NEW(struct call);
    *call = *like;
    call->op.drop = on_drop;
    call->pending = kube_request_send(kube, take_request, on_answer, call);
    return &call->op;
}

// KUBE_BODY_BYTES_MAX where objects may have their usual size, and less in the same proportion.
static size_t body_bytes_max(const struct kube *kube)
{
    return kube->object_bytes_max * (KUBE_BODY_BYTES_MAX / KUBE_LINE_BYTES_MAX);
}

static struct kube_request request_of(const struct kube *kube, const char *method, char *take_path)
{
    return (struct kube_request){
        .method = method,
        .take_path = take_path,
        .accept = JSON_TYPE,
        .body_bytes_max = body_bytes_max(kube),
        .timeout_ms = KUBE_TIMEOUT_MS,
    };
}

static struct op *send_body(struct kube *kube, struct kube_request request,
                            const char *content_type, const json_t *body, const struct call *like)
{
    request.content_type = content_type;
    request.take_body = doc_print_json(body);
    return send_call(kube, &request, like);
}

// Whether the server compares a version in the body with that of the object that is there. A uid
// would not do: it drops that of a subresource's body unseen.
static bool has_version(const json_t *body)
{
    return *doc_str(body, "metadata", "resourceVersion", NULL);
}

// Of a JSON patch: it tests one of them, or gives the object a version, which the server compares.
static bool has_test(const json_t *operations)
{
    for (size_t i = 0; i < json_array_size(operations); i++) {
        const json_t *operation = json_array_get(operations, i);
        const char *path = doc_str(operation, "path", NULL);
        bool tests = str_eq(doc_str(operation, "op", NULL), "test");
        if (*doc_str(operation, "value", NULL) &&
            (str_eq(path, "/metadata/resourceVersion") || (tests && str_eq(path, "/metadata/uid"))))
            return true;
    }
    return false;
}

// The answer's name; NULL: what is answered is not the object, but a collection or a subresource's.
static char *name_of(const struct kube_ref *ref)
{
    bool other = ref->subresource && !str_eq(ref->subresource, "status");
    return other || !ref->name ? NULL : str_dup(ref->name);
}

struct op *kube_get(struct kube *kube, const struct kube_ref *ref, kube_done_fn *done, void *owner)
{
    struct kube_request request = request_of(kube, "GET", kube_path(ref));
    if (ref->name)
        request.body_bytes_max = kube->object_bytes_max;
    return send_call(
        kube, &request,
        &(struct call){.done = done, .reads = true, .name = name_of(ref), .owner = owner});
}

struct op *kube_list_metadata(struct kube *kube, const struct kube_ref *ref,
                              const char *label_selector, kube_done_fn *done, void *owner)
{
    struct kube_query query = kube_query_of(ref);
    kube_query_add(&query, "labelSelector", label_selector);
    struct kube_request request = request_of(kube, "GET", buf_take(&query.url));
    request.accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    return send_call(kube, &request,
                     &(struct call){.done = done,
                                    .reads = true,
                                    .lists = true,
                                    .nodes_max = DOC_NODES_MAX,
                                    .owner = owner});
}

struct op *kube_get_path(struct kube *kube, const char *path, size_t bytes_max, kube_done_fn *done,
                         void *owner)
{
    return kube_get_path_as(kube, path, NULL, bytes_max, done, owner);
}

struct op *kube_get_path_as(struct kube *kube, const char *path, const char *accept,
                            size_t bytes_max, kube_done_fn *done, void *owner)
{
    struct kube_request request = request_of(kube, "GET", str_dup(path));
    if (accept)
        request.accept = accept;
    request.body_bytes_max = bytes_max;
    return send_call(
        kube, &request,
        &(struct call){.done = done, .reads = true, .nodes_max = bytes_max / 16, .owner = owner});
}

struct op *kube_get_text(struct kube *kube, const char *path, size_t bytes_max, kube_text_fn *done,
                         void *owner)
{
    struct kube_request request = request_of(kube, "GET", str_dup(path));
    request.accept = "*/*";
    request.body_bytes_max = bytes_max;
    return send_call(kube, &request, &(struct call){.text_done = done, .owner = owner});
}

// The collection of an object: a create goes to it, unless a subresource (a binding, an eviction, a
// token) is what is made.
static struct op *create(struct kube *kube, const struct kube_ref *ref, const json_t *body,
                         const struct call *like)
{
    struct kube_ref collection = *ref;
    if (!ref->subresource)
        collection.name = NULL;
    return send_body(kube, request_of(kube, "POST", kube_path(&collection)), JSON_TYPE, body, like);
}

struct op *kube_create(struct kube *kube, const struct kube_ref *ref, const json_t *body,
                       kube_done_fn *done, void *owner)
{
    const char *named = doc_str(body, "metadata", "name", NULL);
    // A review has no name, and what the server names has another one.
    char *name = ref->subresource || !*named ? NULL : str_dup(named);
    return create(kube, ref, body,
                  &(struct call){.done = done, .wrote = true, .name = name, .owner = owner});
}

struct op *kube_create_text(struct kube *kube, const struct kube_ref *ref, const json_t *body,
                            kube_text_fn *done, void *owner)
{
    return create(kube, ref, body, &(struct call){.text_done = done, .owner = owner});
}

struct op *kube_replace(struct kube *kube, const struct kube_ref *ref, const json_t *body,
                        kube_done_fn *done, void *owner)
{
    struct kube_request request = request_of(kube, "PUT", kube_path(ref));
    request.unconditional = !has_version(body);
    return send_body(
        kube, request, JSON_TYPE, body,
        &(struct call){.done = done, .wrote = true, .name = name_of(ref), .owner = owner});
}

static const char *patch_content_type(enum kube_patch_type type)
{
    if (type == KUBE_PATCH_MERGE)
        return "application/merge-patch+json";
    if (type == KUBE_PATCH_JSON)
        return "application/json-patch+json";
    return "application/apply-patch+yaml"; // JSON is YAML
}

static struct op *send_patch(struct kube *kube, const struct kube_ref *ref,
                             const struct kube_patch *patch, const struct call *like)
{
    ASSERT(patch->type != KUBE_PATCH_APPLY || patch->field_manager);
    struct kube_query query = kube_query_of(ref);
    kube_query_add(&query, "fieldManager", patch->field_manager);
    if (patch->type == KUBE_PATCH_APPLY && patch->force)
        kube_query_add(&query, "force", "true");
    if (patch->dry_run)
        kube_query_add(&query, "dryRun", "All");
    struct kube_request request = request_of(kube, "PATCH", buf_take(&query.url));
    request.unconditional =
        !patch->dry_run && !patch->creates && !has_test(patch->body) && !has_version(patch->body);
    return send_body(kube, request, patch_content_type(patch->type), patch->body, like);
}

struct op *kube_patch(struct kube *kube, const struct kube_ref *ref, const struct kube_patch *patch,
                      kube_done_fn *done, void *owner)
{
    return send_patch(
        kube, ref, patch,
        &(struct call){.done = done, .wrote = true, .name = name_of(ref), .owner = owner});
}

struct op *kube_patch_glance(struct kube *kube, const struct kube_ref *ref,
                             const struct kube_patch *patch, kube_glance_fn *glance,
                             kube_done_fn *done, void *owner)
{
    return send_patch(
        kube, ref, patch,
        &(struct call){
            .done = done, .glance = glance, .wrote = true, .name = name_of(ref), .owner = owner});
}

struct op *kube_patch_text(struct kube *kube, const struct kube_ref *ref,
                           const struct kube_patch *patch, kube_text_fn *done, void *owner)
{
    return send_patch(kube, ref, patch, &(struct call){.text_done = done, .owner = owner});
}

struct op *kube_delete(struct kube *kube, const struct kube_ref *ref, const char *uid,
                       const char *resource_version, kube_done_fn *done, void *owner)
{
    AUTO_JSON json_t *options = json_pack("{s:s, s:s, s:s}", "kind", "DeleteOptions", "apiVersion",
                                          "v1", "propagationPolicy", "Background");
    if (uid && *uid)
        doc_set(options, doc_string(uid), "preconditions", "uid", NULL);
    if (resource_version && *resource_version)
        doc_set(options, doc_string(resource_version), "preconditions", "resourceVersion", NULL);
    struct kube_request request = request_of(kube, "DELETE", kube_path(ref));
    request.unconditional = json_object_size(json_object_get(options, "preconditions")) == 0;
    return send_body(
        kube, request, JSON_TYPE, options,
        &(struct call){.done = done, .owner = owner, .deletes = true, .name = str_dup(ref->name)});
}
