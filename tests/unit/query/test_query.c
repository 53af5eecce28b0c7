/* Queries over a store: grouping, order, limits, pruning, and that no state of the files shows. The answers
 * are PostgreSQL's unless docs/sql.md lists the difference. */
#include "tests/unit/query/query_fixture.h"

#include "compaction/compact.h"

TestSuite(query, .init = fixture_open, .fini = fixture_close);

Test(query, counts_and_bounds)
{
    static const struct question questions[] = {
        {"SELECT count(*), count(pm25), count(note) FROM readings", "14|13|12"},
        {"SELECT count(*), min(pm25), max(pm25), min(ts) FROM readings WHERE city = 'hanoi'",
         "10|0|20.25|2025-02-14 00:00:00+00"},
        {"SELECT max(pm25) FROM readings", "NaN"},
        {"SELECT sum(aqi), avg(aqi) FROM readings WHERE city = 'oslo'", "10|2.5"},
        {"SELECT sum(pm25) FROM readings WHERE aqi < 4", "1"},
        {"SELECT sum(pm25), avg(pm25), count(*) FROM readings WHERE city = 'nowhere'", "~|~|0"},
        {"SELECT city, sum(aqi) FROM readings WHERE city = 'nowhere' GROUP BY city", ""},
        {"SELECT stddev(aqi), var_pop(aqi) FROM readings WHERE city = 'oslo'",
         "1.2909944487358056|1.25"},
        {"SELECT bool_and(aqi > 0), bool_or(aqi > 61) FROM readings", "t|t"},
        {"SELECT min(note), max(note) FROM readings", "a|z"},
    };
    ASK(questions);
}

Test(query, groups)
{
    static const struct question questions[] = {
        {"SELECT city, count(*) FROM readings GROUP BY city ORDER BY city", "hanoi|10;oslo|4"},
        {"SELECT city AS c, station, count(pm25) FROM readings GROUP BY c, 2 ORDER BY 1, 2",
         "hanoi|1|4;hanoi|2|5;oslo|7|4"},
        {"SELECT time_bucket('1 hour', ts) AS h, count(*) FROM readings WHERE city = 'hanoi' "
         "GROUP BY h ORDER BY h DESC LIMIT 2",
         "2025-02-14 20:00:00+00|4;2025-02-14 02:00:00+00|2"},
        {"SELECT station, max(aqi) FROM readings GROUP BY station HAVING max(aqi) > 50 "
         "ORDER BY max(aqi) DESC",
         "2|62;1|56"},
        {"SELECT count(DISTINCT station), sum(DISTINCT station) FROM readings", "3|10"},
        {"SELECT city, count(*) FILTER (WHERE pm25 > 5), sum(10 / aqi) FILTER (WHERE aqi < 3) "
         "FROM readings GROUP BY city ORDER BY 1",
         "hanoi|5|~;oslo|2|15"},
        {"SELECT sum(100 / (aqi - 50)) FILTER (WHERE aqi <> 50) FROM readings WHERE aqi < 53 "
         "AND aqi > 49",
         "150"},
        {"SELECT DISTINCT station > 1 FROM readings ORDER BY 1", "f;t"},
        {"SELECT note, count(*) FROM readings WHERE note IS NULL GROUP BY note", "~|2"},
    };
    ASK(questions);
}

/* 0.0 and -0.0 are one group, shown as 0; all NaN are one. */
Test(query, equal_doubles_are_one_group)
{
    cr_expect_str_eq(answer("SELECT pm25, count(*) FROM readings WHERE pm25 < 0.5 AND pm25 > -1 "
                            "GROUP BY pm25"),
                     "0|2");
    cr_expect_str_eq(answer("SELECT x, count(*) FROM (VALUES (-0.0), (0.0), ('NaN'::float8), "
                            "(-'NaN'::float8)) AS v(x) GROUP BY x ORDER BY x"),
                     "0|2;NaN|2");
}

/* Rows with the same time: by key, series, time, then the columns as declared. */
Test(query, first_and_last_break_ties_by_the_row)
{
    static const struct question questions[] = {
        {"SELECT first(pm25, ts), last(note, ts) FROM readings WHERE station = 1", "10.5|second"},
        {"SELECT last(pm25, ts), last(aqi, ts) FROM readings WHERE station = 1", "5|55"},
        {"SELECT first(note, ts) FROM readings WHERE station = 1 AND ts > '2025-02-14 19:00'",
         "first"},
        {"SELECT last(note, ts) FROM readings WHERE city = 'hanoi'", "p"},
        {"SELECT city, first(station, ts), last(station, ts) FROM readings GROUP BY city "
         "ORDER BY city",
         "hanoi|1|2;oslo|7|7"},
        {"SELECT first(pm25, ts) FROM readings WHERE station = 1 AND aqi >= 52", "~"},
        {"SELECT arg_min(pm25, ts), arg_max(note, aqi) FROM readings WHERE aqi >= 52 AND aqi < 57",
         "4|first"},
        {"SELECT last(pm25, ts) FROM readings WHERE city = 'nowhere'", "~"},
    };
    ASK(questions);
}

Test(query, order_and_limit)
{
    static const struct question questions[] = {
        {"SELECT note FROM readings WHERE city = 'oslo' ORDER BY note", "x;y;z;~"},
        {"SELECT note FROM readings WHERE city = 'oslo' ORDER BY note DESC", "~;z;y;x"},
        {"SELECT note FROM readings WHERE city = 'oslo' ORDER BY note DESC NULLS LAST LIMIT 2",
         "z;y"},
        {"SELECT pm25 FROM readings WHERE city = 'oslo' ORDER BY pm25", "-1e+300;1;1e+300;NaN"},
        {"SELECT aqi FROM readings ORDER BY aqi LIMIT 3 OFFSET 2", "3;4;50"},
        {"SELECT aqi FROM readings ORDER BY ts, station LIMIT 2", "50;60"},
        {"SELECT aqi FROM readings ORDER BY aqi LIMIT 0", ""},
        {"SELECT note, station FROM readings WHERE city = 'hanoi' ORDER BY station, ts DESC LIMIT "
         "2",
         "first|1;second|1"},
        {"SELECT count(*) FROM (SELECT aqi FROM readings LIMIT 5 OFFSET 11) AS part", "3"},
        {"SELECT aqi AS note FROM readings ORDER BY note DESC LIMIT 1", "62"},
        {"SELECT city FROM readings GROUP BY city ORDER BY sum(aqi) DESC", "hanoi;oslo"},
    };
    ASK(questions);
}

Test(query, levels)
{
    static const struct question questions[] = {
        {"SELECT max(n) FROM (SELECT station, count(*) AS n FROM readings GROUP BY station) AS s",
         "5"},
        {"WITH s AS (SELECT station AS id, avg(aqi) AS a FROM readings GROUP BY 1) "
         "SELECT id FROM s WHERE a > 50 ORDER BY id",
         "1;2"},
        {"SELECT aqi FROM readings WHERE aqi < 3 UNION ALL SELECT 9.5 ORDER BY 1", "1;2;9.5"},
        {"SELECT 1 UNION SELECT 1 UNION SELECT 2 ORDER BY 1", "1;2"},
        {"SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS v(n, t) WHERE t IS NULL", "2|~"},
        {"SELECT r.aqi FROM readings AS r WHERE r.note = 'x'", "1"},
    };
    ASK(questions);
}

Test(query, prunes_units)
{
    enum aq_status status;
    static const char *const pruned[] = {
        "SELECT sum(pm25) FROM readings WHERE city = 'oslo'",
        "SELECT sum(pm25) FROM readings WHERE city IN ('oslo', 'paris')",
        "SELECT sum(pm25) FROM readings WHERE 'hanoi' < city",
    };
    for (size_t i = 0; i < sizeof pruned / sizeof pruned[0]; i++) {
        struct aq_query *query = NULL;
        const struct aq_batch *batch = NULL;
        cr_assert_eq(aq_query_prepare(fixture_snapshot, pruned[i], NULL, &query, NULL), AQ_OK);
        cr_assert_eq(aq_query_next(query, &batch, NULL), AQ_OK);
        struct aq_query_counters counters = aq_query_count(query);
        cr_expect_eq(counters.unit_count, 3);
        cr_expect_eq(counters.unit_pruned_count, 2, "%s", pruned[i]);
        cr_expect_eq(counters.row_read_count, 4);
        aq_query_destroy(query);
    }
    cr_expect_not_null(
        strstr(answer_with("EXPLAIN SELECT aqi FROM readings WHERE ts >= '2025-02-14 10:00'", NULL,
                           &status),
               "units 1 of 3, rows <= 4"));
    cr_expect_not_null(strstr(answer("EXPLAIN ANALYZE SELECT count(*) FROM readings"),
                              "3 answered from statistics"));
}

/* The same answers from hot frames and from archives, and with one thread or many. */
Test(query, answers_do_not_depend_on_files)
{
    static const char *const queries[] = {
        "SELECT count(*), sum(pm25), avg(pm25), stddev(pm25), min(pm25), max(aqi) FROM readings",
        "SELECT station, sum(pm25), first(note, ts), last(note, ts), count(DISTINCT note) "
        "FROM readings GROUP BY station ORDER BY station",
        "SELECT * FROM readings ORDER BY pm25 DESC, note",
        "SELECT avg(pm25) FROM readings WHERE city = 'hanoi'",
    };
    enum { COUNT = sizeof queries / sizeof queries[0] };
    char *before[COUNT];
    enum aq_status status;
    struct aq_query_options one = {.thread_count = 1};
    struct aq_query_options many = {.thread_count = 3};
    for (size_t i = 0; i < COUNT; i++) {
        before[i] = strdup(answer_with(queries[i], &one, &status));
        cr_assert_eq(status, AQ_OK);
        cr_expect_str_eq(answer_with(queries[i], &many, &status), before[i]);
    }
    struct aq_compact_options options = {.target_size_bytes = 1 << 20};
    struct aq_compact_report report = {0};
    aq_snapshot_close(fixture_snapshot);
    cr_assert_eq(aq_compact(fixture_store, &options, &report, NULL), AQ_OK);
    cr_assert_eq(report.row_count, 14);
    cr_assert_eq(aq_snapshot_open(fixture_store, &fixture_snapshot, NULL), AQ_OK);
    for (size_t i = 0; i < COUNT; i++) {
        cr_expect_str_eq(answer(queries[i]), before[i], "%s", queries[i]);
        free(before[i]);
    }
}

Test(query, stops_and_is_bounded)
{
    static const atomic_bool stop = true;
    enum aq_status status;
    struct aq_query_options stopped = {.stop = &stop};
    answer_with("SELECT city, count(*) FROM readings GROUP BY city", &stopped, &status);
    cr_expect_eq(status, AQ_INTERRUPTED);
    struct aq_query_options small = {.memory_bytes = 1024};
    const char *message =
        answer_with("SELECT city, count(*) FROM readings GROUP BY city", &small, &status);
    cr_expect_eq(status, AQ_LIMIT);
    cr_expect_not_null(strstr(message, "memory"));
}

Test(query, session_zone)
{
    enum aq_status status;
    struct aq_query_options options = {.timezone = "Asia/Ho_Chi_Minh"};
    cr_expect_str_eq(answer_with("SELECT date_trunc('day', ts), count(*) FROM readings "
                                 "WHERE city = 'hanoi' GROUP BY 1 ORDER BY 1",
                                 &options, &status),
                     "2025-02-14 00:00:00+07|6;2025-02-15 00:00:00+07|4");
    cr_expect_str_eq(
        answer_with("SELECT min(ts) FROM readings WHERE ts >= '2025-02-15'", &options, &status),
        "2025-02-15 03:00:00+07");
    cr_expect_str_eq(answer_with("SELECT extract(hour FROM ts) FROM readings WHERE note = 'x'",
                                 &options, &status),
                     "7");
    options.timezone = "Mars/Base";
    answer_with("SELECT 1", &options, &status);
    cr_expect_eq(status, AQ_INVALID);
}

Test(query, show)
{
    cr_expect_str_eq(answer("SHOW TABLES"),
                     "readings|dataset;readings_rejects|rejects;"
                     "aqstore_partitions|system table;aqstore_files|system table;"
                     "aqstore_commits|system table;aqstore_sources|system table");
    cr_expect_str_eq(answer("SHOW TIME ZONE"), "UTC");
    cr_expect_str_eq(answer("SELECT count(*) FROM readings_rejects"), "0");
}

/* Nothing is ignored: what is not done is named, with its place. */
Test(query, refuses_by_name_and_position)
{
    static const struct question questions[] = {
        {"SELECT pm26 FROM readings",
         "line 1:8: column \"pm26\" does not exist; did you mean \"pm25\"?"},
        {"SELECT 1\nFROM reading",
         "line 2:6: relation \"reading\" does not exist; did you mean \"readings\"?"},
        {"SELECT x.aqi FROM readings", "line 1:8: there is no table \"x\" in FROM"},
        {"SELECT 'é', FROM readings", "line 1:13: syntax error at or near \"FROM\""},
        {"SELECT avg(aqi) OVER () FROM readings",
         "line 1:8: window functions are not supported yet; group in a subquery instead"},
        {"SELECT a.aqi FROM readings a JOIN readings b ON a.ts = b.ts",
         "line 1:35: joins are not supported yet; query one dataset at a time"},
        {"SELECT aqi FROM readings WHERE aqi = (SELECT 1)",
         "line 1:38: subqueries in expressions are not supported yet; put the subquery in FROM, or "
         "run it first and write its result"},
        {"SELECT aqi::numeric FROM readings",
         "line 1:11: type numeric is not supported; decimal numbers are double precision here; "
         "write round(x, n) to round"},
        {"SELECT city, aqi FROM readings GROUP BY city",
         "line 1:14: column \"aqi\" must appear in the GROUP BY clause or be used in an aggregate "
         "function"},
        {"SELECT aqi FROM readings WHERE sum(aqi) > 1",
         "line 1:32: aggregate function sum is not allowed in WHERE; use HAVING"},
        {"SELECT city FROM readings WHERE aqi", "line 1:33: argument of WHERE must be type "
                                                "boolean, not type integer"},
        {"SELECT 1; SELECT 2",
         "line 1:10: one statement at a time, please: run the second one by itself"},
        {"SELECT 10 / (aqi - 50) FROM readings", "line 1:11: division by zero"},
        {"SELECT aqi FROM readings WHERE ts > 'yesterday'",
         "line 1:37: invalid input syntax for type timestamptz: \"yesterday\""},
    };
    ASK(questions);
}

Test(query, views)
{
    cr_expect_str_eq(answer("WITH v AS (SELECT * FROM w), w AS (SELECT 1 AS one) SELECT * FROM v"),
                     "line 1:26: relation \"w\" does not exist; SHOW TABLES lists what there is");
}
