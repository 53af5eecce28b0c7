/* Thrift's compact protocol: writing. A field's header holds the distance to the id before it. */
#include <assert.h>

#include "format/parquet/thrift.h"

static void put_field(struct aq_thrift_writer *writer, int16_t id, enum aq_thrift_type type)
{
    int16_t *last = &writer->last_ids[writer->depth - 1];
    int distance = id - *last;
    assert(writer->depth > 0 && distance > 0);
    if (distance <= 15) {
        aq_bytes_u8(writer->out, (uint8_t)(distance << 4 | (int)type));
    } else {
        aq_bytes_u8(writer->out, (uint8_t)type);
        aq_bytes_varint_signed(writer->out, id);
    }
    *last = id;
}

void aq_thrift_begin(struct aq_thrift_writer *writer)
{
    assert(writer->depth < AQ_THRIFT_DEPTH_MAX);
    writer->last_ids[writer->depth++] = 0;
}

void aq_thrift_field_struct(struct aq_thrift_writer *writer, int16_t id)
{
    put_field(writer, id, AQ_THRIFT_STRUCT);
    aq_thrift_begin(writer);
}

void aq_thrift_end(struct aq_thrift_writer *writer)
{
    assert(writer->depth > 0);
    writer->depth--;
    aq_bytes_u8(writer->out, AQ_THRIFT_STOP);
}

void aq_thrift_field_empty(struct aq_thrift_writer *writer, int16_t id)
{
    aq_thrift_field_struct(writer, id);
    aq_thrift_end(writer);
}

void aq_thrift_field_bool(struct aq_thrift_writer *writer, int16_t id, bool value)
{
    put_field(writer, id, value ? AQ_THRIFT_TRUE : AQ_THRIFT_FALSE);
}

void aq_thrift_field_int(struct aq_thrift_writer *writer, int16_t id, enum aq_thrift_type type,
                         int64_t value)
{
    put_field(writer, id, type);
    aq_bytes_varint_signed(writer->out, value);
}

void aq_thrift_field_binary(struct aq_thrift_writer *writer, int16_t id, struct aq_slice value)
{
    put_field(writer, id, AQ_THRIFT_BINARY);
    aq_bytes_slice(writer->out, value);
}

void aq_thrift_field_list(struct aq_thrift_writer *writer, int16_t id, enum aq_thrift_type element,
                          size_t count)
{
    put_field(writer, id, AQ_THRIFT_LIST);
    if (count < 15) {
        aq_bytes_u8(writer->out, (uint8_t)(count << 4 | element));
    } else {
        aq_bytes_u8(writer->out, (uint8_t)(0xf0 | element));
        aq_bytes_varint(writer->out, count);
    }
}

void aq_thrift_element_int(struct aq_thrift_writer *writer, int64_t value)
{
    aq_bytes_varint_signed(writer->out, value);
}

void aq_thrift_element_binary(struct aq_thrift_writer *writer, struct aq_slice value)
{
    aq_bytes_slice(writer->out, value);
}
