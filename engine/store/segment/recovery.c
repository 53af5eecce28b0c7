/* Recovery: closing the segments of writers that are gone.
 *
 * Happy path: of the catalog's open segments a few at a time are looked at, each in a thread: is its flock free, how far
 * does the valid prefix go; that is made durable. Then, in the catalog's order and one after the other, `close` is
 * committed with the rows and positions of its frames, and the published page removed. So what is committed, reported or
 * refused does not depend on the threads. A held segment, of which nothing counts yet, is dropped, unread.
 * Failures: a lock that is held for longer than a dying process holds it belongs to a living writer, and
 * its segment is left alone. A file that was never made is made now, empty, so that its writer, should
 * it still be about to, finds it taken. Damage to what was durable is AQ_CORRUPT: segments before it are closed,
 * it and those behind it are left as they are. */
#include "engine/base/clock.h"
#include "engine/base/workers.h"
#include "engine/store/segment/segment_scan.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DYING_WRITER_MS 1000
/* Segments that are open at a time, each with a frame in memory: reading is what takes time, also on one core. */
#define PATIENTS_MAX 8

/* One segment being recovered. */
struct patient {
    uint64_t file_id;
    uint64_t epoch;
    bool held;
    struct aq_store_path path;
    struct aq_segment_file file;
    struct aq_segment_totals totals;
    uint64_t torn_bytes;
    uint64_t row_count; /* that count */
    /* Of looking at it; AQ_CONFLICT: its writer lives. */
    enum aq_status status;
    struct aq_error error;
};

/* Those looked at together. */
struct ward {
    struct aq_store *store;
    struct aq_store_id store_id;
    int64_t deadline_ms; /* for writers that are dying */
    size_t count;
    struct patient patients[PATIENTS_MAX];
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
    return aq_segment_close(&patient->file, &patient->totals, 0, catalog, edit, &patient->row_count,
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

static int open_segment(struct aq_store *store, const char *name)
{
    int fd = aq_io_openat_beneath(store->home_fd, name, O_RDWR, 0);
    if (fd < 0 && errno == ENOENT)
        fd = aq_io_openat_beneath(store->home_fd, name, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (fd < 0 && errno == EEXIST) /* its writer was faster */
        fd = aq_io_openat_beneath(store->home_fd, name, O_RDWR, 0);
    return fd;
}

/* The lock is shared: no one writes the segment now, and readers still find what they found a moment ago, the
 * whole file; with the page alone they would miss frames that were durable and not published yet. Of two
 * recoveries the catalog lets one close it. */
static enum aq_status examine(const struct ward *ward, struct patient *patient,
                              struct aq_error *err)
{
    struct aq_published published;
    char name[64];
    aq_catalog_file_name(AQ_FILE_SEGMENT, patient->file_id, name, sizeof name);
    patient->path = aq_store_path(ward->store, name);
    patient->file = (struct aq_segment_file){.path = patient->path.text,
                                             .expected = {.store_id = ward->store_id,
                                                          .segment_id = patient->file_id,
                                                          .epoch = patient->epoch}};
    patient->file.fd = open_segment(ward->store, name);
    if (patient->file.fd < 0)
        return aq_error_set_errno(err, errno, patient->path.text, "cannot open");
    int64_t left_ms = ward->deadline_ms - aq_clock_ms();
    if (!aq_mutant(63))
        AQ_TRY(aq_io_lock(patient->file.fd, false, patient->path.text,
                          left_ms > 0 ? (unsigned)left_ms : 0, err));
    if (patient->held)
        return AQ_OK;
    bool known = aq_published_read(ward->store, patient->file_id, patient->epoch, &published);
    return aq_segment_find_prefix(&patient->file, known ? &published : NULL, &patient->totals,
                                  &patient->torn_bytes, err);
}

static void examine_one(void *context, size_t index)
{
    struct ward *ward = context;
    struct patient *patient = &ward->patients[index];
    patient->status = examine(ward, patient, &patient->error);
}

/* What was found is committed. */
static enum aq_status close_segment(struct aq_store *store, struct patient *patient,
                                    struct aq_recovery_report *report, struct aq_error *err)
{
    if (patient->status < 0)
        return aq_error_take(err, patient->status, &patient->error, "cannot recover a segment");
    enum aq_status status = aq_store_commit(store, build_close, patient, err);
    if (status == AQ_END || (status == AQ_OK && patient->held))
        return AQ_OK;
    aq_error_locate(err, status, patient->path.text, 0);
    AQ_TRY(status);
    const struct aq_segment_index *index = &patient->totals.index;
    cut_zeros(&patient->file, aq_segment_index_end(index) + patient->torn_bytes);
    report->segment_count++;
    report->frame_count += index->frame_count;
    report->row_count += patient->row_count;
    report->torn_bytes += patient->torn_bytes;
    return AQ_OK;
}

static void discharge(struct aq_store *store, struct patient *patient, bool closed)
{
    if (patient->file.fd >= 0)
        close(patient->file.fd);
    /* After the lock is free: whoever finds no page finds the whole file to read. */
    if (closed)
        aq_published_remove(store, patient->file_id);
    aq_segment_totals_deinit(&patient->totals);
}

static enum aq_status recover_ward(struct ward *ward, const struct aq_workers *workers,
                                   struct aq_recovery_report *report, struct aq_error *err)
{
    const struct aq_executor *executor = &workers->executor;
    executor->run(executor->context, ward->count, examine_one, ward);
    enum aq_status status = AQ_OK;
    for (size_t i = 0; i < ward->count; i++) {
        struct patient *patient = &ward->patients[i];
        enum aq_status closed =
            status == AQ_OK ? close_segment(ward->store, patient, report, err) : AQ_END;
        discharge(ward->store, patient, closed == AQ_OK);
        if (closed < 0 && closed != AQ_CONFLICT)
            status = closed;
    }
    ward->count = 0;
    return status;
}

/* The simulated disk has one thread. */
static unsigned thread_count_of(const struct aq_store *store)
{
    if (store->io == AQ_IO_SIM)
        return 1;
    return store->recovery_thread_count > 0 ? store->recovery_thread_count : PATIENTS_MAX;
}

static enum aq_status recover_all(struct aq_store *store, const struct aq_catalog *catalog,
                                  struct aq_recovery_report *report, struct aq_error *err)
{
    struct ward *ward = calloc(1, sizeof *ward);
    if (ward == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    *ward = (struct ward){.store = store,
                          .store_id = catalog->store_id,
                          .deadline_ms = aq_clock_ms() + DYING_WRITER_MS};
    struct aq_workers workers;
    aq_workers_init(&workers, thread_count_of(store));
    enum aq_status status = AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < catalog->file_count; i++) {
        const struct aq_catalog_file *entry = &catalog->files[i];
        if (entry->state != AQ_FILE_OPEN)
            continue;
        ward->patients[ward->count++] =
            (struct patient){.file_id = entry->file_id, .epoch = entry->epoch, .held = entry->held};
        if (ward->count == PATIENTS_MAX)
            status = recover_ward(ward, &workers, report, err);
    }
    if (status == AQ_OK && ward->count > 0)
        status = recover_ward(ward, &workers, report, err);
    free(ward);
    return status;
}

enum aq_status aq_store_recover(struct aq_store *store, struct aq_recovery_report *report,
                                struct aq_error *err)
{
    *report = (struct aq_recovery_report){0};
    if (store->is_mirror)
        return aq_store_refuse_write(store, err);
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_store_catalog(store, true, &catalog, err));
    enum aq_status status = recover_all(store, catalog, report, err);
    aq_catalog_release(catalog);
    aq_object_sweep(store->objects, "catalog/");
    return status;
}
