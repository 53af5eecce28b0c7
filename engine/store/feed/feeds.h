/* Kafka feeds: where they stand, who feeds them, what of them was lost. The catalog decides (claims), not
 * the broker: a feed that is taken over goes on behind the former owner's durable frames, and whatever
 * that owner writes afterwards does not count (docs/catalog-format.md, "Claims"). */
#ifndef AQ_ENGINE_STORE_FEEDS_H
#define AQ_ENGINE_STORE_FEEDS_H

#include "engine/store/segment/write/shard_writer.h"
#include "engine/store/snapshot/snapshot.h"

/**
 * The newest incarnation of the feed of (identity.dataset_id, cluster, name, partition). Fills in feed_id,
 * incarnation and position; feed_id 0, incarnation 1 and an empty position when there is none.
 * @thread Any.
 */
enum aq_status aq_store_find_feed(struct aq_store *store, struct aq_feed_state *feed,
                                  struct aq_error *err) AQ_RESULT;
/** The same for many, true of one version of the catalog; each open segment is read once. A feed whose
 * feed_id is set is looked up by that; AQ_NOT_FOUND when there is none. */
enum aq_status aq_store_find_feeds(struct aq_store *store, struct aq_feed_state *feeds,
                                   size_t feed_count, struct aq_error *err) AQ_RESULT;

/**
 * Claim feeds for `writer`, all in one edit, whoever fed them before: the former owner's durable prefix is
 * read, then `position`, `claim` and, where that owner's segment is still open, `mask` are committed;
 * after a race it is read again. feed_id 0 makes a new feed that begins at position.next_ordinal.
 * On return feed_id and position say where each goes on. A feed that this writer has claimed
 * already stays as it is.
 * @thread The writer's.
 */
enum aq_status aq_shard_writer_take_over(struct aq_shard_writer *writer,
                                         struct aq_feed_state *feeds, size_t feed_count,
                                         struct aq_error *err) AQ_RESULT;

/** Flush, then let go of feeds: they are not claimed again when the writer rolls. Unknown ids are
 * ignored. @thread The writer's. */
enum aq_status aq_shard_writer_release(struct aq_shard_writer *writer, const uint64_t *feed_ids,
                                       size_t feed_count, struct aq_error *err) AQ_RESULT;

/** Whether the claim of this writer on a feed still holds, by the newest catalog (which is read).
 * @thread The writer's. */
enum aq_status aq_shard_writer_holds(struct aq_shard_writer *writer, uint64_t feed_id, bool *holds,
                                     struct aq_error *err) AQ_RESULT;

/** Record that the source no longer has messages [from_ordinal, next_ordinal) of a feed. Recorded again
 * with the same beginning, the longer range stands. */
enum aq_status aq_store_record_lost(struct aq_store *store, uint64_t feed_id, uint64_t from_ordinal,
                                    uint64_t next_ordinal, struct aq_error *err) AQ_RESULT;

/** Make the next incarnation of a feed, beginning at `from_ordinal`: `sources accept`. `identity` names
 * (dataset, cluster, topic, partition); its feed_id and incarnation are set. */
enum aq_status aq_store_accept_feed(struct aq_store *store, struct aq_feed_identity *identity,
                                    uint64_t from_ordinal, struct aq_error *err) AQ_RESULT;

#endif
