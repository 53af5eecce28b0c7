/* Decoding a tree of nodes: each is handed to the encoding that its number names, which decodes its
 * children by the functions here. Depth and allocations are bounded here; what breaks a bound, and
 * every byte that cannot be, is AQ_CORRUPT, with the reader standing where it was met. */
#include "format/encode/node.h"

#include <stdio.h>

enum aq_status aq_decoder_corrupt(struct aq_decoder *decoder)
{
    aq_reader_fail(&decoder->reader);
    return AQ_CORRUPT;
}

enum aq_status aq_decoder_check(struct aq_decoder *decoder)
{
    return decoder->reader.failed ? AQ_CORRUPT : AQ_OK;
}

enum aq_status aq_decoder_alloc(struct aq_decoder *decoder, size_t count, size_t size, void *memory)
{
    size_t total;
    if (decoder->reader.failed || __builtin_mul_overflow(count, size, &total) ||
        total > decoder->bytes_left)
        return aq_decoder_corrupt(decoder);
    decoder->bytes_left -= total;
    void *allocated = aq_arena_alloc(&decoder->scratch->arena, total);
    memcpy(memory, &allocated, sizeof allocated);
    return allocated == NULL ? AQ_NO_MEMORY : AQ_OK;
}

void aq_decoder_trace(struct aq_decoder *decoder, const char *format, ...)
{
    if (decoder->trace == NULL)
        return;
    char text[64];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    aq_bytes_append(decoder->trace, text, (size_t)length);
}

static const char *encoding_text(uint8_t encoding)
{
    switch (encoding) {
#define ENCODING_TEXT(name, number, text) \
    case name:                            \
        return text;
        AQ_ENCODING_TABLE(ENCODING_TEXT)
#undef ENCODING_TEXT
    }
    return "unknown";
}

/* A node that is `depth` deep begins; its size is where it does until it ends. */
static void list_begin(struct aq_node_list *list, uint8_t encoding, unsigned depth, size_t count,
                       size_t offset)
{
    list->open[depth] = list->count;
    if (list->count < AQ_CODED_NODES_MAX)
        list->nodes[list->count++] = (struct aq_coded_node){.encoding = encoding_text(encoding),
                                                            .of_nulls = list->of_nulls,
                                                            .depth = depth,
                                                            .value_count = count,
                                                            .size_bytes = offset};
}

static void list_end(struct aq_node_list *list, unsigned depth, size_t offset)
{
    size_t place = list->open[depth];
    if (place < AQ_CODED_NODES_MAX)
        list->nodes[place].size_bytes = offset - list->nodes[place].size_bytes;
}

/* The encoding's number; one level deeper until node_end. The trace reads "parent(child, child)". */
static enum aq_status node_begin(struct aq_decoder *decoder, size_t count, uint8_t *encoding)
{
    unsigned depth_max = (unsigned)AQ_NODE_DEPTH_MAX + decoder->repeating + decoder->multiplying;
    if (decoder->depth == depth_max || count == 0)
        return aq_decoder_corrupt(decoder);
    *encoding = aq_reader_u8(&decoder->reader);
    AQ_TRY(aq_decoder_check(decoder));
    aq_decoder_trace(decoder, "%s%s",
                     decoder->depth == 0     ? ""
                     : decoder->has_children ? ", "
                                             : "(",
                     encoding_text(*encoding));
    if (decoder->list != NULL)
        list_begin(decoder->list, *encoding, decoder->depth, count, decoder->reader.offset - 1);
    decoder->depth++;
    decoder->has_children = false;
    return AQ_OK;
}

static enum aq_status node_end(struct aq_decoder *decoder, enum aq_status status)
{
    aq_decoder_trace(decoder, "%s", decoder->has_children ? ")" : "");
    decoder->depth--;
    if (decoder->list != NULL)
        list_end(decoder->list, decoder->depth, decoder->reader.offset);
    decoder->has_children = true;
    return status;
}

static enum aq_status decode_ints_body(struct aq_decoder *decoder, uint8_t encoding,
                                       int64_t *values, size_t count)
{
    switch (encoding) {
    case AQ_ENCODING_CONSTANT:
        return aq_constant_decode(decoder, values, count);
    case AQ_ENCODING_RUN:
        return aq_run_decode(decoder, values, count);
    case AQ_ENCODING_DICT:
        return aq_dict_decode(decoder, values, count);
    case AQ_ENCODING_BITPACK:
        return aq_bitpack_decode(decoder, values, count);
    case AQ_ENCODING_DELTA:
        return aq_delta_decode(decoder, values, count);
    case AQ_ENCODING_BYTEPLANE:
        return aq_byteplane_decode(decoder, values, count);
    case AQ_ENCODING_ANS:
        return aq_ans_decode(decoder, values, count);
    case AQ_ENCODING_REPEAT:
        return aq_repeat_decode(decoder, values, count);
    case AQ_ENCODING_ANS32:
        return aq_ans32_decode(decoder, values, count);
    case AQ_ENCODING_MULTIPLE:
        return aq_multiple_decode(decoder, values, count);
    default:
        return aq_decoder_corrupt(decoder);
    }
}

enum aq_status aq_decode_ints(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    struct aq_wanted wanted = decoder->wanted;
    struct aq_packing *packing = decoder->packing;
    decoder->wanted = (struct aq_wanted){.end = count};
    decoder->packing = NULL;
    enum aq_status status = aq_decode_row_ints(decoder, values, count);
    decoder->wanted = wanted;
    decoder->packing = packing;
    return status;
}

enum aq_status aq_decode_row_ints(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    uint8_t encoding;
    AQ_TRY(node_begin(decoder, count, &encoding));
    return node_end(decoder, decode_ints_body(decoder, encoding, values, count));
}

enum aq_status aq_decode_row_steps(struct aq_decoder *decoder, int64_t *values, size_t count,
                                   bool *are_steps)
{
    uint8_t encoding;
    AQ_TRY(node_begin(decoder, count, &encoding));
    *are_steps = encoding == AQ_ENCODING_DELTA;
    return node_end(decoder, *are_steps ? aq_delta_decode_steps(decoder, values, count)
                                        : decode_ints_body(decoder, encoding, values, count));
}

/* Flags as integers first, for the encodings that make no bytes themselves. */
static enum aq_status decode_flags_body(struct aq_decoder *decoder, uint8_t encoding,
                                        uint8_t *flags, size_t count)
{
    if (encoding == AQ_ENCODING_RUN)
        return aq_run_decode_flags(decoder, flags, count);
    int64_t *values;
    uint64_t used = 0;
    AQ_TRY(aq_decoder_alloc(decoder, count, sizeof *values, &values));
    AQ_TRY(decode_ints_body(decoder, encoding, values, count));
    for (size_t i = decoder->wanted.first; i < decoder->wanted.end; i++) {
        used |= (uint64_t)values[i];
        flags[i] = (uint8_t)values[i];
    }
    return used <= 1 ? AQ_OK : aq_decoder_corrupt(decoder);
}

/* Whichever vectors are wanted: flags take little. */
enum aq_status aq_decode_flags(struct aq_decoder *decoder, uint8_t *flags, size_t count)
{
    uint8_t encoding;
    struct aq_wanted wanted = decoder->wanted;
    struct aq_packing *packing = decoder->packing;
    AQ_TRY(node_begin(decoder, count, &encoding));
    decoder->wanted.vectors = NULL;
    decoder->packing = NULL;
    enum aq_status status = decode_flags_body(decoder, encoding, flags, count);
    decoder->wanted = wanted;
    decoder->packing = packing;
    return node_end(decoder, status);
}

enum aq_status aq_decode_doubles(struct aq_decoder *decoder, double *values, size_t count)
{
    uint8_t encoding;
    AQ_TRY(node_begin(decoder, count, &encoding));
    enum aq_status status;
    if (encoding == AQ_ENCODING_DECIMAL)
        status = aq_decimal_decode(decoder, values, count);
    else if (encoding == AQ_ENCODING_BITS)
        status = aq_bits_decode(decoder, values, count);
    else
        status = aq_decoder_corrupt(decoder);
    return node_end(decoder, status);
}

enum aq_status aq_decode_slices(struct aq_decoder *decoder, struct aq_slice *values, size_t count)
{
    uint8_t encoding;
    AQ_TRY(node_begin(decoder, count, &encoding));
    enum aq_status status;
    if (encoding == AQ_ENCODING_TEXT)
        status = aq_text_decode(decoder, values, count);
    else if (encoding == AQ_ENCODING_TEXT_DICT)
        status = aq_text_dict_decode(decoder, values, count);
    else
        status = aq_decoder_corrupt(decoder);
    return node_end(decoder, status);
}

/* ---- as different values ---- */

enum aq_status aq_factored_take(struct aq_factored *factored, const int64_t *values, size_t count)
{
    AQ_TRY(aq_vector_reserve(&factored->values, count));
    AQ_TRY(aq_vector_resize(&factored->values, count));
    memcpy(factored->values.ints, values, count * sizeof *values);
    return AQ_OK;
}

static enum aq_status factor_body(struct aq_decoder *decoder, uint8_t encoding,
                                  struct aq_factored *factored)
{
    switch (encoding) {
    case AQ_ENCODING_CONSTANT:
        return aq_constant_factor(decoder, factored);
    case AQ_ENCODING_RUN:
        return aq_run_factor(decoder, factored);
    case AQ_ENCODING_DICT:
        return aq_dict_factor(decoder, factored);
    case AQ_ENCODING_MULTIPLE:
        return aq_multiple_factor(decoder, factored);
    default:
        return AQ_NOT_FOUND;
    }
}

enum aq_status aq_factor_row_ints(struct aq_decoder *decoder, struct aq_factored *factored)
{
    uint8_t encoding;
    AQ_TRY(node_begin(decoder, factored->codes.row_count, &encoding));
    return node_end(decoder, factor_body(decoder, encoding, factored));
}

enum aq_status aq_factor_doubles(struct aq_decoder *decoder, struct aq_factored *factored)
{
    uint8_t encoding;
    AQ_TRY(node_begin(decoder, factored->codes.row_count, &encoding));
    enum aq_status status = AQ_NOT_FOUND;
    if (encoding == AQ_ENCODING_DECIMAL)
        status = aq_decimal_factor(decoder, factored);
    else if (encoding == AQ_ENCODING_BITS)
        status = aq_factor_row_ints(decoder, factored);
    return node_end(decoder, status);
}

enum aq_status aq_factor_slices(struct aq_decoder *decoder, struct aq_factored *factored)
{
    uint8_t encoding;
    AQ_TRY(node_begin(decoder, factored->codes.row_count, &encoding));
    return node_end(decoder, encoding == AQ_ENCODING_TEXT_DICT
                                 ? aq_text_dict_factor(decoder, factored)
                                 : AQ_NOT_FOUND);
}

/* ---- as bounds of vectors ---- */

enum aq_status aq_bounds_row_ints(struct aq_decoder *decoder, size_t count,
                                  struct aq_column_stats *stats)
{
    uint8_t encoding;
    AQ_TRY(node_begin(decoder, count, &encoding));
    enum aq_status status = AQ_NOT_FOUND;
    if (encoding == AQ_ENCODING_BITPACK)
        status = aq_bitpack_bounds(decoder, count, stats);
    else if (encoding == AQ_ENCODING_MULTIPLE)
        status = aq_multiple_bounds(decoder, count, stats);
    return node_end(decoder, status);
}

enum aq_status aq_bounds_doubles(struct aq_decoder *decoder, size_t count,
                                 struct aq_column_stats *stats)
{
    uint8_t encoding;
    AQ_TRY(node_begin(decoder, count, &encoding));
    return node_end(decoder, encoding == AQ_ENCODING_DECIMAL
                                 ? aq_decimal_bounds(decoder, count, stats)
                                 : AQ_NOT_FOUND);
}
