/* Golden files: bytes that a format must keep producing and reading. Run a test with AQ_GOLDEN=write to
 * write them anew, then change the worked example in docs/ with them. */
#ifndef AQ_TESTS_UNIT_GOLDEN_H
#define AQ_TESTS_UNIT_GOLDEN_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/base/bytes.h"

static inline void golden_write(const char *path, struct aq_slice bytes)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    cr_assert_eq(fclose(file), 0);
}

/** The bytes of tests/golden/NAME; the caller releases them. */
static inline struct aq_bytes golden_read(const char *name)
{
    struct aq_bytes bytes = {0};
    char path[300];
    snprintf(path, sizeof path, "tests/golden/%s", name);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    uint8_t *at = aq_bytes_reserve(&bytes, 65536);
    cr_assert_not_null(at);
    bytes.size = fread(at, 1, 65536, file);
    cr_assert_eq(fclose(file), 0);
    return bytes;
}

/** tests/golden/NAME (the working directory is the repository's root) has exactly these bytes. */
static inline void golden_expect(const char *name, struct aq_slice bytes)
{
    char path[300];
    snprintf(path, sizeof path, "tests/golden/%s", name);
    const char *mode = getenv("AQ_GOLDEN");
    if (mode != NULL && strcmp(mode, "write") == 0)
        golden_write(path, bytes);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    uint8_t *stored = malloc(bytes.size + 1);
    cr_assert_not_null(stored);
    size_t size = fread(stored, 1, bytes.size + 1, file);
    fclose(file);
    cr_assert_eq(size, bytes.size, "%s has another length", path);
    cr_assert_eq(memcmp(stored, bytes.data, size), 0, "%s has other bytes", path);
    free(stored);
}

#endif
