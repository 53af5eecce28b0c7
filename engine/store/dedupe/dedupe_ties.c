/* Rows that are twins and have the same version: the other columns decide.
 *
 * Happy path: column after column in the order of declaration, of the rows that still tie only, until each
 * group has one row left. Rows that are equal in all columns are the same reading: the first stays.
 * One column of the tied rows is held at a time. */
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/store/dedupe/dedupe_span.h"

struct contest {
    const struct aq_twin_job *job;
    struct aq_twin_tie *ties;
    size_t tie_count;
    uint32_t *best;    /* of each group, index into ties */
    uint32_t *in_run;  /* of each group, rows that still tie */
    size_t open_count; /* groups with more than one of them */
};

static bool is_open(const struct contest *contest, const struct aq_twin_tie *tie)
{
    return !tie->lost && contest->in_run[tie->group] > 1;
}

/* The values of one unit's rows that still tie; of the others null, to keep the places. */
static enum aq_status read_unit(const struct contest *contest, size_t first, size_t end,
                                const struct aq_column *column, struct aq_batch *scratch,
                                struct aq_batch *values, struct aq_error *err)
{
    const struct aq_twin_job *job = contest->job;
    bool wanted = false;
    for (size_t i = first; i < end; i++)
        wanted |= is_open(contest, &contest->ties[i]);
    if (wanted)
        AQ_TRY(aq_unit_read(job->snapshot, job->units[contest->ties[first].unit].unit, &column->id,
                            scratch, err));
    enum aq_status status = AQ_OK;
    for (size_t i = first; status == AQ_OK && i < end; i++) {
        const struct aq_twin_tie *tie = &contest->ties[i];
        status = is_open(contest, tie)
                     ? aq_vector_append_from(&values->columns[0], &scratch->columns[0], tie->row,
                                             &values->arena)
                     : aq_vector_append_null(&values->columns[0]);
    }
    return status == AQ_OK ? AQ_OK : aq_error_set(err, status, "out of memory");
}

static enum aq_status read_values(const struct contest *contest, const struct aq_column *column,
                                  struct aq_batch *values, struct aq_error *err)
{
    const atomic_bool *stop = contest->job->stop;
    struct aq_batch scratch;
    if (aq_batch_init(&scratch, 1, &column->type) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status = AQ_OK;
    for (size_t first = 0, end; status == AQ_OK && first < contest->tie_count; first = end) {
        for (end = first; end < contest->tie_count; end++)
            if (contest->ties[end].unit != contest->ties[first].unit)
                break;
        status = stop != NULL && *stop
                     ? aq_error_set(err, AQ_INTERRUPTED, "stopped")
                     : read_unit(contest, first, end, column, &scratch, values, err);
    }
    aq_batch_deinit(&scratch);
    return status;
}

/* Of each group the rows with the best value go on. */
static void judge(struct contest *contest, const struct aq_vector *values)
{
    bool last = contest->job->schema->keep == AQ_KEEP_LAST;
    for (size_t i = 0; i < contest->tie_count; i++) {
        const struct aq_twin_tie *tie = &contest->ties[i];
        uint32_t *best = &contest->best[tie->group];
        if (!is_open(contest, tie))
            continue;
        int order = *best == UINT32_MAX ? 1 : aq_vector_compare_bits(values, i, values, *best);
        if (*best == UINT32_MAX || (last ? order > 0 : order < 0))
            *best = (uint32_t)i;
    }
    for (size_t i = 0; i < contest->tie_count; i++) {
        struct aq_twin_tie *tie = &contest->ties[i];
        uint32_t best = contest->best[tie->group];
        if (best == UINT32_MAX || tie->lost || aq_vector_compare_bits(values, i, values, best) == 0)
            continue;
        tie->lost = true;
        contest->open_count -= --contest->in_run[tie->group] == 1;
    }
}

static enum aq_status settle_by(struct contest *contest, const struct aq_column *column,
                                size_t group_count, struct aq_error *err)
{
    struct aq_batch values;
    if (aq_batch_init(&values, 1, &column->type) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status = read_values(contest, column, &values, err);
    for (size_t i = 0; i < group_count; i++)
        contest->best[i] = UINT32_MAX;
    if (status == AQ_OK)
        judge(contest, &values.columns[0]);
    aq_batch_deinit(&values);
    return status;
}

static bool is_unique_column(const struct aq_schema *schema, uint32_t index)
{
    for (size_t i = 0; i < schema->unique_count; i++)
        if (schema->unique[i] == index)
            return true;
    return false;
}

/* Of those that are equal in everything. */
static void keep_first(struct contest *contest, size_t group_count)
{
    for (size_t i = 0; i < group_count; i++)
        contest->best[i] = UINT32_MAX;
    for (size_t i = 0; i < contest->tie_count; i++) {
        struct aq_twin_tie *tie = &contest->ties[i];
        if (tie->lost)
            continue;
        tie->lost = contest->best[tie->group] != UINT32_MAX;
        contest->best[tie->group] = (uint32_t)i;
    }
}

enum aq_status aq_twin_ties_settle(const struct aq_twin_job *job, struct aq_twin_tie *ties,
                                   size_t tie_count, size_t group_count, struct aq_error *err)
{
    const struct aq_schema *schema = job->schema;
    struct contest contest = {
        .job = job, .ties = ties, .tie_count = tie_count, .open_count = group_count};
    contest.best = calloc(group_count + 1, sizeof *contest.best);
    contest.in_run = calloc(group_count + 1, sizeof *contest.in_run);
    enum aq_status status = AQ_OK;
    if (contest.best == NULL || contest.in_run == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; status == AQ_OK && i < tie_count; i++)
        contest.in_run[ties[i].group]++;
    for (uint32_t i = 0; status == AQ_OK && contest.open_count > 0 && i < schema->column_count; i++)
        if (!is_unique_column(schema, i))
            status = settle_by(&contest, &schema->columns[i], group_count, err);
    if (status == AQ_OK)
        keep_first(&contest, group_count);
    free(contest.best);
    free(contest.in_run);
    return status;
}
