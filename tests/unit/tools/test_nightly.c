/* Compaction at night: when it is due, what is left of it elsewhere, and how fast it may go. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "compaction/compact.h"
#include "compaction/nightly/last_run.h"
#include "compaction/nightly/rate_limit.h"
#include "engine/base/clock.h"
#include "engine/base/schedule.h"
#include "tests/unit/compaction/air_fixture.h"
#include "tools/service/nightly.h"

static int64_t at(const char *text)
{
    int64_t time_us = 0;
    cr_assert_eq(aq_time_parse(aq_slice_of(text), aq_zone_utc(), &time_us), AQ_OK, "%s", text);
    return time_us;
}

static struct aq_schedule daily(const char *text)
{
    struct aq_schedule schedule = {0};
    cr_assert(aq_schedule_parse_daily(text, &schedule), "%s", text);
    cr_assert(aq_schedule_is_set(&schedule));
    return schedule;
}

static void expect_next(const char *schedule_text, const char *last, const char *now,
                        const char *expected)
{
    struct aq_schedule schedule = daily(schedule_text);
    char found[64];
    int64_t next_us = aq_schedule_next(&schedule, last == NULL ? 0 : at(last), at(now));
    aq_time_format(next_us, aq_zone_utc(), found, sizeof found);
    cr_assert_eq(next_us, at(expected), "%s after %s, now %s: %s", schedule_text,
                 last == NULL ? "never" : last, now, found);
}

Test(schedule, texts)
{
    static const char *const bad[] = {"",      "2:30",     "02:3",       "24:00",  "02:60",
                                      "02-30", "02:30x",   "02:30 Mars", "02:30 ", "6h",
                                      "02:3a", "02:30:00", "02:30 GMT+7"};
    struct aq_schedule schedule = {0};
    char text[96];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!aq_schedule_parse_daily(bad[i], &schedule), "%s", bad[i]);
    cr_assert(!aq_schedule_is_set(&schedule));
    schedule = daily("23:59 Asia/Shanghai");
    aq_schedule_format(&schedule, text, sizeof text);
    cr_assert_str_eq(text, "23:59 Asia/Shanghai");
    schedule = daily("00:05");
    aq_schedule_format(&schedule, text, sizeof text);
    cr_assert_str_eq(text, "00:05");
    (void)daily("02:30+08:00");
    (void)daily("02:30 Z");
}

Test(schedule, daily_in_utc)
{
    expect_next("02:30", "2025-01-10 02:30", "2025-01-10 02:31", "2025-01-11 02:30");
    expect_next("02:30", "2025-01-10 02:29:59", "2025-01-10 02:29:59.5", "2025-01-10 02:30");
    expect_next("02:30", "2025-01-10 14:00", "2025-01-10 15:00", "2025-01-11 02:30");
    expect_next("02:30", "2025-12-31 02:30", "2025-12-31 03:00", "2026-01-01 02:30");
    expect_next("00:00", "2024-02-28 00:00", "2024-02-28 01:00", "2024-02-29 00:00");
}

/* However long the process was away, one run is due, at once; behind it the next night's. */
Test(schedule, missed_runs_are_made_up_for_once)
{
    expect_next("02:30", "2025-01-10 02:30", "2025-01-20 12:00", "2025-01-11 02:30");
    expect_next("02:30", "2025-01-20 12:00", "2025-01-20 12:05", "2025-01-21 02:30");
}

/* Never run, or by a clock that has been set back since: as if it had run just now. */
Test(schedule, a_run_in_the_future_does_not_count)
{
    expect_next("02:30", NULL, "2025-01-10 12:00", "2025-01-11 02:30");
    expect_next("02:30", "2035-01-01 00:00", "2025-01-10 12:00", "2025-01-11 02:30");
}

Test(schedule, daily_in_a_zone)
{
    expect_next("02:30 Asia/Shanghai", "2025-01-10 00:00", "2025-01-10 00:00", "2025-01-10 18:30");
    expect_next("02:30 +08:00", "2025-01-10 18:30", "2025-01-10 18:31", "2025-01-11 18:30");
    /* 02:30 is skipped on 2025-03-30 in Berlin, and comes an hour later. */
    expect_next("02:30 Europe/Berlin", "2025-03-29 01:30", "2025-03-29 02:00", "2025-03-30 01:30");
    expect_next("02:30 Europe/Berlin", "2025-03-30 01:30", "2025-03-30 02:00", "2025-03-31 00:30");
    /* It is there twice on 2025-10-26: one run. */
    expect_next("02:30 Europe/Berlin", "2025-10-25 00:30", "2025-10-25 00:31", "2025-10-26 01:30");
    expect_next("02:30 Europe/Berlin", "2025-10-26 01:30", "2025-10-26 01:31", "2025-10-27 01:30");
}

Test(schedule, spans)
{
    struct aq_schedule six_hours = {.every_us = 6 * AQ_US_PER_HOUR}, none = {0};
    int64_t last_us = at("2025-01-10 01:00"), now_us = at("2025-01-10 03:00");
    cr_assert_eq(aq_schedule_next(&six_hours, last_us, now_us), at("2025-01-10 07:00"));
    cr_assert_eq(aq_schedule_next(&six_hours, 0, now_us), at("2025-01-10 09:00"));
    cr_assert_eq(aq_schedule_next(&none, last_us, now_us), INT64_MAX);
    six_hours.every_us = INT64_MAX;
    cr_assert_eq(aq_schedule_next(&six_hours, last_us, now_us), INT64_MAX);
}

Test(nightly, failures_wait_longer_and_longer)
{
    static const int64_t minutes[] = {0, 1, 2, 4, 8, 16, 32, 60, 60};
    for (unsigned i = 0; i < sizeof minutes / sizeof minutes[0]; i++)
        cr_assert_eq(aq_nightly_retry_us(i), minutes[i] * 60 * AQ_US_PER_SECOND, "%u", i);
    cr_assert_eq(aq_nightly_retry_us(UINT32_MAX), AQ_US_PER_HOUR);
}

/* What any process did is remembered by the home; what failed, or only looked, is not. */
Test(nightly, the_home_knows_its_last_run)
{
    struct air air;
    struct aq_compact_report report;
    struct aq_compact_options options = {.dry_run = true};
    scratch_make();
    air_open(&air, "home");
    cr_assert_eq(aq_compact_last_run_us(air.store), 0);
    cr_assert_eq(aq_compact(air.store, &options, &report, NULL), AQ_OK);
    aq_compact_note_run(air.store, 1234567890123456);
    cr_assert_eq(aq_compact_last_run_us(air.store), 1234567890123456);
    cr_assert_eq(aq_compact(air.store, &options, &report, NULL), AQ_OK);
    struct aq_store_lock *lock;
    options.dry_run = false;
    cr_assert_eq(aq_store_lock(air.store, "compact", true, &lock, NULL), AQ_OK);
    cr_assert_eq(aq_compact(air.store, &options, &report, NULL), AQ_CONFLICT);
    aq_store_unlock(lock);
    cr_assert_eq(aq_compact_last_run_us(air.store), 1234567890123456);
    int64_t begin_us = aq_clock_wall_us();
    cr_assert_eq(aq_compact(air.store, &options, &report, NULL), AQ_OK);
    int64_t noted_us = aq_compact_last_run_us(air.store);
    cr_assert(noted_us >= begin_us && noted_us <= aq_clock_wall_us());
    aq_store_close(air.store);
}

/* ---- rate ---- */

Test(rate_limit, a_debt_is_waited_for)
{
    struct aq_token_bucket bucket;
    aq_token_bucket_init(&bucket, 1000000, 0); /* a byte a microsecond; 250,001 at once */
    cr_assert_eq(aq_token_bucket_take(&bucket, 250000, 0), 0);
    cr_assert_eq(aq_token_bucket_take(&bucket, 100001, 0), 100000);
    cr_assert_eq(aq_token_bucket_take(&bucket, 0, 50000), 50000);
    cr_assert_eq(aq_token_bucket_take(&bucket, 10, 100000), 10);
    /* Rest does not add up to more than a burst. */
    cr_assert_eq(aq_token_bucket_take(&bucket, 250001, 100000000), 0);
    cr_assert_eq(aq_token_bucket_take(&bucket, 1000, 100000000), 1000);
    /* The clock never goes back; if it did, nothing would come in. */
    cr_assert_eq(aq_token_bucket_take(&bucket, 1000, 0), 2000);
}

/* Whatever the sizes: who waits as told gets the rate, less a burst at the beginning. */
Test(rate_limit, holds_over_time)
{
    static const uint64_t sizes[] = {1, 333, 65536, 8 << 20, 0, 77777};
    struct aq_token_bucket bucket;
    const uint64_t rate = 50 << 20;
    int64_t now_us = 1000;
    uint64_t spent = 0;
    aq_token_bucket_init(&bucket, rate, now_us);
    for (int i = 0; i < 6000; i++) {
        now_us += aq_token_bucket_take(&bucket, sizes[i % 6], now_us);
        spent += sizes[i % 6];
    }
    double seconds = (double)(now_us - 1000) * 1e-6;
    double expected = ((double)spent - (double)rate / 4) / (double)rate;
    cr_assert(seconds > expected * 0.99 && seconds < expected * 1.01, "%f %f", seconds, expected);
}

Test(rate_limit, no_limit_and_a_stop_do_not_wait)
{
    static atomic_bool stop = true;
    struct aq_rate_limit limit;
    int64_t begin_us = aq_clock_us();
    aq_rate_limit_spend(NULL, UINT64_MAX);
    aq_rate_limit_init(&limit, 0, NULL);
    aq_rate_limit_spend(&limit, UINT64_MAX);
    aq_rate_limit_deinit(&limit);
    aq_rate_limit_init(&limit, 65536, &stop);
    aq_rate_limit_spend(&limit, UINT64_MAX);
    aq_rate_limit_deinit(&limit);
    cr_assert_lt(aq_clock_us() - begin_us, 60 * AQ_US_PER_SECOND);
}
