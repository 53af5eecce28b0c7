/* Feeds that change hands while something else happens: races that are made to happen, owners that do whatever
 * comes to their mind, processes that are stopped, woken and killed. */
#include "engine/store/segment/publish.h"
#include "tests/unit/feed/feed_world.h"

#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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

static struct owner left, right;

static void right_takes(void)
{
    owner_take_ok(&right, 3);
    owner_append(&right, 3, 20);
}

/* Both have read where the feeds stand; the second to commit must read again. */
Test(feed_races, taken_by_two_at_once)
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
Test(feed_races, taken_while_the_owner_rolls)
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
Test(feed_races, taken_while_the_owner_is_recovered)
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

/* Of two recoveries at once one closes the segment; the other finds that there is nothing left to do. */
Test(feed_races, recovered_by_two)
{
    uint64_t next[TOPIC_PARTITIONS];
    struct aq_recovery_report report;
    struct aq_error err = {0};
    scratch_make();
    owner_begin(&left, BIG);
    owner_take_ok(&left, 3);
    owner_append(&left, 3, 30);
    owner_end(&left);
    owner_begin(&right, BIG);
    helper = feed_store();
    before_link = helper_recovers;
    cr_assert_eq(aq_store_recover(right.store, &report, &err), AQ_OK, "%s", err.message);
    cr_assert_null(before_link);
    cr_assert_eq(report.segment_count, 0);
    expect_exact(&right, next);
    aq_store_close(helper);
    owner_end(&right);
}

static void helper_sees_all(void)
{
    expect_at(&right, 0, left.feeds[0].position.next_ordinal);
}

/* A frame can be durable before it is published. Its owner being dead, readers find it in the file; so they
 * do while the segment is being closed. */
Test(feed_races, read_while_the_owner_is_recovered)
{
    scratch_make();
    owner_begin(&left, BIG);
    owner_take_ok(&left, 1);
    owner_append(&left, 1, 30);
    struct aq_feed_state feed = left.feeds[0];
    owner_end(&left);
    left.feeds[0] = feed;
    owner_begin(&right, BIG);
    const struct aq_catalog *catalog = feed_catalog(right.store);
    struct aq_publisher *page = NULL;
    cr_assert_eq(aq_publisher_create(right.store, 1, catalog->files[0].epoch, &page, NULL), AQ_OK);
    aq_publisher_destroy(page);
    aq_catalog_release(catalog);
    helper_sees_all();
    helper = feed_store();
    before_link = helper_sees_all;
    helper_recovers();
    cr_assert_null(before_link);
    helper_sees_all();
    aq_store_close(helper);
    owner_end(&right);
    left = (struct owner){0};
}

static void right_takes_and_left_goes_on(void)
{
    right_takes();
    owner_append(&left, 3, 50);
}

/* Between reading the catalog and a segment's length: the length is then of another version. */
Test(feed_races, taken_while_a_snapshot_is_taken)
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

/* The oracle test: at every step of a world each partition has exactly the messages below its position. */

enum { STEPS = 200 };

static void live(uint64_t seed, uint64_t segment_size)
{
    scratch_make();
    struct world world = {.random = seed};
    uint64_t next[TOPIC_PARTITIONS];
    for (unsigned i = 0; i < OWNERS; i++)
        owner_begin(&world.owners[i], segment_size);
    for (int i = 0; i < STEPS; i++) {
        world_step(&world, segment_size);
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

Test(feed_races, oracle)
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

Test(feed_races, processes, .timeout = 120)
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
