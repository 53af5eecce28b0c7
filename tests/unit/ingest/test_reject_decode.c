/* Rejects decoded once more: as their source's settings say now, with what a reject holds of a message, and
 * refused by name where that is not enough. */
#include "tests/unit/config/config_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "compaction/replay/reject_decode.h"

static const char config_text[] =
    "datasets:\n"
    "  d:\n"
    "    columns:\n"
    "      a: {type: integer, required: true}\n"
    "      p: {type: integer, from: kafka.partition}\n"
    "      o: {type: bigint, from: kafka.offset}\n"
    "      t: {type: timestamptz, from: [kafka.timestamp, arrival]}\n"
    "      s: {type: text, from: source}\n"
    "  keyed:\n"
    "    columns:\n"
    "      a: {type: integer}\n"
    "      k: {type: text, from: [b, kafka.key]}\n"
    "  blob:\n"
    "    columns:\n"
    "      b: {type: bytea, from: value}\n"
    "sources:\n"
    "  live: {kafka: {brokers: x, topics: [t]}, dataset: d, format: json, when: \"a <> 7\"}\n"
    "  lines: {kafka: {brokers: x, topics: [u]}, dataset: d, format: csv}\n"
    "  keys: {kafka: {brokers: x, topics: [t]}, dataset: keyed, format: json}\n"
    "  raws: {kafka: {brokers: x, topics: [v]}, dataset: blob, format: raw}\n"
    "  old: {files: [\"*.csv\"], dataset: d}\n";

static struct aq_config *config;
static struct aq_arena arena;
static struct aq_schema rejects;
static struct aq_replay_options options;
static struct aq_reject_decoder *decoder;
static char why[2048];

static void setup(const char *dataset, const char *header)
{
    struct aq_error err = {0};
    config = parse(config_text);
    options = (struct aq_replay_options){.config = config,
                                         .dataset = aq_config_dataset(config, dataset),
                                         .since_us = INT64_MIN,
                                         .header = header};
    const struct aq_schema *schema = &options.dataset->schema;
    cr_assert_eq(aq_schema_rejects(schema, 2, &arena, &rejects), AQ_OK);
    cr_assert_eq(aq_reject_decoder_create(&options, schema, &rejects, &decoder, &err), AQ_OK);
}

static void teardown(void)
{
    aq_reject_decoder_destroy(decoder);
    aq_config_destroy(config);
    aq_arena_deinit(&arena);
}

static struct aq_reject kafka(const char *source, const char *bytes)
{
    return (struct aq_reject){.source = aq_slice_of(source),
                              .has_partition = true,
                              .partition = 3,
                              .offset = 41,
                              .arrival_us = 1700000000000000,
                              .reason = aq_slice_of("whatever"),
                              .bytes = aq_slice_of(bytes)};
}

static struct aq_reject file(const char *source, const char *bytes)
{
    struct aq_reject reject = kafka(source, bytes);
    reject.has_partition = false;
    reject.partition = -1;
    return reject;
}

static bool takes(struct aq_reject reject)
{
    bool passed = false;
    struct aq_slice text = {0};
    struct aq_error err = {0};
    cr_assert_eq(aq_reject_decode(decoder, &reject, &passed, &text, &err), AQ_OK, "%s",
                 err.message);
    snprintf(why, sizeof why, "%.*s", (int)text.size, (const char *)text.data);
    return passed;
}

#define REFUSED(reject, part)                                  \
    do {                                                       \
        cr_expect_not(takes(reject));                          \
        cr_expect_not_null(strstr(why, part), "why: %s", why); \
    } while (0)

Test(reject_decode, a_kafka_message_with_its_place, .fini = teardown)
{
    setup("d", NULL);
    cr_expect(takes(kafka("live", "{\"a\": 1}")), "%s", why);
    REFUSED(kafka("lines", "x"), "'x' is no integer");
    REFUSED(kafka("live", "{\"a\": 7}"), "when:");
    cr_expect(takes(kafka("lines", "5")), "%s", why);
    REFUSED(kafka("gone", "{\"a\": 1}"), "no Kafka source of the config");
    REFUSED(kafka("old", "{\"a\": 1}"), "no Kafka source of the config");
    const struct aq_batch *batches[8];
    cr_assert_leq(aq_reject_decoder_batch_count(decoder), 8u);
    aq_reject_decoder_batches(decoder, batches);
    const struct aq_vector *columns = batches[0]->columns;
    cr_assert_eq(batches[0]->row_count, 1u);
    cr_expect_eq(columns[0].ints[0], 1);
    cr_expect_eq(columns[1].ints[0], 3);
    cr_expect_eq(columns[2].ints[0], 41);
    cr_expect_eq(columns[3].ints[0], 1700000000000000);
    cr_expect(aq_slice_equal(columns[4].slices[0], aq_slice_of("live")));
    cr_expect_eq(columns[5 + AQ_SYSTEM_ORDINAL].ints[0], 41);
    cr_expect_eq(columns[5 + AQ_SYSTEM_STAMP].ints[0], 1700000000000000);
    aq_reject_decoder_clear(decoder);
    cr_expect_eq(batches[0]->row_count, 0u);
}

Test(reject_decode, what_was_not_kept_is_not_made_up, .fini = teardown)
{
    setup("keyed", NULL);
    REFUSED(kafka("keys", "{\"a\": 1, \"b\": \"here\"}"), "kafka.key");
    struct aq_reject cut = file("import", "{\"a\": 1");
    struct aq_hash128 hash = {0};
    char reason[192];
    aq_long_message_reason((uint64_t)1 << 30, &hash, reason, sizeof reason);
    cut.reason = aq_slice_of(reason);
    REFUSED(cut, "only its beginning is kept");
    cut.reason = aq_slice_of("longer than it should be");
    REFUSED(cut, "not JSON");
}

Test(reject_decode, raw_bytes, .fini = teardown)
{
    setup("blob", NULL);
    cr_expect(takes(kafka("raws", "\x01")), "%s", why);
    REFUSED(kafka("raws", ""), "empty or null");
}

Test(reject_decode, files_without_a_header, .fini = teardown)
{
    setup("d", NULL);
    REFUSED(file("old", "5"), "--header");
    cr_expect(takes(file("import", "{\"a\": 5}")), "%s", why);
    REFUSED(file("import", "5,6"), "--header");
    options.format = AQ_FORMAT_NDJSON;
    cr_expect(takes(file("another", "{\"a\": 5}")), "%s", why);
    REFUSED(file("another", "nonsense"), "not JSON");
    cr_expect_null(strstr(why, "--header"), "%s", why);
}

Test(reject_decode, files_with_a_header, .fini = teardown)
{
    setup("d", "b,a");
    cr_expect(takes(file("old", "x,5")), "%s", why);
    cr_expect(takes(file("import", "x,5")), "%s", why);
    REFUSED(file("old", "x,y"), "'y' is no integer");
    const struct aq_batch *batches[8];
    aq_reject_decoder_batches(decoder, batches);
    cr_expect_eq(batches[0]->columns[0].ints[0], 5);
    cr_expect(aq_vector_is_null(&batches[0]->columns[1], 0));
}

/* A header that lacks a column that is needed: the option is wrong, not the messages. */
Test(reject_decode, a_wrong_header, .fini = teardown)
{
    bool passed;
    struct aq_slice text;
    struct aq_error err = {0};
    setup("d", "b,c");
    struct aq_reject reject = file("old", "x,5");
    cr_expect_eq(aq_reject_decode(decoder, &reject, &passed, &text, &err), AQ_INVALID);
    cr_expect_not_null(strstr(err.message, "a"), "%s", err.message);
}
