/* Counting: each block that is got while it counts is noted, and crossed out when it is given back.
 *
 * Happy path: the call is the C library's. Failures: the simulated one, ENOMEM; too many blocks end the process. */
#include "tests/sim/scarce_memory.h"

#include "format/base/arena.h"
#include "format/base/bytes.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCKS_MAX = 1 << 14 };

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *block);
void *__real_aq_arena_alloc(struct aq_arena *arena, size_t size);
void *__real_aq_arena_copy(struct aq_arena *arena, const void *data, size_t size);
char *__real_aq_arena_string(struct aq_arena *arena, const char *text);
uint8_t *__real_aq_bytes_reserve(struct aq_bytes *bytes, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);
void *__wrap_aq_arena_alloc(struct aq_arena *arena, size_t size);
void *__wrap_aq_arena_copy(struct aq_arena *arena, const void *data, size_t size);
char *__wrap_aq_arena_string(struct aq_arena *arena, const char *text);
uint8_t *__wrap_aq_bytes_reserve(struct aq_bytes *bytes, size_t size);

static struct {
    bool on;
    bool begun;
    bool forever;
    uint64_t calls_left; /* before one fails */
    bool failed;
    const void *blocks[BLOCKS_MAX];
    size_t block_count;
} scarce;

void scarce_begin(uint64_t failing, bool forever)
{
    scarce.forever = forever;
    scarce.calls_left = failing - 1;
    scarce.failed = false;
    scarce.block_count = 0;
    scarce.on = scarce.begun = true;
}

void scarce_pause(bool pause)
{
    scarce.on = scarce.begun && !pause;
}

bool scarce_end(uint64_t *left)
{
    scarce.on = scarce.begun = false;
    *left = scarce.block_count;
    return scarce.failed;
}

static bool fails(void)
{
    if (!scarce.on || (scarce.failed && !scarce.forever))
        return false;
    if (!scarce.failed && scarce.calls_left-- > 0)
        return false;
    scarce.failed = true;
    errno = ENOMEM;
    return true;
}

static void *noted(void *block)
{
    if (!scarce.on || block == NULL)
        return block;
    if (scarce.block_count == BLOCKS_MAX) {
        fprintf(stderr, "scarce memory: more than %d blocks\n", (int)BLOCKS_MAX);
        abort();
    }
    scarce.blocks[scarce.block_count++] = block;
    return block;
}

/* The newest first: most blocks do not live long. One from before, or from a library, is not among them. */
static void cross_out(const void *block)
{
    for (size_t i = scarce.on ? scarce.block_count : 0; i > 0; i--) {
        if (scarce.blocks[i - 1] == block) {
            scarce.blocks[i - 1] = scarce.blocks[--scarce.block_count];
            return;
        }
    }
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : noted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : noted(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (fails())
        return NULL;
    cross_out(block);
    return noted(__real_realloc(block, size));
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    if (fails())
        return ENOMEM;
    int result = __real_posix_memalign(block, alignment, size);
    if (result == 0)
        noted(*block);
    return result;
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : noted(__real_strdup(text));
}

void __wrap_free(void *block)
{
    cross_out(block);
    __real_free(block);
}

/* Memory that is got by the block, and handed out in pieces: each piece may fail. */

void *__wrap_aq_arena_alloc(struct aq_arena *arena, size_t size)
{
    return fails() ? NULL : __real_aq_arena_alloc(arena, size);
}

void *__wrap_aq_arena_copy(struct aq_arena *arena, const void *data, size_t size)
{
    return fails() ? NULL : __real_aq_arena_copy(arena, data, size);
}

char *__wrap_aq_arena_string(struct aq_arena *arena, const char *text)
{
    return fails() ? NULL : __real_aq_arena_string(arena, text);
}

uint8_t *__wrap_aq_bytes_reserve(struct aq_bytes *bytes, size_t size)
{
    if (!fails())
        return __real_aq_bytes_reserve(bytes, size);
    bytes->failed = true;
    return NULL;
}
