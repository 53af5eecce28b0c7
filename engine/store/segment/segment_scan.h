/* Reading a segment's frames one after the other: for recovery, and for readers where there is no index
 * to go by. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_SEGMENT_SCAN_H
#define AQ_ENGINE_STORE_SEGMENT_SCAN_H

#include "engine/store/segment/publish.h"
#include "engine/store/segment/segment_totals.h"

/** A segment file and what its frames must name. */
struct aq_segment_file {
    int fd;
    const char *path;
    struct aq_segment_header expected;
};

/**
 * Add the frames in [where `totals` ends, limit) to `totals`, each checked against the one before.
 * @param deep  Verify every byte, else prefixes and headers only.
 * @return AQ_OK when the frames fill the range; AQ_CORRUPT at the first that is not whole, the ones before
 *         it being added.
 */
enum aq_status aq_segment_scan(const struct aq_segment_file *file, uint64_t limit, bool deep,
                               struct aq_segment_totals *totals, struct aq_error *err) AQ_RESULT;

/**
 * Find the valid prefix of a segment whose writer is gone, every byte verified, and make it durable.
 * What follows it is a torn tail (`torn_bytes`; zeros at the file's end, written ahead, are no part of it), which
 * nobody was told to be durable; where there is proof of the contrary, in the published page or in a later frame, it
 * is AQ_CORRUPT.
 * @param published  What the writer's page said; NULL where it said nothing.
 */
enum aq_status aq_segment_find_prefix(const struct aq_segment_file *file,
                                      const struct aq_published *published,
                                      struct aq_segment_totals *totals, uint64_t *torn_bytes,
                                      struct aq_error *err) AQ_RESULT;

/**
 * The frames of an open segment that are durable now: what its living writer has published, or what recovery
 * will find of a dead one's. Changes nothing. AQ_TEMPORARY when the segment is being opened or
 * recovered for longer than that takes.
 * @param totals  Zero, but for its masks.
 */
enum aq_status aq_segment_read_open(struct aq_store *store, const struct aq_segment_file *file,
                                    struct aq_segment_totals *totals,
                                    struct aq_error *err) AQ_RESULT;

/** The frames of a closed segment, compared with what the catalog says of it: totals->index, from the
 * file's index where it is sealed; all of `totals`, from the frames' headers, where it is not or
 * totals->masks is set. */
enum aq_status aq_segment_read_closed(const struct aq_segment_file *file,
                                      const struct aq_catalog_file *entry,
                                      struct aq_segment_totals *totals,
                                      struct aq_error *err) AQ_RESULT;

/** Add the records that close a segment which nobody writes any more (aq_segment_totals_close). What is
 * masked in it by then is left out, for which the frames' headers are read again.
 * @param row_count  Rows that count. */
enum aq_status aq_segment_close(const struct aq_segment_file *file,
                                const struct aq_segment_totals *totals, uint64_t file_bytes,
                                const struct aq_catalog *catalog, struct aq_edit *edit,
                                uint64_t *row_count, struct aq_error *err) AQ_RESULT;

#endif
