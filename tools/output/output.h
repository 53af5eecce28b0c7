/* Results in the forms that people and programs read. A writer is given the columns, then batch after
 * batch, then the end; values come to it as text, through one function, so that every form prints
 * the same digits. */
#ifndef AQ_TOOLS_OUTPUT_OUTPUT_H
#define AQ_TOOLS_OUTPUT_OUTPUT_H

#include "engine/query/query.h"
#include "tools/output/out.h"

enum aq_output_form {
    AQ_OUTPUT_TABLE,
    AQ_OUTPUT_CSV,
    AQ_OUTPUT_JSON,
    AQ_OUTPUT_NDJSON,
    AQ_OUTPUT_MARKDOWN,
    AQ_OUTPUT_PARQUET,
    AQ_OUTPUT_ARROW,
};

/** By name ("csv"); AQ_NOT_FOUND. */
enum aq_status aq_output_form_parse(const char *name, enum aq_output_form *form) AQ_RESULT;
/** By a file's extension, a compression suffix not being one; AQ_NOT_FOUND. */
enum aq_status aq_output_form_of_path(const char *path, enum aq_output_form *form) AQ_RESULT;

/** Append the text form of a value that is not null. */
typedef enum aq_status (*aq_value_text_fn)(void *context, const struct aq_vector *vector,
                                           size_t row, struct aq_bytes *out);

/** For rows that are no query's: doubles as queries give them, others as aq_key_text; the context is unused. */
enum aq_status aq_value_text_plain(void *context, const struct aq_vector *vector, size_t row,
                                   struct aq_bytes *out);

/** What all forms are made from; everything is borrowed for the writer's life. */
struct aq_output_options {
    enum aq_output_form form;
    struct aq_out *stream;
    size_t column_count;
    const struct aq_result_column *columns;
    aq_value_text_fn value_text;
    void *value_context;
    bool colour;     /* tables: faint types and nulls */
    bool with_types; /* tables: a line of types below the names */
    bool with_count; /* tables: "(12 rows)" below */
};

struct aq_output;
/** Writes what stands before the first row. @thread All of a writer's calls: one. */
enum aq_status aq_output_create(const struct aq_output_options *options, struct aq_output **output,
                                struct aq_error *err) AQ_RESULT;
/** Rows of `batch` (its first column_count columns). Nothing of it is kept. */
enum aq_status aq_output_batch(struct aq_output *output, const struct aq_batch *batch,
                               struct aq_error *err) AQ_RESULT;
/** What stands behind the last row. `seconds` >= 0: printed beside the count of rows. */
enum aq_status aq_output_end(struct aq_output *output, double seconds,
                             struct aq_error *err) AQ_RESULT;
void aq_output_destroy(struct aq_output *output);
uint64_t aq_output_row_count(const struct aq_output *output);

#endif
