/* Which units may hold twins of which, and in what portions they are looked at.
 *
 * Happy path: twins have the same key and time, so only units whose bounds of both overlap are looked at, and
 * of those only where a wanted one is among them: for the others nothing is read and their statistics stay
 * good. What is left is cut into spans of time of about as many rows as may be held; a span that turns
 * out to have more is halved, and one instant that has more is looked at in parts, by hash. Rows that were left
 * out before cannot come back: the row that won against them is still there.
 *
 * Failures: nothing is left out unless all is known. */
#include "engine/store/dedupe/dedupe_span.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_BYTES ((uint64_t)256 << 20)
#define ROW_BYTES 56   /* beside its columns: hash, place, table */
#define SLICE_BYTES 48 /* of a string: where it is, and what it is, about */
#define PART_COUNT_MAX 1024

/* A unit of the dataset while those that matter are looked for. */
struct candidate {
    struct aq_unit *unit;
    int64_t from_us;
    int64_t to_us;
    bool wanted;
    bool matters;
    bool without_twins; /* in its own file */
};

static struct aq_unit_detail *detail_of(const struct aq_unit *unit)
{
    return (struct aq_unit_detail *)unit->detail;
}

static int compare_from(const void *left, const void *right)
{
    const struct candidate *a = *(struct candidate *const *)left;
    const struct candidate *b = *(struct candidate *const *)right;
    return (a->from_us > b->from_us) - (a->from_us < b->from_us);
}

static bool share_keys(const struct aq_unit *a, const struct aq_unit *b)
{
    return !a->has_keys || !b->has_keys ||
           (aq_slice_compare(a->key_min, b->key_max) <= 0 &&
            aq_slice_compare(b->key_min, a->key_max) <= 0);
}

static bool names_unique(const struct aq_schema *schema, uint32_t column_id)
{
    for (size_t i = 0; i < schema->unique_count; i++)
        if (schema->columns[schema->unique[i]].id == column_id)
            return true;
    return false;
}

/* Whether the unit's file was made without twins, by what is unique now. */
static bool is_without_twins(const struct aq_unit *unit, const struct aq_schema *schema)
{
    const struct aq_archive_root *root = &detail_of(unit)->file->root;
    if (unit->kind != AQ_FILE_ARCHIVE || !root->without_twins ||
        root->schema.unique_count != schema->unique_count)
        return false;
    for (size_t i = 0; i < schema->unique_count; i++)
        if (!names_unique(&root->schema, schema->columns[schema->unique[i]].id))
            return false;
    return true;
}

static bool may_share_twins(const struct candidate *a, const struct candidate *b)
{
    if (a->unit->file_id == b->unit->file_id && a->without_twins)
        return false;
    return (a->wanted || b->wanted) && !(a->matters && b->matters) && share_keys(a->unit, b->unit);
}

/* Mark what may hold twins of a wanted unit's rows, which may be in the unit itself. `order` is by the
 * beginning; `open` collects those that the sweep over time has not left yet. */
static void sweep(struct candidate **order, size_t count, struct candidate **open)
{
    size_t open_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct candidate *one = order[i];
        size_t kept = 0;
        one->matters |= one->wanted && !one->without_twins;
        for (size_t k = 0; k < open_count; k++) {
            struct candidate *other = open[k];
            if (other->to_us < one->from_us)
                continue;
            open[kept++] = other;
            if (may_share_twins(one, other))
                one->matters = other->matters = true;
        }
        open[kept++] = one;
        open_count = kept;
    }
}

static enum aq_status find_units_that_matter(struct candidate *candidates, size_t count)
{
    struct candidate **order = malloc((2 * count + 1) * sizeof(struct candidate *));
    if (order == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        order[i] = &candidates[i];
    qsort(order, count, sizeof(struct candidate *), compare_from);
    sweep(order, count, order + count);
    free(order);
    return AQ_OK;
}

static struct candidate make_candidate(struct aq_unit *unit)
{
    return (struct candidate){
        .unit = unit,
        .from_us = unit->has_time ? unit->min_time_us : INT64_MIN,
        .to_us = unit->has_time ? unit->max_time_us : INT64_MAX,
    };
}

/* `wanted` and the dataset's units are both in order. */
static enum aq_status list_candidates(const struct aq_schema *schema, struct aq_unit *units,
                                      size_t unit_count, const struct aq_unit *const *wanted,
                                      size_t wanted_count, struct candidate **candidates,
                                      size_t *count)
{
    size_t next = 0;
    *count = 0;
    *candidates = malloc((unit_count + 1) * sizeof **candidates);
    if (*candidates == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < unit_count; i++) {
        bool is_wanted = next < wanted_count && wanted[next] == &units[i];
        next += is_wanted;
        if (units[i].row_count == 0)
            continue;
        struct candidate *one = &(*candidates)[(*count)++];
        *one = make_candidate(&units[i]);
        one->without_twins = is_without_twins(&units[i], schema);
        one->wanted = is_wanted && !detail_of(&units[i])->resolved;
    }
    return find_units_that_matter(*candidates, *count);
}

static void job_deinit(struct aq_twin_job *job)
{
    for (size_t i = 0; i < job->unit_count; i++)
        free(job->units[i].lost);
    free(job->units);
    free(job->column_ids);
    free(job->column_types);
}

static enum aq_status take_units(struct aq_twin_job *job, const struct candidate *candidates,
                                 size_t count)
{
    job->units = calloc(count + 1, sizeof *job->units);
    if (job->units == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const struct candidate *one = &candidates[i];
        if (!one->matters)
            continue;
        struct aq_twin_unit *unit = &job->units[job->unit_count++];
        *unit =
            (struct aq_twin_unit){.unit = one->unit, .from_us = one->from_us, .to_us = one->to_us};
        if (!one->wanted)
            continue;
        unit->lost = calloc(aq_bitmap_words(one->unit->row_count), sizeof *unit->lost);
        if (unit->lost == NULL)
            return AQ_NO_MEMORY;
    }
    return AQ_OK;
}

/* The columns to read, and how many rows of them may be held. */
static enum aq_status choose_columns(struct aq_twin_job *job, uint64_t memory_bytes)
{
    const struct aq_schema *schema = job->schema;
    bool arrival = aq_schema_keeps_arrival(schema);
    size_t count = schema->unique_count + (arrival ? AQ_ARRIVAL_COLUMN_COUNT : 1);
    uint64_t row_bytes = ROW_BYTES;
    job->column_count = count;
    job->column_ids = malloc(count * sizeof *job->column_ids);
    job->column_types = malloc(count * sizeof *job->column_types);
    if (job->column_ids == NULL || job->column_types == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        size_t version =
            arrival ? schema->column_count + i - schema->unique_count : schema->version_column;
        struct aq_column column =
            aq_schema_stored_column(schema, i < schema->unique_count ? schema->unique[i] : version);
        job->column_ids[i] = column.id;
        job->column_types[i] = column.type;
        row_bytes += aq_type_physical(column.type) == AQ_PHYSICAL_SLICE ? SLICE_BYTES : 8;
    }
    job->row_max = (memory_bytes == 0 ? MEMORY_BYTES : memory_bytes) / row_bytes + 1;
    return AQ_OK;
}

/* About how many rows of the span there are; it is made no longer than the wanted units in it are. */
static double estimate_rows(const struct aq_twin_job *job, struct aq_twin_span *span)
{
    int64_t from_us = INT64_MAX;
    int64_t to_us = INT64_MIN;
    double rows = 0;
    for (size_t i = 0; i < job->unit_count; i++) {
        const struct aq_twin_unit *unit = &job->units[i];
        if (unit->lost == NULL || unit->to_us < span->from_us || unit->from_us > span->to_us)
            continue;
        from_us = unit->from_us < from_us ? unit->from_us : from_us;
        to_us = unit->to_us > to_us ? unit->to_us : to_us;
    }
    if (from_us > to_us)
        return 0;
    span->from_us = from_us > span->from_us ? from_us : span->from_us;
    span->to_us = to_us < span->to_us ? to_us : span->to_us;
    for (size_t i = 0; i < job->unit_count; i++) {
        const struct aq_twin_unit *unit = &job->units[i];
        if (unit->to_us < span->from_us || unit->from_us > span->to_us)
            continue;
        from_us = unit->from_us > span->from_us ? unit->from_us : span->from_us;
        to_us = unit->to_us < span->to_us ? unit->to_us : span->to_us;
        rows += unit->unit->row_count * ((double)to_us - (double)from_us + 1) /
                ((double)unit->to_us - (double)unit->from_us + 1);
    }
    return rows;
}

/* All of one span, by parts where it is one instant of too many rows. Rows beyond what may be held are held
 * only if so many are twins of each other that no hash divides them. */
static enum aq_status resolve_whole(const struct aq_twin_job *job, struct aq_twin_span span,
                                    double rows, bool *too_many, struct aq_error *err)
{
    bool can_halve = span.from_us < span.to_us && job->schema->time_column != AQ_COLUMN_NONE;
    double parts = can_halve ? 1 : rows / (double)job->row_max + 1;
    *too_many = false;
    span.part_count = parts < PART_COUNT_MAX ? (uint32_t)parts : PART_COUNT_MAX;
    for (span.part = 0; span.part < span.part_count && !*too_many; span.part++)
        AQ_TRY(aq_twin_span_resolve(job, &span, can_halve ? too_many : NULL, err));
    return AQ_OK;
}

static enum aq_status resolve_span(const struct aq_twin_job *job, struct aq_twin_span span,
                                   struct aq_error *err)
{
    double rows = estimate_rows(job, &span);
    bool too_many = rows > (double)job->row_max && span.from_us < span.to_us &&
                    job->schema->time_column != AQ_COLUMN_NONE;
    if (rows == 0)
        return AQ_OK;
    if (!too_many)
        AQ_TRY(resolve_whole(job, span, rows, &too_many, err));
    if (!too_many)
        return AQ_OK;
    struct aq_twin_span first = span;
    struct aq_twin_span second = span;
    uint64_t length = (uint64_t)span.to_us - (uint64_t)span.from_us;
    first.to_us = (int64_t)((uint64_t)span.from_us + length / 2);
    second.from_us = first.to_us + 1;
    AQ_TRY(resolve_span(job, first, err));
    return resolve_span(job, second, err);
}

/* What was found becomes what counts. */
static enum aq_status leave_out(struct aq_twin_job *job, struct aq_error *err)
{
    for (size_t i = 0; i < job->unit_count; i++) {
        const struct aq_twin_unit *one = &job->units[i];
        if (one->lost == NULL)
            continue;
        uint32_t row_count = one->unit->row_count;
        for (size_t word = 0; word < aq_bitmap_words(row_count); word++)
            one->lost[word] = ~one->lost[word];
        detail_of(one->unit)->kept_with_twins = detail_of(one->unit)->kept;
        AQ_TRY(aq_unit_keep_rows(job->snapshot, one->unit, one->lost, err));
        detail_of(one->unit)->twin_count = row_count - one->unit->row_count;
        detail_of(one->unit)->resolved = true;
    }
    return AQ_OK;
}

static enum aq_status resolve(struct aq_twin_job *job, const struct aq_unit *const *wanted,
                              size_t wanted_count, uint64_t memory_bytes, struct aq_error *err)
{
    struct candidate *candidates = NULL;
    size_t count = 0;
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    AQ_TRY(aq_snapshot_units(job->snapshot, job->schema->dataset_id, &units, &unit_count, err));
    enum aq_status status = list_candidates(job->schema, (struct aq_unit *)units, unit_count,
                                            wanted, wanted_count, &candidates, &count);
    if (status == AQ_OK)
        status = take_units(job, candidates, count);
    if (status == AQ_OK)
        status = choose_columns(job, memory_bytes);
    free(candidates);
    if (status == AQ_NO_MEMORY)
        return aq_error_set(err, status, "out of memory");
    struct aq_twin_span all = {.from_us = INT64_MIN, .to_us = INT64_MAX};
    AQ_TRY(resolve_span(job, all, err));
    pthread_mutex_lock(&job->snapshot->opening);
    status = leave_out(job, err);
    pthread_mutex_unlock(&job->snapshot->opening);
    return status;
}

enum aq_status aq_snapshot_resolve(struct aq_snapshot *snapshot, uint32_t dataset_id,
                                   const struct aq_unit *const *units, size_t unit_count,
                                   const struct aq_resolve_options *options, uint64_t *twin_count,
                                   struct aq_error *err)
{
    struct aq_twin_job job = {
        .snapshot = snapshot,
        .schema = aq_catalog_schema_by_id(snapshot->catalog, dataset_id, 0),
        .stop = options == NULL ? NULL : options->stop,
    };
    if (twin_count != NULL)
        *twin_count = 0;
    if (job.schema == NULL || job.schema->unique_count == 0)
        return AQ_OK;
    pthread_mutex_lock(&snapshot->resolving);
    enum aq_status status =
        resolve(&job, units, unit_count, options == NULL ? 0 : options->memory_bytes, err);
    pthread_mutex_unlock(&snapshot->resolving);
    job_deinit(&job);
    for (size_t i = 0; status == AQ_OK && twin_count != NULL && i < unit_count; i++)
        *twin_count += detail_of(units[i])->twin_count;
    return status;
}

uint32_t aq_unit_twin_count(const struct aq_unit *unit)
{
    return detail_of(unit)->twin_count;
}

enum aq_status aq_unit_with_twins(const struct aq_unit *unit, struct aq_arena *arena,
                                  const struct aq_unit **with)
{
    *with = unit;
    if (aq_unit_twin_count(unit) == 0)
        return AQ_OK;
    struct aq_unit *copy = aq_arena_copy(arena, unit, sizeof *unit);
    struct aq_unit_detail *detail = aq_arena_copy(arena, unit->detail, sizeof *detail);
    if (copy == NULL || detail == NULL)
        return AQ_NO_MEMORY;
    detail->kept = detail->kept_with_twins;
    copy->detail = detail;
    copy->row_count += detail->twin_count;
    copy->partitions = NULL;
    copy->partition_count = 0;
    *with = copy;
    return AQ_OK;
}
