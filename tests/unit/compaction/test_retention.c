/* Retention: what expires by the clock, and that just that goes. */
#include <string.h>

#include "compaction/retention/retention_plan.h"
#include "tests/unit/store/history_fixture.h"

/* Noon of day 100. */
#define NOW (100 * DAY + DAY / 2)

static struct aq_retention_rule by_city[] = {{"test-*", 10 * DAY}, {"hanoi", AQ_RETENTION_FOREVER}};

static struct aq_retention kept_for(int64_t span_us)
{
    return (struct aq_retention){.dataset = "air", .default_us = span_us, .rejects_us = span_us};
}

static struct aq_retention kept_by_city(int64_t span_us)
{
    struct aq_retention retention = kept_for(span_us);
    retention.rule_count = 2;
    retention.rules = by_city;
    return retention;
}

static struct aq_retention_piece piece(uint64_t file_id, const char *key, int64_t first,
                                       int64_t last)
{
    return (struct aq_retention_piece){.file_id = file_id,
                                       .key = aq_slice_of(key),
                                       .min_us = first * DAY,
                                       .max_us = last * DAY + DAY - 1};
}

static struct aq_retention_plan plan_for(const struct history *history,
                                         const struct aq_retention *retention,
                                         struct aq_retention_piece *pieces, size_t piece_count,
                                         struct aq_arena *arena)
{
    struct aq_retention_plan plan;
    struct aq_error err = {0};
    cr_assert_eq(aq_retention_targets(history->catalog, retention, 1, NOW, arena, &plan, &err),
                 AQ_OK);
    for (size_t i = 0; i < plan.target_count; i++) {
        cr_assert_eq(plan.targets[i].keyed, piece_count > 0);
        plan.targets[i].pieces = pieces;
        plan.targets[i].piece_count = piece_count;
    }
    cr_assert_eq(aq_retention_choose(history->catalog, NOW, arena, &plan, &err), AQ_OK);
    return plan;
}

/* Commit what a plan says, as aq_expire does. */
static void apply(struct history *history, const struct aq_retention_plan *plan)
{
    struct aq_record records[16];
    size_t count = 0;
    for (size_t i = 0; i < plan->file_count; i++)
        records[count++] = (struct aq_record){.kind = AQ_RECORD_REMOVE,
                                              .remove = {.file_id = plan->files[i]->file_id}};
    for (size_t i = 0; i < plan->removal_count; i++)
        records[count++] =
            (struct aq_record){.kind = AQ_RECORD_TOMBSTONE,
                               .tombstone = {.dataset_id = 1,
                                             .key_count = plan->removals[i].key_count,
                                             .keys = plan->removals[i].keys,
                                             .from_us = INT64_MIN,
                                             .until_us = plan->removals[i].until_us,
                                             .before_edit = history->catalog->number + 1}};
    edit(history, records, count);
}

Test(retention, whole_files_go_and_rows_of_others)
{
    struct history history = begin();
    struct aq_arena arena = {0};
    struct aq_retention retention = kept_for(30 * DAY);
    add_archive(&history, 1, 0, 69);
    add_archive(&history, 2, 60, 80);
    add_archive(&history, 3, 70, 99);
    struct aq_retention_plan plan = plan_for(&history, &retention, NULL, 0, &arena);
    cr_assert_eq(plan.file_count, 1);
    cr_assert_eq(plan.files[0]->file_id, 1);
    cr_assert_eq(plan.removal_count, 1);
    cr_assert_eq(plan.removals[0].until_us, 70 * DAY, "noon, 30 days ago, down to the day");
    cr_assert_eq(plan.removals[0].key_count, 0);
    apply(&history, &plan);
    cr_assert_null(aq_catalog_file(history.catalog, 1));
    plan = plan_for(&history, &retention, NULL, 0, &arena);
    cr_assert_eq(plan.file_count + plan.removal_count, 0, "once is enough");
    add_archive(&history, 4, 65, 75); /* came late */
    plan = plan_for(&history, &retention, NULL, 0, &arena);
    cr_assert_eq(plan.removal_count, 1);
    aq_arena_deinit(&arena);
    aq_catalog_release(history.catalog);
}

Test(retention, nothing_goes_where_nothing_is_said)
{
    struct history history = begin();
    struct aq_arena arena = {0};
    struct aq_retention other = {.dataset = "elsewhere", .default_us = DAY};
    struct aq_retention forever = kept_for(AQ_RETENTION_FOREVER);
    struct aq_retention plain = {.dataset = "plain", .default_us = DAY};
    struct aq_retention ages = kept_for(INT64_MAX);
    const struct aq_retention *each[] = {&other, &forever, &plain, &ages};
    add_archive(&history, 1, 0, 1);
    for (size_t i = 0; i < 4; i++) {
        struct aq_retention_plan plan = plan_for(&history, each[i], NULL, 0, &arena);
        cr_assert_eq(plan.file_count + plan.removal_count, 0, "case %zu", i);
    }
    aq_arena_deinit(&arena);
    aq_catalog_release(history.catalog);
}

Test(retention, by_patterns_of_keys)
{
    struct history history = begin();
    struct aq_arena arena = {0};
    struct aq_retention retention = kept_by_city(30 * DAY);
    struct aq_retention_piece pieces[] = {
        piece(1, "test-1", 0, 50),  piece(1, "test-2", 50, 89), piece(2, "hanoi", 0, 99),
        piece(2, "oslo", 60, 99),   piece(2, "lima", 70, 99),   piece(2, "test-1", 80, 95),
        piece(2, "test-3", 90, 99), piece(3, "oslo", 0, 69),
    };
    add_archive(&history, 1, 0, 89);
    add_archive(&history, 2, 0, 99);
    add_archive(&history, 3, 0, 69);
    struct aq_retention_plan plan = plan_for(&history, &retention, pieces, 8, &arena);
    cr_assert_eq(plan.file_count, 2, "all their keys have expired");
    cr_assert_eq(plan.files[0]->file_id, 1);
    cr_assert_eq(plan.files[1]->file_id, 3);
    cr_assert_eq(plan.removal_count, 2, "none for all keys, since hanoi stays");
    cr_assert_eq(plan.removals[0].until_us, 90 * DAY);
    cr_assert_eq(plan.removals[0].key_count, 1);
    cr_assert(aq_slice_equal(plan.removals[0].keys[0], aq_slice_of("test-1")));
    cr_assert_eq(plan.removals[1].until_us, 70 * DAY);
    cr_assert_eq(plan.removals[1].key_count, 1, "lima has nothing that old");
    cr_assert(aq_slice_equal(plan.removals[1].keys[0], aq_slice_of("oslo")));
    apply(&history, &plan);
    plan = plan_for(&history, &retention, pieces + 2, 5, &arena);
    cr_assert_eq(plan.file_count + plan.removal_count, 0);
    aq_arena_deinit(&arena);
    aq_catalog_release(history.catalog);
}

/* Where the longest span is not for ever, rows that are older go whatever their key. */
Test(retention, the_longest_span_needs_no_keys)
{
    struct history history = begin();
    struct aq_arena arena = {0};
    struct aq_retention retention = kept_by_city(30 * DAY);
    retention.rule_count = 1;
    struct aq_retention_piece pieces[] = {piece(1, "test-1", 0, 99), piece(1, "oslo", 0, 99)};
    add_archive(&history, 1, 0, 99);
    struct aq_retention_plan plan = plan_for(&history, &retention, pieces, 2, &arena);
    cr_assert_eq(plan.removal_count, 2);
    cr_assert_eq(plan.removals[0].key_count, 0);
    cr_assert_eq(plan.removals[0].until_us, 70 * DAY);
    cr_assert_eq(plan.removals[1].key_count, 1);
    cr_assert_eq(plan.removals[1].until_us, 90 * DAY);
    aq_arena_deinit(&arena);
    aq_catalog_release(history.catalog);
}

/* A segment with rows of two datasets goes whole when both have expired. */
Test(retention, segments_go_when_all_in_them_has_expired)
{
    struct history history = begin();
    struct aq_arena arena = {0};
    struct aq_retention retention = kept_for(30 * DAY);
    struct aq_file_entry entries[] = {{.dataset_id = 1,
                                       .schema_version = 1,
                                       .row_count = 3,
                                       .has_time = true,
                                       .max_time_us = 5 * DAY},
                                      {.dataset_id = 2, .schema_version = 1, .row_count = 3}};
    for (uint64_t file_id = 1; file_id <= 2; file_id++) {
        struct aq_record records[] = {
            {.kind = AQ_RECORD_OPEN, .open = {.file_id = file_id, .epoch = file_id}},
            {.kind = AQ_RECORD_CLOSE,
             .close = {.file_id = file_id,
                       .frame_count = 1,
                       .entry_count = file_id,
                       .entries = entries}}};
        edit(&history, records, 2);
    }
    edit(&history, &(struct aq_record){.kind = AQ_RECORD_OPEN, .open = {.file_id = 3, .epoch = 3}},
         1);
    struct aq_retention_plan plan = plan_for(&history, &retention, NULL, 0, &arena);
    cr_assert_eq(plan.file_count, 1);
    cr_assert_eq(plan.files[0]->file_id, 1, "the other has rows that stay, and one is open");
    cr_assert_eq(plan.removal_count, 1);
    aq_arena_deinit(&arena);
    aq_catalog_release(history.catalog);
}

static enum aq_status judge_clock(const struct history *history, int64_t now_us, const char *part)
{
    struct aq_error err = {0};
    enum aq_status status = aq_retention_check_clock(history->catalog, now_us, &err);
    cr_assert(status == AQ_OK || strstr(err.message, part) != NULL, "%s", err.message);
    cr_assert(status == AQ_OK || strstr(err.message, "--trust-clock") != NULL, "%s", err.message);
    return status;
}

Test(retention, a_clock_that_jumped_is_not_believed)
{
    struct history history = begin();
    history.time_us = NOW;
    struct aq_record records[] = {
        {.kind = AQ_RECORD_FEED, .feed = {.feed_id = 1, .dataset_id = 1, .partition = 0}},
        {.kind = AQ_RECORD_POSITION,
         .position = {.feed_id = 1, .next_ordinal = 7, .last_stamp_us = NOW - 2 * DAY}}};
    edit(&history, records, 2);
    cr_assert_eq(judge_clock(&history, NOW, ""), AQ_OK);
    cr_assert_eq(judge_clock(&history, NOW + 30 * DAY, ""), AQ_OK, "a month's pause");
    cr_assert_eq(judge_clock(&history, NOW - DAY / 2, ""), AQ_OK);
    cr_assert_eq(judge_clock(&history, NOW - 2 * DAY, "newest edit"), AQ_LIMIT);
    cr_assert_eq(judge_clock(&history, NOW + 365 * DAY, "newest message"), AQ_LIMIT);
    /* Others have gone on with the wrong clock: the edits say so, the messages do not. */
    history.time_us = NOW + 365 * DAY;
    edit(&history, NULL, 0);
    cr_assert_eq(judge_clock(&history, NOW + 365 * DAY, "newest message"), AQ_LIMIT);
    aq_catalog_release(history.catalog);
}
