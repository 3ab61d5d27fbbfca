// SPDX-License-Identifier: Apache-2.0
// For tests against a real API server: loop and client of KUBECONFIG, and a namespace of their own
// that is removed afterwards.
#pragma once

#include "drawbridge/kube.h"

#include "testkit/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct real {
    struct loop *loop;
    struct http *http;
    struct kube *kube;
    struct op *op, *timer;
    struct error *err;
    json_t *body;
    char namespace[64];
};

static inline void real_on_done(void *owner, struct error *take_err, json_t *take_body)
{
    struct real *real = owner;
    real->op = NULL;
    error_free(real->err);
    json_decref(real->body);
    real->err = take_err;
    real->body = take_body;
    loop_stop(real->loop);
}

static inline void real_wait_op(struct real *real, struct op *op)
{
    real->op = op;
    while (real->op)
        loop_run(real->loop);
}

static inline void real_on_stop(void *owner)
{
    struct real *real = owner;
    real->timer = NULL;
    loop_stop(real->loop);
}

static inline void real_run_for(struct real *real, uint64_t ms)
{
    real->timer = loop_sleep(real->loop, ms, real_on_stop, real);
    while (real->timer)
        loop_run(real->loop);
}

static inline bool real_wait_for(struct real *real, const unsigned *count, unsigned want,
                                 uint64_t at_most_ms)
{
    uint64_t until_ms = clock_ms() + at_most_ms;
    while (*count < want && clock_ms() < until_ms)
        real_run_for(real, 10);
    return *count >= want;
}

static inline struct real *real_new(void)
{
    struct real *real = NEW(struct real);
    real->loop = loop_new();
    real->http = http_new(real->loop, "drawbridge-real-test");
    struct kube_config *config = NULL;
    CHECK_OK(kube_config_load(NULL, NULL, &config));
    real->kube = kube_new(real->loop, real->http, config);
    AUTO_MEM char *name = str_format("drawbridge-real-%d", (int)getpid());
    memcpy(real->namespace, name, strlen(name) + 1);
    struct kube_ref ref = {.group = "", .version = "v1", .resource = "namespaces", .name = name};
    AUTO_JSON json_t *body = json_pack("{s:{s:s}}", "metadata", "name", name);
    real_wait_op(real, kube_create(real->kube, &ref, body, real_on_done, real));
    CHECK_OK(TAKE(real->err));
    return real;
}

static inline void real_free(struct real *real)
{
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "namespaces", .name = real->namespace};
    real_wait_op(real, kube_delete(real->kube, &ref, NULL, NULL, real_on_done, real));
    CHECK_OK(TAKE(real->err));
    kube_free(real->kube);
    http_free(real->http);
    loop_free(real->loop);
    json_decref(real->body);
    mem_free(real);
}

static inline int real_main(int argc, char **argv)
{
    if (getenv("KUBECONFIG"))
        return test_main(argc, argv);
    log_line(LOG_ERROR, "test", "KUBECONFIG must name a cluster to test with");
    return 2;
}
