/* `when:`: what conditions mean on messages, how faults in them read, and that columns do not notice. */
#include "tests/unit/ingest/decode_fixture.h"

#include <stdlib.h>

#include "engine/ingest/decode/message.h"

static struct decode_fixture fixture;
static struct aq_message_decoder *decoder;

static const char body[] = "    columns:\n"
                           "      a: {type: text}\n"
                           "      deep: {type: text, from: m.x}\n"
                           "      rest: {type: json, from: '*'}\n";

static void setup(const char *columns, enum aq_source_format format, const char *when)
{
    struct aq_error err = {0};
    struct aq_source_config source = {.name = "test", .format = format, .when = when};
    decode_setup(&fixture, columns);
    cr_assert_eq(aq_message_decoder_create(fixture.decoder, &source, &decoder, &err), AQ_OK,
                 "%s: %s", when, err.message);
}

static void teardown(void)
{
    aq_message_decoder_destroy(decoder);
    decode_teardown(&fixture);
}

static enum aq_decoded take(const char *value)
{
    struct aq_kafka_header headers[] = {{aq_slice_of("type"), aq_slice_of("edit")},
                                        {aq_slice_of("odd name"), aq_slice_of("7")}};
    struct aq_kafka_message message = {.value = aq_slice_of(value),
                                       .key = aq_slice_of("hanoi"),
                                       .partition = 2,
                                       .offset = 1000,
                                       .timestamp_us = INT64_C(1739538000000000),
                                       .headers = headers,
                                       .header_count = 2};
    enum aq_decoded what;
    enum aq_reject_class class;
    uint8_t *copy = malloc(message.value.size + 1);
    if (message.value.size > 0)
        memcpy(copy, value, message.value.size);
    message.value.data = copy;
    cr_assert_eq(aq_message_decode(decoder, &message, &what, &class), AQ_OK);
    free(copy);
    return what;
}

/* What `when` makes of one JSON message: 'r'ow, 'p'assed over, re'j'ect. */
static char judge(const char *when, const char *value)
{
    setup(body, AQ_FORMAT_JSON, when);
    enum aq_decoded what = take(value);
    teardown();
    return what == AQ_DECODED_ROW ? 'r' : what == AQ_DECODED_PASSED ? 'p' : 'j';
}

#define TAKEN(when, value) cr_assert_eq(judge(when, value), 'r', "%s refuses %s", when, value)
#define PASSED(when, value) cr_assert_eq(judge(when, value), 'p', "%s takes %s", when, value)

Test(when, texts)
{
    TAKEN("type == 'edit'", "{\"type\":\"edit\"}");
    PASSED("type == 'edit'", "{\"type\":\"log\"}");
    TAKEN("type='ed\"it'", "{\"type\":\"ed\\\"it\"}");
    TAKEN("type <> 'a''b'", "{\"type\":\"ab\"}");
    PASSED("type != 'a''b'", "{\"type\":\"a'b\"}");
    TAKEN("type < 'b'", "{\"type\":\"abc\"}");
    PASSED("type >= 'b'", "{\"type\":\"abc\"}");
    TAKEN("type = ''", "{\"type\":\"\"}");
    TAKEN("m.k[1][\"odd.name\"] = 'x'", "{\"m\":{\"k\":[0,{\"odd.name\":\"x\"}]}}");
    TAKEN("n = '1.50'", "{\"n\":1.50}");
    TAKEN("größe = 'ß'", "{\"größe\":\"ß\"}");
}

Test(when, numbers)
{
    TAKEN("n = 5", "{\"n\":5}");
    TAKEN("n = 5", "{\"n\":5.0}");
    TAKEN("n = 5", "{\"n\":\" 5 \"}");
    PASSED("n = 5", "{\"n\":5.5}");
    TAKEN("n > -1.5e1", "{\"n\":-14}");
    PASSED("n > -1.5e1", "{\"n\":-15}");
    TAKEN("n<=-1", "{\"n\":-1}");
    TAKEN("n = 9007199254740993", "{\"n\":9007199254740993}");
    PASSED("n = 9007199254740993", "{\"n\":9007199254740992}");
    TAKEN("n < 1e30", "{\"n\":99999999999999999999}");
    PASSED("n = 5", "{\"n\":\"five\"}");
    PASSED("n != 5", "{\"n\":\"five\"}");
    PASSED("n != 5", "{\"n\":[5]}");
    PASSED("n != 5", "{\"n\":true}");
    PASSED("n < 5", "{\"n\":\"NaN\"}");
}

Test(when, booleans)
{
    TAKEN("bot", "{\"bot\":true}");
    PASSED("bot", "{\"bot\":false}");
    TAKEN("not bot", "{\"bot\":false}");
    PASSED("not bot", "{}");
    PASSED("bot", "{\"bot\":1}");
    TAKEN("bot = false", "{\"bot\":\"false\"}");
    PASSED("bot != true", "{\"bot\":null}");
}

Test(when, null_is_neither)
{
    TAKEN("x is null", "{}");
    TAKEN("x is null", "{\"x\":null}");
    PASSED("x is null", "{\"x\":0}");
    TAKEN("x IS NOT NULL", "{\"x\":\"null\"}");
    TAKEN("x.y is null", "{\"x\":7}");
    TAKEN("m is null and m.x is null", "{}");
    PASSED("x = 1", "{}");
    PASSED("x != 1", "{}");
    PASSED("not x = 1", "{}");
    PASSED("not (x = 1 and y = 1)", "{\"y\":1}");
    TAKEN("not (x = 1 and y = 1)", "{\"y\":2}");
    TAKEN("x = 1 or y = 1", "{\"y\":1}");
    PASSED("x = 1 or y = 1", "{\"y\":2}");
    PASSED("x not in (1, 2)", "{}");
}

Test(when, lists_and_precedence)
{
    TAKEN("x in ('a', 2, true)", "{\"x\":2}");
    TAKEN("x in ('a', 2, true)", "{\"x\":\"a\"}");
    PASSED("x in ('a')", "{\"x\":\"b\"}");
    TAKEN("x not in('a','c')", "{\"x\":\"b\"}");
    PASSED("x not in (1)", "{\"x\":\"b\"}");
    TAKEN("a = 1 or b = 1 and c = 1", "{\"a\":1}");
    PASSED("(a = 1 or b = 1) and c = 1", "{\"a\":1}");
    TAKEN("not a = 1 and b = 1", "{\"a\":2,\"b\":1}");
    TAKEN("not not a = 1", "{\"a\":1}");
}

Test(when, beside_the_value)
{
    TAKEN("kafka.key = 'hanoi' and kafka.headers.type = 'edit'", "{}");
    TAKEN("kafka.headers[\"odd name\"] = 7", "{}");
    TAKEN("kafka.headers.none is null", "{}");
    TAKEN("kafka.partition = 2 and kafka.offset >= 1000", "{}");
    PASSED("kafka.offset > 1000", "{}");
    TAKEN("source = 'test'", "{}");
    TAKEN("kafka.timestamp = '2025-02-14T13:00:00Z'", "{}");
    PASSED("arrival < '2025-02-14'", "{}");
    TAKEN("arrival in ('2025-02-14 13:00', '2025-02-15')", "{}");
}

Test(when, malformed_messages_are_rejects_all_the_same)
{
    cr_assert_eq(judge("type = 'edit'", "{\"type\":\"log\""), 'j');
    cr_assert_eq(judge("type = 'edit'", "{\"type\":\"log\",\"x\":01}"), 'j');
}

Test(when, columns_do_not_notice)
{
    setup(body, AQ_FORMAT_JSON,
          "type = 'edit' and m.y = 2 and l[0].z = 3 and a = 'A' and o is null");
    cr_assert_eq(take("{\"u\":1,\"type\":\"edit\",\"m\":{\"x\":\"X\",\"y\":2,\"w\":[ 1 ]},"
                      "\"l\":[{\"z\":3, \"v\":4},5],\"a\":\"A\"}"),
                 AQ_DECODED_ROW);
    cr_assert_str_eq(decode_cell(&fixture, "a"), "A");
    cr_assert_str_eq(decode_cell(&fixture, "deep"), "X");
    cr_assert_str_eq(decode_cell(&fixture, "rest"),
                     "{\"u\":1,\"type\":\"edit\",\"m\":{\"y\":2,\"w\":[ 1 ]},"
                     "\"l\":[{\"z\":3, \"v\":4},5]}");
    cr_assert_eq(fixture.decoder->unknown_field_count, 5u, "%zu",
                 (size_t)fixture.decoder->unknown_field_count);
    teardown();
}

/* Of members that only the condition knows all are left over, as if nobody knew them. */
Test(when, repeated_members)
{
    setup(body, AQ_FORMAT_JSON, "type = 'edit'");
    cr_assert_eq(take("{\"type\":\"log\",\"a\":\"1\",\"type\":\"edit\",\"a\":\"2\"}"),
                 AQ_DECODED_ROW);
    cr_assert_str_eq(decode_cell(&fixture, "rest"), "{\"type\":\"log\",\"type\":\"edit\"}");
    cr_assert_str_eq(decode_cell(&fixture, "a"), "2");
    cr_assert_eq(take("{\"type\":\"edit\",\"type\":\"log\"}"), AQ_DECODED_PASSED);
    teardown();
}

/* A condition on the whole of what a column takes a part of. */
Test(when, a_whole_that_columns_take_apart)
{
    setup(body, AQ_FORMAT_JSON, "m is not null");
    cr_assert_eq(take("{\"m\":{\"x\":\"X\",\"y\":2}}"), AQ_DECODED_ROW);
    cr_assert_str_eq(decode_cell(&fixture, "deep"), "X");
    cr_assert_str_eq(decode_cell(&fixture, "rest"), "{\"m\":{\"y\":2}}");
    teardown();
}

Test(when, csv_and_raw)
{
    setup("    columns:\n"
          "      a: {type: text}\n"
          "      rest: {type: json, from: '*'}\n",
          AQ_FORMAT_CSV, "type = 'edit'");
    cr_assert_eq(take("a,type,z\nA,edit,1"), AQ_DECODED_ROW);
    cr_assert_str_eq(decode_cell(&fixture, "rest"), "{\"type\":\"edit\",\"z\":\"1\"}");
    cr_assert_eq(take("a,type\nA,log"), AQ_DECODED_PASSED);
    cr_assert_eq(take("A"), AQ_DECODED_PASSED, "it has no such field");
    teardown();
    setup("    columns:\n"
          "      v: {type: bytea, from: value}\n",
          AQ_FORMAT_RAW, "value >= 'b'");
    cr_assert_eq(take("\xff"), AQ_DECODED_ROW);
    cr_assert_eq(take("a\xff"), AQ_DECODED_PASSED);
    teardown();
    setup("    columns:\n"
          "      k: {type: text, from: kafka.key}\n",
          AQ_FORMAT_RAW, "value = 'b'");
    cr_assert_eq(take("b"), AQ_DECODED_ROW, "no column takes the value, the condition does");
    teardown();
}

static void refused(const char *text, int64_t offset, const char *part)
{
    struct aq_when *when = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_when_parse(text, &when, &err), AQ_INVALID, "accepted: %s", text);
    cr_assert_eq(err.offset, offset, "%s: %lld: %s", text, (long long)err.offset, err.message);
    cr_assert_not_null(strstr(err.message, part), "%s: %s", text, err.message);
}

Test(when, faults_say_where)
{
    refused("", 0, "expected a path like type or a.b[0] at its end");
    refused("  ", 2, "expected a path");
    refused("'a' = b", 0, "expected a path");
    refused("and", 0, "expected a path");
    refused("*", 0, "expected a path");
    refused("a = ", 4, "'text', a number, true or false at its end");
    refused("a = b", 4, "found \"b\" at character 5");
    refused("a = \"b\"", 4, "single quotes");
    refused("a = 'b", 6, "a closing '");
    refused("a = null", 4, "say \"is null\"");
    refused("a = 1x", 4, "a number");
    refused("a = --1", 4, "a number");
    refused("a ~ 'x'", 2, "an operator");
    refused("a = 1 b = 2", 6, "an operator, and, or, or the end");
    refused("a in 1", 5, "\"(\" after in");
    refused("a in ()", 6, "a number");
    refused("a in (1", 7, "\",\" or \")\"");
    refused("a is 1", 5, "expected null");
    refused("a not like 'x'", 6, "expected in after not");
    refused("(a = 1", 6, "and, or or \")\"");
    refused("a..b = 1", 0, "expected a name");
    refused("a[x] = 1", 0, "an index");
    refused("kafka.ofset = 1", 0, "did you mean \"offset\"?");
    refused("arrival", 7, "a comparison of the time");
    refused("arrival > 5", 10, "a time like");
    refused("kafka.timestamp > 'today'", 18, "a time like");
    char deep[200];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    refused(deep, 64, "no more than 64");
    char nots[401] = "";
    for (size_t i = 0; i < sizeof nots - 1; i++)
        nots[i] = "not "[i % 4];
    refused(nots, 255, "no more than 64");
}

#define SOURCE(when)                                \
    "datasets: {d: {columns: {a: {type: text}}}}\n" \
    "sources:\n  s:\n    dataset: d\n    kafka: {brokers: b, topics: t}\n" when

static void config_refused(const char *text, const char *path, const char *part)
{
    struct aq_config *config = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_config_parse("a.yaml", aq_slice_of(text), &config, &err), AQ_INVALID);
    cr_assert_str_eq(err.path, path, "%s: %s", err.path, err.message);
    cr_assert_not_null(strstr(err.message, part), "%s", err.message);
}

Test(when, the_config_says_line_and_column)
{
    config_refused(SOURCE("    when: a = b"), "a.yaml:6:15", "when: expected 'text', a number");
    config_refused(SOURCE("    when: \"a = 'ü' b\""), "a.yaml:6:20", "or the end, found \"b\"");
    config_refused(SOURCE("    when: 'a = ''x'' b'"), "a.yaml:6:11", "at character 9");
    config_refused(SOURCE("    when: >-\n      a = 1\n      b\n"), "a.yaml:6:11", "at character 7");
    config_refused(SOURCE("    when: ${AQ_NONE:a = 1 b}"), "a.yaml:6:11", "at character 7");
    struct aq_config *config = NULL;
    cr_assert_eq(
        aq_config_parse("a.yaml", aq_slice_of(SOURCE("    when: a = 'b'\n")), &config, NULL),
        AQ_OK);
    cr_assert_str_eq(config->sources[0].when, "a = 'b'");
    aq_config_destroy(config);
}

/* The same decoder serves another condition afterwards. */
Test(when, is_forgotten_with_its_message_decoder)
{
    setup(body, AQ_FORMAT_JSON, "kafka.key = 'x' and type = 'edit'");
    cr_assert_eq(take("{}"), AQ_DECODED_PASSED);
    aq_message_decoder_destroy(decoder);
    struct aq_source_config source = {.name = "test", .format = AQ_FORMAT_JSON};
    cr_assert_eq(aq_message_decoder_create(fixture.decoder, &source, &decoder, NULL), AQ_OK);
    cr_assert_eq(take("{}"), AQ_DECODED_ROW);
    teardown();
}

/* What columns would have left over is left over, whatever the condition finds in it. */
Test(when, a_form_that_columns_do_not_await)
{
    setup(body, AQ_FORMAT_JSON, "m is null or m[0] = 1 or m.y.z = 2");
    cr_assert_eq(take("{\"m\":null}"), AQ_DECODED_ROW);
    cr_assert_str_eq(decode_cell(&fixture, "rest"), "{\"m\":null}");
    cr_assert_eq(take("{\"m\":[ 1 ]}"), AQ_DECODED_ROW);
    cr_assert_str_eq(decode_cell(&fixture, "rest"), "{\"m\":[ 1 ]}");
    cr_assert_eq(take("{\"m\":{\"x\":0,\"y\":{ \"z\":2}}}"), AQ_DECODED_ROW);
    cr_assert_str_eq(decode_cell(&fixture, "rest"), "{\"m\":{\"y\":{ \"z\":2}}}");
    cr_assert_str_eq(decode_cell(&fixture, "deep"), "0");
    teardown();
    setup("    columns:\n"
          "      rest: {type: json, from: '*'}\n",
          AQ_FORMAT_JSON, "a.b = 1");
    cr_assert_eq(take("{ \"a\":{\"b\": 1} }"), AQ_DECODED_ROW);
    cr_assert_str_eq(decode_cell(&fixture, "rest"), "{ \"a\":{\"b\": 1} }", "as written");
    teardown();
}
