/* A thin C face over simdjson (C++ stays in json_index.cc): where the tokens of a JSON text begin. */
#ifndef AQ_ENGINE_JSON_INDEX_H
#define AQ_ENGINE_JSON_INDEX_H

#include "format/base/bytes.h"

struct aq_json_index;

struct aq_json_index *aq_json_index_create(void); /* NULL when memory is out */
void aq_json_index_destroy(struct aq_json_index *index);

/**
 * Find the first byte of every token of `text`: each of {}[]:, and the opening quote of every string
 * and the first byte of every other run of bytes that is not white space. UTF-8 is verified, as is that
 * every string is closed and holds no control characters. Nothing else is: numbers, literals, escapes
 * and grammar are the caller's.
 *
 * @param offsets  token_count ascending offsets into `text`; valid until the next call.
 * @return AQ_OK; AQ_REJECT with the reason in *reason (static text); AQ_NO_MEMORY.
 * @thread One at a time per index.
 */
enum aq_status aq_json_index_build(struct aq_json_index *index, struct aq_slice text,
                                   const uint32_t **offsets, size_t *token_count,
                                   const char **reason) AQ_RESULT;

/** Whether `text` is UTF-8. @thread Any. */
bool aq_utf8_valid(struct aq_slice text);

#endif
