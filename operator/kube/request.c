// SPDX-License-Identifier: Apache-2.0
// One exchange with the server: our credentials on it, another try where the server names a time
// for one (429, 5xx), once where a rotated token or certificate may be the cause. Everything else
// is the caller's to decide.
#include "kube_internal.h"

struct exchange {
    struct op op; // first
    struct kube *kube;
    struct op *pending;    // an http request, a sleep, or the deferred report of refused
    struct error *refused; // there was no request: no credentials, or no leave to write
    struct kube_request request;
    char *url;
    kube_answer_fn *done;
    void *owner;
    unsigned retries;
    bool token_again, tls_again;
};

static void exchange_begin(struct exchange *exchange);

static void exchange_free(struct exchange *exchange)
{
    exchange->kube->ops--;
    exchange->pending = op_drop(exchange->pending);
    error_free(exchange->refused);
    mem_free(exchange->request.take_path);
    mem_free(exchange->request.take_body);
    mem_free(exchange->url);
    mem_free(exchange);
}

static void exchange_finish(struct exchange *exchange, struct error *take_err,
                            const struct http_response *response)
{
    kube_answer_fn *done = exchange->done;
    void *owner = exchange->owner;
    exchange_free(exchange);
    done(owner, take_err, take_err ? NULL : response);
}

static void on_retry(void *owner)
{
    struct exchange *exchange = owner;
    exchange->pending = NULL;
    exchange_begin(exchange);
}

static void on_refused(void *owner)
{
    struct exchange *exchange = owner;
    exchange->pending = NULL;
    exchange_finish(exchange, TAKE(exchange->refused), NULL);
}

// True when the exchange goes on.
static bool tries_again(struct exchange *exchange, const struct error *err, long status)
{
    struct kube *kube = exchange->kube;
    if (status == 0 && error_kind(err) == ERROR_DENIED && !exchange->tls_again) {
        exchange->tls_again = true;
        if (!kube_creds_reload_pems(kube))
            return false;
        exchange_begin(exchange);
        return true;
    }
    if (status == 401)
        kube->unauthorized++;
    if (status == 401 && !exchange->token_again) {
        exchange->token_again = true;
        if (!kube_creds_reload_token(kube))
            return false;
        exchange_begin(exchange);
        return true;
    }
    uint64_t after_ms = error_retry_after_ms(err);
    bool may =
        (status == 429 || status >= 500) && after_ms > 0 && after_ms <= KUBE_RETRY_AFTER_MS_MAX;
    if (!may || exchange->retries >= KUBE_RETRIES_MAX)
        return false;
    exchange->retries++;
    // Up to a tenth more: those who were turned away together should not come back together.
    exchange->pending =
        loop_sleep(kube->loop, after_ms + rand_below(after_ms / 10 + 1), on_retry, exchange);
    return true;
}

static void on_answer(void *owner, struct error *take_err, const struct http_response *response)
{
    struct exchange *exchange = owner;
    exchange->pending = NULL;
    if (response && response->warning[0])
        log_line(LOG_DEBUG, "kube", "the server warns: %s", response->warning);
    if (!take_err && response->status >= 200 && response->status < 300) {
        exchange_finish(exchange, NULL, response);
        return;
    }
    struct error *err = take_err ? take_err : kube_status_error(response);
    if (tries_again(exchange, err, response ? response->status : 0)) {
        error_free(err);
        return;
    }
    exchange_finish(exchange, err, NULL);
}

static void on_data(void *owner, struct slice bytes)
{
    const struct exchange *exchange = owner;
    exchange->request.on_data(exchange->owner, bytes);
}

// The one place that every write goes through, each time that it is sent.
static struct error *check_guard(const struct kube *kube, const struct kube_request *request)
{
    if (!kube->may_write || str_eq(request->method, "GET"))
        return NULL;
    if (!kube->may_write(kube->may_write_owner))
        return error_new(ERROR_CANCELED, "the lease is lost: nothing is written");
    if (request->unconditional)
        return error_new(ERROR_INTERNAL, "%s %s would be written without a precondition",
                         request->method, request->take_path);
    return NULL;
}

static void exchange_begin(struct exchange *exchange)
{
    struct kube *kube = exchange->kube;
    exchange->refused = check_guard(kube, &exchange->request);
    if (!exchange->refused)
        exchange->refused = kube_creds_refresh(kube);
    if (exchange->refused) {
        exchange->pending = loop_defer(kube->loop, on_refused, exchange);
        return;
    }
    const struct kube_request *request = &exchange->request;
    const char *token = kube->token ? kube->token : kube->config->token;
    AUTO_MEM char *authorization = str_format("Authorization: Bearer %s", token ? token : "");
    AUTO_MEM char *accept = str_format("Accept: %s", request->accept);
    AUTO_MEM char *content_type =
        str_format("Content-Type: %s", request->content_type ? request->content_type : "");
    AUTO_MEM char *impersonate =
        str_format("Impersonate-User: %s", kube->impersonate ? kube->impersonate : "");
    const char *headers[5] = {accept};
    size_t count = 1;
    if (token)
        headers[count++] = authorization;
    if (kube->impersonate)
        headers[count++] = impersonate;
    if (request->content_type)
        headers[count] = content_type;
    struct http_tls tls = kube_creds_tls(kube);
    struct http_request http_request = {
        .method = request->method,
        .url = exchange->url,
        .proxy = kube->config->proxy,
        .headers = headers,
        .body = slice_of(request->take_body),
        .tls = &tls,
        .body_bytes_max = request->body_bytes_max,
        .timeout_ms = request->timeout_ms,
        .idle_ms = request->idle_ms,
        .on_data = request->on_data ? on_data : NULL,
    };
    exchange->pending = http_send(kube->http, &http_request, on_answer, exchange);
}

static void on_drop(struct op *op)
{
    exchange_free((struct exchange *)(void *)op);
}

struct op *kube_request_send(struct kube *kube, const struct kube_request *take_request,
                             kube_answer_fn *done, void *owner)
{
    struct exchange *exchange = NEW(struct exchange);
    exchange->op.drop = on_drop;
    exchange->kube = kube;
    exchange->request = *take_request;
    exchange->url = str_format("%s%s", kube->config->server, take_request->take_path);
    exchange->done = done;
    exchange->owner = owner;
    kube->ops++;
    exchange_begin(exchange);
    return &exchange->op;
}
