/* The aqstore program: read the command line, run the command, report.
 *
 * Happy path: parse; help and version answer at once; else signals are caught, the command runs, what it
 * printed is flushed, exit 0. Failures: one line on standard error, and the exit code of the
 * status (docs/config.md, "Exit codes"); a signal's own code when it was what stopped the command;
 * a reader of our output that went away ends us quietly with 141, as a shell shows it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/object/object.h"
#include "tools/commands/commands.h"
#include "tools/output/text/utf8.h"

typedef enum aq_status (*command_fn)(struct aq_program *program, struct aq_error *err);

/* NULL: of a later version. */
static const command_fn command_functions[AQ_COMMAND_NONE] = {
    [AQ_COMMAND_INGEST] = aq_command_ingest,   [AQ_COMMAND_IMPORT] = aq_command_import,
    [AQ_COMMAND_QUERY] = aq_command_query,     [AQ_COMMAND_COMPACT] = aq_command_compact,
    [AQ_COMMAND_GC] = aq_command_gc,           [AQ_COMMAND_INSPECT] = aq_command_inspect,
    [AQ_COMMAND_VERIFY] = aq_command_verify,   [AQ_COMMAND_EXPORT] = aq_command_export,
    [AQ_COMMAND_REJECTS] = aq_command_rejects, [AQ_COMMAND_SOURCES] = aq_command_sources,
    [AQ_COMMAND_CONFIG] = aq_command_config,   [AQ_COMMAND_COMPLETION] = aq_command_completion,
    [AQ_COMMAND_TIER] = aq_command_tier,       [AQ_COMMAND_RESTORE] = aq_command_restore,
    [AQ_COMMAND_REPLAY] = aq_command_replay,
};

static enum aq_status run_command(struct aq_program *program, struct aq_error *err)
{
    enum aq_command command = program->options.command;
    if (program->options.version) {
        aq_out_text(program->out, "aqstore " AQ_VERSION "\n");
        return AQ_OK;
    }
    if (program->options.help) {
        struct aq_bytes help = {0};
        aq_options_help(command, &help);
        aq_out_bytes(program->out, &help);
        aq_bytes_deinit(&help);
        return AQ_OK;
    }
    if (command_functions[command] == NULL)
        return aq_error_set(err, AQ_UNSUPPORTED, "not yet in this version");
    aq_stop_install(command == AQ_COMMAND_INGEST);
    return command_functions[command](program, err);
}

static int exit_code(struct aq_program *program, enum aq_status status, struct aq_error *err)
{
    bool broken = aq_out_broken(program->out);
    struct aq_error write_err = {.offset = -1};
    enum aq_status written = aq_out_close(program->out, true, &write_err);
    program->out = NULL;
    if (broken || (written < 0 && write_err.os_errno == EPIPE))
        return 128 + SIGPIPE;
    if (status >= 0 && written < 0) {
        status = written;
        *err = write_err;
    }
    if (status >= 0)
        return 0;
    err->status = status;
    int code = aq_program_fail(program, err);
    return status == AQ_INTERRUPTED && aq_stop_signal() != 0 ? 128 + aq_stop_signal() : code;
}

int main(int argc, char **argv)
{
    struct aq_program program = {0};
    struct aq_error err = {.offset = -1};
    signal(SIGPIPE, SIG_IGN);
    aq_utf8_setup();
    enum aq_status status =
        aq_options_parse(argc, (const char *const *)argv, &program.options, &err);
    if (status >= 0)
        status = aq_out_stdout(&program.out, &err);
    if (status < 0) {
        int code = aq_program_fail(&program, &err);
        aq_options_deinit(&program.options);
        return code;
    }
    status = run_command(&program, &err);
    int code = exit_code(&program, status, &err);
    aq_store_close(program.store);
    aq_object_close(program.bucket);
    aq_config_destroy(program.config);
    aq_options_deinit(&program.options);
    return code;
}
