/* Vectors of an archive's chunks: of each 1,024 rows that are bit-packed, what their header says. Queries skip vectors by these
 * bounds, which no value is beyond and none need reach; where the packed numbers are not the values (codes of a dictionary,
 * differences), or are of several kinds, no bounds are told. Chunks that are coded as a whole, by runs, byte planes or entropy,
 * and those that follow another, have no vectors.
 *
 * All are counted, and the first ones kept: an archive has 64 of a tile's column, and a root of 64 KiB. */
#include "tools/inspect/inspect.h"

#include <stdio.h>

#include "tools/output/text/human.h"

#define LIMIT_DEFAULT 1000
#define VECTORS_MAX (AQ_TILE_ROWS_MAX / AQ_VECTOR_ROWS_MAX)

static const struct aq_result_column vector_columns[] = {
    {"tile", AQ_TYPE_BIGINT}, {"column", AQ_TYPE_TEXT},       {"first_row", AQ_TYPE_BIGINT},
    {"rows", AQ_TYPE_BIGINT}, {"width_bits", AQ_TYPE_BIGINT}, {"bytes", AQ_TYPE_BIGINT},
    {"min", AQ_TYPE_TEXT},    {"max", AQ_TYPE_TEXT},
};

void aq_inspect_vectors_init(struct aq_inspect_vectors *vectors, const struct aq_inspect *inspect)
{
    *vectors = (struct aq_inspect_vectors){.limit = inspect->json ? UINT64_MAX : LIMIT_DEFAULT};
    if (inspect->limited)
        vectors->limit = inspect->limit;
    aq_rows_init(&vectors->rows, vector_columns,
                 sizeof(vector_columns) / sizeof(vector_columns[0]));
}

void aq_inspect_vectors_deinit(struct aq_inspect_vectors *vectors)
{
    aq_rows_deinit(&vectors->rows);
    aq_decode_scratch_deinit(&vectors->scratch);
}

/* Their bounds are all unknown if the coding does not tell. */
static enum aq_status read_bounds(struct aq_inspect_vectors *vectors, struct aq_slice coded,
                                  const struct aq_chunk_entry *chunk, uint32_t row_count,
                                  struct aq_column_stats *stats, struct aq_error *err)
{
    enum aq_status status =
        aq_column_bounds(coded, chunk->type, row_count, &vectors->scratch, stats, err);
    for (size_t i = 0; status == AQ_NOT_FOUND && i < VECTORS_MAX; i++)
        stats[i].bounds_known = false;
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}

static enum aq_status add_vector(struct aq_rows *rows, size_t tile, const char *column,
                                 enum aq_type type, const struct aq_packed_vector *vector,
                                 const struct aq_column_stats *stats)
{
    aq_rows_count(rows, tile);
    aq_rows_text(rows, column);
    aq_rows_count(rows, vector->row_first);
    aq_rows_count(rows, vector->row_count);
    aq_rows_count(rows, vector->width_bits);
    aq_rows_count(rows, vector->size_bytes);
    AQ_TRY(aq_inspect_bound(rows, type, stats->bounds_known, &stats->min));
    return aq_inspect_bound(rows, type, stats->bounds_known, &stats->max);
}

enum aq_status aq_inspect_vectors_add(struct aq_inspect_vectors *vectors, size_t tile,
                                      const char *column, struct aq_slice bytes,
                                      const struct aq_chunk_entry *chunk, uint32_t row_count,
                                      struct aq_error *err)
{
    struct aq_packed_vector packed[VECTORS_MAX];
    struct aq_column_stats stats[VECTORS_MAX];
    struct aq_slice coded;
    size_t count = 0;
    if (chunk->leader != NULL)
        return AQ_OK;
    AQ_TRY(aq_chunk_open(bytes, chunk, &coded, err));
    AQ_TRY(
        aq_column_packing(coded, chunk->type, row_count, &vectors->scratch, packed, &count, err));
    if (count > 0)
        AQ_TRY(read_bounds(vectors, coded, chunk, row_count, stats, err));
    for (size_t i = 0; i < count && vectors->count + i < vectors->limit; i++) {
        if (add_vector(&vectors->rows, tile, column, chunk->type, &packed[i],
                       &stats[packed[i].row_first / AQ_VECTOR_ROWS_MAX]) != AQ_OK)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory for the vectors of an archive");
    }
    vectors->count += count;
    return AQ_OK;
}

enum aq_status aq_inspect_vectors_print(struct aq_inspect *inspect,
                                        struct aq_inspect_vectors *vectors, struct aq_error *err)
{
    char all[AQ_HUMAN_BYTES_MAX];
    char shown[AQ_HUMAN_BYTES_MAX];
    char name[128] = "vectors";
    if (inspect->json)
        aq_inspect_count(inspect, "vector_count", vectors->count);
    else if (vectors->count > vectors->limit)
        snprintf(name, sizeof(name), "vectors, the first %s of %s (--limit)",
                 aq_human_count(vectors->limit, shown), aq_human_count(vectors->count, all));
    return aq_inspect_rows(inspect, name, &vectors->rows, err);
}
