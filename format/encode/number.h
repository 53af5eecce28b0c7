/* Which of the different values of a column each has: what dictionaries and columns that follow others are made of. */
#ifndef AQ_FORMAT_ENCODE_NUMBER_H
#define AQ_FORMAT_ENCODE_NUMBER_H

#include "format/base/arena.h"
#include "format/base/bytes.h"

/** Numbers of different values, in the order in which they are first met, from 0. Null is a value of its own. */
struct aq_numbers {
    uint32_t *codes;  /* of each value its number */
    uint32_t *firsts; /* of each number the first place that has it */
    uint32_t count;
    uint64_t
        steps; /* work: slots of a table that had another value; at most AQ_NUMBER_STEPS_MAX a value */
};

/* Where values, of whatever origin, have crowded a table's slots so much, they are sorted instead. */
#define AQ_NUMBER_STEPS_MAX 8

/**
 * Number `count` values: integers or slices that are alike if their bits are. Work is O(n log n) of any values, and as a rule O(n).
 *
 * @param valid      Of each value 0 if it is null; NULL: none is.
 * @param count_max  Of different values.
 * @param arena      Of `numbers`' arrays.
 * @return AQ_OK; AQ_NOT_FOUND: there are more than `count_max` different values; AQ_NO_MEMORY.
 * @thread Reentrant.
 */
enum aq_status aq_number_ints(const int64_t *values, const uint8_t *valid, size_t count,
                              size_t count_max, struct aq_arena *arena,
                              struct aq_numbers *numbers) AQ_RESULT;
enum aq_status aq_number_slices(const struct aq_slice *values, const uint8_t *valid, size_t count,
                                size_t count_max, struct aq_arena *arena,
                                struct aq_numbers *numbers) AQ_RESULT;

#endif
