/* An aligned table, as psql draws it.
 *
 *     station   |  pm25
 *     text      | double precision
 *    -----------+------------------
 *     Dongsi    |  85.4
 *    (1 row, 12 ms)
 *
 * Happy path: the first ROWS_KEPT rows are kept as text while each column's width grows with them; then
 * head and rows are printed, and further rows with the same widths as they come, so that memory is
 * bounded. A later, wider value shifts its own line only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output/forms/output_forms.h"
#include "tools/output/text/utf8.h"

#define ROWS_KEPT 10000
#define FAINT "\033[2m"
#define BOLD "\033[1m"
#define NORMAL "\033[0m"

struct cell {
    size_t offset; /* in `text` */
    uint32_t size_bytes;
    uint32_t columns;
};

struct aq_table {
    size_t *widths;
    struct aq_bytes text;  /* of the kept cells */
    struct aq_bytes cells; /* struct cell, row after row */
    size_t row_count;      /* kept */
    bool head_done;
};

void aq_table_destroy(struct aq_table *table)
{
    if (table == NULL)
        return;
    aq_bytes_deinit(&table->text);
    aq_bytes_deinit(&table->cells);
    free(table->widths);
    free(table);
}

static size_t display_width(const char *text)
{
    struct aq_bytes scratch = {0};
    size_t width = aq_utf8_display(aq_slice_of(text), &scratch);
    aq_bytes_deinit(&scratch);
    return width;
}

static enum aq_status table_begin(struct aq_output *output, struct aq_error *err)
{
    struct aq_table *table = calloc(1, sizeof(*table));
    output->table = table;
    if (table != NULL)
        table->widths = calloc(output->options.column_count + 1, sizeof(*table->widths));
    if (table == NULL || table->widths == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to print a table");
    for (size_t i = 0; i < output->options.column_count; i++) {
        const struct aq_result_column *column = &output->options.columns[i];
        size_t name = display_width(column->name);
        size_t type = output->options.with_types ? strlen(aq_type_name(column->type)) : 0;
        table->widths[i] = name > type ? name : type;
    }
    return AQ_OK;
}

static void write_spaces(struct aq_out *stream, size_t count)
{
    static const char spaces[] = "                                ";
    for (; count >= sizeof(spaces) - 1; count -= sizeof(spaces) - 1)
        aq_out_text(stream, spaces);
    aq_out_write(stream, spaces, count);
}

/* One cell in its column; a last column that stands to the left is not padded. */
static void write_cell(const struct aq_output *output, size_t column, struct aq_slice text,
                       size_t columns, bool right, const char *colour)
{
    struct aq_out *stream = output->options.stream;
    size_t width = output->table->widths[column];
    size_t pad = width > columns ? width - columns : 0;
    bool last = column + 1 == output->options.column_count;
    bool nothing = last && !right && text.size == 0;
    aq_out_text(stream, column == 0 ? " " : nothing ? " |" : " | ");
    if (right)
        write_spaces(stream, pad);
    if (colour != NULL)
        aq_out_text(stream, colour);
    aq_out_write(stream, text.data, text.size);
    if (colour != NULL)
        aq_out_text(stream, NORMAL);
    if (!right && !last)
        write_spaces(stream, pad);
    if (last)
        aq_out_text(stream, "\n");
}

static void write_rule(const struct aq_output *output)
{
    struct aq_out *stream = output->options.stream;
    for (size_t i = 0; i < output->options.column_count; i++) {
        aq_out_text(stream, i == 0 ? "-" : "+-");
        for (size_t j = 0; j <= output->table->widths[i]; j++)
            aq_out_text(stream, "-");
    }
    aq_out_text(stream, "\n");
}

static void write_head(const struct aq_output *output)
{
    const struct aq_output_options *options = &output->options;
    struct aq_bytes name = {0};
    for (size_t i = 0; i < options->column_count; i++) {
        aq_bytes_clear(&name);
        size_t columns = aq_utf8_display(aq_slice_of(options->columns[i].name), &name);
        bool right = aq_output_is_number(options->columns[i].type);
        write_cell(output, i, aq_bytes_view(&name), columns, right, options->colour ? BOLD : NULL);
    }
    aq_bytes_deinit(&name);
    for (size_t i = 0; i < options->column_count && options->with_types; i++) {
        struct aq_slice type = aq_slice_of(aq_type_name(options->columns[i].type));
        bool right = aq_output_is_number(options->columns[i].type);
        write_cell(output, i, type, type.size, right, options->colour ? FAINT : NULL);
    }
    write_rule(output);
}

/* Head and kept rows; from here on rows are printed as they come. */
static void write_kept(struct aq_output *output)
{
    struct aq_table *table = output->table;
    size_t column_count = output->options.column_count;
    write_head(output);
    table->head_done = true;
    for (size_t row = 0; row < table->row_count; row++) {
        for (size_t i = 0; i < column_count; i++) {
            struct cell cell;
            memcpy(&cell, table->cells.data + (row * column_count + i) * sizeof(cell),
                   sizeof(cell));
            struct aq_slice text = aq_slice_make(table->text.data + cell.offset, cell.size_bytes);
            write_cell(output, i, text, cell.columns,
                       aq_output_is_number(output->options.columns[i].type), NULL);
        }
    }
    aq_bytes_deinit(&table->text);
    aq_bytes_deinit(&table->cells);
}

static enum aq_status keep_row(struct aq_output *output, const struct aq_batch *batch, size_t row,
                               struct aq_error *err)
{
    struct aq_table *table = output->table;
    for (size_t i = 0; i < output->options.column_count; i++) {
        AQ_TRY(aq_output_value(output, &batch->columns[i], row, err));
        struct cell cell = {.offset = table->text.size};
        cell.columns = (uint32_t)aq_utf8_display(aq_bytes_view(&output->text), &table->text);
        cell.size_bytes = (uint32_t)(table->text.size - cell.offset);
        aq_bytes_append(&table->cells, &cell, sizeof(cell));
        if (cell.columns > table->widths[i])
            table->widths[i] = cell.columns;
    }
    table->row_count++;
    if (aq_bytes_status(&table->text) < 0 || aq_bytes_status(&table->cells) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to print a table");
    return AQ_OK;
}

static enum aq_status write_row(struct aq_output *output, const struct aq_batch *batch, size_t row,
                                struct aq_error *err)
{
    struct aq_bytes shown = {0};
    enum aq_status status = AQ_OK;
    for (size_t i = 0; i < output->options.column_count && status >= 0; i++) {
        status = aq_output_value(output, &batch->columns[i], row, err);
        aq_bytes_clear(&shown);
        size_t columns = aq_utf8_display(aq_bytes_view(&output->text), &shown);
        if (status >= 0)
            write_cell(output, i, aq_bytes_view(&shown), columns,
                       aq_output_is_number(output->options.columns[i].type), NULL);
    }
    aq_bytes_deinit(&shown);
    return status;
}

static enum aq_status table_batch(struct aq_output *output, const struct aq_batch *batch,
                                  struct aq_error *err)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        if (output->table->row_count < ROWS_KEPT) {
            AQ_TRY(keep_row(output, batch, row, err));
            continue;
        }
        if (!output->table->head_done)
            write_kept(output);
        AQ_TRY(write_row(output, batch, row, err));
    }
    return AQ_OK;
}

static enum aq_status table_end(struct aq_output *output, double seconds, struct aq_error *err)
{
    (void)err;
    struct aq_out *stream = output->options.stream;
    if (!output->table->head_done)
        write_kept(output);
    if (!output->options.with_count)
        return AQ_OK;
    aq_out_printf(stream, "(%llu row%s", (unsigned long long)output->row_count,
                  output->row_count == 1 ? "" : "s");
    if (seconds >= 1)
        aq_out_printf(stream, ", %.2f s", seconds);
    else if (seconds >= 0)
        aq_out_printf(stream, ", %.*f ms", seconds < 0.01 ? 1 : 0, seconds * 1e3);
    aq_out_text(stream, ")\n");
    return AQ_OK;
}

const struct aq_output_ops aq_output_table_ops = {table_begin, table_batch, table_end};
