/* Opening a segment, claiming feeds.
 *
 * Happy path: one edit names the segment and the claims; then the file is made and locked, and is found
 * still open in the catalog; then its header is written durably. From here on frames may be acked.
 * Failures: recovery in another process may close the segment between the edit and the lock, taking it
 * for a dead writer's: then another one is opened. The edit comes first, the file second: so no file
 * exists that the catalog does not know, and gc never meets one that is about to be named. */
#include "engine/store/segment/segment_open.h"

#include "engine/store/store_internal.h"
#include "format/base/mutant.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define OPEN_TRIES 5
#define LOCK_WAIT_MS 1000

void aq_feed_claims_deinit(struct aq_feed_claims *claims)
{
    free(claims->feeds);
    *claims = (struct aq_feed_claims){0};
}

const struct aq_claimed_feed *aq_feed_claims_find(const struct aq_feed_claims *claims,
                                                  uint64_t feed_id)
{
    /* From the end: the newest claim is the one in use. */
    for (size_t i = claims->feed_count; i > 0; i--) {
        if (claims->feeds[i - 1].feed_id == feed_id)
            return &claims->feeds[i - 1];
    }
    return NULL;
}

static struct aq_claimed_feed *find_claim(struct aq_feed_claims *claims, uint64_t feed_id)
{
    return (struct aq_claimed_feed *)aq_feed_claims_find(claims, feed_id);
}

void aq_feed_claims_append(struct aq_feed_claims *claims, const struct aq_source_range *ranges,
                           size_t range_count)
{
    for (size_t i = 0; i < range_count; i++) {
        struct aq_claimed_feed *feed = find_claim(claims, ranges[i].feed_id);
        assert(feed != NULL && ranges[i].first_ordinal >= feed->appended_ordinal &&
               ranges[i].next_ordinal >= ranges[i].first_ordinal);
        feed->appended_ordinal = ranges[i].next_ordinal;
    }
}

void aq_feed_claims_advance(struct aq_feed_claims *claims, const struct aq_source_range *ranges,
                            size_t range_count)
{
    for (size_t i = 0; i < range_count; i++) {
        struct aq_claimed_feed *feed = find_claim(claims, ranges[i].feed_id);
        assert(feed != NULL);
        feed->next_ordinal = ranges[i].next_ordinal;
        feed->finished = ranges[i].finished;
    }
}

enum aq_status aq_feed_claims_reserve(struct aq_feed_claims *claims, size_t count,
                                      struct aq_error *err)
{
    size_t needed = claims->feed_count + count;
    if (needed <= claims->feed_capacity)
        return AQ_OK;
    size_t capacity = claims->feed_capacity * 2 + 8;
    capacity = capacity < needed ? needed : capacity;
    struct aq_claimed_feed *grown = realloc(claims->feeds, capacity * sizeof *grown);
    if (grown == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    claims->feeds = grown;
    claims->feed_capacity = capacity;
    return AQ_OK;
}

void aq_feed_claims_note(struct aq_feed_claims *claims, const struct aq_claimed_feed *feed)
{
    struct aq_claimed_feed *noted = find_claim(claims, feed->feed_id);
    if (noted == NULL)
        noted = &claims->feeds[claims->feed_count++];
    *noted = *feed;
}

void aq_feed_claims_forget(struct aq_feed_claims *claims, uint64_t feed_id)
{
    struct aq_claimed_feed *feed = find_claim(claims, feed_id);
    if (feed != NULL)
        *feed = claims->feeds[--claims->feed_count];
}

static void drop_finished(struct aq_feed_claims *claims)
{
    size_t kept = 0;
    for (size_t i = 0; i < claims->feed_count; i++) {
        if (!claims->feeds[i].finished)
            claims->feeds[kept++] = claims->feeds[i];
    }
    claims->feed_count = kept;
}

/* Building the edit. */

static enum aq_status add_claim(const struct aq_segment_header *header, uint64_t feed_id,
                                uint64_t from_ordinal, struct aq_edit *edit)
{
    struct aq_record record = {.kind = AQ_RECORD_CLAIM,
                               .claim = {.feed_id = feed_id,
                                         .from_ordinal = from_ordinal,
                                         .epoch = header->epoch,
                                         .file_id = header->segment_id}};
    return aq_edit_add(edit, &record);
}

/* Whether the writer of `file_id` may feed `feed_id` from `from_ordinal` on. `earlier_file_id` is its segment
 * before: sealed, or lost to recovery before a frame was in it. */
static enum aq_status check_free(const struct aq_catalog *catalog, uint64_t feed_id,
                                 uint64_t from_ordinal, uint64_t file_id, uint64_t earlier_file_id,
                                 struct aq_error *err)
{
    const struct aq_catalog_feed *feed = aq_catalog_feed(catalog, feed_id);
    if (feed == NULL)
        return aq_error_set(err, AQ_NOT_FOUND, "there is no feed %" PRIu64, feed_id);
    if (feed->claim_file_id == file_id) /* ours already; the catalog's position lags behind */
        return AQ_OK;
    const struct aq_slice *name = &feed->identity.name;
    const struct aq_catalog_file *holder = aq_catalog_file(catalog, feed->claim_file_id);
    if (!aq_mutant(54) && holder != NULL && holder->state == AQ_FILE_OPEN &&
        holder->file_id != earlier_file_id)
        return aq_error_set(err, AQ_CONFLICT,
                            "\"%.*s\" is being read into the store by another process",
                            (int)name->size, (const char *)name->data);
    if (!aq_mutant(55) && feed->position.next_ordinal != from_ordinal)
        return aq_error_set(err, AQ_CONFLICT,
                            "another process has read \"%.*s\" up to %" PRIu64
                            " in the meantime; start again",
                            (int)name->size, (const char *)name->data, feed->position.next_ordinal);
    return AQ_OK;
}

static enum aq_status build_single(void *context, const struct aq_catalog *catalog,
                                   const struct aq_segment_header *header, struct aq_edit *edit,
                                   struct aq_error *err)
{
    struct aq_single_claim *claim = context;
    struct aq_feed_identity identity = claim->identity;
    if (identity.feed_id == 0) {
        identity.feed_id = catalog->next_feed_id;
        AQ_TRY(aq_edit_add(edit, &(struct aq_record){.kind = AQ_RECORD_FEED, .feed = identity}));
    } else {
        AQ_TRY(check_free(catalog, identity.feed_id, claim->from_ordinal, header->segment_id,
                          claim->earlier_file_id, err));
    }
    claim->new_feed_id = identity.feed_id;
    return add_claim(header, identity.feed_id, claim->from_ordinal, edit);
}

static void note_single(void *context, struct aq_feed_claims *claims)
{
    struct aq_single_claim *claim = context;
    claim->identity.feed_id = claim->new_feed_id;
    aq_feed_claims_note(claims, &(struct aq_claimed_feed){.feed_id = claim->identity.feed_id,
                                                          .next_ordinal = claim->from_ordinal,
                                                          .appended_ordinal = claim->from_ordinal});
}

static bool single_concerns(void *context, uint64_t feed_id)
{
    const struct aq_single_claim *claim = context;
    return claim->identity.feed_id == feed_id;
}

struct aq_claim_request aq_single_claim_request(struct aq_single_claim *claim)
{
    return (struct aq_claim_request){.context = claim,
                                     .build = build_single,
                                     .committed = note_single,
                                     .concerns = single_concerns};
}

struct claim_build {
    struct aq_feed_claims *claims;          /* renewed together with `open` */
    const struct aq_claim_request *request; /* may be NULL */
    bool open;
    struct aq_segment_header header; /* given, or with `open` a result */
};

static bool is_taken(const struct aq_catalog *catalog, const struct aq_claimed_feed *feed,
                     uint64_t earlier_file_id)
{
    const struct aq_catalog_feed *known = aq_catalog_feed(catalog, feed->feed_id);
    return !aq_mutant(56) && feed->yields && known != NULL &&
           known->claim_file_id != earlier_file_id;
}

/* The feeds go on in the new segment; of those that were taken over nothing in it will count. */
static enum aq_status renew(const struct claim_build *build, const struct aq_catalog *catalog,
                            struct aq_edit *edit, struct aq_error *err)
{
    const struct aq_claim_request *request = build->request;
    const struct aq_segment_header *header = &build->header;
    for (size_t i = 0; i < build->claims->feed_count; i++) {
        struct aq_claimed_feed *feed = &build->claims->feeds[i];
        if (request != NULL && request->concerns(request->context, feed->feed_id))
            continue;
        feed->lost = is_taken(catalog, feed, build->claims->file_id);
        struct aq_record mask = {.kind = AQ_RECORD_MASK,
                                 .mask = {.file_id = header->segment_id, .feed_id = feed->feed_id}};
        if (feed->lost) {
            if (!aq_mutant(57))
                AQ_TRY(aq_edit_add(edit, &mask));
            continue;
        }
        AQ_TRY(check_free(catalog, feed->feed_id, feed->next_ordinal, header->segment_id,
                          build->claims->file_id, err));
        AQ_TRY(add_claim(header, feed->feed_id, feed->next_ordinal, edit));
    }
    return AQ_OK;
}

static enum aq_status build_claims(void *context, const struct aq_catalog *catalog,
                                   struct aq_edit *edit, struct aq_error *err)
{
    struct claim_build *build = context;
    const struct aq_claim_request *request = build->request;
    if (build->open) {
        build->header = (struct aq_segment_header){.store_id = catalog->store_id,
                                                   .segment_id = catalog->next_file_id,
                                                   .epoch = catalog->next_epoch};
        struct aq_record open = {
            .kind = AQ_RECORD_OPEN,
            .open = {.file_id = build->header.segment_id, .epoch = build->header.epoch}};
        struct aq_record hold = {.kind = AQ_RECORD_HOLD,
                                 .hold = {.file_id = build->header.segment_id}};
        AQ_TRY(aq_edit_add(edit, &open));
        if (build->claims->hold)
            AQ_TRY(aq_edit_add(edit, &hold));
        AQ_TRY(renew(build, catalog, edit, err));
    }
    return request == NULL ? AQ_OK
                           : request->build(request->context, catalog, &build->header, edit, err);
}

enum aq_status aq_feed_claims_add(struct aq_store *store, struct aq_feed_claims *claims,
                                  const struct aq_claim_request *request,
                                  const struct aq_segment_header *header, struct aq_error *err)
{
    struct claim_build build = {.claims = claims, .request = request, .header = *header};
    AQ_TRY(aq_store_commit(store, build_claims, &build, err));
    request->committed(request->context, claims);
    return AQ_OK;
}

/* Making the file. */

static enum aq_status check_still_open(struct aq_store *store,
                                       const struct aq_open_segment *segment, struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_store_catalog(store, true, &catalog, err));
    const struct aq_catalog_file *file = aq_catalog_file(catalog, segment->header.segment_id);
    bool open = file != NULL && file->state == AQ_FILE_OPEN;
    aq_catalog_release(catalog);
    if (open)
        return AQ_OK;
    return aq_error_set_at(err, AQ_CONFLICT, segment->path.text, -1,
                           "was closed by another process before it was begun");
}

static void header_written(struct aq_io_op *op)
{
    *(bool *)op->user = true;
}

static enum aq_status write_header(struct aq_io *io, struct aq_open_segment *segment,
                                   struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    bool done = false;
    aq_segment_header_encode(&segment->header, &bytes);
    struct aq_io_op op = {.kind = AQ_IO_OP_WRITE_DURABLE,
                          .file = segment->file,
                          .buffer = bytes.data,
                          .size = bytes.size,
                          .done = header_written,
                          .user = &done};
    enum aq_status status = aq_bytes_status(&bytes);
    if (status == AQ_OK)
        status = aq_io_submit(io, &op, err);
    while (status == AQ_OK && !done)
        status = aq_io_wait(io, 1, err);
    if (status == AQ_OK && op.status < 0)
        status = aq_error_set_errno(err, op.os_errno, segment->path.text, "cannot write");
    aq_bytes_deinit(&bytes);
    return status;
}

/* Make a new file of that name, or give it to the spare one. AQ_EXISTS: there is one. */
static enum aq_status create_file(struct aq_store *store, struct aq_io *io, const char *name,
                                  struct aq_io_file **spare, struct aq_open_segment *segment,
                                  struct aq_error *err)
{
    int home_fd = aq_store_home_fd(store);
    if (*spare == NULL)
        return aq_io_open(io, home_fd, name, AQ_IO_WRITE | AQ_IO_CREATE_NEW, segment->path.text,
                          &segment->file, err);
    AQ_TRY(aq_io_name(*spare, home_fd, name, segment->path.text, err));
    segment->file = *spare;
    *spare = NULL;
    return AQ_OK;
}

static enum aq_status make_file(struct aq_store *store, struct aq_io *io, struct aq_io_file **spare,
                                struct aq_open_segment *segment, struct aq_error *err)
{
    char name[64];
    aq_catalog_file_name(AQ_FILE_SEGMENT, segment->header.segment_id, name, sizeof name);
    segment->path = aq_store_path(store, name);
    AQ_TRY(create_file(store, io, name, spare, segment, err));
    /* A reader may hold it for a moment, to see whether the writer lives. */
    if (!aq_mutant(62))
        AQ_TRY(
            aq_io_lock(aq_io_file_fd(segment->file), true, segment->path.text, LOCK_WAIT_MS, err));
    if (!aq_mutant(61))
        AQ_TRY(check_still_open(store, segment, err));
    AQ_TRY(write_header(io, segment, err));
    return aq_publisher_create(store, segment->header.segment_id, segment->header.epoch,
                               &segment->publisher, err);
}

/* Once: AQ_CONFLICT or AQ_EXISTS when recovery got hold of the segment first. */
static enum aq_status try_open(struct aq_store *store, struct aq_io *io,
                               struct aq_feed_claims *claims,
                               const struct aq_claim_request *request, struct aq_io_file **spare,
                               struct aq_open_segment *segment, bool *named, struct aq_error *err)
{
    struct claim_build build = {.claims = claims, .request = request, .open = true};
    AQ_TRY(aq_store_commit(store, build_claims, &build, err));
    *named = true;
    claims->file_id = build.header.segment_id;
    if (request != NULL)
        request->committed(request->context, claims);
    segment->header = build.header;
    enum aq_status status = make_file(store, io, spare, segment, err);
    if (status < 0)
        aq_open_segment_close(segment);
    return status;
}

enum aq_status aq_open_segment_begin(struct aq_store *store, struct aq_io *io,
                                     struct aq_feed_claims *claims,
                                     const struct aq_claim_request *request,
                                     struct aq_io_file **spare, struct aq_open_segment *segment,
                                     struct aq_error *err)
{
    drop_finished(claims);
    enum aq_status status = AQ_OK;
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        bool named = false;
        status = try_open(store, io, claims, request, spare, segment, &named, err);
        if (!named || (status != AQ_CONFLICT && status != AQ_EXISTS))
            return status;
        request = NULL; /* it is among the claims now */
    }
    return status == AQ_EXISTS ? AQ_CONFLICT : status;
}

void aq_open_segment_close(struct aq_open_segment *segment)
{
    aq_publisher_destroy(segment->publisher);
    aq_io_close(segment->file);
    segment->publisher = NULL;
    segment->file = NULL;
}
