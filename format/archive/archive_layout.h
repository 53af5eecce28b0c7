/* What writing and reading archives share; private to format/archive_*.c and format/archive/tile*.c.
 * Bytes: docs/archive-format.md. */
#ifndef AQ_FORMAT_ARCHIVE_LAYOUT_H
#define AQ_FORMAT_ARCHIVE_LAYOUT_H

#include "format/archive/archive.h"
#include "format/base/preamble.h"
#include "format/encode/number.h"

#define AQ_ARCHIVE_VERSION 1
#define AQ_ARCHIVE_ROOT_MAGIC "AQARROOT"
#define AQ_ARCHIVE_TRAILER_MAGIC "AQAREND."
#define AQ_ARCHIVE_ALIGNMENT 64

/* A compatible feature, in the root: no two rows of the file are equal in the unique columns. */
#define AQ_ARCHIVE_WITHOUT_TWINS UINT32_C(1)
/* An incompatible feature, in the root: its body, and those of directories, may end with sections, each an id
 * and a slice. Those of unknown ids are passed over. */
#define AQ_ARCHIVE_WITH_SECTIONS UINT32_C(1)
/* Others: coded columns may have nodes of the encodings ans32 and repeat; of the encoding multiple. */
#define AQ_ARCHIVE_WITH_LATE AQ_LATE_LANES
#define AQ_ARCHIVE_WITH_MULTIPLE AQ_LATE_MULTIPLE
/* Another: chunks may follow another column's; which ones do, section 3 of a directory says. */
#define AQ_ARCHIVE_WITH_FOLLOWERS UINT32_C(4)
/* Sections of directories: name, id on disk, text. */
#define AQ_SECTION_TABLE(X)                      \
    X(AQ_SECTION_RUN_STATS, 1, "run-statistics") \
    X(AQ_SECTION_RUN_ENDS, 2, "run-ends")        \
    X(AQ_SECTION_FOLLOWERS, 3, "followers")
enum {
#define AQ_SECTION_ENUM(name, number, text) name = (number),
    AQ_SECTION_TABLE(AQ_SECTION_ENUM)
#undef AQ_SECTION_ENUM
};

/* The shortest runs that have statistics; there are at most so many in a tile. */
#define AQ_RUN_STATS_ROWS_MIN 1024
#define AQ_LONG_RUNS_MAX (AQ_TILE_ROWS_MAX / AQ_RUN_STATS_ROWS_MIN)
/* Statistics of runs, all sections of them, take at most this part of a tile's chunks, were each coded alone. */
#define AQ_RUN_STATS_SHARE 50

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

/** The runs of a tile of AQ_RUN_STATS_ROWS_MIN rows or more. */
struct aq_long_runs {
    size_t count;
    struct aq_long_run {
        uint32_t first;
        uint32_t row_count;
    } items[AQ_LONG_RUNS_MAX];
};

/** A tile, coded, before it has a place in the file. Zero-initialise. */
struct aq_tile_output {
    size_t chunk_count;
    struct aq_bytes *chunks; /* padded to AQ_ARCHIVE_ALIGNMENT, as all that follows the header */
    size_t chunk_bytes;      /* of the chunks before some follow others */
    struct aq_column_stats *stats; /* per column; slices in `arena` */
    struct aq_bytes directory;
    bool has_sections;           /* the directory ends with some */
    uint32_t run_stats_rows_min; /* of the section of statistics of runs; 0: there is none */
    size_t run_stats_size;
    uint32_t late;              /* AQ_LATE_... of chunks and the directory */
    uint32_t *leaders;          /* per column: the one that its chunk follows; NULL: none does */
    struct aq_tile_entry entry; /* offset and directory_offset unset; keys in `arena` */
    struct aq_arena arena;
};
enum aq_status aq_tile_encode(const struct aq_archive_options *options, const struct aq_batch *rows,
                              struct aq_encode_scratch *scratch, struct aq_tile_output *tile,
                              struct aq_error *err) AQ_RESULT;
/** Append a column of a directory, coded, behind its size; `*late` gets its AQ_LATE_... besides. */
enum aq_status aq_coded_append(const struct aq_vector *vector, struct aq_encode_scratch *scratch,
                               uint32_t *late, struct aq_bytes *out) AQ_RESULT;
void aq_tile_output_deinit(struct aq_tile_output *tile);

/* run_stats.c */
void aq_long_runs_find(const uint32_t *starts, size_t run_count, size_t row_count,
                       struct aq_long_runs *runs);
/** Statistics of a column of a tile, and of its long runs, one each; these, and slices, live in `arena`. */
enum aq_status aq_run_stats_compute(const struct aq_vector *vector, const struct aq_long_runs *runs,
                                    struct aq_arena *arena, struct aq_column_stats **run_stats,
                                    struct aq_column_stats *tile) AQ_RESULT;
/** Append the section to a tile's directory; nothing where no run has statistics that are worth their bytes beside
 * its chunks.
 * @param stats  By stored column: of the long runs. */
enum aq_status aq_run_stats_append(const struct aq_schema *schema,
                                   struct aq_column_stats *const *stats,
                                   const struct aq_long_runs *runs, size_t row_count,
                                   struct aq_encode_scratch *scratch,
                                   struct aq_tile_output *tile) AQ_RESULT;
/** Take the section apart, its columns aside; `*valid` = false: it is malformed. `directory` has its runs. */
enum aq_status aq_run_stats_read(struct aq_slice section, const struct aq_schema *schema,
                                 struct aq_arena *arena, struct aq_tile_directory *directory,
                                 bool *valid) AQ_RESULT;

/* run_ends.c */
/** Append the section of first and last values to a tile's directory, behind that of statistics of runs, within what
 * this leaves of their share; nothing where there is no time, or no long run, or no room.
 * @param stats  As above. */
enum aq_status aq_run_ends_append(const struct aq_schema *schema, const struct aq_batch *rows,
                                  struct aq_column_stats *const *stats,
                                  const struct aq_long_runs *runs,
                                  struct aq_encode_scratch *scratch,
                                  struct aq_tile_output *tile) AQ_RESULT;
/** Take the section apart, its columns aside; `*valid` = false: it is malformed. `directory` has its runs, and the section
 * of their statistics if there is one. */
enum aq_status aq_run_ends_read(struct aq_slice section, const struct aq_schema *schema,
                                struct aq_arena *arena, struct aq_tile_directory *directory,
                                bool *valid) AQ_RESULT;

/* follow.c */
/** As aq_number_ints, of the first `row_count` rows of a vector of any type. */
enum aq_status aq_follow_number(const struct aq_vector *vector, size_t row_count, size_t count_max,
                                struct aq_arena *arena, struct aq_numbers *numbers) AQ_RESULT;
/** Set leaders of chunks as the section says. @return AQ_CORRUPT: it is malformed. */
enum aq_status aq_followers_read(struct aq_slice section,
                                 struct aq_tile_directory *directory) AQ_RESULT;
/** As aq_column_describe, of what is coded in a chunk that follows another. */
enum aq_status aq_follower_describe(struct aq_slice coded, char *out, size_t out_size,
                                    struct aq_error *err) AQ_RESULT;
/* follow_write.c */
/** Let chunks of a tile that have been coded follow others where that saves enough: those are coded anew.
 * @param late  By stored column: AQ_LATE_... of its chunk; kept so. */
enum aq_status aq_followers_encode(const struct aq_archive_options *options,
                                   const struct aq_batch *rows, uint32_t *late,
                                   struct aq_tile_output *tile) AQ_RESULT;
/** Append the section to a tile's directory; nothing where no chunk follows another. */
enum aq_status aq_followers_append(struct aq_tile_output *tile) AQ_RESULT;

/** A field of a section of statistics: coded, behind its size, which is 0 if it is `empty`. */
enum aq_status aq_field_append(const struct aq_vector *vector, bool empty,
                               struct aq_encode_scratch *scratch, uint32_t *late,
                               struct aq_bytes *out) AQ_RESULT;
/** Read it into `vector`, of its type; the reader has failed: it is malformed. */
enum aq_status aq_field_decode(struct aq_reader *reader, size_t count, struct aq_arena *arena,
                               struct aq_vector *vector, bool *empty) AQ_RESULT;
enum aq_status aq_stats_value_append(struct aq_vector *vector,
                                     const union aq_stats_value *value) AQ_RESULT;
union aq_stats_value aq_stats_value_of(const struct aq_vector *vector, size_t row);

/** A span of time, or that there is none, as the root lists it for a tile. */
void aq_span_encode(bool known, int64_t min_us, int64_t max_us, struct aq_bytes *out);
void aq_span_decode(struct aq_reader *reader, bool *known, int64_t *min_us, int64_t *max_us);
/** The next section, if there is one. `*id`: that of the one before, 0 at first; ids ascend. */
bool aq_section_next(struct aq_reader *reader, uint64_t *id, struct aq_slice *section);

#endif
