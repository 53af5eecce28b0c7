/* Exact, order-independent sums of doubles: the same multiset of values gives the same bits, whatever
 * the order, file or state it comes from (docs/decisions/exact-sums.md).
 *
 * A value is *short* if it is the double nearest to m x 10^-s with |m| < 10^15, 0 <= s <= 9; short
 * values add as m x 10^(9-s) in 128 bits (their squares in 256), all others in a superaccumulator as
 * wide as the exponent range. Both are exact; the total is rounded once, to nearest even.
 * @source Kulisch accumulators; Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997. */
#ifndef AQ_FORMAT_EXACT_SUM_H
#define AQ_FORMAT_EXACT_SUM_H

#include "format/base/bytes.h"

struct aq_wide_sum; /* superaccumulator; allocated when the first value that is not short arrives */

/** Sum of values, and of their squares where asked for. Zero-initialise; release with deinit. */
struct aq_exact_sum {
    uint64_t value_count; /* finite and special values alike */
    uint64_t nan_count;
    uint64_t plus_infinity_count;
    uint64_t minus_infinity_count;
    aq_int128 short_sum;       /* in units of 10^-9 */
    uint64_t short_squares[4]; /* 256 bits, little-endian words, in units of 10^-18 */
    bool with_squares;
    struct aq_wide_sum *wide;         /* NULL while every finite value was short */
    struct aq_wide_sum *wide_squares; /* NULL likewise, or while !with_squares */
};

void aq_exact_sum_deinit(struct aq_exact_sum *sum);
/** If `value` is short, give it in units of 10^-9 and return true. -0.0 is short (0). */
bool aq_exact_sum_shorten(double value, aq_int128 *units);
enum aq_status aq_exact_sum_add(struct aq_exact_sum *sum, double value) AQ_RESULT;
/** Add values[i] for which valid == NULL or valid[i] != 0. */
enum aq_status aq_exact_sum_add_many(struct aq_exact_sum *sum, const double *values,
                                     const uint8_t *valid, size_t count) AQ_RESULT;
/** Add an integer exactly (|value| of any int64). */
enum aq_status aq_exact_sum_add_int(struct aq_exact_sum *sum, int64_t value) AQ_RESULT;
enum aq_status aq_exact_sum_merge(struct aq_exact_sum *to,
                                  const struct aq_exact_sum *from) AQ_RESULT;

/** The sum rounded once; 0.0 for no values (the caller gives NULL); NaN and infinities as IEEE. */
enum aq_status aq_exact_sum_total(const struct aq_exact_sum *sum, double *total) AQ_RESULT;
/** sum / value_count, rounded once. value_count must be > 0. */
enum aq_status aq_exact_sum_average(const struct aq_exact_sum *sum, double *average) AQ_RESULT;
/** Variance: (n*squares - sum^2) / (n * (n - (sample ? 1 : 0))), exact until one rounding; needs
 * with_squares and enough values (asserted). */
enum aq_status aq_exact_sum_variance(const struct aq_exact_sum *sum, bool sample,
                                     double *variance) AQ_RESULT;

#endif
