/* One column of a row group: what parquet_write.c asks of parquet_chunk.c, and that of parquet_values.c. */
#ifndef AQ_FORMAT_PARQUET_CHUNK_H
#define AQ_FORMAT_PARQUET_CHUNK_H

#include "format/encode/node.h"
#include "format/encode/number.h"
#include "format/parquet/parquet.h"
#include "format/parquet/thrift.h"

/** The values of a column that are not null, as Parquet stores them. */
struct aq_parquet_values {
    enum aq_parquet_type physical;
    size_t count;
    struct aq_slice *bytes; /* of each value, in plain form without a length; none of booleans */
    uint8_t *bits;          /* of booleans, a byte each */
    int64_t *ints;          /* of INT32 and INT64; NULL for others */
    size_t plain_bytes;     /* of all, with their lengths */
    bool has_range;         /* the next two are there */
    struct aq_slice min;
    struct aq_slice max;
};

/** How a column type is written. AQ_UNSUPPORTED for one that Parquet has not (interval). */
enum aq_status aq_parquet_physical(enum aq_type type, enum aq_parquet_type *physical) AQ_RESULT;

/**
 * Everything is put into `arena`, or borrowed from the vector.
 * @return AQ_LIMIT for a date outside of Parquet's 32 bits of days, AQ_NO_MEMORY.
 */
enum aq_status aq_parquet_values_of(const struct aq_vector *vector, struct aq_arena *arena,
                                    struct aq_parquet_values *values) AQ_RESULT;

/**
 * Append the pages of `vector`, which are to lie at `offset` of the file, and put its ColumnMetaData into the struct
 * that `meta` stands in, as field 3.
 * @param encoder    Its scratch memory is reset.
 * @param raw_bytes  Added: the size of the pages less compression.
 */
enum aq_status aq_parquet_chunk_encode(struct aq_encoder *encoder, const struct aq_vector *vector,
                                       const char *name, uint64_t offset, struct aq_bytes *pages,
                                       struct aq_thrift_writer *meta, uint64_t *raw_bytes,
                                       struct aq_error *err) AQ_RESULT;

#endif
