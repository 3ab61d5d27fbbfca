// SPDX-License-Identifier: Apache-2.0
// What is spread over controllers: a Lease for each shard. Nobody hands them out. Who lives shows
// in who holds one or asks for one; and who has two less than the one with most asks that one.
#include "drawbridge/lead.h"

#define SHARD_LEASE_MS 12000 // what a dead one had is others' within 20 s

struct shard {
    struct lead_shards *shards;
    unsigned number;
    char *name;
    struct lead *lead;
    bool held;
    char *given_to;     // whom it was given up for, until somebody has it; NULL: nobody
    struct op *release; // it is being given up
};

struct lead_shards {
    struct loop *loop;
    struct lead_shards_spec spec;
    struct shard *items; // spec.count
    struct op *balance, *give;
    struct ending *ending;
};

static bool shard_wants(void *owner, uint64_t stands_ms);
static bool shard_makes(void *owner);
static bool shard_on_asked(void *owner, const char *who);
static const struct lead_shared shared = {shard_wants, shard_makes, shard_on_asked};

unsigned lead_shard_of(const char *text, unsigned count)
{
    uint64_t hash = slice_hash(slice_of(text), 0);
    return (unsigned)((hash ^ hash >> 32) % count);
}

// --- who has what --------------------------------------------------------------------------------

// Borrowed; "": nobody who is known to live.
static const char *holder_of(const struct shard *shard)
{
    if (shard->given_to)
        return shard->given_to;
    return shard->held ? shard->shards->spec.identity : lead_holder(shard->lead);
}

static unsigned count_of(const struct lead_shards *shards, const char *who)
{
    unsigned count = 0;
    for (unsigned i = 0; i < shards->spec.count; i++)
        count += str_eq(holder_of(&shards->items[i]), who);
    return count;
}

static bool is_first_of_its_holder(const struct lead_shards *shards, unsigned number)
{
    const char *who = holder_of(&shards->items[number]);
    for (unsigned i = 0; i < number; i++) {
        if (str_eq(holder_of(&shards->items[i]), who))
            return false;
    }
    return *who != '\0';
}

// How many there are that have some, and we.
static unsigned members_of(const struct lead_shards *shards)
{
    unsigned members = count_of(shards, shards->spec.identity) == 0;
    for (unsigned i = 0; i < shards->spec.count; i++)
        members += is_first_of_its_holder(shards, i);
    return members;
}

// --- one shard's lease ---------------------------------------------------------------------------

static bool shard_wants(void *owner, uint64_t stands_ms)
{
    const struct shard *shard = owner;
    const struct lead_shards *shards = shard->shards;
    const char *asked_by = lead_asked_by(shard->lead), *us = shards->spec.identity;
    unsigned members = members_of(shards);
    if (!shards->spec.wants(shards->spec.owner))
        return false;
    unsigned fair = (shards->spec.count + members - 1) / members;
    // What is free waits so long for the one who is to have it.
    if (stands_ms >= shards->spec.lease_ms / 2 || str_eq(asked_by, us))
        return true;
    return !*asked_by && count_of(shards, us) < fair;
}

static bool shard_makes(void *owner)
{
    const struct shard *shard = owner;
    return shard->shards->spec.makes(shard->shards->spec.owner);
}

static void shard_on_gained(void *owner)
{
    struct shard *shard = owner;
    shard->held = true;
    mem_free(TAKE(shard->given_to));
    shard->shards->spec.on_gained(shard->shards->spec.owner, shard->number);
}

static void shard_on_lost(void *owner)
{
    struct shard *shard = owner;
    shard->held = false;
    mem_free(TAKE(shard->given_to));
    shard->shards->spec.on_lost(shard->shards->spec.owner, shard->number);
}

static void shard_stand(struct shard *shard)
{
    const struct lead_shards *shards = shard->shards;
    struct lead_spec spec = {.kube = shards->spec.kube,
                             .namespace = shards->spec.namespace,
                             .name = shard->name,
                             .identity = shards->spec.identity,
                             .lease_ms = shards->spec.lease_ms,
                             .on_gained = shard_on_gained,
                             .on_lost = shard_on_lost,
                             .shared = &shared,
                             .owner = shard};
    shard->lead = lead_new(shards->loop, &spec);
}

// --- giving up and asking ------------------------------------------------------------------------

static void on_given(void *owner)
{
    struct shard *shard = owner;
    shard->release = NULL;
    lead_free(TAKE(shard->lead));
    shard_stand(shard);
}

static void on_give(void *owner)
{
    struct lead_shards *shards = owner;
    shards->give = NULL;
    for (unsigned i = 0; i < shards->spec.count; i++) {
        struct shard *shard = &shards->items[i];
        if (!shard->held || !shard->given_to)
            continue;
        shard->held = false;
        shards->spec.on_lost(shards->spec.owner, i);
        shard->release = lead_release(shard->lead, on_given, shard);
    }
}

static bool shard_on_asked(void *owner, const char *who)
{
    struct shard *shard = owner;
    struct lead_shards *shards = shard->shards;
    if (shard->given_to || count_of(shards, shards->spec.identity) < count_of(shards, who) + 2)
        return shard->given_to != NULL;
    shard->given_to = str_dup(who);
    if (!shards->give) // the lease is being renewed just now
        shards->give = loop_defer(shards->loop, on_give, shards);
    return true;
}

// Those of the one who has most that nobody has asked for: as many as make us equal.
static void ask(struct lead_shards *shards, const char *whom, unsigned count)
{
    for (unsigned i = 0; i < shards->spec.count && count > 0; i++) {
        struct shard *shard = &shards->items[i];
        if (!str_eq(holder_of(shard), whom) || *lead_asked_by(shard->lead))
            continue;
        lead_ask(shard->lead);
        count--;
    }
}

static unsigned count_coming(const struct lead_shards *shards)
{
    unsigned count = 0;
    for (unsigned i = 0; i < shards->spec.count; i++)
        count += !shards->items[i].held &&
                 str_eq(lead_asked_by(shards->items[i].lead), shards->spec.identity);
    return count;
}

static void on_balance(void *owner);

// At random: two of them do not ask for the same each time.
static void balance_later(struct lead_shards *shards)
{
    uint64_t least_ms = shards->spec.lease_ms / 4;
    shards->balance =
        loop_sleep(shards->loop, least_ms + rand_below(least_ms / 2), on_balance, shards);
}

static void on_balance(void *owner)
{
    struct lead_shards *shards = owner;
    unsigned ours = count_of(shards, shards->spec.identity) + count_coming(shards), most = 0;
    const char *whom = "";
    for (unsigned i = 0; i < shards->spec.count; i++) {
        const char *who = holder_of(&shards->items[i]);
        unsigned count = *who ? count_of(shards, who) : 0;
        if (count > most) {
            most = count;
            whom = who;
        }
    }
    if (most >= ours + 2 && !str_eq(whom, shards->spec.identity))
        ask(shards, whom, (most - ours) / 2);
    balance_later(shards);
}

// --- all of them ---------------------------------------------------------------------------------

struct lead_shards *lead_shards_new(struct loop *loop, const struct lead_shards_spec *spec)
{
    struct lead_shards *shards = NEW(struct lead_shards);
    ASSERT(spec->count > 0 && spec->count <= LEAD_SHARDS_MAX);
    shards->loop = loop;
    shards->spec = *spec;
    if (spec->lease_ms == 0)
        shards->spec.lease_ms = SHARD_LEASE_MS;
    shards->items = mem_alloc(spec->count * sizeof(*shards->items));
    for (unsigned i = 0; i < spec->count; i++) {
        struct shard *shard = &shards->items[i];
        shard->shards = shards;
        shard->number = i;
        shard->name = str_format("%s-shard-%u-of-%u", spec->name, i, spec->count);
        shard_stand(shard);
    }
    balance_later(shards);
    return shards;
}

static void stop(struct lead_shards *shards)
{
    shards->balance = op_drop(shards->balance);
    shards->give = op_drop(shards->give);
    for (unsigned i = 0; i < shards->spec.count; i++)
        shards->items[i].release = op_drop(shards->items[i].release);
}

// All are given up at once, each as quickly as its own Lease lets it.
struct ending {
    struct op op; // first
    struct lead_shards *shards;
    unsigned left;
    loop_fn *done;
    void *owner;
};

static void ending_drop(struct op *op)
{
    struct ending *ending = (struct ending *)(void *)op;
    stop(ending->shards);
    ending->shards->ending = NULL;
    mem_free(ending);
}

static void on_one_released(void *owner)
{
    struct shard *shard = owner;
    struct ending *ending = shard->shards->ending;
    shard->release = NULL;
    if (--ending->left > 0)
        return;
    loop_fn *done = ending->done;
    void *whose = ending->owner;
    op_drop(&ending->op);
    done(whose);
}

struct op *lead_shards_release(struct lead_shards *shards, loop_fn *done, void *owner)
{
    struct ending *ending = NEW(struct ending);
    ASSERT(!shards->ending);
    stop(shards);
    *ending = (struct ending){{ending_drop}, shards, shards->spec.count, done, owner};
    shards->ending = ending;
    for (unsigned i = 0; i < shards->spec.count; i++) {
        struct shard *shard = &shards->items[i];
        shard->held = false;
        shard->release = lead_release(shard->lead, on_one_released, shard);
    }
    return &ending->op;
}

void lead_shards_free(struct lead_shards *shards)
{
    if (!shards)
        return;
    stop(shards);
    for (unsigned i = 0; i < shards->spec.count; i++) {
        lead_free(shards->items[i].lead);
        mem_free(shards->items[i].name);
        mem_free(shards->items[i].given_to);
    }
    mem_free(shards->items);
    mem_free(shards);
}

const char *lead_shards_name(const struct lead_shards *shards, unsigned shard)
{
    return shards->items[shard].name;
}

const char *lead_shards_holder(const struct lead_shards *shards, unsigned shard)
{
    const struct shard *item = &shards->items[shard];
    return item->held ? shards->spec.identity : lead_holder(item->lead);
}

const struct error *lead_shards_error(const struct lead_shards *shards, unsigned shard)
{
    return lead_error(shards->items[shard].lead);
}

bool lead_shards_may_write(const struct lead_shards *shards, unsigned shard)
{
    return shards->items[shard].held && lead_may_write(shards->items[shard].lead);
}

uint64_t lead_shards_epoch(const struct lead_shards *shards, unsigned shard)
{
    return lead_epoch(shards->items[shard].lead);
}

void lead_shards_note_epoch(struct lead_shards *shards, unsigned shard, uint64_t seen)
{
    lead_note_epoch(shards->items[shard].lead, seen);
}
