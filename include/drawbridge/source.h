// SPDX-License-Identifier: Apache-2.0
// source: what a repository says becomes objects.
//
// Purpose   passes of ConfigSources: repository → documents → dry runs → server-side apply → prune
// May use   walk plan watch git kube api serve loop doc base
// Never     writes anything but the kinds of a ConfigSource, in its own namespace; rolls out
// Limits    one pass a ConfigSource at a time, 8 passes at once, of which git's workers are fewer
// Blocking  no
#pragma once

#include "drawbridge/api.h"
#include "drawbridge/walk.h"

struct sources;
struct sources_spec {
    struct kube *kube;     // borrowed, as are these:
    struct watch *configs; // of DRAConfigurations
    struct events *events;
    struct metrics *metrics;        // NULL: none
    const char *git_file_root;      // file:// repositories only below it; NULL: none
    size_t git_pack_bytes_max;      // 0: the room git's
    bool (*may_write)(void *owner); // no: nothing is done before sources_wake()
    // what is said of the source of this DRAConfiguration changed
    void (*on_change)(void *owner, const char *key);
    void *owner;
};
struct sources *sources_new(struct loop *loop, const struct sources_spec *spec);
void sources_free(struct sources *sources);
void sources_wake(struct sources *sources); // we may write now
void sources_drop(struct sources *sources); // we may not any more: passes end where they are
// A DRAConfiguration changed: the source that it comes from may have to put it back, or to hold.
void sources_note_config(struct sources *sources, const json_t *was, const json_t *now);
// What of a DRAConfiguration that came from a source its note has to be told of.
uint64_t sources_facet(const json_t *config, uint64_t hash);
// SourceReady of an object that comes from a source; nothing where it does not.
void sources_say(const struct sources *sources, const json_t *object,
                 struct api_conditions *conditions);
