/* Feeds that change hands: positions, claims and masks, with owners that live, die, freeze and wake. */
#include "tests/unit/feed/feed_checks.h"

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
