/* Linked into the program: the functions of aqstore-files.so under their own names, as network_calls.c. */
#include "tools/parts/files.h"

static struct aq_part part = {
    .name = "files",
    .task = "reads input files",
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

static const struct aq_files *opened(void)
{
    return aq_part_opened(&part);
}

enum aq_status aq_source_file_open(const char *path, int spool_dir_fd, const atomic_bool *stop,
                                   struct aq_source_file **file, struct aq_error *err)
{
    const void *table;
    AQ_TRY(aq_part_open(&part, &table, err));
    return opened()->aq_source_file_open(path, spool_dir_fd, stop, file, err);
}

void aq_source_file_close(struct aq_source_file *file)
{
    if (file != NULL)
        opened()->aq_source_file_close(file);
}

void aq_source_file_on_idle(struct aq_source_file *file, void (*idle)(void *context), void *context,
                            int wait_ms)
{
    opened()->aq_source_file_on_idle(file, idle, context, wait_ms);
}

enum aq_status aq_source_file_read(struct aq_source_file *file, void *buffer, size_t size,
                                   size_t *got, struct aq_error *err)
{
    return opened()->aq_source_file_read(file, buffer, size, got, err);
}

enum aq_status aq_source_file_rewind(struct aq_source_file *file, bool last, struct aq_error *err)
{
    return opened()->aq_source_file_rewind(file, last, err);
}

void aq_source_file_keep(struct aq_source_file *file)
{
    opened()->aq_source_file_keep(file);
}

enum aq_status aq_source_file_read_at(struct aq_source_file *file, uint64_t offset, void *buffer,
                                      size_t size, struct aq_error *err)
{
    return opened()->aq_source_file_read_at(file, offset, buffer, size, err);
}

enum aq_status aq_page_unpack(enum aq_parquet_codec codec, struct aq_slice packed, uint8_t *out,
                              size_t out_size)
{
    return opened()->aq_page_unpack(codec, packed, out, out_size);
}

const char *aq_source_file_path(const struct aq_source_file *file)
{
    return opened()->aq_source_file_path(file);
}

uint64_t aq_source_file_bytes_done(const struct aq_source_file *file)
{
    return opened()->aq_source_file_bytes_done(file);
}

uint64_t aq_source_file_bytes_total(const struct aq_source_file *file)
{
    return opened()->aq_source_file_bytes_total(file);
}
