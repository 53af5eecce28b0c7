/* A record batch: of each column a bitmap of its values that are there, offsets of texts, the values.
 *
 * Buffers begin at multiples of eight bytes. Failures: memory; more than 2 GiB of texts, since offsets have 32 bits; a
 * date whose days do not fit 32 bits. */
#include "format/arrow/arrow_message.h"

/* As the structs FieldNode and Buffer of the format. */
struct node {
    int64_t row_count;
    int64_t null_count;
};
struct buffer {
    int64_t offset;
    int64_t size;
};

struct layout {
    struct aq_bytes *body;
    struct aq_bytes nodes;
    struct aq_bytes buffers;
};

static size_t begin_buffer(struct layout *layout)
{
    aq_bytes_align(layout->body, AQ_ARROW_ALIGNMENT);
    return layout->body->size;
}

static void end_buffer(struct layout *layout, size_t begin)
{
    struct buffer buffer = {(int64_t)begin, (int64_t)(layout->body->size - begin)};
    aq_bytes_append(&layout->buffers, &buffer, sizeof buffer);
}

static void put_bit(struct aq_bytes *out, size_t row, bool bit)
{
    if (row % 8 == 0)
        aq_bytes_u8(out, bit);
    else if (bit && !out->failed)
        out->data[out->size - 1] |= (uint8_t)(1u << row % 8);
}

/* Left empty where no row is null. */
static void put_validity(struct layout *layout, const struct aq_vector *vector)
{
    struct node node = {.row_count = (int64_t)vector->row_count};
    size_t begin = begin_buffer(layout);
    for (size_t row = 0; row < vector->row_count; row++)
        node.null_count += aq_vector_is_null(vector, row);
    for (size_t row = 0; node.null_count > 0 && row < vector->row_count; row++)
        put_bit(layout->body, row, !aq_vector_is_null(vector, row));
    end_buffer(layout, begin);
    aq_bytes_append(&layout->nodes, &node, sizeof node);
}

static void put_value(const struct aq_vector *vector, size_t row, struct aq_bytes *out)
{
    bool null = aq_vector_is_null(vector, row);
    if (vector->type == AQ_TYPE_BOOLEAN) {
        put_bit(out, row, !null && vector->ints[row] != 0);
    } else if (vector->type == AQ_TYPE_REAL) {
        float real = null ? 0 : (float)vector->doubles[row];
        aq_bytes_append(out, &real, sizeof real);
    } else if (vector->type == AQ_TYPE_INTEGER || vector->type == AQ_TYPE_DATE) {
        aq_bytes_u32(out, null ? 0 : (uint32_t)vector->ints[row]);
    } else { /* doubles and 64-bit integers alike */
        aq_bytes_u64(out, null ? 0 : (uint64_t)vector->ints[row]);
    }
}

static enum aq_status put_values(struct layout *layout, const struct aq_vector *vector)
{
    size_t begin = begin_buffer(layout);
    bool narrow = vector->type == AQ_TYPE_DATE;
    for (size_t row = 0; row < vector->row_count; row++) {
        if (narrow && !aq_vector_is_null(vector, row) &&
            vector->ints[row] != (int32_t)vector->ints[row])
            return AQ_LIMIT;
        put_value(vector, row, layout->body);
    }
    end_buffer(layout, begin);
    return AQ_OK;
}

static enum aq_status put_texts(struct layout *layout, const struct aq_vector *vector)
{
    size_t begin = begin_buffer(layout);
    uint64_t end = 0;
    aq_bytes_u32(layout->body, 0);
    for (size_t row = 0; row < vector->row_count; row++) {
        end += aq_vector_is_null(vector, row) ? 0 : vector->slices[row].size;
        if (end > INT32_MAX)
            return AQ_LIMIT;
        aq_bytes_u32(layout->body, (uint32_t)end);
    }
    end_buffer(layout, begin);
    begin = begin_buffer(layout);
    for (size_t row = 0; row < vector->row_count; row++)
        if (!aq_vector_is_null(vector, row))
            aq_bytes_append(layout->body, vector->slices[row].data, vector->slices[row].size);
    end_buffer(layout, begin);
    return AQ_OK;
}

static enum aq_status put_columns(struct layout *layout, const struct aq_batch *rows)
{
    for (size_t i = 0; i < rows->column_count; i++) {
        const struct aq_vector *vector = &rows->columns[i];
        put_validity(layout, vector);
        if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
            AQ_TRY(put_texts(layout, vector));
        else
            AQ_TRY(put_values(layout, vector));
    }
    aq_bytes_align(layout->body, AQ_ARROW_ALIGNMENT);
    AQ_TRY(aq_bytes_status(&layout->nodes));
    AQ_TRY(aq_bytes_status(&layout->buffers));
    return aq_bytes_status(layout->body);
}

static void put_head(const struct layout *layout, size_t row_count, struct aq_bytes *head)
{
    struct aq_flat_field fields[] = {{0, 8, row_count}, {1, 4, 0}, {2, 4, 0}};
    size_t place;
    size_t places[3];
    aq_arrow_message(AQ_ARROW_RECORD_BATCH, layout->body->size, head, &place);
    aq_flat_table(head, place, fields, 3, places);
    aq_flat_vector(head, places[1], layout->nodes.size / sizeof(struct node), 8);
    aq_bytes_append(head, layout->nodes.data, layout->nodes.size);
    aq_flat_vector(head, places[2], layout->buffers.size / sizeof(struct buffer), 8);
    aq_bytes_append(head, layout->buffers.data, layout->buffers.size);
}

enum aq_status aq_arrow_batch(const struct aq_batch *rows, struct aq_bytes *head,
                              struct aq_bytes *body, struct aq_error *err)
{
    struct layout layout = {.body = body};
    aq_bytes_clear(body);
    enum aq_status status = put_columns(&layout, rows);
    if (status >= 0) {
        put_head(&layout, rows->row_count, head);
        status = aq_bytes_status(head);
    }
    aq_bytes_deinit(&layout.nodes);
    aq_bytes_deinit(&layout.buffers);
    if (status == AQ_LIMIT)
        return aq_error_set(
            err, status, "a value that Arrow cannot hold: days beyond 32 bits, or 2 GiB of text");
    return status < 0 ? aq_error_set(err, status, "no memory for a record batch") : AQ_OK;
}
