/* A running service, shared by service.c (the loop), runner.c (threads of sources), maintain.c, nightly.c
 * and endpoints.c. */
#ifndef AQ_TOOLS_SERVICE_SERVICE_INTERNAL_H
#define AQ_TOOLS_SERVICE_SERVICE_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "compaction/gc/gc.h"
#include "engine/base/clock.h"
#include "tools/program.h"
#include "tools/service/http/http_server.h"
#include "tools/service/http/metrics.h"

struct aq_service;

/** A thread of the service. */
struct aq_runner {
    struct aq_service *service;
    const char *what; /* "files", "kafka", "maintenance", "compaction" */
    void (*run)(struct aq_runner *runner);
    size_t source_count;
    const struct aq_source_config **sources; /* it runs; of the config */
    pthread_t thread;
    bool started;
    /* Written by the thread before `ended`. */
    enum aq_status status; /* the worst of its sources' */
    struct aq_error err;   /* that came with it */
    bool failed_draining;  /* something failed after a signal had come */
    atomic_bool ended;
};

struct aq_service {
    struct aq_program *program;
    const struct aq_config *config;
    struct aq_store *store;
    struct aq_monitor *monitor;
    struct aq_http_server *http;
    size_t runner_count;
    struct aq_runner *runners; /* of sources, then those that maintain the store */
    bool single; /* it runs one source: its failure is the command's, and said once, at the end */
    bool has_kafka;
    bool maintains;   /* one runner is the maintenance loop */
    bool compacts;    /* one compacts by schedule */
    int wake_fd;      /* eventfd: a runner has ended */
    atomic_bool quit; /* these two shall end */
    bool tier_wanted; /* the maintenance loop shall run now; under `lock` */
    int64_t begun_ms;
    atomic_bool draining;
    atomic_llong turned_ms; /* when the main loop turned last; CLOCK_MONOTONIC */
    pthread_mutex_t lock;
    pthread_cond_t wake;                /* of `quit` and `tier_wanted` */
    struct aq_maintain_counts maintain; /* under `lock`; so are the next two */
    struct aq_nightly_counts nightly;
    struct aq_gc_counts gc;
};

/** Make the runners of `sources`: one a consumer, one for all files, in the order of the config. */
enum aq_status aq_runners_create(struct aq_service *service, const size_t *sources,
                                 size_t source_count, struct aq_error *err) AQ_RESULT;
void aq_runners_destroy(struct aq_service *service);
/** The process ends under them: nobody will wait for their end. */
void aq_runners_abandon(struct aq_service *service);
enum aq_status aq_runners_start(struct aq_service *service, struct aq_error *err) AQ_RESULT;
/** What decides the exit code when several sources fail: the highest. */
int aq_runner_rank(enum aq_status status);
/** End a read that a runner may be blocked in: again and again while draining. */
void aq_runners_interrupt(struct aq_service *service);

/** Print what the Kafka sources brought. */
void aq_service_report(struct aq_service *service);

/** The maintenance loop's thread. */
void aq_maintain_run(struct aq_runner *runner);
/** The thread that compacts by schedule. */
void aq_nightly_run(struct aq_runner *runner);
/** Wait that long, until *wanted (may be NULL) is set, which clears it, or (true) until the service ends. */
bool aq_service_wait(struct aq_service *service, int64_t wait_us, bool *wanted);
/** Wake the maintenance loop, where there is one. */
void aq_service_want_tier(struct aq_service *service);

/** Answers /healthz, /readyz and /metrics; `context` is the service. */
void aq_endpoints_respond(void *context, const char *path, struct aq_http_response *response);

/** Remove what no kept version needs, from the home. Another process that is at it, or a clock that was set, is no
 * failure: the next run does it. */
enum aq_status aq_service_collect(struct aq_service *service, struct aq_gc_report *removed,
                                  struct aq_error *err) AQ_RESULT;

#endif
