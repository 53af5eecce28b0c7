/* Compaction inside `ingest`, by `compaction.schedule`: compact, then gc, then tier, behind all others on CPU
 * and disk.
 *
 * Happy path: the schedule says when the next run is due, counted from when any process compacted the home
 * last. So runs that were missed while no process was there are made up for once, at the start, and a
 * compaction by hand or by cron is not repeated. A home that was never compacted counts as compacted when it
 * is first met. Moving files to the bucket is left to the maintenance loop, which is woken.
 * Failures: each is said, counted and tried again, later and later; sources never notice. While another
 * process holds the lock, or was quicker, this one steps back and looks at the schedule anew. */
#include "tools/service/nightly.h"

#include <stdio.h>

#include "compaction/compact.h"
#include "compaction/gc/gc.h"
#include "compaction/nightly/background.h"
#include "compaction/nightly/last_run.h"
#include "tools/output/text/human.h"
#include "tools/service/service_internal.h"

#define RETRY_US (60 * AQ_US_PER_SECOND)
#define RETRY_DOUBLINGS_MAX 6
#define LOOK_US (60 * AQ_US_PER_SECOND) /* at the wall clock, which may have been set */

int64_t aq_nightly_retry_us(unsigned failures)
{
    if (failures == 0)
        return 0;
    unsigned doublings = failures - 1 < RETRY_DOUBLINGS_MAX ? failures - 1 : RETRY_DOUBLINGS_MAX;
    int64_t wait_us = RETRY_US << doublings;
    return wait_us < AQ_US_PER_HOUR ? wait_us : AQ_US_PER_HOUR;
}

/* The loop's state. */
struct nightly {
    struct aq_service *service;
    int64_t last_run_us;   /* began; wall clock */
    int64_t not_before_us; /* monotonic; after a failure */
    unsigned failures;     /* in a row */
};

/* ---- a run ---- */

static void say_merged(const struct nightly *nightly, const struct aq_compact_report *report)
{
    char rows[AQ_HUMAN_BYTES_MAX], before[AQ_HUMAN_BYTES_MAX], after[AQ_HUMAN_BYTES_MAX];
    uint64_t inputs = report->segment_count + report->archive_input_count;
    const struct aq_program *program = nightly->service->program;
    if (inputs == 0) {
        aq_program_say(program, AQ_LEVEL_DETAIL, "compaction: nothing to do");
        return;
    }
    aq_program_say(program, AQ_LEVEL_NOTICE,
                   "compaction: %s rows of %llu files, %s, are now %llu, %s; took %.1f s",
                   aq_human_count(report->row_count, rows), (unsigned long long)inputs,
                   aq_human_size(report->input_bytes, before),
                   (unsigned long long)report->archive_output_count,
                   aq_human_size(report->output_bytes, after), report->seconds);
}

static enum aq_status compact(struct nightly *nightly, struct aq_compact_report *report,
                              struct aq_error *err)
{
    struct aq_service *service = nightly->service;
    struct aq_rate_limit rate;
    aq_rate_limit_init(&rate, service->config->compaction_rate_bytes, &service->quit);
    struct aq_expire_options expire = {.retentions = service->config->retentions,
                                       .retention_count = service->config->dataset_count,
                                       .now_us = aq_clock_wall_us()};
    struct aq_compact_options options = {
        .expire = &expire,
        .target_size_bytes = service->config->target_size_bytes,
        .late_us = service->config->late_us,
        .fast = service->config->compaction_profile != 0,
        .memory_bytes = service->config->compaction_memory_bytes,
        .rate = &rate,
        .stop = &service->quit,
    };
    enum aq_status status = aq_compact(service->store, &options, report, err);
    aq_rate_limit_deinit(&rate);
    return status;
}

static enum aq_status collect(struct nightly *nightly, struct aq_error *err)
{
    struct aq_service *service = nightly->service;
    struct aq_gc_report removed = {0};
    enum aq_status status = aq_service_collect(service, &removed, err);
    pthread_mutex_lock(&service->lock);
    service->gc.removed_count += removed.file_count;
    service->gc.removed_bytes += removed.bytes;
    pthread_mutex_unlock(&service->lock);
    return status;
}

static void count(const struct nightly *nightly, enum aq_status status,
                  const struct aq_compact_report *report)
{
    struct aq_service *service = nightly->service;
    struct aq_nightly_counts *counts = &service->nightly;
    pthread_mutex_lock(&service->lock);
    counts->run_count += status == AQ_OK;
    counts->skipped_count += status == AQ_CONFLICT;
    counts->failure_count += status < 0 && status != AQ_CONFLICT;
    if (status == AQ_OK) {
        counts->last_success_us = aq_clock_wall_us();
        counts->last_seconds = report->seconds;
        counts->row_count += report->row_count;
        counts->input_count += report->segment_count + report->archive_input_count;
        counts->input_bytes += report->input_bytes;
        counts->output_count += report->archive_output_count;
        counts->output_bytes += report->output_bytes;
    }
    pthread_mutex_unlock(&service->lock);
}

static void say_failure(const struct nightly *nightly, enum aq_status status,
                        const struct aq_error *err)
{
    const struct aq_program *program = nightly->service->program;
    struct aq_error said = *err;
    if (status == AQ_CONFLICT) {
        aq_program_say(program, AQ_LEVEL_NOTICE, "compaction: left to another process: %s",
                       err->message);
        return;
    }
    said.status = status;
    snprintf(said.message, sizeof said.message, "compaction: %.*s",
             (int)(sizeof said.message - sizeof "compaction: "), err->message);
    aq_program_say_error(program, NULL, &said);
}

static void run_once(struct nightly *nightly)
{
    struct aq_service *service = nightly->service;
    struct aq_compact_report report = {0};
    struct aq_error err = {.offset = -1};
    int64_t begin_us = aq_clock_wall_us();
    enum aq_status status = compact(nightly, &report, &err);
    if (status == AQ_OK) {
        say_merged(nightly, &report);
        status = collect(nightly, &err);
    }
    if (service->quit)
        return; /* cut short, to be repeated by the next process */
    count(nightly, status, &report);
    nightly->failures = status == AQ_OK ? 0 : nightly->failures + 1;
    nightly->not_before_us = aq_clock_us() + aq_nightly_retry_us(nightly->failures);
    if (status < 0) {
        say_failure(nightly, status, &err);
        return;
    }
    nightly->last_run_us = begin_us;
    aq_service_want_tier(service);
}

/* ---- the loop ---- */

/* When the next run is due, from what this process and others have done. */
static int64_t find_due(struct nightly *nightly, int64_t now_us)
{
    struct aq_service *service = nightly->service;
    int64_t recorded_us = aq_compact_last_run_us(service->store);
    if (recorded_us > nightly->last_run_us)
        nightly->last_run_us = recorded_us;
    if (nightly->last_run_us > now_us)
        nightly->last_run_us = now_us; /* the clock was set back */
    int64_t due_us =
        aq_schedule_next(&service->config->compaction_schedule, nightly->last_run_us, now_us);
    pthread_mutex_lock(&service->lock);
    service->nightly.next_us = due_us;
    pthread_mutex_unlock(&service->lock);
    return due_us;
}

/* False when the service ends. */
static bool wait_until_due(struct nightly *nightly)
{
    for (;;) {
        int64_t now_us = aq_clock_wall_us();
        int64_t wait_us = find_due(nightly, now_us) - now_us;
        int64_t retry_us = nightly->not_before_us - aq_clock_us();
        if (retry_us > wait_us)
            wait_us = retry_us;
        if (wait_us <= 0)
            return true;
        if (aq_service_wait(nightly->service, wait_us < LOOK_US ? wait_us : LOOK_US, NULL))
            return false;
    }
}

void aq_nightly_run(struct aq_runner *runner)
{
    struct nightly nightly = {.service = runner->service};
    struct aq_service *service = runner->service;
    aq_background_enter();
    nightly.last_run_us = aq_compact_last_run_us(service->store);
    pthread_mutex_lock(&service->lock);
    service->nightly.last_success_us = nightly.last_run_us;
    pthread_mutex_unlock(&service->lock);
    if (nightly.last_run_us == 0) {
        nightly.last_run_us = aq_clock_wall_us();
        aq_compact_note_run(service->store, nightly.last_run_us);
    }
    while (wait_until_due(&nightly) && !service->quit)
        run_once(&nightly);
}
