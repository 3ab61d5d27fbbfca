// SPDX-License-Identifier: Apache-2.0
// Scouts: of the DRAConfigurations of one cluster that wait for somebody else to turn DRA on, one
// looks for all of them. Each cluster has its own: what one says is nothing to the others.
#include "controller_internal.h"

struct scouts {
    struct controller *controller;
    json_t *of_cluster; // name of a cluster → key of its scout
    json_t *of_key;     // and the other way round
};

struct scouts *scouts_new(struct controller *controller)
{
    struct scouts *scouts = NEW(struct scouts);

    scouts->controller = controller;
    scouts->of_cluster = json_object();
    scouts->of_key = json_object();
    return scouts;
}

void scouts_free(struct scouts *scouts)
{
    if (!scouts)
        return;
    json_decref(scouts->of_cluster);
    json_decref(scouts->of_key);
    mem_free(scouts);
}

static const char *name_of(const struct cluster *cluster)
{
    return cluster->by ? cluster->by : CLUSTER_HOME;
}

static void end(struct scouts *scouts, const char *key)
{
    AUTO_MEM char *name = str_dup(doc_str(scouts->of_key, key, NULL));

    json_object_del(scouts->of_key, key);
    json_object_del(scouts->of_cluster, name);
    controller_enqueue_of(scouts->controller, name);
}

bool scouts_ask(struct scouts *scouts, const struct cluster *cluster, const char *key)
{
    const char *name = name_of(cluster), *other = doc_str(scouts->of_key, key, NULL);

    if (*other && !str_eq(other, name))
        end(scouts, key);
    if (!json_object_get(scouts->of_cluster, name)) {
        json_object_set_new(scouts->of_cluster, name, doc_string(key));
        json_object_set_new(scouts->of_key, key, doc_string(name));
    }
    return str_eq(doc_str(scouts->of_cluster, name, NULL), key);
}

void scouts_note_facts(struct scouts *scouts, struct cluster *cluster, uint64_t edition)
{
    if (edition == 0 || edition == cluster->edition_seen)
        return;
    if (cluster->edition_seen != 0)
        controller_enqueue_of(scouts->controller, name_of(cluster));
    cluster->edition_seen = edition;
}

void scouts_note_end(struct scouts *scouts, const struct cluster *cluster, const char *key,
                     bool again)
{
    const char *name = doc_str(scouts->of_key, key, NULL);

    if (*name && !(again && cluster && str_eq(name, name_of(cluster))) && !scouts->controller->stop)
        end(scouts, key);
}
