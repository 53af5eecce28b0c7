/* Ages are told by the wall clock, which people and NTP set. Two witnesses say whether it was: the time of the
 * newest edit, and a note that each run of gc leaves in "locks/clock": what the wall clock and the boot clock said then, and in which
 * boot that was.
 *
 * Happy path: in one boot, both clocks have gone equally far since the note; in another, the wall clock has gone on, by
 * no more than a month. It does not stand before the newest edit. The note is written anew.
 * Failures: the clock was set -> what came before can be of any age. So the note says until when to wait: when `history` (and
 * an hour at least) has gone by steadily, everything from before is older than that, and gc goes on by itself.
 * A note that is lost or damaged is as none. */
#include "compaction/gc/gc_clock.h"

#include "engine/base/clock.h"
#include "engine/object/object.h"
#include "engine/store/history/retained.h"
#include "format/base/checksum.h"
#include "format/table/types.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOTE_NAME "locks/clock"
#define NOTE_BYTES_MAX 256
#define BOOT_ID_BYTES 37
#define FAR_US (30 * AQ_US_PER_DAY)
#define TIME_BYTES 32

struct note {
    int64_t wall_us;
    int64_t boot_us;
    int64_t wait_until_us; /* by the wall clock; 0: there is nothing to wait for */
    char boot_id[BOOT_ID_BYTES];
};

static void read_boot_id(char out[BOOT_ID_BYTES])
{
    memset(out, 0, BOOT_ID_BYTES);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, out, BOOT_ID_BYTES - 1);
    if (fd >= 0)
        close(fd);
    if (size != BOOT_ID_BYTES - 1 || strspn(out, "0123456789abcdef-") != BOOT_ID_BYTES - 1)
        snprintf(out, BOOT_ID_BYTES, "unknown");
}

static int format_note(const struct note *note, char out[NOTE_BYTES_MAX])
{
    int length =
        snprintf(out, NOTE_BYTES_MAX, "aqstore clock %" PRId64 " %" PRId64 " %" PRId64 " %s",
                 note->wall_us, note->boot_us, note->wait_until_us, note->boot_id);
    return length + snprintf(out + length, NOTE_BYTES_MAX - (size_t)length, " %016" PRIx64 "\n",
                             aq_checksum(out, (size_t)length));
}

static bool parse_note(struct aq_slice bytes, struct note *note)
{
    char text[NOTE_BYTES_MAX] = {0};
    char again[NOTE_BYTES_MAX];
    if (bytes.size >= sizeof text)
        return false;
    memcpy(text, bytes.data, bytes.size);
    *note = (struct note){0};
    if (sscanf(text, "aqstore clock %" SCNd64 " %" SCNd64 " %" SCNd64 " %36s", &note->wall_us,
               &note->boot_us, &note->wait_until_us, note->boot_id) != 4)
        return false;
    /* Whatever was read: it is right when it writes the same line. */
    format_note(note, again);
    return aq_slice_equal(bytes, aq_slice_of(again));
}

static enum aq_status read_note(struct aq_object_store *home, struct note *note, bool *known,
                                struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    enum aq_status status = aq_object_get(home, NOTE_NAME, NOTE_BYTES_MAX, &bytes, err);
    *known = status == AQ_OK && parse_note(aq_bytes_view(&bytes), note);
    aq_bytes_deinit(&bytes);
    return status == AQ_NOT_FOUND || status == AQ_LIMIT ? AQ_OK : status;
}

static const char *format_time(int64_t time_us, char out[TIME_BYTES])
{
    time_t seconds = (time_t)(time_us / AQ_US_PER_SECOND);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL || strftime(out, TIME_BYTES, "%FT%TZ", &parts) == 0)
        snprintf(out, TIME_BYTES, "%" PRId64 " us", time_us);
    return out;
}

/* Whether the wall clock went where the boot clock, or else reason, says. */
static bool was_set(const struct note *before, const struct note *now)
{
    int64_t wall_us = now->wall_us - before->wall_us;
    if (strcmp(before->boot_id, now->boot_id) != 0)
        return wall_us < -AQ_RETAINED_SKEW_US || wall_us > FAR_US;
    int64_t drift_us = wall_us - (now->boot_us - before->boot_us);
    return drift_us < -AQ_RETAINED_SKEW_US || drift_us > AQ_RETAINED_SKEW_US;
}

static enum aq_status refuse_wait(const struct note *note, struct aq_error *err)
{
    char from[TIME_BYTES];
    char until[TIME_BYTES];
    return aq_error_set(err, AQ_TEMPORARY,
                        "the clock was set, so how old files are cannot be told; it says %s. "
                        "Nothing was removed: gc "
                        "goes on by itself when the clock has gone on steadily until %s, or at "
                        "once with `aqstore gc "
                        "--trust-clock`, if the clock is right",
                        format_time(note->wall_us, from), format_time(note->wait_until_us, until));
}

static enum aq_status refuse_edit(const struct note *now, int64_t edit_us, struct aq_error *err)
{
    char clock[TIME_BYTES];
    char edit[TIME_BYTES];
    return aq_error_set(err, AQ_TEMPORARY,
                        "the clock says %s, but the newest edit of the catalog was made %s: one of "
                        "them is wrong, and "
                        "how old files are cannot be told. Nothing was removed: put the clock "
                        "right, or use `aqstore "
                        "gc --trust-clock` if it is",
                        format_time(now->wall_us, clock), format_time(edit_us, edit));
}

static enum aq_status judge(const struct aq_gc_options *options, int64_t edit_us,
                            const struct note *before, bool known, struct note *now,
                            struct aq_error *err)
{
    int64_t wait_us =
        options->history_us > AQ_RETAINED_EDIT_US ? options->history_us : AQ_RETAINED_EDIT_US;
    if (options->trust_clock)
        return AQ_OK;
    if (edit_us > now->wall_us + AQ_RETAINED_SKEW_US)
        return refuse_edit(now, edit_us, err);
    bool set = known ? was_set(before, now) : now->wall_us - edit_us > FAR_US;
    if (set)
        now->wait_until_us = now->wall_us + wait_us;
    else if (known && before->wait_until_us > now->wall_us)
        now->wait_until_us = before->wait_until_us;
    return now->wait_until_us == 0 ? AQ_OK : refuse_wait(now, err);
}

static enum aq_status check(struct aq_object_store *home, const struct aq_gc_options *options,
                            int64_t edit_us, struct aq_error *err)
{
    struct note before = {0};
    struct note now = {.wall_us = options->now_us, .boot_us = aq_clock_boot_us()};
    bool known = false;
    char text[NOTE_BYTES_MAX];
    read_boot_id(now.boot_id);
    AQ_TRY(read_note(home, &before, &known, err));
    enum aq_status status = judge(options, edit_us, &before, known, &now, err);
    if (options->dry_run || (status < 0 && now.wait_until_us == 0))
        return status;
    int length = format_note(&now, text);
    struct aq_error failure = {0};
    enum aq_status noted =
        aq_object_put(home, NOTE_NAME, aq_slice_make(text, (size_t)length), &failure);
    if (status == AQ_OK && noted < 0 && err != NULL)
        *err = failure;
    return status == AQ_OK ? noted : status;
}

enum aq_status aq_gc_check_clock(struct aq_store *store, const struct aq_gc_options *options,
                                 int64_t edit_us, struct aq_error *err)
{
    struct aq_object_store *home = NULL;
    AQ_TRY(aq_object_open_dir(aq_store_home(store), false, &home, err));
    enum aq_status status = check(home, options, edit_us, err);
    aq_object_close(home);
    return status;
}
