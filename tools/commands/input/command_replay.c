/* replay: send a file's records to a Kafka topic, at a rate, once or round and round. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/ingest/kafka/producer/producer.h"
#include "tools/commands/commands.h"
#include "tools/commands/input/load.h"
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"
#include "tools/output/progress.h"
#include "tools/replay/replay_file.h"

struct replay {
    struct aq_program *program;
    struct aq_replay_options options;
    struct aq_paths paths;
    struct aq_producer *producer;
    struct aq_progress progress;
    double rate; /* messages a second; 0: as fast as they go */
    int32_t partition;
    double begin;
    uint64_t message_count; /* sent */
    uint64_t byte_count;
    uint64_t skipped_count;
};

static enum aq_status read_numbers(struct replay *replay, struct aq_error *err)
{
    const struct aq_options *options = &replay->program->options;
    char *end = NULL;
    replay->partition = AQ_PARTITION_ANY;
    if (options->rate != NULL) {
        replay->rate = strtod(options->rate, &end);
        if (end == options->rate || *end != '\0' || !(replay->rate > 0 && replay->rate < 1e9))
            return aq_error_set(
                err, AQ_INVALID,
                "--rate: expected messages a second, such as 100 or 0.5, found '%s'",
                options->rate);
    }
    if (options->partition == NULL)
        return AQ_OK;
    errno = 0;
    long partition = strtol(options->partition, &end, 10);
    if (end == options->partition || *end != '\0' || errno != 0 || partition < 0 ||
        partition > INT32_MAX)
        return aq_error_set(err, AQ_INVALID, "--partition: expected a number from 0, found '%s'",
                            options->partition);
    replay->partition = (int32_t)partition;
    return AQ_OK;
}

static enum aq_status check_options(struct replay *replay, struct aq_error *err)
{
    const struct aq_options *options = &replay->program->options;
    if (options->topic == NULL)
        return aq_error_set(err, AQ_INVALID, "--topic NAME is missing");
    if (options->argument_count == 0)
        return aq_error_set(err, AQ_INVALID, "no file given; name files, or - for standard input");
    for (size_t i = 0; options->loop && i < options->argument_count; i++)
        if (strcmp(options->arguments[i], "-") == 0)
            return aq_error_set(err, AQ_INVALID, "--loop: standard input can be read only once");
    if (options->key != NULL)
        AQ_TRY(aq_replay_check_key(options->key, err));
    return read_numbers(replay, err);
}

/* --brokers alone, or the settings of the config's first Kafka source. */
static enum aq_status connect(struct replay *replay, struct aq_error *err)
{
    const struct aq_options *options = &replay->program->options;
    const struct aq_config *config = NULL;
    struct aq_source_config plain = {.name = "replay",
                                     .client = {.brokers = options->brokers, .group = "aqstore"}};
    const struct aq_source_config *source = &plain;
    if (options->brokers == NULL) {
        AQ_TRY(aq_program_config(replay->program, &config, err));
        size_t at = 0;
        while (at < config->source_count && !config->sources[at].is_kafka)
            at++;
        if (at == config->source_count)
            return aq_error_set_at(err, AQ_INVALID, config->path, -1,
                                   "has no kafka source to take the brokers from; say --brokers "
                                   "HOST:PORT");
        source = &config->sources[at];
    }
    return aq_producer_create(source, config, options->topic, replay->partition, &aq_stop,
                              &replay->producer, err);
}

/* Until the next message is due. */
static enum aq_status keep_pace(struct replay *replay, struct aq_error *err)
{
    if (replay->rate <= 0)
        return AQ_OK;
    double due = replay->begin + (double)replay->message_count / replay->rate;
    for (double now = aq_clock_seconds(); now < due && !aq_stop; now = aq_clock_seconds()) {
        double left_ms = (due - now) * 1000;
        AQ_TRY(aq_producer_wait(replay->producer,
                                left_ms < 1     ? 1
                                : left_ms > 100 ? 100
                                                : (int)left_ms,
                                err));
    }
    return AQ_OK;
}

static enum aq_status send_file(struct replay *replay, const char *path, struct aq_error *err)
{
    struct aq_replay_file file;
    struct aq_slice value;
    struct aq_slice key;
    AQ_TRY(aq_replay_open(&file, path, &replay->options, &aq_stop, err));
    enum aq_status status = AQ_OK;
    while (status == AQ_OK && !aq_stop) {
        status = aq_replay_next(&file, &value, &key, err);
        if (status == AQ_OK)
            status = keep_pace(replay, err);
        if (status == AQ_OK)
            status = aq_producer_send(replay->producer, key, value, err);
        if (status == AQ_OK) {
            replay->message_count++;
            replay->byte_count += value.size;
            aq_progress_update(&replay->progress, replay->program->options.topic,
                               aq_source_file_bytes_done(file.source),
                               aq_source_file_bytes_total(file.source), replay->message_count);
        }
    }
    replay->skipped_count += file.skipped_count;
    aq_replay_close(&file);
    return status == AQ_END ? AQ_OK : status;
}

static enum aq_status send_all(struct replay *replay, struct aq_error *err)
{
    replay->begin = aq_clock_seconds();
    aq_progress_begin(&replay->progress, replay->program->options.quiet);
    do {
        uint64_t before = replay->message_count;
        for (size_t i = 0; i < replay->paths.count && !aq_stop; i++)
            AQ_TRY(send_file(replay, replay->paths.names[i], err));
        if (before == replay->message_count)
            break; /* nothing to go round with */
    } while (replay->program->options.loop && !aq_stop);
    return AQ_OK;
}

static void report(const struct replay *replay, uint64_t delivered_count)
{
    char count[AQ_HUMAN_BYTES_MAX];
    char size[AQ_HUMAN_BYTES_MAX];
    char time[AQ_HUMAN_BYTES_MAX];
    double seconds = aq_clock_seconds() - replay->begin;
    const struct aq_options *options = &replay->program->options;
    if (replay->skipped_count > 0)
        aq_program_say(replay->program, AQ_LEVEL_NOTICE,
                       "%" PRIu64 " record%s could not be sent: too long, or not of their format",
                       replay->skipped_count, replay->skipped_count == 1 ? "" : "s");
    if (!options->json) {
        aq_out_printf(replay->program->out, "%s: %s message%s (%s) in %s\n", options->topic,
                      aq_human_count(delivered_count, count), delivered_count == 1 ? "" : "s",
                      aq_human_size(replay->byte_count, size), aq_human_seconds(seconds, time));
        return;
    }
    struct aq_bytes out = {0};
    aq_json_open(&out, '{');
    aq_json_member_text(&out, "topic", options->topic);
    aq_json_member_count(&out, "messages", delivered_count);
    aq_json_member_count(&out, "bytes", replay->byte_count);
    aq_json_member_count(&out, "skipped", replay->skipped_count);
    aq_json_member_real(&out, "seconds", seconds);
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(replay->program->out, &out);
    aq_bytes_deinit(&out);
}

/* What is queued is delivered in any case, and what was delivered is said. */
static enum aq_status run(struct replay *replay, struct aq_error *err)
{
    AQ_TRY(connect(replay, err));
    enum aq_status status = send_all(replay, err);
    struct aq_error later = {0};
    enum aq_status flushed = aq_producer_flush(replay->producer, &later);
    aq_progress_clear(&replay->progress);
    if (status >= 0 || replay->message_count > 0)
        report(replay, aq_producer_delivered(replay->producer));
    if (status >= 0 && flushed < 0) {
        if (err != NULL)
            *err = later;
        return flushed;
    }
    if (status < 0 || !aq_stop)
        return status;
    return aq_error_set(err, AQ_INTERRUPTED, "stopped");
}

enum aq_status aq_command_replay(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    struct replay replay = {.program = program};
    AQ_TRY(check_options(&replay, err));
    replay.options =
        (struct aq_replay_options){.format = aq_load_format(options->format),
                                   .as_csv = options->as != NULL && strcmp(options->as, "csv") == 0,
                                   .key = options->key};
    enum aq_status status = AQ_OK;
    for (size_t i = 0; i < options->argument_count && status >= 0; i++)
        status = aq_paths_add(&replay.paths, options->arguments[i], err);
    if (status >= 0)
        status = run(&replay, err);
    aq_producer_destroy(replay.producer);
    aq_paths_deinit(&replay.paths);
    return status;
}
