/* Planning a compaction.
 *
 * Every closed segment is an input. For each dataset: its archives are listed; what lies where is added up, to
 * know how far they are rolled up (plan_density.c); closed slots are chosen (plan_roll_up.c); all of
 * time is cut into groups around them (plan_groups.c). At the end every file has its verdict, and the
 * inputs are counted.
 *
 * An archive whose root is nearly full counts as big, whatever its bytes: merging it with another could
 * not make one file of them, and every later run would try again.
 *
 * Failures: names that the catalog does not have; no memory. */
#include "compaction/compact_plan.h"

#include <stdlib.h>
#include <string.h>

#include "compaction/plan/plan_internal.h"

#define ROOT_BYTES_FULL (AQ_ARCHIVE_ROOT_BYTES_MAX / 4 * 3)
/* Until a dataset has archives that say it better. */
#define BYTES_PER_ROW_GUESS 6.0

struct planner {
    const struct aq_catalog *catalog;
    const struct aq_compact_options *options;
    const struct aq_survey *survey;
    struct aq_arena *arena;
    struct aq_compact_plan *plan;
    struct aq_error *err;
};

static bool is_closed_segment(const struct aq_catalog_file *file)
{
    return file->kind == AQ_FILE_SEGMENT && file->state == AQ_FILE_CLOSED;
}

/* A rejects dataset goes with the dataset whose rejects it holds. */
static bool is_named(const struct planner *planner, const struct aq_schema *schema)
{
    const struct aq_schema *owner = schema;
    if (schema->rejects_of != 0)
        owner = aq_catalog_schema_by_id(planner->catalog, schema->rejects_of, 0);
    for (size_t i = 0; i < planner->options->dataset_count; i++) {
        const char *name = planner->options->datasets[i];
        if (strcmp(schema->dataset, name) == 0 ||
            (owner != NULL && strcmp(owner->dataset, name) == 0))
            return true;
    }
    return planner->options->dataset_count == 0;
}

static enum aq_status check_names(const struct planner *planner)
{
    const struct aq_catalog *catalog = planner->catalog;
    for (size_t i = 0; i < planner->options->dataset_count; i++) {
        const char *name = planner->options->datasets[i];
        if (aq_catalog_schema(catalog, name) == NULL)
            return aq_error_set(planner->err, AQ_NOT_FOUND, "the store has no dataset '%s'", name);
    }
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        for (size_t e = 0; e < file->entry_count; e++) {
            if (aq_catalog_schema_by_id(catalog, file->entries[e].dataset_id, 0) == NULL)
                return aq_error_set(planner->err, AQ_CORRUPT,
                                    "file %llu has rows of dataset %u, which the catalog lacks",
                                    (unsigned long long)file->file_id, file->entries[e].dataset_id);
        }
    }
    return AQ_OK;
}

/* Why an archive must stay as it is; NULL: it need not. */
static const char *find_obstacle(const struct planner *planner, const struct aq_schema *schema,
                                 const struct aq_catalog_file *file)
{
    const struct aq_file_entry *entry = &file->entries[0];
    if (file->evicted)
        return "stays: it is in the bucket only";
    if (!is_named(planner, schema))
        return "stays: its dataset is not named";
    if (planner->options->before_us != 0 && entry->has_time &&
        entry->max_time_us >= planner->options->before_us)
        return "stays: it has rows that are not before the time given";
    if (schema->time_column != AQ_COLUMN_NONE && !entry->has_time)
        return "stays: its rows have no time";
    return NULL;
}

static void add_piece(const struct planner *planner, const struct aq_catalog_file *file,
                      struct aq_plan_dataset *dataset)
{
    const struct aq_file_entry *entry = &file->entries[0];
    struct aq_compact_verdict *verdict = &planner->plan->verdicts[file - planner->catalog->files];
    const char *obstacle = find_obstacle(planner, dataset->schema, file);
    verdict->reason = obstacle;
    dataset->pieces[dataset->piece_count++] = (struct aq_plan_piece){
        .file = file,
        .verdict = verdict,
        .min_us = entry->has_time ? entry->min_time_us : 0,
        .max_us = entry->has_time ? entry->max_time_us : 0,
        .small = file->size_bytes < planner->options->target_size_bytes / 2 &&
                 file->root.size < ROOT_BYTES_FULL,
        .allowed = obstacle == NULL,
    };
}

static enum aq_status list_pieces(const struct planner *planner, struct aq_plan_dataset *dataset)
{
    const struct aq_catalog *catalog = planner->catalog;
    uint64_t bytes = 0;
    uint64_t rows = 0;
    size_t count = 0;
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        count += file->kind == AQ_FILE_ARCHIVE && file->entry_count > 0 &&
                 file->entries[0].dataset_id == dataset->schema->dataset_id;
    }
    dataset->pieces = aq_arena_alloc(planner->arena, count * sizeof *dataset->pieces);
    if (dataset->pieces == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        if (file->kind != AQ_FILE_ARCHIVE || file->entry_count == 0 ||
            file->entries[0].dataset_id != dataset->schema->dataset_id)
            continue;
        add_piece(planner, file, dataset);
        bytes += file->size_bytes;
        rows += file->entries[0].row_count;
    }
    dataset->bytes_per_row = rows > 0 ? (double)bytes / (double)rows : BYTES_PER_ROW_GUESS;
    return AQ_OK;
}

/* What is said of an archive that is not read. */
static enum aq_status explain_rest(const struct aq_plan_dataset *dataset,
                                   struct aq_plan_piece *piece)
{
    char slot[64];
    enum aq_span last = aq_plan_last_span(dataset, piece->max_us);
    int64_t start_us = aq_span_start(last, piece->max_us);
    bool closed = aq_plan_is_closed(dataset->options, aq_span_end(last, start_us));
    aq_span_format(last, start_us, slot, sizeof slot);
    struct aq_compact_verdict *verdict = piece->verdict;
    if (!piece->allowed)
        return AQ_OK;
    if (!piece->small)
        verdict->reason = piece->file->root.size < ROOT_BYTES_FULL
                              ? "stays: it has at least half of the target size"
                              : "stays: its list of tiles is nearly full";
    else if (dataset->schema->time_column == AQ_COLUMN_NONE)
        verdict->reason = "stays: no new rows";
    else if (piece->min_us < start_us)
        verdict->reason = "stays: late rows of several slots, few so far";
    else if (closed)
        verdict->reason =
            aq_arena_format(dataset->arena, "stays: nothing in %s is worth a merge with it", slot);
    else
        verdict->reason = aq_arena_format(dataset->arena, "stays: waits until %s is closed", slot);
    return verdict->reason == NULL ? AQ_NO_MEMORY : AQ_OK;
}

/* Of a dataset that is rolled up by decades, what is of years that are over may go before: its rows would be
 * written once more, in years. */
static bool is_final(const struct aq_plan_dataset *dataset, const struct aq_plan_piece *piece)
{
    enum aq_span last = aq_plan_last_span(dataset, piece->max_us);
    enum aq_span span = last > AQ_SPAN_YEAR ? AQ_SPAN_YEAR : last;
    int64_t start_us = aq_span_start(span, piece->max_us);
    if (piece->input || piece->file->evicted)
        return piece->file->evicted;
    return !piece->small || ((last > AQ_SPAN_YEAR || piece->min_us >= start_us) &&
                             aq_plan_is_closed(dataset->options, aq_span_end(span, start_us)));
}

static enum aq_status give_verdicts(struct aq_plan_dataset *dataset)
{
    for (size_t i = 0; i < dataset->piece_count; i++) {
        struct aq_plan_piece *piece = &dataset->pieces[i];
        piece->verdict->input = piece->input;
        piece->verdict->final = is_final(dataset, piece);
        if (!piece->input)
            AQ_TRY(explain_rest(dataset, piece));
    }
    return AQ_OK;
}

static uint64_t rows_of(const struct aq_catalog_file *file, uint32_t dataset_id)
{
    uint64_t rows = 0;
    for (size_t e = 0; e < file->entry_count; e++)
        rows += file->entries[e].dataset_id == dataset_id ? file->entries[e].row_count : 0;
    return rows;
}

static enum aq_status plan_dataset(const struct planner *planner, size_t index)
{
    const struct aq_catalog *catalog = planner->catalog;
    const struct aq_catalog_dataset *entry = &catalog->datasets[index];
    struct aq_plan_dataset dataset = {
        .catalog = catalog,
        .options = planner->options,
        .schema = &entry->versions[entry->version_count - 1],
        .spread = &planner->survey->spreads[index],
        .arena = planner->arena,
    };
    struct aq_compact_dataset result = {.schema = dataset.schema};
    AQ_TRY(list_pieces(planner, &dataset));
    AQ_TRY(aq_plan_weigh(&dataset));
    AQ_TRY(aq_plan_roll_up(&dataset));
    AQ_TRY(aq_plan_take_removed(&dataset));
    AQ_TRY(aq_plan_group(&dataset, &result));
    AQ_TRY(give_verdicts(&dataset));
    for (size_t i = 0; i < catalog->file_count; i++) {
        if (planner->plan->verdicts[i].input)
            result.row_count += rows_of(&catalog->files[i], dataset.schema->dataset_id);
    }
    if (result.row_count > 0)
        planner->plan->datasets[planner->plan->dataset_count++] = result;
    return AQ_OK;
}

static void add_input(const struct aq_catalog_file *file, struct aq_compact_plan *plan)
{
    bool segment = file->kind == AQ_FILE_SEGMENT;
    plan->inputs[plan->input_count++] = file;
    plan->segment_count += segment;
    plan->archive_count += !segment;
    plan->input_bytes += file->file_bytes > file->size_bytes ? file->file_bytes : file->size_bytes;
    for (size_t e = 0; e < file->entry_count; e++)
        plan->row_count += file->entries[e].row_count;
}

static enum aq_status make(const struct planner *planner)
{
    const struct aq_catalog *catalog = planner->catalog;
    struct aq_compact_plan *plan = planner->plan;
    plan->inputs = aq_arena_alloc(planner->arena, catalog->file_count * sizeof(void *));
    plan->datasets =
        aq_arena_alloc(planner->arena, catalog->dataset_count * sizeof *plan->datasets);
    plan->verdicts = aq_arena_alloc(planner->arena, catalog->file_count * sizeof *plan->verdicts);
    if (plan->inputs == NULL || plan->datasets == NULL || plan->verdicts == NULL)
        return AQ_NO_MEMORY;
    plan->verdict_count = catalog->file_count;
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        bool closed = is_closed_segment(file);
        plan->verdicts[i] = (struct aq_compact_verdict){
            .file = file,
            .input = closed,
            .reason = closed                          ? "a segment is read whole"
                      : file->kind == AQ_FILE_SEGMENT ? "stays: it is being written"
                                                      : NULL,
        };
    }
    for (size_t i = 0; i < catalog->dataset_count; i++)
        AQ_TRY(plan_dataset(planner, i));
    for (size_t i = 0; i < catalog->file_count; i++) {
        if (plan->verdicts[i].input)
            add_input(&catalog->files[i], plan);
    }
    for (size_t i = 0; i < plan->dataset_count; i++) {
        for (size_t g = 0; g < plan->datasets[i].group_count; g++)
            plan->output_bytes += plan->datasets[i].groups[g].bytes;
    }
    return AQ_OK;
}

enum aq_status aq_compact_plan_make(const struct aq_catalog *catalog,
                                    const struct aq_compact_options *options,
                                    const struct aq_survey *survey, struct aq_arena *arena,
                                    struct aq_compact_plan *plan, struct aq_error *err)
{
    struct aq_survey guess = {0};
    struct planner planner = {.catalog = catalog,
                              .options = options,
                              .survey = survey != NULL ? survey : &guess,
                              .arena = arena,
                              .plan = plan,
                              .err = err};
    *plan = (struct aq_compact_plan){0};
    AQ_TRY(check_names(&planner));
    enum aq_status status = survey != NULL ? AQ_OK : aq_survey_guess(catalog, &guess);
    if (status == AQ_OK)
        status = make(&planner);
    aq_survey_deinit(&guess);
    return status == AQ_NO_MEMORY ? aq_error_set(err, status, "no memory to plan a compaction")
                                  : status;
}

bool aq_compact_plan_reads(const struct aq_compact_plan *plan, uint64_t file_id)
{
    for (size_t i = 0; i < plan->input_count; i++) {
        if (plan->inputs[i]->file_id == file_id)
            return true;
    }
    return false;
}
