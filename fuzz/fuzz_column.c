/* Fuzz target: column encodings. The first byte chooses type and direction, the next two a count.
 * Either the rest is decoded as a column, by every variant of the kernels to the same values, and what decodes must survive
 * being encoded; or the rest is taken as values, which must survive too: once, again and again, or drawn from them, so that
 * few bytes make long columns.
 *
 * Most mutations change one field of one node of a column. */
#include <assert.h>
#include <stdlib.h>

#include "format/base/checksum.h"
#include "fuzz/support/column_mutate.h"

#define HEAD_BYTES 3
/* Enough for what only long columns have; more would take the time of many short ones. */
#define ROWS_END 12289
#define AS_VALUES 0x80
#define AGAIN 0x40 /* of values: from their beginning, until there are so many */
#define DRAWN 0x20 /* any of them, rather */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);

static const enum aq_type types[] = {AQ_TYPE_BIGINT, AQ_TYPE_DOUBLE, AQ_TYPE_TEXT, AQ_TYPE_BOOLEAN,
                                     AQ_TYPE_INTEGER};

static void check_same(const struct aq_vector *a, const struct aq_vector *b)
{
    assert(a->row_count == b->row_count);
    for (size_t row = 0; row < a->row_count; row++) {
        assert(aq_vector_is_null(a, row) == aq_vector_is_null(b, row));
        if (aq_vector_is_null(a, row))
            continue;
        if (aq_type_physical(a->type) == AQ_PHYSICAL_SLICE)
            assert(aq_slice_equal(a->slices[row], b->slices[row]));
        else
            assert(a->ints[row] == b->ints[row]);
    }
}

static void check_survives(const struct aq_vector *vector, enum aq_profile profile)
{
    struct aq_bytes out = {0};
    struct aq_arena arena = {0};
    struct aq_vector back;
    uint32_t run_starts[] = {0, 700};
    struct aq_encode_options options = {
        .profile = profile, .run_starts = run_starts, .run_count = vector->row_count > 700 ? 2 : 0};
    aq_vector_init(&back, vector->type);
    enum aq_status status = aq_column_encode_with(vector, 0, vector->row_count, &options, &out);
    assert(status == AQ_OK);
    status =
        aq_column_decode(aq_bytes_view(&out), vector->type, vector->row_count, &arena, &back, NULL);
    assert(status == AQ_OK);
    check_same(vector, &back);
    aq_vector_deinit(&back);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&out);
}

/* A value from the next bytes; every 16th or so is null. */
static enum aq_status append_value(struct aq_reader *reader, struct aq_vector *vector)
{
    uint8_t head = aq_reader_u8(reader);
    if (head % 16 == 7)
        return aq_vector_append_null(vector);
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        return aq_vector_append_slice(vector, aq_reader_bytes(reader, head % 8));
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_DOUBLE && head % 2 == 0)
        return aq_vector_append_double(vector, (double)aq_reader_u16(reader) / 100);
    uint64_t word = head < 128 ? aq_reader_u8(reader) : aq_reader_u64(reader);
    if (vector->type == AQ_TYPE_BOOLEAN)
        word &= 1;
    if (vector->type == AQ_TYPE_INTEGER)
        word &= INT32_MAX;
    return aq_vector_append_int(vector, (int64_t)word);
}

/* A row like another. */
static void append_again(struct aq_vector *vector, size_t row)
{
    enum aq_status status = aq_vector_is_null(vector, row) ? aq_vector_append_null(vector)
                            : aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE
                                ? aq_vector_append_slice(vector, vector->slices[row])
                                : aq_vector_append_int(vector, vector->ints[row]);
    assert(status == AQ_OK);
}

static void fuzz_values(struct aq_slice bytes, size_t count, uint8_t how, struct aq_vector *vector)
{
    struct aq_reader reader = aq_reader_make(bytes);
    uint64_t random = 1;
    while (vector->row_count < count && aq_reader_left(&reader) > 0) {
        enum aq_status status = append_value(&reader, vector);
        assert(status == AQ_OK);
    }
    size_t own = vector->row_count;
    while (own > 0 && (how & AGAIN) != 0 && vector->row_count < count) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        append_again(vector, (how & DRAWN) != 0 ? (random >> 33) % own : vector->row_count - own);
    }
    if (vector->row_count == own)
        check_survives(vector, AQ_PROFILE_FRAME);
    check_survives(vector, AQ_PROFILE_FAST);
    check_survives(vector, AQ_PROFILE_ARCHIVE);
}

/* Some rows of a column alone: as in the whole one, if that can be decoded. */
static void fuzz_part(struct aq_slice bytes, size_t count, enum aq_type type,
                      const struct aq_vector *whole)
{
    static struct aq_decode_scratch kept; /* from one input to the next, corrupt or not */
    struct aq_arena arena = {0};
    struct aq_vector part;
    uint64_t random = aq_checksum(bytes.data, bytes.size);
    uint64_t vectors[] = {random, ~random};
    struct aq_wanted wanted = {.first = (uint32_t)random % (count + 1)};
    wanted.end = wanted.first + (random >> 32) % (count + 1 - wanted.first);
    wanted.vectors = random % 2 == 0 ? vectors : NULL;
    assert(aq_vector_count(count) <= 128);
    aq_vector_init(&part, type);
    enum aq_status status =
        aq_column_decode_rows(bytes, type, count, &wanted, &kept, &arena, &part, NULL);
    assert(whole == NULL || status == AQ_OK);
    for (size_t row = 0, end = 0; whole != NULL && aq_wanted_next(&wanted, &row, &end);)
        for (; row < end; row++) {
            assert(aq_vector_is_null(whole, row) == aq_vector_is_null(&part, row));
            if (aq_vector_is_null(whole, row))
                continue;
            if (aq_type_physical(type) == AQ_PHYSICAL_SLICE)
                assert(aq_slice_equal(whole->slices[row], part.slices[row]));
            else
                assert(whole->ints[row] == part.ints[row]);
        }
    aq_vector_deinit(&part);
    aq_arena_deinit(&arena);
}

/* The column as its different values: taken for good where the whole one is, and of the same rows. */
static void fuzz_factored(struct aq_slice bytes, size_t count, enum aq_type type,
                          const struct aq_vector *whole)
{
    struct aq_factored factored;
    enum aq_status status = aq_column_factor(bytes, type, count, 0, count, NULL, &factored, NULL);
    assert(status != AQ_OK || whole != NULL);
    assert(status == AQ_OK || status == AQ_NOT_FOUND || whole == NULL);
    size_t place = 0;
    for (size_t row = 0; status == AQ_OK && row < count; row++) {
        assert(aq_vector_is_null(whole, row) == aq_vector_is_null(&factored.codes, row));
        if (factored.ends == NULL)
            place = (size_t)factored.codes.ints[row];
        else
            place += row == (size_t)factored.ends[place];
        assert(place < factored.values.row_count);
        assert(aq_vector_is_null(whole, row) ||
               aq_vector_compare_bits(whole, row, &factored.values, place) == 0);
    }
    if (status == AQ_OK)
        aq_factored_deinit(&factored);
}

/* Bounds of its vectors: what the whole column has lies within them. */
static void fuzz_bounds(struct aq_slice bytes, size_t count, enum aq_type type,
                        const struct aq_vector *whole)
{
    struct aq_column_stats *bounds = calloc(aq_vector_count(count) + 1, sizeof *bounds);
    assert(bounds != NULL);
    enum aq_status status = aq_column_bounds(bytes, type, count, NULL, bounds, NULL);
    assert(status == AQ_OK || status == AQ_NOT_FOUND || whole == NULL);
    for (size_t row = 0; status == AQ_OK && whole != NULL && row < count; row++) {
        const struct aq_column_stats *own = &bounds[row / AQ_VECTOR_ROWS_MAX];
        if (aq_vector_is_null(whole, row) || !own->bounds_known)
            continue;
        int64_t values[] = {own->min.integer, whole->ints[row], own->max.integer};
        struct aq_vector all = {.type = type, .row_count = 3, .values = values};
        assert(aq_vector_compare(&all, 0, &all, 1) <= 0);
        assert(aq_vector_compare(&all, 1, &all, 2) <= 0);
    }
    free(bounds);
}

/* Its packed vectors: each follows the one before, up to the last row. */
static void fuzz_packing(struct aq_slice bytes, size_t count, enum aq_type type,
                         const struct aq_vector *whole)
{
    struct aq_packed_vector *vectors = calloc(aq_vector_count(count) + 1, sizeof *vectors);
    size_t vector_count = 0;
    assert(vectors != NULL);
    enum aq_status status =
        aq_column_packing(bytes, type, count, NULL, vectors, &vector_count, NULL);
    assert(status == AQ_OK || whole == NULL);
    assert(vector_count <= aq_vector_count(count));
    for (size_t i = 0; i < vector_count; i++)
        assert(vectors[i].row_first + vectors[i].row_count ==
               (i + 1 < vector_count ? vectors[i + 1].row_first : count));
    free(vectors);
}

/* Its nodes: each takes the bytes of those within it, and its own. */
static void fuzz_nodes(struct aq_slice bytes, const struct aq_vector *whole)
{
    struct aq_coded_node nodes[AQ_CODED_NODES_MAX];
    size_t node_count = 0;
    size_t size = 0;
    enum aq_status status = aq_column_nodes(bytes, nodes, &node_count, NULL);
    assert(status == AQ_OK || status == AQ_CORRUPT || whole == NULL);
    for (size_t i = 0; i < node_count; i++) {
        assert(nodes[i].value_count > 0 && nodes[i].size_bytes > 0);
        assert(nodes[i].depth <= (i == 0 ? 0 : nodes[i - 1].depth + 1));
        size += nodes[i].depth == 0 ? nodes[i].size_bytes : 0;
    }
    assert(size <= bytes.size);
}

/* One column's node without nulls, by a variant of the kernels. */
static enum aq_status decode_by(const struct aq_kernels *kernels, struct aq_slice bytes,
                                enum aq_type type, size_t count, int64_t *values)
{
    struct aq_decode_scratch scratch = {0};
    struct aq_decoder decoder = {.reader = aq_reader_make(bytes),
                                 .scratch = &scratch,
                                 .kernels = kernels,
                                 .wanted = {.end = count},
                                 .bytes_left = AQ_DECODED_BYTES_MAX};
    enum aq_status status = AQ_CORRUPT;
    if (aq_reader_varint(&decoder.reader) == count && aq_reader_u8(&decoder.reader) == 0)
        status = aq_type_physical(type) == AQ_PHYSICAL_DOUBLE
                     ? aq_decode_doubles(&decoder, (void *)values, count)
                     : aq_decode_ints(&decoder, values, count);
    aq_decode_scratch_deinit(&scratch);
    return status;
}

/* All variants that the machine has say the same of these bytes. */
static void fuzz_variants(struct aq_slice bytes, size_t count, enum aq_type type)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    if (aq_type_physical(type) == AQ_PHYSICAL_SLICE || count == 0)
        return;
    int64_t *first = malloc(count * sizeof *first);
    int64_t *values = malloc(count * sizeof *values);
    assert(first != NULL && values != NULL);
    enum aq_status status = decode_by(variants[0], bytes, type, count, first);
    for (size_t v = 1; v < variant_count; v++) {
        enum aq_status other = decode_by(variants[v], bytes, type, count, values);
        assert(other == status);
        assert(status != AQ_OK || memcmp(first, values, count * sizeof *values) == 0);
    }
    free(first);
    free(values);
}

static void fuzz_coded(struct aq_slice bytes, size_t count, struct aq_vector *vector)
{
    struct aq_arena arena = {0};
    char text[128];
    enum aq_status status = aq_column_decode(bytes, vector->type, count, &arena, vector, NULL);
    enum aq_status described = aq_column_describe(bytes, text, sizeof text, NULL);
    assert(status != AQ_OK || described == AQ_OK);
    fuzz_part(bytes, count, vector->type, status == AQ_OK ? vector : NULL);
    fuzz_factored(bytes, count, vector->type, status == AQ_OK ? vector : NULL);
    fuzz_bounds(bytes, count, vector->type, status == AQ_OK ? vector : NULL);
    fuzz_packing(bytes, count, vector->type, status == AQ_OK ? vector : NULL);
    fuzz_nodes(bytes, status == AQ_OK ? vector : NULL);
    fuzz_variants(bytes, count, vector->type);
    if (status == AQ_OK)
        check_survives(vector, AQ_PROFILE_FRAME);
    aq_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_BYTES)
        return 0;
    struct aq_vector vector;
    struct aq_slice rest = aq_slice_make(data + HEAD_BYTES, size - HEAD_BYTES);
    size_t count = aq_load_u16(data + 1) % ROWS_END;
    aq_vector_init(&vector, types[(data[0] & 0x1f) % (sizeof types / sizeof types[0])]);
    if ((data[0] & AS_VALUES) != 0)
        fuzz_values(rest, count, data[0], &vector);
    else
        fuzz_coded(rest, count, &vector);
    aq_vector_deinit(&vector);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    if (size <= HEAD_BYTES || (data[0] & AS_VALUES) != 0 || seed % 8 == 0)
        return LLVMFuzzerMutate(data, size, size_max);
    return HEAD_BYTES +
           column_mutate(data + HEAD_BYTES, size - HEAD_BYTES, size_max - HEAD_BYTES, seed);
}
