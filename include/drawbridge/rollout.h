// SPDX-License-Identifier: Apache-2.0
// rollout: whether what was written to a workload runs everywhere, and what holds it.
//
// Purpose   how far the roll-out of a Deployment or StatefulSet is; why a pod does not get ready
// In → Out  the object as its API server has it → a few numbers and words
// May use   doc base
// Never     I/O, clock; what was written, or for how long it is waited
// Limits    words of a pod are cut
// Blocking  no
#pragma once

#include "drawbridge/doc.h"

struct rollout {
    bool seen;     // its controller has seen this generation
    bool complete; // every replica is new and available, and no old one is left
    bool stuck;    // its controller has given up waiting
    int64_t desired, updated, available;
};
// Of a Deployment or a StatefulSet; NULL: it is not there.
struct rollout rollout_of(const json_t *workload);
char *rollout_describe(const struct rollout *rollout); // "1 of 2 replicas updated, 2 available"

// What keeps a pod from being ready: a container that ended or cannot start, or no node. Owned;
// NULL: nothing.
char *rollout_pod_words(const json_t *pod);
// The label selector of a workload's pods. Owned; NULL: it has none.
char *rollout_pod_selector(const json_t *workload);
