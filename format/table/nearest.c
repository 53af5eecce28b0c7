/* Edit distance between short words, by three rolling rows. Words longer than WORD_BYTES_MAX are
 * nobody's typing mistake and have no neighbour. */
#include "format/table/nearest.h"

#include <string.h>

#define WORD_BYTES_MAX 64

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(struct aq_slice a, struct aq_slice b)
{
    size_t rows[3][WORD_BYTES_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            uint8_t x = lower(a.data[i - 1]), y = lower(b.data[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b.data[j - 2]) && y == lower(a.data[i - 2]))
                row[j] = smaller(row[j], above2[j - 2] + 1);
        }
    }
    return rows[a.size % 3][b.size];
}

const char *aq_nearest_word(struct aq_slice typed, const char *const *candidates,
                            size_t candidate_count)
{
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;
    if (typed.size == 0 || typed.size > WORD_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < candidate_count; i++) {
        struct aq_slice word = aq_slice_of(candidates[i] != NULL ? candidates[i] : "");
        if (word.size == 0 || word.size > WORD_BYTES_MAX)
            continue;
        size_t longer = word.size > typed.size ? word.size : typed.size;
        size_t found = distance(typed, word);
        if (found * 3 <= longer && found < nearest_distance) {
            nearest = candidates[i];
            nearest_distance = found;
        }
    }
    return nearest;
}
