/* A small table of facts that a command prints: for people with sizes and counts made readable, for
 * programs as a JSON array of objects with plain numbers. Failures are sticky. */
#ifndef AQ_TOOLS_OUTPUT_ROWS_H
#define AQ_TOOLS_OUTPUT_ROWS_H

#include "tools/output/output.h"

/** Fill it row by row, value after value in the columns' order. Columns named "bytes" or "..._bytes"
 * are printed as sizes, other bigints with thousands separated, doubles with two digits. */
struct aq_rows {
    const struct aq_result_column *columns; /* borrowed */
    struct aq_batch batch;
    size_t next; /* column of the next value */
    enum aq_status status;
};

void aq_rows_init(struct aq_rows *rows, const struct aq_result_column *columns,
                  size_t column_count);
void aq_rows_deinit(struct aq_rows *rows);

void aq_rows_text(struct aq_rows *rows, const char *text);
void aq_rows_slice(struct aq_rows *rows, struct aq_slice text);
void aq_rows_int(struct aq_rows *rows, int64_t value);
void aq_rows_count(struct aq_rows *rows, uint64_t value);
void aq_rows_real(struct aq_rows *rows, double value);
void aq_rows_time(struct aq_rows *rows, bool known, int64_t time_us);
void aq_rows_null(struct aq_rows *rows);

/** As a table. */
enum aq_status aq_rows_print(struct aq_rows *rows, struct aq_out *stream,
                             struct aq_error *err) AQ_RESULT;
/** Append as a member `name` of a JSON object. */
enum aq_status aq_rows_json(struct aq_rows *rows, const char *name, struct aq_bytes *out,
                            struct aq_error *err) AQ_RESULT;
/** A table, or with `json` the object {"name": [...]}. */
enum aq_status aq_rows_report(struct aq_rows *rows, const char *name, bool json,
                              struct aq_out *stream, struct aq_error *err) AQ_RESULT;

#endif
