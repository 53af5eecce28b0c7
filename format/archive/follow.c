/* Chunks that follow another column's (docs/archive-format.md, "Columns that follow another"): a value for each different
 * one of the leader, and exceptions.
 *
 * Happy path: the leader's rows are numbered by which of its different values they have, in the order in which these are first met;
 * so those of a tile's first rows do not depend on the rest. A follower's row has the value of its leader's number, unless it is
 * listed as an exception.
 *
 * Failures: AQ_CORRUPT, its offset counted from the first of the follower's bytes; no memory. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/archive/archive_layout.h"

enum aq_status aq_follow_number(const struct aq_vector *vector, size_t row_count, size_t count_max,
                                struct aq_arena *arena, struct aq_numbers *numbers)
{
    assert(row_count <= vector->row_count);
    return aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE
               ? aq_number_slices(vector->slices, vector->valid, row_count, count_max, arena,
                                  numbers)
               : aq_number_ints(vector->ints, vector->valid, row_count, count_max, arena, numbers);
}

/* ---- reading ---- */

enum aq_status aq_followers_read(struct aq_slice section, struct aq_tile_directory *directory)
{
    struct aq_reader reader = aq_reader_make(section);
    uint64_t count = aq_reader_varint(&reader);
    size_t next = 0;
    if (count == 0 || count > directory->chunk_count)
        return AQ_CORRUPT;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t column = aq_reader_varint(&reader);
        uint64_t leader = aq_reader_varint(&reader);
        if (reader.failed || column < next || column >= directory->chunk_count ||
            leader >= directory->chunk_count)
            return AQ_CORRUPT;
        directory->chunks[column].leader = &directory->chunks[leader];
        directory->chunks[leader].leads = true;
        next = (size_t)column + 1;
    }
    for (size_t i = 0; i < directory->chunk_count; i++) {
        if (directory->chunks[i].leads && directory->chunks[i].leader != NULL)
            return AQ_CORRUPT;
    }
    return aq_reader_left(&reader) == 0 ? AQ_OK : AQ_CORRUPT;
}

/* A chunk that follows, taken apart. */
struct follower {
    struct aq_slice rows; /* coded columns */
    struct aq_slice values;
    size_t exception_count;
    size_t list_count;
};

/* How many rows a coded column says it has. */
static uint64_t peek_rows(struct aq_slice coded)
{
    struct aq_reader reader = aq_reader_make(coded);
    uint64_t count = aq_reader_varint(&reader);
    return reader.failed ? UINT64_MAX : count;
}

static enum aq_status take_apart(struct aq_slice bytes, size_t row_count, struct follower *follower,
                                 struct aq_error *err)
{
    struct aq_reader reader = aq_reader_make(bytes);
    follower->rows = aq_reader_slice(&reader);
    follower->values = aq_reader_bytes(&reader, aq_reader_left(&reader));
    uint64_t exception_count = peek_rows(follower->rows);
    uint64_t value_count = peek_rows(follower->values);
    if (exception_count > row_count || value_count < exception_count ||
        value_count - exception_count > row_count)
        aq_reader_fail(&reader);
    follower->exception_count = (size_t)exception_count;
    follower->list_count = (size_t)(value_count - exception_count);
    return aq_reader_finish(&reader, "a column that follows another", err);
}

/* What was found in a part of a follower's bytes lies so much further on in the whole. */
static enum aq_status in_whole(struct aq_slice bytes, struct aq_slice part, enum aq_status status,
                               struct aq_error *err)
{
    if (status == AQ_CORRUPT && err != NULL && err->offset >= 0)
        err->offset += part.data - bytes.data;
    return status;
}

/* As aq_column_decode, of a part of a follower's bytes. */
static enum aq_status decode_part(struct aq_slice bytes, struct aq_slice part, size_t count,
                                  struct aq_decode_scratch *scratch, struct aq_arena *arena,
                                  struct aq_vector *vector, struct aq_error *err)
{
    struct aq_wanted all = {.end = count};
    return in_whole(
        bytes, part,
        aq_column_decode_rows(part, vector->type, count, &all, scratch, arena, vector, err), err);
}

static bool are_rows(const struct aq_vector *rows, size_t row_count)
{
    int64_t next = 0;
    for (size_t i = 0; i < rows->row_count; i++) {
        if (aq_vector_is_null(rows, i) || rows->ints[i] < next ||
            (uint64_t)rows->ints[i] >= row_count)
            return false;
        next = rows->ints[i] + 1;
    }
    return true;
}

static void set_row(struct aq_vector *vector, size_t row, const struct aq_vector *values, size_t at)
{
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        vector->slices[row] = values->slices[at];
    else
        vector->ints[row] = values->ints[at];
    if (values->valid != NULL)
        vector->valid[row] = values->valid[at];
}

/* Rows [first, end) by their leader's codes. */
static void follow(const struct aq_vector *values, const uint16_t *codes, size_t first, size_t end,
                   struct aq_vector *vector)
{
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE) {
        for (size_t row = first; row < end; row++)
            vector->slices[row] = values->slices[codes[row]];
    } else {
        for (size_t row = first; row < end; row++)
            vector->ints[row] = values->ints[codes[row]];
    }
    for (size_t row = first; values->valid != NULL && row < end; row++)
        vector->valid[row] = values->valid[codes[row]];
}

/* What a follower is put together from. */
struct parts {
    struct follower coded;
    struct aq_vector rows;
    struct aq_vector values;
    struct aq_leader_numbers *leader;
    struct aq_leader_numbers own_leader; /* unless the caller keeps it */
    struct aq_arena arena;
};

static enum aq_status out_of_memory(struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "out of memory decoding a column");
}

static enum aq_status put_together(struct parts *parts, size_t row_count,
                                   const struct aq_wanted *wanted, struct aq_vector *vector,
                                   struct aq_error *err)
{
    if (aq_vector_resize(vector, row_count) != AQ_OK ||
        (parts->values.valid != NULL && aq_vector_need_validity(vector) != AQ_OK))
        return out_of_memory(err);
    for (size_t first = 0, end = 0; aq_wanted_next(wanted, &first, &end);)
        follow(&parts->values, parts->leader->of_rows, first, end, vector);
    for (size_t i = 0; i < parts->rows.row_count; i++)
        set_row(vector, (size_t)parts->rows.ints[i], &parts->values, parts->coded.list_count + i);
    return AQ_OK;
}

void aq_leader_numbers_deinit(struct aq_leader_numbers *numbers)
{
    free(numbers->of_rows);
    *numbers = (struct aq_leader_numbers){0};
}

/* Number rows of a column that is coded by its values: whether these differ is looked at once. */
static enum aq_status number_factored(const struct aq_factored *factored, size_t end,
                                      struct aq_arena *arena, struct aq_leader_numbers *numbers)
{
    struct aq_numbers alike; /* of the values, some of which may be equal, and some no row's */
    size_t value_count = factored->values.row_count;
    AQ_TRY(aq_follow_number(&factored->values, value_count, value_count, arena, &alike));
    uint32_t *places = aq_arena_alloc(arena, (alike.count + 1) * sizeof *places);
    if (places == NULL)
        return AQ_NO_MEMORY;
    memset(places, 0xff, (alike.count + 1) * sizeof *places);
    for (size_t row = 0, run = 0; row < end; row++) {
        uint32_t *place = &places[alike.count]; /* that of null */
        while (factored->ends != NULL && (int64_t)row >= factored->ends[run])
            run++;
        if (!aq_vector_is_null(&factored->codes, row))
            place =
                &places[alike.codes[factored->ends != NULL ? run
                                                           : (size_t)factored->codes.ints[row]]];
        if (*place == UINT32_MAX)
            *place = numbers->count++;
        numbers->of_rows[row] = (uint16_t)*place;
    }
    return AQ_OK;
}

static enum aq_status number_decoded(const struct aq_vector *leader, size_t end,
                                     struct aq_arena *arena, struct aq_leader_numbers *numbers)
{
    struct aq_numbers found;
    AQ_TRY(aq_follow_number(leader, end, end, arena, &found));
    for (size_t row = 0; row < end; row++)
        numbers->of_rows[row] = (uint16_t)found.codes[row];
    numbers->count = found.count;
    return AQ_OK;
}

static enum aq_status number_rows(struct aq_slice coded, const struct aq_chunk_entry *entry,
                                  size_t row_count, size_t end, struct aq_decode_scratch *scratch,
                                  struct aq_arena *arena, struct aq_leader_numbers *numbers,
                                  struct aq_error *err)
{
    struct aq_factored factored;
    struct aq_vector leader;
    struct aq_wanted before = {.end = end};
    enum aq_type type = entry->leader->type;
    if (aq_column_factor(coded, type, row_count, 0, end, scratch, &factored, NULL) == AQ_OK) {
        enum aq_status status = number_factored(&factored, end, arena, numbers);
        aq_factored_deinit(&factored);
        return status;
    }
    aq_vector_init(&leader, type);
    enum aq_status status =
        aq_column_decode_rows(coded, type, row_count, &before, scratch, arena, &leader, err);
    if (status == AQ_CORRUPT)
        aq_error_set_at(err, status, NULL, 0,
                        "column id %u, which column id %u follows, is damaged",
                        entry->leader->column_id, entry->column_id);
    if (status == AQ_OK)
        status = number_decoded(&leader, end, arena, numbers);
    aq_vector_deinit(&leader);
    return status;
}

/* Number the leader's rows before `end`, unless they are. */
static enum aq_status number_leader(struct aq_slice coded, const struct aq_chunk_entry *entry,
                                    size_t row_count, size_t end, struct aq_decode_scratch *scratch,
                                    struct aq_leader_numbers *numbers, struct aq_error *err)
{
    struct aq_arena arena = {0};
    if (numbers->end >= end)
        return AQ_OK;
    aq_leader_numbers_deinit(numbers);
    numbers->of_rows = malloc(end * sizeof *numbers->of_rows);
    if (numbers->of_rows == NULL)
        return AQ_NO_MEMORY;
    enum aq_status status =
        number_rows(coded, entry, row_count, end, scratch, &arena, numbers, err);
    if (status == AQ_OK)
        numbers->end = end;
    aq_arena_deinit(&arena);
    return status;
}

static bool fits_leader(const struct parts *parts, size_t row_count)
{
    size_t list_count = parts->coded.list_count;
    return parts->leader->end == row_count ? parts->leader->count == list_count
                                           : parts->leader->count <= list_count;
}

static enum aq_status decode_parts(const struct aq_chunk_coded *coded,
                                   const struct aq_chunk_entry *entry, size_t row_count, size_t end,
                                   struct aq_decode_scratch *scratch, struct aq_arena *arena,
                                   struct parts *parts, struct aq_error *err)
{
    aq_vector_init(&parts->rows, AQ_TYPE_BIGINT);
    aq_vector_init(&parts->values, entry->type);
    parts->leader = coded->numbers != NULL ? coded->numbers : &parts->own_leader;
    AQ_TRY(take_apart(coded->own, row_count, &parts->coded, err));
    AQ_TRY(decode_part(coded->own, parts->coded.rows, parts->coded.exception_count, scratch,
                       &parts->arena, &parts->rows, err));
    AQ_TRY(decode_part(coded->own, parts->coded.values,
                       parts->coded.list_count + parts->coded.exception_count, scratch, arena,
                       &parts->values, err));
    enum aq_status status =
        number_leader(coded->leader, entry, row_count, end, scratch, parts->leader, err);
    if (status == AQ_NO_MEMORY)
        return out_of_memory(err);
    if (status == AQ_OK && (!fits_leader(parts, row_count) || !are_rows(&parts->rows, row_count)))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0,
                               "a column does not fit the one that it follows");
    return status;
}

static void parts_deinit(struct parts *parts)
{
    aq_vector_deinit(&parts->rows);
    aq_vector_deinit(&parts->values);
    aq_leader_numbers_deinit(&parts->own_leader);
    aq_arena_deinit(&parts->arena);
}

enum aq_status aq_chunk_decode_rows(const struct aq_chunk_coded *coded,
                                    const struct aq_chunk_entry *entry, uint32_t row_count,
                                    const struct aq_wanted *wanted,
                                    struct aq_decode_scratch *scratch, struct aq_arena *arena,
                                    struct aq_vector *vector, struct aq_error *err)
{
    struct parts parts = {0};
    if (entry->leader == NULL)
        return aq_column_decode_rows(coded->own, entry->type, row_count, wanted, scratch, arena,
                                     vector, err);
    assert(vector->type == entry->type);
    aq_vector_clear(vector);
    enum aq_status status =
        decode_parts(coded, entry, row_count, wanted->end, scratch, arena, &parts, err);
    if (status == AQ_OK)
        status = put_together(&parts, row_count, wanted, vector, err);
    if (status != AQ_OK)
        aq_vector_clear(vector);
    parts_deinit(&parts);
    return status;
}

/* Which of the values rows [first, end) have; `values` has no null any more. */
static enum aq_status factor_rows(struct parts *parts, size_t row_count, size_t first, size_t end,
                                  struct aq_factored *factored)
{
    const uint8_t *valid = parts->values.valid;
    struct aq_vector *codes = &factored->codes;
    AQ_TRY(aq_vector_resize(codes, row_count));
    if (valid != NULL)
        AQ_TRY(aq_vector_need_validity(codes));
    for (size_t row = first; row < end; row++)
        codes->ints[row] = parts->leader->of_rows[row];
    for (size_t i = 0; i < parts->rows.row_count; i++)
        codes->ints[parts->rows.ints[i]] = (int64_t)(parts->coded.list_count + i);
    for (size_t row = first; valid != NULL && row < end; row++)
        codes->valid[row] = valid[codes->ints[row]];
    free(parts->values.valid);
    parts->values.valid = NULL;
    factored->values = parts->values;
    parts->values = (struct aq_vector){0};
    return AQ_OK;
}

enum aq_status aq_chunk_factor(const struct aq_chunk_coded *coded,
                               const struct aq_chunk_entry *entry, uint32_t row_count, size_t first,
                               size_t end, struct aq_decode_scratch *scratch,
                               struct aq_factored *factored, struct aq_error *err)
{
    struct parts parts = {0};
    if (entry->leader == NULL)
        return aq_column_factor(coded->own, entry->type, row_count, first, end, scratch, factored,
                                err);
    *factored = (struct aq_factored){0};
    aq_vector_init(&factored->codes, AQ_TYPE_BIGINT);
    enum aq_status status =
        decode_parts(coded, entry, row_count, end, scratch, &factored->arena, &parts, err);
    if (status == AQ_OK && parts.values.row_count > row_count / 2)
        status = AQ_NOT_FOUND;
    if (status == AQ_OK && factor_rows(&parts, row_count, first, end, factored) != AQ_OK)
        status = out_of_memory(err);
    parts_deinit(&parts);
    if (status != AQ_OK)
        aq_factored_deinit(factored);
    return status;
}

enum aq_status aq_follower_describe(struct aq_slice coded, char *out, size_t out_size,
                                    struct aq_error *err)
{
    struct follower follower;
    char rows[64] = "none";
    char values[96];
    AQ_TRY(take_apart(coded, AQ_TILE_ROWS_MAX, &follower, err));
    if (follower.exception_count > 0)
        AQ_TRY(in_whole(coded, follower.rows,
                        aq_column_describe(follower.rows, rows, sizeof rows, err), err));
    AQ_TRY(in_whole(coded, follower.values,
                    aq_column_describe(follower.values, values, sizeof values, err), err));
    snprintf(out, out_size, "%zu values, %zu exceptions: %s; rows %s", follower.list_count,
             follower.exception_count, values, rows);
    return AQ_OK;
}
