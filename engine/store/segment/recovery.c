/* Recovery: closing the segments of writers that are gone.
 *
 * Happy path: for each open segment of the catalog whose flock is free: find the valid prefix, make it
 * durable, commit `close` with the rows and positions of its frames, remove the published page.
 * A held segment, of which nothing counts yet, is dropped, unread.
 * Failures: a lock that is held for longer than a dying process holds it belongs to a living writer, and
 * its segment is left alone. A file that was never made is made now, empty, so that its writer, should
 * it still be about to, finds it taken. Damage to what was durable is AQ_CORRUPT, and nothing is
 * changed. */
#include "engine/base/clock.h"
#include "engine/store/segment/segment_scan.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DYING_WRITER_MS 1000

/* One segment being recovered. */
struct patient {
    uint64_t file_id;
    uint64_t epoch;
    bool held;
    const struct aq_segment_file *file;
    struct aq_segment_totals totals;
    uint64_t row_count; /* that count */
};

static enum aq_status build_close(void *context, const struct aq_catalog *catalog,
                                  struct aq_edit *edit, struct aq_error *err)
{
    struct patient *patient = context;
    const struct aq_catalog_file *file = aq_catalog_file(catalog, patient->file_id);
    if (!aq_mutant(64) && (file == NULL || file->state != AQ_FILE_OPEN))
        return AQ_END; /* closed by somebody else meanwhile */
    if (file->held)
        return aq_segment_drop(patient->file_id, catalog, edit, err);
    return aq_segment_close(patient->file, &patient->totals, 0, catalog, edit, &patient->row_count,
                            err);
}

/* What was zeroed ahead for frames that never came only takes room. A torn tail stays: somebody may want to look at it. */
static void cut_zeros(const struct aq_segment_file *file, uint64_t end)
{
    struct stat info;
    if (fstat(file->fd, &info) == 0 && (uint64_t)info.st_size > end &&
        ftruncate(file->fd, (off_t)end) != 0)
        return; /* it goes with the segment */
}

/* The lock is shared: no one writes the segment now, and readers still find what they found a moment ago, the
 * whole file; with the page alone they would miss frames that were durable and not published yet. Of two
 * recoveries the catalog lets one close it. */
static enum aq_status close_segment(struct aq_store *store, const struct aq_segment_file *file,
                                    struct patient *patient, struct aq_recovery_report *report,
                                    struct aq_error *err)
{
    struct aq_published published;
    uint64_t torn_bytes = 0;
    bool known = aq_published_read(store, patient->file_id, patient->epoch, &published);
    if (!patient->held)
        AQ_TRY(aq_segment_find_prefix(file, known ? &published : NULL, &patient->totals,
                                      &torn_bytes, err));
    enum aq_status status = aq_store_commit(store, build_close, patient, err);
    if (status == AQ_END || (status == AQ_OK && patient->held))
        return AQ_OK;
    aq_error_locate(err, status, file->path, 0);
    AQ_TRY(status);
    cut_zeros(file, aq_segment_index_end(&patient->totals.index) + torn_bytes);
    report->segment_count++;
    report->frame_count += patient->totals.index.frame_count;
    report->row_count += patient->row_count;
    report->torn_bytes += torn_bytes;
    return AQ_OK;
}

static int open_segment(struct aq_store *store, const char *name)
{
    int fd = aq_io_openat_beneath(store->home_fd, name, O_RDWR, 0);
    if (fd < 0 && errno == ENOENT)
        fd = aq_io_openat_beneath(store->home_fd, name, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (fd < 0 && errno == EEXIST) /* its writer was faster */
        fd = aq_io_openat_beneath(store->home_fd, name, O_RDWR, 0);
    return fd;
}

static enum aq_status recover_segment(struct aq_store *store, const struct aq_catalog *catalog,
                                      const struct aq_catalog_file *entry, int64_t deadline_ms,
                                      struct aq_recovery_report *report, struct aq_error *err)
{
    char name[64];
    aq_catalog_file_name(AQ_FILE_SEGMENT, entry->file_id, name, sizeof name);
    struct aq_store_path path = aq_store_path(store, name);
    struct aq_segment_file file = {.path = path.text,
                                   .expected = {.store_id = catalog->store_id,
                                                .segment_id = entry->file_id,
                                                .epoch = entry->epoch}};
    file.fd = open_segment(store, name);
    if (file.fd < 0)
        return aq_error_set_errno(err, errno, path.text, "cannot open");
    struct patient patient = {
        .file_id = entry->file_id, .epoch = entry->epoch, .held = entry->held, .file = &file};
    int64_t left_ms = deadline_ms - aq_clock_ms();
    enum aq_status status = aq_mutant(63) ? AQ_OK
                                          : aq_io_lock(file.fd, false, path.text,
                                                       left_ms > 0 ? (unsigned)left_ms : 0, err);
    if (status == AQ_OK)
        status = close_segment(store, &file, &patient, report, err);
    bool closed = status == AQ_OK;
    close(file.fd);
    /* After the lock is free: whoever finds no page finds the whole file to read. */
    if (closed)
        aq_published_remove(store, entry->file_id);
    aq_segment_totals_deinit(&patient.totals);
    return status == AQ_CONFLICT ? AQ_OK : status;
}

enum aq_status aq_store_recover(struct aq_store *store, struct aq_recovery_report *report,
                                struct aq_error *err)
{
    *report = (struct aq_recovery_report){0};
    if (store->is_mirror)
        return aq_store_refuse_write(store, err);
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_store_catalog(store, true, &catalog, err));
    enum aq_status status = AQ_OK;
    int64_t deadline_ms = aq_clock_ms() + DYING_WRITER_MS;
    for (size_t i = 0; status == AQ_OK && i < catalog->file_count; i++) {
        if (catalog->files[i].state == AQ_FILE_OPEN)
            status = recover_segment(store, catalog, &catalog->files[i], deadline_ms, report, err);
    }
    aq_catalog_release(catalog);
    aq_object_sweep(store->objects, "catalog/");
    return status;
}
