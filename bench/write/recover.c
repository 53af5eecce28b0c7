/* How long recovery takes. Usage: recover NEW-FOLDER [SEGMENTS [MIB [THREADS]]]: that many segments of so many MiB (4 of 256)
 * are written and left open, as by processes that were killed; then a store is opened and recovers them, its files still
 * in memory, in so many threads (0: as it always does).
 *
 * Prints bytes, seconds and seconds of processor. Failures: a message and exit code 1. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "engine/base/clock.h"
#include "engine/store/segment/write/shard_writer.h"

enum { FRAME_ROWS = 32768, COLUMNS = 4 };

static void need(enum aq_status status, const struct aq_error *err)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "recover: %s: %s\n", err->path, err->message);
    exit(1);
}

static struct aq_store *open_store(const char *home, unsigned thread_count)
{
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    struct aq_store_options options = {
        .home = home, .create = true, .recovery_thread_count = thread_count};
    need(aq_store_open(&options, &store, &err), &err);
    return store;
}

static const struct aq_schema *declare(struct aq_store *store)
{
    static struct aq_column columns[COLUMNS] = {{.name = "a", .type = AQ_TYPE_BIGINT},
                                                {.name = "b", .type = AQ_TYPE_BIGINT},
                                                {.name = "c", .type = AQ_TYPE_BIGINT},
                                                {.name = "d", .type = AQ_TYPE_BIGINT}};
    struct aq_schema schema = {.dataset = "noise",
                               .column_count = COLUMNS,
                               .columns = columns,
                               .key_column = AQ_COLUMN_NONE,
                               .time_column = AQ_COLUMN_NONE,
                               .version_column = AQ_COLUMN_NONE};
    const struct aq_schema *declared;
    const struct aq_schema *rejects;
    struct aq_error err = {0};
    need(aq_store_declare(store, &schema, &declared, &rejects, &err), &err);
    return declared;
}

/* Numbers that no encoding makes smaller. */
static void fill(struct aq_batch *batch)
{
    uint64_t state = 1;
    for (size_t column = 0; column < batch->column_count; column++) {
        if (aq_vector_resize(&batch->columns[column], FRAME_ROWS) != AQ_OK)
            exit(1);
        for (size_t row = 0; row < FRAME_ROWS; row++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            batch->columns[column].ints[row] = (int64_t)(state ^ state >> 29);
        }
    }
    batch->row_count = FRAME_ROWS;
}

/* One segment, whose writer then is gone without a word. */
static uint64_t write_segment(struct aq_store *store, const struct aq_schema *schema,
                              int32_t partition, uint64_t size_bytes)
{
    struct aq_shard_writer *writer = NULL;
    struct aq_shard_writer_options options = {.segment_size_bytes = UINT64_MAX, .depth = 4};
    struct aq_feed_identity identity = {.dataset_id = schema->dataset_id,
                                        .source = aq_slice_of("bench"),
                                        .name = aq_slice_of("noise"),
                                        .partition = partition};
    struct aq_error err = {0};
    struct aq_batch batch;
    uint64_t feed_id;
    need(aq_shard_writer_create(store, &options, &writer, &err), &err);
    need(aq_shard_writer_claim(writer, &identity, 0, &feed_id, &err), &err);
    if (aq_schema_batch_init(schema, true, &batch) != AQ_OK)
        exit(1);
    fill(&batch);
    for (uint64_t frame = 0; aq_shard_writer_count(writer).bytes_written < size_bytes; frame++) {
        struct aq_partition whole = {.row_count = FRAME_ROWS};
        struct aq_section_input section = {schema, &batch, &whole, 1};
        struct aq_source_range range = {.feed_id = feed_id,
                                        .first_ordinal = frame * FRAME_ROWS,
                                        .next_ordinal = (frame + 1) * FRAME_ROWS,
                                        .row_count = FRAME_ROWS};
        need(aq_shard_writer_append(writer, &range, 1, &section, 1, &err), &err);
    }
    need(aq_shard_writer_flush(writer, &err), &err);
    uint64_t written = aq_shard_writer_count(writer).bytes_written;
    aq_shard_writer_destroy(writer);
    aq_batch_deinit(&batch);
    return written;
}

static double processor_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: recover NEW-FOLDER [SEGMENTS [MIB [THREADS]]]\n");
        return 2;
    }
    int32_t segment_count = argc > 2 ? (int32_t)strtol(argv[2], NULL, 10) : 4;
    uint64_t size_bytes = (argc > 3 ? strtoull(argv[3], NULL, 10) : 256) << 20;
    unsigned thread_count = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    struct aq_store *store = open_store(argv[1], 0);
    const struct aq_schema *schema = declare(store);
    uint64_t written = 0;
    for (int32_t i = 0; i < segment_count; i++)
        written += write_segment(store, schema, i, size_bytes);
    aq_store_close(store);
    struct aq_recovery_report report;
    struct aq_error err = {0};
    store = open_store(argv[1], thread_count);
    double processor = processor_seconds();
    int64_t begin_us = aq_clock_us();
    need(aq_store_recover(store, &report, &err), &err);
    printf("%llu segments, %llu frames, %.2f GiB recovered in %.3f s, %.3f s of processor\n",
           (unsigned long long)report.segment_count, (unsigned long long)report.frame_count,
           (double)written / (double)(1 << 30), aq_clock_seconds_since(begin_us),
           processor_seconds() - processor);
    aq_store_close(store);
    return 0;
}
