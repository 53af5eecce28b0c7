/* A Parquet file: magic, row groups, footer.
 *
 * Happy path: rows are copied into a batch; when it is full each of its columns becomes a chunk (parquet_chunk.c) that
 * goes to the sink at once. What the footer says of a row group is kept in its final bytes. No order of the rows is
 * claimed. Failures: the sink's, memory, values that the type cannot hold; then the file has no footer. */
#include "format/parquet/write/parquet_write.h"

#include <stdlib.h>

#include "format/parquet/write/parquet_chunk.h"

#define GROUP_ROWS_MAX ((size_t)1 << 20)
#define GROUP_BYTES_MAX ((size_t)64 << 20)
#define FORMAT_VERSION 2
#define ORDINAL_MAX INT16_MAX

struct aq_parquet_writer {
    struct aq_parquet_options options;
    struct aq_batch rows; /* of the row group that is being gathered */
    struct aq_encoder encoder;
    struct aq_bytes pages;  /* of one column */
    struct aq_bytes groups; /* RowGroup structs */
    size_t group_count;
    uint64_t row_count;
    uint64_t offset;
};

static enum aq_status give(struct aq_parquet_writer *writer, const void *data, size_t size,
                           struct aq_error *err)
{
    AQ_TRY(writer->options.sink(writer->options.sink_context, data, size, err));
    writer->offset += size;
    return AQ_OK;
}

static enum aq_status check_types(const struct aq_parquet_options *options, struct aq_error *err)
{
    enum aq_parquet_type physical;
    for (size_t i = 0; i < options->column_count; i++) {
        if (aq_parquet_physical(options->columns[i].type, &physical) < 0)
            return aq_error_set(err, AQ_UNSUPPORTED,
                                "column '%s' is of type %s, which Parquet has not: write %s::text",
                                options->columns[i].name, aq_type_name(options->columns[i].type),
                                options->columns[i].name);
    }
    return AQ_OK;
}

static enum aq_status begin(struct aq_parquet_writer *writer, struct aq_error *err)
{
    const struct aq_parquet_options *options = &writer->options;
    enum aq_status status =
        aq_columns_batch_init(options->columns, options->column_count, &writer->rows);
    if (status < 0)
        return aq_error_set(err, status, "no memory to write Parquet");
    return give(writer, AQ_PARQUET_MAGIC, AQ_PARQUET_MAGIC_BYTES, err);
}

enum aq_status aq_parquet_writer_create(const struct aq_parquet_options *options,
                                        struct aq_parquet_writer **writer, struct aq_error *err)
{
    AQ_TRY(check_types(options, err));
    *writer = calloc(1, sizeof **writer);
    if (*writer == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to write Parquet");
    (*writer)->options = *options;
    if (options->group_rows_max == 0)
        (*writer)->options.group_rows_max = GROUP_ROWS_MAX;
    if (options->group_bytes_max == 0)
        (*writer)->options.group_bytes_max = GROUP_BYTES_MAX;
    enum aq_status status = begin(*writer, err);
    if (status < 0) {
        aq_parquet_writer_destroy(*writer);
        *writer = NULL;
    }
    return status;
}

void aq_parquet_writer_destroy(struct aq_parquet_writer *writer)
{
    if (writer == NULL)
        return;
    aq_batch_deinit(&writer->rows);
    aq_encoder_deinit(&writer->encoder);
    aq_bytes_deinit(&writer->pages);
    aq_bytes_deinit(&writer->groups);
    free(writer);
}

static enum aq_status put_column(struct aq_parquet_writer *writer, size_t column,
                                 struct aq_thrift_writer *group, uint64_t *raw_bytes,
                                 struct aq_error *err)
{
    aq_bytes_clear(&writer->pages);
    aq_thrift_begin(group);
    aq_thrift_field_int(group, 2, AQ_THRIFT_I64, 0); /* file_offset, no longer in use */
    AQ_TRY(aq_parquet_chunk_encode(&writer->encoder, &writer->rows.columns[column],
                                   writer->options.columns[column].name, writer->offset,
                                   &writer->pages, group, raw_bytes, err));
    aq_thrift_end(group);
    return give(writer, writer->pages.data, writer->pages.size, err);
}

static enum aq_status put_group(struct aq_parquet_writer *writer, struct aq_error *err)
{
    struct aq_thrift_writer group = {.out = &writer->groups};
    uint64_t raw_bytes = 0;
    uint64_t begin = writer->offset;
    if (writer->rows.row_count == 0)
        return AQ_OK;
    aq_thrift_begin(&group);
    aq_thrift_field_list(&group, 1, AQ_THRIFT_STRUCT, writer->options.column_count);
    for (size_t i = 0; i < writer->options.column_count; i++)
        AQ_TRY(put_column(writer, i, &group, &raw_bytes, err));
    aq_thrift_field_int(&group, 2, AQ_THRIFT_I64, (int64_t)raw_bytes);
    aq_thrift_field_int(&group, 3, AQ_THRIFT_I64, (int64_t)writer->rows.row_count);
    aq_thrift_field_int(&group, 5, AQ_THRIFT_I64, (int64_t)begin);
    aq_thrift_field_int(&group, 6, AQ_THRIFT_I64, (int64_t)(writer->offset - begin));
    if (writer->group_count <= ORDINAL_MAX)
        aq_thrift_field_int(&group, 7, AQ_THRIFT_I16, (int64_t)writer->group_count);
    aq_thrift_end(&group);
    writer->group_count++;
    writer->row_count += writer->rows.row_count;
    aq_batch_clear(&writer->rows);
    return AQ_OK;
}

enum aq_status aq_parquet_writer_append(struct aq_parquet_writer *writer,
                                        const struct aq_batch *batch, struct aq_error *err)
{
    struct aq_batch *rows = &writer->rows;
    for (size_t row = 0; row < batch->row_count; row++) {
        if (aq_batch_append_row(rows, batch, row) < 0)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory for a row group");
        if (rows->row_count >= writer->options.group_rows_max ||
            aq_batch_size_bytes(rows) >= writer->options.group_bytes_max)
            AQ_TRY(put_group(writer, err));
    }
    return AQ_OK;
}

static void put_timestamp(struct aq_thrift_writer *schema, bool is_utc)
{
    aq_thrift_field_struct(schema, AQ_PARQUET_LOGICAL_TIMESTAMP);
    aq_thrift_field_bool(schema, 1, is_utc);
    aq_thrift_field_struct(schema, 2);
    aq_thrift_field_empty(schema, AQ_PARQUET_MICROS);
    aq_thrift_end(schema);
    aq_thrift_end(schema);
}

/* What older readers look for; -1: nothing. */
static int converted_type(enum aq_type type)
{
    switch (type) {
    case AQ_TYPE_TEXT:
        return AQ_PARQUET_CONVERTED_UTF8;
    case AQ_TYPE_JSON:
        return AQ_PARQUET_CONVERTED_JSON;
    case AQ_TYPE_DATE:
        return AQ_PARQUET_CONVERTED_DATE;
    case AQ_TYPE_TIMESTAMPTZ:
        return AQ_PARQUET_CONVERTED_TIMESTAMP_MICROS;
    default:
        return -1;
    }
}

static void put_logical_type(struct aq_thrift_writer *schema, enum aq_type type)
{
    if (converted_type(type) < 0 && type != AQ_TYPE_TIMESTAMP)
        return;
    aq_thrift_field_struct(schema, 10);
    if (type == AQ_TYPE_TEXT)
        aq_thrift_field_empty(schema, AQ_PARQUET_LOGICAL_STRING);
    else if (type == AQ_TYPE_JSON)
        aq_thrift_field_empty(schema, AQ_PARQUET_LOGICAL_JSON);
    else if (type == AQ_TYPE_DATE)
        aq_thrift_field_empty(schema, AQ_PARQUET_LOGICAL_DATE);
    else
        put_timestamp(schema, type == AQ_TYPE_TIMESTAMPTZ);
    aq_thrift_end(schema);
}

static enum aq_status put_schema(const struct aq_parquet_options *options,
                                 struct aq_thrift_writer *footer)
{
    aq_thrift_field_list(footer, 2, AQ_THRIFT_STRUCT, options->column_count + 1);
    aq_thrift_begin(footer);
    aq_thrift_field_binary(footer, 4, aq_slice_of("schema"));
    aq_thrift_field_int(footer, 5, AQ_THRIFT_I32, (int64_t)options->column_count);
    aq_thrift_end(footer);
    for (size_t i = 0; i < options->column_count; i++) {
        const struct aq_column *column = &options->columns[i];
        enum aq_parquet_type physical;
        AQ_TRY(aq_parquet_physical(column->type, &physical));
        aq_thrift_begin(footer);
        aq_thrift_field_int(footer, 1, AQ_THRIFT_I32, physical);
        aq_thrift_field_int(footer, 3, AQ_THRIFT_I32, AQ_PARQUET_OPTIONAL);
        aq_thrift_field_binary(footer, 4, aq_slice_of(column->name));
        if (converted_type(column->type) >= 0)
            aq_thrift_field_int(footer, 6, AQ_THRIFT_I32, converted_type(column->type));
        put_logical_type(footer, column->type);
        aq_thrift_end(footer);
    }
    return AQ_OK;
}

/* By the type of each column, which is what makes min_value and max_value mean anything. */
static void put_orders(const struct aq_parquet_options *options, struct aq_thrift_writer *footer)
{
    aq_thrift_field_list(footer, 7, AQ_THRIFT_STRUCT, options->column_count);
    for (size_t i = 0; i < options->column_count; i++) {
        aq_thrift_begin(footer);
        aq_thrift_field_empty(footer, 1);
        aq_thrift_end(footer);
    }
}

enum aq_status aq_parquet_writer_end(struct aq_parquet_writer *writer, struct aq_error *err)
{
    const struct aq_parquet_options *options = &writer->options;
    struct aq_bytes *bytes = &writer->pages;
    struct aq_thrift_writer footer = {.out = bytes};
    AQ_TRY(put_group(writer, err));
    aq_bytes_clear(bytes);
    aq_thrift_begin(&footer);
    aq_thrift_field_int(&footer, 1, AQ_THRIFT_I32, FORMAT_VERSION);
    AQ_TRY(put_schema(options, &footer));
    aq_thrift_field_int(&footer, 3, AQ_THRIFT_I64, (int64_t)writer->row_count);
    aq_thrift_field_list(&footer, 4, AQ_THRIFT_STRUCT, writer->group_count);
    aq_bytes_append(bytes, writer->groups.data, writer->groups.size);
    aq_thrift_field_binary(&footer, 6, aq_slice_of(options->created_by));
    put_orders(options, &footer);
    aq_thrift_end(&footer);
    aq_bytes_u32(bytes, (uint32_t)bytes->size);
    aq_bytes_chars(bytes, AQ_PARQUET_MAGIC);
    if (aq_bytes_status(bytes) < 0 || aq_bytes_status(&writer->groups) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for the footer");
    if (bytes->size > INT32_MAX)
        return aq_error_set(err, AQ_LIMIT, "the footer of so many row groups passes 2 GiB");
    return give(writer, bytes->data, bytes->size, err);
}
