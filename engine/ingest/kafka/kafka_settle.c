/* Where assigned partitions go on: the store decides, the broker is asked what its logs still have.
 *
 * Happy path: the ends of the logs and the group's committed offsets are asked for, all partitions in one
 * question each; every source that reads a partition's topic finds its feed or gets a new one; one edit
 * claims all of them; kafka_check.c says from where to fetch each to see that the log is still the same.
 * Failures: no answer, a full disk or a former owner who is just ending: retry_us is set, and the same is
 * tried again later. A group that belongs to another store is refused: AQ_CONFLICT. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define RETRY_US AQ_US_PER_SECOND

/* What the broker says of the partitions to be settled, in the same order. */
struct answers {
    size_t count;
    struct aq_kafka_partition **partitions;
    rd_kafka_topic_partition_list_t *lows;
    rd_kafka_topic_partition_list_t *highs;
    rd_kafka_topic_partition_list_t *committed;
};

static enum aq_status later(struct aq_kafka_consumer *consumer, const char *what,
                            rd_kafka_resp_err_t fault)
{
    consumer->retry_us = aq_clock_boot_us() + RETRY_US;
    aq_kafka_say(consumer, "%s: %s; trying again", what, rd_kafka_err2str(fault));
    return AQ_END;
}

static void free_answers(struct answers *answers)
{
    rd_kafka_topic_partition_list_t *lists[] = {answers->lows, answers->highs, answers->committed};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (lists[i] != NULL)
            rd_kafka_topic_partition_list_destroy(lists[i]);
    }
    free(answers->partitions);
}

static enum aq_status gather(const struct aq_kafka_consumer *consumer, struct answers *answers,
                             struct aq_error *err)
{
    answers->partitions = calloc(consumer->partition_count + 1, sizeof *answers->partitions);
    answers->lows = rd_kafka_topic_partition_list_new(16);
    answers->highs = rd_kafka_topic_partition_list_new(16);
    answers->committed = rd_kafka_topic_partition_list_new(16);
    if (answers->partitions == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct aq_kafka_partition *one = consumer->partitions[i];
        if (one->settled)
            continue;
        answers->partitions[answers->count++] = one;
        rd_kafka_topic_partition_list_add(answers->lows, one->topic, one->number)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
        rd_kafka_topic_partition_list_add(answers->highs, one->topic, one->number)->offset =
            RD_KAFKA_OFFSET_END;
        rd_kafka_topic_partition_list_add(answers->committed, one->topic, one->number);
    }
    return AQ_OK;
}

static rd_kafka_resp_err_t first_fault(const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return list->elems[i].err;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t ask_ends(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t fault = rd_kafka_offsets_for_times(rk, list, AQ_KAFKA_ASK_MS);
    return fault != RD_KAFKA_RESP_ERR_NO_ERROR ? fault : first_fault(list);
}

/* AQ_END: no answer, now. */
static enum aq_status ask(struct aq_kafka_consumer *consumer, struct answers *answers)
{
    if (consumer->cluster[0] == '\0') {
        char *id = rd_kafka_clusterid(consumer->rk, AQ_KAFKA_ASK_MS);
        if (id == NULL)
            return later(consumer, "asking for the cluster's id", RD_KAFKA_RESP_ERR__TIMED_OUT);
        snprintf(consumer->cluster, sizeof consumer->cluster, "%s", id);
        rd_kafka_mem_free(consumer->rk, id);
    }
    rd_kafka_resp_err_t fault = ask_ends(consumer->rk, answers->lows);
    if (fault == RD_KAFKA_RESP_ERR_NO_ERROR && !aq_kafka_is_stopped(consumer))
        fault = ask_ends(consumer->rk, answers->highs);
    if (fault != RD_KAFKA_RESP_ERR_NO_ERROR)
        return later(consumer, "asking for the ends of the assigned partitions", fault);
    if (aq_kafka_is_stopped(consumer)) /* a drain has no time for answers that it does not need */
        return AQ_END;
    fault = rd_kafka_committed(consumer->rk, answers->committed, AQ_KAFKA_ASK_MS);
    if (fault != RD_KAFKA_RESP_ERR_NO_ERROR)
        return later(consumer, "asking for the group's committed offsets", fault);
    return AQ_OK;
}

static uint64_t offset_in(const rd_kafka_topic_partition_list_t *list,
                          const struct aq_kafka_partition *partition)
{
    const rd_kafka_topic_partition_t *found = rd_kafka_topic_partition_list_find(
        (rd_kafka_topic_partition_list_t *)list, partition->topic, partition->number);
    return found == NULL || found->offset < 0 ? 0 : (uint64_t)found->offset;
}

/* The group: ours, nobody's, or another store's. */

static bool marked_by(const rd_kafka_topic_partition_t *committed, const char *mark, bool *ours)
{
    size_t prefix = strcspn(mark, ":") + 1;
    const char *metadata = committed->metadata;
    if (metadata == NULL || committed->metadata_size < prefix ||
        memcmp(metadata, mark, prefix) != 0)
        return false;
    *ours = committed->metadata_size == strlen(mark) &&
            memcmp(metadata, mark, committed->metadata_size) == 0;
    return true;
}

static enum aq_status check_group(struct aq_kafka_consumer *consumer, const struct answers *answers,
                                  struct aq_error *err)
{
    for (int i = 0; i < answers->committed->cnt; i++) {
        const rd_kafka_topic_partition_t *committed = &answers->committed->elems[i];
        bool ours = false;
        if (committed->offset < 0 || !marked_by(committed, consumer->mark, &ours) || ours)
            continue;
        consumer->is_foreign = true;
        return aq_error_set(err, AQ_CONFLICT,
                            "the group \"%s\" belongs to another store, which committed offset "
                            "%" PRId64 " of \"%s\", partition %d (its mark is %.*s, ours is %s): "
                            "choose another group:",
                            consumer->sources[0].config->client.group, committed->offset,
                            committed->topic, committed->partition, (int)committed->metadata_size,
                            (const char *)committed->metadata, consumer->mark);
    }
    return AQ_OK;
}

static void compare_committed(struct aq_kafka_consumer *consumer, const struct answers *answers,
                              const struct aq_kafka_partition *partition,
                              const struct aq_kafka_source *source, uint64_t next)
{
    const rd_kafka_topic_partition_t *committed =
        rd_kafka_topic_partition_list_find(answers->committed, partition->topic, partition->number);
    bool ours = false;
    if (committed == NULL || committed->offset <= 0 || (uint64_t)committed->offset <= next ||
        !marked_by(committed, consumer->mark, &ours) || !ours)
        return;
    aq_kafka_say(consumer,
                 "source \"%s\": the group has committed \"%s\", partition %d, up to %" PRId64
                 ", but the store stands at %" PRIu64
                 ": what was acknowledged between them is missing here (an older copy of the "
                 "store?); it is read again from Kafka as far as it is still there",
                 source->config->name, partition->topic, partition->number, committed->offset,
                 next);
}

/* Feeds. */

/* Where a feed that has never been fed begins; AQ_END: no answer. */
static enum aq_status begin_at(struct aq_kafka_consumer *consumer, const struct answers *answers,
                               const struct aq_kafka_partition *partition,
                               const struct aq_kafka_source *source, uint64_t *ordinal)
{
    const char *start = source->config->start;
    int64_t time_us = 0;
    *ordinal = offset_in(answers->lows, partition);
    if (strcmp(start, "earliest") == 0)
        return AQ_OK;
    *ordinal = offset_in(answers->highs, partition);
    if (strcmp(start, "latest") == 0 ||
        aq_time_parse(aq_slice_of(start), aq_zone_utc(), &time_us) != AQ_OK)
        return AQ_OK;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset =
        time_us / 1000;
    rd_kafka_resp_err_t fault = ask_ends(consumer->rk, list);
    if (list->elems[0].offset >= 0) /* else all of it is older: at the end */
        *ordinal = (uint64_t)list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return fault == RD_KAFKA_RESP_ERR_NO_ERROR
               ? AQ_OK
               : later(consumer, "asking for the offset of start:", fault);
}

/* Two patterns of one dataset may meet in a topic: it is one feed. */
static bool has_feed(const struct aq_kafka_partition *partition,
                     const struct aq_kafka_source *source)
{
    for (size_t i = 0; i < partition->feed_count; i++) {
        if (partition->feeds[i].state.identity.dataset_id == source->schema->dataset_id)
            return true;
    }
    return false;
}

static enum aq_status name_feeds(struct aq_kafka_consumer *consumer,
                                 struct aq_kafka_partition *partition, struct aq_error *err)
{
    free(partition->feeds);
    partition->feed_count = 0;
    partition->feeds = calloc(consumer->source_count, sizeof *partition->feeds);
    if (partition->feeds == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < consumer->source_count; i++) {
        struct aq_kafka_source *source = &consumer->sources[i];
        if (source->halted || has_feed(partition, source) ||
            !aq_kafka_source_reads(source, partition->topic))
            continue;
        struct aq_kafka_feed *feed = &partition->feeds[partition->feed_count++];
        feed->source = source;
        feed->state.identity = (struct aq_feed_identity){
            .dataset_id = source->schema->dataset_id,
            .source = aq_slice_of(source->config->name),
            .name = aq_slice_of(partition->topic),
            .cluster = aq_slice_of(consumer->cluster),
            .partition = partition->number,
        };
    }
    return AQ_OK;
}

/* Where each goes on: known ones where the store stands, new ones as start: says. */
static enum aq_status choose_begin(struct aq_kafka_consumer *consumer,
                                   const struct answers *answers, struct aq_feed_state *states)
{
    for (size_t i = 0, at = 0; i < answers->count; i++) {
        const struct aq_kafka_partition *partition = answers->partitions[i];
        for (size_t k = 0; k < partition->feed_count; k++, at++) {
            const struct aq_kafka_source *source = partition->feeds[k].source;
            enum aq_status status = AQ_OK;
            if (states[at].identity.feed_id == 0)
                status = begin_at(consumer, answers, partition, source,
                                  &states[at].position.next_ordinal);
            else
                compare_committed(consumer, answers, partition, source,
                                  states[at].position.next_ordinal);
            if (status != AQ_OK)
                return status;
        }
    }
    return AQ_OK;
}

/* `states`: of all feeds, in order. One look into the store, one edit. */
static enum aq_status take_over(struct aq_kafka_consumer *consumer, const struct answers *answers,
                                struct aq_feed_state *states, size_t count, struct aq_error *err)
{
    for (size_t i = 0, at = 0; i < answers->count; i++) {
        for (size_t k = 0; k < answers->partitions[i]->feed_count; k++)
            states[at++] = answers->partitions[i]->feeds[k].state;
    }
    AQ_TRY(aq_store_find_feeds(consumer->store, states, count, err));
    enum aq_status status = choose_begin(consumer, answers, states);
    if (status != AQ_OK)
        return status;
    AQ_TRY(aq_shard_writer_take_over(consumer->writer, states, count, err));
    for (size_t i = 0, at = 0; i < answers->count; i++) {
        for (size_t k = 0; k < answers->partitions[i]->feed_count; k++, at++) {
            struct aq_feed_state *state = &answers->partitions[i]->feeds[k].state;
            state->identity.feed_id = states[at].identity.feed_id;
            state->identity.incarnation = states[at].identity.incarnation;
            state->position = states[at].position;
        }
    }
    return AQ_OK;
}

static enum aq_status claim(struct aq_kafka_consumer *consumer, const struct answers *answers,
                            struct aq_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < answers->count; i++) {
        AQ_TRY(name_feeds(consumer, answers->partitions[i], err));
        count += answers->partitions[i]->feed_count;
    }
    if (count == 0)
        return AQ_OK;
    struct aq_feed_state *states = calloc(count, sizeof *states);
    if (states == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status = take_over(consumer, answers, states, count, err);
    free(states);
    return status;
}

static enum aq_status begin(struct aq_kafka_consumer *consumer, const struct answers *answers,
                            struct aq_kafka_partition *partition, struct aq_error *err)
{
    partition->low = offset_in(answers->lows, partition);
    for (size_t i = 0; i < partition->feed_count; i++)
        AQ_TRY(aq_kafka_check_begin(consumer, partition, &partition->feeds[i],
                                    offset_in(answers->highs, partition), err));
    partition->settled = true;
    partition->at_end = false;
    partition->expected = aq_kafka_partition_start(partition);
    return AQ_OK;
}

static enum aq_status settle(struct aq_kafka_consumer *consumer, struct answers *answers,
                             struct aq_error *err)
{
    AQ_TRY(gather(consumer, answers, err));
    if (answers->count == 0)
        return AQ_OK;
    enum aq_status status = aq_kafka_writer_need(consumer, err);
    if (status == AQ_OK)
        status = ask(consumer, answers);
    if (status != AQ_OK)
        return status;
    AQ_TRY(check_group(consumer, answers, err));
    status = claim(consumer, answers, err);
    if (status != AQ_OK)
        return status;
    for (size_t i = 0; i < answers->count; i++)
        AQ_TRY(begin(consumer, answers, answers->partitions[i], err));
    consumer->disk_full = false;
    consumer->trouble[0] = '\0';
    aq_kafka_reached(consumer);
    return AQ_OK;
}

enum aq_status aq_kafka_settle(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    struct answers answers = {0};
    consumer->retry_us = 0;
    enum aq_status status = settle(consumer, &answers, err);
    free_answers(&answers);
    if (status == AQ_OK || status == AQ_END)
        return AQ_OK;
    return aq_kafka_writer_failed(consumer, status, err);
}

uint64_t aq_kafka_partition_start(const struct aq_kafka_partition *partition)
{
    uint64_t start = UINT64_MAX;
    for (size_t i = 0; i < partition->feed_count; i++) {
        const struct aq_kafka_feed *feed = &partition->feeds[i];
        uint64_t wanted = feed->next_ordinal;
        if (feed->phase == AQ_KAFKA_HALTED)
            continue;
        if (feed->phase == AQ_KAFKA_CHECKING)
            wanted--;
        else if (feed->phase == AQ_KAFKA_LOOKING)
            wanted = partition->low;
        if (wanted < start)
            start = wanted;
    }
    return start == UINT64_MAX ? partition->low : start;
}

enum aq_status aq_kafka_unsettle(struct aq_kafka_consumer *consumer,
                                 struct aq_kafka_partition *partition, struct aq_error *err)
{
    AQ_TRY(aq_kafka_frame_flush(consumer, err));
    partition->settled = false;
    partition->barrier = consumer->batch;
    aq_kafka_partition_pause(consumer, partition, true);
    if (consumer->retry_us == 0)
        consumer->retry_us = aq_clock_boot_us();
    return AQ_OK;
}

void aq_kafka_resume_settled(struct aq_kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct aq_kafka_partition *partition = consumer->partitions[i];
        if (!partition->settled || !partition->paused || !aq_kafka_partition_is_read(partition))
            continue;
        if (!aq_kafka_partition_seek(consumer, partition, aq_kafka_partition_start(partition))) {
            partition->settled = false; /* it is just being assigned */
            consumer->retry_us = aq_clock_boot_us() + RETRY_US;
            continue;
        }
        aq_kafka_partition_pause(consumer, partition, false);
    }
    aq_kafka_show_states(consumer);
}

enum aq_status aq_kafka_settle_again(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    if (consumer->retry_us == 0 || aq_clock_boot_us() < consumer->retry_us)
        return AQ_OK;
    AQ_TRY(aq_kafka_settle(consumer, err));
    aq_kafka_resume_settled(consumer);
    return AQ_OK;
}
