/* inspect: of nothing, the whole store; of a dataset's name, the dataset; of a file, its layout. A file is
 * named by its path, or as the store names it ("archives/..."); it is read without the catalog, or, when it is not
 * at home, as a copy from the bucket. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/bucket.h"
#include "tools/commands/commands.h"
#include "tools/inspect/inspect.h"
#include "tools/output/text/json_print.h"

static bool is_file(const char *name)
{
    struct stat status;
    return stat(name, &status) == 0 && !S_ISDIR(status.st_mode);
}

/* Closes the file. */
static enum aq_status inspect_file(struct aq_inspect *inspect, struct aq_store_file *file,
                                   struct aq_error *err)
{
    enum aq_status status = file->kind == AQ_FILE_SEGMENT ? aq_inspect_segment(inspect, file, err)
                                                          : aq_inspect_archive(inspect, file, err);
    aq_store_file_close(file);
    return status;
}

static enum aq_status inspect_path(struct aq_inspect *inspect, const char *path,
                                   struct aq_error *err)
{
    struct aq_store_file file;
    AQ_TRY(aq_store_file_open(path, &file, err));
    return inspect_file(inspect, &file, err);
}

/* The file of that name, which is not at home: NULL unless it is in the bucket. */
static const struct aq_catalog_file *find_in_bucket(const struct aq_catalog *catalog,
                                                    const char *name)
{
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *entry = &catalog->files[i];
        char own[64];
        aq_catalog_file_name(entry->kind, entry->file_id, own, sizeof(own));
        if (strcmp(own, name) == 0)
            return entry->object.size > 0 ? entry : NULL;
    }
    return NULL;
}

static enum aq_status inspect_fetched(struct aq_program *program, struct aq_inspect *inspect,
                                      struct aq_snapshot *snapshot, const char *name,
                                      struct aq_error *err)
{
    const struct aq_catalog_file *entry = find_in_bucket(aq_snapshot_catalog(snapshot), name);
    struct aq_object_store *bucket = NULL;
    struct aq_store_file file;
    if (entry == NULL)
        return aq_error_set_at(err, AQ_NOT_FOUND, name, -1, "is neither a file nor a dataset of %s",
                               aq_store_home(program->store));
    AQ_TRY(aq_program_need_bucket(program, &bucket, err));
    AQ_TRY(aq_store_file_fetch(bucket, entry, &file, err));
    return inspect_file(inspect, &file, err);
}

static enum aq_status inspect_name(struct aq_program *program, struct aq_inspect *inspect,
                                   struct aq_snapshot *snapshot, const char *name,
                                   struct aq_error *err)
{
    const struct aq_schema *schema = aq_catalog_schema(aq_snapshot_catalog(snapshot), name);
    char *path = NULL;
    if (schema != NULL)
        return aq_inspect_dataset(inspect, snapshot, schema, err);
    if (asprintf(&path, "%s/%s", aq_store_home(program->store), name) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a file name");
    enum aq_status status = is_file(path) ? inspect_path(inspect, path, err)
                                          : inspect_fetched(program, inspect, snapshot, name, err);
    free(path);
    return status;
}

static enum aq_status inspect_in_store(struct aq_program *program, struct aq_inspect *inspect,
                                       const char *name, struct aq_error *err)
{
    struct aq_store *store = NULL;
    struct aq_snapshot *snapshot = NULL;
    const struct aq_options *options = &program->options;
    enum aq_status opened = aq_program_store(program, AQ_ACCESS_READ, &store, err);
    if (opened == AQ_INVALID && name != NULL && strpbrk(name, "/.") != NULL &&
        options->store == NULL && options->config == NULL)
        return aq_error_set_at(err, opened, name, -1,
                               "there is no such file; one that a store names wants --store, too");
    AQ_TRY(opened);
    AQ_TRY(aq_snapshot_open(store, &snapshot, err));
    enum aq_status status = name != NULL ? inspect_name(program, inspect, snapshot, name, err)
                                         : aq_inspect_store(inspect, store, snapshot, err);
    aq_snapshot_close(snapshot);
    return status;
}

enum aq_status aq_command_inspect(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    const char *name = options->argument_count > 0 ? options->arguments[0] : NULL;
    struct aq_inspect inspect = {.stream = program->out,
                                 .json = options->json,
                                 .key = options->key,
                                 .limited = options->limit != NULL,
                                 .vectors = options->vectors};
    AQ_TRY(aq_options_limit(options, 0, &inspect.limit, err));
    aq_json_open(&inspect.object, '{');
    enum aq_status status = name != NULL && is_file(name)
                                ? inspect_path(&inspect, name, err)
                                : inspect_in_store(program, &inspect, name, err);
    aq_json_close(&inspect.object, '}');
    aq_bytes_u8(&inspect.object, '\n');
    if (status >= 0 && options->json)
        aq_out_bytes(program->out, &inspect.object);
    aq_bytes_deinit(&inspect.object);
    return status;
}
