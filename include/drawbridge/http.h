// SPDX-License-Identifier: Apache-2.0
// http: requests over HTTP/1.1 with connection reuse; whole bodies and streams.
//
// Purpose   bytes there and back; TLS, proxies, time-outs, caps
// Owns      libcurl (one multi handle on the loop)
// May use   loop base
// Never     words of Kubernetes; retries (the caller decides); redirects; files other than those a
//           request names
// Limits    body_bytes_max of each request; HTTP_REQUESTS_MAX at once, further ones wait their turn
// Blocking  no (name resolution runs in curl's own thread or resolver)
#pragma once

#include "drawbridge/loop.h"

#define HTTP_REQUESTS_MAX 64 // transfers at once in one struct http, streams not counted

struct http;
struct http *http_new(struct loop *loop, const char *user_agent);
void http_free(struct http *http); // all its ops must be gone: asserted
AUTO_DECLARE(http, struct http)
unsigned http_in_flight(const struct http *http);
// Closes idle connections: after certificates or tokens were rotated.
void http_forget_connections(struct http *http);
// What servers send may take no more of our time than this: burst_ms of work in on_data at once,
// and of the time after it so many percent. The servers wait meanwhile; nothing is lost.
void http_pace(struct http *http, uint64_t burst_ms, unsigned percent);
// Called for each finished request, for metrics: status 0 when there was no answer. took_ms is
// HTTP_FOLLOWED of a stream that had no end of its own to come to (a watch): how long it lasted
// says nothing about the server. NULL: nobody listens.
#define HTTP_FOLLOWED UINT64_MAX
typedef void http_observe_fn(void *owner, const char *method, const char *host, long status,
                             uint64_t took_ms);
void http_set_observer(struct http *http, http_observe_fn *fn, void *owner);

// How a server is trusted and who we are to it. All strings are borrowed for the call of
// http_send().
struct http_tls {
    struct slice ca_pem;            // empty: the system's
    const char *ca_file;            // NULL: ca_pem or the system's
    struct slice cert_pem, key_pem; // a client certificate; empty: none
    const char *cert_file, *key_file;
    const char *server_name; // NULL: the URL's host (SNI and the name that is checked)
    bool insecure;           // no verification at all
};

struct http_request {
    const char *method;         // "GET", ...
    const char *url;            // http:// or https://
    const char *unix_socket;    // NULL: TCP
    const char *proxy;          // NULL: HTTPS_PROXY and NO_PROXY of the environment; "": none
    const char *const *headers; // "Name: value", NULL-terminated; NULL: none
    struct slice body;          // copied
    const struct http_tls *tls; // NULL: the system's CAs
    // of the answer, or of what a stream holds back; ERROR_LIMIT above it
    size_t body_bytes_max;
    uint64_t timeout_ms; // for the whole exchange; must be set unless it is a stream
    // a stream without a byte for so long ends TRANSIENT; 0: whole answers
    uint64_t idle_ms;
    uint64_t connect_timeout_ms; // 0: 10 s
    // Streams (idle_ms > 0): called with what arrived, only while the status is 2xx. Other answers
    // are collected. Not inside a curl callback: ops may be dropped there, the stream's own too.
    void (*on_data)(void *owner, struct slice bytes);
};

struct http_response {
    long status;
    struct slice body;        // what was collected
    const char *content_type; // "" when absent
    const char *retry_after;  // "" when absent
    const char *warning;      // the first Warning header, "" when absent
};

// take_err is set (response NULL) when there was no complete answer: TRANSIENT, LIMIT, DENIED (TLS
// verification), INVALID (URL). Any status is an answer. The response is borrowed for the callback.
typedef void http_done_fn(void *owner, struct error *take_err,
                          const struct http_response *response);
MUST_USE struct op *http_send(struct http *http, const struct http_request *request,
                              http_done_fn *done, void *owner);
