/* Catalog edits: the numbered, checksummed, chained records that say what the store is. An edit is a
 * list of records; a checkpoint is an edit whose records rebuild the whole state. Bytes:
 * docs/catalog-format.md. Applying them: engine/store/catalog_state. */
#ifndef AQ_FORMAT_CATALOG_EDIT_H
#define AQ_FORMAT_CATALOG_EDIT_H

#include "format/segment/frame.h"

enum aq_file_kind { AQ_FILE_SEGMENT = 1, AQ_FILE_ARCHIVE = 2 };
enum aq_file_state { AQ_FILE_OPEN = 1, AQ_FILE_CLOSED = 2 }; /* an archive is always closed */

/* What a record says; the number is its tag on disk. */
#define AQ_RECORD_TABLE(X)                                                                         \
    X(AQ_RECORD_STORE, 1, "store")          /* identity and incarnation; first edit only */        \
    X(AQ_RECORD_DATASET, 2, "dataset")      /* a declaration: new dataset or next version of it */ \
    X(AQ_RECORD_VIEW, 3, "view")            /* named SQL; empty SQL removes it */                  \
    X(AQ_RECORD_OPEN, 4, "open")            /* a segment exists and may hold acked frames */       \
    X(AQ_RECORD_CLOSE, 5, "close")          /* its final sequence, length, checksum, entries */    \
    X(AQ_RECORD_ARCHIVE, 6, "archive")      /* a new archive with its root */                      \
    X(AQ_RECORD_REMOVE, 7, "remove")        /* a file is no longer part of the store */            \
    X(AQ_RECORD_FEED, 8, "feed")            /* a new feed: what it reads, into which dataset */    \
    X(AQ_RECORD_POSITION, 9, "position")    /* where a feed stands */                              \
    X(AQ_RECORD_CLAIM, 10, "claim")         /* who feeds a feed from which position on */          \
    X(AQ_RECORD_MASK, 11, "mask")           /* source ranges of a file that do not count */        \
    X(AQ_RECORD_TOMBSTONE, 12, "tombstone") /* (dataset, keys, slots) removed up to an edit */     \
    X(AQ_RECORD_COUNTERS, 13, "counters")   /* next ids; checkpoints only */                       \
    X(AQ_RECORD_LOST, 14, "lost")           /* positions of a feed that its source had dropped */  \
    X(AQ_RECORD_PLACE, 15, "place")         /* a closed file is in the bucket, too */              \
    X(AQ_RECORD_EVICT, 16, "evict")         /* a placed file is no longer at home */               \
    X(AQ_RECORD_COMPLETE, 17, "complete")   /* how far a mirrored catalog goes; mirrors only */    \
    X(AQ_RECORD_SINCE, 18, "since")         /* which edit a file came with; checkpoints only */    \
    X(AQ_RECORD_HOLD, 19, "hold") /* an open segment counts when it is closed, not before */

enum aq_record_kind {
#define AQ_RECORD_ENUM(name, tag, text) name = (tag),
    AQ_RECORD_TABLE(AQ_RECORD_ENUM)
#undef AQ_RECORD_ENUM
};

/** What of a file belongs to one dataset. */
struct aq_file_entry {
    uint32_t dataset_id;
    uint32_t schema_version;
    uint64_t row_count;
    bool has_time;
    int64_t min_time_us;
    int64_t max_time_us;
};

struct aq_feed_identity {
    uint64_t feed_id;
    uint32_t dataset_id;
    struct aq_slice source;  /* name in the config, or "import" */
    struct aq_slice name;    /* files: base name less the compression suffix; Kafka: topic */
    struct aq_slice cluster; /* Kafka cluster id; empty for files */
    int32_t partition;       /* Kafka; -1 for files */
    uint32_t incarnation;
    int64_t stamp_us; /* files: stamp of all its rows; Kafka: 0 */
};

struct aq_feed_position {
    uint64_t feed_id;
    uint64_t next_ordinal;
    uint64_t next_offset;
    struct aq_hash128 hash;
    int64_t last_stamp_us;
    uint64_t row_count; /* totals since the feed began */
    uint64_t reject_count;
    uint64_t passed_count;
    bool finished;
};

/** One record; `kind` says which member counts. Slices and arrays are borrowed. */
struct aq_record {
    enum aq_record_kind kind;
    union {
        struct {
            struct aq_store_id id;
            uint64_t incarnation;
        } store;
        struct aq_schema dataset;
        struct {
            struct aq_slice name;
            struct aq_slice sql;
        } view;
        struct {
            uint64_t file_id;
            uint64_t epoch;
        } open;
        struct {
            uint64_t file_id;
            uint64_t frame_count;
            uint64_t size_bytes; /* of valid frames; later bytes never count again */
            uint64_t file_bytes; /* of the whole file with its index footer; 0: not sealed */
            uint64_t checksum;   /* header checksum of the last frame */
            size_t entry_count;
            struct aq_file_entry *entries;
        } close;
        struct {
            uint64_t file_id;
            uint64_t size_bytes;
            struct aq_content_hash content;
            struct aq_file_entry entry;
            struct aq_slice root; /* copy of the archive's root */
        } archive;
        struct {
            uint64_t file_id;
        } remove;
        struct aq_feed_identity feed;
        struct aq_feed_position position;
        struct {
            uint64_t feed_id;
            uint64_t from_ordinal;
            uint64_t epoch;
            uint64_t file_id; /* segment of the claimant */
        } claim;
        struct {
            uint64_t file_id;
            uint64_t feed_id;
            uint64_t from_ordinal; /* rows of the feed at or after it do not count */
        } mask;
        struct {
            uint32_t dataset_id;
            size_t key_count; /* 0: all keys */
            struct aq_slice *keys;
            int64_t from_us;
            int64_t until_us;
            uint64_t before_edit;
        } tombstone;
        struct {
            uint64_t feed_id;
            uint64_t from_ordinal; /* never stored: from it ... */
            uint64_t next_ordinal; /* ... to before this one */
        } lost;
        struct {
            uint64_t file_id;
            struct aq_slice object; /* its name, relative to the bucket's prefix */
            struct aq_hash128 hash; /* XXH3-128 of the file's bytes */
        } place;
        struct {
            uint64_t file_id;
        } evict;
        struct {
            uint32_t dataset_id;
            int64_t until_us; /* rows with an earlier event time are all in the bucket */
        } complete;
        struct {
            uint64_t file_id;
            uint64_t edit; /* that added the archive or closed the segment */
        } since;
        struct {
            uint64_t file_id;
        } hold;
        struct {
            uint64_t next_file_id;
            uint64_t next_feed_id;
            uint64_t next_epoch;
            uint32_t next_dataset_id;
        } counters;
    };
};

struct aq_edit_header {
    uint64_t number;
    uint64_t previous_checksum; /* of edit number - 1; 0 for the first */
    uint8_t nonce[16];          /* the committer's */
    int64_t time_us;            /* wall clock, information only */
    bool checkpoint;            /* its records are the whole state as of `number` */
};

/** Nothing larger is written or read. */
#define AQ_EDIT_BYTES_MAX ((uint64_t)1 << 30)

/** Append a whole edit; `checksum` (of the edit) is what the next one names. Counters, complete and since are for
 * checkpoints; in another edit they are a caller's bug (asserted).
 * On failure out->size is restored. */
enum aq_status aq_edit_encode(const struct aq_edit_header *header, const struct aq_record *records,
                              size_t record_count, struct aq_bytes *out, uint64_t *checksum,
                              struct aq_error *err) AQ_RESULT;

/** Decode and verify; everything lives in `arena` or borrows from `bytes`. An unknown record kind is
 * AQ_UNSUPPORTED ("written by a newer version"), damage is AQ_CORRUPT, as is a record that only a checkpoint has. */
enum aq_status aq_edit_decode(struct aq_slice bytes, struct aq_arena *arena,
                              struct aq_edit_header *header, struct aq_record **records,
                              size_t *record_count, uint64_t *checksum,
                              struct aq_error *err) AQ_RESULT;

/** Number and previous checksum of an edit or a checkpoint, from its first bytes alone: they are not verified,
 * good for a comparison only. False when the bytes begin no edit. */
#define AQ_EDIT_PEEK_BYTES 40
bool aq_edit_peek(const uint8_t bytes[AQ_EDIT_PEEK_BYTES], uint64_t *number,
                  uint64_t *previous_checksum);

#endif
