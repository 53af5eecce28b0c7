/* Messages on standard error: whole lines, from any thread, as text or as JSON objects.
 *
 * Happy path: a line is made in memory and written in one piece under a lock, so that lines of several
 * threads do not mix; a status line that stands on the terminal is wiped first. In a service a line that
 * was said within the last minute is held back and counted, and the count is told later.
 * Failures: what cannot be written is lost: there is nowhere left to complain. */
#include "tools/program.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "format/base/checksum.h"
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"
#include "tools/output/text/utf8.h"

#define REPEATS_REMEMBERED 32
#define REPEAT_SECONDS 60.0
#define MESSAGE_BYTES_MAX 2048
#define OCCASION_DIGITS 16

/* A line that was said a while ago, and how often since. */
struct repeat {
    uint64_t hash; /* 0: a free place */
    double said_at;
    uint64_t held_back;
    enum aq_level level;
    char source[64];
    char message[160]; /* its beginning, for the count */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool holds_repeats;
static struct repeat repeats[REPEATS_REMEMBERED];
static bool status_stands; /* the terminal shows a status line */

/* ---- writing; the lock is held ---- */

static void write_all(const void *data, size_t size)
{
    const char *next = data;
    while (size > 0) {
        ssize_t count = write(STDERR_FILENO, next, size);
        if (count < 0 && errno != EINTR)
            return;
        next += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
}

static void wipe_status(void)
{
    if (status_stands)
        write_all("\r\033[K", 4);
    status_stands = false;
}

/* Of a message: the error behind it, or NULL, and the source that it is about, or NULL. */
struct about {
    const char *source;
    const struct aq_error *err;
};

static void put_json(enum aq_level level, struct about about, const char *message,
                     struct aq_bytes *line)
{
    static const char *const names[] = {"error", "notice", "detail"};
    struct timespec now;
    struct tm civil;
    char seconds[32], text[48];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &civil);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &civil);
    snprintf(text, sizeof(text), "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
    aq_json_open(line, '{');
    aq_json_member_text(line, "time", text);
    aq_json_member_text(line, "level", names[level]);
    if (about.source != NULL)
        aq_json_member_text(line, "source", about.source);
    aq_json_member_text(line, "message", message);
    if (about.err != NULL) {
        aq_json_member_text(line, "status", aq_status_text(about.err->status));
        if (about.err->path[0] != '\0')
            aq_json_member_text(line, "path", about.err->path);
        if (about.err->path[0] != '\0' && about.err->offset >= 0)
            aq_json_member_int(line, "offset", about.err->offset);
    }
    aq_json_close(line, '}');
    aq_bytes_chars(line, "\n");
}

static void put_text(struct about about, const char *message, struct aq_bytes *line)
{
    aq_bytes_chars(line, "aqstore: ");
    if (about.source != NULL) {
        aq_bytes_chars(line, about.source);
        aq_bytes_chars(line, ": ");
    }
    aq_bytes_chars(line, message);
    aq_bytes_chars(line, "\n");
}

static void write_message(const struct aq_program *program, enum aq_level level, struct about about,
                          const char *message)
{
    struct aq_bytes line = {0};
    const char *form = program->options.log_format;
    if (form != NULL && strcmp(form, "json") == 0)
        put_json(level, about, message, &line);
    else
        put_text(about, message, &line);
    wipe_status();
    if (aq_bytes_status(&line) == AQ_OK)
        write_all(line.data, line.size);
    aq_bytes_deinit(&line);
}

/* ---- repeats; the lock is held ---- */

static void tell_repeats(const struct aq_program *program, struct repeat *repeat)
{
    char text[MESSAGE_BYTES_MAX];
    if (repeat->held_back > 0) {
        snprintf(text, sizeof(text), "said %llu more time%s: %s",
                 (unsigned long long)repeat->held_back, repeat->held_back == 1 ? "" : "s",
                 repeat->message);
        struct about about = {.source = repeat->source[0] != '\0' ? repeat->source : NULL};
        write_message(program, repeat->level, about, text);
    }
    repeat->held_back = 0;
}

/* Of what tells messages apart: long hexadecimal numbers, the names of things made for one occasion, do
 * not. */
static uint64_t hash_message(const char *source, const char *message)
{
    char text[MESSAGE_BYTES_MAX];
    size_t size = 0;
    for (const char *at = message; *at != '\0' && size < sizeof(text); at++) {
        size_t digits = strspn(at, "0123456789abcdef");
        if (digits >= OCCASION_DIGITS)
            at += digits - 1;
        text[size++] = digits >= OCCASION_DIGITS ? (char)0 : *at;
    }
    uint64_t hash = aq_checksum(text, size);
    if (source != NULL)
        hash ^= aq_checksum(source, strlen(source)) * 3;
    return hash == 0 ? 1 : hash;
}

/* The place of this message, or else the one that was said the longest ago. */
static struct repeat *find_repeat(uint64_t hash)
{
    struct repeat *oldest = &repeats[0];
    for (size_t i = 0; i < REPEATS_REMEMBERED; i++) {
        if (repeats[i].hash == hash)
            return &repeats[i];
        if (repeats[i].said_at < oldest->said_at)
            oldest = &repeats[i];
    }
    return oldest;
}

static bool is_held_back(const struct aq_program *program, enum aq_level level, const char *source,
                         const char *message)
{
    uint64_t hash = hash_message(source, message);
    struct repeat *repeat = find_repeat(hash);
    double now = aq_clock_seconds();
    if (repeat->hash == hash && now - repeat->said_at < REPEAT_SECONDS) {
        repeat->held_back++;
        return true;
    }
    tell_repeats(program, repeat);
    *repeat = (struct repeat){.hash = hash, .said_at = now, .level = level};
    snprintf(repeat->source, sizeof(repeat->source), "%s", source != NULL ? source : "");
    snprintf(repeat->message, sizeof(repeat->message), "%s", message);
    return false;
}

void aq_program_hold_repeats(const struct aq_program *program, bool holds)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < REPEATS_REMEMBERED; i++) {
        tell_repeats(program, &repeats[i]);
        repeats[i] = (struct repeat){0};
    }
    holds_repeats = holds;
    pthread_mutex_unlock(&lock);
}

/* ---- saying ---- */

static void say(const struct aq_program *program, enum aq_level level, struct about about,
                const char *message)
{
    if ((level >= AQ_LEVEL_NOTICE && program->options.quiet) ||
        (level == AQ_LEVEL_DETAIL && !program->options.verbose))
        return;
    pthread_mutex_lock(&lock);
    if (!holds_repeats || !is_held_back(program, level, about.source, message))
        write_message(program, level, about, message);
    pthread_mutex_unlock(&lock);
}

void aq_program_say(const struct aq_program *program, enum aq_level level, const char *format, ...)
{
    char message[MESSAGE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    say(program, level, (struct about){0}, message);
}

void aq_program_say_of(const struct aq_program *program, enum aq_level level, const char *source,
                       const char *message)
{
    say(program, level, (struct about){.source = source}, message);
}

void aq_program_say_error(const struct aq_program *program, const char *source,
                          const struct aq_error *err)
{
    char text[AQ_ERROR_PATH_MAX + AQ_ERROR_MESSAGE_MAX + 64];
    char message[sizeof(text) + 32];
    const char *command = aq_command_name(program->options.command);
    aq_error_format(err, text, sizeof(text));
    snprintf(message, sizeof(message), "%s%s%s", command, command[0] != '\0' ? ": " : "", text);
    say(program, AQ_LEVEL_ERROR, (struct about){.source = source, .err = err}, message);
}

int aq_program_fail(const struct aq_program *program, const struct aq_error *err)
{
    aq_program_say_error(program, NULL, err);
    return aq_status_exit_code(err->status);
}

void aq_program_status_line(const char *line)
{
    pthread_mutex_lock(&lock);
    wipe_status();
    if (line != NULL) {
        write_all(line, strlen(line));
        status_stands = true;
    }
    pthread_mutex_unlock(&lock);
}
