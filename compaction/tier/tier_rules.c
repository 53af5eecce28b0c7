/* Which files go to the bucket, and which may leave the home: functions of the catalog and the clock. */
#include "compaction/tier/tier_job.h"

bool aq_tier_newest_row(const struct aq_catalog_file *file, int64_t *newest_us)
{
    *newest_us = INT64_MIN;
    for (size_t i = 0; i < file->entry_count; i++) {
        const struct aq_file_entry *entry = &file->entries[i];
        if (entry->row_count > 0 && !entry->has_time)
            return false;
        if (entry->row_count > 0 && entry->max_time_us > *newest_us)
            *newest_us = entry->max_time_us;
    }
    return true;
}

/* Whether all rows are older than so many microseconds. */
static bool is_older(const struct aq_catalog_file *file, int64_t now_us, int64_t age_us)
{
    int64_t newest_us;
    int64_t limit_us;
    if (!aq_tier_newest_row(file, &newest_us) || __builtin_sub_overflow(now_us, age_us, &limit_us))
        return false;
    return newest_us < limit_us;
}

bool aq_tier_is_due(const struct aq_catalog_file *file, const struct aq_tier_options *options,
                    const char **why)
{
    if (file->state == AQ_FILE_OPEN) {
        *why = "stays: still being written";
        return false;
    }
    if (file->object.size > 0) {
        *why = file->evicted ? "in the bucket only" : "stays: copied already";
        return false;
    }
    if (file->kind == AQ_FILE_ARCHIVE && is_older(file, options->now_us, options->after_us)) {
        *why = "upload: all rows are older than tier.after";
        return true;
    }
    *why = options->protect ? "upload: protect is on" : "stays: younger than tier.after";
    return options->protect;
}

bool aq_tier_may_leave(const struct aq_catalog_file *file, const struct aq_tier_options *options)
{
    int64_t age_us =
        options->keep_home_us > options->after_us ? options->keep_home_us : options->after_us;
    return file->kind == AQ_FILE_ARCHIVE && !file->evicted &&
           is_older(file, options->now_us, age_us);
}
