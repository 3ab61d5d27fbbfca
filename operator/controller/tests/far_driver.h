// SPDX-License-Identifier: Apache-2.0
// A driver in a target cluster: helm as it is seen from outside, devices and the smoke test's pod.
// Included behind struct story, which has scene, far, kubelet and helm.
#pragma once

#include <sys/stat.h>

#include "far.h"

#define RELEASE "/api/v1/namespaces/gpu/secrets/sh.helm.release.v1.gpu.v"
#define PLUGIN "/apis/apps/v1/namespaces/gpu/daemonsets/plugin"

// The scheduler and the kubelet, for the smoke test.
static void on_kubelet(void *owner)
{
    struct story *s = owner;
    AUTO_JSON json_t *all = json_copy(s->far->objects);
    const char *path;
    json_t *object;

    s->kubelet = NULL;
    json_object_foreach(all, path, object) {
        if (strstr(path, "/namespaces/smoke/resourceclaims/"))
            fake_edit(s->far, path,
                      json_pack("{s:{s:{s:{s:[{s:s, s:s, s:s}]}}, s:[{s:s}]}}", "status",
                                "allocation", "devices", "results", "driver", "gpu.example.com",
                                "device", "gpu-0", "pool", "cp-1", "reservedFor", "name", "pod"));
        else if (strstr(path, "/namespaces/smoke/pods/"))
            fake_edit(s->far, path,
                      json_pack("{s:{s:s}, s:{s:s}}", "spec", "nodeName", "cp-1", "status", "phase",
                                "Running"));
    }
}

// helm, as far as it is seen from outside: what it writes goes to the server of its kubeconfig. The
// chart is a file: what is asked of it needs none. %s: how long a dry run takes.
#define HELM                                                                                       \
    "#!/bin/bash\n"                                                                                \
    "case \"$1 $2\" in\n"                                                                          \
    "'show chart') echo 'name: test-driver'; echo 'version: 1.0.0'; exit ;;\n"                     \
    "'show crds') exit ;;\n"                                                                       \
    "esac\n"                                                                                       \
    "config=$(<\"$KUBECONFIG\") path=/api/v1/namespaces/gpu/secrets\n"                             \
    "[[ $config =~ 127.0.0.1:([0-9]+) ]] && port=${BASH_REMATCH[1]}\n"                             \
    "fail() { echo \"Error: $1\" >&2; exit 1; }\n"                                                 \
    "[[ $config == *'\"token\":\"of-far-away\"'* ]] || fail 'not my token'\n"                      \
    "send() {\n"                                                                                   \
    "  exec 3<>/dev/tcp/127.0.0.1/$port\n"                                                         \
    "  printf '%%s %%s HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %%s\\r\\n\\r\\n%%s' \"$1\" "     \
    "\"$2\" ${#3} \"$3\" >&3\n"                                                                    \
    "  read -r line <&3; [[ $line == *' 20'* ]] || fail \"$line\"\n"                               \
    "}\n"                                                                                          \
    "for word in \"$@\"; do [[ $word != --labels=* ]] || labels=${word#--labels=}; done\n"         \
    "labels=\"\\\"${labels//,/\\\",\\\"}\\\"\"\n"                                                  \
    "labels=${labels//=/\\\":\\\"}\n"                                                              \
    "name=sh.helm.release.v1.gpu.v1\n"                                                             \
    "case \"$*\" in\n"                                                                             \
    "*--dry-run=*) sleep %s; echo '{\"manifest\":\"\"}' ;;\n"                                      \
    "upgrade*) send POST $path '{\"metadata\":{\"name\":\"'$name'\",\"labels\":{\"owner\":"        \
    "\"helm\",\"name\":\"gpu\",\"status\":\"deployed\",\"version\":\"1\",'\"$labels\"'}}}' ;;\n"   \
    "uninstall*) send DELETE $path/$name '{\"preconditions\":{\"x\":1}}' ;;\n"                     \
    "esac\n"

// All that a driver would be looked for by, made or removed with.
static enum fault on_home(void *owner UNUSED, unsigned index UNUSED,
                          const struct server_request *request)
{
    static const char *const none[] = {
        "/resource.k8s.io/v", "/daemonsets",       "owner%3Dhelm",       "/token",
        "/namespaces/gpu",    "/namespaces/smoke", "/namespaces/system", "/api/v1/nodes?fie"};

    for (size_t i = 0; i < COUNT(none); i++)
        if (strstr(request->target, none[i]))
            test_fail(__FILE__, __LINE__, "the home cluster was asked: %s %s", request->method,
                      request->target);
    return FAULT_NONE;
}

// What the driver's pods would publish.
static void fill_devices(struct story *s)
{
    fake_seed(s->far, "/apis/resource.k8s.io/v1beta1/deviceclasses/gpu.example.com",
              json_pack("{s:{}}", "metadata"));
    fake_seed(s->far, "/apis/resource.k8s.io/v1beta1/resourceslices/cp-1",
              json_pack("{s:{}, s:{s:s, s:s, s:{s:s, s:i, s:i}, s:[{s:s}]}}", "metadata", "spec",
                        "driver", "gpu.example.com", "nodeName", "cp-1", "pool", "name", "cp-1",
                        "generation", 1, "resourceSliceCount", 1, "devices", "name", "gpu-0"));
    fake_seed(s->far, PLUGIN,
              json_pack("{s:{s:{s:s, s:s}}, s:{s:{s:{s:s}}}, s:{s:i, s:i, s:i, s:i, s:i}}",
                        "metadata", "annotations", "meta.helm.sh/release-name", "gpu",
                        "meta.helm.sh/release-namespace", "gpu", "spec", "selector", "matchLabels",
                        "app", "plugin", "status", "observedGeneration", 1,
                        "desiredNumberScheduled", 1, "currentNumberScheduled", 1,
                        "updatedNumberScheduled", 1, "numberAvailable", 1));
    fake_seed(
        s->far, "/api/v1/namespaces/gpu/pods/plugin-0",
        json_pack("{s:{s:[{s:s}]}, s:{s:s}, s:{s:[{s:s, s:s}]}}", "metadata", "ownerReferences",
                  "uid", doc_str(fake_get(s->far, PLUGIN), "metadata", "uid", NULL), "spec",
                  "nodeName", "cp-1", "status", "conditions", "type", "Ready", "status", "True"));
}

// dry_run: how long it takes, in seconds.
static void open_helm(struct story *s, const char *dry_run)
{
    AUTO_MEM char *text = str_format(HELM, dry_run);

    setenv("DRAWBRIDGE_CONFINE", TEST_BINARY_ROOT "/drawbridge-confine", 1);
    s->helm = test_path("helm");
    test_write(s->helm, text);
    CHECK_INT(chmod(s->helm, 0700), 0);
    s->scene.helm = s->helm;
    s->scene.helm_dir = test_dir();
    s->scene.helm_account = "system/helm";
    s->scene.api->choose = on_home;
    s->far->token = "of-far-away";
}

// What a DRAConfiguration asks for.
static json_t *driver_spec(void)
{
    return json_pack("{s:{s:{s:{s:s}, s:s, s:s, s:s}, s:{s:b, s:s}}}", "spec", "driver", "chart",
                     "path", "/charts/x", "release", "gpu", "namespace", "gpu",
                     "serviceAccountName", "installer", "smokeTest", "enabled", 1,
                     "deviceClassName", "gpu.example.com");
}

static bool is_installed(const struct story *s)
{
    return fake_get(s->far, RELEASE "1") != NULL;
}
