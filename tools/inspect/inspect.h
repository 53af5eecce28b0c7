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
    bool limited;    /* to `limit` keys, slots or vectors; else as suits the reader */
    unsigned long limit;
    bool vectors; /* of an archive: vectors, too, and runs and chunks, which JSON has always */
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

/** The bit-packed vectors of an archive's chunks. */
struct aq_inspect_vectors {
    struct aq_rows rows; /* the first `limit` */
    uint64_t limit;
    uint64_t count; /* of all */
    struct aq_decode_scratch scratch;
};
void aq_inspect_vectors_init(struct aq_inspect_vectors *vectors, const struct aq_inspect *inspect);
void aq_inspect_vectors_deinit(struct aq_inspect_vectors *vectors);
/** Those of a chunk, whose bytes these are, of `row_count` rows. `column` is its name. */
enum aq_status aq_inspect_vectors_add(struct aq_inspect_vectors *vectors, size_t tile,
                                      const char *column, struct aq_slice bytes,
                                      const struct aq_chunk_entry *chunk, uint32_t row_count,
                                      struct aq_error *err) AQ_RESULT;
enum aq_status aq_inspect_vectors_print(struct aq_inspect *inspect,
                                        struct aq_inspect_vectors *vectors,
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
