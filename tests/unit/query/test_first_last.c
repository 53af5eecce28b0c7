/* First and last by time: when what archives say of the ends of runs answers, and that it answers as rows do: with ties in
 * time, nulls, NaN and -0.0, and of rows that WHERE takes in part. */
#include "tests/unit/query/scan_fixture.h"

TestSuite(first_last, .fini = scan_close);

static void open_with_ties(unsigned rows_a_time)
{
    scan_rows_a_time = rows_a_time;
    scan_open();
}

Test(first_last, a_run_answers_by_its_ends)
{
    open_with_ties(1);
    expect_judged("SELECT station, last(pm25, ts) FROM tiled GROUP BY station", 0, "answered 3");
    expect_judged("SELECT station, first(pm25, ts) FROM tiled GROUP BY station", 0, "answered 3");
    expect_judged(
        "SELECT station, last(ts, ts), max(ts), last(note, ts), first(wide, ts), count(*), sum(n) "
        "FROM tiled GROUP BY station",
        0, "answered 3");
    expect_judged("SELECT last(pm25, ts) FROM tiled", 0, "answered 3");
    expect_judged("SELECT city, last(pm25, ts) FROM tiled GROUP BY city", 2, "answered 2");
    expect_judged("SELECT city, last(pm25, ts) FROM tiled WHERE pm25 > 160 GROUP BY city", 0,
                  "answered 1");
    /* a run that is too short has no ends */
    expect_judged("SELECT station, last(pm25, ts) FROM tiled GROUP BY station", 1,
                  "answered 1; 3000+200 all");
    /* another order, another value, a choice of rows, what the directory does not say */
    expect_judged("SELECT station, last(pm25, n) FROM tiled GROUP BY station", 0,
                  "answered 0; 0+end all");
    expect_judged("SELECT station, last(pm25 + 1, ts) FROM tiled GROUP BY station", 0,
                  "answered 0; 0+end all");
    expect_judged("SELECT station, last(pm25, ts) FILTER (WHERE n > 5) FROM tiled GROUP BY station",
                  0, "answered 0; 0+end all");
    expect_judged("SELECT grade, last(pm25, ts) FROM tiled GROUP BY grade", 0,
                  "answered 2; 2000+2000 all");
}

/* arg_min and arg_max pass over nulls: an end that is null says nothing, unless all are. */
Test(first_last, nulls_at_an_end)
{
    open_with_ties(1);
    expect_judged("SELECT station, first(pm25, ts) FROM tiled GROUP BY station", 0, "answered 3");
    expect_judged("SELECT station, arg_min(pm25, ts) FROM tiled GROUP BY station", 0,
                  "answered 2; 2000+2000 all");
    expect_judged("SELECT station, arg_max(pm25, ts) FROM tiled GROUP BY station", 0, "answered 3");
    expect_judged("SELECT station, arg_max(pm25, ts) FROM tiled GROUP BY station", 2, "answered 2");
}

/* WHERE need not take all of a run, but the rows that are asked for. */
Test(first_last, an_end_that_passes_will_do)
{
    open_with_ties(1);
    expect_judged("SELECT station, last(pm25, ts) FROM tiled WHERE n >= 1500 GROUP BY station", 0,
                  "answered 2");
    expect_judged("SELECT station, first(pm25, ts) FROM tiled WHERE n >= 1500 GROUP BY station", 0,
                  "answered 0; 0+4000 some");
    expect_judged("SELECT first(pm25, ts), last(pm25, ts) FROM tiled WHERE n <> 7", 0,
                  "answered 3");
    expect_judged(
        "SELECT station, last(pm25, ts), count(*) FROM tiled WHERE n >= 1500 GROUP BY station", 0,
        "answered 0; 0+4000 some");
    expect_judged("SELECT station, last(n, ts) FROM tiled WHERE pm25 IS NULL GROUP BY station", 0,
                  "answered 0; 2000+2000 some");
    expect_judged("SELECT station, last(n, ts) FROM tiled WHERE pm25 IS NOT NULL GROUP BY station",
                  0, "answered 3");
    expect_judged("SELECT station, last(n, ts) FROM tiled WHERE id % 2 = 0 GROUP BY station", 0,
                  "answered 0; 0+5024 some");
}

/* Rows of one time may differ: then they are read; in runs of 2,000 rows two have the last time, in that of 1,024 one. */
Test(first_last, ties)
{
    open_with_ties(3);
    expect_judged("SELECT station, last(pm25, ts) FROM tiled GROUP BY station", 0,
                  "answered 1; 0+4000 all");
    expect_judged("SELECT station, first(pm25, ts) FROM tiled GROUP BY station", 0,
                  "answered 0; 0+5024 all");
    expect_judged("SELECT station, last(level, ts), first(ts, ts) FROM tiled GROUP BY station", 0,
                  "answered 3");
    expect_judged("SELECT station, last(level, ts) FROM tiled WHERE n > 5 GROUP BY station", 0,
                  "answered 1; 0+4000 some");
}

static void ask_all(uint64_t none, uint64_t some)
{
    static const char *const picks[] = {"first", "last", "arg_min", "arg_max"};
    static const char *const columns[] = {"pm25", "note",  "odd",   "wide", "word", "share",
                                          "id",   "level", "grade", "ts",   "city", "station"};
    static const char *const wheres[] = {"",
                                         "WHERE n >= 1490",
                                         "WHERE n BETWEEN 3 AND 1200",
                                         "WHERE pm25 > 120",
                                         "WHERE pm25 IS NOT NULL AND note IS NOT NULL",
                                         "WHERE odd < 1 OR word = 'a'"};
    char sql[400];
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++) {
        for (size_t p = 0; p < 4; p++) {
            const char *where = wheres[(c + p) % 6];
            snprintf(sql, sizeof sql,
                     "SELECT station, %s(%s, ts) FROM @ %s GROUP BY station ORDER BY 1", picks[p],
                     columns[c], where);
            scan_ask(sql, 2 * SCAN_ROWS);
            snprintf(sql, sizeof sql, "SELECT %s(%s, ts), last(n, ts) FROM @ %s", picks[p],
                     columns[c], wheres[(c + p + 3) % 6]);
            scan_ask(sql, 2 * SCAN_ROWS);
        }
    }
    scan_ask("SELECT city, station, last(pm25, ts), last(ts, ts), max(ts), count(*) FROM @ "
             "GROUP BY city, station ORDER BY 1, 2",
             some);
    scan_ask(
        "SELECT city, station, last(level, ts), first(level, ts) FROM @ GROUP BY city, station "
        "ORDER BY 1, 2",
        none);
    scan_ask("SELECT level, first(odd, ts), last(odd, ts) FROM @ GROUP BY level ORDER BY 1", some);
}

Test(first_last, answers_are_those_of_rows)
{
    open_with_ties(1);
    ask_all(3200 + 1, 3200 + 1); /* for a short run, and the tile of one row */
}

Test(first_last, answers_are_those_of_rows_that_tie)
{
    open_with_ties(3);
    ask_all(3200 + 1, 2 * SCAN_ROWS);
}

Test(first_last, answers_are_those_of_rows_of_one_time)
{
    open_with_ties(100000);
    ask_all(3200 + 1, 2 * SCAN_ROWS);
}

/* What is said of the ends of a run counts removed rows, and must not be used. */
Test(first_last, removed_rows_silence_ends)
{
    open_with_ties(1);
    scan_remove(900, 1100);
    expect_judged("SELECT station, last(pm25, ts) FROM tiled GROUP BY station", 0,
                  "answered 0; 0+end all");
    ask_all(SCAN_ROWS, SCAN_ROWS);
}
