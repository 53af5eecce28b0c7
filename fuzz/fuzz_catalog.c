/* Fuzz target: a sequence of edits applied to a catalog. The input is a list of edits' records, each behind its size in two
 * bytes, of which the highest bit says that it is a checkpoint; headers and checksums are made right. Each edit is refused, or leaves a state that a checkpoint describes: applied to
 * nothing, that gives a state which describes itself in the same bytes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/store/catalog/catalog_state.h"
#include "engine/store/store.h"

#define HEADER_BYTES 80
#define AT_RECORD_COUNT 68
#define EDITS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_varint(struct aq_slice *from)
{
    uint64_t value = 0;
    for (unsigned shift = 0; from->size > 0 && shift < 64; shift += 7) {
        uint8_t byte = *from->data++;
        from->size--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    return value;
}

/* Tag, length, payload, over and over. */
static uint32_t count_records(struct aq_slice records)
{
    uint32_t count = 0;
    for (; records.size > 0; count++) {
        read_varint(&records);
        uint64_t length = read_varint(&records);
        length = length < records.size ? length : records.size;
        records.data += length;
        records.size -= length;
    }
    return count;
}

/* The bytes of the next edit: a well-formed one, with these records in it. */
static void make_edit(const struct aq_catalog *catalog, struct aq_slice records, bool checkpoint,
                      struct aq_bytes *out)
{
    struct aq_edit_header header = {.number = catalog->number + 1,
                                    .previous_checksum = catalog->checksum,
                                    .time_us = 1,
                                    .checkpoint = checkpoint};
    struct aq_bytes empty = {0};
    uint64_t checksum;
    enum aq_status status = aq_edit_encode(&header, NULL, 0, &empty, &checksum, NULL);
    assert(status == AQ_OK && empty.size == HEADER_BYTES + 8);
    aq_bytes_clear(out);
    aq_bytes_append(out, empty.data, HEADER_BYTES);
    aq_bytes_append(out, records.data, records.size);
    assert(aq_bytes_status(out) == AQ_OK);
    aq_store_u32(out->data + AT_RECORD_COUNT, count_records(records));
    aq_store_u64(out->data + AT_RECORD_COUNT + 4, records.size);
    aq_bytes_u64(out, aq_checksum(out->data, out->size));
    aq_bytes_deinit(&empty);
}

static enum aq_status apply(struct aq_catalog_state *state, struct aq_slice bytes)
{
    struct aq_arena arena = {0};
    struct aq_error err = {0};
    struct aq_edit_header header;
    struct aq_record *records;
    size_t record_count;
    uint64_t checksum;
    enum aq_status status =
        aq_edit_decode(bytes, &arena, &header, &records, &record_count, &checksum, &err);
    if (status == AQ_OK)
        status = aq_catalog_state_apply(state, &header, records, record_count, checksum, &err);
    aq_arena_deinit(&arena);
    return status;
}

static void describe(const struct aq_catalog *catalog, struct aq_bytes *out)
{
    struct aq_edit edit = {0};
    struct aq_edit_header header = {.number = catalog->number,
                                    .previous_checksum = catalog->checksum,
                                    .time_us = catalog->time_us,
                                    .checkpoint = true};
    uint64_t checksum;
    enum aq_status status = aq_catalog_describe(catalog, &edit);
    assert(status == AQ_OK);
    status = aq_edit_encode(&header, edit.records, edit.record_count, out, &checksum, NULL);
    assert(status == AQ_OK);
    aq_edit_deinit(&edit);
}

/* What a description could leave out without its own description showing it. */
static void check_counts(const struct aq_catalog *a, const struct aq_catalog *b)
{
    assert(a->number == b->number && a->checksum == b->checksum);
    assert(a->next_file_id == b->next_file_id && a->next_feed_id == b->next_feed_id);
    assert(a->next_epoch == b->next_epoch && a->next_dataset_id == b->next_dataset_id);
    assert(a->dataset_count == b->dataset_count && a->view_count == b->view_count);
    assert(a->file_count == b->file_count && a->feed_count == b->feed_count);
    assert(a->mask_count == b->mask_count && a->lost_count == b->lost_count);
    assert(a->tombstone_count == b->tombstone_count);
    for (size_t i = 0; i < a->file_count; i++)
        assert(a->files[i].state == b->files[i].state && a->files[i].edit == b->files[i].edit &&
               a->files[i].evicted == b->files[i].evicted &&
               a->files[i].object.size == b->files[i].object.size);
    for (size_t i = 0; i < a->feed_count; i++)
        assert(a->feeds[i].claim_file_id == b->feeds[i].claim_file_id &&
               a->feeds[i].position.next_ordinal == b->feeds[i].position.next_ordinal);
}

static void check_description(const struct aq_catalog *catalog)
{
    struct aq_catalog_state state;
    struct aq_bytes once = {0};
    struct aq_bytes twice = {0};
    describe(catalog, &once);
    enum aq_status status = aq_catalog_state_begin(&state, NULL);
    assert(status == AQ_OK);
    status = apply(&state, aq_bytes_view(&once));
    assert(status == AQ_OK);
    check_counts(catalog, state.catalog);
    describe(state.catalog, &twice);
    assert(aq_slice_equal(aq_bytes_view(&once), aq_bytes_view(&twice)));
    aq_catalog_state_abandon(&state);
    aq_bytes_deinit(&once);
    aq_bytes_deinit(&twice);
}

/* Upon a copy, as a commit does it: what is refused leaves no trace. NULL: refused. */
static const struct aq_catalog *follow(const struct aq_catalog *catalog, struct aq_slice records,
                                       bool checkpoint)
{
    struct aq_catalog_state state;
    struct aq_bytes edit = {0};
    struct aq_catalog empty = {0};
    enum aq_status status = aq_catalog_state_begin(&state, catalog);
    assert(status == AQ_OK);
    make_edit(catalog != NULL ? catalog : &empty, records, checkpoint, &edit);
    status = apply(&state, aq_bytes_view(&edit));
    aq_bytes_deinit(&edit);
    if (status == AQ_OK)
        return aq_catalog_state_finish(&state);
    aq_catalog_state_abandon(&state);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct aq_catalog *catalog = NULL;
    for (unsigned edits = 0; size >= 2 && edits < EDITS_MAX; edits++) {
        size_t wanted = data[0] | (size_t)(data[1] & 0x7f) << 8;
        bool checkpoint = data[1] >> 7;
        size_t length = wanted < size - 2 ? wanted : size - 2;
        const struct aq_catalog *next =
            follow(catalog, aq_slice_make(data + 2, length), checkpoint);
        data += 2 + length;
        size -= 2 + length;
        if (next == NULL)
            continue;
        check_description(next);
        aq_catalog_release(catalog);
        catalog = next;
    }
    aq_catalog_release(catalog);
    return 0;
}
