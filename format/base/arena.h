/* A bump allocator: many small allocations with one lifetime. */
#ifndef AQ_FORMAT_ARENA_H
#define AQ_FORMAT_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct aq_arena_block;

/** Caller-owned storage; zero-initialise or aq_arena_init. Pointers stay valid until reset/deinit. */
struct aq_arena {
    struct aq_arena_block *head;  /* newest block */
    struct aq_arena_block *spare; /* those that rewinding left */
    size_t used_bytes;            /* bytes handed out since the last reset */
};

void aq_arena_init(struct aq_arena *arena);

/** Free everything. The arena may be used again. */
void aq_arena_deinit(struct aq_arena *arena);

/** Forget all allocations but keep the largest block for reuse. */
void aq_arena_reset(struct aq_arena *arena);

/** How far an arena is in use. */
struct aq_arena_mark {
    struct aq_arena_block *head;
    size_t head_used;
    size_t used_bytes;
};
struct aq_arena_mark aq_arena_mark(const struct aq_arena *arena);

/** Forget what was allocated since the mark was taken; its memory stays with the arena, for allocations to come.
 * Between the two nothing was reset, absorbed, or rewound to an older mark. */
void aq_arena_rewind(struct aq_arena *arena, struct aq_arena_mark mark);

/** `size` bytes, 16-byte aligned, not cleared; NULL when memory is out. size 0 is allowed. */
void *aq_arena_alloc(struct aq_arena *arena, size_t size);

/** Copy of `size` bytes; NULL when memory is out (and only then: size 0 gives a valid pointer). */
void *aq_arena_copy(struct aq_arena *arena, const void *data, size_t size);

/** NUL-terminated copy; NULL when memory is out. */
char *aq_arena_string(struct aq_arena *arena, const char *text);

/** printf into the arena; NULL when memory is out. */
char *aq_arena_format(struct aq_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Move every block of `from` into `to` (pointers stay valid); `from` is empty afterwards. */
void aq_arena_absorb(struct aq_arena *to, struct aq_arena *from);

#endif
