/* Counting the rows of closed segments by when they happened.
 *
 * Few late rows in a segment make its bounds in the catalog wide, and say nothing of how many they are: a plan
 * that took them for half of the rows would rewrite months for nothing. So the times are looked at: in the
 * header of a section where all lie in one day, else in its time column.
 * Failures: damage in a section names its file; no memory. */
#include "compaction/plan/survey.h"

#include <stdlib.h>
#include <string.h>

/* Sections read at once. */
#define WAVE_UNITS 64

static enum aq_status init(const struct aq_catalog *catalog, struct aq_survey *survey)
{
    *survey = (struct aq_survey){.dataset_count = catalog->dataset_count};
    survey->spreads = calloc(catalog->dataset_count + 1, sizeof *survey->spreads);
    return survey->spreads == NULL ? AQ_NO_MEMORY : AQ_OK;
}

static const struct aq_schema *schema_of(const struct aq_catalog *catalog, size_t dataset)
{
    const struct aq_catalog_dataset *entry = &catalog->datasets[dataset];
    return &entry->versions[entry->version_count - 1];
}

static enum aq_status guess_entry(const struct aq_catalog *catalog,
                                  const struct aq_file_entry *entry, struct aq_survey *survey)
{
    for (size_t i = 0; i < survey->dataset_count; i++) {
        if (schema_of(catalog, i)->dataset_id != entry->dataset_id)
            continue;
        if (entry->has_time)
            return aq_spread_add_even(&survey->spreads[i], entry->min_time_us, entry->max_time_us,
                                      entry->row_count);
        if (schema_of(catalog, i)->time_column == AQ_COLUMN_NONE)
            return aq_spread_add(&survey->spreads[i], 0, entry->row_count);
        survey->spreads[i].timeless_count += entry->row_count;
    }
    return AQ_OK;
}

enum aq_status aq_survey_guess(const struct aq_catalog *catalog, struct aq_survey *survey)
{
    AQ_TRY(init(catalog, survey));
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        if (file->kind != AQ_FILE_SEGMENT || file->state != AQ_FILE_CLOSED)
            continue;
        for (size_t e = 0; e < file->entry_count; e++)
            AQ_TRY(guess_entry(catalog, &file->entries[e], survey));
    }
    return AQ_OK;
}

/* Sections read side by side; each task has its own slot. */
struct wave {
    struct aq_snapshot *snapshot;
    uint32_t time_id;
    enum aq_type time_type;
    size_t unit_count;
    const struct aq_unit *units[WAVE_UNITS];
    struct aq_spread spreads[WAVE_UNITS];
    enum aq_status statuses[WAVE_UNITS];
    struct aq_error errors[WAVE_UNITS];
};

static enum aq_status count_times(const struct aq_vector *times, struct aq_spread *spread)
{
    for (size_t row = 0; row < times->row_count; row++) {
        if (aq_vector_is_null(times, row))
            spread->timeless_count++;
        else
            AQ_TRY(aq_spread_add(spread, times->ints[row], 1));
    }
    return AQ_OK;
}

static void read_unit(void *context, size_t index)
{
    struct wave *wave = context;
    struct aq_batch batch = {0};
    enum aq_status status = aq_batch_init(&batch, 1, &wave->time_type);
    if (status == AQ_OK)
        status = aq_unit_read(wave->snapshot, wave->units[index], &wave->time_id, &batch,
                              &wave->errors[index]);
    if (status == AQ_OK)
        status = count_times(&batch.columns[0], &wave->spreads[index]);
    aq_batch_deinit(&batch);
    wave->statuses[index] = status;
}

static enum aq_status add_spread(struct aq_spread *to, const struct aq_spread *from)
{
    for (size_t i = 0; i < from->bucket_count; i++)
        AQ_TRY(aq_spread_add(to, from->buckets[i].from_us, from->buckets[i].row_count));
    to->timeless_count += from->timeless_count;
    return AQ_OK;
}

static enum aq_status flush(struct wave *wave, const struct aq_workers *workers,
                            struct aq_spread *spread, struct aq_error *err)
{
    enum aq_status status = AQ_OK;
    workers->executor.run(workers->executor.context, wave->unit_count, read_unit, wave);
    for (size_t i = 0; i < wave->unit_count; i++) {
        if (status == AQ_OK)
            status = aq_error_take(err, wave->statuses[i], &wave->errors[i],
                                   "cannot count rows to compact");
        if (status == AQ_OK)
            status = add_spread(spread, &wave->spreads[i]);
        aq_spread_deinit(&wave->spreads[i]);
    }
    wave->unit_count = 0;
    return status;
}

/* Whether all rows of the section are known to be of one day. */
static bool is_one_day(const struct aq_unit *unit)
{
    return unit->has_time && aq_span_start(AQ_SPAN_DAY, unit->min_time_us) ==
                                 aq_span_start(AQ_SPAN_DAY, unit->max_time_us);
}

static bool is_closed_segment(const struct aq_catalog *catalog, const struct aq_unit *unit)
{
    const struct aq_catalog_file *file =
        unit->kind == AQ_FILE_SEGMENT ? aq_catalog_file(catalog, unit->file_id) : NULL;
    return file != NULL && file->state == AQ_FILE_CLOSED;
}

static enum aq_status take_dataset(struct wave *wave, const struct aq_workers *workers,
                                   const struct aq_schema *schema, struct aq_spread *spread,
                                   struct aq_error *err)
{
    const struct aq_catalog *catalog = aq_snapshot_catalog(wave->snapshot);
    const struct aq_unit *units;
    size_t unit_count;
    AQ_TRY(aq_snapshot_units(wave->snapshot, schema->dataset_id, &units, &unit_count, err));
    bool timed = schema->time_column != AQ_COLUMN_NONE;
    if (timed) {
        wave->time_id = schema->columns[schema->time_column].id;
        wave->time_type = schema->columns[schema->time_column].type;
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (!is_closed_segment(catalog, &units[i]))
            continue;
        if (!timed)
            AQ_TRY(aq_spread_add(spread, 0, units[i].row_count));
        else if (is_one_day(&units[i]))
            AQ_TRY(aq_spread_add(spread, units[i].max_time_us, units[i].row_count));
        else
            wave->units[wave->unit_count++] = &units[i];
        if (wave->unit_count == WAVE_UNITS)
            AQ_TRY(flush(wave, workers, spread, err));
    }
    return flush(wave, workers, spread, err);
}

enum aq_status aq_survey_take(struct aq_snapshot *snapshot, const struct aq_workers *workers,
                              struct aq_survey *survey, struct aq_error *err)
{
    const struct aq_catalog *catalog = aq_snapshot_catalog(snapshot);
    struct wave *wave = calloc(1, sizeof *wave);
    enum aq_status status = init(catalog, survey);
    if (wave == NULL || status != AQ_OK) {
        free(wave);
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to plan a compaction");
    }
    wave->snapshot = snapshot;
    for (size_t i = 0; status == AQ_OK && i < catalog->dataset_count; i++)
        status = take_dataset(wave, workers, schema_of(catalog, i), &survey->spreads[i], err);
    free(wave);
    return status == AQ_NO_MEMORY ? aq_error_set(err, status, "no memory to plan a compaction")
                                  : status;
}

void aq_survey_deinit(struct aq_survey *survey)
{
    for (size_t i = 0; i < survey->dataset_count; i++)
        aq_spread_deinit(&survey->spreads[i]);
    free(survey->spreads);
    *survey = (struct aq_survey){0};
}
