/* Which columns of a tile follow another, and coding those anew (docs/archive-format.md, "Columns that follow another").
 *
 * Happy path: of some rows it is looked at which columns may lead which others, and of these all rows are numbered by their different values. The
 * value that most rows have beside each value of the leader is found by a vote (Boyer, Moore, 1981: one pass, right where there is
 * a majority, and any value will do where there is none), and exceptions are counted. What promises most is taken first; no
 * column follows one that follows. Those taken are coded side by side, and stay so if they save enough.
 *
 * Failures: no memory. A follower that is too large to be coded is none. */
#include <stdlib.h>

#include "format/archive/archive_layout.h"
#include "format/base/log2.h"

#define COLUMNS_MAX 32 /* that are looked at, the largest */
#define SAVED_BYTES_MIN 64
#define SAVED_PART 10    /* a follower saves at least this part of its chunk */
#define PROMISED_PART 5  /* and is tried only if it seems to save this one */
#define CHUNK_PART 256   /* less than this part of a tile's chunks is not looked at */
#define LEADER_TIMES 4   /* a leader's chunk is at most so many times what its follower was */
#define LEADER_PART 4    /* a leader has at most this part as many different values as rows */
#define EXCEPTION_PART 6 /* at most this part of the rows are exceptions */
#define SAMPLE_STRETCHES 4
#define SAMPLE_ROWS 512 /* of each */
#define SAMPLE_ROWS_ALL (SAMPLE_STRETCHES * SAMPLE_ROWS)
#define LEADERS_MAX 3 /* of a column, that are looked at closely */
#define ROUNDS 2      /* a column whose best leader disappointed may follow another */

struct pair {
    uint32_t follower; /* columns */
    uint32_t leader;
    double saved; /* bits, about; 0: not worth a try */
};

struct column {
    uint32_t index;
    bool may_follow;
    enum aq_status status;
    bool is_numbered; /* else it has too many different values */
    bool is_wanted;   /* it may lead or follow, says the sample */
    struct aq_numbers sample;
    size_t sample_rows;
    struct aq_numbers all; /* of all rows, if it is wanted */
    struct aq_arena arena;
    struct aq_bytes chunk;       /* as a follower */
    uint32_t late;               /* AQ_LATE_... of what is coded */
    const struct column *leader; /* being tried, or taken */
    bool leads;
};

struct job {
    const struct aq_archive_options *options;
    const struct aq_batch *rows;
    struct aq_tile_output *tile;
    struct column columns[COLUMNS_MAX];
    size_t column_count;
    struct pair
        pairs[COLUMNS_MAX * (LEADERS_MAX + 1)]; /* at the end there is room for all of a column */
    size_t pair_count;
};

static size_t chunk_size(const struct job *job, const struct column *column)
{
    return job->tile->chunks[column->index].size;
}

/* Key, series and time say which rows are read, and are not made slower. */
static bool may_follow(const struct aq_schema *schema, uint32_t column)
{
    bool may = column != schema->key_column && column != schema->time_column;
    for (size_t i = 0; i < schema->series_count; i++)
        may = may && column != schema->series[i];
    return may;
}

/* How many columns have a larger chunk; of those alike the first is the largest. */
static size_t rank(const struct job *job, uint32_t column)
{
    const struct aq_bytes *chunks = job->tile->chunks;
    size_t larger = 0;
    for (uint32_t i = 0; i < job->options->schema->column_count; i++)
        larger += i < column ? chunks[i].size >= chunks[column].size
                             : chunks[i].size > chunks[column].size;
    return larger;
}

/* The largest ones, in their order; false: none may follow. */
static bool choose_columns(struct job *job)
{
    const struct aq_schema *schema = job->options->schema;
    bool any = false;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        size_t size = job->tile->chunks[i].size;
        if (rank(job, i) >= COLUMNS_MAX)
            continue;
        struct column *column = &job->columns[job->column_count++];
        *column = (struct column){.index = i,
                                  .may_follow = size > 2 * SAVED_BYTES_MIN &&
                                                size > job->tile->chunk_bytes / CHUNK_PART &&
                                                may_follow(schema, i)};
        any = any || column->may_follow;
    }
    return any;
}

static void run_tasks(struct job *job, void (*task)(void *context, size_t index))
{
    const struct aq_executor *executor = job->options->executor;
    if (executor != NULL) {
        executor->run(executor->context, job->column_count, task, job);
        return;
    }
    for (size_t i = 0; i < job->column_count; i++)
        task(job, i);
}

static enum aq_status status_of_tasks(const struct job *job)
{
    for (size_t i = 0; i < job->column_count; i++)
        AQ_TRY(job->columns[i].status);
    return AQ_OK;
}

/* Some stretches of rows, or all rows if there are not more. */
static enum aq_status take_sample(const struct aq_vector *vector, struct aq_vector *sample)
{
    size_t row_count = vector->row_count;
    size_t stretches = row_count <= SAMPLE_ROWS_ALL ? 1 : SAMPLE_STRETCHES;
    size_t rows = row_count <= SAMPLE_ROWS_ALL ? row_count : SAMPLE_ROWS;
    size_t width = aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE ? sizeof(struct aq_slice)
                                                                       : sizeof(int64_t);
    AQ_TRY(aq_vector_resize(sample, stretches * rows));
    if (vector->valid != NULL)
        AQ_TRY(aq_vector_need_validity(sample));
    for (size_t i = 0; i < stretches; i++) {
        size_t first = row_count / stretches * i;
        memcpy((uint8_t *)sample->values + i * rows * width,
               (const uint8_t *)vector->values + first * width, rows * width);
        if (vector->valid != NULL)
            memcpy(sample->valid + i * rows, vector->valid + first, rows);
    }
    return AQ_OK;
}

/* AQ_OK, too, where there are too many different values: then *numbered is false. */
static enum aq_status number(const struct aq_vector *vector, size_t count_max,
                             struct aq_arena *arena, struct aq_numbers *numbers, bool *numbered)
{
    enum aq_status status = aq_follow_number(vector, vector->row_count, count_max, arena, numbers);
    *numbered = status == AQ_OK;
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}

static void sample_task(void *context, size_t index)
{
    struct job *job = context;
    struct column *column = &job->columns[index];
    const struct aq_vector *vector = &job->rows->columns[column->index];
    struct aq_vector sample;
    aq_vector_init(&sample, vector->type);
    column->status = take_sample(vector, &sample);
    column->sample_rows = sample.row_count;
    if (column->status == AQ_OK)
        column->status = number(&sample, sample.row_count, &column->arena, &column->sample,
                                &column->is_numbered);
    aq_vector_deinit(&sample);
}

static void number_task(void *context, size_t index)
{
    struct job *job = context;
    struct column *column = &job->columns[index];
    const struct aq_vector *vector = &job->rows->columns[column->index];
    size_t row_count = vector->row_count;
    if (column->is_wanted)
        column->status = number(vector, row_count / LEADER_PART + row_count / EXCEPTION_PART,
                                &column->arena, &column->all, &column->is_numbered);
}

/* Of each number of a leader the follower's number that most rows have, about. */
struct votes {
    uint32_t *elected;
    uint32_t *margins; /* by how many votes */
};

static enum aq_status votes_make(struct votes *votes)
{
    votes->elected = calloc(AQ_TILE_ROWS_MAX, sizeof *votes->elected);
    votes->margins = calloc(AQ_TILE_ROWS_MAX, sizeof *votes->margins);
    return votes->elected == NULL || votes->margins == NULL ? AQ_NO_MEMORY : AQ_OK;
}

static void votes_deinit(struct votes *votes)
{
    free(votes->elected);
    free(votes->margins);
}

/* The number of votes that were against: of the two rows that such a one is about, one is an exception. There is no outcome
 * where they are more than against_max. */
static size_t vote(const struct aq_numbers *leader, const struct aq_numbers *follower,
                   size_t row_count, size_t against_max, struct votes *votes)
{
    size_t against = 0;
    memset(votes->margins, 0, leader->count * sizeof *votes->margins);
    for (size_t row = 0; row < row_count && against <= against_max; row++) {
        uint32_t of = leader->codes[row];
        uint32_t value = follower->codes[row];
        if (votes->margins[of] == 0)
            votes->elected[of] = value;
        if (votes->elected[of] == value) {
            votes->margins[of]++;
        } else {
            votes->margins[of]--;
            against++;
        }
    }
    return against;
}

/* Elect, and count the rows that have something else. If they are more than count_max, it is any number above. */
static size_t count_exceptions(const struct aq_numbers *leader, const struct aq_numbers *follower,
                               size_t row_count, size_t count_max, struct votes *votes)
{
    size_t count = 0;
    size_t against = vote(leader, follower, row_count, count_max, votes);
    if (against > count_max)
        return against;
    for (size_t row = 0; row < row_count; row++)
        count += votes->elected[leader->codes[row]] != follower->codes[row];
    return count;
}

/* Bits saved of `plain` for `rows` rows, of which the first row_count are looked at: a value of the list takes what one of the
 * column takes now, one of an exception twice as much, for these are what is not foreseen. */
static double estimate(const struct aq_numbers *leader, const struct aq_numbers *follower,
                       size_t row_count, size_t count_max, double rows, double plain,
                       struct votes *votes)
{
    if (leader->count < 2 || follower->count > leader->count + count_max)
        return 0;
    size_t count = count_exceptions(leader, follower, row_count, count_max, votes);
    if (count > count_max)
        return 0;
    double exceptions = (double)count * rows / (double)row_count;
    double coded = plain / rows * (leader->count + 2 * exceptions);
    if (count > 0)
        coded += exceptions * (aq_log2(rows / exceptions) + 1.44); /* where they are */
    return coded < plain - plain / PROMISED_PART ? plain - coded : 0;
}

/* The most exceptions that a column of which row_count rows are looked at may have: half of what its most frequent value leaves, too,
 * for what is nearly always one value would follow anything. */
static size_t exceptions_max(const struct aq_numbers *numbers, size_t row_count)
{
    uint16_t counts[SAMPLE_ROWS_ALL] = {0};
    size_t most = 0;
    for (size_t row = 0; row < row_count; row++) {
        size_t count = ++counts[numbers->codes[row]];
        most = count > most ? count : most;
    }
    size_t half = (row_count - most) / 2;
    return half < row_count / EXCEPTION_PART ? half : row_count / EXCEPTION_PART;
}

/* What saves most first; then in the order of columns. */
static int compare_pairs(const void *a, const void *b)
{
    const struct pair *left = a;
    const struct pair *right = b;
    if (left->saved != right->saved)
        return left->saved > right->saved ? -1 : 1;
    if (left->follower != right->follower)
        return left->follower < right->follower ? -1 : 1;
    return (left->leader > right->leader) - (left->leader < right->leader);
}

/* The best leaders of a column, as the samples say. */
static void find_leaders(struct job *job, uint32_t f, struct votes *votes)
{
    struct column *follower = &job->columns[f];
    struct pair *pairs = &job->pairs[job->pair_count];
    size_t count = 0;
    double plain = 8.0 * (double)chunk_size(job, follower);
    size_t count_max = exceptions_max(&follower->sample, follower->sample_rows);
    for (uint32_t l = 0; l < job->column_count; l++) {
        const struct column *leader = &job->columns[l];
        if (l == f || leader->sample.count > leader->sample_rows - leader->sample_rows / 4 ||
            chunk_size(job, leader) > LEADER_TIMES * chunk_size(job, follower))
            continue;
        double saved = estimate(&leader->sample, &follower->sample, leader->sample_rows, count_max,
                                (double)job->rows->row_count, plain, votes);
        if (saved > 0)
            pairs[count++] = (struct pair){.follower = f, .leader = l, .saved = saved};
    }
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    count = count < LEADERS_MAX ? count : LEADERS_MAX;
    for (size_t i = 0; i < count; i++)
        follower->is_wanted = job->columns[pairs[i].leader].is_wanted = true;
    job->pair_count += count;
}

/* Estimate anew, by all rows. */
static void judge_pairs(struct job *job, struct votes *votes)
{
    for (size_t i = 0; i < job->pair_count; i++) {
        struct pair *pair = &job->pairs[i];
        const struct column *follower = &job->columns[pair->follower];
        const struct column *leader = &job->columns[pair->leader];
        size_t row_count = job->rows->row_count;
        bool fits = follower->is_numbered && leader->is_numbered &&
                    leader->all.count <= row_count / LEADER_PART;
        pair->saved =
            !fits ? 0
                  : estimate(&leader->all, &follower->all, row_count, row_count / EXCEPTION_PART,
                             (double)row_count, 8.0 * (double)chunk_size(job, follower), votes);
    }
    qsort(job->pairs, job->pair_count, sizeof *job->pairs, compare_pairs);
}

static enum aq_status find_pairs(struct job *job)
{
    struct votes votes;
    enum aq_status status = votes_make(&votes);
    run_tasks(job, sample_task);
    if (status == AQ_OK)
        status = status_of_tasks(job);
    for (uint32_t f = 0; status == AQ_OK && f < job->column_count; f++) {
        if (job->columns[f].may_follow)
            find_leaders(job, f, &votes);
    }
    run_tasks(job, number_task);
    if (status == AQ_OK)
        status = status_of_tasks(job);
    if (status == AQ_OK)
        judge_pairs(job, &votes);
    votes_deinit(&votes);
    return status;
}

/* Give each column that follows none yet a leader that fits those given; false: there is none to try. */
static bool assign(struct job *job)
{
    bool any = false;
    for (size_t i = 0; i < job->pair_count; i++) {
        struct pair *pair = &job->pairs[i];
        struct column *follower = &job->columns[pair->follower];
        struct column *leader = &job->columns[pair->leader];
        if (pair->saved == 0 || follower->leader != NULL || follower->leads ||
            leader->leader != NULL)
            continue;
        pair->saved = 0; /* it has its try */
        follower->leader = leader;
        leader->leads = true;
        any = true;
    }
    return any;
}

/* The list's values, then those of exceptions, whose rows are listed. */
static enum aq_status collect(const struct job *job, const struct column *column,
                              const struct votes *votes, struct aq_vector *listed,
                              struct aq_vector *values)
{
    const struct aq_vector *vector = &job->rows->columns[column->index];
    const struct aq_numbers *leader = &column->leader->all;
    for (uint32_t code = 0; code < leader->count; code++)
        AQ_TRY(
            aq_vector_append_from(values, vector, column->all.firsts[votes->elected[code]], NULL));
    for (size_t row = 0; row < vector->row_count; row++) {
        if (votes->elected[leader->codes[row]] == column->all.codes[row])
            continue;
        AQ_TRY(aq_vector_append_int(listed, (int64_t)row));
        AQ_TRY(aq_vector_append_from(values, vector, row, NULL));
    }
    return AQ_OK;
}

static enum aq_status append_follower(const struct job *job, struct column *column,
                                      const struct aq_vector *listed,
                                      const struct aq_vector *values)
{
    struct aq_encode_scratch scratch = {0};
    struct aq_bytes *out = &column->chunk;
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE,
                                        .zstd_level = job->options->zstd_level,
                                        .scratch = &scratch,
                                        .late = &column->late};
    column->late = 0;
    aq_bytes_clear(out);
    aq_bytes_u32(out, 0);
    enum aq_status status = aq_coded_append(listed, &scratch, &column->late, out);
    if (status == AQ_OK)
        status = aq_column_encode_with(values, 0, values->row_count, &options, out);
    aq_encode_scratch_deinit(&scratch);
    AQ_TRY(status);
    aq_bytes_patch_u32(out, 0, (uint32_t)(out->size - 4));
    aq_bytes_align(out, AQ_ARCHIVE_ALIGNMENT);
    return aq_bytes_status(out);
}

static enum aq_status encode_follower(const struct job *job, struct column *column)
{
    struct aq_vector listed, values;
    struct votes votes;
    enum aq_status status = votes_make(&votes);
    aq_vector_init(&listed, AQ_TYPE_BIGINT);
    aq_vector_init(&values, job->rows->columns[column->index].type);
    if (status == AQ_OK) {
        size_t row_count = job->rows->row_count;
        count_exceptions(&column->leader->all, &column->all, row_count, row_count, &votes);
        status = collect(job, column, &votes, &listed, &values);
    }
    if (status == AQ_OK)
        status = append_follower(job, column, &listed, &values);
    votes_deinit(&votes);
    aq_vector_deinit(&listed);
    aq_vector_deinit(&values);
    if (status == AQ_LIMIT) { /* the list may have more text than the column has */
        aq_bytes_clear(&column->chunk);
        status = AQ_OK;
    }
    return status;
}

static void follow_task(void *context, size_t index)
{
    struct job *job = context;
    struct column *column = &job->columns[index];
    if (column->leader != NULL && column->chunk.size == 0)
        column->status = encode_follower(job, column);
}

static bool pays(const struct job *job, const struct column *column)
{
    size_t plain = chunk_size(job, column);
    size_t part = plain / SAVED_PART;
    size_t least = part > SAVED_BYTES_MIN ? part : SAVED_BYTES_MIN;
    return column->chunk.size > 0 && column->chunk.size + least <= plain;
}

/* Let those go that did not save enough. */
static void judge(struct job *job)
{
    for (size_t i = 0; i < job->column_count; i++)
        job->columns[i].leads = false;
    for (size_t i = 0; i < job->column_count; i++) {
        struct column *column = &job->columns[i];
        if (column->leader != NULL && !pays(job, column)) {
            column->leader = NULL;
            aq_bytes_clear(&column->chunk);
        }
        if (column->leader != NULL)
            job->columns[column->leader - job->columns].leads = true;
    }
}

/* Put the chunks in place of the others. */
static enum aq_status take(struct job *job, uint32_t *late)
{
    struct aq_tile_output *tile = job->tile;
    for (size_t i = 0; i < job->column_count; i++) {
        struct column *column = &job->columns[i];
        if (column->leader == NULL)
            continue;
        if (tile->leaders == NULL) {
            tile->leaders = aq_arena_alloc(&tile->arena, tile->chunk_count * sizeof *tile->leaders);
            if (tile->leaders == NULL)
                return AQ_NO_MEMORY;
            for (size_t k = 0; k < tile->chunk_count; k++)
                tile->leaders[k] = AQ_COLUMN_NONE;
        }
        struct aq_bytes plain = tile->chunks[column->index];
        tile->chunks[column->index] = column->chunk;
        column->chunk = plain;
        tile->leaders[column->index] = column->leader->index;
        late[column->index] = column->late;
    }
    return AQ_OK;
}

static enum aq_status find_and_encode(struct job *job, uint32_t *late)
{
    AQ_TRY(find_pairs(job));
    for (unsigned round = 0; round < ROUNDS && assign(job); round++) {
        run_tasks(job, follow_task);
        AQ_TRY(status_of_tasks(job));
        judge(job);
    }
    return take(job, late);
}

enum aq_status aq_followers_encode(const struct aq_archive_options *options,
                                   const struct aq_batch *rows, uint32_t *late,
                                   struct aq_tile_output *tile)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return AQ_NO_MEMORY;
    job->options = options;
    job->rows = rows;
    job->tile = tile;
    enum aq_status status = choose_columns(job) ? find_and_encode(job, late) : AQ_OK;
    for (size_t i = 0; i < job->column_count; i++) {
        aq_arena_deinit(&job->columns[i].arena);
        aq_bytes_deinit(&job->columns[i].chunk);
    }
    free(job);
    return status;
}

enum aq_status aq_followers_append(struct aq_tile_output *tile)
{
    struct aq_bytes body = {0};
    uint64_t count = 0;
    if (tile->leaders == NULL)
        return AQ_OK;
    for (size_t i = 0; i < tile->chunk_count; i++)
        count += tile->leaders[i] != AQ_COLUMN_NONE;
    aq_bytes_varint(&body, count);
    for (size_t i = 0; i < tile->chunk_count; i++) {
        if (tile->leaders[i] == AQ_COLUMN_NONE)
            continue;
        aq_bytes_varint(&body, i);
        aq_bytes_varint(&body, tile->leaders[i]);
    }
    aq_bytes_varint(&tile->directory, AQ_SECTION_FOLLOWERS);
    aq_bytes_slice(&tile->directory, aq_bytes_view(&body));
    tile->has_sections = true;
    enum aq_status status = aq_bytes_status(&body);
    aq_bytes_deinit(&body);
    return status == AQ_OK ? aq_bytes_status(&tile->directory) : status;
}
