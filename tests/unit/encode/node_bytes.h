/* A node of integers, decoded from memory of just its size, so that a sanitizer sees what is read behind it. */
#ifndef AQ_TESTS_UNIT_NODE_BYTES_H
#define AQ_TESTS_UNIT_NODE_BYTES_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "format/encode/kernel/kernel.h"

/* By `read`; bytes that it leaves are corrupt. */
static inline enum aq_status decode_node_by(enum aq_status (*read)(struct aq_decoder *decoder,
                                                                   int64_t *values, size_t count),
                                            const struct aq_kernels *kernels, struct aq_slice node,
                                            int64_t *values, size_t count)
{
    uint8_t *exact = malloc(node.size + 1);
    cr_assert_not_null(exact);
    memcpy(exact, node.data, node.size);
    struct aq_decode_scratch scratch = {0};
    struct aq_decoder decoder = {.reader = aq_reader_make(aq_slice_make(exact, node.size)),
                                 .scratch = &scratch,
                                 .kernels = kernels,
                                 .wanted = {.end = count},
                                 .bytes_left = AQ_DECODED_BYTES_MAX};
    enum aq_status status = read(&decoder, values, count);
    if (status == AQ_OK && aq_reader_left(&decoder.reader) > 0)
        status = AQ_CORRUPT;
    aq_decode_scratch_deinit(&scratch);
    free(exact);
    return status;
}

static inline enum aq_status decode_node(struct aq_slice node, int64_t *values, size_t count)
{
    return decode_node_by(aq_decode_ints, aq_kernels(), node, values, count);
}

/* A node of ten values comes out as expected, and cut anywhere is corrupt. */
static inline void check_node(const char *what, const void *bytes, size_t size,
                              enum aq_status expected)
{
    int64_t values[10];
    cr_assert_eq(decode_node(aq_slice_make(bytes, size), values, 10), expected, "%s", what);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_eq(decode_node(aq_slice_make(bytes, cut), values, 10), AQ_CORRUPT, "%s", what);
}

#endif
