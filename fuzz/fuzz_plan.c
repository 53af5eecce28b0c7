/* Fuzz target: planning compactions. Half of the inputs are stores that grow and are compacted step by step
 * (tests/unit/compaction/plan_random.h); the others are catalogs as damage or a bug might leave them, any time and any size in them,
 * of which one plan is made: it must keep to its rules, and read nothing that is not there. */
#include <assert.h>
#include <string.h>

#include "tests/unit/compaction/plan_random.h"

#define FILES_MAX 24
#define DATASETS 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t take_u64(struct random_source *source)
{
    uint64_t value = 0;
    unsigned bits = (unsigned)random_byte(source);
    for (unsigned i = 0; i < 8; i++)
        value = value << 8 | random_byte(source);
    return value >> bits % 64;
}

static void take_entry(struct random_source *source, struct aq_file_entry *entry)
{
    int64_t a = (int64_t)take_u64(source) * (random_byte(source) % 2 == 0 ? 1 : -1);
    int64_t b = (int64_t)take_u64(source);
    *entry = (struct aq_file_entry){.dataset_id = 1 + (uint32_t)random_byte(source) % DATASETS,
                                    .schema_version = 1,
                                    .row_count = take_u64(source),
                                    .has_time = random_byte(source) % 8 != 0,
                                    .min_time_us = a < b ? a : b,
                                    .max_time_us = a < b ? b : a};
}

static void take_file(struct random_source *source, struct aq_catalog_file *file,
                      struct aq_file_entry entries[2])
{
    uint64_t kind = random_byte(source);
    *file = (struct aq_catalog_file){.kind = kind % 2 == 0 ? AQ_FILE_SEGMENT : AQ_FILE_ARCHIVE,
                                     .state = kind % 8 != 6 ? AQ_FILE_CLOSED : AQ_FILE_OPEN,
                                     .edit = random_byte(source),
                                     .size_bytes = take_u64(source),
                                     .file_bytes = take_u64(source),
                                     .evicted = kind % 16 == 1,
                                     .entries = entries};
    if (file->kind == AQ_FILE_ARCHIVE)
        file->state = AQ_FILE_CLOSED;
    file->entry_count = file->kind == AQ_FILE_ARCHIVE   ? 1
                        : file->state == AQ_FILE_CLOSED ? 1 + random_byte(source) % 2
                                                        : 0;
    for (size_t i = 0; i < file->entry_count; i++)
        take_entry(source, &entries[i]);
}

static void check_groups(const struct aq_compact_plan *plan)
{
    for (size_t i = 0; i < plan->dataset_count; i++) {
        const struct aq_compact_dataset *dataset = &plan->datasets[i];
        assert(dataset->group_count > 0 && dataset->groups[0].from_us == INT64_MIN);
        assert(dataset->groups[dataset->group_count - 1].until_us == INT64_MAX);
        for (size_t g = 1; g < dataset->group_count; g++)
            assert(dataset->groups[g].from_us == dataset->groups[g - 1].until_us);
    }
    for (size_t i = 0; i < plan->verdict_count; i++) {
        const struct aq_compact_verdict *verdict = &plan->verdicts[i];
        bool segment = verdict->file->kind == AQ_FILE_SEGMENT;
        assert(verdict->reason != NULL && !(verdict->input && verdict->final));
        assert(!segment || verdict->input == (verdict->file->state == AQ_FILE_CLOSED));
        assert(aq_compact_plan_reads(plan, verdict->file->file_id) == verdict->input);
    }
}

static void plan_hostile(struct random_source *source)
{
    static struct aq_catalog_file files[FILES_MAX];
    static struct aq_file_entry entries[FILES_MAX][2];
    struct aq_schema schemas[DATASETS] = {sim_schema, sim_schema};
    struct aq_catalog_dataset datasets[DATASETS];
    struct aq_catalog catalog = {.dataset_count = DATASETS, .datasets = datasets, .files = files};
    struct aq_compact_options options = {.target_size_bytes = 1 + take_u64(source),
                                         .now_us = (int64_t)take_u64(source),
                                         .late_us = (int64_t)(take_u64(source) >> 1),
                                         .before_us = (int64_t)take_u64(source)};
    for (size_t i = 0; i < DATASETS; i++) {
        schemas[i].dataset_id = (uint32_t)i + 1;
        datasets[i] = (struct aq_catalog_dataset){1, &schemas[i], INT64_MAX};
    }
    schemas[1].time_column = random_byte(source) % 2 == 0 ? AQ_COLUMN_NONE : 0;
    while (source->size > 0 && catalog.file_count < FILES_MAX) {
        take_file(source, &files[catalog.file_count], entries[catalog.file_count]);
        files[catalog.file_count].file_id = catalog.file_count + 1;
        catalog.file_count++;
    }
    struct aq_arena arena = {0};
    struct aq_compact_plan plan;
    enum aq_status status = aq_compact_plan_make(&catalog, &options, NULL, &arena, &plan, NULL);
    assert(status == AQ_OK);
    check_groups(&plan);
    aq_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct random_source source = {data + 1, size - 1};
    if (data[0] % 2 == 0)
        random_store(source.data, source.size);
    else
        plan_hostile(&source);
    return 0;
}
