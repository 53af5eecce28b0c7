/* The variants: kernel_body.inc compiled for each set of instructions. */
#include "format/encode/kernel/kernel.h"

#define DIVIDE(value, divisor) ((value) / (divisor).power)
#define MULTIPLY(value, divisor) __builtin_fma((value), (divisor).high, (value) * (divisor).low)

#define KERNEL(name) name##_portable
#define KERNEL_TARGET
#define KERNEL_DIVIDE DIVIDE
#define KERNEL_SUMS aq_sums_portable
#include "format/encode/kernel/kernel_body.inc"
#undef KERNEL
#undef KERNEL_TARGET
#undef KERNEL_DIVIDE
#undef KERNEL_SUMS

static const struct aq_kernels portable = {.name = "portable",
                                           .unpack = aq_unpack_portable,
                                           .sums = aq_sums_portable,
                                           .multiples = multiples_portable,
                                           .decimals = decimals_portable,
                                           .sum_decimals = sum_decimals_portable,
                                           .merge = merge_portable,
                                           .look = look_portable,
                                           .to_decimals = to_decimals_portable,
                                           .split = split_portable,
                                           .tokens = tokens_portable,
                                           .surprise = surprise_portable,
                                           .ans = ans_portable,
                                           .ans32 = aq_ans32_portable};

#ifdef __x86_64__

#define KERNEL_DIVIDE MULTIPLY

#define KERNEL(name) name##_avx2
#define KERNEL_SUMS aq_sums_avx2
#define KERNEL_TARGET __attribute__((target("avx2,bmi,bmi2,fma")))
#include "format/encode/kernel/kernel_body.inc"
#undef KERNEL
#undef KERNEL_TARGET
#undef KERNEL_SUMS

#define KERNEL(name) name##_avx512
#define KERNEL_TARGET \
    __attribute__((target("avx2,bmi,bmi2,fma,avx512f,avx512dq,avx512bw,avx512vl,avx512vbmi")))
#include "format/encode/kernel/kernel_body.inc"
#undef KERNEL
#undef KERNEL_TARGET

static const struct aq_kernels avx2 = {.name = "AVX2",
                                       .unpack = aq_unpack_portable,
                                       .sums = aq_sums_avx2,
                                       .multiples = multiples_avx2,
                                       .decimals = decimals_avx2,
                                       .sum_decimals = sum_decimals_avx2,
                                       .merge = merge_avx2,
                                       .look = look_avx2,
                                       .to_decimals = to_decimals_avx2,
                                       .split = split_avx2,
                                       .tokens = tokens_avx2,
                                       .surprise = surprise_avx2,
                                       .ans = ans_avx2,
                                       .ans32 = aq_ans32_avx2};

static const struct aq_kernels avx512 = {.name = "AVX-512",
                                         .unpack = aq_unpack_avx512,
                                         .sums = aq_sums_avx512,
                                         .multiples = multiples_avx512,
                                         .decimals = decimals_avx512,
                                         .sum_decimals = aq_sum_decimals_avx512,
                                         .merge = merge_avx512,
                                         .look = look_avx512,
                                         .to_decimals = to_decimals_avx512,
                                         .split = split_avx512,
                                         .tokens = tokens_avx512,
                                         .surprise = surprise_avx512,
                                         .ans = ans_avx512,
                                         .ans32 = aq_ans32_avx512};

static const struct aq_kernels *const variants[] = {&portable, &avx2, &avx512};

static size_t variant_count(void)
{
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
                    __builtin_cpu_supports("fma");
    bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vbmi");
    return !has_avx2 ? 1 : !has_avx512 ? 2 : 3;
}

#else

static const struct aq_kernels *const variants[] = {&portable};

static size_t variant_count(void)
{
    return 1;
}

#endif

const struct aq_kernels *aq_kernels(void)
{
    return variants[variant_count() - 1];
}

const struct aq_kernels *const *aq_kernels_all(size_t *count)
{
    *count = variant_count();
    return variants;
}
