/* The progress line: never longer than the terminal; messages wipe it. */
#include "tools/output/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tools/output/text/human.h"
#include "tools/output/text/utf8.h"
#include "tools/program.h"

#define BAR_COLUMNS 20
#define INTERVAL_SECONDS 0.1

void aq_progress_begin(struct aq_progress *progress, bool quiet)
{
    *progress = (struct aq_progress){.shown = !quiet && isatty(STDERR_FILENO) == 1,
                                     .begin = aq_clock_seconds()};
}

static void format_bar(double share, char *out, size_t out_size)
{
    char bar[BAR_COLUMNS + 1];
    int full = (int)(share * BAR_COLUMNS);
    for (int i = 0; i < BAR_COLUMNS; i++)
        bar[i] = i < full ? '=' : i == full ? '>' : ' ';
    bar[BAR_COLUMNS] = '\0';
    snprintf(out, out_size, "  [%s] %3.0f%%", bar, share * 100);
}

unsigned aq_terminal_columns(void)
{
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* A name's last part, made harmless, cut to what a line may give it. */
static void format_name(const char *what, char *out, size_t out_size)
{
    struct aq_bytes shown = {0};
    const char *slash = strrchr(what, '/');
    aq_utf8_display(aq_slice_of(slash != NULL ? slash + 1 : what), &shown);
    snprintf(out, out_size, "%.*s", (int)(shown.size < 30 ? shown.size : 30),
             shown.data != NULL ? (const char *)shown.data : "");
    aq_bytes_deinit(&shown);
}

static void format_left(double seconds, char *out, size_t out_size)
{
    char text[AQ_HUMAN_BYTES_MAX];
    if (seconds < 10) /* tenths of it would only flicker */
        snprintf(out, out_size, "  %.0f s left", seconds < 1 ? 1 : seconds);
    else
        snprintf(out, out_size, "  %s left", aq_human_seconds(seconds, text));
}

static bool is_due(const struct aq_progress *progress, double now)
{
    return progress->shown && now - progress->drawn_at >= INTERVAL_SECONDS;
}

static void draw(struct aq_progress *progress, double now, const char *what, uint64_t done,
                 uint64_t total, const char *rate)
{
    double elapsed = now - progress->begin;
    double share = total > 0 ? (double)(done < total ? done : total) / (double)total : 0;
    char name[128], bar[64] = "", left[64] = "", text[320];
    format_name(what, name, sizeof(name));
    if (total > 0)
        format_bar(share, bar, sizeof(bar));
    if (share > 0.02 && elapsed > 1)
        format_left(elapsed * (1 - share) / share, left, sizeof(left));
    int size = snprintf(text, sizeof(text), "%s%s  %s/s%s", name, bar, rate, left);
    unsigned columns = aq_terminal_columns();
    if (size >= (int)columns)
        text[columns - 1] = '\0';
    aq_program_status_line(text);
    progress->drawn_at = now;
}

void aq_progress_update(struct aq_progress *progress, const char *what, uint64_t done,
                        uint64_t total, uint64_t row_count)
{
    double now = aq_clock_seconds();
    double elapsed = now - progress->begin;
    char number[AQ_HUMAN_BYTES_MAX], rate[AQ_HUMAN_BYTES_MAX + 8];
    if (!is_due(progress, now))
        return;
    aq_human_rate(elapsed > 0 ? (double)row_count / elapsed : 0, number);
    snprintf(rate, sizeof(rate), "%s rows", number);
    draw(progress, now, what, done, total, rate);
}

void aq_progress_update_bytes(struct aq_progress *progress, const char *what, uint64_t done,
                              uint64_t total)
{
    double now = aq_clock_seconds();
    double elapsed = now - progress->begin;
    char rate[AQ_HUMAN_BYTES_MAX];
    if (!is_due(progress, now))
        return;
    aq_human_size(elapsed > 0 ? (uint64_t)((double)done / elapsed) : 0, rate);
    draw(progress, now, what, done, total, rate);
}

void aq_progress_clear(const struct aq_progress *progress)
{
    if (progress->shown)
        aq_program_status_line(NULL);
}
