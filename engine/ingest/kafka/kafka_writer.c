/* The shard writer's life: made when partitions come, sealed when it is old, given up and made anew when
 * something is in its way that passes.
 *
 * Happy path: one writer for the whole run.
 * Failures: a full disk is waited for; so is another process that has taken feeds over, or is about to:
 * what is not durable is forgotten, because Kafka still has it, and the partitions are settled again
 * from the store. Whatever else the disk says ends the run: what was acked is durable, and the next start
 * recovers. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define RETRY_US AQ_US_PER_SECOND
#define OWNER_US (3 * AQ_US_PER_SECOND) /* for the group to say who owns what */
#define FULL_RETRY_US (10 * AQ_US_PER_SECOND)

static uint64_t free_bytes(const struct aq_kafka_consumer *consumer)
{
    struct statvfs disk;
    if (fstatvfs(aq_store_home_fd(consumer->store), &disk) != 0)
        return UINT64_MAX;
    return (uint64_t)disk.f_bavail * disk.f_frsize;
}

/* A try writes edits even where it fails: only when something was freed, and now and then, because quotas
 * do not show there. */
static bool may_try(struct aq_kafka_consumer *consumer)
{
    int64_t now_us = aq_clock_boot_us();
    if (consumer->disk_full && free_bytes(consumer) <= consumer->free_bytes &&
        now_us - consumer->tried_us < FULL_RETRY_US) {
        consumer->retry_us = now_us + RETRY_US;
        return false;
    }
    consumer->tried_us = now_us;
    return true;
}

enum aq_status aq_kafka_writer_need(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    struct aq_recovery_report report;
    if (consumer->writer != NULL)
        return AQ_OK;
    if (!may_try(consumer))
        return AQ_END;
    AQ_TRY(aq_store_recover(consumer->store, &report, err));
    if (report.row_count > 0)
        aq_kafka_say(consumer,
                     "recovered %" PRIu64 " frames with %" PRIu64 " rows of a run that did not end",
                     report.frame_count, report.row_count);
    const struct aq_shard_writer_options options = {
        .segment_size_bytes = consumer->options->config->segment_size_bytes,
        .depth = AQ_KAFKA_FRAMES_IN_FLIGHT,
        .ack = aq_kafka_frame_ack,
        .ack_context = consumer,
    };
    consumer->segment_count = 0;
    consumer->segment_since_us = 0;
    consumer->segment_begin_bytes = 0;
    consumer->shown_bytes = 0;
    consumer->shown_sealed_count = 0;
    return aq_shard_writer_create(consumer->store, &options, &consumer->writer, err);
}

static void give_up(struct aq_kafka_consumer *consumer)
{
    aq_kafka_frame_drop(consumer, true);
    aq_shard_writer_destroy(consumer->writer);
    consumer->writer = NULL;
    consumer->segment_since_us = 0;
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct aq_kafka_partition *partition = consumer->partitions[i];
        partition->settled = false;
        partition->barrier = consumer->batch;
        aq_kafka_partition_pause(consumer, partition, true);
    }
}

/* A run that ends by itself does not wait for room: somebody waits for it. */
static bool can_wait(const struct aq_kafka_consumer *consumer, enum aq_status status)
{
    if (status == AQ_DISK_FULL)
        return !consumer->options->once;
    return (status == AQ_CONFLICT && !consumer->is_foreign) || status == AQ_TEMPORARY;
}

enum aq_status aq_kafka_writer_failed(struct aq_kafka_consumer *consumer, enum aq_status status,
                                      struct aq_error *err)
{
    char text[AQ_ERROR_MESSAGE_MAX + AQ_ERROR_PATH_MAX];
    if (!can_wait(consumer, status))
        return status;
    aq_error_format(err, text, sizeof text);
    give_up(consumer);
    consumer->disk_full = status == AQ_DISK_FULL;
    if (consumer->disk_full)
        consumer->free_bytes = free_bytes(consumer);
    consumer->retry_us = aq_clock_boot_us() + (status == AQ_CONFLICT ? OWNER_US : RETRY_US);
    snprintf(consumer->trouble, sizeof consumer->trouble, "%.480s; goes on by itself", text);
    aq_kafka_say(consumer, "%s: waiting, nothing is lost: Kafka keeps what is not durable yet",
                 text);
    aq_kafka_show_states(consumer);
    return AQ_OK;
}

static enum aq_status find_lost(struct aq_kafka_consumer *consumer, bool *lost,
                                struct aq_error *err)
{
    *lost = false;
    for (size_t i = 0; i < consumer->partition_count && !*lost; i++) {
        const struct aq_kafka_partition *partition = consumer->partitions[i];
        for (size_t k = 0; k < partition->feed_count && partition->settled && !*lost; k++) {
            bool holds = true;
            AQ_TRY(aq_shard_writer_holds(consumer->writer,
                                         partition->feeds[k].state.identity.feed_id, &holds, err));
            *lost = !holds && partition->feeds[k].phase != AQ_KAFKA_HALTED;
        }
    }
    return AQ_OK;
}

enum aq_status aq_kafka_writer_verify(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    bool lost = false;
    consumer->was_away = false;
    if (consumer->writer == NULL)
        return AQ_OK;
    AQ_TRY(aq_store_catalog(consumer->store, true, &catalog, err));
    uint64_t number = catalog->number;
    aq_catalog_release(catalog);
    if (number != consumer->verified_number)
        AQ_TRY(find_lost(consumer, &lost, err));
    consumer->verified_number = number;
    if (!lost)
        return AQ_OK;
    aq_error_set(err, AQ_CONFLICT,
                 "another process has taken partitions over that this one was reading");
    return aq_kafka_writer_failed(consumer, AQ_CONFLICT, err);
}

static void note_segments(struct aq_kafka_consumer *consumer)
{
    struct aq_shard_writer_counters counters = aq_shard_writer_count(consumer->writer);
    if (counters.segment_count == consumer->segment_count)
        return;
    consumer->segment_count = counters.segment_count;
    consumer->segment_since_us = aq_clock_wall_us();
    consumer->segment_begin_bytes = consumer->shown_bytes;
}

enum aq_status aq_kafka_writer_tend(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    if (consumer->writer == NULL)
        return AQ_OK;
    note_segments(consumer);
    if (consumer->segment_since_us == 0 ||
        aq_clock_wall_us() - consumer->segment_since_us < consumer->options->config->segment_age_us)
        return AQ_OK;
    AQ_TRY(aq_kafka_frame_flush(consumer, err));
    if (consumer->writer == NULL)
        return AQ_OK;
    AQ_TRY(aq_shard_writer_seal(consumer->writer, err));
    consumer->segment_since_us = 0;
    return AQ_OK;
}
