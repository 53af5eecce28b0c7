/* Making words: the bounds say which form they take, and a second pass gives it to them. */
#include "format/encode/words.h"

#include "format/encode/kernel/kernel.h"

struct aq_words aq_words_make(const int64_t *values, size_t count, uint64_t *words)
{
    int64_t min;
    int64_t max;
    size_t change_count;
    aq_kernels()->look(values, count, &min, &max, &change_count);
    bool zigzag = min < 0 && max > 0;
    for (size_t i = 0; zigzag && i < count; i++)
        words[i] = aq_zigzag(values[i]);
    for (size_t i = 0; !zigzag && i < count; i++)
        words[i] = (uint64_t)values[i] - (uint64_t)min;
    return (struct aq_words){.mode = zigzag ? AQ_WORD_ZIGZAG : AQ_WORD_BASE, .base = min};
}
