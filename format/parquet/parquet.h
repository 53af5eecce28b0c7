/* Apache Parquet: the numbers of its metadata, and the encodings of values that writer and reader share.
 * @source Apache Parquet, "parquet.thrift" and "Encodings.md", format 2.10. */
#ifndef AQ_FORMAT_PARQUET_H
#define AQ_FORMAT_PARQUET_H

#include "format/base/bytes.h"

#define AQ_PARQUET_MAGIC "PAR1"
#define AQ_PARQUET_MAGIC_BYTES 4

enum aq_parquet_type {
    AQ_PARQUET_BOOLEAN = 0,
    AQ_PARQUET_INT32 = 1,
    AQ_PARQUET_INT64 = 2,
    AQ_PARQUET_INT96 = 3,
    AQ_PARQUET_FLOAT = 4,
    AQ_PARQUET_DOUBLE = 5,
    AQ_PARQUET_BYTE_ARRAY = 6,
    AQ_PARQUET_FIXED = 7,
};

enum aq_parquet_repetition {
    AQ_PARQUET_REQUIRED = 0,
    AQ_PARQUET_OPTIONAL = 1,
    AQ_PARQUET_REPEATED = 2,
};

enum aq_parquet_encoding {
    AQ_PARQUET_PLAIN = 0,
    AQ_PARQUET_PLAIN_DICTIONARY = 2,
    AQ_PARQUET_RLE = 3,
    AQ_PARQUET_BIT_PACKED = 4,
    AQ_PARQUET_DELTA_BINARY_PACKED = 5,
    AQ_PARQUET_DELTA_LENGTH_BYTE_ARRAY = 6,
    AQ_PARQUET_DELTA_BYTE_ARRAY = 7,
    AQ_PARQUET_RLE_DICTIONARY = 8,
    AQ_PARQUET_BYTE_STREAM_SPLIT = 9,
};

enum aq_parquet_codec {
    AQ_PARQUET_UNCOMPRESSED = 0,
    AQ_PARQUET_SNAPPY = 1,
    AQ_PARQUET_GZIP = 2,
    AQ_PARQUET_LZO = 3,
    AQ_PARQUET_BROTLI = 4,
    AQ_PARQUET_LZ4 = 5, /* Hadoop's framing of it, which was never written down */
    AQ_PARQUET_ZSTD = 6,
    AQ_PARQUET_LZ4_RAW = 7,
};

enum aq_parquet_page {
    AQ_PARQUET_DATA_PAGE = 0,
    AQ_PARQUET_INDEX_PAGE = 1,
    AQ_PARQUET_DICTIONARY_PAGE = 2,
    AQ_PARQUET_DATA_PAGE_V2 = 3,
};

enum aq_parquet_converted {
    AQ_PARQUET_CONVERTED_UTF8 = 0,
    AQ_PARQUET_CONVERTED_ENUM = 4,
    AQ_PARQUET_CONVERTED_DECIMAL = 5,
    AQ_PARQUET_CONVERTED_DATE = 6,
    AQ_PARQUET_CONVERTED_TIME_MILLIS = 7,
    AQ_PARQUET_CONVERTED_TIME_MICROS = 8,
    AQ_PARQUET_CONVERTED_TIMESTAMP_MILLIS = 9,
    AQ_PARQUET_CONVERTED_TIMESTAMP_MICROS = 10,
    AQ_PARQUET_CONVERTED_UINT_8 = 11,
    AQ_PARQUET_CONVERTED_UINT_64 = 14,
    AQ_PARQUET_CONVERTED_INT_8 = 15,
    AQ_PARQUET_CONVERTED_INT_64 = 18,
    AQ_PARQUET_CONVERTED_JSON = 19,
    AQ_PARQUET_CONVERTED_BSON = 20,
    AQ_PARQUET_CONVERTED_INTERVAL = 21,
};

/* Ids of the fields of the union LogicalType. */
enum aq_parquet_logical {
    AQ_PARQUET_LOGICAL_NONE = 0,
    AQ_PARQUET_LOGICAL_STRING = 1,
    AQ_PARQUET_LOGICAL_MAP = 2,
    AQ_PARQUET_LOGICAL_LIST = 3,
    AQ_PARQUET_LOGICAL_ENUM = 4,
    AQ_PARQUET_LOGICAL_DECIMAL = 5,
    AQ_PARQUET_LOGICAL_DATE = 6,
    AQ_PARQUET_LOGICAL_TIME = 7,
    AQ_PARQUET_LOGICAL_TIMESTAMP = 8,
    AQ_PARQUET_LOGICAL_INTEGER = 10,
    AQ_PARQUET_LOGICAL_NULL = 11,
    AQ_PARQUET_LOGICAL_JSON = 12,
    AQ_PARQUET_LOGICAL_BSON = 13,
    AQ_PARQUET_LOGICAL_UUID = 14,
    AQ_PARQUET_LOGICAL_FLOAT16 = 15,
};

/* Ids of the fields of the union TimeUnit. */
enum aq_parquet_unit { AQ_PARQUET_MILLIS = 1, AQ_PARQUET_MICROS = 2, AQ_PARQUET_NANOS = 3 };

/** Bits that hold the numbers 0 .. `max`. */
static inline unsigned aq_parquet_bit_width(uint64_t max)
{
    return max == 0 ? 0 : 64 - (unsigned)__builtin_clzll(max);
}

/** Append `count` numbers < 2^bit_width as runs of equal ones and groups of eight bit-packed ones ("RLE").
 * `bit_width` 0 .. 32. */
void aq_parquet_hybrid_encode(const uint32_t *values, size_t count, unsigned bit_width,
                              struct aq_bytes *out);

/** Append integers as DELTA_BINARY_PACKED. `is_32`: they are INT32, whose differences wrap at 32 bits. */
void aq_parquet_delta_encode(const int64_t *values, size_t count, bool is_32, struct aq_bytes *out);

#endif
