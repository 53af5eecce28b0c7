/* Running plans. */
#ifndef AQ_ENGINE_QUERY_EXEC_EXECUTE_H
#define AQ_ENGINE_QUERY_EXEC_EXECUTE_H

#include <stdatomic.h>

#include "engine/query/exec/aggregate/group_sink.h"
#include "engine/query/plan.h"
#include "format/encode/encode.h"

/** Shared by all levels of one running query. */
struct aq_runtime {
    struct aq_snapshot *snapshot;
    unsigned thread_count;
    uint64_t memory_limit;
    uint64_t fetch_bytes; /* of a window, at most */
    const atomic_bool *stop;
    const struct aq_query_lags *lags;
    _Atomic uint64_t memory_used;
    _Atomic uint64_t unit_count;
    _Atomic uint64_t unit_pruned_count;
    _Atomic uint64_t unit_stats_count;
    _Atomic uint64_t row_read_count;
    _Atomic uint64_t vector_skipped_count;
    /* Archives in the bucket and their tiles, of the datasets read. The main thread's. */
    uint64_t remote_archive_count;
    uint64_t remote_archive_fetched_count;
    uint64_t remote_tile_count;
    uint64_t remote_tile_fetched_count;
    bool has_unique;     /* a dataset with `unique` was read */
    uint64_t twin_count; /* rows of such that do not count because of a twin. The main thread's. */
};

struct aq_exec;

/** What may spare work in the units of a query, or be in vain: then it is tried only now and then. Zero-initialise. */
struct aq_trials {
    unsigned vain_count; /* units in a row */
};
#define AQ_TRIALS_VAIN_MAX 3
#define AQ_TRIALS_PERIOD 16
static inline bool aq_trials_next(struct aq_trials *trials)
{
    bool next =
        trials->vain_count < AQ_TRIALS_VAIN_MAX || trials->vain_count % AQ_TRIALS_PERIOD == 0;
    trials->vain_count += !next;
    return next;
}
static inline void aq_trials_end(struct aq_trials *trials, bool in_vain)
{
    trials->vain_count = in_vain ? trials->vain_count + 1 : 0;
}

/** One thread's part in running one level. */
struct aq_worker {
    struct aq_exec *exec;
    struct aq_error err;
    enum aq_status status;
    struct aq_eval eval;
    struct aq_vector *columns; /* views of the chunk, one an input */
    bool *
        plain; /* inputs whose different values are not worth asking tiles for; behind them those of frames */
    struct aq_trials bounds_trials[2]; /* asking for bounds of vectors, of tiles and of frames */
    struct aq_trials late_trials[2];   /* reading the columns of WHERE first */
    struct aq_batch unit_rows;         /* a dataset's unit as read */
    struct aq_decode_scratch scratch;
    struct aq_held held; /* of the unit being read */
    uint32_t selection[AQ_CHUNK_ROWS];
    uint64_t *
        passed; /* bitmap of the unit's rows for which WHERE is true, where that is known already; else NULL */
    size_t chunk_first;          /* the unit's row that is the chunk's first */
    struct aq_group_sink groups; /* a grouped level's partial result */
    struct aq_batch rows;        /* another level's output rows */
    size_t unit_first;           /* units of this round, when streaming */
    size_t unit_end;
    uint64_t memory; /* bytes accounted for */
};

/** A running level. */
struct aq_exec {
    struct aq_runtime *runtime;
    const struct aq_plan *plan;
    size_t child_count;
    struct aq_exec **children;
    size_t child_next; /* the one being read */
    const struct aq_unit *units;
    size_t unit_count;
    _Atomic size_t unit_next;
    size_t window_end; /* units before it may be read: what of them is in the bucket was fetched */
    uint64_t window_bytes; /* size of the next window */
    uint64_t twin_count;   /* see the runtime's */
    bool all_ties;
    bool source_done; /* streaming: nothing is left to read */
    _Atomic bool failed;
    size_t worker_count;
    struct aq_worker *workers;
    bool collected;         /* grouped or sorted: the result is there */
    struct aq_batch result; /* all output columns */
    uint32_t *order;        /* rows of result, in order */
    size_t order_count;
    size_t emit_next;
    uint64_t memory;    /* of the result, accounted for */
    size_t worker_next; /* streaming: whose rows come next */
    uint64_t passed;    /* rows given or skipped, for LIMIT and OFFSET */
    struct aq_batch emission;
};

enum aq_status aq_exec_create(struct aq_runtime *runtime, const struct aq_plan *plan,
                              struct aq_exec **exec, struct aq_error *err) AQ_RESULT;
void aq_exec_destroy(struct aq_exec *exec);
/** As aq_query_next. */
enum aq_status aq_exec_next(struct aq_exec *exec, const struct aq_batch **batch,
                            struct aq_error *err) AQ_RESULT;

/* worker.c */
enum aq_status aq_worker_init(struct aq_worker *worker, struct aq_exec *exec,
                              struct aq_error *err) AQ_RESULT;
void aq_worker_deinit(struct aq_worker *worker);
/** Send rows [0, row_count) of worker->columns through filter and sink. */
enum aq_status aq_worker_chunk(struct aq_worker *worker, size_t row_count, bool skip_where);
/** AQ_INTERRUPTED when asked to stop, AQ_LIMIT beyond the memory limit. */
enum aq_status aq_worker_check(struct aq_worker *worker) AQ_RESULT;
/** Account for `bytes` in place of `*accounted`; AQ_LIMIT if the query then holds too much. */
enum aq_status aq_runtime_hold(struct aq_runtime *runtime, uint64_t *accounted, uint64_t bytes,
                               struct aq_error *err) AQ_RESULT;
/** Run `work` for the first `worker_count` workers, each on a thread; the first failure, if any. */
enum aq_status aq_workers_run(struct aq_exec *exec, size_t worker_count,
                              enum aq_status (*work)(struct aq_worker *worker),
                              struct aq_error *err) AQ_RESULT;

/** The lowest `count` <= 64 bits. */
static inline uint64_t aq_low_bits(size_t count)
{
    return count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX;
}
/** How many of rows [first, first + row_count) are in worker->passed; unless all are, they, counted from `first`, are in
 * worker->selection then. */
size_t aq_worker_passed(struct aq_worker *worker, size_t first, size_t row_count);

/* scan.c: what the source holds, as chunks */
enum aq_status aq_scan_all(struct aq_worker *worker);
enum aq_status aq_scan_round(struct aq_worker *worker);
/** The column that an input of the plan's dataset is. */
uint32_t aq_scan_column_id(const struct aq_plan *plan, uint32_t input);
/** Whether the plan needs no row of a unit: pruned, or answered by statistics. */
enum aq_status aq_scan_needs_none(const struct aq_exec *exec, const struct aq_unit *unit,
                                  bool *none, struct aq_error *err) AQ_RESULT;
/** Read, filter and sink one unit. */
enum aq_status aq_scan_unit(struct aq_worker *worker, const struct aq_unit *unit);

/* prune.c */
enum aq_prune { AQ_PRUNE_NONE, AQ_PRUNE_SOME, AQ_PRUNE_ALL };
/** The units of the plan's dataset, with what aq_prune_unit wants to know of them. */
enum aq_status aq_prune_open(const struct aq_plan *plan, struct aq_snapshot *snapshot,
                             const struct aq_unit **units, size_t *unit_count,
                             struct aq_error *err) AQ_RESULT;
/** Whether no, maybe some, or all rows of the unit pass the plan's WHERE. */
enum aq_prune aq_prune_unit(const struct aq_plan *plan, const struct aq_unit *unit);
/** The same of one run. `stats`: by the plan's input, of the run; NULL or of no rows: unknown. */
enum aq_prune aq_prune_run(const struct aq_plan *plan, const struct aq_unit *unit,
                           const struct aq_column_stats *const *stats);

/* run_scan.c: what statistics of its runs spare of a unit */
#define AQ_STRETCH_TO_END UINT32_MAX
/** Rows of a unit that have to be looked at, as far as it has them. */
struct aq_stretch {
    uint32_t first;
    uint32_t row_count;
    bool all_pass; /* WHERE is true of each */
};
/** What is left to do of a unit. Zero-initialise; deinit. */
struct aq_stretches {
    struct aq_stretch *items;
    size_t count;
    uint64_t answered_count; /* runs whose statistics went into the groups */
};
void aq_stretches_deinit(struct aq_stretches *stretches);
/** Room for `capacity` stretches in place of none. */
enum aq_status aq_stretches_reserve(struct aq_stretches *stretches, size_t capacity,
                                    struct aq_error *err) AQ_RESULT;
/** Add one, which joins the last if it goes on where that ends and is like it. There is room. */
void aq_stretches_add(struct aq_stretches *stretches, uint32_t first, uint32_t row_count,
                      bool all_pass);
/** The row behind a stretch of a unit of so many rows. */
static inline uint32_t aq_stretch_end(const struct aq_stretch *stretch, uint32_t row_count)
{
    return stretch->row_count < row_count - stretch->first ? stretch->first + stretch->row_count
                                                           : row_count;
}
/**
 * Add to `groups` (of a grouped plan) what runs' statistics say, leave out runs of which no row passes, and
 * give the rest. `prune`: the verdict on the whole unit, which is not that nothing passes.
 */
enum aq_status aq_runs_judge(struct aq_snapshot *snapshot, const struct aq_plan *plan,
                             const struct aq_unit *unit, enum aq_prune prune,
                             struct aq_group_sink *groups, struct aq_stretches *stretches,
                             struct aq_error *err) AQ_RESULT;

/* vector_scan.c */
/** Cut out of a unit's stretches, at least one, what bounds of its vectors say cannot pass; what they say must pass is marked
 * so. None may be left. */
enum aq_status aq_vectors_judge(struct aq_worker *worker, const struct aq_unit *unit,
                                struct aq_stretches *stretches) AQ_RESULT;

/* late_read.c */
/** Note the columns that `expr` is about. */
void aq_expr_mark_columns(const struct aq_expr *expr, bool *marked);
/** The parts of a condition that all have to be true; NULL has none. */
struct aq_conditions {
    size_t count;
    struct aq_expr *const *items;
};
struct aq_conditions aq_expr_conditions(struct aq_expr *const *where);
/** Read into worker->unit_rows what `stretches`, at least one, want of a unit: first what WHERE asks for,
 * then, of vectors with rows that pass, the rest. `part` gets the rows that are there; row_end 0: none passes. */
enum aq_status aq_late_read(struct aq_worker *worker, const struct aq_unit *unit,
                            const struct aq_stretches *stretches, const uint32_t *ids,
                            struct aq_unit_part *part) AQ_RESULT;

/* value_filter.c */
/** Whether `expr` is made of comparisons and the like, which cannot fail. */
bool aq_expr_is_test(const struct aq_expr *expr);
/** If `expr`, a test, asks about one column alone, of which the unit has the different values: take rows of `part` for
 * which it is not true out of worker->passed, and set `done`. */
enum aq_status aq_value_filter(struct aq_worker *worker, const struct aq_unit *unit,
                               const struct aq_expr *expr, const struct aq_unit_part *part,
                               bool *done) AQ_RESULT;
/** Take rows [first, end) out of a bitmap. */
void aq_unset_rows(uint64_t *bitmap, size_t first, size_t end);

/* resolve.c */
/** See to it that of the units that may be read only those rows are there that count. */
enum aq_status aq_exec_resolve(struct aq_exec *exec, struct aq_error *err) AQ_RESULT;

/* window.c */
/** Refuse a plan whose answer may depend on rows that a mirror does not have yet; and begin. */
enum aq_status aq_window_open(struct aq_exec *exec, struct aq_error *err) AQ_RESULT;
/** Move window_end on to what may be read next. */
enum aq_status aq_window_next(struct aq_exec *exec, struct aq_error *err) AQ_RESULT;

/* sort.c */
/** Order rows by the plan's keys, ties by the visible outputs. */
void aq_sort_rows(const struct aq_plan *plan, const struct aq_batch *rows, uint32_t *order,
                  size_t order_count);
/** Keep the first `keep` rows of `rows` in the plan's order. */
enum aq_status aq_sort_trim(const struct aq_plan *plan, struct aq_batch *rows,
                            size_t keep) AQ_RESULT;
/** Append rows of `from` (`selection` or all) to `to`, columns in the same order. */
enum aq_status aq_batch_gather(struct aq_batch *to, const struct aq_batch *from,
                               const uint32_t *selection, size_t count) AQ_RESULT;
size_t aq_batch_bytes(const struct aq_batch *batch);

#endif
