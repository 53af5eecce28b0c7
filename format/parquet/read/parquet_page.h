/* A page of a column chunk, uncompressed: between parquet_page.c, which loads it, and parquet_cursor.c. */
#ifndef AQ_FORMAT_PARQUET_PAGE_H
#define AQ_FORMAT_PARQUET_PAGE_H

#include "format/parquet/read/parquet_read.h"

struct aq_parquet_page_head {
    uint32_t type;
    uint32_t raw_bytes;
    uint32_t stored_bytes;
    uint32_t value_count; /* nulls among them */
    uint32_t encoding;
    uint32_t level_encoding;
    uint32_t level_bytes; /* V2: of definition levels, which are not compressed */
    uint32_t repetition_bytes;
    bool is_compressed;
    bool has_checksum; /* of the bytes as stored */
    uint32_t checksum;
};

/** A buffer whose size counts against a limit. */
struct aq_parquet_buffer {
    uint8_t *data;
    size_t capacity;
};

/** Pages of one chunk, in turn. */
struct aq_parquet_pages {
    const struct aq_parquet_input *input;
    const struct aq_parquet_leaf *leaf;
    enum aq_parquet_codec codec;
    uint64_t offset; /* of the next page */
    uint64_t end;
    uint64_t page_offset; /* of the present one, for messages */
    size_t *left;         /* memory that may still be taken */
    struct aq_parquet_buffer stored;
};

/** Room for `size` bytes; what was there is lost. AQ_LIMIT, AQ_NO_MEMORY. */
enum aq_status aq_parquet_buffer_need(struct aq_parquet_pages *pages,
                                      struct aq_parquet_buffer *buffer, size_t size,
                                      struct aq_error *err) AQ_RESULT;
void aq_parquet_buffer_free(struct aq_parquet_pages *pages, struct aq_parquet_buffer *buffer);

/** The next page: its head, and its bytes in `raw`. AQ_END behind the last one. */
enum aq_status aq_parquet_page_next(struct aq_parquet_pages *pages,
                                    struct aq_parquet_page_head *head,
                                    struct aq_parquet_buffer *raw, struct aq_error *err) AQ_RESULT;

/** AQ_CORRUPT at the present page, with the column's name. */
enum aq_status aq_parquet_page_corrupt(const struct aq_parquet_pages *pages, const char *why,
                                       struct aq_error *err);

#endif
