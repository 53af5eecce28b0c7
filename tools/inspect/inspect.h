/* What `inspect` shows: of a whole store, a dataset, a segment, an archive. Each prints tables, or one
 * JSON object. */
#ifndef AQ_TOOLS_INSPECT_INSPECT_H
#define AQ_TOOLS_INSPECT_INSPECT_H

#include "engine/store/snapshot/snapshot.h"
#include "tools/layout/store_file.h"
#include "tools/output/forms/rows.h"

/** Where it goes. Text: tables under headings. JSON: members of one object. */
struct aq_inspect {
    struct aq_out *stream;
    bool json;
    const char *key; /* of a dataset: its slots only; NULL: all keys */
    bool limited;    /* to `limit` keys, slots, nodes or vectors; else as suits the reader */
    unsigned long limit;
    bool vectors; /* of an archive: nodes and vectors, and runs and chunks, which JSON has always */
    struct aq_bytes object; /* JSON under construction */
};

/** A fact: "name: value". */
void aq_inspect_text(struct aq_inspect *inspect, const char *name, const char *value);
void aq_inspect_count(struct aq_inspect *inspect, const char *name, uint64_t value);
void aq_inspect_size(struct aq_inspect *inspect, const char *name, uint64_t size_bytes);
/** A table under its name. */
enum aq_status aq_inspect_rows(struct aq_inspect *inspect, const char *name, struct aq_rows *rows,
                               struct aq_error *err) AQ_RESULT;

/** A bound of a column's values, as text; null where it is not known. AQ_NO_MEMORY. */
enum aq_status aq_inspect_bound(struct aq_rows *rows, enum aq_type type, bool known,
                                const union aq_stats_value *value) AQ_RESULT;

/** What an archive's chunks are coded by: nodes, and vectors of those that are bit-packed. */
struct aq_inspect_coding {
    uint64_t limit;
    bool indented;        /* nodes, by their depth */
    struct aq_rows nodes; /* the first `limit` */
    uint64_t node_count;  /* of all */
    struct aq_rows vectors;
    uint64_t vector_count;
    struct aq_decode_scratch scratch;
};
void aq_inspect_coding_init(struct aq_inspect_coding *coding, const struct aq_inspect *inspect);
void aq_inspect_coding_deinit(struct aq_inspect_coding *coding);
/** A chunk as it is in the file, of `row_count` rows; one that follows another is left out. */
struct aq_inspect_chunk {
    size_t tile;
    const char *column;
    struct aq_slice bytes;
    const struct aq_chunk_entry *entry;
    uint32_t row_count;
};
enum aq_status aq_inspect_coding_add(struct aq_inspect_coding *coding,
                                     const struct aq_inspect_chunk *chunk,
                                     struct aq_error *err) AQ_RESULT;
enum aq_status aq_inspect_coding_print(struct aq_inspect *inspect, struct aq_inspect_coding *coding,
                                       struct aq_error *err) AQ_RESULT;

enum aq_status aq_inspect_store(struct aq_inspect *inspect, struct aq_store *store,
                                struct aq_snapshot *snapshot, struct aq_error *err) AQ_RESULT;
enum aq_status aq_inspect_dataset(struct aq_inspect *inspect, struct aq_snapshot *snapshot,
                                  const struct aq_schema *schema, struct aq_error *err) AQ_RESULT;
/** Its partitions alone. */
enum aq_status aq_inspect_partitions(struct aq_inspect *inspect, struct aq_snapshot *snapshot,
                                     const struct aq_schema *schema,
                                     struct aq_error *err) AQ_RESULT;
enum aq_status aq_inspect_segment(struct aq_inspect *inspect, const struct aq_store_file *file,
                                  struct aq_error *err) AQ_RESULT;
enum aq_status aq_inspect_archive(struct aq_inspect *inspect, const struct aq_store_file *file,
                                  struct aq_error *err) AQ_RESULT;

#endif
