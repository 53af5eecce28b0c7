/* A dataset whose rows are the numbers 0, 1, 2 ... of one feed: what is in a store is then told by how far
 * they go, and a row that is lost, doubled or altered shows. */
#ifndef AQ_TESTS_UNIT_NUMBERS_H
#define AQ_TESTS_UNIT_NUMBERS_H

#include "engine/store/segment/write/shard_writer.h"
#include "engine/store/snapshot/snapshot.h"
#include "format/segment/segment_index.h"

#include "tests/unit/scratch.h"

#define NUMBERS_SEGMENT ((uint64_t)1 << 20)

static struct aq_column number_columns[] = {
    {.name = "k", .type = AQ_TYPE_TEXT, .required = true},
    {.name = "t", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
    {.name = "n", .type = AQ_TYPE_BIGINT},
};

struct numbers {
    struct aq_store *store;
    struct aq_shard_writer *writer;
    const struct aq_schema *schema;
    uint64_t feed_id;
    int64_t next;  /* number */
    int64_t acked; /* numbers below it were acked */
    enum aq_io_kind io;
    uint64_t segment_size;
    unsigned depth;
    bool hold; /* nothing counts before the segment is sealed */
};

static inline struct aq_store *numbers_store(bool create, enum aq_io_kind io)
{
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    struct aq_store_options options = {.home = scratch_file("home"), .create = create, .io = io};
    enum aq_status status = aq_store_open(&options, &store, &err);
    cr_assert_eq(status, AQ_OK, "%s: %s", err.path, err.message);
    return store;
}

static inline void numbers_ack(void *context, const struct aq_source_range *ranges,
                               size_t range_count)
{
    struct numbers *numbers = (struct numbers *)context;
    cr_assert_eq(range_count, 1);
    cr_assert_eq(ranges[0].first_ordinal, (uint64_t)numbers->acked, "acks come in order");
    numbers->acked = (int64_t)ranges[0].next_ordinal;
}

/** A store with a writer that has not written; fields left 0 get defaults. */
static inline void numbers_begin(struct numbers *numbers)
{
    struct aq_schema schema = {.dataset = "numbers",
                               .column_count = 3,
                               .columns = number_columns,
                               .key_column = 0,
                               .time_column = 1,
                               .slot = AQ_SLOT_DAY,
                               .version_column = AQ_COLUMN_NONE};
    const struct aq_schema *rejects = NULL;
    if (numbers->io == AQ_IO_AUTO)
        numbers->io = AQ_IO_POSIX;
    numbers->store = numbers_store(true, numbers->io);
    cr_assert_eq(aq_store_declare(numbers->store, &schema, &numbers->schema, &rejects, NULL),
                 AQ_OK);
    struct aq_shard_writer_options options = {
        .segment_size_bytes = numbers->segment_size == 0 ? NUMBERS_SEGMENT : numbers->segment_size,
        .depth = numbers->depth == 0 ? 4 : numbers->depth,
        .ack = numbers_ack,
        .ack_context = numbers,
        .hold = numbers->hold,
    };
    cr_assert_eq(aq_shard_writer_create(numbers->store, &options, &numbers->writer, NULL), AQ_OK);
}

/** Claim the feed: a new one, or the one the store has, from where it stands. */
static inline enum aq_status numbers_claim(struct numbers *numbers, struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(numbers->store, true, &catalog, NULL), AQ_OK);
    struct aq_feed_identity identity = {.dataset_id = numbers->schema->dataset_id,
                                        .source = aq_slice_of("test"),
                                        .name = aq_slice_of("numbers"),
                                        .partition = -1};
    uint64_t from = 0;
    if (catalog->feed_count > 0) {
        identity = catalog->feeds[0].identity;
        from = catalog->feeds[0].position.next_ordinal;
    }
    enum aq_status status =
        aq_shard_writer_claim(numbers->writer, &identity, from, &numbers->feed_id, err);
    numbers->next = (int64_t)from;
    numbers->acked = (int64_t)from;
    aq_catalog_release(catalog);
    return status;
}

static inline const char *number_key(int64_t n)
{
    static const char *const keys[] = {"beijing", "hanoi", "oslo"};
    return keys[(n / 100) % 3];
}

static inline int64_t number_time(int64_t n)
{
    return INT64_C(1700000000000000) + n * 60000000;
}

/** Append the next `count` numbers as one frame. */
static inline enum aq_status numbers_append(struct numbers *numbers, unsigned count,
                                            struct aq_error *err)
{
    struct aq_batch rows;
    cr_assert_eq(aq_schema_batch_init(numbers->schema, true, &rows), AQ_OK);
    for (unsigned i = 0; i < count; i++) {
        int64_t n = numbers->next + i;
        const char *key = number_key(numbers->next);
        cr_assert_eq(aq_vector_append_slice(&rows.columns[0], aq_slice_of(key)), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[1], number_time(n)), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[2], n), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[3], (int64_t)numbers->feed_id), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[4], n), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[5], 7), AQ_OK);
        rows.row_count++;
    }
    struct aq_partition partition = {.key = aq_slice_of(number_key(numbers->next)),
                                     .slot_start_us =
                                         aq_slot_start(AQ_SLOT_DAY, number_time(numbers->next)),
                                     .row_count = count};
    struct aq_section_input section = {
        .schema = numbers->schema, .rows = &rows, .partitions = &partition, .partition_count = 1};
    struct aq_source_range range = {.feed_id = numbers->feed_id,
                                    .first_ordinal = (uint64_t)numbers->next,
                                    .next_ordinal = (uint64_t)numbers->next + count,
                                    .next_offset = (uint64_t)(numbers->next + count) * 10,
                                    .row_count = count};
    enum aq_status status = aq_shard_writer_append(numbers->writer, &range, 1, &section, 1, err);
    aq_batch_deinit(&rows);
    if (status == AQ_OK)
        numbers->next += count;
    return status;
}

static inline void numbers_end(struct numbers *numbers)
{
    aq_shard_writer_destroy(numbers->writer);
    aq_store_close(numbers->store);
    numbers->writer = NULL;
    numbers->store = NULL;
}

/* Mark the numbers of one unit; each is seen once and has its own time and key. */
static inline enum aq_status numbers_mark(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                          const struct aq_schema *schema, uint8_t *seen,
                                          size_t limit, int64_t *count, struct aq_error *err)
{
    struct aq_batch batch;
    uint32_t ids[3];
    for (int i = 0; i < 3; i++)
        ids[i] = schema->columns[i].id;
    cr_assert_eq(aq_schema_batch_init(schema, false, &batch), AQ_OK);
    enum aq_status status = aq_unit_read(snapshot, unit, ids, &batch, err);
    for (size_t row = 0; status == AQ_OK && row < batch.row_count; row++) {
        int64_t n = batch.columns[2].ints[row];
        cr_assert(n >= 0 && (size_t)n < limit, "number %lld", (long long)n);
        cr_assert_eq(seen[n], 0, "number %lld twice", (long long)n);
        cr_assert_eq(batch.columns[1].ints[row], number_time(n));
        cr_assert_eq(batch.columns[0].slices[row].data[0] != 0, 1);
        seen[n] = 1;
        (*count)++;
    }
    aq_batch_deinit(&batch);
    return status;
}

/** Read the store: how many numbers it has (they must be 0 .. count - 1), or what failed. */
static inline enum aq_status numbers_count(struct aq_store *store, int64_t *count,
                                           struct aq_error *err)
{
    enum { LIMIT = 1 << 20 };
    struct aq_snapshot *snapshot = NULL;
    *count = 0;
    AQ_TRY(aq_snapshot_open(store, &snapshot, err));
    const struct aq_schema *schema = aq_catalog_schema(aq_snapshot_catalog(snapshot), "numbers");
    cr_assert_not_null(schema);
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    uint8_t *seen = (uint8_t *)calloc(LIMIT, 1);
    cr_assert_not_null(seen);
    enum aq_status status =
        aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, err);
    for (size_t i = 0; status == AQ_OK && i < unit_count; i++)
        status = numbers_mark(snapshot, &units[i], schema, seen, LIMIT, count, err);
    for (int64_t n = 0; status == AQ_OK && n < *count; n++)
        cr_assert_eq(seen[n], 1, "number %lld of %lld is missing", (long long)n, (long long)*count);
    free(seen);
    aq_snapshot_close(snapshot);
    return status;
}

/** The same, for a store that must be readable. */
static inline int64_t numbers_in(struct aq_store *store)
{
    int64_t count = 0;
    struct aq_error err = {0};
    enum aq_status status = numbers_count(store, &count, &err);
    cr_assert_eq(status, AQ_OK, "%s: %s", err.path, err.message);
    return count;
}

/** Path of segment `id` in the scratch home, in a static buffer. */
static inline const char *numbers_segment(uint64_t id)
{
    char name[64];
    char path[96];
    aq_catalog_file_name(AQ_FILE_SEGMENT, id, name, sizeof name);
    snprintf(path, sizeof path, "home/%s", name);
    return scratch_file(path);
}

#endif
