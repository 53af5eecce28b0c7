/* The main loop of `ingest`: it watches and never works.
 *
 * Happy path: the runners start; the loop turns at least once a second (health, watchdog, status line, slow
 * HTTP clients) and wakes when a runner ends or a signal comes. A signal asks all runners to write down
 * what they have read; when the last one has ended, so does the service. SIGINT and SIGTERM are let in
 * only while the loop waits, so that none is missed; a further one changes nothing.
 * Failures: of a runner: runner.c. A runner that has not ended AQ_DRAIN_MS after the signal is named, and
 * the process ends under it: whatever is durable stays, as after a kill. */
#include "tools/service/service.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tools/bucket.h"
#include "tools/output/text/human.h"
#include "tools/output/progress.h"
#include "tools/service/report/notify.h"
#include "tools/service/service_internal.h"
#include "tools/service/report/status_line.h"
#include "engine/base/clock.h"

#define TURN_MS 1000
#define INTERRUPT_MS 100    /* between wake-ups of a blocked runner */
#define STATUS_MS 5000      /* between the manager's status texts */
#define MAINTENANCE_MS 3000 /* it has to end, once all sources have */

struct loop {
    struct aq_service *service;
    struct aq_status_line line;
    bool shows_line;
    int64_t line_ms;
    int64_t status_ms;
    int64_t watchdog_ms;
    int64_t deadline_ms; /* of ending; 0: not ending yet */
    bool hurried;
    sigset_t waiting_mask;
};

/* ---- a turn ---- */

static void show_line(struct loop *loop)
{
    struct aq_bytes text = {0};
    struct aq_monitor_view view;
    if (aq_monitor_copy(loop->service->monitor, &view) < 0)
        return;
    aq_status_line_make(&loop->line, &view, aq_clock_seconds(), &text);
    aq_monitor_view_deinit(&view);
    aq_bytes_u8(&text, '\0');
    if (aq_bytes_status(&text) == AQ_OK) {
        unsigned columns = aq_terminal_columns();
        if (text.size > columns)
            text.data[columns - 1] = '\0';
        aq_program_status_line((const char *)text.data);
    }
    aq_bytes_deinit(&text);
}

static void tell_manager(struct loop *loop, int64_t now_ms)
{
    if (loop->watchdog_ms > 0)
        aq_notify("WATCHDOG=1");
    if (getenv("NOTIFY_SOCKET") == NULL || now_ms - loop->status_ms < STATUS_MS)
        return;
    loop->status_ms = now_ms;
    struct aq_bytes text = {0};
    struct aq_monitor_view view;
    if (aq_monitor_copy(loop->service->monitor, &view) < 0)
        return;
    aq_bytes_chars(&text, "STATUS=");
    struct aq_status_line line = loop->line;
    aq_status_line_make(&line, &view, aq_clock_seconds(), &text);
    aq_monitor_view_deinit(&view);
    aq_bytes_u8(&text, '\0');
    if (aq_bytes_status(&text) == AQ_OK)
        aq_notify((const char *)text.data);
    aq_bytes_deinit(&text);
}

static void turn(struct loop *loop)
{
    int64_t now_ms = aq_clock_ms();
    atomic_store(&loop->service->turned_ms, now_ms);
    aq_http_sweep(loop->service->http);
    tell_manager(loop, now_ms);
    if (loop->shows_line && now_ms - loop->line_ms >= TURN_MS) {
        loop->line_ms = now_ms;
        show_line(loop);
    }
    if (loop->deadline_ms != 0)
        aq_runners_interrupt(loop->service);
}

static void wait_for_news(struct loop *loop)
{
    int64_t wait_ms = loop->deadline_ms != 0 ? INTERRUPT_MS : TURN_MS;
    if (loop->watchdog_ms > 0 && loop->watchdog_ms / 3 < wait_ms)
        wait_ms = loop->watchdog_ms / 3;
    struct timespec span = {.tv_sec = wait_ms / 1000, .tv_nsec = (wait_ms % 1000) * 1000000};
    struct pollfd wake = {.fd = loop->service->wake_fd, .events = POLLIN};
    if (ppoll(&wake, 1, &span, &loop->waiting_mask) == 1) {
        uint64_t count;
        (void)!read(wake.fd, &count, sizeof(count));
    }
}

/* ---- ending ---- */

static enum aq_status judge_sources(const struct aq_service *service, struct aq_error *err)
{
    const struct aq_runner *worst = NULL;
    for (size_t i = 0; i < service->runner_count; i++) {
        const struct aq_runner *runner = &service->runners[i];
        if (runner->status < 0 && (!aq_stop || runner->failed_draining) &&
            (worst == NULL || aq_runner_rank(runner->status) > aq_runner_rank(worst->status)))
            worst = runner;
    }
    if (worst == NULL)
        return AQ_OK;
    *err = worst->err;
    if (!service->single)
        aq_error_set(err, worst->status, "not all sources did their work; see the messages above");
    return worst->status;
}

static size_t count_running(const struct aq_service *service, bool sources_only)
{
    size_t count = 0;
    for (size_t i = 0; i < service->runner_count; i++)
        count += !(sources_only && service->runners[i].source_count == 0) &&
                 !atomic_load(&service->runners[i].ended);
    return count;
}

static void begin_to_end(struct loop *loop)
{
    struct aq_service *service = loop->service;
    loop->deadline_ms = aq_clock_ms() + AQ_DRAIN_MS;
    aq_notify("STOPPING=1");
    if (aq_stop) {
        atomic_store(&service->draining, true);
        aq_program_say(service->program, AQ_LEVEL_NOTICE,
                       "ingest: stopping; what was read is being made durable");
    }
    pthread_mutex_lock(&service->lock);
    service->quit = true;
    pthread_cond_broadcast(&service->wake);
    pthread_mutex_unlock(&service->lock);
}

static void name_stuck(const struct aq_service *service, struct aq_bytes *names)
{
    for (size_t i = 0; i < service->runner_count; i++) {
        const struct aq_runner *runner = &service->runners[i];
        if (atomic_load(&runner->ended))
            continue;
        aq_bytes_chars(names, names->size > 0 ? "; " : "");
        aq_bytes_chars(names, runner->what);
        for (size_t s = 0; s < runner->source_count; s++) {
            aq_bytes_chars(names, s == 0 ? " (" : ", ");
            aq_bytes_chars(names, runner->sources[s]->name);
        }
        aq_bytes_chars(names, runner->source_count > 0 ? ")" : "");
    }
    aq_bytes_u8(names, '\0');
}

/* The threads that are stuck hold the store: nothing may be released under them. */
static _Noreturn void end_under_them(struct aq_service *service)
{
    struct aq_bytes names = {0};
    struct aq_error err = {.offset = -1};
    enum aq_status status = AQ_OK;
    name_stuck(service, &names);
    const char *text = aq_bytes_status(&names) == AQ_OK ? (const char *)names.data : "";
    aq_program_status_line(NULL);
    if (count_running(service, true) > 0) {
        status = aq_error_set(&err, AQ_IO,
                              "still busy after %d s: %s; ended all the same: what was "
                              "acknowledged is durable, the next run goes on from there",
                              AQ_DRAIN_MS / 1000, text);
    } else {
        aq_program_say(service->program, AQ_LEVEL_NOTICE,
                       "still busy: %s; cut short, the next run repeats it", text);
        aq_service_report(service);
        status = judge_sources(service, &err);
    }
    aq_program_hold_repeats(service->program, false);
    aq_runners_abandon(service);
    struct aq_error ignored = {0};
    (void)!aq_out_close(service->program->out, true, &ignored);
    _exit(status < 0 ? aq_program_fail(service->program, &err) : 0);
}

/* Only maintenance is left, which can be cut short: it may be waiting for a bucket that is down. */
static void hurry(struct loop *loop)
{
    if (loop->hurried)
        return;
    loop->hurried = true;
    int64_t soon_ms = aq_clock_ms() + MAINTENANCE_MS;
    if (soon_ms < loop->deadline_ms)
        loop->deadline_ms = soon_ms;
}

static void run_loop(struct loop *loop)
{
    struct aq_service *service = loop->service;
    while (count_running(service, false) > 0) {
        turn(loop);
        bool sources_ended = count_running(service, true) == 0;
        if (loop->deadline_ms == 0 && (aq_stop || sources_ended))
            begin_to_end(loop);
        if (sources_ended)
            hurry(loop);
        if (loop->deadline_ms != 0 && aq_clock_ms() >= loop->deadline_ms)
            end_under_them(service);
        wait_for_news(loop);
    }
}

/* ---- the whole ---- */

static void on_interrupt(int signal_number)
{
    (void)signal_number; /* that it interrupts is all */
}

/* The threads that will be made inherit the mask: signals reach the main thread alone, while it waits. */
static void arrange_signals(struct loop *loop)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigset_t blocked;
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &loop->waiting_mask);
}

static enum aq_status start_http(struct aq_service *service, struct aq_error *err)
{
    if (service->config->http == NULL)
        return AQ_OK;
    struct aq_http_options options = {.config = &service->config->http_config,
                                      .respond = aq_endpoints_respond,
                                      .context = service};
    AQ_TRY(aq_http_start(&options, &service->http, err));
    aq_program_say(service->program, AQ_LEVEL_NOTICE, "http: listening on http://%s",
                   aq_http_address(service->http));
    return AQ_OK;
}

static enum aq_status run(struct loop *loop, struct aq_error *err)
{
    struct aq_service *service = loop->service;
    AQ_TRY(start_http(service, err));
    enum aq_status status = aq_runners_start(service, err);
    if (status == AQ_OK)
        aq_notify("READY=1");
    else
        aq_stop = true; /* those that were started drain */
    run_loop(loop);
    aq_program_status_line(NULL);
    aq_service_report(service);
    return status == AQ_OK ? judge_sources(service, err) : status;
}

static enum aq_status prepare(struct aq_service *service, const size_t *sources,
                              size_t source_count, struct aq_error *err)
{
    struct aq_object_store *bucket;
    AQ_TRY(aq_program_store(service->program, AQ_ACCESS_CREATE, &service->store, err));
    AQ_TRY(aq_program_bucket(service->program, &bucket, err));
    service->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (service->wake_fd < 0)
        return aq_error_set_errno(err, errno, "", "cannot make an eventfd");
    AQ_TRY(aq_monitor_create(service->config, sources, source_count, &service->monitor, err));
    return aq_runners_create(service, sources, source_count, err);
}

static void release(struct aq_service *service)
{
    aq_http_stop(service->http);
    aq_runners_destroy(service);
    aq_monitor_destroy(service->monitor);
    if (service->wake_fd >= 0)
        close(service->wake_fd);
    pthread_cond_destroy(&service->wake);
    pthread_mutex_destroy(&service->lock);
}

enum aq_status aq_service_run(struct aq_program *program, const size_t *sources,
                              size_t source_count, struct aq_error *err)
{
    struct aq_service service = {
        .program = program,
        .config = program->config,
        .single = source_count == 1,
        .wake_fd = -1,
        .begun_ms = aq_clock_ms(),
    };
    struct loop loop = {.service = &service, .watchdog_ms = aq_notify_watchdog_ms()};
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&service.wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&service.lock, NULL);
    enum aq_status status = prepare(&service, sources, source_count, err);
    if (status == AQ_OK) {
        loop.shows_line =
            service.has_kafka && !program->options.quiet && isatty(STDERR_FILENO) == 1;
        atomic_store(&service.turned_ms, aq_clock_ms());
        arrange_signals(&loop);
        aq_program_hold_repeats(program, true);
        status = run(&loop, err);
        aq_program_hold_repeats(program, false);
        pthread_sigmask(SIG_SETMASK, &loop.waiting_mask, NULL);
    }
    release(&service);
    return status;
}
