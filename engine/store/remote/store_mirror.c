/* A store without a home: the catalog as a bucket's newest mirror has it, to be read only.
 *
 * Happy path: the mirror is read whole by opening, and again for each snapshot but the first. No
 * locks: what a mirror names stays in the bucket for `history:`.
 * Failures: a bucket without a store, or whose store was never mirrored, is AQ_NOT_FOUND. */
#include "engine/store/remote/remote.h"
#include "engine/store/store_internal.h"
enum aq_status aq_store_read_mirror(struct aq_store *store, struct aq_error *err)
{
    struct aq_remote_catalog remote;
    bool opening = store->catalog == NULL;
    if (store->mirror_is_fresh) {
        store->mirror_is_fresh = false;
        return AQ_OK;
    }
    enum aq_status status = aq_remote_load(store->bucket, &remote, err);
    if (status < 0) {
        aq_catalog_release(remote.catalog);
        return status;
    }
    store->mirror_is_fresh = opening;
    aq_store_replace(store, remote.catalog);
    return AQ_OK;
}

enum aq_status aq_store_refuse_write(const struct aq_store *store, struct aq_error *err)
{
    return aq_error_set_at(err, AQ_INVALID, store->home, -1,
                           "a store in a bucket is read-only; `aqstore restore` makes a home of it "
                           "that can be written to");
}
