/* Entropy coding in 32 lanes (ans32.h), decoded: step after step, in each a word of every lane. Plain C here, and what the
 * variants with vectors share. Nothing waits for the lane before but the place in the stream, which moves by nothing or by one
 * number: no branch depends on the data, but that to raw bits beyond the first. */
#include "format/encode/kernel/kernel.h"

/* A state that is too small gets 16 bits. Whether it is, is a coin's throw: no branch. */
static inline __attribute__((always_inline)) uint32_t renormalise(uint32_t state,
                                                                  const uint8_t **at)
{
    uint32_t need = (uint32_t)(((uint64_t)state - AQ_ANS_STATE_MIN) >> 63);
    state = state << 16 * need | (aq_load_u16(*at) & (0u - need));
    *at += 2 * need;
    return state;
}

/* Raw bits that did not come with their tokens: `left` of each lane, of some more than 0. */
static void take_more(struct aq_ans32_streams *streams, unsigned lane_count, uint32_t *left)
{
    uint32_t any = 1;
    for (unsigned taken = AQ_ANS32_RAW_FIRST; any != 0; taken += AQ_ANS32_RAW_MORE) {
        any = 0;
        for (unsigned lane = 0; lane < lane_count; lane++) {
            unsigned more = left[lane] < AQ_ANS32_RAW_MORE ? left[lane] : AQ_ANS32_RAW_MORE;
            uint32_t state = streams->states[lane];
            streams->last[lane] |= (state & ((1u << more) - 1)) << taken;
            streams->states[lane] = renormalise(state >> more, &streams->at);
            left[lane] -= more;
            any |= left[lane];
        }
    }
}

/* A step of the first `lane_count` lanes. */
static inline __attribute__((always_inline)) void
take_words(struct aq_ans32_streams *streams, enum aq_ans_kind kind, unsigned lane_count)
{
    uint32_t left[AQ_ANS32_LANES];
    uint32_t any = 0;
    const uint8_t *at = streams->at;
    for (unsigned lane = 0; lane < lane_count; lane++) {
        uint32_t state = streams->states[lane];
        unsigned context = aq_ans32_context(kind, streams->last[lane], streams->older[lane]);
        uint32_t entry =
            streams->entries[(uint32_t)streams->tables[context] << AQ_ANS32_SCALE_BITS |
                             (state & (AQ_ANS32_SCALE - 1))];
        state = (entry >> 10 & 1023) * (state >> AQ_ANS32_SCALE_BITS) + (entry & 1023);
        unsigned width = entry >> 24;
        unsigned first = width < AQ_ANS32_RAW_FIRST ? width : AQ_ANS32_RAW_FIRST;
        streams->older[lane] = streams->last[lane];
        streams->last[lane] = (entry >> 20 & 15) << width | (state & ((1u << first) - 1));
        streams->states[lane] = renormalise(state >> first, &at);
        left[lane] = width - first;
        any |= left[lane];
    }
    streams->at = at;
    if (any != 0)
        take_more(streams, lane_count, left);
}

static inline __attribute__((always_inline)) bool take_steps(struct aq_ans32_streams *streams,
                                                             enum aq_ans_kind kind, int64_t *values,
                                                             size_t count, size_t first)
{
    size_t starts[AQ_ANS32_LANES];
    for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++)
        starts[lane] = aq_ans32_lane_start(count, lane);
    bool good = true;
    for (size_t step = first; step < count / AQ_ANS32_LANES && good; step++) {
        take_words(streams, kind, AQ_ANS32_LANES);
        for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++)
            values[starts[lane] + step] = aq_word_value(streams->form, streams->last[lane]);
        good = streams->at <= streams->end;
    }
    if (!good)
        return false;
    take_words(streams, kind, count % AQ_ANS32_LANES);
    for (unsigned lane = 0; lane < count % AQ_ANS32_LANES; lane++)
        values[starts[lane] + count / AQ_ANS32_LANES] =
            aq_word_value(streams->form, streams->last[lane]);
    return streams->at <= streams->end;
}

bool aq_ans32_steps(struct aq_ans32_streams *streams, enum aq_ans_kind kind, int64_t *values,
                    size_t count, size_t first)
{
    if (kind == AQ_ANS_NONE)
        return take_steps(streams, AQ_ANS_NONE, values, count, first);
    if (kind == AQ_ANS_SIZE)
        return take_steps(streams, AQ_ANS_SIZE, values, count, first);
    return take_steps(streams, AQ_ANS_WORD, values, count, first);
}

bool aq_ans32_portable(struct aq_ans32_streams *streams, enum aq_ans_kind kind, int64_t *values,
                       size_t count)
{
    return aq_ans32_steps(streams, kind, values, count, 0);
}
