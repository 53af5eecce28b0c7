/* What tests of feeds that change hands check, and do again and again. */
#ifndef AQ_TESTS_UNIT_FEED_CHECKS_H
#define AQ_TESTS_UNIT_FEED_CHECKS_H

#include "compaction/compact.h"
#include "compaction/gc/gc.h"
#include "engine/base/clock.h"
#include "tests/unit/feed/feed_fixture.h"
#include "tools/verify/verify.h"

#define BIG ((uint64_t)1 << 30)

static inline void expect_at(const struct owner *owner, unsigned partition, uint64_t next_ordinal)
{
    uint64_t next[TOPIC_PARTITIONS];
    expect_exact(owner, next);
    cr_assert_eq(next[partition], next_ordinal, "at %llu, not %llu",
                 (unsigned long long)next[partition], (unsigned long long)next_ordinal);
}

static inline void compact_all(struct aq_store *store)
{
    struct aq_compact_options options = {.thread_count = 1};
    struct aq_compact_report report;
    struct aq_error err = {0};
    feed_check(aq_compact(store, &options, &report, &err), &err);
}

/* What the head of the catalog does not need goes. */
static inline void collect_all(struct aq_store *store)
{
    struct aq_gc_options options = {.now_us = aq_clock_wall_us(), .trust_clock = true};
    struct aq_gc_report report;
    struct aq_error err = {0};
    feed_check(aq_gc(store, &options, &report, &err), &err);
}

/* Every segment is what the catalog says, masks included. */
static inline void verify_segments(struct aq_store *store)
{
    const struct aq_catalog *catalog = feed_catalog(store);
    struct aq_verify verify = {.deep = true};
    for (size_t i = 0; i < catalog->file_count; i++) {
        char name[64];
        char path[80];
        struct aq_store_file file;
        struct aq_error err = {0};
        if (catalog->files[i].kind != AQ_FILE_SEGMENT)
            continue;
        aq_catalog_file_name(AQ_FILE_SEGMENT, catalog->files[i].file_id, name, sizeof name);
        snprintf(path, sizeof path, "home/%s", name);
        cr_assert_eq(aq_store_file_open(scratch_file(path), &file, &err), AQ_OK, "%s: %s", err.path,
                     err.message);
        cr_assert_eq(aq_verify_segment(&verify, &file, catalog, &catalog->files[i], &err), AQ_OK,
                     "%s", err.message);
        aq_store_file_close(&file);
    }
    cr_assert_eq(verify.fault_count, 0, "%s: %s",
                 verify.faults == NULL ? "" : verify.faults->error.path,
                 verify.faults == NULL ? "" : verify.faults->error.message);
    aq_verify_deinit(&verify);
    aq_catalog_release(catalog);
}

static inline size_t mask_count(struct aq_store *store)
{
    const struct aq_catalog *catalog = feed_catalog(store);
    size_t count = catalog->mask_count;
    aq_catalog_release(catalog);
    return count;
}

static inline uint64_t held_segment(struct aq_store *store, uint64_t feed_id)
{
    const struct aq_catalog *catalog = feed_catalog(store);
    uint64_t file_id = aq_catalog_feed(catalog, feed_id)->claim_file_id;
    aq_catalog_release(catalog);
    return file_id;
}

static inline bool holds(struct owner *owner, unsigned partition)
{
    bool result = false;
    cr_assert_eq(aq_shard_writer_holds(owner->writer, owner->feeds[partition].identity.feed_id,
                                       &result, NULL),
                 AQ_OK);
    return result;
}

#endif
