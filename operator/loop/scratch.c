// SPDX-License-Identifier: Apache-2.0
// The directory that a child has for itself. It may be killed at any time, so it is made and
// removed here.
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drawbridge/loop.h"

#define OPEN_MAX_DEPTH 16

static const char *or_temporary(const char *parent)
{
    const char *dir = parent ? parent : getenv("TMPDIR");

    return dir && *dir ? dir : "/tmp";
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where)
{
    (void)about;
    (void)where;
    if (type == FTW_DP || type == FTW_DNR)
        (void)rmdir(path);
    else
        (void)unlink(path);
    return 0; // the rest may still be removable
}

void loop_scratch_remove(const char *dir)
{
    (void)nftw(dir, remove_one, OPEN_MAX_DEPTH, FTW_DEPTH | FTW_PHYS);
}

// "PREFIX-PID-XXXXXX" of a process that is gone, or of one that had our number before us.
static bool is_left_over(const char *name, const char *prefix)
{
    struct slice rest = slice_of(name), part;
    uint64_t pid;

    if (!str_starts(name, prefix) || name[strlen(prefix)] != '-')
        return false;
    rest = slice_of(name + strlen(prefix) + 1);
    if (!slice_cut(&rest, '-', &part) || !slice_to_u64(part, &pid) || pid > INT32_MAX)
        return false;
    return (pid_t)pid == getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
}

void loop_scratch_sweep(const char *parent, const char *prefix)
{
    DIR *dir = opendir(or_temporary(parent));
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        AUTO_MEM char *path = NULL;
        struct stat about;

        if (!is_left_over(entry->d_name, prefix))
            continue;
        path = str_format("%s/%s", or_temporary(parent), entry->d_name);
        if (lstat(path, &about) == 0 && S_ISDIR(about.st_mode) && about.st_uid == geteuid())
            loop_scratch_remove(path);
    }
    if (dir)
        closedir(dir);
}

struct error *loop_scratch_make(const char *parent, const char *prefix, char **ret_dir)
{
    AUTO_MEM char *dir = str_format("%s/%s-%d-XXXXXX", or_temporary(parent), prefix, (int)getpid());

    if (!mkdtemp(dir))
        return error_errno(errno, "%s", dir);
    *ret_dir = TAKE(dir);
    return NULL;
}
