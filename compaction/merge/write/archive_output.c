/* Making one archive file: temporary name, bytes, fsync, reopen and verify, real name.
 *
 * Bytes go out as the archive writer gives them. Finishing syncs the file; verifying opens it anew and reads
 * all of it back (archive_verify.c); only what was read is believed. Publishing renames without replacing:
 * a name that is taken belongs to a killed compaction whose commit may not be known to have failed, so
 * it is left to gc and the next number is tried.
 *
 * Failures: a temporary file is removed, a published one never: its commit may have succeeded after
 * all, and only gc knows from the catalog. */
#include "compaction/merge/write/archive_output.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static enum aq_status write_all(void *context, const void *data, size_t size, struct aq_error *err)
{
    const struct aq_archive_output *output = context;
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t written = write(output->fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return aq_error_set_errno(err, errno, output->name, "cannot write an archive");
        at += written;
        size -= (size_t)written;
        aq_rate_limit_spend(output->rate, (uint64_t)written);
    }
    return AQ_OK;
}

/* By chance, not by number: two compactions whose lock has failed them must not write one file. */
enum aq_status aq_archive_open_temporary(int home_fd, char name[AQ_TEMPORARY_NAME_BYTES], int *fd,
                                         struct aq_error *err)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return aq_error_set_errno(err, errno, "", "no random bytes");
    snprintf(name, AQ_TEMPORARY_NAME_BYTES, "archives/compact-%016" PRIx64 ".tmp", number);
    *fd = aq_io_openat_beneath(home_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return *fd < 0 ? aq_error_set_errno(err, errno, name, "cannot create a file") : AQ_OK;
}

enum aq_status aq_archive_output_open(struct aq_store *store, const struct aq_schema *schema,
                                      struct aq_archive_output *output, struct aq_error *err)
{
    const struct aq_catalog *catalog;
    AQ_TRY(aq_store_catalog(store, false, &catalog, err));
    struct aq_store_id store_id = catalog->store_id;
    aq_catalog_release(catalog);
    *output = (struct aq_archive_output){.store = store, .schema = schema, .fd = -1};
    output->entry.dataset_id = schema->dataset_id;
    output->entry.schema_version = schema->version;
    AQ_TRY(aq_archive_open_temporary(aq_store_home_fd(store), output->name, &output->fd, err));
    struct aq_archive_options options = {
        .store_id = store_id,
        .schema = schema,
        .sink = write_all,
        .sink_context = output,
    };
    return aq_archive_writer_create(&options, &output->writer, err);
}

enum aq_status aq_archive_output_append(struct aq_archive_output *output,
                                        const struct aq_archive_tile *tile, struct aq_error *err)
{
    const struct aq_tile_entry *from = aq_archive_tile_entry(tile);
    struct aq_file_entry *entry = &output->entry;
    AQ_TRY(aq_archive_writer_append(output->writer, tile, err));
    entry->row_count += from->row_count;
    if (!from->has_time)
        return AQ_OK;
    if (!entry->has_time || from->min_time_us < entry->min_time_us)
        entry->min_time_us = from->min_time_us;
    if (!entry->has_time || from->max_time_us > entry->max_time_us)
        entry->max_time_us = from->max_time_us;
    entry->has_time = true;
    return AQ_OK;
}

bool aq_archive_output_full(const struct aq_archive_output *output, uint64_t target_size_bytes)
{
    return aq_archive_writer_full(output->writer) ||
           aq_archive_writer_size(output->writer) >= target_size_bytes;
}

enum aq_status aq_archive_output_finish(struct aq_archive_output *output, struct aq_error *err)
{
    AQ_TRY(aq_archive_writer_finish(output->writer, &output->root, NULL, err));
    output->size_bytes = aq_archive_writer_size(output->writer);
    aq_archive_writer_destroy(output->writer);
    output->writer = NULL;
    if (!aq_mutant(12) && fsync(output->fd) != 0)
        return aq_error_set_errno(err, errno, output->name, "cannot make an archive durable");
    if (close(output->fd) != 0) {
        output->fd = -1;
        return aq_error_set_errno(err, errno, output->name, "cannot close an archive");
    }
    output->fd = -1;
    return AQ_OK;
}

/* By its name, so that what is verified is what readers will find. */
enum aq_status aq_archive_output_verify(struct aq_archive_output *output,
                                        const struct aq_executor *executor, struct aq_error *err)
{
    int fd = aq_io_openat_beneath(aq_store_home_fd(output->store), output->name,
                                  O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return aq_error_set_errno(err, errno, output->name, "cannot reopen a new archive");
    enum aq_status status =
        aq_archive_read_back(fd, output->name, output->size_bytes, output->schema,
                             aq_bytes_view(&output->root), executor, &output->content, err);
    if (status == AQ_OK && output->content.row_count != output->entry.row_count)
        status = aq_error_set_at(err, AQ_CORRUPT, output->name, -1,
                                 "a new archive does not read back as the rows that were written; "
                                 "nothing was changed");
    close(fd);
    aq_rate_limit_spend(output->rate, output->size_bytes);
    return status;
}

enum aq_status aq_archive_output_publish(struct aq_archive_output *output, uint64_t *next_file_id,
                                         struct aq_error *err)
{
    int home = aq_store_home_fd(output->store);
    if (output->file_id != 0 && output->file_id >= *next_file_id) {
        *next_file_id = output->file_id + 1;
        return AQ_OK;
    }
    char name[sizeof output->name];
    for (uint64_t file_id = *next_file_id;; file_id++) {
        aq_catalog_file_name(AQ_FILE_ARCHIVE, file_id, name, sizeof name);
        if (renameat2(home, output->name, home, name, RENAME_NOREPLACE) == 0) {
            output->file_id = file_id;
            *next_file_id = file_id + 1;
            snprintf(output->name, sizeof output->name, "%s", name);
            return AQ_OK;
        }
        if (errno != EEXIST)
            return aq_error_set_errno(err, errno, output->name, "cannot rename an archive to %s",
                                      name);
    }
}

enum aq_status aq_archive_output_record(const struct aq_archive_output *output,
                                        struct aq_edit *edit)
{
    struct aq_record record = {
        .kind = AQ_RECORD_ARCHIVE,
        .archive =
            {
                .file_id = output->file_id,
                .size_bytes = output->size_bytes,
                .content = output->content,
                .entry = output->entry,
                .root = aq_bytes_view(&output->root),
            },
    };
    return aq_edit_add(edit, &record);
}

enum aq_status aq_archive_sync_names(struct aq_store *store, struct aq_error *err)
{
    int fd = aq_io_openat_beneath(aq_store_home_fd(store), "archives",
                                  O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return aq_error_set_errno(err, errno, "archives/", "cannot open the folder");
    enum aq_status status = AQ_OK;
    if (!aq_mutant(13) && fsync(fd) != 0)
        status = aq_error_set_errno(err, errno, "archives/", "cannot make new names durable");
    close(fd);
    return status;
}

void aq_archive_output_deinit(struct aq_archive_output *output)
{
    aq_archive_writer_destroy(output->writer);
    if (output->fd >= 0)
        close(output->fd);
    if (output->file_id == 0 && output->store != NULL)
        unlinkat(aq_store_home_fd(output->store), output->name, 0);
    aq_bytes_deinit(&output->root);
    *output = (struct aq_archive_output){.fd = -1};
}
