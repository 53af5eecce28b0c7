/* The pieces of Arrow's IPC formats, as bytes: between arrow_write.c and arrow_schema.c, arrow_batch.c. */
#ifndef AQ_FORMAT_ARROW_MESSAGE_H
#define AQ_FORMAT_ARROW_MESSAGE_H

#include "format/arrow/flatbuffer.h"
#include "format/table/schema.h"

#define AQ_ARROW_VERSION 4 /* V5 */
#define AQ_ARROW_ALIGNMENT 8

enum aq_arrow_header { AQ_ARROW_SCHEMA = 1, AQ_ARROW_RECORD_BATCH = 3 };

/** Where a record batch lies, for the footer: as the struct Block of the format. */
struct aq_arrow_block {
    int64_t offset;
    int32_t head_bytes;
    int32_t zero;
    int64_t body_bytes;
};

/** Append the table Schema. AQ_UNSUPPORTED naming the column that is of a type that is not written. */
enum aq_status aq_arrow_schema(const struct aq_column *columns, size_t column_count, size_t place,
                               struct aq_bytes *out, struct aq_error *err) AQ_RESULT;

/** Begin a message; `header` gives the place of the offset to its header. */
void aq_arrow_message(enum aq_arrow_header type, uint64_t body_bytes, struct aq_bytes *out,
                      size_t *header);

/**
 * A record batch: the values as Arrow lays them out in `body`, and the message in `head`. Both are replaced.
 * @return AQ_LIMIT for texts of 2 GiB in all, or a date outside of Arrow's 32 bits of days.
 */
enum aq_status aq_arrow_batch(const struct aq_batch *rows, struct aq_bytes *head,
                              struct aq_bytes *body, struct aq_error *err) AQ_RESULT;

#endif
