/* For fuzz targets: mutations of a coded column that know its fields. Most leave all others as they are, so that what a reader
 * checks late is reached. */
#ifndef AQ_FUZZ_COLUMN_MUTATE_H
#define AQ_FUZZ_COLUMN_MUTATE_H

#include "fuzz/support/column_fields.h"

/* libFuzzer's own; not there where the corpus alone is run. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

struct mutation {
    uint8_t *bytes;
    size_t size;
    size_t size_max;
    uint64_t random; /* the state of splitmix64 */
};

static inline uint64_t mutation_next(struct mutation *mutation)
{
    uint64_t z = mutation->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ z >> 27;
}

/* Other bytes in a field's place, if there is room. */
static inline void mutation_put(struct mutation *mutation, const struct field *field,
                                const void *bytes, size_t size)
{
    size_t behind = mutation->size - field->at - field->size;
    if (mutation->size - field->size + size > mutation->size_max)
        return;
    memmove(mutation->bytes + field->at + size, mutation->bytes + field->at + field->size, behind);
    memcpy(mutation->bytes + field->at, bytes, size);
    mutation->size = field->at + size + behind;
}

static inline void mutation_put_varint(struct mutation *mutation, const struct field *field,
                                       uint64_t value)
{
    struct aq_bytes bytes = {0};
    aq_bytes_varint(&bytes, value);
    mutation_put(mutation, field, bytes.data, bytes.size);
    aq_bytes_deinit(&bytes);
}

static inline uint64_t mutation_varint_at(const struct mutation *mutation,
                                          const struct field *field)
{
    struct aq_reader reader =
        aq_reader_make(aq_slice_make(mutation->bytes + field->at, field->size));
    return aq_reader_varint(&reader);
}

/* A number near another, or near an edge. */
static inline uint64_t mutation_number(struct mutation *mutation, uint64_t value)
{
    static const uint64_t edges[] = {
        0,        1,          2,         1023,       1024,
        8192,     65535,      65536,     1u << 22,   1u << 30,
        1u << 31, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_C(1) << 63};
    uint64_t random = mutation_next(mutation);
    switch (random % 4) {
    case 0:
        return edges[random / 4 % (sizeof edges / sizeof edges[0])];
    case 1:
        return value ^ UINT64_C(1) << random / 4 % 64;
    case 2:
        return random / 4 % (2 * (value & UINT32_MAX) + 2);
    default:
        return value + random / 4 % 9 - 4;
    }
}

/* Give a table's token some of its neighbour's share, so that the sum stays. */
static inline void mutation_shift_share(struct mutation *mutation, const struct fields *fields,
                                        size_t at)
{
    const struct field *field = &fields->field[at];
    if (at + 1 == fields->count || fields->field[at + 1].kind != FIELD_FREQUENCY)
        return;
    uint64_t from = mutation_varint_at(mutation, field + 1);
    uint64_t own = mutation_varint_at(mutation, field);
    uint64_t share = from == 0 ? 0 : mutation_next(mutation) % from + 1;
    mutation_put_varint(mutation, field + 1, from - share);
    mutation_put_varint(mutation, field, own + share);
}

static inline void mutation_state(struct mutation *mutation, const struct field *field)
{
    static const uint32_t edges[] = {0, 65535, 65536, 65537, INT32_MAX, UINT32_MAX};
    uint64_t random = mutation_next(mutation);
    uint32_t state = aq_load_u32(mutation->bytes + field->at);
    state = random % 3 == 0   ? edges[random / 3 % 6]
            : random % 3 == 1 ? (uint32_t)(random >> 16)
                              : state ^ 1u << random / 3 % 32;
    aq_store_u32(mutation->bytes + field->at, state);
}

static inline void mutation_small(struct mutation *mutation, const struct field *field,
                                  bool encoding)
{
    static const uint8_t encodings[] = {
#define ENCODING(name, number, text) number,
        AQ_ENCODING_TABLE(ENCODING)
#undef ENCODING
    };
    uint8_t *at = mutation->bytes + field->at;
    uint64_t random = mutation_next(mutation);
    if (encoding)
        *at = encodings[random % sizeof encodings];
    else
        *at = random % 2 == 0 ? (uint8_t)(*at + random / 2 % 5 - 2) : (uint8_t)(random >> 8) % 80;
}

/* Bytes by libFuzzer's mutations; a slice's size, where they have one, follows them. */
static inline void mutation_bytes(struct mutation *mutation, const struct fields *fields, size_t at)
{
    const struct field *field = &fields->field[at];
    bool sized = at > 0 && field[-1].kind == FIELD_SIZE;
    size_t room = sized ? field->size + 64 : field->size;
    uint8_t *bytes = malloc(room);
    if (bytes == NULL)
        return;
    memcpy(bytes, mutation->bytes + field->at, field->size);
    size_t size = LLVMFuzzerMutate(bytes, field->size, room);
    if (!sized && size < field->size) {
        memcpy(bytes + size, mutation->bytes + field->at + size, field->size - size);
        size = field->size;
    }
    size_t before = mutation->size;
    mutation_put(mutation, field, bytes, size);
    if (sized && mutation->size != before)
        mutation_put_varint(mutation, field - 1, size);
    free(bytes);
}

/** Change one field of the coded column in bytes[0, size); the new size, up to size_max. */
static inline size_t column_mutate(uint8_t *bytes, size_t size, size_t size_max, unsigned seed)
{
    struct fields *fields = malloc(sizeof *fields);
    struct mutation mutation = {bytes, size, size_max, seed};
    if (fields == NULL)
        return size;
    (void)fields_find(aq_slice_make(bytes, size), fields);
    size_t count = fields->count;
    if (count == 0) {
        free(fields);
        return LLVMFuzzerMutate(bytes, size, size_max);
    }
    /* Headers of nodes are few beside tables and vectors: half of the time one of the first. */
    size_t at = (size_t)(mutation_next(&mutation) %
                         (mutation_next(&mutation) % 2 == 0 && count > 24 ? 24 : count));
    const struct field *field = &fields->field[at];
    switch (field->kind) {
    case FIELD_FREQUENCY:
        if (mutation_next(&mutation) % 4 != 0) {
            mutation_shift_share(&mutation, fields, at);
            break;
        } /* else: so that the sum is wrong */
        __attribute__((fallthrough));
    case FIELD_COUNT:
    case FIELD_SIGNED:
    case FIELD_SIZE:
        mutation_put_varint(&mutation, field,
                            mutation_number(&mutation, mutation_varint_at(&mutation, field)));
        break;
    case FIELD_STATE:
        mutation_state(&mutation, field);
        break;
    case FIELD_BYTES:
        mutation_bytes(&mutation, fields, at);
        break;
    default:
        mutation_small(&mutation, field, field->kind == FIELD_ENCODING);
        break;
    }
    free(fields);
    return mutation.size;
}

#endif
