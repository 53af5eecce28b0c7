/* restore: a new home for a store whose home is lost, from its bucket. The files stay in the bucket; queries
 * fetch what they need of them. With --file or --give-up: one file of a home that is there (restore_file.c). */
#include <string.h>

#include "compaction/tier/tier.h"
#include "engine/base/civil/civil_time.h"
#include "engine/object/s3.h"
#include "tools/bucket.h"
#include "tools/commands/commands.h"
#include "tools/commands/upkeep/restore_file.h"
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"

static void report_json(struct aq_program *program, const struct aq_restore_report *report)
{
    struct aq_bytes out = {0};
    aq_json_open(&out, '{');
    aq_json_member_count(&out, "incarnation", report->incarnation);
    aq_json_member_count(&out, "files", report->file_count);
    aq_json_member_count(&out, "bytes", report->bytes);
    aq_json_member_time(&out, "mirrored", report->mirrored_us);
    aq_json_member_count(&out, "incomplete_datasets", report->incomplete_count);
    aq_json_member_count(&out, "missing", report->missing_count);
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(program->out, &out);
    aq_bytes_deinit(&out);
}

static void report_text(struct aq_program *program, const struct aq_restore_report *report,
                        const char *home)
{
    char size[AQ_HUMAN_BYTES_MAX], mirrored[64];
    int64_t second_us = report->mirrored_us / AQ_US_PER_SECOND * AQ_US_PER_SECOND;
    aq_time_format(second_us, aq_zone_utc(), mirrored, sizeof(mirrored));
    aq_out_printf(
        program->out,
        "%s is the store as of %s: %llu file%s, %s, all in the bucket; incarnation %llu\n", home,
        mirrored, (unsigned long long)report->file_count, report->file_count == 1 ? "" : "s",
        aq_human_size(report->bytes, size), (unsigned long long)report->incarnation);
    aq_out_text(program->out,
                "The former home, should it come back, can no longer use the bucket.\n"
                "What came in after that is not in it: `aqstore ingest` reads it "
                "again from the sources.\n");
}

enum aq_status aq_command_restore(struct aq_program *program, struct aq_error *err)
{
    const char *home = NULL;
    struct aq_object_store *bucket = NULL;
    struct aq_s3_capabilities can;
    struct aq_restore_report report = {0};
    struct aq_bytes note = {0};
    const char *from = program->options.from;
    if (program->options.file != NULL)
        return aq_restore_file(program, program->options.file, err);
    if (program->options.give_up != NULL)
        return aq_restore_without(program, program->options.give_up, err);
    if (from != NULL && strncmp(from, "s3://", 5) != 0)
        return aq_error_set(err, AQ_INVALID, "--from: '%s' is no bucket: say s3://BUCKET/PREFIX",
                            from);
    AQ_TRY(aq_program_home(program, &home, err));
    AQ_TRY(aq_program_need_bucket(program, &bucket, err));
    AQ_TRY(aq_s3_probe(bucket, &can, err));
    if (!can.conditional_put)
        return aq_error_set(err, AQ_UNSUPPORTED,
                            "the bucket ignores conditions (If-None-Match), so two homes could not "
                            "be kept apart in it; copy its objects into one that honours them");
    enum aq_status status = aq_program_bucket_note(program, &note, err);
    if (status == AQ_OK)
        status = aq_tier_restore(bucket, home, aq_bytes_view(&note), &report, err);
    aq_bytes_deinit(&note);
    AQ_TRY(status);
    if (program->options.json)
        report_json(program, &report);
    else
        report_text(program, &report, home);
    if (report.missing_count == 0)
        return AQ_OK;
    return aq_error_set_at(err, AQ_CORRUPT, aq_object_path(bucket, report.first_missing).text, -1,
                           "is missing or cut off, %zu object%s in all: the home was made, but "
                           "queries on these files will fail; bring them back into the bucket",
                           report.missing_count, report.missing_count == 1 ? "" : "s");
}
