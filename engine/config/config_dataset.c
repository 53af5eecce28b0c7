/*
 * One entry of `datasets:` -> struct aq_dataset_config.
 *
 * Happy path: columns first, since all else names them; then key, time, slot, series, unique, version.
 * `series` defaults to what `unique` has besides key and time.
 *
 * Failures: a name that is no column (with the nearest one), a column of the wrong type for its role,
 * a role without the one it depends on, a name that SQL would not take.
 */
#include "engine/config/config_dataset.h"

#include <stdio.h>
#include <string.h>

#include "engine/config/config_node.h"

#define RELATION_BYTES_MAX 48 /* with "_rejects" behind it still within PostgreSQL's 63 */

struct dataset_nodes {
    const struct aq_config_node *key;
    const struct aq_config_node *time;
    const struct aq_config_node *version;
    const struct aq_config_node *columns;
    struct aq_config_texts series;
    struct aq_config_texts unique;
    int slot; /* index into slot_words; -1: not given */
    int keep; /* index into keep_words; -1: not given */
    const struct aq_config_node *retention;
};

static const char *const slot_words[] = {"hour", "day", "month", NULL};
static const char *const keep_words[] = {"last", "first", NULL};

static const struct aq_config_field dataset_fields[] = {
    {"key", aq_config_read_node, offsetof(struct dataset_nodes, key), 0, 0, NULL},
    {"time", aq_config_read_node, offsetof(struct dataset_nodes, time), 0, 0, NULL},
    {"slot", aq_config_read_word, offsetof(struct dataset_nodes, slot), 0, 0, slot_words},
    {"series", aq_config_read_texts, offsetof(struct dataset_nodes, series), 0, 0, NULL},
    {"unique", aq_config_read_texts, offsetof(struct dataset_nodes, unique), 0, 0, NULL},
    {"keep", aq_config_read_word, offsetof(struct dataset_nodes, keep), 0, 0, keep_words},
    {"version", aq_config_read_node, offsetof(struct dataset_nodes, version), 0, 0, NULL},
    {"retention", aq_config_read_node, offsetof(struct dataset_nodes, retention), 0, 0, NULL},
    {"columns", aq_config_read_node, offsetof(struct dataset_nodes, columns), 0, 0, NULL},
};

/* PostgreSQL's reserved words: a relation of that name could not be written without quotes.
 * @source PostgreSQL 15, src/include/parser/kwlist.h, RESERVED_KEYWORD. */
static const char reserved_words[] =
    " all analyse analyze and any array as asc asymmetric both case cast check collate column "
    "constraint create current_catalog current_date current_role current_time current_timestamp "
    "current_user default deferrable desc distinct do else end except false fetch for foreign from "
    "grant group having in initially intersect into lateral leading limit localtime localtimestamp "
    "not null offset on only or order placing primary references returning select session_user "
    "some "
    "symmetric table then to trailing true union unique user using variadic when where window "
    "with ";

static bool is_reserved(const char *name)
{
    char spaced[RELATION_BYTES_MAX + 3];
    snprintf(spaced, sizeof spaced, " %s ", name);
    return strstr(reserved_words, spaced) != NULL;
}

enum aq_status aq_config_check_relation(struct aq_config_reader *reader,
                                        const struct aq_config_node *node, const char *what)
{
    const char *name = node->key;
    size_t size = strlen(name);
    bool begins = (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';
    if (size > RELATION_BYTES_MAX)
        return aq_config_fail(reader, node->key_mark,
                              "the name of %s has at most %d bytes, found %zu", what,
                              RELATION_BYTES_MAX, size);
    if (!begins || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != size)
        return aq_config_fail(reader, node->key_mark,
                              "\"%s\" cannot name %s: use lower-case letters, digits and \"_\", a "
                              "letter first, so that SQL takes it without quotes",
                              name, what);
    if (is_reserved(name))
        return aq_config_fail(reader, node->key_mark,
                              "\"%s\" cannot name %s: it is a reserved word of SQL", name, what);
    if (strncmp(name, "aqstore_", 8) == 0)
        return aq_config_fail(
            reader, node->key_mark,
            "\"%s\" cannot name %s: names with aqstore_ are the store's own tables", name, what);
    if (size > 8 && strcmp(name + size - 8, "_rejects") == 0)
        return aq_config_fail(
            reader, node->key_mark,
            "\"%s\" cannot name %s: NAME_rejects holds the refused messages of NAME", name, what);
    return AQ_OK;
}

static enum aq_status parse_columns(struct aq_config_reader *reader,
                                    const struct aq_config_node *node,
                                    const struct dataset_nodes *nodes,
                                    struct aq_dataset_config *dataset)
{
    const struct aq_config_node *columns = nodes->columns;
    if (columns == NULL)
        return aq_config_fail(reader, node->key_mark,
                              "dataset \"%s\" has no columns; add columns: with NAME: {type: ...}",
                              node->key);
    AQ_TRY(aq_config_expect_mapping(reader, columns, "columns"));
    if (columns->count == 0 || columns->count > AQ_COLUMNS_MAX)
        return aq_config_fail(reader, columns->mark, "a dataset has 1 to %d columns, found %zu",
                              AQ_COLUMNS_MAX, columns->count);
    struct aq_schema *schema = &dataset->schema;
    schema->columns = aq_config_alloc(reader, columns->count, sizeof *schema->columns);
    dataset->columns = aq_config_alloc(reader, columns->count, sizeof *dataset->columns);
    struct aq_former_names *was = aq_config_alloc(reader, columns->count, sizeof *was);
    schema->was = was;
    if (schema->columns == NULL || dataset->columns == NULL || was == NULL)
        return AQ_NO_MEMORY;
    const struct aq_config_node *rest = NULL;
    for (const struct aq_config_node *entry = columns->first; entry; entry = entry->next) {
        size_t i = schema->column_count++;
        AQ_TRY(aq_config_column_parse(reader, entry, &schema->columns[i], &was[i],
                                      &dataset->columns[i]));
        if (dataset->columns[i].from[0].kind != AQ_PATH_REST)
            continue;
        if (rest != NULL)
            return aq_config_fail(
                reader, entry->key_mark,
                "\"%s\" is a second column from \"*\"; \"%s\" takes the rest already", entry->key,
                rest->key);
        rest = entry;
    }
    return AQ_OK;
}

static enum aq_status find_column(struct aq_config_reader *reader, struct aq_config_mark mark,
                                  const char *role, const char *name,
                                  const struct aq_schema *schema, uint32_t *column)
{
    for (size_t i = 0; i < schema->column_count; i++) {
        if (strcmp(schema->columns[i].name, name) == 0) {
            *column = (uint32_t)i;
            return AQ_OK;
        }
    }
    const char **names = aq_config_alloc(reader, schema->column_count, sizeof *names);
    if (names == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < schema->column_count; i++)
        names[i] = schema->columns[i].name;
    return aq_config_fail(reader, mark, "%s: no column \"%s\"; %s", role, name,
                          aq_config_suggest(reader, name, names, schema->column_count));
}

static enum aq_status resolve_one(struct aq_config_reader *reader,
                                  const struct aq_config_node *node, const struct aq_schema *schema,
                                  uint32_t *column)
{
    if (node == NULL)
        return AQ_OK;
    if (node->kind != AQ_NODE_SCALAR)
        return aq_config_fail(reader, node->mark, "%s: expected the name of one column", node->key);
    return find_column(reader, node->mark, node->key, node->text, schema, column);
}

static enum aq_status resolve_list(struct aq_config_reader *reader, const char *role,
                                   const struct aq_config_texts *texts,
                                   const struct aq_schema *schema, size_t *count,
                                   uint32_t **columns)
{
    *columns = aq_config_alloc(reader, texts->count, sizeof **columns);
    if (*columns == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < texts->count; i++) {
        AQ_TRY(find_column(reader, texts->marks[i], role, texts->texts[i], schema, *columns + i));
        for (size_t before = 0; before < i; before++)
            if ((*columns)[before] == (*columns)[i])
                return aq_config_fail(reader, texts->marks[i], "%s: \"%s\" stands here twice", role,
                                      texts->texts[i]);
    }
    *count = texts->count;
    return AQ_OK;
}

static bool contains(const uint32_t *columns, size_t count, uint32_t column)
{
    for (size_t i = 0; i < count; i++)
        if (columns[i] == column)
            return true;
    return false;
}

static enum aq_status resolve_time(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct dataset_nodes *nodes, struct aq_schema *schema)
{
    AQ_TRY(resolve_one(reader, nodes->time, schema, &schema->time_column));
    if (nodes->time == NULL) {
        schema->slot = AQ_SLOT_NONE;
        if (nodes->slot < 0)
            return AQ_OK;
        return aq_config_fail(reader, aq_config_node_find(node, "slot")->key_mark,
                              "slot: needs time: with the column that says when a row happened");
    }
    const struct aq_column *column = &schema->columns[schema->time_column];
    if (column->type != AQ_TYPE_TIMESTAMPTZ)
        return aq_config_fail(reader, nodes->time->mark,
                              "time: column \"%s\" is %s; expected timestamptz", column->name,
                              aq_type_name(column->type));
    schema->slot = nodes->slot < 0 ? AQ_SLOT_DAY : (enum aq_slot)(AQ_SLOT_HOUR + nodes->slot);
    return AQ_OK;
}

/* Of re-sent rows the version says which one counts: it must have an order, and differ. */
static enum aq_status check_version(struct aq_config_reader *reader,
                                    const struct aq_config_node *version,
                                    const struct aq_schema *schema)
{
    if (version == NULL)
        return AQ_OK;
    const struct aq_column *column = &schema->columns[schema->version_column];
    if (column->type == AQ_TYPE_JSON)
        return aq_config_fail(reader, version->mark,
                              "version: column \"%s\" is json, which has no order; take a number, "
                              "a time or a text",
                              column->name);
    if (contains(schema->unique, schema->unique_count, schema->version_column))
        return aq_config_fail(reader, version->mark,
                              "version: column \"%s\" is in unique:, where re-sent rows are equal; "
                              "take it out there or here",
                              column->name);
    return AQ_OK;
}

static enum aq_status check_unique(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct dataset_nodes *nodes,
                                   const struct aq_schema *schema)
{
    const struct aq_config_node *unique = aq_config_node_find(node, "unique");
    if (unique == NULL) {
        const char *needs = nodes->keep >= 0 ? "keep" : nodes->version != NULL ? "version" : NULL;
        if (needs == NULL)
            return AQ_OK;
        return aq_config_fail(reader, aq_config_node_find(node, needs)->key_mark,
                              "%s: needs unique: with the columns that tell rows apart", needs);
    }
    if (schema->unique_count == 0)
        return aq_config_fail(reader, unique->mark, "unique: is an empty list; remove it");
    const uint32_t needed[] = {schema->key_column, schema->time_column};
    for (size_t i = 0; i < 2; i++) {
        if (needed[i] != AQ_COLUMN_NONE &&
            !contains(schema->unique, schema->unique_count, needed[i]))
            return aq_config_fail(reader, unique->mark,
                                  "unique: must include the %s column \"%s\", since rows are only "
                                  "compared within a partition",
                                  i == 0 ? "key" : "time", schema->columns[needed[i]].name);
    }
    return check_version(reader, nodes->version, schema);
}

static enum aq_status check_series(struct aq_config_reader *reader,
                                   const struct dataset_nodes *nodes,
                                   const struct aq_schema *schema)
{
    for (size_t i = 0; i < schema->series_count; i++) {
        uint32_t column = schema->series[i];
        if (column == schema->key_column || column == schema->time_column)
            return aq_config_fail(
                reader, nodes->series.marks[i], "series: \"%s\" is the %s already; leave it out",
                nodes->series.texts[i], column == schema->key_column ? "key" : "time");
        if (schema->unique_count > 0 && !contains(schema->unique, schema->unique_count, column))
            return aq_config_fail(reader, nodes->series.marks[i],
                                  "series: \"%s\" is not in unique:, so that one reading could be "
                                  "in two series; add it there, or leave it out",
                                  nodes->series.texts[i]);
    }
    return AQ_OK;
}

/* Declared, or what `unique` has besides key and time. */
static enum aq_status resolve_series(struct aq_config_reader *reader,
                                     const struct dataset_nodes *nodes, struct aq_schema *schema)
{
    if (nodes->series.texts != NULL) {
        AQ_TRY(resolve_list(reader, "series", &nodes->series, schema, &schema->series_count,
                            &schema->series));
        return check_series(reader, nodes, schema);
    }
    schema->series = aq_config_alloc(reader, schema->unique_count, sizeof *schema->series);
    if (schema->series == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < schema->unique_count; i++) {
        uint32_t column = schema->unique[i];
        if (column != schema->key_column && column != schema->time_column)
            schema->series[schema->series_count++] = column;
    }
    return AQ_OK;
}

enum aq_status aq_config_dataset_parse(struct aq_config_reader *reader,
                                       const struct aq_config_node *node,
                                       struct aq_dataset_config *dataset,
                                       struct aq_retention *retention)
{
    struct dataset_nodes nodes = {.slot = -1, .keep = -1};
    struct aq_schema *schema = &dataset->schema;
    AQ_TRY(aq_config_check_relation(reader, node, "a dataset"));
    char what[RELATION_BYTES_MAX + 16];
    snprintf(what, sizeof what, "dataset \"%s\"", node->key);
    AQ_TRY(aq_config_read_fields(reader, node, what, dataset_fields,
                                 sizeof dataset_fields / sizeof dataset_fields[0], &nodes));
    dataset->mark = node->key_mark;
    schema->dataset = node->key;
    schema->key_column = schema->time_column = schema->version_column = AQ_COLUMN_NONE;
    schema->keep = nodes.keep == 1 ? AQ_KEEP_FIRST : AQ_KEEP_LAST;
    AQ_TRY(parse_columns(reader, node, &nodes, dataset));
    AQ_TRY(resolve_one(reader, nodes.key, schema, &schema->key_column));
    AQ_TRY(resolve_time(reader, node, &nodes, schema));
    AQ_TRY(aq_config_retention_parse(reader, nodes.retention, schema, retention));
    schema->retention_us = retention->default_us;
    if (schema->key_column != AQ_COLUMN_NONE && schema->key_column == schema->time_column)
        return aq_config_fail(reader, nodes.key->mark, "key and time are the same column \"%s\"",
                              nodes.key->text);
    AQ_TRY(resolve_list(reader, "unique", &nodes.unique, schema, &schema->unique_count,
                        &schema->unique));
    AQ_TRY(resolve_one(reader, nodes.version, schema, &schema->version_column));
    AQ_TRY(check_unique(reader, node, &nodes, schema));
    return resolve_series(reader, &nodes, schema);
}
