/* ingest: run the sources of the config, or those named. A file source is done at the end of its files,
 * so with file sources alone `--once` changes nothing. A signal stops at a frame: what is acked stays,
 * the next run goes on from there, and the exit code is 0. */
#include <stdio.h>
#include <string.h>

#include "format/nearest.h"
#include "tools/commands/commands.h"
#include "tools/commands/load.h"

static enum aq_status find_source(const struct aq_config *config, const char *name,
                                  const struct aq_source_config **source, struct aq_error *err)
{
    const char *names[64];
    size_t count = 0;
    for (size_t i = 0; i < config->source_count; i++) {
        if (strcmp(config->sources[i].name, name) == 0) {
            *source = &config->sources[i];
            return AQ_OK;
        }
        if (count < 64)
            names[count++] = config->sources[i].name;
    }
    const char *nearest = aq_nearest_word(aq_slice_of(name), names, count);
    if (nearest != NULL)
        return aq_error_set_at(err, AQ_INVALID, config->path, -1,
                               "has no source '%s'; did you mean '%s'?", name, nearest);
    return aq_error_set_at(err, AQ_INVALID, config->path, -1, "has no source '%s'", name);
}

static enum aq_status run_source(struct aq_program *program, const struct aq_source_config *source,
                                 struct aq_error *err)
{
    const struct aq_config *config = program->config;
    char position[AQ_ERROR_PATH_MAX];
    snprintf(position, sizeof(position), "%s:%d", config->path, source->mark.line);
    if (source->is_kafka)
        return aq_error_set_at(err, AQ_UNSUPPORTED, position, -1,
                               "source '%s' reads Kafka: not yet in this version", source->name);
    struct aq_paths paths = {0};
    enum aq_status status = AQ_OK;
    for (size_t i = 0; i < source->file_count && status >= 0; i++)
        status = aq_paths_add(&paths, source->files[i], err);
    if (status >= 0)
        status = aq_load(program, aq_config_dataset(config, source->dataset), source->name,
                         source->format, &paths, err);
    aq_paths_deinit(&paths);
    return status;
}

static enum aq_status run_sources(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    const struct aq_config *config = program->config;
    for (size_t i = 0; i < options->argument_count; i++) {
        const struct aq_source_config *source = NULL;
        AQ_TRY(find_source(config, options->arguments[i], &source, err));
        AQ_TRY(run_source(program, source, err));
    }
    for (size_t i = 0; i < config->source_count && options->argument_count == 0; i++)
        AQ_TRY(run_source(program, &config->sources[i], err));
    return AQ_OK;
}

enum aq_status aq_command_ingest(struct aq_program *program, struct aq_error *err)
{
    const struct aq_config *config = NULL;
    AQ_TRY(aq_program_config(program, &config, err));
    if (config->source_count == 0)
        return aq_error_set_at(err, AQ_INVALID, config->path, -1,
                               "declares no sources; add one under sources:, or use import");
    AQ_TRY(aq_load_views(program, err));
    enum aq_status status = run_sources(program, err);
    if (status == AQ_INTERRUPTED) {
        aq_program_say(
            program, AQ_LEVEL_NOTICE,
            "ingest: stopped by a signal; what was read is durable, run it again to go on");
        return AQ_OK;
    }
    return status;
}
