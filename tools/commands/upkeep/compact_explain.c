/* Printing a plan: files with their verdicts, then groups with what is expected of them.
 *
 * A group without rows and archives is left out: the plan has it so that groups cover all of time.
 * Failures: none; what cannot be printed is the caller's output's affair. */
#include "tools/commands/upkeep/compact_explain.h"

#include "engine/base/civil/civil_time.h"
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"

#define NAME_BYTES 64

static uint64_t row_count(const struct aq_catalog_file *file)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < file->entry_count; i++)
        rows += file->entries[i].row_count;
    return rows;
}

static bool is_empty(const struct aq_compact_group *group)
{
    return group->row_count == 0 && group->archive_count == 0;
}

static const char *bound(int64_t time_us, const char *none, char out[NAME_BYTES])
{
    if (time_us == INT64_MIN || time_us == INT64_MAX)
        return none;
    aq_time_format(time_us, aq_zone_utc(), out, NAME_BYTES);
    return out;
}

static void explain_files(struct aq_out *out, const struct aq_compact_plan *plan)
{
    char name[NAME_BYTES], a[AQ_HUMAN_BYTES_MAX], b[AQ_HUMAN_BYTES_MAX];
    for (size_t i = 0; i < plan->verdict_count; i++) {
        const struct aq_compact_verdict *verdict = &plan->verdicts[i];
        aq_catalog_file_name(verdict->file->kind, verdict->file->file_id, name, sizeof name);
        aq_out_printf(out, "  %-4s %s  %9s  %12s rows  %s\n", verdict->input ? "in" : "out", name,
                      aq_human_size(aq_catalog_file_bytes(verdict->file), a),
                      aq_human_count(row_count(verdict->file), b), verdict->reason);
    }
}

static void explain_group(struct aq_out *out, const struct aq_compact_group *group)
{
    char from[NAME_BYTES], until[NAME_BYTES], a[AQ_HUMAN_BYTES_MAX], b[AQ_HUMAN_BYTES_MAX];
    aq_out_printf(out, "  %s, %s to %s: %s\n", group->schema->dataset,
                  bound(group->from_us, "the beginning", from),
                  bound(group->until_us, "the end of time", until), group->reason);
    aq_out_printf(out, "       %s rows of segments, %zu archive%s -> about %s\n",
                  aq_human_count(group->row_count, a), group->archive_count,
                  group->archive_count == 1 ? "" : "s", aq_human_size(group->bytes, b));
}

void aq_compact_explain_text(struct aq_out *out, const struct aq_compact_plan *plan)
{
    char a[AQ_HUMAN_BYTES_MAX], b[AQ_HUMAN_BYTES_MAX];
    aq_out_text(out, "files:\n");
    explain_files(out, plan);
    aq_out_text(out, plan->input_count > 0 ? "what becomes of those that are in:\n" : "");
    for (size_t i = 0; i < plan->dataset_count; i++) {
        for (size_t g = 0; g < plan->datasets[i].group_count; g++) {
            if (!is_empty(&plan->datasets[i].groups[g]))
                explain_group(out, &plan->datasets[i].groups[g]);
        }
    }
    aq_out_printf(out, "to read: %s; to write: about %s\n", aq_human_size(plan->input_bytes, a),
                  aq_human_size(plan->output_bytes, b));
}

static void put_file(struct aq_bytes *out, const struct aq_compact_verdict *verdict)
{
    char name[NAME_BYTES];
    aq_catalog_file_name(verdict->file->kind, verdict->file->file_id, name, sizeof name);
    aq_json_name(out, NULL);
    aq_json_open(out, '{');
    aq_json_member_text(out, "file", name);
    aq_json_member_bool(out, "input", verdict->input);
    aq_json_member_bool(out, "final", verdict->final);
    aq_json_member_text(out, "reason", verdict->reason);
    aq_json_member_count(out, "bytes", aq_catalog_file_bytes(verdict->file));
    aq_json_member_count(out, "rows", row_count(verdict->file));
    aq_json_close(out, '}');
}

static void put_group(struct aq_bytes *out, const struct aq_compact_group *group)
{
    aq_json_name(out, NULL);
    aq_json_open(out, '{');
    aq_json_member_text(out, "dataset", group->schema->dataset);
    if (group->from_us != INT64_MIN)
        aq_json_member_time(out, "from", group->from_us);
    if (group->until_us != INT64_MAX)
        aq_json_member_time(out, "until", group->until_us);
    aq_json_member_text(out, "reason", group->reason);
    aq_json_member_count(out, "segment_rows", group->row_count);
    aq_json_member_count(out, "archives", group->archive_count);
    aq_json_member_count(out, "expected_bytes", group->bytes);
    aq_json_close(out, '}');
}

void aq_compact_explain_json(struct aq_bytes *out, const struct aq_compact_plan *plan)
{
    aq_json_name(out, "files");
    aq_json_open(out, '[');
    for (size_t i = 0; i < plan->verdict_count; i++)
        put_file(out, &plan->verdicts[i]);
    aq_json_close(out, ']');
    aq_json_name(out, "groups");
    aq_json_open(out, '[');
    for (size_t i = 0; i < plan->dataset_count; i++) {
        for (size_t g = 0; g < plan->datasets[i].group_count; g++) {
            if (!is_empty(&plan->datasets[i].groups[g]))
                put_group(out, &plan->datasets[i].groups[g]);
        }
    }
    aq_json_close(out, ']');
    aq_json_member_count(out, "expected_bytes", plan->output_bytes);
}
