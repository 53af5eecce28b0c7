/* Queries over feeds that changed hands: masked rows are in no answer, and no answer notices when the segments
 * are sealed and compaction drops those rows for good. */
#include "compaction/compact.h"
#include "tests/unit/feed/feed_fixture.h"
#include "tests/unit/query/query_fixture.h"

#define BIG ((uint64_t)1 << 30)

static const char *const questions[] = {
    "SELECT count(*) FROM topic",
    "SELECT count(*), sum(ordinal), min(t), max(t), min(k), max(ordinal) FROM topic",
    "SELECT partition, count(*), sum(ordinal) FROM topic GROUP BY 1 ORDER BY 1",
    "SELECT k, count(*), avg(ordinal) FROM topic GROUP BY 1 ORDER BY 1",
    "SELECT count(*) FROM topic WHERE k = 'hanoi'",
    "SELECT count(*) FROM topic WHERE k IN ('oslo', 'beijing') AND partition = 0",
    "SELECT count(*) FROM topic WHERE k = 'nowhere'",
    "SELECT count(*), max(ordinal) FROM topic WHERE t < '2023-11-15 00:01:00+00'",
    "SELECT count(*) FROM topic WHERE t >= '2023-11-15 00:01:00+00' AND partition = 0",
    "SELECT count(*) FROM topic WHERE t IS NOT NULL AND k IS NOT NULL",
    "SELECT ordinal FROM topic WHERE partition = 0 ORDER BY t DESC LIMIT 5",
    "SELECT count(*), sum(\"offset\") FROM topic_rejects",
    "SELECT DISTINCT partition FROM topic ORDER BY 1",
};
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

static void open_snapshot(struct aq_store *store)
{
    struct aq_error err = {0};
    cr_assert_eq(aq_snapshot_open(store, &fixture_snapshot, &err), AQ_OK, "%s: %s", err.path,
                 err.message);
}

static void expect_same(struct aq_store *store, char answers[QUESTIONS][512])
{
    open_snapshot(store);
    for (size_t i = 0; i < QUESTIONS; i++) {
        enum aq_status status;
        const char *now = answer_with(questions[i], NULL, &status);
        cr_assert_eq(status, AQ_OK, "%s: %s", questions[i], now);
        if (answers[i][0] == '\0')
            snprintf(answers[i], sizeof answers[i], "%s", now);
        cr_expect_str_eq(answers[i], now, "%s", questions[i]);
    }
    aq_snapshot_close(fixture_snapshot);
}

Test(feed_queries, do_not_notice_what_becomes_of_masked_rows)
{
    scratch_make();
    struct owner old, new;
    char answers[QUESTIONS][512] = {{0}};
    char expected[64];
    owner_begin(&old, BIG);
    owner_begin(&new, BIG);
    owner_take_ok(&old, 3);
    owner_append(&old, 3, 40);
    owner_take_ok(&new, 1);
    owner_append(&old, 3, 60); /* masked in part */
    owner_append(&old, 1, 60); /* masked whole */
    owner_append(&new, 1, 30);
    uint64_t rows = 0;
    for (unsigned p = 0; p < 2; p++)
        rows += feed_found(&new, p).position.row_count;
    snprintf(expected, sizeof expected, "%llu", (unsigned long long)rows);
    expect_same(new.store, answers);
    cr_assert_str_eq(answers[0], expected);
    cr_assert_str_eq(answers[6], "0");
    cr_assert_eq(aq_shard_writer_seal(old.writer, NULL), AQ_OK);
    expect_same(new.store, answers);
    cr_assert_eq(aq_shard_writer_seal(new.writer, NULL), AQ_OK);
    expect_same(old.store, answers);
    struct aq_compact_options options = {.thread_count = 1};
    struct aq_compact_report report;
    cr_assert_eq(aq_compact(new.store, &options, &report, NULL), AQ_OK);
    cr_assert_eq(report.segment_count, 2);
    expect_same(new.store, answers);
    owner_end(&old);
    owner_end(&new);
}
