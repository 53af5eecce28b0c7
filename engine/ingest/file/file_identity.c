/* Step 1 of a message's way: is this file in the store?
 *
 * Happy path: the positions of the dataset's feeds are taken in ascending order, and the hash of the file's
 * bytes before each is compared with the feed's. No feeds, nothing to read.
 * A feed that is finished where the file ends is the file itself. Else the farthest feed that agrees and
 * may be continued is: an unfinished one under any name, a finished one under its own.
 * Failures: of reading. */
#include "engine/ingest/file/file_identity.h"

#include <stdlib.h>

static int compare_offsets(const void *a, const void *b)
{
    const struct aq_catalog_feed *left = *(const struct aq_catalog_feed *const *)a;
    const struct aq_catalog_feed *right = *(const struct aq_catalog_feed *const *)b;
    if (left->position.next_offset != right->position.next_offset)
        return left->position.next_offset < right->position.next_offset ? -1 : 1;
    return (left->identity.feed_id > right->identity.feed_id) -
           (left->identity.feed_id < right->identity.feed_id);
}

/* Take bytes up to `offset`. *reached: the file has that many. */
static enum aq_status advance(struct aq_stream *stream, uint64_t offset, bool *reached,
                              struct aq_error *err)
{
    while (stream->offset < offset) {
        size_t there = stream->end - stream->begin;
        if (there == 0 && stream->ended)
            break;
        if (there == 0)
            AQ_TRY(aq_stream_fill(stream, err));
        else
            aq_stream_take(stream,
                           offset - stream->offset < there ? offset - stream->offset : there);
    }
    *reached = stream->offset == offset;
    return AQ_OK;
}

static enum aq_status at_end(struct aq_stream *stream, bool *end, struct aq_error *err)
{
    while (stream->begin == stream->end && !stream->ended)
        AQ_TRY(aq_stream_fill(stream, err));
    *end = stream->begin == stream->end;
    return AQ_OK;
}

/* A feed whose bytes are the file's first. */
static enum aq_status settle(const struct aq_catalog_feed *feed, struct aq_slice name,
                             struct aq_stream *stream, struct aq_file_identity *identity,
                             struct aq_error *err)
{
    bool end;
    bool same_name = aq_slice_equal(feed->identity.name, name);
    AQ_TRY(at_end(stream, &end, err));
    if (feed->position.finished && end) {
        identity->standing = AQ_FILE_KNOWN;
        identity->feed = *feed;
        return AQ_OK;
    }
    /* Of nothing at all, every file is a continuation: there the name must agree. */
    bool any_name = !feed->position.finished && feed->position.next_offset > 0;
    if (identity->standing != AQ_FILE_KNOWN && (any_name || same_name)) {
        identity->standing = AQ_FILE_CONTINUES;
        identity->grew = feed->position.finished;
        identity->feed = *feed;
    }
    return AQ_OK;
}

static enum aq_status compare_all(const struct aq_catalog_feed *const *sorted, size_t feed_count,
                                  struct aq_slice name, struct aq_stream *stream,
                                  struct aq_file_identity *identity, struct aq_error *err)
{
    for (size_t i = 0; i < feed_count; i++) {
        bool reached;
        AQ_TRY(advance(stream, sorted[i]->position.next_offset, &reached, err));
        if (!reached)
            break;
        struct aq_hash128 hash = aq_stream_hash(stream);
        bool agrees = aq_hash128_equal(&hash, &sorted[i]->position.hash);
        /* A feed that was claimed and got no frame has no hash yet. */
        if (agrees || (sorted[i]->position.next_offset == 0 && !sorted[i]->position.finished))
            AQ_TRY(settle(sorted[i], name, stream, identity, err));
    }
    return AQ_OK;
}

enum aq_status aq_file_identify(const struct aq_catalog_feed *feeds, size_t feed_count,
                                struct aq_slice name, struct aq_stream *stream,
                                struct aq_file_identity *identity, struct aq_error *err)
{
    *identity = (struct aq_file_identity){.standing = AQ_FILE_NEW};
    if (feed_count == 0)
        return AQ_OK;
    const struct aq_catalog_feed **sorted = malloc(feed_count * sizeof *sorted);
    if (sorted == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "looking for a file's feed: out of memory");
    for (size_t i = 0; i < feed_count; i++) {
        sorted[i] = &feeds[i];
        identity->name_known = identity->name_known || aq_slice_equal(feeds[i].identity.name, name);
    }
    qsort(sorted, feed_count, sizeof *sorted, compare_offsets);
    enum aq_status status = compare_all(sorted, feed_count, name, stream, identity, err);
    free(sorted);
    return status;
}

struct aq_slice aq_file_name_of(const char *path)
{
    static const char *const suffixes[] = {".gz", ".xz", ".zst", ".bz2", ".lzma"};
    const char *slash = strrchr(path, '/');
    struct aq_slice name = aq_slice_of(slash == NULL ? path : slash + 1);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t size = strlen(suffixes[i]);
        if (name.size > size &&
            strncasecmp((const char *)name.data + name.size - size, suffixes[i], size) == 0) {
            name.size -= size;
            break;
        }
    }
    return name;
}
