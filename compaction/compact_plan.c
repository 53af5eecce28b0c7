/* Planning a compaction.
 *
 * For each dataset: does any closed segment bring rows of it, and how many small archives has it? Then
 * each file is an input or not by those two numbers, and the rows of the inputs are counted.
 *
 * An archive whose root is nearly full counts as big, whatever its bytes: merging it with another could
 * not make one file of them, and every later run would try again. */
#include "compaction/compact_plan.h"

#include <string.h>

#define ROOT_BYTES_FULL (AQ_ARCHIVE_ROOT_BYTES_MAX / 4 * 3)

/* What is known of a dataset before inputs are chosen. */
struct tally {
    const struct aq_schema *schema;
    bool new_rows;
    bool chosen; /* options->datasets allows rewriting its archives */
    unsigned small_count;
    uint64_t input_rows;
    size_t archive_count; /* inputs */
    uint64_t archive_rows;
};

struct planner {
    const struct aq_catalog *catalog;
    const struct aq_compact_options *options;
    struct tally *tallies; /* one a dataset of the catalog, in its order */
    struct aq_error *err;
};

static struct tally *find_tally(const struct planner *planner, uint32_t dataset_id)
{
    for (size_t i = 0; i < planner->catalog->dataset_count; i++) {
        if (planner->tallies[i].schema->dataset_id == dataset_id)
            return &planner->tallies[i];
    }
    return NULL;
}

static bool is_small(const struct planner *planner, const struct aq_catalog_file *file)
{
    return file->kind == AQ_FILE_ARCHIVE &&
           file->size_bytes < planner->options->target_size_bytes / 2 &&
           file->root.size < ROOT_BYTES_FULL;
}

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
    return planner->options->datasets == NULL;
}

static enum aq_status check_names(const struct planner *planner)
{
    for (size_t i = 0; i < planner->options->dataset_count; i++) {
        const char *name = planner->options->datasets[i];
        if (aq_catalog_schema(planner->catalog, name) == NULL)
            return aq_error_set(planner->err, AQ_NOT_FOUND, "the store has no dataset '%s'", name);
    }
    return AQ_OK;
}

static enum aq_status tally_files(struct planner *planner)
{
    const struct aq_catalog *catalog = planner->catalog;
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        const struct aq_catalog_dataset *dataset = &catalog->datasets[i];
        planner->tallies[i].schema = &dataset->versions[dataset->version_count - 1];
        planner->tallies[i].chosen = is_named(planner, planner->tallies[i].schema);
    }
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        for (size_t e = 0; e < file->entry_count; e++) {
            struct tally *tally = find_tally(planner, file->entries[e].dataset_id);
            if (tally == NULL)
                return aq_error_set(planner->err, AQ_CORRUPT,
                                    "file %llu has rows of dataset %u, which the catalog lacks",
                                    (unsigned long long)file->file_id, file->entries[e].dataset_id);
            tally->new_rows |= is_closed_segment(file) && file->entries[e].row_count > 0;
            tally->small_count += is_small(planner, file);
        }
    }
    return AQ_OK;
}

static bool is_input(const struct planner *planner, const struct aq_catalog_file *file)
{
    if (is_closed_segment(file))
        return true;
    if (!is_small(planner, file) || file->entry_count == 0)
        return false;
    const struct tally *tally = find_tally(planner, file->entries[0].dataset_id);
    return tally->chosen && (tally->new_rows || tally->small_count >= 2);
}

static void add_input(struct planner *planner, const struct aq_catalog_file *file,
                      struct aq_compact_plan *plan)
{
    bool segment = file->kind == AQ_FILE_SEGMENT;
    plan->inputs[plan->input_count++] = file;
    plan->segment_count += segment;
    plan->archive_count += !segment;
    plan->input_bytes += file->file_bytes > file->size_bytes ? file->file_bytes : file->size_bytes;
    for (size_t e = 0; e < file->entry_count; e++) {
        struct tally *tally = find_tally(planner, file->entries[e].dataset_id);
        uint64_t rows = file->entries[e].row_count;
        plan->row_count += rows;
        tally->input_rows += rows;
        tally->archive_count += !segment;
        tally->archive_rows += segment ? 0 : rows;
    }
}

/* All rows of the dataset in one group. */
static enum aq_status make_group(const struct planner *planner, const struct tally *tally,
                                 const struct aq_compact_plan *plan, struct aq_arena *arena,
                                 struct aq_compact_dataset *dataset)
{
    struct aq_compact_group *group = aq_arena_alloc(arena, sizeof *group);
    const struct aq_catalog_file **archives =
        aq_arena_alloc(arena, (tally->archive_count + 1) * sizeof(void *));
    if (group == NULL || archives == NULL)
        return aq_error_set(planner->err, AQ_NO_MEMORY, "no memory to plan a compaction");
    *group = (struct aq_compact_group){.schema = tally->schema,
                                       .from_us = INT64_MIN,
                                       .until_us = INT64_MAX,
                                       .archives = archives,
                                       .archive_rows = tally->archive_rows,
                                       .reason = "new rows and small archives"};
    for (size_t i = 0; i < plan->input_count; i++) {
        const struct aq_catalog_file *file = plan->inputs[i];
        if (file->kind == AQ_FILE_ARCHIVE &&
            file->entries[0].dataset_id == tally->schema->dataset_id)
            archives[group->archive_count++] = file;
    }
    *dataset = (struct aq_compact_dataset){
        .schema = tally->schema, .row_count = tally->input_rows, .groups = group, .group_count = 1};
    return AQ_OK;
}

static enum aq_status list_datasets(const struct planner *planner, struct aq_arena *arena,
                                    struct aq_compact_plan *plan)
{
    for (size_t i = 0; i < planner->catalog->dataset_count; i++) {
        const struct tally *tally = &planner->tallies[i];
        if (tally->input_rows > 0)
            AQ_TRY(make_group(planner, tally, plan, arena, &plan->datasets[plan->dataset_count++]));
    }
    return AQ_OK;
}

enum aq_status aq_compact_plan_make(const struct aq_catalog *catalog,
                                    const struct aq_compact_options *options,
                                    struct aq_arena *arena, struct aq_compact_plan *plan,
                                    struct aq_error *err)
{
    struct planner planner = {.catalog = catalog, .options = options, .err = err};
    size_t tally_bytes = catalog->dataset_count * sizeof *planner.tallies;
    *plan = (struct aq_compact_plan){0};
    planner.tallies = aq_arena_alloc(arena, tally_bytes);
    plan->inputs = aq_arena_alloc(arena, catalog->file_count * sizeof(void *));
    plan->datasets = aq_arena_alloc(arena, catalog->dataset_count * sizeof *plan->datasets);
    if (planner.tallies == NULL || plan->inputs == NULL || plan->datasets == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to plan a compaction");
    memset(planner.tallies, 0, tally_bytes);
    AQ_TRY(check_names(&planner));
    AQ_TRY(tally_files(&planner));
    for (size_t i = 0; i < catalog->file_count; i++) {
        if (is_input(&planner, &catalog->files[i]))
            add_input(&planner, &catalog->files[i], plan);
    }
    return list_datasets(&planner, arena, plan);
}

bool aq_compact_plan_reads(const struct aq_compact_plan *plan, uint64_t file_id)
{
    for (size_t i = 0; i < plan->input_count; i++) {
        if (plan->inputs[i]->file_id == file_id)
            return true;
    }
    return false;
}
