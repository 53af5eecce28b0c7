/* The threads of the service: those that run sources, and the maintenance loop.
 *
 * Happy path: Kafka sources that share a consumer share a thread; the file sources have one, in which they
 * run one after the other in the order of the config. Each thread sets the states of its sources, and
 * wakes the main loop when it ends.
 * Failures: a source that fails is stopped, says so at once, and the next one of its thread goes on. A file
 * source that finds the disk full waits for room, unless it reads a pipe, which cannot be read again. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ingest/kafka/kafka.h"
#include "tools/commands/input/load.h"
#include "tools/service/service_internal.h"

#define RETRY_MS_MIN 1000
#define RETRY_MS_MAX 30000

/* ---- failures ---- */

int aq_runner_rank(enum aq_status status)
{
    return status == AQ_CORRUPT ? 3 : status == AQ_TEMPORARY ? 1 : status < 0 ? 2 : 0;
}

/* Of one source, or (NULL) of several together. */
static void fail(struct aq_runner *runner, const struct aq_source_config *source,
                 enum aq_status status, struct aq_error *err)
{
    err->status = status;
    if (!runner->service->single)
        aq_program_say_error(runner->service->program, source != NULL ? source->name : NULL, err);
    if (aq_runner_rank(status) > aq_runner_rank(runner->status)) {
        runner->status = status;
        runner->err = *err;
    }
    runner->failed_draining = runner->failed_draining || aq_stop;
}

/* ---- files ---- */

static bool are_regular(const struct aq_paths *paths)
{
    struct stat status;
    for (size_t i = 0; i < paths->count; i++)
        if (stat(paths->names[i], &status) != 0 || !S_ISREG(status.st_mode))
            return false;
    return true;
}

static void wait_for_room(unsigned attempt)
{
    int64_t wait_ms = RETRY_MS_MIN << (attempt < 5 ? attempt : 5);
    int64_t until_ms = aq_clock_ms() + (wait_ms < RETRY_MS_MAX ? wait_ms : RETRY_MS_MAX);
    for (int64_t left_ms = wait_ms; left_ms > 0 && !aq_stop;) {
        (void)poll(NULL, 0, left_ms < 500 ? (int)left_ms : 500);
        left_ms = until_ms - aq_clock_ms();
    }
}

static enum aq_status load(struct aq_runner *runner, const struct aq_source_config *source,
                           const struct aq_paths *paths, struct aq_error *err)
{
    struct aq_service *service = runner->service;
    size_t index = aq_monitor_find(service->monitor, source->name);
    struct aq_load load = {
        .dataset = aq_config_dataset(service->config, source->dataset),
        .source = source->name,
        .format = source->format,
        .paths = paths,
        .monitor = service->monitor,
        .draws = !service->has_kafka,
    };
    bool patient = !service->program->options.once && are_regular(paths);
    for (unsigned attempt = 0;; attempt++) {
        aq_monitor_state(service->monitor, index, AQ_SOURCE_RUNNING, NULL);
        enum aq_status status = aq_load(service->program, &load, err);
        if (status != AQ_DISK_FULL || !patient || aq_stop)
            return status;
        aq_monitor_state(service->monitor, index, AQ_SOURCE_WAITING, err->message);
        aq_program_say_error(service->program, source->name, err);
        wait_for_room(attempt);
        if (aq_stop)
            return AQ_OK;
    }
}

static void run_file_source(struct aq_runner *runner, const struct aq_source_config *source)
{
    struct aq_monitor *monitor = runner->service->monitor;
    struct aq_error err = {.offset = -1};
    struct aq_paths paths = {0};
    enum aq_status status = AQ_OK;
    for (size_t i = 0; i < source->file_count && status >= 0; i++)
        status = aq_paths_add(&paths, source->files[i], &err);
    if (status >= 0)
        status = load(runner, source, &paths, &err);
    aq_paths_deinit(&paths);
    size_t index = aq_monitor_find(monitor, source->name);
    if (status < 0 && (status != AQ_INTERRUPTED || !aq_stop)) {
        char text[AQ_ERROR_PATH_MAX + AQ_ERROR_MESSAGE_MAX + 64];
        aq_error_format(&err, text, sizeof(text));
        aq_monitor_state(monitor, index, AQ_SOURCE_STOPPED, text);
        fail(runner, source, status, &err);
    } else if (!aq_stop) {
        aq_monitor_state(monitor, index, AQ_SOURCE_DONE, NULL);
    }
}

static void run_files(struct aq_runner *runner)
{
    for (size_t i = 0; i < runner->source_count && !aq_stop; i++)
        run_file_source(runner, runner->sources[i]);
}

/* ---- Kafka ---- */

/* `source "NAME": text` becomes the text, about that source. */
static const char *split_notice(const struct aq_runner *runner, const char **message)
{
    char begin[AQ_NAME_BYTES_MAX + 16];
    for (size_t i = 0; i < runner->source_count; i++) {
        const char *name = runner->sources[i]->name;
        int size = snprintf(begin, sizeof(begin), "source \"%s\"", name);
        if (size < (int)sizeof(begin) && strncmp(*message, begin, (size_t)size) == 0) {
            *message += (size_t)size + strspn(*message + size, ": ");
            return name;
        }
    }
    return runner->source_count == 1 ? runner->sources[0]->name : NULL;
}

static void on_notice(void *context, const char *message)
{
    const struct aq_runner *runner = context;
    const char *source = split_notice(runner, &message);
    aq_program_say_of(runner->service->program, AQ_LEVEL_NOTICE, source, message);
}

static void run_kafka(struct aq_runner *runner)
{
    struct aq_service *service = runner->service;
    struct aq_error err = {.offset = -1};
    struct aq_kafka_run_options options = {
        .config = service->config,
        .sources = runner->sources,
        .source_count = runner->source_count,
        .once = service->program->options.once,
        .stop = &aq_stop,
        .monitor = service->monitor,
        .notice = on_notice,
        .context = runner,
    };
    enum aq_status status = aq_kafka_run(service->store, &options, &err);
    if (status < 0)
        fail(runner, runner->source_count == 1 ? runner->sources[0] : NULL, status, &err);
}

/* ---- threads ---- */

static void *thread_main(void *context)
{
    struct aq_runner *runner = context;
    uint64_t one = 1;
    runner->run(runner);
    atomic_store(&runner->ended, true);
    /* A counter that is full wakes as well. */
    (void)!write(runner->service->wake_fd, &one, sizeof(one));
    return NULL;
}

/* The runner that `source` belongs to; a new one if there is none yet. */
static struct aq_runner *runner_of(struct aq_service *service,
                                   const struct aq_source_config *source)
{
    void (*run)(struct aq_runner *) = source->is_kafka ? run_kafka : run_files;
    for (size_t i = 0; i < service->runner_count; i++) {
        struct aq_runner *runner = &service->runners[i];
        if (runner->run == run &&
            (!source->is_kafka || aq_kafka_same_group(runner->sources[0], source)))
            return runner;
    }
    struct aq_runner *made = &service->runners[service->runner_count++];
    made->what = source->is_kafka ? "kafka" : "files";
    made->run = run;
    return made;
}

/* A run that ends by itself leaves the store to the next `compact` and `tier`. */
static void add_maintenance(struct aq_service *service)
{
    bool lasts = service->has_kafka && !service->program->options.once;
    bool tiers = service->program->bucket != NULL && service->config->tier != NULL;
    service->compacts = lasts && aq_schedule_is_set(&service->config->compaction_schedule);
    service->maintains =
        lasts && tiers && (service->compacts || service->config->tier_config.protect_us > 0);
    if (service->compacts)
        service->runners[service->runner_count++] =
            (struct aq_runner){.what = "compaction", .run = aq_nightly_run};
    if (service->maintains)
        service->runners[service->runner_count++] =
            (struct aq_runner){.what = "maintenance", .run = aq_maintain_run};
}

enum aq_status aq_runners_create(struct aq_service *service, const size_t *sources,
                                 size_t source_count, struct aq_error *err)
{
    service->runners = calloc(source_count + 2, sizeof(*service->runners));
    if (service->runners == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < source_count; i++) {
        const struct aq_source_config *source = &service->config->sources[sources[i]];
        struct aq_runner *runner = runner_of(service, source);
        service->has_kafka = service->has_kafka || source->is_kafka;
        if (runner->sources == NULL)
            runner->sources = calloc(source_count, sizeof(const struct aq_source_config *));
        if (runner->sources == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        runner->sources[runner->source_count++] = source;
    }
    add_maintenance(service);
    for (size_t i = 0; i < service->runner_count; i++)
        service->runners[i].service = service;
    return AQ_OK;
}

void aq_runners_destroy(struct aq_service *service)
{
    for (size_t i = 0; i < service->runner_count; i++) {
        if (service->runners[i].started)
            pthread_join(service->runners[i].thread, NULL);
        free((void *)service->runners[i].sources);
    }
    free(service->runners);
}

void aq_runners_abandon(struct aq_service *service)
{
    for (size_t i = 0; i < service->runner_count; i++) {
        if (service->runners[i].started)
            pthread_detach(service->runners[i].thread);
    }
}

enum aq_status aq_runners_start(struct aq_service *service, struct aq_error *err)
{
    int result = 0;
    for (size_t i = 0; i < service->runner_count; i++) {
        struct aq_runner *runner = &service->runners[i];
        if (result == 0)
            result = pthread_create(&runner->thread, NULL, thread_main, runner);
        runner->started = result == 0;
        if (result != 0)
            atomic_store(&runner->ended, true);
    }
    if (result != 0)
        return aq_error_set(err, AQ_IO, "cannot start a thread: %s", strerror(result));
    return AQ_OK;
}

void aq_runners_interrupt(struct aq_service *service)
{
    for (size_t i = 0; i < service->runner_count; i++)
        if (service->runners[i].started && !atomic_load(&service->runners[i].ended))
            pthread_kill(service->runners[i].thread, SIGUSR1);
}
