/* What a run over files tells the monitor: counts of durable frames, their latency, the writer's gauges.
 *
 * Happy path: each frame that goes to the writer is noted in a ring; acks come in the order of frames and
 * take the oldest. Without a monitor, or of a source that it does not know, nothing is told.
 * Failures: a frame that the writer did not take leaves the ring again, since a run that fails tries its last rows once
 * more. It leaves no frame in flight: what was not acked does not count. */
#include <assert.h>

#include "engine/ingest/file/importer.h"
#include "engine/base/clock.h"

#define RING (AQ_IMPORT_FRAMES_IN_FLIGHT + 1)

/* Counters since the last call, gauges as they are. */
static void tell_writer(struct aq_importer *importer, bool ended)
{
    struct aq_import_watch *watch = &importer->watch;
    struct aq_shard_writer_counters counters = aq_shard_writer_count(importer->writer);
    struct aq_monitor_totals now = {
        .segment_bytes_written = counters.bytes_written - watch->bytes_written,
    };
    bool open = !ended && counters.segment_count > 0;
    uint64_t sealed_count = counters.segment_count - (open ? 1 : 0);
    if (open && counters.segment_count > watch->segment_count) {
        watch->segment_begin_bytes = watch->bytes_written;
        watch->segment_since_us = aq_clock_wall_us();
    }
    now.segments_sealed = sealed_count - watch->sealed_count;
    if (open) {
        now.open_segment_bytes = counters.bytes_written - watch->segment_begin_bytes;
        now.open_segment_since_us = watch->segment_since_us;
    }
    watch->bytes_written = counters.bytes_written;
    watch->segment_count = counters.segment_count;
    watch->sealed_count = sealed_count;
    for (size_t i = 0; i < watch->count; i++) {
        now.queue_bytes += watch->flights[(watch->first + i) % RING].memory_bytes;
        now.queue_messages += watch->flights[(watch->first + i) % RING].message_count;
    }
    aq_monitor_set_writer(importer->options->monitor, watch->source, &now);
}

void aq_import_watch_frame(struct aq_import *import, const struct aq_source_range *range)
{
    struct aq_importer *importer = import->importer;
    struct aq_import_watch *watch = &importer->watch;
    if (watch->source == SIZE_MAX)
        return;
    assert(watch->count < RING); /* the writer's depth */
    struct aq_import_flight *flight = &watch->flights[(watch->first + watch->count++) % RING];
    *flight = (struct aq_import_flight){
        .begun_us = import->frame_begun_us,
        .input_bytes = range->next_offset - import->feed.position.next_offset,
        .memory_bytes = aq_import_size_bytes(importer),
        .message_count = range->next_ordinal - range->first_ordinal,
    };
    for (size_t i = 0; i < AQ_REJECT_CLASS_COUNT; i++) {
        flight->reject_counts[i] = watch->reject_counts[i];
        watch->reject_counts[i] = 0;
    }
}

void aq_import_watch_failed(struct aq_importer *importer)
{
    if (importer->watch.count > 0)
        importer->watch.count--;
}

void aq_import_watch_ack(struct aq_importer *importer, const struct aq_source_range *range)
{
    struct aq_import_watch *watch = &importer->watch;
    struct aq_monitor *monitor = importer->options->monitor;
    if (watch->source == SIZE_MAX || watch->count == 0)
        return;
    const struct aq_import_flight *flight = &watch->flights[watch->first];
    struct aq_monitor_source add = {
        .row_count = range->row_count,
        .passed_count = range->passed_count,
        .input_bytes = flight->input_bytes,
        .last_message_us = aq_clock_wall_us(),
    };
    for (size_t i = 0; i < AQ_REJECT_CLASS_COUNT; i++)
        add.reject_counts[i] = flight->reject_counts[i];
    aq_monitor_add(monitor, watch->source, &add);
    aq_monitor_commit(monitor, aq_clock_us() - flight->begun_us);
    watch->first = (watch->first + 1) % RING;
    watch->count--;
    tell_writer(importer, false);
}

void aq_import_watch_end(struct aq_importer *importer)
{
    importer->watch.count = 0;
    if (importer->watch.source != SIZE_MAX)
        tell_writer(importer, true);
}
