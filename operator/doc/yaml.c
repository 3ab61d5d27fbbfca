// SPDX-License-Identifier: Apache-2.0
// Reading YAML for its meaning alone: one document, or a stream of them.

#include "doc_internal.h"

struct error *doc_parse_yaml(struct slice text, const char *name, json_t **ret_tree)
{
    AUTO_COMPOSER struct doc_composer composer = {0};
    AUTO_GRAPH struct doc_graph graph = {0};
    AUTO_GRAPH struct doc_graph second = {0};
    bool more = false;
    struct error *err = doc_composer_open(&composer, text, name);
    if (err == NULL) {
        err = doc_composer_next(&composer, &graph, &more);
    }
    if (err == NULL && more) {
        err = doc_composer_next(&composer, &second, &more);
    }
    if (err == NULL && more) {
        err = doc_node_error(name, &second.nodes[0], "a second document, where one is expected");
    }
    struct doc_builder builder = {.name = name};
    return err != NULL ? err : doc_build(&graph, &builder, ret_tree);
}

static struct error *parse_all(struct slice text, const char *name, bool last_wins,
                               json_t **ret_array)
{
    AUTO_COMPOSER struct doc_composer composer = {0};
    struct doc_builder builder = {.name = name, .last_wins = last_wins};
    struct error *err = doc_composer_open(&composer, text, name);
    AUTO_JSON json_t *all = json_array();
    bool more = true;
    while (err == NULL && more) {
        AUTO_GRAPH struct doc_graph graph = {0};
        AUTO_JSON json_t *tree = NULL;
        err = doc_composer_next(&composer, &graph, &more);
        if (err == NULL) {
            err = doc_build(&graph, &builder, &tree);
        }
        if (err == NULL && !json_is_null(tree)) {
            json_array_append_new(all, TAKE(tree));
        }
    }
    if (err != NULL) {
        return err;
    }
    *ret_array = TAKE(all);
    return NULL;
}

struct error *doc_parse_yaml_all(struct slice text, const char *name, json_t **ret_array)
{
    return parse_all(text, name, false, ret_array);
}

struct error *doc_parse_yaml_rendered(struct slice text, const char *name, json_t **ret_array)
{
    return parse_all(text, name, true, ret_array);
}
