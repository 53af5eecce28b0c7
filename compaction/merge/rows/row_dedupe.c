/* Dropping rows that lost against a newer, or older, one.
 *
 * Twins, rows that agree in what `unique` names, are neighbours. Of each set the winner is found by
 * aq_twins_compare; the others go behind the rows that stay. Then, apart from how they were found, every
 * loser is held against its winner once more.
 *
 * Failures: no memory; a loser that does not lose, which is a bug or damage: nothing may be written. */
#include "compaction/merge/rows/row_dedupe.h"

#include <stdlib.h>
#include <string.h>

#include "engine/store/dedupe.h"

struct dedupe {
    const struct aq_schema *schema;
    const struct aq_row_stretch *stretches;
    struct aq_sorted_rows *rows;
    struct aq_row_ref *losers;
    size_t loser_count;
    size_t loser_capacity;
    size_t kept;
};

static const struct aq_batch *batch_of(const struct dedupe *dedupe, const struct aq_row_ref *ref)
{
    return dedupe->stretches[ref->stretch].batch;
}

static bool are_twins(const struct dedupe *dedupe, const struct aq_row_ref *a,
                      const struct aq_row_ref *b)
{
    return a->time == b->time && aq_schema_compare_unique(dedupe->schema, batch_of(dedupe, a),
                                                          a->row, batch_of(dedupe, b), b->row) == 0;
}

/* Whether `a` stays and `b` goes; rows that are equal in everything may stand for each other. */
static bool wins(const struct dedupe *dedupe, const struct aq_row_ref *a,
                 const struct aq_row_ref *b)
{
    return aq_twins_compare(dedupe->schema, batch_of(dedupe, a), a->row, batch_of(dedupe, b),
                            b->row) >= 0;
}

/* The proof: the loser agrees with the winner in each column of `unique`, and loses. */
static enum aq_status prove(const struct dedupe *dedupe, const struct aq_row_ref *winner,
                            const struct aq_row_ref *loser, struct aq_error *err)
{
    if (wins(dedupe, winner, loser) &&
        aq_rows_are_twins(dedupe->schema, batch_of(dedupe, winner), winner->row,
                          batch_of(dedupe, loser), loser->row))
        return AQ_OK;
    return aq_error_set(err, AQ_CORRUPT,
                        "a row of dataset %s would be dropped without one that stands for it; "
                        "nothing was changed",
                        dedupe->schema->dataset);
}

static enum aq_status add_loser(struct dedupe *dedupe, struct aq_row_ref loser,
                                struct aq_error *err)
{
    if (dedupe->loser_count == dedupe->loser_capacity) {
        size_t capacity = 2 * dedupe->loser_capacity + 64;
        struct aq_row_ref *grown = realloc(dedupe->losers, capacity * sizeof *grown);
        if (grown == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory to drop duplicates");
        dedupe->losers = grown;
        dedupe->loser_capacity = capacity;
    }
    dedupe->losers[dedupe->loser_count++] = loser;
    return AQ_OK;
}

/* Twins refs[first, end): one stays. */
static enum aq_status settle(struct dedupe *dedupe, size_t first, size_t end, struct aq_error *err)
{
    const struct aq_row_ref *refs = dedupe->rows->refs;
    size_t winner = first;
    for (size_t i = first + 1; i < end; i++) {
        if (!wins(dedupe, &refs[winner], &refs[i]))
            winner = i;
    }
    for (size_t i = first; i < end; i++) {
        if (i == winner)
            continue;
        AQ_TRY(prove(dedupe, &refs[winner], &refs[i], err));
        AQ_TRY(add_loser(dedupe, refs[i], err));
    }
    dedupe->rows->refs[dedupe->kept++] = refs[winner];
    return AQ_OK;
}

static enum aq_status settle_run(struct dedupe *dedupe, size_t first, size_t end,
                                 struct aq_error *err)
{
    struct aq_row_ref *refs = dedupe->rows->refs;
    while (first < end) {
        size_t next = first + 1;
        while (next < end && are_twins(dedupe, &refs[first], &refs[next]))
            next++;
        if (next == first + 1)
            refs[dedupe->kept++] = refs[first];
        else
            AQ_TRY(settle(dedupe, first, next, err));
        first = next;
    }
    return AQ_OK;
}

static enum aq_status settle_all(struct dedupe *dedupe, struct aq_error *err)
{
    struct aq_sorted_rows *rows = dedupe->rows;
    size_t first = 0;
    for (size_t r = 0; r < rows->run_count; r++) {
        size_t end = rows->run_ends[r];
        AQ_TRY(settle_run(dedupe, first, end, err));
        rows->run_ends[r] = dedupe->kept;
        first = end;
    }
    if (dedupe->loser_count > 0)
        memcpy(rows->refs + dedupe->kept, dedupe->losers,
               dedupe->loser_count * sizeof *dedupe->losers);
    rows->count = dedupe->kept;
    return AQ_OK;
}

static enum aq_status gather_losers(const struct dedupe *dedupe, struct aq_batch *batch)
{
    struct aq_row_piece *pieces = malloc(dedupe->loser_count * sizeof *pieces);
    if (pieces == NULL)
        return AQ_NO_MEMORY;
    size_t piece_count = aq_rows_pieces(dedupe->losers, dedupe->loser_count, pieces);
    enum aq_status status = aq_rows_gather_all(dedupe->stretches, pieces, piece_count, batch);
    free(pieces);
    return status;
}

static enum aq_status hash_losers(const struct dedupe *dedupe, struct aq_content_hash *dropped)
{
    struct aq_batch batch;
    struct aq_content_hash hash;
    AQ_TRY(aq_schema_stored_batch_init(dedupe->schema, &batch));
    enum aq_status status = gather_losers(dedupe, &batch);
    if (status == AQ_OK)
        status = aq_batch_content_hash(&batch, batch.column_count, &hash);
    if (status == AQ_OK)
        aq_content_hash_add(dropped, &hash);
    aq_batch_deinit(&batch);
    return status;
}

enum aq_status aq_rows_drop_losers(const struct aq_schema *schema,
                                   const struct aq_row_stretch *stretches,
                                   struct aq_sorted_rows *rows, struct aq_content_hash *dropped,
                                   struct aq_error *err)
{
    struct dedupe dedupe = {.schema = schema, .stretches = stretches, .rows = rows};
    enum aq_status status = settle_all(&dedupe, err);
    if (status == AQ_OK && dedupe.loser_count > 0 && hash_losers(&dedupe, dropped) != AQ_OK)
        status = aq_error_set(err, AQ_NO_MEMORY, "no memory to drop duplicates");
    free(dedupe.losers);
    return status;
}
