/* The fields of a decoder: one for each distinct path that names one value.
 *
 * Happy path: paths of columns, of templates and of `when:` are added once; before each message the
 * fields that do not lead into its value (source, arrival, kafka.*) are filled, and the format's decoder
 * fills the others.
 * Failures: memory only. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/ingest/decode/message.h"

static bool same_path(const struct aq_path *a, const struct aq_path *b)
{
    if (a->kind != b->kind || a->step_count != b->step_count)
        return false;
    for (size_t i = 0; i < a->step_count; i++) {
        const struct aq_path_step *one = &a->steps[i];
        const struct aq_path_step *other = &b->steps[i];
        bool members = one->member.data != NULL && other->member.data != NULL;
        if (members ? !aq_slice_equal(one->member, other->member)
                    : one->member.data != other->member.data || one->index != other->index)
            return false;
    }
    return true;
}

static void *grown(struct aq_arena *arena, const void *old, size_t count, size_t capacity,
                   size_t size)
{
    void *new = aq_arena_alloc(arena, capacity * size);
    if (new != NULL && count > 0)
        memcpy(new, old, count * size);
    return new;
}

static enum aq_status reserve_field(struct aq_decoder *decoder)
{
    size_t count = decoder->field_count;
    if (count < decoder->field_capacity)
        return AQ_OK;
    size_t capacity = count == 0 ? 16 : 2 * count;
    const struct aq_path **paths =
        grown(&decoder->arena, decoder->paths, count, capacity, sizeof *paths);
    struct aq_field *fields =
        grown(&decoder->arena, decoder->fields, count, capacity, sizeof *fields);
    size_t *specials = grown(&decoder->arena, decoder->specials, decoder->special_count, capacity,
                             sizeof *specials);
    if (paths == NULL || fields == NULL || specials == NULL)
        return AQ_NO_MEMORY;
    decoder->paths = paths;
    decoder->fields = fields;
    decoder->specials = specials;
    decoder->field_capacity = capacity;
    return AQ_OK;
}

enum aq_status aq_decoder_add_path(struct aq_decoder *decoder, const struct aq_path *path,
                                   size_t *field)
{
    for (*field = 0; *field < decoder->field_count; (*field)++)
        if (same_path(decoder->paths[*field], path))
            return AQ_OK;
    AQ_TRY(reserve_field(decoder));
    if (path->kind != AQ_PATH_VALUE)
        decoder->specials[decoder->special_count++] = *field;
    decoder->paths[decoder->field_count++] = path;
    return AQ_OK;
}

static void set_number(struct aq_field *field, char *text, size_t length)
{
    field->kind = AQ_FIELD_NUMBER;
    field->text = field->json = aq_slice_make(text, length);
}

/* Of headers with one name the last one counts, as in Kafka's own client. */
static void set_header(struct aq_field *field, const struct aq_kafka_message *message,
                       struct aq_slice name)
{
    for (size_t i = message->header_count; i > 0; i--) {
        const struct aq_kafka_header *header = &message->headers[i - 1];
        if (!aq_slice_equal(header->name, name))
            continue;
        field->kind = header->value.data == NULL ? AQ_FIELD_NULL : AQ_FIELD_BYTES;
        field->text = header->value;
        return;
    }
}

static void set_kafka(struct aq_decoder *decoder, const struct aq_path *path,
                      struct aq_field *field)
{
    const struct aq_kafka_message *message = decoder->message;
    char *partition = decoder->numbers[0];
    char *offset = decoder->numbers[1];
    size_t room = sizeof decoder->numbers[0];
    switch (path->kind) {
    case AQ_PATH_KAFKA_KEY:
        field->kind = message->key.data == NULL ? AQ_FIELD_ABSENT : AQ_FIELD_BYTES;
        field->text = message->key;
        break;
    case AQ_PATH_KAFKA_HEADER:
        set_header(field, message, path->steps[0].member);
        break;
    case AQ_PATH_KAFKA_TIMESTAMP:
        field->kind = AQ_FIELD_TIME;
        field->time_us = message->timestamp_us;
        break;
    case AQ_PATH_KAFKA_PARTITION:
        set_number(field, partition,
                   (size_t)snprintf(partition, room, "%" PRId32, message->partition));
        break;
    case AQ_PATH_KAFKA_OFFSET:
        set_number(field, offset, (size_t)snprintf(offset, room, "%" PRIu64, message->offset));
        break;
    default:
        break;
    }
}

void aq_decoder_begin(struct aq_decoder *decoder)
{
    if (decoder->field_count > 0)
        memset(decoder->fields, 0, decoder->field_count * sizeof *decoder->fields);
    decoder->rest.kind = AQ_FIELD_ABSENT;
    for (size_t i = 0; i < decoder->special_count; i++) {
        const struct aq_path *path = decoder->paths[decoder->specials[i]];
        struct aq_field *field = &decoder->fields[decoder->specials[i]];
        if (path->kind == AQ_PATH_SOURCE) {
            field->kind = AQ_FIELD_TEXT;
            field->text = decoder->source;
        } else if (path->kind == AQ_PATH_ARRIVAL) {
            field->kind = AQ_FIELD_TIME;
            field->time_us = decoder->stamp_us;
        } else if (decoder->message != NULL) {
            set_kafka(decoder, path, field);
        }
    }
}
