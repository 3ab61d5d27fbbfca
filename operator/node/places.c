// SPDX-License-Identifier: Apache-2.0
// Where each entry of a component stands: file and line, for people who are to take it out.
#include "node_internal.h"

#define PLACES_MAX 64 // of more entries the place is not told

char *node_place_text(const char *path, unsigned line)
{
    AUTO_MEM char *plain = node_plain(slice_of(path));
    return line > 0 ? str_format("%s, line %u", plain, line) : TAKE(plain);
}

// NULL: not in that file.
static char *place_in(const struct node_unit *unit, int file, const char *name)
{
    const struct node_file *f = &unit->files[file];
    struct site_place place = node_place(unit, file);
    unsigned line = f->text ? site_line(&place, node_file_slice(f), name) : 0;
    if (line == 0)
        return NULL;
    // Of a kwok.yaml the text is a part.
    return node_place_text(f->path, place.codec == &site_kwok ? 0 : line);
}

// From the strongest voice to the weakest.
static char *kubelet_place(const struct node_unit *unit, const char *name)
{
    const struct node_drop_ins *drop_ins = &unit->drop_ins;
    const char *dropped = doc_str(drop_ins->places, name, NULL);
    char *place = place_in(unit, NODE_FILE_ENV, name);
    if (!place && json_object_get(unit->live, name))
        return str_dup("the kubelet's command line");
    if (!place && json_object_get(drop_ins->after, name))
        return str_dup(dropped);
    if (!place)
        place = place_in(unit, NODE_FILE_DROP_IN, name);
    if (!place && json_object_get(drop_ins->before, name))
        return str_dup(dropped);
    return place ? place : place_in(unit, NODE_FILE_MAIN, name);
}

void node_unit_locate(struct node_unit *unit)
{
    const json_t *const all[] = {unit->gates, unit->runtime};
    json_decref(unit->places);
    unit->places = json_object();
    for (size_t i = 0; i < COUNT(all); i++) {
        const char *name;
        json_t *value;
        json_object_foreach(node_iterable(all[i]), name, value) {
            if (json_object_size(unit->places) == PLACES_MAX)
                return;
            AUTO_MEM char *place = unit->component == COMPONENT_KUBELET
                                       ? kubelet_place(unit, name)
                                       : place_in(unit, NODE_FILE_MAIN, name);
            if (place)
                json_object_set_new(unit->places, name, doc_string(place));
        }
    }
}
