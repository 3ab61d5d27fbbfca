// SPDX-License-Identifier: Apache-2.0
// The reflector against a scripted collection.
#include "fake_api.h"

TEST(follows_a_collection)
{
    struct fake *fake = fake_new();
    fake_put(fake, "a", 1);
    fake_put(fake, "b", 1);
    fake_follow(fake);
    CHECK(!watch_synced(fake->watch));
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK(fake->synced);
    CHECK_STR(fake->log.ptr, "a:-1>1 b:-1>1 ");
    CHECK_HAS(fake->last_list, "resourceVersion=0");
    world_run_for(fake->world, 30);
    CHECK_HAS(fake->world->target, "watch=true");
    CHECK_HAS(fake->world->target, "resourceVersion=102");
    buf_reset(&fake->log);
    fake_put(fake, "a", 2);
    fake_put(fake, "c", 1);
    fake_remove(fake, "b");
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_STR(fake->log.ptr, "a:1>2 c:-1>1 b:1>-1 ");
    CHECK(watch_error(fake->watch) == NULL);
    const json_t *a = watch_get(fake->watch, "a");
    CHECK(doc_get(a, "metadata", "managedFields", NULL) == NULL);
    CHECK(watch_get(fake->watch, "a") == a); // one tree a turn
    CHECK(watch_get(fake->watch, "b") == NULL);
    fake_free(fake);
}

static uint64_t tens(const json_t *object)
{
    return 1 + (uint64_t)doc_int(object, 0, "value", NULL) / 10;
}

TEST(a_change_of_another_facet_is_kept_and_not_told)
{
    struct fake *fake = fake_new();
    fake->facet = tens;
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_STR(fake->log.ptr, "a:-1>1 ");
    world_run_for(fake->world, 30);
    fake_put(fake, "a", 2);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 2);
    CHECK_INT(fake->changes, 1);
    fake_put(fake, "a", 12);
    fake_put(fake, "b", 3);
    fake_remove(fake, "a");
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_STR(fake->log.ptr, "a:-1>1 a:2>12 b:-1>3 a:12>-1 ");
    fake_free(fake);
}

TEST(a_watch_that_ends_goes_on_from_its_version)
{
    struct fake *fake = fake_new();
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    fake->version += 50; // of other collections
    fake_bookmark(fake);
    world_run_for(fake->world, 30);
    fake_end_watches(fake, false);
    world_run_for(fake->world, 30);
    CHECK_HAS(fake->world->target, "resourceVersion=151");
    CHECK_INT(fake->lists, 1);
    fake_put(fake, "a", 2);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_INT(fake->changes, 2);
    fake_free(fake);
}

TEST(after_410_it_lists_again_and_reports_differences_only)
{
    struct fake *fake = fake_new();
    fake_put(fake, "same", 1);
    fake_put(fake, "changes", 1);
    fake_put(fake, "goes", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    fake_bookmark(fake);
    world_run_for(fake->world, 30);
    buf_reset(&fake->log);
    fake_end_watches(fake, true);
    fake_put(fake, "changes", 2);
    fake_remove(fake, "goes");
    fake_put(fake, "new", 1);
    fake_compact(fake);
    CHECK(fake_wait_agreed(fake, 5000));
    world_run_for(fake->world, 20);
    CHECK_STR(fake->log.ptr, "changes:1>2 new:-1>1 goes:1>-1 ");
    CHECK_INT(fake->lists, 2);
    CHECK(strstr(fake->last_list, "resourceVersion=") == NULL); // the newest there is
    fake_free(fake);
}

TEST(a_failing_server_is_named_and_comes_back)
{
    struct fake *fake = fake_new();
    fake->fault = FAULT_500;
    fake->fault_at = 0;
    fake_put(fake, "a", 1);
    fake_follow(fake);
    while (!watch_error(fake->watch))
        world_run_for(fake->world, 5);
    CHECK_STR(error_text(watch_error(fake->watch)), "fault");
    CHECK(!watch_synced(fake->watch));
    CHECK(fake_wait_agreed(fake, 3000));
    CHECK(watch_error(fake->watch) == NULL);
    fake_free(fake);
}

TEST(freed_inside_a_change)
{
    for (int by_event = 0; by_event < 2; by_event++) {
        struct fake *fake = fake_new();
        if (by_event) {
            fake_follow(fake);
            CHECK(fake_wait_agreed(fake, 2000));
            world_run_for(fake->world, 30);
        }
        fake_put(fake, "a", 1);
        fake_put(fake, "b", 1);
        fake->free_in_change = true;
        if (!by_event)
            fake_follow(fake);
        world_run_for(fake->world, 50);
        CHECK_INT(fake->changes, 1);
        CHECK(fake->watch == NULL);
        fake_free(fake);
    }
}

TEST(freed_at_every_turn)
{
    for (uint64_t turns = 0; turns < 20; turns++) {
        struct fake *fake = fake_new();
        fake_put(fake, "a", 1);
        fake_follow(fake);
        uint64_t until = loop_turns(fake->world->loop) + turns;
        while (loop_turns(fake->world->loop) < until)
            world_run_for(fake->world, 0);
        watch_free(TAKE(fake->watch));
        unsigned changes = fake->changes;
        world_run_for(fake->world, 5);
        CHECK_INT(fake->changes, changes);
        fake_free(fake);
    }
}

TEST(our_own_writes_are_seen_at_once_and_not_reported)
{
    struct fake *fake = fake_new();
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 30);
    buf_reset(&fake->log);
    // Somebody else writes 102, we write 103; our answer is there before the events.
    AUTO_JSON json_t *ours = json_pack("{s:{s:s, s:s}, s:i}", "metadata", "name", "a",
                                       "resourceVersion", "103", "value", 3);
    watch_note_write(fake->watch, ours);
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 3);
    fake_put(fake, "a", 2);
    world_run_for(fake->world, 30);
    // the older event did not undo it
    CHECK_INT(doc_int(watch_get(fake->watch, "a"), 0, "value", NULL), 3);
    fake_put(fake, "a", 3);
    world_run_for(fake->world, 30);
    CHECK_INT(fake->log.len, 0);
    fake_put(fake, "a", 4);
    CHECK(fake_wait_agreed(fake, 2000));
    CHECK_STR(fake->log.ptr, "a:3>4 ");
    // The answer to a write that a deletion has overtaken does not bring the object back.
    fake_remove(fake, "a");
    CHECK(fake_wait_agreed(fake, 2000));
    watch_note_write(fake->watch, ours);
    CHECK_INT(watch_count(fake->watch), 0);
    fake_free(fake);
}

TEST(an_idle_watch_does_not_turn_the_loop)
{
    struct fake *fake = fake_new();
    fake_put(fake, "a", 1);
    fake_follow(fake);
    CHECK(fake_wait_agreed(fake, 2000));
    world_run_for(fake->world, 300);
    uint64_t before = loop_turns(fake->world->loop);
    world_run_for(fake->world, 500);
    CHECK(loop_turns(fake->world->loop) - before <= 4);
    fake_free(fake);
}

TEST_MAIN()
