/* A Kafka message's way to a row: the format chooses what reads its value.
 *
 * Happy path: JSON is one value. CSV is one record (message_csv.c). Raw is read as if it had one member,
 * `value`, of the value's bytes. Beside the value stand key, headers, timestamp, partition and offset
 * (decode_field.c).
 * Failures: a message that is too long, or not of its format, is a reject; one without a value (a
 * tombstone) is passed over, except in raw, where its value is null. */
#include "engine/ingest/decode/message.h"

#include <stdlib.h>

#include "engine/ingest/decode/message_csv.h"

struct aq_message_decoder {
    struct aq_decoder *decoder;
    enum aq_source_format format;
    struct aq_json_decoder *json; /* of JSON; so are the next ones of their formats */
    struct aq_message_csv *csv;
    size_t value_field; /* RAW; SIZE_MAX: no path names it */
    struct aq_when *when;
};

static void find_value_field(struct aq_message_decoder *made)
{
    const struct aq_decoder *decoder = made->decoder;
    made->value_field = SIZE_MAX;
    for (size_t i = 0; i < decoder->field_count; i++) {
        const struct aq_path *path = decoder->paths[i];
        if (path->kind == AQ_PATH_VALUE && path->step_count == 1 &&
            aq_slice_equal(path->steps[0].member, aq_slice_of("value")))
            made->value_field = i;
    }
}

/* Its paths become fields behind those of the columns. */
static enum aq_status plan_when(struct aq_message_decoder *made, const char *text,
                                struct aq_error *err)
{
    struct aq_decoder *decoder = made->decoder;
    if (text == NULL)
        return AQ_OK;
    AQ_TRY(aq_when_parse(text, &made->when, err));
    size_t path_count = made->when->path_count;
    decoder->when_fields = aq_arena_alloc(&decoder->arena, path_count * sizeof(size_t));
    enum aq_status status = decoder->when_fields == NULL ? AQ_NO_MEMORY : AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < path_count; i++)
        status = aq_decoder_add_path(decoder, &made->when->paths[i], &decoder->when_fields[i]);
    if (status < 0)
        return aq_error_set(err, status, "making a message decoder: out of memory");
    decoder->when = made->when;
    return AQ_OK;
}

static void forget_when(struct aq_decoder *decoder)
{
    decoder->when = NULL;
    decoder->field_count = decoder->column_field_count;
    while (decoder->special_count > 0 &&
           decoder->specials[decoder->special_count - 1] >= decoder->field_count)
        decoder->special_count--;
}

static enum aq_status plan_format(struct aq_message_decoder *made, struct aq_error *err)
{
    if (made->format == AQ_FORMAT_CSV)
        return aq_message_csv_create(made->decoder, &made->csv, err);
    if (made->format != AQ_FORMAT_RAW)
        return aq_json_decoder_create(made->decoder, &made->json, err);
    find_value_field(made);
    return AQ_OK;
}

enum aq_status aq_message_decoder_create(struct aq_decoder *decoder,
                                         const struct aq_source_config *source,
                                         struct aq_message_decoder **created, struct aq_error *err)
{
    struct aq_message_decoder *made = calloc(1, sizeof *made);
    if (made == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "making a message decoder: out of memory");
    made->decoder = decoder;
    made->format = source->format;
    decoder->has_kafka = true;
    enum aq_status status = plan_when(made, source->when, err);
    if (status == AQ_OK)
        status = plan_format(made, err);
    if (status < 0) {
        aq_message_decoder_destroy(made);
        return status;
    }
    *created = made;
    return AQ_OK;
}

void aq_message_decoder_destroy(struct aq_message_decoder *decoder)
{
    if (decoder == NULL)
        return;
    forget_when(decoder->decoder);
    aq_when_destroy(decoder->when);
    aq_json_decoder_destroy(decoder->json);
    aq_message_csv_destroy(decoder->csv);
    free(decoder);
}

static enum aq_status reject_long(struct aq_decoder *decoder,
                                  const struct aq_kafka_message *message, uint64_t size)
{
    char reason[192];
    struct aq_slice head = message->value;
    struct aq_hasher *hasher = aq_hasher_create();
    if (hasher == NULL)
        return AQ_NO_MEMORY;
    aq_hasher_update(hasher, message->value.data, message->value.size);
    struct aq_hash128 hash = aq_hasher_digest(hasher);
    aq_hasher_destroy(hasher);
    aq_long_message_reason(size, &hash, reason, sizeof reason);
    if (head.size > AQ_REJECT_HEAD_BYTES)
        head.size = AQ_REJECT_HEAD_BYTES;
    return aq_decoder_reject(decoder, AQ_REJECT_SIZE, message->offset, head, "%s", reason);
}

/* All that columns could take counts, not the value alone: a row must fit a frame. */
static uint64_t message_size(const struct aq_kafka_message *message)
{
    uint64_t size = message->value.size + message->key.size;
    for (size_t i = 0; i < message->header_count; i++)
        size += message->headers[i].name.size + message->headers[i].value.size;
    return size;
}

static enum aq_status decode_raw(struct aq_message_decoder *decoder,
                                 const struct aq_kafka_message *message)
{
    aq_decoder_begin(decoder->decoder);
    if (decoder->value_field != SIZE_MAX) {
        struct aq_field *field = &decoder->decoder->fields[decoder->value_field];
        field->kind = message->value.data == NULL ? AQ_FIELD_NULL : AQ_FIELD_BYTES;
        field->text = message->value;
    }
    return aq_decoder_settle(decoder->decoder, message->offset, message->value);
}

static enum aq_status decode(struct aq_message_decoder *decoder,
                             const struct aq_kafka_message *message)
{
    uint64_t size = message_size(message);
    if (size > AQ_RECORD_BYTES_MAX)
        return reject_long(decoder->decoder, message, size);
    if (decoder->format == AQ_FORMAT_RAW)
        return decode_raw(decoder, message);
    if (message->value.data == NULL)
        return AQ_OK;
    if (decoder->format == AQ_FORMAT_CSV)
        return aq_message_csv_decode(decoder->csv, message->offset, message->value);
    return aq_json_decode(decoder->json, message->offset, message->value);
}

enum aq_status aq_message_decode(struct aq_message_decoder *decoder,
                                 const struct aq_kafka_message *message, enum aq_decoded *what,
                                 enum aq_reject_class *reject_class)
{
    struct aq_decoder *rows = decoder->decoder;
    size_t row_count = rows->rows.row_count;
    size_t reject_count = rows->rejects.row_count;
    rows->message = message;
    rows->stamp_us = message->timestamp_us;
    enum aq_status status = decode(decoder, message);
    rows->message = NULL;
    if (status < 0)
        return status;
    *what = rows->rows.row_count > row_count         ? AQ_DECODED_ROW
            : rows->rejects.row_count > reject_count ? AQ_DECODED_REJECT
                                                     : AQ_DECODED_PASSED;
    *reject_class = rows->reject_class;
    return AQ_OK;
}
