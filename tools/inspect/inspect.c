/* Facts and tables, as text or as JSON. */
#include "tools/inspect/inspect.h"

#include "tools/output/output.h"
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"

void aq_inspect_text(struct aq_inspect *inspect, const char *name, const char *value)
{
    if (inspect->json)
        aq_json_member_text(&inspect->object, name, value);
    else
        aq_out_printf(inspect->stream, "%s: %s\n", name, value);
}

void aq_inspect_count(struct aq_inspect *inspect, const char *name, uint64_t value)
{
    char text[AQ_HUMAN_BYTES_MAX];
    if (inspect->json)
        aq_json_member_count(&inspect->object, name, value);
    else
        aq_out_printf(inspect->stream, "%s: %s\n", name, aq_human_count(value, text));
}

void aq_inspect_size(struct aq_inspect *inspect, const char *name, uint64_t size_bytes)
{
    char text[AQ_HUMAN_BYTES_MAX];
    if (inspect->json)
        aq_json_member_count(&inspect->object, name, size_bytes);
    else
        aq_out_printf(inspect->stream, "%s: %s\n", name, aq_human_size(size_bytes, text));
}

enum aq_status aq_inspect_rows(struct aq_inspect *inspect, const char *name, struct aq_rows *rows,
                               struct aq_error *err)
{
    if (inspect->json)
        return aq_rows_json(rows, name, &inspect->object, err);
    aq_out_printf(inspect->stream, "\n%s:\n", name);
    return aq_rows_print(rows, inspect->stream, err);
}

enum aq_status aq_inspect_bound(struct aq_rows *rows, enum aq_type type, bool known,
                                const union aq_stats_value *value)
{
    struct aq_vector vector;
    struct aq_bytes text = {0};
    enum aq_status status = AQ_OK;
    aq_vector_init(&vector, type);
    if (!known)
        aq_rows_null(rows);
    else if (aq_type_physical(type) == AQ_PHYSICAL_DOUBLE)
        status = aq_vector_append_double(&vector, value->real);
    else if (aq_type_physical(type) == AQ_PHYSICAL_SLICE)
        status = aq_vector_append_slice(&vector, value->slice);
    else
        status = aq_vector_append_int(&vector, value->integer);
    if (known && status == AQ_OK)
        status = aq_value_text_plain(NULL, &vector, 0, &text);
    if (known && status == AQ_OK)
        aq_rows_slice(rows, aq_bytes_view(&text));
    aq_vector_deinit(&vector);
    aq_bytes_deinit(&text);
    return status;
}
