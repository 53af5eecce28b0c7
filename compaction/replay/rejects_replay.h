/* Feeding refused messages again after a fix of the config: those that are taken now become rows, in one edit:
 * rows in, rejects out. */
#ifndef AQ_COMPACTION_REPLAY_REJECTS_REPLAY_H
#define AQ_COMPACTION_REPLAY_REJECTS_REPLAY_H

#include "engine/ingest/config.h"
#include "engine/store/store.h"

#include <stdatomic.h>

struct aq_replay_options {
    const struct aq_config *config;
    const struct aq_dataset_config *dataset;
    const char *source;           /* only rejects of this one; NULL: of all */
    const char *reason;           /* only those whose reason has this in it; NULL: all */
    int64_t since_us;             /* only those that arrived then or later; INT64_MIN: all */
    enum aq_source_format format; /* of messages whose source does not say; AUTO: by content */
    const char *header; /* first line of the CSV files that records are from; NULL: not known */
    bool dry_run;       /* change nothing */
    void (*progress)(void *context, uint64_t done, uint64_t total); /* may be NULL */
    void *context;
    const atomic_bool *stop; /* AQ_INTERRUPTED, nothing changed; may be NULL */
};

/** Why messages are still refused. */
struct aq_replay_reason {
    const char *text; /* the report's */
    uint64_t count;
};
#define AQ_REPLAY_REASONS_MAX 64

/** Zero-initialise; release with aq_replay_report_deinit. */
struct aq_replay_report {
    uint64_t reject_count;   /* of the dataset, in closed files */
    uint64_t open_count;     /* in segments that are being written: left alone */
    uint64_t selected_count; /* of reject_count, by the options */
    uint64_t row_count;      /* of selected_count: rows now, or with dry_run they would be */
    uint64_t archive_count;  /* files written */
    uint64_t archive_bytes;
    size_t reason_count; /* by count, descending */
    struct aq_replay_reason reasons[AQ_REPLAY_REASONS_MAX];
    uint64_t other_count; /* still refused for further reasons */
    double seconds;
    struct aq_arena arena;
};
void aq_replay_report_deinit(struct aq_replay_report *report);

/**
 * Replay rejects of one dataset. Takes the lock "compact", declares the dataset and closes what dead writers
 * left open, unless it is a dry run. Rows keep the stamp and the ordinal of their messages. Rejects that are
 * not taken stay as they are. AQ_CONFLICT when another job changed the files meanwhile: nothing happened.
 */
enum aq_status aq_rejects_replay(struct aq_store *store, const struct aq_replay_options *options,
                                 struct aq_replay_report *report, struct aq_error *err) AQ_RESULT;

#endif
