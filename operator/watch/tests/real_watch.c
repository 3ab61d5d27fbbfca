// SPDX-License-Identifier: Apache-2.0
// The reflector against a real API server: KUBECONFIG=... test_watch_real [words]. With OBJECTS=n
// it prints what n objects cost in memory and CPU time.
#include "drawbridge/watch.h"

#include "kube/tests/real.h"

#include <malloc.h>
#include <time.h>

struct follower {
    struct real *real;
    struct watch *watch;
    unsigned added, changed, removed, synced;
    unsigned in_flight, created, wanted;
};

static struct kube_ref maps(const struct real *real, const char *name)
{
    return (struct kube_ref){.group = "",
                             .version = "v1",
                             .resource = "configmaps",
                             .namespace = real->namespace,
                             .name = name};
}

static void on_change(void *owner, const char *key UNUSED, const json_t *was, const json_t *now)
{
    struct follower *follower = owner;
    follower->added += !was;
    follower->removed += !now;
    follower->changed += was && now;
}

static void on_sync(void *owner)
{
    struct follower *follower = owner;
    follower->synced++;
}

static void follow(struct follower *follower)
{
    struct watch_spec spec = {.kube = follower->real->kube,
                              .ref = maps(follower->real, NULL),
                              .on_change = on_change,
                              .on_sync = on_sync,
                              .owner = follower};
    follower->watch = watch_new(follower->real->loop, &spec);
    CHECK(real_wait_for(follower->real, &follower->synced, 1, 5000));
}

static json_t *config_map(const char *name, const char *value)
{
    return json_pack("{s:{s:s}, s:{s:s}}", "metadata", "name", name, "data", "key", value);
}

TEST(follows)
{
    struct real *real = real_new();
    struct follower follower = {.real = real};
    follow(&follower);
    unsigned before = follower.added;
    struct kube_ref ref = maps(real, "a");
    AUTO_JSON json_t *one = config_map("a", "1"), *two = config_map("a", "2");
    real_wait_op(real, kube_create(real->kube, &ref, one, real_on_done, real));
    CHECK_OK(TAKE(real->err));
    CHECK(real_wait_for(real, &follower.added, before + 1, 2000));
    AUTO_MEM char *key = str_format("%s/a", real->namespace);
    CHECK_STR(doc_str(watch_get(follower.watch, key), "data", "key", NULL), "1");
    CHECK(doc_get(watch_get(follower.watch, key), "metadata", "managedFields", NULL) == NULL);
    struct kube_patch patch = {.type = KUBE_PATCH_MERGE, .body = two};
    real_wait_op(real, kube_patch(real->kube, &ref, &patch, real_on_done, real));
    CHECK_OK(TAKE(real->err));
    watch_note_write(follower.watch, real->body);
    CHECK_STR(doc_str(watch_get(follower.watch, key), "data", "key", NULL), "2");
    real_run_for(real, 200);
    CHECK_INT(follower.changed, 1); // by the answer or by its echo, whichever came first
    real_wait_op(real, kube_delete(real->kube, &ref, NULL, NULL, real_on_done, real));
    CHECK_OK(TAKE(real->err));
    CHECK(real_wait_for(real, &follower.removed, 1, 2000));
    CHECK(watch_error(follower.watch) == NULL);
    watch_free(follower.watch);
    real_free(real);
}

static void create_next(struct follower *follower);

static void on_created(void *owner, struct error *take_err, json_t *take_body)
{
    struct follower *follower = owner;
    CHECK_OK(take_err);
    json_decref(take_body);
    follower->in_flight--;
    create_next(follower);
    if (follower->in_flight == 0)
        loop_stop(follower->real->loop);
}

static void create_next(struct follower *follower)
{
    while (follower->in_flight < 32 && follower->created < follower->wanted) {
        AUTO_MEM char *name = str_format("object-%06u", follower->created++);
        struct kube_ref ref = maps(follower->real, name);
        AUTO_JSON json_t *body =
            config_map(name, "a value of some length, as small objects have it");
        follower->in_flight++;
        struct op *op = kube_create(follower->real->kube, &ref, body, on_created, follower);
        CHECK(op != NULL); // each answers by itself
    }
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long resident_kib(void)
{
    AUTO_MEM char *text = test_read("/proc/self/smaps_rollup");
    const char *at = strstr(text, "Private_Dirty:");
    return at ? atol(at + 14) : 0;
}

TEST(costs)
{
    const char *objects = getenv("OBJECTS");
    if (!objects)
        return;
    struct real *real = real_new();
    struct follower follower = {.real = real};
    follower.wanted = (unsigned)atol(objects);
    double began = cpu_seconds();
    create_next(&follower);
    loop_run(real->loop);
    log_line(LOG_WARN, "watch", "%u creates: %.0f us CPU each", follower.wanted,
             (cpu_seconds() - began) * 1e6 / follower.wanted);
    malloc_trim(0);
    size_t before = mallinfo2().uordblks;
    long before_kib = resident_kib();
    began = cpu_seconds();
    follow(&follower);
    real_run_for(real, 100);
    log_line(LOG_WARN, "watch",
             "list of %u: %.1f us CPU and %zu bytes each, private dirty +%ld KiB", follower.wanted,
             (cpu_seconds() - began) * 1e6 / follower.wanted,
             (mallinfo2().uordblks - before) / follower.wanted, resident_kib() - before_kib);
    began = cpu_seconds();
    follower.wanted *= 2;
    create_next(&follower);
    loop_run(real->loop);
    real_run_for(real, 500);
    log_line(LOG_WARN, "watch", "%u more creates, followed: %.0f us CPU each", follower.wanted / 2,
             (cpu_seconds() - began) * 1e6 / (follower.wanted / 2));
    watch_free(follower.watch);
    real_free(real);
}

int main(int argc, char **argv)
{
    return real_main(argc, argv);
}
