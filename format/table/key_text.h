/* The text form of a key value: what partitions, pruning and people name a key by. */
#ifndef AQ_FORMAT_KEY_TEXT_H
#define AQ_FORMAT_KEY_TEXT_H

#include "format/table/vector.h"

/**
 * Text of row `row`: text, json and bytea as they are; integers in decimal; booleans true/false; doubles
 * shortest round-trip; dates and times RFC 3339 UTC. Equal values have equal text and the other
 * way round. Slices that are not borrowed from the vector live in `arena`; an empty slice for null
 * (a null key is a reject, so this does not occur in a key column).
 */
enum aq_status aq_key_text(const struct aq_vector *vector, size_t row, struct aq_arena *arena,
                           struct aq_slice *text) AQ_RESULT;

#endif
