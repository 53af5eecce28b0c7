/* Frames: the atomic durable commits that segments are made of. Bytes: docs/segment-format.md. */
#ifndef AQ_FORMAT_FRAME_H
#define AQ_FORMAT_FRAME_H

#include "format/base/checksum.h"
#include "format/encode/encode.h"
#include "format/table/schema.h"

/** A store's identity, random at creation. */
struct aq_store_id {
    uint8_t bytes[16];
};

/** What a frame takes from one feed, and where the feed stands afterwards. */
struct aq_source_range {
    uint64_t feed_id;
    uint64_t first_ordinal; /* of the first message this frame covers */
    uint64_t next_ordinal;  /* where to go on: > first_ordinal unless only `finished` is new */
    uint64_t next_offset;   /* files: decoded bytes consumed; Kafka: 0 */
    struct aq_hash128 hash; /* files: of all decoded bytes before next_offset; Kafka: of the last
                               message */
    int64_t last_stamp_us;  /* stamp of the last message */
    uint64_t row_count;     /* of this frame from this feed */
    uint64_t reject_count;
    uint64_t passed_count; /* passed over: refused by `when:`, or no value */
    bool finished;         /* the file ends here */
};

/** A partition's rows inside a section. */
struct aq_partition {
    struct aq_slice key;   /* text form of the key; empty without a key column */
    int64_t slot_start_us; /* 0 without a time column */
    uint32_t row_first;
    uint32_t row_count;
};

/** One dataset's rows in a frame that is to be written. */
struct aq_section_input {
    const struct aq_schema *schema;
    const struct aq_batch *rows;           /* declared + system columns, grouped by partition */
    const struct aq_partition *partitions; /* cover all rows, in order */
    size_t partition_count;
};

struct aq_frame_input {
    struct aq_store_id store_id;
    uint64_t segment_id;
    uint64_t epoch;
    uint64_t sequence;          /* from 0, no gaps, within a segment */
    uint64_t previous_checksum; /* header checksum of the frame before; 0 for sequence 0 */
    uint64_t durable_count; /* frames 0 .. durable_count - 1 are known to be durable: the proof, for
                                   recovery, that damage to one of them is no torn write */
    const struct aq_source_range *ranges;
    size_t range_count;
    const struct aq_section_input *sections; /* may be 0: a marker */
    size_t section_count;
    uint64_t file_offset; /* where the frame will begin; a multiple of AQ_FRAME_ALIGNMENT */
    bool fill_block; /* its last part gets zeros, so that it ends where a block of the file ends */
    struct aq_encode_scratch *scratch; /* NULL, or kept by the caller from one frame to the next */
};

/** Append the frame's bytes, a multiple of AQ_FRAME_ALIGNMENT, to `out`; `header_checksum` is what
 * the next frame names as its previous_checksum. On failure out->size is restored. */
#define AQ_FRAME_ALIGNMENT 64
#define AQ_FRAME_BLOCK_BYTES 4096 /* what direct writes to any disk may be multiples of */
enum aq_status aq_frame_encode(const struct aq_frame_input *input, struct aq_bytes *out,
                               uint64_t *header_checksum, struct aq_error *err) AQ_RESULT;

/** The fixed first part of a frame, enough to know how many bytes the frame takes. */
#define AQ_FRAME_PREFIX_BYTES 128
#define AQ_FRAME_BYTES_MAX ((uint64_t)1 << 30)
#define AQ_FRAME_ROWS_MAX (1u << 22) /* of one dataset in one frame */
struct aq_frame_prefix {
    struct aq_store_id store_id;
    uint64_t segment_id;
    uint64_t epoch;
    uint64_t sequence;
    uint64_t previous_checksum;
    uint64_t durable_count;     /* checked: <= sequence */
    uint64_t frame_size_bytes;  /* checked: multiple of the alignment, <= AQ_FRAME_BYTES_MAX */
    uint32_t header_size_bytes; /* prefix + ranges + section table; checked: <= frame_size_bytes */
    uint64_t header_checksum;
};
/** AQ_CORRUPT when `bytes` (>= AQ_FRAME_PREFIX_BYTES of them) do not begin a frame. The prefix alone
 * is covered by its own checksum, so its lengths may be believed. */
enum aq_status aq_frame_prefix_decode(struct aq_slice bytes, struct aq_frame_prefix *prefix,
                                      struct aq_error *err) AQ_RESULT;

/** A section as the frame's header describes it. */
struct aq_section_entry {
    uint32_t dataset_id;
    uint32_t schema_version;
    uint32_t row_count;
    uint64_t offset; /* from the frame's first byte */
    uint64_t size_bytes;
    uint64_t checksum; /* of the section's bytes */
    bool has_time;     /* min_time_us, max_time_us are set (rows with a time column) */
    int64_t min_time_us;
    int64_t max_time_us;
};

/** A decoded header. Owned by the arena given to aq_frame_header_decode. */
struct aq_frame_header {
    struct aq_frame_prefix prefix;
    size_t range_count;
    struct aq_source_range *ranges;
    size_t section_count;
    struct aq_section_entry *sections; /* offsets and sizes checked against the frame */
};
/** `bytes`: at least header_size_bytes of the frame; verifies the header's checksum. */
enum aq_status aq_frame_header_decode(struct aq_slice bytes, struct aq_arena *arena,
                                      struct aq_frame_header *header,
                                      struct aq_error *err) AQ_RESULT;

/** Verify the checksums of all sections of a whole frame in memory. */
enum aq_status aq_frame_verify(struct aq_slice frame, const struct aq_frame_header *header,
                               struct aq_error *err) AQ_RESULT;

/**
 * Decode columns of one section (its bytes alone). Column i of `batch` becomes the stored column
 * with id column_ids[i] (AQ_SYSTEM_ID_* for system columns); all null where the section has none of
 * that id. `schema` is the declaration the section names. Verifies `entry->checksum` first.
 * @param batch  Initialised with the wanted types; cleared first; slices point into its arena.
 */
enum aq_status aq_section_decode(struct aq_slice section, const struct aq_section_entry *entry,
                                 const struct aq_schema *schema, const uint32_t *column_ids,
                                 struct aq_batch *batch, struct aq_error *err) AQ_RESULT;

/** A section whose checksum is good, and where its columns are. */
struct aq_section {
    struct aq_slice bytes; /* borrowed */
    size_t column_count;
    struct aq_section_column {
        uint32_t id;
        uint8_t type;
        size_t offset; /* of the coded column (format/encode/encode.h), in the section */
        size_t size;
    } * columns; /* the arena's */
};
enum aq_status aq_section_open(struct aq_slice bytes, const struct aq_section_entry *entry,
                               struct aq_arena *arena, struct aq_section *section,
                               struct aq_error *err) AQ_RESULT;
/** The column with this id, of `type` both there and in `schema`, which the section names; NULL where it has none. */
enum aq_status aq_section_find(const struct aq_section *section, const struct aq_schema *schema,
                               uint32_t id, enum aq_type type,
                               const struct aq_section_column **column,
                               struct aq_error *err) AQ_RESULT;

static inline struct aq_slice aq_section_column_bytes(const struct aq_section *section,
                                                      const struct aq_section_column *column)
{
    return aq_slice_make(section->bytes.data + column->offset, column->size);
}
/** As aq_column_decode_rows, of a section's column; of NULL, nulls. Offsets of errors count from the section's first byte. */
enum aq_status aq_section_decode_column(const struct aq_section *section,
                                        const struct aq_section_column *column, size_t row_count,
                                        const struct aq_wanted *wanted,
                                        struct aq_decode_scratch *scratch, struct aq_arena *arena,
                                        struct aq_vector *vector, struct aq_error *err) AQ_RESULT;

/** The partition directory of a section; keys are borrowed from `section`, the array from `arena`. */
enum aq_status aq_section_partitions(struct aq_slice section, const struct aq_section_entry *entry,
                                     struct aq_arena *arena, struct aq_partition **partitions,
                                     size_t *partition_count, struct aq_error *err) AQ_RESULT;

#endif
