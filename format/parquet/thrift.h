/* Thrift's compact protocol, as far as Parquet's metadata needs it.
 * @source Apache Thrift, "Thrift Compact protocol encoding". */
#ifndef AQ_FORMAT_THRIFT_H
#define AQ_FORMAT_THRIFT_H

#include "format/base/bytes.h"

enum aq_thrift_type {
    AQ_THRIFT_STOP = 0,
    AQ_THRIFT_TRUE = 1,
    AQ_THRIFT_FALSE = 2,
    AQ_THRIFT_BYTE = 3,
    AQ_THRIFT_I16 = 4,
    AQ_THRIFT_I32 = 5,
    AQ_THRIFT_I64 = 6,
    AQ_THRIFT_DOUBLE = 7,
    AQ_THRIFT_BINARY = 8,
    AQ_THRIFT_LIST = 9,
    AQ_THRIFT_SET = 10,
    AQ_THRIFT_MAP = 11,
    AQ_THRIFT_STRUCT = 12,
};

#define AQ_THRIFT_DEPTH_MAX 16

/* Writing. Fields of a struct in ascending order of their ids; failures are those of `out`, sticky. */
struct aq_thrift_writer {
    struct aq_bytes *out;
    unsigned depth;
    int16_t last_ids[AQ_THRIFT_DEPTH_MAX]; /* of the structs that are open */
};

/** A struct that is the whole, or a list's next element; aq_thrift_end closes any. */
void aq_thrift_begin(struct aq_thrift_writer *writer);
void aq_thrift_field_struct(struct aq_thrift_writer *writer, int16_t id);
void aq_thrift_end(struct aq_thrift_writer *writer);
void aq_thrift_field_bool(struct aq_thrift_writer *writer, int16_t id, bool value);
/** `type` is AQ_THRIFT_I16, I32 or I64. */
void aq_thrift_field_int(struct aq_thrift_writer *writer, int16_t id, enum aq_thrift_type type,
                         int64_t value);
void aq_thrift_field_binary(struct aq_thrift_writer *writer, int16_t id, struct aq_slice value);
/** The elements follow: structs by aq_thrift_begin, others by the next two. */
void aq_thrift_field_list(struct aq_thrift_writer *writer, int16_t id, enum aq_thrift_type element,
                          size_t count);
void aq_thrift_element_int(struct aq_thrift_writer *writer, int64_t value);
void aq_thrift_element_binary(struct aq_thrift_writer *writer, struct aq_slice value);
/** A struct without fields: what unions of Parquet's logical types are made of. */
void aq_thrift_field_empty(struct aq_thrift_writer *writer, int16_t id);

/* Reading: over untrusted bytes; failures are those of the reader, sticky. */
struct aq_thrift_field {
    int16_t id; /* of the last field; 0 before the first */
    enum aq_thrift_type type;
};

/** The next field of a struct; false at its end and after a failure. Begin with a zero `field`. What the caller
 * does not take it must pass over by aq_thrift_skip. */
bool aq_thrift_next(struct aq_reader *reader, struct aq_thrift_field *field);
void aq_thrift_skip(struct aq_reader *reader, enum aq_thrift_type type);
/** The value of `field`; a type that does not fit is a failure. */
bool aq_thrift_bool(struct aq_reader *reader, const struct aq_thrift_field *field);
int64_t aq_thrift_int(struct aq_reader *reader, const struct aq_thrift_field *field);
/** The same, where only 0 .. INT32_MAX makes sense. */
uint32_t aq_thrift_u31(struct aq_reader *reader, const struct aq_thrift_field *field);
/** Borrowed from the reader's bytes. */
struct aq_slice aq_thrift_binary(struct aq_reader *reader, const struct aq_thrift_field *field);
/** The number of a list's elements, which follow: each takes >= 1 byte of what is left. */
size_t aq_thrift_list(struct aq_reader *reader, const struct aq_thrift_field *field,
                      enum aq_thrift_type element);
/** Whether `field` is a struct, whose fields follow; else a failure. */
bool aq_thrift_struct(struct aq_reader *reader, const struct aq_thrift_field *field);

#endif
