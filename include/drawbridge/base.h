// SPDX-License-Identifier: Apache-2.0
// base: errors, memory, slices and capped buffers, text, string lists, log, clock, random numbers.
//
// Purpose   what C leaves out and every room needs
// May use   libc
// Never     I/O beyond the log and the clocks; words of Kubernetes
// Limits    every buffer is made with its greatest size; memory exhaustion aborts
// Blocking  no
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define NONNULL __attribute__((returns_nonnull))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// AUTO(noun): the variable is freed by noun_freep() when it goes out of scope; it leaves by TAKE().
// unused: for clang an owner that nobody reads is no use.
#define CLEANUP(fn) __attribute__((cleanup(fn), unused))
#define AUTO(noun) CLEANUP(noun##_freep)
// TAKE(p): the value of p, which becomes NULL: the one statement expression that is allowed.
#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })
// Declares noun_freep() for AUTO(noun) from noun_free(). It stands beside the type.
#define AUTO_DECLARE(noun, type)                                                                   \
    static inline void noun##_freep(type **p)                                                      \
    {                                                                                              \
        noun##_free(*p);                                                                           \
    }

// Our own mistakes: prints where and aborts, also in release. Level-triggered control makes a
// restart safe.
#define ASSERT(cond) ((cond) ? (void)0 : assert_failed(#cond, __FILE__, __LINE__))
_Noreturn void assert_failed(const char *cond, const char *file, int line);

// --- errors: the one channel. NULL is success; whoever gets one owns it --------------------------

// The kind decides retry and condition reason, in one table (api/policy.c).
enum error_kind {
    ERROR_TRANSIENT, // the world may do better next time: connection, 5xx, time-out
    ERROR_THROTTLED, // 429: error_retry_after_ms() says when
    ERROR_CONFLICT,  // somebody else was faster: read again
    ERROR_NOT_FOUND,
    ERROR_GONE,    // 410: the resourceVersion is too old, list again
    ERROR_DENIED,  // 401, 403, EACCES
    ERROR_INVALID, // the input is wrong; trying again does not help
    // 400, 422 and the like: the API server did not take what we sent. Its schemas may be older or
    // newer than we are, which ends without anybody's changing the input.
    ERROR_REJECTED,
    ERROR_LIMIT, // a cap was reached
    ERROR_CANCELED,
    ERROR_INTERNAL,
};

struct error;
MUST_USE NONNULL struct error *error_new(enum error_kind kind, const char *fmt, ...) PRINTF(2, 3);
// With a reason, as of error_set_reason().
MUST_USE NONNULL struct error *error_because(enum error_kind kind, const char *reason,
                                             const char *fmt, ...) PRINTF(3, 4);
// "fmt: strerror", kind from errnum: ENOENT NOT_FOUND, EACCES/EPERM DENIED, EEXIST CONFLICT, else
// TRANSIENT.
MUST_USE NONNULL struct error *error_errno(int errnum, const char *fmt, ...) PRINTF(2, 3);
// "fmt: inner", same kind. take_inner NULL gives NULL.
MUST_USE struct error *error_wrap(struct error *take_inner, const char *fmt, ...) PRINTF(2, 3);
enum error_kind error_kind(const struct error *err);
const char *error_kind_name(enum error_kind kind); // "Transient", ...
const char *error_text(const struct error *err);   // borrowed, one line, no final newline
// A CamelCase reason for conditions and events that the kind alone does not give; "" when none was
// set. reason must be static.
void error_set_reason(struct error *err, const char *reason);
const char *error_reason(const struct error *err);
void error_set_retry_after(struct error *err, uint64_t ms);
uint64_t error_retry_after_ms(const struct error *err); // 0: the server named none
void error_free(struct error *err);
AUTO_DECLARE(error, struct error)
// Spells out why a failure does not matter here. Logs at debug.
void error_ignore(struct error *take_err, const char *why);

// --- memory: aborts when there is none; libraries are routed through these where they allow it ---

NONNULL void *mem_alloc(size_t bytes); // zeroed; bytes may be 0
NONNULL void *mem_realloc(void *p, size_t bytes);
void mem_free(void *p);
static inline void mem_freep(void *p)
{
    mem_free(*(void **)p);
}
#define AUTO_MEM CLEANUP(mem_freep)
#define NEW(type) ((type *)mem_alloc(sizeof(type)))
char *str_dup(const char *s); // NULL gives NULL
char *str_ndup(const char *s, size_t len);
NONNULL char *str_format(const char *fmt, ...) PRINTF(1, 2);
NONNULL char *str_vformat(const char *fmt, va_list args) PRINTF(1, 0);
bool str_eq(const char *a, const char *b); // NULL equals NULL alone
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
// Edit distance (Damerau-Levenshtein, letters compared without case), for "did you mean"; at most
// max + 1.
unsigned str_distance(const char *a, const char *b, unsigned max);

// --- slice: borrowed bytes, not terminated -------------------------------------------------------

struct slice {
    const char *ptr;
    size_t len;
};
struct slice slice_of(const char *s); // without the NUL; NULL gives an empty slice
struct slice slice_sub(struct slice s, size_t from, size_t to);
bool slice_eq(struct slice s, const char *text);
bool slice_starts(struct slice s, const char *prefix);
struct slice slice_trim(struct slice s); // spaces, tabs, CR, LF at both ends
// Cuts *rest at the first sep: true and the part before it in *ret_part; at the end the last part
// once, then false. Begin with a copy of the whole; a consumed *rest has ptr NULL.
bool slice_cut(struct slice *rest, char sep, struct slice *ret_part);
NONNULL char *slice_dup(struct slice s);
// FNV-1a: to tell texts apart that nobody made to collide
uint64_t slice_hash(struct slice s, uint64_t seed);
bool slice_to_u64(struct slice s, uint64_t *ret_n); // decimal digits alone, no overflow

// --- buf: owned bytes with a greatest size -------------------------------------------------------

struct buf {
    char *ptr; // always NUL-terminated once something was added
    size_t len, room, max;
    bool overflow; // sticky: something did not fit and was left out
};
struct buf buf_make(size_t bytes_max);
// What does not fit whole is left out, and so is all that follows until buf_reset(): a text has no
// holes. overflow says so.
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_add_str(struct buf *b, const char *s);
void buf_add_slice(struct buf *b, struct slice s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_drop_front(struct buf *b, size_t len);
void buf_reset(struct buf *b);         // empty, overflow cleared, memory kept
NONNULL char *buf_take(struct buf *b); // NUL-terminated, never NULL; b is empty afterwards
struct slice buf_slice(const struct buf *b);
void buf_fini(struct buf *b);
#define AUTO_BUF CLEANUP(buf_fini)

// --- text: bytes that others wrote, fit to be shown ----------------------------------------------
// What comes from a file, a log, a server or another program is bytes until text_make() made it
// text (or doc_string() made it JSON). Nothing else cuts a text: "%.500s" may end inside a
// character.

// Bytes of the well-formed UTF-8 character at the beginning of s; 0: there is none.
size_t text_char_len(struct slice s);
// How much of s fits into bytes_max without a part of a character at its end.
size_t text_fit(struct slice s, size_t bytes_max);
int text_fit_str(const char *text, size_t bytes_max); // the same for TEXT_CUT(); NULL gives 0
// The arguments of "%.*s": at most bytes_max bytes of text, cut between characters. text is named
// twice.
#define TEXT_CUT(bytes_max, text) text_fit_str(text, bytes_max), (text)
// Well-formed UTF-8 without NUL in at most bytes_max bytes, cut between characters. Each byte that
// is no part of a character, and NUL, becomes U+FFFD. An empty slice gives "".
NONNULL char *text_make(struct slice s, size_t bytes_max);

// --- strlist: owned strings ----------------------------------------------------------------------

struct strlist {
    char **items; // items[len] is NULL once something was added
    size_t len, room;
};
void strlist_add(struct strlist *l, const char *s);
void strlist_take(struct strlist *l, char *take_s);
bool strlist_has(const struct strlist *l, const char *s);
void strlist_sort(struct strlist *l);                         // strcmp order; doubles are removed
char *strlist_join(const struct strlist *l, const char *sep); // "" when empty
void strlist_fini(struct strlist *l);
#define AUTO_STRLIST CLEANUP(strlist_fini)

// --- log: one line to stderr each; key=value after the message -----------------------------------

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_set_json(bool json); // one JSON object a line instead of text
bool log_is_json(void);
// room: the room's name. Who hands an error on logs it at debug alone: whoever handles it logs it,
// once. What a room did to somebody's files is news of its own, at info.
void log_line(enum log_level level, const char *room, const char *fmt, ...) PRINTF(3, 4);

// --- clock and random numbers: seams for tests ---------------------------------------------------

uint64_t clock_ms(void);     // monotonic, the time that the machine sleeps included
int64_t clock_wall_ms(void); // Unix time
uint64_t clock_ns(void);     // for how long a piece of work takes; no source replaces it
// Tests: NULL restores the real clock.
void clock_set_source(uint64_t (*monotonic_ms)(void), int64_t (*wall_ms)(void));
#define CLOCK_TEXT_BYTES 32
// RFC 3339 in UTC, whole seconds ("2026-11-21T10:00:00Z"), as metav1.Time; ret must hold
// CLOCK_TEXT_BYTES.
const char *clock_format(int64_t wall_ms, char *ret);
// The same with microseconds, as metav1.MicroTime (Leases).
const char *clock_format_micro(int64_t wall_ms, char *ret);
bool clock_parse(const char *text, int64_t *ret_wall_ms); // RFC 3339, any fraction, Z or an offset
uint64_t rand_u64(void);       // getrandom(2); not for secrets that outlive a process
void rand_seed(uint64_t seed); // tests: a repeatable sequence from here on; 0 restores the kernel's
uint64_t rand_below(uint64_t n); // uniform in 0 .. n-1, n > 0
