/* Kafka messages to rows: formats, what stands beside the value, tombstones, classes of rejects. */
#include "tests/unit/ingest/decode_fixture.h"

#include <stdlib.h>

#include "engine/ingest/decode/message.h"

static struct decode_fixture fixture;
static struct aq_message_decoder *decoder;
static enum aq_reject_class reject_class;

#define TIME_US INT64_C(1739538000250000) /* 2025-02-14 13:00:00.25 UTC */

static void setup(const char *body, enum aq_source_format format)
{
    struct aq_error err = {0};
    struct aq_source_config source = {.name = "test", .format = format, .is_kafka = true};
    decode_setup(&fixture, body);
    cr_assert_eq(aq_message_decoder_create(fixture.decoder, &source, &decoder, &err), AQ_OK, "%s",
                 err.message);
}

static void teardown(void)
{
    aq_message_decoder_destroy(decoder);
    decode_teardown(&fixture);
}

static struct aq_slice bytes(const char *text)
{
    return text == NULL ? (struct aq_slice){0} : aq_slice_of(text);
}

/* The value from an allocation of exactly its size, so that ASan sees a read beyond it. */
static enum aq_decoded take(struct aq_kafka_message message)
{
    enum aq_decoded what;
    uint8_t *copy = malloc(message.value.size + (message.value.size == 0));
    if (message.value.size > 0)
        memcpy(copy, message.value.data, message.value.size);
    if (message.value.data != NULL)
        message.value.data = copy;
    cr_assert_eq(aq_message_decode(decoder, &message, &what, &reject_class), AQ_OK);
    free(copy);
    return what;
}

static struct aq_kafka_message message_of(const char *value)
{
    return (struct aq_kafka_message){.value = bytes(value),
                                     .partition = 3,
                                     .offset = UINT64_C(9007199254740993),
                                     .timestamp_us = TIME_US};
}

static enum aq_decoded take_value(const char *value)
{
    return take(message_of(value));
}

#define ROW(value) cr_assert_eq(take_value(value), AQ_DECODED_ROW, "%s", decode_reason(&fixture))
#define CELL(column, text) cr_assert_str_eq(decode_cell(&fixture, column), text)
#define REJECT(value, class, why)                                                                \
    do {                                                                                         \
        cr_assert_eq(take_value(value), AQ_DECODED_REJECT);                                      \
        cr_assert_eq(reject_class, class, "%d", reject_class);                                   \
        cr_assert_not_null(strstr(decode_reason(&fixture), why), "%s", decode_reason(&fixture)); \
    } while (0)

static const char beside[] =
    "    columns:\n"
    "      k: {type: text, from: kafka.key}\n"
    "      h: {type: text, from: [kafka.headers.trace-id, h]}\n"
    "      n: {type: integer, from: kafka.headers.count}\n"
    "      b: {type: bytea, from: kafka.headers.blob}\n"
    "      t: {type: timestamptz, from: kafka.timestamp}\n"
    "      a: {type: timestamptz, from: arrival}\n"
    "      p: {type: integer, from: kafka.partition}\n"
    "      o: {type: bigint, from: kafka.offset}\n"
    "      s: {type: text, from: source}\n"
    "      id: {type: text, from: '{source}/{kafka.partition}/{kafka.offset}/{kafka.timestamp}'}\n"
    "      v: {type: text, from: v}\n"
    "      rest: {type: json, from: '*'}\n";

Test(message, json_with_what_stands_beside_it)
{
    struct aq_kafka_header headers[] = {
        {aq_slice_of("trace-id"), aq_slice_of("first")},
        {aq_slice_of("count"), aq_slice_of("42")},
        {aq_slice_of("blob"), aq_slice_make("\\x\xff\0z", 5)},
        {aq_slice_of("trace-id"), aq_slice_of("last")},
    };
    setup(beside, AQ_FORMAT_JSON);
    struct aq_kafka_message message = message_of("{\"v\":\"x\",\"h\":\"of the value\",\"u\":1}");
    message.key = aq_slice_of("hanoi");
    message.headers = headers;
    message.header_count = 4;
    cr_assert_eq(take(message), AQ_DECODED_ROW, "%s", decode_reason(&fixture));
    CELL("k", "hanoi");
    CELL("h", "last");
    CELL("n", "42");
    struct aq_slice blob = fixture.decoder->rows.columns[3].slices[0];
    cr_assert(aq_slice_equal(blob, headers[2].value), "bytes as they are, not read as hexadecimal");
    CELL("t", "2025-02-14 13:00:00.25+00");
    CELL("a", "2025-02-14 13:00:00.25+00");
    CELL("p", "3");
    CELL("o", "9007199254740993");
    CELL("s", "test");
    CELL("id", "test/3/9007199254740993/2025-02-14 13:00:00.25+00");
    CELL("rest", "{\"u\":1}");
    teardown();
}

Test(message, absent_and_null_lead_to_the_next_path)
{
    struct aq_kafka_header null_header = {.name = aq_slice_of("trace-id")};
    setup(beside, AQ_FORMAT_JSON);
    ROW("{\"h\":\"of the value\"}");
    CELL("k", "null");
    CELL("h", "of the value");
    struct aq_kafka_message message = message_of("{\"h\":\"here\"}");
    message.headers = &null_header;
    message.header_count = 1;
    message.key = aq_slice_of("");
    cr_assert_eq(take(message), AQ_DECODED_ROW);
    CELL("h", "here");
    CELL("k", "");
    ROW("{}");
    CELL("h", "null");
    teardown();
}

Test(message, system_columns_are_the_messages)
{
    setup(beside, AQ_FORMAT_JSON);
    ROW("{}");
    const struct aq_batch *rows = &fixture.decoder->rows;
    const struct aq_vector *system = &rows->columns[rows->column_count - AQ_SYSTEM_COLUMN_COUNT];
    cr_assert_eq(system[AQ_SYSTEM_ORDINAL].ints[0], INT64_C(9007199254740993));
    cr_assert_eq(system[AQ_SYSTEM_STAMP].ints[0], TIME_US);
    cr_assert_eq(system[AQ_SYSTEM_FEED].ints[0], 7);
    teardown();
}

Test(message, bytes_into_text_must_be_utf8)
{
    struct aq_kafka_header header = {aq_slice_of("trace-id"), aq_slice_of("\xc3\x28")};
    setup(beside, AQ_FORMAT_JSON);
    struct aq_kafka_message message = message_of("{}");
    message.key = aq_slice_of("\xff");
    cr_assert_eq(take(message), AQ_DECODED_REJECT);
    cr_assert_eq(reject_class, AQ_REJECT_TYPE);
    cr_assert_str_eq(decode_reason(&fixture),
                     "column 'k' (kafka.key): its 1 bytes are not UTF-8: declare bytea");
    message = message_of("{}");
    message.headers = &header;
    message.header_count = 1;
    cr_assert_eq(take(message), AQ_DECODED_REJECT);
    cr_assert_not_null(strstr(decode_reason(&fixture), "kafka.headers.trace-id"));
    teardown();
}

Test(message, rejects_have_classes_and_places)
{
    setup("    columns:\n"
          "      a: {type: integer, required: true}\n",
          AQ_FORMAT_JSON);
    REJECT("{\"a\":1", AQ_REJECT_SYNTAX, "not JSON");
    REJECT("", AQ_REJECT_SYNTAX, "not JSON");
    REJECT("{}", AQ_REJECT_REQUIRED, "absent or null");
    REJECT("{\"a\":null}", AQ_REJECT_REQUIRED, "absent or null");
    REJECT("{\"a\":\"x\"}", AQ_REJECT_TYPE, "is no integer");
    const struct aq_vector *columns = fixture.decoder->rejects.columns;
    cr_assert_eq(columns[AQ_REJECT_PARTITION].ints[4], 3);
    cr_assert_eq(columns[AQ_REJECT_OFFSET].ints[4], INT64_C(9007199254740993));
    cr_assert_eq(columns[AQ_REJECT_ARRIVAL].ints[4], TIME_US);
    cr_assert(aq_slice_equal(columns[AQ_REJECT_BYTES].slices[4], aq_slice_of("{\"a\":\"x\"}")));
    cr_assert_eq(take_value(NULL), AQ_DECODED_PASSED, "a tombstone");
    ROW("{\"a\":1}");
    teardown();
}

Test(message, too_long_is_a_reject_with_its_hash)
{
    setup("    columns:\n"
          "      a: {type: text}\n",
          AQ_FORMAT_JSON);
    size_t size = AQ_RECORD_BYTES_MAX + 1;
    char *text = malloc(size);
    memset(text, ' ', size);
    for (size_t i = 0; i < 7; i++)
        text[i] = "{\"a\":1}"[i];
    struct aq_kafka_message message = message_of("");
    message.value = aq_slice_make(text, size - 1);
    cr_assert_eq(take(message), AQ_DECODED_ROW, "just at the bound");
    message.value.size = size;
    cr_assert_eq(take(message), AQ_DECODED_REJECT);
    cr_assert_eq(reject_class, AQ_REJECT_SIZE);
    cr_assert_str_eq(decode_reason(&fixture),
                     "longer than 16 MiB: 16777217 bytes with the XXH3-128 "
                     "270454048e0127c989520e5173802e8d, of which the first 64 KiB are kept");
    cr_assert_eq(fixture.decoder->rejects.columns[AQ_REJECT_BYTES].slices[0].size, 65536u);
    message.value.size = size - 3;
    message.key = aq_slice_of("four");
    cr_assert_eq(take(message), AQ_DECODED_REJECT, "with its key it is too long");
    free(text);
    teardown();
}

Test(message, csv_without_header_is_in_declared_order)
{
    setup("    columns:\n"
          "      k: {type: text, from: kafka.key}\n"
          "      city: {type: text, from: [kafka.headers.city, '[\"City \\\"x\\\"\"]', town]}\n"
          "      ts: {type: timestamptz, from: '{date} {hour}:00'}\n"
          "      day: {type: date, from: date}\n"
          "      pm25: {type: double, from: PM2.5}\n",
          AQ_FORMAT_CSV);
    ROW("\"Ha, Noi\",2025-02-14,13,\"10.5\"\n");
    CELL("city", "Ha, Noi");
    CELL("ts", "2025-02-14 13:00:00+00");
    CELL("pm25", "10.5");
    ROW(",2025-02-14,13,\r\n");
    CELL("city", "null");
    CELL("pm25", "null");
    REJECT("a,b", AQ_REJECT_SYNTAX, "2 fields, the header has 4");
    REJECT("\xff,2025-02-14,13,1", AQ_REJECT_SYNTAX, "not UTF-8");
    REJECT("a,2025-02-14,13,x", AQ_REJECT_TYPE, "is no number");
    cr_assert_eq(take_value(NULL), AQ_DECODED_PASSED);
    teardown();
}

Test(message, csv_with_a_header_of_its_own)
{
    setup("    columns:\n"
          "      a: {type: text}\n"
          "      b: {type: integer, required: true}\n"
          "      rest: {type: json, from: '*'}\n",
          AQ_FORMAT_CSV);
    ROW("b,c,a\n1,2,\"x\ny\"\n");
    CELL("a", "x\ny");
    CELL("b", "1");
    CELL("rest", "{\"c\":\"2\"}");
    ROW("b,c,a\r\n3,4,z");
    CELL("a", "z");
    ROW("b\n5");
    CELL("a", "null");
    ROW("x,6");
    CELL("b", "6");
    REJECT("b\n5\n6\n", AQ_REJECT_SYNTAX, "more than one record");
    REJECT("a\n5", AQ_REJECT_SYNTAX, "the header lacks 'b'");
    cr_assert(aq_slice_equal(fixture.decoder->rejects.columns[AQ_REJECT_BYTES].slices[1],
                             aq_slice_of("a\n5")),
              "a reject is the whole message");
    REJECT("a,b\n5", AQ_REJECT_SYNTAX, "1 fields, the header has 2");
    ROW("b\n7");
    teardown();
}

Test(message, raw_is_its_bytes)
{
    setup("    columns:\n"
          "      k: {type: text, from: kafka.key}\n"
          "      payload: {type: bytea, from: value}\n"
          "      other: {type: text, from: x}\n"
          "      rest: {type: json, from: '*'}\n",
          AQ_FORMAT_RAW);
    ROW("\\x00 \xff");
    CELL("payload", "\\x00 \xff");
    CELL("other", "null");
    CELL("rest", "null");
    cr_assert_eq(take_value(NULL), AQ_DECODED_ROW, "null, not passed over");
    CELL("payload", "null");
    ROW("");
    CELL("payload", "");
    teardown();
}

Test(message, raw_into_other_types)
{
    setup("    columns:\n"
          "      value: {type: json}\n"
          "      n: {type: double, from: value, null_values: [none]}\n",
          AQ_FORMAT_RAW);
    ROW("12.50");
    CELL("value", "12.50");
    CELL("n", "12.5");
    REJECT("{", AQ_REJECT_TYPE, "is no JSON");
    REJECT("\xff", AQ_REJECT_TYPE, "not UTF-8");
    teardown();
}
