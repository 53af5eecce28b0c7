/* Nodes of the same values coded in several ways, of which the smallest stays. Private to format/encode. */
#ifndef AQ_FORMAT_ENCODE_TRIALS_H
#define AQ_FORMAT_ENCODE_TRIALS_H

#include "format/encode/node.h"

/* Trials append behind each other; the best one is moved to where the first began. */
struct aq_trials {
    struct aq_encoder *encoder;
    struct aq_bytes *out;
    struct aq_arena_mark mark; /* what a trial allocates is given back */
    size_t begin;
    size_t best_size;     /* SIZE_MAX before the first; one that is no smaller is not kept */
    size_t kept_size;     /* of the best one's bytes: 0 where they are still to be made */
    uint64_t late_before; /* the encoder's count of such nodes, without those of any trial */
    uint64_t late_best;   /* of the best one */
};

/** Trials that append to `out` from where it ends now. */
struct aq_trials aq_trials_begin(struct aq_encoder *encoder, struct aq_bytes *out);

/** Keep what a trial appended if it is smaller than the best so far; what it allocated stays. */
void aq_trials_judge(struct aq_trials *trials);

/** The same of a trial that ended with `status`, and give back all that was allocated since the beginning.
 * @return `status`; AQ_OK for AQ_NOT_FOUND, which says that the trial's way does not fit these values. */
enum aq_status aq_trials_end(struct aq_trials *trials, enum aq_status status) AQ_RESULT;

#endif
