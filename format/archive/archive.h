/* Archives: immutable columnar files of tiles. Bytes: docs/archive-format.md.
 *
 * A file is: header, then per tile its column chunks and its directory, then the root and a trailer.
 * Readers go root -> directory -> chunk; each is checksummed and readable alone. */
#ifndef AQ_FORMAT_ARCHIVE_H
#define AQ_FORMAT_ARCHIVE_H

#include "format/encode/encode.h"
#include "format/segment/frame.h"
#include "format/table/stats.h"

#define AQ_TILE_ROWS_MAX 65536
#define AQ_ARCHIVE_HEADER_BYTES 64
#define AQ_ARCHIVE_TRAILER_BYTES 64
#define AQ_ARCHIVE_ROOT_BYTES_MAX 65536 /* the writer says when the next tile would pass it */

/** Where finished bytes go, in file order. @return AQ_OK or what failed, with `err` filled. */
typedef enum aq_status (*aq_sink_fn)(void *context, const void *data, size_t size,
                                     struct aq_error *err);

/** Runs task(task_context, i) for i in [0, count), in any order, perhaps in parallel; returns when
 * all are done. NULL: one after the other in the caller's thread. */
struct aq_executor {
    void (*run)(void *context, size_t count, void (*task)(void *task_context, size_t index),
                void *task_context);
    void *context;
};

struct aq_archive_writer;
struct aq_tile_entry;

struct aq_archive_options {
    struct aq_store_id store_id;
    const struct aq_schema *schema; /* borrowed until destroy */
    int zstd_level;                 /* 0: default */
    bool fast;                      /* bit packing instead of what is smallest */
    bool unhashed;                  /* rows are not hashed: whoever reads them back does it */
    const struct aq_executor *executor;
    aq_sink_fn sink;
    void *sink_context;
};

enum aq_status aq_archive_writer_create(const struct aq_archive_options *options,
                                        struct aq_archive_writer **writer,
                                        struct aq_error *err) AQ_RESULT;
void aq_archive_writer_destroy(struct aq_archive_writer *writer);

/**
 * Write one tile. `rows`: the stored columns (aq_schema_stored_count), 1..AQ_TILE_ROWS_MAX rows, sorted by
 * aq_schema_compare_rows (asserted on run boundaries; verify checks it whole). Runs of equal (key,
 * series) are found here. Deterministic bytes for equal rows, whatever the executor.
 */
enum aq_status aq_archive_writer_tile(struct aq_archive_writer *writer, const struct aq_batch *rows,
                                      struct aq_error *err) AQ_RESULT;

/** A tile that has been coded, and has no place in a file yet. */
struct aq_archive_tile;
/** Code a tile for any file of `options` (of which schema, zstd_level, fast, unhashed and executor count): as
 * aq_archive_writer_tile, which is this and aq_archive_writer_append. @thread Any number side by side. */
enum aq_status aq_archive_tile_encode(const struct aq_archive_options *options,
                                      const struct aq_batch *rows, struct aq_archive_tile **tile,
                                      struct aq_error *err) AQ_RESULT;
void aq_archive_tile_destroy(struct aq_archive_tile *tile);
/** Its bounds and its row count; places and sizes are unset. */
const struct aq_tile_entry *aq_archive_tile_entry(const struct aq_archive_tile *tile);
enum aq_status aq_archive_writer_append(struct aq_archive_writer *writer,
                                        const struct aq_archive_tile *tile,
                                        struct aq_error *err) AQ_RESULT;

/** Say in the root that no two rows of the file are equal in the unique columns. Before it is finished. */
void aq_archive_writer_say_without_twins(struct aq_archive_writer *writer);

/** Bytes given to the sink so far. */
uint64_t aq_archive_writer_size(const struct aq_archive_writer *writer);
/** Whether another tile might push the root past its limit: finish, and begin another file. */
bool aq_archive_writer_full(const struct aq_archive_writer *writer);

/** Write root and trailer. `root` (appended to) gets a copy of the root for the catalog entry;
 * `content` the hash of all rows written (stored columns), NULL or without meaning if tiles were `unhashed`. */
enum aq_status aq_archive_writer_finish(struct aq_archive_writer *writer, struct aq_bytes *root,
                                        struct aq_content_hash *content,
                                        struct aq_error *err) AQ_RESULT;

/* A file that begins with it is an archive. */
#define AQ_ARCHIVE_MAGIC "AQARCHIV"

/** A tile as the root lists it. */
struct aq_tile_entry {
    uint64_t offset;           /* of its first chunk */
    uint64_t directory_offset; /* right behind its last chunk */
    uint32_t directory_size_bytes;
    uint64_t directory_checksum;
    uint32_t row_count;
    bool has_time;
    int64_t min_time_us;
    int64_t max_time_us;
    /* Bounds, by bytes, of the text forms of the keys; empty without a key column. Long ones are cut as
     * those of struct aq_column_stats are: no key lies outside, but a bound need not be a key. */
    struct aq_slice key_min;
    struct aq_slice key_max;
};

struct aq_archive_root {
    struct aq_store_id store_id;
    struct aq_schema schema;
    bool without_twins; /* no two rows are equal in the unique columns: the writer saw to it */
    bool has_sections;  /* its body, and those of directories, may end with sections */
    bool has_followers; /* some chunks may follow another */
    uint64_t file_size_bytes; /* of the whole file, trailer included */
    uint64_t row_count;
    size_t tile_count;
    struct aq_tile_entry *tiles;
    struct aq_column_stats *stats; /* per stored column, of the whole file */
};

/** Size and place of the root, from the file's last AQ_ARCHIVE_TRAILER_BYTES bytes. */
enum aq_status aq_archive_trailer_decode(struct aq_slice trailer, uint64_t file_size_bytes,
                                         uint64_t *root_offset, uint32_t *root_size_bytes,
                                         struct aq_error *err) AQ_RESULT;
/** Check a file's first AQ_ARCHIVE_HEADER_BYTES bytes. */
enum aq_status aq_archive_header_check(struct aq_slice header, struct aq_error *err) AQ_RESULT;
/** Decode a root (checksummed within itself); everything lives in `arena`. */
enum aq_status aq_archive_root_decode(struct aq_slice bytes, struct aq_arena *arena,
                                      struct aq_archive_root *root, struct aq_error *err) AQ_RESULT;

/** A column chunk as its tile's directory lists it. */
struct aq_chunk_entry {
    uint32_t column_id;
    enum aq_type type;
    uint64_t offset; /* in the file, 64-byte aligned */
    uint32_t size_bytes;
    uint64_t checksum;
    struct aq_column_stats stats; /* of the whole chunk */
    const struct aq_chunk_entry
        *leader; /* of the same directory: that which this one follows, and is decoded
                                            by; NULL: it stands by itself */
    bool leads;  /* some chunk follows it; so it follows none */
};

/** Rows of one (key, series) inside a tile. */
struct aq_run_entry {
    uint32_t row_first;
    uint32_t row_count;
    struct aq_slice key; /* text form */
    bool has_time;
    int64_t min_time_us;
    int64_t max_time_us;
};

struct aq_tile_directory {
    uint32_t row_count;
    size_t chunk_count;
    struct aq_chunk_entry *chunks;
    size_t run_count;
    struct aq_run_entry *runs;
    /* Runs of at least run_stats_rows_min rows have statistics: run_stats_count of them, 0 if the tile
     * keeps none. `run_stats`: coded, one a chunk, for aq_run_stats_decode. */
    uint32_t run_stats_rows_min;
    size_t run_stats_count;
    struct aq_slice *run_stats;
    /* The same of first and last values, for aq_run_ends_decode. */
    uint32_t run_ends_rows_min;
    size_t run_ends_count;
    struct aq_slice *run_ends;
};
enum aq_status aq_tile_directory_decode(struct aq_slice bytes, const struct aq_tile_entry *entry,
                                        const struct aq_archive_root *root, struct aq_arena *arena,
                                        struct aq_tile_directory *directory,
                                        struct aq_error *err) AQ_RESULT;

/** Whether runs have statistics of this stored column: of the time, and of a key of text, the list of runs says it all. */
bool aq_run_stats_stored(const struct aq_schema *schema, size_t column);

/**
 * Statistics of stored column `column`, by run; row_count is 0 where a run has none. Bounds are values that
 * occur. Of the time, and of a key of text, short runs have them, too; those of a tile's only run are the tile's.
 * @param stats  directory->run_count of them; slices live in `arena` or in the directory's.
 * @thread Reentrant.
 */
enum aq_status aq_run_stats_decode(const struct aq_tile_directory *directory,
                                   const struct aq_schema *schema, size_t column,
                                   struct aq_arena *arena, struct aq_column_stats *stats,
                                   struct aq_error *err) AQ_RESULT;

/** The value that all rows of a run's earliest, or latest, time have in a column. */
struct aq_run_end {
    bool given; /* false: they differ, or it is long, or nothing is said */
    bool null;
    union aq_stats_value value;
};
enum aq_end { AQ_END_FIRST, AQ_END_LAST, AQ_END_COUNT };
struct aq_run_ends {
    struct aq_run_end at[AQ_END_COUNT];
};

/** What rows [first, first + count) of `vector`, sorted by `times`, end with: what a directory may say of a run. A slice
 * is borrowed from `vector`. */
void aq_run_ends_find(const struct aq_vector *vector, const struct aq_vector *times, size_t first,
                      size_t count, struct aq_run_ends *ends);

/**
 * First and last values of stored column `column`, by run, none given where a run has none. Of the time, and of a key
 * of text, short runs have them, too.
 * @param ends  directory->run_count of them; slices live in `arena` or in the directory's.
 * @thread Reentrant.
 */
enum aq_status aq_run_ends_decode(const struct aq_tile_directory *directory,
                                  const struct aq_schema *schema, size_t column,
                                  struct aq_arena *arena, struct aq_run_ends *ends,
                                  struct aq_error *err) AQ_RESULT;

/** Decode a whole chunk into `vector` (its row_count becomes the tile's). Slices point into
 * `arena`. Verifies the checksum first; bounded memory whatever the bytes say.
 * @param leader  Bytes of the chunk that it follows, looked at only if there is one.
 * @thread Reentrant. */
enum aq_status aq_chunk_decode(struct aq_slice bytes, struct aq_slice leader,
                               const struct aq_chunk_entry *entry, uint32_t row_count,
                               struct aq_arena *arena, struct aq_vector *vector,
                               struct aq_error *err) AQ_RESULT;

/** What is coded in a chunk's bytes, whose checksum is verified; borrowed from them. Unless it follows another, it is a
 * column (format/encode/encode.h). */
enum aq_status aq_chunk_open(struct aq_slice bytes, const struct aq_chunk_entry *entry,
                             struct aq_slice *coded, struct aq_error *err) AQ_RESULT;

/** Which of its different values the first rows of a column have that others follow: numbers in the order in which they are
 * first met. Zero-initialise; deinit. */
struct aq_leader_numbers {
    uint16_t *of_rows;
    size_t end;     /* of the rows before it; 0: not numbered yet */
    uint32_t count; /* of numbers */
};
_Static_assert(AQ_TILE_ROWS_MAX - 1 <= UINT16_MAX, "numbers fit");
void aq_leader_numbers_deinit(struct aq_leader_numbers *numbers);

/** What is coded in a chunk, and in the one that it follows (looked at only if there is one). */
struct aq_chunk_coded {
    struct aq_slice own;
    struct aq_slice leader;
    struct aq_leader_numbers
        *numbers; /* NULL, or kept by the caller for all that follow the same */
};

/** As aq_column_decode_rows, of a chunk that has been opened; of what it follows all rows before wanted->end are decoded,
 * too. */
enum aq_status aq_chunk_decode_rows(const struct aq_chunk_coded *coded,
                                    const struct aq_chunk_entry *entry, uint32_t row_count,
                                    const struct aq_wanted *wanted,
                                    struct aq_decode_scratch *scratch, struct aq_arena *arena,
                                    struct aq_vector *vector, struct aq_error *err) AQ_RESULT;

/** As aq_column_factor, of a chunk that has been opened. */
enum aq_status aq_chunk_factor(const struct aq_chunk_coded *coded,
                               const struct aq_chunk_entry *entry, uint32_t row_count, size_t first,
                               size_t end, struct aq_decode_scratch *scratch,
                               struct aq_factored *factored, struct aq_error *err) AQ_RESULT;

/** One line on how a chunk is encoded, for `inspect` ("delta -> bitpack 7 -> zstd"); which column it follows aside. */
enum aq_status aq_chunk_describe(struct aq_slice bytes, const struct aq_chunk_entry *entry,
                                 char *out, size_t out_size, struct aq_error *err) AQ_RESULT;

#endif
