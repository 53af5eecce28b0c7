#include "tests/unit/ingest/decode_fixture.h"

#include <stdlib.h>

static struct decode_fixture fixture;
static struct aq_csv_decoder *csv;
static const char *notice;

static void setup(const char *body, const char *header)
{
    struct aq_error err = {0};
    decode_setup(&fixture, body);
    cr_assert_eq(aq_csv_decoder_create(fixture.decoder, aq_slice_of(header), &csv, &notice, &err),
                 AQ_OK, "%s", err.message);
}

static void teardown(void)
{
    aq_csv_decoder_destroy(csv);
    decode_teardown(&fixture);
}

static bool row(const char *text)
{
    size_t before = fixture.decoder->rows.row_count;
    size_t size = strlen(text);
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    /* Its end is watched by the sanitizer. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(copy, text, size);
    cr_assert_eq(aq_csv_decode(csv, 1, aq_slice_make(copy, size)), AQ_OK);
    free(copy);
    return fixture.decoder->rows.row_count > before;
}

#define ROW(text) cr_assert(row(text), "rejected: %s", decode_reason(&fixture))
#define REJECT(text, why)                                                                        \
    do {                                                                                         \
        cr_assert_not(row(text), "taken: %s", text);                                             \
        cr_assert_not_null(strstr(decode_reason(&fixture), why), "%s", decode_reason(&fixture)); \
    } while (0)
#define CELL(column, text) cr_assert_str_eq(decode_cell(&fixture, column), text)

Test(decode_csv, beijing)
{
    setup("    key: station\n"
          "    time: ts\n"
          "    columns:\n"
          "      ts: {type: timestamptz, from: \"{year}-{month}-{day} {hour}:00\", zone: "
          "\"+08:00\"}\n"
          "      station: {type: text}\n"
          "      pm25: {type: double, from: PM2.5, null_values: [NA]}\n"
          "      wd: {type: text, null_values: [NA]}\n",
          "No,year,month,day,hour,PM2.5,wd,station");
    ROW("1,2013,3,1,0,4,NNW,Aotizhongxin");
    CELL("ts", "2013-02-28 16:00:00+00");
    CELL("station", "Aotizhongxin");
    CELL("pm25", "4");
    ROW("2,2013,3,1,1,NA,NA,Aotizhongxin");
    CELL("pm25", "null");
    CELL("wd", "null");
    cr_assert_eq(fixture.decoder->unknown_field_count, 2u);
    REJECT("3,2013,3,1,2,4,NNW", "7 fields, the header has 8");
    REJECT("3,2013,3,1,2,4,NNW,a,b", "9 fields, the header has 8");
    REJECT("3,2013,3,1,2,4,NNW,", "column 'station' (station): absent or null");
    REJECT("3,2013,2,30,2,4,NNW,x", "'2013-2-30 2:00' is no time");
    REJECT("", "1 fields");
    cr_assert_null(notice);
    teardown();
}

static const char abc[] = "    columns:\n"
                          "      a: {type: text}\n"
                          "      b: {type: integer}\n"
                          "      c: {type: json}\n"
                          "      rest: {type: json, from: \"*\"}\n";

Test(decode_csv, quotes)
{
    setup(abc, "a,b,c,\"x\"\"y\",\"z,z\"");
    ROW("\"a,\"\"b\"\"\nc\",\"5\",\"{\"\"k\"\": 1}\",,\"\"");
    CELL("a", "a,\"b\"\nc");
    CELL("b", "5");
    CELL("c", "{\"k\": 1}");
    CELL("rest", "{\"x\\\"y\":null,\"z,z\":\"\"}");
    ROW("a \"b\" c,,,\x01\\,\xc3\xa9");
    CELL("a", "a \"b\" c");
    CELL("b", "null");
    CELL("rest", "{\"x\\\"y\":\"\\u0001\\\\\",\"z,z\":\"\xc3\xa9\"}");
    ROW("\"\",,,,");
    CELL("a", "");
    ROW(",,,,");
    CELL("a", "null");
    REJECT("\"a,1,,,", "field 1: a quote is not closed");
    REJECT("a,\"1\"2,,,", "field 2: text follows");
    REJECT("\"\"\",1,,,", "not closed");
    REJECT("a,1,\"{\",,", "is no JSON");
    REJECT("\xff,1,,,", "not UTF-8");
    REJECT("a,x,,,", "column 'b' (b): 'x' is no integer");
    cr_assert_eq(fixture.decoder->rejects.row_count, 6u);
    teardown();
}

Test(decode_csv, one_column)
{
    setup("    columns:\n"
          "      a: {type: text}\n",
          "a");
    ROW("");
    CELL("a", "null");
    ROW("x");
    CELL("a", "x");
    REJECT("x,", "2 fields");
    teardown();
}

Test(decode_csv, missing_columns)
{
    struct aq_error err = {0};
    setup("    columns:\n"
          "      a: {type: text, from: [q, b]}\n"
          "      c: {type: text}\n"
          "      d: {type: text, default: x}\n",
          "b");
    cr_assert_str_eq(notice, "not in the header, so null: c");
    ROW("1");
    CELL("a", "1");
    CELL("c", "null");
    CELL("d", "x");
    struct aq_csv_decoder *other;
    cr_assert_eq(aq_csv_decoder_create(fixture.decoder, aq_slice_of("u,v"), &other, &notice, &err),
                 AQ_INVALID);
    cr_assert_not_null(strstr(err.message, "it has: u, v"));
    cr_assert_eq(aq_csv_decoder_create(fixture.decoder, aq_slice_of("q,q"), &other, &notice, &err),
                 AQ_INVALID);
    cr_assert_eq(aq_csv_decoder_create(fixture.decoder, aq_slice_of("\"q"), &other, &notice, &err),
                 AQ_INVALID);
    teardown();
}

Test(decode_csv, a_column_that_must_have_a_value_is_missing)
{
    struct aq_error err = {0};
    decode_setup(&fixture, "    time: ts\n"
                           "    columns:\n"
                           "      ts: {type: timestamptz, from: [t, \"{d} {h}\"]}\n"
                           "      a: {type: text}\n");
    cr_assert_eq(aq_csv_decoder_create(fixture.decoder, aq_slice_of("d,a"), &csv, &notice, &err),
                 AQ_INVALID);
    cr_assert_str_eq(err.message,
                     "column 'ts' needs a value, but the header lacks 't'; it has: d, a");
    cr_assert_eq(aq_csv_decoder_create(fixture.decoder, aq_slice_of("d,h,a"), &csv, &notice, &err),
                 AQ_OK);
    ROW("2025-02-14,13:00,x");
    CELL("ts", "2025-02-14 13:00:00+00");
    teardown();
}

Test(decode_csv, one_name_serves_every_path_of_that_text)
{
    setup("    columns:\n"
          "      one: {type: double, from: PM2.5}\n"
          "      other: {type: text, from: '[\"PM2.5\"]'}\n"
          "      from_source: {type: text, from: source}\n"
          "      named_source: {type: text, from: '[\"source\"]'}\n",
          "PM2.5,source");
    ROW("4.50,x");
    CELL("one", "4.5");
    CELL("other", "4.50");
    CELL("from_source", "test");
    CELL("named_source", "x");
    teardown();
}
