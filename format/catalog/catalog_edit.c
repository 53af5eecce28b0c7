/* Catalog edits <-> bytes (docs/catalog-format.md).
 *
 * An edit is a fixed header, then records, each with its tag and length, then a checksum over all
 * bytes before it. Encoding appends record after record and closes with the checksum. Decoding
 * verifies the checksum first, then the preamble, then walks the records with one reader whose end
 * is moved to each record's end in turn, so that every offset in an error is the edit's own.
 *
 * Failures: any damage is AQ_CORRUPT; an intact edit with a newer version, a feature or a record kind
 * that this version does not know is AQ_UNSUPPORTED: skipping it could resurrect removed rows. */
#include "format/catalog/catalog_edit.h"

#include <assert.h>
#include <string.h>

#include "format/base/preamble.h"
#include "format/base/mutant.h"

#define EDIT_MAGIC "AQCATEDT"
#define EDIT_VERSION 1
#define FLAG_CHECKPOINT UINT32_C(1)

enum {
    AT_NUMBER = AQ_PREAMBLE_BYTES,
    AT_PREVIOUS = AT_NUMBER + 8,
    AT_NONCE = AT_PREVIOUS + 8,
    AT_TIME = AT_NONCE + 16,
    AT_FLAGS = AT_TIME + 8,
    AT_RECORD_COUNT = AT_FLAGS + 4,
    AT_PAYLOAD_SIZE = AT_RECORD_COUNT + 4,
    HEADER_BYTES = AT_PAYLOAD_SIZE + 8,
    CHECKSUM_BYTES = 8,
};
_Static_assert(HEADER_BYTES == 80, "docs/catalog-format.md, \"Header\"");

/* Parts that several records share. */

static void put_entry(struct aq_bytes *out, const struct aq_file_entry *entry)
{
    aq_bytes_varint(out, entry->dataset_id);
    aq_bytes_varint(out, entry->schema_version);
    aq_bytes_varint(out, entry->row_count);
    aq_bytes_u8(out, entry->has_time);
    if (!entry->has_time)
        return;
    aq_bytes_varint_signed(out, entry->min_time_us);
    aq_bytes_varint_signed(out, entry->max_time_us);
}

static uint32_t get_u32(struct aq_reader *reader)
{
    uint64_t value = aq_reader_varint(reader);
    if (value > UINT32_MAX)
        aq_reader_fail(reader);
    return (uint32_t)value;
}

static bool get_bool(struct aq_reader *reader)
{
    uint8_t value = aq_reader_u8(reader);
    if (value > 1)
        aq_reader_fail(reader);
    return value == 1;
}

static void get_bytes16(struct aq_reader *reader, uint8_t out[16])
{
    struct aq_slice bytes = aq_reader_bytes(reader, 16);
    if (bytes.size == 16)
        memcpy(out, bytes.data, 16);
}

static void get_entry(struct aq_reader *reader, struct aq_file_entry *entry)
{
    entry->dataset_id = get_u32(reader);
    entry->schema_version = get_u32(reader);
    entry->row_count = aq_reader_varint(reader);
    entry->has_time = get_bool(reader);
    if (!entry->has_time)
        return;
    entry->min_time_us = aq_reader_varint_signed(reader);
    entry->max_time_us = aq_reader_varint_signed(reader);
    if (entry->min_time_us > entry->max_time_us)
        aq_reader_fail(reader);
}

/* One pair of functions a record with arrays or many fields; the rest stand in the switches below. */

static void put_close(struct aq_bytes *out, const struct aq_record *record)
{
    aq_bytes_varint(out, record->close.file_id);
    aq_bytes_varint(out, record->close.frame_count);
    aq_bytes_varint(out, record->close.size_bytes);
    aq_bytes_varint(out, record->close.file_bytes);
    aq_bytes_u64(out, record->close.checksum);
    aq_bytes_varint(out, record->close.entry_count);
    for (size_t i = 0; i < record->close.entry_count; i++)
        put_entry(out, &record->close.entries[i]);
}

static enum aq_status get_close(struct aq_reader *reader, struct aq_arena *arena,
                                struct aq_record *record)
{
    record->close.file_id = aq_reader_varint(reader);
    record->close.frame_count = aq_reader_varint(reader);
    record->close.size_bytes = aq_reader_varint(reader);
    record->close.file_bytes = aq_reader_varint(reader);
    record->close.checksum = aq_reader_u64(reader);
    size_t count = aq_reader_count(reader);
    record->close.entries = aq_arena_alloc(arena, count * sizeof *record->close.entries);
    if (record->close.entries == NULL)
        return AQ_NO_MEMORY;
    memset(record->close.entries, 0, count * sizeof *record->close.entries);
    record->close.entry_count = count;
    for (size_t i = 0; i < count; i++)
        get_entry(reader, &record->close.entries[i]);
    return AQ_OK;
}

static void put_archive(struct aq_bytes *out, const struct aq_record *record)
{
    aq_bytes_varint(out, record->archive.file_id);
    aq_bytes_varint(out, record->archive.size_bytes);
    aq_bytes_u64(out, record->archive.content.low);
    aq_bytes_u64(out, record->archive.content.high);
    aq_bytes_varint(out, record->archive.content.row_count);
    put_entry(out, &record->archive.entry);
    aq_bytes_slice(out, record->archive.root);
}

static void get_archive(struct aq_reader *reader, struct aq_record *record)
{
    record->archive.file_id = aq_reader_varint(reader);
    record->archive.size_bytes = aq_reader_varint(reader);
    record->archive.content.low = aq_reader_u64(reader);
    record->archive.content.high = aq_reader_u64(reader);
    record->archive.content.row_count = aq_reader_varint(reader);
    get_entry(reader, &record->archive.entry);
    record->archive.root = aq_reader_slice(reader);
}

static void put_feed(struct aq_bytes *out, const struct aq_feed_identity *feed)
{
    aq_bytes_varint(out, feed->feed_id);
    aq_bytes_varint(out, feed->dataset_id);
    aq_bytes_slice(out, feed->source);
    aq_bytes_slice(out, feed->name);
    aq_bytes_slice(out, feed->cluster);
    aq_bytes_varint_signed(out, feed->partition);
    aq_bytes_varint(out, feed->incarnation);
    aq_bytes_varint_signed(out, feed->stamp_us);
}

static void get_feed(struct aq_reader *reader, struct aq_feed_identity *feed)
{
    feed->feed_id = aq_reader_varint(reader);
    feed->dataset_id = get_u32(reader);
    feed->source = aq_reader_slice(reader);
    feed->name = aq_reader_slice(reader);
    feed->cluster = aq_reader_slice(reader);
    int64_t partition = aq_reader_varint_signed(reader);
    if (partition < -1 || partition > INT32_MAX)
        aq_reader_fail(reader);
    feed->partition = (int32_t)partition;
    feed->incarnation = get_u32(reader);
    feed->stamp_us = aq_reader_varint_signed(reader);
}

static void put_position(struct aq_bytes *out, const struct aq_feed_position *position)
{
    aq_bytes_varint(out, position->feed_id);
    aq_bytes_varint(out, position->next_ordinal);
    aq_bytes_varint(out, position->next_offset);
    aq_bytes_append(out, position->hash.bytes, sizeof position->hash.bytes);
    aq_bytes_varint_signed(out, position->last_stamp_us);
    aq_bytes_varint(out, position->row_count);
    aq_bytes_varint(out, position->reject_count);
    aq_bytes_varint(out, position->passed_count);
    aq_bytes_u8(out, position->finished);
}

static void get_position(struct aq_reader *reader, struct aq_feed_position *position)
{
    position->feed_id = aq_reader_varint(reader);
    position->next_ordinal = aq_reader_varint(reader);
    position->next_offset = aq_reader_varint(reader);
    get_bytes16(reader, position->hash.bytes);
    position->last_stamp_us = aq_reader_varint_signed(reader);
    position->row_count = aq_reader_varint(reader);
    position->reject_count = aq_reader_varint(reader);
    position->passed_count = aq_reader_varint(reader);
    position->finished = get_bool(reader);
}

static void put_tombstone(struct aq_bytes *out, const struct aq_record *record)
{
    aq_bytes_varint(out, record->tombstone.dataset_id);
    aq_bytes_varint(out, record->tombstone.key_count);
    for (size_t i = 0; i < record->tombstone.key_count; i++)
        aq_bytes_slice(out, record->tombstone.keys[i]);
    aq_bytes_varint_signed(out, record->tombstone.from_us);
    aq_bytes_varint_signed(out, record->tombstone.until_us);
    aq_bytes_varint(out, record->tombstone.before_edit);
}

static enum aq_status get_tombstone(struct aq_reader *reader, struct aq_arena *arena,
                                    struct aq_record *record)
{
    record->tombstone.dataset_id = get_u32(reader);
    size_t count = aq_reader_count(reader);
    record->tombstone.keys = aq_arena_alloc(arena, count * sizeof *record->tombstone.keys);
    if (record->tombstone.keys == NULL)
        return AQ_NO_MEMORY;
    record->tombstone.key_count = count;
    for (size_t i = 0; i < count; i++)
        record->tombstone.keys[i] = aq_reader_slice(reader);
    record->tombstone.from_us = aq_reader_varint_signed(reader);
    record->tombstone.until_us = aq_reader_varint_signed(reader);
    record->tombstone.before_edit = aq_reader_varint(reader);
    return AQ_OK;
}

/* Three varints: the shape of claims and masks, and what most small records begin with. */
static void put_varints(struct aq_bytes *out, uint64_t first, uint64_t second, uint64_t third)
{
    aq_bytes_varint(out, first);
    aq_bytes_varint(out, second);
    aq_bytes_varint(out, third);
}

static void put_counters(struct aq_bytes *out, const struct aq_record *record)
{
    put_varints(out, record->counters.next_file_id, record->counters.next_feed_id,
                record->counters.next_epoch);
    aq_bytes_varint(out, record->counters.next_dataset_id);
}

static void put_record(struct aq_bytes *out, const struct aq_record *record)
{
    switch (record->kind) {
    case AQ_RECORD_STORE:
        aq_bytes_append(out, record->store.id.bytes, sizeof record->store.id.bytes);
        aq_bytes_varint(out, record->store.incarnation);
        break;
    case AQ_RECORD_DATASET:
        aq_schema_encode(&record->dataset, out);
        break;
    case AQ_RECORD_VIEW:
        aq_bytes_slice(out, record->view.name);
        aq_bytes_slice(out, record->view.sql);
        break;
    case AQ_RECORD_OPEN:
        aq_bytes_varint(out, record->open.file_id);
        aq_bytes_varint(out, record->open.epoch);
        break;
    case AQ_RECORD_CLOSE:
        put_close(out, record);
        break;
    case AQ_RECORD_ARCHIVE:
        put_archive(out, record);
        break;
    case AQ_RECORD_REMOVE:
        aq_bytes_varint(out, record->remove.file_id);
        break;
    case AQ_RECORD_FEED:
        put_feed(out, &record->feed);
        break;
    case AQ_RECORD_POSITION:
        put_position(out, &record->position);
        break;
    case AQ_RECORD_CLAIM:
        put_varints(out, record->claim.feed_id, record->claim.from_ordinal, record->claim.epoch);
        aq_bytes_varint(out, record->claim.file_id);
        break;
    case AQ_RECORD_MASK:
        put_varints(out, record->mask.file_id, record->mask.feed_id, record->mask.from_ordinal);
        break;
    case AQ_RECORD_TOMBSTONE:
        put_tombstone(out, record);
        break;
    case AQ_RECORD_COUNTERS:
        put_counters(out, record);
        break;
    case AQ_RECORD_LOST:
        put_varints(out, record->lost.feed_id, record->lost.from_ordinal,
                    record->lost.next_ordinal);
        break;
    case AQ_RECORD_PLACE:
        aq_bytes_varint(out, record->place.file_id);
        aq_bytes_slice(out, record->place.object);
        aq_bytes_append(out, record->place.hash.bytes, sizeof record->place.hash.bytes);
        break;
    case AQ_RECORD_EVICT:
        aq_bytes_varint(out, record->evict.file_id);
        break;
    case AQ_RECORD_COMPLETE:
        aq_bytes_varint(out, record->complete.dataset_id);
        aq_bytes_varint_signed(out, record->complete.until_us);
        break;
    case AQ_RECORD_SINCE:
        aq_bytes_varint(out, record->since.file_id);
        aq_bytes_varint(out, record->since.edit);
        break;
    case AQ_RECORD_HOLD:
        aq_bytes_varint(out, record->hold.file_id);
        break;
    }
}

static enum aq_status get_dataset(struct aq_reader *reader, struct aq_arena *arena,
                                  struct aq_schema *schema, struct aq_error *err)
{
    size_t base = reader->offset;
    struct aq_slice bytes = aq_reader_bytes(reader, aq_reader_left(reader));
    enum aq_status status = aq_schema_decode(bytes, arena, schema, err);
    if (status == AQ_CORRUPT && err != NULL && err->offset >= 0)
        err->offset += (int64_t)base;
    return status;
}

static void get_claim(struct aq_reader *reader, struct aq_record *record)
{
    record->claim.feed_id = aq_reader_varint(reader);
    record->claim.from_ordinal = aq_reader_varint(reader);
    record->claim.epoch = aq_reader_varint(reader);
    record->claim.file_id = aq_reader_varint(reader);
}

static void get_counters(struct aq_reader *reader, struct aq_record *record)
{
    record->counters.next_file_id = aq_reader_varint(reader);
    record->counters.next_feed_id = aq_reader_varint(reader);
    record->counters.next_epoch = aq_reader_varint(reader);
    record->counters.next_dataset_id = get_u32(reader);
}

/* Fills the member that record->kind names; the caller checks the reader afterwards. */
static enum aq_status get_record(struct aq_reader *reader, struct aq_arena *arena,
                                 struct aq_record *record, struct aq_error *err)
{
    switch (record->kind) {
    case AQ_RECORD_STORE:
        get_bytes16(reader, record->store.id.bytes);
        record->store.incarnation = aq_reader_varint(reader);
        break;
    case AQ_RECORD_DATASET:
        return get_dataset(reader, arena, &record->dataset, err);
    case AQ_RECORD_VIEW:
        record->view.name = aq_reader_slice(reader);
        record->view.sql = aq_reader_slice(reader);
        break;
    case AQ_RECORD_OPEN:
        record->open.file_id = aq_reader_varint(reader);
        record->open.epoch = aq_reader_varint(reader);
        break;
    case AQ_RECORD_CLOSE:
        return get_close(reader, arena, record);
    case AQ_RECORD_ARCHIVE:
        get_archive(reader, record);
        break;
    case AQ_RECORD_REMOVE:
        record->remove.file_id = aq_reader_varint(reader);
        break;
    case AQ_RECORD_FEED:
        get_feed(reader, &record->feed);
        break;
    case AQ_RECORD_POSITION:
        get_position(reader, &record->position);
        break;
    case AQ_RECORD_CLAIM:
        get_claim(reader, record);
        break;
    case AQ_RECORD_MASK:
        record->mask.file_id = aq_reader_varint(reader);
        record->mask.feed_id = aq_reader_varint(reader);
        record->mask.from_ordinal = aq_reader_varint(reader);
        break;
    case AQ_RECORD_TOMBSTONE:
        return get_tombstone(reader, arena, record);
    case AQ_RECORD_COUNTERS:
        get_counters(reader, record);
        break;
    case AQ_RECORD_LOST:
        record->lost.feed_id = aq_reader_varint(reader);
        record->lost.from_ordinal = aq_reader_varint(reader);
        record->lost.next_ordinal = aq_reader_varint(reader);
        break;
    case AQ_RECORD_PLACE:
        record->place.file_id = aq_reader_varint(reader);
        record->place.object = aq_reader_slice(reader);
        get_bytes16(reader, record->place.hash.bytes);
        break;
    case AQ_RECORD_EVICT:
        record->evict.file_id = aq_reader_varint(reader);
        break;
    case AQ_RECORD_COMPLETE:
        record->complete.dataset_id = get_u32(reader);
        record->complete.until_us = aq_reader_varint_signed(reader);
        break;
    case AQ_RECORD_SINCE:
        record->since.file_id = aq_reader_varint(reader);
        record->since.edit = aq_reader_varint(reader);
        break;
    case AQ_RECORD_HOLD:
        record->hold.file_id = aq_reader_varint(reader);
        break;
    }
    return AQ_OK;
}

static const char *record_name(uint64_t tag)
{
    switch (tag) {
#define RECORD_NAME(name, number, text) \
    case number:                        \
        return text;
        AQ_RECORD_TABLE(RECORD_NAME)
#undef RECORD_NAME
    default:
        return NULL;
    }
}

/* What only a whole state says: it follows from the edits, and would contradict them. */
static bool is_of_checkpoints(uint64_t tag)
{
    return tag == AQ_RECORD_COUNTERS || tag == AQ_RECORD_COMPLETE || tag == AQ_RECORD_SINCE;
}

static void put_header(const struct aq_edit_header *header, size_t record_count,
                       struct aq_bytes *out)
{
    aq_preamble_append(out, EDIT_MAGIC, EDIT_VERSION);
    aq_bytes_u64(out, header->number);
    aq_bytes_u64(out, header->previous_checksum);
    aq_bytes_append(out, header->nonce, sizeof header->nonce);
    aq_bytes_u64(out, (uint64_t)header->time_us);
    aq_bytes_u32(out, header->checkpoint ? FLAG_CHECKPOINT : 0);
    aq_bytes_u32(out, (uint32_t)record_count);
    aq_bytes_u64(out, 0); /* payload size: patched when it is known */
}

static enum aq_status no_room(struct aq_bytes *out, size_t base, struct aq_error *err)
{
    out->size = base;
    return aq_error_set(err, AQ_NO_MEMORY, "no memory for a catalog edit");
}

enum aq_status aq_edit_encode(const struct aq_edit_header *header, const struct aq_record *records,
                              size_t record_count, struct aq_bytes *out, uint64_t *checksum,
                              struct aq_error *err)
{
    struct aq_bytes scratch = {0};
    size_t base = out->size;
    put_header(header, record_count, out);
    for (size_t i = 0; i < record_count; i++) {
        assert(header->checkpoint || !is_of_checkpoints(records[i].kind));
        aq_bytes_clear(&scratch);
        put_record(&scratch, &records[i]);
        out->failed |= scratch.failed;
        aq_bytes_varint(out, records[i].kind);
        aq_bytes_slice(out, aq_bytes_view(&scratch));
    }
    aq_bytes_deinit(&scratch);
    if (out->failed)
        return no_room(out, base, err);
    size_t size = out->size - base;
    if (size > AQ_EDIT_BYTES_MAX - CHECKSUM_BYTES || record_count > UINT32_MAX) {
        out->size = base;
        return aq_error_set(err, AQ_LIMIT, "a catalog edit of %zu bytes passes the limit", size);
    }
    aq_bytes_patch_u64(out, base + AT_PAYLOAD_SIZE, size - HEADER_BYTES);
    *checksum = aq_checksum(out->data + base, size);
    aq_bytes_u64(out, *checksum);
    return out->failed ? no_room(out, base, err) : AQ_OK;
}

/* Whole bytes, intact, of a version that can be read. */
static enum aq_status check_frame(struct aq_slice bytes, uint64_t *checksum, struct aq_error *err)
{
    if (bytes.size < HEADER_BYTES + CHECKSUM_BYTES)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)bytes.size,
                               "a catalog edit is cut short");
    size_t covered = bytes.size - CHECKSUM_BYTES;
    *checksum = aq_load_u64(bytes.data + covered);
    if (!aq_mutant(26) && aq_checksum(bytes.data, covered) != *checksum)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)covered,
                               "the checksum of a catalog edit does not match its bytes");
    AQ_TRY(aq_preamble_check(bytes, EDIT_MAGIC, EDIT_VERSION, "catalog edit", err));
    if (aq_load_u64(bytes.data + AT_PAYLOAD_SIZE) != covered - HEADER_BYTES)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, AT_PAYLOAD_SIZE,
                               "a catalog edit does not have the length it says");
    return AQ_OK;
}

static enum aq_status get_header(struct aq_slice bytes, struct aq_edit_header *header,
                                 struct aq_error *err)
{
    *header = (struct aq_edit_header){
        .number = aq_load_u64(bytes.data + AT_NUMBER),
        .previous_checksum = aq_load_u64(bytes.data + AT_PREVIOUS),
        .time_us = (int64_t)aq_load_u64(bytes.data + AT_TIME),
    };
    memcpy(header->nonce, bytes.data + AT_NONCE, sizeof header->nonce);
    uint32_t flags = aq_load_u32(bytes.data + AT_FLAGS);
    if ((flags & ~FLAG_CHECKPOINT) != 0)
        return aq_error_set_at(err, AQ_UNSUPPORTED, NULL, AT_FLAGS,
                               "a catalog edit has flags 0x%x, written by a newer version", flags);
    header->checkpoint = flags == FLAG_CHECKPOINT;
    return AQ_OK;
}

static enum aq_status next_record(struct aq_reader *reader, bool checkpoint, struct aq_arena *arena,
                                  struct aq_record *record, struct aq_error *err)
{
    size_t at = reader->offset;
    uint64_t tag = aq_reader_varint(reader);
    size_t length = aq_reader_count(reader);
    AQ_TRY(aq_reader_status(reader, "a record of a catalog edit", err));
    const char *name = record_name(tag);
    if (name == NULL)
        return aq_error_set_at(err, AQ_UNSUPPORTED, NULL, (int64_t)reader->offset,
                               "a catalog edit has a record of kind %llu, written by a newer "
                               "version; use a newer aqstore",
                               (unsigned long long)tag);
    if (!checkpoint && is_of_checkpoints(tag))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)at,
                               "an edit has a record \"%s\", which stands in checkpoints only",
                               name);
    memset(record, 0, sizeof *record);
    record->kind = (enum aq_record_kind)tag;
    size_t end = reader->size;
    reader->size = reader->offset + length;
    enum aq_status status = get_record(reader, arena, record, err);
    if (status == AQ_NO_MEMORY)
        return aq_error_set(err, status, "no memory for a catalog record \"%s\"", name);
    AQ_TRY(status);
    AQ_TRY(aq_reader_finish(reader, name, err));
    reader->size = end;
    return AQ_OK;
}

enum aq_status aq_edit_decode(struct aq_slice bytes, struct aq_arena *arena,
                              struct aq_edit_header *header, struct aq_record **records,
                              size_t *record_count, uint64_t *checksum, struct aq_error *err)
{
    AQ_TRY(check_frame(bytes, checksum, err));
    AQ_TRY(get_header(bytes, header, err));
    struct aq_reader reader =
        aq_reader_make(aq_slice_make(bytes.data, bytes.size - CHECKSUM_BYTES));
    aq_reader_skip(&reader, HEADER_BYTES);
    size_t count = aq_load_u32(bytes.data + AT_RECORD_COUNT);
    if (count > aq_reader_left(&reader))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, AT_RECORD_COUNT,
                               "a catalog edit cannot hold %zu records", count);
    *records = aq_arena_alloc(arena, count * sizeof **records);
    if (*records == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for %zu catalog records", count);
    *record_count = count;
    for (size_t i = 0; i < count; i++)
        AQ_TRY(next_record(&reader, header->checkpoint, arena, &(*records)[i], err));
    return aq_reader_finish(&reader, "a catalog edit", err);
}

bool aq_edit_peek(const uint8_t bytes[AQ_EDIT_PEEK_BYTES], uint64_t *number,
                  uint64_t *previous_checksum)
{
    _Static_assert(AQ_EDIT_PEEK_BYTES == AT_NONCE, "what comes before the nonce");
    *number = aq_load_u64(bytes + AT_NUMBER);
    *previous_checksum = aq_load_u64(bytes + AT_PREVIOUS);
    return aq_preamble_is(aq_slice_make(bytes, AQ_EDIT_PEEK_BYTES), EDIT_MAGIC);
}
