/* Expressions: each with PostgreSQL 15's answer, unless docs/sql.md lists the difference. */
#include "tests/unit/query/query_fixture.h"

TestSuite(expression, .init = fixture_open, .fini = fixture_close);

Test(expression, numbers)
{
    static const struct question questions[] = {
        {"SELECT 7 / 2, -7 / 2, 7 % 3, -7 % 3, 7.0 / 2, 2 ^ 10, 5 - -3", "3|-3|1|-1|3.5|1024|8"},
        {"SELECT 2147483647 + 1", "line 1:19: integer out of range; cast an operand with ::bigint"},
        {"SELECT -2147483648, 2147483648, -(-2147483647)", "-2147483648|2147483648|2147483647"},
        {"SELECT 9223372036854775807 + 1",
         "line 1:28: bigint out of range; cast an operand with ::double precision"},
        {"SELECT -9223372036854775808 / -1",
         "line 1:29: bigint out of range; cast an operand with ::double precision"},
        {"SELECT -9223372036854775808 % -1", "0"},
        {"SELECT 1 / 0", "line 1:10: division by zero"},
        {"SELECT 1.0 / 0", "line 1:12: division by zero"},
        {"SELECT 1e308 * 10", "line 1:14: value out of range: overflow"},
        {"SELECT 1e-300 * 1e-300", "line 1:15: value out of range: underflow"},
        {"SELECT round(2.5), round(3.5), round(-2.5), floor(-1.5), ceil(1.2), trunc(-1.7)",
         "2|4|-2|-2|2|-1"},
        {"SELECT round(2.675, 2), round(1234.5678, -2), round(-0.005, 2), round(1.005, 2), "
         "round(9.9999, 2), round(55.0, -2), trunc(1.999, 2)",
         "2.68|1200|-0.01|1.01|10|100|1.99"},
        {"SELECT abs(-5), mod(-7, 3), power(2, 0.5), sqrt(16), log(100), sign(-3.0)",
         "5|-1|1.4142135623730951|4|2|-1"},
        {"SELECT sqrt(-1)", "line 1:8: cannot take square root of a negative number"},
        {"SELECT ln(0)", "line 1:8: cannot take logarithm of zero"},
        {"SELECT width_bucket(5.35, 0.024, 10.06, 5), width_bucket(-1, 0, 10, 5), "
         "width_bucket(10, 0, 10, 5), width_bucket(3, 10, 0, 5)",
         "3|0|6|4"},
        {"SELECT 0.1 + 0.2, 1e15, 1e14, 0.0001, 0.00001, 1.0 / 3, 1e20, 'Infinity'::float8",
         "0.30000000000000004|1e+15|100000000000000|0.0001|1e-05|0.3333333333333333|1e+20|"
         "Infinity"},
        {"SELECT 5e-324::float8, 1.7976931348623157e308, 9007199254740993.0, 123456789012345.0, "
         "-0.00012345, 1234.5, 1e23, 1e-45::real, 100::float8, '-0'::float8",
         "5e-324|1.7976931348623157e+308|9.007199254740992e+15|123456789012345|-0.00012345|1234.5|"
         "1e+23|1e-45|100|-0"},
        {"SELECT 0.1::real, 1e6::real, 123456::real, 0.1::real = 0.1, 1::real / 3",
         "0.1|1e+06|123456|f|0.3333333333333333"},
        {"SELECT 'NaN'::float8 = 'NaN', 'NaN'::float8 > 1e308", "t|t"},
    };
    ASK(questions);
}

Test(expression, three_values)
{
    static const struct question questions[] = {
        {"SELECT NULL AND false, NULL OR true, NULL AND true, NOT NULL::bool, NULL = 1",
         "f|t|~|~|~"},
        {"SELECT 1 IS DISTINCT FROM NULL, NULL IS NOT DISTINCT FROM NULL", "t|t"},
        {"SELECT 1 IN (1, NULL), 3 IN (1, NULL), 3 NOT IN (1, 2), 3 NOT IN (1, NULL)", "t|~|t|~"},
        {"SELECT 5 BETWEEN 1 AND 10, 5 NOT BETWEEN 1 AND NULL, 0 NOT BETWEEN 1 AND NULL", "t|~|t"},
        {"SELECT (1 = 1) IS TRUE, (NULL::bool) IS UNKNOWN, (1 = 2) IS NOT TRUE", "t|t|t"},
        {"SELECT CASE WHEN aqi <> 50 THEN 100 / (aqi - 50) END FROM readings WHERE aqi < 53 "
         "AND aqi > 49 ORDER BY aqi",
         "~;100;50"},
        {"SELECT CASE 3 WHEN 1 THEN 'one' WHEN 3 THEN 'three' END, CASE WHEN false THEN 1 END",
         "three|~"},
        {"SELECT coalesce(NULL, 2, 1 / 0), nullif(1, 1), greatest(1, NULL, 3), least('b', 'a')",
         "2|~|3|a"},
        {"SELECT count(*) FROM readings WHERE aqi <> 50 AND 100 / (aqi - 50) > 5", "9"},
    };
    ASK(questions);
}

Test(expression, text)
{
    static const struct question questions[] = {
        {"SELECT 'abc' LIKE 'a%', 'abc' LIKE '_b_', 'ABC' ILIKE 'a%', 'a%c' LIKE 'a\\%c', "
         "'abc' NOT LIKE '%z%', 'äb' LIKE '_b', '' LIKE '%', 'abc' LIKE 'a'",
         "t|t|t|t|t|t|t|f"},
        {"SELECT lower('ABC'), upper('abc'), length('äöü'), octet_length('äöü')", "abc|ABC|3|6"},
        {"SELECT substr('hello', 2, 3), substring('hello' FROM 3), substr('hello', -1, 4), "
         "left('hello', -2), right('hello', 2)",
         "ell|llo|he|hel|lo"},
        {"SELECT trim('  x '), trim(BOTH 'x' FROM 'xxaxx'), ltrim('xxa', 'x'), rtrim('axx', 'x')",
         "x|a|a|a"},
        {"SELECT 'a' || 'b' || 1, concat('a', NULL, 1), concat_ws('-', 'a', NULL, 'b')",
         "ab1|a1|a-b"},
        {"SELECT replace('banana', 'an', 'X'), split_part('a,b,c', ',', 2), "
         "split_part('a,b,c', ',', -1), position('l' IN 'hello'), starts_with('hello', 'he')",
         "bXXa|b|c|3|t"},
        {"SELECT 'Z' < 'a', 'a' < 'ab', 'z' < 'ä'", "t|t|t"},
        {"SELECT '\\xdeadbeef'::bytea, length('\\xdeadbeef'::bytea)", "\\xdeadbeef|4"},
        {"SELECT substr('hello', 1, -1)", "line 1:8: negative substring length not allowed"},
        {"SELECT repeat('x', 2000000000)", "line 1:8: the text would be longer than 64 MiB"},
    };
    ASK(questions);
}

Test(expression, casts)
{
    static const struct question questions[] = {
        {"SELECT ' 12 '::int, '1.5'::float8, 'yes'::bool, true::text, 12.5::int, 13.5::int, "
         "1.5::text, 5::bool",
         "12|1.5|t|true|12|14|1.5|t"},
        {"SELECT 'abc'::int", "line 1:8: invalid input syntax for type integer: \"abc\""},
        {"SELECT '3000000000'::int",
         "line 1:8: value \"3000000000\" is out of range for type integer"},
        {"SELECT 3e10::int", "line 1:8: integer out of range"},
        {"SELECT note::int FROM readings WHERE aqi = 50",
         "line 1:8: invalid input syntax for type integer: \"a\""},
        {"SELECT '2025-02-14'::date, DATE '2025-02-14'::timestamptz, "
         "TIMESTAMPTZ '2025-02-14 23:30-05'::date",
         "2025-02-14|2025-02-14 00:00:00+00|2025-02-15"},
        {"SELECT true::float8", "line 1:8: cannot cast type boolean to double precision"},
        {"SELECT '2025-02-14 10:00+07'::timestamp",
         "line 1:8: \"2025-02-14 10:00+07\" names a zone, which type timestamp ignores; write "
         "TIMESTAMPTZ '...'"},
    };
    ASK(questions);
}

Test(expression, times)
{
    static const struct question questions[] = {
        {"SELECT date_trunc('hour', t), date_trunc('week', t), date_trunc('quarter', t), "
         "date_trunc('century', t) FROM (SELECT TIMESTAMPTZ '2025-02-14 13:45:30+07' AS t) AS x",
         "2025-02-14 06:00:00+00|2025-02-10 00:00:00+00|2025-01-01 00:00:00+00|"
         "2001-01-01 00:00:00+00"},
        {"SELECT date_trunc('day', TIMESTAMPTZ '2025-03-30 12:00+00', 'Europe/Berlin'), "
         "date_trunc('day', TIMESTAMPTZ '2025-03-30 23:00+00', 'Europe/Berlin')",
         "2025-03-29 23:00:00+00|2025-03-30 22:00:00+00"},
        {"SELECT extract(year FROM t), extract(dow FROM t), extract(isodow FROM t), "
         "extract(doy FROM t), extract(week FROM t), extract(isoyear FROM t), "
         "extract(second FROM t), extract(epoch FROM t), date_part('quarter', t) "
         "FROM (SELECT TIMESTAMPTZ '2024-12-30 23:59:58.5+00' AS t) AS x",
         "2024|1|1|365|1|2025|58.5|1735603198.5|4"},
        {"SELECT TIMESTAMPTZ '2025-02-14 13:00+07' AT TIME ZONE 'Asia/Shanghai', "
         "TIMESTAMP '2025-02-14 13:00' AT TIME ZONE 'Asia/Shanghai', "
         "extract(hour FROM TIMESTAMPTZ '2025-02-14 13:00+00' AT TIME ZONE 'Asia/Shanghai')",
         "2025-02-14 14:00:00|2025-02-14 05:00:00+00|21"},
        {"SELECT TIMESTAMPTZ '2025-01-31' + INTERVAL '1 month', DATE '2025-01-01' + 5, "
         "DATE '2025-01-10' - DATE '2025-01-01', DATE '2025-01-01' + INTERVAL '1 day', "
         "TIMESTAMPTZ '2025-01-02 05:00' - TIMESTAMPTZ '2025-01-01'",
         "2025-02-28 00:00:00+00|2025-01-06|9|2025-01-02 00:00:00|1 day 05:00:00"},
        {"SELECT INTERVAL '1 hour 30 minutes', INTERVAL '-1 day 2 hours', INTERVAL '1.5 days', "
         "INTERVAL '1 year 2 mons 3 days 4:05:06.789', INTERVAL '1 mon' * 1.5, -INTERVAL '1 day'",
         "01:30:00|-1 days +02:00:00|1 day 12:00:00|1 year 2 mons 3 days 04:05:06.789|"
         "1 mon 15 days|-1 days"},
        {"SELECT time_bucket('15 minutes', TIMESTAMPTZ '2025-02-14 13:47:00'), "
         "time_bucket('1 week', TIMESTAMPTZ '2025-02-14'), "
         "time_bucket('1 month', TIMESTAMPTZ '2025-02-14'), "
         "time_bucket('1 day', TIMESTAMPTZ '2025-02-14 20:00', 'Asia/Shanghai'), "
         "time_bucket('1 day', TIMESTAMPTZ '2025-02-14 20:00', TIMESTAMPTZ '2000-01-01 06:00'), "
         "time_bucket('2 days', DATE '2025-02-14'), time_bucket(10, 27)",
         "2025-02-14 13:45:00+00|2025-02-10 00:00:00+00|2025-02-01 00:00:00+00|"
         "2025-02-14 16:00:00+00|2025-02-14 06:00:00+00|2025-02-14|20"},
        {"SELECT time_bucket('1 month 1 day', TIMESTAMPTZ '2025-02-14')",
         "line 1:20: the width of time_bucket cannot mix months with days or hours"},
        {"SELECT extract(fortnight FROM TIMESTAMPTZ '2025-02-14')",
         "line 1:16: extract does not know the field \"fortnight\""},
        {"SELECT now() = now(), now() > TIMESTAMPTZ '2025-01-01', to_timestamp(0.5)",
         "t|t|1970-01-01 00:00:00.5+00"},
        {"SELECT INTERVAL '1 month' = INTERVAL '30 days', DATE '2025-01-01' = "
         "TIMESTAMPTZ '2025-01-01'",
         "t|t"},
        {"SELECT ts AT TIME ZONE 'GMT+7' FROM readings", NULL},
    };
    ask(questions, sizeof questions / sizeof questions[0] - 1);
    enum aq_status status;
    answer_with(questions[sizeof questions / sizeof questions[0] - 1].sql, NULL, &status);
    cr_expect_eq(status, AQ_INVALID, "PostgreSQL reads GMT+7 as seven hours west");
}

Test(expression, json)
{
    static const struct question questions[] = {
        {"SELECT j -> 'a', j ->> 's', j -> 'b' ->> 'c', j ->> 'n', j -> 'n', j -> 'r' -> 1, "
         "j -> 'r' ->> -1, j ->> 'zz', j -> 0, j ->> 'd' "
         "FROM (SELECT '{\"a\": 1, \"b\": {\"c\": \"x\\u00e9y\"}, \"n\": null, "
         "\"r\": [1, [2, 3], \"z\"], \"s\": \"q\\\"\", \"d\": 1, \"d\": 2}'::json AS j) AS x",
         "1|q\"|xéy|~|null|[2, 3]|z|~|~|2"},
        {"SELECT '{\"a\": }'::json", "line 1:8: invalid input syntax for type json: \"{\"a\": }\""},
        {"SELECT '1'::json = '1'::json",
         "line 1:18: operator does not exist: json = json; cast one "
         "side"},
    };
    ASK(questions);
}

Test(expression, to_char)
{
    static const struct question questions[] = {
        {"SELECT to_char(TIMESTAMPTZ '2025-02-04 03:04:05.678901', 'YYYY-MM-DD HH24:MI:SS.MS US'), "
         "to_char(TIMESTAMPTZ '2025-02-04 15:04', 'Dy, FMDD Mon YY HH12:MI am'), "
         "to_char(DATE '2024-12-30', 'FMDay Day|IYYY-IW-ID DDD D Q \"Week\" WW')",
         "2025-02-04 03:04:05.678 678901|Tue, 4 Feb 25 03:04 pm|"
         "Monday Monday   |2025-01-1 365 2 4 Week 53"},
        {"SELECT to_char(now(), 'YYYY J')",
         "line 1:23: to_char does not know the pattern at \"J\"; text goes in double quotes"},
    };
    ASK(questions);
}

/* Deep and long texts end in a message, not in a crash. */
Test(expression, hostile_texts)
{
    enum aq_status status;
    static char sql[200000];
    snprintf(sql, sizeof sql, "SELECT ");
    for (size_t i = 0; i < 30000; i++)
        snprintf(sql + 7 + 2 * i, 3, "1+");
    snprintf(sql + 7 + 60000, 2, "1");
    answer_with(sql, NULL, &status);
    cr_expect_eq(status, AQ_LIMIT);
    memset(sql, '(', sizeof sql - 1);
    answer_with(sql, NULL, &status);
    cr_expect_eq(status, AQ_LIMIT);
    sql[100000] = '\0';
    answer_with(sql, NULL, &status);
    cr_expect_eq(status, AQ_INVALID);
    cr_expect_str_eq(answer(""), "there is no statement");
}
