/* Replacing spans of time by the rows of files (docs/import.md, "Replacing").
 *
 * Happy path: the new rows go into a held segment; the spans that they touch are noted on the way. When all files have
 * been read, the rows of the store in these spans are compared with the new ones. If they differ, one edit closes the
 * segment, so that it counts, and removes what was in the spans before.
 * Failures: whatever happens before that edit, the segment is dropped and the old rows stay. */
#include "engine/ingest/file/import_replace.h"

#include <stdlib.h>
#include <string.h>

#include "format/base/calendar.h"

void aq_replacement_deinit(struct aq_replacement *replacement)
{
    free(replacement->ranges);
    *replacement = (struct aq_replacement){0};
}

/* Spans. */

static struct aq_time_range span_of(enum aq_replace_span span, enum aq_slot slot, int64_t time_us)
{
    if (span == AQ_REPLACE_SLOT) {
        int64_t start_us = aq_slot_start(slot, time_us);
        return (struct aq_time_range){start_us, aq_slot_end(slot, start_us)};
    }
    enum aq_span calendar = span == AQ_REPLACE_DAY     ? AQ_SPAN_DAY
                            : span == AQ_REPLACE_MONTH ? AQ_SPAN_MONTH
                                                       : AQ_SPAN_YEAR;
    int64_t start_us = aq_span_start(calendar, time_us);
    return (struct aq_time_range){start_us, aq_span_end(calendar, start_us)};
}

/* Index of the first range that ends behind `time_us`. */
static size_t find_range(const struct aq_replacement *replacement, int64_t time_us)
{
    size_t low = 0;
    size_t high = replacement->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (replacement->ranges[middle].until_us <= time_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_time(const struct aq_replacement *replacement, int64_t time_us)
{
    size_t at = find_range(replacement, time_us);
    return at < replacement->range_count && replacement->ranges[at].from_us <= time_us;
}

/* Add a span that is not there yet; ranges that touch are joined. */
static enum aq_status add_span(struct aq_replacement *replacement, struct aq_time_range span)
{
    size_t at = find_range(replacement, span.from_us);
    struct aq_time_range *ranges = replacement->ranges;
    bool joins_left = at > 0 && ranges[at - 1].until_us == span.from_us;
    bool joins_right = at < replacement->range_count && ranges[at].from_us == span.until_us;
    if (joins_left && joins_right) {
        ranges[at - 1].until_us = ranges[at].until_us;
        memmove(&ranges[at], &ranges[at + 1], (replacement->range_count - at - 1) * sizeof *ranges);
        replacement->range_count--;
    } else if (joins_left) {
        ranges[at - 1].until_us = span.until_us;
    } else if (joins_right) {
        ranges[at].from_us = span.from_us;
    } else {
        if (replacement->range_count == replacement->range_capacity) {
            size_t capacity = replacement->range_capacity * 2 + 16;
            ranges = realloc(ranges, capacity * sizeof *ranges);
            if (ranges == NULL)
                return AQ_NO_MEMORY;
            replacement->ranges = ranges;
            replacement->range_capacity = capacity;
        }
        memmove(&ranges[at + 1], &ranges[at], (replacement->range_count - at) * sizeof *ranges);
        ranges[at] = span;
        replacement->range_count++;
    }
    return AQ_OK;
}

static enum aq_status add_spans(struct aq_replacement *replacement, const struct aq_schema *schema,
                                const struct aq_batch *rows)
{
    if (schema->time_column == AQ_COLUMN_NONE) {
        struct aq_time_range all = {INT64_MIN, INT64_MAX};
        return replacement->range_count > 0 ? AQ_OK : add_span(replacement, all);
    }
    const struct aq_vector *times = &rows->columns[schema->time_column];
    for (size_t row = 0; row < rows->row_count; row++) {
        if (!has_time(replacement, times->ints[row]))
            AQ_TRY(
                add_span(replacement, span_of(replacement->span, schema->slot, times->ints[row])));
    }
    return AQ_OK;
}

enum aq_status aq_replacement_add(struct aq_replacement *replacement,
                                  const struct aq_schema *schema, const struct aq_batch *rows)
{
    struct aq_content_hash hash;
    if (rows->row_count == 0)
        return AQ_OK;
    AQ_TRY(aq_batch_content_hash(rows, schema->column_count, &hash));
    aq_content_hash_add(&replacement->rows, &hash);
    return add_spans(replacement, schema, rows);
}

/* Comparing. */

static bool meets(const struct aq_replacement *replacement, const struct aq_schema *schema,
                  const struct aq_unit *unit)
{
    if (schema->time_column == AQ_COLUMN_NONE)
        return true;
    size_t at = find_range(replacement, unit->min_time_us);
    return unit->has_time && at < replacement->range_count &&
           replacement->ranges[at].from_us <= unit->max_time_us;
}

static enum aq_status append_row(struct aq_batch *to, const struct aq_batch *from, size_t row)
{
    for (size_t i = 0; i < to->column_count; i++)
        AQ_TRY(aq_vector_append_from(&to->columns[i], &from->columns[i], row, NULL));
    to->row_count++;
    return AQ_OK;
}

/* The rows of a batch that would be replaced. */
static enum aq_status hash_replaced(const struct aq_replacement *replacement,
                                    const struct aq_schema *schema, const struct aq_batch *rows,
                                    struct aq_content_hash *total)
{
    struct aq_batch kept;
    struct aq_content_hash hash;
    enum aq_status status = aq_schema_batch_init(schema, false, &kept);
    for (size_t row = 0; status == AQ_OK && row < rows->row_count; row++) {
        if (schema->time_column == AQ_COLUMN_NONE ||
            has_time(replacement, rows->columns[schema->time_column].ints[row]))
            status = append_row(&kept, rows, row);
    }
    if (status == AQ_OK)
        status = aq_batch_content_hash(&kept, schema->column_count, &hash);
    if (status == AQ_OK)
        aq_content_hash_add(total, &hash);
    aq_batch_deinit(&kept);
    return status;
}

static enum aq_status hash_unit(const struct aq_replacement *replacement,
                                struct aq_snapshot *snapshot, const struct aq_schema *schema,
                                const struct aq_unit *unit, const uint32_t *column_ids,
                                struct aq_content_hash *total, struct aq_error *err)
{
    struct aq_batch rows;
    enum aq_status status = aq_schema_batch_init(schema, false, &rows);
    if (status < 0)
        return aq_error_set(err, status, "out of memory");
    status = aq_unit_read(snapshot, unit, column_ids, &rows, err);
    if (status == AQ_OK) {
        status = hash_replaced(replacement, schema, &rows, total);
        if (status < 0)
            aq_error_set(err, status, "out of memory");
    }
    aq_batch_deinit(&rows);
    return status;
}

static enum aq_status hash_store(const struct aq_replacement *replacement,
                                 struct aq_snapshot *snapshot, const struct aq_schema *schema,
                                 const uint32_t *column_ids, struct aq_content_hash *total,
                                 struct aq_error *err)
{
    const struct aq_unit *units;
    size_t unit_count;
    AQ_TRY(aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, err));
    for (size_t i = 0; i < unit_count; i++) {
        if (meets(replacement, schema, &units[i]) &&
            !aq_snapshot_is_filling(snapshot, units[i].file_id))
            AQ_TRY(hash_unit(replacement, snapshot, schema, &units[i], column_ids, total, err));
    }
    return AQ_OK;
}

enum aq_status aq_replacement_compare(const struct aq_replacement *replacement,
                                      struct aq_store *store, const struct aq_schema *schema,
                                      bool *same, uint64_t *row_count, struct aq_error *err)
{
    struct aq_snapshot *snapshot = NULL;
    struct aq_content_hash total = {0};
    uint32_t *column_ids = malloc((schema->column_count + 1) * sizeof *column_ids);
    if (column_ids == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < schema->column_count; i++)
        column_ids[i] = schema->columns[i].id;
    enum aq_status status = aq_snapshot_open(store, &snapshot, err);
    if (status == AQ_OK) {
        status = hash_store(replacement, snapshot, schema, column_ids, &total, err);
        aq_snapshot_close(snapshot);
    }
    *same = aq_content_hash_equal(&total, &replacement->rows);
    *row_count = total.row_count;
    free(column_ids);
    return status;
}

/* Committing. */

struct commit {
    const struct aq_replacement *replacement;
    uint32_t dataset_id;
};

static enum aq_status build_removals(void *context, const struct aq_catalog *catalog,
                                     struct aq_edit *edit, struct aq_error *err)
{
    const struct commit *commit = context;
    (void)err;
    for (size_t i = 0; i < commit->replacement->range_count; i++) {
        struct aq_record record = {
            .kind = AQ_RECORD_TOMBSTONE,
            .tombstone = {.dataset_id = commit->dataset_id,
                          .from_us = commit->replacement->ranges[i].from_us,
                          .until_us = commit->replacement->ranges[i].until_us,
                          .before_edit = catalog->number + 1}}; /* what this edit closes stays */
        AQ_TRY(aq_edit_add(edit, &record));
    }
    return AQ_OK;
}

enum aq_status aq_replacement_commit(const struct aq_replacement *replacement,
                                     struct aq_shard_writer *writer, const struct aq_schema *schema,
                                     struct aq_error *err)
{
    struct commit commit = {.replacement = replacement, .dataset_id = schema->dataset_id};
    return aq_shard_writer_seal_with(writer, build_removals, &commit, err);
}
