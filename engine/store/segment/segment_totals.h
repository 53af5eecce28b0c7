/* What a segment's frames add up to: the rows of each dataset, the progress of each feed. Collected by
 * the writer as frames become durable and by recovery as it finds them, and written into the catalog
 * when the segment is closed. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_SEGMENT_TOTALS_H
#define AQ_ENGINE_STORE_SEGMENT_TOTALS_H

#include "engine/store/store.h"

#include "format/segment/segment_index.h"

/** Zero-initialise; owns its arrays. */
struct aq_segment_totals {
    const struct aq_catalog
        *masks; /* set it first to leave out what this catalog masks in `file_id`;
                                       NULL: everything counts. Borrowed */
    uint64_t file_id;
    size_t masked_count;
    size_t masked_capacity;
    uint32_t *masked; /* with `masks`: rows that do not count, of each section in order */
    struct aq_segment_index index; /* of the frames added */
    uint64_t last_checksum;        /* header checksum of the last one */
    uint64_t row_count;
    size_t entry_count;
    size_t entry_capacity;
    struct aq_file_entry *entries;
    size_t feed_count;
    size_t feed_capacity;
    struct aq_source_range *feeds; /* one a feed: from its first message to behind its last, counts
                                      summed */
};
void aq_segment_totals_deinit(struct aq_segment_totals *totals);

/** Add the next frame. */
enum aq_status aq_segment_totals_add(struct aq_segment_totals *totals,
                                     const struct aq_frame_header *header) AQ_RESULT;

/** Move `position`, which is that of totals->feeds[at] before the segment, on behind the segment. AQ_CORRUPT
 * when they do not fit together. */
enum aq_status aq_segment_totals_move(const struct aq_segment_totals *totals, size_t at,
                                      struct aq_feed_position *position,
                                      struct aq_error *err) AQ_RESULT;

/**
 * Add the records that close the segment: `close`, and a `position` for each feed that is not masked in
 * it: where a masked one stands was recorded when it was taken over. A segment without frames is
 * removed in the same edit. For a segment with masks `totals` must have been added up with them.
 * @param file_bytes  Of the whole sealed file; 0: not sealed.
 */
enum aq_status aq_segment_totals_close(const struct aq_segment_totals *totals, uint64_t file_id,
                                       uint64_t file_bytes, const struct aq_catalog *catalog,
                                       struct aq_edit *edit, struct aq_error *err) AQ_RESULT;

/** Add the records that drop a held segment, whatever is in it. AQ_END when it is open no more. */
enum aq_status aq_segment_drop(uint64_t file_id, const struct aq_catalog *catalog,
                               struct aq_edit *edit, struct aq_error *err) AQ_RESULT;

#endif
