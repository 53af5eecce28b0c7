/* Tables of entropy coding in 32 lanes: from counts to what is stored. Private to format/encode/ans. */
#ifndef AQ_FORMAT_ENCODE_ANS32_TABLES_H
#define AQ_FORMAT_ENCODE_ANS32_TABLES_H

#include "format/encode/ans/ans32.h"

/* How often each token stands in each context; after merging, in each table. */
typedef uint32_t aq_late_counts[AQ_ANS32_CONTEXTS_MAX][AQ_ANS32_TOKENS_MAX];

struct aq_ans32_tables {
    unsigned context_count;
    unsigned table_count;
    uint8_t of_context[AQ_ANS32_CONTEXTS_MAX];
    uint8_t context_counts[AQ_ANS32_CONTEXTS_MAX]; /* of each table */
};

/** Let neighbouring contexts share a table wherever that is smaller, and until there are not too many: counts[i] becomes that of
 * table i. `share` is the part of the words that was counted. Returns the bits of tokens and tables of all words, about. */
double aq_ans32_tables_merge(aq_late_counts counts, unsigned context_count, unsigned token_count,
                             double share, struct aq_ans32_tables *tables);

/** Counts of tables become frequencies, in sum AQ_ANS32_SCALE; each of at least two tokens. */
void aq_ans32_tables_normalise(aq_late_counts counts, const struct aq_ans32_tables *tables);

void aq_ans32_tables_append(aq_late_counts frequencies, const struct aq_ans32_tables *tables,
                            struct aq_bytes *out);

#endif
