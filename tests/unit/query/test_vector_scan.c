/* Vectors whose bounds say that no row of theirs passes are not looked at, those of which all pass are not tested; and
 * whatever is asked, the answer is that of reading everything. */
#include "tests/unit/query/scan_fixture.h"

static void open_fast(void)
{
    scan_open_as(true);
}

TestSuite(vector_scan, .init = open_fast, .fini = scan_close);

/* "first-end" of each stretch that vectors leave of a tile, "*" where all rows pass. */
static void expect_stretches(const char *condition, unsigned tile, const char *expected)
{
    struct scan_plan made;
    struct aq_exec *exec = NULL;
    struct aq_worker worker;
    struct aq_stretches stretches = {0};
    struct aq_error err = {0};
    size_t unit_count;
    char text[200];
    size_t size = 0;
    snprintf(text, sizeof text, "SELECT id FROM tiled WHERE %s", condition);
    scan_plan_init(&made, text);
    const struct aq_unit *unit = &scan_units("tiled", &unit_count)[tile];
    cr_assert_eq(aq_exec_create(&made.runtime, made.plan, &exec, &err), AQ_OK);
    cr_assert_eq(aq_worker_init(&worker, exec, &err), AQ_OK);
    enum aq_prune prune = aq_prune_unit(made.plan, unit);
    cr_assert_eq(
        aq_runs_judge(scan_snapshot, made.plan, unit, prune, &worker.groups, &stretches, &err),
        AQ_OK);
    cr_assert_eq(aq_vectors_judge(&worker, unit, &stretches), AQ_OK);
    text[0] = '\0';
    for (size_t s = 0; s < stretches.count; s++)
        size +=
            (size_t)snprintf(text + size, sizeof text - size, " %u-%u%s", stretches.items[s].first,
                             aq_stretch_end(&stretches.items[s], unit->row_count),
                             stretches.items[s].all_pass ? "*" : "");
    cr_expect_str_eq(text, expected, "%s:%s", condition, text);
    aq_stretches_deinit(&stretches);
    aq_worker_deinit(&worker);
    aq_exec_destroy(exec);
    scan_plan_deinit(&made);
}

/* Tile 1 has 3,000 rows, then 200. So steps go from 0, 1000, 0 and 0 on in its vectors, as far as 10, 10, 12 and 10 bits reach. */
Test(vector_scan, leaves_out_what_cannot_pass)
{
    expect_stretches("step > 1100 AND step < 1900", 1, " 1024-3072");
    expect_stretches("step BETWEEN 1100 AND 1999", 1, " 1024-3072");
    expect_stretches("step = 1500", 1, " 1024-3072");
    expect_stretches("step IN (-4, 1500, 9000)", 1, " 1024-3072");
    expect_stretches("step < 1100", 1, " 0-1024* 1024-3072 3072-3200*");
    expect_stretches("NOT (step >= 1100)", 1, " 0-1024* 1024-3072 3072-3200*");
    expect_stretches("step < 1100 OR n = 2900", 1, " 0-1024* 1024-3072 3072-3200*");
    expect_stretches("step < 900", 1, " 0-1024 2048-3200");
    expect_stretches("step > 5000", 1, "");
    expect_stretches("slope > 110 AND slope < 190", 1, " 1024-3072");
    expect_stretches("slope < 90", 1, " 0-1024 2048-3200");
    expect_stretches("slope > 150 AND n % 7 = 0", 1, " 1024-3072");
    expect_stretches("slope > 150 OR step < 400", 1, " 0-3200");
    expect_stretches("n % 7 = 0", 1, " 0-3200");
    expect_stretches("step % 7 = 0 OR step > 5000", 1, " 0-3200");
}

static uint64_t skipped(const char *sql)
{
    struct aq_query *query = NULL;
    const struct aq_batch *batch = NULL;
    struct aq_error err = {0};
    struct aq_query_options options = {.thread_count = 1};
    enum aq_status status;
    cr_assert_eq(aq_query_prepare(scan_snapshot, sql, &options, &query, &err), AQ_OK);
    while ((status = aq_query_next(query, &batch, &err)) == AQ_OK)
        ;
    cr_assert_eq(status, AQ_END);
    uint64_t count = aq_query_count(query).vector_skipped_count;
    aq_query_destroy(query);
    return count;
}

Test(vector_scan, says_how_many)
{
    cr_expect_eq(skipped("SELECT id FROM tiled WHERE city = 'b' AND station = 1 AND step = 1500"),
                 2);
    cr_expect_eq(skipped("SELECT id FROM tiled"), 0);
    cr_expect_eq(skipped("SELECT id FROM plain WHERE city = 'b' AND station = 1 AND step = 1500"),
                 2, "of a frame");
}

/* ---- random conditions ---- */

static uint64_t state = 1;

static uint64_t next(uint64_t bound)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (state >> 33) % bound;
}

static const char *const columns[] = {"step", "slope", "pm25", "n", "id", "level", "share"};

static void put_constant(struct aq_bytes *out, size_t column)
{
    char text[64];
    uint64_t value = next(4000);
    static const char *const odd[] = {"NULL", "'NaN'", "-0.0", "0", "1e30", "-1"};
    if (next(12) == 0 && column != 4)
        snprintf(text, sizeof text, "%s", odd[column == 1 || column == 2 ? next(6) : 3 + next(1)]);
    else if (column == 4)
        snprintf(text, sizeof text, "%lld", (long long)(next(2000) - 1000) * 9007199254740993);
    else if (column == 1 || column == 2)
        snprintf(text, sizeof text, "%llu.%llu", (unsigned long long)value / 10,
                 (unsigned long long)next(10));
    else
        snprintf(text, sizeof text, "%llu", (unsigned long long)(column < 4 ? value : value % 4));
    aq_bytes_append(out, text, strlen(text));
}

static void put_test(struct aq_bytes *out)
{
    static const char *const operators[] = {"=", "<>", "<", "<=", ">", ">="};
    size_t column = next(sizeof columns / sizeof columns[0]);
    uint64_t form = next(10);
    aq_bytes_append(out, columns[column], strlen(columns[column]));
    if (form == 0) {
        aq_bytes_append(out, " IS NOT NULL", 12);
    } else if (form == 1) {
        aq_bytes_append(out, " IN (", 5);
        put_constant(out, column);
        aq_bytes_append(out, ", ", 2);
        put_constant(out, column);
        aq_bytes_append(out, ")", 1);
    } else if (form <= 4) {
        aq_bytes_append(out, " BETWEEN ", 9);
        put_constant(out, column);
        aq_bytes_append(out, " AND ", 5);
        put_constant(out, column);
    } else {
        const char *operator= operators[next(6)];
        aq_bytes_append(out, " ", 1);
        aq_bytes_append(out, operator, strlen(operator));
        aq_bytes_append(out, " ", 1);
        put_constant(out, column);
    }
}

static void put_condition(struct aq_bytes *out, unsigned depth)
{
    if (depth == 0 || next(3) == 0) {
        put_test(out);
        return;
    }
    static const char *const joints[] = {" AND ", " AND ", " OR "};
    const char *joint = joints[next(3)];
    aq_bytes_append(out, next(5) == 0 ? "NOT (" : "    (", 5);
    put_condition(out, depth - 1);
    aq_bytes_append(out, joint, strlen(joint));
    put_condition(out, depth - 1);
    aq_bytes_append(out, ")", 1);
}

static void ask_at_random(unsigned count)
{
    struct aq_bytes condition = {0};
    uint64_t skipped_count = 0;
    for (unsigned i = 0; i < count; i++) {
        char sql[500];
        aq_bytes_clear(&condition);
        put_condition(&condition, 2);
        snprintf(sql, sizeof sql, "SELECT %s FROM @ WHERE %.*s%s",
                 i % 2 == 0 ? "count(*), sum(id % 1000), max(slope), min(note)"
                            : "city, station, n, step",
                 (int)condition.size, (const char *)condition.data,
                 i % 2 == 0 ? "" : " ORDER BY 1, 2, 3 LIMIT 40");
        scan_ask(sql, SCAN_ROWS);
        snprintf(sql, sizeof sql, "SELECT id FROM tiled WHERE %.*s", (int)condition.size,
                 (const char *)condition.data);
        skipped_count += skipped(sql);
    }
    aq_bytes_deinit(&condition);
    cr_expect_gt(skipped_count, count / 4);
}

Test(vector_scan, answers_are_those_of_all_rows)
{
    ask_at_random(150);
}

/* Rows that are removed have no bounds: those of the tile are not theirs. */
Test(vector_scan, removed_rows_are_not_counted)
{
    scan_remove(100, 1100);
    cr_expect_eq(skipped("SELECT id FROM tiled WHERE step = 1500"), 0);
    scan_ask("SELECT count(*), sum(n) FROM @ WHERE step BETWEEN 500 AND 1500", SCAN_ROWS);
}
