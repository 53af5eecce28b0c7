/* The forms of a result: what each writes, byte for byte. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"
#include "tools/output/output.h"
#include "tools/output/forms/rows.h"
#include "tools/output/text/utf8.h"

static const struct aq_result_column columns[] = {
    {"name", AQ_TYPE_TEXT}, {"n", AQ_TYPE_BIGINT}, {"x", AQ_TYPE_DOUBLE}};
static char path[] = "/tmp/aqstore-test-output.XXXXXX";
static struct aq_batch batch;

static void setup(void)
{
    aq_utf8_setup();
    cr_assert_not_null(mkdtemp(path));
}

static void teardown(void)
{
    static const char *const names[] = {"out", "big", "kept", "rows"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[300];
        snprintf(name, sizeof(name), "%s/%s", path, names[i]);
        unlink(name);
    }
    cr_assert_eq(rmdir(path), 0, "a temporary file was left behind");
    aq_batch_deinit(&batch);
}

TestSuite(output, .init = setup, .fini = teardown);

static void fill(void)
{
    static const struct {
        const char *name;
        int64_t n;
        double x;
    } values[] = {{"Hà Nội", 1, 0.5}, {"a,\"b\"\nc|d", -20, NAN}, {"", 0, -1.5e-7}};
    enum aq_type types[] = {AQ_TYPE_TEXT, AQ_TYPE_BIGINT, AQ_TYPE_DOUBLE};
    cr_assert_eq(aq_batch_init(&batch, 3, types), AQ_OK);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(aq_vector_append_slice(&batch.columns[0], aq_slice_of(values[i].name)), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&batch.columns[1], values[i].n), AQ_OK);
        cr_assert_eq(aq_vector_append_double(&batch.columns[2], values[i].x), AQ_OK);
    }
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(aq_vector_append_null(&batch.columns[i]), AQ_OK);
    batch.row_count = 4;
}

static char *slurp(const char *name)
{
    FILE *file = fopen(name, "rb");
    char *text = calloc(1, 1 << 16);
    cr_assert_not_null(file);
    cr_assert_lt(fread(text, 1, (1 << 16) - 1, file), (1 << 16) - 1);
    fclose(file);
    return text;
}

static char *print(enum aq_output_form form)
{
    char name[300];
    struct aq_out *stream = NULL;
    struct aq_output *output = NULL;
    snprintf(name, sizeof(name), "%s/out", path);
    cr_assert_eq(aq_out_open(name, &stream, NULL), AQ_OK);
    struct aq_output_options options = {.form = form,
                                        .stream = stream,
                                        .column_count = 3,
                                        .columns = columns,
                                        .value_text = aq_value_text_plain,
                                        .with_types = true,
                                        .with_count = true};
    cr_assert_eq(aq_output_create(&options, &output, NULL), AQ_OK);
    cr_assert_eq(aq_output_batch(output, &batch, NULL), AQ_OK);
    cr_assert_eq(aq_output_end(output, -1, NULL), AQ_OK);
    cr_assert_eq(aq_output_row_count(output), 4);
    aq_output_destroy(output);
    cr_assert_eq(aq_out_close(stream, true, NULL), AQ_OK);
    return slurp(name);
}

Test(output, csv)
{
    fill();
    char *text = print(AQ_OUTPUT_CSV);
    cr_assert_str_eq(text, "name,n,x\n"
                           "Hà Nội,1,0.5\n"
                           "\"a,\"\"b\"\"\nc|d\",-20,NaN\n"
                           "\"\",0,-1.5e-07\n"
                           ",,\n");
    free(text);
}

Test(output, json_and_ndjson)
{
    fill();
    char *text = print(AQ_OUTPUT_JSON);
    cr_assert_str_eq(text, "[\n"
                           "{\"name\":\"Hà Nội\",\"n\":1,\"x\":0.5},\n"
                           "{\"name\":\"a,\\\"b\\\"\\nc|d\",\"n\":-20,\"x\":\"NaN\"},\n"
                           "{\"name\":\"\",\"n\":0,\"x\":-1.5e-07},\n"
                           "{\"name\":null,\"n\":null,\"x\":null}\n"
                           "]\n");
    free(text);
    text = print(AQ_OUTPUT_NDJSON);
    cr_assert_str_eq(text, "{\"name\":\"Hà Nội\",\"n\":1,\"x\":0.5}\n"
                           "{\"name\":\"a,\\\"b\\\"\\nc|d\",\"n\":-20,\"x\":\"NaN\"}\n"
                           "{\"name\":\"\",\"n\":0,\"x\":-1.5e-07}\n"
                           "{\"name\":null,\"n\":null,\"x\":null}\n");
    free(text);
}

Test(output, markdown)
{
    fill();
    char *text = print(AQ_OUTPUT_MARKDOWN);
    cr_assert_str_eq(text, "| name | n | x |\n"
                           "| --- | ---: | ---: |\n"
                           "| Hà Nội | 1 | 0.5 |\n"
                           "| a,\"b\"<br>c\\|d | -20 | NaN |\n"
                           "|  | 0 | -1.5e-07 |\n"
                           "|  |  |  |\n");
    free(text);
}

Test(output, table_aligns_by_display_width)
{
    fill();
    char *text = print(AQ_OUTPUT_TABLE);
    cr_assert_str_eq(text, " name       |      n |                x\n"
                           " text       | bigint | double precision\n"
                           "------------+--------+------------------\n"
                           " Hà Nội     |      1 |              0.5\n"
                           " a,\"b\"\\nc|d |    -20 |              NaN\n"
                           "            |      0 |         -1.5e-07\n"
                           "            |        |                 \n"
                           "(4 rows)\n");
    free(text);
}

Test(output, table_of_more_rows_than_are_kept)
{
    enum aq_type types[] = {AQ_TYPE_TEXT, AQ_TYPE_BIGINT, AQ_TYPE_DOUBLE};
    struct aq_out *stream = NULL;
    struct aq_output *output = NULL;
    char name[300];
    snprintf(name, sizeof(name), "%s/big", path);
    cr_assert_eq(aq_batch_init(&batch, 3, types), AQ_OK);
    for (int i = 0; i < 1000; i++)
        for (int c = 0; c < 3; c++)
            cr_assert_eq(aq_vector_append_null(&batch.columns[c]), AQ_OK);
    batch.row_count = 1000;
    cr_assert_eq(aq_out_open(name, &stream, NULL), AQ_OK);
    struct aq_output_options options = {.form = AQ_OUTPUT_TABLE,
                                        .stream = stream,
                                        .column_count = 3,
                                        .columns = columns,
                                        .value_text = aq_value_text_plain};
    cr_assert_eq(aq_output_create(&options, &output, NULL), AQ_OK);
    for (int i = 0; i < 12; i++)
        cr_assert_eq(aq_output_batch(output, &batch, NULL), AQ_OK);
    cr_assert_eq(aq_output_end(output, -1, NULL), AQ_OK);
    aq_output_destroy(output);
    cr_assert_eq(aq_out_close(stream, true, NULL), AQ_OK);
    FILE *file = fopen(name, "r");
    size_t lines = 0;
    for (int c; (c = fgetc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    cr_assert_eq(lines, 12002);
}

Test(output, forms_by_name_and_extension)
{
    enum aq_output_form form;
    cr_assert_eq(aq_output_form_parse("markdown", &form), AQ_OK);
    cr_assert_eq(form, AQ_OUTPUT_MARKDOWN);
    cr_assert_eq(aq_output_form_parse("xml", &form), AQ_NOT_FOUND);
    cr_assert_eq(aq_output_form_of_path("a/b.JSONL", &form), AQ_OK);
    cr_assert_eq(form, AQ_OUTPUT_NDJSON);
    cr_assert_eq(aq_output_form_of_path("a.md", &form), AQ_OK);
    cr_assert_eq(aq_output_form_of_path("a.d/b", &form), AQ_NOT_FOUND);
    cr_assert_eq(aq_output_form_of_path("a.", &form), AQ_NOT_FOUND);
    cr_assert_eq(aq_output_form_of_path("a.xlsx", &form), AQ_NOT_FOUND);
    cr_assert_eq(aq_output_form_of_path("a.parquet", &form), AQ_OK);
    cr_assert_eq(form, AQ_OUTPUT_PARQUET);
}

static const char *json_value(enum aq_type type, const char *text)
{
    static struct aq_bytes out;
    aq_bytes_clear(&out);
    aq_json_put_value(type, aq_slice_of(text), &out);
    aq_bytes_u8(&out, 0);
    return (const char *)out.data;
}

Test(output, json_values_by_type)
{
    cr_assert_str_eq(json_value(AQ_TYPE_TIMESTAMPTZ, "2025-02-14 13:00:00+07"),
                     "\"2025-02-14T13:00:00+07:00\"");
    cr_assert_str_eq(json_value(AQ_TYPE_TIMESTAMPTZ, "2025-02-14 13:00:00.25+05:30"),
                     "\"2025-02-14T13:00:00.25+05:30\"");
    cr_assert_str_eq(json_value(AQ_TYPE_TIMESTAMPTZ, "2025-02-14 13:00:00-03"),
                     "\"2025-02-14T13:00:00-03:00\"");
    cr_assert_str_eq(json_value(AQ_TYPE_TIMESTAMP, "2025-02-14 13:00:00"),
                     "\"2025-02-14T13:00:00\"");
    cr_assert_str_eq(json_value(AQ_TYPE_DATE, "2025-02-14"), "\"2025-02-14\"");
    cr_assert_str_eq(json_value(AQ_TYPE_BOOLEAN, "t"), "true");
    cr_assert_str_eq(json_value(AQ_TYPE_BOOLEAN, "f"), "false");
    cr_assert_str_eq(json_value(AQ_TYPE_DOUBLE, "-Infinity"), "\"-Infinity\"");
    cr_assert_str_eq(json_value(AQ_TYPE_DOUBLE, "-1e-05"), "-1e-05");
    cr_assert_str_eq(json_value(AQ_TYPE_JSON, "{\"a\":\n1}"), "{\"a\": 1}");
    cr_assert_str_eq(json_value(AQ_TYPE_TEXT, "\x01\xff\\\x7f"), "\"\\u0001\xef\xbf\xbd\\\\\x7f\"");
}

static const char *display(const char *text, size_t *width)
{
    static struct aq_bytes out;
    aq_bytes_clear(&out);
    *width = aq_utf8_display(aq_slice_of(text), &out);
    aq_bytes_u8(&out, 0);
    return (const char *)out.data;
}

Test(output, what_a_terminal_is_shown_is_harmless)
{
    size_t width;
    cr_assert_str_eq(display("a\033[31m\r\n", &width), "a\\x1b[31m\\r\\n");
    cr_assert_eq(width, 13);
    cr_assert_str_eq(display("\xe2\x80\xae", &width), "\\u{202e}");
    cr_assert_str_eq(display("\xc0\xaf\xed\xa0\x80", &width), "\\xc0\\xaf\\xed\\xa0\\x80");
    display("北京", &width);
    cr_assert_eq(width, 4);
    display("Đà Nẵng", &width);
    cr_assert_eq(width, 7);
}

Test(output, people_read_numbers)
{
    char text[AQ_HUMAN_BYTES_MAX];
    cr_assert_str_eq(aq_human_count(420768, text), "420,768");
    cr_assert_str_eq(aq_human_count(7, text), "7");
    cr_assert_str_eq(aq_human_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
    cr_assert_str_eq(aq_human_size(812, text), "812 B");
    cr_assert_str_eq(aq_human_size(5714416, text), "5.4 MiB");
    cr_assert_str_eq(aq_human_seconds(0.354, text), "0.35 s");
    cr_assert_str_eq(aq_human_seconds(200, text), "3 min 20 s");
}

Test(output, a_file_appears_whole_or_not_at_all)
{
    char name[300];
    struct aq_out *stream = NULL;
    snprintf(name, sizeof(name), "%s/kept", path);
    cr_assert_eq(aq_out_open(name, &stream, NULL), AQ_OK);
    aq_out_text(stream, "half");
    cr_assert_neq(access(name, F_OK), 0, "not before it is closed");
    cr_assert_eq(aq_out_close(stream, false, NULL), AQ_OK);
    cr_assert_neq(access(name, F_OK), 0, "not kept");
    cr_assert_eq(aq_out_open(name, &stream, NULL), AQ_OK);
    aq_out_printf(stream, "%d", 42);
    cr_assert_eq(aq_out_close(stream, true, NULL), AQ_OK);
    char *text = slurp(name);
    cr_assert_str_eq(text, "42");
    free(text);
}

Test(output, a_full_disk_is_an_error)
{
    struct aq_out *stream = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_out_open("/dev/full", &stream, &err), AQ_OK);
    aq_out_text(stream, "lost");
    cr_assert_eq(aq_out_close(stream, true, &err), AQ_DISK_FULL);
    cr_assert_str_eq(err.path, "/dev/full");
    cr_assert_eq(aq_out_open("/nowhere/at/all", &stream, &err), AQ_NOT_FOUND);
}

Test(output, rows_for_people_and_for_programs)
{
    static const struct aq_result_column facts[] = {
        {"file", AQ_TYPE_TEXT}, {"bytes", AQ_TYPE_BIGINT}, {"rows", AQ_TYPE_BIGINT}};
    struct aq_rows rows;
    struct aq_bytes json = {0};
    struct aq_out *stream = NULL;
    char name[300];
    aq_rows_init(&rows, facts, 3);
    aq_rows_text(&rows, "a");
    aq_rows_count(&rows, 5714416);
    aq_rows_count(&rows, 420768);
    aq_json_open(&json, '{');
    cr_assert_eq(aq_rows_json(&rows, "files", &json, NULL), AQ_OK);
    aq_json_close(&json, '}');
    aq_bytes_u8(&json, 0);
    cr_assert_str_eq((char *)json.data,
                     "{\"files\":[{\"file\":\"a\",\"bytes\":5714416,\"rows\":420768}]}");
    snprintf(name, sizeof(name), "%s/rows", path);
    cr_assert_eq(aq_out_open(name, &stream, NULL), AQ_OK);
    cr_assert_eq(aq_rows_print(&rows, stream, NULL), AQ_OK);
    cr_assert_eq(aq_out_close(stream, true, NULL), AQ_OK);
    char *text = slurp(name);
    cr_assert_str_eq(text, " file |   bytes |    rows\n"
                           "------+---------+---------\n"
                           " a    | 5.4 MiB | 420,768\n");
    free(text);
    aq_bytes_deinit(&json);
    aq_rows_deinit(&rows);
}
