/* Step 3 of a message's way, continued: a frame is closed and handed to the shard's writer.
 *
 * Happy path: the decoded rows and rejects are routed into one section each and go out with one source
 * range, which says where the file stands behind them: rows, rejects and position commit together.
 * Failures: of memory and of the writer. */
#include <string.h>

#include "engine/ingest/file/importer.h"
#include "engine/base/clock.h"

#define MESSAGES_PER_LOOK 256 /* at the clock and the stop flag */

/* A frame must stay far below AQ_FRAME_BYTES_MAX, whatever the config says. */
#define FRAME_BYTES_MAX ((uint64_t)256 << 20)
/* Frames in memory at once: in flight, encoded; the one that is filled, decoded and routed. */
#define FRAMES_IN_MEMORY (AQ_IMPORT_FRAMES_IN_FLIGHT + 2)

void aq_import_begin_frame(struct aq_import *import)
{
    import->frame_begun_us = aq_clock_us();
}

void aq_import_clear(struct aq_importer *importer)
{
    aq_decoder_clear(importer->decoder);
    aq_import_crew_clear(importer->crew);
}

size_t aq_import_size_bytes(const struct aq_importer *importer)
{
    return aq_decoder_size_bytes(importer->decoder) + aq_import_crew_size_bytes(importer->crew);
}

/* What a frame may grow to, `size` being wanted. */
static uint64_t bound_frame(const struct aq_config *config, uint64_t size)
{
    uint64_t share = config->ingest_memory_bytes / FRAMES_IN_MEMORY;
    size = size < share ? size : share;
    return size < FRAME_BYTES_MAX ? size : FRAME_BYTES_MAX;
}

bool aq_import_frame_is_due(const struct aq_import *import, bool look_at_clock)
{
    const struct aq_importer *importer = import->importer;
    const struct aq_config *config = importer->options->config;
    uint64_t size = aq_import_size_bytes(importer);
    /* While the disk has all that it may have in flight, waiting for it is better spent on a larger frame. */
    if (size >= bound_frame(config, config->commit_size_bytes) &&
        (size >= bound_frame(config, AQ_FRAME_GROWTH_MAX * config->commit_size_bytes) ||
         !aq_shard_writer_is_full(importer->writer)))
        return true;
    return look_at_clock && aq_clock_us() - import->frame_begun_us >= config->commit_interval_us;
}

/* Up to the size of a commit, at least a quarter of it: frames need not end just there. */
uint64_t aq_import_frame_room(const struct aq_import *import)
{
    const struct aq_config *config = import->importer->options->config;
    uint64_t bound = bound_frame(config, config->commit_size_bytes);
    uint64_t size = aq_import_size_bytes(import->importer);
    return size + bound / 4 < bound ? bound - size : bound / 4;
}

static struct aq_source_range make_range(struct aq_import *import, bool finished)
{
    const struct aq_decoder *decoder = import->importer->decoder;
    return (struct aq_source_range){
        .feed_id = import->feed.identity.feed_id,
        .first_ordinal = import->feed.position.next_ordinal,
        .next_ordinal = import->ordinal,
        .next_offset = import->stream.offset,
        .hash = aq_stream_hash(&import->stream),
        .last_stamp_us = import->feed.identity.stamp_us,
        .row_count = decoder->rows.row_count,
        .reject_count = decoder->rejects.row_count,
        .finished = finished,
    };
}

static void advance(struct aq_import *import, const struct aq_source_range *range)
{
    struct aq_feed_position *position = &import->feed.position;
    position->feed_id = range->feed_id;
    position->next_ordinal = range->next_ordinal;
    position->next_offset = range->next_offset;
    position->hash = range->hash;
    position->last_stamp_us = range->last_stamp_us;
    position->row_count += range->row_count;
    position->reject_count += range->reject_count;
    position->finished = range->finished;
    aq_import_begin_frame(import);
}

static void report_progress(const struct aq_import *import)
{
    const struct aq_importer *importer = import->importer;
    if (importer->options->progress == NULL)
        return;
    struct aq_ingest_progress progress = {
        .file = import->path,
        .bytes_done = import->bytes_total > 0 ? import->bytes_done
                                              : aq_source_file_bytes_done(import->source),
        .bytes_total = import->bytes_total > 0 ? import->bytes_total
                                               : aq_source_file_bytes_total(import->source),
        .row_count = importer->report->row_count,
        .reject_count = importer->report->reject_count,
    };
    importer->options->progress(importer->options->context, &progress);
}

enum aq_status aq_import_close_frame(struct aq_import *import, bool finished, struct aq_error *err)
{
    struct aq_importer *importer = import->importer;
    struct aq_decoder *decoder = importer->decoder;
    struct aq_section_input sections[2];
    size_t section_count = 0;
    if (import->ordinal == import->feed.position.next_ordinal && !finished)
        return AQ_OK;
    if (importer->options->replace &&
        aq_replacement_add(&importer->replacement, importer->schema, &decoder->rows) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    AQ_TRY(aq_route_section(importer->row_router, &decoder->rows, sections, &section_count, err));
    AQ_TRY(aq_route_section(importer->reject_router, &decoder->rejects, sections, &section_count,
                            err));
    struct aq_source_range range = make_range(import, finished);
    aq_import_watch_frame(import, &range);
    enum aq_status status =
        aq_shard_writer_append(importer->writer, &range, 1, sections, section_count, err);
    if (status < 0) {
        aq_import_watch_failed(importer);
        return status;
    }
    importer->report->input_bytes += range.next_offset - import->feed.position.next_offset;
    aq_import_clear(importer);
    advance(import, &range);
    report_progress(import);
    return aq_importer_note_feed(importer, &import->feed, err);
}

enum aq_status aq_import_note_decoded(struct aq_import *import, enum aq_status decoded,
                                      size_t reject_count, struct aq_error *err)
{
    struct aq_importer *importer = import->importer;
    import->ordinal++;
    if (importer->decoder->rejects.row_count > reject_count)
        importer->watch.reject_counts[importer->decoder->reject_class]++;
    if (decoded < 0)
        return aq_error_set(err, decoded, "decoding %s: out of memory", import->path);
    return AQ_OK;
}

enum aq_status aq_import_stopped(struct aq_error *err)
{
    return aq_error_set(err, AQ_INTERRUPTED, "stopped; the same command goes on from here");
}

enum aq_status aq_import_pace(struct aq_import *import, uint64_t count, struct aq_error *err)
{
    bool look = count % MESSAGES_PER_LOOK == 0;
    if (aq_import_frame_is_due(import, look))
        AQ_TRY(aq_import_close_frame(import, false, err));
    return look && aq_importer_is_stopped(import->importer) ? aq_import_stopped(err) : AQ_OK;
}
