/* Loading files into a dataset, for `import` and `ingest`. */
#ifndef AQ_TOOLS_COMMANDS_LOAD_H
#define AQ_TOOLS_COMMANDS_LOAD_H

#include "engine/ingest/ingest.h"
#include "tools/program.h"

/** File names, owned. */
struct aq_paths {
    size_t count;
    size_t capacity;
    const char **names;
};
void aq_paths_deinit(struct aq_paths *paths);
/** Add what `pattern` matches, in name order; a plain name or "-" as it is. AQ_NOT_FOUND when a pattern
 * matches nothing. */
enum aq_status aq_paths_add(struct aq_paths *paths, const char *pattern,
                            struct aq_error *err) AQ_RESULT;

/** Of --format; NULL: AQ_FORMAT_AUTO. */
enum aq_source_format aq_load_format(const char *name);

/** What to load, and who hears of it. */
struct aq_load {
    const struct aq_dataset_config *dataset;
    const char *source; /* "import" or the source's name */
    enum aq_source_format format;
    const struct aq_paths *paths;
    struct aq_monitor *monitor; /* may be NULL */
    bool draws;                 /* a progress bar, on a terminal */
    bool replace;
    enum aq_replace_span span;
};
/** Load, and print what came in, also after a failure. @thread One at a time. */
enum aq_status aq_load(struct aq_program *program, const struct aq_load *load,
                       struct aq_error *err) AQ_RESULT;

/** Record the config's views in the store. */
enum aq_status aq_load_views(struct aq_program *program, struct aq_error *err) AQ_RESULT;

#endif
