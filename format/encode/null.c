/* Columns: the count of rows, the nulls, then a node of values.
 *
 * Nulls are a node of zeros and ones beside the values (runs, packed bits or byte planes, whichever
 * suits), or one byte where all rows are alike. In the values a null takes the value before it, or
 * the first there is, so that it neither breaks a run nor makes a delta; as a string it is empty.
 *
 * Encoding refuses what decoding would (values outside their type, too many bytes), so that nothing
 * can be written that cannot be read. Decoding reports AQ_CORRUPT with the offset. */
#include <assert.h>
#include <stdio.h>

#include "format/encode/kernel/kernel.h"
#include "format/encode/node.h"

enum null_kind { NULLS_NONE = 0, NULLS_ALL = 1, NULLS_SOME = 2 };

/* So few that decoding stays within AQ_DECODED_BYTES_MAX, at < 128 bytes a row in all nodes. */
#define ENCODE_ROWS_MAX ((size_t)4 << 20)
#define ENCODE_TEXT_BYTES_MAX (AQ_DECODED_BYTES_MAX / 4)
#define KEPT_BYTES_MAX ((size_t)4 << 20) /* of scratch, from a column to the next */

static size_t count_valid(const struct aq_vector *vector, size_t first, size_t count)
{
    if (vector->valid == NULL)
        return count;
    size_t valid = 0;
    for (size_t i = 0; i < count; i++)
        valid += vector->valid[first + i] != 0;
    return valid;
}

static enum aq_status encode_nulls(struct aq_encoder *encoder, const uint8_t *valid, size_t count,
                                   size_t valid_count, struct aq_bytes *out)
{
    if (valid_count == count || valid_count == 0) {
        aq_bytes_u8(out, valid_count == 0 ? NULLS_ALL : NULLS_NONE);
        return AQ_OK;
    }
    int64_t *bits = aq_encoder_alloc(encoder, count, sizeof *bits);
    if (bits == NULL)
        return AQ_NO_MEMORY;
    assert(valid != NULL);
    for (size_t i = 0; i < count; i++)
        bits[i] = valid[i] != 0;
    aq_bytes_u8(out, NULLS_SOME);
    return aq_encode_ints(encoder, bits, count, 0, out);
}

/* Copy integers or doubles, giving each null the 8 bytes of the value before it; those at the front the first value's. */
static void copy_filled(const void *values, const uint8_t *valid, size_t count, void *filled)
{
    const uint8_t *from = values;
    uint8_t *to = filled;
    uint64_t previous;
    size_t first = 0;
    while (valid[first] == 0)
        first++;
    memcpy(&previous, from + 8 * first, 8);
    for (size_t i = 0; i < count; i++) {
        uint64_t own;
        memcpy(&own, from + 8 * i, 8);
        previous = valid[i] == 0 ? previous : own;
        memcpy(to + 8 * i, &previous, 8);
    }
}

static bool ints_fit(enum aq_type type, const int64_t *values, size_t count)
{
    bool boolean = type == AQ_TYPE_BOOLEAN;
    if (!boolean && type != AQ_TYPE_INTEGER && type != AQ_TYPE_DATE)
        return true;
    uint64_t min = boolean ? 0 : (uint64_t)INT32_MIN;
    uint64_t distances = 0;
    for (size_t i = 0; i < count; i++)
        distances |= (uint64_t)values[i] - min;
    return distances >> (boolean ? 1 : 32) == 0;
}

/* Integers and doubles: 8 bytes each. */
static enum aq_status encode_words(struct aq_encoder *encoder, const struct aq_vector *vector,
                                   size_t first, size_t count, bool any_null, struct aq_bytes *out)
{
    const void *values = (const uint8_t *)vector->values + 8 * first;
    if (any_null) {
        void *filled = aq_encoder_alloc(encoder, count, 8);
        if (filled == NULL)
            return AQ_NO_MEMORY;
        copy_filled(values, vector->valid + first, count, filled);
        values = filled;
    }
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_DOUBLE)
        return aq_encode_doubles(encoder, values, count, out);
    if (!ints_fit(vector->type, values, count))
        return AQ_INVALID;
    return aq_encode_ints(encoder, values, count, 0, out);
}

static enum aq_status encode_strings(struct aq_encoder *encoder, const struct aq_vector *vector,
                                     size_t first, size_t count, struct aq_bytes *out)
{
    struct aq_slice *slices = aq_encoder_alloc(encoder, count, sizeof *slices);
    if (slices == NULL)
        return AQ_NO_MEMORY;
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        bool null = aq_vector_is_null(vector, first + i);
        slices[i] = null ? (struct aq_slice){0} : vector->slices[first + i];
        if (slices[i].size > ENCODE_TEXT_BYTES_MAX - total)
            return AQ_LIMIT;
        total += slices[i].size;
    }
    return aq_encode_slices(encoder, slices, count, out);
}

static enum aq_status encode_column(struct aq_encoder *encoder, const struct aq_vector *vector,
                                    size_t first, size_t count, struct aq_bytes *out)
{
    aq_bytes_varint(out, count);
    if (count == 0)
        return AQ_OK;
    size_t valid_count = count_valid(vector, first, count);
    const uint8_t *valid = vector->valid == NULL ? NULL : vector->valid + first;
    AQ_TRY(encode_nulls(encoder, valid, count, valid_count, out));
    if (valid_count == 0)
        return AQ_OK;
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        return encode_strings(encoder, vector, first, count, out);
    return encode_words(encoder, vector, first, count, valid_count < count, out);
}

enum aq_status aq_column_encode_with(const struct aq_vector *vector, size_t first, size_t count,
                                     const struct aq_encode_options *options, struct aq_bytes *out)
{
    assert(aq_type_physical(vector->type) != AQ_PHYSICAL_INTERVAL);
    assert(first <= vector->row_count && count <= vector->row_count - first);
    if (count > ENCODE_ROWS_MAX)
        return AQ_LIMIT;
    struct aq_encode_scratch *kept = options->scratch;
    struct aq_encoder encoder = {.options = options};
    if (kept != NULL) {
        encoder.scratch = kept->arena;
        encoder.zstd = kept->zstd;
    }
    struct aq_arena_mark mark = aq_arena_mark(&encoder.scratch);
    size_t begin = out->size;
    enum aq_status status = encode_column(&encoder, vector, first, count, out);
    if (status == AQ_OK)
        status = aq_bytes_status(out);
    if (status != AQ_OK)
        out->size = begin;
    if (options->late != NULL && (uint32_t)encoder.late_count > 0)
        *options->late |= AQ_LATE_LANES;
    if (options->late != NULL && encoder.late_count >= AQ_LATE_COUNT_MULTIPLE)
        *options->late |= AQ_LATE_MULTIPLE;
    if (kept == NULL) {
        aq_encoder_deinit(&encoder);
        return status;
    }
    aq_arena_rewind(&encoder.scratch, mark);
    kept->arena = encoder.scratch;
    kept->zstd = encoder.zstd;
    return status;
}

enum aq_status aq_column_encode(const struct aq_vector *vector, size_t first, size_t count,
                                enum aq_profile profile, struct aq_bytes *out)
{
    struct aq_encode_options options = {.profile = profile};
    return aq_column_encode_with(vector, first, count, &options, out);
}

static void clear_values(struct aq_vector *vector)
{
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        memset(vector->slices, 0, vector->row_count * sizeof *vector->slices);
    else
        memset(vector->ints, 0, vector->row_count * sizeof *vector->ints);
}

static enum aq_status decode_nulls(struct aq_decoder *decoder, struct aq_vector *vector,
                                   uint8_t *kind)
{
    *kind = aq_reader_u8(&decoder->reader);
    if (*kind > NULLS_SOME)
        return aq_decoder_corrupt(decoder);
    if (*kind == NULLS_NONE)
        return aq_decoder_check(decoder);
    AQ_TRY(aq_vector_need_validity(vector));
    if (*kind == NULLS_ALL) {
        memset(vector->valid, 0, vector->row_count);
        clear_values(vector);
        return AQ_OK;
    }
    aq_decoder_trace(decoder, "nulls ");
    if (decoder->list != NULL)
        decoder->list->of_nulls = true;
    AQ_TRY(aq_decode_flags(decoder, vector->valid, vector->row_count));
    if (decoder->list != NULL)
        decoder->list->of_nulls = false;
    aq_decoder_trace(decoder, "; ");
    return AQ_OK;
}

static enum aq_status decode_int_values(struct aq_decoder *decoder, struct aq_vector *vector)
{
    bool fit = true;
    AQ_TRY(aq_decode_row_ints(decoder, vector->ints, vector->row_count));
    for (size_t first = 0, end = 0; aq_wanted_next(&decoder->wanted, &first, &end);)
        fit &= ints_fit(vector->type, vector->ints + first, end - first);
    return fit ? AQ_OK : aq_decoder_corrupt(decoder);
}

static enum aq_status decode_values(struct aq_decoder *decoder, struct aq_vector *vector)
{
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_INT:
        return decode_int_values(decoder, vector);
    case AQ_PHYSICAL_DOUBLE:
        return aq_decode_doubles(decoder, vector->doubles, vector->row_count);
    case AQ_PHYSICAL_SLICE:
        return aq_decode_slices(decoder, vector->slices, vector->row_count);
    case AQ_PHYSICAL_INTERVAL:
        break;
    }
    return aq_decoder_corrupt(decoder);
}

static enum aq_status decode_column(struct aq_decoder *decoder, struct aq_vector *vector,
                                    size_t count)
{
    if (aq_reader_varint(&decoder->reader) != count)
        return aq_decoder_corrupt(decoder);
    if (count == 0)
        return AQ_OK;
    uint8_t kind;
    AQ_TRY(aq_vector_resize(vector, count));
    AQ_TRY(decode_nulls(decoder, vector, &kind));
    return kind == NULLS_ALL ? AQ_OK : decode_values(decoder, vector);
}

static enum aq_status finish(struct aq_decoder *decoder, enum aq_status status,
                             struct aq_error *err)
{
    if (status == AQ_NO_MEMORY)
        return aq_error_set(err, status, "out of memory decoding a column");
    if (status == AQ_CORRUPT)
        aq_reader_fail(&decoder->reader);
    return aq_reader_finish(&decoder->reader, "a coded column", err);
}

/* With the caller's scratch, or `own`, which is empty. */
static struct aq_decoder decoder_make(struct aq_slice bytes, struct aq_arena *arena,
                                      struct aq_wanted wanted, struct aq_decode_scratch *scratch,
                                      struct aq_decode_scratch *own)
{
    return (struct aq_decoder){.reader = aq_reader_make(bytes),
                               .arena = arena,
                               .scratch = scratch == NULL ? own : scratch,
                               .kernels = aq_kernels(),
                               .wanted = wanted,
                               .bytes_left = AQ_DECODED_BYTES_MAX};
}

/* What is kept of the scratch is for the next column. */
static void decoder_end(struct aq_decoder *decoder, struct aq_decode_scratch *own)
{
    if (decoder->scratch->arena.used_bytes > KEPT_BYTES_MAX)
        aq_arena_deinit(&decoder->scratch->arena);
    else
        aq_arena_reset(&decoder->scratch->arena);
    aq_decode_scratch_deinit(own);
}

enum aq_status aq_column_decode(struct aq_slice bytes, enum aq_type type, size_t count,
                                struct aq_arena *arena, struct aq_vector *vector,
                                struct aq_error *err)
{
    struct aq_wanted all = {.end = count};
    return aq_column_decode_rows(bytes, type, count, &all, NULL, arena, vector, err);
}

enum aq_status aq_column_decode_rows(struct aq_slice bytes, enum aq_type type, size_t count,
                                     const struct aq_wanted *wanted,
                                     struct aq_decode_scratch *scratch, struct aq_arena *arena,
                                     struct aq_vector *vector, struct aq_error *err)
{
    assert(vector->type == type && wanted->first <= wanted->end && wanted->end <= count);
    aq_vector_clear(vector);
    struct aq_decode_scratch own = {0};
    struct aq_decoder decoder = decoder_make(bytes, arena, *wanted, scratch, &own);
    enum aq_status status = finish(&decoder, decode_column(&decoder, vector, count), err);
    if (status != AQ_OK)
        aq_vector_clear(vector);
    decoder_end(&decoder, &own);
    return status;
}

static enum aq_status factor_column(struct aq_decoder *decoder, size_t count,
                                    struct aq_factored *factored)
{
    if (aq_reader_varint(&decoder->reader) != count)
        return aq_decoder_corrupt(decoder);
    if (count == 0)
        return AQ_NOT_FOUND;
    uint8_t kind;
    AQ_TRY(aq_vector_reserve(&factored->codes, count));
    AQ_TRY(aq_vector_resize(&factored->codes, count));
    AQ_TRY(decode_nulls(decoder, &factored->codes, &kind));
    if (kind == NULLS_ALL)
        return AQ_NOT_FOUND;
    enum aq_physical physical = aq_type_physical(factored->values.type);
    if (physical == AQ_PHYSICAL_DOUBLE)
        return aq_factor_doubles(decoder, factored);
    if (physical == AQ_PHYSICAL_SLICE)
        return aq_factor_slices(decoder, factored);
    AQ_TRY(aq_factor_row_ints(decoder, factored));
    /* A value that no row has may be any: whoever reads the rows judges theirs. */
    return ints_fit(factored->values.type, factored->values.ints, factored->values.row_count)
               ? AQ_OK
               : AQ_NOT_FOUND;
}

void aq_factored_deinit(struct aq_factored *factored)
{
    aq_vector_deinit(&factored->values);
    aq_vector_deinit(&factored->codes);
    aq_arena_deinit(&factored->arena);
    *factored = (struct aq_factored){0};
}

enum aq_status aq_column_factor(struct aq_slice bytes, enum aq_type type, size_t count,
                                size_t first, size_t end, struct aq_decode_scratch *scratch,
                                struct aq_factored *factored, struct aq_error *err)
{
    assert(first <= end && end <= count);
    *factored = (struct aq_factored){0};
    aq_vector_init(&factored->values, type);
    aq_vector_init(&factored->codes, AQ_TYPE_BIGINT);
    struct aq_decode_scratch own = {0};
    struct aq_wanted wanted = {.first = first, .end = end};
    struct aq_decoder decoder = decoder_make(bytes, &factored->arena, wanted, scratch, &own);
    enum aq_status status = factor_column(&decoder, count, factored);
    if (status != AQ_NOT_FOUND)
        status = finish(&decoder, status, err);
    if (status != AQ_OK)
        aq_factored_deinit(factored);
    decoder_end(&decoder, &own);
    return status;
}

/* Rows and nulls of each vector; `valid` is NULL where there are no nulls. */
static void count_vectors(const uint8_t *valid, size_t count, struct aq_column_stats *stats)
{
    for (size_t first = 0; first < count; first += AQ_VECTOR_ROWS_MAX, stats++) {
        size_t rows = count - first < AQ_VECTOR_ROWS_MAX ? count - first : AQ_VECTOR_ROWS_MAX;
        uint64_t null_count = 0;
        for (size_t i = first; valid != NULL && i < first + rows; i++)
            null_count += valid[i] == 0;
        stats->row_count = rows;
        stats->null_count = null_count;
    }
}

static enum aq_status bound_column(struct aq_decoder *decoder, enum aq_type type, size_t count,
                                   struct aq_column_stats *stats)
{
    if (aq_reader_varint(&decoder->reader) != count)
        return aq_decoder_corrupt(decoder);
    if (count == 0 || aq_type_physical(type) == AQ_PHYSICAL_SLICE)
        return AQ_NOT_FOUND;
    uint8_t *valid = NULL;
    uint8_t kind = aq_reader_u8(&decoder->reader);
    if (kind > NULLS_SOME)
        return aq_decoder_corrupt(decoder);
    if (kind != NULLS_NONE)
        AQ_TRY(aq_decoder_alloc(decoder, count, 1, &valid));
    if (kind == NULLS_ALL)
        memset(valid, 0, count);
    if (kind == NULLS_SOME)
        AQ_TRY(aq_decode_flags(decoder, valid, count));
    if (kind != NULLS_ALL)
        AQ_TRY(aq_type_physical(type) == AQ_PHYSICAL_DOUBLE
                   ? aq_bounds_doubles(decoder, count, stats)
                   : aq_bounds_row_ints(decoder, count, stats));
    count_vectors(valid, count, stats);
    return AQ_OK;
}

enum aq_status aq_column_bounds(struct aq_slice bytes, enum aq_type type, size_t count,
                                struct aq_decode_scratch *scratch, struct aq_column_stats *stats,
                                struct aq_error *err)
{
    struct aq_decode_scratch own = {0};
    struct aq_wanted all = {.end = count};
    struct aq_decoder decoder = decoder_make(bytes, NULL, all, scratch, &own);
    memset(stats, 0, aq_vector_count(count) * sizeof *stats);
    enum aq_status status = bound_column(&decoder, type, count, stats);
    if (status != AQ_NOT_FOUND)
        status = finish(&decoder, status, err);
    decoder_end(&decoder, &own);
    return status;
}

enum aq_status aq_column_packing(struct aq_slice bytes, enum aq_type type, size_t count,
                                 struct aq_decode_scratch *scratch,
                                 struct aq_packed_vector *vectors, size_t *vector_count,
                                 struct aq_error *err)
{
    struct aq_vector values;
    struct aq_arena arena = {0};
    struct aq_decode_scratch own = {0};
    struct aq_packing packing = {.row_count = count, .vectors = vectors};
    struct aq_decoder decoder = decoder_make(bytes, &arena, (struct aq_wanted){0}, scratch, &own);
    decoder.packing = &packing;
    aq_vector_init(&values, type);
    enum aq_status status = finish(&decoder, decode_column(&decoder, &values, count), err);
    *vector_count = status == AQ_OK ? packing.vector_count : 0;
    aq_vector_deinit(&values);
    aq_arena_deinit(&arena);
    decoder_end(&decoder, &own);
    return status;
}

/* The topmost value node tells what kind of values it holds. */
static enum aq_type type_of_encoding(uint8_t encoding)
{
    if (encoding == AQ_ENCODING_DECIMAL || encoding == AQ_ENCODING_BITS)
        return AQ_TYPE_DOUBLE;
    if (encoding == AQ_ENCODING_TEXT || encoding == AQ_ENCODING_TEXT_DICT)
        return AQ_TYPE_BYTEA;
    return AQ_TYPE_BIGINT;
}

static enum aq_status describe_column(struct aq_decoder *decoder, struct aq_vector *vector)
{
    uint64_t count = aq_reader_varint(&decoder->reader);
    if (count > ENCODE_ROWS_MAX)
        return aq_decoder_corrupt(decoder);
    if (count == 0) {
        aq_decoder_trace(decoder, "no rows");
        return AQ_OK;
    }
    uint8_t kind;
    decoder->wanted = (struct aq_wanted){.end = count};
    AQ_TRY(aq_vector_resize(vector, count));
    AQ_TRY(decode_nulls(decoder, vector, &kind));
    if (kind == NULLS_ALL) {
        aq_decoder_trace(decoder, "all null");
        return AQ_OK;
    }
    if (aq_reader_left(&decoder->reader) == 0)
        return aq_decoder_corrupt(decoder);
    vector->type = type_of_encoding(decoder->reader.data[decoder->reader.offset]);
    return decode_values(decoder, vector);
}

/* A column whose type is told by its nodes is decoded, and these are noted on the way. */
static enum aq_status walk_nodes(struct aq_slice bytes, struct aq_bytes *trace,
                                 struct aq_node_list *list, struct aq_error *err)
{
    struct aq_arena arena = {0};
    struct aq_decode_scratch own = {0};
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_BYTEA); /* the widest values, whichever come */
    struct aq_decoder decoder = decoder_make(bytes, &arena, (struct aq_wanted){0}, NULL, &own);
    decoder.trace = trace;
    decoder.list = list;
    enum aq_status status = finish(&decoder, describe_column(&decoder, &vector), err);
    aq_vector_deinit(&vector);
    aq_arena_deinit(&arena);
    decoder_end(&decoder, &own);
    return status;
}

enum aq_status aq_column_describe(struct aq_slice bytes, char *out, size_t out_size,
                                  struct aq_error *err)
{
    struct aq_bytes trace = {0};
    enum aq_status status = walk_nodes(bytes, &trace, NULL, err);
    if (status == AQ_OK)
        snprintf(out, out_size, "%.*s", (int)trace.size, (const char *)trace.data);
    aq_bytes_deinit(&trace);
    return status;
}

enum aq_status aq_column_nodes(struct aq_slice bytes,
                               struct aq_coded_node nodes[AQ_CODED_NODES_MAX], size_t *node_count,
                               struct aq_error *err)
{
    struct aq_node_list list = {.nodes = nodes};
    enum aq_status status = walk_nodes(bytes, NULL, &list, err);
    *node_count = status == AQ_OK ? list.count : 0;
    return status;
}
