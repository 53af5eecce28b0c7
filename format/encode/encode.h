/* Column encodings: a vector of values <-> self-describing bytes. Used by frame sections and archive
 * chunks alike. Bytes: docs/archive-format.md, "Encodings". A coded column is a tree of nodes (depth
 * <= 4), each with a one-byte encoding number; nulls are coded beside the values. */
#ifndef AQ_FORMAT_ENCODE_ENCODE_H
#define AQ_FORMAT_ENCODE_ENCODE_H

#include "format/table/stats.h"

enum aq_profile {
    AQ_PROFILE_FRAME,   /* one cheap pass, no zstd on small input: the write path */
    AQ_PROFILE_FAST,    /* by two looks, of a whole tile: scales by run, deltas by vector, codes */
    AQ_PROFILE_ARCHIVE, /* smallest */
};

/** Memory for coding that is kept from one column to the next. Zero-initialise; deinit. */
struct aq_encode_scratch {
    struct aq_arena arena;
    void *zstd;            /* ZSTD_CCtx, made when first needed */
    struct aq_bytes coded; /* for callers: where a column is coded before its size is known */
};
void aq_encode_scratch_deinit(struct aq_encode_scratch *scratch);

/** Encodings that came in after the freeze, as the incompatible features of the roots of files that have them. */
#define AQ_LATE_LANES UINT32_C(2)    /* ans32, repeat */
#define AQ_LATE_MULTIPLE UINT32_C(8) /* multiple */

struct aq_encode_options {
    enum aq_profile profile;
    int zstd_level; /* 0: the profile's own */
    /* First row, relative to the first one coded, of each run of rows that belong together: where
     * decimals may change their scale. Strictly ascending from 0; may be empty. */
    const uint32_t *run_starts;
    size_t run_count;
    struct aq_encode_scratch *scratch; /* NULL, or that of the caller, in use by nobody else */
    uint32_t *late; /* NULL, or gets what AQ_LATE_... encodings were used besides */
};

/** Append rows [first, first + count) of `vector`, coded, to `out`. Deterministic. count may be 0.
 * @return AQ_OK; AQ_INVALID when a value lies outside its type (a boolean of 2); AQ_LIMIT when the
 * rows could not be decoded within AQ_DECODED_BYTES_MAX; AQ_NO_MEMORY. out->size is restored. */
enum aq_status aq_column_encode_with(const struct aq_vector *vector, size_t first, size_t count,
                                     const struct aq_encode_options *options,
                                     struct aq_bytes *out) AQ_RESULT;

/** As aq_column_encode_with, with nothing but a profile. */
enum aq_status aq_column_encode(const struct aq_vector *vector, size_t first, size_t count,
                                enum aq_profile profile, struct aq_bytes *out) AQ_RESULT;

/** Memory for decoding that is kept from one column to the next, a few MiB. Zero-initialise; deinit. */
struct aq_decode_scratch {
    struct aq_arena arena;
    void *zstd; /* ZSTD_DCtx, made when first needed */
};
void aq_decode_scratch_deinit(struct aq_decode_scratch *scratch);

/** Decode exactly `count` rows of `type`; `vector` (of that type) is replaced. Slices point into
 * `arena`, never into `bytes`. All of `bytes` must be used. Memory is bounded by count and by
 * AQ_DECODED_BYTES_MAX whatever the bytes say. @thread Reentrant. */
#define AQ_DECODED_BYTES_MAX ((size_t)1 << 30)
enum aq_status aq_column_decode(struct aq_slice bytes, enum aq_type type, size_t count,
                                struct aq_arena *arena, struct aq_vector *vector,
                                struct aq_error *err) AQ_RESULT;

/** Vectors of AQ_VECTOR_ROWS_MAX rows, the last of which may have fewer, that `row_count` rows make. */
static inline size_t aq_vector_count(size_t row_count)
{
    return (row_count + AQ_VECTOR_ROWS_MAX - 1) / AQ_VECTOR_ROWS_MAX;
}

/** Which of `count` rows are wanted. */
struct aq_wanted {
    size_t first; /* rows [first, end), */
    size_t end;
    const uint64_t *vectors; /* NULL, or of these only rows of vectors whose bit is set; borrowed */
};
/** The next ones from row *end, at first 0, on: [*first, *end). False: there are none. */
static inline bool aq_wanted_next(const struct aq_wanted *wanted, size_t *first, size_t *end)
{
    size_t at = *end > wanted->first ? *end : wanted->first;
    size_t vector = at / AQ_VECTOR_ROWS_MAX;
    size_t vector_end = aq_vector_count(wanted->end);
    if (wanted->vectors == NULL) {
        *first = at;
        *end = wanted->end;
        return at < wanted->end;
    }
    while (vector < vector_end && !aq_bitmap_has(wanted->vectors, vector))
        at = ++vector * AQ_VECTOR_ROWS_MAX;
    while (vector < vector_end && aq_bitmap_has(wanted->vectors, vector))
        vector++;
    *first = at;
    *end = vector < vector_end ? vector * AQ_VECTOR_ROWS_MAX : wanted->end;
    return at < *end;
}

/**
 * As aq_column_decode, of the wanted rows alone: the others are unspecified, their values unset. Encodings whose
 * values stand by themselves touch nothing else; those that do not (byte planes, entropy coding, deltas before the end)
 * are decoded and not carried further. What is wrong with bytes that are not needed may go unnoticed.
 * @param scratch  NULL, or that of the caller, in use by nobody else.
 */
enum aq_status aq_column_decode_rows(struct aq_slice bytes, enum aq_type type, size_t count,
                                     const struct aq_wanted *wanted,
                                     struct aq_decode_scratch *scratch, struct aq_arena *arena,
                                     struct aq_vector *vector, struct aq_error *err) AQ_RESULT;

/** A column as its different values and which of them each row has: what is asked of a value is asked once. Zero-
 * initialise; deinit. */
struct aq_factored {
    struct aq_vector values; /* without nulls; may repeat, and may be some that no row has */
    struct aq_vector
        codes; /* of each row the place of its value, unset if `ends`; its nulls are the column's */
    int64_t *ends; /* of each value the row behind its run; NULL: rows have codes */
    struct aq_arena arena;
};
void aq_factored_deinit(struct aq_factored *factored);

/**
 * As aq_column_decode_rows, of rows [first, end), where the column's encoding is of its different values (constants, runs,
 * dictionaries, and decimals of one scale that are).
 * @return AQ_OK; AQ_NOT_FOUND if it is not: decode it; AQ_CORRUPT; AQ_NO_MEMORY. Owns something on AQ_OK only.
 */
enum aq_status aq_column_factor(struct aq_slice bytes, enum aq_type type, size_t count,
                                size_t first, size_t end, struct aq_decode_scratch *scratch,
                                struct aq_factored *factored, struct aq_error *err) AQ_RESULT;

/**
 * Statistics of each vector as far as they can be told without unpacking its values: rows, nulls, and bounds that no
 * value is beyond and that none need reach. Of bit packing, of decimals over it, and of columns that are all null.
 * @param scratch  As for aq_column_decode_rows.
 * @param stats  aq_vector_count(count) of them.
 * @return AQ_OK; AQ_NOT_FOUND if the column is coded in another way: decode it; AQ_CORRUPT; AQ_NO_MEMORY. What is wrong
 * with values may go unnoticed.
 */
enum aq_status aq_column_bounds(struct aq_slice bytes, enum aq_type type, size_t count,
                                struct aq_decode_scratch *scratch, struct aq_column_stats *stats,
                                struct aq_error *err) AQ_RESULT;

/** A node of a coded column. */
struct aq_coded_node {
    const char *encoding; /* its name */
    bool of_nulls;  /* says where nulls are, or is within one that does; else it is of values */
    unsigned depth; /* 0: within no other */
    size_t value_count;
    size_t size_bytes; /* with the nodes within it */
};
#define AQ_CODED_NODES_MAX 128 /* more than any writer makes */

/** The nodes of a column in the order of their bytes, of which the first AQ_CODED_NODES_MAX; none if all rows are null. */
enum aq_status aq_column_nodes(struct aq_slice bytes,
                               struct aq_coded_node nodes[AQ_CODED_NODES_MAX], size_t *node_count,
                               struct aq_error *err) AQ_RESULT;

/** A vector as it is bit-packed: of values, or of what values are made from, row by row (codes of a dictionary, differences,
 * decimals' integers). */
struct aq_packed_vector {
    size_t row_first; /* of differences the second row they are between */
    size_t row_count;
    unsigned width_bits; /* of each; 0: all are the same */
    size_t size_bytes;   /* header included */
};

/**
 * The vectors of a column where its encoding packs something for each row, as their headers have them, and nothing is
 * unpacked.
 * @param scratch  As for aq_column_decode_rows.
 * @param vectors  Room for aq_vector_count(count); the first *vector_count, at most so many, are filled: none of a
 * column that is coded in another way.
 * @return AQ_OK; AQ_CORRUPT; AQ_NO_MEMORY. What is wrong with values may go unnoticed.
 */
enum aq_status aq_column_packing(struct aq_slice bytes, enum aq_type type, size_t count,
                                 struct aq_decode_scratch *scratch,
                                 struct aq_packed_vector *vectors, size_t *vector_count,
                                 struct aq_error *err) AQ_RESULT;

/** "delta(bitpack 7) + zstd": for people. */
enum aq_status aq_column_describe(struct aq_slice bytes, char *out, size_t out_size,
                                  struct aq_error *err) AQ_RESULT;

#endif
