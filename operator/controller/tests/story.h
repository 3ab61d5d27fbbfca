// SPDX-License-Identifier: Apache-2.0
// A story: one DRAConfiguration, CONFIG, before a controller, and waits until it is as the story
// says. Included behind struct story, which has a scene and a story_wait.
#pragma once

#include <unistd.h>

#include "scene.h"

#define TICK_MS 10
#define LIMIT_MS 60000 // each takes less than a second where nothing else runs

// What else is told when a wait is in vain; owned.
static char *story_tell(const struct story *s);

// One whose controller WAIT_FOR() starts; nothing goes wrong by itself.
FAKE struct story *story_open(void)
{
    struct story *s = NEW(struct story);

    s->batch.loop = loop_new();
    scene_open(&s->scene, &s->batch, s);
    s->scene.at = NEVER;
    s->scene.backoff_ms_max = 500;
    return s;
}

// What else it has must be gone.
FAKE void story_close(struct story *s)
{
    scene_fini(&s->scene);
    loop_free(s->batch.loop);
    mem_free(s);
}

FAKE const json_t *condition(const struct story *s, const char *type)
{
    return fake_condition(s->scene.api, CONFIG, type);
}

FAKE bool is(const struct story *s, const char *type, const char *status, const char *reason)
{
    return str_eq(doc_str(condition(s, type), "status", NULL), status) &&
           str_eq(doc_str(condition(s, type), "reason", NULL), reason);
}

FAKE const char *message(const struct story *s, const char *type)
{
    return doc_str(condition(s, type), "message", NULL);
}

FAKE bool is_ready(const struct story *s)
{
    return str_eq(doc_str(condition(s, "Ready"), "status", NULL), "True");
}

FAKE bool is_gone(const struct story *s)
{
    return !fake_get(s->scene.api, CONFIG);
}

FAKE void on_tick(void *owner)
{
    struct story *s = owner;

    s->scene.tick = NULL;
    if (s->wait.until(s)) {
        loop_stop(s->scene.loop);
        return;
    }
    if (++s->wait.ticks > LIMIT_MS / TICK_MS) {
        const json_t *object = fake_get(s->scene.api, CONFIG);
        AUTO_MEM char *config = object ? doc_print_json_pretty(object) : str_dup("gone");
        AUTO_MEM char *more = story_tell(s);

        test_fail(__FILE__, __LINE__, "%s\n%s\n%s\nnot within %d s: %s", s->scene.api->log.ptr,
                  config, more, LIMIT_MS / 1000, s->wait.what);
    }
    s->scene.tick = loop_sleep(s->scene.loop, TICK_MS, on_tick, s);
}

FAKE void wait_for(struct story *s, story_fn *until, const char *what)
{
    if (!s->scene.controller)
        scene_start_controller(&s->scene);
    alarm(LIMIT_MS / 1000 + 10); // what it waits for is told before
    s->wait = (struct story_wait){.until = until, .what = what};
    s->scene.tick = loop_sleep(s->scene.loop, TICK_MS, on_tick, s);
    loop_run(s->scene.loop);
}
#define WAIT_FOR(s, until) wait_for(s, until, #until)
