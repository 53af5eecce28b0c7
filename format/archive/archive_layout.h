/* What writing and reading archives share; private to format/archive_*.c and format/archive/tile*.c.
 * Bytes: docs/archive-format.md. */
#ifndef AQ_FORMAT_ARCHIVE_LAYOUT_H
#define AQ_FORMAT_ARCHIVE_LAYOUT_H

#include "format/archive/archive.h"
#include "format/base/preamble.h"

#define AQ_ARCHIVE_VERSION 1
#define AQ_ARCHIVE_ROOT_MAGIC "AQARROOT"
#define AQ_ARCHIVE_TRAILER_MAGIC "AQAREND."
#define AQ_ARCHIVE_ALIGNMENT 64

/* A compatible feature, in the root: no two rows of the file are equal in the unique columns. */
#define AQ_ARCHIVE_WITHOUT_TWINS UINT32_C(1)

enum {
    AQ_ARCHIVE_HEADER_AT_STORE = AQ_PREAMBLE_BYTES,
    AQ_ARCHIVE_HEADER_AT_ZERO = AQ_ARCHIVE_HEADER_AT_STORE + 16,
    AQ_ARCHIVE_HEADER_AT_CHECKSUM = AQ_ARCHIVE_HEADER_BYTES - 8,

    AQ_ARCHIVE_ROOT_AT_STORE = AQ_PREAMBLE_BYTES,
    AQ_ARCHIVE_ROOT_AT_FILE_SIZE = AQ_ARCHIVE_ROOT_AT_STORE + 16,
    AQ_ARCHIVE_ROOT_AT_ROW_COUNT = AQ_ARCHIVE_ROOT_AT_FILE_SIZE + 8,
    AQ_ARCHIVE_ROOT_AT_BODY_SIZE =
        AQ_ARCHIVE_ROOT_AT_ROW_COUNT + 8, /* u32; checksum and padding aside */
    AQ_ARCHIVE_ROOT_AT_BODY = AQ_ARCHIVE_ROOT_AT_BODY_SIZE + 4,

    AQ_ARCHIVE_TRAILER_AT_ROOT_OFFSET = AQ_PREAMBLE_BYTES,
    AQ_ARCHIVE_TRAILER_AT_ROOT_SIZE = AQ_ARCHIVE_TRAILER_AT_ROOT_OFFSET + 8, /* u32 */
    AQ_ARCHIVE_TRAILER_AT_ZERO = AQ_ARCHIVE_TRAILER_AT_ROOT_SIZE + 4,
    AQ_ARCHIVE_TRAILER_AT_CHECKSUM = AQ_ARCHIVE_TRAILER_BYTES - 8,
};
_Static_assert(AQ_ARCHIVE_HEADER_AT_ZERO + 16 == AQ_ARCHIVE_HEADER_AT_CHECKSUM, "16 zeros");
_Static_assert(AQ_ARCHIVE_TRAILER_AT_ZERO + 20 == AQ_ARCHIVE_TRAILER_AT_CHECKSUM, "20 zeros");

/** A tile, coded, before it has a place in the file. Zero-initialise. */
struct aq_tile_output {
    size_t chunk_count;
    struct aq_bytes *chunks; /* padded to AQ_ARCHIVE_ALIGNMENT, as all that follows the header */
    struct aq_column_stats *stats; /* per column; slices in `arena` */
    struct aq_bytes directory;
    struct aq_tile_entry entry; /* offset and directory_offset unset; keys in `arena` */
    struct aq_arena arena;
};
enum aq_status aq_tile_encode(const struct aq_archive_options *options, const struct aq_batch *rows,
                              struct aq_tile_output *tile, struct aq_error *err) AQ_RESULT;
void aq_tile_output_deinit(struct aq_tile_output *tile);

/** A span of time, or that there is none, as the root lists it for a tile. */
void aq_span_encode(bool known, int64_t min_us, int64_t max_us, struct aq_bytes *out);
void aq_span_decode(struct aq_reader *reader, bool *known, int64_t *min_us, int64_t *max_us);

#endif
