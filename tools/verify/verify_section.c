/* One section of a frame, decoded: as many rows as its entry says, partitions that cover them in order and
 * hold the keys and slots that they say, times within the entry's bounds. */
#include <inttypes.h>
#include <stdlib.h>

#include "format/table/key_text.h"
#include "tools/verify/verify.h"

struct decoded {
    struct aq_verify *verify;
    const struct aq_store_file *file;
    const struct aq_schema *schema;
    const struct aq_section_entry *section;
    uint64_t offset; /* of the section, in the file */
    struct aq_batch batch;
    struct aq_arena arena;
};

static void fault(const struct decoded *decoded, const char *what, uint32_t row)
{
    aq_verify_fault_at(decoded->verify, decoded->file->path, decoded->offset, "row %u: %s", row,
                       what);
}

static enum aq_status decode(struct decoded *decoded, struct aq_slice bytes, struct aq_error *err)
{
    const struct aq_schema *schema = decoded->schema;
    size_t count = schema->column_count + AQ_SYSTEM_COLUMN_COUNT;
    uint32_t *ids = calloc(count, sizeof(*ids));
    if (ids == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to decode a section");
    for (size_t i = 0; i < schema->column_count; i++)
        ids[i] = schema->columns[i].id;
    ids[schema->column_count + AQ_SYSTEM_FEED] = AQ_SYSTEM_ID_FEED;
    ids[schema->column_count + AQ_SYSTEM_ORDINAL] = AQ_SYSTEM_ID_ORDINAL;
    ids[schema->column_count + AQ_SYSTEM_STAMP] = AQ_SYSTEM_ID_STAMP;
    enum aq_status status = aq_schema_batch_init(schema, true, &decoded->batch);
    if (status >= 0)
        status = aq_section_decode(bytes, decoded->section, schema, ids, &decoded->batch, err);
    free(ids);
    return status;
}

/* Rows of one partition. Keys are compared where they change: most rows repeat the one before. */
static enum aq_status check_partition(struct decoded *decoded, const struct aq_partition *partition)
{
    const struct aq_schema *schema = decoded->schema;
    const struct aq_vector *keys =
        schema->key_column != AQ_COLUMN_NONE ? &decoded->batch.columns[schema->key_column] : NULL;
    const struct aq_vector *times =
        schema->time_column != AQ_COLUMN_NONE ? &decoded->batch.columns[schema->time_column] : NULL;
    for (uint32_t i = 0; i < partition->row_count; i++) {
        uint32_t row = partition->row_first + i;
        if (keys != NULL && (i == 0 || aq_vector_compare_bits(keys, row, keys, row - 1) != 0)) {
            struct aq_slice text;
            AQ_TRY(aq_key_text(keys, row, &decoded->arena, &text));
            if (!aq_slice_equal(text, partition->key))
                fault(decoded, "its key is not its partition's", row);
        }
        int64_t time = times != NULL ? times->ints[row] : 0;
        if (times != NULL && aq_slot_start(schema->slot, time) != partition->slot_start_us)
            fault(decoded, "its time is not in its partition's slot", row);
        if (times != NULL &&
            (time < decoded->section->min_time_us || time > decoded->section->max_time_us))
            fault(decoded, "its time is outside the section's bounds", row);
    }
    return AQ_OK;
}

static enum aq_status check_partitions(struct decoded *decoded, struct aq_slice bytes,
                                       struct aq_error *err)
{
    struct aq_partition *partitions = NULL;
    size_t partition_count = 0;
    uint32_t next = 0;
    AQ_TRY(aq_section_partitions(bytes, decoded->section, &decoded->arena, &partitions,
                                 &partition_count, err));
    for (size_t i = 0; i < partition_count; i++) {
        const struct aq_partition *partition = &partitions[i];
        if (partition->row_first != next ||
            partition->row_count > decoded->batch.row_count - next) {
            fault(decoded, "partitions do not cover the rows in order", next);
            return AQ_OK;
        }
        next += partition->row_count;
        AQ_TRY(check_partition(decoded, partition));
    }
    if (next != decoded->batch.row_count)
        fault(decoded, "belongs to no partition", next);
    return AQ_OK;
}

enum aq_status aq_verify_section(struct aq_verify *verify, const struct aq_store_file *file,
                                 const struct aq_frame_view *view,
                                 const struct aq_section_entry *section,
                                 const struct aq_catalog *catalog, struct aq_error *err)
{
    struct decoded decoded = {.verify = verify,
                              .file = file,
                              .section = section,
                              .offset = view->offset + section->offset};
    struct aq_error problem = {.offset = -1};
    struct aq_slice bytes =
        aq_slice_make(view->bytes.data + section->offset, (size_t)section->size_bytes);
    if (catalog == NULL)
        return AQ_OK; /* its declaration is in the catalog only */
    decoded.schema = aq_catalog_schema_by_id(catalog, section->dataset_id, section->schema_version);
    if (decoded.schema == NULL) {
        aq_verify_fault_at(verify, file->path, decoded.offset,
                           "dataset %u version %u is not in the catalog", section->dataset_id,
                           section->schema_version);
        return AQ_OK;
    }
    enum aq_status status = decode(&decoded, bytes, &problem);
    if (status >= 0)
        status = check_partitions(&decoded, bytes, &problem);
    if (status == AQ_NO_MEMORY)
        *err = problem;
    else if (aq_error_locate(&problem, status, file->path, (int64_t)decoded.offset) < 0)
        aq_verify_fault(verify, &problem, "%u rows of %s", section->row_count,
                        decoded.schema->dataset);
    aq_batch_deinit(&decoded.batch);
    aq_arena_deinit(&decoded.arena);
    return status == AQ_NO_MEMORY ? status : AQ_OK;
}
