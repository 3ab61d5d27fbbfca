// SPDX-License-Identifier: Apache-2.0
// The client against a scripted server: verbs, credentials that rotate, retries.
#include "kube_internal.h"
#include "world.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

static const struct kube_ref PODS = {
    .group = "", .version = "v1", .resource = "pods", .namespace = "n"};
static const struct kube_ref POD = {
    .group = "", .version = "v1", .resource = "pods", .namespace = "n", .name = "p"};

static uint64_t now_ms = 1000000;
static uint64_t fake_clock(void)
{
    return now_ms;
}

static void answer_name(void *owner UNUSED, struct server_conn *conn,
                        const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "", "{\"metadata\":{\"name\":\"p\"}}");
}

TEST(gets)
{
    struct world *world = world_new(answer_name);
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_STR(doc_str(world->body, "metadata", "name", NULL), "p");
    CHECK_STR(world->method, "GET");
    CHECK_STR(world->target, "/api/v1/namespaces/n/pods/p");
    CHECK_HAS(world->head, "Authorization: Bearer sesame\r\n");
    CHECK_HAS(world->head, "Accept: application/json\r\n");
    CHECK_HAS(world->head, "User-Agent: drawbridge-test\r\n");
    world_free(world);
}

static void check_sent(struct world *world, const char *method, const char *target,
                       const char *type, const char *body)
{
    CHECK_OK(TAKE(world->err));
    CHECK_STR(world->method, method);
    CHECK_STR(world->target, target);
    AUTO_MEM char *header = str_format("Content-Type: %s\r\n", type);
    CHECK_HAS(world->head, header);
    CHECK_STR(world->sent, body);
}

TEST(writes)
{
    struct world *world = world_new(answer_name);
    AUTO_JSON json_t *body = json_pack("{s:i}", "a", 1);
    world_wait(world, kube_create(world->kube, &POD, body, world_on_done, world));
    check_sent(world, "POST", "/api/v1/namespaces/n/pods", "application/json", "{\"a\":1}");
    world_wait(world, kube_replace(world->kube, &POD, body, world_on_done, world));
    check_sent(world, "PUT", "/api/v1/namespaces/n/pods/p", "application/json", "{\"a\":1}");
    struct kube_patch patch = {.type = KUBE_PATCH_APPLY,
                               .body = body,
                               .field_manager = "me",
                               .force = true,
                               .dry_run = true};
    struct kube_ref status = POD;
    status.subresource = "status";
    world_wait(world, kube_patch(world->kube, &status, &patch, world_on_done, world));
    check_sent(world, "PATCH",
               "/api/v1/namespaces/n/pods/p/status?fieldManager=me&force=true&dryRun=All",
               "application/apply-patch+yaml", "{\"a\":1}");
    patch = (struct kube_patch){.type = KUBE_PATCH_MERGE, .body = body, .force = true};
    world_wait(world, kube_patch(world->kube, &POD, &patch, world_on_done, world));
    check_sent(world, "PATCH", "/api/v1/namespaces/n/pods/p", "application/merge-patch+json",
               "{\"a\":1}");
    patch.type = KUBE_PATCH_JSON;
    world_wait(world, kube_patch(world->kube, &POD, &patch, world_on_done, world));
    check_sent(world, "PATCH", "/api/v1/namespaces/n/pods/p", "application/json-patch+json",
               "{\"a\":1}");
    world_wait(world, kube_delete(world->kube, &POD, "u", "7", world_on_done, world));
    check_sent(world, "DELETE", "/api/v1/namespaces/n/pods/p", "application/json",
               "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":"
               "\"Background\",\"preconditions\":{\"uid\":\"u\","
               "\"resourceVersion\":\"7\"}}");
    world_free(world);
}

static void answer_text(void *owner, struct server_conn *conn,
                        const struct server_request *request UNUSED)
{
    const struct world *world = owner;
    server_reply(conn, world->step == 0 ? 200 : 500, "Content-Type: text/plain\r\n",
                 "[-]etcd failed");
}

static void on_text(void *owner, struct error *take_err, struct slice text)
{
    if (!take_err)
        CHECK_SLICE(text, "[-]etcd failed");
    world_on_done(owner, take_err, NULL);
}

TEST(gets_text)
{
    struct world *world = world_new(answer_text);
    world_wait(world, kube_get_text(world->kube, "/readyz?verbose", 1000, on_text, world));
    CHECK_OK(TAKE(world->err));
    CHECK_STR(world->target, "/readyz?verbose");
    world_wait(world, kube_get_text(world->kube, "/readyz?verbose", 1000, on_text, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "etcd failed");
    world_free(world);
}

// A page as large as it likes to be, of which two lines are wanted.
#define PAGE_OTHERS 100000
static bool wants(struct slice line)
{
    return line.len > 0 && line.ptr[0] == 'k';
}

static void answer_page(void *owner, struct server_conn *conn,
                        const struct server_request *request UNUSED)
{
    const struct world *world = owner;
    AUTO_BUF struct buf page = buf_make((size_t)16 << 20);
    AUTO_BUF struct buf large = buf_make(KUBE_TEXT_LINE_BYTES_MAX + 10);
    if (world->step == 3) {
        server_reply(conn, 403, "", "{\"kind\":\"Status\",\"message\":\"no\"}");
        return;
    }
    while (large.len <= KUBE_TEXT_LINE_BYTES_MAX)
        buf_add_str(&large, "k");
    buf_add_str(&page, "kept 1\r\n");
    for (unsigned i = 0; i < PAGE_OTHERS; i++)
        buf_printf(&page, "other{le=\"%u\"} 1\n", i);
    buf_printf(&page, "\n%s\nkept 2", large.ptr); // the last line has no end
    server_begin(conn, 200, "");
    // in portions that end anywhere
    for (size_t at = 0; at < page.len; at += 70001)
        server_chunk(
            conn, slice_sub(buf_slice(&page), at, at + 70001 < page.len ? at + 70001 : page.len));
    server_end(conn);
}

static void on_lines(void *owner, struct error *take_err, struct slice text)
{
    if (!take_err)
        CHECK_SLICE(text, "kept 1\nkept 2\n");
    world_on_done(owner, take_err, NULL);
}

TEST(gets_the_lines_of_a_page_that_are_wanted)
{
    struct world *world = world_new(answer_page);
    size_t page = (size_t)32 << 20;
    world_wait(world, kube_get_lines(world->kube, "/metrics", page, 14, wants, on_lines, world));
    CHECK_OK(TAKE(world->err));
    world_wait(world, kube_get_lines(world->kube, "/metrics", page, 13, wants, on_lines, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_LIMIT, "larger than 13 bytes");
    world_wait(world, kube_get_lines(world->kube, "/metrics", 100000, 14, wants, on_lines, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_LIMIT, "larger than 100000 bytes");
    world_wait(world, kube_get_lines(world->kube, "/metrics", page, 14, wants, on_lines, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_DENIED, "no");
    op_drop(kube_get_lines(world->kube, "/metrics", page, 14, wants, on_lines, world));
    world_free(world);
}

static void answer_managed(void *owner UNUSED, struct server_conn *conn,
                           const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "",
                 "{\"metadata\":{\"managedFields\":[{\"manager\":\"me\"}],\"name\":\"p\"}}");
}

static void check_managed(const struct world *world, bool wanted)
{
    CHECK_OK(world->err);
    CHECK_STR(doc_str(world->body, "metadata", "name", NULL), "p");
    CHECK((doc_get(world->body, "metadata", "managedFields", NULL) != NULL) == wanted);
}

static void on_managed_text(void *owner, struct error *take_err, struct slice text)
{
    CHECK_HAS(text.ptr, "managedFields"); // as it came
    world_on_done(owner, take_err, NULL);
}

TEST(answers_of_writes_come_without_managed_fields)
{
    struct world *world = world_new(answer_managed);
    AUTO_JSON json_t *body = json_object();
    struct kube_patch patch = {.type = KUBE_PATCH_MERGE, .body = body};
    world_wait(world, kube_create(world->kube, &POD, body, world_on_done, world));
    check_managed(world, false);
    world_wait(world, kube_replace(world->kube, &POD, body, world_on_done, world));
    check_managed(world, false);
    world_wait(world, kube_patch(world->kube, &POD, &patch, world_on_done, world));
    check_managed(world, false);
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    check_managed(world, true);
    world_wait(world, kube_create_text(world->kube, &POD, body, on_managed_text, world));
    CHECK_OK(world->err);
    CHECK_STR(world->method, "POST");
    CHECK_STR(world->target, "/api/v1/namespaces/n/pods");
    world_free(world);
}

static void answer_nothing(void *owner UNUSED, struct server_conn *conn,
                           const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "", "");
}

static void answer_html(void *owner UNUSED, struct server_conn *conn,
                        const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "", "<html>log in first</html>");
}

TEST(nothing_and_html_are_no_answers)
{
    struct world *world = world_new(answer_nothing);
    world_wait(world, kube_delete(world->kube, &POD, "u", NULL, world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "does not say that it was deleted");
    world_wait(world, kube_get_path(world->kube, "/version", 4096, world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "empty");
    world_wait(world, kube_list_metadata(world->kube, &PODS, NULL, world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "empty");
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "not the object that was asked for");
    world->script = answer_html;
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "not JSON");
    world_wait(world, kube_list(world->kube, &PODS, NULL, NULL, world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "not a list");
    world_free(world);
}

static void answer_throttled_once(void *owner, struct server_conn *conn,
                                  const struct server_request *request)
{
    const struct world *world = owner;
    if (world->step == 0)
        server_reply(conn, 429, "Retry-After: 1\r\n",
                     "{\"kind\":\"Status\",\"message\":\"too many\"}");
    else
        answer_name(owner, conn, request);
}

TEST(a_429_with_a_time_is_tried_again)
{
    struct world *world = world_new(answer_throttled_once);
    uint64_t began_ms = clock_ms();
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_INT(server_requests(world->server), 2);
    CHECK(clock_ms() - began_ms >= 1000 && clock_ms() - began_ms < 15000);
    world_free(world);
}

static void answer_throttled(void *owner UNUSED, struct server_conn *conn,
                             const struct server_request *request UNUSED)
{
    server_reply(conn, 429, "", "{\"kind\":\"Status\",\"message\":\"too many\"}");
}

static void answer_much_later(void *owner UNUSED, struct server_conn *conn,
                              const struct server_request *request UNUSED)
{
    server_reply(conn, 503, "Retry-After: 3600\r\n", "away");
}

TEST(without_a_time_or_with_a_long_one_the_caller_decides)
{
    struct world *world = world_new(answer_throttled);
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_THROTTLED, "too many");
    world->script = answer_much_later;
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_INT(error_retry_after_ms(world->err), 3600000);
    CHECK_ERR(TAKE(world->err), ERROR_TRANSIENT);
    CHECK_INT(server_requests(world->server), 2);
    world_free(world);
}

static const char *good_token;

static void answer_if_token(void *owner UNUSED, struct server_conn *conn,
                            const struct server_request *request)
{
    AUTO_MEM char *got = server_header(request, "Authorization");
    AUTO_MEM char *want = str_format("Bearer %s", good_token);
    if (str_eq(got, want))
        server_reply(conn, 200, "", "{\"metadata\":{\"name\":\"p\"}}");
    else
        server_reply(conn, 401, "", "{\"kind\":\"Status\",\"message\":\"Unauthorized\"}");
}

TEST(a_rotated_token_is_read_again)
{
    struct world *world = world_new(answer_if_token);
    AUTO_MEM char *path = test_path("token");
    test_write(path, "first\n");
    kube_free(world->kube);
    clock_set_source(fake_clock, NULL);
    world->kube = world_kube(world, "{tokenFile: token}");
    good_token = "first";
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    // Rotated before the minute is over: the 401 makes us look.
    test_write(path, "second\n");
    good_token = "second";
    unsigned before = server_requests(world->server);
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_INT(server_requests(world->server) - before, 2);
    // After a minute it is read before the request.
    test_write(path, "third\n");
    good_token = "third";
    now_ms += 60000;
    before = server_requests(world->server);
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_INT(server_requests(world->server) - before, 1);
    // The file is empty for a moment: the token from before still serves.
    test_write(path, "");
    now_ms += 60000;
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    // A 401 that reading again does not help against is not tried for ever.
    good_token = "unknown";
    before = server_requests(world->server);
    world_wait(world, kube_get(world->kube, &POD, world_on_done, world));
    CHECK_ERR(TAKE(world->err), ERROR_DENIED);
    CHECK_INT(server_requests(world->server) - before, 1);
    world_free(world);
}

TEST(a_token_file_that_is_not_there)
{
    struct world *world = world_new(answer_name);
    kube_free(world->kube);
    world->kube = world_kube(world, "{tokenFile: nowhere}");
    struct op *op = kube_get(world->kube, &POD, world_on_done, world);
    CHECK_INT(world->done, 0);
    world_wait(world, op);
    CHECK_ERR_HAS(TAKE(world->err), ERROR_NOT_FOUND, "nowhere");
    CHECK_INT(server_requests(world->server), 0);
    op = kube_get(world->kube, &POD, world_on_done, world);
    CHECK(op_drop(op) == NULL);
    world_free(world);
}

// --- the guard -----------------------------------------------------------------------------------

static bool lease;
static bool have_lease(void *owner UNUSED)
{
    return lease;
}

static void on_text_done(void *owner, struct error *take_err, struct slice text UNUSED)
{
    world_on_done(owner, take_err, NULL);
}

enum write_verb { CREATE, CREATE_TEXT, REPLACE, MERGE, JSON, APPLY, DRY_RUN, DELETE, WRITES };

// version: of the precondition, NULL: none
static struct op *send_write(struct world *world, enum write_verb verb, const char *version)
{
    AUTO_JSON json_t *body = json_pack("{s:{s:s}}", "metadata", "name", "p");
    AUTO_JSON json_t *operations =
        json_pack("[{s:s, s:s, s:s}]", "op", version ? "test" : "add", "path", "/metadata/uid",
                  "value", version ? version : "1");
    struct kube_patch patch = {.body = verb == JSON ? operations : body, .field_manager = "m"};
    if (version)
        doc_set(body, json_string(version), "metadata", "resourceVersion", NULL);
    switch (verb) {
    case CREATE:
        return kube_create(world->kube, &POD, body, world_on_done, world);
    case CREATE_TEXT:
        return kube_create_text(world->kube, &POD, body, on_text_done, world);
    case REPLACE:
        return kube_replace(world->kube, &POD, body, world_on_done, world);
    case MERGE:
    case JSON:
    case APPLY:
    case DRY_RUN:
        patch.type = verb == MERGE  ? KUBE_PATCH_MERGE
                     : verb == JSON ? KUBE_PATCH_JSON
                                    : KUBE_PATCH_APPLY;
        patch.dry_run = verb == DRY_RUN;
        return kube_patch(world->kube, &POD, &patch, world_on_done, world);
    case DELETE:
        return kube_delete(world->kube, &POD, version, NULL, world_on_done, world);
    case WRITES:
        break;
    }
    return NULL;
}

TEST(with_the_lease_lost_no_write_of_any_kind_leaves)
{
    struct world *world = world_new(answer_name);
    kube_guard(world->kube, have_lease, NULL);
    for (int as_other = 0; as_other < 2; as_other++) {
        for (int verb = 0; verb < WRITES; verb++) {
            lease = false;
            unsigned before = server_requests(world->server);
            world_wait(world, send_write(world, (enum write_verb)verb, "7"));
            CHECK_ERR_HAS(TAKE(world->err), ERROR_CANCELED, "the lease is lost");
            CHECK_INT(server_requests(world->server), before);
            lease = true;
            world_wait(world, send_write(world, (enum write_verb)verb, "7"));
            CHECK_OK(TAKE(world->err));
            CHECK_INT(server_requests(world->server), before + 1);
        }
        lease = false;
        world_wait(world, kube_get(world->kube, &POD, world_on_done, world)); // reads go on
        CHECK_OK(TAKE(world->err));
        struct kube *own = world->kube;
        world->kube = kube_new_as(own, as_other ? NULL : "system:serviceaccount:n:a");
        kube_free(own);
    }
    world_free(world);
}

TEST(a_guarded_write_without_a_precondition_does_not_leave)
{
    struct world *world = world_new(answer_name);
    lease = true;
    kube_guard(world->kube, have_lease, NULL);
    for (int verb = 0; verb < WRITES; verb++) {
        bool harmless = verb == CREATE || verb == CREATE_TEXT || verb == DRY_RUN;
        unsigned before = server_requests(world->server);
        world_wait(world, send_write(world, (enum write_verb)verb, NULL));
        if (harmless)
            CHECK_OK(TAKE(world->err));
        else
            CHECK_ERR_HAS(TAKE(world->err), ERROR_INTERNAL, "without a precondition");
        CHECK_INT(server_requests(world->server), before + (harmless ? 1 : 0));
    }
    world_free(world);
}

static void answer_429_and_lose_the_lease(void *owner UNUSED, struct server_conn *conn,
                                          const struct server_request *request UNUSED)
{
    lease = false;
    server_reply(conn, 429, "Retry-After: 1\r\n", "{\"kind\":\"Status\",\"message\":\"later\"}");
}

TEST(a_write_is_not_tried_again_when_the_lease_was_lost_meanwhile)
{
    struct world *world = world_new(answer_429_and_lose_the_lease);
    lease = true;
    kube_guard(world->kube, have_lease, NULL);
    world_wait(world, send_write(world, MERGE, "7"));
    CHECK_ERR(TAKE(world->err), ERROR_CANCELED);
    CHECK_INT(server_requests(world->server), 1);
    world_free(world);
}

// The object is there with version 7, until it was asked for once more.
static unsigned reads, reads_there;
static void answer_read_then_write(void *owner UNUSED, struct server_conn *conn,
                                   const struct server_request *request)
{
    bool there = reads < reads_there;
    if (!str_eq(request->method, "GET")) {
        server_reply(conn, 200, "", "{\"metadata\":{\"name\":\"p\"}}");
        return;
    }
    reads++;
    server_reply(conn, there ? 200 : 404, "",
                 there ? "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"resourceVersion\":\"7\"}}"
                       : "{\"kind\":\"Status\",\"message\":\"no such thing\"}");
}

TEST(who_decides_on_a_name_alone_reads_first_and_writes_that_version)
{
    struct world *world = world_new(answer_read_then_write);
    AUTO_JSON json_t *body = json_pack("{s:{s:s}}", "metadata", "name", "p");
    lease = true;
    kube_guard(world->kube, have_lease, NULL);
    reads = 0;
    reads_there = 2;
    world_wait(world, kube_apply_now(world->kube, &POD, body, "m", world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_STR(world->method, "PATCH");
    CHECK_HAS(world->target, "fieldManager=m&force=true");
    CHECK_STR(world->sent, "{\"metadata\":{\"name\":\"p\",\"resourceVersion\":\"7\"}}");
    world_wait(world, kube_delete_now(world->kube, &POD, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_STR(world->method, "DELETE");
    CHECK_HAS(world->sent, "\"preconditions\":{\"uid\":\"u\",\"resourceVersion\":\"7\"}");
    // not there
    world_wait(world, kube_apply_now(world->kube, &POD, body, "m", world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_STR(world->sent, "{\"metadata\":{\"name\":\"p\"}}");
    unsigned before = server_requests(world->server);
    world_wait(world, kube_delete_now(world->kube, &POD, world_on_done, world));
    CHECK_ERR(TAKE(world->err), ERROR_NOT_FOUND);
    CHECK_INT(server_requests(world->server), before + 1); // the read
    world_free(world);
}

static const char *said;

static void answer_said(void *owner UNUSED, struct server_conn *conn,
                        const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "", said);
}

// Else what stays is nobody's any more: whoever asked for it forgets it.
TEST(what_does_not_say_that_something_was_deleted_is_no_answer_to_that)
{
    static const struct {
        const char *said;
        bool good;
    } rows[] = {
        {"", false},
        {"null", false},
        {"{}", false},
        {"{\"metadata\":{\"name\":\"other\"}}", false},
        {"{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":409}", false},
        {"{\"kind\":\"Status\",\"status\":\"Success\"}", true},
        {"{\"metadata\":{\"name\":\"p\"}}", true}, // it has a finalizer
    };
    struct world *world = world_new(answer_said);

    for (size_t i = 0; i < COUNT(rows); i++) {
        said = rows[i].said;
        world_wait(world, kube_delete(world->kube, &POD, "u", "7", world_on_done, world));
        if (rows[i].good)
            CHECK_OK(TAKE(world->err));
        else
            CHECK_ERR(TAKE(world->err), ERROR_TRANSIENT);
    }
    world_free(world);
}

TEST(an_answer_of_one_path_is_capped_by_its_request)
{
    struct world *world = world_new(answer_said);
    AUTO_BUF struct buf text = buf_make((size_t)1 << 20);
    buf_add_str(&text, "{\"gitVersion\":\"");
    while (text.len <= KUBE_VERSION_BYTES_MAX)
        buf_add_str(&text, "v");
    buf_add_str(&text, "\"}");
    said = text.ptr;
    world_wait(world, kube_get_path(world->kube, "/version", KUBE_VERSION_BYTES_MAX, world_on_done,
                                    world));
    CHECK_ERR(TAKE(world->err), ERROR_LIMIT);
    buf_reset(&text);
    buf_add_str(&text, "[{}");
    while (text.len < KUBE_VERSION_BYTES_MAX / 2)
        buf_add_str(&text, ",{}");
    buf_add_str(&text, "]");
    world_wait(world, kube_get_path(world->kube, "/version", KUBE_VERSION_BYTES_MAX, world_on_done,
                                    world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_LIMIT, "more than 4096 values");
    world_free(world);
}

TEST_MAIN()
