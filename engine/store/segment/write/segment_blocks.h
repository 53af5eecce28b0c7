/* The blocks of the segment that is being written: which are zeroed, and by which way a frame gets there.
 * Private to engine/store. */
#ifndef AQ_ENGINE_STORE_SEGMENT_BLOCKS_H
#define AQ_ENGINE_STORE_SEGMENT_BLOCKS_H

#include "engine/store/segment/write/zero_ahead.h"

/** One writer's. Zero-initialise, then aq_segment_blocks_init. */
struct aq_segment_blocks {
    struct aq_store *store;
    struct aq_io *io; /* borrowed, like `file` */
    struct aq_zero_ahead *ahead;
    uint64_t file_bytes_max; /* what is worth zeroing of a file */
    struct aq_io_file *file; /* of the open segment; NULL: none */
    struct aq_io_file
        *direct; /* the same, past the cache, for frames of whole blocks; NULL: not, or not yet */
    bool full;   /* the disk takes no more zeros */
    uint64_t step_bytes; /* to zero next */
    uint64_t zeroed_end; /* of the open segment; 0: nothing is zeroed */
    uint64_t job_begin;  /* being zeroed there, up to job_end; 0: nothing is */
    uint64_t job_end;
    struct aq_io_file *spare; /* for the segment after it: zeroed, or about to be; NULL: none */
    bool spare_job;           /* it is being zeroed */
    uint64_t spare_end;       /* zeroed up to there */
};

/** @param depth  Frames in flight. @param segment_size_bytes  Where a segment is sealed; 0: it grows without end. */
enum aq_status aq_segment_blocks_init(struct aq_segment_blocks *blocks, struct aq_store *store,
                                      struct aq_io *io, unsigned depth, uint64_t segment_size_bytes,
                                      struct aq_error *err) AQ_RESULT;
void aq_segment_blocks_deinit(struct aq_segment_blocks *blocks);

/** A file that was made ready for the next segment, or NULL; the caller's from now on. */
struct aq_io_file *aq_segment_blocks_take(struct aq_segment_blocks *blocks, uint64_t *zeroed_end);
/** A segment is begun in `file`, which is borrowed until aq_segment_blocks_end. */
void aq_segment_blocks_begin(struct aq_segment_blocks *blocks, struct aq_io_file *file,
                             uint64_t zeroed_end);
/**
 * Before a frame of [offset, offset + size) is written: nobody else writes there then. Has more zeroed where that
 * will be needed soon. @return The file to write to.
 */
struct aq_io_file *aq_segment_blocks_write(struct aq_segment_blocks *blocks, uint64_t offset,
                                           uint64_t size);
/** No frame follows: the file ends at `file_bytes`, durably, when AQ_OK. */
enum aq_status aq_segment_blocks_cut(struct aq_segment_blocks *blocks, uint64_t file_bytes,
                                     struct aq_error *err) AQ_RESULT;
/** Let go of the file, as it is. */
void aq_segment_blocks_end(struct aq_segment_blocks *blocks);

#endif
