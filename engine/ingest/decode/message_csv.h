/* CSV in Kafka messages: one record each, with or without a header line of its own. */
#ifndef AQ_ENGINE_INGEST_DECODE_MESSAGE_CSV_H
#define AQ_ENGINE_INGEST_DECODE_MESSAGE_CSV_H

#include "engine/ingest/decode/decode.h"

struct aq_message_csv;

enum aq_status aq_message_csv_create(struct aq_decoder *decoder, struct aq_message_csv **csv,
                                     struct aq_error *err) AQ_RESULT;
void aq_message_csv_destroy(struct aq_message_csv *csv);
/** One message: a row or a reject. Fails with AQ_NO_MEMORY only. */
enum aq_status aq_message_csv_decode(struct aq_message_csv *csv, uint64_t ordinal,
                                     struct aq_slice message) AQ_RESULT;

#endif
