// SPDX-License-Identifier: Apache-2.0
// lead: one of several controllers leads, by a Lease, and knows its epoch.
//
// Purpose   coordination.k8s.io/v1 Lease: acquire, renew, release; several of them, spread over
//           the controllers that live
// May use   kube loop doc base
// Never     decides what a leader does
// Limits    15 s lease, 10 s to renew, tries each 2 s with jitter 1.2 (client-go
//           tools/leaderelection defaults); a leader renews each 5 s as long as that succeeds.
//           Of a shard the lease has 12 s, and the rest is in proportion; LEAD_SHARDS_MAX shards
// Blocking  no
#pragma once

#include "drawbridge/kube.h"

struct lead;
struct lead_spec {
    struct kube *kube;
    const char *namespace, *name, *identity; // of the Lease and its holder; borrowed
    const char *says_first; // lead_say() of a Lease that was not there; borrowed; NULL: nothing
    uint64_t lease_ms;      // others may take it when it stood still for so long; 0: 15 s
    // The right to write begins; also, without on_lost, when it had lapsed for a moment because the
    // answer to a renewal was late (nobody else had it then, and the epoch is the same), and when
    // the term got a greater epoch.
    void (*on_gained)(void *owner);
    // on the monotonic clock, before the lease can have run out for others
    void (*on_lost)(void *owner);
    // Of a Lease that several spread among them; NULL for one that everybody stands for.
    const struct lead_shared *shared;
    void *owner;
};
struct lead_shared {
    // Whether to take it, which is free; nobody has written it for stands_ms.
    bool (*wants)(void *owner, uint64_t stands_ms);
    // Whether to make it where there is none. Nobody has it for lease_ms then: who had one that was
    // deleted may not know that yet.
    bool (*makes)(void *owner);
    // who asks that we step down (lead_ask()). True: we do, in the next turn of the loop
    // (lead_release()); false: the question is taken off. Neither frees lead nor releases it.
    bool (*on_asked)(void *owner, const char *who);
};
struct lead *lead_new(struct loop *loop, const struct lead_spec *spec);
// What was last read of the Lease: who holds it ("": nobody), where that is alive; for whom it was
// asked ("": for nobody). Borrowed until the next turn of the loop.
const char *lead_holder(const struct lead *lead);
const char *lead_asked_by(const struct lead *lead);
// Why it could not be read or written the last time that one of the two was tried; NULL: it could,
// or that is not known. One that can be read and not written keeps what the write said. Borrowed
// as those.
const struct error *lead_error(const struct lead *lead);
// Asks the one who holds it to step down for us; best effort.
void lead_ask(struct lead *lead);
// A word of the leader's to all candidates, in an annotation of the Lease: kept from term to term
// until another one is said. A deleted Lease takes it along, where it is not made again by who said
// it. ret_ms: how old what we have of it is; UINT64_MAX: nothing was read.
void lead_say(struct lead *lead, const char *text);
const char *lead_said(const struct lead *lead, uint64_t *ret_ms);
// Steps down: writes an empty holder (best effort, 2 s at most), then done. Nothing fires after.
MUST_USE struct op *lead_release(struct lead *lead, loop_fn *done, void *owner);
void lead_free(struct lead *lead);
AUTO_DECLARE(lead, struct lead)
// True while the last renewal is young enough (monotonic clock): asked before each write.
bool lead_may_write(const struct lead *lead);
// Lease.spec.leaseTransitions; grows with each new term and never falls, also when somebody deleted
// or edited the Lease meanwhile. 0 before the first term.
uint64_t lead_epoch(const struct lead *lead);
// An agent has seen this epoch, which the Lease may not know of (etcd was restored from a backup):
// terms that begin have a greater one, and the present one gets it with its next renewal, which
// comes in a second. What is above LEAD_EPOCH_MAX is nobody's epoch and counts for nothing:
// leaseTransitions is an int32, and a lie of one agent must leave room for terms.
#define LEAD_EPOCH_MAX ((uint64_t)INT32_MAX - (1 << 20))
void lead_note_epoch(struct lead *lead, uint64_t seen);

// --- shards: so many Leases, NAME-shard-I-of-COUNT, each with an epoch of its own ----------------

// What is to be done once in all is spread over the controllers that live, each shard at one of
// them at any time. Who has two more than another one gives one up when that one asks; what a dead
// one had is taken when its leases have run out.
#define LEAD_SHARDS_MAX 64
struct lead_shards;
struct lead_shards_spec {
    struct kube *kube;
    const char *namespace, *name, *identity;        // borrowed
    unsigned count;                                 // 1 to LEAD_SHARDS_MAX
    uint64_t lease_ms;                              // 0: 12 s; tests have less
    bool (*makes)(void *owner);                     // whether we make Leases that are not there
    bool (*wants)(void *owner);                     // whether we take any now; what we have is kept
    void (*on_gained)(void *owner, unsigned shard); // as lead_spec's
    // The right to write is over. It is also called before a shard is given up for another
    // controller: what is under way is dropped when this returns.
    void (*on_lost)(void *owner, unsigned shard);
    void *owner;
};
struct lead_shards *lead_shards_new(struct loop *loop, const struct lead_shards_spec *spec);
// Gives all up, as lead_release(). Neither callback fires after.
MUST_USE struct op *lead_shards_release(struct lead_shards *shards, loop_fn *done, void *owner);
void lead_shards_free(struct lead_shards *shards);
// As of one lead.
bool lead_shards_may_write(const struct lead_shards *shards, unsigned shard);
uint64_t lead_shards_epoch(const struct lead_shards *shards, unsigned shard);
void lead_shards_note_epoch(struct lead_shards *shards, unsigned shard, uint64_t seen);
// Its Lease; who holds that, as far as is known ("": nobody who lives), and lead_error() of it.
const char *lead_shards_name(const struct lead_shards *shards, unsigned shard);
const char *lead_shards_holder(const struct lead_shards *shards, unsigned shard);
const struct error *lead_shards_error(const struct lead_shards *shards, unsigned shard);
// The shard that a text belongs to: the same in all controllers of one count.
unsigned lead_shard_of(const char *text, unsigned count);
