/* Happy path: names first; then each column whose name is new takes what one of its former names stands for, also
 * from a column that goes by that name now: that one is new, then, under an old name.
 *
 * So a rename happens once. Later, `was` says what is known already, and is left alone; so it is in a store that
 * was made after it.
 * Failures: a `was` that cannot mean anything is refused, since a column that is taken for a new one by mistake
 * could never be put together with its former self: both would have rows. */
#include "engine/store/catalog/declare_columns.h"

#include <stdio.h>
#include <string.h>

#include "format/table/nearest.h"

struct matcher {
    const struct aq_schema *old;
    const struct aq_schema *wanted;
    uint32_t *matches;
    struct aq_error *err;
};

static enum aq_status refuse(const struct matcher *matcher, const struct aq_column *column,
                             const char *was, const char *why)
{
    return aq_error_set(matcher->err, AQ_INVALID,
                        "dataset \"%s\": column \"%s\" was \"%s\", says the config, but %s",
                        matcher->wanted->dataset, column->name, was, why);
}

/* The wanted column that has recorded column `at`, or AQ_COLUMN_NONE. */
static uint32_t find_owner(const struct matcher *matcher, uint32_t at)
{
    for (uint32_t i = 0; i < matcher->wanted->column_count; i++)
        if (matcher->matches[i] == at)
            return i;
    return AQ_COLUMN_NONE;
}

static enum aq_status refuse_unknown(const struct matcher *matcher, uint32_t index)
{
    const struct aq_column *column = &matcher->wanted->columns[index];
    const char *names[AQ_COLUMNS_MAX];
    size_t count = matcher->old->column_count;
    char why[AQ_NAME_BYTES_MAX + 128];
    for (size_t i = 0; i < count; i++)
        names[i] = matcher->old->columns[i].name;
    const char *was = matcher->wanted->was[index].names[0];
    const char *nearest = aq_nearest_word(aq_slice_of(was), names, count);
    snprintf(why, sizeof why, "the store has no such column%s%s%s; correct or remove `was`",
             nearest == NULL ? "" : ", only \"", nearest == NULL ? "" : nearest,
             nearest == NULL ? "" : "\"");
    return refuse(matcher, column, was, why);
}

/* The name is new: the first former name that is recorded counts. */
static enum aq_status rename_column(const struct matcher *matcher, uint32_t index)
{
    const struct aq_column *column = &matcher->wanted->columns[index];
    const struct aq_former_names *was = &matcher->wanted->was[index];
    for (size_t i = 0; i < was->count; i++) {
        uint32_t at = aq_schema_find(matcher->old, was->names[i]);
        if (at == AQ_COLUMN_NONE)
            continue;
        uint32_t owner = find_owner(matcher, at);
        if (owner != AQ_COLUMN_NONE &&
            aq_schema_find(matcher->old, matcher->wanted->columns[owner].name) != at)
            return refuse(matcher, column, was->names[i],
                          "so was another one; leave one of the two `was`");
        if (owner != AQ_COLUMN_NONE)
            matcher->matches[owner] = AQ_COLUMN_NONE;
        matcher->matches[index] = at;
        return AQ_OK;
    }
    return refuse_unknown(matcher, index);
}

/* The name is recorded: a former one that is, too, and that nobody wants, is somebody's mistake. */
static enum aq_status check_renamed(const struct matcher *matcher, uint32_t index)
{
    const struct aq_column *column = &matcher->wanted->columns[index];
    const struct aq_former_names *was = &matcher->wanted->was[index];
    for (size_t i = 0; i < was->count; i++) {
        if (aq_schema_find(matcher->old, was->names[i]) != AQ_COLUMN_NONE &&
            aq_schema_find(matcher->wanted, was->names[i]) == AQ_COLUMN_NONE)
            return refuse(matcher, column, was->names[i],
                          "both have rows of their own; remove `was`, and to query both, name "
                          "the former one again and use coalesce");
    }
    return AQ_OK;
}

static enum aq_status check_type(const struct matcher *matcher, uint32_t index)
{
    const struct aq_column *column = &matcher->wanted->columns[index];
    uint32_t at = matcher->matches[index];
    if (at == AQ_COLUMN_NONE || matcher->old->columns[at].type == column->type)
        return AQ_OK;
    const struct aq_column *recorded = &matcher->old->columns[at];
    char remedy[2 * AQ_NAME_BYTES_MAX + 128] = "or remove `was`, so that it is a new column";
    if (strcmp(recorded->name, column->name) == 0)
        snprintf(remedy, sizeof remedy,
                 "or give the recorded column another name (NAME: {type: %s, was: %s}), so that "
                 "\"%s\" is a new one",
                 aq_type_name(recorded->type), recorded->name, column->name);
    return aq_error_set(matcher->err, AQ_INVALID,
                        "dataset \"%s\": the type of column \"%s\" is recorded as \"%s\" and "
                        "cannot be changed to \"%s\": its rows are stored as they are; undo the "
                        "change, %s",
                        matcher->wanted->dataset, column->name, aq_type_name(recorded->type),
                        aq_type_name(column->type), remedy);
}

enum aq_status aq_declare_match(const struct aq_schema *old, const struct aq_schema *wanted,
                                uint32_t *matches, struct aq_error *err)
{
    struct matcher matcher = {.old = old, .wanted = wanted, .matches = matches, .err = err};
    for (uint32_t i = 0; i < wanted->column_count; i++)
        matches[i] = old == NULL ? AQ_COLUMN_NONE : aq_schema_find(old, wanted->columns[i].name);
    if (old == NULL)
        return AQ_OK;
    for (uint32_t i = 0; i < wanted->column_count; i++) {
        if (wanted->was == NULL || wanted->was[i].count == 0)
            continue;
        bool recorded = aq_schema_find(old, wanted->columns[i].name) != AQ_COLUMN_NONE;
        AQ_TRY(recorded ? check_renamed(&matcher, i) : rename_column(&matcher, i));
    }
    for (uint32_t i = 0; i < wanted->column_count; i++)
        AQ_TRY(check_type(&matcher, i));
    return AQ_OK;
}
