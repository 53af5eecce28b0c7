/* What statistics spare: which runs of a tile are left out, answered or walked, and that answers from statistics are
 * those of the rows. */
#include "tests/unit/query/scan_fixture.h"

TestSuite(run_scan, .init = scan_open, .fini = scan_close);

Test(run_scan, runs_are_left_out_answered_or_walked)
{
    /* pm25 of tile 0 lies in [0,50), [100,150) with nulls, [200,250) */
    expect_judged("SELECT sum(pm25) FROM tiled", 0, "answered 1");
    expect_judged("SELECT sum(pm25) FROM tiled WHERE pm25 >= 0", 0, "answered 2; 2000+2000 some");
    expect_judged("SELECT sum(pm25) FROM tiled WHERE pm25 >= 160", 0, "answered 1");
    expect_judged("SELECT sum(pm25) FROM tiled WHERE pm25 < 120", 0, "answered 1; 2000+2000 some");
    expect_judged("SELECT sum(pm25) FROM tiled WHERE pm25 BETWEEN 225 AND 1000", 0,
                  "answered 0; 4000+1024 some");
    expect_judged("SELECT sum(pm25) FROM tiled WHERE pm25 BETWEEN 20 AND 220", 0,
                  "answered 0; 0+5024 some");
    expect_judged("SELECT sum(pm25) FROM tiled WHERE pm25 > 1e6", 0, "nothing");
    expect_judged("SELECT pm25 FROM tiled WHERE pm25 > 160", 0, "answered 0; 4000+1024 all");
    expect_judged("SELECT pm25 FROM tiled WHERE pm25 < 20 OR pm25 > 220", 0,
                  "answered 0; 0+2000 some; 4000+1024 some");
    expect_judged("SELECT pm25 FROM tiled", 0, "answered 0; 0+end all");
}

Test(run_scan, groups_that_a_run_has_one_value_of)
{
    expect_judged("SELECT station, max(pm25) FROM tiled GROUP BY station", 0, "answered 3");
    expect_judged("SELECT level, count(*) FROM tiled GROUP BY level", 0, "answered 3");
    expect_judged("SELECT grade, count(*) FROM tiled GROUP BY grade", 0,
                  "answered 2; 2000+2000 all");
    expect_judged("SELECT grade, count(*) FROM tiled GROUP BY grade", 2, "answered 2");
    expect_judged("SELECT n, count(*) FROM tiled GROUP BY n", 0, "answered 0; 0+5024 all");
    expect_judged("SELECT note, count(*) FROM tiled GROUP BY note", 0, "answered 0; 0+5024 all");
    /* an expression is not a column, and what is asked of each row needs the rows */
    expect_judged("SELECT station + 1, max(pm25) FROM tiled GROUP BY 1", 0,
                  "answered 0; 0+5024 all");
    expect_judged("SELECT station, sum(pm25 * 2) FROM tiled GROUP BY station", 0,
                  "answered 0; 0+end all");
    expect_judged("SELECT station, max(pm25) FILTER (WHERE n > 5) FROM tiled GROUP BY station", 0,
                  "answered 0; 0+end all");
}

/* A short run has statistics of key and time alone. */
Test(run_scan, short_runs_are_walked)
{
    expect_judged("SELECT station, sum(pm25) FROM tiled GROUP BY station", 1,
                  "answered 1; 3000+200 all");
    expect_judged("SELECT sum(pm25) FROM tiled WHERE pm25 < 320", 1, "answered 0; 0+3200 some");
    expect_judged("SELECT sum(pm25) FROM tiled", 3, "answered 1");
    expect_judged("SELECT station, sum(pm25) FROM tiled GROUP BY station", 3,
                  "answered 0; 0+end all");
}

Test(run_scan, nulls_and_odd_doubles)
{
    expect_judged("SELECT count(*) FROM tiled WHERE pm25 IS NULL", 2, "answered 1");
    expect_judged("SELECT count(*) FROM tiled WHERE pm25 IS NOT NULL", 2, "answered 1");
    expect_judged("SELECT pm25, count(*) FROM tiled GROUP BY pm25", 2, "answered 1; 1500+1500 all");
    expect_judged("SELECT station, min(pm25), max(pm25) FROM tiled GROUP BY station", 2,
                  "answered 2");
}

/* What statistics answer is what rows give. */
static void ask_all(uint64_t none, uint64_t odd, uint64_t some)
{
    scan_ask("SELECT count(*), count(pm25), count(note), min(ts), max(ts) FROM @", none);
    scan_ask("SELECT min(pm25), max(pm25), sum(n), avg(n), max(city) FROM @", none);
    scan_ask("SELECT sum(pm25), avg(pm25) FROM @", odd);
    scan_ask("SELECT stddev(pm25), var_pop(n), min(note), max(note) FROM @ WHERE city = 'a'",
             SCAN_ROWS);
    scan_ask("SELECT city, station, count(*), sum(pm25), min(pm25), max(pm25) FROM @ "
             "GROUP BY city, station ORDER BY 1, 2",
             some);
    scan_ask("SELECT level, count(*), avg(pm25) FROM @ GROUP BY level ORDER BY 1", some);
    scan_ask("SELECT grade, count(*), sum(n) FROM @ GROUP BY grade ORDER BY 1", SCAN_ROWS);
    scan_ask("SELECT pm25 IS NULL, count(*) FROM @ GROUP BY 1 ORDER BY 1", SCAN_ROWS);
    scan_ask("SELECT sum(pm25), count(*) FROM @ WHERE pm25 >= 160", SCAN_ROWS);
    scan_ask("SELECT count(*), sum(n) FROM @ WHERE pm25 IS NULL", SCAN_ROWS);
    scan_ask("SELECT station, min(pm25), max(pm25) FROM @ WHERE city = 'b' GROUP BY station "
             "ORDER BY 1",
             SCAN_ROWS);
    scan_ask("SELECT pm25, count(*) FROM @ WHERE station = 4 AND (pm25 < 1 OR pm25 > 1e9) "
             "GROUP BY pm25 ORDER BY 1",
             SCAN_ROWS);
    scan_ask("SELECT sum(pm25) FROM @ WHERE pm25 < 120 OR n = 7", SCAN_ROWS);
    scan_ask("SELECT count(*), max(pm25) FROM @ WHERE NOT (pm25 > 120)", SCAN_ROWS);
    scan_ask("SELECT first(pm25, ts), last(note, ts), count(DISTINCT level) FROM @", SCAN_ROWS);
}

Test(run_scan, answers_are_those_of_the_rows)
{
    /* A NaN leaves no sum of tile 2; by run, tile 1 is read for its short one, and the tile of one row. */
    ask_all(0, 3000, 3000 + 3200 + 1);
}

/* Rows that do not count are in the statistics, which so must not be used. */
Test(run_scan, removed_rows_silence_statistics)
{
    scan_remove(100, 1100);
    size_t unit_count;
    const struct aq_unit *units = scan_units("tiled", &unit_count);
    cr_assert_eq(unit_count, SCAN_TILES);
    cr_assert_eq(units[0].row_count, 2000 + 2000 + 1024 - 1000 - 1000 - 924);
    expect_judged("SELECT sum(pm25) FROM tiled", 0, "answered 0; 0+end all");
    expect_judged("SELECT station, sum(pm25) FROM tiled GROUP BY station", 0,
                  "answered 0; 0+end all");
    expect_judged("SELECT sum(pm25) FROM tiled WHERE pm25 >= 160", 0, "answered 0; 0+end some");
    expect_judged("SELECT sum(pm25) FROM tiled", 3, "answered 1");
    ask_all(SCAN_ROWS, SCAN_ROWS, SCAN_ROWS);
}

/* Retention takes whole tiles, too. */
Test(run_scan, a_tile_without_rows_is_not_there)
{
    scan_remove(0, 1);
    size_t unit_count;
    scan_units("tiled", &unit_count);
    cr_assert_eq(unit_count, SCAN_TILES - 1);
    ask_all(SCAN_ROWS, SCAN_ROWS, SCAN_ROWS);
}
