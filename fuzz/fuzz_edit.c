/* Fuzz target: decoding catalog edits. The checksum and the payload's length are made right first, so
 * that the records are reached; what decodes must encode again, and to the same state. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "format/catalog/catalog_edit.h"

#define AT_PAYLOAD_SIZE 72
#define HEADER_BYTES 80
#define CHECKSUM_BYTES 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_stable(const struct aq_edit_header *header, const struct aq_record *records,
                         size_t record_count)
{
    struct aq_bytes once = {0};
    struct aq_bytes twice = {0};
    struct aq_arena arena = {0};
    struct aq_edit_header back;
    struct aq_record *decoded;
    size_t decoded_count;
    uint64_t checksum;
    enum aq_status status = aq_edit_encode(header, records, record_count, &once, &checksum, NULL);
    assert(status == AQ_OK);
    status = aq_edit_decode(aq_bytes_view(&once), &arena, &back, &decoded, &decoded_count,
                            &checksum, NULL);
    assert(status == AQ_OK);
    status = aq_edit_encode(&back, decoded, decoded_count, &twice, &checksum, NULL);
    assert(status == AQ_OK);
    assert(aq_slice_equal(aq_bytes_view(&once), aq_bytes_view(&twice)));
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&once);
    aq_bytes_deinit(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aq_arena arena = {0};
    struct aq_error err = {0};
    struct aq_edit_header header;
    struct aq_record *records;
    size_t record_count;
    uint64_t checksum;
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    if (size >= HEADER_BYTES + CHECKSUM_BYTES) {
        size_t covered = size - CHECKSUM_BYTES;
        aq_store_u64(copy + AT_PAYLOAD_SIZE, covered - HEADER_BYTES);
        aq_store_u64(copy + covered, aq_checksum(copy, covered));
    }
    if (aq_edit_decode(aq_slice_make(copy, size), &arena, &header, &records, &record_count,
                       &checksum, &err) == AQ_OK)
        check_stable(&header, records, record_count);
    aq_arena_deinit(&arena);
    free(copy);
    return 0;
}
