/* Fetching ahead what of a dataset is in the bucket.
 *
 * Happy path: units are read in windows. Those of a window that may hold wanted rows, by key and time, get
 * their directories first, where that may spare anything: then the statistics rule out more, or answer
 * by themselves. The columns of the rest are fetched together. Units at home cost nothing and make
 * windows no smaller. A level that streams begins with a small window: LIMIT may end it soon.
 * Failures: what the bucket's mirror does not have yet is not silently left out: a plan that may ask for
 * it is refused. */
#include <stdlib.h>

#include "engine/base/civil/civil_time.h"
#include "engine/query/exec/execute.h"

#define STREAM_BYTES_FIRST ((uint64_t)4 << 20)

/* As if there were a unit with every row that is still missing: may one of them be wanted? */
static enum aq_status check_complete(const struct aq_exec *exec, struct aq_error *err)
{
    const struct aq_plan *plan = exec->plan;
    const struct aq_schema *schema = plan->schema;
    int64_t until_us = aq_snapshot_complete_until(exec->runtime->snapshot, schema->dataset_id);
    if (until_us == INT64_MAX)
        return AQ_OK;
    struct aq_unit missing = {.kind = AQ_FILE_SEGMENT,
                              .row_count = 1,
                              .has_time = schema->time_column != AQ_COLUMN_NONE,
                              .min_time_us = until_us,
                              .max_time_us = INT64_MAX};
    if (aq_prune_unit(plan, &missing) == AQ_PRUNE_NONE)
        return AQ_OK;
    char point[64] = "";
    aq_time_format(until_us, aq_zone_utc(), point, sizeof point);
    if (!missing.has_time || until_us == INT64_MIN)
        return aq_error_set(err, AQ_LIMIT,
                            "%s is not complete in the bucket yet; wait for the next run of "
                            "`aqstore tier`, or say --allow-incomplete",
                            schema->dataset);
    return aq_error_set(err, AQ_LIMIT,
                        "%s is complete in the bucket up to %s only, and the query reaches beyond "
                        "it; add WHERE %s < '%s', or say --allow-incomplete",
                        schema->dataset, point, schema->columns[schema->time_column].name, point);
}

static void count_remote(struct aq_exec *exec)
{
    struct aq_runtime *runtime = exec->runtime;
    uint64_t last_file = 0;
    for (size_t i = 0; i < exec->unit_count; i++) {
        if (!exec->units[i].remote)
            continue;
        runtime->remote_tile_count++;
        runtime->remote_archive_count += exec->units[i].file_id != last_file;
        last_file = exec->units[i].file_id;
    }
}

enum aq_status aq_window_open(struct aq_exec *exec, struct aq_error *err)
{
    bool streams = !exec->plan->grouped && exec->plan->sort_count == 0;
    exec->window_end = 0;
    exec->window_bytes = exec->runtime->fetch_bytes;
    if (streams && exec->window_bytes > STREAM_BYTES_FIRST)
        exec->window_bytes = STREAM_BYTES_FIRST;
    count_remote(exec);
    /* The store's own tables are about what is there. */
    return exec->plan->table != NULL ? AQ_OK : check_complete(exec, err);
}

/* Units of the next window that may have to be fetched. */
static size_t choose_units(struct aq_exec *exec, const struct aq_unit **chosen)
{
    size_t count = 0;
    uint64_t size_bytes = 0;
    for (; exec->window_end < exec->unit_count; exec->window_end++) {
        const struct aq_unit *unit = &exec->units[exec->window_end];
        if (!unit->remote || aq_prune_unit(exec->plan, unit) == AQ_PRUNE_NONE)
            continue;
        if (count > 0 && size_bytes + unit->size_bytes > exec->window_bytes)
            break;
        size_bytes += unit->size_bytes;
        chosen[count++] = unit;
    }
    exec->window_bytes *= 2;
    if (exec->window_bytes > exec->runtime->fetch_bytes)
        exec->window_bytes = exec->runtime->fetch_bytes;
    return count;
}

/* Leave of the chosen units those that the statistics do not rule out or answer. */
static enum aq_status drop_answered(const struct aq_exec *exec, const struct aq_unit **chosen,
                                    size_t *count, struct aq_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        bool none;
        AQ_TRY(aq_scan_needs_none(exec, chosen[i], &none, err));
        if (!none)
            chosen[kept++] = chosen[i];
    }
    *count = kept;
    return AQ_OK;
}

static void count_fetched(struct aq_runtime *runtime, const struct aq_unit *const *units,
                          size_t count)
{
    runtime->remote_tile_fetched_count += count;
    for (size_t i = 0; i < count; i++)
        runtime->remote_archive_fetched_count +=
            i == 0 || units[i]->file_id != units[i - 1]->file_id;
}

/* Whether looking at statistics first spares anything: a small tile comes with its directory. */
static bool any_large(const struct aq_unit *const *units, size_t count)
{
    bool large = false;
    for (size_t i = 0; i < count; i++)
        large |= units[i]->size_bytes > AQ_SMALL_TILE_BYTES;
    return large;
}

static enum aq_status fetch(struct aq_exec *exec, const struct aq_unit **chosen, size_t count,
                            struct aq_error *err)
{
    const struct aq_plan *plan = exec->plan;
    struct aq_snapshot *snapshot = exec->runtime->snapshot;
    size_t column_count = exec->all_ties ? plan->input_count : plan->eager_input_count;
    if (column_count == 0)
        return AQ_OK; /* row counts are known */
    if (any_large(chosen, count))
        AQ_TRY(aq_snapshot_prefetch(snapshot, chosen, count, NULL, 0, err));
    AQ_TRY(drop_answered(exec, chosen, &count, err));
    count_fetched(exec->runtime, chosen, count);
    uint32_t *ids = malloc((column_count + 1) * sizeof *ids);
    if (ids == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < column_count; i++)
        ids[i] = aq_scan_column_id(plan, (uint32_t)i);
    enum aq_status status = aq_snapshot_prefetch(snapshot, chosen, count, ids, column_count, err);
    free(ids);
    return status;
}

enum aq_status aq_window_next(struct aq_exec *exec, struct aq_error *err)
{
    if (exec->plan->source != AQ_SOURCE_DATASET || exec->runtime->remote_tile_count == 0) {
        exec->window_end = exec->unit_count;
        return AQ_OK;
    }
    const struct aq_unit **chosen = malloc((exec->unit_count + 1) * sizeof *chosen);
    if (chosen == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    size_t count = choose_units(exec, chosen);
    enum aq_status status = AQ_OK;
    if (count > 0)
        status = fetch(exec, chosen, count, err);
    free(chosen);
    return status;
}
