/* Rows to tiles to a file: coded side by side, written in order. */
#ifndef AQ_COMPACTION_TILE_WRITE_H
#define AQ_COMPACTION_TILE_WRITE_H

#include "compaction/merge/write/tile_cut.h"
#include "engine/base/workers.h"

/** Takes coded tiles, one after the other, in order. @thread Any one at a time. */
typedef enum aq_status (*aq_coded_tile_fn)(void *context, const struct aq_archive_tile *tile,
                                           struct aq_error *err);

/** Cut sorted rows into tiles, code them on all cores, and give them to `take`. `like`: schema and profile count. */
enum aq_status aq_tiles_write(const struct aq_archive_options *like,
                              const struct aq_row_stretch *stretches,
                              const struct aq_sorted_rows *rows, const struct aq_workers *workers,
                              aq_coded_tile_fn take, void *context, struct aq_error *err) AQ_RESULT;

#endif
