// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drawbridge/cluster.h"

#define METRICS_BYTES_MAX ((size_t)32 << 20) // read; GATES_METRICS_BYTES_MAX are kept
#define FLAGZ_BYTES_MAX ((size_t)256 << 10)  // some kilobytes

// --- facts.c

// What is kept of the server that the watch of this term follows goes into said. False: nothing fit
// to use. facts may be NULL.
bool cluster_facts_get(struct cluster_facts *facts, uint64_t term, struct cluster_said *said);
// The same when said holds a fresh version and discovery already: the gates, if those say what was
// kept.
bool cluster_facts_still(struct cluster_facts *facts, uint64_t term, uint64_t at_ms,
                         struct cluster_said *said);
// term and at_ms: of before the first of the requests.
void cluster_facts_keep(struct cluster_facts *facts, uint64_t term, uint64_t at_ms,
                        struct cluster_said *said);

// --- identity.c: which cluster it is that a client talks to

struct identity;
// Asks until it is known; on_known is called when it is, and when why it is not is
// another error than before; never before this returns.
struct identity *identity_new(struct loop *loop, struct kube *kube, void (*on_known)(void *owner),
                              void *owner);
void identity_free(struct identity *identity);
const char *identity_uid(const struct identity *identity); // "": not known yet; NULL may be given
// The UID, and who vouches for it: a server may claim anybody's UID. "": as above.
const char *identity_name(const struct identity *identity);
// of the last answer; NULL may be given
const struct error *identity_error(const struct identity *identity);
