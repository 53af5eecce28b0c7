/* The write path's end: frames into a segment, in order, durable, then acked.
 *
 * Happy path: append encodes a frame into a free slot and submits it; up to `depth` are in flight; when
 * the oldest ones are durable they are added to the totals, published to readers and acked, in order.
 * Past segment_size the segment is sealed, and the next append opens another.
 * Failures: any failed write, or commit, kills the writer: every later call returns the same error, what
 * was acked is durable, and the segment stays open in the catalog for recovery, which keeps the valid
 * prefix. A disk that is full gets the torn tail back. */
#include "engine/store/segment/write/shard_writer.h"

#include "engine/store/segment/segment_scan.h"
#include "engine/store/segment/write/shard_writer_internal.h"
#include "format/base/mutant.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So many frames in a row met no other in flight: such ones gain nothing from ending with a block, and would only be
 * longer. Fewer say little: those in flight often end together. */
#define LONE_FRAMES 16

/* A frame in flight. */
struct aq_frame_slot {
    struct aq_io_op op;
    struct aq_bytes bytes;
    struct aq_arena arena; /* of the header */
    struct aq_frame_header header;
    bool done;
};

/* One slot more than may be in flight: the next frame is encoded while they are. */
static unsigned slot_count(const struct aq_shard_writer *writer)
{
    return writer->options.depth + 1;
}

static struct aq_frame_slot *slot_of(const struct aq_shard_writer *writer, uint64_t sequence)
{
    return &writer->slots[sequence % slot_count(writer)];
}

static enum aq_status die(struct aq_shard_writer *writer, enum aq_status status,
                          const struct aq_error *error)
{
    if (writer->status == AQ_OK) {
        writer->status = status;
        writer->error = *error;
    }
    return status;
}

enum aq_status aq_shard_writer_finish(struct aq_shard_writer *writer, enum aq_status status,
                                      const struct aq_error *error, struct aq_error *err)
{
    if (status < 0) {
        die(writer, status, error);
        if (err != NULL)
            *err = writer->error;
    }
    return status;
}

enum aq_status aq_shard_writer_check(const struct aq_shard_writer *writer, struct aq_error *err)
{
    if (aq_mutant(17))
        return AQ_OK;
    if (writer->status < 0 && err != NULL)
        *err = writer->error;
    return writer->status;
}

enum aq_status aq_shard_writer_create(struct aq_store *store,
                                      const struct aq_shard_writer_options *options,
                                      struct aq_shard_writer **writer, struct aq_error *err)
{
    assert(options->depth > 0);
    struct aq_shard_writer *created = calloc(1, sizeof *created);
    struct aq_frame_slot *slots = calloc(options->depth + 1, sizeof *slots);
    if (created == NULL || slots == NULL) {
        free(created);
        free(slots);
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    *created = (struct aq_shard_writer){
        .store = store, .options = *options, .claims = {.hold = options->hold}, .slots = slots};
    enum aq_status status =
        aq_io_create(aq_store_io_kind(store), options->depth, &created->io, NULL, 0, err);
    if (status == AQ_OK)
        status = aq_segment_blocks_init(&created->blocks, store, created->io, options->depth,
                                        options->hold ? 0 : options->segment_size_bytes, err);
    if (status < 0) {
        aq_shard_writer_destroy(created);
        return status;
    }
    *writer = created;
    return AQ_OK;
}

/* Completions, in any order; acks, in order. */

static void write_done(struct aq_io_op *op)
{
    ((struct aq_frame_slot *)op->user)->done = true;
}

static enum aq_status start_write(struct aq_shard_writer *writer, struct aq_frame_slot *slot,
                                  struct aq_io_file *file, uint8_t *bytes, struct aq_error *err)
{
    slot->done = false;
    slot->op = (struct aq_io_op){
        .kind = AQ_IO_OP_WRITE_DURABLE,
        .file = file,
        .buffer = bytes,
        .size = slot->bytes.size,
        .offset = writer->next_offset,
        .done = write_done,
        .user = slot,
    };
    AQ_TRY(aq_io_submit(writer->io, &slot->op, err));
    writer->next_offset += slot->bytes.size;
    return AQ_OK;
}

/* A buffer as large as this slot's was, at a block of memory: what is encoded there needs not be moved. */
static void align_bytes(struct aq_frame_slot *slot)
{
    void *aligned = NULL;
    size_t capacity = slot->bytes.capacity;
    if ((uintptr_t)slot->bytes.data % AQ_IO_BLOCK_BYTES == 0 ||
        posix_memalign(&aligned, AQ_IO_BLOCK_BYTES, capacity) != 0)
        return;
    aq_bytes_deinit(&slot->bytes);
    slot->bytes = (struct aq_bytes){.data = aligned, .capacity = capacity};
}

/* Where the slot's bytes begin: at a block of memory, where the file wants that. */
static uint8_t *place_bytes(struct aq_frame_slot *slot, bool direct)
{
    struct aq_bytes *bytes = &slot->bytes;
    if (!direct || (uintptr_t)bytes->data % AQ_IO_BLOCK_BYTES == 0)
        return bytes->data;
    if (aq_bytes_reserve(bytes, AQ_IO_BLOCK_BYTES) == NULL)
        return NULL;
    uint8_t *at = bytes->data + -(uintptr_t)bytes->data % AQ_IO_BLOCK_BYTES;
    memmove(at, bytes->data, bytes->size);
    return at;
}

static enum aq_status write_frame(struct aq_shard_writer *writer, struct aq_frame_slot *slot,
                                  struct aq_error *err)
{
    struct aq_io_file *file =
        aq_segment_blocks_write(&writer->blocks, writer->next_offset, slot->bytes.size);
    bool direct = file != writer->segment.file;
    uint8_t *bytes = place_bytes(slot, direct);
    if (bytes == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    writer->counters.direct_frame_count += direct;
    return start_write(writer, slot, file, bytes, err);
}

static enum aq_status check_write(const struct aq_shard_writer *writer, const struct aq_io_op *op,
                                  struct aq_error *err)
{
    if (op->status == AQ_OK || aq_mutant(16))
        return AQ_OK;
    enum aq_status status = aq_error_set_errno(err, op->os_errno, writer->segment.path.text,
                                               "cannot write %zu bytes (what was acknowledged is "
                                               "safe, and the same command goes on from there)",
                                               op->size);
    err->offset = (int64_t)op->offset;
    return status;
}

static enum aq_status ack_frame(struct aq_shard_writer *writer, struct aq_frame_slot *slot,
                                struct aq_error *err)
{
    AQ_TRY(check_write(writer, &slot->op, err));
    if (aq_segment_totals_add(&writer->totals, &slot->header) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    aq_feed_claims_advance(&writer->claims, slot->header.ranges, slot->header.range_count);
    struct aq_published published = {.durable_bytes = aq_segment_index_end(&writer->totals.index),
                                     .frame_count = writer->totals.index.frame_count};
    aq_publisher_set(writer->segment.publisher, &published);
    writer->acked_sequence++;
    writer->counters.frame_count++;
    writer->counters.bytes_written += slot->bytes.size;
    if (writer->options.ack != NULL && slot->header.range_count > 0)
        writer->options.ack(writer->options.ack_context, slot->header.ranges,
                            slot->header.range_count);
    return AQ_OK;
}

/* Wait for at least `least` operations, then ack what is durable without a gap. */
static enum aq_status advance(struct aq_shard_writer *writer, unsigned least, struct aq_error *err)
{
    AQ_TRY(aq_io_wait(writer->io, least, err));
    while (writer->acked_sequence < writer->next_sequence) {
        struct aq_frame_slot *slot = slot_of(writer, writer->acked_sequence);
        if (!slot->done && !aq_mutant(15))
            break;
        AQ_TRY(ack_frame(writer, slot, err));
    }
    return AQ_OK;
}

static enum aq_status flush(struct aq_shard_writer *writer, struct aq_error *err)
{
    while (writer->acked_sequence < writer->next_sequence)
        AQ_TRY(advance(writer, 1, err));
    return AQ_OK;
}

/* Opening and sealing segments. */

static void forget_segment(struct aq_shard_writer *writer)
{
    aq_segment_blocks_end(&writer->blocks);
    aq_open_segment_close(&writer->segment);
    aq_segment_totals_deinit(&writer->totals);
    writer->next_offset = AQ_SEGMENT_HEADER_BYTES;
    writer->next_sequence = 0;
    writer->next_previous = 0;
    writer->acked_sequence = 0;
    writer->marked_sequence = 0;
}

static enum aq_status open_segment(struct aq_shard_writer *writer,
                                   const struct aq_claim_request *request, struct aq_error *err)
{
    forget_segment(writer);
    uint64_t zeroed_end = 0;
    struct aq_io_file *spare = aq_segment_blocks_take(&writer->blocks, &zeroed_end);
    struct aq_io_file *unused = spare;
    enum aq_status status = aq_open_segment_begin(writer->store, writer->io, &writer->claims,
                                                  request, &unused, &writer->segment, err);
    aq_io_close(unused);
    AQ_TRY(status);
    aq_segment_blocks_begin(&writer->blocks, writer->segment.file,
                            writer->segment.file == spare ? zeroed_end : 0);
    writer->counters.segment_count++;
    return AQ_OK;
}

enum aq_status aq_shard_writer_request(struct aq_shard_writer *writer,
                                       const struct aq_claim_request *request, struct aq_error *err)
{
    if (writer->segment.file == NULL)
        return open_segment(writer, request, err);
    return aq_feed_claims_add(writer->store, &writer->claims, request, &writer->segment.header,
                              err);
}

/* Behind the frames, which are all durable: their slots are free. */
static enum aq_status write_footer(struct aq_shard_writer *writer, uint64_t *file_bytes,
                                   struct aq_error *err)
{
    struct aq_frame_slot *slot = &writer->slots[0];
    aq_bytes_clear(&slot->bytes);
    if (aq_segment_footer_encode(&writer->totals.index, &writer->segment.header, &slot->bytes) !=
        AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    AQ_TRY(start_write(writer, slot, writer->segment.file, slot->bytes.data, err));
    while (!slot->done)
        AQ_TRY(aq_io_wait(writer->io, 1, err));
    AQ_TRY(check_write(writer, &slot->op, err));
    writer->counters.bytes_written += slot->bytes.size;
    *file_bytes = writer->next_offset;
    return AQ_OK;
}

struct close_context {
    const struct aq_shard_writer *writer;
    uint64_t file_bytes;
    aq_edit_build_fn also; /* NULL: nothing more */
    void *context;
};

static enum aq_status build_close(void *context, const struct aq_catalog *catalog,
                                  struct aq_edit *edit, struct aq_error *err)
{
    const struct close_context *close = context;
    const struct aq_open_segment *segment = &close->writer->segment;
    const struct aq_catalog_file *entry = aq_catalog_file(catalog, segment->header.segment_id);
    if (!aq_mutant(65) && (entry == NULL || entry->state != AQ_FILE_OPEN))
        return aq_error_set_at(err, AQ_CONFLICT, segment->path.text, -1,
                               "was closed by another process while it was being written");
    struct aq_segment_file file = {.fd = aq_io_file_fd(segment->file),
                                   .path = segment->path.text,
                                   .expected = segment->header};
    uint64_t row_count;
    AQ_TRY(aq_segment_close(&file, &close->writer->totals, close->file_bytes, catalog, edit,
                            &row_count, err));
    return close->also == NULL ? AQ_OK : close->also(close->context, catalog, edit, err);
}

/* In this order: whoever finds no page finds the lock free, and the whole file to read. */
static void leave_segment(struct aq_shard_writer *writer)
{
    uint64_t file_id = writer->segment.header.segment_id;
    forget_segment(writer);
    aq_published_remove(writer->store, file_id);
}

static enum aq_status seal(struct aq_shard_writer *writer, aq_edit_build_fn also,
                           void *also_context, struct aq_error *err)
{
    AQ_TRY(flush(writer, err));
    struct close_context context = {.writer = writer, .also = also, .context = also_context};
    if (writer->totals.index.frame_count > 0)
        AQ_TRY(write_footer(writer, &context.file_bytes, err));
    enum aq_status status = aq_segment_blocks_cut(&writer->blocks, writer->next_offset, err);
    AQ_TRY(aq_error_locate(err, status, writer->segment.path.text, 0));
    AQ_TRY(aq_store_commit(writer->store, build_close, &context, err));
    leave_segment(writer);
    return AQ_OK;
}

/* The contract's calls: each remembers its failure. */

enum aq_status aq_shard_writer_claim(struct aq_shard_writer *writer,
                                     const struct aq_feed_identity *identity, uint64_t from_ordinal,
                                     uint64_t *feed_id, struct aq_error *err)
{
    AQ_TRY(aq_shard_writer_check(writer, err));
    struct aq_error error = {0};
    struct aq_single_claim claim = {.identity = *identity,
                                    .from_ordinal = from_ordinal,
                                    .earlier_file_id = writer->claims.file_id};
    struct aq_claim_request request = aq_single_claim_request(&claim);
    enum aq_status status = aq_feed_claims_reserve(&writer->claims, 1, &error);
    if (status == AQ_OK)
        status = aq_shard_writer_request(writer, &request, &error);
    *feed_id = claim.identity.feed_id;
    return aq_shard_writer_finish(writer, status, &error, err);
}

static enum aq_status encode(struct aq_shard_writer *writer, struct aq_frame_slot *slot,
                             const struct aq_source_range *ranges, size_t range_count,
                             const struct aq_section_input *sections, size_t section_count,
                             struct aq_error *err)
{
    bool lone = writer->next_sequence == writer->acked_sequence;
    writer->lone_frame_count = lone ? writer->lone_frame_count + 1 : 0;
    struct aq_frame_input input = {
        .store_id = writer->segment.header.store_id,
        .segment_id = writer->segment.header.segment_id,
        .epoch = writer->segment.header.epoch,
        .sequence = writer->next_sequence,
        .previous_checksum = writer->next_previous,
        .durable_count = writer->acked_sequence,
        .ranges = ranges,
        .range_count = range_count,
        .sections = sections,
        .section_count = section_count,
        .file_offset = writer->next_offset,
        .fill_block = writer->blocks.direct != NULL && writer->lone_frame_count < LONE_FRAMES,
        .scratch = &writer->scratch,
    };
    uint64_t checksum = 0;
    if (writer->blocks.direct != NULL)
        align_bytes(slot);
    aq_bytes_clear(&slot->bytes);
    aq_arena_reset(&slot->arena);
    AQ_TRY(aq_frame_encode(&input, &slot->bytes, &checksum, err));
    return aq_frame_header_decode(aq_bytes_view(&slot->bytes), &slot->arena, &slot->header, err);
}

static enum aq_status append(struct aq_shard_writer *writer, const struct aq_source_range *ranges,
                             size_t range_count, const struct aq_section_input *sections,
                             size_t section_count, struct aq_error *err)
{
    if (writer->segment.file != NULL && !writer->options.hold &&
        writer->next_offset >= writer->options.segment_size_bytes)
        AQ_TRY(seal(writer, NULL, NULL, err));
    if (writer->segment.file == NULL)
        AQ_TRY(open_segment(writer, NULL, err));
    struct aq_frame_slot *slot = slot_of(writer, writer->next_sequence);
    AQ_TRY(encode(writer, slot, ranges, range_count, sections, section_count, err));
    while (writer->next_sequence - writer->acked_sequence >= writer->options.depth)
        AQ_TRY(advance(writer, 1, err));
    AQ_TRY(write_frame(writer, slot, err));
    writer->next_sequence++;
    writer->next_previous = slot->header.prefix.header_checksum;
    return advance(writer, 0, err);
}

enum aq_status aq_shard_writer_append(struct aq_shard_writer *writer,
                                      const struct aq_source_range *ranges, size_t range_count,
                                      const struct aq_section_input *sections, size_t section_count,
                                      struct aq_error *err)
{
    AQ_TRY(aq_shard_writer_check(writer, err));
    aq_feed_claims_append(&writer->claims, ranges, range_count);
    struct aq_error error = {0};
    enum aq_status status = append(writer, ranges, range_count, sections, section_count, &error);
    return aq_shard_writer_finish(writer, status, &error, err);
}

bool aq_shard_writer_is_full(struct aq_shard_writer *writer)
{
    struct aq_error error = {0};
    if (writer->status < 0 || writer->next_sequence == writer->acked_sequence)
        return false;
    enum aq_status status = advance(writer, 0, &error);
    if (aq_shard_writer_finish(writer, status, &error, NULL) < 0)
        return false;
    return writer->next_sequence - writer->acked_sequence >= writer->options.depth;
}

enum aq_status aq_shard_writer_mark(struct aq_shard_writer *writer, struct aq_error *err)
{
    AQ_TRY(aq_shard_writer_check(writer, err));
    bool in_flight = writer->next_sequence != writer->acked_sequence;
    if (writer->segment.file == NULL || in_flight || writer->next_sequence == 0 ||
        writer->marked_sequence == writer->next_sequence ||
        writer->next_offset >= writer->options.segment_size_bytes)
        return AQ_OK;
    struct aq_error error = {0};
    enum aq_status status = append(writer, NULL, 0, NULL, 0, &error);
    writer->marked_sequence = writer->next_sequence;
    return aq_shard_writer_finish(writer, status, &error, err);
}

enum aq_status aq_shard_writer_flush(struct aq_shard_writer *writer, struct aq_error *err)
{
    AQ_TRY(aq_shard_writer_check(writer, err));
    struct aq_error error = {0};
    return aq_shard_writer_finish(writer, flush(writer, &error), &error, err);
}

enum aq_status aq_shard_writer_seal(struct aq_shard_writer *writer, struct aq_error *err)
{
    return aq_shard_writer_seal_with(writer, NULL, NULL, err);
}

enum aq_status aq_shard_writer_seal_with(struct aq_shard_writer *writer, aq_edit_build_fn also,
                                         void *context, struct aq_error *err)
{
    AQ_TRY(aq_shard_writer_check(writer, err));
    if (writer->segment.file == NULL)
        return AQ_OK;
    struct aq_error error = {0};
    return aq_shard_writer_finish(writer, seal(writer, also, context, &error), &error, err);
}

static enum aq_status build_drop(void *context, const struct aq_catalog *catalog,
                                 struct aq_edit *edit, struct aq_error *err)
{
    const struct aq_shard_writer *writer = context;
    return aq_segment_drop(writer->segment.header.segment_id, catalog, edit, err);
}

enum aq_status aq_shard_writer_drop(struct aq_shard_writer *writer, struct aq_error *err)
{
    AQ_TRY(aq_shard_writer_check(writer, err));
    assert(writer->options.hold);
    if (writer->segment.file == NULL)
        return AQ_OK;
    struct aq_error error = {0};
    enum aq_status status = flush(writer, &error);
    if (status == AQ_OK)
        status = aq_store_commit(writer->store, build_drop, writer, &error);
    if (status >= 0)
        leave_segment(writer);
    return aq_shard_writer_finish(writer, status < 0 ? status : AQ_OK, &error, err);
}

struct aq_shard_writer_counters aq_shard_writer_count(const struct aq_shard_writer *writer)
{
    return writer->counters;
}

/* Whether a commit failed that may have happened all the same. */
static bool may_be_sealed(struct aq_store *store)
{
    pthread_mutex_lock(&store->advance);
    bool uncertain = store->uncertain;
    pthread_mutex_unlock(&store->advance);
    return uncertain;
}

/* What was not acked is given up. On a full disk its bytes are better used for the edit that recovery
 * has to write; but a footer that the catalog may name stays. */
static void give_up(struct aq_shard_writer *writer)
{
    struct aq_error ignored = {0};
    while (writer->io != NULL && aq_io_in_flight(writer->io) > 0) {
        if (aq_io_wait(writer->io, 1, &ignored) < 0)
            return;
    }
    aq_segment_blocks_end(&writer->blocks);
    if (writer->segment.file == NULL || writer->status != AQ_DISK_FULL ||
        may_be_sealed(writer->store))
        return;
    uint64_t end = aq_segment_index_end(&writer->totals.index);
    if (ftruncate(aq_io_file_fd(writer->segment.file), (off_t)end) != 0)
        return; /* recovery cuts the tail off all the same */
}

void aq_shard_writer_destroy(struct aq_shard_writer *writer)
{
    if (writer == NULL)
        return;
    give_up(writer);
    aq_segment_blocks_deinit(&writer->blocks);
    aq_open_segment_close(&writer->segment);
    aq_segment_totals_deinit(&writer->totals);
    aq_feed_claims_deinit(&writer->claims);
    aq_io_destroy(writer->io);
    for (unsigned i = 0; i < slot_count(writer); i++) {
        aq_bytes_deinit(&writer->slots[i].bytes);
        aq_arena_deinit(&writer->slots[i].arena);
    }
    free(writer->slots);
    aq_encode_scratch_deinit(&writer->scratch);
    free(writer);
}
