/* What the encodings share: nodes of a coded column. Each encoding is a file of nodes/ or ans/. Private to format/.
 *
 * A node is one byte that names its encoding, then its body; the count of its values comes from its
 * parent and is never 0. Bytes: docs/archive-format.md, "Encodings". */
#ifndef AQ_FORMAT_ENCODE_NODE_H
#define AQ_FORMAT_ENCODE_NODE_H

#include "format/encode/encode.h"

#define AQ_NODE_DEPTH_MAX 4

/* name, number on disk, text */
#define AQ_ENCODING_TABLE(X)                 \
    X(AQ_ENCODING_CONSTANT, 1, "constant")   \
    X(AQ_ENCODING_RUN, 2, "run")             \
    X(AQ_ENCODING_DICT, 3, "dict")           \
    X(AQ_ENCODING_BITPACK, 4, "bitpack")     \
    X(AQ_ENCODING_DELTA, 5, "delta")         \
    X(AQ_ENCODING_BYTEPLANE, 6, "byteplane") \
    X(AQ_ENCODING_ANS, 7, "ans")             \
    X(AQ_ENCODING_ANS32, 8, "ans32")         \
    X(AQ_ENCODING_REPEAT, 9, "repeat")       \
    X(AQ_ENCODING_MULTIPLE, 10, "multiple")  \
    X(AQ_ENCODING_DECIMAL, 16, "decimal")    \
    X(AQ_ENCODING_BITS, 17, "bits")          \
    X(AQ_ENCODING_TEXT, 32, "text")          \
    X(AQ_ENCODING_TEXT_DICT, 33, "dict")

enum aq_encoding {
#define AQ_ENCODING_ENUM(name, number, text) name = (number),
    AQ_ENCODING_TABLE(AQ_ENCODING_ENUM)
#undef AQ_ENCODING_ENUM
};

/* ---- encoding ---- */

/* Nodes that came after the freeze, by their feature: each is counted in half of a number's bits. */
#define AQ_LATE_COUNT_LANES UINT64_C(1) /* ans32 and repeat */
#define AQ_LATE_COUNT_MULTIPLE (UINT64_C(1) << 32)

struct aq_encoder {
    const struct aq_encode_options *options;
    struct aq_arena scratch; /* everything an encoder needs besides its output */
    void *zstd;              /* ZSTD_CCtx, made when first needed */
    uint32_t plan;  /* of the next aq_encode_ints alone: aq_plan (estimate.h), 0 to make one */
    bool repeating; /* inside of a repeat, in which there is no other */
    bool
        multiplying; /* where there is to be no multiple: inside of one, or it has been taken out */
    uint64_t late_count; /* of nodes in the output: a sum of AQ_LATE_COUNT_... */
};

/** The greatest number that divides both; of 0 and a number, this one. */
static inline uint64_t aq_common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static inline void *aq_encoder_alloc(struct aq_encoder *encoder, size_t count, size_t size)
{
    return aq_arena_alloc(&encoder->scratch, count * size);
}

/* A node of `count` > 0 integers, doubles or slices at `depth` (the topmost is 0), in the encoding
 * that suits the profile. What it allocates is given back. (cascade.c) */
enum aq_status aq_encode_ints(struct aq_encoder *encoder, const int64_t *values, size_t count,
                              unsigned depth, struct aq_bytes *out) AQ_RESULT;
enum aq_status aq_encode_doubles(struct aq_encoder *encoder, const double *values, size_t count,
                                 struct aq_bytes *out) AQ_RESULT;
enum aq_status aq_encode_slices(struct aq_encoder *encoder, const struct aq_slice *values,
                                size_t count, struct aq_bytes *out) AQ_RESULT;

/* One encoding each: append the node. */
void aq_constant_encode(int64_t value, struct aq_bytes *out);
void aq_bitpack_encode(const int64_t *values, size_t count, struct aq_bytes *out);
/** Bytes that aq_bitpack_encode would append. */
size_t aq_bitpack_size(const int64_t *values, size_t count);
enum aq_status aq_run_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                             unsigned depth, struct aq_bytes *out) AQ_RESULT;
enum aq_status aq_delta_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                               unsigned depth, struct aq_bytes *out) AQ_RESULT;
enum aq_status aq_byteplane_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                   struct aq_bytes *out) AQ_RESULT;
/** AQ_NOT_FOUND: it would take size_max bytes or more, about; nothing appended. */
enum aq_status aq_ans_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                             size_t size_max, struct aq_bytes *out) AQ_RESULT;
/** As aq_ans_encode; AQ_NOT_FOUND, too, where a word takes more than 32 bits. */
enum aq_status aq_ans32_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                               size_t size_max, struct aq_bytes *out) AQ_RESULT;
/** AQ_NOT_FOUND: too little is repeated; nothing appended. */
enum aq_status aq_repeat_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                unsigned depth, struct aq_bytes *out) AQ_RESULT;
/** The same of count > 2 values by turns the first and the second; not inside of a repeat. */
enum aq_status aq_alternation_encode(struct aq_encoder *encoder, const int64_t *values,
                                     size_t count, unsigned depth, struct aq_bytes *out) AQ_RESULT;

#define AQ_MULTIPLE_WRITTEN_MIN 1000 /* smaller ones, dictionaries and tokens hide about as well */

/** The greatest divisor of all differences of the values, from AQ_MULTIPLE_WRITTEN_MIN to INT64_MAX; 1: there is no such, or
 * they are all equal. */
uint64_t aq_multiple_find(const int64_t *values, size_t count) AQ_RESULT;
/** Values whose differences `multiple`, from 2 to INT64_MAX, divides; not inside of a multiple. */
enum aq_status aq_multiple_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                  uint64_t multiple, unsigned depth,
                                  struct aq_bytes *out) AQ_RESULT;

enum aq_entry_order { AQ_ENTRIES_AS_MET, AQ_ENTRIES_ASCENDING };

/** AQ_NOT_FOUND: more than entry_max different values; nothing appended. */
enum aq_status aq_dict_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                              size_t entry_max, enum aq_entry_order order, unsigned depth,
                              struct aq_bytes *out) AQ_RESULT;
/** AQ_NOT_FOUND: more than patch_max values are not decimals; nothing appended. */
enum aq_status aq_decimal_encode(struct aq_encoder *encoder, const double *values, size_t count,
                                 size_t patch_max, struct aq_bytes *out) AQ_RESULT;
enum aq_status aq_bits_encode(struct aq_encoder *encoder, const double *values, size_t count,
                              struct aq_bytes *out) AQ_RESULT;
enum aq_status aq_text_encode(struct aq_encoder *encoder, const struct aq_slice *values,
                              size_t count, unsigned depth, struct aq_bytes *out) AQ_RESULT;
/** AQ_NOT_FOUND as aq_dict_encode. */
enum aq_status aq_text_dict_encode(struct aq_encoder *encoder, const struct aq_slice *values,
                                   size_t count, size_t entry_max, struct aq_bytes *out) AQ_RESULT;

/** Append bytes as a block: as they are, or by zstd where that pays. `level` is the encoding's own, used
 * in archives unless the options name one. (block.c) */
enum aq_status aq_block_encode(struct aq_encoder *encoder, struct aq_slice raw, int level,
                               struct aq_bytes *out) AQ_RESULT;
void aq_encoder_deinit(struct aq_encoder *encoder);

/* ---- decoding ---- */

struct aq_kernels; /* kernel.h */

/* Where vectors of the node that has something for each row are noted. */
struct aq_packing {
    size_t row_count; /* of the column */
    struct aq_packed_vector *vectors;
    size_t vector_count;
};

/* Where nodes are noted. */
struct aq_node_list {
    struct aq_coded_node *nodes; /* AQ_CODED_NODES_MAX */
    size_t count;
    size_t open[AQ_NODE_DEPTH_MAX + 2]; /* by depth, with those that do not count in it */
    bool of_nulls;                      /* those that come */
};

struct aq_decoder {
    struct aq_reader reader;
    struct aq_arena *arena;            /* of slices that outlive the call */
    struct aq_decode_scratch *scratch; /* of everything else */
    const struct aq_kernels *kernels;
    size_t bytes_left; /* that may still be allocated */
    unsigned depth;
    bool repeating;             /* inside of a repeat, which does not count, */
    bool multiplying;           /* and of a multiple, which does not either */
    struct aq_wanted wanted;    /* of the node being decoded */
    struct aq_packing *packing; /* NULL, or of the rows that the node being decoded is of */
    struct aq_node_list *list;  /* NULL, or gets the nodes met */
    struct aq_bytes *trace;     /* NULL, or gets the names of the encodings met */
    bool has_children;          /* of the node being traced */
};

/** Note the reader's offset as the place of the corruption. */
enum aq_status aq_decoder_corrupt(struct aq_decoder *decoder);
/** AQ_CORRUPT if the reader has failed. */
enum aq_status aq_decoder_check(struct aq_decoder *decoder) AQ_RESULT;
/** count x size bytes within what is left; AQ_CORRUPT when beyond it. */
enum aq_status aq_decoder_alloc(struct aq_decoder *decoder, size_t count, size_t size,
                                void *memory) AQ_RESULT;
/** printf into the trace, if there is one. */
void aq_decoder_trace(struct aq_decoder *decoder, const char *format, ...) AQ_PRINTF(2, 3);

/* A node of exactly `count` > 0 values, all of which are wanted. (node.c) */
enum aq_status aq_decode_ints(struct aq_decoder *decoder, int64_t *values, size_t count) AQ_RESULT;
/* The next four: those of decoder->wanted only. */
/** Integers that stand for the parent's values, row by row. */
enum aq_status aq_decode_row_ints(struct aq_decoder *decoder, int64_t *values,
                                  size_t count) AQ_RESULT;
/** As aq_decode_row_ints, for a parent that goes through the values anyway: a delta's are left as its first value and
 * distances (*are_steps), for aq_kernels.sums. */
enum aq_status aq_decode_row_steps(struct aq_decoder *decoder, int64_t *values, size_t count,
                                   bool *are_steps) AQ_RESULT;
/** As integers that are all 0 or 1. */
enum aq_status aq_decode_flags(struct aq_decoder *decoder, uint8_t *flags, size_t count) AQ_RESULT;
enum aq_status aq_decode_doubles(struct aq_decoder *decoder, double *values,
                                 size_t count) AQ_RESULT;
enum aq_status aq_decode_slices(struct aq_decoder *decoder, struct aq_slice *values,
                                size_t count) AQ_RESULT;

/* Nodes as their different values (encode.h): AQ_NOT_FOUND for those that are not of such. */
enum aq_status aq_factor_row_ints(struct aq_decoder *decoder,
                                  struct aq_factored *factored) AQ_RESULT;
enum aq_status aq_factor_doubles(struct aq_decoder *decoder,
                                 struct aq_factored *factored) AQ_RESULT;
enum aq_status aq_factor_slices(struct aq_decoder *decoder, struct aq_factored *factored) AQ_RESULT;
/** Make `count` 64-bit values the factored ones. */
enum aq_status aq_factored_take(struct aq_factored *factored, const int64_t *values,
                                size_t count) AQ_RESULT;

/* Nodes as bounds of their vectors (aq_column_bounds): AQ_NOT_FOUND for those that do not tell. Of `stats` they set the
 * bounds and whether they are known. */
enum aq_status aq_bounds_row_ints(struct aq_decoder *decoder, size_t count,
                                  struct aq_column_stats *stats) AQ_RESULT;
enum aq_status aq_bounds_doubles(struct aq_decoder *decoder, size_t count,
                                 struct aq_column_stats *stats) AQ_RESULT;

/* Bodies of nodes, behind their encoding's number. */
enum aq_status aq_bitpack_bounds(struct aq_decoder *decoder, size_t count,
                                 struct aq_column_stats *stats) AQ_RESULT;
enum aq_status aq_multiple_bounds(struct aq_decoder *decoder, size_t count,
                                  struct aq_column_stats *stats) AQ_RESULT;
enum aq_status aq_decimal_bounds(struct aq_decoder *decoder, size_t count,
                                 struct aq_column_stats *stats) AQ_RESULT;
enum aq_status aq_constant_factor(struct aq_decoder *decoder,
                                  struct aq_factored *factored) AQ_RESULT;
enum aq_status aq_run_factor(struct aq_decoder *decoder, struct aq_factored *factored) AQ_RESULT;
enum aq_status aq_dict_factor(struct aq_decoder *decoder, struct aq_factored *factored) AQ_RESULT;
enum aq_status aq_multiple_factor(struct aq_decoder *decoder,
                                  struct aq_factored *factored) AQ_RESULT;
enum aq_status aq_text_dict_factor(struct aq_decoder *decoder,
                                   struct aq_factored *factored) AQ_RESULT;
enum aq_status aq_decimal_factor(struct aq_decoder *decoder,
                                 struct aq_factored *factored) AQ_RESULT;
enum aq_status aq_constant_decode(struct aq_decoder *decoder, int64_t *values,
                                  size_t count) AQ_RESULT;
enum aq_status aq_bitpack_decode(struct aq_decoder *decoder, int64_t *values,
                                 size_t count) AQ_RESULT;
enum aq_status aq_run_decode(struct aq_decoder *decoder, int64_t *values, size_t count) AQ_RESULT;
enum aq_status aq_run_decode_flags(struct aq_decoder *decoder, uint8_t *flags,
                                   size_t count) AQ_RESULT;
enum aq_status aq_delta_decode(struct aq_decoder *decoder, int64_t *values, size_t count) AQ_RESULT;
/** The first value and distances; before decoder->wanted, too. */
enum aq_status aq_delta_decode_steps(struct aq_decoder *decoder, int64_t *values,
                                     size_t count) AQ_RESULT;
enum aq_status aq_byteplane_decode(struct aq_decoder *decoder, int64_t *values,
                                   size_t count) AQ_RESULT;
enum aq_status aq_ans_decode(struct aq_decoder *decoder, int64_t *values, size_t count) AQ_RESULT;
enum aq_status aq_ans32_decode(struct aq_decoder *decoder, int64_t *values, size_t count) AQ_RESULT;
enum aq_status aq_repeat_decode(struct aq_decoder *decoder, int64_t *values,
                                size_t count) AQ_RESULT;
enum aq_status aq_multiple_decode(struct aq_decoder *decoder, int64_t *values,
                                  size_t count) AQ_RESULT;
enum aq_status aq_dict_decode(struct aq_decoder *decoder, int64_t *values, size_t count) AQ_RESULT;
enum aq_status aq_decimal_decode(struct aq_decoder *decoder, double *values,
                                 size_t count) AQ_RESULT;
enum aq_status aq_bits_decode(struct aq_decoder *decoder, double *values, size_t count) AQ_RESULT;
enum aq_status aq_text_decode(struct aq_decoder *decoder, struct aq_slice *values,
                              size_t count) AQ_RESULT;
enum aq_status aq_text_dict_decode(struct aq_decoder *decoder, struct aq_slice *values,
                                   size_t count) AQ_RESULT;
/** A block of raw_size bytes: borrowed from the reader's bytes, or in scratch. */
enum aq_status aq_block_decode(struct aq_decoder *decoder, size_t raw_size,
                               struct aq_slice *raw) AQ_RESULT;
/** As aq_block_decode, into the arena of what outlives the call; raw_size <= AQ_DECODED_BYTES_MAX. */
enum aq_status aq_block_decode_lasting(struct aq_decoder *decoder, size_t raw_size,
                                       const uint8_t **raw) AQ_RESULT;

#endif
