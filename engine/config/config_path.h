/* The paths of `from:`. */
#ifndef AQ_ENGINE_CONFIG_PATH_H
#define AQ_ENGINE_CONFIG_PATH_H

#include "engine/config/config_read.h"

#define AQ_PATH_STEPS_MAX 32
#define AQ_PATH_PARTS_MAX 64

/** Parse a path or template as written in a `from:`. Its memory is the reader's arena's. */
enum aq_status aq_config_path_parse(struct aq_config_reader *reader, struct aq_config_mark mark,
                                    const char *text, struct aq_path *path) AQ_RESULT;

/** The path of a column without `from:`: the member of its own name, whatever characters it has. */
enum aq_status aq_config_path_member(struct aq_config_reader *reader, const char *name,
                                     struct aq_path *path) AQ_RESULT;

#endif
