/* Writing FlatBuffers, forwards: a table comes first, what it leads to behind it.
 * @source Google, "FlatBuffers internals".
 *
 * Everything is appended to bytes that begin with the buffer, so that positions in them are positions in it. */
#ifndef AQ_FORMAT_FLATBUFFER_H
#define AQ_FORMAT_FLATBUFFER_H

#include "format/base/bytes.h"

#define AQ_FLAT_FIELDS_MAX 8

/** A field of a table: a scalar, or (size 4, value 0) the place of an offset that is set when its target is appended. */
struct aq_flat_field {
    unsigned id;   /* < AQ_FLAT_FIELDS_MAX, ascending */
    unsigned size; /* 1, 2, 4 or 8 */
    uint64_t value;
};

/** Begin a buffer; gives the place of the offset to its root. */
size_t aq_flat_begin(struct aq_bytes *out);
/** Append a table. @param place  Of the offset that leads to it. @param places  One for each field. */
void aq_flat_table(struct aq_bytes *out, size_t place, const struct aq_flat_field *fields,
                   size_t field_count, size_t *places);
void aq_flat_string(struct aq_bytes *out, size_t place, struct aq_slice text);
/** Append the head of a vector; its elements, aligned to `alignment`, follow by the caller. */
void aq_flat_vector(struct aq_bytes *out, size_t place, size_t count, size_t alignment);
/** The same of offsets to tables or strings: their places are *first, *first + 4, ... */
void aq_flat_offsets(struct aq_bytes *out, size_t place, size_t count, size_t *first);

#endif
