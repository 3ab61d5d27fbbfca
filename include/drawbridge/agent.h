// SPDX-License-Identifier: Apache-2.0
// agent: what a node's agent and the controller say to each other.
//
// Purpose   NodeDRAConfiguration.spec → node; what node reports → its status
// May use   node watch kube api doc loop base
// Never     decides anything: what is done on the node is the room node's
// Limits    one NodeDRAConfiguration
// Blocking  no
#pragma once

#include "drawbridge/kube.h"

struct node;
struct agent;
struct agent_spec {
    struct kube *kube;
    struct node *node;     // node_new()'s on_change must call agent_note_change()
    const char *node_name; // borrowed
};
// Follows its NodeDRAConfiguration and writes its status; while the API is away the node goes on
// with what it was told last.
struct agent *agent_new(struct loop *loop, const struct agent_spec *spec);
void agent_note_change(void *agent);
bool agent_ready(void *agent, struct buf *why);
void agent_free(struct agent *agent);
AUTO_DECLARE(agent, struct agent)
