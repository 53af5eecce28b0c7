/* Taking feeds over, whoever fed them before: the fence that makes exactly-once true among processes.
 *
 * Happy path: read where each feed stands, its claimant's durable frames included; then one edit, built
 * against a catalog that still names the claims that were read: `position` (what was read), `claim` for
 * our segment, and on the former claimant's segment, while it is open, a `mask` from that position on.
 * Whatever the former owner writes afterwards lies at or behind the position, and does not count.
 * Failures: a claim that changed between reading and committing is read again, a bounded number of times;
 * what makes our own segment useless for a feed, a mask from the time when it was taken from us, is
 * cured by sealing the segment first. A race that is lost for good, or somebody else's damaged
 * segment, leaves the writer alive. */
#include "engine/store/feed/feed_read.h"
#include "engine/store/segment/write/shard_writer_internal.h"
#include "format/base/mutant.h"

#include <inttypes.h>
#include <stdlib.h>

#define TAKE_TRIES 10

/* One feed of the request. */
struct take {
    struct aq_feed_state state;
    struct aq_feed_origin origin;
    bool held;  /* ours already: nothing to commit */
    bool fresh; /* no such feed yet */
};

struct take_over {
    struct take *takes;
    size_t count;
    bool stale; /* result of build: what was read is not true any more */
};

/* Whether what was read is still true; a feed with a newer incarnation is nobody's to take. */
static bool is_current(const struct aq_catalog *catalog, const struct take *take)
{
    const struct aq_feed_identity *identity = &take->state.identity;
    if (take->fresh) {
        const struct aq_catalog_feed *newest = aq_catalog_find_feed(catalog, identity);
        return newest == NULL || newest->identity.incarnation < identity->incarnation;
    }
    const struct aq_catalog_feed *feed = aq_catalog_feed(catalog, identity->feed_id);
    struct aq_feed_origin now = aq_feed_origin_of(catalog, feed);
    return feed != NULL && aq_catalog_find_feed(catalog, &feed->identity) == feed &&
           aq_feed_origin_equal(&take->origin, &now);
}

static enum aq_status add_take(const struct take *take, const struct aq_segment_header *header,
                               struct aq_edit *edit)
{
    struct aq_record position = {.kind = AQ_RECORD_POSITION, .position = take->state.position};
    uint64_t feed_id = take->state.identity.feed_id;
    uint64_t from_ordinal = position.position.next_ordinal;
    struct aq_record claim = {.kind = AQ_RECORD_CLAIM,
                              .claim = {.feed_id = feed_id,
                                        .from_ordinal = from_ordinal,
                                        .epoch = header->epoch,
                                        .file_id = header->segment_id}};
    struct aq_record mask = {.kind = AQ_RECORD_MASK,
                             .mask = {.file_id = take->origin.claim_file_id,
                                      .feed_id = feed_id,
                                      .from_ordinal = from_ordinal}};
    if (take->fresh)
        AQ_TRY(aq_edit_add(
            edit, &(struct aq_record){.kind = AQ_RECORD_FEED, .feed = take->state.identity}));
    if (from_ordinal > take->origin.catalog_ordinal)
        AQ_TRY(aq_edit_add(edit, &position));
    AQ_TRY(aq_edit_add(edit, &claim));
    return take->origin.open && !aq_mutant(58) ? aq_edit_add(edit, &mask) : AQ_OK;
}

static enum aq_status build_take_over(void *context, const struct aq_catalog *catalog,
                                      const struct aq_segment_header *header, struct aq_edit *edit,
                                      struct aq_error *err)
{
    struct take_over *over = context;
    uint64_t next_feed_id = catalog->next_feed_id;
    for (size_t i = 0; i < over->count; i++) {
        struct take *take = &over->takes[i];
        if (take->held)
            continue;
        over->stale = !is_current(catalog, take) && !aq_mutant(59);
        if (over->stale)
            return aq_error_set(
                err, AQ_CONFLICT, "\"%.*s\" was taken over, or begun anew, by another process",
                (int)take->state.identity.name.size, (const char *)take->state.identity.name.data);
        if (take->fresh) { /* again after a lost race: with the ids of that catalog */
            take->state.identity.feed_id = next_feed_id++;
            take->state.position.feed_id = take->state.identity.feed_id;
        }
        AQ_TRY(add_take(take, header, edit));
    }
    return AQ_OK;
}

static void note_take(const struct take *take, struct aq_feed_claims *claims)
{
    struct aq_claimed_feed feed = {.feed_id = take->state.identity.feed_id,
                                   .next_ordinal = take->state.position.next_ordinal,
                                   .appended_ordinal = take->state.position.next_ordinal,
                                   .yields = true};
    aq_feed_claims_note(claims, &feed);
}

static void note_takes(void *context, struct aq_feed_claims *claims)
{
    const struct take_over *over = context;
    for (size_t i = 0; i < over->count; i++) {
        if (!over->takes[i].held)
            note_take(&over->takes[i], claims);
    }
}

static bool take_concerns(void *context, uint64_t feed_id)
{
    const struct take_over *over = context;
    for (size_t i = 0; i < over->count; i++) {
        if (!over->takes[i].held && over->takes[i].state.identity.feed_id == feed_id)
            return true;
    }
    return false;
}

/* Read all states anew: `wanted` as the caller gave them. */
static enum aq_status read_takes(struct aq_shard_writer *writer, const struct aq_feed_state *wanted,
                                 struct take_over *over, struct aq_error *err)
{
    struct aq_feed_state *states = calloc(over->count + 1, sizeof *states);
    struct aq_feed_origin *origins = calloc(over->count + 1, sizeof *origins);
    enum aq_status status = states == NULL || origins == NULL
                                ? aq_error_set(err, AQ_NO_MEMORY, "out of memory")
                                : AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < over->count; i++)
        states[i] = wanted[i];
    if (status == AQ_OK)
        status = aq_feeds_read(writer->store, states, origins, over->count, err);
    for (size_t i = 0; status == AQ_OK && i < over->count; i++) {
        struct take *take = &over->takes[i];
        *take = (struct take){.state = states[i], .origin = origins[i]};
        /* The one that is known may be older than the one that is wanted. */
        bool older = states[i].identity.incarnation < wanted[i].identity.incarnation;
        if (wanted[i].identity.feed_id == 0 && older)
            *take = (struct take){.state = wanted[i]};
        take->fresh = take->state.identity.feed_id == 0;
        if (take->fresh && take->state.identity.incarnation == 0)
            take->state.identity.incarnation = 1;
    }
    free(states);
    free(origins);
    return status;
}

/* Whether a feed is this writer's by the catalog: claimed for its open segment, or for its last one and
 * still on the list that the next one is opened with. */
static bool is_held(const struct aq_shard_writer *writer, const struct take *take)
{
    if (take->fresh || writer->claims.file_id == 0 ||
        take->origin.claim_file_id != writer->claims.file_id)
        return false;
    const struct aq_claimed_feed *claimed =
        aq_feed_claims_find(&writer->claims, take->state.identity.feed_id);
    return writer->segment.file != NULL || (claimed != NULL && !claimed->lost);
}

/* Our segment must go when rows of a wanted feed would be masked in it. */
static enum aq_status clear_masks(struct aq_shard_writer *writer, const struct take_over *over,
                                  struct aq_error *err)
{
    if (writer->segment.file == NULL)
        return AQ_OK;
    const struct aq_catalog *catalog = aq_store_current(writer->store);
    bool masked = false;
    for (size_t i = 0; !masked && i < over->count; i++)
        masked =
            !over->takes[i].held && aq_catalog_mask(catalog, writer->segment.header.segment_id,
                                                    over->takes[i].state.identity.feed_id) != NULL;
    aq_catalog_release(catalog);
    return masked && !aq_mutant(60) ? aq_shard_writer_seal(writer, err) : AQ_OK;
}

/* AQ_CONFLICT with over->stale set: read again. */
static enum aq_status try_take(struct aq_shard_writer *writer, const struct aq_feed_state *wanted,
                               struct take_over *over, struct aq_error *err)
{
    struct aq_claim_request request = {.context = over,
                                       .build = build_take_over,
                                       .committed = note_takes,
                                       .concerns = take_concerns};
    bool all_held = true;
    over->stale = false;
    AQ_TRY(read_takes(writer, wanted, over, err));
    AQ_TRY(aq_feed_claims_reserve(&writer->claims, over->count, err));
    for (size_t i = 0; i < over->count; i++) {
        struct take *take = &over->takes[i];
        take->held = is_held(writer, take);
        all_held = all_held && take->held;
        if (take->held) /* it may have been released; a new segment must claim it, too */
            note_take(take, &writer->claims);
    }
    if (all_held)
        return AQ_OK;
    AQ_TRY(clear_masks(writer, over, err));
    struct aq_error failure = {.offset = -1};
    enum aq_status status = aq_shard_writer_request(writer, &request, &failure);
    if (status == AQ_CONFLICT && err != NULL)
        *err = failure;
    return status == AQ_CONFLICT ? status : aq_shard_writer_finish(writer, status, &failure, err);
}

enum aq_status aq_shard_writer_take_over(struct aq_shard_writer *writer,
                                         struct aq_feed_state *feeds, size_t feed_count,
                                         struct aq_error *err)
{
    AQ_TRY(aq_shard_writer_flush(writer, err));
    struct take_over over = {.takes = calloc(feed_count + 1, sizeof *over.takes),
                             .count = feed_count};
    if (over.takes == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status = AQ_OK;
    int tries = 0;
    do {
        status = try_take(writer, feeds, &over, err);
    } while (status == AQ_CONFLICT && over.stale && ++tries < TAKE_TRIES);
    for (size_t i = 0; status == AQ_OK && i < feed_count; i++)
        feeds[i] = over.takes[i].state;
    free(over.takes);
    return status;
}
