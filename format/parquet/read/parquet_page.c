/* Pages: a head in thrift, then bytes, compressed or not.
 *
 * Happy path: the head is read with a few bytes more than it needs, again with more if it is long (it may hold statistics);
 * then the page is read, compared with its checksum if it has one, and decompressed into a buffer of just the size that the head says.
 * Failures: lengths beyond the chunk or the memory, codecs that are not there, damaged bytes. */
#include <stdlib.h>
#include <zlib.h>

#include "format/parquet/read/parquet_page.h"
#include "format/parquet/thrift.h"

#define HEAD_BYTES ((size_t)256)
#define HEAD_BYTES_MAX ((size_t)1 << 20)

enum aq_status aq_parquet_page_corrupt(const struct aq_parquet_pages *pages, const char *why,
                                       struct aq_error *err)
{
    return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)pages->page_offset, "column '%.*s': %s",
                           (int)pages->leaf->name.size, (const char *)pages->leaf->name.data, why);
}

void aq_parquet_buffer_free(struct aq_parquet_pages *pages, struct aq_parquet_buffer *buffer)
{
    *pages->left += buffer->capacity;
    free(buffer->data);
    *buffer = (struct aq_parquet_buffer){0};
}

enum aq_status aq_parquet_buffer_need(struct aq_parquet_pages *pages,
                                      struct aq_parquet_buffer *buffer, size_t size,
                                      struct aq_error *err)
{
    if (size <= buffer->capacity && buffer->data != NULL)
        return AQ_OK;
    aq_parquet_buffer_free(pages, buffer);
    size += size == 0;
    if (size > *pages->left)
        return aq_error_set_at(err, AQ_LIMIT, NULL, (int64_t)pages->page_offset,
                               "a page of column '%.*s' needs %zu bytes, %zu are left of "
                               "ingest.memory: raise it",
                               (int)pages->leaf->name.size, (const char *)pages->leaf->name.data,
                               size, *pages->left);
    buffer->data = malloc(size);
    if (buffer->data == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a page of %zu bytes", size);
    buffer->capacity = size;
    *pages->left -= size;
    return AQ_OK;
}

/* Data pages of both versions and dictionary pages: fields of one meaning have other ids. */
static void read_body(struct aq_reader *reader, int16_t kind, struct aq_parquet_page_head *head)
{
    struct aq_thrift_field field = {0};
    bool v2 = kind == 8;
    while (aq_thrift_next(reader, &field)) {
        if (field.id == 1)
            head->value_count = aq_thrift_u31(reader, &field);
        else if (field.id == (v2 ? 4 : 2))
            head->encoding = aq_thrift_u31(reader, &field);
        else if (kind == 5 && field.id == 3)
            head->level_encoding = aq_thrift_u31(reader, &field);
        else if (v2 && field.id == 5)
            head->level_bytes = aq_thrift_u31(reader, &field);
        else if (v2 && field.id == 6)
            head->repetition_bytes = aq_thrift_u31(reader, &field);
        else if (v2 && field.id == 7)
            head->is_compressed = aq_thrift_bool(reader, &field);
        else
            aq_thrift_skip(reader, field.type);
    }
}

static void read_checksum(struct aq_reader *reader, const struct aq_thrift_field *field,
                          struct aq_parquet_page_head *head)
{
    head->has_checksum = true;
    head->checksum = (uint32_t)aq_thrift_int(reader, field);
}

static void parse_head(struct aq_reader *reader, struct aq_parquet_page_head *head)
{
    struct aq_thrift_field field = {0};
    *head = (struct aq_parquet_page_head){.is_compressed = true, .level_encoding = AQ_PARQUET_RLE};
    while (aq_thrift_next(reader, &field)) {
        if (field.id == 1)
            head->type = aq_thrift_u31(reader, &field);
        else if (field.id == 2)
            head->raw_bytes = aq_thrift_u31(reader, &field);
        else if (field.id == 3)
            head->stored_bytes = aq_thrift_u31(reader, &field);
        else if (field.id == 4)
            read_checksum(reader, &field, head);
        else if ((field.id == 5 || field.id == 7 || field.id == 8) &&
                 aq_thrift_struct(reader, &field))
            read_body(reader, field.id, head);
        else
            aq_thrift_skip(reader, field.type);
    }
}

static enum aq_status read_head(struct aq_parquet_pages *pages, struct aq_parquet_page_head *head,
                                struct aq_error *err)
{
    for (size_t size = HEAD_BYTES;; size *= 16) {
        uint64_t there = pages->end - pages->offset;
        size_t taken = there < size ? (size_t)there : size;
        AQ_TRY(aq_parquet_buffer_need(pages, &pages->stored, taken, err));
        AQ_TRY(pages->input->read(pages->input->context, pages->offset, pages->stored.data, taken,
                                  err));
        struct aq_reader reader = aq_reader_make(aq_slice_make(pages->stored.data, taken));
        parse_head(&reader, head);
        if (!reader.failed) {
            pages->offset += reader.offset;
            return AQ_OK;
        }
        if (taken == there || size >= HEAD_BYTES_MAX)
            return aq_parquet_page_corrupt(pages, "the head of a page is malformed", err);
    }
}

static enum aq_status unpack(struct aq_parquet_pages *pages,
                             const struct aq_parquet_page_head *head, struct aq_parquet_buffer *raw,
                             struct aq_error *err)
{
    static const char *const codecs[] = {"UNCOMPRESSED", "SNAPPY", "GZIP",
                                         "LZO",          "BROTLI", "LZ4 (in Hadoop's framing)",
                                         "ZSTD",         "LZ4_RAW"};
    size_t plain = head->type == AQ_PARQUET_DATA_PAGE_V2
                       ? (size_t)head->level_bytes + head->repetition_bytes
                       : 0;
    if (plain > head->raw_bytes || plain > head->stored_bytes)
        return aq_parquet_page_corrupt(pages, "levels are said to be longer than their page", err);
    memcpy(raw->data, pages->stored.data, plain);
    struct aq_slice packed = aq_slice_make(pages->stored.data + plain, head->stored_bytes - plain);
    size_t raw_bytes = head->raw_bytes - plain;
    if (pages->codec == AQ_PARQUET_UNCOMPRESSED || !head->is_compressed) {
        if (packed.size != raw_bytes)
            return aq_parquet_page_corrupt(pages, "a page is not as long as it says", err);
        memcpy(raw->data + plain, packed.data, raw_bytes);
        return AQ_OK;
    }
    enum aq_status status =
        raw_bytes == 0 ? AQ_OK
                       : pages->input->unpack(pages->codec, packed, raw->data + plain, raw_bytes);
    if (status == AQ_UNSUPPORTED)
        return aq_error_set_at(err, status, NULL, (int64_t)pages->page_offset,
                               "column '%.*s' is compressed by %s, which is not read here: write "
                               "the file with zstd",
                               (int)pages->leaf->name.size, (const char *)pages->leaf->name.data,
                               pages->codec <= AQ_PARQUET_LZ4_RAW ? codecs[pages->codec]
                                                                  : "an unknown codec");
    if (status == AQ_CORRUPT)
        return aq_parquet_page_corrupt(pages, "a page does not decompress to its size", err);
    return status < 0
               ? aq_error_set(err, status, "decompressing a page: %s", aq_status_text(status))
               : AQ_OK;
}

enum aq_status aq_parquet_page_next(struct aq_parquet_pages *pages,
                                    struct aq_parquet_page_head *head,
                                    struct aq_parquet_buffer *raw, struct aq_error *err)
{
    do {
        if (pages->offset >= pages->end)
            return AQ_END;
        pages->page_offset = pages->offset;
        AQ_TRY(read_head(pages, head, err));
        if (head->stored_bytes > pages->end - pages->offset)
            return aq_parquet_page_corrupt(pages, "a page is longer than what is left", err);
        pages->offset += head->stored_bytes;
    } while (head->type == AQ_PARQUET_INDEX_PAGE);
    AQ_TRY(aq_parquet_buffer_need(pages, &pages->stored, head->stored_bytes, err));
    AQ_TRY(aq_parquet_buffer_need(pages, raw, head->raw_bytes, err));
    AQ_TRY(pages->input->read(pages->input->context, pages->offset - head->stored_bytes,
                              pages->stored.data, head->stored_bytes, err));
    if (head->has_checksum && crc32_z(0, pages->stored.data, head->stored_bytes) != head->checksum)
        return aq_parquet_page_corrupt(pages, "a page is damaged: its checksum is another", err);
    return unpack(pages, head, raw, err);
}
