/* Zeroing blocks that a writer will come to, in a thread beside it: a write into blocks that the disk has seen
 * needs no change to the file's size or map before it is durable. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_ZERO_AHEAD_H
#define AQ_ENGINE_STORE_ZERO_AHEAD_H

#include "engine/store/store_internal.h"

struct aq_zero_ahead;

/** The thread starts with the first job. With AQ_IO_SIM there is none: jobs are done when they are given.
 * @param depth  Frames in flight of the writer, for the probe that comes before the first job. */
enum aq_status aq_zero_ahead_create(struct aq_store *store, unsigned depth,
                                    struct aq_zero_ahead **ahead, struct aq_error *err) AQ_RESULT;
/** Stops a job first. NULL allowed. */
void aq_zero_ahead_destroy(struct aq_zero_ahead *ahead);

/** Begin to write zeros to [begin, end) of `file`, of which at most a sixteenth of what is free on the disk. No job may be
 * running; nobody else may write there, or close the file, before it is over. @thread The writer's, as all of these. */
void aq_zero_ahead_start(struct aq_zero_ahead *ahead, const struct aq_io_file *file, uint64_t begin,
                         uint64_t end);
bool aq_zero_ahead_is_running(struct aq_zero_ahead *ahead);
/** Wait for the job, which is ended early with `stop`. The zeros before what it returns are durable. `failed`: the disk
 * took no more, or failed; the store knows why (aq_store_zero_notice), and the frames' own writes will be told again
 * if it concerns them. Less than was asked for because of the sixteenth is no failure. */
uint64_t aq_zero_ahead_wait(struct aq_zero_ahead *ahead, bool stop, bool *failed);

#endif
