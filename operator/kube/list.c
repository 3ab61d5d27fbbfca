// SPDX-License-Identifier: Apache-2.0
// Lists, item by item as the bytes arrive: the memory of one item, however many there are.
// kube_list() collects them for callers who want the whole.
#include "kube_internal.h"

#include <string.h>

uint64_t kube_list_ms_max = 300000;

struct listing {
    struct op op; // first
    struct kube *kube;
    struct op *pending, *deadline;
    unsigned pages, skipped;
    bool nameless; // an item without a name: no server of Kubernetes has such an object
    // next: the continue token
    char *path, *label_selector, *field_selector, *resource_version, *next;
    struct kube_items items;
    struct buf scratch; // an item without what nobody reads
    // for items that leave it to the list; NULL until the first item, then "" where unknown
    char *api_version, *item_kind;
    json_t *collected; // kube_list()
    // of this answer and those before it, held against KUBE_BODY_BYTES_MAX when collecting
    size_t bytes;
    bool whole;    // no pages: a continue token ran out in the middle
    bool *dropped; // of the turn that is handing out items
    char *resource;
    kube_item_fn *on_item;
    kube_skip_fn *on_skip; // NULL: nobody asks
    kube_done_fn *done;
    void *owner;
};

static void send_page(struct listing *listing);

static void listing_free(struct listing *listing)
{
    if (listing->dropped)
        *listing->dropped = true;
    listing->pending = op_drop(listing->pending);
    listing->deadline = op_drop(listing->deadline);
    kube_items_fini(&listing->items);
    buf_fini(&listing->scratch);
    json_decref(listing->collected);
    char *owned[] = {
        listing->path, listing->label_selector, listing->field_selector, listing->resource_version,
        listing->next, listing->api_version,    listing->item_kind,      listing->resource};
    for (size_t i = 0; i < COUNT(owned); i++)
        mem_free(owned[i]);
    mem_free(listing);
}

static void listing_finish(struct listing *listing, struct error *take_err, json_t *take_body)
{
    kube_done_fn *done = listing->done;
    void *owner = listing->owner;
    listing_free(listing);
    done(owner, take_err, take_body);
}

// The items of a built-in kind's list do not repeat apiVersion and kind, a watch of the same kind
// does: here they get them too.
static void learn_kind(struct listing *listing)
{
    if (listing->item_kind)
        return;
    AUTO_JSON json_t *envelope = NULL;
    AUTO(error) struct error *err = kube_items_envelope(&listing->items, &envelope);
    const char *kind = doc_str(envelope, "kind", NULL);
    bool known = !err && str_ends(kind, "List") && strlen(kind) > 4;
    listing->item_kind = known ? str_ndup(kind, strlen(kind) - 4) : str_dup("");
    listing->api_version = str_dup(doc_str(envelope, "apiVersion", NULL));
}

static void add_kind(const struct listing *listing, json_t *item)
{
    if (!listing->item_kind[0] || json_object_get(item, "kind"))
        return;
    doc_set(item, doc_string(listing->api_version), "apiVersion", NULL);
    doc_set(item, doc_string(listing->item_kind), "kind", NULL);
}

static struct error *parse_item(struct listing *listing, struct slice text, json_t **ret_item)
{
    if (listing->items.too_large)
        return error_new(ERROR_LIMIT, "larger than %zu bytes", listing->kube->object_bytes_max);
    bool exact;
    text = kube_cut_managed_fields(text, KUBE_DEPTH_ITEM, &listing->scratch);
    return kube_parse_object(text, KUBE_NODES_MAX, ret_item, &exact);
}

static void take_item(struct listing *listing, struct slice text)
{
    AUTO_JSON json_t *item = NULL;
    AUTO(error) struct error *err = parse_item(listing, text, &item);
    if (err) {
        AUTO_MEM char *key = kube_text_key(text, KUBE_DEPTH_ITEM);
        AUTO_MEM char *version = kube_metadata_text(text, KUBE_DEPTH_ITEM, "resourceVersion");
        kube_note_skipped(listing->kube, listing->resource, key, err);
        listing->skipped++;
        if (listing->on_skip)
            listing->on_skip(listing->owner, key, version, err);
        return;
    }
    if (!*doc_str(item, "metadata", "name", NULL)) {
        listing->nameless = true;
        return;
    }
    learn_kind(listing);
    add_kind(listing, item);
    if (listing->collected)
        json_array_append(listing->collected, item);
    else
        listing->on_item(listing->owner, item);
}

static void on_data(void *owner, struct slice bytes)
{
    struct listing *listing = owner;
    bool dropped = false;
    listing->dropped = &dropped;
    listing->bytes += bytes.len;
    struct slice rest = bytes, text;
    struct error *err = NULL;
    while (kube_items_next(&listing->items, &rest, &text)) {
        take_item(listing, text);
        if (dropped)
            return;
    }
    listing->dropped = NULL;
    if (listing->items.broken)
        err = error_new(ERROR_TRANSIENT, "not a list: %s", listing->items.broken);
    if (!err && listing->nameless)
        err = error_new(ERROR_TRANSIENT, "not a list: an item has no name");
    if (!err && listing->collected && listing->bytes > KUBE_BODY_BYTES_MAX)
        err = error_new(ERROR_LIMIT, "the list is larger than %zu bytes", KUBE_BODY_BYTES_MAX);
    if (err)
        listing_finish(listing, err, NULL);
}

static json_t *list_body(struct listing *listing, const json_t *envelope)
{
    json_t *body = json_object();
    const json_t *metadata = doc_get(envelope, "metadata", NULL);
    json_t *copy = json_is_object(metadata) ? doc_copy(metadata) : json_object();
    json_object_set_new(body, "metadata", copy);
    if (listing->collected)
        json_object_set_new(body, "items", TAKE(listing->collected));
    if (listing->skipped)
        json_object_set_new(body, "skipped", json_integer(listing->skipped));
    return body;
}

// A continue token older than the server's history: once more from the beginning, in one answer.
// Only where nothing was given out yet.
static bool starts_over(struct listing *listing, const struct error *err)
{
    if (!err || error_kind(err) != ERROR_GONE || !listing->collected || listing->whole ||
        !listing->next)
        return false;
    listing->whole = true;
    mem_free(TAKE(listing->next));
    json_array_clear(listing->collected);
    listing->bytes = 0;
    listing->skipped = 0;
    send_page(listing);
    return true;
}

static void on_page(void *owner, struct error *take_err,
                    const struct http_response *response UNUSED)
{
    struct listing *listing = owner;
    listing->pending = NULL;
    if (starts_over(listing, take_err)) {
        error_free(take_err);
        return;
    }
    struct error *err = take_err;
    AUTO_JSON json_t *envelope = NULL;
    if (!err && listing->items.depth > 0)
        err = error_new(ERROR_TRANSIENT, "not a list: the answer ends in the middle");
    if (!err)
        err = kube_items_envelope(&listing->items, &envelope);
    if (!err && !json_is_object(envelope))
        err = error_new(ERROR_TRANSIENT, "not a list: the answer is empty");
    // "Nothing is there" is believed of a list alone: what is deleted then does not come back.
    const json_t *items = json_object_get(envelope, "items");
    if (!err && !json_is_array(items) && !json_is_null(items))
        err = error_new(ERROR_TRANSIENT, "not a list: the answer has no items");
    if (err) {
        listing_finish(listing, err, NULL);
        return;
    }
    const char *next = doc_str(envelope, "metadata", "continue", NULL);
    if (next[0] && ++listing->pages >= KUBE_LIST_PAGES_MAX)
        err = error_new(ERROR_TRANSIENT, "the list has more than %d pages", KUBE_LIST_PAGES_MAX);
    else if (strlen(next) > KUBE_CONTINUE_BYTES_MAX)
        err = error_new(ERROR_TRANSIENT, "the list's continue token is longer than %d bytes",
                        KUBE_CONTINUE_BYTES_MAX);
    if (err) {
        listing_finish(listing, err, NULL);
        return;
    }
    if (next[0]) {
        mem_free(listing->next);
        listing->next = str_dup(next);
        send_page(listing);
        return;
    }
    json_t *body = list_body(listing, envelope);
    listing_finish(listing, NULL, body);
}

static void send_page(struct listing *listing)
{
    kube_items_reset(&listing->items);
    struct kube_query query = {.url = buf_make((size_t)1 << 16)};
    buf_add_str(&query.url, listing->path);
    kube_query_add(&query, "labelSelector", listing->label_selector);
    kube_query_add(&query, "fieldSelector", listing->field_selector);
    // "Not older than" is answered from the server's memory, whole; a limit would turn it into
    // "exactly at".
    const char *version = listing->resource_version;
    bool paged = !listing->whole && (!version[0] || str_eq(version, "0"));
    AUTO_MEM char *limit = str_format("%d", KUBE_PAGE_ITEMS);
    if (paged)
        kube_query_add(&query, "limit", limit);
    if (listing->next)
        kube_query_add(&query, "continue", listing->next);
    else
        kube_query_add(&query, "resourceVersion", version);
    struct kube_request request = {
        .method = "GET",
        .take_path = buf_take(&query.url),
        .accept = "application/json",
        .body_bytes_max = listing->kube->object_bytes_max,
        .timeout_ms = kube_list_ms_max,
        .idle_ms = KUBE_TIMEOUT_MS,
        .on_data = on_data,
    };
    listing->pending = kube_request_send(listing->kube, &request, on_page, listing);
}

// A server that always has another page, or takes its time for each, does not end by itself.
static void on_deadline(void *owner)
{
    struct listing *listing = owner;
    listing->deadline = NULL;
    listing_finish(listing,
                   error_new(ERROR_TRANSIENT, "the list was not whole after %llu s",
                             (unsigned long long)kube_list_ms_max / 1000),
                   NULL);
}

static void on_drop(struct op *op)
{
    listing_free((struct listing *)(void *)op);
}

static struct listing *listing_new(struct kube *kube, const struct kube_ref *ref,
                                   const char *label_selector, const char *field_selector)
{
    struct listing *listing = NEW(struct listing);
    listing->op.drop = on_drop;
    listing->kube = kube;
    listing->deadline = loop_sleep(kube->loop, kube_list_ms_max, on_deadline, listing);
    listing->path = kube_path(ref);
    listing->resource = str_dup(ref->resource);
    listing->label_selector = str_dup(label_selector);
    listing->field_selector = str_dup(field_selector);
    listing->items = kube_items_make(kube->object_bytes_max);
    listing->scratch = buf_make(kube->object_bytes_max);
    return listing;
}

struct op *kube_list(struct kube *kube, const struct kube_ref *ref, const char *label_selector,
                     const char *field_selector, kube_done_fn *done, void *owner)
{
    struct listing *listing = listing_new(kube, ref, label_selector, field_selector);
    listing->resource_version = str_dup("");
    listing->collected = json_array();
    listing->done = done;
    listing->owner = owner;
    send_page(listing);
    return &listing->op;
}

struct op *kube_list_each(struct kube *kube, const struct kube_ref *ref, const char *label_selector,
                          const char *field_selector, const char *resource_version,
                          kube_item_fn *on_item, kube_done_fn *done, void *owner)
{
    struct listing *listing = listing_new(kube, ref, label_selector, field_selector);
    listing->resource_version = str_dup(resource_version);
    listing->on_item = on_item;
    listing->done = done;
    listing->owner = owner;
    send_page(listing);
    return &listing->op;
}

void kube_list_on_skip(struct op *op, kube_skip_fn *fn)
{
    struct listing *listing = (struct listing *)(void *)op;
    listing->on_skip = fn;
}
