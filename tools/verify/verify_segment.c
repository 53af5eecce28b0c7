/* A segment, frame by frame.
 *
 * Happy path: header; frames in an unbroken chain of sequence numbers and checksums, each of whose sections
 * matches its checksum (and, deep, decodes to what the header and the partitions say); the index
 * footer equals the one that these frames give; all of it is what the catalog's entry says.
 * Failures: behind a bad frame the next good one is looked for, and the positions between are the
 * affected ones. The end of an open segment may be torn (docs/recovery.md): that is a fault only where
 * a later frame says that the missing one was durable. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/verify/verify.h"

struct walk {
    struct aq_verify *verify;
    const struct aq_store_file *file;
    const struct aq_catalog *catalog;
    const struct aq_catalog_file *entry;
    struct aq_segment_header header;
    uint64_t end; /* of the frames */
    bool end_known;
    uint64_t sequence; /* of the next frame */
    uint64_t previous_checksum;
    uint64_t row_count;
    uint64_t masked_count; /* of them, rows that do not count */
    struct aq_frame_view view;
    struct aq_segment_index index;
    bool index_whole; /* no frame was missed */
    char last_positions[192];
};

static bool same_id(const struct aq_store_id *a, const struct aq_store_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static void check_identity(struct walk *walk)
{
    const struct aq_segment_header *header = &walk->header;
    if (walk->catalog != NULL && !same_id(&header->store_id, &walk->catalog->store_id))
        aq_verify_fault_at(walk->verify, walk->file->path, 0, "belongs to another store");
    if (walk->entry == NULL)
        return;
    if (header->segment_id != walk->entry->file_id || header->epoch != walk->entry->epoch)
        aq_verify_fault_at(
            walk->verify, walk->file->path, 0,
            "is segment %" PRIu64 " of epoch %" PRIu64 ", the catalog says %" PRIu64 " of %" PRIu64,
            header->segment_id, header->epoch, walk->entry->file_id, walk->entry->epoch);
}

/* Where frames end: as the catalog says, else as a trailer says, else the file's end. */
static void find_end(struct walk *walk)
{
    const struct aq_store_file *file = walk->file;
    walk->end = file->size_bytes;
    if (walk->entry != NULL && walk->entry->state == AQ_FILE_CLOSED) {
        walk->end = walk->entry->size_bytes;
        walk->end_known = true;
        return;
    }
    struct aq_segment_trailer trailer;
    struct aq_bytes bytes = {0};
    if (walk->entry == NULL &&
        file->size_bytes >= AQ_SEGMENT_HEADER_BYTES + AQ_SEGMENT_TRAILER_BYTES &&
        aq_store_file_read(file, file->size_bytes - AQ_SEGMENT_TRAILER_BYTES,
                           AQ_SEGMENT_TRAILER_BYTES, &bytes, NULL) >= 0 &&
        aq_segment_trailer_decode(aq_bytes_view(&bytes), file->size_bytes, &trailer, NULL) >= 0) {
        walk->end = trailer.index_offset;
        walk->end_known = true;
    }
    aq_bytes_deinit(&bytes);
}

static void describe_positions(struct walk *walk)
{
    const struct aq_frame_header *header = &walk->view.header;
    size_t at = 0;
    walk->last_positions[0] = '\0';
    for (size_t i = 0; i < header->range_count && at < sizeof(walk->last_positions); i++)
        at += (size_t)snprintf(walk->last_positions + at, sizeof(walk->last_positions) - at,
                               "%sfeed %" PRIu64 ": %" PRIu64 "..%" PRIu64, i > 0 ? ", " : "",
                               header->ranges[i].feed_id, header->ranges[i].first_ordinal,
                               header->ranges[i].next_ordinal);
}

static void check_chain(struct walk *walk)
{
    const struct aq_frame_prefix *prefix = &walk->view.header.prefix;
    const char *path = walk->file->path;
    uint64_t offset = walk->view.offset;
    if (!same_id(&prefix->store_id, &walk->header.store_id) ||
        prefix->segment_id != walk->header.segment_id || prefix->epoch != walk->header.epoch)
        aq_verify_fault_at(walk->verify, path, offset, "the frame is of another segment");
    else if (prefix->sequence != walk->sequence)
        aq_verify_fault_at(walk->verify, path, offset,
                           "frame %" PRIu64 " stands where %" PRIu64 " is expected",
                           prefix->sequence, walk->sequence);
    else if (prefix->previous_checksum != walk->previous_checksum)
        aq_verify_fault_at(walk->verify, path, offset,
                           "frame %" PRIu64 " does not follow the frame before it",
                           prefix->sequence);
}

static enum aq_status verify_sections(const struct walk *walk, struct aq_error *err)
{
    enum aq_status status =
        aq_frame_verify(aq_bytes_view(&walk->view.bytes), &walk->view.header, err);
    return aq_error_locate(err, status, walk->file->path, (int64_t)walk->view.offset);
}

/* The frame at `offset`. In an open segment it counts only when all of it is there: its sections may
 * still be on their way. */
static enum aq_status read_frame(struct walk *walk, uint64_t offset, struct aq_error *err)
{
    AQ_TRY(aq_segment_file_frame(walk->file, offset, walk->end, &walk->view, err));
    return walk->end_known ? AQ_OK : verify_sections(walk, err);
}

/* Masks go by the counts of the ranges: they must be those of the sections. */
static void check_counts(struct walk *walk)
{
    const struct aq_frame_header *header = &walk->view.header;
    for (size_t i = 0; i < header->section_count; i++) {
        const struct aq_section_entry *section = &header->sections[i];
        uint64_t row_count = 0;
        for (size_t r = 0; r < header->range_count; r++)
            row_count += aq_catalog_range_rows(walk->catalog, &header->ranges[r], section);
        if (row_count != section->row_count)
            aq_verify_fault_at(walk->verify, walk->file->path, walk->view.offset,
                               "the source ranges count %" PRIu64 " rows of dataset %" PRIu32
                               ", the section has %" PRIu32,
                               row_count, section->dataset_id, section->row_count);
    }
}

static enum aq_status check_frame(struct walk *walk, struct aq_error *err)
{
    const struct aq_frame_header *header = &walk->view.header;
    struct aq_error fault = {.offset = -1};
    check_chain(walk);
    describe_positions(walk);
    if (walk->entry != NULL && walk->entry->state == AQ_FILE_CLOSED)
        check_counts(walk);
    if (walk->end_known && verify_sections(walk, &fault) < 0) {
        aq_verify_fault(walk->verify, &fault, "positions %s", walk->last_positions);
    } else {
        for (size_t i = 0; i < header->section_count && walk->verify->deep; i++)
            AQ_TRY(aq_verify_section(walk->verify, walk->file, &walk->view, &header->sections[i],
                                     walk->catalog, err));
    }
    for (size_t i = 0; i < header->section_count; i++) {
        walk->row_count += header->sections[i].row_count;
        if (walk->entry != NULL)
            walk->masked_count += aq_catalog_masked_rows(walk->catalog, walk->entry->file_id,
                                                         header, &header->sections[i]);
    }
    if (walk->index_whole && header->prefix.sequence == walk->index.frame_count)
        AQ_TRY(aq_segment_index_add(&walk->index, header));
    else
        walk->index_whole = false;
    walk->sequence = header->prefix.sequence + 1;
    walk->previous_checksum = header->prefix.header_checksum;
    walk->verify->frame_count++;
    return AQ_OK;
}

static bool is_later(const struct walk *walk, const struct aq_frame_prefix *prefix, uint64_t at)
{
    return prefix->segment_id == walk->header.segment_id &&
           same_id(&prefix->store_id, &walk->header.store_id) &&
           prefix->epoch == walk->header.epoch && prefix->sequence > walk->sequence &&
           prefix->frame_size_bytes <= walk->end - at;
}

/* The next offset, from `from` on, where a later frame of this segment begins, with `proof` one that
 * says that the missing one was durable; `end` if none does. */
static enum aq_status find_next(struct walk *walk, uint64_t from, bool proof, uint64_t *offset,
                                struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    enum aq_status status = AQ_OK;
    *offset = walk->end;
    for (uint64_t at = from; at + AQ_FRAME_PREFIX_BYTES <= walk->end; at += AQ_FRAME_ALIGNMENT) {
        struct aq_frame_prefix prefix;
        status = aq_store_file_read(walk->file, at, AQ_FRAME_PREFIX_BYTES, &bytes, err);
        if (status < 0)
            break;
        if (aq_frame_prefix_decode(aq_bytes_view(&bytes), &prefix, NULL) >= 0 &&
            is_later(walk, &prefix, at) && (!proof || prefix.durable_count > walk->sequence) &&
            aq_segment_file_frame(walk->file, at, walk->end, &walk->view, NULL) >= 0) {
            *offset = at;
            break;
        }
    }
    aq_bytes_deinit(&bytes);
    return status;
}

/* A bad frame at `offset`: a fault, unless it is the unwritten end of an open segment. */
static enum aq_status skip_bad(struct walk *walk, uint64_t offset, const struct aq_error *fault,
                               uint64_t *next, struct aq_error *err)
{
    walk->index_whole = false;
    if (!walk->end_known) {
        AQ_TRY(find_next(walk, offset + AQ_FRAME_ALIGNMENT, true, next, err));
        if (*next == walk->end)
            return AQ_OK;
    }
    AQ_TRY(find_next(walk, offset + AQ_FRAME_ALIGNMENT, false, next, err));
    if (*next < walk->end) {
        describe_positions(walk); /* find_next left the good frame in view */
        aq_verify_fault(walk->verify, fault,
                        "frames %" PRIu64 " to %" PRIu64 ", positions before %s", walk->sequence,
                        walk->view.header.prefix.sequence - 1, walk->last_positions);
        walk->previous_checksum = walk->view.header.prefix.previous_checksum;
        walk->sequence = walk->view.header.prefix.sequence;
    } else {
        aq_verify_fault(walk->verify, fault, "all frames from %" PRIu64 " on, positions behind %s",
                        walk->sequence, walk->last_positions);
    }
    return AQ_OK;
}

static enum aq_status check_frames(struct walk *walk, struct aq_error *err)
{
    uint64_t offset = AQ_SEGMENT_HEADER_BYTES;
    while (offset < walk->end) {
        struct aq_error fault = {.offset = -1};
        if (aq_verify_stopped(walk->verify))
            return aq_error_set(err, AQ_INTERRUPTED, "stopped");
        enum aq_status status = read_frame(walk, offset, &fault);
        if (aq_verify_ends(status)) {
            *err = fault;
            return status;
        }
        if (status < 0) {
            AQ_TRY(skip_bad(walk, offset, &fault, &offset, err));
            continue;
        }
        AQ_TRY(check_frame(walk, err));
        offset += walk->view.header.prefix.frame_size_bytes;
        walk->verify->bytes += walk->view.header.prefix.frame_size_bytes;
        aq_verify_progress(walk->verify, walk->file->path);
    }
    return AQ_OK;
}

static void check_entry(struct walk *walk)
{
    const struct aq_catalog_file *entry = walk->entry;
    const char *path = walk->file->path;
    uint64_t row_count = 0;
    if (entry == NULL || entry->state != AQ_FILE_CLOSED || !walk->index_whole)
        return;
    for (size_t i = 0; i < entry->entry_count; i++)
        row_count += entry->entries[i].row_count;
    if (walk->index.frame_count != entry->frame_count)
        aq_verify_fault_at(walk->verify, path, walk->end, "%zu frames, the catalog says %" PRIu64,
                           walk->index.frame_count, entry->frame_count);
    else if (walk->previous_checksum != entry->checksum && entry->frame_count > 0)
        aq_verify_fault_at(walk->verify, path, walk->view.offset,
                           "the last frame is not the one that the catalog names");
    uint64_t counted = walk->row_count - walk->masked_count;
    if (row_count != counted)
        aq_verify_fault_at(walk->verify, path, walk->end,
                           "%" PRIu64 " rows that count, the catalog says %" PRIu64, counted,
                           row_count);
}

/* The index says what the frames say, so it must be, byte for byte, what they give. */
static enum aq_status check_footer(struct walk *walk, struct aq_error *err)
{
    struct aq_bytes expected = {0}, found = {0};
    const struct aq_store_file *file = walk->file;
    bool sealed = walk->entry != NULL ? walk->entry->file_bytes != 0 : walk->end_known;
    enum aq_status status = AQ_OK;
    if (!sealed)
        return AQ_OK;
    if (walk->entry != NULL && walk->entry->file_bytes != file->size_bytes)
        aq_verify_fault_at(walk->verify, file->path, file->size_bytes,
                           "the file ends here, it was sealed with %" PRIu64 " bytes",
                           walk->entry->file_bytes);
    else if (walk->index_whole) {
        status = aq_segment_footer_encode(&walk->index, &walk->header, &expected);
        if (status >= 0)
            status = aq_store_file_read(file, walk->end, file->size_bytes - walk->end, &found, err);
        size_t at = 0;
        while (at < expected.size && at < found.size && expected.data[at] == found.data[at])
            at++;
        if (status >= 0 && (at < expected.size || at < found.size))
            aq_verify_fault_at(walk->verify, file->path, walk->end + at,
                               "the index does not say what the frames say");
        walk->verify->bytes += found.size;
    }
    aq_bytes_deinit(&expected);
    aq_bytes_deinit(&found);
    return status;
}

enum aq_status aq_verify_segment(struct aq_verify *verify, const struct aq_store_file *file,
                                 const struct aq_catalog *catalog,
                                 const struct aq_catalog_file *entry, struct aq_error *err)
{
    struct walk walk = {
        .verify = verify, .file = file, .catalog = catalog, .entry = entry, .index_whole = true};
    struct aq_error fault = {.offset = -1};
    snprintf(walk.last_positions, sizeof(walk.last_positions), "the segment's beginning");
    verify->file_count++;
    bool open = entry != NULL && entry->state == AQ_FILE_OPEN;
    if (open && file->size_bytes < AQ_SEGMENT_HEADER_BYTES)
        return AQ_OK; /* its writer has only just made it */
    enum aq_status status = aq_segment_file_header(file, &walk.header, &fault);
    if (aq_verify_ends(status)) {
        *err = fault;
        return status;
    }
    if (status < 0) {
        aq_verify_fault(verify, &fault, "the whole segment");
        return AQ_OK;
    }
    check_identity(&walk);
    find_end(&walk);
    if (walk.end > file->size_bytes) {
        aq_verify_fault_at(verify, file->path, file->size_bytes,
                           "the file ends here, its frames reach to %" PRIu64, walk.end);
        walk.end = file->size_bytes;
    }
    status = check_frames(&walk, err);
    if (status >= 0) {
        check_entry(&walk);
        status = check_footer(&walk, err);
    }
    verify->row_count += walk.row_count;
    aq_frame_view_deinit(&walk.view);
    aq_segment_index_deinit(&walk.index);
    return status;
}
