/* Which recorded columns a wanted declaration means. */
#ifndef AQ_ENGINE_STORE_DECLARE_COLUMNS_H
#define AQ_ENGINE_STORE_DECLARE_COLUMNS_H

#include "format/table/schema.h"

/**
 * For each column of `wanted` the index of the recorded column that it is, AQ_COLUMN_NONE for a new one.
 * A name means the column of that name, hidden ones included; a name that is not recorded the first of the
 * column's former names that is.
 *
 * @param old      The declaration in force; NULL: none, so all columns are new.
 * @param matches  Result; wanted->column_count of them.
 * @return AQ_OK; AQ_INVALID with what to do when a former name is no column's, two columns want the same
 *         one, or both the name and a former one are recorded, as columns of their own; AQ_INVALID when a
 *         column's type is not the recorded one.
 */
enum aq_status aq_declare_match(const struct aq_schema *old, const struct aq_schema *wanted,
                                uint32_t *matches, struct aq_error *err) AQ_RESULT;

#endif
