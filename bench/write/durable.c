/* How fast rows become durable: this store's segment writer beside what else a program could call. One engine, one shape,
 * one run; bench/write/durable.py puts the runs together.
 *
 * Usage: durable ENGINE FOLDER FRAME_BYTES DEPTH SHARDS SECONDS, ENGINE being aqstore, append (write, then fdatasync),
 * rocksdb (its log, sync) or sqlite (WAL, synchronous=FULL). Each shard is a thread. A commit is a frame of so many rows
 * as fill FRAME_BYTES, the same rows for all: a number, a time, a payload that nothing compresses. Prints one line of
 * JSON; in the end the rows are counted as a reader would, and must be those that were written.
 * Failures: a message and exit code 1. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/store/segment/write/shard_writer.h"
#include "engine/store/snapshot/snapshot.h"

#define PAYLOAD_BYTES ((size_t)416)
#define FRAME_OVERHEAD ((size_t)640)
#define POOL_BYTES ((size_t)16 << 20)
#define SHARDS_MAX 16
#define LATENCIES_MAX ((size_t)4 << 20)
#define FIRST_TIME_US INT64_C(1700000000000000)

struct settings {
    const char *engine;
    const char *folder;
    size_t frame_bytes;
    unsigned depth;
    unsigned shard_count;
    double seconds;
    size_t row_count; /* of a commit */
    const uint8_t *pool;
};

struct shard {
    const struct settings *settings;
    unsigned number;
    pthread_t thread;
    void *handle; /* of the engine, shared or the shard's own */
    int64_t begin_us;
    int64_t next; /* row */
    uint64_t commit_count;
    uint64_t bytes;
    uint64_t direct_count;
    int64_t end_us;
    uint32_t *latencies_us;
    size_t latency_count;
    int64_t *started_us; /* ring of the commits in flight, and the one that waits */
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "durable: %s: %s\n", what, why);
    exit(1);
}

static void check(enum aq_status status, const char *what, const struct aq_error *err)
{
    if (status < 0)
        fail(what, err->message);
}

static void note_latency(struct shard *shard, int64_t started_us)
{
    if (shard->latency_count < LATENCIES_MAX)
        shard->latencies_us[shard->latency_count++] = (uint32_t)(aq_clock_us() - started_us);
}

static bool goes_on(const struct shard *shard)
{
    return (double)(aq_clock_us() - shard->begin_us) < shard->settings->seconds * 1e6;
}

static const uint8_t *payload(const struct settings *settings, int64_t row)
{
    return settings->pool + (size_t)row * PAYLOAD_BYTES % (POOL_BYTES - PAYLOAD_BYTES);
}

/* aqstore. */

static void acked(void *context, const struct aq_source_range *ranges, size_t range_count)
{
    struct shard *shard = context;
    (void)ranges;
    (void)range_count;
    note_latency(shard, shard->started_us[shard->commit_count % (shard->settings->depth + 1)]);
    shard->commit_count++;
}

static struct aq_column columns[] = {
    {.name = "n", .type = AQ_TYPE_BIGINT, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
    {.name = "payload", .type = AQ_TYPE_BYTEA, .required = true},
};

static const struct aq_schema *declare(struct aq_store *store)
{
    struct aq_schema schema = {.dataset = "rows",
                               .column_count = 3,
                               .columns = columns,
                               .key_column = AQ_COLUMN_NONE,
                               .time_column = 1,
                               .slot = AQ_SLOT_MONTH,
                               .version_column = AQ_COLUMN_NONE};
    const struct aq_schema *recorded;
    const struct aq_schema *rejects;
    struct aq_error err = {0};
    check(aq_store_declare(store, &schema, &recorded, &rejects, &err), "declaring", &err);
    return recorded;
}

/* The rows of the next commit, in place of those before. */
static void fill(struct shard *shard, struct aq_batch *rows)
{
    const struct settings *settings = shard->settings;
    for (size_t i = 0; i < settings->row_count; i++) {
        int64_t n = shard->next + (int64_t)i;
        rows->columns[0].ints[i] = n;
        rows->columns[1].ints[i] = FIRST_TIME_US + n;
        rows->columns[2].slices[i] = aq_slice_make(payload(settings, n), PAYLOAD_BYTES);
        rows->columns[4].ints[i] = n;
    }
}

static void make_rows(const struct shard *shard, const struct aq_schema *schema, uint64_t feed_id,
                      struct aq_batch *rows)
{
    struct aq_error err = {0};
    check(aq_schema_batch_init(schema, true, rows), "memory", &err);
    for (size_t i = 0; i < shard->settings->row_count; i++) {
        enum aq_status status =
            aq_vector_append_slice(&rows->columns[2], aq_slice_make(shard->settings->pool, 1));
        for (size_t c = 0; c < rows->column_count && status == AQ_OK; c++) {
            if (c != 2)
                status = aq_vector_append_int(&rows->columns[c], c == 3 ? (int64_t)feed_id : 7);
        }
        check(status, "memory", &err);
        rows->row_count++;
    }
}

static void run_frames(struct shard *shard, struct aq_shard_writer *writer,
                       const struct aq_schema *schema, uint64_t feed_id)
{
    struct aq_batch rows;
    struct aq_error err = {0};
    uint64_t appended = 0;
    uint32_t count = (uint32_t)shard->settings->row_count;
    struct aq_partition partition = {.row_count = count};
    struct aq_section_input section = {
        .schema = schema, .rows = &rows, .partitions = &partition, .partition_count = 1};
    make_rows(shard, schema, feed_id, &rows);
    partition.slot_start_us = aq_slot_start(AQ_SLOT_MONTH, FIRST_TIME_US);
    for (shard->begin_us = aq_clock_us(); goes_on(shard); shard->next += count) {
        fill(shard, &rows);
        struct aq_source_range range = {.feed_id = feed_id,
                                        .first_ordinal = (uint64_t)shard->next,
                                        .next_ordinal = (uint64_t)shard->next + count,
                                        .row_count = count};
        shard->started_us[appended++ % (shard->settings->depth + 1)] = aq_clock_us();
        check(aq_shard_writer_append(writer, &range, 1, &section, 1, &err), "appending", &err);
    }
    check(aq_shard_writer_flush(writer, &err), "flushing", &err);
    shard->end_us = aq_clock_us();
    aq_batch_deinit(&rows);
}

static void *run_aqstore(void *context)
{
    struct shard *shard = context;
    struct aq_store *store = shard->handle;
    struct aq_shard_writer_options options = {.segment_size_bytes = (uint64_t)64 << 20,
                                              .depth = shard->settings->depth,
                                              .ack = acked,
                                              .ack_context = shard};
    struct aq_shard_writer *writer = NULL;
    struct aq_error err = {0};
    uint64_t feed_id;
    char name[32];
    const struct aq_schema *schema = declare(store);
    snprintf(name, sizeof name, "shard %u", shard->number);
    struct aq_feed_identity identity = {.dataset_id = schema->dataset_id,
                                        .source = aq_slice_of("bench"),
                                        .name = aq_slice_of(name),
                                        .partition = -1};
    check(aq_shard_writer_create(store, &options, &writer, &err), "a writer", &err);
    check(aq_shard_writer_claim(writer, &identity, 0, &feed_id, &err), "a claim", &err);
    run_frames(shard, writer, schema, feed_id);
    struct aq_shard_writer_counters counters = aq_shard_writer_count(writer);
    shard->bytes = counters.bytes_written;
    shard->direct_count = counters.direct_frame_count;
    check(aq_shard_writer_seal(writer, &err), "sealing", &err);
    aq_shard_writer_destroy(writer);
    return NULL;
}

static void *open_aqstore(const struct settings *settings)
{
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    struct aq_store_options options = {.home = settings->folder, .create = true};
    check(aq_store_open(&options, &store, &err), "opening", &err);
    declare(store);
    return store;
}

static uint64_t count_aqstore(void *handle)
{
    struct aq_snapshot *snapshot = NULL;
    const struct aq_unit *units;
    size_t unit_count;
    uint64_t row_count = 0;
    struct aq_error err = {0};
    const struct aq_schema *schema = declare(handle);
    check(aq_snapshot_open(handle, &snapshot, &err), "a snapshot", &err);
    check(aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, &err), "its parts",
          &err);
    for (size_t i = 0; i < unit_count; i++)
        row_count += units[i].row_count;
    aq_snapshot_close(snapshot);
    return row_count;
}

/* Write and fdatasync, at the end of a file. */

static void *run_append(void *context)
{
    struct shard *shard = context;
    char path[4096];
    snprintf(path, sizeof path, "%s/append-%u", shard->settings->folder, shard->number);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        fail(path, strerror(errno));
    size_t size = shard->settings->frame_bytes;
    for (shard->begin_us = aq_clock_us(); goes_on(shard);) {
        int64_t started_us = aq_clock_us();
        const uint8_t *bytes =
            shard->settings->pool + shard->commit_count * 4099 % (POOL_BYTES - size);
        if (write(fd, bytes, size) != (ssize_t)size || fdatasync(fd) != 0)
            fail(path, strerror(errno));
        note_latency(shard, started_us);
        shard->commit_count++;
        shard->bytes += size;
        shard->next += (int64_t)shard->settings->row_count;
    }
    shard->end_us = aq_clock_us();
    close(fd);
    return NULL;
}

/* RocksDB: a batch of puts with sync; its group commit joins those of several threads. */

static void rocks_check(char *problem)
{
    if (problem != NULL)
        fail("rocksdb", problem);
}

static void *open_rocksdb(const struct settings *settings)
{
    char *problem = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_t *db = rocksdb_open(options, settings->folder, &problem);
    rocks_check(problem);
    return db;
}

static void big_endian(uint64_t value, uint8_t *out)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static void *run_rocksdb(void *context)
{
    struct shard *shard = context;
    char *problem = NULL;
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(options, 1);
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    uint8_t value[8 + PAYLOAD_BYTES];
    for (shard->begin_us = aq_clock_us(); goes_on(shard);) {
        int64_t started_us = aq_clock_us();
        for (size_t i = 0; i < shard->settings->row_count; i++, shard->next++) {
            uint8_t key[9] = {(uint8_t)shard->number};
            big_endian((uint64_t)shard->next, key + 1);
            big_endian((uint64_t)(FIRST_TIME_US + shard->next), value);
            memcpy(value + 8, payload(shard->settings, shard->next), PAYLOAD_BYTES);
            rocksdb_writebatch_put(batch, (char *)key, sizeof key, (char *)value, sizeof value);
        }
        rocksdb_write(shard->handle, options, batch, &problem);
        rocks_check(problem);
        rocksdb_writebatch_clear(batch);
        note_latency(shard, started_us);
        shard->commit_count++;
        shard->bytes += shard->settings->row_count * (PAYLOAD_BYTES + 17);
    }
    shard->end_us = aq_clock_us();
    rocksdb_writebatch_destroy(batch);
    rocksdb_writeoptions_destroy(options);
    return NULL;
}

static uint64_t count_rocksdb(void *handle)
{
    uint64_t count = 0;
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_iterator_t *at = rocksdb_create_iterator(handle, options);
    for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at))
        count++;
    rocksdb_iter_destroy(at);
    rocksdb_readoptions_destroy(options);
    return count;
}

/* SQLite: a transaction a commit, a database a shard, since a database has one writer. */

static void sql(sqlite3 *db, const char *text)
{
    char *problem = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &problem) != SQLITE_OK)
        fail("sqlite", problem);
}

static sqlite3 *open_sqlite(const struct settings *settings, unsigned number)
{
    char path[4096];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/%u.sqlite", settings->folder, number);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        fail(path, sqlite3_errmsg(db));
    sql(db, "PRAGMA journal_mode=WAL");
    sql(db, "PRAGMA synchronous=FULL");
    sql(db, "CREATE TABLE IF NOT EXISTS rows (n INTEGER PRIMARY KEY, ts INTEGER, payload BLOB)");
    return db;
}

static void *run_sqlite(void *context)
{
    struct shard *shard = context;
    sqlite3 *db = open_sqlite(shard->settings, shard->number);
    sqlite3_stmt *insert = NULL;
    if (sqlite3_prepare_v2(db, "INSERT INTO rows VALUES (?, ?, ?)", -1, &insert, NULL) != SQLITE_OK)
        fail("sqlite", sqlite3_errmsg(db));
    for (shard->begin_us = aq_clock_us(); goes_on(shard);) {
        int64_t started_us = aq_clock_us();
        sql(db, "BEGIN");
        for (size_t i = 0; i < shard->settings->row_count; i++, shard->next++) {
            sqlite3_bind_int64(insert, 1, shard->next);
            sqlite3_bind_int64(insert, 2, FIRST_TIME_US + shard->next);
            sqlite3_bind_blob(insert, 3, payload(shard->settings, shard->next), PAYLOAD_BYTES,
                              SQLITE_STATIC);
            if (sqlite3_step(insert) != SQLITE_DONE || sqlite3_reset(insert) != SQLITE_OK)
                fail("sqlite", sqlite3_errmsg(db));
        }
        sql(db, "COMMIT");
        note_latency(shard, started_us);
        shard->commit_count++;
        shard->bytes += shard->settings->row_count * (PAYLOAD_BYTES + 17);
    }
    shard->end_us = aq_clock_us();
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return NULL;
}

static uint64_t count_sqlite(const struct settings *settings)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < settings->shard_count; i++) {
        sqlite3 *db = open_sqlite(settings, i);
        sqlite3_stmt *select = NULL;
        if (sqlite3_prepare_v2(db, "SELECT count(*) FROM rows", -1, &select, NULL) != SQLITE_OK ||
            sqlite3_step(select) != SQLITE_ROW)
            fail("sqlite", sqlite3_errmsg(db));
        count += (uint64_t)sqlite3_column_int64(select, 0);
        sqlite3_finalize(select);
        sqlite3_close(db);
    }
    return count;
}

/* The run. */

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void print_result(const struct settings *settings, const struct shard *shards)
{
    struct shard total = {.begin_us = INT64_MAX};
    for (unsigned i = 0; i < settings->shard_count; i++) {
        const struct shard *shard = &shards[i];
        total.begin_us = shard->begin_us < total.begin_us ? shard->begin_us : total.begin_us;
        total.end_us = shard->end_us > total.end_us ? shard->end_us : total.end_us;
        total.commit_count += shard->commit_count;
        total.bytes += shard->bytes;
        total.next += shard->next;
        total.direct_count += shard->direct_count;
        total.latency_count += shard->latency_count;
    }
    uint32_t *all = malloc((total.latency_count + 1) * sizeof *all);
    if (all == NULL)
        fail("latencies", "out of memory");
    size_t count = 0;
    for (unsigned i = 0; i < settings->shard_count; i++) {
        memcpy(all + count, shards[i].latencies_us, shards[i].latency_count * sizeof *all);
        count += shards[i].latency_count;
    }
    qsort(all, count, sizeof *all, compare);
    printf("{\"commits\": %" PRIu64 ", \"rows\": %" PRId64 ", \"bytes\": %" PRIu64
           ", \"seconds\": %.6f, \"direct\": %" PRIu64
           ", \"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u}\n",
           total.commit_count, total.next, total.bytes,
           (double)(total.end_us - total.begin_us) / 1e6, total.direct_count,
           count == 0 ? 0 : all[count / 2], count == 0 ? 0 : all[count * 99 / 100],
           count == 0 ? 0 : all[count * 999 / 1000]);
    free(all);
}

/* Start a shard for each thread; wait for all. */
static uint64_t run_shards(const struct settings *settings, void *(*run)(void *), void *handle,
                           struct shard *shards)
{
    uint64_t row_count = 0;
    for (unsigned i = 0; i < settings->shard_count; i++) {
        shards[i] = (struct shard){.settings = settings, .number = i, .handle = handle};
        shards[i].latencies_us = malloc(LATENCIES_MAX * sizeof *shards[i].latencies_us);
        shards[i].started_us = calloc(settings->depth + 1, sizeof *shards[i].started_us);
        if (shards[i].latencies_us == NULL || shards[i].started_us == NULL ||
            pthread_create(&shards[i].thread, NULL, run, &shards[i]) != 0)
            fail("a shard", "out of memory or threads");
    }
    for (unsigned i = 0; i < settings->shard_count; i++) {
        pthread_join(shards[i].thread, NULL);
        row_count += (uint64_t)shards[i].next;
    }
    return row_count;
}

static void run(const struct settings *settings, struct shard *shards)
{
    uint64_t written;
    uint64_t found;
    if (strcmp(settings->engine, "aqstore") == 0) {
        void *store = open_aqstore(settings);
        written = run_shards(settings, run_aqstore, store, shards);
        found = count_aqstore(store);
        aq_store_close(store);
    } else if (strcmp(settings->engine, "rocksdb") == 0) {
        void *db = open_rocksdb(settings);
        written = run_shards(settings, run_rocksdb, db, shards);
        found = count_rocksdb(db);
        rocksdb_close(db);
    } else if (strcmp(settings->engine, "sqlite") == 0) {
        written = run_shards(settings, run_sqlite, NULL, shards);
        found = count_sqlite(settings);
    } else {
        written = found = run_shards(settings, run_append, NULL, shards);
    }
    if (written != found)
        fail(settings->engine, "the rows that are there are not those that were written");
}

static uint8_t *make_pool(void)
{
    uint8_t *pool = malloc(POOL_BYTES);
    uint64_t random = 1;
    if (pool == NULL)
        fail("the payloads", "out of memory");
    for (size_t i = 0; i < POOL_BYTES; i += sizeof random) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t mixed = (random ^ random >> 33) * UINT64_C(0xff51afd7ed558ccd);
        memcpy(pool + i, &mixed, sizeof mixed);
    }
    return pool;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 7)
        fail("usage", "durable ENGINE FOLDER FRAME_BYTES DEPTH SHARDS SECONDS");
    struct settings settings = {.engine = arguments[1],
                                .folder = arguments[2],
                                .frame_bytes = strtoul(arguments[3], NULL, 10),
                                .depth = (unsigned)strtoul(arguments[4], NULL, 10),
                                .shard_count = (unsigned)strtoul(arguments[5], NULL, 10),
                                .seconds = strtod(arguments[6], NULL)};
    if (settings.frame_bytes < 2 * FRAME_OVERHEAD || settings.frame_bytes > POOL_BYTES / 2 ||
        settings.depth == 0 || settings.shard_count == 0 || settings.shard_count > SHARDS_MAX)
        fail("usage", "a frame of 2 KiB to 8 MiB, a depth, 1 to 16 shards");
    settings.row_count = (settings.frame_bytes - FRAME_OVERHEAD) / PAYLOAD_BYTES;
    settings.pool = make_pool();
    static struct shard shards[SHARDS_MAX];
    run(&settings, shards);
    print_result(&settings, shards);
    return 0;
}
