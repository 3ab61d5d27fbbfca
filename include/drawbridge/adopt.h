// SPDX-License-Identifier: Apache-2.0
// adopt: each KubermaticConfiguration has a DRAConfiguration of its name.
//
// Purpose   KubermaticConfiguration → spec.featureGates of a DRAConfiguration; its conditions back,
//           where the CRD is ours
// May use   watch kube api loop doc base
// Never     decides what a KubermaticConfiguration wants (api), or anything of a roll-out
// Limits    one at a time
// Blocking  no
#pragma once

#include "drawbridge/watch.h"

struct adopter;
struct adopter_spec {
    struct kube *kube;              // borrowed
    struct watch *configs;          // of DRAConfigurations, borrowed
    bool (*may_write)(void *owner); // no: nothing is done before adopter_wake()
    void *owner;
};
// The kind may come and go while it runs.
struct adopter *adopter_new(struct loop *loop, const struct adopter_spec *spec);
void adopter_free(struct adopter *adopter);
// a DRAConfiguration changed: mirror its conditions
void adopter_note_config(struct adopter *adopter, const char *key);
void adopter_wake(struct adopter *adopter); // we may write now
