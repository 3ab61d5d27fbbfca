// SPDX-License-Identifier: Apache-2.0
// A child that says whatever it likes, reads its input or does not, and ends when it likes: what
// the loop hands over is the beginning of what the child said, and no more than the cap.
#include <signal.h>
#include <string.h>

#include "drawbridge/loop.h"
#include "fuzz.h"

#define INPUT_BYTES_MAX 8192

static const char *const programs[][4] = {
    {"cat"},  {"sh", "-c", "cat >&2"}, {"head", "-c", "7"}, // ends before its input does
    {"true"},                                               // reads nothing
    {"sh"},                                                 // the input is what it does
};

struct run {
    struct loop *loop;
    const struct loop_child_spec *spec;
    size_t program;
    unsigned done;
};

static void check_said(const struct run *run, struct slice said, bool wanted)
{
    struct slice input = run->spec->input;
    size_t max = run->spec->output_bytes_max;
    ASSERT(said.len <= max);
    size_t len = !wanted ? 0 : run->program == 2 && input.len > 7 ? 7 : input.len;
    if (run->program < 4) {
        ASSERT(said.len == (len < max ? len : max));
        ASSERT(said.len == 0 || memcmp(said.ptr, input.ptr, said.len) == 0);
    }
}

static void on_end(void *owner, struct error *take_err, const struct loop_child_result *result)
{
    struct run *run = owner;
    run->done++;
    ASSERT(!take_err);
    check_said(run, result->output, run->program == 0 || run->program == 2);
    check_said(run, result->errors, run->program == 1);
    ASSERT(result->signum || result->timed_out || result->exit_code >= 0);
    loop_stop(run->loop);
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    if (len < 3)
        return;
    // A shell gets single words alone, none of which does anything beside it.
    static const char *const words[] = {"exit 3",   "kill -9 $$", "echo x",   "echo x >&2",
                                        "exec >&-", "exec 2>&-",  "exec <&-", ":"};
    AUTO_BUF struct buf script = buf_make(INPUT_BYTES_MAX);
    struct run run = {.program = bytes[0] % COUNT(programs)};
    struct slice input = {(const char *)bytes + 2, len - 2};
    input = slice_sub(input, 0, INPUT_BYTES_MAX);
    for (size_t i = 0; run.program == 4 && i < input.len && i < 20; i++)
        buf_printf(&script, "%s\n", words[bytes[2 + i] % COUNT(words)]);
    struct loop_child_spec spec = {.argv = programs[run.program],
                                   .env = env,
                                   .input = run.program == 4 ? buf_slice(&script) : input,
                                   .output_bytes_max = bytes[1] * 16,
                                   .timeout_ms = 20000,
                                   .grace_ms = 1000};
    run.loop = loop_new();
    run.spec = &spec;
    struct op *op = loop_child_run(run.loop, &spec, on_end, &run);
    if (bytes[1] % 8 == 7) {
        op_drop(op);
        loop_run(run.loop);
        ASSERT(run.done == 0);
    } else {
        loop_run(run.loop);
        ASSERT(run.done == 1);
    }
    loop_free(run.loop);
}
