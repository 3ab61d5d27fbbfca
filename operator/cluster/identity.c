// SPDX-License-Identifier: Apache-2.0
// Which cluster it is that a client talks to: the UID of its namespace kube-system stands for it,
// as for many others (OpenTelemetry's k8s.cluster.uid). Two kubeconfigs may lead to one cluster,
// and one kubeconfig to another than before. UIDs are no secret: one counts together with the
// certificate authority that the server was believed by, so that a server that claims another
// cluster's is none.
#include <string.h>

#include "cluster_internal.h"

#define UID_BYTES_MAX 128

uint64_t cluster_identity_again_ms = 10000;

struct identity {
    struct loop *loop;
    struct kube *kube;
    void (*on_known)(void *owner);
    void *owner;
    struct op *pending; // the question, or the pause after it
    char *uid, *name;   // NULL: not known yet
    struct error *error;
};

static void ask(void *owner);

static void note_uid(struct identity *identity, const char *uid)
{
    AUTO_MEM char *authority = kube_authority(identity->kube);

    identity->uid = str_dup(uid);
    identity->name = str_format("%s of %s", uid, authority);
}

static void on_namespace(void *owner, struct error *take_err, json_t *take_body)
{
    struct identity *identity = owner;
    const char *uid = doc_str(take_body, "metadata", "uid", NULL);
    bool same;

    identity->pending = NULL;
    if (!take_err && (!*uid || strlen(uid) >= UID_BYTES_MAX))
        take_err = error_new(ERROR_TRANSIENT, "it has no UID");
    // Refused again is no news: nobody is to look each time.
    same = take_err && identity->error && error_kind(identity->error) == error_kind(take_err);
    error_free(identity->error);
    identity->error = error_wrap(take_err, "namespace kube-system");
    if (!take_err)
        note_uid(identity, uid);
    json_decref(take_body);
    if (take_err)
        identity->pending = loop_sleep(identity->loop, cluster_identity_again_ms, ask, identity);
    if (!same)
        identity->on_known(identity->owner);
}

static void ask(void *owner)
{
    struct identity *identity = owner;
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "namespaces", .name = "kube-system"};

    identity->pending = kube_get(identity->kube, &ref, on_namespace, identity);
}

struct identity *identity_new(struct loop *loop, struct kube *kube, void (*on_known)(void *owner),
                              void *owner)
{
    struct identity *identity = NEW(struct identity);

    identity->loop = loop;
    identity->kube = kube;
    identity->on_known = on_known;
    identity->owner = owner;
    ask(identity);
    return identity;
}

void identity_free(struct identity *identity)
{
    if (!identity)
        return;
    op_drop(identity->pending);
    error_free(identity->error);
    mem_free(identity->uid);
    mem_free(identity->name);
    mem_free(identity);
}

const char *identity_uid(const struct identity *identity)
{
    return identity && identity->uid ? identity->uid : "";
}

const char *identity_name(const struct identity *identity)
{
    return identity && identity->name ? identity->name : "";
}

const struct error *identity_error(const struct identity *identity)
{
    return identity ? identity->error : NULL;
}
