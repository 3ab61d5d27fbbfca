// SPDX-License-Identifier: Apache-2.0
// libyaml's events as nodes that know which bytes they stand on. Events rather than libyaml's own
// document, because that one keeps no styles of what is empty, has no depth limit, and its marks
// count characters where an edit needs bytes.

#include <string.h>

#include "doc_internal.h"

#define CHECKPOINT 32 // characters between two entries of the map from characters to bytes

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

// --- characters to bytes -------------------------------------------------------------------------

static void map_characters(struct doc_composer *c)
{
    const char *text = c->text.ptr + c->base;
    size_t len = c->text.len - c->base;
    bool ascii = true;
    for (size_t i = 0; i < len && ascii; i++) {
        ascii = ((unsigned char)text[i] & 0x80) == 0;
    }
    if (ascii) {
        return;
    }
    c->checkpoints = mem_alloc((len / CHECKPOINT + 2) * sizeof(uint32_t));
    size_t characters = 0;
    for (size_t i = 0; i < len; i++) {
        if (is_continuation(text[i])) {
            continue;
        }
        if (characters % CHECKPOINT == 0) {
            c->checkpoints[c->checkpoints_len++] = (uint32_t)i;
        }
        characters++;
    }
}

static size_t byte_of(const struct doc_composer *c, size_t character)
{
    size_t len = c->text.len - c->base;
    if (c->checkpoints == NULL) {
        return c->base + (character < len ? character : len);
    }
    size_t slot = character / CHECKPOINT;
    if (slot >= c->checkpoints_len) {
        return c->text.len;
    }
    const char *text = c->text.ptr + c->base;
    size_t pos = c->checkpoints[slot];
    for (size_t left = character % CHECKPOINT; left > 0 && pos < len; left--) {
        pos++;
        while (pos < len && is_continuation(text[pos])) {
            pos++;
        }
    }
    return c->base + pos;
}

// --- errors --------------------------------------------------------------------------------------

struct error *doc_node_error(const char *name, const struct doc_node *node, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    AUTO_MEM char *what = str_vformat(fmt, args);
    va_end(args);
    return doc_error(name, node->line, node->column, "%s", what);
}

static struct error *parser_error(const struct doc_composer *c)
{
    const yaml_parser_t *p = &c->parser;
    const char *problem = p->problem != NULL ? p->problem : "not YAML";
    if (p->error != YAML_READER_ERROR) {
        return doc_error(c->name, p->problem_mark.line + 1, p->problem_mark.column + 1, "%s",
                         problem);
    }
    size_t line = 1, column = 1;
    for (size_t i = c->base; i < c->text.len && i < c->base + p->problem_offset; i++) {
        bool is_break = c->text.ptr[i] == '\n';
        line += is_break;
        column = is_break ? 1 : column + !is_continuation(c->text.ptr[i]);
    }
    return doc_error(c->name, line, column, "%s", problem);
}

// --- opening and closing -------------------------------------------------------------------------

struct error *doc_composer_open(struct doc_composer *c, struct slice text, const char *name)
{
    *c = (struct doc_composer){.text = text, .name = name};
    if (text.len > DOC_BYTES_MAX) {
        return doc_error(name, 1, 1, "larger than %zu bytes", DOC_BYTES_MAX);
    }
    c->base = slice_starts(text, "\xEF\xBB\xBF") ? 3 : 0;
    map_characters(c);
    int made = yaml_parser_initialize(&c->parser);
    ASSERT(made == 1);
    c->open = true;
    const unsigned char *bytes = (const unsigned char *)(text.len > 0 ? text.ptr : "") + c->base;
    yaml_parser_set_input_string(&c->parser, bytes, text.len - c->base);
    // Set, so that libyaml does not guess UTF-16; and the mark is cut off, as it would count it as
    // a column.
    yaml_parser_set_encoding(&c->parser, YAML_UTF8_ENCODING);
    return NULL;
}

void doc_composer_close(struct doc_composer *c)
{
    if (c->open) {
        yaml_parser_delete(&c->parser);
    }
    mem_free(c->checkpoints);
    *c = (struct doc_composer){0};
}

void doc_graph_fini(struct doc_graph *graph)
{
    for (size_t i = 0; i < graph->len; i++) {
        mem_free(graph->nodes[i].text);
    }
    mem_free(graph->nodes);
    *graph = (struct doc_graph){0};
}

// --- events to nodes -----------------------------------------------------------------------------

struct composing {
    struct doc_composer *composer;
    struct doc_graph *graph;
    json_t *anchors; // name → index of the node
    uint32_t open;   // the collection being filled, or DOC_NONE
    size_t depth;
};

static void event_deletep(yaml_event_t *event)
{
    yaml_event_delete(event);
}

static uint32_t add_node(struct composing *c, const struct doc_node *node)
{
    struct doc_graph *g = c->graph;
    if (g->len == g->room) {
        g->room = g->room == 0 ? 64 : g->room * 2;
        g->nodes = mem_realloc(g->nodes, g->room * sizeof(struct doc_node));
    }
    uint32_t index = (uint32_t)g->len++;
    g->nodes[index] = *node;
    if (node->parent != DOC_NONE) {
        struct doc_node *parent = &g->nodes[node->parent];
        if (parent->count == 0) {
            parent->first = index;
        } else {
            g->nodes[parent->last].next = index;
        }
        parent->last = index;
        parent->count++;
    }
    return index;
}

// Past the anchor and the tag that stand before a node's content.
static size_t skip_properties(struct slice text, size_t pos, size_t end)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    while (pos < end) {
        size_t run = pos;
        if (text.ptr[pos] == '&') {
            for (run++; run < end && memchr(name, text.ptr[run], sizeof(name) - 1) != NULL;) {
                run++;
            }
        } else if (text.ptr[pos] == '!') {
            while (run < end && memchr(" \t\r\n", text.ptr[run], 4) == NULL) {
                run++;
            }
        } else if (memchr(" \t\r\n", text.ptr[pos], 4) != NULL) {
            run++;
        } else if (text.ptr[pos] == '#') {
            while (run < end && text.ptr[run] != '\n') {
                run++;
            }
        }
        if (run == pos) {
            return pos;
        }
        pos = run;
    }
    return end;
}

static struct doc_node make_node(const struct composing *c, enum doc_kind kind,
                                 const yaml_event_t *event)
{
    return (struct doc_node){
        .kind = kind,
        .start = byte_of(c->composer, event->start_mark.index),
        .end = byte_of(c->composer, event->end_mark.index),
        .line = event->start_mark.line + 1,
        .column = event->start_mark.column + 1,
        .parent = c->open,
        .first = DOC_NONE,
        .last = DOC_NONE,
        .next = DOC_NONE,
        .target = DOC_NONE,
    };
}

static void set_content(const struct composing *c, struct doc_node *node, bool properties)
{
    size_t limit = node->kind == DOC_SCALAR ? node->end : c->composer->text.len;
    node->content =
        properties ? skip_properties(c->composer->text, node->start, limit) : node->start;
}

static struct error *read_tag(const struct composing *c, const char *tag, struct doc_node *node)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    static const struct {
        const char *name;
        enum doc_tag tag;
    } known[] = {{"str", DOC_TAG_STR},
                 {"int", DOC_TAG_INT},
                 {"float", DOC_TAG_FLOAT},
                 {"bool", DOC_TAG_BOOL},
                 {"null", DOC_TAG_NULL}};
    if (tag == NULL || (str_eq(tag, "!") && node->kind != DOC_SCALAR)) {
        return NULL;
    }
    if (str_eq(tag, "!")) {
        node->tag = DOC_TAG_PLAIN;
        return NULL;
    }
    const char *core = str_starts(tag, prefix) ? tag + sizeof(prefix) - 1 : "";
    for (size_t i = 0; i < COUNT(known) && node->kind == DOC_SCALAR; i++) {
        if (str_eq(core, known[i].name)) {
            node->tag = known[i].tag;
            return NULL;
        }
    }
    if ((node->kind == DOC_SEQUENCE && str_eq(core, "seq")) ||
        (node->kind == DOC_MAPPING && str_eq(core, "map"))) {
        return NULL;
    }
    return doc_node_error(c->composer->name, node, "tag %s is not supported", tag);
}

static void set_anchor(struct composing *c, const yaml_char_t *anchor, uint32_t index)
{
    if (anchor != NULL) {
        json_object_set_new(c->anchors, (const char *)anchor, json_integer(index));
    }
}

static struct error *on_scalar(struct composing *c, const yaml_event_t *event)
{
    static const enum doc_style styles[] = {
        [YAML_ANY_SCALAR_STYLE] = DOC_PLAIN,
        [YAML_PLAIN_SCALAR_STYLE] = DOC_PLAIN,
        [YAML_SINGLE_QUOTED_SCALAR_STYLE] = DOC_SINGLE,
        [YAML_DOUBLE_QUOTED_SCALAR_STYLE] = DOC_DOUBLE,
        [YAML_LITERAL_SCALAR_STYLE] = DOC_LITERAL,
        [YAML_FOLDED_SCALAR_STYLE] = DOC_FOLDED,
    };
    struct doc_node node = make_node(c, DOC_SCALAR, event);
    struct error *err = read_tag(c, (const char *)event->data.scalar.tag, &node);
    if (err != NULL) {
        return err;
    }
    node.style = styles[event->data.scalar.style];
    node.block_tail = node.style == DOC_LITERAL || node.style == DOC_FOLDED;
    node.closed = true;
    c->graph->has_block = c->graph->has_block || node.block_tail;
    if (memchr(event->data.scalar.value, '\0', event->data.scalar.length) != NULL) {
        return doc_node_error(c->composer->name, &node, "a text holds a NUL character");
    }
    set_content(c, &node, event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL);
    node.text = str_ndup((const char *)event->data.scalar.value, event->data.scalar.length);
    node.text_len = event->data.scalar.length;
    set_anchor(c, event->data.scalar.anchor, add_node(c, &node));
    return NULL;
}

static struct error *on_alias(struct composing *c, const yaml_event_t *event)
{
    struct doc_node node = make_node(c, DOC_ALIAS, event);
    const char *anchor = (const char *)event->data.alias.anchor;
    const json_t *target = json_object_get(c->anchors, anchor);
    if (target == NULL) {
        return doc_node_error(c->composer->name, &node, "alias *%s has no anchor before it",
                              anchor);
    }
    node.target = (uint32_t)json_integer_value(target);
    if (!c->graph->nodes[node.target].closed) {
        return doc_node_error(c->composer->name, &node, "alias *%s stands inside its own anchor",
                              anchor);
    }
    c->graph->nodes[node.target].shared = true;
    c->graph->has_alias = true;
    node.content = node.start;
    node.closed = true;
    add_node(c, &node);
    return NULL;
}

static struct error *on_start(struct composing *c, const yaml_event_t *event, bool mapping)
{
    struct doc_node node = make_node(c, mapping ? DOC_MAPPING : DOC_SEQUENCE, event);
    if (++c->depth > DOC_DEPTH_MAX) {
        return doc_node_error(c->composer->name, &node, "nested deeper than %d", DOC_DEPTH_MAX);
    }
    const yaml_char_t *tag =
        mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const yaml_char_t *anchor =
        mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    struct error *err = read_tag(c, (const char *)tag, &node);
    if (err != NULL) {
        return err;
    }
    node.flow = mapping ? event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
                        : event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    set_content(c, &node, tag != NULL || anchor != NULL);
    c->open = add_node(c, &node);
    set_anchor(c, anchor, c->open);
    return NULL;
}

static void on_end(struct composing *c, const yaml_event_t *event)
{
    struct doc_node *node = &c->graph->nodes[c->open];
    const struct slice text = c->composer->text;
    bool brackets =
        node->flow && node->content < text.len && memchr("[{", text.ptr[node->content], 2) != NULL;
    // The end event of a collection without brackets stands where the next thing begins.
    if (brackets) {
        node->end = byte_of(c->composer, event->end_mark.index);
    } else if (node->count > 0) {
        const struct doc_node *last = &c->graph->nodes[node->last];
        node->end = last->end;
        node->block_tail = last->block_tail;
    }
    node->closed = true;
    c->open = node->parent;
    c->depth--;
}

// A key must be something that has a text.
static struct error *check_key(const struct composing *c, const yaml_event_t *event)
{
    if (c->open == DOC_NONE) {
        return NULL;
    }
    const struct doc_node *open = &c->graph->nodes[c->open];
    bool is_key = open->kind == DOC_MAPPING && open->count % 2 == 0;
    bool starts =
        event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT;
    if (is_key && starts) {
        const yaml_mark_t *mark = &event->start_mark;
        return doc_error(c->composer->name, mark->line + 1, mark->column + 1,
                         "a key must be a scalar");
    }
    return NULL;
}

static struct error *on_event(struct composing *c, const yaml_event_t *event)
{
    struct error *err = check_key(c, event);
    if (err != NULL) {
        return err;
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(c, event);
    case YAML_ALIAS_EVENT:
        return on_alias(c, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(c, event, false);
    case YAML_MAPPING_START_EVENT:
        return on_start(c, event, true);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_end(c, event);
        return NULL;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return NULL;
    }
    return NULL;
}

struct error *doc_composer_next(struct doc_composer *composer, struct doc_graph *ret_graph,
                                bool *ret_more)
{
    AUTO_GRAPH struct doc_graph graph = {0};
    AUTO_JSON json_t *anchors = json_object();
    struct composing c = {
        .composer = composer, .graph = &graph, .anchors = anchors, .open = DOC_NONE};
    for (;;) {
        CLEANUP(event_deletep) yaml_event_t event = {0};
        if (!yaml_parser_parse(&composer->parser, &event)) {
            return parser_error(composer);
        }
        struct error *err = on_event(&c, &event);
        if (err != NULL) {
            return err;
        }
        bool end = event.type == YAML_STREAM_END_EVENT;
        if (end || event.type == YAML_DOCUMENT_END_EVENT) {
            graph.empty = end;
            *ret_more = !end;
            *ret_graph = graph;
            graph = (struct doc_graph){0};
            return NULL;
        }
        if (graph.len > DOC_NODES_MAX) {
            return doc_error(composer->name, 1, 1, "more than %d nodes", DOC_NODES_MAX);
        }
    }
}
