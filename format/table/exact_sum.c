/* Exact sums (the meaning is in exact_sum.h, the reasons in docs/decisions/exact-sums.md).
 *
 * Adding: a short value becomes an integer of units of 10^-9 and is added to 128 bits, its square to
 * 256. Any other finite value goes, mantissa shifted to its place, into a wide accumulator whose
 * unit is 2^-2148: every double, and every square of one, is a multiple of it. Positive and negative
 * values have their own accumulator, so that a carry seldom runs far.
 * Finishing: short and wide part become one exact fraction in GMP, rounded once.
 *
 * Failures: only memory, for a first wide value; the sum is then unchanged. */
#include "format/table/exact_sum.h"

#include <assert.h>
#include <float.h>
#include <gmp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNITS_PER_ONE 1e9
#define UNITS_PER_ONE_INT INT64_C(1000000000)
#define SHORT_LIMIT 1e15
#define SHORT_LIMIT_INT INT64_C(1000000000000000)
#define BLOCK_VALUES 256

/* 4,196 bits of squares from 2^-2148 to 2^2048, and 64 more for the carries of 2^64 values. */
#define WIDE_LIMBS 68
#define WIDE_UNIT_EXPONENT (-2148)

struct aq_wide_sum {
    uint64_t plus[WIDE_LIMBS];
    uint64_t minus[WIDE_LIMBS];
};

void aq_exact_sum_deinit(struct aq_exact_sum *sum)
{
    free(sum->wide);
    free(sum->wide_squares);
    *sum = (struct aq_exact_sum){0};
}

/* The largest scale s <= 9 at which |value| x 10^s stays below 10^15: if any scale makes `value`
 * short, this one does, and the decimal is the same one, since two decimals of 15 digits never share
 * a nearest double. */
static unsigned scale_of(double magnitude)
{
    unsigned scale = 9;
    for (double limit = SHORT_LIMIT / UNITS_PER_ONE; scale > 0 && magnitude >= limit; limit *= 10)
        scale--;
    return scale;
}

bool aq_exact_sum_shorten(double value, aq_int128 *units)
{
    static const double power[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    double magnitude = fabs(value);
    if (!(magnitude < SHORT_LIMIT))
        return false;
    unsigned scale = scale_of(magnitude);
    double scaled = nearbyint(value * power[scale]);
    /* Both operands are exact, so the quotient is the double nearest to the decimal. */
    if (fabs(scaled) >= SHORT_LIMIT || scaled / power[scale] != value)
        return false;
    *units = (aq_int128)(int64_t)scaled * (int64_t)power[9 - scale];
    return true;
}

/* limbs += value x 2^bit; the sum must fit (asserted). */
static void add_bits(uint64_t *limbs, size_t limb_count, aq_uint128 value, size_t bit)
{
    size_t at = bit / 64;
    unsigned shift = bit % 64;
    uint64_t part[3] = {
        (uint64_t)(value << shift),
        (uint64_t)((value << shift) >> 64),
        shift == 0 ? 0 : (uint64_t)(value >> (128 - shift)),
    };
    uint64_t carry = 0;
    for (size_t i = 0; i < 3 || carry != 0; i++, at++) {
        aq_uint128 total = (aq_uint128)carry + (i < 3 ? part[i] : 0);
        if (total == 0)
            continue;
        assert(at < limb_count);
        total += limbs[at];
        limbs[at] = (uint64_t)total;
        carry = (uint64_t)(total >> 64);
    }
}

static void add_limbs(uint64_t *to, const uint64_t *from, size_t limb_count)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < limb_count; i++) {
        aq_uint128 total = (aq_uint128)to[i] + from[i] + carry;
        to[i] = (uint64_t)total;
        carry = (uint64_t)(total >> 64);
    }
    assert(carry == 0);
}

static enum aq_status need_wide(struct aq_wide_sum **wide)
{
    if (*wide == NULL)
        *wide = calloc(1, sizeof **wide);
    return *wide == NULL ? AQ_NO_MEMORY : AQ_OK;
}

/* short_squares += units^2; |units| < 2^80. */
static void add_short_square(struct aq_exact_sum *sum, aq_int128 units)
{
    aq_uint128 magnitude = units < 0 ? -(aq_uint128)units : (aq_uint128)units;
    uint64_t low = (uint64_t)magnitude;
    uint64_t high = (uint64_t)(magnitude >> 64);
    add_bits(sum->short_squares, 4, (aq_uint128)low * low, 0);
    if (high == 0)
        return;
    add_bits(sum->short_squares, 4, (aq_uint128)low * high, 65);
    add_bits(sum->short_squares, 4, (aq_uint128)high * high, 128);
}

/* magnitude x 2^bit in wide units, its square in those of the squares. */
static enum aq_status add_wide(struct aq_exact_sum *sum, bool negative, uint64_t magnitude,
                               size_t bit)
{
    AQ_TRY(need_wide(&sum->wide));
    if (sum->with_squares) {
        AQ_TRY(need_wide(&sum->wide_squares));
        add_bits(sum->wide_squares->plus, WIDE_LIMBS, (aq_uint128)magnitude * magnitude,
                 2 * bit + WIDE_UNIT_EXPONENT);
    }
    add_bits(negative ? sum->wide->minus : sum->wide->plus, WIDE_LIMBS, magnitude, bit);
    return AQ_OK;
}

static enum aq_status add_wide_double(struct aq_exact_sum *sum, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    size_t exponent = (bits >> 52) & 0x7ff;
    if (exponent == 0)
        exponent = 1; /* subnormal: no hidden bit */
    else
        mantissa |= UINT64_C(1) << 52;
    /* The last bit of the mantissa stands for 2^(exponent - 1075). */
    return add_wide(sum, value < 0, mantissa, exponent - 1075 - WIDE_UNIT_EXPONENT);
}

static void count_special(struct aq_exact_sum *sum, double value)
{
    if (isnan(value))
        sum->nan_count++;
    else if (value > 0)
        sum->plus_infinity_count++;
    else
        sum->minus_infinity_count++;
}

static void add_short(struct aq_exact_sum *sum, aq_int128 units)
{
    sum->short_sum += units;
    if (sum->with_squares)
        add_short_square(sum, units);
}

enum aq_status aq_exact_sum_add(struct aq_exact_sum *sum, double value)
{
    aq_int128 units;
    if (aq_exact_sum_shorten(value, &units))
        add_short(sum, units);
    else if (isfinite(value))
        AQ_TRY(add_wide_double(sum, value));
    else
        count_special(sum, value);
    sum->value_count++;
    return AQ_OK;
}

enum aq_status aq_exact_sum_add_int(struct aq_exact_sum *sum, int64_t value)
{
    if (value > -SHORT_LIMIT_INT && value < SHORT_LIMIT_INT) {
        add_short(sum, (aq_int128)value * UNITS_PER_ONE_INT);
    } else {
        uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
        AQ_TRY(add_wide(sum, value < 0, magnitude, -WIDE_UNIT_EXPONENT));
    }
    sum->value_count++;
    return AQ_OK;
}

/* Units of 10^-9 of a whole block, when every value in it is below 10^6 and short: the usual case, in
 * a loop that the compiler turns into vector code. Adding and subtracting 1.5 x 2^52 rounds to an
 * integer, which then stands in the low bits of the double. Null rows count as 0. */
static bool shorten_block(const double *values, const uint8_t *valid, size_t count, int64_t *units)
{
    static const double rounder = 6755399441055744.0;
    int64_t rounder_bits;
    memcpy(&rounder_bits, &rounder, sizeof rounder_bits);
    uint64_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        double value = valid == NULL || valid[i] ? values[i] : 0.0;
        double moved = value * UNITS_PER_ONE + rounder;
        double scaled = moved - rounder;
        failed |=
            (uint64_t) !(fabs(scaled) < SHORT_LIMIT) | (uint64_t)(scaled / UNITS_PER_ONE != value);
        int64_t moved_bits;
        memcpy(&moved_bits, &moved, sizeof moved_bits);
        units[i] = (int64_t)((uint64_t)moved_bits - (uint64_t)rounder_bits);
    }
    return failed == 0;
}

/* |units| < 10^15 each, so that 256 of them fit 64 bits and 256 of their squares 128. */
static void add_block(struct aq_exact_sum *sum, const int64_t *units, size_t count)
{
    int64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += units[i];
    sum->short_sum += total;
    if (!sum->with_squares)
        return;
    aq_uint128 squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (aq_uint128)((aq_int128)units[i] * units[i]);
    add_bits(sum->short_squares, 4, squares, 0);
}

static size_t count_valid(const uint8_t *valid, size_t count)
{
    if (valid == NULL)
        return count;
    size_t valid_count = 0;
    for (size_t i = 0; i < count; i++)
        valid_count += valid[i] != 0;
    return valid_count;
}

enum aq_status aq_exact_sum_add_many(struct aq_exact_sum *sum, const double *values,
                                     const uint8_t *valid, size_t count)
{
    int64_t units[BLOCK_VALUES];
    for (size_t first = 0; first < count; first += BLOCK_VALUES) {
        size_t block = count - first < BLOCK_VALUES ? count - first : BLOCK_VALUES;
        const uint8_t *block_valid = valid == NULL ? NULL : valid + first;
        if (shorten_block(values + first, block_valid, block, units)) {
            add_block(sum, units, block);
            sum->value_count += count_valid(block_valid, block);
            continue;
        }
        for (size_t i = 0; i < block; i++) {
            if (block_valid == NULL || block_valid[i])
                AQ_TRY(aq_exact_sum_add(sum, values[first + i]));
        }
    }
    return AQ_OK;
}

static enum aq_status merge_wide(struct aq_wide_sum **to, const struct aq_wide_sum *from)
{
    if (from == NULL)
        return AQ_OK;
    AQ_TRY(need_wide(to));
    add_limbs((*to)->plus, from->plus, WIDE_LIMBS);
    add_limbs((*to)->minus, from->minus, WIDE_LIMBS);
    return AQ_OK;
}

enum aq_status aq_exact_sum_merge(struct aq_exact_sum *to, const struct aq_exact_sum *from)
{
    assert(from->with_squares || !to->with_squares || from->value_count == 0);
    if (to->with_squares && from->wide_squares != NULL)
        AQ_TRY(need_wide(&to->wide_squares));
    AQ_TRY(merge_wide(&to->wide, from->wide));
    if (to->with_squares) {
        AQ_TRY(merge_wide(&to->wide_squares, from->wide_squares));
        add_limbs(to->short_squares, from->short_squares, 4);
    }
    to->short_sum += from->short_sum;
    to->value_count += from->value_count;
    to->nan_count += from->nan_count;
    to->plus_infinity_count += from->plus_infinity_count;
    to->minus_infinity_count += from->minus_infinity_count;
    return AQ_OK;
}

/* numerator / denominator (> 0) to the nearest double, ties to even. Both are consumed. */
static double round_quotient(mpz_t numerator, mpz_t denominator)
{
    if (mpz_sgn(numerator) == 0)
        return 0.0;
    bool negative = mpz_sgn(numerator) < 0;
    mpz_abs(numerator, numerator);
    /* Scale by 2^shift to a quotient of 55 or 56 bits: 53 and at least two to round by. */
    long shift = 55 - ((long)mpz_sizeinbase(numerator, 2) - (long)mpz_sizeinbase(denominator, 2));
    if (shift >= 0)
        mpz_mul_2exp(numerator, numerator, (mp_bitcnt_t)shift);
    else
        mpz_mul_2exp(denominator, denominator, (mp_bitcnt_t)-shift);
    mpz_tdiv_qr(numerator, denominator, numerator, denominator);
    bool sticky = mpz_sgn(denominator) != 0;
    uint64_t quotient = mpz_get_ui(numerator);
    long bit_count = (long)mpz_sizeinbase(numerator, 2);
    long last_exponent = bit_count - DBL_MANT_DIG - shift;
    if (last_exponent < DBL_MIN_EXP - DBL_MANT_DIG)
        last_exponent = DBL_MIN_EXP - DBL_MANT_DIG; /* subnormal: fewer bits are left */
    long dropped = last_exponent + shift;
    if (dropped > bit_count)
        return 0.0; /* less than half of the smallest double */
    uint64_t half = UINT64_C(1) << (dropped - 1);
    uint64_t tail = quotient & (2 * half - 1);
    uint64_t kept = quotient >> dropped;
    if (tail > half || (tail == half && (sticky || kept % 2 == 1)))
        kept++;
    double magnitude = ldexp((double)kept, (int)last_exponent);
    return negative && kept != 0 ? -magnitude : magnitude;
}

static void import_limbs(mpz_t to, const uint64_t *limbs, size_t limb_count)
{
    mpz_import(to, limb_count, -1, sizeof *limbs, 0, 0, limbs);
}

/* to = wide, in units of 2^-2148 */
static void import_wide(mpz_t to, const struct aq_wide_sum *wide)
{
    mpz_t minus;
    mpz_init(minus);
    import_limbs(to, wide->plus, WIDE_LIMBS);
    import_limbs(minus, wide->minus, WIDE_LIMBS);
    mpz_sub(to, to, minus);
    mpz_clear(minus);
}

/* to = the sum of the finite values, in units of 10^-9, or of 10^-9 x 2^-2148 if `fine`. */
static void import_sum(mpz_t to, const struct aq_exact_sum *sum, bool fine)
{
    aq_uint128 magnitude =
        sum->short_sum < 0 ? -(aq_uint128)sum->short_sum : (aq_uint128)sum->short_sum;
    uint64_t limbs[2] = {(uint64_t)magnitude, (uint64_t)(magnitude >> 64)};
    import_limbs(to, limbs, 2);
    if (sum->short_sum < 0)
        mpz_neg(to, to);
    if (!fine)
        return;
    mpz_mul_2exp(to, to, -WIDE_UNIT_EXPONENT);
    if (sum->wide == NULL)
        return;
    mpz_t wide;
    mpz_init(wide);
    import_wide(wide, sum->wide);
    mpz_addmul_ui(to, wide, UNITS_PER_ONE_INT);
    mpz_clear(wide);
}

/* to = the sum of the squares, in units of 10^-18, or of 10^-18 x 2^-2148 if `fine`. */
static void import_squares(mpz_t to, const struct aq_exact_sum *sum, bool fine)
{
    import_limbs(to, sum->short_squares, 4);
    if (!fine)
        return;
    mpz_mul_2exp(to, to, -WIDE_UNIT_EXPONENT);
    if (sum->wide_squares == NULL)
        return;
    mpz_t wide;
    mpz_init(wide);
    import_wide(wide, sum->wide_squares);
    mpz_mul_ui(wide, wide, UNITS_PER_ONE_INT);
    mpz_addmul_ui(to, wide, UNITS_PER_ONE_INT);
    mpz_clear(wide);
}

/* NaN or an infinity if the values' kinds decide alone. */
static bool special_total(const struct aq_exact_sum *sum, double *total)
{
    bool plus = sum->plus_infinity_count > 0;
    bool minus = sum->minus_infinity_count > 0;
    if (sum->nan_count == 0 && !plus && !minus)
        return false;
    *total = sum->nan_count > 0 || (plus && minus) ? (double)NAN
                                                   : (plus ? (double)INFINITY : -(double)INFINITY);
    return true;
}

/* sum / divisor */
static double divide(const struct aq_exact_sum *sum, uint64_t divisor)
{
    double special;
    if (special_total(sum, &special))
        return special;
    static const int64_t exact = INT64_C(1) << DBL_MANT_DIG;
    if (sum->wide == NULL && sum->short_sum > -exact && sum->short_sum < exact &&
        divisor < (uint64_t)exact / UNITS_PER_ONE_INT)
        return (double)(int64_t)sum->short_sum / (double)(divisor * UNITS_PER_ONE_INT);
    mpz_t numerator;
    mpz_t denominator;
    mpz_init(numerator);
    mpz_init_set_ui(denominator, UNITS_PER_ONE_INT);
    import_sum(numerator, sum, sum->wide != NULL);
    mpz_mul_ui(denominator, denominator, divisor);
    if (sum->wide != NULL)
        mpz_mul_2exp(denominator, denominator, -WIDE_UNIT_EXPONENT);
    double quotient = round_quotient(numerator, denominator);
    mpz_clear(numerator);
    mpz_clear(denominator);
    return quotient;
}

enum aq_status aq_exact_sum_total(const struct aq_exact_sum *sum, double *total)
{
    *total = divide(sum, 1);
    return AQ_OK;
}

enum aq_status aq_exact_sum_average(const struct aq_exact_sum *sum, double *average)
{
    assert(sum->value_count > 0);
    *average = divide(sum, sum->value_count);
    return AQ_OK;
}

/* With S the sum, Q that of the squares and n values: (n Q - S^2) / (n x divisor). Fine squares are
 * brought to the square of the fine sum's unit first. */
static double divide_squares(const struct aq_exact_sum *sum, uint64_t divisor)
{
    bool fine = sum->wide != NULL;
    mpz_t total;
    mpz_t numerator;
    mpz_t denominator;
    mpz_inits(total, numerator, denominator, NULL);
    import_sum(total, sum, fine);
    import_squares(numerator, sum, fine);
    mpz_mul_ui(numerator, numerator, sum->value_count);
    if (fine)
        mpz_mul_2exp(numerator, numerator, -WIDE_UNIT_EXPONENT);
    mpz_submul(numerator, total, total);
    mpz_set_ui(denominator, UNITS_PER_ONE_INT);
    mpz_mul_ui(denominator, denominator, UNITS_PER_ONE_INT);
    mpz_mul_ui(denominator, denominator, sum->value_count);
    mpz_mul_ui(denominator, denominator, divisor);
    if (fine)
        mpz_mul_2exp(denominator, denominator, 2 * -WIDE_UNIT_EXPONENT);
    double variance = round_quotient(numerator, denominator);
    mpz_clears(total, numerator, denominator, NULL);
    return variance;
}

enum aq_status aq_exact_sum_variance(const struct aq_exact_sum *sum, bool sample, double *variance)
{
    assert(sum->with_squares && sum->value_count > (sample ? 1 : 0));
    double special;
    if (special_total(sum, &special))
        *variance = (double)NAN;
    else
        *variance = divide_squares(sum, sum->value_count - (sample ? 1 : 0));
    return AQ_OK;
}
