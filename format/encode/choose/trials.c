/* Trials of nodes (trials.h): bytes that are not kept are cut off again, and so is their part of the count of late encodings.
 *
 * Failures: none of its own; one of the output is left to whoever takes it. */
#include "format/encode/choose/trials.h"

struct aq_trials aq_trials_begin(struct aq_encoder *encoder, struct aq_bytes *out)
{
    return (struct aq_trials){.encoder = encoder,
                              .out = out,
                              .mark = aq_arena_mark(&encoder->scratch),
                              .begin = out->size,
                              .best_size = SIZE_MAX,
                              .late_before = encoder->late_count};
}

/* Without what was appended by a trial that is not kept. */
static void cut(struct aq_trials *trials)
{
    trials->out->size = trials->begin + trials->kept_size;
    trials->encoder->late_count = trials->late_before + trials->late_best;
}

void aq_trials_judge(struct aq_trials *trials)
{
    struct aq_bytes *out = trials->out;
    size_t at = trials->begin + trials->kept_size;
    size_t size = out->size - at;
    if (out->failed)
        return;
    if (size < trials->best_size) {
        memmove(out->data + trials->begin, out->data + at, size);
        trials->best_size = size;
        trials->kept_size = size;
        trials->late_best = trials->encoder->late_count - trials->late_before - trials->late_best;
    }
    cut(trials);
}

enum aq_status aq_trials_end(struct aq_trials *trials, enum aq_status status)
{
    if (status == AQ_OK)
        aq_trials_judge(trials);
    else
        cut(trials);
    aq_arena_rewind(&trials->encoder->scratch, trials->mark);
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}
