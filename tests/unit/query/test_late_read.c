/* Late reading: of a tile the columns of WHERE come first; the others only between the first and the last row that
 * passes, and not at all if none does. Whatever is not read, the answer is that of reading everything. */
#include "tests/unit/query/scan_fixture.h"

TestSuite(late_read, .init = scan_open, .fini = scan_close);

/* One tile, read late. The inputs of all queries here are id and one that stands in WHERE. */
struct late {
    struct scan_plan made;
    struct aq_exec *exec;
    struct aq_worker worker;
    struct aq_stretches stretches;
    struct aq_unit_part part;
    size_t other_column; /* among the plan's inputs: id */
};

static void late_open(struct late *late, const char *sql, unsigned tile)
{
    struct aq_error err = {0};
    size_t unit_count;
    *late = (struct late){0};
    scan_plan_init(&late->made, sql);
    const struct aq_plan *plan = late->made.plan;
    const struct aq_unit *unit = &scan_units("tiled", &unit_count)[tile];
    cr_assert_eq(aq_exec_create(&late->made.runtime, plan, &late->exec, &err), AQ_OK);
    cr_assert_eq(aq_worker_init(&late->worker, late->exec, &err), AQ_OK);
    cr_assert_eq(plan->input_count, 2);
    late->other_column = strcmp(plan->source_columns[plan->inputs[0]].name, "id") != 0;
    enum aq_prune prune = aq_prune_unit(plan, unit);
    cr_assert_neq(prune, AQ_PRUNE_NONE);
    cr_assert_eq(aq_runs_judge(scan_snapshot, plan, unit, prune, &late->worker.groups,
                               &late->stretches, &err),
                 AQ_OK);
    cr_assert_gt(late->stretches.count, 0);
    uint32_t ids[] = {aq_scan_column_id(plan, 0), aq_scan_column_id(plan, 1)};
    cr_assert_eq(aq_late_read(&late->worker, unit, &late->stretches, ids, &late->part), AQ_OK, "%s",
                 late->worker.err.message);
    cr_assert_eq(late->worker.unit_rows.row_count, unit->row_count);
}

static void late_close(struct late *late)
{
    aq_stretches_deinit(&late->stretches);
    aq_worker_deinit(&late->worker);
    aq_exec_destroy(late->exec);
    scan_plan_deinit(&late->made);
}

/* Rows of a tile as they were written. */
static size_t tile_rows(unsigned tile, const struct scan_run **runs, unsigned *rows)
{
    size_t count = 0;
    for (size_t run = 0; run < SCAN_RUNS; run++)
        for (unsigned i = 0; scan_runs[run].tile == tile && i < scan_runs[run].row_count; i++) {
            runs[count] = &scan_runs[run];
            rows[count++] = i;
        }
    return count;
}

/* The rows of `tile` that `passes` are what the bitmap says, and what is in [part) of the other column, in vectors with one
 * of them. */
static void expect_rows(const char *sql, unsigned tile, bool (*passes)(unsigned n))
{
    static const struct scan_run *runs[SCAN_ROWS];
    static unsigned rows[SCAN_ROWS];
    struct late late;
    late_open(&late, sql, tile);
    size_t count = tile_rows(tile, runs, rows);
    const struct aq_vector *other = &late.worker.unit_rows.columns[late.other_column];
    cr_assert_eq(count, late.worker.unit_rows.row_count);
    cr_assert_not_null(late.worker.passed, "%s", sql);
    size_t first = count;
    size_t end = 0;
    for (size_t row = 0; row < count; row++) {
        cr_assert_eq(aq_bitmap_has(late.worker.passed, row), passes(rows[row]), "%s row %zu", sql,
                     row);
        if (!passes(rows[row]))
            continue;
        first = row < first ? row : first;
        end = row + 1;
    }
    cr_expect_eq(late.part.row_end, end, "%s", sql);
    cr_expect(end == 0 || late.part.row_first == first, "%s", sql);
    cr_expect_eq(other->row_count, end == 0 ? 0 : count, "%s: columns beyond WHERE", sql);
    for (size_t row = first; row < end; row++)
        if (passes(rows[row]) || (row > 0 && row % 1024 != 0 && passes(rows[row - 1])))
            cr_assert_eq(other->ints[row], (int64_t)scan_noise(runs[row], rows[row]));
    late_close(&late);
}

static bool none(unsigned n)
{
    (void)n;
    return false;
}

static bool is_1500(unsigned n)
{
    return n == 1500;
}

static bool odd(unsigned n)
{
    return n % 2 == 1;
}

static bool early(unsigned n)
{
    return n < 100;
}

static bool all(unsigned n)
{
    (void)n;
    return true;
}

Test(late_read, reads_the_rest_between_the_rows_that_pass)
{
    for (unsigned tile = 0; tile < SCAN_TILES - 1; tile++) {
        expect_rows("SELECT id FROM tiled WHERE n % 2 = 5", tile, none);
        expect_rows("SELECT id FROM tiled WHERE n % 5000 = 1500", tile, is_1500);
        expect_rows("SELECT id FROM tiled WHERE n % 2 = 1", tile, odd);
        expect_rows("SELECT id FROM tiled WHERE n % 2 < 2", tile, all);
        expect_rows("SELECT id FROM tiled WHERE n < 100", tile, early);
    }
    expect_rows("SELECT id FROM tiled WHERE n % 2 < 2", 3, all);
    expect_rows("SELECT id FROM tiled WHERE n % 2 = 1", 3, none);
}

/* Where all rows pass, or nothing but WHERE's columns is wanted, there is nothing to be late with. */
Test(late_read, reads_at_once_what_it_needs_anyway)
{
    struct late late;
    late_open(&late, "SELECT id, n FROM tiled", 1);
    cr_expect_null(late.worker.passed);
    cr_expect_eq(late.part.row_end, 3200);
    late_close(&late);
    late_open(&late, "SELECT id FROM tiled WHERE n >= 0", 1);
    cr_expect_null(late.worker.passed, "WHERE is true of every row");
    cr_expect_eq(late.worker.unit_rows.columns[late.other_column].ints[7],
                 (int64_t)scan_noise(&scan_runs[3], 7));
    late_close(&late);
    late_open(&late, "SELECT id FROM tiled WHERE n > 2000 AND id > 0", 1);
    cr_expect_null(late.worker.passed, "WHERE is about all columns");
    late_close(&late);
}

/* Runs of which no row passes are not looked at; of runs all of which pass no row is tested. */
Test(late_read, keeps_to_the_stretches)
{
    struct late late;
    late_open(&late, "SELECT id FROM tiled WHERE n >= 1000 AND n % 2 = 0", 0);
    cr_expect_eq(late.stretches.count, 1);
    cr_expect_eq(late.part.row_first, 1000);
    cr_expect_eq(late.part.row_end, 2000 + 2000 + 1023);
    late_close(&late);
    late_open(&late, "SELECT id FROM tiled WHERE n >= 1024", 0); /* of 0 .. 1023 none */
    cr_expect_eq(late.stretches.count, 1);
    cr_expect_eq(late.part.row_end, 4000);
    cr_expect_eq(late.part.row_first, 1024);
    late_close(&late);
    late_open(&late, "SELECT id FROM tiled WHERE n < 1500", 0); /* of 0 .. 1023 all */
    cr_expect_eq(late.stretches.count, 2);
    cr_expect(late.stretches.items[1].all_pass);
    cr_expect_eq(late.part.row_end, 5024);
    for (size_t row = 4000; row < 5024; row++)
        cr_assert_eq(late.worker.unit_rows.columns[late.other_column].ints[row],
                     (int64_t)scan_noise(&scan_runs[2], (unsigned)row - 4000));
    late_close(&late);
}

/* Conditions on columns of few values, by each operator and constant: asked of values where the tile has them. */
static void ask_of_values(void)
{
    static const char *const operators[] = {"=", "<>", "<", "<=", ">", ">=", "IN", "NOT IN"};
    static const struct {
        const char *column;
        const char *constants[6];
    } columns[] = {
        {"odd", {"'NaN'", "-0.0", "0", "1e300", "0.1", "'-Infinity'"}},
        {"wide", {"'-9223372036854775808'", "9223372036854775807", "0", "-1", "99", "7"}},
        {"word", {"''", "'ab'", "'b'", "'\xc3\xa9'", "'haz'", "'zz'"}},
        {"share", {"0", "0.25", "0.3", "-1", "0.75", "2"}},
    };
    static const char *const forms[] = {
        "%s %s (%s)",
        "NOT (%s %s (%s))",
        "id %% 3 = 0 AND %s %s (%s)",
        "n > 40 AND %s %s (%s) AND share IS NOT NULL AND (word > 'a' OR word IS NULL)",
    };
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++)
        for (size_t i = 0; i < 6 * 8; i++) {
            char condition[200];
            char sql[400];
            snprintf(condition, sizeof condition, forms[(c + i) % 4], columns[c].column,
                     operators[i / 6], columns[c].constants[i % 6]);
            snprintf(sql, sizeof sql,
                     "SELECT %s, count(*), sum(id %% 1000), max(n) FROM @ WHERE %s "
                     "GROUP BY 1 ORDER BY 1",
                     i % 2 == 0 ? "word" : "station", condition);
            scan_ask(sql, SCAN_ROWS);
        }
}

static void ask_all(void)
{
    static const char *const conditions[] = {
        "n = -1",    /* none: ruled out */
        "n % 7 = 9", /* none, seen row by row */
        "n = 1999",  /* one a run */
        "pm25 = 100.5",
        "n % 2 = 0", /* every other one */
        "n % 2 < 2", /* all */
        "id > 0",
        "pm25 IS NULL",
        "pm25 IS NOT NULL AND n > 1400",
        "note IS NULL OR n < 10",
        "note IN ('calm', 'smoke') AND n < 1700",
        "note = 'none of these'",
        "pm25 <> 0", /* NaN, -0.0 and nulls */
        "pm25 = 0",
        "pm25 > 1e300",
        "NOT (pm25 < 700)",
        "pm25 BETWEEN 120 AND 220",
        "city = 'b' AND station = 2 AND n < 70",
        "ts < '2025-02-14 00:20:00'",
        "level = 1 AND id % 3 = 0",
        "grade IS NULL",
        "grade <> 1 AND note <> 'calm'",
        "note = 'calm' OR note IS NULL",
        "note IN ('calm', NULL)",
        "note NOT IN ('calm', NULL)",
        "note IS DISTINCT FROM 'calm'",
        "(note = 'calm') IS NOT TRUE",
        "note = city",
        "note > 'd' AND n % 50 = 3 AND share = 0.25",
        "NULL",
        "note = NULL",
        "share BETWEEN 0.25 AND 0.5",
        "CASE WHEN n > 0 THEN 100 / n > 3 ELSE false END",
    };
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        char sql[400];
        snprintf(sql, sizeof sql,
                 "SELECT city, station, n, pm25, note, id FROM @ WHERE %s "
                 "ORDER BY city, station, n LIMIT 60",
                 conditions[i]);
        scan_ask(sql, SCAN_ROWS);
        snprintf(sql, sizeof sql, "SELECT count(*), sum(id %% 1000), max(note) FROM @ WHERE %s",
                 conditions[i]);
        scan_ask(sql, SCAN_ROWS);
        snprintf(sql, sizeof sql,
                 "SELECT note, count(pm25), min(id) FROM @ WHERE %s GROUP BY note ORDER BY 1",
                 conditions[i]);
        scan_ask(sql, SCAN_ROWS);
    }
    ask_of_values();
    /* What WHERE asks of values may be wanted of rows all the same. */
    scan_ask("SELECT count(*) FILTER (WHERE word = 'ab'), max(odd) FROM @ WHERE word > 'a'",
             SCAN_ROWS);
    scan_ask("SELECT first(id, ts), last(id, ts) FROM @ WHERE level IN (0, 1) AND station <> 2",
             SCAN_ROWS);
    scan_ask("SELECT share, word FROM @ WHERE share = 0.5 AND word = 'ab' ORDER BY id LIMIT 5",
             SCAN_ROWS);
    scan_ask("SELECT n FROM @ WHERE word = 'ab' ORDER BY wide, share, id LIMIT 9", SCAN_ROWS);
}

Test(late_read, answers_are_those_of_all_rows)
{
    ask_all();
}

/* Removed rows: columns are decoded as stored and gathered, so the rows of a tile are no longer numbered as on disk. */
Test(late_read, removed_rows_are_not_counted)
{
    scan_remove(100, 1100);
    ask_all();
    struct late late;
    late_open(&late, "SELECT id FROM tiled WHERE n % 5000 = 1500", 1);
    cr_expect_eq(late.worker.unit_rows.row_count, 3200 - 1000 - 100);
    cr_expect_eq(late.part.row_first, 500);
    cr_expect_eq(late.part.row_end, 501);
    cr_expect_eq(late.worker.unit_rows.columns[late.other_column].ints[500],
                 (int64_t)scan_noise(&scan_runs[3], 1500));
    late_close(&late);
    scan_remove(0, 100);
    ask_all();
}

/* The other profile has other encodings. */
Test(late_read, of_the_fast_profile)
{
    scan_close();
    scan_open_as(true);
    ask_all();
}

/* What is asked of values is not read for rows, unless it is wanted of them; the last condition is that of a row. */
Test(late_read, conditions_on_few_values_read_no_rows)
{
    struct late late;
    late_open(&late, "SELECT id FROM tiled WHERE word = 'haze'", 0);
    cr_expect_eq(late.worker.unit_rows.columns[1 - late.other_column].row_count, 0);
    cr_expect_eq(late.worker.unit_rows.columns[late.other_column].row_count, 5024);
    static const struct scan_run *runs[SCAN_ROWS];
    static unsigned rows[SCAN_ROWS];
    cr_assert_eq(tile_rows(0, runs, rows), 5024);
    for (size_t row = 0; row < 5024; row++)
        cr_assert_eq(aq_bitmap_has(late.worker.passed, row),
                     (scan_noise(runs[row], rows[row]) >> 20) % 8 == 5);
    late_close(&late);
    late_open(&late, "SELECT id FROM tiled WHERE word = 'no such word'", 0);
    cr_expect_eq(late.part.row_end, 0);
    cr_expect_eq(late.worker.unit_rows.columns[0].row_count, 0);
    cr_expect_eq(late.worker.unit_rows.columns[1].row_count, 0);
    late_close(&late);
}

/* A condition that cannot be computed fails the query by its place, and only if a row is asked. */
Test(late_read, a_condition_that_fails)
{
    cr_expect_str_eq(answer("SELECT id FROM tiled WHERE 10 / (n - 1500) = 3"),
                     "line 1:31: division by zero");
    cr_expect_str_eq(answer("SELECT id FROM tiled WHERE 10 / (n - 1500) = 3 AND word = 'zz' "
                            "AND share > 5"),
                     "", "ruled out before");
    cr_expect_str_eq(answer("SELECT id FROM tiled WHERE 10 / (n - 1500) = 3 AND word = 'az'"),
                     "line 1:31: division by zero", "in the order in which it is written");
    cr_expect_str_eq(answer("SELECT id FROM tiled WHERE word = 'az' AND 10 / (n - 1500) = 3"), "");
    cr_expect_str_eq(
        answer("SELECT count(id) FROM tiled WHERE n < 1500 AND n > 1000 AND 10 / (n - 1500) = 3"),
        "0");
}
