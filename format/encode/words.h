/* Signed integers as unsigned words that are small where the integers are near each other or near
 * zero: distances from the least where all are on one side of zero, else zigzag codes. Shared by
 * byte planes and entropy coding. */
#ifndef AQ_FORMAT_ENCODE_WORDS_H
#define AQ_FORMAT_ENCODE_WORDS_H

#include "format/encode/node.h"

enum aq_word_mode { AQ_WORD_BASE = 0, AQ_WORD_ZIGZAG = 1 };

struct aq_words {
    uint8_t mode;
    int64_t base; /* of AQ_WORD_BASE */
};

/** Words of count > 0 values, and what they are. */
struct aq_words aq_words_make(const int64_t *values, size_t count, uint64_t *words);

static inline void aq_words_append(struct aq_words form, struct aq_bytes *out)
{
    aq_bytes_u8(out, form.mode);
    if (form.mode == AQ_WORD_BASE)
        aq_bytes_varint_signed(out, form.base);
}

static inline enum aq_status aq_words_read(struct aq_decoder *decoder, struct aq_words *form)
{
    form->mode = aq_reader_u8(&decoder->reader);
    if (form->mode > AQ_WORD_ZIGZAG)
        return aq_decoder_corrupt(decoder);
    form->base = form->mode == AQ_WORD_BASE ? aq_reader_varint_signed(&decoder->reader) : 0;
    return aq_decoder_check(decoder);
}

static inline int64_t aq_word_value(struct aq_words form, uint64_t word)
{
    return form.mode == AQ_WORD_ZIGZAG ? aq_unzigzag(word) : (int64_t)(word + (uint64_t)form.base);
}

/* Words, stored where the values go, become values. */
static inline void aq_words_restore(struct aq_words form, int64_t *values, size_t count)
{
    for (size_t i = 0; form.mode == AQ_WORD_ZIGZAG && i < count; i++)
        values[i] = aq_unzigzag((uint64_t)values[i]);
    for (size_t i = 0; form.mode == AQ_WORD_BASE && i < count; i++)
        values[i] = (int64_t)((uint64_t)values[i] + (uint64_t)form.base);
}

#endif
