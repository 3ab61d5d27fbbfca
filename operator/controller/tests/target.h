// SPDX-License-Identifier: Apache-2.0
// A target cluster of one node, with an agent that does what it is asked. Included behind struct
// story, which has far, agents and epoch (what the agent says to have seen).
#pragma once

#include "far.h"
#include "fleet.h"

FAKE void on_agents(void *owner)
{
    static const char *const all[] = {"kube-apiserver", "kube-controller-manager", "kube-scheduler",
                                      "kubelet"};
    struct story *s = owner;
    json_t *reports = json_array();

    s->agents = NULL;
    for (size_t i = 0; i < COUNT(all); i++)
        json_array_append_new(reports, fleet_report(s->far, "cp-1", all[i]));
    if (fleet_object(s->far, "cp-1"))
        fleet_say(s->far, "cp-1", s->epoch, reports);
    else
        json_decref(reports);
}
