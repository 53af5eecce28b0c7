/* Merging the input rows of a dataset into archives, group by group.
 *
 * The source gives each group's rows in windows that fit memory, usually one. A window's rows are sorted by
 * reference; of readings that were sent again, the one that wins stays; the rest is cut into tiles, coded on all
 * cores and written, and another file begun when one is full. Then every file is read back.
 *
 * At the end the hash of what was read, over all groups, must be the sum of the hashes of the files, each from
 * the file itself, and of what was dropped; and the rows must be as many as the catalog says.
 *
 * Failures leave the files to the job, which removes what it has not published. */
#include "compaction/compact_job.h"

#include <assert.h>
#include <stdlib.h>

#include "compaction/merge/rows/row_dedupe.h"
#include "engine/store/dedupe.h"
#include "compaction/merge/rows/row_source.h"
#include "compaction/merge/write/tile_write.h"
#include "format/base/mutant.h"

struct merge {
    struct aq_compact_job *job;
    const struct aq_schema *schema;
    uint64_t file_bytes; /* begin another file at this size */
    struct aq_row_source source;
    bool has_twins;                   /* duplicates are neighbours, and dropped */
    struct aq_archive_output *output; /* open, or NULL; owned by job->outputs */
    struct aq_content_hash written;
    struct aq_content_hash dropped;
    uint64_t rows_written;
};

static enum aq_status no_memory(const struct merge *merge, struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "no memory to merge rows of dataset %s",
                        merge->schema->dataset);
}

static enum aq_status open_output(struct merge *merge, struct aq_error *err)
{
    struct aq_compact_job *job = merge->job;
    struct aq_archive_output **outputs =
        realloc(job->outputs, (job->output_count + 1) * sizeof(struct aq_archive_output *));
    if (outputs == NULL)
        return no_memory(merge, err);
    job->outputs = outputs;
    struct aq_archive_output *output = malloc(sizeof *output);
    if (output == NULL)
        return no_memory(merge, err);
    *output = (struct aq_archive_output){.fd = -1};
    outputs[job->output_count++] = output;
    AQ_TRY(aq_archive_output_open(job->store, merge->schema, output, err));
    if (merge->has_twins)
        aq_archive_writer_say_without_twins(output->writer);
    output->rate = job->options->rate;
    merge->output = output;
    return AQ_OK;
}

static enum aq_status finish_output(struct merge *merge, struct aq_error *err)
{
    if (merge->output == NULL)
        return AQ_OK;
    AQ_TRY(aq_archive_output_finish(merge->output, err));
    merge->output = NULL;
    return AQ_OK;
}

static enum aq_status take_tile(void *context, const struct aq_archive_tile *tile,
                                struct aq_error *err)
{
    struct merge *merge = context;
    AQ_TRY(aq_compact_check_stop(merge->job, err));
    if (merge->output != NULL && aq_archive_output_full(merge->output, merge->file_bytes))
        AQ_TRY(finish_output(merge, err));
    if (merge->output == NULL)
        AQ_TRY(open_output(merge, err));
    AQ_TRY(aq_archive_output_append(merge->output, tile, err));
    merge->rows_written += aq_archive_tile_entry(tile)->row_count;
    aq_compact_report_progress(merge->job, merge->schema->dataset, "write", merge->rows_written,
                               merge->source.row_total);
    return AQ_OK;
}

/* The runs of a window that can be written now: where rows follow, the last tile's runs wait for them. */
static struct aq_sorted_rows settled(const struct aq_sorted_rows *sorted, bool last)
{
    struct aq_sorted_rows rows = *sorted;
    if (!last)
        rows.run_count = aq_tile_settled_runs(sorted);
    rows.count = rows.run_count == 0 ? 0 : rows.run_ends[rows.run_count - 1];
    return rows;
}

static enum aq_status merge_sorted(struct merge *merge, const struct aq_row_window *window,
                                   struct aq_sorted_rows *sorted, struct aq_error *err)
{
    struct aq_sorted_rows rows = settled(sorted, window->last);
    size_t row_count = rows.count;
    struct aq_archive_options options = {.schema = merge->schema,
                                         .fast = merge->job->options->fast};
    if (merge->has_twins)
        AQ_TRY(aq_rows_drop_losers(merge->schema, window->stretches, &rows, &merge->dropped, err));
    AQ_TRY(aq_tiles_write(&options, window->stretches, &rows, &merge->job->workers, take_tile,
                          merge, err));
    return aq_row_source_consume(&merge->source, sorted, row_count, err);
}

static enum aq_status merge_window(struct merge *merge, const struct aq_row_window *window,
                                   struct aq_error *err)
{
    struct aq_sorted_rows sorted;
    AQ_TRY(aq_compact_check_stop(merge->job, err));
    aq_compact_report_progress(merge->job, merge->schema->dataset, "merge", merge->rows_written,
                               merge->source.row_total);
    if (aq_rows_sort(merge->schema, window->stretches, window->stretch_count, window->range,
                     &merge->job->workers.executor, &sorted) != AQ_OK)
        return no_memory(merge, err);
    enum aq_status status = merge_sorted(merge, window, &sorted, err);
    aq_sorted_rows_deinit(&sorted);
    return status;
}

static enum aq_status verify_outputs(struct merge *merge, size_t first, struct aq_error *err)
{
    const struct aq_compact_job *job = merge->job;
    for (size_t i = first; i < job->output_count; i++) {
        AQ_TRY(aq_compact_check_stop(job, err));
        aq_compact_report_progress(job, merge->schema->dataset, "verify", merge->rows_written,
                                   merge->source.row_total);
        AQ_TRY(aq_archive_output_verify(job->outputs[i], &job->workers.executor, err));
        aq_content_hash_add(&merge->written, &job->outputs[i]->content);
    }
    return AQ_OK;
}

static enum aq_status merge_group(struct merge *merge, size_t index, struct aq_error *err)
{
    const struct aq_compact_group *group = &merge->source.dataset->groups[index];
    struct aq_row_window window;
    size_t first_output = merge->job->output_count;
    merge->file_bytes = group->file_bytes != 0 ? group->file_bytes : merge->job->target_size_bytes;
    AQ_TRY(aq_row_source_begin(&merge->source, index, err));
    enum aq_status status = aq_row_source_next(&merge->source, &window, err);
    while (status == AQ_OK) {
        AQ_TRY(merge_window(merge, &window, err));
        status = aq_row_source_next(&merge->source, &window, err);
    }
    AQ_TRY(status);
    aq_row_source_end(&merge->source);
    AQ_TRY(finish_output(merge, err));
    return verify_outputs(merge, first_output, err);
}

/* Rows of the inputs that tombstones have removed: the catalog counts them, nobody reads them. */
static uint64_t removed_rows(const struct merge *merge)
{
    const struct aq_compact_job *job = merge->job;
    uint64_t rows = 0;
    for (size_t i = 0; i < job->plan.input_count; i++)
        rows += aq_snapshot_removed_rows(job->snapshot, merge->schema->dataset_id,
                                         job->plan.inputs[i]->file_id);
    return rows;
}

/* Every row that was read is in one of the files, or was dropped for another that is. */
static enum aq_status check_sums(const struct merge *merge, struct aq_error *err)
{
    const struct aq_content_hash *read = &merge->source.content;
    uint64_t expected = merge->source.dataset->row_count - removed_rows(merge);
    struct aq_content_hash sum = merge->written;
    aq_content_hash_add(&sum, &merge->dropped);
    if (!aq_mutant(34) && !aq_content_hash_equal(&sum, read))
        return aq_error_set(err, AQ_CORRUPT,
                            "the rows written for dataset %s are not those that were read (%llu, "
                            "%llu of them dropped, and %llu); nothing was changed",
                            merge->schema->dataset, (unsigned long long)sum.row_count,
                            (unsigned long long)merge->dropped.row_count,
                            (unsigned long long)read->row_count);
    if (read->row_count != expected)
        return aq_error_set(err, AQ_CORRUPT,
                            "the inputs of dataset %s hold %llu rows, the catalog says %llu; run "
                            "aqstore verify",
                            merge->schema->dataset, (unsigned long long)read->row_count,
                            (unsigned long long)expected);
    return AQ_OK;
}

static enum aq_status merge_groups(struct merge *merge, struct aq_error *err)
{
    const struct aq_compact_dataset *dataset = merge->source.dataset;
    for (size_t i = 0; i < dataset->group_count; i++) {
        assert(dataset->groups[i].from_us ==
               (i == 0 ? INT64_MIN : dataset->groups[i - 1].until_us));
        AQ_TRY(merge_group(merge, i, err));
    }
    assert(dataset->groups[dataset->group_count - 1].until_us == INT64_MAX);
    return check_sums(merge, err);
}

enum aq_status aq_compact_merge(struct aq_compact_job *job,
                                const struct aq_compact_dataset *dataset, struct aq_error *err)
{
    struct merge merge = {
        .job = job,
        .schema = dataset->schema,
        .has_twins = aq_schema_has_adjacent_twins(dataset->schema),
    };
    AQ_TRY(aq_row_source_open(job, dataset, &merge.source, err));
    enum aq_status status = merge_groups(&merge, err);
    aq_row_source_close(&merge.source);
    if (status == AQ_OK)
        job->dropped_rows += merge.dropped.row_count;
    return status;
}
