/* A snapshot: the catalog at one version and the durable part of the open segments it names. Every
 * query, export and compaction reads exactly one. */
#ifndef AQ_ENGINE_STORE_SNAPSHOT_H
#define AQ_ENGINE_STORE_SNAPSHOT_H

#include "engine/store/store.h"
#include "format/archive/archive.h"
#include "format/segment/frame.h"

struct aq_snapshot;

/** Takes a lease of the catalog's version, so that no file of it goes away while it is open. */
enum aq_status aq_snapshot_open(struct aq_store *store, struct aq_snapshot **snapshot,
                                struct aq_error *err) AQ_RESULT;
void aq_snapshot_close(struct aq_snapshot *snapshot);
const struct aq_catalog *aq_snapshot_catalog(const struct aq_snapshot *snapshot);

/** The smallest readable part: one dataset's section of a frame, or one tile of an archive. */
struct aq_unit {
    uint64_t file_id;
    enum aq_file_kind kind;
    uint32_t index; /* frame sequence or tile number, for messages and inspect */
    uint32_t dataset_id;
    uint32_t schema_version;
    uint32_t row_count;
    uint64_t size_bytes; /* on disk, all columns */
    bool remote;         /* a tile of an archive that is in the bucket and not at home */
    bool has_time;
    int64_t min_time_us;
    int64_t max_time_us;
    bool has_keys; /* key_min and key_max bound the text form of the key */
    struct aq_slice key_min;
    struct aq_slice key_max;
    const struct aq_partition
        *partitions; /* frame sections, after aq_snapshot_partitions; else NULL */
    size_t partition_count;
    const void *detail; /* private */
};

/** All units of a dataset that have rows which are not removed, in (file, index) order; borrowed from the
 * snapshot. Headers and directories are read and verified on first call; of remote units only what the catalog
 * has of them, unless some of their rows are removed. */
enum aq_status aq_snapshot_units(struct aq_snapshot *snapshot, uint32_t dataset_id,
                                 const struct aq_unit **units, size_t *unit_count,
                                 struct aq_error *err) AQ_RESULT;

/** Read the partition directories of the dataset's frame sections, so that its units have `partitions`,
 * and keys where the dataset has a key: worth it where a key is asked for, since each section is read
 * whole. AQ_OK at once when they are there. Nobody may be reading the dataset's units meanwhile. */
enum aq_status aq_snapshot_partitions(struct aq_snapshot *snapshot, uint32_t dataset_id,
                                      struct aq_error *err) AQ_RESULT;

/** Statistics of one declared column (by column id) of a unit, or NULL where none are kept, not all of its
 * stored rows count, or they are not known before the unit's directory has been fetched. */
const struct aq_column_stats *aq_unit_stats(const struct aq_unit *unit, uint32_t column_id);

/** The runs of an archive's unit, of all rows that are stored; NULL and none, as above. */
const struct aq_run_entry *aq_unit_runs(const struct aq_unit *unit, size_t *run_count);

/**
 * Statistics of one declared column of each run of aq_unit_runs; row_count is 0 where a run has none: a short one, or
 * one of an archive that keeps none, has none but of key and time.
 * @param stats  As many as there are runs; slices live in `arena`, or as long as the snapshot.
 * @return AQ_OK; AQ_NOT_FOUND where aq_unit_stats would give NULL.
 * @thread Any, each with its own arena.
 */
enum aq_status aq_unit_run_stats(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                 uint32_t column_id, struct aq_arena *arena,
                                 struct aq_column_stats *stats, struct aq_error *err) AQ_RESULT;
struct aq_run_ends;
/** As aq_unit_run_stats: the first and last values, by the dataset's time, of each run; none is given where the archive says
 * nothing of them. */
enum aq_status aq_unit_run_ends(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                uint32_t column_id, struct aq_arena *arena,
                                struct aq_run_ends *ends, struct aq_error *err) AQ_RESULT;
/** Whether all rows that are stored count, and it is known where columns are. */
bool aq_unit_is_whole(const struct aq_unit *unit);

/** Bytes of a column in an archive's unit, 0 where that is not known, as above. */
uint64_t aq_unit_column_bytes(const struct aq_unit *unit, uint32_t column_id);

/**
 * Read columns of a unit: batch column i becomes the declared column with id column_ids[i] (or
 * AQ_SYSTEM_ID_* for frame sections); all null where the file has none. Every byte is verified.
 * @param batch  Initialised with the types wanted; cleared first; owns all that it points to.
 * @thread Any number of threads at once, each with its own batch.
 */
enum aq_status aq_unit_read(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                            const uint32_t *column_ids, struct aq_batch *batch,
                            struct aq_error *err) AQ_RESULT;

/** What has been read of one unit and verified, so that who asks of a column bounds, different values and rows reads it once:
 * chunks, which are let go when their rows have been read; or a frame's section. Zero-initialise; deinit before the next
 * unit. */
struct aq_held {
    struct aq_held_chunk {
        struct aq_held_chunk *next;
        uint64_t offset;
        uint8_t *bytes;
        struct aq_slice coded;
        struct aq_leader_numbers numbers; /* if others follow it, once they did */
    } * chunks;
    struct aq_section section;
    struct aq_arena arena; /* the section's */
};
void aq_held_deinit(struct aq_held *held);

struct aq_decode_scratch;
/** Some columns and rows of a unit. */
struct aq_unit_part {
    const bool *columns; /* of the batch, those to read; NULL: all */
    uint32_t row_first;  /* rows from here to row_end are wanted, others are unspecified */
    uint32_t row_end;
    const uint64_t *vectors; /* NULL, or of these only those of vectors whose bit is set */
    struct aq_decode_scratch *scratch; /* NULL, or that of the caller, in use by nobody else */
    struct aq_held *held;              /* the same; of this unit */
};

/** As aq_unit_read, of a part; the batch is not cleared, so that another part's columns may be there. */
enum aq_status aq_unit_read_part(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                 const uint32_t *column_ids, const struct aq_unit_part *part,
                                 struct aq_batch *batch, struct aq_error *err) AQ_RESULT;

struct aq_factored;
/**
 * Rows [row_first, row_end) of one column of a unit as its different values (format/encode/encode.h).
 * @param held  Gets the chunk where rows have to be read, or has it.
 * @param scratch  NULL, or that of the caller, in use by nobody else.
 * @return AQ_OK; AQ_NOT_FOUND where it has to be read by aq_unit_read_part: it is not so encoded, damaged, or not there,
 * or not all stored rows count.
 * @thread Any.
 */
enum aq_status aq_unit_factor(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                              uint32_t column_id, enum aq_type type, uint32_t row_first,
                              uint32_t row_end, struct aq_held *held,
                              struct aq_decode_scratch *scratch, struct aq_factored *factored,
                              struct aq_error *err) AQ_RESULT;

/**
 * Statistics of each vector of one column of a unit, as its coding tells them (aq_column_bounds).
 * @param held   Gets the chunk, or has it.
 * @param scratch  As for aq_unit_factor.
 * @param stats  aq_vector_count(unit->row_count) of them.
 * @return As aq_unit_factor.
 * @thread Any.
 */
enum aq_status aq_unit_bounds(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                              uint32_t column_id, enum aq_type type, struct aq_held *held,
                              struct aq_decode_scratch *scratch, struct aq_column_stats *stats,
                              struct aq_error *err) AQ_RESULT;

/** Tiles up to this size are fetched by one request, directory and all columns. */
#define AQ_SMALL_TILE_BYTES ((uint64_t)1 << 20)

/**
 * Fetch what reading `column_ids` of these units will need, in few requests: ranges of one file no further
 * than 1 MiB apart are joined up to 16 MiB, several in flight; small tiles come whole, others directory
 * first. Only remote units cost anything; they have no statistics
 * before this. What is fetched is held in memory, 256 MiB at most: more is fetched as it is read.
 * @param units       In (file, index) order.
 * @param column_ids  NULL: the directories only.
 * @thread Any; units may be read meanwhile.
 */
enum aq_status aq_snapshot_prefetch(struct aq_snapshot *snapshot,
                                    const struct aq_unit *const *units, size_t unit_count,
                                    const uint32_t *column_ids, size_t column_count,
                                    struct aq_error *err) AQ_RESULT;

/** How many rows of a dataset in a file are removed by tombstones. Its units have been listed before. */
uint64_t aq_snapshot_removed_rows(const struct aq_snapshot *snapshot, uint32_t dataset_id,
                                  uint64_t file_id);

/** Event time of a dataset's earliest row that is in open segments only: INT64_MAX when there is no such row,
 * INT64_MIN when one has no time. */
int64_t aq_snapshot_open_since(const struct aq_snapshot *snapshot, uint32_t dataset_id);
/** Whether a file is an open segment with frames. */
bool aq_snapshot_is_filling(const struct aq_snapshot *snapshot, uint64_t file_id);

/** A feed and where it stands in this snapshot: the durable frames of open segments included. Texts are
 * borrowed from the snapshot's catalog. */
struct aq_feed_state {
    struct aq_feed_identity identity; /* feed_id 0: never fed */
    struct aq_feed_position position; /* next_ordinal is where to go on */
};
/** State of the feed catalog->feeds[at]. */
enum aq_status aq_snapshot_feed(const struct aq_snapshot *snapshot, size_t at,
                                struct aq_feed_state *feed, struct aq_error *err) AQ_RESULT;

/** Read edit `number` of the catalog: AQ_NOT_FOUND when it is not kept any more, or is newer than the
 * snapshot. A mirror has none. Everything lives in `arena`. */
enum aq_status aq_snapshot_edit(struct aq_snapshot *snapshot, uint64_t number,
                                struct aq_arena *arena, struct aq_edit_header *header,
                                struct aq_record **records, size_t *record_count,
                                struct aq_error *err) AQ_RESULT;

/** Requests to the bucket for this snapshot, and blocks that the cache had. Zero without a bucket. */
struct aq_remote_counters {
    uint64_t get_count;
    uint64_t bytes_received;
    uint64_t cache_hit_bytes;
};
struct aq_remote_counters aq_snapshot_remote(const struct aq_snapshot *snapshot);

/** Up to where a dataset is known to be complete: of a mirror, the event time before which all its rows are
 * there; else INT64_MAX. */
int64_t aq_snapshot_complete_until(const struct aq_snapshot *snapshot, uint32_t dataset_id);

/** Bytes read from files so far. */
uint64_t aq_snapshot_bytes_read(const struct aq_snapshot *snapshot);

#endif
