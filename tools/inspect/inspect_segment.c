/* A segment, from its own bytes: its header, its frames with what they hold and what they take from
 * which feed. It ends at the first bytes that are no frame: the index of a sealed one, or what an
 * open one has not written yet. */
#include <stdio.h>

#include "tools/inspect/inspect.h"

static const struct aq_result_column frame_columns[] = {
    {"frame", AQ_TYPE_BIGINT},  {"offset", AQ_TYPE_BIGINT},      {"bytes", AQ_TYPE_BIGINT},
    {"sections", AQ_TYPE_TEXT}, {"rows", AQ_TYPE_BIGINT},        {"rejects", AQ_TYPE_BIGINT},
    {"feeds", AQ_TYPE_TEXT},    {"oldest", AQ_TYPE_TIMESTAMPTZ}, {"newest", AQ_TYPE_TIMESTAMPTZ},
};

static void add_sections(struct aq_rows *rows, const struct aq_frame_header *header)
{
    struct aq_bytes text = {0};
    char part[96];
    for (size_t i = 0; i < header->section_count; i++) {
        const struct aq_section_entry *section = &header->sections[i];
        snprintf(part, sizeof(part), "%sdataset %u v%u: %u rows, %llu B", i > 0 ? "; " : "",
                 section->dataset_id, section->schema_version, section->row_count,
                 (unsigned long long)section->size_bytes);
        aq_bytes_chars(&text, part);
    }
    aq_rows_slice(rows, aq_bytes_view(&text));
    aq_bytes_deinit(&text);
}

static void add_ranges(struct aq_rows *rows, const struct aq_frame_header *header)
{
    struct aq_bytes text = {0};
    char part[96];
    for (size_t i = 0; i < header->range_count; i++) {
        const struct aq_source_range *range = &header->ranges[i];
        snprintf(part, sizeof(part), "%s%llu: %llu..%llu%s", i > 0 ? "; " : "",
                 (unsigned long long)range->feed_id, (unsigned long long)range->first_ordinal,
                 (unsigned long long)range->next_ordinal, range->finished ? " (end)" : "");
        aq_bytes_chars(&text, part);
    }
    aq_rows_slice(rows, aq_bytes_view(&text));
    aq_bytes_deinit(&text);
}

static void add_frame(struct aq_rows *rows, const struct aq_frame_view *view)
{
    const struct aq_frame_header *header = &view->header;
    uint64_t row_count = 0, reject_count = 0;
    int64_t oldest = INT64_MAX, newest = INT64_MIN;
    for (size_t i = 0; i < header->range_count; i++) {
        row_count += header->ranges[i].row_count;
        reject_count += header->ranges[i].reject_count;
    }
    for (size_t i = 0; i < header->section_count; i++) {
        const struct aq_section_entry *section = &header->sections[i];
        if (section->has_time && section->min_time_us < oldest)
            oldest = section->min_time_us;
        if (section->has_time && section->max_time_us > newest)
            newest = section->max_time_us;
    }
    aq_rows_count(rows, header->prefix.sequence);
    aq_rows_count(rows, view->offset);
    aq_rows_count(rows, header->prefix.frame_size_bytes);
    add_sections(rows, header);
    aq_rows_count(rows, row_count);
    aq_rows_count(rows, reject_count);
    add_ranges(rows, header);
    aq_rows_time(rows, oldest <= newest, oldest);
    aq_rows_time(rows, oldest <= newest, newest);
}

/* Where frames end: a sealed file's trailer says so, else the file's end. */
static uint64_t frames_end(const struct aq_store_file *file, bool *sealed)
{
    struct aq_segment_trailer trailer;
    struct aq_bytes bytes = {0};
    uint64_t end = file->size_bytes;
    *sealed = false;
    if (file->size_bytes >= AQ_SEGMENT_HEADER_BYTES + AQ_SEGMENT_TRAILER_BYTES &&
        aq_store_file_read(file, file->size_bytes - AQ_SEGMENT_TRAILER_BYTES,
                           AQ_SEGMENT_TRAILER_BYTES, &bytes, NULL) >= 0 &&
        aq_segment_trailer_decode(aq_bytes_view(&bytes), file->size_bytes, &trailer, NULL) >= 0) {
        *sealed = true;
        end = trailer.index_offset;
    }
    aq_bytes_deinit(&bytes);
    return end;
}

enum aq_status aq_inspect_segment(struct aq_inspect *inspect, const struct aq_store_file *file,
                                  struct aq_error *err)
{
    struct aq_segment_header header;
    struct aq_frame_view view = {0};
    struct aq_rows rows;
    bool sealed = false;
    AQ_TRY(aq_segment_file_header(file, &header, err));
    uint64_t end = frames_end(file, &sealed), offset = AQ_SEGMENT_HEADER_BYTES;
    enum aq_status status = AQ_OK;
    aq_rows_init(&rows, frame_columns, sizeof(frame_columns) / sizeof(frame_columns[0]));
    while (offset < end) {
        status = aq_segment_file_frame(file, offset, end, &view, err);
        if (status < 0 || view.header.prefix.sequence != rows.batch.row_count)
            break;
        add_frame(&rows, &view);
        offset += view.header.prefix.frame_size_bytes;
    }
    if (!sealed && status == AQ_CORRUPT)
        status = AQ_OK; /* the end of an open segment; verify tells damage from it */
    aq_inspect_text(inspect, "segment", file->path);
    aq_inspect_count(inspect, "segment_id", header.segment_id);
    aq_inspect_count(inspect, "epoch", header.epoch);
    aq_inspect_text(inspect, "state", sealed ? "sealed" : "not sealed");
    aq_inspect_size(inspect, "bytes", file->size_bytes);
    aq_inspect_size(inspect, "frame_bytes", offset - AQ_SEGMENT_HEADER_BYTES);
    if (status >= 0)
        status = aq_inspect_rows(inspect, "frames", &rows, err);
    aq_rows_deinit(&rows);
    aq_frame_view_deinit(&view);
    return status;
}
