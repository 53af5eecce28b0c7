/* Text to numbers.
 *
 * Happy path: one scan collects up to 19 digits and a decimal exponent; integers are then done, and a
 * double with at most 2^53 and a power of ten up to 22 is one exact multiplication or division, rounded
 * once (Clinger, "How to Read Floating Point Numbers Accurately", PLDI 1990).
 * All other doubles go through strtod in the C locale, which rounds correctly, too.
 * Failures: text that is no number is AQ_REJECT, a number that does not fit AQ_LIMIT. */
#include "engine/base/text/number_text.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EXPONENT_MAX 100000
#define COPY_BYTES_MAX 512

/* A scanned decimal: +-mantissa x 10^exponent, exact unless `truncated`. */
struct decimal {
    uint64_t mantissa;
    int64_t exponent;
    bool negative;
    bool truncated; /* digits other than 0 beyond the 19th were dropped */
};

static bool is_digit(uint8_t c)
{
    return (unsigned)(c - '0') <= 9;
}

static struct aq_slice trim(struct aq_slice text)
{
    while (text.size > 0 && (*text.data == ' ' || *text.data == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t' ||
                             text.data[text.size - 1] == '\r'))
        text.size--;
    return text;
}

/* Digits at `at`; those behind the point lower the exponent. @return how many there were. */
static size_t scan_digits(const uint8_t **at, const uint8_t *end, bool fraction,
                          struct decimal *decimal)
{
    const uint8_t *begin = *at;
    for (; *at < end && is_digit(**at); ++*at) {
        unsigned digit = **at - '0';
        if (decimal->mantissa < UINT64_C(1000000000000000000)) {
            decimal->mantissa = decimal->mantissa * 10 + digit;
            decimal->exponent -= fraction;
        } else {
            decimal->truncated = decimal->truncated || digit != 0;
            decimal->exponent += !fraction;
        }
    }
    return (size_t)(*at - begin);
}

static bool scan_exponent(const uint8_t **at, const uint8_t *end, int64_t *exponent)
{
    bool negative = *at < end && **at == '-';
    *at += *at < end && (**at == '-' || **at == '+');
    const uint8_t *begin = *at;
    int64_t value = 0;
    for (; *at < end && is_digit(**at); ++*at)
        value = value < EXPONENT_MAX ? value * 10 + (**at - '0') : value;
    *exponent += negative ? -value : value;
    return *at > begin;
}

static bool scan_decimal(struct aq_slice text, struct decimal *decimal)
{
    const uint8_t *at = text.data;
    const uint8_t *end = text.data + text.size;
    *decimal = (struct decimal){0};
    if (at < end && (*at == '-' || *at == '+'))
        decimal->negative = *at++ == '-';
    size_t digit_count = scan_digits(&at, end, false, decimal);
    if (at < end && *at == '.') {
        at++;
        digit_count += scan_digits(&at, end, true, decimal);
    }
    if (digit_count == 0)
        return false;
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        if (!scan_exponent(&at, end, &decimal->exponent))
            return false;
    }
    return at == end;
}

static enum aq_status signed_value(uint64_t magnitude, bool negative, int64_t *value)
{
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return AQ_LIMIT;
    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return AQ_OK;
}

#define PLAIN_DIGITS_MAX 18 /* that many fit for certain */

/* Digits, with a minus perhaps, and nothing else: what most integers are. */
static bool parse_plain(struct aq_slice text, int64_t *value)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    int64_t magnitude = 0;
    if (text.size == negative || text.size - negative > PLAIN_DIGITS_MAX)
        return false;
    for (size_t i = negative; i < text.size; i++) {
        if (!is_digit(text.data[i]))
            return false;
        magnitude = 10 * magnitude + (text.data[i] - '0');
    }
    *value = negative ? -magnitude : magnitude;
    return true;
}

enum aq_status aq_int_parse(struct aq_slice text, int64_t *value)
{
    struct decimal decimal;
    if (parse_plain(text, value))
        return AQ_OK;
    if (!scan_decimal(trim(text), &decimal))
        return AQ_REJECT;
    uint64_t magnitude = decimal.mantissa;
    if (decimal.exponent > 0 && magnitude != 0) {
        for (; decimal.exponent > 0; decimal.exponent--) {
            if (__builtin_mul_overflow(magnitude, 10, &magnitude))
                return AQ_LIMIT;
        }
    }
    for (; decimal.exponent < 0 && magnitude != 0; decimal.exponent++) {
        if (magnitude % 10 != 0)
            return AQ_REJECT;
        magnitude /= 10;
    }
    if (decimal.truncated)
        return decimal.exponent < 0 ? AQ_REJECT : AQ_LIMIT;
    return signed_value(magnitude, decimal.negative, value);
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* `text` is a decimal number for certain, so strtod takes all of it. */
static enum aq_status parse_slowly(struct aq_slice text, double *value)
{
    char small[COPY_BYTES_MAX];
    char *copy = text.size < sizeof small ? small : malloc(text.size + 1);
    pthread_once(&c_locale_once, make_c_locale);
    if (copy == NULL || c_locale == (locale_t)0) {
        if (copy != small)
            free(copy);
        return AQ_NO_MEMORY;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *value = strtod_l(copy, NULL, c_locale);
    if (copy != small)
        free(copy);
    return isinf(*value) || *value == 0.0 ? AQ_LIMIT : AQ_OK;
}

static bool parse_name(struct aq_slice text, double *value)
{
    static const struct {
        const char *name;
        double value;
    } names[] = {{"nan", NAN},
                 {"infinity", INFINITY},
                 {"inf", INFINITY},
                 {"+inf", INFINITY},
                 {"+infinity", INFINITY},
                 {"-inf", -INFINITY},
                 {"-infinity", -INFINITY}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i].name) == text.size &&
            strncasecmp(names[i].name, (const char *)text.data, text.size) == 0) {
            *value = names[i].value;
            return true;
        }
    }
    return false;
}

enum aq_status aq_double_parse(struct aq_slice text, double *value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal decimal;
    text = trim(text);
    if (!scan_decimal(text, &decimal))
        return parse_name(text, value) ? AQ_OK : AQ_REJECT;
    if (decimal.mantissa == 0) {
        *value = decimal.negative ? -0.0 : 0.0;
        return AQ_OK;
    }
    if (decimal.truncated || decimal.mantissa > UINT64_C(1) << 53 || decimal.exponent > 22 ||
        decimal.exponent < -22)
        return parse_slowly(text, value);
    double result = (double)decimal.mantissa;
    if (decimal.exponent < 0)
        result /= powers[-decimal.exponent];
    else
        result *= powers[decimal.exponent];
    *value = decimal.negative ? -result : result;
    return AQ_OK;
}
