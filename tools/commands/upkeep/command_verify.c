/* verify: check the catalog and every file that it names, or one file. Findings are the result, one a line,
 * on standard output; with any, the exit code is 3. With --repair-plan, what would mend them stands below.
 *
 * Failures: a catalog that cannot be opened is a finding too; without it nobody knows which files to
 * check. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compaction/tier/tier.h"
#include "engine/store/snapshot/snapshot.h"
#include "tools/bucket.h"
#include "tools/commands/commands.h"
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"
#include "tools/output/progress.h"
#include "tools/verify/repair_plan.h"

struct run {
    struct aq_program *program;
    struct aq_verify verify;
    struct aq_progress progress;
    struct aq_object_store *bucket; /* NULL where none is known */
    struct aq_repair_plan plan;     /* --repair-plan */
};

static void on_progress(void *context, const char *file, uint64_t bytes_done, uint64_t row_count)
{
    struct run *run = context;
    aq_progress_update(&run->progress, file, bytes_done, 0, row_count);
}

static enum aq_status verify_path(struct run *run, const char *path,
                                  const struct aq_catalog *catalog,
                                  const struct aq_catalog_file *entry, struct aq_error *err)
{
    struct aq_store_file file;
    struct aq_error fault = {.offset = -1};
    enum aq_status status = aq_store_file_open(path, &file, &fault);
    if (status < 0 && entry == NULL) {
        *err = fault;
        return status;
    }
    if (status == AQ_NOT_FOUND && entry->state == AQ_FILE_OPEN)
        return AQ_OK; /* named first, made second: its writer is about to */
    if (status == AQ_NOT_FOUND && entry->evicted)
        return AQ_OK; /* where it belongs: in the bucket */
    if (status < 0) { /* the catalog names it: its rows are gone */
        aq_verify_fault(&run->verify, &fault, "the whole file");
        return AQ_OK;
    }
    enum aq_file_kind kind = entry != NULL ? entry->kind : file.kind;
    status = kind == AQ_FILE_SEGMENT ? aq_verify_segment(&run->verify, &file, catalog, entry, err)
                                     : aq_verify_archive(&run->verify, &file, catalog, entry, err);
    aq_store_file_close(&file);
    return status;
}

static enum aq_status on_object(void *context, uint64_t bytes_done)
{
    struct run *run = context;
    aq_progress_update_bytes(&run->progress, "bucket", run->verify.bytes + bytes_done, 0);
    return aq_verify_stopped(&run->verify) ? AQ_INTERRUPTED : AQ_OK;
}

/* An object that is not there, or not what was put, is a fault; a bucket that does not answer is none. */
static enum aq_status verify_object(struct run *run, const struct aq_catalog_file *entry,
                                    struct aq_error *err)
{
    char name[AQ_OBJECT_NAME_MAX + 1];
    struct aq_hash128 hash = {{0}};
    struct aq_error fault = {.offset = -1};
    uint64_t size = aq_catalog_file_bytes(entry);
    snprintf(name, sizeof(name), "%.*s", (int)entry->object.size, (const char *)entry->object.data);
    struct aq_object_path path = aq_object_path(run->bucket, name);
    enum aq_status status =
        aq_tier_hash_object(run->bucket, name, size, on_object, run, &hash, &fault);
    if (status < 0 && status != AQ_NOT_FOUND && status != AQ_CORRUPT) {
        *err = fault;
        return status;
    }
    if (status == AQ_OK && !aq_hash128_equal(&hash, &entry->object_hash))
        status = aq_error_set_at(&fault, AQ_CORRUPT, path.text, 0,
                                 "holds other bytes than were put there");
    if (status < 0)
        aq_verify_fault(&run->verify, &fault, entry->evicted ? "the whole file" : "its copy");
    run->verify.bytes += size;
    run->verify.object_count++;
    return AQ_OK;
}

/* Copies are read with --deep only: that costs requests. */
static enum aq_status verify_copy(struct run *run, const struct aq_catalog_file *entry,
                                  struct aq_error *err)
{
    if (entry->object.size == 0)
        return AQ_OK;
    if (run->bucket != NULL && run->verify.deep)
        return verify_object(run, entry, err);
    run->verify.unchecked_count += entry->evicted;
    return AQ_OK;
}

/* A file of a mirror as if it were at home: fetched, and checked as one. */
static enum aq_status verify_fetched(struct run *run, const struct aq_catalog *catalog,
                                     const struct aq_catalog_file *entry, struct aq_error *err)
{
    struct aq_store_file file;
    struct aq_error fault = {.offset = -1};
    enum aq_status status = aq_store_file_fetch(run->bucket, entry, &file, &fault);
    run->verify.object_count++;
    if (status == AQ_CORRUPT || status == AQ_TEMPORARY) { /* damaged, or not there */
        aq_verify_fault(&run->verify, &fault, "the whole file");
        return AQ_OK;
    }
    if (status < 0) {
        *err = fault;
        return status;
    }
    status = entry->kind == AQ_FILE_SEGMENT
                 ? aq_verify_segment(&run->verify, &file, catalog, entry, err)
                 : aq_verify_archive(&run->verify, &file, catalog, entry, err);
    aq_store_file_close(&file);
    return status;
}

/* Opening has checked the mirror itself: one checkpoint, no chain of edits. */
static enum aq_status verify_mirror(struct run *run, struct aq_error *err)
{
    struct aq_store *store = NULL;
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_program_bucket(run->program, &run->bucket, err));
    AQ_TRY(aq_program_store(run->program, AQ_ACCESS_READ, &store, err));
    AQ_TRY(aq_store_catalog(store, false, &catalog, err));
    enum aq_status status = AQ_OK;
    run->verify.edit_count++;
    for (size_t i = 0; i < catalog->file_count && status >= 0; i++) {
        if (aq_verify_stopped(&run->verify))
            status = aq_error_set(err, AQ_INTERRUPTED, "stopped");
        else if (run->verify.deep)
            status = verify_fetched(run, catalog, &catalog->files[i], err);
        else
            run->verify.unchecked_count++;
    }
    aq_catalog_release(catalog);
    return status;
}

static enum aq_status verify_files(struct run *run, const char *home,
                                   const struct aq_catalog *catalog, struct aq_error *err)
{
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *entry = &catalog->files[i];
        char name[64], *path = NULL;
        aq_catalog_file_name(entry->kind, entry->file_id, name, sizeof(name));
        if (asprintf(&path, "%s/%s", home, name) < 0)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory for a file name");
        enum aq_status status = verify_path(run, path, catalog, entry, err);
        free(path);
        AQ_TRY(status);
        AQ_TRY(verify_copy(run, entry, err));
    }
    return AQ_OK;
}

/* A catalog that says what to check: of a snapshot, which keeps gc from removing files while they are
 * read; where damage prevents one, the newest. */
static enum aq_status verify_named(struct run *run, struct aq_store *store, struct aq_error *err)
{
    struct aq_snapshot *snapshot = NULL;
    const struct aq_catalog *catalog = NULL;
    struct aq_error fault = {.offset = -1};
    enum aq_status status = aq_snapshot_open(store, &snapshot, &fault);
    if (status == AQ_CORRUPT) {
        aq_verify_fault(&run->verify, &fault, "every query, until it is mended");
        AQ_TRY(aq_store_catalog(store, false, &catalog, err));
        status = verify_files(run, aq_store_home(store), catalog, err);
        aq_catalog_release(catalog);
    } else if (status < 0) {
        *err = fault;
    } else {
        status = verify_files(run, aq_store_home(store), aq_snapshot_catalog(snapshot), err);
        aq_snapshot_close(snapshot);
    }
    return status;
}

/* With the newest catalog, or NULL where it cannot be read. */
static enum aq_status plan_repair(struct run *run, const char *home, struct aq_store *store,
                                  struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    if (!run->program->options.repair_plan)
        return AQ_OK;
    if (store != NULL)
        AQ_TRY(aq_store_catalog(store, false, &catalog, err));
    enum aq_status status = aq_repair_plan_make(&run->plan, &run->verify, home, catalog, err);
    if (catalog != NULL)
        aq_catalog_release(catalog);
    return status;
}

static enum aq_status verify_store(struct run *run, struct aq_error *err)
{
    const char *home = NULL;
    struct aq_store *store = NULL;
    struct aq_error fault = {.offset = -1};
    if (aq_program_in_bucket(run->program))
        return verify_mirror(run, err);
    AQ_TRY(aq_program_home(run->program, &home, err));
    if (access(home, F_OK) != 0)
        return aq_error_set_at(err, AQ_NOT_FOUND, home, -1, "there is no store");
    AQ_TRY(aq_verify_catalog(&run->verify, home, err));
    AQ_TRY(aq_program_bucket(run->program, &run->bucket, err));
    enum aq_status status = aq_program_store(run->program, AQ_ACCESS_READ, &store, &fault);
    if (status >= 0) {
        AQ_TRY(verify_named(run, store, err));
        return plan_repair(run, home, store, err);
    }
    if (status != AQ_CORRUPT) {
        *err = fault;
        return status;
    }
    aq_verify_fault(&run->verify, &fault, "the whole store");
    return plan_repair(run, home, NULL, err);
}

/* A file that the store names is checked against what the store says of it. */
static enum aq_status verify_file(struct run *run, const char *path, struct aq_error *err)
{
    struct aq_store *store = NULL;
    const struct aq_catalog *catalog = NULL;
    const struct aq_catalog_file *entry = NULL;
    if (run->program->options.store != NULL || run->program->options.config != NULL) {
        AQ_TRY(aq_program_store(run->program, AQ_ACCESS_READ, &store, err));
        AQ_TRY(aq_store_catalog(store, true, &catalog, err));
        const char *slash = strrchr(path, '/');
        uint64_t id = strtoull(slash != NULL ? slash + 1 : path, NULL, 10);
        entry = aq_catalog_file(catalog, id);
    }
    enum aq_status status = verify_path(run, path, catalog, entry, err);
    if (catalog != NULL)
        aq_catalog_release(catalog);
    return status;
}

static void report_json(struct run *run)
{
    const struct aq_verify *verify = &run->verify;
    struct aq_bytes out = {0};
    aq_json_open(&out, '{');
    aq_json_member_bool(&out, "ok", verify->fault_count == 0);
    aq_json_member_bool(&out, "deep", verify->deep);
    aq_json_member_count(&out, "edits", verify->edit_count);
    aq_json_member_count(&out, "files", verify->file_count);
    aq_json_member_count(&out, "frames", verify->frame_count);
    aq_json_member_count(&out, "tiles", verify->tile_count);
    aq_json_member_count(&out, "chunks", verify->chunk_count);
    aq_json_member_count(&out, "rows", verify->row_count);
    aq_json_member_count(&out, "bytes", verify->bytes);
    aq_json_member_count(&out, "objects", verify->object_count);
    aq_json_member_count(&out, "unchecked", verify->unchecked_count);
    aq_json_member_count(&out, "fault_count", verify->fault_count);
    aq_json_name(&out, "faults");
    aq_json_open(&out, '[');
    for (const struct aq_fault *fault = verify->faults; fault != NULL; fault = fault->next) {
        aq_json_name(&out, NULL);
        aq_json_open(&out, '{');
        aq_json_member_text(&out, "file", fault->error.path);
        if (fault->error.offset >= 0)
            aq_json_member_int(&out, "offset", fault->error.offset);
        aq_json_member_text(&out, "kind", aq_status_text(fault->error.status));
        aq_json_member_text(&out, "message", fault->error.message);
        aq_json_member_text(&out, "affected", fault->affected);
        aq_json_close(&out, '}');
    }
    aq_json_close(&out, ']');
    if (run->program->options.repair_plan) {
        aq_json_name(&out, "plan");
        aq_json_open(&out, '[');
        aq_repair_plan_json(&run->plan, &out);
        aq_json_close(&out, ']');
    }
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(run->program->out, &out);
    aq_bytes_deinit(&out);
}

static void report_text(struct run *run)
{
    const struct aq_verify *verify = &run->verify;
    struct aq_out *stream = run->program->out;
    char text[AQ_ERROR_PATH_MAX + AQ_ERROR_MESSAGE_MAX + 64];
    char rows[AQ_HUMAN_BYTES_MAX], size[AQ_HUMAN_BYTES_MAX];
    for (const struct aq_fault *fault = verify->faults; fault != NULL; fault = fault->next) {
        aq_error_format(&fault->error, text, sizeof(text));
        aq_out_printf(stream, "%s%s%s\n", text, fault->affected[0] != '\0' ? "; affected: " : "",
                      fault->affected);
    }
    if (verify->fault_count > AQ_FAULTS_KEPT_MAX)
        aq_out_printf(stream, "... and %" PRIu64 " more\n",
                      verify->fault_count - AQ_FAULTS_KEPT_MAX);
    aq_out_printf(stream,
                  "%s: %" PRIu64 " edits, %" PRIu64 " files, %" PRIu64 " frames, %" PRIu64
                  " tiles, %" PRIu64 " chunks; %s rows, %s%s\n",
                  verify->fault_count == 0 ? "ok" : "DAMAGED", verify->edit_count,
                  verify->file_count, verify->frame_count, verify->tile_count, verify->chunk_count,
                  aq_human_count(verify->row_count, rows), aq_human_size(verify->bytes, size),
                  verify->deep ? ", every value decoded" : "");
    if (verify->object_count > 0)
        aq_out_printf(stream, "in the bucket: %" PRIu64 " objects, each hash compared\n",
                      verify->object_count);
    if (verify->unchecked_count > 0)
        aq_out_printf(stream,
                      "in the bucket only, not checked: %" PRIu64 " files (--deep reads them)\n",
                      verify->unchecked_count);
    struct aq_bytes plan = {0};
    aq_repair_plan_text(&run->plan, &plan);
    aq_out_bytes(stream, &plan);
    aq_bytes_deinit(&plan);
}

enum aq_status aq_command_verify(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    struct run run = {.program = program,
                      .verify = {.deep = options->deep, .stop = &aq_stop, .progress = on_progress}};
    run.verify.context = &run;
    aq_progress_begin(&run.progress, options->quiet);
    enum aq_status status = options->argument_count > 0
                                ? verify_file(&run, options->arguments[0], err)
                                : verify_store(&run, err);
    aq_progress_clear(&run.progress);
    uint64_t fault_count = run.verify.fault_count;
    if (status >= 0 && options->json)
        report_json(&run);
    else if (status >= 0 || fault_count > 0)
        report_text(&run);
    aq_repair_plan_deinit(&run.plan);
    aq_verify_deinit(&run.verify);
    if (status >= 0 && fault_count > 0)
        return aq_error_set(err, AQ_CORRUPT, "%" PRIu64 " fault%s found", fault_count,
                            fault_count == 1 ? "" : "s");
    return status;
}
