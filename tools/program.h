/* What every command shares: the options, the config and the store they name, messages, stopping. */
#ifndef AQ_TOOLS_PROGRAM_H
#define AQ_TOOLS_PROGRAM_H

#include "engine/ingest/config.h"
#include "engine/store/store.h"
#include "tools/options.h"
#include "tools/output/out.h"

#include <stdatomic.h>

#define AQ_VERSION "0.1.0"

struct aq_program {
    struct aq_options options;
    struct aq_out *out;       /* standard output; main flushes it and reports its failure */
    struct aq_config *config; /* NULL until aq_program_config; main releases it */
    struct aq_store *store;   /* NULL until aq_program_store; main closes it */
    struct aq_object_store
        *bucket; /* NULL until aq_program_bucket; main closes it, after the store */
};

/** Set by SIGINT and SIGTERM; long work looks at it. aq_stop_signal is the signal, 0 if none. */
extern atomic_bool aq_stop;
int aq_stop_signal(void);
/** Catch SIGINT and SIGTERM, ignore SIGPIPE. A second signal ends the process at once, unless
 * `drains`: then the command ends by itself, soon. @thread The main thread, once. */
void aq_stop_install(bool drains);

/* Messages, on standard error, one line each: "aqstore: ..." or, with --log-format json, an object with
 * time, level, message and, where they apply, source, status, path and offset. @thread Any. */
enum aq_level { AQ_LEVEL_ERROR, AQ_LEVEL_NOTICE, AQ_LEVEL_DETAIL };
/** A notice is left out with --quiet, a detail without --verbose. */
void aq_program_say(const struct aq_program *program, enum aq_level level, const char *format, ...)
    AQ_PRINTF(3, 4);
/** About a source of the config; NULL: about none. */
void aq_program_say_of(const struct aq_program *program, enum aq_level level, const char *source,
                       const char *message);
/** "COMMAND: what failed: file or position: why; what to do", of a source or (NULL) of none. */
void aq_program_say_error(const struct aq_program *program, const char *source,
                          const struct aq_error *err);
/** The same, as the command's last word. @return The exit code. */
int aq_program_fail(const struct aq_program *program, const struct aq_error *err);
/** From now on a message that was said within the last minute is held back and counted; false: tell the
 * counts, and say everything again. */
void aq_program_hold_repeats(const struct aq_program *program, bool holds);
/** Show a line that the next message or status line wipes away; NULL: wipe it. For terminals. */
void aq_program_status_line(const char *line);

/** The config: --config, else $AQSTORE_CONFIG, else ./aqstore.yaml. Loaded once. AQ_NOT_FOUND with
 * what to do when there is none. `config` is the program's. */
enum aq_status aq_program_config(struct aq_program *program, const struct aq_config **config,
                                 struct aq_error *err) AQ_RESULT;
/** Whether --store names a bucket: such a store can only be read. */
bool aq_program_in_bucket(const struct aq_program *program);
/** Home of the store: --store, else the config's. Borrowed from the program. AQ_INVALID for a store in a
 * bucket, with what to do. */
enum aq_status aq_program_home(struct aq_program *program, const char **home,
                               struct aq_error *err) AQ_RESULT;

enum aq_access { AQ_ACCESS_READ, AQ_ACCESS_WRITE, AQ_ACCESS_CREATE };
/** Open the store; once. CREATE makes it where there is none. `store` is the program's. */
enum aq_status aq_program_store(struct aq_program *program, enum aq_access access,
                                struct aq_store **store, struct aq_error *err) AQ_RESULT;

#endif
