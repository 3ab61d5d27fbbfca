// SPDX-License-Identifier: Apache-2.0
// Verbs as a person types them: exit code, what is on stdout, what on stderr.
#include <stdlib.h>
#include <string.h>

#include "cli_internal.h"
#include "drawbridge/gates.h"
#include "test.h"

static char *said, *complained;

// Runs the program in this process; a test has a process of its own.
static int drawbridge(const char *line)
{
    AUTO_MEM char *copy = str_dup(line);
    AUTO_MEM char *out = test_path("stdout");
    AUTO_MEM char *err = test_path("stderr");
    char *argv[32];
    int argc = 0, code;

    for (char *at = copy; at && argc < 31; argc++) {
        argv[argc] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = '\0';
    }
    argv[argc] = NULL;
    CHECK(freopen(out, "w", stdout) && freopen(err, "w", stderr));
    code = cli_main(argc, argv);
    fflush(NULL);
    mem_free(said);
    mem_free(complained);
    said = test_read(out);
    complained = test_read(err);
    return code;
}

TEST(nothing_said)
{
    CHECK_INT(drawbridge("drawbridge"), CLI_USAGE);
    CHECK_STR(said, "");
    CHECK_HAS(complained, "usage: drawbridge VERB");
}

TEST(an_end_by_an_error_is_a_line_of_the_log_in_its_format)
{
    CHECK_INT(drawbridge("drawbridge run --log-format json --kubeconfig /nonexistent/x"),
              CLI_ERROR);
    CHECK_HAS(complained, "{\"");
    CHECK_HAS(complained, "/nonexistent/x");
    CHECK(!strstr(complained, "drawbridge: "));
    log_set_json(false);
}

TEST(an_agent_is_a_nodes_or_a_kwok_clusters)
{
    unsetenv("NODE_NAME");
    CHECK_INT(drawbridge("drawbridge agent"), CLI_USAGE);
    CHECK_HAS(complained, "--node-name is required");
    CHECK_INT(drawbridge("drawbridge agent --kwok-dir clusters/x"), CLI_USAGE);
    CHECK_HAS(complained, "clusters/x is not an absolute path");
    CHECK_INT(drawbridge("drawbridge agent --kwok-dir /nonexistent/x"), CLI_ERROR);
    CHECK_HAS(complained, "/nonexistent/x/kubeconfig.yaml");
}

TEST(an_option_that_takes_no_value_is_shown_without_one)
{
    CHECK_INT(drawbridge("drawbridge status --help"), CLI_OK);
    CHECK_HAS(said, "--watch ");
    CHECK(!strstr(said, "BOOL"));
}

TEST(help)
{
    CHECK_INT(drawbridge("drawbridge --help"), CLI_OK);
    CHECK_HAS(said, "usage: drawbridge VERB");
    for (size_t i = 0; cli_verbs[i]; i++) {
        AUTO_MEM char *line = str_format("drawbridge %s --help", cli_verbs[i]->name);
        AUTO_MEM char *same = str_format("drawbridge help %s", cli_verbs[i]->name);
        AUTO_MEM char *usage = str_format("usage: drawbridge %s", cli_verbs[i]->name);
        CHECK_HAS(said, cli_verbs[i]->summary);
        CHECK_INT(drawbridge(line), CLI_OK);
        CHECK_HAS(said, usage);
        CHECK_HAS(said, "example:\n  drawbridge ");
        CHECK_STR(complained, "");
        CHECK_INT(drawbridge(same), CLI_OK);
        CHECK_HAS(said, usage);
        CHECK_INT(drawbridge("drawbridge help"), CLI_OK);
    }
}

TEST(mistakes)
{
    CHECK_INT(drawbridge("drawbridge gats"), CLI_USAGE);
    CHECK_HAS(complained, "unknown command \"gats\"; did you mean gates?");
    CHECK_INT(drawbridge("drawbridge help nothing"), CLI_USAGE);
    CHECK_INT(drawbridge("drawbridge gates --kubernets 1.33"), CLI_USAGE);
    CHECK_HAS(complained, "did you mean --kubernetes?");
    CHECK_HAS(complained, "See `drawbridge gates --help`.");
    CHECK_INT(drawbridge("drawbridge gates --kubernetes latest"), CLI_USAGE);
    CHECK_HAS(complained, "\"latest\" is no version");
    CHECK_INT(drawbridge("drawbridge gates --kubernetes 1.12"), CLI_USAGE);
    CHECK_HAS(complained, "the table knows 1.30 to 1.38");
    CHECK_INT(drawbridge("drawbridge run --reach tenant-a"), CLI_USAGE);
    CHECK_HAS(complained, "--reach: write FROM=TO, two names of namespaces, not \"tenant-a\"");
    CHECK_INT(drawbridge("drawbridge run --reach a=b=c"), CLI_USAGE);
    CHECK_INT(drawbridge("drawbridge run --look =b"), CLI_USAGE);
    CHECK_HAS(complained, "--look: write FROM=TO, two names of namespaces, not \"=b\"");
    CHECK_INT(drawbridge("drawbridge run --governing-namespace *"), CLI_USAGE);
    CHECK_HAS(complained, "--governing-namespace: \"*\" is no name of a namespace");
    CHECK_INT(drawbridge("drawbridge run --helm-service-account helm"), CLI_USAGE);
    CHECK_HAS(complained, "--helm-service-account: write NAMESPACE/NAME, not \"helm\"");
    CHECK_INT(drawbridge("drawbridge run --helm-service-account a/b/c"), CLI_USAGE);
    CHECK_INT(drawbridge("drawbridge version now"), CLI_USAGE);
    CHECK_STR(said, "");
}

TEST(options_may_stand_before_the_verb)
{
    CHECK_INT(drawbridge("drawbridge -o json gates --kubernetes 1.33"), CLI_OK);
    CHECK_HAS(said, "\"name\": \"DynamicResourceAllocation\"");
    CHECK_INT(drawbridge("drawbridge --all --kubernetes=1.33 -ojson gates"), CLI_OK);
    CHECK_HAS(said, "\"name\": \"APIServerTracing\"");
    CHECK_INT(drawbridge("drawbridge --kubernetes 1.12 gates"), CLI_USAGE);
    CHECK_HAS(complained, "the table knows 1.30 to 1.38");
    CHECK_INT(drawbridge("drawbridge -n run status --context nowhere --nothing"), CLI_USAGE);
    CHECK_HAS(complained, "drawbridge status: there is no option --nothing");
    CHECK_INT(drawbridge("drawbridge --nothing gates"), CLI_USAGE);
    CHECK_HAS(complained, "drawbridge gates: there is no option --nothing");
    CHECK_INT(drawbridge("drawbridge -n x"), CLI_USAGE);
    CHECK_HAS(complained, "a verb is missing");
    CHECK_INT(drawbridge("drawbridge -o json --help gates"), CLI_OK);
    CHECK_HAS(said, "usage: drawbridge gates");
}

// Else what stands before the verb could not be told from the verb.
TEST(options_of_one_name_are_alike_in_all_verbs)
{
    for (size_t i = 0; cli_verbs[i]; i++)
        for (size_t k = 0; cli_verbs[k]; k++)
            for (const struct cli_option *one = cli_verbs[i]->options; one && one->name; one++) {
                AUTO_MEM char *text = str_format("--%s", one->name);
                AUTO_MEM char *letter = str_format("-%c", one->letter ? one->letter : ' ');
                const struct cli_option *other = cli_option_find(cli_verbs[k], text);
                const struct cli_option *same = cli_option_find(cli_verbs[k], letter);

                CHECK(!other || (other->type == CLI_BOOL) == (one->type == CLI_BOOL));
                CHECK(!same || str_eq(same->name, one->name));
            }
}

TEST(exit_codes_tell_a_refusal_from_an_error)
{
    AUTO_MEM char *broken = test_path("broken.yaml");
    AUTO_MEM char *plan = str_format("drawbridge plan -f %s", broken);
    AUTO_MEM char *missing = str_format("drawbridge plan -f %s.not", broken);
    static const char *const no_cluster[] = {"status", "doctor", "plan --live"};

    test_write(broken, "kind: DRAConfiguration\nspec: [\n");
    CHECK_INT(drawbridge(plan), CLI_REFUSED);
    CHECK_HAS(complained, "broken.yaml:");
    CHECK_INT(drawbridge(missing), CLI_ERROR);
    for (size_t i = 0; i < COUNT(no_cluster); i++) {
        AUTO_MEM char *line =
            str_format("drawbridge --kubeconfig /nonexistent/x %s", no_cluster[i]);

        CHECK_INT(drawbridge(line), CLI_ERROR);
        CHECK_HAS(complained, "/nonexistent/x");
    }
    CHECK_INT(drawbridge("drawbridge status dra -A"), CLI_USAGE);
    CHECK_HAS(complained, "a name goes with one namespace");
}

TEST(version)
{
    AUTO_JSON json_t *about = NULL;

    CHECK_INT(drawbridge("drawbridge version"), CLI_OK);
    CHECK_STR(said, "drawbridge v" DRAWBRIDGE_VERSION ", knows Kubernetes 1.30 to 1.37, and "
                    "1.38 as a preview (1.38.0-beta.0)\n");
    CHECK_INT(drawbridge("drawbridge --version"), CLI_OK);
    CHECK_HAS(said, "drawbridge v");
    CHECK_INT(drawbridge("drawbridge version -o json"), CLI_OK);
    CHECK_OK(doc_parse_json(slice_of(said), "version", &about));
    CHECK_STR(doc_str(about, "version", NULL), "v" DRAWBRIDGE_VERSION);
    CHECK_STR(doc_str(about, "kubernetes", "newest", NULL), "1.37");
    CHECK_STR(doc_str(about, "kubernetes", "preview", NULL), "1.38");
}

static const json_t *find_gate(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (str_eq(doc_str(json_array_get(list, i), "name", NULL), name))
            return json_array_get(list, i);
    return NULL;
}

TEST(gates_as_json)
{
    AUTO_JSON json_t *list = NULL;
    const json_t *gate;

    CHECK_INT(drawbridge("drawbridge gates --kubernetes v1.33.13 -o json"), CLI_OK);
    CHECK_OK(doc_parse_json(slice_of(said), "gates", &list));
    gate = find_gate(list, "DynamicResourceAllocation");
    CHECK_STR(doc_str(gate, "stage", NULL), "BETA");
    CHECK(!doc_bool(gate, true, "default", NULL));
    CHECK(!doc_bool(gate, true, "locked", NULL));
    CHECK_INT(json_array_size(doc_get(gate, "components", NULL)), 4);
    CHECK(json_is_array(doc_get(gate, "dependsOn", NULL)));
    CHECK(!find_gate(list, "ImageVolume"));
    json_decref(list);
    list = NULL;
    CHECK_INT(drawbridge("drawbridge gates --kubernetes=1.33 --all -ojson"), CLI_OK);
    CHECK_OK(doc_parse_json(slice_of(said), "gates", &list));
    CHECK(find_gate(list, "ImageVolume") != NULL);
    CHECK(json_array_size(list) > 100);
}

TEST(gates_as_a_table)
{
    CHECK_INT(drawbridge("drawbridge gates --kubernetes 1.33"), CLI_OK);
    CHECK(str_starts(said, "NAME "));
    CHECK_HAS(said, "\nDynamicResourceAllocation ");
    CHECK_HAS(said, "resource.k8s.io in Kubernetes 1.33: registered ");
    CHECK_HAS(said, "; served by default none; components ask for v1beta1\n");
    CHECK_INT(drawbridge("drawbridge gates"), CLI_OK);
    CHECK_HAS(said, "resource.k8s.io in Kubernetes 1.37: ");
}

TEST(gates_as_yaml)
{
    AUTO_JSON json_t *list = NULL;

    CHECK_INT(drawbridge("drawbridge gates -o yaml"), CLI_OK);
    CHECK_OK(doc_parse_yaml(slice_of(said), "gates", &list));
    CHECK(find_gate(list, "DynamicResourceAllocation") != NULL);
}

TEST(output_that_cannot_be_written)
{
    char name[] = "drawbridge", verb[] = "version";
    char *argv[] = {name, verb, NULL};

    CHECK(freopen("/dev/full", "w", stdout) != NULL);
    CHECK_INT(cli_main(2, argv), CLI_ERROR);
}

TEST_MAIN()
