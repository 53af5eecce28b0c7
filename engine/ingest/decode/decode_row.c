/* Step 2 of a message's way: fields of one message to one row, or one reject.
 *
 * Happy path: for every column the first origin that has a value is chosen, joined if it is a template,
 * and typed; when all columns have their values the row is appended to the vectors at once.
 * Failures: the first column that cannot be taken makes the whole message a reject, with the column, the
 * path and the value in the reason; only memory can run out here. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/ingest/decode/message.h"

void aq_decoder_set_feed(struct aq_decoder *decoder, uint64_t feed_id, int64_t stamp_us)
{
    decoder->feed_id = feed_id;
    decoder->stamp_us = stamp_us;
}

void aq_decoder_clear(struct aq_decoder *decoder)
{
    aq_batch_clear(&decoder->rows);
    aq_batch_clear(&decoder->rejects);
}

enum aq_status aq_decoder_move_rows(struct aq_decoder *decoder, struct aq_decoder *from)
{
    AQ_TRY(aq_batch_move_rows(&decoder->rows, &from->rows));
    AQ_TRY(aq_batch_move_rows(&decoder->rejects, &from->rejects));
    decoder->unknown_field_count += from->unknown_field_count;
    from->unknown_field_count = 0;
    return AQ_OK;
}

size_t aq_decoder_size_bytes(const struct aq_decoder *decoder)
{
    return 8 * (decoder->rows.row_count * decoder->rows.column_count +
                decoder->rejects.row_count * decoder->rejects.column_count) +
           decoder->rows.arena.used_bytes + decoder->rejects.arena.used_bytes;
}

static bool has_value(const struct aq_column_plan *plan, const struct aq_field *field)
{
    if (field->kind == AQ_FIELD_ABSENT || field->kind == AQ_FIELD_NULL)
        return false;
    if (field->kind == AQ_FIELD_TIME)
        return true;
    for (size_t i = 0; i < plan->config->null_value_count; i++) {
        if (aq_slice_equal(field->text, plan->config->null_values[i]))
            return false;
    }
    return true;
}

static void append_time(struct aq_bytes *text, int64_t time_us)
{
    char formatted[64];
    size_t size = aq_time_format(time_us, aq_zone_utc(), formatted, sizeof formatted);
    aq_bytes_append(text, formatted, size);
}

/* Texts and fields in a row; a part without a value leaves the whole without one. */
static void join(struct aq_decoder *decoder, const struct aq_column_plan *plan,
                 const struct aq_column_origin *origin, struct aq_field *joined)
{
    struct aq_bytes *text = &decoder->scratch;
    enum aq_field_kind kind = AQ_FIELD_TEXT;
    aq_bytes_clear(text);
    *joined = (struct aq_field){.kind = AQ_FIELD_ABSENT};
    for (size_t i = 0; i < origin->part_count; i++) {
        const struct aq_origin_part *part = &origin->parts[i];
        if (part->field == SIZE_MAX) {
            aq_bytes_append(text, part->text.data, part->text.size);
            continue;
        }
        const struct aq_field *field = &decoder->fields[part->field];
        if (!has_value(plan, field))
            return;
        if (field->kind == AQ_FIELD_TIME)
            append_time(text, field->time_us);
        else
            aq_bytes_append(text, field->text.data, field->text.size);
        if (field->kind == AQ_FIELD_BYTES)
            kind = AQ_FIELD_BYTES;
    }
    joined->kind = kind;
    joined->text = aq_bytes_view(text);
}

/* The field of the first origin that has a value, or NULL. `made` is storage for what is joined. */
static const struct aq_field *choose(struct aq_decoder *decoder, const struct aq_column_plan *plan,
                                     struct aq_field *made, const struct aq_column_origin **origin)
{
    for (size_t i = 0; i < plan->origin_count; i++) {
        const struct aq_field *field = made;
        *origin = &plan->origins[i];
        if ((*origin)->kind == AQ_PATH_TEMPLATE)
            join(decoder, plan, *origin, made);
        else if ((*origin)->kind == AQ_PATH_REST)
            field = &decoder->rest;
        else
            field = &decoder->fields[(*origin)->field];
        if (has_value(plan, field))
            return field;
    }
    return NULL;
}

static enum aq_status describe(const struct aq_column_plan *plan,
                               const struct aq_column_origin *origin, char *reason)
{
    char why[AQ_REASON_BYTES_MAX / 2];
    snprintf(why, sizeof why, "%.500s", reason);
    snprintf(reason, AQ_REASON_BYTES_MAX, "column '%.128s' (%.*s): %s", plan->column->name,
             (int)(origin->path.size < 200 ? origin->path.size : 200),
             (const char *)origin->path.data, why);
    return AQ_REJECT;
}

/* On AQ_REJECT the decoder's reject_class and `reason` say why. */
static enum aq_status fill_value(struct aq_decoder *decoder, const struct aq_column_plan *plan,
                                 struct aq_value *value, char *reason)
{
    const struct aq_column_origin *origin;
    struct aq_field made;
    if (plan->config == NULL) {
        value->is_null = true;
        return AQ_OK;
    }
    const struct aq_field *field = choose(decoder, plan, &made, &origin);
    if (field == NULL) {
        *value = plan->default_value;
        if (!value->is_null || !plan->not_null)
            return AQ_OK;
        snprintf(reason, AQ_REASON_BYTES_MAX, "absent or null, but the column needs a value");
        decoder->reject_class = AQ_REJECT_REQUIRED;
        return describe(plan, &plan->origins[0], reason);
    }
    decoder->reject_class = AQ_REJECT_TYPE;
    enum aq_status status = aq_value_convert(plan, field, &decoder->rows.arena, value, reason);
    return status == AQ_REJECT ? describe(plan, origin, reason) : status;
}

static enum aq_status append_value(struct aq_vector *vector, const struct aq_value *value)
{
    if (value->is_null)
        return aq_vector_append_null(vector);
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_INT:
        return aq_vector_append_int(vector, value->integer);
    case AQ_PHYSICAL_DOUBLE:
        return aq_vector_append_double(vector, value->real);
    default:
        return aq_vector_append_slice(vector, value->slice);
    }
}

static enum aq_status append_system(const struct aq_decoder *decoder, struct aq_batch *batch,
                                    uint64_t ordinal)
{
    struct aq_vector *system = &batch->columns[batch->column_count - AQ_SYSTEM_COLUMN_COUNT];
    AQ_TRY(aq_vector_append_int(&system[AQ_SYSTEM_FEED], (int64_t)decoder->feed_id));
    AQ_TRY(aq_vector_append_int(&system[AQ_SYSTEM_ORDINAL], (int64_t)ordinal));
    AQ_TRY(aq_vector_append_int(&system[AQ_SYSTEM_STAMP], decoder->stamp_us));
    batch->row_count++;
    return AQ_OK;
}

enum aq_status aq_decoder_settle(struct aq_decoder *decoder, uint64_t ordinal,
                                 struct aq_slice message)
{
    char reason[AQ_REASON_BYTES_MAX];
    size_t column_count = decoder->schema->column_count;
    if (decoder->when != NULL && !aq_decoder_accepts(decoder))
        return AQ_OK;
    for (size_t i = 0; i < column_count; i++) {
        enum aq_status status =
            fill_value(decoder, &decoder->plans[i], &decoder->values[i], reason);
        if (status == AQ_REJECT)
            return aq_decoder_reject(decoder, decoder->reject_class, ordinal, message, "%s",
                                     reason);
        AQ_TRY(status);
    }
    AQ_TRY(aq_bytes_status(&decoder->scratch));
    for (size_t i = 0; i < column_count; i++)
        AQ_TRY(append_value(&decoder->rows.columns[i], &decoder->values[i]));
    return append_system(decoder, &decoder->rows, ordinal);
}

void aq_long_message_reason(uint64_t size, const struct aq_hash128 *hash, char *reason,
                            size_t reason_size)
{
    snprintf(reason, reason_size,
             "longer than %zu MiB: %" PRIu64 " bytes with the XXH3-128 %016" PRIx64 "%016" PRIx64
             ", of which the first %zu KiB are kept",
             AQ_RECORD_BYTES_MAX >> 20, size, __builtin_bswap64(aq_load_u64(hash->bytes)),
             __builtin_bswap64(aq_load_u64(hash->bytes + 8)), AQ_REJECT_HEAD_BYTES >> 10);
}

static enum aq_status append_copy(struct aq_batch *batch, size_t column, struct aq_slice bytes)
{
    void *copy = aq_arena_copy(&batch->arena, bytes.data, bytes.size);
    if (copy == NULL)
        return AQ_NO_MEMORY;
    return aq_vector_append_slice(&batch->columns[column], aq_slice_make(copy, bytes.size));
}

/* Cut behind the last whole character: a reason is text. */
static size_t whole_characters(const char *text, size_t size)
{
    if (size < AQ_REASON_BYTES_MAX)
        return size;
    size = AQ_REASON_BYTES_MAX - 1;
    while (size > 0 && ((uint8_t)text[size - 1] & 0xc0) == 0x80)
        size--;
    return size > 0 && (uint8_t)text[size - 1] >= 0xc0 ? size - 1 : size;
}

enum aq_status aq_decoder_reject(struct aq_decoder *decoder, enum aq_reject_class reject_class,
                                 uint64_t ordinal, struct aq_slice message, const char *format, ...)
{
    char reason[AQ_REASON_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    size_t size = whole_characters(reason, length < 0 ? 0 : (size_t)length);
    struct aq_batch *rejects = &decoder->rejects;
    struct aq_vector *columns = rejects->columns;
    AQ_TRY(append_copy(rejects, AQ_REJECT_SOURCE, decoder->source));
    decoder->reject_class = reject_class;
    AQ_TRY(decoder->message == NULL
               ? aq_vector_append_null(&columns[AQ_REJECT_PARTITION])
               : aq_vector_append_int(&columns[AQ_REJECT_PARTITION], decoder->message->partition));
    AQ_TRY(aq_vector_append_int(&columns[AQ_REJECT_OFFSET], (int64_t)ordinal));
    AQ_TRY(aq_vector_append_int(&columns[AQ_REJECT_ARRIVAL], decoder->stamp_us));
    AQ_TRY(append_copy(rejects, AQ_REJECT_REASON, aq_slice_make(reason, size)));
    AQ_TRY(append_copy(rejects, AQ_REJECT_BYTES, message));
    return append_system(decoder, rejects, ordinal);
}
