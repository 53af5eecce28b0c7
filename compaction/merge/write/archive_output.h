/* One archive file being made: written under a temporary name, verified, then given its real one. */
#ifndef AQ_COMPACTION_ARCHIVE_OUTPUT_H
#define AQ_COMPACTION_ARCHIVE_OUTPUT_H

#include "compaction/nightly/rate_limit.h"
#include "engine/store/store.h"

#define AQ_TEMPORARY_NAME_BYTES 64

/** Zero-initialised by open; everything is read-only to callers. */
struct aq_archive_output {
    struct aq_store *store;
    const struct aq_schema *schema; /* borrowed */
    struct aq_rate_limit *rate;     /* of bytes written and read back; borrowed; NULL: none */
    struct aq_archive_writer *writer;
    int fd; /* -1 when closed */
    char name
        [AQ_TEMPORARY_NAME_BYTES]; /* relative to the home: the temporary name, then the real one */
    uint64_t file_id;              /* 0 until published */
    uint64_t size_bytes;           /* of the finished file */
    struct aq_bytes root;          /* copy for the catalog */
    struct aq_content_hash content; /* of what was read back: set by verify */
    struct aq_file_entry entry;
};

/** A new, empty file in the folder of archives, whose name tells gc that nothing names it; relative to the home. */
enum aq_status aq_archive_open_temporary(int home_fd, char name[AQ_TEMPORARY_NAME_BYTES], int *fd,
                                         struct aq_error *err) AQ_RESULT;

/** Begin a file. */
enum aq_status aq_archive_output_open(struct aq_store *store, const struct aq_schema *schema,
                                      struct aq_archive_output *output,
                                      struct aq_error *err) AQ_RESULT;
/** Append a coded tile. */
enum aq_status aq_archive_output_append(struct aq_archive_output *output,
                                        const struct aq_archive_tile *tile,
                                        struct aq_error *err) AQ_RESULT;
/** Whether the next tile belongs into another file. */
bool aq_archive_output_full(const struct aq_archive_output *output, uint64_t target_size_bytes);
/** Write the file's end, and make it durable. */
enum aq_status aq_archive_output_finish(struct aq_archive_output *output,
                                        struct aq_error *err) AQ_RESULT;
/** Open a finished file again, read every byte, several tiles side by side, and hash the rows: whoever had them
 * before compares `content` with theirs. */
enum aq_status aq_archive_output_verify(struct aq_archive_output *output,
                                        const struct aq_executor *executor,
                                        struct aq_error *err) AQ_RESULT;

/**
 * Give the file the name of the first id >= *next_file_id that no file has (a killed compaction may
 * have left one), unless it has such a name already, and move *next_file_id past it. The directory is
 * not synced yet.
 */
enum aq_status aq_archive_output_publish(struct aq_archive_output *output, uint64_t *next_file_id,
                                         struct aq_error *err) AQ_RESULT;
/** Add the record that makes a published file part of the store. */
enum aq_status aq_archive_output_record(const struct aq_archive_output *output,
                                        struct aq_edit *edit) AQ_RESULT;
/** Make the names of published files durable. */
enum aq_status aq_archive_sync_names(struct aq_store *store, struct aq_error *err) AQ_RESULT;
/** Release; a file that was never published is removed. */
void aq_archive_output_deinit(struct aq_archive_output *output);

/** Read a whole archive back: every checksum, every row. `content` is the hash of its rows. */
enum aq_status aq_archive_read_back(int fd, const char *path, uint64_t size_bytes,
                                    const struct aq_schema *schema, struct aq_slice root,
                                    const struct aq_executor *executor,
                                    struct aq_content_hash *content,
                                    struct aq_error *err) AQ_RESULT;

#endif
