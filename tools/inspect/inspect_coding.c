/* What an archive's chunks are coded by. Of each chunk its nodes: one within the other, how many values each has (so many
 * entries, runs, patches) and in how many bytes. And of each 1,024 rows that are bit-packed what their header says. Queries skip
 * these vectors by their bounds, which no value is beyond and none need reach; where the packed numbers are not the values (codes
 * of a dictionary, differences) no bounds are told. Chunks that are coded as a whole, by runs, byte planes or entropy, have no
 * vectors; of those that follow another the line of the chunk says it all.
 *
 * All are counted, and the first ones kept. */
#include <stdio.h>

#include "tools/inspect/inspect.h"
#include "tools/output/text/human.h"

#define LIMIT_DEFAULT 1000
#define VECTORS_MAX (AQ_TILE_ROWS_MAX / AQ_VECTOR_ROWS_MAX)

static const struct aq_result_column node_columns[] = {
    {"tile", AQ_TYPE_BIGINT},
    {"column", AQ_TYPE_TEXT},
    {"values", AQ_TYPE_BIGINT},
    {"bytes", AQ_TYPE_BIGINT},
    {"bits_per_value", AQ_TYPE_DOUBLE},
    {"depth", AQ_TYPE_BIGINT},
    {"of", AQ_TYPE_TEXT},
    {"node", AQ_TYPE_TEXT},
};

static const struct aq_result_column vector_columns[] = {
    {"tile", AQ_TYPE_BIGINT}, {"column", AQ_TYPE_TEXT},       {"first_row", AQ_TYPE_BIGINT},
    {"rows", AQ_TYPE_BIGINT}, {"width_bits", AQ_TYPE_BIGINT}, {"bytes", AQ_TYPE_BIGINT},
    {"min", AQ_TYPE_TEXT},    {"max", AQ_TYPE_TEXT},
};

#define INIT(rows, columns) aq_rows_init((rows), (columns), sizeof(columns) / sizeof((columns)[0]))

void aq_inspect_coding_init(struct aq_inspect_coding *coding, const struct aq_inspect *inspect)
{
    *coding = (struct aq_inspect_coding){.limit = inspect->json ? UINT64_MAX : LIMIT_DEFAULT};
    coding->indented = !inspect->json;
    if (inspect->limited)
        coding->limit = inspect->limit;
    INIT(&coding->nodes, node_columns);
    INIT(&coding->vectors, vector_columns);
}

void aq_inspect_coding_deinit(struct aq_inspect_coding *coding)
{
    aq_rows_deinit(&coding->nodes);
    aq_rows_deinit(&coding->vectors);
    aq_decode_scratch_deinit(&coding->scratch);
}

static void add_node(struct aq_rows *rows, const struct aq_inspect_chunk *chunk,
                     const struct aq_coded_node *node, bool indented)
{
    char name[64];
    int indent = indented ? 2 * (int)node->depth : 0;
    snprintf(name, sizeof(name), "%*s%s", indent, "", node->encoding);
    aq_rows_count(rows, chunk->tile);
    aq_rows_text(rows, chunk->column);
    aq_rows_count(rows, node->value_count);
    aq_rows_count(rows, node->size_bytes);
    aq_rows_real(rows, 8 * (double)node->size_bytes / (double)node->value_count);
    aq_rows_count(rows, node->depth);
    aq_rows_text(rows, node->of_nulls ? "nulls" : "values");
    aq_rows_text(rows, name);
}

static enum aq_status add_nodes(struct aq_inspect_coding *coding, struct aq_slice coded,
                                const struct aq_inspect_chunk *chunk, struct aq_error *err)
{
    struct aq_coded_node nodes[AQ_CODED_NODES_MAX];
    size_t count = 0;
    AQ_TRY(aq_column_nodes(coded, nodes, &count, err));
    for (size_t i = 0; i < count && coding->node_count + i < coding->limit; i++)
        add_node(&coding->nodes, chunk, &nodes[i], coding->indented);
    coding->node_count += count;
    return AQ_OK;
}

/* Their bounds are all unknown if the coding does not tell. */
static enum aq_status read_bounds(struct aq_inspect_coding *coding, struct aq_slice coded,
                                  const struct aq_inspect_chunk *chunk,
                                  struct aq_column_stats *stats, struct aq_error *err)
{
    enum aq_status status =
        aq_column_bounds(coded, chunk->entry->type, chunk->row_count, &coding->scratch, stats, err);
    for (size_t i = 0; status == AQ_NOT_FOUND && i < VECTORS_MAX; i++)
        stats[i].bounds_known = false;
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}

static enum aq_status add_vector(struct aq_rows *rows, const struct aq_inspect_chunk *chunk,
                                 const struct aq_packed_vector *vector,
                                 const struct aq_column_stats *stats)
{
    enum aq_type type = chunk->entry->type;
    aq_rows_count(rows, chunk->tile);
    aq_rows_text(rows, chunk->column);
    aq_rows_count(rows, vector->row_first);
    aq_rows_count(rows, vector->row_count);
    aq_rows_count(rows, vector->width_bits);
    aq_rows_count(rows, vector->size_bytes);
    AQ_TRY(aq_inspect_bound(rows, type, stats->bounds_known, &stats->min));
    return aq_inspect_bound(rows, type, stats->bounds_known, &stats->max);
}

static enum aq_status add_vectors(struct aq_inspect_coding *coding, struct aq_slice coded,
                                  const struct aq_inspect_chunk *chunk, struct aq_error *err)
{
    struct aq_packed_vector packed[VECTORS_MAX];
    struct aq_column_stats stats[VECTORS_MAX];
    size_t count = 0;
    AQ_TRY(aq_column_packing(coded, chunk->entry->type, chunk->row_count, &coding->scratch, packed,
                             &count, err));
    if (count > 0)
        AQ_TRY(read_bounds(coding, coded, chunk, stats, err));
    for (size_t i = 0; i < count && coding->vector_count + i < coding->limit; i++) {
        if (add_vector(&coding->vectors, chunk, &packed[i],
                       &stats[packed[i].row_first / AQ_VECTOR_ROWS_MAX]) != AQ_OK)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory for the vectors of an archive");
    }
    coding->vector_count += count;
    return AQ_OK;
}

enum aq_status aq_inspect_coding_add(struct aq_inspect_coding *coding,
                                     const struct aq_inspect_chunk *chunk, struct aq_error *err)
{
    struct aq_slice coded;
    if (chunk->entry->leader != NULL)
        return AQ_OK;
    AQ_TRY(aq_chunk_open(chunk->bytes, chunk->entry, &coded, err));
    AQ_TRY(add_nodes(coding, coded, chunk, err));
    return add_vectors(coding, coded, chunk, err);
}

/* Under a heading that says how many are left out. */
static enum aq_status print_rows(struct aq_inspect *inspect, const char *name, uint64_t count,
                                 struct aq_rows *rows, struct aq_error *err)
{
    char all[AQ_HUMAN_BYTES_MAX];
    char shown[AQ_HUMAN_BYTES_MAX];
    char heading[128];
    if (inspect->json || count <= rows->batch.row_count)
        return aq_inspect_rows(inspect, name, rows, err);
    snprintf(heading, sizeof(heading), "%s, the first %s of %s (--limit)", name,
             aq_human_count(rows->batch.row_count, shown), aq_human_count(count, all));
    return aq_inspect_rows(inspect, heading, rows, err);
}

enum aq_status aq_inspect_coding_print(struct aq_inspect *inspect, struct aq_inspect_coding *coding,
                                       struct aq_error *err)
{
    if (inspect->json) {
        aq_inspect_count(inspect, "node_count", coding->node_count);
        aq_inspect_count(inspect, "vector_count", coding->vector_count);
    }
    AQ_TRY(print_rows(inspect, "nodes", coding->node_count, &coding->nodes, err));
    return print_rows(inspect, "vectors", coding->vector_count, &coding->vectors, err);
}
