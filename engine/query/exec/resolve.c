/* Re-sent rows of a dataset with `unique`: which of them count must be known before a unit's rows are counted
 * or read, or its statistics answer for them.
 *
 * Key, time and statistics rule units out before that, since no row of theirs is wanted whether it counts or
 * not; what is in them still decides about twins in others. */
#include <stdlib.h>

#include "engine/query/exec/execute.h"
#include "engine/store/dedupe.h"

#define MEMORY_BYTES_MAX ((uint64_t)256 << 20)

enum aq_status aq_exec_resolve(struct aq_exec *exec, struct aq_error *err)
{
    const struct aq_plan *plan = exec->plan;
    struct aq_runtime *runtime = exec->runtime;
    struct aq_resolve_options options = {.memory_bytes = runtime->memory_limit / 4,
                                         .stop = runtime->stop};
    if (plan->table != NULL || plan->schema->unique_count == 0)
        return AQ_OK;
    if (options.memory_bytes > MEMORY_BYTES_MAX)
        options.memory_bytes = MEMORY_BYTES_MAX;
    const struct aq_unit **wanted = malloc((exec->unit_count + 1) * sizeof(struct aq_unit *));
    size_t count = 0;
    if (wanted == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < exec->unit_count; i++)
        if (aq_prune_unit(plan, &exec->units[i]) != AQ_PRUNE_NONE)
            wanted[count++] = &exec->units[i];
    uint64_t twin_count = 0;
    enum aq_status status = aq_snapshot_resolve(runtime->snapshot, plan->schema->dataset_id, wanted,
                                                count, &options, &twin_count, err);
    free(wanted);
    runtime->has_unique = true;
    /* A level that begins again has counted them already. */
    runtime->twin_count += twin_count - exec->twin_count;
    exec->twin_count = twin_count;
    return status;
}
