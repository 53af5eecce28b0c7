/* The word that was probably meant: for messages that end "did you mean X?". */
#ifndef AQ_FORMAT_NEAREST_H
#define AQ_FORMAT_NEAREST_H

#include "format/base/bytes.h"

/**
 * The candidate with the smallest edit distance to `typed` (insert, delete, replace, swap of
 * neighbours; ASCII case ignored), the first of equals; NULL when none is near: more than a third of
 * the longer word wrong. NULL candidates are skipped.
 * @thread Any.
 * @source Optimal string alignment distance (Boytsov 2011, section 2.2.1).
 */
const char *aq_nearest_word(struct aq_slice typed, const char *const *candidates,
                            size_t candidate_count);

#endif
