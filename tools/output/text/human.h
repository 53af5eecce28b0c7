/* Numbers as people read them. Every function gives a text in the caller's buffer. */
#ifndef AQ_TOOLS_OUTPUT_HUMAN_H
#define AQ_TOOLS_OUTPUT_HUMAN_H

#include "format/base/bytes.h"

#define AQ_HUMAN_BYTES_MAX 32

/** "420,768" */
const char *aq_human_count(uint64_t count, char out[AQ_HUMAN_BYTES_MAX]);
/** "5.4 MiB", "812 B" */
const char *aq_human_size(uint64_t size_bytes, char out[AQ_HUMAN_BYTES_MAX]);
/** "1.24 M", "912 k", "87": for rates */
const char *aq_human_rate(double per_second, char out[AQ_HUMAN_BYTES_MAX]);
/** "0.35 s", "12 s", "3 min 20 s", "2 h 5 min" */
const char *aq_human_seconds(double seconds, char out[AQ_HUMAN_BYTES_MAX]);

#endif
