/* import: load files into a dataset that the config declares, each exactly once. */
#include <string.h>

#include "format/table/nearest.h"
#include "tools/commands/commands.h"
#include "tools/commands/input/load.h"

static enum aq_status unknown_dataset(const struct aq_config *config, const char *name,
                                      struct aq_error *err)
{
    const char *names[64];
    size_t count = 0;
    for (; count < config->dataset_count && count < 64; count++)
        names[count] = config->datasets[count].schema.dataset;
    const char *nearest = aq_nearest_word(aq_slice_of(name), names, count);
    if (nearest != NULL)
        return aq_error_set_at(err, AQ_INVALID, config->path, -1,
                               "declares no dataset '%s'; did you mean '%s'?", name, nearest);
    return aq_error_set_at(err, AQ_INVALID, config->path, -1,
                           "declares no dataset '%s'; add it under datasets:", name);
}

/* Of --span, whose choices the table of options has. */
static enum aq_replace_span find_span(const char *name)
{
    if (name == NULL || strcmp(name, "slot") == 0)
        return AQ_REPLACE_SLOT;
    return strcmp(name, "day") == 0     ? AQ_REPLACE_DAY
           : strcmp(name, "month") == 0 ? AQ_REPLACE_MONTH
                                        : AQ_REPLACE_YEAR;
}

enum aq_status aq_command_import(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    const struct aq_config *config = NULL;
    if (options->dataset == NULL)
        return aq_error_set(err, AQ_INVALID, "--dataset NAME is missing");
    if (options->span != NULL && !options->replace)
        return aq_error_set(err, AQ_INVALID, "--span goes with --replace");
    if (options->argument_count == 0)
        return aq_error_set(err, AQ_INVALID, "no file given; name files, or - for standard input");
    AQ_TRY(aq_program_config(program, &config, err));
    const struct aq_dataset_config *dataset = aq_config_dataset(config, options->dataset);
    if (dataset == NULL)
        return unknown_dataset(config, options->dataset, err);
    struct aq_paths paths = {0};
    enum aq_status status = AQ_OK;
    for (size_t i = 0; i < options->argument_count && status >= 0; i++)
        status = aq_paths_add(&paths, options->arguments[i], err);
    if (status >= 0)
        status = aq_load_views(program, err);
    struct aq_load load = {.dataset = dataset,
                           .source = "import",
                           .format = aq_load_format(options->format),
                           .paths = &paths,
                           .draws = true,
                           .replace = options->replace,
                           .span = find_span(options->span)};
    if (status >= 0)
        status = aq_load(program, &load, err);
    aq_paths_deinit(&paths);
    return status;
}
