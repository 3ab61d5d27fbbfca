// SPDX-License-Identifier: Apache-2.0
// lead: one of several controllers leads, by a Lease, and knows its epoch.
//
// Purpose   coordination.k8s.io/v1 Lease: acquire, renew, release
// May use   kube loop doc base
// Never     decides what a leader does
// Limits    15 s lease, 10 s to renew, tries each 2 s with jitter 1.2 (client-go
//           tools/leaderelection defaults); a leader renews each 5 s as long as that succeeds
// Blocking  no
#pragma once

#include "drawbridge/kube.h"

struct lead;
struct lead_spec {
    struct kube *kube;
    const char *namespace, *name, *identity; // of the Lease and its holder; borrowed
    // The right to write begins; also, without on_lost, when it had lapsed for a moment because the
    // answer to a renewal was late (nobody else had it then, and the epoch is the same), and when
    // the term got a greater epoch.
    void (*on_gained)(void *owner);
    // on the monotonic clock, before the lease can have run out for others
    void (*on_lost)(void *owner);
    void *owner;
};
struct lead *lead_new(struct loop *loop, const struct lead_spec *spec);
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
