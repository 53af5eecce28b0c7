/* Listings: ListObjectsV2, a page after the other.
 *
 * A page is read whole before anything of it is handed on, so that a page that is asked for again is not
 * handed on twice. Keys that are no names of ours (somebody else's, in the same bucket) are passed over.
 * Names must ascend: a server that sends them in another order is AQ_IO. */
#include "engine/object/s3/s3_objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 256

struct listing {
    struct aq_s3_store *store;
    const char *prefix;
    aq_object_visit_fn visit;
    void *context;
    char *token; /* of the next page; NULL: the first */
    char last[NAME_BYTES_MAX];
};

/* Parameters in the order of their names: it is signed as it stands. */
static enum aq_status make_query(const struct listing *listing, struct aq_bytes *query)
{
    if (listing->token != NULL) {
        aq_bytes_chars(query, "continuation-token=");
        aq_s3_encode(query, listing->token, false);
        aq_bytes_u8(query, '&');
    }
    aq_bytes_chars(query, "delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=");
    aq_s3_encode(query, listing->store->address.prefix, false);
    aq_s3_encode(query, listing->prefix, false);
    aq_bytes_u8(query, '\0');
    return aq_bytes_status(query);
}

static enum aq_status hand_on(struct listing *listing, const struct aq_s3_entry *entry,
                              struct aq_error *err)
{
    const char *own = listing->store->address.prefix;
    size_t own_size = strlen(own);
    if (strncmp(entry->key, own, own_size) != 0)
        return aq_error_set(err, AQ_IO, "the server lists keys that were not asked for");
    const char *name = entry->key + own_size;
    if (!aq_object_name_valid(name))
        return AQ_OK;
    if (strcmp(name, listing->last) <= 0)
        return aq_error_set(err, AQ_IO,
                            "the server lists keys out of order: such a bucket is not supported");
    snprintf(listing->last, sizeof listing->last, "%s", name);
    return listing->visit(listing->context, name, entry->size_bytes);
}

static enum aq_status next_page(struct listing *listing, struct aq_error *err)
{
    struct aq_bytes query = {0};
    struct aq_bytes body = {0};
    struct aq_s3_page page = {0};
    enum aq_status status = make_query(listing, &query);
    struct aq_s3_request request = {
        .kind = AQ_S3_LIST,
        .query = (const char *)query.data,
        .out = &body,
        .out_max = AQ_S3_LISTING_BYTES_MAX,
        .root = "ListBucketResult",
    };
    if (status == AQ_OK)
        status = aq_s3_run_one(listing->store, &request, err);
    if (status == AQ_OK)
        status = aq_s3_page_read(aq_bytes_view(&body), &page, err);
    for (size_t i = 0; status == AQ_OK && i < page.entry_count; i++)
        status = hand_on(listing, &page.entries[i], err);
    free(listing->token);
    listing->token = status == AQ_OK && page.truncated ? page.next : NULL;
    if (listing->token != NULL)
        page.next = NULL;
    aq_s3_page_deinit(&page);
    aq_bytes_deinit(&query);
    aq_bytes_deinit(&body);
    return status;
}

enum aq_status aq_s3_list(struct aq_object_store *store, const char *prefix,
                          aq_object_visit_fn visit, void *context, struct aq_error *err)
{
    struct listing listing = {
        .store = (struct aq_s3_store *)store, .prefix = prefix, .visit = visit, .context = context};
    enum aq_status status;
    do {
        status = next_page(&listing, err);
    } while (status == AQ_OK && listing.token != NULL);
    free(listing.token);
    struct aq_object_path path = aq_object_path(store, prefix);
    return aq_error_locate(err, status, path.text, 0);
}
