/* For fuzz targets: where the fields of a coded column lie (docs/archive-format.md, "Encodings"), so that one can be changed and all
 * others be left as they are. What cannot be followed further ends the walk: the fields before it are known. */
#ifndef AQ_FUZZ_COLUMN_FIELDS_H
#define AQ_FUZZ_COLUMN_FIELDS_H

#include <stdlib.h>

#include "format/encode/kernel/kernel.h"

#define FIELDS_MAX 4096
#define FIELD_NODES_DEEP 8 /* more than a reader takes */

enum field_kind {
    FIELD_ENCODING,
    FIELD_COUNT,  /* a varint */
    FIELD_SIGNED, /* of a zigzag code */
    FIELD_SMALL,  /* a byte: width, mode, kind, method, number of planes, exponent, first token */
    FIELD_FREQUENCY, /* a varint, in a table with the fields of its kind beside it */
    FIELD_STATE,     /* 32 bits */
    FIELD_SIZE,      /* a varint, of the bytes behind it */
    FIELD_BYTES,     /* packed bits, streams, text */
};

struct field {
    enum field_kind kind;
    size_t at;
    size_t size;
};

struct fields {
    struct aq_reader reader;
    size_t count;
    struct field field[FIELDS_MAX];
};

/* What was read since `at` is a field. */
static inline bool field_add(struct fields *fields, enum field_kind kind, size_t at)
{
    if (fields->reader.failed || fields->count == FIELDS_MAX)
        return false;
    fields->field[fields->count++] = (struct field){kind, at, fields->reader.offset - at};
    return true;
}

static inline bool field_u8(struct fields *fields, enum field_kind kind, uint8_t *value)
{
    size_t at = fields->reader.offset;
    *value = aq_reader_u8(&fields->reader);
    return field_add(fields, kind, at);
}

static inline bool field_varint(struct fields *fields, enum field_kind kind, uint64_t *value)
{
    size_t at = fields->reader.offset;
    *value = aq_reader_varint(&fields->reader);
    return field_add(fields, kind, at);
}

static inline bool field_signed(struct fields *fields)
{
    uint64_t code;
    return field_varint(fields, FIELD_SIGNED, &code);
}

static inline bool field_bytes(struct fields *fields, size_t size)
{
    size_t at = fields->reader.offset;
    (void)aq_reader_bytes(&fields->reader, size);
    return size == 0 ? !fields->reader.failed : field_add(fields, FIELD_BYTES, at);
}

static inline bool field_slice(struct fields *fields)
{
    uint64_t size;
    return field_varint(fields, FIELD_SIZE, &size) && field_bytes(fields, (size_t)size);
}

static inline bool field_words(struct fields *fields)
{
    uint8_t mode;
    return field_u8(fields, FIELD_SMALL, &mode) && (mode != 0 || field_signed(fields));
}

static inline bool field_block(struct fields *fields, size_t raw_size)
{
    uint8_t method;
    return field_u8(fields, FIELD_SMALL, &method) &&
           (method == 0 ? field_bytes(fields, raw_size) : field_slice(fields));
}

/* The sum of the integers of a node that begins at `at`, each `more` larger; false: it cannot be decoded. */
static inline bool field_sum(const struct fields *fields, size_t at, size_t count, uint64_t more,
                             uint64_t *sum)
{
    struct aq_decode_scratch scratch = {0};
    struct aq_decoder decoder = {.reader = fields->reader,
                                 .scratch = &scratch,
                                 .kernels = aq_kernels(),
                                 .bytes_left = AQ_DECODED_BYTES_MAX};
    int64_t *values = malloc(count * sizeof *values);
    decoder.reader.offset = at;
    *sum = 0;
    bool good = values != NULL && aq_decode_ints(&decoder, values, count) == AQ_OK;
    for (size_t i = 0; good && i < count; i++) {
        *sum += (uint64_t)values[i] + more;
        good = *sum <= AQ_DECODED_BYTES_MAX;
    }
    free(values);
    aq_decode_scratch_deinit(&scratch);
    return good;
}

static inline bool field_bitpack(struct fields *fields, size_t count)
{
    for (size_t first = 0; first < count; first += AQ_VECTOR_ROWS_MAX) {
        size_t rows = count - first < AQ_VECTOR_ROWS_MAX ? count - first : AQ_VECTOR_ROWS_MAX;
        uint8_t width;
        if (!field_signed(fields) || !field_u8(fields, FIELD_SMALL, &width) ||
            !field_bytes(fields, (rows * width + 7) / 8))
            return false;
    }
    return true;
}

static inline bool field_byteplane(struct fields *fields, size_t count)
{
    uint8_t planes;
    if (!field_words(fields) || !field_u8(fields, FIELD_SMALL, &planes))
        return false;
    while (planes > 0 && field_block(fields, count))
        planes--;
    return planes == 0;
}

/* Tokens' frequencies. */
static inline bool field_frequencies(struct fields *fields, unsigned count)
{
    uint64_t frequency;
    while (count > 0 && field_varint(fields, FIELD_FREQUENCY, &frequency))
        count--;
    return count == 0;
}

static inline bool field_states(struct fields *fields, unsigned count)
{
    while (count > 0) {
        size_t at = fields->reader.offset;
        (void)aq_reader_u32(&fields->reader);
        if (!field_add(fields, FIELD_STATE, at))
            return false;
        count--;
    }
    return true;
}

static inline bool field_ans(struct fields *fields)
{
    uint8_t kind, first, tokens;
    if (!field_words(fields) || !field_u8(fields, FIELD_SMALL, &kind) || kind >= AQ_ANS_KINDS)
        return false;
    for (unsigned context = 0; context < aq_ans_context_counts[kind]; context++) {
        if (!field_u8(fields, FIELD_SMALL, &tokens))
            return false;
        if (tokens > 0 &&
            (!field_u8(fields, FIELD_SMALL, &first) || !field_frequencies(fields, tokens)))
            return false;
    }
    return field_states(fields, AQ_ANS_LANES) && field_slice(fields) && field_slice(fields);
}

static inline bool field_ans32(struct fields *fields)
{
    uint8_t kind, contexts, first, tokens;
    if (!field_words(fields) || !field_u8(fields, FIELD_SMALL, &kind) || kind >= AQ_ANS_KINDS)
        return false;
    for (unsigned context = 0; context < aq_ans32_context_counts[kind]; context += contexts) {
        if (!field_u8(fields, FIELD_SMALL, &contexts) || contexts == 0 ||
            !field_u8(fields, FIELD_SMALL, &first) || !field_u8(fields, FIELD_SMALL, &tokens) ||
            !field_frequencies(fields, tokens))
            return false;
    }
    return field_states(fields, AQ_ANS32_LANES) && field_slice(fields);
}

static inline bool field_node(struct fields *fields, size_t count, unsigned depth);

static inline bool field_repeat(struct fields *fields, size_t count, unsigned depth)
{
    uint64_t copies, covered;
    size_t lengths_at;
    if (!field_varint(fields, FIELD_COUNT, &copies) || copies > count ||
        !field_node(fields, (size_t)copies, depth))
        return false;
    lengths_at = fields->reader.offset;
    return field_node(fields, (size_t)copies, depth) && field_node(fields, (size_t)copies, depth) &&
           field_sum(fields, lengths_at, (size_t)copies, 1, &covered) && covered <= count &&
           (covered == count || field_node(fields, count - (size_t)covered, depth));
}

static inline bool field_decimal(struct fields *fields, size_t count, unsigned depth)
{
    uint64_t segments, patches, ignored;
    uint8_t exponent;
    if (!field_varint(fields, FIELD_COUNT, &segments) || segments > count)
        return false;
    for (; segments > 0; segments--) {
        if (!field_varint(fields, FIELD_COUNT, &ignored) ||
            !field_u8(fields, FIELD_SMALL, &exponent) ||
            !field_varint(fields, FIELD_COUNT, &ignored))
            return false;
    }
    return field_varint(fields, FIELD_COUNT, &patches) && patches <= count &&
           (patches == 0 || (field_node(fields, (size_t)patches, depth) &&
                             field_node(fields, (size_t)patches, depth))) &&
           field_node(fields, count, depth);
}

static inline bool field_text(struct fields *fields, size_t count, unsigned depth)
{
    uint64_t total;
    size_t lengths_at = fields->reader.offset;
    return field_node(fields, count, depth) && field_sum(fields, lengths_at, count, 0, &total) &&
           field_block(fields, (size_t)total);
}

/* A count of no more than there are values; nodes of so many, and of all. */
static inline bool field_parts(struct fields *fields, size_t count, unsigned depth, bool all)
{
    uint64_t parts;
    return field_varint(fields, FIELD_COUNT, &parts) && parts <= count &&
           field_node(fields, (size_t)parts, depth) &&
           field_node(fields, all ? count : (size_t)parts, depth);
}

static inline bool field_node(struct fields *fields, size_t count, unsigned depth)
{
    uint8_t encoding;
    uint64_t multiple;
    if (count == 0 || depth == FIELD_NODES_DEEP || !field_u8(fields, FIELD_ENCODING, &encoding))
        return false;
    switch (encoding) {
    case AQ_ENCODING_CONSTANT:
        return field_signed(fields);
    case AQ_ENCODING_RUN:
        return field_parts(fields, count, depth + 1, false);
    case AQ_ENCODING_DICT:
    case AQ_ENCODING_TEXT_DICT:
        return field_parts(fields, count, depth + 1, true);
    case AQ_ENCODING_BITPACK:
        return field_bitpack(fields, count);
    case AQ_ENCODING_DELTA:
        return field_signed(fields) && field_node(fields, count - 1, depth + 1);
    case AQ_ENCODING_BYTEPLANE:
        return field_byteplane(fields, count);
    case AQ_ENCODING_ANS:
        return field_ans(fields);
    case AQ_ENCODING_ANS32:
        return field_ans32(fields);
    case AQ_ENCODING_REPEAT:
        return field_repeat(fields, count, depth + 1);
    case AQ_ENCODING_MULTIPLE:
        return field_varint(fields, FIELD_COUNT, &multiple) && field_signed(fields) &&
               field_node(fields, count, depth + 1);
    case AQ_ENCODING_DECIMAL:
        return field_decimal(fields, count, depth + 1);
    case AQ_ENCODING_BITS:
        return field_node(fields, count, depth + 1);
    case AQ_ENCODING_TEXT:
        return field_text(fields, count, depth + 1);
    default:
        return false;
    }
}

/** The fields of a coded column; true: it was followed to its end. */
static inline bool fields_find(struct aq_slice column, struct fields *fields)
{
    uint64_t count;
    uint8_t nulls;
    fields->reader = aq_reader_make(column);
    fields->count = 0;
    return field_varint(fields, FIELD_COUNT, &count) && count <= UINT16_MAX + 1 &&
           field_u8(fields, FIELD_SMALL, &nulls) &&
           (nulls != 2 || field_node(fields, (size_t)count, 0)) &&
           field_node(fields, (size_t)count, 0);
}

#endif
