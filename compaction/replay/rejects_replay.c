/* A replay from end to end.
 *
 * Happy path: rejects of closed files are read and decoded once to see which are taken now. Then those that arrived
 * in the span of these are read again: what is taken becomes rows in new archives, what is not goes into
 * new archives of the rejects as it was; one edit adds them, with a tombstone on the rejects of that span
 * in the files that were read. So every message counts once, as a row or as a reject, before and after
 * the edit, for every reader.
 * Failures: killed before the edit, it leaves orphans for gc; after it, nothing is left to do. The lock "compact" keeps
 * compactions away; should the files have changed all the same, the edit is not made. */
#include "compaction/gc/gc.h"
#include "compaction/replay/rejects_replay.h"

#include <stdlib.h>

#include "compaction/replay/reject_decode.h"
#include "compaction/replay/replay_output.h"
#include "engine/base/clock.h"
#include "engine/store/snapshot/snapshot.h"

#define WRITE_BYTES ((size_t)64 << 20) /* of decoded rows, in one archive */

struct replay {
    struct aq_store *store;
    const struct aq_replay_options *options;
    struct aq_replay_report *report;
    struct aq_snapshot *snapshot;
    const struct aq_schema *schema;
    const struct aq_schema *rejects; /* their dataset */
    struct aq_reject_decoder *decoder;
    struct aq_batch unit_rows;
    /* Arrivals of rejects that are taken: those in [from, until) are written anew. */
    int64_t from_us;
    int64_t until_us;
    struct aq_batch kept; /* rejects that stay */
    struct aq_replay_output output;
    uint64_t row_count; /* written or waiting */
    uint64_t done_count;
    uint64_t total_count;
};

typedef enum aq_status (*reject_fn)(struct replay *replay, size_t row,
                                    const struct aq_reject *reject, struct aq_error *err);

void aq_replay_report_deinit(struct aq_replay_report *report)
{
    aq_arena_deinit(&report->arena);
    *report = (struct aq_replay_report){0};
}

/* Reading. */

static struct aq_reject reject_at(const struct aq_batch *batch, size_t row)
{
    const struct aq_vector *columns = batch->columns;
    bool has_partition = !aq_vector_is_null(&columns[AQ_REJECT_PARTITION], row);
    return (struct aq_reject){
        .source = columns[AQ_REJECT_SOURCE].slices[row],
        .has_partition = has_partition,
        .partition = has_partition ? (int32_t)columns[AQ_REJECT_PARTITION].ints[row] : -1,
        .offset = (uint64_t)columns[AQ_REJECT_OFFSET].ints[row],
        .arrival_us = columns[AQ_REJECT_ARRIVAL].ints[row],
        .reason = columns[AQ_REJECT_REASON].slices[row],
        .bytes = columns[AQ_REJECT_BYTES].slices[row],
    };
}

static bool is_selected(const struct replay *replay, const struct aq_reject *reject)
{
    const struct aq_replay_options *options = replay->options;
    if (reject->arrival_us < options->since_us)
        return false;
    if (options->source != NULL && !aq_slice_equal(aq_slice_of(options->source), reject->source))
        return false;
    return options->reason == NULL || memmem(reject->reason.data, reject->reason.size,
                                             options->reason, strlen(options->reason)) != NULL;
}

static enum aq_status visit_unit(struct replay *replay, const struct aq_unit *unit, reject_fn visit,
                                 struct aq_error *err)
{
    uint32_t ids[AQ_REJECT_COLUMN_COUNT];
    for (size_t i = 0; i < AQ_REJECT_COLUMN_COUNT; i++)
        ids[i] = replay->rejects->columns[i].id;
    AQ_TRY(aq_unit_read(replay->snapshot, unit, ids, &replay->unit_rows, err));
    for (size_t row = 0; row < replay->unit_rows.row_count; row++) {
        struct aq_reject reject = reject_at(&replay->unit_rows, row);
        AQ_TRY(visit(replay, row, &reject, err));
    }
    replay->done_count += unit->row_count;
    if (replay->options->progress != NULL)
        replay->options->progress(replay->options->context, replay->done_count,
                                  replay->total_count);
    if (replay->options->stop != NULL && *replay->options->stop)
        return aq_error_set(err, AQ_INTERRUPTED, "replay stopped; nothing was changed");
    return AQ_OK;
}

static bool is_open(const struct replay *replay, const struct aq_unit *unit)
{
    const struct aq_catalog *catalog = aq_snapshot_catalog(replay->snapshot);
    return aq_catalog_file(catalog, unit->file_id)->state == AQ_FILE_OPEN;
}

/* Every reject of the closed files that may have arrived in [from, until). */
static enum aq_status visit_rejects(struct replay *replay, int64_t from_us, int64_t until_us,
                                    reject_fn visit, struct aq_error *err)
{
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    AQ_TRY(
        aq_snapshot_units(replay->snapshot, replay->rejects->dataset_id, &units, &unit_count, err));
    for (size_t i = 0; i < unit_count; i++) {
        const struct aq_unit *unit = &units[i];
        if (is_open(replay, unit) || unit->max_time_us < from_us || unit->min_time_us >= until_us)
            continue;
        AQ_TRY(visit_unit(replay, unit, visit, err));
    }
    return AQ_OK;
}

/* First pass: what would happen. */

static enum aq_status note_reason(struct aq_replay_report *report, struct aq_slice why)
{
    for (size_t i = 0; i < report->reason_count; i++) {
        if (aq_slice_equal(aq_slice_of(report->reasons[i].text), why)) {
            report->reasons[i].count++;
            return AQ_OK;
        }
    }
    if (report->reason_count == AQ_REPLAY_REASONS_MAX) {
        report->other_count++;
        return AQ_OK;
    }
    const char *text =
        aq_arena_format(&report->arena, "%.*s", (int)why.size, (const char *)why.data);
    if (text == NULL)
        return AQ_NO_MEMORY;
    report->reasons[report->reason_count++] = (struct aq_replay_reason){text, 1};
    return AQ_OK;
}

static int by_count(const void *left, const void *right)
{
    const struct aq_replay_reason *a = left;
    const struct aq_replay_reason *b = right;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return strcmp(a->text, b->text);
}

static enum aq_status survey_reject(struct replay *replay, size_t row,
                                    const struct aq_reject *reject, struct aq_error *err)
{
    struct aq_replay_report *report = replay->report;
    bool passed = false;
    struct aq_slice why = {0};
    (void)row;
    if (!is_selected(replay, reject))
        return AQ_OK;
    AQ_TRY(aq_reject_decode(replay->decoder, reject, &passed, &why, err));
    report->selected_count++;
    report->row_count += passed;
    if (!passed) {
        enum aq_status status = note_reason(report, why);
        return status == AQ_OK ? AQ_OK : aq_error_set(err, status, "out of memory");
    }
    if (reject->arrival_us < replay->from_us)
        replay->from_us = reject->arrival_us;
    if (reject->arrival_us >= replay->until_us)
        replay->until_us = reject->arrival_us + 1;
    if (aq_reject_decoder_size_bytes(replay->decoder) >= WRITE_BYTES)
        aq_reject_decoder_clear(replay->decoder);
    return AQ_OK;
}

static enum aq_status survey(struct replay *replay, struct aq_error *err)
{
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    struct aq_replay_report *report = replay->report;
    AQ_TRY(
        aq_snapshot_units(replay->snapshot, replay->rejects->dataset_id, &units, &unit_count, err));
    for (size_t i = 0; i < unit_count; i++) {
        if (is_open(replay, &units[i]))
            report->open_count += units[i].row_count;
        else
            report->reject_count += units[i].row_count;
    }
    replay->total_count = report->reject_count;
    replay->from_us = INT64_MAX;
    replay->until_us = INT64_MIN;
    AQ_TRY(visit_rejects(replay, replay->options->since_us, INT64_MAX, survey_reject, err));
    aq_reject_decoder_clear(replay->decoder);
    qsort(report->reasons, report->reason_count, sizeof *report->reasons, by_count);
    return AQ_OK;
}

/* Second pass: archives. */

static enum aq_status write_rows(struct replay *replay, struct aq_error *err)
{
    size_t count = aq_reject_decoder_batch_count(replay->decoder);
    const struct aq_batch **batches = calloc(count + 1, sizeof(const struct aq_batch *));
    if (batches == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    aq_reject_decoder_batches(replay->decoder, batches);
    enum aq_status status =
        aq_replay_output_write(&replay->output, replay->schema, batches, count, err);
    free(batches);
    aq_reject_decoder_clear(replay->decoder);
    return status;
}

static enum aq_status write_kept(struct replay *replay, struct aq_error *err)
{
    const struct aq_batch *batches[] = {&replay->kept};
    AQ_TRY(aq_replay_output_write(&replay->output, replay->rejects, batches, 1, err));
    aq_batch_clear(&replay->kept);
    return AQ_OK;
}

static enum aq_status keep_reject(struct replay *replay, size_t row)
{
    struct aq_batch *kept = &replay->kept;
    for (size_t i = 0; i < kept->column_count; i++)
        AQ_TRY(aq_vector_append_from(&kept->columns[i], &replay->unit_rows.columns[i], row,
                                     &kept->arena));
    kept->row_count++;
    return AQ_OK;
}

static enum aq_status write_reject(struct replay *replay, size_t row,
                                   const struct aq_reject *reject, struct aq_error *err)
{
    bool passed = false;
    struct aq_slice why = {0};
    if (reject->arrival_us < replay->from_us || reject->arrival_us >= replay->until_us)
        return AQ_OK;
    if (is_selected(replay, reject))
        AQ_TRY(aq_reject_decode(replay->decoder, reject, &passed, &why, err));
    replay->row_count += passed;
    if (passed)
        return aq_reject_decoder_size_bytes(replay->decoder) >= WRITE_BYTES
                   ? write_rows(replay, err)
                   : AQ_OK;
    if (keep_reject(replay, row) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    return replay->kept.arena.used_bytes >= WRITE_BYTES ? write_kept(replay, err) : AQ_OK;
}

static enum aq_status write_archives(struct replay *replay, struct aq_error *err)
{
    replay->done_count = 0;
    AQ_TRY(visit_rejects(replay, replay->from_us, replay->until_us, write_reject, err));
    if (replay->row_count != replay->report->row_count)
        return aq_error_set(
            err, AQ_CORRUPT, "the same rejects gave %llu rows, then %llu; nothing was changed",
            (unsigned long long)replay->report->row_count, (unsigned long long)replay->row_count);
    AQ_TRY(write_rows(replay, err));
    return replay->kept.row_count > 0 ? write_kept(replay, err) : AQ_OK;
}

/* The edit. */

/* The files that were read must be what they were, and hide what they hid. */
static enum aq_status check_inputs(const struct replay *replay, const struct aq_catalog *catalog,
                                   struct aq_error *err)
{
    const struct aq_catalog *read = aq_snapshot_catalog(replay->snapshot);
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    AQ_TRY(
        aq_snapshot_units(replay->snapshot, replay->rejects->dataset_id, &units, &unit_count, err));
    for (size_t i = 0; i < unit_count; i++) {
        uint64_t file_id = units[i].file_id;
        if (is_open(replay, &units[i]) || (i > 0 && units[i - 1].file_id == file_id))
            continue;
        if (aq_catalog_file(catalog, file_id) == NULL ||
            !aq_catalog_hides_alike(read, catalog, file_id))
            return aq_error_set(err, AQ_CONFLICT,
                                "another job has replaced rejects meanwhile; nothing was changed, "
                                "replay again");
    }
    return AQ_OK;
}

static enum aq_status build_edit(void *context, const struct aq_catalog *catalog,
                                 struct aq_edit *edit, struct aq_error *err)
{
    struct replay *replay = context;
    uint64_t next_file_id = catalog->next_file_id;
    AQ_TRY(check_inputs(replay, catalog, err));
    for (size_t i = 0; i < replay->output.file_count; i++) {
        struct aq_archive_output *file = replay->output.files[i];
        AQ_TRY(aq_archive_output_publish(file, &next_file_id, err));
        AQ_TRY(aq_archive_output_record(file, edit));
    }
    AQ_TRY(aq_archive_sync_names(replay->store, err));
    struct aq_record removed = {
        .kind = AQ_RECORD_TOMBSTONE,
        .tombstone = {.dataset_id = replay->rejects->dataset_id,
                      .from_us = replay->from_us,
                      .until_us = replay->until_us,
                      .before_edit = aq_snapshot_catalog(replay->snapshot)->number + 1}};
    return aq_edit_add(edit, &removed);
}

static enum aq_status run_on_snapshot(struct replay *replay, struct aq_error *err)
{
    struct aq_replay_report *report = replay->report;
    enum aq_status status = aq_schema_batch_init(replay->rejects, false, &replay->unit_rows);
    if (status == AQ_OK)
        status = aq_schema_batch_init(replay->rejects, false, &replay->kept);
    if (status < 0)
        return aq_error_set(err, status, "out of memory");
    AQ_TRY(aq_reject_decoder_create(replay->options, replay->schema, replay->rejects,
                                    &replay->decoder, err));
    AQ_TRY(survey(replay, err));
    if (replay->options->dry_run || report->row_count == 0)
        return AQ_OK;
    AQ_TRY(write_archives(replay, err));
    AQ_TRY(aq_store_commit(replay->store, build_edit, replay, err));
    report->archive_count = replay->output.file_count;
    for (size_t i = 0; i < replay->output.file_count; i++)
        report->archive_bytes += replay->output.files[i]->size_bytes;
    return AQ_OK;
}

/* As declared now, and recorded; of a dry run as the config has it. */
static enum aq_status find_schemas(struct replay *replay, struct aq_error *err)
{
    const struct aq_schema *declared = &replay->options->dataset->schema;
    const struct aq_catalog *catalog = aq_snapshot_catalog(replay->snapshot);
    if (!replay->options->dry_run)
        return AQ_OK; /* aq_store_declare gave them */
    replay->schema = declared;
    const struct aq_schema *recorded = aq_catalog_schema(catalog, declared->dataset);
    for (size_t i = 0; recorded != NULL && i < catalog->dataset_count; i++) {
        const struct aq_schema *schema = &catalog->datasets[i].versions[0];
        if (schema->rejects_of == recorded->dataset_id)
            replay->rejects = schema;
    }
    if (replay->rejects == NULL)
        return aq_error_set(err, AQ_INVALID, "the store has no dataset '%s' yet",
                            declared->dataset);
    return AQ_OK;
}

static enum aq_status run_locked(struct replay *replay, struct aq_error *err)
{
    struct aq_recovery_report recovered;
    if (!replay->options->dry_run) {
        AQ_TRY(aq_store_recover(replay->store, &recovered, err));
        AQ_TRY(aq_store_declare(replay->store, &replay->options->dataset->schema, &replay->schema,
                                &replay->rejects, err));
    }
    AQ_TRY(aq_snapshot_open(replay->store, &replay->snapshot, err));
    enum aq_status status = find_schemas(replay, err);
    if (status == AQ_OK)
        status = run_on_snapshot(replay, err);
    aq_replay_output_deinit(&replay->output);
    aq_reject_decoder_destroy(replay->decoder);
    aq_batch_deinit(&replay->kept);
    aq_batch_deinit(&replay->unit_rows);
    aq_snapshot_close(replay->snapshot);
    return status;
}

enum aq_status aq_rejects_replay(struct aq_store *store, const struct aq_replay_options *options,
                                 struct aq_replay_report *report, struct aq_error *err)
{
    int64_t begin_us = aq_clock_us();
    struct replay replay = {
        .store = store, .options = options, .report = report, .output = {.store = store}};
    struct aq_store_lock *lock = NULL;
    struct aq_store_lock *outputs = NULL;
    if (!options->dry_run)
        AQ_TRY(aq_store_lock(store, "compact", true, &lock, err));
    enum aq_status status = AQ_OK;
    if (lock != NULL)
        status = aq_gc_keep_outputs(store, &outputs, err);
    if (status == AQ_OK)
        status = run_locked(&replay, err);
    aq_store_unlock(outputs);
    aq_store_unlock(lock);
    report->seconds = aq_clock_seconds_since(begin_us);
    return status;
}
