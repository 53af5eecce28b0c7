/* Feeds that change hands: positions, claims and masks, with owners that live, die, freeze and wake. */
#include "compaction/compact.h"
#include "tests/unit/feed_fixture.h"
#include "tools/verify/verify.h"

#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BIG ((uint64_t)1 << 30)

/* What happens in between: run once, before a commit gets its number (the next one, or as many later as
 * `links_left` says), or before the next segment's lock is tried. In place of the C library's functions. */
static void (*before_link)(void);
static unsigned links_left;
static void (*before_lock)(void);

static void run_once(void (**hook)(void))
{
    void (*run)(void) = *hook;
    *hook = NULL;
    if (run != NULL)
        run();
}

int linkat(int old_fd, const char *old_name, int new_fd, const char *new_name, int flags)
{
    if (before_link != NULL && links_left > 0)
        links_left--;
    else
        run_once(&before_link);
    return (int)syscall(SYS_linkat, old_fd, old_name, new_fd, new_name, flags);
}

static bool is_segment(int fd)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path);
    return size > 4 && memcmp(path + size - 4, ".seg", 4) == 0;
}

int flock(int fd, int operation)
{
    if (operation == (LOCK_SH | LOCK_NB) && is_segment(fd))
        run_once(&before_lock);
    return (int)syscall(SYS_flock, fd, operation);
}

static void expect_at(const struct owner *owner, unsigned partition, uint64_t next_ordinal)
{
    uint64_t next[TOPIC_PARTITIONS];
    expect_exact(owner, next);
    cr_assert_eq(next[partition], next_ordinal, "at %llu, not %llu",
                 (unsigned long long)next[partition], (unsigned long long)next_ordinal);
}

static void compact_all(struct aq_store *store)
{
    struct aq_compact_options options = {.thread_count = 1};
    struct aq_compact_report report;
    struct aq_error err = {0};
    cr_assert_eq(aq_compact(store, &options, &report, &err), AQ_OK, "%s: %s", err.path,
                 err.message);
}

/* Every segment is what the catalog says, masks included. */
static void verify_segments(struct aq_store *store)
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

static size_t mask_count(struct aq_store *store)
{
    const struct aq_catalog *catalog = feed_catalog(store);
    size_t count = catalog->mask_count;
    aq_catalog_release(catalog);
    return count;
}

static uint64_t held_segment(struct aq_store *store, uint64_t feed_id)
{
    const struct aq_catalog *catalog = feed_catalog(store);
    uint64_t file_id = aq_catalog_feed(catalog, feed_id)->claim_file_id;
    aq_catalog_release(catalog);
    return file_id;
}

static bool holds(struct owner *owner, unsigned partition)
{
    bool result = false;
    cr_assert_eq(aq_shard_writer_holds(owner->writer, owner->feeds[partition].identity.feed_id,
                                       &result, NULL),
                 AQ_OK);
    return result;
}

Test(feeds, a_feed_that_nobody_fed)
{
    scratch_make();
    struct owner owner;
    owner_begin(&owner, BIG);
    struct aq_feed_state feed = feed_found(&owner, 2);
    cr_assert_eq(feed.identity.feed_id, 0);
    cr_assert_eq(feed.identity.incarnation, 1);
    cr_assert_eq(feed.position.next_ordinal, 0);
    feed.position.next_ordinal = 17; /* start: latest, or what is left of the topic */
    cr_assert_eq(aq_shard_writer_take_over(owner.writer, &feed, 1, NULL), AQ_OK);
    cr_assert_eq(feed.identity.feed_id, 1);
    cr_assert_eq(feed.position.next_ordinal, 17);
    struct aq_feed_state again = feed_found(&owner, 2);
    cr_assert_eq(again.identity.feed_id, 1);
    cr_assert_eq(again.position.next_ordinal, 17);
    cr_assert_eq(again.position.row_count, 0);
    owner.feeds[2] = feed;
    cr_assert(holds(&owner, 2));
    /* Again: nothing changes, and nothing is committed. */
    const struct aq_catalog *before = feed_catalog(owner.store);
    cr_assert_eq(aq_shard_writer_take_over(owner.writer, &again, 1, NULL), AQ_OK);
    const struct aq_catalog *after = feed_catalog(owner.store);
    cr_assert_eq(before->number, after->number);
    aq_catalog_release(before);
    aq_catalog_release(after);
    owner_end(&owner);
}

Test(feeds, many_in_one_edit)
{
    scratch_make();
    struct owner owner;
    owner_begin(&owner, BIG);
    const struct aq_catalog *before = feed_catalog(owner.store);
    owner_take_ok(&owner, 15);
    const struct aq_catalog *after = feed_catalog(owner.store);
    cr_assert_eq(after->number, before->number + 1);
    cr_assert_eq(after->feed_count, TOPIC_PARTITIONS);
    aq_catalog_release(before);
    aq_catalog_release(after);
    owner_append(&owner, 15, 40);
    uint64_t next[TOPIC_PARTITIONS];
    expect_exact(&owner, next);
    cr_assert_gt(next[3], 30);
    struct aq_feed_state found[2] = {feed_wanted(&owner, 3), {.identity.feed_id = 2}};
    cr_assert_eq(aq_store_find_feeds(owner.store, found, 2, NULL), AQ_OK);
    cr_assert_eq(found[0].identity.feed_id, 4);
    cr_assert_eq(found[0].position.next_ordinal, next[3]);
    cr_assert_eq(found[1].position.next_ordinal, next[1]);
    found[1].identity.feed_id = 99;
    cr_assert_eq(aq_store_find_feeds(owner.store, found, 2, NULL), AQ_NOT_FOUND);
    owner_end(&owner);
}

/* The former owner lives, goes on, seals and rolls: nothing of that counts. */
Test(feeds, taken_from_a_living_owner)
{
    scratch_make();
    struct owner old, new;
    owner_begin(&old, BIG);
    owner_begin(&new, BIG);
    owner_take_ok(&old, 3);
    owner_append(&old, 3, 50);
    uint64_t durable = old.feeds[0].position.next_ordinal;
    expect_at(&new, 0, durable);
    owner_take_ok(&new, 1);
    cr_assert_eq(new.feeds[0].position.next_ordinal, durable);
    cr_assert_gt(new.feeds[0].position.row_count, 0);
    cr_assert(holds(&new, 0) && !holds(&old, 0) && holds(&old, 1));
    cr_assert_eq(mask_count(new.store), 1);
    owner_append(&old, 3, 50); /* woken: both feeds in one frame, one of them masked */
    expect_at(&new, 0, durable);
    owner_append(&new, 1, 30);
    expect_at(&old, 0, new.feeds[0].position.next_ordinal);
    owner_append(&old, 1, 30); /* a frame that is masked whole */
    cr_assert_eq(aq_shard_writer_seal(old.writer, NULL), AQ_OK);
    expect_at(&old, 0, new.feeds[0].position.next_ordinal);
    owner_append(&old, 3, 50); /* into the next segment */
    expect_at(&old, 0, new.feeds[0].position.next_ordinal);
    expect_at(&old, 1, old.feeds[1].position.next_ordinal);
    cr_assert(holds(&new, 0) && !holds(&old, 0) && holds(&old, 1));
    owner_release(&old, 0);
    owner_append(&old, 2, 20);
    cr_assert_eq(aq_shard_writer_seal(old.writer, NULL), AQ_OK);
    owner_append(&old, 2, 20);
    cr_assert_eq(mask_count(old.store), 2, "the released feed is not masked any more");
    cr_assert_eq(aq_shard_writer_seal(old.writer, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(new.writer, NULL), AQ_OK);
    expect_at(&old, 1, old.feeds[1].position.next_ordinal);
    compact_all(new.store);
    cr_assert_eq(mask_count(old.store), 0);
    expect_at(&old, 0, new.feeds[0].position.next_ordinal);
    expect_at(&old, 1, old.feeds[1].position.next_ordinal);
    owner_end(&old);
    owner_end(&new);
}

/* Frozen with a frame on disk that nobody was told of: the new owner goes on before it. */
Test(feeds, frames_of_a_frozen_owner)
{
    scratch_make();
    struct owner old, new;
    owner_begin(&old, BIG);
    owner_begin(&new, BIG);
    owner_take_ok(&old, 1);
    owner_append(&old, 1, 50);
    uint64_t known = old.feeds[0].position.next_ordinal;
    struct frozen frozen = owner_freeze(held_segment(old.store, 1));
    owner_append(&old, 1, 50);
    owner_unpublish(&frozen);
    owner_take_ok(&new, 1);
    cr_assert_eq(new.feeds[0].position.next_ordinal, known);
    owner_append(&new, 1, 20);
    owner_thaw(&frozen, true);
    expect_at(&new, 0, new.feeds[0].position.next_ordinal);
    owner_append(&old, 1, 50);
    expect_at(&new, 0, new.feeds[0].position.next_ordinal);
    owner_end(&old); /* dies: recovery finds all its frames */
    expect_at(&new, 0, new.feeds[0].position.next_ordinal);
    struct aq_recovery_report report;
    cr_assert_eq(aq_store_recover(new.store, &report, NULL), AQ_OK);
    cr_assert_eq(report.segment_count, 1);
    cr_assert_eq(report.frame_count, 3);
    expect_at(&new, 0, new.feeds[0].position.next_ordinal);
    owner_end(&new);
}

/* What a dead owner had on disk counts, told or not, recovered or not. */
Test(feeds, taken_from_a_dead_owner)
{
    scratch_make();
    struct owner old, new;
    owner_begin(&old, BIG);
    owner_take_ok(&old, 3);
    owner_append(&old, 3, 50);
    struct frozen frozen = owner_freeze(held_segment(old.store, 1));
    owner_append(&old, 1, 50);
    owner_unpublish(&frozen);
    uint64_t durable = old.feeds[0].position.next_ordinal;
    owner_thaw(&frozen, false);
    owner_end(&old);
    owner_begin(&new, BIG);
    owner_take_ok(&new, 1);
    cr_assert_eq(new.feeds[0].position.next_ordinal, durable);
    owner_append(&new, 1, 20);
    expect_at(&new, 0, new.feeds[0].position.next_ordinal);
    struct aq_recovery_report report;
    cr_assert_eq(aq_store_recover(new.store, &report, NULL), AQ_OK);
    expect_at(&new, 0, new.feeds[0].position.next_ordinal);
    owner_take_ok(&new, 2); /* its segment is closed now: no mask is needed */
    cr_assert_eq(mask_count(new.store), 1);
    owner_append(&new, 3, 20);
    expect_at(&new, 1, new.feeds[1].position.next_ordinal);
    owner_end(&new);
}

Test(feeds, released_and_taken_back)
{
    scratch_make();
    struct owner a, b;
    owner_begin(&a, BIG);
    owner_begin(&b, BIG);
    owner_take_ok(&a, 3);
    owner_append(&a, 3, 30);
    owner_release(&a, 0);
    owner_take_ok(&a, 1); /* back at once: the claim was never anybody else's */
    cr_assert_eq(mask_count(a.store), 0);
    owner_append(&a, 3, 30);
    owner_release(&a, 0);
    owner_take_ok(&b, 1);
    owner_append(&b, 1, 30);
    owner_release(&b, 0);
    uint64_t segment = held_segment(a.store, 2);
    owner_take_ok(&a, 1); /* its old segment is masked for the feed: another one is opened */
    cr_assert_neq(held_segment(a.store, 2), segment);
    cr_assert_eq(held_segment(a.store, 1), held_segment(a.store, 2));
    owner_append(&a, 3, 30);
    expect_at(&b, 0, a.feeds[0].position.next_ordinal);
    cr_assert_eq(aq_shard_writer_seal(b.writer, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(a.writer, NULL), AQ_OK);
    expect_at(&b, 0, a.feeds[0].position.next_ordinal);
    compact_all(a.store);
    expect_at(&b, 0, a.feeds[0].position.next_ordinal);
    owner_end(&a);
    owner_end(&b);
}

/* Lost without knowing, and wanted again. */
Test(feeds, taken_back_from_the_new_owner)
{
    scratch_make();
    struct owner a, b;
    owner_begin(&a, BIG);
    owner_begin(&b, BIG);
    owner_take_ok(&a, 1);
    owner_append(&a, 1, 30);
    owner_take_ok(&b, 1);
    owner_append(&b, 1, 30);
    owner_append(&a, 1, 30);
    cr_assert_eq(aq_shard_writer_seal(a.writer, NULL), AQ_OK);
    owner_append(&a, 1, 30); /* a segment that is masked from its first byte */
    owner_take_ok(&a, 1);
    cr_assert_eq(a.feeds[0].position.next_ordinal, b.feeds[0].position.next_ordinal);
    owner_append(&a, 1, 30);
    owner_append(&b, 1, 30);
    expect_at(&b, 0, a.feeds[0].position.next_ordinal);
    cr_assert(holds(&a, 0) && !holds(&b, 0));
    owner_end(&a);
    owner_end(&b);
}

Test(feeds, masks_survive_a_checkpoint)
{
    scratch_make();
    struct owner a, b;
    owner_begin(&a, BIG);
    owner_begin(&b, BIG);
    owner_take_ok(&a, 15);
    owner_append(&a, 15, 30);
    owner_take_ok(&b, 5);
    owner_append(&a, 15, 30);
    owner_append(&b, 5, 10);
    cr_assert_eq(aq_store_record_lost(b.store, 1, 4000, 4010, NULL), AQ_OK);
    cr_assert_eq(aq_store_record_lost(b.store, 1, 4000, 4005, NULL), AQ_OK);
    cr_assert_eq(aq_store_record_lost(b.store, 99, 0, 1, NULL), AQ_NOT_FOUND);
    cr_assert_eq(aq_store_record_lost(b.store, 1, 5, 5, NULL), AQ_INVALID);
    char sql[32];
    for (int i = 0; i < 260; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        cr_assert_eq(aq_store_declare_view(b.store, "v", sql, NULL), AQ_OK);
    }
    struct owner reader;
    owner_begin(&reader, BIG);
    cr_assert_eq(mask_count(reader.store), 2);
    const struct aq_catalog *catalog = feed_catalog(reader.store);
    cr_assert_eq(catalog->lost_count, 1);
    cr_assert_eq(catalog->losses[0].from_ordinal, 4000);
    cr_assert_eq(catalog->losses[0].next_ordinal, 4010);
    aq_catalog_release(catalog);
    expect_at(&reader, 2, b.feeds[2].position.next_ordinal);
    expect_at(&reader, 1, a.feeds[1].position.next_ordinal);
    owner_end(&reader);
    owner_end(&a);
    owner_end(&b);
}

Test(feeds, the_next_incarnation)
{
    scratch_make();
    struct owner a;
    owner_begin(&a, BIG);
    owner_take_ok(&a, 1);
    owner_append(&a, 1, 30);
    struct aq_feed_state old = a.feeds[0];
    struct aq_feed_identity identity = feed_wanted(&a, 0).identity;
    cr_assert_eq(aq_store_accept_feed(a.store, &identity, 1234, NULL), AQ_OK);
    cr_assert_eq(identity.incarnation, 2);
    struct aq_feed_state found = feed_found(&a, 0);
    cr_assert_eq(found.identity.feed_id, identity.feed_id);
    cr_assert_eq(found.identity.incarnation, 2);
    cr_assert_eq(found.position.next_ordinal, 1234);
    struct aq_error err = {0};
    owner_release(&a, 0);
    struct owner b;
    owner_begin(&b, BIG);
    cr_assert_eq(aq_shard_writer_take_over(b.writer, &old, 1, &err), AQ_CONFLICT);
    cr_assert_eq(aq_shard_writer_take_over(b.writer, &found, 1, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(found.position.next_ordinal, 1234);
    /* One that begins anew by itself. */
    struct aq_feed_state third = feed_wanted(&b, 0);
    third.identity.incarnation = 3;
    third.position.next_ordinal = 7;
    cr_assert_eq(aq_shard_writer_take_over(b.writer, &third, 1, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(third.position.next_ordinal, 7);
    cr_assert_eq(feed_found(&a, 0).identity.feed_id, third.identity.feed_id);
    owner_end(&a);
    owner_end(&b);
}

/* Races, made to happen. */

static struct owner left, right;

static void right_takes(void)
{
    owner_take_ok(&right, 3);
    owner_append(&right, 3, 20);
}

/* Both have read where the feeds stand; the second to commit must read again. */
Test(feeds, taken_by_two_at_once)
{
    scratch_make();
    struct owner old;
    owner_begin(&old, BIG);
    owner_begin(&left, BIG);
    owner_begin(&right, BIG);
    owner_take_ok(&old, 1); /* the other feed is new to both */
    owner_append(&old, 1, 30);
    before_link = right_takes;
    owner_take_ok(&left, 3);
    cr_assert_null(before_link);
    for (unsigned p = 0; p < 2; p++) {
        cr_assert_eq(left.feeds[p].position.next_ordinal, right.feeds[p].position.next_ordinal);
        cr_assert_gt(left.feeds[p].position.next_ordinal, 10);
        cr_assert(holds(&left, p) && !holds(&right, p));
        owner_append(&old, 1, 5);
        owner_append(&right, 1u << p, 10);
        owner_append(&left, 1u << p, 10);
        expect_at(&old, p, left.feeds[p].position.next_ordinal);
    }
    const struct aq_catalog *catalog = feed_catalog(old.store);
    cr_assert_eq(catalog->feed_count, 2);
    aq_catalog_release(catalog);
    owner_end(&old);
    owner_end(&left);
    owner_end(&right);
}

/* Taken while the owner seals, opens its next segment, seals that: before each of these edits in turn. */
Test(feeds, taken_while_the_owner_rolls)
{
    for (unsigned k = 0; k < 4; k++) {
        uint64_t next[TOPIC_PARTITIONS];
        scratch_make();
        owner_begin(&left, BIG);
        owner_begin(&right, BIG);
        owner_take_ok(&left, 7);
        owner_append(&left, 7, 30);
        before_link = right_takes;
        links_left = k;
        cr_assert_eq(aq_shard_writer_seal(left.writer, NULL), AQ_OK);
        owner_append(&left, 7, 30);
        cr_assert_eq(aq_shard_writer_seal(left.writer, NULL), AQ_OK);
        owner_append(&left, 7, 30);
        cr_assert_null(before_link, "there were not so many edits");
        expect_at(&left, 0, right.feeds[0].position.next_ordinal);
        expect_at(&left, 2, left.feeds[2].position.next_ordinal);
        cr_assert(holds(&right, 0) && !holds(&left, 1) && holds(&left, 2));
        cr_assert_eq(aq_shard_writer_seal(left.writer, NULL), AQ_OK);
        cr_assert_eq(aq_shard_writer_seal(right.writer, NULL), AQ_OK);
        verify_segments(left.store);
        compact_all(left.store);
        expect_exact(&left, next);
        owner_end(&left);
        owner_end(&right);
    }
}

static struct aq_store *helper;

static void helper_recovers(void)
{
    struct aq_recovery_report report;
    cr_assert_eq(aq_store_recover(helper, &report, NULL), AQ_OK);
    cr_assert_eq(report.segment_count, 1);
}

/* A dead owner's segment is closed while it is taken over from, and the other way round. */
Test(feeds, taken_while_the_owner_is_recovered)
{
    for (unsigned k = 0; k < 2; k++) {
        uint64_t next[TOPIC_PARTITIONS];
        scratch_make();
        owner_begin(&left, BIG);
        owner_take_ok(&left, 3);
        owner_append(&left, 3, 30);
        uint64_t durable = left.feeds[0].position.next_ordinal;
        owner_end(&left);
        owner_begin(&right, BIG);
        helper = feed_store();
        before_link = k == 0 ? helper_recovers : right_takes;
        if (k == 0)
            right_takes();
        else
            helper_recovers();
        cr_assert_null(before_link);
        expect_exact(&right, next);
        cr_assert_gt(next[0], durable);
        cr_assert_eq(mask_count(helper), k == 0 ? 0 : 2);
        cr_assert_eq(aq_shard_writer_seal(right.writer, NULL), AQ_OK);
        verify_segments(helper);
        compact_all(helper);
        expect_exact(&right, next);
        owner_end(&right);
        aq_store_close(helper);
    }
}

static void right_takes_and_left_goes_on(void)
{
    right_takes();
    owner_append(&left, 3, 50);
}

/* Between reading the catalog and a segment's length: the length is then of another version. */
Test(feeds, taken_while_a_snapshot_is_taken)
{
    scratch_make();
    owner_begin(&left, BIG);
    owner_begin(&right, BIG);
    owner_take_ok(&left, 3);
    owner_append(&left, 3, 30);
    owner_take_ok(&right, 4); /* has a segment that the snapshot knows */
    before_lock = right_takes_and_left_goes_on;
    struct seen *seen = see(left.store);
    cr_assert_null(before_lock);
    for (uint64_t o = 0; o < TOPIC_MESSAGES; o++)
        cr_assert_leq(seen->times[0][o], 1, "message %llu", (unsigned long long)o);
    free(seen);
    expect_at(&left, 0, right.feeds[0].position.next_ordinal);
    /* And while a position is read. */
    owner_release(&right, 0);
    before_lock = right_takes_and_left_goes_on;
    struct aq_feed_state found = feed_found(&left, 0);
    cr_assert_eq(found.position.next_ordinal, right.feeds[0].position.next_ordinal);
    owner_end(&left);
    owner_end(&right);
}

/* The oracle test: owners of one home do whatever comes to their mind, and at every step each partition has
 * exactly the messages below its position. */

enum { OWNERS = 3, STEPS = 200 };

struct world {
    struct owner owners[OWNERS];
    struct frozen frozen[OWNERS];
    uint64_t next[TOPIC_PARTITIONS];
    uint64_t random;
};

static unsigned choose(struct world *world, unsigned count)
{
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world->random >> 33) % count;
}

static uint64_t open_segment_of(const struct owner *owner)
{
    const struct aq_catalog *catalog = feed_catalog(owner->store);
    uint64_t found = 0;
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++) {
        const struct aq_catalog_feed *feed =
            aq_catalog_feed(catalog, owner->feeds[p].identity.feed_id);
        bool held = false;
        if (feed != NULL)
            cr_assert_eq(aq_shard_writer_holds(owner->writer, feed->identity.feed_id, &held, NULL),
                         AQ_OK);
        const struct aq_catalog_file *file =
            held ? aq_catalog_file(catalog, feed->claim_file_id) : NULL;
        if (file != NULL && file->state == AQ_FILE_OPEN)
            found = file->file_id;
    }
    aq_catalog_release(catalog);
    return found;
}

/* Whether the topic has messages left for what the owner believes to feed. */
static unsigned appendable(const struct owner *owner)
{
    unsigned bits = 0;
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++) {
        if (owner->feeds[p].identity.feed_id != 0 &&
            owner->feeds[p].position.next_ordinal + 100 < TOPIC_MESSAGES)
            bits |= 1u << p;
    }
    return bits;
}

/* One frame that is on disk and that its owner cannot tell of any more, for a while. */
static void freeze(struct world *world, unsigned who)
{
    struct owner *owner = &world->owners[who];
    uint64_t segment = open_segment_of(owner);
    unsigned bits = appendable(owner);
    if (segment == 0 || bits == 0)
        return;
    struct frozen *frozen = &world->frozen[who];
    *frozen = owner_freeze(segment);
    owner_append(owner, bits, 1 + choose(world, 30));
    if (open_segment_of(owner) == segment)
        owner_unpublish(frozen);
    else
        owner_thaw(frozen, false); /* it rolled instead */
}

static void restart(struct world *world, unsigned who, uint64_t segment_size)
{
    struct aq_recovery_report report;
    owner_end(&world->owners[who]);
    if (choose(world, 4) == 0) /* it takes a second: others live */
        cr_assert_eq(aq_store_recover(world->owners[(who + 1) % OWNERS].store, &report, NULL),
                     AQ_OK);
    owner_begin(&world->owners[who], segment_size);
}

static void step(struct world *world, uint64_t segment_size)
{
    unsigned who = choose(world, OWNERS);
    struct owner *owner = &world->owners[who];
    unsigned partition = choose(world, TOPIC_PARTITIONS);
    unsigned deed = choose(world, 16);
    bool dies = deed == 6 && choose(world, 3) == 0;
    owner_thaw(&world->frozen[who], !dies);
    switch (deed) {
    case 0:
    case 1:
    case 2:
        owner_take_ok(owner, 1 + choose(world, 15));
        break;
    case 3:
        if (owner->feeds[partition].identity.feed_id != 0)
            owner_release(owner, partition);
        break;
    case 4:
        cr_assert_eq(aq_shard_writer_seal(owner->writer, NULL), AQ_OK);
        break;
    case 5:
        freeze(world, who);
        break;
    case 6:
        if (dies)
            restart(world, who, segment_size);
        break;
    case 7:
        if (choose(world, 6) == 0)
            compact_all(owner->store);
        break;
    default:
        owner_append(owner, appendable(owner) & (1 + choose(world, 15)), 1 + choose(world, 30));
    }
}

static void live(uint64_t seed, uint64_t segment_size)
{
    scratch_make();
    struct world world = {.random = seed};
    uint64_t next[TOPIC_PARTITIONS];
    for (unsigned i = 0; i < OWNERS; i++)
        owner_begin(&world.owners[i], segment_size);
    for (int i = 0; i < STEPS; i++) {
        step(&world, segment_size);
        expect_exact(&world.owners[choose(&world, OWNERS)], next);
        for (unsigned p = 0; p < TOPIC_PARTITIONS; p++)
            cr_assert_geq(next[p], world.next[p], "seed %llu, step %d: %u went back",
                          (unsigned long long)seed, i, p);
        memcpy(world.next, next, sizeof next);
        verify_segments(world.owners[0].store);
    }
    for (unsigned i = 0; i < OWNERS; i++) {
        owner_thaw(&world.frozen[i], true);
        cr_assert_eq(aq_shard_writer_seal(world.owners[i].writer, NULL), AQ_OK);
    }
    struct aq_recovery_report report;
    cr_assert_eq(aq_store_recover(world.owners[0].store, &report, NULL), AQ_OK);
    verify_segments(world.owners[0].store);
    compact_all(world.owners[0].store);
    cr_assert_eq(mask_count(world.owners[0].store), 0, "compaction applies masks for good");
    expect_exact(&world.owners[0], next);
    cr_assert_gt(next[0] + next[1] + next[2] + next[3], STEPS);
    for (unsigned i = 0; i < OWNERS; i++)
        owner_end(&world.owners[i]);
}

Test(feeds, oracle)
{
    const char *rounds = getenv("AQ_FEED_ROUNDS");
    int count = rounds == NULL ? 2
                               : (int)strtol(rounds, NULL,
                                             10); /* of about a second each, that recovery waits */
    for (int i = 0; i < count; i++)
        live((uint64_t)i, i % 2 == 0 ? BIG : 4000);
}

/* The same with processes, which race, and are stopped, woken and killed: whatever a snapshot finds, it is each
 * partition's first messages, each once. */

enum { PROCESSES = 3, ROUNDS = 120 };

/* One process's life, until it is killed. */
static void compete(uint64_t seed)
{
    struct world world = {.random = seed};
    struct owner *owner = &world.owners[0];
    owner_begin(owner, choose(&world, 2) == 0 ? 20000 : BIG);
    for (;;) {
        struct aq_error err = {0};
        unsigned deed = choose(&world, 40);
        if (deed == 0) {
            enum aq_status status = owner_take(owner, 1 + choose(&world, 15), &err);
            cr_assert(status == AQ_OK || status == AQ_CONFLICT, "%s: %s", err.path, err.message);
        } else if (deed == 1) {
            unsigned partition = choose(&world, TOPIC_PARTITIONS);
            if (owner->feeds[partition].identity.feed_id != 0)
                owner_release(owner, partition);
        } else if (deed == 2) {
            cr_assert_eq(aq_shard_writer_seal(owner->writer, NULL), AQ_OK);
        } else {
            owner_append(owner, appendable(owner) & (1 + choose(&world, 15)),
                         1 + choose(&world, 12));
        }
        usleep(choose(&world, 1000));
    }
}

static pid_t start_process(uint64_t seed)
{
    pid_t child = scratch_fork();
    if (child == 0) {
        compete(seed);
        _exit(0);
    }
    return child;
}

static void kill_process(pid_t child)
{
    int result;
    cr_assert_eq(kill(child, SIGKILL), 0);
    kill(child, SIGCONT);
    cr_assert_eq(waitpid(child, &result, 0), child);
    cr_assert(WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL, "it failed before: %d", result);
}

static void expect_beginnings(struct aq_store *store)
{
    struct seen *seen = see(store);
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++) {
        uint64_t end = TOPIC_MESSAGES;
        while (end > 0 && seen->times[p][end - 1] == 0)
            end--;
        for (uint64_t o = 0; o < end; o++)
            cr_assert_eq(seen->times[p][o], message_kind(p, o) <= MESSAGE_REJECT,
                         "message %llu of %u: %u times, there are some up to %llu",
                         (unsigned long long)o, p, seen->times[p][o], (unsigned long long)end);
    }
    free(seen);
}

Test(feeds, processes, .timeout = 120)
{
    scratch_make();
    struct world world = {.random = 4711};
    struct owner reader;
    feed_io = AQ_IO_AUTO; /* frames in flight, where there is io_uring */
    pid_t children[PROCESSES];
    uint64_t next[TOPIC_PARTITIONS];
    owner_begin(&reader, BIG);
    for (unsigned i = 0; i < PROCESSES; i++)
        children[i] = start_process(i);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned who = choose(&world, PROCESSES);
        cr_assert_eq(kill(children[who], SIGSTOP), 0);
        usleep(choose(&world, 20000));
        expect_beginnings(reader.store);
        if (round % 10 == 0) {
            kill_process(children[who]);
            children[who] = start_process(100 + round);
        } else {
            cr_assert_eq(kill(children[who], SIGCONT), 0);
        }
        if (round == ROUNDS / 2)
            compact_all(reader.store);
    }
    for (unsigned i = 0; i < PROCESSES; i++)
        kill_process(children[i]);
    struct aq_recovery_report report;
    struct aq_error err = {0};
    cr_assert_eq(aq_store_recover(reader.store, &report, &err), AQ_OK, "%s: %s", err.path,
                 err.message);
    expect_exact(&reader, next);
    compact_all(reader.store);
    expect_exact(&reader, next);
    cr_assert_gt(next[0] + next[1] + next[2] + next[3], 1000);
    cr_log_info("positions %llu %llu %llu %llu", (unsigned long long)next[0],
                (unsigned long long)next[1], (unsigned long long)next[2],
                (unsigned long long)next[3]);
    owner_end(&reader);
}
