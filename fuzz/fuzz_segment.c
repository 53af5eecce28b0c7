/* Fuzz target: recovering and reading a segment file. Its first byte says what is made right first: frames in a row, the
 * checksums of the header, of each frame, of the index and the trailer, and how much its writer had published. Whatever the
 * bytes are, the valid prefix lies in the file, is found again when it is all there is, and is closed by an edit. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/store/catalog/catalog_state.h"
#include "engine/store/segment/segment_scan.h"
#include "format/base/preamble.h"
#include "fuzz/support/frame_mend.h"

#define TRAILER_AT_INDEX_OFFSET (AQ_PREAMBLE_BYTES + 8)
#define TRAILER_AT_CHECKSUM (AQ_SEGMENT_TRAILER_BYTES - 8)
#define HEADER_AT_STORE AQ_PREAMBLE_BYTES
#define HEADER_AT_CHECKSUM (AQ_SEGMENT_HEADER_BYTES - 8)

enum { MEND_HEADER = 1, MEND_FRAMES = 2, MEND_CHAIN = 4, MEND_END = 8, PUBLISHED = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Frames one behind the other, each as long as it says if there is room; where they end. */
static size_t mend_frames(uint8_t *bytes, size_t size, bool chain)
{
    size_t at = AQ_SEGMENT_HEADER_BYTES;
    uint64_t previous = 0;
    for (uint64_t sequence = 0; size - at >= AQ_FRAME_PREFIX_BYTES; sequence++) {
        uint8_t *frame = bytes + at;
        size_t room = (size - at) / AQ_FRAME_ALIGNMENT * AQ_FRAME_ALIGNMENT;
        size_t wanted =
            aq_load_u64(frame + AQ_FRAME_AT_SIZE) / AQ_FRAME_ALIGNMENT * AQ_FRAME_ALIGNMENT;
        size_t length = wanted < AQ_FRAME_PREFIX_BYTES || wanted > room ? room : wanted;
        if (memcmp(frame, bytes, 4) == 0) /* no frame begins like a file */
            break;
        if (chain) {
            aq_store_u64(frame + AQ_FRAME_AT_SEQUENCE, sequence);
            aq_store_u64(frame + AQ_FRAME_AT_PREVIOUS, previous);
        }
        memcpy(frame + AQ_FRAME_AT_STORE, bytes + HEADER_AT_STORE, 32);
        mend_frame(frame, length);
        previous = aq_load_u64(frame + AQ_FRAME_AT_HEADER_CHECKSUM);
        at += length;
    }
    return at;
}

static void mend_end(uint8_t *bytes, size_t size, size_t frames_end)
{
    if (size - frames_end < AQ_SEGMENT_TRAILER_BYTES)
        return;
    size_t index_size = size - frames_end - AQ_SEGMENT_TRAILER_BYTES;
    uint8_t *trailer = bytes + size - AQ_SEGMENT_TRAILER_BYTES;
    aq_store_u64(trailer + TRAILER_AT_INDEX_OFFSET, frames_end);
    aq_store_u64(trailer + TRAILER_AT_INDEX_OFFSET + 8, index_size);
    aq_store_u64(trailer + TRAILER_AT_INDEX_OFFSET + 16,
                 aq_checksum(bytes + frames_end, index_size));
    aq_store_u64(trailer + TRAILER_AT_CHECKSUM, aq_checksum(trailer, TRAILER_AT_CHECKSUM));
}

/* Damage, or a version to come. */
static bool is_refusal(enum aq_status status)
{
    return status == AQ_CORRUPT || status == AQ_UNSUPPORTED;
}

/* The catalog's word on a file that holds what was found. */
static void read_closed(const struct aq_segment_file *file, const struct aq_segment_totals *found,
                        uint64_t file_bytes)
{
    struct aq_segment_totals totals = {0};
    struct aq_catalog_file entry = {.file_id = file->expected.segment_id,
                                    .kind = AQ_FILE_SEGMENT,
                                    .state = AQ_FILE_CLOSED,
                                    .epoch = file->expected.epoch,
                                    .frame_count = found->index.frame_count,
                                    .size_bytes = aq_segment_index_end(&found->index),
                                    .file_bytes = file_bytes,
                                    .checksum = found->last_checksum};
    enum aq_status status = aq_segment_read_closed(file, &entry, &totals, NULL);
    assert(status == AQ_OK || (file_bytes > 0 && is_refusal(status)));
    if (status == AQ_OK)
        assert(totals.index.frame_count == found->index.frame_count);
    aq_segment_totals_deinit(&totals);
}

/* Nobody claimed its feeds: refused, or, without any, closed. */
static void close_segment(const struct aq_segment_file *file,
                          const struct aq_segment_totals *totals)
{
    static const struct aq_catalog nothing;
    struct aq_edit edit = {0};
    uint64_t row_count = 0;
    enum aq_status status = aq_segment_close(file, totals, 0, &nothing, &edit, &row_count, NULL);
    assert(status == (totals->feed_count > 0 ? AQ_CORRUPT : AQ_OK));
    assert(row_count == totals->row_count);
    aq_edit_deinit(&edit);
}

static bool is_zero(const uint8_t *bytes, uint64_t count)
{
    return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0);
}

static void recover(const struct aq_segment_file *file, const uint8_t *bytes, uint64_t size,
                    const uint8_t *published)
{
    struct aq_segment_totals totals = {0};
    struct aq_segment_totals again = {0};
    struct aq_error err = {0};
    uint64_t torn_bytes = 0;
    struct aq_published page = {.durable_bytes = aq_load_u16(published) * 64u,
                                .frame_count = published[0]};
    bool known = (published[-1] & PUBLISHED) != 0;
    enum aq_status status =
        aq_segment_find_prefix(file, known ? &page : NULL, &totals, &torn_bytes, &err);
    assert(status == AQ_OK || is_refusal(status));
    assert(status != AQ_CORRUPT || (err.offset >= 0 && (uint64_t)err.offset <= size));
    uint64_t end = aq_segment_index_end(&totals.index);
    assert(totals.index.frame_count == 0 || end <= size);
    if (status == AQ_OK && totals.index.frame_count > 0) {
        assert(end + torn_bytes <= size && (!known || page.durable_bytes <= end));
        assert(is_zero(bytes + end + torn_bytes, size - end - torn_bytes));
        status = aq_segment_scan(file, end, false, &again, NULL);
        assert(status == AQ_OK && again.index.frame_count == totals.index.frame_count &&
               again.row_count == totals.row_count);
        read_closed(file, &totals, 0);
        read_closed(file, &totals, size);
        close_segment(file, &totals);
    }
    aq_segment_totals_deinit(&totals);
    aq_segment_totals_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("segment", MFD_CLOEXEC);
    if (fd < 0 || size < 3)
        return 0;
    size_t file_size = size - 3;
    uint8_t *bytes = malloc(file_size + 1);
    assert(bytes != NULL);
    memcpy(bytes, data + 3, file_size);
    struct aq_segment_file file = {.fd = fd, .path = "segment"};
    if (file_size >= AQ_SEGMENT_HEADER_BYTES) {
        size_t end = AQ_SEGMENT_HEADER_BYTES;
        memcpy(&file.expected.store_id, bytes + HEADER_AT_STORE, 16);
        file.expected.segment_id = aq_load_u64(bytes + HEADER_AT_STORE + 16);
        file.expected.epoch = aq_load_u64(bytes + HEADER_AT_STORE + 24);
        if (data[0] & MEND_HEADER)
            aq_store_u64(bytes + HEADER_AT_CHECKSUM, aq_checksum(bytes, HEADER_AT_CHECKSUM));
        if (data[0] & MEND_FRAMES)
            end = mend_frames(bytes, file_size, data[0] & MEND_CHAIN);
        if (data[0] & MEND_END)
            mend_end(bytes, file_size, end);
    }
    if (ftruncate(fd, 0) == 0 && pwrite(fd, bytes, file_size, 0) == (ssize_t)file_size)
        recover(&file, bytes, file_size, data + 1);
    free(bytes);
    return 0;
}
