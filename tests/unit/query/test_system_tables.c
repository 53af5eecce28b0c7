/* The store's own tables: that they say what is in the fixture's store, before and after compaction, and that
 * WHERE spares work without changing an answer. */
#include "tests/unit/query/query_fixture.h"

#include "compaction/compact.h"

TestSuite(system_tables, .init = fixture_open, .fini = fixture_close);

static void compact(void)
{
    struct aq_compact_report report;
    struct aq_compact_options options = {.target_size_bytes = 1 << 20};
    struct aq_error err = {0};
    aq_snapshot_close(fixture_snapshot);
    fixture_snapshot = NULL;
    cr_assert_eq(aq_compact(fixture_store, &options, &report, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_snapshot_open(fixture_store, &fixture_snapshot, &err), AQ_OK);
}

static const struct question partitions[] = {
    {"SELECT dataset, key, slot, rows, files, tier, oldest, newest, duplicates_hidden "
     "FROM aqstore_partitions ORDER BY key",
     "readings|hanoi|2025-02-14 00:00:00+00|10|1|home|2025-02-14 00:00:00+00|"
     "2025-02-14 20:00:00+00|0;"
     "readings|oslo|2025-02-14 00:00:00+00|4|1|home|2025-02-14 00:00:00+00|"
     "2025-02-14 07:00:00+00|0"},
    {"SELECT sum(rows), count(*) FROM aqstore_partitions", "14|2"},
    {"SELECT rows FROM aqstore_partitions WHERE dataset = 'readings' AND key = 'oslo'", "4"},
    {"SELECT rows FROM aqstore_partitions WHERE dataset = 'other' OR key = 'hanoi'", "10"},
    {"SELECT rows FROM aqstore_partitions WHERE slot < '2025-02-14'", ""},
    {"SELECT count(*) FROM aqstore_partitions WHERE slot >= '2025-02-14'", "2"},
    {"SELECT count(*) FROM aqstore_partitions WHERE dataset = 'readings_rejects'", "0"},
};

Test(system_tables, partitions)
{
    ASK(partitions);
    compact();
    ASK(partitions);
}

/* The readings once more, as a dataset in which two are re-sent. */
static void fill_resent(void)
{
    struct aq_error err = {0};
    aq_snapshot_close(fixture_snapshot);
    fixture_snapshot = NULL;
    struct readings to = readings_begin("resent", 3);
    readings_write(&to, hanoi_morning, sizeof hanoi_morning / sizeof hanoi_morning[0]);
    readings_write(&to, hanoi_evening, sizeof hanoi_evening / sizeof hanoi_evening[0]);
    readings_end(&to);
    cr_assert_eq(aq_snapshot_open(fixture_store, &fixture_snapshot, &err), AQ_OK);
}

/* However often they are counted: also when they have been hidden already, as by the first of two queries. */
Test(system_tables, duplicates_hidden)
{
    static const struct question questions[] = {
        {"SELECT key, rows, duplicates_hidden FROM aqstore_partitions WHERE dataset = 'resent'",
         "hanoi|8|2"},
        {"SELECT sum(rows) FROM aqstore_files WHERE dataset = 'resent'", "10"},
        {"SELECT sum(rows), sum(duplicates_hidden) FROM aqstore_partitions", "22|2"},
        {"SELECT dataset, rows, duplicates_hidden FROM aqstore_partitions WHERE key = 'hanoi' "
         "ORDER BY 1",
         "readings|10|0;resent|8|2"},
    };
    fill_resent();
    ASK(questions);
    char by_file[8192];
    snprintf(by_file, sizeof by_file, "%s",
             answer("SELECT sum(bytes) FROM aqstore_files WHERE dataset = 'resent'"));
    cr_expect_str_eq(answer("SELECT sum(bytes) FROM aqstore_partitions WHERE dataset = 'resent'"),
                     by_file);
}

/* Whatever is counted where, it is the same. */
Test(system_tables, sums_agree)
{
    for (int state = 0; state < 2; state++) {
        char by_file[8192];
        snprintf(by_file, sizeof by_file, "%s",
                 answer("SELECT sum(rows), sum(bytes) FROM aqstore_files"));
        cr_expect_str_eq(answer("SELECT sum(rows), sum(bytes) FROM aqstore_partitions"), by_file);
        cr_expect_str_neq(by_file, "14|0");
        cr_expect_eq(strncmp(by_file, "14|", 3), 0, "%s", by_file);
        compact();
    }
}

Test(system_tables, files)
{
    static const struct question before[] = {
        {"SELECT id, name, dataset, kind, state, rows, oldest, newest, tier, object "
         "FROM aqstore_files",
         "1|segments/00000000000000000001.seg|readings|segment|closed|14|"
         "2025-02-14 00:00:00+00|2025-02-14 20:00:00+00|home|~"},
        {"SELECT id FROM aqstore_files WHERE kind = 'archive'", ""},
    };
    static const struct question after[] = {
        {"SELECT id, dataset, kind, rows FROM aqstore_files", "2|readings|archive|14"},
    };
    ASK(before);
    compact();
    ASK(after);
}

Test(system_tables, commits)
{
    static const struct question questions[] = {
        {"SELECT what FROM aqstore_commits WHERE edit = 1", "made 1 store"},
        {"SELECT what FROM aqstore_commits WHERE declarations > 0", "declared 2 datasets"},
        {"SELECT opened, claims FROM aqstore_commits WHERE what LIKE 'opened 1 segment, began 1 "
         "feed, claimed 1 feed%'",
         "1|1"},
        {"SELECT closed, rows FROM aqstore_commits WHERE closed > 0", "1|14"},
        {"SELECT archives, removed, rows, what FROM aqstore_commits WHERE archives > 0",
         "1|1|14|added 1 archive, removed 1 file"},
        {"SELECT count(*) FROM aqstore_commits WHERE edit > 1000", "0"},
    };
    compact();
    ASK(questions);
    cr_expect_str_eq(answer("SELECT count(*) - max(edit) FROM aqstore_commits"), "0");
    cr_expect_str_eq(answer("SELECT count(*) FROM aqstore_commits WHERE time > now()"), "0");
    /* The archive's edit is the one that added it. */
    char edit[8192];
    snprintf(edit, sizeof edit, "%s", answer("SELECT edit FROM aqstore_files"));
    cr_expect_str_eq(answer("SELECT edit FROM aqstore_commits WHERE archives = 1"), edit);
}

/* One lag for each feed, asked for only when the column is. */
static unsigned asked;
static void ask_lags(void *context, const struct aq_feed_state *feeds, size_t feed_count,
                     int64_t *lags)
{
    cr_expect_eq(context, &asked);
    cr_expect_eq(feed_count, 1);
    cr_expect_eq(feeds[0].position.next_ordinal, 14);
    lags[0] = 42;
    asked++;
}

Test(system_tables, sources)
{
    static const struct question questions[] = {
        {"SELECT source, dataset, name, partition, incarnation, cluster, state, position, lag, "
         "rows, "
         "rejects, passed_over, lost FROM aqstore_sources",
         "test|readings|readings|~|0|~|unfinished|14|~|14|0|0|0"},
    };
    ASK(questions);
    struct aq_query_lags lags = {.context = &asked, .ask = ask_lags};
    struct aq_query_options options = {.lags = &lags};
    enum aq_status status;
    cr_expect_str_eq(answer_with("SELECT rows FROM aqstore_sources", &options, &status), "14");
    cr_expect_eq(asked, 0);
    cr_expect_str_eq(answer_with("SELECT lag FROM aqstore_sources", &options, &status), "42");
    cr_expect_eq(asked, 1);
}

Test(system_tables, are_tables_like_others)
{
    static const struct question questions[] = {
        {"SELECT sum(n) FROM (SELECT count(*) AS n FROM aqstore_files UNION ALL "
         "SELECT count(*) FROM aqstore_partitions) AS u",
         "3"},
        {"SELECT p.key AS k FROM aqstore_partitions AS p ORDER BY k DESC LIMIT 1", "oslo"},
        {"SELECT first(key, slot), last(rows, rows) FROM aqstore_partitions", "hanoi|10"},
        {"SELECT 1 FROM aqstore_partition",
         "line 1:15: relation \"aqstore_partition\" does not exist; did you mean "
         "\"aqstore_partitions\"?"},
    };
    ASK(questions);
    enum aq_status status;
    struct aq_query_options options = {.memory_bytes = 16};
    const char *message = answer_with("SELECT * FROM aqstore_partitions", &options, &status);
    cr_expect_eq(status, AQ_LIMIT, "%s", message);
}
