/* JSON text, piece by piece. */
#ifndef AQ_TOOLS_OUTPUT_JSON_PRINT_H
#define AQ_TOOLS_OUTPUT_JSON_PRINT_H

#include "format/table/vector.h"

/** Append `text` as a JSON string. Bytes that are no UTF-8 become U+FFFD. */
void aq_json_put_string(struct aq_slice text, struct aq_bytes *out);

/** Append the text form of a value of `type` as a JSON value: numbers, booleans and json as they are
 * (json on one line), all else as a string; NaN and infinities too, as PostgreSQL's to_json does;
 * timestamps in RFC 3339. */
void aq_json_put_value(enum aq_type type, struct aq_slice text, struct aq_bytes *out);

/* Members of an object: aq_json_open, members in turn, aq_json_close. The comma before a member is
 * put where the last byte is no opening bracket. */
void aq_json_open(struct aq_bytes *out, char bracket);
void aq_json_close(struct aq_bytes *out, char bracket);
/** Comma where needed, then "name": (NULL: an element of an array, no name). */
void aq_json_name(struct aq_bytes *out, const char *name);
void aq_json_member_text(struct aq_bytes *out, const char *name, const char *text);
void aq_json_member_slice(struct aq_bytes *out, const char *name, struct aq_slice text);
void aq_json_member_count(struct aq_bytes *out, const char *name, uint64_t value);
void aq_json_member_int(struct aq_bytes *out, const char *name, int64_t value);
void aq_json_member_bool(struct aq_bytes *out, const char *name, bool value);
/** Up to 6 digits behind the point. */
void aq_json_member_real(struct aq_bytes *out, const char *name, double value);
/** RFC 3339 in UTC. */
void aq_json_member_time(struct aq_bytes *out, const char *name, int64_t time_us);

#endif
