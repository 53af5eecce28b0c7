/* A store that has files without bytes: plans are made of its catalog and carried out on row counts. What any plan must
 * keep to is asserted on the way. For the tests and the fuzz target of the planner; not thread-safe. */
#ifndef AQ_TESTS_UNIT_PLAN_SIM_H
#define AQ_TESTS_UNIT_PLAN_SIM_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "compaction/compact_plan.h"

struct sim_file {
    uint64_t file_id;
    uint64_t edit;
    bool segment;
    uint64_t bytes;
    bool evicted;
    bool full;      /* its root is */
    uint64_t *rows; /* by tick */
};

struct sim {
    int64_t origin_us; /* of tick 0 */
    int64_t tick_us;
    size_t tick_count;
    struct aq_compact_options options;
    double bytes_per_row; /* of a large archive */
    uint64_t run_bytes;   /* what each of `keys` costs once more in every archive */
    uint64_t keys;
    uint64_t rows_max; /* of an archive, whose root is full then; 0: its size alone counts */
    size_t file_count;
    struct sim_file files[4096];
    uint64_t next_id;
    uint64_t edit;
    uint64_t came_bytes; /* kept by plan_random.h */
    uint64_t written_bytes;
    uint64_t written_files;
    uint64_t read_bytes;
};

static struct aq_column sim_columns[] = {
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 1, .required = true}};
static struct aq_schema sim_schema = {
    .dataset = "air",
    .dataset_id = 1,
    .version = 1,
    .column_count = 1,
    .columns = sim_columns,
    .key_column = AQ_COLUMN_NONE,
    .time_column = 0,
    .version_column = AQ_COLUMN_NONE,
};

static inline uint64_t sim_total(const struct sim *sim, const uint64_t *rows)
{
    uint64_t total = 0;
    for (size_t i = 0; i < sim->tick_count; i++)
        total += rows[i];
    return total;
}

static inline int64_t sim_time(const struct sim *sim, size_t tick)
{
    return sim->origin_us + (int64_t)tick * sim->tick_us;
}

/* When the rows of a tick happened, all of them. */
static inline int64_t sim_instant(const struct sim *sim, size_t tick)
{
    return sim_time(sim, tick) + sim->tick_us / 2;
}

/* Size of an archive: rows, and what each series begins anew with. */
static inline uint64_t sim_bytes(const struct sim *sim, uint64_t rows)
{
    uint64_t runs = rows < sim->keys ? rows : sim->keys;
    return 2048 + (uint64_t)((double)rows * sim->bytes_per_row) + runs * sim->run_bytes;
}

/* A new file; its rows are the caller's to fill in before the next plan. */
static inline struct sim_file *sim_add(struct sim *sim, bool segment)
{
    assert(sim->file_count < sizeof sim->files / sizeof *sim->files);
    struct sim_file *file = &sim->files[sim->file_count++];
    *file = (struct sim_file){.file_id = ++sim->next_id, .edit = sim->edit, .segment = segment};
    file->rows = calloc(sim->tick_count, sizeof *file->rows);
    assert(file->rows != NULL);
    return file;
}

static inline struct aq_file_entry sim_entry(const struct sim *sim, const struct sim_file *file)
{
    struct aq_file_entry entry = {.dataset_id = 1, .schema_version = 1};
    for (size_t i = 0; i < sim->tick_count; i++) {
        if (file->rows[i] == 0)
            continue;
        if (!entry.has_time)
            entry.min_time_us = sim_instant(sim, i);
        entry.has_time = true;
        entry.max_time_us = sim_instant(sim, i);
        entry.row_count += file->rows[i];
    }
    return entry;
}

/* The plan for the store as it is; `catalog_files` and `entries` have room for all files. */
static inline void sim_plan(const struct sim *sim, struct aq_catalog_file *catalog_files,
                            struct aq_file_entry *entries, struct aq_arena *arena,
                            struct aq_compact_plan *plan)
{
    struct aq_catalog_dataset dataset = {1, &sim_schema, INT64_MAX};
    struct aq_catalog *catalog = aq_arena_alloc(arena, sizeof *catalog);
    struct aq_catalog_dataset *datasets = aq_arena_copy(arena, &dataset, sizeof dataset);
    assert(catalog != NULL && datasets != NULL);
    *catalog = (struct aq_catalog){.dataset_count = 1,
                                   .datasets = datasets,
                                   .file_count = sim->file_count,
                                   .files = catalog_files};
    struct aq_spread spread = {0};
    struct aq_survey survey = {.dataset_count = 1, .spreads = &spread};
    for (size_t i = 0; i < sim->file_count; i++) {
        const struct sim_file *file = &sim->files[i];
        entries[i] = sim_entry(sim, file);
        catalog_files[i] = (struct aq_catalog_file){
            .file_id = file->file_id,
            .kind = file->segment ? AQ_FILE_SEGMENT : AQ_FILE_ARCHIVE,
            .state = AQ_FILE_CLOSED,
            .edit = file->edit,
            .size_bytes = file->bytes,
            .evicted = file->evicted,
            .root = {.size = file->full ? AQ_ARCHIVE_ROOT_BYTES_MAX : 100},
            .entry_count = 1,
            .entries = &entries[i],
        };
        for (size_t tick = 0; file->segment && tick < sim->tick_count; tick++) {
            enum aq_status status =
                aq_spread_add(&spread, sim_instant(sim, tick), file->rows[tick]);
            assert(status == AQ_OK);
        }
    }
    enum aq_status status =
        aq_compact_plan_make(catalog, &sim->options, &survey, arena, plan, NULL);
    assert(status == AQ_OK);
    aq_spread_deinit(&spread);
}

static inline bool sim_lists(const struct aq_compact_group *group, uint64_t file_id)
{
    size_t count = 0;
    for (size_t i = 0; i < group->archive_count; i++)
        count += group->archives[i]->file_id == file_id;
    assert(count <= 1);
    return count == 1;
}

static inline const struct aq_compact_group *sim_group_at(const struct aq_compact_dataset *dataset,
                                                          int64_t time_us)
{
    const struct aq_compact_group *found = NULL;
    for (size_t i = 0; i < dataset->group_count; i++) {
        const struct aq_compact_group *group = &dataset->groups[i];
        if (time_us >= group->from_us &&
            (time_us < group->until_us || group->until_us == INT64_MAX)) {
            assert(found == NULL);
            found = group;
        }
    }
    assert(found != NULL);
    return found;
}

/* Groups cover time, every segment is read, and each row of an input has its group. */
static inline void sim_check(const struct sim *sim, const struct aq_compact_plan *plan)
{
    assert(plan->dataset_count <= 1 && plan->verdict_count == sim->file_count);
    size_t inputs = 0;
    for (size_t i = 0; i < sim->file_count; i++) {
        const struct sim_file *file = &sim->files[i];
        const struct aq_compact_verdict *verdict = &plan->verdicts[i];
        assert(verdict->reason != NULL);
        assert(!file->segment || verdict->input);
        assert(!(file->evicted && verdict->input));
        assert(!(verdict->final && verdict->input));
        assert(aq_compact_plan_reads(plan, file->file_id) == verdict->input);
        inputs += verdict->input;
        for (size_t tick = 0; tick < sim->tick_count && verdict->input; tick++) {
            if (file->rows[tick] == 0)
                continue;
            const struct aq_compact_group *group =
                sim_group_at(&plan->datasets[0], sim_instant(sim, tick));
            assert(file->segment || sim_lists(group, file->file_id));
        }
    }
    assert(inputs == plan->input_count);
    uint64_t routed = 0;
    for (size_t i = 0; i < plan->dataset_count; i++) {
        const struct aq_compact_dataset *dataset = &plan->datasets[i];
        assert(dataset->groups[0].from_us == INT64_MIN);
        assert(dataset->groups[dataset->group_count - 1].until_us == INT64_MAX);
        for (size_t g = 0; g < dataset->group_count; g++) {
            const struct aq_compact_group *group = &dataset->groups[g];
            assert(group->from_us < group->until_us && group->reason != NULL);
            assert(g == 0 || group->from_us == dataset->groups[g - 1].until_us);
            assert(strncmp(group->reason, "rolls up", 8) != 0 ||
                   (double)group->until_us - (double)group->from_us <= 3653.0 * AQ_US_PER_DAY);
            routed += group->row_count;
        }
    }
    for (size_t i = 0; i < sim->file_count; i++)
        routed -= sim->files[i].segment ? sim_total(sim, sim->files[i].rows) : 0;
    assert(routed == 0);
}

/* Cut by key: each file has rows of every tick, as far as they go. The last one has what is left. */
static inline void sim_write(struct sim *sim, const uint64_t *rows, uint64_t file_bytes)
{
    uint64_t total = sim_total(sim, rows);
    uint64_t bytes = sim_bytes(sim, total);
    uint64_t full = (uint64_t)((double)total * ((double)file_bytes / (double)bytes)) + 1;
    if (sim->rows_max != 0 && full > sim->rows_max)
        full = sim->rows_max;
    uint64_t skipped = 0;
    while (skipped < total) {
        struct sim_file *file = sim_add(sim, false);
        uint64_t wanted = total - skipped < full ? total - skipped : full;
        uint64_t passed = 0;
        for (size_t tick = 0; tick < sim->tick_count; tick++) {
            uint64_t before = (uint64_t)((double)skipped / (double)total * (double)rows[tick]);
            uint64_t after =
                (uint64_t)((double)(skipped + wanted) / (double)total * (double)rows[tick]);
            file->rows[tick] = (skipped + wanted == total ? rows[tick] : after) - before;
            passed += file->rows[tick];
        }
        file->bytes = sim_bytes(sim, passed);
        file->full = sim->rows_max != 0 && wanted == sim->rows_max;
        sim->written_bytes += file->bytes;
        sim->written_files++;
        skipped += wanted;
    }
}

/* Carry a plan out. Returns whether it changed anything. */
static inline bool sim_apply(struct sim *sim, const struct aq_compact_plan *plan)
{
    size_t old_count = sim->file_count;
    uint64_t before = 0;
    uint64_t after = 0;
    sim->edit++;
    for (size_t g = 0; plan->dataset_count > 0 && g < plan->datasets[0].group_count; g++) {
        const struct aq_compact_group *group = &plan->datasets[0].groups[g];
        uint64_t *rows = calloc(sim->tick_count, sizeof *rows);
        assert(rows != NULL);
        for (size_t i = 0; i < old_count; i++) {
            for (size_t tick = 0; plan->verdicts[i].input && tick < sim->tick_count; tick++) {
                int64_t time_us = sim_instant(sim, tick);
                if (time_us >= group->from_us &&
                    (time_us < group->until_us || group->until_us == INT64_MAX))
                    rows[tick] += sim->files[i].rows[tick];
            }
        }
        after += sim_total(sim, rows);
        sim_write(sim, rows, group->file_bytes);
        free(rows);
    }
    size_t kept = 0;
    for (size_t i = 0; i < sim->file_count; i++) {
        bool input = i < old_count && plan->verdicts[i].input;
        if (!input) {
            sim->files[kept++] = sim->files[i];
            continue;
        }
        before += sim_total(sim, sim->files[i].rows);
        sim->read_bytes += sim->files[i].bytes;
        free(sim->files[i].rows);
    }
    sim->file_count = kept;
    assert(before == after);
    return plan->input_count > 0;
}

/* Plan, check, carry out. */
static inline bool sim_compact(struct sim *sim)
{
    struct aq_catalog_file *files = calloc(sim->file_count + 1, sizeof *files);
    struct aq_file_entry *entries = calloc(sim->file_count + 1, sizeof *entries);
    struct aq_arena arena = {0};
    struct aq_compact_plan plan;
    assert(files != NULL && entries != NULL);
    sim_plan(sim, files, entries, &arena, &plan);
    sim_check(sim, &plan);
    bool changed = sim_apply(sim, &plan);
    aq_arena_deinit(&arena);
    free(files);
    free(entries);
    return changed;
}

static inline uint64_t sim_final_bytes(const struct sim *sim)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < sim->file_count; i++)
        bytes += sim->files[i].bytes;
    return bytes;
}

static inline void sim_end(struct sim *sim)
{
    for (size_t i = 0; i < sim->file_count; i++)
        free(sim->files[i].rows);
    sim->file_count = 0;
}

#endif
