/* Any bytes are a Kafka message: a row, a reject with its class, or passed over. With a condition the same
 * row comes out as without, or none; a condition and its negation never both take a message.
 *
 * Input: a digit (0 JSON, 1 CSV, 2 raw, 3 a condition and JSON), a digit of flags (1: no key, 2: no header
 * value, 4: no value), then key, header value, for 3 the condition, each up to a line end, and the value. */
#include <stdio.h>

#include "engine/ingest/decode/message.h"
#include "fuzz/support/decode_schema.h"

static const char message_config[] =
    "datasets:\n"
    "  d:\n"
    "    columns:\n"
    "      i: {type: integer, required: true, default: 7, null_values: [\"-\"]}\n"
    "      a: {type: text, from: [a.b, kafka.key]}\n"
    "      v: {type: text, from: value}\n"
    "      x: {type: bytea, from: [value, kafka.headers.h]}\n"
    "      j: {type: json, from: [a.j, kafka.headers.h]}\n"
    "      k: {type: bytea, from: kafka.key}\n"
    "      h: {type: double, from: [\"a.k[1]\", kafka.headers.h]}\n"
    "      z: {type: timestamptz, from: [\"{y} {kafka.headers.h}\", kafka.timestamp]}\n"
    "      p: {type: integer, from: kafka.partition}\n"
    "      o: {type: bigint, from: kafka.offset}\n"
    "      t: {type: text, from: \"{kafka.partition}/{kafka.key}/{source}/{arrival}\"}\n"
    "      e: {type: json, from: \"*\"}\n";

static const char condition[] =
    "type = 'edit' or a.n > 5 and not a.bot or a is null or y[0].z in (1, 'x', true)"
    " or kafka.headers.h = 3 or kafka.key is not null and value < 'b'";

static const enum aq_source_format formats[] = {AQ_FORMAT_JSON, AQ_FORMAT_CSV, AQ_FORMAT_RAW};

/* A decoder of a format and what it made of the last message. */
struct way {
    struct decode_fuzz fuzz;
    struct aq_message_decoder *decoder;
    enum aq_decoded what;
    enum aq_reject_class reject_class;
};

static void open_way(struct way *way, enum aq_source_format format, const char *when)
{
    struct aq_source_config source = {.name = "f", .format = format, .when = when};
    if (way->fuzz.decoder == NULL)
        decode_fuzz_init(&way->fuzz, message_config);
    must(aq_message_decoder_create(way->fuzz.decoder, &source, &way->decoder, NULL) == AQ_OK);
}

static void take(struct way *way, const struct aq_kafka_message *message)
{
    aq_decoder_clear(way->fuzz.decoder);
    must(aq_message_decode(way->decoder, message, &way->what, &way->reject_class) == AQ_OK);
    must(way->fuzz.decoder->rows.row_count == (way->what == AQ_DECODED_ROW));
    must(way->fuzz.decoder->rejects.row_count == (way->what == AQ_DECODED_REJECT));
    must(way->reject_class < AQ_REJECT_CLASS_COUNT);
    decode_fuzz_check(&way->fuzz);
}

static bool same_cell(const struct aq_vector *a, const struct aq_vector *b)
{
    if (aq_vector_is_null(a, 0) || aq_vector_is_null(b, 0))
        return aq_vector_is_null(a, 0) && aq_vector_is_null(b, 0);
    switch (aq_type_physical(a->type)) {
    case AQ_PHYSICAL_INT:
        return a->ints[0] == b->ints[0];
    case AQ_PHYSICAL_DOUBLE:
        return memcmp(&a->doubles[0], &b->doubles[0], sizeof a->doubles[0]) == 0;
    default:
        return aq_slice_equal(a->slices[0], b->slices[0]);
    }
}

/* A CSV header that names a column of the condition twice does not serve it. */
static bool is_ambiguous(const struct way *way)
{
    if (way->what != AQ_DECODED_REJECT || way->reject_class != AQ_REJECT_SYNTAX)
        return false;
    struct aq_slice reason = way->fuzz.decoder->rejects.columns[AQ_REJECT_REASON].slices[0];
    return memmem(reason.data, reason.size, "ambiguous", 9) != NULL;
}

static void compare(const struct way *all, const struct way *some)
{
    bool malformed = all->what == AQ_DECODED_REJECT &&
                     (all->reject_class == AQ_REJECT_SYNTAX || all->reject_class == AQ_REJECT_SIZE);
    if (some->what == AQ_DECODED_PASSED) {
        must(!malformed);
        return;
    }
    if (is_ambiguous(some))
        return;
    must(some->what == all->what);
    must(some->what != AQ_DECODED_REJECT || some->reject_class == all->reject_class);
    const struct aq_batch *one = &all->fuzz.decoder->rows;
    const struct aq_batch *other = &some->fuzz.decoder->rows;
    for (size_t c = 0; some->what == AQ_DECODED_ROW && c < one->column_count; c++)
        must(same_cell(&one->columns[c], &other->columns[c]));
}

/* With the condition as it was made up, and with its negation. */
static void try_condition(const char *text, const struct aq_kafka_message *message)
{
    static struct way plain;
    static struct way negated;
    struct aq_when *when = NULL;
    struct aq_error err = {0};
    char denied[512];
    if (aq_when_parse(text, &when, &err) != AQ_OK) {
        must(err.message[0] != '\0' && err.offset >= 0 && (size_t)err.offset <= strlen(text));
        return;
    }
    aq_when_destroy(when);
    open_way(&plain, AQ_FORMAT_JSON, text);
    take(&plain, message);
    snprintf(denied, sizeof denied, "not (%s)", text);
    if (aq_when_parse(denied, &when, NULL) == AQ_OK) { /* else it is too deep now */
        aq_when_destroy(when);
        open_way(&negated, AQ_FORMAT_JSON, denied);
        take(&negated, message);
        must(plain.what == AQ_DECODED_PASSED || negated.what == AQ_DECODED_PASSED ||
             (plain.what == AQ_DECODED_REJECT && plain.reject_class == AQ_REJECT_SYNTAX));
        aq_message_decoder_destroy(negated.decoder);
    }
    aq_message_decoder_destroy(plain.decoder);
}

/* Up to the next line end. */
static struct aq_slice take_line(struct aq_slice *text)
{
    const uint8_t *end = text->size == 0 ? NULL : memchr(text->data, '\n', text->size);
    size_t size = end == NULL ? text->size : (size_t)(end - text->data);
    struct aq_slice line = aq_slice_make(text->data, size);
    size += end != NULL;
    *text = aq_slice_make(text->data + size, text->size - size);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct way all[3];
    static struct way some[3];
    char when[256];
    if (size < 2)
        return 0;
    size_t choice = (uint8_t)(data[0] - '0') % 4;
    unsigned flags = (uint8_t)(data[1] - '0') % 8;
    struct aq_slice rest = aq_slice_make(data + 2, size - 2);
    struct aq_slice key = take_line(&rest);
    struct aq_kafka_header header = {.name = aq_slice_of("h"), .value = take_line(&rest)};
    struct aq_slice text = choice == 3 ? take_line(&rest) : (struct aq_slice){0};
    struct aq_kafka_message message = {.key = flags & 1 ? (struct aq_slice){0} : key,
                                       .partition = 2,
                                       .offset = 77,
                                       .timestamp_us = 1739538000250000,
                                       .header_count = 1,
                                       .headers = &header};
    uint8_t *value = malloc(rest.size + (rest.size == 0));
    must(value != NULL);
    if (rest.size > 0)
        memcpy(value, rest.data, rest.size);
    if (flags & 2)
        header.value = (struct aq_slice){0};
    if (!(flags & 4))
        message.value = aq_slice_make(value, rest.size);
    if (choice < 3) {
        if (all[choice].decoder == NULL) {
            open_way(&all[choice], formats[choice], NULL);
            open_way(&some[choice], formats[choice], condition);
        }
        take(&all[choice], &message);
        take(&some[choice], &message);
        compare(&all[choice], &some[choice]);
    } else if (text.size < sizeof when && memchr(text.data, '\0', text.size) == NULL) {
        memcpy(when, text.data, text.size);
        when[text.size] = '\0';
        try_condition(when, &message);
    }
    free(value);
    return 0;
}
