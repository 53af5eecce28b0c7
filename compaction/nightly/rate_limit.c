/* Work is done first and paid for afterwards, so that no request is larger than what can be had: whoever made
 * the debt, or meets one, waits until it is paid. Debts add up over threads, so that all of them together
 * keep to the rate. */
#include "compaction/nightly/rate_limit.h"

#include "engine/base/clock.h"

#define SECOND_US INT64_C(1000000)
#define FULL_PART 4            /* of a second */
#define NAP_US INT64_C(100000) /* between looks at `stop` */
#define BYTES_MAX ((uint64_t)1 << 40)

static int64_t full(const struct aq_token_bucket *bucket)
{
    return (int64_t)(bucket->bytes_per_second / FULL_PART + 1);
}

void aq_token_bucket_init(struct aq_token_bucket *bucket, uint64_t bytes_per_second, int64_t now_us)
{
    *bucket = (struct aq_token_bucket){
        .bytes_per_second = bytes_per_second < BYTES_MAX ? bytes_per_second : BYTES_MAX,
        .filled_us = now_us};
    bucket->tokens = full(bucket);
}

/* Doubles are exact enough: what is rounded off is less than a byte a call. */
static double rate(const struct aq_token_bucket *bucket)
{
    return (double)bucket->bytes_per_second / (double)SECOND_US;
}

int64_t aq_token_bucket_take(struct aq_token_bucket *bucket, uint64_t bytes, int64_t now_us)
{
    int64_t span_us = now_us > bucket->filled_us ? now_us - bucket->filled_us : 0;
    double tokens = (double)bucket->tokens + (double)span_us * rate(bucket);
    if (tokens > (double)full(bucket))
        tokens = (double)full(bucket);
    tokens -= (double)(bytes < BYTES_MAX ? bytes : BYTES_MAX);
    bucket->tokens = (int64_t)tokens;
    bucket->filled_us = now_us;
    return bucket->tokens < 0 ? (int64_t)((double)-bucket->tokens / rate(bucket)) : 0;
}

void aq_rate_limit_init(struct aq_rate_limit *limit, uint64_t bytes_per_second,
                        const atomic_bool *stop)
{
    *limit = (struct aq_rate_limit){.stop = stop};
    pthread_mutex_init(&limit->lock, NULL);
    if (bytes_per_second > 0)
        aq_token_bucket_init(&limit->bucket, bytes_per_second, aq_clock_us());
}

static void nap(const struct aq_rate_limit *limit, int64_t wait_us)
{
    while (wait_us > 0 && (limit->stop == NULL || !*limit->stop)) {
        int64_t nap_us = wait_us < NAP_US ? wait_us : NAP_US;
        aq_clock_sleep_us(nap_us);
        wait_us -= nap_us;
    }
}

void aq_rate_limit_spend(struct aq_rate_limit *limit, uint64_t bytes)
{
    if (limit == NULL || limit->bucket.bytes_per_second == 0)
        return;
    pthread_mutex_lock(&limit->lock);
    int64_t wait_us = aq_token_bucket_take(&limit->bucket, bytes, aq_clock_us());
    pthread_mutex_unlock(&limit->lock);
    nap(limit, wait_us);
}

void aq_rate_limit_deinit(struct aq_rate_limit *limit)
{
    pthread_mutex_destroy(&limit->lock);
}
