// SPDX-License-Identifier: Apache-2.0
// testkit: a scripted HTTP/1.1 server on the loop of the test, in the same process: the test's
// function gets each request and answers now, later, in portions, wrongly, or not at all.
#pragma once

#include "drawbridge/loop.h"

struct server;
struct server_conn; // one connection; gone when its peer or the test closes it
struct server_request {
    const char *method, *target; // the target is the path with its query
    const char *head;            // all header lines
    struct slice body;
};
typedef void server_fn(void *owner, struct server_conn *conn, const struct server_request *request);
typedef void server_close_fn(void *owner, struct server_conn *conn);

// 127.0.0.1, any port; aborts when it cannot
struct server *server_new(struct loop *loop, server_fn *fn, void *owner);
void server_free(struct server *server); // closes its connections
AUTO_DECLARE(server, struct server)
void server_on_close(struct server *server, server_close_fn *fn);
const char *server_url(const struct server *server);   // "http://127.0.0.1:1234"
unsigned server_requests(const struct server *server); // so far
unsigned server_accepted(const struct server *server); // connections so far
unsigned server_open(const struct server *server);     // connections now
// the port answers no more; open connections stay. True the first time
bool server_stop_accepting(struct server *server);

// The value of a header, "" when absent; yours.
char *server_header(const struct server_request *request, const char *name);

// A whole answer; the connection stays open. headers: "A: b\r\n" each, or "".
void server_reply(struct server_conn *conn, int status, const char *headers, const char *body);
// An answer in portions.
void server_begin(struct server_conn *conn, int status, const char *headers);
void server_chunk(struct server_conn *conn, struct slice bytes);
void server_end(struct server_conn *conn);
void server_raw(struct server_conn *conn, struct slice bytes); // as it is
void server_cut(struct server_conn *conn);                     // closes with a reset; conn is gone
