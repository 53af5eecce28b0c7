/* Catalog edits: every record there and back; every flip and every truncation refused; golden bytes. */
#include <criterion/criterion.h>
#include <string.h>

#include "format/catalog/catalog_edit.h"
#include "tests/unit/format/golden.h"

static struct aq_column columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
    {.name = "pm25", .type = AQ_TYPE_DOUBLE, .id = 3},
};

static const struct aq_schema schema = {
    .dataset_id = 1,
    .version = 1,
    .dataset = "air",
    .column_count = 3,
    .columns = columns,
    .key_column = 0,
    .time_column = 1,
    .slot = AQ_SLOT_DAY,
    .version_column = AQ_COLUMN_NONE,
};

static struct aq_file_entry entries[] = {
    {.dataset_id = 1,
     .schema_version = 1,
     .row_count = 3,
     .has_time = true,
     .min_time_us = INT64_C(1739512800000000),
     .max_time_us = INT64_C(1739516400000000)},
    {.dataset_id = 2, .schema_version = 7, .row_count = 0},
};
static struct aq_slice keys[2];

/* One record of every kind, each member set to something of its own. */
static size_t all_records(struct aq_record *records)
{
    keys[0] = aq_slice_of("hanoi");
    keys[1] = aq_slice_of("");
    struct aq_record all[] = {
        {.kind = AQ_RECORD_STORE, .store = {.id = {{1, 2, 3}}, .incarnation = 300}},
        {.kind = AQ_RECORD_DATASET, .dataset = schema},
        {.kind = AQ_RECORD_VIEW, .view = {aq_slice_of("v"), aq_slice_of("SELECT 1")}},
        {.kind = AQ_RECORD_OPEN, .open = {.file_id = 4, .epoch = UINT64_MAX}},
        {.kind = AQ_RECORD_CLOSE,
         .close = {4, 17, 4096, 4288, UINT64_C(0x1122334455667788), 2, entries}},
        {.kind = AQ_RECORD_ARCHIVE,
         .archive = {5, 999, {1, 2, 3}, entries[0], aq_slice_of("root bytes")}},
        {.kind = AQ_RECORD_REMOVE, .remove = {.file_id = 4}},
        {.kind = AQ_RECORD_FEED,
         .feed = {6, 1, aq_slice_of("import"), aq_slice_of("a.csv"), aq_slice_of("k"), -1, 2, -5}},
        {.kind = AQ_RECORD_POSITION,
         .position = {6, 1000, 123456, {{9, 8, 7}}, -77, 990, 7, 3, true}},
        {.kind = AQ_RECORD_CLAIM, .claim = {6, 1000, 12, 4}},
        {.kind = AQ_RECORD_MASK, .mask = {4, 6, 500}},
        {.kind = AQ_RECORD_TOMBSTONE, .tombstone = {1, 2, keys, INT64_MIN, INT64_MAX, 41}},
        {.kind = AQ_RECORD_COUNTERS, .counters = {7, 8, 13, 3}},
        {.kind = AQ_RECORD_LOST, .lost = {6, 1000, 1010}},
        {.kind = AQ_RECORD_PLACE, .place = {4, aq_slice_of("data/ab-01.aqa"), {{3, 1, 4}}}},
        {.kind = AQ_RECORD_EVICT, .evict = {4}},
        {.kind = AQ_RECORD_COMPLETE, .complete = {1, -12345}},
        {.kind = AQ_RECORD_SINCE, .since = {4, 1000}},
        {.kind = AQ_RECORD_HOLD, .hold = {4}},
    };
    memcpy(records, all, sizeof all);
    return sizeof all / sizeof all[0];
}

static const struct aq_edit_header header = {
    .number = 42,
    .previous_checksum = UINT64_C(0x0123456789abcdef),
    .nonce = {0xa0, 0xa1, 0xa2, 0xa3},
    .time_us = INT64_C(1739516400000001),
};
/* Of a checkpoint, which may have all records. */
static const struct aq_edit_header whole_state = {
    .number = 42,
    .previous_checksum = UINT64_C(0x0123456789abcdef),
    .nonce = {0xa0, 0xa1, 0xa2, 0xa3},
    .time_us = INT64_C(1739516400000001),
    .checkpoint = true,
};

static struct aq_bytes encode(const struct aq_edit_header *edit_header,
                              const struct aq_record *records, size_t record_count)
{
    struct aq_bytes bytes = {0};
    uint64_t checksum;
    cr_assert_eq(aq_edit_encode(edit_header, records, record_count, &bytes, &checksum, NULL),
                 AQ_OK);
    return bytes;
}

static enum aq_status decode(struct aq_slice bytes, struct aq_error *err)
{
    struct aq_arena arena = {0};
    struct aq_edit_header back;
    struct aq_record *records;
    size_t record_count;
    uint64_t checksum;
    enum aq_status status =
        aq_edit_decode(bytes, &arena, &back, &records, &record_count, &checksum, err);
    aq_arena_deinit(&arena);
    return status;
}

Test(catalog_edit, every_record_comes_back)
{
    struct aq_record records[24];
    size_t count = all_records(records);
    struct aq_bytes bytes = {0};
    uint64_t checksum;
    aq_bytes_text(&bytes, "what was there before");
    size_t before = bytes.size;
    cr_assert_eq(aq_edit_encode(&whole_state, records, count, &bytes, &checksum, NULL), AQ_OK);
    struct aq_slice edit = aq_slice_make(bytes.data + before, bytes.size - before);

    struct aq_arena arena = {0};
    struct aq_edit_header back;
    struct aq_record *decoded;
    size_t decoded_count;
    uint64_t decoded_checksum;
    cr_assert_eq(
        aq_edit_decode(edit, &arena, &back, &decoded, &decoded_count, &decoded_checksum, NULL),
        AQ_OK);
    cr_assert_eq(decoded_checksum, checksum);
    cr_assert_eq(decoded_count, count);
    cr_assert_eq(back.number, 42);
    cr_assert_eq(back.previous_checksum, header.previous_checksum);
    cr_assert_eq(back.time_us, header.time_us);
    cr_assert_eq(memcmp(back.nonce, header.nonce, 16), 0);
    cr_assert(back.checkpoint);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(decoded[i].kind, records[i].kind);
    /* Equal members encode to equal bytes, so encoding what came back compares them all. */
    struct aq_bytes again = encode(&back, decoded, decoded_count);
    cr_assert(aq_slice_equal(aq_bytes_view(&again), edit));
    cr_assert_eq(decoded[4].close.entries[0].max_time_us, INT64_C(1739516400000000));
    cr_assert_eq(decoded[4].close.entries[1].has_time, false);
    cr_assert_eq(decoded[7].feed.partition, -1);
    cr_assert_eq(decoded[8].position.finished, true);
    cr_assert_eq(decoded[11].tombstone.from_us, INT64_MIN);
    cr_assert(aq_slice_equal(decoded[11].tombstone.keys[0], aq_slice_of("hanoi")));
    aq_bytes_deinit(&again);
    aq_bytes_deinit(&bytes);
    aq_arena_deinit(&arena);
}

Test(catalog_edit, checkpoints_and_empty_edits)
{
    struct aq_edit_header checkpoint = header;
    checkpoint.checkpoint = true;
    struct aq_bytes bytes = encode(&checkpoint, NULL, 0);
    struct aq_arena arena = {0};
    struct aq_edit_header back;
    struct aq_record *records;
    size_t count = 1;
    uint64_t checksum;
    cr_assert_eq(
        aq_edit_decode(aq_bytes_view(&bytes), &arena, &back, &records, &count, &checksum, NULL),
        AQ_OK);
    cr_assert(back.checkpoint);
    cr_assert_eq(count, 0);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&bytes);
}

Test(catalog_edit, every_flip_is_found)
{
    struct aq_record records[24];
    struct aq_bytes bytes = encode(&whole_state, records, all_records(records));
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct aq_error err = {0};
        cr_assert_eq(decode(aq_bytes_view(&bytes), &err), AQ_CORRUPT, "bit %zu", bit);
        cr_assert_geq(err.offset, 0);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    aq_bytes_deinit(&bytes);
}

Test(catalog_edit, every_truncation_and_extension_is_found)
{
    struct aq_record records[24];
    struct aq_bytes bytes = encode(&whole_state, records, all_records(records));
    for (size_t size = 0; size < bytes.size; size++) {
        /* Memory of just that size, so that the sanitizer sees any read beyond it. */
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, bytes.data, size);
        cr_assert_eq(decode(aq_slice_make(copy, size), NULL), AQ_CORRUPT, "cut to %zu", size);
        free(copy);
    }
    aq_bytes_u8(&bytes, 0);
    cr_assert_eq(decode(aq_bytes_view(&bytes), NULL), AQ_CORRUPT);
    aq_bytes_deinit(&bytes);
}

/* Change bytes and make the checksum right again: a newer writer, or a forger. */
static enum aq_status decode_patched(struct aq_bytes *bytes, size_t offset, uint8_t value,
                                     struct aq_error *err)
{
    uint8_t kept = bytes->data[offset];
    bytes->data[offset] = value;
    uint64_t checksum = aq_checksum(bytes->data, bytes->size - 8);
    aq_bytes_patch_u64(bytes, bytes->size - 8, checksum);
    enum aq_status status = decode(aq_bytes_view(bytes), err);
    bytes->data[offset] = kept;
    return status;
}

Test(catalog_edit, newer_versions_are_named_as_such)
{
    struct aq_record record = {.kind = AQ_RECORD_REMOVE, .remove = {.file_id = 4}};
    struct aq_bytes bytes = encode(&header, &record, 1);
    struct aq_error err = {0};
    cr_assert_eq(decode_patched(&bytes, 8, 2, &err), AQ_UNSUPPORTED);
    cr_assert_not_null(strstr(err.message, "newer"));
    cr_assert_eq(decode_patched(&bytes, 12, 0x80, NULL), AQ_OK, "a compatible feature");
    cr_assert_eq(decode_patched(&bytes, 16, 1, NULL), AQ_UNSUPPORTED);
    cr_assert_eq(decode_patched(&bytes, 64, 2, NULL), AQ_UNSUPPORTED, "an unknown flag");
    cr_assert_eq(decode_patched(&bytes, 80, 99, &err), AQ_UNSUPPORTED, "an unknown record");
    cr_assert_not_null(strstr(err.message, "kind 99"));
    cr_assert_eq(decode_patched(&bytes, 81, 2, NULL), AQ_CORRUPT, "a record past the end");
    cr_assert_eq(decode_patched(&bytes, 68, 200, NULL), AQ_CORRUPT, "more records than bytes");
    aq_bytes_deinit(&bytes);
}

/* What only a whole state says, in an edit: refused where it stands. With the flag of a checkpoint it is read. */
Test(catalog_edit, an_edit_has_no_records_of_checkpoints)
{
    static const enum aq_record_kind kinds[] = {AQ_RECORD_COUNTERS, AQ_RECORD_COMPLETE,
                                                AQ_RECORD_SINCE};
    struct aq_record all[24];
    size_t count = all_records(all);
    for (size_t i = 0; i < count; i++) {
        bool refused =
            all[i].kind == kinds[0] || all[i].kind == kinds[1] || all[i].kind == kinds[2];
        struct aq_record two[] = {{.kind = AQ_RECORD_REMOVE, .remove = {.file_id = 4}}, all[i]};
        struct aq_bytes bytes = encode(&whole_state, two, 2);
        struct aq_error err = {0};
        cr_assert_eq(decode(aq_bytes_view(&bytes), NULL), AQ_OK);
        cr_assert_eq(decode_patched(&bytes, 64, 0, &err), refused ? AQ_CORRUPT : AQ_OK, "%d",
                     (int)all[i].kind);
        if (refused)
            cr_assert(err.offset == 83 && strstr(err.message, "checkpoints only") != NULL);
        aq_bytes_deinit(&bytes);
    }
}

/* Whatever one byte becomes, with a right checksum: an answer, never a crash. */
Test(catalog_edit, forged_bytes_do_no_harm)
{
    struct aq_record records[24];
    struct aq_bytes bytes = encode(&whole_state, records, all_records(records));
    unsigned refused = 0;
    for (size_t offset = 80; offset < bytes.size - 8; offset++) {
        for (unsigned bit = 0; bit < 8; bit++)
            refused += decode_patched(&bytes, offset, bytes.data[offset] ^ (uint8_t)(1 << bit),
                                      NULL) != AQ_OK;
        refused += decode_patched(&bytes, offset, 0xff, NULL) != AQ_OK;
    }
    cr_assert_gt(refused, 100);
    aq_bytes_deinit(&bytes);
}

/* The worked example of docs/catalog-format.md. */
Test(catalog_edit, golden)
{
    struct aq_edit_header first = {
        .number = 2,
        .previous_checksum = UINT64_C(0x0123456789abcdef),
        .time_us = INT64_C(1739516400000000),
    };
    for (uint8_t i = 0; i < 16; i++)
        first.nonce[i] = i;
    struct aq_record records[] = {
        {.kind = AQ_RECORD_DATASET, .dataset = schema},
        {.kind = AQ_RECORD_OPEN, .open = {.file_id = 1, .epoch = 1}},
        {.kind = AQ_RECORD_REMOVE, .remove = {.file_id = 300}},
    };
    struct aq_bytes bytes = encode(&first, records, 3);
    golden_expect("catalog-edit.bin", aq_bytes_view(&bytes));
    aq_bytes_deinit(&bytes);
}

/* The second worked example: a checkpoint of a segment that edit 7 closed, from which edit 9 removed a day of hanoi. */
Test(catalog_edit, golden_checkpoint)
{
    struct aq_edit_header checkpoint = {
        .number = 12,
        .previous_checksum = UINT64_C(0x0123456789abcdef),
        .time_us = INT64_C(1739516400000000),
        .checkpoint = true,
    };
    keys[0] = aq_slice_of("hanoi");
    struct aq_record records[] = {
        {.kind = AQ_RECORD_OPEN, .open = {.file_id = 1, .epoch = 1}},
        {.kind = AQ_RECORD_CLOSE,
         .close = {1, 17, 4096, 4288, UINT64_C(0x1122334455667788), 1, entries}},
        {.kind = AQ_RECORD_SINCE, .since = {.file_id = 1, .edit = 7}},
        {.kind = AQ_RECORD_TOMBSTONE,
         .tombstone = {1, 1, keys, INT64_C(1739491200000000), INT64_C(1739577600000000), 9}},
        {.kind = AQ_RECORD_COUNTERS, .counters = {2, 1, 2, 2}},
    };
    struct aq_bytes bytes = encode(&checkpoint, records, 5);
    golden_expect("catalog-checkpoint.bin", aq_bytes_view(&bytes));
    aq_bytes_deinit(&bytes);
}
