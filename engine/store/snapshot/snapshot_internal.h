/* What the files of a snapshot share. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_SNAPSHOT_INTERNAL_H
#define AQ_ENGINE_STORE_SNAPSHOT_INTERNAL_H

#include "engine/store/file_cache.h"
#include "engine/store/history/lease.h"
#include "engine/store/segment/segment_scan.h"
#include "engine/store/snapshot/snapshot.h"

/** A file as this snapshot sees it. */
struct aq_snapshot_file {
    const struct aq_catalog_file *entry;
    size_t index;                   /* in the catalog, and in the file cache */
    struct aq_segment_index frames; /* segments: those that count */
    uint32_t *masked_rows;          /* segments with masks: of each section, in order; else NULL */
    size_t feed_count;              /* open segments: progress of each feed in it */
    struct aq_source_range *feeds;
    struct aq_archive_root root; /* archives */
    /* Archives: one a tile; NULL until it is read, which happens at once for files at home. */
    struct aq_tile_directory **directories;
    bool opened; /* what stands above has been read */
};

/** Where a unit's bytes lie. */
struct aq_unit_detail {
    struct aq_snapshot_file *file;
    uint64_t frame_offset;                  /* segments */
    const struct aq_section_entry *section; /* segments */
    uint32_t masked_rows;                   /* of the section: they do not count */
    const uint64_t *kept;                   /* unit_filter.h: stored rows that count; NULL: all */
    bool resolved;                          /* dedupe.h: what lost against a twin is left out ... */
    uint32_t twin_count;                    /* ... this many rows */
    const uint64_t *kept_with_twins;        /* `kept` without that */
};

struct aq_dataset_units {
    uint32_t dataset_id;
    size_t unit_count;
    size_t unit_capacity;
    struct aq_unit *units;
    bool partitioned;       /* units have their partitions */
    uint64_t *removed_rows; /* one a file of the catalog; NULL: none are removed */
    struct aq_dataset_units *next;
};

struct aq_snapshot {
    struct aq_store *store;
    const struct aq_catalog *catalog;
    struct aq_lease *lease; /* of this version, or an earlier one */
    struct aq_file_cache *cache;
    struct aq_snapshot_file *files; /* one a file of the catalog */
    struct aq_dataset_units *datasets;
    struct aq_arena arena; /* roots, directories, details */
    /* Held by who reads headers and directories; recursive, for those who read units under it. */
    pthread_mutex_t opening;
    pthread_mutex_t resolving; /* held by who looks for twins; taken before `opening` */
};

/** Read which frames of an open segment count, now: what its living writer has published, or what
 * recovery will find of a dead one's. */
enum aq_status aq_snapshot_freeze(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                                  struct aq_error *err) AQ_RESULT;
/** Read index or root and directories of a closed file, once. */
enum aq_status aq_snapshot_open_file(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                                     struct aq_error *err) AQ_RESULT;

/** Read a tile's directory, once. Caller holds `opening`. */
enum aq_status aq_snapshot_read_directory(struct aq_snapshot *snapshot,
                                          struct aq_snapshot_file *file, size_t tile,
                                          struct aq_error *err) AQ_RESULT;
/** Directory of an archive's unit, or NULL while it has not been read. @thread Any. */
const struct aq_tile_directory *aq_unit_directory(const struct aq_unit *unit);
const struct aq_chunk_entry *aq_unit_chunk(const struct aq_unit *unit, uint32_t column_id);
/** See to it that an archive's unit has its directory, and that reading these columns costs no request
 * each. @thread Any. */
enum aq_status aq_unit_prepare(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                               const uint32_t *column_ids, size_t column_count,
                               struct aq_error *err) AQ_RESULT;

/** Leave out what tombstones remove, of all units of a dataset: those of which nothing is left are taken from the
 * list. Caller holds `opening`. */
enum aq_status aq_units_remove_rows(struct aq_snapshot *snapshot, struct aq_dataset_units *dataset,
                                    struct aq_error *err) AQ_RESULT;

/** Fill in `partitions` and keys of a frame section's unit. */
enum aq_status aq_unit_partition(struct aq_snapshot *snapshot, struct aq_unit *unit,
                                 struct aq_error *err) AQ_RESULT;

#endif
