/* One page, one call of the codec's library, into a buffer of the size that the page must have. */
#include "engine/ingest/file/read/page_unpack.h"

#include <limits.h>
#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_OR_ZLIB (15 + 32) /* the window, and which header there is to be found out */

/* A page may be several gzip members behind each other. */
static enum aq_status unpack_gzip(struct aq_slice packed, uint8_t *out, size_t out_size)
{
    z_stream stream = {.next_in = (z_const Bytef *)packed.data,
                       .avail_in = (uInt)packed.size,
                       .next_out = out,
                       .avail_out = (uInt)out_size};
    if (inflateInit2(&stream, GZIP_OR_ZLIB) != Z_OK)
        return AQ_NO_MEMORY;
    int result;
    do {
        result = inflate(&stream, Z_FINISH);
    } while (result == Z_STREAM_END && stream.avail_in > 0 && stream.avail_out > 0 &&
             inflateReset(&stream) == Z_OK);
    inflateEnd(&stream);
    return result == Z_STREAM_END && stream.avail_out == 0 && stream.avail_in == 0 ? AQ_OK
                                                                                   : AQ_CORRUPT;
}

static enum aq_status unpack_snappy(struct aq_slice packed, uint8_t *out, size_t out_size)
{
    size_t size = 0;
    const char *data = (const char *)packed.data;
    if (snappy_uncompressed_length(data, packed.size, &size) != SNAPPY_OK || size != out_size)
        return AQ_CORRUPT;
    return snappy_uncompress(data, packed.size, (char *)out, &size) == SNAPPY_OK ? AQ_OK
                                                                                 : AQ_CORRUPT;
}

enum aq_status aq_page_unpack(enum aq_parquet_codec codec, struct aq_slice packed, uint8_t *out,
                              size_t out_size)
{
    if (packed.size > INT_MAX || out_size > INT_MAX)
        return AQ_CORRUPT;
    switch (codec) {
    case AQ_PARQUET_ZSTD:
        return ZSTD_decompress(out, out_size, packed.data, packed.size) == out_size ? AQ_OK
                                                                                    : AQ_CORRUPT;
    case AQ_PARQUET_SNAPPY:
        return unpack_snappy(packed, out, out_size);
    case AQ_PARQUET_GZIP:
        return unpack_gzip(packed, out, out_size);
    case AQ_PARQUET_LZ4_RAW:
        return LZ4_decompress_safe((const char *)packed.data, (char *)out, (int)packed.size,
                                   (int)out_size) == (int)out_size
                   ? AQ_OK
                   : AQ_CORRUPT;
    default:
        return AQ_UNSUPPORTED;
    }
}
