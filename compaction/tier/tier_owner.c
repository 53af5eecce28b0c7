/* Whose bucket it is. A store's incarnations are registered in it; the newest one owns it, and of two copies of
 * its home the one that filled it last.
 *
 * Where conditions are not honoured none is registered: then only a file of this store that is there tells the
 * right bucket from another. */
#include "compaction/tier/tier_job.h"
#include "engine/store/remote/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct aq_catalog_file *any_placed(const struct aq_catalog *catalog)
{
    for (size_t i = 0; i < catalog->file_count; i++) {
        if (catalog->files[i].object.size > 0)
            return &catalog->files[i];
    }
    return NULL;
}

/* A bucket without a store in it: new, or not the one that the catalog's files are in. */
static enum aq_status check_unowned(struct aq_object_store *bucket,
                                    const struct aq_catalog *catalog, struct aq_error *err)
{
    const struct aq_catalog_file *placed = any_placed(catalog);
    char name[AQ_TIER_OBJECT_BYTES];
    uint64_t size_bytes;
    if (placed == NULL)
        return AQ_OK;
    snprintf(name, sizeof name, "%.*s", (int)placed->object.size,
             (const char *)placed->object.data);
    enum aq_status status = aq_object_head(bucket, name, &size_bytes, err);
    if (status == AQ_NOT_FOUND)
        return aq_error_set_at(err, AQ_INVALID, aq_object_path(bucket, name).text, -1,
                               "is missing: files of this store are in a bucket, but not in this "
                               "one; name the right one, or copy all objects into it first");
    return status;
}

static enum aq_status judge(struct aq_object_store *bucket, const struct aq_catalog *catalog,
                            uint64_t newest, const struct aq_store_id *store_id,
                            struct aq_error *err)
{
    struct aq_object_path path = aq_object_path(bucket, "");
    if (newest == 0)
        return check_unowned(bucket, catalog, err);
    if (memcmp(store_id, &catalog->store_id, sizeof *store_id) != 0)
        return aq_error_set_at(err, AQ_CONFLICT, path.text, -1,
                               "holds another store; give each store a prefix of its own");
    if (newest > catalog->incarnation)
        return aq_error_set_at(err, AQ_CONFLICT, path.text, -1,
                               "this home was superseded by a restore elsewhere (it is incarnation "
                               "%" PRIu64 ", the newest is %" PRIu64
                               "); nothing was changed: go on with the restored home",
                               catalog->incarnation, newest);
    return AQ_OK;
}

enum aq_status aq_tier_check_owner(struct aq_store *store, struct aq_object_store *bucket,
                                   uint64_t *newest, struct aq_error *err)
{
    struct aq_store_id store_id;
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_remote_incarnation(bucket, newest, &store_id, err));
    AQ_TRY(aq_store_catalog(store, true, &catalog, err));
    enum aq_status status = judge(bucket, catalog, *newest, &store_id, err);
    bool registered = *newest == catalog->incarnation;
    aq_catalog_release(catalog);
    if (status == AQ_OK && registered)
        status = aq_remote_check_line(bucket, store, err);
    return status;
}

enum aq_status aq_tier_check_home(struct aq_store *store, struct aq_object_store *bucket,
                                  struct aq_error *err)
{
    uint64_t newest;
    return aq_tier_check_owner(store, bucket, &newest, err);
}
