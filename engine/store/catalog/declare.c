/* Recording what a dataset is, so that a store can be read without the config that made it.
 *
 * Happy path: the wanted declaration gets the ids of the one in force (columns keep theirs, by name or
 * former name, new ones get the next, those no longer named stay, hidden); if that changes nothing, nothing is
 * committed; else it becomes the next version, or with its rejects a new dataset.
 * Failures: a changed type, key, time or slot is AQ_INVALID with what to do: files written so far would
 * no longer be what the declaration says. */
#include "engine/store/catalog/catalog_state.h"
#include "engine/store/catalog/declare_columns.h"
#include "engine/store/store_internal.h"

#include <stdio.h>
#include <string.h>

struct declaration {
    const struct aq_schema *wanted;
    uint32_t dataset_id; /* result */
};

static enum aq_status refuse(struct aq_error *err, const char *dataset, const char *what,
                             const char *recorded, const char *wanted)
{
    return aq_error_set(err, AQ_INVALID,
                        "dataset \"%s\": %s is recorded as \"%s\" and cannot be changed to "
                        "\"%s\"; declare a new dataset, or undo the change",
                        dataset, what, recorded, wanted);
}

static const char *column_name(const struct aq_schema *schema, uint32_t column)
{
    return column == AQ_COLUMN_NONE ? "none" : schema->columns[column].name;
}

/* The column of a role may have another name now, but must be the same. */
static bool same_column(uint32_t recorded, uint32_t wanted, const uint32_t *matches)
{
    if (recorded == AQ_COLUMN_NONE || wanted == AQ_COLUMN_NONE)
        return recorded == wanted;
    return matches[wanted] == recorded;
}

static enum aq_status check_change(const struct aq_schema *old, const struct aq_schema *wanted,
                                   const uint32_t *matches, struct aq_error *err)
{
    if (!same_column(old->key_column, wanted->key_column, matches))
        return refuse(err, wanted->dataset, "the key", column_name(old, old->key_column),
                      column_name(wanted, wanted->key_column));
    if (!same_column(old->time_column, wanted->time_column, matches))
        return refuse(err, wanted->dataset, "the time column", column_name(old, old->time_column),
                      column_name(wanted, wanted->time_column));
    if (old->slot != wanted->slot)
        return refuse(err, wanted->dataset, "the slot", aq_slot_name(old->slot),
                      aq_slot_name(wanted->slot));
    if (old->rejects_of != 0)
        return aq_error_set(err, AQ_INVALID, "\"%s\" names the rejects of another dataset",
                            wanted->dataset);
    return AQ_OK;
}

static uint32_t next_column_id(const struct aq_catalog *catalog, uint32_t dataset_id)
{
    uint32_t next = 1;
    const struct aq_schema *schema = aq_catalog_schema_by_id(catalog, dataset_id, 0);
    /* Columns are hidden, never dropped: the newest version knows every id. */
    for (size_t i = 0; schema != NULL && i < schema->column_count; i++) {
        if (schema->columns[i].id >= next)
            next = schema->columns[i].id + 1;
    }
    return next;
}

static enum aq_status refuse_count(const struct aq_schema *wanted, struct aq_error *err)
{
    return aq_error_set(err, AQ_LIMIT,
                        "dataset \"%s\" has more than %d columns, hidden ones included",
                        wanted->dataset, AQ_COLUMNS_MAX);
}

static bool is_wanted(const struct aq_schema *wanted, const uint32_t *matches, uint32_t recorded)
{
    for (size_t i = 0; i < wanted->column_count; i++)
        if (matches[i] == recorded)
            return true;
    return false;
}

/* The declaration to record: `wanted` with ids, and behind its columns those it no longer names. */
static enum aq_status merge(const struct aq_catalog *catalog, const struct aq_schema *old,
                            const struct aq_schema *wanted, const uint32_t *matches,
                            struct aq_arena *arena, struct aq_schema *merged, struct aq_error *err)
{
    size_t old_count = old == NULL ? 0 : old->column_count;
    AQ_TRY(aq_schema_copy(wanted, arena, merged));
    struct aq_column *columns =
        aq_arena_alloc(arena, (wanted->column_count + old_count) * sizeof *columns);
    if (columns == NULL)
        return AQ_NO_MEMORY;
    uint32_t next_id = next_column_id(catalog, old == NULL ? 0 : old->dataset_id);
    for (size_t i = 0; i < wanted->column_count; i++) {
        columns[i] = merged->columns[i];
        bool is_new = old == NULL || matches[i] == AQ_COLUMN_NONE;
        columns[i].id = is_new ? next_id++ : old->columns[matches[i]].id;
        columns[i].hidden = false;
    }
    merged->columns = columns;
    for (uint32_t i = 0; i < old_count; i++) {
        if (is_wanted(wanted, matches, i))
            continue;
        columns[merged->column_count] = old->columns[i];
        columns[merged->column_count].hidden = true;
        columns[merged->column_count].required = false;
        merged->column_count++;
    }
    return merged->column_count > AQ_COLUMNS_MAX ? refuse_count(wanted, err) : AQ_OK;
}

static bool same_bytes(const struct aq_schema *a, const struct aq_schema *b)
{
    struct aq_bytes bytes_a = {0};
    struct aq_bytes bytes_b = {0};
    aq_schema_encode(a, &bytes_a);
    aq_schema_encode(b, &bytes_b);
    bool same = !bytes_a.failed && !bytes_b.failed &&
                aq_slice_equal(aq_bytes_view(&bytes_a), aq_bytes_view(&bytes_b));
    aq_bytes_deinit(&bytes_a);
    aq_bytes_deinit(&bytes_b);
    return same;
}

static enum aq_status add_dataset(struct aq_edit *edit, const struct aq_schema *schema)
{
    return aq_edit_add(edit, &(struct aq_record){.kind = AQ_RECORD_DATASET, .dataset = *schema});
}

static enum aq_status build_new(const struct aq_catalog *catalog, struct aq_schema *merged,
                                struct aq_edit *edit, struct aq_error *err)
{
    struct aq_schema rejects;
    merged->dataset_id = catalog->next_dataset_id;
    merged->version = 1;
    merged->rejects_of = 0;
    AQ_TRY(aq_schema_rejects(merged, merged->dataset_id + 1, &edit->arena, &rejects));
    if (aq_catalog_schema(catalog, rejects.dataset) != NULL)
        return aq_error_set(err, AQ_INVALID,
                            "dataset \"%s\" needs the name \"%s\" for its rejects, but there is a "
                            "dataset of that name; choose another name",
                            merged->dataset, rejects.dataset);
    AQ_TRY(add_dataset(edit, merged));
    return add_dataset(edit, &rejects);
}

static enum aq_status build_declaration(void *context, const struct aq_catalog *catalog,
                                        struct aq_edit *edit, struct aq_error *err)
{
    struct declaration *declaration = context;
    const struct aq_schema *wanted = declaration->wanted;
    const struct aq_schema *old = aq_catalog_schema(catalog, wanted->dataset);
    struct aq_schema merged;
    uint32_t matches[AQ_COLUMNS_MAX];
    if (wanted->column_count > AQ_COLUMNS_MAX)
        return refuse_count(wanted, err);
    AQ_TRY(aq_declare_match(old, wanted, matches, err));
    if (old != NULL)
        AQ_TRY(check_change(old, wanted, matches, err));
    AQ_TRY(merge(catalog, old, wanted, matches, &edit->arena, &merged, err));
    if (old == NULL) {
        declaration->dataset_id = catalog->next_dataset_id;
        return build_new(catalog, &merged, edit, err);
    }
    declaration->dataset_id = old->dataset_id;
    merged.dataset_id = old->dataset_id;
    merged.version = old->version;
    merged.rejects_of = 0;
    if (same_bytes(&merged, old))
        return AQ_END;
    merged.version++;
    return add_dataset(edit, &merged);
}

static const struct aq_schema *rejects_of(const struct aq_catalog *catalog, uint32_t dataset_id)
{
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        if (catalog->datasets[i].versions[0].rejects_of == dataset_id)
            return aq_catalog_schema_by_id(catalog, catalog->datasets[i].versions[0].dataset_id, 0);
    }
    return NULL;
}

/* A copy that lives as long as the store is open. */
static enum aq_status lend(struct aq_store *store, const struct aq_schema *schema,
                           const struct aq_schema **lent)
{
    struct aq_schema *copy = aq_arena_alloc(&store->declared, sizeof *copy);
    if (schema == NULL || copy == NULL || aq_schema_copy(schema, &store->declared, copy) != AQ_OK)
        return AQ_NO_MEMORY;
    *lent = copy;
    return AQ_OK;
}

enum aq_status aq_store_declare(struct aq_store *store, const struct aq_schema *schema,
                                const struct aq_schema **recorded, const struct aq_schema **rejects,
                                struct aq_error *err)
{
    struct declaration declaration = {.wanted = schema};
    AQ_TRY(aq_store_commit(store, build_declaration, &declaration, err));
    const struct aq_catalog *catalog = aq_store_current(store);
    pthread_mutex_lock(&store->advance);
    enum aq_status status =
        lend(store, aq_catalog_schema_by_id(catalog, declaration.dataset_id, 0), recorded);
    if (status == AQ_OK)
        status = lend(store, rejects_of(catalog, declaration.dataset_id), rejects);
    pthread_mutex_unlock(&store->advance);
    aq_catalog_release(catalog);
    return status == AQ_OK ? AQ_OK : aq_error_set(err, status, "out of memory");
}

struct view_declaration {
    const char *name;
    const char *sql;
};

static enum aq_status build_view(void *context, const struct aq_catalog *catalog,
                                 struct aq_edit *edit, struct aq_error *err)
{
    (void)err;
    const struct view_declaration *wanted = context;
    const struct aq_catalog_view *old = aq_catalog_view(catalog, wanted->name);
    struct aq_slice sql = aq_slice_of(wanted->sql);
    if (old == NULL ? sql.size == 0 : aq_slice_equal(old->sql, sql))
        return AQ_END;
    return aq_edit_add(
        edit, &(struct aq_record){.kind = AQ_RECORD_VIEW,
                                  .view = {.name = aq_slice_of(wanted->name), .sql = sql}});
}

enum aq_status aq_store_declare_view(struct aq_store *store, const char *name, const char *sql,
                                     struct aq_error *err)
{
    struct view_declaration wanted = {.name = name, .sql = sql};
    enum aq_status status = aq_store_commit(store, build_view, &wanted, err);
    return status == AQ_END ? AQ_OK : status;
}
