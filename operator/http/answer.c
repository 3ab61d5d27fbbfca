// SPDX-License-Identifier: Apache-2.0
// How a transfer ended: curl's result codes to our kinds of error, and the parts of an answer that
// callers see.
#include "http_internal.h"

static enum error_kind kind_of(CURLcode code)
{
    switch ((int)code) { // curl has many more codes than concern HTTP: what is not named may do
                         // better next time
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return ERROR_DENIED;
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return ERROR_INVALID;
    default:
        return ERROR_TRANSIENT;
    }
}

struct error *http_transfer_error(const struct http_transfer *transfer)
{
    const char *method = transfer->method, *url = transfer->url;
    if (transfer->refused)
        return error_new(ERROR_INVALID, "%s %s: %s", method, url, transfer->refused);
    if (transfer->over_limit)
        return error_new(ERROR_LIMIT, "%s %s: the answer is larger than %zu bytes", method, url,
                         transfer->data.max);
    if (transfer->idle_ended)
        return error_new(ERROR_TRANSIENT, "%s %s: nothing came for %llu s", method, url,
                         (unsigned long long)(transfer->idle_ms / 1000));
    if (transfer->code == CURLE_OK)
        return NULL;
    if (transfer->code == CURLE_OPERATION_TIMEDOUT && transfer->timeout_ms > 0)
        return error_new(ERROR_TRANSIENT, "%s %s: timed out after %llu ms", method, url,
                         (unsigned long long)(clock_ms() - transfer->started_ms));
    const char *text =
        transfer->curl_error[0] ? transfer->curl_error : curl_easy_strerror(transfer->code);
    return error_new(kind_of(transfer->code), "%s %s: %s", method, url, text);
}

static const char *header_of(const struct http_transfer *transfer, const char *name)
{
    struct curl_header *header = NULL;
    if (curl_easy_header(transfer->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return "";
    return header->value;
}

void http_transfer_response(const struct http_transfer *transfer,
                            struct http_response *ret_response)
{
    ret_response->content_type = ret_response->retry_after = ret_response->warning = "";
    if (!transfer->easy)
        return;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &ret_response->status);
    ret_response->body = buf_slice(&transfer->data);
    ret_response->content_type = header_of(transfer, "Content-Type");
    ret_response->retry_after = header_of(transfer, "Retry-After");
    ret_response->warning = header_of(transfer, "Warning");
}
