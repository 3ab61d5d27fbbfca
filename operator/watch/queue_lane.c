// SPDX-License-Identifier: Apache-2.0
// Lanes of the queue: the keys of each wait in a line of their own, and the lanes in which some
// wait and none is worked on stand in one. A lane that nothing is in is forgotten.
#include "queue_internal.h"

static void line_up(struct queue_lanes *lanes, struct queue_lane *lane)
{
    if (!lane->first && !lane->busy && !lane->ready) {
        queue_map_remove(&lanes->map, &lane->node);
        return;
    }
    if (lane->ready || lane->busy || !lane->first)
        return;
    lane->ready = true;
    lane->next = NULL;
    if (lanes->last)
        lanes->last->next = lane;
    else
        lanes->first = lane;
    lanes->last = lane;
}

void queue_lanes_add(struct queue_lanes *lanes, const char *name, struct queue_item *item)
{
    struct queue_lane *lane = queue_map_find(&lanes->map, name);
    if (!lane)
        lane = queue_map_add(&lanes->map, name, sizeof(*lane));
    item->lane = lane;
    item->next = NULL;
    if (lane->last)
        lane->last->next = item;
    else
        lane->first = item;
    lane->last = item;
    line_up(lanes, lane);
}

struct queue_item *queue_lanes_take(struct queue_lanes *lanes)
{
    struct queue_lane *lane = lanes->first;
    lanes->first = lane->next;
    if (!lanes->first)
        lanes->last = NULL;
    struct queue_item *item = lane->first;
    lane->first = item->next;
    if (!lane->first)
        lane->last = NULL;
    item->next = NULL;
    lane->ready = false;
    lane->busy = true;
    return item;
}

void queue_lanes_end(struct queue_lanes *lanes, struct queue_item *item)
{
    struct queue_lane *lane = TAKE(item->lane);
    lane->busy = false;
    line_up(lanes, lane);
}
