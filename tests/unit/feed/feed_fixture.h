/* A made-up topic whose messages are known by (partition, ordinal): some ordinals hold none, some messages are
 * rejects, some are passed over. Owners write it into one home through stores of their own, and what
 * the home then shows is compared with the topic, message by message. */
#ifndef AQ_TESTS_UNIT_FEED_FIXTURE_H
#define AQ_TESTS_UNIT_FEED_FIXTURE_H

#include "engine/store/feed/feeds.h"
#include "engine/store/snapshot/snapshot.h"
#include "tests/unit/scratch.h"

#include <assert.h>
#include <errno.h>

enum { TOPIC_PARTITIONS = 4, TOPIC_MESSAGES = 1 << 14 };

enum message_kind { MESSAGE_ROW, MESSAGE_REJECT, MESSAGE_PASSED, MESSAGE_NONE };

static struct aq_column feed_columns[] = {
    {.name = "k", .type = AQ_TYPE_TEXT, .required = true},
    {.name = "t", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
    {.name = "partition", .type = AQ_TYPE_BIGINT},
    {.name = "ordinal", .type = AQ_TYPE_BIGINT},
};

static inline enum message_kind message_kind(unsigned partition, uint64_t ordinal)
{
    uint64_t random = (ordinal * 7919 + partition + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 59;
    if (random < 3)
        return MESSAGE_REJECT;
    if (random < 5)
        return MESSAGE_PASSED;
    return random < 8 ? MESSAGE_NONE : MESSAGE_ROW;
}

static inline const char *message_key(unsigned partition, uint64_t ordinal)
{
    static const char *const keys[] = {"beijing", "hanoi", "oslo"};
    return keys[(partition + ordinal / 5) % 3];
}

static inline int64_t message_time(uint64_t ordinal)
{
    return INT64_C(1700006400000000) + (int64_t)ordinal * 1000000;
}

/* A store of its own and a writer: what a process has. */
struct owner {
    struct aq_store *store;
    struct aq_shard_writer *writer;
    const struct aq_schema *schema;
    const struct aq_schema *rejects;
    struct aq_feed_state feeds[TOPIC_PARTITIONS]; /* as it believes; feed_id 0: not fed */
};

/* POSIX: an append is acked when owner_append returns. Simulated: it may be in flight still. */
static enum aq_io_kind feed_io = AQ_IO_POSIX;
/* Folder of the scratch directory that the store is in. */
static const char *feed_home = "home";

/* For tests whose disk fails: whether a call may end like this. What it was for is given up then, and
 * feed_failed says so. */
static bool (*feed_excuse)(enum aq_status status, const struct aq_error *err);
static bool feed_failed;

/* Whether to go on. */
static inline bool feed_check(enum aq_status status, const struct aq_error *err)
{
    if (status == AQ_OK)
        return true;
    cr_assert(feed_excuse != NULL && feed_excuse(status, err), "%s: %s", err->path, err->message);
    feed_failed = true;
    return false;
}

/* Recovery in one thread: which read fails is a matter of their order. */
static inline struct aq_store *feed_store(void)
{
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    struct aq_store_options options = {
        .home = scratch_file(feed_home), .create = true, .io = feed_io, .recovery_thread_count = 1};
    return feed_check(aq_store_open(&options, &store, &err), &err) ? store : NULL;
}

static inline void owner_begin(struct owner *owner, uint64_t segment_size)
{
    struct aq_schema schema = {.dataset = "topic",
                               .column_count = 4,
                               .columns = feed_columns,
                               .key_column = 0,
                               .time_column = 1,
                               .slot = AQ_SLOT_DAY,
                               .version_column = AQ_COLUMN_NONE};
    struct aq_error err = {0};
    *owner = (struct owner){.store = feed_store()};
    if (owner->store == NULL ||
        !feed_check(aq_store_declare(owner->store, &schema, &owner->schema, &owner->rejects, &err),
                    &err))
        return;
    struct aq_shard_writer_options options = {.segment_size_bytes = segment_size, .depth = 4};
    cr_assert_eq(aq_shard_writer_create(owner->store, &options, &owner->writer, NULL), AQ_OK);
}

/** Without a word to anybody, as a killed process. */
static inline void owner_end(struct owner *owner)
{
    aq_shard_writer_destroy(owner->writer);
    aq_store_close(owner->store);
    *owner = (struct owner){0};
}

static inline struct aq_feed_state feed_wanted(const struct owner *owner, unsigned partition)
{
    assert(owner->schema != NULL);
    return (struct aq_feed_state){.identity = {.dataset_id = owner->schema->dataset_id,
                                               .source = aq_slice_of("live"),
                                               .name = aq_slice_of("topic"),
                                               .cluster = aq_slice_of("cluster"),
                                               .partition = (int32_t)partition}};
}

static inline struct aq_feed_state feed_found(const struct owner *owner, unsigned partition)
{
    struct aq_feed_state feed = feed_wanted(owner, partition);
    struct aq_error err = {0};
    feed_check(aq_store_find_feed(owner->store, &feed, &err), &err);
    return feed;
}

/** Take over the partitions of which `wanted` has the bit. */
static inline enum aq_status owner_take(struct owner *owner, unsigned wanted, struct aq_error *err)
{
    struct aq_feed_state feeds[TOPIC_PARTITIONS];
    size_t count = 0;
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++) {
        if (wanted & 1u << p)
            feeds[count++] = feed_found(owner, p);
        if (feed_failed)
            return AQ_OK;
    }
    enum aq_status status = aq_shard_writer_take_over(owner->writer, feeds, count, err);
    for (size_t i = 0; status == AQ_OK && i < count; i++)
        owner->feeds[feeds[i].identity.partition] = feeds[i];
    return status;
}

static inline void owner_take_ok(struct owner *owner, unsigned wanted)
{
    struct aq_error err = {0};
    feed_check(owner_take(owner, wanted, &err), &err);
}

static inline void owner_release(struct owner *owner, unsigned partition)
{
    uint64_t feed_id = owner->feeds[partition].identity.feed_id;
    struct aq_error err = {0};
    feed_check(aq_shard_writer_release(owner->writer, &feed_id, 1, &err), &err);
    owner->feeds[partition] = (struct aq_feed_state){0};
}

static inline void feed_system(struct aq_batch *batch, size_t first, uint64_t feed_id,
                               uint64_t ordinal)
{
    cr_assert_eq(aq_vector_append_int(&batch->columns[first], (int64_t)feed_id), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&batch->columns[first + 1], (int64_t)ordinal), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&batch->columns[first + 2], message_time(ordinal)), AQ_OK);
    batch->row_count++;
}

static inline void feed_row(struct aq_batch *rows, uint64_t feed_id, unsigned partition,
                            uint64_t ordinal)
{
    struct aq_slice key = aq_slice_of(message_key(partition, ordinal));
    cr_assert_eq(aq_vector_append_slice(&rows->columns[0], key), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&rows->columns[1], message_time(ordinal)), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&rows->columns[2], partition), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&rows->columns[3], (int64_t)ordinal), AQ_OK);
    feed_system(rows, 4, feed_id, ordinal);
}

static inline void feed_reject(struct aq_batch *rejects, uint64_t feed_id, unsigned partition,
                               uint64_t ordinal)
{
    struct aq_vector *columns = rejects->columns;
    cr_assert_eq(aq_vector_append_slice(&columns[AQ_REJECT_SOURCE], aq_slice_of("live")), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[AQ_REJECT_PARTITION], partition), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[AQ_REJECT_OFFSET], (int64_t)ordinal), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[AQ_REJECT_ARRIVAL], message_time(ordinal)), AQ_OK);
    cr_assert_eq(aq_vector_append_slice(&columns[AQ_REJECT_REASON], aq_slice_of("why")), AQ_OK);
    cr_assert_eq(aq_vector_append_slice(&columns[AQ_REJECT_BYTES], aq_slice_of("{")), AQ_OK);
    feed_system(rejects, AQ_REJECT_COLUMN_COUNT, feed_id, ordinal);
}

/* The messages of the ranges that have this key; false when none has. */
static inline bool feed_partition(struct aq_batch *rows, const struct aq_source_range *ranges,
                                  size_t range_count, const unsigned *partitions, const char *key,
                                  struct aq_partition *out)
{
    size_t first = rows->row_count;
    for (size_t i = 0; i < range_count; i++) {
        for (uint64_t o = ranges[i].first_ordinal; o < ranges[i].next_ordinal; o++) {
            if (message_kind(partitions[i], o) == MESSAGE_ROW &&
                strcmp(message_key(partitions[i], o), key) == 0)
                feed_row(rows, ranges[i].feed_id, partitions[i], o);
        }
    }
    *out = (struct aq_partition){.key = aq_slice_of(key),
                                 .slot_start_us = aq_slot_start(AQ_SLOT_DAY, message_time(0)),
                                 .row_first = (uint32_t)first,
                                 .row_count = (uint32_t)(rows->row_count - first)};
    return out->row_count > 0;
}

static inline struct aq_source_range feed_range(const struct owner *owner, unsigned partition,
                                                unsigned count)
{
    const struct aq_feed_state *feed = &owner->feeds[partition];
    uint64_t first = feed->position.next_ordinal;
    while (message_kind(partition, first) == MESSAGE_NONE)
        first++;
    uint64_t last = first + count - 1;
    while (message_kind(partition, last) == MESSAGE_NONE)
        last--;
    struct aq_source_range range = {.feed_id = feed->identity.feed_id,
                                    .first_ordinal = first,
                                    .next_ordinal = last + 1,
                                    .hash = {{(uint8_t)last, (uint8_t)(last >> 8)}},
                                    .last_stamp_us = message_time(last)};
    cr_assert_lt(last, TOPIC_MESSAGES);
    for (uint64_t o = first; o <= last; o++) {
        enum message_kind kind = message_kind(partition, o);
        range.row_count += kind == MESSAGE_ROW;
        range.reject_count += kind == MESSAGE_REJECT;
        range.passed_count += kind == MESSAGE_PASSED;
    }
    return range;
}

/** One frame of about `count` messages of each partition in `wanted`, which the owner believes to feed. */
static inline void owner_append(struct owner *owner, unsigned wanted, unsigned count)
{
    struct aq_source_range ranges[TOPIC_PARTITIONS];
    unsigned partitions[TOPIC_PARTITIONS];
    struct aq_batch rows;
    struct aq_batch rejects;
    struct aq_partition parts[3];
    size_t range_count = 0, part_count = 0;
    cr_assert_eq(aq_schema_batch_init(owner->schema, true, &rows), AQ_OK);
    cr_assert_eq(aq_schema_batch_init(owner->rejects, true, &rejects), AQ_OK);
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++) {
        if ((wanted & 1u << p) == 0 || owner->feeds[p].identity.feed_id == 0)
            continue;
        partitions[range_count] = p;
        ranges[range_count] = feed_range(owner, p, count);
        struct aq_source_range *range = &ranges[range_count++];
        for (uint64_t o = range->first_ordinal; o < range->next_ordinal; o++) {
            if (message_kind(p, o) == MESSAGE_REJECT)
                feed_reject(&rejects, range->feed_id, p, o);
        }
        owner->feeds[p].position.next_ordinal = range->next_ordinal;
    }
    for (unsigned k = 0; k < 3; k++)
        part_count += feed_partition(&rows, ranges, range_count, partitions, message_key(k, 0),
                                     &parts[part_count]);
    struct aq_partition reject_part = {.slot_start_us = parts[0].slot_start_us,
                                       .row_count = (uint32_t)rejects.row_count};
    struct aq_section_input sections[2];
    size_t section_count = 0;
    if (rows.row_count > 0)
        sections[section_count++] =
            (struct aq_section_input){owner->schema, &rows, parts, part_count};
    if (rejects.row_count > 0)
        sections[section_count++] =
            (struct aq_section_input){owner->rejects, &rejects, &reject_part, 1};
    struct aq_error err = {0};
    enum aq_status status = AQ_OK;
    if (range_count > 0)
        status = aq_shard_writer_append(owner->writer, ranges, range_count, sections, section_count,
                                        &err);
    if (status == AQ_OK && feed_io == AQ_IO_POSIX)
        status = aq_shard_writer_flush(owner->writer, &err);
    feed_check(status, &err);
    aq_batch_deinit(&rows);
    aq_batch_deinit(&rejects);
}

static inline void owner_flush(struct owner *owner)
{
    struct aq_error err = {0};
    feed_check(aq_shard_writer_flush(owner->writer, &err), &err);
}

static inline void owner_seal(struct owner *owner)
{
    struct aq_error err = {0};
    feed_check(aq_shard_writer_seal(owner->writer, &err), &err);
}

/* What of the topic a store shows. */
struct seen {
    uint8_t times[TOPIC_PARTITIONS][TOPIC_MESSAGES];
};

/* Units and their rows: counts, bounds and keys hold, each row is a message of the right kind. */
static inline void see_unit(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                            const struct aq_schema *schema, bool rejected, struct seen *seen)
{
    struct aq_batch batch;
    struct aq_error err = {0};
    uint32_t ids[16];
    for (size_t i = 0; i < schema->column_count; i++)
        ids[i] = schema->columns[i].id;
    cr_assert_eq(aq_schema_batch_init(schema, false, &batch), AQ_OK);
    if (!feed_check(aq_unit_read(snapshot, unit, ids, &batch, &err), &err)) {
        aq_batch_deinit(&batch);
        return;
    }
    cr_assert_eq(batch.row_count, unit->row_count);
    cr_assert_gt(batch.row_count, 0);
    int64_t min = INT64_MAX, max = INT64_MIN;
    for (size_t row = 0; row < batch.row_count; row++) {
        int64_t partition = batch.columns[rejected ? AQ_REJECT_PARTITION : 2].ints[row];
        int64_t ordinal = batch.columns[rejected ? AQ_REJECT_OFFSET : 3].ints[row];
        cr_assert(partition >= 0 && partition < TOPIC_PARTITIONS && ordinal >= 0 &&
                  ordinal < TOPIC_MESSAGES);
        cr_assert_eq(message_kind((unsigned)partition, (uint64_t)ordinal),
                     rejected ? MESSAGE_REJECT : MESSAGE_ROW);
        seen->times[partition][ordinal]++;
        if (rejected)
            continue;
        int64_t time = batch.columns[1].ints[row];
        struct aq_slice key = batch.columns[0].slices[row];
        cr_assert_eq(time, message_time((uint64_t)ordinal));
        min = time < min ? time : min;
        max = time > max ? time : max;
        cr_assert(unit->has_keys && aq_slice_compare(key, unit->key_min) >= 0 &&
                  aq_slice_compare(key, unit->key_max) <= 0);
        cr_assert(
            aq_slice_equal(key, aq_slice_of(message_key((unsigned)partition, (uint64_t)ordinal))));
    }
    size_t covered = 0;
    for (size_t i = 0; i < unit->partition_count; i++) {
        const struct aq_partition *partition = &unit->partitions[i];
        cr_assert_eq(partition->row_first, covered);
        cr_assert_gt(partition->row_count, 0);
        for (; covered < partition->row_first + partition->row_count && !rejected; covered++)
            cr_assert(aq_slice_equal(batch.columns[0].slices[covered], partition->key));
        covered = partition->row_first + partition->row_count;
    }
    if (unit->kind == AQ_FILE_SEGMENT)
        cr_assert_eq(covered, batch.row_count);
    if (!rejected)
        cr_assert(unit->has_time && min == unit->min_time_us && max == unit->max_time_us);
    aq_batch_deinit(&batch);
}

static inline void see_dataset(struct aq_snapshot *snapshot, const char *name, bool rejected,
                               struct seen *seen)
{
    const struct aq_schema *schema = aq_catalog_schema(aq_snapshot_catalog(snapshot), name);
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    struct aq_error err = {0};
    if (!feed_check(aq_snapshot_partitions(snapshot, schema->dataset_id, &err), &err) ||
        !feed_check(aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, &err),
                    &err))
        return;
    for (size_t i = 0; i < unit_count && !feed_failed; i++)
        see_unit(snapshot, &units[i], schema, rejected, seen);
}

static inline struct seen *see(struct aq_store *store)
{
    struct seen *seen = calloc(1, sizeof *seen);
    struct aq_snapshot *snapshot = NULL;
    struct aq_error err = {0};
    cr_assert_not_null(seen);
    if (!feed_check(aq_snapshot_open(store, &snapshot, &err), &err))
        return seen;
    see_dataset(snapshot, "topic", false, seen);
    see_dataset(snapshot, "topic_rejects", true, seen);
    aq_snapshot_close(snapshot);
    return seen;
}

/** The oracle: each partition has exactly the messages below its position, each once, and the position counts
 * them. Positions go to `next`; it is not whole if feed_failed. */
static inline void expect_exact(const struct owner *owner, uint64_t next[TOPIC_PARTITIONS])
{
    struct seen *seen = see(owner->store);
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++) {
        struct aq_feed_state feed = feed_found(owner, p);
        uint64_t counts[4] = {0};
        if (feed_failed)
            break;
        for (uint64_t o = 0; o < TOPIC_MESSAGES; o++) {
            enum message_kind kind = message_kind(p, o);
            bool stored = o < feed.position.next_ordinal && kind <= MESSAGE_REJECT;
            counts[kind] += o < feed.position.next_ordinal;
            cr_assert_eq(seen->times[p][o], stored, "message %llu of %u: %u times, below %llu",
                         (unsigned long long)o, p, seen->times[p][o],
                         (unsigned long long)feed.position.next_ordinal);
        }
        cr_assert_eq(feed.position.row_count, counts[MESSAGE_ROW]);
        cr_assert_eq(feed.position.reject_count, counts[MESSAGE_REJECT]);
        cr_assert_eq(feed.position.passed_count, counts[MESSAGE_PASSED]);
        if (feed.position.next_ordinal > 0) {
            uint64_t last = feed.position.next_ordinal - 1;
            cr_assert_eq(feed.position.last_stamp_us, message_time(last));
            cr_assert_eq(feed.position.hash.bytes[0], (uint8_t)last);
        }
        next[p] = feed.position.next_ordinal;
    }
    free(seen);
}

/* A frozen owner: frames that are on disk, but that nobody was told of. Its page is kept as it was before
 * them, and as it will be when the owner wakes. */
struct frozen {
    char path[512];
    unsigned char *page;  /* NULL: not frozen */
    unsigned char *later; /* after them */
    size_t size;
};

static inline struct frozen owner_freeze(uint64_t file_id)
{
    char name[64];
    struct frozen frozen = {.later = NULL};
    snprintf(name, sizeof name, "home/segments/%020llu.pub", (unsigned long long)file_id);
    snprintf(frozen.path, sizeof frozen.path, "%s", scratch_file(name));
    frozen.page = scratch_read(frozen.path, &frozen.size);
    return frozen;
}

static inline void frozen_publish(const struct frozen *frozen, const unsigned char *page)
{
    int fd = open(frozen->path, O_WRONLY);
    cr_assert_geq(fd, 0);
    for (size_t done = 0; done < frozen->size;) {
        ssize_t count = pwrite(fd, page + done, frozen->size - done, (off_t)done);
        cr_assert(count > 0 || errno == EINTR || feed_excuse != NULL);
        done += count > 0 ? (size_t)count : 0;
    }
    close(fd);
}

/** What was published since owner_freeze is taken back. */
static inline void owner_unpublish(struct frozen *frozen)
{
    frozen->later = scratch_read(frozen->path, &frozen->size);
    frozen_publish(frozen, frozen->page);
}

/** The owner wakes, or (`publish` false) never does. */
static inline void owner_thaw(struct frozen *frozen, bool publish)
{
    if (publish && frozen->later != NULL)
        frozen_publish(frozen, frozen->later);
    free(frozen->page);
    free(frozen->later);
    *frozen = (struct frozen){.page = NULL};
}

/** NULL only if feed_failed. */
static inline const struct aq_catalog *feed_catalog(struct aq_store *store)
{
    const struct aq_catalog *catalog = NULL;
    struct aq_error err = {0};
    feed_check(aq_store_catalog(store, true, &catalog, &err), &err);
    return catalog;
}

#endif
