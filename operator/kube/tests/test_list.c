// SPDX-License-Identifier: Apache-2.0
// Lists: in pages, item by item, and what is no list.
#include "kube_internal.h"
#include "world.h"

static const struct kube_ref PODS = {
    .group = "", .version = "v1", .resource = "pods", .namespace = "n"};

static void answer_pages(void *owner UNUSED, struct server_conn *conn,
                         const struct server_request *request)
{
    bool second = strstr(request->target, "continue=to%2Fken") != NULL;
    server_reply(conn, 200, "",
                 second ? "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{"
                          "\"resourceVersion\":\"9\"},\"items\":[{\"metadata\":{\"name\":\"b\"}}]}"
                        : "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{"
                          "\"resourceVersion\":\"9\",\"continue\":\"to/ken\"},"
                          "\"items\":[{\"metadata\":{\"name\":\"a\"}}]}");
}

TEST(lists_page_by_page)
{
    struct world *world = world_new(answer_pages);
    world_wait(world, kube_list(world->kube, &PODS, "a=b", "c=d", world_on_done, world));
    CHECK_OK(TAKE(world->err));
    AUTO_MEM char *text = doc_print_json_sorted(world->body);
    CHECK_STR(text,
              "{\"items\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}},"
              "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"b\"}}],"
              "\"metadata\":{\"resourceVersion\":\"9\"}}");
    CHECK_STR(world->target,
              "/api/v1/namespaces/n/"
              "pods?labelSelector=a%3Db&fieldSelector=c%3Dd&limit=500&continue=to%2Fken");
    CHECK_INT(server_requests(world->server), 2);
    world_free(world);
}

static void answer_expired_page(void *owner, struct server_conn *conn,
                                const struct server_request *request)
{
    if (strstr(request->target, "continue="))
        server_reply(conn, 410, "",
                     "{\"kind\":\"Status\",\"reason\":\"Expired\",\"message\":\"too old\"}");
    else if (strstr(request->target, "limit="))
        answer_pages(owner, conn, request);
    else
        server_reply(conn, 200, "",
                     "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":["
                     "{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"name\":\"b\"}},{"
                     "\"metadata\":{\"name\":\"c\"}}]}");
}

TEST(an_expired_page_begins_again_without_pages)
{
    struct world *world = world_new(answer_expired_page);
    world_wait(world, kube_list(world->kube, &PODS, NULL, NULL, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_INT(json_array_size(doc_get(world->body, "items", NULL)), 3);
    world_free(world);
}

static void ignore_item(void *owner UNUSED, json_t *item UNUSED)
{
}

#define TWICE "{\"metadata\":{\"name\":\"twice\"},\"x\":1,\"x\":2}"

static void answer_expired_unreadable(void *owner UNUSED, struct server_conn *conn,
                                      const struct server_request *request)
{
    if (strstr(request->target, "continue="))
        server_reply(conn, 410, "",
                     "{\"kind\":\"Status\",\"reason\":\"Expired\",\"message\":\"too old\"}");
    else if (strstr(request->target, "limit="))
        server_reply(conn, 200, "",
                     "{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"token\"},\"items\":[" TWICE
                     "]}");
    else
        server_reply(conn, 200, "", "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[" TWICE "]}");
}

// What began again says everything once; who was given items already is told that it failed.
TEST(an_expired_page_tells_nothing_twice_and_no_half)
{
    struct world *world = world_new(answer_expired_unreadable);
    world_wait(world, kube_list(world->kube, &PODS, NULL, NULL, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_INT(doc_int(world->body, 0, "skipped", NULL), 1);
    world_wait(world, kube_list_each(world->kube, &PODS, NULL, NULL, "0", ignore_item,
                                     world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_GONE, "too old");
    world_free(world);
}

static void answer_without_end(void *owner UNUSED, struct server_conn *conn,
                               const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "",
                 "{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"more\"},\"items\":[]}");
}

TEST(a_server_that_always_has_another_page_is_given_up)
{
    struct world *world = world_new(answer_without_end);
    world_wait(world, kube_list_each(world->kube, &PODS, NULL, NULL, "0", ignore_item,
                                     world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "pages");
    CHECK_INT(server_requests(world->server), KUBE_LIST_PAGES_MAX);
    world_free(world);
}

// Another page each time, the next one later than is waited for.
static void answer_slowly(void *owner, struct server_conn *conn,
                          const struct server_request *request)
{
    const struct world *world = owner;
    if (world->step == 0)
        answer_without_end(owner, conn, request);
}

TEST(a_server_that_takes_too_long_for_all_pages_together_is_given_up)
{
    struct world *world = world_new(answer_slowly);
    kube_list_ms_max = 1000;
    world_wait(world, kube_list_each(world->kube, &PODS, NULL, NULL, "0", ignore_item,
                                     world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "the list was not whole after 1 s");
    CHECK_INT(server_requests(world->server), 2);
    world_free(world);
}

static void answer_long_token(void *owner UNUSED, struct server_conn *conn,
                              const struct server_request *request UNUSED)
{
    AUTO_BUF struct buf page = buf_make((size_t)1 << 18);
    buf_add_str(&page, "{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"");
    for (unsigned i = 0; i < 100000; i++)
        buf_add_str(&page, "%");
    buf_add_str(&page, "\"},\"items\":[]}");
    server_reply(conn, 200, "", page.ptr);
}

TEST(a_continue_token_that_fits_no_request_is_an_error)
{
    struct world *world = world_new(answer_long_token);
    world_wait(world, kube_list(world->kube, &PODS, NULL, NULL, world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "continue token");
    world_free(world);
}

static void answer_no_items(void *owner UNUSED, struct server_conn *conn,
                            const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "", "{\"kind\":\"PodList\",\"metadata\":{},\"items\":{\"a\":{}}}");
}

static void answer_nameless(void *owner UNUSED, struct server_conn *conn,
                            const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "", "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[{},{}]}");
}

TEST(items_without_a_name_are_no_objects)
{
    struct world *world = world_new(answer_nameless);
    world_wait(world, kube_list(world->kube, &PODS, NULL, NULL, world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "has no name");
    world_free(world);
}

TEST(an_answer_that_is_no_list_does_not_say_that_nothing_is_there)
{
    struct world *other = world_new(answer_no_items);
    world_wait(other, kube_list_metadata(other->kube, &PODS, NULL, world_on_done, other));
    CHECK_ERR_HAS(TAKE(other->err), ERROR_TRANSIENT, "has no items");
    world_free(other);
    struct world *world = world_new(answer_no_items);
    world_wait(world, kube_list(world->kube, &PODS, NULL, NULL, world_on_done, world));
    CHECK_ERR_HAS(TAKE(world->err), ERROR_TRANSIENT, "has no items");
    world_free(world);
}

static void answer_cut_list(void *owner UNUSED, struct server_conn *conn,
                            const struct server_request *request UNUSED)
{
    server_begin(conn, 200, "");
    server_chunk(conn, slice_of("{\"items\":[{},{\"a\""));
    server_cut(conn);
}

static void answer_short_list(void *owner UNUSED, struct server_conn *conn,
                              const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "", "{\"items\":[{},{\"a\"");
}

TEST(a_list_that_breaks_off_is_no_list)
{
    server_fn *scripts[] = {answer_cut_list, answer_short_list};
    for (size_t i = 0; i < COUNT(scripts); i++) {
        struct world *world = world_new(scripts[i]);
        world_wait(world, kube_list(world->kube, &PODS, NULL, NULL, world_on_done, world));
        CHECK_ERR(TAKE(world->err), ERROR_TRANSIENT);
        CHECK(world->body == NULL);
        world_free(world);
    }
}

static const char *list_text;

static void answer_list_text(void *owner UNUSED, struct server_conn *conn,
                             const struct server_request *request UNUSED)
{
    server_reply(conn, 200, "", list_text);
}

// Names of what was given out, and in brackets of what was left out.
static struct buf names;

static void on_item_name(void *owner UNUSED, json_t *item)
{
    buf_printf(&names, "%s ", doc_str(item, "metadata", "name", NULL));
}

static void on_skip_name(void *owner UNUSED, const char *key, const char *version UNUSED,
                         const struct error *why)
{
    buf_printf(&names, "(%s: %s) ", key, error_kind_name(error_kind(why)));
}

static void take_total(void *owner, const char *resource, uint64_t total)
{
    buf_printf(owner, "%s=%llu ", resource, (unsigned long long)total);
}

#define ITEM(name, rest) "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"n\"}" rest "}"

// Keys that are there twice, too many values, and an object that is too large.
TEST(an_item_that_cannot_be_read_is_left_out_and_named_and_the_others_are_there)
{
    struct world *world = world_new(answer_list_text);
    AUTO_BUF struct buf text = buf_make((size_t)16 << 20);
    AUTO_BUF struct buf totals = buf_make(100);
    AUTO_MEM char *log = NULL;
    names = buf_make(1000);
    buf_add_str(&text, "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[" ITEM("a", "") "," ITEM(
                           "twice",
                           ",\"x\":1,\"x\":2") "," ITEM("b", "") ","
                                                                 "{\"metadata\":{\"name\":\"many\","
                                                                 "\"namespace\":\"n\"},\"x\":[0");
    for (size_t i = 0; i < KUBE_NODES_MAX; i++)
        buf_add_str(&text, ",0");
    buf_add_str(&text,
                "]}," ITEM("c", "") ",{\"metadata\":{\"name\":\"large\",\"namespace\":\"n\"},"
                                    "\"x\":\"");
    for (size_t i = 0; i < KUBE_LINE_BYTES_MAX / 8; i++)
        buf_add_str(&text, "xxxxxxxx");
    buf_add_str(&text, "\"}," ITEM("d", "") "]}");
    list_text = text.ptr;
    test_capture();
    struct op *op =
        kube_list_each(world->kube, &PODS, NULL, NULL, "", on_item_name, world_on_done, world);
    kube_list_on_skip(op, on_skip_name);
    world_wait(world, op);
    log = test_captured();
    CHECK_OK(TAKE(world->err));
    CHECK_STR(names.ptr, "a (n/twice: Invalid) b (n/many: Limit) c (n/large: Limit) d ");
    CHECK_HAS(log, " warn  kube: pods n/twice of ");
    CHECK_HAS(log, " warn  kube: pods n/many of ");
    CHECK_HAS(log, " warn  kube: pods n/large of ");
    kube_each_skipped(world->kube, take_total, &totals);
    CHECK_STR(totals.ptr, "pods=3 ");
    buf_fini(&names);
    world_free(world);
}

static void answer_large_item(void *owner UNUSED, struct server_conn *conn,
                              const struct server_request *request UNUSED)
{
    AUTO_BUF struct buf list = buf_make((size_t)1 << 20);
    buf_add_str(&list,
                "{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"large\"},\"x\":\"");
    for (unsigned i = 0; i < 100000; i++)
        buf_add_str(&list, "x");
    buf_add_str(&list, "\"},{\"metadata\":{\"name\":\"small\"}}]}");
    server_reply(conn, 200, "", list.ptr);
}

TEST(an_object_of_a_list_has_the_limit_of_its_client)
{
    struct world *world = world_new(answer_large_item);
    world_wait(world, kube_list(world->kube, &PODS, NULL, NULL, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_INT(json_array_size(json_object_get(world->body, "items")), 2);
    kube_limit_objects(world->kube, (size_t)64 << 10);
    world_wait(world, kube_list(world->kube, &PODS, NULL, NULL, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    CHECK_INT(json_array_size(json_object_get(world->body, "items")), 1);
    CHECK_STR(doc_str(world->body, "items", "0", "metadata", "name", NULL), "small");
    CHECK_INT(doc_int(world->body, 0, "skipped", NULL), 1);
    world_free(world);
}

TEST(an_object_that_is_asked_for_has_the_limit_of_its_client_too)
{
    struct world *world = world_new(answer_large_item);
    kube_limit_objects(world->kube, (size_t)64 << 10);
    struct kube_ref pod = PODS;
    pod.name = "large";
    world_wait(world, kube_get(world->kube, &pod, world_on_done, world));
    CHECK_INT(error_kind(world->err), ERROR_LIMIT);
    error_free(TAKE(world->err));
    world_free(world);
}

static void answer_large_list(void *owner UNUSED, struct server_conn *conn,
                              const struct server_request *request UNUSED)
{
    AUTO_BUF struct buf list = buf_make((size_t)4 << 20);
    buf_add_str(&list, "{\"kind\":\"PartialObjectMetadataList\",\"items\":[{\"x\":1}");
    for (unsigned i = 0; i < 200000; i++)
        buf_add_str(&list, ",{\"x\":1}");
    buf_add_str(&list, "]}");
    server_reply(conn, 200, "", list.ptr);
}

TEST(an_answer_has_the_limit_of_its_client_too)
{
    struct world *world = world_new(answer_large_list);
    struct kube_ref secrets = {
        .group = "", .version = "v1", .resource = "secrets", .namespace = "a"};
    world_wait(world, kube_list_metadata(world->kube, &secrets, NULL, world_on_done, world));
    CHECK_OK(TAKE(world->err));
    kube_limit_objects(world->kube, (size_t)64 << 10);
    world_wait(world, kube_list_metadata(world->kube, &secrets, NULL, world_on_done, world));
    CHECK_INT(error_kind(world->err), ERROR_LIMIT);
    error_free(TAKE(world->err));
    world_free(world);
}

static void on_item_drop(void *owner, json_t *item UNUSED)
{
    struct world *world = owner;
    world->op = op_drop(world->op);
    loop_stop(world->loop);
}

TEST(dropped_inside_an_item)
{
    struct world *world = world_new(answer_pages);
    world_wait(world, kube_list_each(world->kube, &PODS, NULL, NULL, "0", on_item_drop,
                                     world_on_done, world));
    world_run_for(world, 20);
    CHECK_INT(world->done, 0);
    CHECK_HAS(world->target, "limit=500&resourceVersion=0");
    world_free(world);
}

static void answer_pages_late(void *owner, struct server_conn *conn,
                              const struct server_request *request)
{
    const struct world *world = owner;
    if (world->step == 0)
        server_reply(conn, 429, "Retry-After: 1\r\n",
                     "{\"kind\":\"Status\",\"message\":\"too many\"}");
    else
        answer_pages(owner, conn, request);
}

TEST(dropped_at_every_turn)
{
    for (uint64_t turns = 0; turns < 12; turns++) {
        struct world *world = world_new(turns % 2 ? answer_pages : answer_pages_late);
        world->op = kube_list(world->kube, &PODS, NULL, NULL, world_on_done, world);
        uint64_t until = loop_turns(world->loop) + turns;
        while (loop_turns(world->loop) < until && world->op)
            world_run_for(world, 0);
        world->op = op_drop(world->op);
        unsigned done = world->done;
        world_run_for(world, 10);
        CHECK_INT(world->done, done);
        world_free(world);
    }
}

TEST_MAIN()
