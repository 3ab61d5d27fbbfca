// SPDX-License-Identifier: Apache-2.0
// The client of verbs that ask the API server something and end.
#include "client.h"
#include "plugin.h"

struct call {
    struct loop *loop;
    unsigned unauthorized; // of the client, before it
    bool again;            // it was repeated already
    struct error *err;
    json_t *body;
    char *text;
};

static void on_done(void *owner, struct error *take_err, json_t *take_body)
{
    struct call *call = owner;

    call->err = take_err;
    call->body = take_body;
    loop_stop(call->loop);
}

// What the plugin gives is what counts from now on.
static struct error *log_in(struct client *client)
{
    struct plugin_credential credential = {0};
    struct error *err = plugin_run(client->loop, client->exec, client->stdin_taken, &credential);

    if (err)
        return err;
    client->expires_ms = credential.expires_ms;
    kube_set_credentials(client->kube, credential.token, credential.cert_pem, credential.key_pem);
    plugin_credential_fini(&credential);
    return NULL;
}

static struct error *freshen(struct client *client)
{
    bool expired = client->expires_ms && clock_wall_ms() > client->expires_ms;

    return client->exec && expired ? log_in(client) : NULL;
}

// False: the error is in call.
static bool begin(struct client *client, struct call *call)
{
    *call = (struct call){.loop = client->loop, .again = call->again};
    call->err = freshen(client);
    call->unauthorized = kube_unauthorized(client->kube);
    return !call->err;
}

// Runs the loop until the answer is there. True: the call is to be made once more, since the server
// did not take our credentials and the plugin has others now.
static bool repeats(struct client *client, struct call *call)
{
    struct error *err;

    loop_run(client->loop);
    if (!call->err || !client->exec || call->again ||
        kube_unauthorized(client->kube) == call->unauthorized)
        return false;
    call->again = true;
    err = log_in(client);
    error_free(call->err);
    call->err = err;
    return !err;
}

static struct error *finish(struct call *call, json_t **ret_body)
{
    if (!call->err)
        *ret_body = call->body;
    return call->err;
}

struct error *client_open(struct client *client, const struct client_settings *settings)
{
    struct kube_config *config = NULL;
    struct error *err = kube_config_load_person(settings->kubeconfig, settings->context, &config);

    if (err)
        return err;
    client->namespace =
        str_dup(settings->namespace ? settings->namespace : kube_config_namespace(config));
    client->all_namespaces = settings->all_namespaces;
    client->stdin_taken = settings->stdin_taken;
    client->exec = kube_config_exec(config) ? doc_copy(kube_config_exec(config)) : NULL;
    client->loop = loop_new();
    client->http = http_new(client->loop, "drawbridge/" DRAWBRIDGE_VERSION);
    client->kube = kube_new(client->loop, client->http, config);
    return client->exec ? log_in(client) : NULL;
}

const char *client_scope(const struct client *client)
{
    return client->all_namespaces ? NULL : client->namespace;
}

char *client_scope_text(const struct client *client)
{
    return client->all_namespaces ? str_dup("in any namespace")
                                  : str_format("in namespace %s", client->namespace);
}

struct error *client_switch(struct client *client, struct slice kubeconfig)
{
    struct kube_config *config = NULL;
    struct error *err = kube_config_parse_untrusted(kubeconfig, &config);

    if (err)
        return err;
    kube_free(client->kube);
    json_decref(TAKE(client->exec)); // a login to the other cluster
    client->kube = kube_new(client->loop, client->http, config);
    return NULL;
}

void client_fini(struct client *client)
{
    kube_free(client->kube);
    http_free(client->http);
    mem_free(client->namespace);
    json_decref(client->exec);
    loop_free(client->loop);
    *client = (struct client){0};
}

struct error *client_get_path(struct client *client, const char *path, json_t **ret_body)
{
    struct call call = {0};

    while (begin(client, &call)) {
        struct op *op = kube_get_path(client->kube, path, KUBE_BODY_BYTES_MAX, on_done, &call);
        (void)op; // gone when the loop stops
        if (!repeats(client, &call))
            break;
    }
    return finish(&call, ret_body);
}

// --- many ----------------------------------------------------------------------------------------

struct gathering {
    struct client *client;
    const struct strlist *paths;
    client_each_fn *each;
    void *owner;
    size_t next, answered;
};

struct gathered {
    struct gathering *gathering;
    size_t index;
};

static void on_gathered(void *owner, struct error *take_err, json_t *take_body);

static void ask_next(struct gathering *gathering)
{
    struct gathered *one;

    if (gathering->next == gathering->paths->len)
        return;
    one = NEW(struct gathered);
    *one = (struct gathered){gathering, gathering->next++};
    struct op *op = kube_get_path(gathering->client->kube, gathering->paths->items[one->index],
                                  KUBE_BODY_BYTES_MAX, on_gathered, one);
    (void)op; // gone when the last has its answer
}

static void on_gathered(void *owner, struct error *take_err, json_t *take_body)
{
    struct gathered *one = owner;
    struct gathering *gathering = one->gathering;
    size_t index = one->index;

    mem_free(one);
    gathering->each(gathering->owner, index, take_err, take_body);
    ask_next(gathering);
    if (++gathering->answered == gathering->paths->len)
        loop_stop(gathering->client->loop);
}

void client_get_each(struct client *client, const struct strlist *paths, client_each_fn *each,
                     void *owner)
{
    struct gathering gathering = {client, paths, each, owner, 0, 0};

    error_ignore(freshen(client), "the answers will tell");
    for (size_t i = 0; i < CLIENT_AT_ONCE_MAX; i++)
        ask_next(&gathering);
    if (paths->len > 0)
        loop_run(client->loop);
}

static void on_text(void *owner, struct error *take_err, struct slice text)
{
    struct call *call = owner;

    call->err = take_err;
    call->text = take_err ? NULL : slice_dup(text);
    loop_stop(call->loop);
}

struct error *client_get_text(struct client *client, const char *path, char **ret_text)
{
    struct call call = {0};

    while (begin(client, &call)) {
        struct op *op = kube_get_text(client->kube, path, (size_t)32 << 20, on_text, &call);
        (void)op; // gone when the loop stops
        if (!repeats(client, &call))
            break;
    }
    *ret_text = call.text;
    return call.err;
}

struct error *client_list(struct client *client, const struct kube_ref *ref, json_t **ret_list)
{
    struct call call = {0};

    while (begin(client, &call)) {
        struct op *op = kube_list(client->kube, ref, NULL, NULL, on_done, &call);
        (void)op; // gone when the loop stops
        if (!repeats(client, &call))
            break;
    }
    return finish(&call, ret_list);
}

struct kept {
    struct call call; // first: on_done() is given this
    client_keep_fn *keep;
    json_t *items;
    size_t max;
    bool more;
};

static void on_item(void *owner, json_t *item)
{
    struct kept *kept = owner;
    json_t *made = kept->keep(item);

    if (!made)
        return;
    if (json_array_size(kept->items) < kept->max) {
        json_array_append_new(kept->items, made);
        return;
    }
    json_decref(made);
    kept->more = true;
}

struct error *client_list_kept(struct client *client, const struct kube_ref *ref,
                               const char *field_selector, client_keep_fn *keep, size_t max,
                               json_t **ret_items, bool *ret_more)
{
    struct kept kept = {.keep = keep, .items = json_array(), .max = max};

    while (begin(client, &kept.call)) {
        struct op *op =
            kube_list_each(client->kube, ref, NULL, field_selector, "0", on_item, on_done, &kept);

        (void)op; // gone when the loop stops
        if (!repeats(client, &kept.call))
            break;
        json_array_clear(kept.items); // of the first pages
        kept.more = false;
    }
    json_decref(kept.call.body);
    *ret_more = kept.more;
    if (kept.call.err)
        json_decref(kept.items);
    else
        *ret_items = kept.items;
    return kept.call.err;
}

struct error *client_create(struct client *client, const struct kube_ref *ref, const json_t *object,
                            json_t **ret_object)
{
    struct call call = {0};

    while (begin(client, &call)) {
        struct op *op = kube_create(client->kube, ref, object, on_done, &call);
        (void)op; // gone when the loop stops
        if (!repeats(client, &call))
            break;
    }
    return finish(&call, ret_object);
}

struct error *client_patch(struct client *client, const struct kube_ref *ref,
                           const struct kube_patch *patch, json_t **ret_object)
{
    struct call call = {0};

    while (begin(client, &call)) {
        struct op *op = kube_patch(client->kube, ref, patch, on_done, &call);

        (void)op; // gone when the loop stops
        if (!repeats(client, &call))
            break;
    }
    return finish(&call, ret_object);
}

struct error *client_apply_dry_run(struct client *client, const struct kube_ref *ref,
                                   const char *field_manager, const json_t *object,
                                   json_t **ret_object)
{
    struct kube_patch patch = {.type = KUBE_PATCH_APPLY,
                               .field_manager = field_manager,
                               .force = true,
                               .dry_run = true,
                               .body = object};

    return client_patch(client, ref, &patch, ret_object);
}

static void on_woken(void *owner)
{
    struct client *client = owner;

    loop_stop(client->loop);
}

void client_sleep(struct client *client, uint64_t ms)
{
    struct op *op = loop_sleep(client->loop, ms, on_woken, client);

    (void)op;
    loop_run(client->loop);
}
