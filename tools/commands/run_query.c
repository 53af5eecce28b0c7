/* Running SQL: store, snapshot, query, answer, and everything closed again in turn. */
#include "tools/commands/run_query.h"

enum aq_status aq_run_query(struct aq_program *program, const char *sql, aq_answer_fn answer,
                            void *context, struct aq_error *err)
{
    struct aq_store *store = NULL;
    struct aq_snapshot *snapshot = NULL;
    struct aq_query *query = NULL;
    struct aq_query_options options = {.timezone = program->options.timezone, .stop = &aq_stop};
    AQ_TRY(aq_program_store(program, AQ_ACCESS_READ, &store, err));
    AQ_TRY(aq_snapshot_open(store, &snapshot, err));
    enum aq_status status = aq_query_prepare(snapshot, sql, &options, &query, err);
    if (status >= 0)
        status = answer(context, query, err);
    if (query != NULL)
        aq_query_destroy(query);
    aq_snapshot_close(snapshot);
    return status;
}

enum aq_status aq_value_text_query(void *context, const struct aq_vector *vector, size_t row,
                                   struct aq_bytes *out)
{
    return aq_query_value_text(context, vector, row, out);
}

void aq_sql_name(const char *name, struct aq_bytes *out)
{
    aq_bytes_u8(out, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            aq_bytes_u8(out, '"');
        aq_bytes_u8(out, (uint8_t)*name);
    }
    aq_bytes_u8(out, '"');
}
