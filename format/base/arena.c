/* Bump allocation out of blocks. In builds with AddressSanitizer what is not handed out is poisoned, with
 * a gap behind each allocation, so that an overrun inside a block is seen as one past malloc is. */
#include "format/base/arena.h"

#include <sanitizer/asan_interface.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every unit that is read has an arena, and a query may hold the units of thousands of small segments. */
#define ARENA_BLOCK_BYTES_MIN ((size_t)512)
#define ARENA_BLOCK_BYTES_MAX ((size_t)1 << 20)

#ifdef __SANITIZE_ADDRESS__
#define ARENA_GAP_BYTES 16
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_GAP_BYTES 16
#endif
#endif
#ifndef ARENA_GAP_BYTES
#define ARENA_GAP_BYTES 0
#endif

struct aq_arena_block {
    struct aq_arena_block *next;
    size_t capacity;
    size_t used;
    _Alignas(16) unsigned char data[];
};

void aq_arena_init(struct aq_arena *arena)
{
    *arena = (struct aq_arena){0};
}

static void free_chain(struct aq_arena_block *block)
{
    while (block != NULL) {
        struct aq_arena_block *next = block->next;
        ASAN_UNPOISON_MEMORY_REGION(block->data, block->capacity);
        free(block);
        block = next;
    }
}

void aq_arena_deinit(struct aq_arena *arena)
{
    free_chain(arena->head);
    free_chain(arena->spare);
    aq_arena_init(arena);
}

void aq_arena_reset(struct aq_arena *arena)
{
    arena->used_bytes = 0;
    free_chain(arena->spare);
    arena->spare = NULL;
    if (arena->head == NULL)
        return;
    free_chain(arena->head->next);
    arena->head->next = NULL;
    arena->head->used = 0;
    ASAN_POISON_MEMORY_REGION(arena->head->data, arena->head->capacity);
}

struct aq_arena_mark aq_arena_mark(const struct aq_arena *arena)
{
    return (struct aq_arena_mark){.head = arena->head,
                                  .head_used = arena->head == NULL ? 0 : arena->head->used,
                                  .used_bytes = arena->used_bytes};
}

void aq_arena_rewind(struct aq_arena *arena, struct aq_arena_mark mark)
{
    while (arena->head != mark.head) {
        struct aq_arena_block *block = arena->head;
        arena->head = block->next;
        block->next = arena->spare;
        block->used = 0;
        arena->spare = block;
        ASAN_POISON_MEMORY_REGION(block->data, block->capacity);
    }
    if (mark.head != NULL) {
        ASAN_POISON_MEMORY_REGION(mark.head->data + mark.head_used,
                                  mark.head->capacity - mark.head_used);
        mark.head->used = mark.head_used;
    }
    arena->used_bytes = mark.used_bytes;
}

/* A block that rewinding left, of at least `size` bytes; NULL if there is none. */
static struct aq_arena_block *take_spare(struct aq_arena *arena, size_t size)
{
    struct aq_arena_block **link = &arena->spare;
    while (*link != NULL && (*link)->capacity < size)
        link = &(*link)->next;
    struct aq_arena_block *block = *link;
    if (block != NULL)
        *link = block->next;
    return block;
}

static struct aq_arena_block *make_block(struct aq_arena *arena, size_t size)
{
    /* Blocks double, so that a small arena stays small and a big one makes few calls. */
    size_t capacity = arena->head == NULL ? ARENA_BLOCK_BYTES_MIN : arena->head->capacity * 2;
    if (capacity > ARENA_BLOCK_BYTES_MAX)
        capacity = ARENA_BLOCK_BYTES_MAX;
    if (capacity < size)
        capacity = size;
    struct aq_arena_block *block = malloc(sizeof *block + capacity);
    if (block == NULL)
        return NULL;
    block->capacity = capacity;
    block->used = 0;
    ASAN_POISON_MEMORY_REGION(block->data, capacity);
    return block;
}

static struct aq_arena_block *add_block(struct aq_arena *arena, size_t size)
{
    struct aq_arena_block *block = take_spare(arena, size);
    if (block == NULL)
        block = make_block(arena, size);
    if (block == NULL)
        return NULL;
    block->next = arena->head;
    arena->head = block;
    return block;
}

void *aq_arena_alloc(struct aq_arena *arena, size_t size)
{
    if (size > SIZE_MAX - 64 - sizeof(struct aq_arena_block))
        return NULL;
    size_t rounded = (size == 0 ? 16 : (size + 15) & ~(size_t)15) + ARENA_GAP_BYTES;
    struct aq_arena_block *block = arena->head;
    if (block == NULL || block->capacity - block->used < rounded) {
        block = add_block(arena, rounded);
        if (block == NULL)
            return NULL;
    }
    void *result = block->data + block->used;
    ASAN_UNPOISON_MEMORY_REGION(result, size);
    block->used += rounded;
    arena->used_bytes += rounded;
    return result;
}

void *aq_arena_copy(struct aq_arena *arena, const void *data, size_t size)
{
    void *copy = aq_arena_alloc(arena, size);
    if (copy != NULL && size > 0)
        memcpy(copy, data, size);
    return copy;
}

char *aq_arena_string(struct aq_arena *arena, const char *text)
{
    return aq_arena_copy(arena, text, strlen(text) + 1);
}

char *aq_arena_format(struct aq_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return NULL;
    char *text = aq_arena_alloc(arena, (size_t)length + 1);
    if (text == NULL)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

void aq_arena_absorb(struct aq_arena *to, struct aq_arena *from)
{
    free_chain(from->spare);
    from->spare = NULL;
    if (from->head == NULL)
        return;
    struct aq_arena_block *last = from->head;
    while (last->next != NULL)
        last = last->next;
    last->next = to->head;
    to->head = from->head;
    to->used_bytes += from->used_bytes;
    aq_arena_init(from);
}
