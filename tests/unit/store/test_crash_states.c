/* Power cuts and failing disks: owners of one home live on a simulated disk (tests/sim), and at every step of every change
 * the cut is made, some states of it: each is opened, recovered and judged by the oracle. What was durable before the
 * present deed is there, each message once, and nothing that was never written; the store can be written on.
 *
 * Every second owner that commits falls asleep, when its edit is about to get its number or has just got it: then others
 * live on, for a moment or for hours, and what it had read of the catalog may be collected when it wakes.
 *
 * Calls stop short and are interrupted all the time. In every second world changes also fail, with EIO or ENOSPC: the
 * owner that meets one ends and another comes. Of the states, some are looked at by a process whose reads fail, and some
 * have a sector spoiled: then it may give up, naming the file, but never shows anything wrong.
 *
 * AQ_CRASH_STATES is how many states there shall be at least (default 1,500 a test), AQ_CRASH_CUTS how many of a change
 * at most (12; with few the worlds are many), AQ_CRASH_SEED where the random choices begin. A failure names the world, its step, the change and the cut's seed: with AQ_CRASH_WORLD it comes again
 * at once. */
#include "engine/store/catalog/catalog_log.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/feed/feed_world.h"

enum { WORLD_STEPS = 25, NAP_STEPS = 4 };

static struct {
    uint64_t next[TOPIC_PARTITIONS]; /* where the feeds stood before the present deed */
    uint64_t seed;
    unsigned step;
    uint64_t change; /* the last one judged */
    uint64_t state_count;
    uint64_t cuts; /* a change */
    unsigned fault_rate;
    uint64_t fault_count; /* before the present deed */
    uint64_t gave_up;     /* processes that looked at a state */
    struct world *world;
    uint64_t segment_size;
    uint64_t nap_count;
    uint64_t unsure_count; /* sleepers that could not tell what became of their edit */
} run;

/* An owner that falls asleep while it commits. */
static struct {
    bool due;
    bool late;      /* when its edit has its number, else before */
    bool collected; /* edits went meanwhile */
} nap;

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

/* What a call on a disk that fails may say. */

static bool change_failed(enum aq_status status, const struct aq_error *err)
{
    bool unsure = nap.collected && status == AQ_IO &&
                  strstr(err->message, "whether it counts cannot be told") != NULL;
    run.unsure_count += unsure;
    return unsure ||
           ((status == AQ_IO || status == AQ_DISK_FULL) && sim_fault_count > run.fault_count);
}

static bool read_failed(enum aq_status status, const struct aq_error *err)
{
    return status == AQ_IO && sim_failing_read == 0 && err->path[0] != '\0';
}

static bool found_damage(enum aq_status status, const struct aq_error *err)
{
    return status == AQ_CORRUPT && err->path[0] != '\0';
}

/* A process comes and recovers. False: it gave up. */
static bool arrive(struct owner *owner)
{
    struct aq_recovery_report report;
    struct aq_error err = {0};
    owner_begin(owner, BIG);
    return !feed_failed && feed_check(aq_store_recover(owner->store, &report, &err), &err);
}

/* And reads. */
static bool look(struct owner *owner, uint64_t next[TOPIC_PARTITIONS])
{
    if (arrive(owner))
        expect_exact(owner, next);
    return !feed_failed;
}

static void expect_kept(const uint64_t next[TOPIC_PARTITIONS])
{
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++)
        cr_assert_geq(next[p], run.next[p], "partition %u is at %llu, was at %llu", p,
                      (unsigned long long)next[p], (unsigned long long)run.next[p]);
}

static void judge(uint64_t cut)
{
    struct owner owner;
    uint64_t next[TOPIC_PARTITIONS] = {0};
    look(&owner, next);
    expect_kept(next);
    if (cut % 8 == 3)
        expect_usable(&owner);
    if (cut % 16 == 5)
        verify_segments(owner.store);
    owner_end(&owner);
}

/* Afterwards all is as if nothing had been. */
static void judge_failing_read(uint64_t random)
{
    struct owner owner;
    uint64_t next[TOPIC_PARTITIONS] = {0};
    sim_failing_read = 1 + random % 60;
    feed_excuse = read_failed;
    if (look(&owner, next))
        expect_kept(next);
    else
        run.gave_up++;
    owner_end(&owner);
    sim_failing_read = 0;
    feed_excuse = NULL;
    feed_failed = false;
}

/* Each message at most once, none that was not written. */
static void expect_nothing_wrong(const struct owner *owner)
{
    struct seen *seen = see(owner->store);
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++) {
        for (uint64_t o = 0; o < TOPIC_MESSAGES; o++)
            cr_assert_leq(seen->times[p][o], 1, "message %llu of %u", (unsigned long long)o, p);
    }
    free(seen);
}

static bool is_open_segment(const char *name)
{
    struct owner owner;
    unsigned long long file_id = 0;
    if (sscanf(name, "segments/%llu.seg", &file_id) != 1 || strstr(name, ".pub") != NULL)
        return false;
    owner_begin(&owner, BIG);
    const struct aq_catalog *catalog = feed_catalog(owner.store);
    const struct aq_catalog_file *file = aq_catalog_file(catalog, file_id);
    bool open = file != NULL && file->state == AQ_FILE_OPEN;
    aq_catalog_release(catalog);
    owner_end(&owner);
    return open;
}

/* Damaged frames of an open segment that nothing vouches for any more are taken for torn: the one loss that is
 * documented (docs/recovery.md, "The window that remains"). */
static void judge_spoiled(uint64_t random)
{
    struct owner owner;
    uint64_t next[TOPIC_PARTITIONS] = {0};
    char name[128] = "";
    sim_spoil(scratch_file("cut"), random, name, sizeof name);
    bool open = is_open_segment(name);
    feed_excuse = found_damage;
    if (open && arrive(&owner))
        expect_nothing_wrong(&owner);
    else if (!open && look(&owner, next))
        expect_kept(next);
    run.gave_up += feed_failed;
    owner_end(&owner);
    feed_excuse = NULL;
    feed_failed = false;
}

static void cut_and_judge(uint64_t cut)
{
    char target[512];
    uint64_t random =
        (sim_change_count() * 31 + cut + run.seed) * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    snprintf(target, sizeof target, "%s", scratch_file("cut"));
    sim_cut(target, cut);
    fprintf(stderr, "\rworld %llu, step %u, change %llu, cut %llu ", (unsigned long long)run.seed,
            run.step, (unsigned long long)sim_change_count(), (unsigned long long)cut);
    if (random % 16 == 0)
        judge_failing_read(random / 16);
    if (random % 16 == 1)
        judge_spoiled(random / 16);
    else
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
    feed_home = "cut";
    feed_io = AQ_IO_POSIX;
    feed_excuse = NULL;
    for (uint64_t cut = 0; cut < cuts; cut++)
        cut_and_judge(cut < 2 ? cut : run.seed * 1000003 + sim_change_count() * 101 + cut);
    feed_home = "home";
    feed_io = AQ_IO_SIM;
    feed_excuse = change_failed;
}

/* The disk keeps quiet while the test looks. What a sleeper is about to take over may lie, when it wakes, where it had read
 * that it does: others may have gone on. */
static void settle(struct world *world, unsigned taking)
{
    uint64_t next[TOPIC_PARTITIONS];
    unsigned fault_rate = sim_fault_rate;
    world_flush(world, run.segment_size);
    sim_fault_rate = 0;
    sim_step = NULL;
    feed_excuse = NULL;
    expect_exact(&world->owners[awake(world, 0)], next);
    expect_kept(next);
    for (unsigned p = 0; p < TOPIC_PARTITIONS; p++) {
        if ((taking & 1u << p) == 0)
            run.next[p] = next[p];
    }
    sim_fault_rate = fault_rate;
    sim_step = cut_at_step;
    feed_excuse = change_failed;
}

/* As every 256th edit leaves one, or a later one where it could not. */
static void leave_checkpoint(struct world *world)
{
    unsigned who = awake(world, 0);
    struct aq_store *store = world->owners[who].store;
    const struct aq_catalog *catalog = feed_catalog(store);
    struct aq_object_store *objects = NULL;
    struct aq_error err = {0};
    if (catalog != NULL &&
        feed_check(aq_object_open_dir(aq_store_home(store), false, &objects, &err), &err))
        feed_check(aq_catalog_put_checkpoint(objects, catalog, false, &err), &err);
    aq_object_close(objects);
    aq_catalog_release(catalog);
    revive(world, who, run.segment_size);
}

/* Hours go by, and what the newest edits do not need goes. */
static void pass_hours(struct world *world)
{
    unsigned who = awake(world, 1);
    leave_checkpoint(world);
    sim_pass_time(2 * 60 * 60);
    nap.collected = true;
    collect_all(world->owners[who].store);
    revive(world, who, run.segment_size);
}

/* What others do while an owner that commits stands still. */
static void sleep_over(struct world *world)
{
    unsigned who = world->who, deed = world->deed, wanted = world->wanted;
    unsigned steps = 1 + choose(world, NAP_STEPS);
    unsigned hours_at = choose(world, 2 * NAP_STEPS);
    world->asleep = who + 1;
    world->compacting = deed == DEED_COMPACT;
    for (unsigned i = 0; i < steps; i++) {
        world_step(world, run.segment_size);
        if (i == hours_at)
            pass_hours(world);
        settle(world, wanted);
    }
    sim_pass_time(choose(world, 2) == 0 ? 0 : 61);
    world->asleep = 0;
    world->compacting = false;
    world->who = who;
    world->deed = deed;
    world->wanted = wanted;
    run.nap_count++;
}

/* A file gets its name: an edit, or something else. */
static void fall_asleep(const char *name, bool done)
{
    uint64_t number;
    bool checkpoint;
    if (!nap.due || done != nap.late || run.world->deed == DEED_RESTART ||
        !aq_catalog_parse_name(name, &number, &checkpoint) || checkpoint)
        return;
    nap.due = false;
    sleep_over(run.world);
}

static void step(struct world *world)
{
    run.fault_count = sim_fault_count;
    nap.due = choose(world, 2) == 0;
    nap.late = choose(world, 3) == 0;
    nap.collected = false;
    world_step(world, run.segment_size);
    nap.due = false;
    settle(world, 0);
}

static void live(uint64_t seed)
{
    scratch_make();
    cr_assert_eq(mkdir(scratch_file("home"), 0755), 0);
    struct world world = {.random = seed};
    memset(run.next, 0, sizeof run.next);
    run.seed = seed;
    run.step = 0;
    run.world = &world;
    aq_io_sim_seed(seed);
    feed_io = AQ_IO_SIM;
    sim_begin(scratch_file("home"), seed);
    sim_step = cut_at_step;
    for (unsigned i = 0; i < OWNERS; i++)
        owner_begin(&world.owners[i], run.segment_size);
    sim_link = fall_asleep;
    feed_excuse = change_failed;
    sim_fault_rate = seed % 2 == 0 ? 0 : run.fault_rate;
    for (run.step = 1; run.step <= WORLD_STEPS; run.step++)
        step(&world);
    sim_link = NULL;
    sim_step = NULL;
    sim_fault_rate = 0;
    for (unsigned i = 0; i < OWNERS; i++) {
        owner_thaw(&world.frozen[i], true);
        owner_end(&world.owners[i]);
    }
    sim_end();
    scratch_remove();
}

static void live_through(uint64_t first_seed, uint64_t segment_size)
{
    run.segment_size = segment_size;
    uint64_t wanted = setting("AQ_CRASH_STATES", 1500);
    uint64_t begin = setting("AQ_CRASH_SEED", 1) * 1000 + first_seed;
    begin = setting("AQ_CRASH_WORLD", begin);
    run.cuts = setting("AQ_CRASH_CUTS", 12);
    run.fault_rate = 40;
    sim_short_rate = 100;
    sim_interrupt_rate = 50;
    for (uint64_t i = 0; run.state_count < wanted; i++)
        live(begin + i);
    fprintf(stderr,
            "\r%llu states, %llu failed changes, %llu processes that gave up, %llu that slept, "
            "%llu of them too long to know\n",
            (unsigned long long)run.state_count, (unsigned long long)sim_fault_count,
            (unsigned long long)run.gave_up, (unsigned long long)run.nap_count,
            (unsigned long long)run.unsure_count);
}

Test(crash_states, big_segments, .timeout = 0)
{
    live_through(0, BIG);
}

Test(crash_states, segments_that_roll, .timeout = 0)
{
    live_through(500, 4000);
}

/* With nothing kept but what is safe. */
static void cut_bare(void)
{
    sim_cut(scratch_file("cut"), 0);
    sim_end();
}

Test(crash_states, a_new_folder_is_kept)
{
    struct aq_object_store *objects = NULL;
    scratch_make();
    cr_assert_eq(mkdir(scratch_file("disk"), 0755), 0);
    sim_begin(scratch_file("disk"), 1);
    cr_assert_eq(aq_object_open_dir(scratch_file("disk"), true, &objects, NULL), AQ_OK);
    cr_assert_eq(aq_object_put(objects, "a/b/c", aq_slice_of("bytes"), NULL), AQ_OK);
    aq_object_close(objects);
    cut_bare();
    cr_assert_eq(access(scratch_file("cut/a/b/c"), F_OK), 0);
}

Test(crash_states, a_new_home_is_kept)
{
    struct owner owner;
    scratch_make();
    cr_assert_eq(mkdir(scratch_file("disk"), 0755), 0);
    sim_begin(scratch_file("disk"), 1);
    feed_home = "disk/store";
    owner_begin(&owner, BIG);
    owner_end(&owner);
    cut_bare();
    cr_assert_eq(access(scratch_file("cut/store/catalog/00000000000000000001"), F_OK), 0);
}
