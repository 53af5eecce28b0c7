/* Fuzz target: SQL text, from the parser through binding to execution, over a store with one empty dataset.
 * Whatever comes in ends in rows or in a message. Bytes changed at random seldom are SQL, and few of those that
 * are name a column: most mutations exchange, drop or add whole words. */
#include <assert.h>
#include <ctype.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/query/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);
/* libFuzzer's; absent where the target only replays its corpus. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max) __attribute__((weak));

#define COLUMN_COUNT 5 /* the first words */
#define WORD_COUNT (sizeof words / sizeof words[0])
static const char *const words[] = {"city",
                                    "ts",
                                    "n",
                                    "x",
                                    "j",
                                    "t",
                                    " FROM t",
                                    " FROM t WHERE ",
                                    " GROUP BY ",
                                    " ORDER BY ",
                                    " HAVING ",
                                    " LIMIT 1",
                                    " OFFSET 1",
                                    " AND ",
                                    " OR ",
                                    "NOT ",
                                    " IS NULL",
                                    " IS NOT NULL",
                                    " IS DISTINCT FROM ",
                                    " BETWEEN ",
                                    " IN (",
                                    " LIKE '%'",
                                    "NULL",
                                    "nullif(",
                                    "coalesce(",
                                    "greatest(",
                                    "least(",
                                    "CASE WHEN ",
                                    " THEN ",
                                    " ELSE ",
                                    " END",
                                    "count(*)",
                                    "count(DISTINCT ",
                                    "sum(",
                                    "avg(",
                                    "min(",
                                    "max(",
                                    "stddev(",
                                    "first(",
                                    "last(",
                                    " FILTER (WHERE ",
                                    "date_trunc('hour', ",
                                    "time_bucket('1 hour', ",
                                    "extract(hour FROM ",
                                    "to_char(",
                                    "to_timestamp(",
                                    " AT TIME ZONE 'UTC'",
                                    "INTERVAL '1 day'",
                                    "TIMESTAMPTZ '2025-02-14'",
                                    "DATE '2025-02-14'",
                                    "now()",
                                    "::float8",
                                    "::int",
                                    "::bigint",
                                    "::text",
                                    "::date",
                                    "::json",
                                    "::timestamptz",
                                    " -> 'a'",
                                    " ->> 'a'",
                                    " || ",
                                    "length(",
                                    "substr(",
                                    "upper(",
                                    "round(",
                                    "abs(",
                                    "sqrt(",
                                    "width_bucket(",
                                    "WITH a AS (SELECT ",
                                    " UNION ALL SELECT ",
                                    "SELECT DISTINCT ",
                                    "EXPLAIN ",
                                    "(VALUES (1), (2)) AS v(n)",
                                    " DESC NULLS LAST",
                                    ", ",
                                    "(",
                                    ")",
                                    "'a'",
                                    "1.5",
                                    "-1"};

static struct aq_store *store;
static struct aq_snapshot *snapshot;
static char home[64];

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_home(void)
{
    aq_snapshot_close(snapshot);
    aq_store_close(store);
    nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void open_store(void)
{
    static struct aq_column columns[] = {
        {.name = "city", .type = AQ_TYPE_TEXT, .required = true},
        {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
        {.name = "n", .type = AQ_TYPE_INTEGER},
        {.name = "x", .type = AQ_TYPE_DOUBLE},
        {.name = "j", .type = AQ_TYPE_JSON},
    };
    struct aq_schema schema = {.dataset = "t",
                               .column_count = sizeof columns / sizeof columns[0],
                               .columns = columns,
                               .key_column = 0,
                               .time_column = 1,
                               .slot = AQ_SLOT_DAY,
                               .version_column = AQ_COLUMN_NONE};
    const struct aq_schema *declared;
    const struct aq_schema *rejects;
    snprintf(home, sizeof home, "/tmp/aqstore-fuzz-sql-XXXXXX");
    assert(mkdtemp(home) != NULL);
    struct aq_store_options options = {.home = home, .create = true, .io = AQ_IO_POSIX};
    enum aq_status status = aq_store_open(&options, &store, NULL);
    assert(status == AQ_OK);
    status = aq_store_declare(store, &schema, &declared, &rejects, NULL);
    assert(status == AQ_OK);
    status = aq_snapshot_open(store, &snapshot, NULL);
    assert(status == AQ_OK);
    atexit(remove_home);
}

static void read_all(struct aq_query *query)
{
    const struct aq_batch *batch;
    struct aq_bytes text = {0};
    struct aq_error err = {0};
    while (aq_query_next(query, &batch, &err) == AQ_OK) {
        assert(batch->row_count > 0 && batch->column_count == aq_query_column_count(query));
        for (size_t row = 0; row < batch->row_count; row++) {
            for (size_t c = 0; c < batch->column_count; c++) {
                enum aq_status status = aq_query_value_text(query, &batch->columns[c], row, &text);
                assert(status == AQ_OK);
            }
            aq_bytes_clear(&text);
        }
    }
    aq_bytes_deinit(&text);
}

static bool is_word_part(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '.' || c >= 0x80;
}

/* The end of the token at `at`: a word, a quoted text, or one character. */
static size_t token_end(const uint8_t *data, size_t size, size_t at)
{
    size_t end = at + 1;
    if (data[at] == '\'') {
        while (end < size && data[end] != '\'')
            end++;
        return end < size ? end + 1 : end;
    }
    while (is_word_part(data[at]) && end < size && is_word_part(data[end]))
        end++;
    return end;
}

/* Columns stand for each other more often than for anything else: that is what binding is about. */
static const char *choose_word(const uint8_t *token, size_t size, unsigned choice)
{
    for (size_t i = 0; i < COLUMN_COUNT && choice % 4 > 0; i++)
        if (strlen(words[i]) == size && memcmp(words[i], token, size) == 0)
            return words[choice / 4 % COLUMN_COUNT];
    return words[choice / 4 % WORD_COUNT];
}

/* Put `text` for [begin, end) if it fits. @return the new size. */
static size_t put_words(uint8_t *data, size_t size, size_t size_max, size_t begin, size_t end,
                        const char *text)
{
    size_t length = strlen(text);
    if (size - (end - begin) + length > size_max)
        return size;
    memmove(data + begin + length, data + end, size - end);
    /* One text among bytes. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(data + begin, text, length);
    return size - (end - begin) + length;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    if (seed % 8 == 0 || size == 0)
        return LLVMFuzzerMutate(data, size, size_max);
    for (unsigned rounds = 1 + seed / 8 % 3; rounds > 0 && size > 0; rounds--) {
        seed = seed * 1103515245 + 12345;
        size_t wanted = seed / 65536 % size;
        size_t begin = 0;
        size_t end = token_end(data, size, 0);
        while (end <= wanted) {
            begin = end;
            end = token_end(data, size, begin);
        }
        seed = seed * 1103515245 + 12345;
        const char *word = choose_word(data + begin, end - begin, seed / 65536);
        seed = seed * 1103515245 + 12345;
        unsigned choice = seed / 65536 % 8;
        if (choice == 0)
            size = put_words(data, size, size_max, begin, end, " ");
        else
            size = put_words(data, size, size_max, begin, choice < 3 ? begin : end, word);
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aq_query_options options = {
        .timezone = "Asia/Shanghai", .memory_bytes = (uint64_t)64 << 20, .thread_count = 1};
    struct aq_query *query = NULL;
    struct aq_error err = {0};
    char *sql = malloc(size + 1);
    if (store == NULL)
        open_store();
    if (sql == NULL)
        return 0;
    if (size > 0)
        memcpy(sql, data, size);
    sql[size] = '\0';
    if (aq_query_prepare(snapshot, sql, &options, &query, &err) == AQ_OK) {
        read_all(query);
        aq_query_destroy(query);
    } else {
        assert(err.message[0] != '\0');
    }
    free(sql);
    return 0;
}
