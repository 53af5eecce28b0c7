/* Merging the rows of a group into archives.
 *
 * Range by range (usually one): sort references to the held rows, find the runs of equal (key, series),
 * cut them into tiles, gather each tile's rows and hand them to the archive being written, beginning
 * another when one is full. At the end the hashes of the files, each computed from the file itself, must
 * add up to the hash of the rows that were read.
 *
 * Failures leave the files to the job, which removes what it has not published. */
#include "compaction/compact_job.h"

#include <stdlib.h>

#include "compaction/row_source.h"
#include "compaction/tile_cut.h"

struct merge {
    struct aq_compact_job *job;
    const struct aq_schema *schema;
    uint64_t file_bytes; /* begin another file at this size */
    struct aq_row_source source;
    struct aq_row_ref *refs; /* held rows in storage order */
    size_t ref_count;
    size_t *run_ends;
    size_t run_count;
    int64_t *times; /* NULL without a time column */
    struct aq_batch tile;
    struct aq_archive_output *output; /* open, or NULL; owned by job->outputs */
    struct aq_content_hash written;
    uint64_t rows_written;
};

static enum aq_status no_memory(const struct merge *merge, struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "no memory to merge rows of dataset %s",
                        merge->schema->dataset);
}

static enum aq_status sort_held(struct merge *merge)
{
    const struct aq_row_source *source = &merge->source;
    size_t count = 0;
    for (size_t i = 0; i < source->unit_count; i++)
        count += source->batches[i].row_count;
    free(merge->refs);
    merge->ref_count = count;
    merge->refs = malloc((count + 1) * sizeof *merge->refs);
    if (merge->refs == NULL)
        return AQ_NO_MEMORY;
    size_t at = 0;
    for (size_t i = 0; i < source->unit_count; i++) {
        for (size_t row = 0; row < source->batches[i].row_count; row++)
            merge->refs[at++] = (struct aq_row_ref){(uint32_t)i, (uint32_t)row};
    }
    return aq_rows_sort(merge->schema, source->batches, merge->refs, count);
}

static bool same_value(const struct merge *merge, uint32_t column, struct aq_row_ref a,
                       struct aq_row_ref b)
{
    const struct aq_batch *batches = merge->source.batches;
    return column == AQ_COLUMN_NONE ||
           aq_vector_compare_bits(&batches[a.batch].columns[column], a.row,
                                  &batches[b.batch].columns[column], b.row) == 0;
}

static bool same_run(const struct merge *merge, struct aq_row_ref a, struct aq_row_ref b)
{
    for (size_t i = 0; i < merge->schema->series_count; i++) {
        if (!same_value(merge, merge->schema->series[i], a, b))
            return false;
    }
    return same_value(merge, merge->schema->key_column, a, b);
}

static enum aq_status find_runs(struct merge *merge)
{
    size_t capacity = 0;
    merge->run_count = 0;
    for (size_t i = 1; i <= merge->ref_count; i++) {
        if (i < merge->ref_count && same_run(merge, merge->refs[i - 1], merge->refs[i]))
            continue;
        if (merge->run_count == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            size_t *run_ends = realloc(merge->run_ends, capacity * sizeof *run_ends);
            if (run_ends == NULL)
                return AQ_NO_MEMORY;
            merge->run_ends = run_ends;
        }
        merge->run_ends[merge->run_count++] = i;
    }
    return AQ_OK;
}

/* Nulls sort behind all times, and count as the last of them. */
static enum aq_status gather_times(struct merge *merge)
{
    uint32_t column = merge->schema->time_column;
    if (column == AQ_COLUMN_NONE)
        return AQ_OK;
    free(merge->times);
    merge->times = malloc((merge->ref_count + 1) * sizeof *merge->times);
    if (merge->times == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < merge->ref_count; i++) {
        const struct aq_row_ref *ref = &merge->refs[i];
        const struct aq_vector *time = &merge->source.batches[ref->batch].columns[column];
        merge->times[i] = aq_vector_is_null(time, ref->row) ? INT64_MAX : time->ints[ref->row];
    }
    return AQ_OK;
}

/* Copy the rows of the spans together; slices stay where they are. */
static enum aq_status gather_tile(struct merge *merge, const struct aq_row_span *spans,
                                  size_t span_count)
{
    const struct aq_batch *batches = merge->source.batches;
    aq_batch_clear(&merge->tile);
    for (size_t column = 0; column < merge->tile.column_count; column++) {
        struct aq_vector *to = &merge->tile.columns[column];
        for (size_t s = 0; s < span_count; s++) {
            for (size_t i = spans[s].first; i < spans[s].first + spans[s].count; i++)
                AQ_TRY(aq_vector_append_from(to, &batches[merge->refs[i].batch].columns[column],
                                             merge->refs[i].row, NULL));
        }
        merge->tile.row_count = to->row_count;
    }
    return AQ_OK;
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
    AQ_TRY(aq_archive_output_open(job->store, merge->schema, &job->workers.executor,
                                  job->output_count, output, err));
    output->rate = job->options->rate;
    merge->output = output;
    return AQ_OK;
}

static enum aq_status finish_output(struct merge *merge, struct aq_error *err)
{
    if (merge->output == NULL)
        return AQ_OK;
    AQ_TRY(aq_archive_output_finish(merge->output, err));
    aq_content_hash_add(&merge->written, &merge->output->content);
    merge->output = NULL;
    return AQ_OK;
}

static enum aq_status write_tile(void *context, const struct aq_row_span *spans, size_t span_count,
                                 size_t row_count, struct aq_error *err)
{
    struct merge *merge = context;
    AQ_TRY(aq_compact_check_stop(merge->job, err));
    if (merge->output != NULL && aq_archive_output_full(merge->output, merge->file_bytes))
        AQ_TRY(finish_output(merge, err));
    if (merge->output == NULL)
        AQ_TRY(open_output(merge, err));
    if (gather_tile(merge, spans, span_count) != AQ_OK)
        return no_memory(merge, err);
    AQ_TRY(aq_archive_output_tile(merge->output, &merge->tile, err));
    merge->rows_written += row_count;
    aq_compact_report_progress(merge->job, merge->schema->dataset, "write", merge->rows_written,
                               merge->source.content.row_count);
    return AQ_OK;
}

static enum aq_status merge_range(struct merge *merge, size_t range, struct aq_error *err)
{
    AQ_TRY(aq_row_source_hold(&merge->source, range, err));
    aq_compact_report_progress(merge->job, merge->schema->dataset, "merge", merge->rows_written,
                               merge->source.content.row_count);
    enum aq_status status = sort_held(merge);
    if (status == AQ_OK)
        status = find_runs(merge);
    if (status == AQ_OK)
        status = gather_times(merge);
    if (status != AQ_OK)
        return no_memory(merge, err);
    return aq_tile_cut(merge->run_ends, merge->run_count, merge->times, write_tile, merge, err);
}

static enum aq_status merge_all(struct merge *merge, struct aq_error *err)
{
    AQ_TRY(aq_schema_stored_batch_init(merge->schema, &merge->tile));
    for (size_t range = 0; range < merge->source.range_count; range++)
        AQ_TRY(merge_range(merge, range, err));
    AQ_TRY(finish_output(merge, err));
    if (!aq_content_hash_equal(&merge->written, &merge->source.content))
        return aq_error_set(err, AQ_CORRUPT,
                            "the rows written for dataset %s are not those that were read (%llu "
                            "and %llu); nothing was changed",
                            merge->schema->dataset, (unsigned long long)merge->written.row_count,
                            (unsigned long long)merge->source.content.row_count);
    return AQ_OK;
}

enum aq_status aq_compact_merge(struct aq_compact_job *job, const struct aq_compact_group *group,
                                struct aq_content_hash *read, struct aq_error *err)
{
    struct merge merge = {
        .job = job,
        .schema = group->schema,
        .file_bytes = group->file_bytes != 0 ? group->file_bytes : job->target_size_bytes,
    };
    AQ_TRY(aq_row_source_open(job, group, &merge.source, err));
    enum aq_status status = merge_all(&merge, err);
    if (status == AQ_OK)
        aq_content_hash_add(read, &merge.source.content);
    aq_batch_deinit(&merge.tile);
    aq_row_source_close(&merge.source);
    free(merge.refs);
    free(merge.run_ends);
    free(merge.times);
    return status;
}
