/* Running SQL, for the commands that are made of it. */
#ifndef AQ_TOOLS_COMMANDS_RUN_QUERY_H
#define AQ_TOOLS_COMMANDS_RUN_QUERY_H

#include "engine/query/query.h"
#include "tools/program.h"

/** Consumes a prepared query. */
typedef enum aq_status (*aq_answer_fn)(void *context, struct aq_query *query, struct aq_error *err);

/** Open the store and a snapshot, prepare `sql` with the program's time zone, hand it to `answer`. */
enum aq_status aq_run_query(struct aq_program *program, const char *sql, aq_answer_fn answer,
                            void *context, struct aq_error *err) AQ_RESULT;

/** aq_query_value_text, as output and plot want it: `context` is the aq_query. */
enum aq_status aq_value_text_query(void *context, const struct aq_vector *vector, size_t row,
                                   struct aq_bytes *out);

/** Whether colours are welcome there: a terminal, no NO_COLOR, not TERM=dumb. */
bool aq_wants_colour(const struct aq_out *stream);

#endif
