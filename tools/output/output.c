/* Choose a form and drive it. */
#include "tools/output/output.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "format/arrow/arrow_write.h"
#include "format/parquet/write/parquet_write.h"
#include "engine/query/expression/function.h"
#include "format/table/key_text.h"
#include "tools/output/forms/output_forms.h"

/* name, extensions (parted by '|'), operations */
static const struct form {
    const char *name;
    const char *extensions;
    const struct aq_output_ops *ops;
} forms[] = {
    [AQ_OUTPUT_TABLE] = {"table", "txt", &aq_output_table_ops},
    [AQ_OUTPUT_CSV] = {"csv", "csv", &aq_output_csv_ops},
    [AQ_OUTPUT_JSON] = {"json", "json", &aq_output_json_ops},
    [AQ_OUTPUT_NDJSON] = {"ndjson", "ndjson|jsonl", &aq_output_ndjson_ops},
    [AQ_OUTPUT_MARKDOWN] = {"markdown", "md|markdown", &aq_output_markdown_ops},
    [AQ_OUTPUT_PARQUET] = {"parquet", "parquet", &aq_output_parquet_ops},
    [AQ_OUTPUT_ARROW] = {"arrow", "arrow|feather", &aq_output_arrow_ops},
};
#define FORM_COUNT (sizeof(forms) / sizeof(forms[0]))

enum aq_status aq_output_form_parse(const char *name, enum aq_output_form *form)
{
    for (size_t i = 0; i < FORM_COUNT; i++) {
        if (strcmp(name, forms[i].name) == 0) {
            *form = (enum aq_output_form)i;
            return AQ_OK;
        }
    }
    return AQ_NOT_FOUND;
}

static bool has_extension(const char *extensions, const char *extension)
{
    size_t size = strlen(extension);
    for (const char *at = extensions; *at != '\0'; at += *at == '|') {
        size_t length = strcspn(at, "|");
        if (length == size && strncasecmp(at, extension, size) == 0)
            return true;
        at += length;
    }
    return false;
}

enum aq_status aq_output_form_of_path(const char *path, enum aq_output_form *form)
{
    const char *dot = strrchr(path, '.');
    if (dot == NULL || strchr(dot, '/') != NULL)
        return AQ_NOT_FOUND;
    for (size_t i = 0; i < FORM_COUNT; i++) {
        if (has_extension(forms[i].extensions, dot + 1)) {
            *form = (enum aq_output_form)i;
            return AQ_OK;
        }
    }
    return AQ_NOT_FOUND;
}

enum aq_status aq_value_text_plain(void *context, const struct aq_vector *vector, size_t row,
                                   struct aq_bytes *out)
{
    (void)context;
    struct aq_arena arena = {0};
    struct aq_slice text = {0};
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_DOUBLE) {
        aq_value_format(vector->type, aq_value_get(vector, row), NULL, out);
        return aq_bytes_status(out);
    }
    enum aq_status status = aq_key_text(vector, row, &arena, &text);
    if (status >= 0)
        aq_bytes_append(out, text.data, text.size);
    aq_arena_deinit(&arena);
    return status;
}

enum aq_status aq_output_value(struct aq_output *output, const struct aq_vector *vector, size_t row,
                               struct aq_error *err)
{
    aq_bytes_clear(&output->text);
    if (aq_vector_is_null(vector, row))
        return AQ_OK;
    enum aq_status status =
        output->options.value_text(output->options.value_context, vector, row, &output->text);
    if (status >= 0)
        status = aq_bytes_status(&output->text);
    return status < 0
               ? aq_error_set(err, status, "cannot print a value: %s", aq_status_text(status))
               : AQ_OK;
}

bool aq_output_is_number(enum aq_type type)
{
    return type == AQ_TYPE_INTEGER || type == AQ_TYPE_BIGINT || type == AQ_TYPE_REAL ||
           type == AQ_TYPE_DOUBLE;
}

enum aq_status aq_output_create(const struct aq_output_options *options, struct aq_output **output,
                                struct aq_error *err)
{
    *output = calloc(1, sizeof(**output));
    if (*output == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to print the result");
    (*output)->options = *options;
    enum aq_status status = forms[options->form].ops->begin(*output, err);
    if (status < 0) {
        aq_output_destroy(*output);
        *output = NULL;
    }
    return status;
}

enum aq_status aq_output_batch(struct aq_output *output, const struct aq_batch *batch,
                               struct aq_error *err)
{
    AQ_TRY(forms[output->options.form].ops->batch(output, batch, err));
    output->row_count += batch->row_count;
    return aq_out_status(output->options.stream, err);
}

enum aq_status aq_output_end(struct aq_output *output, double seconds, struct aq_error *err)
{
    AQ_TRY(forms[output->options.form].ops->end(output, seconds, err));
    aq_out_flush(output->options.stream);
    return aq_out_status(output->options.stream, err);
}

void aq_output_destroy(struct aq_output *output)
{
    if (output == NULL)
        return;
    aq_table_destroy(output->table);
    aq_parquet_writer_destroy(output->parquet);
    aq_arrow_writer_destroy(output->arrow);
    free(output->file_columns);
    aq_bytes_deinit(&output->text);
    free(output);
}

uint64_t aq_output_row_count(const struct aq_output *output)
{
    return output->row_count;
}
