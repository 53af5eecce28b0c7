/* From rows as decoded to an archive.
 *
 * Happy path: the columns that archives of the dataset store are viewed, sorted, cut into tiles and written, as a
 * compaction does; the file's content must be the rows that were given.
 * Failures leave the files to aq_replay_output_deinit, which removes what has no name in the catalog. */
#include "compaction/replay/replay_output.h"

#include <stdlib.h>

#include "compaction/merge/write/tile_write.h"

struct writing {
    struct aq_replay_output *output;
    const struct aq_schema *schema;
    struct aq_batch
        *views; /* stored columns of the batches; they own nothing but their lists of columns */
    size_t view_count;
    struct aq_row_stretch *stretches; /* each view, whole */
    struct aq_archive_output *file;   /* open, or NULL */
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
    AQ_TRY(aq_archive_output_open(output->store, writing->schema, file, err));
    writing->file = file;
    return AQ_OK;
}

static enum aq_status finish_file(struct writing *writing, struct aq_error *err)
{
    if (writing->file == NULL)
        return AQ_OK;
    AQ_TRY(aq_archive_output_finish(writing->file, err));
    AQ_TRY(aq_archive_output_verify(writing->file, &writing->output->workers.executor, err));
    aq_content_hash_add(&writing->written, &writing->file->content);
    writing->file = NULL;
    return AQ_OK;
}

static enum aq_status take_tile(void *context, const struct aq_archive_tile *tile,
                                struct aq_error *err)
{
    struct writing *writing = context;
    if (writing->file != NULL && aq_archive_output_full(writing->file, UINT64_MAX))
        AQ_TRY(finish_file(writing, err));
    if (writing->file == NULL)
        AQ_TRY(open_file(writing, err));
    return aq_archive_output_append(writing->file, tile, err);
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

static enum aq_status no_memory(const struct writing *writing, struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "no memory to sort rows of %s",
                        writing->schema->dataset);
}

static enum aq_status write_sorted(struct writing *writing, struct aq_error *err)
{
    const struct aq_workers *workers = &writing->output->workers;
    struct aq_sorted_rows rows;
    struct aq_archive_options options = {.schema = writing->schema};
    for (size_t i = 0; i < writing->view_count; i++)
        writing->stretches[i] =
            (struct aq_row_stretch){&writing->views[i], 0, writing->views[i].row_count};
    if (aq_rows_sort(writing->schema, writing->stretches, writing->view_count, AQ_TIME_RANGE_ALL,
                     &workers->executor, &rows) != AQ_OK)
        return no_memory(writing, err);
    enum aq_status status =
        aq_tiles_write(&options, writing->stretches, &rows, workers, take_tile, writing, err);
    aq_sorted_rows_deinit(&rows);
    return status;
}

static enum aq_status write_rows(struct writing *writing, struct aq_error *err)
{
    struct aq_content_hash given = {0};
    if (hash_rows(writing, &given) != AQ_OK)
        return no_memory(writing, err);
    AQ_TRY(write_sorted(writing, err));
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
    writing.stretches = calloc(batch_count + 1, sizeof *writing.stretches);
    if (writing.views == NULL || writing.stretches == NULL)
        status = AQ_NO_MEMORY;
    for (size_t i = 0; status == AQ_OK && i < batch_count; i++) {
        status = view_batch(schema, batches[i], &writing.views[i]);
        writing.view_count += status == AQ_OK;
    }
    if (status < 0)
        aq_error_set(err, status, "out of memory");
    else
        status = write_rows(&writing, err);
    for (size_t i = 0; i < writing.view_count; i++)
        free(writing.views[i].columns);
    free(writing.views);
    free(writing.stretches);
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
