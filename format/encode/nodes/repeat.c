/* Copies of what came before: stretches of values that stand some way up again (stations that share a weather column), and the
 * other values in a node of their own, which then needs not be one that finds repetitions.
 *
 * To find them, every 16th stretch of 16 values is remembered by its hash, and the hash of each 16 values looked up: one that
 * is long enough to be worth a copy cannot be missed. What is found is grown both ways.
 * @source Bentley, McIlroy, "Data compression using long common strings", 1999.
 *
 * Failures: no memory; AQ_NOT_FOUND where copies are too few. Reading, a copy of what is not there yet is corrupt. */
#include "format/encode/choose/estimate.h"
#include "format/encode/node.h"

#define WINDOW 16
#define CHANGES_MIN 8     /* in a window: stretches of one value cost little by themselves */
#define LENGTH_MIN 32     /* of a copy, which takes about six bytes */
#define SHARE_MIN 4       /* one value in so many must be copied, */
#define LONG_MIN 256      /* but where copies are as long as this on average, */
#define LONG_SHARE_MIN 32 /* one in so many */

struct copies {
    size_t count;
    size_t covered;     /* values */
    int64_t *gaps;      /* values before each, since the last one */
    int64_t *lengths;   /* less 1 */
    int64_t *distances; /* less 1 */
};

/* Windows that were remembered, by their hashes. */
struct place {
    uint32_t tag; /* of the hash */
    uint32_t end; /* behind the window; 0: none */
};
struct places {
    struct place *slots;
    size_t mask;
};

static enum aq_status make_tables(struct aq_encoder *encoder, size_t count, struct copies *copies,
                                  struct places *places)
{
    size_t size = 256;
    while (size < count / WINDOW * 4)
        size *= 2;
    *copies = (struct copies){
        .gaps = aq_encoder_alloc(encoder, count / LENGTH_MIN + 1, sizeof(int64_t)),
        .lengths = aq_encoder_alloc(encoder, count / LENGTH_MIN + 1, sizeof(int64_t)),
        .distances = aq_encoder_alloc(encoder, count / LENGTH_MIN + 1, sizeof(int64_t)),
    };
    *places = (struct places){.slots = aq_encoder_alloc(encoder, size, sizeof *places->slots),
                              .mask = size - 1};
    if (copies->gaps == NULL || copies->lengths == NULL || copies->distances == NULL ||
        places->slots == NULL)
        return AQ_NO_MEMORY;
    memset(places->slots, 0, size * sizeof *places->slots);
    return AQ_OK;
}

/* The hash of the window that ends with `value`, from that of the one before: it forgets four bits, a sixteenth of itself, with
 * every value. */
static inline uint64_t add_value(uint64_t hash, int64_t value)
{
    return (hash << 4) + ((uint64_t)value * UINT64_C(0x9e3779b97f4a7c15) >> 8);
}

static inline struct place *find_slot(struct places *places, uint64_t hash)
{
    return &places->slots[hash >> 36 & places->mask];
}

static inline uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

/* The longest stretch around the windows that end before `end` and before `other`, not before `from`. Returns its begin;
 * *length may be too little. */
static size_t grow(const int64_t *values, size_t count, size_t from, size_t other, size_t end,
                   size_t *length)
{
    size_t distance = end - other;
    size_t first = end;
    while (first > from && first > distance && values[first - 1] == values[first - 1 - distance])
        first--;
    while (end < count && values[end] == values[end - distance])
        end++;
    *length = end - first;
    return first;
}

static void find_copies(const int64_t *values, size_t count, struct places *places,
                        struct copies *copies)
{
    uint64_t hash = 0;
    unsigned changes = 0; /* a bit a value */
    int changed = 0;      /* of a window */
    size_t done = 0;      /* behind the last copy */
    for (size_t i = 0; i < count; i++) {
        hash = add_value(hash, values[i]);
        changes = changes << 1 | (i > 0 && values[i] != values[i - 1]);
        changed += (int)(changes & 1) - (int)(changes >> WINDOW & 1);
        if (changed < CHANGES_MIN || i < done)
            continue;
        struct place *slot = find_slot(places, hash);
        if (slot->tag == tag_of(hash) && slot->end > 0) {
            size_t length;
            size_t first = grow(values, count, done, slot->end, i + 1, &length);
            if (length >= LENGTH_MIN) {
                copies->gaps[copies->count] = (int64_t)(first - done);
                copies->lengths[copies->count] = (int64_t)length - 1;
                copies->distances[copies->count++] = (int64_t)(i - slot->end);
                copies->covered += length;
                done = first + length;
            }
        }
        if (i % WINDOW == WINDOW - 1)
            *slot = (struct place){.tag = tag_of(hash), .end = (uint32_t)i + 1};
    }
}

/* What is not copied, in its order. Returns how many that are. */
static size_t take_others(const int64_t *values, size_t count, const struct copies *copies,
                          int64_t *others)
{
    size_t at = 0;
    size_t taken = 0;
    for (size_t i = 0; i < copies->count; i++) {
        memcpy(others + taken, values + at, (size_t)copies->gaps[i] * sizeof *values);
        taken += (size_t)copies->gaps[i];
        at += (size_t)(copies->gaps[i] + copies->lengths[i]) + 1;
    }
    memcpy(others + taken, values + at, (count - at) * sizeof *values);
    return taken + count - at;
}

/* Parts may be as deep as the whole, which does not count. */
static enum aq_status encode_parts(struct aq_encoder *encoder, const struct copies *copies,
                                   const int64_t *others, size_t other_count, unsigned depth,
                                   struct aq_bytes *out)
{
    encoder->plan = 0;
    encoder->late_count += AQ_LATE_COUNT_LANES;
    aq_bytes_u8(out, AQ_ENCODING_REPEAT);
    aq_bytes_varint(out, copies->count);
    AQ_TRY(aq_encode_ints(encoder, copies->gaps, copies->count, depth, out));
    AQ_TRY(aq_encode_ints(encoder, copies->lengths, copies->count, depth, out));
    AQ_TRY(aq_encode_ints(encoder, copies->distances, copies->count, depth, out));
    if (other_count == 0)
        return AQ_OK;
    encoder->plan = AQ_SHAPE_ANS; /* nothing repeats any more */
    return aq_encode_ints(encoder, others, other_count, depth, out);
}

enum aq_status aq_repeat_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                unsigned depth, struct aq_bytes *out)
{
    struct copies copies;
    struct places places;
    AQ_TRY(make_tables(encoder, count, &copies, &places));
    find_copies(values, count, &places, &copies);
    bool are_long = copies.covered >= copies.count * LONG_MIN;
    if (copies.covered < count / (are_long ? LONG_SHARE_MIN : SHARE_MIN) + 1)
        return AQ_NOT_FOUND;
    int64_t *others = aq_encoder_alloc(encoder, count, sizeof *others);
    if (others == NULL)
        return AQ_NO_MEMORY;
    size_t other_count = take_others(values, count, &copies, others);
    encoder->repeating = true;
    enum aq_status status = encode_parts(encoder, &copies, others, other_count, depth, out);
    encoder->repeating = false;
    return status;
}

enum aq_status aq_alternation_encode(struct aq_encoder *encoder, const int64_t *values,
                                     size_t count, unsigned depth, struct aq_bytes *out)
{
    int64_t gap = 2;
    int64_t length = (int64_t)count - 3;
    int64_t distance = 1;
    struct copies copies = {.count = 1, .gaps = &gap, .lengths = &length, .distances = &distance};
    return encode_parts(encoder, &copies, values, 2, depth, out);
}

/* ---- reading ---- */

static enum aq_status read_copies(struct aq_decoder *decoder, size_t count, struct copies *copies)
{
    uint64_t copy_count = aq_reader_varint(&decoder->reader);
    if (copy_count == 0 || copy_count > count)
        return aq_decoder_corrupt(decoder);
    copies->count = (size_t)copy_count;
    AQ_TRY(aq_decoder_alloc(decoder, copies->count, sizeof(int64_t), &copies->gaps));
    AQ_TRY(aq_decoder_alloc(decoder, copies->count, sizeof(int64_t), &copies->lengths));
    AQ_TRY(aq_decoder_alloc(decoder, copies->count, sizeof(int64_t), &copies->distances));
    AQ_TRY(aq_decode_ints(decoder, copies->gaps, copies->count));
    AQ_TRY(aq_decode_ints(decoder, copies->lengths, copies->count));
    AQ_TRY(aq_decode_ints(decoder, copies->distances, copies->count));
    uint64_t at = 0;
    for (size_t i = 0; i < copies->count; i++) {
        uint64_t gap = (uint64_t)copies->gaps[i];
        uint64_t length = (uint64_t)copies->lengths[i];
        if (gap > count - at || length >= count - at - gap ||
            (uint64_t)copies->distances[i] >= at + gap)
            return aq_decoder_corrupt(decoder);
        at += gap + length + 1;
        copies->covered += (size_t)length + 1;
    }
    return AQ_OK;
}

/* The other values stand at the end: they are moved to where they belong, which they never overtake, and copies filled in. */
static void fill_in(const struct copies *copies, int64_t *values, size_t count)
{
    int64_t *to = values;
    const int64_t *others = values + copies->covered;
    for (size_t i = 0; i < copies->count; i++) {
        size_t gap = (size_t)copies->gaps[i];
        size_t length = (size_t)copies->lengths[i] + 1;
        size_t distance = (size_t)copies->distances[i] + 1;
        memmove(to, others, gap * sizeof *to);
        to += gap;
        others += gap;
        const int64_t *from = to - distance;
        if (distance >= length)
            memcpy(to, from, length * sizeof *to);
        for (size_t k = 0; distance < length && k < length; k++)
            to[k] = from[k];
        to += length;
    }
    memmove(to, others, (size_t)(values + count - to) * sizeof *to);
}

enum aq_status aq_repeat_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    struct copies copies = {0};
    if (decoder->repeating)
        return aq_decoder_corrupt(decoder);
    decoder->repeating = true;
    enum aq_status status = read_copies(decoder, count, &copies);
    if (status == AQ_OK && copies.covered < count)
        status = aq_decode_ints(decoder, values + copies.covered, count - copies.covered);
    decoder->repeating = false;
    if (status == AQ_OK)
        fill_in(&copies, values, count);
    return status;
}
