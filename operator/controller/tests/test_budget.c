// SPDX-License-Identifier: Apache-2.0
// What the controller and its children may take together is what the chart's pod has.
#include "drawbridge/driver.h"
#include "drawbridge/git.h"
#include "drawbridge/platform.h"
#include "drawbridge/controller.h"
#include "test.h"

// "1280Mi"
static uint64_t bytes_of(const char *quantity)
{
    struct slice text = slice_of(quantity);
    uint64_t number = 0;
    bool gibi = str_ends(quantity, "Gi");

    CHECK(gibi || str_ends(quantity, "Mi"));
    CHECK(slice_to_u64(slice_sub(text, 0, text.len - 2), &number));
    return number << (gibi ? 30 : 20);
}

static json_t *values(void)
{
    AUTO_MEM char *text = test_read(TEST_SOURCE_ROOT "/charts/drawbridge/values.yaml");
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "values.yaml", &tree));
    return tree;
}

TEST(the_pods_memory_has_room_for_the_controller_its_git_workers_and_one_helm)
{
    AUTO_JSON json_t *all = values();
    uint64_t limit = bytes_of(doc_str(all, "controller", "resources", "limits", "memory", NULL));

    CHECK_INT(limit, CONTROLLER_MEMORY_BYTES + FETCH_WORKERS_MAX * FETCH_MEMORY_BYTES_MAX +
                         DRIVER_MEMORY_BYTES_MAX);
}

// Three quarters of what the controller has for itself, at the very worst.
TEST(all_hosted_api_servers_may_answer_at_once_with_as_much_as_they_like)
{
    CHECK(CLUSTER_ASKED_MAX * CLUSTER_BYTES_MAX <= CONTROLLER_MEMORY_BYTES / 4 * 3);
}

TEST(the_pods_scratch_volume_has_room_for_what_its_children_write)
{
    AUTO_JSON json_t *all = values();
    uint64_t size = bytes_of(doc_str(all, "controller", "scratchSize", NULL));

    // Of helm: the archive, the same in its cache, and the index of a repository.
    CHECK(size >= FETCH_WORKERS_MAX * (FETCH_PACK_BYTES_MAX + FETCH_INDEX_BYTES_MAX) +
                      3 * DRIVER_FILE_BYTES_MAX);
}

TEST_MAIN()
