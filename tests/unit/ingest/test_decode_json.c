#include "tests/unit/ingest/decode_fixture.h"

#include <math.h>
#include <stdlib.h>

static struct decode_fixture fixture;
static struct aq_json_decoder *json;

static void setup(const char *body)
{
    struct aq_error err = {0};
    decode_setup(&fixture, body);
    cr_assert_eq(aq_json_decoder_create(fixture.decoder, &json, &err), AQ_OK);
}

static void teardown(void)
{
    aq_json_decoder_destroy(json);
    decode_teardown(&fixture);
}

/* Decodes from an allocation of exactly the text's size, so that ASan sees a read beyond it.
 * @return whether it became a row. */
static bool take(const char *text, size_t size)
{
    size_t before = fixture.decoder->rows.row_count;
    char *copy = malloc(size == 0 ? 1 : size);
    memcpy(copy, text, size);
    cr_assert_eq(aq_json_decode(json, 1, aq_slice_make(copy, size)), AQ_OK);
    free(copy);
    return fixture.decoder->rows.row_count > before;
}

static bool row(const char *text)
{
    return take(text, strlen(text));
}

#define ROW(text) cr_assert(row(text), "rejected: %s", decode_reason(&fixture))
#define REJECT(text, why)                                                                        \
    do {                                                                                         \
        cr_assert_not(row(text), "taken: %s", text);                                             \
        cr_assert_not_null(strstr(decode_reason(&fixture), why), "%s", decode_reason(&fixture)); \
    } while (0)
#define CELL(column, text) cr_assert_str_eq(decode_cell(&fixture, column), text)

static const char air[] = "    key: city\n"
                          "    time: ts\n"
                          "    columns:\n"
                          "      city: {type: text, from: city, required: true}\n"
                          "      station: {type: bigint, from: payload.idx}\n"
                          "      ts: {type: timestamptz, from: [payload.time.iso, "
                          "\"{payload.time.s}{payload.time.tz}\"], required: true}\n"
                          "      aqi: {type: integer, from: payload.aqi, null_values: [\"-\"]}\n"
                          "      pm25: {type: double, from: payload.iaqi.pm25.v}\n"
                          "      extra: {type: json, from: \"*\"}\n";

Test(decode_json, air_quality)
{
    setup(air);
    ROW("{\"city\":\"hanoi\",\"payload\":{\"aqi\":154,\"idx\":8641,\"time\":{\"s\":\"2025-02-14 "
        "13:00:00\",\"tz\":\"+07:00\",\"v\":1739538000,\"iso\":\"2025-02-14T13:00:00+07:00\"},"
        "\"iaqi\":{\"pm25\":{\"v\":61.5},\"h\":{\"v\":78}}}, \"source\" : \"aqicn\"}");
    CELL("city", "hanoi");
    CELL("station", "8641");
    CELL("ts", "2025-02-14 06:00:00+00");
    CELL("aqi", "154");
    CELL("pm25", "61.5");
    CELL("extra", "{\"payload\":{\"time\":{\"v\":1739538000},\"iaqi\":{\"h\":{\"v\":78}}},"
                  "\"source\":\"aqicn\"}");
    teardown();
}

Test(decode_json, the_next_path_and_null_values)
{
    setup(air);
    ROW("{\"city\":\"hue\",\"payload\":{\"aqi\":\"-\",\"time\":{\"iso\":null,\"s\":\"2025-02-14 "
        "13:00\",\"tz\":\"+07:00\"}}}");
    CELL("ts", "2025-02-14 06:00:00+00");
    CELL("aqi", "null");
    CELL("pm25", "null");
    CELL("extra", "null");
    REJECT("{\"city\":\"hue\",\"payload\":{\"time\":{\"iso\":\"soon\",\"s\":\"2025-02-14 13:00\","
           "\"tz\":\"+07:00\"}}}",
           "column 'ts' (payload.time.iso): 'soon' is no time");
    REJECT("{\"city\":\"hue\",\"payload\":{\"time\":{\"s\":\"2025-02-14 13:00\"}}}",
           "absent or null");
    REJECT("{\"city\":null,\"payload\":{\"time\":{\"iso\":\"2025-02-14\"}}}", "column 'city'");
    teardown();
}

Test(decode_json, a_member_of_another_form_is_rest)
{
    setup(air);
    ROW("{\"city\":\"hue\",\"payload\":{\"time\":{\"iso\":\"2025-02-14\"},\"iaqi\":\"none\"}}");
    CELL("extra", "{\"payload\":{\"iaqi\":\"none\"}}");
    ROW("{\"city\":\"hue\",\"payload\":{\"time\":{\"iso\":\"2025-02-14\"},\"iaqi\":[{\"pm25\":1}]"
        "}}");
    CELL("extra", "{\"payload\":{\"iaqi\":[{\"pm25\":1}]}}");
    teardown();
}

static const char plain[] = "    columns:\n"
                            "      i: {type: integer}\n"
                            "      b: {type: bigint}\n"
                            "      d: {type: double}\n"
                            "      r: {type: real}\n"
                            "      o: {type: boolean}\n"
                            "      t: {type: text}\n"
                            "      x: {type: bytea}\n"
                            "      j: {type: json}\n"
                            "      y: {type: date}\n"
                            "      z: {type: timestamptz}\n"
                            "      rest: {type: json, from: \"*\"}\n";

Test(decode_json, numbers)
{
    setup(plain);
    ROW("{\"i\":5,\"b\":-9223372036854775808,\"d\":0.1,\"r\":0.1,\"o\":true}");
    CELL("i", "5");
    CELL("b", "-9223372036854775808");
    CELL("d", "0.10000000000000001");
    CELL("r", "0.10000000149011612");
    CELL("o", "1");
    ROW("{\"i\":5.0,\"b\":\" 12e2 \",\"d\":\"1e-5\",\"r\":1,\"o\":\"No\"}");
    CELL("i", "5");
    CELL("b", "1200");
    CELL("d", "1.0000000000000001e-05");
    CELL("o", "0");
    ROW("{\"d\":-0.0,\"t\":12345678901234567890123.450,\"j\":1e400}");
    CELL("d", "-0");
    CELL("t", "12345678901234567890123.450");
    CELL("j", "1e400");
    ROW("{\"d\":123456789012345678901234567890}");
    cr_assert_eq(strtod(decode_cell(&fixture, "d"), NULL), 123456789012345678901234567890.0);
    ROW("{\"d\":\"NaN\"}");
    cr_assert(isnan(strtod(decode_cell(&fixture, "d"), NULL)));
    REJECT("{\"i\":5.5}", "'5.5' is no integer");
    REJECT("{\"i\":2147483648}", "declare bigint");
    REJECT("{\"i\":true}", "'true' is no integer");
    REJECT("{\"i\":\"\"}", "'' is no integer");
    REJECT("{\"i\":\"5 apples\"}", "is no integer");
    REJECT("{\"b\":9223372036854775808}", "does not fit bigint");
    REJECT("{\"d\":1e400}", "does not fit");
    REJECT("{\"d\":[1]}", "'[1]' is no number");
    REJECT("{\"r\":1e39}", "does not fit real");
    REJECT("{\"o\":2}", "'2' is no boolean");
    teardown();
}

Test(decode_json, texts)
{
    setup(plain);
    ROW("{\"t\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00\"}");
    CELL("t", "a\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    ROW("{\"t\":{\"a\": [1, 2]},\"j\":\"x\\ty\",\"x\":\"\\\\x4142\"}");
    CELL("t", "{\"a\": [1, 2]}");
    CELL("j", "\"x\\ty\"");
    CELL("x", "AB");
    ROW("{\"t\":true,\"x\":\"plain\"}");
    CELL("t", "true");
    CELL("x", "plain");
    REJECT("{\"t\":\"\\ud800\"}", "escape");
    REJECT("{\"t\":\"\\ud800\\u0041\"}", "escape");
    REJECT("{\"u\":\"\\x\"}", "escape");
    REJECT("{\"x\":\"\\\\x414\"}", "half a byte");
    REJECT("{\"x\":\"\\\\xzz\"}", "bytea");
    cr_assert(take("{\"t\":\"\\u0000\"}", 14));
    cr_assert_eq(fixture.decoder->rows.columns[5].slices[fixture.decoder->rows.row_count - 1].size,
                 1u);
    teardown();
}

Test(decode_json, times)
{
    setup("    columns:\n"
          "      s: {type: timestamptz, format: epoch_s}\n"
          "      m: {type: timestamptz, format: epoch_ms}\n"
          "      u: {type: timestamptz, format: epoch_us}\n"
          "      p: {type: timestamptz, format: \"%d.%m.%Y %H:%M\", zone: Asia/Shanghai}\n"
          "      l: {type: timestamptz, zone: \"+08:00\"}\n"
          "      d: {type: date}\n"
          "      n: {type: timestamptz}\n"
          "      a: {type: timestamptz, from: arrival}\n"
          "      w: {type: text, from: source}\n");
    ROW("{\"s\":1739538000.25,\"m\":1739538000123,\"u\":\"1739538000123456\",\"p\":\"14.02.2025 "
        "21:00\",\"l\":\"2025-2-14 21:00\",\"d\":\"2025-02-14T20:00:00Z\"}");
    CELL("s", "2025-02-14 13:00:00.25+00");
    CELL("m", "2025-02-14 13:00:00.123+00");
    CELL("u", "2025-02-14 13:00:00.123456+00");
    CELL("p", "2025-02-14 13:00:00+00");
    CELL("l", "2025-02-14 13:00:00+00");
    CELL("d", "20133");
    CELL("a", "2023-11-14 22:13:20+00");
    CELL("w", "test");
    ROW("{\"s\":-1.5,\"m\":-0.5,\"u\":1.7e15,\"d\":\"2025-02-14\"}");
    CELL("s", "1969-12-31 23:59:58.5+00");
    CELL("m", "1969-12-31 23:59:59.9995+00");
    CELL("d", "20133");
    REJECT("{\"n\":1739538000}", "say what it counts");
    REJECT("{\"s\":\"x\"}", "time units");
    REJECT("{\"s\":1e300}", "time units");
    REJECT("{\"p\":\"2025-02-14\"}", "%d.%m.%Y");
    REJECT("{\"l\":{}}", "is no time");
    teardown();
}

Test(decode_json, default_scale_map)
{
    setup("    columns:\n"
          "      k: {type: text, default: none, null_values: [\"\", \"NA\"]}\n"
          "      c: {type: double, scale: 0.001}\n"
          "      big: {type: double, scale: 1000}\n"
          "      i: {type: integer, scale: 10}\n"
          "      o: {type: boolean, map: {Open: \"true\", Closed: \"false\"}}\n"
          "      n: {type: integer, map: {\"9999\": \"-1\"}, default: 3}\n");
    ROW("{\"k\":\"NA\",\"c\":1500,\"i\":1.1,\"o\":\"Open\",\"n\":9999}");
    CELL("k", "none");
    CELL("c", "1.5");
    CELL("i", "11");
    CELL("o", "1");
    CELL("n", "-1");
    ROW("{\"o\":\"Closed\"}");
    CELL("n", "3");
    CELL("o", "0");
    REJECT("{\"big\":1e307}", "once scaled");
    REJECT("{\"i\":1.11}", "is no integer");
    REJECT("{\"i\":1e300}", "does not fit");
    teardown();
}

Test(decode_json, repeated_names)
{
    setup("    columns:\n"
          "      a: {type: integer, from: p.a}\n"
          "      b: {type: integer, from: p.b}\n"
          "      rest: {type: json, from: \"*\"}\n");
    ROW("{\"p\":{\"a\":1,\"a\":2,\"x\":1}}");
    CELL("a", "2");
    CELL("rest", "{\"p\":{\"x\":1}}");
    ROW("{\"p\":{\"a\":1,\"x\":1},\"q\":7,\"p\":{\"b\":2,\"y\":3}}");
    CELL("a", "null");
    CELL("b", "2");
    CELL("rest", "{\"q\":7,\"p\":{\"y\":3}}");
    ROW("{\"p\":{\"a\":1},\"p\":5}");
    CELL("a", "null");
    CELL("rest", "{\"p\":5}");
    ROW("{\"p\":5,\"\\u0070\":{\"a\":6}}");
    CELL("a", "6");
    CELL("rest", "null");
    teardown();
}

Test(decode_json, arrays_and_odd_names)
{
    setup("    columns:\n"
          "      a: {type: integer, from: \"v[1].x\"}\n"
          "      b: {type: integer, from: \"v[0]\"}\n"
          "      c: {type: integer, from: '[\"odd.name\"]'}\n"
          "      w: {type: json, from: w}\n"
          "      wi: {type: integer, from: w.i}\n"
          "      rest: {type: json, from: \"*\"}\n");
    ROW("{\"v\":[4,{\"x\":5},6],\"odd.name\":7,\"w\":{\"i\":8,\"j\":9}}");
    CELL("a", "5");
    CELL("b", "4");
    CELL("c", "7");
    CELL("w", "{\"i\":8,\"j\":9}");
    CELL("wi", "8");
    CELL("rest", "{\"v\":[null,null,6]}");
    ROW("{\"v\":[4,{\"x\":5}]}");
    CELL("rest", "null");
    ROW("{\"v\":[4,{\"x\":5,\"y\":6}], \"u\":[ ]}");
    CELL("rest", "{\"v\":[null,{\"y\":6}],\"u\":[ ]}");
    teardown();
}

Test(decode_json, many_members_are_found_by_hash)
{
    char body[4096] = "    columns:\n";
    char message[4096] = "{";
    for (int i = 0; i < 40; i++) {
        snprintf(body + strlen(body), 64, "      c%d: {type: integer}\n", i);
        snprintf(message + strlen(message), 64, "%s\"c%d\":%d,\"n%d\":0", i == 0 ? "" : ",", 39 - i,
                 39 - i, i);
    }
    memcpy(message + strlen(message), "}", 2);
    setup(body);
    ROW(message);
    for (int i = 0; i < 40; i++)
        cr_assert_eq(fixture.decoder->rows.columns[i].ints[0], i);
    cr_assert_eq(fixture.decoder->unknown_field_count, 40u);
    teardown();
}

/* From the JSON parsing suite: what every parser must take and must refuse. */
static const char *const must_take[] = {
    "[]",
    "[[]   ]",
    "[\"\"]",
    "[1 ]",
    "[ 4]",
    "[-0]",
    "[-0.0]",
    "[0e+1]",
    "[0e1]",
    "[1E-2]",
    "[1e+2]",
    "[123.456e78]",
    "[-0.00000000000000000000000000000000000000000000000000001]",
    "{\"asd\":\"sdf\"}",
    "{\"a\":\"b\",\"a\":\"c\"}",
    "{\"\":0}",
    "{\"foo\\u0000bar\": 42}",
    "[\"\\u0060\\u012a\\u12AB\"]",
    "[\"\\uD801\\udc37\"]",
    "[\"\\\\u0000\"]",
    "[\"\\\"\"]",
    "[\"a/*b*/c/*d//e\"]",
    "\" \"",
    "42",
    "-0.1",
    "null",
    "true",
    "\"asd\"",
    " [] ",
    "[null, 1]",
    "[1,null,null,null,2]",
    "{\"x\":[{\"id\": \"x\"}], \"id\": \"x\"}",
    "[\"\x7f\"]",
    "\t[ 1\n,\r2 ]\n"};
static const char *const must_refuse[] = {"",
                                          " ",
                                          "[",
                                          "]",
                                          "{",
                                          "}",
                                          "[1",
                                          "[1,",
                                          "[1,]",
                                          "[,1]",
                                          "[,]",
                                          "[1,,2]",
                                          "[1 2]",
                                          "[1}",
                                          "[\"\",]",
                                          "[3[4]]",
                                          "[++1]",
                                          "[+1]",
                                          "[-]",
                                          "[-01]",
                                          "[-1.0.]",
                                          "[-2.]",
                                          "[.123]",
                                          "[.-1]",
                                          "[0.1.2]",
                                          "[0.3e]",
                                          "[0.3e+]",
                                          "[0.e1]",
                                          "[0E]",
                                          "[0e]",
                                          "[1.0e-]",
                                          "[1 000.0]",
                                          "[1eE2]",
                                          "[2.e3]",
                                          "[9.e+]",
                                          "[Inf]",
                                          "[NaN]",
                                          "[Infinity]",
                                          "[-Infinity]",
                                          "[-NaN]",
                                          "[1+2]",
                                          "[0x1]",
                                          "[0x42]",
                                          "[-012]",
                                          "[012]",
                                          "[1ea]",
                                          "[1.2a-3]",
                                          "[1.8011670033376514H-308]",
                                          "[nul]",
                                          "[tru]",
                                          "[fals]",
                                          "[True]",
                                          "[truee]",
                                          "[true",
                                          "{\"a\"",
                                          "{\"a\":",
                                          "{\"a\" b}",
                                          "{:\"b\"}",
                                          "{\"a\":1,}",
                                          "{\"a\":1,,\"b\":2}",
                                          "{,}",
                                          "{a: 1}",
                                          "{1:1}",
                                          "{\"a\":\"b\"}/**/",
                                          "{\"a\":\"b\"}#",
                                          "{}}",
                                          "[]]",
                                          "{\"a\":true} \"x\"",
                                          "[\"a\" \"b\"]",
                                          "[\"a\",4",
                                          "[\"",
                                          "[\"a",
                                          "[\"\\",
                                          "[\"\\\"]",
                                          "[\"\\u\"]",
                                          "[\"\\u00A\"]",
                                          "[\"\\uD834\\u\"]",
                                          "[\"\\a\"]",
                                          "[\"\\x00\"]",
                                          "['a']",
                                          "[\"a\tb\"]",
                                          "[\"a\nb\"]",
                                          "[\xff]",
                                          "[\"\xff\"]",
                                          "[\"\xed\xa0\x80\"]",
                                          "\xef\xbb\xbf",
                                          "[\f1]",
                                          "[1\f]",
                                          "[\x0b]",
                                          "[\"x\"\"y\"]",
                                          "1\"x\"",
                                          "\"x\"1",
                                          "{\"x\":1\"y\":2}",
                                          "<.>",
                                          "[<null>]",
                                          "[a",
                                          "\xc3\xa5",
                                          "[*]",
                                          "{\"a\":[}",
                                          "[{\"a\":]",
                                          "[1:2]",
                                          "{[1]:2}",
                                          "{\"a\":1:2}",
                                          "\\[",
                                          "*",
                                          "[1],",
                                          "1,",
                                          ",1",
                                          "\"",
                                          "\"\\"};

static void check_suite(void)
{
    for (size_t i = 0; i < sizeof must_take / sizeof *must_take; i++)
        cr_assert(row(must_take[i]), "rejected: %s: %s", must_take[i], decode_reason(&fixture));
    for (size_t i = 0; i < sizeof must_refuse / sizeof *must_refuse; i++) {
        cr_assert_not(row(must_refuse[i]), "taken: %s", must_refuse[i]);
        cr_assert_eq(strncmp(decode_reason(&fixture), "not JSON", 8), 0);
    }
    cr_assert_not(take("[1,\0]", 5));
    cr_assert_not(take("[1\0]", 4));
    cr_assert_not(take("\"a\0\"", 4));
    /* Words of eight bytes hold literals, and NUL bytes, too. */
    cr_assert_not(take("[null\0,0,0,0,0]", 15));
    cr_assert_not(take("[null\0\0\0\0,0,0,0,0]", 18));
    cr_assert_not(take("[true\0,0,0,0,0]", 15));
    cr_assert_not(take("[false\0,0,0,0,0]", 16));
    cr_assert_not(take("[false\0\0\0,0,0,0,0]", 18));
    cr_assert_not(take("[12\0,0,0,0,0,0]", 15));
    cr_assert(take("[null,true,false,0,0]", 21));
}

Test(decode_json, suite_as_rest)
{
    setup("    columns:\n"
          "      rest: {type: json, from: \"*\"}\n");
    check_suite();
    ROW(" [1, {\"a\" : 2}] ");
    CELL("rest", "[1, {\"a\" : 2}]");
    ROW("{}");
    CELL("rest", "null");
    teardown();
}

/* The same along paths that lead into every form of value. */
Test(decode_json, suite_along_paths)
{
    setup("    columns:\n"
          "      a: {type: json, from: a}\n"
          "      b: {type: json, from: \"a[0].b\"}\n"
          "      x: {type: json, from: x}\n"
          "      e: {type: json, from: \"x[0].id\"}\n"
          "      rest: {type: json, from: \"*\"}\n");
    check_suite();
    teardown();
}

Test(decode_json, depth)
{
    setup("    columns:\n"
          "      a: {type: json, from: a.b}\n"
          "      rest: {type: json, from: \"*\"}\n");
    for (int depth = 500; depth < 530; depth++) {
        char text[4096] = "";
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        cr_assert_eq(row(text), depth <= 512);
        char member[4096] = "{\"a\":{\"c\":";
        memcpy(member + strlen(member), text, (size_t)depth * 2 + 1);
        memcpy(member + strlen(member), "}}", 3);
        cr_assert_eq(row(member), depth <= 510);
    }
    char *open = malloc(100000);
    memset(open, '[', 100000);
    cr_assert_not(take(open, 100000));
    free(open);
    teardown();
}

Test(decode_json, every_truncation_is_refused)
{
    static const char text[] = "{\"a\":{\"b\":[1,2.5e3,\"x\\u00e9\",true]},\"c\":null}";
    setup("    columns:\n"
          "      a: {type: json, from: a.b}\n"
          "      rest: {type: json, from: \"*\"}\n");
    for (size_t size = 0; size < sizeof text - 1; size++)
        cr_assert_not(take(text, size), "%zu", size);
    cr_assert(take(text, sizeof text - 1));
    CELL("a", "[1,2.5e3,\"x\\u00e9\",true]");
    CELL("rest", "{\"c\":null}");
    teardown();
}

Test(decode_json, rejects_keep_the_bytes)
{
    setup(plain);
    cr_assert_not(row("{\"i\":\"a\xff\"}"));
    const struct aq_batch *rejects = &fixture.decoder->rejects;
    cr_assert_eq(rejects->row_count, 1u);
    cr_assert(aq_slice_equal(rejects->columns[AQ_REJECT_BYTES].slices[0],
                             aq_slice_of("{\"i\":\"a\xff\"}")));
    cr_assert_eq(rejects->columns[AQ_REJECT_OFFSET].ints[0], 1);
    cr_assert(aq_vector_is_null(&rejects->columns[AQ_REJECT_PARTITION], 0));
    cr_assert_eq(rejects->columns[AQ_REJECT_COLUMN_COUNT + AQ_SYSTEM_FEED].ints[0], 7);
    cr_assert(aq_slice_equal(rejects->columns[AQ_REJECT_SOURCE].slices[0], aq_slice_of("test")));
    teardown();
}

Test(decode_json, a_member_with_a_point_is_another_path)
{
    setup("    columns:\n"
          "      nested: {type: text, from: a.b}\n"
          "      flat: {type: text, from: '[\"a.b\"]'}\n"
          "      both: {type: text, from: '{source}:{a.b}:{[\"a.b\"]}'}\n");
    ROW("{\"a\":{\"b\":\"n\"},\"a.b\":\"f\"}");
    CELL("nested", "n");
    CELL("flat", "f");
    CELL("both", "test:n:f");
    teardown();
}
