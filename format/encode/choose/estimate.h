/* Which nodes would take the least, estimated from a sample. Private to format/encode. */
#ifndef AQ_FORMAT_ENCODE_ESTIMATE_H
#define AQ_FORMAT_ENCODE_ESTIMATE_H

#include "format/encode/node.h"

enum aq_shape {
    AQ_SHAPE_OPEN, /* not decided */
    AQ_SHAPE_LEAF, /* bit packing, byte planes or entropy coding: */
    AQ_SHAPE_PLANES,
    AQ_SHAPE_ANS,
    AQ_SHAPE_COPIES, /* of stretches further up; else as AQ_SHAPE_ANS */
    AQ_SHAPE_DELTA,
    AQ_SHAPE_RUN,
    AQ_SHAPE_DICT,
    AQ_SHAPE_DICT_MAYBE, /* or what the plan's rest says of this node: both are to be tried */
};

/* A chain of shapes: that of a node in the lowest bits, that of its child (deltas, or a dictionary's codes) above
 * them; 0 is AQ_SHAPE_OPEN all the way. */
typedef uint32_t aq_plan;
#define AQ_PLAN_BITS 4

static inline enum aq_shape aq_plan_shape(aq_plan plan)
{
    return (enum aq_shape)(plan & ((1u << AQ_PLAN_BITS) - 1));
}

/** What seems smallest for a node of `count` > 0 values at `depth`, in `run_count` runs of equal ones; never
 * AQ_SHAPE_OPEN. */
aq_plan aq_plan_make(const int64_t *values, size_t count, size_t run_count, unsigned depth);

/** The place of each of `entry_count` codes, all of which occur, by how often it does, equals in their order; and the bits of
 * all codes in that order. (frequency.c) */
enum aq_status aq_frequency_order(struct aq_encoder *encoder, const int64_t *codes, size_t count,
                                  size_t entry_count, uint32_t **ranks, double *bits) AQ_RESULT;

#endif
