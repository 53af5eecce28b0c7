/* What nightly compactions make of a year, by the planner alone: how many files, and how often each row is written. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/compaction/plan_random.h"

#define DAYS_BEFORE 366 /* ticks before the first day, for late rows */
#define DAYS_BEHIND 40
#define ROWS_A_DAY 288 /* of a city: one in five minutes */

struct year {
    struct sim sim;
    size_t most_files;
};

static struct year year; /* too large for a stack */

static void begin(uint64_t cities, size_t days)
{
    memset(&year, 0, sizeof year);
    year.sim = (struct sim){
        .origin_us = (aq_days_from_civil(2025, 1, 1) - DAYS_BEFORE) * AQ_US_PER_DAY,
        .tick_us = AQ_US_PER_DAY,
        .tick_count = DAYS_BEFORE + days + DAYS_BEHIND,
        .options = {.target_size_bytes = 128 << 20, .late_us = 6 * AQ_US_PER_HOUR},
        .bytes_per_row = 5,
        .run_bytes = 250,
        .keys = cities,
        .edit = 1,
    };
}

/* A compaction of what has come. */
static void compact(void)
{
    year.sim.edit++;
    sim_compact(&year.sim);
    if (year.sim.file_count > year.most_files)
        year.most_files = year.sim.file_count;
}

/* A night, half past two: yesterday's rows, some of the day before, `month_late` a thousand of a month before. */
static void night(size_t day, uint64_t month_late)
{
    struct sim *sim = &year.sim;
    uint64_t rows = sim->keys * ROWS_A_DAY * 105 / 100;
    struct sim_file *segment = sim_add(sim, true);
    segment->bytes = rows * 25;
    segment->rows[DAYS_BEFORE + day - 1] = rows / 100;
    segment->rows[DAYS_BEFORE + day - 30] = rows * month_late / 1000;
    segment->rows[DAYS_BEFORE + day] = rows - rows / 100 - rows * month_late / 1000;
    sim->options.now_us = sim_time(sim, DAYS_BEFORE + day + 1) + 150 * 60 * AQ_US_PER_SECOND;
    compact();
}

static double amplification(void)
{
    return (double)year.sim.written_bytes / (double)sim_final_bytes(&year.sim);
}

/* The nights, then those without new rows until the year is closed, and one more that finds nothing to do. */
static void run(uint64_t cities, size_t days, uint64_t month_late)
{
    begin(cities, days);
    for (size_t day = 0; day < days; day++)
        night(day, month_late);
    for (size_t day = days; day < days + 2; day++) {
        year.sim.options.now_us = sim_time(&year.sim, DAYS_BEFORE + day + 1);
        year.sim.edit++;
        sim_compact(&year.sim);
    }
    cr_assert_not(sim_compact(&year.sim), "nothing is left to do");
    cr_log_info("%llu cities, %zu days: %zu files, %zu at most, written %.2f times",
                (unsigned long long)cities, days, year.sim.file_count, year.most_files,
                amplification());
}

Test(roll_up, a_year_of_a_thousand_cities)
{
    run(1000, 365, 1);
    cr_assert_leq(year.sim.file_count, 12);
    cr_assert_leq(year.most_files, 45);
    cr_assert_leq(amplification(), 3.1);
    sim_end(&year.sim);
}

Test(roll_up, files_follow_bytes_and_not_years)
{
    run(1000, 730, 1);
    cr_assert_leq(year.sim.file_count, 16);
    cr_assert_leq(amplification(), 3.1);
    sim_end(&year.sim);
}

Test(roll_up, a_small_store_ends_with_a_handful)
{
    run(20, 365, 1);
    cr_assert_leq(year.sim.file_count, 4);
    cr_assert_leq(year.most_files, 50);
    cr_assert_leq(amplification(), 3.7);
    sim_end(&year.sim);
}

Test(roll_up, large_days_need_no_year)
{
    run(10000, 120, 1);
    for (size_t i = 0, large = 0; i < year.sim.file_count; i++) {
        large += year.sim.files[i].bytes > (64 << 20);
        cr_assert_leq(year.sim.files[i].bytes, 256 << 20);
        cr_assert(i + 1 < year.sim.file_count || large + 12 > year.sim.file_count);
    }
    cr_assert_leq(amplification(), 2.4);
    sim_end(&year.sim);
}

Test(roll_up, many_late_rows_cost_a_logarithm)
{
    run(1000, 365, 100);
    cr_assert_leq(year.sim.file_count, 12);
    cr_assert_leq(amplification(), 3.5);
    sim_end(&year.sim);
}

/* One row of a year ago, in one night. */
Test(roll_up, a_year_late_row_rewrites_nothing_large)
{
    run(1000, 365, 1);
    uint64_t written = year.sim.written_bytes;
    struct sim_file *segment = sim_add(&year.sim, true);
    segment->bytes = 4096;
    segment->rows[DAYS_BEFORE + 20] = 1;
    year.sim.edit++;
    cr_assert(sim_compact(&year.sim));
    cr_assert_lt(year.sim.written_bytes - written, 1 << 20);
    cr_assert_not(sim_compact(&year.sim));
    sim_end(&year.sim);
}

/* Archives that no compaction will read again, of files with so many bytes or more. */
static size_t count_final(uint64_t bytes, size_t *others)
{
    struct sim *sim = &year.sim;
    struct aq_catalog_file *files = calloc(sim->file_count, sizeof *files);
    struct aq_file_entry *entries = calloc(sim->file_count, sizeof *entries);
    struct aq_arena arena = {0};
    struct aq_compact_plan plan;
    size_t final = 0;
    *others = 0;
    sim_plan(sim, files, entries, &arena, &plan);
    for (size_t i = 0; i < plan.verdict_count; i++) {
        if (files[i].size_bytes < bytes)
            continue;
        final += plan.verdicts[i].final;
        *others += !plan.verdicts[i].final;
    }
    aq_arena_deinit(&arena);
    free(files);
    free(entries);
    return final;
}

/* What may leave the home: not what is rolled up later. */
Test(roll_up, final_is_what_will_not_be_read_again)
{
    size_t others;
    run(1000, 40, 1);
    cr_assert_eq(count_final(32 << 20, &others), 0);
    cr_assert_eq(others, 1, "January waits for its quarter");
    sim_end(&year.sim);
    run(1000, 365, 1);
    cr_assert_eq(count_final(32 << 20, &others), 4);
    cr_assert_eq(others, 0);
    sim_end(&year.sim);
    run(20, 365, 1);
    cr_assert_eq(count_final(4 << 20, &others), 1, "small stores do not wait for decades");
    cr_assert_eq(others, 0);
    sim_end(&year.sim);
}

/* A row for each day of a year, in one night, makes no file a day. */
Test(roll_up, late_rows_of_many_slots_share_a_file)
{
    run(1000, 365, 0);
    size_t files = year.sim.file_count;
    struct sim_file *segment = sim_add(&year.sim, true);
    segment->bytes = 1 << 20;
    for (size_t day = 0; day < 365; day++)
        segment->rows[DAYS_BEFORE + day] = 50;
    year.sim.edit++;
    cr_assert(sim_compact(&year.sim));
    cr_assert_leq(year.sim.file_count, files + 1);
    sim_end(&year.sim);
}

/* When what comes late is half of what there was, it is merged with it. */
Test(roll_up, a_share_of_half_is_worth_a_rewrite)
{
    run(1000, 90, 0);
    struct sim_file *segment = sim_add(&year.sim, true);
    uint64_t rows = UINT64_C(160) * 1000 * ROWS_A_DAY;
    segment->bytes = rows * 25;
    for (size_t day = 0; day < 80; day++)
        segment->rows[DAYS_BEFORE + day] = rows / 80;
    year.sim.edit++;
    uint64_t read = year.sim.read_bytes;
    cr_assert(sim_compact(&year.sim));
    cr_assert_gt(year.sim.read_bytes - read, segment->bytes + (100 << 20));
    cr_assert_not(sim_compact(&year.sim));
    sim_end(&year.sim);
}

/* A history that is imported at once is cut by time where there is enough of it. */
Test(roll_up, a_history_at_once)
{
    begin(1000, 365);
    struct sim_file *segment = sim_add(&year.sim, true);
    for (size_t day = 0; day < 365; day++)
        segment->rows[DAYS_BEFORE + day] = 1000 * ROWS_A_DAY;
    segment->bytes = 1 << 30;
    year.sim.options.now_us = sim_time(&year.sim, DAYS_BEFORE + 365 + 30);
    cr_assert(sim_compact(&year.sim));
    cr_assert_eq(year.sim.file_count, 4, "a file a quarter");
    cr_assert_leq(amplification(), 1.0);
    cr_assert_not(sim_compact(&year.sim));
    sim_end(&year.sim);
}

/* Every ten minutes instead of every night. */
Test(roll_up, often)
{
    memset(&year, 0, sizeof year);
    year.sim = (struct sim){
        .origin_us = (aq_days_from_civil(2025, 1, 28)) * AQ_US_PER_DAY,
        .tick_us = 600 * AQ_US_PER_SECOND,
        .tick_count = 144 * 8,
        .options = {.target_size_bytes = 128 << 20, .late_us = 6 * AQ_US_PER_HOUR},
        .bytes_per_row = 5,
        .run_bytes = 20,
        .keys = 1000,
        .edit = 1,
    };
    for (size_t tick = 200; tick < year.sim.tick_count; tick++) {
        struct sim_file *segment = sim_add(&year.sim, true);
        segment->rows[tick] = 2000;
        segment->rows[tick - 144] = 20;
        segment->bytes = 50000;
        year.sim.options.now_us = sim_time(&year.sim, tick + 1);
        compact();
    }
    cr_log_info("often: %zu files at most, written %.2f times", year.most_files, amplification());
    cr_assert_leq(year.most_files, 60);
    cr_assert_leq(amplification(), 7);
    sim_end(&year.sim);
}

/* A feed whose clock runs ahead: a run for each day of months that no roll-up comes to yet. */
Test(roll_up, the_future)
{
    begin(1000, 365);
    year.sim.run_bytes = 20;
    year.sim.options.now_us = sim_time(&year.sim, DAYS_BEFORE);
    for (size_t day = 60; day < 330; day++) {
        struct sim_file *segment = sim_add(&year.sim, true);
        segment->rows[DAYS_BEFORE + day] = 20000;
        segment->bytes = 500000;
        compact();
    }
    cr_log_info("the future: %zu files at most, written %.2f times", year.most_files,
                amplification());
    cr_assert_leq(year.most_files, 30);
    cr_assert_leq(amplification(), 6);
    sim_end(&year.sim);
}

/* Two feeds a year apart, a few rows of each in every run; and an archive of old time whose rows take next to nothing:
 * what has more bytes than it, and fewer rows, is taken along all the same. */
Test(roll_up, archives_of_old_time_are_compared_by_rows)
{
    begin(20, 365);
    struct sim_file *dense = sim_add(&year.sim, false);
    dense->rows[10] = dense->rows[DAYS_BEFORE] = 10000;
    dense->bytes = 2500;
    year.sim.options.now_us = sim_time(&year.sim, DAYS_BEFORE + 300);
    for (size_t count = 0; count < 200; count++) {
        struct sim_file *segment = sim_add(&year.sim, true);
        segment->rows[count] = segment->rows[DAYS_BEFORE + count] = 300;
        segment->bytes = 20000;
        compact();
    }
    cr_log_info("old time: %zu files at most, written %.2f times", year.most_files,
                amplification());
    cr_assert_leq(year.most_files, 12);
    cr_assert_leq(amplification(), 12);
    sim_end(&year.sim);
}

/* Random stores: whatever came in whatever order, plans keep to their rules and run out. */
Test(roll_up, random_stores_come_to_rest)
{
    uint64_t state = 7;
    unsigned plans = 0;
    for (unsigned round = 0; round < 600; round++) {
        uint8_t bytes[600];
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            bytes[i] = (uint8_t)(state >> 56);
        }
        plans += random_store(bytes, sizeof bytes);
    }
    cr_assert_gt(plans, 600);
}
