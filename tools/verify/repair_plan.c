/* Faults -> steps.
 *
 * Happy path: each file that has faults becomes one item. What the catalog names and the bucket has, too, is fetched; of
 * anything else a copy is put back, or what can still be read is exported and the file given up. A catalog that can be
 * read needs nothing but patience; one that cannot is looked at by repair_catalog.c.
 * Failures: out of memory. */
#include "tools/verify/repair_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output/text/json_print.h"

struct aq_repair *aq_repair_add(struct aq_repair_plan *plan, const char *file)
{
    if (plan->count == plan->capacity) {
        size_t capacity = 2 * plan->capacity + 8;
        struct aq_repair *grown = realloc(plan->items, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        plan->items = grown;
        plan->capacity = capacity;
    }
    struct aq_repair *item = &plan->items[plan->count++];
    *item = (struct aq_repair){.file = file, .loss = "nothing"};
    return item;
}

void aq_repair_step(struct aq_repair_plan *plan, struct aq_repair *item, const char *format, ...)
{
    char text[2 * AQ_ERROR_PATH_MAX + 512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *copy = aq_arena_string(&plan->arena, text);
    if (copy != NULL && item->step_count < AQ_REPAIR_STEPS_MAX)
        item->steps[item->step_count++] = copy;
}

const char *aq_repair_quote(struct aq_repair_plan *plan, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@%";
    struct aq_bytes out = {0};
    if (text[0] != '\0' && strspn(text, plain) == strlen(text))
        return text;
    aq_bytes_chars(&out, "'");
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\'')
            aq_bytes_chars(&out, "'\\''");
        else
            aq_bytes_u8(&out, (uint8_t)*at);
    }
    aq_bytes_chars(&out, "'");
    aq_bytes_u8(&out, 0);
    const char *copy = aq_bytes_status(&out) == AQ_OK
                           ? aq_arena_string(&plan->arena, (const char *)out.data)
                           : NULL;
    aq_bytes_deinit(&out);
    return copy == NULL ? "" : copy;
}

/* The file that lies at `path`, or of which the object that ends so is a copy. */
static const struct aq_catalog_file *find_file(const struct aq_catalog *catalog, const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        char name[64];
        aq_catalog_file_name(file->kind, file->file_id, name, sizeof name);
        size_t name_length = strlen(name);
        if (length > name_length && strcmp(path + length - name_length, name) == 0)
            return file;
        if (file->object.size > 0 && length > file->object.size &&
            memcmp(path + length - file->object.size, file->object.data, file->object.size) == 0)
            return file;
    }
    return NULL;
}

/* "500 rows of air, 2024-01-01 00:00:00+00 .. 2024-02-03 10:20:00+00" */
static const char *describe_rows(struct aq_repair_plan *plan, const struct aq_catalog *catalog,
                                 const struct aq_catalog_file *file)
{
    const char *text = "";
    if (file->state == AQ_FILE_OPEN)
        return "rows that had not been sealed yet";
    for (size_t i = 0; i < file->entry_count && text != NULL; i++) {
        const struct aq_file_entry *entry = &file->entries[i];
        const struct aq_schema *schema = aq_catalog_schema_by_id(catalog, entry->dataset_id, 0);
        char span[AQ_SPAN_TEXT_BYTES];
        if (entry->row_count == 0)
            continue;
        text = aq_arena_format(
            &plan->arena, "%s%s%" PRIu64 " rows of %s, %s", text, text[0] == '\0' ? "" : "; ",
            entry->row_count, schema != NULL ? schema->dataset : "a dataset",
            aq_span_text(entry->has_time, entry->min_time_us, entry->max_time_us, span));
    }
    return text == NULL ? "" : text;
}

/* What can be read of the dataset around the damage, and where the rest may come from. */
static void step_rows(struct aq_repair_plan *plan, struct aq_repair *item,
                      const struct aq_catalog *catalog, const struct aq_file_entry *entry)
{
    const struct aq_schema *schema = aq_catalog_schema_by_id(catalog, entry->dataset_id, 0);
    if (schema == NULL || schema->rejects_of != 0 || entry->row_count == 0)
        return;
    if (entry->has_time)
        aq_repair_step(plan, item,
                       "# days of it that can be read: %s export --dataset %s --format ndjson --to "
                       "DIR --where \"%s >= 'DAY' AND %s < 'NEXT DAY'\"",
                       plan->store, schema->dataset, schema->columns[schema->time_column].name,
                       schema->columns[schema->time_column].name);
    aq_repair_step(plan, item,
                   "# afterwards, from the files that had the rows: aqstore --config CONFIG import "
                   "--dataset %s --replace --span day FILE...",
                   schema->dataset);
}

/* Nobody else has it: a copy, or without it. */
static void plan_without(struct aq_repair_plan *plan, struct aq_repair *item,
                         const struct aq_catalog *catalog, const struct aq_catalog_file *file,
                         const char *name)
{
    const char *home = aq_repair_quote(plan, plan->home);
    const char *rows = describe_rows(plan, catalog, file);
    item->loss = aq_arena_format(&plan->arena, "%s, unless there is a copy", rows);
    if (item->loss == NULL)
        item->loss = "";
    if (file->state == AQ_FILE_CLOSED) {
        aq_repair_step(plan, item,
                       "# any copy of the file will do, however old: cp BACKUP/%s %s/%s", name,
                       home, name);
        aq_repair_step(plan, item, "%s verify --deep %s/%s", plan->store, home, name);
    }
    for (size_t i = 0; i < file->entry_count; i++)
        step_rows(plan, item, catalog, &file->entries[i]);
    aq_repair_step(plan, item, "# without a copy: take it out of the store; gc removes it later");
    aq_repair_step(plan, item, "%s restore --give-up %s", plan->store, name);
    if (file->state == AQ_FILE_OPEN)
        aq_repair_step(plan, item,
                       "# then its sources are read again from where it began: aqstore --config "
                       "CONFIG ingest, or import of the same files");
}

static void plan_file(struct aq_repair_plan *plan, struct aq_repair *item,
                      const struct aq_catalog *catalog, const struct aq_catalog_file *file)
{
    char name[64];
    aq_catalog_file_name(file->kind, file->file_id, name, sizeof name);
    bool in_bucket = strncmp(item->file, "s3://", 5) == 0;
    if (in_bucket && file->evicted) {
        item->loss = describe_rows(plan, catalog, file);
        aq_repair_step(plan, item,
                       "# it was in the bucket only: bring the object back from a version or a "
                       "replica of the bucket");
    } else if (in_bucket) {
        aq_repair_step(plan, item, "# the file at home is whole; put it in place of the object:");
        aq_repair_step(plan, item, "aws s3 cp %s/%s %s", aq_repair_quote(plan, plan->home), name,
                       aq_repair_quote(plan, item->file));
    } else if (file->object.size > 0) {
        aq_repair_step(plan, item, "%s restore --file %s", plan->store, name);
    } else {
        plan_without(plan, item, catalog, file, name);
    }
}

/* Opening did without it: the past needs it, or nobody. */
static void plan_past(struct aq_repair_plan *plan, struct aq_repair *item)
{
    if (strstr(item->file, "/catalog/latest") != NULL) {
        aq_repair_step(plan, item, "# only a hint: the next commit writes it anew");
        return;
    }
    item->loss = "nothing; the store does not need it any more";
    aq_repair_step(plan, item,
                   "# put it back from a copy, or leave it: gc removes nothing (exit 3) as long as "
                   "`history:` reaches back to it, and then removes it");
}

static bool is_planned(const struct aq_repair_plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (strcmp(plan->items[i].file, path) == 0)
            return true;
    }
    return false;
}

static enum aq_status plan_fault(struct aq_repair_plan *plan, const struct aq_catalog *catalog,
                                 const char *path, struct aq_error *err)
{
    const struct aq_catalog_file *file = find_file(catalog, path);
    if (is_planned(plan, path))
        return AQ_OK;
    const char *copy = aq_arena_string(&plan->arena, path);
    struct aq_repair *item = copy == NULL ? NULL : aq_repair_add(plan, copy);
    if (item == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a plan");
    if (file != NULL)
        plan_file(plan, item, catalog, file);
    else
        plan_past(plan, item);
    return AQ_OK;
}

enum aq_status aq_repair_plan_make(struct aq_repair_plan *plan, const struct aq_verify *verify,
                                   const char *home, const struct aq_catalog *catalog,
                                   struct aq_error *err)
{
    plan->home = aq_arena_string(&plan->arena, home);
    if (plan->home != NULL)
        plan->store =
            aq_arena_format(&plan->arena, "aqstore --store %s", aq_repair_quote(plan, plan->home));
    if (plan->home == NULL || plan->store == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a plan");
    if (catalog == NULL)
        return verify->fault_count == 0 ? AQ_OK : aq_repair_catalog(plan, err);
    for (const struct aq_fault *fault = verify->faults; fault != NULL; fault = fault->next)
        AQ_TRY(plan_fault(plan, catalog, fault->error.path, err));
    return AQ_OK;
}

void aq_repair_plan_deinit(struct aq_repair_plan *plan)
{
    free(plan->items);
    aq_arena_deinit(&plan->arena);
    *plan = (struct aq_repair_plan){0};
}

void aq_repair_plan_text(const struct aq_repair_plan *plan, struct aq_bytes *out)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct aq_repair *item = &plan->items[i];
        aq_bytes_chars(out, i == 0 ? "\nTo mend it:\n\n" : "\n");
        aq_bytes_chars(out, item->file);
        aq_bytes_chars(out, "\n  lost: ");
        aq_bytes_chars(out, item->loss);
        aq_bytes_chars(out, "\n");
        for (size_t step = 0; step < item->step_count; step++) {
            aq_bytes_chars(out, "  ");
            aq_bytes_chars(out, item->steps[step]);
            aq_bytes_chars(out, "\n");
        }
    }
    if (plan->count > 0) {
        aq_bytes_chars(out, "\nand in the end\n  ");
        aq_bytes_chars(out, plan->store);
        aq_bytes_chars(out, " verify --deep\n");
    }
}

void aq_repair_plan_json(const struct aq_repair_plan *plan, struct aq_bytes *out)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct aq_repair *item = &plan->items[i];
        aq_json_name(out, NULL);
        aq_json_open(out, '{');
        aq_json_member_text(out, "file", item->file);
        aq_json_member_text(out, "loss", item->loss);
        aq_json_name(out, "steps");
        aq_json_open(out, '[');
        for (size_t step = 0; step < item->step_count; step++)
            aq_json_member_text(out, NULL, item->steps[step]);
        aq_json_close(out, ']');
        aq_json_close(out, '}');
    }
}
