// SPDX-License-Identifier: Apache-2.0
// What an edit would do: whose an entry is, and what giving it up leaves behind.
#include "node_internal.h"
#include "testkit/test.h"

#define HEAD "kind: KubeletConfiguration\n"

// A kubelet with a config file, and perhaps flags.
struct rig {
    struct node node;
    struct node_unit unit;
    json_t *owned;
    char original[DOC_DIGEST_BYTES], written[DOC_DIGEST_BYTES];
    char *path;
};

static void set_file(struct node_file *file, const char *path, const char *text)
{
    node_file_fini(file);
    *file =
        (struct node_file){.path = str_dup(path), .text = str_dup(text), .len = slice_of(text).len};
    doc_digest(node_file_slice(file), file->digest);
}

static void rig_init(struct rig *rig, const char *config, const char *env)
{
    *rig = (struct rig){0};
    rig->node.backups_dir = test_path("backups");
    CHECK_OK(node_dir_make(rig->node.backups_dir));
    rig->unit =
        (struct node_unit){.node = &rig->node, .component = COMPONENT_KUBELET, .present = true};
    rig->path = str_dup("");
    set_file(&rig->unit.files[NODE_FILE_MAIN], "config.yaml", config);
    if (env)
        set_file(&rig->unit.files[NODE_FILE_ENV], "flags.env", env);
    CHECK_OK(site_env_argv(slice_of(env), "flags.env", &rig->unit.argv));
}

static void rig_fini(struct rig *rig)
{
    node_unit_fini(&rig->unit);
    mem_free(rig->node.backups_dir);
    mem_free(rig->path);
    json_decref(rig->owned);
}

// Carries the plan out and remembers it as the journal would. Gives the file's new text (borrowed).
static const char *carry_out(struct rig *rig, const char *want)
{
    AUTO_JSON json_t *gates = NULL;
    AUTO_JSON json_t *runtime = json_object();
    CHECK_OK(doc_parse_json(slice_of(want), "want", &gates));
    struct node_wish wish = {gates, runtime, rig->owned, rig->path, rig->original, rig->written};
    AUTO_EDIT struct node_edit edit = {0};
    CHECK_OK(node_plan(&rig->unit, &wish, &edit));
    struct node_file *file = &rig->unit.files[edit.file];
    CHECK_OK(node_backup_store(&rig->node, node_file_slice(file), file->digest));
    if (edit.text) {
        AUTO_MEM char *path = str_dup(file->path);
        set_file(file, path, edit.text);
    }
    json_decref(rig->owned);
    rig->owned = json_incref(edit.owned);
    mem_free(rig->path);
    rig->path = str_dup(node_owned_empty(edit.owned) ? "" : file->path);
    CHECK(snprintf(rig->original, sizeof(rig->original), "%s", edit.original) >= 0);
    CHECK(snprintf(rig->written, sizeof(rig->written), "%s", file->digest) >= 0);
    json_decref(rig->unit.argv);
    rig->unit.argv = NULL;
    CHECK_OK(site_env_argv(node_file_slice(&rig->unit.files[NODE_FILE_ENV]), "flags.env",
                           &rig->unit.argv));
    return file->text;
}

static const char *owned_text(struct rig *rig)
{
    static char text[512];
    AUTO_MEM char *printed = doc_print_json_sorted(json_object_get(rig->owned, "featureGates"));
    CHECK(snprintf(text, sizeof(text), "%s", printed) >= 0);
    return text;
}

TEST(undo_gives_the_bytes_back)
{
    struct rig rig;
    rig_init(&rig, HEAD "featureGates: {} # empty\n", NULL);
    CHECK_STR(carry_out(&rig, "{\"A\": true, \"B\": false}"),
              HEAD "featureGates: {A: true, B: false} # empty\n");
    CHECK_STR(carry_out(&rig, "{\"B\": false}"), HEAD "featureGates: {B: false} # empty\n");
    CHECK_STR(carry_out(&rig, "{}"), HEAD "featureGates: {} # empty\n");
    CHECK_STR(owned_text(&rig), "{}");
    CHECK_STR(rig.original, "");
    rig_fini(&rig);
}

TEST(a_foreign_edit_survives_the_undo)
{
    struct rig rig;
    rig_init(&rig, HEAD "featureGates:\n  X: true\n", NULL);
    carry_out(&rig, "{\"A\": true}");
    set_file(&rig.unit.files[NODE_FILE_MAIN], "config.yaml",
             HEAD "maxPods: 99 # new\nfeatureGates:\n  X: true\n  A: true\n");
    CHECK_STR(carry_out(&rig, "{}"), HEAD "maxPods: 99 # new\nfeatureGates:\n  X: true\n");
    rig_fini(&rig);
}

TEST(a_foreign_edit_survives_a_later_edit_and_the_undo)
{
    struct rig rig;
    rig_init(&rig, HEAD "featureGates:\n  X: true\n", NULL);
    carry_out(&rig, "{\"A\": true}");
    set_file(&rig.unit.files[NODE_FILE_MAIN], "config.yaml",
             HEAD "maxPods: 99\nfeatureGates:\n  X: true\n  A: true\n");
    CHECK_STR(carry_out(&rig, "{\"A\": true, \"B\": true}"),
              HEAD "maxPods: 99\nfeatureGates:\n  X: true\n  A: true\n  B: true\n");
    CHECK_STR(carry_out(&rig, "{}"), HEAD "maxPods: 99\nfeatureGates:\n  X: true\n");
    rig_fini(&rig);
}

TEST(a_foreign_value_comes_back)
{
    struct rig rig;
    rig_init(&rig, HEAD "featureGates:\n  A: false # theirs\n", NULL);
    CHECK_STR(carry_out(&rig, "{\"A\": true}"), HEAD "featureGates:\n  A: true # theirs\n");
    CHECK_STR(owned_text(&rig), "{\"A\":{\"before\":false,\"value\":true}}");
    // Without the bytes from before, entry by entry.
    set_file(&rig.unit.files[NODE_FILE_MAIN], "config.yaml",
             HEAD "featureGates:\n  A: true # theirs\nmaxPods: 1\n");
    CHECK_STR(carry_out(&rig, "{}"), HEAD "featureGates:\n  A: false # theirs\nmaxPods: 1\n");
    rig_fini(&rig);
}

TEST(what_somebody_else_says_is_theirs)
{
    struct rig rig;
    rig_init(&rig, HEAD "featureGates:\n  A: true\n", NULL);
    CHECK_STR(carry_out(&rig, "{\"A\": true}"), HEAD "featureGates:\n  A: true\n");
    CHECK_STR(owned_text(&rig), "{}");
    CHECK_STR(carry_out(&rig, "{}"), HEAD "featureGates:\n  A: true\n");
    rig_fini(&rig);
}

TEST(what_somebody_else_changed_is_no_longer_ours)
{
    struct rig rig;
    rig_init(&rig, HEAD "featureGates:\n  X: true\n", NULL);
    carry_out(&rig, "{\"A\": true}");
    set_file(&rig.unit.files[NODE_FILE_MAIN], "config.yaml",
             HEAD "featureGates:\n  X: true\n  A: false\n");
    CHECK_STR(carry_out(&rig, "{}"), HEAD "featureGates:\n  X: true\n  A: false\n");
    CHECK_STR(owned_text(&rig), "{}");
    rig_fini(&rig);
}

TEST(a_regenerated_file_without_our_entries)
{
    struct rig rig;
    rig_init(&rig, HEAD "featureGates:\n  X: true\n", NULL);
    carry_out(&rig, "{\"A\": true}");
    set_file(&rig.unit.files[NODE_FILE_MAIN], "config.yaml",
             HEAD "cgroupDriver: systemd\nfeatureGates: {X: true}\n");
    CHECK_STR(carry_out(&rig, "{\"A\": true}"),
              HEAD "cgroupDriver: systemd\nfeatureGates: {X: true, A: true}\n");
    CHECK_STR(carry_out(&rig, "{}"), HEAD "cgroupDriver: systemd\nfeatureGates: {X: true}\n");
    rig_fini(&rig);
}

TEST(a_regenerated_file_with_our_entries)
{
    struct rig rig;
    rig_init(&rig, HEAD "maxPods: 1\n", NULL);
    carry_out(&rig, "{\"A\": true}");
    set_file(&rig.unit.files[NODE_FILE_MAIN], "config.yaml",
             HEAD "featureGates:\n  A: true\nmaxPods: 2\n");
    carry_out(&rig, "{\"A\": true}");
    CHECK_STR(owned_text(&rig), "{\"A\":{\"before\":null,\"value\":true}}");
    CHECK_STR(carry_out(&rig, "{}"), HEAD "maxPods: 2\n");
    rig_fini(&rig);
}

TEST(flags_outrank_the_file)
{
    struct rig rig;
    rig_init(&rig, HEAD, "KUBELET_KUBEADM_ARGS=\"--feature-gates=X=true --node-ip=1.2.3.4\"\n");
    CHECK_STR(carry_out(&rig, "{\"A\": true}"),
              "KUBELET_KUBEADM_ARGS=\"--feature-gates=X=true,A=true --node-ip=1.2.3.4\"\n");
    CHECK_STR(rig.unit.files[NODE_FILE_MAIN].text, HEAD);
    CHECK_STR(carry_out(&rig, "{\"A\": true}"),
              "KUBELET_KUBEADM_ARGS=\"--feature-gates=X=true,A=true --node-ip=1.2.3.4\"\n");
    CHECK_STR(owned_text(&rig), "{\"A\":{\"before\":null,\"value\":true}}");
    CHECK_STR(carry_out(&rig, "{}"),
              "KUBELET_KUBEADM_ARGS=\"--feature-gates=X=true --node-ip=1.2.3.4\"\n");
    rig_fini(&rig);
}

TEST(the_file_says_it_already_and_no_flag_outranks_it)
{
    struct rig rig;
    rig_init(&rig, HEAD "featureGates: {A: true}\n",
             "KUBELET_KUBEADM_ARGS=\"--feature-gates=X=true\"\n");
    CHECK_STR(carry_out(&rig, "{\"A\": true}"),
              "KUBELET_KUBEADM_ARGS=\"--feature-gates=X=true\"\n");
    CHECK_STR(owned_text(&rig), "{}");
    rig_fini(&rig);
}

TEST(a_flag_that_came_later_and_outranks_ours_is_a_conflict)
{
    struct rig rig;
    rig_init(&rig, HEAD, "KUBELET_KUBEADM_ARGS=\"\"\n");
    carry_out(&rig, "{\"A\": true}");
    set_file(&rig.unit.files[NODE_FILE_ENV], "flags.env",
             "KUBELET_KUBEADM_ARGS=\"--feature-gates=A=false\"\n");
    json_decref(rig.unit.argv);
    CHECK_OK(site_env_argv(node_file_slice(&rig.unit.files[NODE_FILE_ENV]), "flags.env",
                           &rig.unit.argv));
    AUTO_JSON json_t *gates = json_pack("{s:b}", "A", 1);
    struct node_wish wish = {gates, NULL, rig.owned, rig.path, rig.original, rig.written};
    struct node_edit edit = {0};
    CHECK_ERR_HAS(node_plan(&rig.unit, &wish, &edit), ERROR_CONFLICT, "--feature-gates=A=false");
    CHECK_STR(carry_out(&rig, "{}"), HEAD);
    rig_fini(&rig);
}

// --- what shall not stand ------------------------------------------------------------------------

static void run_version(struct rig *rig, int minor)
{
    rig->node.spec.table = gates_table_builtin();
    rig->unit.version = (struct version){1, minor, 1};
}

TEST(an_entry_of_others_goes_and_comes_back)
{
    const char *theirs = HEAD "featureGates:\n  DynamicResourceAllocation: true # theirs\n";
    struct rig rig;
    rig_init(&rig, theirs, NULL);
    run_version(&rig, 37);
    CHECK_STR(carry_out(&rig, "{\"DynamicResourceAllocation\": null}"), HEAD);
    CHECK_STR(owned_text(&rig), "{\"DynamicResourceAllocation\":{\"before\":true,\"value\":null}}");
    CHECK_STR(carry_out(&rig, "{\"DynamicResourceAllocation\": null}"), HEAD);
    CHECK_STR(carry_out(&rig, "{}"), theirs);
    CHECK_STR(owned_text(&rig), "{}");
    // Beside what somebody wrote meanwhile.
    carry_out(&rig, "{\"DynamicResourceAllocation\": null}");
    set_file(&rig.unit.files[NODE_FILE_MAIN], "config.yaml", HEAD "maxPods: 9\n");
    CHECK_STR(carry_out(&rig, "{}"),
              HEAD "maxPods: 9\nfeatureGates:\n  DynamicResourceAllocation: true\n");
    rig_fini(&rig);
}

TEST(what_kubeadm_writes_anew_goes_again)
{
    const char *anew = HEAD "maxPods: 9\nfeatureGates:\n  DynamicResourceAllocation: true\n";
    struct rig rig;
    rig_init(&rig, HEAD "featureGates:\n  DynamicResourceAllocation: true\n", NULL);
    run_version(&rig, 37);
    carry_out(&rig, "{\"DynamicResourceAllocation\": null}");
    set_file(&rig.unit.files[NODE_FILE_MAIN], "config.yaml", anew);
    CHECK_STR(carry_out(&rig, "{\"DynamicResourceAllocation\": null}"), HEAD "maxPods: 9\n");
    CHECK_STR(carry_out(&rig, "{}"), anew);
    rig_fini(&rig);
}

TEST(an_entry_of_others_on_the_command_line_goes_there)
{
    const char *theirs = HEAD "featureGates:\n  DRAPartitionableDevices: true\n";
    const char *env =
        "KUBELET_KUBEADM_ARGS=\"--feature-gates=DynamicResourceAllocation=true --v=2\"";
    struct rig rig;
    rig_init(&rig, theirs, env);
    run_version(&rig, 37);
    CHECK_STR(carry_out(&rig, "{\"DynamicResourceAllocation\": null}"),
              "KUBELET_KUBEADM_ARGS=\"--v=2\"");
    CHECK_STR(rig.unit.files[NODE_FILE_MAIN].text, theirs);
    CHECK_STR(carry_out(&rig, "{}"), env);
    // What is in the file alone goes from the file, whatever else is on the command line.
    CHECK_STR(carry_out(&rig, "{\"DRAPartitionableDevices\": null}"), HEAD);
    CHECK_STR(rig.unit.files[NODE_FILE_ENV].text, env);
    CHECK_STR(carry_out(&rig, "{}"), theirs);
    rig_fini(&rig);
}

// What a unit file says as well, which nobody edits.
TEST(what_outranks_the_file_keeps_nothing_in_it)
{
    struct rig rig;
    rig_init(&rig, HEAD "featureGates:\n  DynamicResourceAllocation: true\n", NULL);
    run_version(&rig, 37);
    rig.unit.live = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    CHECK_STR(carry_out(&rig, "{\"DynamicResourceAllocation\": null}"), HEAD);
    rig_fini(&rig);
}

// The binary is what refuses it, whatever it emulates.
TEST(what_starts_next_is_asked_whether_it_takes_what_comes_back)
{
    const char *theirs = HEAD "featureGates:\n  DynamicResourceAllocation: true\n";
    struct rig rig;
    rig_init(&rig, theirs, NULL);
    run_version(&rig, 38);
    rig.unit.emulated = (struct version){1, 37, 0};
    carry_out(&rig, "{\"DynamicResourceAllocation\": null}");
    carry_out(&rig, "{\"DynamicResourceAllocation\": null}");
    // As long as it is wanted out, it is remembered.
    CHECK_STR(owned_text(&rig), "{\"DynamicResourceAllocation\":{\"before\":true,\"value\":null}}");
    CHECK_STR(carry_out(&rig, "{}"), HEAD);
    CHECK_STR(owned_text(&rig), "{}");
    rig_fini(&rig);
    // The manifest names the next image already.
    rig_init(&rig, theirs, NULL);
    run_version(&rig, 37);
    carry_out(&rig, "{\"DynamicResourceAllocation\": null}");
    rig.unit.image = str_dup("registry.example:5000/kubelet:v1.38.0");
    CHECK_STR(carry_out(&rig, "{}"), HEAD);
    rig_fini(&rig);
    // Where nobody knows what starts it comes back.
    rig_init(&rig, theirs, NULL);
    run_version(&rig, 37);
    carry_out(&rig, "{\"DynamicResourceAllocation\": null}");
    rig.unit.version = (struct version){0};
    CHECK_STR(carry_out(&rig, "{}"), theirs);
    rig_fini(&rig);
}

// 1.38 would not start with it.
TEST(what_the_version_refuses_by_then_does_not_come_back)
{
    for (int touched = 0; touched < 2; touched++) {
        struct rig rig;
        rig_init(&rig, HEAD "featureGates:\n  DynamicResourceAllocation: true\n  B: true\n", NULL);
        run_version(&rig, 37);
        CHECK_STR(carry_out(&rig, "{\"DynamicResourceAllocation\": null, \"C\": true}"),
                  HEAD "featureGates:\n  B: true\n  C: true\n");
        run_version(&rig, 38);
        if (touched)
            set_file(&rig.unit.files[NODE_FILE_MAIN], "config.yaml",
                     HEAD "maxPods: 9\nfeatureGates:\n  B: true\n  C: true\n");
        CHECK_STR(carry_out(&rig, "{\"C\": true}"),
                  touched ? HEAD "maxPods: 9\nfeatureGates:\n  B: true\n  C: true\n"
                          : HEAD "featureGates:\n  B: true\n  C: true\n");
        CHECK_STR(owned_text(&rig), "{\"C\":{\"before\":null,\"value\":true}}");
        CHECK_STR(carry_out(&rig, "{}"), touched ? HEAD "maxPods: 9\nfeatureGates:\n  B: true\n"
                                                 : HEAD "featureGates:\n  B: true\n");
        rig_fini(&rig);
    }
}

TEST_MAIN()
