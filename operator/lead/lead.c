// SPDX-License-Identifier: Apache-2.0
// Leader election by a Lease, with what client-go's lacks: fencing. A leader's right to write ends
// on its own monotonic clock, counted from before the renewal was sent, five seconds before anybody
// else may take over; and each term has an epoch of its own.
#include "drawbridge/lead.h"

#define LEASE_MS 15000 // and in proportion to it:
#define DEADLINE_MS 10000
#define RETRY_MS 2000
#define RETRY_SPREAD_MS 2400    // jitter 1.2
#define RENEW_MS 5000           // after a success
#define HURRY_MS 500            // after a failure while leading: the deadline runs
#define ATTEMPT_MS 5000         // for one request of a candidate
#define ATTEMPT_LEADING_MS 2500 // of a leader: leaves time for a second one

#define RAISE_MS 1000 // until the epoch is raised, so that lies cost little
#define RELEASE_MS 2000
#define NOBODY "none" // holds a shared Lease that was just made
#define ASKED_BY "drawbridge.dev/asked-by"
#define SAYS "drawbridge.dev/shards"

struct lead {
    struct loop *loop;
    struct lead_spec spec;
    struct op *request, *timer; // timer: until the next try, or how long the request may take
    struct op *asking;          // another one's Lease
    json_t *lease;              // as the server has it; NULL: read it first
    bool leading, trying_again; // trying_again: this attempt met a conflict already
    uint64_t attempt_ms;        // monotonic, when the attempt began
    uint64_t renewed_ms;        // monotonic, before the last renewal that succeeded was sent
    char *observed;             // version of the Lease
    uint64_t observed_ms;       // monotonic, when it was first seen
    uint64_t epoch;
    uint64_t floor;      // the greatest that an agent has seen
    uint64_t seen;       // the greatest that the Lease has had
    char *says;          // what we have it say in this term; NULL: what it said before
    char *said;          // by the last answer
    uint64_t said_ms;    // monotonic, before that was asked for
    struct error *error; // why it could not be read or written the last time; NULL: it could
    struct release *release;
};

struct release {
    struct op op; // first
    struct lead *lead;
    struct op *request, *timer;
    loop_fn *done;
    void *owner;
};

static void begin_attempt(struct lead *lead);
static void read_lease(struct lead *lead);

// ms of a lease of LEASE_MS, for this one.
static uint64_t scaled_ms(const struct lead *lead, uint64_t ms)
{
    return ms * lead->spec.lease_ms / LEASE_MS;
}

static struct kube_ref lease_ref(const struct lead *lead)
{
    return (struct kube_ref){.group = "coordination.k8s.io",
                             .version = "v1",
                             .resource = "leases",
                             .namespace = lead->spec.namespace,
                             .name = lead->spec.name};
}

bool lead_may_write(const struct lead *lead)
{
    return lead->leading && clock_ms() - lead->renewed_ms < scaled_ms(lead, DEADLINE_MS);
}

uint64_t lead_epoch(const struct lead *lead)
{
    return lead->epoch;
}

static bool must_raise(const struct lead *lead)
{
    return lead->leading && lead->floor > lead->epoch;
}

static const char *holder_of(const struct lead *lead)
{
    return doc_str(lead->lease, "spec", "holderIdentity", NULL);
}

static uint64_t stands_ms(const struct lead *lead)
{
    return clock_ms() - lead->observed_ms;
}

// How long it has to stand still before it is anybody's.
static uint64_t duration_ms(const struct lead *lead)
{
    int64_t seconds = doc_int(lead->lease, 0, "spec", "leaseDurationSeconds", NULL);
    return seconds > 0 && seconds < 86400 ? (uint64_t)seconds * 1000 : lead->spec.lease_ms;
}

// Others write the Lease while they live; that it stood still for as long as it says means that its
// holder does not.
static bool is_free(const struct lead *lead)
{
    return !holder_of(lead)[0] || stands_ms(lead) >= duration_ms(lead);
}

const char *lead_holder(const struct lead *lead)
{
    return !lead->lease || is_free(lead) || str_eq(holder_of(lead), NOBODY) ? "" : holder_of(lead);
}

const char *lead_asked_by(const struct lead *lead)
{
    return doc_str(lead->lease, "metadata", "annotations", ASKED_BY, NULL);
}

const struct error *lead_error(const struct lead *lead)
{
    return lead->error;
}

static void note_error(struct lead *lead, struct error *take_err)
{
    if (take_err)
        log_line(LOG_DEBUG, "lead", "%s", error_text(take_err));
    error_free(lead->error);
    lead->error = take_err;
}

static void forget_lease(struct lead *lead)
{
    json_decref(lead->lease);
    lead->lease = NULL;
}

static void on_timer(void *owner)
{
    struct lead *lead = owner;
    lead->timer = NULL;
    // it took too long; whether it arrived, the next read tells
    if (lead->request)
        note_error(lead,
                   error_new(ERROR_TRANSIENT, "Lease %s: no answer in time", lead->spec.name));
    lead->request = op_drop(lead->request);
    begin_attempt(lead);
}

// A leader wakes at its deadline at the latest, whatever it waits for.
static void set_timer(struct lead *lead, uint64_t delay_ms)
{
    if (lead->leading) {
        uint64_t past_ms = clock_ms() - lead->renewed_ms;
        uint64_t whole_ms = scaled_ms(lead, DEADLINE_MS);
        uint64_t left_ms = past_ms < whole_ms ? whole_ms - past_ms : 0;
        delay_ms = delay_ms < left_ms ? delay_ms : left_ms;
    }
    op_drop(lead->timer);
    lead->timer = loop_sleep(lead->loop, delay_ms, on_timer, lead);
}

// A candidate is there when the lease runs out.
static uint64_t until_next(const struct lead *lead)
{
    uint64_t retry_ms = scaled_ms(lead, RETRY_MS + rand_below(RETRY_SPREAD_MS));
    if (!lead->lease || is_free(lead))
        return retry_ms;
    uint64_t left_ms = duration_ms(lead) - stands_ms(lead);
    return left_ms < retry_ms ? left_ms : retry_ms;
}

static void try_later(struct lead *lead)
{
    if (lead->leading)
        set_timer(lead, scaled_ms(lead, HURRY_MS + rand_below(HURRY_MS)));
    else
        set_timer(lead, until_next(lead));
}

// The last thing a caller does: the owner may free lead in it.
static void lose(struct lead *lead)
{
    lead->leading = false;
    forget_lease(lead);
    mem_free(TAKE(lead->says)); // others say it from now on
    try_later(lead);
    if (lead->spec.on_lost)
        lead->spec.on_lost(lead->spec.owner);
}

// Anybody may edit the Lease.
static uint64_t transitions_of(const struct lead *lead)
{
    int64_t transitions = doc_int(lead->lease, 0, "spec", "leaseTransitions", NULL);
    return transitions > 0 ? (uint64_t)transitions : 0;
}

static void take_lease(struct lead *lead, json_t *take_lease)
{
    forget_lease(lead);
    lead->lease = take_lease;
    lead->seen = transitions_of(lead) > lead->seen ? transitions_of(lead) : lead->seen;
    mem_free(lead->said);
    lead->said = str_dup(doc_str(lead->lease, "metadata", "annotations", SAYS, NULL));
    lead->said_ms = lead->attempt_ms;
    const char *version = doc_str(lead->lease, "metadata", "resourceVersion", NULL);
    if (str_eq(version, lead->observed))
        return;
    mem_free(lead->observed);
    lead->observed = str_dup(version);
    lead->observed_ms = clock_ms();
}

static void on_written(void *owner, struct error *take_err, json_t *take_body)
{
    struct lead *lead = owner;
    lead->request = NULL;
    note_error(lead, take_err);
    if (take_err) {
        forget_lease(lead);
        bool raced =
            error_kind(take_err) == ERROR_CONFLICT || error_kind(take_err) == ERROR_NOT_FOUND;
        if (raced && !lead->trying_again) {
            lead->trying_again = true;
            read_lease(lead);
        } else {
            try_later(lead);
        }
        return;
    }
    take_lease(lead, take_body);
    // Also when the answer came after the deadline and before the timer that ends the term (the
    // process stood still): what was refused meanwhile must be begun again. And with a greater
    // epoch, what agents refused.
    uint64_t epoch = transitions_of(lead);
    bool gained = !lead_may_write(lead) || epoch > lead->epoch;
    lead->renewed_ms = lead->attempt_ms;
    lead->leading = true;
    lead->epoch = epoch > lead->epoch ? epoch : lead->epoch;
    set_timer(lead, must_raise(lead) ? RAISE_MS : scaled_ms(lead, RENEW_MS));
    if (gained && lead->spec.on_gained)
        lead->spec.on_gained(lead->spec.owner);
}

static json_t *new_lease(const struct lead *lead)
{
    return json_pack("{s:s, s:s, s:{s:o, s:o}, s:{}}", "apiVersion", "coordination.k8s.io/v1",
                     "kind", "Lease", "metadata", "namespace", doc_string(lead->spec.namespace),
                     "name", doc_string(lead->spec.name), "spec");
}

// The epoch of this term, or of the next that begins now: greater than any that the Lease, we, or
// the agents know. Agents refuse an older one for good, so a Lease that was deleted must not start
// at 0 again: a fresh one starts at the minutes of the wall clock, which no number of earlier terms
// has reached.
static uint64_t epoch_to_write(const struct lead *lead)
{
    uint64_t last = lead->lease ? transitions_of(lead) : (uint64_t)(clock_wall_ms() / 60000);
    bool begins = !lead->leading || !lead->lease || must_raise(lead);
    last = last > lead->epoch ? last : lead->epoch;
    last = last > lead->floor ? last : lead->floor;
    last = last > lead->seen ? last : lead->seen;
    last += begins ? 1 : 0;
    return last < INT32_MAX ? last : INT32_MAX;
}

static void forget_asked(json_t *lease)
{
    json_object_del(json_object_get(json_object_get(lease, "metadata"), "annotations"), ASKED_BY);
}

static void write_lease(struct lead *lead)
{
    char now[CLOCK_TEXT_BYTES];
    clock_format_micro(clock_wall_ms(), now);
    bool fresh = !lead->lease;
    const char *says = lead->says ? lead->says : fresh ? lead->spec.says_first : NULL;
    AUTO_JSON json_t *body = fresh ? new_lease(lead) : doc_copy(lead->lease);
    doc_set(body, doc_string(lead->spec.identity), "spec", "holderIdentity", NULL);
    doc_set(body, json_integer((json_int_t)(lead->spec.lease_ms / 1000)), "spec",
            "leaseDurationSeconds", NULL);
    doc_set(body, doc_string(now), "spec", "renewTime", NULL);
    doc_set(body, json_integer((json_int_t)epoch_to_write(lead)), "spec", "leaseTransitions", NULL);
    if (!lead->leading || fresh)
        doc_set(body, doc_string(now), "spec", "acquireTime", NULL);
    if (!lead->leading)
        forget_asked(body);
    if (says)
        doc_set(body, doc_string(says), "metadata", "annotations", SAYS, NULL);
    struct kube_ref ref = lease_ref(lead);
    if (fresh)
        lead->request = kube_create(lead->spec.kube, &ref, body, on_written, lead);
    else
        lead->request = kube_replace(lead->spec.kube, &ref, body, on_written, lead);
}

static void on_made(void *owner, struct error *take_err, json_t *take_body)
{
    struct lead *lead = owner;
    lead->request = NULL;
    note_error(lead, take_err); // another one may have made it: the next read tells
    if (!take_err)
        take_lease(lead, take_body);
    try_later(lead);
}

// Who had one that was deleted may still write: it is nobody's until that one must have noticed.
static void make_for_nobody(struct lead *lead)
{
    char now[CLOCK_TEXT_BYTES];
    clock_format_micro(clock_wall_ms(), now);
    AUTO_JSON json_t *body = new_lease(lead);
    doc_set(body, json_string(NOBODY), "spec", "holderIdentity", NULL);
    doc_set(body, json_integer((json_int_t)(lead->spec.lease_ms / 1000)), "spec",
            "leaseDurationSeconds", NULL);
    doc_set(body, doc_string(now), "spec", "renewTime", NULL);
    doc_set(body, json_integer((json_int_t)epoch_to_write(lead)), "spec", "leaseTransitions", NULL);
    struct kube_ref ref = lease_ref(lead);
    lead->request = kube_create(lead->spec.kube, &ref, body, on_made, lead);
}

static void on_missing(struct lead *lead)
{
    const struct lead_shared *shared = lead->spec.shared;
    forget_lease(lead);
    if (!shared)
        write_lease(lead);
    else if (lead->leading)
        lose(lead);
    else if (shared->makes(lead->spec.owner))
        make_for_nobody(lead);
    else
        try_later(lead);
}

// The Lease is there, and nobody else's.
static void take_or_keep(struct lead *lead)
{
    const struct lead_shared *shared = lead->spec.shared;
    const char *who = lead_asked_by(lead);
    if (shared && !lead->leading && !shared->wants(lead->spec.owner, stands_ms(lead))) {
        try_later(lead);
        return;
    }
    bool asked = shared && lead->leading && *who && !str_eq(who, lead->spec.identity);
    if (asked && shared->on_asked(lead->spec.owner, who)) {
        try_later(lead); // a renewal now would be in the way of the release
        return;
    }
    if (asked) // who asks may do so again when things have changed
        forget_asked(lead->lease);
    write_lease(lead);
}

static void on_read(void *owner, struct error *take_err, json_t *take_body)
{
    struct lead *lead = owner;
    lead->request = NULL;
    if (take_err && error_kind(take_err) == ERROR_NOT_FOUND) {
        error_ignore(take_err, "there is none yet");
        on_missing(lead);
        return;
    }
    if (take_err) {
        note_error(lead, take_err);
        try_later(lead);
        return;
    }
    take_lease(lead, take_body);
    if (!is_free(lead))
        note_error(lead, NULL);
    bool ours = str_eq(holder_of(lead), lead->spec.identity);
    if (lead->leading && !ours)
        lose(lead);
    else if (ours || is_free(lead))
        take_or_keep(lead);
    else
        try_later(lead);
}

static void read_lease(struct lead *lead)
{
    struct kube_ref ref = lease_ref(lead);
    lead->request = kube_get(lead->spec.kube, &ref, on_read, lead);
}

static void begin_attempt(struct lead *lead)
{
    if (lead->leading && !lead_may_write(lead)) {
        lose(lead);
        return;
    }
    lead->attempt_ms = clock_ms();
    lead->trying_again = false;
    set_timer(lead, scaled_ms(lead, lead->leading ? ATTEMPT_LEADING_MS : ATTEMPT_MS));
    // A leader writes at once: the version it last saw makes the write conditional.
    if (lead->leading && lead->lease)
        write_lease(lead);
    else
        read_lease(lead);
}

void lead_note_epoch(struct lead *lead, uint64_t seen)
{
    if (seen > LEAD_EPOCH_MAX || seen <= lead->floor)
        return;
    lead->floor = seen;
    if (must_raise(lead) && !lead->request)
        set_timer(lead, RAISE_MS);
}

void lead_say(struct lead *lead, const char *text)
{
    mem_free(lead->says);
    lead->says = str_dup(text);
    if (lead->leading && !lead->request && !str_eq(lead->said, text))
        set_timer(lead, 0);
}

const char *lead_said(const struct lead *lead, uint64_t *ret_ms)
{
    *ret_ms = lead->said ? clock_ms() - lead->said_ms : UINT64_MAX;
    return lead->said ? lead->said : "";
}

static void on_asked_for(void *owner, struct error *take_err, json_t *take_body)
{
    struct lead *lead = owner;
    lead->asking = NULL;
    json_decref(take_body);
    if (take_err)
        error_ignore(take_err, "who renewed it meanwhile is asked again");
}

void lead_ask(struct lead *lead)
{
    if (lead->asking || !lead->lease || lead->leading ||
        str_eq(lead_asked_by(lead), lead->spec.identity))
        return;
    AUTO_JSON json_t *body = doc_copy(lead->lease);
    doc_set(body, doc_string(lead->spec.identity), "metadata", "annotations", ASKED_BY, NULL);
    struct kube_ref ref = lease_ref(lead);
    lead->asking = kube_replace(lead->spec.kube, &ref, body, on_asked_for, lead);
}

struct lead *lead_new(struct loop *loop, const struct lead_spec *spec)
{
    struct lead *lead = NEW(struct lead);
    lead->loop = loop;
    lead->spec = *spec;
    if (lead->spec.lease_ms == 0)
        lead->spec.lease_ms = LEASE_MS;
    begin_attempt(lead);
    return lead;
}

static void release_free(struct release *release)
{
    release->lead->release = NULL;
    release->request = op_drop(release->request);
    release->timer = op_drop(release->timer);
    mem_free(release);
}

static void on_release_dropped(struct op *op)
{
    release_free((struct release *)(void *)op);
}

static void release_finish(struct release *release)
{
    loop_fn *done = release->done;
    void *owner = release->owner;
    release_free(release);
    done(owner);
}

static void on_release_timer(void *owner)
{
    struct release *release = owner;
    release->timer = NULL;
    release_finish(release);
}

static void on_released(void *owner, struct error *take_err, json_t *take_body)
{
    struct release *release = owner;
    release->request = NULL;
    json_decref(take_body);
    if (take_err)
        error_ignore(take_err, "the lease runs out by itself");
    release_finish(release);
}

struct op *lead_release(struct lead *lead, loop_fn *done, void *owner)
{
    ASSERT(!lead->release);
    bool held = lead->leading && lead->lease;
    lead->leading = false;
    lead->request = op_drop(lead->request);
    lead->asking = op_drop(lead->asking);
    lead->timer = op_drop(lead->timer);
    struct release *release = NEW(struct release);
    release->op.drop = on_release_dropped;
    release->lead = lead;
    release->done = done;
    release->owner = owner;
    lead->release = release;
    release->timer = loop_sleep(lead->loop, held ? RELEASE_MS : 0, on_release_timer, release);
    if (!held)
        return &release->op;
    char now[CLOCK_TEXT_BYTES];
    clock_format_micro(clock_wall_ms(), now);
    AUTO_JSON json_t *body = doc_copy(lead->lease);
    doc_set(body, json_string(""), "spec", "holderIdentity", NULL);
    doc_set(body, json_integer(1), "spec", "leaseDurationSeconds", NULL);
    doc_set(body, doc_string(now), "spec", "renewTime", NULL);
    struct kube_ref ref = lease_ref(lead);
    release->request = kube_replace(lead->spec.kube, &ref, body, on_released, release);
    return &release->op;
}

void lead_free(struct lead *lead)
{
    if (!lead)
        return;
    ASSERT(!lead->release);
    lead->request = op_drop(lead->request);
    lead->asking = op_drop(lead->asking);
    lead->timer = op_drop(lead->timer);
    forget_lease(lead);
    error_free(lead->error);
    mem_free(lead->observed);
    mem_free(lead->says);
    mem_free(lead->said);
    mem_free(lead);
}
