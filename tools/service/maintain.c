/* The maintenance loop: what `aqstore tier` does, every tier.protect, while sources run.
 *
 * Happy path: closed files are copied to the bucket and the catalog is mirrored there; what is due leaves the
 * home; then gc removes what nothing names any more. The first run comes at once: a process that was away
 * may have left much to protect. Another comes when compaction (nightly.c) has run.
 * Failures: each is said, counted and tried again, later and later; sources never wait for it. Somebody who
 * reads the store keeps its files for now, which is no failure. One alone ends the service: the store was
 * restored elsewhere, and what this home went on with would be read twice. */
#include "tools/service/maintain.h"

#include <time.h>

#include "compaction/tier/tier.h"
#include "engine/object/s3.h"
#include "tools/bucket.h"
#include "tools/service/service_internal.h"

#define RETRY_US (60 * AQ_US_PER_SECOND)
#define DOUBLINGS_MAX 16
#define UNASKED_US (24 * AQ_US_PER_HOUR)

int64_t aq_maintain_wait_us(int64_t protect_us, unsigned failures)
{
    if (failures == 0)
        return protect_us;
    unsigned doublings = failures - 1 < DOUBLINGS_MAX ? failures - 1 : DOUBLINGS_MAX;
    int64_t wait_us = RETRY_US << doublings;
    return wait_us < protect_us ? wait_us : protect_us;
}

/* A run, and what it did. */
struct run {
    struct aq_service *service;
    struct aq_object_store *bucket;
    bool probed;
    struct aq_s3_capabilities can;
    struct aq_tier_report tier;
    struct aq_gc_report home;
};

static void on_file(void *context, const char *file, const char *what, uint64_t size_bytes)
{
    const struct run *run = context;
    (void)size_bytes;
    aq_program_say(run->service->program, AQ_LEVEL_DETAIL, "%s: %s", file, what);
}

static enum aq_status probe(struct run *run, struct aq_error *err)
{
    if (run->probed)
        return AQ_OK;
    AQ_TRY(aq_s3_probe(run->bucket, &run->can, err));
    run->probed = true;
    return AQ_OK;
}

static enum aq_status protect(struct run *run, struct aq_error *err)
{
    struct aq_service *service = run->service;
    const struct aq_tier_config *config = &service->config->tier_config;
    AQ_TRY(probe(run, err));
    struct aq_tier_options options = {
        .bucket = run->bucket,
        .conditional = run->can.conditional_put,
        .protect = config->protect_us > 0,
        .now_us = aq_clock_wall_us(),
        .after_us = config->after_us,
        .keep_home_us = config->keep_home_us,
        .target_size_bytes = service->config->target_size_bytes,
        .late_us = service->config->late_us,
        .explain = on_file,
        .context = run,
        .stop = &service->quit,
    };
    AQ_TRY(aq_tier(service->store, &options, &run->tier, err));
    if (run->tier.unmirrored != NULL)
        aq_program_say(service->program, AQ_LEVEL_NOTICE,
                       "the catalog's copy in the bucket was left as it was: %s",
                       run->tier.unmirrored);
    return aq_program_keep_bucket_note(service->program, aq_store_home(service->store), err);
}

enum aq_status aq_service_collect(struct aq_service *service, struct aq_gc_report *removed,
                                  struct aq_error *err)
{
    struct aq_gc_options options = {.now_us = aq_clock_wall_us(),
                                    .history_us = service->config->history_us};
    enum aq_status status = aq_gc(service->store, &options, removed, err);
    if (status == AQ_TEMPORARY)
        aq_program_say(service->program, AQ_LEVEL_NOTICE, "gc: %s", err->message);
    return status == AQ_TEMPORARY || status == AQ_CONFLICT ? AQ_OK : status;
}

static enum aq_status collect(struct run *run, struct aq_error *err)
{
    struct aq_service *service = run->service;
    struct aq_gc_report objects;
    AQ_TRY(aq_service_collect(service, &run->home, err));
    bool due = false;
    AQ_TRY(aq_tier_gc_is_due(service->store, run->bucket, &due, err));
    return due ? aq_tier_gc(service->store, run->bucket, service->config->history_us, false, NULL,
                            NULL, &objects, err)
               : AQ_OK;
}

static void count(const struct run *run, enum aq_status status)
{
    struct aq_service *service = run->service;
    struct aq_maintain_counts *counts = &service->maintain;
    pthread_mutex_lock(&service->lock);
    counts->run_count += status == AQ_OK;
    counts->failure_count += status < 0;
    counts->uploaded_count += run->tier.uploaded_count;
    counts->uploaded_bytes += run->tier.uploaded_bytes;
    counts->evicted_count += run->tier.evicted_count;
    service->gc.removed_count += run->home.file_count;
    service->gc.removed_bytes += run->home.bytes;
    if (run->tier.mirrored_number > 0)
        counts->mirrored_number = run->tier.mirrored_number;
    if (status == AQ_OK)
        counts->last_success_us = aq_clock_wall_us();
    pthread_mutex_unlock(&service->lock);
}

/* A process that works on the same home is at it: nothing is left to do here. */
static bool is_done_elsewhere(const struct run *run, enum aq_status status)
{
    return status == AQ_CONFLICT &&
           aq_tier_check_home(run->service->store, run->bucket, NULL) != AQ_CONFLICT;
}

/* One run; false when it failed: with AQ_CONFLICT, because the store was restored elsewhere. */
static bool run_once(struct run *run, struct aq_error *err)
{
    struct aq_service *service = run->service;
    *err = (struct aq_error){.offset = -1};
    run->tier = (struct aq_tier_report){0};
    run->home = (struct aq_gc_report){0};
    enum aq_status status = protect(run, err);
    if (status == AQ_OK)
        status = collect(run, err);
    if (service->quit)
        return true; /* cut short, to be repeated by the next process */
    if (is_done_elsewhere(run, status))
        return true;
    count(run, status);
    if (status < 0) {
        err->status = status;
        aq_program_say_error(service->program, NULL, err);
    } else if (run->tier.uploaded_count > 0) {
        aq_program_say(service->program, AQ_LEVEL_DETAIL, "%llu files copied to the bucket",
                       (unsigned long long)run->tier.uploaded_count);
    }
    return status == AQ_OK;
}

bool aq_service_wait(struct aq_service *service, int64_t wait_us, bool *wanted)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_us / AQ_US_PER_SECOND;
    until.tv_nsec += (wait_us % AQ_US_PER_SECOND) * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int result = 0;
    pthread_mutex_lock(&service->lock);
    while (!service->quit && result == 0 && (wanted == NULL || !*wanted))
        result = pthread_cond_timedwait(&service->wake, &service->lock, &until);
    if (wanted != NULL)
        *wanted = false;
    bool quit = service->quit;
    pthread_mutex_unlock(&service->lock);
    return quit;
}

void aq_service_want_tier(struct aq_service *service)
{
    pthread_mutex_lock(&service->lock);
    service->tier_wanted = true;
    pthread_cond_broadcast(&service->wake);
    pthread_mutex_unlock(&service->lock);
}

/* Without `tier.protect` compaction asks for runs, else once a day is enough. */
static int64_t find_wait_us(const struct aq_service *service, unsigned failures)
{
    int64_t protect_us = service->config->tier_config.protect_us;
    return aq_maintain_wait_us(protect_us > 0 ? protect_us : UNASKED_US, failures);
}

static void end_service(struct aq_runner *runner, const struct aq_error *err)
{
    runner->status = err->status;
    runner->err = *err;
    runner->failed_draining = true; /* so that it counts although the service was told to end */
    aq_stop = true;
}

void aq_maintain_run(struct aq_runner *runner)
{
    struct aq_service *service = runner->service;
    struct run run = {.service = service, .bucket = service->program->bucket};
    unsigned failures = 0;
    struct aq_error err;
    do {
        failures = run_once(&run, &err) ? 0 : failures + 1;
        if (failures > 0 && err.status == AQ_CONFLICT) {
            end_service(runner, &err);
            return;
        }
    } while (!aq_service_wait(service, find_wait_us(service, failures), &service->tier_wanted));
}
