/* gc: remove the files that the store no longer names. */
#include "compaction/compact.h"
#include "tools/commands/commands.h"
#include "tools/output/human.h"
#include "tools/output/json_print.h"
#include "tools/output/rows.h"

static const struct aq_result_column columns[] = {{"file", AQ_TYPE_TEXT},
                                                  {"bytes", AQ_TYPE_BIGINT}};

static void on_file(void *context, const char *name, uint64_t size_bytes)
{
    aq_rows_text(context, name);
    aq_rows_count(context, size_bytes);
}

static enum aq_status report_json(struct aq_program *program, struct aq_rows *rows,
                                  const struct aq_gc_report *report, struct aq_error *err)
{
    struct aq_bytes out = {0};
    aq_json_open(&out, '{');
    aq_json_member_bool(&out, "dry_run", program->options.dry_run);
    aq_json_member_count(&out, "files_removed", report->file_count);
    aq_json_member_count(&out, "bytes", report->bytes);
    enum aq_status status = aq_rows_json(rows, "files", &out, err);
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(program->out, &out);
    aq_bytes_deinit(&out);
    return status;
}

static enum aq_status report_text(struct aq_program *program, struct aq_rows *rows,
                                  const struct aq_gc_report *report, struct aq_error *err)
{
    char size[AQ_HUMAN_BYTES_MAX];
    if (report->file_count > 0)
        AQ_TRY(aq_rows_print(rows, program->out, err));
    aq_out_printf(program->out, "%s %llu file%s, %s\n",
                  program->options.dry_run ? "would remove" : "removed",
                  (unsigned long long)report->file_count, report->file_count == 1 ? "" : "s",
                  aq_human_size(report->bytes, size));
    return AQ_OK;
}

enum aq_status aq_command_gc(struct aq_program *program, struct aq_error *err)
{
    struct aq_store *store = NULL;
    struct aq_gc_report report = {0};
    struct aq_rows rows;
    AQ_TRY(aq_program_store(program, AQ_ACCESS_WRITE, &store, err));
    aq_rows_init(&rows, columns, sizeof(columns) / sizeof(columns[0]));
    enum aq_status status = aq_gc(store, program->options.dry_run, on_file, &rows, &report, err);
    if (status >= 0)
        status = program->options.json ? report_json(program, &rows, &report, err)
                                       : report_text(program, &rows, &report, err);
    aq_rows_deinit(&rows);
    return status;
}
