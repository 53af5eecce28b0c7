/* A column chunk: the column of a row group as pages (data pages V1), each compressed by zstd, with a checksum.
 *
 * Happy path: of a dictionary, DELTA_BINARY_PACKED (integers) and PLAIN the one that is smallest before compression is
 * taken for the whole chunk. A page holds at most PAGE_ROWS_MAX rows and about PAGE_BYTES_MAX of plain values:
 * a bit a row that says whether it has a value, then the values.
 * Failures: memory; a value that Parquet's type cannot hold. */
#include <zlib.h>
#include <zstd.h>

#include "format/parquet/write/parquet_chunk.h"

#define PAGE_ROWS_MAX ((size_t)65536)
#define PAGE_BYTES_MAX ((size_t)1 << 20)
#define DICTIONARY_ENTRIES_MAX ((size_t)65536)
#define ZSTD_LEVEL 3

struct chunk {
    struct aq_encoder *encoder;
    const struct aq_vector *vector;
    struct aq_parquet_values values;
    struct aq_numbers dictionary;
    enum aq_parquet_encoding encoding; /* of the values of data pages */
    struct aq_bytes page;              /* not compressed */
    struct aq_bytes *pages;
    uint64_t offset;
    uint64_t raw_bytes; /* pages and their headers, less compression */
};

/* Whether a dictionary is to be used, and what the values would take with it. */
static enum aq_status measure_dictionary(struct chunk *chunk, size_t *size)
{
    const struct aq_parquet_values *values = &chunk->values;
    size_t entry_max = values->count / 2;
    *size = SIZE_MAX;
    if (values->bits != NULL || entry_max == 0)
        return AQ_OK;
    if (entry_max > DICTIONARY_ENTRIES_MAX)
        entry_max = DICTIONARY_ENTRIES_MAX;
    enum aq_status status = aq_number_slices(values->bytes, NULL, values->count, entry_max,
                                             &chunk->encoder->scratch, &chunk->dictionary);
    if (status == AQ_NOT_FOUND)
        return AQ_OK;
    AQ_TRY(status);
    size_t entry_count = chunk->dictionary.count;
    *size = values->count * aq_parquet_bit_width(entry_count - 1) / 8;
    for (size_t i = 0; i < entry_count; i++)
        *size += values->bytes[chunk->dictionary.firsts[i]].size + sizeof(uint32_t);
    return AQ_OK;
}

static enum aq_status choose_encoding(struct chunk *chunk)
{
    const struct aq_parquet_values *values = &chunk->values;
    size_t dictionary_size;
    size_t size = values->plain_bytes;
    chunk->encoding = AQ_PARQUET_PLAIN;
    if (values->ints != NULL && values->count > 1) {
        aq_bytes_clear(&chunk->page);
        aq_parquet_delta_encode(values->ints, values->count, values->physical == AQ_PARQUET_INT32,
                                &chunk->page);
        AQ_TRY(aq_bytes_status(&chunk->page));
        if (chunk->page.size < size) {
            size = chunk->page.size;
            chunk->encoding = AQ_PARQUET_DELTA_BINARY_PACKED;
        }
    }
    AQ_TRY(measure_dictionary(chunk, &dictionary_size));
    if (dictionary_size < size)
        chunk->encoding = AQ_PARQUET_RLE_DICTIONARY;
    return AQ_OK;
}

static void put_plain(const struct aq_parquet_values *values, size_t at, struct aq_bytes *out)
{
    if (values->physical == AQ_PARQUET_BYTE_ARRAY)
        aq_bytes_u32(out, (uint32_t)values->bytes[at].size);
    aq_bytes_append(out, values->bytes[at].data, values->bytes[at].size);
}

static void put_bits(const uint8_t *bits, size_t count, struct aq_bytes *out)
{
    for (size_t from = 0; from < count; from += 8) {
        uint8_t byte = 0;
        for (size_t i = from; i < from + 8 && i < count; i++)
            byte |= (uint8_t)(bits[i] << (i - from));
        aq_bytes_u8(out, byte);
    }
}

static void put_codes(struct chunk *chunk, size_t from, size_t count)
{
    unsigned bit_width = aq_parquet_bit_width(chunk->dictionary.count - 1);
    aq_bytes_u8(&chunk->page, (uint8_t)bit_width);
    aq_parquet_hybrid_encode(chunk->dictionary.codes + from, count, bit_width, &chunk->page);
}

static void put_values(struct chunk *chunk, size_t from, size_t count)
{
    const struct aq_parquet_values *values = &chunk->values;
    if (chunk->encoding == AQ_PARQUET_RLE_DICTIONARY)
        put_codes(chunk, from, count);
    else if (chunk->encoding == AQ_PARQUET_DELTA_BINARY_PACKED)
        aq_parquet_delta_encode(values->ints + from, count, values->physical == AQ_PARQUET_INT32,
                                &chunk->page);
    else if (values->bits != NULL)
        put_bits(values->bits + from, count, &chunk->page);
    else
        for (size_t i = 0; i < count; i++)
            put_plain(values, from + i, &chunk->page);
}

/* Which rows have a value: a length, then ones and zeros. */
static enum aq_status put_levels(struct chunk *chunk, size_t from_row, size_t row_count)
{
    struct aq_bytes *page = &chunk->page;
    uint32_t *levels = aq_encoder_alloc(chunk->encoder, row_count, sizeof *levels);
    if (levels == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < row_count; i++)
        levels[i] = !aq_vector_is_null(chunk->vector, from_row + i);
    size_t at = page->size;
    aq_bytes_u32(page, 0);
    aq_parquet_hybrid_encode(levels, row_count, 1, page);
    AQ_TRY(aq_bytes_status(page));
    aq_bytes_patch_u32(page, at, (uint32_t)(page->size - at - sizeof(uint32_t)));
    return AQ_OK;
}

static void put_page_header(struct chunk *chunk, enum aq_parquet_page type, size_t count,
                            struct aq_slice packed)
{
    struct aq_thrift_writer header = {.out = chunk->pages};
    bool data = type == AQ_PARQUET_DATA_PAGE;
    aq_thrift_begin(&header);
    aq_thrift_field_int(&header, 1, AQ_THRIFT_I32, type);
    aq_thrift_field_int(&header, 2, AQ_THRIFT_I32, (int64_t)chunk->page.size);
    aq_thrift_field_int(&header, 3, AQ_THRIFT_I32, (int64_t)packed.size);
    aq_thrift_field_int(&header, 4, AQ_THRIFT_I32, (int32_t)crc32_z(0, packed.data, packed.size));
    aq_thrift_field_struct(&header, data ? 5 : 7);
    aq_thrift_field_int(&header, 1, AQ_THRIFT_I32, (int64_t)count);
    aq_thrift_field_int(&header, 2, AQ_THRIFT_I32, data ? chunk->encoding : AQ_PARQUET_PLAIN);
    if (data) {
        aq_thrift_field_int(&header, 3, AQ_THRIFT_I32, AQ_PARQUET_RLE); /* definition levels */
        aq_thrift_field_int(&header, 4, AQ_THRIFT_I32, AQ_PARQUET_RLE); /* repetition levels */
    }
    aq_thrift_end(&header);
    aq_thrift_end(&header);
}

/* Compress `page` and append it behind its header. `count`: of its rows or entries. */
static enum aq_status put_page(struct chunk *chunk, enum aq_parquet_page type, size_t count)
{
    struct aq_encoder *encoder = chunk->encoder;
    AQ_TRY(aq_bytes_status(&chunk->page));
    if (chunk->page.size > INT32_MAX)
        return AQ_LIMIT;
    if (encoder->zstd == NULL)
        encoder->zstd = ZSTD_createCCtx();
    size_t bound = ZSTD_compressBound(chunk->page.size);
    uint8_t *packed = aq_encoder_alloc(encoder, bound, 1);
    if (encoder->zstd == NULL || packed == NULL)
        return AQ_NO_MEMORY;
    size_t size = ZSTD_compressCCtx(encoder->zstd, packed, bound, chunk->page.data,
                                    chunk->page.size, ZSTD_LEVEL);
    if (ZSTD_isError(size))
        return AQ_NO_MEMORY;
    size_t begin = chunk->pages->size;
    put_page_header(chunk, type, count, aq_slice_make(packed, size));
    chunk->raw_bytes += chunk->pages->size - begin + chunk->page.size;
    aq_bytes_append(chunk->pages, packed, size);
    aq_bytes_clear(&chunk->page);
    return aq_bytes_status(chunk->pages);
}

static enum aq_status put_dictionary(struct chunk *chunk)
{
    const struct aq_numbers *dictionary = &chunk->dictionary;
    aq_bytes_clear(&chunk->page);
    for (size_t i = 0; i < dictionary->count; i++)
        put_plain(&chunk->values, dictionary->firsts[i], &chunk->page);
    return put_page(chunk, AQ_PARQUET_DICTIONARY_PAGE, dictionary->count);
}

/* The rows of the page that begins at `row`, whose values begin at `value`. */
static size_t page_rows(const struct chunk *chunk, size_t row, size_t value, size_t *value_count)
{
    const struct aq_vector *vector = chunk->vector;
    size_t bytes = 0;
    size_t end = row;
    *value_count = 0;
    while (end < vector->row_count && end - row < PAGE_ROWS_MAX && bytes < PAGE_BYTES_MAX) {
        if (aq_vector_is_null(vector, end++))
            continue;
        if (chunk->values.bits == NULL)
            bytes += chunk->values.bytes[value + *value_count].size;
        ++*value_count;
    }
    return end - row;
}

static enum aq_status put_data_pages(struct chunk *chunk)
{
    size_t value = 0;
    for (size_t row = 0; row < chunk->vector->row_count;) {
        size_t value_count;
        size_t row_count = page_rows(chunk, row, value, &value_count);
        aq_bytes_clear(&chunk->page);
        AQ_TRY(put_levels(chunk, row, row_count));
        put_values(chunk, value, value_count);
        AQ_TRY(put_page(chunk, AQ_PARQUET_DATA_PAGE, row_count));
        row += row_count;
        value += value_count;
    }
    return AQ_OK;
}

static void put_statistics(const struct chunk *chunk, struct aq_thrift_writer *meta)
{
    const struct aq_parquet_values *values = &chunk->values;
    aq_thrift_field_struct(meta, 12);
    aq_thrift_field_int(meta, 3, AQ_THRIFT_I64,
                        (int64_t)(chunk->vector->row_count - values->count));
    if (values->has_range) {
        aq_thrift_field_binary(meta, 5, values->max);
        aq_thrift_field_binary(meta, 6, values->min);
        aq_thrift_field_bool(meta, 7, true); /* both are values, not bounds alone */
        aq_thrift_field_bool(meta, 8, true);
    }
    aq_thrift_end(meta);
}

static void put_meta(const struct chunk *chunk, const char *name, size_t dictionary_size,
                     size_t size, struct aq_thrift_writer *meta)
{
    bool coded = chunk->encoding == AQ_PARQUET_RLE_DICTIONARY;
    aq_thrift_field_struct(meta, 3);
    aq_thrift_field_int(meta, 1, AQ_THRIFT_I32, chunk->values.physical);
    aq_thrift_field_list(meta, 2, AQ_THRIFT_I32, coded ? 3 : 2);
    aq_thrift_element_int(meta, chunk->encoding);
    aq_thrift_element_int(meta, AQ_PARQUET_RLE);
    if (coded)
        aq_thrift_element_int(meta, AQ_PARQUET_PLAIN);
    aq_thrift_field_list(meta, 3, AQ_THRIFT_BINARY, 1);
    aq_thrift_element_binary(meta, aq_slice_of(name));
    aq_thrift_field_int(meta, 4, AQ_THRIFT_I32, AQ_PARQUET_ZSTD);
    aq_thrift_field_int(meta, 5, AQ_THRIFT_I64, (int64_t)chunk->vector->row_count);
    aq_thrift_field_int(meta, 6, AQ_THRIFT_I64, (int64_t)chunk->raw_bytes);
    aq_thrift_field_int(meta, 7, AQ_THRIFT_I64, (int64_t)size);
    aq_thrift_field_int(meta, 9, AQ_THRIFT_I64, (int64_t)(chunk->offset + dictionary_size));
    if (coded)
        aq_thrift_field_int(meta, 11, AQ_THRIFT_I64, (int64_t)chunk->offset);
    put_statistics(chunk, meta);
    aq_thrift_end(meta);
}

enum aq_status aq_parquet_chunk_encode(struct aq_encoder *encoder, const struct aq_vector *vector,
                                       const char *name, uint64_t offset, struct aq_bytes *pages,
                                       struct aq_thrift_writer *meta, uint64_t *raw_bytes,
                                       struct aq_error *err)
{
    struct chunk chunk = {.encoder = encoder, .vector = vector, .pages = pages, .offset = offset};
    size_t begin = pages->size;
    size_t dictionary_size = 0;
    aq_arena_reset(&encoder->scratch);
    enum aq_status status = aq_parquet_values_of(vector, &encoder->scratch, &chunk.values);
    if (status >= 0)
        status = choose_encoding(&chunk);
    if (status >= 0 && chunk.encoding == AQ_PARQUET_RLE_DICTIONARY) {
        status = put_dictionary(&chunk);
        dictionary_size = pages->size - begin;
    }
    if (status >= 0)
        status = put_data_pages(&chunk);
    aq_bytes_deinit(&chunk.page);
    if (status == AQ_LIMIT)
        return aq_error_set(err, status,
                            "column '%s' holds a value that Parquet cannot: days "
                            "beyond 32 bits, or more than 2 GiB",
                            name);
    if (status < 0)
        return aq_error_set(err, status, "writing column '%s': %s", name, aq_status_text(status));
    put_meta(&chunk, name, dictionary_size, pages->size - begin, meta);
    *raw_bytes += chunk.raw_bytes;
    return AQ_OK;
}
