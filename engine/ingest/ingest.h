/* Ingest: files (later Kafka) -> decode -> route -> frames -> durable segments. */
#ifndef AQ_ENGINE_INGEST_INGEST_H
#define AQ_ENGINE_INGEST_INGEST_H

#include "engine/ingest/monitor.h"
#include "engine/store/store.h"

#include <stdatomic.h>

/** Progress of one import, updated as it goes; bytes_total 0 when unknown (stdin). */
struct aq_ingest_progress {
    const char *file;
    uint64_t bytes_done; /* of the compressed file */
    uint64_t bytes_total;
    uint64_t row_count; /* durable or on the way */
    uint64_t reject_count;
};

/** What `replace` swaps: the spans of time that rows of the files lie in, whole. */
enum aq_replace_span { AQ_REPLACE_SLOT, AQ_REPLACE_DAY, AQ_REPLACE_MONTH, AQ_REPLACE_YEAR };

struct aq_ingest_options {
    const struct aq_config *config;
    const struct aq_dataset_config *dataset;
    const char *source_name;      /* "import" or the source's name */
    enum aq_source_format format; /* AUTO: by extension, then content */
    const char *const *files;     /* "-" is standard input */
    size_t file_count;
    void (*progress)(void *context, const struct aq_ingest_progress *progress); /* may be NULL */
    void (*notice)(void *context, const char *message);                         /* may be NULL */
    void *context;
    const atomic_bool *stop;    /* set by a signal: stop at a frame, AQ_INTERRUPTED */
    struct aq_monitor *monitor; /* hears of `source_name`; may be NULL */
    bool replace;               /* all files together replace what is in the spans, in one edit */
    enum aq_replace_span span;
};

struct aq_ingest_report {
    uint64_t file_count;
    uint64_t known_file_count; /* files whose whole content was in the store already */
    uint64_t resumed_file_count;
    uint64_t row_count; /* made durable by this run */
    uint64_t reject_count;
    uint64_t passed_count;
    uint64_t unknown_field_count;
    uint64_t input_bytes;        /* decoded */
    uint64_t replaced_row_count; /* with `replace`: rows that are gone */
    size_t
        replaced_range_count; /* stretches of time that were replaced; 0: what was there was the same */
    uint64_t segment_bytes;
    double seconds;
    enum aq_io_kind io;
    enum aq_write_method write_method;
    unsigned frames_in_flight;   /* at most */
    uint64_t zero_failure_count; /* of the store's: how often blocks could not be zeroed ahead */
};

/**
 * Import the files into the dataset, in order, each exactly once (docs/import.md, "When is a file
 * known"). Declares the dataset, recovers the store, seals at the end. On failure what was acked
 * stays and a repeated call goes on from there; `report` says how far it came either way. With `replace`
 * all of it counts at the end or nothing does, whatever is known of the files' content.
 */
enum aq_status aq_ingest_files(struct aq_store *store, const struct aq_ingest_options *options,
                               struct aq_ingest_report *report, struct aq_error *err) AQ_RESULT;

#endif
