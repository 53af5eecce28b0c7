/* Which files go to the bucket, and which may leave the home: functions of the catalog and the clock. */
#include "compaction/tier/tier_job.h"

#include <string.h>

#include "compaction/compact_plan.h"

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

enum aq_status aq_tier_find_final(const struct aq_catalog *catalog,
                                  const struct aq_tier_options *options, struct aq_arena *arena,
                                  const bool **final, struct aq_error *err)
{
    struct aq_compact_options compaction = {.target_size_bytes = options->target_size_bytes,
                                            .now_us = options->now_us,
                                            .late_us = options->late_us};
    struct aq_compact_plan plan = {0};
    /* As if no new rows were waiting: those that come late do not hold back what is old. */
    size_t survey_bytes = catalog->dataset_count * sizeof(struct aq_spread);
    struct aq_survey nothing_new = {.dataset_count = catalog->dataset_count,
                                    .spreads = aq_arena_alloc(arena, survey_bytes)};
    bool *flags = aq_arena_alloc(arena, catalog->file_count);
    if (flags == NULL || nothing_new.spreads == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to list files");
    memset(nothing_new.spreads, 0, survey_bytes);
    if (options->target_size_bytes != 0)
        AQ_TRY(aq_compact_plan_make(catalog, &compaction, &nothing_new, arena, &plan, err));
    for (size_t i = 0; i < catalog->file_count; i++)
        flags[i] = options->target_size_bytes == 0 || plan.verdicts[i].final;
    *final = flags;
    return AQ_OK;
}

bool aq_tier_is_due(const struct aq_catalog_file *file, bool final,
                    const struct aq_tier_options *options, const char **why)
{
    if (file->state == AQ_FILE_OPEN) {
        *why = "stays: still being written";
        return false;
    }
    if (file->object.size > 0) {
        *why = file->evicted ? "in the bucket only" : "stays: copied already";
        return false;
    }
    bool old = file->kind == AQ_FILE_ARCHIVE && is_older(file, options->now_us, options->after_us);
    if (old && final) {
        *why = "upload: all rows are older than tier.after";
        return true;
    }
    *why = options->protect ? "upload: protect is on"
           : old            ? "stays: compaction will roll it up first"
                            : "stays: younger than tier.after";
    return options->protect;
}

bool aq_tier_may_leave(const struct aq_catalog_file *file, bool final,
                       const struct aq_tier_options *options)
{
    int64_t age_us =
        options->keep_home_us > options->after_us ? options->keep_home_us : options->after_us;
    return file->kind == AQ_FILE_ARCHIVE && !file->evicted && final &&
           is_older(file, options->now_us, age_us);
}
