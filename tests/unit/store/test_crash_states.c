/* Power cuts: owners of one home live on a simulated disk (tests/sim), and at every step of every change the cut is
 * made, some states of it: each is opened, recovered and judged by the oracle. What was durable before the
 * present deed is there, each message once, and nothing that was never written; the store can be written on.
 *
 * AQ_CRASH_STATES is how many states there shall be at least (default 1,500 a test), AQ_CRASH_SEED where the random
 * choices begin. A failure names the world's seed, its step, the change and the cut's seed: with the same two variables
 * it comes again. */
#include "tests/sim/sim_disk.h"
#include "tests/unit/feed/feed_world.h"

enum { WORLD_STEPS = 25 };

static struct {
    uint64_t next[TOPIC_PARTITIONS]; /* where the feeds stood before the present deed */
    uint64_t seed;
    unsigned step;
    uint64_t change; /* the last one judged */
    uint64_t state_count;
    uint64_t cuts; /* a change */
} run;

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value == NULL ? otherwise : strtoull(value, NULL, 10);
}

/* One more owner comes, takes what there is, and adds to it. */
static void expect_usable(struct owner *owner)
{
    uint64_t before[TOPIC_PARTITIONS];
    uint64_t after[TOPIC_PARTITIONS];
    expect_exact(owner, before);
    owner_take_ok(owner, 15);
    owner_append(owner, 15, 20);
    cr_assert_eq(aq_shard_writer_flush(owner->writer, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(owner->writer, NULL), AQ_OK);
    expect_exact(owner, after);
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++)
        cr_assert_gt(after[p], before[p]);
}

static void judge(uint64_t cut)
{
    struct owner owner;
    struct aq_recovery_report report;
    struct aq_error err = {0};
    uint64_t next[TOPIC_PARTITIONS];
    feed_home = "cut";
    feed_io = AQ_IO_POSIX;
    owner_begin(&owner, BIG);
    cr_assert_eq(aq_store_recover(owner.store, &report, &err), AQ_OK, "%s: %s", err.path,
                 err.message);
    expect_exact(&owner, next);
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++)
        cr_assert_geq(next[p], run.next[p], "partition %u is at %llu, was at %llu", p,
                      (unsigned long long)next[p], (unsigned long long)run.next[p]);
    if (cut % 8 == 3)
        expect_usable(&owner);
    if (cut % 16 == 5)
        verify_segments(owner.store);
    owner_end(&owner);
    feed_home = "home";
    feed_io = AQ_IO_SIM;
}

static void cut_and_judge(uint64_t cut)
{
    char target[512];
    snprintf(target, sizeof target, "%s", scratch_file("cut"));
    sim_cut(target, cut);
    fprintf(stderr, "\rworld %llu, step %u, change %llu, cut %llu ", (unsigned long long)run.seed,
            run.step, (unsigned long long)sim_change_count(), (unsigned long long)cut);
    judge(cut);
    nftw(target, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    run.state_count++;
}

/* With nothing unsafe there is one state; with little, few. */
static void cut_at_step(void)
{
    unsigned unsafe = sim_unsafe_count();
    uint64_t cuts = unsafe == 0 ? 1 : unsafe < 3 ? 2 : run.cuts;
    if (run.step == 0)
        return; /* the store is still being made */
    for (uint64_t cut = 0; cut < cuts; cut++)
        cut_and_judge(cut < 2 ? cut : run.seed * 1000003 + sim_change_count() * 101 + cut);
}

static void live(uint64_t seed, uint64_t segment_size)
{
    scratch_make();
    cr_assert_eq(mkdir(scratch_file("home"), 0755), 0);
    struct world world = {.random = seed};
    memset(run.next, 0, sizeof run.next);
    run.seed = seed;
    run.step = 0;
    aq_io_sim_seed(seed);
    feed_io = AQ_IO_SIM;
    sim_begin(scratch_file("home"));
    sim_step = cut_at_step;
    for (unsigned i = 0; i < OWNERS; i++)
        owner_begin(&world.owners[i], segment_size);
    for (run.step = 1; run.step <= WORLD_STEPS; run.step++) {
        uint64_t next[TOPIC_PARTITIONS];
        world_step(&world, segment_size);
        for (unsigned i = 0; i < OWNERS; i++)
            cr_assert_eq(aq_shard_writer_flush(world.owners[i].writer, NULL), AQ_OK);
        sim_step = NULL;
        expect_exact(&world.owners[0], next);
        sim_step = cut_at_step;
        memcpy(run.next, next, sizeof next);
    }
    sim_step = NULL;
    for (unsigned i = 0; i < OWNERS; i++) {
        owner_thaw(&world.frozen[i], true);
        owner_end(&world.owners[i]);
    }
    sim_end();
    scratch_remove();
}

static void live_through(uint64_t first_seed, uint64_t segment_size)
{
    uint64_t wanted = setting("AQ_CRASH_STATES", 1500);
    uint64_t begin = setting("AQ_CRASH_SEED", 1) * 1000 + first_seed;
    run.cuts = 12;
    sim_short_rate = 100;
    sim_interrupt_rate = 50;
    for (uint64_t i = 0; run.state_count < wanted; i++)
        live(begin + i, segment_size);
    fprintf(stderr, "\r%llu states\n", (unsigned long long)run.state_count);
}

Test(crash_states, big_segments, .timeout = 0)
{
    live_through(0, BIG);
}

Test(crash_states, segments_that_roll, .timeout = 0)
{
    live_through(500, 4000);
}
