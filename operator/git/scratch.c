// SPDX-License-Identifier: Apache-2.0
// The directory that a fetch has for itself. The worker may be killed at any time, so it is made
// and removed here.
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "git_internal.h"

#define PREFIX "drawbridge-git-"
#define OPEN_MAX_DEPTH 16

static const char *temporary(void)
{
    const char *dir = getenv("TMPDIR");

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

void scratch_remove(const char *dir)
{
    (void)nftw(dir, remove_one, OPEN_MAX_DEPTH, FTW_DEPTH | FTW_PHYS);
}

// "drawbridge-git-PID-XXXXXX" of a process that is gone, or of one that had our number before us.
static bool is_left_over(const char *name)
{
    struct slice rest = slice_of(name + strlen(PREFIX)), part;
    uint64_t pid;

    if (!slice_cut(&rest, '-', &part) || !slice_to_u64(part, &pid) || pid > INT32_MAX)
        return false;
    return (pid_t)pid == getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
}

static void sweep(void)
{
    DIR *dir = opendir(temporary());
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        AUTO_MEM char *path = NULL;
        struct stat about;

        if (!str_starts(entry->d_name, PREFIX) || !is_left_over(entry->d_name))
            continue;
        path = str_format("%s/%s", temporary(), entry->d_name);
        if (lstat(path, &about) == 0 && S_ISDIR(about.st_mode) && about.st_uid == geteuid())
            scratch_remove(path);
    }
    if (dir)
        closedir(dir);
}

struct error *scratch_make(char **ret_dir)
{
    static bool swept;
    AUTO_MEM char *dir = str_format("%s/" PREFIX "%d-XXXXXX", temporary(), (int)getpid());

    if (!swept)
        sweep();
    swept = true;
    if (!mkdtemp(dir))
        return error_errno(errno, "%s", dir);
    *ret_dir = TAKE(dir);
    return NULL;
}
