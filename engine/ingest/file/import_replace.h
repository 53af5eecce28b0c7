/* Replacing spans of time: what `import --replace` does besides importing. */
#ifndef AQ_ENGINE_INGEST_IMPORT_REPLACE_H
#define AQ_ENGINE_INGEST_IMPORT_REPLACE_H

#include "engine/ingest/ingest.h"
#include "engine/store/segment/write/shard_writer.h"
#include "engine/store/snapshot/snapshot.h"

struct aq_time_range {
    int64_t from_us;
    int64_t until_us;
};

/** What new rows replace. Zero-initialise. */
struct aq_replacement {
    enum aq_replace_span span;
    size_t range_count;
    size_t range_capacity;
    struct aq_time_range *ranges; /* ascending, disjoint, none touches the next */
    struct aq_content_hash rows;  /* the new ones */
};
void aq_replacement_deinit(struct aq_replacement *replacement);

/** Note rows that come in: the spans that they lie in are replaced. `rows` begins with the columns of `schema`; of
 * a dataset without time all is one span. */
enum aq_status aq_replacement_add(struct aq_replacement *replacement,
                                  const struct aq_schema *schema,
                                  const struct aq_batch *rows) AQ_RESULT;

/** Whether the store has just these rows in just these spans already, not counting open segments; and how many it
 * has there. */
enum aq_status aq_replacement_compare(const struct aq_replacement *replacement,
                                      struct aq_store *store, const struct aq_schema *schema,
                                      bool *same, uint64_t *row_count,
                                      struct aq_error *err) AQ_RESULT;

/** Seal the writer's held segment with an edit that also removes what was in the spans before. */
enum aq_status aq_replacement_commit(const struct aq_replacement *replacement,
                                     struct aq_shard_writer *writer, const struct aq_schema *schema,
                                     struct aq_error *err) AQ_RESULT;

#endif
