// SPDX-License-Identifier: Apache-2.0
// A script in place of the git worker: the repository https://h/N has as its head what head.N says,
// and answer.COMMIT is what is in a commit.
#pragma once

#include "drawbridge/api.h"

#include "testkit/test.h"

#include <stdlib.h>
#include <sys/stat.h>

#define FIRST "1111111111111111111111111111111111111111"
#define SECOND "2222222222222222222222222222222222222222"
#define THIRD "3333333333333333333333333333333333333333"

#define CONFIG_OF(name, gate)                                                                      \
    "{\"file\":\"f.yaml\",\"index\":0,\"object\":{\"apiVersion\":\"" API_GROUP_VERSION             \
    "\",\"kind\":\"DRAConfiguration\",\"metadata\":{\"name\":\"" name                              \
    "\"},\"spec\":{\"suspend\":true,\"featureGates\":{\"" gate "\":true}}}}"
#define ANSWER(head, documents)                                                                    \
    "{\"ref\":\"main\",\"head\":\"" head "\",\"commit\":\"" head                                   \
    "\",\"fetched\":true,\"documents\":[" documents "]}"

UNUSED static void write_in_dir(const char *name, const char *text)
{
    AUTO_MEM char *path = test_path(name);

    test_write(path, text);
}

UNUSED static void make_worker(void)
{
    AUTO_MEM char *path = test_path("worker");
    AUTO_MEM char *script = str_format(
        "#!/bin/sh\ncd %s\nrequest=$(cat)\n"
        "number=${request#*https://h/}; number=${number%%%%\\\"*}\n"
        "case $number in stall.*) echo >\"$number\"; exec sleep 600 ;; esac\n"
        "printf %%s \"$request\" >\"request.$number\"\nread -r head "
        "<head.$number\n"
        "case $request in *'\"at\":\"'*)\n"
        "  at=${request#*'\"at\":\"'}; at=${at%%%%\\\"*}\n"
        "  sed \"s/\\\"head\\\":\\\"$at\\\"/\\\"head\\\":\\\"$head\\\"/\" \"answer.$at\" ;;\n"
        "*\"\\\"known\\\":\\\"$head\\\"\"*)\n"
        "  echo "
        "\"{\\\"ref\\\":\\\"main\\\",\\\"head\\\":\\\"$head\\\",\\\"commit\\\":\\\"$head\\\"}\" "
        ";;\n"
        "*) cat \"answer.$head\" ;; esac\n",
        test_dir());

    test_write(path, script);
    if (chmod(path, 0755) != 0)
        test_fail(__FILE__, __LINE__, "chmod");
    write_in_dir("answer." FIRST, ANSWER(FIRST, CONFIG_OF("one", "A") "," CONFIG_OF("two", "A")));
    write_in_dir("answer." SECOND,
                 ANSWER(SECOND, CONFIG_OF("one", "B") "," CONFIG_OF("three", "A")));
    write_in_dir("answer." THIRD, ANSWER(THIRD, CONFIG_OF("one", "C") "," CONFIG_OF("three", "A")));
    write_in_dir("answer.away", "{\"error\":{\"reason\":\"GitUnreachable\",\"message\":\"no "
                                "route\",\"transient\":true}}");
    setenv("DRAWBRIDGE_GIT_WORKER", path, 1);
    setenv("TMPDIR", test_dir(), 1);
}
