/* What the group gives and takes.
 *
 * Happy path: the callback only notes what is wanted, so that the messages that came before it are taken
 * first. Given: the partitions join the table, are settled (kafka_settle.c), and are fetched from where the
 * store says. Taken: what is pending is made durable, the claims are let go, and the partitions leave.
 * Failures: what cannot be settled now is assigned paused, and settled later. Partitions that are lost
 * may have another owner already: what is pending of one that has is dropped; frames that went out
 * before do not count beyond the claim of the new owner, whatever is believed here. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

static bool is_cooperative(rd_kafka_t *rk)
{
    const char *protocol = rd_kafka_rebalance_protocol(rk);
    return protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
}

/* Tell librdkafka that it is done. */
static void acknowledge(rd_kafka_t *rk, bool assign, rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_error_t *fault = NULL;
    if (!is_cooperative(rk))
        rd_kafka_assign(rk, assign ? partitions : NULL);
    else if (assign)
        fault = rd_kafka_incremental_assign(rk, partitions);
    else
        fault = rd_kafka_incremental_unassign(rk, partitions);
    if (fault == NULL)
        return;
    rd_kafka_error_destroy(fault); /* e.g. overtaken by the next rebalance, which follows */
}

static void forget(struct aq_kafka_consumer *consumer)
{
    if (consumer->rebalance.partitions != NULL)
        rd_kafka_topic_partition_list_destroy(consumer->rebalance.partitions);
    consumer->rebalance.partitions = NULL;
    consumer->rebalance.waiting = false;
}

void aq_kafka_rebalance_cb(rd_kafka_t *rk, rd_kafka_resp_err_t what,
                           rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct aq_kafka_consumer *consumer = opaque;
    bool assign = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (consumer->closing) { /* everything is sealed and let go */
        acknowledge(rk, false, partitions);
        return;
    }
    forget(consumer);
    consumer->rebalance.waiting = true;
    consumer->rebalance.assign = assign;
    consumer->rebalance.lost = !assign && rd_kafka_assignment_lost(rk) != 0;
    consumer->rebalance.partitions = rd_kafka_topic_partition_list_copy(partitions);
}

/* Where librdkafka begins: where the store says, or nowhere yet. */
static enum aq_status assign(struct aq_kafka_consumer *consumer,
                             rd_kafka_topic_partition_list_t *list, struct aq_error *err)
{
    for (int i = 0; i < list->cnt; i++) {
        if (aq_kafka_partition_add(consumer, list->elems[i].topic, list->elems[i].partition) ==
            NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    enum aq_status status = aq_kafka_settle(consumer, err);
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *one = &list->elems[i];
        const struct aq_kafka_partition *partition =
            aq_kafka_partition_find(consumer, one->topic, one->partition);
        one->offset =
            partition->settled ? (int64_t)aq_kafka_partition_start(partition) : RD_KAFKA_OFFSET_END;
    }
    acknowledge(consumer->rk, true, list);
    for (int i = 0; i < list->cnt; i++) {
        struct aq_kafka_partition *partition =
            aq_kafka_partition_find(consumer, list->elems[i].topic, list->elems[i].partition);
        /* Said in any case: one that was paused when it was taken away may come back so. */
        bool pause = !partition->settled || !aq_kafka_partition_is_read(partition);
        partition->paused = !pause;
        aq_kafka_partition_pause(consumer, partition, pause);
    }
    consumer->assigned = true;
    aq_kafka_resume_settled(consumer); /* those that waited are settled with the new ones */
    return status;
}

/* Whether any feed of the list was taken over by somebody else. */
static enum aq_status look_for_owners(struct aq_kafka_consumer *consumer,
                                      const rd_kafka_topic_partition_list_t *list, bool *found,
                                      struct aq_error *err)
{
    *found = false;
    for (int i = 0; i < list->cnt && !*found; i++) {
        const struct aq_kafka_partition *partition =
            aq_kafka_partition_find(consumer, list->elems[i].topic, list->elems[i].partition);
        for (size_t k = 0; partition != NULL && k < partition->feed_count && !*found; k++) {
            bool holds = true;
            if (partition->feeds[k].pending.feed_id != 0)
                AQ_TRY(aq_shard_writer_holds(consumer->writer, partition->feeds[k].pending.feed_id,
                                             &holds, err));
            *found = !holds;
        }
    }
    return AQ_OK;
}

/* Those that stay are fetched again from behind what was handed to the writer. */
static enum aq_status rewind_others(struct aq_kafka_consumer *consumer,
                                    const rd_kafka_topic_partition_list_t *leaving,
                                    struct aq_error *err)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct aq_kafka_partition *partition = consumer->partitions[i];
        if (rd_kafka_topic_partition_list_find(leaving, partition->topic, partition->number) !=
                NULL ||
            !partition->settled)
            continue;
        if (!aq_kafka_partition_seek(consumer, partition, aq_kafka_partition_start(partition)))
            AQ_TRY(aq_kafka_unsettle(consumer, partition, err));
    }
    return AQ_OK;
}

static enum aq_status finish(struct aq_kafka_consumer *consumer,
                             const rd_kafka_topic_partition_list_t *list, bool lost,
                             struct aq_error *err)
{
    if (consumer->writer == NULL)
        return AQ_OK;
    bool stale = false;
    if (lost)
        AQ_TRY(look_for_owners(consumer, list, &stale, err));
    if (stale)
        aq_kafka_frame_drop(consumer, false);
    AQ_TRY(aq_kafka_frame_flush(consumer, err));
    if (!lost)
        AQ_TRY(aq_kafka_commit(consumer, false, err));
    return stale ? rewind_others(consumer, list, err) : AQ_OK;
}

static enum aq_status release(struct aq_kafka_consumer *consumer,
                              const rd_kafka_topic_partition_list_t *list, struct aq_error *err)
{
    enum aq_status status = AQ_OK;
    for (int i = 0; i < list->cnt; i++) {
        struct aq_kafka_partition *partition =
            aq_kafka_partition_find(consumer, list->elems[i].topic, list->elems[i].partition);
        if (partition == NULL)
            continue;
        for (size_t k = 0; k < partition->feed_count && status >= 0; k++) {
            uint64_t feed_id = partition->feeds[k].state.identity.feed_id;
            if (consumer->writer != NULL && feed_id != 0)
                status = aq_shard_writer_release(consumer->writer, &feed_id, 1, err);
        }
        if (status < 0)
            status = aq_kafka_writer_failed(consumer, status, err);
        aq_kafka_partition_remove(consumer, partition);
    }
    return status;
}

static enum aq_status revoke(struct aq_kafka_consumer *consumer,
                             rd_kafka_topic_partition_list_t *list, bool lost, struct aq_error *err)
{
    if (lost)
        aq_kafka_say(consumer,
                     "the group took %d partitions away before this process gave them back: it was "
                     "away too long, or the broker was; reading goes on where the store stands",
                     list->cnt);
    enum aq_status status = finish(consumer, list, lost, err);
    if (status < 0)
        status = aq_kafka_writer_failed(consumer, status, err);
    if (status >= 0)
        status = release(consumer, list, err);
    acknowledge(consumer->rk, false, list);
    return status;
}

enum aq_status aq_kafka_rebalance(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    if (!consumer->rebalance.waiting)
        return AQ_OK;
    rd_kafka_topic_partition_list_t *list = consumer->rebalance.partitions;
    consumer->rebalance.partitions = NULL;
    consumer->rebalance.waiting = false;
    if (!consumer->rebalance.lost) /* which shows without a broker, too */
        aq_kafka_reached(consumer);
    enum aq_status status = consumer->rebalance.assign
                                ? assign(consumer, list, err)
                                : revoke(consumer, list, consumer->rebalance.lost, err);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}
