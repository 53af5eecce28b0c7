/* A sealed segment as version 1 writes it, tests/golden/segment.bin: it stays readable, and each of its bits, flipped, and each
 * truncation of it is found, in the frame that it is in. No byte of it is padding that nothing covers. */
#include "engine/store/catalog/catalog_state.h"
#include "engine/store/segment/segment_scan.h"
#include "tests/unit/scratch.h"

#include <sys/mman.h>

#define GOLDEN "tests/golden/segment.bin"

enum { FRAMES = 3, FRAME_BYTES = 448, ROWS = 900 };
#define FRAMES_END (AQ_SEGMENT_HEADER_BYTES + FRAMES * FRAME_BYTES)

/* Its bytes in a file without a name, and what the catalog says of it. */
struct golden {
    unsigned char *bytes;
    size_t size;
    struct aq_segment_file file;
    struct aq_published published;
    struct aq_catalog_file entry;
};

static void write_golden(const struct golden *golden, size_t size)
{
    cr_assert_eq(ftruncate(golden->file.fd, 0), 0);
    cr_assert_eq(pwrite(golden->file.fd, golden->bytes, size, 0), (ssize_t)size);
}

static struct golden begin(void)
{
    struct golden golden = {.file = {.fd = memfd_create("segment", MFD_CLOEXEC), .path = GOLDEN},
                            .published = {.durable_bytes = FRAMES_END, .frame_count = FRAMES}};
    golden.bytes = scratch_read(GOLDEN, &golden.size);
    cr_assert_eq(aq_segment_header_decode(aq_slice_make(golden.bytes, golden.size),
                                          &golden.file.expected, NULL),
                 AQ_OK);
    write_golden(&golden, golden.size);
    struct aq_segment_totals totals = {0};
    cr_assert_eq(aq_segment_scan(&golden.file, FRAMES_END, true, &totals, NULL), AQ_OK);
    cr_assert_eq(totals.row_count, ROWS);
    golden.entry = (struct aq_catalog_file){.file_id = golden.file.expected.segment_id,
                                            .kind = AQ_FILE_SEGMENT,
                                            .state = AQ_FILE_CLOSED,
                                            .frame_count = FRAMES,
                                            .size_bytes = FRAMES_END,
                                            .file_bytes = golden.size,
                                            .checksum = totals.last_checksum};
    aq_segment_totals_deinit(&totals);
    return golden;
}

static void end(struct golden *golden)
{
    close(golden->file.fd);
    free(golden->bytes);
}

/* What recovery says of it: the frames that it found whole. */
static enum aq_status recover(const struct golden *golden, uint64_t *frame_count,
                              struct aq_error *err)
{
    struct aq_segment_totals totals = {0};
    uint64_t torn_bytes = 0;
    enum aq_status status =
        aq_segment_find_prefix(&golden->file, &golden->published, &totals, &torn_bytes, err);
    *frame_count = totals.index.frame_count;
    aq_segment_totals_deinit(&totals);
    return status;
}

/* What a reader says of it, who goes by the index. */
static enum aq_status read_closed(const struct golden *golden, struct aq_error *err)
{
    struct aq_segment_totals totals = {0};
    enum aq_status status = aq_segment_read_closed(&golden->file, &golden->entry, &totals, err);
    cr_assert_eq(totals.index.frame_count, status == AQ_OK ? FRAMES : 0);
    aq_segment_totals_deinit(&totals);
    return status;
}

static void expect_found(const struct golden *golden, size_t at)
{
    struct aq_error err = {0};
    uint64_t frame_count = 0;
    if (at >= FRAMES_END) {
        cr_assert_eq(read_closed(golden, &err), AQ_CORRUPT, "byte %zu", at);
        cr_assert_geq(err.offset, FRAMES_END, "byte %zu: %s", at, err.message);
        return;
    }
    cr_assert_eq(recover(golden, &frame_count, &err), AQ_CORRUPT, "byte %zu", at);
    cr_assert_str_eq(err.path, GOLDEN);
    size_t frame = at < AQ_SEGMENT_HEADER_BYTES ? 0 : (at - AQ_SEGMENT_HEADER_BYTES) / FRAME_BYTES;
    cr_assert_eq(frame_count, frame, "byte %zu: frames before it are whole", at);
    size_t begin = at < AQ_SEGMENT_HEADER_BYTES ? 0 : AQ_SEGMENT_HEADER_BYTES + frame * FRAME_BYTES;
    cr_assert(err.offset >= (int64_t)begin && err.offset <= (int64_t)(begin + FRAME_BYTES),
              "byte %zu: offset %lld", at, (long long)err.offset);
}

Test(segment_golden, is_read)
{
    struct golden golden = begin();
    uint64_t frame_count = 0;
    cr_assert_eq(recover(&golden, &frame_count, NULL), AQ_OK);
    cr_assert_eq(frame_count, FRAMES);
    cr_assert_eq(read_closed(&golden, NULL), AQ_OK);
    end(&golden);
}

Test(segment_golden, every_flip_is_found_where_it_is)
{
    struct golden golden = begin();
    for (size_t bit = 0; bit < golden.size * 8; bit++) {
        unsigned char flipped = golden.bytes[bit / 8] ^ (unsigned char)(1u << bit % 8);
        cr_assert_eq(pwrite(golden.file.fd, &flipped, 1, (off_t)(bit / 8)), 1);
        expect_found(&golden, bit / 8);
        cr_assert_eq(pwrite(golden.file.fd, &golden.bytes[bit / 8], 1, (off_t)(bit / 8)), 1);
    }
    end(&golden);
}

Test(segment_golden, every_truncation_is_found)
{
    struct golden golden = begin();
    for (size_t size = 0; size < golden.size; size++) {
        struct aq_error err = {0};
        uint64_t frame_count = 0;
        write_golden(&golden, size);
        cr_assert_eq(read_closed(&golden, &err), AQ_CORRUPT, "length %zu", size);
        cr_assert_eq(recover(&golden, &frame_count, &err), size < FRAMES_END ? AQ_CORRUPT : AQ_OK,
                     "length %zu", size);
    }
    end(&golden);
}
