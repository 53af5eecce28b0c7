/* Sorted rows on disk.
 *
 * A block is its columns, each coded as those of frames are, behind its size; checksum, place and row count
 * are kept in memory. The file loses its name as soon as it has one, so nothing of it outlives the process.
 *
 * Failures: a full disk, damage (AQ_CORRUPT: what was just written does not read back), no memory. */
#include "compaction/merge/rows/row_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "compaction/merge/write/archive_output.h"
#include "format/base/checksum.h"
#include "format/encode/encode.h"

#define NAME "archives/(sorted rows)" /* in messages: the file has none */
#define WAVE_BLOCKS 16

enum aq_status aq_row_run_create(int home_fd, size_t part_count_max, struct aq_row_run **run,
                                 struct aq_error *err)
{
    struct aq_row_run *made = calloc(1, sizeof *made);
    *run = NULL;
    if (made == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a temporary file");
    made->part_ends = calloc(part_count_max + 1, sizeof *made->part_ends);
    made->fd = -1;
    char name[AQ_TEMPORARY_NAME_BYTES];
    enum aq_status status = aq_archive_open_temporary(home_fd, name, &made->fd, err);
    if (status == AQ_OK && unlinkat(home_fd, name, 0) != 0)
        status = aq_error_set_errno(err, errno, name, "cannot remove a temporary file's name");
    if (status == AQ_OK && made->part_ends == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "no memory for a temporary file");
    if (status == AQ_OK)
        *run = made;
    else
        aq_row_run_destroy(made);
    return status;
}

/* Blocks that are coded side by side. */
struct wave {
    const struct aq_row_stretch *stretches;
    const struct aq_row_ref *refs;
    size_t count;
    size_t block_rows;
    struct coded {
        struct aq_bytes bytes;
        enum aq_status status;
    } coded[WAVE_BLOCKS];
};

static size_t rows_of(const struct wave *wave, size_t block)
{
    size_t left = wave->count - block * wave->block_rows;
    return left < wave->block_rows ? left : wave->block_rows;
}

static enum aq_status encode_pieces(const struct wave *wave, const struct aq_row_piece *pieces,
                                    size_t piece_count, struct aq_bytes *out)
{
    const struct aq_batch *like = wave->stretches[0].batch;
    enum aq_status status = AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < like->column_count; i++) {
        struct aq_vector column;
        size_t at = out->size;
        aq_vector_init(&column, like->columns[i].type);
        aq_bytes_u64(out, 0);
        status = aq_rows_gather(wave->stretches, pieces, piece_count, i, &column);
        if (status == AQ_OK)
            status = aq_column_encode(&column, 0, column.row_count, AQ_PROFILE_FRAME, out);
        if (status == AQ_OK)
            status = aq_bytes_status(out);
        if (status == AQ_OK)
            aq_bytes_patch_u64(out, at, out->size - at - 8);
        aq_vector_deinit(&column);
    }
    return status;
}

static enum aq_status encode_block(const struct wave *wave, size_t block, struct aq_bytes *out)
{
    size_t count = rows_of(wave, block);
    struct aq_row_piece *pieces = malloc(count * sizeof *pieces);
    if (pieces == NULL)
        return AQ_NO_MEMORY;
    size_t piece_count = aq_rows_pieces(wave->refs + block * wave->block_rows, count, pieces);
    enum aq_status status = encode_pieces(wave, pieces, piece_count, out);
    free(pieces);
    return status;
}

static void encode_task(void *context, size_t index)
{
    struct wave *wave = context;
    aq_bytes_clear(&wave->coded[index].bytes);
    wave->coded[index].status = encode_block(wave, index, &wave->coded[index].bytes);
}

static enum aq_status write_block(struct aq_row_run *run, const struct aq_bytes *bytes,
                                  struct aq_error *err)
{
    for (size_t done = 0; done < bytes->size;) {
        ssize_t written = pwrite(run->fd, bytes->data + done, bytes->size - done,
                                 (off_t)(run->size_bytes + done));
        if (written < 0 && errno != EINTR)
            return aq_error_set_errno(err, errno, NAME, "cannot write a temporary file");
        done += written > 0 ? (size_t)written : 0;
    }
    return AQ_OK;
}

static enum aq_status add_block(struct aq_row_run *run, const struct aq_bytes *bytes,
                                size_t row_count, struct aq_error *err)
{
    if (run->block_count == run->block_capacity) {
        size_t capacity = run->block_capacity * 2 + 16;
        struct aq_run_block *grown = realloc(run->blocks, capacity * sizeof *grown);
        if (grown == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory for a temporary file");
        run->blocks = grown;
        run->block_capacity = capacity;
    }
    AQ_TRY(write_block(run, bytes, err));
    run->blocks[run->block_count++] =
        (struct aq_run_block){.offset = run->size_bytes,
                              .size_bytes = bytes->size,
                              .checksum = aq_checksum(bytes->data, bytes->size),
                              .row_count = (uint32_t)row_count};
    run->size_bytes += bytes->size;
    return AQ_OK;
}

static enum aq_status write_wave(struct aq_row_run *run, struct wave *wave,
                                 const struct aq_executor *executor, struct aq_error *err)
{
    size_t blocks = (wave->count + wave->block_rows - 1) / wave->block_rows;
    executor->run(executor->context, blocks, encode_task, wave);
    for (size_t i = 0; i < blocks; i++) {
        if (wave->coded[i].status != AQ_OK)
            return aq_error_set(err, wave->coded[i].status, "cannot set rows aside: %s",
                                aq_status_text(wave->coded[i].status));
        AQ_TRY(add_block(run, &wave->coded[i].bytes, rows_of(wave, i), err));
    }
    return AQ_OK;
}

enum aq_status aq_row_run_append(struct aq_row_run *run, const struct aq_row_stretch *stretches,
                                 const struct aq_sorted_rows *rows, size_t block_rows,
                                 const struct aq_executor *executor, struct aq_error *err)
{
    struct wave wave = {.stretches = stretches, .block_rows = block_rows};
    enum aq_status status = AQ_OK;
    for (size_t row = 0; status == AQ_OK && row < rows->count; row += wave.count) {
        wave.refs = rows->refs + row;
        wave.count = rows->count - row;
        if (wave.count > WAVE_BLOCKS * block_rows)
            wave.count = WAVE_BLOCKS * block_rows;
        status = write_wave(run, &wave, executor, err);
    }
    for (size_t i = 0; i < WAVE_BLOCKS; i++)
        aq_bytes_deinit(&wave.coded[i].bytes);
    return status;
}

void aq_row_run_end_part(struct aq_row_run *run)
{
    run->part_ends[run->part_count++] = run->block_count;
}

static enum aq_status corrupt(const struct aq_run_block *block, struct aq_error *err)
{
    return aq_error_set_at(err, AQ_CORRUPT, NAME, (int64_t)block->offset,
                           "rows that were set aside do not read back as they were written; "
                           "nothing was changed");
}

static enum aq_status decode_block(const struct aq_run_block *block, struct aq_slice bytes,
                                   struct aq_batch *batch, struct aq_error *err)
{
    struct aq_reader reader = aq_reader_make(bytes);
    if (aq_checksum(bytes.data, bytes.size) != block->checksum)
        return corrupt(block, err);
    for (size_t i = 0; i < batch->column_count; i++) {
        uint64_t size = aq_reader_u64(&reader);
        if (size > aq_reader_left(&reader))
            return corrupt(block, err);
        AQ_TRY(aq_column_decode(aq_reader_bytes(&reader, size), batch->columns[i].type,
                                block->row_count, &batch->arena, &batch->columns[i], err));
    }
    batch->row_count = block->row_count;
    return AQ_OK;
}

enum aq_status aq_row_run_read(const struct aq_row_run *run, size_t index, struct aq_batch *batch,
                               struct aq_error *err)
{
    const struct aq_run_block *block = &run->blocks[index];
    uint8_t *bytes = malloc(block->size_bytes + 1);
    if (bytes == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for rows that were set aside");
    enum aq_status status =
        aq_io_pread_exact(run->fd, NAME, block->offset, bytes, block->size_bytes, err);
    if (status == AQ_OK)
        status = decode_block(block, aq_slice_make(bytes, block->size_bytes), batch, err);
    free(bytes);
    return status;
}

void aq_row_run_destroy(struct aq_row_run *run)
{
    if (run == NULL)
        return;
    if (run->fd >= 0)
        close(run->fd);
    free(run->blocks);
    free(run->part_ends);
    free(run);
}
