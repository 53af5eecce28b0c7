/* Messages, signals, and finding config and store. */
#include "tools/program.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/output/json_print.h"

volatile bool aq_stop;
static volatile sig_atomic_t stop_signal;

static void on_signal(int signal_number)
{
    stop_signal = signal_number;
    aq_stop = true;
}

int aq_stop_signal(void)
{
    return (int)stop_signal;
}

void aq_stop_install(bool drains)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = drains ? 0 : (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond the limit fails with EFBIG instead */
}

/* ---- messages ---- */

static void write_stderr(const struct aq_bytes *line)
{
    size_t written = 0;
    while (aq_bytes_status(line) == AQ_OK && written < line->size) {
        ssize_t count = write(STDERR_FILENO, line->data + written, line->size - written);
        if (count < 0 && errno != EINTR)
            return; /* nowhere left to complain */
        written += count > 0 ? (size_t)count : 0;
    }
}

static void say_json(enum aq_level level, const char *message, struct aq_bytes *line)
{
    static const char *const names[] = {"error", "notice", "detail"};
    struct timespec now;
    struct tm civil;
    char text[64] = "";
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &civil);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &civil);
    aq_bytes_chars(line, "{\"time\":\"");
    aq_bytes_chars(line, text);
    aq_bytes_chars(line, "\",\"level\":\"");
    aq_bytes_chars(line, names[level]);
    aq_bytes_chars(line, "\",\"message\":");
    aq_json_put_string(aq_slice_of(message), line);
    aq_bytes_chars(line, "}\n");
}

static void say(const struct aq_program *program, enum aq_level level, const char *message)
{
    struct aq_bytes line = {0};
    const char *form = program->options.log_format;
    if (form != NULL && strcmp(form, "json") == 0) {
        say_json(level, message, &line);
    } else {
        aq_bytes_chars(&line, "aqstore: ");
        aq_bytes_chars(&line, message);
        aq_bytes_chars(&line, "\n");
    }
    write_stderr(&line);
    aq_bytes_deinit(&line);
}

void aq_program_say(const struct aq_program *program, enum aq_level level, const char *format, ...)
{
    if ((level >= AQ_LEVEL_NOTICE && program->options.quiet) ||
        (level == AQ_LEVEL_DETAIL && !program->options.verbose))
        return;
    char message[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    say(program, level, message);
}

int aq_program_fail(const struct aq_program *program, const struct aq_error *err)
{
    char text[AQ_ERROR_PATH_MAX + AQ_ERROR_MESSAGE_MAX + 64];
    const char *command = aq_command_name(program->options.command);
    aq_error_format(err, text, sizeof(text));
    if (command[0] != '\0')
        aq_program_say(program, AQ_LEVEL_ERROR, "%s: %s", command, text);
    else
        aq_program_say(program, AQ_LEVEL_ERROR, "%s", text);
    return aq_status_exit_code(err->status);
}

/* ---- config and store ---- */

enum aq_status aq_program_config(struct aq_program *program, const struct aq_config **config,
                                 struct aq_error *err)
{
    const char *path = program->options.config;
    if (path == NULL)
        path = getenv("AQSTORE_CONFIG");
    if (path == NULL && access("aqstore.yaml", F_OK) == 0)
        path = "aqstore.yaml";
    if (path == NULL)
        return aq_error_set(err, AQ_INVALID,
                            "no config: give --config FILE, or run in the folder of aqstore.yaml");
    if (program->config == NULL)
        AQ_TRY(aq_config_load(path, &program->config, err));
    *config = program->config;
    return AQ_OK;
}

enum aq_status aq_program_home(struct aq_program *program, const char **home, struct aq_error *err)
{
    if (program->options.store != NULL) {
        *home = program->options.store;
        if (strncmp(*home, "s3://", 5) == 0)
            return aq_error_set_at(err, AQ_UNSUPPORTED, *home, -1,
                                   "a store in a bucket: not yet in this version");
        return AQ_OK;
    }
    const struct aq_config *config = NULL;
    enum aq_status status = aq_program_config(program, &config, err);
    if (status < 0) {
        if (program->options.config == NULL && getenv("AQSTORE_CONFIG") == NULL &&
            access("aqstore.yaml", F_OK) != 0)
            return aq_error_set(err, AQ_INVALID, "no store: give --store DIR or --config FILE");
        return status;
    }
    *home = config->store;
    return AQ_OK;
}

enum aq_status aq_program_store(struct aq_program *program, enum aq_access access_wanted,
                                struct aq_store **store, struct aq_error *err)
{
    struct aq_store_options options = {.create = access_wanted == AQ_ACCESS_CREATE,
                                       .read_only = access_wanted == AQ_ACCESS_READ};
    AQ_TRY(aq_program_home(program, &options.home, err));
    const char *io = program->options.io;
    options.io = strcmp(io, "uring") == 0   ? AQ_IO_URING
                 : strcmp(io, "posix") == 0 ? AQ_IO_POSIX
                                            : AQ_IO_AUTO;
    if (program->store == NULL) {
        AQ_TRY(aq_store_open(&options, &program->store, err));
        const char *notice = aq_store_io_notice(program->store);
        if (access_wanted == AQ_ACCESS_CREATE && notice[0] != '\0')
            aq_program_say(program, AQ_LEVEL_NOTICE, "%s", notice);
    }
    *store = program->store;
    return AQ_OK;
}
