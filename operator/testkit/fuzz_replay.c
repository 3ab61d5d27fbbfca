// SPDX-License-Identifier: Apache-2.0
// Runs a corpus through a fuzzer's function without libFuzzer: each file as it is, then damaged
// copies of it, always the same ones, so that what once broke a parser stays an ordinary test.
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 1 << 20, COPIES = 200, DAMAGE_MAX = 4 };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// One of: another byte, a byte less, a part twice, a shorter end.
static size_t damage(uint8_t *bytes, size_t len, uint64_t *state)
{
    size_t at = next_random(state) % len, part = next_random(state) % 16;
    switch (next_random(state) % 4) {
    case 0:
        bytes[at] = (uint8_t)next_random(state);
        return len;
    case 1:
        memmove(bytes + at, bytes + at + 1, len - at - 1);
        return len - 1;
    case 2:
        part = at + part > len ? len - at : part;
        memmove(bytes + at + part, bytes + at, len - at);
        return len + part;
    default:
        return at;
    }
}

// An exact allocation, so that the sanitizer sees a read past the end.
static void run_exact(const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);
    if (!exact)
        abort();
    if (len)
        memcpy(exact, bytes, len);
    fuzz_one(exact, len);
    free(exact);
}

static void run_file(const char *path)
{
    static uint8_t original[FILE_BYTES_MAX], copy[FILE_BYTES_MAX + DAMAGE_MAX * 16];
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    size_t len = fread(original, 1, sizeof(original), f);
    fclose(f);
    run_exact(original, len);
    uint64_t state = 0x9e3779b97f4a7c15u ^ len;
    for (int i = 0; i < COPIES && len; i++) {
        size_t now = len;
        memcpy(copy, original, len);
        for (uint64_t n = next_random(&state) % DAMAGE_MAX + 1; n && now; n--)
            now = damage(copy, now, &state);
        run_exact(copy, now);
    }
}

int main(int argc, char **argv)
{
    unsigned files = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **entries;
        int count = scandir(argv[i], &entries, NULL, alphasort);
        for (int e = 0; e < count; e++) {
            char path[4096];
            snprintf(path, sizeof(path), "%s/%s", argv[i], entries[e]->d_name);
            if (entries[e]->d_name[0] != '.') {
                run_file(path);
                files++;
            }
            free(entries[e]);
        }
        if (count >= 0)
            free(entries);
    }
    printf("%u files\n", files);
    return files ? 0 : 1;
}
