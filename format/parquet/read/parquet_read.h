/* Reading a Parquet file: its footer, then columns of row groups, a value at a time, in bounded memory.
 *
 * All bytes are untrusted. Columns at the top of the schema are read; those inside of groups and lists are named, as
 * `nested`, and not read. */
#ifndef AQ_FORMAT_PARQUET_READ_H
#define AQ_FORMAT_PARQUET_READ_H

#include "format/base/arena.h"
#include "format/parquet/parquet.h"

/** What the values of a column are. */
enum aq_parquet_kind {
    AQ_PARQUET_KIND_BOOLEAN,   /* integer 0 or 1 */
    AQ_PARQUET_KIND_INTEGER,   /* integer */
    AQ_PARQUET_KIND_UNSIGNED,  /* integer: the bits of a uint64_t */
    AQ_PARQUET_KIND_REAL,      /* real */
    AQ_PARQUET_KIND_TEXT,      /* bytes, meant to be UTF-8 */
    AQ_PARQUET_KIND_BYTES,     /* bytes */
    AQ_PARQUET_KIND_UUID,      /* 16 bytes */
    AQ_PARQUET_KIND_DATE,      /* integer: days since 1970-01-01 */
    AQ_PARQUET_KIND_TIME,      /* integer: microseconds of the day */
    AQ_PARQUET_KIND_TIMESTAMP, /* integer: microseconds since 1970-01-01, see is_utc */
    AQ_PARQUET_KIND_DECIMAL,   /* decimal */
};

/** A column, as the footer declares it. */
struct aq_parquet_leaf {
    struct aq_slice name; /* with dots, if nested */
    bool nested;
    bool optional;
    bool is_utc; /* TIMESTAMP: instants; else civil times without a zone */
    enum aq_parquet_type physical;
    enum aq_parquet_kind kind;
    enum aq_parquet_unit unit; /* TIME, TIMESTAMP: of the stored integers */
    uint32_t width;            /* of FIXED */
    uint32_t scale;            /* DECIMAL: digits behind the point */
};

/** Where a column of a row group lies. */
struct aq_parquet_chunk {
    uint64_t offset;
    uint64_t size_bytes;
    enum aq_parquet_codec codec;
};

struct aq_parquet_group {
    uint64_t row_count;
    struct aq_parquet_chunk *chunks; /* one a leaf */
};

/** Everything lies in the arena that the footer was decoded into. */
struct aq_parquet_footer {
    uint64_t row_count;
    size_t leaf_count;
    struct aq_parquet_leaf *leaves;
    size_t group_count;
    struct aq_parquet_group *groups;
};

/** Bytes of a file, and what decompresses them. */
struct aq_parquet_input {
    void *context;
    uint64_t size_bytes; /* of the file */
    /** All `size` bytes at `offset`, which lie inside the file. */
    enum aq_status (*read)(void *context, uint64_t offset, void *buffer, size_t size,
                           struct aq_error *err);
    /** One page: exactly `out_size` bytes, or AQ_CORRUPT; AQ_UNSUPPORTED for a codec that is not there. */
    enum aq_status (*unpack)(enum aq_parquet_codec codec, struct aq_slice packed, uint8_t *out,
                             size_t out_size);
    size_t memory_bytes; /* that all open columns may take together */
};

/**
 * Read and check the footer.
 * @return AQ_INVALID where the file is no Parquet, AQ_UNSUPPORTED where it is encrypted, AQ_CORRUPT.
 */
enum aq_status aq_parquet_footer_read(const struct aq_parquet_input *input, struct aq_arena *arena,
                                      struct aq_parquet_footer *footer,
                                      struct aq_error *err) AQ_RESULT;

struct aq_parquet_value {
    bool is_null;
    union {
        int64_t integer;
        double real;
        aq_int128 decimal;
        struct aq_slice bytes; /* borrowed until the column's next value */
    };
};

/** A column of a row group, at one of its values. */
struct aq_parquet_cursor;
/** @param left  Memory that may still be taken, shared by all cursors of a file: taken off and given back.
 * @thread One at a time per file; as for all below. */
enum aq_status aq_parquet_cursor_open(const struct aq_parquet_input *input,
                                      const struct aq_parquet_leaf *leaf,
                                      const struct aq_parquet_chunk *chunk, uint64_t row_count,
                                      size_t *left, struct aq_parquet_cursor **cursor,
                                      struct aq_error *err) AQ_RESULT;
void aq_parquet_cursor_close(struct aq_parquet_cursor *cursor);
/** The next value; there must be one, by the row group's count (asserted). AQ_CORRUPT with the offset of the page;
 * AQ_LIMIT where a page does not fit the memory; AQ_UNSUPPORTED names encoding or codec. */
enum aq_status aq_parquet_cursor_next(struct aq_parquet_cursor *cursor,
                                      struct aq_parquet_value *value,
                                      struct aq_error *err) AQ_RESULT;

/* Streams of integers inside of pages, for the cursor; failures are those of `bytes`, sticky. */

/** The other way round of aq_parquet_hybrid_encode. */
struct aq_parquet_hybrid {
    struct aq_reader bytes;
    unsigned bit_width; /* 0 .. 32 */
    bool packed;
    uint64_t run_left;
    uint32_t value;
    uint64_t word;
    unsigned word_bits;
};
uint32_t aq_parquet_hybrid_next(struct aq_parquet_hybrid *hybrid);

/** The other way round of aq_parquet_delta_encode; zero-initialise, set `bytes`, begin. */
struct aq_parquet_delta {
    struct aq_reader bytes;
    uint64_t count_left; /* values not given yet */
    uint64_t value;
    uint64_t min_delta;
    uint32_t miniblock_count;
    uint32_t miniblock_rows;
    uint32_t miniblock; /* the present one, of its block */
    uint32_t row_left;  /* of it */
    bool first;
    struct aq_slice widths;
    aq_uint128 word;
    unsigned word_bits;
};
void aq_parquet_delta_begin(struct aq_parquet_delta *delta);
int64_t aq_parquet_delta_next(struct aq_parquet_delta *delta);
/** Behind the last value: passes over it all. `bytes` is behind the section then. */
void aq_parquet_delta_pass(struct aq_parquet_delta *delta);

#endif
