/* A limit on bytes a second: a bucket of tokens that may go into debt. */
#ifndef AQ_COMPACTION_NIGHTLY_RATE_LIMIT_H
#define AQ_COMPACTION_NIGHTLY_RATE_LIMIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Tokens are bytes. They come in at the rate, up to a quarter of a second's worth. */
struct aq_token_bucket {
    uint64_t bytes_per_second; /* > 0 */
    int64_t tokens;            /* negative: a debt */
    int64_t filled_us;         /* up to when they have come in */
};

/** A full bucket. */
void aq_token_bucket_init(struct aq_token_bucket *bucket, uint64_t bytes_per_second,
                          int64_t now_us);
/**
 * Take `bytes`, however many are there. Pure.
 * @return Microseconds to wait before going on: until the debt is paid, 0 where there is none.
 */
int64_t aq_token_bucket_take(struct aq_token_bucket *bucket, uint64_t bytes, int64_t now_us);

/** A bucket that threads share, or no limit when it is zero. */
struct aq_rate_limit {
    struct aq_token_bucket bucket;
    pthread_mutex_t lock;
    const atomic_bool *stop; /* may be NULL */
};

/** @param bytes_per_second  0: no limit.
 *  @param stop              Ends waiting when it is set; borrowed; NULL: nothing does. */
void aq_rate_limit_init(struct aq_rate_limit *limit, uint64_t bytes_per_second,
                        const atomic_bool *stop);
/** After that many bytes were read or written: wait as long as the limit asks for. Other threads wait in
 * their own calls. NULL: no limit. @thread Any. */
void aq_rate_limit_spend(struct aq_rate_limit *limit, uint64_t bytes);
void aq_rate_limit_deinit(struct aq_rate_limit *limit);

#endif
