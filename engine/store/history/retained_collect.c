/* Removing what of the catalog's folder no kept version needs.
 *
 * Happy path: the hint is made to name a checkpoint that stays; superseded checkpoints go, and that is durable before the
 * first edit goes; then the edits, the lowest first. Whoever began with a checkpoint that is gone sees by that that
 * edits may be missing behind it; edit 1 stands for the checkpoint of those that began with none.
 * Killed anywhere: what is left is removed by the next run; nothing else depends on it. */
#include "engine/store/history/retained.h"

#include "engine/store/catalog/catalog_log.h"
#include "engine/store/store_internal.h"

static enum aq_status remove_checkpoints(struct aq_object_store *objects,
                                         const struct aq_retained *retained,
                                         struct aq_collected *collected, struct aq_error *err)
{
    char name[AQ_CATALOG_NAME_BYTES];
    for (size_t i = 0; i < retained->checkpoint_count; i++) {
        aq_catalog_checkpoint_name(retained->checkpoints[i], name, sizeof name);
        AQ_TRY(aq_object_delete(objects, name, err));
        collected->checkpoint_count++;
    }
    return aq_object_settle(objects, AQ_CATALOG_LATEST_NAME, err);
}

static enum aq_status remove_edits(struct aq_object_store *objects,
                                   const struct aq_retained *retained,
                                   struct aq_collected *collected, struct aq_error *err)
{
    char name[AQ_CATALOG_NAME_BYTES];
    for (size_t i = 0; i < retained->edit_count; i++) {
        aq_catalog_edit_name(retained->edits[i], name, sizeof name);
        AQ_TRY(aq_object_delete(objects, name, err));
        collected->edit_count++;
    }
    return aq_object_settle(objects, AQ_CATALOG_LATEST_NAME, err);
}

enum aq_status aq_retained_collect(struct aq_store *store, const struct aq_retained *retained,
                                   struct aq_collected *collected, struct aq_error *err)
{
    *collected = (struct aq_collected){0};
    if (retained->checkpoint_count == 0 && retained->edit_count == 0)
        return AQ_OK;
    AQ_TRY(aq_catalog_put_latest(store->objects, retained->head->number,
                                 retained->newest_checkpoint, err));
    AQ_TRY(remove_checkpoints(store->objects, retained, collected, err));
    return remove_edits(store->objects, retained, collected, err);
}
