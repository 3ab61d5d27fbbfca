// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drawbridge/doc.h"

// What `drawbridge status` shows of a cluster.
struct status_view {
    json_t *picked; // the DRAConfigurations that were asked for
    char *text;     // them as trees
    bool ready;     // all of them are, for the spec that they have
    bool settled;   // no more is to come without somebody's doing: each is ready or Stalled
};
// configs: the DRAConfigurations that were listed, nodes: all NodeDRAConfigurations; name NULL: all
// of configs.
// view is the caller's (status_view_fini()).
void status_view_make(const json_t *configs, const json_t *nodes, const char *name,
                      struct status_view *view);
void status_view_fini(struct status_view *view);
#define AUTO_VIEW CLEANUP(status_view_fini)
