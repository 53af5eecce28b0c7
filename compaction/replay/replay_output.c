/* From rows as decoded to an archive.
 *
 * Happy path: the columns that archives of the dataset store are viewed, sorted, cut into tiles and written, as a
 * compaction does; the file's content must be the rows that were given.
 * Failures leave the files to aq_replay_output_deinit, which removes what has no name in the catalog. */
#include "compaction/replay/replay_output.h"

#include <stdlib.h>

#include "compaction/row_sort.h"
#include "compaction/tile_cut.h"

struct writing {
    struct aq_replay_output *output;
    const struct aq_schema *schema;
    struct aq_batch
        *views; /* stored columns of the batches; they own nothing but their lists of columns */
    size_t view_count;
    struct aq_row_ref *refs; /* in storage order */
    size_t ref_count;
    size_t *run_ends;
    size_t run_count;
    int64_t *times; /* NULL without a time column */
    struct aq_batch tile;
    struct aq_archive_output *file; /* open, or NULL */
    struct aq_content_hash written;
};

static enum aq_status view_batch(const struct aq_schema *schema, const struct aq_batch *from,
                                 struct aq_batch *view)
{
    size_t count = aq_schema_stored_count(schema);
    view->columns = malloc((count + 1) * sizeof *view->columns);
    if (view->columns == NULL)
        return AQ_NO_MEMORY;
    view->column_count = count;
    view->row_count = from->row_count;
    for (size_t i = 0; i < schema->column_count; i++)
        view->columns[i] = from->columns[i];
    if (aq_schema_keeps_arrival(schema)) {
        const struct aq_vector *system = &from->columns[schema->column_count];
        struct aq_vector *arrival = &view->columns[schema->column_count];
        arrival[AQ_ARRIVAL_STAMP] = system[AQ_SYSTEM_STAMP];
        arrival[AQ_ARRIVAL_ORDINAL] = system[AQ_SYSTEM_ORDINAL];
    }
    return AQ_OK;
}

static enum aq_status sort_rows(struct writing *writing)
{
    size_t at = 0;
    for (size_t i = 0; i < writing->view_count; i++)
        writing->ref_count += writing->views[i].row_count;
    writing->refs = malloc((writing->ref_count + 1) * sizeof *writing->refs);
    writing->run_ends = malloc((writing->ref_count + 1) * sizeof *writing->run_ends);
    if (writing->refs == NULL || writing->run_ends == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < writing->view_count; i++)
        for (size_t row = 0; row < writing->views[i].row_count; row++)
            writing->refs[at++] = (struct aq_row_ref){(uint32_t)i, (uint32_t)row};
    return aq_rows_sort(writing->schema, writing->views, writing->refs, writing->ref_count);
}

static void find_runs(struct writing *writing)
{
    const struct aq_row_ref *refs = writing->refs;
    for (size_t i = 1; i <= writing->ref_count; i++) {
        if (i == writing->ref_count ||
            aq_schema_compare_series(writing->schema, &writing->views[refs[i - 1].batch],
                                     refs[i - 1].row, &writing->views[refs[i].batch],
                                     refs[i].row) != 0)
            writing->run_ends[writing->run_count++] = i;
    }
}

static enum aq_status gather_times(struct writing *writing)
{
    uint32_t column = writing->schema->time_column;
    if (column == AQ_COLUMN_NONE)
        return AQ_OK;
    writing->times = malloc((writing->ref_count + 1) * sizeof *writing->times);
    if (writing->times == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < writing->ref_count; i++) {
        const struct aq_row_ref *ref = &writing->refs[i];
        writing->times[i] = writing->views[ref->batch].columns[column].ints[ref->row];
    }
    return AQ_OK;
}

static enum aq_status open_file(struct writing *writing, struct aq_error *err)
{
    struct aq_replay_output *output = writing->output;
    size_t room = output->file_count + 1;
    struct aq_archive_output **files =
        realloc(output->files, room * sizeof(struct aq_archive_output *));
    if (files == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    output->files = files;
    struct aq_archive_output *file = malloc(sizeof *file);
    if (file == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    *file = (struct aq_archive_output){.fd = -1};
    files[output->file_count++] = file;
    AQ_TRY(aq_archive_output_open(output->store, writing->schema, &output->workers.executor,
                                  output->file_count, file, err));
    writing->file = file;
    return AQ_OK;
}

static enum aq_status finish_file(struct writing *writing, struct aq_error *err)
{
    if (writing->file == NULL)
        return AQ_OK;
    AQ_TRY(aq_archive_output_finish(writing->file, err));
    aq_content_hash_add(&writing->written, &writing->file->content);
    writing->file = NULL;
    return AQ_OK;
}

static enum aq_status gather_tile(struct writing *writing, const struct aq_row_span *spans,
                                  size_t span_count)
{
    aq_batch_clear(&writing->tile);
    for (size_t column = 0; column < writing->tile.column_count; column++) {
        struct aq_vector *to = &writing->tile.columns[column];
        for (size_t s = 0; s < span_count; s++)
            for (size_t i = spans[s].first; i < spans[s].first + spans[s].count; i++)
                AQ_TRY(aq_vector_append_from(
                    to, &writing->views[writing->refs[i].batch].columns[column],
                    writing->refs[i].row, NULL));
        writing->tile.row_count = to->row_count;
    }
    return AQ_OK;
}

static enum aq_status write_tile(void *context, const struct aq_row_span *spans, size_t span_count,
                                 size_t row_count, struct aq_error *err)
{
    struct writing *writing = context;
    (void)row_count;
    if (writing->file != NULL && aq_archive_output_full(writing->file, UINT64_MAX))
        AQ_TRY(finish_file(writing, err));
    if (writing->file == NULL)
        AQ_TRY(open_file(writing, err));
    if (gather_tile(writing, spans, span_count) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    return aq_archive_output_tile(writing->file, &writing->tile, err);
}

static enum aq_status hash_rows(const struct writing *writing, struct aq_content_hash *sum)
{
    for (size_t i = 0; i < writing->view_count; i++) {
        struct aq_content_hash hash;
        AQ_TRY(aq_batch_content_hash(&writing->views[i], writing->views[i].column_count, &hash));
        aq_content_hash_add(sum, &hash);
    }
    return AQ_OK;
}

static enum aq_status write_rows(struct writing *writing, struct aq_error *err)
{
    struct aq_content_hash given = {0};
    enum aq_status status = aq_schema_stored_batch_init(writing->schema, &writing->tile);
    if (status == AQ_OK)
        status = hash_rows(writing, &given);
    if (status == AQ_OK)
        status = sort_rows(writing);
    if (status == AQ_OK)
        status = gather_times(writing);
    if (status < 0)
        return aq_error_set(err, status, "no memory to sort rows of %s", writing->schema->dataset);
    find_runs(writing);
    AQ_TRY(aq_tile_cut(writing->run_ends, writing->run_count, writing->times, write_tile, writing,
                       err));
    AQ_TRY(finish_file(writing, err));
    if (!aq_content_hash_equal(&given, &writing->written))
        return aq_error_set(err, AQ_CORRUPT,
                            "the rows written for %s are not those that were decoded; nothing "
                            "was changed",
                            writing->schema->dataset);
    return AQ_OK;
}

enum aq_status aq_replay_output_write(struct aq_replay_output *output,
                                      const struct aq_schema *schema,
                                      const struct aq_batch *const *batches, size_t batch_count,
                                      struct aq_error *err)
{
    struct writing writing = {.output = output, .schema = schema};
    enum aq_status status = AQ_OK;
    if (output->workers.executor.run == NULL)
        aq_workers_init(&output->workers, 0);
    writing.views = calloc(batch_count + 1, sizeof *writing.views);
    if (writing.views == NULL)
        status = AQ_NO_MEMORY;
    for (size_t i = 0; status == AQ_OK && i < batch_count; i++) {
        status = view_batch(schema, batches[i], &writing.views[i]);
        writing.view_count += status == AQ_OK;
    }
    if (status < 0)
        aq_error_set(err, status, "out of memory");
    else
        status = write_rows(&writing, err);
    aq_batch_deinit(&writing.tile);
    for (size_t i = 0; i < writing.view_count; i++)
        free(writing.views[i].columns);
    free(writing.views);
    free(writing.refs);
    free(writing.run_ends);
    free(writing.times);
    return status;
}

void aq_replay_output_deinit(struct aq_replay_output *output)
{
    for (size_t i = 0; i < output->file_count; i++) {
        aq_archive_output_deinit(output->files[i]);
        free(output->files[i]);
    }
    free(output->files);
    output->files = NULL;
    output->file_count = 0;
}
