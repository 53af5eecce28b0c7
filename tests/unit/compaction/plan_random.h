/* Stores that bytes make up: files come, nights pass, archives leave; a plan is made and carried out after each step, and at
 * the end plans must run out. For the fuzz target of the planner, and for its property test with random bytes. */
#ifndef AQ_TESTS_UNIT_PLAN_RANDOM_H
#define AQ_TESTS_UNIT_PLAN_RANDOM_H

#include "tests/unit/compaction/plan_sim.h"

#define RANDOM_TICKS 96
#define RANDOM_STEPS_MAX 40
/* Plans in a row, with nothing new, until there is nothing to do. */
#define RANDOM_PLANS_MAX 4
/* Bytes written for each byte that came, at most: nothing is rewritten again and again. */
#define RANDOM_COST_MAX 12

/* The bytes, read one after the other; zeros at the end. */
struct random_source {
    const uint8_t *data;
    size_t size;
};

static inline uint64_t random_byte(struct random_source *source)
{
    if (source->size == 0)
        return 0;
    source->size--;
    return *source->data++;
}

static inline uint64_t random_between(struct random_source *source, uint64_t low, uint64_t high)
{
    uint64_t value = random_byte(source) << 8;
    value |= random_byte(source);
    return low + value % (high - low + 1);
}

/* Rows in a stretch of ticks, or in scattered ones. */
static inline void random_rows(struct random_source *source, const struct sim *sim, uint64_t *rows)
{
    uint64_t size = UINT64_C(1) << random_between(source, 0, 24);
    size_t first = random_between(source, 0, sim->tick_count - 1);
    size_t count = random_between(source, 1, sim->tick_count - first);
    size_t step = random_between(source, 1, 1 + count / 2);
    for (size_t tick = first; tick < first + count; tick += step)
        rows[tick] = 1 + size / count;
}

static inline void random_file(struct random_source *source, struct sim *sim, bool segment)
{
    struct sim_file *file = sim_add(sim, segment);
    random_rows(source, sim, file->rows);
    uint64_t rows = sim_total(sim, file->rows);
    sim->came_bytes += sim_bytes(sim, rows);
    file->bytes = segment ? rows * 25 : sim_bytes(sim, rows);
    if (!segment && file->bytes > sim->options.target_size_bytes * 2)
        file->bytes = sim->options.target_size_bytes * 2;
    sim->edit++;
}

static inline void random_begin(struct random_source *source, struct sim *sim)
{
    static const int64_t ticks_us[] = {AQ_US_PER_HOUR,    AQ_US_PER_DAY / 4,  AQ_US_PER_DAY,
                                       7 * AQ_US_PER_DAY, 31 * AQ_US_PER_DAY, 400 * AQ_US_PER_DAY};
    *sim = (struct sim){.tick_count = RANDOM_TICKS, .bytes_per_row = 5, .edit = 1};
    sim->tick_us = ticks_us[random_between(source, 0, 5)];
    sim->origin_us = (int64_t)random_between(source, 0, 20000) * AQ_US_PER_DAY;
    sim->run_bytes = random_between(source, 0, 64);
    sim->keys = random_between(source, 1, 2000);
    sim->rows_max = UINT64_C(1) << random_between(source, 20, 30);
    sim->options.target_size_bytes = UINT64_C(1) << random_between(source, 20, 27);
    sim->options.late_us = (int64_t)random_between(source, 0, 48) * AQ_US_PER_HOUR;
    sim->options.now_us = sim_time(sim, RANDOM_TICKS / 4) + 12345;
}

static inline void random_step(struct random_source *source, struct sim *sim)
{
    switch (random_between(source, 0, 7)) {
    case 0:
    case 1:
    case 2:
    case 3:
        random_file(source, sim, true);
        break;
    case 4:
        random_file(source, sim, false);
        break;
    case 5:
        if (sim->file_count > 0) {
            struct sim_file *file = &sim->files[random_between(source, 0, sim->file_count - 1)];
            file->evicted = !file->segment;
        }
        break;
    default:
        sim->options.now_us += (int64_t)random_between(source, 1, 5) * sim->tick_us;
        break;
    }
}

/* Twice the same plan from the same store, and groups that expect what there is. */
static inline void random_compare(const struct sim *sim)
{
    struct aq_catalog_file *files = calloc(2 * sim->file_count + 1, sizeof *files);
    struct aq_file_entry *entries = calloc(2 * sim->file_count + 1, sizeof *entries);
    struct aq_arena arena = {0};
    struct aq_compact_plan a;
    struct aq_compact_plan b;
    assert(files != NULL && entries != NULL);
    sim_plan(sim, files, entries, &arena, &a);
    sim_plan(sim, files + sim->file_count, entries + sim->file_count, &arena, &b);
    assert(a.input_count == b.input_count && a.output_bytes == b.output_bytes);
    for (size_t i = 0; i < a.verdict_count; i++) {
        assert(a.verdicts[i].input == b.verdicts[i].input);
        assert(strcmp(a.verdicts[i].reason, b.verdicts[i].reason) == 0);
    }
    aq_arena_deinit(&arena);
    free(files);
    free(entries);
}

/* Returns how many plans had something to do. */
static inline unsigned random_store(const uint8_t *data, size_t size)
{
    static struct sim sim;
    struct random_source source = {data, size};
    unsigned plans = 0;
    random_begin(&source, &sim);
    for (unsigned step = 0; step < RANDOM_STEPS_MAX && source.size > 0; step++) {
        random_step(&source, &sim);
        if (random_byte(&source) % 2 == 0)
            plans += sim_compact(&sim);
    }
    random_compare(&sim);
    unsigned left = 0;
    while (sim_compact(&sim)) {
        left++;
        assert(left <= RANDOM_PLANS_MAX);
    }
    assert(sim.written_bytes <= RANDOM_COST_MAX * sim.came_bytes);
    sim_end(&sim);
    return plans + left;
}

#endif
