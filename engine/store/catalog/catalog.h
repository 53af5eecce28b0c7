/* The catalog: which files are the store, where its feeds stand, what its datasets are. An immutable
 * state per version; the only way to change it is aq_store_commit (engine/store/store.h). */
#ifndef AQ_ENGINE_STORE_CATALOG_H
#define AQ_ENGINE_STORE_CATALOG_H

#include "format/archive/archive.h"
#include "format/catalog/catalog_edit.h"

struct aq_catalog_file {
    uint64_t file_id;
    enum aq_file_kind kind;
    enum aq_file_state state;
    uint64_t edit;                  /* closed: number of the edit that closed or added it */
    uint64_t epoch;                 /* segments: the writer's */
    bool held;                      /* open segments: nothing of it counts before it is closed */
    uint64_t frame_count;           /* closed segments */
    uint64_t size_bytes;            /* closed: bytes that count */
    uint64_t file_bytes;            /* whole file as sealed; 0: closed by recovery, not sealed */
    uint64_t checksum;              /* closed segments: header checksum of the last frame */
    struct aq_content_hash content; /* archives */
    size_t entry_count;             /* archives: 1; open segments: 0 */
    struct aq_file_entry *entries;
    struct aq_slice root; /* archives */
    /* The tier: where else the bytes are, and whether they still are at home. */
    struct aq_slice object; /* name in the bucket; empty: at home only */
    struct aq_hash128 object_hash;
    bool evicted; /* not at home any more */
};

struct aq_catalog_dataset {
    size_t version_count;
    struct aq_schema *versions; /* ascending; the last one is in force */
    int64_t complete_until_us;  /* of a mirrored catalog; INT64_MAX: complete, and at home */
};

struct aq_catalog_view {
    struct aq_slice name;
    struct aq_slice sql;
};

struct aq_catalog_feed {
    struct aq_feed_identity identity;
    struct aq_feed_position position; /* as of the last closed segment that fed it */
    uint64_t claim_file_id;           /* segment of the last claim; 0: none */
    uint64_t claim_epoch;
    uint64_t claim_from_ordinal;
};

/** Messages of a feed that its source had dropped before they were read. */
struct aq_catalog_lost {
    uint64_t feed_id;
    uint64_t from_ordinal;
    uint64_t next_ordinal;
};

/** Rows of a feed in a file that do not count: written by an owner that had lost its claim. */
struct aq_catalog_mask {
    uint64_t file_id;
    uint64_t feed_id;
    uint64_t from_ordinal;
};

/** Rows removed from what was committed before an edit: those of the dataset, of one of the keys, with a time
 * in [from_us, until_us); of a dataset without time, whatever the span. Snapshots leave them out. There
 * is none that no file is left for. */
struct aq_catalog_tombstone {
    uint32_t dataset_id;
    size_t key_count;      /* 0: all keys */
    struct aq_slice *keys; /* in text form, sorted */
    int64_t from_us;
    int64_t until_us;
    uint64_t before_edit;
};

/** Immutable; shared by reference count. */
struct aq_catalog {
    uint64_t number;   /* of the newest edit applied */
    uint64_t checksum; /* of that edit */
    int64_t time_us;   /* wall clock of its committer; of a mirror: when it was written */
    struct aq_store_id store_id;
    uint64_t incarnation;
    uint64_t next_file_id;
    uint64_t next_feed_id;
    uint64_t next_epoch;
    uint32_t next_dataset_id;
    size_t dataset_count;
    struct aq_catalog_dataset *datasets;
    size_t view_count;
    struct aq_catalog_view *views;
    size_t file_count;
    struct aq_catalog_file *files; /* by file_id */
    size_t feed_count;
    struct aq_catalog_feed *feeds; /* by feed_id */
    size_t mask_count;
    struct aq_catalog_mask *masks; /* by file and feed; one a pair */
    size_t lost_count;
    struct aq_catalog_lost *losses;
    size_t tombstone_count;
    struct aq_catalog_tombstone *tombstones;
    struct aq_arena arena;
    unsigned reference_count; /* atomic */
};

/** A copy that borrows all that `from` points to. Not by `=`, which would read the count of references that
 * other threads change meanwhile. */
void aq_catalog_borrow(struct aq_catalog *copy, const struct aq_catalog *from);

const struct aq_schema *aq_catalog_schema(const struct aq_catalog *catalog, const char *dataset);
/** Declaration by id; version 0: the one in force. NULL when there is none. */
const struct aq_schema *aq_catalog_schema_by_id(const struct aq_catalog *catalog,
                                                uint32_t dataset_id, uint32_t version);
const struct aq_catalog_file *aq_catalog_file(const struct aq_catalog *catalog, uint64_t file_id);
const struct aq_catalog_feed *aq_catalog_feed(const struct aq_catalog *catalog, uint64_t feed_id);
/** The mask on a feed's rows in a file; NULL: all of them count. */
const struct aq_catalog_mask *aq_catalog_mask(const struct aq_catalog *catalog, uint64_t file_id,
                                              uint64_t feed_id);
/** Whether a message in a file is masked. */
bool aq_catalog_is_masked(const struct aq_catalog *catalog, uint64_t file_id, uint64_t feed_id,
                          uint64_t ordinal);
/** Whether there is a mask on the file, whatever it hides. */
bool aq_catalog_masks_file(const struct aq_catalog *catalog, uint64_t file_id);
/** How many rows of a frame's section are from one of the frame's ranges. */
uint64_t aq_catalog_range_rows(const struct aq_catalog *catalog,
                               const struct aq_source_range *range,
                               const struct aq_section_entry *section);
/** How many rows of a section of the file do not count, by the ranges of its frame; at most
 * section->row_count. */
uint32_t aq_catalog_masked_rows(const struct aq_catalog *catalog, uint64_t file_id,
                                const struct aq_frame_header *frame,
                                const struct aq_section_entry *section);
/** Messages of a feed that its source had dropped before they were read; ranges may overlap. */
uint64_t aq_catalog_count_lost(const struct aq_catalog *catalog, uint64_t feed_id);
/** Whether `newer` hides the same rows of a file as `older` does, by masks and tombstones. Of a file that is gone it
 * is not known: it may have been masked before. */
bool aq_catalog_hides_alike(const struct aq_catalog *older, const struct aq_catalog *newer,
                            uint64_t file_id);
const struct aq_catalog_view *aq_catalog_view(const struct aq_catalog *catalog, const char *name);

/** Bytes of a closed file as copied into a bucket: all of it, or, of a segment that is not sealed, those
 * that count. */
uint64_t aq_catalog_file_bytes(const struct aq_catalog_file *file);

/** "segments/00000000000000000042.seg" or "archives/....aqa", relative to the home; `out` >= 64. */
void aq_catalog_file_name(enum aq_file_kind kind, uint64_t file_id, char *out, size_t out_size);

#endif
