/* Logarithms of which bytes in files depend. */
#ifndef AQ_FORMAT_LOG2_H
#define AQ_FORMAT_LOG2_H

#include <stdint.h>
#include <string.h>

/** log2(x) for x > 0 that is not subnormal, to a millionth; the same bits on every machine, which libm does not promise. */
static inline double aq_log2(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    memcpy(&x, &bits, sizeof bits);
    if (x > 1.4142135623730951) {
        x *= 0.5;
        exponent++;
    }
    double s = (x - 1) / (x + 1);
    double square = s * s;
    double series = 1 + square * (1.0 / 3 + square * (1.0 / 5 + square * (1.0 / 7)));
    return exponent + 2.8853900817779268 * s * series;
}

#endif
