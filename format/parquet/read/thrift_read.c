/* Thrift's compact protocol: reading. What is not known is passed over, to a bounded depth; every count
 * is bounded by the bytes that are left. */
#include "format/parquet/thrift.h"

bool aq_thrift_next(struct aq_reader *reader, struct aq_thrift_field *field)
{
    uint8_t head = aq_reader_u8(reader);
    if (reader->failed || head == AQ_THRIFT_STOP)
        return false;
    int64_t id = head >> 4 != 0 ? field->id + (head >> 4) : aq_reader_varint_signed(reader);
    if ((head & 15) == 0 || (head & 15) > AQ_THRIFT_STRUCT || id <= field->id || id > INT16_MAX)
        aq_reader_fail(reader);
    *field = (struct aq_thrift_field){(int16_t)id, (enum aq_thrift_type)(head & 15)};
    return !reader->failed;
}

static size_t list_head(struct aq_reader *reader, enum aq_thrift_type *element)
{
    uint8_t head = aq_reader_u8(reader);
    *element = (enum aq_thrift_type)(head & 15);
    size_t count = head >> 4 == 15 ? aq_reader_count(reader) : head >> 4;
    if (count > aq_reader_left(reader))
        aq_reader_fail(reader);
    return reader->failed ? 0 : count;
}

static void skip(struct aq_reader *reader, enum aq_thrift_type type, bool element, unsigned depth);

static void skip_list(struct aq_reader *reader, unsigned depth)
{
    enum aq_thrift_type type;
    size_t count = list_head(reader, &type);
    for (size_t i = 0; i < count && !reader->failed; i++)
        skip(reader, type, true, depth);
}

static void skip_map(struct aq_reader *reader, unsigned depth)
{
    size_t count = aq_reader_count(reader);
    if (count == 0)
        return;
    uint8_t types = aq_reader_u8(reader);
    for (size_t i = 0; i < count && !reader->failed; i++) {
        skip(reader, (enum aq_thrift_type)(types >> 4), true, depth);
        skip(reader, (enum aq_thrift_type)(types & 15), true, depth);
    }
}

static void skip(struct aq_reader *reader, enum aq_thrift_type type, bool element, unsigned depth)
{
    struct aq_thrift_field field = {0};
    if (depth == AQ_THRIFT_DEPTH_MAX) {
        aq_reader_fail(reader);
        return;
    }
    switch (type) {
    case AQ_THRIFT_TRUE:
    case AQ_THRIFT_FALSE: /* of a field, the type is the value */
        aq_reader_skip(reader, element ? 1 : 0);
        break;
    case AQ_THRIFT_BYTE:
        aq_reader_skip(reader, 1);
        break;
    case AQ_THRIFT_I16:
    case AQ_THRIFT_I32:
    case AQ_THRIFT_I64:
        aq_reader_varint(reader);
        break;
    case AQ_THRIFT_DOUBLE:
        aq_reader_skip(reader, 8);
        break;
    case AQ_THRIFT_BINARY:
        aq_reader_slice(reader);
        break;
    case AQ_THRIFT_LIST:
    case AQ_THRIFT_SET:
        skip_list(reader, depth + 1);
        break;
    case AQ_THRIFT_MAP:
        skip_map(reader, depth + 1);
        break;
    case AQ_THRIFT_STRUCT:
        while (aq_thrift_next(reader, &field))
            skip(reader, field.type, false, depth + 1);
        break;
    default:
        aq_reader_fail(reader);
    }
}

void aq_thrift_skip(struct aq_reader *reader, enum aq_thrift_type type)
{
    skip(reader, type, false, 0);
}

bool aq_thrift_bool(struct aq_reader *reader, const struct aq_thrift_field *field)
{
    if (field->type != AQ_THRIFT_TRUE && field->type != AQ_THRIFT_FALSE)
        aq_reader_fail(reader);
    return field->type == AQ_THRIFT_TRUE;
}

int64_t aq_thrift_int(struct aq_reader *reader, const struct aq_thrift_field *field)
{
    if (field->type < AQ_THRIFT_I16 || field->type > AQ_THRIFT_I64)
        aq_reader_fail(reader);
    return aq_reader_varint_signed(reader);
}

uint32_t aq_thrift_u31(struct aq_reader *reader, const struct aq_thrift_field *field)
{
    int64_t value = aq_thrift_int(reader, field);
    if (value < 0 || value > INT32_MAX)
        aq_reader_fail(reader);
    return reader->failed ? 0 : (uint32_t)value;
}

struct aq_slice aq_thrift_binary(struct aq_reader *reader, const struct aq_thrift_field *field)
{
    if (field->type != AQ_THRIFT_BINARY)
        aq_reader_fail(reader);
    return aq_reader_slice(reader);
}

size_t aq_thrift_list(struct aq_reader *reader, const struct aq_thrift_field *field,
                      enum aq_thrift_type element)
{
    enum aq_thrift_type found = element;
    if (field->type != AQ_THRIFT_LIST)
        aq_reader_fail(reader);
    size_t count = list_head(reader, &found);
    if (count > 0 && found != element)
        aq_reader_fail(reader);
    return reader->failed ? 0 : count;
}

bool aq_thrift_struct(struct aq_reader *reader, const struct aq_thrift_field *field)
{
    if (field->type != AQ_THRIFT_STRUCT)
        aq_reader_fail(reader);
    return !reader->failed;
}
