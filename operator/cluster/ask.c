// SPDX-License-Identifier: Apache-2.0
// What an API server says of itself: /version, the group resource.k8s.io in discovery, the gates
// of its /metrics, and the flags of its /flagz. One request after the other.
#include "cluster_internal.h"

enum phase { PHASE_KEPT, PHASE_VERSION, PHASE_GROUP, PHASE_GATES, PHASE_FLAGS, PHASE_END };

struct asking {
    struct op op; // must be first
    struct kube *kube;
    struct cluster_question question;
    cluster_said_fn *done;
    void *owner;
    struct op *pending;
    enum phase phase;
    uint64_t began_ms;
    struct cluster_said said;
};

static void asking_advance(void *owner);

void cluster_said_fini(struct cluster_said *said)
{
    json_decref(said->served);
    json_decref(said->gates);
    json_decref(said->flags);
    error_free(said->unread);
    *said = (struct cluster_said){0};
}

static void asking_drop(struct op *op)
{
    struct asking *asking = (struct asking *)op;

    op_drop(asking->pending);
    cluster_said_fini(&asking->said);
    mem_free(asking);
}

static void asking_finish(struct asking *asking, struct error *take_err)
{
    cluster_said_fn *done = asking->done;
    void *owner = asking->owner;
    struct cluster_said said = asking->said;

    asking->said = (struct cluster_said){0};
    asking_drop(&asking->op);
    if (take_err)
        cluster_said_fini(&said);
    done(owner, take_err, take_err ? NULL : &said);
}

// --- what an answer says -------------------------------------------------------------------------

static void take_version(struct cluster_said *said, const json_t *body)
{
    AUTO_MEM char *emulated = str_format("%s.%s", doc_str(body, "emulationMajor", NULL),
                                         doc_str(body, "emulationMinor", NULL));

    if (!version_parse(doc_str(body, "gitVersion", NULL), &said->server))
        said->server = (struct version){0};
    if (!version_parse(emulated, &said->emulated) ||
        version_compare_minor(said->emulated, said->server) == 0)
        said->emulated = (struct version){0};
}

static void take_group(struct cluster_said *said, const json_t *body)
{
    const json_t *versions = json_object_get(body, "versions");

    for (size_t i = 0; i < json_array_size(versions); i++)
        json_array_append_new(said->served,
                              doc_string(doc_str(json_array_get(versions, i), "version", NULL)));
}

// An empty answer, or one of something else, does not say that nothing is there.
static bool is_answer(enum phase phase, const json_t *body)
{
    return phase == PHASE_VERSION ? *doc_str(body, "gitVersion", NULL) != '\0'
                                  : json_is_array(json_object_get(body, "versions"));
}

static void on_answer(void *owner, struct error *take_err, json_t *take_body)
{
    struct asking *asking = owner;
    AUTO_JSON json_t *body = take_body;

    asking->pending = NULL;
    if (!take_err && !is_answer(asking->phase, body))
        take_err = error_new(ERROR_TRANSIENT, "%s: the answer is not what was asked for",
                             kube_server(asking->kube));
    if (take_err && asking->phase == PHASE_GROUP && error_kind(take_err) == ERROR_NOT_FOUND) {
        error_free(take_err); // the group is not served: an answer too
    } else if (take_err) {
        asking_finish(asking, error_wrap(take_err, "ask for %s",
                                         asking->phase == PHASE_VERSION ? "/version"
                                                                        : "/apis/resource.k8s.io"));
        return;
    } else if (asking->phase == PHASE_VERSION) {
        take_version(&asking->said, body);
    } else {
        take_group(&asking->said, body);
    }
    asking->phase++;
    asking_advance(asking);
}

// --- gates ---------------------------------------------------------------------------------------

static void take_metrics(struct cluster_said *said, struct error *take_err, struct slice text)
{
    struct version version;
    int64_t start_ms;

    if (!take_err)
        take_err = gates_metrics_read(text, &said->gates, &version, &start_ms);
    error_free(said->unread);
    said->unread = take_err;
}

// Who may not read them, or has an older server, does without.
static void take_flags(struct cluster_said *said, struct error *take_err, json_t *take_body)
{
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO_JSON json_t *body = take_body;

    if (!take_err)
        take_err = gates_flagz_read(body, &flags);
    if (!take_err) {
        json_decref(said->flags);
        said->flags = json_object();
        json_object_set(said->flags, "featureGates", flags.feature_gates);
        json_object_set(said->flags, "runtimeConfig", flags.runtime_config);
    }
    said->flags_failed = take_err && (error_kind(take_err) == ERROR_TRANSIENT ||
                                      error_kind(take_err) == ERROR_THROTTLED);
    error_ignore(take_err, "what its flags are is not known");
}

static bool has_flagz(const struct cluster_said *said)
{
    return said->server.major == 1 && said->server.minor >= GATES_FLAGZ_FROM;
}

static struct op *get_flags(struct kube *kube, kube_done_fn *done, void *owner)
{
    return kube_get_path_as(kube, "/flagz", GATES_FLAGZ_ACCEPT, FLAGZ_BYTES_MAX, done, owner);
}

static void keep_facts(struct asking *asking)
{
    const struct cluster_question *question = &asking->question;

    // What merely failed is asked again by the next.
    if (!asking->said.unread || error_kind(asking->said.unread) == ERROR_DENIED)
        cluster_facts_keep(question->facts, question->term, asking->began_ms, &asking->said);
    asking->phase = PHASE_END;
    asking_advance(asking);
}

static void on_flags(void *owner, struct error *take_err, json_t *take_body)
{
    struct asking *asking = owner;

    asking->pending = NULL;
    take_flags(&asking->said, take_err, take_body);
    keep_facts(asking);
}

static void on_metrics(void *owner, struct error *take_err, struct slice text)
{
    struct asking *asking = owner;

    asking->pending = NULL;
    take_metrics(&asking->said, take_err, text);
    if (!asking->question.flags || !has_flagz(&asking->said)) {
        keep_facts(asking);
        return;
    }
    asking->phase = PHASE_FLAGS;
    asking_advance(asking);
}

static struct op *get_metrics(struct kube *kube, kube_text_fn *done, void *owner)
{
    return kube_get_lines(kube, "/metrics", METRICS_BYTES_MAX, GATES_METRICS_BYTES_MAX,
                          gates_metrics_wants, done, owner);
}

// --- the op --------------------------------------------------------------------------------------

static void asking_advance(void *owner)
{
    struct asking *asking = owner;
    const struct cluster_question *question = &asking->question;

    asking->pending = NULL;
    if (asking->phase == PHASE_KEPT)
        asking->phase = cluster_facts_get(question->facts, question->term, &asking->said)
                            ? PHASE_END
                            : PHASE_VERSION;
    if (asking->phase == PHASE_GATES &&
        (!question->gates ||
         cluster_facts_still(question->facts, question->term, asking->began_ms, &asking->said)))
        asking->phase = PHASE_END;
    switch (asking->phase) {
    case PHASE_KEPT:
    case PHASE_VERSION:
        asking->pending =
            kube_get_path(asking->kube, "/version", KUBE_VERSION_BYTES_MAX, on_answer, asking);
        return;
    case PHASE_GROUP:
        asking->pending = kube_get_path(asking->kube, "/apis/resource.k8s.io", KUBE_GROUP_BYTES_MAX,
                                        on_answer, asking);
        return;
    case PHASE_GATES:
        asking->pending = get_metrics(asking->kube, on_metrics, asking);
        return;
    case PHASE_FLAGS:
        asking->pending = get_flags(asking->kube, on_flags, asking);
        return;
    case PHASE_END:
        asking_finish(asking, NULL);
    }
}

struct op *cluster_ask(struct loop *loop, struct kube *kube,
                       const struct cluster_question *question, cluster_said_fn *done, void *owner)
{
    struct asking *asking = NEW(struct asking);

    asking->op.drop = asking_drop;
    asking->kube = kube;
    asking->question = *question;
    asking->done = done;
    asking->owner = owner;
    asking->began_ms = clock_ms();
    asking->said.served = json_array();
    if (question->facts) // which may have the answer at once
        asking->pending = loop_defer(loop, asking_advance, asking);
    else
        asking_advance(asking);
    return &asking->op;
}

uint64_t cluster_again_ms(struct cluster *cluster, bool answered)
{
    uint64_t wait_ms = CLUSTER_AGAIN_MS;

    for (unsigned i = 0; !answered && i < cluster->failures && wait_ms < CLUSTER_AGAIN_MS_MAX; i++)
        wait_ms *= 2;
    cluster->failures = answered ? 0 : cluster->failures + 1;
    return wait_ms < CLUSTER_AGAIN_MS_MAX ? wait_ms : CLUSTER_AGAIN_MS_MAX;
}

// --- gates and flags alone -----------------------------------------------------------------------

struct reading {
    struct op op; // must be first
    struct kube *kube;
    struct cluster_said *said;
    loop_fn *done;
    void *owner;
    struct op *pending;
};

static void reading_drop(struct op *op)
{
    struct reading *reading = (struct reading *)op;

    op_drop(reading->pending);
    mem_free(reading);
}

static void reading_finish(struct reading *reading)
{
    loop_fn *done = reading->done;
    void *owner = reading->owner;

    mem_free(reading);
    done(owner);
}

static void on_flags_read(void *owner, struct error *take_err, json_t *take_body)
{
    struct reading *reading = owner;

    take_flags(reading->said, take_err, take_body);
    reading_finish(reading);
}

static void on_read(void *owner, struct error *take_err, struct slice text)
{
    struct reading *reading = owner;

    reading->pending = NULL;
    take_metrics(reading->said, take_err, text);
    if (has_flagz(reading->said))
        reading->pending = get_flags(reading->kube, on_flags_read, reading);
    else
        reading_finish(reading);
}

struct op *cluster_ask_gates(struct kube *kube, struct cluster_said *said, loop_fn *done,
                             void *owner)
{
    struct reading *reading = NEW(struct reading);

    *reading = (struct reading){{reading_drop}, kube, said, done, owner, NULL};
    reading->pending = get_metrics(kube, on_read, reading);
    return &reading->op;
}
