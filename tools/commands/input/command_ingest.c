/* ingest: run the sources of the config, or those named, until a signal comes or all are at their end
 * (tools/service/). A file source is done at the end of its files, so with file sources alone `--once`
 * changes little. After a signal what was read is made durable, and the exit code is 0. */
#include <stdlib.h>
#include <string.h>

#include "format/table/nearest.h"
#include "tools/commands/commands.h"
#include "tools/commands/input/load.h"
#include "tools/service/service.h"

enum aq_status aq_source_named(const struct aq_config *config, const char *name,
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
    return aq_error_set_at(err, AQ_INVALID, config->path, -1,
                           "has no source '%s'; see `aqstore config show`", name);
}

/* Indices into the config: those named, each once, or all. */
static enum aq_status choose(const struct aq_program *program, size_t *chosen, size_t *count,
                             struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    const struct aq_config *config = program->config;
    bool *wanted = calloc(config->source_count, sizeof(*wanted));
    enum aq_status status = AQ_OK;
    if (wanted == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < options->argument_count && status == AQ_OK; i++) {
        const struct aq_source_config *source = NULL;
        status = aq_source_named(config, options->arguments[i], &source, err);
        if (status == AQ_OK)
            wanted[source - config->sources] = true;
    }
    *count = 0;
    for (size_t i = 0; i < config->source_count; i++)
        if (options->argument_count == 0 || wanted[i])
            chosen[(*count)++] = i;
    free(wanted);
    return status;
}

static enum aq_status run_sources(struct aq_program *program, struct aq_error *err)
{
    size_t count = 0;
    size_t *chosen = calloc(program->config->source_count, sizeof(*chosen));
    if (chosen == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status = choose(program, chosen, &count, err);
    if (status == AQ_OK)
        status = aq_load_views(program, err);
    if (status == AQ_OK)
        status = aq_service_run(program, chosen, count, err);
    free(chosen);
    return status;
}

enum aq_status aq_command_ingest(struct aq_program *program, struct aq_error *err)
{
    const struct aq_config *config = NULL;
    AQ_TRY(aq_program_config(program, &config, err));
    if (config->source_count == 0)
        return aq_error_set_at(err, AQ_INVALID, config->path, -1,
                               "declares no sources; add one under sources:, or use import");
    AQ_TRY(run_sources(program, err));
    if (aq_stop)
        aq_program_say(
            program, AQ_LEVEL_NOTICE,
            "ingest: stopped by a signal; what was read is durable, run it again to go on");
    return AQ_OK;
}
