/* What mends a catalog that cannot be read (docs/recovery.md, "A damaged or lost newest edit").
 *
 * Happy path: from each checkpoint that is there, and from edit 1, as many edits as possible are read: the newest version
 * that can be had. If it is the head, checkpoints are in the way, and are moved aside; if one edit is missing, the
 * newest, the store goes on without it. Else only a copy or the bucket helps.
 * Failures: what cannot be read is what the plan is about; out of memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/store/catalog/catalog_log.h"
#include "engine/store/store.h"
#include "tools/verify/repair_plan.h"

struct numbers {
    struct aq_object_store *objects;
    uint64_t *checkpoints; /* ascending */
    size_t count;
    size_t capacity;
    uint64_t head;    /* newest that is there, or that the hint names */
    uint64_t base;    /* checkpoint that `version` was read from; 0: edit 1 */
    uint64_t version; /* newest that can be read */
};

static enum aq_status note(void *context, const char *name, uint64_t size_bytes)
{
    (void)size_bytes;
    struct numbers *numbers = context;
    uint64_t number;
    bool checkpoint;
    if (!aq_catalog_parse_name(name, &number, &checkpoint))
        return AQ_OK;
    if (number > numbers->head)
        numbers->head = number;
    if (!checkpoint)
        return AQ_OK;
    if (numbers->count == numbers->capacity) {
        size_t capacity = 2 * numbers->capacity + 16;
        uint64_t *grown = realloc(numbers->checkpoints, capacity * sizeof *grown);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        numbers->checkpoints = grown;
        numbers->capacity = capacity;
    }
    numbers->checkpoints[numbers->count++] = number;
    return AQ_OK;
}

static void note_hint(struct numbers *numbers)
{
    struct aq_bytes bytes = {0};
    uint64_t number, checkpoint;
    if (aq_object_get(numbers->objects, AQ_CATALOG_LATEST_NAME, 4096, &bytes, NULL) == AQ_OK &&
        aq_catalog_parse_latest(aq_bytes_view(&bytes), &number, &checkpoint) &&
        number > numbers->head)
        numbers->head = number;
    aq_bytes_deinit(&bytes);
}

/* As far as edits behind the checkpoint can be read. */
static enum aq_status try_base(struct numbers *numbers, uint64_t checkpoint)
{
    const struct aq_catalog *catalog = NULL;
    enum aq_status status =
        checkpoint == 0 ? aq_catalog_load_version(numbers->objects, 0, 1, &catalog, NULL)
                        : aq_catalog_load_checkpoint(numbers->objects, checkpoint, &catalog, NULL);
    struct aq_catalog_state state = {0};
    size_t count;
    if (status == AQ_OK)
        status = aq_catalog_state_begin(&state, catalog);
    if (status == AQ_OK) {
        status = aq_catalog_follow(numbers->objects, &state, &count, NULL);
        if (state.catalog->number > numbers->version) {
            numbers->version = state.catalog->number;
            numbers->base = checkpoint;
        }
        aq_catalog_state_abandon(&state);
    }
    aq_catalog_release(catalog);
    return status == AQ_NO_MEMORY ? status : AQ_OK;
}

static enum aq_status find_version(struct numbers *numbers)
{
    for (size_t i = numbers->count; i > 0 && numbers->version < numbers->head; i--)
        AQ_TRY(try_base(numbers, numbers->checkpoints[i - 1]));
    return numbers->version < numbers->head ? try_base(numbers, 0) : AQ_OK;
}

static void step_copy(struct aq_repair_plan *plan, struct aq_repair *item)
{
    const char *home = aq_repair_quote(plan, plan->home);
    aq_repair_step(plan, item, "# stop every process that has the store open");
    aq_repair_step(plan, item, "cp -a %s/catalog %s/catalog.damaged", home, home);
}

/* Checkpoints that cannot be read, and the hint that may name one, go; older ones and edits say the same. */
static void plan_without_checkpoints(struct aq_repair_plan *plan, struct aq_repair *item,
                                     const struct numbers *numbers)
{
    const char *home = aq_repair_quote(plan, plan->home);
    item->loss = "nothing";
    step_copy(plan, item);
    for (size_t i = 0; i < numbers->count; i++) {
        char name[AQ_CATALOG_NAME_BYTES];
        aq_catalog_checkpoint_name(numbers->checkpoints[i], name, sizeof name);
        if (numbers->checkpoints[i] > numbers->base)
            aq_repair_step(plan, item, "rm %s/%s", home, name);
    }
    aq_repair_step(plan, item, "rm -f %s/%s", home, AQ_CATALOG_LATEST_NAME);
}

static void plan_without_newest(struct aq_repair_plan *plan, struct aq_repair *item,
                                const struct numbers *numbers)
{
    const char *home = aq_repair_quote(plan, plan->home);
    char name[AQ_CATALOG_NAME_BYTES];
    aq_catalog_edit_name(numbers->head, name, sizeof name);
    item->loss = "the newest edit: what it said is done again, and read again from the sources "
                 "(docs/recovery.md, \"A damaged or lost newest edit\")";
    aq_repair_step(plan, item,
                   "# a newer copy of the folder catalog is better: put it in its place");
    step_copy(plan, item);
    aq_repair_step(plan, item, "rm -f %s/%s %s/%s", home, name, home, AQ_CATALOG_LATEST_NAME);
}

static void plan_from_copy(struct aq_repair_plan *plan, struct aq_repair *item,
                           const struct numbers *numbers)
{
    item->loss = "what came in since the copy was made";
    aq_repair_step(plan, item,
                   "# edits up to %" PRIu64 " of %" PRIu64
                   " can be read; without the next one nobody knows what those behind it say",
                   numbers->version, numbers->head);
    aq_repair_step(
        plan, item,
        "# put the missing or damaged files back from a copy of %s/catalog; or, from the "
        "bucket, into a new home:",
        plan->home);
    aq_repair_step(plan, item, "aqstore --store NEW_HOME restore --from s3://BUCKET/PREFIX");
}

enum aq_status aq_repair_catalog(struct aq_repair_plan *plan, struct aq_error *err)
{
    struct numbers numbers = {0};
    const char *folder = aq_arena_format(&plan->arena, "%s/catalog", plan->home);
    struct aq_repair *item = folder == NULL ? NULL : aq_repair_add(plan, folder);
    if (item == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a plan");
    AQ_TRY(aq_object_open_dir(plan->home, false, &numbers.objects, err));
    enum aq_status status = aq_object_list(numbers.objects, "catalog/", note, &numbers, err);
    note_hint(&numbers);
    if (status == AQ_OK)
        status = find_version(&numbers);
    if (status == AQ_OK && numbers.version == numbers.head)
        plan_without_checkpoints(plan, item, &numbers);
    else if (status == AQ_OK && numbers.version > 0 && numbers.version + 1 == numbers.head)
        plan_without_newest(plan, item, &numbers);
    else if (status == AQ_OK)
        plan_from_copy(plan, item, &numbers);
    free(numbers.checkpoints);
    aq_object_close(numbers.objects);
    return status == AQ_NO_MEMORY ? aq_error_set(err, status, "no memory for a plan") : status;
}
