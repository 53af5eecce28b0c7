/* Owners of one home that do whatever comes to their mind: take feeds over, append, seal, freeze, die, compact, collect what is not needed. */
#ifndef AQ_TESTS_UNIT_FEED_WORLD_H
#define AQ_TESTS_UNIT_FEED_WORLD_H

#include "tests/unit/feed/feed_checks.h"

enum { OWNERS = 3 };

enum { DEED_TAKE = 2 /* and below */, DEED_RESTART = 6, DEED_COMPACT = 7, DEEDS = 16 };

struct world {
    struct owner owners[OWNERS];
    struct frozen frozen[OWNERS];
    uint64_t next[TOPIC_PARTITIONS];
    uint64_t random;
    /* The present step's. */
    unsigned who;
    unsigned deed;
    unsigned wanted; /* partitions that it takes over */
    /* Of a step within another one: whose owner stands still in the middle of its deed. */
    unsigned asleep; /* 1 + its number; 0: nobody */
    bool compacting; /* that is its deed */
};

static inline unsigned choose(struct world *world, unsigned count)
{
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world->random >> 33) % count;
}

static inline bool is_awake(const struct world *world, unsigned who)
{
    return who + 1 != world->asleep;
}

/* `who`, or the next one that does not sleep. */
static inline unsigned awake(const struct world *world, unsigned who)
{
    who %= OWNERS;
    return is_awake(world, who) ? who : (who + 1) % OWNERS;
}

static inline uint64_t open_segment_of(const struct owner *owner)
{
    const struct aq_catalog *catalog = feed_catalog(owner->store);
    uint64_t found = 0;
    for (unsigned p = 0; p < TOPIC_PARTITIONS && catalog != NULL; p++) {
        const struct aq_catalog_feed *feed =
            aq_catalog_feed(catalog, owner->feeds[p].identity.feed_id);
        bool held = false;
        struct aq_error err = {0};
        if (feed != NULL)
            feed_check(aq_shard_writer_holds(owner->writer, feed->identity.feed_id, &held, &err),
                       &err);
        const struct aq_catalog_file *file =
            held ? aq_catalog_file(catalog, feed->claim_file_id) : NULL;
        if (file != NULL && file->state == AQ_FILE_OPEN)
            found = file->file_id;
    }
    if (catalog != NULL)
        aq_catalog_release(catalog);
    return feed_failed ? 0 : found;
}

/* Whether the topic has messages left for what the owner believes to feed. */
static inline unsigned appendable(const struct owner *owner)
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
static inline void freeze(struct world *world, unsigned who)
{
    struct owner *owner = &world->owners[who];
    uint64_t segment = open_segment_of(owner);
    unsigned bits = appendable(owner);
    if (segment == 0 || bits == 0)
        return;
    struct frozen *frozen = &world->frozen[who];
    *frozen = owner_freeze(segment);
    owner_append(owner, bits, 1 + choose(world, 30));
    owner_flush(owner);
    if (!feed_failed && open_segment_of(owner) == segment)
        owner_unpublish(frozen);
    else
        owner_thaw(frozen, false); /* it rolled instead */
}

/* After a failure its process ends, and another one comes. */
static inline void revive(struct world *world, unsigned who, uint64_t segment_size)
{
    while (feed_failed) {
        feed_failed = false;
        owner_thaw(&world->frozen[who], false);
        owner_end(&world->owners[who]);
        owner_begin(&world->owners[who], segment_size);
    }
}

static inline void restart(struct world *world, unsigned who, uint64_t segment_size)
{
    unsigned other = awake(world, who + 1);
    struct aq_recovery_report report;
    struct aq_error err = {0};
    owner_end(&world->owners[who]);
    if (choose(world, 4) == 0) { /* it takes a second: others live */
        feed_check(aq_store_recover(world->owners[other].store, &report, &err), &err);
        revive(world, other, segment_size);
    }
    owner_begin(&world->owners[who], segment_size);
}

static inline void world_step(struct world *world, uint64_t segment_size)
{
    unsigned who = world->who = awake(world, choose(world, OWNERS));
    struct owner *owner = &world->owners[who];
    unsigned partition = choose(world, TOPIC_PARTITIONS);
    unsigned deed = world->deed = choose(world, DEEDS);
    bool dies = deed == DEED_RESTART && choose(world, 3) == 0;
    world->wanted = 0;
    owner_thaw(&world->frozen[who], !dies);
    switch (deed) {
    case 0:
    case 1:
    case DEED_TAKE:
        world->wanted = 1 + choose(world, 15);
        owner_take_ok(owner, world->wanted);
        break;
    case 3:
        if (owner->feeds[partition].identity.feed_id != 0)
            owner_release(owner, partition);
        break;
    case 4:
        owner_seal(owner);
        break;
    case 5:
        freeze(world, who);
        break;
    case DEED_RESTART:
        if (dies)
            restart(world, who, segment_size);
        break;
    case DEED_COMPACT:
        if (choose(world, 6) == 0 && !world->compacting)
            compact_all(owner->store);
        break;
    case 8:
        if (choose(world, 4) == 0)
            collect_all(owner->store);
        break;
    default:
        owner_append(owner, appendable(owner) & (1 + choose(world, 15)), 1 + choose(world, 30));
    }
    revive(world, who, segment_size);
}

static inline void world_flush(struct world *world, uint64_t segment_size)
{
    for (unsigned who = 0; who < OWNERS; who++) {
        if (is_awake(world, who))
            owner_flush(&world->owners[who]);
        revive(world, who, segment_size);
    }
}

#endif
