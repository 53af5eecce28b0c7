/* Names and texts inside SQL that commands make. */
#ifndef AQ_TOOLS_OUTPUT_SQL_TEXT_H
#define AQ_TOOLS_OUTPUT_SQL_TEXT_H

#include "format/base/bytes.h"

/** Append `name` as a quoted SQL identifier. */
void aq_sql_name(const char *name, struct aq_bytes *out);
/** Append `text` as an SQL literal. */
void aq_sql_text(const char *text, struct aq_bytes *out);

#endif
