/* Private to tools/output: what a form does. */
#ifndef AQ_TOOLS_OUTPUT_OUTPUT_FORMS_H
#define AQ_TOOLS_OUTPUT_OUTPUT_FORMS_H

#include "tools/output/output.h"

struct aq_table; /* output_table.c: rows kept until the widths are known */

struct aq_arrow_writer;
struct aq_parquet_writer; /* output_columnar.c, as is `file_columns` */

struct aq_output {
    struct aq_output_options options;
    uint64_t row_count;
    struct aq_bytes text; /* of one value or one line */
    struct aq_table *table;
    struct aq_column *file_columns;
    struct aq_parquet_writer *parquet;
    struct aq_arrow_writer *arrow;
};

struct aq_output_ops {
    enum aq_status (*begin)(struct aq_output *output, struct aq_error *err);
    enum aq_status (*batch)(struct aq_output *output, const struct aq_batch *batch,
                            struct aq_error *err);
    enum aq_status (*end)(struct aq_output *output, double seconds, struct aq_error *err);
};

extern const struct aq_output_ops aq_output_table_ops;
extern const struct aq_output_ops aq_output_csv_ops;
extern const struct aq_output_ops aq_output_json_ops;
extern const struct aq_output_ops aq_output_ndjson_ops;
extern const struct aq_output_ops aq_output_markdown_ops;
extern const struct aq_output_ops aq_output_parquet_ops;
extern const struct aq_output_ops aq_output_arrow_ops;
void aq_table_destroy(struct aq_table *table);

/** Clear output->text and put the text form of a value there; nothing for null. */
enum aq_status aq_output_value(struct aq_output *output, const struct aq_vector *vector, size_t row,
                               struct aq_error *err) AQ_RESULT;

/** Whether values of `type` are numbers, which stand to the right. */
bool aq_output_is_number(enum aq_type type);

#endif
