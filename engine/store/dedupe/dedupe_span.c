/* Twins within one span of time: all rows of the span are held, their unique and version columns that is.
 *
 * Happy path: a table finds for each row the winner so far among its twins; the loser is marked. Rows that
 * tie with the winner are strung behind it, and lose with it; those that are left at the end are settled
 * by their other columns (dedupe_ties.c).
 * Failures: more rows than may be held are given back to the caller, who asks for less. */
#include "engine/store/dedupe/dedupe_span.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NO_ROW UINT32_MAX

/* Rows of one unit. */
struct held_unit {
    uint32_t unit; /* index into job->units */
    struct aq_batch rows;
    uint32_t *row_numbers; /* of each, as aq_unit_read gave it; NULL: all of the unit is held */
};

struct held_row {
    uint64_t hash; /* of the unique columns */
    uint32_t held; /* index into `units` */
    uint32_t row;  /* in its batch */
    uint32_t next; /* row that ties with this one, or NO_ROW */
};

struct search {
    const struct aq_twin_job *job;
    const struct aq_twin_span *span;
    struct held_unit *units;
    size_t unit_count;
    struct held_row *rows;
    size_t row_count;
    size_t row_capacity;
    uint32_t *table; /* winners so far, by hash; NO_ROW where there is none */
    size_t table_mask;
};

static void search_deinit(struct search *search)
{
    for (size_t i = 0; i < search->unit_count; i++) {
        aq_batch_deinit(&search->units[i].rows);
        free(search->units[i].row_numbers);
    }
    free(search->units);
    free(search->rows);
    free(search->table);
}

/* Hashes of the rows' unique columns. */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 32);
}

static uint64_t hash_value(const struct aq_vector *vector, size_t row)
{
    if (aq_vector_is_null(vector, row))
        return 1;
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_SLICE:
        return XXH3_64bits(vector->slices[row].data, vector->slices[row].size);
    case AQ_PHYSICAL_INTERVAL:
        return XXH3_64bits(&vector->intervals[row], sizeof vector->intervals[row]);
    case AQ_PHYSICAL_INT:
    case AQ_PHYSICAL_DOUBLE:
        break;
    }
    return (uint64_t)vector->ints[row]; /* a double's bits, too */
}

static uint64_t *hash_rows(const struct aq_batch *rows, size_t unique_count)
{
    uint64_t *hashes = calloc(rows->row_count + 1, sizeof *hashes);
    for (size_t i = 0; hashes != NULL && i < unique_count; i++) {
        for (size_t row = 0; row < rows->row_count; row++)
            hashes[row] = mix(hashes[row], hash_value(&rows->columns[i], row));
    }
    return hashes;
}

/* Holding rows. */

/* Which of the unit's rows belong to the span: NULL in `keep` where all do. */
static enum aq_status choose_rows(const struct search *search, const struct aq_batch *rows,
                                  const uint64_t *hashes, uint64_t **keep, size_t *kept)
{
    const struct aq_twin_span *span = search->span;
    const struct aq_schema *schema = search->job->schema;
    const struct aq_vector *times = NULL;
    for (size_t i = 0; i < schema->unique_count; i++)
        if (schema->unique[i] == schema->time_column)
            times = &rows->columns[i];
    *kept = 0;
    *keep = calloc(aq_bitmap_words(rows->row_count), sizeof **keep);
    if (*keep == NULL)
        return AQ_NO_MEMORY;
    for (size_t row = 0; row < rows->row_count; row++) {
        bool outside = times != NULL && !aq_vector_is_null(times, row) &&
                       (times->ints[row] < span->from_us || times->ints[row] > span->to_us);
        if (outside || hashes[row] % span->part_count != span->part)
            continue;
        aq_bitmap_set(*keep, row);
        ++*kept;
    }
    return AQ_OK;
}

/* Drop the rows that are not of the span, and note which are left. */
static enum aq_status narrow(struct held_unit *held, uint64_t *hashes, const uint64_t *keep,
                             size_t kept)
{
    size_t row_count = held->rows.row_count;
    if (kept == row_count)
        return AQ_OK;
    held->row_numbers = malloc((kept + 1) * sizeof *held->row_numbers);
    if (held->row_numbers == NULL)
        return AQ_NO_MEMORY;
    for (size_t row = 0, next = 0; row < row_count; row++) {
        if (!aq_bitmap_has(keep, row))
            continue;
        hashes[next] = hashes[row];
        held->row_numbers[next++] = (uint32_t)row;
    }
    for (size_t i = 0; i < held->rows.column_count; i++)
        aq_vector_keep(&held->rows.columns[i], keep);
    held->rows.row_count = kept;
    return AQ_OK;
}

static enum aq_status add_rows(struct search *search, const uint64_t *hashes)
{
    const struct aq_batch *rows = &search->units[search->unit_count - 1].rows;
    size_t count = search->row_count + rows->row_count;
    if (count > search->row_capacity) {
        size_t capacity = 2 * search->row_capacity > count ? 2 * search->row_capacity : count;
        struct held_row *grown = realloc(search->rows, capacity * sizeof *grown);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        search->rows = grown;
        search->row_capacity = capacity;
    }
    for (size_t row = 0; row < rows->row_count; row++)
        search->rows[search->row_count++] = (struct held_row){
            .hash = hashes[row],
            .held = (uint32_t)search->unit_count - 1,
            .row = (uint32_t)row,
            .next = NO_ROW,
        };
    return AQ_OK;
}

static enum aq_status hold_rows(struct search *search, struct held_unit *held)
{
    uint64_t *keep = NULL;
    size_t kept = 0;
    uint64_t *hashes = hash_rows(&held->rows, search->job->schema->unique_count);
    enum aq_status status = hashes == NULL ? AQ_NO_MEMORY : AQ_OK;
    if (status == AQ_OK)
        status = choose_rows(search, &held->rows, hashes, &keep, &kept);
    if (status == AQ_OK)
        status = narrow(held, hashes, keep, kept);
    if (status == AQ_OK)
        status = add_rows(search, hashes);
    free(keep);
    free(hashes);
    return status;
}

static enum aq_status hold_unit(struct search *search, uint32_t unit, struct aq_error *err)
{
    const struct aq_twin_job *job = search->job;
    struct held_unit *held = &search->units[search->unit_count];
    *held = (struct held_unit){.unit = unit};
    if (aq_batch_init(&held->rows, job->column_count, job->column_types) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    search->unit_count++;
    AQ_TRY(aq_unit_read(job->snapshot, job->units[unit].unit, job->column_ids, &held->rows, err));
    if (hold_rows(search, held) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    return AQ_OK;
}

static bool overlaps(const struct aq_twin_unit *unit, const struct aq_twin_span *span)
{
    return unit->from_us <= span->to_us && unit->to_us >= span->from_us;
}

/* Those in the bucket in few requests. */
static enum aq_status prefetch(const struct search *search, struct aq_error *err)
{
    const struct aq_twin_job *job = search->job;
    const struct aq_unit **units = malloc((job->unit_count + 1) * sizeof(struct aq_unit *));
    size_t count = 0;
    if (units == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < job->unit_count; i++)
        if (overlaps(&job->units[i], search->span) && job->units[i].unit->remote)
            units[count++] = job->units[i].unit;
    enum aq_status status =
        aq_snapshot_prefetch(job->snapshot, units, count, job->column_ids, job->column_count, err);
    free(units);
    return status;
}

static enum aq_status hold_units(struct search *search, bool *too_many, struct aq_error *err)
{
    const struct aq_twin_job *job = search->job;
    search->units = calloc(job->unit_count + 1, sizeof *search->units);
    if (search->units == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    AQ_TRY(prefetch(search, err));
    for (size_t i = 0; i < job->unit_count; i++) {
        if (!overlaps(&job->units[i], search->span))
            continue;
        if (job->stop != NULL && *job->stop)
            return aq_error_set(err, AQ_INTERRUPTED, "stopped");
        AQ_TRY(hold_unit(search, (uint32_t)i, err));
        if (too_many != NULL && search->row_count > job->row_max) {
            *too_many = true;
            return AQ_OK;
        }
    }
    return AQ_OK;
}

/* Finding twins. */

static bool are_twins(const struct search *search, const struct held_row *a,
                      const struct held_row *b)
{
    const struct aq_batch *of_a = &search->units[a->held].rows;
    const struct aq_batch *of_b = &search->units[b->held].rows;
    for (size_t i = 0; i < search->job->schema->unique_count; i++)
        if (aq_vector_compare_bits(&of_a->columns[i], a->row, &of_b->columns[i], b->row) != 0)
            return false;
    return true;
}

static int compare_version(const struct search *search, const struct held_row *a,
                           const struct held_row *b)
{
    const struct aq_schema *schema = search->job->schema;
    const struct aq_batch *of_a = &search->units[a->held].rows;
    const struct aq_batch *of_b = &search->units[b->held].rows;
    return aq_twins_compare_version(schema, &of_a->columns[schema->unique_count], a->row,
                                    &of_b->columns[schema->unique_count], b->row);
}

static uint32_t row_number(const struct search *search, const struct held_row *row)
{
    const struct held_unit *held = &search->units[row->held];
    return held->row_numbers == NULL ? row->row : held->row_numbers[row->row];
}

static void lose(const struct search *search, const struct held_row *row)
{
    uint64_t *lost = search->job->units[search->units[row->held].unit].lost;
    if (lost != NULL)
        aq_bitmap_set(lost, row_number(search, row));
}

static void lose_all(const struct search *search, uint32_t row)
{
    for (; row != NO_ROW; row = search->rows[row].next)
        lose(search, &search->rows[row]);
}

/* Where the winner among a row's twins is in the table, or belongs. */
static uint32_t *find_slot(const struct search *search, const struct held_row *row)
{
    for (size_t at = row->hash & search->table_mask;; at = (at + 1) & search->table_mask) {
        uint32_t winner = search->table[at];
        if (winner == NO_ROW || (search->rows[winner].hash == row->hash &&
                                 are_twins(search, &search->rows[winner], row)))
            return &search->table[at];
    }
}

static void judge(struct search *search, uint32_t number)
{
    struct held_row *row = &search->rows[number];
    uint32_t *slot = find_slot(search, row);
    if (*slot == NO_ROW) {
        *slot = number;
        return;
    }
    struct held_row *winner = &search->rows[*slot];
    int order = compare_version(search, row, winner);
    if (order > 0) {
        lose_all(search, *slot);
        *slot = number;
    } else if (order < 0) {
        lose(search, row);
    } else {
        row->next = winner->next;
        winner->next = number;
    }
}

static enum aq_status make_table(struct search *search)
{
    size_t size = 64;
    while (size < 2 * search->row_count)
        size *= 2;
    search->table = malloc(size * sizeof *search->table);
    if (search->table == NULL)
        return AQ_NO_MEMORY;
    memset(search->table, 0xff, size * sizeof *search->table);
    search->table_mask = size - 1;
    return AQ_OK;
}

/* Ties. */

static int compare_ties(const void *left, const void *right)
{
    const struct aq_twin_tie *a = left;
    const struct aq_twin_tie *b = right;
    if (a->unit != b->unit)
        return a->unit < b->unit ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

/* @return the number of groups; `ties` NULL: only count the rows, into *tie_count. */
static uint32_t list_ties(const struct search *search, struct aq_twin_tie *ties, size_t *tie_count)
{
    uint32_t group = 0;
    *tie_count = 0;
    for (size_t at = 0; at <= search->table_mask; at++) {
        uint32_t number = search->table[at];
        if (number == NO_ROW || search->rows[number].next == NO_ROW)
            continue;
        for (; number != NO_ROW; number = search->rows[number].next, ++*tie_count) {
            const struct held_row *row = &search->rows[number];
            if (ties != NULL)
                ties[*tie_count] = (struct aq_twin_tie){.group = group,
                                                        .unit = search->units[row->held].unit,
                                                        .row = row_number(search, row)};
        }
        group++;
    }
    return group;
}

static enum aq_status settle_ties(struct search *search, struct aq_error *err)
{
    const struct aq_twin_job *job = search->job;
    size_t count = 0;
    uint32_t group_count = list_ties(search, NULL, &count);
    if (count == 0)
        return AQ_OK;
    struct aq_twin_tie *ties = malloc(count * sizeof *ties);
    if (ties == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    list_ties(search, ties, &count);
    qsort(ties, count, sizeof *ties, compare_ties);
    enum aq_status status = aq_twin_ties_settle(job, ties, count, group_count, err);
    for (size_t i = 0; status == AQ_OK && i < count; i++)
        if (ties[i].lost && job->units[ties[i].unit].lost != NULL)
            aq_bitmap_set(job->units[ties[i].unit].lost, ties[i].row);
    free(ties);
    return status;
}

static enum aq_status search_span(struct search *search, bool *too_many, struct aq_error *err)
{
    AQ_TRY(hold_units(search, too_many, err));
    if (search->row_count == 0 || (too_many != NULL && *too_many))
        return AQ_OK;
    if (make_table(search) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t row = 0; row < search->row_count; row++)
        judge(search, (uint32_t)row);
    return settle_ties(search, err);
}

enum aq_status aq_twin_span_resolve(const struct aq_twin_job *job, const struct aq_twin_span *span,
                                    bool *too_many, struct aq_error *err)
{
    struct search search = {.job = job, .span = span};
    enum aq_status status = search_span(&search, too_many, err);
    search_deinit(&search);
    return status;
}
