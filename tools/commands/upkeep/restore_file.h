/* Mending a home file by file: `restore --file` and `restore --give-up`. */
#ifndef AQ_TOOLS_COMMANDS_RESTORE_FILE_H
#define AQ_TOOLS_COMMANDS_RESTORE_FILE_H

#include "tools/program.h"

/** Fetch one file of the home again from the bucket, and put it in the place of what is there. */
enum aq_status aq_restore_file(struct aq_program *program, const char *name,
                               struct aq_error *err) AQ_RESULT;
/** Take a damaged file that has no copy out of the store, in one edit. AQ_INVALID for one that is whole, or has a copy;
 * AQ_CONFLICT for one that is being written. */
enum aq_status aq_restore_without(struct aq_program *program, const char *name,
                                  struct aq_error *err) AQ_RESULT;

#endif
