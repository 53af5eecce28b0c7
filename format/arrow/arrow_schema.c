/* Arrow's schema: a table Field for each column, with its type. Failures: a type that is not written. */
#include "format/arrow/arrow_message.h"

/* Numbers of the union Type. */
enum arrow_type {
    ARROW_INT = 2,
    ARROW_FLOATING_POINT = 3,
    ARROW_BINARY = 4,
    ARROW_UTF8 = 5,
    ARROW_BOOL = 6,
    ARROW_DATE = 8,
    ARROW_TIMESTAMP = 10,
};
enum { PRECISION_SINGLE = 1, PRECISION_DOUBLE = 2 };
enum { DATE_DAY = 0, UNIT_MICROSECOND = 2 };

void aq_arrow_message(enum aq_arrow_header type, uint64_t body_bytes, struct aq_bytes *out,
                      size_t *header)
{
    size_t places[4];
    struct aq_flat_field fields[] = {
        {0, 2, AQ_ARROW_VERSION}, {1, 1, type}, {2, 4, 0}, {3, 8, body_bytes}};
    aq_bytes_clear(out);
    aq_flat_table(out, aq_flat_begin(out), fields, 4, places);
    *header = places[2];
}

static uint64_t type_number(enum aq_type type)
{
    switch (type) {
    case AQ_TYPE_BOOLEAN:
        return ARROW_BOOL;
    case AQ_TYPE_INTEGER:
    case AQ_TYPE_BIGINT:
        return ARROW_INT;
    case AQ_TYPE_REAL:
    case AQ_TYPE_DOUBLE:
        return ARROW_FLOATING_POINT;
    case AQ_TYPE_TEXT:
    case AQ_TYPE_JSON:
        return ARROW_UTF8;
    case AQ_TYPE_BYTEA:
        return ARROW_BINARY;
    case AQ_TYPE_DATE:
        return ARROW_DATE;
    case AQ_TYPE_TIMESTAMPTZ:
    case AQ_TYPE_TIMESTAMP:
        return ARROW_TIMESTAMP;
    case AQ_TYPE_INTERVAL:
        break;
    }
    return 0;
}

static void put_type(enum aq_type type, size_t place, struct aq_bytes *out)
{
    struct aq_flat_field integer[] = {{0, 4, type == AQ_TYPE_INTEGER ? 32 : 64}, {1, 1, true}};
    struct aq_flat_field real[] = {
        {0, 2, type == AQ_TYPE_REAL ? PRECISION_SINGLE : PRECISION_DOUBLE}};
    struct aq_flat_field date[] = {{0, 2, DATE_DAY}};
    struct aq_flat_field time[] = {{0, 2, UNIT_MICROSECOND}, {1, 4, 0}};
    size_t places[2];
    switch (type_number(type)) {
    case ARROW_INT:
        aq_flat_table(out, place, integer, 2, NULL);
        break;
    case ARROW_FLOATING_POINT:
        aq_flat_table(out, place, real, 1, NULL);
        break;
    case ARROW_DATE:
        aq_flat_table(out, place, date, 1, NULL);
        break;
    case ARROW_TIMESTAMP:
        aq_flat_table(out, place, time, type == AQ_TYPE_TIMESTAMPTZ ? 2 : 1, places);
        if (type == AQ_TYPE_TIMESTAMPTZ)
            aq_flat_string(out, places[1], aq_slice_of("UTC"));
        break;
    default:
        aq_flat_table(out, place, NULL, 0, NULL);
    }
}

static void put_pair(const char *key, const char *value, size_t place, struct aq_bytes *out)
{
    struct aq_flat_field fields[] = {{0, 4, 0}, {1, 4, 0}};
    size_t places[2];
    aq_flat_table(out, place, fields, 2, places);
    aq_flat_string(out, places[0], aq_slice_of(key));
    aq_flat_string(out, places[1], aq_slice_of(value));
}

/* JSON is a text that says what it holds: the extension type arrow.json. */
static void put_json_mark(size_t place, struct aq_bytes *out)
{
    size_t first;
    aq_flat_offsets(out, place, 2, &first);
    put_pair("ARROW:extension:name", "arrow.json", first, out);
    put_pair("ARROW:extension:metadata", "", first + sizeof(uint32_t), out);
}

static void put_field(const struct aq_column *column, size_t place, struct aq_bytes *out)
{
    bool json = column->type == AQ_TYPE_JSON;
    struct aq_flat_field fields[] = {{0, 4, 0}, {1, 1, true}, {2, 1, type_number(column->type)},
                                     {3, 4, 0}, {5, 4, 0},    {6, 4, 0}};
    size_t places[6];
    size_t no_child;
    aq_flat_table(out, place, fields, json ? 6 : 5, places);
    aq_flat_string(out, places[0], aq_slice_of(column->name));
    put_type(column->type, places[3], out);
    aq_flat_offsets(out, places[4], 0, &no_child);
    if (json)
        put_json_mark(places[5], out);
}

enum aq_status aq_arrow_schema(const struct aq_column *columns, size_t column_count, size_t place,
                               struct aq_bytes *out, struct aq_error *err)
{
    struct aq_flat_field fields[] = {{0, 2, 0}, {1, 4, 0}}; /* little-endian */
    size_t places[2];
    size_t first;
    aq_flat_table(out, place, fields, 2, places);
    aq_flat_offsets(out, places[1], column_count, &first);
    for (size_t i = 0; i < column_count; i++) {
        if (type_number(columns[i].type) == 0)
            return aq_error_set(err, AQ_UNSUPPORTED,
                                "column '%s' is of type %s, which is not written: write %s::text",
                                columns[i].name, aq_type_name(columns[i].type), columns[i].name);
        put_field(&columns[i], first + i * sizeof(uint32_t), out);
    }
    return AQ_OK;
}
